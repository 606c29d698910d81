"""The controls of maximum likelihood, and what they set: one group, and two with hidden labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from em_core import GaussianMixture, GaussianParams, fit, fit_labelled
from em_core.models import gaussian
from em_core.models.gaussian import Estimate
from em_core.numerics import Array, equal_weights
from em_ui import controls
from em_ui.controls import Control, Number, Switch
from em_ui.pictures import frames
from em_ui.pictures.format import pack
from em_ui.run import DATA, budget, cached_quietly, simulated, stream

PREFIX = "ml"
GROUPS = ("Women", "Men")
# Two equal groups at mean ± 0.8 sd, each with the rest of the variance, have together the mean and
# the standard deviation of the one group; and all of these numbers have one decimal.
SEPARATION, SPREAD = 0.8, 0.6
MOST_IN_A_GROUP = 12_500  # as many as the page takes that finds the groups
MOST_BINS = 60
MEANS, STDS = (100.0, 250.0), (1.0, 30.0)

SPECS: dict[str, Control] = {
    "mean": Number("True mean μ (cm)", 170.0, *MEANS, 1.0, slider=True, format="%g"),
    "std": Number("True standard deviation σ (cm)", 10.0, *STDS, 0.5, slider=True, format="%g"),
    "size": Number("Number of adults", 1_000, 2, 100_000, 1),
    "data_seed": controls.seed("Data seed"),
    "guess_mean": Number("Your μ (cm)", 162.0, *MEANS, 0.5, slider=True, format="%g"),
    "guess_std": Number("Your σ (cm)", 14.0, *STDS, 0.1, slider=True, format="%g"),
    "hill": Switch(
        "Show the hill and its top",
        False,
        "The log-likelihood of every guess, and the best one. Search for it yourself first.",
    ),
    "labels": Switch("Show who is who", False),
}


def bin_edges(values: Array) -> Array:
    """Return the edges of a histogram's bins: the more values, the more bins.

    They follow the rule of Sturges (1926) where values are few, and that of Scott (1979) where they
    are many: both were made for normal data. There are no more than :data:`MOST_BINS`.
    """
    rules = (np.histogram_bin_edges(values, rule) for rule in ("sturges", "scott"))
    edges = max(rules, key=len)
    return edges if len(edges) <= MOST_BINS + 1 else np.histogram_bin_edges(values, MOST_BINS)


def histogram(values: Array) -> pa.Table:
    """Return the undivided bars of a histogram, of area one in all: low, high, height."""
    density, edges = np.histogram(values, bins=bin_edges(values), density=True)
    return frames.arrow({"low": edges[:-1], "high": edges[1:], "height": density})


@cached_quietly
def one_group(mean: float, std: float, size: int, seed: int) -> tuple[Array, pa.Table]:
    """Return the heights of one group, and the bars of their histogram."""
    heights = gaussian.simulate(mean, std, size, rng=stream(seed, DATA))
    return heights, histogram(heights)


@dataclass(frozen=True)
class TwoGroups:
    """Two groups of adults, and what can be estimated with and without their labels.

    Attributes
    ----------
    heights, labels : ndarray, shape (n,)
        In cm, and the number of each one's group.
    truth : GaussianParams
        What they are drawn from.
    sizes : list of int
        Number of women, and of men.
    known : GaussianParams
        Estimated with the labels known.
    together : Estimate
        One normal distribution for all.
    """

    heights: Array
    labels: Array
    truth: GaussianParams
    sizes: list[int]
    known: GaussianParams
    together: Estimate

    @cached_property
    def bars(self) -> pa.Table:
        """The bars of the histogram of all heights."""
        return histogram(self.heights)

    @cached_property
    def curve(self) -> pa.Table:
        """The density of one normal distribution for all."""
        return curves(self.heights, {"One bell curve for all": self.together})

    @property
    def components(self) -> list[tuple[float, float, int]]:
        """True mean, true standard deviation and size of each group."""
        means, stds = self.truth.means.tolist(), self.truth.stds.tolist()
        return list(zip(means, stds, self.sizes, strict=True))

    @property
    def start(self) -> tuple[list[float], float]:
        """Where EM starts without the labels: means on both sides of that of all, and one spread.

        Rounded to the digits that a link carries.
        """
        mean, std = self.together
        return [round(mean - std, 2), round(mean + std, 2)], max(round(std, 2), 0.01)


@cached_quietly
def two_groups(mean: float, std: float, size: int, seed: int) -> TwoGroups:
    """Return two groups which together have this mean and standard deviation.

    They are those that the page of the Gaussian mixture draws with the same numbers and seed.
    """
    half = size // 2
    sizes = [min(n, MOST_IN_A_GROUP) for n in (size - half, half)]
    means = [round(mean + side * SEPARATION * std, 2) for side in (-1, 1)]
    stds = [round(SPREAD * std, 2)] * 2
    truth = GaussianParams(means, stds, np.array(sizes) / sum(sizes))
    sample, _ = simulated(GaussianMixture(), truth, sizes, {"data_seed": seed, "student": 0})
    heights, labels = sample.data, np.asarray(sample.labels)
    known = fit_labelled(GaussianMixture(), heights, labels, truth)
    together = gaussian.maximum_likelihood(heights)
    return TwoGroups(heights, labels, truth, sizes, known, together)


# How EM runs on them: half of the adults are women, so the mixing weights need no estimate.
EM: dict[str, Any] = {"weights": False, "floor": 0.05, "tol": "1e-8", "max_iter": 500}
FAR = 0.25  # of the distance between the groups: an estimate that misses by more has not found them


@cached_quietly
def em_finds(mean: float, std: float, size: int, seed: int) -> bool:
    """Return whether EM finds the two groups: ends near what is estimated with the labels known."""
    groups = two_groups(mean, std, size, seed)
    means, std = groups.start
    with budget.turn(2 * sum(groups.sizes) * EM["max_iter"]):
        trace = fit(
            GaussianMixture(min_std=EM["floor"], estimate_weights=EM["weights"]),
            groups.heights,
            GaussianParams(means, [std] * 2, equal_weights(2)),
            tol=float(EM["tol"]),
            max_iter=EM["max_iter"],
        )
    found, known = trace.final.params, groups.known
    missed = np.abs(np.sort(found.means) - known.means).max()
    collapsed = found.stds.min() <= EM["floor"]
    return bool(trace.converged and not collapsed and missed < FAR * np.ptp(known.means))


def divided(groups: TwoGroups) -> dict[str, pa.Table]:
    """Return the histogram of both groups, divided, with their curves: estimate and truth."""
    data, labels = groups.heights, groups.labels
    edges = bin_edges(data)
    counts = np.array([np.histogram(data[labels == k], bins=edges)[0] for k in range(len(GROUPS))])
    heights, bins = counts / (len(data) * np.diff(edges)), len(edges) - 1
    grid = frames.curve_grid(edges, heights.sum(axis=0).max())
    middles = [f"{middle:.1f}" for middle in (edges[:-1] + edges[1:]) / 2]
    return {
        "bars": frames.arrow(
            {
                "low": np.tile(edges[:-1], len(GROUPS)),
                "high": np.tile(edges[1:], len(GROUPS)),
                "label": middles * len(GROUPS),
                "height": heights.ravel(),
                "component": np.repeat(GROUPS, bins),
                "order": np.repeat(range(len(GROUPS)), bins),
                "share": pack(np.ones((1, len(GROUPS) * bins))),
            }
        ),
        "steps": frames.extend(frames.by_component(groups.known, GROUPS), iteration=0, **grid),
        "truth": frames.extend(frames.by_component(groups.truth, GROUPS), **grid),
    }


def curves(data: Array, estimates: dict[str, Estimate]) -> pa.Table:
    """Return the densities of some estimates over data: x, density, curve.

    As far as the data and the middle of each curve go, with points close around its mean.
    """
    reach = np.array([[e.mean - 3 * e.std, e.mean + 3 * e.std] for e in estimates.values()])
    low, high = min(data.min(), reach.min()), max(data.max(), reach.max())
    columns: dict[str, list[Any]] = {"x": [], "density": [], "curve": []}
    for name, estimate in estimates.items():
        around = estimate.mean + estimate.std * np.linspace(-4, 4, 81)
        x = np.concatenate([np.linspace(low, high, frames.CURVE_POINTS), around])
        x = np.unique(x[(low <= x) & (x <= high)])
        columns["x"].append(x)
        columns["density"].append(np.exp(gaussian.log_density(x, *estimate)))
        columns["curve"].append(np.repeat(name, len(x)))
    return frames.arrow({name: np.concatenate(parts) for name, parts in columns.items()})


def frame(mean: float, std: float, points: Sequence[Estimate]) -> tuple[Array, Array]:
    """Return the corners of the plane of guesses: the lowest mean and deviation, and the highest.

    It lies around the truth, which the page names, and not around the best guess, which is to be
    found; and it holds all ``points``.
    """
    lowest = [(max(mean - 2 * std, MEANS[0]), STDS[0]), *points]
    highest = [(min(mean + 2 * std, MEANS[1]), min(2 * std, STDS[1])), *points]
    low, high = np.min(lowest, axis=0), np.max(highest, axis=0)
    margin = 0.04 * (high - low)
    # A standard deviation is positive.
    return np.maximum(low - margin, low / 2), high + margin
