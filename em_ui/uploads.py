"""Bounds on files that visitors upload: their size, their number, and how long they are kept.

Streamlit takes files from every visitor with a session, and keeps them in memory until the session
ends, which for a page that is left open is hours. Here a file is kept until a page has read it
(:func:`release`), and for some minutes at the most.
"""

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol, cast

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.runtime import get_instance
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

MAX_BODY = 1_050_000  # bytes: a file of 1 MB, and what a browser sends around it
MAX_FILES = 3  # of one session; the oldest goes first
MAX_KEPT = 64_000_000  # bytes of all sessions; the oldest go first
LIFETIME = 180.0  # seconds after its upload
MAX_AT_ONCE = 2  # uploads of one session that are on their way; of all, others wait their turn
TURNS = 16
PATIENCE = 60.0  # seconds that an upload may take, with the wait

_PLACE = "/_stcore/upload_file"
# Streamlit names sessions and files by UUIDs.
_PATH = re.compile(rf"(?:/[\w.~-]+)*{_PLACE}/([0-9a-f-]{{36}})/([0-9a-f-]{{36}})")


class Sessions(Protocol):
    """What is asked of Streamlit's runtime."""

    def is_active_session(self, session_id: str) -> bool:
        """Return whether a visitor has this session open."""

    @property
    def uploaded_file_mgr(self) -> MemoryUploadedFileManager:
        """What keeps the files."""


class _File(NamedTuple):
    session: str
    name: str


class _Kept:
    """The files that are kept, the oldest first. Scripts and the server use it from threads."""

    def __init__(self) -> None:
        self._sizes: dict[_File, int] = {}
        self._lock = threading.Lock()

    def add(self, file: _File, size: int) -> list[_File]:
        """Note a file, and return those that have to go for it."""
        with self._lock:
            self._sizes.pop(file, None)
            self._sizes[file] = size
            mine = [other for other in self._sizes if other.session == file.session]
            gone = mine[:-MAX_FILES]
            total = sum(self._sizes.values()) - sum(self._sizes[other] for other in gone)
            for other in self._sizes:
                if total <= MAX_KEPT:
                    break
                if other not in gone:
                    gone.append(other)
                    total -= self._sizes[other]
            for other in gone:
                del self._sizes[other]
            return gone

    def forget(self, file: _File) -> None:
        """Do no longer count a file."""
        with self._lock:
            self._sizes.pop(file, None)


_kept = _Kept()


def release(file: UploadedFile) -> None:
    """Let go of a file that a page has read; its uploader is empty in the next run."""
    context = get_script_run_ctx()
    if context is None:
        return
    # In public, Streamlit 1.67 lets go of a file only when the visitor or the session does.
    manager = cast(MemoryUploadedFileManager, context.uploaded_file_mgr)
    manager.remove_file(context.session_id, file.file_id)
    _kept.forget(_File(context.session_id, file.file_id))


class _Refusal(Exception):  # noqa: N818 (it is an answer)
    def __init__(self, status: int, why: str) -> None:
        self.answer = PlainTextResponse(why, status)


class Uploads:
    """ASGI middleware that lets uploads through as far as the bounds allow.

    Parameters
    ----------
    app : ASGI application
        Streamlit.
    runtime : callable
        Returns Streamlit's runtime.
    lifetime, patience : float
        As ``LIFETIME`` and ``PATIENCE``.
    """

    def __init__(
        self,
        app: ASGIApp,
        runtime: Callable[[], Sessions] = cast(Callable[[], Sessions], get_instance),  # noqa: B008
        *,
        lifetime: float = LIFETIME,
        patience: float = PATIENCE,
    ) -> None:
        self.app = app
        self.runtime = runtime
        self.lifetime = lifetime
        self.patience = patience
        self._on_their_way: Counter[str] = Counter()
        self._turns = asyncio.Semaphore(TURNS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http" or _PLACE not in scope["path"]:
            await self.app(scope, receive, send)
            return
        try:
            await self._bounded(scope, receive, send)
        except _Refusal as refusal:
            await refusal.answer(scope, receive, send)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _PATH.fullmatch(scope["path"])
        if not path:
            raise _Refusal(404, "There is no place for files here.")
        file = _File(*path.groups())
        if scope["method"] == "PUT":
            await self._take(file, scope, receive, send)
        elif scope["method"] in ("DELETE", "OPTIONS"):
            status = await self._hand_on(scope, receive, send)
            if scope["method"] == "DELETE" and status < 300:
                _kept.forget(file)
        else:
            raise _Refusal(405, "Files can be put here and deleted.")

    async def _take(self, file: _File, scope: Scope, receive: Receive, send: Send) -> None:
        # Streamlit asks for this too, but would answer only when the whole file has arrived.
        if not self.runtime().is_active_session(file.session):
            raise _Refusal(400, "This page is not connected. Load it again.")
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            raise _Refusal(413, "A file may have 1 MB at the most.")
        if self._on_their_way[file.session] >= MAX_AT_ONCE:
            raise _Refusal(429, "Too many files at once. Try again in a moment.")
        self._on_their_way[file.session] += 1
        try:
            async with asyncio.timeout(self.patience) as patience, self._turns:
                body = await _whole(receive)
                patience.reschedule(None)
                status = await self._hand_on(scope, _again(body, receive), send)
        except TimeoutError:
            raise _Refusal(408, "The file took too long to arrive.") from None
        finally:
            self._on_their_way -= Counter([file.session])
        if status < 300:
            for other in _kept.add(file, len(body)):
                self._drop(other)
            asyncio.get_running_loop().call_later(self.lifetime, self._drop, file)

    def _drop(self, file: _File) -> None:
        self.runtime().uploaded_file_mgr.remove_file(file.session, file.name)
        _kept.forget(file)

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Let Streamlit answer, and return the status that it answers with."""
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self.app(scope, receive, noting)
        return status


async def _whole(receive: Receive) -> bytes:
    """Return the body of a request, which may not say how long it is."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refusal(400, "The connection was closed.")
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise _Refusal(413, "A file may have 1 MB at the most.")
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what hands on a body that was received, and then whatever comes after it."""
    rest: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return rest.pop() if rest else await receive()

    return again
