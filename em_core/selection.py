r"""How many components? Fits with several numbers of them, side by side under the usual criteria.

More components always fit the data at hand at least as well, so that the likelihood alone cannot
choose. With p free parameters, n observations and the log-likelihood l at its maximum, the smallest
is the best of

.. math::

    \mathrm{AIC} &= 2p - 2l \\
    \mathrm{BIC} &= p \log n - 2l \\
    \mathrm{ICL} &= p \log n - 2 \sum_i \max_k \log p(x_i, z_i = k)

AIC estimates how well the fit would foretell new observations (Akaike 1974), BIC approximates how
probable the data make each number of components (Schwarz 1978), and ICL asks besides that it be
clear which observation belongs to which (Biernacki, Celeux and Govaert, "Assessing a mixture model
for clustering with the integrated completed likelihood", IEEE PAMI 22, 2000).

ICL is BIC plus :math:`-2 \sum_i \log \max_k r_{ik}`, where r are the responsibilities. The form
with the entropy adds :math:`-2 \sum_{ik} r_{ik} \log r_{ik}` in its place (McLachlan and Peel,
"Finite Mixture Models", 2000). A maximum is no less than a mean, so that it is never
below the ICL here, and equal to it where no observation is shared.

K-Means has no likelihood. Its inertia falls with each cluster more; the silhouette (Rousseeuw,
J. Comput. Appl. Math. 20, 1987) and the index of Calinski and Harabasz (Communications in
Statistics 3, 1974) compare what is within clusters with what is between them. Of these two, the
largest is the best.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from em_core.checks import as_array, as_integer, check_rng
from em_core.data.blocks import Blocks, different_rows, prepare
from em_core.engine import Status, Trace, best, expectations
from em_core.many import fit_restarts
from em_core.model import Mixture, Model, Params, ParamsT
from em_core.models.hard import HardEM
from em_core.models.kmeans import KMeans, KMeansParams, KMeansStatistics
from em_core.numerics import Array

_Guessed = TypeVar("_Guessed", bound=Params, covariant=True)

# Values of a criterion that differ by less than this fraction of them are equal.
_EQUAL = 1e-9

_LARGER_IS_BETTER = ("silhouette", "calinski_harabasz")

_TITLES = {
    "log_likelihood": "log-likelihood",
    "n_parameters": "parameters",
    "aic": "AIC",
    "bic": "BIC",
    "icl": "ICL",
    "inertia": "inertia",
    "silhouette": "silhouette",
    "calinski_harabasz": "Calinski-Harabasz",
}


class Guess(Protocol[_Guessed]):
    """Draws initial guesses, as ``guess_from_points`` of a model's module does."""

    def __call__(self, data: Any, n_components: int, /, *, rng: np.random.Generator) -> _Guessed:
        """Return an initial guess with so many components."""


@dataclass(frozen=True)
class Candidate(Generic[ParamsT]):
    """One number of components, and what the criteria say of the best fit with it.

    What does not apply, or is not defined, is not a number.

    Attributes
    ----------
    n_components : int
        K.
    trace : Trace or None
        The best of the starts; None if all of them collapsed.
    n_starts, n_collapsed : int
        How many starts there were, and how many ended without a finite objective
        (``Status.NON_FINITE``). These are no candidates: where a component has collapsed onto a
        point, the likelihood has no bound, and says nothing of K.
    n_parameters : int
        Free parameters, p; 0 without a trace.
    log_likelihood, aic, bic, icl : float
        Of mixtures, in nats. With :class:`~em_core.models.hard.HardEM` there are no AIC and BIC,
        which are about the largest likelihood: hard assignment does not look for it. There is an
        ICL, whose classification log-likelihood is what it climbs.
    inertia : float
        Of K-Means, in squared units of the data.
    silhouette : float
        Of K-Means, from -1 to 1. Not defined with one cluster, with an empty one, and with as many
        as points.
    calinski_harabasz : float
        Of K-Means. Not defined with one cluster, with an empty one, and with as many as there are
        different points, where no two that differ share a cluster.
    """

    n_components: int
    trace: Trace[ParamsT] | None
    n_starts: int
    n_collapsed: int
    n_parameters: int = 0
    log_likelihood: float = math.nan
    aic: float = math.nan
    bic: float = math.nan
    icl: float = math.nan
    inertia: float = math.nan
    silhouette: float = math.nan
    calinski_harabasz: float = math.nan


