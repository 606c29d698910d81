"""SQUAREM: as few E-steps as promised, to the end that EM has, and nothing lost on the way."""

from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from contract import assert_params_close
from test_poissons import NOTICES, e_steps_to
from test_poissons import START as POISSON_START
from test_protocol import PROBLEMS
from toy_lesson.model import PoissonMixture

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    GaussianParams,
    HardEM,
    KMeans,
    MultivariateGaussianMixture,
    MultivariateGaussianParams,
    Status,
    Trace,
    fit,
    fit_restarts,
    iterate,
)
from em_core.acceleration import REACH, Extrapolation, Extrapolations
from em_core.models import binomial_mixture, gaussian_mixture, kmeans

generator = np.random.default_rng


def groups(n, seed):
    """Return values of two Gaussian groups two standard deviations apart, and a start."""
    truth = GaussianParams([0, 2], [1, 1], [0.5, 0.5])
    data = GaussianMixture().simulate(truth, n, rng=generator(seed)).data
    return data, GaussianParams([-1, 3], [1, 1], [0.5, 0.5])


def both(model, data, init, **more):
    return [
        fit(model, data, init, accelerate=how, **{"tol": 0, "max_iter": 20_000, **more})
        for how in ("squarem", None)
    ]


class TestCost:
    @pytest.mark.parametrize(
        ("n", "seed"), [(1000, 1), (1000, 2), (1000, 7), (500, 9), (3000, 6), (10_000, 5)]
    )
    def test_groups_that_overlap_take_a_tenth_of_the_e_steps(self, n, seed):
        data, init = groups(n, seed)
        ours, theirs = both(GaussianMixture(), data, init)
        assert ours.converged
        assert theirs.converged
        limit = theirs.final.params
        assert e_steps_to(ours, limit) <= e_steps_to(theirs, limit) / 10

    @pytest.mark.parametrize("tol", [0, 1e-7])
    def test_every_e_step_is_counted(self, tol):
        taken = []

        class Counts(GaussianMixture):
            def expect(self, data, params, counts=None):
                taken.append(params)
                return super().expect(data, params, counts)

            def prepare(self, data, counts=None):
                return None

        data, init = groups(300, 2)
        trace = fit(Counts(), data, init, tol=tol, max_iter=500, accelerate="squarem")
        assert trace.converged
        assert trace.n_e_steps == trace.final.n_e_steps == len(taken)
        for step in trace.steps:
            assert taken[step.n_e_steps - 1] == step.params
        # Some leaps were taken back, and count.
        assert max(np.diff([step.n_e_steps for step in trace.steps])) == 5
        assert f"({len(taken)} E-steps)" in trace.message
        assert trace.relabel([1, 0]).n_e_steps == len(taken)
        taken.clear()
        assert fit(Counts(), data, init, max_iter=7).n_e_steps == len(taken) == 8

    def test_restarts_leap_too(self):
        data, init = groups(300, 4)
        inits = [init, init.relabel([1, 0])]
        traces = fit_restarts(GaussianMixture(), data, inits, tol=1e-9, accelerate="squarem")
        assert traces[0] == fit(GaussianMixture(), data, init, tol=1e-9, accelerate="squarem")
        assert_params_close(traces[1].final.params, traces[0].final.params.relabel([1, 0]))
        assert traces[1].n_e_steps == traces[0].n_e_steps

    @pytest.mark.parametrize("how", ["SQUAREM", "", True, 1])
    def test_refuses_what_it_does_not_know(self, how):
        data, init = groups(10, 1)
        with pytest.raises(ValueError, match=r"^accelerate must be 'squarem' or None, got "):
            fit(GaussianMixture(), data, init, accelerate=how)


