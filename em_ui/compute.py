"""Runs for the pages: seeds become streams here, EM is run, and the results are kept."""

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np
import streamlit as st

from em_core.engine import Model, Params, Sample, Trace, fit
from em_core.numerics import match_components
from em_ui import frames

DATA, GUESS, DRAWING = range(3)

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Results kept per page. The largest run allowed (100,000 points) takes a few megabytes.
_CACHED_RUNS = 64

# Fits in several threads at once fight over the interpreter, and all of them get slower.
_one_at_a_time = threading.RLock()


def stream(seed: int, purpose: int, *more: int) -> np.random.Generator:
    """Return the generator for one purpose: one seed gives independent streams for each.

    Parameters
    ----------
    seed : int
        The number in the sidebar.
    purpose : int
        :data:`DATA`, :data:`GUESS` or :data:`DRAWING`.
    more : int
        Further indices, for example of a restart.
    """
    return np.random.default_rng([seed, purpose, *more])


def cached_run(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Cache what a page computes, for all sessions, and compute one run at a time.

    The result is shared between sessions as it is: nobody may change it. Settings that em_core
    refuses end the page with the reason.
    """

    @functools.wraps(function)
    def alone(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with _one_at_a_time:
            return function(*args, **kwargs)

    cached = st.cache_resource(alone, max_entries=_CACHED_RUNS, show_spinner="Running EM …")

    @functools.wraps(function)
    def or_say_why(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return cached(*args, **kwargs)
        except ValueError as error:
            st.error(f"EM cannot run with these settings: {error}.", icon=":material/error:")
            st.stop()

    return or_say_why


@dataclass(frozen=True)
class Run:
    """One run of EM on simulated data, as a page shows it.

    Attributes
    ----------
    model, sample
        What was run, on what.
    trace : Trace
        From the initial guess, its components in the order of the truth.
    from_truth : Trace
        The same from the true parameters: how good an answer there is to be found.
    order : ndarray of int, shape (K,)
        The place that each component of ``trace`` had in the initial guess.
    by : str
        The parameter that tells the components apart.
    frames : Frames
        The tables of ``trace``.
    """

    model: Model[Any, Any]
    sample: Sample[Any]
    trace: Trace[Any]
    from_truth: Trace[Any]
    order: np.ndarray
    by: str
    frames: frames.Frames

    @property
    def params(self) -> Any:
        """The last parameters that can be drawn."""
        return frames.drawable(self.trace).final.params

    @property
    def gaps(self) -> np.ndarray:
        """Distance of each estimate from its truth, in the parameter that tells them apart."""
        difference = getattr(self.params, self.by) - getattr(self.sample.truth, self.by)
        return np.linalg.norm(difference.reshape(len(difference), -1), axis=1)

    @property
    def missed(self) -> float:
        """How much more the objective reaches from the truth than from this guess."""
        return self.from_truth.final.objective - self.trace.final.objective


def run_em(
    model: Model[Any, Any],
    sample: Sample[Any],
    start: Params,
    *,
    truth: Params | None = None,
    by: str,
    names: Sequence[str],
    objective: str,
    sign: int = 1,
    tol: float,
    max_iter: int,
) -> Run:
    """Run EM from a guess and from the truth, match the components, and build the tables.

    Parameters
    ----------
    truth : Params, optional
        Start of the second run, where it is not ``sample.truth``.
    names, objective, sign
        As for :func:`em_ui.frames.build`.
    """
    trace = fit(model, sample.data, start, tol=tol, max_iter=max_iter)
    from_truth = fit(model, sample.data, truth or sample.truth, tol=tol, max_iter=max_iter)
    final = frames.drawable(trace).final.params
    order = match_components(getattr(final, by), getattr(sample.truth, by))
    trace = trace.relabel(order)
    tables = frames.build(trace, sample.truth, names, objective=objective, sign=sign)
    return Run(model, sample, trace, from_truth, order, by, tables)
