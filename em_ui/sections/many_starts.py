"""Many starts side by side: which optimum each reaches, and how often it is the best."""

from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st

from em_ui.controls.page import Controls
from em_ui.pictures import charts
from em_ui.run.many_starts import ManyStarts, many_starts
from em_ui.run.problem import count
from em_ui.run.run import Run
from em_ui.sections.convergence import plain
from em_ui.sections.tables import csv_download, numbers

_DIGIT = 1e-5  # the last digit of an objective in the text
_SHOWN = 0.5e-4  # what no digit of the table shows


def draw(c: Controls, run: Run) -> None:
    """Draw the table and the curves of many starts; a click on a row opens it in the player."""
    objective = run.problem.objective
    starts = many_starts(run, c.show("starts"))
    table = starts.table
    for text in _said(run, starts):
        st.markdown(text)
    if starts.moving:
        goes = "counts" if starts.moving == 1 else "count"
        approach = "it approaches" if starts.moving == 1 else "they approach"
        st.caption(
            f"{_some(starts.moving, len(table))} still moving when this was given up, and {goes} "
            f"with the solution whose {objective.title.lower()} {approach}, if that can be told."
        )
    guessed = [
        f"solution {number} by up to {plain(float(f'{error:.1g}'))}"
        for number, error in enumerate(starts.errors, 1)
        if error > _SHOWN
    ]
    if guessed:
        st.caption(
            f"Where no run has arrived yet, the {objective.title.lower()} of the solution is "
            f"extrapolated, and may be wrong: {', '.join(guessed)}."
        )

    def open_start() -> None:
        rows = st.session_state[c.key("start_rows")].selection.rows
        if rows:
            drawn = run.problem.drawn
            guess = {} if drawn is None else {"guess": drawn}
            c.set(**guess, start=int(table["start"].iloc[rows[0]]))

    best = table["solution"].eq(1).fillna(False)
    several = len(starts.counts) > 1 and not starts.ahead
    shown = table.assign(best=best.map({True: "best", False: ""})) if several else table
    first = ["start", "solution", *(["best"] if several else [])]
    st.dataframe(
        shown,
        hide_index=True,
        key=c.key("start_rows"),
        height=300,
        placeholder="–",
        column_order=[*first, *(name for name in table.columns if name not in first)],
        column_config=_labels(run, starts),
        on_select=open_start,
        selection_mode="single-row",
        alt="Each start: its solution and the objective there, where it began and ended, its own "
        "objective, iterations and status",
    )
    st.caption(
        "Click the box before a row to open that start in the player. With the keyboard, arrow "
        "keys go to a row, and Shift with Space opens it."
    )
    csv_download("Download the starts (CSV)", table, f"{c.prefix}-starts.csv", c.key("starts_csv"))
    kinds = tuple(dict.fromkeys(sorted(starts.curves["solution"].to_pylist())))
    end = f"; {best.sum()} end at the best solution" if several else ""
    for gap in (False, True):
        missing = "what is missing to" if objective.sign > 0 else "what is left above"
        title = f"{objective.title}: {missing} the best" if gap else objective.title
        charts.show(
            charts.curves(title, kinds, gap=gap),
            {"curves": starts.curves},
            key=c.key("gaps" if gap else "curves"),
            title=title,
            alt=f"{title}, of {count(len(table), 'start')} against iteration"
            + (", on a log scale" if gap else end),
        )


def _said(run: Run, starts: ManyStarts) -> list[str]:
    """Return what the starts have in common, in sentences that hold for these."""
    objective, n, counts = run.problem.objective, len(starts.table), starts.counts
    title, all_of_them = objective.title.lower(), f"All {n:,} starts" if n > 1 else "The one start"
    known = sum(counts.values())
    texts = []
    if known < n:
        ended = starts.table["status"].eq("non finite").sum()
        if ended:
            texts.append(f"{_some(ended, n)} without a finite {title} at the end.")
        if known + ended < n:
            texts.append(
                f"Where {_some(n - known - ended, n, 'is', 'are')} going cannot be told yet."
            )
        if not known:
            return texts
        all_of_them = f"All other {known:,} starts" if known > 1 else "The other start"
    limits = starts.table.dropna(subset=["solution"]).groupby("solution")[f"limit {title}"].first()
    one = known == 1
    where = f"{title} {_known_to(starts.errors[0])(limits[1])}"
    if len(counts) == 1 and starts.differing:
        texts.append(
            f"{all_of_them} are equally good: {where}, although their parameters differ. The data "
            "cannot tell these apart."
        )
    elif len(counts) == 1:
        texts.append(
            f"{all_of_them} {'leads to one' if one else 'lead to the same'} solution: {where}."
        )
    else:
        best = "the best" if known == n else "the best that is known"
        texts.append(
            f"{count(known, 'start')} lead to {count(len(counts), 'solution')}. **{counts[1]}** of "
            f"them {'leads' if counts[1] == 1 else 'lead'} to "
            + ("" if starts.ahead else f"{best}, ")
            + f"solution 1: {where}. "
            f"Solutions that differ only in the order of the {run.problem.words.component}s are "
            "the same. A different answer from another start is not a fault: "
            + (
                "each run climbs the hill on which it starts."
                if objective.sign > 0
                else "each run descends into the valley in which it starts."
            )
        )
        if starts.differing:
            which = ", ".join(map(str, starts.differing))
            texts.append(
                f"Runs of solution {which} are equally good, although their parameters differ: the "
                "data cannot tell these apart."
            )
    if starts.ahead:
        texts.append(
            f"{_some(len(starts.ahead), n, 'is', 'are')} better already, and going on: the best is "
            "not known."
        )
    return texts


def _known_to(error: float) -> Callable[[float], str]:
    """Return how an objective is written that is known but for an error."""
    if error < _DIGIT / 2:
        return "{:z,.5f}".format
    decimals = max(0, int(np.floor(-np.log10(2 * error))))
    return f"about {{:z,.{decimals}f}}".format


def _some(some: int, n: int, one: str = "was", more: str = "were") -> str:
    """Return how many of the starts, with a verb."""
    return f"{some:,} of {count(n, 'start')} {one if some == 1 else more}"


def _labels(run: Run, starts: ManyStarts) -> dict[str, Any]:
    """Return what the table's columns are called on the page, and the formats of their numbers."""
    words, title = run.problem.words, run.problem.objective.title
    labels: dict[str, Any] = {
        name: name.capitalize() for name in ("start", "solution", "best", "iterations", "status")
    }
    labels[f"limit {title.lower()}"] = numbers(f"Its {title.lower()}", ".4f")
    labels[title.lower()] = numbers(f"{title} at the stop", ".4f")
    for column in starts.columns:
        for when in ("start", "end"):
            shown = f"{words.symbol(column)}, {when}"
            labels[f"{when} {column.name}"] = numbers(shown, words.quantities[column.field].format)
    return labels
