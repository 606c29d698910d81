"""Two coins: a binomial mixture, with every trial's share in each coin."""

import numpy as np
import streamlit as st

from em_ui.controls import page as controls
from em_ui.controls.page import Controls
from em_ui.pictures import charts
from em_ui.sections import sections, teacher
from em_ui.sections.sections import Drawing, Objective, Quantity
from pages.two_coins.sections import (
    MISCONCEPTIONS,
    SECTIONS,
    SIMULATED,
    SITUATIONS,
    SPECS,
    TYPED,
    compute,
    draw_attribution,
    findings,
)


def pick() -> None:
    heads = charts.picked("tc_picture", "label")
    if heads is not None:
        trials = np.flatnonzero(run.problem.sample.data == int(heads))
        if len(trials):
            c.set("observation", int(trials[0]) + 1)


c = Controls(
    "tc",
    SPECS,
    SITUATIONS,
    truth=("true_a", "true_b", "share_a"),
    view=controls.view("Trial", SECTIONS),
)
with st.sidebar:
    situation = c.situation()
    st.subheader("Truth and data")
    if c.show("data") == SIMULATED:
        c.show_all("true_a", "true_b", "share_a", "tosses", "trials", "data_seed", "student")
    st.subheader("Initial guess")
    c.show_all(*(("start_a", "start_b") if c.show("guess") == TYPED else ("guess_seed", "start")))
    st.subheader("Algorithm")
    c.show_all("hard", "weights", "tol", "max_iter")
    settings = c.settings()
    c.footer()

st.title("Two coins")
st.markdown(
    "**Whose heads are these?** A pocket holds two coins, A and B, with unknown probabilities of "
    "heads. Each trial draws one of them, tosses it a few times and notes the number of heads. "
    "Nobody notes which coin it was."
)
coins = compute(settings)
run, n = coins.run, len(coins.run.problem.sample.data)
objective = Objective("Classification log-likelihood" if settings["hard"] else "Log-likelihood")
quantities = {"heads_prob": Quantity("Heads probability", "θ", ".3f")}
if settings["weights"]:
    quantities["weights"] = Quantity("Mixing weight", "π", ".3f")

outlines = (
    " Dashed: under the true coins. Dotted: with the coins known."
    if run.problem.truth_known
    else " Dashed and dotted: with the coins known."
)
sections.question(situation)
found = findings(run, settings)
sections.explore(
    c,
    run,
    quantities,
    objective,
    Drawing(
        "Trials by number of heads, shared between the coins",
        charts.shares("Heads", "Trials", "Coin", truth=not c.sealed),
        {"bars": coins.bars, "expected": coins.expected}
        | ({} if c.sealed else {"truth": coins.by_truth, "labelled": coins.by_labels}),
        f"{sections.count(n, 'trial')} by number of heads. Each bar is divided by the "
        "responsibilities of coins A and B.",
    ),
    caption="Bars: trials, divided by responsibility; click one to take its first trial by hand. "
    "Solid line: trials expected under the current coins." + ("" if c.sealed else outlines),
    on_pick=pick,
    distance="heads probability",
)
with sections.afterwards(c, "advice"):
    sections.advice(found, situation)
sections.answer(situation, found)
with sections.afterwards(c, "end", instead=sections.UNTIL_THEN):
    sections.iteration_table(c, run, quantities)
    if not c.sealed:
        sections.references(run, quantities)
teacher.quiz(c, run, "Heads probability", scale=0.1)

st.header("The two steps")
st.markdown(
    "**E-step.** How probable is each coin, given the $h_i$ heads of trial $i$ in $m$ tosses? "
    "Bayes’ rule gives the *responsibilities*, the trial’s weights; the sum is over both coins:"
)
st.latex(
    r"w_{ik} = \frac{\pi_k\,\theta_k^{h_i}(1-\theta_k)^{m-h_i}}"
    r"{\sum_j \pi_j\,\theta_j^{h_i}(1-\theta_j)^{m-h_i}}"
)
st.markdown(
    "**M-step.** Share out the heads and tails by the weights, add them up, and take heads over "
    "tosses:"
)
sections.formula(
    [
        r"\theta_k &= \frac{\sum_i w_{ik}\,h_i}{\sum_i w_{ik}\,m}",
        r"\pi_k &= \frac{1}{n}\sum_i w_{ik} \quad\text{if estimated}",
    ]
)
st.markdown(
    "K-Means gives each point wholly to one cluster; here a trial is shared. *Hard assignment* in "
    "the sidebar makes the larger weight 1 and the other 0, on the same data."
)
draw_attribution(c, run, settings)

sections.optional(c, run, settings, objective, SECTIONS)
sections.misconceptions(*MISCONCEPTIONS)
