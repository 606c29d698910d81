"""The quick E-steps of the Gaussian mixture in one dimension, against the formulas of the lesson.

What holds for every model's prepared data is in the contract. Here is what is particular to these.
"""

import math
import threading
import tracemalloc
from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np
import pytest
from contract import assert_are_the_textbooks, bits

from em_core import GaussianMixture, GaussianParams, HardEM, Status, fit, fit_restarts
from em_core.data.blocks import prepare
from em_core.engine import begin, objective_of
from em_core.kernels import nodes, quadratics, winners
from em_core.kernels.nodes import Nodes
from em_core.many import objectives_of
from em_core.models import gaussian_mixture
from em_core.models.gaussian_mixture import MANY, GaussianStatistics, guess_from_points

generator = np.random.default_rng
ROWS = MANY + 1_001


class Plain(GaussianMixture):
    """Has an E-step of its own, which is the textbook's."""

    expect = GaussianMixture.expect


def overlapping(rng, n):
    means = rng.choice([-10.0, 10.0, 30.0], n, p=[0.2, 0.5, 0.3])
    return rng.normal(means, np.abs(means) / 10 + 2)


# Data that are awkward for cells or for products of matrices.
DATA = {
    "overlapping": overlapping,
    "a constant added": lambda rng, n: overlapping(rng, n) + 1e8,
    "heavy tail": lambda rng, n: np.exp(rng.normal(1, 1.5, n)),
    "outlier": lambda rng, n: np.append(overlapping(rng, n - 1), 1e6),
    "whole numbers": lambda rng, n: np.round(overlapping(rng, n)),
    "most of them equal": lambda rng, n: np.maximum(overlapping(rng, n), 25.0),
    "uniform": lambda rng, n: rng.uniform(-1e-3, 1e-3, n),
    "tight blobs": lambda rng, n: rng.normal(rng.choice([-10.0, 10.0, 30.0], n), 1e-6),
}


def mixtures(data, rng):
    """Return mixtures that fit data more or less, wide and narrow, even and uneven."""
    spread = np.subtract(*np.quantile(data, [0.9, 0.1]))
    spread = spread if spread > 0 else 1.0
    for k, widths in ((1, 1.0), (2, 0.5), (3, 0.2), (3, [0.5, 0.5, 0.01]), (8, 0.05)):
        means = rng.choice(data, k) + 0.01 * spread * rng.normal(size=k)
        stds = np.broadcast_to(spread * np.asarray(widths), k) * rng.uniform(0.7, 1.4, k)
        yield GaussianParams(means, stds, rng.dirichlet(np.ones(k)))
    # One hardly in reach, whose own sums are to have their digits all the same.
    means = np.array([np.median(data), np.max(data) + 8 * spread])
    yield GaussianParams(means, [spread, spread], [1 - 1e-6, 1e-6])


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("n", [500, ROWS])
def test_finds_what_the_formulas_do(kind, n):
    rng = generator(1)
    data = DATA[kind](rng, n)
    model = GaussianMixture()
    for params in mixtures(data, rng):
        e_step = begin(model, prepare(model, data, params))
        assert_are_the_textbooks([e_step(params)], model, data, params)


def exactly(data, params):
    """Return the statistics and the log-likelihood in arithmetic of 50 digits."""
    with localcontext() as context:
        context.prec = 50
        x, means, stds, weights = (
            [Decimal(float(v)) for v in values]
            for values in (data, params.means, params.stds, params.weights)
        )
        root, total = (
            (2 * Decimal("3.14159265358979323846264338327950288419716939937511")).sqrt(),
            sum(weights),
        )
        sums, objective = [[Decimal(0)] * len(means) for _ in range(3)], Decimal(0)
        for value in x:
            joint = [
                w / total / (s * root) * (-(((value - m) / s) ** 2) / 2).exp()
                for m, s, w in zip(means, stds, weights, strict=True)
            ]
            objective += sum(joint).ln()
            for k, mean in enumerate(means):
                for power in range(3):
                    sums[power][k] += joint[k] / sum(joint) * (value - mean) ** power
        found = np.array([[float(each) for each in row] for row in sums])
        return GaussianStatistics(*found), float(objective)


