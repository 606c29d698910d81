r"""Lloyd's two sums, counts and means of clusters, from products of matrices.

A score that orders the centroids as the distance does, and sums that give the means, are linear in
the coordinates of a point (Lloyd, "Least squares quantization in PCM", 1982):

.. math:: \lVert x - c \rVert^2 - \lVert x \rVert^2 = \lVert c \rVert^2 - 2\, c \cdot x, \qquad
          J = \sum_i \lVert x_i \rVert^2 + \sum_k N_k \lVert c_k \rVert^2 - 2 \sum_k c_k \cdot S_k

So the points are kept as columns about a centre that is near all of them, each with a 1 below, and
the scores are one product. Products round. Whoever is nearer to two centroids than the rounding can
tell is decided by the differences that the textbook's E-step takes, the first of equals, so that
every point goes where that puts it, to the last tie. Where the squares cancel in J, it is summed
about the centroids.

What is summed does not depend on how: not on the number of processors among which a product is
shared, nor on what ran before.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from em_core.numerics import ROUNDING, Array

# Points that are taken at once: they and their scores fit the cache.
BLOCK = 8192

# Numbers in the scores of many runs that fit the cache.
_NUMBERS = 2**17

# An inertia below this fraction of the sum of squares that it is the rest of has lost more than its
# last digits.
_RESOLVED = 1e-3

# Between these, squares of coordinates and sums of them are in the range of floats.
_RANGES: dict[type[np.floating[Any]], tuple[float, float]] = {
    np.float64: (1e-140, 1e140),
    np.float32: (1e-12, 1e12),
}

# Single precision is for points of which none is this much farther, squared, than the average.
_ALIKE = 1e3

_EPS32 = float(np.finfo(np.float32).eps)

# One and a half times the largest power of two that has digits down to 1.
_ROUNDER = 1.5 * 2.0**52

# Multiplications in a product of matrices that no library shares among processors, which would
# change the order of its sums.
ALONE = 2**17

# Points that the centroids have moved past are looked for among those near the border, once no more
# than this share of all changes sides in a step.
_FEW = 1 / 16

# Levels of nearness to the border.
_LEVELS = 256

# Added to a squared distance, it is none that is compared any more; and what underflow may take.
_BEYOND, _TINY = np.float32(1e30), 1e-30

# A centroid that is farther away, in terms of the farthest point of a sample, is none for single
# precision.
_MOST_REACH = 1e9

Labels = npt.NDArray[np.intp]
# Counts (..., K), sums of deviations from the centroids (..., K, d), and inertia (...).
Found = tuple[Array, Array, Array]


def squared_distances(points: npt.NDArray[Any], centroids: Array) -> Array:
    """Return ||x_i - c_k||^2, shape (n, K), coordinate by coordinate."""
    squares = np.zeros((len(centroids), len(points)))
    with np.errstate(over="ignore", invalid="ignore"):
        for x, c in zip(points.T, centroids.T, strict=True):
            squares += np.subtract.outer(c, x) ** 2
    return squares.T


def nearest_of(points: npt.NDArray[Any], centroids: Array) -> Labels:
    """Return the nearest centroid of each point by differences, the first of equals, shape (n,)."""
    cuts = [slice(start, start + BLOCK) for start in range(0, len(points), BLOCK)]
    nearest = [squared_distances(points[cut], centroids).argmin(axis=1) for cut in cuts]
    return np.concatenate(nearest) if nearest else np.empty(0, dtype=np.intp)


def centre_of(data: npt.NDArray[Any]) -> Array:
    """Return the mean of at most ``BLOCK`` rows, spread evenly over the data, shape (d,)."""
    sample = np.array(data[:: -(-len(data) // BLOCK)].T, dtype=float, order="C")
    return np.asarray(sample.mean(axis=1))


def in_range(far: float, kind: type[np.floating[Any]] = np.float64) -> bool:
    """Return whether squares of coordinates of this size are what they should be."""
    smallest, largest = _RANGES[kind]
    return far == 0 or smallest < far < largest


def moments(counts: Array, sums: Array, about: Array, square: float) -> Found:
    """Return what EM asks for of sums that were taken about a centre.

    Parameters
    ----------
    counts : ndarray, shape (..., K)
        N, the number of points of each centroid.
    sums : ndarray, shape (..., K, d)
        S, the sum of their differences from the centre.
    about : ndarray, shape (..., K, d)
        c, the differences of the centroids from the centre.
    square : float
        Sum of the squared distances of all points from the centre.

    Returns
    -------
    counts, deviations, inertia
        The inertia has lost digits unless it is :func:`resolved`.
    """
    held = counts[..., None] * about
    deviations = sums - held
    # sum ||x||^2 + N ||c||^2 - 2 c.S, where S - N c are the deviations
    inertia = square - np.add.reduce(np.vecdot(about, sums + deviations), axis=-1)
    # Below the rounding of their two terms: where the assignments repeat, the centroids do too.
    deviations *= np.abs(deviations) > ROUNDING * np.abs(held)
    return counts, deviations, inertia


def resolved(inertia: Array, square: float) -> npt.NDArray[np.bool_]:
    """Return where an inertia has its digits that is the rest of a sum of squares."""
    return np.asarray(inertia > _RESOLVED * square)


def by_differences(data: npt.NDArray[Any], labels: npt.NDArray[Any], centroids: Array) -> Found:
    """Return the same from the differences of the points from their centroids."""
    k, d = centroids.shape
    counts, deviations, inertia = np.zeros(k), np.zeros((k, d)), 0.0
    for start in range(0, len(data), BLOCK):
        rows = slice(start, start + BLOCK)
        own = labels[rows].astype(np.intp, copy=False)
        differences = data[rows] - centroids[own]
        inertia += float(np.einsum("ij,ij->", differences, differences))
        counts += np.bincount(own, minlength=k)
        for j, column in enumerate(differences.T):
            deviations[:, j] += np.bincount(own, column, k)
    return counts, deviations, np.asarray(inertia)


class Few:
    """Points that fit the cache: the scores of a run, or of many, in one product, and the sums too.

    Scores are in single precision, which takes half the time, where it can tell most points apart.
    A sum is the same in whatever order it is taken, because the coordinates are whole multiples of
    a unit, of which there are so few that no partial sum is rounded: each is cut into a high and a
    low part, of 53 bits less those of n, and the parts are summed for themselves.

    Parameters
    ----------
    data : ndarray, shape (n, d)
        The points.
    """

    def __init__(self, data: npt.NDArray[Any]) -> None:
        n, d = data.shape
        self.data = data
        columns = np.ones((d + 1, n))
        rows = columns[:-1]
        rows[:] = data.T
        self.centre = np.add.reduce(rows, axis=1) / n
        rows -= self.centre[:, None]
        lengths = np.einsum("ij,ij->j", rows, rows)
        self.square, self.farthest = float(lengths.sum()), float(lengths.max())
        far = math.sqrt(self.farthest)
        self.in_range = in_range(far)
        if not self.in_range:
            return
        bits = 53 - n.bit_length()
        unit = math.ldexp(1.0, math.frexp(far)[1] - bits)
        parts = np.ones((2 * d + 1, n))
        high, low = parts[:d], parts[d:-1]
        # A number that large has no digits below the unit.
        np.add(rows, _ROUNDER * unit, out=high)
        high -= _ROUNDER * unit
        np.subtract(rows, high, out=low)
        unit = math.ldexp(unit, -bits)
        low += _ROUNDER * unit
        low -= _ROUNDER * unit
        self.parts = parts.T
        rows *= -2
        alike = self.farthest < _ALIKE * self.square / n
        single = alike and in_range(far, np.float32)
        self.columns = columns.astype(np.float32) if single else columns
        kind = self.columns.dtype.type
        self.blur = 2 * (d + 4) * float(np.finfo(kind).eps)
        self.kind: type[np.floating[Any]] = kind

    def __call__(self, centroids: Array) -> Found:
        """Return what centroids (..., K, d) have: counts, deviations, and inertia."""
        if centroids.ndim == 3 and len(centroids) > self._in_cache(centroids.shape[1]):
            size = self._in_cache(centroids.shape[1])
            groups = [centroids[i : i + size] for i in range(0, len(centroids), size)]
            counts, deviations, inertia = zip(*map(self, groups), strict=True)
            return np.concatenate(counts), np.concatenate(deviations), np.concatenate(inertia)
        d = len(self.centre)
        form = np.empty((*centroids.shape[:-1], d + 1))
        about = np.subtract(centroids, self.centre, out=form[..., :-1])
        lengths = np.vecdot(about, about, out=form[..., -1])
        longest = float(np.maximum.reduce(lengths, axis=None))
        near = self._near(form, longest)
        if np.count_nonzero(near) != near.size // near.shape[-2]:
            self._decide(near, centroids)
        sums = near.reshape(-1, near.shape[-1]).astype(float) @ self.parts
        sums = sums.reshape(*about.shape[:-1], -1)
        total = sums[..., :d] + sums[..., d:-1]
        found = moments(sums[..., -1], total, about, self.square)
        if not resolved(found[-1], self.square).all():
            return self._resolve(near, centroids, *found)
        return found

    def _near(self, form: Array, longest: float) -> npt.NDArray[np.bool_]:
        """Return which centroids are nearest, as far as products can tell, shape (..., K, n)."""
        if not math.sqrt(longest) < _RANGES[self.kind][1]:
            return np.ones((*form.shape[:-1], len(self.data)), dtype=bool)
        scores = form.astype(self.kind, copy=False) @ self.columns  # ||c||^2 - 2 c.x
        limit = np.minimum.reduce(scores, axis=-2, keepdims=True)
        limit += self.kind(self.blur * (self.farthest + 2 * longest))
        return np.asarray(scores <= limit)

    def _decide(self, near: npt.NDArray[np.bool_], centroids: Array) -> None:
        """Give the points that are near to several centroids to one."""
        k, n = near.shape[-2:]
        near, centroids = near.reshape(-1, k, n), centroids.reshape(-1, *centroids.shape[-2:])
        several = np.add.reduce(near, axis=1, dtype=np.min_scalar_type(k)) != 1
        runs, columns = np.nonzero(several)
        # The differences of the textbook's E-step, in its order.
        squares = np.zeros((k, len(runs)))
        for j, coordinate in enumerate(self.data.T):
            squares += (centroids[runs, :, j].T - coordinate[columns]) ** 2
        near[runs, :, columns] = np.arange(k) == squares.argmin(axis=0)[:, None]

    def _resolve(
        self,
        near: npt.NDArray[np.bool_],
        centroids: Array,
        counts: Array,
        deviations: Array,
        inertia: Array,
    ) -> Found:
        """Take from differences what has lost its digits."""
        inertia = np.array(inertia)
        for run in np.ndindex(inertia.shape):
            if not resolved(inertia[run], self.square):
                labels = near[run].argmax(axis=0)
                found = by_differences(self.data, labels, centroids[run])
                _, deviations[run], inertia[run] = found
        return counts, deviations, inertia

    def _in_cache(self, n_components: int) -> int:
        """Return of how many runs the scores fit the cache together."""
        return max(1, _NUMBERS // (n_components * len(self.data)))


class Many:
    """Points beyond the cache, once for all runs: their columns in single precision.

    Parameters
    ----------
    data : ndarray, shape (n, d)
        The points.
    """

    def __init__(self, data: npt.NDArray[Any]) -> None:
        n, d = data.shape
        self.data, self.centre = data, centre_of(data)
        sample = data[:: -(-n // BLOCK)] - self.centre
        size = float(np.abs(sample).max())
        self.in_range = in_range(size)
        self.unit = math.ldexp(1.0, -math.frexp(size)[1]) if self.in_range else 1.0
        columns = np.ones((d + 1, n), dtype=np.float32)
        self.square = 0.0
        for start in range(0, n, BLOCK):
            cut = slice(start, start + BLOCK)
            rows = np.array(data[cut].T, dtype=float, order="C")
            rows -= self.centre[:, None]
            self.square += float(np.einsum("ij,ij->j", rows, rows).sum())
            np.multiply(rows, self.unit, out=columns[:-1, cut], casting="same_kind")
        self.screen = Screen(columns)
        self.in_range = self.in_range and in_range(max(self.screen.far) / self.unit)


class Screen:
    """Points as columns in single precision, in which scores take half the time.

    Parameters
    ----------
    columns : ndarray of float32, shape (d + 1, n)
        Coordinates about a centre, in a unit in which most are below 1, and a row of ones.
    """

    def __init__(self, columns: npt.NDArray[np.float32]) -> None:
        self.columns = columns
        starts = range(0, columns.shape[1], BLOCK)
        self.far = [math.sqrt(self.lengths(slice(i, i + BLOCK)).max()) for i in starts]

    def lengths(self, cut: slice) -> npt.NDArray[np.float32]:
        """Return the squared distances of some points from the centre."""
        rows = self.columns[:-1, cut]
        return np.asarray(np.einsum("ij,ij->j", rows, rows))

    def assign(
        self,
        form: Array,
        labels: npt.NDArray[Any],
        margins: npt.NDArray[np.float32] | None = None,
    ) -> Labels:
        """Find the nearest centroid of the first points, as many as there are labels.

        Parameters
        ----------
        form : ndarray, shape (K, d + 1)
            -2 c and ||c||^2 of the centroids, in the unit of the columns.
        labels : ndarray of int
            Where the nearest centroids go.
        margins : ndarray of float32, optional
            Where goes by how much the nearest centroid is nearer than any other, at the least, in
            the unit of the columns.

        Returns
        -------
        ndarray of int
            The points of which single precision cannot tell. Their labels mean nothing.
        """
        k, d = form.shape[0], form.shape[1] - 1
        reach = _reach(form)
        if not reach < _MOST_REACH:
            return np.arange(len(labels))
        form = form.astype(np.float32)
        codes = np.arange(k, dtype=labels.dtype)[:, None]
        undecided = [np.empty(0, dtype=np.intp)]
        room = np.empty((k, min(BLOCK, len(labels))), dtype=np.float32)
        for start, far in zip(range(0, len(labels), BLOCK), self.far, strict=False):
            cut = slice(start, min(start + BLOCK, len(labels)))
            scores = np.matmul(form, self.columns[:, cut], out=room[:, : cut.stop - start])
            limit = np.minimum.reduce(scores, axis=0)
            limit += np.float32(2 * (d + 4) * _EPS32 * (2 * far + reach) * reach + _TINY)
            near = ~(scores > limit)
            np.bitwise_or.reduce(near.view(np.uint8) * codes, axis=0, out=labels[cut])
            if np.count_nonzero(near) != near.shape[1]:
                times = np.add.reduce(near, axis=0, dtype=np.min_scalar_type(k))
                undecided.append(np.flatnonzero(times != 1) + start)
            if margins is not None:
                scores += near * _BEYOND
                second = np.minimum.reduce(scores, axis=0)
                np.subtract(second, limit, out=margins[cut])
                lengths = self.lengths(cut)
                lengths += np.float32(2 * (d + 4) * _EPS32 * (far + reach) ** 2 + _TINY)
                # a^2 - b^2 = (a - b) (a + b)
                margins[cut] /= np.sqrt(limit + lengths) + np.sqrt(second + lengths)
        found = np.concatenate(undecided)
        if margins is not None:
            margins[found] = 0
        return found


class Border(NamedTuple):
    """The points that may change sides while the centroids stay near where they were.

    Attributes
    ----------
    at : ndarray, shape (K, d)
        Where the centroids were, about the centre.
    width : float
        All points are here whose margin is up to this, in the unit of the screen.
    points : ndarray of int
        Which points these are, those with the smallest margins first.
    screen : Screen
        Their columns.
    up_to : ndarray of int
        How many points have a margin up to each level of the width.
    """

    at: Array
    width: float
    points: Labels
    screen: Screen
    up_to: Labels

    def first(self, moved: float) -> int | None:
        """Return how many points may have changed sides when no centroid has moved farther.

        None if there may be others.
        """
        if not moved < self.width:
            return None
        return int(self.up_to[int(moved / self.width * (_LEVELS - 1))])


class Run:
    """One run over many points: it remembers which centroid each belongs to, and the sums.

    A sweep changes the sums only by the points that have changed sides. When these have become few,
    it takes, once, by how much each point is nearer to its centroid than to any other. While no
    centroid has moved by half of that, the point stays where it is (Hamerly, "Making k-means even
    faster", 2010), and is not looked at. The margins are taken anew when that is cheaper than to go
    on with those there are.

    Parameters
    ----------
    points : Many
        The points, which the run does not change.
    """

    def __init__(self, points: Many) -> None:
        self.points = points
        self.labels = np.empty(0, dtype=np.uint8)  # none yet
        self.counts = self.sums = self.about = np.empty(0)
        self.border: Border | None = None
        self.looked_at = 0  # since the margins were taken
        self.few = int(_FEW * len(points.data))  # may have moved when margins are taken
        self.n_moved = len(points.data)

    def __call__(self, centroids: Array) -> Found:
        """Return counts (K,), deviations (K, d), and the inertia for centroids (K, d)."""
        points = self.points
        about, before = centroids - points.centre, self.about
        self.about = about
        form = np.empty((len(about), about.shape[1] + 1))
        np.multiply(about, -2 * points.unit, out=form[:, :-1])
        form[:, -1] = np.einsum("kd,kd->k", about, about) * points.unit**2
        if not len(self.labels):
            self.labels = self._all(form, centroids)
            self._sum_all(len(centroids))
        else:
            near = self._near_border(form)
            if near is None:
                step = _largest_move(about, before) * points.unit
                now = self._all(form, centroids, step)
                moved = np.flatnonzero(now != self.labels)
                now = now[moved]
            else:
                now = self._of(near, form, centroids)
                changed = now != self.labels[near]
                moved, now = near[changed], now[changed]
            self._move(moved, now)
        counts, deviations, inertia = moments(self.counts.copy(), self.sums, about, points.square)
        if resolved(inertia, points.square):
            return counts, deviations, inertia
        return by_differences(points.data, self.labels, centroids)

    def _near_border(self, form: Array) -> Labels | None:
        """Return the points that may change sides, or None if that is not known of all."""
        points, border = self.points, self.border
        if border is None:
            return None
        moved = 2 * _largest_move(self.about, border.at) * points.unit
        n = border.first(moved * (1 + 1e-5) + 1e-9 * (max(points.screen.far) + _reach(form)))
        if n is None or self.looked_at > len(points.data):
            self.border = None
            return None
        self.looked_at += n
        return border.points[:n]

    def _of(self, near: Labels, form: Array, centroids: Array) -> npt.NDArray[Any]:
        """Return the nearest centroids of the first points of the border."""
        assert self.border is not None
        labels = np.empty(len(near), dtype=self.labels.dtype)
        undecided = self.border.screen.assign(form, labels)
        labels[undecided] = nearest_of(self.points.data[near[undecided]], centroids)
        return labels

    def _all(self, form: Array, centroids: Array, step: float = 0.0) -> npt.NDArray[Any]:
        """Return the nearest centroids of all points, and take their margins if these are due."""
        data, screen, k = self.points.data, self.points.screen, len(centroids)
        labels = np.empty(len(data), dtype=np.min_scalar_type(k - 1))
        due = k > 1 and step > _TINY and self.n_moved <= self.few
        margins = np.empty(len(data), dtype=np.float32) if due else None
        undecided = screen.assign(form, labels, margins)
        labels[undecided] = nearest_of(data[undecided], centroids)
        if margins is not None:
            self.border, self.looked_at = _border(margins, self.about, step, screen), 0
            if self.border is None:
                self.few = self.n_moved // 2
        return labels

    def _sum_all(self, k: int) -> None:
        points = self.points
        self.counts, self.sums = np.zeros(k), np.zeros((k, len(points.centre)))
        for start in range(0, len(self.labels), BLOCK):
            cut = slice(start, start + BLOCK)
            members = _members(self.labels[cut], k).view(np.int8)
            _add(self.counts, self.sums, members, points.data[cut] - points.centre)

    def _move(self, moved: Labels, now: npt.NDArray[Any]) -> None:
        """Give some points to other centroids."""
        self.n_moved = len(moved)
        was = self.labels[moved]
        self.labels[moved] = now
        if 3 * len(moved) > len(self.labels):
            self._sum_all(len(self.counts))
            return
        k = len(self.counts)
        for start in range(0, len(moved), BLOCK):
            cut = slice(start, start + BLOCK)
            changes = np.subtract(*(_members(to[cut], k).view(np.int8) for to in (now, was)))
            _add(self.counts, self.sums, changes, self.points.data[moved[cut]] - self.points.centre)


def _members(labels: npt.NDArray[Any], k: int) -> npt.NDArray[np.bool_]:
    """Return which points belong to each centroid, shape (K, n)."""
    return np.asarray(labels == np.arange(k, dtype=labels.dtype)[:, None])


def _add(counts: Array, sums: Array, times: npt.NDArray[np.int8], rows: Array) -> None:
    """Add points (n, d) to the counts and the sums of each centroid, so many times each, (K, n)."""
    counts += np.add.reduce(times, axis=1, dtype=np.intp)
    shares, at_once = times.astype(float), max(1, ALONE // sums.size)
    for start in range(0, len(rows), at_once):
        sums += shares[:, start : start + at_once] @ rows[start : start + at_once]


def _border(
    margins: npt.NDArray[np.float32], at: Array, step: float, screen: Screen
) -> Border | None:
    """Return the border for some steps like the last one, or None if too many points are near."""
    for steps in (16, 8, 4):
        width = steps * step
        points = np.flatnonzero(margins <= width)
        if len(points) <= len(margins) // 4:
            break
    else:
        return None
    levels = (margins[points] * ((_LEVELS - 1) / width)).astype(np.uint8)
    points = points[np.argsort(levels, kind="stable")]
    up_to = np.cumsum(np.bincount(levels, minlength=_LEVELS))
    return Border(at, width, points, Screen(screen.columns.take(points, axis=1)), up_to)


def _largest_move(here: Array, there: Array) -> float:
    return math.sqrt(((here - there) ** 2).sum(axis=1).max())


def _reach(form: Array) -> float:
    return math.sqrt(form[:, -1].max())
