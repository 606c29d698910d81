"""What only the page of the mixture in the plane has: findings, K-Means beside it, marginals."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from em_core import KMeans, KMeansParams, MultivariateGaussianParams, Status, Trace, fit
from em_core.models.multivariate_gaussian_mixture import about_new_means
from em_core.numerics import Array, is_singular, smallest_stds
from em_ui import sections
from em_ui.controls import Choice, Controls, Section
from em_ui.run import Run, budget, cached, cached_quietly, count
from em_ui.sections import convergence, hard_against_soft, hill
from pages.mixture_in_the_plane.problem import AXES, MAX_COMPONENTS, ROUND, TIED, TO_SCALE

EMPTY = 0.1  # points; a component with less has none
_AT_THE_FLOOR = 1 + 1e-6  # rounding of a matrix whose smallest eigenvalue is the floor
_NARROW = 1e-3  # of the data's variance; what is less in both directions is nearly a point
_MOST_DECIMALS = 17

# What the hill can be drawn over: by its name, the parameter, the component, and the rest of the
# place.
PLACES = {
    f"{title} of component {k}": (field, k - 1, axes)
    for k in range(1, MAX_COMPONENTS + 1)
    for title, field, axes in (
        ("Mean across", "means", (0,)),
        ("Mean upwards", "means", (1,)),
        ("Variance across", "covariances", (0, 0)),
        ("Variance upwards", "covariances", (1, 1)),
    )
}
ACROSS = Choice("Across the hill", tuple(PLACES), "Mean across of component 1")
UP = Choice("Up the hill", tuple(PLACES), "Mean across of component 2")


def findings(run: Run) -> Iterator[str]:
    """Yield what may have gone wrong in this run."""
    floor, weights = run.problem.mixture.min_std, run.params.weights
    flat = np.flatnonzero(is_singular(run.trace.final.params.covariances))
    if run.trace.status is Status.NON_FINITE and len(flat):
        widths = np.diagonal(run.params.covariances[flat[0]])
        narrow = widths < _NARROW * run.problem.sample.data.var(axis=0)
        onto = "a point" if narrow.all() else "a line"
        yield (
            f"Component {run.names[flat[0]]} has collapsed onto {onto}: in some direction its "
            "width has fallen to 0, where its density is infinite. Set a smallest width above 0, "
            "let all components have one covariance, or try another guess."
        )
    smallest = smallest_stds(run.params.covariances)
    held = int(smallest.argmin())
    if floor > 0 and smallest[held] <= floor * _AT_THE_FLOOR:
        free = replace(run.problem.mixture, min_std=0.0)
        update = free.m_step(run.final_statistics, run.params).covariances
        width = smallest_stds(update)[held]
        who = (
            "All components are"
            if run.settings["kind"] == TIED
            else f"Component {run.names[held]} is"
        )
        theirs = (
            "the points"
            if run.settings["kind"] == TIED
            else f"what is attributed to it, {run.final_statistics[0][held]:,.1f} points in all,"
        )
        yield (
            f"{who} held at the smallest width, {convergence.plain(floor)}. In its narrowest "
            f"direction {theirs} would give {convergence.plain(width)}."
        )
    if run.settings["weights"] and run.problem.n * weights.min() < EMPTY:
        yield "A component has lost all its points. Start it closer to the data."
    yield from sections.not_the_best(run)
    yield from sections.other_number(run)


def draw_by_hand(c: Controls, run: Run) -> None:
    """Write one point's numbers into the formulas, and the sums that they go into."""
    at, i = sections.chosen(c, run)
    problem, params = run.problem, run.steps[at].params
    data, rows = problem.sample.data, problem.sample.data[i : i + 1]
    joint = np.exp(problem.mixture.log_joint(rows, params)[0])
    if joint.sum() > 0:
        (x, y), lines, shares = e_step_as_printed(run.names, data[i], params, joint)
        st.markdown(
            f"**E-step.** Point {i + 1} lies at ({x}, {y}). For each component: how far that is "
            r"from its mean, $(d_x, d_y)$; the determinant of its covariance $\Sigma$; the squared "
            r"distance in the ellipse’s own units, $q = (x-\mu)^\top\Sigma^{-1}(x-\mu)$; and the "
            "mixing weight times the density."
        )
        sections.formula(lines)
        responsibilities = problem.responsibilities(rows, params)[0]
        sections.formula(sections.ratios(run, shares, responsibilities))
    else:
        st.markdown(
            f"**E-step.** Point {i + 1} lies so far from all components that no number printed "
            "here could tell its densities from 0. (EM computes with their logarithms.)"
        )
    st.markdown(f"**M-step.** Added up over all {problem.n:,} points:")
    sections.formula(_m_step_lines(run, at))
    floor, update = problem.mixture.min_std, problem.model.m_step(run.statistics(at), params)
    if floor and smallest_stds(update.covariances).min() <= floor * _AT_THE_FLOOR:
        st.caption(
            f"An ellipse that would be narrower than {convergence.plain(floor)} in some direction "
            "is widened to that afterwards, in that direction only."
        )


