"""Gaussian mixture: soft assignment of numbers on a line."""

import streamlit as st

from em_ui import data, sections
from em_ui.controls import Number
from pages.gaussian_mixture.problem import (
    COMMON,
    KINDS,
    KNOWN,
    MAX_COMPONENTS,
    PUBLISHED,
    SPECS,
    TYPED,
    WHOLE,
    WORDS,
    axis_title,
    components,
    fitting,
    for_any_number,
    problem,
    too_many_labels,
    why_not_whole,
)
from pages.gaussian_mixture.sections import SECTIONS, estimated, findings, formulas
from pages.gaussian_mixture.situations import MISCONCEPTIONS, SITUATIONS

STILLS = (0, 5, 20)  # the article's figure, where the run is no longer than that

c = sections.controls_of(
    WORDS,
    SPECS,
    SITUATIONS,
    SECTIONS,
    truth=[f"{f}{i}" for f in ("mean", "sd", "size") for i in range(1, MAX_COMPONENTS + 1)],
    asked=[f"mean{i}" for i in range(1, MAX_COMPONENTS + 1)],
    across=Number("Component across", 1, 1, MAX_COMPONENTS, 1),
    up=Number("Component upwards", 2, 1, MAX_COMPONENTS, 1),
)
with c.sidebar():
    given = sections.data_of(c, PUBLISHED)
    if given is None and c.settings()["data"] == data.SIMULATED:
        c.show("k")
        c.table("mean", "sd", "size", rows=c.settings()["k"])
        c.show_all("data_seed", "student")
    if given and too_many_labels(given):
        st.caption(too_many_labels(given))
    st.header("Initial guess")
    if given:
        c.adapt(**for_any_number(given))
    c.show_all("find", "stds")
    find, stds = components(c.settings(), given), c.settings()["stds"]
    c.adapt(**fitting(None if given is None else given.values[:, 0], find, KINDS[stds]))
    c.show("guess")
    if c.settings()["guess"] == TYPED:
        c.table("start_mean", *["start_sd"] * (stds != COMMON), rows=find)
        if stds == COMMON:
            c.table("start_sd", rows=1)
    else:
        if given and c.settings()["guess"] == WHOLE:
            st.caption(why_not_whole(given.values[:, 0]))
        c.show_all("guess_seed", "start")
        if stds == KNOWN:
            c.table("start_sd", rows=find)
    c.group("Algorithm", "weights", "hard", *["floor"] * (stds != KNOWN), "tol", "max_iter")

sections.opening(
    "Gaussian mixture",
    "**Which bell curves are these numbers drawn from?** Each value comes from one of a few normal "
    "distributions. Which one is not recorded, and neither are their means"
    f"{'' if stds == KNOWN else ', standard deviations'} and shares.",
)
run = sections.run_of(c, WORDS, problem)
caption = (
    "Bars: values, divided by responsibility. Click a bar to see the calculation for one of its "
    "values. Coloured lines: components. Pink line: their sum."
)
caption = f"{caption} {sections.beyond(run)}".rstrip()
picture = sections.histogram(c, run, value=axis_title(given))
told = findings(run, compares=sections.compares(c, run))
sections.play(c, run, picture, caption=caption, findings=told)
last = run.frames.last
stills = STILLS if last <= max(STILLS) else (0, last // 2, last)
sections.results(
    c,
    run,
    moments=lambda: sections.stills(c, run, stills, value=axis_title(given)),
    heading="The guess, and later moments",
)

sections.steps(
    [
        "**E-step.** How probable is each component, given the value $x_i$? These are its "
        "*responsibilities*, by Bayes’ rule:"
        if not run.problem.hard
        else "**E-step, hard.** Which component is the likeliest for the value $x_i$? It gets the "
        "whole value: its *responsibility* is 1, and that of the others 0.",
        sections.displayed(
            r"r_{ik} = \begin{cases}1 & \text{if } k = \arg\max_j \pi_j\,"
            r"\mathcal N(x_i;\mu_j,\sigma_j^2)\\0 & \text{otherwise}\end{cases}"
            if run.problem.hard
            else r"r_{ik} = \frac{\pi_k\,\mathcal N(x_i;\mu_k,\sigma_k^2)}"
            r"{\sum_j \pi_j\,\mathcal N(x_i;\mu_j,\sigma_j^2)}"
        ),
        sections.displayed(
            r"\mathcal N(x;\mu,\sigma^2) = \frac{1}{\sigma\sqrt{2\pi}}"
            r"\,e^{-\frac{(x-\mu)^2}{2\sigma^2}}"
        ),
    ],
    [
        f"**M-step.** {estimated(run)} of each component, every value counted by its "
        "responsibility, with $N_k = \\sum_i r_{ik}$:",
        sections.displayed(*formulas(run)),
    ],
    "Neither step can lower the classification log-likelihood, in which each value counts with its "
    r"likeliest component: $\sum_i \log \max_k \pi_k\,\mathcal N(x_i;\mu_k,\sigma_k^2)$. The "
    "log-likelihood itself may fall."
    if run.problem.hard
    else "The log-likelihood, which neither step can lower, is "
    r"$\ell = \sum_i \log \sum_k \pi_k\,\mathcal N(x_i;\mu_k,\sigma_k^2)$.",
)
sections.more(c, run, MISCONCEPTIONS)
