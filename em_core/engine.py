"""The EM algorithm, once, for every model in the project.

Expectation-Maximization climbs a likelihood that has hidden variables in it. From a guess of the
parameters it repeats two steps (Dempster, Laird and Rubin, "Maximum likelihood from incomplete
data via the EM algorithm", JRSS B 39, 1977):

* E-step: under the current parameters, the *expected sufficient statistics* of the complete data.
* M-step: maximum likelihood from those statistics, as if they had been observed.

A :class:`Model` supplies the two steps. The functions here walk the data, add the statistics up,
and decide when to stop. The statistics are sums over observations, so the data are taken in blocks
(:mod:`em_core.data.blocks`), and only the sums are kept.
"""

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from itertools import count
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt

from em_core.data.blocks import Blocks, OnCluster, prepare
from em_core.numerics import (
    ROUNDING,
    Array,
    all_finite,
    as_array,
    as_integer,
    check_not_negative,
)

# What fit takes: an array, or several that are loaded one after another, or data on a cluster.
Data = npt.ArrayLike | Sequence[npt.NDArray[Any]] | OnCluster | Blocks

# A sum over observations is known to about this accuracy per term. A smaller fall is rounding.
_SUM_ACCURACY = 1e-12


@dataclass(frozen=True, eq=False)
class Params:
    """Parameters of a model: named arrays whose first axis is the component.

    Subclasses only declare the fields. Values are copied to read-only float arrays, so a step of
    a trace cannot be changed from outside.

    Raises
    ------
    ValueError
        If a field cannot be read as an array of numbers, or the fields differ in length.
    """

    def __post_init__(self) -> None:
        lengths = {}
        for name in _names(type(self)):  # type: ignore[arg-type] # a class has a hash
            given = getattr(self, name)
            try:
                if np.iscomplexobj(given):
                    raise TypeError
                array = np.array(given, dtype=float)
            except (TypeError, ValueError, OverflowError):
                raise ValueError(f"{name} must be an array of numbers, got {given!r}") from None
            if array.ndim == 0:
                raise ValueError(
                    f"{name} must have one entry per component, got the value {given!r}"
                )
            array.flags.writeable = False
            object.__setattr__(self, name, array)
            lengths[name] = len(array)
        if len(set(lengths.values())) > 1:
            raise ValueError(f"all parameters must have one entry per component, got {lengths}")

    @property
    def n_components(self) -> int:
        """Number of components, K."""
        return len(next(iter(self.arrays().values())))

    def arrays(self) -> dict[str, Array]:
        """Return the parameter arrays by name."""
        names = _names(type(self))  # type: ignore[arg-type] # a class has a hash
        return {name: getattr(self, name) for name in names}

    def relabel(self, order: npt.ArrayLike) -> Self:
        """Return the same parameters with component ``order[j]`` in place ``j``.

        Raises
        ------
        ValueError
            If ``order`` does not name each component once.
        """
        index = as_array("order", order)
        if sorted(index.ravel().tolist()) != list(range(self.n_components)):
            raise ValueError(
                f"order must name each component from 0 to {self.n_components - 1} once, "
                f"got {order!r}"
            )
        index = index.astype(int)
        return type(self)(**{name: array[index] for name, array in self.arrays().items()})

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        mine, theirs = self.arrays(), other.arrays()
        return all(np.array_equal(mine[name], theirs[name]) for name in mine)

    __hash__ = None  # type: ignore[assignment]


@functools.cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


class EStep(NamedTuple):
    """What the E-step finds at the parameters it was given.

    Attributes
    ----------
    responsibilities : ndarray, shape (n, K)
        ``responsibilities[i, k]`` is p(z_i = k | x_i, params); rows sum to one. One-hot for
        winner-takes-all assignment.
    objective : float
        What EM climbs, at exactly these parameters, in nats: the log-likelihood, or for K-Means
        minus the inertia (in squared units of the data).
    """

    responsibilities: Array
    objective: float


ParamsT = TypeVar("ParamsT", bound=Params)
StatisticsT = TypeVar("StatisticsT", bound=tuple[Any, ...])


