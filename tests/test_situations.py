"""Each situation does what its answer says, by the numbers of the page and of ``em_core``."""

from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import simulated
from conftest import BY_NAME, PREFIXES
from scipy import stats
from sklearn.linear_model import LogisticRegression
from toy_lesson.model import PoissonMixture, PoissonParams

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    GaussianParams,
    HardEM,
    KMeans,
    KMeansParams,
    MultivariateGaussianMixture,
    MultivariateGaussianParams,
    Status,
    fit,
    fit_labelled,
    iterate,
    match_components,
)
from em_core.data import darwin, old_faithful
from em_core.diagnostics import linear_rate, map_eigenvalues
from em_core.models import binomial_mixture, gaussian
from em_core.models.binomial_mixture import fit_grid
from em_ui.run import DATA, stream
from em_ui.run.run import run_em
from pages.k_means.situations import SITUATIONS


@pytest.fixture(scope="module")
def choose(visit):
    """Return a function that gives a page with one situation chosen. To be read only."""

    @cache
    def choose(name, title):
        page = visit(name)
        page.set(situation=title)
        assert page.value("situation") == title
        return page

    return choose


def numbers(page, field, iteration=-1):
    """Return the values of a parameter in a row of the iteration table."""
    return page.table.iloc[iteration].filter(like=field).to_numpy(dtype=float)


def converged(page):
    assert page.ending == "success", page.status
    return len(page.table) - 1


class TestMaximumLikelihood:
    heights = staticmethod(lambda n: gaussian.simulate(170.0, 10.0, n, rng=stream(1, DATA)))

    def test_one_slider_at_a_time_gets_to_the_top(self, choose):
        choose("maximum_likelihood", "1,000 adults")
        heights, means = self.heights(1000), np.linspace(160, 180, 401)
        found = {
            means[gaussian.log_likelihood(heights, means, std).argmax()] for std in (2, 10, 30)
        }
        assert len(found) == 1
        mean = found.pop()
        assert mean == pytest.approx(heights.mean(), abs=0.05)
        stds = np.linspace(5, 20, 1501)
        std = stds[gaussian.log_likelihood(heights, mean, stds).argmax()]
        assert std == pytest.approx(heights.std(), abs=0.01)

    def test_ten_adults_have_their_top_elsewhere_and_wider_bands(self, choose, visit):
        areas, tops = [], []
        for title, n in (("1,000 adults", 1000), ("Ten adults", 10)):
            choose("maximum_likelihood", title)
            page = visit("maximum_likelihood", ml_size=str(n), ml_hill="true")
            marks = page.charts[1].data["marks"].set_index("mark")
            tops.append(marks.loc["Maximum likelihood", ["x", "y"]].to_numpy(dtype=float))
            np.testing.assert_allclose(tops[-1], gaussian.maximum_likelihood(self.heights(n)))
            # How much of the plane of guesses is as good as the best, up to one nat in all.
            means, stds = np.meshgrid(np.linspace(150, 190, 161), np.linspace(4, 20, 161))
            loss = tops_loss(self.heights(n), means, stds)
            areas.append((loss < 1).mean())
        assert np.abs(tops[1] - [170, 10]).max() > 1
        assert np.abs(tops[0] - [170, 10]).max() < 0.6
        assert areas[1] > 10 * areas[0]

    def test_a_narrow_curve_loses_by_the_tallest_and_the_shortest(self, choose):
        choose("maximum_likelihood", "A guess that is too narrow")
        heights = self.heights(1000)
        gain = stats.norm.logpdf(heights, 170, 4) - stats.norm.logpdf(heights, 170, 10)
        far = np.abs(heights - 170) > np.quantile(np.abs(heights - 170), 0.8)
        assert gain[far].max() < 0 < gain[~far].max()
        assert gain[far].sum() < 0.9 * gain.sum() < 0
        # One such height costs more than many good ones gain.
        assert -gain.min() > 10 * gain.max()


def tops_loss(heights, means, stds):
    flat = gaussian.log_likelihood(heights, means.ravel(), stds.ravel())
    return gaussian.log_likelihood(heights, *gaussian.maximum_likelihood(heights)) - flat


def coins(true_a=0.6, true_b=0.2, n=500, seed=1):
    truth = BinomialParams([true_a, true_b], [0.5, 0.5])
    return BinomialMixture(10).simulate(truth, n, rng=stream(seed, DATA))


def answered(title, name="two_coins"):
    """Return the settings' run of a lesson's situation, and its answer."""
    module = BY_NAME[name].module("situations")
    lesson = BY_NAME[name].module("problem")
    situation = module.SITUATIONS[title]
    defaults = {name: spec.default for name, spec in lesson.SPECS.items()}
    run = run_em(lesson.problem, {**defaults, **situation.values})
    return run, situation.answer(run)


def pair(values):
    return "{:.3f} and {:.3f}".format(*values)


