"""Situations of the mixture in the plane, and what is often believed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from em_core.numerics import match_components
from em_ui.controls import Situation, Value, query
from em_ui.data import SIMULATED
from em_ui.run import Run, count
from em_ui.run.many_starts import many_starts
from pages.mixture_in_the_plane.problem import (
    FULL,
    LARGEST,
    MAX_COMPONENTS,
    POINTS,
    RINGS,
    ROUND,
    SPECS,
    TYPED,
    WORDS,
)
from pages.mixture_in_the_plane.sections import k_means, winners

STARTS = 20  # of which the best is taken


def groups(*components: tuple[float, float, float, float, float, int]) -> dict[str, Value]:
    """Return the settings of simulated groups.

    Parameters
    ----------
    components
        Mean x and y, standard deviation x and y, correlation and size of each.
    """
    values: dict[str, Value] = {"data": SIMULATED, "k": len(components), "guess": POINTS}
    names = ("x", "y", "sd_x", "sd_y", "corr", "size")
    for i, component in enumerate(components, 1):
        values |= {f"{name}{i}": value for name, value in zip(names, component, strict=True)}
    return values


def typed(*components: tuple[float, float, float, float]) -> dict[str, Value]:
    """Return the settings of a start: mean x and y, standard deviation x and y of each."""
    values: dict[str, Value] = {"guess": TYPED}
    names = ("start_x", "start_y", "start_sd_x", "start_sd_y")
    for i, component in enumerate(components, 1):
        values |= {f"{name}{i}": value for name, value in zip(names, component, strict=True)}
        values[f"start_corr{i}"] = 0.0
    return values


def bic(run: Run) -> float:
    """Return the BIC of a run's end, p log n - 2 log-likelihood: the smaller, the better."""
    p = run.problem.mixture.n_parameters(run.params)
    return float(p * np.log(run.problem.n) - 2 * run.trace.final.objective)


def correlations(covariances: np.ndarray) -> np.ndarray:
    """Return the correlation of each covariance matrix, shape (K,)."""
    x, y = covariances[:, 0, 0], covariances[:, 1, 1]
    return np.asarray(covariances[:, 0, 1] / np.sqrt(x * y))


def wrong(run: Run, found: np.ndarray, means: np.ndarray) -> float:
    """Return the share of points that are not with the component that matches their group."""
    sample: Any = run.problem.sample
    # The component that stands for each group, and the group that each component stands for.
    groups_of = np.argsort(match_components(means, sample.truth.means))
    return float(np.mean(groups_of[found] != sample.labels))


def old_faithful(run: Run) -> str:
    """Say where the means go at once, how the ellipses turn, and where EM ends."""
    first, end, climbed = run.steps[1].params, run.params, run.trace.objectives
    slants, data = correlations(end.covariances), run.problem.sample.data
    p = run.problem.mixture.n_parameters(end)
    mean = [", ".join(f"{v:.3f}" for v in place) for place in first.means]
    return (
        f"The first step makes {(climbed[1] - climbed[0]) / (climbed[-1] - climbed[0]):.0%} of the "
        f"climb: the means go to ({mean[0]}) and ({mean[1]}), and the shares to "
        f"{first.weights[0]:.3f} and {first.weights[1]:.3f}. Both ellipses shrink, and come to "
        f"lean to the right, with correlations {slants[0]:.2f} and {slants[1]:.2f}: within each "
        "kind, too, longer eruptions are followed by longer waits, though far less clearly than "
        f"over all ({np.corrcoef(data, rowvar=False)[0, 1]:.2f}). After "
        f"{count(run.trace.n_iter, 'iteration')} {100 * end.weights[0]:.1f}% of the eruptions are "
        f"of the short kind. The log-likelihood is {run.trace.final.objective:,.4f}; with {p} free "
        f"parameters that is a BIC of {bic(run):,.2f}, where smaller is better."
    )


def poor(run: Run) -> str:
    """Say where a bad start ends, and how much better others do."""
    end, starts = run.params, many_starts(run, STARTS)
    best = float(starts.table["limit log-likelihood"].max())
    wide = int(end.weights.argmax())
    pair = [name for k, name in enumerate(run.names) if k != wide]
    return (
        f"No. Components {' and '.join(pair)} share the upper group to the end, and component "
        f"{run.names[wide]} covers {end.weights[wide]:.0%} of all points, with the empty space "
        f"between them. Every step climbs, but only to {run.trace.final.objective:,.1f}, while the "
        f"best of {len(starts.table)} starts at random points reaches {best:,.1f}. Open *Many "
        "starts*."
    )


