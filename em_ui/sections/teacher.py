"""For the teacher: a sheet with answers, a link that hides the truth, and data for each student."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import streamlit as st

from em_core.numerics import match_components
from em_ui.controls.page import MAX_STUDENT, Controls, Situation
from em_ui.pictures.frames import flat, schema
from em_ui.run.compute import Run
from em_ui.sections.sections import Objective, count, csv_download, stopping_rule


def sheet(
    run: Run, objective: Objective, situation: Situation | None, *, observation: str
) -> list[tuple[str, str]]:
    """Return questions on the current run with their answers, computed from it."""
    names, steps = run.problem.names, run.steps
    first = run.problem.model.e_step(run.problem.sample.data[:1], steps[0].params)
    shares = ", ".join(
        f"{name}: {share:.4f}"
        for name, share in zip(names, first.responsibilities[0], strict=False)
    )
    pairs = []
    if situation:
        pairs.append((situation.question, situation.answer))
    pairs.append(
        (
            f"At the initial guess, how is {observation} 1 ({_written(run)}) shared between the "
            "components?",
            shares,
        )
    )
    if len(steps) > 1:
        pairs.append(("What are the parameters after one iteration?", _listed(run, 1)))
    pairs += [
        (
            "After how many iterations did the run stop, and why?",
            f"{run.trace.message} The rule: {stopping_rule(run, observation)}",
        ),
        (f"Where does EM end, from {_listed(run, 0)}?", _listed(run, run.frames.last)),
        (
            f"What is the {objective.title.lower()} at the guess and at the end?",
            f"{objective.text(steps[0].objective)} and {objective.text(steps[-1].objective)}",
        ),
        (
            "What would one estimate with the labels known?",
            _words(flat(run.labelled, names)),
        ),
        (
            "What is the truth?",
            _words(flat(run.problem.sample.truth, names))
            if run.problem.truth_known
            else "Nobody knows the truth behind these data.",
        ),
    ]
    return pairs


def _written(run: Run) -> str:
    return ", ".join(f"{x:.4g}" for x in np.atleast_1d(run.problem.sample.data[0]))


def _listed(run: Run, iteration: int) -> str:
    return _words(flat(run.steps[iteration].params, run.problem.names))


def _words(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items())


def teacher(
    c: Controls,
    run: Run,
    objective: Objective,
    *,
    observation: str,
    for_student: Callable[[int], Run],
) -> None:
    """Draw the sheet, the link for students, and the answer of each student.

    Parameters
    ----------
    c, run, objective
        What the page shows.
    observation : str
        One observation, in words.
    for_student : callable
        Maps a student number to that student's run.
    """
    st.markdown("**A sheet for this situation**, with answers computed from these settings.")
    pairs = sheet(run, objective, c.current, observation=observation)
    for i, (question, answer) in enumerate(pairs, 1):
        st.markdown(f"{i}. {question}\n\n    *{answer}*")
    text = "\n\n".join(f"{i}. {q}\n\n   Answer: {a}" for i, (q, a) in enumerate(pairs, 1))
    questions = "\n\n".join(f"{i}. {q}" for i, (q, _) in enumerate(pairs, 1))
    with st.container(horizontal=True):
        for label, body, name in (
            ("Download with answers", text, "answers"),
            ("Download questions only", questions, "questions"),
        ):
            st.download_button(
                label,
                body,
                f"{c.prefix}-{name}.md",
                "text/markdown",
                key=c.key(name),
                icon=":material/download:",
                on_click="ignore",
            )
    st.markdown(
        "**A link for students** hides the true parameters and these answers, and asks for a "
        "guess. (It is out of sight, not encrypted.)"
    )
    c.student_link()
    st.markdown(
        "**A data set for each student.** Students type their number into *Student number* in "
        "the sidebar and get other data from the same truth. Here are their answers."
    )
    left, right = st.columns(2)
    with left:
        size = c.show("class_size")
    with right:
        first = c.show("class_first")
    rows = []
    shown = run.affordable_students(size)
    if shown < size:
        st.caption(f"These runs take long. Only the first {count(shown, 'student')} are computed.")
    for number in range(first, min(first + shown, MAX_STUDENT + 1)):
        theirs = for_student(number)
        rows.append(
            {
                "student": number,
                **flat(theirs.params, theirs.problem.names),
                theirs.problem.objective: theirs.problem.sign * theirs.steps[-1].objective,
                "iterations": theirs.trace.n_iter,
            }
        )
    table = pd.DataFrame(rows)
    st.dataframe(
        table,
        hide_index=True,
        key=c.key("class"),
        alt=f"EM’s answer for each of {count(len(rows), 'student')}",
    )
    csv_download("Download (CSV)", table, f"{c.prefix}-class.csv", c.key("class_csv"))


def quiz(c: Controls, run: Run, title: str, *, scale: float) -> None:
    """Ask a student for the hidden parameters, and score the guess.

    Parameters
    ----------
    c, run
        The page's controls, and the run whose truth is hidden.
    title : str
        What is asked for, of each component: the parameter that tells the components apart.
    scale : float
        A miss by so much halves the score.
    """
    if not c.sealed:
        return
    st.header("Guess the parameters")
    st.markdown(
        "The truth behind these data is hidden. Use what you see, and what EM finds, to guess it. "
        "The components may be named in any order."
    )
    truth, names = run.problem.sample.truth, run.problem.names
    asked = [column for column in schema(truth, names) if column.field == run.problem.by]
    with st.form(c.key("quiz_form")):
        columns = st.columns(truth.n_components)
        per_component = len(asked) // truth.n_components
        guesses = []
        for i, column in enumerate(asked):
            label = " ".join(filter(None, (title, column.component, column.axis)))
            place = columns[i % truth.n_components if per_component == 1 else i // per_component]
            guesses.append(place.number_input(label, value=0.0, key=c.key(f"guess_{column.name}")))
        sent = st.form_submit_button("Score my guess")
    if sent:
        field = run.problem.by
        shape = getattr(truth, field).shape
        mine = np.reshape(guesses, shape)
        order = match_components(mine, getattr(truth, field))
        miss = float(np.abs(mine[order] - getattr(truth, field)).mean())
        st.success(
            f"**{100 * 0.5 ** (miss / scale):.0f} of 100.** On average you missed by {miss:.3g}. "
            f"EM’s own answer misses by {run.gap:.3g} at most.",
            icon=":material/sports_score:",
        )
