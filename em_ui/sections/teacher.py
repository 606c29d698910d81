"""For the teacher: a sheet to print, a link that hides the truth, and data for each student."""

import html
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from em_core import Params, match_components
from em_ui.controls.page import Controls
from em_ui.controls.specs import MAX_STUDENT, Number
from em_ui.pictures import frames
from em_ui.run import progress
from em_ui.run.cache import cached, cached_quietly
from em_ui.run.problem import Quantity, count
from em_ui.run.run import Run
from em_ui.sections.convergence import stopping_rule
from em_ui.sections.situation import told
from em_ui.sections.tables import csv_download, numbers

_TASK = (
    "Open the page, answer what you can before you press play, and then play to the end. What the "
    "page shows at an iteration can be read off beside the player."
)
_SHARE = Quantity("Share", "r", ".3f")
_OBJECTIVE_DIGITS = 2
_CSS = """
@page { size: A4; margin: 14mm; }
body { font: 10.5pt/1.35 sans-serif; max-width: 180mm; margin: 0 auto; color: #000; }
h1 { font-size: 15pt; margin: 0 0 2mm; }
p { margin: 0 0 2mm; }
ol { padding-left: 6mm; margin: 0; }
li { margin-bottom: 3mm; break-inside: avoid; }
.answer { font-style: italic; margin: 1mm 0 0; }
.space { height: 10mm; border-bottom: 1px dotted #666; }
"""


class Question(NamedTuple):
    """A question of the sheet, its answer, and the minutes that it takes."""

    text: str
    answer: str
    minutes: int


def sheet(c: Controls, run: Run) -> list[Question]:
    """Return questions on the current run with their answers, computed from it."""
    problem, steps, objective = run.problem, run.steps, run.problem.objective
    found, situation = [], None if c.changed else c.current
    if situation:
        sealed = situation.sealed_question
        words = situation.question if sealed is None else sealed
        if words:
            question = told(c, situation, words, run)
            found.append(Question(question, told(c, situation, situation.answer, run), 5))
    if problem.is_mixture:
        first = problem.responsibilities(problem.sample.data[:1], steps[0].params)[0]
        given = ", ".join(f"{x:.4g}" for x in np.atleast_1d(problem.sample.data[0]))
        shares = [(name, x, _SHARE) for name, x in zip(run.names, first, strict=True)]
        found.append(
            Question(
                f"At the initial guess, how is {problem.words.observation} 1 ({given}) shared "
                f"between the {problem.words.component}s?",
                _values(shares)
                if np.isfinite(first).all()
                else "Not at all: it is impossible under every one of them.",
                5,
            )
        )
    if len(steps) > 1:
        text = "What are the parameters after one iteration?"
        found.append(Question(text, _parameters(run, steps[1].params), 10))
    ends = [
        _rounded(objective.sign * steps[i].objective, _OBJECTIVE_DIGITS)
        if np.isfinite(steps[i].objective)
        else "none, since the data are impossible there"
        for i in (0, -1)
    ]
    found += [
        Question(
            "After how many iterations did the run stop, and why?",
            f"{run.message} The rule: {stopping_rule(run)}",
            3,
        ),
        Question(
            f"Where does {problem.words.algorithm} end, from "
            f"{_parameters(run, steps[0].params, marked=False)}?",
            _parameters(run, run.params),
            2,
        ),
        Question(
            f"What is the {objective.title.lower()} at the guess and at the end?",
            " and ".join(ends) + _within(_OBJECTIVE_DIGITS),
            2,
        ),
    ]
    if run.labelled is not None:
        text = "What would one estimate with the labels known?"
        found.append(Question(text, _parameters(run, run.labelled), 3))
    truth = problem.sample.truth if problem.truth_known else None
    answer = problem.unknown if truth is None else _parameters(run, truth, marked=False)
    return [*found, Question("What is the truth?", answer, 3)]


def situation_in_words(c: Controls, *, answers: bool) -> str:
    """Return what the page is set to where that is not the default, in the controls' words.

    What a link for students hides is left out of the sheet without answers.
    """
    hidden = () if answers else c.hides
    values = {n: v for n, v in c.settings().items() if n not in hidden}
    changed = [
        f"{c.specs[name].label}: {c.specs[name].words(value)}"
        for name, value in values.items()
        if value != c.specs[name].default
    ]
    return "; ".join(changed) or "all as the page comes"


def _parameters(run: Run, params: Params, *, marked: bool = True) -> str:
    """Return the estimated parameters in the page's symbols, rounded to mark them by."""
    words, quantities = run.problem.words, run.problem.quantities
    values = [
        (words.symbol(column), column.of(params), quantities[column.field])
        for column in run.problem.columns(params)
    ]
    return _values(values, marked=marked)


