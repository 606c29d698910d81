"""Two coins: a binomial mixture, with every trial's share in each coin."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from em_core import BinomialMixture, BinomialParams, HardEM, Status, fit
from em_core.models.binomial_mixture import (
    BinomialStatistics,
    fit_grid,
    guess_uniform,
    published_trials,
    simulate,
)
from em_ui.controls import page as controls
from em_ui.controls.page import Choice, Controls, Number, Situation, Switch
from em_ui.pictures import charts, frames
from em_ui.run.compute import (
    DATA,
    GUESS,
    Problem,
    Run,
    cached_run,
    run_em,
    run_starts,
    stream,
    turn,
)
from em_ui.sections import landscape, sections, starts, take_away, teacher
from em_ui.sections.sections import Drawing, Objective

COINS = ("A", "B")
SIMULATED, PUBLISHED = "Simulated", "Five published trials"
TYPED, RANDOM = "Typed in", "Random"
LISTED_TRIALS = 1_000
SAME = 1e-6  # heads probabilities closer than this are one
APART = 0.01  # a small distance between two coins
SADDLE_STEPS = 500  # in which coins that are so far apart show where they tend to
POOR = 1e-3  # log-likelihood per trial that a good start would gain
MAP_STARTS = 101  # along each side of the map
MAP_WORK = 1.2e8  # starts times rows times components times iterations that it may cost
MAP_ENDS = ("A above B", "A below B", "both equal", "impossible")


def probability(label: str, default: float) -> Number:
    return Number(label, default, 0.0, 1.0, 0.01, slider=True)


SPECS = {
    "data": Choice("Trials", (SIMULATED, PUBLISHED), SIMULATED),
    "true_a": probability("True heads probability of A", 0.6),
    "true_b": probability("True heads probability of B", 0.2),
    "share_a": Number("Share of trials with A", 0.5, 0.0, 1.0, 0.05, slider=True),
    "tosses": Number("Tosses per trial", 10, 1, 200, 1),
    "trials": Number("Number of trials", 500, 1, 100_000, 1),
    "data_seed": controls.seed("Data seed"),
    "student": controls.student(),
    "guess": Choice("Initial guess", (TYPED, RANDOM), TYPED),
    "start_a": probability("Start for A", 0.8),
    "start_b": probability("Start for B", 0.7),
    "guess_seed": controls.seed("Guess seed"),
    "start": controls.start_number(),
    "hard": Switch("Hard assignment", False, "Each trial goes wholly to its likelier coin."),
    "weights": Switch("Estimate mixing weights", False, "Off: both coins stay equally likely."),
    "tol": controls.tolerance("trial"),
    "max_iter": controls.iteration_limit(100),
}
SITUATIONS = {
    "Wang’s article": Situation(
        {},
        "500 trials, but nobody noted the coins. EM starts far off, at 0.8 and 0.7. Will it find "
        "0.6 and 0.2? Which of the two estimates will move first, and which way?",
        "Yes. Both fall in the first step, B further: most trials show few heads, which 0.7 "
        "explains a little less badly than 0.8, so nearly all of them go to B. As B falls, "
        "it lets go of the trials with many heads, and A settles near 0.6.",
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
    ),
    "Swapped names": Situation(
        {"start_a": 0.2, "start_b": 0.6},
        "The start has A low and B high, the truth the other way round. Will EM turn them round?",
        "No, and it need not. The likelihood does not know the names: exchanging the coins changes "
        "nothing. There are two equal tops, mirror images of each other, and EM climbs the nearer.",
    ),
    "Coins that are nearly alike": Situation(
        {"true_a": 0.55, "true_b": 0.45, "data_seed": 8, "max_iter": 500, "tol": "1e-8"},
        "The coins differ by 0.10 only. Will EM need more iterations than with 0.6 and 0.2, or "
        "fewer? Will the answer be as good?",
        "Many more, and the answer is worse. A trial of ten tosses hardly tells the coins apart, "
        "so most of the information is missing, and EM’s rate of convergence is the fraction that "
        "is missing.",
    ),
    "Stopping too early": Situation(
        {"true_a": 0.55, "true_b": 0.45, "data_seed": 8, "max_iter": 500, "tol": "1e-3"},
        "The same coins, with a loose tolerance. The page says converged. Is it?",
        "No. Each iteration gains little because EM is slow here, not because it has arrived. Open "
        "*Convergence, honestly*, and compare with a tolerance of 1e-8.",
    ),
    "One trial of eight heads, by hand": Situation(
        {"true_a": 0.8, "true_b": 0.7, "trials": 5, "data_seed": 3},
        "Coins of 0.8 and 0.7, and few trials. The first shows 8 heads: see *One step by hand*. "
        "How much of it goes to A?",
        "0.564 of it: 0.8⁸ 0.2² against 0.7⁸ 0.3². So 4.512 of its heads go to A and 3.488 to B.",
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


class Coins(NamedTuple):
    run: Run
    attributed: BinomialStatistics
    bars: pa.Table
    expected: pa.Table
    by_truth: pa.Table
    by_labels: pa.Table
    equal: str


def simulation(s: SimpleNamespace) -> tuple[BinomialParams, list[int]]:
    """Return the true parameters, and the entropy of the data's generator."""
    truth = BinomialParams([s.true_a, s.true_b], [s.share_a, 1 - s.share_a])
    return truth, [s.data_seed, DATA] + [s.student] * (s.student > 0)


