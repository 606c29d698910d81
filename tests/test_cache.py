"""What is computed is kept by its size, computed once, and never kept half done."""

import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import BY_NAME, run_at

from em_core import GaussianParams, KMeansParams
from em_ui.run import budget, cache, progress
from em_ui.run.cache import Store, cached, cached_quietly, key_of, n_bytes
from em_ui.run.run import run_em

LARGEST = {"k": 8, "max_iter": 20, **{f"size{i}": 12_500 for i in range(1, 9)}}


def array(kilobytes):
    return np.zeros(125 * kilobytes)


class Stopped(BaseException):
    """What Streamlit raises in a script whose visitor does something else."""


class TestStore:
    def test_what_was_not_asked_for_longest_goes_first(self):
        store, made = Store(350_000), []

        def get(name):
            store.get(name, lambda: made.append(name) or array(100))

        for name in ("a", "b", "c", "a", "d", "a", "c", "d", "b"):
            get(name)
        assert made == ["a", "b", "c", "d", "b"]

    def test_what_is_larger_than_all_room_is_kept_alone(self):
        store = Store(1_000)
        first = store.get("a", lambda: array(100))
        assert store.get("a", lambda: array(100)) is first
        store.get("b", lambda: array(100))
        assert store.get("a", lambda: array(100)) is not first

    def test_a_class_of_thirty_with_their_largest_runs_leaves_room_for_others(self):
        lesson = BY_NAME["gaussian_mixture"].module("problem")
        settings = {name: spec.default for name, spec in lesson.SPECS.items()} | LARGEST
        assert 31 * n_bytes(run_em(lesson.problem, settings)) < cache._MOST

    def test_nothing_is_a_result_too(self):
        store, made = Store(1_000), []
        for _ in range(2):
            assert store.get("a", lambda: made.append(1)) is None
        assert made == [1]


class TestTwoWhoAskForTheSame:
    def ask(self, store, compute):
        """Ask in a thread of its own; return it, and the list that gets its answer."""
        answers = []

        def get():
            try:
                answers.append(store.get("key", compute))
            except (Stopped, ValueError) as error:
                answers.append(error)

        thread = threading.Thread(target=get)
        thread.start()
        return thread, answers

    def test_get_what_was_computed_once(self):
        store, begun, go_on, calls = Store(1_000), threading.Event(), threading.Event(), []

        def compute():
            calls.append(1)
            begun.set()
            assert go_on.wait(20)
            return object()

        first, one = self.ask(store, compute)
        assert begun.wait(20)
        second, other = self.ask(store, compute)
        second.join(0.3)
        assert second.is_alive()
        go_on.set()
        first.join()
        second.join()
        assert one == other
        assert calls == [1]

    @pytest.mark.parametrize("error", [Stopped(), ValueError("no")])
    def test_if_the_first_is_stopped_the_other_computes_it(self, error):
        store, begun, go_on, calls = Store(1_000), threading.Event(), threading.Event(), []

        def compute():
            calls.append(1)
            if len(calls) == 1:
                begun.set()
                assert go_on.wait(20)
                raise error
            return "right"

        first, one = self.ask(store, compute)
        assert begun.wait(20)
        second, other = self.ask(store, compute)
        go_on.set()
        first.join()
        second.join()
        assert one == [error]
        assert other == ["right"]
        assert store.get("key", compute) == "right"
        assert calls == [1, 1]

    def test_who_waits_may_do_something_else(self, monkeypatch):
        store, begun, go_on = Store(1_000), threading.Event(), threading.Event()
        waiting, stopped = threading.Event(), threading.Event()

        def compute():
            begun.set()
            assert go_on.wait(20)
            return "right"

        first, one = self.ask(store, compute)
        assert begun.wait(20)

        def check():
            waiting.set()
            if stopped.is_set():
                raise Stopped

        monkeypatch.setattr(progress, "check", check)
        second, other = self.ask(store, compute)
        assert waiting.wait(20)
        assert not other
        stopped.set()
        second.join()
        assert isinstance(other[0], Stopped)
        go_on.set()
        first.join()
        assert one == ["right"]


