"""Gaussian mixture: soft assignment of numbers on a line."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from em_core import GaussianMixture, GaussianParams, HardEM, KMeans, KMeansParams, Status, fit
from em_core.models.gaussian import log_density
from em_core.models.gaussian_mixture import guess_from_points, guess_integers, simulate
from em_core.numerics import equal_weights, match_components
from em_ui.controls import page as controls
from em_ui.controls.page import Choice, Controls, Number, Situation, Switch
from em_ui.pictures import charts, frames
from em_ui.run.compute import (
    DATA,
    GUESS,
    Problem,
    Run,
    cached_run,
    check_enough,
    run_em,
    run_starts,
    stream,
    turn,
)
from em_ui.sections import landscape, sections, starts, take_away, teacher
from em_ui.sections.sections import Drawing, Objective, Quantity

MAX_COMPONENTS = 8
NAMES = tuple("12345678")
TYPED = "Typed in"
GUESSES = {
    "Whole numbers, as in the article": guess_integers,
    "Random data points": guess_from_points,
}
POINTS = "Random data points"
STILLS = (0, 5, 20)  # the article's figure
BINS, CURVE_POINTS = 60, 200
EMPTY = 0.1  # values; a component with less has none
MISTAKES = "values with the wrong component"
POOR = 1e-3  # log-likelihood per observation that a good start would gain
QUANTITIES = {
    "means": Quantity("Mean", "μ", ".2f"),
    "stds": Quantity("Standard deviation", "σ", ".2f"),
    "weights": Quantity("Mixing weight", "π", ".3f"),
}
TRUTHS = (
    (-10.0, 3.0),
    (30.0, 7.0),
    (3.0, 5.0),
    (60.0, 4.0),
    (-40.0, 6.0),
    (90.0, 5.0),
    (-70.0, 4.0),
    (120.0, 6.0),
)
SPECS = {
    "k": Number("Components", 3, 1, MAX_COMPONENTS, 1),
    **{
        f"{field}{i}": spec
        for i, (mean, std) in enumerate(TRUTHS, 1)
        for field, spec in {
            "mean": Number(f"Mean {i}", mean, -1_000.0, 1_000.0, 1.0, format="%g"),
            "sd": Number(f"SD {i}", std, 0.1, 200.0, 0.5, format="%g"),
            "size": Number(f"Size {i}", 1_000, 1, 12_500, 1),
            "start_mean": Number(f"Start mean {i}", mean, -1_000.0, 1_000.0, 1.0, format="%g"),
            "start_sd": Number(f"Start SD {i}", 5.0, 0.01, 200.0, 0.5, format="%g"),
        }.items()
    },
    "data_seed": controls.seed("Data seed"),
    "student": controls.student(),
    "find": controls.to_find("Components", MAX_COMPONENTS),
    "guess": Choice("Initial guess", (*GUESSES, TYPED), next(iter(GUESSES))),
    "guess_seed": controls.seed("Guess seed", 46),
    "start": controls.start_number(),
    "weights": Switch("Estimate mixing weights", True, "Off: they stay equal, as in the article."),
    "hard": Switch("Hard assignment", False, "Each value goes wholly to its likeliest component."),
    "floor": Number(
        "Smallest standard deviation",
        0.05,
        0.0,
        10.0,
        0.05,
        "With 0, a component may collapse onto a single value.",
        format="%g",
    ),
    "tol": controls.tolerance("value"),
    "max_iter": controls.iteration_limit(20),
}
HEIGHTS = {"k": 2, "mean1": 163.0, "sd1": 7.0, "mean2": 177.0, "sd2": 7.0, "guess": POINTS}
FEW = {"size1": 10, "size2": 10, "size3": 10, "guess_seed": 19, "max_iter": 100}
OVERLAP = {"k": 2, "mean1": 0.0, "sd1": 3.0, "mean2": 6.0, "sd2": 3.0, "guess": POINTS}
SITUATIONS = {
    "Wang’s article": Situation(
        {},
        "Three groups of 1,000 values and a random start of whole numbers. Which component will "
        "move first? Are 20 iterations enough?",
        "Component 2 makes the first large move, since the values from 10 upwards are "
        "nearest to it. Then the two components that overlap have to settle how to share the "
        "values between them, and that is slow: 20 iterations come close, but the "
        "log-likelihood is still rising.",
    ),
    "Equal weights, as in the article": Situation(
        {"weights": False},
        "The article’s M-step leaves the mixing weights equal. Does that matter here?",
        "Little, since the three groups are equally large. Give one of them 200 values, and it "
        "does.",
    ),
    "Heights of men and women": Situation(
        {**HEIGHTS, "guess_seed": 1, "max_iter": 500},
        "1,000 women around 163 cm and 1,000 men around 177 cm. The histogram has no two peaks. "
        "Can EM still tell the groups apart?",
        "Yes, roughly: two bell curves fit the flat top a little better than one. But the "
        "overlap hides most of the labels: with a smaller tolerance EM goes on for thousands "
        "of iterations, and the means still move.",
    ),
    "A poor local optimum": Situation(
        {"guess_seed": 1, "max_iter": 100},
        "The same values from another start. Will EM end at the same place?",
        "No. Two components share the group at 30, and one has to cover the other two. Every step "
        "climbs, but this hill is not the highest. Open *Many initial guesses*.",
    ),
    "Components that overlap": Situation(
        {**OVERLAP, "guess_seed": 1, "max_iter": 500, "tol": "1e-8"},
        "Two groups only two standard deviations apart. How many iterations will it take?",
        "More than a hundred. Most values could have come from either group, so the labels that "
        "are missing are most of the information.",
    ),
    "Stopping too early": Situation(
        {**OVERLAP, "guess_seed": 1, "start": 4, "max_iter": 500, "tol": "1e-3"},
        "The same groups with a loose tolerance. The page says converged, after how many "
        "iterations? Is it true?",
        "The gain was small because EM is slow here, not because it has arrived. The estimate is "
        "still far from where it would end: open *Convergence, honestly*.",
    ),
    "A variance that collapses": Situation(
        {**FEW, "floor": 0.0},
        "Only ten values in each group, and no smallest standard deviation. What can go wrong?",
        "One component takes a single value for itself and narrows. Its density there grows "
        "without bound, and so does the likelihood: the highest top of all is useless.",
    ),
    "The floor that prevents it": Situation(
        FEW,
        "The same start, with a smallest standard deviation of 0.05. Where does it end now?",
        "The narrow component stops at the floor, so the run ends with finite numbers. It still "
        "sits on one value: a floor prevents the collapse, not the bad start.",
    ),
    "Too few components": Situation(
        {"find": 2, "max_iter": 100},
        "Three groups, but EM is told to look for two. Which groups will share one?",
        "The two that lie closest. One wide component covers both.",
    ),
    "Too many components": Situation(
        {"find": 5, "max_iter": 500, "guess_seed": 1, "start": 5},
        "Three groups and five components. Will the log-likelihood be higher than with three?",
        "Yes: at its best, a model with more components can only fit closer. That does not "
        "make them real. Criteria such as BIC ask whether the gain is worth the parameters.",
    ),
    "One wide group, one narrow": Situation(
        {
            "k": 2,
            "mean1": 0.0,
            "sd1": 10.0,
            "size1": 2_000,
            "mean2": 25.0,
            "sd2": 2.0,
            "size2": 200,
            "guess": POINTS,
            "guess_seed": 1,
            "start": 11,
            "max_iter": 100,
        },
        "A wide group of 2,000 beside a narrow one of 200. K-Means would put the border halfway "
        "between the centres. Where will the mixture put it?",
        "Close around the narrow group, since each component has a width and a share of its own. "
        "*Hard against soft* counts the mistakes of both.",
    ),
}


MISCONCEPTIONS = (
    (
        "The likelihood may go down.",
        "It never does. If it did, the E-step or the M-step would be wrong; this app would say so.",
    ),
    (
        "Components have an order.",
        "Exchange two of them and nothing changes. Here they are matched to the truth, for "
        "display.",
    ),
    (
        "More components are better, since the likelihood is higher.",
        "At its best it always is: each component can only add. Whether it is real is another "
        "question.",
    ),
    (
        "A different answer from each start is a bug.",
        "The likelihood has many tops. Start often, and keep the best.",
    ),
)


class Mixture(NamedTuple):
    run: Run
    bars: pa.Table
    steps: pa.Table
    references: dict[str, pa.Table]
    stills: dict[int, dict[str, pa.Table]]


def simulation(s: SimpleNamespace) -> tuple[list[list[Any]], list[int]]:
    """Return means, standard deviations and sizes, and the entropy of the data's generator."""
    fields = [[getattr(s, f"{f}{i}") for i in range(1, s.k + 1)] for f in ("mean", "sd", "size")]
    return fields, [s.data_seed, DATA] + [s.student] * (s.student > 0)


