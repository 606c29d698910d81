"""Two coins: a binomial mixture, with every trial's share in each coin."""

import streamlit as st

from em_ui import sections
from pages.two_coins.problem import SIMULATED, SPECS, TYPED, WORDS, problem
from pages.two_coins.sections import SECTIONS, findings
from pages.two_coins.situations import MISCONCEPTIONS, SITUATIONS

TRUTH = ("true_a", "true_b", "share_a")
c = sections.controls_of(WORDS, SPECS, SITUATIONS, SECTIONS, truth=TRUTH, asked=TRUTH[:2])
with c.sidebar():
    c.group("Truth and data", "data")
    if c.settings()["data"] == SIMULATED:
        c.show_all(*TRUTH, "tosses", "trials", "data_seed", "student")
    c.group("Initial guess", "guess")
    typed = c.settings()["guess"] == TYPED
    c.show_all(*(("start_a", "start_b") if typed else ("guess_seed", "start")))
    c.group("Algorithm", "hard", "weights", "tol", "max_iter")

tosses = c.settings()["tosses"]

st.title("Two coins")
st.markdown(
    "**Whose heads are these?** A pocket holds two coins, A and B, with unknown probabilities of "
    f"heads. Each trial draws one of them, tosses it {'once' if tosses == 1 else f'{tosses} times'}"
    " and notes the number of heads. Nobody notes which coin it was."
)
run = sections.run_of(c, WORDS, problem)
caption = (
    "Bars: trials, divided by responsibility. Click a bar to see the calculation for its first "
    "trial. Solid line: trials expected under the current coins."
)
if sections.compares(c, run):
    caption += " Dashed: under the true coins." * run.problem.truth_known
    caption += " Dotted: with the coins known."
title = "Trials by number of heads, shared between the coins"
picture = sections.outcomes(c, run, tosses + 1, title=title, outcome="Heads")
told = findings(run, compares=sections.compares(c, run))
sections.play(c, run, picture, caption=caption, findings=told)
sections.results(c, run)

st.header("The two steps")
st.markdown(
    "**E-step.** How probable is each coin, given the $h_i$ heads of trial $i$ in $m$ tosses? "
    "Bayes’ rule gives the *responsibilities*; the sum is over both coins, and "
    "$\\pi_k$ is a coin’s *mixing weight*, how probable it is before one looks:"
)
st.latex(
    r"r_{ik} = \frac{\pi_k\,\theta_k^{h_i}(1-\theta_k)^{m-h_i}}"
    r"{\sum_j \pi_j\,\theta_j^{h_i}(1-\theta_j)^{m-h_i}}"
)
st.markdown(
    "**M-step.** Share out the heads and tails by responsibility, add them up, and take heads over "
    "tosses:"
)
sections.formula([r"\theta_k &= \frac{\sum_i r_{ik}\,h_i}{\sum_i r_{ik}\,m}"])
if run.settings["weights"]:
    st.markdown("The mixing weights are estimated too, as each coin’s part of the $n$ trials:")
    sections.formula([r"\pi_k &= \frac{1}{n}\sum_i r_{ik}"])
else:
    st.markdown(r"The mixing weights are not estimated here: they stay $\pi_A = \pi_B = \tfrac12$.")
st.markdown(
    "*Hard assignment* is on: after Bayes’ rule the larger responsibility becomes 1 and the other "
    "0, so each trial goes wholly to one coin, as in K-Means."
    if run.problem.hard
    else "K-Means gives each point wholly to one cluster; here a trial is shared. *Hard "
    "assignment* in the sidebar makes the larger responsibility 1 and the other 0."
)

sections.more(c, run, MISCONCEPTIONS)
