import math
import re
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from contract import (
    AffineContract,
    assert_params_close,
    assert_tuples_close,
    first_steps,
    for_many_seeds,
    weighted_sums,
)
from simulated import values as simulate
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as PeerMixture

from em_core import GaussianMixture, GaussianParams, HardEM, Status, fit, fit_labelled
from em_core.data import old_faithful
from em_core.diagnostics import flat_directions, linear_rate, map_eigenvalues
from em_core.models.gaussian_mixture import (
    GaussianStatistics,
    about_new_means,
    guess_from_points,
    guess_integers,
)

generator = np.random.default_rng
ONE = GaussianParams([0.0], [1.0], [1.0])
TWO = GaussianParams([0.0, 1.0], [1.0, 1.0], [0.5, 0.5])


class GaussianCase:
    shares = (0.5, 0.3, 0.2)
    floor = 0.0
    estimate_weights = True
    stds = "free"
    true_stds = (1.0, 0.7, 1.5)
    model = GaussianMixture()

    def sample(self, rng, n, separation=1.0):
        sizes = np.diff(np.round(np.cumsum([0.0, *self.shares]) * n).astype(int))
        return simulate(separation * np.array([-3, 0, 4]), self.true_stds, sizes, rng=rng)

    def guess(self, data, rng):
        return guess_from_points(data, 3, rng=rng)

    def term(self, x, params, k):
        mean, std, weight = params.means[k], params.stds[k], params.weights[k]
        log_density = -((x - mean) ** 2) / (2 * std**2) - math.log(std * math.sqrt(2 * math.pi))
        return math.log(weight) + log_density

    def naive_m_step(self, data, responsibilities, previous):
        counts = weighted_sums(np.ones(len(data)), responsibilities)
        totals = weighted_sums(data, responsibilities)
        means, stds = previous.means.copy(), previous.stds.copy()
        squares = np.zeros(len(counts))
        for k in np.flatnonzero(counts):
            means[k] = totals[k] / counts[k]
            squares[k] = weighted_sums((data - means[k]) ** 2, responsibilities)[k]
            if self.stds == "free":
                stds[k] = max(math.sqrt(squares[k] / counts[k]), self.floor)
        if self.stds == "common":
            stds[:] = max(math.sqrt(math.fsum(squares) / math.fsum(counts)), self.floor)
        weights = counts / len(data) if self.estimate_weights else previous.weights
        return GaussianParams(means, stds, weights)

    def nudge(self, params, rng, size):
        means = params.means + size * rng.normal(size=3)
        wider = {"free": rng.normal(size=3), "common": rng.normal(), "known": 0.0}[self.stds]
        stds = np.maximum(params.stds * np.exp(size * wider), self.floor)
        weights = params.weights * np.exp(self.estimate_weights * size * rng.normal(size=3))
        return GaussianParams(means, stds, weights / weights.sum())

    def standard_errors(self, truth, n):
        counts = n * truth.weights
        return {
            "means": truth.stds / np.sqrt(counts),
            "stds": truth.stds / np.sqrt(2 * counts),
            "weights": np.sqrt(truth.weights * (1 - truth.weights) / n),
        }

    def moved(self, params, shift, scale):
        return GaussianParams(scale * params.means + shift, scale * params.stds, params.weights)

    def model_in_units(self, scale):
        return GaussianMixture(scale * self.floor, self.estimate_weights, self.stds)


class EqualWeightsCase(GaussianCase):
    shares = (1 / 3, 1 / 3, 1 / 3)
    estimate_weights = False
    model = GaussianMixture(estimate_weights=False)

    def standard_errors(self, truth, n):
        errors = super().standard_errors(truth, n)
        del errors["weights"]
        return errors


class FloorCase(GaussianCase):
    floor = 0.9  # above one of the true deviations
    model = GaussianMixture(min_std=floor)

    def standard_errors(self, truth, n):
        errors = super().standard_errors(truth, n)
        # A deviation below the floor cannot be recovered.
        errors["stds"] = np.maximum(errors["stds"], self.floor - truth.stds)
        return errors


class CommonCase(GaussianCase):
    stds = "common"
    true_stds = (0.9, 0.9, 0.9)
    model = GaussianMixture(stds="common")

    def standard_errors(self, truth, n):
        errors = super().standard_errors(truth, n)
        return {**errors, "stds": truth.stds / np.sqrt(2 * n)}


class CommonFloorCase(CommonCase):
    floor = 1.1
    model = GaussianMixture(floor, stds="common")

    def standard_errors(self, truth, n):
        errors = super().standard_errors(truth, n)
        return {**errors, "stds": self.floor - truth.stds}


class KnownCase(GaussianCase):
    stds = "known"
    model = GaussianMixture(stds="known")

    def guess(self, data, rng):
        drawn = super().guess(data, rng)
        return replace(drawn, means=np.sort(drawn.means), stds=self.true_stds)

    def standard_errors(self, truth, n):
        errors = super().standard_errors(truth, n)
        return {**errors, "stds": 0.0}


