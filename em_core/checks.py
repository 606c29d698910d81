"""What is refused at the door, in words that say what was given and what is allowed.

Whatever comes from outside is looked at once, where it comes in; inside it is trusted.
"""

import math
import operator
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# The finite ones of more values take longer to count than the values to add.
_MANY = 2**18

# Weights typed in with six digits (0.333333) are still meant to sum to one.
_WEIGHT_SUM_ACCURACY = 1e-5


def as_integer(name: str, value: Any, *, minimum: int) -> int:
    """Return ``value`` as an int, or raise a ValueError that says what was expected."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < minimum:
        raise ValueError(f"{name} must be a whole number, {minimum} or larger, got {value!r}")
    return number


def as_sizes(size: Any) -> list[int]:
    """Return the size of a sample, or the sizes of its components, as ints; or raise ValueError."""
    refuse_masked("size", size)
    given = np.atleast_1d(np.asarray(size, dtype=object))  # as they came, one by one
    sizes = [as_integer("size", each, minimum=1) for each in given]
    if not sizes:
        raise ValueError(f"size must have one entry per component, got {size!r}")
    return sizes


def as_counts(counts: Any, n: int) -> Array:
    """Return how often each of ``n`` rows was observed, as floats, or raise ValueError."""
    array = as_array("counts", counts)
    if array.shape != (n,) or array.dtype.kind not in "iuf":
        raise ValueError(
            f"counts must be numbers, one for each of the {n} rows of data, "
            f"got shape {array.shape} and dtype {array.dtype}"
        )
    check_finite("counts", array)
    if array.min() < 0:
        i = np.flatnonzero(array < 0)[0]
        raise ValueError(f"counts must be 0 or larger, got {array[i]} at [{i}]")
    if not array.any():
        raise ValueError("counts must be above 0 for at least one row, got 0 for all")
    return array.astype(float)


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


def refuse_masked(name: str, values: Any) -> None:
    """Raise ValueError if ``values``, or an array in a list of them, has masked values.

    Plain arrays have no mask, so that what it hides would be taken for data. A masked array that
    hides nothing is as good as a plain one.
    """
    masked = _count_masked(values)
    if not masked:
        return
    if isinstance(values, np.ma.MaskedArray):
        kind, how = (
            "masked array",
            (f", by {name}.compressed() or, for whole rows, {name}[~{name}.mask.any(axis=1)]"),
        )
    else:
        kind, how = type(values).__name__, ""
    raise ValueError(
        f"{name} must have no masked values, got a {kind} with {masked} of {_count(values)} values "
        f"masked; leave these out{how}"
    )


def _count_masked(values: Any) -> int:
    if isinstance(values, np.ma.MaskedArray):
        return int(np.ma.getmaskarray(values).sum())
    return sum(map(_count_masked, values)) if isinstance(values, list | tuple) else 0


def _count(values: Any) -> int:
    return sum(map(_count, values)) if isinstance(values, list | tuple) else int(np.size(values))


def as_floats(name: str, values: Any) -> Array:
    """Return ``values`` as an array of floats, or raise ValueError if some are masked."""
    refuse_masked(name, values)
    return np.asarray(values, dtype=float)


def as_array(name: str, values: Any) -> npt.NDArray[Any]:
    """Return ``values`` as an array, or raise a ValueError that says what was expected."""
    refuse_masked(name, values)
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
    refuse_masked("data", data)
    shape = {1: "(n,)", 2: "(n, d)"}[ndim]
    if data.ndim != ndim:
        raise WrongShapeError(f"data must have shape {shape}, got shape {data.shape}")
    if data.size == 0:
        raise ValueError(f"data must hold at least one observation, got shape {data.shape}")
    if data.dtype.kind not in "iuf":
        raise ValueError(f"data must hold real numbers, got dtype {data.dtype}")
    check_finite("data", data)


def all_finite(values: npt.NDArray[Any]) -> bool:
    """Return whether all ``values`` are finite."""
    if values.size > _MANY:
        # A sum that has a value in it that is not finite is not finite; few finite values overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            if math.isfinite(values.sum()):
                return True
    return _first_bad(np.isfinite(values)) is None


def _first_bad(good: npt.NDArray[np.bool_]) -> int | None:
    """Return the place of the first that is not good in the flat array, or None."""
    # Counting takes a fraction of the time of looking for the place.
    return None if np.count_nonzero(good) == good.size else int(good.argmin())


def check_finite(name: str, values: npt.NDArray[Any]) -> None:
    """Raise ValueError, naming the first offender, unless all ``values`` are finite."""
    if all_finite(values):
        return
    bad = np.argwhere(~np.isfinite(values))[0]
    where = ", ".join(map(str, bad))
    raise ValueError(f"{name} must be finite, got {values[tuple(bad)]} at [{where}]")


def check_range(name: str, values: Array, low: float, high: float) -> None:
    """Raise ValueError, naming the first offender, unless all values lie in [low, high]."""
    bad = _first_bad((values >= low) & (values <= high))
    if bad is not None:
        raise ValueError(
            f"{name} must lie between {low:g} and {high:g}, got {values.flat[bad]} at [{bad}]"
        )


def check_positive(name: str, values: Array) -> None:
    """Raise ValueError, naming the first offender, unless all values are finite and above zero."""
    bad = _first_bad((values > 0) & (values < np.inf))
    if bad is not None:
        raise ValueError(
            f"{name} must be finite and larger than 0, got {values.flat[bad]} at [{bad}]"
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


def check_enough_rows(data: npt.NDArray[Any], n_components: int) -> int:
    """Return ``n_components``, or raise ValueError if there are fewer observations than that."""
    k = as_integer("n_components", n_components, minimum=1)
    if k > len(data):
        raise ValueError(f"n_components must be at most the {len(data)} observations, got {k}")
    return k
