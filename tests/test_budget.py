"""Computations take turns, and nobody waits for ever."""

import threading

import pytest
from conftest import BY_NAME, RUNNING, finishes, run_at

from em_ui.run import Problem, budget, progress
from em_ui.run.budget import turn
from em_ui.sections import hard_against_soft
from pages.k_means import sections as k_means
from pages.mixture_in_the_plane import sections as plane

QUICK, SLOW = 1.0, 1e12
LARGEST = {"k": 8, "max_iter": 500, **{f"size{i}": 12_500 for i in range(1, 9)}}


def work_of(name, **settings):
    lesson = BY_NAME[name].module("problem")
    defaults = {control: spec.default for control, spec in lesson.SPECS.items()}
    problem = lesson.problem(defaults | settings)
    return problem.cost * problem.max_iter


def take(work=QUICK):
    with turn(work):
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

    def test_a_slow_one_does_not_wait_for_a_quick_one(self):
        with turn(QUICK):
            assert finishes(lambda: take(SLOW))

    def test_is_given_back_after_an_error(self):
        with pytest.raises(ZeroDivisionError), turn(QUICK):
            raise ZeroDivisionError
        assert finishes(take)
        take()  # and this thread may take another

    @pytest.mark.parametrize("outer", [QUICK, SLOW])
    @pytest.mark.parametrize("inner", [QUICK, SLOW])
    def test_inside_a_turn_is_an_error_and_not_a_wait_for_ever(self, outer, inner):
        said = []

        def nested():
            with turn(outer):
                try:
                    take(inner)
                except RuntimeError as error:
                    said.append(str(error))
                # The outer one is still held after that.
                said.append(finishes(lambda: take(outer), seconds=0.05))

        assert finishes(nested)
        assert said == ["a turn inside a turn; ask for what is cached before taking one", False]
        assert finishes(lambda: (take(QUICK), take(SLOW)))

    def test_that_is_left_by_the_error_frees_both_queues(self):
        with pytest.raises(RuntimeError, match="a turn inside a turn"), turn(SLOW), turn(QUICK):
            pass
        assert finishes(lambda: (take(QUICK), take(SLOW)))
        take()

    def test_of_one_thread_is_not_that_of_another(self):
        entered, leave = threading.Event(), threading.Event()

        def slow():
            with turn(SLOW):
                entered.set()
                leave.wait(20)

        thread = threading.Thread(target=slow)
        thread.start()
        try:
            assert entered.wait(20)
            take(QUICK)  # neither an error nor a wait
        finally:
            leave.set()
            thread.join()


class TestQueues:
    @pytest.mark.parametrize("name", RUNNING)
    def test_the_default_pages_are_quick(self, name):
        assert work_of(name) < budget._QUICK_WORK

    def test_the_largest_mixture_is_slow(self):
        assert work_of("gaussian_mixture", **LARGEST) > budget._QUICK_WORK


@pytest.mark.parametrize(
    ("name", "settings", "compute"),
    [
        ("mixture_in_the_plane", {"find": 3, "max_iter": 17}, plane.winners),
        ("mixture_in_the_plane", {"find": 3, "max_iter": 18}, hard_against_soft.rows),
        ("k_means", {"data_seed": 4321}, k_means.mislabelled),
    ],
)
def test_who_gets_each_of_all_observations_is_asked_once_and_in_turn(
    monkeypatch, name, settings, compute
):
    run = run_at(name, **settings)
    original, asked = Problem.responsibilities, []

    def responsibilities(problem, rows, params):
        with pytest.raises(RuntimeError, match="a turn inside a turn"):
            take()
        asked.append(len(rows))
        return original(problem, rows, params)

    monkeypatch.setattr(Problem, "responsibilities", responsibilities)
    compute(run)
    first = len(asked)
    assert first
    assert set(asked) == {run.problem.n}
    compute(run)
    assert len(asked) == first
    take()


