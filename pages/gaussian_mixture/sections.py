"""What only the page of the Gaussian mixture has: its findings, and K-Means beside it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import streamlit as st

from em_core import GaussianMixture, GaussianParams, KMeans, KMeansParams, Status, fit
from em_core.models.gaussian import log_density
from em_ui import sections
from em_ui.controls import Controls
from em_ui.run import Run, budget, cached
from em_ui.sections import convergence, hard_against_soft, hill

EMPTY = 0.1  # values; a component with less has none


def findings(run: Run) -> Iterator[str]:
    """Yield what may have gone wrong in this run."""
    floor, weights = run.settings["floor"], run.params.weights
    if run.trace.status is Status.NON_FINITE:
        yield (
            "A component has collapsed: it sits on a single value and its standard deviation has "
            "fallen to 0, where its density is infinite. Set a smallest standard deviation above "
            "0, or try another guess."
        )
    held = int(run.params.stds.argmin())
    if floor > 0 and run.params.stds[held] <= floor:
        free = GaussianMixture().m_step(run.final_statistics, run.params)
        yield (
            f"Component {run.names[held]} is held at the smallest standard deviation, {floor:g}. "
            f"The {run.final_statistics[0][held]:,.1f} values that are attributed to it have one "
            f"of {free.stds[held]:.3g}."
        )
    if run.settings["weights"] and run.problem.n * weights.min() < EMPTY:
        yield "A component has lost all its values. Start it closer to the data."
    yield from sections.not_the_best(run)
    yield from sections.other_number(run)


def draw_by_hand(c: Controls, run: Run) -> None:
    """Write one value's numbers into the formulas, and the sums that they go into."""
    at, i = sections.chosen(c, run)
    model, data, params = run.problem.model, run.problem.sample.data, run.steps[at].params
    x, r = data[i], run.problem.responsibilities(data[i : i + 1], params)[0]
    density = np.exp(log_density(x, params.means, params.stds))
    joint = params.weights * density
    st.markdown(
        f"**E-step.** Value {i + 1} is {x:.4f}. Each component’s density there, times its mixing "
        "weight:"
    )
    lines = []
    for k, name in enumerate(run.names):
        mean, std = sections.bracketed(params.means[k], 2), f"{params.stds[k]:.2f}"
        lines += [
            rf"\mathcal N_{name} &= \frac{{1}}{{{std}\sqrt{{2\pi}}}}"
            rf"\,e^{{-\frac{{({x:.4f} - {mean})^2}}{{2\cdot {std}^2}}}}",
            rf"&= {sections.significant(density[k])}",
            rf"\pi_{name}\,\mathcal N_{name} &= {params.weights[k]:.3f}\cdot "
            rf"{sections.significant(density[k])} = {sections.significant(joint[k])}",
        ]
    sections.formula(lines)
    hard = r"\;\rightarrow\;" if run.problem.hard else "="
    sections.formula(
        [
            rf"r_{run.names[k]} &= \frac{{{sections.significant(joint[k])}}}"
            rf"{{{sections.significant(joint.sum())}}} {hard} {r[k]:.3f}"
            for k in range(len(joint))
        ]
    )
    statistics = run.statistics(at)
    update = model.m_step(statistics, params)
    counts, first, second = statistics  # about the means before the step
    sums = counts * params.means + first
    squares = second - (update.means - params.means) * first  # about those after it
    st.markdown(f"**M-step.** Added up over all {len(data):,} values:")
    lines = []
    for k, name in enumerate(run.names):
        lines += [
            rf"\mu_{name} &= \frac{{{sums[k]:.2f}}}{{{counts[k]:.2f}}} = {update.means[k]:.2f}",
            rf"\sigma_{name} &= \sqrt{{\frac{{{squares[k]:.2f}}}{{{counts[k]:.2f}}}}} = "
            rf"{update.stds[k]:.2f}",
        ]
        if run.settings["weights"]:
            lines.append(
                rf"\pi_{name} &= \frac{{{counts[k]:.2f}}}{{{len(data)}}} = "
                rf"{update.weights[k]:.3f}"
            )
    sections.formula(lines)
    if run.settings["floor"] and (update.stds <= run.settings["floor"]).any():
        st.caption(
            f"A standard deviation below the smallest, {run.settings['floor']:g}, is raised."
        )


@cached
def k_means(run: Run) -> list[dict[str, Any]]:
    """Return K-Means on the same values from the same means, as a row beside EM's."""
    problem = run.problem
    start: Any = problem.start
    points = problem.sample.data[:, None]
    with budget.turn(problem.cost * problem.max_iter):
        trace = fit(
            KMeans(),
            points,
            KMeansParams(start.means[:, None]),
            tol=problem.tol,
            max_iter=problem.max_iter,
        )
    found = trace.final.params
    winners = KMeans().e_step(points, found).responsibilities.argmax(axis=1)
    means = GaussianParams(found.centroids[:, 0], start.stds, start.weights)
    return [hard_against_soft.row(run, "K-Means", means, trace.n_iter, winners)]


def draw_hard_against_soft(c: Controls, run: Run) -> None:
    """Draw hard assignment and K-Means beside soft."""
    st.markdown(
        "The same values from the same start, three ways. Hard assignment gives each value "
        "wholly to its likeliest component. K-Means does so too, and knows no widths or shares."
    )
    hard_against_soft.draw(c, run, more=k_means)


def draw_hill(c: Controls, run: Run) -> None:
    """Draw the hill over the means of two components, and the lower bound."""
    find, pair = len(run.names), (0, 0)
    if find > 1:
        left, right = st.columns(2)
        with left:
            across = min(c.show("across"), find) - 1
        with right:
            pair = (across, min(c.show("up"), find) - 1)
    hill.draw(c, run, pair=pair)


def draw_convergence(c: Controls, run: Run) -> None:
    """Draw the report on convergence."""
    floor = run.settings["floor"]
    caveat = ", unless the floor holds a standard deviation" if floor else ""
    convergence.draw(c, run, caveat=caveat)


SECTIONS = sections.sections_of(
    by_hand=draw_by_hand,
    hard_against_soft=draw_hard_against_soft,
    hill=draw_hill,
    convergence=draw_convergence,
)
