"""Chart templates: drawn in Altair once per process, filled with data in every rerun.

A template names its data sets (``alt.NamedData``) and reads two iterations from a Vega parameter
that :mod:`.player` drives in the browser: one chooses the parameters that are drawn, the other the
responsibilities (see :mod:`.format`). A template never changes with the data, since a changed
template would put it back to the start.

Charts draw what has been played, and no more. Their axes are those of the whole run, so that they
stand still.

Each function returns a template; :func:`show` draws it, with its title.
"""

import inspect
import json
import re
import textwrap
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache, wraps
from typing import Any, ParamSpec

import altair as alt
import pyarrow as pa
import streamlit as st

from em_ui.pictures.format import (
    ASSIGNMENT,
    BEFORE,
    ITERATION,
    MAX_ITERATIONS,
    PLACE,
    PLACES,
    SHOWN_DIGITS,
    SLIDE,
    share_shown,
)

# Titles may hold numbers of a run, so not all templates are kept for ever.
cache = lru_cache(maxsize=256)

_LEAST_GAP = 1e-5  # to the best objective, that is drawn
LOSS_BANDS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # log-likelihood lost per observation, in nats

# The last two are drawn by hand: Vega's wedge and arrow are hardly seen.
_SHAPES = [
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "M-1,-.55L0,.1L1,-.55L1,.35L0,1L-1,.35Z",
    "M-.4,-1L1,-1L.4,1L-1,1Z",
]
# Readable on white and on the dark background alike.
_INK = "#7A8794"
_MARK = "#E0218A"
_COVER = "#3B4652"  # of what is still to be found; white is read on it, as on the hill


def _by_theme(light: str, dark: str) -> dict[str, str]:
    """Return a colour that depends on what it is drawn on."""
    return {"expr": f"luminance(background) > 0.5 ? '{light}' : '{dark}'"}


_TEXT = _by_theme("#1B2733", "#E6EDF3")
_FAINT_TEXT = _by_theme("#4A5764", "#AEBAC6")  # at least 4.5 : 1
_TRUTH = _by_theme("#3C4854", "#D3DCE5")  # dashed, and darker than what is dotted
_NOWHERE = _by_theme("#D9DEE4", "#3A444E")  # of a hill
_NEUTRAL = _by_theme("#8A96A3", "#77838F")  # of what has no component yet

# The names of the components, in one line above the picture.
_KEY: dict[str, Any] = {"orient": "top", "titleOrient": "left", "offset": 6}

# A curve is computed at so many steps around each mean, to so many standard deviations.
# What is narrower than this fraction of the picture is drawn as a spike, down to its foot.
_BENDS, _REACH, _SPIKE = 26, 5, 1 / 5_000

# An ellipse is a closed curve through so many points; between them it is off by less than a pixel.
_ELLIPSE = 24
_DEVIATIONS = (1, 2)  # at which ellipses are drawn

_NAMES_HIGH = 11  # names have room one above the other in a small chart
_NAMES_WIDE = 3  # and so many beside each other, right of it

_ENDS = ("min", "max")
_SOLID, _DASHED, _DOTTED = [1.0, 0.0], [7.0, 4.0], [1.5, 3.0]

# While the player slides, things stand between the iteration before and the one that comes.
_WHOLE, _COMING = f"floor({ITERATION})", f"ceil({ITERATION})"
_WAY = f"({ITERATION} > {_WHOLE} ? {ITERATION} - {_WHOLE} : 1)"  # gone from one to the other
_UNASSIGNED = f"{ASSIGNMENT} <= {BEFORE}"

# In pixels, with title, axes and legend. On a laptop the picture and, beside it, two of the small
# charts stand on one screen with the title, the question and the player.
_PICTURE_HEIGHT = 380
_HEIGHT = 206
_STILL_HEIGHT = 300
_SQUARE_HEIGHT = 440

# Beside a small chart: of components, right of the last iteration; of the axis, so that charts one
# below the other have one axis of iterations.
_ROOM_FOR_NAMES, _ROOM_FOR_NUMBERS = 44, 56
_TITLE_SIZE = 14
_NARROW = 330  # between the axes: a phone's chart, or one of three in a row
_TITLE_CHARACTERS = 40  # of a line in so narrow a chart

Template = dict[str, Any]
AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart
Layer = Any  # what a chain of Altair's methods returns; it leaves the type open
_P = ParamSpec("_P")

_WRITTEN: dict[int, bytes] = {}

# Stand for words in a template that is kept, and are escaped where an expression has them.
_STAND_INS = ("\ue000", "\ue001")
_STAND_IN = re.compile("|".join((*_STAND_INS, *(rf"\\u{ord(c):x}" for c in _STAND_INS))))


def _kept_without(*titles: str) -> Callable[[Callable[_P, Template]], Callable[_P, Template]]:
    """Keep a template as :data:`cache` does, but not the words that these arguments bring.

    They may be names that visitors bring with their data, which are to be gone with their session.
    """

    def keep(make: Callable[_P, Template]) -> Callable[_P, Template]:
        signature = inspect.signature(make)

        @cache
        def kept(*args: _P.args, **kwargs: _P.kwargs) -> tuple[Template, list[tuple[Any, ...]]]:
            template = make(*args, **kwargs)
            return template, list(_places(template))

        @wraps(make)
        def with_words(*args: _P.args, **kwargs: _P.kwargs) -> Template:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            words = {}
            for title, stand_in in zip(titles, _STAND_INS, strict=False):
                word, given.arguments[title] = given.arguments[title], stand_in
                words[stand_in] = word
                words[json.dumps(stand_in)[1:-1]] = json.dumps(word)[1:-1]
            template, places = kept(*given.args, **given.kwargs)
            filled: Template = _filled(template, places, words)
            return filled

        return with_words

    return keep


