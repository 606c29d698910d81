import numpy as np
import pytest

from em_core.data import darwin, galaxies, old_faithful
from em_ui.pictures.bins import bins

WAITING = old_faithful().column("waiting")


def normal(n, seed=0):
    return np.random.default_rng(seed).normal(size=n)


def held(values):
    """How many values are in each bin."""
    found = bins(values)
    return np.rint(found.density * np.diff(found.edges) * len(values)).astype(int)


@pytest.mark.parametrize(
    "values",
    [
        WAITING,
        old_faithful().column("eruptions"),
        darwin().column("difference"),
        galaxies().column("velocity"),
        normal(3_000),
        normal(100_000),
        1e-9 * normal(50),
        1e12 + normal(200),
        1e12 + 1e-3 * normal(200),
        np.array([-1.0, 1.0]),
        np.array([3.0]),
        np.zeros(4),
        np.full(7, 0.1),
        np.full(7, 1e-300),
        np.array([0.1, 0.1, 0.1, 0.3]),
        np.arange(8.0),
        np.array([-1e300, 1e300]) / 1e10,
    ],
)
def test_without_outliers_every_value_is_in_some_bin(values):
    found = bins(values)
    assert found.inside.all()
    assert held(values).sum() == len(values)
    widths = np.diff(found.edges)
    assert (widths > 0).all()
    assert np.ptp(widths) <= 1e-6 * widths[0] + 4 * np.spacing(np.abs(found.edges).max())
    assert (found.density * widths).sum() == pytest.approx(1)
    assert 1 <= len(found.density) <= 60


def test_as_many_as_there_are_values_for():
    counts = [len(bins(normal(n)).density) for n in (2, 15, 100, 900, 100_000)]
    assert counts == [3, 8, 20, 60, 60]


# Whole minutes, halves, multiples of five, whole numbers in thousandths.
@pytest.mark.parametrize("grid", [1.0, 0.5, 5.0, 1e-3, 1e3])
@pytest.mark.parametrize("offset", [0.0, 0.25, -1e5])
@pytest.mark.parametrize("n", [30, 272, 5_000])
def test_values_of_a_grid_make_no_teeth(grid, offset, n):
    values = grid * (offset + np.round(20 * normal(n)))
    edges = bins(values).edges
    assert 5 <= len(edges) - 1 <= 60
    places = grid * (offset + np.arange(-200, 201))
    inside = places[(edges[0] < places) & (places < edges[-1])]
    assert len(set(np.histogram(inside, edges)[0])) == 1  # as many places in each
    # No value stands on an edge, where rounding would decide.
    assert np.abs(edges[:, None] - values).min() > 0.4 * grid


def test_teeth_were_there_to_be_seen():
    # 60 bins for 54 minutes: some could hold none.
    assert (np.histogram(WAITING, 60)[0] == 0).sum() > 5
    assert (held(WAITING) > 0).all()


def test_equal_values_stand_in_one_bin_around_them():
    for value in (0.0, 3.0, -2e-9, 1e12):
        (left, right), _, _ = bins(np.full(5, value))
        assert left < value < right
        assert right - left <= max(abs(value), 1)


@pytest.mark.parametrize("n", [20, 100, 1_000])
def test_an_outlier_does_not_push_the_others_into_one_bar(n):
    near = np.append(normal(n), 12.0)
    assert bins(near).inside.all()
    assert (held(near)[: len(held(near)) // 2] > 0).sum() >= 7
    far = np.append(normal(n), 1e6)
    found = bins(far)
    assert not found.inside[-1]
    assert found.inside[:-1].mean() >= 0.98
    assert (found.density > 0).sum() >= 7
    # The bars are parts of all values, so that densities of all lie over them.
    assert (found.density * np.diff(found.edges)).sum() == pytest.approx(found.inside.mean())


def test_a_small_group_far_away_is_no_outlier():
    values = np.concatenate([normal(100), 1e3 + normal(3, seed=1)])
    assert bins(values).inside.all()


def test_equal_values_and_an_outlier():
    values = np.append(np.full(99, 5.0), 1_000.0)
    assert bins(values).inside.all()
    assert held(values).tolist() == [99, 1]
