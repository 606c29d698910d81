"""Data on a Dask cluster: the trace is that of the same data in memory."""

import os
import signal
import sys

import cloudpickle
import dask.array
import dask.bag
import numpy as np
import pytest
from contract import assert_params_close
from distributed import Client, LocalCluster, wait

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    GaussianParams,
    HardEM,
    KMeans,
    KMeansParams,
    fit,
    iterate,
)
from em_core.data.blocks import BLOCK_ROWS, prepare
from em_core.data.dask import ClusterBlocks

ROWS = 4 * BLOCK_ROWS + 9
RNG = np.random.default_rng(3)
NUMBERS = RNG.normal(RNG.choice([-4.0, 5.0], ROWS), 1.5)
POINTS = RNG.normal(RNG.choice([-4.0, 5.0], (ROWS, 1)), 1.5, (ROWS, 4))
HEADS = RNG.binomial(10, RNG.choice([0.2, 0.6], ROWS))
GAUSSIANS = GaussianParams([-3.0, 4.0], [1.0, 2.0], [0.5, 0.5])
COINS = BinomialParams([0.8, 0.7], [0.5, 0.5])
PROBLEMS = {
    "gaussian": (GaussianMixture(), NUMBERS, GAUSSIANS),
    "hard gaussian": (HardEM(GaussianMixture()), NUMBERS, GAUSSIANS),
    "points": (KMeans(), POINTS, KMeansParams(POINTS[:3])),
    "coins": (BinomialMixture(10), HEADS, COINS),
}
problems = pytest.mark.parametrize("name", PROBLEMS)

# The workers cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def client():
    """Two worker processes on this machine, each restarted if it dies."""
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def steps_of(model, data, init):
    return fit(model, data, init, tol=0, max_iter=5).steps


@problems
def test_array_of_whole_blocks_gives_the_very_trace(client, name):
    model, data, init = PROBLEMS[name]
    chunks = (2 * BLOCK_ROWS, *data.shape[1:])
    there = dask.array.from_array(data, chunks=chunks).persist()
    here = np.split(data, [2 * BLOCK_ROWS])  # as several arrays, of which nothing is prepared
    assert steps_of(model, there, init) == steps_of(model, here, init)


@problems
def test_any_chunks_give_the_same_answer(client, name):
    model, data, init = PROBLEMS[name]
    # Points are cut across their coordinates too.
    there = dask.array.from_array(data, chunks=(5_001, 3)[: data.ndim])
    ours, whole = steps_of(model, there, init)[-1], steps_of(model, data, init)[-1]
    assert ours.objective == pytest.approx(whole.objective, rel=1e-12)
    assert_params_close(ours.params, whole.params, rtol=1e-10)


@problems
def test_bag_of_blocks_gives_the_very_trace(client, name):
    model, data, init = PROBLEMS[name]
    parts = np.split(data, [BLOCK_ROWS, 3 * BLOCK_ROWS])
    there = dask.bag.from_sequence(parts, npartitions=2)
    assert steps_of(model, there, init) == steps_of(model, parts, init)


def test_only_sums_travel(client):
    """What a pass brings back is a few numbers a block, whatever its rows."""
    data = prepare(GaussianMixture(), dask.array.from_array(NUMBERS, chunks=BLOCK_ROWS), GAUSSIANS)
    assert isinstance(data, ClusterBlocks)
    assert data.n == ROWS
    sizes = []
    model = GaussianMixture()

    def sums(rows, counts):
        return model.statistics(rows, GAUSSIANS, model.e_step(rows, GAUSSIANS).responsibilities)

    for result in data.map(sums):
        sizes.append(sum(array.size for array in result))
    assert sizes == [6] * 5


def test_trials_are_tallied_where_they_are(client):
    data = prepare(BinomialMixture(10), dask.array.from_array(HEADS, chunks=5_000), COINS)
    assert not isinstance(data, ClusterBlocks)
    assert len(data.parts[0]) == 11
    assert data.counts.sum() == data.n == ROWS


class DiesOnce(GaussianMixture):
    """Kills the process that takes its E-step, the first time that a file is there to say so."""

    def __init__(self, order, home):
        super().__init__()
        object.__setattr__(self, "order", str(order))
        object.__setattr__(self, "home", home)

    def e_step(self, data, params):
        if os.getpid() != self.home:
            try:
                os.remove(self.order)
            except FileNotFoundError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().e_step(data, params)


def test_worker_killed_in_mid_fit_changes_nothing(client, tmp_path):
    order = tmp_path / "die"
    model = DiesOnce(order, os.getpid())
    there = dask.array.from_array(NUMBERS, chunks=BLOCK_ROWS).persist()
    wait(there)
    before = set(client.run(os.getpid).values())
    steps, here = iterate(model, there, GAUSSIANS), iterate(model, NUMBERS, GAUSSIANS)
    for i in range(8):
        if i == 3:
            order.touch()
        assert next(steps) == next(here)
    assert not order.exists()
    client.wait_for_workers(2, timeout=30)
    assert set(client.run(os.getpid).values()) != before


@pytest.mark.parametrize("as_bag", [False, True])
def test_bad_block_is_named(client, as_bag):
    data = NUMBERS.copy()
    data[BLOCK_ROWS + 3] = np.nan
    there = (
        dask.bag.from_sequence(np.split(data, [BLOCK_ROWS]), npartitions=2)
        if as_bag
        else dask.array.from_array(data, chunks=BLOCK_ROWS)
    )
    with pytest.raises(ValueError, match=r"^in block 1 of the data: data must be finite, got nan"):
        fit(GaussianMixture(), there, GAUSSIANS)


def test_guess_is_checked_before_the_first_pass(client):
    there = dask.array.from_array(NUMBERS, chunks=BLOCK_ROWS)
    with pytest.raises(ValueError, match=r"stds must be finite and larger than 0"):
        fit(GaussianMixture(), there, GaussianParams([0.0], [0.0], [1.0]))


def test_counts_are_refused(client):
    there = dask.array.from_array(NUMBERS, chunks=BLOCK_ROWS)
    with pytest.raises(ValueError, match=r"^counts go with data in one array, got several"):
        fit(GaussianMixture(), there, GAUSSIANS, counts=np.ones(ROWS))


class Table:
    """What of a Dask data frame can be seen from outside."""

    ndim = 2

    def __dask_graph__(self):
        return {}


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (Table, "must be an array or a bag of arrays, got a Table"),
        (lambda: dask.bag.from_sequence([NUMBERS[:9]]).filter(len).map(lambda _: None), "block 0"),
        (lambda: dask.bag.from_sequence([NUMBERS[:9]]).filter(lambda _: False), "got no array"),
        (lambda: dask.array.from_array(np.array(1.0)), "got a single value"),
        (lambda: dask.delayed(NUMBERS), "must be an array or a bag of arrays, got a Delayed"),
    ],
)
def test_what_is_no_data_is_refused(client, there, message):
    with pytest.raises(ValueError, match=message):
        fit(GaussianMixture(), there(), GAUSSIANS)


def test_bag_may_hold_lists(client):
    parts = [part.tolist() for part in np.split(NUMBERS[:3_000], 3)]
    there = dask.bag.from_sequence([parts], npartitions=1).flatten()
    ours = steps_of(GaussianMixture(), there, GAUSSIANS)[-1]
    whole = steps_of(GaussianMixture(), NUMBERS[:3_000], GAUSSIANS)[-1]
    assert_params_close(ours.params, whole.params, rtol=1e-10)
