"""The parts of a lesson's page, from the question to what is often believed."""

from em_ui.sections.by_hand import bracketed, chosen, formula, moment, significant, standing
from em_ui.sections.explore import Drawing, compares, in_row
from em_ui.sections.findings import not_the_best, other_number
from em_ui.sections.lesson import controls_of, more, play, results, run_of, sections_of
from em_ui.sections.picture import histogram, outcomes, plane, stills
from em_ui.sections.situation import answer, question

__all__ = [
    "Drawing",
    "answer",
    "bracketed",
    "chosen",
    "compares",
    "controls_of",
    "formula",
    "histogram",
    "in_row",
    "moment",
    "more",
    "not_the_best",
    "other_number",
    "outcomes",
    "plane",
    "play",
    "question",
    "results",
    "run_of",
    "sections_of",
    "significant",
    "standing",
    "stills",
]
