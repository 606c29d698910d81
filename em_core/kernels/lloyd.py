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

from em_core.numerics import Array

# Points that are taken at once: they and their scores fit the cache.
BLOCK = 8192

# Numbers in the scores of many runs that fit the cache.
_NUMBERS = 2**17

# Differences of which no more than this is lost in their terms are more than rounding.
_FRACTION = np.array(0.0625)  # NumPy multiplies few numbers by an array in half the time

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

_EPS, _EPS32 = float(np.finfo(float).eps), float(np.finfo(np.float32).eps)

# Multiplications in a product of matrices that no library shares among processors, which would
# change the order of its sums; and if a matrix has a single row.
ALONE, _ONE_ROW = 2**18, 2**13

# Points beyond the cache that are looked at at once.
_PART = 8 * BLOCK

# What underflow may take from a squared distance.
_TINY = 1e-30

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
    held = each_coordinate(counts, about)
    held *= about
    deviations = sums - held
    # sum ||x||^2 + N ||c||^2 - 2 c.S, where S - N c are the deviations
    inertia = square - _products(about, sums + deviations)
    # Below the rounding of their two terms: where the assignments repeat, the centroids do too.
    without_rounding(deviations, held)
    return counts, deviations, inertia


def each_coordinate(counts: Array, points: Array) -> Array:
    """Return numbers (..., K) once for each coordinate of points, shape (..., K, d)."""
    # A few numbers are repeated in a third of the time that it takes to broadcast them.
    return counts.repeat(points.shape[-1]).reshape(points.shape)


def without_rounding(differences: Array, terms: Array) -> None:
    """Set differences to zero that are no more than the rounding of terms as large as these."""
    lost = terms + differences * _FRACTION == terms  # they are a few units in the last place
    if np.count_nonzero(lost):
        differences[lost] = 0.0


