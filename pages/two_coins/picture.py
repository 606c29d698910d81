"""The picture of the two coins: trials by number of heads, or by proportion where tosses differ."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from em_core.models.binomial_mixture import expected_in_bins
from em_core.numerics import Array
from em_ui import sections
from em_ui.controls import Controls
from em_ui.pictures import frames
from em_ui.run import Run, cached_quietly
from pages.two_coins.problem import MOST_TOSSES

Integers = npt.NDArray[np.int64]

MOST_BARS = 50
_BINS_IN_ONE = 10  # of one proportion alone
_EXPECTED = 2e6  # probabilities that are computed for the expected trials, at the most


def heads_and_tosses(run: Run) -> tuple[Integers, Integers]:
    """Return the heads and the tosses of each trial, each shape (n,)."""
    heads, tosses = run.problem.mixture.heads_and_tosses(run.problem.sample.data)
    return heads[:, 0].astype(np.int64), np.broadcast_to(tosses, heads.shape)[:, 0].astype(np.int64)


def by_number(run: Run) -> bool:
    """Return whether trials have the same number of tosses, and few enough for a bar a number."""
    n_tosses = run.problem.mixture.n_tosses
    return n_tosses is not None and n_tosses <= MOST_TOSSES


def picture(c: Controls, run: Run) -> sections.Drawing:
    """Return the picture of all trials, shared between the coins."""
    if by_number(run):
        title = "Trials by number of heads, shared between the coins"
        return sections.outcomes(
            c, run, run.problem.mixture.n_tosses + 1, title=title, outcome="Heads"
        )
    heads, tosses = heads_and_tosses(run)

    def place(i: int) -> tuple[float, str]:
        return float(heads[i] / tosses[i]), f"{heads[i]:,} of {tosses[i]:,}"

    return sections.proportions(
        c,
        run,
        _tables(run),
        place=place,
        title="Trials by proportion of heads, shared between the coins",
        outcome="Proportion of heads",
    )


def pick(c: Controls, run: Run) -> None:
    """Take the trial that is nearest to the bar that was clicked, in a callback."""
    if by_number(run):
        sections.pick(c, run)
    else:
        heads, tosses = heads_and_tosses(run)
        sections.pick(c, run, heads / tosses)


def caption(run: Run) -> str:
    """Return what the bars and the line of the picture are."""
    if by_number(run):
        return (
            "Bars: trials, divided by responsibility. Click a bar to see the calculation for its "
            "first trial. Solid line: trials expected under the current coins."
        )
    return (
        "Bars: trials, divided by responsibility. Click a bar to see the calculation for the trial "
        "nearest to its middle. Solid line: trials expected under the current coins, with as many "
        "tosses as these have."
    )


def edges(heads: Integers, tosses: Integers) -> tuple[int, Integers]:
    """Return how many bins there are between 0 and 1, and the ends of those that are needed.

    A bin is 1, 2 or 5 times a power of ten wide, so that there are about three for two roots of the
    number of trials. The ends are counted in bins.
    """
    shares = heads / tosses
    low, high = float(shares.min()), float(shares.max())
    wanted = min(1.5 * math.sqrt(len(heads)), MOST_BARS)
    # One value alone stands in a bin as wide as what one more head would make of it.
    spread = high - low or _BINS_IN_ONE / max(float(tosses.max()), _BINS_IN_ONE)
    decade = 10 ** max(math.floor(math.log10(wanted / spread)), 0)
    per = min((decade * n for n in (1, 2, 5, 10)), key=lambda n: abs(math.log(n * spread / wanted)))
    bins = bins_of(heads, tosses, per)
    return per, np.arange(bins.min(), bins.max() + 2)


def bins_of(heads: Integers, tosses: Integers, per: int) -> Integers:
    """Return in which of ``per`` bins between 0 and 1 the proportion of each trial lies.

    A bin holds its left end, and the last one its right end too.
    """
    # A product of whole numbers over another is rounded once, so that no end is missed.
    return np.minimum(np.floor(heads * float(per) / tosses), per - 1).astype(np.int64)


@cached_quietly
def _tables(run: Run) -> dict[str, pa.Table]:
    problem = run.problem
    heads, tosses = heads_and_tosses(run)
    per, ends = edges(heads, tosses)
    bars = bins_of(heads, tosses, per) - ends[0]
    middles = (ends[:-1] + 0.5) / per
    digits = len(np.format_float_positional(0.5 / per).partition(".")[2])
    table = frames.divided_bars(
        problem.labelled_model,
        run.trace,
        problem.words.names,
        middles=middles,
        half_width=0.5 / per,
        heights=np.bincount(bars, minlength=len(middles)),
        digits=digits,
        values=problem.sample.data,
        bars=bars,
    )
    histories = {
        "expected": [step.params for step in run.steps],
        "truth": [problem.sample.truth],
        "labelled": [run.labelled],
    }
    expected = {
        name: _expected(history, _some(tosses, len(ends) * len(run.steps)), ends / per, len(tosses))
        for name, history in histories.items()
        if history[0] is not None
    }
    return {"bars": table, **expected}


def _some(tosses: Integers, times: int) -> Integers:
    """Return the tosses of so many trials, evenly spread, as can be computed with ``times``."""
    most = max(int(_EXPECTED / times / 2), 1)
    if len(np.unique(tosses)) <= most:
        return tosses
    return np.sort(tosses)[(2 * np.arange(most) + 1) * len(tosses) // (2 * most)]


def _expected(history: list[Any], tosses: Integers, ends: Array, n: int) -> pa.Table:
    counts = [n / len(tosses) * expected_in_bins(params, tosses, ends) for params in history]
    middles = (ends[:-1] + ends[1:]) / 2
    return frames.arrow(
        {
            "iteration": np.repeat(np.arange(len(history), dtype=np.int16), len(middles)),
            "outcome": np.tile(middles, len(history)),
            "count": np.concatenate(counts),
        }
    )
