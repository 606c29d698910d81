"""From the truth to the estimate: what the sample, the labels, the start and the stop do to it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from em_core import Params, Status, Trace
from em_core.diagnostics import same_solutions
from em_ui.pictures import frames
from em_ui.run.cache import cached
from em_ui.run.limit import follow, left_to_gain, left_to_move
from em_ui.run.run import Run, match

MODEL = "the model"
SAMPLE, LABELS, HARD_LABELS = "the sample", "missing labels", "hard assignment, missing labels"
START, STOP, REST = "the start", "stopped early", "the rest"

# Differences that no digit of the table shows.
DECIMALS = 4
_SHOWN = 0.5 * 10.0**-DECIMALS
_ROUNDING = 1e-13  # of the largest number
# What is left to move may be that much more than the last steps say.
_CAUTION = 3.0
_SAME = 1e-9  # objectives per observation that differ by less are equal


@dataclass(frozen=True)
class Split:
    """The way from the truth to the estimate, in parts.

    Attributes
    ----------
    table : pyarrow.Table
        One row a parameter that is estimated, in the order of the truth: truth, parts, estimate.
        The parts add up to estimate minus truth. Without the truth and the sample's part, if the
        truth is not known: then they add up to estimate minus labels known.
    columns : tuple of Column
        What the rows are, by the names of the truth.
    parts : tuple of str
        The names of the parts.
    reached : bool
        Whether the limits are known, to all digits that the page shows.
    level : bool
        Whether the run and the run from the truth end equally well at different parameters.
    """

    table: pa.Table
    columns: tuple[frames.Column, ...]
    parts: tuple[str, ...]
    reached: bool
    level: bool


def assumed(run: Run) -> str:
    """Return what the page calls what is held fixed at other values than the truth, or ""."""
    problem, truth = run.problem, run.problem.sample.truth
    if not problem.truth_known or truth is None or problem.truth is None:
        return ""
    titles = [
        f"{problem.words.quantities[field].title.lower()}s"
        for field in problem.fixed
        if not np.allclose(getattr(problem.truth, field), getattr(truth, field))
    ]
    return f"assumed {' and '.join(titles)}" if titles else ""


def unable(run: Run) -> str:
    """Return what the page calls the estimated parameters whose true values the model cannot have.

    As where it has one number for all components, or a floor. "" if there are none.
    """
    problem, truth = run.problem, run.problem.sample.truth
    if not problem.truth_known or truth is None or problem.truth is None:
        return ""
    titles = [
        f"{quantity.title.lower()}s"
        for field, quantity in problem.quantities.items()
        if (getattr(problem.truth, field) != getattr(truth, field)).any()
    ]
    return " and ".join(titles)


@cached
def split(run: Run) -> Split | None:
    """Return the parts of the way from the truth to the estimate.

    None without truth and labels, or if the model has not as many components as the truth: then
    there is nothing to compare one to one.
    """
    problem, truth = run.problem, run.problem.sample.truth
    if truth is None or run.labelled is None or run.matching is None:
        return None
    columns = problem.columns(truth)

    def numbers(params: Params) -> np.ndarray:
        matching = match(params, truth, problem.words.by)
        if matching is not None:
            params = params.relabel(np.argsort(matching))
        return np.array([column.of(params) for column in columns])

    # What the model would estimate of endless data with labels, which may not be the truth.
    able = problem.truth if problem.truth_known and problem.truth is not None else truth
    true, nearest, known = (
        np.array([column.of(p) for column in columns]) for p in (truth, able, run.labelled)
    )
    found = numbers(run.params)
    parts = {MODEL: nearest - true} if (nearest != true).any() else {}
    parts[SAMPLE] = known - nearest
    reached, level = True, False
    collapsed = run.trace.status is Status.NON_FINITE
    limit = run.trace if collapsed else run.followed(_known, most=run.glance)
    if limit.status is Status.NON_FINITE:
        parts[REST] = found - known
    else:
        best = _from_truth(run, problem.truth) or limit
        level, same = _compared(problem.n, limit, best)
        reached = _known(limit) and _known(best)
        end = numbers(limit.final.params)
        stopped = found - end
        if np.abs(stopped).max() < _SHOWN:
            end, stopped = found, np.zeros_like(found)
        top = end if same else numbers(best.final.params)
        labels = HARD_LABELS if problem.winner_takes_all else LABELS
        name = assumed(run)
        right = _with_true_shares(run) if name else None
        if right is None:
            parts[labels] = top - known
        else:
            with_right = numbers(right.final.params)
            parts |= {labels: with_right - known, name: top - with_right}
        if not same:
            parts[START] = end - top
        if stopped.any():
            parts[STOP] = stopped
    shown: dict[str, Any] = {"parameter": [problem.words.symbol(column) for column in columns]}
    if problem.truth_known:
        shown["truth"] = true
    else:
        shown["labels known"] = known
        del parts[SAMPLE]
    for name, part in parts.items():  # rounding has no sign
        parts[name] = np.where(np.abs(part) < _ROUNDING * np.abs(found).max(), 0.0, part)
    table = frames.arrow(shown | parts | {problem.words.algorithm: found})
    return Split(table, columns, tuple(parts), reached, level)


def _known(trace: Trace[Any]) -> bool:
    """Return whether a run has been followed until no digit of the table changes any more."""
    return _CAUTION * left_to_move(trace) < _SHOWN


def _from_truth(run: Run, truth: Params | None) -> Trace[Any] | None:
    """Return the run from some truth as near to its limit as a glance allows, if it has one."""
    if truth is None:
        return None
    problem = run.problem
    known = run.from_truth
    if known is None or known.steps[0].params != truth:
        known = problem.fit(truth, tol=0, max_iter=0)
    elif known.converged and problem.tol > 0:
        known = replace(known, status=Status.MAX_ITER)  # it would go on
    trace = follow(problem, known, most=known.n_iter + run.glance, until=_known)
    return None if trace.status is Status.NON_FINITE else trace


def _with_true_shares(run: Run) -> Trace[Any] | None:
    truth: Any = run.problem.truth
    true = {field: getattr(run.problem.sample.truth, field) for field in run.problem.fixed}
    return _from_truth(run, replace(truth, **true))


def _compared(n: int, limit: Trace[Any], best: Trace[Any]) -> tuple[bool, bool]:
    """Return whether two runs end equally well at different places, and whether at the same one.

    A run that ends higher than the one from the truth is itself the best that is known, as if it
    ended at the same place.
    """
    left = [0.0 if t.converged else left_to_gain(t) for t in (limit, best)]
    ahead = limit.final.objective - best.final.objective
    first, second = same_solutions([limit, best])
    if first == second or not np.isfinite(ahead):
        return False, True
    equal = abs(ahead) <= _SAME * n + sum(left)
    arrived = _known(limit) and _known(best)
    if equal:
        return arrived, not arrived
    return False, ahead > 0
