"""The sections that open: every number in them is that of ``em_core``, and closed they are free."""

import importlib
import io
import re
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import simulated
from conftest import BY_NAME, PREFIXES, RUNNING, sections_of
from scipy import stats

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    GaussianParams,
    HardEM,
    KMeans,
    KMeansParams,
    fit,
    fit_labelled,
    match_components,
)
from em_core.diagnostics import linear_rate, lower_bound
from em_core.models import binomial_mixture, gaussian_mixture, kmeans
from em_core.models.binomial_mixture import fit_grid
from em_ui.pictures.charts import LOSS_BANDS
from em_ui.run import DATA, GUESS, Run, stream
from em_ui.run.run import run_em
from em_ui.sections import as_printed, convergence

PUBLISHED = {"tc_data": "Five published trials", "tc_start_a": "0.6", "tc_start_b": "0.5"}
HEADS = np.array([5, 9, 8, 4, 7])

FIGURE = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?")


def figures(line):
    """Return the numbers in a line of LaTeX, as they are written, without indices and squares."""
    line = re.sub(r"_(\w|\{[^}]*\})|\^2", "", line)
    line = re.sub(r"\\cdot 10\^\{(-?\d+)\}", lambda power: f"e{int(power[1]):+03d}", line)
    return FIGURE.findall(line)


def coins(n=500, student=None, truth=None):
    entropy = [1, DATA] + ([student] if student else [])
    params = BinomialParams(truth or [0.6, 0.2], [0.5, 0.5])
    return BinomialMixture(10).simulate(params, n, rng=np.random.default_rng(entropy))


def blobs():
    return simulated.clusters([200] * 3, spread=1.0, rng=stream(6, DATA))


def line():
    return simulated.values([-10, 30, 3], [3, 7, 5], [1000, 1000, 1000], rng=stream(1, DATA))


def posed(name, **changes):
    """Return the problem that a lesson poses at its defaults, or with changes."""
    lesson = BY_NAME[name].module("problem")
    defaults = {control: spec.default for control, spec in lesson.SPECS.items()}
    return lesson.problem(defaults | changes)


def listed(field, array):
    """Return the numbers of a parameter as tables list them: of covariances, the upper triangle."""
    return (array[:, [0, 0, 1], [0, 1, 1]] if field == "covariances" else array).ravel()


def other_data(name, seed):
    """Return what to set on a page to get other data from it, or what it makes of its own."""
    return {"max_iter": seed} if name == "mixture_in_the_plane" else {"data_seed": seed}


def run_of(name, *, hard=False, max_iter=None):
    """Return a page's run at its defaults, and its sample, from em_core alone.

    Of a lesson that is not known here, its sample, model and start are as its problem has them.
    """
    limit = {"gaussian_mixture": 20}.get(name, 100)
    if name == "k_means":
        sample, model, tol = blobs(), KMeans(), 0
        start = kmeans.guess_from_points(sample.data, 3, rng=stream(1, GUESS, 1))
    elif name == "two_coins":
        sample, model, tol = coins(), BinomialMixture(10), 1e-6
        start = BinomialParams([0.8, 0.7], [0.5, 0.5])
    elif name == "gaussian_mixture":
        sample, model, tol = line(), GaussianMixture(0.05), 1e-6
        start = gaussian_mixture.guess_integers(sample.data, 3, rng=stream(46, GUESS, 1))
    else:
        problem = posed(name)
        sample, model, start = problem.sample, problem.model, problem.start
        tol, limit = problem.tol, problem.max_iter
    model = HardEM(model) if hard else model
    trace = fit(model, sample.data, start, tol=tol, max_iter=max_iter or limit)
    return trace, sample, model


@pytest.fixture(scope="module")
def published(visit):
    return visit("two_coins", **PUBLISHED, tc_by_hand="true")


@pytest.fixture(scope="module")
def weighted(visit):
    return visit("two_coins", tc_by_hand="true", tc_weights="true", tc_share_a="0.25")


@pytest.fixture(scope="module")
def points(visit):
    return visit("k_means", km_by_hand="true")


@pytest.fixture(scope="module")
def values(visit):
    return visit("gaussian_mixture", gm_by_hand="true")


class TestTwoCoinsByHand:
    def check(self, page, trace, data, at, i, *, hard=False, weights=False):
        """Compare every number with loops over the trials, and the arithmetic as it is printed."""
        theta, pi = trace.steps[at].params.heads_prob, trace.steps[at].params.weights
        joint = np.array([w * stats.binom.pmf(data, 10, p) for w, p in zip(pi, theta, strict=True)])
        soft = joint / joint.sum(axis=0)
        shares = (soft == soft.max(axis=0)).astype(float) if hard else soft
        h, t = int(data[i]), 10 - int(data[i])
        hand = page.section("by_hand")
        tosses = f"{h} head{'s' * (h != 1)} and {t} tail{'s' * (t != 1)}"
        assert f"Trial {i + 1} shows {tosses}." in hand.text
        assert f"Added up over all {len(data):,} trials" in hand.text
        equal = pi[0] == pi[1]
        assert ("mixing weights cancel" in hand.text) == equal
        lines = hand.formulas
        printed = []
        for k, coin in enumerate("AB"):
            rule, product = lines[2 * k : 2 * k + 2]
            weight = "" if equal else rf"\pi_{coin}\,"
            assert rule == (
                rf"p_{coin} &= {weight}"
                rf"\theta_{coin}^{{{h}}}\,(1-\theta_{coin})^{{{t}}}"
            )
            *mix, p, heads, q, tails = figures(product)
            assert (heads, tails) == (str(h), str(t))
            assert float(p) == pytest.approx(theta[k], abs=5e-4)
            assert Decimal(p) + Decimal(q) == 1
            if not equal:
                assert float(mix[0]) == pytest.approx(pi[k], abs=5e-4)
            printed.append(np.prod([float(x) for x in mix]) * float(p) ** h * float(q) ** t)
        several = 4 if hard else 3
        for k, coin in enumerate("AB"):
            fraction, *rule, heads, tails = lines[4 + several * k : 4 + several * (k + 1)]
            r = fraction.rpartition("= ")[2]
            assert fraction == rf"r_{coin} &= \frac{{p_{coin}}}{{p_A + p_B}} = {r}"
            digits = len(r.partition(".")[2])
            assert digits >= 3
            assert r == f"{printed[k] / sum(printed):.{digits}f}" == f"{soft[k, i]:.{digits}f}"
            assert len(rule) == hard
            for line, number, side in ((heads, h, "heads"), (tails, t, "tails")):
                share, times, made = figures(line)
                assert line.endswith(rf"\text{{ {side}}}")
                assert times == str(number)
                if hard:
                    assert (share, made) == (f"{shares[k, i]:.0f}", f"{shares[k, i] * number:.0f}")
                else:
                    assert share == r
                    assert made == f"{float(share) * number:.3f}" == f"{shares[k, i] * number:.3f}"
        self.check_sums(lines[4 + 2 * several :], trace, data, at, shares, weights=weights)
        page.open("by_hand", "attribution")
        self.check_table(page, data, at, shares)

    @staticmethod
    def check_sums(lines, trace, data, at, shares, *, weights):
        """Check one step further, and not only what the page's own M-step says."""
        heads, tails, trials = shares @ data, shares @ (10 - data), shares.sum(axis=1)
        for k in (0, 1):
            above, again, below, made = figures(lines[k])
            assert above == again
            assert float(above) == pytest.approx(heads[k], abs=5e-3)
            assert float(below) == pytest.approx(tails[k], abs=5e-3)
            assert made == f"{float(above) / (float(above) + float(below)):.3f}"
            assert made == f"{heads[k] / (heads[k] + tails[k]):.3f}"
            if at + 1 < len(trace.steps):
                assert made == f"{trace.steps[at + 1].params.heads_prob[k]:.3f}"
            if weights:
                share, n, made = figures(lines[2 + k])
                assert n == str(len(data))
                assert float(share) == pytest.approx(trials[k], abs=5e-3)
                assert made == f"{float(share) / len(data):.3f}" == f"{trials[k] / len(data):.3f}"
        assert len(lines) == (4 if weights else 2)

    @staticmethod
    def check_table(page, data, at, shares):
        when = f"iteration {at}" if at else "the initial guess"
        table = page.frame(f"of each trial at {when}")
        np.testing.assert_array_equal(table["heads"], data[:1000])
        np.testing.assert_array_equal(table["tails"], 10 - data[:1000])
        for k, coin in enumerate("AB"):
            w = shares[k, :1000]
            np.testing.assert_allclose(table[f"responsibility {coin}"], w, rtol=1e-9)
            np.testing.assert_allclose(table[f"heads to {coin}"], w * data[:1000], rtol=1e-9)
            np.testing.assert_allclose(table[f"tails to {coin}"], w * (10 - data[:1000]), rtol=1e-9)
        assert f"At **{when}**, where the player stands" in page.section("by_hand").text
        assert f"The E-step at **{when}**, where the player stands" in page.text

    def test_published_shares_and_sums(self, published):
        published.stand(iter=0)
        published.open("by_hand", "attribution")
        hand = published.section("by_hand")
        shares = published.frame("Responsibilities and attributed")["responsibility A"]
        assert list(shares.round(3)) == [0.449, 0.805, 0.733, 0.352, 0.647]
        assert hand.formulas[-2].endswith(r"\frac{21.30}{21.30 + 8.57} = 0.713")
        assert hand.formulas[-1].endswith(r"\frac{11.70}{11.70 + 8.43} = 0.581")

    @pytest.mark.parametrize("at", [0, 3, 10, 499])
    def test_published_trials(self, published, at):
        trace = fit(BinomialMixture(10), HEADS, BinomialParams([0.6, 0.5], [0.5, 0.5]))
        published.stand(iter=at)
        published.set(observation=2)
        assert trace.n_iter == 10
        self.check(published, trace, HEADS, min(at, 10), 1)

    @pytest.mark.parametrize(("half_step", "at"), [(0.5, 0), (2.5, 2)])
    def test_half_steps_are_by_the_parameters_of_their_iteration(self, published, half_step, at):
        trace = fit(BinomialMixture(10), HEADS, BinomialParams([0.6, 0.5], [0.5, 0.5]))
        published.stand(iter=half_step)
        published.set(observation=1)
        self.check(published, trace, HEADS, at, 0)

    @pytest.mark.parametrize(("typed", "shown"), [(5, 5), (6, 5), (100_000, 5)])
    def test_trial_beyond_the_last_is_the_last(self, published, typed, shown):
        published.stand(iter=0)
        published.set(observation=typed)
        assert f"Trial {shown} shows 7 heads" in published.section("by_hand").text

    @pytest.mark.parametrize(("at", "trial"), [(0, 1), (4, 321), (499, 500)])
    def test_with_weights(self, weighted, at, trial):
        truth = BinomialParams([0.6, 0.2], [0.25, 0.75])
        model = BinomialMixture(10, estimate_weights=True)
        data = model.simulate(truth, 500, rng=stream(1, DATA)).data
        trace = fit(model, data, BinomialParams([0.8, 0.7], [0.5, 0.5]), max_iter=100)
        weighted.stand(iter=at)
        weighted.set(observation=trial)
        self.check(weighted, trace, data, min(at, trace.n_iter), trial - 1, weights=True)

    @pytest.mark.parametrize("at", [0, 2])
    def test_hard_assignment(self, visit, at):
        page = visit("two_coins", tc_by_hand="true", tc_hard="true", tc_observation="7")
        page.stand(iter=at)
        trace, sample, _ = run_of("two_coins", hard=True)
        self.check(page, trace, sample.data, at, 6, hard=True)

    def test_sums_are_over_all_trials_where_not_all_are_listed(self, visit):
        page = visit("two_coins", tc_trials="1500", tc_by_hand="true", tc_observation="1400")
        data = coins(1500).data
        trace = fit(BinomialMixture(10), data, BinomialParams([0.8, 0.7], [0.5, 0.5]))
        self.check(page, trace, data, 0, 1399)
        assert len(page.frame("Responsibilities and attributed")) == 1_000
        assert any("1,000 of 1,500 trials" in caption for caption in page.captions)

    def test_arithmetic_is_true_as_printed_for_many_tosses(self, visit):
        page = visit("two_coins", tc_tosses="200", tc_by_hand="true", tc_iter="1")
        numbers = [figures(line) for line in page.section("by_hand").formulas]
        (p_a, h, q_a, t), (p_b, _, q_b, _) = numbers[1], numbers[3]
        # In logarithms, since these powers are out of reach.
        log = [
            int(h) * np.log(float(p)) + int(t) * np.log(float(q))
            for p, q in ((p_a, q_a), (p_b, q_b))
        ]
        digits = len(numbers[4][0].partition(".")[2])
        assert numbers[4] == [f"{1 / (1 + np.exp(log[1] - log[0])):.{digits}f}"]

    def test_a_coin_without_trials_divides_nothing_by_nothing(self, visit):
        page = visit(
            "two_coins",
            tc_data="Five published trials",
            tc_hard="true",
            tc_start_a="1",
            tc_start_b="0.99",
            tc_by_hand="true",
        )
        lines = page.section("by_hand").formulas
        assert lines[-2] == r"\theta_A &= 1.000\text{, without trials}"
        assert lines[-1] == r"\theta_B &= \frac{33}{33 + 17} = 0.660"

    @pytest.mark.parametrize(
        ("at", "hard"), [(0, "false"), (3, "false"), (499, "false"), (1, "true")]
    )
    def test_sums_stand_below_the_table(self, visit, at, hard):
        page = visit("two_coins", **PUBLISHED, tc_hard=hard, tc_iter=str(at), tc_attribution="true")
        model = HardEM(BinomialMixture(10)) if hard == "true" else BinomialMixture(10)
        trace = fit(model, HEADS, BinomialParams([0.6, 0.5], [0.5, 0.5]))
        at = min(at, trace.n_iter)
        shares = model.e_step(HEADS, trace.steps[at].params).responsibilities
        part = page.section("attribution")
        np.testing.assert_allclose(
            part.frame("Responsibilities and attributed")[["responsibility A", "responsibility B"]],
            shares,
            rtol=1e-12,
        )
        self.check_sums(part.formulas, trace, HEADS, at, shares.T, weights=False)
        when = f"iteration {at}" if at else "the initial guess"
        assert f"The E-step at **{when}**" in part.text

    def test_first_e_step_is_not_told_before_the_player_moves(self, arrive):
        page = arrive("two_coins", **PUBLISHED, tc_by_hand="true", tc_attribution="true")
        hand, table = page.section("by_hand"), page.section("attribution")
        assert not table.block.dataframe
        assert not table.formulas
        assert [line for line in hand.formulas if line.startswith("r_")] == [
            rf"r_{coin} &= \frac{{p_{coin}}}{{p_A + p_B}} = \;?" for coin in "AB"
        ]
        assert "M-step" not in hand.text
        page.stand(iter=0.5)
        hand, table = page.section("by_hand"), page.section("attribution")
        assert len(table.block.dataframe) == 1
        assert "= 0.449" in "\n".join(hand.formulas)
        assert "M-step" in hand.text

    def test_click_on_a_bar_takes_its_first_trial(self, visit):
        page = visit("two_coins", tc_by_hand="true")
        data = coins().data
        for heads in (3, 8):
            page.select("picture", {"pick": [{"label": str(heads)}]})
            first = int(np.flatnonzero(data == heads)[0]) + 1
            assert page.value("observation") == first
            assert f"Trial {first} shows {heads} heads" in page.section("by_hand").text
        page.select("picture", {"pick": []})
        assert page.value("observation") == first

    def test_click_counts_while_the_section_is_closed(self, visit):
        page = visit("two_coins")
        page.select("picture", {"pick": [{"label": "8"}]})
        page.open("by_hand")
        assert "shows 8 heads" in page.section("by_hand").text

    @pytest.mark.parametrize(
        ("section", "report"),
        [
            ("by_hand", True),
            ("attribution", True),
            ("hill", True),
            ("many_starts", False),
            ("code", False),
            (None, False),
        ],
    )
    def test_player_reports_only_where_a_number_depends_on_it(self, visit, section, report):
        page = visit("two_coins", **({f"tc_{section}": "true"} if section else {}))
        assert page.player["report"] is report


