"""A lesson in one file whose model is no mixture: the blood groups of persons, and three genes.

Its parameters are plain numbers, and there are no components. The blood group of a person is known,
but not always the two genes behind it (Ceppellini, Siniscalco and Smith, "The estimation of gene
frequencies in a random-mating population", 1955).
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import streamlit as st

from em_core import Params, Sample
from em_ui import controls, sections
from em_ui.controls import Number
from em_ui.pictures import charts, frames
from em_ui.run import Problem, Quantity, Words, fitted

GROUPS = ("A", "B", "AB", "O")
PERSONS = (186, 38, 13, 284)
TRUTH = (0.2, 0.05, 0.75)


@dataclass(frozen=True, eq=False)
class GeneParams(Params):
    """Shares of the genes A, B and O."""

    p: np.ndarray
    q: np.ndarray
    r: np.ndarray


class Genotypes(NamedTuple):
    """Expected numbers of persons with each pair of genes."""

    aa: float
    ao: float
    bb: float
    bo: float
    ab: float
    oo: float


@dataclass(frozen=True)
class GeneCounting:
    """Four blood groups, numbered as in GROUPS, from six pairs of genes."""

    def check(self, data, params):
        if not np.isin(data, range(len(GROUPS))).all():
            raise ValueError("data must be blood groups")

    def expect(self, data, params):
        p, q, r = params.vector()
        a, b, ab, o = np.bincount(data, minlength=len(GROUPS))
        of_a, of_b = p / (p + 2 * r), q / (q + 2 * r)  # with the same gene twice
        shares = (p * (p + 2 * r), q * (q + 2 * r), 2 * p * q, r**2)
        genotypes = Genotypes(a * of_a, a * (1 - of_a), b * of_b, b * (1 - of_b), ab, o)
        return genotypes, float(np.dot((a, b, ab, o), np.log(shares)))

    def m_step(self, statistics, previous):
        aa, ao, bb, bo, ab, oo = statistics
        genes = 2 * sum(statistics)
        return GeneParams(
            (2 * aa + ao + ab) / genes, (2 * bb + bo + ab) / genes, (2 * oo + ao + bo) / genes
        )

    def expected_objective(self, statistics, params, previous):
        p, q, r = params.vector()
        pairs = (p * p, 2 * p * r, q * q, 2 * q * r, 2 * p * q, r * r)
        return float(np.dot(statistics, np.log(pairs)))


WORDS = Words(
    title="Blood groups",
    prefix="bg",
    observation="person",
    component="gene",
    group="gene",
    names=(),
    by="p",
    quantities={
        name: Quantity(f"Share of the {which} gene", name, ".4f")
        for name, which in zip("pqr", ("first", "second", "third"), strict=True)
    },
)
SPECS = {
    "start_p": Number("Start of p", 0.3, 0.05, 0.45, 0.05, slider=True),
    **controls.usual("person", tol="1e-8"),
}
SECTIONS = sections.sections_of(hill={})


def problem(settings):
    p = settings["start_p"]

    def guess(rng):
        return GeneParams(*rng.dirichlet(np.ones(3)))

    return Problem(
        words=WORDS,
        model=GeneCounting(),
        sample=Sample(np.repeat(np.arange(len(GROUPS)), PERSONS)),
        start=GeneParams(p, 0.2, 0.8 - p),
        guess=guess,
        guess_seed=settings["guess_seed"],
        truth=None,
        tol=float(settings["tol"]),
        max_iter=settings["max_iter"],
        data_lines=[f"data = np.repeat(np.arange({len(GROUPS)}), {PERSONS})"],
        data_columns=["group"],
        truth_known=False,
    )


def picture(run):
    bars = {
        "low": np.arange(4) - 0.45,
        "high": np.arange(4) + 0.45,
        "label": GROUPS,
        "height": PERSONS,
        "component": ["persons"] * len(GROUPS),
        "share": frames.pack(np.ones((len(run.steps), len(GROUPS)))),
    }
    expected = {"iteration": [], "outcome": [], "count": []}
    for step in run.steps:
        p, q, r = step.params.vector()
        expected["iteration"] += [step.iteration] * len(GROUPS)
        expected["outcome"] += range(len(GROUPS))
        shares = np.array([p * (p + 2 * r), q * (q + 2 * r), 2 * p * q, r * r])
        expected["count"] += list(run.problem.n * shares)
    return sections.Drawing(
        "Persons by blood group",
        charts.shares("Group", "Persons", "What is counted", truth=False),
        {"bars": frames.arrow(bars), "expected": frames.arrow(expected)},
        f"{run.problem.n} persons by blood group, and how many are expected",
    )


def problem_with_truth(settings):
    """The same, for once with shares that somebody knows."""
    posed, truth = problem(settings), GeneParams(*TRUTH)
    sample = posed.sample._replace(truth=truth)
    return replace(posed, sample=sample, truth=truth, truth_known=True)


def draw(pose=problem):
    c = sections.controls_of(WORDS, SPECS, {}, SECTIONS, truth=())
    with c.sidebar():
        c.show_all(*SPECS)
    st.title(WORDS.title)
    run = fitted(pose, c.settings())
    sections.play(c, run, picture(run), caption="Bars: persons.", findings=[])
    sections.results(c, run)
    sections.more(c, run, [("A group is a gene.", "It is what one sees of two.")])
