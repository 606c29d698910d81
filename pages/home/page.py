"""Home: EM in miniature, the lessons, and what EM is for."""

import streamlit as st

from em_ui import sections
from em_ui.controls import Controls
from em_ui.pictures.miniature import miniature
from pages import LESSONS
from pages.home.example import recorded

A_ROW = 3  # cards

LOOP = """
flowchart TB
    G[Initial guess<br/>of the parameters] --> E
    E["E-step<br/>how probable is each group<br/>for each observation?"] --> M
    M["M-step<br/>maximum likelihood<br/>within the groups"] --> T
    T([Is there still<br/>something to gain?]) -- yes --> E
    T -- no --> R[Estimate]
"""
Controls("home", {})
sections.opening(
    "Understanding the EM algorithm",
    "The expectation-maximization (EM) algorithm estimates parameters when part of the data is "
    "hidden. Set up a situation, press play, and see why it moves as it does.",
)

miniature(recorded())

st.header("See it at work")
for first in range(0, len(LESSONS), A_ROW):
    row = enumerate(LESSONS[first : first + A_ROW], first + 1)
    for column, (number, lesson) in zip(st.columns(A_ROW), row, strict=False):
        box = column.container(border=True, height="stretch", key=f"home_card_{lesson.name}")
        box.page_link(lesson.page, label=f"**{number}. {lesson.title}**", icon=lesson.icon)
        box.caption(lesson.card)

sections.together(
    "## Why it is needed",
    sections.beside(
        [
            "### Maximum likelihood",
            "Take some data and a family of distributions. Choose the parameters that make the "
            "data most probable. For one bell curve this is easy: the best mean is the mean of the "
            "data.",
        ],
        [
            "### A hidden label",
            "Let the data be heights of men and women, and nobody noted who is who. The missing "
            "label is called a *latent variable*. With it, each group would be easy. Without it, "
            "there is no formula for the best parameters.",
        ],
        [
            "### A way round",
            "If we knew the parameters, we could say how probable each label is. If we knew the "
            "labels, we could estimate the parameters. EM starts from a guess and does both in "
            "turn.",
        ],
    ),
    "## The loop",
)
left, right = st.columns(2)
with left:
    st.mermaid_chart(
        LOOP,
        alt="The EM loop: from an initial guess to the E-step, the M-step and the convergence "
        "test; while there is something to gain it returns to the E-step, otherwise the estimate "
        "is done",
    )
with right:
    sections.together(
        "**When does it stop?** No round can lower the likelihood. When a round gains almost "
        "nothing, EM stops: that is the *convergence test*. It says no more than that. The climb "
        "may be over, or slow with a way still to go; and the hill may not be the highest.",
        "**Why several initial guesses?** EM goes uphill from where it starts, and there may be "
        "higher hills that it does not reach. So one starts from several guesses and compares the "
        "likelihoods of the answers. Different answers from different starts are not a fault.",
    )

st.caption(
    "After Clarice Wang, “Understanding the EM Algorithm by Examples (with code and "
    "visualization)”, 2022. EM: Dempster, Laird and Rubin, Journal of the Royal Statistical "
    "Society B 39, 1977."
)
