r"""Gaussian mixture in any number of dimensions.

Each observation comes from component k with probability :math:`\pi_k`, and is then normal with
mean :math:`\mu_k` and covariance matrix :math:`\Sigma_k`. The log-likelihood is

.. math:: \ell = \sum_i \log \sum_k \pi_k \, \mathcal{N}(x_i; \mu_k, \Sigma_k)

(Bishop, "Pattern Recognition and Machine Learning", 2006, section 9.2.2). It has no upper bound: a
component that sits on one observation and narrows makes it infinite, and so does one with a full
covariance matrix that becomes flat about a few of them. A floor for the standard deviations, in
whatever direction, prevents that.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import softmax, xlogy

from em_core.checks import (
    as_data,
    check_data,
    check_enough_rows,
    check_finite,
    check_kind,
    check_not_negative,
    check_rng,
    check_weights,
)
from em_core.kernels import quadratics
from em_core.kernels.boxes import Boxes
from em_core.kernels.cells import Cells, Nodes, expected_sums, log_likelihoods
from em_core.kernels.likeliest import sums_of_largest, sums_of_likeliest
from em_core.model import Arrays, Mixture, Params, component_axes
from em_core.numerics import (
    ROUNDING,
    Array,
    centred_logs,
    cholesky,
    equal_weights,
    is_flat,
    is_singular,
)

Covariance = Literal["full", "tied", "diag", "spherical"]

# A variance is a difference of two sums. Below this fraction of them it is mostly rounding error.
_RESOLVED = 1e4 * np.finfo(float).eps

# A move so much longer than the standard deviation that remains has eaten digits of the latter:
# the square of the one, as a fraction of the mean square about where the move began.
_LONG = 0.99

# Differences between numbers that are to be equal, in terms of their size, are rounding error.
_EQUAL = 1e-12

# What is so many times as large is larger for certain, whatever rounding has made of it.
_WELL = 1.01

# The square of a larger number is out of range, and that of a smaller one has not all its digits.
_LARGEST, _SMALLEST = np.sqrt(np.finfo(float).max), np.sqrt(np.finfo(float).tiny)

# An expected number of observations below this has too few digits to divide by.
_SEEN = np.finfo(float).tiny

_LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)

# What is prepared: rows of so many coordinates, whose densities are then not too high for products
# of eight; no fewer than are worth it, and no more than may be kept a second time.
_COORDINATES, _ROWS = 3, (2**10, 2**20)

# Deviations of data whose powers, and those of their inverses, are all within range.
_MODERATE = (1e-100, 1e100)

# If the means move by less, in deviations of the data, four digits of it may be rounding of
# products, which could also move components apart that are more alike than this.
_STILL = 1e-9

# Squares about a component's mean have ten digits if they are not below this fraction of those
# about the mean of all.
_LEFT = 1e-5

_BLOCK_ROWS = 2**13  # that the plain formulas are given at once

# So many points in the plane are given to the mixture as nodes, and to so many runs at once.
MANY, _BY_NODES = 2**15, 32

# Terms up to this size leave a logarithm digits enough to tell most winners.
_DECIDED = 2.0**24

# Terms up to this size leave the logarithm of a density the digits that a picture shows.
_SHOWN = 2.0**17

# Nodes for log-likelihoods are chosen for so many of those that are left at a time, so often.
_SAMPLE, _ROUNDS = 4, 12

# Runs go together that need no more than so many times the nodes of the run with the fewest. Others
# have theirs looked for after so many E-steps, at the most.
_ALIKE, _LONGEST_PAUSE = 2.0, 64

# E-steps of a run in which fewer nodes are looked for.
_FOR_FEWER = (24, 120)


@dataclass(frozen=True, eq=False)
class MultivariateGaussianParams(Params):
    """Mean (K, d), covariance matrix (K, d, d) and mixing weight (K,) of each component.

    Means are in the units of the data, covariances in their products. Where all components share
    one covariance matrix it stands here K times.
    """

    means: Array = component_axes(0)
    covariances: Array = component_axes(0)
    weights: Array = component_axes(0)

    if TYPE_CHECKING:  # lists are welcome, and become arrays

        def __init__(
            self, means: npt.ArrayLike, covariances: npt.ArrayLike, weights: npt.ArrayLike
        ) -> None: ...


class MultivariateGaussianStatistics(NamedTuple):
    """Sums about the means of the E-step, so that an offset in the data costs no digits.

    Attributes
    ----------
    counts : ndarray, shape (K,)
        Expected number of observations of each component.
    deviations : ndarray, shape (K, d)
        Expected sum of x - mean.
    products : ndarray, shape (K, d, d)
        Expected sum of (x - mean) (x - mean)^T.
    """

    counts: Array
    deviations: Array
    products: Array


@dataclass(frozen=True)
class MultivariateGaussianMixture(
    Mixture[MultivariateGaussianParams, MultivariateGaussianStatistics]
):
    """A mixture of normal distributions in d dimensions, for observations (n, d).

    Parameters
    ----------
    covariance : {"full", "tied", "diag", "spherical"}, default "full"
        What the components may look like: each with a covariance matrix of its own; all with the
        same one; each with standard deviations of its own along the axes, and no correlation; each
        round, with one standard deviation in all directions.
    min_std : float, default 0
        Floor for the standard deviations in all directions, in the units of the data: the square
        roots of the eigenvalues of the covariance matrices. With 0 a component may collapse;
        :func:`em_core.fit` then stops with ``Status.NON_FINITE``.
    estimate_weights : bool, default True
        Whether the M-step updates the mixing weights, or leaves those of the initial guess.

    Raises
    ------
    ValueError
        If ``covariance`` is none of these, or ``min_std`` is not a finite number, 0 or larger.
    """

    covariance: Covariance = "full"
    min_std: float = 0.0
    estimate_weights: bool = True

    def __post_init__(self) -> None:
        _check_covariance(self.covariance)
        check_not_negative("min_std", self.min_std)

    def check(self, data: npt.NDArray[Any], params: MultivariateGaussianParams) -> None:
        """Raise ValueError unless data are finite numbers and params describe such a mixture."""
        check_data(data, ndim=2)
        self.check_params(params)
        if params.means.shape[1] != data.shape[1]:
            raise ValueError(
                f"means must have shape (K, {data.shape[1]}) to match data of shape {data.shape}, "
                f"got {params.means.shape}"
            )
        # From below the floor the first M-step could only go down.
        variances = np.linalg.eigvalsh(params.covariances)
        low = np.flatnonzero(variances[:, 0] < self.min_std**2 - _EQUAL * variances[:, -1])
        if len(low):
            raise ValueError(
                "covariances must have standard deviations of at least min_std = "
                f"{self.min_std:g} in all directions, "
                f"got {np.sqrt(variances[low[0], 0]):g} at [{low[0]}]"
            )

    def check_params(self, params: MultivariateGaussianParams) -> None:
        """Raise ValueError unless params describe a mixture, be its deviations below the floor."""
        check_kind(params, MultivariateGaussianParams)
        means, covariances = params.means, params.covariances
        if means.ndim != 2 or means.size == 0:
            raise ValueError(
                f"means must have shape (K, d) with K and d at least 1, got {means.shape}"
            )
        check_finite("means", means)
        if covariances.shape != (*means.shape, means.shape[1]):
            raise ValueError(
                f"covariances must have shape {(*means.shape, means.shape[1])} to match means of "
                f"shape {means.shape}, got {covariances.shape}"
            )
        check_finite("covariances", covariances)
        _check_definite(covariances)
        _check_form(covariances, self.covariance)
        check_weights(params.weights)

    def prepare(self, data: npt.NDArray[Any], counts: Array | None = None) -> "PreparedRows | None":
        """Return the rows about their mean; None if they are few, counted, or hardly differ."""
        n, d = data.shape
        if counts is not None or not (_ROWS[0] <= n <= _ROWS[1] and d <= _COORDINATES):
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            centre = data.mean(axis=0)
            stds = data.std(axis=0)  # no product of BLAS, whose threads may round otherwise
        low, high = _MODERATE
        if not ((low < stds) & (stds < high) & (np.abs(data - centre).max(axis=0) < high)).all():
            return None
        return PreparedRows(self, data, centre, np.exp2(np.rint(np.log2(stds))))

    def prepare_hard(
        self, data: npt.NDArray[Any], counts: Array | None = None
    ) -> "PreparedForWinners | None":
        """Return the rows for assignment to the likeliest component: see :class:`HardEM`."""
        made = self.prepare(data, counts)
        return None if made is None else PreparedForWinners(made)

    def log_joint(self, data: npt.NDArray[Any], params: MultivariateGaussianParams) -> Array:
        """Return log(pi_k N(x_i; mu_k, Sigma_k)), shape (n, K)."""
        whiten, log_volumes = whitening(params.covariances)  # L^-1 and log |L|: Sigma = L L^T
        rows = np.ascontiguousarray(data.T)  # a coordinate each
        components = zip(whiten, params.means[:, :, None], strict=True)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            # Typed weights may sum to one only nearly; what the M-step returns does exactly.
            constant = np.log(params.weights / params.weights.sum()) - log_volumes
            constant -= params.means.shape[1] * _LOG_SQRT_2PI
            whitened = (inverse @ (rows - mean) for inverse, mean in components)
            squares = np.stack([(z**2).sum(axis=0) for z in whitened])  # |L^-1 (x_i - mu_k)|^2
            squares *= -0.5  # in place, since arrays more would crowd each other out of the cache
            squares += constant[:, None]
            return np.asarray(squares.T)

    def statistics(
        self,
        data: npt.NDArray[Any],
        params: MultivariateGaussianParams,
        responsibilities: Array,
    ) -> MultivariateGaussianStatistics:
        """Add up the shares, and the deviations from the current means weighted by them."""
        counts = responsibilities.sum(axis=0)  # N_k = sum_i r_ik
        first, second = np.empty_like(params.means), np.empty_like(params.covariances)
        rows = np.ascontiguousarray(data.T)  # a coordinate each
        for k, (shares, mean) in enumerate(zip(responsibilities.T, params.means, strict=True)):
            deviations = rows - mean[:, None]
            first[k] = deviations @ shares  # sum_i r_ik (x_i - mu_k)
            second[k] = (deviations * shares) @ deviations.T  # ... (x_i - mu_k) (x_i - mu_k)^T
        return MultivariateGaussianStatistics(counts, first, second)

    def m_step(
        self,
        statistics: MultivariateGaussianStatistics,
        previous: MultivariateGaussianParams,
    ) -> MultivariateGaussianParams:
        """Return the weighted means and covariances; a component without data stays."""
        arrays = self.m_step_many(statistics, previous.arrays())
        return MultivariateGaussianParams(**arrays)

    def m_step_many(self, statistics: MultivariateGaussianStatistics, previous: Arrays) -> Arrays:
        """Return the M-step of one run, or of several whose arrays have leading axes."""
        counts, first, second = statistics
        seen = counts > _SEEN
        n = np.where(seen, counts, np.inf)
        shifts = first / n[..., None]
        # S_k = sum_i r_ik (x_i - mu_k) (x_i - mu_k)^T / N_k
        scatters = about_new_means(shifts, second / n[..., None, None])
        found = raised_to(self.min_std, in_form(self.covariance, scatters, counts))
        informed = self._informed(seen)[..., None, None]
        total = np.add.reduce(counts, axis=-1, keepdims=True)
        return {
            "means": previous["means"] + shifts,  # mu_k = sum_i r_ik x_i / N_k
            "covariances": np.where(informed, found, previous["covariances"]),
            "weights": counts / total if self.estimate_weights else previous["weights"],  # N_k / n
        }

    def expected_objective(
        self,
        statistics: MultivariateGaussianStatistics,
        params: MultivariateGaussianParams,
        previous: MultivariateGaussianParams,
    ) -> float:
        """Return Q = sum_k N_k log(pi_k / |Sigma_k|^(1/2)) - tr(Sigma_k^-1 N_k S_k) / 2."""
        return float(self.expected_objective_many(statistics, params.arrays(), previous))

    def expected_objective_many(
        self,
        statistics: MultivariateGaussianStatistics,
        arrays: Arrays,
        previous: MultivariateGaussianParams,
    ) -> Array:
        """Return the same of one run's parameters, or of many whose arrays have leading axes."""
        counts, means, covariances = statistics.counts, arrays["means"], arrays["covariances"]
        whiten, log_volumes = whitening(covariances.reshape(-1, *covariances.shape[-2:]))
        whiten = whiten.reshape(covariances.shape)
        log_volumes = log_volumes.reshape(means.shape[:-1])
        products = _about(means, statistics, previous)
        squares = (whiten @ products * whiten).sum(axis=(-2, -1))  # tr(L^-1 N_k S_k L^-T)
        weights = arrays["weights"] / arrays["weights"].sum(axis=-1, keepdims=True)
        terms = xlogy(counts, weights) - counts * log_volumes - squares / 2
        return np.asarray(terms.sum(axis=-1))

    def component_counts(self, statistics: MultivariateGaussianStatistics) -> Array:
        """Return the expected number of observations of each component, shape (K,)."""
        return statistics.counts

    def term_size(
        self, statistics: MultivariateGaussianStatistics, params: MultivariateGaussianParams
    ) -> float:
        """Return the size of the terms before those of opposite signs cancel.

        These are the products of coordinates that a squared distance is made of: the nearer a
        covariance matrix is to a singular one, the larger they are.
        """
        counts, _, products = statistics
        whiten, log_volumes = whitening(params.covariances)
        precisions = whiten.mT @ whiten  # Sigma^-1
        weights = params.weights / params.weights.sum()
        terms = np.abs(xlogy(counts, weights)) + np.abs(counts * log_volumes)
        return float(counts.sum() + terms.sum() + np.abs(precisions * products).sum() / 2)

    def n_parameters(self, params: MultivariateGaussianParams) -> int:
        """Return the number of free parameters.

        These are K d means; for each covariance matrix d (d + 1) / 2 if it is full, d if it is
        diagonal, and 1 if it is spherical; and K - 1 weights if they are estimated.
        """
        k, d = map(int, params.means.shape)
        each = d * (d + 1) // 2
        of_covariances = {"full": k * each, "tied": each, "diag": k * d, "spherical": k}
        return k * d + of_covariances[self.covariance] + (k - 1) * self.estimate_weights

    def to_free(
        self, params: MultivariateGaussianParams, like: MultivariateGaussianParams
    ) -> Array:
        """Return means, Cholesky factors with log diagonals, and log-odds of weights: see Model.

        Means and covariances are in the coordinates in which a component of ``like`` has mean 0 and
        covariance matrix 1.
        """
        return self.to_free_many(params.arrays(), like.arrays())

    def to_free_many(self, arrays: Arrays, like: Arrays) -> Array:
        """Return the same of several parameters, whose arrays have leading axes."""
        means, covariances = arrays["means"], arrays["covariances"]
        *runs, k, d = means.shape
        whiten, _ = whitening(like["covariances"].reshape(-1, d, d))
        whiten = whiten.reshape(like["covariances"].shape)  # L^-1
        factors = cholesky((whiten @ covariances @ whiten.mT).reshape(-1, d, d))
        diagonal = np.eye(d, dtype=bool)
        entries = np.where(diagonal, np.log(np.where(diagonal, factors, 1.0)), factors)
        entries = entries.reshape(*runs, k, d, d)[..., self._free_entries(k, d)]
        parts = [np.matvec(whiten, means - like["means"]).reshape(*runs, k * d), entries]
        if self.estimate_weights:
            parts.append(centred_logs(arrays["weights"]))
        return np.concatenate(parts, axis=-1)

    def from_free(
        self, vector: Array, like: MultivariateGaussianParams
    ) -> MultivariateGaussianParams:
        """Return the parameters of which :meth:`to_free` makes this vector."""
        return MultivariateGaussianParams(**self.from_free_many(vector, like.arrays()))

    def from_free_many(self, vectors: Array, like: Arrays) -> Arrays:
        """Return the same of several vectors, (..., entries)."""
        *runs, k, d = like["means"].shape
        free = self._free_entries(k, d)
        ends = np.cumsum([k * d, np.count_nonzero(free)])
        means, entries, shares = np.split(vectors, ends, axis=-1)
        factors = np.zeros((*runs, k, d, d))
        factors[..., free] = entries
        if self.covariance == "tied":
            factors[:] = factors[..., :1, :, :]
        elif self.covariance == "spherical":
            factors[:] = factors[..., :1, :1] * np.eye(d)
        factors = np.where(np.eye(d, dtype=bool), np.exp(factors), factors)
        axes = cholesky(like["covariances"].reshape(-1, d, d)).reshape(factors.shape)
        factors = axes @ factors
        return {
            "means": like["means"] + np.matvec(axes, means.reshape(like["means"].shape)),
            "covariances": raised_to(self.min_std, factors @ factors.mT),
            "weights": softmax(shares, axis=-1) if self.estimate_weights else like["weights"],
        }

    def _free_entries(self, k: int, d: int) -> npt.NDArray[np.bool_]:
        """Return which entries of Cholesky factors are free, shape (K, d, d)."""
        free = np.zeros((k, d, d), dtype=bool)
        if self.covariance == "spherical":
            free[:, 0, 0] = True
        elif self.covariance == "diag":
            free[:] = np.eye(d, dtype=bool)
        else:
            free[: 1 if self.covariance == "tied" else k] = np.tri(d, dtype=bool)
        return free

    def why_not_finite(self, params: MultivariateGaussianParams) -> str:
        """Return whether a component collapsed, or numbers are out of range; and what to do."""
        far = float(np.abs(params.means).max())
        variances = np.diagonal(params.covariances, axis1=1, axis2=2)
        widest = float(np.sqrt(variances.max(initial=0.0)))
        if far < _SMALLEST and widest < _SMALLEST:
            return (
                "Squared distances from the means are below the range of floating-point numbers. "
                "Give the data in a smaller unit or, if all are 0, set a floor for the standard "
                "deviations (min_std)."
            )
        finite = np.isfinite(params.covariances).all(axis=(1, 2))
        flat = np.flatnonzero(is_singular(params.covariances) & finite)
        if len(flat) and far < _LARGEST:
            narrow = np.sqrt(variances[flat[0]]) <= ROUNDING * np.abs(params.means[flat[0]])
            onto = (
                "a single point"
                if narrow.all()
                else "a straight line"
                if len(narrow) == 2
                else "fewer dimensions than the data have"
            )
            who, their = (
                ("All components have", "their")
                if self.covariance == "tied"
                else ("A component has", "its")
            )
            return (
                f"{who} collapsed onto {onto}: {their} standard deviation in some direction is 0, "
                f"and {their} density is infinite there. Start from another guess, or set a floor "
                "for the standard deviations (min_std)."
            )
        return (
            "Squared distances from the means, in standard deviations, are out of the range of "
            "floating-point numbers. Give the data in a larger unit, or start from means that are "
            "nearer to them."
        )

    def draw(
        self,
        params: MultivariateGaussianParams,
        labels: npt.NDArray[np.int64],
        *,
        rng: np.random.Generator,
    ) -> Array:
        """Draw a point from the normal distribution of each label, shape (n, d)."""
        drawn = rng.standard_normal((len(labels), params.means.shape[1]))
        for k, factor in enumerate(np.linalg.cholesky(params.covariances)):
            own = labels == k
            drawn[own] = drawn[own] @ factor.T + params.means[k]  # x = mu + L z
        return drawn

    def _informed(self, seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return whose covariances the data tell: if they are tied, all as soon as one is seen."""
        if self.covariance != "tied":
            return seen
        return np.broadcast_to(seen.any(axis=-1, keepdims=True), seen.shape)


class PreparedRows:
    """Rows about their mean, and E-steps by products of matrices.

    The logarithm of a weighted density is a polynomial of degree two in the coordinates: see
    :mod:`em_core.kernels.quadratics`. Many points in the plane are given to a mixture as nodes: see
    :mod:`em_core.kernels.cells`. The plain formulas are taken where products would lose digits: for
    components that are narrow among the data, in whatever direction, for blocks in which a density
    is out of range, and where a run has arrived.

    Parameters
    ----------
    model : MultivariateGaussianMixture
        What the plain formulas are those of.
    data : ndarray, shape (n, d)
    centre, units : ndarray, shape (d,)
        The mean, and powers of two near the standard deviations, which cost no digits.
    """

    def __init__(
        self,
        model: MultivariateGaussianMixture,
        data: npt.NDArray[Any],
        centre: Array,
        units: Array,
    ) -> None:
        self.model, self.data, self.centre, self.units = model, data, centre, units
        self.log_unit = float(np.log(units).sum())
        self.pairs = np.triu_indices(len(centre))
        self.halves = np.where(np.equal(*self.pairs), -0.5, -1.0)
        self.many = len(data) >= MANY and len(centre) == 2

    @functools.cached_property
    def rows(self) -> Array:
        """1, the coordinates, and the products of any two, shape (T, n)."""
        x = ((self.data - self.centre) / self.units).T
        one, other = self.pairs
        return np.concatenate([np.ones((1, x.shape[1])), x, x[one] * x[other]])

    @functools.cached_property
    def every(self) -> Nodes:
        """The rows themselves as nodes."""
        n = self.rows.shape[1]
        return Nodes(self.rows, np.ones(n), np.empty((2, 0)), np.empty(0, dtype=np.intp))

    @functools.cached_property
    def boxes(self) -> Boxes | None:
        """What sums many points in the plane that go to their likeliest components."""
        return Boxes(self.rows) if self.many else None

    @functools.cached_property
    def cells(self) -> Cells:
        """What chooses nodes for many points in the plane."""
        return Cells((self.data - self.centre) / self.units)

    @functools.cached_property
    def reach(self) -> Array:
        """The largest size of each of the terms of a row, shape (T,)."""
        x = (np.abs(self.data - self.centre) / self.units).max(axis=0)
        one, other = self.pairs
        return np.concatenate([[1.0], x, x[one] * x[other]])

    def begin(
        self,
    ) -> Callable[[MultivariateGaussianParams], tuple[MultivariateGaussianStatistics, float]]:
        """Return the E-step of one run."""
        many = self.begin_many()

        def e_step(
            params: MultivariateGaussianParams,
        ) -> tuple[MultivariateGaussianStatistics, float]:
            arrays = {name: array[None] for name, array in params.arrays().items()}
            statistics, objectives = many(arrays)
            return MultivariateGaussianStatistics(*(s[0] for s in statistics)), float(objectives[0])

        return e_step

    def at_once(self, n_components: int) -> int:
        """Return how many runs' arrays fit the cache together; or take their nodes together."""
        if self.many:
            return _BY_NODES
        return max(1, quadratics.NUMBERS // (n_components * len(self.data)))

    def begin_many(self) -> Callable[[Arrays], tuple[MultivariateGaussianStatistics, Array]]:
        """Return the E-step of several runs, whose parameters have a leading axis.

        It remembers which nodes have served before, which changes what it finds no more than
        rounding does.
        """
        by_nodes = _ByNodes(self.cells) if self.many else None

        def e_step(arrays: Arrays) -> tuple[MultivariateGaussianStatistics, Array]:
            means = (arrays["means"] - self.centre) / self.units
            weights = arrays["weights"]
            mixtures = self._coefficients(means, arrays["covariances"], weights)
            good = self._sizes(mixtures) <= quadratics.TRUSTED
            if good.all():
                sums, objectives, good = self._sums(mixtures, weights, by_nodes)
            else:
                sums, objectives = np.full(mixtures.shape, np.nan), np.full(len(means), np.nan)
                which = np.flatnonzero(good)
                if len(which):
                    found = self._sums(mixtures[which], weights[which], by_nodes)
                    sums[which], objectives[which], good[which] = found
            statistics, precise = self._statistics(means, sums)
            good &= precise
            objectives -= len(self.data) * self.log_unit
            for r in np.flatnonzero(~good).tolist():
                own, objectives[r] = self._plainly(arrays, r)
                for each, of_run in zip(statistics, own, strict=True):
                    each[r] = of_run
            return statistics, objectives

        return e_step

    def of_likeliest(
        self, params: MultivariateGaussianParams
    ) -> tuple[MultivariateGaussianStatistics, float] | None:
        """Return statistics and objective if each row goes to its likeliest component.

        None if the plain formulas are more precise.
        """
        means, covariances, weights = (array[None] for array in params.arrays().values())
        means = (means - self.centre) / self.units
        mixtures = self._coefficients(means, covariances, weights)
        live = np.flatnonzero(params.weights)  # nothing goes to the others
        size = float(self._sizes(mixtures[:, live])[0])
        if not size <= _DECIDED:
            return None

        def decide(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
            winners = self.model.log_joint(self.data[rows], params).argmax(axis=1)
            return np.asarray(np.searchsorted(live, winners))

        logs, sums = mixtures[0, live], np.zeros(mixtures.shape[1:])
        if self.boxes is None:
            sums[live] = sums_of_likeliest(logs, means[0, live], self.rows, size, decide)
        else:
            sums[live] = self.boxes.sums_of_likeliest(logs, means[0, live], size, decide)
        d, (one, other) = means.shape[-1], self.pairs
        products = np.empty((len(sums), d, d))
        products[:, one, other] = products[:, other, one] = sums[:, d + 1 :]
        products *= self.units[:, None] * self.units
        first = sums[:, 1 : d + 1] * self.units
        statistics = MultivariateGaussianStatistics(sums[:, 0].copy(), first, products)
        # The log joint densities of all rows with their own components: Q, but for its constant.
        constant = self.data.size * _LOG_SQRT_2PI
        return statistics, self.model.expected_objective(statistics, params, params) - constant

    def n_looked_at(self, params: MultivariateGaussianParams) -> int:
        """Return how many rows or nodes an E-step under such parameters looks at."""
        nodes = None
        if self.many:
            arrays = {name: array[None] for name, array in params.arrays().items()}
            nodes = self.cells.choose(self.mixtures(arrays), arrays["weights"])
        return len(self.data) if nodes is None else len(nodes.weights)

    def _sums(
        self, mixtures: Array, mixing: Array, by_nodes: "_ByNodes | None"
    ) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
        """Return :func:`em_core.kernels.cells.expected_sums`, by all rows if nodes do not serve."""
        n_runs, k, _ = mixtures.shape
        if by_nodes is None:
            sums, objectives = np.empty(mixtures.shape), np.empty(n_runs)
            good = np.zeros(n_runs, dtype=bool)
        else:
            sums, objectives, good = by_nodes(mixtures, mixing)
        left = np.flatnonzero(~good)
        at_once = max(1, quadratics.NUMBERS // (k * len(self.data)))
        for first in range(0, len(left), at_once):
            some = left[first : first + at_once]
            found = expected_sums(mixtures[some], mixing[some], self.every)
            sums[some], objectives[some], good[some] = found
        return sums, objectives, good

    def objectives(self, arrays: Arrays) -> Array:
        """Return the log-likelihood under each of many parameters, which have a leading axis.

        Where these are combinations of few components, as on a grid, each has its densities once.
        """
        mixtures = self.mixtures(arrays)
        found = np.full(len(mixtures), np.nan)
        left = np.flatnonzero(self._sizes(mixtures) <= _SHOWN)
        for _ in range(_ROUNDS if self.many else 0):
            if not len(left):
                break
            some = np.linspace(0, len(left) - 1, min(_SAMPLE, len(left))).astype(int)
            nodes = self.cells.choose(mixtures[left[some]])
            if nodes is None:
                break
            values, good = log_likelihoods(*_combinations(mixtures[left]), nodes)
            found[left[good]], left = values[good], left[~good]
        if len(left):
            values, good = log_likelihoods(*_combinations(mixtures[left]), self.every)
            found[left[good]] = values[good]
        found -= len(self.data) * self.log_unit
        for r in np.flatnonzero(np.isnan(found)).tolist():
            found[r] = self._plainly(arrays, r)[1]
        return found

    def mixtures(self, arrays: Arrays) -> Array:
        """Return the coefficients of parameters with a leading axis, shape (R, K, T)."""
        means = (arrays["means"] - self.centre) / self.units
        return self._coefficients(means, arrays["covariances"], arrays["weights"])

    def _coefficients(self, means: Array, covariances: Array, weights: Array) -> Array:
        """Return those of log(pi_k N(x; mu_k, Sigma_k)) in the terms of a row, shape (R, K, T)."""
        d = means.shape[-1]
        one, other = self.pairs
        precisions, log_volumes = _precisions(covariances / (self.units[:, None] * self.units))
        found = np.empty((*means.shape[:-1], 1 + d + len(one)))
        linear = np.matvec(precisions, means, out=found[..., 1 : d + 1])  # P m
        constants = np.log(weights / np.add.reduce(weights, axis=-1, keepdims=True))
        constants -= log_volumes
        constants -= 0.5 * np.vecdot(linear, means)  # m^T P m / 2
        np.subtract(constants, d * _LOG_SQRT_2PI, out=found[..., 0])
        np.multiply(precisions[..., one, other], self.halves, out=found[..., d + 1 :])
        return found

    def _sizes(self, mixtures: Array) -> Array:
        """Return the size of the largest terms of each mixture, shape (R,)."""
        return np.asarray(np.maximum.reduce(np.abs(mixtures) @ self.reach, axis=-1))

    def _statistics(
        self, means: Array, sums: Array
    ) -> tuple[MultivariateGaussianStatistics, npt.NDArray[np.bool_]]:
        """Return the statistics of sums (R, K, T), and which are as precise as can be."""
        counts, first, second = self._about(means, sums)
        precise = self._tell(means, counts, first, second)
        precise &= self._has_digits(means, counts, second).all(axis=1)
        first *= self.units
        second *= self.units[:, None] * self.units
        return MultivariateGaussianStatistics(counts, first, second), precise

    def _about(self, means: Array, sums: Array) -> tuple[Array, Array, Array]:
        """Return sums of the terms of rows, shape (R, K, T), as sums about means (R, K, d)."""
        d = means.shape[-1]
        one, other = self.pairs
        counts, first = sums[..., 0].copy(), sums[..., 1 : d + 1] - sums[..., :1] * means
        second = np.empty((*means.shape, d))
        second[..., one, other] = second[..., other, one] = sums[..., d + 1 :]
        # sum r (x - m) (x - m)^T = sum r x x^T - m f^T - f m^T - N m m^T with f = sum r (x - m)
        crossed = means[..., :, None] * first[..., None, :]
        second -= crossed + crossed.mT
        second -= counts[..., None, None] * means[..., :, None] * means[..., None, :]
        return counts, first, second

    def _tell(
        self, means: Array, counts: Array, first: Array, second: Array
    ) -> npt.NDArray[np.bool_]:
        """Return whose sums about the means are finite, and tell how the means move."""
        finite = np.asarray(np.isfinite(second).all(axis=(1, 2, 3)))
        places = np.sort(means[..., 0], axis=-1)
        apart = np.asarray((places[:, 1:] - places[:, :-1] > _STILL).all(axis=-1))
        for r in np.flatnonzero(~apart & finite).tolist():
            distances = np.abs(means[r, :, None] - means[r]).max(axis=2)
            apart[r] = np.count_nonzero(distances <= _STILL) == len(distances)  # from themselves
        moved = (np.abs(first) > _STILL * counts[..., None]).any(axis=(1, 2))
        return np.asarray(finite & apart & moved)

    def _has_digits(self, means: Array, counts: Array, second: Array) -> npt.NDArray[np.bool_]:
        """Return which components have digits left in their squares about the means, (R, K)."""
        furthest = np.abs(means) + self.reach[1 : means.shape[-1] + 1]
        furthest *= furthest
        least = np.maximum.reduce(furthest, axis=2) * counts
        finite: Any = np.isfinite(second).all(axis=(2, 3))
        second = second if finite.all() else np.where(finite[..., None, None], second, 0.0)
        return np.asarray(finite & (_smallest_eigenvalues(second) >= _LEFT * least))

    def _plainly(self, arrays: Arrays, run: int) -> tuple[MultivariateGaussianStatistics, float]:
        """Return what the textbook's formulas make of the rows, for one of several runs."""
        params = MultivariateGaussianParams(**{name: each[run] for name, each in arrays.items()})
        return _in_blocks(self.model.expect, self.data, params)


class PreparedForWinners:
    """Rows for assignment to the likeliest component, by products of matrices.

    See :mod:`em_core.kernels.likeliest`. The plain formulas are taken as for :class:`PreparedRows`.
    """

    def __init__(self, prepared: PreparedRows) -> None:
        self.prepared = prepared

    def begin(
        self,
    ) -> Callable[[MultivariateGaussianParams], tuple[MultivariateGaussianStatistics, float]]:
        """Return the E-step of one run."""
        return self._expect

    def n_looked_at(self, params: MultivariateGaussianParams) -> int:
        """Return how many rows or boxes an E-step under such parameters looks at."""
        of = self.prepared
        if of.boxes is None:
            return len(of.data)
        arrays = {name: array[None] for name, array in params.arrays().items()}
        live = of.mixtures(arrays)[:, params.weights > 0]
        return of.boxes.n_looked_at(live[0], float(of._sizes(live)[0]))

    def objectives(self, arrays: Arrays) -> Array:
        """Return the objective of each of many parameters, which have a leading axis.

        To the digits that a picture needs, and with each of their different components once.
        """
        of = self.prepared
        live = of.mixtures(arrays)[:, (arrays["weights"] > 0).any(axis=0)]
        found = np.full(len(live), np.nan)
        good = of._sizes(live) <= _DECIDED
        if good.any():
            found[good] = sums_of_largest(*_combinations(live[good]), of.rows)
        found -= len(of.data) * of.log_unit
        for r in np.flatnonzero(np.isnan(found)).tolist():
            own = {name: array[r] for name, array in arrays.items()}
            found[r] = self._expect(MultivariateGaussianParams(**own))[1]
        return found

    def _expect(
        self, params: MultivariateGaussianParams
    ) -> tuple[MultivariateGaussianStatistics, float]:
        of = self.prepared
        return of.of_likeliest(params) or _in_blocks(self._plainly, of.data, params)

    def _plainly(
        self, rows: npt.NDArray[Any], params: MultivariateGaussianParams
    ) -> tuple[MultivariateGaussianStatistics, float]:
        """Return what the plain formulas make of some rows."""
        log_joint = self.prepared.model.log_joint(rows, params)
        shares = np.eye(params.n_components)[log_joint.argmax(axis=1)]
        statistics = self.prepared.model.statistics(rows, params, shares)
        return statistics, float(log_joint.max(axis=1).sum())


def _in_blocks(
    expect: Callable[..., tuple[MultivariateGaussianStatistics, float]],
    data: npt.NDArray[Any],
    params: MultivariateGaussianParams,
) -> tuple[MultivariateGaussianStatistics, float]:
    """Return what the textbook's formulas make of many rows."""
    found = [
        expect(data[start : start + _BLOCK_ROWS], params)
        for start in range(0, len(data), _BLOCK_ROWS)
    ]
    sums = (np.sum(each, axis=0) for each in zip(*(sums for sums, _ in found), strict=True))
    return MultivariateGaussianStatistics(*sums), sum(objective for _, objective in found)


def _combinations(mixtures: Array) -> tuple[Array, npt.NDArray[np.intp]]:
    """Return all different components of mixtures (R, K, T), and which each is made of, (R, K)."""
    components, places, size = [], [], 0
    for of_place in mixtures.swapaxes(0, 1):
        different, which = np.unique(of_place, axis=0, return_inverse=True)
        components.append(different)
        places.append(which.reshape(-1) + size)
        size += len(different)
    return np.concatenate(components), np.stack(places, axis=1)


class _ByNodes:
    """Expected sums by nodes that are chosen anew where they no longer serve.

    Where they cannot serve some runs, they are looked for again after ever more E-steps. Guesses
    need more of them than runs on their way, so that a few times fewer are looked for.
    """

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._nodes: Nodes | None = None
        self._without, self._pause, self._wait, self._n_calls = 0, 1, 0, 0

    def __call__(
        self, mixtures: Array, mixing: Array
    ) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
        """Return :func:`em_core.kernels.cells.expected_sums`, good where nodes serve."""
        sums, objectives = np.empty(mixtures.shape), np.empty(len(mixtures))
        good, shares = np.zeros(len(mixtures), dtype=bool), mixing
        self._n_calls += 1
        if self._nodes is not None:
            if self._n_calls in _FOR_FEWER:
                fewer = self._choose(mixtures, mixing)
                if fewer is not None and len(fewer.weights) < len(self._nodes.weights):
                    self._nodes = fewer
            sums, objectives, good = expected_sums(mixtures, mixing, self._nodes)
        without = np.count_nonzero(~good)
        self._wait -= 1
        if not without or (without <= self._without and self._wait > 0):
            return sums, objectives, good
        for _ in range(2):  # the second time with the shares that were found
            self._nodes = self._choose(mixtures, shares)
            if self._nodes is None:
                break
            which = np.flatnonzero(~good)
            found = expected_sums(mixtures[which], mixing[which], self._nodes)
            sums[which], objectives[which], good[which] = found
            if good.all():
                break
            found_shares = np.abs(sums[..., 0]) / self._nodes.weights.sum()
            shares = np.where(found_shares > 0, np.minimum(found_shares, mixing), mixing)
        self._without = int(np.count_nonzero(~good))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE) if self._without else 1
        self._wait = self._pause
        return sums, objectives, good

    def _choose(self, mixtures: Array, shares: Array) -> Nodes | None:
        """Return nodes for all, or else for those that need not many more than others."""
        nodes = self._cells.choose(mixtures, shares)
        if nodes is not None or len(mixtures) == 1:
            return nodes
        alone = [
            self._cells.choose(m[None], w[None]) for m, w in zip(mixtures, shares, strict=True)
        ]
        sizes = np.array([np.inf if own is None else len(own.weights) for own in alone])
        few = sizes <= _ALIKE * sizes.min()
        if not np.isfinite(sizes.min()):
            return None
        return self._cells.choose(mixtures[few], shares[few]) or alone[int(sizes.argmin())]


def _smallest_eigenvalues(matrices: Array) -> Array:
    """Return the smallest eigenvalue of symmetric matrices (..., d, d), to a few digits."""
    if matrices.shape[-1] != 2:
        return np.asarray(np.linalg.eigvalsh(matrices)[..., 0])
    x, y, both = matrices[..., 0, 0], matrices[..., 1, 1], matrices[..., 0, 1]
    return np.asarray((x + y) / 2 - np.hypot((x - y) / 2, both))


def _precisions(covariances: Array) -> tuple[Array, Array]:
    """Return Sigma^-1, shape (..., d, d), and half the logarithm of the determinant of Sigma."""
    d = covariances.shape[-1]
    if d != 2:
        whiten, log_volumes = whitening(covariances.reshape(-1, d, d))
        whiten = whiten.reshape(covariances.shape)
        return whiten.mT @ whiten, log_volumes.reshape(covariances.shape[:-2])
    x, y, both = covariances[..., 0, 0], covariances[..., 1, 1], covariances[..., 0, 1]
    determinants = x * y - both * both
    found = np.empty_like(covariances)
    found[..., 0, 0], found[..., 1, 1] = y, x
    found[..., 0, 1] = found[..., 1, 0] = -both
    found /= determinants[..., None, None]
    return found, 0.5 * np.log(determinants)


def whitening(covariances: Array) -> tuple[Array, Array]:
    """Return L^-1, shape (K, d, d), and log |L|, shape (K,), of Cholesky factors: Sigma = L L^T.

    The coordinates of L^-1 (x - mu) are independent with variance 1, and log |L| is half the
    logarithm of the determinant of Sigma. They are not numbers where a matrix is singular, as far
    as its digits can tell.
    """
    factors = cholesky(covariances)
    factors[is_flat(factors, covariances)] = np.nan
    pivots = np.diagonal(factors, axis1=1, axis2=2)
    inverses = np.zeros_like(factors)
    # Row by row, so that coordinates in units far apart do not blur each other.
    for i, pivot in enumerate(pivots.T[:, :, None]):
        inverses[:, i, i, None] = 1 / pivot
        inverses[:, i, :i] = -np.vecmat(factors[:, i, :i], inverses[:, :i, :i]) / pivot
    return inverses, np.log(pivots).sum(axis=1)


def about_new_means(shifts: Array, mean_products: Array) -> Array:
    """Return covariances about the means to which the M-step moves, shape (..., K, d, d).

    The plain formula is sum_i r_ik (x_i - m_k) (x_i - m_k)^T / N_k - (mu_k - m_k) (mu_k - m_k)^T,
    where m_k is the mean before and mu_k after the step. Where a long move of the mean has eaten
    the digits, this narrows only as far as they can tell, and leaves the rest to the next step: the
    expected log-likelihood still rises.

    Parameters
    ----------
    shifts : ndarray, shape (..., K, d)
        mu_k - m_k.
    mean_products : ndarray, shape (..., K, d, d)
        Mean products of deviations from m_k.
    """
    found = mean_products - shifts[..., :, None] * shifts[..., None, :]
    found = (found + found.mT) / 2
    squares = np.diagonal(mean_products, axis1=-2, axis2=-1)
    long = (shifts**2 > _LONG * squares).any(axis=-1)
    for k in zip(*np.nonzero(long & np.isfinite(found).all(axis=(-2, -1))), strict=True):
        units = np.sqrt(np.where(squares[k] > 0, squares[k], 1.0))
        variances, directions = np.linalg.eigh(found[k] / np.outer(units, units))
        raised = directions * np.maximum(variances, _RESOLVED) @ directions.T
        found[k] = (raised + raised.T) / 2 * np.outer(units, units)
    return np.asarray(found)


def in_form(covariance: Covariance, scatters: Array, counts: Array) -> Array:
    """Return the maximum likelihood covariances of a form from full ones, shape (..., K, d, d).

    Parameters
    ----------
    covariance : {"full", "tied", "diag", "spherical"}
        The form.
    scatters : ndarray, shape (..., K, d, d)
        S_k, the covariances of the observations of each component.
    counts : ndarray, shape (..., K)
        N_k, the number of these observations.
    """
    d = scatters.shape[-1]
    if covariance == "tied":  # sum_k N_k S_k / sum_k N_k
        shares = counts / np.add.reduce(counts, axis=-1, keepdims=True)
        pooled = np.add.reduce(shares[..., None, None] * scatters, axis=-3, keepdims=True)
        return np.broadcast_to(pooled, scatters.shape)
    variances = np.diagonal(scatters, axis1=-2, axis2=-1)
    if covariance == "diag":  # what is off the diagonal is 0
        return variances[..., None] * np.eye(d)
    if covariance == "spherical":  # the mean over all directions
        return np.asarray(variances.mean(axis=-1)[..., None, None] * np.eye(d))
    return scatters


def raised_to(min_std: float, covariances: Array) -> Array:
    """Return covariances with eigenvalues below ``min_std`` squared raised to that, (..., d, d).

    Among the matrices whose eigenvalues are all at least so large, this is the one that is most
    likely: eigenvectors stay, and each eigenvalue maximizes its own term of Q, -log(lambda) -
    s / lambda, which rises up to the variance s in that direction and falls beyond it. A constant
    added to the diagonal would change all the other eigenvalues as well, and Q might fall.

    A direction whose variance no digit of a matrix tells is first given as much as one would. Which
    one that is does not depend on the units of the coordinates: they may be far from each other.
    """
    if min_std == 0 or not np.isfinite(covariances).all() or _all_above(min_std, covariances):
        return covariances
    variances, directions = np.linalg.eigh(covariances)
    out_of_reach = min_std**2 < _RESOLVED * variances[..., -1]
    for k in zip(*np.nonzero(out_of_reach | (variances[..., 0] < min_std**2)), strict=True):
        matrix, squares, axes = covariances[k], variances[k], directions[k]
        if out_of_reach[k]:
            matrix = _told_apart(matrix, min_std)
            # Deviations have twice the digits of variances.
            axes, stds, _ = np.linalg.svd(np.linalg.cholesky(matrix))
            squares = stds**2
        if squares.min() < min_std**2:
            raised = axes * np.maximum(squares - min_std**2, 0.0) @ axes.T
            matrix = (raised + raised.T) / 2 + min_std**2 * np.eye(len(squares))
        covariances = np.array(covariances)
        covariances[k] = matrix
    return covariances


def _all_above(min_std: float, covariances: Array) -> bool:
    """Return whether no standard deviation in the plane is near so small a one, at a glance."""
    if covariances.shape[-1] != 2:
        return False
    x, y, both = covariances[..., 0, 0], covariances[..., 1, 1], covariances[..., 0, 1]
    total = x + y
    # The smaller eigenvalue is the determinant divided by the larger one, which is below the trace.
    above = (x * y - both * both) > _WELL * min_std**2 * total
    return bool((above & (min_std**2 > _WELL * _RESOLVED * total)).all())


def _told_apart(covariance: Array, min_std: float) -> Array:
    """Return a covariance matrix that is not singular; one that is not stays as it is.

    Coordinates are in units of their standard deviations here, or of ``min_std`` if that is more.
    """
    units = np.sqrt(np.maximum(np.diagonal(covariance), min_std**2))
    scale = np.outer(units, units)
    variances, directions = np.linalg.eigh(covariance / scale)
    if variances[0] >= _RESOLVED:
        return covariance
    raised = directions * np.maximum(variances, _RESOLVED) @ directions.T
    return np.asarray((raised + raised.T) / 2 * scale)


def _about(
    means: Array,
    statistics: MultivariateGaussianStatistics,
    previous: MultivariateGaussianParams,
) -> Array:
    """Return the expected sums of (x - mean) (x - mean)^T about other means, (..., K, d, d)."""
    counts, first, second = statistics
    move = means - previous.means
    cross = move[..., :, None] * first[:, None, :]
    squares = counts[:, None, None] * move[..., :, None] * move[..., None, :]
    return np.asarray(second - cross - cross.mT + squares)


def _check_covariance(covariance: Any) -> None:
    if covariance not in get_args(Covariance):
        allowed = ", ".join(map(repr, get_args(Covariance)))
        raise ValueError(f"covariance must be one of {allowed}, got {covariance!r}")


def _check_definite(covariances: Array) -> None:
    """Raise ValueError, naming the first offender, unless all are symmetric and definite."""
    for k, matrix in enumerate(covariances):
        variances = np.diagonal(matrix)
        if (variances <= 0).any():
            j = np.flatnonzero(variances <= 0)[0]
            raise ValueError(
                "covariances must have variances larger than 0 on the diagonal, "
                f"got {variances[j]} at [{k}, {j}, {j}]"
            )
        stds = np.sqrt(variances)
        odd = np.argwhere(np.abs(matrix - matrix.T) > _EQUAL * np.outer(stds, stds))
        if len(odd):
            i, j = odd[0]
            raise ValueError(
                f"covariances must be symmetric, got {matrix[i, j]} at [{k}, {i}, {j}] and "
                f"{matrix[j, i]} at [{k}, {j}, {i}]"
            )
    singular = np.flatnonzero(is_singular(covariances))
    if len(singular):
        k = int(singular[0])
        raise ValueError(
            "covariances must be positive definite, with a variance above 0 in all directions "
            "(in two dimensions, a correlation between -1 and 1), "
            f"got {covariances[k].tolist()} at [{k}]"
        )


def _check_form(covariances: Array, covariance: Covariance) -> None:
    """Raise ValueError, naming the first offender, unless covariances have the form."""
    k = len(covariances)
    stds = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    off = np.abs(covariances - in_form(covariance, covariances, np.eye(k)[0]))
    bad = np.argwhere(off > _EQUAL * stds[:, :, None] * stds[:, None, :])
    if not len(bad):
        return
    where, value = tuple(map(int, bad[0])), covariances[tuple(bad[0])]
    at = f"got {value} at {list(where)}"
    if covariance == "tied":
        raise ValueError(
            f"covariances must be the same for all components if they are tied, {at} and "
            f"{covariances[(0, *where[1:])]} at {[0, *where[1:]]}"
        )
    if covariance == "diag" or where[1] != where[2]:
        raise ValueError(
            f"covariances must be 0 off the diagonal if they are {_ADJECTIVES[covariance]}, {at}"
        )
    raise ValueError(
        "covariances must have the same variance in all directions if they are spherical, "
        f"got {np.diagonal(covariances[where[0]]).tolist()} at [{where[0]}]"
    )


_ADJECTIVES = {"diag": "diagonal", "spherical": "spherical"}


def guess_from_points(
    data: npt.ArrayLike,
    n_components: int,
    *,
    rng: np.random.Generator,
    covariance: Covariance = "full",
) -> MultivariateGaussianParams:
    """Start with means at different observations, drawn at random.

    All covariances are that of the whole data, in the form ``covariance``, and the mixing weights
    are equal.

    Raises
    ------
    ValueError
        If there are fewer observations than components, the data have no such covariance with a
        variance in all directions, ``data`` are not points (n, d) of finite numbers, or ``rng`` is
        no generator.
    """
    points = as_data(data, ndim=2)
    check_rng(rng)
    k = check_enough_rows(points, n_components)
    means = points[rng.choice(len(points), size=k, replace=False)]
    return _as_wide_as_all(points, means, covariance)


def guess_plus_plus(
    data: npt.ArrayLike,
    n_components: int,
    *,
    rng: np.random.Generator,
    covariance: Covariance = "full",
) -> MultivariateGaussianParams:
    """Start with means at observations far from one another: scikit-learn's k-means++.

    The next mean is drawn with probability proportional to the squared distance from those chosen
    already (Arthur and Vassilvitskii, "k-means++", SODA 2007). All covariances are that of the
    whole data, in the form ``covariance``, and the mixing weights are equal. Errors are those of
    :func:`guess_from_points`.
    """
    from sklearn.cluster import kmeans_plusplus  # a second of import, needed here alone

    points = as_data(data, ndim=2)
    check_rng(rng)
    k = check_enough_rows(points, n_components)
    # It takes distances from inner products, where an offset costs digits.
    centred, past = points - points.mean(axis=0), np.random.RandomState(rng.bit_generator)
    _, rows = kmeans_plusplus(centred, k, random_state=past)
    return _as_wide_as_all(points, points[rows], covariance)


def _as_wide_as_all(
    points: Array, means: Array, covariance: Covariance
) -> MultivariateGaussianParams:
    """Return components at these means, as wide as the whole data."""
    _check_covariance(covariance)
    k, d = means.shape
    deviations = points - points.mean(axis=0)
    whole = (deviations.T @ deviations / len(points))[None]
    whole[:, *np.nonzero(np.eye(d))] *= ~(points == points[0]).all(axis=0)  # no rounding error
    whole = in_form(covariance, (whole + whole.mT) / 2, np.ones(1))
    if is_singular(whole)[0]:
        raise ValueError(_why_no_spread(points, covariance))
    return MultivariateGaussianParams(means, np.repeat(whole, k, axis=0), equal_weights(k))


def _why_no_spread(points: Array, covariance: Covariance) -> str:
    constant = np.flatnonzero((points == points[0]).all(axis=0))
    if len(constant):
        return (
            "data must differ in each column to give a covariance matrix, "
            f"got {len(points)} times {points[0, constant[0]]} in column {constant[0]}"
        )
    return (
        "data must spread in all directions to give a covariance matrix, "
        f"got {len(points)} points in {points.shape[1]} dimensions that do not: use covariances "
        f'that are "diag" or "spherical", not {covariance!r}'
    )
