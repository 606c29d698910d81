"""Several processes behind nginx, as ``deploy/nginx.conf`` has it, on this machine's loopback."""

import asyncio
import http.client
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from functools import partial
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import pytest
from conftest import run_apart
from playwright.sync_api import expect, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import InvalidStatus

from benchmarks.client import Session
from benchmarks.load import Plan, run
from benchmarks.servers import (
    NGINX,
    OPENER,
    SITE,
    _wait,
    free_port,
    on_loopback,
    serve_behind_nginx,
    stop,
)
from em_ui.uploads import MAX_FILES, MAX_KEPT
from pages import LESSONS

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.skipif(
        NGINX is None and "CI" not in os.environ,
        reason="no nginx on this machine",
    ),
]


@pytest.fixture(scope="module")
def farm():
    with serve_behind_nginx(2, "http://127.0.0.1:*") as farm:
        yield farm


def get(farm, path, **headers):
    request = urllib.request.Request(f"http://{farm.address}{path}", headers=headers)
    with OPENER.open(request, timeout=10) as response:
        return response.headers, response.read()


def finished(farm, path, n):
    """Return who sent each of the ``n`` requests for a path, and who answered, once all are done.

    The answer arrives before nginx has kept the file and written the line.
    """
    end = time.monotonic() + 20
    while time.monotonic() < end:
        lines = [line.split(maxsplit=2) for line in farm.log.read_text().splitlines()]
        found = [(cookie, process) for cookie, asked, process in lines if asked == path]
        if len(found) >= n:
            break
        time.sleep(0.01)
    assert len(found) == n
    return found


def test_configuration_loads_with_the_processes_that_it_names(tmp_path):
    site = on_loopback(SITE.read_text(), free_port(), tmp_path)
    (tmp_path / "nginx.conf").write_text(site)
    command = [NGINX, "-t", "-e", "stderr", "-c", str(tmp_path / "nginx.conf")]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_log_of_the_site_holds_no_query(farm, tmp_path):
    own = "/gaussian-mixture?gm_own=1.5_2.5_abc"
    with nginx(farm, tmp_path) as site:
        request(site, "GET", own, {"Referer": f"http://{site}{own}"})
        request(site, "GET", "/_stcore/health?after", {})
        end = time.monotonic() + 20
        while (log := (tmp_path / "em.log").read_text()).count("/_stcore/health ") < 2:
            assert time.monotonic() < end  # a line is written a little after the answer
    assert '"GET /gaussian-mixture HTTP/1.1" 200 ' in log
    assert "abc" not in log
    assert "?" not in log


def test_refused_request_leaves_no_address_in_the_error_log(farm, tmp_path):
    """Not even in one that begins as low as that of the packages of nginx.org."""
    errors = tmp_path / "errors"
    levels = ("server_tokens        off;", f"server_tokens off; error_log {errors} notice;")
    burst = ("zone=em_student burst=50 nodelay", "zone=em_student")
    with nginx(farm, tmp_path, levels, burst) as site:
        ask = partial(request, site, "GET", "/?gm_own=abc", {"Cookie": "em_student=greedy"})
        assert 429 in [ask()[0] for _ in range(20)]
    assert "abc" not in errors.read_text()


def test_downloads_are_looked_for_in_every_process(farm):
    """After a process has come back, a student's session and cookie may lead to different ones."""
    for server in farm.servers:
        url = f"http://{server.address}/media/none.csv"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            OPENER.open(url, timeout=10)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(farm, "/media/none.csv", Cookie="em_student=x")
    [(_, asked)] = finished(farm, "/media/none.csv", 1)
    assert all(server.address in asked for server in farm.servers)


def test_new_student_gets_a_cookie_and_keeps_it(farm):
    headers, _ = get(farm, "/")
    cookie, *attributes = headers["Set-Cookie"].split("; ")
    assert cookie.startswith("em_student=")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Lax"}
    again, _ = get(farm, "/two-coins", Cookie=cookie)
    assert again["Set-Cookie"] is None
    assert get(farm, "/")[0]["Set-Cookie"].split("; ")[0] != cookie