def _places(part: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the ways to the strings of a template in which something stands for words."""
    if isinstance(part, str):
        if _STAND_IN.search(part):
            yield at
    elif isinstance(part, dict | list):
        for key, value in part.items() if isinstance(part, dict) else enumerate(part):
            yield from _places(value, (*at, key))


def _filled(part: Any, places: Collection[tuple[Any, ...]], words: Mapping[str, str]) -> Any:
    """Return a part of a template with words in the place of what stands for them.

    What needs no words is the template's own: to walk through all of it would cost each rerun more
    than the rest of a chart.
    """
    if isinstance(part, str):
        return _STAND_IN.sub(lambda found: words[found[0]], part)
    copy = part.copy()
    for key in dict.fromkeys(place[0] for place in places):
        below = [place[1:] for place in places if place[0] == key]
        copy[key] = _filled(part[key], below, words)
    return copy


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
    written = {name: _written(table) for name, table in datasets.items()}
    spec = {**template, "datasets": written}
    if title:
        spec["title"] = _title(title)
    if on_pick is None:
        st.vega_lite_chart(spec, key=key, alt=alt)
    else:
        st.vega_lite_chart(spec, key=key, alt=alt, on_select=on_pick, selection_mode="pick")


def _written(table: pa.Table) -> bytes:
    """Return a table as it is sent, which is kept for as long as the table is."""
    number = id(table)
    known = _WRITTEN.get(number)
    if known is None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        known = _WRITTEN[number] = sink.getvalue().to_pybytes()
        weakref.finalize(table, _WRITTEN.pop, number, None)
    return known


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
        "color": _TEXT,
    }


def picked(key: str, field: str) -> Any | None:
    """Return the value of ``field`` at the mark that was clicked last in the chart ``key``."""
    marks = st.session_state[key].selection.get("pick", [])
    return marks[0].get(field) if marks else None


def _pickable(chart: alt.Chart, field: str) -> alt.Chart:
    """Let a click on a mark pick the value of ``field``."""
    return chart.add_params(alt.selection_point(name="pick", fields=[field], empty=False))


def _parameters(bound: bool, slides: bool) -> list[alt.Parameter]:
    if not bound:
        return [alt.param(name=name, value=0) for name in (ITERATION, ASSIGNMENT)]
    most = PLACES * (MAX_ITERATIONS - BEFORE) + MAX_ITERATIONS
    place = alt.binding_range(min=0, max=most, step=SLIDE if slides else 1)
    return [
        alt.param(name=PLACE, value=0, bind=place),
        alt.param(name=ITERATION, expr=f"{PLACE} % {PLACES}"),
        alt.param(name=ASSIGNMENT, expr=f"floor({PLACE} / {PLACES}) + {BEFORE}"),
    ]


def _compile(chart: AnyChart, height: int, *, bound: bool = True, slides: bool = False) -> Template:
    """Return the template of a chart that follows the player.

    Without ``bound`` it rests. With ``slides`` the player slides it from one iteration to the next:
    each frame in between costs as much as a step.
    """
    return _sized(chart.add_params(*_parameters(bound, slides)), height)


def _sized(chart: AnyChart, height: int) -> Template:
    """Return the template of a chart of so many pixels, most of them for what it draws."""
    small = height == _HEIGHT
    padding = {"left": 0, "right": _ROOM_FOR_NAMES if small else 6, "top": 4, "bottom": 4}
    words = {"labelColor": _FAINT_TEXT, "titleColor": _FAINT_TEXT}
    config: dict[str, Any] = {"axis": {"titlePadding": 6, **words}, "legend": words}
    if small:
        config["axisY"] = {"minExtent": _ROOM_FOR_NUMBERS}
    return chart.properties(height=height, padding=padding, config=config).to_dict()


def _steady(template: Template, **domains: str) -> Template:
    """Let scales depend on no iteration: each domain is an expression over whole data sets.

    Otherwise Vega works out the domain anew in every frame, and with it axes, legends and each mark
    that is placed or coloured by the scale. What one layer says so outweighs what the others draw.
    """
    for channel, domain in domains.items():
        for layer in template["layer"]:
            scaled = layer.get("encoding", {}).get(channel, {})
            if "field" in scaled:
                scaled["scale"] = {**scaled.get("scale", {}), "domain": {"signal": domain}}
                break
    return template


def _extent(*columns: tuple[str, str]) -> str:
    """Return the expression for the extent of columns: data set and field of each."""
    every = [f"extent(pluck(data('{data}'), '{field}'))" for data, field in columns]
    low, high = (f"[{', '.join(f'{one}[{i}]' for one in every)}]" for i in (0, 1))
    return f"[extent({low})[0] || 0, extent({high})[1] || 0]"


def _up_to(*columns: tuple[str, str]) -> str:
    """Return the expression for what reaches from 0 to the highest of columns."""
    return f"[0, {_extent(*columns)}[1]]"


_EVERY_COMPONENT = "pluck(data('steps'), 'component')"


def _integers(field: str, title: str) -> alt.X:
    return alt.X(field, type="quantitative", title=title).axis(tickMinStep=1, format="d")


def _legend(orient: str = "top", *, narrow: int = 1) -> dict[str, Any]:
    """Return a legend in one row, which on a phone becomes ``narrow`` columns."""
    columns = alt.ExprRef(f"width < {_NARROW} ? {narrow} : 0")
    return {"orient": orient, "columns": columns, "offset": 6}


def _color(title: str | None = None) -> alt.Color:
    return alt.Color("component:N", title=title).legend(**_KEY)


def _once_assigned(color: alt.Color) -> Any:
    """Return the colour of a component, neutral as long as there was no E-step."""
    return alt.condition(_UNASSIGNED, alt.value(alt.ExprRef(**_NEUTRAL)), color)


def _on_canvas(chart: AnyChart) -> AnyChart:
    """Let the browser draw on a canvas.

    Of many marks that takes a fraction of the time, and in a step of the player, of few ones too.
    """
    return chart.properties(usermeta={"embedOptions": {"renderer": "canvas"}})


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
        .mark_point(opacity=0, tooltip=None, aria=False)
        .encode(x=alt.X("x", type="quantitative"), y=alt.Y("y", type="quantitative"))
    )


def _to_scale() -> Layer:
    """Return a layer that is not seen, and whose axes :func:`_same_scale` gives one scale."""
    return (
        alt.Chart(alt.NamedData("frame"))
        .mark_point(opacity=0, tooltip=None, aria=False)
        .encode(x="x_low:Q", y="y_low:Q")
    )


def _same_scale(axis: str, length: str) -> str:
    """Return the expression for the domain of an axis of so many pixels, around ``frame``.

    A unit is as long in one direction as in the other, so that what looks nearest is, whatever the
    width of the window. Data: ``frame`` (x_low, x_high, y_low, y_high), one row.
    """
    frame = "data('frame')[0]"
    unit = (
        f"1.1 * max(({frame}.x_high - {frame}.x_low) / width,"
        f" ({frame}.y_high - {frame}.y_low) / height)"
    )
    middle = f"({frame}.{axis}_low + {frame}.{axis}_high) / 2"
    return f"[{middle} - {unit} * {length} / 2, {middle} + {unit} * {length} / 2]"


_SIDE = "min(width, height)"
# Scales of a square, at the left and at the bottom of what room there is.
_ACROSS: list[Any] = [0, {"expr": _SIDE}]
_UPWARDS: list[Any] = [{"expr": "height"}, {"expr": f"height - {_SIDE}"}]


def _now(chart: alt.Chart, first: int = 0, *, at: str = _WHOLE) -> alt.Chart:
    """Return the rows of the current iteration, or the last before the player knows of a cut.

    ``first`` is the first iteration that has rows. It stands for those before it: a layer without
    any row would have no extent, and Vega complains.
    """
    return chart.transform_joinaggregate(end="max(iteration)").transform_filter(
        f"datum.iteration == min(max({at}, {first}), datum.end)"
    )


def _coming(chart: alt.Chart, *fields: str, by: str | None = None, first: int = 0) -> alt.Chart:
    """Return the rows of :func:`_now`, and on the way there the ``fields`` between two iterations.

    Where each comes from stands in ``from_`` and its name, and where it is in ``at_`` and its name:
    Vega computes in place, so that a field that was overwritten would be lost to the next frame.
    """
    chart = chart.transform_window(
        [alt.WindowFieldDef.from_dict({"op": "lag", "field": f, "as": f"lag_{f}"}) for f in fields],
        sort=[alt.SortField("iteration")],
        groupby=[by] if by else alt.Undefined,
    )
    chart = _now(chart, first, at=_COMING)
    # The first of all has nothing before it.
    come = {f"from_{f}": f"isValid(datum.lag_{f}) ? datum.lag_{f} : datum.{f}" for f in fields}
    gone = {f"at_{f}": f"datum.from_{f} + (datum.{f} - datum.from_{f}) * {_WAY}" for f in fields}
    return chart.transform_calculate(**come).transform_calculate(**gone)


def _played(chart: alt.Chart, first: int = 0) -> alt.Chart:
    """Return the rows of the iterations up to the current one, or of the ``first``."""
    return chart.transform_filter(f"datum.iteration <= max({_WHOLE}, {first})")


def _way(coming: alt.Chart, x: str, y: str, **encoding: Any) -> alt.Chart:
    """Return what is gone of the way from the iteration before, to be drawn as a rule."""
    return coming.encode(
        x=alt.X(f"from_{x}:Q"), x2=f"at_{x}:Q", y=alt.Y(f"from_{y}:Q"), y2=f"at_{y}:Q", **encoding
    )


def _there(coming: alt.Chart, x: str, y: str, **encoding: Any) -> alt.Chart:
    """Return what stands at the end of that way."""
    return coming.encode(x=alt.X(f"at_{x}:Q"), y=alt.Y(f"at_{y}:Q"), **encoding)


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
    line = _played(base).mark_line(
        color=_INK, point={"color": _INK, "filled": True, "size": 18, "aria": False}, aria=False
    )
    now = _now(base).mark_point(color=_MARK, filled=True, size=110, opacity=1, aria=False)
    layers = alt.layer(_hidden("steps", "iteration", "objective"), line, now)
    return _steady(
        _compile(_on_canvas(layers), _HEIGHT),
        x=_extent(("steps", "iteration")),
        y=_extent(("steps", "objective")),
    )


@cache
def gap(title: str) -> Template:
    """Gap of the objective to where the run ended, on a log scale, against iteration.

    Data: ``steps`` (iteration, gap), without iterations that have no gap.
    """
    base = alt.Chart(alt.NamedData("steps")).encode(
        x=_iterations(),
        y=alt.Y("gap:Q", title=None).scale(type="log").axis(format="~r", tickCount=5),
        tooltip=[
            alt.Tooltip("iteration:Q", title="Iteration"),
            alt.Tooltip("gap:Q", title=title, format=",.3~r"),
        ],
    )
    line = base.mark_line(color=_INK, aria=False)
    now = _now(base).mark_point(color=_MARK, filled=True, size=110, opacity=1, aria=False)
    return _compile(_on_canvas(alt.layer(line, now)), _HEIGHT)


@_kept_without("title")
def parameter(
    field: str, title: str, *, truth: bool = True, labelled: bool | None = None
) -> Template:
    """One parameter of every component against iteration, beside what there is to compare it with.

    Data: ``steps`` (iteration, component, ``field``); with ``truth`` also ``truth``, drawn dashed,
    and with ``labelled``, which is as ``truth`` if it is not given, ``labelled``, drawn dotted
    (component, ``field``).
    """
    value = alt.Y(field, type="quantitative", title=None).scale(zero=False)

    def reference(
        data: str, dash: list[float], color: Any, words: str, name: str, x: Any, dy: int
    ) -> Layer:
        tooltip = [
            alt.Tooltip("component:N", title=words),
            alt.Tooltip(field, type="quantitative", title=title, format=".6~f"),
        ]
        base = alt.Chart(alt.NamedData(data)).encode(y=value, tooltip=tooltip)
        outermost = "datum.together" if dy < 0 else "1"
        rule = base.mark_rule(strokeDash=dash, strokeWidth=1.5, color=color, aria=False)
        # Neighbours stand beside each other, so that near ones do not cover each other. Where they
        # are too many for that, one word above or below them all says what these lines are.
        label = (
            base.transform_window(
                rank="row_number()", sort=[alt.SortField(field, order="ascending")]
            )
            .transform_joinaggregate(together="count()")
            .transform_calculate(
                name=f"datum.together <= {_NAMES_WIDE} ? {json.dumps(name)} + ' ' + datum.component"
                f" : datum.rank == {outermost} ? {json.dumps(name)} : ''"
            )
            .mark_text(align="left", fontSize=10, color=_TEXT, dy=dy, aria=False)
            .encode(
                text="name:N",
                x=alt.value(alt.ExprRef(f"{x} + 42 * ((datum.rank - 1) % {_NAMES_WIDE})")),
            )
        )
        return alt.layer(rule, label)

    references = {
        "truth": reference("truth", _DASHED, _TRUTH, "Truth of component", "true", "3", -6),
        "labelled": reference(
            "labelled", _DOTTED, _INK, "With labels known, component", "known", "width / 2", 7
        ),
    }
    steps = alt.Chart(alt.NamedData("steps"))
    drawn = _drawn(references, truth, labelled)
    return _paths(steps, field, title, value, drawn, known=_wanted(truth, labelled))


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


def _wanted(truth: bool, labelled: bool | None) -> list[str]:
    """Return what is known; ``labelled`` is as ``truth`` if it is not given."""
    wanted = {"truth": truth, "labelled": truth if labelled is None else labelled}
    return [name for name, known in wanted.items() if known]


def _chosen(y: int, *, ring: bool) -> list[Layer]:
    """Return what marks the observation that the visitor chose, and says its shares ``y`` below.

    Data: ``chosen`` (iteration, x, y, chosen: whether there is one, label, text).
    """
    base = (
        alt.Chart(alt.NamedData("chosen"))
        .transform_filter(f"datum.iteration == max({ASSIGNMENT}, 0)")
        .transform_calculate(words=f"{_UNASSIGNED} ? datum.label : datum.text")
    )
    look: dict[str, Any] = {"color": _TEXT, "strokeWidth": 2, "aria": False}
    seen = alt.value(alt.ExprRef("datum.chosen ? 1 : 0"))
    if ring:
        place = base.mark_point(size=150, filled=False, **look).encode(x="x:Q", y="y:Q")
    else:
        place = base.mark_rule(strokeDash=[2, 2], **look).encode(x="x:Q")
    text = base.mark_text(
        align="left", baseline="top", fontWeight="bold", color=_TEXT, aria=False
    ).encode(x=alt.value(4), y=alt.value(y), text="words:N")
    return [place.encode(opacity=seen), text]


def _borders(shown: str) -> Layer:
    """Return the borders between clusters, those rows of ``borders`` that are ``shown``."""
    # In pixels, so that the axes do not follow what is cut off.
    ends = {
        end: alt.value(alt.ExprRef(f"scale('{end[0]}', datum.{end})"))
        for end in ("x", "x2", "y", "y2")
    }
    return (
        alt.Chart(alt.NamedData("borders"))
        .transform_filter(shown)
        .mark_rule(color=_TRUTH, strokeWidth=1, clip=True, aria=False)
        .encode(**ends, opacity=alt.value(alt.ExprRef(f"{_UNASSIGNED} ? 0 : 0.8")))
    )


def _drawn(references: Mapping[str, Layer], truth: bool, labelled: bool | None) -> list[Layer]:
    """Return the layers of what is known."""
    wanted = _wanted(truth, labelled)
    return [layer for name, layer in references.items() if name in wanted]


def _lines(estimate: str, *known: str) -> Callable[..., Layer]:
    """Return what draws the lines of a picture by name, with one legend for all in it.

    ``estimate`` is what the legend calls the line of the current estimate.
    """
    looks: dict[str, tuple[str, Any, list[float]]] = {
        estimate: (estimate, _MARK, _SOLID),
        "truth": ("truth", _TRUTH, _DASHED),
        "labelled": ("labels known", _INK, _DOTTED),
    }
    names, colors, dashes = zip(*(looks[name] for name in (estimate, *known)), strict=True)
    fits = alt.ExprRef(f"width < {_NARROW} ? 2 : {len(names)}")
    legend = alt.Legend(
        title=None, orient="bottom", offset=6, symbolType="stroke", symbolSize=500, columns=fits
    )
    scales = {"stroke": list(colors), "strokeDash": list(dashes)}
    channels = {
        channel: {
            "field": "line",
            "type": "nominal",
            "scale": {"domain": list(names), "range": shown},
            "legend": legend.to_dict(),
        }
        for channel, shown in scales.items()
    }

    def drawn(chart: alt.Chart, name: str, **mark: Any) -> Layer:
        chart = chart.transform_calculate(line=json.dumps(looks[name][0]))
        return chart.mark_line(strokeWidth=2, aria=False, **mark).encode(
            stroke=alt.Stroke.from_dict(channels["stroke"]),
            strokeDash=alt.StrokeDash.from_dict(channels["strokeDash"]),
        )

    return drawn


def _paths(
    steps: alt.Chart,
    field: str,
    title: str,
    value: alt.Y,
    references: list[alt.Chart],
    *,
    known: Sequence[str] = (),
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
    line = (
        _played(steps, first)
        .mark_line(strokeWidth=2, aria=False)
        .encode(**encoding, tooltip=tooltip)
    )
    now = (
        _now(steps, first)
        .mark_point(filled=True, size=90, aria=False)
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
    look: dict[str, Any] = {"align": "left", "dx": 8, "fontWeight": "bold", "clip": False}
    names = (
        _now(placed, first)
        .mark_text(**look, color=_TEXT, aria=False)
        .encode(x=encoding["x"], y=value, text="name:N", opacity=seen)
    )
    corners = _corners(steps, "iteration", field)
    chart = alt.layer(corners, *references, line, now, names).resolve_scale(shape="independent")
    return _steady(
        _compile(_on_canvas(chart), _HEIGHT),
        x=_extent(("steps", "iteration")),
        y=_extent(*((data, field) for data in ("steps", *known))),
        color=_EVERY_COMPONENT,
    )


@_kept_without("across", "up")
def scatter(
    across: str = "x",
    up: str = "y",
    *,
    same_units: bool = True,
    truth: bool = True,
    labelled: bool | None = None,
) -> Template:
    """Points in the colour and shape of their cluster, with the centroids and their paths.

    With ``same_units`` a unit is as long in both directions.

    Data: ``points`` (x, y, observation, component, first, last: the iterations in which it is in
    this cluster, a row for each stay), ``steps``
    (iteration, component, x, y), ``frame`` (x_low, x_high, y_low, y_high: what is to be seen),
    ``borders`` (iteration, x, y, x2, y2), ``changes`` (iteration, text), ``chosen`` (see
    :func:`_chosen`) and, with ``truth`` and ``labelled``, these (component, x, y). A click picks an
    observation.
    """
    whole: dict[str, Any] = {"zero": False, "nice": False}
    x, y = alt.X("x:Q", title=across).scale(**whole), alt.Y("y:Q", title=up).scale(**whole)
    place = [
        alt.Tooltip("x:Q", title=across, format=".6~r"),
        alt.Tooltip("y:Q", title=up, format=".6~r"),
    ]
    shape = alt.Shape("component:N", title="Cluster").scale(range=_SHAPES).legend(**_KEY)
    tooltip = [
        alt.Tooltip("observation:Q", title="Point"),
        alt.Tooltip("component:N", title="Cluster"),
        alt.Tooltip("told_x:N", title=across),
        alt.Tooltip("told_y:N", title=up),
    ]
    # In words before they are filtered: once, and not each time that a point changes sides.
    told = {f"told_{axis}": f"format(datum.{axis}, '.6~r')" for axis in "xy"}

    def those(which: str, size: int = 28, opacity: float = 0.55, **look: Any) -> Layer:
        # Filtered, so that in a step only points that change sides are drawn anew.
        points = alt.Chart(alt.NamedData("points")).transform_calculate(**told)
        points = points.transform_filter(which)
        look = {"filled": True, "size": size, "opacity": opacity, "aria": False, **look}
        return points.mark_point(**look).encode(x=x, y=y)

    clusters: dict[str, Any] = {"color": _color("Cluster"), "shape": shape, "tooltip": tooltip}
    points = those(f"datum.first <= {ASSIGNMENT} && {ASSIGNMENT} <= datum.last")
    points = points.encode(**clusters)
    unassigned = those(f"datum.first == 0 && {_UNASSIGNED}", color=_NEUTRAL)
    unassigned = unassigned.encode(tooltip=[t for t in tooltip if t.shorthand != "component:N"])
    # They went over in the E-step that is shown.
    went = f"datum.first == {ASSIGNMENT} && {ASSIGNMENT} > 0"
    moved = those(went, size=64, opacity=1, stroke=_TEXT, strokeWidth=1.5).encode(**clusters)
    points = _pickable(points, "observation")
    steps = alt.Chart(alt.NamedData("steps")).encode(x=x, y=y)
    path = (
        _played(steps)
        .mark_line(color=_MARK, strokeWidth=2, opacity=0.9, aria=False)
        .encode(detail="component:N", order="iteration:Q")
    )
    coming = _coming(steps, "x", "y", by="component")
    way = _way(coming.mark_rule(color=_MARK, strokeWidth=2, opacity=0.9, aria=False), "x", "y")
    shown = f"datum.iteration == max({ASSIGNMENT}, 0)"
    changes = (
        alt.Chart(alt.NamedData("changes"))
        .transform_filter(shown)
        .transform_calculate(words=f"{_UNASSIGNED} ? '' : datum.text")
        .mark_text(align="left", baseline="top", fontWeight="bold", color=_TEXT, aria=False)
        .encode(x=alt.value(4), y=alt.value(2), text="words:N")
    )
    centroid: dict[str, Any] = {"filled": True, "size": 230, "strokeWidth": 2.5, "stroke": _MARK}
    now = _there(
        coming.mark_point(**centroid, opacity=1, aria=False),
        "x",
        "y",
        color=_color("Cluster"),
        shape=shape,
        tooltip=[alt.Tooltip("component:N", title="Centroid"), *place],
    )

    def centres(data: str, shape: str, words: str) -> Layer:
        return (
            alt.Chart(alt.NamedData(data))
            .mark_point(shape=shape, size=130, stroke=_TRUTH, strokeWidth=3, opacity=1, aria=False)
            .encode(
                x=x,
                y=y,
                tooltip=[alt.Tooltip("component:N", title=words), *place],
            )
        )

    references = {
        "truth": centres("truth", "M-1,-1L1,1M1,-1L-1,1", "True centre"),
        "labelled": centres("labelled", "M0,-1L0,1M-1,0L1,0", "Mean with the labels known"),
    }
    known = _drawn(references, truth, labelled)
    chart = alt.layer(
        _to_scale(),
        _borders(shown),
        unassigned,
        points,
        moved,
        *known,
        path,
        way,
        now,
        changes,
        *_chosen(16, ring=True),
    )
    return _steady(
        _compile(_on_canvas(chart), _PICTURE_HEIGHT, slides=True),
        x=_same_scale("x", "width") if same_units else _own_scale("x"),
        y=_same_scale("y", "height") if same_units else _own_scale("y"),
        color=_EVERY_COMPONENT,
        shape=_EVERY_COMPONENT,
    )


def _few(terms: Sequence[str]) -> str:
    """Return the expression for a sum over components that leaves out what no component has."""
    start, *more = (" + ".join(terms[i:j]) for i, j in ((0, 2), (2, 4), (4, len(terms))))
    return f"({start} + (n_parts > 2 ? {more[0]} + (n_parts > 4 ? {more[1]} : 0) : 0))"


def _mixture() -> list[alt.Parameter]:
    """Return the numbers of the mixture that gives the responsibilities which are shown.

    ``n_parts``, and of each component its mean (``x_``, ``y_``), height at it (``h_``), the inverse
    of the Cholesky factor over the root of 2 (``xx_``, ``yx_``, ``yy_``), and its colour in the
    theme (``r_``, ``g_``, ``b_``). Data: ``steps`` and ``frame`` of :func:`gaussians`.
    """
    k = "(data('frame')[0] || {k: 0}).k"
    first = f"{k} * max({ASSIGNMENT}, 0)"
    expressions = {
        "parts": f"slice(data('steps'), {first}, {first} + {k})",
        "n_parts": "length(parts)",
        "hard": "(data('frame')[0] || {hard: false}).hard",
    }
    for i in range(len(_SHAPES)):
        part, color = f"parts[{i}]", f"color_{i}"
        flat = f"!{part} || {part}.log_height == -1/0"
        # A flat component takes no point, and its factor has no inverse.
        known = {
            "x": f"{part}.x",
            "y": f"{part}.y",
            "h": f"{part}.log_height",
            "xx": f"SQRT1_2 / {part}.l_xx",
            "yy": f"SQRT1_2 / {part}.l_yy",
            "yx": f"-SQRT1_2 * {part}.l_yx / ({part}.l_xx * {part}.l_yy)",
        }
        for name, expression in known.items():
            nothing = "-1/0" if name == "h" else "0"
            expressions[f"{name}_{i}"] = f"{flat} ? {nothing} : {expression}"
        expressions[color] = f"rgb({part} ? scale('color', {part}.component) : 'black')"
        expressions |= {f"{channel}_{i}": f"{color}.{channel}" for channel in "rgb"}
    return [alt.param(name=name, expr=expression) for name, expression in expressions.items()]


def _shared(points: alt.Chart) -> alt.Chart:
    """Return points (x, y) with their responsibilities, computed in the browser.

    Sent are the parameters alone: shares of each point at each iteration would be many times that.
    Bayes' rule in log space, as in :func:`em_core.numerics.posterior`: ``logs`` are the log
    densities under each component, times its weight, but for a constant; ``shares`` are relative to
    that of the likeliest, ``component``, and ``all`` is their sum.

    Streamlit has Vega interpret expressions instead of compiling them (1.67), so each symbol costs
    time, and each expression much more: hence few of them, and short.
    """
    every = range(len(_SHAPES))
    logs = []
    for k in every:
        across = f"(datum.x - x_{k})"
        z, up = f"{across} * xx_{k}", f"{across} * yx_{k} + (datum.y - y_{k}) * yy_{k}"
        density = f"h_{k} - pow({z}, 2) - pow({up}, 2)"
        logs.append(f"n_parts > {k} ? {density} : -1/0")
    shares = ", ".join(f"exp(datum.logs[{k}] - datum.top)" for k in every)
    return (
        points.transform_calculate(logs=f"[{', '.join(logs)}]")
        .transform_calculate(top="extent(datum.logs)[1]")
        .transform_calculate(
            shares=f"[{shares}]",
            # An empty chart has no components yet.
            component="(parts[indexof(datum.logs, datum.top)] || {component: ''}).component",
        )
        .transform_calculate(all=_few([f"datum.shares[{k}]" for k in every]))
    )


def _blend() -> str:
    """Return the expression for the colour of a point of :func:`_shared`."""
    mixed = (
        _few([f"datum.shares[{k}] * {channel}_{k}" for k in range(len(_SHAPES))]) + " / datum.all"
        for channel in "rgb"
    )
    pure = "scale('color', datum.component)"
    # A colour in words is put into words once, and not each time that it is drawn.
    blend = f"rgb({', '.join(mixed)}) + ''"
    return f"{_UNASSIGNED} ? ({_NEUTRAL['expr']}) : hard ? {pure} : {blend}"


def _own_scale(axis: str) -> str:
    """Return the expression for the domain of an axis around ``frame``, whatever its unit."""
    low, high = (f"data('frame')[0].{axis}_{end}" for end in ("low", "high"))
    room = f"(0.05 * ({high} - {low}) || 1)"
    return f"[{low} - {room}, {high} + {room}]"


@_kept_without("across", "up")
def gaussians(
    across: str,
    up: str,
    component_title: str,
    observation_title: str,
    *,
    same_units: bool,
    truth: bool = True,
    labelled: bool | None = None,
    bound: bool = True,
    borders: bool = False,
) -> Template:
    """Points in the colours of their components, blended by responsibility, under the ellipses.

    An ellipse at one and one at two standard deviations, the paths of the means, and with ``truth``
    and ``labelled`` their ellipses at two, dashed and dotted. The shape of a point is that of its
    likeliest component. With ``same_units`` a unit is as long in both directions.

    Data: ``points`` (x, y, observation), ``steps`` (as :func:`.frames.gaussians` returns it, in the
    order of iterations and components), ``frame`` (x_low, x_high, y_low, y_high: what is to be
    seen; k: how many components; hard: whether a point goes wholly to the likeliest), ``chosen``
    (see :func:`_chosen`) and, with ``truth`` and ``labelled``, these (as ``steps``). A click picks
    an observation. Without ``bound`` this is a picture that rests, and there is no ``chosen``. With
    ``borders`` (data as :func:`.frames.borders` returns them) these stand in the place of ellipses.
    """
    whole: dict[str, Any] = {"zero": False, "nice": False}

    def at(x: str, y: str) -> dict[str, Any]:
        return {
            "x": alt.X(x, type="quantitative", title=across).scale(**whole),
            "y": alt.Y(y, type="quantitative", title=up).scale(**whole),
        }

    shape = alt.Shape("component:N", title=component_title).scale(range=_SHAPES).legend(**_KEY)
    color = _color(component_title)
    told = {
        observation_title: "datum.observation",
        across: "format(datum.x, '.6~r')",
        up: "format(datum.y, '.6~r')",
        f"Likeliest {component_title.lower()}": f"{_UNASSIGNED} ? 'none yet' : datum.component",
        "Responsibility": f"{_UNASSIGNED} ? '–' : format(hard ? 1 : 1 / datum.all,"
        f" '.{SHOWN_DIGITS}f')",
    }
    # Merged, since an axis may be called as something else is, and an object has no name twice.
    tooltip = ", ".join(f"{{{json.dumps(name)}: {value}}}" for name, value in told.items())
    points = (
        _shared(alt.Chart(alt.NamedData("points")))
        .mark_point(filled=True, size=34, opacity=0.75, aria=False)
        .encode(
            **at("x", "y"),
            color=alt.value(alt.ExprRef(_blend())),
            shape=alt.condition(_UNASSIGNED, alt.value("circle"), shape),
            tooltip=alt.value(alt.ExprRef(f"merge({tooltip})")),
        )
    )
    if bound:
        points = _pickable(points, "observation")

    def ellipses(chart: alt.Chart, at_: str, deviations: Sequence[int], **look: Any) -> Layer:
        angle, mean, factor = f"{2 / _ELLIPSE} * PI * datum.i", f"datum.{at_}", f"datum.{at_}l_"
        up = f"{factor}yx * cos({angle}) + {factor}yy * sin({angle})"
        return (
            chart.transform_calculate(sd=json.dumps(deviations))
            .transform_flatten(["sd"])
            .transform_calculate(i=f"sequence({_ELLIPSE})")
            .transform_flatten(["i"])
            .transform_calculate(
                right=f"{mean}x + datum.sd * {factor}xx * cos({angle})",
                upward=f"{mean}y + datum.sd * ({up})",
            )
            .mark_line(interpolate="cardinal-closed", clip=True, aria=False, **look)
            .encode(**at("right", "upward"), detail=["component:N", "sd:N"], order="i:Q")
        )

    steps = alt.Chart(alt.NamedData("steps"))
    coming = _coming(steps, "x", "y", "l_xx", "l_yx", "l_yy", by="component")
    estimate = ellipses(coming, "at_", _DEVIATIONS).encode(
        color=color,
        strokeWidth=alt.condition(f"datum.sd == {_DEVIATIONS[0]}", alt.value(3), alt.value(1.5)),
    )
    references = {
        name: ellipses(
            alt.Chart(alt.NamedData(name)),
            "",
            _DEVIATIONS[-1:],
            strokeDash=dash,
            stroke=ink,
            strokeWidth=1.5,
        )
        for name, dash, ink in (("truth", _DASHED, _TRUTH), ("labelled", _DOTTED, _TEXT))
    }
    line: dict[str, Any] = {"color": _MARK, "strokeWidth": 2, "opacity": 0.9, "aria": False}
    path = (
        _played(steps)
        .mark_line(**line)
        .encode(**at("x", "y"), detail="component:N", order="iteration:Q")
    )
    way = _way(coming.mark_rule(**line), "x", "y")
    now = _there(
        coming.mark_point(
            filled=True, size=170, strokeWidth=2, stroke=_MARK, opacity=1, aria=False
        ),
        "x",
        "y",
        color=color,
        shape=shape,
        tooltip=[
            alt.Tooltip("component:N", title=component_title),
            alt.Tooltip("x:Q", title=across, format=".6~r"),
            alt.Tooltip("y:Q", title=up, format=".6~r"),
        ],
    )
    name: dict[str, Any] = {
        "dx": 13,
        "dy": -11,
        "fontWeight": "bold",
        "fontSize": 14,
        "aria": False,
    }
    halo = {"expr": "background"}
    names = [
        _there(coming.mark_text(**name, **look), "x", "y", text="component:N")
        for look in ({"stroke": halo, "strokeWidth": 4, "color": halo}, {"color": _TEXT})
    ]
    chart = alt.layer(
        _to_scale(),
        points,
        *_drawn(references, truth, labelled),
        _borders(f"datum.iteration == max({ASSIGNMENT}, 0)") if borders else estimate,
        path,
        way,
        now,
        *names,
        *(_chosen(2, ring=True) if bound else []),
    ).add_params(*_mixture())
    domains = (
        {"x": _same_scale("x", "width"), "y": _same_scale("y", "height")}
        if same_units
        else {"x": _own_scale("x"), "y": _own_scale("y")}
    )
    return _steady(
        _compile(
            _on_canvas(chart),
            _PICTURE_HEIGHT if bound else _STILL_HEIGHT,
            bound=bound,
            slides=True,
        ),
        **domains,
        color=_EVERY_COMPONENT,
        shape=_EVERY_COMPONENT,
    )


def _bars(
    x_title: str, y_title: str, component_title: str, axis: alt.Axis, *, height: str
) -> alt.Chart:
    """Bars of a fixed height, divided between the components by their responsibilities.

    A click picks the label of a bar. ``height`` is the format of its height.
    """
    bars = (
        alt.Chart(alt.NamedData("bars"))
        .transform_calculate(
            # Before the first E-step a bar is one piece.
            responsibility=f"{_UNASSIGNED} ? (datum.order ? 0 : 1) : {share_shown('share')}",
            told=f"{_UNASSIGNED} ? 'none yet' : format({share_shown('share')}, '.{SHOWN_DIGITS}f')",
        )
        .transform_calculate(part="datum.height * datum.responsibility")
        .mark_bar(opacity=0.75, binSpacing=0, aria=False)
        .encode(
            x=alt.X("low:Q", bin="binned", title=x_title, axis=axis).scale(nice=False, zero=False),
            x2="high:Q",
            y=alt.Y("part:Q", title=y_title, stack="zero"),
            color=_once_assigned(_color(component_title)),
            order=alt.Order("order:O"),
            tooltip=[
                alt.Tooltip("label:N", title=x_title),
                alt.Tooltip("component:N", title=component_title),
                alt.Tooltip("told:N", title="Responsibility"),
                alt.Tooltip("height:Q", title=y_title, format=height),
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
    whole: bool = True,
    truth: bool = True,
    labelled: bool | None = None,
) -> Template:
    """Draw counts of a discrete outcome, divided between the components, with the expected counts.

    ``whole`` says whether outcomes are whole numbers; otherwise they are the middles of bins.

    Data: ``bars`` (low, high, label, height, component, order, share: packed digits per
    iteration), ``expected`` (outcome, iteration, count), ``chosen`` (see :func:`_chosen`) and, with
    ``truth`` and ``labelled``, these (outcome, count).
    """
    encoding: dict[str, Any] = {
        "x": alt.X("outcome:Q"),
        "y": alt.Y("count:Q"),
        "tooltip": [
            alt.Tooltip("outcome:Q", title=x_title),
            alt.Tooltip("count:Q", title="Expected count", format=".2f"),
        ],
    }
    axis = alt.Axis(format="d", tickMinStep=1) if whole else alt.Axis(format="~g")
    known = _wanted(truth, labelled)
    line = _lines("expected", *known)
    expected = line(
        _now(alt.Chart(alt.NamedData("expected"))),
        "expected",
        point={"color": _MARK, "filled": True, "size": 30, "aria": False},
    ).encode(**encoding)
    references = {
        data: line(alt.Chart(alt.NamedData(data)), data).encode(**encoding) for data in known
    }
    chart = alt.layer(
        _hidden("expected", "outcome", "count"),
        _bars(x_title, y_title, component_title, axis, height=",d"),
        *_drawn(references, truth, labelled),
        expected,
        *_chosen(2, ring=False),
    )
    return _steady(
        _compile(chart, _PICTURE_HEIGHT),
        x=_extent(("bars", "low"), ("bars", "high")),
        y=_up_to(("bars", "height"), *((data, "count") for data in ("expected", *known))),
        color="pluck(data('bars'), 'component')",
    )


@_kept_without("x_title")
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
    ``truth`` and ``labelled`` (component, means, stds, weights), all with what the picture shows:
    from ``low`` to ``high``, and up to ``top``. The curves are computed in the browser.
    Without ``truth`` and ``labelled`` these are not needed. With ``bound`` also ``chosen`` (see
    :func:`_chosen`); without it the picture rests at iteration 0.
    """
    known = _wanted(truth, labelled)
    line = _lines("sum", *known)

    def rows(data: str) -> alt.Chart:
        chart = alt.Chart(alt.NamedData(data))
        moving = data == "steps"
        return _coming(chart, "means", "stds", "weights", by="component") if moving else chart

    def curve(chart: alt.Chart, density: str, at: str) -> alt.Chart:
        """Compute a density where its component bends, and at both ends of the picture."""
        z = f"(datum.i - {_BENDS // 2}) * {2 * _REACH / _BENDS}"
        width = f"max(datum.{at}stds, (datum.high - datum.low) * {_SPIKE})"
        return (
            chart.transform_calculate(i=f"sequence(-1, {_BENDS} + 2)")
            .transform_flatten(["i"])
            .transform_calculate(
                x=f"datum.i < 0 ? datum.low : datum.i > {_BENDS} ? datum.high"
                f" : clamp(datum.{at}means + {z} * {width}, datum.low, datum.high)"
            )
            .transform_calculate(drawn=f"min({density}, datum.top)")
        )

    def normal(of: str, at: str) -> str:
        # A component of no width has no density that could be drawn.
        mean, std, weight = (f"{of}.{at}{field}" for field in ("means", "stds", "weights"))
        return f"({std} > 0 ? {weight} * densityNormal(datum.x, {mean}, {std}) : 0)"

    def total(data: str) -> alt.Chart:
        at = "at_" if data == "steps" else ""
        every = alt.JoinAggregateFieldDef(op="values", field="means", **{"as": "all"})
        terms = "0"
        for k in reversed(range(len(_SHAPES))):
            terms = f"(length(datum.all) > {k} ? {normal(f'datum.all[{k}]', at)} + {terms} : 0)"
        return curve(rows(data).transform_joinaggregate([every]), terms, at)

    x, y = alt.X("x:Q"), alt.Y("drawn:Q").scale(nice=False)  # a spike goes up to the edge
    smooth: dict[str, Any] = {"interpolate": "monotone"}
    component = (
        curve(rows("steps"), normal("datum", "at_"), "at_")
        .mark_line(strokeWidth=2, aria=False, **smooth)
        .encode(x=x, y=y, color=_color(component_title))
    )
    mixture = line(total("steps"), "sum", **smooth).encode(x=x, y=y)
    references = {data: line(total(data), data, **smooth).encode(x=x, y=y) for data in known}
    # What does not fit into the picture says how high it is.
    beyond = (
        rows("steps")
        .transform_calculate(
            peak="datum.at_stds > 0 ? datum.at_weights / (datum.at_stds * sqrt(2 * PI)) : 0",
            x="clamp(datum.at_means, datum.low, datum.high)",
        )
        .transform_calculate(
            text="datum.peak > datum.top ? '↑ to ' + format(datum.peak, ',.2r') : ''"
        )
        .mark_text(align="left", baseline="top", dx=4, fontWeight="bold", color=_TEXT, aria=False)
        .encode(x=x, y=alt.Y("top:Q"), text="text:N")
    )
    corner = _hidden("steps", "high", "top")
    bars = _bars(x_title, "Density", component_title, alt.Axis(format="~r"), height=".3~g")
    chart = alt.layer(
        corner,
        bars,
        component,
        *references.values(),
        mixture,
        beyond,
        *(_chosen(2, ring=False) if bound else []),
    )
    height = _PICTURE_HEIGHT if bound else _STILL_HEIGHT
    return _steady(
        _compile(_on_canvas(chart), height, bound=bound, slides=True),
        x=_extent(("steps", "low"), ("steps", "high")),
        y=_up_to(("steps", "top")),
        color=_EVERY_COMPONENT,
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


@_kept_without("x_title", "y_title")
def hill(
    x_title: str,
    y_title: str,
    loss_title: str,
    *,
    path: bool = False,
    search: str = "",
    covered: bool = False,
    impossible: str = "",
) -> Template:
    """Draw the hill over two parameters in bands of what is lost against the maximum, with marks.

    Data: ``hill`` (x_low, x_high, y_low, y_high, band: the number of :data:`LOSS_BANDS` that the
    loss reaches) and ``marks`` (x, y, mark, since: the first iteration at which it is shown). With
    ``path`` also ``path`` (iteration, x, y), and the chart follows the player. With ``search``, the
    objective's name, also ``tried`` (number, x, y, objective, label), and a click picks the ``x``
    and ``y`` of a cell; ``hill`` then has a column ``turn`` too, which tells a second click on a
    cell from the first. ``covered``, the cells are all alike, and need no ``band``. ``impossible``
    is what a cell is called that has none.
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
            x=alt.X("x_low:Q", title=x_title, axis=no_grid).scale(
                zero=False, nice=False, range=_ACROSS
            ),
            x2="x_high:Q",
            y=alt.Y("y_low:Q", title=y_title, axis=no_grid).scale(
                zero=False, nice=False, range=_UPWARDS
            ),
            y2="y_high:Q",
        )
    )
    if covered:
        cells = cells.encode(tooltip=middle, color=alt.value(_COVER))
    else:
        band = (
            alt.Color("band:O", title=loss_title)
            .scale(**scale)
            .legend(
                orient="bottom",
                columns=alt.ExprRef(f"width < {_NARROW} ? 2 : 4"),
                offset=6,
                symbolType="square",
                labelExpr=words.format("value"),
            )
        )
        loss = words.format("band")
        color: Any = band
        if impossible:
            there = "isValid(datum.band)"
            loss = f"{there} ? {loss} : {json.dumps(impossible)}"
            color = alt.condition(there, band, alt.value(alt.ExprRef(**_NOWHERE)))
        cells = cells.transform_calculate(loss=loss).encode(
            tooltip=[*middle, alt.Tooltip("loss:N", title=loss_title)], color=color
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
        coming = _coming(way, "x", "y")
        layers += [
            _played(way)
            .mark_line(color="white", strokeWidth=2, point={"color": "white", "size": 20})
            .encode(order="iteration:Q"),
            _way(coming.mark_rule(color="white", strokeWidth=2), "x", "y"),
            _there(
                coming.mark_point(
                    color=_MARK, filled=True, size=170, opacity=1, stroke="white", strokeWidth=2
                ),
                "x",
                "y",
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
    chart = alt.layer(*layers, marks, halo, names)
    return _compile(_on_canvas(chart), _SQUARE_HEIGHT, bound=path, slides=True)


@_kept_without("x_title")
def bound(x_title: str, y_title: str) -> Template:
    """Draw a slice of the objective, and the lower bound that touches it at the iteration shown.

    Data: ``slice`` (first, last: the iterations that show this row; x, y, curve) and ``ends``
    (first, last, x, y, point).
    """
    now = f"datum.first <= {_WHOLE} && {_WHOLE} <= datum.last"
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
    dashes: list[list[float]] = [_SOLID, _DASHED, _DOTTED][: len(kinds)]
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
def criterion(title: str, x_title: str, places: str, best: str = "") -> Template:
    """One criterion against the number of components. A click picks a number.

    Data: ``criterion`` (k, low, high: the part of the axis that is k's, value: missing where it is
    not defined, chosen: words at the choice, empty elsewhere). ``places`` is the values' format,
    and ``best`` is where the choice is: lowest, highest, or nowhere.
    """
    base = alt.Chart(alt.NamedData("criterion"))
    x = _integers("k", x_title).scale(nice=False).axis(tickCount=8)
    room = 22 if best else 0  # for the words
    y = alt.Y("value:Q", title=None).scale(zero=False, padding=room)
    defined = base.transform_filter("isValid(datum.value)").encode(x=x, y=y)
    layers: list[Layer] = [
        defined.mark_line(color=_INK, aria=False),
        defined.mark_point(color=_INK, filled=True, size=45, opacity=1, aria=False),
    ]
    if best:
        choice = defined.transform_filter("datum.chosen != ''")
        layers += [
            choice.mark_point(
                color=_MARK, filled=True, shape="diamond", size=190, opacity=1, aria=False
            ),
            choice.mark_text(
                dy=17 if best == "lowest" else -17,
                fontSize=11,
                fontWeight=600,
                color=_TEXT,
                aria=False,
            ).encode(text="chosen:N"),
        ]
    # As high as the chart, since a point is hard to hit.
    columns = base.mark_rect(opacity=0, cursor="pointer", aria=False).encode(
        x=alt.X("low:Q", title=x_title),
        x2="high:Q",
        tooltip=[
            alt.Tooltip("k:Q", title=x_title),
            alt.Tooltip("value:Q", title=title, format=places),
        ],
    )
    return _steady(
        _sized(alt.layer(*layers, _pickable(columns, "k")), _HEIGHT),
        x=_extent(("criterion", "low"), ("criterion", "high")),
        y=_extent(("criterion", "value")),
    )


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
            x=alt.X("x_low:Q", title=x_title).scale(nice=False, range=_ACROSS).axis(grid=False),
            x2="x_high:Q",
            y=alt.Y("y_low:Q", title=y_title).scale(nice=False, range=_UPWARDS).axis(grid=False),
            y2="y_high:Q",
            color=alt.Color("end:N", title="Ends at")
            .scale(domain=list(ends))
            .legend(**_legend("bottom", narrow=2)),
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
    )
    return _sized(_on_canvas(chart), _SQUARE_HEIGHT)
