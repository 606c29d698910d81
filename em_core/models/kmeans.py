r"""K-Means: EM's loop with winner-takes-all assignment.

Each point belongs wholly to the nearest of K centroids, and each centroid is the mean of its
points. The two steps never raise the inertia, the summed squared distance

.. math:: J = \sum_i \min_k \lVert x_i - c_k \rVert^2

(Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28, 1982). EM climbs, so the
objective here is minus the inertia.
"""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from em_core.engine import EStep, Params, Sample
from em_core.numerics import (
    ROUNDING,
    Array,
    as_data,
    as_integer,
    as_sizes,
    check_data,
    check_enough_rows,
    check_finite,
    check_kind,
    check_positive,
    check_rng,
    draw_rows,
)

# Products of coordinates are known to about 1e-16 of a squared coordinate. Below these fractions of
# it, an inertia has lost more than its last digits, and so has the gap between two centroids.
_RESOLVED_INERTIA, _RESOLVED_GAP = 1e-3, 1e-6

# The rounding of a squared distance by products, in terms of the squares that go into it.
_BLUR = 8 * np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class KMeansParams(Params):
    """Centroids, shape (K, d), in the units of the data."""

    centroids: Array

    @functools.cached_property
    def least_gap(self) -> float:
        """Squared distance between the nearest two centroids; infinite for a single one."""
        apart = np.zeros((len(self.centroids), len(self.centroids)))
        for coordinate in self.centroids.T:
            apart += np.subtract.outer(coordinate, coordinate) ** 2
        np.fill_diagonal(apart, np.inf)
        return float(apart.min())


class KMeansStatistics(NamedTuple):
    """What a centroid needs to know of its points.

    Attributes
    ----------
    counts : ndarray, shape (K,)
        Number of points assigned to each centroid.
    deviations : ndarray, shape (K, d)
        Sum of the differences of these points from the centroid of the E-step, so that an offset in
        the data costs no digits.
    """

    counts: Array
    deviations: Array


@dataclass(frozen=True)
class KMeans:
    """K-Means on points (n, d). The number of clusters is that of the centroids."""

    def check(self, data: npt.NDArray[Any], params: KMeansParams) -> None:
        """Raise ValueError unless data (n, d) and centroids (K, d) are finite and agree in d."""
        check_data(data, ndim=2)
        check_kind(params, KMeansParams)
        centroids = params.centroids
        if centroids.ndim != 2 or centroids.size == 0 or centroids.shape[1] != data.shape[1]:
            raise ValueError(
                f"centroids must have shape (K, {data.shape[1]}) to match data of shape "
                f"{data.shape}, got {centroids.shape}"
            )
        check_finite("centroids", centroids)

    def e_step(self, data: npt.NDArray[Any], params: KMeansParams) -> EStep:
        """Assign each point to its nearest centroid, the first of equals."""
        points = np.asarray(data, dtype=float)
        with np.errstate(over="ignore", invalid="ignore"):
            distances, least, inertia, blur = _squared_distances(points, params)
            nearest = distances <= least + blur
            if np.count_nonzero(nearest) != len(points):
                _decide(nearest, points, params)
        # In the place of the distances, since an array more would crowd out of the cache what the
        # M-step reads next.
        np.copyto(distances, nearest)
        return EStep(distances.T, -inertia)

    def statistics(
        self, data: npt.NDArray[Any], params: KMeansParams, responsibilities: Array
    ) -> KMeansStatistics:
        """Count the points of each cluster, and add up their deviations from its centroid."""
        points, centroids = np.asarray(data, dtype=float), params.centroids
        counts = responsibilities.sum(axis=0)  # N_k = sum_i r_ik
        with np.errstate(over="ignore", invalid="ignore"):
            sums = responsibilities.T @ points  # sum_i r_ik x_i
            squares = _sum_of_squares(points)
            about = counts[:, None] * centroids  # sum_i r_ik c_k
            inertia = squares + ((about - 2 * sums) * centroids).sum()
            if inertia > _RESOLVED_INERTIA * squares:
                return KMeansStatistics(counts, sums - about)
            # The points are far from zero for the distances between them: each about its centroid.
            shares = zip(responsibilities.T, centroids, strict=True)
            return KMeansStatistics(counts, np.stack([r @ (points - c) for r, c in shares]))

    def m_step(self, statistics: KMeansStatistics, previous: KMeansParams) -> KMeansParams:
        """Move each centroid to the mean of its points; one without points stays."""
        counts = statistics.counts[:, None]
        moves = np.zeros_like(previous.centroids)
        np.divide(statistics.deviations, counts, out=moves, where=counts > 0)
        # Below the rounding of the sums. Without it, equal assignments would not end the run.
        moves[np.abs(moves) <= ROUNDING * np.abs(previous.centroids)] = 0
        return KMeansParams(previous.centroids + moves)  # c_k = sum_i r_ik x_i / N_k

    def expected_objective(
        self,
        statistics: KMeansStatistics,
        params: KMeansParams,
        previous: KMeansParams,
    ) -> float:
        """Return minus the inertia with the assignment held, up to a constant."""
        counts, deviations = statistics
        move = params.centroids - previous.centroids
        # About the previous centroids p:
        # -sum_i ||x_i - c||^2 = 2 (c - p) . sum_i (x_i - p) - N ||c - p||^2 + constant
        return float(2 * (move * deviations).sum() - counts @ (move**2).sum(axis=1))


