"""The quick E-steps of the Gaussian mixture in the plane, against the formulas of the lesson.

What holds for every model's prepared data is in the contract. Here is what is particular to these.
"""

import os
import pickle
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from contract import (
    PREPARED_ACCURACY,
    assert_params_close,
    bits_of_run,
    next_params,
    sizes_of_terms,
    textbook,
)

from em_core import HardEM, MultivariateGaussianMixture, MultivariateGaussianParams, fit
from em_core.acceleration import REACH
from em_core.data.blocks import prepare
from em_core.engine import begin, iterate, objective_of
from em_core.kernels.boxes import Boxes
from em_core.kernels.cells import Cells
from em_core.many import fit_restarts, objectives_of
from em_core.models import multivariate_gaussian_mixture as module
from em_core.models.multivariate_gaussian_mixture import MANY, guess_from_points

generator = np.random.default_rng
ROWS = MANY + 1_001
KINDS = ["full", "tied", "diag", "spherical"]


class Plain(MultivariateGaussianMixture):
    """Has an E-step of its own, which is the textbook's."""

    expect = MultivariateGaussianMixture.expect


def overlapping(rng, n):
    centres = np.array([[0.0, 0.0], [3.0, 1.0], [6.0, -1.0]])[rng.choice(3, n, p=[0.2, 0.5, 0.3])]
    return centres + rng.normal(size=(n, 2)) @ [[2.0, 0.8], [0.0, 1.5]]


def apart(rng, n):
    return overlapping(rng, n) + 40.0 * rng.integers(2, size=(n, 1))


# Data that are awkward for cells or for products of matrices.
DATA = {
    "overlapping": overlapping,
    "apart": apart,
    "constants added": lambda rng, n: overlapping(rng, n) + np.array([1e8, -1e7]),
    "other units": lambda rng, n: overlapping(rng, n) * [1e-20, 1e30],
    "heavy tails": lambda rng, n: np.exp(rng.normal(1, 1.2, (n, 2))),
    "outlier": lambda rng, n: np.concatenate([overlapping(rng, n - 1), [[1e6, -1e6]]]),
    "whole numbers": lambda rng, n: np.round(overlapping(rng, n)),
    "most of them equal": lambda rng, n: np.maximum(overlapping(rng, n), 3.0),
    "along a line": lambda rng, n: overlapping(rng, n) @ [[1.0, 1.0], [0.0, 1e-3]],
    "ring": lambda rng, n: np.stack([np.cos(a := rng.uniform(0, 7, n)), np.sin(a)], axis=1),
    "tight blobs": lambda rng, n: rng.integers(3, size=(n, 2)) + 1e-6 * rng.normal(size=(n, 2)),
}


def mixtures(data, rng):
    """Return mixtures that fit data more or less, wide and narrow, slanted, even and uneven."""
    whole = np.cov(data, rowvar=False)
    scale = np.sqrt(np.diag(whole))
    for k, width in ((1, 1.0), (2, 0.7), (4, 0.5), (8, 0.9), (8, 0.3), (3, 0.05)):
        covariances = []
        for _ in range(k):
            turn = np.eye(2) + 0.4 * rng.normal(size=(2, 2)) * np.divide.outer(scale, scale)
            covariances.append(width**2 * turn @ whole @ turn.T)
        weights = rng.dirichlet(np.ones(k))
        yield MultivariateGaussianParams(data[rng.choice(len(data), k)], covariances, weights)
    # One hardly in reach, whose own sums are to have their digits all the same.
    means = np.array([data.mean(axis=0), data.max(axis=0) + 4 * np.sqrt(np.diag(whole))])
    yield MultivariateGaussianParams(means, [whole, whole], [1 - 1e-6, 1e-6])


