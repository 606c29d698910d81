"""Situations of the two coins, and what is often believed."""

from typing import Any

from em_core.diagnostics import linear_rate
from em_ui import sections
from em_ui.controls import Situation, Value, query
from em_ui.run import Run, count
from pages.two_coins.problem import FIVE, MOST_TOSSES, SPECS, WORDS
from pages.two_coins.sections import spread

ALIKE = {
    "true_a": 0.55,
    "true_b": 0.45,
    "trials": 10_000,
    "data_seed": 5,
    "start_a": 0.6,
    "start_b": 0.59,
    "max_iter": 500,
}
PATIENT = "1e-8"


def coins(run: Run, iteration: int = -1) -> str:
    """Return the heads probabilities at an iteration in words."""
    a, b = run.steps[iteration].params.heads_prob
    return f"{a:.3f} and {b:.3f}"


def far_start(run: Run) -> str:
    """Say which estimate went further at first, and where both ended."""
    start, first = (step.params.heads_prob for step in run.steps[:2])
    shares = run.problem.responsibilities(run.problem.sample.data, run.steps[0].params)
    return (
        f"It comes near them: it ends at {coins(run)}. In the first step A goes from "
        f"{start[0]:.1f} to {first[0]:.3f}, and B further, from {start[1]:.1f} to {first[1]:.3f}. "
        "Most trials show few heads, which 0.7 explains a little less badly than 0.8, so "
        f"{(shares[:, 1] > 0.5).mean():.0%} of all trials lean to B. As B falls, it lets go of the "
        "trials with many heads, and A settles where these put it."
    )


def published(run: Run) -> str:
    """Say where EM ends on the published trials."""
    known: Any = run.labelled
    a, b = known.heads_prob
    return (
        f"Nearly: {coins(run)}. The trials with 9, 8 and 7 heads lean to A, but none goes there "
        f"wholly, so A’s estimate stays below {a:.2f}, and B’s is pulled up from {b:.2f}. Five "
        "trials are few, so the estimate is rough. EM converges all the same: more data make it "
        "accurate, not convergent."
    )


def equal_start(run: Run) -> str:
    """Say what equal coins do."""
    return (
        "It shares each half and half, so both coins get the same heads and tails, go to "
        f"{run.params.heads_prob[0]:.3f} together, and stay equal for ever. This point is a "
        "saddle: a small difference would grow, at first to "
        f"{spread(run):.2f} times its size in each iteration. Start one coin at 0.51 and see."
    )


def swapped(run: Run) -> str:
    """Say what became of names that are the other way round."""
    a, b = run.params.heads_prob
    return (
        f"No, and it need not: A ends at {a:.3f} and B at {b:.3f}. A stands for the true coin B, "
        "and B for A. In each E-step the trials with many heads lean to the coin that is higher, "
        "so it stays the higher one. The likelihood does not know the names: exchanging the coins "
        "changes nothing. There are two tops, equally high, mirror images of each other, and the "
        "start decides which of them EM climbs."
    )


def nearly_alike(run: Run) -> str:
    """Compare speed and answer with those of coins that are easy to tell apart."""
    easy = run.other(true_a=0.6, true_b=0.2)
    return (
        f"Many more: {count(run.trace.n_iter, 'iteration')} instead of {easy.trace.n_iter}. And "
        f"the answer is worse: the largest distance from the truth is {run.gap:.4f} instead of "
        f"{easy.gap:.4f}. Ten tosses hardly tell such coins apart. The more the missing labels "
        "hide, the slower EM is: at the end of this run each step is "
        f"{linear_rate(run.trace):.2f} times as long as the one before, there "
        f"{linear_rate(easy.trace):.2f} times."
    )


def stopped_early(run: Run) -> str:
    """Compare the early stop with a patient run."""
    patient, gain = run.other(tol=PATIENT), run.trace.objectives[-1] - run.trace.objectives[-2]
    return (
        f"No. It stopped after {count(run.trace.n_iter, 'iteration')} at {coins(run)}. With a "
        f"tolerance of {PATIENT} it goes on to {patient.trace.n_iter} and ends at "
        f"{coins(patient)}: the largest distance from the truth falls from {run.gap:.4f} to "
        f"{patient.gap:.4f}. The last iteration gained only {gain / run.problem.n:.1g} per trial "
        "because EM is slow here, not because it had arrived. See *Has it really converged?*."
    )


