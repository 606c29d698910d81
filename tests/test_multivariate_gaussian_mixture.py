import math
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from contract import (
    AffineContract,
    assert_params_close,
    first_steps,
    for_many_seeds,
    weighted_sums,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as PeerMixture

from em_core import (
    GaussianMixture,
    GaussianParams,
    HardEM,
    MultivariateGaussianMixture,
    MultivariateGaussianParams,
    Status,
    fit,
    fit_labelled,
)
from em_core.data import old_faithful
from em_core.diagnostics import linear_rate, map_eigenvalues
from em_core.models import kmeans
from em_core.models.multivariate_gaussian_mixture import (
    about_new_means,
    guess_from_points,
    guess_plus_plus,
    in_form,
    raised_to,
    whitening,
)
from em_core.numerics import smallest_stds

KINDS = ["full", "tied", "diag", "spherical"]
generator = np.random.default_rng

MEANS = np.array([[-3.0, 1.0], [0.0, -2.0], [4.0, 2.0]])
COVARIANCES = {
    "full": [[[1.0, 0.6], [0.6, 0.8]], [[0.5, -0.2], [-0.2, 0.4]], [[2.0, 0.9], [0.9, 1.5]]],
    "tied": [[[1.0, 0.6], [0.6, 0.8]]] * 3,
    "diag": [[[1.0, 0], [0, 0.3]], [[0.5, 0], [0, 0.5]], [[2.0, 0], [0, 1.5]]],
    "spherical": [[[1.0, 0], [0, 1.0]], [[0.5, 0], [0, 0.5]], [[2.0, 0], [0, 2.0]]],
}
ONE = MultivariateGaussianParams([[0.0, 0.0]], [np.eye(2)], [1.0])
TWO = MultivariateGaussianParams([[0.0, 0.0], [1.0, 1.0]], [np.eye(2)] * 2, [0.5, 0.5])


def clipped(matrix, floor):
    """Return a covariance matrix with no standard deviation below a floor."""
    values, vectors = np.linalg.eigh(matrix)
    excess = vectors @ np.diag(np.maximum(values - floor**2, 0)) @ vectors.T
    return np.array(matrix) if values[0] >= floor**2 else floor**2 * np.eye(len(values)) + excess


class Hard:
    soft = False
    # Whoever cuts overlapping components apart estimates something else than the truth.
    test_recovers_the_truth_within_sampling_error = None


class PlaneCase:
    kind = "full"
    floor = 0.0
    estimate_weights = True
    weights = (0.5, 0.3, 0.2)

    @property
    def model(self):
        return MultivariateGaussianMixture(self.kind, self.floor, self.estimate_weights)

    def sample(self, rng, n, separation=1.0):
        truth = MultivariateGaussianParams(
            separation * MEANS, COVARIANCES[self.kind], np.array(self.weights)
        )
        sizes = np.diff(np.round(np.cumsum([0.0, *self.weights]) * n).astype(int))
        return MultivariateGaussianMixture(self.kind).simulate(truth, sizes, rng=rng)

    def guess(self, data, rng):
        return guess_from_points(data, 3, rng=rng, covariance=self.kind)

    def term(self, x, params, k):
        mean, covariance, weight = params.means[k], params.covariances[k], params.weights[k]
        square = (x - mean) @ np.linalg.solve(covariance, x - mean)
        log_density = -(square + math.log(np.linalg.det(2 * np.pi * covariance))) / 2
        return math.log(weight) + log_density

    def naive_m_step(self, data, responsibilities, previous):
        counts = weighted_sums(np.ones(len(data)), responsibilities)
        totals = weighted_sums(data, responsibilities)
        means, sums = previous.means.copy(), np.zeros_like(previous.covariances)
        for k in np.flatnonzero(counts):
            means[k] = totals[k] / counts[k]
            outer = [np.outer(x - means[k], x - means[k]) for x in data]
            sums[k] = weighted_sums(outer, responsibilities)[k]
        covariances = previous.covariances.copy()
        for k in np.flatnonzero(counts):
            covariance = sums[k] / counts[k]
            if self.kind == "tied":
                covariance = sums.sum(axis=0) / counts.sum()
            elif self.kind == "diag":
                covariance = np.diag(np.diag(covariance))
            elif self.kind == "spherical":
                covariance = np.eye(2) * np.trace(covariance) / 2
            covariances[k] = clipped(covariance, self.floor)
        weights = counts / len(data) if self.estimate_weights else previous.weights
        return MultivariateGaussianParams(means, covariances, weights)

    def nudge(self, params, rng, size):
        means = params.means + size * rng.normal(size=(3, 2))
        factors = np.linalg.cholesky(params.covariances)
        stretch = np.exp(size * rng.normal(size=(3, 2)))
        if self.kind == "spherical":
            stretch[:] = stretch[:, :1]
        covariances = factors @ (stretch[:, :, None] * np.eye(2)) @ factors.mT
        if self.kind in ("full", "tied"):
            shears = np.eye(2) + size * rng.normal(size=(3, 2, 2))
            covariances = shears @ covariances @ shears.mT
        if self.kind == "tied":
            covariances[:] = covariances[0]
        covariances = np.array([clipped(matrix, self.floor) for matrix in covariances])
        weights = params.weights * np.exp(self.estimate_weights * size * rng.normal(size=3))
        return MultivariateGaussianParams(means, covariances, weights / weights.sum())

    def standard_errors(self, truth, n):
        counts = n * truth.weights
        variances = np.diagonal(truth.covariances, axis1=1, axis2=2)
        squares = variances[:, :, None] * variances[:, None, :] + truth.covariances**2
        informed = np.full(3, n) if self.kind == "tied" else counts
        errors = np.sqrt(squares / informed[:, None, None])
        if self.kind in ("diag", "spherical"):
            errors *= np.eye(2)
        if self.kind == "spherical":
            errors /= np.sqrt(2)
        found = {
            "means": np.sqrt(variances / counts[:, None]),
            "covariances": errors,
        }
        if self.estimate_weights:
            found["weights"] = np.sqrt(truth.weights * (1 - truth.weights) / n)
        return found

    def moved(self, params, shift, scale):
        return MultivariateGaussianParams(
            scale * params.means + shift, scale**2 * params.covariances, params.weights
        )

    def model_in_units(self, scale):
        return replace(self.model, min_std=scale * self.floor)


class TestFull(PlaneCase, AffineContract):
    pass


class TestTied(PlaneCase, AffineContract):
    kind = "tied"


class TestDiag(PlaneCase, AffineContract):
    kind = "diag"


class TestSpherical(PlaneCase, AffineContract):
    kind = "spherical"


class TestSphericalWithEqualWeights(PlaneCase, AffineContract):
    kind = "spherical"
    estimate_weights = False
    weights = (1 / 3, 1 / 3, 1 / 3)


class FloorCase(PlaneCase):
    floor = 0.65  # above some of the true deviations

    def standard_errors(self, truth, n):
        errors = super().standard_errors(truth, n)
        # A deviation below the floor cannot be recovered.
        raised = [clipped(matrix, self.floor) for matrix in truth.covariances]
        errors["covariances"] = errors["covariances"] + np.abs(raised - truth.covariances)
        return errors


class TestFullWithFloor(FloorCase, AffineContract):
    pass


class TestTiedWithFloor(FloorCase, AffineContract):
    kind = "tied"


class TestSphericalWithFloor(FloorCase, AffineContract):
    kind = "spherical"
    floor = 0.9


class TestHardWithFloor(Hard, FloorCase, AffineContract):
    @property
    def model(self):
        return HardEM(super().model)

    def model_in_units(self, scale):
        return HardEM(replace(super().model, min_std=scale * self.floor))


FAITHFUL_START = MultivariateGaussianParams(
    [[2, 55], [4.5, 80]], [np.diag([0.5, 50])] * 2, [0.5, 0.5]
)


@pytest.fixture(scope="module")
def faithful():
    return fit(MultivariateGaussianMixture(), old_faithful().values, FAITHFUL_START, tol=0)


class TestOldFaithful:
    """The golden numbers of two components in the plane, with all their digits."""

    @pytest.mark.parametrize(
        ("iteration", "means", "weight", "objective"),
        [
            (0, [[2, 55], [4.5, 80]], 0.5, -1261.44782067),
            (
                1,
                [[2.07696968, 54.82618214], [4.30522585, 80.20872387]],
                0.36685314,
                -1137.07042088,
            ),
            (
                5,
                [[2.03647713, 54.47941077], [4.28974033, 79.96906170]],
                0.35590926,
                -1130.26400689,
            ),
            (
                -1,
                [[2.03638845, 54.47851638], [4.28966197, 79.96811517]],
                0.35587286,
                -1130.26396018,
            ),
        ],
    )
    def test_steps(self, faithful, iteration, means, weight, objective):
        step = faithful.steps[iteration]
        np.testing.assert_allclose(step.params.means, means, rtol=0, atol=6e-9)
        assert step.params.weights[0] == pytest.approx(weight, abs=6e-9)
        assert step.objective == pytest.approx(objective, abs=6e-9)

    def test_limit(self, faithful):
        assert faithful.converged
        expected = [
            [[0.06916767, 0.43516762], [0.43516762, 33.69728207]],
            [[0.16996844, 0.94060932], [0.94060932, 36.04621132]],
        ]
        limit = faithful.final.params
        np.testing.assert_allclose(limit.covariances, expected, rtol=0, atol=6e-9)
        assert faithful.n_parameters == 11
        assert -faithful.bic == pytest.approx(-2322.191743, abs=6e-7)

    def test_rate(self, faithful):
        data, model = old_faithful().values, faithful.model
        # While its steps are still far longer than rounding error.
        early = fit(model, data, FAITHFUL_START, tol=0, max_iter=14)
        assert linear_rate(early) == pytest.approx(0.24077, abs=6e-6)
        slowest = map_eigenvalues(model, data, faithful.final.params)[0]
        assert slowest == pytest.approx(0.24077, abs=6e-6)


def peer_of(kind, init, **settings):
    """Return scikit-learn's mixture, which is to start where ours does."""
    precisions = np.linalg.inv(init.covariances)
    return PeerMixture(
        init.n_components,
        covariance_type=kind,
        reg_covar=0,
        tol=0,
        weights_init=init.weights,
        means_init=init.means,
        precisions_init={
            "full": precisions,
            "tied": precisions[0],
            "diag": np.diagonal(precisions, axis1=1, axis2=2),
            "spherical": precisions[:, 0, 0],
        }[kind],
        **settings,
    )


def params_of(kind, peer):
    k, d = peer.means_.shape
    covariances = {
        "full": lambda: peer.covariances_,
        "tied": lambda: np.repeat(peer.covariances_[None], k, axis=0),
        "diag": lambda: peer.covariances_[:, :, None] * np.eye(d),
        "spherical": lambda: peer.covariances_[:, None, None] * np.eye(d),
    }[kind]()
    return MultivariateGaussianParams(peer.means_, covariances, peer.weights_)


def in_five_dimensions(n):
    rng = generator(3)
    means, mixing = 2 * rng.normal(size=(4, 5)), rng.normal(size=(4, 5, 5))
    covariances = mixing @ mixing.mT + 0.5 * np.eye(5)
    truth = MultivariateGaussianParams(means, covariances, [0.1, 0.2, 0.3, 0.4])
    return MultivariateGaussianMixture().simulate(truth, n, rng=rng).data


def overlapping(n):
    truth = MultivariateGaussianParams(MEANS / 2, COVARIANCES["full"], [0.5, 0.3, 0.2])
    return MultivariateGaussianMixture().simulate(truth, n, rng=generator(2)).data


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("data", "k"),
    [(overlapping(500), 3), (overlapping(20_000), 2), (in_five_dimensions(2_000), 4)],
    ids=["500 points", "20,000 points", "five dimensions"],
)
def test_trajectory_is_that_of_scikit_learn(kind, data, k):
    init = guess_from_points(data, k, rng=generator(5), covariance=kind)
    steps = first_steps(MultivariateGaussianMixture(kind), data, init, 17)
    assert steps[16].objective > steps[15].objective + 1e-4  # still moving
    peer = peer_of(kind, init, max_iter=1, warm_start=True)
    for step in steps[1:]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            peer.fit(data)  # one iteration more
        assert_params_close(step.params, params_of(kind, peer), rtol=1e-9, atol=1e-12)
        assert step.objective == pytest.approx(peer.score_samples(data).sum(), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_criteria_are_those_of_scikit_learn(kind):
    data = in_five_dimensions(300)
    init = guess_from_points(data, 3, rng=generator(5), covariance=kind)
    trace = fit(MultivariateGaussianMixture(kind), data, init, tol=0, max_iter=5)
    peer = peer_of(kind, init, max_iter=5)
    with pytest.warns(ConvergenceWarning):
        peer.fit(data)
    assert trace.bic == pytest.approx(peer.bic(data), rel=1e-9)
    assert trace.aic == pytest.approx(peer.aic(data), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("min_std", [0.0, 1.1])
def test_one_dimension_is_the_gaussian_mixture(kind, min_std):
    data = overlapping(200)[:, 0]
    start = GaussianParams([-2.0, 1.0], [1.5, 1.5], [0.3, 0.7])
    of_start = MultivariateGaussianParams(
        start.means[:, None], start.stds[:, None, None] ** 2, start.weights
    )
    other = GaussianMixture(min_std, stds="common" if kind == "tied" else "free")
    theirs = first_steps(other, data, start, 20)
    ours = first_steps(MultivariateGaussianMixture(kind, min_std), data[:, None], of_start, 20)
    if kind != "tied":
        assert (theirs[-1].params.stds == min_std).any() == (min_std > 0)
    for step, expected in zip(ours, theirs, strict=True):
        assert step.objective == pytest.approx(expected.objective, rel=1e-12)
        found = GaussianParams(
            step.params.means[:, 0], np.sqrt(step.params.covariances[:, 0, 0]), step.params.weights
        )
        assert_params_close(found, expected.params, rtol=1e-9)


@for_many_seeds(10)
def test_statistics_agree_with_loops(seed):
    rng = generator(seed)
    data, responsibilities = rng.normal(size=(30, 2)), rng.dirichlet(np.ones(2), size=30)
    found = MultivariateGaussianMixture().statistics(data, TWO, responsibilities)
    deviations = [data - mean for mean in TWO.means]
    for k in range(2):
        shares = responsibilities[:, k]
        assert found.counts[k] == pytest.approx(sum(shares), rel=1e-14)
        first = sum(r * x for r, x in zip(shares, deviations[k], strict=True))
        np.testing.assert_allclose(found.deviations[k], first, atol=1e-13)
        second = sum(r * np.outer(x, x) for r, x in zip(shares, deviations[k], strict=True))
        np.testing.assert_allclose(found.products[k], second, atol=1e-13)


def test_one_component_is_maximum_likelihood_in_one_step():
    data = in_five_dimensions(50)
    start = MultivariateGaussianParams(np.zeros((1, 5)), [np.eye(5)], [1.0])
    step = first_steps(MultivariateGaussianMixture(), data, start, 2)[1]
    covariance = np.cov(data.T, bias=True)
    expected = MultivariateGaussianParams([data.mean(axis=0)], [covariance], [1.0])
    assert_params_close(step.params, expected, rtol=1e-12, atol=1e-14)
    log_volume = np.linalg.slogdet(2 * np.pi * np.e * covariance)[1]
    assert step.objective == pytest.approx(-50 / 2 * log_volume, rel=1e-13)


def test_hand_worked_step():
    # By symmetry each component takes the share s of its own side and 1 - s of the other.
    data = np.array([[-1.0, 0.0], [1.0, 0.0], [-1.0, 2.0], [1.0, 2.0]])
    init = MultivariateGaussianParams([[-1.0, 1.0], [1.0, 1.0]], [np.eye(2)] * 2, [0.5, 0.5])
    mean = 2 / (1 + math.exp(-2)) - 1
    step = first_steps(MultivariateGaussianMixture(), data, init, 2)[1]
    covariance = [[1 - mean**2, 0], [0, 1]]
    expected = MultivariateGaussianParams([[-mean, 1], [mean, 1]], [covariance] * 2, [0.5, 0.5])
    assert_params_close(step.params, expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_components_stay_equal(kind):
    data = overlapping(300) + 5
    one = guess_from_points(data, 1, rng=generator(0), covariance=kind)
    init = MultivariateGaussianParams(
        np.repeat(one.means, 2, axis=0), np.repeat(one.covariances, 2, axis=0), [0.5, 0.5]
    )
    trace = fit(MultivariateGaussianMixture(kind), data, init, tol=0)
    assert trace.converged
    final = trace.final.params
    np.testing.assert_allclose(final.means[0], final.means[1], rtol=1e-13)
    np.testing.assert_allclose(final.covariances[0], final.covariances[1], rtol=1e-12)
    assert any("coincide" in note for note in trace.notes)
    single = fit(MultivariateGaussianMixture(kind), data, one, tol=0).final
    assert trace.final.objective == pytest.approx(single.objective, rel=1e-13)


# Three observations on a line, far from the others: a component flattens onto the line.
ON_A_LINE = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1], [10.1, 9.7], [10.4, 10.3], [10.7, 10.9]])
# Two observations of one value: it narrows onto them.
ON_A_POINT = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1], [10.3, 10.1], [10.3, 10.1]])
NEAR = MultivariateGaussianParams([[0.0, 0.0], [10.0, 10.0]], [np.eye(2)] * 2, [0.5, 0.5])