def problem(settings: dict[str, Any]) -> Problem:
    s = SimpleNamespace(**settings)
    fields, entropy = simulation(s)
    sample = simulate(*fields, rng=np.random.default_rng(entropy))
    find = s.find or s.k
    method = GUESSES.get(s.guess, guess_from_points)

    def floored(params: GaussianParams) -> GaussianParams:
        return GaussianParams(params.means, np.maximum(params.stds, s.floor), params.weights)

    def guess(rng: np.random.Generator) -> GaussianParams:
        if method is guess_from_points:
            check_enough(find, len(sample.data))
        return floored(method(sample.data, find, rng=rng))

    if s.guess == TYPED:
        typed = [[settings[f"{f}{i + 1}"] for i in range(find)] for f in ("start_mean", "start_sd")]
        start = floored(GaussianParams(*typed, equal_weights(find)))
    else:
        start = guess(stream(s.guess_seed, GUESS, s.start))
    truth = floored(sample.truth)
    if not s.weights:
        truth = GaussianParams(truth.means, truth.stds, equal_weights(s.k))
    mixture = GaussianMixture(min_std=s.floor, estimate_weights=s.weights)
    return Problem(
        model=HardEM(mixture) if s.hard else mixture,
        sample=sample,
        start=start,
        guess=guess,
        guess_seed=s.guess_seed,
        truth=truth,
        by="means",
        names=NAMES,
        tol=float(s.tol),
        max_iter=s.max_iter,
    )