class TestEnd:
    @pytest.mark.parametrize("tol", [1e-4, 1e-6, 1e-8])
    def test_at_the_end_an_update_of_em_gains_no_more_than_the_tolerance(self, tol):
        for seed in range(5):
            data, init = groups(300, seed)
            trace = fit(GaussianMixture(), data, init, tol=tol, max_iter=500, accelerate="squarem")
            assert trace.converged
            here, there = islice(iterate(GaussianMixture(), data, trace.final.params), 2)
            assert there.objective - here.objective <= tol * len(data)
            for before, after in pairwise(trace.steps[:-1]):
                assert after.objective - before.objective > tol * len(data)

    @pytest.mark.parametrize("name", PROBLEMS)
    def test_models_without_free_vectors_end_where_em_does(self, name):
        model, data, init, _ = PROBLEMS[name]
        ours, theirs = both(model, data, init)
        assert ours.converged
        assert ours.final.objective == pytest.approx(theirs.final.objective, rel=1e-12)
        np.testing.assert_allclose(
            ours.final.params.vector(), theirs.final.params.vector(), rtol=1e-8, atol=1e-8
        )
        assert ours.n_e_steps <= theirs.n_e_steps + 4

    @pytest.mark.parametrize("max_iter", [0, 1, 4])
    def test_stops_at_the_limit_of_iterations(self, max_iter):
        data, init = groups(300, 1)
        trace = fit(GaussianMixture(), data, init, tol=0, max_iter=max_iter, accelerate="squarem")
        assert trace.status is Status.MAX_ITER
        assert [step.iteration for step in trace.steps] == list(range(max_iter + 1))

    def test_hardly_ever_at_another_optimum(self):
        elsewhere = compared = 0
        for seed in range(15):
            rng = generator(seed)
            truth = GaussianParams(rng.uniform(-10, 10, 3), rng.uniform(0.7, 3, 3), [0.4, 0.4, 0.2])
            data = GaussianMixture().simulate(truth, 200, rng=rng).data
            init = gaussian_mixture.guess_from_points(data, 3, rng=rng)
            ours, theirs = both(GaussianMixture(min_std=0.1), data, init, max_iter=1500)
            if theirs.converged:
                compared += 1
                apart = abs(ours.final.objective - theirs.final.objective)
                elsewhere += apart > 1e-8 * len(data)
        assert compared >= 10
        assert elsewhere == 0

    @pytest.mark.parametrize("accelerate", ["squarem", None])
    def test_collapse_is_not_finite(self, accelerate):
        init = GaussianParams([0.0, 1.0], [1.0, 0.1], [0.5, 0.5])
        data = np.append(generator(1).normal(-3, 1, 30), 1.0)
        trace = fit(GaussianMixture(), data, init, tol=0, accelerate=accelerate)
        assert trace.status is Status.NON_FINITE
        assert trace.explanation

    @pytest.mark.parametrize("after", [1, 2, 6, 15])
    def test_a_model_whose_objective_falls_is_found_out(self, after):
        """Its M-step goes back from some iteration on."""

        class Broken(GaussianMixture):
            def m_step(self, statistics, previous):
                steps.append(None)
                found = super().m_step(statistics, previous)
                return replace(found, means=found.means + 0.5 * (len(steps) > after))

        steps = []
        data, init = groups(300, 1)
        trace = fit(Broken(), data, init, tol=0, accelerate="squarem")
        assert trace.status is Status.DECREASED
        assert "fault in the model" in trace.message

    @pytest.mark.parametrize(
        ("model", "guess"),
        [
            (KMeans(), kmeans.guess_from_points),
            (HardEM(MultivariateGaussianMixture("diag", min_std=0.1)), None),
        ],
        ids=["K-Means", "hard assignment"],
    )
    def test_winners_that_take_all_end_as_with_em(self, model, guess):
        for seed in range(10):
            rng = generator(seed)
            data = rng.normal(rng.uniform(-3, 3, (4, 2))[rng.integers(0, 4, 200)], 1.5)
            init = (
                guess(data, 4, rng=rng)
                if guess
                else MultivariateGaussianParams(data[:4], [np.eye(2)] * 4, [0.25] * 4)
            )
            ours, theirs = both(model, data, init)
            assert ours.status is theirs.status is Status.CONVERGED
            assert ours.final.params == theirs.final.params
            assert ours.n_e_steps == theirs.n_e_steps


