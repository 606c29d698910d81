"""Has it really converged: why the run stopped, how fast it converges, and what is left to go."""

from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from em_core import Status
from em_core.diagnostics import linear_rate
from em_ui.controls.page import Controls
from em_ui.pictures import charts, frames
from em_ui.run.limit import leapt, own_steps
from em_ui.run.problem import count
from em_ui.run.run import Run
from em_ui.sections.findings import level

# Distances to the limit below this, relative to the parameters, are rounding.
_ROUNDING = 1e-12
# In last steps: what is left is far, and what is not worth a number.
_FAR, _A_TENTH = 5.0, 0.1
# A measured rate agrees with an eigenvalue if both, and what they miss to 1, differ by less than
# this part.
_AGREE = 0.05
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def stopping_rule(run: Run) -> str:
    """Return in words when the run stops."""
    per = run.problem.words.observation
    tol, limit = run.problem.tol, count(run.problem.max_iter, "iteration")
    gain = f"an iteration gains no more than {tol:g} per {per}".replace("e-0", "e-")
    return f"Stop when {gain if tol else 'no parameter changes any more'}, or after {limit}."


def draw(c: Controls, run: Run, *, caveat: str = "") -> None:
    """Report why the run stopped and how fast it converges.

    ``caveat`` says when the rate is not the fraction of missing information.
    """
    trace, n, per = run.trace, run.problem.n, run.problem.words.observation
    st.markdown(f"**The rule.** {stopping_rule(run)} {run.message}")
    if trace.n_iter and np.isfinite(trace.final.objective):
        gain = trace.objectives[-1] - trace.objectives[-2]
        change = "gain" if run.problem.objective.sign > 0 else "fall"
        st.markdown(f"**The last {change}** was {plain(gain)}, or {plain(gain / n)} per {per}.")
    if run.problem.winner_takes_all:
        st.markdown(
            "**Speed.** With hard assignment there are finitely many ways to assign the data, "
            "so the run ends exactly, after finitely many iterations."
        )
        return
    limit = run.limit
    if Status.NON_FINITE in (trace.status, limit.status):
        st.markdown("**Speed.** This run does not converge, so there is no limit to measure from.")
        return
    vectors = np.array([step.params.vector() for step in run.steps])
    end = limit.final.params.vector()
    distances = np.linalg.norm(vectors - end, axis=1)
    reached = limit.converged
    st.markdown(f"**Speed.** {_speed(run, caveat)}")
    if not reached:
        more = count(limit.n_iter, "more iteration")
        followed = f"with the work of {more}" if leapt(limit) else f"for {more}"
        st.markdown(
            f"**The limit was not reached.** The run was followed {followed} and was still moving. "
            "Distances here are measured from where it was by then; the limit is farther away."
        )
    last_step = np.linalg.norm(vectors[-1] - vectors[-2]) if len(vectors) > 1 else 0.0
    if distances[-1] <= _ROUNDING * np.linalg.norm(end):
        st.markdown("**Still to go.** Nothing: the run has arrived.")
    elif last_step > 0:
        times = distances[-1] / last_step
        st.markdown(
            f"**Still to go.** The parameters are {plain(distances[-1])} away from where the run "
            f"{'would end' if reached else 'was by then'}: "
            + (
                f"{times:.1f} times the last step."
                if times >= _A_TENTH
                else "less than a tenth of the last step."
            )
            + " A small gain does not mean that the limit is near." * bool(times > _FAR)
        )
    far = distances > _ROUNDING * np.linalg.norm(end)
    table = frames.arrow({"iteration": np.flatnonzero(far), "distance": distances[far]})
    if len(table) > 1:
        charts.show(
            charts.distance("Distance to the limit"),
            {"distance": table},
            key=c.key("distance"),
            alt=f"Distance to the limit on a log scale, from {plain(distances[0])} to "
            f"{plain(distances[far][-1])}; a straight line means a constant rate",
        )
        st.caption(
            "On this log scale a constant rate is a straight line. "
            f"{'The limit' if reached else 'In the place of the limit'}: the same run, continued "
            + (
                "by a method that leaps ahead (SQUAREM), with the work of "
                f"{count(limit.n_iter, 'more iteration')}."
                if leapt(limit)
                else f"to {count(run.frames.last + limit.n_iter, 'iteration')}."
            )
        )


