import math
import tracemalloc
from itertools import islice, pairwise

import numpy as np
import pandas as pd
import pytest
from contract import AffineContract, assert_tuples_close, first_steps, for_many_seeds, weighted_sums
from simulated import clusters as simulate
from sklearn.cluster import KMeans as PeerKMeans
from sklearn.datasets import make_blobs

from em_core import KMeans, KMeansParams, Sample, Status, fit, iterate
from em_core.kernels import leaves, lloyd
from em_core.models import kmeans
from em_core.models.kmeans import (
    KMeansStatistics,
    draw_centres,
    guess_from_points,
    guess_plus_plus,
    guess_uniform,
)

GUESSES = [guess_from_points, guess_plus_plus, guess_uniform]


class TestKMeans(AffineContract):
    model = KMeans()
    soft = False
    coarse_statistics = ("deviations",)  # of which the M-step makes places, not widths

    def sample(self, rng, n, separation=1.0):
        centres = separation * np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
        labels = rng.integers(3, size=n)
        data = rng.normal(centres[labels])
        return Sample(data, labels, KMeansParams(centres))

    def guess(self, data, rng):
        return guess_from_points(data, 3, rng=rng)

    def term(self, x, params, k):
        return -(math.dist(x, params.centroids[k]) ** 2)

    def naive_m_step(self, data, responsibilities, previous):
        centroids = previous.centroids.copy()
        for k in range(len(centroids)):
            members = [x for x, shares in zip(data, responsibilities, strict=True) if shares[k]]
            if members:
                centroids[k] = sum(members) / len(members)
        return KMeansParams(centroids)

    def nudge(self, params, rng, size):
        return KMeansParams(params.centroids + size * rng.normal(size=params.centroids.shape))

    def standard_errors(self, truth, n):
        return {"centroids": np.sqrt(3 / n)}

    def moved(self, params, shift, scale):
        return KMeansParams(scale * params.centroids + shift)


@for_many_seeds(10)
def test_statistics_agree_with_loops(seed):
    rng = np.random.default_rng(seed)
    data, responsibilities = rng.normal(size=(30, 2)), rng.dirichlet(np.ones(4), size=30)
    data += rng.choice([0, 1e3])  # far from zero, for the distances between them
    centroids = data[:4]
    found = KMeans().statistics(data, KMeansParams(centroids), responsibilities)
    naive = KMeansStatistics(
        counts=weighted_sums(np.ones(30), responsibilities),
        deviations=[
            [sum(responsibilities[:, k] * (data[:, j] - centroids[k, j])) for j in range(2)]
            for k in range(4)
        ],
    )
    assert_tuples_close(found, naive, atol=1e-13)


def peer_after(data, init, iterations):
    return PeerKMeans(
        len(init.centroids),
        init=init.centroids,
        n_init=1,
        algorithm="lloyd",
        tol=0,
        max_iter=iterations,
    ).fit(data)


@pytest.mark.parametrize(
    ("n", "d", "k"), [(3_000, 2, 20), (20_000, 2, 10), (20_000, 5, 12), (9_000, 1, 20)]
)
def test_trajectory_is_that_of_scikit_learn(n, d, k):
    rng = np.random.default_rng(n + d + k)
    data = rng.uniform(size=(n, d))
    init = guess_from_points(data, k, rng=rng)
    steps = first_steps(KMeans(), data, init, 32)
    assert steps[31].objective > steps[30].objective  # still moving
    for iteration in (1, 7, 30):
        peer = peer_after(data, init, iteration)
        assert peer.n_iter_ == iteration
        np.testing.assert_allclose(
            steps[iteration].params.centroids, peer.cluster_centers_, rtol=1e-9
        )
        assert steps[iteration].objective == pytest.approx(-peer.inertia_, rel=1e-9)


def test_hand_worked_case():
    data = np.array([[0.0], [1.0], [9.0], [11.0]])
    first, second, third = islice(iterate(KMeans(), data, KMeansParams([[0.0], [1.0]])), 3)
    assert first.objective == -(0 + 0 + 64 + 100)
    assert second.params == KMeansParams([[0.0], [7.0]])
    assert second.objective == -(0 + 1 + 4 + 16)
    assert third.params == KMeansParams([[0.5], [10.0]])
    assert third.objective == -2.5


