"""Where a run is going: how much it would still gain, and the run gone on with.

Runs that are slow are gone on with by leaps (:mod:`em_core.acceleration`), and what is said of the
speed of EM is taken from its own steps after the last leap.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from em_core import Status, Step, Trace
from em_core.numerics import ROUNDING
from em_ui.run import progress
from em_ui.run.problem import E_STEPS, Problem

_GOING = "Where the run is going"

_WINDOW = 20  # iterations over which gains are compared, at the most
SEEN = 4 * _WINDOW  # iterations that are looked at for that
_FIRST = 20  # iterations that are followed at once; later a quarter of what there has been
# E-steps of the first leaps that are made at once; later as many as there have been. Behind them
# so many iterations of EM, over whose last gains those of other directions have died away.
_LEAPS, _BEHIND = 60, 16
# Leaps go on until an update gains this fraction of the tolerance: where EM is slow, what is left
# is many times what an update gains.
_CLOSER = 1e-3
# What is left is no more than so many times what the gains of the last steps say, or what the last
# stretch has gained in all. Runs of all but equal coins gained 190 times the latter. On a plateau
# nothing tells.
CAUTION, _SLOWEST = 10.0, 1e3
# A step of which no entry is more than this part of the largest may be rounding for the most part.
_STILL = 64 * ROUNDING


def own_steps(trace: Trace[Any]) -> Sequence[Step[Any]]:
    """Return the steps that EM took itself, those after the last leap, which leads to the first.

    A leap leaves a gap in the numbers of the iterations.
    """
    steps = trace.steps
    first = len(steps) - 1
    if trace.n_iter == first + steps[0].iteration:
        return steps
    while first and steps[first - 1].iteration == steps[first].iteration - 1:
        first -= 1
    return steps[first:]


def leapt(trace: Trace[Any]) -> bool:
    """Return whether a trace has been gone on with by leaps."""
    return len(own_steps(trace)) < len(trace.steps)


def left_to_gain(trace: Trace[Any], *, over: int = SEEN) -> float:
    """Return how much a run would still gain, if its gains go on shrinking as they do.

    Near the limit gains shrink by a constant factor, so that the rest is a geometric series
    (Aitken's delta-squared process). The gains of several iterations are taken together, since
    single ones are soon rounding.

    Parameters
    ----------
    trace : Trace
        As far as the run has been followed.
    over : int
        How many of the last iterations are looked at, at the most.

    Returns
    -------
    float
        In nats (K-Means: in units of the inertia). 0 where nothing is gained any more, and infinity
        where the gains do not shrink yet.
    """
    steps = own_steps(trace)
    objectives = [step.objective for step in steps[-1 - over :]]
    window = _window(len(objectives))
    if not window:
        return float("inf")
    first, middle, last = (float(objectives[-1 - i * window]) for i in (2, 1, 0))
    return _rest(middle - first, last - middle)


def may_gain(trace: Trace[Any]) -> float:
    """Return how much a run that is still on its way would gain at the most, as its steps tell.

    Its last steps hide a direction in which it is slow behind those in which it is quick, such as
    a leap has stirred up. Of that one what all of them gained tells, the leap among them.

    In the units of :func:`left_to_gain`.
    """
    left = CAUTION * left_to_gain(trace)
    own = own_steps(trace)
    leap = len(trace.steps) - len(own)
    before = trace.steps[leap - 1] if leap else own[-1 - _window(len(own))]
    return max(left, _SLOWEST * (trace.final.objective - before.objective))


def left_to_move(trace: Trace[Any]) -> float:
    """Return how far a run's parameters would still move, if steps go on shrinking as they do.

    Parameters
    ----------
    trace : Trace
        As far as the run has been followed.

    Returns
    -------
    float
        A distance, in the parameters' units. 0 where nothing moves any more, and infinity where the
        steps do not shrink yet.
    """
    steps = own_steps(trace)
    window = _window(len(steps))
    if trace.converged or not window:
        return 0.0 if trace.converged else float("inf")
    first, middle, last = (steps[-1 - i * window].params.vector() for i in (2, 1, 0))
    return _rest(float(np.linalg.norm(middle - first)), float(np.linalg.norm(last - middle)))


def _window(n: int) -> int:
    """Return the iterations over which a run of ``n`` steps is compared, 0 if it is too short."""
    window = max(1, min(_WINDOW, (n - 1) // 4))
    return window if n > 2 * window else 0


def _rest(before: float, now: float) -> float:
    """Return the sum of a geometric series after two of its terms."""
    if now <= 0:
        return 0.0
    return now * now / (before - now) if now < before else float("inf")


def follow(
    problem: Problem,
    trace: Trace[Any],
    *,
    most: int,
    tol: float = 0.0,
    until: Callable[[Trace[Any]], bool] = lambda trace: False,
    patience: int = 0,
) -> Trace[Any]:
    """Return :func:`follow_each` of one trace, which has ``most`` iterations in all."""
    more = most - trace.n_iter
    [found] = follow_each(problem, [trace], more=more, tol=tol, until=until, patience=patience)
    return found


def follow_each(
    problem: Problem,
    traces: Sequence[Trace[Any]],
    *,
    more: int,
    tol: float = 0.0,
    until: Callable[[Trace[Any]], bool] = lambda trace: False,
    patience: int = 0,
) -> list[Trace[Any]]:
    """Return traces gone on with, those that stopped at their limit of iterations.

    By EM at first, and then by leaps, each stretch of which has some iterations of EM behind it. Of
    leaps there is the last step alone, and it has the number that an iteration of EM would have at
    the same number of E-steps: the iterations of a trace are what it costs. Where observations go
    wholly to one component, runs are short, and leaps do not help. Runs that are as far go side by
    side.

    Parameters
    ----------
    problem : Problem
        What is run.
    traces : sequence of Trace
        As far as they have been followed.
    more : int
        Iterations that each is followed, at the most.
    tol : float, default 0
        As for :func:`em_core.fit`.
    until : callable
        Says of a trace that it has been followed far enough. It is asked now and then.
    patience : int, default 0
        How many iterations of EM there are in all before the first leap, at the least.
    """
    found, begun = list(traces), [trace.n_iter for trace in traces]

    def left(i: int) -> int:
        return begun[i] + more - found[i].n_iter

    def is_slow(i: int) -> bool:
        return (
            not problem.winner_takes_all
            and found[i].n_iter >= max(patience, begun[i] + _FIRST)
            and left(i) >= _BEHIND + E_STEPS
        )

    while True:
        on = [i for i, trace in enumerate(found) if trace.status is Status.MAX_ITER]
        on = [i for i in on if left(i) > 0 and not until(found[i])]
        if not on:
            return found
        slow = [i for i in on if is_slow(i)]
        others = [i for i in on if i not in slow]
        stretches: list[tuple[int, Callable[[], None]]] = []
        if slow:
            longest = max(max(_LEAPS, found[i].n_iter) for i in slow)
            e_steps = min(longest, min(map(left, slow)) - _BEHIND)
            leap = functools.partial(_leap, problem, found, slow, e_steps, tol)
            go_on = functools.partial(_go_on, problem, found, slow, _BEHIND, tol)
            stretches += [(e_steps, leap), (_BEHIND, go_on)]
        if others:
            longest = max(max(_FIRST, found[i].n_iter // 4) for i in others)
            some = min(longest, *map(left, others))
            go_on = functools.partial(_go_on, problem, found, others, some, tol)
            stretches.append((some, go_on))
        done = 1 - max(map(left, on)) / more
        for some, go in stretches:
            then = done + (1 - done) * some / (more + some)
            with progress.within(_GOING, done, then):
                go()
            done = then


def _rests(trace: Trace[Any]) -> bool:
    """Return whether the last step of EM is no longer than the rounding that leaps stir up."""
    before, last = (step.params.arrays().values() for step in trace.steps[-2:])
    return all(
        np.abs(new - old).max(initial=0.0) <= _STILL * np.abs(new).max(initial=0.0)
        for old, new in zip(before, last, strict=True)
    )


def _go_on(
    problem: Problem, found: list[Trace[Any]], which: Sequence[int], some: int, tol: float
) -> None:
    """Go on with those traces, in their places, by some iterations of EM."""
    which = [i for i in which if found[i].status is Status.MAX_ITER]
    starts = [found[i].final.params for i in which]
    for i, more in zip(which, problem.fit_each(starts, tol=tol, max_iter=some), strict=True):
        trace = found[i]
        steps = (replace(s, iteration=s.iteration + trace.n_iter) for s in more.steps[1:])
        trace = replace(more, steps=(*trace.steps, *steps))
        if trace.status is Status.MAX_ITER and leapt(trace) and _rests(trace):
            trace = replace(trace, status=Status.CONVERGED)
        found[i] = trace


def _leap(
    problem: Problem, found: list[Trace[Any]], which: Sequence[int], e_steps: int, tol: float
) -> None:
    """Give those traces the end of some leaps as their last step."""
    starts, cycles = [found[i].final.params for i in which], e_steps // E_STEPS
    leaps = problem.fit_each(starts, tol=tol * _CLOSER, max_iter=cycles, accelerate="squarem")
    for i, more in zip(which, leaps, strict=True):
        iteration = found[i].n_iter + more.n_e_steps - 1
        end = Step(iteration, more.final.params, more.final.objective)
        found[i] = replace(more, steps=(*found[i].steps, end))