def problem(settings: dict[str, Any]) -> Problem:
    s = SimpleNamespace(**settings)
    if s.data == PUBLISHED:
        sample = published_trials()
    else:
        truth, entropy = simulation(s)
        rng = np.random.default_rng(entropy)
        sample = simulate(truth, n_tosses=s.tosses, n_trials=s.trials, rng=rng)

    def guess(rng: np.random.Generator) -> BinomialParams:
        return guess_uniform(sample.data, 2, rng=rng)

    typed = BinomialParams([s.start_a, s.start_b], [0.5, 0.5])
    start = guess(stream(s.guess_seed, GUESS, s.start)) if s.guess == RANDOM else typed
    mixture = BinomialMixture(s.tosses, estimate_weights=s.weights)
    return Problem(
        model=HardEM(mixture) if s.hard else mixture,
        sample=sample,
        start=start,
        guess=guess,
        guess_seed=s.guess_seed,
        truth=sample.truth if s.weights else BinomialParams(sample.truth.heads_prob, [0.5, 0.5]),
        by="heads_prob",
        names=COINS,
        tol=float(s.tol),
        max_iter=s.max_iter,
        truth_known=s.data != PUBLISHED,
    )


@cached_run
def compute(settings: dict[str, Any]) -> Coins:
    run, n_tosses = run_em(problem(settings)), settings["tosses"]
    data = run.problem.sample.data
    mixture, outcomes = BinomialMixture(n_tosses), np.arange(n_tosses + 1)
    bars = frames.divided_bars(
        run.problem.model,
        run.trace,
        COINS,
        middles=outcomes,
        half_width=0.45,
        heights=np.bincount(data, minlength=n_tosses + 1),
        digits=0,
    )
    history = [step.params for step in run.steps]
    expected = frames.expected_counts(mixture, history, outcomes, len(data))
    by_truth, by_labels = (
        frames.expected_counts(mixture, [params], outcomes, len(data))
        for params in (run.problem.sample.truth, run.labelled)
    )
    return Coins(
        run,
        run.statistics(run.frames.last),
        bars,
        expected,
        by_truth,
        by_labels,
        where_equal(run),
    )


@cached_run
def many(settings: dict[str, Any], n: int) -> Any:
    return run_starts(problem(settings), n)


@cached_run
def hill(settings: dict[str, Any]) -> pa.Table:
    run, edges = compute(settings).run, landscape.edges(0, 1)
    weights, data, n = run.params.weights, run.problem.sample.data, len(run.problem.sample.data)
    if settings["hard"]:
        heights = landscape.heights(run, lambda a, b: BinomialParams([a, b], weights), edges, edges)
    else:
        # All at once: a grid of starts from which no step is made.
        middles = (edges[:-1] + edges[1:]) / 2
        starts = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1)
        grid = fit_grid(run.problem.model, data, starts.reshape(-1, 2), weights, max_iter=0)
        heights = grid.log_likelihood.reshape(starts.shape[:2])
    top = max(run.steps[-1].objective, heights.max())
    return landscape.surface(heights, edges, edges, n=n, top=top)


@cached_run
def along(settings: dict[str, Any], _objective: Objective) -> Drawing:
    run = compute(settings).run
    return landscape.bound_slice(run, "heads_prob", 0, (0.0, 1.0), _objective, "θ A")


