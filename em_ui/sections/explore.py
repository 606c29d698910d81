"""The instrument: the player, the picture, the convergence charts, and the line of status."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import streamlit as st

from em_core import Status
from em_ui.controls.page import Controls
from em_ui.pictures import charts
from em_ui.pictures.player import player
from em_ui.run.problem import count
from em_ui.run.run import Run


class Drawing(NamedTuple):
    """A chart with its heading: template, data sets, and what it shows in words."""

    heading: str
    template: charts.Template
    datasets: Mapping[str, pa.Table]
    alt: str


def status_line(c: Controls, run: Run) -> None:
    """Say in one line why the run stopped, after how many iterations, where, and how far off."""
    trace, words, objective = run.trace, run.problem.words, run.problem.objective
    if trace.status in (Status.NON_FINITE, Status.DECREASED):
        st.error(f"**Stopped.** {trace.message}", icon=":material/error:")
        return
    place = f"{objective.title} {objective.text(trace.final.objective)}."
    if run.gap is not None and not c.sealed:
        quantity = words.quantities[words.by].title.lower()
        origin = "truth" if run.problem.truth_known else "estimate with the labels known"
        place += f" Largest distance of a {quantity} from the {origin}: {run.gap:.4g}."
    iterations = count(trace.n_iter, "iteration")
    if trace.converged:
        st.success(f"**Converged** after {iterations}. {place}", icon=":material/check_circle:")
    else:
        text = f"**Not converged yet:** stopped at the limit of {iterations}. {place}"
        st.info(text, icon=":material/hourglass_bottom:")


def compares(c: Controls, run: Run) -> bool:
    """Return whether the page shows truth and labels beside the estimate."""
    return run.labelled is not None and not c.sealed


def explore(
    c: Controls,
    run: Run,
    picture: Drawing,
    *,
    caption: str,
    on_pick: Callable[[], None],
) -> None:
    """Draw the player, the picture, and the convergence charts that the player drives.

    Parameters
    ----------
    c : Controls
        The page's controls.
    run : Run
        What is explored. Each parameter with one value a component gets a chart, and its numbers
        stand beside the slider; of one in the plane the distances moved are drawn.
    picture : Drawing
        The page's main chart.
    caption : str
        What the picture's lines and colours mean.
    on_pick : callable
        Called after a click on the picture; see :func:`em_ui.pictures.charts.picked`.
    """
    objective, names = run.problem.objective, run.names
    quantities = {
        f: q for f, q in run.problem.quantities.items() if getattr(run.params, f).ndim == 1
    }
    over = f"over {count(run.frames.last, 'iteration')}"

    truth = compares(c, run)
    drawings = []
    for field, (title, symbol, form) in quantities.items():
        first, last = getattr(run.steps[0].params, field), getattr(run.params, field)
        paths = ", ".join(
            f"{name} from {start:{form}} to {end:{form}}"
            for name, start, end in zip(names, first, last, strict=True)
        )
        template = charts.parameter(field, f"{title} {symbol}", truth=truth)
        # Each chart gets its own parameter only.
        data = {"steps": run.frames.steps.select(["iteration", "component", field, "last"])}
        if truth:
            for name in ("truth", "labelled"):
                data[name] = getattr(run.frames, name).select(["component", field])
        drawings.append(Drawing(title, template, data, f"{title} {over}: {paths}"))
    if np.isfinite(run.steps[-1].objective):
        start, end = (objective.text(step.objective) for step in (run.steps[0], run.steps[-1]))
        alt = f"{objective.title} {over}: from {start} to {end}"
        template = charts.objective(objective.title)
        drawings.append(Drawing(objective.title, template, {"steps": run.frames.objective}, alt))

    if len(quantities) < len(run.problem.quantities):
        component = run.problem.words.component
        template = charts.movement("Distance moved")
        alt = f"Distance that each {component} moved in each of {run.frames.last} iterations"
        title = f"How far each {component} moved"
        drawings.append(Drawing(title, template, {"steps": run.frames.steps}, alt))

    columns = [f"{q.symbol} {name}" for q in quantities.values() for name in names]
    rows = [
        [f"{x:{q.format}}" for field, q in quantities.items() for x in getattr(step.params, field)]
        + [objective.text(step.objective)]
        for step in run.steps
    ]
    player(
        c.prefix,
        [*columns, objective.title],
        rows,
        param=c.key("iter"),
        report=c.follows,
    )
    st.markdown(f"**{picture.heading}**")
    key = c.key("picture")
    charts.show(picture.template, picture.datasets, key=key, alt=picture.alt, on_pick=on_pick)
    st.caption(caption)
    in_row(drawings, key=c.key("convergence"))
    if quantities and truth:
        st.caption(
            "Dashed: the truth. Dotted: the estimate with the labels known."
            if run.problem.truth_known
            else "Dashed and dotted: the estimate with the labels known. Nobody knows the truth."
        )


def in_row(drawings: Sequence[Drawing], *, key: str) -> None:
    """Draw charts side by side; on a phone they come below each other."""
    a_row = 2 if len(drawings) == 4 else len(drawings)
    for i, drawing in enumerate(drawings):
        if i % a_row == 0:
            columns = st.columns(a_row)
        with columns[i % a_row]:
            st.markdown(f"**{drawing.heading}**")
            charts.show(drawing.template, drawing.datasets, key=f"{key}_{i}", alt=drawing.alt)
