"""Which normal density of a mixture is largest, along the line.

The logarithms of two weighted densities are quadratics, which cross at no more than two places. So
along sorted values the winner changes at few places only, and all values between two of them are
added to one component at once: as sums over blocks of neighbours about their own mean, so that no
digit is lost. An iteration looks at a block in 256 values, and not at each.

Near a crossing rounding decides who wins, and where two components are equal their order does.
Values that are so near are left to the plain formulas.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from em_core.kernels.quadratics import coefficients
from em_core.numerics import Array

_BLOCK = 2**8

# A difference of two logarithms below this fraction of their terms may be rounding.
_CLOSE = 1e-12


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
        starts = np.unique(np.append(0, places[places < len(self.values)]))
        stops = np.append(starts[1:], len(self.values))
        # Who wins in the middle, and by how much, wins everywhere.
        found = log_joint(self.values[(starts + stops) // 2])
        winners = found.argmax(axis=1)
        best = np.sort(found, axis=1)
        decided = best[:, -1] - best[:, -2] > close if found.shape[1] > 1 else winners == 0
        code = np.where(decided, winners, -1)
        first = np.flatnonzero(np.append(True, (code[1:] != code[:-1])))
        last = np.append(first[1:], len(code)) - 1
        return [
            Run(int(start), int(stop), int(who) if who >= 0 else None)
            for start, stop, who in zip(starts[first], stops[last], code[first], strict=True)
        ]

    def sums(self, run: Run, mean: float) -> tuple[float, float, float]:
        """Return how many values a run has, and the sums of x - mean and of its square."""
        start, stop = -(-run.start // _BLOCK), run.stop // _BLOCK
        if start >= stop:
            edges = self.values[run.start : run.stop] - mean
            return float(len(edges)), float(edges.sum()), float(np.square(edges).sum())
        edges = np.concatenate(
            [self.values[run.start : start * _BLOCK], self.values[stop * _BLOCK : run.stop]]
        )
        edges -= mean
        inside = slice(start, stop)
        moves, first = self._centres[inside] - mean, self._first[inside]
        second = self._second[inside] + moves * (2 * first + _BLOCK * moves)
        return (
            float(run.stop - run.start),
            float(edges.sum() + (first + _BLOCK * moves).sum()),
            float(np.square(edges).sum() + second.sum()),
        )


def _crossings(quadratics: Array, close: float) -> Array:
    """Return where two quadratics are apart by no more or less than ``close``."""
    one, other = np.triu_indices(len(quadratics), 1)
    constant, linear, square = np.moveaxis(quadratics[one] - quadratics[other], -1, 0)
    constant = np.stack([constant - close, constant + close])
    # Of a root that is a difference of near numbers, the other is the product divided by it.
    root = np.sqrt(linear**2 - 4 * square * constant)
    larger = -0.5 * (linear + np.copysign(root, linear))
    found = np.concatenate([(larger / square).ravel(), (constant / larger).ravel()])
    return np.asarray(found[np.isfinite(found)])
