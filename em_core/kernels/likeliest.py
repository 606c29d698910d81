"""Sums over the points that are likeliest under each of several densities, by products of matrices.

The logarithms of weighted normal densities are polynomials of degree two in the coordinates, and
those of all components at all points are one product (see :mod:`em_core.kernels.quadratics`). The
largest is whose the point is, and what each component's points add up to is another product: sums
about its own mean, so that no digit is lost, however narrow it is among the data. Near a border
products cannot tell who is the largest, and where components are equal their order does: points
that are so near are left to who asks.
"""

import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from em_core.kernels.quadratics import NUMBERS, block_length
from em_core.numerics import Array

# A difference of two logarithms below this fraction of their terms may be rounding.
CLOSE = 1e-13

# Mixtures that are taken at once.
_AT_ONCE = 2**6


def sums_of_likeliest(
    quadratics: Array,
    means: Array,
    rows: Array,
    size: float,
    decide: Callable[[npt.NDArray[np.intp]], npt.NDArray[np.intp]],
) -> Array:
    """Return the sums of rows about each component's mean, over its points, shape (K, T).

    Parameters
    ----------
    quadratics : ndarray, shape (K, T)
        Coefficients of the logarithms in the rows.
    means : ndarray, shape (K, d)
        What deviations are taken from.
    rows : ndarray, shape (T, n)
        The first is 1, and then coordinates and their products.
    size : float
        That of the largest terms of the logarithms.
    decide : callable
        From numbers of points to their components.
    """
    sums = np.zeros(quadratics.shape)
    (k, n_terms), d = quadratics.shape, means.shape[1]
    one, other = _pairs(d)
    of_each = np.concatenate([np.ones((1, k)), means.T])
    length, close = block_length(k, n_terms), CLOSE * size
    room, shares = np.empty((2, k, min(length, rows.shape[1])))
    for start in range(0, rows.shape[1], length):
        here = rows[:, start : start + length]
        log_joint = np.matmul(quadratics, here, out=room[:, : here.shape[1]])
        best = np.maximum.reduce(log_joint, axis=0)
        best -= close
        own = np.greater_equal(log_joint, best, out=shares[:, : here.shape[1]])
        found = of_each @ own  # how many are the largest, and the mean of the one that is
        several = np.flatnonzero(found[0] != 1)
        if len(several):
            own[:, several] = np.arange(k)[:, None] == decide(start + several)
            found[:, several] = of_each @ own[:, several]
        moves = here[1 : d + 1] - found[1:]
        sums += own @ np.concatenate([here[:1], moves, moves[one] * moves[other]]).T
    return sums


def sums_of_largest(densities: Array, components: npt.NDArray[np.intp], rows: Array) -> Array:
    """Return the sums over points of the largest logarithms, of R mixtures, shape (R,).

    Near a border it does not matter which is the largest.

    Parameters
    ----------
    densities : ndarray, shape (U, T)
        Coefficients of the logarithms of all different components.
    components : ndarray of int, shape (R, K)
        Which of them each mixture is made of.
    rows : ndarray, shape (T, n)
    """
    alike = (components == components[0]).all(axis=0)
    always, others = components[0, alike], components[:, ~alike]
    # The last changes the fastest on a grid: what the others have is computed once for many.
    leading, which = np.unique(others[:, :-1], axis=0, return_inverse=True)
    groups = [np.flatnonzero(which.ravel() == i) for i in range(len(leading))]
    found, length = np.zeros(len(components)), NUMBERS // _AT_ONCE
    for start in range(0, rows.shape[1], length):
        here = rows[:, start : start + length]
        for first, mixtures in zip(leading, groups, strict=True):
            logs = densities[[*always, *first]] @ here
            best = np.maximum.reduce(logs, axis=0, initial=-np.inf)
            for at in range(0, len(mixtures), _AT_ONCE):
                some = mixtures[at : at + _AT_ONCE]
                last = densities[others[some, -1:].ravel()] @ here
                largest = np.maximum(last, best, out=last) if len(last) else best[None]
                found[some] += np.add.reduce(largest, axis=1)
    return found


@functools.cache
def _pairs(d: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    return np.triu_indices(d)
