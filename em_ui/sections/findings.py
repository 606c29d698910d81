"""What may have gone wrong in any mixture's run."""

from collections.abc import Iterator

from em_core import Status
from em_ui.run.problem import count
from em_ui.run.run import Run

# What a good start would gain: objective per observation, and part of an inertia.
_POOR, _POOR_INERTIA = 1e-3, 1e-3


def not_the_best(run: Run, *, hint: str = "") -> Iterator[str]:
    """Yield what a run from the truth does better, and whether start or stop is to blame.

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
    if run.trace.status is Status.MAX_ITER:
        yield (
            f"{algorithm} is not there yet: started from {origin}, {reached}. Raise the iteration "
            "limit; if that does not help, try another start."
        )
    elif run.trace.converged and missed - run.still_to_gain > enough:
        yield (
            f"This is a poor optimum: started from {origin}, {reached}. "
            f"Try other starts and keep the best{hint}."
        )
    elif run.trace.converged:
        yield (
            f"{algorithm} stopped too early: the tolerance let it stop while it was still "
            "climbing. Choose a smaller one."
        )


def other_number(run: Run) -> Iterator[str]:
    """Yield that the model has not as many components as the truth, if so."""
    words, truth = run.problem.words, run.problem.sample.truth
    find = run.params.n_components
    if truth is not None and find != truth.n_components:
        yield (
            f"The truth has {count(truth.n_components, words.group)}, and {words.algorithm} was "
            f"told to look for {find}."
        )
