import numpy as np
import pytest
from contract import AffineContract, ModelContract
from test_binomial_mixture import (
    HEADS,
    START,
    BinomialCase,
    OwnTossesCase,
    WeightedBinomialCase,
)
from test_gaussian_mixture import CommonCase, EqualWeightsCase, FloorCase, KnownCase

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    GaussianParams,
    HardEM,
    KMeans,
    KMeansParams,
    Status,
    fit,
)


class Hard:
    soft = False
    # Whoever cuts overlapping components apart estimates something else than the truth.
    test_recovers_the_truth_within_sampling_error = None


class TestHardBinomialMixture(Hard, BinomialCase, ModelContract):
    model = HardEM(BinomialCase.model)


class TestHardBinomialMixtureWithWeights(Hard, WeightedBinomialCase, ModelContract):
    model = HardEM(WeightedBinomialCase.model)


class TestHardBinomialMixtureOfOwnTosses(Hard, OwnTossesCase, ModelContract):
    model = HardEM(OwnTossesCase.model)


class HardGaussian(Hard):
    def model_in_units(self, scale):
        return HardEM(super().model_in_units(scale))


class TestHardGaussianMixture(HardGaussian, FloorCase, AffineContract):
    model = HardEM(FloorCase.model)


class TestHardGaussianMixtureWithEqualWeights(HardGaussian, EqualWeightsCase, AffineContract):
    floor = FloorCase.floor
    model = HardEM(GaussianMixture(floor, estimate_weights=False))


class TestHardGaussianMixtureWithACommonStd(HardGaussian, CommonCase, AffineContract):
    model = HardEM(CommonCase.model)


class TestHardGaussianMixtureWithKnownStds(HardGaussian, KnownCase, AffineContract):
    model = HardEM(KnownCase.model)


def test_two_coins_in_one_step():
    trace = fit(HardEM(BinomialMixture(10)), HEADS, START, tol=0)
    assert trace.converged
    np.testing.assert_allclose(trace.steps[1].params.heads_prob, [0.80, 0.45], rtol=1e-15)
    assert trace.n_iter == 2
    assert trace.steps[2].params == trace.steps[1].params


def test_first_of_equals_wins():
    init = BinomialParams([0.5, 0.5], [0.5, 0.5])
    e_step = HardEM(BinomialMixture(10)).e_step(HEADS, init)
    assert e_step.responsibilities.tolist() == [[1, 0]] * 5
    step = fit(HardEM(BinomialMixture(10)), HEADS, init).steps[1]
    np.testing.assert_allclose(step.params.heads_prob, [0.66, 0.5], rtol=1e-15)


def test_objective_is_below_the_log_likelihood():
    soft = BinomialMixture(10).e_step(HEADS, START).objective
    hard = HardEM(BinomialMixture(10)).e_step(HEADS, START).objective
    # Per observation, by between nothing and the logarithm of the number of components.
    assert soft - 5 * np.log(2) < hard < soft


def test_gaussians_with_equal_fixed_weights_and_deviations_are_k_means():
    rng = np.random.default_rng(1)
    data = rng.uniform(size=500)
    # The floor is above any deviation within a cluster, so all deviations stay at the floor.
    model = HardEM(GaussianMixture(min_std=1, estimate_weights=False))
    means = data[:5]
    hard = fit(model, data, GaussianParams(means, np.ones(5), np.full(5, 0.2)), tol=0)
    k_means = fit(KMeans(), data[:, None], KMeansParams(means[:, None]), tol=0)
    assert hard.n_iter == k_means.n_iter > 5
    for ours, theirs in zip(hard.steps, k_means.steps, strict=True):
        np.testing.assert_allclose(ours.params.means, theirs.params.centroids[:, 0], rtol=1e-12)


def test_component_without_observations_stays():
    init = BinomialParams([0.6, 0.01], [0.5, 0.5])
    trace = fit(HardEM(BinomialMixture(10)), HEADS, init)
    assert trace.converged
    np.testing.assert_allclose(trace.final.params.heads_prob, [0.66, 0.01], rtol=1e-15)


def test_impossible_start_is_not_finite():
    init = BinomialParams([0.0, 1.0], [0.5, 0.5])
    trace = fit(HardEM(BinomialMixture(10)), HEADS, init)
    assert (trace.status, trace.n_iter) == (Status.NON_FINITE, 0)
    assert "A trial is impossible under every component" in trace.message


def test_collapse():
    data = np.array([0.0, 1.0, 2.0, 10.0])
    init = GaussianParams([1.0, 9.0], [1.0, 1.0], [0.5, 0.5])
    collapsed = fit(HardEM(GaussianMixture()), data, init)
    assert collapsed.status is Status.NON_FINITE
    assert "A component has collapsed" in collapsed.message
    trace = fit(HardEM(GaussianMixture(min_std=0.1)), data, init)
    assert trace.converged
    assert trace.final.params.stds.tolist() == pytest.approx([np.sqrt(2 / 3), 0.1], rel=1e-14)


@pytest.mark.parametrize(
    ("model", "data", "init", "message"),
    [
        (BinomialMixture(10), [11], START, r"^data must be head counts"),
        (GaussianMixture(2), [1.0], GaussianParams([0.0], [1.0], [1.0]), r"^stds must be at least"),
    ],
)
def test_refuses_what_the_mixture_refuses(model, data, init, message):
    with pytest.raises(ValueError, match=message):
        fit(HardEM(model), data, init)


def test_draws_what_its_mixture_draws():
    ours, theirs = (
        model.simulate(START, 20, rng=np.random.default_rng(1))
        for model in (HardEM(BinomialMixture(10)), BinomialMixture(10))
    )
    np.testing.assert_array_equal(ours.data, theirs.data)
    with pytest.raises(ValueError, match=r"^heads_prob must lie"):
        HardEM(BinomialMixture(10)).simulate(
            BinomialParams([2.0], [1.0]), 3, rng=np.random.default_rng(1)
        )
    ours, theirs = (
        model.simulate(START, 3, rng=np.random.default_rng(1), tosses=[4, 1, 9])
        for model in (HardEM(BinomialMixture()), BinomialMixture())
    )
    np.testing.assert_array_equal(ours.data, theirs.data)


def test_refuses_what_is_no_mixture():
    for model in (KMeans(), None, HardEM(BinomialMixture(10))):
        with pytest.raises(ValueError, match=r"^model must be a mixture, with a log_joint, got "):
            HardEM(model)
