"""Chart templates: drawn in Altair once per process, filled with data in every rerun.

A template names its data sets (``alt.NamedData``) and reads the iteration from two Vega parameters
that :mod:`.player` drives in the browser: one chooses the parameters that are drawn, the other the
responsibilities (see :mod:`.format`). A template never changes with the data, since a changed
template would put both parameters back to the start.

Charts draw what has been played, and no more. Their axes are those of the whole run, so that they
stand still.

Each function returns a template; :func:`show` draws it, with its title.
"""

import json
import textwrap
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import altair as alt
import pyarrow as pa
import streamlit as st

from em_ui.pictures.format import (
    ASSIGNMENT,
    ITERATION,
    MAX_ITERATIONS,
    name_shown,
    share_shown,
)

_LEAST_GAP = 1e-5  # to the best objective, that is drawn
LOSS_BANDS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # log-likelihood lost per observation, in nats

_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "wedge", "arrow"]
# Readable on white and on the dark background alike.
_INK = "#7A8794"
_MARK = "#E0218A"
_COVER = "#3B4652"  # of what is still to be found; white is read on it, as on the hill

# The names of the components, in one line above the picture.
_KEY: dict[str, Any] = {"orient": "top", "titleOrient": "left", "offset": 6}

_NAMES_HIGH = 11  # names have room one above the other in a small chart
_NAMES_WIDE = 3  # and so many beside each other, right of it

_ENDS = ("min", "max")
_DASHED, _DOTTED = [6, 4], [1, 3]

# In pixels, with title, axes and legend. On a laptop the picture and, beside it, two of the small
# charts stand on one screen with the title, the question and the player.
_PICTURE_HEIGHT = 380
_HEIGHT = 206
_STILL_HEIGHT = 300

# Beside a small chart: of components, right of the last iteration; of the axis, so that charts one
# below the other have one axis of iterations.
_ROOM_FOR_NAMES, _ROOM_FOR_NUMBERS = 44, 56
_TITLE_SIZE = 14
_NARROW = 330  # between the axes: a phone's chart, or one of three in a row
_TITLE_CHARACTERS = 40  # of a line in so narrow a chart

Template = dict[str, Any]
AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart
Layer = Any  # what a chain of Altair's methods returns; it leaves the type open


def show(
    template: Template,
    datasets: Mapping[str, pa.Table],
    *,
    key: str,
    alt: str,
    title: str = "",
    on_pick: Callable[[], None] | None = None,
) -> None:
    """Draw a template with its data sets; ``alt`` says in words what there is to see.

    ``on_pick`` is called after a click on a mark of a template made by :func:`_pickable`.
    """
    spec = {**template, "datasets": dict(datasets)}
    if title:
        spec["title"] = _title(title)
    if on_pick is None:
        st.vega_lite_chart(spec, key=key, alt=alt)
    else:
        st.vega_lite_chart(spec, key=key, alt=alt, on_select=on_pick, selection_mode="pick")


@cache
def _title(text: str) -> dict[str, Any]:
    """Return the title of a chart. It begins where the chart does, and breaks where it must."""
    lines: Any = text
    if len(text) > _TITLE_CHARACTERS:
        broken = textwrap.wrap(text, _TITLE_CHARACTERS, break_long_words=False)
        lines = {"expr": f"width < {_NARROW} ? {json.dumps(broken)} : {json.dumps(text)}"}
    return {
        "text": lines,
        "anchor": "start",
        "frame": "bounds",
        "fontSize": _TITLE_SIZE,
        "fontWeight": 600,
        "offset": 8,
    }


def picked(key: str, field: str) -> Any | None:
    """Return the value of ``field`` at the mark that was clicked last in the chart ``key``."""
    marks = st.session_state[key].selection.get("pick", [])
    return marks[0].get(field) if marks else None


def _pickable(chart: alt.Chart, field: str) -> alt.Chart:
    """Let a click on a mark pick the value of ``field``."""
    return chart.add_params(alt.selection_point(name="pick", fields=[field], empty=False))


def _parameters(bound: bool) -> list[alt.Parameter]:
    bind = alt.binding_range(min=0, max=MAX_ITERATIONS, step=1) if bound else alt.Undefined
    return [alt.param(name=name, value=0, bind=bind) for name in (ITERATION, ASSIGNMENT)]


