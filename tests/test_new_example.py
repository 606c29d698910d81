"""A fourth example is a model and a page: all that is shared works for it as it stands."""

import contextlib
import importlib
import io
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import Page, visitor
from scipy import stats

from em_core import fit, fit_labelled
from em_core.diagnostics import same_solutions
from em_ui.run.compute import DATA, GUESS, stream

MODEL = '''
"""Poisson mixture: counts from several sources."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, xlogy

from em_core import EStep, Params, Sample
from em_core.numerics import check_data, check_vector, check_weights, equal_weights, posterior


@dataclass(frozen=True, eq=False)
class PoissonParams(Params):
    rates: np.ndarray
    weights: np.ndarray


class PoissonStatistics(NamedTuple):
    counts: np.ndarray
    totals: np.ndarray


@dataclass(frozen=True)
class PoissonMixture:
    def check(self, data, params):
        check_data(data, ndim=1)
        check_vector("rates", params.rates)
        check_weights(params.weights)

    def log_joint(self, data, params):
        x = np.asarray(data, dtype=float)[:, None]
        log_density = xlogy(x, params.rates) - params.rates - gammaln(x + 1)
        with np.errstate(divide="ignore"):
            return log_density + np.log(params.weights / params.weights.sum())

    def e_step(self, data, params):
        responsibilities, log_evidence = posterior(self.log_joint(data, params))
        return EStep(responsibilities, float(log_evidence.sum()))

    def statistics(self, data, params, responsibilities):
        return PoissonStatistics(responsibilities.sum(axis=0), data @ responsibilities)

    def m_step(self, statistics, previous):
        counts, totals = statistics
        rates = np.where(counts > 0, totals / np.where(counts > 0, counts, 1), previous.rates)
        return PoissonParams(rates, counts / counts.sum())

    def expected_objective(self, statistics, params, previous):
        counts, totals = statistics
        terms = xlogy(totals, params.rates) - counts * params.rates
        return float((terms + xlogy(counts, params.weights / params.weights.sum())).sum())


def simulate(rates, sizes, *, rng):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    truth = PoissonParams(rates, np.array(sizes) / sum(sizes))
    return Sample(rng.poisson(truth.rates[labels]), labels, truth)


def guess_from_points(data, n_components, *, rng):
    rates = rng.choice(data, n_components).astype(float) + 0.5
    return PoissonParams(rates, equal_weights(n_components))
'''

