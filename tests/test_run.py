"""The run of a problem, its limit, and many starts: computed once, and within the budget."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import gene_counting
import numpy as np
import pytest
from conftest import BY_NAME, RUNNING, ScriptPage, finishes
from gene_counting import GeneCounting, GeneParams
from streamlit.testing.v1 import AppTest

from em_core import (
    BinomialMixture,
    GaussianMixture,
    GaussianParams,
    Sample,
    Status,
    Step,
    Trace,
    fit,
    fit_labelled,
    fit_restarts,
)
from em_core.diagnostics import linear_rate
from em_ui.run import GUESS, Problem, Quantity, budget, fitted, progress, stream
from em_ui.run import problem as problem_module
from em_ui.run.limit import follow, leapt, own_steps
from em_ui.run.many_starts import run_starts
from em_ui.run.references import split
from em_ui.run.run import match, run_em
from em_ui.sections import convergence, findings, hard_against_soft


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


class TestLeaps:
    """A run that is slow is followed by leaps, and what is said of EM is EM's own."""

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls):
        return run_of(problem_of("gaussian_mixture", guess_seed=1, max_iter=100))

    def test_end_where_em_does_in_a_fraction_of_the_work(self, run):
        problem, limit = run.problem, run.limit
        assert leapt(limit)
        assert limit.converged
        slow = fit(problem.model, problem.data, run.params, tol=0, max_iter=20_000)
        assert slow.converged
        assert limit.final.objective == pytest.approx(slow.final.objective, rel=1e-12)
        np.testing.assert_allclose(
            limit.final.params.vector(), slow.final.params.vector(), rtol=1e-8
        )
        assert limit.n_iter < slow.n_iter / 3
        # What the rate is said to be is that of EM's own steps.
        said = convergence._speed(run, "")
        rate = linear_rate(slow)
        assert f"in the slowest direction, each step is {rate:.3f} times" in said
        assert "on the path" not in said

    def test_count_their_e_steps_and_stop_in_time(self, run, monkeypatch):
        taken, fit_as_it_is = [], Problem.fit_each

        def counting(*args, **kwargs):
            for trace in fit_as_it_is(*args, **kwargs):
                taken.append(trace.n_e_steps - 1)  # the first was taken before
                yield trace

        monkeypatch.setattr(Problem, "fit_each", counting)
        end = Trace((Step(0, run.params, run.trace.final.objective),), Status.MAX_ITER)
        for most in (30, 70, 150, 400):
            taken.clear()
            found = follow(run.problem, end, most=most)
            assert found.n_iter == sum(taken) <= most
            own = own_steps(found)
            assert len(own) > 8
            for before, after in pairwise(own):
                again = fit(run.problem.model, run.problem.data, before.params, tol=0, max_iter=1)
                assert again.final.params == after.params
                assert after.iteration == before.iteration + 1

    def test_winners_that_take_all_do_not_leap(self):
        run = run_of(problem_of("k_means", max_iter=1))
        assert run.limit.converged
        assert not leapt(run.limit)


class TestCouldGain:
    """Asked of a run that its tolerance stopped."""

    def test_says_whether_the_limit_is_that_much_higher(self):
        run = run_of(problem_of("two_coins", true_a=0.55, true_b=0.45, tol="1e-2"))
        data, end = run.problem.sample.data, run.params
        limit = fit(BinomialMixture(10), data, end, tol=0, max_iter=9_000).final.objective
        left = limit - run.trace.final.objective
        assert left > 0.1
        for enough, right in ((0.5 * left, True), (0.99 * left, True), (1.01 * left, False)):
            # Each of a run that nobody has followed yet.
            fresh = run_of(run.problem)
            assert fresh.could_gain(enough) is right

    def test_a_run_that_does_not_move_gains_nothing(self):
        run = run_of(problem_of("two_coins", tol="0"))
        assert run.trace.converged
        assert run.could_gain(1e-9) is False
        assert run.could_gain(0.0) is True

    def test_is_not_known_where_there_is_no_time_to_tell(self, monkeypatch):
        run = run_of(problem_of("two_coins", true_a=0.55, true_b=0.45, tol="1e-2"))
        left = run_of(run.problem).limit.final.objective - run.trace.final.objective
        monkeypatch.setattr(budget, "LIMIT", 0)  # which still is a few iterations
        assert run.could_gain(0.99 * left) is None
        assert run.could_gain(0.1 * left) is True

    def test_follows_a_run_no_further_than_it_must(self):
        run = run_of(problem_of("gaussian_mixture", guess_seed=1, max_iter=100))
        assert run.could_gain(200.0) is False
        assert run.found["limit"].n_iter <= run.trace.n_iter
        assert run.found["limit"].status is Status.MAX_ITER