def _compile(chart: AnyChart, height: int, *, bound: bool = True) -> Template:
    return _sized(chart.add_params(*_parameters(bound)), height)


def _sized(chart: AnyChart, height: int) -> Template:
    """Return the template of a chart of so many pixels, most of them for what it draws."""
    small = height == _HEIGHT
    padding = {"left": 0, "right": _ROOM_FOR_NAMES if small else 6, "top": 4, "bottom": 4}
    config: dict[str, Any] = {"axis": {"titlePadding": 6}}
    if small:
        config["axisY"] = {"minExtent": _ROOM_FOR_NUMBERS}
    return chart.properties(height=height, padding=padding, config=config).to_dict()


def _integers(field: str, title: str) -> alt.X:
    return alt.X(field, type="quantitative", title=title).axis(tickMinStep=1, format="d")


def _legend(orient: str = "top", *, narrow: int = 1) -> dict[str, Any]:
    """Return a legend in one row, which on a phone becomes ``narrow`` columns."""
    columns = alt.ExprRef(f"width < {_NARROW} ? {narrow} : 0")
    return {"orient": orient, "columns": columns, "offset": 6}


def _color(title: str | None = None) -> alt.Color:
    return alt.Color("component:N", title=title).legend(**_KEY)


def _hidden(data: str, x: str, y: str) -> Layer:
    """Return a layer that is not seen, but keeps the axes fixed over all iterations.

    It draws two corners only: a mark for each row would bring the browser to a halt.
    """
    return _corners(alt.Chart(alt.NamedData(data)), x, y)


def _corners(chart: alt.Chart, x: str, y: str) -> Layer:
    ends: dict[str, Any] = {
        f"{end}_{axis}": f"{end}({f})" for axis, f in (("x", x), ("y", y)) for end in _ENDS
    }
    return (
        chart.transform_aggregate(**ends)
        .transform_calculate(x="[datum.min_x, datum.max_x]", y="[datum.min_y, datum.max_y]")
        .transform_flatten(["x", "y"])
        .mark_point(opacity=0, tooltip=None)
        .encode(x=alt.X("x", type="quantitative"), y=alt.Y("y", type="quantitative"))
    )


def _to_scale() -> Layer:
    """Return a layer that is not seen, but gives both axes one scale, around what is in ``frame``.

    Data: ``frame`` (x_low, x_high, y_low, y_high), one row. A unit is as long in one direction as
    in the other, so that what looks nearest is, whatever the width of the window.
    """
    return (
        alt.Chart(alt.NamedData("frame"))
        .transform_calculate(
            unit="1.1 * max((datum.x_high - datum.x_low) / width,"
            " (datum.y_high - datum.y_low) / height)"
        )
        .transform_calculate(
            x="[datum.x_low + datum.x_high - datum.unit * width,"
            " datum.x_low + datum.x_high + datum.unit * width]",
            y="[datum.y_low + datum.y_high - datum.unit * height,"
            " datum.y_low + datum.y_high + datum.unit * height]",
        )
        .transform_flatten(["x", "y"])
        .transform_calculate(x="datum.x / 2", y="datum.y / 2")
        .mark_point(opacity=0, tooltip=None)
        .encode(x=alt.X("x", type="quantitative"), y=alt.Y("y", type="quantitative"))
    )


def _now(chart: alt.Chart, first: int = 0) -> alt.Chart:
    """Return the rows of the current iteration, or the last before the player knows of a cut.

    ``first`` is the first iteration that has rows. It stands for those before it: a layer without
    any row would have no extent, and Vega complains.
    """
    return chart.transform_joinaggregate(end="max(iteration)").transform_filter(
        f"datum.iteration == min(max({ITERATION}, {first}), datum.end)"
    )


def _played(chart: alt.Chart, first: int = 0) -> alt.Chart:
    """Return the rows of the iterations up to the current one, or of the ``first``."""
    return chart.transform_filter(f"datum.iteration <= max({ITERATION}, {first})")


def _iterations(title: str = "Iteration") -> alt.X:
    return _integers("iteration", title)