@dataclass(frozen=True, repr=False)
class Selection(Generic[ParamsT]):
    """Several numbers of components side by side. Its ``repr`` is a table of them.

    Attributes
    ----------
    candidates : tuple of Candidate
        One for each number of components, the fewest first.
    criteria : tuple of str
        The attributes of a candidate that choose: ``aic``, ``bic`` and ``icl``, or ``silhouette``
        and ``calinski_harabasz``.
    left_out : tuple of int
        Numbers of components that were asked for, and are more than different observations.
    """

    candidates: tuple[Candidate[ParamsT], ...]
    criteria: tuple[str, ...]
    left_out: tuple[int, ...] = ()

    @property
    def chosen(self) -> dict[str, int]:
        """What each criterion chooses: by its name, the number of components.

        Of equally good ones the fewest. A criterion that is defined nowhere is not among them.
        """
        found = {}
        for criterion in self.criteria:
            sign = 1 if criterion in _LARGER_IS_BETTER else -1
            values = np.array([sign * getattr(each, criterion) for each in self.candidates])
            if np.isfinite(values).any():
                top = np.nanmax(values)
                first = int(np.flatnonzero(values >= top - _EQUAL * abs(top))[0])
                found[criterion] = self.candidates[first].n_components
        return found

    @property
    def measured(self) -> tuple[str, ...]:
        """The attributes of a candidate that apply here, those that choose at the end."""
        alone = ("log_likelihood", "n_parameters")
        return (*(("inertia",) if "silhouette" in self.criteria else alone), *self.criteria)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the table as columns, for example for ``pandas.DataFrame(selection.columns())``.

        Returns
        -------
        dict of str to ndarray, shape (candidates,)
            ``n_components``; what is :attr:`measured`; ``n_starts`` and ``n_collapsed``; and
            ``status``, why the best start stopped, empty where all collapsed.
        """
        names = ("n_components", *self.measured, "n_starts", "n_collapsed")
        columns = {name: np.array([getattr(c, name) for c in self.candidates]) for name in names}
        ends = [c.trace.status.value if c.trace else "" for c in self.candidates]
        return {**columns, "status": np.array(ends)}

    def __repr__(self) -> str:
        chosen = self.chosen
        rows = [["K", *(_TITLES[name] + "  " for name in self.measured)]]
        for each in self.candidates:
            cells = [
                _cell(each, name) + (" *" if chosen.get(name) == each.n_components else "  ")
                for name in self.measured
            ]
            rows.append([str(each.n_components), *cells])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        remarks = ["", *map(_remark, self.candidates)]
        lines = [
            " ".join([*(f"{cell:>{w}}" for cell, w in zip(row, widths, strict=True)), remark])
            for row, remark in zip(rows, remarks, strict=True)
        ]
        if chosen:
            lines.append("* the choice of this criterion")
        if self.left_out:
            left_out = ", ".join(map(str, self.left_out))
            lines.append(f"Left out, as more than there are different observations: {left_out}")
        return "\n".join(line.rstrip() for line in lines)


def select(
    model: Model[ParamsT, Any],
    data: npt.ArrayLike,
    guess: Guess[ParamsT],
    *,
    n_components: Iterable[int] = range(1, 9),
    n_starts: int = 10,
    rng: np.random.Generator,
    tol: float = 1e-6,
    max_iter: int = 200,
    silhouette_rows: int = 2_000,
) -> Selection[ParamsT]:
    """Fit with several numbers of components, and see which of them each criterion chooses.

    The best of several starts is not always the best there is: more starts may find better ones.
    A run that stopped before it converged has not its largest likelihood yet; ``status`` says so.

    Parameters
    ----------
    model : Model
        What is fitted: one whose objective is a log-likelihood, ``HardEM`` of such a mixture, or
        ``KMeans``.
    data : array_like, shape (n,) or (n, d), as the model wants it
        The observations, in one array.
    guess : callable
        ``guess(data, k, rng=...)`` returns initial parameters with k components, as
        ``guess_from_points`` of a model's module does.
    n_components : iterable of int, default 1 to 8
        The numbers to compare. Those that are more than different observations are left out.
    n_starts : int, default 10
        Initial guesses for each number. Each has a stream of its own, so that start 3 of 4
        components is the same whatever else is asked for.
    rng : numpy.random.Generator
        Source of randomness.
    tol, max_iter
        As for :func:`em_core.fit`.
    silhouette_rows : int, default 2000
        The silhouette takes all distances between points. Of more than this many, it is that of a
        random sample of so many, the same for all numbers of clusters.

    Returns
    -------
    Selection

    Raises
    ------
    ValueError
        If an argument is not as described, or does not fit the model, there are fewer different
        observations than the smallest of ``n_components``, or no criterion is known for the model.

    Examples
    --------
    >>> import numpy as np
    >>> from em_core import GaussianMixture, select
    >>> from em_core.models.gaussian_mixture import guess_from_points
    >>> rng = np.random.default_rng(1)
    >>> data = np.concatenate([rng.normal(0, 1, 100), rng.normal(6, 1, 100)])
    >>> select(GaussianMixture(), data, guess_from_points, n_components=[1, 2], rng=rng).chosen
    {'aic': 2, 'bic': 2, 'icl': 2}
    """
    criteria = criteria_of(model)
    ks = _as_numbers(n_components)
    as_integer("n_starts", n_starts, minimum=1)
    as_integer("silhouette_rows", silhouette_rows, minimum=2)
    check_rng(rng)
    array = as_array("data", data)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(
            f"data must hold at least one observation in an array, got shape {array.shape}"
        )
    n_different = len(different_rows(array, ks[-1]))
    tried = [k for k in ks if k <= n_different]
    if not tried:
        raise ValueError(
            f"n_components must be at most the number of different observations, {n_different}, "
            f"got {', '.join(map(str, ks))}"
        )
    drawing, *of_k = rng.spawn(1)[0].spawn(1 + tried[-1])
    drawn = draw_rows(len(array), silhouette_rows, rng=drawing)
    blocks: Blocks | None = None
    candidates = []
    for k in tried:
        inits = [guess(array, k, rng=stream) for stream in of_k[k - 1].spawn(n_starts)]
        for init in inits:
            if init.n_components != k:
                raise ValueError(
                    f"guess must return {k} components when it is asked for {k}, got {init!r}"
                )
        blocks = blocks or prepare(model, array, inits[0])
        traces = fit_restarts(model, blocks, inits, tol=tol, max_iter=max_iter)
        candidates.append(judge(model, blocks, traces, array[drawn]))
    left_out = tuple(k for k in ks if k > n_different)
    return Selection(tuple(candidates), criteria, left_out)


def criteria_of(model: Any) -> tuple[str, ...]:
    """Return the names of the criteria that choose among fits of a model.

    Raises
    ------
    ValueError
        If none is known for it.
    """
    if isinstance(model, KMeans):
        return _LARGER_IS_BETTER
    if isinstance(model, HardEM):
        return ("icl",)
    if not getattr(model, "objective_is_log_likelihood", True):
        raise ValueError(
            "select asks for KMeans, or a model whose objective is a log-likelihood, or HardEM of "
            f"such a mixture, got {model!r}"
        )
    return ("aic", "bic", "icl") if hasattr(model, "log_joint") else ("aic", "bic")


def draw_rows(n: int, most: int, *, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the indices of all of ``n`` rows, or of ``most`` of them, drawn, in their order."""
    return np.arange(n) if n <= most else np.sort(rng.choice(n, size=most, replace=False))


