"""The EM algorithm, once, for every model in the project.

Expectation-Maximization climbs a likelihood that has hidden variables in it. From a guess of the
parameters it repeats two steps (Dempster, Laird and Rubin, "Maximum likelihood from incomplete
data via the EM algorithm", JRSS B 39, 1977):

* E-step: under the current parameters, the *expected sufficient statistics* of the complete data.
* M-step: maximum likelihood from those statistics, as if they had been observed.

A :class:`em_core.model.Model` supplies the two steps. The functions here walk the data, add the
statistics up, and decide when to stop. The statistics are sums over observations, so the data are
taken in blocks (:mod:`em_core.data.blocks`), and only the sums are kept. Runs from many starts may
go side by side (:mod:`em_core.many`), and end by the same rule, :func:`ended`.
"""

import functools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import count
from typing import Any, Generic, Literal, NamedTuple, Self, get_args, overload

import numpy as np
import numpy.typing as npt

from em_core.acceleration import Extrapolation
from em_core.checks import as_array, as_integer, check_not_negative
from em_core.data.blocks import BLOCK_ROWS, Blocks, OnCluster, independent_rows, prepare
from em_core.model import Mixture, Model, Note, Params, ParamsT, Sample, StatisticsT
from em_core.numerics import ROUNDING, Array

# What fit takes: an array, or several that are loaded one after another, or data on a cluster.
Data = npt.ArrayLike | Sequence[npt.NDArray[Any]] | OnCluster | Blocks

Accelerate = Literal["squarem"]

# What is told of each iteration.
Watch = Callable[[int], None]

# An objective is known to about this fraction of the terms that it is a sum of. A smaller change is
# rounding.
SUM_ACCURACY = 1e-12

# A degenerate component divides by zero in both steps. The step that comes of it says so in its
# objective, which fit looks at; a warning would say it twice. To enter this costs as much as a
# short array computation: once a run, and not in each step.
ignoring = functools.partial(np.errstate, divide="ignore", over="ignore", invalid="ignore")


class Status(StrEnum):
    """Why a run stopped."""

    CONVERGED = "converged"
    MAX_ITER = "max_iter"
    NON_FINITE = "non_finite"
    DECREASED = "decreased"


@dataclass(frozen=True)
class Step(Generic[ParamsT]):
    """The parameters after ``iteration`` updates, and the objective of exactly these parameters.

    An accelerated run says by ``n_e_steps`` how many E-steps it has taken until then, that of this
    step among them. With EM these are one more than the updates.
    """

    iteration: int
    params: ParamsT
    objective: float
    n_e_steps: int | None = field(default=None, repr=False)


class History(Sequence[Step[ParamsT]]):
    """Steps that are kept as arrays, and made when they are asked for.

    Parameters
    ----------
    kind : type
        Of the parameters.
    arrays : dict of str to ndarray
        Of each parameter, by name, the values at all steps along the first axis.
    objectives : ndarray, shape (n_iter + 1,)
        The objectives.
    n_e_steps : sequence of int, optional
        Of an accelerated run, the E-steps taken until each.
    """

    def __init__(
        self,
        kind: type[ParamsT],
        arrays: dict[str, Array],
        objectives: Array,
        n_e_steps: Sequence[int] | None = None,
    ) -> None:
        self._kind, self._arrays, self.objectives = kind, arrays, objectives
        self._n_e_steps = n_e_steps
        self._made: dict[int, Step[ParamsT]] = {}

    def __len__(self) -> int:
        return len(self.objectives)

    @overload
    def __getitem__(self, index: int) -> Step[ParamsT]: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Step[ParamsT], ...]: ...

    def __getitem__(self, index: int | slice) -> Step[ParamsT] | tuple[Step[ParamsT], ...]:
        places = range(len(self))[index]  # which knows of negative ones, and of those outside
        return tuple(map(self._make, places)) if isinstance(places, range) else self._make(places)

    def _make(self, place: int) -> Step[ParamsT]:
        if place not in self._made:
            params = self._kind.of({name: array[place] for name, array in self._arrays.items()})
            n_e_steps = None if self._n_e_steps is None else self._n_e_steps[place]
            self._made[place] = Step(place, params, float(self.objectives[place]), n_e_steps)
        return self._made[place]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, History | tuple):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment] # as parameters have none

    def __repr__(self) -> str:
        return f"History({len(self)} steps of {self._kind.__name__})"