class TestGaussianMixture(GaussianCase, AffineContract):
    pass


class TestGaussianMixtureWithEqualWeights(EqualWeightsCase, AffineContract):
    pass


class TestGaussianMixtureWithFloor(FloorCase, AffineContract):
    pass


class TestGaussianMixtureWithACommonStd(CommonCase, AffineContract):
    pass


class TestGaussianMixtureWithACommonStdAndFloor(CommonFloorCase, AffineContract):
    pass


class TestGaussianMixtureWithKnownStds(KnownCase, AffineContract):
    pass


@for_many_seeds(10)
def test_statistics_agree_with_loops(seed):
    rng = np.random.default_rng(seed)
    data, responsibilities = rng.normal(size=30), rng.dirichlet(np.ones(2), size=30)
    found = GaussianMixture().statistics(data, TWO, responsibilities)
    deviations = data[:, None] - TWO.means
    naive = GaussianStatistics(
        counts=weighted_sums(np.ones(30), responsibilities),
        deviations=np.diag(weighted_sums(deviations, responsibilities)),
        squared_deviations=np.diag(weighted_sums(deviations**2, responsibilities)),
    )
    assert_tuples_close(found, naive, atol=1e-13)


def peer_after(data, init, iterations, covariance):
    precisions = 1 / init.stds[:, None] ** 2
    peer = PeerMixture(
        init.n_components,
        covariance_type=covariance,
        reg_covar=0,
        tol=0,
        max_iter=iterations,
        weights_init=init.weights,
        means_init=init.means[:, None],
        precisions_init=precisions if covariance == "diag" else precisions[:1],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(data[:, None])
    return peer


@pytest.mark.parametrize(
    ("means", "stds", "sizes", "start"),
    [
        # The article's example, and integers as it might draw them.
        ([-10, 30, 3], [3, 7, 5], [1000] * 3, ([-20, 5, 25], [4, 9, 2])),
        ([0, 1], [1, 2], [5000, 15000], ([-1, 3], [1, 1])),
        ([0, 2, 4, 6], [1, 1, 1, 1], [2000, 5000, 1000, 9000], ([-1, 0, 1, 9], [3, 1, 1, 3])),
        ([-1, 1], [0.5, 0.5], [60, 40], ([0.1, 0.2], [1, 1])),
    ],
    ids=["article", "20,000 points", "four components", "100 points"],
)
@pytest.mark.parametrize(("kind", "covariance"), [("free", "diag"), ("common", "tied")])
def test_trajectory_is_that_of_scikit_learn(kind, covariance, means, stds, sizes, start):
    data = simulate(means, stds, sizes, rng=np.random.default_rng(1)).data
    k = len(means)
    init = GaussianParams(*start, np.full(k, 1 / k))
    if kind == "common":
        init = replace(init, stds=np.full(k, init.stds.min()))
    steps = first_steps(GaussianMixture(stds=kind), data, init, 32)
    gained = np.diff([step.objective for step in steps])[-1]
    assert gained > 1e-7  # still moving
    for iteration in (1, 7, 30):
        peer, step = peer_after(data, init, iteration, covariance), steps[iteration]
        assert peer.n_iter_ == iteration
        variances = np.broadcast_to(peer.covariances_.ravel(), k)
        expected = GaussianParams(peer.means_[:, 0], np.sqrt(variances), peer.weights_)
        assert_params_close(step.params, expected, rtol=1e-9)
        assert step.objective == pytest.approx(peer.score_samples(data[:, None]).sum(), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_example_of_the_article_comes_close_to_the_truth(seed):
    rng = np.random.default_rng(seed)
    data, _, truth = simulate([-10, 30, 3], [3, 7, 5], [1000] * 3, rng=rng)
    assert data.shape == (3000,)
    init = GaussianParams([-20.0, 40.0, 0.0], [3.0, 5.0, 5.0], truth.weights)
    step = first_steps(GaussianMixture(estimate_weights=False), data, init, 21)[20]
    np.testing.assert_allclose(step.params.means, truth.means, atol=1)
    np.testing.assert_allclose(step.params.stds, truth.stds, atol=1)


def test_one_component_is_maximum_likelihood_in_one_step():
    data = np.array([1.0, 2.0, 6.0])
    step = first_steps(GaussianMixture(), data, ONE, 2)[1]
    assert_params_close(step.params, GaussianParams([3.0], [np.sqrt(14 / 3)], [1.0]), rtol=1e-14)
    n, variance = 3, 14 / 3
    expected = -n / 2 * (math.log(2 * math.pi * variance) + 1)
    assert step.objective == pytest.approx(expected, rel=1e-14)


def test_hand_worked_step():
    # By symmetry each component takes the share s of its own side and 1 - s of the other.
    data, init = np.array([-1.0, 1.0]), GaussianParams([-1.0, 1.0], [1.0, 1.0], [0.5, 0.5])
    s = 1 / (1 + math.exp(-2))
    step = first_steps(GaussianMixture(), data, init, 2)[1]
    mean, std = 2 * s - 1, math.sqrt(1 - (2 * s - 1) ** 2)
    assert_params_close(
        step.params, GaussianParams([-mean, mean], [std, std], [0.5, 0.5]), rtol=1e-14
    )


def test_textbook_exercise_with_known_stds():
    init = GaussianParams([-2.0, 2.0], [1.0, 1.0], [0.5, 0.5])
    model = GaussianMixture(estimate_weights=False, stds="known")
    steps = first_steps(model, np.array([-1.0, 1.0]), init, 4)
    for step, mean in zip(steps, (2, 0.96402758, 0.74606800, 0.63279732), strict=True):
        np.testing.assert_allclose(step.params.means, [-mean, mean], atol=0.5e-8)
        assert step.params.stds.tolist() == [1, 1]
    # By hand: mu becomes tanh(mu).
    assert steps[1].params.means[1] == pytest.approx(math.tanh(2), rel=1e-15)
    # About 0 a step is mu - mu^3 / 3, slower than any factor: mu^2 is about 3 / (2 t) after t.
    trace = fit(model, np.array([-1.0, 1.0]), init, tol=0, max_iter=10_000)
    assert trace.final.params.means[1] == pytest.approx(math.sqrt(1.5 / 10_000), rel=0.01)


WAITING = old_faithful().column("waiting")


def test_waiting_times_of_old_faithful():
    init = GaussianParams([50.0, 80.0], [10.0, 10.0], [0.5, 0.5])
    trace = fit(GaussianMixture(), WAITING, init, tol=0, max_iter=500)
    first = trace.steps[1]
    np.testing.assert_allclose(first.params.means, [54.92858041, 79.29581234], atol=0.5e-8)
    assert first.objective == pytest.approx(-1041.63480030, abs=0.5e-8)
    assert trace.converged
    found = trace.final.params
    np.testing.assert_allclose(found.means, [54.61485614, 80.09106940], atol=0.5e-8)
    np.testing.assert_allclose(found.stds, [5.87121941, 5.86773442], atol=0.5e-8)
    assert found.weights[0] == pytest.approx(0.36088607, abs=0.5e-8)
    assert trace.final.objective == pytest.approx(-1034.00174983, abs=0.5e-8)
    assert linear_rate(trace) == pytest.approx(0.65805, abs=0.5e-5)
    one = fit(GaussianMixture(), WAITING, GaussianParams([70.0], [10.0], [1.0]), tol=0)
    assert one.final.objective == pytest.approx(-1095.28880050, abs=0.5e-8)


def test_one_component_has_its_std_in_common_with_none():
    init = GaussianParams([70.0], [10.0], [1.0])
    free, common = (
        first_steps(GaussianMixture(stds=stds), WAITING, init, 3) for stds in ("free", "common")
    )
    for ours, theirs in zip(common, free, strict=True):
        assert_params_close(ours.params, theirs.params, rtol=1e-14)


def test_a_common_std_pools_groups_of_any_size():
    # Deviations of 1 and 3 from their means, of four values and of two.
    data = np.array([-1.0, 1.0, -1.0, 1.0, 97.0, 103.0])
    init = GaussianParams([0.0, 100.0], [5.0, 5.0], [0.5, 0.5])
    step = first_steps(GaussianMixture(stds="common"), data, init, 2)[1]
    expected = GaussianParams([0.0, 100.0], [math.sqrt((4 + 18) / 6)] * 2, [2 / 3, 1 / 3])
    assert_params_close(step.params, expected, atol=1e-14)


def test_a_common_std_with_the_labels_known_is_that_within_groups():
    data, labels = np.array([1.0, 3.0, 10.0, 20.0, 30.0]), np.array([0, 0, 1, 1, 1])
    init = GaussianParams([0.0, 1.0], [1.0, 1.0], [0.5, 0.5])
    found = fit_labelled(GaussianMixture(stds="common"), data, labels, init)
    within = math.sqrt((2 * 1 + 2 * 100) / 5)
    assert_params_close(found, GaussianParams([2.0, 20.0], [within] * 2, [0.4, 0.6]))
    known = fit_labelled(GaussianMixture(stds="known"), data, labels, init)
    assert_params_close(known, GaussianParams([2.0, 20.0], [1.0, 1.0], [0.4, 0.6]))


def test_with_a_common_std_a_component_without_data_keeps_its_mean_only():
    data = np.array([1.0, 2.0, 6.0])
    init = GaussianParams([3.0, 1e6], [2.0, 2.0], [0.5, 0.5])
    trace = fit(GaussianMixture(stds="common"), data, init, tol=0)
    assert trace.converged
    expected = GaussianParams([3.0, 1e6], [np.sqrt(14 / 3)] * 2, [1.0, 0.0])
    assert_params_close(trace.final.params, expected, rtol=1e-14)


def test_with_a_common_std_unseen_data_out_of_reach_do_no_harm():
    # Its squared distance from the data overflows, times a share of 0.
    data = np.array([1.0, 2.0, 6.0])
    init = GaussianParams([3.0, 1e160], [2.0, 2.0], [0.5, 0.5])
    step = first_steps(GaussianMixture(stds="common"), data, init, 2)[1]
    assert step.params.stds.tolist() == pytest.approx([np.sqrt(14 / 3)] * 2)


@pytest.mark.parametrize("stds", ["common", "known"])
def test_eigenvalues_of_the_other_kinds(stds):
    data = simulate([0, 2.5], [1, 1], [300, 200], rng=np.random.default_rng(1)).data
    model, start = GaussianMixture(stds=stds), GaussianParams([0, 2], [1, 1], [0.5, 0.5])
    trace = fit(model, data, start, tol=0, max_iter=5_000)
    found = map_eigenvalues(model, data, trace.final.params)
    assert found[0] == pytest.approx(linear_rate(trace), abs=1e-4)
    # Known ones are held; of two in common, and of two weights, one is in excess.
    assert len(found) == {"common": 6, "known": 4}[stds]
    n_free = model.n_parameters(start)
    np.testing.assert_allclose(found[n_free:], 0, atol=1e-5)
    assert flat_directions(model, data, trace.final.params) == 0


def test_equal_components_stay_equal():
    data = np.array([1.0, 2.0, 6.0])
    init = GaussianParams([0.0, 0.0], [2.0, 2.0], [0.3, 0.7])
    trace = fit(GaussianMixture(), data, init, tol=0)
    assert trace.converged
    saddle = GaussianParams([3.0, 3.0], [np.sqrt(14 / 3)] * 2, [0.3, 0.7])
    assert_params_close(trace.final.params, saddle, rtol=1e-14)


# Two observations of one value, apart from the rest: the second component narrows onto them.
COLLAPSING = np.array([0.0, 1.0, 2.0, 10.0, 10.0])
ON_TEN = GaussianParams([1.0, 10.0], [1.0, 0.1], [0.5, 0.5])


def test_collapse_without_a_floor_is_not_finite():
    trace = fit(GaussianMixture(), COLLAPSING, ON_TEN)
    assert trace.status is Status.NON_FINITE
    assert not trace.converged
    assert "collapsed onto a single value" in trace.message
    assert "set a floor" in trace.message
    assert np.isfinite(trace.objectives[:-1]).all()
    assert not np.isfinite(trace.final.objective)
    assert trace.final.params.stds[1] == 0


def test_collapse_with_a_floor_is_finite():
    trace = fit(GaussianMixture(min_std=0.05), COLLAPSING, ON_TEN, tol=0)
    assert trace.converged
    expected = GaussianParams([1.0, 10.0], [np.sqrt(2 / 3), 0.05], [0.6, 0.4])
    assert_params_close(trace.final.params, expected)
    assert (np.diff(trace.objectives) >= 0).all()


def test_collapse_by_way_of_a_single_point():
    data = np.array([-0.3, 0.1, 0.2, 0.4, 7.1])
    init = GaussianParams([0.0, 7.0], [0.3, 0.5], [0.8, 0.2])
    assert fit(GaussianMixture(), data, init, tol=0).status is Status.NON_FINITE
    assert fit(GaussianMixture(min_std=1e-3), data, init, tol=0).status is Status.CONVERGED


def test_a_common_std_does_not_collapse_onto_one_value():
    trace = fit(GaussianMixture(stds="common"), COLLAPSING, replace(ON_TEN, stds=[1, 1]), tol=0)
    assert trace.converged
    np.testing.assert_allclose(trace.final.params.stds, math.sqrt(2 / 5))


@pytest.mark.parametrize(
    "model", [GaussianMixture, lambda *a, **b: HardEM(GaussianMixture(*a, **b))]
)
def test_a_common_std_collapses_once_all_values_lie_on_the_means(model):
    data, init = np.array([0.0, 0.0, 5.0]), GaussianParams([1.0, 4.0], [1.0, 1.0], [0.5, 0.5])
    trace = fit(model(stds="common"), data, init, tol=0)
    assert trace.status is Status.NON_FINITE
    assert "Every observation lies on the mean of a component" in trace.message
    assert "A component has collapsed" not in trace.message
    assert trace.final.params.stds.tolist() == [0, 0]
    held = fit(model(0.25, stds="common"), data, init, tol=0)
    assert held.converged
    expected = GaussianParams([0, 5], [0.25, 0.25], [2 / 3, 1 / 3])
    assert_params_close(held.final.params, expected, atol=1e-14)


@pytest.mark.parametrize("data", [[3.0], [0.1] * 7, COLLAPSING])
def test_known_stds_never_collapse(data):
    trace = fit(GaussianMixture(stds="known"), data, ON_TEN, tol=0, max_iter=500)
    assert trace.converged
    assert trace.final.params.stds.tolist() == [1.0, 0.1]


def test_known_stds_that_are_too_small_for_the_data_are_told():
    trace = fit(GaussianMixture(stds="known"), [1e200, 2e200], ONE)
    assert trace.status is Status.NON_FINITE
    assert "out of the range of floating-point numbers" in trace.message


# Their mean is not always their common value in floating point: the last digit must not be taken
# for a deviation, nor hold up the collapse.
@pytest.mark.parametrize("tol", [0, 1e-6])
@for_many_seeds(50)
def test_identical_points(tol, seed):
    rng = np.random.default_rng(seed)
    n, value = rng.integers(1, 30), rng.normal() * 10.0 ** rng.integers(-3, 9)
    data = np.full(n, value)
    init = GaussianParams([rng.normal()], [rng.uniform(0.5, 5)], [1.0])
    assert fit(GaussianMixture(), data, init, tol=tol).status is Status.NON_FINITE
    trace = fit(GaussianMixture(min_std=0.5), data, init, tol=tol)
    assert trace.converged
    assert trace.final.params == GaussianParams([value], [0.5], [1.0])
    expected = -n * math.log(0.5 * math.sqrt(2 * math.pi))
    assert trace.final.objective == pytest.approx(expected, rel=1e-13)


def test_identical_points_shared_by_two_components():
    data = np.full(7, 0.1)
    assert fit(GaussianMixture(), data, TWO, tol=0).status is Status.NON_FINITE
    trace = fit(GaussianMixture(min_std=0.5), data, TWO, tol=0)
    assert trace.converged
    np.testing.assert_allclose(trace.final.params.means, 0.1, rtol=1e-15)
    assert trace.final.params.stds.tolist() == [0.5, 0.5]


def test_one_point():
    assert fit(GaussianMixture(), [3.0], ONE).status is Status.NON_FINITE
    trace = fit(GaussianMixture(min_std=2), [3.0], GaussianParams([0.0], [5.0], [1.0]))
    assert trace.final.params == GaussianParams([3.0], [2.0], [1.0])


def test_more_components_than_points():
    init = GaussianParams([-1.0, 0.0, 1.0, 2.0], [1.0] * 4, [0.25] * 4)
    trace = fit(GaussianMixture(min_std=0.1), [0.0, 5.0], init, max_iter=500)
    assert trace.converged
    assert np.isfinite(trace.final.objective)


@for_many_seeds(10)
def test_far_away_start(seed):
    data = np.random.default_rng(seed).normal(1e8, 1.0, size=1000)
    step = first_steps(GaussianMixture(), data, ONE, 4)[3]
    ulp = np.spacing(1e8)
    assert step.params.means[0] == pytest.approx(math.fsum(data) / 1000, abs=2 * ulp)
    assert step.params.stds[0] == pytest.approx(data.std(), rel=1e-9)
    assert fit(GaussianMixture(), data, ONE).converged


def test_deviation_survives_a_long_move_of_the_mean():
    data = np.random.default_rng(2).normal(1e4, 1.0, size=1000)
    step = first_steps(GaussianMixture(), data, ONE, 2)[1]
    assert step.params.stds[0] == pytest.approx(data.std(), rel=1e-7)  # 1e8 times the precision


@for_many_seeds(10)
def test_variances_about_new_means_are_the_plain_formula(seed):
    rng = np.random.default_rng(seed)
    data, shares, old = rng.normal(size=40), rng.uniform(size=40), rng.normal()
    mean = shares @ data / shares.sum()
    plain = shares @ (data - mean) ** 2 / shares.sum()
    found = about_new_means(
        np.array([mean - old]), np.array([shares @ (data - old) ** 2 / shares.sum()])
    )
    np.testing.assert_allclose(found, [plain], rtol=1e-12)


def test_variances_about_new_means_after_a_long_move_are_no_rounding_error():
    # The true variance is 1, of which 1e8 from the old mean no digit is left.
    moves, squares = np.array([1e8, 1e8]), np.array([1e16, 1e16 - 2])
    assert (squares - moves**2 <= 0).all()
    found = about_new_means(moves, squares)
    assert (found > 1).all()
    assert (found < 1e-11 * squares).all()
    # So the first step from far away is no collapse, and the second has the digits.
    data = 1e8 + np.array([-1.0, 1.0])
    steps = first_steps(GaussianMixture(), data, ONE, 3)
    assert steps[1].params.stds[0] > 1
    assert_params_close(steps[2].params, GaussianParams([1e8], [1.0], [1.0]), rtol=1e-14)


def test_far_away_start_of_two_components():
    data = simulate([1e8, 1e8 + 20], [1, 1], [50, 50], rng=np.random.default_rng(2)).data
    trace = fit(GaussianMixture(), data, TWO, max_iter=500)
    assert trace.converged
    assert np.isfinite(trace.objectives).all()


def test_too_far_away_start_is_not_finite():
    trace = fit(GaussianMixture(), [1e200, 2e200], ONE)
    assert (trace.status, trace.n_iter) == (Status.NON_FINITE, 0)
    assert "out of the range of floating-point numbers" in trace.message
    assert "collapsed" not in trace.message
    assert "floor" not in trace.message


def test_component_of_weight_zero_stays():
    data = np.array([1.0, 2.0, 6.0])
    init = GaussianParams([0.0, 2.0], [1.0, 0.5], [1.0, 0.0])
    trace = fit(GaussianMixture(), data, init, tol=0)
    assert trace.converged
    expected = GaussianParams([3.0, 2.0], [np.sqrt(14 / 3), 0.5], [1.0, 0.0])
    assert_params_close(trace.final.params, expected, rtol=1e-14)


def test_component_whose_weight_underflows_does_not_collapse():
    data = np.array([0.0, 0.01, 0.02])
    init = GaussianParams([0.01, 0.012], [1.0, 0.5], [1.0, 1e-320])
    step = first_steps(GaussianMixture(), data, init, 2)[1]
    assert np.isfinite(step.objective)
    assert step.params.means[0] == pytest.approx(0.01, rel=1e-14)
    assert (step.params.means[1], step.params.stds[1]) == (0.012, 0.5)


# From 37 to 39 standard deviations away, a share is a number with hardly any digits, or none.
@pytest.mark.parametrize("distance", np.arange(36, 40, 0.125))
def test_component_hardly_in_reach_does_no_harm(distance):
    data = np.array([-0.5, 0.0, 0.0, 0.5])
    init = GaussianParams([0.0, distance], [1.0, 1.0], [0.5, 0.5])
    trace = fit(GaussianMixture(min_std=0.1), data, init, max_iter=50)
    assert trace.converged
    np.testing.assert_allclose(trace.steps[1].params.means[0], 0, atol=1e-15)
    assert trace.steps[1].params.stds[0] == pytest.approx(data.std(), rel=1e-14)


def test_component_out_of_reach_stays():
    data = np.array([1.0, 2.0, 6.0])
    init = GaussianParams([3.0, 1e6], [2.0, 1.0], [0.5, 0.5])
    trace = fit(GaussianMixture(), data, init, tol=0)
    assert trace.converged
    expected = GaussianParams([3.0, 1e6], [np.sqrt(14 / 3), 1.0], [1.0, 0.0])
    assert_params_close(trace.final.params, expected, rtol=1e-14)


def test_weights_typed_with_six_digits():
    data = simulate([0, 5], [1, 1], [100, 50], rng=np.random.default_rng(3)).data
    optimum = fit(GaussianMixture(), data, TWO, tol=0, max_iter=1000).final.params
    # Rounded to a sum of 1.000001: what is above one must not count as likelihood.
    weights = np.round(optimum.weights, 6) + np.array([1e-6, 0])
    typed = GaussianParams(optimum.means, optimum.stds, weights)
    assert fit(GaussianMixture(), data, typed).converged


def test_whole_numbers_are_data_too():
    data = np.array([1, 2, 6, 7, 250], dtype=np.uint8)
    assert fit(GaussianMixture(1), data, TWO) == fit(GaussianMixture(1), data.astype(float), TWO)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stds": [1.0, 0.0]}, r"^stds must be finite and larger than 0, got 0.0 at \[1\]"),
        ({"stds": [-1.0, 1.0]}, r"^stds must be finite and larger than 0, got -1.0 at \[0\]"),
        ({"weights": [0.5, 0.6]}, r"^weights must sum to 1, got \[0.5 0.6\] with sum 1.1"),
        ({"weights": [-0.5, 1.5]}, r"^weights must lie between 0 and 1, got -0.5 at \[0\]"),
        ({"means": [[0.0], [1.0]]}, r"^means must have shape \(K,\).* got \(2, 1\)"),
        ({"stds": [[1.0], [1.0]]}, r"^stds must have shape \(K,\).* got \(2, 1\)"),
        ({"weights": [[0.5], [0.5]]}, r"^weights must have shape \(K,\).* got \(2, 1\)"),
    ],
)
def test_refuses_parameters_that_are_not_a_mixture(changes, message):
    with pytest.raises(ValueError, match=message):
        fit(GaussianMixture(), [1.0, 2.0], GaussianParams(**{**TWO.arrays(), **changes}))


