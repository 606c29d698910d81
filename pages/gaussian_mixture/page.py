"""Gaussian mixture: soft assignment of numbers on a line."""

import numpy as np
import streamlit as st

from em_ui.controls import page as controls
from em_ui.controls.page import Controls, Number
from em_ui.pictures import charts
from em_ui.sections import sections, teacher
from em_ui.sections.sections import Drawing, Objective
from pages.gaussian_mixture.sections import (
    MAX_COMPONENTS,
    MISCONCEPTIONS,
    QUANTITIES,
    SECTIONS,
    SITUATIONS,
    SPECS,
    TYPED,
    compute,
    findings,
)


def pick() -> None:
    middle = charts.picked("gm_picture", "label")
    if middle is not None:
        nearest = np.abs(run.problem.sample.data - float(middle)).argmin()
        c.set("observation", int(nearest) + 1)


c = Controls(
    "gm",
    SPECS,
    SITUATIONS,
    truth=[f"{f}{i}" for f in ("mean", "sd", "size") for i in range(1, MAX_COMPONENTS + 1)],
    view={
        **controls.view("Value", SECTIONS),
        "across": Number("Component across", 1, 1, MAX_COMPONENTS, 1),
        "up": Number("Component upwards", 2, 1, MAX_COMPONENTS, 1),
    },
)
with st.sidebar:
    situation = c.situation()
    st.subheader("Truth and data")
    c.show("k")
    for i in range(1, c.settings()["k"] + 1):
        if c.sealed:
            break
        for column, field in zip(st.columns(3), ("mean", "sd", "size"), strict=True):
            with column:
                c.show(f"{field}{i}")
    c.show_all("data_seed", "student")
    st.subheader("Initial guess")
    find = c.show("find") or c.settings()["k"]
    if c.show("guess") == TYPED:
        for i in range(1, find + 1):
            for column, field in zip(st.columns(2), ("start_mean", "start_sd"), strict=True):
                with column:
                    c.show(f"{field}{i}")
    else:
        c.show_all("guess_seed", "start")
    st.subheader("Algorithm")
    c.show_all("weights", "hard", "floor", "tol", "max_iter")
    settings = c.settings()
    c.footer()

st.title("Gaussian mixture")
st.markdown(
    "**Which bell curves are these numbers drawn from?** Each value comes from one of a few normal "
    "distributions. Which one is not recorded, and neither are their means, standard deviations "
    "and shares."
)
mixture = compute(settings)
run, n = mixture.run, len(mixture.run.problem.sample.data)
objective = Objective("Classification log-likelihood" if settings["hard"] else "Log-likelihood")
quantities = {f: q for f, q in QUANTITIES.items() if f != "weights" or settings["weights"]}

sections.question(situation)
found = findings(run, settings)
sections.explore(
    c,
    run,
    quantities,
    objective,
    Drawing(
        "Histogram shared between the components, and their densities",
        charts.densities("Value", "Component", truth=not c.sealed),
        {"bars": mixture.bars, "steps": mixture.steps} | ({} if c.sealed else mixture.references),
        f"Histogram of {sections.count(n, 'value')}, each bar divided by responsibility, with the "
        f"density of each of {sections.count(find, 'component')} and their sum"
        + ("" if c.sealed else ", and the true density"),
    ),
    caption="Bars: values, divided by responsibility; click one to take a value by hand. Coloured "
    "lines: components. Pink line: their sum."
    + ("" if c.sealed else " Dashed: the truth. Dotted: with the labels known."),
    on_pick=pick,
    distance="mean",
)
with sections.afterwards(c, "advice"):
    sections.advice(found, situation)
sections.answer(situation, found)

with sections.afterwards(c, "end", instead=sections.UNTIL_THEN):
    st.header("The guess, and two later moments")
    sections.in_row(
        [
            Drawing(
                "Initial guess" if at == 0 else f"After {sections.count(at, 'iteration')}",
                charts.densities("Value", "Component", bound=False, truth=not c.sealed),
                mixture.stills[at] | ({} if c.sealed else mixture.references),
                "Histogram, component densities and their sum "
                + (
                    "at the initial guess"
                    if at == 0
                    else f"after {sections.count(at, 'iteration')}"
                ),
            )
            for at in mixture.stills
        ],
        key="gm_stills",
    )
    sections.iteration_table(c, run, QUANTITIES)
    if not c.sealed:
        sections.references(run, quantities)
teacher.quiz(c, run, "Mean", scale=0.1 * float(run.problem.sample.data.std()))

st.header("The two steps")
left, right = st.columns(2)
with left:
    st.markdown(
        "**E-step.** How probable is each component, given the value $x_i$? These are its "
        "*responsibilities*, by Bayes’ rule:"
    )
    st.latex(
        r"r_{ik} = \frac{\pi_k\,\mathcal N(x_i;\mu_k,\sigma_k^2)}"
        r"{\sum_j \pi_j\,\mathcal N(x_i;\mu_j,\sigma_j^2)}"
    )
    st.latex(
        r"\mathcal N(x;\mu,\sigma^2) = \frac{1}{\sigma\sqrt{2\pi}}"
        r"\,e^{-\frac{(x-\mu)^2}{2\sigma^2}}"
    )
with right:
    st.markdown(
        "**M-step.** Mean, standard deviation and share of each component, every value counted by "
        "its responsibility, with $N_k = \\sum_i r_{ik}$:"
    )
    sections.formula(
        [
            r"\mu_k &= \frac{1}{N_k}\sum_i r_{ik}\,x_i",
            r"\sigma_k^2 &= \frac{1}{N_k}\sum_i r_{ik}\,(x_i-\mu_k)^2",
            r"\pi_k &= \frac{N_k}{n} \quad\text{if estimated}",
        ]
    )
st.markdown(
    "The log-likelihood, which neither step can lower, is "
    r"$\ell = \sum_i \log \sum_k \pi_k\,\mathcal N(x_i;\mu_k,\sigma_k^2)$."
)
sections.optional(c, run, settings, objective, SECTIONS)
sections.misconceptions(*MISCONCEPTIONS)