def assert_are_the_textbooks(found, model, data, params):
    """Compare with the formulas: sums of products in terms of squares, and of own variances."""
    statistics, objective = textbook(model, data, params)
    slack = PREPARED_ACCURACY * (abs(objective) + model.term_size(statistics, params))
    counts, _, products = sizes_of_terms(model, data, params)
    own = counts[:, None] * np.diagonal(params.covariances, axis1=1, axis2=2)
    deviations = np.sqrt(np.maximum(np.diagonal(products, axis1=1, axis2=2), own))
    sizes = (
        counts,
        np.sqrt(counts)[:, None] * deviations,
        deviations[:, :, None] * deviations[:, None, :],
    )
    sums, of_rows = found
    assert abs(of_rows - objective) <= slack
    for name, ours, theirs, size in zip(sums._fields, sums, statistics, sizes, strict=True):
        near = np.abs(ours - theirs) <= PREPARED_ACCURACY * size + 1e-290
        assert near.all(), (name, ours, theirs, size)


def nodes_of(prepared, params):
    return prepared.n_looked_at(params)


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("n", [2_000, 3 * MANY])
def test_finds_what_the_formulas_do(kind, n):
    rng = generator(1)
    data = DATA[kind](rng, n)
    model = MultivariateGaussianMixture()
    for params in mixtures(data, rng):
        prepared = prepare(model, data, params)
        if prepared.prepared is not None:
            e_step = begin(model, prepared)
            assert_are_the_textbooks(e_step(params), model, data, params)


def test_far_fewer_nodes_stand_for_many_points():
    rng = generator(2)
    data = overlapping(rng, ROWS)
    prepared = prepare(MultivariateGaussianMixture(), data, guess_from_points(data, 3, rng=rng))
    wide = guess_from_points(data, 8, rng=rng)
    assert nodes_of(prepared.prepared, wide) < ROWS / 10
    narrow = MultivariateGaussianParams(wide.means, 1e-4 * np.array(wide.covariances), wide.weights)
    assert nodes_of(prepared.prepared, narrow) == ROWS


def test_components_far_apart_need_few_nodes_each():
    rng = generator(3)
    data = apart(rng, ROWS)
    whole = np.cov(overlapping(rng, 1_000), rowvar=False)
    params = MultivariateGaussianParams([[3.0, 0.0], [43.0, 40.0]], [whole, whole], [0.5, 0.5])
    prepared = prepare(MultivariateGaussianMixture(), data, params)
    assert nodes_of(prepared.prepared, params) < ROWS / 20


def test_nodes_have_the_moments_of_the_points():
    rng = generator(4)
    points = overlapping(rng, 20_000) / 3
    mixture = np.array([[-2.0, 0.1, 0.2, -0.5, 0.1, -0.5], [-2.5, 0.3, 0.0, -0.4, 0.0, -0.3]])
    found = Cells(points).choose(mixture[None], np.array([[0.6, 0.4]]))
    assert len(found.weights) < len(points) / 4
    assert found.weights.sum() == pytest.approx(len(points), rel=1e-13)
    x, y = found.rows[1:3]
    for p in range(4):
        for q in range(4):
            moment = (points[:, 0] ** p * points[:, 1] ** q).sum()
            size = np.abs(points[:, 0] ** p * points[:, 1] ** q).sum()
            assert found.weights @ (x**p * y**q) == pytest.approx(moment, abs=1e-12 * size)


def test_the_last_coefficients_of_a_function_are_seen():
    rng = generator(5)
    points = rng.uniform(-1, 1, (20_000, 2))
    mixture = np.array([[[-2.0, 0.1, 0.2, -0.5, 0.1, -0.5], [-2.5, 0.3, 0.0, -0.4, 0.0, -0.3]]])
    nodes = Cells(points).choose(mixture, np.array([[0.6, 0.4]]))
    smooth = np.exp(0.1 * nodes.rows[1] - 0.2 * nodes.rows[2])[: nodes.detectors.shape[1]]
    assert nodes.roughness(smooth) < 1e-10
    for wave in (nodes.rows[1], nodes.rows[2], nodes.rows[1] + nodes.rows[2]):
        rough = np.cos(60 * wave)[: nodes.detectors.shape[1]]
        assert nodes.roughness(smooth + 1e-4 * rough) > 1e-8


