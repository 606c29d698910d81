"""Every page, through ``app.py``: it runs, and its numbers are those of ``em_core``."""

import io
import re

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from conftest import PREFIXES
from scipy import stats

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    HardEM,
    KMeans,
    Status,
    binomial_mixture,
    fit,
    gaussian,
    gaussian_mixture,
    kmeans,
)
from em_ui.charts import MAX_ITERATIONS
from em_ui.compute import DATA, GUESS, stream

EXAMPLES = ("k_means", "two_coins", "gaussian_mixture")
TITLES = {
    "home": "Understanding the EM algorithm",
    "maximum_likelihood": "Maximum likelihood",
    "k_means": "K-Means",
    "two_coins": "Two coins",
    "gaussian_mixture": "Gaussian mixture",
}
# Settings under which the controls appear that a page does not show at first, and light to compute.
HIDDEN_AT_FIRST = {
    "maximum_likelihood": {},
    "k_means": {"guess": "Typed in", "k": 8, "max_iter": 5},
    "two_coins": {"guess": "Random"},
    "gaussian_mixture": {"guess": "Typed in", "k": 8, "max_iter": 3},
}


def number(pattern: str, text: str) -> float:
    """Return the number that the pattern finds in a text of the page."""
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in {text!r}"
    return float(found.group(1).replace(",", ""))


def extremes(widget):
    """Return the values to try: both bounds, every option, or on and off."""
    if widget.type == "selectbox":
        return widget.options
    if widget.type == "toggle":
        return [not widget.value, widget.value]
    return [widget.min, widget.max]


class TestEveryPage:
    @pytest.mark.parametrize("name", TITLES)
    def test_runs(self, visit, name):
        page = visit(name)
        assert [title.value for title in page.at.title] == [TITLES[name]]
        assert not page.notices
        assert not page.advice

    @pytest.mark.parametrize("name", PREFIXES)
    def test_every_control_moves_to_its_bounds(self, visit, declared, name):
        page = visit(name)
        moved = set()
        for settings in ({}, HIDDEN_AT_FIRST[name]):
            page.set(**settings)
            for control in sorted(set(page.shown()) - moved - {"situation"}):
                before = page.value(control)
                for value in extremes(page.widget(control)):
                    page.set(**{control: value})
                    assert page.value(control) == value
                    assert page.charts, f"{control} = {value}: {[e.value for e in page.at.error]}"
                    # Formatted infinities, not a word such as "information".
                    assert not re.search(r"\b(inf|nan)\b", page.text + "".join(page.advice))
                    assert "-0.0000" not in page.text + "".join(e.value for e in page.at.success)
                page.set(**{control: before})
                moved.add(control)
        assert moved == set(declared[name].specs)

    @pytest.mark.parametrize("name", PREFIXES)
    def test_every_control_has_a_label_of_its_own(self, visit, name):
        page = visit(name)
        page.set(**HIDDEN_AT_FIRST[name])
        labels = [widget.label.strip() for widget in [*page.widgets(), *page.at.button]]
        assert all(labels)
        assert len(set(labels)) == len(labels)

    @pytest.mark.parametrize("name", PREFIXES)
    def test_every_control_is_bound_to_the_url(self, visit, name):
        page = visit(name)
        page.set(**HIDDEN_AT_FIRST[name])
        unbound = [w.label for w in page.widgets() if w.proto.query_param_key != w.key]
        assert unbound == ["Situation"]

    @pytest.mark.parametrize("name", PREFIXES)
    def test_every_chart_and_table_says_what_it_shows(self, visit, name):
        page = visit(name)
        alts = [chart.alt for chart in page.charts]
        assert len(set(alts)) == len(alts)
        assert all(len(alt) > 20 for alt in alts)
        assert all(table.proto.alt for table in page.at.dataframe)

    def test_the_loop_on_the_start_page_is_described(self, visit):
        (diagram,) = (m.value for m in visit("home").at.markdown if "flowchart" in m.value)
        assert "stAlt: The EM loop: from an initial guess to the E-step" in diagram

    def test_start_page_leads_to_every_example(self, visit):
        links = visit("home").at.page_link
        # The name of the file or of the address, as AppTest has it.
        assert [link.proto.page.replace("-", "_") for link in links] == list(PREFIXES)

    def test_widgets_enforce_the_limits(self, visit):
        km = visit("k_means")
        assert km.widget("k").max == 8
        assert km.widget("k").max * km.widget("size").max <= 100_000
        tc = visit("two_coins")
        assert tc.widget("trials").max == 100_000
        assert tc.widget("tosses").max == 200
        gm = visit("gaussian_mixture")
        assert gm.widget("k").max == 8
        assert gm.widget("k").max * gm.widget("size1").max <= 100_000
        assert visit("maximum_likelihood").widget("size").max == 100_000
        for page in (km, tc, gm):
            assert page.widget("max_iter").max == MAX_ITERATIONS == 500


