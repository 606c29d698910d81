"""Maximum likelihood: one Gaussian in closed form, and the hidden label that breaks it."""

import numpy as np
import pyarrow as pa

from em_core import GaussianMixture, GaussianParams, fit_labelled
from em_core.engine import Array
from em_core.models import gaussian, gaussian_mixture
from em_ui.controls import page as controls
from em_ui.controls.page import Number, Situation, Switch
from em_ui.pictures import frames
from em_ui.pictures.format import pack
from em_ui.run.compute import DATA, cached_run, stream
from em_ui.sections import landscape

GROUPS = ("Women", "Men")
# Two equal groups at mean ± 0.7 sd, each with the rest of the variance, have together the mean
# and the standard deviation of the one group.
SEPARATION = 0.7
BINS, CURVE_POINTS = 40, 200

SPECS = {
    "mean": Number("True mean μ (cm)", 170.0, 100.0, 250.0, 1.0, slider=True),
    "std": Number("True standard deviation σ (cm)", 10.0, 1.0, 30.0, 0.5, slider=True),
    "size": Number("Number of adults", 1_000, 2, 100_000, 1),
    "data_seed": controls.seed("Data seed"),
    "guess_mean": Number("Your μ (cm)", 162.0, 100.0, 250.0, 0.5, slider=True),
    "guess_std": Number("Your σ (cm)", 14.0, 1.0, 30.0, 0.1, slider=True),
    "labels": Switch("Show who is who", False),
}
SITUATIONS = {
    "1,000 adults": Situation(
        {},
        "Try to reach the top of the hill with both sliders. Does it help to move one at a time?",
        "Here it does: the best μ is the same for every σ. With the hidden label below, nothing is "
        "so simple.",
    ),
    "Ten adults": Situation(
        {"size": 10},
        "Ten heights only. Will the top of the hill lie at the truth?",
        "Rarely: the top is the best fit to these ten, and ten others would give another. "
        "The bands show the loss per adult; with ten adults, the same band is a hundredth of "
        "the loss that it is with a thousand, so many guesses are nearly as good.",
    ),
    "A guess that is too narrow": Situation(
        {"guess_mean": 170.0, "guess_std": 4.0},
        "The mean is right, but σ is 4 instead of 10. Which heights spoil the log-likelihood?",
        "The tallest and the shortest. A narrow curve calls them next to impossible, and one such "
        "height costs more than many good ones gain.",
    ),
}


@cached_run
def one_group(mean: float, std: float, size: int, seed: int) -> tuple[Array, pa.Table]:
    heights = gaussian.simulate(mean, std, size, rng=stream(seed, DATA))
    density, edges = np.histogram(heights, bins=BINS, density=True)
    return heights, frames.arrow({"low": edges[:-1], "high": edges[1:], "height": density})


@cached_run
def two_groups(mean: float, std: float, size: int, seed: int) -> dict[str, pa.Table]:
    means = mean + SEPARATION * std * np.array([-1, 1])
    stds = np.full(2, std * np.sqrt(1 - SEPARATION**2))
    sizes = [size - size // 2, size // 2]
    sample = gaussian_mixture.simulate(means, stds, sizes, rng=stream(seed, DATA, 1))
    known = fit_labelled(GaussianMixture(), sample.data, sample.labels, sample.truth)
    mean_, std_ = gaussian.maximum_likelihood(sample.data)
    together = GaussianParams([mean_], [std_], [1])
    edges = np.histogram_bin_edges(sample.data, bins=BINS)
    counts = [np.histogram(sample.data[sample.labels == k], bins=edges)[0] for k in (0, 1)]
    width = edges[1] - edges[0]
    bars = frames.arrow(
        {
            "low": np.tile(edges[:-1], 2),
            "high": np.tile(edges[1:], 2),
            "label": [f"{middle:.1f}" for middle in (edges[:-1] + edges[1:]) / 2] * 2,
            "height": np.concatenate(counts) / (size * width),
            "component": np.repeat(GROUPS, BINS),
            "share": pack(np.ones((1, 2 * BINS))),
        }
    )
    grid = {
        "low": edges[0],
        "high": edges[-1],
        "step": (edges[-1] - edges[0]) / CURVE_POINTS,
        "top": 1.2 * sum(counts).max() / (size * width),
    }
    return {
        "bars": bars,
        "bars together": frames.extend(bars.drop_columns("component"), component="Adults"),
        "known": frames.extend(frames.by_component(known, GROUPS), iteration=0, **grid),
        "together": frames.extend(frames.by_component(together, ["Adults"]), iteration=0, **grid),
        "truth": frames.extend(frames.by_component(sample.truth, GROUPS), **grid),
    }


def surface(heights: Array, guess: gaussian.Estimate) -> tuple[pa.Table, gaussian.Estimate]:
    best = gaussian.maximum_likelihood(heights)
    reach = max(2 * best.std, 1.1 * abs(guess.mean - best.mean))
    low, high = min(best.std / 2.5, guess.std / 1.1), max(2.2 * best.std, 1.1 * guess.std)
    means, stds = landscape.edges(best.mean - reach, best.mean + reach), landscape.edges(low, high)
    x, y = (edges[:-1] + np.diff(edges) / 2 for edges in (means, stds))
    values = gaussian.log_likelihood(heights, x[:, None], y[None, :])
    top = float(gaussian.log_likelihood(heights, *best))
    return landscape.surface(values, means, stds, n=len(heights), top=top), best
