"""What one can say about a run: its bound (beyond the contract), its speed, which ends agree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import values as simulate

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    GaussianParams,
    HardEM,
    KMeans,
    KMeansParams,
    Status,
    Step,
    Trace,
    fit,
    fit_restarts,
)
from em_core.diagnostics import (
    equally_good,
    flat_directions,
    linear_rate,
    lower_bound,
    map_eigenvalues,
    same_solutions,
)
from em_core.models import kmeans

HEADS = np.array([5, 9, 8, 4, 7])
COINS = BinomialMixture(10)
START = BinomialParams([0.6, 0.5], [0.5, 0.5])


def ended(params, objective=0.0, status=Status.CONVERGED):
    return Trace((Step(0, params, objective),), status)


class TestLowerBound:
    def test_of_the_published_trials_is_that_of_the_lesson(self):
        # Jensen's inequality, term by term: sum of r log(p / r).
        joint = np.exp(COINS.log_joint(HEADS, START))
        responsibilities = joint / joint.sum(axis=1, keepdims=True)
        bound = lower_bound(COINS, HEADS, START)
        for heads_prob in ([0.7130122, 0.5813393], [0.8, 0.45], [0.1, 0.9]):
            params = BinomialParams(heads_prob, [0.5, 0.5])
            terms = COINS.log_joint(HEADS, params) - np.log(responsibilities)
            expected = (responsibilities * terms).sum()
            assert bound(params) == pytest.approx(expected, rel=1e-13)

    def test_gap_is_the_divergence_of_the_responsibilities(self):
        other = BinomialParams([0.8, 0.45], [0.5, 0.5])
        here, there = (COINS.e_step(HEADS, p) for p in (START, other))
        divergence = (
            here.responsibilities * np.log(here.responsibilities / there.responsibilities)
        ).sum()
        gap = there.objective - lower_bound(COINS, HEADS, START)(other)
        assert gap == pytest.approx(divergence, rel=1e-12)

    def test_coin_that_never_shows_heads(self):
        start = BinomialParams([0.0, 0.5], [0.5, 0.5])
        bound = lower_bound(COINS, [0, 5, 9], start)
        objective = COINS.e_step(np.array([0, 5, 9]), start).objective
        assert bound(start) == pytest.approx(objective, rel=1e-14)
        assert bound(BinomialParams([0.5, 0.0], [0.5, 0.5])) == -np.inf

    def test_typed_weights_that_sum_to_one_only_nearly(self):
        model = BinomialMixture(10, estimate_weights=True)
        typed = BinomialParams([0.2, 0.5, 0.8], [0.333333] * 3)
        third = BinomialParams([0.2, 0.5, 0.8], [1 / 3] * 3)
        bound = lower_bound(model, HEADS, typed)
        objective = model.e_step(HEADS, typed).objective
        # The mixture takes both for the same, and so must its bound.
        assert bound(typed) == pytest.approx(objective, rel=1e-14)
        assert bound(third) == pytest.approx(objective, rel=1e-14)

    def test_typed_weights_of_gaussians(self):
        data = np.array([0.0, 1.0, 5.0, 6.0, 11.0])
        typed, third = (
            GaussianParams([0.0, 5.0, 11.0], [1.0] * 3, weights)
            for weights in ([0.333333] * 3, [1 / 3] * 3)
        )
        bound = lower_bound(GaussianMixture(), data, typed)
        objective = GaussianMixture().e_step(data, typed).objective
        assert bound(third) == pytest.approx(objective, rel=1e-14)

    @pytest.mark.parametrize(
        ("model", "data", "at", "message"),
        [
            (COINS, [11], START, r"^data must be head counts"),
            (COINS, HEADS, BinomialParams([0.6, 1.5], [0.5, 0.5]), r"^heads_prob must lie"),
            (KMeans(), [[1.0, 2.0]], KMeansParams([[1.0]]), r"^centroids must have shape"),
            (HardEM(GaussianMixture(2)), [1.0], GaussianParams([0], [1], [1]), r"^stds must be"),
        ],
    )
    def test_refuses_what_the_model_refuses(self, model, data, at, message):
        with pytest.raises(ValueError, match=message):
            lower_bound(model, data, at)


def em_map(model, data, params, field):
    """Return EM's update as a function of one parameter array."""

    def update(values):
        start = type(params)(**{**params.arrays(), field: values})
        return fit(model, data, start, tol=0, max_iter=1).final.params.arrays()[field]

    return update