def test_student_stays_with_one_process_and_a_class_uses_both(farm):
    async def visit():
        cookie = await asyncio.to_thread(farm.cookie, 30)
        async with Session(farm.address, cookie=cookie) as session:
            await session.open("two-coins")
        async with Session(farm.address, cookie=cookie) as session:
            await session.open("k-means")

    async def visits():
        await asyncio.gather(*(visit() for _ in range(24)))

    run_apart(visits())
    processes = defaultdict(set)
    for cookie, process in finished(farm, "/_stcore/stream", 48):
        processes[cookie].add(process)
    assert len(processes) == 24
    assert all(len(used) == 1 for used in processes.values())
    assert set.union(*processes.values()) == {server.address for server in farm.servers}


def test_browser_at_the_name_of_the_site_may_connect(farm):
    """Streamlit refuses a page of another site, which it sees by the host that nginx hands on."""

    async def visit():
        async with Session(farm.address, site="em.example.org") as session:
            return await session.open("two-coins")

    assert run_apart(visit()).errors == []


def test_static_files_are_compressed_and_kept(farm):
    _, page = get(farm, "/")
    script = page.decode().partition('src="./static/')[2].partition('"')[0]
    path = f"/static/{script}"
    headers, plain = get(farm, path)
    assert headers["Content-Encoding"] is None
    assert "immutable" in headers["Cache-Control"]
    [(_, first)] = finished(farm, path, 1)
    assert first in {server.address for server in farm.servers}
    headers, packed = get(farm, path, **{"Accept-Encoding": "gzip"})
    _, (_, second) = finished(farm, path, 2)
    assert second == "-"  # no process was asked
    assert headers["Content-Encoding"] == "gzip"
    assert len(packed) < 0.5 * len(plain)


def status(address, path):
    try:
        with OPENER.open(f"http://{address}{path}", timeout=20) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


async def places_for(student, names):
    """Return the paths that Streamlit gives an open page for files, as it does for an uploader."""
    message = BackMsg()
    message.file_urls_request.file_names.extend(names)
    await student._socket.send(message.SerializeToString())
    async for data in student._socket:
        answer = ForwardMsg.FromString(data)
        if answer.WhichOneof("type") == "file_urls_response":
            return [place.upload_url for place in answer.file_urls_response.file_urls]
    raise ConnectionError("the server closed the connection")


FILE = b"x" * 1_000_000


def request(address, method, path, headers, body=b""):
    """Return the status and the text of an answer; 0 if the server has closed its ears before."""
    chunked = "Transfer-Encoding" in headers
    with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
        try:
            connection.request(method, path, body, headers, encode_chunked=chunked)
            with connection.getresponse() as response:
                return response.status, response.read().decode()
        except ConnectionError:
            return 0, ""


def put(address, path, token, content=FILE, cookie="", more=None, method="PUT"):
    """Send a file as Streamlit's page does, and return the answer's status and text."""
    mark = b"------x\r\n"
    head = b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = mark + head + content + b"\r\n------x--\r\n"
    headers = {
        "Content-Type": "multipart/form-data; boundary=----x",
        "Cookie": f"_streamlit_xsrf={token}; {cookie}",
        "X-Xsrftoken": token,
        **(more or {}),
    }
    if "Transfer-Encoding" in headers:
        parts = [body[i : i + 50_000] for i in range(0, len(body), 50_000)]
        return request(address, method, path, headers, iter(parts))
    return request(address, method, path, headers, body)


def token_from(address, **headers):
    """Return Streamlit's cookie against forged requests, as a page gets it."""
    asked = urllib.request.Request(f"http://{address}/_stcore/health", headers=headers)
    with OPENER.open(asked, timeout=10) as response:
        cookies = SimpleCookie()
        for line in response.headers.get_all("Set-Cookie"):
            cookies.load(line)
    return cookies["_streamlit_xsrf"].value


