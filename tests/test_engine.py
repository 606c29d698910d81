import re
from dataclasses import FrozenInstanceError, dataclass
from itertools import islice, permutations
from typing import ClassVar, NamedTuple

import dask.array
import dask.bag
import numpy as np
import pandas as pd
import pytest
from contract import for_many_seeds
from toy_lesson.model import PoissonMixture, PoissonParams

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    GaussianParams,
    HardEM,
    KMeans,
    KMeansParams,
    Mixture,
    Note,
    Params,
    Status,
    Step,
    Trace,
    best,
    engine,
    fit,
    fit_labelled,
    fit_restarts,
    iterate,
    match_components,
)
from em_core.data.blocks import prepare
from em_core.diagnostics import lower_bound, map_eigenvalues
from em_core.engine import ENDS, Standing
from em_core.models import binomial_mixture, gaussian, gaussian_mixture, kmeans

HEADS = [5, 9, 8, 4, 7]
START = BinomialParams([0.6, 0.5], [0.5, 0.5])
COINS = BinomialMixture(10)
OLD_FAITHFUL = (
    "1 0 3 5 4 3 5 5 6 5 7 9 6 4 3 4 7 6 0 4 3 4 3 2 1 1 2 4 5 1 7 "
    "6 8 9 12 15 10 8 13 12 14 10 6 6 2 6 3 6 1 1 2 1 0 1"
)


@dataclass(frozen=True, eq=False)
class Place(Params):
    at: np.ndarray


class Total(NamedTuple):
    count: float


@dataclass(frozen=True)
class Scripted:
    """Goes through a list of parameters, and has a list of objectives ready for them."""

    objectives: tuple[float, ...]
    places: tuple[float, ...] | None = None

    def check(self, data, params):
        pass

    def expect(self, data, params):
        return Total(len(data)), self.objectives[self.index(params)]

    def m_step(self, statistics, previous):
        following = self.index(previous) + 1
        return Place([self.places[following] if self.places else float(following)])

    def index(self, params):
        at = params.vector()[0]
        return self.places.index(at) if self.places else int(at)


def run(objectives, places=None, n=4, **arguments):
    start = Place([places[0] if places else 0.0])
    return fit(Scripted(objectives, places), np.zeros(n), start, **arguments)


class TestStoppingRule:
    @pytest.mark.parametrize(
        ("tol", "n_iter"), [(1.0, 1), (0.75, 2), (0.5, 2), (0.25, 3), (0.2, 4)]
    )
    def test_tol_is_the_gain_per_observation(self, tol, n_iter):
        # Four observations, and so gains of 1, 0.5, 0.25 and 0.125 each.
        trace = run((0.0, 4.0, 6.0, 7.0, 7.5), tol=tol)
        assert (trace.status, trace.n_iter) == (Status.CONVERGED, n_iter)

    def test_tol_zero_does_not_stop_while_parameters_change(self):
        trace = run((0.0, 1.0, 1.0, 1.0, 1.0), tol=0, max_iter=4)
        assert (trace.status, trace.n_iter) == (Status.MAX_ITER, 4)

    def test_positive_tol_stops_where_nothing_is_gained(self):
        trace = run((0.0, 1.0, 1.0, 1.0), tol=1e-300)
        assert (trace.status, trace.n_iter) == (Status.CONVERGED, 2)

    def test_tol_zero_stops_when_parameters_change_by_rounding_only(self):
        ulp = np.spacing(1e8)
        trace = run((0.0, 1.0, 1.0 + 1e-13, 3.0), (0.0, 1e8, 1e8 + ulp, 5.0), tol=0)
        assert (trace.status, trace.n_iter) == (Status.CONVERGED, 2)

    def test_large_parameter_does_not_hide_that_small_ones_move(self):
        places = 1e8 + np.spacing(1e8) * np.arange(4)
        trace = run((0.0, 1.0, 2.0, 2.0), tuple(places), tol=0)
        assert (trace.status, trace.n_iter) == (Status.CONVERGED, 3)

    def test_tol_zero_goes_on_when_parameters_change_by_more(self):
        trace = run((0.0, 1.0, 2.0), (0.0, 1e8, 1e8 + 1e-6), tol=0, max_iter=2)
        assert (trace.status, trace.n_iter) == (Status.MAX_ITER, 2)

    def test_every_parameter_counts_for_unchanged(self):
        data = np.array([-1.0, 1.0])
        # The mean is where it belongs from the start; the deviation is not.
        init = GaussianParams([0.0], [3.0], [1.0])
        trace = fit(GaussianMixture(), data, init, tol=0)
        assert (trace.status, trace.n_iter) == (Status.CONVERGED, 2)
        assert trace.final.params.stds[0] == 1

    def test_max_iter(self):
        trace = run((0.0, 10.0, 20.0, 30.0), max_iter=2)
        assert (trace.status, trace.n_iter) == (Status.MAX_ITER, 2)
        assert trace.objectives.tolist() == [0, 10, 20]
        assert not trace.converged
        assert trace.message.startswith("Stopped at the limit of 2 iterations")

    def test_max_iter_zero_looks_at_the_guess_only(self):
        trace = run((5.0,), max_iter=0)
        assert (trace.status, trace.n_iter) == (Status.MAX_ITER, 0)
        assert trace.steps == (Step(0, Place([0.0]), 5.0),)

    def test_convergence_at_the_limit_is_convergence(self):
        trace = run((0.0, 10.0, 10.0), max_iter=2)
        assert trace.converged
        assert trace.message == "Converged after 2 iterations."

    @pytest.mark.parametrize("objective", [np.nan, np.inf, -np.inf])
    def test_objective_that_is_not_finite(self, objective):
        trace = run((0.0, 10.0, objective), max_iter=2)
        assert (trace.status, trace.n_iter) == (Status.NON_FINITE, 2)
        assert trace.message.startswith("Stopped at iteration 2: the objective is no longer")

    def test_guess_that_is_not_finite(self):
        assert run((np.nan,), max_iter=0).status is Status.NON_FINITE

    def test_parameters_that_are_not_finite(self):
        trace = run((0.0, 1.0), (0.0, np.inf))
        assert (trace.status, trace.n_iter) == (Status.NON_FINITE, 1)

    def test_fall_of_the_objective(self):
        trace = run((0.0, 10.0, 9.0))
        assert (trace.status, trace.n_iter) == (Status.DECREASED, 2)
        assert "a fault in the model" in trace.message
        assert not trace.converged

    @pytest.mark.parametrize(("fall", "status"), [(1e-13, "converged"), (1e-11, "decreased")])
    @pytest.mark.parametrize("size", [1.0, 1e9])
    def test_fall_by_rounding_is_none(self, fall, status, size):
        trace = run((0.0, size, size - fall * (size + 4)), tol=1e-6)
        assert trace.status == status

    def test_broken_model_is_noticed(self):
        class Backwards(BinomialMixture):
            def m_step(self, statistics, previous):
                heads, tails, trials = statistics
                return super().m_step(type(statistics)(tails, heads, trials), previous)

        trace = fit(Backwards(10), HEADS, START)
        assert trace.status is Status.DECREASED
        assert trace.final.objective < trace.steps[-2].objective


