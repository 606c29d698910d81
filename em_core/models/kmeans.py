r"""K-Means: EM's loop with winner-takes-all assignment.

Each point belongs wholly to the nearest of K centroids, and each centroid is the mean of its
points. The two steps never raise the inertia, the summed squared distance

.. math:: J = \sum_i \min_k \lVert x_i - c_k \rVert^2

(Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28, 1982). EM climbs, so the
objective here is minus the inertia.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from em_core.checks import (
    as_data,
    as_floats,
    as_integer,
    check_data,
    check_enough_rows,
    check_finite,
    check_kind,
    check_positive,
    check_rng,
)
from em_core.kernels import lloyd
from em_core.kernels.leaves import MOST_COORDINATES, Leaves
from em_core.kernels.lloyd import each_coordinate, squared_distances, without_rounding
from em_core.model import (
    EStep,
    Mixture,
    Note,
    Params,
    Sample,
    coinciding,
    component_axes,
    draw_sample,
    notes_about,
)
from em_core.numerics import ROUNDING, Array

# The square of a smaller number has not all its digits.
_SMALLEST = np.sqrt(np.finfo(float).tiny)

# Runs that go side by side, which keeps what one has to pay for all of them small.
_RUNS = 1_000

# In the place of the number of points of an empty cluster, whose sums are 0.
_NONE = np.array(np.finfo(float).tiny)


@dataclass(frozen=True, eq=False)
class KMeansParams(Params):
    """Centroids, shape (K, d), in the units of the data."""

    centroids: Array = component_axes(0)

    if TYPE_CHECKING:  # lists are welcome, and become arrays

        def __init__(self, centroids: npt.ArrayLike) -> None: ...


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
class KMeans(Mixture[KMeansParams, KMeansStatistics]):
    """K-Means on points (n, d). The number of clusters is that of the centroids."""

    objective_is_log_likelihood: ClassVar[bool] = False

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

    def e_step(
        self, data: npt.NDArray[Any], params: KMeansParams, counts: Array | None = None
    ) -> EStep:
        """Assign each point to its nearest centroid, the first of equals.

        ``counts``, shape (n,), says how often each point was observed, if not once.
        """
        squares = squared_distances(data, params.centroids)  # ||x_i - c_k||^2
        nearest = squares.argmin(axis=1)
        responsibilities = np.eye(params.n_components)[nearest]  # r_ik = 1 for the nearest c_k
        least = squares.min(axis=1)
        inertia = least.sum() if counts is None else counts @ least  # J
        return EStep(responsibilities, -float(inertia))

    def statistics(
        self, data: npt.NDArray[Any], params: KMeansParams, responsibilities: Array
    ) -> KMeansStatistics:
        """Count the points of each cluster, and add up their deviations from its centroid."""
        counts = responsibilities.sum(axis=0)  # N_k = sum_i r_ik
        shares = zip(responsibilities.T, params.centroids, strict=True)
        deviations = np.stack([r @ (data - c) for r, c in shares])  # sum_i r_ik (x_i - c_k)
        return KMeansStatistics(counts, deviations)

    def prepare(self, data: npt.NDArray[Any], counts: Array | None = None) -> "KMeansPoints | None":
        """Return the points as the quick E-steps take them; None if they were counted."""
        return KMeansPoints(data) if counts is None else None

    def expect(
        self, data: npt.NDArray[Any], params: KMeansParams, counts: Array | None = None
    ) -> tuple[KMeansStatistics, float]:
        """Return what ``statistics`` gives for ``e_step``, in a fraction of the time."""
        if counts is None:
            return KMeansPoints(data).begin()(params)
        return super().expect(data, params, counts)

    def likeliest(
        self, data: npt.NDArray[Any], history: Iterable[KMeansParams]
    ) -> Iterator[npt.NDArray[np.intp]]:
        """Yield the nearest centroid of each point, shape (n,), in a fraction of the time."""
        return KMeansPoints(data).labels(history)

    def m_step(self, statistics: KMeansStatistics, previous: KMeansParams) -> KMeansParams:
        """Move each centroid to the mean of its points; one without points stays."""
        return KMeansParams.of({"centroids": _means(statistics, previous.centroids)})

    def m_step_many(
        self, statistics: KMeansStatistics, previous: dict[str, Array]
    ) -> dict[str, Array]:
        """Return what ``m_step`` does, for many runs along a first axis."""
        return {"centroids": _means(statistics, previous["centroids"])}

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

    def term_size(self, statistics: KMeansStatistics, params: KMeansParams) -> float:
        """Return the smallest number for each coordinate, below which squares lose their digits.

        All terms of an inertia have one sign, so that none is larger than it.
        """
        return float(np.finfo(float).tiny * statistics.counts.sum() * params.centroids.shape[1])

    def component_counts(self, statistics: KMeansStatistics) -> Array:
        """Return the number of points of each cluster, shape (K,)."""
        return statistics.counts

    def notes(
        self, statistics: KMeansStatistics, params: KMeansParams, n_different: int
    ) -> list[Note]:
        """Return which clusters are empty, which centroids coincide, and whether they are too many.

        And whether squared distances are too small for floating-point numbers.
        """
        found = notes_about(
            np.flatnonzero(statistics.counts == 0),
            "Cluster {} is empty: no point is assigned to its centroid, which stays where it is.",
            "Clusters {} are empty: no point is assigned to their centroids, which stay where they "
            "are.",
        )
        found += [
            Note("Centroids {} coincide: they stand for one cluster.", tuple(group))
            for group in coinciding(params)
        ]
        k = params.n_components
        if n_different < k:
            found.append(
                Note(
                    f"{k} centroids are more than there are different points ({n_different}): at "
                    "least one cluster is empty."
                )
            )
        if 0 < np.abs(params.centroids).max() < _SMALLEST:
            found.append(
                Note(
                    "Squared distances are so small that floating-point numbers do not keep their "
                    "digits. Give the data in a smaller unit."
                )
            )
        return found

    def n_parameters(self, params: KMeansParams) -> int:
        """Return the number of free parameters: the coordinates of the centroids, K d."""
        return params.centroids.size

    def why_not_finite(self, params: KMeansParams) -> str:
        """Return that squared distances are too large, and what to do about it."""
        return (
            "Squared distances are out of the range of floating-point numbers. Give the data in a "
            "larger unit, or start from centroids that are nearer to them."
        )

    def check_params(self, params: KMeansParams) -> None:
        """Raise ValueError unless params are finite centroids (K, d)."""
        check_kind(params, KMeansParams)
        if params.centroids.ndim != 2 or params.centroids.size == 0:
            raise ValueError(f"centroids must have shape (K, d), got {params.centroids.shape}")
        check_finite("centroids", params.centroids)

    def draw(
        self,
        params: KMeansParams,
        labels: npt.NDArray[np.int64],
        *,
        rng: np.random.Generator,
        spread: npt.ArrayLike = 1.0,
    ) -> Array:
        """Draw a point about the centre of each label, shape (n, d); see :meth:`simulate`."""
        k, d = params.centroids.shape
        spreads = np.atleast_1d(as_floats("spread", spread))
        check_positive("spread", spreads)
        if spreads.shape not in ((1,), (k,)):
            raise ValueError(
                f"spread must be one number or one for each of {k} clusters, "
                f"got shape {spreads.shape}"
            )
        deviations = np.broadcast_to(spreads, k)[labels, None]
        return rng.normal(params.centroids[labels], deviations, (len(labels), d))

    def simulate(
        self,
        truth: KMeansParams,
        size: int | Sequence[int] | npt.NDArray[np.integer[Any]],
        *,
        rng: np.random.Generator,
        spread: npt.ArrayLike = 1.0,
    ) -> Sample[KMeansParams]:
        """Draw round clusters of points, those of scikit-learn's ``make_blobs``.

        Parameters
        ----------
        truth, size, rng
            As for :meth:`em_core.model.Mixture.simulate`; see also :func:`draw_centres`.
        spread : float or array_like, shape (K,), default 1
            Standard deviation of the clusters in each direction, in the units of the data: one for
            all, or one for each.

        Returns
        -------
        Sample
            Points (n, d) in random order, their clusters, and the centres.

        Raises
        ------
        ValueError
            As there, or if a spread is not positive, or there are neither one nor K of them.
        """
        check_rng(rng)
        # make_blobs draws from the generator of NumPy's past, and seeds keep their data with it.
        past = np.random.RandomState(rng.bit_generator)
        return draw_sample(self, truth, size, past, spread=spread)


def _means(statistics: KMeansStatistics, centroids: Array) -> Array:
    """Return where the centroids (..., K, d) move to."""
    counts, deviations = statistics
    # 0 without points
    moves = deviations / each_coordinate(np.maximum(counts, _NONE), deviations)
    if moves.ndim > 2 or not abs(moves.item(0)) > ROUNDING * abs(centroids.item(0)):
        # As far as the first tells, rounding may be all that is left to the run.
        without_rounding(moves, centroids)
    return np.asarray(centroids + moves)  # c_k = sum_i r_ik x_i / N_k


class KMeansPoints:
    """Points as the quick E-steps take them.

    Parameters
    ----------
    data : ndarray, shape (n, d)
        The points, as the model takes them.
    """

    def __init__(self, data: npt.NDArray[Any]) -> None:
        self.data = data

    @functools.cached_property
    def _kernel(self) -> lloyd.Few | lloyd.Many | Leaves | None:
        n, d = self.data.shape
        many = Leaves if d <= MOST_COORDINATES else lloyd.Many
        with np.errstate(over="ignore", invalid="ignore"):
            points = lloyd.Few(self.data) if n <= lloyd.BLOCK else many(self.data)
        return points if points.in_range else None

    def begin(self) -> Callable[[KMeansParams], tuple[KMeansStatistics, float]]:
        """Return the E-step of one run; see :mod:`em_core.kernels`."""
        kernel = self._kernel
        if kernel is None:
            return functools.partial(_plainly, self.data)
        return functools.partial(
            _one, lloyd.Run(kernel) if isinstance(kernel, lloyd.Many) else kernel
        )

    def labels(self, history: Iterable[KMeansParams]) -> Iterator[npt.NDArray[np.intp]]:
        """Yield the nearest centroid of each point, (n,), along the centroids of a run."""
        kernel = self._kernel
        run = lloyd.Run(kernel) if isinstance(kernel, lloyd.Many) else None
        for params in history:
            if isinstance(kernel, Leaves):
                yield kernel.labels(params.centroids)
            elif run is not None:
                run(params.centroids)
                yield run.labels.astype(np.intp)
            else:
                yield lloyd.nearest_of(self.data, params.centroids)

    def at_once(self, n_components: int) -> int:
        """Return how many runs are best taken together: one of points beyond the cache."""
        return _RUNS if isinstance(self._kernel, lloyd.Few) else 1

    def begin_many(self) -> Callable[[dict[str, Array]], tuple[KMeansStatistics, Array]]:
        """Return the E-step of many runs, for centroids (R, K, d)."""
        kernel = self._kernel

        def e_step(arrays: dict[str, Array]) -> tuple[KMeansStatistics, Array]:
            if isinstance(kernel, lloyd.Few):
                counts, deviations, inertia = kernel.of_many(arrays["centroids"])
                return KMeansStatistics(counts, deviations), 0.0 - inertia
            each = [self.begin()(KMeansParams(centroids)) for centroids in arrays["centroids"]]
            sums = zip(*(statistics for statistics, _ in each), strict=True)
            return KMeansStatistics(*map(np.stack, sums)), np.array([found for _, found in each])

        return e_step


def _one(
    points: lloyd.Few | lloyd.Run | Leaves, params: KMeansParams
) -> tuple[KMeansStatistics, float]:
    counts, deviations, inertia = points(params.centroids)
    return KMeansStatistics(counts, deviations), 0.0 - float(inertia)


def _plainly(data: npt.NDArray[Any], params: KMeansParams) -> tuple[KMeansStatistics, float]:
    """Return the same by the textbook's steps, block by block."""
    model, k, d = KMeans(), *params.centroids.shape
    total, objective = KMeansStatistics(np.zeros(k), np.zeros((k, d))), 0.0
    for start in range(0, len(data), lloyd.BLOCK):
        rows = data[start : start + lloyd.BLOCK]
        responsibilities, of_rows = model.e_step(rows, params)
        sums = model.statistics(rows, params, responsibilities)
        total = KMeansStatistics(*map(np.add, total, sums))
        objective += of_rows
    return total, objective


def draw_centres(n_components: int, *, rng: np.random.Generator) -> KMeansParams:
    """Draw centres in the plane as scikit-learn's ``make_blobs`` does, uniform from -10 to 10.

    Raises
    ------
    ValueError
        If ``n_components`` is not a positive whole number, or ``rng`` is no generator.
    """
    check_rng(rng)
    k = as_integer("n_components", n_components, minimum=1)
    return KMeansParams(np.random.RandomState(rng.bit_generator).uniform(-10, 10, (k, 2)))


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
    check_rng(rng)
    k = check_enough_rows(points, n_components)
    return KMeansParams(points[rng.choice(len(points), size=k, replace=False)])


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
    from sklearn.cluster import kmeans_plusplus  # a second of import, needed here alone

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
