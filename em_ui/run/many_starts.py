"""Many runs of one problem from different guesses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from em_core import Status, Trace, match_components
from em_core.diagnostics import same_solutions
from em_ui.pictures import frames
from em_ui.run import budget
from em_ui.run.cache import cached
from em_ui.run.problem import GUESS, Problem, stream
from em_ui.run.run import Run

CURVE_STEPS = 60

# A run that gains less than this per observation has ended, for the comparison of many.
_STILL = 1e-11


@dataclass(frozen=True)
class ManyStarts:
    """Many runs of one problem from different guesses.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a start. Its solution is where it would end if it went on.
    curves : pyarrow.Table
        start, solution, iteration, objective: thinned to at most :data:`CURVE_STEPS` a start.
    moving : int
        How many were still moving when this was given up.
    """

    table: pd.DataFrame
    curves: pa.Table
    moving: int


@cached
def many_starts(run: Run, n: int) -> ManyStarts:
    """Return :func:`run_starts` of a run's problem, kept for all sessions."""
    return run_starts(run.problem, n)


def run_starts(problem: Problem, n: int) -> ManyStarts:
    """Run EM from the first ``n`` guesses of the page's method and seed.

    Where they take long, there are fewer: others wait while these run.
    """
    by, truth, objective = problem.words.by, problem.sample.truth, problem.objective
    traces: list[Trace[Any]] = []
    spent = 0
    for number in range(1, n + 1):
        trace = problem.fit(problem.guess(stream(problem.guess_seed, GUESS, number)))
        final = frames.drawable(trace).final.params
        if truth is not None and final.n_components:
            trace = trace.relabel(match_components(getattr(final, by), getattr(truth, by)))
        traces.append(trace)
        spent += problem.cost * (trace.n_iter + 1)
        if spent * (number + 1) / number > budget.STARTS:
            break
    ends = _ends(problem, traces)
    solutions = [number + 1 for number in same_solutions(ends)]
    rows, curves = [], []
    for number, (trace, solution) in enumerate(zip(traces, solutions, strict=True), 1):
        shown = frames.drawable(trace)
        schema = frames.schema(shown.final.params, problem.words.names)
        rows.append(
            {
                "start": number,
                "solution": solution,
                **{
                    f"{when} {column.name}": column.of(step.params)
                    for when, step in (("start", trace.steps[0]), ("end", shown.final))
                    for column in schema
                },
                objective.title.lower(): objective.sign * shown.final.objective,
                "iterations": trace.n_iter,
                "status": trace.status.value.replace("_", " "),
            }
        )
        kept = np.unique(np.linspace(0, shown.n_iter, CURVE_STEPS).round().astype(int))
        curves.append(
            frames.extend(
                frames.arrow(
                    {"iteration": kept, "objective": objective.sign * shown.objectives[kept]}
                ),
                start=number,
                solution="best" if solution == 1 else "other",
            )
        )
    return ManyStarts(
        table=pd.DataFrame(rows),
        curves=pa.concat_tables(curves).combine_chunks(),
        moving=sum(end.status is Status.MAX_ITER for end in ends),
    )


def _ends(problem: Problem, traces: Sequence[Trace[Any]]) -> list[Trace[Any]]:
    """Return each run as it goes on until it hardly moves, or as far as time allows.

    Runs that stopped early lie apart on the way to one place, and would count as different.
    """
    max_iter = int(min(budget.ENDS / problem.cost / len(traces), 1_000))
    finals = [frames.drawable(trace).final.params for trace in traces]
    return [problem.fit(final, tol=_STILL, max_iter=max_iter) for final in finals]