class TestClimbing:
    """The quick look at a step agrees with the rule that it spares."""

    SIZES = (0.0, 1e-320, 1e-200, 1e-16, 1.0, 1e16, 1e200, np.inf, np.nan)

    def compare(self, now, before, enough, updates_left):
        """Return whether the quick look was enough, once the rule has said the same."""
        steps = [
            Step(i, GaussianParams(*each), objective)
            for i, (each, objective) in enumerate((before, now))
        ]
        with engine.ignoring():
            rule = engine.ended(
                Standing.of(steps[1]), Standing.of(steps[0]), updates_left, enough, lambda _: 1.0
            )
            quick = engine._climbs(steps[1], steps[0], enough)
        if quick:
            assert ENDS[int(rule)] is (None if updates_left > 0 else Status.MAX_ITER)
        return quick

    @for_many_seeds(200)
    def test_is_never_said_of_a_step_that_ends_a_run(self, seed):
        rng = np.random.default_rng(seed)
        k = rng.integers(1, 5)
        values = rng.choice(self.SIZES[:-2]) * rng.normal(size=(3, k))
        changes = rng.choice(self.SIZES[:-2], p=[0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1])
        moved = values + values * rng.choice([0, 1, 4, 8]) * changes * rng.normal(size=(3, k))
        if rng.random() < 0.3:
            moved[rng.integers(3), rng.integers(k)] = rng.choice(self.SIZES)
        before, gain = rng.choice(self.SIZES[:-2]), rng.choice([*self.SIZES, -1.0])
        enough = rng.choice(self.SIZES[:-2])
        self.compare((moved, before + gain), (values, before), enough, rng.integers(2))

    def test_is_said_of_a_step_that_gains_and_moves(self):
        before = np.array([[0.0, 1.0], [2.0, 3.0], [0.5, 0.5]])
        for updates_left in (1, 0):
            assert self.compare((before + 1e-9, 1.0), (before, 0.0), 0.5, updates_left)
        for still in (before, before + 1e-16):
            assert not self.compare((still, 1.0), (before, 0.0), 0.5, 1)
        for objective in (0.5, -1.0, np.nan, np.inf):
            assert not self.compare((before + 1.0, objective), (before, 0.0), 0.5, 1)

    @pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
    @pytest.mark.parametrize("row", range(3))
    def test_is_not_said_of_parameters_out_of_range(self, row, value):
        now = np.array([[0.0, 1.0], [2.0, 3.0], [0.5, 0.5]])
        before = now - 0.1
        now[row, 0] = value
        assert not self.compare((now, 1.0), (before, 0.0), 0.0, 1)

    def test_a_parameter_that_moves_is_enough(self):
        before = np.array([[0.0, 1.0], [2.0, 3.0], [0.5, 0.5]])
        for row in range(3):
            now = before.copy()
            now[row, 1] += 1e-12
            assert self.compare((now, 1.0), (before, 0.0), 0.0, 1)


class TestTrace:
    def test_reads_like_the_lesson(self):
        trace = fit(COINS, HEADS, START, tol=0, max_iter=10)
        assert [step.iteration for step in trace.steps] == list(range(11))
        assert trace.n_iter == 10
        assert trace.final is trace.steps[-1]
        assert trace.objectives.shape == (11,)
        assert trace.objectives[-1] == trace.final.objective
        assert np.round(trace.final.params.heads_prob, 4).tolist() == [0.7967, 0.5197]

    def test_is_what_iterate_yields(self):
        steps = tuple(islice(iterate(COINS, HEADS, START), 11))
        assert fit(COINS, HEADS, START, tol=0, max_iter=10).steps == steps

    def test_defaults(self):
        explicit = fit(COINS, HEADS, START, tol=1e-6, max_iter=200)
        assert fit(COINS, HEADS, START) == explicit

    def test_relabel(self):
        trace = fit(COINS, HEADS, START, max_iter=3)
        swapped = trace.relabel([1, 0])
        assert swapped.status is trace.status
        assert swapped.objectives.tolist() == trace.objectives.tolist()
        for ours, theirs in zip(swapped.steps, trace.steps, strict=True):
            assert ours.params == theirs.params.relabel([1, 0])
        assert swapped != trace

    def test_is_frozen(self):
        trace = fit(COINS, HEADS, START, max_iter=1)
        with pytest.raises(FrozenInstanceError):
            trace.status = Status.CONVERGED
        with pytest.raises(FrozenInstanceError):
            trace.final.objective = 0.0

    def test_status_is_its_text(self):
        assert [str(status) for status in Status] == [
            "converged",
            "max_iter",
            "non_finite",
            "decreased",
        ]


