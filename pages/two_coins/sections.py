"""What only the page of the two coins has: findings, the map of starts, trials one by one."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import streamlit as st

from em_core import BinomialParams, Status
from em_core.engine import objective_of
from em_core.models.binomial_mixture import Grid, dispersion, fit_grid, guess_uniform
from em_ui import sections
from em_ui.controls import Controls, Section
from em_ui.pictures import charts, frames
from em_ui.run import Run, budget, cached, cached_quietly, count, progress, watching
from em_ui.sections import hard_against_soft, hill, how_many, many_starts
from em_ui.sections.explore import played
from em_ui.sections.findings import stands_for
from pages.two_coins.picture import heads_and_tosses

Row = npt.NDArray[Any]

LISTED_TRIALS = 1_000
SAME = 1e-6  # heads probabilities closer than this are one
MANY = 100_000  # from so many tosses on, sums have no decimals that are not needed
SHOWN = 5e-4  # and so are, on the page, those closer than this
LEVEL = 1e-9  # what rounding may do to a quotient that is 1
ROUNDING = 1e-11  # and, relatively, to a sum over all trials
MARKED = (  # on the hill, whatever the run
    "it is marked where EM ends, and whether that is a top of this hill or a saddle; where it has "
    "a mirror image as high, and a saddle between them, so are these"
)
BESIDE = 0.01  # how far around a point of the hill it is looked whether that is a top
MAP_SIDE = 101  # starts along each side of the map
MAP_STEPS = (4, 2, 1)  # from one to the next, of a coarse grid and of those that follow it
MAP_WORK = 1.2e9  # rows times coins times iterations, of all that follow
MAP_TOL = 1e-10  # where the page goes on until nothing changes
MAP_ENDS = ("A above B", "A below B", "both equal", "impossible")


def spread(run: Run) -> float:
    """Return how much more the numbers of heads vary than those of one coin."""
    return dispersion(run.problem.mixture, run.problem.sample.data)


def varies(run: Run) -> str:
    """Return in words what :func:`spread` compares."""
    if run.problem.mixture.n_tosses:
        return "their variance is"
    return "the squared distances from those that one expects of it are"


def told(run: Run, probability: float) -> str:
    """Return a heads probability with the page's digits."""
    return f"{probability:{run.problem.words.quantities['heads_prob'].format}}"


def near(run: Run) -> float:
    """Return how near the heads probabilities are, at the most, of coins that ended equal."""
    # At their common top the gain of a step goes with the square of the distance that is left.
    # From a saddle they leave each other, and on a ridge they stay where they are.
    tends = not spread(run) >= 1 - LEVEL
    return max(SAME, float(np.sqrt(run.problem.tol))) if tends else SAME


def where_equal(run: Run) -> str:
    """Return "saddle" or "top" if both coins ended at the same probability, otherwise ""."""
    if run.problem.hard or np.ptp(run.params.heads_prob) >= near(run):
        return ""
    if abs(spread(run) - 1) <= LEVEL:
        return ""
    return "saddle" if spread(run) > 1 else "top"


def findings(run: Run, *, compares: bool = True) -> Iterator[str]:
    """Yield what is to be known of this run, and what to try.

    ``compares`` says whether that may tell which coin of the truth is which.
    """
    if run.trace.status is Status.NON_FINITE:
        return
    trials, theta = run.final_statistics.trials, run.params.heads_prob
    if trials.min() == 0:
        k = int(trials.argmin())
        yield (
            f"Coin {run.names[k]} has no trials left, so it stays at {told(run, theta[k])}."
            + " A start nearer to the data may give it some." * (run.problem.n > 1)
        )
    elif where_equal(run) == "saddle":
        yield (
            f"Both coins ended at the same probability, {told(run, theta[0])}. This is a saddle: "
            "equal coins share every trial alike, so nothing pulls them apart. A small difference "
            f"would grow, at first to {spread(run):.2f} times its size in each iteration. Start "
            "them apart."
        )
        return
    elif where_equal(run) == "top":
        yield (
            f"Both coins ended at the same probability, {told(run, theta.mean())}, and starts a "
            "little apart come back to it: "
            + (
                "all tosses show the same side."
                if np.isnan(spread(run))
                else "the numbers of heads vary no more than those of a single coin "
                f"({varies(run)} {spread(run):.2f} times as large)."
            )
        )
    yield from sections.not_the_best(run)
    apart = trials.min() > 0 and np.ptp(theta) >= near(run) and not run.flat
    if compares and apart and stands_for(run):
        yield (
            f"{stands_for(run)} The likelihood does not know the names, so both ways are right. "
            "Distances are measured to the coin that each stands for."
        )


