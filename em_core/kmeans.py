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
    Array,
    as_integer,
    as_sizes,
    check_data,
    check_enough_rows,
    check_finite,
    check_positive,
    draw_rows,
)

# Products of coordinates are known to about 1e-16 of a squared coordinate. Below these fractions of
# it, an inertia has lost more than its last digits, and so has the gap between two centroids.
_RESOLVED_INERTIA, _RESOLVED_GAP = 1e-3, 1e-6


@dataclass(frozen=True, eq=False)
class KMeansParams(Params):
    """Centroids, shape (K, d), in the units of the data."""

    centroids: Array

    @functools.cached_property
    def least_gap(self) -> float:
        """Squared distance between the nearest two centroids; infinite for a single one."""
        apart = ((self.centroids[:, None] - self.centroids) ** 2).sum(axis=2)
        np.fill_diagonal(apart, np.inf)
        return float(apart.min())


class KMeansStatistics(NamedTuple):
    """What a centroid needs to know of its points.

    Attributes
    ----------
    counts : ndarray, shape (K,)
        Number of points assigned to each centroid.
    sums : ndarray, shape (K, d)
        Sum of these points.
    """

    counts: Array
    sums: Array


@dataclass(frozen=True)
class KMeans:
    """K-Means on points (n, d). The number of clusters is that of the centroids."""

    def check(self, data: npt.NDArray[Any], params: KMeansParams) -> None:
        """Raise ValueError unless data (n, d) and centroids (K, d) are finite and agree in d."""
        check_data(data, ndim=2)
        centroids = params.centroids
        if centroids.ndim != 2 or centroids.size == 0 or centroids.shape[1] != data.shape[1]:
            raise ValueError(
                f"centroids must have shape (K, {data.shape[1]}) to match data of shape "
                f"{data.shape}, got {centroids.shape}"
            )
        check_finite("centroids", centroids)

    def e_step(self, data: npt.NDArray[Any], params: KMeansParams) -> EStep:
        """Assign each point to its nearest centroid, the first of equals."""
        distances, least, inertia = _squared_distances(np.asarray(data, dtype=float), params)
        nearest = distances == least
        if np.count_nonzero(nearest) != len(data):  # some point has two nearest centroids
            nearest = np.arange(len(distances))[:, None] == distances.argmin(axis=0)
        # In the place of the distances, since an array more would crowd out of the cache what the
        # M-step reads next.
        np.copyto(distances, nearest)
        return EStep(distances.T, -inertia)

    def statistics(
        self, data: npt.NDArray[Any], params: KMeansParams, responsibilities: Array
    ) -> KMeansStatistics:
        """Count and add up the points of each cluster."""
        counts = responsibilities.sum(axis=0)  # N_k = sum_i r_ik
        sums = responsibilities.T @ data  # sum_i r_ik x_i
        return KMeansStatistics(counts, sums)

    def m_step(self, statistics: KMeansStatistics, previous: KMeansParams) -> KMeansParams:
        """Move each centroid to the mean of its points; one without points stays."""
        counts = statistics.counts[:, None]
        centroids = previous.centroids.copy()
        np.divide(statistics.sums, counts, out=centroids, where=counts > 0)  # c_k = sum / N_k
        return KMeansParams(centroids)

    def expected_objective(
        self,
        statistics: KMeansStatistics,
        params: KMeansParams,
        previous: KMeansParams,
    ) -> float:
        """Return minus the inertia with the assignment held, up to a constant."""
        counts, sums = statistics
        move = params.centroids - previous.centroids
        # About the previous centroids p, so that an offset in the data costs no digits:
        # -sum_i ||x_i - c||^2 = 2 (c - p) . sum_i (x_i - p) - N ||c - p||^2 + constant
        deviations = sums - counts[:, None] * previous.centroids
        return float(2 * (move * deviations).sum() - counts @ (move**2).sum(axis=1))


def _squared_distances(data: Array, params: KMeansParams) -> tuple[Array, Array, float]:
    """Return ||x_i - c_k||^2, shape (K, n), the least for each point, and the sum of these.

    From the distances of a point, something may be missing that is the same for all centroids.
    """
    centroids, flat = params.centroids, data.reshape(-1)
    squares = float(np.einsum("i,i->", flat, flat))  # sum_i ||x_i||^2
    if _products_resolve(data, squares, params.least_gap):
        # ||x - c||^2 - ||x||^2 = ||c||^2 - 2 c.x, by one product of matrices.
        distances = (-2 * centroids) @ data.T
        distances += (centroids**2).sum(axis=1)[:, None]
        least = distances.min(axis=0)
        inertia = float(least.sum()) + squares
        if inertia > _RESOLVED_INERTIA * squares:
            return distances, least, inertia
    distances = np.zeros((len(centroids), len(data)))
    for axis, coordinates in enumerate(np.ascontiguousarray(data.T)):
        differences = coordinates - centroids[:, axis, None]
        differences *= differences
        distances += differences
    least = distances.min(axis=0)
    return distances, least, float(least.sum())


def _products_resolve(data: Array, squares: float, least_gap: float) -> bool:
    """Return whether products about zero tell the nearest two centroids apart for every point."""
    # No point is farther from zero than all together, and often that is enough to know.
    if least_gap > _RESOLVED_GAP * squares:
        return True
    farthest = max(abs(float(data.max())), abs(float(data.min())))
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
        If a size is not a positive whole number, a spread is not positive, or there are neither
        one nor K spreads.
    """
    from sklearn.datasets import make_blobs  # a second of import, needed by this function alone

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
    data: npt.NDArray[Any], n_components: int, *, rng: np.random.Generator
) -> KMeansParams:
    """Start from ``n_components`` different observations, drawn at random.

    Raises
    ------
    ValueError
        If there are fewer observations than components.
    """
    check_data(data, ndim=2)
    return KMeansParams(data[draw_rows(data, n_components, rng=rng)])


def guess_plus_plus(
    data: npt.NDArray[Any], n_components: int, *, rng: np.random.Generator
) -> KMeansParams:
    """Start from observations far from one another: scikit-learn's k-means++.

    The next centroid is drawn with probability proportional to the squared distance from those
    chosen already (Arthur and Vassilvitskii, "k-means++", SODA 2007).

    Raises
    ------
    ValueError
        If there are fewer observations than components.
    """
    from sklearn.cluster import kmeans_plusplus  # as above

    check_data(data, ndim=2)
    check_enough_rows(data, n_components)
    _, rows = kmeans_plusplus(
        data - data.mean(axis=0),  # it takes distances from inner products: an offset costs digits
        n_components,
        random_state=np.random.RandomState(rng.bit_generator),
    )
    return KMeansParams(data[rows])


def guess_uniform(
    data: npt.NDArray[Any], n_components: int, *, rng: np.random.Generator
) -> KMeansParams:
    """Start anywhere in the smallest box around the data, uniformly."""
    check_data(data, ndim=2)
    k = as_integer("n_components", n_components, minimum=1)
    low, high = data.min(axis=0), data.max(axis=0)
    return KMeansParams(rng.uniform(low, high, size=(k, data.shape[1])))