class TestGoingOn:
    """What one can do with a trace, beyond the contract."""

    def test_without_its_model_it_says_so(self):
        trace = Trace(fit(COINS, HEADS, START).steps, Status.CONVERGED)
        for ask in (
            lambda: trace.predict(HEADS),
            lambda: trace.score(HEADS),
            lambda: trace.sample(3, rng=np.random.default_rng(1)),
            lambda: trace.n_parameters,
            lambda: trace.aic,
            lambda: trace.bic,
        ):
            with pytest.raises(ValueError, match=r"asks for the model, which this trace was made"):
                ask()
        half = Trace(trace.steps, trace.status, COINS)
        assert half.aic == 2 * 2 - 2 * trace.final.objective
        with pytest.raises(ValueError, match=r"^bic asks for the number of observations"):
            half.bic  # noqa: B018 - asking is the point

    def test_model_and_observations_are_kept(self):
        trace = fit(COINS, HEADS, START)
        assert (trace.model, trace.n_observations) == (COINS, 5)
        assert trace.relabel([1, 0]).model is COINS
        # They do not make two histories different.
        assert Trace(trace.steps, trace.status) == trace

    def test_new_data_are_shared_out_by_the_final_parameters(self):
        trace = fit(COINS, HEADS, START, tol=0)
        np.testing.assert_allclose(trace.predict([0, 10]), [[0, 1], [1, 0]], atol=0.02)
        np.testing.assert_allclose(
            trace.relabel([1, 0]).predict([0, 10]), [[1, 0], [0, 1]], atol=0.02
        )

    def test_criteria(self):
        trace = fit(COINS, HEADS, START, tol=0)
        assert trace.n_parameters == 2
        assert trace.aic == pytest.approx(2 * 2 + 2 * 9.7969243, abs=1e-7)
        assert trace.bic == pytest.approx(2 * np.log(5) + 2 * 9.7969243, abs=1e-7)
        counted = fit(COINS, [4, 5, 7, 8, 9], START, tol=0, counts=[2] * 5)
        assert counted.bic == pytest.approx(2 * np.log(10) + 4 * 9.7969243, abs=1e-6)

    def test_two_components_of_old_faithful_are_better_than_one(self):
        # Minutes between 272 eruptions, from 43 to 96, and how often each was waited.
        minutes, times = np.arange(43, 97), [int(x) for x in OLD_FAITHFUL.split()]
        assert sum(times) == 272
        two = GaussianParams([50.0, 80.0], [10.0, 10.0], [0.5, 0.5])
        traces = [
            fit(GaussianMixture(), minutes, init, tol=0, max_iter=500, counts=times)
            for init in (GaussianParams([70.0], [10.0], [1.0]), two)
        ]
        assert np.round(traces[0].final.objective, 8) == -1095.28880050
        assert np.round(traces[1].final.objective, 8) == -1034.00174983
        assert np.round(traces[1].final.params.means, 8).tolist() == [54.61485614, 80.09106940]
        # Smaller is better: 5 parameters pay, though each costs log(272) / 2.
        assert traces[1].bic == pytest.approx(5 * np.log(272) + 2 * 1034.00174983, abs=1e-7)
        assert traces[1].bic < traces[0].bic
        assert traces[1].aic < traces[0].aic

    @pytest.mark.parametrize(
        ("model", "data", "init"),
        [
            (KMeans(), [[1.0], [2.0]], KMeansParams([[0.0]])),
            (HardEM(COINS), HEADS, START),
        ],
    )
    def test_criteria_ask_for_a_log_likelihood(self, model, data, init):
        trace = fit(model, data, init)
        assert trace.n_parameters == init.vector().size - (model == HardEM(COINS)) * 2
        for name in ("aic", "bic"):
            with pytest.raises(ValueError, match=rf"^{name} asks for a log-likelihood, which "):
                getattr(trace, name)

    def test_columns_are_a_table(self):
        table = pd.DataFrame(fit(COINS, HEADS, START, tol=0, max_iter=2).columns())
        assert list(table) == [
            "iteration",
            "heads_prob[0]",
            "heads_prob[1]",
            "weights[0]",
            "weights[1]",
            "objective",
            "gain",
        ]
        assert table["heads_prob[0]"].round(7).tolist() == [0.6, 0.7130122, 0.7452920]
        names = fit(KMeans(), [[1.0, 2.0]], KMeansParams([[0.0, 1.0]])).columns()
        assert list(names)[1:3] == ["centroids[0,0]", "centroids[0,1]"]

    def test_columns_of_a_collapse_do_not_warn(self):
        trace = fit(COINS, [5], BinomialParams([0.0, 1.0], [0.5, 0.5]))
        assert trace.columns()["objective"].tolist() == [-np.inf]

    def test_reprs(self):
        trace = fit(COINS, HEADS, START, tol=0, max_iter=10)
        assert repr(trace) == "Trace(max_iter, 10 updates, objective -9.79692)"
        assert repr(fit(COINS, HEADS, START, max_iter=1)) == (
            "Trace(max_iter, 1 update, objective -10.086)"
        )
        assert repr(START) == "BinomialParams(heads_prob=[0.6, 0.5], weights=[0.5, 0.5])"
        assert repr(trace.final) == (
            "Step(iteration=10, params=BinomialParams(heads_prob=[0.796744, 0.519659], "
            f"weights=[0.5, 0.5]), objective={trace.final.objective!r})"
        )
        many = KMeansParams(np.arange(200.0).reshape(100, 2) + 1e8)
        assert repr(many) == (
            "KMeansParams(centroids=[[1e+08, 1e+08], [1e+08, 1e+08], [1e+08, 1e+08], ..., "
            "[1e+08, 1e+08], [1e+08, 1e+08], [1e+08, 1e+08]])"
        )

    def test_a_class_may_have_a_repr_of_its_own(self):
        @dataclass(frozen=True, eq=False)
        class Named(Params):
            at: np.ndarray

            def __repr__(self):
                return "named"

        assert repr(Named([1.0])) == "named"


class TestExplanations:
    def test_engine_has_no_words_of_a_model(self):
        message = run((0.0, np.nan)).message
        assert message == (
            "Stopped at iteration 1: the objective is no longer a finite number. "
            "Start from another guess."
        )

    def test_model_may_have_them(self):
        class Talks(Scripted):
            def why_not_finite(self, params):
                return f"At {params.vector()[0]:g} there is nothing."

        trace = fit(Talks((0.0, 1.0, np.nan)), np.zeros(3), Place([0.0]))
        assert trace.explanation == "At 2 there is nothing."
        assert trace.message.endswith("a finite number. At 2 there is nothing.")
        sound = fit(Talks((0.0, 1.0, 1.0)), np.zeros(3), Place([0.0]))
        assert sound.explanation == ""

    def test_mixture_without_any_says_what_holds_for_all(self):
        class Bare(GaussianMixture):
            why_not_finite = Mixture.why_not_finite

        trace = fit(Bare(), [1e200, 2e200], GaussianParams([0.0], [1.0], [1.0]))
        assert "impossible under every component, or has an infinite density" in trace.message

    def test_mixture_without_the_means_says_so(self):
        class Bare(GaussianMixture):
            draw, n_parameters = Mixture.draw, Mixture.n_parameters

        trace = fit(Bare(), [0.0, 1.0], GaussianParams([0.0], [1.0], [1.0]))
        with pytest.raises(ValueError, match=r"^Bare has no draw, so nothing can be simulated"):
            trace.sample(3, rng=np.random.default_rng(1))
        with pytest.raises(ValueError, match=r"^Bare has no n_parameters"):
            trace.bic  # noqa: B018

    def test_mixture_needs_its_parts(self):
        class Half(Mixture):
            def check(self, data, params):
                pass

        with pytest.raises(TypeError, match=r"abstract methods .*m_step.*statistics"):
            Half()


