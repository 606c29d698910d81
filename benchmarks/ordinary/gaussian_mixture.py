"""Gaussian mixture, the ordinary way."""

import altair as alt
import numpy as np
import pandas as pd
import shared
import streamlit as st

from em_core import GaussianMixture, GaussianParams, HardEM, Status, fit
from em_core.models.gaussian_mixture import guess_from_points, guess_integers
from em_core.numerics import equal_weights, match_components

MAX_COMPONENTS = 8
NAMES = list("12345678")
GUESSES = {
    "Whole numbers, as in the article": guess_integers,
    "Random data points": guess_from_points,
}
BINS, CURVE_POINTS = 60, 300
QUANTITIES = {"means": "Mean μ", "stds": "Standard deviation σ", "weights": "Mixing weight π"}

TRUTHS = [(-10.0, 3.0), (30.0, 7.0), (3.0, 5.0), (60.0, 4.0)]
TRUTHS += [(-40.0, 6.0), (90.0, 5.0), (-70.0, 4.0), (120.0, 6.0)]
DEFAULTS = {
    "gm_k": 3,
    **{f"gm_mean{i}": mean for i, (mean, _) in enumerate(TRUTHS, 1)},
    **{f"gm_sd{i}": std for i, (_, std) in enumerate(TRUTHS, 1)},
    **{f"gm_size{i}": 1_000 for i in range(1, MAX_COMPONENTS + 1)},
    **{f"gm_start_mean{i}": mean for i, (mean, _) in enumerate(TRUTHS, 1)},
    **{f"gm_start_sd{i}": 5.0 for i in range(1, MAX_COMPONENTS + 1)},
    "gm_data_seed": 1,
    "gm_guess": next(iter(GUESSES)),
    "gm_guess_seed": 46,
    "gm_weights": True,
    "gm_hard": False,
    "gm_floor": 0.05,
    "gm_tol": "1e-6",
    "gm_max_iter": 20,
}
SITUATIONS = {
    "Wang’s article": {},
    "Heights of men and women": {
        "gm_k": 2,
        "gm_mean1": 163.0,
        "gm_sd1": 7.0,
        "gm_mean2": 177.0,
        "gm_sd2": 7.0,
        "gm_max_iter": 200,
        "gm_guess": "Random data points",
    },
}


@st.cache_data(max_entries=64, show_spinner="Running EM …")
def run_em(
    means,
    stds,
    sizes,
    data_seed,
    guess,
    start_means,
    start_stds,
    guess_seed,
    weights,
    hard,
    floor,
    tol,
    max_iter,
):
    """Simulate, fit from the guess and from the truth, and put the components in order."""
    drawn = GaussianParams(means, stds, np.array(sizes) / sum(sizes))
    sample = GaussianMixture().simulate(drawn, sizes, rng=np.random.default_rng([data_seed, 0]))
    k = len(means)
    if guess == "Typed in":
        start = GaussianParams(start_means, start_stds, equal_weights(k))
    else:
        start = GUESSES[guess](sample.data, k, rng=np.random.default_rng([guess_seed, 1, 1]))
    truth = sample.truth
    if not weights:
        truth = GaussianParams(truth.means, truth.stds, start.weights)
    mixture = GaussianMixture(min_std=floor, estimate_weights=weights)
    model = HardEM(mixture) if hard else mixture
    trace = fit(model, sample.data, start, tol=tol, max_iter=max_iter)
    from_truth = fit(model, sample.data, truth, tol=tol, max_iter=max_iter)
    trace = shared.finite(trace)
    trace = trace.relabel(match_components(trace.final.params.means, sample.truth.means))
    density, edges = np.histogram(sample.data, bins=BINS, density=True)
    return {
        "sample": sample,
        "model": model,
        "mixture": mixture,
        "trace": trace,
        "missed": from_truth.final.objective - trace.final.objective,
        "density": density,
        "edges": edges,
        "steps": shared.history(trace, NAMES),
        "table": shared.wide_table(trace, NAMES, "log-likelihood"),
    }


