"""A lesson is a folder, a model and a line: all that is shared works for it as it stands."""

import contextlib
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from conftest import BY_NAME, ROOT, Page, visitor
from scipy import stats
from toy_lesson.model import PoissonMixture, PoissonParams, guess_from_points

from em_core import HardEM, fit, fit_labelled
from em_core.diagnostics import linear_rate, same_solutions
from em_ui.pictures.charts import LOSS_BANDS
from em_ui.run import DATA, GUESS, stream
from pages import LESSONS

# The toy lesson as a reader has it who brings data of which nobody knows labels and truth.
UNLABELLED = '''
"""Calls at two shops, and nobody knows which."""

from dataclasses import replace

from em_core import Sample
from em_ui import sections
from em_ui.run import fitted
from toy_lesson.problem import SPECS, WORDS, problem
from toy_lesson.sections import SECTIONS, findings
from toy_lesson.situations import MISCONCEPTIONS, SITUATIONS


def unlabelled(settings):
    posed = problem(settings)
    return replace(posed, sample=Sample(posed.sample.data), truth=None, truth_known=False)


c = sections.controls_of(WORDS, SPECS, SITUATIONS, SECTIONS, truth=())
with c.sidebar():
    c.show_all(*SPECS)
run = fitted(unlabelled, c.settings())
most = int(run.problem.sample.data.max())
picture = sections.outcomes(c, run, most + 1, title="Days by number of calls", outcome="Calls")
sections.play(c, run, picture, caption="Bars: days.", findings=findings(run))
sections.results(c, run)
sections.more(c, run, MISCONCEPTIONS)
'''

# The same calls, as a model without labels has them: its lesson draws its own picture, and takes
# a step by hand in its own way.
PLAIN = '''
"""Calls, and a model that speaks of no shop that was called."""

from dataclasses import replace

import numpy as np
import streamlit as st

from em_core import Sample
from em_ui import sections
from em_ui.pictures import charts, frames
from em_ui.run import fitted
from test_run import Plain
from toy_lesson.problem import SPECS, WORDS, problem
from toy_lesson.sections import findings
from toy_lesson.situations import MISCONCEPTIONS, SITUATIONS


def plain(settings):
    posed = problem(settings)
    sample = Sample(posed.sample.data)
    return replace(
        posed, model=Plain(posed.model), sample=sample, truth=None, truth_known=False
    )


def draw_by_hand(c, run):
    at, i = sections.chosen(c, run)
    st.markdown(f"Day {i + 1} at {sections.moment(at)}.")


SECTIONS = sections.sections_of(hill={}, by_hand=draw_by_hand)
c = sections.controls_of(WORDS, SPECS, SITUATIONS, SECTIONS, truth=())
with c.sidebar():
    c.show_all(*SPECS)
run = fitted(plain, c.settings())
heights = np.bincount(run.problem.sample.data)
middles = np.arange(len(heights))
bars = {
    "low": middles - 0.45,
    "high": middles + 0.45,
    "label": [str(middle) for middle in middles],
    "height": heights,
    "component": ["A"] * len(heights),
    "share": frames.pack(np.ones((len(run.steps), len(heights)))),
}
picture = sections.Drawing(
    "Days by number of calls",
    charts.shares("Calls", "Days", "Shop", truth=False),
    {"bars": frames.arrow(bars)},
    "Days by number of calls, all in one colour",
)
sections.play(c, run, picture, caption="Bars: days.", findings=findings(run))
sections.results(c, run)
sections.more(c, run, MISCONCEPTIONS)
'''


@pytest.fixture(scope="module")
def page(visit):
    """The page with all sections open. To be read only."""
    page = visit("toy_lesson", po_starts="6", po_iter="2", po_observation="7")
    page.open(*page.sections())
    return page


@pytest.fixture(scope="module")
def run():
    model = PoissonMixture()
    truth = PoissonParams([4.0, 12.0], [0.5, 0.5])
    sample = model.simulate(truth, [150, 150], rng=stream(1, DATA))

    def fitted(number):
        start = guess_from_points(sample.data, 2, rng=stream(4, GUESS, number))
        trace = fit(model, sample.data, start, tol=1e-6, max_iter=60)
        return trace.relabel(np.argsort(trace.final.params.rates))

    return sample, model, fitted


