"""Samples as the pages draw them: the same seed, the same data."""

import numpy as np

from em_core import BinomialMixture, GaussianMixture, GaussianParams, KMeans
from em_core.models.kmeans import draw_centres


def clusters(sizes, *, spread, rng):
    """Draw centres, and clusters of these sizes about them."""
    return KMeans().simulate(draw_centres(len(sizes), rng=rng), sizes, rng=rng, spread=spread)


def trials(truth, *, n_tosses, n_trials, rng):
    """Draw a coin for each trial, and toss it."""
    return BinomialMixture(n_tosses).simulate(truth, n_trials, rng=rng)


def values(means, stds, sizes, *, rng):
    """Draw values of these numbers from components whose weights are their shares."""
    truth = GaussianParams(means, stds, np.array(sizes) / sum(sizes))
    return GaussianMixture().simulate(truth, sizes, rng=rng)
