"""Data in blocks: one array or several, equal observations put together, rows counted."""

import tracemalloc
from itertools import islice

import dask.array
import dask.bag
import numpy as np
import pandas as pd
import pytest
from contract import assert_params_close
from hypothesis import given, settings
from hypothesis import strategies as st

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    GaussianParams,
    HardEM,
    KMeans,
    KMeansParams,
    best,
    fit,
    fit_restarts,
    iterate,
)
from em_core.data import blocks
from em_core.data.blocks import BLOCK_ROWS, different_rows, prepare
from em_core.models import gaussian_mixture

ROWS = 5 * BLOCK_ROWS + 7
RNG = np.random.default_rng(3)
NUMBERS = RNG.normal(RNG.choice([-4.0, 0.0, 5.0], ROWS), 1.5)
POINTS = RNG.normal(RNG.choice([-4.0, 0.0, 5.0], (ROWS, 1)), 1.5, (ROWS, 6))
HEADS = RNG.binomial(10, RNG.choice([0.2, 0.6], ROWS))
GAUSSIANS = GaussianParams([-3.0, 1.0, 4.0], [1.0, 2.0, 1.0], [0.2, 0.5, 0.3])
COINS = BinomialParams([0.8, 0.7], [0.5, 0.5])


class Plain(GaussianMixture):
    """Goes by blocks always, since what is prepared is not for who has an E-step of its own."""

    expect = GaussianMixture.expect


class PlainMeans(KMeans):
    """The same of K-Means."""

    expect = KMeans.expect


PROBLEMS = {
    "gaussian": (Plain(), NUMBERS, GAUSSIANS),
    "hard gaussian": (HardEM(Plain()), NUMBERS, GAUSSIANS),
    "plane": (PlainMeans(), POINTS[:, :2].copy(), KMeansParams(POINTS[:3, :2])),
    "six axes": (PlainMeans(), POINTS, KMeansParams(POINTS[:3])),
    "coins": (BinomialMixture(10, estimate_weights=True), HEADS, COINS),
    "hard coins": (HardEM(BinomialMixture(10)), HEADS, COINS),
}
problems = pytest.mark.parametrize("name", PROBLEMS)


def steps_of(model, data, init):
    return fit(model, data, init, tol=0, max_iter=6).steps


class Files:
    """A sequence of arrays that are made when they are asked for."""

    def __init__(self, arrays):
        self.arrays, self.loaded = arrays, []

    def __len__(self):
        return len(self.arrays)

    def __getitem__(self, i):
        array = self.arrays[i].copy()
        self.loaded.append(i)
        return array


class TestVisit:
    def test_goes_by_blocks_in_the_order_of_the_rows(self):
        data = np.arange(ROWS)
        seen = list(blocks.visit(lambda rows, _: rows, data, None, cut=True))
        assert [len(rows) for rows in seen] == [BLOCK_ROWS] * 5 + [7]
        np.testing.assert_array_equal(np.concatenate(seen), data)

    def test_counts_go_with_their_rows(self):
        data = np.arange(ROWS)
        seen = list(blocks.visit(lambda *both: both, data, 2.0 * data, cut=True))
        assert len(seen) == 6
        for rows, counts in seen:
            np.testing.assert_array_equal(counts, 2 * rows)

    def test_does_not_cut_what_belongs_together(self):
        (rows,) = blocks.visit(lambda rows, _: rows, np.arange(ROWS), None, cut=False)
        assert len(rows) == ROWS

    @pytest.mark.parametrize("where", [0, ROWS - 1])
    def test_an_error_in_any_block_is_raised(self, where):
        class Fails(GaussianMixture):
            def e_step(self, data, params):
                if NUMBERS[where] in data:
                    raise ZeroDivisionError("here")
                return super().e_step(data, params)

        with pytest.raises(ZeroDivisionError, match="here"):
            fit(Fails(), NUMBERS, GAUSSIANS)

    def test_a_collapse_does_not_warn(self):
        data = np.concatenate([NUMBERS, np.full(ROWS, 9.0)])
        start = GaussianParams([0.0, 9.0], [3.0, 1e-3], [0.5, 0.5])
        assert fit(GaussianMixture(), data, start).status == "non_finite"