def plain(value: float) -> str:
    """Return a number with three digits, as one writes it: 4.1·10⁻⁵, not 4.1e-05."""
    digits, _, exponent = f"{value:.3g}".partition("e")
    return f"{digits}·10{str(int(exponent)).translate(_RAISED)}" if exponent else digits


def _speed(run: Run, caveat: str) -> str:
    """Return how fast the run converges: what was measured, and what that is a measure of."""
    limit, title = run.limit, run.problem.objective.title.lower()
    if run.flat:
        return (
            f"There is no rate to speak of: {level(run)} The data cannot tell the parameters there "
            f"apart, so that runs end at different ones, with the same {title}."
        )
    if leapt(limit) and limit.converged:
        return _slowest(run, caveat)
    rate = linear_rate(replace(limit, steps=own_steps(limit)))
    end = limit.final.params.vector()
    left = float(np.linalg.norm(run.params.vector() - end))
    arrived = left <= _ROUNDING * float(np.linalg.norm(end))
    if np.isnan(rate) and arrived:
        rate = linear_rate(run.trace)
    saddle = run.eigenvalues is not None and run.eigenvalues[0] >= 1
    if np.isnan(rate):
        measured = (
            "The run took too few steps for a rate to be measured."
            if arrived or not limit.converged
            else "There are too few steps near the limit for a rate to be measured."
        )
        return f"{measured} {_grows(run)}" if saddle else measured
    if rate >= 1:
        return (
            "As far as the run was followed, its steps do not get shorter yet, so there is no rate "
            "to be measured."
        )
    near = "Near the limit" if limit.converged else "As far as the run was followed,"
    measured = (
        f"{near} each step is {_just_below_one(rate)} times as long as the one before: the *linear "
        f"rate* on the path of this run{'' if arrived else ', continued beyond its end'}."
    )
    if run.eigenvalues is None:
        return measured
    largest = float(run.eigenvalues[0])
    if saddle:
        return f"{measured} {_grows(run)}"
    fraction = _fraction(run, largest, caveat)
    if abs(rate - largest) <= _AGREE * min(largest, 1 - largest):
        return f"{measured} It is {fraction}"
    return (
        f"{measured} The slowest direction is not on this path: there the rate is "
        f"{_just_below_one(largest)}, which is {fraction}"
    )


def _slowest(run: Run, caveat: str) -> str:
    """Return how fast EM is near a limit that was reached by leaps, not on the path of EM."""
    if run.eigenvalues is None:
        return "EM is too slow here for its rate near the limit to be measured."
    largest = float(run.eigenvalues[0])
    if largest >= 1:
        return (
            "The point is a saddle: in some direction, each step near it would be "
            f"{largest:.3f} times as long as the one before."
        )
    return (
        f"Near the limit, in the slowest direction, each step is {_just_below_one(largest)} times "
        f"as long as the one before: the *linear rate*. It is {_fraction(run, largest, caveat)}"
    )


def _fraction(run: Run, largest: float, caveat: str) -> str:
    """Return what the largest eigenvalue of EM's map at a top is a measure of."""
    missing = "labels" if run.problem.is_mixture else "data"
    return (
        f"the largest fraction of the information on the parameters that the missing {missing} "
        f"take away, here about {_just_below_one(largest, percent=True)}{caveat}."
    )


def _grows(run: Run) -> str:
    """Return that steps grow in a direction that is not on the path."""
    found: Any = run.eigenvalues
    return (
        "The point is a saddle: in a direction that is not on this path, each step would be "
        f"{found[0]:.3f} times as long as the one before."
    )


def _just_below_one(rate: float, *, percent: bool = False) -> str:
    """Return a rate with three digits, or how far it is below one where these would say 1.000."""
    if rate < 0.0005 and not percent:
        return "less than 0.001"
    if rate <= 0.999:
        return f"{max(100 * rate, 0):.1f}%" if percent else f"{rate:.3f}"
    below = 100 * (1 - rate) if percent else 1 - rate
    digit = np.format_float_positional(below, precision=1, fractional=False)
    return f"100% − {digit}%" if percent else f"1 − {digit}"
