"""Points in the plane that lie together in boxes, for sums over those that are likeliest.

Where one quadratic is the largest in all of a box, its points are added to one component at once,
and only those of boxes near a border are looked at one by one. That a difference of two quadratics
is positive in a box is told by its value and its slopes in the middle, and by how much it bends at
the most.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from em_core.kernels.likeliest import CLOSE, sums_of_likeliest
from em_core.kernels.quadratics import block_length
from em_core.numerics import Array

_POINTS = 2**6  # of a box

# Bounds add up terms as large as those of the logarithms, several times over.
_ROUNDED = 8.0


class Boxes:
    """Points in boxes of as many each, and the few that are left over.

    Parameters
    ----------
    rows : ndarray, shape (6, n)
        1, the coordinates, and the products of any two, of each point.
    """

    def __init__(self, rows: Array) -> None:
        n = rows.shape[1]
        n_strips = max(1, round(math.sqrt(n / _POINTS)))
        in_strip = n // n_strips // _POINTS * _POINTS
        across = np.argsort(rows[1], kind="stable")
        strips = across[: n_strips * in_strip].reshape(n_strips, in_strip)
        upwards = np.argsort(rows[2][strips], axis=1, kind="stable")
        self._places = np.take_along_axis(strips, upwards, axis=1).reshape(-1, _POINTS)
        self._left = across[n_strips * in_strip :]
        # A row after another, as an index alone would not lay them out.
        self._rows, self._rows_left = (rows.take(p, axis=1) for p in (self._places, self._left))
        points = self._rows[1:3]
        self._means = points.mean(axis=2)
        moves = points - self._means[:, :, None]
        self._second = (moves[[0, 0, 1]] * moves[[0, 1, 1]]).sum(axis=2)
        low, high = points.min(axis=2), points.max(axis=2)
        (x, y), (half_x, half_y) = (low + high) / 2, (high - low) / 2
        one, zero = np.ones_like(x), np.zeros_like(x)
        # A quadratic in the middle of each box, and how far its slopes there lead to the sides.
        self._middle = np.stack([one, x, y, x * x, x * y, y * y])
        self._across = np.stack([zero, one, zero, 2 * x, y, zero]) * half_x
        self._up = np.stack([zero, zero, one, zero, x, 2 * y]) * half_y
        self._to_corner = half_x**2 + half_y**2

    def sums_of_likeliest(
        self,
        quadratics: Array,
        means: Array,
        size: float,
        decide: Callable[[npt.NDArray[np.intp]], npt.NDArray[np.intp]],
    ) -> Array:
        """Return :func:`em_core.kernels.likeliest.sums_of_likeliest` of all points."""
        sums, boxes = np.zeros(quadratics.shape), []
        for cut, own, certain in self._winners(quadratics, size):
            own *= certain
            moves = self._means[:, cut] - means.T @ own
            first = _POINTS * moves
            # sum (x - m)^2 = sum (x - c)^2 + n (c - m)^2, where c is the mean of the box
            second = self._second[:, cut] + moves[[0, 0, 1]] * first[[0, 1, 1]]
            counts = np.full((1, own.shape[1]), float(_POINTS))
            sums += own @ np.concatenate([counts, first, second]).T
            boxes.append(cut.start + np.flatnonzero(~certain))
        some = np.concatenate(boxes)
        n_open = len(some) * _POINTS
        rows = np.empty((len(self._rows), n_open + len(self._left)))
        rows[:, :n_open] = self._rows.take(some, axis=1).reshape(len(rows), -1)
        rows[:, n_open:] = self._rows_left

        def decide_here(i: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
            return decide(np.concatenate([self._places[some].ravel(), self._left])[i])

        return sums + sums_of_likeliest(quadratics, means, rows, size, decide_here)

    def n_looked_at(self, quadratics: Array, size: float) -> int:
        """Return how many boxes and points are looked at one by one."""
        each = (np.count_nonzero(~certain) for _, _, certain in self._winners(quadratics, size))
        return len(self._places) + int(sum(each)) * _POINTS + len(self._left)

    def _winners(
        self, quadratics: Array, size: float
    ) -> Iterator[tuple[slice, Array, npt.NDArray[np.bool_]]]:
        """Yield some boxes after another: who is largest in the middle, and if in all of the box.

        Of a box in which one is for certain, the winner has 1, and the others have 0, (K, boxes).
        """
        k, n_terms = quadratics.shape
        ones, of_each = np.ones((2, k)), np.concatenate([quadratics.T, _bends(quadratics)[None]])
        length, n_boxes = block_length(k, 2 * n_terms), len(self._places)
        for start in range(0, n_boxes, length):
            cut = slice(start, min(start + length, n_boxes))
            values = quadratics @ self._middle[:, cut]
            best = np.maximum.reduce(values, axis=0)
            own = (values == best).astype(float)
            found = of_each @ own
            least = np.subtract(best - found[-1] * self._to_corner[cut], values, out=values)
            for slopes in (self._across[:, cut], self._up[:, cut]):
                apart = quadratics @ slopes
                apart -= np.add.reduce(found[:-1] * slopes, axis=0)
                least -= np.abs(apart, out=apart)
            # From itself a winner is not apart, and others have to be.
            clear = np.greater(least, _ROUNDED * CLOSE * size, out=apart)
            yield cut, own, (ones @ clear)[0] == k - 1


def _bends(quadratics: Array) -> Array:
    """Return how much less a quadratic may be, above any other, a unit away from where they touch.

    That is the smallest eigenvalue of a difference of two, with the sign changed, at the most.
    """
    xx, xy, yy = quadratics[:, None, 3:].T - quadratics[:, 3:].T[:, :, None]
    return np.asarray(np.maximum.reduce(np.hypot((xx - yy) / 2, xy / 2) - (xx + yy) / 2, axis=0))
