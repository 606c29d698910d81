"""The controls of the two coins, and the problem that they set."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from em_core import BinomialMixture, BinomialParams
from em_core.models.binomial_mixture import guess_uniform
from em_ui import controls, data
from em_ui.controls import Choice, Control, Number, Switch
from em_ui.inert import escaped
from em_ui.pictures.bins import unit
from em_ui.run import Problem, Quantity, Settings, Words, count, in_digits, pose, simulated

FIVE = "Five published trials"
PUBLISHED = (data.Published(FIVE, "coin_trials", ("heads", "tosses")),)
TYPED, RANDOM = "Typed in", "Random"
COINS, MOST_TOSSES = 2, 200
WORDS = Words(
    title="Two coins",
    prefix="tc",
    observation="trial",
    component="coin",
    group="coin",
    names=("A", "B"),
    by="heads_prob",
    quantities={
        "heads_prob": Quantity("Heads probability", "θ", ".3f"),
        "weights": Quantity("Mixing weight", "π", ".3f"),
    },
    miss=0.1,
)


OWN_TOSSES = 2.0  # times as long a row takes whose tosses are its own


def probability(label: str, default: float, *, fits_data: bool = False) -> Number:
    """Return the control of a probability."""
    return Number(label, default, 0.0, 1.0, 0.01, slider=True, fits_data=fits_data)


SPECS = {
    "data": data.choice(PUBLISHED),
    "own": data.Own(roles=("Heads", "Tosses"), optional=("Tosses",)),
    "true_a": probability("True heads probability of A", 0.6),
    "true_b": probability("True heads probability of B", 0.2),
    "share_a": Number("Share of trials with A", 0.5, 0.0, 1.0, 0.05, slider=True),
    "tosses": Number("Tosses per trial", 10, 1, MOST_TOSSES, 1),
    "trials": Number("Number of trials", 500, 1, 100_000, 1),
    "guess": Choice("Initial guess", (TYPED, RANDOM), TYPED),
    "start_a": probability("Start for A", 0.8, fits_data=True),
    "start_b": probability("Start for B", 0.7, fits_data=True),
    "hard": Switch("Hard assignment", False, "Each trial goes wholly to its likelier coin."),
    "weights": Switch("Estimate mixing weights", False, "Off: both coins stay equally likely."),
    **controls.usual("trial"),
}

# Proportions of heads that differ by less ask for finer sliders than those of a whole.
_NARROW = 0.2
_DECIMALS = 10  # of a slider


@dataclass(frozen=True)
class Trials:
    """Trials that were not simulated, as the model takes them.

    Attributes
    ----------
    given : Given
        With the columns that the model takes, and with labels if they name two coins.
    heads, tosses : ndarray of int, shape (n,)
        Of each trial.
    n_tosses : int or None
        Of all trials; None if they differ.
    """

    given: data.Given
    heads: npt.NDArray[np.int64]
    tosses: npt.NDArray[np.int64]
    n_tosses: int | None

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The heads, shape (n,), or the heads and the tosses, (n, 2), if these differ."""
        if self.n_tosses is not None:
            return self.heads
        return np.column_stack([self.heads, self.tosses])


def trials(given: data.Given, settings: Settings) -> Trials:
    """Return given numbers as trials. Without a column of tosses the control says how many.

    Raises
    ------
    ValueError
        If they are no heads and tosses, in words for the page.
    """
    heads = given.column(0, whole=True)
    _check(given, 0, heads < 0, heads, "0 or more")
    if len(given.columns) > 1:
        tosses = given.column(1, whole=True)
        _check(given, 1, tosses < 1, tosses, "1 or more")
        advice = "A trial cannot show more heads than it has tosses"
    else:
        tosses = np.full(len(heads), settings["tosses"], dtype=np.int64)
        advice = "Raise *Tosses per trial* in the sidebar"
        if heads.max() > MOST_TOSSES:
            advice = "Give a column of tosses beside that of heads"
    above = np.flatnonzero(heads > tosses)
    if len(above):
        i = above[0]
        raise ValueError(
            f"row {i + 1} of those used has {count(heads[i], 'head')} in {tosses[i]:,} "
            f"toss{'es' * bool(tosses[i] != 1)}. {advice}"
        )
    if given.labels is not None and len(given.groups) != COINS:
        given = replace(given, labels=None)
    if np.ptp(tosses):
        return Trials(given, heads, tosses, None)
    first = replace(given, columns=given.columns[:1], values=given.values[:, :1])
    return Trials(first, heads, tosses, int(tosses[0]))


