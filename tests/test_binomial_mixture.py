import math
import time
from fractions import Fraction

import numpy as np
import pytest
from contract import (
    ModelContract,
    assert_tuples_close,
    first_steps,
    for_many_seeds,
    weighted_sums,
)
from scipy.stats import binom

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    HardEM,
    Status,
    fit,
    fit_labelled,
)
from em_core.data.blocks import prepare
from em_core.diagnostics import map_eigenvalues
from em_core.kernels.odds import Odds
from em_core.models.binomial_mixture import (
    BinomialStatistics,
    dispersion,
    expected_in_bins,
    fit_grid,
    guess_uniform,
    published_trials,
)

# Do and Batzoglou's five trials of ten tosses, and their start.
HEADS = np.array([5, 9, 8, 4, 7])
START = BinomialParams(heads_prob=[0.6, 0.5], weights=[0.5, 0.5])


class BinomialCase:
    n_tosses = 21  # odd, so that no head count is halfway between two symmetric coins
    weights = (0.5, 0.5)
    estimate_weights = False
    model = BinomialMixture(n_tosses)

    def sample(self, rng, n, separation=1.0):
        heads_prob = 0.5 + 0.1 * separation * np.array([-1, 1])
        truth = BinomialParams(heads_prob, self.weights)
        return BinomialMixture(self.n_tosses).simulate(truth, n, rng=rng)

    def guess(self, data, rng):
        return guess_uniform(data, 2, rng=rng)

    def heads_and_tosses(self, x):
        """Return both for one observation."""
        return int(x), self.n_tosses

    def term(self, x, params, k):
        p, weight = params.heads_prob[k], params.weights[k]
        h, m = self.heads_and_tosses(x)
        return math.log(weight * math.comb(m, h)) + h * math.log(p) + (m - h) * math.log(1 - p)

    def naive_m_step(self, data, responsibilities, previous):
        each = [self.heads_and_tosses(x) for x in data]
        trials = weighted_sums(np.ones(len(data)), responsibilities)
        heads, tosses = (weighted_sums(sums, responsibilities) for sums in zip(*each, strict=True))
        heads_prob = [
            heads[k] / tosses[k] if trials[k] else previous.heads_prob[k] for k in range(2)
        ]
        weights = trials / len(data) if self.estimate_weights else previous.weights
        return BinomialParams(heads_prob, weights)

    def nudge(self, params, rng, size):
        heads_prob = params.heads_prob + size * rng.normal(size=2)
        weights = params.weights * np.exp(self.estimate_weights * size * rng.normal(size=2))
        return BinomialParams(np.clip(heads_prob, 1e-9, 1 - 1e-9), weights / weights.sum())

    def standard_errors(self, truth, n):
        p, weights = truth.heads_prob, truth.weights
        return {
            "heads_prob": np.sqrt(p * (1 - p) / (self.n_tosses * n * weights)),
            "weights": np.sqrt(weights * (1 - weights) / n),
        }


class WeightedBinomialCase(BinomialCase):
    weights = (0.35, 0.65)
    estimate_weights = True
    model = BinomialMixture(BinomialCase.n_tosses, estimate_weights=True)


class OwnTossesCase(BinomialCase):
    """Each trial has its own number of tosses, odd as in the other cases."""

    model = BinomialMixture()
    drawn_with = {"tosses": 21}  # noqa: RUF012

    fewest, most = 5, 15

    def sample(self, rng, n, separation=1.0):
        heads_prob = 0.5 + 0.1 * separation * np.array([-1, 1])
        truth = BinomialParams(heads_prob, self.weights)
        tosses = 2 * rng.integers(self.fewest, self.most + 1, size=n) + 1  # 21 on average
        return BinomialMixture().simulate(truth, n, rng=rng, tosses=tosses)

    def heads_and_tosses(self, x):
        return int(x[0]), int(x[1])


class WeightedOwnTossesCase(OwnTossesCase):
    weights = (0.35, 0.65)
    estimate_weights = True
    model = BinomialMixture(estimate_weights=True)


class ManyOutcomesCase(WeightedOwnTossesCase):
    """So many of them that sums over a thousand trials go by odds."""

    fewest, most = 0, 20


class TestBinomialMixture(BinomialCase, ModelContract):
    pass


class TestBinomialMixtureWithWeights(WeightedBinomialCase, ModelContract):
    pass


class TestOwnTosses(OwnTossesCase, ModelContract):
    pass


class TestOwnTossesWithWeights(WeightedOwnTossesCase, ModelContract):
    pass


