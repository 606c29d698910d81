"""Chart templates: drawn in Altair once per process, filled with data in every rerun.

A template names its data sets (``alt.NamedData``) and reads the iteration from two Vega parameters
that :mod:`em_ui.player` drives in the browser: ``iter`` chooses the parameters that are drawn,
``assign`` the responsibilities. A template never changes with the data, since a changed template
would put both parameters back to the start.

Each function returns a template; :func:`show` draws it.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

MAX_ITERATIONS = 500
LOSS_BANDS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # log-likelihood lost per observation, in nats
SHARE_DIGITS = 4  # a share is drawn to 1/9999; see frames.pack

_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "wedge", "arrow"]
# Readable on white and on the dark background alike.
_INK = "#7A8794"
_MARK = "#E0218A"

_ENDS = ("min", "max")

_HEIGHT = 230
_PICTURE_HEIGHT = 420
_STILL_HEIGHT = 300

Template = dict[str, Any]


def show(
    template: Template,
    datasets: Mapping[str, pd.DataFrame],
    *,
    key: str,
    alt: str,
) -> None:
    """Draw a template with its data sets; ``alt`` says in words what there is to see."""
    st.vega_lite_chart({**template, "datasets": dict(datasets)}, key=key, alt=alt)


def _parameters(bound: bool) -> list[alt.Parameter]:
    bind = alt.binding_range(min=0, max=MAX_ITERATIONS, step=1) if bound else alt.Undefined
    return [alt.param(name=name, value=0, bind=bind) for name in ("iter", "assign")]


def _compile(chart: alt.LayerChart, height: int, *, bound: bool = True) -> Template:
    chart = chart.properties(height=height).add_params(*_parameters(bound))
    return chart.to_dict()


def _integers(field: str, title: str) -> alt.X:
    return alt.X(field, type="quantitative", title=title).axis(tickMinStep=1, format="d")


def _color(title: str | None = None) -> alt.Color:
    return alt.Color("component:N", title=title).legend(orient="top")


def _hidden(data: str, x: str, y: str) -> alt.Chart:
    """Return a layer that is not seen, but keeps the axes fixed over all iterations.

    It draws two corners only: a mark for each row would bring the browser to a halt.
    """
    ends = {f"{end}_{axis}": f"{end}({f})" for axis, f in (("x", x), ("y", y)) for end in _ENDS}
    return (
        alt.Chart(alt.NamedData(data))
        .transform_aggregate(**ends)
        .transform_calculate(x="[datum.min_x, datum.max_x]", y="[datum.min_y, datum.max_y]")
        .transform_flatten(["x", "y"])
        .mark_point(opacity=0, tooltip=None)
        .encode(x=alt.X("x", type="quantitative"), y=alt.Y("y", type="quantitative"))
    )


def _now(chart: alt.Chart) -> alt.Chart:
    """Return the rows of the current iteration, or the last before the player knows of a cut."""
    return chart.transform_joinaggregate(end="max(iteration)").transform_filter(
        "datum.iteration == min(iter, datum.end)"
    )


@cache
def objective(title: str) -> Template:
    """Objective against iteration. Data: ``steps`` (iteration, objective)."""
    base = alt.Chart(alt.NamedData("steps")).encode(
        x=_integers("iteration", "Iteration"),
        y=alt.Y("objective:Q", title=title).scale(zero=False),
        tooltip=[
            alt.Tooltip("iteration:Q", title="Iteration"),
            alt.Tooltip("objective:Q", title=title, format=",.6~f"),
        ],
    )
    line = base.mark_line(color=_INK)
    points = base.mark_point(color=_INK, filled=True, size=18)
    now = _now(base).mark_point(color=_MARK, filled=True, size=110, opacity=1)
    return _compile(alt.layer(line, points, now), _HEIGHT)


@cache
def parameter(field: str, title: str) -> Template:
    """One parameter of every component against iteration, with the truth dashed.

    Data: ``steps`` (iteration, component, ``field``, last), ``truth`` (component, ``field``).
    """
    value = alt.Y(field, type="quantitative", title=title).scale(zero=False)
    base = alt.Chart(alt.NamedData("steps")).encode(
        x=_integers("iteration", "Iteration"),
        y=value,
        color=_color().legend(None),
        tooltip=[
            alt.Tooltip("component:N", title="Component"),
            alt.Tooltip("iteration:Q", title="Iteration"),
            alt.Tooltip(field, type="quantitative", title=title, format=".6~f"),
        ],
    )
    truth = (
        alt.Chart(alt.NamedData("truth"))
        .mark_rule(strokeDash=[6, 4], strokeWidth=1.5, opacity=0.8)
        .encode(
            y=value,
            color=_color().legend(None),
            tooltip=[
                alt.Tooltip("component:N", title="Truth of component"),
                alt.Tooltip(field, type="quantitative", title=title, format=".6~f"),
            ],
        )
    )
    line = base.mark_line(strokeWidth=2)
    now = (
        _now(base)
        .mark_point(filled=True, size=90)
        .encode(
            shape=alt.Shape("component:N").scale(range=_SHAPES).legend(None), opacity=alt.value(1)
        )
    )
    names = (
        base.transform_filter("datum.last")
        .mark_text(align="left", dx=7, fontWeight="bold", clip=False)
        .encode(text="component:N")
    )
    chart = alt.layer(truth, line, now, names).resolve_scale(shape="independent")
    return _compile(
        chart.properties(padding={"right": 22, "left": 5, "top": 5, "bottom": 5}), _HEIGHT
    )


@cache
def movement(title: str) -> Template:
    """How far each component moved in each update.

    Data: ``steps`` (iteration, component, movement).
    """
    steps = alt.Chart(alt.NamedData("steps"))
    base = steps.transform_filter("isValid(datum.movement)").encode(
        x=_integers("iteration", "Iteration"),
        y=alt.Y("movement:Q", title=title),
        color=_color().legend(None),
        shape=alt.Shape("component:N").scale(range=_SHAPES).legend(None),
        tooltip=[
            alt.Tooltip("component:N", title="Component"),
            alt.Tooltip("iteration:Q", title="Iteration"),
            alt.Tooltip("movement:Q", title=title, format=".6~f"),
        ],
    )
    now = _now(steps).mark_rule(color=_MARK, strokeWidth=2).encode(x="iteration:Q")
    line, points = base.mark_line(strokeWidth=2), base.mark_point(filled=True, size=45, opacity=1)
    return _compile(alt.layer(now, line, points), _HEIGHT)


@cache
def scatter() -> Template:
    """Points in the colour and shape of their cluster, with the centroids and their paths.

    Data: ``points`` (x, y, assigned: one character an iteration), ``steps`` (iteration, component,
    x, y) and ``truth`` (component, x, y).
    """
    x, y = alt.X("x:Q", title="x"), alt.Y("y:Q", title="y")
    shape = alt.Shape("component:N", title="Cluster").scale(range=_SHAPES).legend(orient="top")
    points = (
        alt.Chart(alt.NamedData("points"))
        .transform_calculate(component="substring(datum.assigned, assign, assign + 1)")
        .mark_point(filled=True, size=28, opacity=0.55)
        .encode(x=x, y=y, color=_color("Cluster"), shape=shape)
    )
    steps = alt.Chart(alt.NamedData("steps")).encode(x=x, y=y)
    path = (
        steps.transform_filter("datum.iteration <= iter")
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
    truth = (
        alt.Chart(alt.NamedData("truth"))
        .mark_point(shape="M-1,-1L1,1M1,-1L-1,1", size=130, stroke=_INK, strokeWidth=3, opacity=1)
        .encode(
            x=x,
            y=y,
            tooltip=[
                alt.Tooltip("component:N", title="True centre"),
                alt.Tooltip("x:Q", format=".4~f"),
                alt.Tooltip("y:Q", format=".4~f"),
            ],
        )
    )
    return _compile(
        alt.layer(_hidden("steps", "x", "y"), points, truth, path, now), _PICTURE_HEIGHT + 40
    )


def _share(digits: int = SHARE_DIGITS) -> str:
    start = f"{digits} * assign"
    return f"toNumber(substring(datum.share, {start}, {start} + {digits})) / {10**digits - 1}"


def _bars(x_title: str, y_title: str, component_title: str, axis: alt.Axis) -> alt.Chart:
    """Bars of a fixed height, divided between the components by their responsibilities."""
    return (
        alt.Chart(alt.NamedData("bars"))
        .transform_calculate(responsibility=_share())
        .transform_calculate(part="datum.height * datum.responsibility")
        .mark_bar(opacity=0.75, binSpacing=0)
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


@cache
def shares(x_title: str, y_title: str, component_title: str) -> Template:
    """Draw counts of a discrete outcome, divided between the components, with the expected counts.

    Data: ``bars`` (low, high, label, height, component, share: packed digits per iteration),
    ``expected`` (outcome, iteration, count) and ``truth`` (outcome, count).
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
    truth = (
        alt.Chart(alt.NamedData("truth"))
        .mark_line(color=_INK, strokeDash=[6, 4], strokeWidth=2)
        .encode(**encoding)
    )
    chart = alt.layer(
        _hidden("expected", "outcome", "count"),
        _bars(x_title, y_title, component_title, alt.Axis(format="d", tickMinStep=1)),
        truth,
        expected,
    )
    return _compile(chart, _PICTURE_HEIGHT)