class TestCostOfThePage:
    """What is computed of a run with all sections closed, after it has been played."""

    @pytest.fixture
    def spent(self, monkeypatch):
        """Return a function that plays a run, and gives its E-steps: the fits', and all others."""
        fit = Problem.fit
        counted = []

        def counting(*args, **kwargs):
            trace = fit(*args, **kwargs)
            counted.append(trace.n_iter + 1)
            return trace

        def play(name, **settings):
            run = run_of(problem_of(name, **settings))
            with monkeypatch.context() as patch:
                patch.setattr(Problem, "fit", counting)
                counted.clear()
                told = [*findings.not_the_best(run), *findings.cannot_tell_apart(run)]
                asked = sum(counted)
                assert split.__wrapped__(run) is not None
            own = run.trace.n_iter + 1 + run.from_truth.n_iter + 1
            return told, own, asked, sum(counted)

        return play

    @pytest.mark.parametrize(
        ("name", "times"), [("k_means", 1), ("two_coins", 3), ("gaussian_mixture", 4)]
    )
    def test_is_some_times_that_of_the_run(self, spent, name, times):
        told, own, asked, all_of_it = spent(name)
        assert told == []
        assert asked == 0
        assert all_of_it <= times * own

    def test_a_poor_optimum_is_told_soon(self, spent):
        told, own, asked, all_of_it = spent("gaussian_mixture", guess_seed=1, max_iter=100)
        assert [text[:24] for text in told] == ["This is a poor optimum: "]
        assert asked <= 2.5 * own
        assert all_of_it <= 4 * own


class TestSplit:
    """The parts of the way from the truth to the estimate."""

    @pytest.mark.parametrize(
        ("name", "settings", "parts"),
        [
            ("k_means", {}, ["the sample", "hard assignment, missing labels"]),
            (
                "k_means",
                {"start": 5},
                ["the sample", "hard assignment, missing labels", "the start"],
            ),
            ("two_coins", {"tol": "0"}, ["the sample", "missing labels"]),
            ("two_coins", {"hard": True}, ["the sample", "hard assignment, missing labels"]),
            (
                "two_coins",
                {"share_a": 0.9, "trials": 10_000, "tol": "0"},
                ["the sample", "missing labels", "assumed mixing weights"],
            ),
            (
                "two_coins",
                {"share_a": 0.9, "trials": 10_000, "weights": True, "tol": "0"},
                ["the sample", "missing labels"],
            ),
            ("two_coins", {"tosses": 1}, ["the sample", "missing labels", "the start"]),
            ("two_coins", {"max_iter": 2}, ["the sample", "missing labels", "stopped early"]),
            (
                "two_coins",
                {"data": "Five published trials", "start_a": 0.6, "start_b": 0.5, "tol": "0"},
                ["missing labels"],
            ),
            ("two_coins", {"start_a": 0.0, "start_b": 1.0}, ["the sample", "the rest"]),
            ("gaussian_mixture", {}, ["the sample", "missing labels", "stopped early"]),
            (
                "gaussian_mixture",
                {"guess_seed": 1, "max_iter": 100},
                ["the sample", "missing labels", "the start", "stopped early"],
            ),
        ],
        ids=str,
    )
    def test_adds_up_and_has_no_part_that_does_not_apply(self, name, settings, parts):
        run = run_of(problem_of(name, **settings))
        found = split.__wrapped__(run)
        assert list(found.parts) == parts
        table = found.table.to_pandas()
        truth, known = run.problem.sample.truth, run.labelled
        origin = "truth" if run.problem.truth_known else "labels known"
        ends = [truth if run.problem.truth_known else known, run.params]
        by = run.problem.words.by
        matched = [p.relabel(np.argsort(match(p, truth, by))) for p in ends]
        columns = run.problem.columns(truth)
        start, estimate = ([column.of(p) for column in columns] for p in matched)
        np.testing.assert_allclose(table[origin], start, rtol=1e-12)
        np.testing.assert_allclose(table[run.problem.words.algorithm], estimate, rtol=1e-12)
        total = table[[origin, *parts]].sum(axis=1)
        np.testing.assert_allclose(total, estimate, rtol=0, atol=1e-11 * np.abs(total).max())
        # No part is nothing to all digits that are shown.
        assert (table[parts].abs().max() >= 5e-5).all()
        # Nor is there a zero with a sign.
        zeros = table[parts].to_numpy()[table[parts].to_numpy() == 0]
        assert not np.signbit(zeros).any()

    def test_labels_cost_what_the_best_optimum_says_wherever_the_run_ended(self):
        good, poor = (
            split.__wrapped__(run_of(problem_of("gaussian_mixture", **settings)))
            for settings in ({"max_iter": 500}, {"guess_seed": 1, "max_iter": 100})
        )
        labels = [found.table.to_pandas()["missing labels"] for found in (good, poor)]
        np.testing.assert_allclose(*labels, rtol=0, atol=5e-5)
        assert good.reached
        assert not poor.reached  # and the page says so

    def test_a_model_that_may_not_be_as_the_truth_is(self):
        run = run_of(problem_of("gaussian_mixture", floor=10.0))
        assert (run.labelled.stds == 10).all()
        labels = run.problem.sample.labels
        known = fit_labelled(
            GaussianMixture(10.0), run.problem.sample.data, labels, run.problem.truth
        )
        assert run.labelled == known