class TestManyOutcomes(ManyOutcomesCase, ModelContract):
    @pytest.mark.parametrize("k", [1, 2, 3, 5])
    @pytest.mark.parametrize("reach", [0.1, 0.49, 0.5], ids=["alike", "far apart", "certain"])
    @pytest.mark.parametrize("most", [60, 20_000])
    def test_odds_add_up_to_what_the_formulas_do(self, k, reach, most):
        rng, model = np.random.default_rng(k), self.model
        tosses = rng.integers(most // 3, most, 2_000)
        data = np.column_stack([rng.binomial(tosses, rng.choice([0.4, 0.7], 2_000)), tosses])
        data[0] = 0, most
        prepared = prepare(model, data, BinomialParams([0.5], [1.0])).prepared
        starts = [
            BinomialParams(rng.permutation(np.linspace(0.5 - reach, 0.5 + reach, k)), weights)
            for weights in rng.dirichlet(np.ones(k), 7)
        ]
        arrays = [start.arrays() for start in starts]
        stacked = {name: np.stack([each[name] for each in arrays]) for name in arrays[0]}
        with np.errstate(all="ignore"):
            statistics, objectives = prepared.begin_many()(stacked)
            for run, start in enumerate(starts):
                plain = model.e_step(data, start)
                if not np.isfinite(plain.objective):
                    assert not np.isfinite(objectives[run])
                    continue
                expected = model.statistics(data, start, plain.responsibilities)
                assert objectives[run] == pytest.approx(plain.objective, rel=1e-11)
                for found, wanted in zip(statistics, expected, strict=True):
                    np.testing.assert_allclose(found[run], wanted, rtol=1e-10, atol=1e-290)

    def test_odds_know_where_they_have_lost_their_digits(self):
        heads, tosses, counts = np.array([[[3.0], [8.0]], [[10.0], [11.0]], [[5.0], [7.0]]])
        with np.errstate(all="ignore"):
            good = Odds(heads, tosses, counts)(
                np.array([[0.4, 0.6], [0.0, 0.6], [1e-300, 1 - 1e-15]]), np.full((3, 2), 0.5)
            )[2]
        assert good.tolist() == [True, False, False]
        long, weights = Odds(np.array([[3_000.0]]), 10_000, np.ones((1, 1))), np.full((1, 2), 0.5)
        assert long(np.array([[0.5, 0.52]]), weights)[2].all()
        assert not long(np.array([[0.1, 0.9]]), weights)[2].any()


@for_many_seeds(10)
def test_statistics_agree_with_loops(seed):
    rng = np.random.default_rng(seed)
    heads, responsibilities = rng.integers(11, size=30), rng.dirichlet(np.ones(3), size=30)
    params = guess_uniform(heads, 3, rng=rng)
    found = BinomialMixture(10).statistics(heads, params, responsibilities)
    naive = BinomialStatistics(
        heads=weighted_sums(heads, responsibilities),
        tails=weighted_sums(10 - heads, responsibilities),
        trials=weighted_sums(np.ones(30), responsibilities),
    )
    assert_tuples_close(found, naive, atol=1e-13)


class TestTwoCoinsOfDoAndBatzoglou:
    model = BinomialMixture(n_tosses=10)

    def test_first_e_step(self):
        responsibilities, objective = self.model.e_step(HEADS, START)
        weights_on_a = np.round(responsibilities[:, 0], 3)
        assert weights_on_a.tolist() == [0.449, 0.805, 0.733, 0.352, 0.647]
        assert round(objective, 7) == -11.3205866

    def test_heads_and_tails_attributed_to_each_coin(self):
        responsibilities = self.model.e_step(HEADS, START).responsibilities
        statistics = self.model.statistics(HEADS, START, responsibilities)
        assert np.round(statistics.heads, 1).tolist() == [21.3, 11.7]
        assert np.round(statistics.tails, 1).tolist() == [8.6, 8.4]
        assert statistics.trials.sum() == pytest.approx(5, rel=1e-15)

    @pytest.mark.parametrize(
        ("iteration", "heads_prob"),
        [
            (0, [0.6, 0.5]),
            (1, [0.7130122, 0.5813393]),
            (2, [0.7452920, 0.5692558]),  # 0.56925575, to seven digits
            (10, [0.7967441, 0.5196587]),
        ],
    )
    def test_steps(self, iteration, heads_prob):
        step = first_steps(self.model, HEADS, START, 11)[iteration]
        assert np.round(step.params.heads_prob, 7).tolist() == heads_prob
        assert step.params.weights.tolist() == [0.5, 0.5]

    def test_two_steps_in_exact_arithmetic(self):
        coins = [Fraction(6, 10), Fraction(1, 2)]
        for step in first_steps(self.model, HEADS, START, 3)[1:]:
            joint = [[p**h * (1 - p) ** (10 - h) for p in coins] for h in HEADS.tolist()]
            shares = [[each / sum(both) for each in both] for both in joint]
            trials = weighted_sums([1] * 5, shares)
            coins = list(weighted_sums(HEADS.tolist(), shares) / (10 * trials))
            np.testing.assert_allclose(step.params.heads_prob, list(map(float, coins)), rtol=1e-14)

    def test_limit(self):
        trace = fit(self.model, HEADS, START, tol=0)
        assert trace.converged
        assert np.round(trace.final.params.heads_prob, 7).tolist() == [0.7967891, 0.5195831]
        assert round(trace.final.objective, 7) == -9.7969243

    def test_labels_known(self):
        heads, labels, known = published_trials()
        assert np.array_equal(heads, HEADS)
        assert labels.tolist() == [1, 0, 0, 1, 0]
        np.testing.assert_allclose(known.heads_prob, [0.80, 0.45], rtol=1e-15)
        assert fit_labelled(self.model, heads, labels, START) == known

    def test_soft_em_does_not_arrive_in_one_step(self):
        step = first_steps(self.model, HEADS, START, 2)[1]
        assert abs(step.params.heads_prob - [0.80, 0.45]).min() > 0.08

    def test_equal_coins_are_a_saddle(self):
        init = BinomialParams([0.5, 0.5], [0.5, 0.5])
        trace = fit(self.model, HEADS, init, tol=0, max_iter=1000)
        assert trace.converged
        np.testing.assert_allclose(trace.final.params.heads_prob, [0.66, 0.66], rtol=1e-14)
        # Not a maximum: a little way off, EM leaves.
        escaped = fit(self.model, HEADS, BinomialParams([0.5 + 1e-6, 0.5], [0.5, 0.5]), tol=0)
        assert escaped.final.objective > trace.final.objective + 0.1


def test_one_trial_of_the_article():
    model, params = BinomialMixture(10), BinomialParams([0.8, 0.7], [0.5, 0.5])
    trial = np.array([8])
    responsibilities = model.e_step(trial, params).responsibilities
    assert np.round(responsibilities, 3).tolist() == [[0.564, 0.436]]
    heads = model.statistics(trial, params, responsibilities).heads
    assert np.round(heads, 3).tolist() == [4.512, 3.488]


@pytest.mark.parametrize("seed", range(3))
def test_example_of_the_article_comes_close_to_the_truth(seed):
    truth = BinomialParams([0.6, 0.2], [0.5, 0.5])
    data = BinomialMixture(10).simulate(truth, 500, rng=np.random.default_rng(seed)).data
    trace = fit(BinomialMixture(10), data, BinomialParams([0.8, 0.7], [0.5, 0.5]), tol=1e-9)
    assert trace.converged
    # Five standard errors with the coins known, 0.05; not knowing them costs a little more.
    np.testing.assert_allclose(trace.final.params.heads_prob, truth.heads_prob, atol=0.06)


def test_log_likelihood_includes_the_binomial_coefficient():
    objective = BinomialMixture(10).e_step(np.array([3]), BinomialParams([0.5], [1.0])).objective
    assert objective == pytest.approx(math.log(120 / 1024), rel=1e-14)


def test_log_likelihood_of_many_tosses_does_not_overflow():
    model, params = BinomialMixture(10**6), BinomialParams([0.5], [1.0])
    # By Stirling, the middle of the distribution has probability sqrt(2 / (pi m)).
    objective = model.e_step(np.array([500_000]), params).objective
    assert objective == pytest.approx(0.5 * math.log(2 / (math.pi * 10**6)), rel=1e-6)


@pytest.mark.parametrize(("heads", "limit"), [(10, 1.0), (0, 0.0)])
def test_all_heads_and_all_tails(heads, limit):
    trace = fit(BinomialMixture(10), np.full(4, heads), START)
    assert trace.converged
    assert trace.final.params.heads_prob.tolist() == [limit, limit]
    assert trace.final.objective == 0


def test_coins_that_always_or_never_show_heads():
    init = BinomialParams([1.0, 0.0, 0.5], [0.25, 0.25, 0.5])
    e_step = BinomialMixture(4).e_step(np.array([4, 0, 2]), init)
    # One head count in sixteen of the fair coin's is all heads, one is none.
    np.testing.assert_allclose(
        e_step.responsibilities, [[8 / 9, 0, 1 / 9], [0, 8 / 9, 1 / 9], [0, 0, 1]], rtol=1e-13
    )
    trace = fit(BinomialMixture(4), [4, 0, 2], init)
    assert trace.converged
    np.testing.assert_allclose(trace.final.params.heads_prob, [1, 0, 0.5], rtol=1e-13)


def test_impossible_start_is_not_finite():
    trace = fit(BinomialMixture(10), [5, 9], BinomialParams([0.0, 1.0], [0.5, 0.5]))
    assert trace.status is Status.NON_FINITE
    assert trace.n_iter == 0
    assert trace.final.objective == -np.inf
    assert "impossible under every component" in trace.message
    assert "heads_prob[0] is 0 and heads_prob[1] is 1" in trace.message
    assert "standard deviation" not in trace.message
    assert trace.relabel([1, 0]).message.count("heads_prob[0] is 1 and heads_prob[1] is 0") == 1


def test_a_coin_without_tosses_stays():
    init = BinomialParams([0.6, 0.3], [1.0, 0.0])
    for model in (BinomialMixture(10), BinomialMixture(10, estimate_weights=True)):
        trace = fit(model, HEADS, init)
        assert trace.converged
        np.testing.assert_allclose(trace.final.params.heads_prob, [0.66, 0.3], rtol=1e-15)
        assert trace.final.params.weights.tolist() == [1, 0]


def test_more_coins_than_trials():
    rng = np.random.default_rng(1)
    trace = fit(BinomialMixture(10), [4], guess_uniform(np.array([4]), 5, rng=rng))
    assert trace.converged
    np.testing.assert_allclose(trace.final.params.heads_prob, np.full(5, 0.4), rtol=1e-12)


def test_one_trial_and_one_coin():
    trace = fit(BinomialMixture(10), [4], BinomialParams([0.9], [1.0]), tol=0)
    assert trace.converged
    assert trace.final.params.heads_prob.tolist() == [0.4]
    expected = math.log(math.comb(10, 4) * 0.4**4 * 0.6**6)
    assert trace.final.objective == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, np.float32, np.float64])