@cache
def objective(title: str) -> Template:
    """Objective against iteration. Data: ``steps`` (iteration, objective)."""
    base = alt.Chart(alt.NamedData("steps")).encode(
        x=_iterations(),
        y=alt.Y("objective:Q", title=None).scale(zero=False),
        tooltip=[
            alt.Tooltip("iteration:Q", title="Iteration"),
            alt.Tooltip("objective:Q", title=title, format=",.6~f"),
        ],
    )
    line = _played(base).mark_line(color=_INK)
    points = _played(base).mark_point(color=_INK, filled=True, size=18)
    now = _now(base).mark_point(color=_MARK, filled=True, size=110, opacity=1)
    return _compile(
        alt.layer(_hidden("steps", "iteration", "objective"), line, points, now), _HEIGHT
    )


@cache
def parameter(
    field: str, title: str, *, truth: bool = True, labelled: bool | None = None
) -> Template:
    """One parameter of every component against iteration, beside what there is to compare it with.

    Data: ``steps`` (iteration, component, ``field``); with ``truth`` also ``truth``, drawn dashed,
    and with ``labelled``, which is as ``truth`` if it is not given, ``labelled``, drawn dotted
    (component, ``field``).
    """
    value = alt.Y(field, type="quantitative", title=None).scale(zero=False)

    def reference(data: str, dash: list[int], words: str) -> Layer:
        return (
            alt.Chart(alt.NamedData(data))
            .mark_rule(strokeDash=dash, strokeWidth=1.5, opacity=0.85)
            .encode(
                y=value,
                color=_color().legend(None),
                tooltip=[
                    alt.Tooltip("component:N", title=words),
                    alt.Tooltip(field, type="quantitative", title=title, format=".6~f"),
                ],
            )
        )

    references = {
        "truth": reference("truth", _DASHED, "Truth of component"),
        "labelled": reference("labelled", _DOTTED, "With labels known, component"),
    }
    steps = alt.Chart(alt.NamedData("steps"))
    return _paths(steps, field, title, value, _drawn(references, truth, labelled))


def _ascending(field: str) -> list[Any]:
    return [alt.SortField(field, order="ascending")]


@cache
def movement(title: str) -> Template:
    """How far each component moved in each update.

    Data: ``steps`` (iteration, component, movement).
    """
    # The guess has not moved. Where there is nothing else, it is drawn all the same, unseen.
    steps = (
        alt.Chart(alt.NamedData("steps"))
        .transform_joinaggregate(iterations="max(iteration)")
        .transform_calculate(movement="datum.iterations ? datum.movement : 0")
        .transform_filter("isValid(datum.movement)")
    )
    return _paths(steps, "movement", title, alt.Y("movement:Q", title=None), [], first=1)


def _drawn(
    references: Mapping[str, alt.Chart], truth: bool, labelled: bool | None
) -> list[alt.Chart]:
    """Return the layers of what is known; ``labelled`` is as ``truth`` if it is not given."""
    wanted = {"truth": truth, "labelled": truth if labelled is None else labelled}
    return [layer for name, layer in references.items() if wanted[name]]


def _paths(
    steps: alt.Chart,
    field: str,
    title: str,
    value: alt.Y,
    references: list[alt.Chart],
    *,
    first: int = 0,
) -> Template:
    """Draw one line a component, as far as it has been played, with its name at its end."""
    encoding = {"x": _iterations(), "y": value, "color": _color().legend(None)}
    tooltip = [
        alt.Tooltip("component:N", title="Component"),
        alt.Tooltip("iteration:Q", title="Iteration"),
        alt.Tooltip(field, type="quantitative", title=title, format=".6~f"),
    ]
    seen = alt.value(alt.ExprRef(f"{ITERATION} < {first} ? 0 : 1")) if first else alt.value(1)
    line = _played(steps, first).mark_line(strokeWidth=2).encode(**encoding, tooltip=tooltip)
    now = (
        _now(steps, first)
        .mark_point(filled=True, size=90)
        .encode(
            **encoding,
            tooltip=tooltip,
            shape=alt.Shape("component:N").scale(range=_SHAPES).legend(None),
            opacity=seen,
        )
    )
    # Names that would cover each other stand side by side. None of this depends on where the player
    # stands, so it is computed once.
    by_value, by_name = (_ascending(name) for name in (field, "component"))
    apart = f"(datum.high - datum.low) / {_NAMES_HIGH}"
    placed = (
        steps.transform_joinaggregate(low=f"min({field})", high=f"max({field})")
        .transform_window(below=f"lag({field})", sort=by_value, groupby=["iteration"])
        .transform_calculate(gap=f"datum.{field} - datum.below > {apart} ? 1 : 0")
        .transform_window(group="sum(gap)", sort=by_value, groupby=["iteration"])
        .transform_window(place="row_number()", sort=by_name, groupby=["iteration", "group"])
        .transform_joinaggregate(together="count()", groupby=["iteration", "group"])
        .transform_calculate(
            text=f"datum.place < {_NAMES_WIDE} ? datum.component : datum.place > {_NAMES_WIDE}"
            f" ? '' : datum.together > {_NAMES_WIDE} ? '…' : datum.component"
        )
        .transform_calculate(
            # The first character has no width: Vega trims what begins with a space.
            name="'\u200b' + pad(datum.text, length(datum.text) + 2 * (datum.place - 1),"
            " '\u2007', 'left')"
        )
    )
    names = (
        _now(placed, first)
        .mark_text(align="left", dx=8, fontWeight="bold", clip=False)
        .encode(**encoding, text="name:N", opacity=seen)
    )
    corners = _corners(steps, "iteration", field)
    chart = alt.layer(corners, *references, line, now, names).resolve_scale(shape="independent")
    return _compile(chart, _HEIGHT)


