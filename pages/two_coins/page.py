"""Two coins: a binomial mixture, with every trial's share in each coin."""

import streamlit as st

from em_ui import sections
from pages.two_coins.problem import SIMULATED, SPECS, TYPED, WORDS, problem
from pages.two_coins.sections import SECTIONS, draw_attribution, findings
from pages.two_coins.situations import MISCONCEPTIONS, SITUATIONS

TRUTH = ("true_a", "true_b", "share_a")
c = sections.controls_of(WORDS, SPECS, SITUATIONS, SECTIONS, truth=TRUTH)
with c.sidebar():
    c.group("Truth and data", "data")
    if c.settings()["data"] == SIMULATED:
        c.show_all(*TRUTH, "tosses", "trials", "data_seed", "student")
    c.group("Initial guess", "guess")
    typed = c.settings()["guess"] == TYPED
    c.show_all(*(("start_a", "start_b") if typed else ("guess_seed", "start")))
    c.group("Algorithm", "hard", "weights", "tol", "max_iter")

st.title("Two coins")
st.markdown(
    "**Whose heads are these?** A pocket holds two coins, A and B, with unknown probabilities of "
    "heads. Each trial draws one of them, tosses it a few times and notes the number of heads. "
    "Nobody notes which coin it was."
)
run = sections.run_of(c, WORDS, problem)
caption = (
    "Bars: trials, divided by responsibility; click one to take its first trial by hand. Solid "
    "line: trials expected under the current coins."
)
if sections.compares(c, run):
    caption += (
        " Dashed: under the true coins. Dotted: with the coins known."
        if run.problem.truth_known
        else " Dashed and dotted: with the coins known."
    )
title = "Trials by number of heads, shared between the coins"
picture = sections.outcomes(c, run, run.settings["tosses"] + 1, title=title, outcome="Heads")
sections.play(c, run, picture, caption=caption, findings=findings(run))
sections.results(c, run)

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
draw_attribution(c, run)

sections.more(c, run, MISCONCEPTIONS)
