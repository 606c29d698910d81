"""Gaussian mixture: soft assignment of numbers on a line."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from em_core import GaussianMixture, GaussianParams, HardEM, Status
from em_core.gaussian_mixture import guess_from_points, guess_integers, simulate
from em_core.numerics import equal_weights
from em_ui import charts, controls, frames, sections
from em_ui.compute import DATA, GUESS, Run, cached_run, run_em, stream
from em_ui.controls import Choice, Controls, Number, Switch
from em_ui.sections import Drawing, Objective, Quantity

MAX_COMPONENTS = 8
NAMES = tuple("12345678")
TYPED = "Typed in"
GUESSES = {
    "Whole numbers, as in the article": guess_integers,
    "Random data points": guess_from_points,
}
STILLS = (0, 5, 20)  # the article's figure
BINS, CURVE_POINTS = 60, 300
EMPTY = 0.1  # values; a component with less has none
POOR = 1e-3  # log-likelihood per observation that a good start would gain
QUANTITIES = {
    "means": Quantity("Mean", "μ", ".2f"),
    "stds": Quantity("Standard deviation", "σ", ".2f"),
    "weights": Quantity("Mixing weight", "π", ".3f"),
}

TRUTHS = (
    (-10.0, 3.0),
    (30.0, 7.0),
    (3.0, 5.0),
    (60.0, 4.0),
    (-40.0, 6.0),
    (90.0, 5.0),
    (-70.0, 4.0),
    (120.0, 6.0),
)
SPECS = {
    "k": Number("Components", 3, 1, MAX_COMPONENTS, 1),
    **{
        f"{field}{i}": spec
        for i, (mean, std) in enumerate(TRUTHS, 1)
        for field, spec in {
            "mean": Number(f"Mean {i}", mean, -1_000.0, 1_000.0, 1.0, format="%g"),
            "sd": Number(f"SD {i}", std, 0.1, 200.0, 0.5, format="%g"),
            "size": Number(f"Size {i}", 1_000, 1, 12_500, 1),
            "start_mean": Number(f"Start mean {i}", mean, -1_000.0, 1_000.0, 1.0, format="%g"),
            "start_sd": Number(f"Start SD {i}", 5.0, 0.01, 200.0, 0.5, format="%g"),
        }.items()
    },
    "data_seed": controls.seed("Data seed"),
    "guess": Choice("Initial guess", (*GUESSES, TYPED), next(iter(GUESSES))),
    "guess_seed": controls.seed("Guess seed"),
    "weights": Switch("Estimate mixing weights", True, "Off: they stay equal, as in the article."),
    "hard": Switch("Hard assignment", False, "Each value goes wholly to its likeliest component."),
    "floor": Number(
        "Smallest standard deviation",
        0.05,
        0.0,
        10.0,
        0.05,
        "With 0, a component may collapse onto a single value.",
        format="%g",
    ),
    "tol": controls.tolerance("value"),
    "max_iter": controls.iteration_limit(20),
}
SITUATIONS = {
    "Wang’s article": {},
    "Heights of men and women": {
        "k": 2,
        "mean1": 163.0,
        "sd1": 7.0,
        "mean2": 177.0,
        "sd2": 7.0,
        "max_iter": 200,
        "guess": "Random data points",
    },
}


class Mixture(NamedTuple):
    run: Run
    bars: pd.DataFrame
    steps: pd.DataFrame
    truth: pd.DataFrame


@cached_run
def compute(settings: dict[str, Any]) -> Mixture:
    s = SimpleNamespace(**settings)

    def each(field: str) -> list[float]:
        return [settings[f"{field}{i}"] for i in range(1, s.k + 1)]

    sample = simulate(each("mean"), each("sd"), each("size"), rng=stream(s.data_seed, DATA))
    if s.guess == TYPED:
        start = GaussianParams(each("start_mean"), each("start_sd"), equal_weights(s.k))
    else:
        start = GUESSES[s.guess](sample.data, s.k, rng=stream(s.guess_seed, GUESS))
    truth = sample.truth
    if not s.weights:
        truth = GaussianParams(truth.means, truth.stds, start.weights)
    start, truth = (
        GaussianParams(p.means, np.maximum(p.stds, s.floor), p.weights) for p in (start, truth)
    )
    mixture = GaussianMixture(min_std=s.floor, estimate_weights=s.weights)
    run = run_em(
        HardEM(mixture) if s.hard else mixture,
        sample,
        start,
        truth=truth,
        by="means",
        names=NAMES,
        objective="log-likelihood",
        tol=float(s.tol),
        max_iter=s.max_iter,
    )
    density, edges = np.histogram(sample.data, bins=BINS, density=True)
    bars = frames.divided_bars(
        run.model,
        run.trace,
        NAMES,
        middles=(edges[:-1] + edges[1:]) / 2,
        half_width=(edges[1] - edges[0]) / 2,
        heights=density,
        digits=1,
    )
    grid = {
        "low": edges[0],
        "high": edges[-1],
        "step": (edges[-1] - edges[0]) / CURVE_POINTS,
        "top": 1.2 * density.max(),
    }
    return Mixture(run, bars, run.frames.steps.assign(**grid), run.frames.truth.assign(**grid))


c = Controls("gm", SPECS, SITUATIONS)
with st.sidebar:
    c.situation()
    st.subheader("Truth and data")
    shown = range(1, c.show("k") + 1)
    for i in shown:
        for column, field in zip(st.columns(3), ("mean", "sd", "size"), strict=True):
            with column:
                c.show(f"{field}{i}")
    c.show("data_seed")
    st.subheader("Initial guess")
    if c.show("guess") == TYPED:
        for i in shown:
            for column, field in zip(st.columns(2), ("start_mean", "start_sd"), strict=True):
                with column:
                    c.show(f"{field}{i}")
    else:
        c.show("guess_seed")
    st.subheader("Algorithm")
    c.show_all("weights", "hard", "floor", "tol", "max_iter")
    c.footer()
    settings = c.settings()

st.title("Gaussian mixture")
st.markdown(
    "**Which bell curves are these numbers drawn from?** Each value comes from one of a few normal "
    "distributions. Which one is not recorded, and neither are their means, standard deviations "
    "and shares."
)
mixture = compute(settings)
run, n = mixture.run, len(mixture.run.sample.data)
objective = Objective("Classification log-likelihood" if settings["hard"] else "Log-likelihood")
quantities = {f: q for f, q in QUANTITIES.items() if f != "weights" or settings["weights"]}
stds, weights = run.params.stds, run.params.weights

sections.status_line(run, objective, quantity="mean")
sections.advice(
    {
        "A component has collapsed: it sits on a single value and its standard deviation has "
        "fallen to 0, where its density is infinite. Set a smallest standard deviation above 0, "
        "or try another guess.": run.trace.status is Status.NON_FINITE,
        f"A component is as narrow as the smallest standard deviation, {settings['floor']:g}, "
        "allows: without it, it would collapse onto a few values. Try another guess.": (
            settings["floor"] > 0 and stds.min() <= settings["floor"]
        ),
        "A component has lost all its values. Start it closer to the data.": (
            settings["weights"] and n * weights.min() < EMPTY
        ),
        f"This is a poor optimum: started from the truth, EM reaches {run.missed:,.1f} more "
        "log-likelihood. Try other guess seeds and keep the best.": run.missed > POOR * n
        and run.trace.converged,
        f"EM is not there yet: started from the truth, it reaches {run.missed:,.1f} more "
        "log-likelihood. Raise the iteration limit; if that does not help, try another guess "
        "seed.": run.missed > POOR * n and run.trace.status is Status.MAX_ITER,
    }
)
sections.explore(
    run,
    quantities,
    objective,
    Drawing(
        "Histogram shared between the components, and their densities",
        charts.densities("Value", "Component"),
        {"bars": mixture.bars, "steps": mixture.steps, "truth": mixture.truth},
        f"Histogram of {sections.count(n, 'value')}, each bar divided by responsibility, with the "
        f"density of each of {settings['k']} components, their sum, and the true density.",
    ),
    caption="Bars: values, divided by responsibility. Coloured lines: components. Pink line: their "
    "sum. Dashed line: the truth.",
    key="gm",
)

st.header("The guess, and after 5 and 20 iterations")
sections.in_row(
    [
        Drawing(
            "Initial guess" if at == 0 else f"After {sections.count(at, 'iteration')}",
            charts.densities("Value", "Component", bound=False),
            {
                "bars": frames.still(mixture.bars, at),
                "steps": frames.still(mixture.steps, at),
                "truth": mixture.truth,
            },
            f"Histogram, component densities, their sum and the truth after {at} iterations",
        )
        for at in sorted({min(at, run.frames.last) for at in STILLS})
    ],
    key="gm_stills",
)
sections.iteration_table(run, QUANTITIES, key="gm")

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
