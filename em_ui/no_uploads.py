"""Refuse uploads while no page asks for a file.

Streamlit takes files from every visitor with a session, whether or not a page asks for them, and
keeps them in memory. For a page that does, take this out of ``app.py``, and the location of the
same path out of ``deploy/nginx.conf``; put bounds on count, size and lifetime there instead.
"""

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

UPLOADS = "/_stcore/upload_file"


class NoUploads:
    """ASGI middleware that answers every request to Streamlit's path of uploads with 403."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "http" and UPLOADS in scope["path"]:
            refusal = PlainTextResponse("This app takes no files.", 403)
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)