def small(data, start, **more):
    """Return the run of a Gaussian mixture of a few values, of which nobody knows the truth."""
    posed = problem_of("gaussian_mixture", **more)
    sample = Sample(np.array(data, dtype=float))
    made = replace(
        posed,
        model=GaussianMixture(0.05),
        sample=sample,
        start=start,
        truth=None,
        truth_known=False,
        tol=0.0,
    )
    return run_of(made)


class TestSpeedInWords:
    def test_a_saddle_is_no_top_however_fast_the_path_to_it(self):
        run = small([1, 2, 3], GaussianParams([1, 3], [1, 1], [0.5, 0.5]), max_iter=500)
        assert run.trace.converged
        assert run.eigenvalues[:3] == pytest.approx([1.19359, 0.16681, 0.06174], abs=1e-5)
        text = convergence._speed(run, "")
        assert "each step is 0.167 times as long as the one before" in text
        assert "The point is a saddle" in text
        assert "would be 1.194 times as long" in text
        assert "information" not in text

    def test_the_slowest_direction_need_not_be_on_the_path(self):
        start = GaussianParams([-2, 2], [1, 1], [0.5, 0.5])  # as symmetric as the data
        run = small([-3, -2, -1, 1, 2, 3], start, max_iter=500)
        text = convergence._speed(run, "")
        slowest = run.eigenvalues[0]
        assert slowest == pytest.approx(0.0973, abs=1e-4)
        assert "each step is 0.068 times as long" in text
        assert "The slowest direction is not on this path: there the rate is 0.097" in text
        assert "here about 9.7%" in text
        assert "saddle" not in text

    def test_the_path_of_most_runs_ends_along_it(self):
        run = run_of(problem_of("two_coins"))
        text = convergence._speed(run, "")
        assert f"here about {100 * run.eigenvalues[0]:.1f}%." in text
        assert "not on this path" not in text


class TestPoorOptimum:
    """What is advised where a run from the truth does better."""

    @staticmethod
    def told(name, hint="", **settings):
        return list(findings.not_the_best(run_of(problem_of(name, **settings)), hint=hint))

    def test_the_limit_is_not_to_be_raised_where_it_is_the_largest(self):
        slow = {"true_a": 0.55, "true_b": 0.45, "tol": "0", "start_a": 0.41, "start_b": 0.4}
        (early,) = self.told("two_coins", max_iter=1)
        assert early.endswith(
            "Raise the iteration limit; if that does not help, try another start."
        )
        run = run_of(problem_of("two_coins", max_iter=1, **slow))
        best = run.problem.fit(run.problem.truth, max_iter=500)
        late = replace(run, problem=replace(run.problem, max_iter=500), from_truth=best)
        (text,) = findings.not_the_best(late, hint=", or k-means++")
        assert "Raise" not in text
        assert text.endswith(
            "The iteration limit is the largest there is, so try another start, or k-means++."
        )

    def test_the_hint_stands_at_the_end(self):
        (text,) = self.told("k_means", ", or k-means++", start=5)
        assert text.endswith("Try other starts and keep the best, or k-means++.")
        (text,) = self.told("k_means", start=5)
        assert text.endswith("Try other starts and keep the best.")


