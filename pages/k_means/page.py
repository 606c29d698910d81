"""K-Means: the same loop as EM, with winner-takes-all assignment."""

import streamlit as st

from em_ui.controls import page as controls
from em_ui.controls.page import Controls
from em_ui.pictures import charts
from em_ui.sections import sections, teacher
from em_ui.sections.sections import Drawing, Objective
from pages.k_means.sections import (
    MISCONCEPTIONS,
    SECTIONS,
    SITUATIONS,
    SPECS,
    TYPED,
    compute,
    findings,
)


def pick() -> None:
    point = charts.picked("km_picture", "observation")
    if point is not None:
        c.set("observation", int(point))


c = Controls("km", SPECS, SITUATIONS, truth=("spread",), view=controls.view("Point", SECTIONS))
with st.sidebar:
    situation = c.situation()
    st.subheader("Truth and data")
    c.show_all("k", "size", "spread")
    if c.settings()["k"] > 1:
        c.show_all("rest_size", "rest_spread")
    c.show_all("data_seed", "student")
    st.subheader("Initial guess")
    find = c.show("find") or c.settings()["k"]
    if c.show("guess") == TYPED:
        for k in range(1, find + 1):
            for column, axis in zip(st.columns(2), "xy", strict=True):
                with column:
                    c.show(f"start_{axis}{k}")
    else:
        c.show_all("guess_seed", "start")
    st.subheader("Algorithm")
    c.show_all("tol", "max_iter")
    settings = c.settings()
    c.footer()

st.title("K-Means")
st.markdown(
    "**Which points belong together?** Each point comes from one of a few clusters, scattered "
    "around its centre. Neither the centres nor the memberships are known; each would be easy to "
    "find if one had the other."
)
clusters = compute(settings)
run, n = clusters.run, len(clusters.run.problem.sample.data)
objective = Objective("Inertia", sign=-1)

sections.question(situation)
found = findings(run, settings)
sections.explore(
    c,
    run,
    {},
    objective,
    Drawing(
        "Points in the colour and shape of their nearest centroid",
        charts.scatter(truth=not c.sealed),
        {"points": clusters.points, "frame": clusters.frame, "steps": run.frames.steps}
        | ({} if c.sealed else {"truth": run.frames.truth, "labelled": run.frames.labelled}),
        f"{sections.count(len(clusters.points), 'point')} in {sections.count(find, 'cluster')}, "
        "with the paths of the centroids from the initial guess"
        + ("" if c.sealed else ", and the true centres as crosses"),
    ),
    caption="Large marks: centroids, with their paths. Click a point to take it by hand."
    + ("" if c.sealed else " Grey crosses: true centres; upright, the means of the true clusters.")
    + (
        f" Drawn: a fixed random sample of {len(clusters.points):,} of the {n:,} points; the fit "
        "uses all."
        if len(clusters.points) < n
        else ""
    ),
    on_pick=pick,
    distance="centroid",
    extra=[
        Drawing(
            "How far each centroid moved",
            charts.movement("Distance moved"),
            {"steps": run.frames.steps},
            "Distance that each centroid moved in each iteration played so far",
        )
    ],
)
with sections.afterwards(c, "advice"):
    sections.advice(found, situation)
sections.answer(situation, found)
with sections.afterwards(c, "end", instead=sections.UNTIL_THEN):
    sections.iteration_table(c, run, {})
    if not c.sealed:
        sections.references(run, {})
teacher.quiz(c, run, "Centre", scale=0.1 * float(run.problem.sample.data.std()))

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
sections.optional(c, run, settings, objective, SECTIONS)
sections.misconceptions(*MISCONCEPTIONS)
