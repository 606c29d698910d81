"""A situation's question and answer, what went wrong in a run, and what is often believed."""

from collections.abc import Iterable, Sequence

import streamlit as st

from em_ui.controls.page import Controls, Situation, Told
from em_ui.run.run import Run


def told(c: Controls, situation: Situation, words: Told, run: Run | None) -> str:
    """Return a situation's words; what is computed, from the run of its own settings.

    Raises
    ------
    ValueError
        If the words are to be computed, and there is no run.
    """
    if isinstance(words, str):
        return words
    if run is None:
        raise ValueError("these words are computed from a run; hand over the page's run")
    return words(run.other(**c.own(situation)))


def question(c: Controls, run: Run | None = None, *, before: str = "Before you press play") -> None:
    """Show the situation's question, to be answered before the visitor does something.

    Where the truth is hidden, the question does not state it. Of a situation that has been changed
    it says so.
    """
    if c.current is None:
        return
    words: Told = c.current.question
    if c.sealed and c.current.sealed_question is not None:
        words = c.current.sealed_question
    title = f"From the situation “{c.title}”, which you have changed" if c.changed else before
    if words:
        st.info(told(c, c.current, words, run), title=title, icon=":material/help:")


def advice(findings: Iterable[str]) -> None:
    """Show the findings: what went wrong in this run, and what to try."""
    for text in findings:
        st.warning(text, icon=":material/lightbulb:")


def answer(
    c: Controls,
    findings: Iterable[str] = (),
    run: Run | None = None,
    *,
    after: str = "After you have played",
) -> None:
    """Keep the answer to the situation's question, and what went wrong, behind a click.

    Where the truth is hidden there is none. It is computed, and leaves the server, after the click.
    """
    if c.current is None or c.sealed:
        return
    label = f"{after}: what happened, and why"
    if c.changed:
        label = f"The answer for “{c.title}”, as it was"
    # Another box for each choice, so that the next answer is not open before its question is read.
    key = c.key(f"answer {c.chosen} {c.title}")
    box = st.expander(label, key=key, on_change="rerun")
    if box.open:
        with box:
            st.markdown(told(c, c.current, c.current.answer, run))
            advice(findings)


def misconceptions(beliefs: Sequence[tuple[str, str]]) -> None:
    """Show beliefs that students bring along, each with its answer."""
    replies = [f"**“{belief}”** {reply}" for belief, reply in beliefs]
    st.markdown("\n\n".join(["## Often believed", *replies]))