class TestCounts:
    """Beyond the contract."""

    def test_an_e_step_that_does_not_take_them_is_refused(self):
        class Old(GaussianMixture):
            def e_step(self, data, params):
                return super().e_step(data, params)

        init = GaussianParams([0.0], [1.0], [1.0])
        assert fit(Old(), [0.0, 1.0], init).converged
        with pytest.raises(ValueError, match=r"^counts mean nothing to .*Old.*; repeat the rows"):
            fit(Old(), [0.0, 1.0], init, counts=[1, 2])

    def test_prepared_data_are_refused(self):
        data = prepare(COINS, HEADS, START, counts=[1, 2, 1, 1, 1])
        assert data.n == 6
        with pytest.raises(ValueError, match=r"^counts go with data in one array, got several, or"):
            fit(COINS, data, START, counts=[1] * 5)

    def test_tally_and_counts_go_together(self):
        data = prepare(COINS, [5, 9, 5, 4, 9, 7], START, counts=[1, 2, 0.5, 0, 3, 1])
        assert data.parts[0].tolist() == [5, 7, 9]
        assert data.counts.tolist() == [1.5, 1, 5]
        assert data.n == 7.5

    def test_death_notices(self):
        # What a table of frequencies is for: 0 to 9 heads, how often each.
        days = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
        counted = fit(COINS, range(10), START, counts=days, tol=1e-9)
        repeated = fit(COINS, np.repeat(np.arange(10), days), START, tol=1e-9)
        assert counted.n_observations == sum(days)
        np.testing.assert_allclose(counted.objectives, repeated.objectives, rtol=1e-13)
        assert counted.bic == pytest.approx(repeated.bic)

    def test_impossible_rows_that_were_not_observed_do_no_harm(self):
        sure = BinomialParams([0.0], [1.0])
        assert fit(COINS, [0, 5], sure, counts=[3, 0]).converged
        many = BinomialMixture(10**9)
        assert fit(many, [0, 5], sure, counts=[3, 0]).converged


class TestIterate:
    def test_has_no_end(self):
        steps = list(islice(iterate(COINS, HEADS, START), 500))
        assert steps[-1].iteration == 499
        assert steps[-1].params == steps[-2].params

    def test_checks_before_the_first_step_is_asked_for(self):
        with pytest.raises(ValueError, match=r"^data must be head counts .*, got 11 at \[0\]"):
            iterate(COINS, [11], START)

    def test_computes_a_step_only_when_asked(self):
        steps = iterate(Scripted((1.0,)), np.zeros(3), Place([0.0]))
        assert next(steps).objective == 1
        # The script has no second line.
        with pytest.raises(IndexError):
            next(steps)

    def test_does_not_warn_of_a_collapse(self):
        data, init = [0.0, 0.0, 5.0], GaussianParams([0.0, 5.0], [1.0, 1.0], [0.5, 0.5])
        objectives = [s.objective for s in islice(iterate(GaussianMixture(), data, init), 20)]
        assert np.isnan(objectives[-1])

    def test_does_not_change_what_is_warned_of_between_steps(self):
        data, init = [0.0, 0.0, 5.0], GaussianParams([0.0, 5.0], [1.0, 1.0], [0.5, 0.5])
        with np.errstate(divide="raise"):
            for _ in islice(iterate(GaussianMixture(), data, init), 20):
                with pytest.raises(FloatingPointError):
                    np.divide(1.0, 0.0)
            fit(GaussianMixture(), data, init)
            with pytest.raises(FloatingPointError):
                np.divide(1.0, 0.0)


class TestRestarts:
    def test_traces_come_in_the_order_of_the_guesses(self):
        guesses = [BinomialParams([p, 0.5], [0.5, 0.5]) for p in (0.9, 0.1, 0.5)]
        traces = fit_restarts(COINS, HEADS, iter(guesses), tol=1e-3, max_iter=7)
        assert traces == tuple(fit(COINS, HEADS, g, tol=1e-3, max_iter=7) for g in guesses)
        assert [trace.steps[0].params for trace in traces] == guesses

    def test_no_guesses_no_traces(self):
        assert fit_restarts(COINS, HEADS, []) == ()

    @pytest.mark.parametrize(
        ("model", "guess", "data"),
        [
            (COINS, binomial_mixture.guess_uniform, HEADS),
            (GaussianMixture(0.1), gaussian_mixture.guess_from_points, [1.0, 2.0, 4.0, 4.5, 9.0]),
            (GaussianMixture(0.1), gaussian_mixture.guess_integers, [1.0, 2.0, 4.0, 4.5, 9.0]),
            (KMeans(), kmeans.guess_from_points, [[1.0], [2.0], [4.0], [4.5], [9.0]]),
            (KMeans(), kmeans.guess_plus_plus, [[1.0], [2.0], [4.0], [4.5], [9.0]]),
            (KMeans(), kmeans.guess_uniform, [[1.0], [2.0], [4.0], [4.5], [9.0]]),
        ],
    )
    def test_a_restart_does_not_depend_on_how_many_there_are(self, model, guess, data):
        def restarts(count):
            streams = np.random.default_rng(1).spawn(count)
            return fit_restarts(
                model, data, [guess(np.array(data), 2, rng=stream) for stream in streams]
            )

        few, many = restarts(5), restarts(50)
        assert few == many[:5]
        assert len({trace.final.objective for trace in many}) > 1

    @for_many_seeds(10)
    def test_best_is_the_largest(self, seed):
        rng = np.random.default_rng(seed)
        data = rng.uniform(size=(30, 2))
        guesses = [kmeans.guess_from_points(data, 5, rng=rng) for _ in range(8)]
        traces = fit_restarts(KMeans(), data, guesses)
        assert best(traces).final.objective == max(t.final.objective for t in traces)


def ended(objective, status=Status.CONVERGED):
    return Trace((Step(0, Place([0.0]), objective),), status)