def test_nodes_that_no_longer_serve_are_not_trusted():
    rng = generator(6)
    data = overlapping(rng, ROWS)
    wide = guess_from_points(data, 4, rng=rng)
    model = MultivariateGaussianMixture()
    e_step = begin(model, prepare(model, data, wide))
    for width in (1.0, 0.5, 0.2, 0.1, 0.03, 1.0):
        covariances = width**2 * np.array(wide.covariances)
        params = MultivariateGaussianParams(wide.means, covariances, wide.weights)
        assert_are_the_textbooks(e_step(params), model, data, params)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_goes_as_by_the_formulas(kind):
    rng = generator(7)
    data = overlapping(rng, ROWS)
    init = guess_from_points(data, 3, rng=rng, covariance=kind)
    quick = islice(iterate(MultivariateGaussianMixture(kind), data, init), 40)
    plain = islice(iterate(Plain(kind), data, init), 40)
    for ours, theirs in zip(quick, plain, strict=True):
        assert ours.objective == pytest.approx(theirs.objective, rel=1e-11)
        assert_params_close(ours.params, theirs.params, rtol=1e-9, atol=1e-9)


def test_a_run_ends_where_it_does_by_the_formulas():
    rng = generator(8)
    data, whole = apart(rng, ROWS), 20 * np.eye(2)
    init = MultivariateGaussianParams([[3.0, 0.0], [30.0, 30.0]], [whole, whole], [0.4, 0.6])
    ours, theirs = (
        fit(model, data, init, tol=0, max_iter=100)
        for model in (MultivariateGaussianMixture(), Plain())
    )
    assert ours.converged
    assert theirs.converged
    assert abs(ours.n_iter - theirs.n_iter) <= 1
    assert_params_close(ours.final.params, theirs.final.params, rtol=1e-12, atol=1e-12)


def test_many_runs_go_as_each_alone():
    rng = generator(9)
    data = overlapping(rng, ROWS)
    model = MultivariateGaussianMixture()
    inits = [guess_from_points(data, 4, rng=rng) for _ in range(6)]
    # One that collapses, and does not disturb the others.
    covariances = np.array(inits[2].covariances)
    covariances[1] *= 1e-8
    inits[2] = MultivariateGaussianParams(inits[2].means, covariances, inits[2].weights)
    prepared = prepare(model, data, inits[0])
    for found, init in zip(fit_restarts(model, prepared, inits, max_iter=15), inits, strict=True):
        alone = fit(model, prepared, init, max_iter=15)
        assert (found.status, found.n_iter) == (alone.status, alone.n_iter)
        np.testing.assert_allclose(found.objectives, alone.objectives, rtol=1e-11)
        for ours, theirs in zip(found.steps, alone.steps, strict=True):
            assert_params_close(ours.params, theirs.params, rtol=1e-9, atol=1e-9)


def test_many_runs_at_odds_are_each_the_formulas():
    rng = generator(10)
    data = overlapping(rng, ROWS)
    model = MultivariateGaussianMixture()
    starts = [guess_from_points(data, 3, rng=rng) for _ in range(5)]
    many = prepare(model, data, starts[0]).prepared.begin_many()
    for widths in ([1, 1, 1, 1, 1], [1, 0.01, 1, 1e-7, 0.2], [1, 1, 0.01, 1, 1]):
        several = [
            MultivariateGaussianParams(s.means, w**2 * np.array(s.covariances), s.weights)
            for s, w in zip(starts, widths, strict=True)
        ]
        arrays = {
            name: np.stack([each.arrays()[name] for each in several])
            for name in several[0].arrays()
        }
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            statistics, objectives = many(arrays)
        for r, params in enumerate(several):
            own = type(statistics)(*(each[r] for each in statistics))
            assert_are_the_textbooks((own, objectives[r]), model, data, params)


