"""Accelerated runs from many starts, as one array computation.

Each goes as ``fit(..., accelerate="squarem")`` would take it, but for rounding: see
:mod:`em_core.acceleration`.
"""

import functools
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from em_core.acceleration import Extrapolations
from em_core.checks import as_integer, check_not_negative
from em_core.engine import (
    ENDS,
    GOES_ON,
    SUM_ACCURACY,
    History,
    Standing,
    Trace,
    Watch,
    ended,
    trace_of,
)
from em_core.model import Arrays
from em_core.numerics import Array

Places = npt.NDArray[np.intp]


class _Looked(NamedTuple):
    """Parameters of R runs, their statistics and objectives; all with the runs as first axis."""

    arrays: Arrays
    statistics: Any
    objectives: Array

    def take(self, places: Any) -> "_Looked":
        """Return some of the runs."""
        arrays = {name: array[places] for name, array in self.arrays.items()}
        statistics = type(self.statistics)(*(each[places] for each in self.statistics))
        return _Looked(arrays, statistics, self.objectives[places])

    def put(self, places: Places, others: "_Looked") -> None:
        """Replace some of the runs."""
        for name, array in self.arrays.items():
            array[places] = others.arrays[name]
        for mine, theirs in zip(self.statistics, others.statistics, strict=True):
            mine[places] = theirs
        self.objectives[places] = others.objectives

    @property
    def standing(self) -> Standing:
        """Where the runs stand."""
        entries = [array.reshape(len(array), -1).T.copy() for array in self.arrays.values()]
        return Standing(entries, self.objectives.copy())


class Leaps:
    """What it takes to run accelerated EM from many starts at once.

    Parameters
    ----------
    runs : em_core.many.Runs
        The same without acceleration. The model has ``to_free_many`` and ``from_free_many``.
    """

    def __init__(self, runs: Any) -> None:
        self._runs, self._model, self._n = runs, runs.model, runs.data.n

    def traces(
        self, starts: Arrays, tol: float, max_iter: int, watch: Watch | None = None
    ) -> tuple[Trace[Any], ...]:
        """Return the traces of the runs from many starts.

        Raises
        ------
        ValueError
            If ``tol`` or ``max_iter`` are not as for :func:`em_core.fit`.
        """
        check_not_negative("tol", tol)
        limit, enough = as_integer("max_iter", max_iter, minimum=0), tol * self._n
        n_runs = len(next(iter(starts.values())))
        at_once = self._runs.prepared.at_once(self._runs.params(starts, 0).n_components)
        traces: list[Trace[Any]] = []
        for first in range(0, n_runs, at_once):
            some = {name: array[first : first + at_once] for name, array in starts.items()}
            traces += _Group(self._runs, some, enough, limit).traces(watch)
        return tuple(traces)


