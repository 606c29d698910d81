"""Text from outside, made inert."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from em_ui.inert import escaped, plain, quoted


class TestQuoted:
    @given(text=st.text())
    def test_is_short_and_inert(self, text):
        shown = quoted(text)
        if shown == "empty":
            return
        assert shown[0] == shown[-1] == "`"
        assert "`" not in shown[1:-1]
        assert shown.isprintable()
        assert len(shown) <= 33
        assert shown[1:-1].strip()

    def test_keeps_what_is_harmless(self):
        assert quoted("Zwölf $x$ <b>") == "`Zwölf $x$ <b>`"

    def test_cuts_what_is_long(self):
        assert quoted("x" * 31) == f"`{'x' * 30}…`"
        assert quoted("x" * 30) == f"`{'x' * 30}`"

    @pytest.mark.parametrize("text", ["", "  ", "`", "\n\t", "\u202e"])
    def test_calls_what_cannot_be_seen_empty(self, text):
        assert quoted(text) == "empty"


@given(st.text(max_size=100))
@example(":smile: $x$ <b> [a](b) _a_ ~~x~~ \\")
def test_escaped_text_has_no_punctuation_that_means_something(text):
    shown = escaped(text)
    assert not re.search(r"[!-/:-@\[-`{-~]", re.sub(r"\\.", "", shown))
    assert "\n" not in shown
    assert re.sub(r"\\(.)", r"\1", shown).replace("\u2060", "").removesuffix("…") in " ".join(
        "".join(c if c.isprintable() else " " for c in text).split()
    )


@pytest.mark.parametrize(
    "text", ["see http://a.example", "HTTPS://a.example", "www.a.example", "a@b.example"]
)
def test_escaped_address_is_no_link(text):
    shown = re.sub(r"\\(.)", r"\1", escaped(text))
    assert shown.replace("\u2060", "") == text
    # GitHub's Markdown, which Streamlit speaks, makes links of these and of nothing else.
    assert not re.search(r"(?i)https?://[-.\w]|www\.|@[-\w]", shown)


@pytest.mark.parametrize("names", [("www.a.example/login", "b"), ("WWW.a", "b"), ("a//b", "b")])
def test_plain_names_are_no_addresses(names):
    assert plain(names) == ("1", "b")


def test_plain_names_tell_apart_what_was_apart():
    assert plain(["width", "*", "length"]) == ("width", "2", "length")
    assert plain(["*", "1"]) == ("1", "2")
    assert plain(["!", "a", "1"]) == ("1", "2", "3")
