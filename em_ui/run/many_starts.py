"""Many runs of one problem from different guesses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from em_core import Status, Trace
from em_core.diagnostics import same_solutions
from em_ui.pictures import frames
from em_ui.run import budget, progress
from em_ui.run.cache import cached
from em_ui.run.limit import CAUTION, SEEN, follow_each, left_to_gain, may_gain
from em_ui.run.problem import GUESS, Problem, stream
from em_ui.run.run import Run

CURVE_STEPS = 60
BEST, OTHER, OPEN = "best", "other", "not known"

# A run that gains less than this per observation has ended, for the comparison of many.
_STILL = 1e-12
# Objectives per observation that differ by less are equal, as far as that can tell.
_EQUAL = 1e-9
# Of a run that has ended, gains are compared over so many last iterations at the least: behind a
# plateau, those of more may still have grown.
_LAST = 8
# What it may still gain per observation, at the most, if its limit is to be a solution of its own,
# and if it is to count with one that others have reached.
_SURE, _NEAR = 1e-8, 1e-3
_OF_STARTS = 0.5  # of all the work, roughly, before runs are followed
_MOST = 5_000  # iterations that each run is followed


@dataclass(frozen=True)
class ManyStarts:
    """Many runs of one problem from different guesses.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a start. Its solution is where it would end if it went on, with the objective there:
        1 is the best, unless some are ``ahead``. Missing where that cannot be told.
    columns : tuple of Column
        What the parameters' columns are; in the table each has one of the start, and one of the
        end.
    curves : pyarrow.Table
        start, solution, iteration, objective, gap (what is missing to the best objective that is
        known): thinned to at most :data:`CURVE_STEPS` a start.
    moving : int
        How many were still moving when this was given up.
    differing : tuple of int
        The solutions whose runs arrived, and at different parameters: they are equally good.
    errors : tuple of float
        By how much each solution's objective may be wrong.
    ahead : tuple of int
        Starts of which it is not known where they are going, and which are above solution 1
        already: so that is not the best.
    """

    table: pd.DataFrame
    columns: tuple[frames.Column, ...]
    curves: pa.Table
    moving: int
    differing: tuple[int, ...]
    errors: tuple[float, ...]
    ahead: tuple[int, ...]

    @property
    def counts(self) -> dict[int, int]:
        """Solution to the number of starts that lead there, the best first."""
        found = self.table["solution"].dropna().tolist()
        return {int(number): found.count(number) for number in sorted(set(found))}


class _End(NamedTuple):
    """Where a run would end: the trace gone on with, its objective there, and how well known.

    The objective may be ``error`` higher or lower, but no lower than that of the trace.
    """

    trace: Trace[Any]
    objective: float
    error: float

    def may_be(self, objective: float, slack: float) -> bool:
        """Return whether this run may end at an objective."""
        low = max(self.trace.final.objective, self.objective - self.error)
        return low - slack <= objective <= self.objective + self.error + slack


@cached
def many_starts(run: Run, n: int) -> ManyStarts:
    """Return :func:`run_starts` of a run's problem, kept for all sessions."""
    return run_starts(run.problem, n)


def run_starts(problem: Problem, n: int) -> ManyStarts:
    """Run EM from the first ``n`` guesses of the page's method and seed."""
    objective = problem.objective
    guesses = [
        problem.guess(stream(problem.guess_seed, GUESS, number)) for number in range(1, n + 1)
    ]
    with progress.within(None, 0, _OF_STARTS):
        traces = list(problem.fit_each(guesses))
    with progress.within("Where runs are going", _OF_STARTS, 1):
        ends = _ends(problem, traces, budget.ENDS)
    solutions, levels, differing = _solutions(ends, problem.n)
    limits = [level.objective for level in levels]
    highest = limits[0] + levels[0].error + _EQUAL * problem.n if levels else np.inf
    ahead = tuple(
        number
        for number, (end, solution) in enumerate(zip(ends, solutions, strict=True), 1)
        if solution is None and end.trace.final.objective > highest
    )
    first = OTHER if ahead else BEST
    title = objective.title.lower()
    columns = problem.columns(traces[0].final.params)
    rows, curves = [], []
    drawn = [frames.drawable(trace) for trace in traces]
    best = max([*(trace.objectives.max() for trace in drawn), *limits[:1]])
    for number, (trace, shown, solution) in enumerate(
        zip(traces, drawn, solutions, strict=True), 1
    ):
        rows.append(
            {
                "start": number,
                "solution": solution,
                f"limit {title}": None
                if solution is None
                else objective.sign * limits[solution - 1] + 0.0,
                title: objective.sign * shown.final.objective + 0.0,
                "iterations": trace.n_iter,
                "status": trace.status.value.replace("_", " "),
                **{
                    f"{when} {column.name}": column.of(step.params)
                    for when, step in (("start", trace.steps[0]), ("end", shown.final))
                    for column in columns
                },
            }
        )
        kept = np.unique(np.linspace(0, shown.n_iter, CURVE_STEPS).round().astype(int))
        values = shown.objectives[kept]
        curves.append(
            frames.extend(
                frames.arrow(
                    {
                        "iteration": kept,
                        "objective": objective.sign * values + 0.0,
                        "gap": best - values,
                    }
                ),
                start=number,
                solution=OPEN if solution is None else first if solution == 1 else OTHER,
            )
        )
    table = pd.DataFrame(rows)
    return ManyStarts(
        # Copied, since pandas warns of what columns of changed types are made of.
        table=table.astype({"solution": "Int64", f"limit {title}": float}).copy(),
        columns=columns,
        curves=pa.concat_tables(curves).combine_chunks(),
        moving=sum(end.trace.status is Status.MAX_ITER for end in ends),
        differing=differing,
        errors=tuple(level.error for level in levels),
        ahead=ahead,
    )