@cached_run
def compute(settings: dict[str, Any]) -> Mixture:
    run = run_em(problem(settings))
    density, edges = np.histogram(run.problem.sample.data, bins=BINS, density=True)
    bars = frames.divided_bars(
        run.problem.model,
        run.trace,
        NAMES,
        middles=(edges[:-1] + edges[1:]) / 2,
        half_width=(edges[1] - edges[0]) / 2,
        heights=density,
        digits=1,
    )
    grid = {
        "low": edges[0],
        "high": edges[-1],
        "step": (edges[-1] - edges[0]) / CURVE_POINTS,
        "top": 1.2 * density.max(),
    }
    references = {
        name: frames.extend(getattr(run.frames, name), **grid) for name in ("truth", "labelled")
    }
    steps = frames.extend(run.frames.steps, **grid)
    stills = {
        at: {"bars": frames.still(bars, at), "steps": frames.still(steps, at)}
        for at in sorted({min(at, run.frames.last) for at in STILLS})
    }
    return Mixture(run, bars, steps, references, stills)


@cached_run
def many(settings: dict[str, Any], n: int) -> Any:
    return run_starts(problem(settings), n)


@cached_run
def hill(settings: dict[str, Any], at: int, i: int, j: int) -> pa.Table:
    run = compute(settings).run
    params, n = run.steps[at].params, len(run.problem.sample.data)
    low, high = run.problem.sample.data.min(), run.problem.sample.data.max()
    cells = landscape.affordable_cells(run)
    edges = landscape.edges(low, high, cells)
    heights = landscape.heights(
        run,
        lambda x, y: landscape.put(landscape.put(params, "means", i, x), "means", j, y),
        edges,
        edges,
    )
    return landscape.surface(heights, edges, edges, n=n, top=heights.max())


@cached_run
def along(settings: dict[str, Any], i: int, _objective: Objective) -> Drawing:
    run = compute(settings).run
    data = run.problem.sample.data
    domain = (data.min(), data.max())
    return landscape.bound_slice(run, "means", i, domain, _objective, f"μ {NAMES[i]}")


