"""Gaussian mixture in the plane: soft assignment of points, and ellipses that turn."""

import streamlit as st

from em_ui import sections
from em_ui.data import SIMULATED
from em_ui.sections import starts
from pages.mixture_in_the_plane.problem import (
    AXES,
    FULL,
    MAX_COMPONENTS,
    PUBLISHED,
    RINGS,
    ROUND,
    SPECS,
    TIED,
    TRUTH,
    TYPED,
    WORDS,
    problem,
    start_specs,
    to_be_found,
    too_many_labels,
    typed_columns,
)
from pages.mixture_in_the_plane.sections import ACROSS, SECTIONS, UP, axes_of, findings
from pages.mixture_in_the_plane.situations import MISCONCEPTIONS, SITUATIONS

ELLIPSES = {
    FULL: "Each component has an ellipse of its own, as wide, long and slanted as its points are.",
    TIED: "All components have the same ellipse.",
    AXES: "Each component has an ellipse of its own, which lies along the axes: no slant.",
    ROUND: "Each component has a circle of its own.",
}
COVARIANCES = {
    FULL: [r"\Sigma_k &= \frac{1}{N_k}\sum_i r_{ik}\,(x_i-\mu_k)(x_i-\mu_k)^\top"],
    TIED: [r"\Sigma_k = \Sigma &= \frac{1}{n}\sum_k\sum_i r_{ik}\,(x_i-\mu_k)(x_i-\mu_k)^\top"],
    AXES: [
        r"\Sigma_k &= \begin{pmatrix}\sigma_{k1}^2&0\\0&\sigma_{k2}^2\end{pmatrix}",
        r"\sigma_{kj}^2 &= \frac{1}{N_k}\sum_i r_{ik}\,(x_{ij}-\mu_{kj})^2",
    ],
    ROUND: [
        r"\Sigma_k &= \begin{pmatrix}\sigma_k^2&0\\0&\sigma_k^2\end{pmatrix}",
        r"\sigma_k^2 &= \frac{1}{2N_k}\sum_i r_{ik}\,\lVert x_i-\mu_k\rVert^2",
    ],
}

c = sections.controls_of(
    WORDS,
    SPECS,
    SITUATIONS,
    SECTIONS,
    truth=[name for name in SPECS if name.rstrip("12345678") in TRUTH],
    asked=[name for name in SPECS if name.rstrip("12345678") in ("x", "y")],
    across=ACROSS,
    up=UP,
    **starts.VIEW,
)
with c.sidebar():
    given = sections.data_of(c, PUBLISHED)
    chosen = c.settings()["data"]
    if chosen == RINGS:
        c.show_all("ring_size", "ring_noise", "data_seed", "student")
    elif chosen == SIMULATED:
        c.show("k")
        c.table("x", "y", "size", "sd_x", "sd_y", "corr", rows=c.settings()["k"])
        c.show_all("data_seed", "student")
    if given and too_many_labels(given):
        st.caption(
            f"There are {len(given.groups)} labels, more than a mixture here can have components "
            f"({MAX_COMPONENTS}), so they are not used."
        )
    c.group("Components", "find", "kind")
    c.group("Initial guess", "guess")
    find = to_be_found(c.settings(), given)
    if c.settings()["guess"] == TYPED:
        c.adapt(**start_specs(c.settings(), given, find))
        kind = c.settings()["kind"]
        c.table(*typed_columns(kind), rows=find)
        if kind == TIED:
            c.table("start_sd_x", "start_sd_y", "start_corr", rows=1)
    elif c.settings()["guess"] == starts.CHOSEN:
        starts.show(c, find)
    else:
        c.show_all("guess_seed", "start")
    starts.switch(c)
    c.group("Algorithm", "weights", "hard", "floor", "tol", "max_iter")

sections.opening(
    WORDS.title,
    "**Which clouds do these points come from?** Each point comes from one of a few normal "
    "distributions in the plane. Which one is not recorded, and neither are their means, their "
    "ellipses and their shares.",
)
run = sections.run_of(c, WORDS, problem)
caption = (
    "Each point blends the colours of the components by its responsibilities. Ellipses: one and "
    "two standard deviations. Click a point to see its calculation."
)
picture = sections.gaussians(c, run, title="Points shared between the components", **axes_of(run))
sections.play(
    c,
    run,
    picture,
    caption=caption,
    findings=findings(run),
    on_pick=lambda: starts.on_pick(c, run),
)
sections.results(c, run)

kind, hard = run.settings["kind"], run.problem.hard
sections.steps(
    [
        "**E-step.** How probable is each component, given the point $x_i$? These are its "
        "*responsibilities*, by Bayes’ rule:"
        if not hard
        else "**E-step, hard.** Which component is the likeliest for the point $x_i$? It gets the "
        "whole point: its *responsibility* is 1, and that of the others 0.",
        sections.displayed(
            r"r_{ik} = \begin{cases}1 & \text{if } k = \arg\max_j \pi_j\,"
            r"\mathcal N(x_i;\mu_j,\Sigma_j)\\0 & \text{otherwise}\end{cases}"
            if hard
            else r"r_{ik} = \frac{\pi_k\,\mathcal N(x_i;\mu_k,\Sigma_k)}"
            r"{\sum_j \pi_j\,\mathcal N(x_i;\mu_j,\Sigma_j)}"
        ),
        "The density falls with the squared distance, measured in the ellipse’s own units:",
        sections.displayed(
            r"\mathcal N(x;\mu,\Sigma) = \frac{1}{2\pi\sqrt{|\Sigma|}}"
            r"\,e^{-\frac12 (x-\mu)^\top\Sigma^{-1}(x-\mu)}"
        ),
    ],
    [
        "**M-step.** Mean, covariance and share of each component, every point counted by its "
        f"responsibility, with $N_k = \\sum_i r_{{ik}}$. {ELLIPSES[kind]}",
        sections.displayed(
            r"\mu_k &= \frac{1}{N_k}\sum_i r_{ik}\,x_i",
            *COVARIANCES[kind],
            r"\pi_k &= \frac{N_k}{n} \quad\text{if estimated}",
        ),
        *[
            "Where an ellipse would be narrower than the smallest width in some direction, it is "
            "widened to that, and in that direction only."
        ]
        * (run.settings["floor"] > 0),
    ],
    "Neither step can lower the classification log-likelihood, in which each point counts with its "
    r"likeliest component: $\sum_i \log \max_k \pi_k\,\mathcal N(x_i;\mu_k,\Sigma_k)$. The "
    "log-likelihood itself may fall."
    if hard
    else "The log-likelihood, which neither step can lower, is "
    r"$\ell = \sum_i \log \sum_k \pi_k\,\mathcal N(x_i;\mu_k,\Sigma_k)$.",
)
sections.more(c, run, MISCONCEPTIONS)
