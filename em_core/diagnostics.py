r"""What one can say about a run: the bound that EM climbs, its speed, which answers are the same.

For any responsibilities, Jensen's inequality bounds the log-likelihood from below. With those of
the parameters :math:`\theta_t` the bound touches it there:

.. math:: \ell(\theta) \ge \ell(\theta_t) + Q(\theta \mid \theta_t) - Q(\theta_t \mid \theta_t)

where Q is the expected complete-data log-likelihood. The E-step builds the bound, the M-step goes
to its top: EM is a minorize-maximize algorithm (Neal and Hinton, "A view of the EM algorithm that
justifies incremental, sparse, and other variants", 1998; Lange, "MM Optimization Algorithms",
2016).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from em_core.data.blocks import prepare
from em_core.engine import Data, Status, Trace, expectations
from em_core.model import Model, Params, ParamsT, StatisticsT
from em_core.numerics import Array, match_components

# Steps shorter than this, relative to the parameters, are rounding, and so is their ratio.
_RATE_FLOOR = 1e-11


def lower_bound(
    model: Model[ParamsT, StatisticsT], data: Data, at: ParamsT
) -> Callable[[ParamsT], float]:
    """Return the lower bound of the objective that touches it at some parameters.

    Parameters
    ----------
    model, data
        As for :func:`em_core.fit`.
    at : Params
        Where the bound touches. The M-step's result is where it is largest.

    Returns
    -------
    callable
        Maps parameters to the bound, in nats (K-Means: minus squared units of the data).

    Raises
    ------
    ValueError
        If ``data`` or ``at`` do not fit the model.
    """
    statistics, objective = expectations(model, prepare(model, data, at), at)

    def expected(params: ParamsT) -> float:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return model.expected_objective(statistics, params, at)

    touching = expected(at)

    def bound(params: ParamsT) -> float:
        return objective + expected(params) - touching

    return bound


def linear_rate(trace: Trace[Any]) -> float:
    """Return the measured rate of convergence: by what factor the steps shrink at the end.

    Near the limit, EM's error shrinks by a constant factor in each iteration, and so does its step.
    The factor is the largest fraction of information that the hidden data take away (Dempster,
    Laird and Rubin 1977, section 4): near 0 it is fast, near 1 slow.

    Returns
    -------
    float
        Ratio of the last two steps that are longer than rounding error; not a number if there are
        fewer than two.
    """
    flat = np.array([step.params.vector() for step in trace.steps])
    lengths = np.linalg.norm(np.diff(flat, axis=0), axis=1)
    scale = np.abs(flat[-1]).max()
    measurable = np.flatnonzero(lengths > _RATE_FLOOR * scale)
    if len(measurable) < 2 or measurable[-1] != measurable[-2] + 1:
        return float("nan")
    last = measurable[-1]
    return float(lengths[last] / lengths[last - 1])


def same_solutions(traces: Sequence[Trace[Any]], *, rtol: float = 1e-3) -> list[int]:
    """Return a number for each run: equal for runs that ended alike but for the components' order.

    Parameters
    ----------
    traces : sequence of Trace
        Runs of one model on the same data.
    rtol : float, default 1e-3
        Difference in a parameter, relative to the largest of its kind, that is still the same.

    Returns
    -------
    list of int
        0 for the best solution, 1 for the next, and so on; runs without a finite end come last.
    """

    def rank(i: int) -> tuple[bool, float]:
        objective = traces[i].final.objective
        finite = traces[i].status is not Status.NON_FINITE and np.isfinite(objective)
        return not finite, -objective if finite else 0.0

    found: list[_Solution] = []
    numbers = [0] * len(traces)
    for i in sorted(range(len(traces)), key=rank):
        params = traces[i].final.params
        rows = params.by_component()
        for number, known in enumerate(found):
            if known.is_that_of(params, rows, rtol):
                numbers[i] = number
                break
        else:
            numbers[i] = len(found)
            found.append(_Solution(params))
    return numbers


class _Solution:
    """Parameters that others are compared with, each in units of the largest of its kind."""

    def __init__(self, params: Params) -> None:
        units = type(params)(
            **{name: np.full_like(a, np.abs(a).max() or 1.0) for name, a in params.arrays().items()}
        )
        self.units, self.row_units = units.vector(), units.by_component()
        self.vector = params.vector() / self.units
        self.rows = params.by_component() / self.row_units
        self.sorted = np.sort(self.rows, axis=0)

    def is_that_of(self, params: Params, rows: Array, rtol: float) -> bool:
        """Return whether parameters, with these rows by component, are these but for the order."""
        if rows.shape != self.rows.shape:
            return False
        ours = rows / self.row_units
        # Column by column first: that is quick, and most that differ already differ here.
        if not _furthest(np.sort(ours, axis=0), self.sorted) <= rtol:
            return False
        if params.n_components:
            params = params.relabel(match_components(ours, self.rows))
        return _furthest(params.vector() / self.units, self.vector) <= rtol


def _furthest(ours: Array, theirs: Array) -> float:
    return float(np.abs(ours - theirs).max(initial=0.0))
