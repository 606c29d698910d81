"""The controls of K-Means, and the problem that they set."""

import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from em_core import KMeans, KMeansParams, Sample
from em_core.models.kmeans import draw_centres, guess_from_points, guess_plus_plus, guess_uniform
from em_core.numerics import Array
from em_ui import controls, data
from em_ui.controls import Choice, Number
from em_ui.data import Given, Published, reach
from em_ui.data.read import MAX_GROUPS
from em_ui.inert import plain
from em_ui.run import (
    Objective,
    Problem,
    Quantity,
    Settings,
    Words,
    budget,
    check_enough,
    data_entropy,
    in_digits,
    pose,
)
from em_ui.sections import starts

MAX_CLUSTERS, MAX_COLUMNS = 8, 8
NAMES = tuple(str(k) for k in range(1, MAX_GROUPS + 1))  # labels may name more than are found
EFFORT = 0.05  # of the time of a Gaussian, that a coordinate of a point takes
TYPED, POINTS, PLUS_PLUS = "Typed in", "Random data points", "k-means++"
GUESSES = {
    POINTS: guess_from_points,
    PLUS_PLUS: guess_plus_plus,
    "Random places": guess_uniform,
}


WORDS = Words(
    title="K-Means",
    prefix="km",
    observation="point",
    component="centroid",
    group="cluster",
    names=NAMES,
    by="centroids",
    quantities={"centroids": Quantity("Centroid", "c", ".4f")},
    objective=Objective("Inertia", sign=-1),
    algorithm="K-Means",
    start_from="the true centres",
)

PUBLISHED = (
    Published("Old Faithful", "old_faithful", ("eruptions", "waiting")),
    Published(
        "Iris", "iris", ("sepal length", "sepal width", "petal length", "petal width"), groups=3
    ),
)
_LARGEST = 1e151  # number that may be typed in
_NEAR = 50.0  # to zero, that starts are typed in for simulated clusters
_PRINTED = (1e-6, 1e15)  # between what inertias are printed without powers of ten
_PLACES = range(1, MAX_CLUSTERS + 1)

TYPED_STARTS = {
    f"start_{axis}{k}": Number(
        f"Start {axis} {k}", float(k - 4), -_LARGEST, _LARGEST, 0.5, fits_data=True
    )
    for k in _PLACES
    for axis in "xy"
}
FIND = controls.to_find("Centroids", MAX_CLUSTERS)
GUESS = Choice("Initial guess", (*GUESSES, starts.CHOSEN, TYPED), POINTS)
SPECS = {
    "data": data.choice(PUBLISHED),
    "own": data.Own(several=(2, MAX_COLUMNS)),
    "k": Number("Clusters", 3, 1, MAX_CLUSTERS, 1),
    "size": Number("Points per cluster", 200, 1, 12_500, 1),
    "spread": Number("Spread of a cluster", 1.0, 0.1, 5.0, 0.1, slider=True),
    "rest_size": Number(
        "Size of the others, relative to cluster 1", 1.0, 0.05, 1.0, 0.05, slider=True
    ),
    "rest_spread": Number(
        "Spread of the others, relative to cluster 1", 1.0, 0.1, 1.0, 0.1, slider=True
    ),
    "find": FIND,
    "guess": GUESS,
    **TYPED_STARTS,
    **starts.specs("centroid"),
    **controls.usual("point", data_seed=6, tol="0"),
}

_AXIS = "With 0: of the columns that are not on the other axis, the one that varies most."
ACROSS = Number("Across", 0, 0, MAX_COLUMNS, 1, _AXIS, to_the_last=True)
UP = Number("Upwards", 0, 0, MAX_COLUMNS, 1, _AXIS, to_the_last=True)


def to_look_for(settings: Settings, given: Given | None) -> int:
    """Return how many centroids there are: if nobody says, as many as groups are known of."""
    groups = settings["k"] if given is None else given.n_groups
    return int(settings["find"] or min(groups, MAX_CLUSTERS))


def find_as_told(given: Given | None) -> Number:
    """Return the control of the number of centroids, which says what 0 stands for."""
    if given is None:
        return FIND
    why = "the number of known groups" if given.groups else "since nobody knows how many there are"
    most = min(given.n_groups, MAX_CLUSTERS)
    if given.n_groups > most:
        why = f"since no more can be looked for, and {given.n_groups} groups are known"
    return replace(FIND, help=f"With 0: {most}, {why}.")


