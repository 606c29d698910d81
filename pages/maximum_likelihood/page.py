"""Maximum likelihood: one Gaussian in closed form, and the hidden label that breaks it."""

import numpy as np
import streamlit as st

from em_core.models import gaussian
from em_ui.controls.page import Controls
from em_ui.pictures import charts, frames
from em_ui.sections import landscape, sections
from em_ui.sections.sections import Drawing
from pages.maximum_likelihood.sections import (
    CURVE_POINTS,
    SEPARATION,
    SITUATIONS,
    SPECS,
    one_group,
    surface,
    two_groups,
)

c = Controls("ml", SPECS, SITUATIONS, view={})
with st.sidebar:
    situation = c.situation()
    st.subheader("Truth and data")
    population = {name: c.show(name) for name in ("mean", "std", "size")}
    seed = c.show("data_seed")
    st.subheader("Your guess")
    guess = gaussian.Estimate(c.show("guess_mean"), c.show("guess_std"))

st.title("Maximum likelihood")
st.markdown(
    "**Which bell curve fits these heights best?** The heights of adults are drawn from one normal "
    "distribution. Move your guess of its mean μ and standard deviation σ in the sidebar, and try "
    "to make the log-likelihood as large as you can."
)
sections.question(situation, before="Before you move the sliders")
heights, bars = one_group(**population, seed=seed)
cells, best = surface(heights, guess)
yours, largest = (float(gaussian.log_likelihood(heights, *e)) for e in (guess, best))
for column, (label, value) in zip(
    st.columns(3),
    {
        "Log-likelihood of your guess": f"{yours:,.2f}",
        "Largest log-likelihood": f"{largest:,.2f}",
        "Still to gain": f"{largest - yours:,.2f}",
    }.items(),
    strict=True,
):
    column.metric(label, value, border=True)

x = np.linspace(heights.min(), heights.max(), CURVE_POINTS)
spots = {"Your guess": guess, "Maximum likelihood": best}
densities = [np.exp(gaussian.log_density(x, *estimate)) for estimate in spots.values()]
curves = frames.arrow(
    {
        "x": np.tile(x, len(spots)),
        "density": np.concatenate(densities),
        "curve": np.repeat(list(spots), len(x)),
    }
)
sections.in_row(
    [
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
            charts.surface("μ (cm)", "σ (cm)", "Log-likelihood lost per adult"),
            {"surface": cells, "marks": landscape.marks(spots)},
            f"Bands of equal log-likelihood over mean and standard deviation. The maximum is at "
            f"{best.mean:.2f} and {best.std:.2f}; your guess loses {largest - yours:,.1f}.",
        ),
    ],
    key="ml_fit",
)

sections.answer(situation, after="After you have moved them")

st.header("The formula")
st.markdown("The log-likelihood of heights $x_1 \\dots x_n$ under a normal distribution is")
sections.formula(
    [
        r"\ell(\mu,\sigma) ={}& -n\log\left(\sigma\sqrt{2\pi}\right)",
        r"& - \frac{1}{2\sigma^2}\sum_i (x_i-\mu)^2",
    ]
)
st.markdown("At the top of the hill both slopes are zero:")
for column, lines in zip(
    st.columns(2),
    (
        (
            r"\frac{\partial\ell}{\partial\mu} &= \frac{1}{\sigma^2}\sum_i (x_i-\mu) = 0",
            r"\Rightarrow\; \hat\mu &= \frac1n\sum_i x_i",
        ),
        (
            r"\frac{\partial\ell}{\partial\sigma} &= -\frac{n}{\sigma}"
            r" + \frac{1}{\sigma^3}\sum_i (x_i-\mu)^2 = 0",
            r"\Rightarrow\; \hat\sigma^2 &= \frac1n\sum_i (x_i-\hat\mu)^2",
        ),
    ),
    strict=True,
):
    with column:
        sections.formula(lines)
st.markdown(
    f"Here $\\hat\\mu = {best.mean:.2f}$ cm and $\\hat\\sigma = {best.std:.2f}$ cm. The truth is "
    f"{population['mean']:g} and {population['std']:g}: the rest is the luck of the sample, and "
    "more adults make it smaller."
)

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
        "Nobody noted who is who, and one bell curve fits only roughly. The likelihood of a height "
        "now "
        "adds up both ways in which it can have come about, and the logarithm of a sum does not "
        "come apart:"
    )
    st.latex(r"\ell = \sum_i \log \sum_{k=1}^{2} \pi_k\,\mathcal N(x_i;\mu_k,\sigma_k^2)")
    st.markdown(
        "Setting its slopes to zero gives equations in which every unknown depends on all the "
        "others. This is where EM comes in: guess, share each height between the groups, estimate "
        "the groups, and do it again."
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
means = population["mean"] + SEPARATION * population["std"] * np.array([-1, 1])
std = population["std"] * np.sqrt(1 - SEPARATION**2)
# Whatever the other page was set to before, it shows these two groups.
PLAIN = {
    "data_seed": "1",
    "student": "0",
    "find": "0",
    "guess_seed": "1",
    "start": "1",
    "weights": "true",
    "hard": "false",
    "floor": "0.05",
    "tol": "1e-6",
}
half = min(population["size"] // 2, 12_500)
st.page_link(
    "pages/gaussian_mixture/page.py",
    label="See EM find the two groups",
    icon=":material/arrow_forward:",
    query_params={
        **{f"gm_{name}": value for name, value in PLAIN.items()},
        "gm_k": "2",
        **{f"gm_mean{i}": f"{mean:.1f}" for i, mean in enumerate(means, 1)},
        **{f"gm_sd{i}": f"{std:.2f}" for i in (1, 2)},
        **{f"gm_size{i}": str(half) for i in (1, 2)},
        "gm_guess": "Random data points",
        "gm_max_iter": "500",
    },
)
with st.sidebar:
    c.footer()