def _squared_distances(data: Array, params: KMeansParams) -> tuple[Array, Array, float, float]:
    """Return ||x_i - c_k||^2, shape (K, n), the least for each point, the sum of these, and a blur.

    From the distances of a point, something may be missing that is the same for all centroids. Two
    that differ by less than the blur may be equal.
    """
    squares = _sum_of_squares(data)
    if _products_resolve(data, squares, params.least_gap):
        # ||x - c||^2 - ||x||^2 = ||c||^2 - 2 c.x, by one product of matrices.
        lengths = (params.centroids**2).sum(axis=1)
        distances = (-2 * params.centroids) @ data.T
        distances += lengths[:, None]
        least = distances.min(axis=0)
        inertia = float(least.sum()) + squares
        if inertia > _RESOLVED_INERTIA * squares:
            return distances, least, inertia, _BLUR * (squares + float(lengths.max()))
    distances = _by_differences(data, params.centroids)
    least = distances.min(axis=0)
    return distances, least, float(least.sum()), 0.0


def _by_differences(data: Array, centroids: Array) -> Array:
    distances = np.zeros((len(centroids), len(data)))
    for axis, coordinates in enumerate(np.ascontiguousarray(data.T)):
        differences = coordinates - centroids[:, axis, None]
        differences *= differences
        distances += differences
    return distances


def _decide(nearest: npt.NDArray[np.bool_], data: Array, params: KMeansParams) -> None:
    """Give each point that has not one nearest centroid to the first of the nearest.

    Not by products, whose last digit depends on the points beside it.
    """
    open_points = np.flatnonzero(np.count_nonzero(nearest, axis=0) != 1)
    first = _by_differences(data[open_points], params.centroids).argmin(axis=0)
    nearest[:, open_points] = np.arange(len(nearest))[:, None] == first


def _sum_of_squares(data: Array) -> float:
    flat = data.reshape(-1)
    return float(np.einsum("i,i->", flat, flat))


def _products_resolve(data: Array, squares: float, least_gap: float) -> bool:
    """Return whether products about zero tell the nearest two centroids apart for every point."""
    # No point is farther from zero than all together, and often that is enough to know.
    if least_gap > _RESOLVED_GAP * squares:
        return True
    farthest = max(abs(data.max()), abs(data.min()))
    return bool(least_gap > _RESOLVED_GAP * data.shape[1] * farthest**2)


def simulate(
    sizes: npt.ArrayLike, *, spread: npt.ArrayLike, rng: np.random.Generator
) -> Sample[KMeansParams]:
    """Draw round clusters of points in the plane with scikit-learn's ``make_blobs``.

    Parameters
    ----------
    sizes : array_like of int, shape (K,)
        Number of points in each cluster.
    spread : float or array_like, shape (K,)
        Standard deviation of the clusters in each direction, in the units of the data: one for
        all, or one for each.
    rng : numpy.random.Generator
        Source of randomness. Centres are uniform in the square from -10 to 10.

    Returns
    -------
    Sample
        Points (n, 2) in random order, their clusters, and the true centres.

    Raises
    ------
    ValueError
        If a size is not a positive whole number, a spread is not positive, there are neither one
        nor K spreads, or ``rng`` is no generator.
    """
    from sklearn.datasets import make_blobs  # a second of import, needed by this function alone

    check_rng(rng)
    counts = as_sizes(sizes)
    spreads = np.atleast_1d(np.asarray(spread, dtype=float))
    check_positive("spread", spreads)
    if len(spreads) not in (1, len(counts)):
        raise ValueError(f"spread must be one number or {len(counts)}, got {len(spreads)}")
    points, labels, centres = make_blobs(
        n_samples=counts,
        n_features=2,
        cluster_std=np.broadcast_to(spreads, len(counts)),
        random_state=np.random.RandomState(rng.bit_generator),
        return_centers=True,
    )
    return Sample(points, labels.astype(np.int64), KMeansParams(centres))


def guess_from_points(
    data: npt.ArrayLike, n_components: int, *, rng: np.random.Generator
) -> KMeansParams:
    """Start from ``n_components`` different observations, drawn at random.

    Raises
    ------
    ValueError
        If there are fewer observations than components, ``data`` are not points (n, d) of finite
        numbers, or ``rng`` is no generator.
    """
    points = as_data(data, ndim=2)
    return KMeansParams(points[draw_rows(points, n_components, rng=rng)])


def guess_plus_plus(
    data: npt.ArrayLike, n_components: int, *, rng: np.random.Generator
) -> KMeansParams:
    """Start from observations far from one another: scikit-learn's k-means++.

    The next centroid is drawn with probability proportional to the squared distance from those
    chosen already (Arthur and Vassilvitskii, "k-means++", SODA 2007).

    Raises
    ------
    ValueError
        If there are fewer observations than components, ``data`` are not points (n, d) of finite
        numbers, or ``rng`` is no generator.
    """
    from sklearn.cluster import kmeans_plusplus  # as above

    points = as_data(data, ndim=2)
    check_enough_rows(points, n_components)
    check_rng(rng)
    _, rows = kmeans_plusplus(
        # It takes distances from inner products, where an offset costs digits.
        points - points.mean(axis=0),
        n_components,
        random_state=np.random.RandomState(rng.bit_generator),
    )
    return KMeansParams(points[rows])


def guess_uniform(
    data: npt.ArrayLike, n_components: int, *, rng: np.random.Generator
) -> KMeansParams:
    """Start anywhere in the smallest box around the data, uniformly.

    Raises
    ------
    ValueError
        If ``data`` are not points (n, d) of finite numbers, ``n_components`` is not a positive
        whole number, or ``rng`` is no generator.
    """
    points = as_data(data, ndim=2)
    k = as_integer("n_components", n_components, minimum=1)
    check_rng(rng)
    low, high = points.min(axis=0), points.max(axis=0)
    return KMeansParams(rng.uniform(low, high, size=(k, points.shape[1])))