def e_step_as_printed(
    names: list[str], point: Array, params: MultivariateGaussianParams, joint: Array
) -> tuple[list[str], list[str], list[str]]:
    """Return the E-step of one point in digits whose arithmetic is true.

    Each result is computed from the numbers that are printed before it. All have as many decimals
    as give the responsibilities to three.

    Parameters
    ----------
    names : list of str
        Of the components.
    point : ndarray, shape (2,)
        The point.
    params : MultivariateGaussianParams
        The parameters.
    joint : ndarray, shape (K,)
        Mixing weight times density, of each component.

    Returns
    -------
    (list of str, list of str, list of str)
        The point, the lines of LaTeX, and the responsibilities before any hard assignment.
    """
    shares = [f"{share:.3f}" for share in joint / joint.sum()]
    place: list[str] = []
    lines: list[str] = []
    for digits in range(2, _MOST_DECIMALS):
        place, lines, made = [f"{v:.{digits}f}" for v in point], [], []
        for k, name in enumerate(names):
            mean = [f"{v:.{digits}f}" for v in params.means[k]]
            # Of what may be small or large, significant digits.
            (xx, xy), (_, yy) = (
                [_digits(v, digits + 1) for v in row] for row in params.covariances[k].tolist()
            )
            weight = _digits(params.weights[k], digits + 1)
            dx, dy = (f"{float(p) - float(m):.{digits}f}" for p, m in zip(place, mean, strict=True))
            determinant = _digits(float(xx) * float(yy) - float(xy) ** 2, digits + 2)
            squared = _squared(*map(float, (xx, xy, yy, dx, dy, determinant)))
            if not float(determinant) > 0:
                break
            distance = f"{squared:.{digits}f}"
            density = np.exp(-float(distance) / 2) / (2 * np.pi * np.sqrt(float(determinant)))
            made.append(f"{float(weight) * density:.{digits + 2}g}")
            over = sections.scientific(determinant)
            # A term a line, so that they fit a phone.
            cross = rf"&\quad - 2\cdot {_in(xy)}\cdot {_in(dx)}\cdot {_in(dy)}"
            lines += [
                rf"d_x &= {place[0]} - {_in(mean[0])} = {dx}",
                rf"d_y &= {place[1]} - {_in(mean[1])} = {dy}",
                rf"|\Sigma_{name}| &= {_in(xx)}\cdot {_in(yy)}"
                + rf" - {_raised(xy)}^2" * (float(xy) != 0),
                f"&= {over}",
                rf"q_{name} &= \bigl({_in(yy)}\cdot {_in(dx)}^2",
                *([cross] if float(xy) else []),
                rf"&\quad + {_in(xx)}\cdot {_in(dy)}^2\bigr) / {_in(determinant)}",
                f"&= {distance}",
                rf"p_{name} &= \frac{{{weight}}}"
                rf"{{2\pi\sqrt{{{over}}}}}\,e^{{-\frac{{{distance}}}{{2}}}}",
                f"&= {sections.scientific(made[-1])}",
            ]
        printed = np.array(made, dtype=float)
        enough = len(made) == len(names) and printed.sum() > 0
        if enough and [f"{share:.3f}" for share in printed / printed.sum()] == shares:
            break
    return place, lines, shares


def _squared(xx: float, xy: float, yy: float, dx: float, dy: float, determinant: float) -> float:
    """Return d^T Sigma^-1 d, the inverse written out."""
    return (yy * dx**2 - 2 * xy * dx * dy + xx * dy**2) / (determinant or np.inf)


