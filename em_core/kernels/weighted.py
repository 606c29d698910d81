"""Sums over a mixture of normal densities in one dimension, of values that count so many times.

These are the plain formulas in as few steps as they take: squares of deviations from the means, so
that no digits are lost, densities without a shift of their logarithms, and no array that is made
anew. Where a density is out of the range of floating-point numbers, which would want the shift,
that is told.
"""

import math

import numpy as np

from em_core.numerics import Array

# Densities whose sum is above this have all digits that matter to it.
_LEAST = 1e-280

# Numbers computed at once: two arrays of them stay in the cache.
_NUMBERS = 2**15

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


class Weighted:
    """Expected sums over values, each of which counts so many times, with a place to work.

    Parameters
    ----------
    log_unit : float
        Logarithm of the length that densities are taken per.
    """

    def __init__(self, log_unit: float) -> None:
        self._log_unit, self._work = log_unit, np.empty((2, _NUMBERS))

    def sums(
        self,
        values: Array,
        times: Array,
        means: Array,
        stds: Array,
        weights: Array,
        *,
        statistics: bool = True,
    ) -> tuple[Array, float] | None:
        """Return the expected sums about the means, or None if a density is out of range.

        Parameters
        ----------
        values, times : ndarray, shape (n,)
            Where the values are, and how many are there; that may be negative, as the weights of
            an interpolation are.
        means, stds, weights : ndarray, shape (K,)
            Of the components.
        statistics : bool, default True
            Whether the sums are wanted, or the log-likelihood alone.

        Returns
        -------
        sums : ndarray, shape (3, K)
            Of 1, x - mean and its square, as far as they fall to each component.
        log_likelihood : float
        """
        k = len(means)
        length = max(_NUMBERS // k, 1)
        constants = np.log(weights / (weights.sum() * stds)) + (self._log_unit - _LOG_SQRT_2PI)
        scale, constants, means = (
            (math.sqrt(0.5) / stds)[:, None],
            constants[:, None],
            means[:, None],
        )
        found, log_likelihood = np.zeros((3, k)), 0.0
        for start in range(0, len(values), length):
            x, here = values[start : start + length], times[start : start + length]
            if k * len(x) > self._work.shape[1]:
                self._work = np.empty((2, k * len(x)))
            deviations, joint = self._work[:, : k * len(x)].reshape(2, k, len(x))
            np.subtract(x, means, out=deviations)  # x_i - mu_k
            np.multiply(deviations, scale, out=joint)
            np.multiply(joint, joint, out=joint)  # (x_i - mu_k)^2 / (2 sigma_k^2)
            np.subtract(constants, joint, out=joint)
            np.exp(joint, out=joint)  # p(x_i, k)
            evidence = np.add.reduce(joint, axis=0)  # p(x_i)
            if not np.minimum.reduce(evidence) > _LEAST:
                return None
            log_likelihood += float(np.add.reduce(here * np.log(evidence)))
            if statistics:
                joint *= here / evidence  # r_ik, as often as x_i is there
                found[0, :] += np.add.reduce(joint, axis=1)
                joint *= deviations
                found[1, :] += np.add.reduce(joint, axis=1)
                joint *= deviations
                found[2, :] += np.add.reduce(joint, axis=1)
        return found, log_likelihood - float(np.add.reduce(times)) * self._log_unit