@pytest.mark.parametrize("n", [2_000, ROWS])
def test_objectives_on_a_grid(n):
    rng = generator(11)
    data = overlapping(rng, n)
    model = MultivariateGaussianMixture()
    params = guess_from_points(data, 3, rng=rng)
    prepared = prepare(model, data, params)
    x = np.linspace(data[:, 0].min(), data[:, 0].max(), 9)
    variances = np.geomspace(1e-7, 50, 9)
    a, b = (each.ravel() for each in np.meshgrid(x, variances))
    arrays = {name: np.repeat(v[None], len(a), axis=0) for name, v in params.arrays().items()}
    arrays["means"][:, 0, 0] = a
    arrays["covariances"][:, 1] = b[:, None, None] * np.eye(2)
    found = objectives_of(model, prepared, MultivariateGaussianParams)(arrays)
    for r, value in enumerate(found.tolist()):
        one = MultivariateGaussianParams(**{name: each[r] for name, each in arrays.items()})
        assert value == pytest.approx(objective_of(model, prepared, one), rel=1e-10)


def test_objectives_of_one_component_that_varies():
    rng = generator(12)
    data = overlapping(rng, ROWS)
    model = MultivariateGaussianMixture()
    params = guess_from_points(data, 3, rng=rng)
    prepared = prepare(model, data, params)
    arrays = {name: np.repeat(v[None], 50, axis=0) for name, v in params.arrays().items()}
    arrays["means"][:, 0] = rng.normal(size=(50, 2)) * 5
    found = objectives_of(model, prepared, MultivariateGaussianParams)(arrays)
    for r in range(0, 50, 7):
        one = MultivariateGaussianParams(**{name: each[r] for name, each in arrays.items()})
        assert found[r] == pytest.approx(objective_of(model, prepared, one), rel=1e-11)


@pytest.mark.parametrize("n", [3_000, ROWS], ids=["few", "many"])
@pytest.mark.parametrize("kind", DATA)
def test_likeliest_components_are_the_formulas(kind, n):
    rng = generator(13)
    data = DATA[kind](rng, n)
    model = HardEM(MultivariateGaussianMixture())
    for params in mixtures(data, rng):
        prepared = prepare(model, data, params)
        if prepared.prepared is not None:
            found = begin(model, prepared)(params)
            assert_are_the_textbooks(found, model, data, params)


@pytest.mark.parametrize("half", [20, 100], ids=["few", "many"])
def test_points_between_equal_components_go_to_the_first(half):
    sides = np.arange(-half, half + 1)
    x, y = (each.ravel() for each in np.meshgrid(sides, sides))
    data = np.stack([x, y], axis=1).astype(float)
    model = HardEM(MultivariateGaussianMixture("spherical"))
    means = [[-2.0, 0.0], [2.0, 0.0], [2.0, 0.0]]
    params = MultivariateGaussianParams(means, [9.0 * np.eye(2)] * 3, np.ones(3) / 3)
    (counts, *_), _ = begin(model, prepare(model, data, params))(params)
    np.testing.assert_array_equal(counts, [(x <= 0).sum(), (x > 0).sum(), 0])


@pytest.mark.parametrize("n", [5_000, ROWS], ids=["few", "many"])
def test_hard_run_ends_where_it_does_by_the_formulas(n):
    rng = generator(14)
    data = overlapping(rng, n)
    init = guess_from_points(data, 4, rng=rng)
    ours, theirs = (
        fit(HardEM(model), data, init, tol=0, max_iter=300)
        for model in (MultivariateGaussianMixture(min_std=0.01), Plain(min_std=0.01))
    )
    assert ours.converged
    assert ours.n_iter == theirs.n_iter
    np.testing.assert_allclose(ours.objectives, theirs.objectives, rtol=1e-11)
    assert_params_close(ours.final.params, theirs.final.params, rtol=1e-12, atol=1e-12)


def test_few_points_of_many_are_looked_at_one_by_one():
    rng = generator(16)
    data = overlapping(rng, 100_000)
    model = HardEM(MultivariateGaussianMixture())
    init = guess_from_points(data, 4, rng=rng)
    prepared = prepare(model, data, init).prepared
    end = fit(model, data, init, max_iter=20).final.params
    assert 0 < prepared.n_looked_at(end) < 0.2 * len(data)
    some = prepare(model, data[:2_000], init).prepared
    assert some.n_looked_at(end) == 2_000