PAGE = '''
"""Calls at two shops."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from em_core import HardEM
from em_ui.pictures import charts, frames
from em_ui.controls import page as controls
from em_ui.sections import landscape, sections, starts, take_away, teacher
from em_ui.run.compute import DATA, GUESS, Problem, Run, cached_run, run_em, run_starts, stream
from em_ui.controls.page import Controls, Number, Situation, Switch
from em_ui.sections.sections import Drawing, Objective, Quantity
from poisson_mixture import PoissonMixture, PoissonParams, guess_from_points, simulate

SHOPS = ("A", "B")
SPECS = {
    "rate_a": Number("Calls a day at A", 4.0, 0.5, 50.0, 0.5),
    "rate_b": Number("Calls a day at B", 12.0, 0.5, 50.0, 0.5),
    "days": Number("Days at each", 150, 1, 1_000, 1),
    "data_seed": controls.seed("Data seed"),
    "student": controls.student(),
    "guess_seed": controls.seed("Guess seed"),
    "start": controls.start_number(),
    "hard": Switch("Hard assignment", False),
    "tol": controls.tolerance("day"),
    "max_iter": controls.iteration_limit(60),
}
SITUATIONS = {
    "Two shops": Situation({}, "Which shop was called?", "The busy one more often."),
    "Nearly alike": Situation({"rate_b": 6.0}, "Is it harder?", "Yes, and slower."),
}


class Calls(NamedTuple):
    run: Run
    bars: pa.Table
    expected: pa.Table
    references: dict


def problem(settings):
    rates, days = [settings["rate_a"], settings["rate_b"]], settings["days"]
    entropy = [settings["data_seed"], DATA] + [settings["student"]] * (settings["student"] > 0)
    sample = simulate(rates, [days, days], rng=np.random.default_rng(entropy))

    def guess(rng):
        return guess_from_points(sample.data, 2, rng=rng)

    return Problem(
        model=HardEM(PoissonMixture()) if settings["hard"] else PoissonMixture(),
        sample=sample,
        start=guess(stream(settings["guess_seed"], GUESS, settings["start"])),
        guess=guess,
        guess_seed=settings["guess_seed"],
        truth=sample.truth,
        by="rates",
        names=SHOPS,
        tol=float(settings["tol"]),
        max_iter=settings["max_iter"],
    )


@cached_run
def compute(settings):
    run = run_em(problem(settings))
    data, outcomes = run.problem.sample.data, np.arange(run.problem.sample.data.max() + 1)
    mixture = PoissonMixture()
    bars = frames.divided_bars(
        run.problem.model, run.trace, SHOPS, middles=outcomes, half_width=0.45,
        heights=np.bincount(data), digits=0,
    )
    history = [step.params for step in run.steps]
    expected = frames.expected_counts(mixture, history, outcomes, len(data))
    references = {
        name: frames.expected_counts(mixture, [params], outcomes, len(data))
        for name, params in (("truth", run.problem.sample.truth), ("labelled", run.labelled))
    }
    return Calls(run, bars, expected, references)


@cached_run
def many(settings, n):
    return run_starts(problem(settings), n)


def draw_by_hand(c, run, settings, objective):
    at, i = sections.chosen(c, run)
    params, x = run.steps[at].params, run.problem.sample.data[i]
    shares = run.problem.model.e_step(run.problem.sample.data[i : i + 1], params).responsibilities
    sections.formula([rf"r_{k} &= {r:.3f}" for k, r in zip(SHOPS, shares[0])])


def draw_hill(c, run, settings, objective):
    edges = landscape.edges(0.5, 20, 15)
    weights = run.params.weights
    heights = landscape.heights(run, lambda a, b: PoissonParams([a, b], weights), edges, edges)
    n = len(run.problem.sample.data)
    surface = Drawing(
        "The hill",
        charts.surface("A", "B", "Lost per day", path=True),
        {
            "surface": landscape.surface(heights, edges, edges, n=n, top=heights.max()),
            "path": landscape.path(run, "rates", (0, 1)),
            "marks": landscape.marks({"EM ends": run.params.rates}),
        },
        "The log-likelihood over both rates",
    )
    slice_ = landscape.bound_slice(run, "rates", 0, (0.1, 30.0), objective, "rate A")
    sections.in_row([surface, slice_], key="po_hill")
    landscape.explain()


def draw_starts(c, run, settings, objective):
    starts.show_starts(c, run, many(settings, c.show("starts")), objective, guess=None)


def draw_convergence(c, run, settings, objective):
    sections.convergence(c, run, per="day", soft=not settings["hard"])


def draw_code(c, run, settings, objective):
    rates, days = [settings["rate_a"], settings["rate_b"]], settings["days"]
    entropy = [settings["data_seed"], DATA] + [settings["student"]] * (settings["student"] > 0)
    lines = [f"rng = np.random.default_rng({entropy})",
             f"data = simulate({rates}, [{days}, {days}], rng=rng).data"]
    text = take_away.script(run, title="Calls", data=lines, simulator="simulate")
    take_away.code(c, run, text, pd.DataFrame({"calls": run.problem.sample.data}))


def draw_teacher(c, run, settings, objective):
    teacher.teacher(
        c, run, objective, observation="day",
        for_student=lambda number: compute({**settings, "student": number}).run,
    )


SECTIONS = {
    "by_hand": draw_by_hand,
    "surface": draw_hill,
    "many": draw_starts,
    "speed": draw_convergence,
    "code": draw_code,
    "teacher": draw_teacher,
}


def pick():
    calls = charts.picked("po_picture", "label")
    if calls is not None:
        c.set("observation", int(np.flatnonzero(run.problem.sample.data == int(calls))[0]) + 1)


view = controls.view("Day", SECTIONS)
c = Controls("po", SPECS, SITUATIONS, truth=("rate_a", "rate_b"), view=view)
with st.sidebar:
    situation = c.situation()
    c.show_all(*SPECS)
    settings = c.settings()
    c.footer()
st.title("Calls")
calls = compute(settings)
run = calls.run
objective = Objective("Log-likelihood")
quantities = {"rates": Quantity("Rate", "λ", ".2f"), "weights": Quantity("Weight", "π", ".3f")}
sections.question(situation)
found = {"The shops are swapped.": run.order[0] == 1}
sections.explore(
    c, run, quantities, objective,
    Drawing(
        "Days by number of calls",
        charts.shares("Calls", "Days", "Shop", truth=not c.sealed),
        {"bars": calls.bars, "expected": calls.expected} | ({} if c.sealed else calls.references),
        "Days by number of calls, divided by responsibility",
    ),
    caption="Bars: days.",
    on_pick=pick,
    distance="rate",
)
with sections.afterwards(c, "advice"):
    sections.advice(found, situation)
sections.answer(situation, found)
with sections.afterwards(c, "end", instead=sections.UNTIL_THEN):
    sections.iteration_table(c, run, quantities)
    if not c.sealed:
        sections.references(run, quantities)
teacher.quiz(c, run, "Rate", scale=1.0)
sections.optional(c, run, settings, objective, SECTIONS)
sections.misconceptions(("A count is a rate.", "A rate is what counts come to on average."))
'''

