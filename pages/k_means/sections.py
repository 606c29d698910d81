"""What only the page of K-Means has: its findings, and the limit of soft clusters."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import streamlit as st

from em_core.numerics import posterior
from em_ui import sections
from em_ui.controls import Controls
from em_ui.run import Run
from pages import lesson
from pages.k_means.problem import NAMES, PLUS_PLUS

SOFTNESS = (2.0, 1.0, 0.5, 0.25, 0.1)  # standard deviations, relative to the clusters' own


def findings(run: Run) -> Iterator[str]:
    """Yield what may have gone wrong in this run."""
    plus_plus = run.settings["guess"] == PLUS_PLUS
    counts = run.final_statistics.counts
    empty = [name for name, points in zip(run.names, counts, strict=True) if points == 0]
    if empty:
        yield (
            f"Centroid {empty[0]} has no points, so it stays where it is. "
            if len(empty) == 1
            else f"Centroids {', '.join(empty)} have no points, so they stay where they are. "
        ) + f"Try another start{'' if plus_plus else ', or k-means++'}."
    hint = "" if plus_plus else ", or k-means++, which spreads the start out"
    yield from sections.not_the_best(run, hint=hint)
    yield from sections.other_number(run)


def draw_by_hand(c: Controls, run: Run) -> None:
    """Write one point's numbers into the formulas, and the sums that they go into."""
    at, i = sections.chosen(c, run)
    data, centroids = run.problem.sample.data, run.steps[at].params.centroids
    nearest = int(run.problem.responsibilities(data[i : i + 1], run.steps[at].params).argmax())

    def squares(x: float, y: float, *centres: float) -> list[float]:
        return [(x - cx) ** 2 + (y - cy) ** 2 for cx, cy in np.reshape(centres, (-1, 2))]

    numbers, made = sections.as_printed(
        squares,
        *data[i].tolist(),
        *centroids.ravel().tolist(),
        least=2,
        shown=lambda found: " ".join(f"{square:.2f}" for square in found),
    )
    x, y, *centres = numbers
    st.markdown(f"**E-step.** Point {i + 1} lies at ({x}, {y}).")
    sections.formula(
        [
            line
            for k, (name, distance) in enumerate(zip(run.names, made.split(), strict=True))
            for line in (
                rf"\lVert x - c_{name} \rVert^2 &= ({x} - {sections.bracketed(centres[2 * k])})^2",
                rf"&\quad + ({y} - {sections.bracketed(centres[2 * k + 1])})^2",
                f"&= {distance}" + r"\quad\text{(nearest)}" * (k == nearest),
            )
        ]
    )
    st.markdown(f"So it goes wholly to centroid {NAMES[nearest]}.")
    counts, deviations = run.statistics(at)  # from the centroids before the step
    sums = deviations + counts[:, None] * centroids
    st.markdown(f"**M-step.** Added up over all {len(data):,} points:")
    lines = []
    for name, (sum_x, sum_y), n, stays in zip(
        run.names, sums.tolist(), counts, centroids.tolist(), strict=True
    ):
        if not n:
            lines += [
                rf"c_{name} &\text{{ has no points and stays at}}",
                rf"&\quad ({stays[0]:.4f},\ {stays[1]:.4f})",
            ]
            continue
        (across, up, _), mean = sections.as_printed(
            lambda a, b, m: (a / m, b / m),
            sum_x,
            sum_y,
            int(n),
            least=2,
            shown=lambda mean: rf"({mean[0]:.4f},\ {mean[1]:.4f})",
        )
        lines += [rf"c_{name} &= \frac{{({across},\ {up})}}{{{n:.0f}}}", f"&= {mean}"]
    sections.formula(lines)


def soft_limit(run: Run, at: int, i: int) -> pd.DataFrame:
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


def draw_hard_against_soft(c: Controls, run: Run) -> None:
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
    table = soft_limit(run, at, i)
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.4f") for name in table.columns
        },
        alt="Shares of the point in each Gaussian: the narrower, the harder",
    )
    st.page_link(
        lesson("Gaussian mixture").page,
        label="Soft assignment at work: the Gaussian mixture",
        icon=":material/arrow_forward:",
    )


SECTIONS = sections.sections_of(
    by_hand=draw_by_hand,
    hard_against_soft={"draw": draw_hard_against_soft, "follows": True},
    how_many={},
)