def test_head_counts_of_any_number_type(dtype):
    data = np.array([0, 100, 127, 30], dtype=dtype)
    init = BinomialParams([0.3, 0.1], [0.5, 0.5])
    # More tosses than the small integers can count.
    trace = fit(BinomialMixture(300), data, init)
    assert trace == fit(BinomialMixture(300), data.tolist(), init)


def test_weights_typed_with_six_digits():
    model = BinomialMixture(10, estimate_weights=True)
    third = BinomialParams([0.2, 0.5, 0.8], [0.333333, 0.333333, 0.333333])
    assert fit(model, HEADS, third).converged
    # Rounded to a sum of 1.000001: what is above one must not count as likelihood.
    data = np.repeat([1, 2, 3, 8, 9], 20)
    optimum = fit(model, data, BinomialParams([0.2, 0.8], [0.5, 0.5]), tol=0).final.params
    typed = BinomialParams(optimum.heads_prob, np.round(optimum.weights, 6) + np.array([1e-6, 0]))
    assert fit(model, data, typed).converged


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ([5, 11], r"^data must be head counts from 0 to n_tosses = 10, got 11 at \[1\]"),
        ([-1, 5], r"^data must be head counts from 0 to n_tosses = 10, got -1 at \[0\]"),
        ([5, 2.5], r"^data must be whole head counts, got 2.5 at \[1\]"),
    ],
)
def test_refuses_what_is_not_a_head_count(heads, message):
    with pytest.raises(ValueError, match=message):
        fit(BinomialMixture(10), heads, START)


@pytest.mark.parametrize(
    ("heads_prob", "weights", "message"),
    [
        ([0.5, 1.1], [0.5, 0.5], r"^heads_prob must lie between 0 and 1, got 1.1 at \[1\]"),
        ([-0.1, 0.5], [0.5, 0.5], r"^heads_prob must lie between 0 and 1, got -0.1 at \[0\]"),
        ([0.5, 0.5], [1.5, -0.5], r"^weights must lie between 0 and 1, got 1.5 at \[0\]"),
        ([0.5, 0.5], [0.5, 0.6], r"^weights must sum to 1, got \[0.5 0.6\] with sum 1.1"),
        ([0.5, 0.5], [0.5, 0.4999], r"^weights must sum to 1, got .* with sum 0.9999"),
        ([[0.5, 0.5]], [1.0], r"^heads_prob must have shape \(K,\).* got \(1, 2\)"),
        ([0.5, 0.5], [[0.5], [0.5]], r"^weights must have shape \(K,\).* got \(2, 1\)"),
    ],
)
def test_refuses_parameters_that_are_not_probabilities(heads_prob, weights, message):
    params = BinomialParams(heads_prob, weights)
    with pytest.raises(ValueError, match=message):
        fit(BinomialMixture(10), HEADS, params)
    with pytest.raises(ValueError, match=message):
        BinomialMixture(10).simulate(params, 5, rng=np.random.default_rng(0))


@pytest.mark.parametrize("n_tosses", [0, -1, 10.5, 10.0, np.nan, True, "10"])
def test_refuses_bad_n_tosses(n_tosses):
    message = rf"^n_tosses must be a whole number, 1 or larger, got {n_tosses!r}"
    with pytest.raises(ValueError, match=message):
        BinomialMixture(n_tosses)
    with pytest.raises(ValueError, match=message):
        BinomialMixture(n_tosses).simulate(START, 5, rng=np.random.default_rng(0))


def test_n_tosses_may_be_a_numpy_integer():
    assert BinomialMixture(np.int64(10)) == BinomialMixture(10)


@pytest.mark.parametrize("size", [0, -5, 2.5, np.nan, True, "5", None])
def test_simulate_refuses_bad_size(size):
    with pytest.raises(
        ValueError, match=rf"^size must be a whole number, 1 or larger, got {size!r}"
    ):
        BinomialMixture(10).simulate(START, size, rng=np.random.default_rng(0))


def test_simulate_draws_what_seeds_have_always_given():
    truth = BinomialParams([0.6, 0.2], [0.3, 0.7])
    data, labels, _ = BinomialMixture(10).simulate(truth, 9, rng=np.random.default_rng([1, 0]))
    assert data.tolist() == [0, 3, 6, 1, 3, 1, 2, 1, 2]
    assert labels.tolist() == [1, 1, 0, 1, 1, 1, 1, 1, 1]


def test_simulate_draws_fixed_sizes_in_random_order():
    truth = BinomialParams([0.0, 1.0], [0.5, 0.5])
    data, labels, _ = BinomialMixture(7).simulate(truth, [30, 50], rng=np.random.default_rng(1))
    assert np.bincount(labels).tolist() == [30, 50]
    np.testing.assert_array_equal(data, 7 * labels)
    assert (np.diff(labels) < 0).any()


@pytest.mark.parametrize(
    ("model", "number"),
    [
        (BinomialMixture(10), 3),
        (BinomialMixture(10, estimate_weights=True), 5),
        (HardEM(BinomialMixture(10)), 3),
    ],
)
def test_free_parameters(model, number):
    assert model.n_parameters(BinomialParams([0.1, 0.2, 0.3], [0.2, 0.3, 0.5])) == number


