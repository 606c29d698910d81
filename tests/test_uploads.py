"""The bounds on files that visitors upload, on Streamlit's own store of them."""

import asyncio
from types import SimpleNamespace
from uuid import uuid4

import pytest
from conftest import run_apart
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from em_ui import uploads
from em_ui.uploads import MAX_AT_ONCE, MAX_BODY, MAX_FILES, MAX_KEPT, TURNS, Uploads, release

PLACE = "/_stcore/upload_file"


class Streamlit:
    """What stands behind the bounds: takes a file, or answers as it is told to."""

    def __init__(self, **keywords):
        self.files = MemoryUploadedFileManager(PLACE)
        self.status = 204
        self.asked = 0
        self.bounds = Uploads(self.answer, lambda: self, **keywords)

    @property
    def uploaded_file_mgr(self):
        return self.files

    def is_active_session(self, session):
        return session != "0" * 36

    async def answer(self, scope, receive, send):
        self.asked += 1
        if scope["method"] == "PUT" and self.status == 204:
            message = await receive()
            assert not message["more_body"]
            _, session, name = scope["path"].rsplit("/", 2)
            self.files.add_file(session, UploadedFileRec(name, "", "", message["body"]))
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask(self, path, body=(b"x",), method="PUT", headers=(), receive=None):
        """Send a request with its body in these parts; return the status of the answer."""
        parts = [
            {"type": "http.request", "body": part, "more_body": i + 1 < len(body)}
            for i, part in enumerate(body)
        ]
        self.unread = parts
        found = []

        async def next_part():
            return parts.pop(0)

        async def note(message):
            found.append(message)

        headers = [(name.encode(), value.encode()) for name, value in headers]
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        await self.bounds(scope, receive or next_part, note)
        return found[0]["status"]

    def kept(self, session):
        return list(self.files.file_storage.get(session, {}))


def place(session=None):
    return f"{PLACE}/{session or uuid4()}/{uuid4()}"


def name(path):
    return path.rsplit("/", 1)[1]


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(uploads, "_kept", uploads._Kept())


def test_file_within_the_bounds_arrives_whole():
    server, path = Streamlit(), place("a" * 36)
    parts = [b"x" * 400_000, b"y" * 600_000, b"z" * 50_000]
    assert run_apart(server.ask(path, parts)) == 204
    [file] = server.files.get_files("a" * 36, [name(path)])
    assert file.data == b"".join(parts)


def test_file_that_says_it_is_too_large_is_not_read():
    server = Streamlit()
    headers = [("content-length", str(MAX_BODY + 1))]
    assert run_apart(server.ask(place(), [b"x"] * 3, headers=headers)) == 413
    assert len(server.unread) == 3
    assert run_apart(server.ask(place(), headers=[("content-length", "-5")])) == 413
    assert server.asked == 0


def test_file_that_does_not_say_how_large_it_is_is_read_up_to_the_bound():
    server = Streamlit()
    assert run_apart(server.ask(place(), [b"x" * 500_000] * 10)) == 413
    assert len(server.unread) == 7
    assert server.asked == 0


def test_session_that_is_not_open_is_refused_before_anything_is_read():
    server = Streamlit()
    assert run_apart(server.ask(place("0" * 36), [b"x"] * 3)) == 400
    assert len(server.unread) == 3


@pytest.mark.parametrize(
    "path",
    [
        PLACE,
        f"{PLACE}/",
        f"{PLACE}/{'a' * 36}",
        f"{PLACE}/{'a' * 36}/short",
        f"{PLACE}/{'a' * 36}/{'a' * 36}/{'a' * 36}",
        f"{PLACE}/{'a' * 36}/{'g' * 36}",
        f"/{place()}",
        f"{place()}/",
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
def test_what_is_no_place_for_a_file_does_not_reach_streamlit(path, method):
    server = Streamlit()
    assert run_apart(server.ask(path, method=method)) == 404
    assert server.asked == 0


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "HEAD"])
def test_files_are_put_and_deleted_and_nothing_else(method):
    server = Streamlit()
    assert run_apart(server.ask(place(), method=method)) == 405
    assert server.asked == 0


def test_app_below_a_path_takes_files_too():
    assert run_apart(Streamlit().ask(f"/em-app/v1.0{place()}")) == 204


def test_everything_else_is_handed_on():
    server = Streamlit()
    assert run_apart(server.ask("/two-coins", method="GET")) == 204
    assert server.asked == 1


