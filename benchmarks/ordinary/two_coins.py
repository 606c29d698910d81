"""Two coins, the ordinary way."""

import altair as alt
import numpy as np
import pandas as pd
import shared
import streamlit as st

from em_core import BinomialMixture, BinomialParams, HardEM, fit
from em_core.models.binomial_mixture import guess_uniform, published_trials
from em_core.numerics import match_components

COINS = ["A", "B"]
SIMULATED, PUBLISHED = "Simulated", "Five published trials"
LISTED_TRIALS = 1_000

DEFAULTS = {
    "tc_data": SIMULATED,
    "tc_true_a": 0.6,
    "tc_true_b": 0.2,
    "tc_share_a": 0.5,
    "tc_tosses": 10,
    "tc_trials": 500,
    "tc_data_seed": 1,
    "tc_guess": "Typed in",
    "tc_start_a": 0.8,
    "tc_start_b": 0.7,
    "tc_guess_seed": 1,
    "tc_hard": False,
    "tc_weights": False,
    "tc_tol": "1e-6",
    "tc_max_iter": 100,
    "tc_row": 0,
}
SITUATIONS = {
    "Wang’s article": {},
    "Do and Batzoglou": {"tc_data": PUBLISHED, "tc_start_a": 0.6, "tc_start_b": 0.5},
    "The same start for both coins": {"tc_start_a": 0.5, "tc_start_b": 0.5},
    "Coins that are nearly alike": {"tc_true_a": 0.55, "tc_true_b": 0.45, "tc_max_iter": 500},
}


@st.cache_data(max_entries=64, show_spinner="Running EM …")
def run_em(
    data,
    true_a,
    true_b,
    share_a,
    tosses,
    trials,
    data_seed,
    guess,
    start_a,
    start_b,
    guess_seed,
    hard,
    weights,
    tol,
    max_iter,
):
    """Simulate, fit from the guess and from the truth, and put the coins in order."""
    if data == PUBLISHED:
        sample = published_trials()
    else:
        sample = BinomialMixture(tosses).simulate(
            BinomialParams([true_a, true_b], [share_a, 1 - share_a]),
            trials,
            rng=np.random.default_rng([data_seed, 0]),
        )
    start = BinomialParams([start_a, start_b], [0.5, 0.5])
    if guess == "Random":
        start = guess_uniform(sample.data, 2, rng=np.random.default_rng([guess_seed, 1, 1]))
    truth = sample.truth if weights else BinomialParams(sample.truth.heads_prob, start.weights)
    mixture = BinomialMixture(tosses, estimate_weights=weights)
    model = HardEM(mixture) if hard else mixture
    trace = shared.finite(fit(model, sample.data, start, tol=tol, max_iter=max_iter))
    from_truth = fit(model, sample.data, truth, tol=tol, max_iter=max_iter)
    order = match_components(trace.final.params.heads_prob, sample.truth.heads_prob)
    trace = trace.relabel(order)
    return {
        "sample": sample,
        "model": model,
        "mixture": mixture,
        "trace": trace,
        "missed": from_truth.final.objective - trace.final.objective,
        "swapped": bool(order[0] == 1),
        "steps": shared.history(trace, COINS),
        "table": shared.wide_table(trace, COINS, "log-likelihood"),
    }