class Sample(NamedTuple, Generic[ParamsT]):
    """Simulated data together with what is hidden in real life.

    Attributes
    ----------
    data : ndarray, shape (n,) or (n, d)
        The observations.
    labels : ndarray of int, shape (n,)
        The component that produced each observation.
    truth : Params
        The parameters they were drawn from.
    """

    data: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    truth: ParamsT


class Model(Protocol[ParamsT, StatisticsT]):
    """The three functions that make a model, and a check at the door.

    A model is a frozen dataclass of hyper-parameters. It never holds data or results.
    """

    def check(self, data: npt.NDArray[Any], params: ParamsT) -> None:
        """Raise ValueError unless ``data`` and ``params`` fit the model and each other."""

    def e_step(self, data: npt.NDArray[Any], params: ParamsT) -> EStep:
        """Return the responsibilities under ``params``, and the objective of ``params``."""

    def statistics(
        self, data: npt.NDArray[Any], params: ParamsT, responsibilities: Array
    ) -> StatisticsT:
        """Return the expected sufficient statistics: a tuple of sums over the rows of ``data``."""

    def m_step(self, statistics: StatisticsT, previous: ParamsT) -> ParamsT:
        """Return the maximum likelihood parameters for these statistics."""

    def expected_objective(
        self, statistics: StatisticsT, params: ParamsT, previous: ParamsT
    ) -> float:
        """Return what the M-step maximizes over ``params``, up to a constant: Q.

        ``previous`` are the parameters with which the statistics were taken.
        """


class Mixture(Model[ParamsT, StatisticsT], Protocol[ParamsT, StatisticsT]):
    """A model with densities, so that its E-step is Bayes' rule."""

    def log_joint(self, data: npt.NDArray[Any], params: ParamsT) -> Array:
        """Return log p(x_i, z_i = k | params), shape (n, K)."""


class Status(StrEnum):
    """Why a run stopped."""

    CONVERGED = "converged"
    MAX_ITER = "max_iter"
    NON_FINITE = "non_finite"
    DECREASED = "decreased"


@dataclass(frozen=True)
class Step(Generic[ParamsT]):
    """The parameters after ``iteration`` updates, and the objective of exactly these parameters."""

    iteration: int
    params: ParamsT
    objective: float


@dataclass(frozen=True)
class Trace(Generic[ParamsT]):
    """The history of a run. ``steps[0]`` is the initial guess; ``steps[t]`` follows t updates."""

    steps: tuple[Step[ParamsT], ...]
    status: Status

    @property
    def final(self) -> Step[ParamsT]:
        """The last step."""
        return self.steps[-1]

    @property
    def n_iter(self) -> int:
        """Number of updates made."""
        return self.final.iteration

    @property
    def objectives(self) -> Array:
        """Objective at each step, shape (n_iter + 1,), in nats (K-Means: minus the inertia)."""
        return np.array([step.objective for step in self.steps])

    @property
    def converged(self) -> bool:
        """Whether the run stopped because nothing was left to gain."""
        return self.status is Status.CONVERGED

    @property
    def message(self) -> str:
        """Why the run stopped, as a sentence."""
        iterations = f"{self.n_iter} iteration" + "s" * (self.n_iter != 1)
        return {
            Status.CONVERGED: f"Converged after {iterations}.",
            Status.MAX_ITER: (
                f"Stopped at the limit of {iterations}, before it converged. "
                "Allow more iterations, or a larger tolerance."
            ),
            Status.NON_FINITE: (
                f"Stopped at iteration {self.n_iter}: the objective is no longer a finite number. "
                "Either a component has collapsed onto a single value, where its density is "
                "infinite, or an observation is impossible under every component. Start from "
                "another guess, or set a floor for the standard deviations if the model has one."
            ),
            Status.DECREASED: (
                f"Stopped at iteration {self.n_iter}: the objective fell, which EM never does. "
                "This is a fault in the model's E-step or M-step."
            ),
        }[self.status]

    def relabel(self, order: npt.ArrayLike) -> Self:
        """Return the same history with component ``order[j]`` in place ``j`` at every step."""
        return replace(
            self,
            steps=tuple(replace(step, params=step.params.relabel(order)) for step in self.steps),
        )


