"""Long work says how far it is, and stops once its visitor does something else."""

import pytest
from streamlit.testing.v1 import AppTest

from em_ui.run import progress


def long_script():
    """Compute in five pieces; in the third, the visitor does something else."""
    import streamlit as st
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    from em_ui.run import progress

    st.session_state["begun"] = []
    with progress.told("Running"):
        for i in range(5):
            progress.tell(f"Piece {i + 1} of 5", i / 5)
            st.session_state["begun"].append(i)
            if i == st.session_state["stop after"]:
                get_script_run_ctx().script_requests.request_stop()
    st.write("Done")


@pytest.fixture
def at_once(monkeypatch):
    """Show every piece, however short."""
    monkeypatch.setattr(progress, "_SHOWN_AFTER", -1)
    monkeypatch.setattr(progress, "_BETWEEN", -1)


def visit(stop_after):
    at = AppTest.from_function(long_script, default_timeout=60)
    at.session_state["stop after"] = stop_after
    return at.run()


def test_ends_between_two_pieces():
    at = visit(stop_after=2)
    assert at.session_state["begun"] == [0, 1, 2]
    assert not at.markdown
    assert progress._here.notice is None


def test_goes_to_the_end_where_nothing_is_done():
    at = visit(stop_after=None)
    assert at.session_state["begun"] == [0, 1, 2, 3, 4]
    assert at.markdown[0].value == "Done"


def test_says_how_far_it_is_and_takes_that_away(at_once):
    assert not visit(stop_after=None).get("progress")
    (bar,) = visit(stop_after=2).get("progress")
    assert bar.proto.text == "Piece 3 of 5. To stop it, change a setting."
    assert bar.proto.value == 40


def waiting_script():
    """Wait for somebody, who has done it after the fifth look."""
    import streamlit as st

    from em_ui.run import progress

    class Done:
        looks = 0

        def wait(self, _: float) -> bool:
            self.looks += 1
            if self.looks == 5:
                st.session_state["said"] = progress._here.notice.place is not None
            return self.looks == 5

    with progress.told(""):
        progress.wait_for(Done())
    st.write("Done")


def test_who_waits_is_told(at_once):
    at = AppTest.from_function(waiting_script, default_timeout=60).run()
    assert at.session_state["said"]
    assert not at.get("progress")
    assert at.markdown[0].value == "Done"


def test_says_nothing_of_what_is_quick():
    assert not visit(stop_after=2).get("progress")
