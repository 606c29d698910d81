r"""Points in the plane as a few thousand weighted nodes, which to a Gaussian mixture are the same.

What EM sums over the points are smooth functions: responsibilities, these times the coordinates and
their products, and the logarithm of the density. In a cell in which such a function is, to
rounding, a polynomial of low degree, its sum over the points depends on their first moments alone.
So the points of a cell are replaced by a grid of nodes that have the same moments, as sources are
in the fast multipole method (Dutt, Gu and Rokhlin, "Fast algorithms for polynomial interpolation,
integration and differentiation", SIAM J. Numer. Anal. 33, 1996), and an iteration no longer depends
on how many points there are. Cells are halves of halves of the whole, across and upwards in turn
(Bentley, "Multidimensional binary search trees", Comm. ACM 18, 1975).

How smooth a mixture is in a cell is not bounded beforehand, which would take many more nodes, but
seen: a smooth function's Chebyshev coefficients fall off geometrically (Trefethen, "Approximation
Theory and Approximation Practice", 2013, chapters 3 and 8), and the last of those that a grid has
bound what the sum misses. A cell has the smallest grid at whose edge they are small enough. They
are looked at again in every E-step, so that nodes that served other parameters are not trusted.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.polynomial.chebyshev import chebvander

from em_core.kernels.quadratics import NUMBERS, block_length
from em_core.numerics import Array

# Nodes of a cell in each direction, at the most; and how many of their last coefficients are to be
# small.
_MOST, _LAST = 20, 2

# How large the last coefficients of a cell may be, times its largest moments of as high a degree,
# as a part of all points: where nodes are chosen, and later. The coefficients of what a component
# has of a point are taken as parts of its share of all points.
_SMALL, _STILL_SMALL = 2e-11, 1e-10

# A cell with fewer points is not replaced, nor are some points in all unless nodes are so many
# times fewer.
_FEW, _FEWER = 36, 4

# Points in a product of matrices, so few that no library shares it among processors; and points
# whose polynomials are taken at once.
_TOGETHER, _AT_ONCE = 2**9, 2**13

# What is farther from the middle half of the points than so many times its width stays as it is, if
# it is no larger part of them.
_MARGIN, _FAR = 8.0, 1 / 64

# Densities whose sum is above this have all digits that matter to it.
_LEAST = 1e-280

_POINTS = np.cos((2 * np.arange(_MOST) + 1) * np.pi / (2 * _MOST))


@functools.cache
def _to_coefficients(p: int) -> Array:
    """Return what makes Chebyshev coefficients of values at p points, shape (p, p).

    Its transpose makes weights of the points that have given Chebyshev moments.
    """
    points = np.cos((2 * np.arange(p) + 1) * np.pi / (2 * p))
    found = 2 * chebvander(points, p - 1).T / p
    found[0] /= 2
    return np.asarray(found)


# From Chebyshev moments of the halves of a cell to its own: T_q((u -+ 1) / 2) in terms of T_r(u).
_FROM_HALVES = [
    (_to_coefficients(_MOST) @ chebvander((_POINTS + side) / 2, _MOST - 1)).T for side in (-1, 1)
]


class Nodes(NamedTuple):
    """Weighted nodes that stand for all points.

    Attributes
    ----------
    rows : ndarray, shape (6, m)
        1, the coordinates, and the products of any two: of cells at first, and then of points that
        stay as they are.
    weights : ndarray, shape (m,)
        How many points each stands for.
    detectors : ndarray, shape (2, nodes of cells)
        What a function is multiplied by, so that the sums over a cell are of its last coefficients,
        times the cell's moments of as high a degree, as a part of all points.
    starts : ndarray of int, shape (cells,)
        The first node of each cell.
    """

    rows: Array
    weights: Array
    detectors: Array
    starts: npt.NDArray[np.intp]

    def roughness(self, values: Array) -> Array:
        """Return the largest of the last coefficients of functions, shape (...).

        Parameters
        ----------
        values : ndarray, shape (..., nodes of cells)
        """
        if not len(self.starts):
            return np.zeros(values.shape[:-1])
        products = values[..., None, :] * self.detectors
        found = np.abs(np.add.reduceat(products, self.starts, axis=-1))
        return np.asarray(np.maximum.reduce(found, axis=(-2, -1)))

    def blocks(self, length: int) -> Iterator["Nodes"]:
        """Yield whole cells that have together about so many nodes, and the other points."""
        n_cells, first = self.detectors.shape[1], 0
        stops = [*self.starts[1:].tolist(), n_cells] if len(self.starts) else []
        for cell, stop in enumerate(stops):
            if stop == n_cells or stops[cell + 1] - self.starts[first] > length:
                cut = slice(int(self.starts[first]), stop)
                starts = self.starts[first : cell + 1] - self.starts[first]
                detectors = self.detectors[:, cut]
                yield Nodes(self.rows[:, cut], self.weights[cut], detectors, starts)
                first = cell + 1
        for start in range(n_cells, len(self.weights), length):
            cut = slice(start, start + length)
            yield Nodes(
                self.rows[:, cut], self.weights[cut], self.detectors[:, :0], self.starts[:0]
            )


class Cells:
    """The cells of points in the plane, and the moments of the points in them.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        In units in which coordinates are of the size of 1.
    """

    def __init__(self, points: Array) -> None:
        self._n = len(points)
        near, self._low, self._high = _reach(points)
        self._far = points[~near]
        if len(self._far):
            points = points[near]
        self._depth = max(0, math.ceil(math.log2(max(len(points), 1) / (4 * _FEW))))
        index, places = self._cells_of(points)
        order = np.argsort(index, kind="stable")
        self._points, index, places = points[order], index[order], places[:, order]
        self._starts = np.searchsorted(index, np.arange(2**self._depth + 1))
        moments = np.zeros((2**self._depth, _MOST, _MOST))
        for first in range(0, len(points), _AT_ONCE):
            last = min(first + _AT_ONCE, len(points))
            across, up = (_polynomials(u) for u in places[:, first:last])
            cuts = self._starts[(self._starts > first) & (self._starts < last)] - first
            cuts = np.union1d(cuts, np.arange(0, last - first, _TOGETHER))
            of, stops = index[first + cuts].tolist(), [*cuts[1:].tolist(), last - first]
            for cell, start, stop in zip(of, cuts.tolist(), stops, strict=True):
                moments[cell] += across[:, start:stop] @ up[:, start:stop].T
        self._levels = [moments]
        for level in range(self._depth, 0, -1):
            halves = moments.reshape(-1, 2, _MOST, _MOST).swapaxes(0, 1)
            moments = np.zeros_like(halves[0])
            for matrix, half in zip(_FROM_HALVES, halves, strict=True):
                moments += matrix @ half if level % 2 else half @ matrix.T
            self._levels.insert(0, moments)

    @functools.cached_property
    def _largest(self) -> list[Array]:
        """The largest moments of each cell, of a degree or any higher one, (cells, 2, _MOST)."""
        found = []
        for moments in self._levels:
            sizes = np.abs(moments)
            each = np.stack([sizes.max(axis=2), sizes.max(axis=1)], axis=1)
            each = np.maximum.accumulate(each[..., ::-1], axis=-1)[..., ::-1]
            # A degree too high is seen by the nodes as one as much too low.
            each[..., _LAST:] = each[..., :-_LAST]
            found.append(each / self._n)
        return found

    def _cells_of(self, points: Array) -> tuple[npt.NDArray[np.int64], Array]:
        """Return the finest cell that each point is in, and where in it, from -1 to 1, (2, n)."""
        bits = self._bits(self._depth)
        places = ((points - self._low) / (self._high - self._low)).T
        places *= np.exp2(bits)[:, None]
        cells = np.minimum(places.astype(np.int64), np.exp2(bits)[:, None].astype(np.int64) - 1)
        places -= cells
        places *= 2
        places -= 1
        index = np.zeros(len(points), dtype=np.int64)
        for level in range(self._depth):
            axis = level % 2
            index = 2 * index + (cells[axis] >> (bits[axis] - 1 - level // 2) & 1)
        return index, places

    def choose(self, mixtures: Array, shares: Array | None = None) -> Nodes | None:
        """Return nodes that serve several mixtures, or None if they would be of no use.

        Parameters
        ----------
        mixtures : ndarray, shape (R, K, 6)
            Coefficients of the logarithms of the joint densities in the rows of :class:`Nodes`.
        shares : ndarray, shape (R, K), optional
            Each component's expected share of all points, as far as it is known. Without them nodes
            serve the log-likelihood alone.
        """
        cells, rows, weights = np.arange(1), list[Array](), list[Array]()
        detectors, sizes, left = list[Array](), list[int](), list[tuple[int, int]]()
        signs = [None] * len(mixtures) if shares is None else _signs(shares)
        for level in range(self._depth + 1):
            starts = self._starts[:: 2 ** (self._depth - level)]
            counts = starts[cells + 1] - starts[cells]
            few = counts <= _FEW
            left += [(starts[cell], starts[cell + 1]) for cell in cells[few]]
            cells, counts = cells[~few], counts[~few]
            if not len(cells):
                break
            centres, halves = self._boxes(level, cells)
            moments = self._largest[level][cells]
            with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                needed, factors = self._needed(mixtures, signs, centres, halves, moments)
            good = needed.max(axis=1) <= _MOST
            for i in np.flatnonzero(good).tolist():
                cell, count, (p, q) = cells[i], counts[i], needed[i].tolist()
                if p * q >= count:
                    left.append((starts[cell], starts[cell + 1]))
                    continue
                rows.append(_grid(centres[i], halves, p, q))
                own = self._levels[level][cell, :p, :q]
                weights.append((_to_coefficients(p).T @ own @ _to_coefficients(q)).ravel())
                scale = factors[i] * moments[i, [0, 1], [p - 1, q - 1]]
                detectors.append(_detectors(p, q) * scale[:, None])
                sizes.append(p * q)
            cells = cells[~good]
            if level == self._depth:
                left += [(starts[cell], starts[cell + 1]) for cell in cells]
            cells = (2 * cells[:, None] + [0, 1]).ravel()
        points = np.concatenate([self._far, *(self._points[start:stop] for start, stop in left)])
        if _FEWER * (sum(sizes) + len(points)) > self._n:
            return None
        rows.append(terms(points.T))
        weights.append(np.ones(len(points)))
        return Nodes(
            np.concatenate(rows, axis=1),
            np.concatenate(weights),
            np.concatenate(detectors, axis=1) if detectors else np.empty((2, 0)),
            np.cumsum([0, *sizes])[:-1],
        )

    def _bits(self, level: int) -> tuple[int, int]:
        """Return how often the whole has been halved across and upwards."""
        return (level + 1) // 2, level // 2

    def _boxes(self, level: int, cells: npt.NDArray[np.intp]) -> tuple[Array, Array]:
        """Return the centres of cells, shape (m, 2), and half their sides, shape (2,)."""
        places = np.zeros((len(cells), 2), dtype=np.int64)
        for i in range(level):
            places[:, i % 2] = 2 * places[:, i % 2] + (cells >> (level - 1 - i) & 1)
        halves = (self._high - self._low) / np.exp2(self._bits(level)) / 2
        return self._low + halves * (2 * places + 1), halves

    def _needed(
        self,
        mixtures: Array,
        signs: Sequence[Array | None] | Array,
        centres: Array,
        halves: Array,
        moments: Array,
    ) -> tuple[npt.NDArray[np.intp], Array]:
        """Return how many nodes each cell needs across and upwards, shape (m, 2).

        For combinations of components, or, without signs, for the logarithm of the density. Of a
        component that is far away even a small part of a point is much of its own sum of squares:
        there its parts are to be known as many times more precisely, which is returned, too.
        """
        grids = np.stack([_grid(centre, halves, _MOST, _MOST) for centre in centres], axis=1)
        grids = grids.reshape(len(grids), -1)
        needed = np.zeros((len(centres), 2), dtype=np.intp)
        sizes = np.zeros((2, len(centres), 2, _MOST))
        for mixture, sign in zip(mixtures, signs, strict=True):
            log_joint = mixture @ grids
            joint = np.exp(log_joint)
            evidence = np.add.reduce(joint, axis=0)
            if sign is None:
                both = [np.log(evidence)]
            else:
                log_joint -= _peaks(mixture)[:, None] + 1
                both = [sign @ joint / evidence, -(sign @ (joint * log_joint)) / evidence]
            for i, values in enumerate(both):
                found = _sizes_of_coefficients(values.reshape(-1, len(centres), _MOST, _MOST))
                np.maximum(sizes[i], found, out=sizes[i])
            least = np.minimum.reduce(evidence.reshape(len(centres), -1), axis=1)
            needed[~(least > _LEAST)] = _MOST + 1
        plain, weighted = sizes[0], sizes[len(both) - 1]
        large = ~(weighted * moments <= _SMALL)
        last = np.where(large.any(axis=2), _MOST - large[..., ::-1].argmax(axis=2), 0)
        needed = np.maximum(needed, last + _LAST)
        edges = np.minimum(needed[..., None], _MOST) - np.arange(1, _LAST + 1)
        edge, plain_edge = (
            np.take_along_axis(each, edges, axis=2).max(axis=2) for each in (weighted, plain)
        )
        factors = np.where(plain_edge > 0, edge / plain_edge, 1.0)
        return needed, np.maximum(factors, 1.0)


def _sizes_of_coefficients(values: Array) -> Array:
    """Return the largest coefficients of functions (f, m, p, p) across and upwards, (m, 2, p)."""
    to_coefficients = _to_coefficients(values.shape[-1])
    across = np.abs(to_coefficients @ values).max(axis=(0, 3))
    up = np.abs(values @ to_coefficients.T).max(axis=(0, 2))
    return np.stack([across, up], axis=1)


def _peaks(mixture: Array) -> Array:
    """Return the logarithm of each component's joint density at its mean, shape (K,)."""
    constant, x, y, xx, xy, yy = mixture.T
    determinant = 4 * xx * yy - xy * xy
    return np.asarray(constant - (yy * x * x - xy * x * y + xx * y * y) / determinant)