class Ending(NamedTuple):
    """What a model takes its notes on a run from (``notes`` of :class:`em_core.model.Model`).

    Attributes
    ----------
    statistics : tuple
        Those under the final parameters.
    params : Params
        The final parameters, in the order of the run.
    n_different : int
        Number of different observations, or of the components if there are fewer of these.
    order : ndarray of int, shape (K,)
        In place j of the trace is component ``order[j]`` of ``params``.
    """

    statistics: Any
    params: Any
    n_different: int
    order: npt.NDArray[np.int64]

    def relabel(self, order: npt.ArrayLike) -> "Ending":
        """Return the same with component ``order[j]`` of the trace in its place ``j``."""
        return self._replace(order=self.order[np.asarray(order, dtype=int)])


@dataclass(frozen=True, repr=False)
class Trace(Generic[ParamsT]):
    """The history of a run, and what one can do with its end.

    Two traces are equal if their steps and their status are.

    Attributes
    ----------
    steps : sequence of Step
        ``steps[0]`` is the initial guess; ``steps[t]`` follows t updates.
    status : Status
        Why the run stopped.
    model : Model, optional
        What was fitted. Without it nothing can be predicted, scored or drawn.
    n_observations : float, optional
        Number of observations, each as often as it was counted.
    explanation : str
        What the model says of an objective that is not finite; empty otherwise.
    ending : Ending, optional
        What ``noted`` and ``notes`` are made of. Without it there are none.
    """

    steps: Sequence[Step[ParamsT]]
    status: Status
    model: Any = field(default=None, compare=False)
    n_observations: float | None = field(default=None, compare=False)
    explanation: str = field(default="", compare=False)
    ending: Ending | None = field(default=None, compare=False)

    @property
    def final(self) -> Step[ParamsT]:
        """The last step."""
        return self.steps[-1]

    @property
    def n_iter(self) -> int:
        """Number of updates made."""
        return self.final.iteration

    @property
    def n_e_steps(self) -> int:
        """Number of E-steps taken, that of the last step among them: what a run costs."""
        return self.n_iter + 1 if self.final.n_e_steps is None else self.final.n_e_steps

    @property
    def objectives(self) -> Array:
        """Objective at each step, shape (n_iter + 1,), in nats (K-Means: minus the inertia)."""
        if isinstance(self.steps, History):
            return self.steps.objectives.copy()
        return np.array([step.objective for step in self.steps])

    @property
    def converged(self) -> bool:
        """Whether the run stopped because nothing was left to gain."""
        return self.status is Status.CONVERGED

    @property
    def message(self) -> str:
        """Why the run stopped, as a sentence."""
        iterations = f"{self.n_iter} iteration" + "s" * (self.n_iter != 1)
        if self.final.n_e_steps is not None:
            iterations += f" ({self.n_e_steps} E-steps)"
        return {
            Status.CONVERGED: f"Converged after {iterations}.",
            Status.MAX_ITER: (
                f"Stopped at the limit of {iterations}, before it converged. "
                "Allow more iterations, or a larger tolerance."
            ),
            Status.NON_FINITE: (
                f"Stopped at iteration {self.n_iter}: the objective is no longer a finite number. "
                + (self.explanation or "Start from another guess.")
            ),
            Status.DECREASED: (
                f"Stopped at iteration {self.n_iter}: the objective fell, which EM never does. "
                "This is a fault in the model's E-step or M-step."
            ),
        }[self.status]

    @property
    def noted(self) -> tuple[Note, ...]:
        """What ``notes`` say, and of which components."""
        tell = getattr(self.model, "notes", None)
        if tell is None or self.ending is None:
            return ()
        statistics, params, n_different, order = self.ending
        with np.errstate(over="ignore", invalid="ignore"):
            return tuple(note.relabel(order) for note in tell(statistics, params, n_different))

    @property
    def notes(self) -> tuple[str, ...]:
        """What else one should know of the final parameters, in sentences; often nothing.

        Such as that a component is responsible for no observation, which is no reason to stop.
        Components go by their indices, from 0.
        """
        return tuple(map(str, self.noted))

    def __repr__(self) -> str:
        updates = f"{self.n_iter} update" + "s" * (self.n_iter != 1)
        n = len(self.noted)
        notes = f", {n} note" + "s" * (n > 1) if n else ""
        return f"Trace({self.status}, {updates}, objective {self.final.objective:.6g}{notes})"

    def relabel(self, order: npt.ArrayLike) -> Self:
        """Return the same history with component ``order[j]`` in place ``j`` at every step.

        Raises
        ------
        ValueError
            If ``order`` does not name each component once, or there are no components.
        """
        steps = tuple(replace(step, params=step.params.relabel(order)) for step in self.steps)
        explanation = self.explanation and _explain(self.model, steps[-1].params)
        ending = self.ending and self.ending.relabel(order)
        return replace(self, steps=steps, explanation=explanation, ending=ending)

    def predict(self, data: npt.ArrayLike) -> Array:
        """Return the responsibilities of the components for data, under the final parameters.

        Parameters
        ----------
        data : array_like, shape (n,) or (n, d)
            Observations, in one array: those that were fitted, or new ones.

        Returns
        -------
        ndarray, shape (n, K)
            Rows sum to one. ``predict(data).argmax(axis=1)`` are labels.

        Raises
        ------
        ValueError
            If the data do not fit the model, or what was fitted is no mixture.
        """
        mixture = _as_mixture("predict", self._known_model("predict"))
        array = as_array("data", data)
        mixture.check(array, self.final.params)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return mixture.e_step(array, self.final.params).responsibilities

    def score(self, data: Data) -> float:
        """Return the objective of the final parameters per observation of ``data``.

        On data that were held out it says how well the parameters foretell them.

        Parameters
        ----------
        data
            As for :func:`fit`.

        Returns
        -------
        float
            In nats (K-Means: minus squared units of the data).

        Raises
        ------
        ValueError
            If the data do not fit the model.
        """
        model = self._known_model("score")
        blocks = prepare(model, data, self.final.params)
        return objective_of(model, blocks, self.final.params) / blocks.n

    def sample(self, n: int, *, rng: np.random.Generator, **settings: Any) -> Sample[ParamsT]:
        """Draw ``n`` observations from the final parameters, the component of each at random.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            Source of randomness.
        **settings
            What the model's ``simulate`` needs to be told beyond, as K-Means the ``spread``.

        Raises
        ------
        ValueError
            If ``n`` is not a positive whole number, ``rng`` is no generator, or the model has no
            ``simulate``.
        """
        model, size = self._known_model("sample"), as_integer("n", n, minimum=1)
        if not hasattr(model, "simulate"):
            raise ValueError(f"sample asks for a model with a simulate, got {model!r}")
        drawn: Sample[ParamsT] = model.simulate(self.final.params, size, rng=rng, **settings)
        return drawn

    @property
    def n_parameters(self) -> int:
        """Number of free parameters that were estimated.

        Raises
        ------
        ValueError
            If the model does not say.
        """
        model = self._known_model("n_parameters")
        if not hasattr(model, "n_parameters"):
            raise ValueError(f"n_parameters asks for a model that counts them, got {model!r}")
        return int(model.n_parameters(self.final.params))

    @property
    def aic(self) -> float:
        """Akaike's information criterion, 2 p - 2 l: of two models, the smaller is better.

        p is the number of parameters and l the log-likelihood (Akaike, "A new look at the
        statistical model identification", IEEE Trans. Automatic Control 19, 1974).

        Raises
        ------
        ValueError
            If the objective is no log-likelihood, or the number of parameters is not known.
        """
        return 2 * self.n_parameters - 2 * self._log_likelihood("aic")

    @property
    def bic(self) -> float:
        """Bayesian information criterion, p log(n) - 2 l: of two models, the smaller is better.

        p is the number of parameters, n that of observations and l the log-likelihood (Schwarz,
        "Estimating the dimension of a model", Annals of Statistics 6, 1978).

        Raises
        ------
        ValueError
            If the objective is no log-likelihood, or p or n are not known.
        """
        log_likelihood = self._log_likelihood("bic")
        if self.n_observations is None:
            raise ValueError("bic asks for the number of observations, which this trace has not")
        return self.n_parameters * math.log(self.n_observations) - 2 * log_likelihood

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the history as columns, for example for ``pandas.DataFrame(trace.columns())``.

        Returns
        -------
        dict of str to ndarray, shape (n_iter + 1,)
            ``iteration``; every parameter by its name, such as ``means[0]`` or
            ``centroids[0,1]``; ``objective``; and ``gain`` in objective over the step before, not
            a number for the initial guess.
        """
        objectives = self.objectives
        with np.errstate(invalid="ignore"):
            gain = np.diff(objectives, prepend=np.nan)
        return {
            "iteration": np.array([step.iteration for step in self.steps]),
            **dict(
                zip(
                    self.final.params.entry_names(),
                    np.array([step.params.vector() for step in self.steps]).T,
                    strict=True,
                )
            ),
            "objective": objectives,
            "gain": gain,
        }

    def _known_model(self, asking: str) -> Any:
        if self.model is None:
            raise ValueError(f"{asking} asks for the model, which this trace was made without")
        return self.model

    def _log_likelihood(self, asking: str) -> float:
        model = self._known_model(asking)
        if not getattr(model, "objective_is_log_likelihood", True):
            raise ValueError(
                f"{asking} asks for a log-likelihood, which the objective of {model!r} is not"
            )
        return self.final.objective


def _explain(model: Any, params: Params) -> str:
    """Return what the model says of parameters whose objective is not finite, if it does."""
    why = getattr(model, "why_not_finite", None)
    return why(params) if why else ""


def _as_mixture(asking: str, model: Any) -> Mixture[Any, Any]:
    """Return the model, or raise ValueError unless it is a mixture."""
    if not isinstance(model, Mixture):
        raise ValueError(
            f"{asking} asks for a Mixture, whose observations have labels, got {model!r}"
        )
    return model


def expectations(
    model: Model[ParamsT, StatisticsT], data: Blocks, params: ParamsT
) -> tuple[StatisticsT, float]:
    """Return the statistics and the objective of all data, summed over blocks in a fixed order."""
    expect: Any = model.expect  # which need not know of counts

    def of_block(rows: npt.NDArray[Any], counts: Array | None) -> tuple[StatisticsT, float]:
        with ignoring():
            found: tuple[StatisticsT, float]
            found = expect(rows, params) if counts is None else expect(rows, params, counts)
            return found

    total: Any = None
    objective = 0.0
    for sums, of_rows in data.map(of_block):
        objective += of_rows
        total = sums if total is None else _added(total, sums)
    assert total is not None  # check() refuses empty data
    return total, objective


def _added(total: Any, sums: Any) -> Any:
    make = getattr(type(sums), "_make", tuple)  # a named tuple, or just a tuple
    return make(map(np.add, total, sums))


def begin(
    model: Model[ParamsT, StatisticsT], data: Blocks
) -> Callable[[ParamsT], tuple[StatisticsT, float]]:
    """Return the E-step of one run over all data: the model's own, if it has prepared them."""
    e_step = _begin(model, data)

    def quiet(params: ParamsT) -> tuple[StatisticsT, float]:
        with ignoring():
            return e_step(params)

    return quiet


