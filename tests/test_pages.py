"""Every page, through ``app.py``: it runs, and its numbers are those of ``em_core``."""

import io
import re
import urllib.parse
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import simulated
from conftest import BY_NAME, PREFIXES, RUNNING, WIDGETS, Chart, run_at, said
from scipy import stats

from em_core import BinomialMixture, BinomialParams, GaussianMixture, HardEM, KMeans, Status, fit
from em_core.models import binomial_mixture, gaussian, gaussian_mixture, kmeans
from em_ui.controls import Section
from em_ui.data import OWN
from em_ui.pictures.charts import MAX_ITERATIONS
from em_ui.run import DATA, GUESS, stream
from pages import LESSONS
from pages.gaussian_mixture import problem as gm
from pages.maximum_likelihood import problem as ml

TITLES = {
    "home": "Understanding the EM algorithm",
    **{lesson.name: lesson.title for lesson in LESSONS},
}
# Settings under which the controls appear that a page does not show at first, and light to compute.
HIDDEN_AT_FIRST = {
    "k_means": {"guess": "Typed in", "k": 8, "max_iter": 5},
    "two_coins": {"guess": "Random"},
    "gaussian_mixture": {"guess": "Typed in", "k": 8, "max_iter": 3},
    "mixture_in_the_plane": {"find": 8, "max_iter": 3},
}
# And those that other settings bring, once these have gone back.
HIDDEN_THEN = {
    "k_means": [{"guess": "Points that you choose", "k": 8, "max_iter": 5}],
    "mixture_in_the_plane": [
        {"data": "Simulated", "guess": "Points that you choose", "k": 8, "max_iter": 3},
        {"data": "Two rings", "guess": "Random data points", "find": 0},
    ],
}
# Links under which all that changes only the view is there.
VIEWS = {
    "k_means": [{"km_place": "true"}, {"km_data": "Iris"}],
    "mixture_in_the_plane": [{"gp_place": "true"}, {"gp_data": "Simulated", "gp_k": "1"}],
}
# How many situations there are at the least, where they are more than a few.
SITUATIONS = {
    "maximum_likelihood": 3,
    "k_means": 7,
    "two_coins": 7,
    "gaussian_mixture": 7,
    "mixture_in_the_plane": 7,
}
# A control to move on a page that does not simulate its data at first, and its new value.
INSTEAD_OF_THE_SEED = {"mixture_in_the_plane": {"floor": 0.05}}


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


def rounds(names):
    """Return which controls to move together: each alone, but of a numbered row only the first."""
    rows = {}
    for name in sorted(names):
        rows.setdefault(name.rstrip("0123456789"), []).append(name)
    for row in rows.values():
        yield row[:1]
        if row[1:]:
            yield row[1:]


@pytest.fixture(scope="module")
def everything(visit):
    """Return a function that gives a page with all there can be on it. To be read only."""
    pages = {}

    def show(name):
        if name not in pages:
            pages[name] = visit(name)
            pages[name].set(**HIDDEN_AT_FIRST.get(name, {}))
            pages[name].open(*pages[name].sections())
        return pages[name]

    return show


class TestEveryPage:
    @pytest.mark.parametrize("name", TITLES)
    def test_runs(self, visit, name):
        page = visit(name)  # whose answer is opened by who asks for advice
        assert page.title == TITLES[name]
        assert not page.notices
        assert not page.advice

    @pytest.mark.parametrize("name", PREFIXES)
    def test_every_control_moves_to_its_bounds(self, visit, declared, name):
        page = visit(name)
        moved = set()
        for settings in ({}, HIDDEN_AT_FIRST.get(name, {}), *HIDDEN_THEN.get(name, [])):
            page.set(**settings)
            back = {}
            for row in rounds(set(page.shown()) - moved - {"situation", *declared[name].view}):
                back = self.move(page, row, back)
                moved |= set(row)
            page.set_at_once(**back)
        assert moved == set(declared[name].specs) - {"own"}

    @pytest.mark.parametrize("name", RUNNING)
    def test_every_control_of_the_view_moves_to_its_bounds(self, visit, declared, name):
        moved = set()
        pages = [visit(name, **query) for query in VIEWS.get(name, [{}])]
        for page in pages:
            for section in page.sections():
                page.open(section)
                new = set(page.shown()) - set(declared[name].specs) - {"situation"}
                back = {}
                for row in rounds(new):
                    back = self.move(page, row, back)
                page.set_at_once(**back)
                moved |= new
        view = declared[name].view
        sections = {control for control, spec in view.items() if isinstance(spec, Section)}
        assert moved == set(view) - sections - {"iter"}

    def move(self, page, row, earlier):
        """Move controls of one kind to their bounds; return what brings them back.

        ``earlier`` brings the controls that were moved before back, in the same run if it can.
        """
        if not {*row, *earlier} <= set(page.shown()):
            page.set_at_once(**earlier)
            earlier = {}
        before = {control: page.value(control) for control in row}
        for value in extremes(page.widget(row[0])):
            page.set_at_once(**dict.fromkeys(row, value), **earlier)
            earlier = {}
            assert [page.value(control) for control in row] == [value] * len(row)
            if value == OWN:
                assert any(told.value.startswith("There are no numbers") for told in page.at.info)
                continue
            assert page.charts, f"{row} = {value}: {[e.value for e in page.at.error]}"
            # Formatted infinities, not a word such as "information".
            assert not re.search(r"\b(inf|nan)\b", page.text + "".join(page.advice))
            ends = [data["end"] for data in page.components("iteration_status")]
            assert "-0.0000" not in page.text + "".join(ends)
        return before

    @pytest.mark.parametrize("name", PREFIXES)
    def test_every_control_has_a_label_of_its_own(self, everything, name):
        page = everything(name)
        elements = [*page.widgets(), *page.at.button, *page.at.expander, *page.at.download_button]
        labels = [element.label.strip() for element in elements]
        assert all(labels)
        assert len(set(labels)) == len(labels)

    @pytest.mark.parametrize("name", PREFIXES)
    def test_every_control_is_bound_to_the_url(self, everything, name):
        page = everything(name)
        cells = {cell.key for cell in page.cells()}
        widgets = [w for w in page.widgets() if w.key not in cells]
        unbound = {page.name_of(w) for w in widgets if w.proto.query_param_key != w.key}
        assert unbound == {"situation"}
        (address,) = filter(None, (data["address"] for data in page.components("copy_link")))
        assert set(address["numbers"]) == cells

    @pytest.mark.parametrize("name", PREFIXES)
    def test_every_chart_and_table_says_what_it_shows(self, opened, name):
        page = opened(name)
        alts = [chart.alt for chart in page.charts]
        assert len(set(alts)) == len(alts)
        assert all(len(alt) > 20 for alt in alts)
        assert all(len(table.proto.alt) > 20 for table in page.at.dataframe)

    def test_the_loop_on_the_start_page_is_described(self, plain):
        (diagram,) = (m.value for m in plain("home").at.markdown if "flowchart" in m.value)
        assert "stAlt: The EM loop: from an initial guess to the E-step" in diagram

    def test_start_page_leads_to_every_example(self, plain):
        links = plain("home").at.page_link
        # The name of the file or of the address, as AppTest has it.
        assert [link.proto.page.replace("-", "_") for link in links] == list(PREFIXES)

    def test_widgets_enforce_the_limits(self, plain):
        km = plain("k_means")
        assert km.widget("k").max == 8
        assert km.widget("k").max * km.widget("size").max <= 100_000
        tc = plain("two_coins")
        assert tc.widget("trials").max == 100_000
        assert tc.widget("tosses").max == 200
        gm = plain("gaussian_mixture")
        assert gm.widget("k").max == 8
        assert gm.widget("k").max * gm.widget("size1").max <= 100_000
        assert plain("maximum_likelihood").widget("size").max == 100_000
        for page in (km, tc, gm):
            assert page.widget("max_iter").max == MAX_ITERATIONS == 500