def waits(c: Controls, run: Run) -> bool:
    """Return whether the player has not left the initial guess: nobody has seen an E-step yet."""
    return not (c.position or played(c, run))


@cached_quietly
def attributed(run: Run, iteration: int) -> pa.Table:
    """Return an iteration's E-step, trial by trial, for the trials that are listed."""
    rows = run.problem.sample.data[:LISTED_TRIALS]
    heads, tosses = (each[:LISTED_TRIALS] for each in heads_and_tosses(run))
    tails = tosses - heads
    own = {} if run.problem.mixture.n_tosses else {"tosses": tosses}
    columns = {"trial": np.arange(1, len(heads) + 1), **own, "heads": heads, "tails": tails}
    shares = run.problem.responsibilities(rows, run.steps[iteration].params).T
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
                name.replace("responsibility", "r"),
                format="%.3f" if name.split()[-1] in run.names else "%d",
            )
            for name in table.column_names
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
            value = told(run, update.heads_prob[k])
            lines.append(rf"\theta_{coin} &= {value}\text{{, without trials}}")
            continue
        least = 2 if heads[k] + tails[k] < MANY else 0
        (h, t), made = sections.as_printed(
            lambda h, t: h / (h + t),
            heads[k],
            tails[k],
            least=least,
            shown=lambda made: told(run, made),
        )
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
    heads, tosses = heads_and_tosses(run)
    row, h, t = run.problem.sample.data[i : i + 1], int(heads[i]), int(tosses[i] - heads[i])
    shown = f"Trial {i + 1} shows {count(h, 'head')} and {count(t, 'tail')}."
    if not np.isfinite(run.steps[at].objective):
        st.markdown(
            f"{shown} A trial that is impossible under both coins cannot be shared between them, "
            "and there is one here: the run cannot go on."
        )
        return
    equal = bool(params.weights[0] == params.weights[1])
    st.markdown(
        f"**E-step.** {shown} How probable is that under each coin?"
        + " Both are equally likely beforehand, so the mixing weights cancel." * equal
    )
    shares, attributed = split(run, at, row, h, t)
    for coin, numbers in zip(run.names, products(run, at, row, h, t, shares), strict=True):
        mix = "" if equal else rf"\pi_{coin}\,"
        rule = rf"p_{coin} &= {mix}\theta_{coin}^{{{h}}}\,(1-\theta_{coin})^{{{t}}}"
        sections.formula([rule, f"&= {numbers}"])
    st.markdown(
        "The responsibilities are each coin’s part of the sum, and so much of the trial goes to it:"
    )
    for coin, share, lines in zip(run.names, shares, attributed, strict=True):
        fraction = rf"r_{coin} &= \frac{{p_{coin}}}{{p_A + p_B}}"
        if waits(c, run):
            sections.formula([rf"{fraction} = \;?"])
        else:
            sections.formula([f"{fraction} = {share}", *lines])
    if waits(c, run):
        st.markdown("Work them out, then take a step in the player, and see them here.")
        return
    st.markdown(f"**M-step.** Added up over all {count(run.problem.n, 'trial')}:")
    sections.formula(sums(run, at))


def posterior(run: Run, row: Row, *numbers: float) -> list[float]:
    """Return each coin’s share in a trial, for two heads probabilities and two mixing weights."""
    params = BinomialParams(numbers[:2], numbers[2:])
    found = run.problem.mixture.e_step(row, params).responsibilities[0]
    return [float(share) for share in found]


def split(run: Run, at: int, row: Row, heads: int, tails: int) -> tuple[list[str], list[list[str]]]:
    """Return each coin’s responsibility for a trial, and lines of what it is given of it.

    ``row`` is the trial as the model takes it.
    """
    params = run.steps[at].params
    soft = posterior(run, row, *params.heads_prob, *params.weights)
    if run.problem.hard:
        shares = [f"{r:.3f}" for r in soft]
        r_a, r_b = run.problem.responsibilities(row, params)[0].astype(int)
        factors = [str(r_a), str(r_b)]
        made = [str(r * n) for r in (r_a, r_b) for n in (heads, tails)]
        rules = [[rf"&\rightarrow {r}\text{{ (hard assignment)}}"] for r in factors]
    else:
        shares, together = sections.as_printed(
            lambda a, b: (a * heads, a * tails, b * heads, b * tails),
            *soft,
            shown=lambda found: " ".join(f"{x:.3f}" for x in found),
        )
        factors, made, rules = shares, together.split(), [[], []]
    lines = [
        [
            *rules[k],
            rf"&{factors[k]}\times {heads} = {made[2 * k]}\text{{ heads}}",
            rf"&{factors[k]}\times {tails} = {made[2 * k + 1]}\text{{ tails}}",
        ]
        for k in (0, 1)
    ]
    return shares, lines


