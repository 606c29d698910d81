import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
from contract import assert_params_close, assert_traces_agree
from simulated import clusters

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    GaussianParams,
    KMeans,
    KMeansParams,
    Status,
    best,
    fit,
    fit_restarts,
    many,
)
from em_core.data.blocks import prepare
from em_core.engine import ENDS, GOES_ON, History, Standing, Step, ended
from em_core.models import gaussian_mixture, kmeans
from em_core.models.binomial_mixture import Outcomes

COINS = BinomialMixture(10)
HEADS = np.array([5, 9, 8, 4, 7])
PAIRS = np.array([[5, 10], [9, 10], [4, 5], [4, 10], [14, 20]])


def coins(*pairs):
    return [BinomialParams(pair, [0.3, 0.7]) for pair in pairs]


def starts_of_coins(seed=1, count=12):
    pairs = np.random.default_rng(seed).uniform(size=(count, 2))
    # Impossible ones, one without way out, and one whose second coin is never seen.
    return [
        *coins(*pairs, [0.0, 1.0], [0.66, 0.66], [1.0, 0.0]),
        BinomialParams([0.6, 0.5], [1.0, 0.0]),
    ]


def assert_go_as_fit(model, data, starts, **how):
    """Compare many runs with each alone; return their traces."""
    traces = fit_restarts(model, data, iter(starts), **how)
    assert len(traces) == len(starts)
    for trace, start in zip(traces, starts, strict=True):
        assert trace.steps[0].params == start
        assert_traces_agree(trace, fit(model, data, start, **how))
    return traces


