"""The main pictures: outcomes and histograms that are shared, and points in the plane."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import streamlit as st

from em_ui.controls.page import Controls
from em_ui.pictures import bins, charts, frames
from em_ui.run import budget
from em_ui.run.cache import cached_quietly
from em_ui.run.problem import DRAWING, count, stream
from em_ui.run.run import Run
from em_ui.sections.explore import Drawing, references

_NAMED = 5  # values beyond the picture that are told one by one
_SEEN = 0.0005  # shares below it are left out of the line above the picture
_REFERENCES = ("truth", "labelled")

Tables = dict[str, pa.Table]


def pick(c: Controls, run: Run, places: np.ndarray | None = None) -> None:
    """Take the observation that was clicked, or of a bar the nearest one, in a callback.

    ``places``, shape (n,), says where the observations stand, if not at their values.
    """
    number = charts.picked(c.key("picture"), "observation")
    label = charts.picked(c.key("picture"), "label")
    if label is not None:
        places = run.problem.sample.data if places is None else places
        number = np.abs(places - float(label)).argmin() + 1
    if number is not None:
        c.set(observation=int(number))
        st.session_state[_picked(c)] = True


def _picked(c: Controls) -> str:
    return f"{c.prefix} observation was picked"


def _chosen(
    c: Controls, run: Run, place: Callable[[int], tuple[float, float, str]] | None = None
) -> Tables:
    """Return what marks the observation in the picture, once the visitor has chosen one.

    ``place`` maps its index to where it stands, and to what it is in words, if that is not its
    value.
    """
    number = int(c.value("observation"))
    chosen = number != c.view["observation"].default or _picked(c) in st.session_state
    i = min(number, run.problem.n) - 1
    return {"chosen": _chosen_table(run, i, chosen, *(place(i) if place else _stands(run, i)))}


def _stands(run: Run, i: int, axes: tuple[int, int] = (0, 1)) -> tuple[float, float, str]:
    """Return where an observation stands, in the two columns drawn, and its value in words."""
    row = run.problem.sample.data[i]
    if np.ndim(row):
        return float(row[axes[0]]), float(row[axes[1]]), ""
    return float(row), float(row), f"{row:.6g}"


@cached_quietly
def _chosen_table(run: Run, i: int, chosen: bool, x: float, y: float, told: str) -> pa.Table:
    problem = run.problem
    rows = problem.sample.data[i : i + 1]
    label, texts = "", [""] * len(run.steps)
    if chosen:
        label = f"{problem.words.observation.capitalize()} {i + 1}"
        label += f" ({told})" * bool(told)
        for t, step in enumerate(run.steps):
            shares = problem.responsibilities(rows, step.params)[0]
            parts = [
                f"{name} {share:.3f}" if share < 1 else name
                for name, share in zip(run.names, shares, strict=True)
                if share >= _SEEN
            ]
            texts[t] = f"{label}: {problem.words.component} {', '.join(parts)}"
    columns = {"iteration": np.arange(len(run.steps)), "text": texts}
    return frames.extend(frames.arrow(columns), x=x, y=y, chosen=chosen, label=label)


def outcomes(c: Controls, run: Run, n_outcomes: int, *, title: str, outcome: str) -> Drawing:
    """Return the picture of counted outcomes, each bar divided by responsibility.

    Parameters
    ----------
    c, run
        The page's controls, and the run.
    n_outcomes : int
        Outcomes go from 0 to below this.
    title, outcome : str
        Of the picture, and what an outcome is called.
    """
    words = run.problem.words
    things, component = f"{words.observation}s", words.component
    return Drawing(
        title,
        charts.shares(outcome, things.capitalize(), component.capitalize(), **_known(c, run)),
        _shown(c, run, _outcome_tables(run, n_outcomes)) | _chosen(c, run),
        f"{count(run.problem.n, words.observation)} by {outcome.lower()}. Each bar is divided by "
        f"the responsibilities of {component}s {', '.join(run.names)}.",
    )


def proportions(
    c: Controls,
    run: Run,
    tables: Tables,
    *,
    place: Callable[[int], tuple[float, str]],
    title: str,
    outcome: str,
) -> Drawing:
    """Return the picture of outcomes that are no whole numbers, in bins divided by responsibility.

    Parameters
    ----------
    c, run
        The page's controls, and the run.
    tables : dict of str to pyarrow.Table
        As :func:`em_ui.pictures.charts.shares` draws them, but for what marks an observation.
    place : callable
        Maps the index of an observation to where it stands, and to what it is in words.
    title, outcome : str
        Of the picture, and what an outcome is called.
    """
    words = run.problem.words
    things, component = f"{words.observation}s", words.component
    template = charts.shares(
        outcome, things.capitalize(), component.capitalize(), whole=False, **_known(c, run)
    )
    return Drawing(
        title,
        template,
        _shown(c, run, tables) | _chosen(c, run, lambda i: (place(i)[0], *place(i))),
        f"{count(run.problem.n, words.observation)} by {outcome.lower()}, in bins. Each bar is "
        f"divided by the responsibilities of {component}s {', '.join(run.names)}.",
    )


@cached_quietly
def _outcome_tables(run: Run, n_outcomes: int) -> Tables:
    problem, values = run.problem, np.arange(n_outcomes)
    histories = {
        "expected": [step.params for step in run.steps],
        "truth": [problem.sample.truth],
        "labelled": [run.labelled],
    }
    expected = {
        name: frames.expected_counts(problem.mixture, history, values, problem.n)
        for name, history in histories.items()
        if history[0] is not None
    }
    heights = np.bincount(problem.sample.data, minlength=n_outcomes)
    return {"bars": _bars(run, values, 0.45, heights, digits=0), **expected}


def histogram(c: Controls, run: Run, *, value: str) -> Drawing:
    """Return the histogram divided by responsibility, with the components' normal densities.

    ``value`` is what a value is called.
    """
    words, known = run.problem.words, _known(c, run)
    return Drawing(
        "Histogram shared between the components, and their densities",
        charts.densities(value, words.component.capitalize(), **known),
        _shown(c, run, _histogram_tables(run)) | _chosen(c, run),
        f"Histogram of {count(run.problem.n, words.observation)}, each bar divided by "
        f"responsibility, with the density of each of {count(len(run.names), words.component)} and "
        f"their sum{', and the true density' if known['truth'] else ''}",
    )


def marginals(c: Controls, run: Run, *, across: str, up: str) -> list[Drawing]:
    """Return a histogram along each axis of the plane, with the components' marginal densities.

    Parameters
    ----------
    c, run
        The page's controls, and the run of a mixture with means, covariances and weights.
    across, up : str
        What the axes are called.
    """
    words, known = run.problem.words, _known(c, run)
    chosen = _chosen(c, run)["chosen"]
    drawings = []
    for axis, (name, title) in enumerate(zip("xy", (across, up), strict=True)):
        along = chosen.set_column(chosen.column_names.index("x"), "x", chosen[name])
        drawings.append(
            Drawing(
                f"Along {title}" if title.islower() else title,
                charts.densities(title, words.component.capitalize(), **known),
                _shown(c, run, _marginal_tables(run, axis)) | {"chosen": along},
                f"Histogram of {title} of {count(run.problem.n, words.observation)}, each bar "
                f"divided by responsibility, with the marginal density of each of "
                f"{count(len(run.names), words.component)} and their sum"
                + (", and the true density" * (known["truth"] and run.problem.truth_known)),
            )
        )
    return drawings


def stills(c: Controls, run: Run, moments: Sequence[int], *, value: str) -> list[Drawing]:
    """Return the histogram at some iterations, the last instead of those that the run lacks."""
    component, drawings = run.problem.words.component.capitalize(), []
    for at, tables in _still_tables(run, moments).items():
        when = f"after {count(at, 'iteration')}" if at else "initial guess"
        template = charts.densities(value, component, bound=False, **_known(c, run))
        alt = f"Histogram, component densities and their sum: {when}"
        drawings.append(Drawing(when.capitalize(), template, _shown(c, run, tables), alt))
    return drawings


def beyond(run: Run) -> str:
    """Return which values lie so far from the others that the histogram is without them, or ""."""
    values = run.problem.sample.data
    outside = values[~_bins(run).inside]
    if not len(outside):
        return ""
    lie = f"{count(len(outside), run.problem.words.observation)} lie{'s' * (len(outside) == 1)}"
    if len(outside) > _NAMED:
        return f"{lie} beyond the picture, between {outside.min():.6g} and {outside.max():.6g}."
    named = [f"{value:.6g}" for value in np.sort(outside)]
    listed = " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))
    return f"{lie} beyond the picture, at {listed}."


@cached_quietly
def _bins(run: Run) -> bins.Bins:
    return bins.bins(run.problem.sample.data)


@cached_quietly
def _histogram_tables(run: Run) -> Tables:
    curves = {"steps": run.frames.steps, **run.frames.references}
    return _with_bars(run, run.problem.sample.data, curves, _bins(run))


@cached_quietly
def _marginal_tables(run: Run, axis: int) -> Tables:
    known = {"truth": run.problem.sample.truth, "labelled": run.labelled}
    histories = {"steps": [step.params for step in run.steps]} | {
        name: [params] for name, params in known.items() if params is not None
    }
    curves = {
        name: frames.marginals(history, run.problem.words.names, axis)
        for name, history in histories.items()
    }
    values = run.problem.sample.data[:, axis]
    return _with_bars(run, values, curves, bins.bins(values))


def _with_bars(run: Run, values: np.ndarray, curves: Tables, parted: bins.Bins) -> Tables:
    """Return a histogram of some values, one an observation, with the curves over it."""
    edges, density, inside = parted
    middles, half_width = (edges[:-1] + edges[1:]) / 2, (edges[1] - edges[0]) / 2
    # Few bars are wide, and lower than a curve that fits: there is room for a normal one.
    spread = bins.spread(run.problem.sample.data)
    normal = 1 / (math.sqrt(2 * math.pi) * spread) if spread > 0 else 0.0
    grid = frames.curve_grid(edges, max(density.max(), normal))
    # Digits that tell a bar from its neighbours.
    digits = max(1 - math.floor(math.log10(2 * half_width)), 0)
    stands = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(middles) - 1)
    return {
        "bars": _bars(
            run,
            middles,
            half_width,
            density,
            digits=digits,
            rows=run.problem.sample.data[inside],
            bars=stands[inside],
        ),
        **{name: frames.extend(table, **grid) for name, table in curves.items()},
    }


@cached_quietly
def _still_tables(run: Run, moments: Sequence[int]) -> dict[int, Tables]:
    moving, last = _histogram_tables(run), run.frames.last
    return {
        at: {**moving, **{name: frames.still(moving[name], at) for name in ("bars", "steps")}}
        for at in sorted({min(at, last) for at in moments})
    }


def _bars(
    run: Run,
    middles: np.ndarray,
    half_width: float,
    heights: np.ndarray,
    *,
    digits: int,
    rows: np.ndarray | None = None,
    bars: np.ndarray | None = None,
) -> pa.Table:
    return frames.divided_bars(
        run.problem.labelled_model,
        run.trace,
        run.problem.words.names,
        middles=middles,
        half_width=half_width,
        heights=heights,
        digits=digits,
        values=rows,
        bars=bars,
    )


def plane(
    c: Controls,
    run: Run,
    *,
    title: str,
    axes: tuple[int, int] = (0, 1),
    same_units: bool = True,
) -> Drawing:
    """Return the points in the plane, each in the colour of its component, and the centres' paths.

    Many points are drawn as a fixed random sample of them. Of data with more than two columns two
    are drawn, without borders: what is nearest depends on the others too.

    Parameters
    ----------
    c, run
        The page's controls, and the run.
    title : str
        Of the picture.
    axes : (int, int)
        The columns across and upwards, from 0.
    same_units : bool
        Whether a unit is to be as long in one direction as in the other.
    """
    problem, words, truth = run.problem, run.problem.words, _known(c, run)["truth"]
    across, up = (problem.data_columns[axis] for axis in axes)
    tables = _shown(c, run, _plane_tables(run, axes)) | _chosen(
        c, run, lambda i: _stands(run, i, axes)
    )
    drawn = len(tables["points"]["observation"].unique())
    columns = problem.sample.data.shape[1]
    return Drawing(
        title,
        charts.scatter(across, up, same_units=same_units, **_known(c, run)),
        tables,
        f"{count(drawn, words.observation)} in {count(len(run.names), words.group)}, with the "
        f"paths of the {words.component}s from the initial guess"
        + (", and the true centres as crosses" if truth else "")
        + (f". Of {columns} columns, {across} is drawn across and {up} upwards" * (columns > 2)),
    )


@cached_quietly
def _plane_tables(run: Run, axes: tuple[int, int]) -> Tables:
    problem, data = run.problem, run.problem.sample.data
    drawn = frames.sample_rows(len(data), stream(run.settings["data_seed"], DRAWING))
    with budget.turn(problem.cost * len(run.steps)):
        assigned, changed = frames.assigned(problem.labelled_model, data, run.trace, drawn)
    rows, stays = frames.stays(assigned, problem.words.names)
    x, y = data[np.ix_(drawn[rows], axes)].T
    centres = [getattr(step.params, problem.words.by)[:, axes] for step in run.steps]
    seen = np.concatenate([data[:, axes], *centres])
    (x_low, y_low), (x_high, y_high) = seen.min(axis=0)[:, None], seen.max(axis=0)[:, None]
    frame = {"x_low": x_low, "x_high": x_high, "y_low": y_low, "y_high": y_high}
    points = {"x": x, "y": y, "observation": drawn[rows] + 1, **stays}
    tables = {"points": frames.arrow(points), "frame": frames.arrow(frame)}
    tables["changes"] = frames.changes(changed, problem.words.observation)
    flat = data.shape[1] == len(axes)
    # In two of more columns there are none.
    walls = centres if flat else [centre[:0] for centre in centres]
    tables["borders"] = frames.borders(walls, seen.min(axis=0), seen.max(axis=0))
    centres_in = {"steps": run.frames.steps, **run.frames.references}
    if not flat:
        centres_in = {n: _projected(t, problem.words.by, axes) for n, t in centres_in.items()}
    return {**tables, **centres_in}


def _projected(table: pa.Table, field: str, axes: tuple[int, int]) -> pa.Table:
    """Return what a picture needs of a table with a column for each entry of ``field``."""
    columns = {
        name: table[name] for name in ("iteration", "component") if name in table.schema.names
    }
    x, y = (table[f"{field} {axis + 1}"] for axis in axes)
    return pa.table({**columns, "x": x, "y": y})


def gaussians(
    c: Controls, run: Run, *, title: str, across: str, up: str, same_units: bool
) -> Drawing:
    """Return points in the plane, coloured by responsibility, under the components' ellipses.

    Many points are drawn as a fixed random sample of them.

    Parameters
    ----------
    c, run
        The page's controls, and the run of a mixture with means, covariances and weights.
    title, across, up : str
        Of the picture, and of its axes.
    same_units : bool
        Whether both axes have the same unit: then it is as long in one direction as in the other.
    """
    words, known, truth_known = run.problem.words, _known(c, run), run.problem.truth_known
    tables = _shown(c, run, _gaussian_tables(run)) | _chosen(c, run)
    return Drawing(
        title,
        charts.gaussians(
            across,
            up,
            words.component.capitalize(),
            words.observation.capitalize(),
            same_units=same_units,
            **known,
        ),
        tables,
        f"{count(len(tables['points']), words.observation)}, {up} against {across}, each in the "
        f"colours of the components by its responsibilities, with ellipses at one and two standard "
        f"deviations of {count(len(run.names), words.component)} and the paths of their means"
        + (", and the true ellipses, at two, dashed" if known["truth"] and truth_known else ""),
    )


@cached_quietly
def _gaussian_tables(run: Run) -> Tables:
    problem, data, names = run.problem, run.problem.sample.data, run.problem.words.names
    drawn = frames.sample_rows(len(data), stream(run.settings["data_seed"], DRAWING))
    x, y = data[drawn].T
    seen = np.concatenate([data, *(step.params.means for step in run.steps)])
    (x_low, y_low), (x_high, y_high) = seen.min(axis=0)[:, None], seen.max(axis=0)[:, None]
    frame = {"x_low": x_low, "x_high": x_high, "y_low": y_low, "y_high": y_high}
    known = {"truth": problem.sample.truth, "labelled": run.labelled}
    return {
        "points": frames.arrow({"x": x, "y": y, "observation": drawn + 1}),
        "frame": frames.arrow({**frame, "k": [len(run.names)], "hard": [problem.hard]}),
        "steps": frames.gaussians([step.params for step in run.steps], names),
        **{
            name: frames.gaussians([params], names)
            for name, params in known.items()
            if params is not None
        },
    }


def gaussian_still(
    run: Run,
    params: Any,
    *,
    title: str,
    across: str,
    up: str,
    same_units: bool,
    hard: bool,
    borders: bool = False,
) -> Drawing:
    """Return the points of a run under other Gaussians, at rest.

    Parameters
    ----------
    run
        Whose points they are.
    params
        Means, covariances and weights of as many components as the run has.
    title, across, up, same_units
        As for :func:`gaussians`.
    hard : bool
        Whether each point goes wholly to the likeliest component.
    borders : bool
        Whether to draw, instead of ellipses, the lines halfway between two means.
    """
    words, tables = run.problem.words, _gaussian_tables(run)
    frame = tables["frame"]
    frame = frame.set_column(frame.column_names.index("hard"), "hard", pa.array([hard]))
    things = (words.component.capitalize(), words.observation.capitalize())
    return Drawing(
        title,
        charts.gaussians(
            across,
            up,
            *things,
            same_units=same_units,
            truth=False,
            labelled=False,
            bound=False,
            borders=borders,
        ),
        {
            "points": tables["points"],
            "frame": frame,
            "steps": frames.gaussians([params], words.names),
            **({"borders": _halfway(frame, params.means)} if borders else {}),
        },
        f"{title}: {count(len(tables['points']), words.observation)}, {up} against {across}, "
        + ("each in the colour of one component" if hard else "in blended colours"),
    )


def _halfway(frame: pa.Table, means: np.ndarray) -> pa.Table:
    """Return the borders between the regions nearest to each mean, in what is to be seen."""
    low, high = (
        np.array([frame[f"{axis}_{end}"][0].as_py() for axis in "xy"]) for end in ("low", "high")
    )
    return frames.borders([means], low, high)


def _known(c: Controls, run: Run) -> dict[str, bool]:
    return {name: name in references(c, run) for name in _REFERENCES}


def _shown(c: Controls, run: Run, tables: Tables) -> Tables:
    """Return the tables without those that a student is not to see."""
    hidden = [name for name, known in _known(c, run).items() if not known]
    return {name: table for name, table in tables.items() if name not in hidden}