class TestFitLabelled:
    def test_does_not_depend_on_the_start(self):
        data = 1e8 + np.array([1.0, 2.0, 6.0, 50.0, 52.0])
        found = fit_labelled(
            GaussianMixture(), data, [1, 1, 1, 0, 0], GaussianParams([0, 9], [1, 5], [0.5, 0.5])
        )
        assert found.means.tolist() == [1e8 + 51, 1e8 + 3]
        np.testing.assert_allclose(found.stds, [1, np.sqrt(14 / 3)], rtol=1e-14)
        assert found.weights.tolist() == [0.4, 0.6]

    def test_component_without_observations_stays(self):
        found = fit_labelled(KMeans(), [[1.0], [3.0]], [1, 1], KMeansParams([[7.0], [0.0]]))
        assert found == KMeansParams([[7.0], [2.0]])

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ([0, 1], r"^labels must be whole numbers, one for each of the 5 .* shape \(2,\)"),
            ([[0, 1, 1, 0, 1]], r"^labels must be whole numbers.* got shape \(1, 5\)"),
            ([0.0, 1, 1, 0, 1], r"^labels must be whole numbers.* dtype float64"),
            ([True] * 5, r"^labels must be whole numbers.* dtype bool"),
            (list("ABBAB"), r"^labels must be whole numbers.* dtype <U1"),
            ([0, 1, 2, 0, 1], r"^labels must lie between 0 and 1, got 0 to 2"),
            ([0, 1, -1, 0, 1], r"^labels must lie between 0 and 1, got -1 to 1"),
        ],
    )
    def test_refuses_bad_labels(self, labels, message):
        with pytest.raises(ValueError, match=message):
            fit_labelled(COINS, HEADS, labels, START)

    def test_refuses_what_the_model_refuses(self):
        with pytest.raises(ValueError, match=r"^data must be head counts"):
            fit_labelled(COINS, [11], [0], START)


class TestBest:
    def test_largest_objective_in_any_place(self):
        low, high = ended(-7.0), ended(-3.0)
        assert best([low, high]) is high
        assert best([high, low]) is high

    def test_first_of_equals(self):
        first, second = ended(-3.0), ended(-3.0)
        assert best([ended(-7.0), first, second]) is first

    @pytest.mark.parametrize("objective", [np.inf, np.nan, -np.inf, 5.0])
    def test_finite_before_not_finite(self, objective):
        degenerate, sound = ended(objective, Status.NON_FINITE), ended(-1e300)
        assert best([degenerate, sound]) is sound
        assert best([sound, degenerate]) is sound

    def test_the_limit_does_not_disqualify(self):
        higher = ended(-3.0, Status.MAX_ITER)
        assert best([ended(-7.0), higher]) is higher

    def test_first_if_none_is_finite(self):
        traces = [ended(np.nan, Status.NON_FINITE), ended(np.inf, Status.NON_FINITE)]
        assert best(traces) is traces[0]

    def test_takes_any_iterable(self):
        assert best(ended(float(x)) for x in range(3)).final.objective == 2

    def test_refuses_none(self):
        with pytest.raises(ValueError, match=r"^best needs at least one trace, got none"):
            best([])


class TestValidation:
    @pytest.mark.parametrize(
        "tol",
        [-1e-9, -1, 10**400, np.nan, np.inf, "1e-6", None, True, 1j, [1e-6], np.array([1.0, 2.0])],
    )
    def test_tol(self, tol):
        message = f"tol must be a finite number, 0 or larger, got {tol!r}"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            fit(COINS, HEADS, START, tol=tol)

    @pytest.mark.parametrize("max_iter", [-1, 2.5, 10.0, np.nan, True, False, "10", None])
    def test_max_iter(self, max_iter):
        with pytest.raises(
            ValueError, match=rf"^max_iter must be a whole number, 0 or larger, got {max_iter!r}"
        ):
            fit(COINS, HEADS, START, max_iter=max_iter)

    def test_numpy_numbers_will_do(self):
        expected = fit(COINS, HEADS, START, tol=0.25, max_iter=3)
        assert fit(COINS, HEADS, START, tol=np.float32(0.25), max_iter=np.uint8(3)) == expected

    def test_restarts_check_too(self):
        with pytest.raises(ValueError, match=r"^tol must be a finite number, 0 or larger, got -1"):
            fit_restarts(COINS, HEADS, [START], tol=-1)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            (([0.6, 0.5], [1.0]), r"^all parameters must have one entry .*'weights': 1"),
            ((0.6, [1.0]), r"^heads_prob must have one entry per component, got the value 0.6"),
            ((np.array([1j]), [1.0]), r"^heads_prob must be an array of numbers, got array"),
            (([10**400], [1.0]), r"^heads_prob must be an array of numbers, got \[1000"),
            ((["a"], [1.0]), r"^heads_prob must be an array of numbers, got \['a'\]"),
            (([1.0], [object()]), r"^weights must be an array of numbers, got \[<object"),
            (([[1.0], []], [0.5] * 2), r"^heads_prob must be an array of numbers, got \[\["),
        ],
    )
    def test_params(self, fields, message):
        with pytest.raises(ValueError, match=message):
            BinomialParams(*fields)


class TestParams:
    def test_lists_and_whole_numbers_become_float_arrays(self):
        params = KMeansParams([[1, 2], [3, 4], [5, 6]])
        assert params.centroids.dtype == float
        assert params.n_components == 3
        assert list(params.arrays()) == ["centroids"]
        assert START.n_components == 2
        assert list(START.arrays()) == ["heads_prob", "weights"]

    def test_what_belongs_to_the_class_is_no_parameter(self):
        @dataclass(frozen=True, eq=False)
        class Length(Params):
            unit: ClassVar[str] = "cm"
            at: np.ndarray

        assert list(Length([1.0]).arrays()) == ["at"]

    def test_is_a_copy(self):
        given = np.array([0.6, 0.5])
        params = BinomialParams(given, given)
        given[0] = 0.1
        assert params.heads_prob.tolist() == [0.6, 0.5]
        assert params.heads_prob is not params.weights

    def test_of_arrays_is_the_same_and_read_only(self):
        arrays = {name: array.copy() for name, array in START.arrays().items()}
        params = BinomialParams.of(arrays)
        assert params == START
        assert params.heads_prob is arrays["heads_prob"]
        assert repr(params) == repr(START)
        with pytest.raises(ValueError, match="read-only"):
            arrays["weights"][0] = 0.1

    @pytest.mark.parametrize("iteration", [0, 1, 2])
    def test_is_read_only_at_every_step(self, iteration):
        params = fit(COINS, HEADS, START, tol=0, max_iter=2).steps[iteration].params
        for array in params.arrays().values():
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0.1
        with pytest.raises(FrozenInstanceError):
            params.heads_prob = np.array([0.1, 0.2])

    def test_equality_is_of_type_and_values(self):
        assert BinomialParams([0.6, 0.5], [0.5, 0.5]) == START
        assert BinomialParams([0.6, 0.5], [0.4, 0.6]) != START
        assert BinomialParams([0.6, np.nextafter(0.5, 1)], [0.5, 0.5]) != START
        assert BinomialParams([0.6], [1.0]) != START
        assert Place([1.0]) != KMeansParams([1.0])
        assert START != "START"

    def test_has_no_hash(self):
        with pytest.raises(TypeError, match="unhashable"):
            hash(START)

    def test_relabel(self):
        params = GaussianParams([1, 2, 3], [4, 5, 6], [0.2, 0.3, 0.5])
        assert params.relabel([2, 0, 1]) == GaussianParams([3, 1, 2], [6, 4, 5], [0.5, 0.2, 0.3])
        assert params.relabel([2, 0, 1]).relabel([1, 2, 0]) == params
        assert params.relabel(np.arange(3)) == params
        assert KMeansParams([[1, 2], [3, 4]]).relabel([1, 0]) == KMeansParams([[3, 4], [1, 2]])


