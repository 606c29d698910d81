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
import numpy.typing as npt

from em_core.checks import check_not_negative
from em_core.data.blocks import Blocks, prepare
from em_core.engine import Data, Status, Trace, begin
from em_core.model import Arrays, Model, Params, ParamsT, StatisticsT
from em_core.numerics import Array, match_components

# Steps shorter than this, relative to the parameters, are rounding, and so is their ratio.
_RATE_FLOOR = 1e-11

# Steps of a difference quotient, in units in which the complete data tell a parameter; shorter
# where assignments jump, so that none jumps within the step.
_STEP, _STEP_BETWEEN_JUMPS = 1e-4, 1e-9

# How far an eigenvalue of EM's map may be from 1, and its imaginary part from 0, by rounding.
_EIGENVALUE_ACCURACY = 1e-5


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
    statistics, objective = begin(model, prepare(model, data, at))(at)
    return bound_from(model, statistics, objective, at)


def bound_from(
    model: Model[ParamsT, StatisticsT], statistics: StatisticsT, objective: float, at: ParamsT
) -> Callable[[ParamsT], float]:
    """Return :func:`lower_bound` at some parameters whose E-step is known."""

    def expected(params: ParamsT) -> float:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return model.expected_objective(statistics, params, at)

    touching = expected(at)

    def bound(params: ParamsT) -> float:
        return objective + expected(params) - touching

    return bound


def bounds_from(
    model: Model[ParamsT, StatisticsT], statistics: StatisticsT, objective: float, at: ParamsT
) -> Callable[[Arrays], Array]:
    """Return :func:`bound_from` of many parameters, whose arrays have a leading axis."""
    many = getattr(model, "expected_objective_many", None)
    bound = bound_from(model, statistics, objective, at)

    def bounds(arrays: Arrays) -> Array:
        if many is None:
            each = zip(*arrays.values(), strict=True)
            return np.array([bound(type(at)(*values)) for values in each])
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            touching = model.expected_objective(statistics, at, at)
            return np.asarray(objective + (many(statistics, arrays, at) - touching))

    return bounds


