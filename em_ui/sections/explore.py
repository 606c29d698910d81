"""The instrument: player, picture, convergence charts, and in words where the player stands."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import streamlit as st

from em_core.engine import Status
from em_ui.controls.page import Controls
from em_ui.pictures import charts, player
from em_ui.run.compute import Run

_BESIDE = 2  # charts beside the picture; more of them stand below it
_SHARES = (3, 2)  # of the width: the picture, and what is beside it


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
    """A chart: its title, template, data sets, and what it shows in words.

    The words say how to read it. They do not say how a run ends that has not been played yet.
    """

    title: str
    template: charts.Template
    datasets: Mapping[str, pa.Table]
    alt: str


def count(n: int, noun: str) -> str:
    """Return a number with its noun: 1 iteration, 2 iterations."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


@contextmanager
def afterwards(c: Controls, name: str, *, instead: str = "") -> Iterator[None]:
    """Keep what is drawn inside out of sight until the player has been at the end on this page.

    The browser decides this, see ``style.css``: for the server nothing depends on it. It is
    forgotten when a situation is chosen, when the page is reset, and when it is loaded anew. A page
    without a player has no end, and shows nothing of this.

    Parameters
    ----------
    c : Controls
        The page's controls.
    name : str
        Tells apart several such parts of a page.
    instead : str
        A line that stands there until then.
    """
    if instead:
        with st.container(key=c.key(f"beforehand_{name}")):
            st.caption(instead)
    with st.container(key=c.key(f"afterwards_{name}")):
        yield


def status_line(
    c: Controls, run: Run, objective: Objective, *, quantity: str, truth: bool = True
) -> None:
    """Say in one line where the player stands, and at the end why the run stopped, and how far off.

    Parameters
    ----------
    c, run, objective
        What is reported.
    quantity : str
        What the distance to the truth is measured between, in words.
    truth : bool
        Whether to say how far off, if it is known.
    """
    player.status(c.prefix, *_ending(run, objective, quantity=quantity, truth=truth))


def _ending(run: Run, objective: Objective, *, quantity: str, truth: bool) -> tuple[str, str]:
    """Return how a run ended: its kind, and one line."""
    trace = run.trace
    if trace.status in (Status.NON_FINITE, Status.DECREASED):
        return "error", f"**Stopped.** {trace.message}"
    place = f"{objective.title} {objective.text(trace.final.objective)}."
    if truth and run.frames.references:
        origin = "truth" if run.problem.truth_known else "estimate with the labels known"
        place += f" Largest distance of a {quantity} from the {origin}: {run.gap:.4g}."
    iterations = count(trace.n_iter, "iteration")
    if trace.converged:
        return "success", f"**Converged** after {iterations}. {place}"
    return "info", f"**Not converged yet:** stopped at the limit of {iterations}. {place}"


def explore(
    c: Controls,
    run: Run,
    quantities: Mapping[str, Quantity],
    objective: Objective,
    picture: Drawing,
    *,
    caption: str,
    on_pick: Callable[[], None],
    distance: str,
    extra: Sequence[Drawing] = (),
) -> None:
    """Draw the player, the picture with the status line, and the convergence charts.

    The charts follow the player. They draw what has been played.

    Parameters
    ----------
    c : Controls
        The page's controls.
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
    on_pick : callable
        Called after a click on the picture; see :func:`em_ui.pictures.charts.picked`.
    distance : str
        What the status line measures the distance to the truth between, in words: a mean.
    extra : sequence of Drawing
        Further charts, after those of the objective and of the parameters.
    """
    names = list(run.problem.names[: run.params.n_components])
    columns = [f"{q.symbol} {name}" for q in quantities.values() for name in names]
    rows = [
        [f"{x:{q.format}}" for field, q in quantities.items() for x in getattr(step.params, field)]
        + [objective.text(step.objective)]
        for step in run.steps
    ]
    player.player(
        c.prefix,
        [*columns, objective.title],
        rows,
        param=c.key("iter"),
        report=c.is_open("by_hand", "surface"),
    )
    references = {} if c.sealed else run.frames.references
    drawings = [*_convergence(run, quantities, objective, references), *extra]
    left, right = st.columns(_SHARES)
    with left:
        _draw(picture, c.key("picture"), on_pick)
        status_line(c, run, objective, quantity=distance, truth=not c.sealed)
        st.caption(caption)
    key = c.key("convergence")
    with right:
        for i, drawing in enumerate(drawings[:_BESIDE]):
            _draw(drawing, f"{key}_{i}")
        if quantities and references:
            st.caption(_legend(run, references))
    in_row(drawings[_BESIDE:], key=key, first=_BESIDE)


def _convergence(
    run: Run,
    quantities: Mapping[str, Quantity],
    objective: Objective,
    references: Mapping[str, pa.Table],
) -> list[Drawing]:
    """Return the charts of the objective and of each parameter against the iteration."""
    drawings = []
    if np.isfinite(run.steps[-1].objective):
        template, data = charts.objective(objective.title), {"steps": run.frames.objective}
        alt = f"{objective.title} at each iteration played so far"
        drawings.append(Drawing(objective.title, template, data, alt))
    known = {name: name in references for name in ("truth", "labelled")}
    compared = f", beside {_legend(run, references, short=True)}" if references else ""
    for field, (title, symbol, _) in quantities.items():
        template = charts.parameter(field, f"{title} {symbol}", **known)
        # Each chart gets its own parameter only.
        data = {"steps": run.frames.steps.select(["iteration", "component", field])} | {
            name: table.select(["component", field]) for name, table in references.items()
        }
        alt = f"{title} of each component at each iteration played so far{compared}"
        drawings.append(Drawing(f"{title} {symbol}", template, data, alt))
    return drawings


def _legend(run: Run, references: Mapping[str, pa.Table], *, short: bool = False) -> str:
    """Return in words what the dashed and dotted lines are."""
    labels = "the estimate with the labels known"
    if not run.problem.truth_known or "truth" not in references:
        lines = "Dashed and dotted" if "truth" in references else "Dotted"
        return labels if short else f"{lines}: {labels}. Nobody knows the truth."
    if "labelled" not in references:
        return "the truth" if short else "Dashed: the truth."
    return f"the truth and {labels}" if short else f"Dashed: the truth. Dotted: {labels}."


def _draw(drawing: Drawing, key: str, on_pick: Callable[[], None] | None = None) -> None:
    title, template, datasets, alt = drawing
    charts.show(template, datasets, key=key, alt=alt, title=title, on_pick=on_pick)


def in_row(drawings: Sequence[Drawing], *, key: str, first: int = 0) -> None:
    """Draw charts side by side; on a phone they come below each other.

    Parameters
    ----------
    drawings : sequence of Drawing
        None, or a few.
    key : str
        Begins the charts' keys, which end with a number.
    first : int
        The number of the first.
    """
    a_row = 2 if len(drawings) == 4 else len(drawings)
    for i, drawing in enumerate(drawings):
        if i % a_row == 0:
            columns = st.columns(a_row)
        with columns[i % a_row]:
            _draw(drawing, f"{key}_{first + i}")
