"""A situation's question and answer, what went wrong in a run, and what is often believed."""

from collections.abc import Iterable, Sequence

import streamlit as st

from em_ui.controls.page import Controls


def question(c: Controls, *, before: str = "Before you press play") -> None:
    """Show the situation's question, to be answered before the visitor does something."""
    if c.current:
        st.info(c.current.question, title=before, icon=":material/help:")


def advice(findings: Iterable[str]) -> None:
    """Show the findings: what went wrong in this run, and what to try."""
    for text in findings:
        st.warning(text, icon=":material/lightbulb:")


def answer(
    c: Controls,
    findings: Iterable[str] = (),
    *,
    after: str = "After you have played",
) -> None:
    """Keep the answer to the situation's question, and what went wrong, behind a click."""
    if c.current:
        with st.expander(f"{after}: what happened, and why"):
            st.markdown(c.current.answer)
            advice(findings)


def misconceptions(beliefs: Sequence[tuple[str, str]]) -> None:
    """Show beliefs that students bring along, each with its answer."""
    st.header("Often believed")
    st.markdown("\n\n".join(f"**“{belief}”** {reply}" for belief, reply in beliefs))
