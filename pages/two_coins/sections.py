"""What only the page of the two coins has: findings, the map of starts, trials one by one."""

from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import pyarrow as pa
import streamlit as st

from em_core import BinomialParams, Status
from em_core.models.binomial_mixture import fit_grid
from em_ui import sections
from em_ui.controls import Controls, Section
from em_ui.pictures import charts, frames
from em_ui.run import Run, budget, cached, cached_quietly, count
from em_ui.sections import hard_against_soft, hill, many_starts
from em_ui.sections.explore import played

LISTED_TRIALS = 1_000
SAME = 1e-6  # heads probabilities closer than this are one
APART = 0.01  # a small distance between two coins
SADDLE_STEPS = 500  # in which coins that are so far apart show where they tend to
MARKED = (  # on the hill, whatever the run
    "it is marked where EM ends, as a top or a saddle; if it is one of two tops, so are its mirror "
    "image and the saddle between them"
)
MAP_STARTS = 101  # along each side of the map
MAP_ENDS = ("A above B", "A below B", "both equal", "impossible")


def near(tol: float) -> float:
    """Return how near coins that tend to each other are, at the most, when the tolerance stops."""
    # At their common top the gain of a step goes with the square of the distance that is left.
    return max(SAME, float(np.sqrt(tol)))


@cached_quietly
def where_equal(run: Run) -> str:
    """Return "saddle" or "top" if both coins ended at the same probability, and "" if not.

    From a saddle, coins that are a little apart leave each other; to a top they come back.
    """
    problem, (a, b) = run.problem, run.params.heads_prob
    if abs(a - b) >= near(problem.tol) or run.flat:  # of a ridge, no point is a top or a saddle
        return ""
    middle = (a + b) / 2
    apart = np.clip([middle + APART, middle - APART], 0, 1)
    start = BinomialParams(apart, run.params.weights)
    trace = problem.fit(start, tol=SAME**2, max_iter=SADDLE_STEPS)
    if np.ptp(trace.final.params.heads_prob) < np.ptp(apart):
        return "top"
    return "saddle" if abs(a - b) < SAME else ""


def findings(run: Run) -> Iterator[str]:
    """Yield what may have gone wrong in this run."""
    finite = run.trace.status is not Status.NON_FINITE
    empty = run.final_statistics.trials.min() == 0
    equal = where_equal(run) if finite and not empty else ""
    if equal == "saddle":
        yield (
            "Both coins ended at the same probability. This is a saddle: while the coins are "
            "equal, every trial is shared equally, and nothing can pull them apart. Start them "
            "apart, even by 0.01."
        )
    elif equal == "top":
        yield (
            "Both coins ended at the same probability, and from a start apart they come back to "
            "it: one coin explains these trials as well as two."
        )
    if empty:
        yield "One coin has no trials left, so it stays where it is. Start it closer to the data."
    if not equal:
        yield from sections.not_the_best(run)


def waits(c: Controls, run: Run) -> bool:
    """Return whether the player has not left the initial guess: nobody has seen an E-step yet."""
    return not (c.position or played(c, run))


@cached_quietly
def attributed(run: Run, iteration: int) -> pa.Table:
    """Return an iteration's E-step, trial by trial, for the trials that are listed."""
    heads = run.problem.sample.data[:LISTED_TRIALS]
    tails = run.settings["tosses"] - heads
    columns = {"trial": np.arange(1, len(heads) + 1), "heads": heads, "tails": tails}
    shares = run.problem.responsibilities(heads, run.steps[iteration].params).T
    for coin, share in zip(run.names, shares, strict=True):
        columns[f"responsibility {coin}"] = share
        columns[f"heads to {coin}"] = share * heads
        columns[f"tails to {coin}"] = share * tails
    return frames.arrow(columns)


