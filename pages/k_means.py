"""K-Means: the same loop as EM, with winner-takes-all assignment."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from em_core import KMeans, KMeansParams
from em_core.kmeans import guess_from_points, guess_plus_plus, guess_uniform, simulate
from em_ui import charts, controls, frames, sections
from em_ui.compute import DATA, DRAWING, GUESS, Run, cached_run, run_em, stream
from em_ui.controls import Choice, Controls, Number
from em_ui.sections import Drawing, Objective

MAX_CLUSTERS = 8
NAMES = tuple("12345678")
TYPED = "Typed in"
GUESSES = {
    "Random data points": guess_from_points,
    "k-means++": guess_plus_plus,
    "Random places": guess_uniform,
}
POOR = 1.001  # inertia over that of a run from the truth

SPECS = {
    "k": Number("Clusters", 3, 1, MAX_CLUSTERS, 1),
    "size": Number("Points per cluster", 200, 1, 12_500, 1),
    "spread": Number("Spread of a cluster", 1.0, 0.1, 5.0, 0.1, slider=True),
    "data_seed": controls.seed("Data seed", 6),
    "guess": Choice("Initial guess", (*GUESSES, TYPED), "Random data points"),
    "guess_seed": controls.seed("Guess seed"),
    **{
        f"start_{axis}{k}": Number(f"Start {name}, {axis}", float(k - 4), -50.0, 50.0, 0.5)
        for k, name in enumerate(NAMES, 1)
        for axis in "xy"
    },
    "tol": controls.tolerance("point", "0"),
    "max_iter": controls.iteration_limit(100),
}
SITUATIONS = {
    "Wang’s article": {},
    "Clusters that overlap": {"spread": 3.0, "k": 4},
    "A poor start": {"guess_seed": 5},
}


class Clusters(NamedTuple):
    run: Run
    counts: np.ndarray
    points: pd.DataFrame


@cached_run
def compute(settings: dict[str, Any]) -> Clusters:
    s = SimpleNamespace(**settings)
    sample = simulate([s.size] * s.k, spread=s.spread, rng=stream(s.data_seed, DATA))
    if s.guess == TYPED:
        places = [[settings[f"start_{axis}{k + 1}"] for axis in "xy"] for k in range(s.k)]
        start = KMeansParams(places)
    else:
        start = GUESSES[s.guess](sample.data, s.k, rng=stream(s.guess_seed, GUESS))
    run = run_em(
        KMeans(),
        sample,
        start,
        by="centroids",
        names=NAMES,
        objective="inertia",
        sign=-1,
        tol=float(s.tol),
        max_iter=s.max_iter,
    )
    drawn = sample.data[frames.sample_rows(len(sample.data), stream(s.data_seed, DRAWING))]
    points = pd.DataFrame({"x": drawn[:, 0], "y": drawn[:, 1]})
    points["assigned"] = frames.assigned(run.model, drawn, run.trace, NAMES)
    counts = run.model.e_step(sample.data, run.params).responsibilities.sum(axis=0)
    return Clusters(run, counts, points)


c = Controls("km", SPECS, SITUATIONS)
with st.sidebar:
    c.situation()
    st.subheader("Truth and data")
    c.show_all("k", "size", "spread", "data_seed")
    st.subheader("Initial guess")
    if c.show("guess") == TYPED:
        for k in range(1, c.settings()["k"] + 1):
            left, right = st.columns(2)
            with left:
                c.show(f"start_x{k}")
            with right:
                c.show(f"start_y{k}")
    else:
        c.show("guess_seed")
    st.subheader("Algorithm")
    c.show_all("tol", "max_iter")
    c.footer()
    settings = c.settings()

st.title("K-Means")
st.markdown(
    "**Which points belong together?** Each point comes from one of a few clusters, scattered "
    "around its centre. Neither the centres nor the memberships are known; each would be easy to "
    "find if one had the other."
)
clusters = compute(settings)
run, n = clusters.run, len(clusters.run.sample.data)
objective = Objective("Inertia", sign=-1)
inertia, from_truth = -run.trace.final.objective, -run.from_truth.final.objective
empty = [name for name, count in zip(NAMES, clusters.counts, strict=False) if count == 0]
missed = inertia > POOR * from_truth

sections.status_line(run, objective, quantity="centroid")
sections.advice(
    {
        f"Centroid {', '.join(empty)} has no points, so it stays where it is. Try another guess "
        "seed, or k-means++.": bool(empty),
        f"This is a poor optimum: started from the true centres, the inertia falls to "
        f"{from_truth:,.1f}. Try other guess seeds and keep the best, or k-means++, which spreads "
        "the start out.": missed and run.trace.converged,
        "K-Means is not there yet: started from the true centres, the inertia falls to "
        f"{from_truth:,.1f}. Raise the iteration limit; if that does not help, try another guess "
        "seed.": missed and not run.trace.converged,
    }
)
sections.explore(
    run,
    {},
    objective,
    Drawing(
        "Points in the colour and shape of their nearest centroid",
        charts.scatter(),
        {"points": clusters.points, "steps": run.frames.steps, "truth": run.frames.truth},
        f"{sections.count(len(clusters.points), 'point')} in "
        f"{sections.count(settings['k'], 'cluster')}, with the paths of the centroids from the "
        "initial guess, and the true centres as crosses.",
    ),
    caption="Large marks: centroids, with their paths. Grey crosses: true centres."
    + (
        f" Drawn: a fixed random sample of {len(clusters.points):,} of the {n:,} points; the fit "
        "uses all."
        if len(clusters.points) < n
        else ""
    ),
    extra=[
        Drawing(
            "How far each centroid moved",
            charts.movement("Distance moved"),
            {"steps": run.frames.steps},
            f"Distance that each centroid moved in each of {run.frames.last} iterations, "
            "until none moves",
        )
    ],
    key="km",
)
sections.iteration_table(run, {}, key="km")

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