def first_trial(run: Run) -> str:
    """Split the first trial by hand."""
    h = int(run.problem.sample.data[0])
    a, b = run.problem.responsibilities(run.problem.sample.data[:1], run.steps[0].params)[0]
    (share, _), to_a = sections.as_printed(lambda r, n: r * n, float(a), h)
    return (
        f"{share} of it: 0.8⁸ 0.2² against 0.7⁸ 0.3². So {to_a} of its {h} heads go to A, and "
        f"{b * h:.3f} to B."
    )


SITUATIONS = {
    "Wang’s article": Situation(
        {},
        "500 trials, but nobody noted the coins. EM starts far off, at 0.8 and 0.7. Will it find "
        "the coins? In the first step, which of the two estimates will go further, and which way?",
        far_start,
    ),
    "Do and Batzoglou": Situation(
        {"data": FIVE, "start_a": 0.6, "start_b": 0.5},
        "Five trials of ten tosses: 5, 9, 8, 4 and 7 heads. With the coins known, one would say "
        "0.80 and 0.45. EM does not know them. Will it say the same?",
        published,
        sealed_question="Five trials of ten tosses: 5, 9, 8, 4 and 7 heads. EM is not told which "
        "coin made which. Where will it end?",
    ),
    "The same start for both coins": Situation(
        {"start_a": 0.5, "start_b": 0.5},
        "Both coins start at 0.5. What will the first E-step say about each trial?",
        equal_start,
        moves=("start_a", "start_b"),
    ),
    "Swapped names": Situation(
        {"start_a": 0.2, "start_b": 0.6},
        "The start has A low and B high, the truth the other way round. Will EM turn them round?",
        swapped,
        sealed_question="The start has A low and B high. Will EM turn them round?",
    ),
    "Coins that are nearly alike": Situation(
        {**ALIKE, "tol": PATIENT},
        "These two coins are nearly alike, and EM needs many more iterations than with coins of "
        "0.6 and 0.2. Why? Will the answer be as good?",
        nearly_alike,
        sealed_question="Why does EM need so many iterations here?",
    ),
    "Stopping too early": Situation(
        {**ALIKE, "tol": "1e-3"},
        "Coins that are nearly alike, and a loose tolerance: EM will soon say that it has "
        "converged. Will it have arrived?",
        stopped_early,
        moves=("tol",),
        sealed_question="The tolerance is loose: EM will soon say that it has converged. Will it "
        "have arrived?",
    ),
    "One trial of eight heads, by hand": Situation(
        {"true_a": 0.8, "true_b": 0.7, "trials": 5, "data_seed": 3},
        "Few trials, and a start at 0.8 and 0.7. The first trial shows 8 heads. Before you look at "
        "*One step by hand*: how much of it goes to A?",
        first_trial,
        sealed_question="Few trials. The first shows 8 heads. Before you look at *One step by "
        "hand*: how much of it goes to A?",
    ),
}

MISCONCEPTIONS = (
    (
        "The responsibilities must be 0 or 1.",
        "A trial came from one coin, but we do not know which. The responsibility of a coin is how "
        "probable it is that it was this one.",
    ),
    (
        "EM needs much data to converge.",
        "It converges on five trials. More data make the estimate accurate, not the algorithm "
        "convergent.",
    ),
    (
        "A different answer from another start is a bug.",
        "The likelihood does not know the coins’ names, so each answer with two different coins "
        "has a mirror image that is as good. Which of them EM finds is decided by the start.",
    ),
)


def link_to_the_largest() -> dict[str, str]:
    """Return the query of the dearest run: as many trials as allowed of coins that are alike."""
    values: dict[str, Value] = {
        "true_a": 0.52,
        "true_b": 0.5,
        "tosses": MOST_TOSSES,
        "trials": 100_000,
    }
    values |= {"weights": True, "tol": "0", "max_iter": 500}
    return query(WORDS.prefix, SPECS, values)
