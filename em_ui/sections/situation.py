"""A situation's question and answer, what went wrong in a run, and what is often believed."""

from collections.abc import Iterable

import streamlit as st

from em_ui.controls.page import Situation


def question(situation: Situation | None, *, before: str = "Before you press play") -> None:
    """Show the situation's question, to be answered before the visitor does something."""
    if situation:
        st.info(situation.question, title=before, icon=":material/help:")


def advice(findings: Iterable[str], situation: Situation | None = None) -> None:
    """Show the findings: what went wrong in this run, and what to try.

    In a situation they would give its answer away, and :func:`answer` shows them.
    """
    if situation is None:
        for text in findings:
            st.warning(text, icon=":material/lightbulb:")


def answer(
    situation: Situation | None,
    findings: Iterable[str] = (),
    *,
    after: str = "After you have played",
) -> None:
    """Keep the answer to the situation's question, and what went wrong, behind a click."""
    if situation:
        with st.expander(f"{after}: what happened, and why"):
            st.markdown(situation.answer)
            advice(findings)


def misconceptions(*texts: tuple[str, str]) -> None:
    """Show beliefs that students bring along, each with its answer."""
    st.header("Often believed")
    st.markdown("\n\n".join(f"**“{belief}”** {reply}" for belief, reply in texts))