def test_refuses_deviations_below_the_floor():
    # From there the first update could only lose likelihood.
    init = GaussianParams([0.0, 1.0], [1.0, 0.4], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"^stds must be at least min_std = 0.5, got 0.4 at \[1\]"):
        fit(GaussianMixture(min_std=0.5), [1.0, 2.0], init)


def test_refuses_a_common_std_that_is_not_the_same_for_all():
    message = (
        "stds of the initial guess must all be the same where stds='common', "
        "got 1.0 at [0] and 0.5 at [2]"
    )
    init = GaussianParams([0.0, 1.0, 2.0], [1.0, 1.0, 0.5], [0.5, 0.25, 0.25])
    for model in (GaussianMixture(stds="common"), HardEM(GaussianMixture(stds="common"))):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            fit(model, [1.0, 2.0], init)


def test_refuses_known_stds_below_the_floor():
    with pytest.raises(ValueError, match=r"^stds must be at least min_std = 2, got 1.0 at \[0\]"):
        fit(GaussianMixture(min_std=2, stds="known"), [1.0, 2.0], TWO)


def test_what_is_drawn_need_not_have_equal_stds():
    truth = GaussianParams([0.0, 100.0], [1.0, 5.0], [0.5, 0.5])
    assert len(GaussianMixture(stds="common").simulate(truth, 5, rng=generator(1)).data) == 5