def _check(
    given: data.Given, column: int, wrong: npt.NDArray[np.bool_], values: Any, allowed: str
) -> None:
    if wrong.any():
        i = np.flatnonzero(wrong)[0]
        raise ValueError(
            f"“{escaped(given.columns[column])}” must be {allowed}, and row {i + 1} of those used "
            f"is {values[i]:,}"
        )


def of_labels(given: data.Given) -> str:
    """Return which coin each label stands for, or why labels are not compared; or ""."""
    if given.labels is None:
        return ""
    if len(given.groups) != COINS:
        name = f"only one coin, “{escaped(given.groups[0])}”"
        named = name if len(given.groups) == 1 else f"{len(given.groups)} coins"
        return (
            f"The labels name {named}, and this page has two. So nothing is compared with the "
            "labels."
        )
    if given.groups == WORDS.names:
        return ""
    first, second = map(escaped, given.groups)
    return f"With the labels known, A is “{first}” and B is “{second}”."


def fitting(given: Trials) -> dict[str, Control]:
    """Return the controls of the start, as they fit the reader's own trials.

    Where the proportions of heads are near each other, sliders reach no further than around them.
    A starts among the trials with many heads, and B among those with few.
    """
    shares = given.heads / given.tosses
    low, high = float(shares.min()), float(shares.max())
    step, ends = 0.01, (0.0, 1.0)
    if high - low < _NARROW:
        spread = high - low or max(min(low, 1 - low), 1 / float(given.tosses.mean())) / 2
        step = unit(spread) / 10
        ends = (max(_to(low - spread, step), 0.0), min(_to(high + spread, step), 1.0))
    few, many = (_to(float(x), step) for x in np.quantile(shares, [0.25, 0.75]))
    if many - few < step / 2:  # EM would not move equal coins apart
        few, many = _to((low + ends[0]) / 2, step), _to((high + ends[1]) / 2, step)
    # A coin that starts at 0 or 1 can explain no other trial.
    few, many = max(few, ends[0] + step), min(many, ends[1] - step)
    places = f"%.{max(-int(np.floor(np.log10(step) + 0.5)), 2)}f"
    a, b = (
        replace(
            probability(SPECS[name].label, _to(start, step), fits_data=True),
            low=ends[0],
            high=ends[1],
            step=step,
            format=places,
        )
        for name, start in (("start_a", many), ("start_b", few))
    )
    return {"start_a": a, "start_b": b}


def _to(value: float, step: float) -> float:
    return round(round(value / step) * step, _DECIMALS)


def problem(settings: Settings) -> Problem:
    """Return the problem that the controls set."""
    s = SimpleNamespace(**settings)
    given, words, columns = data.given(settings, PUBLISHED), WORDS, ["heads"]
    truth: BinomialParams | None
    if given is None:
        mixture = BinomialMixture(s.tosses, estimate_weights=s.weights)
        coins = BinomialParams([s.true_a, s.true_b], [s.share_a, 1 - s.share_a])
        sample, lines = simulated(mixture, coins, s.trials, settings)
        truth = coins if s.weights else BinomialParams(coins.heads_prob, [0.5, 0.5])
    else:
        read = trials(given, settings)
        mixture = BinomialMixture(read.n_tosses, estimate_weights=s.weights)
        words = in_digits(WORDS, read.heads / read.tosses, "heads_prob")
        sample = read.given.sample(
            mixture, read.rows, lambda k, rng: guess_uniform(read.rows, k, rng=rng)
        )
        columns, truth = list(read.given.columns), sample.truth
        lines = read.given.lines(words, flat=read.n_tosses is not None, dtype="int")

    def guess(rng: np.random.Generator) -> BinomialParams:
        return guess_uniform(sample.data, COINS, rng=rng)

    return pose(
        words,
        settings,
        mixture,
        sample,
        guess,
        typed=BinomialParams([s.start_a, s.start_b], [0.5, 0.5]) if s.guess == TYPED else None,
        truth=truth,
        data_lines=lines,
        data_columns=columns,
        fixed=() if s.weights else ("weights",),
        drawn=RANDOM,
        truth_known=given is None,
        effort=1.0 if mixture.n_tosses else OWN_TOSSES,
    )
