"""Situations of the Gaussian mixture, and what is often believed."""

from collections.abc import Sequence

import numpy as np

from em_ui.controls import Situation, Value, query
from em_ui.data import OWN
from em_ui.data.kept import Numbers, told_as
from em_ui.run import Run, count
from em_ui.sections import convergence
from pages.gaussian_mixture.problem import (
    COMMON,
    EACH,
    KNOWN,
    LARGEST,
    MAX_COMPONENTS,
    POINTS,
    SPECS,
    TYPED,
    WORDS,
)


def groups(*components: tuple[float, float, int]) -> dict[str, Value]:
    """Return the settings of groups: mean, standard deviation and size of each."""
    values: dict[str, Value] = {"k": len(components), "guess": POINTS}
    for i, (mean, std, size) in enumerate(components, 1):
        values |= {f"mean{i}": mean, f"sd{i}": std, f"size{i}": size}
    return values


def typed(means: Sequence[float], stds: Sequence[float]) -> dict[str, Value]:
    """Return the settings of a start that is typed in; of one deviation for all, the first."""
    fields = {"start_mean": means, "start_sd": stds}
    numbers = {f"{f}{i}": x for f, values in fields.items() for i, x in enumerate(values, 1)}
    return {"guess": TYPED, **numbers}


HEIGHTS = groups((163.0, 7.0, 1_000), (177.0, 7.0, 1_000))


def article(run: Run) -> str:
    """Say which mean moves furthest at first, and how far 20 iterations come."""
    (start, first), shares = (step.params for step in run.steps[:2]), run.statistics(0)[0]
    k = int(np.abs(first.means - start.means).argmax())
    gain = np.diff(run.trace.objectives)[-1]
    return (
        f"That of component {run.names[k]}, from {start.means[k]:.0f} to {first.means[k]:.1f}: at "
        f"the guess {shares[k]:,.0f} of the {run.problem.n:,} values go to that component, and the "
        "M-step follows them. Then the two components that overlap have to settle "
        "how to share the values between them, and that is slow: "
        f"{count(run.trace.n_iter, 'iteration')} come close, but the last still gains {gain:.2g}."
    )


def heights(run: Run) -> str:
    """Say where EM ends on heights, and how much further it would go."""
    patient = run.other(tol="1e-10")
    a, b = (np.sort(each.params.means) for each in (run, patient))
    return (
        f"Yes, roughly: it ends at {a[0]:.1f} and {a[1]:.1f} cm after "
        f"{count(run.trace.n_iter, 'iteration')}. But the overlap hides most of the labels: with a "
        f"tolerance of 1e-10 EM is at {b[0]:.2f} and {b[1]:.2f} after "
        f"{count(patient.trace.n_iter, 'iteration')}, "
        + ("and has converged." if patient.trace.converged else "and still moving.")
    )


def waiting(run: Run) -> str:
    """Say where the means end, what share is short, and what one normal and one width would do."""
    first, last = run.steps[1].params, run.params
    short, long = np.argsort(last.means)
    one, common = run.other(find=1), run.other(stds=COMMON)
    moved = float(np.abs(common.params.means - last.means).max())
    return (
        f"The first iteration leads to {first.means[short]:.2f} and {first.means[long]:.2f} "
        f"minutes, and after {count(run.trace.n_iter, 'iteration')} the means are at "
        f"{last.means[short]:.2f} and {last.means[long]:.2f}. {last.weights[short]:.1%} of the "
        "waits belong to the short ones. The log-likelihood is "
        f"{run.trace.final.objective:,.2f}; one normal distribution alone would reach "
        f"{one.trace.final.objective:,.2f}. The standard deviations are "
        f"{last.stds[short]:.2f} and {last.stds[long]:.2f}: with one for all, no mean ends more "
        f"than {convergence.plain(moved)} minutes elsewhere."
    )


def maize(run: Run) -> str:
    """Say what each component takes, and what is gained on one normal, and by two widths."""
    low, high = np.argsort(run.params.means)
    counts = run.final_statistics[0]
    # Of one for all, the start has only the first.
    widths = dict.fromkeys(("start_sd1", "start_sd2"), run.settings["start_sd1"])
    others = run.other(find=1), run.other(stds=EACH, **widths)
    found, one, free = (each.trace.final.objective for each in (run, *others))
    return (
        f"It takes {counts[low]:.1f} of the {run.problem.n} values, with a mean of "
        f"{run.params.means[low]:.1f}; the other has {run.params.means[high]:.1f}. The "
        f"log-likelihood is {found:.2f}, and with one normal distribution {one:.2f}: "
        f"{found - one:.2f} more, for two numbers more. With a standard deviation for each it "
        f"would be {free:.2f}."
    )


