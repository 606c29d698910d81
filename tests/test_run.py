"""The run of a problem, its limit, and many starts: computed once, and within the budget."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from conftest import BY_NAME, RUNNING, finishes

from em_core import Sample
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
        assert run.labelled is run.from_truth is run.gap is run.references is None
        assert run.frames.truth is run.frames.labelled is None
        assert run.missed == 0
        assert run.order.tolist() == list(range(bare.start.n_components))
        # It is the same run otherwise, its components in the order of the guess.
        assert run.trace.status is with_truth.trace.status
        for mine, theirs in zip(run.trace.steps, with_truth.trace.steps, strict=True):
            assert mine.params.relabel(with_truth.order) == theirs.params
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
            assert shown.tolist() == start.vector().tolist()


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
        assert len(fits) == 1
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
            lambda: hard_against_soft._rows(run),
            lambda: fitted(make, {**soft, "hard": True}),
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert not both_started.broken
