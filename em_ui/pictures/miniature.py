"""EM in miniature: a recorded run, played in the browser.

The run is a real one, computed once in each process. Its parameters and shares at every iteration
go to the browser, which draws and plays them without the server.
"""

from functools import cache
from typing import Any

import numpy as np

from em_core import GaussianMixture, GaussianParams, Trace, fit
from em_ui.pictures.player import component

TRUTH = GaussianParams(means=[18.0, 34.0], stds=[3.5, 4.5], weights=[0.4, 0.6])
SIZES = (100, 140)
GUESS = GaussianParams(means=[30.0, 34.0], stds=[4.0, 4.0], weights=[0.5, 0.5])
SEED = 1
TOLERANCE = 1e-3
BIN = 1.0  # in units of the values

_mount = component("em_miniature", "miniature")


@cache
def run() -> tuple[np.ndarray, Trace[GaussianParams]]:
    """Return the values, shape (n,), and EM's run on them, from a guess that is far off."""
    model = GaussianMixture(min_std=0.1)
    values = model.simulate(TRUTH, SIZES, rng=np.random.default_rng(SEED)).data
    return values, fit(model, values, GUESS, tol=TOLERANCE)


@cache
def recorded() -> dict[str, Any]:
    """Return what the browser draws.

    Returns
    -------
    dict
        ``low``: the left edge of the first bar; ``bin``: the width of a bar; ``counts``: how many
        values each bar holds. ``steps``: for each iteration, from the initial guess on, the means,
        standard deviations and mixing weights of the two components, the log-likelihood, and the
        percentage of each bar that the first component owns: the mean responsibility of the bar's
        values. ``end``: how the run ended.
    """
    values, trace = run()
    low = np.floor(values.min() / BIN) * BIN
    bars = np.floor((values - low) / BIN).astype(int)
    counts = np.bincount(bars)
    steps = []
    for step in trace.steps:
        owned = np.bincount(bars, trace.model.e_step(values, step.params).responsibilities[:, 0])
        share = np.divide(owned, counts, out=np.zeros_like(owned), where=counts > 0)
        steps.append(
            [
                step.params.means.round(3).tolist(),
                step.params.stds.round(3).tolist(),
                step.params.weights.round(4).tolist(),
                round(step.objective, 2),
                (100 * share).round().astype(int).tolist(),
            ]
        )
    return {
        "low": low,
        "bin": BIN,
        "counts": counts.tolist(),
        "steps": steps,
        "end": trace.message,
    }


def miniature() -> None:
    """Draw it."""
    _mount(key="miniature", data=recorded())
