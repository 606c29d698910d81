"""What a rerun sends: a message costs the server the same, whatever is in it."""

import pytest
from conftest import run_apart

from benchmarks.client import Session, kind_of
from benchmarks.servers import OURS, serve
from pages import LESSONS

pytestmark = pytest.mark.deploy

TITLES = {lesson.url_path: lesson.title for lesson in LESSONS}
PLAYED = "k-means", "two-coins", "gaussian-mixture"


@pytest.fixture(scope="module")
def server():
    with serve(OURS) as running:
        yield running


def visit(server, *paths, reruns=2):
    """Return what came when a visitor arrived at each page, and of the last rerun there."""

    async def go():
        found = []
        async with Session(server.address) as session:
            for i, path in enumerate(paths):
                arrived = await (session.go(path) if i else session.open(path))
                assert not arrived.errors
                for _ in range(reruns):
                    seed = session.widget("Data seed")
                    rerun = await session.move(seed, seed.value)
                found.append((arrived, rerun))
        return found

    return run_apart(go())


@pytest.mark.parametrize("path", PLAYED)
def test_rerun_sends_few_messages_and_little_that_the_browser_has(server, path):
    [(_, rerun)] = visit(server, path)
    assert rerun.charts >= 3
    assert rerun.n_messages < 53
    assert rerun.n_bytes < 50_000


def test_browser_is_told_of_its_tab_once_a_page(server):
    for path, (arrived, rerun) in zip(PLAYED, visit(server, *PLAYED), strict=True):
        told = [
            m.page_config_changed for m in arrived.messages if m.HasField("page_config_changed")
        ]
        assert told[-1].title == f"{TITLES[path]} · Understanding EM"
        assert {config.layout for config in told} == {told[0].WIDE}
        assert not any(m.HasField("page_config_changed") for m in rerun.messages)


def test_first_of_all_is_the_icon(server):
    """Or the navigation would make a page's icon the tab's, which a browser fetches elsewhere."""
    [(arrived, _)] = visit(server, PLAYED[0])
    kinds = [kind_of(message) for message in arrived.messages]
    first = kinds.index("page_config_changed")
    assert arrived.messages[first].page_config_changed.favicon.startswith("data:")
    assert first < kinds.index("navigation")
