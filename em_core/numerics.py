"""What every mixture needs: Bayes' rule in log space, and matching components with others."""

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import xlog1py, xlogy

from em_core.checks import Array as Array  # which is offered here too
from em_core.checks import as_floats

# "Nothing changes", in floating point: a few units in the last place.
ROUNDING = 4 * np.finfo(float).eps

# The variance that a coordinate has left once those before it are known: below this fraction of its
# own variance it is rounding error, and the matrix is taken for singular.
_SINGULAR = 1e3 * np.finfo(float).eps

# Between these, densities, their sums and their quotients have all their digits.
_LOW, _HIGH = 1e-290, 1e290


# Trials up to which the plain formula loses three digits at the most, and a table is short.
FEW_TRIALS = 1_000

# Trials up to which a table over all outcomes takes a megabyte at the most.
_TABLED_TRIALS = 2**17

# log(n!) less Stirling's formula for it, where the series below has not enough digits.
_STIRLING_ERRORS = np.array(
    [0.0]  # not needed
    + [
        math.log(math.factorial(n)) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(2 * math.pi)
        for n in range(1, 16)
    ]
)


def every(mask: npt.NDArray[np.bool_]) -> Any:
    """Return whether all along the last axis are true: of short axes in half of NumPy's time."""
    return True if np.count_nonzero(mask) == mask.size else np.logical_and.reduce(mask, axis=-1)


def some(mask: npt.NDArray[np.bool_]) -> Any:
    """Return whether any along the last axis, which is not empty, is true; as :func:`every`."""
    return True if np.count_nonzero(mask) == mask.size else np.logical_or.reduce(mask, axis=-1)


def posterior(log_joint: Array) -> tuple[Array, Array]:
    """Return Bayes' rule for each row, computed in log space.

    Parameters
    ----------
    log_joint : ndarray, shape (n, K)
        log p(x_i, z_i = k). Minus infinity where component k cannot produce x_i.

    Returns
    -------
    responsibilities : ndarray, shape (n, K)
        p(z_i = k | x_i). Not a number in a row that no component can produce.
    log_evidence : ndarray, shape (n,)
        log p(x_i), in nats; minus infinity in such a row.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        joint = np.exp(log_joint)
        evidence = joint.sum(axis=1)
        if joint.min(initial=1.0) > _LOW and evidence.max(initial=1.0) < _HIGH:
            joint *= (1 / evidence)[:, None]  # a quarter of the time of a division in each place
            return joint, np.log(evidence)
        # Some density is out of reach of a float: take the largest out of each row first.
        peak = log_joint.max(axis=1)
        peak[~np.isfinite(peak)] = 0.0
        joint = np.exp(log_joint - peak[:, None])
        evidence = joint.sum(axis=1)
        joint *= (1 / evidence)[:, None]
        return joint, np.log(evidence) + peak


def log_binomial(successes: Array, trials: int | Array, prob: Array) -> Array:
    r"""Return the logarithm of the binomial probability of whole numbers, in nats.

    That is :math:`\log\binom{m}{h} + h \log p + (m - h) \log(1 - p)`. Its terms are as large as m,
    and their sum may be as small as log m: at a million tosses that costs nine digits. For large m
    it is computed from terms of its own size, Stirling's errors :math:`\delta` and deviances D
    (Loader, "Fast and accurate computation of binomial probabilities", 2000):

    .. math:: \delta_m - \delta_h - \delta_{m-h} + \tfrac12 \log \frac{m}{2 \pi h (m - h)}
              - D(h, mp) - D(m - h, m(1 - p))

    where the terms before D are 0 if h is 0 or m.

    Parameters
    ----------
    successes : ndarray
        h, from 0 to m.
    trials : int or ndarray
        m, 1 or larger. As an array, of the shape of ``successes``.
    prob : ndarray
        p, from 0 to 1. Broadcasts against ``successes``.
    """
    if isinstance(trials, np.ndarray):
        return _by_deviances(_peak(successes, trials), successes, trials, prob)
    if trials <= FEW_TRIALS:
        ways = log_choose(trials)[successes.astype(np.intp)]
        # xlogy(0, 0) = 0: what never succeeds can still not succeed.
        return np.asarray(ways + xlogy(successes, prob) + xlog1py(trials - successes, -prob))
    m = float(trials)
    if trials <= _TABLED_TRIALS:
        peak = _peaks(trials)[successes.astype(np.intp)]
    else:
        peak = _peak(successes, m)
    return _by_deviances(peak, successes, m, prob)


def _by_deviances(peak: Array, successes: Array, m: float | Array, prob: Array) -> Array:
    """Return :func:`log_binomial`, of which :func:`_peak` is known."""
    found = peak - deviance(successes, m * prob)
    found -= deviance(m - successes, m * (1 - prob))
    return np.asarray(found)


def _peak(successes: Array, m: float | Array) -> Array:
    """Return the terms of :func:`log_binomial` before D: the probability where p is h / m."""
    failures = m - successes
    h, t = np.maximum(successes, 1.0), np.maximum(failures, 1.0)
    peak = stirling_error(np.atleast_1d(m)) - stirling_error(h) - stirling_error(t)
    peak -= 0.5 * np.log(2 * np.pi * h * (t / m))
    peak[(successes == 0) | (failures == 0)] = 0.0
    return np.asarray(peak)


@functools.lru_cache(maxsize=4)
def _peaks(m: int) -> Array:
    """Return :func:`_peak` of all numbers of successes, shape (m + 1,): a third of a fit's time."""
    found = _peak(np.arange(m + 1.0), float(m))
    found.flags.writeable = False
    return found


