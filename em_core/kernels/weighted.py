"""Sums over mixtures of normal densities in one dimension, of values that count so many times.

These are the plain formulas in as few steps as they take: squares of deviations from the means, so
that no digits are lost, densities without a shift of their logarithms, and no array that is made
anew. Where a density is out of the range of floating-point numbers, which would want the shift,
that is told. Several runs go side by side, each with values of its own.
"""

import math

import numpy as np
import numpy.typing as npt

from em_core.numerics import Array

# Densities whose sum is above this have all digits that matter to it.
_LEAST = 1e-280

# Numbers computed at once: two arrays of them stay in the cache. Values at once: no library gives
# products of so few to several threads, which could add them up in another order.
_NUMBERS, _LONGEST = 2**15, 2**13

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
        self, values: Array, times: Array, means: Array, stds: Array, weights: Array
    ) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
        """Return the expected sums about the means, of R runs.

        Parameters
        ----------
        values, times : ndarray, shape (R, n)
            Where the values of each run are, and how many are there; that may be negative, as the
            weights of an interpolation are, or 0, where it has fewer values than others.
        means, stds, weights : ndarray, shape (R, K)
            Of the components.

        Returns
        -------
        sums : ndarray, shape (3, R, K)
            Of 1, x - mean and its square, as far as they fall to each component.
        log_likelihood : ndarray, shape (R,)
        in_range : ndarray of bool, shape (R,)
            Whether all densities were in range; the other two are worth nothing if not.
        """
        (n_runs, n), k = values.shape, means.shape[1]
        together = max(_NUMBERS // (k * n), 1)
        length = n if together > 1 else max(_NUMBERS // k, 1)
        length = min(length, _LONGEST)
        if together * k * length > self._work.shape[1]:  # more components than numbers at once
            self._work = np.empty((2, together * k * length))
        found, log_likelihood = np.zeros((3, n_runs, k)), np.zeros(n_runs)
        in_range = np.ones(n_runs, dtype=bool)
        add = np.add.reduce
        shares = weights / add(weights, axis=1, keepdims=True)
        constants = self._constants(stds, shares)[..., None]
        scale, means = (math.sqrt(0.5) / stds)[..., None], means[..., None]
        for first in range(0, n_runs, together):
            runs = slice(first, first + together)
            mean, factor, constant = means[runs], scale[runs], constants[runs]
            for start in range(0, n, length):
                x, here = values[runs, start : start + length], times[runs, start : start + length]
                shape = (2, len(x), k, x.shape[1])
                work = self._work[:, : shape[1] * shape[2] * shape[3]]
                deviations, joint = work.reshape(shape)
                np.subtract(x[:, None], mean, out=deviations)  # x_i - mu_k
                np.multiply(deviations, factor, out=joint)
                np.multiply(joint, joint, out=joint)  # (x_i - mu_k)^2 / (2 sigma_k^2)
                np.subtract(constant, joint, out=joint)
                np.exp(joint, out=joint)  # p(x_i, k)
                evidence = add(joint, axis=1)  # p(x_i)
                in_range[runs] &= np.minimum.reduce(evidence, axis=1) > _LEAST
                log_likelihood[runs] += add(here * np.log(evidence), axis=1)
                joint *= (here / evidence)[:, None]  # r_ik, as often as x_i is there
                found[0, runs] += add(joint, axis=2)
                found[1, runs] += np.vecdot(joint, deviations)
                joint *= deviations
                found[2, runs] += np.vecdot(joint, deviations)
        return found, log_likelihood - add(times, axis=1) * self._log_unit, in_range

    def sums_by_products(
        self, values: Array, times: Array, quadratics: Array
    ) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
        """Return the same of several runs in half the time, if terms can be trusted.

        See :mod:`em_core.kernels.quadratics`.

        Parameters
        ----------
        values, times
            As for :meth:`sums`.
        quadratics : ndarray, shape (R, K, 3)
            The logarithms of the joint densities, with the unit of length in them.

        Returns
        -------
        sums : ndarray, shape (R, K, 3)
            Of 1, x and x squared.
        log_likelihood, in_range
            As of :meth:`sums`.
        """
        (n_runs, n), k = values.shape, quadratics.shape[1]
        length = min(n, _LONGEST, max(_NUMBERS // k, 1))
        together = max(_NUMBERS // (k * length), 1)
        if together * k * length > self._work.shape[1]:
            self._work = np.empty((2, together * k * length))
        found, log_likelihood = np.zeros(quadratics.shape), np.zeros(n_runs)
        in_range, add = np.ones(n_runs, dtype=bool), np.add.reduce
        for first in range(0, n_runs, together):
            runs = slice(first, first + together)
            for start in range(0, n, length):
                x, here = values[runs, start : start + length], times[runs, start : start + length]
                rows = np.ones((len(x), 3, x.shape[1]))
                rows[:, 1] = x
                np.multiply(x, x, out=rows[:, 2])
                joint = self._work[0, : len(x) * k * x.shape[1]].reshape(len(x), k, x.shape[1])
                np.matmul(quadratics[runs], rows, out=joint)
                np.exp(joint, out=joint)  # p(x_i, k)
                evidence = add(joint, axis=1)
                in_range[runs] &= np.minimum.reduce(evidence, axis=1) > _LEAST
                log_likelihood[runs] += add(here * np.log(evidence), axis=1)
                rows *= (here / evidence)[:, None]
                found[runs] += joint @ rows.swapaxes(1, 2)
        return found, log_likelihood - add(times, axis=1) * self._log_unit, in_range

    def log_likelihoods(
        self,
        values: Array,
        times: Array,
        means: Array,
        stds: Array,
        weights: Array,
        components: npt.NDArray[np.intp],
    ) -> Array:
        """Return the log-likelihoods of R mixtures that share components.

        Each component has one exponential at each value, in however many mixtures it is.

        Parameters
        ----------
        values, times : ndarray, shape (n,)
            As for :meth:`sums`, of all mixtures.
        means, stds, weights : ndarray, shape (U,)
            Of all different components. Weights are those in mixtures that sum to one.
        components : ndarray of int, shape (R, K)
            Which of them each mixture is made of.

        Returns
        -------
        ndarray, shape (R,)
            Not a number where a density is out of range.
        """
        alike = (components == components[0]).all(axis=0)
        always, others = components[0, alike], components[:, ~alike]
        length = max(_NUMBERS // len(means), 1)
        at_once = max(_NUMBERS // min(length, len(values)), 1)
        scale = (math.sqrt(0.5) / stds)[:, None]
        constants, means = self._constants(stds, weights)[:, None], means[:, None]
        found = np.zeros(len(components))
        for start in range(0, len(values), length):
            x, here = values[start : start + length], times[start : start + length]
            joint = x - means
            joint *= scale
            joint *= joint
            np.subtract(constants, joint, out=joint)
            np.exp(joint, out=joint)
            in_all = np.add.reduce(joint[always], axis=0)
            for first in range(0, len(components), at_once):
                mixtures = slice(first, first + at_once)
                evidence = np.repeat(in_all[None], len(found[mixtures]), axis=0)
                for component in others[mixtures].T:
                    evidence += joint[component]
                least = np.minimum.reduce(evidence, axis=1)
                np.log(evidence, out=evidence)
                evidence *= here
                total = np.add.reduce(evidence, axis=1)
                found[mixtures] += np.where(least > _LEAST, total, np.nan)
        return np.asarray(found - float(np.add.reduce(times)) * self._log_unit)

    def _constants(self, stds: Array, weights: Array) -> Array:
        """Return the logarithms of weighted densities at their peaks."""
        return np.asarray(np.log(weights / stds) + (self._log_unit - _LOG_SQRT_2PI))
