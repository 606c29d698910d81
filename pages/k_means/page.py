"""K-Means: the same loop as EM, with winner-takes-all assignment."""

import streamlit as st

from em_ui import sections
from em_ui.data import SIMULATED
from em_ui.sections import starts
from pages.k_means.problem import (
    ACROSS,
    PUBLISHED,
    SPECS,
    TYPED,
    UP,
    WORDS,
    find_as_told,
    guess_options,
    problem,
    to_look_for,
    typed_starts,
)
from pages.k_means.sections import (
    SECTIONS,
    caption_of,
    columns_shown,
    findings,
    mistaken,
    same_units,
)
from pages.k_means.situations import MISCONCEPTIONS, SITUATIONS

TRUTH = ("spread", "rest_size", "rest_spread")
c = sections.controls_of(
    WORDS,
    SPECS,
    SITUATIONS,
    SECTIONS,
    truth=TRUTH,
    **starts.VIEW,
    across=ACROSS,
    up=UP,
)
with c.sidebar():
    given = sections.data_of(c, PUBLISHED)
    if given is None and c.settings()["data"] == SIMULATED:
        c.show_all("k", "size", "spread")
        if c.settings()["k"] > 1:
            c.show_all("rest_size", "rest_spread")
        c.show_all("data_seed", "student")
    axes = columns_shown(c, given)
    c.adapt(find=find_as_told(given), guess=guess_options(given))
    c.group("Initial guess", "find", "guess")
    find = to_look_for(c.settings(), given)
    if c.settings()["guess"] == TYPED:
        c.adapt(**typed_starts(given, find))
        c.table("start_x", "start_y", rows=find)
    elif c.settings()["guess"] == starts.CHOSEN:
        starts.show(c, find)
    else:
        c.show_all("guess_seed", "start")
    starts.switch(c)
    c.group("Algorithm", "tol", "max_iter")

sections.opening(
    "K-Means",
    "**Which points belong together?** Each point comes from one of a few clusters, scattered "
    "around its centre. Neither the centres nor the memberships are known; each would be easy to "
    "find if one had the other."
    if given is None
    else "**Which points belong together?** K-Means divides them into as many clusters as it is "
    "asked for, whether they are there or not, each around its centroid. The memberships would be "
    "easy to find if one had the centroids, and these if one had the memberships.",
)
run = sections.run_of(c, WORDS, problem)
title = "Points in the colour and shape of their nearest centroid"
picture = sections.plane(c, run, title=title, axes=axes, same_units=same_units(run))
# A point has a row for each stay in a cluster.
drawn = len(picture.datasets["points"]["observation"].unique())
sections.play(
    c,
    run,
    picture,
    caption=caption_of(c, run, drawn, axes),
    findings=findings(run),
    on_pick=lambda: starts.on_pick(c, run),
)
told = mistaken(c, run, given)
if told:
    st.markdown(told)
sections.results(c, run)

sections.steps(
    [
        "**E-step.** Give each point $x_i$ wholly to the nearest centroid. Its *responsibility* "
        "is 1 there and 0 elsewhere:",
        sections.displayed(
            r"r_{ik} = \begin{cases}1 & \text{if } k = \arg\min_j \lVert x_i - c_j\rVert^2\\"
            r"0 & \text{otherwise}\end{cases}"
        ),
    ],
    [
        "**M-step.** Move each centroid to the mean of its points:",
        sections.displayed(r"c_k = \frac{\sum_i r_{ik}\, x_i}{\sum_i r_{ik}}"),
    ],
    "Neither step can raise the *inertia*, the summed squared distance of the points from their "
    "centroids. There are finitely many assignments, so the loop ends: when no point changes "
    "sides, no centroid moves. Where it ends depends on the start.\n\n"
    + sections.displayed(r"J = \sum_i \sum_k r_{ik} \lVert x_i - c_k \rVert^2"),
)
sections.more(c, run, MISCONCEPTIONS)
