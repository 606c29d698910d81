"""The controls of K-Means, and the problem that they set."""

from types import SimpleNamespace

import numpy as np

from em_core import KMeans, KMeansParams
from em_core.models.kmeans import guess_from_points, guess_plus_plus, guess_uniform, simulate
from em_ui import controls
from em_ui.controls import Choice, Number
from em_ui.run import (
    GUESS,
    Objective,
    Problem,
    Quantity,
    Settings,
    Words,
    check_enough,
    data_entropy,
    stream,
)

MAX_CLUSTERS = 8
NAMES = tuple("12345678")
TYPED, POINTS = "Typed in", "Random data points"
GUESSES = {
    POINTS: guess_from_points,
    "k-means++": guess_plus_plus,
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
    "data_seed": controls.seed("Data seed", 6),
    "student": controls.student(),
    "find": controls.to_find("Centroids", MAX_CLUSTERS),
    "guess": Choice("Initial guess", (*GUESSES, TYPED), POINTS),
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


def problem(settings: Settings) -> Problem:
    """Return the problem that the controls set."""
    s = SimpleNamespace(**settings)
    rest, entropy = s.k - 1, data_entropy(settings)
    sizes = [s.size] + [max(1, round(s.size * s.rest_size))] * rest
    spreads = [s.spread] + [s.spread * s.rest_spread] * rest
    sample = simulate(sizes, spread=spreads, rng=np.random.default_rng(entropy))
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
        words=WORDS,
        model=KMeans(),
        sample=sample,
        start=start,
        guess=guess,
        guess_seed=s.guess_seed,
        truth=sample.truth,
        tol=float(s.tol),
        max_iter=s.max_iter,
        data_lines=[
            f"rng = np.random.default_rng({entropy})",
            f"data = simulate({sizes}, spread={spreads}, rng=rng).data",
        ],
        data_columns=["x", "y"],
        imports=["simulate"],
        drawn=POINTS if s.guess == TYPED else None,
    )
