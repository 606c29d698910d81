"""Situations of the lesson, and what is often believed."""

from em_ui.controls import Situation

SITUATIONS = {
    "Two shops": Situation(
        {}, "Which shop was called on a day of eight calls?", "Either may have been: it is shared."
    ),
    "Nearly alike": Situation(
        {"rate_b": 6.0}, "Is it harder to tell the shops apart?", "Yes, and it takes longer."
    ),
}
MISCONCEPTIONS = (("A count is a rate.", "A rate is what counts come to on average."),)