class TestKeys:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (1, 1.0),
            (1, True),
            (0.0, -0.0),
            ("1", 1),
            ({"a": 1}, {"a": 2}),
            ([1, 2], [2, 1]),
            (np.zeros(2), np.zeros(3)),
            (np.zeros(2), np.zeros(2, int)),
            (KMeansParams([[0.0, 1e-9]]), KMeansParams([[0.0, 2e-9]])),
            (
                GaussianParams([1], [2], [1]),
                KMeansParams([[1, 2, 1]]),
            ),
            (run_em, Store.get),
        ],
    )
    def test_different_arguments_are_told_apart(self, one, other):
        assert key_of(one) != key_of(other)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: {"a": 1, "b": np.zeros(3)},
            lambda: GaussianParams([1, 2], [2, 3], [0.5, 0.5]),
            lambda: run_em,
            lambda: (None, True, "x", 2.5, [1]),
        ],
    )
    def test_equal_arguments_are_one(self, make):
        assert key_of(make()) == key_of(make())
        hash(key_of(make()))

    def test_settings_in_any_order(self):
        assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})

    def test_of_what_cannot_be_told_apart_nothing_is_kept(self):
        with pytest.raises(TypeError, match="no way is known to tell <object"):
            key_of(object())

    def test_by_name_or_by_place_is_the_same(self):
        calls = []

        @cached_quietly
        def compute(a, b=2, _c=3):
            return calls.append((a, b))

        compute(1)
        compute(1, 2, 4)
        compute(a=1, b=2, _c=5)
        assert calls == [(1, 2)]


class TestSize:
    def test_arrays_and_tables_count_with_their_numbers(self):
        assert n_bytes(array(10)) == pytest.approx(10_000, rel=0.05)
        assert n_bytes([array(10), {"a": array(20)}]) == pytest.approx(30_000, rel=0.05)
        assert n_bytes(pa.table({"x": array(10)})) == pytest.approx(10_000, rel=0.05)
        assert n_bytes(pd.DataFrame({"x": array(10)})) == pytest.approx(10_000, rel=0.05)

    def test_what_is_there_twice_counts_once(self):
        mine = array(10)
        assert n_bytes([mine, mine, mine[:5]]) == pytest.approx(10_000, rel=0.05)

    def test_a_long_sequence_counts_as_long(self):
        many = [array(10) for _ in range(100)]
        assert n_bytes(many) == pytest.approx(1_000_000, rel=0.05)
        assert n_bytes([[part] for part in many]) == pytest.approx(1_000_000, rel=0.05)
        assert n_bytes([many[0][i : i + 1] for i in range(1_000)]) < 150_000

    def test_a_part_of_an_array_keeps_all_of_it(self):
        assert n_bytes(array(10)[:1]) == pytest.approx(10_000, rel=0.05)


def test_a_stopped_computation_leaves_nothing_and_the_next_is_right(monkeypatch):
    asked = []

    @cached
    def long(n):
        total = 0
        for i in range(n):
            progress.tell(f"{i} of {n}", i / n)
            with budget.turn(1e12):
                total += i
        return total

    def check():
        asked.append(1)
        if len(asked) == 3:
            raise Stopped

    monkeypatch.setattr(progress, "check", check)
    with pytest.raises(Stopped):
        long(5)
    with budget.turn(1e12):  # nobody holds it
        pass
    assert long(5) == 10
    before = len(asked)
    assert long(5) == 10
    assert len(asked) == before


def test_runs_of_one_sample_share_it_and_what_is_prepared_of_it():
    one = run_at("gaussian_mixture", max_iter=3, data_seed=77)
    other = one.other_problem(start=2)
    assert other.sample.data is one.problem.sample.data
    assert other.data is one.problem.data
    hard = one.other_problem(hard=True)
    assert hard.sample.data is one.problem.sample.data
    assert hard.data is not one.problem.data
    np.testing.assert_array_equal(hard.sample.labels, one.problem.sample.labels)
    assert one.other_problem(data_seed=78).sample.data is not one.problem.sample.data
