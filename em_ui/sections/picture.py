"""The picture of counted outcomes: bars that are shared between the components."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from em_ui.controls.page import Controls
from em_ui.pictures import charts, frames
from em_ui.run.cache import cached
from em_ui.run.problem import count
from em_ui.run.run import Run
from em_ui.sections.explore import Drawing, compares


class Outcomes(NamedTuple):
    """Bars for each outcome, expected counts at each iteration, and what to compare them with."""

    bars: pa.Table
    expected: pa.Table
    references: dict[str, pa.Table]


@cached
def outcome_tables(run: Run, n_outcomes: int) -> Outcomes:
    """Return what :func:`outcomes` draws, for outcomes from 0 on."""
    problem, values = run.problem, np.arange(n_outcomes)
    bars = frames.divided_bars(
        problem.model,
        run.trace,
        problem.words.names,
        middles=values,
        half_width=0.45,
        heights=np.bincount(problem.sample.data, minlength=n_outcomes),
        digits=0,
    )
    history = [step.params for step in run.steps]
    references = {"truth": problem.sample.truth, "labelled": run.labelled}
    return Outcomes(
        bars,
        frames.expected_counts(problem.mixture, history, values, problem.n),
        {
            name: frames.expected_counts(problem.mixture, [params], values, problem.n)
            for name, params in references.items()
            if params is not None
        },
    )


def outcomes(c: Controls, run: Run, n_outcomes: int, heading: str, title: str) -> Drawing:
    """Return the picture of observations by outcome, each bar divided by responsibility.

    Parameters
    ----------
    c, run
        The page's controls, and the run.
    n_outcomes : int
        Outcomes go from 0 to below this.
    heading, title : str
        Of the picture, and of an outcome.
    """
    words, truth = run.problem.words, compares(c, run)
    tables = outcome_tables(run, n_outcomes)
    return Drawing(
        heading,
        charts.shares(
            title, f"{words.observation}s".capitalize(), words.component.capitalize(), truth=truth
        ),
        {"bars": tables.bars, "expected": tables.expected} | (tables.references if truth else {}),
        f"{count(run.problem.n, words.observation)} by {title.lower()}. Each bar is divided by the "
        f"responsibilities of {words.component}s {', '.join(run.names)}.",
    )


def pick_outcome(c: Controls, run: Run) -> None:
    """Take the first observation of the outcome that was clicked, in a callback."""
    outcome = charts.picked(c.key("picture"), "label")
    if outcome is not None:
        rows = np.flatnonzero(run.problem.sample.data == int(outcome))
        if len(rows):
            c.set("observation", int(rows[0]) + 1)