def parallel(run: Run) -> str:
    """Say how many points the mixture and K-Means give to the wrong cloud."""
    ours, theirs = winners(run)
    k_means_wrong = wrong(run, theirs, k_means(run).final.params.centroids)
    return (
        f"The mixture gives {wrong(run, ours, run.params.means):.1%} of the points to the wrong "
        f"cloud, K-Means {k_means_wrong:.1%}. To cut across both clouds leaves the points nearer "
        "to their centroids than to part them lengthwise, and plain distance is all that K-Means "
        "knows. The mixture learns that distance counts less along the clouds. See *Hard against "
        "soft*."
    )


def one(run: Run) -> str:
    """Say what one slanted ellipse makes of the points, and what two circles do."""
    slant = correlations(run.params.covariances)[0]
    two = run.other(find=2, kind=ROUND)
    within = [abs(np.corrcoef(points, rowvar=False)[0, 1]) for points in _by_group(run)]
    better = "two circles" if bic(two) < bic(run) else "one ellipse"
    return (
        f"A slanted ellipse across everything, with correlation {slant:.2f}, found in the first "
        "step: with one component nothing is hidden. But that slant is only where two groups lie: "
        f"within them the correlation is at most {max(within):.2f} in size. Look for 2 components "
        "and let them be round: with two parameters more, the log-likelihood rises from "
        f"{run.trace.final.objective:,.1f} to {two.trace.final.objective:,.1f}, and BIC goes from "
        f"{bic(run):,.0f} to {bic(two):,.0f}. The smaller is better: {better}."
    )


def _by_group(run: Run) -> list[np.ndarray]:
    sample: Any = run.problem.sample
    return [sample.data[sample.labels == k] for k in np.unique(sample.labels)]


def collapse(run: Run) -> str:
    """Say which component collapsed onto which point."""
    last = run.params
    k = int(np.trace(last.covariances, axis1=1, axis2=2).argmin())
    distances = np.linalg.norm(run.problem.sample.data - last.means[k], axis=1)
    return (
        f"Component {run.names[k]} keeps {run.problem.n * last.weights[k]:.2f} points: it sits on "
        f"point {distances.argmin() + 1} alone and narrows, and its density there grows without "
        f"bound, so after {count(run.trace.n_iter, 'iteration')} there is no finite likelihood any "
        "more. Slanted ellipses can do so with two points already, since these lie on a line. A "
        "smallest width above 0 prevents it, though not the bad place."
    )


def rings(run: Run) -> str:
    """Say how many points end with the other ring, and how many do with the labels known."""
    data, labels = run.problem.sample.data, run.problem.sample.labels
    known: Any = run.problem.sample.truth
    found, with_labels = (
        run.problem.responsibilities(data, params).argmax(axis=1) for params in (run.params, known)
    )
    there = run.problem.fit(known, tol=0, max_iter=0).final.objective
    return (
        f"No: {wrong(run, found, run.params.means):.0%} of the points end with the other ring, "
        "hardly better than a coin would do. Other starts do not help, nor would the labels: two "
        "Gaussians, each fitted to one ring, still give "
        f"{np.mean(with_labels != labels):.0%} of the points to the wrong one, and their "
        f"log-likelihood is {run.trace.final.objective - there:,.1f} lower. Two Gaussians meet in "
        "a line, an ellipse, a parabola or a hyperbola, and none of these parts two rings that "
        "cross. More components follow the rings more closely; which of them belong together, the "
        "likelihood does not say."
    )


def too_many(run: Run) -> str:
    """Say what more components gain, and whether BIC finds them worth it."""
    three = run.other(find=3)
    gain = run.trace.final.objective - three.trace.final.objective
    p, q = (r.problem.mixture.n_parameters(r.params) for r in (run, three))
    worth = "does not pay" if bic(run) > bic(three) else "pays"
    return (
        f"{'Yes' if gain > 0 else 'No'}: it ends at {run.trace.final.objective:,.1f} instead of "
        f"{three.trace.final.objective:,.1f}. But that takes {p} free parameters instead of {q}, "
        f"and by BIC it {worth}: {bic(run):,.0f} with five components, {bic(three):,.0f} with "
        "three, and smaller is better. The additional ones cut groups up, or settle on a few "
        "points that happen to lie together."
    )