@cache
def densities(x_title: str, component_title: str, *, bound: bool = True) -> Template:
    """Draw a histogram divided between the components, their densities, the sum and the truth.

    Data: ``bars`` as for :func:`shares`; ``steps`` (iteration, component, means, stds, weights) and
    ``truth`` (component, means, stds, weights), both with the grid (low, high, step) on which the
    curves are computed in the browser, and ``top``, the height of the picture.
    """
    grid = {
        "points": "sequence(datum.low, datum.high, datum.step)",
        "density": "datum.weights * densityNormal(datum.x, datum.means, datum.stds)",
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
    total = {
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
    truth = (
        curves("truth", now=False)
        .transform_aggregate(**total)
        .transform_calculate(drawn="min(datum.sum, datum.top)")
        .mark_line(color=_INK, strokeDash=[6, 4], strokeWidth=2)
        .encode(x=x, y=y)
    )
    corner = _hidden("truth", "high", "top")
    bars = _bars(x_title, "Density", component_title, alt.Axis(format="~r"))
    return _compile(
        alt.layer(corner, bars, component, truth, mixture),
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
            color=alt.Color("curve:N", title=None).legend(orient="top"),
            strokeDash=alt.StrokeDash("curve:N", title=None).legend(orient="top"),
        )
    )
    return alt.layer(bars, curves).properties(height=_PICTURE_HEIGHT).to_dict()


@cache
def surface(x_title: str, y_title: str, loss_title: str) -> Template:
    """Draw a surface over two parameters in bands of what is lost against the maximum, with marks.

    Data: ``surface`` (x_low, x_high, y_low, y_high, band: the number of :data:`LOSS_BANDS` that the
    loss reaches) and ``marks`` (x, y, mark).
    """
    labels = [f"under {band:g}" for band in LOSS_BANDS] + [f"{LOSS_BANDS[-1]:g} or more"]
    scale = {"domain": list(range(len(labels))), "scheme": "viridis", "reverse": True}
    legend = {
        "orient": "bottom",
        "columns": alt.ExprRef("width < 420 ? 2 : 4"),
        "symbolType": "square",
        "labelExpr": f"{json.dumps(labels)}[datum.value]",
    }
    x_axis, y_axis = alt.Axis(grid=False), alt.Axis(grid=False)
    cells = (
        alt.Chart(alt.NamedData("surface"))
        .mark_rect(strokeWidth=0.7)  # covers the seams between cells
        .encode(
            x=alt.X("x_low:Q", title=x_title, axis=x_axis).scale(zero=False, nice=False),
            x2="x_high:Q",
            y=alt.Y("y_low:Q", title=y_title, axis=y_axis).scale(zero=False, nice=False),
            y2="y_high:Q",
            color=alt.Color("band:O", title=loss_title).scale(**scale).legend(**legend),
            stroke=alt.Stroke("band:O", title=loss_title).scale(**scale).legend(**legend),
        )
    )
    base = alt.Chart(alt.NamedData("marks")).encode(
        x="x:Q",
        y="y:Q",
        tooltip=[
            alt.Tooltip("mark:N", title="Mark"),
            alt.Tooltip("x:Q", title=x_title, format=".2f"),
            alt.Tooltip("y:Q", title=y_title, format=".2f"),
        ],
    )
    marks = base.mark_point(
        size=160, filled=True, stroke="white", strokeWidth=1.5, opacity=1, color=_MARK
    ).encode(shape=alt.Shape("mark:N").legend(None))
    text = {"dy": -15, "fontWeight": "bold", "fontSize": 13}
    halo = base.mark_text(**text, stroke="black", strokeWidth=3, opacity=0.6).encode(text="mark:N")
    names = base.mark_text(**text, color="white").encode(text="mark:N")
    chart = alt.layer(cells, marks, halo, names).properties(
        height=_PICTURE_HEIGHT, usermeta={"embedOptions": {"renderer": "canvas"}}
    )
    return chart.to_dict()