def _digits(value: float, digits: int) -> str:
    """Return a number with so many significant digits, and without a sign if it is 0."""
    return f"{value + 0.0:.{digits}g}"


def _in(text: str) -> str:
    """Return a printed number as it stands in a product."""
    return sections.bracketed(sections.scientific(text))


def _raised(text: str) -> str:
    """Return a printed number as it stands below an exponent."""
    number = _in(text)
    return f"({number})" if "10^" in number and not number.startswith("(") else number


def _m_step_lines(run: Run, at: int) -> list[str]:
    """Return the M-step's sums, and what they give, before a floor widens any ellipse."""
    params, statistics = run.steps[at].params, run.statistics(at)
    counts, first, second = statistics  # about the means before the step
    kind, n = run.settings["kind"], run.problem.n
    places = _places(run, "means")
    seen = np.where(counts > 0, counts, np.inf)
    sums = counts[:, None] * params.means + first
    shifts = first / seen[:, None]
    scatters = about_new_means(shifts, second / seen[:, None, None])  # about those after it
    products = scatters * counts[:, None, None]
    lines = []
    for k, name in enumerate(run.names):
        if not counts[k]:
            lines.append(rf"\mu_{name} &\text{{ stays: no points}}")
            continue
        n_k = int(counts[k]) if run.problem.hard else counts[k]
        (x, y, below), mean = sections.as_printed(
            lambda x, y, n: (x / n, y / n),
            *sums[k].tolist(),
            n_k,
            least=2,
            shown=lambda mean: rf"({places(mean[0])},\ {places(mean[1])})",
        )
        lines += [rf"\mu_{name} &= \frac{{({x},\ {y})}}{{{below}}}", f"&= {mean}"]
        if kind != TIED:
            lines += _covariance(run, rf"\Sigma_{name}", products[k], n_k)
        if run.settings["weights"]:
            (top, below), share = sections.as_printed(lambda a, b: a / b, n_k, n, least=2)
            lines.append(rf"\pi_{name} &= \frac{{{top}}}{{{below}}} = {share}")
    if kind == TIED:
        lines += _covariance(run, r"\Sigma", products.sum(axis=0), n)
    return lines


def _covariance(run: Run, symbol: str, products: Array, n: float) -> list[str]:
    """Return the lines that divide the sums of products by the number of points."""
    (xx, xy), (_, yy) = products.tolist()
    places, kind = _places(run, "covariances"), run.settings["kind"]
    if kind == ROUND:
        (across, up, below), variance = sections.as_printed(
            lambda a, b, n: (a + b) / (2 * n), xx, yy, n, least=2, shown=places
        )
        half = rf"\frac{{{across} + {up}}}{{2\cdot {below}}}"
        return [rf"{symbol} &= \sigma^2 I", rf"\sigma^2 &= {half}", f"&= {variance}"]
    (*sums, below), found = sections.as_printed(
        lambda a, b, d, n: (a / n, b / n, d / n),
        xx,
        0 if kind == AXES else xy,
        yy,
        n,
        least=2,
        shown=lambda found: " ".join(map(places, found)),
    )
    across, both, up = found.split()
    both = "0" if kind == AXES else both
    return [
        rf"{symbol} &= \frac{{1}}{{{below}}}{_matrix(*sums)}",
        rf"&= {_matrix(across, both, up)}",
    ]


def _places(run: Run, field: str) -> Callable[[float], str]:
    """Return what prints a parameter as the page does, and zero without a sign."""
    decimals = run.problem.quantities[field].format.lstrip(",")

    def printed(value: float) -> str:
        text = f"{value:{decimals}}"
        return text.removeprefix("-") if float(text) == 0 else text

    return printed


def _matrix(xx: str, xy: str, yy: str) -> str:
    return rf"\begin{{pmatrix}}{xx} & {xy}\\ {xy} & {yy}\end{{pmatrix}}"


@cached
def k_means(run: Run) -> Trace[KMeansParams]:
    """Return K-Means on the same points from the same means."""
    problem = run.problem
    start: Any = problem.start
    with budget.turn(problem.cost * problem.max_iter):
        return fit(
            KMeans(),
            problem.sample.data,
            KMeansParams(start.means),
            tol=0,
            max_iter=problem.max_iter,
        )