@pytest.fixture
def never_singly(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("one after another")

    monkeypatch.setattr(many, "fit", refuse)


class Backwards(BinomialMixture):
    """With an M-step that goes too far."""

    def m_step(self, statistics, previous):
        return BinomialParams(**self.m_step_many(statistics, previous.arrays()))

    def m_step_many(self, statistics, previous):
        good = super().m_step_many(statistics, previous)
        return {**good, "heads_prob": (good["heads_prob"] + 0.5) / 2}


def ends_by(traces):
    return {trace.status for trace in traces}


@pytest.mark.usefixtures("never_singly")
class TestRunsGoAsFitTakesThem:
    @pytest.mark.parametrize("estimate_weights", [False, True])
    @pytest.mark.parametrize(
        "how",
        [
            {},
            {"tol": 1e-3},
            {"tol": 0, "max_iter": 60},
            {"max_iter": 0},
            {"max_iter": 3},
            {"counts": [1, 0, 2.5, 1, 7]},
        ],
    )
    @pytest.mark.parametrize("own", [False, True])
    def test_coins(self, own, how, estimate_weights):
        model = BinomialMixture(None if own else 10, estimate_weights)
        traces = assert_go_as_fit(model, PAIRS if own else HEADS, starts_of_coins(), **how)
        assert Status.NON_FINITE in ends_by(traces)
        assert len(ends_by(traces)) > 1

    def test_coins_with_few_outcomes_to_the_last_bit(self):
        rng = np.random.default_rng(10)
        data, starts = rng.binomial(10, rng.choice([0.6, 0.2], 500)), starts_of_coins()
        traces = fit_restarts(COINS, data, starts, max_iter=20)
        assert traces == tuple(fit(COINS, data, start, max_iter=20) for start in starts)

    def test_many_tosses(self):
        rng = np.random.default_rng(2)
        data = rng.binomial(100_000, rng.choice([0.3, 0.31], 40))
        starts = [BinomialParams(p, [0.5, 0.5]) for p in rng.uniform(0.29, 0.32, (8, 2))]
        for model in (BinomialMixture(100_000, True), BinomialMixture(10**6)):
            assert_go_as_fit(model, data, [*starts, *coins([0.0, 1.0])], tol=1e-9)

    def test_more_outcomes_than_are_taken_at_once(self):
        rng = np.random.default_rng(3)
        tosses = rng.integers(1, 2_000, 20_000)
        data = np.column_stack([rng.binomial(tosses, rng.choice([0.2, 0.5], 20_000)), tosses])
        starts = coins(*rng.uniform(size=(5, 2)))
        assert_go_as_fit(BinomialMixture(estimate_weights=True), data, starts, tol=0, max_iter=5)

    @pytest.mark.parametrize("tol", [0, 1e-3])
    def test_points(self, tol):
        rng = np.random.default_rng(4)
        data = clusters([60, 60, 60], spread=3, rng=rng).data
        starts = [kmeans.guess_uniform(data, 4, rng=rng) for _ in range(30)]
        starts.append(KMeansParams([[0, 0], [0, 0], [4, 0], [1e9, 1e9]]))
        traces = assert_go_as_fit(KMeans(), data, starts, tol=tol)
        assert len({trace.n_iter for trace in traces}) > 3
        assert any(trace.notes for trace in traces)

    def test_some_collapse(self):
        data = np.random.default_rng(5).normal(0, 1, 25)
        rng = np.random.default_rng(6)
        starts = [gaussian_mixture.guess_from_points(data, 4, rng=rng) for _ in range(20)]
        traces = assert_go_as_fit(GaussianMixture(), data, starts, max_iter=400)
        assert ends_by(traces) >= {Status.NON_FINITE, Status.CONVERGED}
        collapsed = next(t for t in traces if t.status is Status.NON_FINITE)
        assert "collapsed onto a single value" in collapsed.message

    def test_a_fault_of_the_model_is_seen(self):
        traces = assert_go_as_fit(Backwards(10), HEADS, starts_of_coins())
        assert Status.DECREASED in ends_by(traces)

    def test_a_fall_that_is_small_against_the_terms_is_none(self):
        class Rough(Backwards):
            def term_size(self, statistics, params):
                return 1e12 if params.heads_prob[0] > params.heads_prob[1] else 0.0

        traces = assert_go_as_fit(Rough(10), HEADS, starts_of_coins(), tol=0, max_iter=30)
        fell = [trace for trace in traces if np.diff(trace.objectives).min(initial=0) < -1e-3]
        assert Status.DECREASED in ends_by(fell)
        assert len(ends_by(fell)) > 1
        for trace in fell:
            first, second = trace.final.params.heads_prob
            assert (trace.status is Status.DECREASED) == (first <= second)


class TestGoesSingly:
    """What cannot go side by side goes as it always did."""

    def count_fits(self, monkeypatch, *arguments, **how):
        calls = []
        monkeypatch.setattr(many, "fit", lambda *a, **k: calls.append(a) or fit(*a, **k))
        return fit_restarts(*arguments, **how), len(calls)

    def test_starts_of_different_shapes(self, monkeypatch):
        starts = [BinomialParams([0.3], [1.0]), *coins([0.6, 0.5])]
        traces, fits = self.count_fits(monkeypatch, COINS, HEADS, starts)
        assert fits == 2
        assert traces == tuple(fit(COINS, HEADS, start) for start in starts)

    def test_one_start(self, monkeypatch):
        (trace,), fits = self.count_fits(monkeypatch, COINS, HEADS, coins([0.6, 0.5]))
        assert fits == 1
        assert trace == fit(COINS, HEADS, *coins([0.6, 0.5]))

    def test_arrays_one_after_another(self, monkeypatch):
        data = np.random.default_rng(7).normal(size=(100, 2))
        starts = [KMeansParams(data[i : i + 2]) for i in (0, 2)]
        traces, fits = self.count_fits(monkeypatch, KMeans(), [data[:50], data[50:]], starts)
        assert fits == 2
        assert traces[0].n_observations == 100

    @pytest.mark.parametrize("name", ["m_step", "statistics", "e_step", "expect", "log_joint"])
    def test_a_subclass_with_a_step_of_its_own_is_taken_at_its_word(self, monkeypatch, name):
        called = []

        def own(self, *arguments):
            called.append(name)
            return getattr(super(Own, self), name)(*arguments)

        Own = type("Own", (BinomialMixture,), {name: own})  # noqa: N806 - a class
        starts = coins([0.6, 0.5], [0.2, 0.9])
        traces, fits = self.count_fits(monkeypatch, Own(10), HEADS, starts)
        assert fits == 2
        assert len(called) >= sum(trace.n_iter for trace in traces)
        for trace, start in zip(traces, starts, strict=True):
            assert_params_close(trace.final.params, fit(COINS, HEADS, start).final.params)


class TestRefuses:
    @pytest.mark.parametrize("starts", [[], coins([0.6, 0.5]), coins([0.6, 0.5], [0.1, 0.3])])
    def test_starts_are_looked_at_before_any_runs(self, monkeypatch, starts):
        def refuse(*_):
            raise AssertionError("has begun")

        monkeypatch.setattr(many.Runs, "rounds", refuse)
        bad = [*starts, BinomialParams([0.5, 1.5], [0.5, 0.5])]
        with pytest.raises(ValueError, match=r"^heads_prob must lie between 0 and 1"):
            fit_restarts(COINS, HEADS, bad)

    @pytest.mark.parametrize(
        ("how", "message"),
        [
            ({"tol": -1}, r"^tol must be a finite number, 0 or larger, got -1"),
            ({"tol": np.nan}, r"^tol must be a finite number, 0 or larger, got nan"),
            ({"max_iter": -1}, r"^max_iter must be a whole number, 0 or larger, got -1"),
            ({"max_iter": 1.5}, r"^max_iter must be a whole number, 0 or larger, got 1.5"),
        ],
    )
    def test_arguments(self, how, message):
        for starts in (coins([0.6, 0.5]), coins([0.6, 0.5], [0.1, 0.3])):
            with pytest.raises(ValueError, match=message):
                fit_restarts(COINS, HEADS, starts, **how)


@dataclass(frozen=True, eq=False)
class Watched(BinomialParams):
    made = 0

    def __post_init__(self):
        super().__post_init__()
        Watched.made += 1

    @classmethod
    def of(cls, arrays):
        Watched.made += 1
        return super().of(arrays)


class TestHistory:
    traces = fit_restarts(COINS, HEADS, coins([0.6, 0.5], [0.2, 0.9]), tol=1e-4)

    def test_is_a_sequence_of_steps(self):
        steps, theirs = self.traces[0].steps, tuple(self.traces[0].steps)
        assert isinstance(steps, History)
        assert all(isinstance(step, Step) for step in theirs)
        assert [step.iteration for step in steps] == list(range(len(steps)))
        assert steps[-1] is steps[len(steps) - 1] is self.traces[0].final
        assert steps[1:3] == theirs[1:3]
        assert steps[::-2] == theirs[::-2]
        assert list(reversed(steps)) == list(theirs[::-1])
        for outside in (len(steps), -len(steps) - 1):
            with pytest.raises(IndexError):
                steps[outside]

    def test_equals_what_has_the_same_steps(self):
        steps = self.traces[0].steps
        assert steps == tuple(steps)
        assert tuple(steps) == steps
        assert steps != tuple(steps)[:-1]
        assert steps != self.traces[1].steps
        assert steps != list(steps)
        assert self.traces[0] == replace(self.traces[0], steps=tuple(steps))
        assert pickle.loads(pickle.dumps(self.traces[0])) == self.traces[0]

    def test_its_trace_does_what_others_do(self):
        for trace in self.traces:
            alone = replace(trace, steps=tuple(trace.steps))
            assert trace.relabel([1, 0]) == alone.relabel([1, 0])
            assert repr(trace) == repr(alone)
            assert (trace.bic, trace.message) == (alone.bic, alone.message)
            np.testing.assert_array_equal(trace.objectives, alone.objectives)
            ours, theirs = trace.columns(), alone.columns()
            assert list(ours) == list(theirs)
            for name in theirs:
                np.testing.assert_array_equal(ours[name], theirs[name])
        assert best(self.traces) in self.traces

    def test_cannot_be_changed(self):
        trace = self.traces[0]
        trace.objectives[0] = 5.0
        assert trace.objectives[0] == trace.steps[0].objective != 5.0
        with pytest.raises(ValueError, match="read-only"):
            trace.steps[0].params.heads_prob[0] = 1.0

    def test_steps_are_made_when_they_are_asked_for(self):
        starts = [Watched(pair, [0.5, 0.5]) for pair in ([0.6, 0.5], [0.2, 0.9], [0.3, 0.1])]
        before = Watched.made
        traces = fit_restarts(COINS, HEADS, starts, tol=0, max_iter=50)
        n_steps = sum(len(trace.steps) for trace in traces)
        assert n_steps > 50
        assert Watched.made - before < 10
        assert [len(trace.objectives) for trace in traces] == [len(t.steps) for t in traces]
        assert Watched.made - before < 10
        for trace in traces:
            assert all(type(step.params) is Watched for step in trace.steps)
        assert Watched.made - before >= n_steps

    def test_keeps_no_other_run_in_memory(self):
        for array in self.traces[0].steps._arrays.values():
            assert array.base is None


def test_where_runs_end_is_where_their_traces_do():
    starts = starts_of_coins(count=300)
    arrays = {
        name: np.stack([start.arrays()[name] for start in starts])
        for name in ("heads_prob", "weights")
    }
    model = BinomialMixture(10, estimate_weights=True)
    runs = many.runs_of(model, prepare(model, HEADS, starts[0]), BinomialParams)
    ends = runs.ends(arrays, 1e-6, 40)
    traces = runs.traces(arrays, 1e-6, 40)
    assert ends.statuses.tolist() == [str(trace.status) for trace in traces]
    assert set(ends.statuses) >= {"converged", "max_iter", "non_finite"}
    assert ends.n_iter.tolist() == [trace.n_iter for trace in traces]
    assert ends.objectives.tolist() == [trace.final.objective for trace in traces]
    for name, array in ends.arrays.items():
        assert array.tolist() == [getattr(t.final.params, name).tolist() for t in traces]


def test_groups_do_not_change_where_runs_go(monkeypatch):
    starts = starts_of_coins()
    whole = fit_restarts(COINS, HEADS, starts)
    for at_once in (2, 3, 7):
        monkeypatch.setattr(Outcomes, "at_once", lambda self, k, at_once=at_once: at_once)
        for ours, theirs in zip(fit_restarts(COINS, HEADS, starts), whole, strict=True):
            assert_traces_agree(ours, theirs)


def standing(arrays, objectives, run=slice(None)):
    return Standing([array[:, run] for array in arrays], np.asarray(objectives)[run])


def test_the_rule_is_the_same_for_one_run_and_for_many():
    rng = np.random.default_rng(8)
    n_runs = 400
    old = [rng.normal(size=(size, n_runs)) for size in (1, 6)]
    # Some do not move, some by rounding, some are not finite; gains of all kinds.
    moves = rng.choice([0.0, 1e-16, 1e-12, 1.0], n_runs)
    new = [array * (1 + moves) for array in old]
    new[1][3, rng.choice(n_runs, 20, replace=False)] = np.nan
    new[0][0, rng.choice(n_runs, 20, replace=False)] = np.inf
    before = rng.normal(size=n_runs)
    now = before + rng.choice([0.0, 1e-13, -1e-13, 1e-10, -1e-10, 1e-7, 1.0, -1.0], n_runs)
    now[rng.choice(n_runs, 20, replace=False)] = -np.inf
    left = rng.choice([0, 5], n_runs)
    sizes = rng.choice([1.0, 1e4], n_runs)
    for enough in (0.0, 1e-8):
        found = ended(
            standing(new, now), standing(old, before), left, enough, lambda mask: mask * sizes
        )
        alone = [
            ended(
                standing(new, now, r),
                standing(old, before, r),
                int(left[r]),
                enough,
                lambda _, r=r: sizes[r],
            )
            for r in range(n_runs)
        ]
        assert found.tolist() == [int(each) for each in alone]
        assert set(found.tolist()) == set(range(GOES_ON + 1)) == set(range(len(ENDS)))
        first = standing(new, now)
        on = ended(first, first.before_the_first(), 1, enough, lambda mask: mask * sizes)
        finite = (
            np.isfinite(now) & np.isfinite(new[0]).all(axis=0) & np.isfinite(new[1]).all(axis=0)
        )
        assert [ENDS[end] for end in on] == [None if fine else Status.NON_FINITE for fine in finite]


def test_a_gaussian_run_among_many_has_the_same_end():
    start = GaussianParams([0.0, 5.0], [1.0, 1.0], [0.5, 0.5])
    data = np.random.default_rng(9).normal(0, 1, 200)
    one, two = fit_restarts(GaussianMixture(0.1), data, [start, start.relabel([1, 0])])
    assert_params_close(two.final.params.relabel([1, 0]), one.final.params)