def test_simulate_draws_from_the_truth():
    truth = BinomialParams([0.9, 0.3], [0.2, 0.8])
    data, labels, told = BinomialMixture(7).simulate(truth, 20_000, rng=np.random.default_rng(1))
    assert told == truth
    assert data.shape == labels.shape == (20_000,)
    assert data.dtype.kind == "i"
    assert (data.min(), data.max()) == (0, 7)
    assert labels.mean() == pytest.approx(0.8, abs=5 * np.sqrt(0.16 / 20_000))
    for k, p in enumerate(truth.heads_prob):
        share = data[labels == k] / 7
        assert share.mean() == pytest.approx(p, abs=5 * np.sqrt(p * (1 - p) / 7 / len(share)))
        assert share.var() == pytest.approx(p * (1 - p) / 7, rel=0.1)


def test_uniform_guess():
    heads_prob, weights = (
        guess_uniform(HEADS, 10_000, rng=np.random.default_rng(2)).arrays().values()
    )
    assert ((heads_prob >= 0) & (heads_prob < 1)).all()
    assert heads_prob.mean() == pytest.approx(0.5, abs=5 / np.sqrt(12 * 10_000))
    assert np.ptp(heads_prob) > 0.99
    np.testing.assert_allclose(weights, 1e-4, rtol=1e-15)


@pytest.mark.parametrize("n_components", [0, -1, 1.5, True, "2", None])
def test_guess_refuses_bad_n_components(n_components):
    with pytest.raises(
        ValueError, match=rf"^n_components must be a whole number.* got {n_components!r}"
    ):
        guess_uniform(HEADS, n_components, rng=np.random.default_rng(0))


def test_draws_are_driven_by_the_generator():
    rng = np.random.default_rng(3)
    first, second = (BinomialMixture(10).simulate(START, 20, rng=rng) for _ in range(2))
    again = BinomialMixture(10).simulate(START, 20, rng=np.random.default_rng(3))
    assert np.array_equal(first.data, again.data)
    assert not np.array_equal(first.data, second.data)
    guesses = [guess_uniform(HEADS, 2, rng=np.random.default_rng(seed)) for seed in (4, 4, 5)]
    assert guesses[0] == guesses[1] != guesses[2]


def assert_goes_as_fit(model, data, starts, weights, **arguments):
    """Check every start of a grid against a fit of its own; return the grid."""
    grid = fit_grid(model, data, starts, weights, **arguments)
    for s, start in enumerate(starts):
        trace = fit(model, data, BinomialParams(start, weights), **arguments)
        assert grid.n_iter[s] == trace.n_iter, start
        assert grid.converged[s] == trace.converged, start
        final = trace.final
        np.testing.assert_allclose(grid.heads_prob[s], final.params.heads_prob, rtol=1e-10)
        np.testing.assert_allclose(grid.weights[s], final.params.weights, rtol=1e-10)
        if trace.status is Status.NON_FINITE:
            assert grid.log_likelihood[s] == final.objective == -np.inf
        else:
            assert grid.log_likelihood[s] == pytest.approx(final.objective, rel=1e-12)
    return grid