class TestBoundaries:
    """Values at which logarithms are infinite: no leap, no warning, and the same end."""

    @pytest.mark.parametrize(
        ("model", "init"),
        [
            (
                GaussianMixture(min_std=0.1),
                GaussianParams([0.0, 1.0, 5.0], [1.0, 1.0, 1.0], [0.5, 0.5, 0.0]),
            ),
            (
                GaussianMixture(min_std=1.2),  # more than the groups have
                GaussianParams([0.0, 3.0], [1.2, 1.2], [0.5, 0.5]),
            ),
            (
                GaussianMixture(min_std=0.1),  # nobody is near the last
                GaussianParams([0.0, 2.0, 1e6], [1.0, 1.0, 1.0], [0.4, 0.4, 0.2]),
            ),
            (
                GaussianMixture(min_std=0.1),  # two that coincide
                GaussianParams([0.0, 2.0, 2.0], [1.0, 1.0, 1.0], [0.4, 0.3, 0.3]),
            ),
        ],
        ids=["no weight", "floor", "no observation", "coincide"],
    )
    def test_gaussians(self, model, init):
        data, _ = groups(300, 2)
        ours, theirs = both(model, data, init)
        assert ours.converged
        assert_params_close(ours.final.params, theirs.final.params, rtol=1e-8, atol=1e-8)

    @pytest.mark.parametrize(
        "init",
        [
            BinomialParams([0.0, 0.3, 0.8], [0.2, 0.4, 0.4]),
            BinomialParams([0.2, 0.3, 1.0], [0.2, 0.4, 0.4]),
            BinomialParams([0.2, 0.5, 0.8], [0.0, 0.4, 0.6]),
        ],
        ids=["no heads", "heads alone", "no weight"],
    )
    @pytest.mark.parametrize("estimate_weights", [True, False])
    def test_coins(self, init, estimate_weights):
        model = BinomialMixture(10, estimate_weights=estimate_weights)
        truth = BinomialParams([0.3, 0.7], [0.5, 0.5])
        data = model.simulate(truth, 200, rng=generator(1)).data
        ours, theirs = both(model, data, init)
        assert ours.converged
        assert_params_close(ours.final.params, theirs.final.params, rtol=1e-8, atol=1e-8)

    def test_coins_that_come_to_show_tails_alone(self):
        data = np.array([0] * 30 + [6, 7, 8, 9] * 10)
        init = BinomialParams([0.4, 0.6], [0.5, 0.5])
        ours, theirs = both(BinomialMixture(10, estimate_weights=True), data, init)
        assert ours.converged
        assert theirs.final.params.heads_prob.min() < 1e-2
        assert_params_close(ours.final.params, theirs.final.params, rtol=1e-8, atol=1e-8)


SPREAD = generator(5).normal(size=(3, 2, 2))
FULL = SPREAD @ SPREAD.mT + np.eye(2)
MEANS, WEIGHTS = generator(6).normal(size=(3, 2)), [0.5, 0.3, 0.2]
FREE = [
    (GaussianMixture(), GaussianParams([0, 1, 5], [1, 2, 3], WEIGHTS)),
    (GaussianMixture(stds="common"), GaussianParams([0, 1, 5], [2, 2, 2], WEIGHTS)),
    (GaussianMixture(stds="known"), GaussianParams([0, 1, 5], [1, 2, 3], WEIGHTS)),
    (GaussianMixture(estimate_weights=False), GaussianParams([0, 1, 5], [1, 2, 3], WEIGHTS)),
    (BinomialMixture(10), BinomialParams([0.1, 0.4, 0.9], WEIGHTS)),
    (BinomialMixture(estimate_weights=True), BinomialParams([0.1, 0.4, 0.9], WEIGHTS)),
    *(
        (
            MultivariateGaussianMixture(kind, estimate_weights=kind != "diag"),
            MultivariateGaussianParams(MEANS, covariances, WEIGHTS),
        )
        for kind, covariances in {
            "full": FULL,
            "tied": FULL[[0, 0, 0]],
            "diag": FULL * np.eye(2),
            "spherical": FULL[:, :1, :1] * np.eye(2),
        }.items()
    ),
]


@pytest.mark.parametrize(("model", "params"), FREE, ids=[repr(model) for model, _ in FREE])
class TestFreeVectors:
    def test_are_the_parameters(self, model, params):
        like = params.relabel([1, 2, 0])
        vector = model.to_free(params, like)
        # Weights have one direction in excess, along which nothing changes.
        assert vector.shape == (model.n_parameters(params) + model.estimate_weights,)
        back = model.from_free(vector, like)
        kept = {} if model.estimate_weights else {"weights": like.weights}
        if getattr(model, "stds", None) == "known":
            kept["stds"] = like.stds
        assert_params_close(back, replace(params, **kept), rtol=1e-12, atol=1e-14)

    def test_every_vector_is_admissible(self, model, params):
        for scale in (0.1, 1.0, 3.0):
            vector = model.to_free(params, params)
            vector = vector + generator(1).normal(0, scale, vector.shape)
            made = model.from_free(vector, params)
            model.check_params(made)
            assert made != params
            np.testing.assert_allclose(
                model.from_free(model.to_free(made, params), params).vector(), made.vector()
            )


