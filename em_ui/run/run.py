"""One run of EM as a page shows it, and the same problem under other settings."""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from em_core import Params, Status, Trace, fit_labelled, match_components
from em_core.engine import expectations
from em_ui.pictures import frames
from em_ui.run import budget
from em_ui.run.cache import cached
from em_ui.run.problem import Problem, Settings


@dataclass(frozen=True)
class Run:
    """One run of EM.

    Attributes
    ----------
    problem : Problem
        What was run.
    trace : Trace
        From the initial guess, its components in the order of the truth, if that is known.
    from_truth : Trace or None
        The same from the true parameters: how good an answer there is to be found. It starts near
        its end, so it is cut short where iterations take long. None without a truth, or if the
        model has not as many components as that.
    labelled : Params or None
        The estimate with the labels known, if they are.
    order : ndarray of int, shape (K,)
        The place that each component of ``trace`` had in the initial guess.
    frames : Frames
        The tables of ``trace``.
    settings : dict
        What the page was set to.
    make : callable
        Maps settings to the lesson's problem.
    found : dict
        The limit, once somebody has asked for it.
    asking : lock
        Held while it is computed.
    """

    problem: Problem
    trace: Trace[Any]
    from_truth: Trace[Any] | None
    labelled: Params | None
    order: np.ndarray
    frames: frames.Frames
    settings: Settings
    make: Callable[[Settings], Problem]
    found: dict[str, Trace[Any]] = field(default_factory=dict)
    asking: threading.Lock = field(default_factory=threading.Lock)

    @functools.cached_property
    def key(self) -> str:
        """What tells this run from others, for the cache."""
        return f"{_name(self.make)} {self.settings}"

    def other_problem(self, **changes: Any) -> Problem:
        """Return the problem under changed settings."""
        return self.make({**self.settings, **changes})

    def other(self, **changes: Any) -> "Run":
        """Return the run under changed settings."""
        return fitted(self.make, {**self.settings, **changes})

    @property
    def params(self) -> Any:
        """The last parameters that can be drawn."""
        return self.steps[-1].params

    @property
    def steps(self) -> tuple[Any, ...]:
        """The steps that can be drawn."""
        return frames.drawable(self.trace).steps

    @property
    def names(self) -> list[str]:
        """Names of the model's components."""
        return list(self.problem.words.names[: self.params.n_components])

    @property
    def limit(self) -> Trace[Any]:
        """The run continued from its last parameters, as near to the limit as time allows."""
        # Not a cached_property: up to Python 3.11 that has one lock for all runs.
        with self.asking:
            if "limit" not in self.found:
                max_iter = int(np.clip(budget.LIMIT / self.problem.work, 10, 3_000))
                self.found["limit"] = self.problem.fit(self.params, tol=0, max_iter=max_iter)
            return self.found["limit"]

    def statistics(self, iteration: int) -> Any:
        """Return what an iteration's E-step gives to the M-step, summed over all observations."""
        problem = self.problem
        with budget.turn(problem.cost):
            return expectations(problem.model, problem.data, self.steps[iteration].params)[0]

    @functools.cached_property
    def final_statistics(self) -> Any:
        """The statistics at the last iteration."""
        return self.statistics(self.frames.last)

    def affordable_students(self, n: int) -> int:
        """Return for how many of ``n`` students a run like this one may be computed at once."""
        return min(n, max(int(budget.CLASS / self.problem.cost / (self.trace.n_iter + 1)), 1))

    @functools.cached_property
    def references(self) -> pa.Table | None:
        """Truth, estimate with the labels known, EM's, and the gaps; None if K is not the truth's.

        One row a parameter that is estimated. Without truth and sample's fault, if the truth is not
        known.
        """
        problem, truth = self.problem, self.problem.sample.truth
        if truth is None or self.labelled is None:
            return None
        if self.params.n_components != truth.n_components:
            return None
        schema = [
            c for c in frames.schema(truth, problem.words.names) if c.field in problem.quantities
        ]
        true, known, found = (
            np.array([column.of(params) for column in schema])
            for params in (truth, self.labelled, self.params)
        )
        columns = {
            "parameter": [column.name for column in schema],
            "truth": true,
            "labels known": known,
            problem.words.algorithm: found,
            "the sample’s fault": known - true,
            "the missing labels’ fault": found - known,
        }
        if not problem.truth_known:
            del columns["truth"], columns["the sample’s fault"]
        return frames.arrow(columns)

    @property
    def gap(self) -> float | None:
        """Largest distance of an estimate from its truth, in what tells the components apart.

        With more or fewer components than the truth has, of an estimate from the nearest truth.
        None without a truth.
        """
        if self.problem.sample.truth is None:
            return None
        ours, theirs = (
            getattr(params, self.problem.words.by).reshape(max(params.n_components, 1), -1)
            for params in (self.params, self.problem.sample.truth)
        )
        distances = np.linalg.norm(ours[:, None] - theirs[None], axis=2)
        if len(ours) == len(theirs):
            return float(distances.diagonal().max())
        return float(distances.min(axis=1).max())

    @property
    def still_to_gain(self) -> float:
        """How much the objective would still gain if the run went on."""
        if self.trace.converged and self.problem.tol == 0:
            return 0.0  # nothing changes any more
        return self.limit.final.objective - self.trace.final.objective

    @property
    def missed(self) -> float:
        """How much more the objective reaches from the truth than from this guess, 0 if unknown."""
        if self.from_truth is None or self.from_truth.status is Status.NON_FINITE:
            return 0.0
        return self.from_truth.final.objective - self.trace.final.objective


def run_em(make: Callable[[Settings], Problem], settings: Settings) -> Run:
    """Run EM from the guess and from the truth, match the components, and build the tables."""
    problem = make(settings)
    trace = problem.fit(problem.start)
    sample, truth, by = problem.sample, problem.truth, problem.words.by
    labelled, from_truth, order = None, None, np.arange(problem.start.n_components)
    if truth is not None and problem.start.n_components == truth.n_components:
        enough = min(problem.max_iter, max(int(budget.TRUTH / problem.work), 10))
        from_truth = problem.fit(truth, max_iter=enough)
    if truth is not None and problem.is_mixture and sample.labels is not None:
        labelled = fit_labelled(problem.labelled_model, sample.data, sample.labels, truth)
    final = frames.drawable(trace).final.params
    if sample.truth is not None and final.n_components:
        order = match_components(getattr(final, by), getattr(sample.truth, by))
        trace = trace.relabel(order)
    tables = frames.build(
        trace,
        sample.truth,
        labelled,
        problem.words.names,
        objective=problem.objective.title.lower(),
        sign=problem.objective.sign,
    )
    return Run(problem, trace, from_truth, labelled, order, tables, settings, make)


def _name(make: Callable[[Settings], Problem]) -> str:
    return f"{make.__module__}.{make.__qualname__}"


def fitted(make: Callable[[Settings], Problem], settings: Settings) -> Run:
    """Return the run of the problem that ``make`` makes of some settings, kept for all sessions."""
    return _fitted(_name(make), settings, make)


@cached
def _fitted(name: str, settings: Settings, _make: Callable[[Settings], Problem]) -> Run:
    return run_em(_make, settings)
