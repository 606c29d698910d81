"""The controls of maximum likelihood, and what they set: one group, and two with hidden labels."""

from typing import Any

import numpy as np
import pyarrow as pa

from em_core import GaussianMixture, GaussianParams, fit_labelled
from em_core.models import gaussian
from em_core.numerics import Array
from em_ui import controls
from em_ui.controls import Control, Number, Switch
from em_ui.pictures import frames
from em_ui.pictures.format import pack
from em_ui.run import DATA, cached_quietly, stream

PREFIX = "ml"
GROUPS = ("Women", "Men")
# Two equal groups at mean ± 0.7 sd, each with the rest of the variance, have together the mean
# and the standard deviation of the one group.
SEPARATION = 0.7
BINS = 40

SPECS: dict[str, Control] = {
    "mean": Number("True mean μ (cm)", 170.0, 100.0, 250.0, 1.0, slider=True),
    "std": Number("True standard deviation σ (cm)", 10.0, 1.0, 30.0, 0.5, slider=True),
    "size": Number("Number of adults", 1_000, 2, 100_000, 1),
    "data_seed": controls.seed("Data seed"),
    "guess_mean": Number("Your μ (cm)", 162.0, 100.0, 250.0, 0.5, slider=True),
    "guess_std": Number("Your σ (cm)", 14.0, 1.0, 30.0, 0.1, slider=True),
    "labels": Switch("Show who is who", False),
}


def group_means(mean: float, std: float) -> np.ndarray:
    """Return the means of two groups that together have this mean and standard deviation."""
    return mean + SEPARATION * std * np.array([-1, 1])


def group_std(std: float) -> float:
    """Return the standard deviation of each of these groups."""
    return float(std * np.sqrt(1 - SEPARATION**2))


@cached_quietly
def one_group(mean: float, std: float, size: int, seed: int) -> tuple[Array, pa.Table]:
    """Return the heights of one group, and the bars of their histogram."""
    heights = gaussian.simulate(mean, std, size, rng=stream(seed, DATA))
    density, edges = np.histogram(heights, bins=BINS, density=True)
    return heights, frames.arrow({"low": edges[:-1], "high": edges[1:], "height": density})


@cached_quietly
def two_groups(mean: float, std: float, size: int, seed: int) -> dict[str, pa.Table]:
    """Return the histogram of two groups, and their curves with and without the labels."""
    means, stds = group_means(mean, std), [group_std(std)] * 2
    sizes = [size - size // 2, size // 2]
    groups = GaussianParams(means, stds, np.array(sizes) / size)
    sample = GaussianMixture().simulate(groups, sizes, rng=stream(seed, DATA, 1))
    labels: Any = sample.labels
    known = fit_labelled(GaussianMixture(), sample.data, labels, groups)
    mean_, std_ = gaussian.maximum_likelihood(sample.data)
    together = GaussianParams([mean_], [std_], [1])
    edges = np.histogram_bin_edges(sample.data, bins=BINS)
    counts = [np.histogram(sample.data[labels == k], bins=edges)[0] for k in (0, 1)]
    width = edges[1] - edges[0]
    bars = frames.arrow(
        {
            "low": np.tile(edges[:-1], 2),
            "high": np.tile(edges[1:], 2),
            "label": [f"{middle:.1f}" for middle in (edges[:-1] + edges[1:]) / 2] * 2,
            "height": np.concatenate(counts) / (size * width),
            "component": np.repeat(GROUPS, BINS),
            "order": np.repeat([0, 1], BINS),
            "share": pack(np.ones((1, 2 * BINS))),
        }
    )
    grid = frames.curve_grid(edges, np.sum(counts, axis=0).max() / (size * width))
    return {
        "bars": bars,
        "bars together": frames.extend(bars.drop_columns("component"), component="Adults"),
        "known": frames.extend(frames.by_component(known, GROUPS), iteration=0, **grid),
        "together": frames.extend(frames.by_component(together, ["Adults"]), iteration=0, **grid),
        "truth": frames.extend(frames.by_component(groups, GROUPS), **grid),
    }