def _ends(problem: Problem, traces: Sequence[Trace[Any]], work: float) -> list[_End]:
    """Return where each run would end, going on until it hardly moves, or as far as time allows.

    Runs that stopped early lie apart on the way to one place, and would count as different.
    """
    followed = [
        trace
        if trace.status is Status.NON_FINITE
        else replace(trace, steps=trace.steps[-1 - SEEN :], status=Status.MAX_ITER)
        for trace in traces
    ]
    left = work
    # There are finitely many assignments: a run that has arrived gains nothing more.
    ends_exactly = problem.winner_takes_all
    while True:
        going = [i for i, trace in enumerate(followed) if trace.status is Status.MAX_ITER]
        cost = problem.cost_among(len(going)) * max(len(going), 1)
        some = min(int(left / cost), _MOST)
        if not going or some < 1:
            break
        with progress.within(None, 1 - left / work, 1):
            followed_on = follow_each(
                problem,
                [followed[i] for i in going],
                more=some,
                tol=0.0 if ends_exactly else _STILL * (some > 1),
            )
        for i, trace in zip(going, followed_on, strict=True):
            left -= cost / len(going) * (trace.n_iter - followed[i].n_iter)
            followed[i] = trace
        if some == _MOST:
            break
    ends = []
    for trace in followed:
        objective = trace.final.objective
        if trace.status is Status.NON_FINITE or not np.isfinite(objective):
            ends.append(_End(trace, -np.inf, np.inf))
            continue
        left, error = left_to_gain(trace), may_gain(trace)
        if trace.status is not Status.MAX_ITER:
            left = min(left, left_to_gain(trace, over=_LAST))
            if ends_exactly or not np.isfinite(left):
                left = 0.0  # it has arrived, by the rule or as it is too short to tell
            error = CAUTION * left
        told = _EQUAL * problem.n < left < np.inf
        reach = objective + left if told else objective
        ends.append(_End(trace, reach, error))
    return ends


def _solutions(
    ends: Sequence[_End], n: int
) -> tuple[list[int | None], list[_End], tuple[int, ...]]:
    """Return each run's solution, the best-known run of each, and which have runs that differ.

    Runs whose limits have equal objectives, as far as can be told, are equally good, and count as
    one solution. One that is still on its way counts with the solution that it approaches, if there
    is one only that it may reach; if it may reach several, or one that nobody has reached, where it
    is going is not known.
    """
    levels: list[_End] = []
    level_of: dict[int, int] = {}
    # The surest first: others are compared with them.
    for i in sorted(range(len(ends)), key=lambda i: ends[i].error):
        end = ends[i]
        if not end.error <= _NEAR * n:
            continue
        reached = [
            j
            for j, level in enumerate(levels)
            if end.may_be(level.objective, level.error + _EQUAL * n)
        ]
        if len(reached) == 1:
            level_of[i] = reached[0]
        elif not reached and end.error <= _SURE * n:
            level_of[i] = len(levels)
            levels.append(end)
        elif (
            reached and end.trace.status is not Status.MAX_ITER
        ):  # between two that differ by hardly more than can be told
            apart = [abs(end.objective - levels[j].objective) for j in reached]
            level_of[i] = reached[int(np.argmin(apart))]
    order = sorted(range(len(levels)), key=lambda j: -levels[j].objective)
    number_of = {j: number for number, j in enumerate(order, 1)}
    solutions = [number_of[level_of[i]] if i in level_of else None for i in range(len(ends))]
    differing = []
    for number in number_of.values():
        arrived = [
            end.trace
            for end, solution in zip(ends, solutions, strict=True)
            if solution == number and end.trace.status is not Status.MAX_ITER
        ]
        if len(set(same_solutions(arrived))) > 1:
            differing.append(number)
    return solutions, [levels[j] for j in order], tuple(sorted(differing))