class TestSituations:
    @pytest.mark.parametrize("name", PREFIXES)
    def test_each_can_be_chosen_and_is_then_shown(self, visit, declared, name):
        page = visit(name)
        first = page.value("situation")
        for situation, values in declared[name].situations.items():
            page.set(situation=situation)
            assert page.value("situation") == situation
            for control in sorted(set(page.shown()) - {"situation"}):
                default = declared[name].specs[control].default
                assert page.value(control) == values.get(control, default)
        page.set(situation=first)
        assert page.link == visit(name).link

    @pytest.mark.parametrize("name", PREFIXES)
    def test_are_values_that_the_controls_allow(self, declared, name):
        controls = declared[name]
        for values in controls.situations.values():
            for control, value in values.items():
                assert controls.specs[control].nearest(value) == value

    @pytest.mark.parametrize("name", PREFIXES)
    def test_any_change_makes_them_the_readers_own(self, visit, name):
        page = visit(name)
        page.set(data_seed=123)
        assert page.value("situation") == "Your own settings"
        page.set(data_seed=visit(name).value("data_seed"))
        assert page.value("situation") == page.widget("situation").options[0]

    @pytest.mark.parametrize("name", PREFIXES)
    def test_reset_brings_every_default_back(self, visit, declared, name):
        page, fresh = visit(name), visit(name)
        page.set(**HIDDEN_AT_FIRST[name])
        for control in sorted(set(page.shown()) - {"situation", *HIDDEN_AT_FIRST[name]}):
            page.set(**{control: extremes(page.widget(control))[0]})
        page.press("reset")
        assert page.link == fresh.link
        assert page.value("situation") == fresh.value("situation")
        page.set(**HIDDEN_AT_FIRST[name])
        for control, spec in declared[name].specs.items():
            if control in page.shown() and control not in HIDDEN_AT_FIRST[name]:
                assert page.value(control) == spec.default


def check_run(page, trace, truth_gap, *, fields, objective, sign=1):
    """Check the status line, the player and the iteration table against a trace."""
    if trace.converged:
        assert page.status.startswith("**Converged**")
        assert page.at.success
    else:
        assert trace.status is Status.MAX_ITER
        assert page.status.startswith("**Not converged yet:**")
        assert page.at.info
    assert number(r"([\d,]+) iterations?\b", page.status) == trace.n_iter
    shown = number(rf"{objective} (-?[\d,.]+)\. ", page.status)
    assert shown == pytest.approx(sign * trace.final.objective, abs=5e-5)
    assert number(r"from the truth: ([\d.e-]+)\.$", page.status) == pytest.approx(
        truth_gap, rel=1e-3
    )

    assert list(page.table["iteration"]) == list(range(trace.n_iter + 1))
    for column, value in fields.items():
        expected = [value(step.params) for step in trace.steps]
        np.testing.assert_array_equal(page.table[column], expected)
    (title,) = set(page.table.columns) & {"log-likelihood", "inertia"}
    np.testing.assert_array_equal(page.table[title], sign * trace.objectives)
    np.testing.assert_array_equal(page.table["gain"][1:], np.diff(trace.objectives))
    assert np.isnan(page.table["gain"][0])

    player = page.player
    assert player["columns"][-1] == objective
    assert len(player["rows"]) == trace.n_iter + 1
    for row, step in zip(player["rows"], trace.steps, strict=True):
        assert len(row) == len(player["columns"])
        assert float(row[-1].replace(",", "")) == pytest.approx(sign * step.objective, abs=5e-5)