class TestSequences:
    @problems
    def test_whole_blocks_give_the_very_trace_of_one_array(self, name):
        model, data, init = PROBLEMS[name]
        parts = [
            data[: 2 * BLOCK_ROWS],
            data[2 * BLOCK_ROWS : 3 * BLOCK_ROWS],
            data[3 * BLOCK_ROWS :],
        ]
        assert steps_of(model, parts, init) == steps_of(model, data, init)

    @problems
    def test_any_cut_gives_the_same_answer(self, name):
        model, data, init = PROBLEMS[name]
        parts = np.split(data, [1, 700, 20_001])
        for ours, whole in zip(
            steps_of(model, parts, init), steps_of(model, data, init), strict=True
        ):
            assert ours.objective == pytest.approx(whole.objective, rel=1e-12)
            assert_params_close(ours.params, whole.params, rtol=1e-10)

    def test_files_mapped_into_memory(self, tmp_path):
        for i, part in enumerate(np.split(NUMBERS, [BLOCK_ROWS, 4 * BLOCK_ROWS])):
            np.save(tmp_path / f"{i}.npy", part)
        parts = [np.load(path, mmap_mode="r") for path in sorted(tmp_path.glob("*.npy"))]
        assert steps_of(Plain(), parts, GAUSSIANS) == steps_of(Plain(), NUMBERS, GAUSSIANS)

    def test_arrays_are_asked_for_one_after_another_and_let_go(self):
        files = Files(np.split(NUMBERS[: 5 * BLOCK_ROWS], 5))
        steps = iterate(GaussianMixture(), files, GAUSSIANS)
        looked = len(files.loaded)
        assert looked <= 7  # once to check them all, and the first to see what they are
        next(steps)
        next(steps)
        assert files.loaded[looked:] == [0, 1, 2, 3, 4] * 2

    def test_no_more_than_one_array_is_in_memory(self):
        size = 2**20

        class Drawn:
            def __len__(self):
                return 8

            def __getitem__(self, i):
                if not 0 <= i < 8:
                    raise IndexError(i)
                return np.random.default_rng(i).normal(size=size)

        tracemalloc.start()
        fit(GaussianMixture(), Drawn(), GAUSSIANS, max_iter=2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * 8 * size  # eight arrays would be 64 bytes a row

    @pytest.mark.parametrize("i", [0, 2])
    def test_bad_block_is_named(self, i):
        parts = [np.zeros(5) for _ in range(3)]
        parts[i][4] = np.nan
        with pytest.raises(ValueError, match=rf"^in block {i} of the data: data must be finite.*4"):
            fit(GaussianMixture(), parts, GAUSSIANS)

    def test_rows_of_one_array_are_no_blocks(self):
        rows = list(POINTS[:50])
        _, _, init = PROBLEMS["six axes"]
        assert steps_of(KMeans(), rows, init) == steps_of(KMeans(), POINTS[:50], init)

    def test_blocks_need_not_be_plain_arrays(self):
        parts = [NUMBERS[:500], NUMBERS[500:900].tolist(), pd.Series(NUMBERS[900:2000])]
        ours = steps_of(GaussianMixture(), parts, GAUSSIANS)
        whole = steps_of(GaussianMixture(), NUMBERS[:2000], GAUSSIANS)
        assert_params_close(ours[-1].params, whole[-1].params, rtol=1e-10)

    def test_are_not_taken_by_another_model(self):
        data = prepare(BinomialMixture(10), HEADS, COINS)
        with pytest.raises(ValueError, match=r"^these data were prepared for Binomial.*10"):
            fit(BinomialMixture(9), data, COINS)

    def test_many_outcomes_are_not_tallied(self):
        coins = BinomialMixture(10**9)
        data = np.random.default_rng(1).binomial(10**9, 0.3, 3 * BLOCK_ROWS)
        parts = np.split(data, 3)
        assert prepare(coins, parts, COINS).counts is None
        assert steps_of(coins, parts, COINS) == steps_of(coins, data, COINS)

    def test_restarts_take_them(self):
        files = Files(np.split(NUMBERS[: 5 * BLOCK_ROWS], 5))
        rng = np.random.default_rng(1)
        inits = [gaussian_mixture.guess_from_points(NUMBERS, 3, rng=rng) for _ in range(3)]
        ours = fit_restarts(Plain(), files, inits, max_iter=5)
        assert (
            len(files.loaded) <= 7 + 5 * 3 * 6 + 1
        )  # a guess is checked without them; one for the notes
        whole = fit_restarts(Plain(), NUMBERS[: 5 * BLOCK_ROWS], inits, max_iter=5)
        assert [t.steps for t in ours] == [t.steps for t in whole]
        assert best(ours).final.objective == best(whole).final.objective

    def test_restarts_check_every_guess(self):
        bad = GaussianParams([0.0], [-1.0], [1.0])
        with pytest.raises(ValueError, match=r"^stds must be"):
            fit_restarts(GaussianMixture(), NUMBERS, [GAUSSIANS, bad], max_iter=1)


class TestNDifferent:
    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 40, 100_000])
    @pytest.mark.parametrize("shape", [(), (1,), (2,), (2, 2)])
    def test_is_that_of_a_set(self, limit, shape):
        rng = np.random.default_rng(limit)
        for n, values in ((1, 5), (30, 1), (30, 2), (20_000, 3)):
            rows = rng.integers(values, size=(n, *shape)).astype(float)
            rows[rows == 0] *= -1  # minus zero is zero
            found = different_rows(rows, limit)
            expected = len({tuple(row.ravel().tolist()) for row in rows})
            assert len(found) == min(expected, limit)
            assert len(np.unique(found, axis=0)) == len(found)

    def test_the_last_row_counts(self):
        data = np.zeros(3 * BLOCK_ROWS)
        data[-1] = 1
        three = GaussianParams([0, 1, 2], [1] * 3, [0.3, 0.3, 0.4])
        for parts in (data, np.split(data, 3)):
            assert prepare(GaussianMixture(), parts, three).n_different(3) == 2
        assert prepare(GaussianMixture(), data[:-1], three).n_different(3) == 1

    def test_of_tallied_data(self):
        model, parts = BinomialMixture(10), [np.array([3]), np.array([4, 3])]
        assert prepare(model, [3, 3, 3], COINS).n_different(2) == 1
        assert prepare(model, [3, 4, 3], COINS, counts=[1, 0, 2]).n_different(2) == 1
        assert prepare(model, parts, COINS).n_different(5) == 2

    def test_loads_no_more_than_it_needs_and_once(self):
        files = Files(np.split(NUMBERS[: 5 * BLOCK_ROWS], 5))
        data = prepare(GaussianMixture(), files, GAUSSIANS)
        files.loaded.clear()
        assert (data.n_different(4), data.n_different(4)) == (4, 4)
        assert files.loaded == [0]

    def test_notes_are_those_of_one_array(self):
        data = np.repeat([1.0, 2.0], 50)
        start = GaussianParams([1, 2, 1e9], [1, 1, 1], [0.3, 0.3, 0.4])
        whole = fit(GaussianMixture(0.1), data, start)
        assert len(whole.notes) == 2
        assert fit(GaussianMixture(0.1), np.split(data, 4), start).notes == whole.notes
        chunks = dask.array.from_array(data, chunks=25)
        assert fit(GaussianMixture(0.1), chunks, start).notes == whole.notes
        bag = dask.bag.from_sequence(np.split(data, 4), npartitions=2)
        assert fit(GaussianMixture(0.1), bag, start).notes == whole.notes
        more = dask.array.from_array(np.append(data, 3.0), chunks=25)
        assert len(fit(GaussianMixture(0.1), more, start).notes) == 1