def expectations(
    model: Model[ParamsT, StatisticsT], data: Blocks, params: ParamsT
) -> tuple[StatisticsT, float]:
    """Return the statistics and the objective of all data, summed over blocks in a fixed order."""

    def of_block(rows: npt.NDArray[Any], counts: Array | None) -> tuple[StatisticsT, float]:
        # A degenerate component divides by zero here. The step that comes of it says so in its
        # objective, which fit looks at; a warning would say it twice.
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            responsibilities, objective = _e_step(model, rows, counts, params)
            if counts is not None:
                responsibilities = responsibilities * counts[:, None]
            return model.statistics(rows, params, responsibilities), objective

    total: StatisticsT | None = None
    objective = 0.0
    for sums, of_rows in data.map(of_block):
        objective += of_rows
        total = sums if total is None else type(sums)(*map(np.add, total, sums))
    assert total is not None  # check() refuses empty data
    return total, objective


def _e_step(model: Any, rows: npt.NDArray[Any], counts: Array | None, params: ParamsT) -> EStep:
    # Only a model that tallies its observations need know of counts.
    found = model.e_step(rows, params) if counts is None else model.e_step(rows, params, counts)
    return cast(EStep, found)


def objective_of(model: Model[ParamsT, StatisticsT], data: Blocks, params: ParamsT) -> float:
    """Return the objective of ``params`` on all data, in nats (K-Means: minus the inertia)."""

    def of_block(rows: npt.NDArray[Any], counts: Array | None) -> float:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return _e_step(model, rows, counts, params).objective

    return sum(data.map(of_block))


def _steps(
    model: Model[ParamsT, StatisticsT], data: Blocks, init: ParamsT
) -> Iterator[Step[ParamsT]]:
    params = init
    for iteration in count():
        statistics, objective = expectations(model, data, params)
        yield Step(iteration, params, objective)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            params = model.m_step(statistics, params)


def iterate(
    model: Model[ParamsT, StatisticsT], data: Data, init: ParamsT
) -> Iterator[Step[ParamsT]]:
    """Yield the steps of EM one by one, without end.

    Parameters
    ----------
    model : Model
        Supplies the E-step and the M-step.
    data : array_like, shape (n,) or (n, d), as the model wants it, or sequence of such ndarrays
        The observations. The arrays of a sequence, for example memory-mapped files, are asked for
        one after another in every iteration, so that no more than one need be in memory. A Dask
        array, or a Dask bag of arrays, stays on its cluster (:mod:`em_core.data.dask`).
    init : Params
        The initial guess, which is step 0.

    Returns
    -------
    iterator of Step
        A step's M-step is computed only when the next step is asked for.

    Raises
    ------
    ValueError
        If ``data`` or ``init`` do not fit the model.
    """
    return _steps(model, prepare(model, data, init), init)


def fit(
    model: Model[ParamsT, StatisticsT],
    data: Data,
    init: ParamsT,
    *,
    tol: float = 1e-6,
    max_iter: int = 200,
) -> Trace[ParamsT]:
    """Run EM from an initial guess until nothing is left to gain.

    Parameters
    ----------
    model, data, init
        As for :func:`iterate`.
    tol : float, default 1e-6
        Stop when an update gains no more than this in objective *per observation* (in nats; for
        K-Means in squared units of the data). With 0 the run goes on until no parameter changes
        by more than rounding, which for K-Means is when the assignments repeat.
    max_iter : int, default 200
        Number of updates at the most.

    Returns
    -------
    Trace
        All steps, the guess included, and why the run stopped.

    Raises
    ------
    ValueError
        If an argument is not as described, or does not fit the model.
    """
    check_not_negative("tol", tol)
    limit = as_integer("max_iter", max_iter, minimum=0)
    blocks = prepare(model, data, init)
    steps: list[Step[ParamsT]] = []
    for step in _steps(model, blocks, init):
        steps.append(step)
        status = _stopped(steps, tol, blocks.n)
        if status is None and step.iteration >= limit:
            status = Status.MAX_ITER
        if status is not None:
            return Trace(tuple(steps), status)
    raise AssertionError("the steps ended")  # pragma: no cover - they are endless


