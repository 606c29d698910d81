"""The controls of K-Means, and the problem that they set."""

from types import SimpleNamespace

import numpy as np

from em_core import KMeans, KMeansParams
from em_core.models.kmeans import draw_centres, guess_from_points, guess_plus_plus, guess_uniform
from em_ui import controls
from em_ui.controls import Choice, Number
from em_ui.run import (
    Objective,
    Problem,
    Quantity,
    Settings,
    Words,
    check_enough,
    data_entropy,
    pose,
)
from em_ui.sections import starts

MAX_CLUSTERS = 8
NAMES = tuple("12345678")
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
    "find": controls.to_find("Centroids", MAX_CLUSTERS),
    "guess": Choice("Initial guess", (*GUESSES, starts.CHOSEN, TYPED), POINTS),
    **{
        f"start_{axis}{k}": Number(f"Start {name}, {axis}", float(k - 4), -50.0, 50.0, 0.5)
        for k, name in enumerate(NAMES, 1)
        for axis in "xy"
    },
    **starts.specs("centroids"),
    **controls.usual("point", data_seed=6, tol="0"),
}


def problem(settings: Settings) -> Problem:
    """Return the problem that the controls set."""
    s = SimpleNamespace(**settings)
    rest, seeds = s.k - 1, [data_entropy({**settings, "student": 0}), data_entropy(settings)]
    sizes = [s.size] + [max(1, round(s.size * s.rest_size))] * rest
    spreads = [s.spread] + [s.spread * s.rest_spread] * rest
    rng = np.random.default_rng(seeds[0])
    centres = draw_centres(s.k, rng=rng)
    if s.student:  # the class has the same centres, and each student other points around them
        rng = np.random.default_rng(seeds[1])
    sample = KMeans().simulate(centres, sizes, rng=rng, spread=spreads)
    find = s.find or s.k
    method = GUESSES.get(s.guess, guess_from_points)

    def guess(rng: np.random.Generator) -> KMeansParams:
        if method is not guess_uniform:
            check_enough(find, len(sample.data))
        return method(sample.data, find, rng=rng)

    typed = None
    if s.guess == TYPED:
        places = [[settings[f"start_{axis}{k}"] for axis in "xy"] for k in range(1, find + 1)]
        typed = KMeansParams(places)
    elif s.guess == starts.CHOSEN:
        typed = KMeansParams(starts.points(settings, sample.data, find))
    return pose(
        WORDS,
        settings,
        KMeans(),
        sample,
        guess,
        typed=typed,
        data_lines=[
            f"rng = np.random.default_rng({seeds[0]})",
            f"centres = draw_centres({s.k}, rng=rng)",
            *[f"rng = np.random.default_rng({seeds[1]})"] * (s.student > 0),
            f"data = KMeans().simulate(centres, {sizes}, rng=rng, spread={spreads}).data",
        ],
        data_columns=["x", "y"],
        imports=["draw_centres"],
        drawn=POINTS if typed else None,
    )
