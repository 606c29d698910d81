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


def findings(run: Run, *, compares: bool) -> Iterator[str]:
    """Yield what may have gone wrong in this run.

    ``compares`` says whether the page may tell the truth, where it is known.
    """
    mixture, weights = run.problem.mixture, run.params.weights
    floor, common = mixture.min_std, mixture.stds == "common"
    if run.trace.status is Status.NON_FINITE and not run.trace.final.params.stds.all():
        yield (
            "Every value lies on the mean of a component, so that the standard deviation of all "
            "has fallen to 0, where densities are infinite. Look for fewer components, or set a "
            "smallest standard deviation above 0."
            if common
            else "A component has collapsed: it sits on a single value and its standard deviation "
            "has fallen to 0, where its density is infinite. Set a smallest standard deviation "
            "above 0, or try another guess."
        )
    held = int(run.params.stds.argmin())
    if floor > 0 and run.params.stds[held] <= floor:
        free = GaussianMixture(stds=mixture.stds).m_step(run.final_statistics, run.params)
        would = f"would give {convergence.plain(free.stds[held])}."
        yield (
            f"The standard deviation of all is held at the smallest, {floor:g}. The values {would}"
            if common
            else f"Component {run.names[held]} is held at the smallest standard deviation, "
            f"{floor:g}. What is attributed to it, {run.final_statistics[0][held]:,.1f} values in "
            f"all, {would}"
        )
    if run.settings["weights"] and run.problem.n * weights.min() < EMPTY:
        yield "A component has lost all its values. Start it closer to the data."
    if compares and mixture.stds == "known":
        yield from not_the_true_deviations(run)
    yield from sections.not_the_best(run)
    yield from sections.other_number(run)


def not_the_true_deviations(run: Run) -> Iterator[str]:
    """Yield that what is taken for known is not so, if it is not."""
    truth = run.problem.sample.truth
    if not run.problem.truth_known or truth is None:
        return
    taken, true = (np.sort(params.stds) for params in (run.params, truth))
    if not np.array_equal(taken, true):
        listed = [", ".join(f"{std:g}" for std in stds) for stds in (taken, true)]
        yield (
            f"The standard deviations that are taken for known ({listed[0]}) are not those of the "
            f"truth ({listed[1]}). They pull the estimates away from it, and more data do not help."
        )


def estimated(run: Run) -> str:
    """Return in words what the M-step finds for each component."""
    words = ["mean"]
    if run.problem.mixture.stds == "free":
        words.append("standard deviation")
    if run.settings["weights"]:
        words.append("share")
    listed = f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
    return listed.capitalize()


def formulas(run: Run) -> list[str]:
    """Return the M-step in LaTeX, for the kind of standard deviations that is chosen."""
    stds = {
        "free": [r"\sigma_k^2 &= \frac{1}{N_k}\sum_i r_{ik}\,(x_i-\mu_k)^2"],
        "common": [
            r"\sigma_k^2 &= \frac{1}{n}\sum_j\sum_i r_{ij}\,(x_i-\mu_j)^2"
            r"\quad\text{for all }k"
        ],
        "known": [r"\sigma_k &\text{ stays as it is known}"],
    }
    return [
        r"\mu_k &= \frac{1}{N_k}\sum_i r_{ik}\,x_i",
        *stds[run.problem.mixture.stds],
        r"\pi_k &= \frac{N_k}{n}" if run.settings["weights"] else r"\pi_k &\text{ stays equal}",
    ]


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

    places = run.problem.words.quantities["stds"].format
    shown, decimals = f"{{:{places}}}".format, int(places.strip(",.f"))
    (x, *numbers), _ = sections.as_printed(
        joints, float(data[i]), *params.vector().tolist(), least=decimals, shown=" ".join
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
            rf"\,e^{{-\frac{{({x} - {mean})^2}}{{2\cdot {sections.bracketed(std)}^2}}}}",
            f"&= {part}",
        ]
    sections.formula(lines)
    sections.formula(sections.ratios(run, shares, r))
    statistics = run.statistics(at)
    update = model.m_step(statistics, params)
    counts, first, second = statistics  # about the means before the step
    sums = counts * params.means + first
    squares = second - (update.means - params.means) * first  # about those after it
    kind, floor = run.problem.mixture.stds, run.problem.mixture.min_std

    def deviation(symbol: str, total: float, n: float, found: float) -> str:
        (top, below), std = sections.as_printed(
            lambda a, b: (a / b) ** 0.5, total, n, least=decimals, shown=shown
        )
        raised = total / n < floor**2
        return (
            rf"{symbol} &= \sqrt{{\frac{{{top}}}{{{below}}}}} = {std}"
            + rf" \rightarrow {found:g}" * bool(raised)
        )

    st.markdown(f"**M-step.** Added up over all {len(data):,} values:")
    lines = []
    for k, name in enumerate(run.names):
        if not counts[k]:
            stays = rf"\mu_{name},\ \sigma_{name} &\text{{ stay" if kind == "free" else ""
            lines.append((stays or rf"\mu_{name} &\text{{ stays") + ": no values}")
            continue
        # Where each value goes wholly to one component, these are whole numbers.
        n_k = round(counts[k]) if run.problem.hard else counts[k]
        (top, below), mean = sections.as_printed(
            lambda a, b: a / b, sums[k], n_k, least=decimals, shown=shown
        )
        lines.append(rf"\mu_{name} &= \frac{{{top}}}{{{below}}} = {mean}")
        if kind == "free":
            lines.append(deviation(rf"\sigma_{name}", squares[k], n_k, update.stds[k]))
        if run.settings["weights"]:
            (top, below), share = sections.as_printed(lambda a, b: a / b, n_k, len(data), least=2)
            lines.append(rf"\pi_{name} &= \frac{{{top}}}{{{below}}} = {share}")
    if kind == "common":
        every = r" = ".join(rf"\sigma_{name}" for name in run.names)
        lines.append(deviation(every, squares.sum(), len(data), update.stds[0]))
    sections.formula(lines)
    if kind == "known":
        st.caption("The standard deviations are known, and stay.")
    elif floor and (update.stds <= floor).any():
        st.caption(f"A standard deviation below the smallest, {floor:g}, is raised.")


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


def is_k_means(run: Run) -> bool:
    """Return whether hard assignment gives each value to the nearest mean, whatever the run."""
    start: Any = run.problem.start
    alike = run.problem.mixture.stds != "free" and np.ptp(start.stds) == 0
    return bool(alike and not run.settings["weights"] and np.ptp(start.weights) == 0)


def draw_hard_against_soft(c: Controls, run: Run) -> None:
    """Draw hard assignment and K-Means beside soft."""
    text = (
        "The same values from the same start, three ways. Hard assignment gives each value "
        "wholly to its likeliest component. K-Means does so too, and knows no widths or shares."
    )
    if is_k_means(run):
        text += (
            " With equal shares and equal standard deviations the nearest mean is the likeliest "
            "one, so hard assignment moves the means as K-Means does. Only the soft one differs."
        )
    st.markdown(text)
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
    floor = run.problem.mixture.min_std
    caveat = ", unless the floor holds a standard deviation" if floor else ""
    convergence.draw(c, run, caveat=caveat)


SECTIONS = sections.sections_of(
    by_hand=draw_by_hand,
    hard_against_soft=draw_hard_against_soft,
    hill=draw_hill,
    how_many={},
    convergence=draw_convergence,
)