class TestSituations:
    @pytest.mark.parametrize("name", PREFIXES)
    def test_each_can_be_chosen_and_is_then_shown(self, visit, plain, declared, name):
        page = visit(name)
        first = page.value("situation")
        for title, situation in declared[name].situations.items():
            page.set(situation=title)
            wanted = dict(situation.values)
            assert page.value("situation") == title
            for control in sorted(set(page.shown()) - {"situation", *declared[name].view}):
                default = declared[name].specs[control].default
                assert page.value(control) == wanted.get(control, default)
            assert page.question == said(name, situation, situation.question)
            assert page.answer.startswith(said(name, situation, situation.answer))
        page.set(situation=first)
        assert page.link == plain(name).link

    @pytest.mark.parametrize("name", PREFIXES)
    def test_are_values_that_the_controls_allow(self, declared, name):
        controls = declared[name]
        for situation in controls.situations.values():
            for control, value in dict(situation.values).items():
                assert controls.specs[control].nearest(value) == value

    @pytest.mark.parametrize("name", PREFIXES)
    def test_have_a_question_and_an_answer(self, declared, name):
        situations = declared[name].situations
        assert len(situations) >= SITUATIONS.get(name, 2)
        for situation in situations.values():
            answer = said(name, situation, situation.answer)
            assert said(name, situation, situation.question).endswith("?")
            assert len(answer) > 40
            assert answer.endswith((".", ")"))
        assert len({s.question for s in situations.values()}) == len(situations)

    @pytest.mark.parametrize("name", PREFIXES)
    def test_any_other_change_is_based_on_them(self, visit, plain, declared, name):
        page = visit(name)
        first = page.value("situation")
        changed = INSTEAD_OF_THE_SEED.get(name, {"data_seed": 123})
        page.set(**changed)
        assert page.value("situation") == f"Based on “{first}”"
        # What is asked and answered stays, as the situation's own.
        situation = declared[name].situations[first]
        assert page.question == said(name, situation, situation.question)
        assert page.answer.startswith(said(name, situation, situation.answer))
        page.set(**{control: plain(name).value(control) for control in changed})
        assert page.value("situation") == page.widget("situation").options[0]

    def test_late_word_of_the_old_situation_undoes_nothing(self, visit):
        # A browser may send its next change before it has heard what the last one led to.
        page = visit("two_coins")
        old = page.widget("situation")._widget_state
        page.set(data_seed=123)
        page.send(old)
        assert page.value("data_seed") == 123
        assert page.value("situation") == "Based on “Wang’s article”"

    @pytest.mark.parametrize("name", PREFIXES)
    def test_reset_brings_every_default_back(self, visit, plain, declared, name):
        page, fresh = visit(name), plain(name)
        page.set(**HIDDEN_AT_FIRST.get(name, {}))
        changed = sorted(set(page.shown()) - {"situation", *HIDDEN_AT_FIRST.get(name, {})})
        page.set_at_once(**{control: extremes(page.widget(control))[0] for control in changed})
        page.press("reset")
        assert page.link == fresh.link
        assert page.value("situation") == fresh.value("situation")
        page.set(**HIDDEN_AT_FIRST.get(name, {}))
        for control, spec in declared[name].specs.items():
            if control in page.shown() and control not in HIDDEN_AT_FIRST.get(name, {}):
                assert page.value(control) == spec.default


