"""K-Means: the same loop as EM, with winner-takes-all assignment."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from em_core import KMeans, KMeansParams
from em_core.models.kmeans import draw_centres, guess_from_points, guess_plus_plus, guess_uniform
from em_core.numerics import posterior
from em_ui.controls import page as controls
from em_ui.controls.page import Choice, Controls, Number, Situation
from em_ui.pictures import frames
from em_ui.run.compute import (
    DATA,
    DRAWING,
    GUESS,
    Problem,
    Run,
    cached_run,
    check_enough,
    run_em,
    run_starts,
    stream,
)
from em_ui.sections import sections, starts, take_away, teacher
from em_ui.sections.sections import Objective

MAX_CLUSTERS = 8
NAMES = tuple("12345678")
TYPED = "Typed in"
GUESSES = {
    "Random data points": guess_from_points,
    "k-means++": guess_plus_plus,
    "Random places": guess_uniform,
}
POOR = 1.001  # inertia over that of a run from the truth
SOFTNESS = (2.0, 1.0, 0.5, 0.25, 0.1)  # standard deviations, relative to the clusters' own

SPECS = {
    "k": Number("Clusters", 3, 1, MAX_CLUSTERS, 1),
    "size": Number("Points per cluster", 200, 1, 12_500, 1),
    "spread": Number("Spread of a cluster", 1.0, 0.1, 5.0, 0.1, slider=True),
    "rest_size": Number(
        "Size of the others, relative to cluster 1", 1.0, 0.05, 1.0, 0.05, slider=True
    ),
    "rest_spread": Number(
        "Spread of the others, relative to cluster 1", 1.0, 0.1, 1.0, 0.1, slider=True
    ),
    "data_seed": controls.seed("Data seed", 6),
    "student": controls.student(),
    "find": controls.to_find("Centroids", MAX_CLUSTERS),
    "guess": Choice("Initial guess", (*GUESSES, TYPED), "Random data points"),
    "guess_seed": controls.seed("Guess seed"),
    "start": controls.start_number(),
    **{
        f"start_{axis}{k}": Number(f"Start {name}, {axis}", float(k - 4), -50.0, 50.0, 0.5)
        for k, name in enumerate(NAMES, 1)
        for axis in "xy"
    },
    "tol": controls.tolerance("point", "0"),
    "max_iter": controls.iteration_limit(100),
}
SITUATIONS = {
    "Wang’s article": Situation(
        {},
        "Three clusters of 200 points, two of them close together. Where will the centroids go "
        "first? Which one has the longest way?",
        "Centroid 2 goes furthest, and nearly all of its way in the first step: each point "
        "joins the nearest centroid, however far, and the M-step follows. Then only points "
        "near a border change sides, and the moves shrink until none does.",
    ),
    "A poor local optimum": Situation(
        {"start": 5},
        "The same points from another start. Will K-Means end at the same place?",
        "No. Two centroids share one cluster, and one has to cover two. No single step can mend "
        "this, since every step only lowers the inertia. Try other starts, or k-means++.",
    ),
    "An empty cluster": Situation(
        {"guess": "Random places", "start": 2},
        "The start may lie far from all points. What does a centroid do to which no point comes?",
        "It has no mean to move to, so it stays, and the others share its points. The start "
        "matters more here than anything that comes after.",
    ),
    "Clusters that overlap": Situation(
        {"spread": 3.5, "size": 400},
        "Now the clusters overlap. Will the centroids still find the true centres?",
        "Not quite. A border cuts through the overlap, and each side keeps only its "
        "own half of it, so the centroids are pushed apart. More points would not help.",
    ),
    "Too few centroids": Situation(
        {"find": 2},
        "Three clusters, but only two centroids. What will they do?",
        "One of them covers two clusters and sits between them. K-Means always finds as many "
        "clusters as it is asked for, whether they are there or not.",
    ),
    "Too many centroids": Situation(
        {"find": 5},
        "Three clusters and five centroids. Will the inertia be lower or higher than with three?",
        "Lower: more centroids always fit closer, so a lower inertia does not mean that five is "
        "right. Some clusters are simply cut in two.",
    ),
    "Unequal sizes and spreads": Situation(
        {"size": 500, "spread": 2.5, "rest_size": 0.1, "rest_spread": 0.2},
        "One large, wide cluster beside two small, tight ones. Will each get its own centroid?",
        "No. K-Means only looks at distances, so it prefers clusters of equal width, and cuts the "
        "wide one up. A Gaussian mixture gives each group a width and a share of its own: see "
        "*One wide group, one narrow* on its page.",
    ),
}


MISCONCEPTIONS = (
    (
        "K-Means makes equal clusters.",
        "It makes clusters with straight borders halfway between centroids. Their sizes follow "
        "from the data; what it does prefer is equal width.",
    ),
    (
        "Clusters have an order.",
        "The numbers come from the start. Here they are matched to the true centres, for display.",
    ),
    (
        "More centroids are better, since the inertia is lower.",
        "The inertia falls with every centroid, down to zero with one at each point. It cannot say "
        "how many clusters there are.",
    ),
)


class Clusters(NamedTuple):
    run: Run
    counts: np.ndarray
    points: pa.Table
    frame: pa.Table


def simulation(s: SimpleNamespace) -> tuple[list[int], list[float], list[int]]:
    """Return sizes and spreads of the clusters, and the entropy of the data's generator."""
    rest = s.k - 1
    sizes = [s.size] + [max(1, round(s.size * s.rest_size))] * rest
    spreads = [s.spread] + [s.spread * s.rest_spread] * rest
    return sizes, spreads, [s.data_seed, DATA] + [s.student] * (s.student > 0)


