"""What a number or choice box reads of the session's state."""

import pytest
from streamlit.runtime.state import SessionState
from streamlit.testing.v1 import AppTest

from em_ui.controls import lookup


def _page() -> None:
    import streamlit as st

    from em_ui.controls import lookup

    lookup.one_by_one()
    st.session_state.setdefault("emptied", None)
    st.number_input("Emptied", 0, 9, 4, key="emptied")
    st.number_input("Set", 0, 9, 4, key="set")
    st.selectbox("No choice", ["a", "b"], key="no choice")
    st.selectbox("Chosen", ["a", "b"], key="chosen")


@pytest.fixture
def at() -> AppTest:
    """A page with boxes, whose first number and first choice were emptied."""
    page = AppTest.from_function(_page)
    page.session_state["no choice"] = None
    return page.run()


def test_boxes_show_what_the_session_holds(at: AppTest) -> None:
    """A value of None, which is what they look for, empties them."""
    assert [box.value for box in at.number_input] == [None, 4]
    assert [box.value for box in at.selectbox] == [None, "a"]
    at.number_input[1].set_value(7).run()
    at.selectbox[1].set_value("b").run()
    assert [box.value for box in at.number_input] == [None, 7]
    assert [box.value for box in at.selectbox] == [None, "b"]


def test_boxes_do_not_read_the_whole_state(at: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would cost each of them as much as all that the session holds."""

    def whole(_: SessionState) -> None:
        raise AssertionError("a box read the whole state")

    monkeypatch.setattr(SessionState, "filtered_state", property(whole))
    at.number_input[1].set_value(6).run()
    assert not at.exception
    assert at.number_input[1].value == 6


def test_a_version_that_asks_in_another_way_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what version 1.67 asks is replaced."""
    for module in (lookup.number_input, lookup.selectbox):
        monkeypatch.delattr(module, "get_session_state")
    lookup.one_by_one()
    assert not hasattr(lookup.number_input, "get_session_state")