@pytest.mark.parametrize(
    ("places", "value", "text"),
    [
        (".3f", 0.03251, "0.0325"),
        (".3f", 0.5, "0.5"),
        (".2f", 14.158, "14.158"),
        (".2f", 1234.5, "1,234.5"),
        (".4f", 1.086e-72, "0"),
        (",.4f", 2.0, "2"),
        (".0f", 10.0, "10"),
    ],
)
def test_a_distance_has_one_decimal_more_than_what_it_is_between(places, value, text):
    assert Quantity("Mean", "μ", places).distance(value) == text


class TestStarts:
    @pytest.mark.parametrize("name", RUNNING)
    def test_are_as_many_as_were_asked_for_whatever_they_cost(self, monkeypatch, name):
        problem = problem_of(name)
        whole = run_starts(problem, 7)
        monkeypatch.setattr(problem_module, "_AT_ONCE", 2)
        monkeypatch.setattr(budget, "ENDS", 0.0)
        starts = run_starts(problem, 7)
        assert list(starts.table["start"]) == [1, 2, 3, 4, 5, 6, 7]
        for column in starts.columns:
            np.testing.assert_allclose(
                starts.table[f"end {column.name}"], whole.table[f"end {column.name}"], rtol=1e-6
            )
        np.testing.assert_array_equal(starts.table["iterations"], whole.table["iterations"])

    @pytest.mark.parametrize(
        ("at_once", "texts"),
        [
            (1, ["Start 1 of 3", "Start 2 of 3", "Start 3 of 3"]),
            (2, ["Start 1 to 2 of 3", "Start 3 of 3"]),
        ],
    )
    def test_say_how_far_they_are(self, monkeypatch, at_once, texts):
        told = []

        class Notice:
            def show(self, text, part):
                told.append((text, part))

        monkeypatch.setattr(problem_module, "_AT_ONCE", at_once)
        monkeypatch.setattr(progress._here, "notice", Notice(), raising=False)
        run_starts(problem_of("gaussian_mixture"), 3)
        assert [text for text, _ in told[: len(texts)]] == texts
        assert told[-1][0] == "Where runs are going"
        parts = [part for _, part in told]
        assert parts[0] == 0
        assert all(0 <= part <= 0.5 for part in parts[: len(texts)])
        assert all(0.5 <= part <= 1 for part in parts[len(texts) :])


@pytest.mark.parametrize("work", [1e6, 3e6])
def test_runs_on_a_plateau_count_with_no_solution_that_nobody_reached(monkeypatch, work):
    monkeypatch.setattr(budget, "ENDS", work)
    alike = {"true_a": 0.52, "true_b": 0.5, "tosses": 60, "trials": 20_000}
    problem = problem_of("two_coins", **alike, weights=True, tol="0", max_iter=100)
    starts = run_starts(problem, 5)
    guesses = [problem.guess(stream(problem.guess_seed, GUESS, number)) for number in range(1, 6)]
    ends = fit_restarts(
        problem.model, problem.data, guesses, tol=0, max_iter=5_000, accelerate="squarem"
    )
    told = starts.table["limit log-likelihood"]
    for limit, solution, end in zip(told, starts.table["solution"], ends, strict=True):
        if not np.isnan(limit):
            error = starts.errors[solution - 1] + 1e-9 * problem.n
            assert limit == pytest.approx(end.final.objective, abs=error)
    assert starts.table["solution"].isna().any()


def test_a_single_run_says_how_far_it_is_and_lets_others_in_between(monkeypatch):
    told, breathed = [], []
    monkeypatch.setattr(progress, "tell", lambda text, part: told.append((text, part)))

    def breathe(turn):
        breathed.append(turn)
        return len(breathed) % 10 == 0

    monkeypatch.setattr(budget.Turn, "breathe", breathe)
    problem = problem_of("gaussian_mixture", max_iter=42, tol="0")
    trace = problem.fit(problem.start)
    assert trace.n_iter == 42
    assert len(breathed) == 42
    assert told == [(f"Iteration {i} of 42 at the most", i / 42) for i in (9, 19, 29, 39)]


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
