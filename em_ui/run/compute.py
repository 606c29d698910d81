"""Runs for the pages: seeds become streams here, EM is run, and the results are kept."""

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from em_core.data.blocks import Blocks, prepare
from em_core.diagnostics import same_solutions
from em_core.engine import Status, Trace, expectations, fit, fit_labelled
from em_core.model import Model, Params, Sample
from em_core.numerics import match_components
from em_ui.pictures import frames

DATA, GUESS, DRAWING = range(3)

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Results kept for each cached function. The largest run allowed takes a few megabytes.
_CACHED_RUNS = 32

# Rows times components times iterations that may be spent on finding the limit.
_LIMIT_WORK = 3e7

# The same for the run from the truth, for all of many starts, for going on from where these ended,
# and for a class of students.
_TRUTH_WORK, _STARTS_WORK, _ENDS_WORK, _CLASS_WORK = 1e8, 3e8, 1e8, 3e8

# Rows times components that take as long as what an iteration does besides.
_LEAST_WORK = 15_000

# Fits in several threads at once fight over the interpreter, and all of them get slower. So they
# take turns, in two queues: a quick one does not wait for one of more rows, components and
# iterations than this.
_QUICK_WORK = 2e7
_quick, _slow = threading.Lock(), threading.Lock()


def stream(seed: int, purpose: int, *more: int) -> np.random.Generator:
    """Return the generator for one purpose: one seed gives independent streams for each.

    Parameters
    ----------
    seed : int
        The number in the sidebar.
    purpose : int
        :data:`DATA`, :data:`GUESS` or :data:`DRAWING`.
    more : int
        Further indices, for example of a start.
    """
    return np.random.default_rng([seed, purpose, *more])


@contextmanager
def turn(work: float) -> Iterator[None]:
    """Wait for the turn of a computation.

    Inside, nothing may be asked for that is cached: who computes it may wait for a turn too.

    Parameters
    ----------
    work : float
        How many rows times components times iterations it looks at, at the most.
    """
    with _slow if work > _QUICK_WORK else _quick:
        yield