def picture(run, at, height):
    """Return the histogram shared between the components, their densities, sum and the truth."""
    params, density, edges = run["trace"].steps[at].params, run["density"], run["edges"]
    mixture, k = run["mixture"], run["trace"].final.params.n_components
    middles = (edges[:-1] + edges[1:]) / 2
    responsibilities = run["model"].e_step(middles, params).responsibilities
    bars = pd.concat(
        [
            pd.DataFrame(
                {
                    "low": edges[:-1],
                    "high": edges[1:],
                    "component": NAMES[j],
                    "responsibility": responsibilities[:, j],
                    "part": density * responsibilities[:, j],
                }
            )
            for j in range(k)
        ]
    )
    x = np.linspace(edges[0], edges[-1], CURVE_POINTS + 1)
    parts = np.exp(mixture.log_joint(x, params))
    components = pd.DataFrame(
        {
            "x": np.tile(x, k),
            "component": np.repeat(NAMES[:k], len(x)),
            "density": parts.T.ravel(),
        }
    )
    total = pd.DataFrame({"x": x, "density": parts.sum(axis=1)})
    true = np.exp(mixture.log_joint(x, run["sample"].truth)).sum(axis=1)

    x_axis = alt.X("x:Q", title="Value", scale=alt.Scale(nice=False, zero=False))
    y_axis = alt.Y(
        "density:Q",
        title="Density",
        scale=alt.Scale(domain=[0, 1.2 * density.max()], clamp=True),
    )
    color = alt.Color("component:N", title="Component", legend=alt.Legend(orient="top"))
    shares = (
        alt.Chart(bars)
        .mark_bar(opacity=0.75, binSpacing=0)
        .encode(
            x=alt.X("low:Q", bin="binned", title="Value"),
            x2="high:Q",
            y=alt.Y("part:Q", title="Density", stack="zero"),
            color=color,
            order=alt.Order("component:O"),
            tooltip=[
                alt.Tooltip("low:Q", title="From", format=".1f"),
                alt.Tooltip("high:Q", title="To", format=".1f"),
                alt.Tooltip("component:N", title="Component"),
                alt.Tooltip("responsibility:Q", title="Responsibility", format=".3f"),
                alt.Tooltip("part:Q", title="Density, its part", format=".4~f"),
            ],
        )
    )
    curves = alt.Chart(components).mark_line(strokeWidth=2).encode(x=x_axis, y=y_axis, color=color)
    truth = (
        alt.Chart(pd.DataFrame({"x": x, "density": true}))
        .mark_line(color=shared.INK, strokeDash=[6, 4], strokeWidth=2)
        .encode(x=x_axis, y=y_axis)
    )
    together = (
        alt.Chart(total).mark_line(color=shared.MARK, strokeWidth=1.8).encode(x=x_axis, y=y_axis)
    )
    return (shares + curves + truth + together).properties(height=height)


def number(label, low, high, key, **options):
    """Draw a number box that is bound to the link."""
    return st.number_input(label, low, high, key=f"gm_{key}", bind="query-params", **options)


shared.start_values(DEFAULTS)
with st.sidebar:
    shared.situations("gm_situation", DEFAULTS, SITUATIONS)
    st.subheader("Truth and data")
    k = number("Components", 1, MAX_COMPONENTS, "k")
    means, stds, sizes = [], [], []
    for i in range(1, k + 1):
        left, middle, right = st.columns(3)
        with left:
            means.append(number(f"Mean {i}", -1_000.0, 1_000.0, f"mean{i}", step=1.0, format="%g"))
        with middle:
            stds.append(number(f"SD {i}", 0.1, 200.0, f"sd{i}", step=0.5, format="%g"))
        with right:
            sizes.append(number(f"Size {i}", 1, 12_500, f"size{i}"))
    data_seed = number(
        "Data seed", 0, 999_999, "data_seed", help="The same seed always gives the same draw."
    )
    st.subheader("Initial guess")
    guess = st.selectbox(
        "Initial guess", [*GUESSES, "Typed in"], key="gm_guess", bind="query-params"
    )
    start_means, start_stds, guess_seed = [], [], 46
    if guess == "Typed in":
        for i in range(1, k + 1):
            left, right = st.columns(2)
            with left:
                start_means.append(
                    number(
                        f"Start mean {i}",
                        -1_000.0,
                        1_000.0,
                        f"start_mean{i}",
                        step=1.0,
                        format="%g",
                    )
                )
            with right:
                start_stds.append(
                    number(f"Start SD {i}", 0.01, 200.0, f"start_sd{i}", step=0.5, format="%g")
                )
    else:
        guess_seed = number(
            "Guess seed",
            0,
            999_999,
            "guess_seed",
            help="The same seed always gives the same draw.",
        )
    st.subheader("Algorithm")
    weights = st.toggle(
        "Estimate mixing weights",
        key="gm_weights",
        bind="query-params",
        help="Off: they stay equal, as in the article.",
    )
    hard = st.toggle(
        "Hard assignment",
        key="gm_hard",
        bind="query-params",
        help="Each value goes wholly to its likeliest component.",
    )
    floor = number(
        "Smallest standard deviation",
        0.0,
        10.0,
        "floor",
        step=0.05,
        format="%g",
        help="With 0, a component may collapse onto a single value.",
    )
    tol = st.selectbox(
        "Tolerance",
        shared.TOLERANCES,
        key="gm_tol",
        bind="query-params",
        help="EM stops when an iteration gains no more than this per value. "
        "With 0 it goes on until nothing changes.",
    )
    max_iter = number("Iteration limit", 1, 500, "max_iter")
    shared.reset("gm_reset", DEFAULTS)