def picture(run, tosses, at):
    """Return the trials by number of heads, shared between the coins, with expected counts."""
    sample, params = run["sample"], run["trace"].steps[at].params
    outcomes, n = np.arange(tosses + 1), len(sample.data)
    heights = np.bincount(sample.data, minlength=tosses + 1)
    responsibilities = run["model"].e_step(outcomes, params).responsibilities
    bars = pd.concat(
        [
            pd.DataFrame(
                {
                    "heads": outcomes,
                    "coin": coin,
                    "responsibility": responsibilities[:, k],
                    "trials": heights * responsibilities[:, k],
                }
            )
            for k, coin in enumerate(COINS)
        ]
    )

    def expected(parameters):
        counts = n * np.exp(run["mixture"].log_joint(outcomes, parameters)).sum(axis=1)
        return pd.DataFrame({"heads": outcomes, "trials": counts})

    x = alt.X("heads:Q", title="Heads", axis=alt.Axis(format="d", tickMinStep=1))
    y = alt.Y("trials:Q", title="Trials")
    tooltip = [
        alt.Tooltip("heads:Q", title="Heads"),
        alt.Tooltip("trials:Q", title="Expected count", format=".2f"),
    ]
    shares = (
        alt.Chart(bars)
        .mark_bar(opacity=0.75)
        .encode(
            x=x,
            y=y,
            color=alt.Color("coin:N", title="Coin", legend=alt.Legend(orient="top")),
            order=alt.Order("coin:O"),
            tooltip=[
                alt.Tooltip("heads:Q", title="Heads"),
                alt.Tooltip("coin:N", title="Coin"),
                alt.Tooltip("responsibility:Q", title="Responsibility", format=".3f"),
                alt.Tooltip("trials:Q", title="Trials, its part", format=".4~f"),
            ],
        )
    )
    truth = (
        alt.Chart(expected(sample.truth))
        .mark_line(color=shared.INK, strokeDash=[6, 4], strokeWidth=2)
        .encode(x=x, y=y, tooltip=tooltip)
    )
    current = (
        alt.Chart(expected(params))
        .mark_line(color=shared.MARK, point=alt.OverlayMarkDef(color=shared.MARK, size=30))
        .encode(x=x, y=y, tooltip=tooltip)
    )
    return (shares + truth + current).properties(height=420)


def attribute(run, tosses, at):
    """Return the E-step as a table, its sums, and what the M-step makes of them."""
    model, params, heads = run["model"], run["trace"].steps[at].params, run["sample"].data
    weights = model.e_step(heads, params).responsibilities
    table = pd.DataFrame(
        {"trial": np.arange(1, len(heads) + 1), "heads": heads, "tails": tosses - heads}
    )
    for k, coin in enumerate(COINS):
        table[f"weight {coin}"] = weights[:, k]
        table[f"heads to {coin}"] = weights[:, k] * table["heads"]
        table[f"tails to {coin}"] = weights[:, k] * table["tails"]
    sums = model.statistics(heads, params, weights)
    return table, sums, model.m_step(sums, params)


def probability(label, key):
    """Draw a slider from 0 to 1 that is bound to the link."""
    return st.slider(label, 0.0, 1.0, step=0.01, key=key, bind="query-params")


def number(label, low, high, key, **options):
    """Draw a number box that is bound to the link."""
    return st.number_input(label, low, high, key=key, bind="query-params", **options)


shared.start_values(DEFAULTS)
with st.sidebar:
    shared.situations("tc_situation", DEFAULTS, SITUATIONS)
    st.subheader("Truth and data")
    data = st.selectbox("Trials", [SIMULATED, PUBLISHED], key="tc_data", bind="query-params")
    true_a, true_b, share_a, tosses, trials, data_seed = 0.6, 0.2, 0.5, 10, 500, 1
    if data == SIMULATED:
        true_a = probability("True heads probability of A", "tc_true_a")
        true_b = probability("True heads probability of B", "tc_true_b")
        share_a = st.slider(
            "Share of trials with A", 0.0, 1.0, step=0.05, key="tc_share_a", bind="query-params"
        )
        tosses = number("Tosses per trial", 1, 200, "tc_tosses")
        trials = number("Number of trials", 1, 100_000, "tc_trials")
        data_seed = number(
            "Data seed",
            0,
            999_999,
            "tc_data_seed",
            help="The same seed always gives the same draw.",
        )
    st.subheader("Initial guess")
    guess = st.selectbox(
        "Initial guess", ["Typed in", "Random"], key="tc_guess", bind="query-params"
    )
    start_a, start_b, guess_seed = 0.8, 0.7, 1
    if guess == "Typed in":
        start_a = probability("Start for A", "tc_start_a")
        start_b = probability("Start for B", "tc_start_b")
    else:
        guess_seed = number(
            "Guess seed",
            0,
            999_999,
            "tc_guess_seed",
            help="The same seed always gives the same draw.",
        )
    st.subheader("Algorithm")
    hard = st.toggle(
        "Hard assignment",
        key="tc_hard",
        bind="query-params",
        help="Each trial goes wholly to its likelier coin.",
    )
    weights = st.toggle(
        "Estimate mixing weights",
        key="tc_weights",
        bind="query-params",
        help="Off: both coins stay equally likely.",
    )
    tol = st.selectbox(
        "Tolerance",
        shared.TOLERANCES,
        key="tc_tol",
        bind="query-params",
        help="EM stops when an iteration gains no more than this per trial. "
        "With 0 it goes on until nothing changes.",
    )
    max_iter = number("Iteration limit", 1, 500, "tc_max_iter")
    shared.reset("tc_reset", DEFAULTS)