def products(run: Run, at: int, row: Row, heads: int, tails: int, shares: list[str]) -> list[str]:
    """Return each coin’s probability of a trial as a product of numbers.

    They have the digits from which these shares follow.
    """
    params = run.steps[at].params
    fixed = [0.5, 0.5] if params.weights[0] == params.weights[1] else []
    decimals = len(shares[0].partition(".")[2])
    numbers, _ = sections.as_printed(
        lambda *found: posterior(run, row, *found, *fixed),
        *params.heads_prob.tolist(),
        *([] if fixed else params.weights.tolist()),
        shown=lambda found: " ".join(f"{share:.{decimals}f}" for share in found),
    )
    mix = ["", ""] if fixed else [rf"{pi}\cdot " for pi in numbers[2:]]
    return [
        rf"{mix[k]}{theta}^{{{heads}}}\cdot {1 - Decimal(theta)}^{{{tails}}}"
        for k, theta in enumerate(numbers[:2])
    ]


def draw_hard_against_soft(c: Controls, run: Run) -> None:
    """Draw hard assignment beside soft."""
    st.markdown("The same trials from the same start, with soft and with hard assignment:")
    hard_against_soft.draw(c, run)
    if not np.isfinite(run.steps[0].objective):
        return
    soft, hard = hard_against_soft.rows(run)
    apart = max(abs(soft[name] - hard[name]) for name in soft if name.startswith("θ"))
    alike = "number of heads" if run.problem.mixture.n_tosses else "numbers of heads and tosses"
    st.markdown(
        f"Hard assignment gives all trials with the same {alike} to one coin. Soft "
        "assignment shares them, and so keeps the doubt. Here hard assignment ran for "
        f"{count(hard['iterations'], 'iteration')}, and soft for "
        f"{count(soft['iterations'], 'iteration')}. "
        + (
            "They end at the same coins."
            if apart < SHOWN
            else f"Their answers are up to {apart:.3f} apart. More trials do not make them agree "
            "where both coins can show the same number of heads."
        )
    )


def height(run: Run, a: float, b: float) -> float:
    """Return the objective over both heads probabilities, at the run’s last mixing weights."""
    params = BinomialParams(np.clip([a, b], 0, 1), run.params.weights)
    return objective_of(run.problem.model, run.problem.data, params)


def is_top(run: Run, a: float, b: float) -> bool:
    """Return whether the hill falls around a point, on all sides."""
    here = height(run, a, b)
    angles = np.arange(8) * np.pi / 4
    x = np.clip(a + BESIDE * np.cos(angles), 0, 1)
    y = np.clip(b + BESIDE * np.sin(angles), 0, 1)
    moved = np.hypot(x - a, y - b) > BESIDE / 2  # the others are held back by a border
    beside = [height(run, *place) for place in zip(x[moved], y[moved], strict=True)]
    return max(beside) < here - ROUNDING * abs(here)


@cached_quietly
def spots(run: Run) -> dict[str, tuple[float, float]]:
    """Return what there is to mark on the hill at the end of the run."""
    a, b = run.params.heads_prob.tolist()
    if run.trace.status is Status.NON_FINITE:
        return {"start": (a, b)}
    if kind := where_equal(run):
        return {kind: (a, b)}
    with budget.turn(run.problem.work * 12):
        if not is_top(run, a, b):
            return {"EM ends": (a, b)}
        top = height(run, a, b)
        found = {"top": (a, b)}
        if abs(a - b) > BESIDE and abs(height(run, b, a) - top) <= ROUNDING * abs(top):
            found["mirror image"] = (b, a)
            if not run.problem.hard and spread(run) > 1 + LEVEL:
                heads, tosses = heads_and_tosses(run)
                middle = float(heads.sum() / tosses.sum())
                found["saddle"] = (middle, middle)
    return found