class TestExtrapolation:
    """Steps in one direction of errors that shrink by a factor: where they lead is known."""

    def line(self, *values):
        return [GaussianParams([value, 0.0], [1.0, 1.0], [0.5, 0.5]) for value in values]

    def extrapolation(self, model=None, longest=1e6, check=lambda params: None):
        made = Extrapolation(model or GaussianMixture(), check)
        made._longest = longest
        return made

    def test_goes_to_the_limit_of_a_geometric_series(self):
        # Errors 0.01, 0.009 and 0.0081 about 3: within reach.
        found = self.extrapolation().beyond(*self.line(3.01, 3.009, 3.0081))
        np.testing.assert_allclose(found.means, [3.0, 0.0], rtol=1e-12)

    def test_goes_no_farther_than_its_reach(self):
        rate, error = 0.99, 100.0
        three = self.line(*(error * rate**i for i in range(3)))
        found = self.extrapolation().beyond(*three)
        assert found is None  # one step is longer than that
        three = self.line(*(0.1 * error * rate**i for i in range(3)))
        length, bend = 0.1, 0.1 * (1 - rate)
        s = REACH / length
        assert s < length / bend
        found = self.extrapolation().beyond(*three)
        assert found.means[0] == pytest.approx(10 - 2 * s * length + s**2 * bend)

    def test_longest_step_grows_as_it_proves_itself(self):
        three = self.line(3.001, 3.00099, 3.00099 - 0.99e-5)
        extrapolation, moved = self.extrapolation(longest=1.0), []
        for _ in range(4):
            found = extrapolation.beyond(*three)
            moved.append(0.0 if found is None else 3.001 - found.means[0])
            extrapolation.judge(good=True)
        assert moved[0] == 0.0
        assert moved[1] < moved[2] < moved[3]
        extrapolation.beyond(*three)
        extrapolation.judge(good=False)
        again = extrapolation.beyond(*three)
        assert 3.001 - again.means[0] == pytest.approx(moved[2], rel=1)
        assert 3.001 - again.means[0] < moved[3]

    def test_asks_whether_parameters_are_admissible(self):
        asked = []

        def check(params):
            asked.append(params)
            raise ValueError

        model = PoissonMixture()
        first, second, third = (
            replace(POISSON_START, rates=[3 - e, 2.5]) for e in (0.4, 0.3, 0.225)
        )
        assert self.extrapolation(model, check=check).beyond(first, second, third) is None
        tried = [float(params.rates[0]) for params in asked]
        assert tried[0] == pytest.approx(3.0)
        assert sorted(tried, reverse=True) == tried  # shorter leaps, after which it gives up
        assert tried[-1] > third.rates[0]
        assert self.extrapolation(model).beyond(first, second, third) == asked[0]

    @pytest.mark.parametrize("bound", [0.0, 1.0])
    def test_without_free_vectors_what_may_be_a_probability_stays_one(self, bound):
        way = 1 - 2 * bound
        three = [
            replace(POISSON_START, rates=[bound + way * e, 2.5]) for e in (0.2, 0.15, 0.11)
        ]  # they lead beyond the bound
        leap = self.extrapolation(PoissonMixture()).beyond(*three)
        assert 0 < way * (leap.rates[0] - bound) < 0.11

    def test_leaps_to_where_there_are_no_parameters_are_taken_back(self):
        """Poisson rates as they are, from where a leap makes one of them negative."""
        model = PoissonMixture()
        data = np.repeat(NOTICES[:2], [50, 3])
        init = replace(POISSON_START, rates=[0.01, 0.8])
        ours, theirs = both(model, data, init, max_iter=5000)
        assert ours.converged
        assert ours.final.objective == pytest.approx(theirs.final.objective, rel=1e-9)


def test_a_trace_of_leaps_is_a_trace():
    data, init = groups(200, 1)
    trace = fit(GaussianMixture(), data, init, tol=1e-8, accelerate="squarem")
    assert isinstance(trace, Trace)
    columns = trace.columns()
    assert columns["iteration"].tolist() == list(range(trace.n_iter + 1))
    assert trace == fit(GaussianMixture(), data, init, tol=1e-8, accelerate="squarem")
    assert trace.bic < fit(GaussianMixture(), data, init, max_iter=1).bic


def test_coins_of_many_tosses_do_not_leap_to_a_lower_hill():
    for seed in range(8):
        rng = generator(seed)
        model = BinomialMixture(1000, estimate_weights=True)
        truth = BinomialParams(rng.uniform(0.2, 0.8, 3), [0.3, 0.3, 0.4])
        data = model.simulate(truth, 150, rng=rng).data
        init = binomial_mixture.guess_uniform(data, 3, rng=rng)
        ours, theirs = both(model, data, init, max_iter=1000)
        if theirs.converged:
            assert ours.final.objective > theirs.final.objective - 1e-6


