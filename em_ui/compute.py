"""Runs for the pages: seeds become streams here, EM is run, and the results are kept."""

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from em_core.blocks import Blocks, prepare
from em_core.diagnostics import same_solutions
from em_core.engine import Model, Params, Sample, Status, Trace, fit, fit_labelled
from em_core.numerics import match_components
from em_ui import frames

DATA, GUESS, DRAWING = range(3)

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Results kept for each cached function. The largest run allowed takes a few megabytes.
_CACHED_RUNS = 32

# Observations times components times iterations that may be spent on finding the limit.
_LIMIT_WORK = 3e7

# The same for the run from the truth, for all of many starts, and for a class of students.
_TRUTH_WORK, _STARTS_WORK, _CLASS_WORK = 1e8, 4e8, 3e8

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
        As for :func:`em_ui.frames.build`.
    tol, max_iter
        As for :func:`em_core.fit`.
    algorithm : str
        What the page calls it.
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

    @functools.cached_property
    def data(self) -> Blocks:
        """The observations, checked once for all runs."""
        return prepare(self.model, self.sample.data, self.start)

    @property
    def work(self) -> int:
        """Rows times components that one iteration looks at."""
        return sum(map(len, self.data.parts)) * self.start.n_components

    def fit(self, start: Params, *, max_iter: int | None = None) -> Trace[Any]:
        """Run EM from ``start``, as the page says or with another iteration limit."""
        limit = self.max_iter if max_iter is None else max_iter
        with turn(self.work * limit):
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
    """

    problem: Problem
    trace: Trace[Any]
    from_truth: Trace[Any] | None
    labelled: Params
    order: np.ndarray
    frames: frames.Frames

    @property
    def params(self) -> Any:
        """The last parameters that can be drawn."""
        return self.steps[-1].params

    @property
    def steps(self) -> tuple[Any, ...]:
        """The steps that can be drawn."""
        return frames.drawable(self.trace).steps

    @functools.cached_property
    def limit(self) -> Trace[Any]:
        """The run continued from its last parameters, as near to the limit as time allows."""
        problem = self.problem
        max_iter = int(np.clip(_LIMIT_WORK / problem.work, 10, 3_000))
        with turn(problem.work * max_iter):
            return fit(problem.model, problem.data, self.params, tol=0, max_iter=max_iter)

    def affordable_students(self, n: int) -> int:
        """Return for how many of ``n`` students a run like this one may be computed at once."""
        return min(n, max(int(_CLASS_WORK / self.problem.work / (self.trace.n_iter + 1)), 1))

    @functools.cached_property
    def references(self) -> pa.Table | None:
        """Truth, estimate with the labels known, EM's, and the gaps; None if K is not the truth's.

        One row a parameter.
        """
        truth = self.problem.sample.truth
        if self.params.n_components != truth.n_components:
            return None
        named = [frames.flat(p, self.problem.names) for p in (truth, self.labelled, self.params)]
        true, known, found = (np.array(list(values.values())) for values in named)
        return frames.arrow(
            {
                "parameter": list(named[0]),
                "truth": true,
                "labels known": known,
                self.problem.algorithm: found,
                "the sample’s fault": known - true,
                "the missing labels’ fault": found - known,
            }
        )

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
    traces : tuple of Trace
        In the order of the start numbers, components in the order of the truth.
    table : pandas.DataFrame
        One row a start.
    curves : pyarrow.Table
        start, solution, iteration, objective: thinned to at most :data:`CURVE_STEPS` a start.
    """

    traces: tuple[Trace[Any], ...]
    table: pd.DataFrame
    curves: pa.Table


CURVE_STEPS = 60


def run_starts(problem: Problem, n: int) -> Starts:
    """Run EM from the first ``n`` guesses of the page's method and seed.

    Where the observations are many, there are fewer starts: others wait while these run.
    """
    n = min(n, max(int(_STARTS_WORK / problem.work / (problem.max_iter + 1)), 1))
    by, truth = problem.by, problem.sample.truth
    traces = []
    for number in range(1, n + 1):
        trace = problem.fit(problem.guess(stream(problem.guess_seed, GUESS, number)))
        final = frames.drawable(trace).final.params
        order = match_components(getattr(final, by), getattr(truth, by))
        traces.append(trace.relabel(order))
    solutions = [number + 1 for number in same_solutions(traces)]
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
    return Starts(tuple(traces), pd.DataFrame(rows), pa.concat_tables(curves).combine_chunks())