@pytest.mark.parametrize("seed", range(4))
def test_boxes_that_bend_towards_another_component_are_not_taken_whole(seed):
    rng = generator(seed)
    points = overlapping(rng, ROWS)
    x, y = (points / points.std(axis=0)).T
    rows = np.stack([np.ones(ROWS), x, y, x * x, x * y, y * y])
    boxes, n_certain = Boxes(rows), 0
    for _ in range(20):
        # Some are so narrow that all that they have of a box may be far from its middle.
        means, stds = rng.normal(size=(6, 2)), np.exp(rng.uniform(-5, 1, 6))
        precisions = 1 / stds**2
        constants = -2 * np.log(stds) - 0.5 * precisions * (means**2).sum(axis=1)
        linear, square = precisions[:, None] * means, -0.5 * precisions
        slanted = rng.uniform(-1, 1, 6) * precisions
        quadratics = np.column_stack([constants, linear, square, slanted, square])
        size = float((np.abs(quadratics) @ np.abs(rows).max(axis=1)).max())
        winners = (quadratics @ rows).argmax(axis=0)
        found = boxes.sums_of_likeliest(quadratics, means, size, lambda i, w=winners: w[i])
        np.testing.assert_array_equal(found[:, 0], np.bincount(winners, minlength=6))
        n_certain += boxes.n_looked_at(quadratics, size) < ROWS / 2
    assert n_certain > 10