def collapsing(rng):
    data = np.concatenate([rng.normal(0, 1, 60), [8.0, 8.0, 8.0]])
    return (
        GaussianMixture(),
        data,
        [gaussian_mixture.guess_from_points(data, 3, rng=rng) for _ in range(12)],
    )


def by_nodes(rng):
    truth = GaussianParams([0, 4, 9], [1, 2, 2], [0.3, 0.3, 0.4])
    data = GaussianMixture().simulate(truth, 70_000, rng=rng).data
    return (
        GaussianMixture(),
        data,
        [gaussian_mixture.guess_from_points(data, 3, rng=rng) for _ in range(6)],
    )


def coins(rng):
    truth = BinomialParams([0.3, 0.5, 0.8], [0.3, 0.3, 0.4])
    model = BinomialMixture(10, estimate_weights=True)
    data = model.simulate(truth, 300, rng=rng).data
    starts = [binomial_mixture.guess_uniform(data, 3, rng=rng) for _ in range(9)]
    return model, data, [*starts, BinomialParams([1, 1, 1], [0.3, 0.3, 0.4])]  # impossible


class TestSideBySide:
    @pytest.mark.parametrize("made", [collapsing, by_nodes, coins])
    def test_each_goes_as_alone(self, made):
        model, data, starts = made(generator(1))
        how = {"tol": 0, "max_iter": 6, "accelerate": "squarem"}
        for ours, init in zip(fit_restarts(model, data, starts, **how), starts, strict=True):
            alone = fit(model, data, init, **how)
            assert ours.status is alone.status
            assert [s.n_e_steps for s in ours.steps] == [s.n_e_steps for s in alone.steps]
            assert [s.iteration for s in ours.steps] == [s.iteration for s in alone.steps]
            assert ours.notes == alone.notes
            np.testing.assert_allclose(ours.objectives, alone.objectives, rtol=1e-7)
            for mine, theirs in zip(ours.steps[:-1], alone.steps[:-1], strict=True):
                # Leaps enlarge rounding.
                assert_params_close(mine.params, theirs.params, rtol=1e-6, atol=1e-8)

    @pytest.mark.parametrize("made", [collapsing, by_nodes, coins])
    def test_each_ends_as_alone(self, made):
        model, data, starts = made(generator(1))
        how = {"tol": 1e-9, "max_iter": 1_000, "accelerate": "squarem"}
        together = fit_restarts(model, data, starts, **how)
        for ours, init in zip(together, starts, strict=True):
            alone = fit(model, data, init, **how)
            assert ours.status is alone.status
            np.testing.assert_allclose(ours.final.objective, alone.final.objective, rtol=1e-7)
        ends = {trace.status for trace in together}
        expected = {
            collapsing: {Status.NON_FINITE},
            by_nodes: {Status.CONVERGED},
            coins: {Status.NON_FINITE, Status.CONVERGED},
        }
        assert ends == expected[made]

    def test_leaps_that_fail_are_taken_back_and_counted(self, monkeypatch):
        taken_back = []
        judge = Extrapolations.judge

        def looks(self, good):
            taken_back.append((~good).sum())
            judge(self, good)

        monkeypatch.setattr(Extrapolations, "judge", looks)
        model, data, starts = coins(generator(1))
        traces = fit_restarts(model, data, starts, tol=0, max_iter=300, accelerate="squarem")
        assert sum(taken_back) > 0
        cycles = np.concatenate([np.diff([s.n_e_steps for s in t.steps]) for t in traces])
        assert set(cycles.tolist()) <= {1, 2, 4, 5}
        assert np.count_nonzero(cycles == 5) == sum(taken_back)

    def test_a_model_with_free_vectors_of_its_own_goes_alone(self):
        class Other(BinomialMixture):
            def to_free(self, params, like):
                return super().to_free(params, like) * 2

            def from_free(self, vector, like):
                return super().from_free(vector / 2, like)

        _, data, starts = coins(generator(2))
        model = Other(10, estimate_weights=True)
        how = {"tol": 0, "max_iter": 5, "accelerate": "squarem"}
        together = fit_restarts(model, data, starts, **how)
        assert list(together) == [fit(model, data, init, **how) for init in starts]