def draw_attribution(c: Controls, run: Run) -> None:
    """Draw each trial's responsibilities and attributed heads and tails, and their sums."""
    at, _ = sections.standing(c, run)
    if not np.isfinite(run.steps[at].objective):
        st.markdown(
            "A trial here is impossible under both coins, so it cannot be shared between them."
        )
        return
    if waits(c, run):
        st.markdown(
            "The E-step shares each trial between the coins. What will it say at the initial "
            "guess? Take a step in the player, and see it here."
        )
        return
    st.markdown(
        f"The E-step at **{sections.moment(at)}**, where the player stands: the responsibilities "
        "$r$ of the coins for each trial, and the heads and tails that they are given of it."
    )
    table = attributed(run, at)
    st.dataframe(
        table,
        hide_index=True,
        key=c.key("attributed"),
        height=260,
        column_config={
            name: st.column_config.NumberColumn(
                name.replace("responsibility", "r"), format="%d" if j < 3 else "%.3f"
            )
            for j, name in enumerate(table.column_names)
        },
        alt="Responsibilities and attributed heads and tails of each trial at "
        f"{sections.moment(at)}",
    )
    if run.problem.n > LISTED_TRIALS:
        st.caption(
            f"The first {LISTED_TRIALS:,} of {run.problem.n:,} trials. The sums are over all."
        )
    st.markdown("Each coin’s heads, summed over all trials, divided by its heads and tails:")
    sections.formula(sums(run, at))


def sums(run: Run, at: int) -> list[str]:
    """Return the M-step of an iteration as formulas with its sums."""
    statistics, n = run.statistics(at), run.problem.n
    update = run.problem.model.m_step(statistics, run.steps[at].params)
    # Where each trial goes wholly to one coin, these are whole numbers.
    heads, tails, trials = np.rint(statistics).astype(int) if run.problem.hard else statistics
    lines = []
    for k, coin in enumerate(run.names):
        if trials[k] == 0:
            lines.append(rf"\theta_{coin} &= {update.heads_prob[k]:.3f}\text{{, without trials}}")
            continue
        (h, t), made = sections.as_printed(lambda h, t: h / (h + t), heads[k], tails[k], least=2)
        lines.append(rf"\theta_{coin} &= \frac{{{h}}}{{{h} + {t}}} = {made}")
    if run.settings["weights"]:
        for k, coin in enumerate(run.names):
            (share, _), made = sections.as_printed(lambda x, n: x / n, trials[k], n, least=2)
            lines.append(rf"\pi_{coin} &= \frac{{{share}}}{{{n}}} = {made}")
    return lines


def draw_by_hand(c: Controls, run: Run) -> None:
    """Write one trial's numbers into the formulas, and the sums that they go into."""
    at, i = sections.chosen(c, run)
    params = run.steps[at].params
    h = int(run.problem.sample.data[i])
    t = run.settings["tosses"] - h
    shown = f"Trial {i + 1} shows {count(h, 'head')} and {count(t, 'tail')}."
    if not np.isfinite(run.steps[at].objective):
        st.markdown(
            f"{shown} A trial that is impossible under both coins cannot be shared between them, "
            "and there is one here: the run cannot go on."
        )
        return
    equal = params.weights[0] == params.weights[1]
    st.markdown(
        f"**E-step.** {shown} How probable is that under each coin?"
        + " Both are equally likely beforehand, so the mixing weights cancel." * equal
    )
    fractions, shares = bayes(run, at, h)
    for coin, numbers in zip(run.names, fractions, strict=True):
        mix = "" if equal else rf"\pi_{coin}\,"
        rule = rf"p_{coin} &= {mix}\theta_{coin}^{{{h}}}\,(1-\theta_{coin})^{{{t}}}"
        sections.formula([rule, f"&= {numbers}"])
    st.markdown("The responsibilities are each coin’s part of the sum:")
    for k, coin in enumerate(run.names):
        fraction = rf"r_{coin} &= \frac{{p_{coin}}}{{p_A + p_B}}"
        if waits(c, run):
            sections.formula([rf"{fraction} = \;?"])
        else:
            sections.formula([f"{fraction} = {shares[k]}", *split(run, at, h, k)])
    if waits(c, run):
        st.markdown("Work them out, then take a step in the player, and see them here.")
        return
    st.markdown(f"**M-step.** Added up over all {count(run.problem.n, 'trial')}:")
    sections.formula(sums(run, at))


def bayes(run: Run, at: int, heads: int) -> tuple[list[str], list[str]]:
    """Return each coin’s probability of some heads as a product of numbers, and its share."""
    params, tails = run.steps[at].params, run.settings["tosses"] - heads
    equal = params.weights[0] == params.weights[1]

    def shares(*numbers: float) -> list[float]:
        pi = [0.5, 0.5] if equal else numbers[2:]
        posterior = run.problem.mixture.e_step(
            np.array([heads]), BinomialParams(numbers[:2], pi)
        ).responsibilities
        return [float(share) for share in posterior[0]]

    numbers, made = sections.as_printed(
        shares,
        *params.heads_prob.tolist(),
        *([] if equal else params.weights.tolist()),
        shown=lambda found: " ".join(f"{share:.3f}" for share in found),
    )
    mix = ["", ""] if equal else [rf"{pi}\cdot " for pi in numbers[2:]]
    terms = [
        rf"{mix[k]}{theta}^{{{heads}}}\cdot {1 - Decimal(theta)}^{{{tails}}}"
        for k, theta in enumerate(numbers[:2])
    ]
    return terms, made.split()


