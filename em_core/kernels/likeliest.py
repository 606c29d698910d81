"""Sums over the points that are likeliest under each of several densities, by products of matrices.

The logarithms of weighted normal densities are polynomials of degree two in the coordinates, and
those of all components at all points are one product (see :mod:`em_core.kernels.quadratics`). The
largest is whose the point is, and what each component's points add up to is another product. Near a
border products cannot tell who is the largest, and where components are equal their order does:
points that are so near are left to who asks.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from em_core.kernels.quadratics import block_length
from em_core.numerics import Array

# A difference of two logarithms below this fraction of their terms may be rounding.
CLOSE = 1e-13


def sums_of_likeliest(
    quadratics: Array,
    rows: Array,
    size: float,
    decide: Callable[[npt.NDArray[np.intp]], npt.NDArray[np.intp]],
    labels: npt.NDArray[np.intp] | None = None,
) -> Array:
    """Return the sums of rows over the points of each component, shape (K, T).

    Parameters
    ----------
    quadratics : ndarray, shape (K, T)
        Coefficients of the logarithms in the rows.
    rows : ndarray, shape (T, n)
        The first is 1, and then coordinates and their products.
    size : float
        That of the largest terms of the logarithms.
    decide : callable
        From numbers of points to their components.
    labels : ndarray of int, shape (n,), optional
        Is given the component of each point.
    """
    sums = np.zeros(quadratics.shape)
    k, n_terms = quadratics.shape
    length, close = block_length(k, n_terms), CLOSE * size
    room, shares = np.empty((2, k, min(length, rows.shape[1])))
    for start in range(0, rows.shape[1], length):
        here = rows[:, start : start + length]
        log_joint = np.matmul(quadratics, here, out=room[:, : here.shape[1]])
        best = np.maximum.reduce(log_joint, axis=0)
        best -= close
        own = np.greater_equal(log_joint, best, out=shares[:, : here.shape[1]])
        several = np.flatnonzero(np.add.reduce(own, axis=0) != 1)
        if len(several):
            own[:, several] = np.arange(k)[:, None] == decide(start + several)
        sums += own @ here.T
        if labels is not None:
            labels[start : start + length] = own.argmax(axis=0)
    return sums