@pytest.mark.parametrize("add", [0.0, 1e8])
def test_is_as_near_to_exact_arithmetic_as_the_formulas(add):
    rng = generator(2)
    data = np.round(overlapping(rng, 100) * 1024) / 1024 + add
    params = GaussianParams(np.array([-9.0, 8.5, 31.0]) + add, [3.0, 4.0, 5.5], [0.2, 0.5, 0.3])
    exact, objective = exactly(data, params)
    found, ours = begin(GaussianMixture(), prepare(GaussianMixture(), data, params))(params)
    assert ours == pytest.approx(objective, rel=1e-13)
    for one, other in zip(found, exact, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11)


def follow(model, data, init, **settings):
    return fit(model, data, init, **{"tol": 0, "max_iter": 60} | settings)


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("stds", ["free", "common", "known"])
def test_runs_go_the_same_way(kind, stds):
    data = DATA[kind](generator(3), ROWS)
    # Far from saddles, on which rounding decides which way a run goes.
    means = np.quantile(np.unique(data), [0.1, 0.6, 0.9])
    init = GaussianParams(means, np.full(3, data.std() / 2), np.full(3, 1 / 3))
    floor, weights = 1e-3 * float(init.stds[0]), stds != "common"
    ours, theirs = (
        follow(mixture(floor, weights, stds), data, init, max_iter=25)
        for mixture in (GaussianMixture, Plain)
    )
    assert (ours.status, ours.n_iter) == (theirs.status, theirs.n_iter)
    assert ours.status is not Status.DECREASED
    scale = np.abs(data - np.median(data)).max()
    for one, other in zip(ours.steps, theirs.steps, strict=True):
        for name, array in one.params.arrays().items():
            atol = 1e-9 * (1.0 if name == "weights" else scale)
            np.testing.assert_allclose(array, other.params.arrays()[name], rtol=1e-9, atol=atol)
    np.testing.assert_allclose(ours.objectives, theirs.objectives, rtol=1e-11)