def assert_printed(texts, values):
    """Check that numbers are printed rounded to the decimals that they have."""
    for text, value in zip(texts, values, strict=True):
        assert text == f"{value:.{len(text.partition('.')[2])}f}"


class TestAsPrinted:
    """Numbers get the digits that make what is printed true."""

    @pytest.mark.parametrize(
        ("share", "times"), [(0.0485, 8), (0.5, 3), (1 / 3, 200), (1e-9, 100), (0.0, 7), (1.0, 7)]
    )
    def test_product(self, share, times):
        (written, whole), made = as_printed(lambda r, n: r * n, share, times)
        assert whole == str(times)
        assert made == f"{share * times:.3f}" == f"{float(written) * times:.3f}"
        # No digit more than that takes.
        decimals = len(written.partition(".")[2])
        assert decimals == 3 or f"{float(f'{share:.{decimals - 1}f}') * times:.3f}" != made

    def test_quotient(self):
        rng = np.random.default_rng(1)
        for a, b in rng.uniform(0.01, 3_000, size=(200, 2)):
            (above, below), made = as_printed(lambda a, b: a / (a + b), a, b, least=2)
            assert made == f"{a / (a + b):.3f}"
            assert made == f"{float(above) / (float(above) + float(below)):.3f}"

    def test_three_digits_that_would_not_multiply_up(self):
        (share, _), made = as_printed(lambda r, n: r * n, 0.0485, 8)
        assert (share, made) == ("0.0485", "0.388")


class TestKMeansByHand:
    def check(self, page, trace, data, at, i):
        (x, y), centroids = data[i], trace.steps[at].params.centroids
        hand = page.section("by_hand")
        distances = [(x - cx) ** 2 + (y - cy) ** 2 for cx, cy in centroids]
        nearest = int(np.argmin(distances))
        assert f"So it goes wholly to centroid {nearest + 1}." in hand.text
        k = len(centroids)
        assert len(hand.formulas) == 5 * k
        for j, (cx, cy) in enumerate(centroids):
            *_, result = written = hand.formulas[3 * j : 3 * j + 3]
            *printed, made = [text for line in written for text in figures(line)]
            assert made == f"{distances[j]:.2f}"
            assert_printed(printed, [x, cx, y, cy])
            px, pcx, py, pcy = map(float, printed)
            assert f"{(px - pcx) ** 2 + (py - pcy) ** 2:.2f}" == made
            assert ("nearest" in result) == (j == nearest)
        assert f"Point {i + 1} lies at ({printed[0]}, {printed[2]})." in hand.text
        squares = ((data[:, None] - centroids) ** 2).sum(axis=2)
        members = squares.argmin(axis=1)
        for j in range(k):
            at_row, mine = 3 * k + 2 * j, data[members == j]
            written = " ".join(hand.formulas[at_row : at_row + 2])
            if len(mine):
                across, up, n, *mean = figures(written)
                assert_printed([across, up], mine.sum(axis=0))
                assert n == str(len(mine))
                assert mean == [f"{m:.4f}" for m in mine.mean(axis=0)]
                assert mean == [f"{float(total) / len(mine):.4f}" for total in (across, up)]
            else:
                assert "has no points and stays at" in written
                assert figures(written) == [f"{v:.4f}" for v in centroids[j]]

    @pytest.mark.parametrize(("at", "point"), [(0, 1), (2, 333), (499, 600), (0, 100_000)])
    def test_distances_and_means(self, points, at, point):
        trace, sample, _ = run_of("k_means")
        points.stand(iter=at)
        points.set(observation=point)
        self.check(points, trace, sample.data, min(at, trace.n_iter), min(point, 600) - 1)

    @pytest.mark.parametrize("at", [0, 2])
    def test_empty_cluster(self, visit, at):
        page = visit("k_means", km_guess="Random places", km_start="2", km_by_hand="true")
        page.stand(iter=at)
        data = blobs().data
        start = kmeans.guess_uniform(data, 3, rng=stream(1, GUESS, 2))
        trace = fit(KMeans(), data, start, tol=0)
        self.check(page, trace, data, at, 0)
        assert sum("has no points" in text for text in page.section("by_hand").formulas) == 1

    def test_click_on_a_point_takes_it(self, visit):
        page = visit("k_means", km_by_hand="true")
        page.select("picture", {"pick": [{"observation": 42}]})
        x, y = blobs().data[41]
        (point,) = re.findall(r"Point 42 lies at \((.*), (.*)\)\.", page.section("by_hand").text)
        assert_printed(point, [x, y])

    def test_drawn_points_of_many_know_their_number(self, visit):
        page = visit("k_means", km_size="1000")
        data = simulated.clusters([1000] * 3, spread=1.0, rng=stream(6, DATA)).data
        drawn = page.charts[0].data["points"]
        np.testing.assert_array_equal(data[drawn["observation"] - 1], drawn[["x", "y"]])