def judge(
    model: Model[ParamsT, Any], data: Blocks, traces: Sequence[Trace[ParamsT]], drawn: Any
) -> Candidate[ParamsT]:
    """Return what the criteria say of the best of several runs with one number of components.

    Parameters
    ----------
    model : Model
        As for :func:`select`.
    data : Blocks
        What the runs were fitted to.
    traces : sequence of Trace
        The runs.
    drawn : ndarray, shape (m, d)
        For K-Means, the points whose silhouette is taken.
    """
    collapsed = sum(trace.status is Status.NON_FINITE for trace in traces)
    k = traces[0].final.params.n_components
    if collapsed == len(traces):
        return Candidate(k, None, len(traces), collapsed)
    trace = best(traces)
    params: Any = trace.final.params
    found: dict[str, float]
    if isinstance(model, KMeans):
        found = _of_clusters(model, data, params, drawn)
    else:
        found = _of_mixture(model, data, trace)
    return Candidate(k, trace, len(traces), collapsed, trace.n_parameters, **found)


def _of_mixture(model: Any, data: Blocks, trace: Trace[Any]) -> dict[str, float]:
    params, objective = trace.final.params, trace.final.objective
    if isinstance(model, HardEM):
        classified, log_likelihood = objective, _total(model.model, data, params)
        found = {"log_likelihood": log_likelihood}
    else:
        found = {"log_likelihood": objective, "aic": trace.aic, "bic": trace.bic}
        if not hasattr(model, "log_joint"):
            return found
        classified = _total(HardEM(model), data, params)
    return {**found, "icl": trace.n_parameters * math.log(data.n) - 2 * classified}