class TestGrid:
    @pytest.mark.parametrize("estimate_weights", [False, True])
    @pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
    def test_every_start_goes_as_fit_would_take_it(self, estimate_weights, tol):
        model = BinomialMixture(10, estimate_weights=estimate_weights)
        truth = BinomialParams([0.6, 0.2], [0.3, 0.7])
        data = BinomialMixture(10).simulate(truth, 300, rng=np.random.default_rng(1)).data
        starts = np.random.default_rng(2).uniform(size=(40, 2))
        grid = assert_goes_as_fit(model, data, starts, [0.4, 0.6], tol=tol, max_iter=500)
        assert grid.converged.any()
        assert len(set(grid.n_iter)) > 3

    def test_published_trials(self):
        grid = fit_grid(BinomialMixture(10), HEADS, [[0.6, 0.5], [0.5, 0.6]], [0.5, 0.5], tol=1e-14)
        for found, limit in zip(grid.heads_prob, ([0.7967891, 0.5195831],) * 2, strict=True):
            assert np.round(sorted(found, reverse=True), 7).tolist() == limit
        assert grid.heads_prob[0].tolist() == grid.heads_prob[1][::-1].tolist()
        assert np.round(grid.log_likelihood, 7).tolist() == [-9.7969243] * 2

    @pytest.mark.parametrize("estimate_weights", [False, True])
    def test_corners_edges_and_the_diagonal(self, estimate_weights):
        model = BinomialMixture(10, estimate_weights=estimate_weights)
        side = [0.0, 0.01, 0.5, 0.99, 1.0]
        starts = np.array([(a, b) for a in side for b in side])
        # No head, all heads, and what lies between: some starts are impossible.
        grid = assert_goes_as_fit(model, [0, 10, 5, 9, 8], starts, [0.5, 0.5])
        impossible = np.isneginf(grid.log_likelihood)
        assert {tuple(start) for start in starts[impossible]} == {(0, 1), (1, 0), (0, 0), (1, 1)}
        assert (grid.n_iter[impossible] == 0).all()
        assert not grid.converged[impossible].any()
        assert grid.heads_prob[impossible].tolist() == starts[impossible].tolist()
        diagonal = (starts[:, 0] == starts[:, 1]) & ~impossible
        assert (grid.heads_prob[diagonal, 0] == grid.heads_prob[diagonal, 1]).all()

    def test_a_coin_without_tosses_stays(self):
        grid = assert_goes_as_fit(BinomialMixture(10), HEADS, [[0.6, 0.0]], [0.5, 0.5])
        assert grid.heads_prob[0, 1] == 0

    @pytest.mark.parametrize("heads", [0, 10])
    def test_all_heads_and_all_tails_stay_probabilities(self, heads):
        starts = np.random.default_rng(3).uniform(size=(200, 2))
        model = BinomialMixture(10, estimate_weights=True)
        grid = fit_grid(model, np.full(7, heads), starts, [0.5, 0.5])
        assert ((grid.heads_prob >= 0) & (grid.heads_prob <= 1)).all()
        np.testing.assert_allclose(grid.heads_prob, heads / 10, atol=1e-15)

    @pytest.mark.parametrize("weights", [[1.0], [0.2, 0.3, 0.5], [0.333333] * 3])
    def test_any_number_of_coins_and_weights_typed_with_six_digits(self, weights):
        starts = np.random.default_rng(4).uniform(size=(10, len(weights)))
        for estimate_weights in (False, True):
            model = BinomialMixture(10, estimate_weights=estimate_weights)
            assert_goes_as_fit(model, HEADS, starts, weights, tol=1e-8, max_iter=300)

    @pytest.mark.parametrize("max_iter", [0, 1, 3])
    def test_limit(self, max_iter):
        starts = [[0.6, 0.5], [0.9, 0.1], [0.66, 0.66]]
        grid = assert_goes_as_fit(
            BinomialMixture(10), HEADS, starts, [0.5, 0.5], tol=1e-9, max_iter=max_iter
        )
        assert grid.n_iter.max() == max_iter
        assert not grid.converged[0]

    def test_many_tosses(self):
        data = np.array([120, 90, 180, 20, 100])
        starts = np.random.default_rng(5).uniform(0.05, 0.95, size=(20, 2))
        assert_goes_as_fit(BinomialMixture(200), data, starts, [0.5, 0.5])

    @pytest.mark.parametrize("tosses", [1, 10, 200, 1_000, 1_001, 10**5, 10**6])
    def test_log_likelihood_is_that_of_fit_to_the_last_digits(self, tosses):
        rng = np.random.default_rng(tosses)
        data = rng.binomial(tosses, 0.3, 40)
        starts = rng.uniform(0.2, 0.4, size=(15, 2))
        model = BinomialMixture(tosses)
        grid = fit_grid(model, data, starts, [0.5, 0.5], max_iter=0)
        for start, found in zip(starts, grid.log_likelihood, strict=True):
            exact = model.e_step(data, BinomialParams(start, [0.5, 0.5])).objective
            # At few tosses, of the terms: 1e-15 of their logarithms, a toss each.
            assert found == pytest.approx(exact, rel=1e-13, abs=1e-15 * 40 * min(tosses, 1_000))

    @pytest.mark.parametrize("tosses", [1_001, 10**5, 10**6])
    def test_so_many_tosses_that_terms_cancel(self, tosses):
        rng = np.random.default_rng(tosses)
        data = rng.binomial(tosses, rng.choice([0.3, 0.31], 30))
        starts = rng.uniform(0.29, 0.32, size=(10, 2))
        for estimate_weights in (False, True):
            model = BinomialMixture(tosses, estimate_weights=estimate_weights)
            assert_goes_as_fit(model, data, starts, [0.5, 0.5], tol=1e-9)
        impossible = fit_grid(model, data, [[0.0, 1.0]], [0.5, 0.5])
        assert np.isneginf(impossible.log_likelihood[0])
        assert not impossible.converged[0]
        none = fit_grid(model, np.zeros(3), [[0.0, 0.3]], [0.5, 0.5])
        assert none.converged[0]
        assert none.log_likelihood[0] == pytest.approx(0, abs=1e-9)

    def test_starts_and_data_are_not_changed(self):
        starts, data = np.array([[0.6, 0.5]]), HEADS.copy()
        starts.setflags(write=False)
        fit_grid(BinomialMixture(10), data, starts, [0.5, 0.5])
        assert starts.tolist() == [[0.6, 0.5]]
        assert data.tolist() == HEADS.tolist()

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"heads_prob": [0.6, 0.5]}, r"^heads_prob must have shape \(S, K\), got \(2,\)"),
            ({"heads_prob": np.empty((0, 2))}, r"^heads_prob must have shape .* got \(0, 2\)"),
            ({"heads_prob": np.empty((3, 0))}, r"^heads_prob must have shape .* got \(3, 0\)"),
            ({"heads_prob": [[0.6, 0.5], [0.6, 1.5]]}, r"^heads_prob must lie between 0 and 1"),
            ({"heads_prob": [[0.6, 0.5], [np.nan, 1]]}, r"^heads_prob must lie between 0 and 1"),
            ({"weights": [0.5, 0.6]}, r"^weights must sum to 1"),
            ({"weights": [1.0]}, r"^all parameters must have one entry per component"),
            ({"data": [11]}, r"^data must be head counts from 0 to n_tosses = 10, got 11"),
            ({"data": []}, r"^data must hold at least one observation"),
            ({"tol": 0}, r"^tol must be a finite number above 0, got 0"),
            ({"tol": -1.0}, r"^tol must be a finite number above 0, got -1.0"),
            ({"tol": np.nan}, r"^tol must be a finite number above 0, got nan"),
            ({"tol": np.inf}, r"^tol must be a finite number above 0, got inf"),
            ({"tol": "a"}, r"^tol must be a finite number above 0, got 'a'"),
            ({"tol": 10**400}, r"^tol must be a finite number above 0, got 1000"),
            ({"tol": True}, r"^tol must be a finite number above 0, got True"),
            ({"max_iter": -1}, r"^max_iter must be a whole number, 0 or larger, got -1"),
            ({"max_iter": 2.5}, r"^max_iter must be a whole number, 0 or larger, got 2.5"),
        ],
    )
    def test_refuses(self, changed, message):
        arguments = {"data": HEADS, "heads_prob": [[0.6, 0.5]], "weights": [0.5, 0.5], **changed}
        with pytest.raises(ValueError, match=message):
            fit_grid(BinomialMixture(10), **arguments)

    def test_refuses_another_model(self):
        for model in (HardEM(BinomialMixture(10)), GaussianMixture()):
            with pytest.raises(ValueError, match=r"^model must be a BinomialMixture, got "):
                fit_grid(model, HEADS, [[0.6, 0.5]], [0.5, 0.5])

    @pytest.mark.parametrize("trials", ["published", "of the page"])
    def test_ten_thousand_starts_cost_no_more_than_two_hundred_fits(self, trials):
        data = HEADS
        if trials == "of the page":
            truth = BinomialParams([0.6, 0.2], [0.5, 0.5])
            data = BinomialMixture(10).simulate(truth, 500, rng=np.random.default_rng(1)).data
        model, side = BinomialMixture(10), np.linspace(0, 1, 101)
        starts = np.array([(a, b) for a in side for b in side])
        some = np.random.default_rng(6).choice(starts, 200, replace=False)

        def seconds(run):
            before = time.process_time()
            run()
            return time.process_time() - before

        def single_fits():
            for start in some:
                fit(model, data, BinomialParams(start, [0.5, 0.5]))

        # In turns and in processor time, so that a busy machine changes neither.
        rounds = [
            (seconds(lambda: fit_grid(model, data, starts, [0.5, 0.5])), seconds(single_fits))
            for _ in range(3)
        ]
        grid, fits = map(min, zip(*rounds, strict=True))
        assert len(starts) == 10_201
        assert grid / fits <= 1, f"the grid costs {grid / fits:.2f} times 200 fits"


