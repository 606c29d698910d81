"""Situations of the two coins, and what is often believed."""

from em_ui.controls import Situation
from pages.two_coins.problem import PUBLISHED

SITUATIONS = {
    "Wang’s article": Situation(
        {},
        "500 trials, but nobody noted the coins. EM starts far off, at 0.8 and 0.7. Will it find "
        "0.6 and 0.2? Which of the two estimates will move first, and which way?",
        "Yes. Both fall in the first step, B further: most trials show few heads, which 0.7 "
        "explains a little less badly than 0.8, so nearly all of them go to B. As B falls, "
        "it lets go of the trials with many heads, and A settles near 0.6.",
        sealed_question="500 trials, but nobody noted the coins. EM starts at 0.8 and 0.7. Which "
        "way will each of the two estimates move in the first step?",
    ),
    "Do and Batzoglou": Situation(
        {"data": PUBLISHED, "start_a": 0.6, "start_b": 0.5},
        "Five trials of ten tosses: 5, 9, 8, 4 and 7 heads. With the coins known, one would say "
        "0.80 and 0.45. EM does not know them. Will it say the same?",
        "Nearly: 0.797 and 0.520. The trials with 9, 8 and 7 heads lean to A, but none goes there "
        "wholly, so A’s estimate stays below 0.80 and B’s is pulled up. Five trials are few, so "
        "the estimate is rough. EM converges all the same: more data make it accurate, not "
        "convergent.",
    ),
    "The same start for both coins": Situation(
        {"start_a": 0.5, "start_b": 0.5},
        "Both coins start at 0.5. What will the first E-step say about each trial?",
        "Each trial is shared half and half, so both coins get the same heads and tails, and stay "
        "equal for ever. This point is a saddle: the slightest difference would grow. Start one "
        "coin at 0.51 and see.",
        moves=("start_a", "start_b"),
    ),
    "Swapped names": Situation(
        {"start_a": 0.2, "start_b": 0.6},
        "The start has A low and B high, the truth the other way round. Will EM turn them round?",
        "No, and it need not. The likelihood does not know the names: exchanging the coins changes "
        "nothing. There are two equal tops, mirror images of each other, and EM climbs the nearer.",
        sealed_question="The start has A low and B high. Will EM turn them round?",
    ),
    "Coins that are nearly alike": Situation(
        {"true_a": 0.55, "true_b": 0.45, "data_seed": 8, "max_iter": 500, "tol": "1e-8"},
        "The coins differ by 0.10 only. Will EM need more iterations than with 0.6 and 0.2, or "
        "fewer? Will the answer be as good?",
        "Many more, and the answer is worse. A trial of ten tosses hardly tells the coins apart, "
        "so most of the information is missing, and EM’s rate of convergence is the fraction that "
        "is missing.",
        sealed_question="Will EM need many iterations here, or few?",
    ),
    "Stopping too early": Situation(
        {"true_a": 0.55, "true_b": 0.45, "data_seed": 8, "max_iter": 500, "tol": "1e-3"},
        "The same coins, with a loose tolerance. The page says converged. Is it?",
        "No. Each iteration gains little because EM is slow here, not because it has arrived. Open "
        "*Convergence, honestly*, and compare with a tolerance of 1e-8.",
        moves=("tol",),
    ),
    "One trial of eight heads, by hand": Situation(
        {"true_a": 0.8, "true_b": 0.7, "trials": 5, "data_seed": 3},
        "Coins of 0.8 and 0.7, and few trials. The first shows 8 heads: see *One step by hand*. "
        "How much of it goes to A?",
        "0.564 of it: 0.8⁸ 0.2² against 0.7⁸ 0.3². So 4.512 of its heads go to A and 3.488 to B.",
        sealed_question="Few trials. The first shows 8 heads: see *One step by hand*. How much of "
        "it goes to A at the initial guess?",
    ),
}

MISCONCEPTIONS = (
    (
        "The weights must be 0 or 1.",
        "A trial came from one coin, but we do not know which. The weight says how sure we are.",
    ),
    (
        "EM needs much data to converge.",
        "It converges on five trials. More data make the estimate accurate, not the algorithm "
        "convergent.",
    ),
    (
        "A different answer from another start is a bug.",
        "The likelihood has several tops, here at least two. EM climbs the nearest.",
    ),
)