def problem(settings: dict[str, Any]) -> Problem:
    s = SimpleNamespace(**settings)
    sizes, spreads, entropy = simulation(s)
    rng = np.random.default_rng(entropy)
    sample = KMeans().simulate(draw_centres(s.k, rng=rng), sizes, rng=rng, spread=spreads)
    find = s.find or s.k
    method = GUESSES.get(s.guess, guess_from_points)

    def guess(rng: np.random.Generator) -> KMeansParams:
        if method is not guess_uniform:
            check_enough(find, len(sample.data))
        return method(sample.data, find, rng=rng)

    if s.guess == TYPED:
        start = KMeansParams(
            [[settings[f"start_{axis}{k}"] for axis in "xy"] for k in range(1, find + 1)]
        )
    else:
        start = guess(stream(s.guess_seed, GUESS, s.start))
    return Problem(
        model=KMeans(),
        sample=sample,
        start=start,
        guess=guess,
        guess_seed=s.guess_seed,
        truth=sample.truth,
        by="centroids",
        names=NAMES,
        tol=float(s.tol),
        max_iter=s.max_iter,
        objective="inertia",
        sign=-1,
        algorithm="K-Means",
    )


@cached_run
def compute(settings: dict[str, Any]) -> Clusters:
    run = run_em(problem(settings))
    data = run.problem.sample.data
    drawn = frames.sample_rows(len(data), stream(settings["data_seed"], DRAWING))
    x, y = data[drawn].T
    assigned = frames.assigned(run.problem.model, data[drawn], run.trace, NAMES)
    points = frames.arrow({"x": x, "y": y, "observation": drawn + 1, "assigned": assigned})
    counts = run.statistics(run.frames.last).counts
    seen = np.concatenate([data, *(step.params.centroids for step in run.steps)])
    (x_low, y_low), (x_high, y_high) = seen.min(axis=0)[:, None], seen.max(axis=0)[:, None]
    frame = frames.arrow({"x_low": x_low, "x_high": x_high, "y_low": y_low, "y_high": y_high})
    return Clusters(run, counts, points, frame)


@cached_run
def many(settings: dict[str, Any], n: int) -> Any:
    return run_starts(problem(settings), n)


def by_hand(run: Run, at: int, i: int) -> None:
    """Write one point's numbers into the formulas, and the sums that they go into."""
    model, data = run.problem.model, run.problem.sample.data
    (x, y), centroids = data[i], run.steps[at].params.centroids
    distances = ((data[i] - centroids) ** 2).sum(axis=1)
    nearest = int(model.e_step(data[i : i + 1], run.steps[at].params).responsibilities.argmax())
    st.markdown(f"**E-step.** Point {i + 1} lies at ({x:.4f}, {y:.4f}).")
    sections.formula(
        [
            line
            for k, (cx, cy) in enumerate(centroids)
            for line in (
                rf"\lVert x - c_{NAMES[k]} \rVert^2 &= ({x:.4f} - {sections.bracketed(cx)})^2",
                rf"&\quad + ({y:.4f} - {sections.bracketed(cy)})^2",
                rf"&= {distances[k]:.4f}" + (r"\quad\text{(nearest)}" if k == nearest else ""),
            )
        ]
    )
    st.markdown(f"So it goes wholly to centroid {NAMES[nearest]}.")
    statistics = run.statistics(at)
    new = model.m_step(statistics, run.steps[at].params).centroids
    counts, deviations = statistics  # from the centroids before the step
    sums = deviations + counts[:, None] * centroids
    st.markdown(f"**M-step.** Added up over all {len(data):,} points:")
    sections.formula(
        [
            line
            for k in range(len(new))
            for line in (
                rf"c_{NAMES[k]} &= \frac{{({sums[k][0]:.4f},\ {sums[k][1]:.4f})}}"
                rf"{{{counts[k]:.0f}}}"
                if counts[k]
                else rf"c_{NAMES[k]} &\text{{ has no points and stays at}}",
                rf"&= ({new[k][0]:.4f},\ {new[k][1]:.4f})",
            )
        ]
    )


