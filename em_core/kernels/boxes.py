"""Points in the plane that lie together in boxes, for sums over those that are likeliest.

Where one quadratic is the largest in all of a box, its points are added to one component at once,
and only those of boxes near a border are looked at one by one. That a difference of two quadratics
is positive in a box is told by its value and its slopes in the middle, and by how much it bends at
the most.
"""

import math
from collections.abc import Callable

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
        self._rows, self._rows_left = rows[:, self._places], rows[:, self._left]
        self._sums = np.add.reduce(self._rows, axis=2)
        low, high = self._rows[1:3].min(axis=2), self._rows[1:3].max(axis=2)
        (x, y), self._halves = (low + high) / 2, (high - low) / 2
        one, zero = np.ones_like(x), np.zeros_like(x)
        # A quadratic in the middle of each box, and its slopes there.
        self._value = np.stack([one, x, y, x * x, x * y, y * y])
        self._across = np.stack([zero, one, zero, 2 * x, y, zero])
        self._up = np.stack([zero, zero, one, zero, x, 2 * y])

    def sums_of_likeliest(
        self,
        quadratics: Array,
        size: float,
        decide: Callable[[npt.NDArray[np.intp]], npt.NDArray[np.intp]],
        labels: npt.NDArray[np.intp] | None = None,
    ) -> Array:
        """Return :func:`em_core.kernels.likeliest.sums_of_likeliest` of all points."""
        sums = np.zeros(quadratics.shape)
        boxes = []
        length = block_length(*quadratics.shape)
        for start in range(0, len(self._places), length):
            cut = slice(start, start + length)
            winners, certain = self._winners(quadratics, cut, size)
            own = (winners == np.arange(len(quadratics))[:, None]) & certain
            sums += own.astype(float) @ self._sums[:, cut].T
            boxes.append(start + np.flatnonzero(~certain))
            if labels is not None:
                labels[self._places[cut]] = winners[:, None]
        some = np.concatenate(boxes)
        rows = np.concatenate([self._rows[:, some].reshape(6, -1), self._rows_left], axis=1)
        places = np.concatenate([self._places[some].ravel(), self._left])
        found = np.empty_like(places)
        sums += sums_of_likeliest(
            quadratics,
            rows,
            size,
            lambda i: decide(places[i]),
            None if labels is None else found,
        )
        if labels is not None:
            labels[places] = found
        return sums

    def n_looked_at(self, quadratics: Array, size: float) -> int:
        """Return how many boxes and points are looked at one by one."""
        n_open = np.count_nonzero(~self._winners(quadratics, slice(None), size)[1])
        return len(self._places) + int(n_open) * _POINTS + len(self._left)

    def _winners(
        self, quadratics: Array, cut: slice, size: float
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Return which quadratic is largest in the middle of boxes, and if it is in all of them."""
        values = quadratics @ self._value[:, cut]
        winners = values.argmax(axis=0)
        each = np.arange(len(winners))
        half_x, half_y = self._halves[:, cut]
        least = values[winners, each] - values
        for slopes, halves in ((self._across, half_x), (self._up, half_y)):
            found = quadratics @ slopes[:, cut]
            least -= np.abs(found[winners, each] - found) * halves
        xx, xy, yy = quadratics[winners, 3:].T[:, None] - quadratics[:, 3:].T[:, :, None]
        least += np.minimum(xx, 0.0) * half_x**2 - np.abs(xy) * (half_x * half_y)
        least += np.minimum(yy, 0.0) * half_y**2
        least[winners, each] = np.inf
        return winners, np.minimum.reduce(least, axis=0) > _ROUNDED * CLOSE * size
