"""What only the page of the Gaussian mixture has: its findings, and K-Means beside it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import streamlit as st

from em_core import GaussianMixture, GaussianParams, KMeans, KMeansParams, Status, fit
from em_core.models import gaussian
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
            f"What is attributed to it, {run.final_statistics[0][held]:,.1f} values in all, would "
            f"give {convergence.plain(free.stds[held])}."
        )
    if run.settings["weights"] and run.problem.n * weights.min() < EMPTY:
        yield "A component has lost all its values. Start it closer to the data."
    yield from sections.not_the_best(run)
    yield from sections.other_number(run)


def draw_by_hand(c: Controls, run: Run) -> None:
    """Write one value's numbers into the formulas, and the sums that they go into."""
    at, i = sections.chosen(c, run)
    model, data, params = run.problem.model, run.problem.sample.data, run.steps[at].params
    r = run.problem.responsibilities(data[i : i + 1], params)[0]
    joint = params.weights * np.exp(gaussian.log_density(data[i], params.means, params.stds))
    parts, shares = sections.fractions(joint)

    def joints(x: float, *numbers: float) -> list[str]:
        # Not by parameters of the model: printed weights may not sum to one.
        means, stds, weights = np.reshape(numbers, (3, -1))
        if not stds.all():
            return []  # more decimals are needed
        found = weights * np.exp(gaussian.log_density(x, means, stds))
        return sections.fractions(found)[0]

    (x, *numbers), _ = sections.as_printed(
        joints, float(data[i]), *params.vector().tolist(), least=2, shown=" ".join
    )
    means, stds, weights = np.reshape(numbers, (3, -1)).tolist()
    st.markdown(
        f"**E-step.** Value {i + 1} is {x}. Each component’s mixing weight times its density there:"
    )
    lines = []
    for name, mean, std, weight, part in zip(run.names, means, stds, weights, parts, strict=True):
        mean = sections.bracketed(mean)
        lines += [
            rf"p_{name} &= \pi_{name}\,\mathcal N(x;\mu_{name},\sigma_{name}^2)",
            rf"&= \frac{{{weight}}}{{{std}\sqrt{{2\pi}}}}"
            rf"\,e^{{-\frac{{({x} - {mean})^2}}{{2\cdot {std}^2}}}}",
            f"&= {part}",
        ]
    sections.formula(lines)
    sections.formula(sections.ratios(run, shares, r))
    statistics = run.statistics(at)
    update = model.m_step(statistics, params)
    counts, first, second = statistics  # about the means before the step
    sums = counts * params.means + first
    squares = second - (update.means - params.means) * first  # about those after it
    st.markdown(f"**M-step.** Added up over all {len(data):,} values:")
    lines = []
    for k, name in enumerate(run.names):
        if not counts[k]:
            lines.append(rf"\mu_{name},\ \sigma_{name} &\text{{ stay: no values}}")
            continue
        # Where each value goes wholly to one component, these are whole numbers.
        n_k = round(counts[k]) if run.problem.hard else counts[k]
        (top, below), mean = sections.as_printed(
            lambda a, b: a / b, sums[k], n_k, least=2, shown="{:.2f}".format
        )
        lines.append(rf"\mu_{name} &= \frac{{{top}}}{{{below}}} = {mean}")
        (top, below), std = sections.as_printed(
            lambda a, b: (a / b) ** 0.5, squares[k], n_k, least=2, shown="{:.2f}".format
        )
        raised = bool(squares[k] / counts[k] < run.settings["floor"] ** 2)
        lines.append(
            rf"\sigma_{name} &= \sqrt{{\frac{{{top}}}{{{below}}}}} = {std}"
            + rf" \rightarrow {update.stds[k]:g}" * raised
        )
        if run.settings["weights"]:
            (top, below), share = sections.as_printed(lambda a, b: a / b, n_k, len(data), least=2)
            lines.append(rf"\pi_{name} &= \frac{{{top}}}{{{below}}} = {share}")
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
    how_many={},
    convergence=draw_convergence,
)
