"""The hill that EM climbs: the objective over two parameters, and the bound that touches it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import streamlit as st

from em_core import Params, Status, iterate
from em_core.diagnostics import lower_bound
from em_core.engine import objective_of
from em_ui.controls.page import Controls
from em_ui.pictures import charts, frames
from em_ui.run import budget
from em_ui.run.cache import cached
from em_ui.run.run import Run
from em_ui.sections.by_hand import moment, standing
from em_ui.sections.explore import Drawing, in_row, played
from em_ui.sections.findings import level

GRID = 61  # cells along each side of a hill, at the most
_OVERLAP = 0.2  # of a cell: covers the seams that a canvas leaves between neighbours
_SLICE = 61  # points of a slice
_REACH, _LEAST_REACH = 2.5, 0.03  # how far a slice goes: in M-steps, and of the domain
_SLICES = 60  # iterations that a slice is computed at, at the most
_MARKED = "it is marked where EM ends"

Spots = Mapping[str, Sequence[float]]


def draw(
    c: Controls,
    run: Run,
    *,
    domain: tuple[float, float] | None = None,
    pair: tuple[int, int] = (0, 1),
    spots: Spots | None = None,
    marked: str = _MARKED,
) -> None:
    """Draw the hill over one parameter of two components, and a slice of it with the bound.

    Parameters
    ----------
    c, run
        The page's controls, and the run.
    domain : (float, float), optional
        Where the parameter that tells the components apart may lie; by default, the data's range.
    pair : (int, int)
        The components. If they are the same, there is only a slice.
    spots : mapping, optional
        Points to name, instead of where EM ends; each a pair of values.
    marked : str
        The same for who cannot see the hill. It does not say how this run ends.
    """
    problem, names = run.problem, run.names
    by, data = problem.words.by, problem.sample.data
    if not names:
        st.markdown("This model has no components, and the hill is drawn over two of them.")
        return
    if len(names) == 1:
        title = problem.words.quantities[by].title.lower()
        st.markdown(
            f"With one {problem.words.component} there is one {title}, and EM needs one step."
        )
        return
    low, high = domain or (float(data.min()), float(data.max()))
    # Where nothing else is estimated, the hill is the same at every iteration; the end is on it.
    at = standing(c, run)[0] if len(problem.quantities) > 1 else run.frames.last
    i, j = pair
    drawings = []
    if run.flat:
        spots = None  # along a ridge there is no top, and no saddle
        if played(c, run):
            marked = _MARKED
    title = problem.objective.title
    symbols = [f"{problem.words.quantities[by].symbol} {names[k]}" for k in pair]
    if i == j:
        st.info("Choose two different components for the hill.")
    else:
        ends = [float(getattr(run.params, by)[k]) for k in pair]
        # The way that EM took is on the hill, from the initial guess on.
        way = np.array([getattr(step.params, by)[list(pair)] for step in run.steps])
        wide = min(low, float(way.min())), max(high, float(way.max()))
        drawings.append(
            Drawing(
                f"{title} over {symbols[0]} and {symbols[1]}"
                + (f", the rest as at {moment(at)}" if len(problem.quantities) > 1 else ""),
                charts.hill(*symbols, f"{title} lost per {problem.words.observation}", path=True),
                {
                    "hill": _heights(run, at, i, j, *wide),
                    "path": path(run, by, pair),
                    "marks": marks(spots or {"EM ends": ends}, since=run.frames.last),
                },
                f"Bands of equal {title.lower()} over {symbols[0]} and {symbols[1]}, with the path "
                f"of EM as far as it has been played. At the end of the run {marked}.",
            )
        )
    if run.trace.status is not Status.NON_FINITE or len(run.steps) > 1:
        drawings.append(_slice(run, i, low, high))
    in_row(drawings, key=c.key("hill"))
    if run.flat and played(c, run):
        st.markdown(
            f"The ridge on which the run ends is level: {level(run)} No point on it is a top."
        )
    explain()


@cached
def _heights(run: Run, at: int, i: int, j: int, low: float, high: float) -> pa.Table:
    by, params = run.problem.words.by, run.steps[at].params
    cells = int(np.clip(np.sqrt(budget.HILL / run.problem.cost), 9, GRID))
    sides = edges(low, high, cells)
    values = heights(run, lambda x, y: put(put(params, by, i, x), by, j, y), sides, sides)
    top = max(values.max(), run.steps[at].objective)
    return bands(values, sides, sides, n=run.problem.n, top=top)


def put(params: Any, field: str, component: int, value: float) -> Any:
    """Return ``params`` with one number replaced."""
    array = getattr(params, field).copy()
    array[component] = value
    return replace(params, **{field: array})


def edges(low: float, high: float, cells: int = GRID) -> np.ndarray:
    """Return the edges of ``cells`` equal cells between two values."""
    return np.linspace(low, high, cells + 1)


def bands(
    heights: np.ndarray, x_edges: np.ndarray, y_edges: np.ndarray, *, n: int, top: float
) -> pa.Table:
    """Return the cells of a hill in bands, for :func:`.charts.hill`.

    Parameters
    ----------
    heights : ndarray, shape (columns, rows)
        The objective at the middle of each cell.
    x_edges, y_edges : ndarray
        Edges of the cells.
    n : int
        Number of observations: bands are of the loss per observation.
    top : float
        The largest objective, from which the loss is counted.
    """
    loss = (top - heights).ravel() / n
    numbers = np.digitize(np.nan_to_num(loss, nan=np.inf), charts.LOSS_BANDS)
    return frames.extend(cells(x_edges, y_edges), band=numbers)


def cells(x_edges: np.ndarray, y_edges: np.ndarray) -> pa.Table:
    """Return the rectangles of a grid: x_low, x_high, y_low, y_high, column by column."""
    x, y = (i.ravel() for i in np.indices((len(x_edges) - 1, len(y_edges) - 1)))
    x_high, y_high = (e[1:] + _OVERLAP * np.diff(e) for e in (x_edges, y_edges))
    return frames.arrow(
        {
            "x_low": x_edges[x],
            "x_high": np.minimum(x_high, x_edges[-1])[x],
            "y_low": y_edges[y],
            "y_high": np.minimum(y_high, y_edges[-1])[y],
        }
    )


def heights(
    run: Run, build: Callable[[float, float], Params], x_edges: np.ndarray, y_edges: np.ndarray
) -> np.ndarray:
    """Return the objective at the middle of each cell, for the parameters that ``build`` makes."""
    model, data = run.problem.model, run.problem.data
    middles = [(e[:-1] + e[1:]) / 2 for e in (x_edges, y_edges)]
    with budget.turn(run.problem.work * len(middles[0]) * len(middles[1])):
        return np.array(
            [[objective_of(model, data, build(x, y)) for y in middles[1]] for x in middles[0]]
        )


def path(run: Run, field: str, components: Sequence[int]) -> pa.Table:
    """Return the way that two components took in one parameter: iteration, x, y."""
    x, y = np.array([getattr(step.params, field)[list(components)] for step in run.steps]).T
    return frames.arrow({"iteration": np.arange(len(x)), "x": x, "y": y})


def marks(points: Mapping[str, Sequence[float]], *, since: int = 0) -> pa.Table:
    """Return named points of a hill, and the first iteration at which they are shown."""
    x, y = zip(*points.values(), strict=True)
    return frames.arrow({"mark": list(points), "x": x, "y": y, "since": [since] * len(points)})


@cached
def _slice(run: Run, component: int, low: float, high: float) -> Drawing:
    """Return the drawing of the objective and its lower bound along one parameter.

    At each iteration the other parameters are held at their values there, and the bound is the one
    that touches the objective at that iteration's parameters. The slice shows a few times the step
    that the M-step takes. Where the data are many, only some iterations are computed, and the
    others show the nearest of these.
    """
    field, objective, domain = run.problem.words.by, run.problem.objective, (low, high)
    title = f"{run.problem.words.quantities[field].symbol} {run.names[component]}"
    model, data = run.problem.model, run.problem.data
    affordable = budget.HILL / (run.problem.work * _SLICE)
    n_picked = int(np.clip(affordable, 2, _SLICES))
    picked = np.unique(np.linspace(0, run.frames.last, n_picked).round().astype(int))
    nearest = picked[np.abs(np.arange(run.frames.last + 1)[:, None] - picked).argmin(axis=1)]
    curves, ends = [], []
    for t in picked:
        shown = np.flatnonzero(nearest == t)
        interval = {"first": shown[0], "last": shown[-1]}
        at = run.steps[t].params
        here = getattr(at, field)[component]
        with budget.turn(run.problem.work * 2):
            after = next(islice(iterate(model, data, at), 1, None)).params
            bound = lower_bound(model, data, at)
        top = getattr(after, field)[component]
        reach = max(_REACH * abs(top - here), _LEAST_REACH * (domain[1] - domain[0]))
        grid = np.linspace(
            max(min(here, top) - reach, domain[0]), min(max(here, top) + reach, domain[1]), _SLICE
        )
        along = [put(at, field, component, x) for x in grid]
        with budget.turn(run.problem.work * _SLICE):
            objectives = [objective_of(model, data, params) for params in along]
        heights = {
            objective.title: objectives,
            "Lower bound": [bound(params) for params in along],
        }
        for name, values in heights.items():
            finite = np.isfinite(values)
            table = frames.arrow({"x": grid[finite], "y": np.array(values)[finite]})
            curves.append(frames.extend(table, curve=name, **interval))
        for name, x in (("where they touch", here), ("top of the bound", top)):
            y = bound(put(at, field, component, x))
            if np.isfinite(y):
                ends.append({"x": x, "y": y, "point": name, **interval})
    note = "" if len(picked) > run.frames.last else f" Computed at {len(picked)} iterations."
    return Drawing(
        f"{objective.title} and lower bound along {title}",
        charts.bound(title, objective.title),
        {
            "slice": pa.concat_tables(curves).combine_chunks(),
            "ends": frames.arrow(
                {name: [end[name] for end in ends] for name in ("x", "y", "point", *interval)}
            ),
        },
        f"{objective.title} along {title}, and the lower bound that touches it at the iteration of "
        f"the player; the M-step goes to the top of the bound.{note}",
    )


def explain() -> None:
    """Say in words what the slice shows."""
    st.markdown(
        "EM never sees the whole hill. In the E-step it builds a *lower bound* that touches the "
        "curve where it stands. In the M-step it goes to the top of the bound, and the curve is at "
        "least as high there. (On the slice, the other parameters stay where they are.)"
    )
