"""What every model needs: Bayes' rule in log space, component matching, and checks at the door."""

import math
import operator
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Array = npt.NDArray[np.float64]

# "Nothing changes", in floating point: a few units in the last place.
ROUNDING = 4 * np.finfo(float).eps

# Between these, densities, their sums and their quotients have all their digits.
_LOW, _HIGH = 1e-290, 1e290

# Weights typed in with six digits (0.333333) are still meant to sum to one.
_WEIGHT_SUM_ACCURACY = 1e-5


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
        If a value is not finite or the shapes differ in more than the number of components.
    """
    points = [np.asarray(values, dtype=float) for values in (estimates, truths)]
    if 0 in (points[0].ndim, points[1].ndim) or points[0].shape[1:] != points[1].shape[1:]:
        raise ValueError(
            "estimates and truths must be (K,) and (M,), or (K, d) and (M, d), "
            f"got {points[0].shape} and {points[1].shape}"
        )
    ours, theirs = (array.reshape(len(array), -1) for array in points)
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("estimates and truths must be finite to be matched")
    cost = ((ours[:, None, :] - theirs[None, :, :]) ** 2).sum(axis=2)
    rows, columns = linear_sum_assignment(cost)
    matched = rows[np.argsort(columns)]
    return np.concatenate([matched, np.setdiff1d(np.arange(len(ours)), matched)])


def as_integer(name: str, value: Any, *, minimum: int) -> int:
    """Return ``value`` as an int, or raise a ValueError that says what was expected."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < minimum:
        raise ValueError(f"{name} must be a whole number, {minimum} or larger, got {value!r}")
    return number


def as_sizes(sizes: npt.ArrayLike) -> list[int]:
    """Return the sizes of a simulated sample's components as ints, or raise ValueError."""
    given = np.atleast_1d(np.asarray(sizes, dtype=object))  # as they came, one by one
    counts = [as_integer("sizes", size, minimum=1) for size in given]
    if not counts:
        raise ValueError(f"sizes must have one entry per component, got {sizes!r}")
    return counts


def as_number(value: Any) -> float:
    """Return a real number as a float: infinite if it is too large, and NaN if it is none."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def check_not_negative(name: str, value: Any) -> None:
    """Raise ValueError unless ``value`` is a finite number, 0 or larger."""
    if not 0 <= as_number(value) < math.inf:
        raise ValueError(f"{name} must be a finite number, 0 or larger, got {value!r}")


def as_array(name: str, values: Any) -> npt.NDArray[Any]:
    """Return ``values`` as an array, or raise a ValueError that says what was expected."""
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must be an array of numbers, got {values!r}") from None


def as_data(data: npt.ArrayLike, *, ndim: int) -> Array:
    """Return the observations as an array of floats, or raise ValueError as ``check_data``."""
    array = as_array("data", data)
    check_data(array, ndim=ndim)
    return array.astype(float, copy=False)


class WrongShapeError(ValueError):
    """The data have another number of axes than the model wants."""


def check_data(data: npt.NDArray[Any], *, ndim: int) -> None:
    """Raise ValueError unless ``data`` is a non-empty array of finite numbers of that shape."""
    shape = {1: "(n,)", 2: "(n, d)"}[ndim]
    if data.ndim != ndim:
        raise WrongShapeError(f"data must have shape {shape}, got shape {data.shape}")
    if data.size == 0:
        raise ValueError(f"data must hold at least one observation, got shape {data.shape}")
    if data.dtype.kind not in "iuf":
        raise ValueError(f"data must hold real numbers, got dtype {data.dtype}")
    check_finite("data", data)


def all_finite(values: npt.NDArray[Any]) -> bool:
    """Return whether all ``values`` are finite. Warns of what it finds unless that is ignored."""
    # A sum that has a value in it that is not finite is not finite; few finite values overflow.
    return math.isfinite(values.sum()) or bool(np.isfinite(values).all())


def check_finite(name: str, values: npt.NDArray[Any]) -> None:
    """Raise ValueError, naming the first offender, unless all ``values`` are finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if all_finite(values):
            return
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        where = ", ".join(map(str, bad[0]))
        raise ValueError(f"{name} must be finite, got {values[tuple(bad[0])]} at [{where}]")


def check_range(name: str, values: Array, low: float, high: float) -> None:
    """Raise ValueError, naming the first offender, unless all values lie in [low, high]."""
    bad = np.flatnonzero(~((values >= low) & (values <= high)))
    if len(bad):
        raise ValueError(
            f"{name} must lie between {low:g} and {high:g}, got {values.flat[bad[0]]} at [{bad[0]}]"
        )


def check_positive(name: str, values: Array) -> None:
    """Raise ValueError, naming the first offender, unless all values are finite and above zero."""
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        raise ValueError(
            f"{name} must be finite and larger than 0, got {values.flat[bad[0]]} at [{bad[0]}]"
        )


def check_kind(params: Any, kind: type[Any]) -> None:
    """Raise ValueError unless ``params`` are those of the model."""
    if not isinstance(params, kind):
        raise ValueError(f"params must be {kind.__name__}, got {params!r}")


def check_rng(rng: Any) -> None:
    """Raise ValueError unless ``rng`` is a generator."""
    if not isinstance(rng, np.random.Generator):
        raise ValueError(
            "rng must be a numpy.random.Generator, for example np.random.default_rng(1), "
            f"got {rng!r}"
        )


def check_vector(name: str, values: Array) -> None:
    """Raise ValueError unless ``values`` is a finite vector of at least one component."""
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name} must have shape (K,) with K at least 1, got {values.shape}")
    check_finite(name, values)


def check_weights(weights: Array) -> None:
    """Raise ValueError unless ``weights`` are probabilities that sum to one."""
    check_vector("weights", weights)
    check_range("weights", weights, 0, 1)
    if abs(weights.sum() - 1) > _WEIGHT_SUM_ACCURACY:
        raise ValueError(f"weights must sum to 1, got {weights} with sum {weights.sum():g}")


def equal_weights(n_components: int) -> Array:
    """Return the mixing weights that favour no component, shape (n_components,)."""
    return np.full(n_components, 1 / n_components)


def check_enough_rows(data: npt.NDArray[Any], n_components: int) -> int:
    """Return ``n_components``, or raise ValueError if there are fewer observations than that."""
    k = as_integer("n_components", n_components, minimum=1)
    if k > len(data):
        raise ValueError(f"n_components must be at most the {len(data)} observations, got {k}")
    return k


def draw_rows(
    data: npt.NDArray[Any], n_components: int, *, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the indices of ``n_components`` different observations, drawn at random."""
    check_rng(rng)
    return rng.choice(len(data), size=check_enough_rows(data, n_components), replace=False)
