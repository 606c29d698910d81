import math

import numpy as np
import pandas as pd
import pytest
from contract import for_many_seeds

from em_core.models.gaussian import log_density, log_likelihood, maximum_likelihood, simulate


def naive_log_likelihood(data, mean, std):
    return math.fsum(
        -math.log(std * math.sqrt(2 * math.pi)) - (x - mean) ** 2 / (2 * std**2) for x in data
    )


def test_maximum_likelihood_by_hand():
    mean, std = maximum_likelihood(np.array([1.0, 2.0, 6.0]))
    assert mean == 3
    assert std == pytest.approx(math.sqrt(14 / 3), rel=1e-15)  # n in the denominator, not n - 1


def test_numbers_of_few_digits_are_computed_in_many():
    data = (1000 + 100 * np.random.default_rng(0).normal(size=1000)).astype(np.float16)
    assert maximum_likelihood(data) == maximum_likelihood(data.astype(float))
    assert maximum_likelihood([1, 2, 6]) == maximum_likelihood(np.array([1.0, 2.0, 6.0]))


def test_refuses_missing_values_of_a_series():
    with pytest.raises(ValueError, match=r"^data must be finite, got nan at \[1\]"):
        maximum_likelihood(pd.Series([1.0, np.nan, 3.0]))


def test_simulate_refuses_what_is_no_generator():
    with pytest.raises(ValueError, match=r"^rng must be a numpy\.random\.Generator, "):
        simulate(0.0, 1.0, 3, rng=1)


@for_many_seeds()
def test_log_likelihood_agrees_with_a_loop(seed):
    rng = np.random.default_rng(seed)
    data, mean, std = rng.normal(3, 2, size=20), rng.normal(), rng.uniform(0.5, 5)
    found = log_likelihood(data, mean, std)
    assert found.shape == ()
    assert found == pytest.approx(naive_log_likelihood(data, mean, std), rel=1e-12)


def test_log_likelihood_of_a_grid_is_a_surface():
    data, means, stds = np.array([1.0, 2.0, 6.0]), [[0.0], [3.0], [4.0]], [1.0, 2.0]
    surface = log_likelihood(data, means, stds)
    naive = [[naive_log_likelihood(data, mean, std) for std in stds] for (mean,) in means]
    np.testing.assert_allclose(surface, naive, rtol=1e-14)


@for_many_seeds()
def test_nothing_is_more_likely_than_the_maximum(seed):
    rng = np.random.default_rng(seed)
    data = simulate(170.0, 10.0, 1000, rng=rng)
    mean, std = maximum_likelihood(data)
    peak = log_likelihood(data, mean, std)
    for size in (1e-3, 1e-1, 10):
        means = mean + size * rng.normal(size=20)
        stds = std * np.exp(size * rng.uniform(-1, 1, size=20))
        assert (log_likelihood(data, means, stds) < peak).all()


def test_shifting_the_data_shifts_the_estimate():
    data = np.array([1.0, 2.0, 6.0]) + 1e8
    mean, std = maximum_likelihood(data)
    assert mean == 1e8 + 3
    assert std == pytest.approx(math.sqrt(14 / 3), rel=1e-15)
    expected = naive_log_likelihood(data - 1e8, 4.0, 2.0)
    assert log_likelihood(data, 1e8 + 4, 2.0) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_simulate_then_fit_recovers_the_truth(seed):
    data = simulate(170.0, 10.0, 1000, rng=np.random.default_rng(seed))
    assert data.shape == (1000,)
    mean, std = maximum_likelihood(data)
    assert mean == pytest.approx(170, abs=5 * 10 / np.sqrt(1000))
    assert std == pytest.approx(10, abs=5 * 10 / np.sqrt(2000))


def test_simulate_is_driven_by_the_generator():
    rng = np.random.default_rng(1)
    first, second = simulate(0, 1, 5, rng=rng), simulate(0, 1, 5, rng=rng)
    assert np.array_equal(first, simulate(0, 1, 5, rng=np.random.default_rng(1)))
    assert not np.array_equal(first, second)


def test_log_density():
    x = np.array([[-1.0, 170.0], [180.0, 1e4]])
    found = log_density(x, 170.0, 10.0)
    naive = [[naive_log_likelihood([value], 170.0, 10.0) for value in row] for row in x]
    np.testing.assert_allclose(found, naive, rtol=1e-14)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        (np.nan, 1.0, r"^mean must be finite, got nan"),
        (0.0, 0.0, r"^std must be finite and larger than 0, got 0.0"),
    ],
)
def test_log_density_refuses_bad_parameters(mean, std, message):
    with pytest.raises(ValueError, match=message):
        log_density(1.0, mean, std)


def test_one_observation():
    assert maximum_likelihood(np.array([4.0])) == (4, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.nan, 1, 5), r"^mean must be finite, got nan"),
        ((np.inf, 1, 5), r"^mean must be finite, got inf"),
        ((0, 0, 5), r"^std must be finite and larger than 0, got 0"),
        ((0, -1, 5), r"^std must be finite and larger than 0, got -1"),
        ((0, np.nan, 5), r"^std must be finite and larger than 0, got nan"),
        ((0, 1, 0), r"^size must be a whole number, 1 or larger, got 0"),
        ((0, 1, 2.5), r"^size must be a whole number, 1 or larger, got 2.5"),
        ((0, 1, True), r"^size must be a whole number, 1 or larger, got True"),
    ],
)
def test_simulate_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate(*arguments, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"^data must hold at least one observation, got shape \(0,\)"),
        ([[1.0]], r"^data must have shape \(n,\), got shape \(1, 1\)"),
        ([1.0, np.nan], r"^data must be finite, got nan at \[1\]"),
        (["1"], r"^data must hold real numbers, got dtype <U1"),
    ],
)
def test_refuses_bad_data(data, message):
    with pytest.raises(ValueError, match=message):
        maximum_likelihood(np.array(data))
    with pytest.raises(ValueError, match=message):
        log_likelihood(np.array(data), 0.0, 1.0)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0.0, np.nan], 1.0, r"^mean must be finite, got nan at \[1\]"),
        (0.0, [1.0, 0.0], r"^std must be finite and larger than 0, got 0.0 at \[1\]"),
        (0.0, -1.0, r"^std must be finite and larger than 0, got -1.0"),
    ],
)
def test_log_likelihood_refuses_bad_parameters(mean, std, message):
    with pytest.raises(ValueError, match=message):
        log_likelihood(np.array([1.0, 2.0]), mean, std)
