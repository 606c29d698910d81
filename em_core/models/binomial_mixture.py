r"""Binomial mixture: the two coins, or as many as one likes.

Trial i draws a coin k with probability :math:`\pi_k`, tosses it :math:`m_i` times and notes the
number of heads :math:`h_i`. Which coin it was is not noted. The log-likelihood, binomial
coefficients included, is

.. math::
    \ell = \sum_i \log \sum_k \pi_k \binom{m_i}{h_i} \theta_k^{h_i} (1 - \theta_k)^{m_i - h_i}

(Do and Batzoglou, "What is the expectation maximization algorithm?", Nature Biotechnology
26, 2008).
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, expit, logit, softmax, xlog1py, xlogy

from em_core.checks import (
    WrongShapeError,
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
    refuse_masked,
)
from em_core.data.blocks import prepare
from em_core.engine import Status, Watch, fit_labelled
from em_core.kernels.odds import Odds
from em_core.many import runs_of
from em_core.model import Arrays, Counted, Mixture, Params, Sample, component_axes, draw_sample
from em_core.numerics import (
    FEW_TRIALS,
    Array,
    centred_logs,
    count_rows,
    equal_weights,
    log_binomial,
    log_choose,
    log_ways,
)

_TALLIED_OUTCOMES = 2**16  # different head counts, at the most, for which trials are counted
_TALLIED_ROWS = 2**20  # trials that are counted at once
_CACHED_NUMBERS = 2**17  # log densities that are computed at once, in the cache
_ROWS_OF_MANY = 2**8  # of them, outcomes that are taken at once where there are many runs
_FEW = 2**7  # outcomes, for which sums by their odds are no quicker
_LOW = 1e-290  # probabilities above it, their sums and quotients have all their digits
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

    Or, without ``n_tosses``, for the heads and the tosses of each trial, shape (n, 2).

    Parameters
    ----------
    n_tosses : int, optional
        Tosses per trial, the same in all trials. By default each trial has its own number.
    estimate_weights : bool, default False
        Whether the M-step updates the mixing weights, or leaves those of the initial guess.

    Raises
    ------
    ValueError
        If ``n_tosses`` is not a positive whole number.

    Examples
    --------
    >>> from em_core import fit
    >>> trials = [[5, 10], [9, 10], [4, 5], [4, 10], [14, 20]]
    >>> fit(BinomialMixture(), trials, BinomialParams([0.6, 0.5], [0.5, 0.5])).final.params
    BinomialParams(heads_prob=[0.75061, 0.544248], weights=[0.5, 0.5])
    """

    n_tosses: int | None = None
    estimate_weights: bool = False

    def __post_init__(self) -> None:
        if self.n_tosses is None:
            return
        object.__setattr__(self, "n_tosses", as_integer("n_tosses", self.n_tosses, minimum=1))

    def check(self, data: npt.NDArray[Any], params: BinomialParams) -> None:
        """Raise ValueError unless data are head counts and params are probabilities."""
        if self.n_tosses is None:
            _check_trials(data)
            self.check_params(params)
            return
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

    def heads_and_tosses(self, data: npt.NDArray[Any]) -> tuple[Array, Any]:
        """Return h_i and m_i of each trial as columns (n, 1), or m as a number if it is that."""
        # As floats: m may be too large for the integers the data came in.
        array = np.asarray(data, dtype=float)
        if self.n_tosses is None:
            return array[:, :1], array[:, 1:]
        return array[:, None], self.n_tosses

    def log_joint(self, data: npt.NDArray[Any], params: BinomialParams) -> Array:
        """Return log(pi_k Binomial(h_i; m_i, theta_k)), shape (n, K)."""
        h, m = self.heads_and_tosses(data)
        # log (m_i choose h_i) + h_i log theta_k + (m_i - h_i) log(1 - theta_k)
        log_density = log_binomial(h, m, params.heads_prob)
        with np.errstate(divide="ignore"):
            # Typed weights may sum to one only nearly; what the M-step returns does exactly.
            return np.asarray(log_density + np.log(params.weights / params.weights.sum()))

    def statistics(
        self, data: npt.NDArray[Any], params: BinomialParams, responsibilities: Array
    ) -> BinomialStatistics:
        """Split the heads and tails of each trial between the coins, and add them up."""
        h, m = self.heads_and_tosses(data)
        heads = h[:, 0] @ responsibilities  # H_k = sum_i r_ik h_i
        tails = (m - h)[:, 0] @ responsibilities  # T_k = sum_i r_ik (m_i - h_i)
        trials = responsibilities.sum(axis=0)  # N_k = sum_i r_ik
        return BinomialStatistics(heads, tails, trials)

    def m_step(self, statistics: BinomialStatistics, previous: BinomialParams) -> BinomialParams:
        """Return heads over tosses for each coin; one without tosses stays."""
        return BinomialParams(**self.m_step_many(statistics, previous.arrays()))

    def m_step_many(self, statistics: BinomialStatistics, previous: Arrays) -> Arrays:
        """Return the same of one run, or of many with the runs as the first axis of all arrays."""
        heads, tails, trials = statistics
        heads_prob, weights = previous["heads_prob"].copy(), previous["weights"]
        np.divide(heads, heads + tails, out=heads_prob, where=trials > 0)  # H_k / (H_k + T_k)
        if self.estimate_weights:
            weights = trials / trials.sum(axis=-1, keepdims=True)  # N_k / n
        return {"heads_prob": heads_prob, "weights": weights}

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
        place of 1 are lost in a deviance (:func:`em_core.numerics.deviance`). Where trials differ,
        m is the mean number of tosses of the coin's trials, for which this is the most.
        """
        tosses: Any = self.n_tosses
        if tosses is None:
            heads, tails, trials = statistics
            tosses = np.divide(heads + tails, trials, out=np.zeros_like(trials), where=trials > 0)
        spread = np.sqrt(tosses * params.heads_prob * (1 - params.heads_prob))
        return float(statistics.trials @ np.maximum(spread, 1.0))

    def component_counts(self, statistics: BinomialStatistics) -> Array:
        """Return the expected number of trials of each coin, shape (K,)."""
        return statistics.trials

    def prepare(self, data: npt.NDArray[Any], counts: Array | None = None) -> "Counted | Outcomes":
        """Return the different outcomes, and how many trials show each: an exact compression.

        An outcome is a head count, or heads and tosses. ``counts``, shape (n,), says how many
        trials each entry stands for, if not one. Where head counts are too many to be the same
        often, they are prepared as they are.
        """
        if self.n_tosses is None:
            times = np.ones(len(data)) if counts is None else counts
            return Counted(*count_rows(data, times))
        if self.n_tosses > _TALLIED_OUTCOMES:
            return self.prepare_counted(data, np.ones(len(data)) if counts is None else counts)
        times = np.zeros(self.n_tosses + 1)
        for start in range(0, len(data), _TALLIED_ROWS):
            rows = slice(start, start + _TALLIED_ROWS)
            times += np.bincount(
                data[rows].astype(np.intp),
                weights=None if counts is None else counts[rows],
                minlength=self.n_tosses + 1,
            )
        heads = np.flatnonzero(times)
        return Counted(heads, times[heads])

    def prepare_counted(self, rows: npt.NDArray[Any], counts: Array) -> "Outcomes":
        """Return different outcomes, with the E-steps of one run and of many on them."""
        return Outcomes(*self.heads_and_tosses(rows), counts[:, None])

    def n_parameters(self, params: BinomialParams) -> int:
        """Return the number of free parameters: K, and K - 1 weights if these are estimated."""
        k = params.n_components
        return k + (k - 1) * self.estimate_weights

    def to_free(self, params: BinomialParams, like: BinomialParams) -> Array:
        """Return the log-odds of heads, and those of the weights if they are estimated: see Model.

        Those of heads are in units of their standard error after one trial, 1 / sqrt(m p (1 - p)),
        where p is that of ``like``; after one toss if each trial has its own number of them.
        """
        return self.to_free_many(params.arrays(), like.arrays())

    def to_free_many(self, arrays: Arrays, like: Arrays) -> Array:
        """Return the same of several parameters, whose arrays have leading axes."""
        odds = logit(arrays["heads_prob"]) / self._unit(like["heads_prob"])
        if not self.estimate_weights:
            return np.asarray(odds)
        return np.concatenate([odds, centred_logs(arrays["weights"])], axis=-1)

    def from_free(self, vector: Array, like: BinomialParams) -> BinomialParams:
        """Return the parameters of which :meth:`to_free` makes this vector."""
        return BinomialParams(**self.from_free_many(vector, like.arrays()))

    def from_free_many(self, vectors: Array, like: Arrays) -> Arrays:
        """Return the same of several vectors, (..., entries)."""
        odds, shares = np.split(vectors, [like["heads_prob"].shape[-1]], axis=-1)
        return {
            "heads_prob": expit(odds * self._unit(like["heads_prob"])),
            "weights": softmax(shares, axis=-1) if self.estimate_weights else like["weights"],
        }

    def _unit(self, p: Array) -> Array:
        return np.asarray(1 / np.sqrt((self.n_tosses or 1) * p * (1 - p)))

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
        self,
        params: BinomialParams,
        labels: npt.NDArray[np.int64],
        *,
        rng: np.random.Generator,
        tosses: Any = None,
    ) -> npt.NDArray[np.int64]:
        """Toss the coin of each label, and return the heads, shape (n,), or with tosses (n, 2)."""
        if self.n_tosses is not None:
            return rng.binomial(self.n_tosses, params.heads_prob[labels])
        times = _tosses_of_each(tosses, len(labels))
        return np.column_stack([rng.binomial(times, params.heads_prob[labels]), times])

    def simulate(
        self,
        truth: BinomialParams,
        size: int | Sequence[int] | npt.NDArray[np.integer[Any]],
        *,
        rng: np.random.Generator,
        tosses: npt.ArrayLike | None = None,
    ) -> Sample[BinomialParams]:
        """Draw trials.

        Parameters
        ----------
        truth, size, rng
            As for :meth:`em_core.model.Mixture.simulate`.
        tosses : int or array_like of int, shape (n,), optional
            How often the coin is tossed in each trial, or in all of them: for a model without
            ``n_tosses``, which does not know. If ``size`` says how many trials each coin has, those
            of the first coin are the first here; the trials come in random order then, each with
            its tosses.

        Returns
        -------
        Sample
            The heads, or the heads and tosses, of each trial, its coin, and ``truth``.

        Raises
        ------
        ValueError
            As for :meth:`em_core.model.Mixture.simulate`; or if ``tosses`` are not positive whole
            numbers, not one for each trial, missing, or given beside ``n_tosses``.
        """
        check_rng(rng)
        if self.n_tosses is None:
            return draw_sample(self, truth, size, rng, tosses=tosses)
        if tosses is not None:
            raise ValueError(
                f"tosses are for a model without n_tosses, got {tosses!r} beside "
                f"n_tosses = {self.n_tosses}; leave one of them out"
            )
        return draw_sample(self, truth, size, rng)


def _check_trials(data: npt.NDArray[Any]) -> None:
    """Raise ValueError unless the rows are whole numbers of heads and of tosses."""
    refuse_masked("data", data)
    if data.ndim != 2 or data.shape[1] != 2:
        raise WrongShapeError(
            f"data must have shape (n, 2), got shape {data.shape}: heads and tosses of each trial; "
            "where all trials have the same number of tosses, say it once, by n_tosses"
        )
    check_data(data, ndim=2)
    if data.dtype.kind == "f" and (data != np.floor(data)).any():
        i, j = np.argwhere(data != np.floor(data))[0]
        kind = ("heads", "tosses")[j]
        raise ValueError(f"data must be whole numbers, got {data[i, j]} {kind} at [{i}, {j}]")
    heads, tosses = data.T
    if tosses.min() < 1:
        i = np.flatnonzero(tosses < 1)[0]
        raise ValueError(
            f"data must have 1 toss or more in each trial, got {tosses[i]} at [{i}, 1]"
        )
    if heads.min() < 0 or (heads > tosses).any():
        i = np.flatnonzero((heads < 0) | (heads > tosses))[0]
        raise ValueError(
            f"data must be head counts from 0 to the tosses of their trial, {tosses[i]} here, "
            f"got {heads[i]} at [{i}, 0]"
        )


def _tosses_of_each(tosses: Any, n: int) -> npt.NDArray[np.int64]:
    """Return the tosses of each of ``n`` trials, or raise a ValueError that says what is wrong."""
    if tosses is None:
        raise ValueError(
            "tosses must be given, a number or one for each trial, to simulate from a "
            "BinomialMixture without n_tosses"
        )
    refuse_masked("tosses", tosses)
    if np.ndim(tosses) == 0:
        return np.full(n, as_integer("tosses", tosses, minimum=1), dtype=np.int64)
    array = as_array("tosses", tosses)
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"tosses must be whole numbers, one for each of the {n} trials, "
            f"got shape {array.shape} and dtype {array.dtype}"
        )
    if array.min() < 1:
        i = np.flatnonzero(array < 1)[0]
        raise ValueError(f"tosses must be 1 or larger, got {array[i]} at [{i}]")
    return array.astype(np.int64)


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
    r"""Return how much more the head counts vary than those of one coin for all trials.

    That is, with the overall heads probability :math:`\theta = \sum_i h_i / \sum_i m_i`,

    .. math:: \lambda = \frac{\sum_i (h_i - m_i \theta)^2}{\theta (1 - \theta) \sum_i m_i},

    the squared distances of the head counts from those expected, over what one coin makes of them
    on average; with equal :math:`m_i`, the variance of the head counts over that of one coin.

    It tells what the point is at which all coins are equal. There Bayes' rule to first order is
    :math:`r_{ik} = \pi_k (1 + (\theta_k - \bar\theta) (h_i - m_i \theta) / (\theta (1 - \theta)))`.
    In the update :math:`\theta_k' - \theta = \sum_i r_{ik} (h_i - m_i \theta) / \sum_i r_{ik} m_i`
    the first term adds up to 0, and the second to :math:`\lambda (\theta_k - \bar\theta)`: an
    iteration of EM multiplies small differences between the coins by this number. Above 1 they grow
    and the point is a saddle, below 1 they shrink and it is a top; with one toss a trial it is 1,
    and the point lies on a ridge.

    Parameters
    ----------
    model : BinomialMixture
        The mixture.
    data : array_like, shape (n,) or (n, 2)
        Head counts, or heads and tosses, as the model wants them.

    Returns
    -------
    float
        Not a number if all tosses show the same side.

    Raises
    ------
    ValueError
        If the data are not head counts.
    """
    rows = as_array("data", data)
    model.check(rows, BinomialParams([0.5], [1.0]))
    h, m = model.heads_and_tosses(rows)
    p = h.mean() / np.mean(m)
    if p in (0, 1):
        return float("nan")
    excess = h - m / np.mean(m) * h.mean()  # h_i - m_i theta
    return float((excess**2).mean() / (np.mean(m) * p * (1 - p)))


def expected_in_bins(params: BinomialParams, tosses: npt.ArrayLike, edges: npt.ArrayLike) -> Array:
    """Return how many trials are expected to have a proportion of heads in each bin.

    Parameters
    ----------
    params : BinomialParams
        The coins, and how probable each is.
    tosses : array_like of int, shape (n,)
        How often each trial tosses its coin.
    edges : array_like, shape (bins + 1,)
        Ends of the bins, ascending. A bin holds its left end, and the last one its right end too.

    Returns
    -------
    ndarray, shape (bins,)
        They sum to n if the bins hold all proportions.
    """
    m, times = np.unique(as_floats("tosses", tosses), return_counts=True)
    ends = as_floats("edges", edges)[:, None] * m
    # As a proportion h / m below an end: ends that are whole numbers but for rounding are whole.
    whole = np.rint(ends)
    ends = np.where(np.abs(ends - whole) <= 4 * np.finfo(float).eps * (1 + ends), whole, ends)
    most = np.ceil(ends) - 1
    most[-1] = np.floor(ends[-1])
    h = np.clip(most, 0, m - 1)[:, :, None]
    # P(heads <= h) is an incomplete beta function.
    below = betainc(m[:, None] - h, h + 1, 1 - params.heads_prob)
    below[most < 0] = 0
    below[most >= m] = 1
    mixed = below @ (params.weights / params.weights.sum())
    return np.asarray(np.diff(mixed @ times))


class _Block(NamedTuple):
    """Some outcomes, all arrays of shape (n, 1): heads, tails, and how many trials had them.

    ``log_densities`` makes log Binomial(h_i; m_i, theta), shape (K, n, R), of theta, (K, 1, R).
    """

    heads: Array
    tails: Array
    counts: Array
    log_densities: Callable[[Array], Array]


class Outcomes(NamedTuple):
    """Different outcomes, for the E-steps of one run or of many.

    The equations are those of :meth:`BinomialMixture.log_joint`, of
    :func:`em_core.numerics.posterior` and of :meth:`BinomialMixture.statistics`. Arrays are (K, n,
    R), for blocks of n outcomes and R runs, so that loops over either are long. Sums of few
    outcomes are no products of matrices, whose last digits may depend on how many runs there are;
    those of many are, where these are as precise (:class:`Odds`).

    Attributes
    ----------
    heads, counts : ndarray, shape (n, 1)
        Heads of each outcome, and how many trials had it.
    tosses : ndarray, shape (n, 1), or int
        Tosses of each, or of all.
    """

    heads: Array
    tosses: Any
    counts: Array

    def at_once(self, n_components: int) -> int:
        """Return for how many runs the arrays of a block fit the cache."""
        return max(_CACHED_NUMBERS // (min(len(self.heads), _ROWS_OF_MANY) * n_components), 1)

    def begin(self) -> Callable[[BinomialParams], tuple[BinomialStatistics, float]]:
        """Return the E-step of one run."""
        # As two runs of few outcomes: sums then go in the order of those of many runs, and one run
        # finds what it would find among others, to the last bit.
        n_runs, many = 1 + (len(self.heads) <= _FEW), self.begin_many()

        def e_step(params: BinomialParams) -> tuple[BinomialStatistics, float]:
            arrays = {name: a[None].repeat(n_runs, axis=0) for name, a in params.arrays().items()}
            (heads, tails, trials), objectives = many(arrays)
            return BinomialStatistics(heads[0], tails[0], trials[0]), float(objectives[0])

        return e_step

    def begin_many(self) -> Callable[[Arrays], tuple[BinomialStatistics, Array]]:
        """Return the E-step of many runs."""
        n = len(self.heads)
        cuts = [slice(i, i + _ROWS_OF_MANY) for i in range(0, n, _ROWS_OF_MANY)]
        # Of many outcomes hardly any run asks for them.
        blocks = functools.cache(lambda: [self._block(cut) for cut in cuts])
        odds = Odds(self.heads, self.tosses, self.counts) if n > _FEW else None

        def e_step(arrays: Arrays) -> tuple[BinomialStatistics, Array]:
            heads_prob, weights = arrays["heads_prob"], arrays["weights"]
            if odds is None:
                return _expect(blocks(), heads_prob, weights)
            sums, objectives, good = odds(heads_prob, weights)
            statistics = BinomialStatistics(*sums)
            if not good.all():
                own, objectives[~good] = _expect(blocks(), heads_prob[~good], weights[~good])
                for each, of_runs in zip(statistics, own, strict=True):
                    each[~good] = of_runs
            return statistics, objectives

        return e_step

    def _block(self, cut: slice) -> _Block:
        heads = self.heads[cut]
        tosses = self.tosses[cut] if isinstance(self.tosses, np.ndarray) else self.tosses
        log_densities = _log_densities(heads, tosses)
        return _Block(heads, tosses - heads, self.counts[cut], log_densities)


def _expect(
    blocks: Sequence[_Block], heads_prob: Array, weights: Array
) -> tuple[BinomialStatistics, Array]:
    """Return the statistics, each (R, K), and the objectives (R,) of parameters (R, K)."""
    # Contiguous, since the large arrays that come of them follow their order.
    theta, pi = (np.ascontiguousarray(array.T)[:, None] for array in (heads_prob, weights))
    log_weights = np.log(pi / pi.sum(axis=0))
    found = [_sums_over(block, theta, log_weights) for block in blocks]
    sums = map(np.add.reduce, zip(*found, strict=True)) if len(found) > 1 else found[0]
    heads, tails, trials, objectives = sums
    return BinomialStatistics(heads.T, tails.T, trials.T), objectives


def _sums_over(block: _Block, theta: Array, log_weights: Array) -> tuple[Array, ...]:
    """Return H, T and N, each of shape (K, R), and the objectives (R,), of a block of outcomes."""
    heads, tails, counts, log_densities = block
    joint = log_densities(theta)
    joint += log_weights
    np.exp(joint, out=joint)
    add = np.add.reduce  # half the time of the method, which a run of few outcomes notices
    evidence = add(joint, axis=0)
    log_evidence = np.log(evidence)
    low = np.minimum.reduce(evidence, axis=0) <= _LOW
    if low.any():  # some density is out of reach of a float
        logs = log_densities(theta[..., low]) + log_weights[..., low]
        joint[..., low], evidence[:, low], log_evidence[:, low] = _shifted(logs)
    objectives = add(log_evidence * counts, axis=0)
    joint *= counts / evidence  # how many of the trials each coin has had
    own_heads, own_tails = (_weighted(joint, each[:, 0]) for each in (heads, tails))
    return own_heads, own_tails, add(joint, axis=1), objectives


def _shifted(joint: Array) -> tuple[Array, Array, Array]:
    """Return densities, their sums, and the logarithms of these, once the largest is taken out."""
    peak = np.maximum.reduce(joint, axis=0)
    peak[peak < _NEVER / 2] = -np.inf
    joint -= np.where(np.isfinite(peak), peak, 0.0)
    np.exp(joint, out=joint)
    evidence = np.add.reduce(joint, axis=0)
    return joint, evidence, peak + np.log(evidence)


def _weighted(joint: Array, rows: Array) -> Array:
    """Return sums over outcomes that are multiplied by something, (K, R), in the same order ever.

    In a third of the time of a product and a sum.
    """
    return np.asarray(np.einsum("knr,n->kr", joint, rows))


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
    watch: Watch | None = None,
) -> Grid:
    """Run EM from many starts, as one array computation.

    Each start goes as :func:`em_core.fit` would take it, but for rounding. What it was on the way
    is not kept, as it is by :func:`em_core.fit_restarts`.

    Parameters
    ----------
    model : BinomialMixture
        The mixture.
    data : array_like, shape (n,) or (n, 2)
        Head counts, or heads and tosses, as the model wants them.
    heads_prob : array_like, shape (S, K)
        Initial heads probabilities of each start.
    weights : array_like, shape (K,)
        Initial mixing weights of every start.
    tol, max_iter, watch
        As for :func:`em_core.fit`, with ``tol`` above 0.

    Raises
    ------
    ValueError
        If an argument is not as described.
    """
    if not isinstance(model, BinomialMixture):
        raise ValueError(f"model must be a BinomialMixture, got {model!r}")
    starts = as_floats("heads_prob", heads_prob)
    if starts.ndim != 2 or starts.size == 0:
        raise ValueError(f"heads_prob must have shape (S, K), got {starts.shape}")
    check_range("heads_prob", starts, 0, 1)
    blocks = prepare(model, as_array("data", data), BinomialParams(starts[0], weights))
    if not 0 < as_number(tol) < np.inf:
        raise ValueError(f"tol must be a finite number above 0, got {tol!r}")
    runs = runs_of(model, blocks, BinomialParams)
    assert runs is not None  # all data of coins are prepared for many
    everywhere = np.broadcast_to(as_floats("weights", weights), starts.shape)
    ends = runs.ends({"heads_prob": starts, "weights": everywhere}, tol, max_iter, watch)
    return Grid(
        ends.arrays["heads_prob"],
        ends.arrays["weights"],
        ends.objectives,
        ends.n_iter,
        ends.statuses == Status.CONVERGED,
    )


def _log_densities(heads: Array, tosses: Any) -> Callable[[Array], Array]:
    """Return what makes log Binomial(h_i; m_i, theta), shape (K, n, R), of theta, (K, 1, R).

    That is :func:`log_binomial` for many runs. Few tosses go by the plain formula, with one
    logarithm for each coin.
    """
    if np.max(tosses) > FEW_TRIALS:
        return lambda theta: log_binomial(heads, tosses, theta)
    own, tails = isinstance(tosses, np.ndarray), tosses - heads
    ways = log_ways(heads, tosses) if own else log_choose(tosses)[heads.astype(np.intp)]

    def plain(theta: Array) -> Array:
        # Not minus infinity, so that no heads of a coin without any come to 0 = 0 log 0.
        log_heads, log_tails = (
            np.maximum(log, _NEVER) for log in (np.log(theta), np.log1p(-theta))
        )
        found = heads * log_heads
        found += tails * log_tails
        found += ways
        return np.asarray(found)

    return plain
