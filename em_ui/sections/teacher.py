"""For the teacher: a sheet with answers, a link that hides the truth, and data for each student."""

import numpy as np
import pandas as pd
import streamlit as st

from em_core import Params, match_components
from em_ui.controls.page import Controls
from em_ui.controls.specs import MAX_STUDENT
from em_ui.pictures import frames
from em_ui.run.problem import count
from em_ui.run.run import Run
from em_ui.sections.convergence import stopping_rule
from em_ui.sections.tables import csv_download


def sheet(c: Controls, run: Run) -> list[tuple[str, str]]:
    """Return questions on the current run with their answers, computed from it."""
    problem, steps, objective = run.problem, run.steps, run.problem.objective
    pairs = []
    if c.current:
        pairs.append((c.current.question, c.current.answer))
    if problem.is_mixture:
        first = problem.responsibilities(problem.sample.data[:1], steps[0].params)[0]
        given = ", ".join(f"{x:.4g}" for x in np.atleast_1d(problem.sample.data[0]))
        shares = zip(run.names, first, strict=True)
        pairs.append(
            (
                f"At the initial guess, how is {problem.words.observation} 1 ({given}) shared "
                "between the components?",
                ", ".join(f"{name}: {share:.4f}" for name, share in shares),
            )
        )
    if len(steps) > 1:
        pairs.append(("What are the parameters after one iteration?", _listed(run, 1)))
    pairs += [
        (
            "After how many iterations did the run stop, and why?",
            f"{run.trace.message} The rule: {stopping_rule(run)}",
        ),
        (f"Where does EM end, from {_listed(run, 0)}?", _listed(run, run.frames.last)),
        (
            f"What is the {objective.title.lower()} at the guess and at the end?",
            f"{objective.text(steps[0].objective)} and {objective.text(steps[-1].objective)}",
        ),
    ]
    if run.labelled is not None:
        pairs.append(("What would one estimate with the labels known?", _words(run, run.labelled)))
    truth = problem.sample.truth if problem.truth_known else None
    unknown = "Nobody knows the truth behind these data."
    pairs.append(("What is the truth?", unknown if truth is None else _words(run, truth)))
    return pairs


def _listed(run: Run, iteration: int) -> str:
    return _words(run, run.steps[iteration].params)


def _words(run: Run, params: Params) -> str:
    schema = frames.schema(params, run.problem.words.names)
    return ", ".join(f"{column.name} {column.of(params):.4f}" for column in schema)


def draw(c: Controls, run: Run) -> None:
    """Draw the sheet, the link for students, and the answer of each student."""
    st.markdown("**A sheet for this situation**, with answers computed from these settings.")
    pairs = sheet(c, run)
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
    if c.truth:
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
        theirs = run.other(student=number)
        objective = theirs.problem.objective
        rows.append(
            {
                "student": number,
                **{
                    column.name: column.of(theirs.params)
                    for column in frames.schema(theirs.params, theirs.problem.words.names)
                },
                objective.title.lower(): objective.sign * theirs.steps[-1].objective,
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


def quiz(c: Controls, run: Run) -> None:
    """Ask a student for the hidden parameters, and score the guess.

    Asked for is, of each component, the parameter that tells the components apart. A miss by the
    lesson's ``miss``, or by a tenth of the data's standard deviation, halves the score.
    """
    truth = run.problem.sample.truth
    if not c.sealed or truth is None:
        return
    st.header("Guess the parameters")
    st.markdown(
        "The truth behind these data is hidden. Use what you see, and what EM finds, to guess it."
        + " The components may be named in any order." * (truth.n_components > 1)
    )
    words = run.problem.words
    scale = words.miss or 0.1 * float(run.problem.sample.data.std())
    field, title = words.by, words.quantities[words.by].title
    asked = [column for column in frames.schema(truth, words.names) if column.field == field]
    with st.form(c.key("quiz_form")):
        places = st.columns(max(truth.n_components, 1))
        guesses = [
            places[column.place[0] if column.component else 0].number_input(
                f"{title} {column.suffix}".rstrip(), value=0.0, key=c.key(f"guess_{column.name}")
            )
            for column in asked
        ]
        sent = st.form_submit_button("Score my guess")
    if sent:
        right = getattr(truth, field)
        mine = np.reshape(guesses, right.shape)
        if truth.n_components:
            mine = mine[match_components(mine, right)]
        miss = float(np.abs(mine - right).mean())
        st.success(
            f"**{100 * 0.5 ** (miss / scale):.0f} of 100.** On average you missed by {miss:.3g}. "
            f"EM’s own answer misses by {run.gap:.3g} at most.",
            icon=":material/sports_score:",
        )