class TestDispersion:
    def test_is_the_eigenvalue_of_em_where_all_coins_are_equal(self):
        for seed, m in ((1, 10), (2, 3), (3, 25)):
            data = np.random.default_rng(seed).integers(0, m + 1, size=40)
            at = BinomialParams(np.full(2, data.mean() / m), [0.3, 0.7])
            largest = map_eigenvalues(BinomialMixture(m), data, at)[0]
            assert dispersion(BinomialMixture(m), data) == pytest.approx(largest, rel=1e-6)

    def test_is_one_for_single_tosses(self):
        data = np.random.default_rng(1).integers(0, 2, size=101)
        assert dispersion(BinomialMixture(1), data) == pytest.approx(1, rel=1e-12)

    def test_below_one_a_difference_shrinks(self):
        data, model = np.array([4, 5, 6]), BinomialMixture(10)
        assert dispersion(model, data) == pytest.approx((2 / 3) / 2.5)
        end = fit(model, data, BinomialParams([0.51, 0.49], [0.5, 0.5]), tol=0).final.params
        assert np.ptp(end.heads_prob) < 1e-9

    @pytest.mark.parametrize("data", [[0, 0], [10, 10]])
    def test_is_no_number_where_all_tosses_show_the_same_side(self, data):
        assert np.isnan(dispersion(BinomialMixture(10), data))

    @pytest.mark.parametrize("data", [[0, 11], [0.5, 1.0], []])
    def test_refuses_what_are_no_head_counts(self, data):
        with pytest.raises(ValueError, match="data"):
            dispersion(BinomialMixture(10), data)

    def test_of_unequal_tosses_is_the_eigenvalue_of_em_where_all_coins_are_equal(self):
        for seed in range(3):
            rng = np.random.default_rng(seed)
            tosses = rng.integers(1, 30, size=40)
            data = np.column_stack([rng.binomial(tosses, rng.uniform(size=40)), tosses])
            p = data[:, 0].sum() / data[:, 1].sum()
            assert p != pytest.approx((data[:, 0] / data[:, 1]).mean(), rel=1e-3)
            at = BinomialParams([p, p], [0.3, 0.7])
            largest = map_eigenvalues(BinomialMixture(), data, at)[0]
            assert dispersion(BinomialMixture(), data) == pytest.approx(largest, rel=1e-6)
            by_loops = sum((h - m * p) ** 2 for h, m in data.tolist()) / (
                p * (1 - p) * data[:, 1].sum()
            )
            assert dispersion(BinomialMixture(), data) == pytest.approx(by_loops, rel=1e-12)

    def test_with_a_column_of_equal_tosses_is_the_same(self):
        assert dispersion(BinomialMixture(), beside(HEADS, 10)) == dispersion(
            BinomialMixture(10), HEADS
        )
        singles = beside(np.random.default_rng(1).integers(0, 2, size=101), 1)
        assert dispersion(BinomialMixture(), singles) == pytest.approx(1, rel=1e-12)
        assert np.isnan(dispersion(BinomialMixture(), [[3, 3], [1, 1]]))

    def test_multiplies_small_differences(self):
        data = np.array([[3, 10], [19, 20], [1, 1], [2, 30]])
        p = data[:, 0].sum() / data[:, 1].sum()
        step = first_steps(
            BinomialMixture(), data, BinomialParams([p + 1e-7, p - 1e-7], [0.5, 0.5]), 2
        )[1]
        grown = np.ptp(step.params.heads_prob) / 2e-7
        assert grown == pytest.approx(dispersion(BinomialMixture(), data), rel=1e-5)


def beside(heads, tosses):
    """Return heads with a column of tosses beside them."""
    return np.column_stack([heads, np.broadcast_to(tosses, len(heads))])


def unequal(seed, n=30, most=12):
    """Return the heads and tosses of trials whose tosses differ."""
    rng = np.random.default_rng(seed)
    tosses = rng.integers(1, most + 1, size=n)
    return np.column_stack([rng.binomial(tosses, rng.choice([0.8, 0.3], size=n)), tosses])