class TestTwoCoins:
    model = BinomialMixture(10)
    start = BinomialParams([0.8, 0.7], [0.5, 0.5])
    alike = BinomialParams([0.6, 0.59], [0.5, 0.5])

    def test_article(self, choose):
        page = choose("two_coins", "Wang’s article")
        assert page.question.startswith("500 trials")
        shares = self.model.e_step(coins().data, self.start).responsibilities
        before, first = numbers(page, "heads_prob", 0), numbers(page, "heads_prob", 1)
        moved = np.abs(first - before)
        assert (first < before).all()
        assert moved[1] > moved[0]  # B goes further,
        trace = fit(self.model, coins().data, self.start)
        ends = trace.final.params.heads_prob
        np.testing.assert_allclose(numbers(page, "heads_prob"), ends)
        np.testing.assert_allclose(ends, [0.6, 0.2], atol=0.02)  # and EM comes near.
        few = stats.binom.logpmf(2, 10, [0.8, 0.7])
        assert few[1] > few[0]  # 0.7 explains few heads better,
        many = np.sort(coins().data)[-50:]
        later = BinomialParams(numbers(page, "heads_prob", 2), [0.5, 0.5])
        to_b = [self.model.e_step(many, p).responsibilities[:, 1] for p in (self.start, later)]
        assert to_b[1].mean() < to_b[0].mean()  # and B lets go of the trials with many heads.
        _, answer = answered("Wang’s article")
        for figure in (
            f"ends at {pair(ends)}",
            f"A goes from 0.8 to {first[0]:.3f}",
            f"from 0.7 to {first[1]:.3f}",
            f"{(shares[:, 1] > shares[:, 0]).mean():.0%} of all trials lean to B",
        ):
            assert figure in answer

    def test_published_trials(self, choose):
        page = choose("two_coins", "Do and Batzoglou")
        converged(page)
        assert numbers(page, "heads_prob").round(3).tolist() == [0.797, 0.520]
        _, answer = answered("Do and Batzoglou")
        assert answer.startswith("Nearly: 0.797 and 0.520.")
        assert "below 0.80, and B’s is pulled up from 0.45" in answer
        heads = np.array([5, 9, 8, 4, 7])
        final = BinomialParams(numbers(page, "heads_prob"), [0.5, 0.5])
        to_a = self.model.e_step(heads, final).responsibilities[:, 0]
        assert heads[to_a > 0.5].tolist() == [9, 8, 7]
        assert to_a.max() < 1
        assert "from the estimate with the labels known: 0.0697" in page.status
        assert "Nobody knows the truth behind these data." in page.text
        bars = page.charts[0].data["bars"]
        counts = bars[bars["component"] == "A"].set_index("label")["height"]
        assert counts[counts > 0].to_dict() == dict.fromkeys("45789", 1)

    def test_what_went_wrong_does_not_give_the_answer_away(self, visit):
        page = visit("two_coins", tc_start_a="0.5", tc_start_b="0.5")
        assert not page.at.warning
        (saddle,) = page.advice
        assert saddle.startswith("Both coins ended at the same probability, 0.403.")
        assert page.answer == answered("The same start for both coins")[1]
        # Of settings of one's own nothing is asked that this would answer.
        page.set(data_seed=2)
        assert len(page.advice) == 1
        assert "This is a saddle" in page.advice[0]

    def test_same_start_stays_on_the_saddle(self, choose):
        page = choose("two_coins", "The same start for both coins")
        table = page.table
        np.testing.assert_array_equal(table["heads_prob A"], table["heads_prob B"])
        mean = coins().data.mean() / 10
        assert numbers(page, "heads_prob") == pytest.approx([mean, mean], rel=1e-12)
        shares = self.model.e_step(coins().data, BinomialParams([0.5, 0.5], [0.5, 0.5]))
        np.testing.assert_array_equal(*shares.responsibilities.T)
        # A small difference grows by the factor that is named,
        _, answer = answered("The same start for both coins")
        apart = BinomialParams([mean + 1e-6, mean - 1e-6], [0.5, 0.5])
        grown = np.ptp(
            next(islice(iterate(self.model, coins().data, apart), 1, 2)).params.heads_prob
        )
        assert f"go to {mean:.3f} together" in answer
        assert f"{grown / 2e-6:.2f} times its size" in answer
        assert grown > 2e-6
        # and 0.51 and 0.50, with the page's own tolerance, end at the two coins.
        apart = fit(self.model, coins().data, BinomialParams([0.51, 0.5], [0.5, 0.5]))
        np.testing.assert_allclose(apart.final.params.heads_prob, [0.606, 0.214], atol=1e-3)
        assert apart.final.objective > page.table["log-likelihood"].iloc[-1] + 100

    def test_question_stays_while_one_moves_what_it_asks_to_move(self, visit):
        page = visit("two_coins", tc_start_a="0.5", tc_start_b="0.5")
        question = page.question
        page.set(start_a=0.51)
        assert page.value("situation") == "The same start for both coins"
        assert page.question == question
        page.set(data_seed=2)
        assert page.value("situation").startswith("Based on")

    def test_swapped_names_are_swapped(self, choose):
        page = choose("two_coins", "Swapped names")
        converged(page)
        assert page.player["rows"][0][:2] == ["0.200", "0.600"]  # as it was typed
        start = BinomialParams([0.2, 0.6], [0.5, 0.5])
        ends = [
            fit(self.model, coins().data, s, tol=1e-12).final
            for s in (start, start.relabel([1, 0]))
        ]
        # Two equal tops, mirror images of each other.
        assert ends[0].objective == pytest.approx(ends[1].objective, rel=1e-12)
        np.testing.assert_allclose(
            ends[0].params.heads_prob, ends[1].params.heads_prob[::-1], rtol=1e-9
        )
        a, b = numbers(page, "heads_prob")
        assert a < b
        run, answer = answered("Swapped names")
        assert f"A ends at {a:.3f} and B at {b:.3f}. A stands for the true coin B" in answer
        assert list(run.matching) == [1, 0]
        assert "A stands for the true coin B, and B for A." in page.status
        (named,) = BY_NAME["two_coins"].module("sections").findings(run)
        assert named.startswith("A stands for the true coin B, and B for A.")

    @pytest.mark.parametrize("hard", [False, True])
    @pytest.mark.parametrize("weights", [False, True])
    def test_the_higher_coin_stays_the_higher_one(self, hard, weights):
        rng = np.random.default_rng(5)
        model = BinomialMixture(10, estimate_weights=weights)
        for _ in range(30):
            data = rng.integers(0, 11, size=rng.integers(2, 40))
            start = binomial_mixture.guess_uniform(data, 2, rng=rng)
            order = np.argsort(start.heads_prob)
            trace = fit(HardEM(model) if hard else model, data, start)
            for step in trace.steps:
                low, high = step.params.heads_prob[order]
                assert low <= high

    def test_coins_that_are_nearly_alike_are_slow_and_worse(self, choose):
        page = choose("two_coins", "Coins that are nearly alike")
        easy = coins(0.6, 0.2, n=10_000, seed=5).data
        other = fit(self.model, easy, self.alike, tol=1e-8, max_iter=500)
        assert other.converged
        assert converged(page) > 3 * other.n_iter
        gap = np.abs(numbers(page, "heads_prob") - [0.55, 0.45]).max()
        other_gap = np.abs(other.final.params.heads_prob - [0.6, 0.2]).max()
        assert gap > 2 * other_gap
        data = coins(0.55, 0.45, n=10_000, seed=5).data
        trace = fit(self.model, data, self.alike, tol=1e-8, max_iter=500)
        # The rate is the largest part of the information that is missing at the top.
        slow, quick = (
            map_eigenvalues(
                self.model, d, fit(self.model, d, self.alike, tol=0, max_iter=2_000).final.params
            )[0]
            for d in (data, easy)
        )
        assert slow > 0.8 > 0.6 > quick
        assert linear_rate(trace) == pytest.approx(slow, abs=0.02)
        assert linear_rate(other) == pytest.approx(quick, abs=0.02)
        _, answer = answered("Coins that are nearly alike")
        for figure in (
            f"{trace.n_iter} iterations instead of {other.n_iter}",
            f"is {gap:.4f} instead of {other_gap:.4f}",
            f"{linear_rate(trace):.2f} times as long as the one before",
            f"there {linear_rate(other):.2f} times",
        ):
            assert figure in answer

    def test_stopping_too_early(self, choose):
        page = choose("two_coins", "Stopping too early")
        data, truth = coins(0.55, 0.45, n=10_000, seed=5).data, np.array([0.55, 0.45])
        early = fit(self.model, data, self.alike, tol=1e-3, max_iter=500)
        assert converged(page) == early.n_iter < 6
        limit = fit(self.model, data, self.alike, tol=0, max_iter=3_000)
        assert limit.converged
        patient = fit(self.model, data, self.alike, tol=1e-8, max_iter=500)
        stopped, went_on, end = (t.final.params.heads_prob for t in (early, patient, limit))
        np.testing.assert_allclose(numbers(page, "heads_prob"), stopped)
        # Far from the limit, and farther from the truth than that; to go on mends both.
        assert np.abs(stopped - end).max() > 0.04
        assert np.abs(went_on - end).max() < np.abs(stopped - end).max() / 100
        assert np.abs(stopped - truth).max() > 5 * np.abs(went_on - truth).max()
        run, answer = answered("Stopping too early")
        gain = np.diff(early.objectives)[-1] / 10_000
        for figure in (
            f"stopped after {early.n_iter} iterations at {pair(stopped)}",
            f"goes on to {patient.n_iter} and ends at {pair(went_on)}",
            f"falls from {np.abs(stopped - truth).max():.4f} to "
            f"{np.abs(went_on - truth).max():.4f}",
            f"gained only {gain:.1g} per trial",
        ):
            assert figure in answer
        (blamed,) = BY_NAME["two_coins"].module("sections").findings(run)
        assert blamed.startswith("EM stopped too early")

    def test_coins_that_tend_to_one_place_have_one_top(self, visit, choose):
        values = choose("two_coins", "One trial of eight heads, by hand").link
        page = visit("two_coins", **{**values, "tc_hill": "true", "tc_many_starts": "true"})
        a, b = numbers(page, "heads_prob")
        # They stopped apart, by more than rounding, and no other pair explains the trials better.
        assert 1e-4 < abs(a - b) < 1e-3
        run, _ = answered("One trial of eight heads, by hand")
        (finding,) = BY_NAME["two_coins"].module("sections").findings(run)
        assert "come back to it" in finding
        heads = run.problem.sample.data
        ratio = heads.var() / (10 * 0.78 * 0.22)
        assert f"variance is {ratio:.2f} times as large" in finding
        side = np.linspace(0.01, 0.99, 99)
        pairs = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
        grid = fit_grid(self.model, heads, pairs, [0.5, 0.5], max_iter=0)
        assert pairs[grid.log_likelihood.argmax()].tolist() == pytest.approx([0.78, 0.78])
        hill = page.section("hill").chart("over θ A and θ B")
        (top,) = hill.data["marks"].itertuples(index=False)
        assert top.mark == "top"
        assert (top.x, top.y) == (a, b) == pytest.approx((0.78, 0.78), abs=6e-4)
        ends = page.section("many_starts").chart("The square of starts").data["map"]["end"]
        # But for the margin, where a coin that never, or only, shows heads stays as it is.
        assert set(ends.to_numpy().reshape(101, 101)[1:-1, 1:-1].ravel()) == {"both equal"}

    def test_one_trial_of_eight_heads(self, visit, choose):
        values = choose("two_coins", "One trial of eight heads, by hand").link
        page = visit("two_coins", **{**values, "tc_by_hand": "true", "tc_attribution": "true"})
        assert page.value("situation") == "One trial of eight heads, by hand"
        hand = page.section("by_hand")
        assert "Trial 1 shows 8 heads and 2 tails." in hand.text
        assert r"&= 0.800^{8}\cdot 0.200^{2}" in hand.formulas
        assert any(line.endswith("= 0.564") for line in hand.formulas)
        assert r"&0.564\times 8 = 4.512\text{ heads}" in hand.formulas
        assert r"&0.436\times 8 = 3.488\text{ heads}" in hand.formulas
        exact = 0.8**8 * 0.2**2 / (0.8**8 * 0.2**2 + 0.7**8 * 0.3**2)
        row = page.frame("Responsibilities and attributed").iloc[0]
        assert row["responsibility A"] == pytest.approx(exact, rel=1e-12)
        assert row["heads to A"] == pytest.approx(8 * exact, rel=1e-12)
        _, answer = answered("One trial of eight heads, by hand")
        assert answer.startswith("0.564 of it: 0.8⁸ 0.2² against 0.7⁸ 0.3².")
        assert "So 4.512 of its 8 heads go to A, and 3.488 to B." in answer


