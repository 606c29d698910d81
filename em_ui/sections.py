"""Sections that every example page has: the status line, the player with its charts, the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
import streamlit as st

from em_core.engine import Status
from em_ui import charts
from em_ui.compute import Run
from em_ui.player import player


@dataclass(frozen=True)
class Objective:
    """What a page calls the objective, and -1 as sign where it shows minus the objective."""

    title: str
    sign: int = 1
    format: str = ",.4f"

    def text(self, value: float) -> str:
        """Return a value of the objective as the page shows it."""
        return f"{self.sign * value + 0.0:{self.format}}"  # + 0.0 takes the sign off minus zero


class Quantity(NamedTuple):
    """A parameter on the page: title, symbol, and the format of its values."""

    title: str
    symbol: str
    format: str


class Drawing(NamedTuple):
    """A chart with its heading: template, data sets, and what it shows in words."""

    heading: str
    template: charts.Template
    datasets: Mapping[str, pd.DataFrame]
    alt: str


def count(n: int, noun: str) -> str:
    """Return a number with its noun: 1 iteration, 2 iterations."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def status_line(run: Run, objective: Objective, *, quantity: str) -> None:
    """Say in one line why the run stopped, after how many iterations, where, and how far off.

    ``quantity`` is what the distance to the truth is measured between, in words.
    """
    trace = run.trace
    if trace.status in (Status.NON_FINITE, Status.DECREASED):
        st.error(f"**Stopped.** {trace.message}", icon=":material/error:")
        return
    place = (
        f"{objective.title} {objective.text(trace.final.objective)}. "
        f"Largest distance of a {quantity} from the truth: {run.gaps.max():.4g}."
    )
    iterations = count(trace.n_iter, "iteration")
    if trace.converged:
        st.success(f"**Converged** after {iterations}. {place}", icon=":material/check_circle:")
    else:
        text = f"**Not converged yet:** stopped at the limit of {iterations}. {place}"
        st.info(text, icon=":material/hourglass_bottom:")


def advice(findings: Mapping[str, bool]) -> None:
    """Show the findings that hold: what went wrong in this run, and what to try."""
    for text, holds in findings.items():
        if holds:
            st.warning(text, icon=":material/lightbulb:")


def explore(
    run: Run,
    quantities: Mapping[str, Quantity],
    objective: Objective,
    picture: Drawing,
    *,
    caption: str,
    key: str,
    extra: Sequence[Drawing] = (),
) -> None:
    """Draw the player, the picture, and the convergence charts that the player drives.

    Parameters
    ----------
    run : Run
        What is explored.
    quantities : mapping of str to Quantity
        Each parameter with one value a component: it gets a chart, and its numbers stand beside
        the slider.
    objective : Objective
        Its name and sign.
    picture : Drawing
        The page's main chart.
    caption : str
        What the picture's lines and colours mean.
    key : str
        Prefix of the keys.
    extra : sequence of Drawing
        Further charts beside the convergence charts.
    """
    over = f"over {count(run.frames.last, 'iteration')}"
    names = list(run.frames.steps["component"].unique())
    data = {"steps": run.frames.steps, "truth": run.frames.truth}
    shown = run.trace.steps[: run.frames.last + 1]

    drawings = []
    for field, (title, symbol, form) in quantities.items():
        first, last = getattr(shown[0].params, field), getattr(shown[-1].params, field)
        paths = ", ".join(
            f"{name} from {start:{form}} to {end:{form}}"
            for name, start, end in zip(names, first, last, strict=True)
        )
        template = charts.parameter(field, f"{title} {symbol}")
        drawings.append(Drawing(title, template, data, f"{title} {over}: {paths}"))
    start, end = (objective.text(step.objective) for step in (shown[0], shown[-1]))
    alt = f"{objective.title} {over}: from {start} to {end}"
    template = charts.objective(objective.title)
    drawings.append(Drawing(objective.title, template, {"steps": run.frames.objective}, alt))

    columns = [f"{q.symbol} {name}" for q in quantities.values() for name in names]
    rows = [
        [f"{x:{q.format}}" for field, q in quantities.items() for x in getattr(step.params, field)]
        + [objective.text(step.objective)]
        for step in shown
    ]
    with st.container(key=f"{key}_explore"):
        player(f"{key}_explore", [*columns, objective.title], rows)
        st.markdown(f"**{picture.heading}**")
        charts.show(picture.template, picture.datasets, key=f"{key}_picture", alt=picture.alt)
        st.caption(caption)
        in_row([*drawings, *extra], key=f"{key}_convergence")


def in_row(drawings: Sequence[Drawing], *, key: str) -> None:
    """Draw charts side by side; on a phone they come below each other."""
    for i, (column, drawing) in enumerate(zip(st.columns(len(drawings)), drawings, strict=True)):
        with column:
            st.markdown(f"**{drawing.heading}**")
            charts.show(drawing.template, drawing.datasets, key=f"{key}_{i}", alt=drawing.alt)


def iteration_table(run: Run, quantities: Mapping[str, Quantity], *, key: str) -> None:
    """Show the iteration table, with a download of all its digits."""
    table = run.frames.table
    formats = {field: f"%{quantity.format}" for field, quantity in quantities.items()}
    st.header("Iteration table")
    st.dataframe(
        table,
        hide_index=True,
        key=f"{key}_table",
        height=320,
        column_config={
            column: st.column_config.NumberColumn(
                format="%d" if column == "iteration" else formats.get(column.split()[0], "%.4f")
            )
            for column in table.columns
        },
        alt="Parameters and objective at every iteration, the initial guess first",
    )
    st.download_button(
        "Download the table (CSV)",
        lambda: table.to_csv(index=False).encode(),
        f"{key}-iterations.csv",
        "text/csv",
        key=f"{key}_csv",
        icon=":material/download:",
        on_click="ignore",
    )
