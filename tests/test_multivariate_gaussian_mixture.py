import math
from dataclasses import replace

import numpy as np
from contract import (
    AffineContract,
    weighted_sums,
)

from em_core import (
    MultivariateGaussianMixture,
    MultivariateGaussianParams,
)
from em_core.models.multivariate_gaussian_mixture import (
    guess_from_points,
)

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


class TestDiagWithFloor(FloorCase, AffineContract):
    kind = "diag"


class TestSphericalWithFloor(FloorCase, AffineContract):
    kind = "spherical"
    floor = 0.9