class TestTossesOfTheirOwn:
    model = BinomialMixture()

    @pytest.mark.parametrize("m", [1, 10, 1_000, 1_001, 10**6])
    @pytest.mark.parametrize("estimate_weights", [False, True])
    @pytest.mark.parametrize("hard", [False, True])
    def test_equal_ones_go_as_n_tosses_in_every_step(self, m, estimate_weights, hard):
        rng = np.random.default_rng(m)
        heads = rng.binomial(m, rng.choice([0.7, 0.4], size=60))
        init = BinomialParams([0.65, 0.5], [0.4, 0.6])
        ours, theirs = (
            fit(HardEM(model) if hard else model, data, init, tol=0, max_iter=25)
            for model, data in (
                (BinomialMixture(estimate_weights=estimate_weights), beside(heads, m)),
                (BinomialMixture(m, estimate_weights), heads),
            )
        )
        assert (ours.status, ours.n_iter) == (theirs.status, theirs.n_iter)
        for one, other in zip(ours.steps, theirs.steps, strict=True):
            np.testing.assert_allclose(one.params.vector(), other.params.vector(), rtol=1e-12)
            assert one.objective == pytest.approx(other.objective, rel=1e-12)
        found = [
            trace.model.term_size(trace.ending.statistics, trace.final.params)
            for trace in (ours, theirs)
        ]
        assert found[0] == pytest.approx(found[1], rel=1e-12)
        assert ours.n_parameters == theirs.n_parameters
        assert ours.n_observations == theirs.n_observations

    def test_golden_numbers_of_do_and_batzoglou(self):
        data = beside(HEADS, 10)
        responsibilities, objective = self.model.e_step(data, START)
        assert np.round(responsibilities[:, 0], 3).tolist() == [0.449, 0.805, 0.733, 0.352, 0.647]
        assert round(objective, 7) == -11.3205866
        statistics = self.model.statistics(data, START, responsibilities)
        assert np.round(statistics.heads, 1).tolist() == [21.3, 11.7]
        assert np.round(statistics.tails, 1).tolist() == [8.6, 8.4]
        steps = first_steps(self.model, data, START, 11)
        for t, coins in (
            (1, [0.7130122, 0.5813393]),
            (2, [0.7452920, 0.5692558]),
            (10, [0.7967441, 0.5196587]),
        ):
            assert np.round(steps[t].params.heads_prob, 7).tolist() == coins
        trace = fit(self.model, data, START, tol=0)
        assert np.round(trace.final.params.heads_prob, 7).tolist() == [0.7967891, 0.5195831]
        assert round(trace.final.objective, 7) == -9.7969243
        known = fit_labelled(self.model, data, [1, 0, 0, 1, 0], START)
        np.testing.assert_allclose(known.heads_prob, [0.80, 0.45], rtol=1e-15)
        hard = fit(HardEM(self.model), data, START, tol=0)
        np.testing.assert_allclose(hard.steps[1].params.heads_prob, [0.80, 0.45], rtol=1e-15)

    @pytest.mark.parametrize("seed", range(3))
    def test_two_steps_in_exact_arithmetic(self, seed):
        data = unequal(seed, n=5, most=9)
        coins, weights = [Fraction(6, 10), Fraction(1, 2)], [Fraction(1, 4), Fraction(3, 4)]
        model = BinomialMixture(estimate_weights=True)
        steps = first_steps(model, data, BinomialParams([0.6, 0.5], [0.25, 0.75]), 3)
        rows = data.tolist()
        for step in steps[1:]:
            joint = [
                [pi * math.comb(m, h) * p**h * (1 - p) ** (m - h)
                 for p, pi in zip(coins, weights, strict=True)]
                for h, m in rows
            ]  # fmt: skip
            shares = [[each / sum(both) for each in both] for both in joint]
            heads, tosses = (weighted_sums(column, shares) for column in zip(*rows, strict=True))
            coins = list(heads / tosses)
            weights = list(weighted_sums([1] * len(rows), shares) / len(rows))
            np.testing.assert_allclose(step.params.heads_prob, list(map(float, coins)), rtol=1e-13)
            np.testing.assert_allclose(step.params.weights, list(map(float, weights)), rtol=1e-13)
        exact = math.fsum(
            math.log(
                sum(
                    pi * math.comb(m, h) * p**h * (1 - p) ** (m - h)
                    for p, pi in zip(coins, weights, strict=True)
                )
            )
            for h, m in rows
        )
        assert steps[2].objective == pytest.approx(exact, rel=1e-13)

    @pytest.mark.parametrize("m", [1, 2, 17, 1_000, 1_001, 10**6])
    def test_log_probabilities_are_exact_to_the_last_digits(self, m):
        heads = np.unique([0, 1, m // 3, m // 2, m - 1, m])
        data = np.concatenate([beside(heads, m), [[1, 1], [2, 5]]])  # others beside them
        for p in (1e-9, 0.31, 0.5, 1 - 1e-9):
            found = self.model.log_joint(data, BinomialParams([p], [1.0]))[:-2, 0]
            exact = BinomialMixture(m).log_joint(heads, BinomialParams([p], [1.0]))[:, 0]
            # A term's own rounding, and a unit in the last place of 1 - p against m (1 - p).
            np.testing.assert_allclose(found, exact, rtol=2e-13, atol=1e-14)

    def test_probabilities_of_all_head_counts_sum_to_one(self):
        for m in (1, 2, 9, 400, 30_000):
            data = beside(np.arange(m + 1), m)
            log_joint = self.model.log_joint(data, BinomialParams([0.37], [1.0]))
            assert np.exp(log_joint).sum() == pytest.approx(1, rel=1e-12)

    def test_no_heads_all_heads_one_toss_and_a_million(self):
        data = np.array(
            [[0, 1], [1, 1], [0, 7], [7, 7], [0, 10**6], [10**6, 10**6], [400_000, 10**6]]
        )
        trace = fit(self.model, data, BinomialParams([0.9, 0.3], [0.5, 0.5]), tol=1e-12)
        assert trace.status is Status.CONVERGED
        high, low = trace.final.params.heads_prob
        assert high == 1  # to the coin of the heads, what has none is out of reach
        assert low == pytest.approx(0.4e6 / 2e6, rel=1e-5)

    @pytest.mark.parametrize(("heads", "limit"), [([3, 1, 900], 1.0), ([0, 0, 0], 0.0)])
    def test_all_heads_and_all_tails(self, heads, limit):
        trace = fit(self.model, beside(heads, [3, 1, 900]), START)
        assert trace.converged
        assert trace.final.params.heads_prob.tolist() == [limit, limit]
        assert trace.final.objective == 0

    def test_coins_that_always_or_never_show_heads(self):
        init = BinomialParams([1.0, 0.0, 0.5], [0.25, 0.25, 0.5])
        found = self.model.e_step(np.array([[4, 4], [0, 1], [2, 4]]), init).responsibilities
        # Of a fair coin one outcome in sixteen is four heads, and one toss in two is none.
        np.testing.assert_allclose(
            found, [[8 / 9, 0, 1 / 9], [0, 1 / 2, 1 / 2], [0, 0, 1]], rtol=1e-13
        )

    def test_impossible_start_is_not_finite(self):
        trace = fit(self.model, [[5, 9]], BinomialParams([0.0, 1.0], [0.5, 0.5]))
        assert (trace.status, trace.n_iter) == (Status.NON_FINITE, 0)
        assert "A trial is impossible under every component" in trace.message
        assert "heads_prob[0] is 0 and heads_prob[1] is 1" in trace.message

    def test_different_pairs_are_different_observations(self):
        data = np.array([[3, 5], [3, 9], [3, 5], [5, 5], [3, 9], [3, 5]])
        rows, times = self.model.prepare(data)
        assert rows.tolist() == [[3, 5], [5, 5], [3, 9]]
        assert times.tolist() == [3, 1, 2]
        rows, times = self.model.prepare(data, np.array([0.5, 1, 2, 3, 4, 5]))
        assert times.tolist() == [7.5, 3, 5]
        coins = guess_uniform(data, 4, rng=np.random.default_rng(1))
        notes = fit(self.model, data, coins).notes
        assert any("different observations (3)" in note for note in notes)

    def test_blocks_and_lists_of_rows_are_not_taken_for_each_other(self):
        data, init = unequal(1), START
        whole = fit(self.model, data, init)
        assert fit(self.model, list(data), init) == whole  # a list of rows
        in_blocks = fit(self.model, [data[:7], data[7:]], init)
        np.testing.assert_allclose(in_blocks.objectives, whole.objectives, rtol=1e-13)
        assert in_blocks.n_observations == len(data)
        with pytest.raises(ValueError, match=r"^in block 1 of the data: data must have 1 toss"):
            fit(self.model, [data, np.array([[0, 0]])], init)

    @pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint64, np.float32])
    def test_trials_of_any_number_type(self, dtype):
        data = np.array([[0, 127], [100, 101], [127, 127], [30, 60]])
        trace = fit(self.model, data.astype(dtype), START)
        assert trace == fit(self.model, data.tolist(), START)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            ([5, 9], r"^data must have shape \(n, 2\), got shape \(2,\): heads and tosses of each"),
            ([[5], [9]], r"^data must have shape \(n, 2\), got shape \(2, 1\)"),
            ([[5, 9, 1]], r"^data must have shape \(n, 2\), got shape \(1, 3\)"),
            ([[5, 9], [2.5, 3]], r"^data must be whole numbers, got 2.5 heads at \[1, 0\]"),
            ([[5, 9], [2, 3.5]], r"^data must be whole numbers, got 3.5 tosses at \[1, 1\]"),
            ([[5, 9], [0, 0]], r"^data must have 1 toss or more in each trial, got 0 at \[1, 1\]"),
            ([[0, -3]], r"^data must have 1 toss or more in each trial, got -3 at \[0, 1\]"),
            (
                [[5, 9], [3, 3], [7, 5]],
                r"^data must be head counts from 0 to the tosses of their trial, 5 here, "
                r"got 7 at \[2, 0\]",
            ),
            ([[5, 9], [-1, 3]], r"^data must be head counts from 0 .* 3 here, got -1 at \[1, 0\]"),
            (
                np.ma.masked_equal([[5, 9], [2, 3]], 2),
                r"^data must have no masked values, got a masked array with 1 of 4",
            ),
        ],
    )
    def test_refuses_what_are_no_trials(self, data, message):
        for look in (
            lambda: fit(self.model, data, START),
            lambda: dispersion(self.model, data),
            lambda: fit_grid(self.model, data, [[0.6, 0.5]], [0.5, 0.5]),
        ):
            with pytest.raises(ValueError, match=message):
                look()

    def test_refuses_parameters_that_are_not_probabilities(self):
        with pytest.raises(ValueError, match=r"^heads_prob must lie between 0 and 1, got 1.1"):
            fit(self.model, [[5, 9]], BinomialParams([1.1], [1.0]))

    def test_simulates_trials_of_given_tosses(self):
        truth = BinomialParams([0.9, 0.3], [0.2, 0.8])
        tosses = np.tile([1, 7, 40], 7_000)
        data, labels, told = self.model.simulate(
            truth, len(tosses), rng=np.random.default_rng(1), tosses=tosses
        )
        assert told == truth
        assert data[:, 1].tolist() == tosses.tolist()
        assert labels.mean() == pytest.approx(0.8, abs=5 * np.sqrt(0.16 / len(tosses)))
        for k, p in enumerate(truth.heads_prob):
            for m in (1, 7, 40):
                heads = data[(labels == k) & (tosses == m), 0]
                error = np.sqrt(p * (1 - p) / m / len(heads))
                assert heads.mean() / m == pytest.approx(p, abs=5 * error)
        one = self.model.simulate(truth, 4, rng=np.random.default_rng(1), tosses=6).data
        assert one[:, 1].tolist() == [6] * 4

    def test_simulates_sizes_with_the_tosses_of_each_coin(self):
        truth = BinomialParams([0.0, 1.0], [0.5, 0.5])
        data, labels, _ = self.model.simulate(
            truth, [3, 5], rng=np.random.default_rng(1), tosses=[1, 2, 3, 10, 11, 12, 13, 14]
        )
        assert sorted(data[labels == 0].tolist()) == [[0, 1], [0, 2], [0, 3]]
        assert sorted(data[labels == 1].tolist()) == [[m, m] for m in range(10, 15)]
        assert (np.diff(labels) < 0).any()

    @pytest.mark.parametrize(
        ("tosses", "message"),
        [
            (None, r"^tosses must be given, a number or one for each trial, to simulate from a"),
            (0, r"^tosses must be a whole number, 1 or larger, got 0"),
            (2.5, r"^tosses must be a whole number, 1 or larger, got 2.5"),
            ([3, 4], r"^tosses must be whole numbers, one for each of the 3 trials, .* \(2,\)"),
            ([3, 4, 5.0], r"^tosses must be whole numbers, .* dtype float64"),
            ([3, 0, 5], r"^tosses must be 1 or larger, got 0 at \[1\]"),
            (np.ma.masked_equal([3, 4, 5], 4), r"^tosses must have no masked values"),
        ],
    )
    def test_simulate_refuses_bad_tosses(self, tosses, message):
        for model in (self.model, HardEM(self.model)):
            with pytest.raises(ValueError, match=message):
                model.simulate(START, 3, rng=np.random.default_rng(1), tosses=tosses)

    def test_simulate_refuses_tosses_beside_n_tosses(self):
        with pytest.raises(ValueError, match=r"^tosses are for a model without n_tosses, got 5"):
            BinomialMixture(10).simulate(START, 3, rng=np.random.default_rng(1), tosses=5)
        with pytest.raises(ValueError, match=r"^rng must be a numpy.random.Generator"):
            self.model.simulate(START, 3, rng=1, tosses=5)

    @pytest.mark.parametrize("most", [12, 1_000, 1_001, 10**6])
    @pytest.mark.parametrize("estimate_weights", [False, True])
    def test_grid_goes_as_fit(self, most, estimate_weights):
        data = np.concatenate([unequal(most, n=40, most=most), [[0, 1], [1, 1]]])
        starts = np.random.default_rng(2).uniform(0.05, 0.95, size=(12, 2))
        model = BinomialMixture(estimate_weights=estimate_weights)
        assert_goes_as_fit(model, data, starts, [0.4, 0.6], tol=1e-8)

    def test_grid_of_corners_and_edges(self):
        side = [0.0, 0.5, 1.0]
        starts = np.array([(a, b) for a in side for b in side])
        grid = assert_goes_as_fit(self.model, [[0, 3], [4, 4], [5, 9]], starts, [0.5, 0.5])
        impossible = {tuple(start) for start in starts[np.isneginf(grid.log_likelihood)]}
        assert impossible == {(0, 0), (0, 1), (1, 0), (1, 1)}

    def test_terms_are_no_smaller_than_those_of_each_trial(self):
        data = unequal(3, n=50, most=10**6)
        params = BinomialParams([0.7, 0.2], [0.5, 0.5])
        responsibilities = self.model.e_step(data, params).responsibilities
        p = params.heads_prob
        each = np.sqrt(data[:, 1:] * p * (1 - p))
        found = self.model.term_size(self.model.statistics(data, params, responsibilities), params)
        assert (responsibilities * each).sum() <= found <= 10 * (responsibilities * each).sum()


