"""Calls at two shops: a Poisson mixture."""

from em_ui import sections
from em_ui.data import SIMULATED
from toy_lesson.problem import SPECS, WORDS, problem
from toy_lesson.sections import SECTIONS, findings
from toy_lesson.situations import MISCONCEPTIONS, SITUATIONS

RATES = ("rate_a", "rate_b")
c = sections.controls_of(WORDS, SPECS, SITUATIONS, SECTIONS, truth=RATES, asked=RATES)
with c.sidebar():
    if sections.data_of(c, ()) is None and c.settings()["data"] == SIMULATED:
        c.show_all(*RATES, "days", "data_seed", "student")
    c.group("Initial guess", "guess_seed", "start")
    c.group("Algorithm", "hard", "tol", "max_iter")

sections.opening(
    "Calls at two shops",
    "**Which shop was called?** Each day the calls at one of two shops were counted.",
)
run = sections.run_of(c, WORDS, problem)
most = int(run.problem.sample.data.max())
picture = sections.outcomes(c, run, most + 1, title="Days by number of calls", outcome="Calls")
caption = "Bars: days, divided by responsibility."
sections.play(c, run, picture, caption=caption, findings=findings(run))
sections.results(c, run)
sections.more(c, run, MISCONCEPTIONS)
