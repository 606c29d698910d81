"""Where a run is going: how much it would still gain, and the run gone on with.

Runs that are slow are gone on with by leaps (:mod:`em_core.acceleration`), and what is said of the
speed of EM is taken from its own steps after the last leap.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from em_core import Status, Step, Trace
from em_core.numerics import ROUNDING
from em_ui.run.problem import E_STEPS, Problem

_WINDOW = 20  # iterations over which gains are compared, at the most
_SEEN = 4 * _WINDOW  # iterations that are looked at for that
_FIRST = 20  # iterations that are followed at once; later a quarter of what there has been
# E-steps of the first leaps that are made at once; later as many as there have been. Behind them
# so many iterations of EM, over whose last gains those of other directions have died away.
_LEAPS, _BEHIND = 60, 16
# Leaps go on until an update gains this fraction of the tolerance: where EM is slow, what is left
# is many times what an update gains.
_CLOSER = 1e-3
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


def left_to_gain(trace: Trace[Any], *, over: int = _SEEN) -> float:
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
    """Return a trace gone on with, if it stopped at its limit of iterations.

    By EM at first, and then by leaps, each stretch of which has some iterations of EM behind it. Of
    leaps there is the last step alone, and it has the number that an iteration of EM would have at
    the same number of E-steps: the iterations of a trace are what it costs. Where observations go
    wholly to one component, runs are short, and leaps do not help.

    Parameters
    ----------
    problem : Problem
        What is run.
    trace : Trace
        As far as it has been followed.
    most : int
        Iterations in all, at the most.
    tol : float, default 0
        As for :func:`em_core.fit`.
    until : callable
        Says of a trace that it has been followed far enough. It is asked now and then.
    patience : int, default 0
        How many iterations of EM there are in all before the first leap, at the least.
    """
    begun = trace.n_iter
    while trace.status is Status.MAX_ITER and trace.n_iter < most and not until(trace):
        left = most - trace.n_iter
        some = max(_FIRST, trace.n_iter // 4)
        slow = trace.n_iter >= max(patience, begun + _FIRST) and not problem.winner_takes_all
        if slow and left >= _BEHIND + E_STEPS:
            e_steps = min(max(_LEAPS, trace.n_iter), left - _BEHIND)
            trace = _leap(problem, trace, e_steps // E_STEPS, tol * _CLOSER)
            some = _BEHIND
        if trace.status is Status.MAX_ITER:
            some = min(some, most - trace.n_iter)
            more = problem.fit(trace.final.params, tol=tol, max_iter=some)
            steps = (replace(s, iteration=s.iteration + trace.n_iter) for s in more.steps[1:])
            trace = replace(more, steps=(*trace.steps, *steps))
            if trace.status is Status.MAX_ITER and leapt(trace) and _rests(trace):
                trace = replace(trace, status=Status.CONVERGED)
    return trace


def _rests(trace: Trace[Any]) -> bool:
    """Return whether the last step of EM is no longer than the rounding that leaps stir up."""
    before, last = (step.params.arrays().values() for step in trace.steps[-2:])
    return all(
        np.abs(new - old).max(initial=0.0) <= _STILL * np.abs(new).max(initial=0.0)
        for old, new in zip(before, last, strict=True)
    )


def _leap(problem: Problem, trace: Trace[Any], cycles: int, tol: float) -> Trace[Any]:
    """Return a trace with the end of some leaps as its last step."""
    more = problem.fit(trace.final.params, tol=tol, max_iter=cycles, accelerate="squarem")
    iteration = trace.n_iter + more.n_e_steps - 1
    end = Step(iteration, more.final.params, more.final.objective)
    return replace(more, steps=(*trace.steps, end))