def check_run(page, trace, truth_gap, *, fields, objective, sign=1):
    """Check the status line, the player and the iteration table against a trace."""
    if trace.converged:
        assert page.status.startswith("**Converged**")
        assert page.ending == "success"
    else:
        assert trace.status is Status.MAX_ITER
        assert page.status.startswith("**Not converged yet:**")
        assert page.ending == "info"
    assert number(r"([\d,]+) iterations?\b", page.status) == trace.n_iter
    shown = number(rf"{objective} (-?[\d,.]+)\. ", page.status)
    assert shown == pytest.approx(sign * trace.final.objective, abs=5e-5)
    words = BY_NAME[page.name].module("problem").WORDS
    decimals = len(f"{0:{words.quantities[words.by].format}}".partition(".")[2]) + 1
    gap = number(r"from the truth: ([\d,.]+)\.(?= |$)", page.status)
    assert gap == pytest.approx(truth_gap, abs=0.51 * 10**-decimals)

    assert list(page.table["iteration"]) == list(range(trace.n_iter + 1))
    for column, value in fields.items():
        expected = [value(step.params) for step in trace.steps]
        np.testing.assert_array_equal(page.table[column], expected)
    assert list(page.table)[-2:] == [objective.lower(), "gain"]
    np.testing.assert_array_equal(page.table[objective.lower()], sign * trace.objectives)
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
        [
            ({}, 3),
            ({"guess_seed": 5, "start": 7}, 3),
            ({"k": 5, "spread": 2.5, "tol": "1e-2"}, 5),
            ({"student": 12, "rest_size": 0.3, "rest_spread": 0.5}, 3),
        ],
        ids=str,
    )
    def test_numbers(self, visit, settings, k):
        page = visit("k_means")
        page.set_at_once(**settings)
        s = {name: page.value(name) for name in page.shown()}
        sizes = [200, *[round(200 * s["rest_size"])] * (k - 1)]
        spreads = s["spread"] * np.array([1, *[s["rest_spread"]] * (k - 1)])
        rng = stream(6, DATA)
        centres = kmeans.draw_centres(k, rng=rng)
        if s["student"]:  # the same centres as the class, and points of the student's own
            rng = stream(6, DATA, 12)
        sample = KMeans().simulate(centres, sizes, rng=rng, spread=spreads)
        start = kmeans.guess_from_points(
            sample.data, k, rng=stream(s["guess_seed"], GUESS, s["start"])
        )
        tol = float(settings.get("tol", 0))
        trace = fit(KMeans(), sample.data, start, tol=tol, max_iter=100)
        # Centroids keep the order of the guess; the distance is that of the nearest pairing, and
        # there are few enough to try every way.
        _, gaps = nearest_order(trace.final.params.centroids, sample.truth.centroids)
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

    @pytest.mark.parametrize("change", [{"guess_seed": 2}, {"start": 2}], ids=str)
    def test_guesses_have_a_stream_of_their_own(self, visit, plain, change):
        before, page = plain("k_means"), visit("k_means")
        page.set(**change)
        # A row for each cluster that a point was in.
        data, moved = (
            p.charts[0].data["points"].groupby("observation")[["x", "y"]].first()
            for p in (before, page)
        )
        pd.testing.assert_frame_equal(moved, data)
        assert not page.table.iloc[0].equals(before.table.iloc[0])

    def test_as_many_centroids_as_one_looks_for(self, visit):
        page = visit("k_means", km_find="5", km_max_iter="100")
        sample = simulated.clusters([200] * 3, spread=1.0, rng=stream(6, DATA))
        start = kmeans.guess_from_points(sample.data, 5, rng=stream(1, GUESS, 1))
        trace = fit(KMeans(), sample.data, start, tol=0, max_iter=100)
        np.testing.assert_array_equal(page.table["inertia"], -trace.objectives)
        ours = page.table.iloc[-1].filter(like="centroids").to_numpy().reshape(5, 2)
        np.testing.assert_array_equal(ours, trace.final.params.centroids)
        gap = np.linalg.norm(ours[:, None] - sample.truth.centroids, axis=2).min(axis=1).max()
        shown = number(r"from the truth: ([\d.]+)\.$", page.status)
        assert shown == pytest.approx(gap, abs=5.1e-6)

    def test_typed_start_is_the_first_row(self, visit):
        page = visit("k_means")
        page.set(guess="Typed in", start_x1=1.5, start_y1=-2.5)
        centroids = page.table.iloc[0].filter(like="centroids").to_numpy().reshape(3, 2)
        assert {tuple(c) for c in centroids} == {(1.5, -2.5), (-2.0, -2.0), (-1.0, -1.0)}

    def test_many_points_are_sampled_for_the_picture_alone(self, visit):
        page = visit("k_means", km_k="3", km_size="1000")
        drawn = page.charts[0].data["points"]
        data = simulated.clusters([1000] * 3, spread=1.0, rng=stream(6, DATA)).data
        # A row for each stay in a cluster.
        assert drawn["observation"].nunique() == 2_000 < len(drawn)
        everything = {tuple(point) for point in data}
        assert {tuple(point) for point in drawn[["x", "y"]].to_numpy()} <= everything
        caption = page.captions[0]
        assert "2,000 of the 3,000 points" in caption
        page.set(guess_seed=3)
        fixed = page.charts[0].data["points"]
        assert set(fixed["observation"]) == set(drawn["observation"])

    def test_says_nothing_of_a_sample_when_all_points_are_drawn(self, plain):
        assert "sample" not in plain("k_means").captions[0]


def nearest_order(estimates, truths):
    """Return the pairing with the least squared distance, and its distances, by trying all."""
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
            {"guess": "Random", "start": 12, "student": 345},
            {"max_iter": 2},
        ],
        ids=str,
    )
    def test_numbers(self, visit, settings):
        page = visit("two_coins")
        page.set(**settings)
        s = {name: page.value(name) for name in page.shown()}
        truth = BinomialParams([0.6, 0.2], [s["share_a"], 1 - s["share_a"]])
        entropy = [1, DATA, s["student"]] if s["student"] else [1, DATA]
        model = BinomialMixture(s["tosses"], estimate_weights=s["weights"])
        sample = model.simulate(truth, s["trials"], rng=np.random.default_rng(entropy))
        if s["guess"] == "Random":
            start = binomial_mixture.guess_uniform(
                sample.data, 2, rng=stream(s["guess_seed"], GUESS, s["start"])
            )
        else:
            start = BinomialParams([s["start_a"], s["start_b"]], [0.5, 0.5])
        trace = fit(
            HardEM(model) if s["hard"] else model,
            sample.data,
            start,
            tol=float(s["tol"]),
            max_iter=s["max_iter"],
        )
        _, gaps = nearest_order(trace.final.params.heads_prob, truth.heads_prob)
        estimated = ("heads_prob", "weights") if s["weights"] else ("heads_prob",)
        check_run(
            page,
            trace,
            gaps.max(),
            fields={
                f"{field} {coin}": lambda p, field=field, k=k: getattr(p, field)[k]
                for field in estimated
                for k, coin in enumerate("AB")
            },
            objective="Classification log-likelihood" if s["hard"] else "Log-likelihood",
        )
        # What is not estimated is no column, nor a line of the player.
        assert any("weights" in column for column in page.table) == s["weights"]
        thetas = ["θ A", "θ B"] + (["π A", "π B"] if s["weights"] else [])
        assert page.player["columns"][:-1] == thetas
        for row, step in zip(page.player["rows"], trace.steps, strict=True):
            values = [*step.params.heads_prob, *step.params.weights][: len(thetas)]
            assert row[:-1] == [f"{value:.3f}" for value in values]

    def test_published_trials(self, visit):
        page = visit("two_coins")
        page.set(situation="Do and Batzoglou")
        table = page.table.set_index("iteration")[["heads_prob A", "heads_prob B"]].round(3)
        # They show the first and the tenth iteration.
        assert list(table.loc[1]) == [0.713, 0.581]
        assert list(table.loc[10]) == [0.797, 0.520]
        page.set_at_once(tol="0", max_iter=10)
        assert list(page.table[["heads_prob A", "heads_prob B"]].round(3).iloc[10]) == [0.797, 0.52]
        assert page.player["rows"][10][:2] == ["0.797", "0.520"]

    def test_table_is_shown_to_three_digits(self, plain):
        page = plain("two_coins")
        # Both heads probabilities; the mixing weights are not estimated.
        assert page.at.dataframe[0].proto.columns.count('"format": "%.3f"') == 2


