"""The instrument: player, picture, convergence charts, and in words where the player stands."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import streamlit as st

from em_core import Status
from em_core.diagnostics import lower_bound
from em_ui.controls.page import Controls
from em_ui.pictures import charts, frames, player, settled
from em_ui.run import budget
from em_ui.run.cache import cached_quietly
from em_ui.run.problem import Quantity, count
from em_ui.run.run import Run
from em_ui.sections.findings import stands_for

settled.keep_names()

_BESIDE = 2  # charts beside the picture; more of them stand below it
_A_ROW = 3  # charts side by side, at the most
_ROUNDING = 1e-12  # of the objective: gaps below it are none


class Drawing(NamedTuple):
    """A chart: its title, template, data sets, and what it shows in words.

    The words say how to read it. They do not say how a run ends that has not been played yet.
    """

    title: str
    template: charts.Template
    datasets: Mapping[str, pa.Table]
    alt: str


def references(c: Controls, run: Run) -> dict[str, pa.Table]:
    """Return what the page shows beside the estimate: truth and labelled, if it may and can."""
    return {} if c.sealed else run.frames.references


def compares(c: Controls, run: Run) -> bool:
    """Return whether the page shows truth or labels beside the estimate."""
    return bool(references(c, run))


def played(c: Controls, run: Run) -> bool:
    """Return whether the visitor has been at the end of the run: before, nothing may tell it.

    It is forgotten when a situation is chosen and when the page is reset, and stays when a control
    is moved.
    """
    return player.played(c.prefix, run.frames.last)


@cached_quietly
def _ending(run: Run, compared: bool) -> tuple[str, str]:
    """Return how a run ended: its kind, and one line that says why, where, and how far off."""
    trace, words, objective = run.trace, run.problem.words, run.problem.objective
    if trace.status in (Status.NON_FINITE, Status.DECREASED):
        return "error", run.message.replace("Stopped", "**Stopped**", 1)
    place = f"{objective.title} {objective.text(trace.final.objective)}."
    gap = run.gap if compared else None
    if gap is not None:
        quantity = words.quantities[words.by].title.lower()
        origin = "truth" if run.problem.truth_known else "estimate with the labels known"
        place += f" Largest distance of a {quantity} from the {origin}: "
        place += f"{words.quantities[words.by].distance(gap)}. {stands_for(run)}".rstrip()
    iterations = count(trace.n_iter, "iteration")
    if trace.converged:
        return "success", f"**Converged** after {iterations}. {place}"
    return "info", f"**Not converged yet:** stopped at the limit of {iterations}. {place}"


def explore(
    c: Controls,
    run: Run,
    picture: Drawing,
    *,
    caption: str,
    until_then: str = "",
    on_pick: Callable[[], None],
) -> None:
    """Draw the player, the picture with the status line, and the convergence charts.

    The charts follow the player. They draw what has been played.

    Parameters
    ----------
    c : Controls
        The page's controls.
    run : Run
        What is explored. Each parameter with one value a component gets a chart, and its numbers
        stand beside the slider; of one in the plane the distances moved are drawn, and of
        covariances there the standard deviations and the correlation.
    picture : Drawing
        The page's main chart.
    caption : str
        What the picture's lines and colours mean, in plain text, a paragraph a line; of what it is
        compared with, this is added to the first.
    until_then : str
        What the caption says besides until the run was played to its end. The player tells.
    on_pick : callable
        Called after a click on the picture; see :func:`em_ui.pictures.charts.picked`.
    """
    single = _single(run)
    player.player(
        c.prefix,
        *_numbers(run),
        param=c.key("iter"),
        position=c.position,
        report=c.follows,
        between=between(run),
    )
    drawings = _convergence(c, run, single)
    if single and compares(c, run):
        meant, *more = caption.split("\n")
        caption = "\n".join([f"{meant} {_legend(run, references(c, run))}", *more])
    if until_then and not played(c, run):
        caption = f"{caption}\n{until_then}"
    key = c.key("convergence")
    # One box, which the style sheet divides: columns would be two messages more.
    with st.container(key=c.key("instrument")):
        _draw(picture, c.key("picture"), on_pick)
        player.status(c.prefix, *_ending(run, compares(c, run)), caption=caption)
        # Before it was played, the gap to its end would tell where that is.
        if played(c, run) and _gaps(run) is not None:
            c.show("gap")
        for i, drawing in enumerate(drawings[:_BESIDE]):
            _draw(drawing, f"{key}_{i}")
    in_row(drawings[_BESIDE:], key=key, first=_BESIDE)


def _single(run: Run) -> dict[str, Quantity]:
    """Return the parameters with one value a component."""
    quantities = run.problem.quantities
    return {f: q for f, q in quantities.items() if getattr(run.params, f).ndim < 2}


@cached_quietly
def _numbers(run: Run) -> tuple[list[str], list[list[str]]]:
    """Return what stands beside the slider at each iteration: names, and numbers in words."""
    single, objective, words = _single(run), run.problem.objective, run.problem.words
    shown = [column for column in run.frames.columns if column.field in single]
    rows = [
        [f"{column.of(step.params):{single[column.field].format}}" for column in shown]
        + [objective.text(step.objective)]
        for step in run.steps
    ]
    return [*map(words.symbol, shown), objective.title], rows


def _convergence(c: Controls, run: Run, single: Mapping[str, Quantity]) -> list[Drawing]:
    """Return the charts of the objective, of moves in the plane, and of each parameter."""
    drawings, objective, words = [], run.problem.objective, run.problem.words
    spreads = set(frames.SPREAD) <= set(run.frames.steps.column_names)
    if np.isfinite(run.steps[-1].objective):
        gaps = _gaps(run) if played(c, run) and c.value("gap") else None
        if gaps is None:
            template, data = charts.objective(objective.title), {"steps": run.frames.objective}
            title, alt = objective.title, f"{objective.title} at each iteration played so far"
        else:
            template, data = charts.gap("Gap"), {"steps": gaps}
            title = f"{objective.title}: gap to where this run ended"
            alt = f"{title}, on a log scale, at each iteration before the last"
        drawings.append(Drawing(title, template, data, alt))
    if len(single) < len(run.problem.quantities):
        steps, unit = run.frames.steps, ""
        if spreads:  # there need not be one unit in both directions
            steps, unit = _relative(run), ", in SDs of data"
        who = words.quantities[words.by].title.lower()
        alt = f"Distance that each {who} moved in each iteration played so far{unit}"
        template, title = charts.movement("Distance moved"), f"How far each {who} moved{unit}"
        drawings.append(Drawing(title, template, {"steps": steps}, alt))
    titles = {field: f"{title} {symbol}" for field, (title, symbol, _) in single.items()}
    if spreads:
        across, up = run.problem.data_columns
        spread = f"Standard deviation of {across}", f"Standard deviation of {up}", "Correlation"
        titles |= dict(zip(frames.SPREAD, spread, strict=True))
    drawings += [_parameter(c, run, field, title) for field, title in titles.items()]
    return drawings


@cached_quietly
def _relative(run: Run) -> pa.Table:
    """Return the steps, whose movement counts standard deviations of the data."""
    by, k = run.problem.words.by, run.params.n_components
    means = np.array([getattr(step.params, by) for step in run.steps])
    scale = run.problem.sample.data.std(axis=0)  # 0 where all points are in one place
    moves = np.diff(means, axis=0) / np.where(scale > 0, scale, 1.0)
    movement = np.concatenate([np.full(k, np.nan), np.linalg.norm(moves, axis=2).ravel()])
    steps = run.frames.steps.select(["component", "iteration"])
    return steps.append_column("movement", pa.array(movement, from_pandas=True))


def _parameter(c: Controls, run: Run, field: str, title: str) -> Drawing:
    """Return the chart of one number of each component, beside what it is compared with."""
    tables = references(c, run)
    known = {name: name in tables for name in ("truth", "labelled")}
    compared = f", beside {_legend(run, tables, short=True)}" if tables else ""
    each = f" of each {run.problem.words.component}" if run.params.n_components else ""
    data = _numbers_of(run, ("steps", *tables), field)
    name = run.problem.words.quantities[field].title if field in run.params.arrays() else title
    alt = f"{name}{each} at each iteration played so far{compared}"
    return Drawing(title, charts.parameter(field, title, **known), data, alt)


@cached_quietly
def _numbers_of(run: Run, names: Sequence[str], field: str) -> dict[str, pa.Table]:
    """Return the tables of the steps and of references, with the numbers of one chart only."""
    wanted, tables = {"iteration", "component", field}, {n: getattr(run.frames, n) for n in names}
    return {
        name: table.select([column for column in table.column_names if column in wanted])
        for name, table in tables.items()
    }


@cached_quietly
def _gaps(run: Run) -> pa.Table | None:
    """Return how far the objective is from its last value, where that can be told from rounding.

    None if that is nowhere, or if the last value is infinite.
    """
    objectives = np.array([step.objective for step in run.steps])
    if not np.isfinite(objectives[-1]):
        return None
    gaps = np.abs(objectives - objectives[-1])
    far = np.isfinite(gaps) & (gaps > _ROUNDING * np.abs(objectives[-1]))
    if not far.any():
        return None
    return frames.arrow({"iteration": np.flatnonzero(far), "gap": gaps[far]})


@cached_quietly
def between(run: Run) -> list[str] | None:
    """Return the objective after each M-step, before the next E-step, where assignment is hard.

    The M-step's parameters are taken with the assignment before it: neither step can make it worse.
    The first is that of the initial guess, which no M-step made. None where assignment is soft,
    since the objective knows no assignment there, and where it would take long.
    """
    problem = run.problem
    if not problem.hard and (not problem.is_mixture or hasattr(problem.model, "log_joint")):
        return None
    if problem.size * len(run.steps) * 2 > budget.LIMIT:
        return None
    texts = [problem.objective.text(run.steps[0].objective)]
    for before, after in itertools.pairwise(run.steps):
        with budget.turn(problem.size * 2):
            bound = lower_bound(problem.model, problem.data, at=before.params)
        texts.append(problem.objective.text(bound(after.params)))
    return texts


def _legend(run: Run, references: Mapping[str, pa.Table], *, short: bool = False) -> str:
    """Return in words what the dashed and dotted lines are."""
    labels = "the estimate with the labels known"
    if not run.problem.truth_known or "truth" not in references:
        lines = "Dashed and dotted" if "truth" in references else "Dotted"
        return labels if short else f"{lines}: {labels}. {run.problem.unknown}"
    if "labelled" not in references:
        return "the truth" if short else "Dashed: the truth."
    return f"the truth and {labels}" if short else f"Dashed: the truth. Dotted: {labels}."


def _draw(drawing: Drawing, key: str, on_pick: Callable[[], None] | None = None) -> None:
    title, template, datasets, alt = drawing
    charts.show(template, datasets, key=key, alt=alt, title=title, on_pick=on_pick)


def in_row(drawings: Sequence[Drawing], *, key: str, first: int = 0) -> None:
    """Draw charts side by side, as far as there is room: on a phone they come below each other.

    Parameters
    ----------
    drawings : sequence of Drawing
        None, or a few.
    key : str
        Begins the charts' keys, which end with a number.
    first : int
        The number of the first.
    """
    if not drawings:
        return
    a_row = 2 if len(drawings) == 4 else min(len(drawings), _A_ROW)
    # One box, whose charts the style sheet lets grow; columns would be a message for each chart.
    with st.container(horizontal=True, key=f"{key}_in_rows_of_{a_row}"):
        for i, drawing in enumerate(drawings):
            _draw(drawing, f"{key}_{first + i}")