class TestKMeans:
    @pytest.mark.parametrize(
        ("settings", "k"),
        [({}, 3), ({"guess_seed": 5}, 3), ({"k": 5, "spread": 2.5, "tol": "1e-2"}, 5)],
    )
    def test_numbers(self, visit, settings, k):
        page = visit("k_means")
        page.set(**settings)
        sample = kmeans.simulate([200] * k, spread=settings.get("spread", 1.0), rng=stream(6, DATA))
        start = kmeans.guess_from_points(
            sample.data, k, rng=stream(settings.get("guess_seed", 1), GUESS)
        )
        tol = float(settings.get("tol", 0))
        trace = fit(KMeans(), sample.data, start, tol=tol, max_iter=100)
        # The page pairs centroids with true centres; there are few enough to try every way.
        order, gaps = nearest_order(trace.final.params.centroids, sample.truth.centroids)
        trace = trace.relabel(order)
        check_run(
            page,
            trace,
            gaps.max(),
            fields={
                f"centroids {j + 1} {axis}": lambda p, j=j, i=i: p.centroids[j, i]
                for j in range(k)
                for i, axis in enumerate("xy")
            },
            objective="Inertia",
            sign=-1,
        )
        assert page.player["columns"] == ["Inertia"]

    def test_guesses_have_a_seed_of_their_own(self, visit):
        page = visit("k_means")
        data, start = page.charts[0].data["points"], page.table.iloc[0]
        page.set(guess_seed=2)
        moved = page.charts[0].data["points"]
        pd.testing.assert_frame_equal(moved[["x", "y"]], data[["x", "y"]])
        assert not page.table.iloc[0].equals(start)

    def test_typed_start_is_the_first_row(self, visit):
        page = visit("k_means")
        page.set(guess="Typed in", start_x1=1.5, start_y1=-2.5)
        centroids = page.table.iloc[0].filter(like="centroids").to_numpy().reshape(3, 2)
        assert {tuple(c) for c in centroids} == {(1.5, -2.5), (-2.0, -2.0), (-1.0, -1.0)}

    def test_many_points_are_sampled_for_the_picture_alone(self, visit):
        page = visit("k_means", km_k="3", km_size="1000")
        drawn = page.charts[0].data["points"]
        data = kmeans.simulate([1000] * 3, spread=1.0, rng=stream(6, DATA)).data
        assert len(drawn) == 2_000
        everything = {tuple(point) for point in data}
        assert {tuple(point) for point in drawn[["x", "y"]].to_numpy()} <= everything
        caption = page.at.caption[0].value
        assert "2,000 of the 3,000 points" in caption
        page.set(guess_seed=3)
        fixed = page.charts[0].data["points"]
        pd.testing.assert_frame_equal(fixed[["x", "y"]], drawn[["x", "y"]])

    def test_says_nothing_of_a_sample_when_all_points_are_drawn(self, visit):
        assert "sample" not in visit("k_means").at.caption[0].value


def nearest_order(estimates, truths):
    """Return the pairing with the least squared distance, and its distances, by trying all."""
    from itertools import permutations

    estimates = estimates.reshape(len(estimates), -1)
    truths = truths.reshape(len(truths), -1)
    order = min(
        permutations(range(len(truths))),
        key=lambda order: ((estimates[list(order)] - truths) ** 2).sum(),
    )
    return list(order), np.linalg.norm(estimates[list(order)] - truths, axis=1)


def coin_weights(heads, tosses, probabilities, shares=(0.5, 0.5)):
    """Return each coin's responsibility by Bayes' rule, the slow way."""
    joint = np.array(
        [
            share * stats.binom.pmf(heads, tosses, p)
            for p, share in zip(probabilities, shares, strict=True)
        ]
    )
    return (joint / joint.sum(axis=0)).T