class TestNotes:
    """What a run's end leaves open, and in each case the like where there is nothing to say."""

    POINTS = ((1.0, 2.0), (1.0, 2.0), (3.0, 3.0))

    def test_empty_clusters(self):
        apart = fit(KMeans(), self.POINTS, KMeansParams([[0, 0], [5, 5]]))
        assert apart.notes == ()
        trace = fit(KMeans(), self.POINTS, KMeansParams([[0, 0], [50, 50]]))
        assert trace.notes == (
            "Cluster 1 is empty: no point is assigned to its centroid, which stays where it is.",
        )
        assert trace.message == "Converged after 2 iterations."

    def test_more_centroids_than_different_points(self):
        trace = fit(KMeans(), self.POINTS, KMeansParams([[0, 0], [5, 5], [9, 9], [8, 8]]))
        assert trace.converged
        assert trace.notes == (
            "Clusters 2 and 3 are empty: no point is assigned to their centroids, which stay where "
            "they are.",
            "4 centroids are more than there are different points (2): at least one cluster is "
            "empty.",
        )

    def test_centroids_that_coincide(self):
        data = [[0.0], [1.0], [5.0]]
        trace = fit(KMeans(), data, KMeansParams([[4.0], [0.0], [0.0]]))
        assert "Centroids 1 and 2 coincide" not in " ".join(trace.notes)  # the first moved away
        trace = fit(KMeans(), data, KMeansParams([[5.0], [0.5], [0.5]]))
        assert trace.notes[1:] == ("Centroids 1 and 2 coincide: they stand for one cluster.",)

    @pytest.mark.parametrize(  # to within rounding, and to the last digit
        ("distance", "estimate_weights"), [(30, True), (1e3, True), (1e3, False)]
    )
    def test_idle_component(self, distance, estimate_weights):
        model = GaussianMixture(0.1, estimate_weights)
        data = [0.0, 1.0, 2.0, 3.0]
        trace = fit(model, data, GaussianParams([1, distance], [1, 1], [0.5, 0.5]))
        assert len(trace.notes) == 1
        assert re.match(r"Component 1 .* responsible for no observation", trace.notes[0])
        weightless = trace.final.params.weights[1] == 0
        assert weightless == (estimate_weights and distance == 1e3)
        assert weightless == ("has mixing weight 0" in trace.notes[0])
        near = fit(model, data, GaussianParams([0, 3], [1, 1], [0.5, 0.5]))
        assert near.notes == ()

    @pytest.mark.parametrize("model", [COINS, HardEM(COINS)])
    def test_coin_without_trials(self, model):
        trace = fit(model, HEADS, BinomialParams([0.6, 0.0], [0.5, 0.5]))
        assert trace.notes == (
            "Component 1 is responsible for no observation: the data do not tell its parameters.",
        )
        assert fit(model, HEADS, START).notes == ()
        zero = fit(model, [0, *HEADS], BinomialParams([0.6, 0.0], [0.5, 0.5]))
        assert zero.notes == ()

    def test_fixed_weight_of_zero(self):
        trace = fit(COINS, HEADS, BinomialParams([0.6, 0.4, 0.7], [0.5, 0, 0.5]))
        assert trace.notes == (
            "Component 1 has mixing weight 0 and is responsible for no observation: the data do "
            "not tell its other parameters.",
        )

    def test_components_that_coincide(self):
        saddle = fit(COINS, HEADS, BinomialParams([0.5, 0.5], [0.3, 0.7]))
        assert saddle.notes == ("Components 0 and 1 coincide: to the data they are one.",)
        data = [0.0, 1.0, 5.0, 6.0]
        start = GaussianParams([0, 5, 0, 5], [1, 1, 1, 1], [0.1, 0.2, 0.3, 0.4])
        assert fit(GaussianMixture(0.1), data, start).notes == (
            "Components 0 and 2 coincide: to the data they are one.",
            "Components 1 and 3 coincide: to the data they are one.",
        )
        # In one parameter of two, that is not so.
        start = GaussianParams([0, 0], [1, 3], [0.5, 0.5])
        assert fit(GaussianMixture(), data, start, max_iter=0).notes == ()

    @pytest.mark.parametrize(
        ("model", "params"),
        [
            (BinomialMixture(10), BinomialParams([0.2, 0.5, 0.8], [0.3, 0.3, 0.4])),
            (HardEM(BinomialMixture(10)), BinomialParams([0.2, 0.5, 0.8], [0.3, 0.3, 0.4])),
            (GaussianMixture(0.5), GaussianParams([2, 5, 8], [1, 1, 1], [0.3, 0.3, 0.4])),
        ],
    )
    def test_more_components_than_different_observations(self, model, params):
        few = "3 components are more than there are different observations (2): so many cannot be "
        found = fit(model, [2, 8, 8, 2, 8], params, max_iter=0).notes
        assert found[-1] == few + "told apart."
        assert found[-1] not in fit(model, [2, 8, 8, 2, 5], params, max_iter=0).notes
        assert fit(model, [2, 8, 5], params, max_iter=0, counts=[3, 2, 0]).notes == found
        assert fit(model, [2, 8, 5], params, max_iter=0, counts=[3, 2, 1]).notes == ()

    @for_many_seeds(10)
    def test_relabelling_renames(self, seed):
        rng = np.random.default_rng(seed)
        start = KMeansParams(np.array([[0, 0], [5, 5], [90, 90], [80, 80], [0, 0]])[:, :1])
        trace = fit(KMeans(), [[0.0], [1.0], [5.0]], start)

        def named(trace):
            at = trace.final.params.centroids[:, 0]
            return [sorted(at[list(note.components)]) for note in trace.noted]

        relabelled = trace
        for _ in range(rng.integers(1, 4)):
            order = rng.permutation(5)
            relabelled = relabelled.relabel(order)
            assert named(relabelled) == named(trace)
        assert len(relabelled.notes) == 2
        assert trace.relabel(order).relabel(np.argsort(order)).notes == trace.notes

    def test_relabelled_sentence(self):
        start = GaussianParams([1, 1e3, 5], [1, 1, 1], [0.4, 0.3, 0.3])
        data = [0.0, 1.0, 5.0, 6.0]
        trace = fit(GaussianMixture(0.1), data, start)
        assert trace.notes[0].startswith("Component 1 has mixing weight 0")
        assert trace.relabel([1, 2, 0]).notes[0].startswith("Component 0 has mixing weight 0")
        assert trace.relabel([1, 2, 0]).noted[0].components == (0,)
        for order in permutations(range(3)):
            named = trace.relabel(order)
            again = fit(GaussianMixture(0.1), data, named.final.params, max_iter=0)
            assert named.notes == again.notes

    def test_of_a_collapse(self):
        start = GaussianParams([0, 1, 2], [1, 1, 1], [0.3, 0.3, 0.4])
        trace = fit(GaussianMixture(), [0.0, 0.0, 2.0], start)
        assert trace.status is Status.NON_FINITE
        assert "different observations (2)" in trace.notes[-1]

    def test_repr_says_that_there_are_some(self):
        trace = fit(KMeans(), [[1.0]], KMeansParams([[1.0], [5.0]]))
        assert repr(trace) == "Trace(converged, 1 update, objective 0, 2 notes)"
        one = fit(COINS, HEADS, BinomialParams([0.6, 0.0], [0.5, 0.5]), max_iter=0)
        assert repr(one).endswith(", 1 note)")

    def test_are_the_models_own(self):
        class Talks(Scripted):
            def notes(self, statistics, params, n_different):
                yield Note(f"Of {statistics.count} {n_different} count at {params.vector()[0]:g}.")
                yield Note("Place {} is the only one.", (0,))

        trace = fit(Talks((0.0, 1.0, 1.0)), np.zeros(3), Place([0.0]), tol=1)
        assert trace.notes == ("Of 3 1 count at 1.", "Place 0 is the only one.")
        assert run((0.0, 1.0, 1.0), tol=1).notes == ()
        assert Trace(trace.steps, trace.status).notes == ()
        assert Trace(trace.steps, trace.status) == trace

    def test_mixture_that_tells_no_counts(self):
        class Bare(GaussianMixture):
            component_counts = Mixture.component_counts

        start = GaussianParams([1, 1e3], [1, 1], [0.5, 0.5])
        trace = fit(Bare(0.1), [0.0, 1.0, 2.0], start)
        assert trace.notes[0].startswith("Component 1 has mixing weight 0")
        assert fit(Bare(0.1, False), [0.0, 1.0, 2.0], start).notes == ()

    def test_listing(self):
        note = Note("{} are {odd}.", (4, 0, 2))
        assert str(note) == "4, 0 and 2 are {odd}."
        assert str(note.relabel([4, 3, 2, 1, 0])) == "0, 2 and 4 are {odd}."