class Stopped(BaseException):
    pass


def stop():
    raise Stopped


class TestBreathing:
    """Between the iterations of what takes long."""

    def another(self, queue, order):
        """Return a thread that waits in a queue already."""

        def other():
            with turn({budget._slow: SLOW, budget._quick: QUICK}[queue]):
                order.append("other")

        thread, before = threading.Thread(target=other), len(queue._line)
        thread.start()
        while len(queue._line) == before:
            thread.join(0.001)
        return thread

    def test_lets_who_waits_in_between(self, monkeypatch):
        monkeypatch.setattr(budget, "_SLICE", 0)
        order = []
        with turn(SLOW) as mine:
            thread = self.another(budget._slow, order)
            order.append("before")
            assert mine.breathe()
            order.append("after")
        thread.join()
        assert order == ["before", "other", "after"]

    def test_goes_on_where_it_has_hardly_begun(self, monkeypatch):
        monkeypatch.setattr(budget, "_SLICE", 1e9)
        monkeypatch.setattr(progress, "check", stop)
        order = []
        with turn(SLOW) as mine:
            thread = self.another(budget._slow, order)
            assert not mine.breathe()
            order.append("mine")
        thread.join()
        assert order == ["mine", "other"]

    def test_of_what_is_not_quick_after_all_is_among_the_slow(self, monkeypatch):
        monkeypatch.setattr(budget, "_SLICE", 0)
        monkeypatch.setattr(budget, "_QUICK_SECONDS", 1e9)
        with turn(QUICK) as mine:
            mine.breathe()
            assert not finishes(take, seconds=0.05)
            assert finishes(lambda: take(SLOW))
            monkeypatch.setattr(budget, "_QUICK_SECONDS", 0)
            mine.breathe()
            assert finishes(take)
            assert not finishes(lambda: take(SLOW), seconds=0.05)
        assert finishes(lambda: (take(QUICK), take(SLOW)))

    def test_stops_once_the_visitor_does_something_else(self, monkeypatch):
        monkeypatch.setattr(budget, "_SLICE", 0)
        monkeypatch.setattr(progress, "check", stop)
        with pytest.raises(Stopped), turn(SLOW) as mine:
            mine.breathe()
        assert finishes(lambda: (take(QUICK), take(SLOW)))
        take()

    def test_stops_in_the_line_too(self, monkeypatch):
        monkeypatch.setattr(budget, "_SLICE", 0)
        monkeypatch.setattr(budget, "_QUICK_SECONDS", 0)
        checks = iter([None, stop])
        monkeypatch.setattr(progress, "check", lambda: (next(checks) or (lambda: None))())
        with turn(SLOW):

            def quick_at_first():
                with pytest.raises(Stopped), turn(QUICK) as mine:
                    mine.breathe()

            assert finishes(quick_at_first)
        monkeypatch.undo()
        assert finishes(lambda: (take(QUICK), take(SLOW)))


class TestOrder:
    def test_who_takes_many_turns_lets_others_in_between(self):
        order, others, line = [], [], budget._slow._line

        def other(name):
            with turn(SLOW):
                order.append(name)

        for i in range(3):
            with turn(SLOW):
                order.append(f"mine {i}")
                others.append(threading.Thread(target=other, args=(f"other {i}",)))
                others[-1].start()
                while len(line) < 2:
                    others[-1].join(0.001)
        for thread in others:
            thread.join()
        assert order == ["mine 0", "other 0", "mine 1", "other 1", "mine 2", "other 2"]

    def test_who_does_something_else_leaves_the_line(self, monkeypatch):
        gone = []

        def waits():
            try:
                take(SLOW)
            except Stopped:
                gone.append(1)

        with turn(SLOW):
            monkeypatch.setattr(progress, "check", stop)
            assert finishes(waits)
        assert gone == [1]
        monkeypatch.undo()
        assert finishes(lambda: take(SLOW))