class TestTwoCoins:
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"start_a": 0.1, "start_b": 0.9},
            {"hard": True},
            {"weights": True, "share_a": 0.25, "tol": "1e-8"},
            {"guess": "Random", "guess_seed": 3, "tosses": 7, "trials": 61},
            {"max_iter": 2},
        ],
        ids=str,
    )
    def test_numbers(self, visit, settings):
        page = visit("two_coins")
        page.set(**settings)
        s = {name: page.value(name) for name in page.shown()}
        truth = BinomialParams([0.6, 0.2], [s["share_a"], 1 - s["share_a"]])
        sample = binomial_mixture.simulate(
            truth, n_tosses=s["tosses"], n_trials=s["trials"], rng=stream(1, DATA)
        )
        if s["guess"] == "Random":
            start = binomial_mixture.guess_uniform(
                sample.data, 2, rng=stream(s["guess_seed"], GUESS)
            )
        else:
            start = BinomialParams([s["start_a"], s["start_b"]], [0.5, 0.5])
        model = BinomialMixture(s["tosses"], estimate_weights=s["weights"])
        trace = fit(
            HardEM(model) if s["hard"] else model,
            sample.data,
            start,
            tol=float(s["tol"]),
            max_iter=s["max_iter"],
        )
        order, gaps = nearest_order(trace.final.params.heads_prob, truth.heads_prob)
        trace = trace.relabel(order)
        check_run(
            page,
            trace,
            gaps.max(),
            fields={
                f"{field} {coin}": lambda p, field=field, k=k: getattr(p, field)[k]
                for field in ("heads_prob", "weights")
                for k, coin in enumerate("AB")
            },
            objective="Classification log-likelihood" if s["hard"] else "Log-likelihood",
        )
        thetas = ["θ A", "θ B"] + (["π A", "π B"] if s["weights"] else [])
        assert page.player["columns"][:-1] == thetas
        for row, step in zip(page.player["rows"], trace.steps, strict=True):
            values = [*step.params.heads_prob, *step.params.weights][: len(thetas)]
            assert row[:-1] == [f"{value:.3f}" for value in values]

    def test_published_trials(self, visit):
        page = visit("two_coins")
        page.set(situation="Do and Batzoglou")
        rounded = page.table[["heads_prob A", "heads_prob B"]].round(3)
        assert list(rounded.iloc[1]) == [0.713, 0.581]
        page.set(tol="0", max_iter=10)
        rounded = page.table[["heads_prob A", "heads_prob B"]].round(3)
        assert list(rounded.iloc[10]) == [0.797, 0.520]
        assert page.player["rows"][10][:2] == ["0.797", "0.520"]

    def test_published_trials_show_the_tenth_iteration_without_further_ado(self, visit):
        page = visit("two_coins")
        page.set(situation="Do and Batzoglou")
        row = page.table.set_index("iteration").loc[10]
        assert [round(row[f"heads_prob {coin}"], 3) for coin in "AB"] == [0.797, 0.520]

    def test_table_is_shown_to_three_digits(self, visit):
        page = visit("two_coins")
        assert page.at.dataframe[0].proto.columns.count('"format": "%.3f"') == 2

    def test_published_shares_and_sums(self, visit):
        page = visit("two_coins")
        page.set(situation="Do and Batzoglou")
        shares = page.at.dataframe[1].value
        assert list(shares["weight A"].round(3)) == [0.449, 0.805, 0.733, 0.352, 0.647]
        assert "Coin A is given 21.30 heads and 8.57 tails" in page.text
        assert "Coin B is given 11.70 heads and 8.43 tails" in page.text
        assert "= 0.713$" in page.text
        assert "= 0.581$" in page.text

    @pytest.mark.parametrize("iteration", [0, 3])
    def test_shares_of_each_trial(self, visit, iteration):
        page = visit("two_coins", tc_row=str(iteration))
        heads = binomial_mixture.simulate(
            BinomialParams([0.6, 0.2], [0.5, 0.5]), n_tosses=10, n_trials=500, rng=stream(1, DATA)
        ).data
        table = page.at.dataframe[1].value
        np.testing.assert_array_equal(table["heads"], heads)
        np.testing.assert_array_equal(table["tails"], 10 - heads)
        now, after = (
            page.table.loc[page.table["iteration"] == t, ["heads_prob A", "heads_prob B"]]
            for t in (iteration, iteration + 1)
        )
        weights = coin_weights(heads, 10, now.to_numpy()[0])
        for k, coin in enumerate("AB"):
            np.testing.assert_allclose(table[f"weight {coin}"], weights[:, k], rtol=1e-9)
            np.testing.assert_allclose(table[f"heads to {coin}"], weights[:, k] * heads, rtol=1e-9)
            np.testing.assert_allclose(
                table[f"tails to {coin}"], weights[:, k] * (10 - heads), rtol=1e-9
            )
            given = rf"Coin {coin} is given ([\d,.]+) heads"
            assert number(given, page.text) == pytest.approx(weights[:, k] @ heads, abs=0.005)
            made = rf"\\theta_{coin} = .*?= ([\d.]+)\$"
            assert number(made, page.text) == pytest.approx(after.to_numpy()[0, k], abs=5e-4)

    def test_sums_are_over_all_trials_where_not_all_are_listed(self, visit):
        page = visit("two_coins", tc_trials="1500")
        assert len(page.at.dataframe[1].value) == 1_000
        assert any("1,000 of 1,500 trials" in caption.value for caption in page.at.caption)
        given = [number(rf"Coin {coin} is given ([\d,.]+) heads", page.text) for coin in "AB"]
        heads = binomial_mixture.simulate(
            BinomialParams([0.6, 0.2], [0.5, 0.5]), n_tosses=10, n_trials=1500, rng=stream(1, DATA)
        ).data
        assert sum(given) == pytest.approx(heads.sum(), abs=0.02)

    def test_share_step_beyond_the_last_iteration_shows_the_last(self, visit):
        page = visit("two_coins", tc_row="499")
        last = page.table["iteration"].iloc[-1]
        assert f"at iteration {last}" in page.at.dataframe[1].proto.alt