def draw_hill(c: Controls, run: Run) -> None:
    """Draw the hill over both heads probabilities, with what there is to mark on it."""
    hill.draw(c, run, domain=(0.0, 1.0), spots=spots(run), marked=MARKED)


@cached
def ends_of_starts(run: Run) -> tuple[pa.Table, int]:
    """Return where EM ends from each start on a grid, and after how many iterations.

    With it, from how many starts it had not ended when it was stopped. The grid is as fine as there
    is time for, by what its coarser points took. Both coins are equally likely at the start, so
    that from (b, a) EM takes the mirror image of its way from (a, b).
    """
    work, grid = run.problem.work, np.linspace(0, 1, MAP_SIDE)
    i, j = np.tril_indices(MAP_SIDE)
    known, n_iter = np.zeros(len(i), dtype=bool), np.zeros(len(i), dtype=int)
    heads_prob, possible, moving = np.zeros((len(i), 2)), known.copy(), known.copy()
    for step in MAP_STEPS:
        fresh = np.flatnonzero(~known & (i % step == 0) & (j % step == 0))
        n_known = np.count_nonzero(known)
        if n_known and work * n_iter[known].mean() * (n_known + len(fresh)) > MAP_WORK:
            break
        with progress.within(None, n_known / len(i), (n_known + len(fresh)) / len(i)):
            ends = _ends_from(run, grid[np.column_stack([i, j])[fresh]])
        known[fresh], n_iter[fresh], heads_prob[fresh] = True, ends.n_iter, ends.heads_prob
        possible[fresh] = np.isfinite(ends.log_likelihood)
        moving[fresh] = possible[fresh] & ~ends.converged
        taken = step
    side = (MAP_SIDE - 1) // taken + 1
    order = np.zeros((side, side), dtype=int)
    x, y = i[known] // taken, j[known] // taken
    order[x, y] = order[y, x] = np.flatnonzero(known)
    which = order.ravel()
    first, second = np.indices((side, side)).reshape(2, -1)
    a, b = np.where(first >= second, heads_prob[which].T, heads_prob[which].T[::-1])
    equal = abs(a - b) < near(run)
    conditions = [~possible[which], equal, a > b, a < b]
    end = np.select(conditions, [MAP_ENDS[i] for i in (3, 2, 0, 1)], "")
    edges = hill.edges(0, 1, side)
    table = frames.extend(hill.cells(edges, edges), end=end, iterations=n_iter[which])
    return table, int(moving[which].sum())


def _ends_from(run: Run, starts: npt.NDArray[Any]) -> Grid:
    """Return where EM ends from starts, (S, 2), while others get in between."""
    problem = run.problem
    with budget.turn(problem.work * len(starts) * problem.max_iter) as turn:
        return fit_grid(
            problem.mixture,
            problem.sample.data,
            starts,
            [0.5, 0.5],
            tol=problem.tol or MAP_TOL,
            max_iter=problem.max_iter,
            watch=watching(turn, problem.max_iter),
        )


def draw_starts(c: Controls, run: Run) -> None:
    """Draw many starts, and the map of all."""
    many_starts.draw(c, run)
    if run.problem.hard:
        return
    table, moving = ends_of_starts(run)
    st.markdown(
        f"**A map of starts.** All {len(table):,} pairs of starts on a grid: where EM "
        "ends, and how long it takes (a stronger colour is longer)."
    )
    ends = table["end"].to_pylist()
    counted = [f"{ends.count(end):,} {end}" for end in MAP_ENDS if end in ends]
    charts.show(
        charts.start_map("Start for A", "Start for B", MAP_ENDS),
        {"map": table},
        key=c.key("map"),
        alt=f"The square of starts, by where EM ends from each: {', '.join(counted)}",
    )
    if len(table) < MAP_SIDE**2:
        st.caption("A finer grid would take too long here.")
    if moving:
        st.caption(f"From {count(moving, 'start')} EM was still moving when it was stopped.")


def draw_how_many(c: Controls, run: Run) -> None:
    """Draw the comparison of one coin, two and more; the page itself looks for two."""
    how_many.draw(c, run, find=None, drawn=guess_uniform)


SECTIONS = sections.sections_of(
    attribution=Section(
        "The E-step, trial by trial", ":material/table_rows:", draw_attribution, follows=True
    ),
    by_hand=draw_by_hand,
    hard_against_soft=draw_hard_against_soft,
    hill=draw_hill,
    how_many=draw_how_many,
    many_starts=draw_starts,
)