@pytest.mark.parametrize("stds", ["tied", "", None, True, ["free"], "Common"])
def test_refuses_another_kind_of_stds(stds):
    message = f"stds must be 'free', 'common' or 'known', got {stds!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        GaussianMixture(stds=stds)


@pytest.mark.parametrize("min_std", [-0.1, np.nan, np.inf, "1", None, [1.0], True, 1j])
def test_refuses_bad_min_std(min_std):
    message = f"min_std must be a finite number, 0 or larger, got {min_std!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        GaussianMixture(min_std=min_std)


def test_simulate_draws_what_seeds_have_always_given():
    data, labels, truth = simulate([-10, 30, 3], [3, 7, 5], [3, 2, 2], rng=generator([1, 0]))
    assert data.tolist() == [
        -7.535145569496525,
        -8.963247423805642,
        20.877899378769474,
        5.231872861820056,
        0.3152338231985743,
        36.33749106671183,
        -9.008688771449838,
    ]
    assert labels.tolist() == [0, 0, 1, 2, 2, 1, 0]
    assert truth.weights.tolist() == [3 / 7, 2 / 7, 2 / 7]


def test_simulate_draws_labels_by_the_weights():
    truth = GaussianParams([0.0, 100.0], [1.0, 1.0], [0.2, 0.8])
    data, labels, told = GaussianMixture(min_std=2).simulate(truth, 20_000, rng=generator(1))
    assert told is truth
    np.testing.assert_array_equal(labels, data > 50)
    assert labels.mean() == pytest.approx(0.8, abs=5 * 0.4 / np.sqrt(20_000))