PARALLEL = groups((-0.9, 1.2, 4.0, 3.0, 0.98, 300), (0.9, -1.2, 4.0, 3.0, 0.98, 300))
TWO_ROUND = groups((-1.5, -1.5, 1.0, 1.0, 0.0, 200), (1.5, 1.5, 1.0, 1.0, 0.0, 200))
UPPER_TWICE = typed((-2.0, 7.0, 1.0, 1.0), (2.0, 7.0, 1.0, 1.0), (0.0, 0.0, 4.0, 1.0))
FEW: dict[str, Value] = {"data": SIMULATED, "guess": POINTS, "kind": ROUND, "floor": 0.0}
FEW |= {f"size{i}": 5 for i in (1, 2, 3)}
SITUATIONS = {
    "Old Faithful": Situation(
        {},
        "How long a geyser erupted, and how long one then waited for the next eruption. EM starts "
        "from two ellipses without any slant. How will they turn? And how many eruptions will be "
        "of the short kind: half of them, more, or fewer?",
        old_faithful,
    ),
    "A poor local optimum": Situation(
        {"data": SIMULATED, **UPPER_TWICE, "max_iter": 500},
        "Two of three components start side by side in the upper group of points, and the third "
        "below. Will EM sort this out?",
        poor,
        moves=("guess", "guess_seed", "start"),
    ),
    "Two long parallel clouds": Situation(
        {**PARALLEL, "start": 2},
        "Two clouds, long and thin, side by side. K-Means and the mixture start from the same two "
        "points. Where will each put the border?",
        parallel,
        moves=("start",),
        sealed_question="K-Means and the mixture start from the same two points. Where will each "
        "put the border?",
    ),
    "One component where two would do": Situation(
        {**TWO_ROUND, "find": 1, "kind": FULL},
        "Two round groups lie next to each other, but EM is told to look for one component, whose "
        "ellipse may have any shape. What will it look like?",
        one,
        moves=("find", "kind"),
        sealed_question="EM is told to look for one component, whose ellipse may have any shape. "
        "What will it look like?",
    ),
    "A collapse in the plane": Situation(
        FEW,
        "Three groups of only five points, round components, and no smallest width. What can go "
        "wrong?",
        collapse,
        moves=("floor",),
        sealed_question="Few points, round components, and no smallest width. What can go wrong?",
    ),
    "Two rings": Situation(
        {"data": RINGS, "guess": POINTS, "start": 3},
        "Two rings of points, each through the centre of the other, and two components. The labels "
        "say which ring a point is of. Will EM find the rings?",
        rings,
        moves=("start", "guess_seed"),
    ),
    "Too many components": Situation(
        {"data": SIMULATED, "guess": POINTS, "find": 5, "start": 8, "max_iter": 500},
        "Three groups and five components. Will the log-likelihood be higher than with three? And "
        "is that worth it?",
        too_many,
        moves=("find",),
        sealed_question="Five components. Will the log-likelihood be higher than with three? And "
        "is that worth it?",
    ),
}

MISCONCEPTIONS = (
    (
        "The ellipses are the clusters.",
        "An ellipse at two standard deviations holds about 86% of its component’s probability, not "
        "all. Each component reaches everywhere, and each point belongs a little to every one.",
    ),
    (
        "A point belongs to the nearest mean.",
        "To K-Means it does. In a mixture distance is measured in the ellipse’s own units, and the "
        "share counts too: a wide or frequent component may win a point that is nearer to another.",
    ),
    (
        "Full covariances are always better, since they can do everything.",
        "At its best the likelihood is at least as high. But they have the most parameters to "
        "estimate, collapse onto as few as two points, and with few data the simpler ones may "
        "foretell new points better.",
    ),
    (
        "EM finds the groups, whatever they look like.",
        "It finds Gaussians. Where groups are bent, or rings, the best Gaussians need not be the "
        "groups at all.",
    ),
)


def link_to_groups(
    components: Sequence[tuple[float, float, float, float, float, int]], **more: Value
) -> dict[str, str]:
    """Return the query of simulated groups; all else is as at first, or in ``more``.

    Parameters
    ----------
    components
        As for :func:`groups`.
    more
        Further settings, by the names of their controls.
    """
    return query(WORDS.prefix, SPECS, groups(*components) | more)


def link_to_the_largest() -> dict[str, str]:
    """Return the query of the dearest run: overlapping groups as large and as many as allowed."""
    overlapping = ((float(k), float(k % 3), 3.0, 3.0, 0.0, LARGEST) for k in range(MAX_COMPONENTS))
    return link_to_groups(tuple(overlapping), tol="0", max_iter=500)