@functools.lru_cache(maxsize=8)
def log_choose(m: int) -> Array:
    """Return the logarithm of the number of ways to choose h of m, for all h, shape (m + 1,)."""
    ways, found = 1, np.zeros(m + 1)
    for h in range(1, m + 1):
        ways = ways * (m - h + 1) // h
        found[h] = math.log(ways)
    found.flags.writeable = False
    return found


def log_ways(successes: Array, trials: Array) -> Array:
    """Return the logarithm of the number of ways to choose h of m, for each h and its own m."""
    share = successes / trials
    found = _peak(successes, trials) - xlogy(successes, share)
    return np.asarray(found - xlog1py(trials - successes, -share))


def stirling_error(n: Array) -> Array:
    r"""Return :math:`\log n! - \log(\sqrt{2 \pi n} (n / e)^n)` of whole numbers, 1 or larger."""
    inverse = 1 / (n * n)
    # 1/(12 n) - 1/(360 n^3) + 1/(1260 n^5) - 1/(1680 n^7) + 1/(1188 n^9)
    series = inverse * (1 / 1188)
    for coefficient in (-1 / 1680, 1 / 1260, -1 / 360, 1 / 12):
        series += coefficient
        series *= inverse
    series *= n
    small = n < len(_STIRLING_ERRORS)
    if small.any():
        series[small] = _STIRLING_ERRORS[n[small].astype(np.intp)]
    return np.asarray(series)


def deviance(seen: Array, expected: Array) -> Array:
    r"""Return :math:`D(x, \mu) = x \log(x / \mu) - (x - \mu)`: how improbable x is.

    Infinite where something was seen and nothing expected. Computed by way of :math:`x - \mu`, so
    that the rounding of this difference cancels.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        excess = seen - expected
        found = excess / expected
        np.log1p(found, out=found)
        found *= seen
        plain = ~np.isfinite(found)  # nothing seen, nothing expected, or too little of it
        if plain.any():
            x, mu = (np.broadcast_to(each, found.shape)[plain] for each in (seen, expected))
            found[plain] = xlogy(x, x) - xlogy(x, mu)
        found -= excess
        return np.asarray(found)


def match_components(estimates: npt.ArrayLike, truths: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the order of the estimated components that brings them closest to the true ones.

    Components of a mixture have no order of their own. To compare with the truth, each estimate
    is paired with one true component so that the summed squared distance is least
    (Kuhn, "The Hungarian method", 1955, by ``scipy.optimize.linear_sum_assignment``).

    Parameters
    ----------
    estimates : array_like, shape (K,) or (K, d)
        One point for each estimated component.
    truths : array_like, shape (M,) or (M, d)
        One point for each true component.

    Returns
    -------
    ndarray of int, shape (K,)
        A permutation for ``Params.relabel``: matched estimates by the index of their true
        component, then the unmatched ones (if K > M) in their own order.

    Raises
    ------
    ValueError
        If a value is masked or not finite, or the shapes differ in more than the number of
        components.
    """
    points = [as_floats("estimates", estimates), as_floats("truths", truths)]
    if 0 in (points[0].ndim, points[1].ndim) or points[0].shape[1:] != points[1].shape[1:]:
        raise ValueError(
            "estimates and truths must be (K,) and (M,), or (K, d) and (M, d), "
            f"got {points[0].shape} and {points[1].shape}"
        )
    ours, theirs = (array.reshape(len(array), -1) for array in points)
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("estimates and truths must be finite to be matched")
    cost = ((ours[:, None, :] - theirs[None, :, :]) ** 2).sum(axis=2)
    rows, columns = _cheapest_pairs(cost)
    matched = rows[np.argsort(columns)]
    return np.concatenate([matched, np.setdiff1d(np.arange(len(ours)), matched)])