def by_hand(run: Run, settings: dict[str, Any], at: int, i: int) -> None:
    """Write one value's numbers into the formulas, and the sums that they go into."""
    model, data, params = run.problem.model, run.problem.sample.data, run.steps[at].params
    x, r = data[i], model.e_step(data[i : i + 1], params).responsibilities[0]
    density = np.exp(log_density(x, params.means, params.stds))
    joint = params.weights * density
    st.markdown(
        f"**E-step.** Value {i + 1} is {x:.4f}. Each component’s density there, times its mixing "
        "weight:"
    )
    lines = []
    for k, name in enumerate(NAMES[: len(joint)]):
        mean, std = sections.bracketed(params.means[k], 2), f"{params.stds[k]:.2f}"
        lines += [
            rf"\mathcal N_{name} &= \frac{{1}}{{{std}\sqrt{{2\pi}}}}"
            rf"\,e^{{-\frac{{({x:.4f} - {mean})^2}}{{2\cdot {std}^2}}}}",
            rf"&= {sections.significant(density[k])}",
            rf"\pi_{name}\,\mathcal N_{name} &= {params.weights[k]:.3f}\cdot "
            rf"{sections.significant(density[k])} = {sections.significant(joint[k])}",
        ]
    sections.formula(lines)
    hard = r"\;\rightarrow\;" if isinstance(model, HardEM) else "="
    sections.formula(
        [
            rf"r_{NAMES[k]} &= \frac{{{sections.significant(joint[k])}}}"
            rf"{{{sections.significant(joint.sum())}}} {hard} {r[k]:.3f}"
            for k in range(len(joint))
        ]
    )
    statistics = run.statistics(at)
    update = model.m_step(statistics, params)
    counts, first, second = statistics  # about the means before the step
    sums = counts * params.means + first
    squares = second - (update.means - params.means) * first  # about those after it
    st.markdown(f"**M-step.** Added up over all {len(data):,} values:")
    lines = []
    for k, name in enumerate(NAMES[: len(counts)]):
        lines += [
            rf"\mu_{name} &= \frac{{{sums[k]:.2f}}}{{{counts[k]:.2f}}} = {update.means[k]:.2f}",
            rf"\sigma_{name} &= \sqrt{{\frac{{{squares[k]:.2f}}}{{{counts[k]:.2f}}}}} = "
            rf"{update.stds[k]:.2f}",
        ]
        if settings["weights"]:
            lines.append(
                rf"\pi_{name} &= \frac{{{counts[k]:.2f}}}{{{len(data)}}} = "
                rf"{update.weights[k]:.3f}"
            )
    sections.formula(lines)
    if settings["floor"] and (update.stds <= settings["floor"]).any():
        st.caption(f"A standard deviation below the smallest, {settings['floor']:g}, is raised.")


@cached_run
def versus(settings: dict[str, Any]) -> pd.DataFrame:
    """Return the mistakes of the soft mixture, of hard assignment and of K-Means, same start."""
    rows = []
    run = compute(settings).run
    p = run.problem
    data, labels, truth = p.sample.data, p.sample.labels, p.sample.truth
    for name, model in (
        ("Gaussian mixture, soft", problem({**settings, "hard": False}).model),
        ("Gaussian mixture, hard", problem({**settings, "hard": True}).model),
        ("K-Means", KMeans()),
    ):
        if name == "K-Means":
            points, start = data[:, None], KMeansParams(p.start.means[:, None])
        else:
            points, start = data, p.start
        if model == p.model:
            trace = run.trace
        else:
            with turn(p.work * p.max_iter):
                trace = fit(model, points, start, tol=p.tol, max_iter=p.max_iter)
        final = frames.drawable(trace).final.params
        centres = final.centroids[:, 0] if name == "K-Means" else final.means
        final = final.relabel(match_components(centres, truth.means))
        centres = final.centroids[:, 0] if name == "K-Means" else final.means
        row = {
            "method": name,
            **{f"mean {NAMES[k]}": centre for k, centre in enumerate(centres)},
            "iterations": trace.n_iter,
        }
        # Without a component for each of the truth's there is no right answer.
        if len(centres) == truth.n_components:
            winners = model.e_step(points, final).responsibilities.argmax(axis=1)
            row[MISTAKES] = f"{100 * np.mean(winners != labels):.1f}%"
        rows.append(row)
    return pd.DataFrame(rows)