@pytest.mark.parametrize("n", [5_000, ROWS], ids=["few", "many"])
def test_hard_assignment_needs_no_plain_formulas_where_components_are_narrow(n, monkeypatch):
    rng = generator(19)
    blob = np.array([3.0, 2.0]) + rng.normal(size=(n // 4, 2)) * 1e-2
    data = np.concatenate([overlapping(rng, n - len(blob)), blob])
    model = HardEM(MultivariateGaussianMixture())
    means, covariances = [[0.0, 0.0], [3.0, 2.0], [6.0, -1.0]], np.stack([np.eye(2)] * 3)
    covariances[1] *= 1e-4
    params = MultivariateGaussianParams(means, covariances, [0.3, 0.4, 0.3])
    expected = textbook(HardEM(Plain()), data, params)
    monkeypatch.setattr(module.PreparedForWinners, "_plainly", None)
    found, objective = begin(model, prepare(model, data, params))(params)
    for ours, theirs in zip(found, expected[0], strict=True):
        scale = np.abs(theirs).max(axis=tuple(range(1, theirs.ndim)), keepdims=True)
        np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=1e-10)
    assert objective == pytest.approx(expected[1], rel=1e-12)
    trace = fit(model, data, params, tol=0, max_iter=200)  # to its end, where nothing moves
    assert trace.converged
    assert trace.n_iter > 5


@pytest.mark.parametrize("varied", [[0], [0, 1], []])
@pytest.mark.parametrize("n", [3_000, ROWS], ids=["few", "many"])
def test_objectives_of_hard_assignment_are_the_formulas(varied, n):
    rng = generator(17)
    data, model = overlapping(rng, n), HardEM(MultivariateGaussianMixture())
    params = guess_from_points(data, 4, rng=rng)
    params = MultivariateGaussianParams(params.means, params.covariances, [0.5, 0.3, 0.0, 0.2])
    prepared = prepare(model, data, params)
    arrays = {name: np.repeat(v[None], 150, axis=0) for name, v in params.arrays().items()}
    for k in varied:
        arrays["means"][:, k] = rng.normal(size=(150, 2)) * 5
    arrays["covariances"][70, 3] *= 1e-12  # which products cannot tell
    found = objectives_of(model, prepared, MultivariateGaussianParams)(arrays)
    with np.errstate(divide="ignore"):
        for r in [*range(0, 150, 50), 70]:
            one = MultivariateGaussianParams(**{name: each[r] for name, each in arrays.items()})
            assert found[r] == pytest.approx(model.e_step(data, one).objective, rel=1e-11)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimate_weights", [True, False])
def test_free_vectors_of_many_are_those_of_each(kind, estimate_weights):
    rng = generator(15)
    data = overlapping(rng, 2_000)
    model = MultivariateGaussianMixture(kind, 0.05, estimate_weights)
    like, there = (
        [guess_from_points(data, 3, rng=rng, covariance=kind) for _ in range(4)] for _ in range(2)
    )
    arrays, near = (
        {name: np.stack([each.arrays()[name] for each in several]) for name in like[0].arrays()}
        for several in (there, like)
    )
    vectors = model.to_free_many(arrays, near)
    back = model.from_free_many(vectors + REACH, near)
    for r in range(4):
        own = model.to_free(there[r], like[r])
        np.testing.assert_allclose(vectors[r], own, rtol=1e-13, atol=1e-13)
        expected = model.from_free(own + REACH, like[r])
        found = MultivariateGaussianParams(**{name: each[r] for name, each in back.items()})
        assert_params_close(found, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("floor", [0.0, 1.5])
def test_updates_of_many_are_those_of_each(kind, floor):
    rng = generator(16)
    data = overlapping(rng, 300)
    model = MultivariateGaussianMixture(kind, floor)
    starts = [guess_from_points(data, 3, rng=rng, covariance=kind) for _ in range(5)]
    found = [model.expect(data, start)[0] for start in starts]
    found[1].counts[2] = 0.0  # a component without data stays
    statistics = type(found[0])(*map(np.stack, zip(*found, strict=True)))
    arrays = {
        name: np.stack([each.arrays()[name] for each in starts]) for name in starts[0].arrays()
    }
    updated = model.m_step_many(statistics, arrays)
    for r, (own, start) in enumerate(zip(found, starts, strict=True)):
        expected = next_params(model, own, start)
        several = MultivariateGaussianParams(**{name: each[r] for name, each in updated.items()})
        assert_params_close(several, expected, rtol=1e-13, atol=1e-13)


def test_expected_objectives_of_many():
    rng = generator(17)
    data = overlapping(rng, 500)
    model = MultivariateGaussianMixture()
    at, *others = (guess_from_points(data, 3, rng=rng) for _ in range(5))
    statistics, _ = model.expect(data, at)
    arrays = {name: np.stack([each.arrays()[name] for each in others]) for name in at.arrays()}
    found = model.expected_objective_many(statistics, arrays, at)
    each = [model.expected_objective(statistics, params, at) for params in others]
    np.testing.assert_allclose(found, each, rtol=1e-13)
    assert len(set(each)) == 4


@pytest.mark.parametrize("kind", [lambda mixture: mixture, HardEM], ids=["soft", "hard"])
def test_the_number_of_threads_does_not_change_a_bit_of_many_points(tmp_path, kind):
    rng = generator(18)
    data = overlapping(rng, ROWS)
    init = guess_from_points(data, 8, rng=rng)
    model = kind(MultivariateGaussianMixture())
    (tmp_path / "run").write_bytes(pickle.dumps((model, data, init)))
    script = (
        "import pickle, sys, contract; from pathlib import Path; "
        "print(contract.bits_of_run(*pickle.loads(Path(sys.argv[1]).read_bytes())))"
    )
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent)])
    found = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "run")],
            env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": threads},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for threads in ("1", "2")
    }
    assert found == {bits_of_run(model, data, init)}


def test_fewer_nodes_are_taken_once_a_run_is_on_its_way(monkeypatch):
    rng = generator(19)
    data = overlapping(rng, ROWS)
    whole = np.cov(data, rowvar=False)
    model, sizes = MultivariateGaussianMixture(), []
    choose = Cells.choose

    def spy(*arguments):
        found = choose(*arguments)
        sizes.append(len(found.weights))
        return found

    monkeypatch.setattr(Cells, "choose", spy)
    monkeypatch.setattr(module, "_FOR_FEWER", (2,))
    means = np.quantile(data, [0.1, 0.5, 0.9], axis=0)
    params = [
        MultivariateGaussianParams(spread * means, [width * whole] * 3, np.ones(3) / 3)
        for spread, width in ((1.0, 0.8), (1.0, 1.5))
    ]
    e_step = begin(model, prepare(model, data, params[0]))
    for each in params:
        assert_are_the_textbooks(e_step(each), model, data, each)
    assert len(sizes) == 2
    assert sizes[1] < sizes[0]
