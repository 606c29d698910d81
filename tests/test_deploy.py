"""Several processes behind nginx, as ``deploy/nginx.conf`` has it, on this machine's loopback."""

import asyncio
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.client import Session
from benchmarks.load import Plan, run
from benchmarks.servers import NGINX, OPENER, SITE, free_port, on_loopback, serve_behind_nginx

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.skipif(
        NGINX is None and "CI" not in os.environ,
        reason="no nginx on this machine",
    ),
]


@pytest.fixture(scope="module")
def farm():
    with serve_behind_nginx(2) as farm:
        yield farm


def run_apart(coroutine):
    """Run it in a thread of its own: in this one the browser tests may have an event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


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


def test_killed_process_costs_its_students_nothing_but_a_moment(farm):
    """The last test here: one process is gone after it."""
    plan = Plan(("two-coins", "gaussian-mixture", "k-means"), every=1.0, kill=True)
    tally = run_apart(run(farm, 12, plan, seconds=10))
    assert tally.errors == {}
    assert len(farm.alive) == 1
    assert tally.returned > 0
    assert len(tally.waits) > 12
    assert tally.cpu.server > 0  # what the killed process had used is still counted