class TestProducts:
    """On a few thousand values."""

    def found(self, data, params):
        """Return whether an E-step went by products, and what it found."""
        prepared = GaussianMixture().prepare(data)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            quick = prepared._begin()(params.means, params.stds, params.weights)
            return quick is not None and bool(quick[2]), prepared.begin()(params)

    def assert_plain(self, data, params):
        quick, (statistics, objective) = self.found(data, params)
        assert not quick
        plain, expected = GaussianMixture().expect(data, params)
        assert objective == expected
        for one, other in zip(statistics, plain, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_go_by_products_as_a_rule(self):
        data = overlapping(generator(5), 3_000)
        params = GaussianParams([-9, 8, 31], [3, 4, 5], [0.2, 0.5, 0.3])
        assert self.found(data, params)[0]
        assert self.found(data + 1e8, replace(params, means=params.means + 1e8))[0]

    @pytest.mark.parametrize(
        ("means", "stds"),
        [
            ([-9, 8, 31], [3, 4, 1e-3]),  # narrow
            ([-9, 8, 8 + 1e-12], [3, 4, 4]),  # as good as the same
            ([0, 1000, 2000], [1, 1, 1]),  # out of reach
            ([0, 1000, 2000], [30, 30, 30]),  # hardly in reach
        ],
    )
    def test_leave_to_the_formulas_what_would_lose_digits(self, means, stds):
        data = overlapping(generator(6), 500)
        self.assert_plain(data, GaussianParams(means, stds, [0.2, 0.5, 0.3]))

    def test_leave_densities_whose_product_loses_digits_to_the_formulas(self):
        data = generator(6).normal(size=1_000)
        data[::125] = 13.4  # of these eight the densities are multiplied before a logarithm
        params = GaussianParams([0.0], [1.0], [1.0])
        densities = np.exp(GaussianMixture().log_joint(data, params))
        unit = GaussianMixture().prepare(data).std
        assert 0 < np.prod(densities[::125] * unit) < np.finfo(float).tiny
        self.assert_plain(data, params)

    def test_leave_the_end_of_a_run_to_the_formulas(self):
        data = overlapping(generator(7), 500)
        start = GaussianParams([-9, 8, 31], [3, 4, 5], [0.2, 0.5, 0.3])
        trace = fit(GaussianMixture(), data, start, tol=0, max_iter=2_000)
        assert trace.converged
        self.assert_plain(data, trace.final.params)
        assert self.found(data, trace.steps[1].params)[0]

    def test_leave_a_cluster_that_is_narrower_than_its_component_to_the_formulas(self):
        data = np.repeat([-1.0, 1.0], 50) + 1e-7 * generator(8).normal(size=100)
        self.assert_plain(data, GaussianParams([-1, 1], [0.1, 0.1], [0.5, 0.5]))

    def test_a_density_out_of_range_in_any_block_is_noticed(self, monkeypatch):
        length = quadratics.block_length(2)
        monkeypatch.setattr(quadratics, "AT_ONCE", length)
        data = generator(9).normal(size=2 * length + 10)
        params = GaussianParams([-1, 1], [0.6, 0.6], [0.5, 0.5])
        assert self.found(data, params)[0]
        for place in (0, length, -1):
            far = data.copy()
            far[place] = 30.0
            self.assert_plain_sums(far, params)

    @pytest.mark.parametrize("at_once", [64, 1000, 2**15])
    @pytest.mark.parametrize("numbers", [128, 2**16])
    @pytest.mark.parametrize("k", [1, 2, 5])
    def test_sums_do_not_depend_on_how_they_are_cut(self, monkeypatch, at_once, numbers, k):
        monkeypatch.setattr(quadratics, "AT_ONCE", at_once)
        monkeypatch.setattr(quadratics, "NUMBERS", numbers)
        data = generator(10).normal(size=2345)
        means = np.linspace(-1, 1, k)
        params = GaussianParams(means, np.full(k, 1.5), np.full(k, 1 / k))
        quick, found = self.found(data, params)
        assert quick
        assert_are_the_textbooks([found], GaussianMixture(), data, params)
        many = GaussianMixture().prepare(data).begin_many()
        statistics, objectives = many({name: each[None] for name, each in params.arrays().items()})
        own = GaussianStatistics(*(each[0] for each in statistics)), objectives[0]
        assert_are_the_textbooks([own], GaussianMixture(), data, params)

    def assert_plain_sums(self, data, params):
        quick, found = self.found(data, params)
        assert not quick
        assert_are_the_textbooks([found], GaussianMixture(), data, params)

    @pytest.mark.parametrize("unit", [1e-150, 1e-120, 1e-90, 1e90, 1e120, 1e150])
    def test_any_unit(self, unit):
        data = unit * overlapping(generator(11), 300)
        init = GaussianParams(unit * np.array([-9.0, 8, 31]), unit * np.ones(3) * 4, np.ones(3) / 3)
        ours, theirs = (follow(mixture(), data, init) for mixture in (GaussianMixture, Plain))
        assert (ours.status, ours.n_iter, ours.message) == (
            theirs.status,
            theirs.n_iter,
            theirs.message,
        )
        np.testing.assert_allclose(
            ours.final.params.vector(), theirs.final.params.vector(), rtol=1e-9
        )

    @pytest.mark.parametrize("data", [[5.0], [5.0] * 9, [5.0, 5.0, 7.0]])
    def test_a_collapse_ends_as_it_did(self, data):
        init = GaussianParams([5.0, 6.0], [1.0, 0.5], [0.5, 0.5])
        ours, theirs = (follow(mixture(), data, init) for mixture in (GaussianMixture, Plain))
        assert ours.status is theirs.status is Status.NON_FINITE
        assert (ours.n_iter, ours.message, ours.notes) == (
            theirs.n_iter,
            theirs.message,
            theirs.notes,
        )

    def test_an_impossible_value_is_told(self):
        data = np.append(overlapping(generator(12), 300), 1e200)
        init = GaussianParams([-9.0, 8.0], [1.0, 1.0], [0.5, 0.5])
        ours, theirs = (follow(mixture(), data, init) for mixture in (GaussianMixture, Plain))
        assert ours.final.objective == theirs.final.objective == -math.inf
        assert ours.message == theirs.message

    def test_restarts_that_narrow_end_as_they_would_alone(self):
        rng = generator(13)
        data = np.concatenate([rng.normal(0, 1, 300), [8.0, 8.0, 8.0]])
        inits = [guess_from_points(data, 3, rng=rng) for _ in range(12)]
        statuses = set()
        for model in (GaussianMixture(), GaussianMixture(1e-3)):
            many = fit_restarts(model, data, inits, tol=1e-9, max_iter=100)
            alone = [fit(model, data, init, tol=1e-9, max_iter=100) for init in inits]
            assert [t.status for t in many] == [t.status for t in alone]
            statuses |= {t.status for t in many}
            for one, other in zip(many, alone, strict=True):
                assert one.n_iter == other.n_iter
                np.testing.assert_allclose(
                    one.final.params.vector(), other.final.params.vector(), rtol=1e-9
                )
        assert statuses == {Status.NON_FINITE, Status.MAX_ITER}


class TestNodes:
    """On many values."""

    PARAMS = GaussianParams([-9, 8, 31], [3, 4, 5], [0.2, 0.5, 0.3])

    def chosen(self, data, params):
        return Nodes(data).choose(params.means, params.stds, params.weights)

    def test_do_not_grow_with_the_values(self):
        few, many = (
            len(self.chosen(overlapping(generator(14), n), self.PARAMS)[0])
            for n in (ROWS, 8 * ROWS)
        )
        assert few <= many < 1.5 * few < 6_000

    def test_have_the_moments_of_the_values(self):
        data = overlapping(generator(15), ROWS)
        places, weights = self.chosen(data, self.PARAMS)
        assert len(places) < len(data) / 10
        for power in range(8):
            scale = np.sum(np.abs(data) ** power)
            assert abs(weights @ places**power - np.sum(data**power)) <= 1e-13 * scale

    def test_what_is_far_off_stays_as_it_is(self):
        data = np.append(overlapping(generator(16), ROWS), [1e6, -1e7])
        places, weights = self.chosen(data, self.PARAMS)
        far = np.abs(places) > 1e5
        assert sorted(places[far]) == [-1e7, 1e6]
        assert weights[far].tolist() == [1.0, 1.0]

    def test_are_finer_where_a_component_is_narrow(self):
        data = generator(17).uniform(-10, 10, ROWS)
        narrow = GaussianParams([-5, 5], [4, 0.02], [0.5, 0.5])
        places, _ = self.chosen(data, narrow)
        near = np.abs(places - 5) < 0.3
        assert near.sum() > 10 * (np.abs(places + 5) < 0.3).sum()

    def test_are_fine_enough_for_a_component_that_hardly_has_a_share(self):
        # Nowhere above 1e-20, and steep: its own sums are to be right all the same.
        data = generator(32).normal(size=ROWS)
        without = GaussianParams([0.0], [1.0], [1.0])
        beside = GaussianParams([0.0, 30.0], [1.0, 2.0], [1 - 1e-9, 1e-9])
        assert len(self.chosen(data, beside)[0]) > 2 * len(self.chosen(data, without)[0])
        model = GaussianMixture()
        found = begin(model, prepare(model, data, beside))(beside)
        assert 0 < found[0].counts[1] < 1e-20 * len(data)
        assert_are_the_textbooks([found], model, data, beside)

    def test_are_the_values_where_a_component_is_narrower_than_the_finest_cells(self):
        data = generator(18).uniform(-10, 10, ROWS)
        params = GaussianParams([-5, 5], [4, 0.002], [0.5, 0.5])
        places, weights = self.chosen(data, params)
        here = np.isin(places, data)
        assert 0 < here.sum() < len(places) < ROWS / 20
        assert (weights[here] == 1).all()
        near = np.abs(data - 5) < 0.01
        assert np.isin(data[near], places).all()
        model = GaussianMixture()
        e_step = begin(model, prepare(model, data, params))
        assert_are_the_textbooks([e_step(params)], model, data, params)

    def test_are_none_if_so_many_values_would_stay(self):
        data = generator(18).uniform(-10, 10, ROWS)
        means = np.linspace(-9.9, 9.9, 400)
        params = GaussianParams(means, np.full(400, 0.002), np.full(400, 1 / 400))
        assert self.chosen(data, params) is None

    def test_are_none_for_a_component_that_is_narrow_for_the_digits_of_the_values(self):
        data = generator(18).uniform(-10, 10, ROWS)
        params = GaussianParams([-5, 5], [4, 1e-5], [0.5, 0.5])
        assert self.chosen(data, params) is None
        model = GaussianMixture()
        e_step = begin(model, prepare(model, data, params))
        assert_are_the_textbooks([e_step(params)], model, data, params)

    def test_of_several_mixtures_are_those_of_each(self):
        rng = generator(33)
        quick, narrow = (
            Nodes(overlapping(rng, ROWS)),
            GaussianParams([0, 0, 9], [9, 9, 1e-5], [1] * 3),
        )
        several = [self.PARAMS, narrow, guess_from_points(quick.sample, 3, rng=rng), self.PARAMS]
        arrays = [
            np.stack(each) for each in zip(*(p.arrays().values() for p in several), strict=True)
        ]
        found = quick.choose_each(*arrays)
        assert found[1] is None
        assert all(found[r] is not None for r in (0, 2, 3))
        groups, left = quick.begin_many()(*arrays)
        assert left == [1]
        assert sorted(r for group in groups for r in group.runs.tolist()) == [0, 2, 3]
        choose = {r: quick.begin()(*several[r].arrays().values()) for r in (0, 2, 3)}
        for runs, places, times in groups:
            for i, r in enumerate(runs.tolist()):
                n = len(choose[r][0])
                np.testing.assert_array_equal(places[i, :n], choose[r][0])
                np.testing.assert_array_equal(times[i, :n], choose[r][1])
                assert not times[i, n:].any()
        for params, chosen in zip(several, quick.choose_each(*arrays), strict=True):
            alone = quick.choose(*params.arrays().values())
            assert (alone is None) == (chosen is None)
            assert chosen is None or all(map(np.array_equal, alone, chosen))

    def test_give_many_objectives_that_are_those_of_each(self):
        rng, model = generator(34), GaussianMixture()
        data = overlapping(rng, ROWS)
        blocks = prepare(model, data, self.PARAMS)
        several = [guess_from_points(data, 3, rng=rng) for _ in range(40)]
        several[3] = GaussianParams([0, 5, 9], [5, 5, 1e-7], [0.3, 0.3, 0.4])  # by the values
        several[5] = GaussianParams([900, 950, 999], [1, 1, 1], [0.3, 0.3, 0.4])  # out of range
        arrays = {
            name: np.stack([params.arrays()[name] for params in several])
            for name in self.PARAMS.arrays()
        }
        found = objectives_of(model, blocks, GaussianParams)(arrays)
        each = [begin(model, blocks)(params)[1] for params in several]
        np.testing.assert_allclose(found, each, rtol=1e-13)

    def grid(self, steps=25, **others):
        """Return the parameters of a hill over two means, which share most of their components."""
        x, y = (each.ravel() for each in np.meshgrid(*[np.linspace(-20, 40, steps)] * 2))
        params = GaussianParams(**{**self.PARAMS.arrays(), **others})
        arrays = {n: np.repeat(a[None], len(x), axis=0) for n, a in params.arrays().items()}
        arrays["means"][:, 0], arrays["means"][:, 2] = x, y
        return arrays

    @pytest.mark.parametrize("n", [3_000, ROWS])
    @pytest.mark.parametrize("add", [0, 1e6])
    def test_of_a_grid_have_each_density_once(self, monkeypatch, n, add):
        model, data = GaussianMixture(), overlapping(generator(35), n) + add
        blocks, arrays = prepare(model, data, self.PARAMS), self.grid()
        arrays["means"] += add
        each = [
            objective_of(model, blocks, GaussianParams(*values))
            for values in zip(*arrays.values(), strict=True)
        ]
        of, taken = objectives_of(model, blocks, GaussianParams), []
        exp = np.exp

        def counts(x, **more):
            taken.append(np.size(x))
            return exp(x, **more)

        monkeypatch.setattr(np, "exp", counts)
        np.testing.assert_allclose(of(arrays), each, rtol=1e-11)
        n_values = min(n, 20_000)
        assert sum(taken) <= (25 + 25 + 1) * n_values < 25 * 25 * 3 * n_values / 30

    def test_of_a_grid_that_a_narrow_component_moves_over(self):
        # No cells serve all of these: each gets nodes of its own.
        model, data = GaussianMixture(), overlapping(generator(36), ROWS)
        blocks, arrays = prepare(model, data, self.PARAMS), self.grid(5, stds=[1e-3, 4, 5])
        assert np.isnan(blocks.prepared._of_combinations(arrays)).all()
        each = [
            objective_of(model, blocks, GaussianParams(*values))
            for values in zip(*arrays.values(), strict=True)
        ]
        found = objectives_of(model, blocks, GaussianParams)(arrays)
        np.testing.assert_allclose(found, each, rtol=1e-11)

    @pytest.mark.parametrize("seed", range(5))
    def test_that_serve_many_mixtures_have_the_sums_of_each(self, seed):
        rng = generator(100 + seed)
        data = np.concatenate([rng.normal(m, s, ROWS // 3) for m, s in ((0, 1), (5, 2), (9, 0.3))])
        stds = np.exp(rng.uniform(-0.5, 1.5, 3))
        arrays = self.grid(6, stds=stds, weights=rng.dirichlet([1, 1, 1]))
        arrays["means"][:, [0, 2]] /= 3
        model = GaussianMixture()
        blocks = prepare(model, data, self.PARAMS)
        found = blocks.prepared._of_combinations(arrays)
        assert not np.isnan(found).any()
        each = [
            objective_of(model, blocks, GaussianParams(*values))
            for values in zip(*arrays.values(), strict=True)
        ]
        np.testing.assert_allclose(found, each, rtol=1e-12)

    def test_many_runs_that_lose_their_way_leave_the_others_alone(self):
        rng, model = generator(37), GaussianMixture()
        data = overlapping(rng, ROWS)
        starts = [guess_from_points(data, 3, rng=rng) for _ in range(5)]
        starts[1] = GaussianParams([900, 950, 999], [1, 1, 1], [0.3, 0.3, 0.4])  # out of range
        starts[3] = GaussianParams([0, 5, 9], [5, 5, 1e-7], [0.3, 0.3, 0.4])  # by the values
        many = fit_restarts(model, data, starts, tol=0, max_iter=12)
        for ours, init in zip(many, starts, strict=True):
            alone = fit(model, data, init, tol=0, max_iter=12)
            assert (ours.status, ours.n_iter) == (alone.status, alone.n_iter)
            np.testing.assert_allclose(ours.objectives, alone.objectives, rtol=1e-11)
            np.testing.assert_allclose(
                ours.final.params.vector(), alone.final.params.vector(), rtol=1e-8, atol=1e-8
            )

    @pytest.mark.parametrize("seed", range(3))
    def test_serve_all_parameters_that_round_to_the_same(self, seed):
        rng, model = generator(seed), GaussianMixture()
        data = overlapping(rng, ROWS)
        centre = nodes._rounded(*self.PARAMS.arrays().values())
        step = 0.499 / nodes._ROUNDED
        for _ in range(4):
            up_or_down = rng.choice([-step, step], (2, 3))
            stds = centre[1] * np.exp2(up_or_down[1])
            means = centre[0] + up_or_down[0] * centre[1]
            params = GaussianParams(means, stds, centre[2])
            rounded = nodes._rounded(means, stds, centre[2])
            np.testing.assert_allclose(rounded[1:], centre[1:], rtol=1e-15)
            places, weights = Nodes(data).choose(*centre)
            found = model.expect(places, params, weights)
            assert_are_the_textbooks([found], model, data, params)

    @pytest.mark.parametrize("seed", range(8))
    def test_serve_mixtures_that_are_far_from_all_values(self, seed):
        # Where rounding parameters changes who has the values, by many powers of ten.
        rng, model = generator(seed), GaussianMixture()
        data = np.concatenate([rng.normal(rng.uniform(-30, 30), 0.5, ROWS // 3) for _ in "abc"])
        params = GaussianParams(
            rng.uniform(-30, 30, 3), np.exp(rng.uniform(-2, 0, 3)), rng.dirichlet(np.full(3, 0.5))
        )
        blocks = prepare(model, data, params)
        assert blocks.prepared.n_looked_at(params) < len(data) / 4
        arrays = {n: np.stack([a, a]) for n, a in params.arrays().items()}
        with np.errstate(all="ignore"):  # as the engine does
            many, objectives = blocks.prepared.begin_many()(arrays)
        of_first = (GaussianStatistics(*(each[0] for each in many)), objectives[0])
        for found in (begin(model, blocks)(params), of_first):
            assert_are_the_textbooks([found], model, data, params)

    def test_a_run_finds_what_it_would_without_what_it_remembers(self):
        model, data = GaussianMixture(), overlapping(generator(19), ROWS)
        blocks = prepare(model, data, self.PARAMS)
        remembers = begin(model, blocks)
        for step in follow(model, data, self.PARAMS, max_iter=15).steps:
            assert bits(remembers(step.params)) == bits(begin(model, blocks)(step.params))

    def test_threads_share_them(self):
        model, data = GaussianMixture(), overlapping(generator(20), ROWS)
        starts = [guess_from_points(data, 3, rng=generator(seed)) for seed in range(4)]
        alone = [follow(model, data, start, max_iter=10) for start in starts]
        shared, found = prepare(model, data, starts[0]), {}

        def run(i):
            found[i] = follow(model, shared, starts[i], max_iter=10)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [found[i] for i in range(4)] == alone

    def test_a_run_arrives(self):
        data = overlapping(generator(21), ROWS)
        trace = fit(GaussianMixture(), data, self.PARAMS, tol=0, max_iter=1_000)
        assert trace.converged
        again = fit(GaussianMixture(), data, trace.final.params, tol=0)
        assert (again.status, again.n_iter) == (Status.CONVERGED, 1)


@pytest.mark.parametrize("by_nodes", [True, False])
def test_memory_beside_the_data(monkeypatch, by_nodes):
    monkeypatch.setattr(gaussian_mixture, "MANY", 2**16 if by_nodes else math.inf)
    data = overlapping(generator(22), 500_000)
    tracemalloc.start()
    fit(GaussianMixture(), data, TestNodes.PARAMS, tol=0, max_iter=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6 * len(data) / 3e6  # 200 MB of three million


class TestWinners:
    """Classification EM on values in order."""

    @pytest.fixture(autouse=True)
    def few_are_enough(self, monkeypatch):
        monkeypatch.setattr(gaussian_mixture, "SORTED", 1)

    def assert_textbooks(self, data, params, mixture=GaussianMixture()):  # noqa: B008
        model = HardEM(mixture)
        prepared = prepare(model, data, params)
        assert prepared.prepared is not None
        found = begin(model, prepared)(params)
        assert_are_the_textbooks([found], model, data, params)
        responsibilities, _ = model.e_step(data, params)
        np.testing.assert_array_equal(found[0].counts, responsibilities.sum(axis=0))

    @pytest.mark.parametrize("kind", DATA)
    @pytest.mark.parametrize("n", [3, 500, 20_000])
    def test_are_the_textbooks(self, kind, n):
        rng = generator(23)
        data = DATA[kind](rng, n)
        for params in mixtures(data, rng):
            self.assert_textbooks(data, params)

    @pytest.mark.parametrize("add", [0, 1e8])
    @pytest.mark.parametrize("tenth", [1, 10])
    def test_first_of_equals(self, add, tenth):
        data = np.repeat(np.arange(-30, 31) / tenth, 40) + add
        rng = generator(24)
        for _ in range(30):
            means = rng.integers(-30, 30, 4) / tenth + add
            params = GaussianParams(means, [2, 2, 2, 3], [0.25] * 4)
            self.assert_textbooks(data, params)

    def test_equal_components(self):
        data = overlapping(generator(25), 1_000)
        self.assert_textbooks(data, GaussianParams([1, 1, 1], [2, 2, 2], [1 / 3] * 3))
        self.assert_textbooks(data, GaussianParams([1, 1, 1], [2, 3, 2], [0.2, 0.4, 0.4]))

    def test_components_that_touch_but_do_not_cross(self):
        # Where the logarithms are equal their slopes are, too.
        stds = np.array([1.0, 2.0])
        data = np.concatenate([generator(26).normal(0, 2, 500), np.zeros(100)])
        self.assert_textbooks(data, GaussianParams([0.0, 0.0], stds, stds / stds.sum()))

    def test_weight_zero(self):
        data = overlapping(generator(27), 500)
        self.assert_textbooks(data, GaussianParams([0, 8, 31], [3, 4, 5], [0.0, 0.5, 0.5]))

    @pytest.mark.parametrize("unit", [1e-150, 1e150])
    def test_any_unit(self, unit):
        data = unit * overlapping(generator(28), 300)
        init = GaussianParams(unit * np.array([-9.0, 8, 31]), unit * np.ones(3) * 4, np.ones(3) / 3)
        ours, theirs = (
            follow(HardEM(mixture()), data, init) for mixture in (GaussianMixture, Plain)
        )
        assert (ours.status, ours.n_iter) == (theirs.status, theirs.n_iter)

    def test_do_not_look_at_every_value(self, monkeypatch):
        looked = []
        plain = GaussianMixture.log_joint

        def looks(self, data, params):
            looked.append(len(data))
            return plain(self, data, params)

        monkeypatch.setattr(GaussianMixture, "log_joint", looks)
        data = overlapping(generator(29), 50_000)
        begin(
            HardEM(GaussianMixture()), prepare(HardEM(GaussianMixture()), data, TestNodes.PARAMS)
        )(TestNodes.PARAMS)
        assert sum(looked) < 50

    def test_runs_are_those_of_the_formulas(self):
        data = np.round(overlapping(generator(30), 5_000))
        for seed in range(5):
            init = guess_from_points(data, 3, rng=generator(seed))
            ours, theirs = (
                follow(HardEM(mixture(0.1)), data, init) for mixture in (GaussianMixture, Plain)
            )
            assert (ours.status, ours.n_iter) == (theirs.status, theirs.n_iter)
            np.testing.assert_allclose(ours.objectives, theirs.objectives, rtol=1e-13)

    def test_sums_of_a_run_are_those_of_its_values(self):
        data = generator(31).normal(1e6, 1, 5_000)
        ordered = winners.SortedValues(data)
        for start, stop in ((0, 5_000), (3, 4), (250, 260), (255, 513), (256, 512), (700, 4_999)):
            values = np.sort(data)[start:stop] - 1e6
            found = ordered.sums(winners.Run(start, stop, 0), 1e6)
            expected = (stop - start, math.fsum(values), math.fsum(values**2))
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("kind", DATA)
    @pytest.mark.parametrize("k", [1, 2, 5])
    def test_objectives_of_many_are_those_of_each(self, kind, k):
        rng, model = generator(38), HardEM(GaussianMixture())
        data = DATA[kind](rng, 700)
        several = [guess_from_points(data, k, rng=rng) for _ in range(50)]
        scale = np.exp(rng.uniform(-4, 1, (50, k)))
        several = [
            GaussianParams(p.means, p.stds * s, rng.dirichlet(np.ones(k)))
            for p, s in zip(several, scale, strict=True)
        ]
        if k > 1:
            several[7] = GaussianParams(
                several[7].means, several[7].stds, [0.0, *[1 / (k - 1)] * (k - 1)]
            )
        blocks = prepare(model, data, several[0])
        arrays = {n: np.stack([p.arrays()[n] for p in several]) for n in several[0].arrays()}
        found = objectives_of(model, blocks, GaussianParams)(arrays)
        each = [objective_of(model, blocks, params) for params in several]
        np.testing.assert_allclose(found, each, rtol=1e-9)
        if kind == "overlapping":
            with np.errstate(divide="ignore", invalid="ignore"):  # a weight is 0
                quick = blocks.prepared.ordered.objectives(*arrays.values())
            assert np.isnan(quick).mean() < 0.5

    def test_objectives_of_narrow_components_go_by_the_sums_about_their_means(self):
        rng, model = generator(39), HardEM(GaussianMixture())
        data = np.append(overlapping(rng, 900), 1e6)
        narrow = GaussianParams([0.0, 1e6], [3.0, 1e-3], [0.5, 0.5])
        blocks = prepare(model, data, narrow)
        arrays = {n: a[None] for n, a in narrow.arrays().items()}
        assert np.isnan(blocks.prepared.ordered.objectives(*arrays.values())).all()
        found = objectives_of(model, blocks, GaussianParams)(arrays)
        np.testing.assert_allclose(found, [objective_of(model, blocks, narrow)], rtol=1e-12)

    def test_few_or_counted_values_are_not_put_in_order(self, monkeypatch):
        monkeypatch.setattr(gaussian_mixture, "SORTED", 10)
        model = HardEM(GaussianMixture())
        assert model.prepare(np.arange(9.0)) is None
        assert model.prepare(np.arange(10.0)) is not None
        assert model.prepare(np.arange(10.0), np.ones(10)) is None
        assert HardEM(Plain()).prepare(np.arange(10.0)) is None