class TestGaussianMixture:
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"hard": True, "guess": "Random data points"},
            {"weights": False, "k": 2, "max_iter": 500},
            {"k": 4, "data_seed": 5, "guess_seed": 9, "size1": 50},
        ],
        ids=str,
    )
    def test_numbers(self, visit, settings):
        page = visit("gaussian_mixture")
        page.set(**settings)
        s = {name: page.value(name) for name in page.shown()}
        k = s["k"]
        sample = gaussian_mixture.simulate(
            *([s[f"{field}{i}"] for i in range(1, k + 1)] for field in ("mean", "sd", "size")),
            rng=stream(s["data_seed"], DATA),
        )
        guess = {
            "Whole numbers, as in the article": gaussian_mixture.guess_integers,
            "Random data points": gaussian_mixture.guess_from_points,
        }[s["guess"]]
        start = guess(sample.data, k, rng=stream(s["guess_seed"], GUESS))
        model = GaussianMixture(min_std=0.05, estimate_weights=s["weights"])
        trace = fit(
            HardEM(model) if s["hard"] else model,
            sample.data,
            start,
            tol=1e-6,
            max_iter=s["max_iter"],
        )
        order, gaps = nearest_order(trace.final.params.means, sample.truth.means)
        trace = trace.relabel(order)
        check_run(
            page,
            trace,
            gaps.max(),
            fields={
                f"{field} {i + 1}": lambda p, field=field, i=i: getattr(p, field)[i]
                for field in ("means", "stds", "weights")
                for i in range(k)
            },
            objective="Classification log-likelihood" if s["hard"] else "Log-likelihood",
        )
        symbols = "μσπ" if s["weights"] else "μσ"
        assert page.player["columns"][:-1] == [f"{c} {i + 1}" for c in symbols for i in range(k)]
        final = trace.final.params
        texts = [f"{x:.2f}" for x in [*final.means, *final.stds]]
        assert page.player["rows"][-1][: 2 * k] == texts

    def test_stills_are_those_of_the_articles_figure(self, visit):
        page = visit("gaussian_mixture")
        stills = page.charts[-3:]
        table = page.table.set_index("iteration")
        for still, iteration in zip(stills, (0, 5, 20), strict=True):
            assert f"after {iteration} iterations" in still.alt
            steps = still.data["steps"].set_index("component")
            for i in "123":
                for field in ("means", "stds", "weights"):
                    assert steps.loc[i, field] == table.loc[iteration, f"{field} {i}"]

    def test_stills_of_a_short_run_end_with_its_last_iteration(self, visit):
        page = visit("gaussian_mixture", gm_max_iter="3")
        headings = [m.value for m in page.at.markdown if m.value.startswith(("**After", "**Init"))]
        assert headings == ["**Initial guess**", "**After 3 iterations**"]

    def test_weights_are_shown_only_where_they_are_estimated(self, visit):
        page = visit("gaussian_mixture")
        assert "**Mixing weight**" in page.text
        page.set(weights=False)
        assert "**Mixing weight**" not in page.text
        assert (page.table.filter(like="weights") == 1 / 3).all(axis=None)

    def test_two_heights_as_one_example(self, visit):
        page = visit("gaussian_mixture")
        page.set(situation="Heights of men and women")
        assert page.value("k") == 2
        assert not page.advice