class TestGaussianMixture:
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"hard": True, "guess": "Random data points"},
            {"weights": False, "k": 2, "max_iter": 500},
            {"k": 4, "data_seed": 5, "guess_seed": 9, "size1": 50, "student": 7, "start": 3},
        ],
        ids=str,
    )
    def test_numbers(self, visit, settings):
        page = visit("gaussian_mixture")
        page.set_at_once(**settings)
        s = {name: page.value(name) for name in page.shown()}
        k = s["k"]
        entropy = [s["data_seed"], DATA] + ([s["student"]] if s["student"] else [])
        sample = simulated.values(
            *([s[f"{field}{i}"] for i in range(1, k + 1)] for field in ("mean", "sd", "size")),
            rng=np.random.default_rng(entropy),
        )
        guess = {
            "Whole numbers, as in the article": gaussian_mixture.guess_integers,
            "Random data points": gaussian_mixture.guess_from_points,
        }[s["guess"]]
        start = guess(sample.data, k, rng=stream(s["guess_seed"], GUESS, s["start"]))
        model = GaussianMixture(min_std=0.05, estimate_weights=s["weights"])
        trace = fit(
            HardEM(model) if s["hard"] else model,
            sample.data,
            start,
            tol=1e-6,
            max_iter=s["max_iter"],
        )
        _, gaps = nearest_order(trace.final.params.means, sample.truth.means)
        check_run(
            page,
            trace,
            gaps.max(),
            fields={
                f"{field} {i + 1}": lambda p, field=field, i=i: getattr(p, field)[i]
                for field in ("means", "stds", "weights")[: 3 if s["weights"] else 2]
                for i in range(k)
            },
            objective="Classification log-likelihood" if s["hard"] else "Log-likelihood",
        )
        # What is not estimated is no column.
        assert any("weights" in column for column in page.table) == s["weights"]
        symbols = "μσπ" if s["weights"] else "μσ"
        assert page.player["columns"][:-1] == [f"{c} {i + 1}" for c in symbols for i in range(k)]
        final = trace.final.params
        texts = [f"{x:.2f}" for x in [*final.means, *final.stds]]
        assert page.player["rows"][-1][: 2 * k] == texts

    def test_stills_are_those_of_the_articles_figure(self, plain):
        page = plain("gaussian_mixture")
        stills = page.charts[-3:]
        table = page.table.set_index("iteration")
        for still, iteration in zip(stills, (0, 5, 20), strict=True):
            when = f"after {iteration} iterations" if iteration else "initial guess"
            assert still.alt.endswith(f": {when}")
            steps = still.data["steps"].set_index("component")
            for i in "123":
                for field in ("means", "stds", "weights"):
                    assert steps.loc[i, field] == table.loc[iteration, f"{field} {i}"]

    def test_stills_of_a_short_run_end_with_its_last_iteration(self, visit):
        page = visit("gaussian_mixture", gm_max_iter="3")
        titles = [c.title for c in page.charts if c.title.startswith(("After", "Init"))]
        assert titles == ["Initial guess", "After 3 iterations"]

    def test_weights_are_shown_only_where_they_are_estimated(self, visit):
        page = visit("gaussian_mixture")
        assert "Mixing weight π" in [chart.title for chart in page.charts]
        page.set(weights=False)
        assert not any("weight" in chart.title.lower() for chart in page.charts)
        assert not any("weights" in column for column in page.table)

    def test_two_heights_as_one_example(self, visit):
        page = visit("gaussian_mixture")
        page.set(situation="Heights of men and women")
        assert page.value("k") == 2
        assert not page.advice


def heights(mean=170.0, std=10.0, size=1000, seed=1):
    return gaussian.simulate(mean, std, size, rng=stream(seed, DATA))


def metrics(page):
    return [float(metric.value.replace(",", "")) for metric in page.at.metric]


def followed(page):
    """Return the query of the link that the page ends with."""
    query = urllib.parse.parse_qsl(page.at.page_link[-1].proto.query_string)
    return dict(query)


EXTREMES = [
    {"ml_size": "2"},
    {"ml_size": "3", "ml_mean": "100", "ml_std": "30", "ml_guess_mean": "250", "ml_guess_std": "1"},
    {"ml_size": "2", "ml_mean": "250", "ml_std": "1", "ml_guess_mean": "100", "ml_guess_std": "30"},
    {"ml_size": "100000", "ml_mean": "250", "ml_std": "30", "ml_guess_mean": "250"},
    {"ml_size": "100000", "ml_mean": "100", "ml_std": "1", "ml_guess_std": "1"},
]