def _begin(
    model: Model[ParamsT, StatisticsT], data: Blocks
) -> Callable[[ParamsT], tuple[StatisticsT, float]]:
    """Return the same, to be called while :func:`ignoring`."""
    if data.prepared is None:
        return functools.partial(expectations, model, data)
    return data.prepared.begin()


def objective_of(model: Model[ParamsT, StatisticsT], data: Blocks, params: ParamsT) -> float:
    """Return the objective of ``params`` on all data, in nats (K-Means: minus the inertia)."""
    return expectations(model, data, params)[1]


class _Looked(NamedTuple, Generic[ParamsT, StatisticsT]):
    """A step, its statistics, the step that it is EM's update of, and if an iteration ends here."""

    step: Step[ParamsT]
    statistics: StatisticsT
    previous: Step[ParamsT] | None = None
    ends: bool = True


def _steps(
    model: Model[ParamsT, StatisticsT], data: Blocks, init: ParamsT
) -> Iterator[_Looked[ParamsT, StatisticsT]]:
    """Yield the steps of EM, which are nothing but the two steps in turn, and their statistics."""
    params, e_step, previous = init, _begin(model, data), None
    for iteration in count():
        statistics, objective = e_step(params)
        step = Step(iteration, params, objective)
        yield _Looked(step, statistics, previous)
        params, previous = model.m_step(statistics, params), step


