"""The same problem with soft and with hard assignment, beside the estimate with labels known."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from em_core import Params
from em_ui.controls.page import Controls
from em_ui.pictures import frames
from em_ui.run import budget
from em_ui.run.cache import cached
from em_ui.run.run import Run, match
from em_ui.sections.findings import stands_for
from em_ui.sections.tables import numbers

MISTAKES = "with the wrong component"
_STANDS = "names"  # which component of the truth each stands for, where names differ

Row = dict[str, Any]


def draw(c: Controls, run: Run, *, more: Callable[[Run], Iterable[Row]] | None = None) -> None:
    """Draw where each method ends from the same start, and how many labels it gets wrong.

    Components have the names of the start. Mistakes are counted as they match the truth best.

    ``more`` gives further rows, made by :func:`row`.
    """
    table = pd.DataFrame(rows(run) + (list(more(run)) if more else []) + _labelled(run))
    if c.sealed:
        hidden = [MISTAKES, _STANDS]
        table = table[table["method"] != "labels known"].drop(columns=hidden, errors="ignore")
    # The labels may be those of more components than the methods look for.
    last = [name for name in ("iterations", _STANDS, MISTAKES) if name in table]
    if _STANDS in table and not table[_STANDS].any():
        last.remove(_STANDS)
        table = table.drop(columns=_STANDS)
    table = table[[*table.columns.drop(last), *last]]
    by = run.problem.words.quantities[run.problem.words.by]
    st.dataframe(
        table,
        hide_index=True,
        placeholder="–",
        column_config={
            name: numbers(name, by.format) if name.startswith(by.symbol) else name.capitalize()
            for name in table.columns
        },
        alt=f"{by.title} of each {run.problem.words.component}, and iterations, by method",
    )


def row(run: Run, method: str, values: Params, iterations: int | None, winners: Any = None) -> Row:
    """Return a row: what tells the components apart, iterations, and the share of wrong labels.

    ``winners`` are the components that the method gives the observations to, if it does.
    """
    words, sample = run.problem.words, run.problem.sample
    symbol = words.quantities[words.by].symbol
    found: Row = {"method": method}
    for column in frames.schema(values, words.names):
        if column.field == words.by:
            found[f"{symbol} {column.suffix}"] = column.of(values)
    found["iterations"] = iterations
    # Without a component for each of the truth's there is no right answer.
    matching = match(values, sample.truth, words.by)
    if winners is not None and sample.labels is not None and matching is not None:
        found[_STANDS] = stands_for(run, values).removesuffix(".")
        found[MISTAKES] = f"{100 * np.mean(matching[winners] != sample.labels):.1f}%"
    return found


@cached
def rows(run: Run) -> list[Row]:
    """Return the rows of soft EM and of hard EM."""
    made = []
    for method, hard in (("soft EM", False), ("hard EM", True)):
        problem, trace = run.problem, run.trace
        if problem.hard != hard:
            problem = run.other_problem(hard=hard)
            trace = problem.fit(problem.start)
        params = frames.drawable(trace).final.params
        with budget.turn(problem.size):
            winners = problem.responsibilities(problem.sample.data, params).argmax(axis=1)
        made.append(row(run, method, params, trace.n_iter, winners))
    return made


def _labelled(run: Run) -> list[Row]:
    return [] if run.labelled is None else [row(run, "labels known", run.labelled, None)]