def as_circles(run: Run) -> MultivariateGaussianParams:
    """Return K-Means’ centroids as the mixture that it is the limit of: equal circles and shares.

    Their width is that of the points about their centroids.
    """
    trace = k_means(run)
    centroids, k = trace.final.params.centroids, run.params.n_components
    variance = -trace.final.objective / run.problem.sample.data.size
    circles = np.repeat(variance * np.eye(2)[None], k, axis=0)
    return MultivariateGaussianParams(centroids, circles, np.full(k, 1 / k))


@cached_quietly
def winners(run: Run) -> tuple[Array, Array]:
    """Return the component that each point goes to, by the mixture and by K-Means, (n,) each."""
    data, centroids = run.problem.sample.data, k_means(run).final.params
    with budget.turn(run.problem.cost * 2):
        mixture = run.problem.responsibilities(data, run.params)
        nearest = KMeans().e_step(data, centroids).responsibilities
    return mixture.argmax(axis=1), nearest.argmax(axis=1)


def _k_means_row(run: Run) -> list[dict[str, Any]]:
    ends = as_circles(run)
    trace, (_, theirs) = k_means(run), winners(run)
    return [hard_against_soft.row(run, "K-Means", ends, trace.n_iter, theirs)]


def draw_hard_against_soft(c: Controls, run: Run) -> None:
    """Draw hard assignment and K-Means beside soft, and how each divides the points."""
    st.markdown(
        "The same points from the same start, three ways. Hard assignment gives each point wholly "
        "to its likeliest component. K-Means does so too, and knows no widths, slants or shares: "
        "it takes plain distances, in the units that the data have, as if all components were "
        "equal circles. So its borders are straight lines, halfway between two centroids; those of "
        "the mixture may bend."
    )
    hard_against_soft.draw(c, run, more=_k_means_row)
    axes = axes_of(run)
    sections.in_row(
        [
            sections.gaussian_still(
                run, run.params, title="The mixture, at its end", hard=run.problem.hard, **axes
            ),
            sections.gaussian_still(
                run,
                as_circles(run),
                title="K-Means, at its end",
                hard=True,
                borders=True,
                **axes,
            ),
        ],
        key=c.key("beside"),
    )
    ours, theirs = winners(run)
    k = len(run.names)
    mine, other = (", ".join(f"{n:,}" for n in np.bincount(w, minlength=k)) for w in (ours, theirs))
    st.markdown(
        f"Points whose likeliest component is {', '.join(run.names)}: **{mine}**. Points nearest "
        f"to the centroid that started there: **{other}**. The two disagree about "
        f"{count(int((ours != theirs).sum()), 'point')} of {run.problem.n:,}."
    )


def axes_of(run: Run) -> dict[str, Any]:
    """Return what the axes of the run’s pictures are called, and whether their units are equal."""
    across, up = run.problem.data_columns
    return {"across": across, "up": up, "same_units": run.settings["data"] in TO_SCALE}


def draw_marginals(c: Controls, run: Run) -> None:
    """Draw what the points show along each axis alone."""
    st.markdown(
        "Seen along one axis alone, each component is a bell curve: its *marginal* density, with "
        "the mean and the variance in that direction. The slant of an ellipse is in neither."
    )
    across, up = run.problem.data_columns
    sections.in_row(sections.marginals(c, run, across=across, up=up), key=c.key("marginals"))


def draw_hill(c: Controls, run: Run) -> None:
    """Draw the hill over two parameters that the visitor chooses, and the lower bound."""
    left, right = st.columns(2)
    with left:
        across = _place(c.show("across"), run)
    with right:
        up = _place(c.show("up"), run)
    hill.draw(c, run, over=(across, up))


def _place(name: str, run: Run) -> tuple[str, tuple[int, ...]]:
    """Return what a choice of the hill means for a run, which may have fewer components."""
    field, k, axes = PLACES[name]
    return field, (min(k, len(run.names) - 1), *axes)


def draw_convergence(c: Controls, run: Run) -> None:
    """Draw the report on convergence."""
    floor = run.settings["floor"]
    caveat = ", unless an ellipse is held at the smallest width" if floor else ""
    convergence.draw(c, run, caveat=caveat)


SECTIONS = sections.sections_of(
    marginals=Section("Along each axis", ":material/align_horizontal_left:", draw_marginals),
    by_hand=draw_by_hand,
    hard_against_soft=draw_hard_against_soft,
    hill=draw_hill,
    how_many={},
    convergence=draw_convergence,
)