def findings(run: Run, settings: dict[str, Any]) -> dict[str, bool]:
    """Return what may have gone wrong in this run, in words, and whether it has."""
    n, find = len(run.problem.sample.data), settings["find"] or settings["k"]
    stds, weights = run.params.stds, run.params.weights
    missed = run.missed > POOR * n
    stuck = missed and run.trace.converged and run.missed - run.still_to_gain > POOR * n
    return {
        "A component has collapsed: it sits on a single value and its standard deviation has "
        "fallen to 0, where its density is infinite. Set a smallest standard deviation above 0, "
        "or try another guess.": run.trace.status is Status.NON_FINITE,
        f"A component is as narrow as the smallest standard deviation, {settings['floor']:g}, "
        "allows: without it, it would collapse onto a few values. Try another guess.": (
            settings["floor"] > 0 and stds.min() <= settings["floor"]
        ),
        "A component has lost all its values. Start it closer to the data.": (
            settings["weights"] and n * weights.min() < EMPTY
        ),
        f"This is a poor optimum: started from the truth, EM reaches {run.missed:,.1f} more "
        "log-likelihood. Try other starts and keep the best.": stuck,
        "EM stopped too early: the tolerance let it stop while it was still climbing. Choose a "
        "smaller one.": missed and run.trace.converged and not stuck,
        f"EM is not there yet: started from the truth, it reaches {run.missed:,.1f} more "
        "log-likelihood. Raise the iteration limit; if that does not help, try another "
        "start.": missed and run.trace.status is Status.MAX_ITER,
        f"The truth has {sections.count(settings['k'], 'group')}, and EM was told to look for "
        f"{find}.": find != settings["k"],
    }


def draw_by_hand(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw one step by hand, for the observation that the visitor chooses."""
    by_hand(run, settings, *sections.chosen(c, run))


def draw_versus(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw hard assignment beside soft."""
    st.markdown(
        "The same values from the same start, three ways. Hard assignment gives each value "
        "wholly to its likeliest component. K-Means does so too, and knows no widths or shares."
    )
    table = versus(settings)
    st.dataframe(
        table.drop(columns=MISTAKES, errors="ignore") if c.sealed else table,
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.4f")
            for name in table
            if name.startswith("mean ")
        },
        alt="Soft mixture, hard mixture and K-Means: means, iterations and mistakes",
    )


def draw_hill(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw the hill and the lower bound."""
    find = settings["find"] or settings["k"]
    at, _ = sections.standing(c, run)
    if find == 1:
        st.markdown("With one component there is one mean, and EM needs one step.")
    else:
        left, right = st.columns(2)
        with left:
            i = min(c.show("across"), find) - 1
        with right:
            j = min(c.show("up"), find) - 1
        drawing = along(settings, i, objective)
        if i == j:
            st.info("Choose two different components for the surface.")
            sections.in_row([drawing], key="gm_hill")
        else:
            when = sections.moment(at)
            surface = Drawing(
                f"{objective.title} over two means, the rest as at {when}",
                charts.surface(
                    f"μ {NAMES[i]}",
                    f"μ {NAMES[j]}",
                    f"{objective.title} lost per value",
                    path=True,
                ),
                {
                    "surface": hill(settings, at, i, j),
                    "path": landscape.path(run, "means", (i, j)),
                    "marks": landscape.marks(
                        {"EM ends": (run.params.means[i], run.params.means[j])},
                        since=run.frames.last,
                    ),
                },
                f"Bands of equal {objective.title.lower()} over the means of components "
                f"{NAMES[i]} and {NAMES[j]}, with the path of EM as far as it has been played",
            )
            sections.in_row([surface, drawing], key="gm_hill")
    landscape.explain()


def draw_starts(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw many initial guesses."""
    found = many(settings, c.show("starts"))
    guess = POINTS if settings["guess"] == TYPED else None
    starts.show_starts(c, run, found, objective, guess=guess)


def draw_convergence(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw the report on convergence."""
    caveat = ", unless the floor holds a standard deviation" if settings["floor"] else ""
    sections.convergence(c, run, per="value", soft=not settings["hard"], caveat=caveat)


def draw_code(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw the code, the script and the data."""
    (means, sds, sizes), entropy = simulation(SimpleNamespace(**settings))
    data_lines = [
        f"rng = np.random.default_rng({entropy})",
        f"data = simulate({means}, {sds}, {sizes}, rng=rng).data",
    ]
    take_away.code(
        c,
        run,
        take_away.script(run, title="Gaussian mixture", data=data_lines, simulator="simulate"),
        pd.DataFrame({"value": run.problem.sample.data}),
    )


def draw_teacher(c: Controls, run: Run, settings: dict[str, Any], objective: Objective) -> None:
    """Draw the teacher’s section."""
    teacher.teacher(
        c,
        run,
        objective,
        observation="value",
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
