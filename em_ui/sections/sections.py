"""Sections that every example page has, from the question to the convergence report."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from em_core.diagnostics import linear_rate
from em_core.engine import Status
from em_ui.controls.page import Controls, Situation
from em_ui.pictures import charts, frames
from em_ui.run.compute import Run
from em_ui.sections.explore import (
    Drawing,
    Objective,
    Quantity,
    afterwards,
    count,
    explore,
    in_row,
    status_line,
)

# Pages take these from here too.
__all__ = ["Drawing", "Objective", "Quantity", "afterwards", "explore", "in_row", "status_line"]

# Where the iteration table and the like will be.
UNTIL_THEN = (
    "The table of all iterations, and what they add up to, appear here once you have played to the "
    "end. (⇥ in the player goes there at once.)"
)

# Distances to the limit below this, relative to the parameters, are rounding.
_ROUNDING = 1e-12


def advice(findings: Mapping[str, bool], situation: Situation | None = None) -> None:
    """Show the findings that hold: what went wrong in this run, and what to try.

    In a situation they would give its answer away, and :func:`answer` shows them.
    """
    if situation is None:
        _warn_of(findings)


def _warn_of(findings: Mapping[str, bool]) -> None:
    for text, holds in findings.items():
        if holds:
            st.warning(text, icon=":material/lightbulb:")


def question(situation: Situation | None, *, before: str = "Before you press play") -> None:
    """Show the situation's question, to be answered before the visitor does something."""
    if situation:
        st.info(situation.question, title=before, icon=":material/help:")


def answer(
    situation: Situation | None,
    findings: Mapping[str, bool] | None = None,
    *,
    after: str = "After you have played",
) -> None:
    """Keep the answer to the situation's question, and what went wrong, behind a click."""
    if situation:
        with st.expander(f"{after}: what happened, and why"):
            st.markdown(situation.answer)
            _warn_of(findings or {})


def references(run: Run, quantities: Mapping[str, Quantity]) -> None:
    """Show truth, estimate with the labels known, and EM's estimate, and whose fault the gaps are.

    Without as many components as the truth has, there is nothing to put side by side.
    """
    table = run.references
    if table is None:
        return
    named = table["parameter"].to_pylist()
    shown = [run.frames.field_of(name) in quantities or not quantities for name in named]
    st.header("Whose fault is the rest?")
    loses = f"What {run.problem.algorithm} loses on top of that is the price of the missing labels."
    st.markdown(
        "With the labels known, the estimate still misses the truth: that is the luck of the "
        f"sample, and more data make it smaller. {loses}"
        if run.problem.truth_known
        else "Nobody knows the truth behind these data. The estimate with the labels known misses "
        f"it by the luck of the sample. {loses}"
    )
    st.dataframe(
        table.filter(pa.array(shown)),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.4f") for name in table.column_names[1:]
        },
        alt="Each parameter: the truth, with labels known, by EM, and the gaps"
        if run.problem.truth_known
        else "Each parameter: with labels known, by EM, and the gap",
    )


def iteration_table(c: Controls, run: Run, quantities: Mapping[str, Quantity]) -> None:
    """Show the iteration table, with a download of all its digits."""
    table = run.frames.table
    formats: dict[str | None, str] = {
        field: f"%{quantity.format}" for field, quantity in quantities.items()
    }
    st.header("Iteration table")
    st.dataframe(
        table,
        hide_index=True,
        key=c.key("table"),
        height=320,
        placeholder="–",
        column_config={
            column: st.column_config.NumberColumn(
                format="%d"
                if column == "iteration"
                else formats.get(run.frames.field_of(column), "%.4f")
            )
            for column in table.column_names
        },
        alt="Parameters and objective at every iteration, the initial guess first",
    )
    csv_download("Download the table (CSV)", table, f"{c.prefix}-iterations.csv", c.key("csv"))


def csv_download(label: str, table: pa.Table | pd.DataFrame, file_name: str, key: str) -> None:
    """Offer a table with all its digits. It is written only when it is asked for."""

    def csv() -> bytes:
        frame = table.to_pandas() if isinstance(table, pa.Table) else table
        return frame.to_csv(index=False).encode()

    st.download_button(
        label,
        csv,
        file_name,
        "text/csv",
        key=key,
        icon=":material/download:",
        on_click="ignore",
    )


def moment(iteration: int) -> str:
    """Return an iteration in words."""
    return "the initial guess" if iteration == 0 else f"iteration {iteration}"


def standing(c: Controls, run: Run) -> tuple[int, int]:
    """Return the player's iteration, and the index of the observation that was chosen last."""
    at = min(int(c.position), run.frames.last)
    return at, min(int(c.value("observation")), len(run.problem.sample.data)) - 1


def chosen(c: Controls, run: Run) -> tuple[int, int]:
    """Let the visitor choose an observation; return the player's iteration and its index."""
    at = min(int(c.position), run.frames.last)
    st.markdown(
        f"At **{moment(at)}**, where the player stands. "
        "Choose the observation here, or click it in the picture. Numbers are shown rounded; the "
        "results come from all digits."
    )
    c.show("observation")
    n = len(run.problem.sample.data)
    if c.value("observation") > n:
        st.caption(f"There are only {n:,}. This is the last.")
    return standing(c, run)


def stopping_rule(run: Run, per: str) -> str:
    """Return in words when the run stops; ``per`` is one observation, in words."""
    tol, limit = run.problem.tol, count(run.problem.max_iter, "iteration")
    gain = f"an iteration gains no more than {tol:g} per {per}".replace("e-0", "e-")
    return f"Stop when {gain if tol else 'no parameter changes any more'}, or after {limit}."