class TestMaximumLikelihood:
    def test_likelihoods(self, visit):
        guess = {"ml_guess_mean": "168.5", "ml_guess_std": "9.5"}
        yours = stats.norm.logpdf(heights(), 168.5, 9.5).sum()
        best = stats.norm.logpdf(heights(), heights().mean(), heights().std()).sum()
        page = visit("maximum_likelihood", **guess)
        assert metrics(page) == pytest.approx([yours, yours], abs=0.006)
        page.set(hill=True)
        assert metrics(page) == pytest.approx([yours, best, best - yours], abs=0.006)
        assert rf"\hat\mu = {heights().mean():.2f}$" in page.text
        assert rf"\hat\sigma = {heights().std():.2f}$" in page.text
        assert "here 999/1,000" in page.text

    def test_top_is_not_sent_before_it_is_asked_for(self, visit):
        page = visit("maximum_likelihood", ml_size="37", ml_data_seed="4")
        data = heights(size=37, seed=4)
        best = float(gaussian.log_likelihood(data, *gaussian.maximum_likelihood(data)))
        told = (f"{data.mean():.2f}", f"{data.std():.2f}", f"{best:,.2f}")

        def sent():
            values = [metric.value for metric in page.at.metric]
            return " ".join([page.text, *(chart.alt for chart in page.charts), *values])

        histogram, plane = page.charts[:2]
        assert not [number for number in told if number in sent()]
        assert set(histogram.data["curves"]["curve"]) == {"Your guess"}
        assert set(plane.data["marks"]["mark"]) == {"Your guess"}
        assert set(plane.data["hill"]) == {"x_low", "x_high", "y_low", "y_high", "turn"}
        # Nor does the plane lie around it: other heights, same plane.
        page.set(data_seed=5)
        ends = [c.data["hill"].drop(columns="turn") for c in (plane, page.charts[1])]
        assert ends[0].equals(ends[1])
        page.set(data_seed=4, hill=True)
        assert all(number in sent() for number in told)
        assert "band" in page.charts[1].data["hill"]

    def test_link_carries_whether_the_top_is_shown(self, visit):
        page = visit("maximum_likelihood")
        assert page.link["ml_hill"] == "false"
        page.set(hill=True)
        assert len(visit("maximum_likelihood", **page.link).at.metric) == 3

    def test_a_situation_covers_the_hill_again(self, visit):
        page = visit("maximum_likelihood", ml_hill="true")
        page.set(situation="Ten adults")
        assert [metric.label for metric in page.at.metric] == ["Your log-likelihood", "Best so far"]

    def test_search_keeps_what_was_tried(self, visit):
        page = visit("maximum_likelihood")
        guesses = [(162.0, 14.0), (168.0, 14.0), (168.0, 10.0), (150.0, 10.0)]
        values = [stats.norm.logpdf(heights(), *guess).sum() for guess in guesses]
        page.set(guess_mean=168.0)
        page.set(guess_std=10.0)
        assert metrics(page) == pytest.approx([values[2], values[2]], abs=0.006)
        page.set(guess_mean=150.0)
        assert metrics(page) == pytest.approx([values[3], values[2]], abs=0.006)
        plane = page.charts[1]
        tried = plane.data["tried"]
        assert list(zip(tried["x"], tried["y"], strict=True)) == guesses
        assert list(tried["number"]) == [1, 2, 3, 4]
        np.testing.assert_allclose(tried["objective"], values)
        marks = plane.data["marks"].set_index("mark")
        assert tuple(marks.loc["Best so far", ["x", "y"]]) == guesses[2]
        assert tuple(marks.loc["Your guess", ["x", "y"]]) == guesses[3]
        assert f"{values[2]:,.2f}" in plane.alt
        # What is marked by name is not labelled, nor what would cover another label.
        assert list(tried["label"]) == ["", f"{values[1]:,.1f}", "", ""]
        page.set(labels=True)  # no new guess
        assert len(page.charts[1].data["tried"]) == 4

    @pytest.mark.parametrize(
        "anew",
        [
            lambda page: page.set(data_seed=2),
            lambda page: page.set(size=50),
            lambda page: page.set(situation="A guess that is too narrow"),
            lambda page: page.press("reset"),
        ],
    )
    def test_search_begins_anew_with_other_heights_a_situation_and_a_reset(self, visit, anew):
        page = visit("maximum_likelihood", ml_guess_mean="150")
        page.set(guess_mean=169.0)
        anew(page)
        tried = page.charts[1].data["tried"]
        assert tried[["x", "y"]].to_numpy().tolist() == [
            [page.value("guess_mean"), page.value("guess_std")]
        ]

    def test_of_very_many_guesses_the_best_is_never_forgotten(self, visit, monkeypatch):
        monkeypatch.setattr("pages.maximum_likelihood.sections.MOST_TRIED", 3)
        page = visit("maximum_likelihood", ml_guess_mean="169.5", ml_guess_std="10")
        for mean in (150.0, 151.0, 152.0, 153.0):
            page.set(guess_mean=mean)
        assert list(page.charts[1].data["tried"]["x"]) == [169.5, 152.0, 153.0]
        assert list(page.charts[1].data["tried"]["number"]) == [1, 4, 5]

    @pytest.mark.parametrize("uncovered", [False, True])
    def test_a_click_on_the_plane_sets_the_guess(self, visit, uncovered):
        page = visit("maximum_likelihood", ml_hill=str(uncovered).lower())
        page.select("plane", {"pick": [{"x": 168.74, "y": 9.87, "turn": 1}]})
        assert [page.value(f"guess_{name}") for name in ("mean", "std")] == [168.5, 9.9]
        page.select("plane", {"pick": [{"x": 99.0, "y": 0.4, "turn": 2}]})
        assert [page.value(f"guess_{name}") for name in ("mean", "std")] == [100.0, 1.0]
        page.select("plane", {"pick": []})
        assert [page.value(f"guess_{name}") for name in ("mean", "std")] == [100.0, 1.0]
        # A second click on the same place is another one.
        turns = {int(page.charts[1].data["hill"]["turn"].iloc[0])}
        page.set(guess_mean=120.0)
        turns.add(int(page.charts[1].data["hill"]["turn"].iloc[0]))
        assert len(turns) == 2

    @pytest.mark.parametrize(
        ("size", "bins"), [(2, (2, 2)), (10, (4, 6)), (1000, (15, 25)), (100_000, (50, 60))]
    )
    def test_as_many_bins_as_there_are_values_for(self, visit, size, bins):
        page = visit("maximum_likelihood", ml_size=str(size))
        for chart in (page.charts[0], page.charts[2]):
            assert bins[0] <= len(chart.data["bars"]) <= bins[1]

    def test_density_of_the_guess_over_the_histogram(self, visit):
        page = visit("maximum_likelihood", ml_hill="true")
        chart = page.charts[0]
        bars = chart.data["bars"]
        assert (bars["height"] * (bars["high"] - bars["low"])).sum() == pytest.approx(1)
        for name, (mean, std) in {
            "Your guess": (162.0, 14.0),
            "Maximum likelihood": (heights().mean(), heights().std()),
        }.items():
            curve = chart.data["curves"][chart.data["curves"]["curve"] == name]
            np.testing.assert_allclose(curve["density"], stats.norm.pdf(curve["x"], mean, std))

    def test_a_narrow_curve_far_away_is_seen_whole(self, visit):
        page = visit("maximum_likelihood", ml_guess_mean="250", ml_guess_std="1")
        curve = page.charts[0].data["curves"]
        assert curve["density"].max() == pytest.approx(stats.norm.pdf(0))
        assert curve["x"].min() <= heights().min()
        assert curve["x"].max() >= 253

    @pytest.mark.parametrize(
        "guess", [(162.0, 14.0), (100.0, 30.0), (250.0, 1.0), (169.5, 9.9)], ids=str
    )
    @pytest.mark.parametrize("uncovered", [False, True])
    def test_marks_lie_on_the_hill(self, visit, guess, uncovered):
        mean, std = map(str, guess)
        shown = {"ml_hill": str(uncovered).lower(), "ml_guess_mean": mean, "ml_guess_std": std}
        chart = visit("maximum_likelihood", **shown).charts[1]
        marks, cells = chart.data["marks"].set_index("mark"), chart.data["hill"]
        assert tuple(marks.loc["Your guess", ["x", "y"]]) == guess
        found = {"Maximum likelihood", "Truth"} if uncovered else set()
        assert set(marks.index) == {"Your guess"} | found
        for axis in "xy":
            ends = cells[f"{axis}_low"].min(), cells[f"{axis}_high"].max()
            assert marks[axis].between(*ends).all()
        assert cells["y_low"].min() > 0
        if uncovered:
            # The maximum lies in the best of the bands.
            x, y = marks.loc["Maximum likelihood", ["x", "y"]]
            here = cells[
                (cells["x_low"] <= x)
                & (x < cells["x_high"])
                & (cells["y_low"] <= y)
                & (y < cells["y_high"])
            ]
            assert here["band"].min() == cells["band"].min()

    @pytest.mark.parametrize("query", EXTREMES, ids=str)
    @pytest.mark.parametrize("shown", ["true", "false"])
    def test_extreme_settings(self, visit, query, shown):
        page = visit("maximum_likelihood", ml_hill=shown, ml_labels=shown, **query)
        assert not page.notices
        assert np.isfinite(metrics(page)).all()
        for chart in page.charts:
            for name, frame in chart.data.items():
                assert len(frame), name
                assert np.isfinite(frame.select_dtypes("number")).all(axis=None), name
        data = heights(*(page.value(name) for name in ("mean", "std", "size", "data_seed")))
        if shown == "true":
            assert metrics(page)[1] == pytest.approx(
                stats.norm.logpdf(data, data.mean(), data.std()).sum(), abs=0.006
            )

    def test_closed_form_of_two_groups_needs_the_labels(self, visit):
        page = visit("maximum_likelihood")
        hidden = page.charts[2]
        # One bar a bin, one curve, and nothing that tells who is who.
        assert set(hidden.data) == {"bars", "curves"}
        assert hidden.data["bars"]["low"].is_unique
        assert set(hidden.data["curves"]["curve"]) == {"One bell curve for all"}
        sample = simulated.values([162.0, 178.0], [6.0, 6.0], [500, 500], rng=stream(1, DATA))
        women, men = (sample.data[sample.labels == k] for k in (0, 1))
        told = f"women {women.mean():.2f} ± {women.std():.2f} cm and men {men.mean():.2f}"
        assert told not in page.text
        page.set(labels=True)
        assert told in page.text
        shown = page.charts[2]
        assert set(shown.data) == {"bars", "steps", "truth"}
        bars = shown.data["bars"]
        groups = bars.groupby("component")["height"].sum()
        assert groups["Men"] == pytest.approx(groups["Women"])
        width = bars["high"].iloc[0] - bars["low"].iloc[0]
        assert bars["height"].sum() * width == pytest.approx(1)
        np.testing.assert_allclose(
            bars.groupby("low")["height"].sum(), hidden.data["bars"]["height"]
        )

    def test_one_height_has_no_spread(self, visit):
        page = visit("maximum_likelihood", ml_size="3", ml_labels="true")
        assert re.search(r"women [\d.]+ ± [\d.]+ cm and men [\d.]+ cm \(one height has", page.text)

    @pytest.mark.parametrize("std", [1.0, 10.0, 10.5, 30.0])
    def test_two_groups_have_together_the_mean_and_spread_of_the_one(self, std):
        truth = ml.two_groups(171.0, std, 100, 1).truth
        mean = truth.weights @ truth.means
        variance = truth.weights @ (truth.stds**2 + (truth.means - mean) ** 2)
        assert (mean, np.sqrt(variance)) == pytest.approx((171.0, std), rel=1e-12)

    @pytest.mark.parametrize(
        "population",
        [
            {},
            {"ml_mean": "100", "ml_std": "30", "ml_size": "2"},
            {"ml_mean": "250", "ml_std": "1", "ml_size": "100000"},
            {"ml_mean": "171", "ml_std": "10.5", "ml_size": "401", "ml_data_seed": "12"},
        ],
        ids=str,
    )
    def test_bridge_to_em_takes_the_very_heights_along(self, visit, population):
        page = visit("maximum_likelihood", **population)
        query = followed(page)
        mixture = visit("gaussian_mixture", **query)
        assert not mixture.notices
        shown = ("mean", "std", "size", "data_seed")
        groups = ml.two_groups(*(page.value(name) for name in shown))
        read = gm.SPECS.items()
        settings = {n: spec.nearest(query.get(f"gm_{n}", spec.default)) for n, spec in read}
        assert {n: settings[n] for n in mixture.shown() if n in settings} == {
            n: mixture.value(n) for n in mixture.shown() if n in settings
        }
        np.testing.assert_array_equal(gm.problem(settings).sample.data, groups.heights)
        # And the page draws them.
        bars = mixture.charts[0].data["bars"]
        assert bars["low"].min() == pytest.approx(groups.heights.min())
        assert bars["high"].max() == pytest.approx(groups.heights.max())

    def test_as_many_in_a_group_as_the_mixture_takes(self):
        assert gm.SPECS["size1"].high == ml.MOST_IN_A_GROUP

    @pytest.mark.parametrize(
        "population",
        [
            {},
            {"ml_data_seed": "3"},
            {"ml_data_seed": "8", "ml_size": "200"},
            {"ml_mean": "100", "ml_std": "30", "ml_size": "500"},
            {"ml_mean": "250", "ml_std": "1", "ml_size": "100000"},
        ],
        ids=str,
    )
    def test_bridge_to_em_ends_near_the_estimate_with_the_labels_known(self, visit, population):
        page = visit("maximum_likelihood", **population)
        assert "too few" not in page.captions[-1]
        groups = ml.two_groups(*(page.value(n) for n in ("mean", "std", "size", "data_seed")))
        mixture = visit("gaussian_mixture", **followed(page))
        assert mixture.ending == "success"
        assert not mixture.advice
        found = mixture.table.iloc[-1]
        apart = np.ptp(groups.known.means)
        for k in (0, 1):
            assert found[f"means {k + 1}"] == pytest.approx(groups.known.means[k], abs=apart / 8)
            assert found[f"stds {k + 1}"] == pytest.approx(groups.known.stds[k], abs=apart / 8)

    @pytest.mark.parametrize(("size", "seed"), [(2, 1), (10, 3)])
    def test_bridge_to_em_says_when_the_heights_are_too_few(self, visit, size, seed):
        page = visit("maximum_likelihood", ml_size=str(size), ml_data_seed=str(seed))
        assert "too few" in page.captions[-1]
        groups = ml.two_groups(170.0, 10.0, size, seed)
        last = visit("gaussian_mixture", **followed(page)).table.iloc[-1]
        missed = max(abs(last[f"means {k + 1}"] - groups.known.means[k]) for k in (0, 1))
        collapsed = min(last["stds 1"], last["stds 2"]) <= 0.05
        assert collapsed or missed > 0.25 * np.ptp(groups.known.means)


