r"""Binomial mixture: the two coins, or as many as one likes.

Each trial draws a coin k with probability :math:`\pi_k`, tosses it m times and notes the number of
heads h. Which coin it was is not noted. The log-likelihood, binomial coefficients included, is

.. math:: \ell = \sum_i \log \sum_k \pi_k \binom{m}{h_i} \theta_k^{h_i} (1 - \theta_k)^{m - h_i}

(Do and Batzoglou, "What is the expectation maximization algorithm?", Nature Biotechnology
26, 2008).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import xlog1py, xlogy

from em_core.checks import (
    as_array,
    as_floats,
    as_integer,
    as_number,
    check_data,
    check_kind,
    check_range,
    check_rng,
    check_vector,
    check_weights,
)
from em_core.engine import fit_labelled
from em_core.model import Mixture, Params, Sample, component_axes
from em_core.numerics import FEW_TRIALS, Array, equal_weights, log_binomial, log_choose

_TALLIED_OUTCOMES = 2**16  # different head counts, at the most, for which trials are counted
_TALLIED_ROWS = 2**20  # trials that are counted at once
_GRID_NUMBERS = 2**17  # log densities of a grid of starts that are computed at once, in the cache
_NEVER = -1e300  # stands for the logarithm of zero


@dataclass(frozen=True, eq=False)
class BinomialParams(Params):
    """Heads probability and mixing weight of each coin, both shape (K,)."""

    heads_prob: Array = component_axes(0)
    weights: Array = component_axes(0)

    if TYPE_CHECKING:  # lists are welcome, and become arrays

        def __init__(self, heads_prob: npt.ArrayLike, weights: npt.ArrayLike) -> None: ...


class BinomialStatistics(NamedTuple):
    """The table of the lesson: what the E-step attributes to each coin, each shape (K,).

    Attributes
    ----------
    heads, tails : ndarray
        Expected number of heads and of tails that the coin produced.
    trials : ndarray
        Expected number of trials that drew the coin.
    """

    heads: Array
    tails: Array
    trials: Array


@dataclass(frozen=True)
class BinomialMixture(Mixture[BinomialParams, BinomialStatistics]):
    """A mixture of coins, for head counts (n,) out of ``n_tosses`` tosses each.

    Parameters
    ----------
    n_tosses : int
        Tosses per trial, the same in all trials.
    estimate_weights : bool, default False
        Whether the M-step updates the mixing weights, or leaves those of the initial guess.

    Raises
    ------
    ValueError
        If ``n_tosses`` is not a positive whole number.
    """

    n_tosses: int
    estimate_weights: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_tosses", as_integer("n_tosses", self.n_tosses, minimum=1))

    def check(self, data: npt.NDArray[Any], params: BinomialParams) -> None:
        """Raise ValueError unless data are head counts and params are probabilities."""
        check_data(data, ndim=1)
        if data.dtype.kind == "f" and (data != np.floor(data)).any():
            i = np.flatnonzero(data != np.floor(data))[0]
            raise ValueError(f"data must be whole head counts, got {data[i]} at [{i}]")
        if data.min() < 0 or data.max() > self.n_tosses:
            i = np.flatnonzero((data < 0) | (data > self.n_tosses))[0]
            raise ValueError(
                f"data must be head counts from 0 to n_tosses = {self.n_tosses}, "
                f"got {data[i]} at [{i}]"
            )
        self.check_params(params)

    def check_params(self, params: BinomialParams) -> None:
        """Raise ValueError unless params are probabilities."""
        check_kind(params, BinomialParams)
        check_vector("heads_prob", params.heads_prob)
        check_range("heads_prob", params.heads_prob, 0, 1)
        check_weights(params.weights)

    def log_joint(self, data: npt.NDArray[Any], params: BinomialParams) -> Array:
        """Return log(pi_k Binomial(h_i; m, theta_k)), shape (n, K)."""
        heads = np.asarray(data, dtype=float)[:, None]
        # log (m choose h_i) + h_i log theta_k + (m - h_i) log(1 - theta_k)
        log_density = log_binomial(heads, self.n_tosses, params.heads_prob)
        with np.errstate(divide="ignore"):
            # Typed weights may sum to one only nearly; what the M-step returns does exactly.
            return np.asarray(log_density + np.log(params.weights / params.weights.sum()))

    def statistics(
        self, data: npt.NDArray[Any], params: BinomialParams, responsibilities: Array
    ) -> BinomialStatistics:
        """Split the heads and tails of each trial between the coins, and add them up."""
        h = np.asarray(data, dtype=float)  # m may be too large for the integers the data came in
        heads = h @ responsibilities  # H_k = sum_i r_ik h_i
        tails = (self.n_tosses - h) @ responsibilities  # T_k = sum_i r_ik (m - h_i)
        trials = responsibilities.sum(axis=0)  # N_k = sum_i r_ik
        return BinomialStatistics(heads, tails, trials)

    def m_step(self, statistics: BinomialStatistics, previous: BinomialParams) -> BinomialParams:
        """Return heads over tosses for each coin; one without tosses stays."""
        heads, tails, trials = statistics
        heads_prob = previous.heads_prob.copy()
        np.divide(heads, heads + tails, out=heads_prob, where=trials > 0)  # H_k / (H_k + T_k)
        weights = trials / trials.sum() if self.estimate_weights else previous.weights  # N_k / n
        return BinomialParams(heads_prob, weights)

    def expected_objective(
        self,
        statistics: BinomialStatistics,
        params: BinomialParams,
        previous: BinomialParams,
    ) -> float:
        """Return Q = sum_k H_k log theta_k + T_k log(1 - theta_k) + N_k log pi_k."""
        heads, tails, trials = statistics
        terms = xlogy(heads, params.heads_prob) + xlog1py(tails, -params.heads_prob)
        return float((terms + xlogy(trials, params.weights / params.weights.sum())).sum())

    def term_size(self, statistics: BinomialStatistics, params: BinomialParams) -> float:
        """Return the trials, each as large as a typical distance of its heads from those expected.

        That is sqrt(m theta_k (1 - theta_k)) heads, or 1 if that is more: as many units in the last
        place of 1 are lost in a deviance (:func:`em_core.numerics.deviance`).
        """
        spread = np.sqrt(self.n_tosses * params.heads_prob * (1 - params.heads_prob))
        return float(statistics.trials @ np.maximum(spread, 1.0))

    def component_counts(self, statistics: BinomialStatistics) -> Array:
        """Return the expected number of trials of each coin, shape (K,)."""
        return statistics.trials

    def tally(
        self, data: npt.NDArray[Any], counts: Array | None = None
    ) -> tuple[npt.NDArray[Any], Array] | None:
        """Return the different head counts, and how many trials show each: an exact compression.

        ``counts``, shape (n,), says how many trials each entry stands for, if not one. None where
        head counts are too many to be the same often.
        """
        if self.n_tosses > _TALLIED_OUTCOMES:
            return None
        times = np.zeros(self.n_tosses + 1)
        for start in range(0, len(data), _TALLIED_ROWS):
            rows = slice(start, start + _TALLIED_ROWS)
            times += np.bincount(
                data[rows].astype(np.intp),
                weights=None if counts is None else counts[rows],
                minlength=self.n_tosses + 1,
            )
        heads = np.flatnonzero(times)
        return heads, times[heads]

    def n_parameters(self, params: BinomialParams) -> int:
        """Return the number of free parameters: K, and K - 1 weights if these are estimated."""
        k = params.n_components
        return k + (k - 1) * self.estimate_weights

    def why_not_finite(self, params: BinomialParams) -> str:
        """Return which coins leave a trial impossible, and what to do about it."""
        certain = [
            f"heads_prob[{k}] is {p:g}" for k, p in enumerate(params.heads_prob) if p in (0, 1)
        ]
        return (
            f"A trial is impossible under every component that has any weight: "
            f"{' and '.join(certain)}, and such a coin shows tails only, or heads only. "
            "Start from heads probabilities between 0 and 1."
        )

    def draw(
        self, params: BinomialParams, labels: npt.NDArray[np.int64], *, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """Toss the coin of each label ``n_tosses`` times, and return the heads, shape (n,)."""
        return rng.binomial(self.n_tosses, params.heads_prob[labels])


def published_trials() -> Sample[BinomialParams]:
    """Return the five trials of ten tosses of Do and Batzoglou (2008), figure 1.

    ``truth`` is what they find with the coins known: heads over tosses, 0.80 and 0.45.
    """
    heads, labels = np.array([5, 9, 8, 4, 7]), np.array([1, 0, 0, 1, 0])
    start = BinomialParams([0.5, 0.5], [0.5, 0.5])
    return Sample(heads, labels, fit_labelled(BinomialMixture(10), heads, labels, start))


def guess_uniform(
    data: npt.ArrayLike, n_components: int, *, rng: np.random.Generator
) -> BinomialParams:
    """Start from heads probabilities uniform in [0, 1] and equal mixing weights.

    ``data`` is not looked at: it is there so that all guesses are called alike.

    Raises
    ------
    ValueError
        If ``n_components`` is not a positive whole number, or ``rng`` is no generator.
    """
    k = as_integer("n_components", n_components, minimum=1)
    check_rng(rng)
    return BinomialParams(rng.uniform(size=k), equal_weights(k))


def dispersion(model: BinomialMixture, data: npt.ArrayLike) -> float:
    r"""Return the variance of the head counts over that of one coin with the same mean.

    It tells what the point is at which all coins are equal. There Bayes' rule to first order,
    :math:`r_{ik} = \pi_k (1 + (\theta_k - \bar\theta) (h_i - m\theta) / (\theta (1 - \theta)))`,
    makes an iteration of EM multiply small differences between the coins by this number. Above 1
    they grow and the point is a saddle, below 1 they shrink and it is a top; with one toss a trial
    it is 1, and the point lies on a ridge.

    Parameters
    ----------
    model : BinomialMixture
        The mixture.
    data : array_like, shape (n,)
        Head counts.

    Returns
    -------
    float
        Not a number if all tosses show the same side.

    Raises
    ------
    ValueError
        If the data are not head counts.
    """
    heads = as_array("data", data).astype(float)
    model.check(heads, BinomialParams([0.5], [1.0]))
    p = heads.mean() / model.n_tosses
    if p in (0, 1):
        return float("nan")
    return float(heads.var() / (model.n_tosses * p * (1 - p)))


class Grid(NamedTuple):
    """Where EM ends from many starts at once, S of them.

    Attributes
    ----------
    heads_prob : ndarray, shape (S, K)
        Last heads probabilities.
    weights : ndarray, shape (S, K)
        Last mixing weights.
    log_likelihood : ndarray, shape (S,)
        Log-likelihood there, in nats.
    n_iter : ndarray of int, shape (S,)
        Number of updates made.
    converged : ndarray of bool, shape (S,)
        Whether the last update gained no more than the tolerance.
    """

    heads_prob: Array
    weights: Array
    log_likelihood: Array
    n_iter: npt.NDArray[np.int64]
    converged: npt.NDArray[np.bool_]


def fit_grid(
    model: BinomialMixture,
    data: npt.ArrayLike,
    heads_prob: npt.ArrayLike,
    weights: npt.ArrayLike,
    *,
    tol: float = 1e-6,
    max_iter: int = 200,
) -> Grid:
    """Run EM from many starts, as one array computation.

    Each start goes as :func:`em_core.fit` would take it, but for rounding. Trials with equal head
    counts are one observation with a weight, and the starts that have converged leave the array.

    Parameters
    ----------
    model : BinomialMixture
        The mixture.
    data : array_like, shape (n,)
        Head counts.
    heads_prob : array_like, shape (S, K)
        Initial heads probabilities of each start.
    weights : array_like, shape (K,)
        Initial mixing weights of every start.
    tol, max_iter
        As for :func:`em_core.fit`, with ``tol`` above 0.

    Raises
    ------
    ValueError
        If an argument is not as described.
    """
    if not isinstance(model, BinomialMixture):
        raise ValueError(f"model must be a BinomialMixture, got {model!r}")
    counts, starts = as_array("data", data), as_floats("heads_prob", heads_prob)
    if starts.ndim != 2 or starts.size == 0:
        raise ValueError(f"heads_prob must have shape (S, K), got {starts.shape}")
    check_range("heads_prob", starts, 0, 1)
    model.check(counts, BinomialParams(starts[0], weights))
    if not 0 < as_number(tol) < np.inf:
        raise ValueError(f"tol must be a finite number above 0, got {tol!r}")
    limit = as_integer("max_iter", max_iter, minimum=0)

    rows, repeats = np.unique(counts.astype(float), return_counts=True)
    at_once = max(_GRID_NUMBERS // (len(rows) * starts.shape[1]), 1)
    parts = [
        _climb(model, rows, repeats.astype(float), starts[i : i + at_once], weights, tol, limit)
        for i in range(0, len(starts), at_once)
    ]
    return Grid(*map(np.concatenate, zip(*parts, strict=True)))


def _climb(
    model: BinomialMixture,
    heads: Array,
    times: Array,
    starts: Array,
    weights: npt.ArrayLike,
    tol: float,
    max_iter: int,
) -> Grid:
    """Run EM from some starts, on different head counts that were observed so many times each."""
    n = times.sum()
    result = Grid(
        starts.copy(),
        np.broadcast_to(np.asarray(weights, dtype=float), starts.shape).copy(),
        np.full(len(starts), -np.inf),
        np.zeros(len(starts), dtype=np.int64),
        np.zeros(len(starts), dtype=bool),
    )
    running = np.arange(len(starts))
    for iteration in range(max_iter + 1):
        theta, pi = result.heads_prob[running], result.weights[running]
        # Equations of log_joint, posterior, statistics and m_step, with the starts as first axis.
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            log_joint = _log_densities(heads, model.n_tosses, theta)
            log_joint += np.log(pi / pi.sum(axis=1, keepdims=True))[:, :, None]
            peak = log_joint.max(axis=1, keepdims=True)
            log_joint -= np.where(np.isfinite(peak), peak, 0.0)
            joint = np.exp(log_joint, out=log_joint)
            evidence = joint.sum(axis=1, keepdims=True)
            log_evidence = (np.log(evidence) + peak)[:, 0]
            objective = np.where(peak.min(axis=(1, 2)) > _NEVER / 2, log_evidence @ times, -np.inf)
            gain = objective - result.log_likelihood[running]
        result.log_likelihood[running] = objective
        result.n_iter[running] = iteration
        done = (gain <= tol * n) if iteration else np.zeros(len(running), dtype=bool)
        result.converged[running[done]] = True
        going = ~done & np.isfinite(objective)
        running = running[going]
        if iteration == max_iter or not len(running):
            break
        share = joint[going]
        share *= times / evidence[going]
        trials, attributed = share.sum(axis=2), share @ heads
        tosses = trials * model.n_tosses
        new = theta[going]
        np.divide(attributed, tosses, out=new, where=trials > 0)
        result.heads_prob[running] = np.minimum(new, 1.0)
        if model.estimate_weights:
            result.weights[running] = trials / trials.sum(axis=1, keepdims=True)
    return result


def _log_densities(heads: Array, tosses: int, theta: Array) -> Array:
    """Return log Binomial(h_r; m, theta_sk), shape (S, K, R): :func:`log_binomial` for a grid.

    Few tosses go by the plain formula, with one logarithm for each coin.
    """
    if tosses > FEW_TRIALS:
        return log_binomial(heads, tosses, theta[:, :, None])
    # Not minus infinity, so that no heads of a coin without any come to 0 = 0 log 0.
    log_heads, log_tails = (np.maximum(log, _NEVER) for log in (np.log(theta), np.log1p(-theta)))
    found = heads * log_heads[:, :, None]
    found += (tosses - heads) * log_tails[:, :, None]
    found += log_choose(tosses)[heads.astype(np.intp)]
    return np.asarray(found)