def _values(values: Sequence[tuple[str, float, Quantity]], *, marked: bool = True) -> str:
    """Return named numbers, those of one format with the tolerance to mark them by."""
    parts, groups = [], list(dict.fromkeys(_digits(q) for _, _, q in values))
    for digits in groups:
        text = ", ".join(
            f"{name} {_rounded(x, digits)}" for name, x, q in values if _digits(q) == digits
        )
        parts.append(text + (_within(digits) if marked else ""))
    return "; ".join(parts)


def _digits(quantity: Quantity) -> int:
    """Return how many decimals the page shows."""
    return len(format(0.0, quantity.format).partition(".")[2])


def _rounded(value: float, digits: int) -> str:
    return f"{value + 0.0:,.{digits}f}" if np.isfinite(value) else "not defined"


def _within(digits: int) -> str:
    return f" (right within ±{5 * 10.0**-digits:.{digits}f})"


def markdown_sheet(c: Controls, run: Run, *, answers: bool) -> str:
    """Return the sheet as Markdown."""
    questions = sheet(c, run)
    lines = [f"# {run.problem.words.title}", *_head(c, questions, answers=answers)]
    for i, (text, answer, minutes) in enumerate(questions, 1):
        lines.append(f"{i}. {text} ({minutes} min)" + f"\n\n   Answer: {answer}" * answers)
    return "\n\n".join(lines) + "\n"


def html_sheet(c: Controls, run: Run, *, answers: bool) -> str:
    """Return the sheet as a page of its own, which prints on one side of A4."""
    questions = sheet(c, run)
    title = html.escape(run.problem.words.title)
    head = "".join(f"<p>{_inline(line)}</p>" for line in _head(c, questions, answers=answers))
    items = "".join(
        f"<li>{_inline(text)} ({minutes} min)"
        + (f'<p class="answer">{_inline(answer)}</p>' if answers else '<div class="space"></div>')
        + "</li>"
        for text, answer, minutes in questions
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_CSS}</style><h1>{title}</h1>{head}<ol>{items}</ol></html>"
    )


def _head(c: Controls, questions: Sequence[Question], *, answers: bool) -> list[str]:
    total = sum(question.minutes for question in questions)
    name = f"{c.title}: " if c.title and answers and not c.changed else ""
    return [
        f"**Task** ({total} minutes). {_TASK}",
        f"**Settings.** {name}{situation_in_words(c, answers=answers)}.",
    ]


def _inline(text: str) -> str:
    """Return Markdown's bold and italics as HTML."""
    bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", html.escape(text))
    return re.sub(r"\*(.+?)\*", r"<em>\1</em>", bold)


def gives_away(c: Controls, run: Run) -> str:
    """Return in words where a visitor finds what a link for students hides, if anywhere.

    Whoever deletes the hidden part of the link gets the defaults in its place, and whoever knows
    the situation can choose it.
    """
    hidden, settings = c.hides, c.settings()
    places = {"deletes the hidden part of the link": {n: c.specs[n].default for n in hidden}}
    if c.current and c.title:
        own = c.own(c.current)
        places[f"chooses the situation “{c.title}”"] = {n: own[n] for n in hidden}
    true = _asked(run)
    for deed, values in places.items():
        if all(values[name] == settings[name] for name in hidden):
            return deed
        try:
            other = run.other_problem(**values).sample.truth
        except ValueError:
            continue  # such settings show nothing
        theirs = None if other is None else getattr(other, run.problem.words.by)
        if theirs is not None and np.array_equal(theirs, true):
            return deed
    return ""


def _asked(run: Run) -> np.ndarray:
    return np.asarray(getattr(run.problem.sample.truth, run.problem.words.by))


@cached
def answers_of_class(run: Run, first: int, n: int) -> pd.DataFrame:
    """Return the run of each student's data in a row, from number ``first`` on."""
    numbers, rows = range(first, min(first + n, MAX_STUDENT + 1)), []
    for done, number in enumerate(numbers):
        told = f"Student {done + 1} of {len(numbers)}"
        with progress.within(told, done / len(numbers), (done + 1) / len(numbers)):
            progress.tell(told, 0)
            rows.append(_answer(run, number))
    return pd.DataFrame(rows)


@cached_quietly
def _answer(run: Run, number: int) -> dict[str, float]:
    """Return one student's row, which is there already where a class becomes larger."""
    problem = run.other_problem(student=number)
    trace = problem.fit(problem.start)
    last, objective = frames.drawable(trace).final, problem.objective
    return {
        "student": number,
        **{column.name: column.of(last.params) for column in problem.columns(last.params)},
        objective.title.lower(): objective.sign * last.objective + 0.0,
        "iterations": trace.n_iter,
    }


def _class_labels(run: Run) -> dict[str, Any]:
    """Return what the columns of the class are called on the page, and their formats."""
    problem = run.problem
    return {
        "student": numbers("Student", "d"),
        **{
            column.name: numbers(
                problem.words.symbol(column), problem.quantities[column.field].format
            )
            for column in problem.columns(run.params)
        },
        problem.objective.title.lower(): numbers(problem.objective.title, ".4f"),
        "iterations": numbers("Iterations", "d"),
    }


