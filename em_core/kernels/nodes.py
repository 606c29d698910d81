r"""Values as a few thousand weighted nodes, which to a Gaussian mixture are the same.

What EM sums over the values are smooth functions of x: responsibilities, these times x and x
squared, and the logarithm of the density. In a cell that is narrow for the mixture such a function
is, to rounding, a polynomial of low degree, and the sum over the values in the cell depends on
their first moments alone. So the values are replaced by nodes that have the same moments, and an
iteration no longer depends on how many values there are. This is how sources are gathered in the
fast multipole method (Dutt, Gu and Rokhlin, "Fast algorithms for polynomial interpolation,
integration and differentiation", SIAM J. Numer. Anal. 33, 1996); for EM, cells were used with
bounds less sharp by Moore ("Very fast EM-based mixture model clustering using multiresolution
kd-trees", NIPS 11, 1999).

A polynomial of degree below p through the Chebyshev points of a cell, of half-width h, differs from
a function that is analytic and of size M inside the ellipse with half axes
:math:`h (\rho \pm 1/\rho) / 2` by no more than about :math:`4 M \rho^{-p} / (\rho - 1)`
(Trefethen, "Approximation Theory and Approximation Practice", 2013, theorem 8.2). There are no
poles inside where the joint densities of all components that matter have complex phases so near to
each other that they cannot add up to nothing: that is what :meth:`Nodes.choose` asks of a cell.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.polynomial.chebyshev import cheb2poly, chebvander

from em_core.kernels.quadratics import coefficients, powers
from em_core.numerics import Array

# Nodes of a cell, and the ellipse about it: the error is below 1e-12, and near 1e-15 as a rule.
_PER_CELL, _RHO = 12, 14.0
_HALF_AXIS = (_RHO + 1 / _RHO) / 2

# How far apart phases may be, in radians: joint densities then add up to a third of their sizes,
# and to an eighth if parameters are rounded, which changes slopes by a fifth at the most.
_PHASES = 2.4
_ROUNDED = 8.0  # steps to a factor of two, and to a standard deviation

# A component matters to a cell if its share there may be above this (a logarithm), compared with
# its share in the value that is most its own, and divided by the number of values.
_NOTHING = -37.0

# Nodes are of use if the values are so many times as many.
_FEWER = 4

# Of level l there are 2^l cells; which of them are looked at.
_COARSEST, _FINEST = 6, 14

_ROWS = 2**17  # values that are taken at once
_CELLS = 2**10  # cells that are, whose products no matrix library gives to several threads
_AT_ONCE = 32  # mixtures for which nodes are chosen at once
_SAMPLE = 2**9  # values that are looked at, to see where all are

# What is farther from the middle half of the values than so many times its width stays as it is, if
# it is no larger part of them.
_MARGIN, _FAR = 8.0, 1 / 64

# The largest part of the values that stays as it is in cells too wide for a mixture; and how many
# of its smallest standard deviations the cells may reach from 0, which has cost the values digits.
_LEFT, _NARROWEST = 1 / 4, 2.0**15

_POINTS = np.cos((2 * np.arange(_PER_CELL) + 1) * np.pi / (2 * _PER_CELL))

# From Chebyshev moments to weights that have the same: w_j = (M_0 + 2 sum_q T_q(t_j) M_q) / p.
_FROM_MOMENTS = 2 * chebvander(_POINTS, _PER_CELL - 1).T / _PER_CELL
_FROM_MOMENTS[0] /= 2

# From sums of powers to weights.
_POWERS = [np.append(cheb2poly(row), np.zeros(row[::-1].argmax())) for row in np.eye(_PER_CELL)]
_FROM_POWERS = np.transpose(_POWERS) @ _FROM_MOMENTS

# From the weights of two cells to those of the one that they make up.
_FROM_HALVES = np.vstack(
    [chebvander((_POINTS + side) / 2, _PER_CELL - 1) @ _FROM_MOMENTS for side in (-1, 1)]
)
_FROM_HALVES /= _FROM_HALVES.sum(axis=1, keepdims=True)


# Nodes of runs that go together are so many times those of the run with the fewest, at the most.
_ALIKE = 1.5

Chosen = tuple[Array, Array]  # nodes, and their weights


class Together(NamedTuple):
    """Nodes of some runs, for one array computation.

    Attributes
    ----------
    runs : ndarray of int, shape (R,)
        Which they are.
    nodes, weights : ndarray, shape (R, m)
        Of each run its own. Where a run has fewer, its first node is there again, with weight 0.
    """

    runs: npt.NDArray[np.intp]
    nodes: Array
    weights: Array


class Nodes:
    """Cells of several widths, and the weights of the nodes in them.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Not all the same.
    """

    def __init__(self, values: Array) -> None:
        self.sample, self._slack = values[:: max(1, len(values) // _SAMPLE)], math.log(len(values))
        self._low, self._high = _reach(values, self.sample)
        self._width = (self._high - self._low) / 2**_FINEST
        self._furthest = max(-self._low, self._high)
        far = (values < self._low) | (values > self._high)
        self.far, self._values = values[far], values
        sums = self._sums_of_powers(values if not len(self.far) else values[~far])
        filled, weights = sums[0] > 0, _times(sums.T, _FROM_POWERS)
        self._levels = [(filled, weights)]
        for _ in range(_FINEST - _COARSEST):
            filled = filled.reshape(-1, 2).any(axis=1)
            weights = _times(weights.reshape(len(filled), -1), _FROM_HALVES)
            self._levels.insert(0, (filled, weights))

    def _sums_of_powers(self, values: Array) -> Array:
        """Return the sums of u^q in the finest cells, in which u goes from -1 to 1."""
        n_cells = 2**_FINEST
        sums = np.zeros((_PER_CELL, n_cells))
        for start in range(0, len(values), _ROWS):
            cell, u = self._cells_of(values[start : start + _ROWS])
            u *= 2
            u -= 1
            sums[0] += np.bincount(cell, minlength=n_cells)
            power = np.ones_like(u)
            for q in range(1, _PER_CELL):
                power *= u
                sums[q] += np.bincount(cell, weights=power, minlength=n_cells)
        return sums

    def begin(self) -> Callable[[Array, Array, Array], Chosen | None]:
        """Return what :meth:`choose` does for one run, which remembers its last choice."""
        known: bytes = b""
        chosen: Chosen | None = None

        def choose(means: Array, stds: Array, mixing: Array) -> Chosen | None:
            nonlocal known, chosen
            rounded = _rounded(means, stds, mixing)
            if rounded.tobytes() != known:
                known, chosen = rounded.tobytes(), self.choose(*rounded)
            return chosen

        return choose

    def choose(self, means: Array, stds: Array, mixing: Array) -> Chosen | None:
        """Return nodes and weights that are as good as the values to a mixture, or None.

        Where a component is narrower than the finest cells allow, the values stay as they are.
        There are none if these are many, if it is so narrow that they have not enough digits, or if
        they would be of no use.

        Parameters
        ----------
        means, stds, mixing : ndarray, shape (K,)
            Rounded or not.
        """
        [found] = self.choose_each(means[None], stds[None], mixing[None])
        return found

    def begin_many(self) -> Callable[[Array, Array, Array], tuple[list[Together], list[int]]]:
        """Return what chooses for several runs, whose parameters are (R, K), as for each alone.

        It returns the nodes of those that go together, and the runs that have none. It remembers
        its last choices: runs may leave, and most of the others keep what they have.
        """
        known: dict[bytes, Chosen | None] = {}
        last: list[bytes] = []
        found: tuple[list[Together], list[int]] = [], []

        def choose(means: Array, stds: Array, mixing: Array) -> tuple[list[Together], list[int]]:
            nonlocal known, last, found
            rounded = _rounded(means, stds, mixing).swapaxes(0, 1)
            keys = [each.tobytes() for each in rounded]
            if keys != last:
                new = {key: r for r, key in enumerate(keys) if key not in known}
                made = self._choose_some(rounded[list(new.values())].swapaxes(0, 1))
                known = {key: known[key] for key in keys if key in known}
                known |= dict(zip(new, made, strict=True))
                last, found = keys, _together([known[key] for key in keys])
            return found

        return choose

    def _choose_some(self, mixtures: Array) -> Iterator[Chosen | None]:
        """Yield the choices for mixtures, shape (3, R, K), a few of which are made at once."""
        for start in range(0, mixtures.shape[1], _AT_ONCE):
            yield from self.choose_each(*mixtures[:, start : start + _AT_ONCE])

    def choose_each(self, means: Array, stds: Array, mixing: Array) -> list[Chosen | None]:
        """Return the same for several mixtures, each of which gets its own; shape (R, K)."""
        quadratics = coefficients(means, stds, mixing, 0.0)
        least = np.ascontiguousarray(self._least_shares(quadratics).T)
        terms = np.ascontiguousarray(quadratics.transpose(2, 1, 0))  # (3, K, R)
        return self._choose(terms, least, stds.min(axis=1), _highest)

    def choose_for_all(
        self, means: Array, stds: Array, mixing: Array, firsts: Sequence[int]
    ) -> Chosen | None:
        """Return nodes that serve all mixtures that can be made of some components, or None.

        Parameters
        ----------
        means, stds, mixing : ndarray, shape (U,)
            What each place of the mixtures may be taken by, all of one place beside each other.
        firsts : sequence of int
            Where those of each place begin.
        """
        quadratics = coefficients(means, stds, mixing, 0.0)
        least = self._least_shares(quadratics[None]).T
        terms = np.ascontiguousarray(quadratics.T[..., None])

        def floor(log_joint: Array) -> Array:
            """Return what the largest joint density of a mixture is at least."""
            return _highest(np.minimum.reduceat(log_joint, firsts, axis=0))

        [found] = self._choose(terms, least, stds.min(keepdims=True), floor)
        return found

    def _choose(
        self, terms: Array, least: Array, narrowest: Array, floor: Callable[[Array], Array]
    ) -> list[Chosen | None]:
        """Choose for R mixtures at once, each with K quadratics; see :func:`_are_smooth`.

        Parameters
        ----------
        terms : ndarray, shape (3, K, R)
        least : ndarray, shape (K, R)
        narrowest : ndarray, shape (R,)
            Smallest standard deviation of each.
        floor : callable
        """
        none = ~(narrowest * _NARROWEST >= self._furthest)
        found: list[list[tuple[Array, Array]]] = [
            [(self.far, np.ones(len(self.far)))] for _ in none
        ]
        cells = np.tile(np.arange(2**_COARSEST), len(none))
        of = np.arange(len(none)).repeat(2**_COARSEST)  # whose cell it is
        wanted = ~none[of]
        for level, (filled, weights) in enumerate(self._levels):
            wanted &= filled[cells]
            cells, of = cells[wanted], of[wanted]
            half = self._width * 2 ** (_FINEST - _COARSEST - level - 1)
            centres = self._low + half * (2 * cells + 1)
            smooth = _are_smooth(terms[..., of], least[:, of], centres, half, floor)
            nodes, chosen = centres[smooth, None] + half * _POINTS, weights[cells[smooth]]
            for r, start, stop in _stretches(of[smooth]):
                found[r].append((nodes[start:stop].ravel(), chosen[start:stop].ravel()))
            rough, whose = cells[~smooth], of[~smooth]
            if not len(rough):
                break
            cells, of = (2 * rough[:, None] + [0, 1]).ravel(), whose.repeat(2)
            wanted = np.ones(len(cells), dtype=bool)
        for r, start, stop in _stretches(whose):
            left = self._values_in(rough[start:stop])
            none[r] |= len(left) > _LEFT * len(self._values)
            found[r].append((left, np.ones(len(left))))
        made: list[Chosen | None] = []
        for without, parts in zip(none, found, strict=True):
            size = sum(len(part) for part, _ in parts)
            few = not without and size <= len(self._values) / _FEWER
            made.append(
                (np.concatenate([p for p, _ in parts]), np.concatenate([w for _, w in parts]))
                if few
                else None
            )
        return made

    def _values_in(self, cells: npt.NDArray[np.intp]) -> Array:
        """Return the values in some of the finest cells."""
        starts, lengths = self._starts[cells], np.diff(self._starts)[cells]
        before = np.repeat(np.cumsum(lengths) - lengths, lengths)
        places = np.repeat(starts, lengths) + np.arange(lengths.sum()) - before
        return np.asarray(self._sorted[places])

    @functools.cached_property
    def _sorted(self) -> Array:
        """The values that are in cells, in their order."""
        near = (self._values >= self._low) & (self._values <= self._high)
        return np.sort(self._values[near])

    @functools.cached_property
    def _starts(self) -> npt.NDArray[np.intp]:
        """Where each finest cell begins among these, and where the last one ends."""
        n_cells = 2**_FINEST
        counts = np.bincount(self._cells_of(self._sorted)[0], minlength=n_cells)
        return np.concatenate([[0], np.cumsum(counts)])

    def _cells_of(self, values: Array) -> tuple[npt.NDArray[np.intp], Array]:
        """Return the finest cell that each value is in, and where in it, from 0 to 1."""
        u = values - self._low
        u *= 1 / self._width
        cell = np.minimum(u.astype(np.intp), 2**_FINEST - 1)
        u -= cell
        return cell, u

    def _least_shares(self, quadratics: Array) -> Array:
        """Return below which share (a logarithm) each component does not matter, shape (R, K)."""
        log_joint = quadratics @ powers(self.sample)
        log_joint -= log_joint.max(axis=1, keepdims=True)  # the share, or K times as much
        slack = self._slack + math.log(quadratics.shape[1])
        return np.asarray(log_joint.max(axis=2) + (_NOTHING - slack))


def _rounded(means: Array, stds: Array, mixing: Array) -> Array:
    """Return parameters (..., K) that many near them have in common, shape (3, ..., K)."""
    found = np.empty((3, *means.shape))
    widths = found[1] = np.exp2(np.rint(np.log2(stds) * _ROUNDED) / _ROUNDED)
    found[0] = np.rint(means / widths * _ROUNDED) / _ROUNDED * widths
    found[2] = np.exp2(np.rint(np.log2(mixing)))
    return found


def _reach(values: Array, sample: Array) -> tuple[float, float]:
    """Return between which bounds there are cells."""
    low, high = float(values.min()), float(values.max())
    quartiles = np.quantile(sample, [0.25, 0.75])
    margin = _MARGIN * (quartiles[1] - quartiles[0])
    near = max(low, float(quartiles[0] - margin)), min(high, float(quartiles[1] + margin))
    far = np.count_nonzero(values < near[0]) + np.count_nonzero(values > near[1])
    return near if near[0] < near[1] and far <= _FAR * len(values) else (low, high)


def _times(rows: Array, matrix: Array) -> Array:
    """Return the product of a matrix of many rows and a small one."""
    return np.concatenate(
        [rows[start : start + _CELLS] @ matrix for start in range(0, len(rows), _CELLS)]
    )


def _stretches(of: npt.NDArray[np.intp]) -> Iterator[tuple[int, int, int]]:
    """Yield each number in an ascending array, where it begins, and where it ends."""
    cuts = [0, *(np.flatnonzero(np.diff(of)) + 1).tolist(), len(of)] if len(of) else []
    for start, stop in pairwise(cuts):
        yield int(of[start]), start, stop


def _together(chosen: Sequence[Chosen | None]) -> tuple[list[Together], list[int]]:
    """Return the nodes of several runs, those that have about as many together; and who has none.

    Runs are taken from the fewest nodes on.
    """
    sizes = {r: len(each[0]) for r, each in enumerate(chosen) if each is not None}
    groups: list[list[int]] = []
    for r in sorted(sizes, key=lambda r: sizes[r]):
        if not groups or sizes[r] > _ALIKE * sizes[groups[-1][0]]:
            groups.append([])
        groups[-1].append(r)
    made = []
    for runs in groups:
        nodes, weights = np.zeros((2, len(runs), sizes[runs[-1]]))
        for i, r in enumerate(runs):
            nodes[i], weights[i, : sizes[r]] = chosen[r][0][0], chosen[r][1]  # type: ignore[index]
            nodes[i, : sizes[r]] = chosen[r][0]  # type: ignore[index]
        made.append(Together(np.array(runs), nodes, weights))
    return made, [r for r, each in enumerate(chosen) if each is None]


def _highest(log_joint: Array) -> Array:
    return np.asarray(np.maximum.reduce(log_joint, axis=0))


def _are_smooth(
    terms: Array, least: Array, centres: Array, half: float, floor: Callable[[Array], Array]
) -> npt.NDArray[np.bool_]:
    """Return in which cells all that EM sums is a polynomial to rounding.

    Parameters
    ----------
    terms : ndarray, shape (3, K, m)
        The logarithms of the joint densities of each cell's mixture, as quadratics; or of all that
        its mixtures may be made of.
    least : ndarray, shape (K, m)
        Logarithm of the share below which a component does not matter.
    centres : ndarray, shape (m,)
    half : float
        Half the width of the cells.
    floor : callable
        From logarithms (K, m) to what the largest of them in a mixture is at least, (m,). All that
        are as high may be the largest, beside which others have their shares.
    """
    axis = half * _HALF_AXIS
    constants, linear, squares = terms
    slopes = squares * centres
    log_joint = slopes + linear
    slopes += log_joint  # the derivative of the quadratic
    log_joint *= centres
    log_joint += constants
    log_joint -= floor(log_joint)
    leads, bends = log_joint >= 0, squares * (2 * axis)
    leader = log_joint.argmax(axis=0), np.arange(len(centres))
    slopes -= slopes[leader]
    bends -= bends[leader]
    # Of the share inside the ellipse, and the differences of phase at its ends.
    share = _furthest(bends, leads)
    share *= 0.5
    share += _furthest(slopes, leads)
    share *= axis
    share += log_joint
    matters = share > least
    slopes *= matters
    bends *= matters
    low, high = slopes - bends, np.add(slopes, bends, out=slopes)
    spread = np.maximum(low.max(axis=0) - low.min(axis=0), high.max(axis=0) - high.min(axis=0))
    return np.asarray(axis * spread <= _PHASES)


def _furthest(values: Array, leads: npt.NDArray[np.bool_]) -> Array:
    """Return how far each is from those that lead in its column, one of which has a 0, (K, m)."""
    leading = values * leads
    beyond = np.maximum(values - leading.min(axis=0), leading.max(axis=0) - values)
    return np.asarray(beyond)
