"""The same problem with soft and with hard assignment, beside the estimate with labels known."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from em_core import Params, match_components
from em_ui.controls.page import Controls
from em_ui.pictures import frames
from em_ui.run.cache import cached
from em_ui.run.run import Run

MISTAKES = "with the wrong component"

Row = dict[str, Any]


def draw(c: Controls, run: Run, *, more: Callable[[Run], Iterable[Row]] | None = None) -> None:
    """Draw where each method ends from the same start, and how many labels it gets wrong.

    ``more`` gives further rows, made by :func:`row`.
    """
    table = pd.DataFrame(_rows(run) + (list(more(run)) if more else []) + _labelled(run))
    if c.sealed:
        table = table[table["method"] != "labels known"].drop(columns=MISTAKES, errors="ignore")
    # The labels may be those of more components than the methods look for.
    last = [name for name in ("iterations", MISTAKES) if name in table]
    table = table[[*table.columns.drop(last), *last]]
    by = run.problem.words.quantities[run.problem.words.by]
    st.dataframe(
        table,
        hide_index=True,
        placeholder="–",
        column_config={
            name: st.column_config.NumberColumn(format=f"%{by.format}")
            for name in table.columns
            if name.startswith(by.symbol)
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
    comparable = sample.truth is not None and values.n_components == sample.truth.n_components
    if winners is not None and sample.labels is not None and comparable:
        found[MISTAKES] = f"{100 * np.mean(winners != sample.labels):.1f}%"
    return found


@cached
def _rows(run: Run) -> list[Row]:
    rows = []
    for method, hard in (("soft EM", False), ("hard EM", True)):
        problem, trace = run.problem, run.trace
        if problem.hard != hard:
            problem = run.other_problem(hard=hard)
            trace = problem.fit(problem.start)
        params = frames.drawable(trace).final.params
        if problem.sample.truth is not None:
            by = problem.words.by
            order = match_components(getattr(params, by), getattr(problem.sample.truth, by))
            params = params.relabel(order)
        winners = problem.responsibilities(problem.sample.data, params).argmax(axis=1)
        rows.append(row(run, method, params, trace.n_iter, winners))
    return rows


def _labelled(run: Run) -> list[Row]:
    return [] if run.labelled is None else [row(run, "labels known", run.labelled, None)]