def _products(one: Array, other: Array) -> Any:
    """Return the sums of the products of the entries of matrices (..., K, d)."""
    if one.ndim == 2:
        return one.ravel().dot(other.ravel())
    return np.vecdot(one.reshape(len(one), -1), other.reshape(len(one), -1))


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

    Parameters
    ----------
    data : ndarray, shape (n, d)
        The points.
    """

    def __init__(self, data: npt.NDArray[Any]) -> None:
        n, d = data.shape
        self.data = data
        self.points = np.ones((d + 1, n))
        rows = self.points[:-1]
        rows[:] = data.T
        self.centre = np.add.reduce(rows, axis=1) / n
        rows -= self.centre[:, None]
        lengths = np.einsum("ij,ij->j", rows, rows)
        self.square = float(np.add.reduce(lengths))
        self.least = _RESOLVED * self.square
        self.farthest = float(np.maximum.reduce(lengths))
        far = math.sqrt(self.farthest)
        self.in_range = in_range(far)
        if not self.in_range:
            return
        alike = self.farthest < _ALIKE * self.square / n
        self.kind: type[np.floating[Any]]
        self.kind = np.float32 if alike and in_range(far, np.float32) else np.float64
        self.columns: Any = self.points.astype(self.kind)
        self.columns[:-1] *= -2
        self.blur = 2 * (d + 4) * (_EPS32 if self.kind is np.float32 else _EPS)

    def __call__(self, centroids: Array) -> Found:
        """Return counts (K,), deviations (K, d), and the inertia for centroids (K, d)."""
        about = centroids - self.centre
        scores, blur = self._scores(about)
        limit = np.minimum.reduce(scores, axis=0)
        limit += blur
        near = scores <= limit
        if np.count_nonzero(near) != len(limit):
            self._decide(near, centroids)
        sums = self._sums(near)
        # Few numbers are quicker to reckon with where they are beside each other.
        found = moments(sums[:, -1].copy(), sums[:, :-1].copy(), about, self.square)
        if found[-1] > self.least:
            return found
        return self._resolve(near, centroids, *found)

    def of_many(self, centroids: Array) -> Found:
        """Return the same for those of R runs, (R, K, d), each with the runs as a first axis."""
        n_runs, k, d = centroids.shape
        n = len(self.data)
        at_once = max(1, min(_NUMBERS, ALONE // (d + 1)) // (k * n))
        if n_runs > at_once:
            groups = [centroids[i : i + at_once] for i in range(0, n_runs, at_once)]
            each = zip(*map(self.of_many, groups), strict=True)
            counts, deviations, inertia = map(np.concatenate, each)
            return counts, deviations, inertia
        about = centroids - self.centre
        scores, blur = self._scores(about.reshape(-1, d))
        scores = scores.reshape(n_runs, k, n)
        limit = np.minimum.reduce(scores, axis=1, keepdims=True)
        limit += blur
        near = scores <= limit
        if np.count_nonzero(near) != limit.size:
            self._decide(near, centroids)
        sums = self._sums(near.reshape(-1, n)).reshape(n_runs, k, d + 1)
        found = moments(sums[..., -1].copy(), sums[..., :-1].copy(), about, self.square)
        if np.minimum.reduce(found[-1]) > self.least:
            return found
        return self._resolve(near, centroids, *found)

    def _scores(self, about: Array) -> tuple[npt.NDArray[Any], float]:
        """Return scores of centroids (m, d) about the centre, (m, n), and how much to mistrust."""
        lengths = np.vecdot(about, about)
        longest = max(lengths.tolist())
        if not math.sqrt(longest) < _RANGES[self.kind][1]:
            return np.zeros((len(about), len(self.data))), 0.0  # which tell nobody apart
        form = np.empty((len(about), len(self.columns)), dtype=self.kind)
        form[:, :-1], form[:, -1] = about, lengths
        # ||c||^2 - 2 c.x
        return form.dot(self.columns), self.blur * (self.farthest + 2 * longest)

    def _sums(self, near: npt.NDArray[np.bool_]) -> Array:
        """Return the sums of the points, and their numbers, that are near to each."""
        shares, rows = near.astype(float), self.points.T
        # No library shares products among processors that are so small, which may change digits.
        at_once = max(1, (ALONE if len(near) > 1 else _ONE_ROW) // (len(near) * rows.shape[1]))
        if len(rows) <= at_once:
            return np.asarray(shares.dot(rows))
        sums = shares[:, :at_once].dot(rows[:at_once])
        for start in range(at_once, len(rows), at_once):
            cut = slice(start, start + at_once)
            sums += shares[:, cut].dot(rows[cut])
        return np.asarray(sums)

    def _decide(self, near: npt.NDArray[np.bool_], centroids: Array) -> None:
        """Give the points that are near to several centroids to one."""
        k, n = near.shape[-2:]
        near, centroids = near.reshape(-1, k, n), centroids.reshape(-1, *centroids.shape[-2:])
        several = np.add.reduce(near.view(np.uint8), axis=1, dtype=np.min_scalar_type(k)) != 1
        runs, columns = np.divmod(np.flatnonzero(several), n)  # a tenth of the time in two axes
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
        # Of as many rows as are taken at once, since short ones are slow to subtract from.
        self.centres = np.tile(self.centre, BLOCK)
        sample = data[:: -(-n // BLOCK)] - self.centre
        size = float(np.abs(sample).max())
        self.in_range = in_range(size)
        self.unit = math.ldexp(1.0, -math.frexp(size)[1]) if self.in_range else 1.0
        self.parts: list[Part] = []
        self.square = 0.0
        for start in range(0, n, _PART):
            part = data[start : start + _PART]
            columns, far = np.ones((d + 1, len(part)), dtype=np.float32), 0.0
            for at in range(0, len(part), BLOCK):
                rows = np.array(part[at : at + BLOCK].T, dtype=float, order="C")
                rows -= self.centre[:, None]
                lengths = np.einsum("ij,ij->j", rows, rows)
                self.square += float(lengths.sum())
                far = max(far, math.sqrt(lengths.max()))
                rows *= self.unit
                columns[:-1, at : at + BLOCK] = rows
            self.parts.append(Part(slice(start, start + len(part)), columns, far * self.unit))
        self.far = max(part.far for part in self.parts)
        self.in_range = self.in_range and in_range(self.far / self.unit)

    def about(self, rows: npt.NDArray[Any]) -> Array:
        """Return the differences of some points from the centre, shape (m, d)."""
        differences = np.array(rows, dtype=float, order="C").reshape(-1)
        for start in range(0, len(differences), len(self.centres)):
            some = differences[start : start + len(self.centres)]
            some -= self.centres[: len(some)]
        return differences.reshape(rows.shape)


class Part(NamedTuple):
    """Some of the points, as columns in single precision, in which scores take half the time.

    Attributes
    ----------
    rows : slice
        Which points these are.
    columns : ndarray of float32, shape (d + 1, m)
        Coordinates about a centre, in a unit in which most are below 1, and a row of ones.
    far : float
        The farthest from the centre, in this unit.
    """

    rows: slice
    columns: npt.NDArray[np.float32]
    far: float

    def assign(self, form: Array) -> tuple[npt.NDArray[Any], Labels]:
        """Return the nearest centroid of each point, and of which single precision cannot tell.

        Parameters
        ----------
        form : ndarray, shape (K, d + 1)
            -2 c and ||c||^2 of the centroids, in the unit of the columns.

        Returns
        -------
        labels, undecided : ndarray of int
            The labels of the undecided points mean nothing.
        """
        k, d = len(form), form.shape[1] - 1
        kind, m = np.min_scalar_type(k - 1), self.columns.shape[1]
        reach = math.sqrt(form[:, -1].max())
        if not reach < _MOST_REACH:
            return np.zeros(m, dtype=kind), np.arange(m)
        blur = np.float32(2 * (d + 4) * _EPS32 * (2 * self.far + reach) * reach + _TINY)
        form = form.astype(np.float32)
        near = np.empty((k, m), dtype=bool)
        room = np.empty((k, min(BLOCK, m)), dtype=np.float32)
        for start in range(0, m, BLOCK):
            cut = slice(start, min(start + BLOCK, m))
            scores = np.matmul(form, self.columns[:, cut], out=room[:, : cut.stop - start])
            limit = np.minimum.reduce(scores, axis=0)
            limit += blur
            np.less_equal(scores, limit, out=near[:, cut])
        labels = np.bitwise_or.reduce(near.view(np.uint8) * np.arange(k, dtype=kind)[:, None])
        if np.count_nonzero(near) == m:
            return labels, np.empty(0, dtype=np.intp)
        times = np.add.reduce(near.view(np.uint8), axis=0, dtype=np.min_scalar_type(k))
        return labels, np.flatnonzero(times != 1)


class Run:
    """One run over many points: it remembers which centroid each belongs to, and the sums.

    A sweep changes the sums only by the points that have changed sides.

    Parameters
    ----------
    points : Many
        The points, which the run does not change.
    """

    def __init__(self, points: Many) -> None:
        self.points = points
        self.labels = np.empty(0, dtype=np.uint8)  # none yet
        self.counts = self.sums = np.empty(0)

    def __call__(self, centroids: Array) -> Found:
        """Return counts (K,), deviations (K, d), and the inertia for centroids (K, d)."""
        points, (k, d) = self.points, centroids.shape
        about = centroids - points.centre
        form = np.empty((k, d + 1))
        np.multiply(about, -2 * points.unit, out=form[:, :-1])
        form[:, -1] = np.einsum("kd,kd->k", about, about) * points.unit**2
        first = not len(self.labels)
        if first:
            self.labels = np.empty(len(points.data), dtype=np.min_scalar_type(k - 1))
            self.counts, self.sums = np.zeros(k), np.zeros((k, d))
        for part in points.parts:
            data, before = points.data[part.rows], self.labels[part.rows]
            labels, undecided = part.assign(form)
            labels[undecided] = nearest_of(data[undecided], centroids)
            if first:
                self._add(data, labels)
            else:
                moved = np.flatnonzero(labels != before)
                self._add(data.take(moved, axis=0), labels[moved], before[moved])
            before[:] = labels
        self.sums[self.counts == 0] = 0.0  # and not what rounding has left
        counts, deviations, inertia = moments(self.counts.copy(), self.sums, about, points.square)
        if resolved(inertia, points.square):
            return counts, deviations, inertia
        return by_differences(points.data, self.labels, centroids)

    def _add(
        self,
        data: npt.NDArray[Any],
        now: npt.NDArray[Any],
        was: npt.NDArray[Any] | None = None,
    ) -> None:
        """Give some points to centroids, and take them from those that had them."""
        k = len(self.counts)
        for start in range(0, len(data), BLOCK):
            cut = slice(start, start + BLOCK)
            times = _members(now[cut], k)
            if was is not None:
                times = times - _members(was[cut], k)
            self.counts += np.add.reduce(times, axis=1, dtype=np.intp)
            shares, rows = times.astype(float), self.points.about(data[cut])
            at_once = max(1, ALONE // self.sums.size)
            for at in range(0, len(rows), at_once):
                self.sums += shares[:, at : at + at_once] @ rows[at : at + at_once]


def _members(labels: npt.NDArray[Any], k: int) -> npt.NDArray[np.int8]:
    """Return 1 where a point belongs to a centroid, and else 0, shape (K, n)."""
    return np.asarray(labels == np.arange(k, dtype=labels.dtype)[:, None]).view(np.int8)
