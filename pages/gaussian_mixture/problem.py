"""The controls of the Gaussian mixture, and the problem that they set."""

from types import SimpleNamespace

import numpy as np

from em_core import GaussianMixture, GaussianParams
from em_core.models.gaussian_mixture import guess_from_points, guess_integers
from em_core.numerics import equal_weights
from em_ui import controls
from em_ui.controls import Choice, Number, Switch
from em_ui.run import Problem, Quantity, Settings, Words, check_enough, pose, simulated

MAX_COMPONENTS, LARGEST = 8, 12_500
TYPED, POINTS = "Typed in", "Random data points"
GUESSES = {"Whole numbers, as in the article": guess_integers, POINTS: guess_from_points}
WORDS = Words(
    title="Gaussian mixture",
    prefix="gm",
    observation="value",
    component="component",
    group="group",
    names=tuple("12345678"),
    by="means",
    quantities={
        "means": Quantity("Mean", "μ", ".2f"),
        "stds": Quantity("Standard deviation", "σ", ".2f"),
        "weights": Quantity("Mixing weight", "π", ".3f"),
    },
)
MEANS = (-10.0, 30.0, 3.0, 60.0, -40.0, 90.0, -70.0, 120.0)
STDS = (3.0, 7.0, 5.0, 4.0, 6.0, 5.0, 4.0, 6.0)
SPECS = {
    "k": Number("Components", 3, 1, MAX_COMPONENTS, 1),
    **{
        f"{field}{i}": spec
        for i, (mean, std) in enumerate(zip(MEANS, STDS, strict=True), 1)
        for field, spec in {
            "mean": Number(f"Mean {i}", mean, -1_000.0, 1_000.0, 1.0, format="%g"),
            "sd": Number(f"SD {i}", std, 0.1, 200.0, 0.5, format="%g"),
            "size": Number(f"Size {i}", 1_000, 1, LARGEST, 1),
            "start_mean": Number(f"Start mean {i}", mean, -1_000.0, 1_000.0, 1.0, format="%g"),
            "start_sd": Number(f"Start SD {i}", 5.0, 0.01, 200.0, 0.5, format="%g"),
        }.items()
    },
    "find": controls.to_find("Components", MAX_COMPONENTS),
    "guess": Choice("Initial guess", (*GUESSES, TYPED), next(iter(GUESSES))),
    "weights": Switch("Estimate mixing weights", True, "Off: they stay equal, as in the article."),
    "hard": Switch("Hard assignment", False, "Each value goes wholly to its likeliest component."),
    "floor": Number(
        "Smallest standard deviation",
        0.05,
        0.0,
        10.0,
        0.05,
        "With 0, a component may collapse onto a single value.",
        format="%g",
    ),
    **controls.usual("value", guess_seed=46, max_iter=20),
}


def problem(settings: Settings) -> Problem:
    """Return the problem that the controls set."""
    s = SimpleNamespace(**settings)
    mixture = GaussianMixture(min_std=s.floor, estimate_weights=s.weights)
    means, stds, sizes = (
        [settings[f"{field}{i}"] for i in range(1, s.k + 1)] for field in ("mean", "sd", "size")
    )
    groups = GaussianParams(means, stds, np.array(sizes) / sum(sizes))
    sample, lines = simulated(mixture, groups, sizes, settings)
    find = s.find or s.k
    method = GUESSES.get(s.guess, guess_from_points)

    def floored(params: GaussianParams) -> GaussianParams:
        return GaussianParams(params.means, np.maximum(params.stds, s.floor), params.weights)

    def guess(rng: np.random.Generator) -> GaussianParams:
        if method is guess_from_points:
            check_enough(find, len(sample.data))
        return floored(method(sample.data, find, rng=rng))

    typed = None
    if s.guess == TYPED:
        means, stds = (
            [settings[f"start_{f}{i}"] for i in range(1, find + 1)] for f in ("mean", "sd")
        )
        typed = floored(GaussianParams(means, stds, equal_weights(find)))
    truth = floored(groups)
    if not s.weights:
        truth = GaussianParams(truth.means, truth.stds, equal_weights(s.k))
    return pose(
        WORDS,
        settings,
        mixture,
        sample,
        guess,
        typed=typed,
        truth=truth,
        data_lines=lines,
        data_columns=["value"],
        fixed=() if s.weights else ("weights",),
        drawn=POINTS if typed else None,
    )
