"""The run that the start page shows in miniature."""

from functools import cache
from typing import Any

import numpy as np

from em_core import GaussianMixture, GaussianParams, Trace, fit
from em_ui.pictures.miniature import record

TRUTH = GaussianParams(means=[18.0, 34.0], stds=[3.5, 4.5], weights=[0.4, 0.6])
SIZES = (100, 140)
GUESS = GaussianParams(means=[30.0, 34.0], stds=[4.0, 4.0], weights=[0.5, 0.5])
SEED = 1
TOLERANCE = 1e-3


def run() -> tuple[np.ndarray, Trace[GaussianParams]]:
    """Return the values, shape (n,), and EM's run on them, from a guess that is far off."""
    model = GaussianMixture(min_std=0.1)
    values = model.simulate(TRUTH, SIZES, rng=np.random.default_rng(SEED)).data
    return values, fit(model, values, GUESS, tol=TOLERANCE)


@cache
def recorded() -> dict[str, Any]:
    """Return the run as the browser plays it, computed once in each process."""
    return record(*run())