def _accelerated_steps(
    model: Model[ParamsT, StatisticsT], data: Blocks, init: ParamsT
) -> Iterator[_Looked[ParamsT, StatisticsT]]:
    """Yield steps of EM and, in the place of some, those that :class:`Extrapolation` leads to.

    An iteration is a cycle: two updates of EM, a leap beyond these, and two more from there. Where
    the leap is no gain, it is the two updates.
    """
    e_step, n_e_steps = _begin(model, data), count(1)
    extrapolation: Extrapolation[ParamsT] = Extrapolation(
        model, functools.partial(data.check, model)
    )

    def look(iteration: int, params: ParamsT) -> _Looked[ParamsT, StatisticsT]:
        statistics, objective = e_step(params)
        return _Looked(Step(iteration, params, objective, next(n_e_steps)), statistics)

    def update(found: _Looked[ParamsT, StatisticsT]) -> ParamsT:
        return model.m_step(found.statistics, found.step.params)

    def rounding(found: Any) -> float:
        terms = terms_beyond(model, found.statistics, found.step.params, data.n)
        return float(SUM_ACCURACY * (terms + abs(found.step.objective)))

    def land(iteration: int, params: ParamsT, least: float) -> Any:
        """Return where two updates lead from a leap, or None if that has not the objective."""
        found = look(iteration, params)
        for _ in range(2):
            if not math.isfinite(found.step.objective):
                return None
            found = look(iteration, update(found))
        fall = least - found.step.objective
        if fall <= 0 or fall <= rounding(found):
            return found
        return None  # or it is not a number

    first = look(0, init)
    yield first
    for iteration in count(1):
        second = look(iteration, update(first))
        yield second._replace(previous=first.step, ends=False)
        third = update(second)
        far = extrapolation.beyond(first.step.params, second.step.params, third)
        landed = None if far is None else land(iteration, far, second.step.objective)
        extrapolation.judge(good=far is None or landed is not None)
        first = landed or look(iteration, third)._replace(previous=second.step)
        yield first