def blobs(sizes=(200, 200, 200), spread=1.0):
    return simulated.clusters(sizes, spread=spread, rng=stream(6, DATA))


def centroids(page, iteration=-1):
    return numbers(page, "centroids", iteration).reshape(-1, 2)


def clusters(page, data):
    return KMeans().e_step(data, KMeansParams(centroids(page))).responsibilities


def k_means_run():
    lesson = BY_NAME["k_means"].module("problem")
    return run_em(lesson.problem, {name: spec.default for name, spec in lesson.SPECS.items()})


class TestKMeans:
    def test_article(self, choose):
        page = choose("k_means", "Wang’s article")
        moves = page.charts[0].data["steps"].groupby("iteration")["movement"].max().to_numpy()[1:]
        assert moves.argmax() == 0  # the first M-step makes the largest move,
        assert (np.diff(moves) < 0).all()  # then the largest move shrinks
        assert moves[-1] == 0  # until no point changes sides
        truth = blobs().truth.centroids
        distances = np.linalg.norm(truth[:, None] - truth, axis=2)[np.triu_indices(3, 1)]
        assert sorted(distances)[0] < 4 < 10 < sorted(distances)[1]  # two of them close together
        found = centroids(page)
        np.testing.assert_allclose(found[match_components(found, truth)], truth, atol=0.35)
        # Each has one way to go, and the answer names the longest.
        path = np.array([centroids(page, t) for t in range(len(page.table))])
        ways = np.linalg.norm(np.diff(path, axis=0), axis=2)
        k = ways.sum(axis=0).argmax()
        answer = SITUATIONS["Wang’s article"].answer(k_means_run())
        assert answer.startswith(
            f"Centroid {k + 1} goes furthest, {ways[:, k].sum():.1f} in all, and "
            f"{ways[0, k] / ways[:, k].sum():.0%} of that in the first step"
        )

    def test_poor_local_optimum(self, choose):
        page = choose("k_means", "A poor local optimum")
        converged(page)
        best = choose("k_means", "Wang’s article").table["inertia"].iloc[-1]
        assert page.table["inertia"].iloc[-1] > 2 * best
        # Two centroids share one cluster, and one has to cover two.
        sample = blobs()
        shared = clusters(page, sample.data)
        by_cluster = np.array([shared[sample.labels == k].sum(axis=0) for k in range(3)])
        assert sorted((by_cluster > 20).sum(axis=1)) == [1, 1, 2]
        assert sorted((by_cluster > 20).sum(axis=0)) == [1, 1, 2]
        assert any(text.startswith("This is a poor optimum") for text in page.advice)

    def test_an_empty_cluster(self, choose):
        page = choose("k_means", "An empty cluster")
        converged(page)
        counts = clusters(page, blobs().data).sum(axis=0)
        (empty,) = np.flatnonzero(counts == 0)
        path = page.table.filter(like=f"centroids {empty + 1}").to_numpy()
        assert (path == path[0]).all()  # it stays
        assert counts.sum() == 600
        (advice, *_) = page.advice
        assert advice.startswith(f"Centroid {empty + 1} has no points")

    def test_overlapping_clusters_push_their_centroids_apart(self, choose):
        page = choose("k_means", "Clusters that overlap")
        converged(page)

        def between(centres):
            distances = np.linalg.norm(centres[:, None] - centres, axis=2)
            return distances[np.triu_indices(3, 1)]

        sample = blobs([400] * 3, 3.5)
        known = fit_labelled(KMeans(), sample.data, sample.labels, sample.truth).centroids
        assert between(centroids(page)).min() > 1.5 * between(known).min()
        # More points would not help: with ten times as many it is the same.
        more = blobs([4_000] * 3, 3.5)
        trace = fit(KMeans(), more.data, more.truth, tol=0, max_iter=500)
        assert between(trace.final.params.centroids).min() > 1.5 * between(known).min()

    def test_too_few_centroids(self, choose):
        page = choose("k_means", "Too few centroids")
        converged(page)
        sample = blobs()
        shared = clusters(page, sample.data)
        by_cluster = np.array([shared[sample.labels == k].mean(axis=0) for k in range(3)])
        assert (by_cluster.max(axis=1) > 0.99).all()
        assert sorted((by_cluster > 0.99).sum(axis=0)) == [1, 2]  # one of them covers two
        (wide,) = np.flatnonzero((by_cluster > 0.99).sum(axis=0) == 2)
        covered = sample.truth.centroids[by_cluster[:, wide] > 0.99]
        np.testing.assert_allclose(centroids(page)[wide], covered.mean(axis=0), atol=0.2)

    def test_too_many_centroids(self, choose):
        page = choose("k_means", "Too many centroids")
        converged(page)
        three = choose("k_means", "Wang’s article").table["inertia"].iloc[-1]
        assert page.table["inertia"].iloc[-1] < 0.8 * three
        shared = clusters(page, blobs().data)
        assert shared.sum(axis=0).min() > 50  # clusters cut in two, no crumbs
        assert shared.shape == (600, 5)

    def test_unequal_sizes_and_spreads_are_cut_wrongly(self, choose):
        page = choose("k_means", "Unequal sizes and spreads")
        converged(page)
        sample = blobs([500, 50, 50], [2.5, 0.5, 0.5])
        winners = clusters(page, sample.data).argmax(axis=1)
        assert (winners != sample.labels).mean() > 0.2
        # It cuts the wide one up,
        assert np.bincount(winners[sample.labels == 0], minlength=3).min() > 10
        # and that is no bad luck: to begin at the true centres does not help.
        from_truth = fit(KMeans(), sample.data, sample.truth, tol=0)
        again = KMeans().e_step(sample.data, from_truth.final.params).responsibilities.argmax(1)
        assert (again != sample.labels).mean() > 0.2
        # A mixture that knows widths and shares has the tight groups nearly right.
        wide = choose("gaussian_mixture", "One wide group, one narrow")
        assert wide.ending == "success"


