"""Situations of the lesson, and what is often believed."""

from em_ui.controls import Situation

SITUATIONS = {
    "Two shops": Situation(
        {},
        "Which shop was called on a day of eight calls?",
        "Either may have been, so the day is shared between them: not half and half, but by how "
        "probable eight calls are at each.",
    ),
    "Nearly alike": Situation(
        {"rate_b": 6.0},
        "Now the shops are called nearly as often as each other. Are they harder to tell apart?",
        "Yes: on most days either may have been called, and EM needs more iterations.",
    ),
}
MISCONCEPTIONS = (("A count is a rate.", "A rate is what counts come to on average."),)