def cached_run(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Cache what a page computes, for all sessions.

    The result is shared between sessions as it is: nobody may change it. Settings that em_core
    refuses end the page with the reason.
    """
    cached = st.cache_resource(function, max_entries=_CACHED_RUNS, show_spinner="Running EM …")

    @functools.wraps(function)
    def or_say_why(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return cached(*args, **kwargs)
        except ValueError as error:
            st.error(f"EM cannot run with these settings: {error}.", icon=":material/error:")
            st.stop()

    return or_say_why


def check_enough(find: int, n: int) -> None:
    """Raise ValueError, in words for the page, if there are more components than observations."""
    if find > n:
        raise ValueError(
            f"{find} different observations are needed to start from, and there are only {n}. "
            "Look for fewer, make more data, or choose another initial guess"
        )


@dataclass(frozen=True)
class Problem:
    """What a page's settings ask EM to do.

    Attributes
    ----------
    model, sample, start
        What is run, on what, from where.
    guess : callable
        Maps a generator to an initial guess: the page's method, for many starts.
    guess_seed : int
        Seed of these guesses.
    truth : Params
        The true parameters, as the model can start from them.
    by : str
        The parameter that tells the components apart.
    names : sequence of str
        Names of the components.
    objective, sign
        As for :func:`em_ui.pictures.frames.build`.
    tol, max_iter
        As for :func:`em_core.fit`.
    algorithm : str
        What the page calls it.
    truth_known : bool
        Whether the data were made here. Of others the truth is not known, and in its place stands
        the estimate with the labels known.
    """

    model: Model[Any, Any]
    sample: Sample[Any]
    start: Params
    guess: Callable[[np.random.Generator], Params]
    guess_seed: int
    truth: Params
    by: str
    names: Sequence[str]
    tol: float
    max_iter: int
    objective: str = "log-likelihood"
    sign: int = 1
    algorithm: str = "EM"
    truth_known: bool = True

    @functools.cached_property
    def data(self) -> Blocks:
        """The observations, checked once for all runs."""
        return prepare(self.model, self.sample.data, self.start)

    @property
    def work(self) -> int:
        """Rows times components that one iteration looks at."""
        return sum(map(len, self.data.parts)) * self.start.n_components

    @property
    def cost(self) -> int:
        """The same, but no less than what an iteration of few rows takes."""
        return max(self.work, _LEAST_WORK)

    def fit(self, start: Params, *, max_iter: int | None = None) -> Trace[Any]:
        """Run EM from ``start``, as the page says or with another iteration limit."""
        limit = self.max_iter if max_iter is None else max_iter
        with turn(self.cost * limit):
            return fit(self.model, self.data, start, tol=self.tol, max_iter=limit)


@dataclass(frozen=True)
class Run:
    """One run of EM on simulated data, as a page shows it.

    Attributes
    ----------
    problem : Problem
        What was run.
    trace : Trace
        From the initial guess, its components in the order of the truth.
    from_truth : Trace or None
        The same from the true parameters: how good an answer there is to be found. It starts near
        its end, so it is cut short where iterations take long. None if the model has not as many
        components as the truth.
    labelled : Params
        The estimate with the labels known.
    order : ndarray of int, shape (K,)
        The place that each component of ``trace`` had in the initial guess.
    frames : Frames
        The tables of ``trace``.
    found : dict
        The limit, once somebody has asked for it.
    asking : lock
        Held while it is computed.
    """

    problem: Problem
    trace: Trace[Any]
    from_truth: Trace[Any] | None
    labelled: Params
    order: np.ndarray
    frames: frames.Frames
    found: dict[str, Trace[Any]] = field(default_factory=dict)
    asking: threading.Lock = field(default_factory=threading.Lock)

    @property
    def params(self) -> Any:
        """The last parameters that can be drawn."""
        return self.steps[-1].params

    @property
    def steps(self) -> tuple[Any, ...]:
        """The steps that can be drawn."""
        return frames.drawable(self.trace).steps

    @property
    def limit(self) -> Trace[Any]:
        """The run continued from its last parameters, as near to the limit as time allows."""
        # Not a cached_property: up to Python 3.11 that has one lock for all runs.
        with self.asking:
            if "limit" not in self.found:
                problem = self.problem
                max_iter = int(np.clip(_LIMIT_WORK / problem.work, 10, 3_000))
                with turn(problem.work * max_iter):
                    self.found["limit"] = fit(
                        problem.model, problem.data, self.params, tol=0, max_iter=max_iter
                    )
            return self.found["limit"]

    def statistics(self, iteration: int) -> Any:
        """Return what an iteration's E-step gives to the M-step, summed over all observations."""
        problem = self.problem
        with turn(problem.cost):
            return expectations(problem.model, problem.data, self.steps[iteration].params)[0]

    def affordable_students(self, n: int) -> int:
        """Return for how many of ``n`` students a run like this one may be computed at once."""
        return min(n, max(int(_CLASS_WORK / self.problem.cost / (self.trace.n_iter + 1)), 1))

    @functools.cached_property
    def references(self) -> pa.Table | None:
        """Truth, estimate with the labels known, EM's, and the gaps; None if K is not the truth's.

        One row a parameter. Without truth and sample's fault, if the truth is not known.
        """
        truth = self.problem.sample.truth
        if self.params.n_components != truth.n_components:
            return None
        named = [frames.flat(p, self.problem.names) for p in (truth, self.labelled, self.params)]
        true, known, found = (np.array(list(values.values())) for values in named)
        columns = {
            "parameter": list(named[0]),
            "truth": true,
            "labels known": known,
            self.problem.algorithm: found,
            "the sample’s fault": known - true,
            "the missing labels’ fault": found - known,
        }
        if not self.problem.truth_known:
            del columns["truth"], columns["the sample’s fault"]
        return frames.arrow(columns)

    @property
    def gap(self) -> float:
        """Largest distance of an estimate from its truth, in what tells the components apart.

        With more or fewer components than the truth has, of an estimate from the nearest truth.
        """
        ours, theirs = (
            getattr(params, self.problem.by).reshape(params.n_components, -1)
            for params in (self.params, self.problem.sample.truth)
        )
        distances = np.linalg.norm(ours[:, None] - theirs[None], axis=2)
        if len(ours) == len(theirs):
            return float(distances.diagonal().max())
        return float(distances.min(axis=1).max())

    @property
    def still_to_gain(self) -> float:
        """How much the objective would still gain if the run went on."""
        return self.limit.final.objective - self.trace.final.objective

    @property
    def missed(self) -> float:
        """How much more the objective reaches from the truth than from this guess, 0 if unknown."""
        if self.from_truth is None or self.from_truth.status is Status.NON_FINITE:
            return 0.0
        return self.from_truth.final.objective - self.trace.final.objective


def run_em(problem: Problem) -> Run:
    """Run EM from the guess and from the truth, match the components, and build the tables."""
    trace = problem.fit(problem.start)
    same_k = problem.start.n_components == problem.truth.n_components
    enough = min(problem.max_iter, max(int(_TRUTH_WORK / problem.work), 10))
    from_truth = problem.fit(problem.truth, max_iter=enough) if same_k else None
    sample, by = problem.sample, problem.by
    labelled = fit_labelled(problem.model, sample.data, sample.labels, problem.truth)
    final = frames.drawable(trace).final.params
    order = match_components(getattr(final, by), getattr(sample.truth, by))
    trace = trace.relabel(order)
    tables = frames.build(
        trace,
        sample.truth,
        labelled,
        problem.names,
        objective=problem.objective,
        sign=problem.sign,
    )
    return Run(problem, trace, from_truth, labelled, order, tables)


@dataclass(frozen=True)
class Starts:
    """Many runs of one problem from different guesses.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a start. Its solution is where it would end if it went on.
    curves : pyarrow.Table
        start, solution, iteration, objective: thinned to at most :data:`CURVE_STEPS` a start.
    moving : int
        How many were still moving when this was given up.
    """

    table: pd.DataFrame
    curves: pa.Table
    moving: int


CURVE_STEPS = 60

# A run that gains less than this per observation has ended, for the comparison of many.
_STILL = 1e-11


def run_starts(problem: Problem, n: int) -> Starts:
    """Run EM from the first ``n`` guesses of the page's method and seed.

    Where they take long, there are fewer: others wait while these run.
    """
    by, truth = problem.by, problem.sample.truth
    traces: list[Trace[Any]] = []
    spent = 0
    for number in range(1, n + 1):
        trace = problem.fit(problem.guess(stream(problem.guess_seed, GUESS, number)))
        final = frames.drawable(trace).final.params
        order = match_components(getattr(final, by), getattr(truth, by))
        traces.append(trace.relabel(order))
        spent += problem.cost * (trace.n_iter + 1)
        if spent * (number + 1) / number > _STARTS_WORK:
            break
    ends = _ends(problem, traces)
    solutions = [number + 1 for number in same_solutions(ends)]
    rows, curves = [], []
    for number, (trace, solution) in enumerate(zip(traces, solutions, strict=True), 1):
        shown = frames.drawable(trace)
        final = shown.final
        rows.append(
            {
                "start": number,
                "solution": solution,
                **{
                    f"{when} {name}": value
                    for when, params in (("start", trace.steps[0].params), ("end", final.params))
                    for name, value in frames.flat(params, problem.names).items()
                },
                problem.objective: problem.sign * final.objective,
                "iterations": trace.n_iter,
                "status": trace.status.value.replace("_", " "),
            }
        )
        kept = np.unique(np.linspace(0, shown.n_iter, CURVE_STEPS).round().astype(int))
        curves.append(
            frames.extend(
                frames.arrow(
                    {"iteration": kept, "objective": problem.sign * shown.objectives[kept]}
                ),
                start=number,
                solution="best" if solution == 1 else "other",
            )
        )
    return Starts(
        table=pd.DataFrame(rows),
        curves=pa.concat_tables(curves).combine_chunks(),
        moving=sum(end.status is Status.MAX_ITER for end in ends),
    )


def _ends(problem: Problem, traces: Sequence[Trace[Any]]) -> list[Trace[Any]]:
    """Return each run as it goes on until it hardly moves, or as far as time allows.

    Runs that stopped early lie apart on the way to one place, and would count as different.
    """
    max_iter = int(min(_ENDS_WORK / problem.cost / len(traces), 1_000))
    ends = []
    for trace in traces:
        final = frames.drawable(trace).final.params
        with turn(problem.cost * max_iter):
            ends.append(fit(problem.model, problem.data, final, tol=_STILL, max_iter=max_iter))
    return ends
