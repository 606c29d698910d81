"""The controls of the two coins, and the problem that they set."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from em_core import BinomialMixture, BinomialParams
from em_core.models.binomial_mixture import guess_uniform, published_trials
from em_ui import controls
from em_ui.controls import Choice, Number, Switch
from em_ui.run import Problem, Quantity, Settings, Words, pose, simulated

SIMULATED, PUBLISHED = "Simulated", "Five published trials"
TYPED, RANDOM = "Typed in", "Random"
WORDS = Words(
    title="Two coins",
    prefix="tc",
    observation="trial",
    component="coin",
    group="coin",
    names=("A", "B"),
    by="heads_prob",
    quantities={
        "heads_prob": Quantity("Heads probability", "θ", ".3f"),
        "weights": Quantity("Mixing weight", "π", ".3f"),
    },
    miss=0.1,
)


def probability(label: str, default: float) -> Number:
    """Return the control of a probability."""
    return Number(label, default, 0.0, 1.0, 0.01, slider=True)


SPECS = {
    "data": Choice("Trials", (SIMULATED, PUBLISHED), SIMULATED),
    "true_a": probability("True heads probability of A", 0.6),
    "true_b": probability("True heads probability of B", 0.2),
    "share_a": Number("Share of trials with A", 0.5, 0.0, 1.0, 0.05, slider=True),
    "tosses": Number("Tosses per trial", 10, 1, 200, 1),
    "trials": Number("Number of trials", 500, 1, 100_000, 1),
    "guess": Choice("Initial guess", (TYPED, RANDOM), TYPED),
    "start_a": probability("Start for A", 0.8),
    "start_b": probability("Start for B", 0.7),
    "hard": Switch("Hard assignment", False, "Each trial goes wholly to its likelier coin."),
    "weights": Switch("Estimate mixing weights", False, "Off: both coins stay equally likely."),
    **controls.usual("trial"),
}


def problem(settings: Settings) -> Problem:
    """Return the problem that the controls set."""
    s = SimpleNamespace(**settings)
    mixture = BinomialMixture(s.tosses, estimate_weights=s.weights)
    if s.data == PUBLISHED:
        sample, lines = published_trials(), ["data = published_trials().data"]
        coins: Any = sample.truth
    else:
        coins = BinomialParams([s.true_a, s.true_b], [s.share_a, 1 - s.share_a])
        sample, lines = simulated(mixture, coins, s.trials, settings)

    def guess(rng: np.random.Generator) -> BinomialParams:
        return guess_uniform(sample.data, 2, rng=rng)

    return pose(
        WORDS,
        settings,
        mixture,
        sample,
        guess,
        typed=BinomialParams([s.start_a, s.start_b], [0.5, 0.5]) if s.guess == TYPED else None,
        truth=coins if s.weights else BinomialParams(coins.heads_prob, [0.5, 0.5]),
        data_lines=lines,
        data_columns=["heads"],
        imports=["published_trials"] * (s.data == PUBLISHED),
        fixed=() if s.weights else ("weights",),
        drawn=RANDOM,
        truth_known=s.data != PUBLISHED,
    )