@contextmanager
def nginx(farm, folder, *edits):
    """Start another nginx before the same processes, its configuration edited, at its address."""
    site = SITE.read_text()
    for port, server in zip((8501, 8502), farm.servers, strict=True):
        site = site.replace(f"127.0.0.1:{port}", server.address)
    for old, new in edits:
        assert old in site
        site = site.replace(old, new)
    port = free_port()
    (folder / "nginx.conf").write_text(on_loopback(site, port, folder))
    command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait("nginx", f"http://127.0.0.1:{port}/_stcore/health", process, folder / "access")
        yield f"127.0.0.1:{port}"
    finally:
        stop(process)


def test_file_of_a_visitor_gets_through_with_the_cookie_against_forgery(farm):
    cookie = farm.cookie(30)
    token = token_from(farm.address, Cookie=cookie)

    async def visit():
        async with Session(farm.address, cookie=cookie) as student:
            await student.open("two-coins")
            first, second = await places_for(student, ["a.csv", "b.csv"])
            send = partial(asyncio.to_thread, put, farm.address, cookie=cookie)
            assert await send(first, token) == (204, "")
            assert (await send(second, "forged"))[0] == 403
            assert await send(first, token, b"", method="DELETE") == (204, "")
            encoded = second.replace("upload", "%75pload")
            assert await send(encoded, token) == (204, "")
            return second

    place = run_apart(visit())
    assert put(farm.address, place, token, cookie=cookie)[0] == 400  # the page has been closed


@pytest.mark.parametrize("through", ["nginx", "server"])
def test_too_large_files_and_other_methods_are_refused(farm, through):
    address = farm.address if through == "nginx" else farm.servers[0].address
    cookie = farm.cookie(30) if through == "nginx" else ""
    token = token_from(address, Cookie=cookie)

    async def visit():
        async with Session(address, cookie=cookie) as student:
            await student.open("two-coins")
            [place] = await places_for(student, ["a.csv"])
            send = partial(asyncio.to_thread, put, address, place, token, cookie=cookie)
            chunked = {"Transfer-Encoding": "chunked"}
            assert await send(more=chunked) == (204, "")
            assert (await send(FILE + b"x" * 60_000))[0] in (0, 413)
            assert (await send(FILE * 5, more=chunked))[0] in (0, 413)
            for method in ("POST", "GET", "PATCH"):
                found, _ = await send(b"", method=method)
                assert found == (403 if through == "nginx" else 405)
            for path in (f"/{place}", place.replace("/_stcore", "//_stcore"), f"{place}/x"):
                found, _ = await asyncio.to_thread(put, address, path, token, cookie=cookie)
                assert found in (400, 404)

    run_apart(visit())


