r"""Lloyd's sums for few coordinates, from groups of neighbours that go to one centroid together.

A group of points in a ball of radius r about m belongs wholly to centroid a if, for every other b,

.. math:: \lVert m - c_b \rVert^2 - \lVert m - c_a \rVert^2 > 2\, r\, \lVert c_a - c_b \rVert,

since that is as much as the difference on the left can change within the ball. Then its sums, taken
once for all, are added as those of one point; otherwise the smaller groups that it is made of are
looked at, and in the end the points (Kanungo et al., "An efficient k-means clustering algorithm:
analysis and implementation", IEEE PAMI 24, 2002). So an iteration looks at the borders alone.

The points are sorted along a Z-curve, which keeps neighbours together (Morton, "A computer oriented
geodetic data base", IBM, 1966), and groups are runs of them. A point that products cannot decide
upon is decided by the differences that the textbook's E-step takes, the first of equals.
"""

import functools
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from em_core.kernels import lloyd
from em_core.kernels.lloyd import Found
from em_core.numerics import Array

# Neighbours in the smallest groups, and groups in the next larger, of which there are at least so
# many.
_RATIO, _LEAST = 8, 512

# More coordinates than these, and a group reaches over too many borders.
MOST_COORDINATES = 3

# Points that are sorted at once, in the cache.
_SORTED = 2**16

# The curve goes through 2^16 cells, between these shares of a sample; the cells at the edge take
# what is beyond, so that an outlier does not put all others into one.
_BITS, _EDGE, _SAMPLE = 16, 0.01, 1024

_EPS = float(np.finfo(float).eps)

Indices = npt.NDArray[np.intp]


class Level(NamedTuple):
    """Groups of neighbours along the curve.

    Attributes
    ----------
    size : int
        Points in each.
    middles : ndarray, shape (d + 1, L)
        Middles of the smallest boxes around them, and a 1 below.
    radii : ndarray, shape (L,)
        Half the diagonals of the boxes.
    sums : ndarray, shape (d + 1, L)
        Sums of the points, and their number.
    """

    size: int
    middles: Array
    radii: Array
    sums: Array


