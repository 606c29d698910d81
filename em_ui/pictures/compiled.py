"""Charts whose expressions the browser compiles, where it may.

Streamlit 1.67 has Vega interpret every expression of a chart, for every row and in every frame,
since a site may forbid its pages to compile code (a Content-Security-Policy without
``unsafe-eval``). It has no setting for it. In a step of the player that was more than half of the
browser's work. So the one script of Streamlit's that asks for interpretation is sent with a
question in its place: whether compiling is forbidden. If another version asks in other words, it is
sent as it is, and charts are as right as before, but slower.
"""

from functools import cache
from pathlib import Path

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.file_util import get_static_dir

_SCRIPTS = "static/js/ArrowVegaLiteChart.*.js"
_INTERPRETED = "ast:!0"
_IF_FORBIDDEN = "ast:(()=>{try{return Function(''),!1}catch{return!0}})()"
# As Streamlit says of files with a hash in their names.
_CACHE = "public, immutable, max-age=31536000"


@cache
def scripts() -> dict[str, bytes]:
    """Return the scripts that are sent in place of Streamlit's, by the ends of their paths."""
    root = Path(get_static_dir())
    texts = {
        f"/{path.relative_to(root).as_posix()}": path.read_text("utf-8")
        for path in root.glob(_SCRIPTS)
    }
    return {
        path: text.replace(_INTERPRETED, _IF_FORBIDDEN).encode()
        for path, text in texts.items()
        if text.count(_INTERPRETED) == 1
    }


class Compiled:
    """ASGI middleware that sends :func:`scripts`. ``app`` is Streamlit."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        answer: ASGIApp = self.app
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            for path, script in scripts().items():
                if scope["path"].endswith(path):
                    kind = "application/javascript"
                    answer = Response(script, media_type=kind, headers={"Cache-Control": _CACHE})
        await answer(scope, receive, send)