class TestTally:
    @given(
        heads=st.lists(st.integers(0, 12), min_size=1, max_size=60),
        dtype=st.sampled_from([np.int8, np.int64, np.uint16, float]),
    )
    def test_puts_equal_trials_together(self, heads, dtype):
        data = np.array(heads, dtype=dtype)
        rows, times = BinomialMixture(12).prepare(data)
        assert (np.diff(rows) > 0).all()
        assert dict(zip(rows, times, strict=True)) == {h: heads.count(h) for h in heads}

    @given(
        heads=st.lists(st.integers(0, 10), min_size=2, max_size=40),
        theta=st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95)),
        hard=st.booleans(),
    )
    @settings(max_examples=30)
    def test_is_exact(self, heads, theta, hard):
        mixture = BinomialMixture(10, estimate_weights=True)
        model = HardEM(mixture) if hard else mixture
        data, params = np.array(heads), BinomialParams(theta, [0.4, 0.6])
        responsibilities, objective = model.e_step(data, params)
        update = model.m_step(model.statistics(data, params, responsibilities), params)
        first, second = islice(iterate(model, data, params), 2)
        assert first.objective == pytest.approx(objective, rel=1e-13)
        assert_params_close(second.params, update, rtol=1e-12)

    def test_makes_an_iteration_as_short_for_any_number_of_trials(self):
        looked = []

        class Looks(BinomialMixture):
            def e_step(self, data, params, counts=None):
                looked.append((len(data), counts.sum()))
                return super().e_step(data, params, counts)

        for times in (1, 1000):
            fit(Looks(10), np.tile(HEADS[:500], times), COINS, tol=0, max_iter=2)
        few, many = looked[:3], looked[3:]
        assert {n for n, _ in few} == {n for n, _ in many} == {len(np.unique(HEADS[:500]))}
        assert {total for _, total in many} == {500_000}

    def test_hard_assignment_has_one_only_if_its_mixture_has(self):
        assert HardEM(BinomialMixture(10)).prepare(HEADS) is not None
        assert HardEM(Plain()).prepare(NUMBERS) is None
        assert prepare(HardEM(GaussianMixture()), NUMBERS, GAUSSIANS).counts is None

    def test_of_parts_is_that_of_the_whole(self):
        model = BinomialMixture(10)
        whole, parts = (prepare(model, d, COINS) for d in (HEADS, np.split(HEADS, [3, 500, 9000])))
        assert parts.n == whole.n == len(HEADS)
        np.testing.assert_array_equal(parts.parts[0], whole.parts[0])
        np.testing.assert_array_equal(parts.counts, whole.counts)


class TestMemory:
    @pytest.mark.parametrize("max_iter", [1, 12])
    def test_extra_memory_does_not_grow_with_rows_or_iterations(self, max_iter):
        data = np.tile(NUMBERS, 25)  # a million
        tracemalloc.start()
        fit(Plain(), data, GAUSSIANS, tol=0, max_iter=max_iter)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.5 * data.nbytes