def terms(coordinates: Array) -> Array:
    """Return 1, the coordinates (2, m), and the products of any two, shape (6, m)."""
    x, y = coordinates
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])


def expected_sums(
    mixtures: Array, shares: Array, nodes: Nodes
) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Return the sums of the rows that fall to each component, and the log-likelihoods.

    Parameters
    ----------
    mixtures, shares
        As for :meth:`Cells.choose`.
    nodes : Nodes
        What they are summed over.

    Returns
    -------
    sums : ndarray, shape (R, K, 6)
    log_likelihood : ndarray, shape (R,)
    good : ndarray of bool, shape (R,)
        Whether all densities were in range, and smooth enough for the nodes; the other two are
        worth nothing if not.
    """
    n_runs, k, n_terms = mixtures.shape
    rows, weights = nodes.rows, nodes.weights
    length = block_length(n_runs * k, n_terms)
    flat, ones, signs = mixtures.reshape(-1, n_terms), np.ones((1, k)), _signs(shares)
    n_cells = nodes.detectors.shape[1]
    parts = np.empty((n_runs, n_cells))
    sums, log_likelihood = np.zeros((n_runs * k, n_terms)), np.zeros(n_runs)
    least = np.full(n_runs, np.inf)
    work = np.empty((n_runs * k, min(length, rows.shape[1])))
    for start in range(0, rows.shape[1], length):
        cut = slice(start, start + length)
        here = rows[:, cut]
        joint = np.matmul(flat, here, out=work[:, : here.shape[1]])
        np.exp(joint, out=joint)
        joint = joint.reshape(n_runs, k, -1)  # p(x_i, k)
        evidence = (ones @ joint)[:, 0]  # p(x_i)
        np.minimum(least, np.minimum.reduce(evidence, axis=1), out=least)
        if start < n_cells:
            own = (signs @ joint)[:, 0, : n_cells - start]
            np.divide(own, evidence[:, : n_cells - start], out=parts[:, cut])
        log_likelihood += np.log(evidence) @ weights[cut]
        joint *= (weights[cut] / evidence)[:, None]  # r_ik, as often as the node counts
        sums += joint.reshape(n_runs * k, -1) @ here.T
    sums = sums.reshape(mixtures.shape)
    # Who has fewer points than was thought needs as many more digits.
    fewer = shares / np.abs(sums[..., 0]) * nodes.weights.sum()
    rough = nodes.roughness(parts) * np.maximum(np.maximum.reduce(fewer, axis=1), 1.0)
    return sums, log_likelihood, (least > _LEAST) & (rough <= _STILL_SMALL)


def log_likelihoods(
    densities: Array, components: npt.NDArray[np.intp], nodes: Nodes
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the log-likelihoods of R mixtures that share components.

    Each component has one exponential at each node, in however many mixtures it is.

    Parameters
    ----------
    densities : ndarray, shape (U, 6)
        Coefficients of the logarithms of the weighted densities of all different components.
    components : ndarray of int, shape (R, K)
        Which of them each mixture is made of.
    nodes : Nodes
        What is summed over.

    Returns
    -------
    log_likelihood : ndarray, shape (R,)
    good : ndarray of bool, shape (R,)
        As for :func:`expected_sums`.
    """
    n_runs = len(components)
    alike = (components == components[0]).all(axis=0)
    always, others = components[0, alike], components[:, ~alike]
    found, least, rough = np.zeros(n_runs), np.full(n_runs, np.inf), np.zeros(n_runs)
    for part in nodes.blocks(max(NUMBERS // max(n_runs, len(densities)), _TOGETHER)):
        joint = np.exp(densities @ part.rows)
        in_all = np.add.reduce(joint[always], axis=0)
        at_once = max(NUMBERS // len(in_all), 1)
        for first in range(0, n_runs, at_once):
            mixtures = slice(first, first + at_once)
            evidence = np.repeat(in_all[None], len(found[mixtures]), axis=0)
            for component in others[mixtures].T:
                evidence += joint[component]
            lowest = np.minimum.reduce(evidence, axis=1)
            least[mixtures] = np.minimum(least[mixtures], lowest)
            np.log(evidence, out=evidence)
            found[mixtures] += evidence @ part.weights
            own = part.roughness(evidence[:, : part.detectors.shape[1]])
            rough[mixtures] = np.maximum(rough[mixtures], own)
    return found, (least > _LEAST) & (rough <= _STILL_SMALL)


def _signs(shares: Array) -> Array:
    """Return combinations of components that do not cancel, as parts of shares, (R, 1, K)."""
    return np.asarray(_circle(shares.shape[1]) / shares[:, None])


@functools.cache
def _circle(k: int) -> Array:
    return np.asarray(np.cos(1.0 + np.arange(k)))


def _polynomials(u: Array) -> Array:
    """Return the Chebyshev polynomials at places, shape (_MOST, m)."""
    found = np.ones((_MOST, len(u)))
    found[1] = u
    for q in range(2, _MOST):
        np.multiply(2 * u, found[q - 1], out=found[q])
        found[q] -= found[q - 2]
    return found


def _grid(centre: Array, halves: Array, p: int, q: int) -> Array:
    """Return the rows of a grid of p times q nodes, shape (6, p q)."""
    x, y = (
        middle + half * np.cos((2 * np.arange(m) + 1) * np.pi / (2 * m))
        for middle, half, m in zip(centre, halves, (p, q), strict=True)
    )
    return terms(np.stack([np.repeat(x, q), np.tile(y, p)]))


@functools.cache
def _detectors(p: int, q: int) -> Array:
    """Return what shows the last coefficients across and upwards of values on a grid, (2, p q).

    Of all lines of the grid, with signs, so that none can hide.
    """
    across, up = (_to_coefficients(m)[-2:].sum(axis=0) for m in (p, q))
    lines = [np.where(np.arange(m) ** 2 % 5 < 2, 1.0, -1.0) / math.sqrt(m) for m in (p, q)]
    return np.stack([np.outer(across, lines[1]).ravel(), np.outer(lines[0], up).ravel()])


def _reach(points: Array) -> tuple[npt.NDArray[np.bool_], Array, Array]:
    """Return which points are in cells, and between which bounds these are."""
    low, high = points.min(axis=0), points.max(axis=0)
    sample = points[:: max(1, len(points) // _TOGETHER)]
    lower, upper = np.quantile(sample, [0.25, 0.75], axis=0)
    margin = _MARGIN * (upper - lower)
    bounds = np.maximum(low, lower - margin), np.minimum(high, upper + margin)
    near = np.asarray(((points >= bounds[0]) & (points <= bounds[1])).all(axis=1))
    if np.count_nonzero(~near) > _FAR * len(points) or (bounds[0] >= bounds[1]).any():
        return np.ones(len(points), dtype=bool), low, high
    return near, *bounds
