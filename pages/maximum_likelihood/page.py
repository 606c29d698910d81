"""Maximum likelihood: one Gaussian in closed form, and the hidden label that breaks it."""

import streamlit as st

from em_core.models import gaussian
from em_ui import sections
from em_ui.controls import Controls
from em_ui.pictures import style
from pages import lesson
from pages.maximum_likelihood.problem import PREFIX, SPECS, group_means, group_std, one_group
from pages.maximum_likelihood.sections import draw_hidden_label, fit_drawings
from pages.maximum_likelihood.situations import SITUATIONS

c = Controls(PREFIX, SPECS, SITUATIONS)
with st.sidebar:
    c.situation()
    c.group("Truth and data", "mean", "std", "size", "data_seed")
    c.group("Your guess", "guess_mean", "guess_std")
s = c.settings()
population = {name: s[name] for name in ("mean", "std", "size")}
guess = gaussian.Estimate(s["guess_mean"], s["guess_std"])

st.title("Maximum likelihood")
st.markdown(
    "**Which bell curve fits these heights best?** The heights of adults are drawn from one normal "
    "distribution. Move your guess of its mean μ and standard deviation σ in the sidebar, and try "
    "to make the log-likelihood as large as you can."
)
sections.question(c, before="Before you move the sliders")
heights, bars = one_group(**population, seed=s["data_seed"])
best = gaussian.maximum_likelihood(heights)
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

style.heard("Your guess", level=2)
sections.in_row(fit_drawings(heights, bars, guess, best), key=c.key("fit"))

sections.answer(c, after="After you have moved them")

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

draw_hidden_label(c, population, s["data_seed"])
means = group_means(population["mean"], population["std"])
mixture = lesson("Gaussian mixture")
st.page_link(
    mixture.page,
    label="See EM find the two groups",
    icon=":material/arrow_forward:",
    query_params=mixture.link(
        "groups", means=means, std=group_std(population["std"]), size=population["size"] // 2
    ),
)
with st.sidebar:
    c.footer()
