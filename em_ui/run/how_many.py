"""One problem with several numbers of components, and what each criterion makes of them."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from em_core import Params, Selection, Status, Trace, best
from em_core.numerics import smallest_stds
from em_core.selection import criteria_of, draw_rows, judge
from em_ui.run import budget, progress
from em_ui.run.cache import cached
from em_ui.run.limit import follow, may_gain
from em_ui.run.problem import DRAWING, GUESS, Problem, stream
from em_ui.run.run import Run

MOST = 8  # components
SILHOUETTE_ROWS = 2_000

# What no digit of a criterion shows, in nats; and of an inertia, as a fraction.
_SHOWN, _ROUNDING = 0.0025, 1e-9
# Rounding of a matrix whose smallest eigenvalue is the floor.
_AT_THE_FLOOR = 1 + 1e-6
# A run that gains less than this per observation has ended.
_STILL = 1e-11
# How far each start is followed before the best of them is chosen, whatever the page says: where
# runs are stopped early, one that is slow at first looks worse than it is.
_TOL, _ITERATIONS = 1e-8, 200
_OF_STARTS = 0.5  # of all the work, roughly, before the best is followed

Drawn = Callable[..., Params]


@dataclass(frozen=True)
class HowMany:
    """Several numbers of components side by side.

    Attributes
    ----------
    selection : Selection
        The best fit of each, and what the criteria say of it.
    best_starts : tuple of int or None
        The number of the start that led there; None where all collapsed.
    n_starts : int
        How many starts there were of each.
    beyond : bool
        Whether a best run goes on from where the page's tolerance and limit stop it.
    on_the_way : tuple of int
        Numbers of components whose best run would still gain what the page's digits show.
    beaten : tuple of int
        Numbers of components whose best run is worse than that with one fewer, of which theirs has
        a copy: a better one exists that no start has found.
    held : tuple of int
        Numbers of components of which one is held at the smallest standard deviation.
    more : bool
        Whether more components could be tried than were.
    """

    selection: Selection[Any]
    best_starts: tuple[int | None, ...]
    n_starts: int
    beyond: bool
    on_the_way: tuple[int, ...]
    beaten: tuple[int, ...]
    held: tuple[int, ...]
    more: bool


def how_many(
    run: Run, n: int, *, most: int = MOST, find: str | None, drawn: Drawn | None = None
) -> HowMany:
    """Return :func:`compare` of what a page is set to, kept for all sessions.

    Parameters
    ----------
    run : Run
        Gives the data, and all settings but the number of components and the start.
    n : int
        Starts for each number.
    most : int
        Components at the most; fewer, if there are fewer different observations.
    find : str or None
        The control that sets how many components are looked for.
    drawn : callable or None
        Draws an initial guess where there is no such control: ``drawn(data, k, rng=...)``.
    """
    # Whatever number and start the page is set to, the comparison is the same.
    same = {name: 0 for name in ("start", find) if name in run.settings}
    return _kept(replace(run, settings={**run.settings, **same}), n, most, find, drawn)


@cached
def _kept(run: Run, n: int, most: int, find: str | None, _drawn: Drawn | None) -> HowMany:
    def problem_of(k: int) -> Problem:
        if find is not None:
            return run.other_problem(**{find: k})
        if _drawn is None:
            raise TypeError("either the control that sets how many, or what draws a guess")
        guess = functools.partial(_guess, _drawn, run.problem.sample.data, k)
        start = guess(stream(run.problem.guess_seed, GUESS, 1))
        return replace(run.problem, start=start, truth=None, guess=guess)

    different = run.problem.data.n_different(most)
    return compare([problem_of(k) for k in range(1, different + 1)], n)


def _guess(drawn: Drawn, data: Any, k: int, rng: np.random.Generator) -> Params:
    return drawn(data, k, rng=rng)


def compare(problems: Sequence[Problem], n: int) -> HowMany:
    """Run each of several problems from its first ``n`` guesses, and judge the best run of each.

    The problems differ in the number of components alone, and the fewest come first.

    The criteria are about the top of a hill, so runs go on from where the page's tolerance and
    limit stop them: all for a while, and then the best of each number as far as time allows.
    """
    first = problems[0]
    tol = 0.0 if first.winner_takes_all else _TOL
    traces: list[list[Trace[Any]]] = []
    on_the_way, work = [], budget.BEST
    for i, problem in enumerate(problems):
        k, left = problem.start.n_components, len(problems) - i
        seeds = [stream(problem.guess_seed, GUESS, number) for number in range(1, n + 1)]
        starts = [problem.guess(seed) for seed in seeds]
        with progress.within(f"K = {k}", i / len(problems), (i + 1) / len(problems)):
            with progress.within(None, 0, _OF_STARTS):
                runs = list(problem.fit_each(starts, tol=tol, max_iter=_ITERATIONS))
            before = sum(trace.n_iter for trace in runs)
            with progress.within(None, _OF_STARTS, 1):
                arrived = _follow_best(problem, runs, int(work / left / problem.cost))
        if not arrived:
            on_the_way.append(k)
        work -= problem.cost * (sum(trace.n_iter for trace in runs) - before)
        traces.append(runs)
    drawing = stream(first.guess_seed, DRAWING)
    drawn = first.sample.data[draw_rows(first.n, SILHOUETTE_ROWS, rng=drawing)]
    candidates = []
    for problem, runs in zip(problems, traces, strict=True):
        with budget.turn(2 * problem.cost + len(drawn) ** 2):
            candidates.append(judge(problem.model, problem.data, runs, drawn))
    kept = [
        (problem, candidate.trace)
        for problem, candidate in zip(problems, candidates, strict=True)
        if candidate.trace is not None
    ]
    return HowMany(
        selection=Selection(tuple(candidates), criteria_of(first.model)),
        best_starts=tuple(
            None if candidate.trace is None else 1 + runs.index(candidate.trace)
            for candidate, runs in zip(candidates, traces, strict=True)
        ),
        n_starts=len(traces[0]),
        beyond=any(_goes_on(problem, trace) for problem, trace in kept),
        on_the_way=tuple(on_the_way),
        beaten=_beaten(kept),
        held=tuple(p.start.n_components for p, trace in kept if _held(p, trace.final.params)),
        more=len(problems) < first.data.n_different(len(problems) + 1),
    )


def _follow_best(problem: Problem, runs: list[Trace[Any]], iterations: int) -> bool:
    """Go on with the best run, in its place, as far as time allows; or, if it collapses, the next.

    Return whether it got so far that the rest of its way changes no digit that is shown.
    """
    # Where observations go wholly to one component, a run that goes on ends.
    hard = problem.winner_takes_all
    while True:
        trace = best(runs)
        if trace.status is Status.NON_FINITE or (trace.converged and (hard or problem.tol == 0)):
            return True
        if not hard and _nothing_left(trace):
            return True
        if iterations < 1:
            return False
        before, i = trace.n_iter, runs.index(trace)
        runs[i] = follow(
            problem,
            replace(trace, status=Status.MAX_ITER),
            most=before + iterations,
            tol=0.0 if hard else _STILL,
            until=(lambda trace: False) if hard else _nothing_left,
        )
        iterations -= runs[i].n_iter - before
        if runs[i].status is not Status.NON_FINITE:
            return runs[i].converged or (not hard and _nothing_left(runs[i]))


def _goes_on(problem: Problem, trace: Trace[Any]) -> bool:
    """Return whether a run is longer than the page's tolerance and limit let it be."""
    gains = np.diff(trace.objectives[:-1])
    stops = problem.tol > 0 and bool((gains <= problem.tol * problem.n).any())
    return stops or trace.n_iter > problem.max_iter


def _nothing_left(trace: Trace[Any]) -> bool:
    return may_gain(trace) < _SHOWN


def _beaten(best_of: Sequence[tuple[Problem, Trace[Any]]]) -> tuple[int, ...]:
    """Return the numbers of components with which no start has got as far as with fewer.

    What can be had with K can be had with K + 1, of which two are equal or one is empty: but for
    parameters that are given, such as equal weights.
    """
    found, top = [], -np.inf
    for problem, trace in best_of:
        objective = trace.final.objective
        slack = _ROUNDING * abs(top) if problem.objective.sign < 0 else _SHOWN
        if not problem.fixed and objective < top - slack:
            found.append(problem.start.n_components)
        top = max(top, objective)
    return tuple(found)


def _held(problem: Problem, params: Params) -> bool:
    """Return whether the floor holds a component up: its likelihood is then the floor's doing."""
    floor, arrays = getattr(problem.mixture, "min_std", 0.0), params.arrays()
    if "covariances" in arrays:
        narrowest = smallest_stds(arrays["covariances"]).min()
    elif "stds" in arrays and "stds" not in problem.fixed:
        narrowest = arrays["stds"].min()
    else:
        return False
    return bool(0 < narrowest <= floor * _AT_THE_FLOOR)