def soft_limit(run: Run, settings: dict[str, Any], at: int, i: int) -> pd.DataFrame:
    """Return the point's shares in Gaussians around the centroids, as their width shrinks."""
    point, centroids = run.problem.sample.data[i], run.steps[at].params.centroids
    distances = ((point - centroids) ** 2).sum(axis=1)
    # The width that the clusters show, not the true one, which a student's link hides.
    inertia = -run.trace.final.objective
    scale = np.sqrt(inertia / run.problem.sample.data.size) or 1.0
    rows = []
    for softness in SOFTNESS:
        width = softness * scale
        shares, _ = posterior(-distances[None, :] / (2 * width**2))
        rows.append({"σ": width} | {f"share of {NAMES[k]}": r for k, r in enumerate(shares[0])})
    return pd.DataFrame(rows)


def findings(run: Run, settings: dict[str, Any]) -> dict[str, bool]:
    """Return what may have gone wrong in this run, in words, and whether it has."""
    find = settings["find"] or settings["k"]
    inertia = -run.trace.final.objective
    best = inertia - run.missed
    missed = inertia > POOR * best
    counts = compute(settings).counts
    empty = [name for name, count in zip(NAMES, counts, strict=False) if count == 0]
    return {
        (
            f"Centroid {empty[0]} has no points, so it stays where it is. "
            if len(empty) == 1
            else f"Centroids {', '.join(empty)} have no points, so they stay where they are. "
        )
        + "Try another start, or k-means++.": bool(empty),
        f"This is a poor optimum: started from the true centres, the inertia falls to {best:,.1f}. "
        "Try other starts and keep the best, or k-means++, which spreads the start out.": (
            missed and run.trace.converged
        ),
        "K-Means is not there yet: started from the true centres, the inertia falls to "
        f"{best:,.1f}. Raise the iteration limit; if that does not help, try another start.": (
            missed and not run.trace.converged
        ),
        f"The truth has {sections.count(settings['k'], 'cluster')}, and K-Means was told to look "
        f"for {find}.": find != settings["k"],
    }


def draw_by_hand(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw one step by hand, for the observation that the visitor chooses."""
    by_hand(run, *sections.chosen(c, run))


def draw_versus(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw hard assignment beside soft."""
    at, i = sections.standing(c, run)
    st.markdown(
        "K-Means is a Gaussian mixture whose variance shrinks to zero. Put a round Gaussian of "
        "width σ around each centroid, all with equal weight. A point’s share in each is"
    )
    st.latex(
        r"r_{ik} = \frac{e^{-\lVert x_i - c_k\rVert^2 / 2\sigma^2}}"
        r"{\sum_j e^{-\lVert x_i - c_j\rVert^2 / 2\sigma^2}}"
    )
    st.markdown(
        f"As σ shrinks, the nearest centroid takes all. Here it is for point {i + 1}, at "
        f"{sections.moment(at)}:"
    )
    table = soft_limit(run, settings, at, i)
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.4f") for name in table.columns
        },
        alt="Shares of the point in each Gaussian: the narrower, the harder",
    )
    st.page_link(
        "pages/gaussian_mixture/page.py",
        label="Soft assignment at work: the Gaussian mixture",
        icon=":material/arrow_forward:",
    )


def draw_starts(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw many initial guesses."""
    found = many(settings, c.show("starts"))
    guess = "Random data points" if settings["guess"] == TYPED else None
    starts.show_starts(c, run, found, objective, guess=guess)


def draw_convergence(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw the report on convergence."""
    sections.convergence(c, run, per="point", soft=False)


def draw_code(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw the code, the script and the data."""
    sizes, spreads, entropy = simulation(SimpleNamespace(**settings))
    data_lines = [
        f"rng = np.random.default_rng({entropy})",
        f"centres = draw_centres({len(sizes)}, rng=rng)",
        f"data = KMeans().simulate(centres, {sizes}, rng=rng, spread={spreads}).data",
    ]
    take_away.code(
        c,
        run,
        take_away.script(run, title="K-Means", data=data_lines, simulator="draw_centres"),
        pd.DataFrame(run.problem.sample.data, columns=["x", "y"]),
    )


def draw_teacher(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw the teacher’s section."""
    teacher.teacher(
        c,
        run,
        objective,
        observation="point",
        for_student=lambda number: compute({**settings, "student": number}).run,
    )


SECTIONS = {
    "by_hand": draw_by_hand,
    "versus": draw_versus,
    "many": draw_starts,
    "speed": draw_convergence,
    "code": draw_code,
    "teacher": draw_teacher,
}
