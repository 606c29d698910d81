"""Maximum likelihood: one Gaussian in closed form, and the hidden label that breaks it."""

import numpy as np
import pandas as pd
import streamlit as st

from em_core import GaussianMixture, GaussianParams, fit_labelled, gaussian, gaussian_mixture
from em_core.engine import Array
from em_ui import charts, controls, frames, sections
from em_ui.compute import DATA, cached_run, stream
from em_ui.controls import Controls, Number, Switch
from em_ui.sections import Drawing

GROUPS = ("Women", "Men")
# Two equal groups at mean ± 0.7 sd, each with the rest of the variance, have together the mean
# and the standard deviation of the one group.
SEPARATION = 0.7
BINS, GRID, CURVE_POINTS = 40, 61, 200

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
    "1,000 adults": {},
    "Ten adults": {"size": 10},
    "A guess that is too narrow": {"guess_mean": 170.0, "guess_std": 4.0},
}


@cached_run
def one_group(mean: float, std: float, size: int, seed: int) -> tuple[Array, pd.DataFrame]:
    heights = gaussian.simulate(mean, std, size, rng=stream(seed, DATA))
    density, edges = np.histogram(heights, bins=BINS, density=True)
    return heights, pd.DataFrame({"low": edges[:-1], "high": edges[1:], "height": density})


@cached_run
def two_groups(mean: float, std: float, size: int, seed: int) -> dict[str, pd.DataFrame]:
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
    bars = [
        pd.DataFrame(
            {
                "low": edges[:-1],
                "high": edges[1:],
                "label": [f"{middle:.1f}" for middle in (edges[:-1] + edges[1:]) / 2],
                "height": count / (size * width),
                "component": group,
                "share": frames.pack(np.ones((1, BINS))),
            }
        )
        for group, count in zip(GROUPS, counts, strict=True)
    ]
    grid = {
        "low": edges[0],
        "high": edges[-1],
        "step": (edges[-1] - edges[0]) / CURVE_POINTS,
        "top": 1.2 * sum(counts).max() / (size * width),
    }
    return {
        "bars": pd.concat(bars, ignore_index=True),
        "known": frames.by_component(known, GROUPS).assign(iteration=0, **grid),
        "together": frames.by_component(together, ["Adults"]).assign(iteration=0, **grid),
        "truth": frames.by_component(sample.truth, GROUPS).assign(**grid),
    }


def surface(heights: Array, guess: gaussian.Estimate) -> tuple[pd.DataFrame, gaussian.Estimate]:
    best = gaussian.maximum_likelihood(heights)
    mean_reach = max(2 * best.std, 1.1 * abs(guess.mean - best.mean))
    low, high = min(best.std / 2.5, guess.std / 1.1), max(2.2 * best.std, 1.1 * guess.std)
    mean_edges = np.linspace(best.mean - mean_reach, best.mean + mean_reach, GRID + 1)
    std_edges = np.linspace(low, high, GRID + 1)
    means, stds = (edges[:-1] + np.diff(edges) / 2 for edges in (mean_edges, std_edges))
    values = gaussian.log_likelihood(heights, means[:, None], stds[None, :])
    loss = (gaussian.log_likelihood(heights, *best) - values) / len(heights)
    x, y = np.meshgrid(np.arange(GRID), np.arange(GRID), indexing="ij")
    x, y = x.ravel(), y.ravel()
    cells = pd.DataFrame(
        {
            "x_low": mean_edges[x],
            "x_high": mean_edges[x + 1],
            "y_low": std_edges[y],
            "y_high": std_edges[y + 1],
            "band": np.digitize(loss.ravel(), charts.LOSS_BANDS),
        }
    )
    return cells, best


c = Controls("ml", SPECS, SITUATIONS)
with st.sidebar:
    c.situation()
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

x = np.linspace(bars["low"].iloc[0], bars["high"].iloc[-1], CURVE_POINTS)
curves = pd.concat(
    [
        pd.DataFrame({"x": x, "density": np.exp(gaussian.log_density(x, *estimate)), "curve": name})
        for name, estimate in {"Your guess": guess, "Maximum likelihood": best}.items()
    ],
    ignore_index=True,
)
marks = pd.DataFrame(
    {
        "x": [guess.mean, best.mean],
        "y": [guess.std, best.std],
        "mark": ["Your guess", "Maximum likelihood"],
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
            {"surface": cells, "marks": marks},
            f"Bands of equal log-likelihood over mean and standard deviation. The maximum is at "
            f"{best.mean:.2f} and {best.std:.2f}; your guess loses {largest - yours:,.1f}.",
        ),
    ],
    key="ml_fit",
)

st.header("The formula")
st.markdown("The log-likelihood of heights $x_1 \\dots x_n$ under a normal distribution is")
st.latex(
    r"\ell(\mu,\sigma) = -n\log\left(\sigma\sqrt{2\pi}\right)"
    r" - \frac{1}{2\sigma^2}\sum_i (x_i-\mu)^2"
)
st.markdown("At the top of the hill both slopes are zero:")
st.latex(
    r"\frac{\partial\ell}{\partial\mu} = \frac{1}{\sigma^2}\sum_i (x_i-\mu) = 0"
    r"\;\Rightarrow\; \hat\mu = \frac1n\sum_i x_i \qquad "
    r"\frac{\partial\ell}{\partial\sigma} = -\frac{n}{\sigma} + \frac{1}{\sigma^3}"
    r"\sum_i (x_i-\mu)^2 = 0"
    r"\;\Rightarrow\; \hat\sigma^2 = \frac1n\sum_i (x_i-\hat\mu)^2"
)
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
        f"{row.component.lower()} {row.means:.2f} ± {row.stds:.2f} cm"
        for row in curves.itertuples()
    )
    st.markdown(f"With the labels, each group has the formula to itself: {text}.")
else:
    bars, curves = groups["bars"].assign(component="Adults"), groups["together"]
    st.markdown(
        "Nobody noted who is who, and one bell curve does not fit. The likelihood of a height now "
        "adds up both ways in which it can have come about, and the logarithm of a sum does not "
        "come apart:"
    )
    st.latex(
        r"\ell = \sum_i \log\Big(\pi_1\,\mathcal N(x_i;\mu_1,\sigma_1^2) + "
        r"\pi_2\,\mathcal N(x_i;\mu_2,\sigma_2^2)\Big)"
    )
    st.markdown(
        "Setting its slopes to zero gives equations in which every unknown depends on all the "
        "others. This is where EM comes in: guess, share each height between the groups, estimate "
        "the groups, and do it again."
    )
charts.show(
    charts.densities("Height (cm)", "Group", bound=False),
    {"bars": bars, "steps": curves, "truth": groups["truth"]},
    key="ml_groups",
    alt="Histogram of the heights of women and men together, "
    + " and ".join(
        f"{row.component.lower()} with mean {row.means:.1f} and standard deviation {row.stds:.1f}"
        for row in curves.itertuples()
    ),
)
st.caption("Dashed line: the true density of women and men together.")
means = population["mean"] + SEPARATION * population["std"] * np.array([-1, 1])
std = population["std"] * np.sqrt(1 - SEPARATION**2)
half = min(population["size"] // 2, 12_500)
st.page_link(
    "pages/gaussian_mixture.py",
    label="See EM find the two groups",
    icon=":material/arrow_forward:",
    query_params={
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
