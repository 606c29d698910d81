"""The Poisson mixture of the toy lesson: its contract, and the classic slow case."""

import math

import numpy as np
import pytest
from contract import ModelContract, weighted_sums
from toy_lesson.model import PoissonMixture, PoissonParams, guess_from_points

from em_core import fit
from em_core.diagnostics import map_eigenvalues

# Death notices of women over 80 in The Times on each day of 1910 to 1912 (Hasselblad, "Estimation
# of finite mixtures of distributions from the exponential family", JASA 64, 1969).
NOTICES, DAYS = np.arange(10), np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])
START = PoissonParams([1.0, 2.5], [0.3, 0.7])


def notices(**how):
    return fit(PoissonMixture(), NOTICES, START, counts=DAYS, tol=0, max_iter=20_000, **how)


class TestPoissonMixture(ModelContract):
    model = PoissonMixture()

    def sample(self, rng, n, separation=1.0):
        return self.model.simulate(PoissonParams([2.0, 2 + 7 * separation], [0.4, 0.6]), n, rng=rng)

    def guess(self, data, rng):
        return guess_from_points(data, 2, rng=rng)

    def term(self, x, params, k):
        rate, weight = params.rates[k], params.weights[k]
        return math.log(weight) + x * math.log(rate) - rate - math.lgamma(x + 1)

    def naive_m_step(self, data, responsibilities, previous):
        counts = weighted_sums(np.ones(len(data)), responsibilities)
        totals = weighted_sums(data, responsibilities)
        rates = [totals[k] / counts[k] if counts[k] else previous.rates[k] for k in range(2)]
        return PoissonParams(rates, counts / len(data))

    def nudge(self, params, rng, size):
        rates = params.rates * np.exp(size * rng.normal(size=2))
        weights = params.weights * np.exp(size * rng.normal(size=2))
        return PoissonParams(rates, weights / weights.sum())

    def standard_errors(self, truth, n):
        return {
            "rates": np.sqrt(truth.rates / (n * truth.weights)),
            "weights": np.sqrt(truth.weights * (1 - truth.weights) / n),
        }


class TestDeathNotices:
    def test_steps(self):
        trace = notices()
        assert trace.converged
        found = [trace.steps[i].objective for i in (0, 1, 10, -1)]
        expected = [-1992.72326626, -1990.15566745, -1990.03018111, -1989.94585988]
        np.testing.assert_allclose(found, expected, rtol=0, atol=5e-9)
        first, limit = trace.steps[1].params, trace.final.params
        np.testing.assert_allclose(first.rates, [1.06138981, 2.59510090], rtol=0, atol=5e-9)
        assert first.weights[0] == pytest.approx(0.28569044, abs=5e-9)
        np.testing.assert_allclose(limit.rates, [1.25609510, 2.66340436], rtol=0, atol=5e-9)
        assert limit.weights[0] == pytest.approx(0.35988540, abs=5e-9)
        model = PoissonMixture()
        slowest = map_eigenvalues(model, np.repeat(NOTICES, DAYS), limit)[0]
        assert slowest == pytest.approx(0.99567, abs=5e-6)

    def test_leaps_take_a_twentieth_of_the_e_steps(self):
        ours, theirs = notices(accelerate="squarem"), notices()
        assert ours.converged
        needed = [e_steps_to(trace, theirs.final.params) for trace in (ours, theirs)]
        assert needed[0] <= needed[1] / 20


def e_steps_to(trace, limit, *, within=1e-8):
    """Return the E-steps that a run took until all parameters were near a limit."""
    for i, step in enumerate(trace.steps, 1):
        if np.abs(step.params.vector() - limit.vector()).max() <= within:
            return i if step.n_e_steps is None else step.n_e_steps
    raise AssertionError("the run does not get so near")
