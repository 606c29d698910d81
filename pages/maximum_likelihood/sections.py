"""What the page of maximum likelihood draws: the search for the best curve, the hidden label."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import streamlit as st

from em_core.models import gaussian
from em_core.models.gaussian import Estimate
from em_core.numerics import Array
from em_ui.controls import Controls
from em_ui.pictures import charts, frames, player
from em_ui.run import cached_quietly
from em_ui.sections import beside, displayed, hill, together
from pages.maximum_likelihood import problem

MOST_TRIED = 200  # guesses kept
_NAMED = 6  # guesses whose log-likelihood stands beside them
_ROOM = np.array([0.25, 0.07])  # that this takes, of the plane's sides
_COVERED = (
    '<p class="caption">What this gives for these heights stands here once you have shown the top.'
    "</p>"
)
_TITLE, _YOURS, _BEST, _TOP = "Log-likelihood", "Your guess", "Best so far", "Maximum likelihood"


class Tried(NamedTuple):
    """A guess that a visitor tried: its number, itself, and its log-likelihood."""

    number: int
    guess: Estimate
    value: float


def search(c: Controls, heights: Array, population: tuple[Any, ...]) -> list[Tried]:
    """Return the guesses that were tried on these heights, in their order; the last is the current.

    The search begins anew with other heights, another situation, and a reset. Of very many guesses
    the first are forgotten, but never the best.
    """
    key, about = f"{c.prefix} guesses tried", (population, player.rewinds(c.prefix))
    of, earlier = st.session_state.get(key, (None, []))
    tried: list[Tried] = earlier if of == about else []
    guess = Estimate(c.settings()["guess_mean"], c.settings()["guess_std"])
    if not tried or tried[-1].guess != guess:
        number = tried[-1].number + 1 if tried else 1
        tried = [*tried, Tried(number, guess, float(gaussian.log_likelihood(heights, *guess)))]
    if len(tried) > MOST_TRIED:
        tried.remove(next(entry for entry in tried if entry is not best_of(tried)))
    st.session_state[key] = (about, tried)
    return tried


def best_of(tried: list[Tried]) -> Tried:
    """Return the first of the best guesses."""
    return max(tried, key=lambda entry: entry.value)


def draw_metrics(c: Controls, tried: list[Tried], top: float | None) -> None:
    """Draw the log-likelihood of the guess, the best so far, and what is still to gain on it.

    ``top``, the largest log-likelihood, is given only once the visitor has asked for it.
    """
    yours, best = tried[-1].value, best_of(tried).value
    values = {"Your log-likelihood": yours}
    values |= {_BEST: best} if top is None else {"Largest": top, "Still to gain": top - yours}
    with st.container(horizontal=True, key=c.key("metrics")):
        for label, value in values.items():
            st.metric(label, f"{round(value, 2) + 0.0:,.2f}", width="content")  # no minus zero


def draw_histogram(
    c: Controls, heights: Array, bars: pa.Table, guess: Estimate, top: Estimate | None
) -> None:
    """Draw the heights with the curve of the guess and, once it was asked for, the best one."""
    estimates = {_YOURS: guess} | ({_TOP: top} if top else {})
    text = (
        f"Histogram of {len(heights):,} heights with the density of your guess, mean "
        f"{guess.mean:g} and standard deviation {guess.std:g}"
    )
    if top:
        text += f", and of the maximum likelihood estimate, {top.mean:.2f} and {top.std:.2f}"
    charts.show(
        charts.histogram("Height (cm)"),
        {"bars": bars, "curves": problem.curves(heights, estimates)},
        key=c.key("fit"),
        alt=text,
        title="Heights, and your curve",
    )


def draw_hill(
    c: Controls, heights: Array, truth: Estimate, tried: list[Tried], top: Estimate | None
) -> None:
    """Draw the plane of guesses with those tried; once it was asked for, the hill and its top.

    A click sets the guess.
    """
    guess, best = tried[-1], best_of(tried)
    marks = {_YOURS: guess.guess}
    if top:
        marks |= {_TOP: top, "Truth": truth}
    elif best is not guess:
        marks[_BEST] = best.guess
    low, high = problem.frame(*truth, [entry.guess for entry in tried] + ([top] if top else []))
    means, stds = (hill.edges(*ends) for ends in zip(low, high, strict=True))
    if top:
        x, y = (edges[:-1] + np.diff(edges) / 2 for edges in (means, stds))
        values = gaussian.log_likelihood(heights, x[:, None], y[None, :])
        largest = float(gaussian.log_likelihood(heights, *top))
        cells = _short(hill.bands(values, means, stds, n=len(heights), top=largest))
        title = "The hill: log-likelihood over μ and σ"
        text = (
            "Bands of equal log-likelihood over mean and standard deviation. The maximum is at "
            f"{top.mean:.2f} and {top.std:.2f}; your guess loses {largest - guess.value:,.1f}."
        )
    else:
        cells = _covered(means, stds)
        title = "The guesses that you tried"
        text = (
            f"The plane of guesses: means from {low[0]:.0f} to {high[0]:.0f}, standard deviations "
            f"from {low[1]:.1f} to {high[1]:.1f}. Tried: {len(tried)}. The best so far is mean "
            f"{best.guess.mean:g} and standard deviation {best.guess.std:g}, with a log-likelihood "
            f"of {best.value:,.2f}. The hill is covered."
        )
    turn = np.full(len(cells), tried[-1].number % 256, dtype=np.uint8)
    named = _apart(tried, np.array(list(marks.values())), high - low)
    charts.show(
        charts.hill(
            "μ (cm)",
            "σ (cm)",
            "Log-likelihood lost per adult",
            search=_TITLE,
            covered=top is None,
        ),
        {
            "hill": frames.extend(cells, turn=turn),
            "marks": hill.marks(marks),
            "tried": frames.arrow(
                {
                    "number": [entry.number for entry in tried],
                    "x": [entry.guess.mean for entry in tried],
                    "y": [entry.guess.std for entry in tried],
                    "objective": [entry.value for entry in tried],
                    "label": [
                        f"{entry.value:,.1f}" if entry.number in named else "" for entry in tried
                    ],
                }
            ),
        },
        key=c.key("plane"),
        alt=text,
        title=title,
        on_pick=lambda: _move_guess(c),
    )


def _short(cells: pa.Table) -> pa.Table:
    """Return cells with half the digits: enough to draw by, and to set sliders by a click."""
    kinds = (pa.float32() if pa.types.is_floating(kind) else kind for kind in cells.schema.types)
    return cells.cast(pa.schema(zip(cells.column_names, kinds, strict=True)))


@cached_quietly
def _covered(means: Array, stds: Array) -> pa.Table:
    """Return the cells of a plane whose heights are not to be seen, between these edges."""
    return _short(hill.cells(means, stds))


def _apart(tried: list[Tried], marked: Array, size: Array) -> set[int]:
    """Return the numbers of the latest guesses whose log-likelihood there is room to write."""
    taken: list[Any] = list(marked)
    numbers: set[int] = set()
    for entry in reversed(tried):
        if (
            len(numbers) < _NAMED
            and (np.abs(taken - np.array(entry.guess)) > _ROOM * size).any(1).all()
        ):
            taken.append(np.array(entry.guess))
            numbers.add(entry.number)
    return numbers


def _move_guess(c: Controls) -> None:
    """Move the guess to where the plane was clicked, as near as the sliders can stand."""
    mean, std = (charts.picked(c.key("plane"), axis) for axis in "xy")
    if mean is not None and std is not None:
        c.set(guess_mean=mean, guess_std=std)


def draw_formula(n: int, truth: Estimate, top: Estimate | None) -> None:
    """Draw the formula of the best guess, and what it gives here once it was asked for."""
    slopes = (
        displayed(
            r"\frac{\partial\ell}{\partial\mu} &= \frac{1}{\sigma^2}\sum_i (x_i-\mu) = 0",
            r"\Rightarrow\; \hat\mu &= \frac1n\sum_i x_i",
        ),
        displayed(
            r"\frac{\partial\ell}{\partial\sigma} &= -\frac{n}{\sigma}"
            r" + \frac{1}{\sigma^3}\sum_i (x_i-\mu)^2 = 0",
            r"\Rightarrow\; \hat\sigma^2 &= \frac1n\sum_i (x_i-\hat\mu)^2",
        ),
    )
    together(
        "## The formula",
        "The log-likelihood of heights $x_1 \\dots x_n$ under a normal distribution is",
        displayed(
            r"\ell(\mu,\sigma) ={}& -n\log\left(\sigma\sqrt{2\pi}\right)",
            r"& - \frac{1}{2\sigma^2}\sum_i (x_i-\mu)^2",
        ),
        "At the top of the hill both slopes are zero:",
        beside(*([each] for each in slopes)),
        _here(n, truth, top) if top else _COVERED,
    )


def _here(n: int, truth: Estimate, top: Estimate) -> str:
    """Return what the formula gives for these heights."""
    return (
        f"Here $\\hat\\mu = {top.mean:.2f}$ cm and $\\hat\\sigma = {top.std:.2f}$ cm, and the "
        f"truth is {truth.mean:g} and {truth.std:g}. The difference is the luck of the sample, "
        "which shrinks like $1/\\sqrt n$. And $\\hat\\sigma^2$ is on average too small, "
        "since it is measured from $\\hat\\mu$ and not from $\\mu$: only $(n-1)/n$ of $\\sigma^2$, "
        f"here {n - 1:,}/{n:,}."
    )


def draw_hidden_label(c: Controls, population: tuple[Any, ...]) -> None:
    """Draw two groups whose labels may be hidden, and what is lost with the labels."""
    groups = problem.two_groups(*population)
    n = len(groups.heights)
    together(
        "## And now with a hidden label",
        "Suppose that half of the adults are women and half are men, each group with a normal "
        "distribution of its own. Together they have the same mean and spread as before. Here are "
        f"the heights of {n:,}.",
    )
    if c.show("labels"):
        _draw_with_labels(c, groups)
    else:
        _draw_without_labels(c, groups)


def _draw_with_labels(c: Controls, groups: problem.TwoGroups) -> None:
    known = groups.known
    rows = list(zip(problem.GROUPS, groups.sizes, known.means, known.stds, strict=True))
    text = " and ".join(
        f"{name.lower()} {mean:.2f} ± {std:.2f} cm"
        if size > 1
        else f"{name.lower()} {mean:.2f} cm (one height has no spread)"
        for name, size, mean, std in rows
    )
    st.markdown(f"With the labels, each group has the formula to itself: {text}.")
    charts.show(
        charts.densities("Height (cm)", "Group", bound=False, labelled=False),
        problem.divided(groups),
        key=c.key("groups"),
        alt="Histogram of the heights, divided between women and men, with the curves that are "
        + "estimated with the labels known, "
        + " and ".join(
            f"{name.lower()} with mean {mean:.1f} and standard deviation {std:.1f}"
            for name, _, mean, std in rows
        ),
    )
    st.caption(
        "Coloured lines: estimated with the labels known. Pink line: their sum. Dashed: the true "
        "density of women and men together."
    )


def _draw_without_labels(c: Controls, groups: problem.TwoGroups) -> None:
    together(
        "Nobody noted who is who. One bell curve has a formula, but there are two groups. The "
        "likelihood of a height now adds up both ways in which it can have come about, and the "
        "logarithm of a sum does not come apart:",
        displayed(r"\ell = \sum_i \log \sum_{k=1}^{2} \pi_k\,\mathcal N(x_i;\mu_k,\sigma_k^2)"),
        "Setting its slopes to zero gives equations in which every unknown depends on all the "
        "others. This is where EM comes in: guess, share each height between the groups, "
        "estimate the groups, and do it again.",
    )
    data, (mean, std) = groups.heights, groups.together
    charts.show(
        charts.histogram("Height (cm)"),
        {
            "bars": groups.bars,
            "curves": groups.curve,
        },
        key=c.key("groups"),
        alt=f"Histogram of {len(data):,} heights of women and men together, who is who being "
        f"unknown, and one normal density for all, with mean {mean:.1f} and standard deviation "
        f"{std:.1f}",
    )
