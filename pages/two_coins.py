"""Two coins: a binomial mixture, with every trial's share in each coin."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from em_core import BinomialMixture, BinomialParams, HardEM, Status
from em_core.binomial_mixture import (
    BinomialStatistics,
    guess_uniform,
    published_trials,
    simulate,
)
from em_ui import charts, controls, frames, sections
from em_ui.compute import DATA, GUESS, Run, cached_run, run_em, stream
from em_ui.controls import Choice, Controls, Number, Switch
from em_ui.sections import Drawing, Objective, Quantity

COINS = ("A", "B")
SIMULATED, PUBLISHED = "Simulated", "Five published trials"
TYPED, RANDOM = "Typed in", "Random"
LISTED_TRIALS = 1_000
SAME = 1e-6  # heads probabilities closer than this are one
POOR = 1e-3  # log-likelihood per trial that a good start would gain


def probability(label: str, default: float) -> Number:
    return Number(label, default, 0.0, 1.0, 0.01, slider=True)


SPECS = {
    "data": Choice("Trials", (SIMULATED, PUBLISHED), SIMULATED),
    "true_a": probability("True heads probability of A", 0.6),
    "true_b": probability("True heads probability of B", 0.2),
    "share_a": Number("Share of trials with A", 0.5, 0.0, 1.0, 0.05, slider=True),
    "tosses": Number("Tosses per trial", 10, 1, 200, 1),
    "trials": Number("Number of trials", 500, 1, 100_000, 1),
    "data_seed": controls.seed("Data seed"),
    "guess": Choice("Initial guess", (TYPED, RANDOM), TYPED),
    "start_a": probability("Start for A", 0.8),
    "start_b": probability("Start for B", 0.7),
    "guess_seed": controls.seed("Guess seed"),
    "hard": Switch("Hard assignment", False, "Each trial goes wholly to its likelier coin."),
    "weights": Switch("Estimate mixing weights", False, "Off: both coins stay equally likely."),
    "tol": controls.tolerance("trial"),
    "max_iter": controls.iteration_limit(100),
    "row": Number("E-step at iteration", 0, 0, 499, 1),
}
SITUATIONS = {
    "Wang’s article": {},
    "Do and Batzoglou": {"data": PUBLISHED, "start_a": 0.6, "start_b": 0.5},
    "The same start for both coins": {"start_a": 0.5, "start_b": 0.5},
    "Coins that are nearly alike": {"true_a": 0.55, "true_b": 0.45, "max_iter": 500},
}


class Coins(NamedTuple):
    run: Run
    attributed: BinomialStatistics
    bars: pd.DataFrame
    expected: pd.DataFrame
    by_truth: pd.DataFrame


@cached_run
def compute(settings: dict[str, Any]) -> Coins:
    s = SimpleNamespace(**settings)
    if s.data == PUBLISHED:
        sample = published_trials()
    else:
        truth = BinomialParams([s.true_a, s.true_b], [s.share_a, 1 - s.share_a])
        rng = stream(s.data_seed, DATA)
        sample = simulate(truth, n_tosses=s.tosses, n_trials=s.trials, rng=rng)
    start = BinomialParams([s.start_a, s.start_b], [0.5, 0.5])
    if s.guess == RANDOM:
        start = guess_uniform(sample.data, 2, rng=stream(s.guess_seed, GUESS))
    truth = sample.truth if s.weights else BinomialParams(sample.truth.heads_prob, start.weights)

    mixture = BinomialMixture(s.tosses, estimate_weights=s.weights)
    run = run_em(
        HardEM(mixture) if s.hard else mixture,
        sample,
        start,
        truth=truth,
        by="heads_prob",
        names=COINS,
        objective="log-likelihood",
        tol=float(s.tol),
        max_iter=s.max_iter,
    )
    outcomes, n = np.arange(s.tosses + 1), len(sample.data)
    bars = frames.divided_bars(
        run.model,
        run.trace,
        COINS,
        middles=outcomes,
        half_width=0.45,
        heights=np.bincount(sample.data, minlength=s.tosses + 1),
        digits=0,
    )
    history = [step.params for step in frames.drawable(run.trace).steps]
    expected = frames.expected_counts(mixture, history, outcomes, n)
    by_truth = frames.expected_counts(mixture, [sample.truth], outcomes, n)
    last = attribute(run, s.tosses, run.frames.last)[1]
    return Coins(run, last, bars, expected, by_truth)


def attribute(
    run: Run, n_tosses: int, iteration: int
) -> tuple[pd.DataFrame, BinomialStatistics, BinomialParams]:
    """Return the E-step of an iteration as a table, its sums, and what the M-step makes of them."""
    params, heads = run.trace.steps[iteration].params, run.sample.data
    weights = run.model.e_step(heads, params).responsibilities
    table = pd.DataFrame(
        {"trial": np.arange(1, len(heads) + 1), "heads": heads, "tails": n_tosses - heads}
    )
    for k, coin in enumerate(COINS):
        table[f"weight {coin}"] = weights[:, k]
        table[f"heads to {coin}"] = weights[:, k] * table["heads"]
        table[f"tails to {coin}"] = weights[:, k] * table["tails"]
    sums = run.model.statistics(heads, params, weights)
    return table, sums, run.model.m_step(sums, params)


c = Controls("tc", SPECS, SITUATIONS)
with st.sidebar:
    c.situation()
    st.subheader("Truth and data")
    if c.show("data") == SIMULATED:
        c.show_all("true_a", "true_b", "share_a", "tosses", "trials", "data_seed")
    st.subheader("Initial guess")
    c.show_all(*(("start_a", "start_b") if c.show("guess") == TYPED else ("guess_seed",)))
    st.subheader("Algorithm")
    c.show_all("hard", "weights", "tol", "max_iter")
    settings = c.settings()

st.title("Two coins")
st.markdown(
    "**Whose heads are these?** A pocket holds two coins, A and B, with unknown probabilities of "
    "heads. Each trial draws one of them, tosses it a few times and notes the number of heads. "
    "Nobody notes which coin it was."
)
coins = compute(settings)
run = coins.run
n = len(run.sample.data)
heads_prob, final = run.params.heads_prob, coins.attributed
objective = Objective("Classification log-likelihood" if settings["hard"] else "Log-likelihood")
quantities = {"heads_prob": Quantity("Heads probability", "θ", ".3f")}
if settings["weights"]:
    quantities["weights"] = Quantity("Mixing weight", "π", ".3f")

sections.status_line(run, objective, quantity="heads probability")
empty = final.trials.min() == 0
saddle = abs(heads_prob[0] - heads_prob[1]) < SAME and not empty
missed = run.missed > POOR * n and not saddle
sections.advice(
    {
        "Both coins ended at the same probability. This is a saddle: while the coins are equal, "
        "every trial is shared equally, and nothing can pull them apart. Start them apart, even "
        "by 0.01.": saddle,
        "One coin has no trials left, so it stays where it is. Start it closer to the data.": empty,
        f"This is a poor optimum: started from the truth, EM reaches {run.missed:.3f} more. Try "
        "another start.": missed and run.trace.converged,
        f"EM is not there yet: started from the truth, it reaches {run.missed:.3f} more. Raise the "
        "iteration limit; if that does not help, try another start.": (
            missed and run.trace.status is Status.MAX_ITER
        ),
        "EM has given the coins each other’s names. The likelihood does not know the names, so "
        "both ways are right; here they are matched to the truth.": (
            run.order[0] == 1 and not saddle and run.trace.status is not Status.NON_FINITE
        ),
    }
)
sections.explore(
    run,
    quantities,
    objective,
    Drawing(
        "Trials by number of heads, shared between the coins",
        charts.shares("Heads", "Trials", "Coin"),
        {"bars": coins.bars, "expected": coins.expected, "truth": coins.by_truth},
        f"{sections.count(n, 'trial')} by number of heads. Each bar is divided by the "
        "responsibilities of coins A and B.",
    ),
    caption="Bars: trials, divided by responsibility. Solid line: trials expected under the "
    "current coins. Dashed line: under the true coins.",
    key="tc",
)
sections.iteration_table(run, quantities, key="tc")

st.header("How a trial is shared")
st.markdown(
    "**E-step.** How probable is each coin, given the $h_i$ heads of trial $i$ in $m$ tosses? "
    "Bayes’ rule says:"
)
st.latex(
    r"w_{ik} = \frac{\pi_k\,\theta_k^{h_i}(1-\theta_k)^{m-h_i}}"
    r"{\pi_A\,\theta_A^{h_i}(1-\theta_A)^{m-h_i} + \pi_B\,\theta_B^{h_i}(1-\theta_B)^{m-h_i}}"
)
st.markdown(
    "These *responsibilities* are the trial’s weights. With hard assignment, the larger becomes 1 "
    "and the other 0. **M-step.** Share out the heads and tails by the weights, add them up, and "
    "take heads over tosses:"
)
st.latex(
    r"\theta_k = \frac{\sum_i w_{ik}\,h_i}{\sum_i w_{ik}\,m}"
    r"\qquad\text{and, if estimated,}\qquad\pi_k = \frac{1}{n}\sum_i w_{ik}"
)
at = min(c.show("row"), run.frames.last)
table, sums, update = attribute(run, settings["tosses"], at)
st.dataframe(
    table.head(LISTED_TRIALS),
    hide_index=True,
    key="tc_attribution",
    height=260,
    column_config={
        name: st.column_config.NumberColumn(format="%d" if i < 3 else "%.3f")
        for i, name in enumerate(table)
    },
    alt=f"Weights and attributed heads and tails of each trial at iteration {at}",
)
if n > LISTED_TRIALS:
    st.caption(f"The first {LISTED_TRIALS:,} of {n:,} trials. The sums below are over all.")
for k, (coin, heads, tails) in enumerate(zip(COINS, sums.heads, sums.tails, strict=True)):
    st.markdown(
        f"Coin {coin} is given {heads:,.2f} heads and {tails:,.2f} tails. After the M-step, "
        rf"$\theta_{coin} = \frac{{{heads:.2f}}}{{{heads:.2f} + {tails:.2f}}} = "
        f"{update.heads_prob[k]:.3f}$."
    )
st.markdown(
    "K-Means gives each point wholly to one cluster; here a trial is shared. Switch on *Hard "
    "assignment* in the sidebar to see what that changes on the same data."
)
with st.sidebar:
    c.footer()