@cached_run
def ends_of_starts(settings: dict[str, Any]) -> pa.Table:
    run, edges = compute(settings).run, landscape.edges(0, 1, MAP_STARTS)
    grid = np.linspace(0, 1, MAP_STARTS)
    i, j = (index.ravel() for index in np.indices((MAP_STARTS, MAP_STARTS)))
    mixture = BinomialMixture(settings["tosses"], estimate_weights=settings["weights"])
    # Where each step takes long, starts that are on their way are shown as they are by then.
    affordable = int(MAP_WORK / run.problem.work / MAP_STARTS**2)
    max_iter = min(settings["max_iter"], affordable)
    with turn(run.problem.work * MAP_STARTS**2 * max_iter):
        squares = fit_grid(
            mixture,
            run.problem.sample.data,
            np.column_stack([grid[i], grid[j]]),
            [0.5, 0.5],
            tol=float(settings["tol"]) or 1e-10,
            max_iter=max_iter,
        )
    a, b = squares.heads_prob.T
    possible, equal = np.isfinite(squares.log_likelihood), abs(a - b) < near(float(settings["tol"]))
    end = np.select([~possible, equal, a > b, a < b], [MAP_ENDS[i] for i in (3, 2, 0, 1)], "")
    return frames.extend(landscape.cells(edges, edges), end=end, iterations=squares.n_iter)


def attribute(
    run: Run, n_tosses: int, iteration: int, trials: slice
) -> tuple[dict[str, np.ndarray], BinomialStatistics, BinomialParams]:
    """Return an iteration's E-step as columns for some trials, the sums of all, and the M-step."""
    params, heads, model = run.steps[iteration].params, run.problem.sample.data, run.problem.model
    numbers, heads = np.arange(1, len(heads) + 1)[trials], heads[trials]
    tails = n_tosses - heads
    columns = {"trial": numbers, "heads": heads, "tails": tails}
    for coin, weight in zip(COINS, model.e_step(heads, params).responsibilities.T, strict=True):
        columns[f"weight {coin}"] = weight
        columns[f"heads to {coin}"] = weight * heads
        columns[f"tails to {coin}"] = weight * tails
    sums = run.statistics(iteration)
    return columns, sums, model.m_step(sums, params)


@cached_run
def versus(settings: dict[str, Any]) -> pd.DataFrame:
    """Return where soft and hard assignment end, and the estimate with the labels known."""
    rows = {}
    for name, hard in (("soft EM", False), ("hard EM", True)):
        run = compute({**settings, "hard": hard}).run
        rows[name] = (run.params.heads_prob, run.trace.n_iter)
    rows["labels known"] = (run.labelled.heads_prob, None)
    return pd.DataFrame(
        [
            {"method": name, **dict(zip(("θ A", "θ B"), theta, strict=True)), "iterations": n_iter}
            for name, (theta, n_iter) in rows.items()
        ]
    )


def by_hand(run: Run, settings: dict[str, Any], at: int, i: int) -> None:
    """Write one trial's numbers into the formulas, and the sums that they go into."""
    trial, sums, update = attribute(run, settings["tosses"], at, slice(i, i + 1))
    n = len(run.problem.sample.data)
    theta, pi = run.steps[at].params.heads_prob, run.steps[at].params.weights
    h, t = int(trial["heads"][0]), int(trial["tails"][0])
    if not np.isfinite(run.steps[at].objective):
        st.markdown(
            f"Trial {i + 1} shows {h} heads and {t} tails. A trial that is impossible under both "
            "coins cannot be shared between them, and there is one here: the run cannot go on."
        )
        return
    mix = ["" if pi[0] == pi[1] else rf"{share:.3f}\cdot " for share in pi]
    terms = [rf"{mix[k]}{theta[k]:.3f}^{{{h}}}\cdot {1 - theta[k]:.3f}^{{{t}}}" for k in (0, 1)]
    st.markdown(f"**E-step.** Trial {i + 1} shows {h} heads and {t} tails.")
    for k, coin in enumerate(COINS):
        w = trial[f"weight {coin}"][0]
        rule = r"\Rightarrow\text{hard: }" if isinstance(run.problem.model, HardEM) else "="
        sections.formula(
            [
                rf"w_{coin} &= \frac{{{terms[k]}}}{{{terms[0]} + {terms[1]}}}",
                rf"&{rule} {w:.3f}",
                rf"&{w:.3f}\times {h} = {trial[f'heads to {coin}'][0]:.3f}"
                r"\text{ heads and}",
                rf"&{w:.3f}\times {t} = {trial[f'tails to {coin}'][0]:.3f}"
                rf"\text{{ tails go to {coin}}}",
            ]
        )
    st.markdown(f"**M-step.** Added up over all {n:,} trials:")
    sections.formula(
        [
            rf"\theta_{coin} &= \frac{{{sums.heads[k]:.2f}}}{{{sums.heads[k]:.2f} + "
            rf"{sums.tails[k]:.2f}}} = {update.heads_prob[k]:.3f}"
            for k, coin in enumerate(COINS)
        ]
        + (
            [
                rf"\pi_{coin} &= \frac{{{sums.trials[k]:.2f}}}{{{n}}} = "
                rf"{update.weights[k]:.3f}"
                for k, coin in enumerate(COINS)
            ]
            if settings["weights"]
            else []
        )
    )