class BarePage(Page):
    """The page of a script of its own."""

    name, prefix, lesson = "toy_lesson", "po", BY_NAME["toy_lesson"]

    def __init__(self, script):
        self.at = visitor(script)
        self.run()


class TestApp:
    def test_navigation_shows_it_below_the_others(self, monkeypatch):
        menus, original = [], st.navigation

        def navigation(menu):
            menus.append(menu)
            return original(menu)

        monkeypatch.setattr(st, "navigation", navigation)
        at = visitor(ROOT / "app.py").run()
        assert not at.exception
        menu = menus[-1]
        shown = [(head, p.title, p.icon, p.url_path) for head, pages in menu.items() for p in pages]
        assert shown == [
            ("Start", "Home", ":material/home:", ""),
            *((each.heading, each.title, each.icon, each.url_path) for each in LESSONS),
        ]
        assert shown[-1] == ("Tests", "Calls at two shops", ":material/call:", "toy-lesson")

    def test_start_page_has_a_card_of_it(self, plain):
        home = plain("home").at
        cards = [link.proto.label for link in home.get("page_link")]
        assert cards == [f"**{i}. {lesson.title}**" for i, lesson in enumerate(LESSONS, 1)]
        assert cards[-1].endswith(". Calls at two shops**")
        texts = [text.value for text in home.caption]
        assert all(lesson.card in texts for lesson in LESSONS)
        assert home.get("page_link")[-1].proto.page == "toy-lesson"


def shared_sources():
    """Yield the path and the text of what all lessons share, without the list of them."""
    for path in sorted((ROOT / "em_ui").rglob("*.*")):
        if path.suffix in {".py", ".js", ".html", ".css"}:
            yield path, path.read_text()
    for path in ("app.py", "pages/home/page.py"):
        yield ROOT / path, (ROOT / path).read_text()
    listing = ROOT / "pages" / "__init__.py"
    before, opening, rest = listing.read_text().partition("\nLESSONS = [\n")
    _, closing, after = rest.partition("\n]\n")
    assert opening
    assert closing
    yield listing, before + after


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_what_is_shared_names_no_lesson(lesson):
    searched = dict(shared_sources())
    assert len(searched) > 20
    for path, text in searched.items():
        for name in (lesson.name, lesson.url_path):
            assert not re.search(rf"\b{name}\b", text), f"{path} names {name}"


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
    assert page.question == "Which shop was called on a day of eight calls?"
    assert page.answer.startswith("Either may have been, so the day is shared between them")
    assert page.sections() == [
        "by_hand",
        "hard_against_soft",
        "hill",
        "many_starts",
        "convergence",
        "code",
        "teacher",
    ]