def convergence(c: Controls, run: Run, *, per: str, soft: bool, caveat: str = "") -> None:
    """Report why the run stopped and how fast it converges.

    Parameters
    ----------
    c, run
        The page's controls, and the run.
    per : str
        One observation, in words.
    soft : bool
        Whether observations are shared. Hard assignment ends after finitely many iterations.
    caveat : str
        When the rate is not the fraction of missing information.
    """
    trace, n = run.trace, len(run.problem.sample.data)
    st.markdown(f"**The rule.** {stopping_rule(run, per)} {trace.message}")
    if trace.n_iter and np.isfinite(trace.final.objective):
        gain = trace.objectives[-1] - trace.objectives[-2]
        st.markdown(f"**The last gain** was {gain:.3g}, or {gain / n:.3g} per {per}.")
    if not soft:
        st.markdown(
            "**Speed.** With hard assignment there are finitely many ways to assign the data, "
            "so the run ends exactly, after finitely many iterations."
        )
        return
    limit = run.limit
    if Status.NON_FINITE in (trace.status, limit.status):
        st.markdown("**Speed.** This run does not converge, so there is no limit to measure from.")
        return
    rate = linear_rate(limit)
    vectors = np.array(
        [np.concatenate([a.ravel() for a in s.params.arrays().values()]) for s in run.steps]
    )
    end = np.concatenate([a.ravel() for a in limit.final.params.arrays().values()])
    distances = np.linalg.norm(vectors - end, axis=1)
    reached = limit.converged
    if rate >= 1:
        st.markdown(
            "**Speed.** As far as the run was followed, its steps do not get shorter yet, so there "
            "is no rate to be measured."
        )
    elif np.isfinite(rate):
        near = "Near the limit" if reached else "As far as the run was followed,"
        st.markdown(
            f"**Speed.** {near} each step is {_just_below_one(rate)} times as long as the one "
            "before. This *linear rate* is the largest fraction of the information on the "
            "parameters that the missing labels take away, here about "
            f"{_just_below_one(rate, percent=True)}{caveat}."
        )
    if not reached:
        st.markdown(
            f"**The limit was not reached.** The run was followed for "
            f"{count(limit.n_iter, 'more iteration')} and was still moving. Distances here are "
            "measured from where it was by then; the limit is farther away."
        )
    last_step = np.linalg.norm(vectors[-1] - vectors[-2]) if len(vectors) > 1 else 0.0
    if last_step > 0 and distances[-1] > _ROUNDING * np.linalg.norm(end):
        st.markdown(
            f"**Still to go.** The parameters are {distances[-1]:.3g} away from where the run "
            f"{'would end' if reached else 'was by then'}, {distances[-1] / last_step:.1f} times "
            "the last step. A small gain does not mean that the limit is near."
        )
    far = distances > _ROUNDING * np.linalg.norm(end)
    table = frames.arrow({"iteration": np.flatnonzero(far), "distance": distances[far]})
    if len(table) > 1:
        charts.show(
            charts.distance("Distance to the limit"),
            {"distance": table},
            key=c.key("distance"),
            alt=f"Distance to the limit on a log scale, from {distances[0]:.2g} to "
            f"{distances[far][-1]:.2g}; a straight line means a constant rate",
        )
        st.caption(
            "On this log scale a constant rate is a straight line. "
            f"{'The limit' if reached else 'In the place of the limit'}: the same run, "
            f"continued to {count(run.frames.last + limit.n_iter, 'iteration')}."
        )


def _just_below_one(rate: float, *, percent: bool = False) -> str:
    """Return a rate with three digits, or how far it is below one where these would say 1.000."""
    if rate <= 0.999:
        return f"{100 * rate:.1f}%" if percent else f"{rate:.3f}"
    below = 100 * (1 - rate) if percent else 1 - rate
    digit = np.format_float_positional(below, precision=1, fractional=False)
    return f"100% − {digit}%" if percent else f"1 − {digit}"


def optional(
    c: Controls,
    run: Run,
    settings: dict[str, Any],
    objective: Objective,
    parts: Mapping[str, Callable[[Controls, Run, dict[str, Any], Objective], None]],
) -> None:
    """Draw the headings of the sections, and those sections that are open.

    ``parts`` maps names of :data:`em_ui.controls.page.VIEW` to what draws them.
    """
    for name, draw in parts.items():
        box = c.section(name)
        if box is not None:
            with box:
                draw(c, run, settings, objective)


def misconceptions(*texts: tuple[str, str]) -> None:
    """Show beliefs that students bring along, each with its answer."""
    st.header("Often believed")
    st.markdown("\n\n".join(f"**“{belief}”** {reply}" for belief, reply in texts))


def formula(lines: Sequence[str]) -> None:
    """Show lines of LaTeX, aligned at their ampersands."""
    strut = r"\vphantom{\Bigg|}"  # keeps fractions apart, and the first from being cut off
    st.latex(r"\begin{aligned}" + r"\\".join(strut + line for line in lines) + r"\end{aligned}")


def significant(value: float) -> str:
    """Return a number in LaTeX with four significant digits, tiny or huge ones as powers of ten."""
    digits, _, exponent = f"{value:.4g}".partition("e")
    return rf"{digits}\cdot 10^{{{int(exponent)}}}" if exponent else digits


def bracketed(value: float, decimals: int = 4) -> str:
    """Return a number with some decimals, in brackets if it is negative."""
    return f"({value:.{decimals}f})" if value < 0 else f"{value:.{decimals}f}"