@cached_run
def attributed(
    settings: dict[str, Any], iteration: int
) -> tuple[pa.Table, BinomialStatistics, BinomialParams]:
    """Return what :func:`attribute` does, with the listed trials only."""
    run, n_tosses = compute(settings).run, settings["tosses"]
    columns, sums, update = attribute(run, n_tosses, iteration, slice(LISTED_TRIALS))
    return frames.arrow(columns), sums, update


def draw_attribution(c: Controls, run: Run, settings: dict[str, Any]) -> None:
    """Draw each trial's weights and attributed heads and tails, and the sums they go into."""
    at, _ = sections.standing(c, run)
    table, sums, update = attributed(settings, at)
    if not np.isfinite(run.steps[at].objective):
        st.markdown(
            "A trial here is impossible under both coins, so it cannot be shared between them."
        )
        return
    st.markdown(
        f"Here is the E-step at **{sections.moment(at)}**, trial by trial. With *One step by hand* "
        "open, the table follows the player."
    )
    st.dataframe(
        table,
        hide_index=True,
        key="tc_attribution",
        height=260,
        column_config={
            name: st.column_config.NumberColumn(format="%d" if j < 3 else "%.3f")
            for j, name in enumerate(table.column_names)
        },
        alt=f"Weights and attributed heads and tails of each trial at {sections.moment(at)}",
    )
    n = len(run.problem.sample.data)
    if n > LISTED_TRIALS:
        st.caption(f"The first {LISTED_TRIALS:,} of {n:,} trials. The sums are over all.")
    st.markdown("Each coin’s heads, summed over all trials, divided by its heads and tails:")
    sections.formula(
        [
            rf"\theta_{coin} &= \frac{{{heads:.2f}}}{{{heads:.2f} + {tails:.2f}}} = {theta:.3f}"
            for coin, heads, tails, theta in zip(
                COINS, sums.heads, sums.tails, update.heads_prob, strict=True
            )
        ]
    )


def near(tol: float) -> float:
    """Return how near coins that tend to each other are, at the most, when the tolerance stops."""
    # At their common top the gain of a step goes with the square of the distance that is left.
    return max(SAME, float(np.sqrt(tol)))


def where_equal(run: Run) -> str:
    """Return "saddle" or "top" if both coins ended at the same probability, and "" if not.

    From a saddle, coins that are a little apart leave each other; to a top they come back.
    """
    p, (a, b) = run.problem, run.params.heads_prob
    if abs(a - b) >= near(p.tol):
        return ""
    middle = (a + b) / 2
    apart = np.clip([middle + APART, middle - APART], 0, 1)
    start = BinomialParams(apart, run.params.weights)
    with turn(p.work * SADDLE_STEPS):
        trace = fit(p.model, p.data, start, tol=SAME**2, max_iter=SADDLE_STEPS)
    if np.ptp(trace.final.params.heads_prob) < np.ptp(apart):
        return "top"
    return "saddle" if abs(a - b) < SAME else ""


def findings(run: Run, settings: dict[str, Any]) -> dict[str, bool]:
    """Return what may have gone wrong in this run, in words, and whether it has."""
    n = len(run.problem.sample.data)
    finite = run.trace.status is not Status.NON_FINITE
    coins = compute(settings)
    empty = coins.attributed.trials.min() == 0
    equal = coins.equal if finite and not empty else ""
    missed = run.missed > POOR * n and not equal
    stuck = missed and run.trace.converged and run.missed - run.still_to_gain > POOR * n
    return {
        "Both coins ended at the same probability. This is a saddle: while the coins are equal, "
        "every trial is shared equally, and nothing can pull them apart. Start them apart, even "
        "by 0.01.": equal == "saddle",
        "Both coins ended at the same probability, and from a start apart they come back to it: "
        "one coin explains these trials as well as two.": equal == "top",
        "One coin has no trials left, so it stays where it is. Start it closer to the data.": empty,
        f"This is a poor optimum: started from the truth, EM reaches {run.missed:.3f} more. Try "
        "another start.": stuck,
        "EM stopped too early: the tolerance let it stop while it was still climbing. Choose a "
        "smaller one.": missed and run.trace.converged and not stuck,
        f"EM is not there yet: started from the truth, it reaches {run.missed:.3f} more. Raise the "
        "iteration limit; if that does not help, try another start.": (
            missed and run.trace.status is Status.MAX_ITER
        ),
        "EM has given the coins each other’s names. The likelihood does not know the names, so "
        "both ways are right; here they are matched to the truth, and what started as A is "
        "drawn as B.": (run.order[0] == 1 and not equal and finite),
    }