class TestSharedSections:
    """They are right as they stand."""

    def test_by_hand(self, page, run):
        sample, _, fitted = run
        steps, i = fitted(1).steps, 6
        hand = page.section("by_hand")
        assert "At **iteration 2**, where the player stands" in hand.text
        assert f"Day 7 is {sample.data[i]}. Its probability under each shop" in hand.text
        params = steps[2].params
        joint = params.weights * stats.poisson.pmf(sample.data[i], params.rates)
        for k, shop in enumerate("AB"):
            name, p = hand.formulas[k].split(" &= ")
            assert name == f"p_{{{shop}}}"
            assert float(p) == pytest.approx(joint[k], rel=1e-3)
            assert hand.formulas[2 + k] == (
                rf"r_{{{shop}}} &= \frac{{p_{{{shop}}}}}{{p_{{A}}+p_{{B}}}}"
                f" = {joint[k] / joint.sum():.3f}"
            )
        after = steps[3].params
        assert hand.formulas[4:] == [
            rf"\text{{{symbol} {shop}}} &= {value:.4f}"
            for symbol, values in (("λ", after.rates), ("π", after.weights))
            for shop, value in zip("AB", values, strict=True)
        ]

    def test_hill(self, page, run):
        sample, model, fitted = run
        trace = fitted(1)
        chart = page.section("hill").chart("over λ A and λ B")
        np.testing.assert_array_equal(
            chart.data["path"][["x", "y"]], [step.params.rates for step in trace.steps]
        )
        (mark,) = chart.data["marks"].itertuples(index=False)
        assert mark == ("EM ends", *trace.final.params.rates, trace.n_iter)
        # The weights are those of the player's iteration, and the rates go over the data's range.
        cells, weights = chart.data["hill"], trace.steps[2].params.weights
        side = int(np.sqrt(len(cells)))
        edges = np.linspace(sample.data.min(), sample.data.max(), side + 1)
        middles = (edges[:-1] + edges[1:]) / 2
        heights = np.array(
            [
                [
                    model.e_step(sample.data, PoissonParams([a, b], weights)).objective
                    for b in middles
                ]
                for a in middles
            ]
        )
        top = max(heights.max(), trace.steps[2].objective)
        bands = np.searchsorted(LOSS_BANDS, (top - heights) / len(sample.data), side="right")
        np.testing.assert_array_equal(cells["band"].to_numpy().reshape(side, side), bands)
        assert chart.title.endswith(", the rest as at iteration 2")

    def test_bound(self, page, run):
        _, _, fitted = run
        trace = fitted(1)
        ends = page.section("hill").chart("lower bound").data["ends"]
        touching = ends[ends["point"] == "where they touch"]
        np.testing.assert_allclose(touching["y"], trace.objectives, rtol=1e-12)
        tops = ends[ends["point"] == "top of the bound"]["x"].to_numpy()[:-1]
        np.testing.assert_allclose(tops, [step.params.rates[0] for step in trace.steps[1:]])

    def test_hard_against_soft(self, page, run):
        sample, model, fitted = run
        table = page.section("hard_against_soft").frame("Rate of each shop").set_index("method")
        start = guess_from_points(sample.data, 2, rng=stream(4, GUESS, 1))
        hard = fit(HardEM(model), sample.data, start, tol=1e-6, max_iter=60)
        for method, trace, which in (
            ("soft EM", fitted(1), model),
            ("hard EM", hard, HardEM(model)),
        ):
            final = trace.final.params.relabel(np.argsort(trace.final.params.rates))
            assert table.loc[method, ["λ A", "λ B"]].tolist() == final.rates.tolist()
            assert table.loc[method, "iterations"] == trace.n_iter
            winners = which.e_step(sample.data, final).responsibilities.argmax(axis=1)
            wrong = f"{100 * (winners != sample.labels).mean():.1f}%"
            assert table.loc[method, "with the wrong component"] == wrong
        known = fit_labelled(model, sample.data, sample.labels, sample.truth)
        assert table.loc["labels known", ["λ A", "λ B"]].tolist() == known.rates.tolist()

    def test_many_starts(self, page, run):
        _, _, fitted = run
        table = page.section("many_starts").frame("where it began and ended")
        traces = [fitted(number) for number in range(1, 7)]
        assert list(table["log-likelihood"]) == [t.final.objective for t in traces]
        # Two of them stopped apart, on the way to the same place.
        assert set(same_solutions(traces)) == {0, 1}
        assert set(table["solution"]) == {1}

    def test_convergence(self, page):
        assert "gains no more than 1e-6 per day" in page.section("convergence").text
        assert "linear rate" in page.section("convergence").text

    def test_teacher_and_references(self, page, run):
        sample, model, _ = run
        known = fit_labelled(model, sample.data, sample.labels, sample.truth)
        assert f"λ A {known.rates[0]:.2f}" in page.section("teacher").text
        references = page.frame("what is added by").set_index("parameter")
        assert list(references.index) == ["λ A", "λ B", "π A", "π B"]
        reached = references["truth"] + references["the sample"]
        np.testing.assert_allclose(reached, known.vector(), rtol=1e-12)
        assert len(page.section("teacher").frame("each of 5 students")) == 5

    def test_script_prints_the_table(self, page):
        source, script = (element.value for element in page.section("code").block.code)
        assert "def m_step(self, statistics: PoissonStatistics, previous: PoissonParams)" in source
        assert len(script.splitlines()) < 40
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(script, {"__name__": "__main__"})
        theirs = pd.read_csv(io.StringIO(printed.getvalue()))
        pd.testing.assert_frame_equal(theirs, page.table, check_exact=True)


def test_clicks_links_and_the_quiz_work_too(visit, page):
    copy = visit("toy_lesson", **page.link)
    assert copy.link == page.link
    copy.select("start_rows", {"rows": [3], "columns": [], "cells": []})
    assert copy.value("start") == 4
    copy.select("picture", {"pick": [{"label": "9"}]})
    assert copy.value("observation") > 1

    student = visit("toy_lesson", **page.student_link)
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
def test_other_settings_run(visit, query):
    page = visit("toy_lesson", **query, po_starts="2")
    page.open(*page.sections())
    assert page.charts