def _cheapest_pairs(cost: Array) -> tuple[Array, Array]:
    """Return the rows and columns of the pairs whose costs (K, M) add up to the least."""
    # It brings all of scipy.optimize, which takes longer to import than the rest of this package.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost)
    return rows, columns


def match_labels(assigned: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[dict[int, int], int]:
    """Match components with known groups so that most observations agree.

    No two components are matched with one group, nor two groups with one component (Kuhn, "The
    Hungarian method", 1955, by ``scipy.optimize.linear_sum_assignment``).

    Parameters
    ----------
    assigned : array_like of int, shape (n,)
        The component that each observation is assigned to, from 0.
    labels : array_like of int, shape (n,)
        The group that it is known to belong to, from 0.

    Returns
    -------
    matching : dict of int to int
        Component to group, where they have an observation in common.
    mistaken : int
        How many observations are in another component than the one matched with their group.

    Raises
    ------
    ValueError
        If they are not whole numbers from 0 of one length.
    """
    ours, theirs = np.asarray(assigned), np.asarray(labels)
    if ours.ndim != 1 or ours.shape != theirs.shape or not len(ours):
        raise ValueError(
            f"assigned and labels must both have shape (n,), got {ours.shape} and {theirs.shape}"
        )
    if {ours.dtype.kind, theirs.dtype.kind} - set("iu") or min(ours.min(), theirs.min()) < 0:
        raise ValueError("assigned and labels must be whole numbers, 0 or larger")
    common = np.zeros((ours.max() + 1, theirs.max() + 1), dtype=np.int64)
    np.add.at(common, (ours, theirs), 1)
    pairs = [(i, j) for i, j in zip(*_cheapest_pairs(-common), strict=True) if common[i, j]]
    agree = sum(int(common[i, j]) for i, j in pairs)
    return {int(i): int(j) for i, j in pairs}, len(ours) - agree


def equal_weights(n_components: int) -> Array:
    """Return the mixing weights that favour no component, shape (n_components,)."""
    return np.full(n_components, 1 / n_components)


def centred_logs(weights: Array) -> Array:
    """Return the logarithms of weights (..., K) less their mean: softmax makes weights of them."""
    logs = np.log(weights)
    return np.asarray(logs - np.add.reduce(logs, axis=-1, keepdims=True) / logs.shape[-1])


def count_rows(rows: npt.NDArray[Any], times: Array) -> tuple[npt.NDArray[Any], Array]:
    """Return the different rows, in order, and how often each was observed.

    Parameters
    ----------
    rows : ndarray, shape (n,) or (n, d)
        Numbers.
    times : ndarray, shape (n,)
        How often each row was observed.
    """
    if rows.ndim == 1:
        different, place = np.unique(rows, return_inverse=True)
        return different, np.bincount(place, weights=times).astype(float)
    # Two to four times as fast as np.unique along an axis.
    order = np.lexsort(rows.T)
    rows = rows[order]
    first = np.append(True, (rows[1:] != rows[:-1]).any(axis=1))
    return rows[first], np.add.reduceat(times[order], np.flatnonzero(first))


def is_singular(covariances: Array) -> npt.NDArray[np.bool_]:
    """Return which matrices are singular or not definite, as far as their digits can tell."""
    return is_flat(cholesky(covariances), covariances)


def smallest_stds(covariances: Array) -> Array:
    """Return the standard deviation in the direction in which it is smallest, shape (K,).

    It is 0 where a matrix is singular, as far as its digits can tell.
    """
    factors = cholesky(covariances)
    flat = is_flat(factors, covariances)
    factors[flat] = 0.0
    return np.asarray(np.linalg.svd(factors, compute_uv=False)[:, -1])


def is_flat(factors: Array, covariances: Array) -> npt.NDArray[np.bool_]:
    """Return which Cholesky factors are those of matrices that are singular."""
    pivots = np.diagonal(factors, axis1=1, axis2=2)
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    return np.asarray(~(pivots**2 > _SINGULAR * variances).all(axis=1))


def cholesky(covariances: Array) -> Array:
    """Return Cholesky factors, not a number where there is none."""
    try:
        return np.asarray(np.linalg.cholesky(covariances), dtype=float)
    except np.linalg.LinAlgError:
        if len(covariances) == 1:
            return np.full_like(covariances, np.nan)
    return np.concatenate([cholesky(covariances[k : k + 1]) for k in range(len(covariances))])
