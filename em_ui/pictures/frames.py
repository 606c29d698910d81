"""From a trace to tidy tables: the iteration table, and what the charts draw.

Frames are built once, cached with the fit, and never changed afterwards. They are Arrow tables,
which is how they travel to the browser: a pandas frame would be converted in every rerun.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from em_core import Mixture, Params, Trace
from em_ui.pictures.format import MAX_ITERATIONS, pack, packed_at

DRAWN_POINTS, CURVE_POINTS = 2_000, 200
_DIVIDED = 3e7  # values times components times iterations that bars are divided by, at the most

_AXES = ("x", "y")
# Matrices of which an entry above the diagonal and one below it are one number.
SYMMETRIC = frozenset({"covariances"})
# What covariances in the plane are told by, in the tables that charts draw.
SPREAD = ("sd_x", "sd_y", "correlation")


class Column(NamedTuple):
    """One number among the parameters of a model.

    Attributes
    ----------
    name : str
        What it is called where it stands alone: the field, the component, and the axis if any.
    field : str
        The parameter.
    component : str
        The name of the component; empty if the parameter has none.
    axis : str
        x or y for a parameter in the plane, xy for an entry of a matrix there; a number for one
        with more entries than that; otherwise empty.
    place : tuple of int
        Where the number stands in the parameter's array.
    """

    name: str
    field: str
    component: str
    axis: str
    place: tuple[int, ...]

    @property
    def suffix(self) -> str:
        """What follows the parameter in the name: component and axis."""
        return " ".join(filter(None, (self.component, self.axis)))

    def of(self, params: Params) -> float:
        """Return the number."""
        return float(getattr(params, self.field)[self.place])


def schema(params: Params, names: Sequence[str]) -> tuple[Column, ...]:
    """Return what each number of ``params`` is, in the order in which tables list them.

    ``names`` are those of the components, at least as many as there are. Of a covariance matrix the
    upper triangle is listed, since the lower one holds the same numbers.
    """
    columns = []
    for field, array in params.arrays().items():
        by_component = array.ndim > 0 and len(array) == params.n_components
        for place in np.ndindex(array.shape):
            if place != _upper(field, place):
                continue
            rest, shape = (place[1:], array.shape[1:]) if by_component else (place, array.shape)
            component = names[place[0]] if by_component else ""
            axes = zip(rest, shape, strict=True)
            between = "" if field in SYMMETRIC and shape[-1] == len(_AXES) else " "
            axis = between.join(_AXES[i] if n == len(_AXES) else str(i + 1) for i, n in axes)
            name = " ".join(filter(None, (field, component, axis)))
            columns.append(Column(name, field, component, axis, place))
    return tuple(columns)


def _upper(field: str, place: tuple[int, ...]) -> tuple[int, ...]:
    """Return the place at which tables list a number."""
    return (*place[:-2], *sorted(place[-2:])) if field in SYMMETRIC else place


def column_of(
    params: Params, names: Sequence[str], field: str, place: int | tuple[int, ...]
) -> Column:
    """Return what the number at some place of a parameter's array is.

    Parameters
    ----------
    params, names
        As for :func:`schema`.
    field : str
        The parameter.
    place : int or tuple of int
        Where the number stands in its array. Of a covariance matrix either triangle will do.

    Raises
    ------
    ValueError
        If there is no such number.
    """
    wanted = _upper(field, place if isinstance(place, tuple) else (place,))
    for column in schema(params, names):
        if (column.field, column.place) == (field, wanted):
            return column
    raise ValueError(f"{type(params).__name__} has no {field} at {place}")


@dataclass(frozen=True)
class Frames:
    """What a page shows of one run.

    Attributes
    ----------
    steps : pyarrow.Table
        One row per iteration and component: iteration, component, each parameter, movement (the
        Euclidean distance that the component moved in this update, in the plane if it has a place
        there, and otherwise in all its parameters; not a number for the guess).
    objective : pyarrow.Table
        One row per iteration: iteration, objective.
    truth : pyarrow.Table or None
        One row per true component; None if nobody knows the truth.
    labelled : pyarrow.Table or None
        The same for the estimate with the labels known; None if there are no labels.
    table : pyarrow.Table
        The iteration table, all steps: the iteration, one column per component and parameter that
        is estimated, the objective and its gain.
    columns : tuple of Column
        What the parameters' columns of ``table`` are.
    """

    steps: pa.Table
    objective: pa.Table
    truth: pa.Table | None
    labelled: pa.Table | None
    table: pa.Table
    columns: tuple[Column, ...]

    @property
    def last(self) -> int:
        """The last iteration that can be drawn."""
        return len(self.objective) - 1

    @property
    def references(self) -> dict[str, pa.Table]:
        """What there is to compare the run with: truth and labelled, if they are known."""
        known = {"truth": self.truth, "labelled": self.labelled}
        return {name: table for name, table in known.items() if table is not None}


def drawable(trace: Trace[Any]) -> Trace[Any]:
    """Return the trace without a last step whose objective is not finite, if it is not all."""
    if np.isfinite(trace.final.objective) or len(trace.steps) == 1:
        return trace
    return replace(trace, steps=trace.steps[:-1])


def build(
    trace: Trace[Any],
    truth: Params | None,
    labelled: Params | None,
    names: Sequence[str],
    *,
    objective: str,
    sign: int = 1,
    fixed: Collection[str] = (),
) -> Frames:
    """Return the frames of a run.

    Parameters
    ----------
    trace : Trace
        The run.
    truth : Params or None
        The true parameters, if they are known.
    labelled : Params or None
        The estimate with the labels known, if there are labels.
    names : sequence of str
        Names of the components, at least as many as there are.
    objective : str
        What the objective is called in the iteration table.
    sign : int, default 1
        -1 where the page shows minus the objective (K-Means: the inertia).
    fixed : collection of str
        Parameters that are not estimated, and not in the iteration table.
    """
    shown = drawable(trace)
    objectives = arrow(
        {"iteration": np.arange(len(shown.steps)), "objective": _signed(shown, sign)}
    )
    every = schema(trace.final.params, names)
    columns = tuple(column for column in every if column.field not in fixed)
    return Frames(
        _steps(shown, names),
        objectives,
        None if truth is None else by_component(truth, names),
        None if labelled is None else by_component(labelled, names),
        _table(trace, columns, objective, sign),
        columns,
    )


def arrow(columns: Mapping[str, Any]) -> pa.Table:
    """Return columns as an Arrow table. Not a number becomes a missing value."""
    return pa.table({name: pa.array(x, from_pandas=True) for name, x in columns.items()})


def extend(table: pa.Table, **columns: Any) -> pa.Table:
    """Return a table with further columns: one value for each row, or the same for all."""
    for name, values in columns.items():
        array = pa.array(values) if np.ndim(values) else pa.repeat(values, len(table))
        table = table.append_column(name, array)
    return table


def _steps(trace: Trace[Any], names: Sequence[str]) -> pa.Table:
    columns = _columns(_stacked(trace), trace.final.params.n_components)
    t, who = len(trace.steps), _who(trace.final.params, names)
    k = len(who)
    moving = _AXES if _AXES[0] in columns else columns
    path = np.column_stack([columns[name] for name in moving])
    movement = np.full(t * k, np.nan)
    movement[k:] = np.linalg.norm(path[k:] - path[:-k], axis=1)
    iteration = np.repeat(np.arange(t), k)
    return arrow({"component": who * t, **columns, "iteration": iteration, "movement": movement})


def by_component(params: Params, names: Sequence[str]) -> pa.Table:
    """Return parameters with one row per component, or one row if there are no components.

    The first parameter in the plane gives x and y, covariances there standard deviations and a
    correlation, any other with several entries a column for each.
    """
    one = {field: array[np.newaxis] for field, array in params.arrays().items()}
    return arrow({"component": _who(params, names), **_columns(one, params.n_components)})


def _who(params: Params, names: Sequence[str]) -> list[str]:
    return list(names[: params.n_components]) or [""]


def _stacked(trace: Trace[Any]) -> dict[str, Any]:
    """Return each parameter at all iterations, in one array."""
    return {
        field: np.array([getattr(step.params, field) for step in trace.steps])
        for field in trace.final.params.arrays()
    }


def _columns(stacked: Mapping[str, np.ndarray], k: int) -> dict[str, np.ndarray]:
    """Return parameters in columns, at each iteration an entry for each of ``k`` components."""
    columns: dict[str, np.ndarray] = {}
    for field, arrays in stacked.items():
        t, shape = len(arrays), arrays.shape[1:]
        if shape and shape[0] == k:
            entries = arrays.reshape(t * k, -1)
        else:  # it belongs to no component, or to all of them
            entries = np.repeat(arrays.reshape(t, -1), max(k, 1), axis=0)
        if len(shape) < 2 and entries.shape[1] == 1:
            columns[field] = entries[:, 0]
        elif len(shape) == 2 and entries.shape[1] == len(_AXES) and "x" not in columns:
            columns.update(zip(_AXES, entries.T, strict=True))
        elif field in SYMMETRIC and shape[1:] == (len(_AXES), len(_AXES)):
            columns |= _spread(arrays.reshape(-1, *shape[1:]))
        else:
            columns |= {f"{field} {i + 1}": column for i, column in enumerate(entries.T)}
    return columns


def _spread(covariances: np.ndarray) -> dict[str, np.ndarray]:
    """Return what covariances (n, 2, 2) are told by: two standard deviations and a correlation.

    Without a width in one direction there is no correlation, and it is 0.
    """
    x, y = np.sqrt(np.maximum(np.diagonal(covariances, axis1=1, axis2=2), 0)).T
    flat = (x == 0) | (y == 0)
    correlation = covariances[:, 0, 1] / np.where(flat, np.inf, x) / np.where(flat, np.inf, y)
    return {SPREAD[0]: x, SPREAD[1]: y, SPREAD[2]: np.clip(correlation, -1, 1)}


def _signed(trace: Trace[Any], sign: int) -> np.ndarray:
    return sign * trace.objectives + 0.0  # which takes the sign off minus zero


def _table(trace: Trace[Any], columns: Sequence[Column], objective: str, sign: int) -> pa.Table:
    stacked = _stacked(trace)
    return arrow(
        {
            "iteration": np.arange(len(trace.steps)),
            **{c.name: np.moveaxis(stacked[c.field], 0, -1)[c.place] for c in columns},
            objective: _signed(trace, sign),
            "gain": np.concatenate([[np.nan], np.diff(trace.objectives)]),
        }
    )


def divided_bars(
    model: Mixture[Any, Any],
    trace: Trace[Any],
    names: Sequence[str],
    *,
    middles: np.ndarray,
    half_width: float,
    heights: np.ndarray,
    digits: int,
    values: np.ndarray | None = None,
    bars: np.ndarray | None = None,
) -> pa.Table:
    """Return bars that are divided between the components, for :func:`.charts.shares`.

    Parameters
    ----------
    model : Mixture
        Its E-step gives the division.
    trace, names
        As for :func:`build`.
    middles, heights : ndarray, shape (bars,)
        Where the bars stand, and how high.
    half_width : float
        Half a bar's width.
    digits : int
        Decimals of the middles in the tooltip.
    values : ndarray, shape (n,) or (n, d), optional
        The observations.
    bars : ndarray, shape (n,), optional
        The number of the bar that each stands in: a bar is divided by the mean responsibilities of
        its observations. By default all of a bar's observations are its middle. Where they are too
        many, some of each bar stand for all, evenly spread over it.
    """
    steps = drawable(trace).steps
    if values is None or bars is None:
        values, bars = middles, np.arange(len(middles))
    order = np.lexsort((*values.reshape(len(values), -1).T[::-1], bars))
    values, bars = values[order], bars[order]
    full, starts, sizes = np.unique(bars, return_index=True, return_counts=True)
    most = max(int(_DIVIDED / len(steps) / trace.final.params.n_components / len(middles)), 1)
    picked = np.concatenate(
        [
            start + (np.arange(min(n, most)) * n + n // 2) // min(n, most)
            for start, n in zip(starts, sizes, strict=True)
        ]
        if most < sizes.max()
        else [np.arange(len(values))]
    )
    values, sizes = values[picked], np.minimum(sizes, most)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    responsibilities = np.zeros((len(steps), len(middles), trace.final.params.n_components))
    for at, step in enumerate(steps):
        shares = model.e_step(values, step.params).responsibilities
        responsibilities[at, full] = np.add.reduceat(shares, starts) / sizes[:, None]
    common: dict[str, Any] = {
        "low": middles - half_width,
        "high": middles + half_width,
        "label": [f"{middle:.{digits}f}" for middle in middles],
        "height": heights,
    }
    n, k = responsibilities.shape[1:]
    return arrow(
        {
            **{name: np.tile(values, k) for name, values in common.items()},
            "component": [name for name in names[:k] for _ in range(n)],
            "order": np.repeat(np.arange(k, dtype=np.int8), n),
            "share": pack(responsibilities.transpose(0, 2, 1).reshape(-1, k * n)),
        }
    )


def expected_counts(
    model: Mixture[Any, Any], params: Sequence[Params], outcomes: np.ndarray, n: int
) -> pa.Table:
    """Return how often each outcome of n trials is expected, for each of several parameters."""
    counts = [n * np.exp(model.log_joint(outcomes, p)).sum(axis=1) for p in params]
    return arrow(
        {
            # The largest of all tables, and only drawn.
            "iteration": np.repeat(np.arange(len(params), dtype=np.int16), len(outcomes)),
            "outcome": np.tile(outcomes.astype(np.int32), len(params)),
            "count": np.concatenate(counts),
        }
    )


def curve_grid(edges: np.ndarray, highest: float) -> dict[str, float]:
    """Return between what ends the curves over a histogram are drawn, and how high they may be."""
    low, high = float(edges[0]), float(edges[-1])
    return {"low": low, "high": high, "top": 1.2 * float(highest)}


def still(table: pa.Table, iteration: int) -> pa.Table:
    """Return the rows, or the packed digits, of one iteration alone, for a picture that rests.

    The rows stand in the order of their iterations.
    """
    if "share" in table.column_names:
        name, values = "share", packed_at(table["share"], iteration)
    else:
        first, end = np.searchsorted(table["iteration"].to_numpy(), [iteration, iteration + 1])
        table = table.slice(first, end - first)
        name, values = "iteration", pa.repeat(0, len(table))
    return table.set_column(table.column_names.index(name), name, values)


def assigned(
    model: Mixture[Any, Any], points: np.ndarray, trace: Trace[Any], drawn: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the component of some points at each iteration, and of all, how many change theirs.

    Parameters
    ----------
    model, points, trace
        What was run.
    drawn : ndarray of int, shape (m,)
        The indices of the points.

    Returns
    -------
    components : ndarray of int, shape (iterations, m)
        Of the points that are drawn.
    changed : ndarray of int, shape (iterations,)
        How many of all points have another one than before; 0 at the initial guess.
    """
    components, changed, before = [], [], None
    for now in model.likeliest(points, [step.params for step in drawable(trace).steps]):
        components.append(now[drawn])
        changed.append(0 if before is None else int(np.count_nonzero(now != before)))
        before = now
    return np.array(components), np.array(changed)


