"""Several processes behind nginx, as ``deploy/nginx.conf`` has it, on this machine's loopback."""

import asyncio
import os
import shutil
import urllib.request
from collections import defaultdict

import pytest

from benchmarks.client import Session
from benchmarks.load import Plan, run
from benchmarks.servers import serve_behind_nginx

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.skipif(
        shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None
        and "CI" not in os.environ,
        reason="no nginx on this machine",
    ),
]

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def farm():
    with serve_behind_nginx(2) as farm:
        yield farm


def get(farm, path, **headers):
    request = urllib.request.Request(f"http://{farm.address}{path}", headers=headers)
    with OPENER.open(request, timeout=10) as response:
        return response.headers, response.read()


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
        cookie = await asyncio.to_thread(farm.cookie)
        async with Session(farm.address, cookie=cookie) as session:
            await session.open("two-coins")
        async with Session(farm.address, cookie=cookie) as session:
            await session.open("k-means")

    async def visits():
        await asyncio.gather(*(visit() for _ in range(12)))

    asyncio.run(visits())
    processes = defaultdict(set)
    for line in farm.log.read_text().splitlines():
        cookie, process = line.split(maxsplit=1)
        processes[cookie].add(process)
    processes.pop("-")
    assert len(processes) >= 12
    assert all(len(used) == 1 for used in processes.values())
    assert set.union(*processes.values()) == {server.address for server in farm.servers}


def test_static_files_are_compressed_and_kept(farm):
    _, page = get(farm, "/")
    script = page.decode().partition('src="./static/')[2].partition('"')[0]
    headers, plain = get(farm, f"/static/{script}")
    assert headers["Content-Encoding"] is None
    assert "immutable" in headers["Cache-Control"]
    headers, packed = get(farm, f"/static/{script}", **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert len(packed) < 0.5 * len(plain)


def test_killed_process_costs_its_students_nothing_but_a_moment(farm):
    """The last test here: one process is gone after it."""
    plan = Plan(("two-coins", "gaussian-mixture", "k-means"), every=1.0, kill=True)
    tally = asyncio.run(run(farm, 12, plan, seconds=10))
    assert tally.errors == {}
    assert len(farm.alive) == 1
    assert tally.returned > 0
    assert len(tally.waits) > 12