@cache
def scatter(*, truth: bool = True, labelled: bool | None = None) -> Template:
    """Points in the colour and shape of their cluster, with the centroids and their paths.

    Data: ``points`` (x, y, observation, assigned: one character an iteration), ``steps``
    (iteration, component, x, y), ``frame`` (x_low, x_high, y_low, y_high: what is to be seen) and,
    with ``truth`` and ``labelled``, these (component, x, y).
    A click picks an observation.
    """
    whole: dict[str, Any] = {"zero": False, "nice": False}
    x, y = alt.X("x:Q", title="x").scale(**whole), alt.Y("y:Q", title="y").scale(**whole)
    shape = alt.Shape("component:N", title="Cluster").scale(range=_SHAPES).legend(**_KEY)
    points = (
        alt.Chart(alt.NamedData("points"))
        .transform_calculate(component=name_shown("assigned"))
        .mark_point(filled=True, size=28, opacity=0.55, aria=False)
        .encode(
            x=x,
            y=y,
            color=_color("Cluster"),
            shape=shape,
            tooltip=[
                alt.Tooltip("observation:Q", title="Point"),
                alt.Tooltip("component:N", title="Cluster"),
                alt.Tooltip("x:Q", format=".4~f"),
                alt.Tooltip("y:Q", format=".4~f"),
            ],
        )
    )
    points = _pickable(points, "observation")
    steps = alt.Chart(alt.NamedData("steps")).encode(x=x, y=y)
    path = (
        _played(steps)
        .mark_line(color=_MARK, strokeWidth=2, opacity=0.9)
        .encode(detail="component:N", order="iteration:Q")
    )
    now = (
        _now(steps)
        .mark_point(filled=True, size=230, opacity=1, stroke=_MARK, strokeWidth=2.5)
        .encode(
            color=_color("Cluster"),
            shape=shape,
            tooltip=[
                alt.Tooltip("component:N", title="Centroid"),
                alt.Tooltip("x:Q", format=".4~f"),
                alt.Tooltip("y:Q", format=".4~f"),
            ],
        )
    )

    def centres(data: str, shape: str, words: str) -> Layer:
        return (
            alt.Chart(alt.NamedData(data))
            .mark_point(shape=shape, size=130, stroke=_INK, strokeWidth=3, opacity=1)
            .encode(
                x=x,
                y=y,
                tooltip=[
                    alt.Tooltip("component:N", title=words),
                    alt.Tooltip("x:Q", format=".4~f"),
                    alt.Tooltip("y:Q", format=".4~f"),
                ],
            )
        )

    references = {
        "truth": centres("truth", "M-1,-1L1,1M1,-1L-1,1", "True centre"),
        "labelled": centres("labelled", "M0,-1L0,1M-1,0L1,0", "Mean of the true cluster"),
    }
    return _compile(
        alt.layer(_to_scale(), points, *_drawn(references, truth, labelled), path, now),
        _PICTURE_HEIGHT,
    )