def draw(c: Controls, run: Run) -> None:
    """Draw the sheet, the link for students, and the answer of each student."""
    st.markdown("**A sheet for this situation**, with answers computed from these settings.")
    for i, (question, answer, minutes) in enumerate(sheet(c, run), 1):
        st.markdown(f"{i}. {question} ({minutes} min)\n\n    *{answer}*")
    with st.container(horizontal=True):
        for kind, answers, label in (
            ("answers", True, "with answers"),
            ("questions", False, "questions only"),
        ):
            for make, ending, mime, what in (
                (html_sheet, "html", "text/html", "Sheet to print"),
                (markdown_sheet, "md", "text/markdown", "Markdown"),
            ):
                st.download_button(
                    f"{what}, {label}",
                    make(c, run, answers=answers),
                    f"{c.prefix}-{kind}.{ending}",
                    mime,
                    key=c.key(f"{kind}_{ending}"),
                    icon=":material/download:",
                    on_click="ignore",
                )
    if not run.problem.truth_known:
        st.markdown(
            "With such data there is nothing to hide: share the link in the sidebar. Data for each "
            "student can be drawn where they are simulated."
        )
        return
    if c.truth:
        st.markdown(
            "**A link for students** hides the true parameters, what the data are drawn by, and "
            "these answers, and asks for a guess. Only this server can read what it hides."
        )
        c.student_link()
        deed = gives_away(c, run)
        if deed:
            st.info(
                f"Whoever {deed} sees the same truth, since it is set there too. Change the data "
                "seed or the truth before you share this link.",
                icon=":material/lock_open:",
            )
    st.markdown(
        "**A data set for each student.** Students type their number into *Student number* in "
        "the sidebar and get other data from the same truth. Here are their answers."
    )
    left, right = st.columns(2)
    with left:
        size = c.show("class_size")
    with right:
        first = c.show("class_first")
    table = answers_of_class(run, first, size)
    st.dataframe(
        table,
        hide_index=True,
        key=c.key("class"),
        column_config=_class_labels(run),
        alt=f"{run.problem.words.algorithm}’s answer for each of {count(len(table), 'student')}",
    )
    csv_download("Download (CSV)", table, f"{c.prefix}-class.csv", c.key("class_csv"))


def _misses(estimate: np.ndarray, truth: np.ndarray, *, components: bool) -> np.ndarray:
    """Return the distance of each component, in whatever order, from its truth."""
    if components:
        estimate = estimate[match_components(estimate, truth)]
    size = len(truth) if components else 1
    return np.asarray(np.linalg.norm((estimate - truth).reshape(size, -1), axis=1))


def _bounds(c: Controls, run: Run, axis: int | None) -> tuple[float, float]:
    """Return between what a guess may lie: as the truth's controls allow, or near the data."""
    specs = [spec for name in c.asked if isinstance(spec := c.specs[name], Number)]
    if specs:
        return min(spec.low for spec in specs), max(spec.high for spec in specs)
    data = run.problem.sample.data
    along = data if axis is None or data.ndim < 2 else data[:, axis]
    low, high = float(along.min()), float(along.max())
    return low - (high - low), high + (high - low)


def quiz(c: Controls, run: Run) -> None:
    """Ask a student for the hidden parameters, and score the guess.

    Asked for is, of each component, the parameter that tells the components apart. A mean miss by
    the lesson's ``miss``, or by a tenth of the data's standard deviation, halves the score.
    """
    truth = run.problem.sample.truth
    if not c.sealed or truth is None or not run.problem.truth_known:
        return
    st.header("Guess the parameters")
    st.markdown(
        "The truth behind these data is hidden. Use what you see, and what "
        f"{run.problem.words.algorithm} finds, to guess it."
        + " The components may be named in any order."
        * (truth.n_components > 1)
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
    if not sent:
        return
    refused = []
    for column, guess in zip(asked, guesses, strict=True):
        axis = column.place[1] if len(column.place) > 1 else None
        low, high = _bounds(c, run, axis)
        if not low <= guess <= high:
            refused.append(
                f"{title} {column.suffix}".rstrip()
                + f" cannot be {guess:g}: it lies between {low:.4g} and {high:.4g}."
            )
    if refused:
        st.error("\n\n".join(refused), icon=":material/error:")
        return
    right, k = getattr(truth, field), truth.n_components
    mine = _misses(np.reshape(guesses, right.shape), right, components=bool(k))
    em, compared = getattr(run.params, field), ""
    if em.shape == right.shape and np.isfinite(em).all():
        theirs = _misses(em, right, components=bool(k))
        compared = (
            f" {words.algorithm} missed by {theirs.mean():.3g}, and at most by {theirs.max():.3g}."
        )
    st.success(
        f"**{100 * 0.5 ** (mine.mean() / scale):.0f} of 100.** On average you missed by "
        f"{mine.mean():.3g}, and at most by {mine.max():.3g}.{compared}",
        icon=":material/sports_score:",
    )