def line(means=(-10, 30, 3), sds=(3, 7, 5), sizes=(1000, 1000, 1000)):
    return simulated.values(means, sds, sizes, rng=stream(1, DATA))


def mixture(page):
    return GaussianParams(*(numbers(page, field) for field in ("means", "stds", "weights")))


class TestGaussianMixture:
    model = GaussianMixture(0.05)

    def test_article(self, choose):
        page = choose("gaussian_mixture", "Wang’s article")
        assert page.ending == "info"  # 20 iterations are not enough
        moves = page.charts[0].data["steps"].groupby("iteration")["movement"].max().to_numpy()[1:]
        assert moves[0] > 10
        assert moves[5:].max() < moves[0] / 10
        furthest = np.abs(np.diff(page.table.filter(like="means")[:2], axis=0)[0]).argmax() + 1
        _, answer = answered("Wang’s article", "gaussian_mixture")
        assert answer.startswith(f"That of component {furthest}, from")
        limit = fit(self.model, line().data, mixture(page), tol=1e-10, max_iter=2_000)
        assert limit.n_iter > 2 * 20  # and that is slow
        overlap = np.abs(limit.final.params.means - mixture(page).means)
        assert overlap.argmax() != 1  # the group at 30 stands alone and is settled already

    def test_equal_weights_matter_little_if_the_groups_are_equal(self, choose):
        page = choose("gaussian_mixture", "Equal weights, as in the article")
        assert (page.table.filter(like="weights") == 1 / 3).all(axis=None)
        fixed = GaussianMixture(0.05, estimate_weights=False)
        gaps = {}
        for sizes in ((1000, 1000, 1000), (1000, 1000, 200)):
            sample = line(sizes=sizes)
            free_start = sample.truth
            fixed_start = GaussianParams(free_start.means, free_start.stds, [1 / 3] * 3)
            ends = [
                fit(m, sample.data, s, tol=1e-10, max_iter=1_000).final.params
                for m, s in ((self.model, free_start), (fixed, fixed_start))
            ]
            gaps[sizes[2]] = np.abs(ends[0].means - ends[1].means).max()
        assert gaps[1000] < 0.25
        assert gaps[200] > 4 * gaps[1000]

    def test_heights_of_two_groups(self, choose):
        page = choose("gaussian_mixture", "Heights of men and women")
        converged(page)
        np.testing.assert_allclose(mixture(page).means, [163, 177], atol=1)
        np.testing.assert_allclose(mixture(page).stds, [7, 7], atol=0.5)
        sample = line([163, 177], [7, 7], [1000, 1000])
        # No two peaks: the density is flat between the groups.
        x = np.linspace(160, 180, 201)
        density = np.exp(self.model.log_joint(x, sample.truth)).sum(axis=1)
        assert (np.diff(np.sign(np.diff(density))) < 0).sum() <= 2
        # It is slow, and less sure than with the labels: sixteen samples scatter more.
        limit = fit(self.model, sample.data, mixture(page), tol=0, max_iter=1_000)
        assert linear_rate(limit) > 0.95
        errors = []
        for student in range(1, 17):
            theirs = simulated.values(
                [163, 177], [7, 7], [1000, 1000], rng=np.random.default_rng([1, DATA, student])
            )
            end = fit(self.model, theirs.data, theirs.truth, tol=1e-8, max_iter=300).final.params
            known = fit_labelled(self.model, theirs.data, theirs.labels, theirs.truth)
            errors.append([np.abs(p.means - [163, 177]).max() for p in (end, known)])
        with_em, with_labels = np.mean(errors, axis=0)
        assert with_em > 1.5 * with_labels

    def test_poor_local_optimum(self, choose):
        page = choose("gaussian_mixture", "A poor local optimum")
        converged(page)
        end = mixture(page)
        near = np.abs(end.means - 30) < 8
        assert near.sum() == 2  # two components share the group at 30,
        assert end.weights[near].sum() == pytest.approx(1 / 3, abs=0.02)
        (other,) = np.flatnonzero(~near)
        assert -10 < end.means[other] < 3  # and one has to cover the other two
        assert end.stds[other] > 6
        assert (page.table["gain"].dropna() > 0).all()  # every step climbs
        best = fit(self.model, line().data, line().truth, tol=1e-8, max_iter=500).final.objective
        assert page.table["log-likelihood"].iloc[-1] < best - 200

    def test_components_that_overlap_take_more_than_a_hundred(self, choose):
        page = choose("gaussian_mixture", "Components that overlap")
        assert converged(page) > 100
        sample = line([0, 6], [3, 3], [1000, 1000])
        shares = self.model.e_step(sample.data, mixture(page)).responsibilities
        assert ((shares > 0.01) & (shares < 0.99)).all(axis=1).mean() > 0.5
        limit = fit(self.model, sample.data, mixture(page), tol=0, max_iter=1_000)
        assert linear_rate(limit) > 0.9

    def test_stopping_too_early(self, choose):
        page = choose("gaussian_mixture", "Stopping too early")
        assert converged(page) < 6
        sample = line([0, 6], [3, 3], [1000, 1000])
        limit = fit(self.model, sample.data, mixture(page), tol=1e-12, max_iter=3_000)
        assert np.abs(limit.final.params.means - mixture(page).means).max() > 1
        assert limit.n_iter > 100
        assert limit.final.objective > page.table["log-likelihood"].iloc[-1] + 10

    def test_a_variance_that_collapses(self, choose):
        page = choose("gaussian_mixture", "A variance that collapses")
        assert page.status.startswith("**Stopped** at iteration ")
        assert "no longer a finite number" in page.status
        assert not np.isfinite(page.table["log-likelihood"].iloc[-1])
        last = page.table.iloc[-2]  # the last step with a finite likelihood
        narrow = int(last.filter(like="stds").to_numpy().argmin()) + 1
        data = line(sizes=(10, 10, 10)).data
        # It has one value for itself, and its density there grows.
        assert 30 * last[f"weights {narrow}"] == pytest.approx(1, abs=0.02)
        assert np.abs(data - last[f"means {narrow}"]).min() < 1e-3
        stds = page.table[f"stds {narrow}"].to_numpy()[:-1]
        assert (np.diff(stds) < 0).all()
        assert page.table["gain"].iloc[-2] > 1

    def test_the_floor_that_prevents_it(self, choose):
        collapsed = choose("gaussian_mixture", "A variance that collapses")
        page = choose("gaussian_mixture", "The floor that prevents it")
        np.testing.assert_array_equal(page.table.iloc[0, 1:-1], collapsed.table.iloc[0, 1:-1])
        converged(page)
        assert np.isfinite(page.table.drop(columns="gain")).all(axis=None)
        end = mixture(page)
        assert end.stds.min() == 0.05
        narrow = end.stds.argmin()
        data = line(sizes=(10, 10, 10)).data
        assert (np.abs(data - end.means[narrow]) < 0.05).sum() == 1  # it still sits on one value
        # A better start has a higher likelihood, without such a component.
        better = fit(self.model, data, line(sizes=(10, 10, 10)).truth, max_iter=500)
        assert better.final.objective > page.table["log-likelihood"].iloc[-1] + 5
        assert better.final.params.stds.min() > 1

    def test_too_few_components(self, choose):
        page = choose("gaussian_mixture", "Too few components")
        converged(page)
        end = mixture(page)
        alone, both = end.means.argmax(), end.means.argmin()
        assert end.means[alone] == pytest.approx(30, abs=1)
        assert end.weights[both] == pytest.approx(2 / 3, abs=0.02)
        assert -10 < end.means[both] < 3
        assert end.stds[both] > 7

    def test_too_many_components_fit_closer(self, choose):
        page = choose("gaussian_mixture", "Too many components")
        converged(page)
        three = fit(self.model, line().data, line().truth, tol=1e-12, max_iter=2_000)
        gain = page.table["log-likelihood"].iloc[-1] - three.final.objective
        assert gain > 0
        # Worth six more parameters? Not to BIC, which asks for half of log n each.
        assert gain < 6 * np.log(3_000) / 2

    def test_old_faithful(self, choose):
        page = choose("gaussian_mixture", "Old Faithful")
        converged(page)
        waits = old_faithful().column("waiting")
        start = GaussianParams([50, 80], [10, 10], [0.5, 0.5])
        limit = fit(GaussianMixture(), waits, start, tol=0, max_iter=500).final
        np.testing.assert_allclose(numbers(page, "means", 1), [54.92858041, 79.29581234], atol=1e-8)
        np.testing.assert_allclose(mixture(page).means, limit.params.means, atol=5e-3)
        assert page.status.endswith("Log-likelihood -1,034.0017.")
        assert "54.93 and 79.30 minutes" in page.answer
        assert "at 54.61 and 80.09. 36.1% of the waits" in page.answer
        assert "one normal distribution alone would reach -1,095.29." in page.answer
        assert f"are {limit.params.stds[0]:.2f} and {limit.params.stds[1]:.2f}" in page.answer
        common = fit(GaussianMixture(stds="common"), waits, start, tol=0, max_iter=500).final
        assert np.abs(common.params.means - limit.params.means).max() < 2e-3
        assert "no mean ends more than 0.001" in page.answer

    def test_darwin_s_maize(self, choose):
        page = choose("gaussian_mixture", "Darwin’s maize")
        converged(page)
        values, end = darwin().column("difference"), mixture(page)
        assert np.ptp(end.stds) == 0
        shares = GaussianMixture().e_step(values, end).responsibilities[:, end.means.argmin()]
        assert sorted(values[shares > 0.9]) == [-67, -48]
        assert shares[values > -40].sum() < 0.1
        assert f"It takes {shares.sum():.1f} of the 15 values" in page.answer
        one = gaussian.log_likelihood(values, values.mean(), values.std())
        gain = page.table["log-likelihood"].iloc[-1] - one
        assert f"{gain:.2f} more, for two numbers more" in page.answer
        free = fit(GaussianMixture(0.1), values, end, tol=0, max_iter=500).final.objective
        assert page.answer.endswith(f"it would be {free:.2f}.")

    def test_known_standard_deviations(self, choose):
        page = choose("gaussian_mixture", "Known standard deviations")
        means = page.table.filter(like="means").to_numpy()
        np.testing.assert_allclose(means[:, 1], -means[:, 0], rtol=1e-12)
        np.testing.assert_allclose(means[1:, 1], np.tanh(means[:-1, 1]), rtol=1e-12)
        assert "0.96402758, 0.74606800, 0.63279732;" in page.answer
        assert f"after 20 iterations it is {means[-1, 1]:.3f}" in page.answer
        factors = means[1:, 1] / means[:-1, 1]
        assert (np.diff(factors) > 0).all()  # no constant factor: ever more slowly
        assert not list(page.table.filter(like="stds"))
        assert [page.value(f"start_sd{i}") for i in (1, 2)] == [1, 1]

    def test_one_wide_group_and_one_narrow(self, visit, choose):
        page = choose("gaussian_mixture", "One wide group, one narrow")
        converged(page)
        sample = line([0, 25], [10, 2], [2000, 200])
        found = mixture(page)
        found = found.relabel(np.argsort(found.means))  # the truth's order
        winners = self.model.e_step(sample.data, found).responsibilities.argmax(axis=1)
        wrong = (winners != sample.labels).mean()
        start = GaussianParams(*(numbers(page, f, 0) for f in ("means", "stds", "weights")))
        k_means = fit(
            KMeans(), sample.data[:, None], KMeansParams(start.means[:, None]), tol=1e-6
        ).final.params
        order = np.argsort(k_means.centroids[:, 0])
        cut = KMeans().e_step(sample.data[:, None], k_means.relabel(order)).responsibilities
        k_means_wrong = (cut.argmax(axis=1) != sample.labels).mean()
        assert wrong < 0.03 < 0.2 < k_means_wrong
        # The section counts the same.
        copy = visit("gaussian_mixture", **{**page.link, "gm_hard_against_soft": "true"})
        table = copy.section("hard_against_soft").frame("iterations, by method").set_index("method")
        shown = table["with the wrong component"]
        assert shown["soft EM"] == f"{100 * wrong:.1f}%"
        assert shown["K-Means"] == f"{100 * k_means_wrong:.1f}%"