st.title("Gaussian mixture")
st.markdown(
    "**Which bell curves are these numbers drawn from?** Each value comes from one of a few normal "
    "distributions. Which one is not recorded, and neither are their means, standard deviations "
    "and shares."
)
run = run_em(
    means,
    stds,
    sizes,
    data_seed,
    guess,
    start_means,
    start_stds,
    guess_seed,
    weights,
    hard,
    floor,
    float(tol),
    max_iter,
)
trace, sample = run["trace"], run["sample"]
final, n, last, missed = trace.final.params, len(sample.data), trace.n_iter, run["missed"]
objective = "Classification log-likelihood" if hard else "Log-likelihood"
truth = pd.DataFrame({"component": NAMES[:k], **sample.truth.arrays()})

gap = np.abs(final.means - sample.truth.means).max()
shared.status_line(trace, objective, gap, "mean")
if trace.status is Status.NON_FINITE:
    st.warning(
        "A component has collapsed: it sits on a single value and its standard deviation has "
        "fallen to 0, where its density is infinite. Set a smallest standard deviation above 0, "
        "or try another guess."
    )
if floor > 0 and final.stds.min() <= floor:
    st.warning(
        f"A component is as narrow as the smallest standard deviation, {floor:g}, allows: without "
        "it, it would collapse onto a few values. Try another guess."
    )
if weights and n * final.weights.min() < 1:
    st.warning("A component has lost all its values. Start it closer to the data.")
if missed > 1e-3 * n and trace.converged:
    st.warning(
        f"This is a poor optimum: started from the truth, EM reaches {missed:,.1f} more "
        "log-likelihood. Try other guess seeds and keep the best."
    )
if missed > 1e-3 * n and trace.status is Status.MAX_ITER:
    st.warning(
        f"EM is not there yet: started from the truth, it reaches {missed:,.1f} more "
        "log-likelihood. Raise the iteration limit; if that does not help, try another guess seed."
    )

at = st.slider("Iteration", 0, last, key="gm_iteration") if last else 0
params = trace.steps[at].params
numbers = [
    f"{symbol} {NAMES[j]} {values[j]:{form}}"
    for symbol, values, form in (
        ("μ", params.means, ".2f"),
        ("σ", params.stds, ".2f"),
        ("π", params.weights, ".3f"),
    )
    for j in range(k)
]
st.markdown(", ".join(numbers) + f", {objective} {trace.steps[at].objective:,.4f}")
st.markdown("**Histogram shared between the components, and their densities**")
st.altair_chart(
    picture(run, at, 420),
    alt=f"Histogram of {n} values, each bar divided by responsibility, with the density of each of "
    f"{k} components, their sum, and the true density.",
)
st.caption(
    "Bars: values, divided by responsibility. Coloured lines: components. Pink line: their sum. "
    "Dashed line: the truth."
)
quantities = {field: title for field, title in QUANTITIES.items() if field != "weights" or weights}
shared.convergence(run["steps"], truth, run["table"], quantities, "log-likelihood", at)

st.header("The guess, and after 5 and 20 iterations")
stills = sorted({min(at, last) for at in (0, 5, 20)})
for column, still in zip(st.columns(len(stills)), stills, strict=True):
    with column:
        st.markdown("**Initial guess**" if still == 0 else f"**After {still} iterations**")
        st.altair_chart(
            picture(run, still, 300),
            alt=f"Histogram, component densities, their sum and the truth after {still} iterations",
        )
shared.iteration_table(run["table"], {"means": "%.2f", "stds": "%.2f", "weights": "%.3f"}, "gm")

st.header("The two steps")
left, right = st.columns(2)
with left:
    st.markdown(
        "**E-step.** How probable is each component, given the value $x_i$? These are its "
        "*responsibilities*, by Bayes’ rule:"
    )
    st.latex(
        r"r_{ik} = \frac{\pi_k\,\mathcal N(x_i;\mu_k,\sigma_k^2)}"
        r"{\sum_j \pi_j\,\mathcal N(x_i;\mu_j,\sigma_j^2)}"
    )
    st.latex(
        r"\mathcal N(x;\mu,\sigma^2) = \frac{1}{\sigma\sqrt{2\pi}}"
        r"\,e^{-\frac{(x-\mu)^2}{2\sigma^2}}"
    )
with right:
    st.markdown(
        "**M-step.** Mean, standard deviation and share of each component, every value counted by "
        "its responsibility, with $N_k = \\sum_i r_{ik}$:"
    )
    st.latex(
        r"\mu_k = \frac{1}{N_k}\sum_i r_{ik}\,x_i \qquad "
        r"\sigma_k^2 = \frac{1}{N_k}\sum_i r_{ik}\,(x_i-\mu_k)^2"
    )
    st.latex(r"\pi_k = \frac{N_k}{n}")
st.markdown(
    "The log-likelihood, which neither step can lower, is "
    r"$\ell = \sum_i \log \sum_k \pi_k\,\mathcal N(x_i;\mu_k,\sigma_k^2)$."
)