APP = """
import streamlit as st

st.navigation([st.Page("pages/poisson.py", title="Calls")]).run()
"""


class ToyPage(Page):
    name, prefix = "poisson", "po"

    def __init__(self, app, query):
        self.at = visitor(app)
        self.at.query_params.update(query)
        self.run()


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The files of a fourth example, and a function that opens its page."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "pages").mkdir()
    for name, text in (("poisson_mixture.py", MODEL), ("pages/poisson.py", PAGE), ("app.py", APP)):
        (folder / name).write_text(text.lstrip("\n"))
    sys.path.append(str(folder))
    try:
        yield (
            importlib.import_module("poisson_mixture"),
            lambda **query: ToyPage(folder / "app.py", query),
        )
    finally:
        sys.path.remove(str(folder))
        del sys.modules["poisson_mixture"]


@pytest.fixture(scope="module")
def page(toy):
    """The page with all sections open. To be read only."""
    _, visit = toy
    page = visit(po_starts="6", po_iter="2", po_observation="7")
    page.open(*page.sections())
    return page


@pytest.fixture(scope="module")
def run(toy):
    poisson, _ = toy
    sample = poisson.simulate([4.0, 12.0], [150, 150], rng=stream(1, DATA))
    model = poisson.PoissonMixture()

    def start(number):
        return poisson.guess_from_points(sample.data, 2, rng=stream(1, GUESS, number))

    def fitted(number):
        trace = fit(model, sample.data, start(number), tol=1e-6, max_iter=60)
        return trace.relabel(np.argsort(trace.final.params.rates))

    return sample, model, fitted


def test_page_shows_the_run(page, run):
    sample, _, fitted = run
    trace = fitted(1)
    np.testing.assert_array_equal(page.table["log-likelihood"], trace.objectives)
    rates = [step.params.rates for step in trace.steps]
    np.testing.assert_array_equal(page.table[["rates A", "rates B"]], rates)
    assert page.status.startswith(f"**Converged** after {trace.n_iter} iterations.")
    assert len(page.player["rows"]) == trace.n_iter + 1
    assert page.player["columns"] == ["λ A", "λ B", "π A", "π B", "Log-likelihood"]
    bars = page.charts[0].data["bars"]
    counts = bars[bars["component"] == "A"]["height"]
    np.testing.assert_array_equal(counts, np.bincount(sample.data))
    assert (page.question, page.answer) == ("Which shop was called?", "The busy one more often.")
    assert page.sections() == ["by_hand", "surface", "many", "speed", "code", "teacher"]