def _bars(
    x_title: str, y_title: str, component_title: str, axis: alt.Axis, *, aria: bool = True
) -> alt.Chart:
    """Bars of a fixed height, divided between the components by their responsibilities.

    A click picks the label of a bar. Without ``aria`` they are not read out one by one: writing
    what each of many marks says takes longer than drawing it.
    """
    bars = (
        alt.Chart(alt.NamedData("bars"))
        .transform_calculate(responsibility=share_shown("share"))
        .transform_calculate(part="datum.height * datum.responsibility")
        .mark_bar(opacity=0.75, binSpacing=0, aria=aria)
        .encode(
            x=alt.X("low:Q", bin="binned", title=x_title, axis=axis).scale(nice=False, zero=False),
            x2="high:Q",
            y=alt.Y("part:Q", title=y_title, stack="zero"),
            color=_color(component_title),
            order=alt.Order("component:O"),
            tooltip=[
                alt.Tooltip("label:N", title=x_title),
                alt.Tooltip("component:N", title=component_title),
                alt.Tooltip("responsibility:Q", title="Responsibility", format=".3f"),
                alt.Tooltip("part:Q", title=f"{y_title}, its part", format=".4~f"),
            ],
        )
    )
    return _pickable(bars, "label")


@cache
def shares(
    x_title: str,
    y_title: str,
    component_title: str,
    *,
    truth: bool = True,
    labelled: bool | None = None,
) -> Template:
    """Draw counts of a discrete outcome, divided between the components, with the expected counts.

    Data: ``bars`` (low, high, label, height, component, share: packed digits per iteration),
    ``expected`` (outcome, iteration, count) and, with ``truth`` and ``labelled``, these (outcome,
    count).
    """
    encoding = {
        "x": alt.X("outcome:Q"),
        "y": alt.Y("count:Q"),
        "tooltip": [
            alt.Tooltip("outcome:Q", title=x_title),
            alt.Tooltip("count:Q", title="Expected count", format=".2f"),
        ],
    }
    expected = (
        _now(alt.Chart(alt.NamedData("expected")))
        .mark_line(color=_MARK, point={"color": _MARK, "filled": True, "size": 30})
        .encode(**encoding)
    )
    references = {
        data: alt.Chart(alt.NamedData(data))
        .mark_line(color=_INK, strokeDash=dash, strokeWidth=2)
        .encode(**encoding)
        for data, dash in (("truth", _DASHED), ("labelled", _DOTTED))
    }
    chart = alt.layer(
        _hidden("expected", "outcome", "count"),
        _bars(x_title, y_title, component_title, alt.Axis(format="d", tickMinStep=1)),
        *_drawn(references, truth, labelled),
        expected,
    )
    return _compile(chart, _PICTURE_HEIGHT)


@cache
def densities(
    x_title: str,
    component_title: str,
    *,
    bound: bool = True,
    truth: bool = True,
    labelled: bool | None = None,
) -> Template:
    """Draw a histogram divided between the components, their densities, the sum and the truth.

    Data: ``bars`` as for :func:`shares`; ``steps`` (iteration, component, means, stds, weights) and
    ``truth`` and ``labelled`` (component, means, stds, weights), all with the grid (low, high,
    step) on which the curves are computed in the browser, and ``top``, the height of the picture.
    Without ``truth`` and ``labelled`` these are not needed. Without ``bound`` the picture rests at
    iteration 0.
    """
    grid = {
        "points": "sequence(datum.low, datum.high, datum.step)",
        # A component of no width has no density that could be drawn.
        "density": "datum.stds > 0"
        " ? datum.weights * densityNormal(datum.x, datum.means, datum.stds) : 0",
        "drawn": "min(datum.density, datum.top)",
    }

    def curves(data: str, now: bool) -> alt.Chart:
        chart = alt.Chart(alt.NamedData(data))
        if now:
            chart = _now(chart)
        return (
            chart.transform_calculate(points=grid["points"])
            .transform_flatten(["points"], as_=["x"])
            .transform_calculate(density=grid["density"])
            .transform_calculate(drawn=grid["drawn"])
        )

    x, y = alt.X("x:Q"), alt.Y("drawn:Q")
    total: dict[str, Any] = {
        "aggregate": [
            alt.AggregatedFieldDef(op="sum", field="density", **{"as": "sum"}),
            alt.AggregatedFieldDef(op="max", field="top", **{"as": "top"}),
        ],
        "groupby": ["x"],
    }
    component = (
        curves("steps", now=True)
        .mark_line(strokeWidth=2)
        .encode(x=x, y=y, color=_color(component_title))
    )
    mixture = (
        curves("steps", now=True)
        .transform_aggregate(**total)
        .transform_calculate(drawn="min(datum.sum, datum.top)")
        .mark_line(color=_MARK, strokeWidth=1.8)
        .encode(x=x, y=y)
    )
    references = {
        data: curves(data, now=False)
        .transform_aggregate(**total)
        .transform_calculate(drawn="min(datum.sum, datum.top)")
        .mark_line(color=_INK, strokeDash=dash, strokeWidth=2)
        .encode(x=x, y=y)
        for data, dash in (("truth", _DASHED), ("labelled", _DOTTED))
    }
    corner = _hidden("steps", "high", "top")
    bars = _bars(x_title, "Density", component_title, alt.Axis(format="~r"), aria=False)
    return _compile(
        alt.layer(corner, bars, component, *_drawn(references, truth, labelled), mixture),
        _PICTURE_HEIGHT if bound else _STILL_HEIGHT,
        bound=bound,
    )