def test_data_really_are_poisson(run):
    sample, model, fitted = run
    joint = np.exp(model.log_joint(sample.data, sample.truth))
    naive = sample.truth.weights * stats.poisson.pmf(sample.data[:, None], [4.0, 12.0])
    np.testing.assert_allclose(joint, naive, rtol=1e-10)
    np.testing.assert_allclose(fitted(1).final.params.rates, [4, 12], atol=1)


class TestWithoutTruth:
    """Data of which nobody knows labels and truth."""

    @pytest.fixture(scope="class")
    @classmethod
    def bare(cls, tmp_path_factory):
        script = tmp_path_factory.mktemp("unlabelled") / "page.py"
        script.write_text(UNLABELLED.lstrip("\n"))
        page = BarePage(script)
        page.open(*page.sections())
        return page

    def test_numbers_are_those_of_the_run(self, bare, run):
        trace = run[2](1)
        np.testing.assert_array_equal(bare.table["log-likelihood"], trace.objectives)
        assert bare.status == (
            f"**Converged** after {trace.n_iter} iterations. "
            f"Log-likelihood {trace.final.objective:,.4f}."
        )
        assert not bare.advice

    def test_page_compares_with_nothing(self, bare):
        assert not {"truth", "labelled"} & {data for c in bare.charts for data in c.data}
        for chart in bare.charts:
            assert not re.search(r"\"name\": \"(truth|labelled)\"", json.dumps(chart.template))
        headers = [header.value for header in bare.at.header]
        assert headers == ["Iteration table"]
        for table in bare.at.dataframe:
            assert not {"truth", "labels known", "with the wrong component"} & set(table.value)
            assert "labels known" not in table.value.get("method", pd.Series(dtype=str)).tolist()
        # All sections are open, and what is said of a truth is that nobody knows it.
        words = "\n".join([bare.text, bare.status, *bare.captions, *(c.alt for c in bare.charts)])
        assert re.findall(r".*\b(?:truth|true|labels known)\b.*", words) == [
            "7. What is the truth? (3 min)",
            "    *Nobody knows the truth behind these data.*",
        ]

    def test_teacher_has_no_link_that_hides_nothing(self, bare):
        assert "A link for students" not in bare.section("teacher").text
        labels = [data["label"] for data in bare.components("copy_link")]
        assert labels == ["Copy link to these settings"]
        # Without a truth there is no data set for each student either.
        assert not bare.section("teacher").block.dataframe


class TestModelWithoutLabels:
    """A model that is no mixture: nothing asks it for responsibilities."""

    @pytest.fixture(scope="class")
    @classmethod
    def bare(cls, tmp_path_factory):
        script = tmp_path_factory.mktemp("plain") / "page.py"
        script.write_text(PLAIN.lstrip("\n"))
        page = BarePage(script)
        page.open("by_hand", "hill", "many_starts", "convergence", "code", "teacher")
        return page

    def test_all_sections_stand(self, bare, run):
        trace = run[2](1)
        np.testing.assert_array_equal(bare.table["log-likelihood"], trace.objectives)
        assert "Day 1 at the initial guess." in bare.section("by_hand").text
        assert len(bare.section("hill").charts) == 2
        assert len(bare.section("many_starts").frame("where it began and ended")) == 20
        assert "Where does EM end" in bare.section("teacher").text
        assert "shared between the components" not in bare.section("teacher").text

    def test_rate_is_of_missing_data_and_not_of_hard_assignment(self, bare, run):
        sample, model, fitted = run
        limit = fit(model, sample.data, fitted(1).final.params, tol=0, max_iter=3_000)
        text = bare.section("convergence").text
        rate = linear_rate(limit)
        assert f"each step is {rate:.3f} times as long as the one before" in text
        assert f"that the missing data take away, here about {100 * rate:.1f}%." in text
        assert "hard assignment" not in text

    def test_code_is_of_its_two_steps(self, bare):
        source, script = (element.value for element in bare.section("code").block.code)
        assert "def expect(self, data, params):" in source
        assert "def m_step(self, statistics, previous):" in source
        compile(source, "model.py", "exec")
        compile(script, "run.py", "exec")