@pytest.mark.parametrize("tol", [0, 1e-6])
@pytest.mark.parametrize(
    ("kind", "data", "onto"),
    [
        ("full", ON_A_LINE, "a straight line"),
        ("full", ON_A_POINT, "a single point"),
        ("diag", ON_A_POINT, "a single point"),
        ("spherical", ON_A_POINT, "a single point"),
        ("diag", np.where(ON_A_LINE > 5, [10.3, 10.1] + 0 * ON_A_LINE, ON_A_LINE), "a single"),
        ("diag", np.where([1, 0] * (ON_A_LINE > 5), 10.3, ON_A_LINE), "a straight line"),
    ],
)
def test_collapse_without_a_floor_is_not_finite(kind, data, onto, tol):
    trace = fit(MultivariateGaussianMixture(kind), data, NEAR, tol=tol)
    assert trace.status is Status.NON_FINITE
    assert f"A component has collapsed onto {onto}" in trace.message
    assert "set a floor" in trace.message
    assert np.isfinite(trace.objectives[:-1]).all()
    assert not np.isfinite(trace.final.objective)
    assert np.linalg.eigvalsh(trace.final.params.covariances)[1, 0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("data", [ON_A_LINE, ON_A_POINT], ids=["line", "point"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("min_std", [0.2, 0.05, 1e-5])
def test_collapse_with_a_floor_is_finite(kind, data, min_std):
    trace = fit(MultivariateGaussianMixture(kind, min_std), data, NEAR, tol=0, max_iter=2000)
    assert trace.converged
    narrow = np.sqrt(np.linalg.eigvalsh(trace.final.params.covariances)[1, 0])
    if kind == "full" or (kind != "tied" and data is ON_A_POINT):
        assert narrow == pytest.approx(min_std, rel=1e-4)
    assert narrow >= min_std * (1 - 1e-4)
    assert (np.diff(trace.objectives) >= -1e-9).all()
    far = data[4:]
    np.testing.assert_allclose(trace.final.params.means[1], far.mean(axis=0), rtol=1e-12)
    if kind == "full" and data is ON_A_LINE:
        # In the other direction the component is as wide as ever: the floor is no ridge.
        wide = np.linalg.eigvalsh(trace.final.params.covariances)[1, 1]
        assert wide == pytest.approx(np.linalg.eigvalsh(np.cov(far.T, bias=True))[1], rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@for_many_seeds(20)
def test_few_points_collapse_or_converge_but_never_lose(kind, seed):
    rng = generator(seed)
    data = rng.normal(size=(9, 2)) * [1, 30]
    init = guess_from_points(data, 3, rng=rng, covariance=kind)
    for min_std in (0.0, 1e-9, 1e-4, 0.3):
        trace = fit(MultivariateGaussianMixture(kind, min_std), data, init, tol=1e-9)
        assert trace.status is not Status.DECREASED
        assert min_std == 0 or trace.status is not Status.NON_FINITE


def test_tied_covariances_collapse_together():
    data = np.array([[0.0, 0], [1, 1], [3, 0], [4, 1]])
    init = MultivariateGaussianParams([[0.0, 0], [3, 0]], [np.eye(2)] * 2, [0.5, 0.5])
    trace = fit(MultivariateGaussianMixture("tied"), data, init, tol=0)
    assert trace.status is Status.NON_FINITE
    assert "All components have collapsed onto a straight line: their" in trace.message
    assert fit(MultivariateGaussianMixture("tied", 0.01), data, init, tol=0).converged


def test_collapse_onto_a_plane():
    rng = generator(1)
    data = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 3))
    start = MultivariateGaussianParams(np.zeros((1, 3)), [np.eye(3)], [1.0])
    trace = fit(MultivariateGaussianMixture(), data, start)
    assert trace.status is Status.NON_FINITE
    assert "collapsed onto fewer dimensions than the data have" in trace.message
    assert fit(MultivariateGaussianMixture(min_std=1e-3), data, start).converged


# Their mean is not always their common value in floating point: the last digit must not be taken
# for a deviation, nor hold up the collapse.
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tol", [0, 1e-6])
@for_many_seeds(20)
def test_identical_points(kind, tol, seed):
    rng = generator(seed)
    n, value = rng.integers(1, 30), rng.normal(size=2) * 10.0 ** rng.integers(-3, 9, size=2)
    data = np.tile(value, (n, 1))
    init = MultivariateGaussianParams([rng.normal(size=2)], [np.eye(2)], [1.0])
    trace = fit(MultivariateGaussianMixture(kind), data, init, tol=tol)
    assert trace.status is Status.NON_FINITE
    assert "collapsed onto a single point" in trace.message
    trace = fit(MultivariateGaussianMixture(kind, 0.5), data, init, tol=tol)
    assert trace.converged
    assert_params_close(
        trace.final.params,
        MultivariateGaussianParams([value], [np.eye(2) / 4], [1.0]),
        rtol=1e-15,
        atol=1e-30,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_more_components_than_points(kind):
    data = np.array([[0.0, 0.0], [5.0, 1.0]])
    init = MultivariateGaussianParams(
        [[-1.0, 0], [0, 1], [1, 2], [2, 0]], [np.eye(2)] * 4, [0.25] * 4
    )
    trace = fit(MultivariateGaussianMixture(kind, 0.1), data, init, max_iter=500)
    assert trace.converged
    assert np.isfinite(trace.final.objective)
    assert any("more than there are different observations (2)" in note for note in trace.notes)


@pytest.mark.parametrize("kind", KINDS)
@for_many_seeds(10)
def test_far_away_start(kind, seed):
    rng = generator(seed)
    data = rng.normal(1e8, 1.0, size=(500, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]])
    step = first_steps(MultivariateGaussianMixture(kind), data, ONE, 4)[3]
    centre = data[0] + (data - data[0]).mean(axis=0)
    np.testing.assert_allclose(step.params.means[0], centre, rtol=1e-15)
    deviations = data - centre
    expected = in_form(kind, (deviations.T @ deviations / 500)[None], np.ones(1))
    np.testing.assert_allclose(step.params.covariances, expected, rtol=1e-7, atol=1e-7)
    assert fit(MultivariateGaussianMixture(kind), data, ONE).converged


@pytest.mark.parametrize("kind", KINDS)
def test_start_and_data_far_from_each_other_and_from_zero(kind):
    data = overlapping(200) + np.array([1e8, -1e8])
    trace = fit(MultivariateGaussianMixture(kind), data, TWO, max_iter=500)
    assert trace.converged
    assert np.isfinite(trace.objectives).all()


def test_too_far_away_start_is_not_finite():
    trace = fit(MultivariateGaussianMixture(), [[1e200, 0.0], [2e200, 1.0]], ONE)
    assert (trace.status, trace.n_iter) == (Status.NON_FINITE, 0)
    assert "out of the range of floating-point numbers" in trace.message
    assert "collapsed" not in trace.message


def test_too_small_a_unit_is_not_taken_for_a_collapse():
    data = 1e-170 * overlapping(50)
    tiny = MultivariateGaussianParams([[0.0, 0.0]], [1e-300 * np.eye(2)], [1.0])
    trace = fit(MultivariateGaussianMixture(), data, tiny)
    assert trace.status is Status.NON_FINITE
    assert "below the range of floating-point numbers" in trace.message


@for_many_seeds(10)
def test_covariances_about_new_means_are_the_plain_formula(seed):
    rng = generator(seed)
    data, shares, old = rng.normal(size=(40, 3)), rng.uniform(size=40), rng.normal(size=3)
    mean = shares @ data / shares.sum()
    plain = (data - mean).T @ (shares[:, None] * (data - mean)) / shares.sum()
    about_old = (data - old).T @ (shares[:, None] * (data - old)) / shares.sum()
    found = about_new_means((mean - old)[None], about_old[None])
    np.testing.assert_allclose(found, [plain], rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(found, found.mT)


def test_covariances_about_new_means_after_a_long_move_are_no_rounding_error():
    # The true variances are 1, of which 1e8 from the old means no digit is left.
    moves = np.array([[1e8, 1e8], [1e8, 0.0]])
    products = moves[:, :, None] * moves[:, None, :] + np.array([[-2.0, 0], [0, 1]])
    found = about_new_means(moves, products)
    variances = np.linalg.eigvalsh(found)
    assert (variances[:, 0] > 0.99).all()
    assert (variances[:, 1] < 1e-11 * 1e16).all()
    assert found[1, 1, 1] == pytest.approx(1.0, rel=1e-6)  # across the move no digit is lost
    assert np.isfinite(whitening(found)[1]).all()


@for_many_seeds(20)
def test_floor_is_the_most_likely_of_all_covariances_above_it(seed):
    rng = generator(seed)
    d, floor = 3, 0.8
    mixing = rng.normal(size=(d, d))
    scatter = mixing @ mixing.T
    best = raised_to(floor, scatter[None])[0]

    def q(covariance):
        return -np.linalg.slogdet(covariance)[1] - np.trace(np.linalg.solve(covariance, scatter))

    assert np.linalg.eigvalsh(best)[0] >= floor**2 * (1 - 1e-12)
    for size in [1.0, 0.1, 0.01] * 10:
        other = rng.normal(size=(d, d))
        other = clipped(best + size * (other + other.T), floor)
        assert q(other) <= q(best) + 1e-12
    if np.linalg.eigvalsh(scatter)[0] < floor**2:
        assert q(scatter + floor**2 * np.eye(d)) < q(best)  # what a ridge gives


def test_floor_leaves_what_is_above_it_to_the_last_digit():
    covariances = np.array(COVARIANCES["full"])
    found = raised_to(0.6, covariances)
    low = np.linalg.eigvalsh(covariances)[:, 0] < 0.36
    assert low.tolist() == [True, True, False]
    np.testing.assert_array_equal(found[~low], covariances[~low])
    assert raised_to(0.6, np.array([0.1 * np.eye(3)]))[0].tolist() == (0.36 * np.eye(3)).tolist()


@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("units", [[1e9, 1.0], [1.0, 1e-9], [1e8, 1.0]])
def test_floor_far_below_the_narrow_column_changes_nothing(kind, units):
    """As of the inhabitants of countries and the children of a family."""
    rng = generator(3)
    data = np.concatenate([rng.normal([0, 6], [1, 0.5], (60, 2)), rng.normal([9, 2], 1, (60, 2))])
    data *= units
    start = guess_from_points(data, 2, rng=generator(1), covariance=kind)
    floor = 0.01 * data[:, 1].std()
    free, held = (
        fit(MultivariateGaussianMixture(kind, least), data, start, tol=1e-9)
        for least in (0.0, floor)
    )
    assert held.converged
    for ours, theirs in zip(
        held.final.params.arrays().values(), free.final.params.arrays().values(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert (smallest_stds(held.final.params.covariances) > floor).all()


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_floor_holds_the_narrow_column_in_its_own_unit(correlation):
    stds = np.array([1e9, 0.5])
    scatter = np.outer(stds, stds) * [[1, correlation], [correlation, 1]]
    narrow = 0.5 * np.sqrt(1 - correlation**2)  # the first column is all that the rest is due to
    assert smallest_stds(scatter[None])[0] == pytest.approx(narrow, rel=1e-6)
    raised = raised_to(2.0, scatter[None])
    assert smallest_stds(raised)[0] == pytest.approx(2.0, rel=1e-6)
    # Beside the slope, by which the narrow direction is turned.
    expected = 4.0 + (correlation * 0.5) ** 2
    assert raised[0, 1, 1] == pytest.approx(expected, rel=1e-6)
    assert raised[0, 0, 0] == pytest.approx(1e18, rel=1e-12)


def test_smallest_deviation_is_zero_where_a_matrix_is_singular():
    matrices = np.array([[[1.0, 2.0], [2.0, 4.0]], [[4.0, 0.0], [0.0, 9.0]], np.zeros((2, 2))])
    np.testing.assert_allclose(smallest_stds(matrices), [0, 2, 0], rtol=1e-15)


def test_floor_out_of_reach_of_the_digits():
    data = ON_A_LINE * [1e6, 1e6]
    model = MultivariateGaussianMixture(min_std=1e-6)
    init = MultivariateGaussianParams(1e6 * NEAR.means, 1e12 * NEAR.covariances, NEAR.weights)
    trace = fit(model, data, init, max_iter=500)
    assert trace.converged
    again = fit(model, data, trace.final.params)
    assert again.converged


@for_many_seeds(10)
def test_whitening_is_the_inverse_of_a_cholesky_factor(seed):
    rng = generator(seed)
    mixing = rng.normal(size=(4, 3, 3))
    covariances = mixing @ mixing.mT + 0.1 * np.eye(3)
    inverses, log_volumes = whitening(covariances)
    np.testing.assert_allclose(inverses @ covariances @ inverses.mT, [np.eye(3)] * 4, atol=1e-10)
    np.testing.assert_allclose(2 * log_volumes, np.linalg.slogdet(covariances)[1], rtol=1e-10)
    np.testing.assert_array_equal(np.triu(inverses, 1), 0)
    covariances[2] = np.ones((3, 3))  # one that is singular spoils no other
    spoiled = whitening(covariances)
    assert np.isnan(spoiled[1]).tolist() == [False, False, True, False]
    np.testing.assert_array_equal(spoiled[0][[0, 1, 3]], inverses[[0, 1, 3]])


@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_each_column_may_have_its_own_unit(kind):
    data, units = overlapping(200), np.array([2.0**-40, 2.0**40])
    init = guess_from_points(data, 3, rng=generator(1), covariance=kind)
    products = np.outer(units, units)
    scaled = replace(init, means=init.means * units, covariances=init.covariances * products)
    model = MultivariateGaussianMixture(kind)
    here = first_steps(model, data, init, 10)
    there = first_steps(model, data * units, scaled, 10)
    for ours, theirs in zip(there, here, strict=True):
        np.testing.assert_allclose(ours.params.means / units, theirs.params.means, rtol=1e-12)
        covariances = ours.params.covariances / products
        np.testing.assert_allclose(covariances, theirs.params.covariances, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_component_of_weight_zero_stays(kind):
    data = overlapping(50)
    init = replace(TWO, weights=np.array([1.0, 0.0]))
    if kind != "tied":
        init = replace(init, covariances=np.array([np.eye(2), 0.25 * np.eye(2)]))
    trace = fit(MultivariateGaussianMixture(kind), data, init, tol=0)
    assert trace.converged
    final = trace.final.params
    assert final.means[1].tolist() == [1.0, 1.0]
    np.testing.assert_allclose(final.means[0], data.mean(axis=0), rtol=1e-12)
    expected = final.covariances[0] if kind == "tied" else init.covariances[1]
    np.testing.assert_array_equal(final.covariances[1], expected)
    assert any("mixing weight 0" in note for note in trace.notes)


def test_component_out_of_reach_stays():
    data = overlapping(50)
    init = MultivariateGaussianParams([[0.0, 0], [1e6, 0]], [np.eye(2)] * 2, [0.5, 0.5])
    trace = fit(MultivariateGaussianMixture(), data, init, tol=0)
    assert trace.converged
    assert trace.final.params.weights.tolist() == [1.0, 0.0]
    assert trace.final.params.means[1].tolist() == [1e6, 0]
    assert trace.final.params.covariances[1].tolist() == np.eye(2).tolist()


@pytest.mark.parametrize("kind", KINDS)
@for_many_seeds(10)
def test_flat_data_never_lose(kind, seed):
    # Two columns that tell nearly the same, as far as a covariance matrix has digits for that.
    rng = generator(seed)
    x = rng.normal(size=(200, 1))
    data = np.hstack([x, x + 10.0 ** rng.uniform(-6, 0) * rng.normal(size=(200, 1))]) + 5
    init = guess_from_points(data, 3, rng=rng, covariance=kind)
    trace = fit(MultivariateGaussianMixture(kind), data, init, tol=0, max_iter=60)
    assert trace.status is not Status.DECREASED


@pytest.mark.parametrize("kind", KINDS)
def test_labels_known(kind):
    truth = MultivariateGaussianParams(MEANS, COVARIANCES[kind], [0.5, 0.3, 0.2])
    data, labels, _ = MultivariateGaussianMixture(kind).simulate(truth, 300, rng=generator(1))
    shifted = data + 1e8
    init = guess_from_points(shifted, 3, rng=generator(2), covariance=kind)
    found = fit_labelled(MultivariateGaussianMixture(kind), shifted, labels, init)
    own = [shifted[labels == k] - 1e8 for k in range(3)]
    np.testing.assert_allclose(found.means - 1e8, [x.mean(axis=0) for x in own], atol=3e-8)
    scatters = np.array([np.cov(x.T, bias=True) for x in own])
    expected = in_form(kind, scatters, np.bincount(labels).astype(float))
    np.testing.assert_allclose(found.covariances, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "number"), [("full", 17), ("tied", 11), ("diag", 14), ("spherical", 11)]
)
def test_free_parameters(kind, number):
    params = MultivariateGaussianParams(MEANS, COVARIANCES[kind], [0.5, 0.3, 0.2])
    assert MultivariateGaussianMixture(kind).n_parameters(params) == number
    fixed = MultivariateGaussianMixture(kind, estimate_weights=False)
    assert fixed.n_parameters(params) == number - 2
    assert HardEM(fixed).n_parameters(params) == number - 2


def test_whole_numbers_are_data_too():
    data = np.array([[1, 2], [6, 7], [250, 3], [0, 9]], dtype=np.uint8)
    model = MultivariateGaussianMixture(min_std=1)
    assert fit(model, data, TWO) == fit(model, data.astype(float), TWO)


def test_weights_typed_with_six_digits():
    data = overlapping(300)
    init = guess_from_points(data, 2, rng=generator(3))
    optimum = fit(MultivariateGaussianMixture(), data, init, tol=1e-12, max_iter=5000).final.params
    # Rounded to a sum of 1.000001: what is above one must not count as likelihood.
    first = round(float(optimum.weights[0]), 6)
    typed = replace(optimum, weights=np.array([first, 1.000001 - first]))
    assert fit(MultivariateGaussianMixture(), data, typed).converged


BAD = [[1.0, 0.5], [0.25, 1.0]]


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("full", {"means": [0.0, 1.0]}, r"^means must have shape \(K, d\) .*, got \(2,\)"),
        ("full", {"means": [[0.0], [1]]}, r"^covariances must have shape \(2, 1, 1\) to match .*"),
        (
            "full",
            {"covariances": [1.0, 1.0]},
            r"^covariances must have shape \(2, 2, 2\) .* \(2,\)",
        ),
        (
            "full",
            {"means": np.zeros((2, 3)), "covariances": [np.eye(3)] * 2},
            r"^means must have shape \(K, 2\) to match data of shape \(2, 2\), got \(2, 3\)",
        ),
        (
            "full",
            {"covariances": [np.eye(2), BAD]},
            r"^covariances must be symmetric, got 0.5 at \[1, 0, 1\] and 0.25 at \[1, 1, 0\]",
        ),
        (
            "full",
            {"covariances": [np.eye(2), [[1.0, 2.0], [2.0, 1.0]]]},
            r"^covariances must be positive definite, .*correlation between -1 and 1\), "
            r"got \[\[1.0, 2.0\], \[2.0, 1.0\]\] at \[1\]",
        ),
        (
            "full",
            {"covariances": [[[1.0, 1.0], [1.0, 1.0]], np.eye(2)]},
            r"^covariances must be positive definite, .* at \[0\]",
        ),
        (
            "full",
            {"covariances": [np.eye(2), [[1.0, 0.0], [0.0, 0.0]]]},
            r"^covariances must have variances larger than 0 on the diagonal, "
            r"got 0.0 at \[1, 1, 1\]",
        ),
        (
            "spherical",
            {"covariances": [-np.eye(2), np.eye(2)]},
            r"^covariances must have variances larger than 0 .* got -1.0 at \[0, 0, 0\]",
        ),
        (
            "tied",
            {"covariances": [np.eye(2), 2 * np.eye(2)]},
            r"^covariances must be the same for all components if they are tied, "
            r"got 2.0 at \[1, 0, 0\] and 1.0 at \[0, 0, 0\]",
        ),
        (
            "diag",
            {"covariances": [np.eye(2), [[1.0, 0.1], [0.1, 1.0]]]},
            r"^covariances must be 0 off the diagonal if they are diagonal, got 0.1 at \[1, 0, 1\]",
        ),
        (
            "spherical",
            {"covariances": [np.eye(2), [[1.0, 0.1], [0.1, 1.0]]]},
            r"^covariances must be 0 off the diagonal if they are spherical, got 0.1 at \[1, 0, ",
        ),
        (
            "spherical",
            {"covariances": [np.eye(2), [[1.0, 0.0], [0.0, 2.0]]]},
            r"^covariances must have the same variance in all directions if they are spherical, "
            r"got \[1.0, 2.0\] at \[1\]",
        ),
        ("full", {"weights": [0.5, 0.6]}, r"^weights must sum to 1, got \[0.5 0.6\] with sum 1.1"),
        ("full", {"weights": [-0.5, 1.5]}, r"^weights must lie between 0 and 1, got -0.5 at \[0\]"),
        ("full", {"weights": [[0.5], [0.5]]}, r"^weights must have shape \(K,\).* got \(2, 1\)"),
    ],
)
def test_refuses_parameters_that_are_not_a_mixture(kind, changes, message):
    params = MultivariateGaussianParams(**{**TWO.arrays(), **changes})
    with pytest.raises(ValueError, match=message):
        fit(MultivariateGaussianMixture(kind), [[1.0, 2.0], [3.0, 5.0]], params)


def test_refuses_deviations_below_the_floor():
    # From there the first update could only lose likelihood.
    narrow = [[1.0, 0.99], [0.99, 1.0]]
    init = replace(TWO, covariances=np.array([np.eye(2), narrow]))
    with pytest.raises(
        ValueError, match=r"^covariances must have .* min_std = 0.5 in all directions, got 0.1 at"
    ):
        fit(MultivariateGaussianMixture(min_std=0.5), [[1.0, 2.0], [3.0, 5.0]], init)


@pytest.mark.parametrize("min_std", [-0.1, np.nan, np.inf, "1", None, [1.0], True, 1j])
def test_refuses_bad_min_std(min_std):
    message = f"min_std must be a finite number, 0 or larger, got {min_std!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        MultivariateGaussianMixture(min_std=min_std)


@pytest.mark.parametrize("covariance", ["diagonal", "Full", None, 2, ["full"]])
def test_refuses_an_unknown_covariance(covariance):
    message = f"covariance must be one of 'full', 'tied', 'diag', 'spherical', got {covariance!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        MultivariateGaussianMixture(covariance)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        guess_from_points(overlapping(9), 2, rng=generator(0), covariance=covariance)


def test_refuses_masked_data():
    data = np.ma.masked_greater(overlapping(9), 0)
    with pytest.raises(ValueError, match=r"^data must have no masked values, got a masked array"):
        fit(MultivariateGaussianMixture(), data, TWO)


@pytest.mark.parametrize("kind", KINDS)
def test_simulate_draws_from_the_truth(kind):
    truth = MultivariateGaussianParams(MEANS, COVARIANCES[kind], [0.2, 0.3, 0.5])
    data, labels, told = MultivariateGaussianMixture(kind).simulate(
        truth, [1000, 2000, 4000], rng=generator(4)
    )
    assert told is truth
    assert data.shape == (7000, 2)
    assert np.bincount(labels).tolist() == [1000, 2000, 4000]
    errors = PlaneCase().standard_errors(replace(truth, weights=np.array([1, 2, 4]) / 7), 7000)
    for k in range(3):
        points = data[labels == k]
        assert (abs(points.mean(axis=0) - truth.means[k]) <= 5 * errors["means"][k]).all()
        spread = np.cov(points.T, bias=True)
        assert (abs(spread - truth.covariances[k]) <= 5 * errors["covariances"][k]).all()


def test_simulate_refuses_what_is_not_a_mixture():
    flat = replace(TWO, covariances=np.ones((2, 2, 2)))
    with pytest.raises(ValueError, match=r"^covariances must be positive definite"):
        MultivariateGaussianMixture().simulate(flat, 5, rng=generator(0))


@pytest.mark.parametrize("guess", [guess_from_points, guess_plus_plus])
class TestGuesses:
    @pytest.mark.parametrize("kind", KINDS)
    def test_start_at_observations_as_wide_as_the_data(self, guess, kind):
        data = overlapping(30)
        for seed in range(10):
            found = guess(data, 30, rng=generator(seed), covariance=kind)
            assert sorted(found.means.tolist()) == sorted(data.tolist())
        whole = in_form(kind, np.cov(data.T, bias=True)[None], np.ones(1))
        np.testing.assert_allclose(found.covariances, np.repeat(whole, 30, axis=0), rtol=1e-12)
        np.testing.assert_allclose(found.weights, 1 / 30, rtol=1e-15)
        MultivariateGaussianMixture(kind).check(data, found)

    def test_full_covariances_are_the_default(self, guess):
        data = overlapping(30)
        assert guess(data, 2, rng=generator(1)) == guess(
            data, 2, rng=generator(1), covariance="full"
        )

    def test_starts_where_k_means_does_from_the_same_seed(self, guess):
        theirs = getattr(kmeans, guess.__name__)(overlapping(30), 4, rng=generator(2))
        ours = guess(overlapping(30), 4, rng=generator(2))
        assert ours.means.tolist() == theirs.centroids.tolist()

    def test_is_driven_by_the_generator(self, guess):
        data, rng = overlapping(30), generator(6)
        first, second = guess(data, 3, rng=rng), guess(data, 3, rng=rng)
        assert first == guess(data.tolist(), 3, rng=generator(6))
        assert first != second

    def test_an_offset_costs_no_digits(self, guess):
        data = np.round(overlapping(30) * 2**10) / 2**10
        here, there = guess(data, 3, rng=generator(1)), guess(data + 1e8, 3, rng=generator(1))
        np.testing.assert_allclose(there.means - 1e8, here.means, atol=1e-7)
        np.testing.assert_allclose(there.covariances, here.covariances, rtol=1e-12)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            ([[1, 2], [1, 3]], r"^data must differ in each column .*, got 2 times 1.0 in column 0"),
            ([[0.1, 2]] * 3, r"^data must differ in each column .*, got 3 times 0.1 in column 0"),
            (
                [[1, 2], [2, 4], [3, 6]],
                r"^data must spread in all directions .*, got 3 points in 2",
            ),
            (
                [[1, 2, 3], [4, 5, 9]],
                r"^data must spread .* use .* \"diag\" or \"spherical\", not 'f",
            ),
            ([1, 2], r"^data must have shape \(n, d\), got shape \(2,\)"),
            ([[1, 2], [np.nan, 3]], r"^data must be finite, got nan at \[1, 0\]"),
        ],
    )
    def test_refuses_data_without_a_covariance(self, guess, data, message):
        with pytest.raises(ValueError, match=message):
            guess(data, 1, rng=generator(0))

    def test_data_on_a_line_have_variances(self, guess):
        found = guess([[1, 2], [2, 4], [3, 6]], 2, rng=generator(0), covariance="diag")
        np.testing.assert_allclose(found.covariances, [np.diag([2 / 3, 8 / 3])] * 2)

    def test_refuses_too_many_components_and_no_generator(self, guess):
        with pytest.raises(ValueError, match=r"^n_components must be at most the 9 obs.* got 10"):
            guess(overlapping(9), 10, rng=generator(0))
        with pytest.raises(ValueError, match=r"^rng must be a numpy\.random\.Generator, "):
            guess(overlapping(9), 2, rng=None)


def test_plus_plus_starts_in_different_clusters():
    data = np.vstack([overlapping(50) / 10, overlapping(50) / 10 + 100])
    for seed in range(10):
        first, second = guess_plus_plus(data, 2, rng=generator(seed)).means
        assert (first < 50).all() != (second < 50).all()