@cache
def histogram(x_title: str) -> Template:
    """Draw a histogram with curves over it, told apart by colour and dash.

    Data: ``bars`` (low, high, height) and ``curves`` (x, density, curve).
    """
    bars = (
        alt.Chart(alt.NamedData("bars"))
        .mark_bar(color=_INK, opacity=0.35, binSpacing=0)
        .encode(
            x=alt.X("low:Q", bin="binned", title=x_title).scale(nice=False).axis(format="~r"),
            x2="high:Q",
            y=alt.Y("height:Q", title="Density"),
            tooltip=[
                alt.Tooltip("low:Q", title="From", format=".1f"),
                alt.Tooltip("high:Q", title="To", format=".1f"),
                alt.Tooltip("height:Q", title="Density", format=".4f"),
            ],
        )
    )
    curves = (
        alt.Chart(alt.NamedData("curves"))
        .mark_line(strokeWidth=2.5)
        .encode(
            x=alt.X("x:Q"),
            y=alt.Y("density:Q"),
            # In the order of the data: a curve keeps its colour when another one joins it.
            color=alt.Color("curve:N", title=None, sort=None).legend(**_legend()),
            strokeDash=alt.StrokeDash("curve:N", title=None, sort=None).legend(**_legend()),
            tooltip=[
                alt.Tooltip("curve:N", title="Curve"),
                alt.Tooltip("x:Q", title=x_title, format=".1f"),
                alt.Tooltip("density:Q", title="Density", format=".4f"),
            ],
        )
    )
    return _sized(alt.layer(bars, curves), _PICTURE_HEIGHT)