class TestGaussianByHand:
    def check(self, page, trace, data, at, i, *, hard=False, weights=True):
        p = trace.steps[at].params
        joint = p.weights * stats.norm.pdf(data[:, None], p.means, p.stds)
        shares = joint / joint.sum(axis=1, keepdims=True)
        if hard:
            shares = (shares == shares.max(axis=1, keepdims=True)).astype(float)
        hand, k = page.section("by_hand"), len(p.means)
        lines = hand.formulas
        a_component = 3 if weights else 2
        assert len(lines) == (4 + a_component) * k
        parts = [figures(lines[3 * j + 2]) for j in range(k)]
        for j in range(k):
            _, numbers, _ = lines[3 * j : 3 * j + 3]
            weight, std, _, x, mean, _, again = figures(numbers)
            assert std == again
            assert_printed([weight, std, x, mean], [p.weights[j], p.stds[j], data[i], p.means[j]])
            made = float(weight) * stats.norm.pdf(float(x), float(mean), float(std))
            (part,) = parts[j]
            digits = max(len(part.partition("e")[0].replace(".", "").strip("-0")), 4)
            assert f"{made:.{digits}g}" == f"{float(part):.{digits}g}"
            assert f"{joint[i, j]:.{digits}g}" == f"{float(part):.{digits}g}"
            share, *own = figures(lines[3 * k + j])[-2 if hard else -1 :]
            assert share == f"{float(part) / sum(float(q) for (q,) in parts):.3f}"
            assert share == f"{joint[i, j] / joint[i].sum():.3f}"
            assert own == [f"{shares[i, j]:.0f}"] * hard
            count, total = shares[:, j].sum(), shares[:, j] @ data
            mean = total / count
            square = shares[:, j] @ (data - mean) ** 2
            at_row = 4 * k + a_component * j
            written = [figures(line) for line in lines[at_row : at_row + a_component]]
            texts = [f"{mean:.2f}", f"{np.sqrt(square / count):.2f}"]
            texts += [f"{count / len(data):.3f}"] * weights
            assert [made for _, _, made in written] == texts
            assert_printed([w[0] for w in written], [total, square, count][:a_component])
            for (top, below, made), root in zip(written, (1, 2, 1), strict=False):
                decimals = len(made.partition(".")[2])
                assert f"{(float(top) / float(below)) ** (1 / root):.{decimals}f}" == made
        assert f"Value {i + 1} is {x}." in hand.text
        for j in range(k):
            texts = [figures(line)[2] for line in lines[4 * k + a_component * j :][:a_component]]
            if at + 1 < len(trace.steps):
                after = trace.steps[at + 1].params
                assert texts[0] == f"{after.means[j]:.2f}"
                assert texts[1] == f"{after.stds[j]:.2f}"

    @pytest.mark.parametrize(("at", "value"), [(0, 1), (7, 1500), (20, 3000), (499, 99_999)])
    def test_densities_and_sums(self, values, at, value):
        trace, sample, _ = run_of("gaussian_mixture")
        values.stand(iter=at)
        values.set(observation=value)
        self.check(values, trace, sample.data, min(at, 20), min(value, 3000) - 1)
        assert not any("is raised" in text for text in values.section("by_hand").captions)

    def test_hard_assignment_without_weights(self, visit):
        page = visit(
            "gaussian_mixture",
            gm_by_hand="true",
            gm_hard="true",
            gm_weights="false",
            gm_guess="Random data points",
            gm_guess_seed="1",
            gm_observation="77",
        )
        page.stand(iter=3)
        data = line().data
        model = HardEM(GaussianMixture(0.05, estimate_weights=False))
        start = gaussian_mixture.guess_from_points(data, 3, rng=stream(1, GUESS, 1))
        trace = fit(model, data, start, max_iter=20)
        self.check(page, trace, data, 3, 76, hard=True, weights=False)
        assert r"\rightarrow" in page.section("by_hand").formulas[9]

    def test_says_when_the_floor_raises_a_deviation(self, visit):
        page = visit("gaussian_mixture", gm_by_hand="true", gm_floor="5", gm_iter="20")
        (caption,) = (c for c in page.section("by_hand").captions if "is raised" in c)
        assert "smallest, 5," in caption
        lines = [
            f for f in page.section("by_hand").formulas if r"\sigma_" in f and "sqrt{\\frac" in f
        ]
        assert len(lines) == 3
        raised = [figures(line) for line in lines if r"\rightarrow" in line]
        assert 0 < len(raised) < 3
        for top, below, made, floor in raised:
            assert made == f"{np.sqrt(float(top) / float(below)):.2f}" < "5"
            assert floor == "5"

    def test_click_on_a_bar_takes_the_nearest_value(self, visit):
        page = visit("gaussian_mixture", gm_by_hand="true")
        label = page.charts[0].data["bars"]["label"][40]
        page.select("picture", {"pick": [{"label": label}]})
        data = line().data
        nearest = np.abs(data - float(label)).argmin()
        assert page.value("observation") == nearest + 1
        (x,) = re.findall(rf"Value {nearest + 1} is (.*?)\. Each", page.section("by_hand").text)
        assert_printed([x], [data[nearest]])


class TestHardAgainstSoft:
    def test_published_trials_side_by_side(self, visit):
        page = visit("two_coins", **PUBLISHED, tc_hard_against_soft="true")
        table = page.section("hard_against_soft").frame("iterations, by method").set_index("method")
        assert table.loc["soft EM", ["θ A", "θ B"]].astype(float).round(3).tolist() == [
            0.797,
            0.520,
        ]
        for method in ("hard EM", "labels known"):
            assert table.loc[method, ["θ A", "θ B"]].tolist() == pytest.approx([0.80, 0.45])
        # One step, and one to see that nothing changes.
        assert table["iterations"].tolist()[:2] == [10, 2]

    @pytest.mark.parametrize("hard", ["false", "true"])
    def test_both_start_where_the_page_does(self, visit, hard):
        page = visit("two_coins", tc_hard_against_soft="true", tc_hard=hard)
        table = page.section("hard_against_soft").frame("iterations, by method").set_index("method")
        for method, is_hard in (("soft EM", False), ("hard EM", True)):
            trace, sample, model = run_of("two_coins", hard=is_hard)
            expected = trace.final.params.heads_prob
            assert table.loc[method, ["θ A", "θ B"]].tolist() == expected.tolist()
            assert table.loc[method, "iterations"] == trace.n_iter
        known = fit_labelled(model, sample.data, sample.labels, trace.final.params)
        assert table.loc["labels known", ["θ A", "θ B"]].tolist() == known.heads_prob.tolist()

    @pytest.mark.parametrize(
        ("query", "end"),
        [
            (PUBLISHED, "Their answers are up to {:.3f} apart."),
            ({}, "Their answers are up to {:.3f} apart."),
            # Coins that never show the same are told apart by both.
            ({"tc_true_a": "1", "tc_true_b": "0"}, "They end at the same coins."),
        ],
    )
    def test_words_on_the_coins_are_those_of_the_two_runs(self, visit, query, end):
        page = visit("two_coins", **query, tc_hard_against_soft="true")
        data = HEADS if query is PUBLISHED else coins(truth=(1.0, 0.0) if query else None).data
        start = BinomialParams([0.6, 0.5] if query is PUBLISHED else [0.8, 0.7], [0.5, 0.5])
        model = BinomialMixture(10)
        soft, hard = (fit(m, data, start, max_iter=100) for m in (model, HardEM(model)))
        apart = np.abs(soft.final.params.heads_prob - hard.final.params.heads_prob).max()
        text = page.section("hard_against_soft").text
        assert f"ran for {hard.n_iter} iterations, and soft for {soft.n_iter} iterations" in text
        assert end.format(apart) in text
        assert (apart < 5e-4) == ("same coins" in text)

    @pytest.mark.parametrize(("at", "point"), [(0, 5), (4, 600)])
    def test_k_means_is_the_limit_of_a_narrow_mixture(self, visit, at, point):
        page = visit("k_means", km_hard_against_soft="true", km_observation=str(point))
        page.stand(iter=at)
        section = page.section("hard_against_soft")
        assert (
            f"point {point}, at {f'iteration {at}' if at else 'the initial guess'}:" in section.text
        )
        trace, sample, _ = run_of("k_means")
        centroids, x = trace.steps[at].params.centroids, sample.data[point - 1]
        for _, row in section.frame("Shares of the point").iterrows():
            density = stats.norm.pdf(x, centroids, row["σ"]).prod(axis=1)
            share = (
                density / density.sum() if density.sum() else np.eye(3)[self.nearest(x, centroids)]
            )
            np.testing.assert_allclose(row.iloc[1:].to_numpy(float), share, rtol=1e-6, atol=1e-12)
        widths = section.frame("Shares of the point")["σ"]
        assert list(widths) == sorted(widths, reverse=True)
        last = section.frame("Shares of the point").iloc[-1, 1:].to_numpy(float)
        assert last[self.nearest(x, centroids)] == pytest.approx(1, abs=1e-3)

    @staticmethod
    def nearest(x, centroids):
        return np.linalg.norm(centroids - x, axis=1).argmin()

    def test_three_ways_on_the_gaussian_page(self, visit):
        page = visit("gaussian_mixture", gm_hard_against_soft="true", gm_max_iter="50")
        table = page.section("hard_against_soft").frame("iterations, by method").set_index("method")
        data, labels = line().data, line().labels
        start = gaussian_mixture.guess_integers(data, 3, rng=stream(46, GUESS, 1))
        mixture = GaussianMixture(0.05)
        for method, model, points, init in (
            ("soft EM", mixture, data, start),
            ("hard EM", HardEM(mixture), data, start),
            ("K-Means", KMeans(), data[:, None], KMeansParams(start.means[:, None])),
        ):
            trace = fit(model, points, init, tol=1e-6, max_iter=50)
            final = next(iter(trace.final.params.arrays().values())).ravel()
            order = match_components(final, [-10, 30, 3])
            found = table.loc[method, ["μ 1", "μ 2", "μ 3"]].tolist()
            assert found == final.tolist()
            assert table.loc[method, "iterations"] == trace.n_iter
            params = trace.final.params.relabel(order)
            winners = model.e_step(points, params).responsibilities.argmax(axis=1)
            wrong = f"{100 * (winners != labels).mean():.1f}%"
            assert table.loc[method, "with the wrong component"] == wrong

    @pytest.mark.parametrize("find", [1, 2, 5])
    def test_mistakes_need_as_many_components_as_groups(self, visit, find):
        table = visit("gaussian_mixture", gm_hard_against_soft="true", gm_find=str(find)).section(
            "hard_against_soft"
        )
        (frame,) = table.block.dataframe
        shown = frame.value.set_index("method")
        means = [f"μ {k}" for k in range(1, max(find, 3) + 1)]
        assert list(shown) == [*means, "iterations"]
        assert list(shown.index) == ["soft EM", "hard EM", "K-Means", "labels known"]
        for method, count in (("soft EM", find), ("hard EM", find), ("K-Means", find)):
            assert list(shown.loc[method, means].notna()) == [k < count for k in range(len(means))]
        known = fit_labelled(GaussianMixture(), line().data, line().labels, line().truth)
        assert shown.loc["labels known", means[:3]].tolist() == known.means.tolist()
        assert shown.loc["labels known", means[3:]].isna().all()


def check_bands(cells, objective, top, n, *, x_edges, y_edges, some=None):
    """Check the bands of a surface's cells against the objective at their middles."""
    x_step, y_step = x_edges[1] - x_edges[0], y_edges[1] - y_edges[0]
    assert sorted(set(cells["x_low"])) == pytest.approx(list(x_edges[:-1]))
    assert sorted(set(cells["y_low"])) == pytest.approx(list(y_edges[:-1]))
    # A cell reaches over its neighbour's edge, to leave no seam.
    assert (cells["x_high"] >= np.minimum(cells["x_low"] + x_step, x_edges[-1]) - 1e-9).all()
    rows = cells if some is None else cells.iloc[some]
    for row in rows.itertuples():
        loss = (top - objective(row.x_low + x_step / 2, row.y_low + y_step / 2)) / n
        distance = np.abs(np.array(LOSS_BANDS) - loss).min()
        if distance > 1e-9:
            assert row.band == np.searchsorted(LOSS_BANDS, loss, side="right")