def jacobian(function, at, width=1e-5):
    columns = [
        (function(at + step) - function(at - step)) / (2 * width)
        for step in width * np.eye(len(at))
    ]
    return np.array(columns).T


class TestLinearRate:
    def test_of_two_coins_is_the_largest_eigenvalue_of_the_em_map(self):
        trace = fit(COINS, HEADS, START, tol=0, max_iter=3_000)
        update = em_map(COINS, HEADS, trace.final.params, "heads_prob")
        eigenvalues = np.linalg.eigvals(jacobian(update, trace.final.params.heads_prob))
        assert linear_rate(trace) == pytest.approx(np.abs(eigenvalues).max(), rel=0.02)

    def test_of_gaussian_means_too(self):
        # With a floor above all deviations and fixed weights, only the means move.
        model = GaussianMixture(min_std=2.0, estimate_weights=False)
        data = simulate([0, 4], [1, 1], [60, 60], rng=np.random.default_rng(1)).data
        start = GaussianParams([0.0, 1.0], [2.0, 2.0], [0.5, 0.5])
        trace = fit(model, data, start, tol=0, max_iter=3_000)
        update = em_map(model, data, trace.final.params, "means")
        eigenvalues = np.linalg.eigvals(jacobian(update, trace.final.params.means))
        assert linear_rate(trace) == pytest.approx(np.abs(eigenvalues).max(), rel=0.02)

    def test_is_slower_where_more_information_is_missing(self):
        rates = []
        for distance in (8, 4, 2.5):
            data = simulate([0, distance], [1, 1], [500, 500], rng=np.random.default_rng(2)).data
            start = GaussianParams([0.0, distance], [1.0, 1.0], [0.5, 0.5])
            rates.append(linear_rate(fit(GaussianMixture(), data, start, tol=0, max_iter=3_000)))
        assert 0 < rates[0] < 0.1
        assert 0.9 < rates[2] < 1
        assert rates[0] < rates[1] < rates[2]

    @settings(max_examples=20)
    @given(rate=st.floats(0.05, 0.99), scale=st.sampled_from([1e-3, 1.0, 1e6]))
    def test_of_a_geometric_approach_is_its_ratio(self, rate, scale):
        steps = [scale * (1 + rate**i * np.array([0.3, -0.4])) for i in range(300)]
        trace = Trace(
            tuple(Step(i, BinomialParams(s, [1, 1]), 0.0) for i, s in enumerate(steps)),
            Status.CONVERGED,
        )
        assert linear_rate(trace) == pytest.approx(rate, rel=1e-3)

    @pytest.mark.parametrize("path", [[0.5], [0.5, 0.6], [0.5, 0.5, 0.5], [0.5, 0.6, 0.6, 0.7]])
    def test_is_not_a_number_without_two_steps_in_a_row(self, path):
        steps = tuple(Step(i, BinomialParams([p], [1.0]), 0.0) for i, p in enumerate(path))
        assert np.isnan(linear_rate(Trace(steps, Status.CONVERGED)))

    def test_two_steps_in_a_row_suffice(self):
        path = [0.5, 0.7, 0.8, 0.8]
        steps = tuple(Step(i, BinomialParams([p], [1.0]), 0.0) for i, p in enumerate(path))
        assert linear_rate(Trace(steps, Status.CONVERGED)) == pytest.approx(0.5)