def test_tol_zero_runs_until_the_assignments_repeat():
    data = np.array([[0.0], [1.0], [9.0], [11.0]])
    trace = fit(KMeans(), data, KMeansParams([[0.0], [1.0]]), tol=0)
    assert trace.status is Status.CONVERGED
    assert trace.objectives.tolist() == [-164, -21, -2.5, -2.5]


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_where_the_assignments_repeat_the_centroids_do_too(offset):
    # To the last bit, so that nobody sees them move when no point has changed sides.
    for seed in range(50):
        rng = np.random.default_rng(seed)
        sample = simulate([200] * 3, spread=1.0, rng=rng)
        data = sample.data + offset
        steps = fit(KMeans(), data, guess_from_points(data, 3, rng=rng), tol=0).steps
        before, last = (KMeans().e_step(data, step.params) for step in steps[-2:])
        np.testing.assert_array_equal(last.responsibilities, before.responsibilities)
        assert steps[-1].params == steps[-2].params


def test_nearest_of_equals_is_the_first():
    e_step = KMeans().e_step(np.array([[0.0]]), KMeansParams([[1.0], [-1.0]]))
    assert e_step.responsibilities.tolist() == [[1, 0]]


def test_empty_cluster_stays_put():
    data = np.array([[0.0, 0.0], [2.0, 0.0]])
    trace = fit(KMeans(), data, KMeansParams([[0.0, 1.0], [50.0, 50.0]]))
    assert trace.converged
    assert trace.final.params == KMeansParams([[1.0, 0.0], [50.0, 50.0]])


def test_identical_points():
    trace = fit(KMeans(), np.full((5, 2), 0.1), KMeansParams([[0.0, 0.0], [9.0, 9.0]]))
    assert trace.converged
    np.testing.assert_allclose(trace.final.params.centroids, [[0.1, 0.1], [9, 9]], rtol=1e-15)
    assert trace.final.objective == pytest.approx(0, abs=1e-30)


def test_more_clusters_than_points():
    trace = fit(KMeans(), [[1.0, 2.0]], KMeansParams([[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]]))
    assert trace.converged
    assert trace.final.params == KMeansParams([[0.0, 0.0], [1.0, 2.0], [5.0, 5.0]])


@pytest.mark.parametrize("scale", [1e-160, 1e-162, 1e-200])
def test_points_too_near_to_zero_for_their_squares(scale):
    data = scale * np.random.default_rng(1).normal(size=(60, 2))
    trace = fit(KMeans(), data, KMeansParams(data[:3]), tol=0)
    assert trace.status in (Status.CONVERGED, Status.MAX_ITER)
    assert trace.notes[-1].startswith("Squared distances are so small")
    plain = fit(KMeans(), data / scale, KMeansParams(data[:3] / scale), tol=0)
    assert plain.notes == ()


def test_one_point_and_one_cluster():
    trace = fit(KMeans(), [[3.0, 4.0]], KMeansParams([[0.0, 0.0]]))
    assert trace.objectives.tolist() == [-25, 0, 0]
    assert trace.final.params == KMeansParams([[3.0, 4.0]])


def test_far_away_start():
    data = np.array([[1e8], [1e8 + 2], [1e8 + 4]])
    trace = fit(KMeans(), data, KMeansParams([[0.0]]))
    assert trace.converged
    assert trace.final.params == KMeansParams([[1e8 + 2]])
    assert trace.final.objective == -8


def test_whole_numbers_are_data_too():
    data = np.array([[0], [1], [9], [11]], dtype=np.uint8)
    trace = fit(KMeans(), data, KMeansParams([[0.0], [1.0]]))
    assert trace == fit(KMeans(), data.astype(float), KMeansParams([[0.0], [1.0]]))