@cache
def hill(
    x_title: str,
    y_title: str,
    loss_title: str,
    *,
    path: bool = False,
    search: str = "",
    covered: bool = False,
) -> Template:
    """Draw the hill over two parameters in bands of what is lost against the maximum, with marks.

    Data: ``hill`` (x_low, x_high, y_low, y_high, band: the number of :data:`LOSS_BANDS` that the
    loss reaches) and ``marks`` (x, y, mark, since: the first iteration at which it is shown). With
    ``path`` also ``path`` (iteration, x, y), and the chart follows the player. With ``search``, the
    objective's name, also ``tried`` (number, x, y, objective, label), and a click picks the ``x``
    and ``y`` of a cell; ``hill`` then has a column ``turn`` too, which tells a second click on a
    cell from the first. ``covered``, the cells are all alike, and need no ``band``.
    """
    labels = [f"under {band:g}" for band in LOSS_BANDS] + [f"{LOSS_BANDS[-1]:g} or more"]
    words = f"{json.dumps(labels)}[datum.{{}}]"
    scale: dict[str, Any] = {
        "domain": list(range(len(labels))),
        "scheme": "viridis",
        "reverse": True,
    }
    no_grid = alt.Axis(grid=False)
    middle = [
        alt.Tooltip("x:Q", title=x_title, format=".3~f"),
        alt.Tooltip("y:Q", title=y_title, format=".3~f"),
    ]
    cells = (
        alt.Chart(alt.NamedData("hill"))
        .transform_calculate(
            x="(datum.x_low + datum.x_high) / 2", y="(datum.y_low + datum.y_high) / 2"
        )
        .mark_rect()
        .encode(
            x=alt.X("x_low:Q", title=x_title, axis=no_grid).scale(zero=False, nice=False),
            x2="x_high:Q",
            y=alt.Y("y_low:Q", title=y_title, axis=no_grid).scale(zero=False, nice=False),
            y2="y_high:Q",
        )
    )
    if covered:
        cells = cells.encode(tooltip=middle, color=alt.value(_COVER))
    else:
        cells = cells.transform_calculate(loss=words.format("band")).encode(
            tooltip=[*middle, alt.Tooltip("loss:N", title=loss_title)],
            color=alt.Color("band:O", title=loss_title)
            .scale(**scale)
            .legend(
                orient="bottom",
                columns=alt.ExprRef(f"width < {_NARROW} ? 2 : 4"),
                offset=6,
                symbolType="square",
                labelExpr=words.format("value"),
            ),
        )
    if search:
        fields = ["x", "y", "turn"]
        cells = cells.add_params(alt.selection_point(name="pick", fields=fields, empty=False))
    base = (
        alt.Chart(alt.NamedData("marks"))
        # Not filtered: a layer without any row has no extent, and Vega complains.
        .transform_calculate(name=f"datum.since <= {ITERATION} ? datum.mark : ''")
        .encode(x="x:Q", y="y:Q")
    )
    marks = base.mark_point(filled=True, stroke="white", strokeWidth=1.5, color=_MARK).encode(
        shape=alt.Shape("mark:N", sort=None).legend(None),
        size=alt.condition("datum.name", alt.value(160), alt.value(0)),
        opacity=alt.condition("datum.name", alt.value(1), alt.value(0)),
        tooltip=[
            alt.Tooltip("mark:N", title="Mark"),
            alt.Tooltip("x:Q", title=x_title, format=".4~f"),
            alt.Tooltip("y:Q", title=y_title, format=".4~f"),
        ],
    )
    text: dict[str, Any] = {"dy": -15, "fontWeight": "bold", "fontSize": 13}
    halo = base.mark_text(**text, stroke="black", strokeWidth=3, opacity=0.6).encode(text="name:N")
    names = base.mark_text(**text, color="white").encode(text="name:N")
    layers = [cells]
    if path:
        way = alt.Chart(alt.NamedData("path")).encode(x="x:Q", y="y:Q")
        layers += [
            _played(way)
            .mark_line(color="white", strokeWidth=2, point={"color": "white", "size": 20})
            .encode(order="iteration:Q"),
            _now(way).mark_point(
                color=_MARK, filled=True, size=170, opacity=1, stroke="white", strokeWidth=2
            ),
        ]
    if search:
        tried = alt.Chart(alt.NamedData("tried")).encode(x="x:Q", y="y:Q", order="number:Q")
        layers += [
            tried.mark_line(color="white", strokeWidth=1.5, strokeDash=_DASHED),
            tried.mark_point(filled=True, color="white", opacity=1, size=36).encode(
                tooltip=[
                    alt.Tooltip("number:Q", title="Guess number"),
                    alt.Tooltip("x:Q", title=x_title, format=".4~f"),
                    alt.Tooltip("y:Q", title=y_title, format=".4~f"),
                    alt.Tooltip("objective:Q", title=search, format=",.2f"),
                ]
            ),
            tried.mark_text(align="left", dx=7, color="white").encode(text="label:N"),
        ]
    chart = alt.layer(*layers, marks, halo, names).properties(
        usermeta={"embedOptions": {"renderer": "canvas"}}
    )
    return _compile(chart, _PICTURE_HEIGHT, bound=path)


@cache
def bound(x_title: str, y_title: str) -> Template:
    """Draw a slice of the objective, and the lower bound that touches it at the iteration shown.

    Data: ``slice`` (first, last: the iterations that show this row; x, y, curve) and ``ends``
    (first, last, x, y, point).
    """
    now = f"datum.first <= {ITERATION} && {ITERATION} <= datum.last"
    lines = (
        alt.Chart(alt.NamedData("slice"))
        .transform_filter(now)
        .mark_line(strokeWidth=2.5)
        .encode(
            x=alt.X("x:Q", title=x_title).scale(zero=False, nice=False),
            y=alt.Y("y:Q", title=y_title).scale(zero=False),
            color=alt.Color("curve:N", title=None).legend(**_legend()),
            strokeDash=alt.StrokeDash("curve:N", title=None).legend(**_legend()),
            tooltip=[
                alt.Tooltip("curve:N", title="Curve"),
                alt.Tooltip("x:Q", title=x_title, format=".4~f"),
                alt.Tooltip("y:Q", title="Value", format=",.4f"),
            ],
        )
    )
    points = (
        alt.Chart(alt.NamedData("ends"))
        .transform_filter(now)
        .mark_point(size=130, filled=True, color=_MARK, opacity=1)
        .encode(
            x="x:Q",
            y="y:Q",
            shape=alt.Shape("point:N", title=None).legend(**_legend("bottom")),
            tooltip=[
                alt.Tooltip("point:N", title="Point"),
                alt.Tooltip("x:Q", title=x_title, format=".4~f"),
                alt.Tooltip("y:Q", title=y_title, format=",.4f"),
            ],
        )
    )
    return _compile(alt.layer(lines, points), _PICTURE_HEIGHT)