def flood(server, visitors, files):
    """Return by how much the process grows while visitors bring so many files, and the answers."""
    token = token_from(server.address)

    async def visit():
        async with AsyncExitStack() as stack:
            places = []
            for _ in range(visitors):
                student = await stack.enter_async_context(Session(server.address))
                await student.open("two-coins")
                names = [f"{i}.csv" for i in range(files // visitors + 1)]
                places.append(await places_for(student, names))
            before = server.resident_megabytes()
            of_all = [place for mine in zip(*places, strict=True) for place in mine][:files]
            with ThreadPoolExecutor(min(8, visitors)) as pool:
                answers = list(pool.map(lambda place: put(server.address, place, token), of_all))
            return server.resident_megabytes() - before, answers

    return run_apart(visit())


def test_flood_of_one_visitor_is_bounded(farm):
    grown, answers = flood(farm.servers[0], 1, 100)
    assert answers == [(204, "")] * 100
    assert grown < MAX_FILES + 30  # MB, of the 100 that were sent


def test_flood_of_many_visitors_is_bounded(farm):
    grown, answers = flood(farm.servers[1], 30, 150)
    assert answers == [(204, "")] * 150
    assert grown < MAX_KEPT / 1e6 + 40  # MB, of the 150 that were sent


def test_one_student_brings_so_many_files_through_nginx_and_no_more(farm, tmp_path):
    address = f"/_stcore/upload_file/{uuid4()}/{uuid4()}"
    with nginx(farm, tmp_path) as site:
        ask = partial(request, site, "DELETE", address)
        allowed = 1 + int(re.search(r"em_student_uploads burst=(\d+)", SITE.read_text())[1])
        found = [ask({"Cookie": "em_student=greedy"})[0] for _ in range(allowed + 5)]
        assert found == [403] * allowed + [429] * 5  # without the token there is nothing to delete
        assert ask({"Cookie": "em_student=modest"})[0] == 403


def test_slow_file_never_reaches_a_process(farm, tmp_path):
    """It is taken in whole first, and given up when nothing more of it comes."""
    path = f"/_stcore/upload_file/{uuid4()}/{uuid4()}"
    with nginx(farm, tmp_path, ("client_body_timeout  20s", "client_body_timeout 500ms")) as site:
        connection = http.client.HTTPConnection(site, timeout=30)
        connection.putrequest("PUT", path)
        connection.putheader("Content-Length", "1000000")
        connection.endheaders(b"x" * 500_000)
        with suppress(http.client.RemoteDisconnected):
            assert connection.getresponse().status == 408
        connection.close()
        [line] = [line for line in (tmp_path / "access").read_text().splitlines() if path in line]
        assert line.split()[-1] == "-"


def test_cookie_against_forgery_comes_back_from_a_frame(farm, tmp_path):
    """A browser keeps it there over HTTPS, which a header stands for here."""
    with nginx(farm, tmp_path, ("map $https", "map $http_x_https")) as site:

        def attributes(**headers):
            asked = urllib.request.Request(f"http://{site}/_stcore/health", headers=headers)
            with OPENER.open(asked, timeout=10) as response:
                lines = response.headers.get_all("Set-Cookie")
            [line] = [line for line in lines if line.startswith("_streamlit_xsrf")]
            return set(line.split("; ")[1:])

        assert attributes() == {"Path=/", "SameSite=Lax"}
        secure = {"Path=/", "SameSite=None", "Secure", "Partitioned"}
        assert attributes(**{"X-Https": "on"}) == secure


def test_link_with_numbers_of_its_own_gets_through(farm):
    link = f"/two-coins?{urlencode({'own': '0123456789' * 2_000})}"
    for address in (farm.address, farm.servers[0].address):
        found, text = request(address, "GET", link, {"Referer": f"http://{address}{link}"})
        assert (found, "<title>" in text) == (200, True)


def test_link_that_arrives_in_pieces_gets_through(farm):
    """A process without nginx before it sees it so, from a network that is not this machine's."""
    host, _, port = farm.servers[0].address.partition(":")
    head = (
        f"GET /two-coins?own={'x' * 50_000} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(head), 1_000):
            connection.sendall(head[i : i + 1_000].encode())
        answer = connection.makefile("rb").readline()
    assert answer.split()[1] == b"200"


def test_metrics_are_not_for_visitors(farm):
    for path in ("/_stcore/metrics", "//_stcore/metrics", "/_stcore/%6detrics"):
        assert status(farm.address, path) == 403
    assert status(farm.servers[0].address, "/_stcore/metrics") == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/two-coins",
        "/_stcore/health",
        "/_stcore/metrics",
        "/media/none.csv",
        "/static/none.js",
    ],
)
def test_every_answer_has_the_headers_once(farm, path):
    try:
        headers, _ = get(farm, path)
    except urllib.error.HTTPError as error:
        headers = error.headers
    assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert headers.get_all("Referrer-Policy") == ["no-referrer"]
    [policy] = headers.get_all("Content-Security-Policy")
    assert policy.endswith("frame-ancestors 'self' http://127.0.0.1:*")
    assert "clipboard-write=(self)" in headers["Permissions-Policy"]


def test_class_that_opens_the_app_at_once_is_served_and_an_abuser_is_not(farm):
    """All of them have one address here, as behind the gateway of a school."""
    _, page = get(farm, "/")
    script = "/static/" + page.decode().partition('src="./static/')[2].partition('"')[0]
    host, _, port = farm.address.partition(":")

    def load(student, files=158, others=10):
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        found = set()
        for path in [script] * files + ["/_stcore/health"] * others:
            headers = {"Cookie": f"em_student={student}"}
            connection.request("HEAD" if path == script else "GET", path, headers=headers)
            response = connection.getresponse()
            response.read()
            found.add(response.status)
        connection.close()
        return found

    with ThreadPoolExecutor(16) as pool:
        assert set.union(*pool.map(load, range(100))) == {200}
    assert 429 in load("abuser", files=0, others=1_000)
    assert 429 in load("collector", files=3_000, others=0)
    assert load("neighbour") == {200}


def test_one_student_has_so_many_websockets_and_no_more(farm):
    allowed = int(re.search(r"limit_conn +em_student_sockets (\d+);", SITE.read_text())[1])

    async def connect(sockets, cookie):
        await sockets.enter_async_context(Session(farm.address, cookie=cookie))

    async def visit():
        async with AsyncExitStack() as sockets:
            refused = []
            for i in range(allowed + 5):
                try:
                    await connect(sockets, "em_student=greedy")
                except InvalidStatus as error:
                    refused.append((i, error.response.status_code))
            await connect(sockets, "em_student=modest")
            return refused

    assert run_apart(visit()) == [(allowed + i, 429) for i in range(5)]


NOT_FOUND = "Failed to load resource: the server responded with a status of 404 (Not Found)"
PROBE = re.compile(r"http://127\.0\.0\.1:\d+/[\w-]+/_stcore/(health|host-config)")
FRAME = "<!doctype html><iframe src='http://{}/{}' allow='clipboard-write' width=1200 height=900>"


@contextmanager
def platform(farm, host):
    """Serve a page of another site with the app in a frame, and give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(FRAME.format(farm.address, "two-coins?embed=true").encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{host}:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def in_a_browser():
    """Return a function that calls ``visit(tab, said, asked)`` in a profile that the tests share.

    The tab may use the clipboard. ``said`` is what its console complains of, with the address of
    what it is about, and ``asked`` are the paths that it asked for.
    """
    chromium = shutil.which("chromium")
    if not chromium:
        if os.environ.get("CI"):
            pytest.fail("CI needs chromium for these tests, and there is none")
        pytest.skip("there is no chromium on this machine")

    def start():
        playwright = sync_playwright().start()
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        profile = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        profile.set_default_timeout(20_000)
        return playwright, browser, profile

    # In a thread of its own: in this one the browser tests may have a browser already.
    with ThreadPoolExecutor(1) as pool:
        playwright, browser, profile = pool.submit(start).result()

        def run_it(visit):
            tab, said, asked = profile.new_page(), [], []

            def note(message):
                if message.type in ("error", "warning"):
                    said.append((message.text, message.location["url"]))

            tab.on("console", note)
            tab.on("pageerror", lambda error: said.append((str(error), tab.url)))
            tab.on("request", lambda request: asked.append(urlsplit(request.url).path))
            tab.on("websocket", lambda socket: asked.append(urlsplit(socket.url).path))
            visit(tab, said, asked)
            tab.close()

        yield lambda visit: pool.submit(run_it, visit).result()
        pool.submit(browser.close).result()
        pool.submit(playwright.stop).result()


def complaints(said):
    """Leave out Streamlit's look for its server below a deep link, which answers 404."""
    return [(text, url) for text, url in said if not (text == NOT_FOUND and PROBE.fullmatch(url))]


def burst(zone):
    """Return how many requests at once a zone allows in every location that has it."""
    [allowed] = set(re.findall(rf"zone={zone} +burst=(\d+) nodelay;", SITE.read_text()))
    return int(allowed)


@pytest.mark.browser
def test_pages_work_under_the_policy(farm, in_a_browser):
    charts = "[data-testid=stVegaLiteChart] :is(svg, canvas).marks"

    def visit(tab, said, asked):
        # With the table and the code, no page asks for more files than this.
        tab.goto(f"http://{farm.address}/two-coins")
        expect(tab.locator(charts).nth(2)).to_be_visible(timeout=20_000)
        tab.get_by_role("button", name="Copy link to these settings").click()
        expect(tab.get_by_text("Copied.")).to_be_visible()
        readout = tab.locator(".readout .label")
        tab.locator("button[name=play]").click()
        expect(readout).to_have_text(re.compile("^Iteration [2-9]"), timeout=20_000)
        tab.locator("button[name=last]").click()
        with tab.expect_download() as download:
            tab.get_by_test_id("stDownloadButton").first.get_by_role("button").click()
        assert download.value.path().stat().st_size > 0
        files = sum(path.startswith("/static/") for path in asked)
        others = [path for path in asked if path.startswith("/") and "/static/" not in path]
        assert files > 100
        assert others.count("/_stcore/stream") == 1
        assert 5 * files <= burst("em_student_files")
        assert 5 * len(others) <= burst("em_student")
        for lesson in LESSONS:
            if not lesson.package.startswith("pages.") or lesson.url_path == "two-coins":
                continue
            tab.goto(f"http://{farm.address}/{lesson.url_path}")
            expect(tab.locator(charts).nth(1)).to_be_visible(timeout=20_000)
        tab.goto(f"http://{farm.address}/")
        expect(tab.locator(".mini .iteration")).to_have_text("1", timeout=20_000)
        expect(tab.get_by_role("img", name="The EM loop")).to_be_visible(timeout=20_000)
        assert complaints(said) == []

    in_a_browser(visit)


@pytest.mark.browser
def test_file_that_a_page_has_read_is_kept_no_longer(farm, in_a_browser):
    def visit(tab, said, asked):
        tab.goto(f"http://{farm.address}/gaussian-mixture?gm_data=Your+own")
        rows = "".join(f"{i % 7},{i};{'ab'[i % 2]}\n" for i in range(60))
        file = {"name": "a.csv", "mimeType": "text/csv", "buffer": f"Dauer;Art\n{rows}".encode()}
        field = tab.get_by_test_id("stFileUploader").locator("input")
        field.wait_for(state="attached", timeout=20_000)
        field.set_input_files(file)
        expect(tab.get_by_text("60 rows of “a.csv”")).to_be_visible(timeout=20_000)
        [place] = {path for path in asked if path.startswith("/_stcore/upload_file/")}
        [(_, process)] = finished(farm, place, 1)
        with OPENER.open(f"http://{process}/_stcore/metrics", timeout=10) as response:
            kept = re.search(r'type="UploadedFileManager".*\} (\d+)', response.read().decode())
        # Other tests may have left files of this size; they go after some time.
        assert kept is None or int(kept[1]) % len(FILE) == 0
        assert complaints(said) == []

    in_a_browser(visit)


@pytest.mark.browser
def test_long_link_opens_in_a_browser(farm, in_a_browser):
    def visit(tab, said, asked):
        numbers = urlencode({"unknown": "0123456789" * 2_000})
        tab.goto(f"http://{farm.address}/two-coins?tc_guess=By+hand&{numbers}")
        expect(tab.locator("button[name=play]")).to_be_visible(timeout=20_000)
        assert complaints(said) == []

    in_a_browser(visit)


@pytest.mark.browser
def test_frame_is_for_the_platform_alone(farm, in_a_browser):
    def visit(tab, said, asked):
        with platform(farm, "127.0.0.1") as address:
            tab.goto(address)
            inside = tab.frame_locator("iframe")
            expect(inside.locator("button[name=play]")).to_be_visible(timeout=20_000)
            assert complaints(said) == []
        with (
            platform(farm, "localhost") as address,
            tab.expect_console_message(lambda message: "frame-ancestors" in message.text),
        ):
            tab.goto(address)

    in_a_browser(visit)


def test_killed_process_costs_its_students_nothing_but_a_moment(farm):
    """The last test here: one process is gone after it."""
    plan = Plan(("two-coins", "gaussian-mixture", "k-means"), every=1.0, kill=True)
    tally = run_apart(run(farm, 12, plan, seconds=10))
    assert tally.errors == {}
    assert len(farm.alive) == 1
    assert tally.returned > 0
    assert len(tally.waits) > 12
    assert tally.cpu.server > 0  # what the killed process had used is still counted
