"""The parts of a lesson's page, from the question to what is often believed."""

from em_ui.sections.by_hand import (
    as_printed,
    bracketed,
    chosen,
    formula,
    fractions,
    moment,
    ratios,
    scientific,
    standing,
)
from em_ui.sections.data import data_of
from em_ui.sections.explore import Drawing, compares, in_row
from em_ui.sections.findings import not_the_best, other_number
from em_ui.sections.lesson import (
    controls_of,
    displayed,
    more,
    opening,
    play,
    results,
    run_of,
    sections_of,
    steps,
)
from em_ui.sections.picture import (
    beyond,
    gaussian_still,
    gaussians,
    histogram,
    marginals,
    outcomes,
    pick,
    plane,
    proportions,
    stills,
)
from em_ui.sections.situation import answer, question

__all__ = [
    "Drawing",
    "answer",
    "as_printed",
    "beyond",
    "bracketed",
    "chosen",
    "compares",
    "controls_of",
    "data_of",
    "displayed",
    "formula",
    "fractions",
    "gaussian_still",
    "gaussians",
    "histogram",
    "in_row",
    "marginals",
    "moment",
    "more",
    "not_the_best",
    "opening",
    "other_number",
    "outcomes",
    "pick",
    "plane",
    "play",
    "proportions",
    "question",
    "ratios",
    "results",
    "run_of",
    "scientific",
    "sections_of",
    "standing",
    "steps",
    "stills",
]