def test_simulate_refuses_another_number_of_sizes():
    with pytest.raises(ValueError, match=r"^size must have one entry for each of 2 .* \[5\]$"):
        GaussianMixture().simulate(TWO, [5], rng=generator(0))
    for rng in (None, 3, np.random.RandomState(1)):
        with pytest.raises(ValueError, match=r"^rng must be a numpy\.random\.Generator, "):
            GaussianMixture().simulate(TWO, 5, rng=rng)


@pytest.mark.parametrize(
    ("model", "number"),
    [
        (GaussianMixture(), 8),
        (GaussianMixture(estimate_weights=False), 6),
        (HardEM(GaussianMixture()), 8),
        (GaussianMixture(stds="common"), 6),
        (GaussianMixture(stds="common", estimate_weights=False), 4),
        (GaussianMixture(stds="known"), 5),
        (HardEM(GaussianMixture(stds="known", estimate_weights=False)), 3),
    ],
)
def test_free_parameters(model, number):
    params = GaussianParams([0, 1, 2], [1, 1, 1], [0.2, 0.3, 0.5])
    assert model.n_parameters(params) == number


def test_simulate_draws_from_the_truth():
    means, stds, sizes = [-10.0, 30.0, 3.0], [3.0, 7.0, 5.0], [1000, 2000, 4000]
    data, labels, truth = simulate(means, stds, sizes, rng=np.random.default_rng(4))
    assert data.shape == (7000,)
    assert np.bincount(labels).tolist() == sizes
    assert truth == GaussianParams(means, stds, np.array([1, 2, 4]) / 7)
    for k, size in enumerate(sizes):
        points = data[labels == k]
        assert points.mean() == pytest.approx(means[k], abs=5 * stds[k] / np.sqrt(size))
        assert points.std() == pytest.approx(stds[k], abs=5 * stds[k] / np.sqrt(2 * size))


