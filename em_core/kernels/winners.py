"""Which normal density of a mixture is largest, along the line.

The logarithms of two weighted densities are quadratics, which cross at no more than two places. So
along sorted values the winner changes at few places only, and all values between two of them are
added to one component at once: as sums over blocks of neighbours about their own mean, so that no
digit is lost. An iteration looks at a block in 256 values, and not at each.

Near a crossing rounding decides who wins, and where two components are equal their order does.
Values that are so near are left to the plain formulas.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from em_core.kernels.quadratics import coefficients
from em_core.numerics import Array

_BLOCK = 2**8

# A difference of two logarithms below this fraction of their terms may be rounding.
_CLOSE = 1e-12

# Terms up to this size leave ten digits to a sum, which are more than a picture shows.
_DRAWN = 1e5

_NUMBERS = 2**18  # computed at once


class Run(NamedTuple):
    """Neighbours in the order of size: ``start`` to ``stop``, and who wins them all, or None."""

    start: int
    stop: int
    winner: int | None


class SortedValues:
    """Values in order, and sums over blocks of them.

    Parameters
    ----------
    values : ndarray, shape (n,)
        In any order.
    """

    def __init__(self, values: Array) -> None:
        self.values = np.sort(values).astype(float, copy=False)
        self._origin = float(self.values[len(values) // 2])
        self._deviations = self.values - self._origin
        whole = self.values[: len(values) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
        self._centres = whole.mean(axis=1)
        deviations = whole - self._centres[:, None]
        self._first, self._second = deviations.sum(axis=1), np.square(deviations).sum(axis=1)

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        return len(self._centres)

    def runs(
        self, means: Array, stds: Array, weights: Array, log_joint: Callable[[Array], Array]
    ) -> list[Run] | None:
        """Return who wins which values, or None if these densities are out of range.

        Parameters
        ----------
        means, stds, weights : ndarray, shape (K,)
        log_joint : callable
            From values (m,) to their log joint densities (m, K).
        """
        means = means - self._origin
        quadratics = coefficients(means, stds, weights, 0.0)[weights > 0]
        furthest = float(np.abs(self._deviations[[0, -1]]).max())
        close = _CLOSE * float((np.abs(quadratics) @ [1.0, furthest, furthest**2]).max(initial=0.0))
        if not (0 < close < np.inf):
            return None
        borders = _crossings(quadratics, close)
        places = np.searchsorted(self._deviations, np.sort(borders))
        # In order already. Where several are at one place, those between have no values.
        ends = np.concatenate([[0], places, [len(self.values)]])
        some = ends[1:] > ends[:-1]
        starts, stops = ends[:-1][some], ends[1:][some]
        # Who wins in the middle, and by how much, wins everywhere.
        found = log_joint(self.values[(starts + stops) // 2])
        winners = found.argmax(axis=1)
        best = np.sort(found, axis=1)
        decided = best[:, -1] - best[:, -2] > close if found.shape[1] > 1 else winners == 0
        code = np.where(decided, winners, -1)
        turns = np.flatnonzero(code[1:] != code[:-1])
        first, last = [0, *(turns + 1).tolist()], [*turns.tolist(), len(code) - 1]
        return [
            Run(int(starts[i]), int(stops[j]), int(code[i]) if code[i] >= 0 else None)
            for i, j in zip(first, last, strict=True)
        ]

    def objectives(self, means: Array, stds: Array, weights: Array) -> Array:
        """Return the sums of the largest log joint densities, of R mixtures, shape (R,).

        Near a crossing it does not matter who wins. Not a number where more digits would be lost
        than a picture can do without.

        Parameters
        ----------
        means, stds, weights : ndarray, shape (R, K)
        """
        quadratics = coefficients(means - self._origin, stds, weights, 0.0)
        furthest = float(np.abs(self._deviations[[0, -1]]).max())
        terms = np.abs(np.where(weights[..., None] > 0, quadratics, 0.0))
        digits = (terms @ [1.0, furthest, furthest**2]).max(axis=1) <= _DRAWN
        found = np.full(len(means), np.nan)
        at_once = max(_NUMBERS // (3 * means.shape[1] ** 3), 1)
        for start in range(0, len(means), at_once):
            some = np.flatnonzero(digits[start : start + at_once]) + start
            found[some] = self._sums_of_largest(quadratics[some])
        return found

    def _sums_of_largest(self, quadratics: Array) -> Array:
        """Return the same of a few, whose logarithms are quadratics, shape (R, K, 3)."""
        one, other = _pairs(quadratics.shape[1])
        differences = quadratics[:, one] - quadratics[:, other]
        borders = np.concatenate(_roots(*np.moveaxis(differences, -1, 0)), axis=1)
        places = np.searchsorted(self._deviations, np.where(np.isfinite(borders), borders, np.inf))
        n = len(self.values)
        ends = np.sort(np.concatenate([places, np.full((len(places), 1), n)], axis=1), axis=1)
        starts = np.concatenate([np.zeros((len(ends), 1), dtype=int), ends[:, :-1]], axis=1)
        middle = self._deviations[np.minimum((starts + ends) // 2, n - 1)]
        powers = np.stack([np.ones_like(middle), middle, middle * middle], axis=-1)
        winners = (powers @ quadratics.swapaxes(1, 2)).argmax(axis=2)
        won = np.take_along_axis(quadratics, winners[..., None], axis=1)
        # No product with minus infinity of a winner of nothing.
        sums = (self._until[:, ends] - self._until[:, starts]).transpose(1, 2, 0)
        return np.asarray(np.where(sums != 0, won * sums, 0.0).sum(axis=(1, 2)))

    @functools.cached_property
    def _until(self) -> Array:
        """Sums of 1, x and x squared over the first so many deviations, shape (3, n + 1)."""
        sums = np.zeros((3, len(self.values) + 1))
        sums[0, 1:] = np.arange(1, len(self.values) + 1)
        np.cumsum(self._deviations, out=sums[1, 1:])
        np.cumsum(np.square(self._deviations), out=sums[2, 1:])
        return sums

    def sums(self, run: Run, mean: float) -> tuple[float, float, float]:
        """Return how many values a run has, and the sums of x - mean and of its square."""
        add = np.add.reduce  # half the time of the method, of which there are many
        start, stop = -(-run.start // _BLOCK), run.stop // _BLOCK
        if start >= stop:
            edges = self.values[run.start : run.stop] - mean
            return float(len(edges)), float(add(edges)), float(add(edges * edges))
        edges = np.concatenate(
            [self.values[run.start : start * _BLOCK], self.values[stop * _BLOCK : run.stop]]
        )
        edges -= mean
        inside = slice(start, stop)
        moves, first = self._centres[inside] - mean, self._first[inside]
        second = self._second[inside] + moves * (2 * first + _BLOCK * moves)
        return (
            float(run.stop - run.start),
            float(add(edges) + add(first + _BLOCK * moves)),
            float(add(edges * edges) + add(second)),
        )


@functools.cache
def _pairs(n: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    return np.triu_indices(n, 1)


def _crossings(quadratics: Array, close: float) -> Array:
    """Return where two quadratics are apart by no more or less than ``close``."""
    one, other = _pairs(len(quadratics))
    constant, linear, square = (quadratics[one] - quadratics[other]).T
    found = _roots(np.array([constant - close, constant + close]), linear, square).ravel()
    return np.asarray(found[np.isfinite(found)])


def _roots(constant: Array, linear: Array, square: Array) -> Array:
    """Return the roots of quadratics along a first axis more, not all of which are finite."""
    # Of a root that is a difference of near numbers, the other is the product divided by it.
    root = np.sqrt(linear**2 - 4 * square * constant)
    larger = -0.5 * (linear + np.copysign(root, linear))
    return np.stack([larger / square, constant / larger])
