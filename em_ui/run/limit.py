"""Where a run is going: how much it would still gain, and the run gone on with."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from em_core import Status, Trace
from em_ui.run.problem import Problem

_WINDOW = 20  # iterations over which gains are compared, at the most
_FIRST = 20  # iterations that are followed at once; later a quarter of what there has been


def left_to_gain(objectives: Sequence[float] | np.ndarray) -> float:
    """Return how much a run would still gain, if its gains go on shrinking as they do.

    Near the limit gains shrink by a constant factor, so that the rest is a geometric series
    (Aitken's delta-squared process). The gains of several iterations are taken together, since
    single ones are soon rounding.

    Parameters
    ----------
    objectives : array_like, shape (iterations + 1,)
        The objective at each iteration, in nats (K-Means: minus the inertia).

    Returns
    -------
    float
        0 where nothing is gained any more, and infinity where the gains do not shrink yet.
    """
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
    window = _window(len(trace.steps))
    if trace.converged or not window:
        return 0.0 if trace.converged else float("inf")
    first, middle, last = (trace.steps[-1 - i * window].params.vector() for i in (2, 1, 0))
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
) -> Trace[Any]:
    """Return a trace gone on with, if it stopped at its limit of iterations.

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
    """
    while trace.status is Status.MAX_ITER and trace.n_iter < most and not until(trace):
        some = min(max(_FIRST, trace.n_iter // 4), most - trace.n_iter)
        more = problem.fit(trace.final.params, tol=tol, max_iter=some)
        steps = (replace(s, iteration=s.iteration + trace.n_iter) for s in more.steps[1:])
        trace = replace(more, steps=(*trace.steps, *steps))
    return trace