class _Group:
    """Runs that fit the cache together.

    ``runs`` are those that still go on, by the places of their starts; ``at`` is where they are,
    and ``n_e_steps`` how many E-steps each has taken.
    """

    def __init__(self, runs: Any, starts: Arrays, enough: float, limit: int) -> None:
        self._runs, self._model, self._enough, self._limit = runs, runs.model, enough, limit
        self._e_step = runs.prepared.begin_many()
        n_runs = len(next(iter(starts.values())))
        self.runs, self.n_e_steps = np.arange(n_runs), np.zeros(n_runs, dtype=int)
        self._extrapolations = Extrapolations(self._model, n_runs)
        self._steps: list[list[tuple[Arrays, float, int]]] = [[] for _ in range(n_runs)]
        self._ends: list[Any] = [None] * n_runs
        self.at = self._look(starts, self.runs)

    def traces(self, watch: Watch | None) -> list[Trace[Any]]:
        """Return the traces of all."""
        self._note(self.at, self._ended(self.at, self.at.standing.before_the_first(), self._limit))
        for iteration in count(1):
            if not len(self.runs):
                break
            self._cycle(self._limit - iteration)
            if watch is not None:
                watch(iteration)
        return [self._trace(*found) for found in zip(self._steps, self._ends, strict=True)]

    def _cycle(self, updates_left: int) -> None:
        """Make two updates of EM and a leap with two more; or the updates, where it is no gain."""
        first, second = self.at, self._look(self._update(self.at), self.runs)
        ends = self._ended(second, first.standing, 1)
        self.at, going = second, ends == GOES_ON
        self._note(second, ends, ended_only=True)
        if not len(self.runs):
            return
        first, second = first.take(going), self.at
        third = self._update(second)
        far, leaps = self._extrapolations.beyond(first.arrays, second.arrays, third)
        tried = {name: array.copy() for name, array in third.items()}
        for name, array in far.items():
            tried[name][leaps] = array
        found, landed = self._look(tried, self.runs), leaps
        for _ in range(2):
            landed = landed[np.isfinite(found.objectives[landed])]
            if len(landed):
                more = self._look(self._update(found.take(landed)), self.runs[landed])
                found.put(landed, more)
        landed = landed[self._is_no_loss(found.take(landed), second.objectives[landed])]
        failed = np.setdiff1d(leaps, landed)
        good = np.ones(len(self.runs), dtype=bool)
        good[failed] = False
        self._extrapolations.judge(good)
        if len(failed):
            plain = {name: array[failed] for name, array in third.items()}
            found.put(failed, self._look(plain, self.runs[failed]))
        # Where a leap has ended, no update of EM tells whether to stop.
        before = second.standing
        before.objective[landed] = -np.inf
        for entries in before.parameters:
            entries[:, landed] = np.nan
        self.at = found
        self._note(found, self._ended(found, before, updates_left))

    def _look(self, arrays: Arrays, runs: Places) -> _Looked:
        self.n_e_steps[runs] += 1
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return _Looked(arrays, *self._e_step(arrays))

    def _update(self, found: _Looked) -> Arrays:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            made: Arrays = self._model.m_step_many(found.statistics, found.arrays)
            return made

    def _ended(self, found: _Looked, before: Standing, updates_left: int) -> Places:
        size = functools.partial(self._runs.size_of_terms, found.statistics, found.arrays)
        codes: Places = ended(found.standing, before, updates_left, self._enough, size)
        return codes

    def _is_no_loss(self, found: _Looked, least: Array) -> npt.NDArray[np.bool_]:
        """Return which runs have that objective, but for rounding."""
        fall = least - found.objectives
        falls = fall > 0
        rounding = self._runs.size_of_terms(found.statistics, found.arrays, falls)
        rounding += np.abs(found.objectives)
        return np.asarray(np.isfinite(fall) & (~falls | (fall <= SUM_ACCURACY * rounding)))

    def _note(self, found: _Looked, ends: Places, *, ended_only: bool = False) -> None:
        """Keep a step of each run, or of those alone that end with it; these leave."""
        on = ends == GOES_ON
        for place in np.flatnonzero(~on if ended_only else np.ones_like(on)).tolist():
            run = int(self.runs[place])
            arrays = {name: array[place] for name, array in found.arrays.items()}
            step = arrays, float(found.objectives[place]), int(self.n_e_steps[run])
            self._steps[run].append(step)
            if not on[place]:
                self._ends[run] = ENDS[ends[place]], found.take(place).statistics
        if not on.all():
            self.runs, self.at = self.runs[on], found.take(on)
            self._extrapolations.keep(on)

    def _trace(self, steps: list[tuple[Arrays, float, int]], end: tuple[Any, Any]) -> Trace[Any]:
        arrays, objectives, n_e_steps = zip(*steps, strict=True)
        stacked = {name: np.stack([each[name] for each in arrays]) for name in arrays[0]}
        history = History(self._runs.kind, stacked, np.array(objectives), n_e_steps)
        return trace_of(self._model, self._runs.data, history, *end)