class TestMaximumLikelihood:
    def test_likelihoods(self, visit):
        page = visit("maximum_likelihood", ml_guess_mean="168.5", ml_guess_std="9.5")
        heights = gaussian.simulate(170.0, 10.0, 1000, rng=stream(1, DATA))
        yours = stats.norm.logpdf(heights, 168.5, 9.5).sum()
        best = stats.norm.logpdf(heights, heights.mean(), heights.std()).sum()
        shown = [float(metric.value.replace(",", "")) for metric in page.at.metric]
        assert shown == pytest.approx([yours, best, best - yours], abs=0.006)
        assert rf"\hat\mu = {heights.mean():.2f}$" in page.text
        assert rf"\hat\sigma = {heights.std():.2f}$" in page.text

    def test_density_of_the_guess_over_the_histogram(self, visit):
        page = visit("maximum_likelihood")
        chart = page.charts[0]
        heights = gaussian.simulate(170.0, 10.0, 1000, rng=stream(1, DATA))
        bars = chart.data["bars"]
        assert (bars["height"] * (bars["high"] - bars["low"])).sum() == pytest.approx(1)
        for name, (mean, std) in {
            "Your guess": (162.0, 14.0),
            "Maximum likelihood": (heights.mean(), heights.std()),
        }.items():
            curve = chart.data["curves"][chart.data["curves"]["curve"] == name]
            np.testing.assert_allclose(curve["density"], stats.norm.pdf(curve["x"], mean, std))

    @pytest.mark.parametrize(
        "guess", [(162.0, 14.0), (100.0, 30.0), (250.0, 1.0), (169.5, 9.9)], ids=str
    )
    def test_both_marks_lie_on_the_hill(self, visit, guess):
        mean, std = guess
        page = visit("maximum_likelihood", ml_guess_mean=str(mean), ml_guess_std=str(std))
        chart = page.charts[1]
        marks, cells = chart.data["marks"].set_index("mark"), chart.data["surface"]
        assert tuple(marks.loc["Your guess"]) == (mean, std)
        for axis in "xy":
            assert (
                marks[axis].between(cells[f"{axis}_low"].min(), cells[f"{axis}_high"].max()).all()
            )
        # The maximum lies in the band of the least loss.
        x, y = marks.loc["Maximum likelihood"]
        here = cells[
            (cells["x_low"] <= x)
            & (x < cells["x_high"])
            & (cells["y_low"] <= y)
            & (y < cells["y_high"])
        ]
        assert list(here["band"]) == [0]

    def test_closed_form_of_two_groups_needs_the_labels(self, visit):
        page = visit("maximum_likelihood")
        assert "no formula" not in page.text
        (curve,) = page.charts[2].data["steps"].itertuples()
        assert curve.component == "Adults"
        page.set(labels=True)
        spread = 10 * np.sqrt(1 - 0.7**2)
        sample = gaussian_mixture.simulate(
            [163.0, 177.0], [spread, spread], [500, 500], rng=stream(1, DATA, 1)
        )
        women, men = (sample.data[sample.labels == k] for k in (0, 1))
        assert f"women {women.mean():.2f} ± {women.std():.2f} cm" in page.text
        assert f"men {men.mean():.2f} ± {men.std():.2f} cm" in page.text
        groups = page.charts[2].data["bars"].groupby("component")["height"].sum()
        assert groups["Men"] == pytest.approx(groups["Women"])

    @pytest.mark.parametrize(
        "population",
        [
            {},
            {"ml_mean": "100", "ml_std": "30", "ml_size": "2"},
            {"ml_mean": "250", "ml_std": "1", "ml_size": "100000"},
        ],
        ids=str,
    )
    def test_bridge_to_em_is_a_link_without_a_fault(self, visit, population):
        page = visit("maximum_likelihood", **population)
        link = page.at.page_link[-1].proto
        query = dict(pair.split("=") for pair in link.query_string.split("&"))
        query = {name: value.replace("+", " ") for name, value in query.items()}
        mixture = visit("gaussian_mixture", **query)
        assert not mixture.notices
        assert mixture.value("k") == 2
        assert mixture.value("guess") == "Random data points"
        centre = (mixture.value("mean1") + mixture.value("mean2")) / 2
        assert centre == pytest.approx(page.value("mean"), abs=0.1)


THREE_VALUES = {f"gm_size{i}": "1" for i in (1, 2, 3)}


