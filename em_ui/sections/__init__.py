"""The parts of a lesson's page, from the question to what is often believed."""

from em_ui.sections.by_hand import bracketed, chosen, formula, moment, significant, standing
from em_ui.sections.explore import Drawing, compares, explore, in_row, status_line
from em_ui.sections.findings import not_the_best, other_number
from em_ui.sections.lesson import draw_sections, sections_of
from em_ui.sections.picture import outcomes, pick_outcome
from em_ui.sections.situation import advice, answer, misconceptions, question
from em_ui.sections.tables import iteration_table, references
from em_ui.sections.teacher import quiz

__all__ = [
    "Drawing",
    "advice",
    "answer",
    "bracketed",
    "chosen",
    "compares",
    "draw_sections",
    "explore",
    "formula",
    "in_row",
    "iteration_table",
    "misconceptions",
    "moment",
    "not_the_best",
    "other_number",
    "outcomes",
    "pick_outcome",
    "question",
    "quiz",
    "references",
    "sections_of",
    "significant",
    "standing",
    "status_line",
]
