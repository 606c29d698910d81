"""Computations take turns, and nobody waits for ever."""

import importlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from em_ui.run.compute import turn

from em_ui.run import compute

QUICK, SLOW = 1.0, 1e12
LARGEST = {"k": 8, "max_iter": 500, **{f"size{i}": 12_500 for i in range(1, 9)}}


def finishes(function, seconds=20):
    """Run in a thread of its own, and return whether it ends in time."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


def problem_of(name, **settings):
    example = importlib.import_module(f"pages.{name}.sections")
    defaults = {control: spec.default for control, spec in example.SPECS.items()}
    return example.problem(defaults | settings)


def take():
    with turn(QUICK):
        pass


class TestTurn:
    @pytest.mark.parametrize("work", [QUICK, SLOW])
    def test_two_of_a_kind_wait_for_each_other(self, work):
        entered = threading.Event()

        def second():
            with turn(work):
                entered.set()

        with turn(work):
            thread = threading.Thread(target=second)
            thread.start()
            assert not entered.wait(0.05)
        assert entered.wait(20)
        thread.join()

    def test_a_quick_one_does_not_wait_for_a_slow_one(self):
        with turn(SLOW):
            assert finishes(take)

    def test_is_given_back_after_an_error(self):
        with pytest.raises(ZeroDivisionError), turn(QUICK):
            raise ZeroDivisionError
        assert finishes(take)

    @pytest.mark.parametrize("name", ["two_coins", "k_means", "gaussian_mixture"])
    def test_the_default_pages_are_quick(self, name):
        problem = problem_of(name)
        assert problem.cost * problem.max_iter < compute._QUICK_WORK

    def test_the_largest_mixture_is_slow(self):
        problem = problem_of("gaussian_mixture", **LARGEST)
        assert problem.cost * problem.max_iter > compute._QUICK_WORK


class TestLimit:
    def test_waits_for_the_turn_of_its_own_run_only(self):
        slow, quick = (
            compute.run_em(problem_of(name, max_iter=2, **more))
            for name, more in (("gaussian_mixture", {"size1": 12_500}), ("two_coins", {}))
        )
        with slow.asking:  # as while its limit is computed
            assert finishes(lambda: quick.limit)
            assert not finishes(lambda: slow.limit, seconds=0.1)
        assert slow.limit is slow.limit

    def test_is_computed_once_for_all_who_ask(self, monkeypatch):
        run = compute.run_em(problem_of("two_coins"))
        fitted = []
        fit = compute.fit
        monkeypatch.setattr(compute, "fit", lambda *a, **k: fitted.append(1) or fit(*a, **k))
        with ThreadPoolExecutor(4) as pool:
            limits = list(pool.map(lambda _: run.limit, range(4)))
        assert len(fitted) == 1
        assert all(limit is limits[0] for limit in limits)


class TestStarts:
    def test_cost_what_is_spent_not_what_could_be(self, monkeypatch):
        # 100 iterations are allowed, but these runs end long before.
        problem = problem_of("two_coins")
        monkeypatch.setattr(compute, "_STARTS_WORK", problem.cost * 50 * 40)
        starts = compute.run_starts(problem, 50)
        assert len(starts.table) == 50
        assert starts.table["iterations"].mean() < 30

    def test_of_few_rows_count_what_an_iteration_takes_besides(self, monkeypatch):
        problem = problem_of("two_coins", true_a=0.55, true_b=0.45, tol="0", max_iter=500)
        assert problem.work < problem.cost
        monkeypatch.setattr(compute, "_STARTS_WORK", problem.cost * 1200)
        table = compute.run_starts(problem, 200).table
        assert 1 <= len(table) < 20
        assert (table["iterations"] + 1).sum() <= 1200

    def test_one_is_run_whatever_it_costs(self, monkeypatch):
        monkeypatch.setattr(compute, "_STARTS_WORK", 1)
        assert len(compute.run_starts(problem_of("k_means"), 20).table) == 1


def test_who_compares_and_who_looks_do_not_wait_for_each_other(monkeypatch):
    """One visitor compares soft with hard, while another opens the page with hard assignment.

    Each needs what the other computes. Neither may hold a turn while it waits for that.
    """
    example = importlib.import_module("pages.two_coins.sections")
    soft = {n: spec.default for n, spec in example.SPECS.items()} | {"data_seed": 4_711}
    both_started, fit = threading.Barrier(2, timeout=20), compute.Problem.fit
    arrived = threading.local()

    def fit_when_both_have_come(self, *args, **kwargs):
        if not hasattr(arrived, "once"):
            arrived.once = both_started.wait()
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(compute.Problem, "fit", fit_when_both_have_come)
    threads = [
        threading.Thread(target=function, daemon=True)
        for function in (
            lambda: example.versus(soft),
            lambda: example.compute({**soft, "hard": True}),
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