@pytest.mark.parametrize(
    "centroids", [[1.0, 2.0], [[1.0], [2.0]], [[1.0, 2.0, 3.0]], np.empty((0, 2)), [[[1.0, 2.0]]]]
)
def test_refuses_centroids_of_another_shape(centroids):
    got = str(np.shape(centroids)).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(
        ValueError, match=rf"^centroids must have shape \(K, 2\) .* \(3, 2\), got {got}"
    ):
        fit(KMeans(), np.ones((3, 2)), KMeansParams(centroids))


def test_simulate_draws_the_example_of_the_article():
    data, labels, truth = simulate([200] * 3, spread=1.0, rng=np.random.default_rng(1))
    assert data.shape == (600, 2)
    assert np.bincount(labels).tolist() == [200] * 3
    assert truth.centroids.shape == (3, 2)
    assert (np.abs(truth.centroids) <= 10).all()


def test_simulate_draws_what_seeds_have_always_given():
    rng = np.random.default_rng(4)
    first, second = (simulate(sizes, spread=1.0, rng=rng) for sizes in ([5, 5], [3, 2]))
    assert first.data[:2].tolist() == [
        [8.987533600748495, 1.2956787506853098],
        [9.808997237619831, -8.251828917358697],
    ]
    assert second.data[:2].tolist() == [
        [6.451717874479075, -0.7873499966776722],
        [7.9288399484183945, 0.4179797406184169],
    ]
    assert second.truth.centroids.tolist() == [
        [8.595493906161337, -0.16549430775046936],
        [3.5160172986705174, -0.47922179049196245],
    ]
    assert rng.normal() == 0.4585777290940279  # and as much of the stream is used up
    unequal = simulate([4, 3, 2], spread=[0.5, 1, 2.0], rng=np.random.default_rng([6, 0]))
    assert unequal.labels.tolist() == [1, 0, 0, 1, 1, 2, 0, 0, 2]
    assert unequal.data[[0, 5]].tolist() == [
        [-2.630549883219938, -3.8756612048378503],
        [6.30321063947328, 4.309841881095619],
    ]


@pytest.mark.parametrize("d", [1, 2, 3])
def test_simulate_is_make_blobs(d):
    centres = np.random.default_rng(1).normal(size=(3, d))
    data, labels, _ = KMeans().simulate(
        KMeansParams(centres), [4, 5, 6], rng=np.random.default_rng(2), spread=[0.1, 1.0, 3.0]
    )
    points, clusters = make_blobs(
        [4, 5, 6],
        centers=centres,
        cluster_std=[0.1, 1.0, 3.0],
        random_state=np.random.RandomState(np.random.default_rng(2).bit_generator),
    )
    np.testing.assert_array_equal(data, points)
    np.testing.assert_array_equal(labels, clusters)


def test_simulate_without_sizes_has_no_favourite():
    centres = KMeansParams([[0.0], [100.0]])
    data, labels, truth = KMeans().simulate(centres, 10_000, rng=np.random.default_rng(1))
    assert truth is centres
    np.testing.assert_array_equal(labels, data[:, 0] > 50)
    assert labels.mean() == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(10_000))


@pytest.mark.parametrize("rng", [None, 3, np.random.RandomState(1)])
def test_draws_refuse_what_is_no_generator(rng):
    with pytest.raises(ValueError, match=r"^rng must be a numpy\.random\.Generator, "):
        KMeans().simulate(KMeansParams([[0.0]]), [3], rng=rng)
    with pytest.raises(ValueError, match=r"^rng must be a numpy\.random\.Generator, "):
        draw_centres(3, rng=rng)


@pytest.mark.parametrize("spread", [[1.0, 2.0], [[1.0]]])
def test_simulate_refuses_another_number_of_spreads(spread):
    with pytest.raises(ValueError, match=r"^spread must be one number or one for each of 3"):
        simulate([5, 5, 5], spread=spread, rng=np.random.default_rng(0))


@pytest.mark.parametrize("centroids", [[1.0, 2.0], np.empty((2, 0))])
def test_simulate_refuses_what_are_no_centres(centroids):
    with pytest.raises(ValueError, match=r"^centroids must have shape \(K, d\), got \(2,"):
        KMeans().simulate(KMeansParams(centroids), [5, 5], rng=np.random.default_rng(0))


