"""The script that has charts compiled is sent in the place of Streamlit's, and nothing else is."""

import pytest
from conftest import run_apart
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from streamlit.file_util import get_static_dir

from em_ui.pictures.compiled import Compiled, scripts


def ask(path: str, method: str = "GET") -> tuple[bytes, Headers]:
    """Return what is answered: the body and the headers."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": []}
    run_apart(Compiled(PlainTextResponse("Streamlit"))(scope, None, send))
    start, *parts = sent
    return b"".join(part["body"] for part in parts), Headers(raw=start["headers"])


def test_installed_streamlit_asks_for_interpretation_in_these_words():
    ((path, script),) = scripts().items()
    with open(f"{get_static_dir()}{path}", "rb") as file:
        theirs = file.read()
    assert theirs != script
    asked = b"ast:(()=>{try{return Function(''),!1}catch{return!0}})()"
    assert script.replace(asked, b"ast:!0") == theirs


@pytest.mark.parametrize("base", ["", "/em"])
def test_the_script_is_sent_and_kept_by_browsers(base):
    ((path, script),) = scripts().items()
    body, headers = ask(base + path)
    assert body == script
    assert headers["content-type"] == "application/javascript"
    assert "immutable" in headers["cache-control"]


def test_all_else_is_handed_on():
    ((path, _),) = scripts().items()
    assert ask("/static/js/index.js")[0] == b"Streamlit"
    assert ask(path, "POST")[0] == b"Streamlit"


def test_other_words_are_left_as_they_are(tmp_path, monkeypatch):
    folder = tmp_path / "static" / "js"
    folder.mkdir(parents=True)
    script = folder / "ArrowVegaLiteChart.x.js"
    monkeypatch.setattr("em_ui.pictures.compiled.get_static_dir", lambda: str(tmp_path))
    for text, changed in (("{ast:!0}", 1), ("{ast:!1}", 0), ("{ast:!0},{ast:!0}", 0)):
        script.write_text(text)
        scripts.cache_clear()
        assert len(scripts()) == changed
    scripts.cache_clear()