st.title("Two coins")
st.markdown(
    "**Whose heads are these?** A pocket holds two coins, A and B, with unknown probabilities of "
    "heads. Each trial draws one of them, tosses it a few times and notes the number of heads. "
    "Nobody notes which coin it was."
)
run = run_em(
    data,
    true_a,
    true_b,
    share_a,
    tosses,
    trials,
    data_seed,
    guess,
    start_a,
    start_b,
    guess_seed,
    hard,
    weights,
    float(tol),
    max_iter,
)
trace, sample = run["trace"], run["sample"]
final, n, last = trace.final.params, len(sample.data), trace.n_iter
objective = "Classification log-likelihood" if hard else "Log-likelihood"
truth = pd.DataFrame({"component": COINS, **sample.truth.arrays()})
given = attribute(run, tosses, last)[1].trials

gap = np.abs(final.heads_prob - sample.truth.heads_prob).max()
shared.status_line(trace, objective, gap, "heads probability")
if abs(final.heads_prob[0] - final.heads_prob[1]) < 1e-6 and given.min() > 0:
    st.warning(
        "Both coins ended at the same probability. This is a saddle: while the coins are equal, "
        "every trial is shared equally, and nothing can pull them apart. Start them apart, even "
        "by 0.01."
    )
if given.min() == 0:
    st.warning("One coin has no trials left, so it stays where it is. Start it closer to the data.")
if run["missed"] > 1e-3 * n:
    st.warning(
        f"This is a poor optimum: started from the truth, EM reaches {run['missed']:.3f} more. "
        "Try another start."
    )
if run["swapped"]:
    st.warning(
        "EM has given the coins each other’s names. The likelihood does not know the names, so "
        "both ways are right; here they are matched to the truth."
    )

at = st.slider("Iteration", 0, last, key="tc_iteration") if last else 0
step = trace.steps[at]
st.markdown(
    f"θ A {step.params.heads_prob[0]:.3f}, θ B {step.params.heads_prob[1]:.3f}, "
    f"{objective} {step.objective:,.4f}"
)
st.markdown("**Trials by number of heads, shared between the coins**")
st.altair_chart(
    picture(run, tosses, at),
    alt=f"{n} trials by number of heads. Each bar is divided by the responsibilities of coins A "
    "and B.",
)
st.caption(
    "Bars: trials, divided by responsibility. Solid line: trials expected under the current coins. "
    "Dashed line: under the true coins."
)
quantities = {"heads_prob": "Heads probability θ"}
if weights:
    quantities["weights"] = "Mixing weight π"
shared.convergence(run["steps"], truth, run["table"], quantities, "log-likelihood", at)
shared.iteration_table(run["table"], {"heads_prob": "%.3f", "weights": "%.3f"}, "tc")

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
row = min(number("E-step at iteration", 0, 499, "tc_row"), last)
table, sums, update = attribute(run, tosses, row)
st.dataframe(
    table.head(LISTED_TRIALS),
    hide_index=True,
    height=260,
    column_config={
        name: st.column_config.NumberColumn(format="%d" if i < 3 else "%.3f")
        for i, name in enumerate(table)
    },
    alt=f"Weights and attributed heads and tails of each trial at iteration {row}",
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
