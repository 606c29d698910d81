"""The bins of a histogram: for few values and many, for whole numbers, and with an outlier."""

import math
from typing import NamedTuple

import numpy as np

from em_core.numerics import Array

_MOST, _MOST_WITH_OUTLIERS = 60, 120
# Of many values so many may be outliers; of fewer one, if there are enough to tell.
_PART_OUTLYING, _ENOUGH = 0.01, 8
_FAR = 3.0  # times as wide as what the others take: then outliers stretch the picture
_LEAST = 8  # bins that the others take at least
_GRID_ACCURACY = 1e-6  # of the grid that values lie on
_DIGITS = 1e3  # the grid is looked for so much finer than the bins, and no finer


class Bins(NamedTuple):
    """The bins of a histogram.

    Attributes
    ----------
    edges : ndarray, shape (bins + 1,)
        Equally far apart. The first bin holds its left edge, and the last its right one.
    density : ndarray, shape (bins,)
        Part of all values in each bin, by its width.
    inside : ndarray of bool, shape (n,)
        Which values lie in some bin. Of these few may not: those that lie so far away that the
        others would all stand in a few bins.
    """

    edges: Array
    density: Array
    inside: np.ndarray


def bins(values: Array) -> Bins:
    """Return the bins of a histogram of a mixture.

    There are two for each root of the number of values, which is more than rules for a single
    normal distribution make (Sturges 1926, Scott 1979), and no more than 60. Values that were
    rounded lie on a grid: then all bins hold as many places of it, for the histogram would have
    teeth else.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Finite numbers, one at least.
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        half = unit(abs(low)) / 2
        edges = np.array([low - half, low + half])
    else:
        wanted = min(math.ceil(2 * math.sqrt(len(values))), _MOST)
        first, last = most_of(values)
        stretched = (high - low) / (last - first) if last > first else 1.0
        if stretched > _MOST_WITH_OUTLIERS / _LEAST:
            low, high = first, last
        elif stretched > _FAR:
            wanted = min(math.ceil(stretched * wanted), _MOST_WITH_OUTLIERS)
        edges = _edges(values, low, high, wanted)
    inside = (edges[0] <= values) & (values <= edges[-1])
    counts, _ = np.histogram(values, edges)
    return Bins(edges, counts / np.diff(edges) / len(values), inside)


def unit(size: float) -> float:
    """Return the power of ten that is no larger than a number, and 1 for 0."""
    return float(10.0 ** math.floor(math.log10(size))) if size > 0 else 1.0


def spread(values: Array) -> float:
    """Return the standard deviation, of numbers too whose squares are out of range."""
    low, size = values.min(), float(np.ptp(values))
    return size * float(np.std((values - low) / size)) if size > 0 else 0.0


def most_of(values: Array) -> tuple[float, float]:
    """Return the ends of the shortest interval that holds all values but a few."""
    n = len(values)
    few = max(int(_PART_OUTLYING * n), int(n >= _ENOUGH))
    ordered = np.sort(values)
    starts = ordered[: few + 1]
    ends = ordered[n - few - 1 :]
    i = int((ends - starts).argmin())
    return float(starts[i]), float(ends[i])


def _edges(values: Array, low: float, high: float, wanted: int) -> Array:
    """Return the edges of about ``wanted`` equal bins, with the values of a grid inside of them."""
    distance = grid(values, (high - low) / wanted)
    if not distance:
        return np.linspace(low, high, wanted + 1)
    places = round((high - low) / distance) + 1
    each = math.ceil(places / wanted)
    n = math.ceil(places / each)
    left = low - distance * (1 + n * each - places) / 2  # what is left over stands at both ends
    return np.asarray(left + distance * each * np.arange(n + 1))


def grid(values: Array, width: float) -> float:
    """Return the largest distance of which all differences of values are multiples.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Finite numbers, one at least.
    width : float
        In units of the values. Below a thousandth of it a grid makes no difference.

    Returns
    -------
    float
        Such as 1 for whole minutes. 0 without such a grid, and where all values are equal.
    """
    low, largest = values.min(), float(np.abs(values).max())
    shifts = values - low
    if not shifts.any():
        return 0.0
    step = unit(float(shifts.max()))
    while step * _DIGITS > width:
        whole = np.rint(shifts / step)
        rounding = 4 * np.finfo(float).eps * largest / step
        if rounding > _GRID_ACCURACY:
            # Numbers of this size have no more digits: their own spacing is the grid.
            return float(np.spacing(largest)) if np.spacing(largest) * _DIGITS > width else 0.0
        if np.abs(shifts / step - whole).max() <= _GRID_ACCURACY + rounding:
            return float(step * np.gcd.reduce(whole.astype(np.int64)))
        step /= 10
    return 0.0
