"""What may have gone wrong in any mixture's run, and what is to be known of its answer."""

from collections.abc import Iterator

import numpy as np

from em_core import Params, Status
from em_ui.pictures.format import MAX_ITERATIONS
from em_ui.run.problem import count
from em_ui.run.references import assumed
from em_ui.run.run import Run, match

# What a good start would gain: objective per observation, and part of an inertia.
_POOR, _POOR_INERTIA = 1e-3, 1e-3
# Shares that differ by less are equal, on the page.
_SHARES = 5e-3


def not_the_best(run: Run, *, hint: str = "") -> Iterator[str]:
    """Yield what a run from the truth does better, and whether start or stop is to blame.

    The run is followed no further than is needed to tell these apart.

    ``hint`` is what else to try against a poor optimum, in words.
    """
    problem, objective = run.problem, run.problem.objective
    missed, enough = run.missed, _POOR * problem.n
    if objective.sign < 0:
        best = -run.trace.final.objective - missed
        enough = _POOR_INERTIA * best
        reached = f"the {objective.title.lower()} falls to {best:,.1f}"
    else:
        digits = 1 if missed >= 1 else 3
        reached = f"it reaches {missed:,.{digits}f} more {objective.title.lower()}"
    if not missed > enough:
        return
    origin, algorithm = problem.words.start_from, problem.words.algorithm
    if not problem.truth_known:
        origin = "the estimate with the labels known"
    better = f"started from {origin}, {reached}."
    if run.trace.status is Status.MAX_ITER:
        yield f"{algorithm} is not there yet: {better} " + (
            "Raise the iteration limit; if that does not help, try another start."
            if problem.max_iter < MAX_ITERATIONS
            else f"The iteration limit is the largest there is, so try another start{hint}."
        )
    elif run.trace.converged:
        catches_up = run.could_gain(missed - enough)
        if catches_up is None:
            yield (
                f"{algorithm} may have stopped too early, or at a poor optimum: {better} "
                f"Choose a smaller tolerance, and try other starts{hint}."
            )
        elif catches_up:
            yield (
                f"{algorithm} stopped too early: the tolerance let it stop while it was still "
                f"{objective.climbing}. Choose a smaller one."
            )
        else:
            yield (f"This is a poor optimum: {better} Try other starts and keep the best{hint}.")


def other_number(run: Run) -> Iterator[str]:
    """Yield that the model has not as many components as the truth, if so."""
    words, truth = run.problem.words, run.problem.sample.truth
    find = run.params.n_components
    if truth is not None and find != truth.n_components:
        who = "The truth has" if run.problem.truth_known else "The labels name"
        yield (
            f"{who} {count(truth.n_components, words.group)}, and {words.algorithm} was told to "
            f"look for {find}."
        )


def assumed_weights(run: Run) -> Iterator[str]:
    """Yield that fixed mixing weights are not those of the data, if so. It tells the true ones."""
    problem, sample = run.problem, run.problem.sample
    if not assumed(run) or "weights" not in problem.fixed or sample.labels is None:
        return
    fixed = problem.start.arrays()["weights"]
    found = np.bincount(sample.labels, minlength=len(fixed)) / problem.n
    if len(found) != len(fixed) or np.abs(found - fixed).max() < _SHARES:
        return
    equal = "equal " if np.ptp(fixed) == 0 else ""
    yield (
        f"The shares are assumed {equal}({_listed(fixed)}), and in these data they are "
        f"{_listed(found)}. That pulls the estimates away from the truth, and more data do not "
        f"help. Let {problem.words.algorithm} estimate the {_title(run, 'weights')}s too."
    )


def cannot_tell_apart(run: Run) -> Iterator[str]:
    """Yield that the data leave some directions of the parameters open, if so."""
    if run.flat:
        yield (
            f"The data cannot tell these parameters apart from others: {level(run)} Where a run "
            "ends there is decided by its start."
        )


def level(run: Run) -> str:
    """Return in words in how many directions the objective is level where the run ends."""
    directions = "one direction" if run.flat == 1 else f"{run.flat} directions"
    title = run.problem.objective.title.lower()
    return f"in {directions} the {title} is level, and all information is missing."


def stands_for(run: Run, params: Params | None = None) -> str:
    """Return which estimate stands for which component of the truth, where names differ.

    Known groups have names of their own.

    Parameters
    ----------
    run : Run
        Its components keep the names of the initial guess.
    params : Params, optional
        Other parameters than those of the run's end.
    """
    words = run.problem.words
    matching = run.matching if params is None else match(params, run.problem.sample.truth, words.by)
    if matching is None:
        return ""
    names = words.known or words.names
    pairs = [
        (words.names[i], names[j]) for i, j in enumerate(matching.tolist()) if words.known or i != j
    ]
    if not pairs:
        return ""
    (ours, theirs), *others = pairs
    true = "true " if run.problem.truth_known else ""
    whose = "" if words.known else f"the {true}{words.group} "
    rest = [f"{a} for {b}" for a, b in others]
    last = f", and {rest[-1]}" if rest else ""
    between = "".join(f", {each}" for each in rest[:-1])
    if ours.isdigit():  # which does not begin a sentence
        ours = f"{words.component.capitalize()} {ours}"
    return f"{ours} stands for {whose}{theirs}{between}{last}."


def _listed(shares: np.ndarray) -> str:
    texts = [f"{share:.2f}" for share in shares]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _title(run: Run, field: str) -> str:
    return run.problem.words.quantities[field].title.lower()