def test_session_keeps_its_last_files():
    server, session = Streamlit(), str(uuid4())
    paths = [place(session) for _ in range(MAX_FILES + 2)]
    other = place()

    async def visit():
        await server.ask(other)
        for path in paths:
            assert await server.ask(path) == 204

    run_apart(visit())
    assert server.kept(session) == [name(path) for path in paths[2:]]
    assert server.kept(other.split("/")[-2]) == [name(other)]


def test_oldest_files_of_all_go_when_there_are_too_many():
    server = Streamlit()
    sessions = [str(uuid4()) for _ in range(80)]

    async def visit():
        for session in sessions:
            assert await server.ask(place(session), [b"x" * 1_000_000]) == 204

    run_apart(visit())
    kept = [bool(server.kept(session)) for session in sessions]
    assert kept == [False] * 16 + [True] * 64
    assert sum(kept) * 1_000_000 <= MAX_KEPT


def test_file_goes_some_time_after_its_upload():
    server, path = Streamlit(lifetime=0), place("a" * 36)

    async def visit():
        gone = asyncio.Event()
        remove = server.files.remove_file

        def removed(session, file):
            remove(session, file)
            gone.set()

        server.files.remove_file = removed
        assert await server.ask(path) == 204
        assert server.kept("a" * 36) == [name(path)]
        await asyncio.wait_for(gone.wait(), 5)

    run_apart(visit())
    assert server.kept("a" * 36) == []
    assert uploads._kept._sizes == {}


def test_file_that_does_not_arrive_in_time_is_refused():
    async def never():
        await asyncio.Event().wait()

    async def visit():
        server = Streamlit(patience=0)
        assert await server.ask(place(), receive=never) == 408
        assert server.asked == 0
        assert not server.bounds._on_their_way

    run_apart(visit())


def test_connection_that_closes_leaves_nothing():
    async def closed():
        return {"type": "http.disconnect"}

    server = Streamlit()
    assert run_apart(server.ask(place(), receive=closed)) == 400
    assert (server.asked, server.bounds._on_their_way) == (0, {})


def test_session_brings_so_many_files_at_once_and_no_more():
    async def visit():
        server, session, arrive = Streamlit(), str(uuid4()), asyncio.Event()

        async def slowly():
            await arrive.wait()
            return {"type": "http.request", "body": b"x"}

        slow = [
            asyncio.create_task(server.ask(place(session), receive=slowly))
            for _ in range(MAX_AT_ONCE)
        ]
        while server.bounds._on_their_way[session] < MAX_AT_ONCE:
            await asyncio.sleep(0)
        assert await server.ask(place(session)) == 429
        assert await server.ask(place()) == 204
        arrive.set()
        assert await asyncio.gather(*slow) == [204] * MAX_AT_ONCE
        assert await server.ask(place(session)) == 204

    run_apart(visit())


def test_all_sessions_take_turns():
    async def visit():
        server, arrive = Streamlit(), asyncio.Event()
        reading = 0

        async def slowly():
            nonlocal reading
            reading += 1
            await arrive.wait()
            return {"type": "http.request", "body": b"x"}

        tasks = [asyncio.create_task(server.ask(place(), receive=slowly)) for _ in range(TURNS + 5)]
        while server.bounds._on_their_way.total() < TURNS + 5:
            await asyncio.sleep(0)
        assert reading == TURNS
        arrive.set()
        assert await asyncio.gather(*tasks) == [204] * (TURNS + 5)

    run_apart(visit())


def test_file_that_streamlit_refuses_is_not_counted():
    server = Streamlit()
    server.status = 403
    assert run_apart(server.ask(place())) == 403
    assert uploads._kept._sizes == {}


def test_deleted_file_is_not_counted():
    server, path = Streamlit(), place()

    async def visit():
        assert await server.ask(path) == 204
        assert len(uploads._kept._sizes) == 1
        server.status = 403
        await server.ask(path, method="DELETE")
        assert len(uploads._kept._sizes) == 1
        server.status = 204
        await server.ask(path, method="DELETE")
        assert uploads._kept._sizes == {}

    run_apart(visit())


def test_file_that_a_page_has_read_is_let_go(monkeypatch):
    server, path = Streamlit(), place("a" * 36)
    context = SimpleNamespace(session_id="a" * 36, uploaded_file_mgr=server.files)
    monkeypatch.setattr(uploads, "get_script_run_ctx", lambda: context)
    assert run_apart(server.ask(path)) == 204
    release(SimpleNamespace(file_id=name(path)))
    assert server.kept("a" * 36) == []
    assert uploads._kept._sizes == {}