def test_free_parameters_are_coordinates():
    assert KMeans().n_parameters(KMeansParams(np.ones((3, 2)))) == 6


def test_simulate_draws_the_given_sizes_and_spread():
    sizes = [50, 1000, 4000]
    data, labels, truth = simulate(sizes, spread=0.5, rng=np.random.default_rng(2))
    assert np.bincount(labels).tolist() == sizes
    assert (np.diff(labels) != 0).any()  # in random order
    for k, size in enumerate(sizes):
        points = data[labels == k]
        assert (abs(points.mean(axis=0) - truth.centroids[k]) < 5 * 0.5 / np.sqrt(size)).all()
        assert (abs(points.std(axis=0) - 0.5) < 5 * 0.5 / np.sqrt(2 * size)).all()


def test_simulate_then_fit_recovers_the_centres():
    data, _, truth = simulate([300] * 4, spread=0.1, rng=np.random.default_rng(3))
    init = KMeansParams(truth.centroids + 0.2)
    found = fit(KMeans(), data, init).final.params
    np.testing.assert_allclose(found.centroids, truth.centroids, atol=5 * 0.1 / np.sqrt(300))


def test_simulate_is_driven_by_the_generator():
    rng = np.random.default_rng(4)
    first, second = (simulate([5, 5], spread=1.0, rng=rng) for _ in range(2))
    again = simulate([5, 5], spread=1.0, rng=np.random.default_rng(4))
    assert np.array_equal(first.data, again.data)
    assert not np.array_equal(first.data, second.data)


@pytest.mark.parametrize(
    ("sizes", "got"),
    [
        ([5, 0], "0"),
        ([5, -1], "-1"),
        ([2.5], "2.5"),
        ([True], "True"),
        (["5"], "'5'"),
        ([[2]], "2"),
    ],
)
def test_simulate_refuses_bad_sizes(sizes, got):
    with pytest.raises(ValueError, match=rf"^size must be a whole number, 1 or larger.*{got}"):
        KMeans().simulate(KMeansParams([[0.0]] * 2), sizes, rng=np.random.default_rng(0))


def test_simulate_refuses_no_sizes():
    with pytest.raises(ValueError, match=r"^size must have one entry per component, got \[\]"):
        KMeans().simulate(KMeansParams([[0.0]]), [], rng=np.random.default_rng(0))


@pytest.mark.parametrize("spread", [0.0, -1.0, np.nan, np.inf])
def test_simulate_refuses_bad_spread(spread):
    with pytest.raises(ValueError, match=rf"^spread must be finite and larger .* got {spread}"):
        simulate([5], spread=spread, rng=np.random.default_rng(0))


@pytest.mark.parametrize("guess", [guess_from_points, guess_plus_plus])
def test_guess_is_different_observations(guess):
    data = np.random.default_rng(5).normal(size=(6, 2))
    for seed in range(20):
        centroids = guess(data, 6, rng=np.random.default_rng(seed)).centroids
        assert sorted(map(tuple, centroids)) == sorted(map(tuple, data))


def test_uniform_guess_fills_the_box_around_the_data():
    data = np.array([[0.0, 100.0], [1.0, 300.0], [0.5, 200.0]])
    centroids = guess_uniform(data, 5000, rng=np.random.default_rng(6)).centroids
    assert ((centroids >= [0, 100]) & (centroids <= [1, 300])).all()
    np.testing.assert_allclose(centroids.mean(axis=0), [0.5, 200], rtol=0.02)
    np.testing.assert_allclose(np.ptp(centroids, axis=0), [1, 200], rtol=0.01)