def iterate(
    model: Model[ParamsT, StatisticsT],
    data: Data,
    init: ParamsT,
    *,
    counts: npt.ArrayLike | None = None,
) -> Iterator[Step[ParamsT]]:
    """Yield the steps of EM one by one, without end.

    Parameters
    ----------
    model : Model
        Supplies the E-step and the M-step.
    data : array_like, shape (n,) or (n, d), as the model wants it, or sequence of such ndarrays
        The observations; a masked array only if it masks none of them. The arrays of a sequence,
        for example memory-mapped files, are asked for one after another in every iteration, so that
        no more than one need be in memory. A Dask array, or a Dask bag of arrays, stays on its
        cluster (:mod:`em_core.data.dask`).
    init : Params
        The initial guess, which is step 0.
    counts : array_like, shape (n,), optional
        How often each row of ``data`` was observed, as in a table of frequencies: as if the row
        were repeated. Numbers, 0 or larger; they need not be whole. Only for data in one array, and
        a model whose ``expect`` takes counts.

    Returns
    -------
    iterator of Step
        A step's M-step is computed only when the next step is asked for.

    Raises
    ------
    ValueError
        If ``data`` or ``init`` do not fit the model, or ``counts`` not the data or the model.
    """
    steps = _steps(model, prepare(model, data, init, counts), init)

    def walk() -> Iterator[Step[ParamsT]]:
        while True:
            with ignoring():  # which must not reach whoever asks for the steps
                step = next(steps).step
            yield step

    return walk()