class TestMasked:
    MASKED = np.ma.array([1, 2, 3, -999], mask=[0, 0, 0, 1])

    @pytest.mark.parametrize(
        "use",
        [
            lambda x: fit(GaussianMixture(), x, GaussianParams([2], [1], [1])),
            lambda x: fit(GaussianMixture(), [x, x], GaussianParams([2], [1], [1])),
            lambda x: iterate(BinomialMixture(10), x, START),
            lambda x: fit(KMeans(), x[:, None], KMeansParams([[2.0]])),
            lambda x: fit(HardEM(COINS), x, START),
            lambda x: fit(COINS, [1, 2, 3, 4], START, counts=x),
            lambda x: fit_labelled(COINS, [1, 2, 3, 4], x, START),
            lambda x: fit(COINS, HEADS, START).predict(x),
            lambda x: fit(COINS, HEADS, START).score(x),
            lambda x: KMeansParams(x[:, None]),
            lambda x: match_components(x, x),
            lambda x: gaussian.maximum_likelihood(x),
            lambda x: gaussian.log_density(x, 0, 1),
            lambda x: kmeans.guess_plus_plus(x[:, None], 2, rng=np.random.default_rng(1)),
            lambda x: binomial_mixture.fit_grid(COINS, x, [[0.6, 0.5]], [0.5, 0.5]),
            lambda x: binomial_mixture.fit_grid(COINS, HEADS, x[None], [0.25] * 4),
            lambda x: lower_bound(COINS, x, START),
            lambda x: map_eigenvalues(COINS, x, START),
            lambda x: fit(COINS, list(x), START),
            lambda x: fit(COINS, tuple(x), START),
            lambda x: fit(KMeans(), [[each] for each in x], KMeansParams([[2.0]])),
            lambda x: BinomialParams(list(x), [0.25] * 4),
        ],
    )
    def test_is_refused(self, use):
        with pytest.raises(ValueError, match=r"must have no masked values, got .* 1 of 4 values"):
            use(self.MASKED)

    def test_says_what_was_given(self):
        cases = {
            "a list with 1 of 3 values masked; leave these out": [5, np.ma.masked, 7],
            "a tuple with 2 of 3 values masked; leave these out": (np.ma.masked, np.ma.masked, 7),
            "a masked array with 1 of 4 values masked; leave these out, by data.compressed() or, "
            "for whole rows, data[~data.mask.any(axis=1)]": self.MASKED,
        }
        for got, data in cases.items():
            message = f"data must have no masked values, got {got}"
            with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
                fit(COINS, data, START)

    def test_on_dask_is_refused_and_its_block_named(self):
        whole = np.ma.concatenate([np.ma.array([1, 2, 3, 4]), self.MASKED])
        there = dask.array.from_array(whole, chunks=4)
        message = r"^in block 1 of the data: data must have no masked values, .* 1 of 4 values"
        with pytest.raises(ValueError, match=message):
            fit(COINS, there, START)
        bag = dask.bag.from_sequence([[np.array([1, 2]), self.MASKED]], npartitions=1)
        with pytest.raises(ValueError, match=r"^in block 0 of the data: .* no masked values"):
            fit(COINS, bag.map(lambda arrays: arrays).flatten(), START)

    def test_without_a_masked_value_is_an_array(self):
        plain = fit(COINS, HEADS, START)
        assert fit(COINS, np.ma.array(HEADS), START) == plain