class TestSameSolutions:
    def test_best_is_first_and_worse_follow(self):
        a, b, c = ([0.1, 0.2], [0.3, 0.4], [0.5, 0.6])
        traces = [
            ended(BinomialParams(p, [0.5, 0.5]), objective)
            for p, objective in ((a, -7.0), (b, -3.0), (c, -5.0), (a, -7.0), (b, -3.0))
        ]
        assert same_solutions(traces) == [2, 0, 1, 2, 0]

    def test_order_of_the_components_does_not_count(self):
        params = GaussianParams([3.0, -1.0, 8.0], [1.0, 2.0, 3.0], [0.2, 0.3, 0.5])
        orders = ([0, 1, 2], [2, 0, 1], [1, 0, 2])
        assert same_solutions([ended(params.relabel(order)) for order in orders]) == [0, 0, 0]

    def test_every_parameter_goes_with_its_component(self):
        # The same numbers, but paired otherwise.
        traces = [
            ended(GaussianParams([0.0, 5.0], stds, weights))
            for stds, weights in (
                ([1.0, 2.0], [0.3, 0.7]),
                ([2.0, 1.0], [0.3, 0.7]),
                ([1.0, 2.0], [0.7, 0.3]),
            )
        ]
        assert sorted(same_solutions(traces)) == [0, 1, 2]

    def test_points_in_the_plane(self):
        a = KMeansParams([[0.0, 1.0], [0.0, -1.0], [5.0, 5.0]])
        b = KMeansParams([[0.0, 1.0], [0.0, -2.0], [5.0, 5.0]])
        traces = [ended(a, -1.0), ended(a.relabel([1, 2, 0]), -1.0), ended(b, -2.0)]
        assert same_solutions(traces) == [0, 0, 1]

    def test_components_that_agree_in_their_first_parameter(self):
        # Two bells around one centre, which rounding puts now in this order, now in that.
        inner_first, outer_first = (
            GaussianParams([*means, 9.0], [1.0, 5.0, 1.0], [0.5, 0.2, 0.3])
            for means in ([0.0, 1e-9], [1e-9, 0.0])
        )
        assert same_solutions([ended(inner_first), ended(outer_first)]) == [0, 0]

    @pytest.mark.parametrize(("difference", "numbers"), [(0.5e-3, [0, 0]), (2e-3, [0, 1])])
    @pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
    def test_tolerance_is_relative_to_the_largest(self, difference, numbers, scale):
        traces = [
            ended(KMeansParams([[scale * x], [0.0]]), objective)
            for x, objective in ((1.0, -1.0), (1.0 - difference, -2.0))
        ]
        assert same_solutions(traces) == numbers

    @pytest.mark.parametrize("objective", [np.inf, -np.inf, np.nan, 5.0])
    def test_without_a_finite_end_comes_last(self, objective):
        sound, worse = (
            ended(BinomialParams([p], [1.0]), value) for p, value in ((0.2, -3.0), (0.3, -1e300))
        )
        degenerate = ended(BinomialParams([0.9], [1.0]), objective, Status.NON_FINITE)
        assert same_solutions([degenerate, worse, sound]) == [2, 1, 0]

    def test_parameters_that_are_not_numbers_are_nobodys_equal(self):
        broken = [
            ended(BinomialParams([np.nan, 0.5], [0.5, 0.5]), np.nan, Status.NON_FINITE)
            for _ in range(2)
        ]
        sound = ended(BinomialParams([0.5, 0.5], [0.5, 0.5]), -3.0)
        assert same_solutions([broken[0], sound, broken[1]]) == [1, 0, 2]

    def test_no_runs_no_numbers(self):
        assert same_solutions([]) == []

    def test_of_real_runs(self):
        rng = np.random.default_rng(3)
        data = rng.uniform(size=(60, 2))
        guesses = [kmeans.guess_from_points(data, 4, rng=rng) for _ in range(40)]
        traces = fit_restarts(KMeans(), data, guesses, tol=0)
        numbers = same_solutions(traces)
        # Runs that end alike share their points out alike, whatever the centroids' order.
        cut = [
            frozenset(map(tuple, KMeans().e_step(data, t.final.params).responsibilities.T))
            for t in traces
        ]
        assert len(set(zip(cut, numbers, strict=True))) == len(set(cut)) == len(set(numbers))
        # The number says how good a solution is.
        ends = sorted(zip(numbers, (t.final.objective for t in traces), strict=True))
        best_of = [max(o for n, o in ends if n == number) for number in range(max(numbers) + 1)]
        assert best_of == sorted(best_of, reverse=True)
        assert 3 < len(best_of) < len(traces)


SAME_FOR_ALL = np.repeat([1, 0], [193, 307])