def exercise(run: Run) -> str:
    """Say which way the means go."""
    sizes = [f"{np.abs(step.params.means).max():.8f}" for step in run.steps[1:4]]
    last = np.abs(run.params.means).max()
    return (
        f"No: to 0, both of them. Their distances from it go to {', '.join(sizes)}; after "
        f"{count(run.trace.n_iter, 'iteration')} it is {last:.3f}. Two normal distributions of "
        "standard deviation 1 are too wide to part these values, and each value goes in part to "
        "the component on the other side. By hand: each step takes the mean μ to tanh μ, which is "
        "nearer to 0. It gets there ever more slowly, by no constant factor."
    )


OVERLAP = groups((0.0, 3.0, 1_000), (6.0, 3.0, 1_000))
WIDE = groups((0.0, 10.0, 2_000), (25.0, 2.0, 200))
FEW: dict[str, Value] = {"size1": 10, "size2": 10, "size3": 10, "guess_seed": 19, "max_iter": 100}
SITUATIONS = {
    "Wang’s article": Situation(
        {},
        "Three groups of 1,000 values and a random start of whole numbers. Which mean will move "
        "furthest in the first step? Are 20 iterations enough?",
        article,
        sealed_question="A random start of whole numbers. Which mean will move furthest in the "
        "first step? Are 20 iterations enough?",
    ),
    "Equal weights, as in the article": Situation(
        {"weights": False},
        "The article’s M-step leaves the mixing weights equal. Does that matter here?",
        "Little, since the three groups are equally large. Give one of them 200 values, and it "
        "does.",
        moves=("weights", "size1", "size2", "size3"),
    ),
    "Heights of men and women": Situation(
        {**HEIGHTS, "guess_seed": 1, "max_iter": 500},
        "1,000 women around 163 cm and 1,000 men around 177 cm. The histogram has no two peaks. "
        "Can EM still tell the groups apart?",
        heights,
        moves=("tol", "max_iter"),
        sealed_question="Heights of women and men. The histogram has no two peaks. Can EM still "
        "tell the groups apart?",
    ),
    "A poor local optimum": Situation(
        {"guess_seed": 1, "max_iter": 100},
        "The same values from another start. Will EM end at the same place?",
        "No. Two components share the group at 30, and one has to cover the other two. Every step "
        "climbs, but this hill is not the highest. Open *Many starts*.",
        moves=("guess", "guess_seed", "start"),
    ),
    "Components that overlap": Situation(
        {**OVERLAP, "guess_seed": 1, "max_iter": 500, "tol": "1e-8"},
        "Two groups only two standard deviations apart. EM takes many more iterations here than "
        "for groups that lie well apart. Why?",
        "Most values could have come from either group, so the labels that are missing are most of "
        "the information. Each iteration learns only a little about them.",
        sealed_question="Two groups that overlap. Why does EM take many iterations?",
    ),
    "Stopping too early": Situation(
        {**OVERLAP, "guess_seed": 1, "start": 4, "max_iter": 500, "tol": "1e-3"},
        "The same groups with a loose tolerance. The page will soon say converged. Is it true?",
        "No. The gain was small because EM is slow here, not because it has arrived. The estimate "
        "is still far from where it would end: open *Has it really converged?*.",
        moves=("tol",),
    ),
    "A variance that collapses": Situation(
        {**FEW, "floor": 0.0},
        "Only ten values in each group, and no smallest standard deviation. What can go wrong?",
        "One component takes a single value for itself and narrows. Its density there grows "
        "without bound, and so does the likelihood: it has no highest top, and this way up is "
        "useless.",
        sealed_question="Few values, and no smallest standard deviation. What can go wrong?",
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
        moves=("find",),
    ),
    "Too many components": Situation(
        {"find": 5, "max_iter": 500, "guess_seed": 1, "start": 5},
        "Three groups and five components. Will the log-likelihood be higher than with three?",
        "Yes: at its best, a model with more components can only fit closer. That does not "
        "make them real. Criteria such as BIC ask whether the gain is worth the parameters.",
        moves=("find",),
    ),
    "Old Faithful": Situation(
        {
            "data": "Old Faithful: waiting times",
            "find": 2,
            **typed((50.0, 80.0), (10.0, 10.0)),
            "floor": 0.3,
            "max_iter": 100,
            "tol": "1e-10",
        },
        "How long one waits for the next eruption of a geyser, in minutes. Where will the two "
        "means end, and which share of the waits belongs to the short ones?",
        waiting,
        moves=("stds", "find"),
    ),
    "Darwin’s maize": Situation(
        {
            "data": "Darwin’s maize",
            "find": 2,
            "stds": COMMON,
            **typed((-50.0, 30.0), (36.0,)),
            "floor": 0.1,
            "max_iter": 500,
            "tol": "1e-10",
        },
        "Two of 15 differences lie far below the others. There is one standard deviation for all. "
        "Will the lower component take these two, and no more?",
        maize,
        moves=("stds", "find"),
    ),
    "Known standard deviations": Situation(
        {
            "data": OWN,
            "own": told_as(Numbers("an exercise", ("value",), np.array([[-1.0], [1.0]]))),
            "find": 2,
            "stds": KNOWN,
            **typed((-2.0, 2.0), (1.0, 1.0)),
            "weights": False,
            "tol": "0",
            "max_iter": 20,
        },
        "An exercise: the values −1 and 1, two components of equal shares and known standard "
        "deviations 1, and a start at −2 and 2. Do the means go to −1 and 1?",
        exercise,
    ),
    "One wide group, one narrow": Situation(
        {**WIDE, "guess_seed": 1, "start": 11, "max_iter": 100},
        "A wide group of 2,000 beside a narrow one of 200. K-Means would put the border halfway "
        "between the centres. Where will the mixture put it?",
        "Close around the narrow group, since each component has a width and a share of its own. "
        "*Hard against soft* counts the mistakes of both.",
        sealed_question="A wide group beside a narrow one. K-Means would put the border halfway "
        "between the centres. Where will the mixture put it?",
    ),
}

