"""The hill that EM climbs: the objective over two parameters, and the bound that touches it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from em_core import Params, Status
from em_core.diagnostics import bounds_from
from em_core.engine import begin
from em_core.many import objectives_of
from em_core.model import Arrays
from em_core.numerics import Array, is_singular
from em_ui.controls.page import Controls
from em_ui.pictures import charts, frames
from em_ui.pictures.frames import SYMMETRIC, Column
from em_ui.run import budget, progress
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
_IMPOSSIBLE = "no such covariance matrix"
_TOP, _GOAL = "top of the bound", "where the M-step goes"
_BEYOND = 1.25  # times the largest variance on the path
_BESIDE = 1e-3  # of a slice's reach: a top is higher than what is so near
_EQUAL = 1e-11  # of the objective: bounds that differ by less are equally high

Spots = Mapping[str, Sequence[float]]
Spot = tuple[str, int | tuple[int, ...]]  # a parameter, and where a number stands in its array


def draw(
    c: Controls,
    run: Run,
    *,
    domain: tuple[float, float] | None = None,
    pair: tuple[int, int] = (0, 1),
    over: tuple[Spot, Spot] | None = None,
    spots: Spots | None = None,
    marked: str = _MARKED,
) -> None:
    """Draw the hill over two numbers among the parameters, and a slice of it with the bound.

    Parameters
    ----------
    c, run
        The page's controls, and the run.
    domain : (float, float), optional
        Where the numbers may lie; by default, as far as the data and the run's path reach.
    pair : (int, int)
        The components, of whose parameter ``by`` the hill is drawn. If they are the same, there is
        only a slice.
    over : pair of (str, int or tuple of int), optional
        Instead of a parameter of two components, any two numbers: the parameter's name, and where
        each stands in its array, as in ``("means", (0, 1))``, the second coordinate of the first
        component's mean. The two triangles of a covariance matrix move together. If the numbers are
        the same, there is only a slice.
    spots : mapping, optional
        Points to name, instead of where EM ends; each a pair of values.
    marked : str
        The same for who cannot see the hill. It does not say how this run ends.
    """
    problem, names = run.problem, run.names
    by = problem.words.by
    if over is None:
        if not names:
            st.markdown("This model has no components, and the hill is drawn over two of them.")
            return
        if len(names) == 1:
            title = problem.words.quantities[by].title.lower()
            st.markdown(
                f"With one {problem.words.component} there is one {title}, and EM needs one step."
            )
            return
        over = (by, pair[0]), (by, pair[1])
    x, y = (frames.column_of(run.params, problem.words.names, *spot) for spot in over)
    # Where nothing else is estimated, the hill is the same at every iteration; the end is on it.
    alone = set(run.frames.columns) <= {x, y}
    at = run.frames.last if alone else standing(c, run)[0]
    drawings = []
    if run.flat:
        spots = None  # along a ridge there is no top, and no saddle
        if played(c, run):
            marked = _MARKED
    title = problem.objective.title
    symbols = [problem.words.symbol(column) for column in (x, y)]
    impossible = False
    if x == y:
        st.info(
            "Choose two different components for the hill."
            if x.field == y.field == by and not x.axis
            else "Choose two different numbers for the hill."
        )
    else:
        # The way that EM took is on the hill, from the initial guess on.
        across, up = (_reach(run, column, domain) for column in (x, y))
        if (x.field, x.axis) == (y.field, y.axis):
            across = up = min(across[0], up[0]), max(across[1], up[1])
        cells = _heights(run, at, x, y, across, up)
        impossible = bool(pc.any(pc.is_null(cells["band"])).as_py())
        drawings.append(
            Drawing(
                f"{title} over {symbols[0]} and {symbols[1]}"
                + ("" if alone else f", the rest as at {moment(at)}"),
                charts.hill(
                    symbols[0],
                    symbols[1],
                    f"{title} lost per {problem.words.observation}",
                    path=True,
                    impossible=_IMPOSSIBLE if SYMMETRIC & {x.field, y.field} else "",
                ),
                {
                    "hill": cells,
                    "path": path(run, x, y),
                    "marks": marks(
                        spots or {"EM ends": [x.of(run.params), y.of(run.params)]},
                        since=run.frames.last,
                    ),
                },
                f"Bands of equal {title.lower()} over {symbols[0]} and {symbols[1]}, with the path "
                f"of EM as far as it has been played. At the end of the run {marked}."
                + f" Grey: {_IMPOSSIBLE}."
                * impossible,
            )
        )
    exact = True
    if run.trace.status is not Status.NON_FINITE or len(run.steps) > 1:
        drawing, exact = _slice(run, x, *_reach(run, x, domain, path=False))
        drawings.append(drawing)
    in_row(drawings, key=c.key("hill"))
    if impossible:
        st.caption(
            "Grey: there is no such covariance matrix. It would not be positive definite: some "
            "direction would have a variance of 0 or below."
        )
    if run.flat and played(c, run):
        st.markdown(
            f"The ridge on which the run ends is level: {level(run)} No point on it is a top."
        )
    explain(exact)


def _reach(
    run: Run, column: Column, domain: tuple[float, float] | None, *, path: bool = True
) -> tuple[float, float]:
    """Return from where to where a number is drawn: as far as the data reach, and the run's path.

    A mean lies where the data do, a weight between 0 and 1. Of covariances all that would be
    possible with the variances on the path is drawn.
    """
    low, high = domain or _of_data(run, column)
    if path:
        way = [column.of(step.params) for step in run.steps]
        low, high = min(low, *way), max(high, *way)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _of_data(run: Run, column: Column) -> tuple[float, float]:
    if column.field == "weights":
        return 0.0, 1.0
    if column.field in SYMMETRIC:
        *first, i, j = column.place
        matrices = np.array(
            [getattr(step.params, column.field)[tuple(first)] for step in run.steps]
        )
        reach = _BEYOND * float(np.sqrt(matrices[:, i, i].max() * matrices[:, j, j].max()))
        return (0.0 if i == j else -reach), reach
    data = np.asarray(run.problem.sample.data, dtype=float)
    if data.ndim == 2 and getattr(run.params, column.field).ndim == 2:
        data = data[:, column.place[-1]]
    return float(data.min()), float(data.max())


@cached
def _heights(
    run: Run, at: int, x: Column, y: Column, across: tuple[float, float], up: tuple[float, float]
) -> pa.Table:
    x_edges, y_edges = edges(*across), edges(*up)
    a, b = np.meshgrid(*((e[:-1] + e[1:]) / 2 for e in (x_edges, y_edges)), indexing="ij")
    arrays = repeated(run.steps[at].params, a.size)
    arrays = placed(placed(arrays, x, a.ravel()), y, b.ravel())
    values = _objectives(run)(arrays).reshape(a.shape)
    top = float(np.max(values[~np.isnan(values)], initial=run.steps[at].objective))
    return bands(values, x_edges, y_edges, n=run.problem.n, top=top)


def _objectives(run: Run) -> Callable[[Arrays], Array]:
    """Return what maps many parameters to their objectives, not a number where they are impossible.

    They are computed in pieces.
    """
    problem = run.problem
    of = objectives_of(problem.model, problem.data, type(run.params))
    some = max(int(budget.PIECE / problem.work), 1)

    def objectives(arrays: Arrays) -> Array:
        can_be = np.flatnonzero(_possible(arrays))
        found = np.full(len(next(iter(arrays.values()))), np.nan)
        for first in range(0, len(can_be), some):
            progress.tell(f"Height {first + 1:,} of {len(can_be):,}", first / len(can_be))
            which = can_be[first : first + some]
            with budget.turn(problem.work * len(which)):
                found[which] = of({name: array[which] for name, array in arrays.items()})
        return found

    return objectives


def repeated(params: Params, times: int) -> Arrays:
    """Return the arrays of some parameters so many times, along a leading axis."""
    return {name: np.repeat(array[None], times, axis=0) for name, array in params.arrays().items()}


def placed(arrays: Arrays, column: Column, values: npt.ArrayLike) -> Arrays:
    """Return the arrays of many parameters with one number of each replaced, in all its places.

    A covariance has two. Of mixing weights the others share what is left, in the proportions that
    they have.

    Parameters
    ----------
    arrays : dict of str to ndarray
        The parameters, each with a leading axis of length R.
    column : Column
        The number.
    values : array_like, shape (R,)
        What it is replaced by.
    """
    array, given = arrays[column.field].copy(), np.asarray(values, dtype=float)
    here: Any = (slice(None), *column.place)
    if column.field == "weights":
        others = array.sum(axis=1) - array[here]
        left = np.divide(1 - given, others, out=np.zeros_like(others), where=others != 0)
        array *= left[:, None]
    array[here] = given
    if column.field in SYMMETRIC:
        *first, i, j = column.place
        mirrored: Any = (slice(None), *first, j, i)
        array[mirrored] = given
    return {**arrays, column.field: array}


def _possible(arrays: Arrays) -> npt.NDArray[np.bool_]:
    """Return where all covariance matrices of many parameters are positive definite, shape (R,)."""
    found = np.ones(len(next(iter(arrays.values()))), dtype=bool)
    for field in SYMMETRIC & arrays.keys():
        array = arrays[field]
        flat = is_singular(array.reshape(-1, *array.shape[-2:]))
        found &= ~flat.reshape(len(array), -1).any(axis=1)
    return found


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
        The objective at the middle of each cell; not a number where parameters are impossible.
    x_edges, y_edges : ndarray
        Edges of the cells.
    n : int
        Number of observations: bands are of the loss per observation.
    top : float
        The largest objective, from which the loss is counted.
    """
    loss = (top - heights).ravel() / n
    numbers = np.digitize(np.where(np.isnan(loss), np.inf, loss), charts.LOSS_BANDS)
    band = pa.array(numbers, mask=np.isnan(heights).ravel())
    return cells(x_edges, y_edges).append_column("band", band)


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


