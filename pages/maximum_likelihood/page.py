"""Maximum likelihood: one Gaussian in closed form, and the hidden label that breaks it."""

import streamlit as st

from em_core.models import gaussian
from em_ui import sections
from em_ui.controls import Controls
from em_ui.pictures import style
from pages import lesson
from pages.maximum_likelihood.problem import EM, PREFIX, SPECS, em_finds, one_group, two_groups
from pages.maximum_likelihood.sections import (
    draw_formula,
    draw_hidden_label,
    draw_hill,
    draw_histogram,
    draw_metrics,
    search,
)
from pages.maximum_likelihood.situations import SITUATIONS

c = Controls(PREFIX, SPECS, SITUATIONS)
with st.sidebar:
    c.situation()
    c.group("Truth and data", "mean", "std", "size", "data_seed")
s = c.settings()
truth = gaussian.Estimate(s["mean"], s["std"])
population = (*truth, s["size"], s["data_seed"])

sections.opening(
    "Maximum likelihood",
    "**Which bell curve fits these heights best?** The heights of adults are drawn from one normal "
    "distribution. Guess its mean μ and standard deviation σ, with the sliders or by a click in "
    "the plane, and try to make the log-likelihood as large as you can.",
)
sections.question(c, before="Before you move the sliders")
style.heard("Your guess", level=2)
heights, bars = one_group(*population)
left, right = st.columns(2)
with left:
    c.show_beside("guess_mean", "guess_std")
tried = search(c, heights, population)
with right:
    instrument = st.container()
    uncovered = c.show("hill")
# What is covered does not leave the server.
top = gaussian.maximum_likelihood(heights) if uncovered else None
with left:
    draw_histogram(c, heights, bars, tried[-1].guess, top)
with instrument:
    draw_metrics(c, tried, float(gaussian.log_likelihood(heights, *top)) if top else None)
    draw_hill(c, heights, truth, tried, top)
sections.answer(c, after="After you have moved them")

draw_formula(len(heights), truth, top)
draw_hidden_label(c, population)

groups, mixture = two_groups(*population), lesson("Gaussian mixture")
means, std = groups.start
st.page_link(
    mixture.page,
    label="See EM find the two groups",
    icon=":material/arrow_forward:",
    query_params=mixture.link(
        "groups",
        components=groups.components,
        start=[(mean, std) for mean in means],
        data_seed=s["data_seed"],
        **EM,
    ),
)
st.caption(
    "The same heights, without the labels. Half of each is known, so the mixing weights stay equal."
    if em_finds(*population)
    else "The same heights, without the labels. They are too few for EM to find the two groups."
)
with st.sidebar:
    c.footer()