def clusters_hit(guess, offset):
    """Return how often a guess puts one centroid in each of four tight clusters."""
    rng = np.random.default_rng(7)
    centres = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    data = np.repeat(centres, 25, axis=0) + rng.uniform(-0.01, 0.01, size=(100, 2)) + offset
    hits = 0
    for seed in range(50):
        centroids = guess(data, 4, rng=np.random.default_rng(seed)).centroids
        hits += len(np.unique(np.round(centroids - offset), axis=0)) == 4
    return hits


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_plus_plus_guess_spreads_out(offset):
    # Drawn without regard to distance, four points hit four clusters 10% of the time.
    assert clusters_hit(guess_from_points, offset) < 15
    assert clusters_hit(guess_plus_plus, offset) == 50


def test_plus_plus_guess_on_identical_points():
    centroids = guess_plus_plus(np.full((5, 2), 0.1), 3, rng=np.random.default_rng(8)).centroids
    assert np.array_equal(centroids, np.full((3, 2), 0.1))


@pytest.mark.parametrize("guess", GUESSES)
def test_guess_is_driven_by_the_generator(guess):
    data = np.random.default_rng(9).normal(size=(100, 2))
    rng = np.random.default_rng(10)
    first, second = guess(data, 3, rng=rng), guess(data, 3, rng=rng)
    assert first == guess(data, 3, rng=np.random.default_rng(10))
    assert first != second


@pytest.mark.parametrize("guess", [guess_from_points, guess_plus_plus])
def test_guess_refuses_more_components_than_observations(guess):
    with pytest.raises(
        ValueError, match=r"^n_components must be at most the 3 observations, got 4"
    ):
        guess(np.ones((3, 2)), 4, rng=np.random.default_rng(0))


@pytest.mark.parametrize("guess", GUESSES)
@pytest.mark.parametrize("n_components", [0, -1, 1.5, True, "2", None])
def test_guess_refuses_bad_n_components(guess, n_components):
    with pytest.raises(
        ValueError, match=rf"^n_components must be a whole number.* got {n_components!r}"
    ):
        guess(np.ones((3, 2)), n_components, rng=np.random.default_rng(0))


@pytest.mark.parametrize("guess", GUESSES)
def test_guess_takes_whatever_holds_numbers(guess):
    data = [[1, 2], [3, 4], [5, 7]]
    guesses = [
        guess(given, 2, rng=np.random.default_rng(0))
        for given in (np.array(data, dtype=float), data, pd.DataFrame(data, index=[7, 8, 9]))
    ]
    assert guesses[0] == guesses[1] == guesses[2]


@pytest.mark.parametrize("guess", GUESSES)
def test_guess_refuses_what_is_no_generator(guess):
    for rng in (None, 3, np.random.RandomState(1)):
        with pytest.raises(ValueError, match=r"^rng must be a numpy\.random\.Generator, "):
            guess(np.ones((3, 2)), 2, rng=rng)


@pytest.mark.parametrize("guess", GUESSES)
def test_guess_refuses_bad_data(guess):
    with pytest.raises(ValueError, match=r"^data must have shape \(n, d\), got shape \(3,\)"):
        guess(np.ones(3), 2, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"^data must be finite, got nan at \[0, 0\]"):
        guess(np.full((3, 2), np.nan), 2, rng=np.random.default_rng(0))


