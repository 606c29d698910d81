"""EM from many starts: as one array computation, where a model offers one.

A small fit spends most of its time on the way to and from arrays that are too short. The runs from
many starts therefore go side by side, in arrays with the runs as their first axis, as many at once
as the cache holds; those that have ended leave. A model offers this by data that it has prepared
for it (:class:`em_core.model.PreparedForMany`) and an M-step for many runs, ``m_step_many``. Each
run goes as :func:`em_core.engine.fit` would take it, but for rounding, and ends by the same rule,
:func:`em_core.engine.ended`.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, pairwise
from typing import Any, Generic, NamedTuple

import numpy as np
import numpy.typing as npt

from em_core.checks import as_integer, check_not_negative
from em_core.data.blocks import Blocks, prepare, written_for
from em_core.engine import (
    ENDS,
    GOES_ON,
    Accelerate,
    Data,
    History,
    Standing,
    Trace,
    Watch,
    begin,
    ended,
    fit,
    terms_beyond,
    trace_of,
)
from em_core.leaps import Leaps
from em_core.model import Arrays, Model, Params, ParamsT, PreparedForMany, StatisticsT
from em_core.numerics import Array


def fit_restarts(
    model: Model[ParamsT, StatisticsT],
    data: Data,
    inits: Iterable[ParamsT],
    *,
    tol: float = 1e-6,
    max_iter: int = 200,
    counts: npt.ArrayLike | None = None,
    accelerate: Accelerate | None = None,
    watch: Watch | None = None,
) -> tuple[Trace[ParamsT], ...]:
    """Run EM from each of several initial guesses, side by side where the model offers it.

    Parameters and errors are those of :func:`em_core.fit`; the traces come in the order of
    ``inits``, and are what it returns but for rounding. Accelerated runs go side by side if the
    model has free vectors for many, ``to_free_many`` and ``from_free_many``.
    """
    if isinstance(inits, Params):
        raise ValueError(f"inits must be several initial guesses, got one: {inits!r}")
    starts = list(inits)
    for init in starts:
        data = prepare(model, data, init, counts)  # the first time; then only the guess is checked
        counts = None
    together = accelerate is None or written_for(model, "to_free_many", ["to_free"])
    if together and isinstance(data, Blocks) and len(starts) > 1 and _are_alike(starts):
        runs = runs_of(model, data, type(starts[0]))
        if runs is not None and runs.prepared.at_once(starts[0].n_components) > 1:
            arrays = [start.arrays() for start in starts]
            stacked = {name: np.stack([each[name] for each in arrays]) for name in arrays[0]}
            made = Leaps(runs).traces if accelerate else runs.traces
            return made(stacked, tol, max_iter, watch)
    return tuple(
        fit(model, data, init, tol=tol, max_iter=max_iter, accelerate=accelerate, watch=watch)
        for init in starts
    )


class Round(NamedTuple):
    """What those runs are at that go side by side at the moment, R of them.

    Attributes
    ----------
    runs : ndarray of int, shape (R,)
        Which they are, by the places of their starts.
    iteration : int
        How many updates each has made.
    arrays : dict of str to ndarray
        Their parameters, each with the runs as its first axis.
    objectives : ndarray, shape (R,)
        The objectives of these.
    statistics : tuple of ndarray
        The statistics under these, each with the runs as its first axis.
    ends : ndarray of int, shape (R,)
        Why each ends with this, as an index into ``ENDS``.
    """

    runs: npt.NDArray[np.int64]
    iteration: int
    arrays: Arrays
    objectives: Array
    statistics: Any
    ends: npt.NDArray[np.int64]


class Ends(NamedTuple):
    """Where the runs from S starts ended.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Their last parameters, each with the runs as its first axis.
    objectives : ndarray, shape (S,)
        The objectives of these.
    n_iter : ndarray of int, shape (S,)
        How many updates each has made.
    statuses : ndarray of str, shape (S,)
        Why each stopped, as a :class:`em_core.Status`.
    """

    arrays: Arrays
    objectives: Array
    n_iter: npt.NDArray[np.int64]
    statuses: npt.NDArray[np.str_]


class Runs(NamedTuple, Generic[ParamsT]):
    """What it takes to run EM from many starts at once.

    Attributes
    ----------
    model : Model
        Supplies the M-step.
    data : Blocks
        The observations.
    kind : type
        Of the parameters.
    prepared : PreparedForMany
        Supplies the E-step.
    """

    model: Any
    data: Blocks
    kind: type[ParamsT]
    prepared: PreparedForMany[Any, Any]

    def rounds(
        self, starts: Arrays, tol: float, max_iter: int, watch: Watch | None = None
    ) -> Iterator[Round]:
        """Yield the rounds of EM, of one group of runs after another, until all have ended.

        Raises
        ------
        ValueError
            If ``tol`` or ``max_iter`` are not as for :func:`em_core.fit`.
        """
        check_not_negative("tol", tol)
        limit = as_integer("max_iter", max_iter, minimum=0)
        e_step = self.prepared.begin_many()
        n_runs = len(next(iter(starts.values())))
        at_once = self.prepared.at_once(self.params(starts, 0).n_components)
        for first in range(0, n_runs, at_once):
            runs = np.arange(first, min(first + at_once, n_runs))
            arrays = {name: array[runs] for name, array in starts.items()}
            before: Standing | None = None
            for iteration in count():
                with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                    statistics, objectives = e_step(arrays)
                entries = [array.reshape(len(runs), -1).T for array in arrays.values()]
                now = Standing([np.ascontiguousarray(each) for each in entries], objectives)
                ends = ended(
                    now,
                    before or now.before_the_first(),
                    limit - iteration,
                    tol * self.data.n,
                    functools.partial(self.size_of_terms, statistics, arrays),
                )
                yield Round(runs, iteration, arrays, objectives, statistics, ends)
                on = np.flatnonzero(ends == GOES_ON)
                if not len(on):
                    break
                if watch is not None:
                    watch(iteration)
                if len(on) < len(runs):
                    runs, objectives = runs[on], objectives[on]
                    arrays = {name: array[on] for name, array in arrays.items()}
                    statistics = type(statistics)(*(each[on] for each in statistics))
                    now = Standing([each[:, on] for each in now.parameters], objectives)
                before = now
                with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                    arrays = self.model.m_step_many(statistics, arrays)

    def ends(self, starts: Arrays, tol: float, max_iter: int, watch: Watch | None = None) -> Ends:
        """Return where the runs from many starts end, without what they were on the way."""
        n_runs = len(next(iter(starts.values())))
        arrays = {name: np.empty_like(array, subok=False) for name, array in starts.items()}
        objectives, n_iter = np.empty(n_runs), np.empty(n_runs, dtype=np.int64)
        codes = np.empty(n_runs, dtype=np.int64)
        for at in self.rounds(starts, tol, max_iter, watch):
            over = at.ends != GOES_ON
            runs = at.runs[over]
            for name, array in at.arrays.items():
                arrays[name][runs] = array[over]
            objectives[runs], n_iter[runs] = at.objectives[over], at.iteration
            codes[runs] = at.ends[over]
        return Ends(arrays, objectives, n_iter, np.array(ENDS[:GOES_ON], dtype=str)[codes])

    def traces(
        self, starts: Arrays, tol: float, max_iter: int, watch: Watch | None = None
    ) -> tuple[Trace[ParamsT], ...]:
        """Return the traces of the runs from many starts."""
        rounds: list[tuple[npt.NDArray[np.int64], Arrays, Array]] = []
        ends: dict[int, tuple[Any, Any]] = {}
        for at in self.rounds(starts, tol, max_iter, watch):
            rounds.append((at.runs, at.arrays, at.objectives))
            for place in np.flatnonzero(at.ends != GOES_ON).tolist():
                ends[int(at.runs[place])] = (ENDS[at.ends[place]], _of_run(at.statistics, place))
        # All steps of a run beside each other, in their order.
        which = np.concatenate([runs for runs, _, _ in rounds])
        order = np.argsort(which, kind="stable")
        objectives = np.concatenate([each for _, _, each in rounds])[order]
        arrays = {
            name: np.concatenate([each[name] for _, each, _ in rounds])[order] for name in starts
        }
        stops = np.cumsum(np.bincount(which)).tolist()
        traces = []
        for run, (start, stop) in enumerate(pairwise([0, *stops])):
            own = {name: array[start:stop].copy() for name, array in arrays.items()}
            steps = History(self.kind, own, objectives[start:stop].copy())
            traces.append(trace_of(self.model, self.data, steps, *ends[run]))
        return tuple(traces)

    def params(self, arrays: Arrays, place: int) -> ParamsT:
        """Return the parameters of one run."""
        return self.kind(**{name: array[place] for name, array in arrays.items()})

    def size_of_terms(self, statistics: Any, arrays: Arrays, which: Array) -> Array:
        """Return :func:`terms_beyond` of some runs, and 0 for the others."""
        sizes = np.zeros(len(which))
        for place in np.flatnonzero(which).tolist():
            params, own = self.params(arrays, place), _of_run(statistics, place)
            sizes[place] = terms_beyond(self.model, own, params, self.data.n)
        return sizes


def runs_of(model: Any, data: Blocks, kind: type[ParamsT]) -> Runs[ParamsT] | None:
    """Return what it takes to run from many starts of a kind, if the model offers it."""
    prepared: Any = data.prepared
    if not hasattr(prepared, "begin_many") or not written_for(model, "m_step_many", ["m_step"]):
        return None
    return Runs(model, data, kind, prepared)


def objectives_of(
    model: Model[ParamsT, Any], data: Blocks, kind: type[ParamsT]
) -> Callable[[Arrays], Array]:
    """Return what maps many parameters to their objectives, all at once where a model offers it.

    Parameters
    ----------
    model, data
        The model, and the observations that were prepared for it.
    kind : type
        Of the parameters.

    Returns
    -------
    callable
        Takes the parameters' arrays, each with a leading axis of length R, and returns the
        objectives, shape (R,), in nats (K-Means: minus squared units of the data).
    """
    own = getattr(data.prepared, "objectives", None)
    if own is not None:

        def by_model(arrays: Arrays) -> Array:
            with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                return np.asarray(own(arrays))

        return by_model
    runs, one = runs_of(model, data, kind), begin(model, data)
    e_step = runs.prepared.begin_many() if runs is not None else None

    def objectives(arrays: Arrays) -> Array:
        each = [
            kind(**dict(zip(arrays, values, strict=True)))
            for values in zip(*arrays.values(), strict=True)
        ]
        at_once = 1 if runs is None else runs.prepared.at_once(each[0].n_components)
        if e_step is None or at_once == 1:  # what one run knows of the data is worth more then
            return np.array([one(params)[1] for params in each])
        found = np.empty(len(each))
        for first in range(0, len(each), at_once):
            some = {name: array[first : first + at_once] for name, array in arrays.items()}
            with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                found[first : first + at_once] = e_step(some)[1]
        return found

    return objectives


def _of_run(statistics: Any, place: int) -> Any:
    """Return the statistics of one of many runs."""
    return type(statistics)(*(each[place] for each in statistics))


def _are_alike(starts: Sequence[Params]) -> bool:
    """Return whether all are of one kind, and their arrays of the same shapes."""
    kinds = {(type(start), *(a.shape for a in start.arrays().values())) for start in starts}
    return len(kinds) == 1