class TestMapEigenvalues:
    def test_of_a_saddle_that_one_path_takes_for_a_quick_optimum(self):
        data, start = [1.0, 2.0, 3.0], GaussianParams([1, 3], [1, 1], [0.5, 0.5])
        trace = fit(GaussianMixture(), data, start, tol=0)
        found = map_eigenvalues(GaussianMixture(), data, trace.final.params)
        np.testing.assert_allclose(found[:3], [1.19359, 0.16681, 0.06174], atol=1e-5)
        assert linear_rate(trace) == pytest.approx(found[1], abs=1e-3)
        assert flat_directions(GaussianMixture(), data, trace.final.params) == 0

    @pytest.mark.parametrize("a", [0.772, 0.6, 0.386, 0.1])
    def test_one_toss_a_trial_is_a_ridge(self, a):
        params = BinomialParams([a, 0.772 - a], [0.5, 0.5])
        assert flat_directions(BinomialMixture(1), SAME_FOR_ALL, params) == 1

    def test_equal_coins_are_no_ridge(self):
        params = BinomialParams([0.66, 0.66], [0.5, 0.5])
        found = map_eigenvalues(COINS, HEADS, params)
        # Variance of the share of heads, in units of that of ten tosses.
        expected = np.var(HEADS / 10) / (0.66 * 0.34 / 10)
        np.testing.assert_allclose(found, [expected, 0], atol=1e-6)

    def test_components_that_coincide_may_shift_their_weight(self):
        data = np.random.default_rng(1).normal(size=300)
        mean, std = data.mean(), data.std()
        params = GaussianParams([mean, mean], [std, std], [0.3, 0.7])
        assert flat_directions(GaussianMixture(), data, params) == 1

    @pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
    def test_slow_is_not_flat(self, scale):
        rng = np.random.default_rng(1)
        data = scale * np.concatenate([rng.normal(0, 1, 500), rng.normal(2.5, 1, 500)])
        start = GaussianParams([0, 2.5 * scale], [scale, scale], [0.5, 0.5])
        trace = fit(GaussianMixture(), data, start, tol=0, max_iter=5_000)
        found = map_eigenvalues(GaussianMixture(), data, trace.final.params)
        assert found[0] == pytest.approx(linear_rate(trace), abs=1e-4)
        assert flat_directions(GaussianMixture(), data, trace.final.params) == 0

    @pytest.mark.parametrize(("offset", "accuracy"), [(1e4, 1e-7), (1e6, 1e-6), (1e8, 1e-5)])
    def test_offset_of_the_data_costs_what_is_said(self, offset, accuracy):
        data = simulate([0, 4], [1, 1], [200, 200], rng=np.random.default_rng(1)).data
        found = []
        for shift in (0.0, offset):
            start = GaussianParams([shift, shift + 4], [1, 1], [0.5, 0.5])
            trace = fit(GaussianMixture(), data + shift, start, tol=0, max_iter=5_000)
            found.append(map_eigenvalues(GaussianMixture(), data + shift, trace.final.params))
        np.testing.assert_allclose(found[1], found[0], atol=accuracy)

    @pytest.mark.parametrize("off", [1e-6, 1e-4])
    def test_off_the_fixed_point_they_are_off_by_as_much(self, off):
        data = simulate([0, 4], [1, 1], [200, 200], rng=np.random.default_rng(1)).data
        start = GaussianParams([0, 4], [1, 1], [0.5, 0.5])
        at = fit(GaussianMixture(), data, start, tol=0, max_iter=5_000).final.params
        beside = GaussianParams(at.means + off, at.stds * (1 + off), at.weights)
        there, here = (map_eigenvalues(GaussianMixture(), data, p) for p in (beside, at))
        assert 0.1 * off < np.abs(there - here).max() < 2 * off

    def test_of_k_means_are_zero(self):
        data = np.random.default_rng(1).normal(size=(600, 2))
        params = fit(KMeans(), data, KMeansParams(data[:4]), tol=0).final.params
        np.testing.assert_allclose(map_eigenvalues(KMeans(), data, params), np.zeros(8), atol=1e-5)