def path(run: Run, *columns: Column) -> pa.Table:
    """Return the way that two numbers took: iteration, x, y."""
    x, y = ([column.of(step.params) for step in run.steps] for column in columns)
    return frames.arrow({"iteration": np.arange(len(x)), "x": x, "y": y})


def marks(points: Mapping[str, Sequence[float]], *, since: int = 0) -> pa.Table:
    """Return named points of a hill, and the first iteration at which they are shown."""
    x, y = zip(*points.values(), strict=True)
    return frames.arrow({"mark": list(points), "x": x, "y": y, "since": [since] * len(points)})


@cached
def _slice(run: Run, column: Column, low: float, high: float) -> tuple[Drawing, bool]:
    """Return the drawing of the objective and its lower bound along one number.

    At each iteration the other parameters are held at their values there, and the bound is the one
    that touches the objective at that iteration's parameters. The slice shows a few times the step
    that the M-step takes. Of many iterations only some are computed, and the others show the
    nearest of these.

    The M-step sets all numbers together. Where the best value of one depends on others, the bound
    has its top along this one elsewhere. Returned is also whether it has it where the M-step goes.
    """
    objective, domain = run.problem.objective, (low, high)
    title = run.problem.words.symbol(column)
    model, e_step = run.problem.model, begin(run.problem.model, run.problem.data)
    of, curves, ends, exact = _objectives(run), [], [], True
    n_picked = min(run.frames.last + 1, _SLICES)
    picked = np.linspace(0, run.frames.last, n_picked).round().astype(int)
    nearest = picked[np.abs(np.arange(run.frames.last + 1)[:, None] - picked).argmin(axis=1)]
    for t in picked.tolist():
        shown = np.flatnonzero(nearest == t)
        interval = {"first": shown[0], "last": shown[-1]}
        at = run.steps[t].params
        here = column.of(at)
        with budget.turn(run.problem.cost):
            statistics, height = e_step(at)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            goal = column.of(model.m_step(statistics, at))
        reach = max(_REACH * abs(goal - here), _LEAST_REACH * (domain[1] - domain[0]))
        grid = np.linspace(
            max(min(here, goal) - reach, domain[0]), min(max(here, goal) + reach, domain[1]), _SLICE
        )
        beside = [goal + side * _BESIDE * reach for side in (-1, 1)]
        values = np.array([*grid, here, goal, *beside])
        many = placed(repeated(at, len(values)), column, values)
        bounds, can_be = np.full(len(values), np.nan), _possible(many)
        bounds[can_be] = bounds_from(run.problem.mixture, statistics, height, at)(
            {name: array[can_be] for name, array in many.items()}
        )
        heights: dict[str, Any] = {
            objective.title: of({name: array[:_SLICE] for name, array in many.items()}),
            "Lower bound": bounds[:_SLICE],
        }
        for name, curve in heights.items():
            finite = np.isfinite(curve)
            table = frames.arrow({"x": grid[finite], "y": curve[finite]})
            curves.append(frames.extend(table, curve=name, **interval))
        touch, reached = bounds[_SLICE : _SLICE + 2].tolist()
        for name, x, y in (("where they touch", here, touch), (_GOAL, goal, reached)):
            if np.isfinite(y):
                ends.append({"x": x, "y": y, "point": name, **interval})
        others = np.delete(bounds, [_SLICE, _SLICE + 1])
        highest = max(others[~np.isnan(others)], default=np.inf)
        exact &= bool(reached >= highest - _EQUAL * abs(touch))
    top = _TOP if exact else _GOAL
    ends = [{**end, "point": end["point"].replace(_GOAL, top)} for end in ends]
    note = "" if len(picked) > run.frames.last else f" Computed at {len(picked)} iterations."
    goes_to = (
        "the M-step goes to the top of the bound"
        if exact
        else "it is marked to which value the M-step goes, which changes the other numbers too"
    )
    drawing = Drawing(
        f"{objective.title} and lower bound along {title}",
        charts.bound(title, objective.title),
        {
            "slice": pa.concat_tables(curves).combine_chunks(),
            "ends": frames.arrow(
                {name: [end[name] for end in ends] for name in ("x", "y", "point", *interval)}
            ),
        },
        f"{objective.title} along {title}, and the lower bound that touches it at the iteration of "
        f"the player; {goes_to}.{note}",
    )
    return drawing, exact


def explain(exact: bool = True) -> None:
    """Say in words what the slice shows.

    ``exact`` says whether the M-step goes to the top of the bound along the slice itself.
    """
    st.markdown(
        "EM never sees the whole hill. In the E-step it builds a *lower bound* that touches the "
        "curve where it stands. In the M-step it goes to the top of the bound, and the curve is at "
        "least as high there. "
        + (
            "(On the slice, the other parameters stay where they are.)"
            if exact
            else "The top is one of all numbers together. On the slice the other parameters stay "
            "where they are, so the bound may be highest elsewhere than where the M-step goes."
        )
    )
