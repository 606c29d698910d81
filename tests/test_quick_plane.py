"""E-steps of the mixture in several dimensions by products: those of the plain formulas."""

import numpy as np
import pytest

from em_core import MultivariateGaussianMixture, MultivariateGaussianParams, fit
from em_core.data.blocks import prepare
from em_core.engine import begin, expectations
from em_core.models.multivariate_gaussian_mixture import guess_from_points

generator = np.random.default_rng
MODEL = MultivariateGaussianMixture()


def overlapping(rng, n=3_000, d=2):
    """Return rows of three groups that lie into each other."""
    return rng.normal(size=(n, d)) * rng.uniform(0.5, 2, d) + rng.integers(0, 5, (n, 1))


def moving(data, rng, k=3):
    """Return parameters a few updates from a start, so that covariances are full."""
    start = guess_from_points(data, k, rng=rng)
    return fit(MODEL, [data], start, tol=0, max_iter=5).final.params


def found(data, params):
    """Return what a run's E-step finds, and whether it was by products."""
    blocks = prepare(MODEL, data, params)
    prepared = blocks.prepared
    plainly, by_formulas = prepared._plainly, []

    def noted(*given):
        by_formulas.append(given)
        return plainly(*given)

    prepared._plainly = noted
    return begin(MODEL, blocks)(params), not by_formulas


def assert_the_textbooks(found, data, params):
    """Compare with the plain formulas, in deviations of the component and of the data."""
    (counts, first, second), objective = found
    plain, expected = expectations(MODEL, prepare(MODEL, [data], params), params)
    assert objective == pytest.approx(expected, rel=1e-11, abs=1e-9 * len(data))
    seen = plain.counts.clip(1e-200)
    np.testing.assert_allclose(counts, plain.counts, rtol=1e-9, atol=1e-10)
    spread = np.sqrt(np.diagonal(plain.products, axis1=1, axis2=2) / seen[:, None])
    distance = np.abs(first - plain.deviations) / seen[:, None]
    assert (distance <= 1e-9 * spread + 1e-300).all()
    apart = np.abs(second - plain.products) / seen[:, None, None]
    assert (apart <= 1e-9 * spread[:, :, None] * spread[:, None, :] + 1e-300).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_are_the_textbooks(seed, d, offset):
    rng = generator(seed)
    data = overlapping(rng, d=d) + offset
    params = moving(data, rng)
    e_step, by_products = found(data, params)
    assert by_products
    assert_the_textbooks(e_step, data, params)


def test_units_far_apart():
    rng = generator(5)
    data = overlapping(rng) * [1e-30, 1e30]
    params = moving(data, rng)
    e_step, by_products = found(data, params)
    assert by_products
    assert_the_textbooks(e_step, data, params)


@pytest.mark.parametrize("angle", [0.0, 0.7])
@pytest.mark.parametrize("width", [0.2, 1e-4, 1e-6])
def test_narrow_in_some_direction(angle, width):
    rng = generator(6)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flat = rng.normal(size=(1_500, 2)) * [1, width]
    data = np.concatenate([flat @ turn.T, rng.normal(3, 1, (1_500, 2))])
    covariances = [turn @ np.diag([1, width**2]) @ turn.T, np.eye(2)]
    params = MultivariateGaussianParams([[0.01, 0.0], [3.1, 3]], covariances, [0.4, 0.6])
    e_step, by_products = found(data, params)
    assert by_products == (width == 0.2)
    assert_the_textbooks(e_step, data, params)


def test_a_component_about_to_narrow_in_a_direction_is_left_to_the_plain_formulas():
    # The covariances are wide, what they are updated to is flat.
    rng = generator(7)
    along = rng.normal(size=(2_000, 1))
    data = along * [1.0, 1.0] + 1e-7 * rng.normal(size=(2_000, 2))
    params = MultivariateGaussianParams([[0.3, 0.3], [-0.2, 0.2]], [np.eye(2)] * 2, [0.5, 0.5])
    e_step, by_products = found(data, params)
    assert not by_products
    assert_the_textbooks(e_step, data, params)


def test_an_outlier():
    rng = generator(8)
    data = np.append(overlapping(rng), [[1e6, -1e6]], axis=0)
    params = MultivariateGaussianParams([[0, 0.1], [3, 3]], [np.eye(2), 2 * np.eye(2)], [0.5, 0.5])
    e_step, by_products = found(data, params)
    assert not by_products
    assert_the_textbooks(e_step, data, params)


def test_equal_components_stay_equal():
    rng = generator(9)
    data = overlapping(rng)
    params = MultivariateGaussianParams([[1, 2], [1, 2]], [np.eye(2)] * 2, [0.5, 0.5])
    last = fit(MODEL, data, params, tol=0, max_iter=50).final.params
    assert np.array_equal(*last.means)
    assert np.array_equal(*last.covariances)


def test_a_run_arrives():
    rng = generator(10)
    data = np.concatenate([rng.normal(0, 1, (1_000, 2)), rng.normal(6, 1, (1_000, 2))])
    start = MultivariateGaussianParams([[0, 1], [5, 5]], [np.eye(2)] * 2, [0.5, 0.5])
    trace = fit(MODEL, data, start, tol=0, max_iter=1_000)
    assert trace.converged
    plainly = fit(MODEL, [data], start, tol=0, max_iter=1_000)
    np.testing.assert_allclose(
        trace.final.params.vector(), plainly.final.params.vector(), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((2_000, 2)),
        np.ones((2_000, 2)) * [[0.0, 1.0]],
        overlapping(generator(11), 500),
        overlapping(generator(11), d=4),
        overlapping(generator(11)) * 1e200,
    ],
    ids=["all equal", "a constant", "few", "many coordinates", "large"],
)
def test_nothing_is_prepared(data):
    assert MODEL.prepare(data) is None