def split(run: Run, at: int, heads: int, k: int) -> list[str]:
    """Return what a coin is given of a trial with some heads, as lines of a formula."""
    tails, coin = run.settings["tosses"] - heads, run.names[k]
    r = run.problem.responsibilities(np.array([heads]), run.steps[at].params)[0][k]
    lines = []
    if run.problem.hard:
        lines.append(rf"&\rightarrow {r:.0f}\text{{ (hard assignment)}}")
    for number, side in ((heads, "heads"), (tails, "tails")):
        if run.problem.hard:
            share, made = f"{r:.0f}", f"{r * number:.0f}"
        else:
            (share, _), made = sections.as_printed(lambda r, n: r * n, r, number)
        lines.append(rf"&{share}\times {number} = {made}\text{{ {side} to {coin}}}")
    return lines


def draw_hard_against_soft(c: Controls, run: Run) -> None:
    """Draw hard assignment beside soft."""
    st.markdown("The same trials from the same start, with soft and with hard assignment:")
    hard_against_soft.draw(c, run)
    st.markdown(
        "Hard assignment decides each trial, and is done after a few steps. Soft assignment "
        "keeps the doubt, and needs more. The answers differ however many trials there are: "
        "with hard assignment, all trials in the overlap go to one side."
    )


def draw_hill(c: Controls, run: Run) -> None:
    """Draw the hill over both heads probabilities, with its tops and the saddle between them."""
    a, b = run.params.heads_prob
    middle = float(run.problem.sample.data.mean() / run.settings["tosses"])
    spots = {"top": (a, b), "mirror image": (b, a), "saddle": (middle, middle)}
    if run.trace.status is Status.NON_FINITE:
        spots = {"start": (a, b)}
    elif where_equal(run):
        spots = {where_equal(run): (a, b)}
    hill.draw(c, run, domain=(0.0, 1.0), spots=spots, marked=MARKED)


@cached
def ends_of_starts(run: Run) -> pa.Table:
    """Return where EM ends from each start on a grid, and after how many iterations."""
    problem, grid = run.problem, np.linspace(0, 1, MAP_STARTS)
    i, j = (index.ravel() for index in np.indices((MAP_STARTS, MAP_STARTS)))
    # Where each step takes long, starts that are on their way are shown as they are by then.
    affordable = int(budget.MAP / problem.work / MAP_STARTS**2)
    max_iter = min(problem.max_iter, affordable)
    with budget.turn(problem.work * MAP_STARTS**2 * max_iter):
        squares = fit_grid(
            problem.mixture,
            problem.sample.data,
            np.column_stack([grid[i], grid[j]]),
            [0.5, 0.5],
            tol=problem.tol or 1e-10,
            max_iter=max_iter,
        )
    a, b = squares.heads_prob.T
    possible, equal = np.isfinite(squares.log_likelihood), abs(a - b) < near(problem.tol)
    end = np.select([~possible, equal, a > b, a < b], [MAP_ENDS[i] for i in (3, 2, 0, 1)], "")
    edges = hill.edges(0, 1, MAP_STARTS)
    return frames.extend(hill.cells(edges, edges), end=end, iterations=squares.n_iter)


def draw_starts(c: Controls, run: Run) -> None:
    """Draw many starts, and the map of all."""
    many_starts.draw(c, run)
    if not run.problem.hard:
        st.markdown(
            f"**A map of starts.** All {MAP_STARTS**2:,} pairs of starts on a grid: where EM "
            "ends, and how long it takes (a stronger colour is longer)."
        )
        charts.show(
            charts.start_map("Start for A", "Start for B", MAP_ENDS),
            {"map": ends_of_starts(run)},
            key=c.key("map"),
            alt="The square of starts: above the diagonal EM ends with A below B, under it "
            "with A above B, and on it at the saddle",
        )


SECTIONS = sections.sections_of(
    attribution=Section(
        "The E-step, trial by trial", ":material/table_rows:", draw_attribution, follows=True
    ),
    by_hand=draw_by_hand,
    hard_against_soft=draw_hard_against_soft,
    hill=draw_hill,
    many_starts=draw_starts,
)