@pytest.mark.parametrize(
    ("sizes", "got"),
    [([5, 0], "0"), ([5, -1], "-1"), ([5, 2.5], "2.5"), ([True, True], "True"), ("5", "'5'")],
)
def test_simulate_refuses_bad_sizes(sizes, got):
    with pytest.raises(ValueError, match=rf"^size must be a whole number, 1 or larger.*{got}"):
        GaussianMixture().simulate(TWO, sizes, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("means", "stds", "sizes", "message"),
    [
        ([], [], [], r"^size must have one entry per component, got \[\]"),
        ([0, 1], [1, 1], [5], r"^all parameters must have one entry per component, got .*: 1"),
        ([0, np.nan], [1, 1], [5, 5], r"^means must be finite, got nan at \[1\]"),
        ([0, 1], [1, 0], [5, 5], r"^stds must be finite and larger than 0, got 0.0 at \[1\]"),
        (["a", "b"], [1, 1], [5, 5], r"^means must be an array of numbers, got \['a', 'b'\]"),
    ],
)
def test_simulate_refuses_what_is_not_a_mixture(means, stds, sizes, message):
    with pytest.raises(ValueError, match=message):
        simulate(means, stds, sizes, rng=np.random.default_rng(0))


def test_integer_guess_is_the_article_s():
    data = np.array([-3.2, 0.0, 4.9])
    guess = guess_integers(data, 5000, rng=np.random.default_rng(5))
    # All whole numbers of each range, its ends included, and no others.
    assert set(guess.means) == set(range(-4, 6))
    assert set(guess.stds) == set(range(1, 10))
    np.testing.assert_allclose(guess.weights, 1 / 5000, rtol=1e-15)