class TestFlatDirections:
    @pytest.mark.parametrize("estimate_weights", [False, True])
    def test_dead_coin_could_be_anything(self, estimate_weights):
        model = BinomialMixture(10, estimate_weights)
        assert flat_directions(model, HEADS, BinomialParams([0.66, 0.3], [1, 0])) == 1
        # Without it the other coin is told by the data.
        assert flat_directions(model, HEADS, BinomialParams([0.66], [1.0])) == 0

    def test_dead_gaussian_could_be_anything_in_two_parameters(self):
        params = GaussianParams([HEADS.mean(), 1e4], [HEADS.std(), 1], [1, 0])
        assert flat_directions(GaussianMixture(), HEADS, params) == 2

    def test_coin_at_zero_that_cannot_have_made_any_trial_is_on_a_brink(self):
        # EM leaves it there, and takes it far away from any number above.
        trace = fit(COINS, HEADS, BinomialParams([0.6, 0.0], [0.5, 0.5]), tol=0)
        assert map_eigenvalues(COINS, HEADS, trace.final.params)[0] > 1_000
        assert flat_directions(COINS, HEADS, trace.final.params) == 0

    @pytest.mark.parametrize("corner", [0.0, 1.0])
    def test_corner_of_heads_only_is_an_ordinary_top(self, corner):
        data = np.full(4, 10 * corner)
        params = BinomialParams([corner, corner], [0.5, 0.5])
        assert flat_directions(COINS, data, params) == 0

    def test_coin_at_zero_beside_another(self):
        data = [0, 0, 0, 7, 8]
        trace = fit(COINS, data, BinomialParams([0.0, 0.7], [0.5, 0.5]), tol=0)
        assert trace.final.params.heads_prob[0] == 0
        assert flat_directions(COINS, data, trace.final.params) == 0

    def test_assignments_by_winner_are_nowhere_flat(self):
        trace = fit(HardEM(COINS), HEADS, START, tol=0)
        found = map_eigenvalues(HardEM(COINS), HEADS, trace.final.params)
        assert found.tolist() == [0, 0]
        assert flat_directions(HardEM(COINS), HEADS, trace.final.params) == 0

    @pytest.mark.parametrize(("estimate_weights", "flat"), [(True, 1), (False, 0)])
    def test_two_tosses_do_not_tell_three_numbers(self, estimate_weights, flat):
        # Shares of 0, 1 and 2 heads are two numbers; two coins and a weight are three.
        model = BinomialMixture(2, estimate_weights=estimate_weights)
        truth = BinomialParams([0.8, 0.2], [0.5, 0.5])
        data = BinomialMixture(2).simulate(truth, 500, rng=np.random.default_rng(1)).data
        trace = fit(model, data, truth, tol=0, max_iter=50_000)
        assert trace.converged
        assert flat_directions(model, data, trace.final.params) == flat

    def test_two_of_three_gaussians_that_are_one(self):
        rng = np.random.default_rng(1)
        data = np.concatenate([rng.normal(0, 1, 200), rng.normal(8, 1, 200)])
        start = GaussianParams([0, 8, 8], [1, 1, 1], [0.5, 0.2, 0.3])
        trace = fit(GaussianMixture(), data, start, tol=0, max_iter=2_000)
        assert trace.notes == ("Components 1 and 2 coincide: to the data they are one.",)
        assert flat_directions(GaussianMixture(), data, trace.final.params) == 1
        start = GaussianParams([0, 8], [1, 1], [0.5, 0.5])
        trace = fit(GaussianMixture(), data, start, tol=0, max_iter=2_000)
        assert flat_directions(GaussianMixture(), data, trace.final.params) == 0


class TestEquallyGood:
    def test_goes_by_the_objective_alone(self):
        traces = [
            ended(BinomialParams([p], [1.0]), objective)
            for p, objective in ((0.1, -7.0), (0.2, -3.0), (0.9, -3.0 - 1e-7), (0.5, -7.1))
        ]
        assert equally_good(traces, atol=1e-6) == [1, 0, 0, 2]
        assert equally_good(traces, atol=1e-8) == [2, 0, 1, 3]

    def test_without_a_finite_end_comes_last(self):
        broken = [ended(START, value, Status.NON_FINITE) for value in (np.nan, np.inf)]
        assert equally_good([broken[0], ended(START, -3.0), broken[1]], atol=1) == [1, 0, 1]
        assert equally_good([], atol=1) == []