def test_shared_sections_are_right_as_they_stand(page, run):
    sample, model, fitted = run
    trace = fitted(1)

    shares = model.e_step(sample.data, trace.steps[2].params).responsibilities[6]
    assert page.section("by_hand").formulas == [
        f"r_{shop} &= {share:.3f}" for shop, share in zip("AB", shares, strict=True)
    ]
    assert "iteration 2" in page.section("by_hand").text

    surface = page.section("surface").chart("over both rates").data
    np.testing.assert_array_equal(
        surface["path"][["x", "y"]], [step.params.rates for step in trace.steps]
    )
    ends = page.section("surface").chart("lower bound").data["ends"]
    touching = ends[ends["point"] == "where they touch"]
    np.testing.assert_allclose(touching["y"], trace.objectives, rtol=1e-12)
    tops = ends[ends["point"] == "top of the bound"]["x"].to_numpy()[:-1]
    np.testing.assert_allclose(tops, [step.params.rates[0] for step in trace.steps[1:]])

    table = page.section("many").frame("where it began and ended")
    traces = [fitted(number) for number in range(1, 7)]
    assert list(table["log-likelihood"]) == [t.final.objective for t in traces]
    # Two of them stopped apart, on the way to the same place.
    assert set(same_solutions(traces)) == {0, 1}
    assert set(table["solution"]) == {1}

    assert "gains no more than 1e-6 per day" in page.section("speed").text
    assert "linear rate" in page.section("speed").text

    known = fit_labelled(model, sample.data, sample.labels, sample.truth)
    assert f"rates A {known.rates[0]:.4f}" in page.section("teacher").text
    references = page.frame("the truth, with labels known").set_index("parameter")
    assert references.loc["rates B", "labels known"] == pytest.approx(known.rates[1])
    assert len(page.section("teacher").frame("each of 5 students")) == 5


def test_script_prints_the_table(page):
    source, script = (element.value for element in page.section("code").block.code)
    assert "def m_step(self, statistics, previous):" in source
    assert len(script.splitlines()) < 40
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(script, {"__name__": "__main__"})
    theirs = pd.read_csv(io.StringIO(printed.getvalue()))
    pd.testing.assert_frame_equal(theirs, page.table, check_exact=True)


def test_clicks_links_and_the_quiz_work_too(toy, page):
    _, visit = toy
    copy = visit(**page.link)
    assert copy.link == page.link
    copy.select("start_rows", {"rows": [3], "columns": [], "cells": []})
    assert copy.value("start") == 4
    copy.select("picture", {"pick": [{"label": "9"}]})
    assert copy.value("observation") > 1

    student = visit(**page.student_link)
    assert not {"rate_a", "rate_b", "situation"} & set(student.shown())
    assert not {"truth", "labelled"} & {data for c in student.charts for data in c.data}
    for name, rate in (("A", 12.0), ("B", 4.0)):
        student.widget(f"guess_rates {name}").set_value(rate)
    student.at.form_submit_button[0].click()
    student.run()
    assert any("**100 of 100.**" in success.value for success in student.at.success)


@pytest.mark.parametrize(
    "query", [{"po_hard": "true"}, {"po_days": "1"}, {"po_rate_a": "50", "po_max_iter": "1"}]
)
def test_other_settings_run(toy, query):
    _, visit = toy
    page = visit(**query, po_starts="2")
    page.open(*page.sections())
    assert page.charts


def test_data_really_are_poisson(run):
    sample, model, fitted = run
    joint = np.exp(model.log_joint(sample.data, sample.truth))
    naive = sample.truth.weights * stats.poisson.pmf(sample.data[:, None], [4.0, 12.0])
    np.testing.assert_allclose(joint, naive, rtol=1e-10)
    np.testing.assert_allclose(fitted(1).final.params.rates, [4, 12], atol=1)
