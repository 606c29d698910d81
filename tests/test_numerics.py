import math
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from contract import for_many_seeds

from em_core import match_components
from em_core.numerics import log_binomial, posterior


@for_many_seeds()
def test_posterior_agrees_with_a_loop(seed):
    log_joint = np.random.default_rng(seed).normal(scale=5, size=(20, 3))
    responsibilities, log_evidence = posterior(log_joint)
    for i, row in enumerate(log_joint):
        joint = [math.exp(value) for value in row]
        assert responsibilities[i].tolist() == pytest.approx([p / sum(joint) for p in joint])
        assert log_evidence[i] == pytest.approx(math.log(sum(joint)))


def test_posterior_far_below_and_above_the_range_of_exp():
    for offset in (-1e6, 1e6):
        responsibilities, log_evidence = posterior(offset + np.log([[1.0, 3.0]]))
        np.testing.assert_allclose(responsibilities, [[0.25, 0.75]], rtol=1e-9)
        assert log_evidence[0] == pytest.approx(offset + math.log(4), rel=1e-15)


def test_posterior_of_components_too_far_apart_to_compare():
    responsibilities, log_evidence = posterior(np.array([[-1e5, 0.0], [-3.0, -1e5]]))
    assert responsibilities.tolist() == [[0, 1], [1, 0]]
    assert log_evidence.tolist() == [0, -3]


def test_posterior_of_a_component_that_cannot_be():
    responsibilities, log_evidence = posterior(np.array([[-np.inf, -2.0], [-1e300, -np.inf]]))
    assert responsibilities.tolist() == [[0, 1], [1, 0]]
    assert log_evidence.tolist() == [-2, -1e300]


def test_posterior_of_an_impossible_row_leaves_the_others_alone():
    responsibilities, log_evidence = posterior(np.array([[-np.inf, -np.inf], [0.0, 0.0]]))
    assert np.isnan(responsibilities[0]).all()
    assert responsibilities[1].tolist() == [0.5, 0.5]
    assert log_evidence.tolist() == [-np.inf, pytest.approx(math.log(2))]


def test_posterior_of_what_is_not_a_number():
    responsibilities, log_evidence = posterior(np.array([[np.nan, 0.0]]))
    assert np.isnan(responsibilities).all()
    assert np.isnan(log_evidence).all()


def test_posterior_of_one_component():
    responsibilities, log_evidence = posterior(np.array([[-3.0], [5.0]]))
    assert responsibilities.tolist() == [[1], [1]]
    assert log_evidence.tolist() == [-3, 5]


def test_match_undoes_a_permutation():
    truths = np.array([3.0, -10.0, 30.0])
    for order in permutations(range(3)):
        estimates = truths[list(order)] + 0.1
        assert np.array_equal(estimates[match_components(estimates, truths)], truths + 0.1)


@for_many_seeds()
def test_match_is_the_closest_of_all_permutations(seed):
    estimates, truths = np.random.default_rng(seed).normal(size=(2, 4, 2))

    def distance(order):
        return ((estimates[list(order)] - truths) ** 2).sum()

    order = match_components(estimates, truths)
    assert sorted(order) == [0, 1, 2, 3]
    assert distance(order) == pytest.approx(min(map(distance, permutations(range(4)))))


def test_match_is_not_greedy():
    # The nearest pair of all, 1.0 and 1.1, is not part of the closest matching.
    assert match_components([1.0, 1.2], [1.1, -0.1]).tolist() == [1, 0]


def test_match_of_more_estimates_than_truths_puts_the_spare_last():
    assert match_components([7.0, 0.1, 9.0, 5.2], [5.0, 0.0]).tolist() == [3, 1, 0, 2]


def test_match_of_fewer_estimates_than_truths_keeps_the_order_of_the_truths():
    assert match_components([9.1, 0.1], [0.0, 5.0, 9.0]).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("estimates", "truths", "got"),
    [
        ([1.0, 2.0], [[1.0], [2.0]], r"\(2,\) and \(2, 1\)"),
        ([[1.0, 2.0]], [[1.0, 2.0, 3.0]], r"\(1, 2\) and \(1, 3\)"),
        (1.0, [1.0], r"\(\) and \(1,\)"),
        ([1.0], 1.0, r"\(1,\) and \(\)"),
    ],
)
def test_match_refuses_other_shapes(estimates, truths, got):
    with pytest.raises(ValueError, match=rf"^estimates and truths must be .*, got {got}$"):
        match_components(estimates, truths)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_match_refuses_what_is_not_finite(value):
    for estimates, truths in (([0.0, value], [0.0, 1.0]), ([0.0, 1.0], [value, 1.0])):
        with pytest.raises(ValueError, match=r"^estimates and truths must be finite"):
            match_components(estimates, truths)


@pytest.mark.parametrize("m", [1, 7, 1_000, 1_001, 3_000])
def test_log_binomial_agrees_with_exact_arithmetic_and_the_plain_formula(m):
    rng = np.random.default_rng(m)
    for p in (0.3, 0.5, 2.0**-20, 1.0 - 2.0**-20):
        heads = np.unique([0, m, *rng.binomial(m, p, 5)])
        found = log_binomial(heads.astype(float), m, np.array([p]))
        for h, ours in zip(heads.tolist(), found, strict=True):
            exact = math.comb(m, h) * Fraction(p) ** h * (1 - Fraction(p)) ** (m - h)
            expected = math.log(exact.numerator) - math.log(exact.denominator)
            terms = abs(math.log(exact.denominator))  # which the reference itself rounds by
            assert ours == pytest.approx(expected, rel=1e-13, abs=1e-14 + 4e-16 * terms)
            plain = math.log(math.comb(m, h)) + h * math.log(p) + (m - h) * math.log1p(-p)
            assert ours == pytest.approx(plain, rel=1e-12, abs=1e-11)


def test_log_binomial_of_what_is_certain_or_impossible():
    for m in (10, 10**6):
        heads = np.array([0.0, 1.0, m])
        assert log_binomial(heads, m, np.array([0.0])).tolist() == [0, -np.inf, -np.inf]
        assert log_binomial(heads, m, np.array([1.0])).tolist() == [-np.inf, -np.inf, 0]