def fit(
    model: Model[ParamsT, StatisticsT],
    data: Data,
    init: ParamsT,
    *,
    tol: float = 1e-6,
    max_iter: int = 200,
    counts: npt.ArrayLike | None = None,
    accelerate: Accelerate | None = None,
    watch: Watch | None = None,
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
    counts
        As for :func:`iterate`. An observation is then one that was counted.
    accelerate : {"squarem"}, optional
        Take the way of :mod:`em_core.acceleration` to the same end, for runs that are slow. An
        iteration is then a cycle of four or five E-steps as a rule, as ``n_e_steps`` of the trace
        counts them. Whether to stop is asked of an update of EM in each cycle, with the same
        ``tol``; so at the end an update of EM gains no more than that. A cycle never loses
        objective. From a start between two optima a run may end at another one than EM: rarely
        where the model has free vectors, which the models here have.
    watch : callable, optional
        Is called after each iteration with its number, to show how far a long run is. An exception
        that it raises ends the run.

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
    if accelerate not in (None, *get_args(Accelerate)):
        raise ValueError(f"accelerate must be 'squarem' or None, got {accelerate!r}")
    blocks = prepare(model, data, init, counts)
    walk = _accelerated_steps if accelerate else _steps
    steps: list[Step[ParamsT]] = []
    enough = tol * blocks.n
    with ignoring():
        for step, statistics, previous, ends in walk(model, blocks, init):
            updates_left = limit - step.iteration if ends else 1  # amid an iteration there is one
            if _climbs(step, previous, enough):
                status = None if updates_left > 0 else Status.MAX_ITER
            else:
                status = _stopped(step, previous, updates_left, enough, model, statistics, blocks.n)
            if ends or status is not None:
                steps.append(step)
            if status is not None:
                return trace_of(model, blocks, tuple(steps), status, statistics)
            if ends and watch is not None:
                watch(step.iteration)
    raise AssertionError("the steps ended")  # pragma: no cover - they are endless


def trace_of(
    model: Any, data: Blocks, steps: Sequence[Step[ParamsT]], status: Status, statistics: Any
) -> Trace[ParamsT]:
    """Return the trace of a run that ended with these steps, and with these statistics."""
    params = steps[-1].params
    why = _explain(model, params) if status is Status.NON_FINITE else ""
    ending = None
    if hasattr(model, "notes"):
        k = params.n_components
        ending = Ending(statistics, params, data.n_different(k), np.arange(k))
    return Trace(steps, status, model, data.n, why, ending)


def _stopped(
    step: Step[Any],
    previous: Step[Any] | None,
    updates_left: int,
    enough: float,
    model: Any,
    statistics: Any,
    n_observations: float,
) -> Status | None:
    """Return why a run ends with a step of EM from the previous one, or None while it goes on."""
    now = Standing.of(step)
    before = Standing.of(previous) if previous else now.before_the_first()

    def size_of_terms(_: Any) -> float:
        return terms_beyond(model, statistics, step.params, n_observations)

    return ENDS[int(ended(now, before, updates_left, enough, size_of_terms))]


def _climbs(step: Step[Any], previous: Step[Any] | None, enough: float) -> bool:
    """Return whether it is plain that a step gained enough, and is neither still nor infinite.

    Sums of squares tell so of most steps, in a fraction of the time that :func:`ended` takes, which
    is asked of the others. The first step counts as a gain.
    """
    gain = math.inf if previous is None else step.objective - previous.objective
    if not (abs(step.objective) < math.inf and gain > enough):
        return False
    moved = previous is None
    for name, array in step.params.arrays().items():
        values = array.ravel()
        size = values.dot(values)
        if not size < math.inf:
            return False
        if previous is not None and not moved:
            before = getattr(previous.params, name).ravel()
            # The mean square is no larger than the largest; twice, for the rounding of the sums.
            least = 2 * ROUNDING**2 * len(values) * size
            # The first entry alone tells it as a rule.
            moved = (values.item(0) - before.item(0)) ** 2 > least
            if not moved:
                change = values - before
                moved = change.dot(change) > least
    return moved


class Standing(NamedTuple):
    """Where one run stands, or each of R runs.

    Attributes
    ----------
    parameters : sequence of ndarray, each of shape (entries,), or (entries, R)
        The entries of each parameter.
    objective : float, or ndarray of shape (R,)
        The objective of exactly these parameters.
    """

    parameters: Sequence[Any]
    objective: Any

    @classmethod
    def of(cls, step: Step[Any]) -> "Standing":
        """Return where a run stands at a step."""
        arrays = step.params.arrays().values()
        return cls([array.reshape(-1) for array in arrays], np.float64(step.objective))

    def before_the_first(self) -> "Standing":
        """Return where the first step came from, so that it counts as a gain: nowhere."""
        return Standing([np.nan] * len(self.parameters), -np.inf)


# Why a run ends, by number; None if it goes on.
ENDS = (Status.NON_FINITE, Status.DECREASED, Status.CONVERGED, Status.MAX_ITER, None)
_NON_FINITE, _DECREASED, _CONVERGED, _MAX_ITER, GOES_ON = range(len(ENDS))


def ended(
    now: Standing,
    before: Standing,
    updates_left: Any,
    enough: float,
    size_of_terms: Callable[[Any], Any],
) -> Any:
    """Return why one run ends, or each of R runs: the rule for all of them.

    Parameters
    ----------
    now, before : Standing
        With the latest parameters, and with those that they were made from.
    updates_left : int, or ndarray of int, shape (R,)
        How many more are allowed.
    enough : float
        An update that gains no more than this is the last. With 0, only one that changes nothing.
    size_of_terms : callable
        Returns the size of the terms that an objective is a sum of, beyond its own size. Of many
        runs it is told of which, by a mask (R,), and returns 0 for the others.

    Returns
    -------
    int, or ndarray of int, shape (R,)
        An index into ``ENDS``.
    """
    # With operators that numbers and arrays have in common, so that one run costs little.
    with ignoring():
        sizes = [_largest(new) for new in now.parameters]
        finite = abs(now.objective) < np.inf
        for size in sizes:
            finite = finite & (size < np.inf)
        unchanged = finite
        for new, old, size in zip(now.parameters, before.parameters, sizes, strict=True):
            if not _any(unchanged):
                break
            # A parameter that is far larger than the others must not hide that these still move.
            unchanged = unchanged & (_largest(new - old) <= ROUNDING * size)
        gain = now.objective - before.objective
        ends = ~finite | unchanged | (gain <= enough) | (updates_left <= 0)
        if not _any(ends):
            return np.full(ends.shape, GOES_ON) if ends.ndim else GOES_ON
        # An objective is known to a fraction of the terms that it is a sum of, which may be far
        # larger than the sum. It is among them itself.
        rounding = SUM_ACCURACY * abs(now.objective)
        in_doubt = (gain < -rounding) | unchanged & (gain > rounding)
        if _any(in_doubt):
            rounding = rounding + SUM_ACCURACY * size_of_terms(in_doubt)
        fell = gain < -rounding
        converged = unchanged & (gain <= rounding) | (gain <= enough) & (enough > 0)
        code = np.where(updates_left <= 0, _MAX_ITER, GOES_ON)
        code = np.where(converged, _CONVERGED, code)
        code = np.where(fell, _DECREASED, code)
        return np.where(finite, code, _NON_FINITE)


def _any(mask: Any) -> Any:
    return mask.any() if mask.ndim else mask


def _largest(values: Any) -> Any:
    # Half the time of the method max, which a small fit's iterations notice.
    return np.maximum.reduce(np.abs(values), axis=0)


def terms_beyond(model: Any, statistics: Any, params: Params, n_observations: float) -> float:
    """Return the size of the terms that the objective of ``params`` is a sum of, beyond its own.

    A model may tell their size. Of one that does not, Q shows it, which is made of the same terms,
    and each observation counts as a term of one.
    """
    tell = getattr(model, "term_size", None)
    size = tell(statistics, params) if tell else None
    if size is not None:
        return float(size)
    expected = getattr(model, "expected_objective", None)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        q = float(expected(statistics, params, params)) if expected else 0.0
    return n_observations + (abs(q) if math.isfinite(q) else 0.0)


def fit_labelled(
    model: Mixture[ParamsT, StatisticsT],
    data: npt.ArrayLike,
    labels: npt.ArrayLike,
    init: ParamsT,
) -> ParamsT:
    """Return the maximum likelihood parameters one would have with the labels known.

    This is one M-step from the statistics of the complete data. What EM's answer loses against it
    is the price of the missing labels.

    Parameters
    ----------
    model : Mixture
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
        If the model is no mixture, or an argument does not fit the model or the others.
    """
    _as_mixture("fit_labelled", model)
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
    one_hot = np.eye(init.n_components)
    # Twice, since a model may take its sums about the current parameters: the second time they
    # are taken about the answer, and no digit is lost.
    params, length = init, BLOCK_ROWS if independent_rows(model) else len(array)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        for _ in range(2):
            statistics: Any = None
            for start in range(0, len(array), length):
                rows = slice(start, start + length)
                found = model.statistics(array[rows], params, one_hot[component[rows]])
                statistics = found if statistics is None else _added(statistics, found)
            params = model.m_step(statistics, params)
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