class TestAdvice:
    """Each finding appears where it holds, alone or with what it implies."""

    @pytest.mark.parametrize(
        ("name", "query", "openings"),
        [
            ("two_coins", {"tc_start_a": "0.5", "tc_start_b": "0.5"}, ["Both coins ended"]),
            ("two_coins", {"tc_start_a": "0.2", "tc_start_b": "0.8"}, ["EM has given the coins"]),
            ("two_coins", {"tc_start_a": "1"}, ["This is a poor optimum"]),
            ("two_coins", {"tc_max_iter": "1"}, ["EM is not there yet"]),
            ("two_coins", {"tc_start_a": "0", "tc_start_b": "1"}, []),
            (
                "two_coins",
                {
                    "tc_hard": "true",
                    "tc_start_a": "1",
                    "tc_start_b": "0.99",
                    "tc_data": "Five published trials",
                },
                ["One coin has no trials left", "This is a poor optimum"],
            ),
            ("k_means", {"km_guess_seed": "5"}, ["This is a poor optimum"]),
            ("k_means", {"km_max_iter": "1"}, ["K-Means is not there yet"]),
            (
                "k_means",
                {"km_guess": "Typed in", "km_start_x1": "-50", "km_start_y1": "-50"},
                ["Centroid 2 has no points", "This is a poor optimum"],
            ),
            (
                "gaussian_mixture",
                {"gm_max_iter": "500", "gm_guess_seed": "3"},
                ["This is a poor optimum"],
            ),
            ("gaussian_mixture", {"gm_max_iter": "1"}, ["EM is not there yet"]),
            (
                "gaussian_mixture",
                {"gm_guess": "Typed in", "gm_start_mean1": "1000", "gm_start_sd1": "1"},
                ["A component has lost all its values", "This is a poor optimum"],
            ),
            ("gaussian_mixture", THREE_VALUES, ["A component is as narrow as the smallest"]),
            ("gaussian_mixture", {**THREE_VALUES, "gm_floor": "0"}, ["A component has collapsed"]),
            ("gaussian_mixture", {"gm_floor": "10"}, ["A component is as narrow as the smallest"]),
        ],
        ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else None,
    )
    def test_appears(self, visit, name, query, openings):
        page = visit(name, **query)
        assert len(page.advice) == len(openings)
        for advice, opening in zip(page.advice, openings, strict=True):
            assert advice.startswith(opening)

    def test_saddle_is_where_both_coins_agree(self, visit):
        page = visit("two_coins")
        page.set(situation="The same start for both coins")
        end = page.table.iloc[-1]
        assert end["heads_prob A"] == pytest.approx(end["heads_prob B"], abs=1e-12)

    @pytest.mark.parametrize(
        ("name", "query"),
        [
            ("two_coins", {"tc_start_a": "0", "tc_start_b": "1"}),
            ("gaussian_mixture", {**THREE_VALUES, "gm_floor": "0"}),
        ],
    )
    def test_run_without_a_finite_likelihood_is_an_error_in_words(self, visit, name, query):
        page = visit(name, **query)
        assert page.status.startswith("**Stopped.**")
        assert page.at.error
        # What can be drawn, is: the last step is left out unless it is the guess itself.
        assert np.isfinite(page.table["log-likelihood"].iloc[:-1]).all()
        drawn = page.charts[1].data["steps"]["iteration"].max()
        assert drawn == max(page.table["iteration"].max() - 1, 0)

    def test_poor_optimum_says_how_much_is_missed(self, visit):
        page = visit("k_means", km_guess_seed="5")
        sample = kmeans.simulate([200] * 3, spread=1.0, rng=stream(6, DATA))
        from_truth = fit(KMeans(), sample.data, sample.truth, tol=0, max_iter=100)
        assert f"falls to {-from_truth.final.objective:,.1f}." in page.advice[0]

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_is_silent_on_a_good_run(self, visit, name):
        page = visit(name)
        assert not page.advice
        if name == "gaussian_mixture":
            page.set(max_iter=500, guess="Random data points", guess_seed=2)
            assert page.at.success
            assert not page.advice


class TestDownload:
    @pytest.mark.parametrize("name", EXAMPLES)
    def test_holds_the_table_with_all_its_digits(self, visit, monkeypatch, name):
        given = {}
        original = st.download_button

        def download_button(label, data, file_name, mime, **options):
            given.update(data=data, file_name=file_name, mime=mime)
            return original(label, data, file_name, mime, **options)

        monkeypatch.setattr(st, "download_button", download_button)
        page = visit(name)
        assert given["file_name"] == f"{page.prefix}-iterations.csv"
        assert given["mime"] == "text/csv"
        downloaded = pd.read_csv(io.BytesIO(given["data"]()))
        pd.testing.assert_frame_equal(downloaded, page.table, check_exact=True)