@pytest.mark.parametrize("guess", [guess_from_points, guess_integers])
def test_guess_takes_whatever_holds_numbers(guess):
    data = [1, 2, 4, 9]
    guesses = [
        guess(given, 2, rng=np.random.default_rng(0))
        for given in (np.array(data, dtype=float), data, pd.Series(data, index=[7, 8, 9, 10]))
    ]
    assert guesses[0] == guesses[1] == guesses[2]
    with pytest.raises(ValueError, match=r"^data must be finite, got nan at \[1\]"):
        guess(pd.Series([5.0, np.nan, 7.0]), 2, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"^rng must be a numpy\.random\.Generator, "):
        guess(data, 2, rng=None)


def test_guess_from_points_takes_different_observations():
    data = np.array([1.0, 2.0, 4.0, 9.0])
    for seed in range(20):
        guess = guess_from_points(data, 4, rng=np.random.default_rng(seed))
        assert sorted(guess.means) == data.tolist()
        assert guess.stds.tolist() == [data.std()] * 4
        assert guess.weights.tolist() == [0.25] * 4


# Of three times 0.1 the mean is not 0.1 in floating point, and so the deviation is not 0.
@pytest.mark.parametrize("data", [[0.1] * 3, [5.0]])
def test_guess_from_points_refuses_identical_points(data):
    with pytest.raises(ValueError, match=rf"^data must differ .*, got {len(data)} times {data[0]}"):
        guess_from_points(np.array(data), 1, rng=np.random.default_rng(0))