class TestDigits:
    """Distances by products lose digits far from zero; then differences are taken."""

    @pytest.mark.parametrize("offset", [0.0, 1e3, 1e8])
    @pytest.mark.parametrize("far", [1e2, 1e7])
    def test_wide_cluster_does_not_hide_a_tight_pair(self, offset, far):
        rng = np.random.default_rng(0)
        pair = offset + rng.choice([0.0, 1.0], 500)[:, None] + rng.normal(0, 0.1, (500, 1))
        data = np.concatenate([pair, offset - 10 * far + rng.normal(0, far, (500, 1))])
        start = KMeansParams(offset + np.array([[-0.2], [0.9], [-10 * far]]))
        found = fit(KMeans(), data, start, tol=0).final.params.centroids[:2, 0]
        assert found == pytest.approx([offset, offset + 1], abs=0.03)

    @pytest.mark.parametrize("scale", [1.0, 1e-9])
    def test_assignments_and_inertia_are_those_of_differences(self, scale):
        rng = np.random.default_rng(1)
        centres = np.array([[0.0, 0, 0, 0], [1, 0, 0, 0], [1e4, 0, 0, 0]]) * scale
        data = centres[rng.integers(0, 3, 900)] + rng.normal(0, 0.2 * scale, (900, 4))
        squares = ((data[:, None] - centres) ** 2).sum(axis=2)
        found = KMeans().e_step(data, KMeansParams(centres))
        np.testing.assert_array_equal(found.responsibilities.argmax(axis=1), squares.argmin(axis=1))
        assert found.objective == pytest.approx(-squares.min(axis=1).sum(), rel=1e-12)

    @pytest.mark.parametrize("offset", [1e7, 1e8, 1.7e9, 1e12])
    def test_centroids_of_equal_points_are_these_points(self, offset):
        data = np.full((8000, 2), offset + 0.1)
        data[4000:] += 3
        trace = fit(KMeans(), data, KMeansParams(data[[0, -1]]), tol=0)
        assert (trace.status, trace.n_iter) == (Status.CONVERGED, 1)
        assert trace.objectives.tolist() == [0, 0]

    @pytest.mark.parametrize("shift", [0.0, 1e3])
    def test_points_half_way_go_to_the_first_however_they_are_cut(self, shift):
        data = shift + np.array([[3.7, y] for y in (6.1, 5.4, 8.2, 8.6, 7.3, 8.6, 3.0)])
        params = KMeansParams(shift + np.array([[2.7, 0.4], [4.7, 0.4]]))
        exact = ((data[:, None] - params.centroids) ** 2).sum(axis=2).argmin(axis=1)
        for rows in (slice(None), slice(6), slice(6, None), slice(2, 5)):
            found = KMeans().e_step(data[rows], params).responsibilities
            np.testing.assert_array_equal(found.argmax(axis=1), exact[rows])
            assert (found.sum(axis=1) == 1).all()

    def test_column_without_news_does_not_end_a_run(self):
        data = np.column_stack([np.full(10, 1e9), 1e-7 * np.arange(10)])
        trace = fit(KMeans(), data, KMeansParams(data[:2]), tol=0)
        assert trace.final.objective == pytest.approx(-20 * 1e-14)

    def test_centroid_far_away_does_not_end_a_run(self):
        start = KMeansParams([[0.0], [1.0], [1e16]])
        trace = fit(KMeans(), np.arange(10.0)[:, None], start, tol=0)
        assert trace.final.objective == -20

    def test_data_out_of_range_end_with_a_status(self):
        for data in ([[2e154], [1e154]], [[1e300], [-1e300]]):
            trace = fit(KMeans(), data, KMeansParams([[0.0]]))
            assert trace.status is Status.NON_FINITE
            assert "Squared distances are out of the range" in trace.message

    def test_a_step_by_itself_warns_of_nothing(self):
        data, params = np.ones((2, 2)), KMeansParams([[1e200, 0], [0, 0]])
        found = KMeans().e_step(data, params)
        assert found.responsibilities.tolist() == [[0, 1], [0, 1]]
        assert KMeans().statistics(data, params, found.responsibilities).counts.tolist() == [0, 2]

    def test_two_centroids_in_one_place_share_no_point(self):
        data = np.random.default_rng(2).normal(size=(50, 3))
        found = KMeans().e_step(data, KMeansParams([[0.0] * 3, [0.0] * 3]))
        assert list(found.responsibilities.sum(axis=0)) == [50, 0]


def around(offset, rng):
    return offset + rng.normal(size=(500, 3)), 4