class Leaves:
    """Points beyond the cache with few coordinates, once for all runs.

    Parameters
    ----------
    data : ndarray, shape (n, d)
        The points.
    """

    def __init__(self, data: npt.NDArray[np.floating[Any]]) -> None:
        n = len(data)
        self.data, self.centre = data, lloyd.centre_of(data)
        self.rows, self.order = _sorted(data, self.centre)
        self.far, self.square = 0.0, 0.0
        for start in range(0, n, lloyd.BLOCK):
            rows = self.rows[:, start : start + lloyd.BLOCK]
            lengths = np.einsum("ij,ij->j", rows, rows)
            self.far = max(self.far, math.sqrt(lengths.max()))
            self.square += float(lengths.sum())
        self.in_range = lloyd.in_range(self.far)
        self.levels = _levels(self.rows) if self.in_range else []

    def __call__(self, centroids: Array) -> Found:
        """Return counts (K,), deviations (K, d), and the inertia for centroids (K, d)."""
        sums = np.zeros((len(centroids), len(self.rows) + 1))
        for _, _, members, columns in self.members(centroids):
            sums += members @ columns.T
        about = centroids - self.centre
        found = lloyd.moments(sums[:, -1], sums[:, :-1], about, self.square)
        if lloyd.resolved(found[-1], self.square):
            return found
        return lloyd.by_differences(self.data, self.labels(centroids), centroids)

    def labels(self, centroids: Array) -> Indices:
        """Return the nearest centroid of each point, shape (n,)."""
        along = np.empty(len(self.data), dtype=np.intp)
        for size, groups, members, _ in self.members(centroids):
            # Those of groups that are cut are written over by their parts.
            along[(size * groups)[:, None] + np.arange(size)] = members.argmax(axis=0)[:, None]
        labels = np.empty_like(along)
        labels[self.order] = along
        return labels

    def members(self, centroids: Array) -> Iterator[tuple[int, Indices, Array, Array]]:
        """Yield groups, from large to small, and which centroid each belongs to.

        As the size of the groups, their places among those of this size, ones (K, m) where a
        group belongs wholly to a centroid, and their sums (d + 1, m).
        """
        about = centroids - self.centre
        k, d = about.shape
        lengths = np.einsum("kd,kd->k", about, about)
        form = np.concatenate([-2 * about, lengths[:, None]], axis=1)  # ||c||^2 - 2 c.x
        # As much as rounding may put wrong: in scores, in what stands about the centre, and in the
        # squares that the textbook's E-step compares.
        blur = 8 * (d + 4) * _EPS * (self.far + math.sqrt(lengths.max())) ** 2
        between = about[:, None] - about
        gaps = 2 * np.sqrt(np.einsum("kld,kld->kl", between, between))
        # No library shares products among processors that are so small, which may change digits.
        at_once = max(1, lloyd.ALONE // form.size)
        few = np.min_scalar_type(k)

        groups = np.arange(len(self.levels[0].radii))
        for level in self.levels:
            cut = [groups[:0]]
            for start in range(0, len(groups), at_once):
                some = groups[start : start + at_once]
                scores = form @ level.middles.take(some, axis=1)
                limit = np.minimum.reduce(scores, axis=0)
                nearest = scores == limit
                limit += blur
                margins = gaps @ (nearest * level.radii.take(some))
                margins += limit
                farther = np.add.reduce((scores > margins).view(np.uint8), axis=0, dtype=few)
                whole = farther == k - 1
                nearest &= whole
                yield level.size, some, nearest.astype(float), level.sums.take(some, axis=1)
                cut.append(some[~whole])
            groups = (_RATIO * np.concatenate(cut)[:, None] + np.arange(_RATIO)).ravel()
        rest = len(self.data) % self.levels[0].size
        groups = np.concatenate([groups, np.arange(len(self.data) - rest, len(self.data))])
        for start in range(0, len(groups), at_once):
            some = groups[start : start + at_once]
            columns = np.ones((d + 1, len(some)))
            self.rows.take(some, axis=1, out=columns[:-1], mode="clip")  # which is the quick mode
            scores = form @ columns
            near = scores <= np.minimum.reduce(scores, axis=0) + blur
            if np.count_nonzero(near) != len(some):
                several = np.flatnonzero(np.add.reduce(near.view(np.uint8), axis=0, dtype=few) != 1)
                nearest = lloyd.nearest_of(self.data[self.order[some[several]]], centroids)
                near[:, several] = np.arange(k)[:, None] == nearest
            yield 1, some, near.astype(float), columns


class _Curve:
    """A Z-curve through the cells of a grid: a cell's number has the digits of its coordinates.

    Parameters
    ----------
    sample : ndarray, shape (m, d)
        Some of the points that it goes through.
    """

    def __init__(self, sample: Array) -> None:
        d = sample.shape[1]
        edge = int(_EDGE * len(sample))
        self.low, high = np.sort(sample, axis=0)[[edge, -1 - edge]]
        width = high - self.low
        self.scale = np.divide(2.0 ** (_BITS // d), width, out=np.zeros(d), where=width > 0)

    def codes(self, columns: Array) -> npt.NDArray[np.uint16]:
        """Return the number of the cell of each point (d, m), shape (m,)."""
        codes = np.zeros(columns.shape[1], dtype=np.uint16)
        for x, low, scale, digits in zip(
            columns, self.low, self.scale, _digits(len(columns)), strict=True
        ):
            codes |= digits.take(((x - low) * scale).astype(np.intp), mode="clip")
        return codes


@functools.cache
def _digits(d: int) -> list[npt.NDArray[np.uint16]]:
    """Return what each coordinate of a cell contributes to its number, by the coordinate."""
    bits = _BITS // d
    cells = np.arange(2**bits, dtype=np.uint16)
    apart = np.zeros_like(cells)
    for i in range(bits):
        apart |= ((cells >> i) & 1) << (d * i)
    return [np.left_shift(apart, j, dtype=np.uint16) for j in range(d)]


def _sorted(data: npt.NDArray[np.floating[Any]], centre: Array) -> tuple[Array, npt.NDArray[Any]]:
    """Return the points about a centre along the curve, shape (d, n), and which each is."""
    n, d = data.shape
    sample = data[:: -(-n // _SAMPLE)] - centre
    curve = _Curve(sample)
    # Stretches of the curve with about as many points each: they are collected from all parts of
    # the data, and sorted one after another.
    n_parts = -(-n // _SORTED)
    shares = np.linspace(0, len(sample) - 1, n_parts + 1).astype(int)
    ends = np.sort(curve.codes(sample.T) >> 8)[shares[1:-1]]  # none if all are sorted at once
    kind = np.min_scalar_type(n)
    stretches: list[list[list[npt.NDArray[Any]]]] = [[] for _ in range(n_parts)]
    for start in range(0, n, _SORTED):
        rows = np.array(data[start : start + _SORTED].T, dtype=float, order="C")
        rows -= centre[:, None]
        part: list[npt.NDArray[Any]]
        part = [curve.codes(rows), rows, np.arange(start, start + rows.shape[1], dtype=kind)]
        cuts = [0, rows.shape[1]]
        if n_parts > 1:
            along = np.argsort((part[0] >> 8).astype(np.uint8), kind="stable")
            part = [each.take(along, axis=-1) for each in part]
            cuts[1:1] = (part[0] >> 8).searchsorted(ends).tolist()
        for stretch, (a, b) in zip(stretches, pairwise(cuts), strict=True):
            stretch.append([each[..., a:b] for each in part])
    points, order, at = np.empty((d, n)), np.empty(n, dtype=kind), 0
    for stretch in stretches:
        codes, rows, places = (np.concatenate(each, axis=-1) for each in zip(*stretch, strict=True))
        along = np.argsort(codes, kind="stable")
        to = slice(at, at + len(along))
        points[:, to], order[to] = rows.take(along, axis=1), places.take(along)
        at = to.stop
    return points, order


def _levels(points: Array) -> list[Level]:
    """Return the groups of points along the curve, the largest first."""
    d, n = points.shape
    sizes = [_RATIO]
    while n >= _LEAST * _RATIO * sizes[-1]:
        sizes.append(_RATIO * sizes[-1])
    n -= n % sizes[-1]
    low, high, sums = (np.empty((rows, n // _RATIO)) for rows in (d, d, d + 1))
    sums[-1] = _RATIO
    for start in range(0, n, lloyd.BLOCK):
        to = slice(start // _RATIO, min(start + lloyd.BLOCK, n) // _RATIO)
        rows = _neighbours(points[:, start : min(start + lloyd.BLOCK, n)])
        np.minimum.reduce(rows, out=low[:, to])
        np.maximum.reduce(rows, out=high[:, to])
        np.add.reduce(rows, out=sums[:-1, to])
    levels = []
    for size in sizes:
        if size > _RATIO:
            low, high = _neighbours(low).min(axis=0), _neighbours(high).max(axis=0)
            sums = _neighbours(sums).sum(axis=0)
        middles = np.ones_like(sums)
        np.add(low, high, out=middles[:-1])
        middles[:-1] *= 0.5
        radii = 0.5 * np.sqrt(((high - low) ** 2).sum(axis=0)) * (1 + 8 * _EPS)
        levels.append(Level(size, middles, radii, sums))
    return levels[::-1]


def _neighbours(rows: Array) -> Array:
    """Return the first of each ``_RATIO`` neighbours in the rows, the second, and so on."""
    return np.ascontiguousarray(rows.reshape(len(rows), -1, _RATIO).transpose(2, 0, 1))
