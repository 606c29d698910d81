"""K-Means: the same loop as EM, with winner-takes-all assignment."""

import streamlit as st

from em_ui import sections
from em_ui.sections import starts
from pages.k_means.problem import SPECS, TYPED, WORDS, problem
from pages.k_means.sections import SECTIONS, findings
from pages.k_means.situations import MISCONCEPTIONS, SITUATIONS

TRUTH = ("spread", "rest_size", "rest_spread")
c = sections.controls_of(WORDS, SPECS, SITUATIONS, SECTIONS, truth=TRUTH, **starts.VIEW)
with c.sidebar():
    c.group("Truth and data", "k", "size", "spread")
    if c.settings()["k"] > 1:
        c.show_all("rest_size", "rest_spread")
    c.show_all("data_seed", "student")
    c.group("Initial guess", "find", "guess")
    find = c.settings()["find"] or c.settings()["k"]
    if c.settings()["guess"] == TYPED:
        for k in range(1, find + 1):
            c.show_beside(f"start_x{k}", f"start_y{k}")
    elif c.settings()["guess"] == starts.CHOSEN:
        starts.show(c, find)
    else:
        c.show_all("guess_seed", "start")
    starts.switch(c)
    c.group("Algorithm", "tol", "max_iter")

st.title("K-Means")
st.markdown(
    "**Which points belong together?** Each point comes from one of a few clusters, scattered "
    "around its centre. Neither the centres nor the memberships are known; each would be easy to "
    "find if one had the other."
)
run = sections.run_of(c, WORDS, problem)
picture = sections.plane(c, run, title="Points in the colour and shape of their nearest centroid")
# A point has a row for each stay in a cluster.
drawn, n = len(picture.datasets["points"]["observation"].unique()), run.problem.n
caption = (
    "Large marks: centroids, with their paths. Outlined: points that have just changed sides. "
    "Click a point to see its calculation."
)
if sections.compares(c, run):
    caption += " Grey crosses: true centres; upright, the means of the true clusters."
if drawn < n:
    caption += f" Drawn: a fixed random sample of {drawn:,} of the {n:,} points; the fit uses all."
sections.play(
    c,
    run,
    picture,
    caption=caption,
    findings=findings(run),
    on_pick=lambda: starts.on_pick(c, run),
)
sections.results(c, run)

st.header("The two steps")
left, right = st.columns(2)
with left:
    st.markdown(
        "**E-step.** Give each point $x_i$ wholly to the nearest centroid. Its *responsibility* "
        "is 1 there and 0 elsewhere:"
    )
    st.latex(
        r"r_{ik} = \begin{cases}1 & \text{if } k = \arg\min_j \lVert x_i - c_j\rVert^2\\"
        r"0 & \text{otherwise}\end{cases}"
    )
with right:
    st.markdown("**M-step.** Move each centroid to the mean of its points:")
    st.latex(r"c_k = \frac{\sum_i r_{ik}\, x_i}{\sum_i r_{ik}}")
st.markdown(
    "Neither step can raise the *inertia*, the summed squared distance of the points from their "
    "centroids. There are finitely many assignments, so the loop ends: when no point changes "
    "sides, no centroid moves. Where it ends depends on the start."
)
st.latex(r"J = \sum_i \sum_k r_{ik} \lVert x_i - c_k \rVert^2")
sections.more(c, run, MISCONCEPTIONS)