def linear_rate(trace: Trace[Any]) -> float:
    """Return by what factor this run's last steps shrank, on the path that it took.

    Near a limit, EM's error in each direction shrinks by a constant factor in each iteration: an
    eigenvalue of EM's map (:func:`map_eigenvalues`). This is the factor of the slowest direction in
    which the path has a part. It is the largest fraction of information that the hidden data take
    away (Dempster, Laird and Rubin 1977, section 4) only if the path's end is a top of the
    objective and the path has a part in the slowest direction of all. One path cannot tell: one
    that runs into a saddle along its ridge shrinks too.

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


def map_eigenvalues(
    model: Model[ParamsT, StatisticsT], data: Data, at: ParamsT
) -> npt.NDArray[Any]:
    r"""Return the eigenvalues of EM's map at a fixed point, the largest first.

    The map takes parameters to those after one iteration. At a fixed point its Jacobian is
    :math:`1 - I_c^{-1} I_o`, where :math:`I_o` is the observed information and :math:`I_c` that of
    the complete data (Dempster, Laird and Rubin 1977, section 4). So an eigenvalue is the fraction
    of information that is missing in one direction, and the factor by which EM's error shrinks
    there: below 1 in all directions at a top of the objective, above 1 in some at a saddle, and 1
    where the objective is level to second order.

    Parameters that the M-step leaves as they were given, such as fixed weights, are held. An entry
    of a component without any responsibility is kept too, but could be anything: it counts as a
    direction with eigenvalue 1. Where probabilities sum to one, there is an eigenvalue 0 in excess,
    and K - 1 where K components have a number in common.
    Winner-takes-all assignments are constant between their jumps, and all eigenvalues 0.

    Parameters
    ----------
    model, data
        As for :func:`em_core.fit`.
    at : Params
        A fixed point, such as the end of a run with ``tol=0``. Off it by some fraction of the
        distances that matter (a standard deviation, the distance of a probability from 0 and 1),
        eigenvalues are off by about as much. For :func:`flat_directions` the fraction is to be well
        below 1e-5: a run that stopped at the default tolerance is not near enough where EM is slow.

    Returns
    -------
    ndarray, shape (P,)
        One for each estimated entry of ``at.vector()``, by size. They are real at a fixed point
        inside the parameters' range; complex only if imaginary parts are more than rounding.

    Raises
    ------
    ValueError
        If ``data`` or ``at`` do not fit the model, or the map is not finite about ``at``.

    Notes
    -----
    By difference quotients, which cost two iterations for each entry, and four for one at its
    bound, such as a probability of 0, where they are one-sided. They are known to about 1e-6. Where
    parameters are larger by a factor c than the distances that matter, as at a large offset of the
    data, their rounding leaves about (1e-16 c) to the power 2/3 of accuracy: 1e-5 at c = 3e8, from
    where flat directions cannot be counted.

    A component at a bound that cannot have made any observation, as a coin that never shows heads,
    stays there though EM would take it far away from anywhere near: its eigenvalue is then no
    number of meaning, and large.
    """
    return _eigenvalues(model, prepare(model, data, at), at)


def flat_directions(model: Model[ParamsT, StatisticsT], data: Data, at: ParamsT) -> int:
    """Return along how many independent directions the data cannot tell parameters apart.

    These have eigenvalue 1 (:func:`map_eigenvalues`): the objective is level to second order, and
    EM stays wherever it is. At an ordinary optimum there is none, however slow EM is, nor at an
    ordinary saddle. Two components that coincide, with estimated weights, have one: weight may be
    shifted from one to the other.

    Parameters, errors and cost are those of :func:`map_eigenvalues`.
    """
    return int((np.abs(map_eigenvalues(model, data, at) - 1) <= _EIGENVALUE_ACCURACY).sum())


def _eigenvalues(model: Any, data: Blocks, at: ParamsT) -> npt.NDArray[Any]:
    here, arrays = at.vector(), at.arrays().values()
    field = np.repeat(np.arange(len(arrays)), [a.size for a in arrays])
    e_step = begin(model, data)

    def image(vector: Array) -> Array:
        params = at.with_vector(vector)
        statistics, objective = e_step(params)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            found: Array = model.m_step(statistics, params).vector()
        return found if np.isfinite(objective) else np.full_like(found, np.nan)

    # A field that comes back to the last digit from another place is not estimated.
    nudge = 1e-3 * (1 + np.arange(len(here))) / len(here)
    elsewhere = np.where(here == 0, nudge, here * (1 - nudge))
    kept = image(elsewhere) == elsewhere
    free = np.flatnonzero([not kept[field == f].all() for f in field])

    units, hard = _units(model, data, at), not _is_smooth(model)
    columns = np.zeros((len(here), len(free)))
    for column, j in zip(columns.T, free, strict=True):
        blur = np.finfo(float).eps * abs(here[j]) / units[j]
        step = max(_STEP_BETWEEN_JUMPS, 64 * blur) if hard else max(_STEP, blur ** (1 / 3))
        step = step * units[j] * (np.arange(len(here)) == j)
        up, down = image(here + step), image(here - step)
        if np.isfinite(up).all() and np.isfinite(down).all():
            column[:] = (up - down) / ((here + step)[j] - (here - step)[j])
            continue
        if not np.isfinite(up).all():  # at an upper bound: go down
            step, up = -step, down
        further, middle = image(here + 2 * step), image(here)
        column[:] = (4 * up - 3 * middle - further) / (2 * step[j])
    jacobian = columns[free] * units[free] / units[free, None]
    if not np.isfinite(jacobian).all():
        raise ValueError(
            f"EM's map must be finite about its fixed point, which it is not at {at!r}"
        )
    found = np.linalg.eigvals(jacobian)
    if np.abs(found.imag).max(initial=0.0) <= _EIGENVALUE_ACCURACY:
        found = found.real
    return found[np.argsort(-np.abs(found), kind="stable")]


def _is_smooth(model: Any) -> bool:
    return bool(getattr(model, "objective_is_log_likelihood", True))


def _units(model: Any, data: Blocks, at: Params) -> Array:
    """Return the change of each entry that lowers Q by a half for each observation.

    For one observation of a normal distribution that is its standard deviation, wherever zero is.
    """
    statistics, objective = begin(model, data)(at)
    here = at.vector()

    def fall(j: int, step: float) -> float:
        moved = here + step * (np.arange(len(here)) == j)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            q = (model.expected_objective(statistics, p, at) for p in (at, at.with_vector(moved)))
            return float(np.subtract(*q))

    target = 0.5 * (data.n if _is_smooth(model) else abs(objective) or data.n)
    units = np.abs(here)
    units[units == 0] = 1.0
    for j in range(len(here)):
        step = units[j]
        for _ in range(60):
            lower = [f for f in (fall(j, step), fall(j, -step)) if np.isfinite(f)]
            if lower and max(lower) <= target:
                break
            step /= 2
        else:
            step = units[j]
        units[j] = min(step, units[j])
    return units


def equally_good(traces: Sequence[Trace[Any]], *, atol: float) -> list[int]:
    """Return a number for each run: equal for runs that reached the same objective.

    Their parameters may differ, as along a ridge where the data cannot tell them apart
    (:func:`flat_directions`), or between optima that happen to be as high.

    Parameters
    ----------
    traces : sequence of Trace
        Runs of one model on the same data.
    atol : float
        Difference in objective from the best of a group that is still the same, in nats (K-Means:
        squared units of the data). What a stopping tolerance can tell is that tolerance times the
        number of observations, and more where EM is slow.

    Returns
    -------
    list of int
        0 for the best, 1 for the next, and so on; runs without a finite end share the last number.

    Raises
    ------
    ValueError
        If ``atol`` is not a finite number, 0 or larger.
    """
    check_not_negative("atol", atol)
    numbers, number, best = [0] * len(traces), -1, np.inf
    for i in sorted(range(len(traces)), key=lambda i: _rank(traces[i])):
        not_finite, minus = _rank(traces[i])
        objective = np.nan if not_finite else -minus
        if number < 0 or (not_finite != np.isnan(best)) or objective < best - atol:
            number, best = number + 1, objective
        numbers[i] = number
    return numbers


def _rank(trace: Trace[Any]) -> tuple[bool, float]:
    """Return a key that sorts the best first and what has no finite end last."""
    objective = trace.final.objective
    finite = trace.status is not Status.NON_FINITE and bool(np.isfinite(objective))
    return not finite, -objective if finite else 0.0


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
    found: list[_Solution] = []
    numbers = [0] * len(traces)
    for i in sorted(range(len(traces)), key=lambda i: _rank(traces[i])):
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