PLACES = {
    "random": lambda rng: (rng.normal(size=(500, 2)), 5),
    "nine axes": lambda rng: (rng.normal(size=(500, 9)), 7),
    "ties": lambda rng: (rng.integers(-3, 4, size=(500, 2)).astype(float), 6),
    "ties in whole numbers": lambda rng: (rng.integers(-3, 4, size=(500, 3)), 6),
    "ties in tenths": lambda rng: (rng.integers(-30, 31, size=(500, 2)) / 10, 6),
    "ties in tenths off zero": lambda rng: (50.1 + rng.integers(-30, 31, size=(500, 2)) / 10, 6),
    "ties far away": lambda rng: (1e8 + rng.integers(-3, 4, size=(500, 2)), 6),
    "offset": lambda rng: around(1e8, rng),
    "smaller offset": lambda rng: around(-1e3, rng),
    "offset in one axis": lambda rng: (rng.normal([0, 1e8], size=(500, 2)), 5),
    "duplicates": lambda rng: (np.repeat(rng.normal(size=(9, 2)), 50, axis=0), 5),
    "an outlier": lambda rng: (np.vstack([rng.normal(size=(499, 2)), [1e6, 1e6]]), 5),
    "small numbers": lambda rng: (1e-9 * rng.normal(size=(500, 2)), 5),
    "one point a cluster": lambda rng: (rng.normal(size=(12, 2)), 12),
    "one cluster": lambda rng: (rng.normal(size=(500, 2)), 1),
    "one axis": lambda rng: (rng.normal(size=(500, 1)), 3),
}


def prepared(data):
    return KMeans().prepare(np.asarray(data)).begin()


@pytest.fixture(params=["few", "many", "groups"])
def kernel(request, monkeypatch):
    """Take the points at once, as many that do not fit the cache, or in groups of neighbours."""
    if request.param != "few":
        monkeypatch.setattr(lloyd, "BLOCK", 64)
        monkeypatch.setattr(lloyd, "_PART", 256)
        monkeypatch.setattr(leaves, "_SORTED", 128)
        monkeypatch.setattr(leaves, "_LEAST", 4)
        most = leaves.MOST_COORDINATES if request.param == "groups" else 0
        monkeypatch.setattr(kmeans, "MOST_COORDINATES", most)
    return request.param


def assert_plain(found, data, params):
    """Fail unless a quick E-step found what the plain steps find."""
    with np.errstate(over="ignore", invalid="ignore"):
        responsibilities, objective = KMeans().e_step(data, params)
        plain = KMeans().statistics(data, params, responsibilities)
    statistics, quick_objective = found
    np.testing.assert_array_equal(statistics.counts, plain.counts)
    size = np.abs(data - np.mean(data, axis=0, dtype=float)).sum()
    size += (plain.counts[:, None] * np.abs(params.centroids - data[0]))[plain.counts > 0].sum()
    np.testing.assert_allclose(statistics.deviations, plain.deviations, atol=1e-14 * size)
    assert quick_objective == pytest.approx(objective, rel=1e-11, abs=1e-300)


@pytest.mark.parametrize("place", PLACES)
class TestPrepared:
    """What the quick E-steps find is what the plain steps find."""

    @pytest.mark.parametrize("seed", range(8))
    def test_agrees_with_the_plain_steps(self, place, kernel, seed):
        rng = np.random.default_rng(seed)
        data, k = PLACES[place](rng)
        init = guess_from_points(data, k, rng=rng)
        params, e_step = init, prepared(data)
        for _ in range(12):
            found = e_step(params)
            assert_plain(found, data, params)
            params = KMeans().m_step(found[0], params)
        assert_plain(e_step(init), data, init)  # wherever it is asked for next

    @pytest.mark.parametrize("seed", range(2))
    def test_many_runs_side_by_side_find_the_same(self, place, kernel, seed):
        rng = np.random.default_rng(seed)
        data, k = PLACES[place](rng)
        starts = [guess_from_points(data, k, rng=rng) for _ in range(5)]
        starts.append(KMeansParams(starts[0].centroids + 1e9))
        arrays = {"centroids": np.stack([start.centroids for start in starts])}
        statistics, objectives = KMeans().prepare(data).begin_many()(arrays)
        for i, start in enumerate(starts):
            own = KMeansStatistics(statistics.counts[i], statistics.deviations[i])
            assert_plain((own, objectives[i]), data, start)


