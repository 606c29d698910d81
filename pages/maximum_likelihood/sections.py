"""What the page of maximum likelihood draws: the fit of one curve, and the hidden label."""

from typing import Any

import numpy as np
import pyarrow as pa
import streamlit as st

from em_core.models import gaussian
from em_core.models.gaussian import Estimate
from em_core.numerics import Array
from em_ui.controls import Controls
from em_ui.pictures import charts, frames
from em_ui.sections import Drawing, hill
from pages.maximum_likelihood.problem import two_groups


def fit_drawings(heights: Array, bars: pa.Table, guess: Estimate, best: Estimate) -> list[Drawing]:
    """Return the histogram with both curves, and the hill with both points."""
    spots = {"Your guess": guess, "Maximum likelihood": best}
    loss = float(np.diff([gaussian.log_likelihood(heights, *e) for e in spots.values()])[0])
    x = np.linspace(heights.min(), heights.max(), frames.CURVE_POINTS)
    densities = [np.exp(gaussian.log_density(x, *estimate)) for estimate in spots.values()]
    curves = frames.arrow(
        {
            "x": np.tile(x, len(spots)),
            "density": np.concatenate(densities),
            "curve": np.repeat(list(spots), len(x)),
        }
    )
    return [
        Drawing(
            "Heights, and your curve",
            charts.histogram("Height (cm)"),
            {"bars": bars, "curves": curves},
            f"Histogram of {len(heights):,} heights with the density of your guess, mean "
            f"{guess.mean:g} and standard deviation {guess.std:g}, and of the maximum likelihood "
            f"estimate, {best.mean:.2f} and {best.std:.2f}",
        ),
        Drawing(
            "The hill: log-likelihood over μ and σ",
            charts.hill("μ (cm)", "σ (cm)", "Log-likelihood lost per adult"),
            {"hill": hill_around(heights, guess, best), "marks": hill.marks(spots)},
            "Bands of equal log-likelihood over mean and standard deviation. The maximum is at "
            f"{best.mean:.2f} and {best.std:.2f}; your guess loses {loss:,.1f}.",
        ),
    ]


def hill_around(heights: Array, guess: Estimate, best: Estimate) -> pa.Table:
    """Return the log-likelihood of one group, as far as guess and maximum are seen."""
    reach = max(2 * best.std, 1.1 * abs(guess.mean - best.mean))
    low, high = min(best.std / 2.5, guess.std / 1.1), max(2.2 * best.std, 1.1 * guess.std)
    means, stds = hill.edges(best.mean - reach, best.mean + reach), hill.edges(low, high)
    x, y = (edges[:-1] + np.diff(edges) / 2 for edges in (means, stds))
    values = gaussian.log_likelihood(heights, x[:, None], y[None, :])
    top = float(gaussian.log_likelihood(heights, *best))
    return hill.bands(values, means, stds, n=len(heights), top=top)


def draw_hidden_label(c: Controls, population: dict[str, Any], seed: int) -> None:
    """Draw two groups whose labels may be hidden, and what is lost with the labels."""
    st.header("And now with a hidden label")
    st.markdown(
        "Suppose that half of the adults are women and half are men, each group with a normal "
        "distribution of its own. Together they have the same mean and spread as before."
    )
    groups = two_groups(**population, seed=seed)
    if c.show("labels"):
        bars, curves = groups["bars"], groups["known"]
        text = " and ".join(
            f"{row['component'].lower()} {row['means']:.2f} ± {row['stds']:.2f} cm"
            for row in curves.to_pylist()
        )
        st.markdown(f"With the labels, each group has the formula to itself: {text}.")
    else:
        bars, curves = groups["bars together"], groups["together"]
        st.markdown(
            "Nobody noted who is who, and one bell curve fits only roughly. The likelihood of a "
            "height now adds up both ways in which it can have come about, and the logarithm of a "
            "sum does not come apart:"
        )
        st.latex(r"\ell = \sum_i \log \sum_{k=1}^{2} \pi_k\,\mathcal N(x_i;\mu_k,\sigma_k^2)")
        st.markdown(
            "Setting its slopes to zero gives equations in which every unknown depends on all the "
            "others. This is where EM comes in: guess, share each height between the groups, "
            "estimate the groups, and do it again."
        )
    charts.show(
        charts.densities("Height (cm)", "Group", bound=False),
        {
            "bars": bars,
            "steps": curves,
            "truth": groups["truth"],
            "labelled": groups["known"],
        },
        key="ml_groups",
        alt="Histogram of the heights of women and men together, "
        + " and ".join(
            f"{row['component'].lower()} with mean {row['means']:.1f} and standard deviation "
            f"{row['stds']:.1f}"
            for row in curves.to_pylist()
        ),
    )
    st.caption(
        "Pink line: the estimate"
        + (", both groups together" if c.value("labels") else " of one bell curve for all")
        + ". Dashed: the true density of women and men together. Dotted: estimated with the labels "
        "known."
    )
