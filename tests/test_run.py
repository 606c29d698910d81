"""The run of a problem, its limit, and many starts: computed once, and within the budget."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import gene_counting
import numpy as np
import pytest
from conftest import BY_NAME, RUNNING, ScriptPage, finishes
from gene_counting import GeneCounting, GeneParams
from streamlit.testing.v1 import AppTest

from em_core import Sample, fit
from em_ui.run import GUESS, Problem, budget, fitted, stream
from em_ui.run.many_starts import run_starts
from em_ui.run.run import run_em
from em_ui.sections import hard_against_soft


def defaults(name):
    return {n: spec.default for n, spec in BY_NAME[name].module("problem").SPECS.items()}


def problem_of(name, **settings):
    return BY_NAME[name].module("problem").problem(defaults(name) | settings)


def run_of(problem):
    return run_em(lambda settings: problem, {})


@dataclass(frozen=True)
class Plain:
    """A model without labels: what a mixture has beyond the four methods of one is not here."""

    mixture: Any

    def check(self, data, params):
        self.mixture.check(data, params)

    def expect(self, data, params):
        return self.mixture.expect(data, params)

    def m_step(self, statistics, previous):
        return self.mixture.m_step(statistics, previous)

    def expected_objective(self, statistics, params, previous):
        return self.mixture.expected_objective(statistics, params, previous)


class TestWithoutTruth:
    """Data of which nobody knows labels and truth."""

    @pytest.fixture(params=[*RUNNING, "no mixture"])
    def problems(self, request):
        """The problem as its lesson poses it, and the same without labels and truth."""
        plain = request.param == "no mixture"
        posed = problem_of("toy_lesson" if plain else request.param)
        model = Plain(posed.model) if plain else posed.model
        bare = Sample(posed.sample.data)
        return posed, replace(posed, model=model, sample=bare, truth=None, truth_known=False)

    def test_run_has_nothing_to_compare_with(self, problems):
        posed, bare = problems
        run, with_truth = run_of(bare), run_of(posed)
        assert run.labelled is run.from_truth is run.gap is run.matching is None
        assert run.frames.truth is run.frames.labelled is None
        assert run.missed == 0
        # It is the same run otherwise.
        assert run.trace.status is with_truth.trace.status
        for mine, theirs in zip(run.trace.steps, with_truth.trace.steps, strict=True):
            assert mine.params == theirs.params
            assert mine.objective == theirs.objective
        assert run.frames.table.column_names == with_truth.frames.table.column_names
        limits = (each.limit.final.objective for each in (run, with_truth))
        np.testing.assert_allclose(*limits, rtol=1e-12)

    def test_many_starts_are_not_put_in_an_order(self, problems):
        theirs, ours = (run_starts(each, 4).table for each in problems)
        bare = problems[1]
        assert list(ours) == list(theirs)
        np.testing.assert_array_equal(ours["iterations"], theirs["iterations"])
        for number, row in ours.iterrows():
            start = bare.guess(stream(bare.guess_seed, GUESS, number + 1))
            shown = row[[name for name in ours if name.startswith("start ")]]
            assert shown.tolist() == [column.of(start) for column in bare.columns(start)]
            assert not any(field in name for field in bare.fixed for name in ours)


def ask_for_genes():
    """Ask a student for genes that are hidden."""
    from types import SimpleNamespace

    import gene_counting

    from em_ui.run import fitted
    from em_ui.sections.teacher import quiz

    settings = {name: spec.default for name, spec in gene_counting.SPECS.items()}
    run = fitted(gene_counting.problem_with_truth, settings)
    quiz(SimpleNamespace(sealed={"p": 0.2}, key=str, asked=(), specs={}), run)


class TestPlainNumbers:
    """A model that is no mixture, whose parameters are plain numbers: there are no components."""

    @pytest.fixture(scope="class")
    @classmethod
    def show(cls, tmp_path_factory):
        """Return a function that gives the page of a problem, with all sections open."""

        def open_all(problem):
            script = tmp_path_factory.mktemp("genes") / "page.py"
            script.write_text(
                f"import gene_counting\n\ngene_counting.draw(gene_counting.{problem})"
            )
            page = ScriptPage(script, gene_counting.WORDS.prefix, gene_counting.SECTIONS)
            assert set(page.sections()) == set(gene_counting.SECTIONS)
            page.open(*gene_counting.SECTIONS)
            return page

        return open_all

    @pytest.fixture(scope="class")
    @classmethod
    def page(cls, show):
        return show("problem")

    @pytest.fixture(scope="class")
    @classmethod
    def trace(cls):
        data = np.repeat(np.arange(4), gene_counting.PERSONS)
        return fit(GeneCounting(), data, GeneParams(0.3, 0.2, 0.5), tol=1e-8)

    def test_numbers(self, page, trace):
        # By hand: 2 (42.9231) + 143.0769 + 13 genes of 1042 are A, and so on.
        published = [[0.2321719, 0.0550224, 0.7128057], [0.2159781, 0.0502996, 0.7337223]]
        genes = page.table[list("pqr")].to_numpy()
        np.testing.assert_allclose(genes[1:3], published, atol=5e-8)
        np.testing.assert_allclose(genes[-1], [0.21359094, 0.05014533, 0.73626373], atol=1e-5)
        np.testing.assert_array_equal(genes, [step.params.vector() for step in trace.steps])
        assert list(page.table) == ["iteration", *"pqr", "log-likelihood", "gain"]
        assert page.player["columns"] == [*"pqr", "Log-likelihood"]
        texts = [f"{x:.4f}" for x in trace.final.params.vector()]
        assert page.player["rows"][-1] == [*texts, f"{trace.final.objective:,.4f}"]
        end = f"after {trace.n_iter} iterations. Log-likelihood {trace.final.objective:,.4f}."
        assert page.status == f"**Converged** {end}"

    def test_charts_are_of_its_numbers(self, page, trace):
        charts = {chart.title: chart for chart in page.charts[:5]}
        assert list(charts) == [
            "Persons by blood group",
            "Log-likelihood",
            "Share of the first gene p",
            "Share of the second gene q",
            "Share of the third gene r",
        ]
        for title in list(charts)[2:]:
            chart, symbol = charts[title], title[-1]
            assert chart.alt == f"{title[:-2]} at each iteration played so far"
            assert list(chart.data) == ["steps"]
            steps = chart.data["steps"]
            assert list(steps["iteration"]) == list(range(trace.n_iter + 1))
            assert list(steps[symbol]) == [getattr(s.params, symbol) for s in trace.steps]
            assert set(steps["component"]) == {""}

    def test_nothing_is_compared_with_a_truth_or_labels(self, page):
        assert not {"truth", "labelled"} & {data for chart in page.charts for data in chart.data}
        for table in page.at.dataframe:
            assert not {"truth", "labels known", "with the wrong component"} & set(table.value)
        words = "\n".join([page.text, *page.captions, *(chart.alt for chart in page.charts)])
        assert "Dashed" not in words
        assert "Dotted" not in words
        assert "labels" not in words
        assert "Nobody knows the truth behind these data." in page.section("teacher").text

    def test_sections_speak_of_its_numbers(self, page, trace):
        after = trace.steps[1].params.vector()
        assert page.section("by_hand").formulas == [
            rf"\text{{{symbol}}} &= {value:.4f}" for symbol, value in zip("pqr", after, strict=True)
        ]
        starts = page.section("many_starts").frame("where it began and ended")
        ends = starts[[f"end {symbol}" for symbol in "pqr"]]
        np.testing.assert_allclose(ends, [trace.final.params.vector()] * 20, atol=1e-5)
        assert set(starts["solution"]) == {1}
        text = page.section("convergence").text
        assert "the missing data take away, here about 12.0%" in text  # .11972
        assert "no components" in page.section("hill").text
        # Nobody knows a truth from which each student could have data.
        assert not page.section("teacher").block.dataframe

    def test_an_iteration_looks_at_every_row(self):
        problem = gene_counting.problem(
            {name: spec.default for name, spec in gene_counting.SPECS.items()}
        )
        assert problem.start.n_components == 0
        assert problem.work == sum(gene_counting.PERSONS)

    def test_a_truth_is_compared_with_all_the_same(self, show, trace):
        page = show("problem_with_truth")
        gap = abs(trace.final.params.p - gene_counting.TRUTH[0])
        assert page.status.endswith(
            f"Largest distance of a share of the first gene from the truth: {gap:.4g}."
        )
        for chart, symbol, truth in zip(page.charts[2:5], "pqr", gene_counting.TRUTH, strict=True):
            assert chart.data["truth"].to_dict("list") == {"component": [""], symbol: [truth]}
            assert "labelled" not in chart.data
            assert chart.alt.endswith(", beside the truth")

    def test_hidden_numbers_can_be_guessed(self):
        at = AppTest.from_function(ask_for_genes, default_timeout=60).run()
        assert not at.exception, at.exception[0].message
        assert not any("any order" in text.value for text in at.markdown)
        (guess,) = at.number_input
        assert guess.label == "Share of the first gene"
        guess.set_value(0.2)
        at.get("button")[0].click()
        at.run()
        assert not at.exception, at.exception[0].message
        (said,) = (success.value for success in at.success)
        assert said.startswith("**100 of 100.** On average you missed by 0, and at most by 0.")


class TestLimit:
    def test_waits_for_the_turn_of_its_own_run_only(self):
        slow, quick = (
            run_of(problem_of(name, max_iter=2, **more))
            for name, more in (("gaussian_mixture", {"size1": 12_500}), ("two_coins", {}))
        )
        with slow.asking:  # as while its limit is computed
            assert finishes(lambda: quick.limit)
            assert not finishes(lambda: slow.limit, seconds=0.1)
        assert slow.limit is slow.limit

    def test_is_computed_once_for_all_who_ask(self, monkeypatch):
        run = run_of(problem_of("two_coins"))
        fits, fit = [], Problem.fit
        monkeypatch.setattr(Problem, "fit", lambda *a, **k: fits.append(1) or fit(*a, **k))
        with ThreadPoolExecutor(4) as pool:
            limits = list(pool.map(lambda _: run.limit, range(4)))
        for_four = len(fits)
        again = run_of(problem_of("two_coins"))
        fits.clear()
        assert again.limit.final.params == limits[0].final.params
        assert for_four == len(fits)
        assert all(limit is limits[0] for limit in limits)


class TestStarts:
    def test_cost_what_is_spent_not_what_could_be(self, monkeypatch):
        # 100 iterations are allowed, but these runs end long before.
        problem = problem_of("two_coins")
        monkeypatch.setattr(budget, "STARTS", problem.cost * 50 * 40)
        starts = run_starts(problem, 50)
        assert len(starts.table) == 50
        assert starts.table["iterations"].mean() < 30

    def test_of_few_rows_count_what_an_iteration_takes_besides(self, monkeypatch):
        problem = problem_of("two_coins", true_a=0.55, true_b=0.45, tol="0", max_iter=500)
        assert problem.work < problem.cost
        monkeypatch.setattr(budget, "STARTS", problem.cost * 1200)
        table = run_starts(problem, 200).table
        assert 1 <= len(table) < 20
        assert (table["iterations"] + 1).sum() <= 1200

    def test_one_is_run_whatever_it_costs(self, monkeypatch):
        monkeypatch.setattr(budget, "STARTS", 1)
        assert len(run_starts(problem_of("k_means"), 20).table) == 1


def test_who_compares_and_who_looks_do_not_wait_for_each_other(monkeypatch):
    """One visitor compares soft with hard, while another opens the page with hard assignment.

    Each needs what the other computes. Neither may hold a turn while it waits for that.
    """
    make = BY_NAME["two_coins"].module("problem").problem
    soft = defaults("two_coins") | {"data_seed": 4_711}
    run = fitted(make, soft)
    both_started, fit = threading.Barrier(2, timeout=20), Problem.fit
    arrived = threading.local()

    def fit_when_both_have_come(self, *args, **kwargs):
        if not hasattr(arrived, "once"):
            arrived.once = both_started.wait()
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(Problem, "fit", fit_when_both_have_come)
    threads = [
        threading.Thread(target=function, daemon=True)
        for function in (
            lambda: hard_against_soft.rows(run),
            lambda: fitted(make, {**soft, "hard": True}),
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert not both_started.broken
