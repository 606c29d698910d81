"""Situations of maximum likelihood."""

from em_ui.controls import Situation

MOVES = ("guess_mean", "guess_std", "hill", "labels")
SITUATIONS = {
    "1,000 adults": Situation(
        {},
        "Make the log-likelihood as large as you can, then show the hill. Does it help to move one "
        "slider at a time?",
        "Here it does: the best μ is the same for every σ. Find it first, then the best σ, and you "
        "are at the top. With the hidden label below, nothing is so simple.",
        moves=MOVES,
    ),
    "Ten adults": Situation(
        {"size": 10},
        "Ten heights only. Will the top of the hill lie at the truth?",
        "Hardly ever: the top is the best fit to these ten, and ten others would give another. "
        "The bands of the hill show the loss per adult. With ten adults, the same band is a "
        "hundredth of the loss that it is with a thousand, so many guesses are nearly as good.",
        moves=MOVES,
    ),
    "A guess that is too narrow": Situation(
        {"guess_mean": 170.0, "guess_std": 4.0},
        "The mean is right, but σ is 4 instead of 10. Which heights spoil the log-likelihood?",
        "The tallest and the shortest. A narrow curve calls them next to impossible, and one such "
        "height costs more than many good ones gain.",
        moves=MOVES,
    ),
}