def gaussians(history: Sequence[Any], names: Sequence[str]) -> pa.Table:
    """Return Gaussians in the plane as the browser computes with them: :func:`.charts.gaussians`.

    Of a covariance matrix the lower Cholesky factor is given. It maps the unit circle to the
    ellipse at one standard deviation, and whatever lies between two factors is one too. What is
    flat takes no point.

    Parameters
    ----------
    history : sequence of Params
        Means (K, 2), covariances (K, 2, 2) and weights (K,), at each iteration.
    names : sequence of str
        Names of the components.

    Returns
    -------
    pyarrow.Table
        One row per iteration and component: iteration, component, x, y (the mean), l_xx, l_yx, l_yy
        (the factor), log_height (of the density times the weight at the mean, but for the constant
        that all share).
    """
    k = history[0].n_components
    means = np.concatenate([params.means for params in history])
    covariances = np.concatenate([params.covariances for params in history])
    weights = np.concatenate([params.weights / params.weights.sum() for params in history])
    factors = cholesky(covariances)
    across, lean, up = factors[:, 0, 0], factors[:, 1, 0], factors[:, 1, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        heights = np.log(weights) - np.log(across) - np.log(up)
        heights = np.where((across > 0) & (up > 0), heights, -np.inf)
    return arrow(
        {
            "iteration": np.repeat(np.arange(len(history), dtype=np.int16), k),
            "component": list(names[:k]) * len(history),
            "x": means[:, 0],
            "y": means[:, 1],
            "l_xx": across,
            "l_yx": lean,
            "l_yy": up,
            "log_height": heights,
        }
    )


def marginals(history: Sequence[Any], names: Sequence[str], axis: int) -> pa.Table:
    """Return the normal densities along one axis of Gaussians, for :func:`.charts.densities`.

    Parameters
    ----------
    history, names
        As for :func:`gaussians`, in any number of dimensions.
    axis : int
        The axis.

    Returns
    -------
    pyarrow.Table
        One row per iteration and component: iteration, component, means, stds, weights.
    """
    k = history[0].n_components
    variances = np.concatenate([params.covariances[:, axis, axis] for params in history])
    return arrow(
        {
            "iteration": np.repeat(np.arange(len(history), dtype=np.int16), k),
            "component": list(names[:k]) * len(history),
            "means": np.concatenate([params.means[:, axis] for params in history]),
            "stds": np.sqrt(np.maximum(variances, 0)),
            "weights": np.concatenate([params.weights for params in history]),
        }
    )


def cholesky(covariances: np.ndarray) -> np.ndarray:
    """Return the lower Cholesky factors of covariances (n, 2, 2), flat where there is none."""
    factors = np.zeros_like(covariances)
    across = np.sqrt(np.maximum(covariances[:, 0, 0], 0))
    lean = np.divide(covariances[:, 1, 0], across, out=np.zeros_like(across), where=across > 0)
    factors[:, 0, 0], factors[:, 1, 0] = across, lean
    factors[:, 1, 1] = np.sqrt(np.maximum(covariances[:, 1, 1] - lean**2, 0))
    return factors


def stays(assigned: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, dict[str, Any]]:
    """Return how long each point stays in a component: a row for each stay.

    Parameters
    ----------
    assigned : ndarray of int, shape (iterations, n)
        As :func:`assigned` returns it.
    names : sequence of str
        Names of the components.

    Returns
    -------
    rows : ndarray of int, shape (stays,)
        The point of each stay.
    columns : dict
        The component's name, and the first and the last iteration of the stay. The last stay of a
        point ends with no iteration that can be drawn.
    """
    comes = np.ones(assigned.T.shape, dtype=bool)
    comes[:, 1:] = (assigned[1:] != assigned[:-1]).T
    rows, first = np.nonzero(comes)
    last = np.append(first[1:] - 1, MAX_ITERATIONS)
    last[np.append(rows[1:] != rows[:-1], True)] = MAX_ITERATIONS
    component = np.array(names)[assigned[first, rows]]
    ends = {"first": first.astype(np.int16), "last": last.astype(np.int16)}
    return rows, {"component": component, **ends}


def changes(changed: np.ndarray, observation: str) -> pa.Table:
    """Return how many observations went over to another component in each E-step, in words.

    Parameters
    ----------
    changed : ndarray of int, shape (iterations,)
        As :func:`assigned` returns it.
    observation : str
        What one is called.
    """
    words = [f"{n:,} {observation}{'' if n == 1 else 's'} changed sides" for n in changed[1:]]
    return arrow({"iteration": np.arange(len(changed)), "text": ["", *words]})


def borders(history: Sequence[np.ndarray], low: np.ndarray, high: np.ndarray) -> pa.Table:
    """Return the borders between the regions that are nearest to each of some centres.

    Two centres have a border where their perpendicular bisector is nearer to no other one: the
    edges of the Voronoi diagram.

    Parameters
    ----------
    history : sequence of ndarray, shape (K, 2)
        The centres at each iteration.
    low, high : ndarray, shape (2,)
        Corners of what is to be seen. Borders end within once its size around it.
    """
    middle, reach = (low + high) / 2, 2 * float(np.linalg.norm(high - low)) or 1.0
    rows: list[np.ndarray] = []
    for t, centres in enumerate(history):
        i, j = np.triu_indices(len(centres), 1)
        normals = centres[j] - centres[i]
        lengths = np.hypot(*normals.T)
        i, j, normals, lengths = (each[lengths > 0] for each in (i, j, normals, lengths))
        along = normals[:, ::-1] * [-1, 1] / lengths[:, None]
        feet = (centres[i] + centres[j]) / 2
        feet += along * np.vecdot(middle - feet, along)[:, None]
        # A point foot + s along is nearer to i than to another c if slope * s <= room.
        to_others = 2 * (centres - centres[i, None])
        slope = np.matvec(to_others, along)
        room = (centres**2).sum(axis=1) - np.vecdot(centres[i], centres[i])[:, None]
        room -= np.matvec(to_others, feet)
        pairs = np.arange(len(i))
        for own in (i, j):
            slope[pairs, own] = room[pairs, own] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            stops = room / slope
        last = np.where(slope > 0, stops, np.inf).min(axis=1, initial=reach)
        first = np.where(slope < 0, stops, -np.inf).max(axis=1, initial=-reach)
        seen = (first < last) & ~((slope == 0) & (room < 0)).any(axis=1)
        drawn = [(feet + s[:, None] * along)[seen] for s in (first, last)]
        if not seen.any():  # a layer without any row would have no extent
            drawn = [middle[None], middle[None]]
        rows.append(np.column_stack([np.full(len(drawn[0]), t), *drawn]))
    columns = np.concatenate(rows).T
    names = ("x", "y", "x2", "y2")
    # Half the digits are enough to draw by, unless all is far from zero or beyond what they reach.
    farthest = np.abs(columns[1:]).max()
    few = reach >= 1e-3 * np.abs(middle).max() and farthest <= np.finfo(np.float32).max
    digits = np.float32 if few else np.float64
    ends = dict(zip(names, columns[1:].astype(digits), strict=True))
    return arrow({"iteration": columns[0].astype(np.int16), **ends})


def sample_rows(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of the points that are drawn: all, or a random sample of them."""
    if n <= DRAWN_POINTS:
        return np.arange(n)
    return np.sort(rng.choice(n, DRAWN_POINTS, replace=False))
