"""Computations take turns, and nobody waits for ever."""

import importlib
import threading

import pytest

from em_ui import compute
from em_ui.compute import turn

QUICK, SLOW = 1.0, 1e12


def finishes(function, seconds=20):
    """Run in a thread of its own, and return whether it ends in time."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


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

    def test_the_default_pages_are_quick_and_the_largest_slow(self):
        for name in ("two_coins", "k_means", "gaussian_mixture"):
            example = importlib.import_module(f"examples.{name}")
            settings = {n: spec.default for n, spec in example.SPECS.items()}
            problem = example.problem(settings)
            assert problem.work * problem.max_iter < compute._QUICK_WORK
        settings |= {"max_iter": 500, **{f"size{i}": 12_500 for i in range(1, 9)}, "k": 8}
        problem = example.problem(settings)
        assert problem.work * problem.max_iter > compute._QUICK_WORK


def test_who_compares_and_who_looks_do_not_wait_for_each_other(monkeypatch):
    """One visitor compares soft with hard, while another opens the page with hard assignment.

    Each needs what the other computes. Neither may hold a turn while it waits for that.
    """
    example = importlib.import_module("examples.two_coins")
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
