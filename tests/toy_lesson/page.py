"""Calls at two shops: a Poisson mixture."""

import streamlit as st
from toy_lesson.problem import SPECS, WORDS, problem
from toy_lesson.sections import SECTIONS, findings
from toy_lesson.situations import MISCONCEPTIONS, SITUATIONS

from em_ui import sections
from em_ui.controls import Controls, view
from em_ui.run import fitted

c = Controls(
    WORDS.prefix,
    SPECS,
    SITUATIONS,
    truth=("rate_a", "rate_b"),
    view=view(WORDS.observation, SECTIONS),
)
with st.sidebar:
    situation = c.situation()
    c.show_all(*SPECS)
    settings = c.settings()
    c.footer()

st.title("Calls at two shops")
st.markdown("**Which shop was called?** Each day the calls at one of two shops were counted.")
run = fitted(problem, settings)
sections.question(situation)
sections.status_line(c, run)
found = list(findings(run))
sections.advice(found, situation)
outcomes = int(run.problem.sample.data.max()) + 1
sections.explore(
    c,
    run,
    sections.outcomes(c, run, outcomes, "Days by number of calls", "Calls"),
    caption="Bars: days, divided by responsibility.",
    on_pick=lambda: sections.pick_outcome(c, run),
)
sections.answer(situation, found)
sections.iteration_table(c, run)
sections.quiz(c, run, scale=1.0)
if not c.sealed:
    sections.references(run)
sections.draw_sections(c, run)
sections.misconceptions(*MISCONCEPTIONS)
