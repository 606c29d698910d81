"""EM in miniature: a recorded run of two bell curves, played in the browser without the server."""

from typing import Any

import numpy as np

from em_core import Trace
from em_ui.pictures.player import component

BIN = 1.0  # in units of the values

_mount = component("em_miniature", "miniature")


def record(values: np.ndarray, trace: Trace[Any]) -> dict[str, Any]:
    """Return what the browser draws of a run.

    Parameters
    ----------
    values : array of shape (n,)
        What EM was run on.
    trace : Trace
        The run, of a mixture with two components whose parameters are ``means``, ``stds`` and
        ``weights``.

    Returns
    -------
    dict
        ``low``: the left edge of the first bar; ``bin``: the width of a bar; ``counts``: how many
        values each bar holds. ``steps``: for each iteration, from the initial guess on, the means,
        standard deviations and mixing weights of the two components, the log-likelihood, and the
        percentage of each bar that the first component owns: the mean responsibility of the bar's
        values. ``end``: how the run ended.
    """
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


def miniature(recorded: dict[str, Any]) -> None:
    """Draw a run that :func:`record` has recorded, and play it."""
    _mount(key="miniature", data=recorded)