def _total(mixture: Mixture[Any, Any], data: Blocks, params: Any) -> float:
    """Return the objective of a mixture other than the one that the data were prepared for."""

    def of_block(rows: npt.NDArray[Any], counts: Array | None) -> float:
        found = (
            mixture.e_step(rows, params) if counts is None else mixture.e_step(rows, params, counts)
        )
        return found.objective

    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return sum(data.map(of_block))


def _of_clusters(
    model: KMeans, data: Blocks, params: KMeansParams, drawn: Array
) -> dict[str, float]:
    statistics, objective = expectations(model, data, params)
    k, inertia = params.n_components, 0.0 - objective
    found = {"inertia": inertia}
    if k > 1 and statistics.counts.all():
        labels = model.e_step(drawn, params).responsibilities.argmax(axis=1)
        found["silhouette"] = _silhouette(drawn, labels)
        if k < data.n_different(k + 1):
            found["calinski_harabasz"] = _calinski_harabasz(params, statistics, inertia)
    return found


def _silhouette(points: Array, labels: npt.NDArray[np.int64]) -> float:
    """Return the mean silhouette, not a number where each point or none is by itself."""
    if not 1 < len(np.unique(labels)) < len(points):
        return math.nan
    from sklearn.metrics import silhouette_score  # a second of import, needed here alone

    # It takes distances from inner products, where an offset costs digits.
    return float(silhouette_score(points - points.mean(axis=0), labels))


def _calinski_harabasz(params: KMeansParams, statistics: KMeansStatistics, inertia: float) -> float:
    """Return (B / (K - 1)) / (W / (n - K)): squares between clusters over squares within them.

    Not a number where the latter are too small for one.
    """
    counts, deviations = statistics
    n, k = counts.sum(), len(counts)
    moves = deviations / counts[:, None]  # from the centroids to the means of their points
    means = params.centroids - params.centroids[0] + moves
    between = counts @ ((means - counts @ means / n) ** 2).sum(axis=1)
    within = inertia - counts @ (moves**2).sum(axis=1)
    return float(between / (k - 1) / (within / (n - k))) if within > 0 else math.nan


def _as_numbers(n_components: Any) -> list[int]:
    try:
        given = list(n_components)
    except TypeError:
        given = []
    if not given:
        raise ValueError(
            "n_components must be the numbers of components to compare, for example range(1, 9), "
            f"got {n_components!r}"
        )
    return sorted({as_integer("n_components", k, minimum=1) for k in given})


def _cell(candidate: Candidate[Any], name: str) -> str:
    value = getattr(candidate, name)
    if candidate.trace is None or not math.isfinite(value):
        return "-"
    if isinstance(value, int):
        return str(value)
    return (
        f"{value:.4f}"
        if name == "silhouette"
        else f"{value:.6g}"
        if name == "inertia"
        else f"{value:.2f}"
    )


def _remark(candidate: Candidate[Any]) -> str:
    """Return what one should know of the best fit before one believes its numbers."""
    starts = f"{candidate.n_starts} start" + "s" * (candidate.n_starts != 1)
    if candidate.trace is None:
        return f"all {starts} collapsed" if candidate.n_starts > 1 else "the only start collapsed"
    said = [f"{candidate.n_collapsed} of {starts} collapsed"] * (candidate.n_collapsed > 0)
    if not candidate.trace.converged:
        said.append(f"best start: {candidate.trace.status.value}")
    return "; ".join(said)