@pytest.mark.parametrize("data", [[1.0, 2.0, 5.0, 6.0], [-1.0, 1.0], [0.0, 0.0, 5.0]])
@pytest.mark.parametrize("means", [[1.0], [1.0, 6.0]])
def test_underflow_is_no_collapse(data, means):
    k = len(means)
    start = [1e-200 * np.array(means), [1e-200] * k, [1 / k] * k]
    trace = fit(GaussianMixture(), 1e-200 * np.array(data), GaussianParams(*start))
    assert trace.status is Status.NON_FINITE
    assert "below the range of floating-point numbers. Give the data in a smaller unit" in (
        trace.message
    )
    assert "collapsed" not in trace.message


def test_all_zero_may_be_a_matter_of_the_unit_or_not():
    trace = fit(GaussianMixture(), np.zeros(5), GaussianParams([1.0], [1.0], [1.0]))
    assert "All observations are 0, or so near to it" in trace.message
    assert "if all are 0, set a floor" in trace.message


def test_collapse_beside_small_numbers_is_one():
    # What lies beside gives the unit.
    start = GaussianParams([0.0, 5.0], [1.0, 1.0], [0.5, 0.5])
    trace = fit(GaussianMixture(), [1e-200, 2e-200, 4.0, 6.0], start)
    assert trace.status is Status.NON_FINITE
    assert "collapsed onto a single value" in trace.message


def test_overflow_is_no_collapse():
    data = 1e200 * np.array([1.0, 2.0, 5.0, 6.0])
    start = GaussianParams([1e200, 6e200], [1e200, 1e200], [0.5, 0.5])
    trace = fit(GaussianMixture(), data, start)
    assert trace.status is Status.NON_FINITE
    assert "out of the range of floating-point numbers" in trace.message
    assert "collapsed" not in trace.message


class TestRounding:
    def test_many_tosses_converge(self):
        start = BinomialParams([0.29, 0.31], [0.5, 0.5])
        trace = fit(BinomialMixture(10**5), [30000, 30100, 30200], start, tol=0)
        assert trace.converged
        np.testing.assert_allclose(trace.final.params.heads_prob, [0.301, 0.301], rtol=1e-12)
        assert trace.final.objective == pytest.approx(-18.163370400812, abs=1e-12)

    @pytest.mark.parametrize("hard", [False, True])
    @pytest.mark.parametrize("tosses", [10**5, 10**6, 10**7])
    @for_many_seeds(20)
    def test_is_never_a_fall(self, hard, tosses, seed):
        rng = np.random.default_rng(seed)
        model = BinomialMixture(tosses, estimate_weights=bool(rng.integers(2)))
        truth = BinomialParams([0.3, 0.3 + rng.uniform() * 3 / np.sqrt(tosses)], [0.5, 0.5])
        data = model.simulate(truth, int(rng.choice([1, 3, 30, 1000])), rng=rng).data
        start = BinomialParams(rng.uniform(0.25, 0.35, 2), [0.5, 0.5])
        trace = fit(HardEM(model) if hard else model, data, start, tol=0, max_iter=60)
        assert trace.status in (Status.CONVERGED, Status.MAX_ITER)

    @pytest.mark.parametrize("spread", [1.0, 1e-3])
    @for_many_seeds(20)
    def test_is_never_a_fall_at_an_offset(self, spread, seed):
        rng = np.random.default_rng(seed)
        n, between = int(rng.choice([5, 60, 400])), rng.uniform(0, 5)
        data = 1e8 + spread * (rng.normal(size=n) + between * rng.integers(2, size=n))
        start = gaussian_mixture.guess_from_points(data, 2, rng=rng)
        trace = fit(GaussianMixture(0.01 * spread), data, start, tol=0, max_iter=100)
        assert trace.status in (Status.CONVERGED, Status.MAX_ITER)
        points = data[: n // 2 * 2].reshape(-1, 2)
        start = kmeans.guess_from_points(points, 2, rng=rng)
        assert fit(KMeans(), points, start, tol=0).converged

    @for_many_seeds(40)
    def test_is_never_a_fall_of_large_counts(self, seed):
        rng = np.random.default_rng(seed)
        n = int(rng.choice([3, 30, 300]))
        data = rng.poisson(1e6 + rng.choice([0, rng.uniform(0, 5e3)], size=n))
        start = PoissonParams(rng.uniform(0.9e6, 1.1e6, 2), [0.5, 0.5])
        trace = fit(PoissonMixture(), data, start, tol=0, max_iter=100)
        assert trace.status in (Status.CONVERGED, Status.MAX_ITER)

    @pytest.mark.parametrize("tosses", [10, 10**5, 10**6])
    def test_a_millionth_of_the_objective_is_a_fall(self, tosses):
        n, p = 1000, 0.3
        data = np.random.default_rng(1).binomial(tosses, p, n)
        top = BinomialParams([data.mean() / tosses], [1.0])
        objective = BinomialMixture(tosses).e_step(data, top).objective
        # At the top, theta + d lowers the log-likelihood by n m d^2 / (2 theta (1 - theta)).
        d = np.sqrt(1e-6 * abs(objective) * 2 * p * (1 - p) / (n * tosses))

        class Off(BinomialMixture):
            def m_step(self, statistics, previous):
                return BinomialParams(super().m_step(statistics, previous).heads_prob + d, [1.0])

        trace = fit(Off(tosses), data, top, tol=0)
        assert (trace.status, trace.n_iter) == (Status.DECREASED, 1)
        fall = trace.objectives[0] - trace.objectives[1]
        assert fall == pytest.approx(1e-6 * abs(objective), rel=0.05)

    def test_a_small_fall_is_one(self):
        class Off(BinomialMixture):
            def m_step(self, statistics, previous):
                right = super().m_step(statistics, previous)
                return BinomialParams(right.heads_prob + 1e-5 * np.sign(rng.normal()), [1.0])

        rng = np.random.default_rng(1)
        data = rng.binomial(10**5, 0.3, 1000)
        trace = fit(Off(10**5), data, BinomialParams([data.mean() / 10**5], [1.0]), tol=0)
        assert trace.status is Status.DECREASED
        fall = trace.objectives[-2] - trace.objectives[-1]
        assert 0 < fall < 1e-3 * abs(trace.final.objective)
