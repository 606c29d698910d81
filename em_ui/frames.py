"""From a trace to tidy tables: the iteration table, and what the charts draw.

Frames are built once, cached with the fit, and never changed afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from em_core.engine import Mixture, Model, Params, Trace
from em_ui.charts import SHARE_DIGITS

DRAWN_POINTS = 2_000

_AXES = ("x", "y")


@dataclass(frozen=True)
class Frames:
    """What a page shows of one run.

    Attributes
    ----------
    steps : pandas.DataFrame
        One row per iteration and component: iteration, component, each parameter, movement (the
        Euclidean distance that the component moved in this update; not a number for the guess)
        and last (whether this is the last iteration).
    objective : pandas.DataFrame
        One row per iteration: iteration, objective.
    truth : pandas.DataFrame
        One row per true component.
    labelled : pandas.DataFrame
        The same for the estimate with the labels known.
    table : pandas.DataFrame
        The iteration table, all steps, one column per parameter and component.
    """

    steps: pd.DataFrame
    objective: pd.DataFrame
    truth: pd.DataFrame
    labelled: pd.DataFrame
    table: pd.DataFrame

    @property
    def last(self) -> int:
        """The last iteration that can be drawn."""
        return len(self.objective) - 1


def drawable(trace: Trace[Any]) -> Trace[Any]:
    """Return the trace without a last step whose objective is not finite, if it is not all."""
    end = len(trace.steps) - (not np.isfinite(trace.final.objective))
    return Trace(trace.steps[: max(end, 1)], trace.status)


def build(
    trace: Trace[Any],
    truth: Params,
    labelled: Params,
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
    truth : Params
        The true parameters.
    labelled : Params
        The estimate with the labels known.
    names : sequence of str
        Names of the components, at least as many as there are.
    objective : str
        What the objective is called in the iteration table.
    sign : int, default 1
        -1 where the page shows minus the objective (K-Means: the inertia).
    """
    shown = drawable(trace)
    steps = pd.concat(
        [by_component(step.params, names).assign(iteration=step.iteration) for step in shown.steps],
        ignore_index=True,
    )
    k = shown.final.params.n_components
    values = steps.drop(columns=["component", "iteration"]).to_numpy()
    steps["movement"] = np.nan
    steps.loc[k:, "movement"] = np.linalg.norm(values[k:] - values[:-k], axis=1)
    steps["last"] = steps["iteration"] == shown.n_iter
    objectives = pd.DataFrame(
        {"iteration": range(len(shown.steps)), "objective": _signed(shown, sign)}
    )
    return Frames(
        steps,
        objectives,
        by_component(truth, names),
        by_component(labelled, names),
        _table(trace, names, objective, sign),
    )


def by_component(params: Params, names: Sequence[str]) -> pd.DataFrame:
    """Return parameters with one row per component; a parameter in the plane gives x and y."""
    columns: dict[str, Any] = {"component": list(names[: params.n_components])}
    for field, values in params.arrays().items():
        if values.ndim == 1:
            columns[field] = values
        else:
            columns.update(zip(_AXES, values.T, strict=True))
    return pd.DataFrame(columns)


def flat(params: Params, names: Sequence[str]) -> dict[str, float]:
    """Return all parameters by name: the parameter, the component, and x or y in the plane."""
    values = {}
    for field, array in params.arrays().items():
        for k, value in enumerate(array):
            if array.ndim == 1:
                values[f"{field} {names[k]}"] = value
            else:
                values |= {f"{field} {names[k]} {a}": v for a, v in zip(_AXES, value, strict=True)}
    return values


def _signed(trace: Trace[Any], sign: int) -> np.ndarray:
    return sign * trace.objectives + 0.0  # which takes the sign off minus zero


def _table(trace: Trace[Any], names: Sequence[str], objective: str, sign: int) -> pd.DataFrame:
    table = pd.DataFrame([flat(step.params, names) for step in trace.steps])
    table.insert(0, "iteration", range(len(trace.steps)))
    table[objective] = _signed(trace, sign)
    table["gain"] = np.concatenate([[np.nan], np.diff(trace.objectives)])
    return table


def pack(shares: np.ndarray) -> list[str]:
    """Return numbers from 0 to 1 as strings of digits, one string a column.

    Parameters
    ----------
    shares : ndarray, shape (iterations, columns)
        For example the responsibility of one component for each bar, at each iteration.
    """
    scale = 10**SHARE_DIGITS - 1
    whole = np.rint(np.nan_to_num(shares) * scale).astype(int)
    return ["".join(f"{value:0{SHARE_DIGITS}d}" for value in column) for column in whole.T]


def divided_bars(
    model: Model[Any, Any],
    trace: Trace[Any],
    names: Sequence[str],
    *,
    middles: np.ndarray,
    half_width: float,
    heights: np.ndarray,
    digits: int,
) -> pd.DataFrame:
    """Return bars that are divided between the components, for :func:`em_ui.charts.shares`.

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
    return pd.concat(
        [
            pd.DataFrame(
                {**common, "component": names[k], "share": pack(responsibilities[:, :, k])}
            )
            for k in range(responsibilities.shape[2])
        ],
        ignore_index=True,
    )


def expected_counts(
    model: Mixture[Any, Any], params: Sequence[Params], outcomes: np.ndarray, n: int
) -> pd.DataFrame:
    """Return how often each outcome of n trials is expected, for each of several parameters."""
    counts = [n * np.exp(model.log_joint(outcomes, p)).sum(axis=1) for p in params]
    return pd.DataFrame(
        {
            "iteration": np.repeat(np.arange(len(params)), len(outcomes)),
            "outcome": np.tile(outcomes, len(params)),
            "count": np.concatenate(counts),
        }
    )


def still(frame: pd.DataFrame, iteration: int) -> pd.DataFrame:
    """Return the rows, or the packed digits, of one iteration alone, for a picture that rests."""
    if "share" in frame:
        start = SHARE_DIGITS * iteration
        return frame.assign(share=frame["share"].str[start : start + SHARE_DIGITS])
    return frame[frame["iteration"] == iteration].assign(iteration=0)


def assigned(
    model: Model[Any, Any], points: np.ndarray, trace: Trace[Any], names: Sequence[str]
) -> list[str]:
    """Return, for each point, the one-letter names of its components, one letter an iteration."""
    letters = np.array(names)
    history = [
        letters[model.e_step(points, step.params).responsibilities.argmax(axis=1)]
        for step in drawable(trace).steps
    ]
    return ["".join(column) for column in np.array(history).T]


def sample_rows(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of the points that are drawn: all, or a random sample of them."""
    if n <= DRAWN_POINTS:
        return np.arange(n)
    return np.sort(rng.choice(n, DRAWN_POINTS, replace=False))
