"""Sums over a mixture of normal densities in one dimension, by products of matrices.

The logarithm of a weighted normal density is a quadratic in x, so those of all components are one
product of their coefficients with 1, x and x squared, and the expected sums of these three are
another. Between the two stand an exponential for each component, and one logarithm for eight
observations, that of the product of their densities. Everything has leading axes, for the
parameters of several runs at once.

A quadratic written out has terms that cancel, and loses the more digits the narrower a component is
among the data: :func:`term_size` tells how many. Where densities are out of the range of
floating-point numbers, :func:`expected_sums` says so. Both times the plain formulas have to be
taken instead.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from em_core.numerics import Array, every

# Terms up to this size leave the logarithm of a density twelve digits.
TRUSTED = 2048.0

# Observations of which one logarithm is taken.
_TOGETHER = 8

# A product of so many densities has all its digits if it is above this. Each of them has then, too,
# since none is above 100 where terms can be trusted.
_LEAST = 1e-270

# Numbers in a product of matrices: it is not so large that it is given to several threads, which
# could add it up in another order.
NUMBERS = 2**16
_ONE_ROW = 2**11  # the same for a matrix with a single row

# Observations, and numbers, that all else is computed of at once: each call costs as much as the
# exponentials of hundreds.
AT_ONCE, NUMBERS_AT_ONCE = 2**15, 2**18

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)

_MINUS_HALF = np.array(-0.5)  # NumPy multiplies few numbers by an array in half the time


def powers(x: Array) -> Array:
    """Return 1, x and x squared as rows, shape (3, n)."""
    rows = np.ones((3, len(x)))
    rows[1] = x
    np.multiply(x, x, out=rows[2])
    return rows


def coefficients(means: Array, stds: Array, weights: Array, log_unit: float) -> Array:
    """Return those of log(weight N(x; mean, std^2)) + log_unit in 1, x and x squared.

    Parameters
    ----------
    means, stds, weights : ndarray, shape (..., K)
        Of the components.
    log_unit : float
        Logarithm of the length that densities are taken per.

    Returns
    -------
    ndarray, shape (..., K, 3)
    """
    inverse = np.reciprocal(stds)
    constant = np.log(weights * inverse)
    constant += np.array(log_unit - _LOG_SQRT_2PI)
    inverse *= inverse
    linear, square = inverse * means, inverse * _MINUS_HALF  # m / s^2 and -1 / (2 s^2)
    constant += square * means * means  # log(w / s) - m^2 / (2 s^2)
    found = np.array([constant, linear, square])
    return found.transpose(*range(1, found.ndim), 0)


def term_size(quadratics: Array, reach: Array) -> Array:
    """Return the size of the largest terms of each mixture, shape (...).

    Parameters
    ----------
    quadratics : ndarray, shape (..., K, 3)
        From :func:`coefficients`.
    reach : ndarray, shape (3,)
        The largest size of 1, x and x squared.
    """
    return np.asarray(np.maximum.reduce(np.abs(quadratics).dot(reach), axis=-1))


def trusted(quadratics: Array, reach: Array) -> Any:
    """Return whether no terms of a mixture are larger than what can be trusted, shape (...)."""
    return every(np.abs(quadratics).dot(reach) <= TRUSTED)


def block_length(n_components: int, n_terms: int = 3) -> int:
    """Return how many observations a product of matrices takes at once."""
    length = min(NUMBERS // n_components, 2**13) if n_components > 1 else _ONE_ROW
    return max(length * 3 // n_terms, 1)


def expected_sums(
    quadratics: Array, rows: Array, work: Array
) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Return the sums of 1, x and x squared that fall to each component, and the log-likelihood.

    In more dimensions there are T terms, the first of which is 1, in the place of these three.

    Parameters
    ----------
    quadratics : ndarray, shape (..., K, 3)
        From :func:`coefficients`, with terms that can be trusted.
    rows : ndarray, shape (3, n)
        From :func:`powers`.
    work : ndarray, shape (at least ... * K * n,)
        Is written over.

    Returns
    -------
    sums : ndarray, shape (..., K, 3)
    log_likelihood : ndarray, shape (...)
    in_range : ndarray of bool, shape (...)
        Whether all densities were in range; the other two are worth nothing if not.
    """
    *runs, k, n_terms = quadratics.shape
    n = rows.shape[1]
    mixtures = quadratics.reshape(-1, n_terms)
    flat = work[: len(mixtures) * n].reshape(-1, n)
    length = block_length(len(mixtures), n_terms)
    if n <= length:
        np.dot(mixtures, rows, out=flat)
    else:
        for start in range(0, n, length):
            part = slice(start, start + length)
            np.matmul(mixtures, rows[:, part], out=flat[:, part])
    joint = np.exp(flat, out=flat).reshape(*runs, k, n)  # p(x_i, k)
    evidence = np.add.reduce(joint, axis=-2)  # p(x_i) = sum_k p(x_i, k)
    together = _TOGETHER if n >= _TOGETHER**2 else 1
    whole = n - n % together
    product = np.multiply.reduce(evidence[..., :whole].reshape(*runs, together, -1), axis=-2)
    if whole < n:
        product[..., : n - whole] *= evidence[..., whole:]
    in_range = np.minimum.reduce(product, axis=-1) > _LEAST
    log_likelihood = np.add.reduce(np.log(product, out=product), axis=-1)
    shares = rows / evidence[..., None, :]  # which leaves r_ik for p(x_i, k)
    shares = shares.swapaxes(-1, -2)
    length = block_length(k, n_terms)
    if n <= length:
        return joint @ shares, log_likelihood, in_range
    sums = joint[..., :length] @ shares[..., :length, :]
    for start in range(length, n, length):
        part = slice(start, start + length)
        sums += joint[..., part] @ shares[..., part, :]
    return sums, log_likelihood, in_range