MISCONCEPTIONS = (
    (
        "The likelihood may go down.",
        "With soft assignment it never does. If it did, the E-step or the M-step would be wrong, "
        "and this app would say so. With hard assignment it may: what never falls there is the "
        "classification log-likelihood.",
    ),
    (
        "Components have an order.",
        "Exchange two of them and nothing changes. The numbers come from the start; where there is "
        "something to compare with, the page says which stands for which.",
    ),
    (
        "More components are better, since the likelihood is higher.",
        "At its best it always is: each component can only add. Whether it is real is another "
        "question: open *How many components?*.",
    ),
    (
        "A standard deviation for each component is always better than one for all.",
        "It fits closer, with more numbers to estimate. Of few values it may be told badly, and it "
        "may fall to 0 on a single one. One for all cannot, before every value lies on a mean.",
    ),
    (
        "A different answer from each start is a bug.",
        "The likelihood has many tops. Start often, and keep the best.",
    ),
)


def link_to_groups(
    components: Sequence[tuple[float, float, int]],
    start: Sequence[tuple[float, float]],
    **more: Value,
) -> dict[str, str]:
    """Return the query of groups, and of where EM starts; all else is as at first, or in ``more``.

    Parameters
    ----------
    components
        Mean, standard deviation and size of each group.
    start
        Mean and standard deviation that each component starts with.
    more
        Further settings, by the names of their controls.
    """
    others = ("data_seed", "student", "find", "weights", "hard", "floor", "tol", "max_iter")
    values = {name: SPECS[name].default for name in others}
    values |= groups(*components) | {"guess": TYPED} | more
    for i, (mean, std) in enumerate(start, 1):
        values |= {f"start_mean{i}": mean, f"start_sd{i}": std}
    return query(WORDS.prefix, SPECS, values)


def link_to_the_largest() -> dict[str, str]:
    """Return the query of the dearest run: overlapping groups as large and as many as allowed."""
    overlapping = groups(*((float(k), 3.0, LARGEST) for k in range(1, MAX_COMPONENTS + 1)))
    values = {**overlapping, "guess": SPECS["guess"].default, "tol": "0", "max_iter": 500}
    return query(WORDS.prefix, SPECS, values)
