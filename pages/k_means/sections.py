"""What only the page of K-Means has: its findings, and the limit of soft clusters."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import streamlit as st

from em_core.numerics import match_labels, posterior
from em_ui import sections
from em_ui.controls import Controls
from em_ui.data import Given
from em_ui.inert import escaped
from em_ui.run import Run, budget, cached_quietly
from em_ui.sections.explore import played
from pages import lesson
from pages.k_means.problem import NAMES, PLUS_PLUS

SOFTNESS = (2.0, 1.0, 0.5, 0.25, 0.1)  # standard deviations, relative to the clusters' own

# Of the longer axis: where the shorter one is less, the points would lie on a line.
SHORTEST = 1 / 5
_PLANE = 2  # columns of a picture


def columns_shown(c: Controls, given: Given | None) -> tuple[int, int]:
    """Return the columns across and upwards, from 0; where there are more, let one choose them.

    By default those that vary most, and so decide most about what is near.
    """
    if given is None or len(given.columns) == _PLANE:
        return 0, 1
    names = ", ".join(f"{i} {escaped(name)}" for i, name in enumerate(given.columns, 1))
    st.caption(f"Two of the columns stand in the picture: {names}.")
    across, up = st.columns(_PLANE)
    with across:
        x = min(int(c.show("across")), len(given.columns))
    with up:
        y = min(int(c.show("up")), len(given.columns))
    return widest(given.values, x - 1, y - 1)


def widest(values: np.ndarray, across: int, up: int) -> tuple[int, int]:
    """Return two columns, from 0; in the place of -1, the one that varies most of the others."""
    with np.errstate(over="ignore", invalid="ignore"):
        order = np.argsort(-np.std(values, axis=0), kind="stable").tolist()
    if across < 0:
        across = next(j for j in order if j != up)
    if up < 0:
        up = next(j for j in order if j != across)
    return across, up


def same_units(run: Run) -> bool:
    """Return whether a unit can be drawn as long in one direction as in the other."""
    data = run.problem.sample.data
    sides = np.ptp(data, axis=0)
    return data.shape[1] == _PLANE and bool(sides.min() >= SHORTEST * sides.max() > 0)


def caption_of(c: Controls, run: Run, drawn: int, axes: tuple[int, int]) -> str:
    """Return what the marks of the picture mean, of which ``drawn`` points are drawn."""
    n, columns = run.problem.n, run.problem.data_columns
    told = [
        "Large marks: centroids, with their paths. Outlined: points that have just changed sides.",
        "Click a point to set a start."
        if c.value("place")
        else "Click a point to see its calculation.",
    ]
    if sections.compares(c, run):
        told.append(
            "Grey crosses: true centres; upright, the means of the true clusters."
            if run.problem.truth_known
            else "Grey crosses: the means of the known groups."
        )
    if len(columns) > _PLANE:
        told.append(
            f"Of {len(columns)} columns, {columns[axes[0]]} is drawn across and {columns[axes[1]]} "
            "upwards. Borders are left out: which centroid is nearest depends on all columns, so "
            "that in two of them the borders are no lines."
        )
    elif not same_units(run):
        told.append("The axes have different scales; distances are taken in the units of the data.")
    if drawn < n:
        told.append(
            f"Drawn: a fixed random sample of {drawn:,} of the {n:,} points; the fit uses all."
        )
    return " ".join(told)


@cached_quietly
def mislabelled(run: Run) -> tuple[dict[int, int], int] | None:
    """Return which known group each cluster stands for at the end of the run, at the best matching.

    And how many points are in a cluster that stands for another group than theirs. None if no
    labels are known.
    """
    labels = run.problem.sample.labels
    if labels is None:
        return None
    with budget.turn(run.problem.cost):
        shares = run.problem.responsibilities(run.problem.sample.data, run.params)
    return match_labels(shares.argmax(axis=1), labels)


def mistaken(c: Controls, run: Run, given: Given | None) -> str:
    """Return in words how many points are in another cluster than their label says.

    Nothing before the run was played, where no labels are known, and where they are hidden.
    """
    found = None if c.sealed or not played(c, run) else mislabelled(run)
    if found is None:
        return ""
    (matching, wrong), n = found, run.problem.n
    one = wrong < 2
    number = f"{wrong:,} of {n:,} points {'is' if one else 'are'}" if wrong else "No point is"
    says = "its label says" if one else "their label says"
    if given is None:
        says = f"the one {'it comes' if one else 'they come'} from"
    matched = ""
    if given is not None:
        pairs = (f"{NAMES[k]} as {escaped(given.groups[j])}" for k, j in matching.items())
        matched = f": cluster {', '.join(pairs)}"
    return f"**{number} in another cluster than {says}**, at the best matching{matched}."


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
    d = data.shape[1]
    digits = _decimals(run)

    def squares(*numbers: float) -> list[float]:
        point, *centres = np.reshape(numbers, (-1, d))
        return [sum((point - centre) ** 2) for centre in centres]

    numbers, made = sections.as_printed(
        squares,
        *data[i].tolist(),
        *centroids.ravel().tolist(),
        least=2,
        shown=lambda found: " ".join(f"{square:.{digits}f}" for square in found),
    )
    point, *centres = (numbers[first : first + d] for first in range(0, len(numbers), d))
    st.markdown(f"**E-step.** Point {i + 1} lies at ({', '.join(point)}).")
    lines = []
    for k, (name, centre, distance) in enumerate(
        zip(run.names, centres, made.split(), strict=True)
    ):
        terms = [f"({x} - {sections.bracketed(c)})^2" for x, c in zip(point, centre, strict=True)]
        lines += [
            rf"\lVert x - c_{name} \rVert^2 &= {terms[0]}",
            *(rf"&\quad + {term}" for term in terms[1:]),
            f"&= {distance}" + r"\quad\text{(nearest)}" * (k == nearest),
        ]
    sections.formula(lines)
    st.markdown(f"So it goes wholly to centroid {NAMES[nearest]}.")
    counts, deviations = run.statistics(at)  # from the centroids before the step
    sums = deviations + counts[:, None] * centroids
    places = run.problem.quantities["centroids"].format
    st.markdown(f"**M-step.** Added up over all {len(data):,} points:")
    lines = []
    for name, total, n, stays in zip(
        run.names, sums.tolist(), counts, centroids.tolist(), strict=True
    ):
        if not n:
            lines += [
                rf"c_{name} &\text{{ has no points and stays at}}",
                rf"&\quad {_vector(stays, places)}",
            ]
            continue
        (*parts, _), mean = sections.as_printed(
            lambda *given: [part / given[-1] for part in given[:-1]],
            *total,
            int(n),
            least=2,
            shown=lambda mean: _vector(mean, places),
        )
        lines += [rf"c_{name} &= \frac{{({_listed(parts)})}}{{{n:.0f}}}", f"&= {mean}"]
    sections.formula(lines)


def _decimals(run: Run) -> int:
    """Return how many decimals a squared distance has: of given data, as many as its size needs."""
    with np.errstate(over="ignore", invalid="ignore"):
        least = np.var(run.problem.sample.data, axis=0)
    if run.problem.truth_known or not least.any():
        return 2
    return min(max(2 - math.floor(math.log10(least[least > 0].min())), 2), 17)


def _vector(numbers: list[float], places: str) -> str:
    return f"({_listed([f'{x:{places}}' for x in numbers])})"


def _listed(numbers: list[str]) -> str:
    return r",\ ".join(numbers)


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