def draw_by_hand(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw one step by hand, for the observation that the visitor chooses."""
    by_hand(run, settings, *sections.chosen(c, run))


def draw_versus(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw hard assignment beside soft."""
    st.markdown("The same trials from the same start, with soft and with hard assignment:")
    table = versus(settings)
    st.dataframe(
        table[table["method"] != "labels known"] if c.sealed else table,
        hide_index=True,
        placeholder="–",
        column_config={f"θ {coin}": st.column_config.NumberColumn(format="%.3f") for coin in COINS},
        alt="Final heads probabilities and iterations of soft and hard EM"
        + ("" if c.sealed else ", and labels known"),
    )
    st.markdown(
        "Hard assignment decides each trial, and is done after a few steps. Soft assignment "
        "keeps the doubt, and needs more. The answers differ however many trials there are: "
        "with hard assignment, all trials in the overlap go to one side."
    )


def draw_hill(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw the hill and the lower bound."""
    heads_prob, n_tosses = run.params.heads_prob, settings["tosses"]
    a, b = heads_prob
    middle = float(run.problem.sample.data.mean() / n_tosses)
    spots = {"top": (a, b), "mirror image": (b, a), "saddle": (middle, middle)}
    words = "Two tops, mirror images of each other, with a saddle between them"
    equal = compute(settings).equal
    if equal:
        spots = {equal: (a, b)}
        words = f"One point on the diagonal, a {equal}"
    if run.trace.status is Status.NON_FINITE:
        spots = {"start": (a, b)}
        words = "The start, under which a trial is impossible"
    drawing = Drawing(
        f"{objective.title} over both heads probabilities",
        charts.surface("θ A", "θ B", f"{objective.title} lost per trial", path=True),
        {
            "surface": hill(settings),
            "path": landscape.path(run, "heads_prob", (0, 1)),
            "marks": landscape.marks(spots, since=run.frames.last),
        },
        f"{words}; their marks appear at the end of the run. White: the path of EM as far as "
        "it has been played.",
    )
    if run.trace.status is Status.NON_FINITE:
        sections.in_row([drawing], key="tc_hill")
        return
    sections.in_row([drawing, along(settings, objective)], key="tc_hill")
    landscape.explain()


def draw_starts(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw many initial guesses."""
    found = many(settings, c.show("starts"))
    starts.show_starts(c, run, found, objective, guess=RANDOM)
    if not settings["hard"]:
        st.markdown(
            f"**A map of starts.** All {MAP_STARTS**2:,} pairs of starts on a grid: where EM "
            "ends, and how long it takes (a stronger colour is longer)."
        )
        charts.show(
            charts.start_map("Start for A", "Start for B", MAP_ENDS),
            {"map": ends_of_starts(settings)},
            key="tc_map",
            alt="The square of starts: above the diagonal EM ends with A below B, under it "
            "with A above B, and on it at the saddle",
        )


def draw_convergence(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw the report on convergence."""
    sections.convergence(c, run, per="trial", soft=not settings["hard"])


def draw_code(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw the code, the script and the data."""
    n, n_tosses = len(run.problem.sample.data), settings["tosses"]
    truth, entropy = simulation(SimpleNamespace(**settings))
    data_lines = (
        ["data = published_trials().data"]
        if settings["data"] == PUBLISHED
        else [
            f"rng = np.random.default_rng({entropy})",
            f"truth = {take_away.literal(truth)}",
            f"data = simulate(truth, n_tosses={n_tosses}, n_trials={n}, rng=rng).data",
        ]
    )
    simulator = "published_trials" if settings["data"] == PUBLISHED else "simulate"
    take_away.code(
        c,
        run,
        take_away.script(run, title="Two coins", data=data_lines, simulator=simulator),
        pd.DataFrame({"trial": np.arange(1, n + 1), "heads": run.problem.sample.data}),
    )


def draw_teacher(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw the teacher’s section."""
    teacher.teacher(
        c,
        run,
        objective,
        observation="trial",
        for_student=lambda number: compute({**settings, "student": number}).run,
    )


SECTIONS = {
    "by_hand": draw_by_hand,
    "versus": draw_versus,
    "surface": draw_hill,
    "many": draw_starts,
    "speed": draw_convergence,
    "code": draw_code,
    "teacher": draw_teacher,
}