@cache
def curves(title: str, kinds: tuple[str, ...], *, gap: bool = False) -> Template:
    """Objective curves of many starts, or on a log scale what each misses of the best.

    Data: ``curves`` (start, solution: one of ``kinds``, iteration, objective, gap).
    """
    field = "gap" if gap else "objective"
    if gap:
        scale: dict[str, Any] = {"type": "log"}
        axis = alt.Axis(format="~g")  # 0.001, not a power of ten
    else:
        scale, axis = {"zero": False}, alt.Axis()
    chart = alt.Chart(alt.NamedData("curves"))
    if gap:  # less is nothing that could be read from the chart
        chart = chart.transform_filter(f"datum.gap >= {_LEAST_GAP}")
    legend: Any = _legend() if len(kinds) > 1 else None
    dashes = [[1, 0], _DASHED, _DOTTED][: len(kinds)]
    lines = chart.mark_line(strokeWidth=1.5, opacity=0.7).encode(
        x=_integers("iteration", "Iteration"),
        y=alt.Y(f"{field}:Q", title=title, axis=axis).scale(**scale),
        detail="start:N",
        color=alt.Color("solution:N", title="Ends at").scale(domain=list(kinds)).legend(legend),
        strokeDash=alt.StrokeDash("solution:N", title="Ends at")
        .scale(domain=list(kinds), range=dashes)
        .legend(legend),
        tooltip=[
            alt.Tooltip("start:Q", title="Start"),
            alt.Tooltip("iteration:Q", title="Iteration"),
            alt.Tooltip(f"{field}:Q", title=title, format=",.4f"),
        ],
    )
    return _sized(lines, _STILL_HEIGHT)


@cache
def distance(title: str) -> Template:
    """Distance to the limit on a log scale. Data: ``distance`` (iteration, distance)."""
    line = (
        alt.Chart(alt.NamedData("distance"))
        .mark_line(color=_INK, point={"color": _INK, "filled": True, "size": 18})
        .encode(
            x=_integers("iteration", "Iteration"),
            y=alt.Y("distance:Q", title=title).scale(type="log").axis(format=".0e"),
            tooltip=[
                alt.Tooltip("iteration:Q", title="Iteration"),
                alt.Tooltip("distance:Q", title=title, format=".3e"),
            ],
        )
    )
    return _sized(alt.layer(line), _HEIGHT)


@cache
def start_map(x_title: str, y_title: str, ends: tuple[str, ...]) -> Template:
    """Draw where EM ends from each start in a square, and how many iterations it takes.

    Data: ``map`` (x_low, x_high, y_low, y_high, end: one of ``ends``, iterations).
    """
    chart = (
        alt.Chart(alt.NamedData("map"))
        .mark_rect()
        .encode(
            x=alt.X("x_low:Q", title=x_title).scale(nice=False),
            x2="x_high:Q",
            y=alt.Y("y_low:Q", title=y_title).scale(nice=False),
            y2="y_high:Q",
            color=alt.Color("end:N", title="Ends at").scale(domain=list(ends)).legend(**_legend()),
            opacity=alt.Opacity("iterations:Q", title="Iterations")
            .scale(range=[0.35, 1])
            .legend(**_legend("bottom", narrow=3), symbolType="square", symbolFillColor=_INK),
            tooltip=[
                alt.Tooltip("x_low:Q", title=x_title, format=".2f"),
                alt.Tooltip("y_low:Q", title=y_title, format=".2f"),
                alt.Tooltip("end:N", title="Ends at"),
                alt.Tooltip("iterations:Q", title="Iterations"),
            ],
        )
        .properties(usermeta={"embedOptions": {"renderer": "canvas"}})
    )
    return _sized(chart, _PICTURE_HEIGHT)