def plane(title):
    """Return the run of a situation of the mixture in the plane, its answer, and its sample."""
    run, answer = answered(title, "mixture_in_the_plane")
    return run, answer, run.problem.sample


def k_means_wrong(data, labels, start):
    """Return the inertia of K-Means from a start, and the share of points on the wrong side."""
    trace = fit(KMeans(), data, KMeansParams(start), tol=0, max_iter=300)
    cut = KMeans().e_step(data, trace.final.params).responsibilities.argmax(axis=1)
    return -trace.final.objective, min((cut != labels).mean(), (cut == labels).mean())


def bic(trace, p, n):
    return p * np.log(n) - 2 * trace.final.objective


class TestMixtureInThePlane:
    def test_old_faithful(self, choose):
        page = choose("mixture_in_the_plane", "Old Faithful")
        converged(page)
        _, answer, sample = plane("Old Faithful")
        slants = []
        for k in "12":
            xx, xy, yy = numbers(page, f"covariances {k}")
            slants.append(xy / np.sqrt(xx * yy))
            assert numbers(page, f"covariances {k}", 0)[1] == 0  # without any slant
            # Both shrink, in both directions.
            assert (np.array([xx, yy]) < numbers(page, f"covariances {k}", 0)[[0, 2]]).all()
        over_all = np.corrcoef(sample.data, rowvar=False)[0, 1]
        assert 0 < min(slants) < max(slants) < 0.5 < over_all
        climb = page.table["gain"].dropna().to_numpy()
        first, shares = numbers(page, "means", 1), numbers(page, "weights")
        assert shares[0] < 0.5  # fewer than half are of the short kind
        for figure in (
            f"makes {climb[0] / climb.sum():.0%} of the climb",
            f"({first[0]:.3f}, {first[1]:.3f}) and ({first[2]:.3f}, {first[3]:.3f})",
            "the shares to 0.367 and 0.633",
            f"correlations {slants[0]:.2f} and {slants[1]:.2f}",
            f"over all ({over_all:.2f})",
            f"{100 * shares[0]:.1f}% of the eruptions",
            "The log-likelihood is -1,130.2640; with 11 free parameters that is a BIC of 2,322.19",
        ):
            assert figure in answer

    def test_poor_local_optimum(self, choose):
        page = choose("mixture_in_the_plane", "A poor local optimum")
        converged(page)
        run, answer, sample = plane("A poor local optimum")
        winners = run.problem.responsibilities(sample.data, run.params).argmax(axis=1)
        upper = sample.labels == 2
        # Components 1 and 2 share the upper group, and 3 has the others.
        assert (winners[upper] < 2).mean() > 0.99
        assert np.bincount(winners[upper])[:2].min() > 50
        assert (winners[~upper] == 2).mean() > 0.99
        assert (page.table["gain"].dropna() > 0).all()
        # There is space between the others that no point fills.
        ours = run.params.means[2]
        near = np.linalg.norm(sample.data - ours, axis=1) < 1
        assert near.sum() < 5
        best = fit(run.problem.mixture, sample.data, sample.truth, tol=0, max_iter=2_000)
        assert best.final.objective > page.table["log-likelihood"].iloc[-1] + 200
        assert answer.startswith("No. Components 1 and 2 share the upper group to the end")
        assert f"component 3 covers {run.params.weights[2]:.0%}" in answer
        assert f"{run.trace.final.objective:,.1f}" in answer
        assert f"20 starts at random points reaches {best.final.objective:,.1f}" in answer
        assert any(text.startswith("This is a poor optimum") for text in page.advice)

    def test_two_long_parallel_clouds(self, choose):
        page = choose("mixture_in_the_plane", "Two long parallel clouds")
        converged(page)
        run, answer, sample = plane("Two long parallel clouds")
        # Long and thin, side by side.
        for matrix in sample.truth.covariances:
            thin, long = np.sqrt(np.linalg.eigvalsh(matrix))
            assert long > 8 * thin
        winners = run.problem.responsibilities(sample.data, run.params).argmax(axis=1)
        wrong = min((winners != sample.labels).mean(), (winners == sample.labels).mean())
        start = numbers(page, "means", 0).reshape(2, 2)
        inertia, cut = k_means_wrong(sample.data, sample.labels, start)
        assert wrong < 0.01 < 0.4 < cut
        # No start helps K-Means, since the wrong cut has the smaller inertia.
        true_means = [sample.data[sample.labels == k].mean(axis=0) for k in (0, 1)]
        lengthwise = sum(
            ((sample.data[sample.labels == k] - true_means[k]) ** 2).sum() for k in (0, 1)
        )
        assert inertia < 0.6 * lengthwise
        assert k_means_wrong(sample.data, sample.labels, np.array(true_means))[1] > 0.4
        assert answer.startswith(f"The mixture gives {wrong:.1%} of the points")
        assert "K-Means 50.3%" in answer  # by the nearer of the true means

    def test_one_component_where_two_would_do(self, choose):
        page = choose("mixture_in_the_plane", "One component where two would do")
        assert converged(page) == 2  # and the second step changes nothing
        run, answer, sample = plane("One component where two would do")
        whole = np.cov(sample.data, rowvar=False, bias=True)
        np.testing.assert_allclose(numbers(page, "covariances", 1), whole[[0, 0, 1], [0, 1, 1]])
        slant = np.corrcoef(sample.data, rowvar=False)[0, 1]
        within = max(
            abs(np.corrcoef(sample.data[sample.labels == k], rowvar=False)[0, 1]) for k in (0, 1)
        )
        assert within < 0.2 < 0.6 < slant
        two = fit(
            MultivariateGaussianMixture("spherical"),
            sample.data,
            MultivariateGaussianParams(sample.truth.means, [np.eye(2)] * 2, [0.5, 0.5]),
            tol=0,
            max_iter=2_000,
        )
        one = bic(run.trace, 5, 400)
        assert bic(two, 7, 400) < one - 100
        for figure in (
            f"with correlation {slant:.2f}",
            f"at most {within:.2f} in size",
            "with two parameters more",
            f"to {two.final.objective:,.1f}",
            f"from {one:,.0f} to {bic(two, 7, 400):,.0f}",
            "better: two circles",
        ):
            assert figure in answer

    def test_a_collapse_in_the_plane(self, choose):
        page = choose("mixture_in_the_plane", "A collapse in the plane")
        assert page.status.startswith("**Stopped** at iteration ")
        assert "collapsed onto a single point" in page.status
        run, answer, sample = plane("A collapse in the plane")
        last = page.table.iloc[-2]
        widths = last.filter(like="xx").to_numpy(float)
        narrow = int(widths.argmin()) + 1
        assert 15 * last[f"weights {narrow}"] == pytest.approx(1, abs=0.02)
        place = last[[f"means {narrow} x", f"means {narrow} y"]].to_numpy(float)
        distances = np.linalg.norm(sample.data - place, axis=1)
        assert distances.min() < 1e-6
        assert (np.sort(distances)[1:] > 0.1).all()
        assert (np.diff(page.table[f"covariances {narrow} xx"].to_numpy()[-9:-1]) < 0).all()
        assert f"Component {narrow} keeps 1.00 points" in answer
        assert f"point {distances.argmin() + 1} alone" in answer
        # Slanted ellipses do so with two, and a smallest width prevents both.
        settings = {"kind": "Each its own (full)", "size1": 4, "size2": 4, "size3": 4}
        slanted = run.other(**settings)
        assert slanted.trace.status is Status.NON_FINITE
        assert 12 * slanted.params.weights.min() == pytest.approx(2, abs=0.05)
        for changed in ({}, settings):
            assert run.other(**changed, floor=0.05).trace.converged

    def test_two_rings(self, choose):
        page = choose("mixture_in_the_plane", "Two rings")
        converged(page)
        run, answer, sample = plane("Two rings")
        model, labels = run.problem.mixture, sample.labels

        def wrong(params):
            winners = model.e_step(sample.data, params).responsibilities.argmax(axis=1)
            return min((winners != labels).mean(), (winners == labels).mean())

        assert 0.4 < wrong(run.params) <= 0.5
        known = fit_labelled(model, sample.data, labels, run.problem.start)
        with_labels = model.e_step(sample.data, known).responsibilities.argmax(axis=1) != labels
        behind = (
            run.trace.final.objective
            - fit(model, sample.data, known, tol=0, max_iter=0).final.objective
        )
        assert behind > 50
        # Other starts do not help.
        ends = [run.other(start=start) for start in range(1, 13)]
        assert min(wrong(end.params) for end in ends) > 0.4
        # No conic parts the rings, not even one that is made to: where they cross, it would have
        # to be on both sides of both.
        x, y = sample.data.T
        conic = np.column_stack([x, y, x * x, x * y, y * y])
        best = LogisticRegression(C=1e6, max_iter=10_000).fit(conic, labels)
        assert best.score(conic, labels) < 0.8
        assert f"No: {wrong(run.params):.0%} of the points" in answer
        # More components follow them more closely: few points are with those of the other ring.
        eight = run.other(find=8, start=1, max_iter=500)
        winners = run.problem.mixture.e_step(sample.data, eight.params).responsibilities
        mixed = [np.bincount(labels[winners.argmax(axis=1) == k]) for k in range(8)]
        assert sum(each.min() for each in mixed if len(each) == 2) < 0.31 * 500
        assert eight.trace.final.objective > run.trace.final.objective + 200
        assert f"give {with_labels.mean():.0%} of the points to the wrong one" in answer
        assert f"log-likelihood is {behind:,.1f} lower" in answer

    def test_too_many_components_in_the_plane(self, choose):
        page = choose("mixture_in_the_plane", "Too many components")
        converged(page)
        run, answer, sample = plane("Too many components")
        three = fit(run.problem.mixture, sample.data, sample.truth, tol=0, max_iter=2_000)
        gain = page.table["log-likelihood"].iloc[-1] - three.final.objective
        assert gain > 0
        five_bic, three_bic = bic(run.trace, 29, 600), bic(three, 17, 600)
        assert five_bic > three_bic + 10
        for figure in (
            f"Yes: it ends at {run.trace.final.objective:,.1f} instead of",
            f"{three.final.objective:,.1f}. But that takes 29 free parameters instead of 17",
            "does not pay",
            f"{five_bic:,.0f} with five components, {three_bic:,.0f} with three",
        ):
            assert figure in answer
        # The additional ones cut groups up, or settle on a few points.
        winners = run.problem.responsibilities(sample.data, run.params).argmax(axis=1)
        of_groups = np.array(
            [np.bincount(sample.labels[winners == k], minlength=3) for k in range(5)]
        )
        assert (of_groups.max(axis=1) / of_groups.sum(axis=1) > 0.9).all()
        assert sorted(np.bincount(of_groups.argmax(axis=1), minlength=3)) in ([1, 1, 3], [1, 2, 2])


class TestToyLesson:
    def test_two_shops(self, choose):
        page = choose("toy_lesson", "Two shops")
        converged(page)
        rates, weights = numbers(page, "rates"), numbers(page, "weights")
        joint = weights * stats.poisson.pmf(8, rates)
        share = joint[0] / joint.sum()
        # Either shop may have been called, and not half and half.
        assert 0.1 < share < 0.4

    def test_nearly_alike_shops_are_slow_and_uncertain(self, choose):
        page, other = (choose("toy_lesson", t) for t in ("Nearly alike", "Two shops"))
        assert converged(page) > 2 * converged(other)
        rates, weights = numbers(page, "rates"), numbers(page, "weights")
        sample = PoissonMixture().simulate(
            PoissonParams([4, 6], [0.5, 0.5]), [150, 150], rng=stream(1, DATA)
        )
        shares = PoissonMixture().e_step(sample.data, PoissonParams(rates, weights))
        doubtful = (shares.responsibilities > 0.05).all(axis=1)
        assert doubtful.mean() > 0.5


@pytest.mark.parametrize("name", PREFIXES)
def test_every_situation_is_tested_here(declared, name):
    source = Path(__file__).read_text()
    for title in declared[name].situations:
        assert f'"{title}"' in source, title
