r"""Gaussian mixture in one dimension.

Each observation comes from component k with probability :math:`\pi_k`, and is then normal with
mean :math:`\mu_k` and standard deviation :math:`\sigma_k`. The log-likelihood is

.. math:: \ell = \sum_i \log \sum_k \pi_k \, \mathcal{N}(x_i; \mu_k, \sigma_k^2)

(Bishop, "Pattern Recognition and Machine Learning", 2006, section 9.2). It has no upper bound: a
component that sits on one observation and narrows makes it infinite. A floor for the standard
deviations prevents that.

The standard deviations may be free, common to all components, or known. A common one is estimated
from the squared deviations of all observations, each from the mean of its component: the tied
covariance of McLachlan and Peel ("Finite Mixture Models", 2000, section 3.9) in one dimension. It
cannot fall to 0 before every observation lies on the mean of a component.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from em_core.checks import (
    as_data,
    as_integer,
    check_data,
    check_enough_rows,
    check_kind,
    check_not_negative,
    check_positive,
    check_rng,
    check_vector,
    check_weights,
)
from em_core.kernels import quadratics
from em_core.kernels.nodes import Chosen, Nodes
from em_core.kernels.weighted import Weighted
from em_core.kernels.winners import Run, SortedValues
from em_core.model import Arrays, Mixture, Params, component_axes
from em_core.numerics import Array, centred_logs, equal_weights, every, some

# A variance is a difference of two sums. Below this fraction of them it is mostly rounding error.
_RESOLVED = np.array(1e4 * np.finfo(float).eps)

# The square of a larger number is out of range, and that of a smaller one has not all its digits.
_LARGEST, _SMALLEST = np.sqrt(np.finfo(float).max), np.sqrt(np.finfo(float).tiny)

# An expected number of observations below this has too few digits to divide by.
_SEEN = np.array(np.finfo(float).tiny)

_LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)

# Deviations of data whose powers, and those of their inverses, are all within range.
_MODERATE = (1e-100, 1e100)

# If the means move by less, in deviations of the data, four digits of it may be rounding of
# products, which could also move components apart that are more alike than this.
_STILL = 1e-9

# Squares about a component's mean have ten digits if they are not below this fraction of the
# largest about the mean of all.
_LEFT = 1e-5

# So many values are given to the mixture as nodes, and to so many runs at once.
MANY, _BY_NODES = 2**16, 64

# Parameters are combinations of few components if these are fewer than so many for each of them.
_COMBINED = 2

# So many values are put in order for winner-takes-all assignment.
SORTED = 2**14

_BLOCK_ROWS = 2**13  # that the plain formulas are given at once

Stds = Literal["free", "common", "known"]


@dataclass(frozen=True, eq=False)
class GaussianParams(Params):
    """Mean and standard deviation (units of the data) and mixing weight, each shape (K,)."""

    means: Array = component_axes(0)
    stds: Array = component_axes(0)
    weights: Array = component_axes(0)

    if TYPE_CHECKING:  # lists are welcome, and become arrays

        def __init__(
            self, means: npt.ArrayLike, stds: npt.ArrayLike, weights: npt.ArrayLike
        ) -> None: ...


class GaussianStatistics(NamedTuple):
    """Sums about the means of the E-step, so that an offset in the data costs no digits.

    Attributes
    ----------
    counts : ndarray, shape (K,)
        Expected number of observations of each component.
    deviations : ndarray, shape (K,)
        Expected sum of x - mean.
    squared_deviations : ndarray, shape (K,)
        Expected sum of (x - mean) squared.
    """

    counts: Array
    deviations: Array
    squared_deviations: Array


@dataclass(frozen=True)
class GaussianMixture(Mixture[GaussianParams, GaussianStatistics]):
    """A mixture of normal distributions, for observations (n,).

    Parameters
    ----------
    min_std : float, default 0
        Floor for the standard deviations, in the units of the data. With 0 a component may
        collapse onto one value; :func:`em_core.fit` then stops with ``Status.NON_FINITE``.
    estimate_weights : bool, default True
        Whether the M-step updates the mixing weights, or leaves those of the initial guess.
    stds : {"free", "common", "known"}, default "free"
        Whether the M-step updates the standard deviation of each component by itself, or gives all
        the same (the initial guess must too), or leaves those of the initial guess.

    Raises
    ------
    ValueError
        If ``min_std`` is not a finite number, 0 or larger, or ``stds`` is none of the three.
    """

    min_std: float = 0.0
    estimate_weights: bool = True
    stds: Stds = "free"

    def __post_init__(self) -> None:
        check_not_negative("min_std", self.min_std)
        if self.stds not in get_args(Stds):
            raise ValueError(f"stds must be 'free', 'common' or 'known', got {self.stds!r}")

    def check(self, data: npt.NDArray[Any], params: GaussianParams) -> None:
        """Raise ValueError unless data are finite numbers and params a mixture of this kind."""
        check_data(data, ndim=1)
        self.check_params(params)
        # From below the floor the first M-step could only go down.
        if params.stds.min() < self.min_std:
            low = int((params.stds < self.min_std).argmax())
            raise ValueError(
                f"stds must be at least min_std = {self.min_std:g}, "
                f"got {params.stds[low]} at [{low}]"
            )
        # From unequal ones the first M-step could lose likelihood.
        if self.stds == "common" and (params.stds != params.stds[0]).any():
            k = int((params.stds != params.stds[0]).argmax())
            raise ValueError(
                "stds of the initial guess must all be the same where stds='common', "
                f"got {params.stds[0]} at [0] and {params.stds[k]} at [{k}]"
            )

    def check_params(self, params: GaussianParams) -> None:
        """Raise ValueError unless params describe a mixture, whatever its standard deviations."""
        check_kind(params, GaussianParams)
        check_vector("means", params.means)
        check_vector("stds", params.stds)
        check_positive("stds", params.stds)
        check_weights(params.weights)

    def prepare(
        self, data: npt.NDArray[Any], counts: Array | None = None
    ) -> "PreparedValues | None":
        """Return the values about their mean; None if they are counted, or hardly differ."""
        n = len(data)
        if counts is not None or n == 1:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(np.add.reduce(data, dtype=float)) / n
            deviations = data - mean
            # No product of BLAS, whose threads may round otherwise.
            std = math.sqrt(np.add.reduce(deviations * deviations) / n)
        low, high = _MODERATE
        furthest = max(float(deviations.max()), -float(deviations.min()))
        if not (low < std and furthest < high):
            return None
        return PreparedValues(self, data, mean, std, furthest)

    def prepare_hard(
        self, data: npt.NDArray[Any], counts: Array | None = None
    ) -> "SortedForWinners | None":
        """Return the values in order, for :class:`em_core.HardEM`; None if they are few."""
        if counts is not None or len(data) < SORTED or type(self) is not GaussianMixture:
            return None
        return SortedForWinners(self, data)

    def log_joint(self, data: npt.NDArray[Any], params: GaussianParams) -> Array:
        """Return log(pi_k N(x_i; mu_k, sigma_k^2)), shape (n, K)."""
        means, stds, weights = params.means, params.stds, params.weights
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            # Typed weights may sum to one only nearly; what the M-step returns does exactly.
            constant = np.log(weights / (weights.sum() * stds)) - _LOG_SQRT_2PI
            # A row a component, so that they are contiguous; in place, for a fifth of a fit's time.
            z = data - means[:, None]
            z *= np.sqrt(0.5) / stds[:, None]
            z *= z  # (x_i - mu_k)^2 / (2 sigma_k^2)
            return np.asarray(np.subtract(constant[:, None], z, out=z).T)

    def statistics(
        self, data: npt.NDArray[Any], params: GaussianParams, responsibilities: Array
    ) -> GaussianStatistics:
        """Add up the shares, and the deviations from the current means weighted by them."""
        shares, deviations = responsibilities.T, data - params.means[:, None]
        counts = shares.sum(axis=1)  # N_k = sum_i r_ik
        first = np.vecdot(shares, deviations)  # sum_i r_ik (x_i - mu_k)
        second = np.vecdot(shares, deviations**2)  # sum_i r_ik (x_i - mu_k)^2
        return GaussianStatistics(counts, first, second)

    def m_step(self, statistics: GaussianStatistics, previous: GaussianParams) -> GaussianParams:
        """Return the weighted means and standard deviations; a component without data stays."""
        return GaussianParams.of(self.m_step_many(statistics, previous.arrays()))

    def m_step_many(self, statistics: GaussianStatistics, previous: Arrays) -> Arrays:
        """Return the M-step of one run, or of several whose arrays have leading axes."""
        counts, first, second = statistics
        means, stds, weights = previous["means"], previous["stds"], previous["weights"]
        seen = counts > _SEEN
        all_seen = np.count_nonzero(seen) == seen.size
        n = counts if all_seen else np.where(seen, counts, np.inf)
        shifts = first / n
        variances = about_new_means(shifts, second / n)  # sum_i r_ik (x_i - mu_k)^2 / N_k
        if self.stds == "free":
            roots = np.sqrt(variances)
            stds = roots if all_seen else np.where(seen, roots, stds)
        elif self.stds == "common":  # sigma^2 = sum_k N_k sigma_k^2 / n
            pooled = np.sum(counts * variances, axis=-1, keepdims=True, where=seen)
            pooled /= np.sum(counts, axis=-1, keepdims=True)
            stds = np.broadcast_to(np.sqrt(pooled), stds.shape).copy()
        if self.estimate_weights:  # N_k / n
            weights = (counts.T / np.add.reduce(counts, axis=-1)).T
        return {
            "means": means + shifts,  # mu_k = sum_i r_ik x_i / N_k
            "stds": np.maximum(stds, self.min_std) if self.min_std else stds,
            "weights": weights,
        }

    def expected_objective(
        self,
        statistics: GaussianStatistics,
        params: GaussianParams,
        previous: GaussianParams,
    ) -> float:
        """Return Q = sum_k N_k log(pi_k / sigma_k) - sum_i r_ik (x_i - mu_k)^2 / (2 sigma_k^2)."""
        counts, first, second = statistics
        move = params.means - previous.means
        squares = second - 2 * move * first + counts * move**2  # about the new means
        weights = params.weights / params.weights.sum()
        terms = xlogy(counts, weights / params.stds) - squares / (2 * params.stds**2)
        return float(terms.sum())

    def component_counts(self, statistics: GaussianStatistics) -> Array:
        """Return the expected number of observations of each component, shape (K,)."""
        return statistics.counts

    def n_parameters(self, params: GaussianParams) -> int:
        """Return the number of free parameters.

        K means; K standard deviations, or 1 in common, or none if they are known; and K - 1 weights
        if these are estimated.
        """
        k = params.n_components
        return k + self._n_stds(k) + (k - 1) * self.estimate_weights

    def to_free(self, params: GaussianParams, like: GaussianParams) -> Array:
        """Return (mu_k - m_k) / s_k, log(sigma_k / s_k) and log-odds of the weights: see Model.

        m_k and s_k are the means and standard deviations of ``like``.
        """
        return self.to_free_many(params.arrays(), like.arrays())

    def to_free_many(self, arrays: Arrays, like: Arrays) -> Array:
        """Return the same of several parameters, whose arrays have leading axes."""
        means, stds = arrays["means"], arrays["stds"]
        k, n_stds = means.shape[-1], self._n_stds(means.shape[-1])
        free = np.empty((*means.shape[:-1], k + n_stds + k * self.estimate_weights))
        np.divide(means - like["means"], like["stds"], out=free[..., :k])
        if n_stds:
            ratios = stds[..., :n_stds] / like["stds"][..., :n_stds]
            np.log(ratios, out=free[..., k : k + n_stds])
        if self.estimate_weights:
            free[..., k + n_stds :] = centred_logs(arrays["weights"])
        return free

    def from_free(self, vector: Array, like: GaussianParams) -> GaussianParams:
        """Return the parameters of which :meth:`to_free` makes this vector."""
        return GaussianParams.of(self.from_free_many(vector, like.arrays()))

    def from_free_many(self, vectors: Array, like: Arrays) -> Arrays:
        """Return the same of several vectors, (..., entries)."""
        k = like["means"].shape[-1]
        n_stds = self._n_stds(k)
        stds, weights = like["stds"], like["weights"]
        if n_stds:
            stds = np.maximum(stds * np.exp(vectors[..., k : k + n_stds]), self.min_std)
        if self.estimate_weights:
            logs = vectors[..., k + n_stds :]
            weights = np.exp(logs - np.maximum.reduce(logs, axis=-1, keepdims=True))
            weights /= np.add.reduce(weights, axis=-1, keepdims=True)
        means = like["means"] + vectors[..., :k] * like["stds"]
        return {"means": means, "stds": stds, "weights": weights}

    def _n_stds(self, n_components: int) -> int:
        """Return the number of standard deviations that are estimated."""
        return {"free": n_components, "common": 1, "known": 0}[self.stds]

    def why_not_finite(self, params: GaussianParams) -> str:
        """Return whether a component collapsed, or numbers are out of range; and what to do."""
        far = float(np.abs(params.means).max())
        if far == 0 and not params.stds.any():
            return (
                "All observations are 0, or so near to it that their squares are below the range "
                "of floating-point numbers. Give the data in a smaller unit or, if all are 0, set "
                "a floor for the standard deviations (min_std)."
            )
        if far < _SMALLEST and params.stds.max() < _SMALLEST:
            return (
                "Squared distances from the means are below the range of floating-point numbers. "
                "Give the data in a smaller unit."
            )
        if (params.stds == 0).any() and far < _LARGEST:
            if self.stds == "common":
                return (
                    "Every observation lies on the mean of a component: the common standard "
                    "deviation is 0, and the densities are infinite there. Look for fewer "
                    "components than there are different observations, or set a floor for the "
                    "standard deviation (min_std)."
                )
            return (
                "A component has collapsed onto a single value: its standard deviation is 0, and "
                "its density is infinite there. Start from another guess, or set a floor for the "
                "standard deviations (min_std)."
            )
        return (
            "Squared distances from the means, in standard deviations, are out of the range of "
            "floating-point numbers. Give the data in a larger unit, or start from means that are "
            "nearer to them."
        )

    def draw(
        self, params: GaussianParams, labels: npt.NDArray[np.int64], *, rng: np.random.Generator
    ) -> Array:
        """Draw a value from the normal distribution of each label, shape (n,)."""
        return rng.normal(params.means[labels], params.stds[labels])


# Statistics, objectives, and whether they are precise.
Found = tuple[GaussianStatistics, Array, npt.NDArray[np.bool_]]


class PreparedValues:
    """Values about their mean, and E-steps by products of matrices.

    See :mod:`em_core.kernels.quadratics`. The plain formulas are taken where these would lose
    digits: for components that are narrow among the data, for blocks in which a density is out of
    range, and where a run has arrived, for otherwise it would be moved to and fro by rounding.
    """

    def __init__(
        self,
        model: GaussianMixture,
        data: npt.NDArray[Any],
        mean: float,
        std: float,
        furthest: float,
    ) -> None:
        self.model, self.data, self.mean, self.std = model, data, mean, std
        self.log_unit = math.log(std)
        self.reach = np.array([1.0, furthest, furthest**2])
        self._centre, self._still = np.array(mean), np.array(_STILL * std)
        self._left = np.array(_LEFT * furthest**2)

    @functools.cached_property
    def rows(self) -> Array:
        """1, x and x squared of the deviations from the mean."""
        return quadratics.powers(self.data - self.mean)

    @functools.cached_property
    def nodes(self) -> Nodes:
        """What stands for many values."""
        return Nodes(self.data - self.mean)

    def n_looked_at(self, params: GaussianParams) -> int:
        """Return how many values or nodes an E-step under such parameters looks at."""
        chosen = None
        if len(self.data) >= MANY:
            chosen = self.nodes.choose(params.means - self.mean, params.stds, params.weights)
        return len(self.data if chosen is None else chosen[0])

    def begin(self) -> Callable[[GaussianParams], tuple[GaussianStatistics, float]]:
        """Return the E-step of one run."""
        by_products = self._begin()

        def by_values(params: GaussianParams) -> tuple[GaussianStatistics, float]:
            found = by_products(params.means, params.stds, params.weights)
            if found is None or not found[2]:
                return self._plainly(params, self.data)
            return found[0], float(found[1])

        if len(self.data) < MANY:
            return by_values
        choose, weighted = self.nodes.begin(), Weighted(self.log_unit)

        def by_nodes(params: GaussianParams) -> tuple[GaussianStatistics, float]:
            means = params.means - self.mean
            chosen = choose(means, params.stds, params.weights)
            if not chosen:
                return by_values(params)
            each = (*chosen, means, params.stds, params.weights)
            sums, objectives, in_range = weighted.sums(*(array[None] for array in each))
            if in_range[0]:
                return GaussianStatistics(*sums[:, 0]), float(objectives[0])
            moved = GaussianParams(means, params.stds, params.weights)
            return self._plainly(moved, *chosen)

        return by_nodes

    def objectives(self, arrays: Arrays) -> Array:
        """Return the log-likelihood under each of many parameters, which have a leading axis.

        Where these are combinations of few components, as on a grid, each has its densities once.
        """
        of = self.begin_many()
        found = self._of_combinations(arrays)
        left = np.flatnonzero(np.isnan(found))
        at_once = self.at_once(arrays["means"].shape[1])
        for first in range(0, len(left), at_once):
            some = left[first : first + at_once]
            found[some] = of({name: array[some] for name, array in arrays.items()})[1]
        return found

    def _of_combinations(self, arrays: Arrays) -> Array:
        """Return the same, not a number where they are no combinations of few components."""
        means, weights = arrays["means"] - self.mean, arrays["weights"]
        shares = weights / np.add.reduce(weights, axis=1, keepdims=True)
        components, places, firsts = [], [], [0]
        for of_place in np.stack([means, arrays["stds"], shares], axis=2).swapaxes(0, 1):
            different, which = np.unique(of_place, axis=0, return_inverse=True)
            components.append(different)
            places.append(which.reshape(-1) + firsts[-1])
            firsts.append(firsts[-1] + len(different))
        values: Chosen | None = None
        if firsts[-1] < _COMBINED * len(means):
            own_means, own_stds, own_shares = np.concatenate(components).T
            if len(self.data) < MANY:
                values = self.rows[1], self.rows[0]
            else:
                values = self.nodes.choose_for_all(own_means, own_stds, own_shares, firsts[:-1])
        if values is None:
            return np.full(len(means), np.nan)
        return Weighted(self.log_unit).log_likelihoods(
            *values, own_means, own_stds, own_shares, np.stack(places, axis=1)
        )

    def at_once(self, n_components: int) -> int:
        """Return how many runs' arrays fit the cache together; or take their nodes together."""
        if len(self.data) >= MANY:
            return _BY_NODES
        return max(1, quadratics.NUMBERS_AT_ONCE // (n_components * len(self.data)))

    def begin_many(self) -> Callable[[Arrays], tuple[GaussianStatistics, Array]]:
        """Return the E-step of several runs, whose parameters have a leading axis."""
        if len(self.data) >= MANY:
            return self._begin_many_by_nodes()
        by_products = self._begin()

        def e_step(arrays: Arrays) -> tuple[GaussianStatistics, Array]:
            means = arrays["means"]
            found = by_products(means, arrays["stds"], arrays["weights"])
            if found is None:
                statistics = GaussianStatistics(*np.empty((3, *means.shape)))
                objectives, precise = np.empty(len(means)), np.zeros(len(means), dtype=bool)
            else:
                statistics, objectives, precise = found
            for r in np.flatnonzero(~precise):
                params = GaussianParams(**{name: each[r] for name, each in arrays.items()})
                own, objectives[r] = self._plainly(params, self.data)
                for sums, of_run in zip(statistics, own, strict=True):
                    sums[r] = of_run
            return statistics, objectives

        return e_step

    def _begin_many_by_nodes(self) -> Callable[[Arrays], tuple[GaussianStatistics, Array]]:
        choose, weighted, alone = self.nodes.begin_many(), Weighted(self.log_unit), self.begin()

        def e_step(arrays: Arrays) -> tuple[GaussianStatistics, Array]:
            means, stds, weights = arrays["means"] - self.mean, arrays["stds"], arrays["weights"]
            sums, objectives = np.empty((3, *means.shape)), np.empty(len(means))
            shares = weights / np.add.reduce(weights, axis=1, keepdims=True)
            terms = quadratics.coefficients(means, stds, shares, self.log_unit)
            trusted = quadratics.term_size(terms, self.reach) <= quadratics.TRUSTED
            trusted &= means.shape[1] > 1
            groups, left = choose(means, stds, weights)
            for runs, nodes, times in groups:
                some = trusted[runs]
                if some.any():
                    now = runs[some]
                    raw, objectives[now], good = weighted.sums_by_products(
                        nodes[some], times[some], terms[now]
                    )
                    sums[:, now] = statistics = _about(means[now], raw)
                    some[some] = good & self._tell(means[now], statistics)
                now = runs[~some]
                if len(now):
                    mixtures = means[now], stds[now], weights[now]
                    sums[:, now], objectives[now], good = weighted.sums(
                        nodes[~some], times[~some], *mixtures
                    )
                    left = [*left, *now[~good].tolist()]
            for r in left:
                params = GaussianParams(**{name: each[r] for name, each in arrays.items()})
                own, objectives[r] = alone(params)
                sums[:, r] = own
            return GaussianStatistics(*sums), objectives

        return e_step

    def _begin(self) -> Callable[[Array, Array, Array], Found | None]:
        """Return E-steps by products, with a place to work."""
        work = np.empty(0)

        def e_step(means: Array, stds: Array, weights: Array) -> Found | None:
            nonlocal work
            length = min(quadratics.AT_ONCE, len(self.data))
            if len(work) < means.size * length:
                work = np.empty(means.size * length)
            return self._by_products(means, stds, weights, length, work)

        return e_step

    def _by_products(
        self, means: Array, stds: Array, weights: Array, length: int, work: Array
    ) -> Found | None:
        """Return statistics, objectives, and which are as precise as the plain formulas'.

        None are if the components are narrow among the data.
        """
        means = means - self._centre
        found = quadratics.coefficients(means, stds, weights, self.log_unit)
        precise = quadratics.trusted(found, self.reach)
        if precise is not True and not precise.any():
            return None
        n = len(self.data)
        sums, objective, in_range = quadratics.expected_sums(found, self.rows[:, :length], work)
        for start in range(length, n, length):
            rows = self.rows[:, start : start + length]
            more, of_rows, in_range_too = quadratics.expected_sums(found, rows, work)
            sums += more
            objective = objective + of_rows
            in_range = in_range & in_range_too
        # Typed weights may sum to one only nearly. Shares do not notice.
        objective = objective - n * (self.log_unit + np.log(np.add.reduce(weights, axis=-1)))
        statistics = _about(means, sums)
        return statistics, objective, precise & in_range & self._tell(means, statistics)

    def _tell(self, means: Array, statistics: GaussianStatistics) -> Any:
        """Return whether sums about the means have digits left, and tell how the means move."""
        counts, first, second = statistics
        places = means.copy()
        places.sort()
        apart = every(places[..., 1:] - places[..., :-1] > self._still)
        moved = some(np.abs(first) > counts * self._still)
        return apart & moved & every(second >= counts * self._left)

    def _plainly(
        self, params: GaussianParams, data: npt.NDArray[Any], counts: Array | None = None
    ) -> tuple[GaussianStatistics, float]:
        """Return what the textbook's formulas make of values."""
        found = []
        for start in range(0, len(data), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            times = None if counts is None else counts[rows]
            found.append(self.model.expect(data[rows], params, times))
        sums = (np.sum(each, axis=0) for each in zip(*(sums for sums, _ in found), strict=True))
        return GaussianStatistics(*sums), sum(objective for _, objective in found)


class SortedForWinners:
    """Values in order, and E-steps that find where along them the winner changes.

    See :mod:`em_core.kernels.winners`.
    """

    def __init__(self, model: GaussianMixture, data: npt.NDArray[Any]) -> None:
        self.model, self.ordered = model, SortedValues(data)

    def n_looked_at(self, params: GaussianParams) -> int:
        """Return how many blocks of values an E-step looks at."""
        return self.ordered.n_blocks

    def objectives(self, arrays: Arrays) -> Array:
        """Return the objective under each of many parameters, which have a leading axis."""
        means, stds, weights = (arrays[name] for name in ("means", "stds", "weights"))
        shares = weights / weights.sum(axis=1, keepdims=True)
        found = self.ordered.objectives(means, stds, shares)
        for r in np.flatnonzero(np.isnan(found)).tolist():
            own = GaussianParams(**{name: array[r] for name, array in arrays.items()})
            found[r] = self._expect(own)[1]
        return found

    def begin(self) -> Callable[[GaussianParams], tuple[GaussianStatistics, float]]:
        """Return the E-step of one run."""
        return self._expect

    def _expect(self, params: GaussianParams) -> tuple[GaussianStatistics, float]:
        """Return the sums over the values that each wins, and that of their log joint densities."""
        log_joint = functools.partial(self.model.log_joint, params=params)
        runs = self.ordered.runs(params.means, params.stds, params.weights, log_joint)
        if runs is None:
            runs = [Run(0, len(self.ordered.values), None)]
        sums, objective = np.zeros((3, len(params.means))), 0.0
        constants = np.log(params.weights / (params.weights.sum() * params.stds)) - _LOG_SQRT_2PI
        for run in runs:
            k = run.winner
            if k is None:
                more, of_run = self._one_by_one(self.ordered.values[run.start : run.stop], params)
                sums += more
            else:
                found = self.ordered.sums(run, float(params.means[k]))
                sums[:, k] += found
                of_run = found[0] * constants[k] - found[2] / (2 * params.stds[k] ** 2)
            objective += float(of_run)
        return GaussianStatistics(*sums), objective

    def _one_by_one(self, values: Array, params: GaussianParams) -> tuple[Array, float]:
        """Return the same where rounding decides, or densities are out of range."""
        found = self.model.log_joint(values, params)
        winners = found.argmax(axis=1)
        deviations = values - params.means[winners]
        sums = [
            np.bincount(winners, weights=each, minlength=len(params.means))
            for each in (np.ones(len(values)), deviations, deviations**2)
        ]
        return np.array(sums), float(found.max(axis=1).sum())


def _about(means: Array, sums: Array) -> GaussianStatistics:
    """Return sums of 1, x and x squared, shape (..., K, 3), as sums about means (..., K)."""
    counts, first, second = sums[..., 0], sums[..., 1], sums[..., 2]
    deviations = first - means * counts
    # sum r (x - m)^2 = sum r x^2 - m (sum r x + sum r (x - m))
    return GaussianStatistics(counts, deviations, second - means * (first + deviations))


def about_new_means(shifts: Array, mean_squares: Array) -> Array:
    """Return variances about the means to which the M-step moves, shape (K,).

    The plain formula is sum_i r_ik (x_i - m_k)^2 / N_k - (mu_k - m_k)^2, where m_k is the mean
    before and mu_k after the step. Where a long move of the mean has eaten the variance's digits,
    this narrows only as far as they can tell, and leaves the rest to the next step: the expected
    log-likelihood still rises.

    Parameters
    ----------
    shifts : ndarray, shape (K,)
        mu_k - m_k.
    mean_squares : ndarray, shape (K,)
        Mean squared deviations from m_k.
    """
    return np.maximum(mean_squares - shifts**2, _RESOLVED * mean_squares)


def guess_integers(
    data: npt.ArrayLike, n_components: int, *, rng: np.random.Generator
) -> GaussianParams:
    """Start as Wang (2022) does: whole means in the data's range, whole deviations from 1 to 9.

    Mixing weights are equal.

    Raises
    ------
    ValueError
        If ``data`` are not finite numbers (n,), ``n_components`` is not a positive whole number, or
        ``rng`` is no generator.
    """
    values = as_data(data, ndim=1)
    k = as_integer("n_components", n_components, minimum=1)
    check_rng(rng)
    low, high = int(np.floor(values.min())), int(np.ceil(values.max()))
    return GaussianParams(
        means=rng.integers(low, high, size=k, endpoint=True).astype(float),
        stds=rng.integers(1, 9, size=k, endpoint=True).astype(float),
        weights=equal_weights(k),
    )


def guess_from_points(
    data: npt.ArrayLike, n_components: int, *, rng: np.random.Generator
) -> GaussianParams:
    """Start with means at different observations, drawn at random.

    All standard deviations are that of the whole data, and the mixing weights are equal.

    Raises
    ------
    ValueError
        If there are fewer observations than components, all observations are equal, ``data`` are
        not finite numbers (n,), or ``rng`` is no generator.
    """
    values = as_data(data, ndim=1)
    check_rng(rng)
    k = check_enough_rows(values, n_components)
    rows = rng.choice(len(values), size=k, replace=False)
    if (values == values[0]).all():  # np.std may return rounding error here, not 0
        raise ValueError(
            f"data must differ to give a standard deviation, got {len(values)} times {values[0]}"
        )
    return GaussianParams(values[rows], np.full(k, np.std(values)), equal_weights(k))