class TestExpectedInBins:
    @pytest.mark.parametrize("seed", range(3))
    def test_agrees_with_loops(self, seed):
        rng = np.random.default_rng(seed)
        tosses = rng.integers(1, 40, size=25)
        params = BinomialParams([0.7, 0.25], [0.4, 0.6])
        per = 20
        found = expected_in_bins(params, tosses, np.arange(per + 1) / per)
        naive = np.zeros(per)
        for m in tosses.tolist():
            for h in range(m + 1):
                p = sum(
                    pi * math.comb(m, h) * theta**h * (1 - theta) ** (m - h)
                    for theta, pi in zip(params.heads_prob, params.weights, strict=True)
                )
                naive[min(h * per // m, per - 1)] += p
        np.testing.assert_allclose(found, naive, rtol=1e-10)
        assert found.sum() == pytest.approx(25, rel=1e-13)

    def test_ends_that_are_proportions_belong_to_the_bin_above(self):
        params = BinomialParams([0.4], [1.0])
        for m in (10, 30, 70, 1_000, 10**6):
            # Not one of these ends is a binary fraction.
            (below, above) = expected_in_bins(params, [m], [0, 0.3, 1])
            cut = 3 * m // 10
            exact = binom.cdf(cut - 1, m, 0.4)
            assert below == pytest.approx(exact, rel=1e-9)
            assert above == pytest.approx(1 - exact, rel=1e-9)

    def test_bins_need_not_hold_all_proportions(self):
        found = expected_in_bins(BinomialParams([0.5], [1.0]), [4, 4], [0.25, 0.5])
        np.testing.assert_allclose(found, [2 * (4 + 6) / 16])  # its right end too: it is the last

    def test_coins_that_always_or_never_show_heads(self):
        params = BinomialParams([1.0, 0.0], [0.25, 0.75])
        found = expected_in_bins(params, [3, 8], [0, 0.5, 1])
        np.testing.assert_allclose(found, [1.5, 0.5])

    def test_weights_typed_with_six_digits(self):
        params = BinomialParams([0.2, 0.5, 0.8], [0.333333] * 3)
        found = expected_in_bins(params, [9], [0, 1])
        assert found.sum() == pytest.approx(1, rel=1e-14)