def check_slice(chart, model, data, steps, put, *, field, k, domain, slack=1e-9):
    """Check that the bound touches, stays below and has its top where the M-step goes."""
    (title,) = set(chart.data["slice"]["curve"]) - {"Lower bound"}
    ends = chart.data["ends"].set_index("point")
    for (first, last), rows in chart.data["slice"].groupby(["first", "last"]):
        at = steps[first].params
        assert first <= last < len(steps)
        curves = {name: rows[rows["curve"] == name] for name in (title, "Lower bound")}
        hill, below = (curves[name].set_index("x")["y"] for name in (title, "Lower bound"))
        size = len(data) + np.abs(hill).max()
        assert domain[0] - slack <= hill.index.min() < hill.index.max() <= domain[1] + slack
        both = hill.index.intersection(below.index)
        assert len(both) > 20
        assert (below[both] <= hill[both] + 1e-12 * size).all()
        bound = lower_bound(model, data, at)
        for x in both[:: len(both) // 5]:
            assert hill[x] == pytest.approx(model.e_step(data, put(at, x)).objective, rel=1e-12)
            assert below[x] == pytest.approx(bound(put(at, x)), rel=1e-12)
        touch, top = (
            ends.loc[point][ends.loc[point]["first"] == first].iloc[0]
            for point in ("where they touch", "top of the bound")
        )
        assert touch["x"] == getattr(at, field)[k]
        assert touch["y"] == pytest.approx(steps[first].objective, rel=1e-12)
        update = model.m_step(
            model.statistics(data, at, model.e_step(data, at).responsibilities), at
        )
        assert top["x"] == pytest.approx(getattr(update, field)[k], rel=1e-10)
        assert top["y"] >= below.max() - 1e-12 * size
        assert touch["y"] - 1e-12 * size <= top["y"]
        reached = model.e_step(data, put(at, top["x"])).objective
        assert top["y"] <= reached + 1e-12 * size


def put_mean(params, k, x):
    means = params.means.copy()
    means[k] = x
    return GaussianParams(means, params.stds, params.weights)


CELLS = 61  # of a hill along each side


class TestHillOfTwoCoins:
    @pytest.mark.parametrize("hard", [False, True])
    def test_bands_are_the_loss_of_the_objective(self, visit, hard):
        page = visit("two_coins", tc_hill="true", tc_hard=str(hard).lower())
        trace, sample, model = run_of("two_coins", hard=hard)
        heads, times = np.unique(sample.data, return_counts=True)

        def objective(a, b):
            joint = BinomialMixture(10).log_joint(heads, BinomialParams([a, b], [0.5, 0.5]))
            each = joint.max(axis=1) if hard else np.log(np.exp(joint).sum(axis=1))
            return times @ each

        edges = np.linspace(0, 1, CELLS + 1)
        (surface,) = (c for c in page.section("hill").charts if "hill" in c.data)
        final = trace.final
        middles = (edges[:-1] + edges[1:]) / 2
        top = max(final.objective, max(objective(a, b) for a in middles for b in middles))
        cells = surface.data["hill"]
        check_bands(cells, objective, top, 500, x_edges=edges, y_edges=edges)
        # Spot checks of that short cut against the model itself.
        for a, b in ((0.6, 0.2), (0.31, 0.94)):
            params = BinomialParams([a, b], [0.5, 0.5])
            assert objective(a, b) == pytest.approx(model.e_step(sample.data, params).objective)
        # The mirror image is as high.
        bands = cells["band"].to_numpy().reshape(CELLS, CELLS)
        np.testing.assert_array_equal(bands, bands.T)

    @pytest.mark.parametrize("at", [0, 3])
    def test_with_weights_it_is_the_hill_at_the_players_iteration(self, visit, at):
        page = visit("two_coins", tc_hill="true", tc_weights="true", tc_iter=str(at))
        sample, model = coins(), BinomialMixture(10, estimate_weights=True)
        start = BinomialParams([0.8, 0.7], [0.5, 0.5])
        trace = fit(model, sample.data, start, max_iter=100)
        weights = trace.steps[at].params.weights
        heads, times = np.unique(sample.data, return_counts=True)

        def objective(a, b):
            joint = model.log_joint(heads, BinomialParams([a, b], weights))
            return times @ np.log(np.exp(joint).sum(axis=1))

        edges = np.linspace(0, 1, CELLS + 1)
        middles = (edges[:-1] + edges[1:]) / 2
        top = max(objective(a, b) for a in middles for b in middles)
        top = max(top, trace.steps[at].objective)
        (chart,) = (c for c in page.section("hill").charts if "hill" in c.data)
        check_bands(chart.data["hill"], objective, top, 500, x_edges=edges, y_edges=edges)
        when = f"iteration {at}" if at else "the initial guess"
        assert chart.title.endswith(f", the rest as at {when}")

    def test_path_and_marks(self, visit):
        page = visit("two_coins", tc_hill="true")
        trace, sample, _ = run_of("two_coins")
        chart = page.section("hill").chart("over θ A and θ B")
        path = chart.data["path"]
        assert list(path["iteration"]) == list(range(trace.n_iter + 1))
        history = np.array([step.params.heads_prob for step in trace.steps])
        np.testing.assert_array_equal(path[["x", "y"]], history)
        marks = chart.data["marks"].set_index("mark")
        # Where the run ends is shown when it has been played.
        assert set(marks.pop("since")) == {trace.n_iter}
        a, b = trace.final.params.heads_prob
        assert tuple(marks.loc["top"]) == (a, b)
        assert tuple(marks.loc["mirror image"]) == (b, a)
        middle = sample.data.mean() / 10
        assert tuple(marks.loc["saddle"]) == pytest.approx((middle, middle))
        bands = self.bands_at(chart.data["hill"], marks)
        assert bands["top"] == bands["mirror image"] == 0 < bands["saddle"]

    @pytest.mark.parametrize(
        ("query", "marked"),
        [
            # The mirror image of coins that are not equally likely is lower,
            ({"tc_weights": "true", "tc_share_a": "0.25"}, {"top"}),
            # a run that was stopped early is on no top,
            ({"tc_max_iter": "1"}, {"EM ends"}),
            ({"tc_tol": "1e-2", "tc_start_a": "0.41", "tc_start_b": "0.4"}, {"EM ends"}),
            # nor is a coin that nothing can move,
            ({"tc_start_a": "1"}, {"EM ends"}),
            # and on a ridge there is none.
            ({"tc_tosses": "1"}, {"EM ends"}),
            ({"tc_start_a": "0.5", "tc_start_b": "0.5"}, {"saddle"}),
            ({"tc_true_a": "0", "tc_true_b": "0"}, {"top"}),
        ],
    )
    def test_marks_only_what_is_there(self, visit, query, marked):
        page = visit("two_coins", tc_hill="true", **query)
        marks = page.section("hill").chart("over θ A and θ B").data["marks"]
        assert set(marks["mark"]) == marked

    def test_mirror_image_with_estimated_weights_is_lower(self):
        truth = BinomialParams([0.6, 0.2], [0.25, 0.75])
        model = BinomialMixture(10, estimate_weights=True)
        data = model.simulate(truth, 500, rng=stream(1, DATA)).data
        end = fit(model, data, BinomialParams([0.8, 0.7], [0.5, 0.5])).final
        mirrored = BinomialParams(end.params.heads_prob[::-1], end.params.weights)
        assert model.e_step(data, mirrored).objective < end.objective - 100

    def test_description_says_what_is_marked_but_not_how_the_run_ends(self, visit):
        alts = set()
        for query in ({}, {"tc_start_a": "0.5", "tc_start_b": "0.5"}, {"tc_start_a": "0.1"}):
            (chart,) = (
                c
                for c in visit("two_coins", tc_hill="true", **query).section("hill").charts
                if "hill" in c.data
            )
            alts.add(chart.alt)
        (alt,) = alts
        assert alt == (
            "Bands of equal log-likelihood over θ A and θ B, with the path of EM as far as it has "
            "been played. At the end of the run it is marked where EM ends, and whether that is a "
            "top of this hill or a saddle; where it has a mirror image as high, and a saddle "
            "between them, so are these."
        )

    @staticmethod
    def bands_at(cells, marks):
        """Return the band of the cell that each mark lies in."""
        low = cells[["x_low", "y_low"]].to_numpy()
        inside = {
            name: ((low <= place) & (place < low + 1 / CELLS)).all(axis=1)
            for name, place in zip(marks.index, marks.to_numpy(), strict=True)
        }
        return {name: cells.loc[where, "band"].item() for name, where in inside.items()}

    @pytest.mark.parametrize("hard", [False, True])
    def test_bound_along_one_coin(self, visit, hard):
        page = visit("two_coins", tc_hill="true", tc_hard=str(hard).lower())
        trace, sample, model = run_of("two_coins", hard=hard)
        chart = page.section("hill").chart("lower bound that touches")
        assert chart.data["slice"]["first"].nunique() == trace.n_iter + 1
        check_slice(
            chart,
            model,
            sample.data,
            trace.steps,
            lambda p, x: BinomialParams([x, p.heads_prob[1]], p.weights),
            field="heads_prob",
            k=0,
            domain=(0, 1),
        )

    def test_long_run_is_computed_at_some_iterations(self, visit):
        page = visit(
            "two_coins",
            tc_hill="true",
            tc_true_a="0.55",
            tc_true_b="0.45",
            tc_data_seed="8",
            tc_tol="1e-10",
            tc_max_iter="500",
        )
        last = page.table["iteration"].iloc[-1]
        assert last > 80
        chart = page.section("hill").chart("lower bound that touches")
        shown = chart.data["slice"][["first", "last"]].drop_duplicates().to_numpy()
        assert [i for a, b in shown for i in range(a, b + 1)] == list(range(last + 1))
        assert len(shown) == 60
        assert "Computed at 60 iterations." in chart.alt


class TestHillOfGaussians:
    @pytest.mark.parametrize(("at", "across", "up"), [(0, 1, 2), (6, 3, 1)])
    def test_bands_path_and_bound(self, visit, at, across, up):
        page = visit(
            "gaussian_mixture",
            gm_hill="true",
            gm_across=str(across),
            gm_up=str(up),
            gm_iter=str(at),
        )
        trace, sample, model = run_of("gaussian_mixture")
        params, i, j = trace.steps[at].params, across - 1, up - 1
        chart = page.section("hill").chart("Bands of equal log-likelihood")
        assert chart.alt.endswith("At the end of the run it is marked where EM ends.")
        cells = chart.data["hill"]
        side = int(np.sqrt(len(cells)))
        # As far as the data and the way that EM took.
        way = np.array([step.params.means[[i, j]] for step in trace.steps])
        ends = min(sample.data.min(), way.min()), max(sample.data.max(), way.max())
        assert (ends[0] < sample.data.min()) == (across == 1)  # whose guess lies outside
        edges = np.linspace(*ends, side + 1)

        def objective(x, y):
            return model.e_step(sample.data, put_mean(put_mean(params, i, x), j, y)).objective

        middles = (edges[:-1] + edges[1:]) / 2
        best = cells[cells["band"] == 0]
        step = edges[1] - edges[0]
        top = max(objective(r.x_low + step / 2, r.y_low + step / 2) for r in best.itertuples())
        top = max(top, trace.steps[at].objective)
        some = np.random.default_rng(1).choice(len(cells), 150, replace=False)
        assert all(objective(x, y) <= top for x in middles[::5] for y in middles[::5])
        check_bands(cells, objective, top, 3000, x_edges=edges, y_edges=edges, some=some)
        assert len(set(cells["band"])) > 2
        path = chart.data["path"][["x", "y"]].to_numpy()
        np.testing.assert_array_equal(path, [step.params.means[[i, j]] for step in trace.steps])
        (mark,) = chart.data["marks"].itertuples(index=False)
        assert mark == ("EM ends", *trace.final.params.means[[i, j]], trace.n_iter)
        check_slice(
            page.section("hill").chart("lower bound that touches"),
            model,
            sample.data,
            trace.steps,
            lambda p, x: put_mean(p, i, x),
            field="means",
            k=i,
            domain=(sample.data.min(), sample.data.max()),
        )

    def test_one_component_has_no_surface(self, visit):
        page = visit("gaussian_mixture", gm_hill="true", gm_k="1", gm_size1="50")
        assert not page.section("hill").charts
        assert (
            "With one component there is one mean, and EM needs one step."
            in page.section("hill").text
        )

    def test_twice_the_same_component_has_the_slice_alone(self, visit):
        page = visit("gaussian_mixture", gm_hill="true", gm_across="2")
        (chart,) = page.section("hill").charts
        assert "along μ 2" in chart.alt
        assert any("two different components" in i.value for i in page.at.info)

    def test_component_beyond_the_last_is_the_last(self, visit):
        page = visit("gaussian_mixture", gm_hill="true", gm_up="8", gm_size1="50")
        assert page.section("hill").chart("over μ 1 and μ 3")


# Guesses and seeds by em_core alone; of a lesson that is not here, they are its problem's.
STARTS = {
    "k_means": lambda data, rng: kmeans.guess_from_points(data, 3, rng=rng),
    "two_coins": lambda data, rng: binomial_mixture.guess_uniform(data, 2, rng=rng),
    "gaussian_mixture": lambda data, rng: gaussian_mixture.guess_integers(data, 3, rng=rng),
}
GUESS_SEED = {"k_means": 1, "two_coins": 1, "gaussian_mixture": 46}


def fits_from(name, numbers):
    """Return the runs from a page's starts, each by itself."""
    _, sample, model = run_of(name)
    known = {"k_means": (0, 100), "two_coins": (1e-6, 100), "gaussian_mixture": (1e-6, 20)}
    problem = None if name in known else posed(name)
    tol, limit = known.get(name) or (problem.tol, problem.max_iter)
    for number in numbers:
        if problem is None:
            start = STARTS[name](sample.data, stream(GUESS_SEED[name], GUESS, number))
        else:
            start = problem.guess(stream(problem.guess_seed, GUESS, number))
        trace = fit(model, sample.data, start, tol=tol, max_iter=limit)
        yield number, trace


@pytest.fixture(scope="module")
def with_starts(visit):
    """Return a function that gives a page with its many starts. Each test may move it."""
    pages = {}

    def show(name, n):
        if name not in pages:
            pages[name] = visit(name)
            pages[name].open("many_starts")
        pages[name].set(starts=n)
        return pages[name], pages[name].section("many_starts").frame("where it began and ended")

    return show


class TestImpossibleStart:
    """No coin of 0 or 1 explains a trial with heads and tails."""

    @pytest.fixture(params=["false", "true"])
    def page(self, visit, request):
        names = ("by_hand", "hill", "hard_against_soft", "many_starts", "convergence")
        return visit(
            "two_coins",
            tc_start_a="0",
            tc_start_b="1",
            tc_hard=request.param,
            **{f"tc_{name}": "true" for name in names},
        )

    def test_by_hand_says_so_instead_of_dividing_nothing_by_nothing(self, page):
        hand = page.section("by_hand")
        assert "impossible under both coins" in hand.text
        assert hand.formulas == []

    def test_hill_marks_no_top(self, page):
        (chart,) = page.section("hill").charts
        assert list(chart.data["marks"]["mark"]) == ["start"]

    def test_nothing_on_the_page_is_nan(self, page):
        assert not re.search(r"\bnan\b", "\n".join([page.text, *page.formulas]))


@pytest.mark.parametrize(
    ("name", "query", "n"),
    [
        ("two_coins", {"tc_trials": "7"}, 7),
        ("k_means", {"km_size": "5"}, 15),
        ("gaussian_mixture", {"gm_k": "1", "gm_size1": "9"}, 9),
    ],
)
def test_observation_beyond_the_last_is_the_last_and_said_so(visit, name, query, n):
    prefix = next(iter(query))[:2]
    by_hand = {f"{prefix}_by_hand": "true"}
    hand = visit(name, **query, **by_hand, **{f"{prefix}_observation": "999"}).section("by_hand")
    assert f"There are only {n}. This is the last." in hand.captions
    assert re.search(rf"(Trial|Point|Value) {n} ", hand.text)
    hand = visit(name, **query, **by_hand, **{f"{prefix}_observation": str(n)}).section("by_hand")
    assert not any("There are only" in caption for caption in hand.captions)


SOLVED = ("limit log-likelihood", "limit inertia", "limit classification log-likelihood")


class TestManyStarts:
    @pytest.mark.parametrize("name", RUNNING)
    def test_rows_are_fits_of_their_own(self, with_starts, name):
        page, table = with_starts(name, 12)
        assert list(table["start"]) == list(range(1, 13))
        traces = []
        for number, trace in fits_from(name, range(1, 13)):
            traces.append(trace)
            row = table.iloc[number - 1]
            for when, step in (("start", trace.steps[0]), ("end", trace.final)):
                for field, array in step.params.arrays().items():
                    columns = [c for c in table if c.startswith(f"{when} {field}")]
                    fixed = name == "two_coins" and field == "weights"  # and in no table
                    # Runs that go side by side add up in another order.
                    np.testing.assert_allclose(
                        row[columns].astype(float),
                        [] if fixed else listed(field, array),
                        rtol=1e-9,
                        atol=1e-12,
                    )
            objective = -trace.final.objective if name == "k_means" else trace.final.objective
            title = "inertia" if name == "k_means" else "log-likelihood"
            assert row[title] == pytest.approx(objective, rel=1e-9)
            assert row["iterations"] == trace.n_iter
            assert row["status"] == trace.status.value.replace("_", " ")
        # Followed by itself until nothing moves, each start ends as its solution says.
        model, data = run_of(name)[2], run_of(name)[1].data
        ends = [
            fit(model, data, trace.final.params, tol=0, max_iter=9_000).final.objective
            for trace in traces
        ]
        limits = table[f"limit {title}"].abs()
        np.testing.assert_allclose(limits, np.abs(ends), rtol=1e-9)
        right = np.unique(np.round(ends, 4))[::-1].tolist()
        expected = [right.index(end) + 1 for end in np.round(ends, 4)]
        assert list(table["solution"]) == expected
        text = page.section("many_starts").text
        if len(right) == 1:
            assert "All 12 starts lead to the same solution" in text
            assert "best" not in table
        else:
            assert list(table["best"] == "best") == [number == 1 for number in expected]
            assert f"12 starts lead to {len(right)} solutions" in text
            leads = "leads" if expected.count(1) == 1 else "lead"
            assert f"**{expected.count(1)}** of them {leads} to the best" in text
        assert not any("still moving" in c for c in page.section("many_starts").captions)

    @pytest.mark.parametrize("name", RUNNING)
    def test_a_start_is_the_same_among_few_and_many(self, with_starts, name):
        few = with_starts(name, 5)[1].drop(columns=["solution", "best", *SOLVED], errors="ignore")
        many = with_starts(name, 50)[1].drop(columns=["solution", "best", *SOLVED], errors="ignore")
        assert len(many) == 50
        pd.testing.assert_frame_equal(few, many[:5])

    @pytest.mark.parametrize("name", RUNNING)
    def test_curves_are_those_of_the_runs(self, with_starts, name):
        page, table = with_starts(name, 12)
        curves = page.section("many_starts").charts[0].data["curves"]
        sign = -1 if name == "k_means" else 1
        for number, trace in fits_from(name, (1, 7, 12)):
            curve = curves[curves["start"] == number]
            assert curve["iteration"].iloc[[0, -1]].tolist() == [0, trace.n_iter]
            drawn = trace.objectives[curve["iteration"].to_numpy()]
            np.testing.assert_allclose(curve["objective"], sign * drawn, rtol=1e-9)
            kind = "best" if table["solution"][number - 1] == 1 else "other"
            best = curves["objective"].min() if sign < 0 else table["limit log-likelihood"].max()
            gap = sign * (best - curve["objective"])
            np.testing.assert_allclose(curve["gap"], gap, atol=1e-9 * abs(best))
            assert set(curve["solution"]) == {kind}
        assert curves.groupby("start").size().max() <= 60

    @pytest.mark.parametrize("name", RUNNING)
    def test_a_click_on_a_row_opens_it_in_the_player(self, visit, name):
        page = visit(name)
        page.open("many_starts")
        table = page.section("many_starts").frame("where it began and ended")
        for row in (6, 2):
            page.select("start_rows", {"rows": [row], "columns": [], "cells": []})
            assert page.value("start") == row + 1
            for when, place in (("start", 0), ("end", -1)):
                columns = [c for c in table if c.startswith(f"{when} ")]
                shown = page.table.iloc[place][[c.removeprefix(f"{when} ") for c in columns]]
                np.testing.assert_allclose(
                    table.iloc[row][columns].astype(float), shown.astype(float), rtol=1e-9
                )
            assert len(page.player["rows"]) == table["iterations"][row] + 1
        before = page.link
        page.select("start_rows", {"rows": [], "columns": [], "cells": []})
        assert page.link == before

    def test_a_collapsed_start_did_not_stop_at_the_limit(self, visit):
        settings = {
            **{f"gm_size{k}": "10" for k in (1, 2, 3)},
            "gm_floor": "0",
            "gm_many_starts": "true",
        }
        many = visit("gaussian_mixture", **settings, gm_guess_seed="19", gm_max_iter="100")
        starts = many.section("many_starts").frame("Each start")
        collapsed = starts[starts["status"] == "non finite"]
        assert len(collapsed)
        assert (collapsed["iterations"] < 100).all()
        assert (starts["iterations"][starts["status"] == "max iter"] == 100).all()

    def test_a_click_leaves_a_typed_start(self, visit):
        page = visit("k_means", km_guess="Typed in", km_start_x1="9")
        page.open("many_starts")
        page.select("start_rows", {"rows": [4], "columns": [], "cells": []})
        assert (page.value("guess"), page.value("start")) == ("Random data points", 5)
        (trace,) = (trace for _, trace in fits_from("k_means", [5]))
        assert page.table["inertia"].iloc[-1] == -trace.final.objective

    @pytest.mark.parametrize("guess", ["k-means++", "Random places"])
    def test_starts_are_of_the_pages_method(self, visit, guess):
        page = visit("k_means", km_guess=guess, km_many_starts="true", km_starts="3")
        method = {"k-means++": kmeans.guess_plus_plus, "Random places": kmeans.guess_uniform}[guess]
        table = page.section("many_starts").frame("where it began and ended")
        data = blobs().data
        for number in (1, 2, 3):
            start = method(data, 3, rng=stream(1, GUESS, number)).centroids
            shown = table.iloc[number - 1][[c for c in table if c.startswith("start c")]]
            ours = shown.to_numpy(float).reshape(3, 2)
            assert sorted(map(tuple, ours)) == sorted(map(tuple, start))

    @pytest.mark.parametrize("name", RUNNING)
    def test_download_holds_the_table(self, visit, downloads, name):
        page = visit(name)
        page.open("many_starts")
        content, mime = downloads[f"{page.prefix}-starts.csv"]
        assert mime == "text/csv"
        shown = (
            page.section("many_starts")
            .frame("where it began and ended")
            .drop(columns="best", errors="ignore")
        )
        downloaded = pd.read_csv(io.BytesIO(content()))
        shown = shown.astype({"solution": int})
        pd.testing.assert_frame_equal(downloaded, shown, check_exact=True)

    def test_the_published_twenty_starts_lead_to_two_solutions(self, visit):
        many = visit("gaussian_mixture", gm_many="true").section("many_starts")
        table = many.frame("where it began and ended")
        assert table["solution"].value_counts().to_dict() == {1: 12, 2: 8}
        limits = table.groupby("solution")["limit log-likelihood"].first()
        assert limits.round(2).tolist() == [-11882.15, -12165.63]
        assert "20 starts lead to 2 solutions. **12** of them lead to the best" in many.text
        assert "log-likelihood -11,882.15472" in many.text

    @pytest.mark.parametrize("name", RUNNING)
    @pytest.mark.parametrize("n", [5, 20])
    def test_the_best_stands_below_no_other(self, with_starts, name, n):
        _, table = with_starts(name, n)
        title = "inertia" if name == "k_means" else "log-likelihood"
        sign = -1 if name == "k_means" else 1
        limits = sign * table[f"limit {title}"]
        if "best" in table:
            assert limits[table["best"] == "best"].min() >= limits.max()
        # Each ends at its solution, and had not passed it.
        slack = 1e-9 * len(run_of(name)[1].data)
        assert (sign * table[title] <= limits + slack).all()
        order = table.assign(limit=limits).groupby("solution")["limit"].first()
        assert order.is_monotonic_decreasing

    def test_runs_that_go_on_are_no_solutions(self, visit):
        """Five components on three groups: nobody knows yet where these runs are going."""
        many = visit("gaussian_mixture", gm_find="5", gm_many="true", gm_starts="6")
        section = many.section("many_starts")
        table = section.frame("where it began and ended")
        unknown = table["solution"].isna()
        assert unknown.any()
        assert table.loc[unknown, "limit log-likelihood"].isna().all()
        told = re.search(r"Where (\d) of 6 starts (is|are) going cannot be told yet", section.text)
        assert int(told[1]) == unknown.sum()
        data = line().data
        for number in table["solution"].dropna().unique():
            # Where one is known, runs do end there.
            row = table[table["solution"] == number].iloc[0]
            params = GaussianParams(*row.filter(like="end ").to_numpy(float).reshape(3, 5))
            # By EM itself: one of them stays near a saddle for 9,000 iterations.
            end = fit(GaussianMixture(0.05), data, params, tol=0, max_iter=20_000).final.objective
            assert end == pytest.approx(row["limit log-likelihood"], abs=0.01)

    def test_with_more_starts_a_solution_keeps_its_objective(self, visit):
        page = visit("gaussian_mixture", gm_many="true")
        found = []
        for n in (20, 50):
            page.set(starts=n)
            table = page.section("many_starts").frame("where it began and ended")
            found.append(table.groupby("solution")["limit log-likelihood"].first())
        few, many = found
        for limit in few:
            assert np.abs(many - limit).min() < 1e-3


class TestMapOfStarts:
    @pytest.mark.parametrize("weights", [False, True])
    def test_ends_and_iterations_are_those_of_fits(self, visit, weights):
        page = visit(
            "two_coins",
            tc_many_starts="true",
            tc_weights=str(weights).lower(),
            tc_trials="60",
            tc_starts="1",
        )
        cells = page.section("many_starts").chart("The square of starts").data["map"]
        assert len(cells) == 101 * 101
        model, data = BinomialMixture(10, estimate_weights=weights), coins(60).data
        ends = cells["end"].to_numpy().reshape(101, 101)
        iterations = cells["iterations"].to_numpy().reshape(101, 101)
        side = np.linspace(0, 1, 101)
        some = np.random.default_rng(1).integers(101, size=(60, 2))
        for i, j in [*some, (0, 0), (100, 0), (100, 100), (50, 50), (30, 30), (50, 51)]:
            start = BinomialParams([side[i], side[j]], [0.5, 0.5])
            final = fit(model, data, start, max_iter=100).final
            a, b = final.params.heads_prob
            if not np.isfinite(final.objective):
                end = "impossible"
            elif abs(a - b) < 1e-6:
                end = "both equal"
            else:
                end = "A above B" if a > b else "A below B"
            assert ends[i, j] == end, start
            assert iterations[i, j] == final.iteration, start

    def test_counts(self, opened):
        chart = opened("two_coins").section("many_starts").chart("The square of starts")
        assert chart.alt == (
            "The square of starts, by where EM ends from each: 5,049 A above B, 5,049 A below B, "
            "99 both equal, 4 impossible"
        )
        cells = chart.data["map"]
        ends = cells["end"].to_numpy().reshape(101, 101)
        counts = cells["end"].value_counts()
        # The corners: with 0 and 1 for the coins no trial of some heads and some tails is possible.
        assert counts["impossible"] == 4
        assert {ends[i, j] for i in (0, -1) for j in (0, -1)} == {"impossible"}
        assert counts["both equal"] == 99 == (np.diag(ends) != "impossible").sum()
        assert counts["A above B"] == counts["A below B"] == (101 * 101 - 99 - 4) // 2
        np.testing.assert_array_equal(ends == "A above B", (ends == "A below B").T)
        above = np.tril_indices(101, -1)  # A's start, the first index, is the larger
        assert set(ends[above]) - {"impossible"} == {"A above B"}
        # Drawn where they are: each start in its own square, and A across.
        assert cells["x_low"].to_numpy().reshape(101, 101)[7, 3] == pytest.approx(7 / 101)
        assert cells["y_low"].to_numpy().reshape(101, 101)[7, 3] == pytest.approx(3 / 101)

    def test_hard_assignment_has_none(self, visit):
        page = visit("two_coins", tc_many_starts="true", tc_hard="true", tc_starts="3")
        assert not any("map" in chart.data for chart in page.section("many_starts").charts)

    def test_on_a_ridge_coins_stay_apart_as_they_start(self, visit):
        page = visit("two_coins", tc_many_starts="true", tc_tosses="1", tc_tol="1e-3")
        chart = page.section("many_starts").chart("The square of starts")
        # However loose the tolerance, coins a little apart are not called equal.
        assert "99 both equal" in chart.alt

    def test_says_where_em_had_not_ended(self, visit):
        page = visit("two_coins", tc_many_starts="true", tc_trials="60", tc_max_iter="3")
        (caption,) = (c for c in page.captions if "still moving when it was stopped" in c)
        side = np.linspace(0, 1, 101)
        pairs = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
        grid = fit_grid(BinomialMixture(10), coins(60).data, pairs, [0.5, 0.5], max_iter=3)
        moving = np.isfinite(grid.log_likelihood) & ~grid.converged
        assert caption == f"From {moving.sum():,} starts EM was still moving when it was stopped."


def number(pattern, text):
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in {text!r}"
    return float(found.group(1).replace(",", ""))


class TestConvergence:
    @pytest.mark.parametrize(
        ("name", "query", "rule"),
        [
            ("two_coins", {}, "an iteration gains no more than 1e-6 per trial, or after 100 it"),
            ("two_coins", {"tol": "0"}, "no parameter changes any more, or after 100 iterations"),
            ("two_coins", {"tol": "1e-2"}, "gains no more than 0.01 per trial"),
            ("k_means", {}, "no parameter changes any more, or after 100 iterations"),
            ("gaussian_mixture", {}, "gains no more than 1e-6 per value, or after 20 iterations"),
            ("gaussian_mixture", {"max_iter": "1"}, "or after 1 iteration."),
        ],
    )
    def test_rule_and_last_gain(self, visit, name, query, rule):
        query = {f"{PREFIXES[name]}_{control}": value for control, value in query.items()}
        page = visit(name, **query, **{f"{PREFIXES[name]}_speed": "true"})
        text, table = page.section("convergence").text, page.table
        assert rule in text
        n = {"k_means": 600, "two_coins": 500, "gaussian_mixture": 3000}[name]
        gain = table["gain"].iloc[-1]
        change = "fall" if name == "k_means" else "gain"
        shown = re.search(rf"\*\*The last {change}\*\* was (\S+), or (\S+) per", text)
        for written, right in zip(shown.groups(), (gain, gain / n), strict=True):
            digits, _, power = written.partition("·10")
            power = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
            assert f"{float(f'{digits}e{power or 0}'):.3g}" == f"{right:.3g}"
        iterations = table["iteration"].iloc[-1]
        message = "Converged after" if page.ending == "success" else "Stopped at the limit of"
        assert f"{message} {iterations} iteration" in text

    def test_limit_that_is_not_reached_is_called_so(self, visit):
        page = visit("gaussian_mixture", gm_find="5", gm_max_iter="500", gm_convergence="true")
        text = page.section("convergence").text
        work = "with the work of 2,000 more iterations"
        assert f"**The limit was not reached.** The run was followed {work} and" in text
        assert "Where the run was followed to, each step of EM is 1 − 0.000" in text
        assert "on the path of this run" not in text
        assert "away from where the run was by then" in text
        captions = " ".join(page.section("convergence").captions)
        assert "In the place of the limit: the same run, continued by a method that l" in captions
        assert work in captions

    def test_rate_just_below_one_is_not_called_one(self, visit):
        page = visit("gaussian_mixture", gm_find="5", gm_max_iter="500", gm_convergence="true")
        text = page.section("convergence").text
        assert re.search(r"each step of EM is 1 − (0\.000\d+) times as ", text)
        # Nor is the fraction called 100.0%, where it is known.
        problem = posed("two_coins")
        run = run_em(lambda settings: problem, {})
        assert run.limit.converged
        run.found["at the limit"] = np.array([0.99987, 0.5])
        rate = re.search(
            r"there the rate is 1 − (0\.000\d+), .* about 100% − (0\.0\d+)%",
            convergence._speed(run, ""),
        )
        assert float(rate[2]) == pytest.approx(100 * float(rate[1]))

    def test_run_that_collapses_has_no_limit(self, visit):
        page = visit("gaussian_mixture")
        page.set(situation="A variance that collapses")
        page.open("convergence")
        text = page.section("convergence").text
        assert "This run does not converge, so there is no limit to measure from." in text
        assert "Still to go" not in text
        assert not page.section("convergence").charts

    @pytest.mark.parametrize("name", ["two_coins", "gaussian_mixture"])
    def test_rate_and_distance_to_the_limit(self, opened, name):
        section = opened(name).section("convergence")
        trace, sample, model = run_of(name)
        limit = fit(model, sample.data, trace.final.params, tol=0, max_iter=3_000)
        rate = linear_rate(limit)
        assert number(r"each step is ([\d.]+) times", section.text) == pytest.approx(rate, abs=6e-4)
        assert number(r"here about ([\d.]+)%", section.text) == pytest.approx(100 * rate, abs=0.06)
        before, last, end = (
            np.concatenate(list(step.params.arrays().values()))
            for step in (*trace.steps[-2:], limit.final)
        )
        still = np.linalg.norm(last - end) / np.linalg.norm(last - before)
        assert number(r": ([\d.]+) times the last step", section.text) == pytest.approx(
            still, abs=0.06
        )
        # The steps that are still to come, against what is left of them a few steps before the end.
        drawn = section.chart("Distance to the limit").data["distance"]
        end = np.concatenate(list(limit.final.params.arrays().values()))
        for row in drawn.itertuples():
            here = np.concatenate(list(trace.steps[int(row.iteration)].params.arrays().values()))
            assert row.distance == pytest.approx(np.linalg.norm(here - end), rel=1e-6)
        assert list(drawn["iteration"]) == list(range(trace.n_iter + 1))
        continued = f"continued to {trace.n_iter + limit.n_iter:,} iterations."
        assert any(continued in caption for caption in section.captions)

    def test_distance_leaves_rounding_out(self, visit):
        page = visit("two_coins", tc_convergence="true", tc_tol="0")
        drawn = page.section("convergence").chart("Distance to the limit").data["distance"]
        assert (drawn["distance"] > 1e-12).all()
        assert drawn["iteration"].iloc[-1] < page.table["iteration"].iloc[-1]

    @pytest.mark.parametrize(
        ("name", "query"), [("k_means", {}), ("two_coins", {"tc_hard": "true"})]
    )
    def test_hard_assignment_ends_exactly(self, visit, name, query):
        page = visit(name, **query, **{f"{PREFIXES[name]}_speed": "true"})
        assert "so the run ends exactly" in page.section("convergence").text
        assert not page.section("convergence").charts

    def test_without_an_update_there_is_no_gain(self, visit):
        page = visit("two_coins", tc_start_a="0", tc_start_b="1", tc_convergence="true")
        assert "**The last" not in page.section("convergence").text


class TestReferences:
    @pytest.mark.parametrize("name", RUNNING)
    def test_parts_add_up_from_truth_to_estimate(self, visit, plain, name):
        if name == "mixture_in_the_plane":  # which simulates nothing at first
            page = visit(name, gp_data="Simulated", gp_guess="k-means++")
            problem = posed(name, data="Simulated", guess="k-means++")
            trace, sample, model = problem.fit(problem.start), problem.sample, problem.model
        else:
            page = plain(name)
            trace, sample, model = run_of(name)
        known = fit_labelled(model, sample.data, sample.labels, sample.truth)
        (table,) = (t.value for t in page.at.dataframe if "what is added by" in t.proto.alt)
        algorithm = "K-Means" if name == "k_means" else "EM"
        # Those that are estimated: with two coins, not the weights.
        shown = ["heads_prob"] if name == "two_coins" else list(sample.truth.arrays())
        (places, *_), (true, *_) = (
            list(p.arrays().values()) for p in (trace.final.params, sample.truth)
        )
        found = trace.final.params.relabel(match_components(places, true))
        truth, labelled, ours = (
            np.concatenate([listed(field, p.arrays()[field]) for field in shown])
            for p in (sample.truth, known, found)
        )
        np.testing.assert_allclose(table["truth"], truth, rtol=1e-12)
        np.testing.assert_allclose(table[algorithm], ours, rtol=1e-12)
        np.testing.assert_allclose(table["the sample"], labelled - truth, atol=1e-12)
        parts = table.drop(columns=["parameter", "truth", algorithm]).sum(axis=1)
        np.testing.assert_allclose(parts, ours - truth, atol=1e-12)
        if name == "gaussian_mixture":  # it stops long before its limit
            end = fit(model, sample.data, found, tol=0, max_iter=3_000).final.params.vector()
            # As exactly as the table shows it.
            np.testing.assert_allclose(table["missing labels"], end - labelled, rtol=0, atol=5e-5)
            np.testing.assert_allclose(table["stopped early"], ours - end, rtol=0, atol=5e-5)
            assert "the start" not in table

    def test_a_poor_optimum_is_the_starts(self, visit):
        page = visit("k_means", km_start="5")
        (table,) = (t.value for t in page.at.dataframe if "what is added by" in t.proto.alt)
        sample = blobs()
        known = fit_labelled(KMeans(), sample.data, sample.labels, sample.truth)
        best = fit(KMeans(), sample.data, sample.truth, tol=0).final.params
        labels = (best.centroids - known.centroids).ravel()
        np.testing.assert_allclose(table["hard assignment, missing labels"], labels, atol=1e-9)
        start = kmeans.guess_from_points(sample.data, 3, rng=stream(1, GUESS, 5))
        ours = fit(KMeans(), sample.data, start, tol=0).final.params
        ours = ours.relabel(match_components(ours.centroids, sample.truth.centroids))
        np.testing.assert_allclose(
            table["the start"], (ours.centroids - best.centroids).ravel(), atol=1e-9
        )

    def test_assumed_shares_are_not_the_labels(self, visit):
        page = visit("two_coins", tc_share_a="0.9", tc_trials="10000")
        (table,) = (t.value for t in page.at.dataframe if "what is added by" in t.proto.alt)
        truth = BinomialParams([0.6, 0.2], [0.9, 0.1])
        data = BinomialMixture(10).simulate(truth, 10_000, rng=stream(1, DATA)).data
        right = fit(BinomialMixture(10), data, truth, tol=0, max_iter=3_000).final.params
        half = BinomialParams(truth.heads_prob, [0.5, 0.5])
        wrong = fit(BinomialMixture(10), data, half, tol=0, max_iter=3_000).final.params
        pull = wrong.heads_prob - right.heads_prob
        np.testing.assert_allclose(table["assumed mixing weights"], pull, atol=1e-8)
        assert any(
            "(0.50 and 0.50), and in these data they are 0.90 and 0.10" in a for a in page.advice
        )
        assert not any("assumed" in a for a in visit("two_coins").advice)
        assert not any("weights" in name for name in page.table)

    def test_need_as_many_components_as_the_truth(self, visit):
        for name, query in (("k_means", {"km_find": "2"}), ("gaussian_mixture", {"gm_find": "4"})):
            page = visit(name, **query)
            assert not any("labels known" in table.proto.alt for table in page.at.dataframe)

    @pytest.mark.parametrize("name", ["two_coins", "gaussian_mixture"])
    def test_parameter_charts_have_a_rule_for_each(self, plain, name):
        page = plain(name)
        _, sample, model = run_of(name)
        known = fit_labelled(model, sample.data, sample.labels, sample.truth)
        drawn = set()
        for chart in page.charts[1:]:
            if not {"truth", "labelled"} <= set(chart.data) or "bars" in chart.data:
                continue
            for data, params in (("truth", sample.truth), ("labelled", known)):
                (field,) = set(chart.data[data]) - {"component"}
                np.testing.assert_allclose(chart.data[data][field], params.arrays()[field])
            assert set(chart.data["steps"]) == {"iteration", "component", field}
            drawn.add(field)
        fields = {"two_coins": {"heads_prob"}, "gaussian_mixture": {"means", "stds", "weights"}}
        assert drawn == fields[name]

    def test_pictures_have_both_too(self, plain):
        _, sample, model = run_of("k_means")
        picture = plain("k_means").charts[0]
        known = fit_labelled(model, sample.data, sample.labels, sample.truth).centroids
        np.testing.assert_allclose(picture.data["labelled"][["x", "y"]], known)
        np.testing.assert_allclose(picture.data["truth"][["x", "y"]], sample.truth.centroids)

        _, sample, model = run_of("two_coins")
        picture = plain("two_coins").charts[0]
        known = fit_labelled(model, sample.data, sample.labels, sample.truth)
        for data, params in (("truth", sample.truth), ("labelled", known)):
            mixed = stats.binom.pmf(np.arange(11)[:, None], 10, params.heads_prob) @ params.weights
            np.testing.assert_allclose(picture.data[data]["count"], 500 * mixed, rtol=1e-9)

        _, sample, model = run_of("gaussian_mixture")
        known = fit_labelled(model, sample.data, sample.labels, sample.truth)
        page = plain("gaussian_mixture")
        for picture in (page.charts[0], *page.charts[-3:]):
            for data, params in (("truth", sample.truth), ("labelled", known)):
                for field in ("means", "stds", "weights"):
                    np.testing.assert_allclose(picture.data[data][field], params.arrays()[field])


# What is looked up when it is called, and what a section alone calls of it: in every lesson, and
# besides in some.
COSTS = {
    "hard_against_soft": ["em_ui.sections.hard_against_soft.rows"],
    "hill": ["em_ui.sections.hill._slice", "em_ui.sections.hill._heights"],
    "many_starts": ["em_ui.sections.many_starts.many_starts"],
    "how_many": ["em_ui.run.how_many.how_many"],
    "convergence": ["em_ui.sections.convergence.stopping_rule"],
    "code": ["em_ui.sections.take_away.script"],
    "teacher": ["em_ui.sections.teacher.sheet"],
}
COSTS_OF = {
    "k_means": {
        "hard_against_soft": ["pages.k_means.sections.soft_limit"],
    },
    "two_coins": {
        "many_starts": [*COSTS["many_starts"], "pages.two_coins.sections.ends_of_starts"],
        "convergence": [*COSTS["convergence"], "em_ui.sections.convergence.linear_rate"],
    },
    "gaussian_mixture": {
        "hard_against_soft": [
            *COSTS["hard_against_soft"],
            "pages.gaussian_mixture.sections.k_means",
        ],
        "convergence": [*COSTS["convergence"], "em_ui.sections.convergence.linear_rate"],
    },
    "mixture_in_the_plane": {
        "hard_against_soft": [
            *COSTS["hard_against_soft"],
            "pages.mixture_in_the_plane.sections.k_means",
        ],
        "convergence": [*COSTS["convergence"], "em_ui.sections.convergence.linear_rate"],
    },
    "toy_lesson": {
        "convergence": [*COSTS["convergence"], "em_ui.sections.convergence.linear_rate"],
    },
}


class TestClosedSections:
    @pytest.mark.parametrize("name", RUNNING)
    def test_cost_nothing(self, visit, monkeypatch, name):
        called = []
        sections = sections_of(BY_NAME[name])
        costs = {section: [] for section in sections} | COSTS | COSTS_OF.get(name, {})

        def spied(original, path):
            def spy(*args, **kwargs):
                called.append(path)
                return original(*args, **kwargs)

            return spy

        for path in {path for paths in costs.values() for path in paths}:
            module, _, function = path.rpartition(".")
            original = getattr(importlib.import_module(module), function)
            monkeypatch.setattr(path, spied(original, path))
        for title, section in list(sections.items()):
            monkeypatch.setitem(sections, title, replace(section, draw=spied(section.draw, title)))
        page = visit(name)
        page.set(**other_data(name, 77))
        assert page.sections() == list(sections)
        assert called == []
        for section in sections:
            page.open(section)
            assert set(called) == {section, *costs[section]}, section
            called.clear()
        page.open()
        page.set(**other_data(name, 78))
        assert called == []

    @pytest.mark.parametrize("name", RUNNING)
    def test_hold_nothing(self, plain, opened, name):
        for section in plain(name).sections():
            closed, full = plain(name).section(section), opened(name).section(section)
            assert not list(closed.block.children)
            assert list(full.block.children)
        assert len(plain(name).charts) < len(opened(name).charts)

    @pytest.mark.parametrize("name", RUNNING)
    def test_no_limit_is_computed_before_the_end(self, arrive, monkeypatch, name):
        def fail(self, until=None):
            raise AssertionError("the limit was computed")

        monkeypatch.setattr(Run, "limit", property(fail))
        monkeypatch.setattr(Run, "followed", fail)
        page = arrive(name)
        page.set(**other_data(name, 79))
        page.open(*set(page.sections()) - {"convergence"})


@pytest.mark.parametrize("name", RUNNING)
def test_player_reports_exactly_where_an_open_section_follows_it(visit, name):
    page, sections = visit(name), sections_of(BY_NAME[name])
    assert page.player["report"] is False
    for title, section in sections.items():
        page.open(title)
        assert page.player["report"] is section.follows, title
    page.open(*sections)
    assert page.player["report"] is True
    page.open(*(title for title, section in sections.items() if not section.follows))
    assert page.player["report"] is False


EXTREMES = {
    "k_means": [
        {"k": "1", "size": "1"},
        {"k": "1", "size": "1", "find": "1", "guess": "Random places"},
        {"k": "8", "find": "1", "size": "3"},
        {"find": "8", "guess": "k-means++", "max_iter": "1"},
        {"guess": "Typed in", "find": "8", "start_x1": "50", "start_y1": "-50"},
    ],
    "two_coins": [
        {"start_a": "0", "start_b": "1"},
        {"start_a": "0", "start_b": "1", "hard": "true"},
        {"start_a": "0", "start_b": "0.5", "weights": "true"},
        {"trials": "1", "tosses": "1"},
        {"true_a": "1", "true_b": "1", "weights": "true", "share_a": "0"},
        {"true_a": "0", "true_b": "0", "tol": "0", "max_iter": "1"},
        {"tosses": "200", "trials": "20", "tol": "0"},
        {"data": "Five published trials", "guess": "Random", "student": "3"},
        {"start_a": "0.5", "start_b": "0.5", "hard": "true"},
        {"true_a": "1", "true_b": "0"},
        {"true_a": "1", "true_b": "0", "hard": "true", "start_a": "1", "start_b": "0"},
        {"trials": "1", "tosses": "2", "weights": "true"},
        {"tosses": "2", "weights": "true", "guess": "Random"},
    ],
    "gaussian_mixture": [
        {"k": "1", "size1": "1"},
        {"k": "1", "size1": "1", "find": "2"},
        {"k": "1", "size1": "2", "floor": "0", "guess": "Random data points"},
        {"size1": "1", "size2": "1", "size3": "1", "floor": "0"},
        {"size1": "10", "size2": "10", "size3": "10", "floor": "0", "guess_seed": "19"},
        {"size1": "10", "size2": "10", "size3": "10", "floor": "0", "hard": "true"},
        {"floor": "10"},
        {"hard": "true", "guess_seed": "34"},
        {"find": "1", "max_iter": "1"},
        {"find": "8", "size1": "20", "size2": "20", "size3": "20", "weights": "false"},
        {"guess": "Typed in", "start_mean1": "1000", "start_sd1": "0.01", "start_mean2": "-1000"},
        {"mean1": "-1000", "mean2": "1000", "sd1": "0.1", "tol": "0", "max_iter": "3"},
    ],
    "mixture_in_the_plane": [
        {"data": "Simulated", "k": "1", "size1": "1"},
        {"data": "Simulated", "k": "1", "size1": "3", "guess": "Random data points", "floor": "0"},
        {"guess": "Random data points", "find": "8", "floor": "0", "max_iter": "500"},
        {"kind": "Round (spherical)", "hard": "true", "find": "1"},
        {"kind": "Along the axes (diagonal)", "weights": "false", "floor": "1"},
        {"start_x1": "1e12", "start_sd_x1": "1e-9", "start_y2": "-1e12", "start_sd_y2": "1e12"},
        {"start_x1": "1e12", "start_sd_x1": "1e-9", "floor": "0", "hard": "true"},
        {"data": "Two rings", "ring_size": "5", "ring_noise": "0", "find": "6", "floor": "0"},
        {"data": "Iris: petals", "find": "2", "guess": "Points that you choose"},
        {
            **{f"size{i}": "5" for i in (1, 2, 3)},
            "data": "Simulated",
            "guess": "Random data points",
            "kind": "Round (spherical)",
            "floor": "0",
        },
    ],
}


# What no text says: numbers that are none, zeros with a sign, and a computer's powers of ten. A
# tolerance is called what its control calls it.
UNWRITTEN = re.compile(r"\bnan\b|\binf\b|-0\.0+\b(?!\d)|(?<!no more than 1)(?<=\d)e[-+]?\d", re.I)


def check_texts(page):
    """Check that all that the page says is written as one writes it."""
    (status,) = page.components("iteration_status")
    rows = [text for row in page.player["rows"] for text in row]
    texts = [page.text, *page.captions, *page.formulas, *page.advice, page.answer or "", *rows]
    texts += [status["end"], page.question or "", *(chart.alt for chart in page.charts)]
    texts += [chart.title for chart in page.charts]
    found = [
        text[max(i.start() - 40, 0) : i.end() + 40]
        for text in texts
        for i in UNWRITTEN.finditer(text)
    ]
    assert found == []
    for table in page.at.dataframe:
        cells = table.value.select_dtypes(exclude="number").to_numpy().ravel()
        for cell in cells[~pd.isna(cells)]:  # what is missing is shown as a dash
            assert not UNWRITTEN.search(str(cell)), table.proto.alt


def check_downloads(downloads):
    """Check that what is missing is left empty, and that no zero has a sign."""
    for name, (content, mime) in downloads.items():
        if mime != "text/csv":
            continue
        for line in content().decode().splitlines()[1:]:
            for cell in line.split(","):
                assert cell.lower() not in {"nan", "inf", "<na>", "none", "-0.0"}, (name, line)


@pytest.mark.parametrize(
    ("name", "query"), [(name, query) for name in RUNNING for query in EXTREMES.get(name, [{}])]
)
def test_all_sections_stand_the_extremes(visit, downloads, name, query):
    prefix = PREFIXES[name]
    everything = {f"{prefix}_{section}": "true" for section in sections_of(BY_NAME[name])}
    page = visit(
        name,
        **{f"{prefix}_{control}": value for control, value in query.items()},
        **everything,
        **{f"{prefix}_starts": "4", f"{prefix}_iter": "2.5", f"{prefix}_observation": "3"},
    )
    # A guess that cannot have made the data has no likelihood to draw.
    undefined = ["movement"] + ["objective"] * (len(page.table) == 1)
    undefined.append("log_height")  # of a component without a share
    for chart in page.charts:
        for data, frame in chart.data.items():
            numbers = frame.select_dtypes("number").drop(columns=undefined, errors="ignore")
            if re.search("missing for|defined for none", chart.alt):  # a cluster alone
                numbers = numbers.drop(columns="value")
            assert np.isfinite(numbers).all(axis=None), (chart.alt, data)
    assert page.section("code").block.code
    check_texts(page)
    check_downloads(downloads)


class TestRidge:
    @pytest.mark.parametrize(
        ("query", "limit"),
        [
            ({"tc_tosses": "1", "tc_guess": "Random"}, "-333.46258"),
            ({"tc_tosses": "2", "tc_guess": "Random", "tc_weights": "true"}, "-530.40554"),
        ],
    )
    def test_nothing_on_it_is_the_best(self, visit, query, limit):
        page = visit("two_coins", **query, tc_many="true", tc_speed="true", tc_hill="true")
        many = page.section("many_starts")
        assert (
            f"All 20 starts are equally good: log-likelihood {limit}, although their parameters "
            "differ. The data cannot tell these apart." in many.text
        )
        assert "best" not in many.frame("where it began and ended")
        assert "hills" not in many.text
        convergence = page.section("convergence").text
        assert "all information is missing" in convergence
        assert "linear rate" not in convergence
        marks = [
            set(c.data["marks"]["mark"]) for c in page.section("hill").charts if "marks" in c.data
        ]
        assert marks == [{"EM ends"}]
        assert any("cannot tell" in advice for advice in page.advice)

    def test_an_ordinary_top_is_none(self, opened):
        page = opened("two_coins")
        assert "level" not in page.section("hill").text
        assert "linear rate" in page.section("convergence").text


def test_a_start_is_shown_as_it_was_typed(visit):
    page = visit("two_coins", tc_start_a="0.2", tc_start_b="0.6")
    assert page.player["rows"][0][:2] == ["0.200", "0.600"]
    assert page.status.endswith("A stands for the true coin B, and B for A.")
    assert "stands for" not in visit("two_coins").status


def test_a_run_that_breaks_off_says_so_once_and_in_words(visit):
    page = visit(
        "gaussian_mixture",
        gm_size1=10,
        gm_size2=10,
        gm_size3=10,
        gm_floor=0.0,
        gm_guess_seed=19,
        gm_max_iter=100,
        gm_convergence="true",
    )
    assert page.status.startswith("**Stopped** at iteration 4: the log-likelihood is no longer")
    for text in (page.status, page.section("convergence").text):
        assert len(re.findall(r"Stopped(?:\*\*)? at iteration", text)) == 1
        assert "collapsed onto a single value" in text
        assert "_" not in text
        assert "objective" not in text


def test_k_means_descends(visit):
    page = visit("k_means", km_many_starts="true", km_convergence="true")
    text = page.section("many_starts").text + page.section("convergence").text
    assert "each run descends into the valley in which it starts" in text
    assert "order of the centroids" in text
    assert "**The last fall** was" in text
    for word in ("EM", "climb", "gain", "component"):
        assert not re.search(rf"\b{word}", text), word
