"""From a trace to tidy tables: the iteration table, and what the charts draw.

Frames are built once, cached with the fit, and never changed afterwards. They are Arrow tables,
which is how they travel to the browser: a pandas frame would be converted in every rerun.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from em_core.engine import Mixture, Model, Params, Trace
from em_ui.pictures.format import pack, pack_names, packed_at

DRAWN_POINTS = 2_000

_AXES = ("x", "y")


class Column(NamedTuple):
    """One number among the parameters of a model.

    Attributes
    ----------
    name : str
        What it is called where it stands alone: the field, the component, and the axis if any.
    field : str
        The parameter.
    component : str
        The name of the component.
    axis : str
        x or y for a parameter in the plane, otherwise empty.
    """

    name: str
    field: str
    component: str
    axis: str


def schema(params: Params, names: Sequence[str]) -> tuple[Column, ...]:
    """Return what each number of ``params`` is, in the order in which tables list them."""
    return tuple(
        Column(" ".join(filter(None, (field, name, axis))), field, name, axis)
        for field, array in params.arrays().items()
        for name in names[: params.n_components]
        for axis in (_AXES if array.ndim > 1 else ("",))
    )


@dataclass(frozen=True)
class Frames:
    """What a page shows of one run.

    Attributes
    ----------
    steps : pyarrow.Table
        One row per iteration and component: iteration, component, each parameter, movement (the
        Euclidean distance that the component moved in this update; not a number for the guess).
    objective : pyarrow.Table
        One row per iteration: iteration, objective.
    truth : pyarrow.Table or None
        One row per true component; None if nobody knows the truth.
    labelled : pyarrow.Table or None
        The same for the estimate with the labels known; None if there are no labels.
    table : pyarrow.Table
        The iteration table, all steps: the iteration, one column per parameter and component, the
        objective and its gain.
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

    def field_of(self, column: str) -> str | None:
        """Return which parameter a column of ``table`` shows, or None for the other columns."""
        return next((c.field for c in self.columns if c.name == column), None)


def drawable(trace: Trace[Any]) -> Trace[Any]:
    """Return the trace without a last step whose objective is not finite, if it is not all."""
    end = len(trace.steps) - (not np.isfinite(trace.final.objective))
    return Trace(trace.steps[: max(end, 1)], trace.status)


def build(
    trace: Trace[Any],
    truth: Params | None,
    labelled: Params | None,
    names: Sequence[str],
    *,
    objective: str,
    sign: int = 1,
) -> Frames:
    """Return the frames of a run.

    Parameters
    ----------
    trace : Trace
        The run, its components already in the order of the truth.
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
    """
    shown = drawable(trace)
    objectives = arrow(
        {"iteration": np.arange(len(shown.steps)), "objective": _signed(shown, sign)}
    )
    return Frames(
        _steps(shown, names),
        objectives,
        None if truth is None else by_component(truth, names),
        None if labelled is None else by_component(labelled, names),
        _table(trace, names, objective, sign),
        schema(trace.final.params, names),
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
    t, k = len(trace.steps), trace.final.params.n_components
    columns = _columns(
        {
            field: np.concatenate([getattr(step.params, field) for step in trace.steps])
            for field in trace.final.params.arrays()
        }
    )
    path = np.column_stack(list(columns.values()))
    movement = np.full(t * k, np.nan)
    movement[k:] = np.linalg.norm(path[k:] - path[:-k], axis=1)
    iteration = np.repeat(np.arange(t), k)
    return arrow(
        {
            "component": list(names[:k]) * t,
            **columns,
            "iteration": iteration,
            "movement": movement,
        }
    )


def by_component(params: Params, names: Sequence[str]) -> pa.Table:
    """Return parameters with one row per component; a parameter in the plane gives x and y."""
    return arrow({"component": list(names[: params.n_components]), **_columns(params.arrays())})


def _columns(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return parameters by name, and those in the plane as x and y."""
    columns = {}
    for field, values in arrays.items():
        if values.ndim == 1:
            columns[field] = values
        else:
            columns.update(zip(_AXES, values.T, strict=True))
    return columns


def flat(params: Params, names: Sequence[str]) -> dict[str, float]:
    """Return all parameters by the names of their :func:`schema`."""
    values = np.concatenate([array.ravel() for array in params.arrays().values()])
    return dict(zip((column.name for column in schema(params, names)), values, strict=True))


def _signed(trace: Trace[Any], sign: int) -> np.ndarray:
    return sign * trace.objectives + 0.0  # which takes the sign off minus zero


def _table(trace: Trace[Any], names: Sequence[str], objective: str, sign: int) -> pa.Table:
    columns = [column.name for column in schema(trace.final.params, names)]
    values = np.array([list(flat(step.params, names).values()) for step in trace.steps])
    return arrow(
        {
            "iteration": np.arange(len(trace.steps)),
            **dict(zip(columns, values.T, strict=True)),
            objective: _signed(trace, sign),
            "gain": np.concatenate([[np.nan], np.diff(trace.objectives)]),
        }
    )


def divided_bars(
    model: Model[Any, Any],
    trace: Trace[Any],
    names: Sequence[str],
    *,
    middles: np.ndarray,
    half_width: float,
    heights: np.ndarray,
    digits: int,
) -> pa.Table:
    """Return bars that are divided between the components, for :func:`.charts.shares`.

    Parameters
    ----------
    model : Model
        Its E-step at the middle of each bar gives the division.
    trace, names
        As for :func:`build`.
    middles, heights : ndarray, shape (bars,)
        Where the bars stand, and how high.
    half_width : float
        Half a bar's width.
    digits : int
        Decimals of the middles in the tooltip.
    """
    responsibilities = np.array(
        [model.e_step(middles, step.params).responsibilities for step in drawable(trace).steps]
    )
    common = {
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


def still(table: pa.Table, iteration: int) -> pa.Table:
    """Return the rows, or the packed digits, of one iteration alone, for a picture that rests."""
    if "share" in table.column_names:
        name, values = "share", packed_at(table["share"], iteration)
    else:
        table = table.filter(pc.field("iteration") == iteration)
        name, values = "iteration", pa.repeat(0, len(table))
    return table.set_column(table.column_names.index(name), name, values)


def assigned(
    model: Model[Any, Any], points: np.ndarray, trace: Trace[Any], names: Sequence[str]
) -> list[str]:
    """Return, for each point, the one-letter names of its components, one letter an iteration."""
    history = [
        model.e_step(points, step.params).responsibilities.argmax(axis=1)
        for step in drawable(trace).steps
    ]
    return pack_names(names, history)


def sample_rows(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of the points that are drawn: all, or a random sample of them."""
    if n <= DRAWN_POINTS:
        return np.arange(n)
    return np.sort(rng.choice(n, DRAWN_POINTS, replace=False))