def typed_starts(given: Given | None, find: int) -> dict[str, Number]:
    """Return the controls of starts that are typed in, with bounds and defaults for the data.

    They go beyond given data by their range, and lie evenly between their lower left and their
    upper right corner. Simulated clusters lie around 0.
    """
    if given is None:
        return {name: replace(spec, low=-_NEAR, high=_NEAR) for name, spec in TYPED_STARTS.items()}
    adapted = {}
    for axis, values in zip("xy", given.values.T, strict=True):
        low, high = float(values.min()), float(values.max())
        size = high - low or abs(low) or 1.0
        least, most = reach(values)
        digits = 2 - math.floor(math.log10(size))  # after the point
        for k in _PLACES:
            place = low + (high - low) * min((k - 0.5) / find, 1.0)
            adapted[f"start_{axis}{k}"] = Number(
                f"Start {axis} {k}",
                round(place, digits),
                least,
                most,
                10.0**-digits,
                format=f"%.{max(digits, 0)}f",
                fits_data=True,
            )
    return adapted


def guess_options(given: Given | None) -> Choice:
    """Return the choice of initial guesses: starts are typed in where there is a plane."""
    flat = given is None or given.values.shape[1] == len("xy")
    return replace(GUESS, options=tuple(o for o in GUESS.options if flat or o != TYPED))


def simulated_clusters(s: Any, seeds: Sequence[Sequence[int]]) -> tuple[Sample[Any], list[str]]:
    """Draw clusters around centres; return them with the Python that draws them again."""
    rest = s.k - 1
    sizes = [s.size] + [max(1, round(s.size * s.rest_size))] * rest
    spreads = [s.spread] + [s.spread * s.rest_spread] * rest
    rng = np.random.default_rng(seeds[0])
    centres = draw_centres(s.k, rng=rng)
    if s.student:  # the class has the same centres, and each student other points around them
        rng = np.random.default_rng(seeds[1])
    with budget.turn(budget.DRAWING * sum(sizes)):
        sample = KMeans().simulate(centres, sizes, rng=rng, spread=spreads)
    return sample, [
        f"rng = np.random.default_rng({seeds[0]})",
        f"centres = draw_centres({s.k}, rng=rng)",
        *[f"rng = np.random.default_rng({seeds[1]})"] * (s.student > 0),
        f"data = KMeans().simulate(centres, {sizes}, rng=rng, spread={spreads}).data",
    ]


def problem(settings: Settings) -> Problem:
    """Return the problem that the controls set."""
    s = SimpleNamespace(**settings)
    given = data.given(settings, PUBLISHED)
    words, find = WORDS, to_look_for(settings, given)
    if given is None:
        seeds = [data_entropy({**settings, "student": 0}), data_entropy(settings)]
        sample, lines = simulated_clusters(s, seeds)
    else:
        values = given.values
        sample = given.sample(
            KMeans(), values, lambda k, rng: guess_from_points(values, k, rng=rng)
        )
        lines = given.lines(WORDS)
        words = replace(
            in_digits(WORDS, values, "centroids"),
            objective=replace(WORDS.objective, format=_inertia_format(values)),
            axes=plain(given.columns),
            known=plain(given.groups),
        )
    method = GUESSES.get(s.guess, guess_from_points)

    def guess(rng: np.random.Generator) -> KMeansParams:
        if method is not guess_uniform:
            check_enough(find, len(sample.data))
        return method(sample.data, find, rng=rng)

    return pose(
        words,
        settings,
        KMeans(),
        sample,
        guess,
        typed=_typed(settings, sample.data, find),
        data_lines=lines,
        data_columns=given.columns if given else ["x", "y"],
        imports=["draw_centres"] * (given is None),
        drawn=POINTS if s.guess not in GUESSES else None,
        truth_known=given is None,
        effort=EFFORT * sample.data.shape[1],
    )


def _inertia_format(values: Array) -> str:
    """Return the format of inertias of given data: more decimals where they are small."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.var(values, axis=0).sum() * len(values))  # that of one cluster
    if total == 0:
        return WORDS.objective.format
    if not _PRINTED[0] <= total < _PRINTED[1]:
        return ".6g"
    return f",.{max(4 - math.floor(math.log10(total)), 4)}f"


def _typed(settings: Settings, points: Array, find: int) -> KMeansParams | None:
    """Return the centroids that the settings name one by one, if they do.

    Those that are typed in lie in the plane: of more columns, random points are taken.
    """
    if settings["guess"] == starts.CHOSEN:
        return KMeansParams(starts.points(settings, points, find))
    if settings["guess"] == TYPED and points.shape[1] == len("xy"):
        places = [[settings[f"start_{axis}{k}"] for axis in "xy"] for k in range(1, find + 1)]
        return KMeansParams(places)
    return None