def test_guess_from_points_refuses_more_components_than_observations():
    with pytest.raises(
        ValueError, match=r"^n_components must be at most the 3 observations, got 4"
    ):
        guess_from_points(np.arange(3.0), 4, rng=np.random.default_rng(0))


@pytest.mark.parametrize("guess", [guess_integers, guess_from_points])
class TestAnyGuess:
    @pytest.mark.parametrize("n_components", [0, -1, 1.5, True, "2", None])
    def test_refuses_bad_n_components(self, guess, n_components):
        with pytest.raises(
            ValueError, match=rf"^n_components must be a whole number.* got {n_components!r}"
        ):
            guess(np.arange(3.0), n_components, rng=np.random.default_rng(0))

    def test_refuses_bad_data(self, guess):
        with pytest.raises(ValueError, match=r"^data must have shape \(n,\), got shape \(3, 1\)"):
            guess(np.ones((3, 1)), 2, rng=np.random.default_rng(0))
        with pytest.raises(ValueError, match=r"^data must be finite, got inf at \[2\]"):
            guess(np.array([1, 2, np.inf]), 2, rng=np.random.default_rng(0))

    def test_is_driven_by_the_generator(self, guess):
        data = np.arange(100.0)
        rng = np.random.default_rng(6)
        first, second = guess(data, 3, rng=rng), guess(data, 3, rng=rng)
        assert first == guess(data, 3, rng=np.random.default_rng(6))
        assert first != second


def test_a_component_out_of_reach_does_not_depend_on_the_cut():
    x = np.random.default_rng(0).uniform(19, 21, 200)
    start = GaussianParams([0.0, 60.0], [1.0, 1.0], [0.5, 0.5])
    data = np.append(x, -60.0)
    one, two = (
        fit(GaussianMixture(), d, start, tol=0, max_iter=40) for d in (data, [x, data[200:]])
    )
    assert one.status is two.status
    np.testing.assert_allclose(one.final.params.means, two.final.params.means)