def _stopped(steps: list[Step[ParamsT]], tol: float, n_observations: int) -> Status | None:
    """Return why a run ends with its latest step, or None while it goes on."""
    step = steps[-1]
    arrays = step.params.arrays().values()
    with np.errstate(over="ignore", invalid="ignore"):
        if not (math.isfinite(step.objective) and all(map(all_finite, arrays))):
            return Status.NON_FINITE
    if len(steps) == 1:
        return None
    previous = steps[-2]
    gain = step.objective - previous.objective
    if gain < -_SUM_ACCURACY * (n_observations + abs(step.objective)):
        return Status.DECREASED
    # A parameter that is far larger than the others must not hide that these still move.
    unchanged = gain <= _SUM_ACCURACY * abs(step.objective) and all(
        np.abs(new - old).max() <= ROUNDING * np.abs(new).max()
        for new, old in zip(arrays, previous.params.arrays().values(), strict=True)
    )
    gained_enough = tol == 0 or gain > tol * n_observations
    return Status.CONVERGED if unchanged or not gained_enough else None


def fit_restarts(
    model: Model[ParamsT, StatisticsT],
    data: Data,
    inits: Iterable[ParamsT],
    *,
    tol: float = 1e-6,
    max_iter: int = 200,
) -> tuple[Trace[ParamsT], ...]:
    """Run EM from each of several initial guesses.

    Parameters and errors are those of :func:`fit`; the traces come in the order of ``inits``.
    """
    if isinstance(inits, Params):
        raise ValueError(f"inits must be several initial guesses, got one: {inits!r}")
    traces: list[Trace[ParamsT]] = []
    for init in inits:
        data = prepare(model, data, init)  # the first time; then only the guess is checked
        traces.append(fit(model, data, init, tol=tol, max_iter=max_iter))
    return tuple(traces)


def fit_labelled(
    model: Model[ParamsT, StatisticsT],
    data: npt.ArrayLike,
    labels: npt.ArrayLike,
    init: ParamsT,
) -> ParamsT:
    """Return the maximum likelihood parameters one would have with the labels known.

    This is one M-step from the statistics of the complete data. What EM's answer loses against it
    is the price of the missing labels.

    Parameters
    ----------
    model : Model
        Supplies the M-step.
    data : array_like, shape (n,) or (n, d), as the model wants it
        The observations, in one array.
    labels : array_like of int, shape (n,)
        The component of each observation, from 0.
    init : Params
        Gives what the M-step keeps: fixed weights, and the parameters of a component without data.

    Raises
    ------
    ValueError
        If an argument does not fit the model or the others.
    """
    array, component = as_array("data", data), as_array("labels", labels)
    model.check(array, init)
    if component.shape != array.shape[:1] or component.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be whole numbers, one for each of the {len(array)} observations, "
            f"got shape {component.shape} and dtype {component.dtype}"
        )
    if component.min() < 0 or component.max() >= init.n_components:
        raise ValueError(
            f"labels must lie between 0 and {init.n_components - 1}, "
            f"got {component.min()} to {component.max()}"
        )
    one_hot = np.eye(init.n_components)[component]
    # Twice, since a model may take its sums about the current parameters: the second time they
    # are taken about the answer, and no digit is lost.
    params = init
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        for _ in range(2):
            params = model.m_step(model.statistics(array, params, one_hot), params)
    return params


def best(traces: Iterable[Trace[ParamsT]]) -> Trace[ParamsT]:
    """Return the trace that ended with the largest finite objective, the first of equals.

    A run that ended without a finite objective is returned only if all did.

    Raises
    ------
    ValueError
        If there is no trace.
    """
    candidates = list(traces)
    if not candidates:
        raise ValueError("best needs at least one trace, got none")
    return max(
        candidates,
        key=lambda trace: -np.inf if trace.status is Status.NON_FINITE else trace.final.objective,
    )