@pytest.mark.parametrize("seed", range(4))
def test_cluster_that_was_emptied_keeps_nothing(kernel, seed):
    # Of the points that have come and gone, rounding would be left.
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(500, 3)) + 100
    e_step, places = prepared(data), data[:4].copy()
    e_step(KMeansParams(places))
    for row in (1, 2):
        places[row] = 1e3
        statistics, _ = e_step(KMeansParams(places))
        empty = statistics.counts == 0
        assert empty[row]
        assert not statistics.deviations[empty].any()


class TestGroups:
    """Groups of neighbours that go to one centroid together are not looked into."""

    @pytest.mark.parametrize(("k", "d"), [(3, 2), (8, 2), (6, 3), (9, 1)])
    def test_to_the_end_of_a_run(self, monkeypatch, k, d):
        monkeypatch.setattr(lloyd, "BLOCK", 512)
        rng = np.random.default_rng(k + d)
        data = rng.uniform(-10, 10, (k, d))[rng.integers(k, size=4000)]
        data += rng.normal(0, 2, (4000, d))
        trace = fit(KMeans(), data, guess_from_points(data, k, rng=rng), tol=0, max_iter=1000)
        assert trace.converged
        for before, after in pairwise(trace.steps):
            responsibilities, objective = KMeans().e_step(data, before.params)
            statistics = KMeans().statistics(data, before.params, responsibilities)
            there = KMeans().m_step(statistics, before.params).centroids
            np.testing.assert_allclose(after.params.centroids, there, rtol=1e-12, atol=1e-12)
            assert before.objective == pytest.approx(objective, rel=1e-12)

    @pytest.mark.parametrize("outlier", [None, 1e3])
    def test_most_points_are_not_looked_at(self, outlier):
        rng = np.random.default_rng(0)
        data = rng.normal(size=(100_000, 2))
        if outlier:
            data[3] = outlier
        groups = leaves.Leaves(data)
        visited = groups.members(rng.normal(size=(5, 2)))
        looked_at = dict.fromkeys((1, *(level.size for level in groups.levels)), 0)
        for size, some, members, _ in visited:
            looked_at[size] += len(some)
            assert (members.sum(axis=0) <= 1).all()
        assert len(looked_at) == 3
        assert sum(looked_at.values()) < len(data) / 8

    def test_every_point_is_in_one_place_on_the_curve(self, monkeypatch):
        monkeypatch.setattr(leaves, "_SORTED", 256)
        data = np.random.default_rng(1).standard_cauchy((4321, 2))
        groups = leaves.Leaves(data)
        np.testing.assert_array_equal(np.sort(groups.order), np.arange(len(data)))
        np.testing.assert_array_equal(groups.rows.T, data[groups.order] - groups.centre)


@pytest.mark.parametrize(
    "given",
    [
        lambda data: data.astype(np.float32),
        lambda data: (10 * data).astype(np.int16),
        lambda data: np.repeat(data, 2, axis=0)[::2],
        lambda data: np.asfortranarray(data),
        lambda data: np.broadcast_to(data, data.shape),
        lambda data: np.hstack([data, data])[:, 1:3],
    ],
)
def test_prepares_whatever_holds_numbers(kernel, given):
    data = given(np.random.default_rng(3).normal(size=(700, 2)))
    params, e_step = KMeansParams(data[:4]), prepared(data)
    for _ in range(4):
        found = e_step(params)
        assert_plain(found, data, params)
        params = KMeans().m_step(found[0], params)


@pytest.mark.parametrize("scale", [1e-150, 1e-20, 1e20, 1e120, 1e150, 1e155])
def test_prepared_in_any_unit(kernel, scale):
    data = scale * np.random.default_rng(4).normal(size=(300, 2))
    trace = fit(KMeans(), data, KMeansParams(data[:3]), tol=0)
    for step in trace.steps:
        assert step.objective == pytest.approx(KMeans().e_step(data, step.params).objective)
    assert (trace.status is Status.NON_FINITE) == (scale == 1e155)


def test_many_points_take_little_memory_beyond_themselves():
    data = np.random.default_rng(6).normal(size=(300_000, 2))
    start = KMeansParams(data[:3])
    tracemalloc.start()
    fit(KMeans(), data, start, tol=0, max_iter=12)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # so that ten times as many take less than 200 MB
