"""Two coins: a binomial mixture, with every trial's share in each coin."""

import contextlib

import streamlit as st

from em_ui import data, sections
from pages.two_coins import picture
from pages.two_coins.problem import (
    PUBLISHED,
    SPECS,
    TYPED,
    WORDS,
    fitting,
    of_labels,
    problem,
    trials,
)
from pages.two_coins.sections import SECTIONS, findings
from pages.two_coins.situations import MISCONCEPTIONS, SITUATIONS

TRUTH = ("true_a", "true_b", "share_a")
c = sections.controls_of(WORDS, SPECS, SITUATIONS, SECTIONS, truth=TRUTH, asked=TRUTH[:2])
tosses: int | None = None
with c.sidebar():
    given = sections.data_of(c, PUBLISHED)
    if given is None and c.settings()["data"] == data.SIMULATED:
        c.show_all(*TRUTH, "tosses", "trials", "data_seed", "student")
        tosses = c.settings()["tosses"]
    if given is not None:
        if len(given.columns) == 1:
            c.show("tosses")
        if of_labels(given):
            st.caption(of_labels(given))
        with contextlib.suppress(ValueError):  # which is said where the run would be
            read = trials(given, c.settings())
            tosses = read.n_tosses
            if c.settings()["data"] == data.OWN:
                c.adapt(**fitting(read))
    c.group("Initial guess", "guess")
    typed = c.settings()["guess"] == TYPED
    c.show_all(*(("start_a", "start_b") if typed else ("guess_seed", "start")))
    c.group("Algorithm", "hard", "weights", "tol", "max_iter")

times = "a number of times" if tosses is None else "once" if tosses == 1 else f"{tosses:,} times"

sections.opening(
    "Two coins",
    "**Whose heads are these?** A pocket holds two coins, A and B, with unknown probabilities of "
    f"heads. Each trial draws one of them, tosses it {times} and notes the number of heads. Nobody "
    "notes which coin it was.",
)
run = sections.run_of(c, WORDS, problem)
sections.play(
    c,
    run,
    picture.picture(c, run),
    caption=picture.caption(run),
    findings=findings(run, compares=sections.compares(c, run)),
    on_pick=lambda: picture.pick(c, run),
)
sections.results(c, run)

m = "m" if run.problem.mixture.n_tosses else "m_i"
sections.steps(
    [
        f"**E-step.** How probable is each coin, given the $h_i$ heads of trial $i$ in ${m}$ "
        "tosses? Bayes’ rule gives the *responsibilities*; the sum is over both coins, and "
        "$\\pi_k$ is a coin’s *mixing weight*, how probable it is before one looks:",
        sections.displayed(
            rf"r_{{ik}} = \frac{{\pi_k\,\theta_k^{{h_i}}(1-\theta_k)^{{{m}-h_i}}}}"
            rf"{{\sum_j \pi_j\,\theta_j^{{h_i}}(1-\theta_j)^{{{m}-h_i}}}}"
        ),
    ],
    [
        "**M-step.** Share out the heads and tails by responsibility, add them up, and take heads "
        "over tosses:",
        sections.displayed(rf"\theta_k = \frac{{\sum_i r_{{ik}}\,h_i}}{{\sum_i r_{{ik}}\,{m}}}"),
        *(
            [
                "The mixing weights are estimated too, as each coin’s part of the $n$ trials:",
                sections.displayed(r"\pi_k = \frac{1}{n}\sum_i r_{ik}"),
            ]
            if run.settings["weights"]
            else [
                "The mixing weights are not estimated here: they stay "
                r"$\pi_A = \pi_B = \tfrac12$."
            ]
        ),
    ],
    "*Hard assignment* is on: after Bayes’ rule the larger responsibility becomes 1 and the other "
    "0, so each trial goes wholly to one coin, as in K-Means."
    if run.problem.hard
    else "K-Means gives each point wholly to one cluster; here a trial is shared. *Hard "
    "assignment* in the sidebar makes the larger responsibility 1 and the other 0.",
)
sections.more(c, run, MISCONCEPTIONS)