THREE_VALUES = {f"gm_size{i}": "1" for i in (1, 2, 3)}


class TestAdvice:
    """Each finding appears where it holds, alone or with what it implies."""

    @pytest.mark.parametrize(
        ("name", "query", "openings"),
        [
            (
                "two_coins",
                {"tc_start_a": "0.5", "tc_start_b": "0.5", "tc_trials": "400"},
                ["Both coins ended at the same probability, 0.4"],
            ),
            (
                "two_coins",
                {"tc_start_a": "0.2", "tc_start_b": "0.8"},
                ["A stands for the true coin B, and B for A."],
            ),
            # It is the assumed half and half.
            (
                "two_coins",
                {"tc_share_a": "0.9", "tc_trials": "10000"},
                ["The shares are assumed equal (0.50 and 0.50)"],
            ),
            ("two_coins", {"tc_tosses": "1"}, ["The data cannot tell these parameters apart"]),
            (
                "two_coins",
                {"tc_true_a": "0", "tc_true_b": "0"},
                [
                    "Both coins ended at the same probability, 0.000, and starts a little apart "
                    "come back to it: all tosses show the same side."
                ],
            ),
            ("two_coins", {"tc_true_a": "1", "tc_true_b": "0"}, []),
            ("two_coins", {"tc_tosses": "200"}, []),
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
                ["Coin A has no trials left, so it stays at 1.000.", "This is a poor optimum"],
            ),
            ("k_means", {"km_start": "5"}, ["This is a poor optimum"]),
            ("k_means", {"km_max_iter": "1"}, ["K-Means is not there yet"]),
            (
                "k_means",
                {"km_guess": "Typed in", "km_start_x1": "-50", "km_start_y1": "-50"},
                ["Centroid 1 has no points", "This is a poor optimum"],
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
                [
                    "A component has lost all its values",
                    "This is a poor optimum",
                    # Its mean and its standard deviation could be anything.
                    "The data cannot tell these parameters apart from others: in 2 directions",
                ],
            ),
            (
                "gaussian_mixture",
                THREE_VALUES,
                ["Component 1 is held at the smallest standard deviation, 0.05."],
            ),
            ("gaussian_mixture", {**THREE_VALUES, "gm_floor": "0"}, ["A component has collapsed"]),
            (
                "gaussian_mixture",
                {"gm_floor": "10"},
                [
                    "Component 1 is held at the smallest standard deviation, 10.",
                    # Two are so wide that they lie on each other, and may share as they like.
                    "The data cannot tell these parameters apart from others: in one direction",
                ],
            ),
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
        assert page.status.startswith("**Stopped** at iteration ")
        assert "_" not in page.status  # no name that only code has
        assert page.ending == "error"
        # What can be drawn, is: the last step is left out unless it is the guess itself.
        assert np.isfinite(page.table["log-likelihood"].iloc[:-1]).all()
        drawn = page.charts[1].data["steps"]["iteration"].max()
        assert drawn == max(page.table["iteration"].max() - 1, 0)

    def test_poor_optimum_says_how_much_is_missed(self, visit):
        page = visit("k_means", km_start="5")
        sample = simulated.clusters([200] * 3, spread=1.0, rng=stream(6, DATA))
        from_truth = fit(KMeans(), sample.data, sample.truth, tol=0, max_iter=100)
        assert f"falls to {-from_truth.final.objective:,.1f}." in page.advice[0]

    @pytest.mark.parametrize("name", RUNNING)
    def test_is_silent_on_a_good_run(self, visit, name):
        page = visit(name)
        assert not page.advice
        if name == "gaussian_mixture":
            page.set(max_iter=500, guess="Random data points", guess_seed=2)
            assert page.ending == "success"
            assert not page.advice


# What the visitor has set or may press, and what says nothing before the player is at the end.
SILENT = {*WIDGETS, "button", "page_link", "html", "selectbox"}


def told(block):
    """Yield the elements that stand in a block. A situation's answer is one click away."""
    for child in block.children.values():
        if child.type == "expander" and child.label.startswith("After you have "):
            continue
        if hasattr(child, "children"):
            yield from told(child)
        elif child.type not in SILENT:
            yield child


def words_of(element):
    """Return the words of an element, and of a chart or a table its title and description."""
    proto = element.proto
    if element.type == "vega_lite_chart":
        return f"{Chart.of(element).title} {proto.alt}"
    if element.type == "dataframe":
        return proto.alt
    if element.type == "bidi_component":
        # The player and the status line know the whole run, and say of it what has been played.
        return "" if proto.component_name.startswith("iteration_") else proto.json
    if element.type == "download_button":
        return element.label
    return f"{element.value} {getattr(proto, 'title', '')}"


class TestNothingIsToldBeforeTheEnd:
    run = staticmethod(run_at)

    @staticmethod
    def numbers(run, iteration):
        """Return the numbers of an iteration as the player shows them, K-Means' centroids too."""
        step, quantities = run.steps[iteration], run.problem.quantities
        return {
            f"{column.of(step.params):{quantities[column.field].format}}"
            for column in run.frames.columns
            if column.field in quantities
        } | {run.problem.objective.text(step.objective)}

    def of_the_end(self, run):
        """Return the numbers that the run leads to, and not those that the page begins with."""
        formats = {quantity.format for quantity in run.problem.quantities.values()}
        given = [value for value in run.settings.values() if not isinstance(value, str)]
        begun = {f"{value:{text}}" for value in given for text in formats}
        # The page shows one update from the guess, where the player stands.
        return self.numbers(run, -1) - self.numbers(run, 0) - self.numbers(run, 1) - begun

    def check(self, run, elements):
        for number in self.of_the_end(run):
            pattern = rf"(?<![\d.,]){re.escape(number)}(?!\d|[.,]\d)"
            for element in elements:
                assert not re.search(pattern, words_of(element)), element

    @pytest.mark.parametrize("name", RUNNING)
    def test_numbers_of_the_end(self, arrive, name):
        page, run = arrive(name), self.run(name)
        elements = list(told(page.at._tree))
        assert self.of_the_end(run)
        self.check(run, elements)
        # Nor do tables show them, with whatever digits.
        last = run.steps[-1]
        for element in elements:
            if element.type == "dataframe":
                shown = element.value.select_dtypes("number").to_numpy()
                assert not np.isin(shown, [*last.params.vector(), last.objective]).any()

    @pytest.mark.parametrize("name", RUNNING)
    def test_descriptions_of_charts(self, opened, name):
        self.check(self.run(name), opened(name).at.get("vega_lite_chart"))

    @pytest.mark.parametrize("name", RUNNING)
    def test_numbers_and_answers_of_situations(self, arrive, declared, name):
        page = arrive(name)
        for title, situation in declared[name].situations.items():
            page.set(situation=title)
            elements = list(told(page.at._tree))
            self.check(self.run(name, **situation.values), elements)
            words = "\n".join(map(words_of, elements))
            assert said(name, situation, situation.question) in words
            for sentence in re.split(r"(?<=[.:?]) ", said(name, situation, situation.answer)):
                assert sentence not in words
            # What went wrong stands with the answer.
            assert not any(element.type == "warning" for element in elements)

    @pytest.mark.parametrize(
        ("name", "query"),
        [
            ("two_coins", {"tc_start_a": "0.5", "tc_start_b": "0.5", "tc_data_seed": "9"}),
            ("k_means", {"km_start": "5", "km_max_iter": "99"}),
            ("gaussian_mixture", {"gm_max_iter": "1"}),
        ],
    )
    def test_advice_without_a_situation(self, visit, arrive, name, query):
        page = visit(name, **query)
        assert page.advice
        assert page.question is None
        assert not arrive(name, **query).advice

    @pytest.mark.parametrize("name", RUNNING)
    def test_results_are_there_afterwards(self, visit, arrive, name):
        before, after = arrive(name), visit(name)
        line = [caption for caption in before.captions if "played to the end" in caption]
        assert len(line) == 1
        assert not any("played to the end" in caption for caption in after.captions)
        # The table, and whose fault the rest is.
        compared = run_at(name).problem.sample.truth is not None
        assert len(after.at.dataframe) - len(before.at.dataframe) == 1 + compared
        assert len(after.table) == len(before.player["rows"])

    @pytest.mark.parametrize("name", RUNNING)
    def test_stay_until_a_situation_or_a_reset(self, arrive, name):
        page = arrive(name)
        rows = len(page.player["rows"])
        assert not page.player["seen"]
        # A link to the end, or to an iteration behind it, is there at once.
        page = arrive(name, **{f"{PREFIXES[name]}_iter": f"{rows + 5}"})
        assert page.player["seen"]
        assert len(page.table) == rows
        page.set(**INSTEAD_OF_THE_SEED.get(name, {"data_seed": 3}))
        assert len(page.table) == len(page.player["rows"])
        page.press("reset")
        assert not page.player["seen"]
        assert not any("every iteration" in table.proto.alt for table in page.at.dataframe)


class TestDownload:
    @pytest.mark.parametrize("name", RUNNING)
    def test_holds_the_table_with_all_its_digits(self, visit, downloads, name):
        page = visit(name)
        content, mime = downloads[f"{page.prefix}-iterations.csv"]
        assert mime == "text/csv"
        downloaded = pd.read_csv(io.BytesIO(content()))
        pd.testing.assert_frame_equal(downloaded, page.table, check_exact=True)


@pytest.mark.parametrize(
    ("name", "query", "find", "n"),
    [
        ("k_means", {"km_size": "1", "km_find": "8"}, 8, 3),
        (
            "gaussian_mixture",
            {"gm_k": "1", "gm_size1": "1", "gm_find": "4", "gm_guess": "Random data points"},
            4,
            1,
        ),
    ],
)
def test_more_components_than_observations_are_refused_in_plain_words(visit, name, query, find, n):
    page = visit(name, **query)
    (error,) = page.at.error
    assert f"{find} different observations are needed" in error.value
    assert f"there are only {n}." in error.value
    assert "n_components" not in error.value
    algorithm = BY_NAME[name].module("problem").WORDS.algorithm
    assert error.value.startswith(f"{algorithm} cannot run with these settings: ")
    # The player stays in its place, and has nothing to play.
    assert page.player["rows"] == []

    # The way out, and the link to show to the teacher.
    assert page.at.sidebar.button[-1].label == "Start from the defaults"
    assert set(query) <= set(page.link)
    page.press("defaults")
    assert not page.at.error
    assert page.value("situation") == page.widget("situation").options[0]
