"""The two coins on published trials and on the reader's own, whose tosses may differ."""

import contextlib
import io
import re
from functools import cache

import numpy as np
import pytest
from conftest import run_at
from scipy.stats import binom

from em_core import BinomialMixture, BinomialParams, fit
from em_core.diagnostics import map_eigenvalues
from em_core.models.binomial_mixture import fit_grid
from em_ui.data import OWN, Given
from pages.two_coins import picture, sections
from pages.two_coins.problem import FIVE, SPECS, fitting, of_labels, problem, trials


def forty_one():
    """Return the heads and tosses of 41 trials of different lengths, and the coin of each."""
    rng = np.random.default_rng(41)
    tosses = rng.integers(4, 31, size=41)
    bent = rng.random(41) < 0.45
    return np.column_stack([rng.binomial(tosses, np.where(bent, 0.75, 0.35)), tosses]), bent


ROWS, BENT = forty_one()
TEXT = "heads,tosses\n" + "\n".join(f"{h},{m}" for h, m in ROWS)
LABELLED = "coin;heads;tosses\n" + "\n".join(
    f"{'bent' if bent else 'fair'};{h};{m}" for (h, m), bent in zip(ROWS, BENT, strict=True)
)


def pasted(visit, text, **query):
    page = visit("two_coins", **query)
    page.paste(text)
    return page


@pytest.fixture(scope="module")
def own(visit):
    """Return a page on the 41 trials, all sections open. To be read, not to be changed."""

    @cache
    def open_all():
        page = pasted(visit, TEXT)
        page.open(*page.sections())
        return page

    return open_all()


@pytest.fixture(scope="module")
def labelled(visit):
    page = pasted(visit, LABELLED)
    page.choose(labels="coin")
    page.open(*page.sections())
    return page


def given_set(columns, *values, labels=None, groups=()):
    return Given(
        "mine", columns, np.array(values, float).T, labels, tuple(groups), len(groups) or 2
    )


def trace_of(page, model=None, data=ROWS):
    start = BinomialParams([page.value("start_a"), page.value("start_b")], [0.5, 0.5])
    return fit(model or BinomialMixture(), data, start, tol=1e-6, max_iter=100)


class TestRun:
    def test_is_that_of_the_model_with_tosses_of_their_own(self, own):
        trace = trace_of(own)
        heads_prob = np.array([step.params.heads_prob for step in trace.steps])
        np.testing.assert_allclose(own.table[["heads_prob A", "heads_prob B"]], heads_prob)
        np.testing.assert_allclose(own.table["log-likelihood"], trace.objectives)
        assert f"after {trace.n_iter} iterations" in own.status

    def test_starts_among_many_and_few_heads(self, own):
        shares = ROWS[:, 0] / ROWS[:, 1]
        few, many = np.quantile(shares, [0.25, 0.75])
        assert own.value("start_a") == pytest.approx(many, abs=0.005)
        assert own.value("start_b") == pytest.approx(few, abs=0.005)

    def test_formulas_say_m_i(self, own, plain):
        assert any("^{m_i-h_i}" in line for line in own.formulas)
        assert "in $m_i$ tosses" in own.text
        assert any("^{m-h_i}" in line for line in plain("two_coins").formulas)
        assert "tosses it a number of times" in own.text

    def test_nothing_speaks_of_a_truth(self, own):
        text = own.text.lower()
        for asked in ("what is the truth?", "nobody knows the truth behind these data"):
            text = text.replace(asked, "")
        assert "truth" not in text.replace("none of them knows the truth", "")
        assert "labels known" not in text
        assert "true_a" not in own.shown()
        assert not any({"truth", "labelled"} & set(chart.data) for chart in own.charts)
        assert "distance" not in own.status

    def test_link_opens_for_others_with_the_same_numbers(self, visit, own):
        other = visit("two_coins", **own.link)
        np.testing.assert_array_equal(other.table.to_numpy(), own.table.to_numpy())
        assert other.charts[0].alt == own.charts[0].alt

    def test_other_numbers_of_coins_can_be_tried(self, own):
        section = own.section("how_many")
        assert "K = 1 to 8 coins" in section.text
        assert not [b for b in own.at.button if b.label.startswith("Look for")]

    def test_teacher_is_given_a_sheet(self, own):
        assert "Nobody knows the truth behind these data" in own.section("teacher").text

    @pytest.mark.parametrize("text", [TEXT, "\n".join([TEXT] + [f"{i % 9},9" for i in range(200)])])
    def test_script_prints_the_table(self, visit, tmp_path, monkeypatch, downloads, text):
        page = pasted(visit, text)
        page.open("code")
        content, _ = downloads["tc-data.csv"]
        (tmp_path / "tc-data.csv").write_bytes(content())
        script, _ = downloads["tc-run.py"]
        assert ("loadtxt" in script) == (text != TEXT)
        monkeypatch.chdir(tmp_path)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(script, "script", "exec"), {"__name__": "script"})
        rows = [line.split(",")[:-1] for line in out.getvalue().splitlines()[1:]]
        found = np.array(rows, float)
        np.testing.assert_allclose(found, page.table.to_numpy(float)[:, :-1], rtol=1e-12)

    def test_a_hundred_thousand_rows(self, visit):
        rng = np.random.default_rng(1)
        tosses = rng.integers(1, 30, size=100_000)
        heads = rng.binomial(tosses, rng.choice([0.7, 0.3], size=100_000))
        rows = "\n".join(f"{h},{m}" for h, m in zip(heads, tosses, strict=True))
        page = visit("two_coins")
        page.bring("many.csv", f"heads,tosses\n{rows}".encode())
        assert "Converged" in page.status
        bars = page.charts[0].data["bars"]
        assert bars["height"].sum() == 2 * 100_000  # once for each coin
        last = page.table.iloc[-1]
        assert last["heads_prob A"] == pytest.approx(0.7, abs=0.01)
        assert last["heads_prob B"] == pytest.approx(0.3, abs=0.01)


def shares_shown(bars, iteration):
    """Return the responsibility that each row of the bars shows."""
    return bars["share"].str[5 * iteration : 5 * iteration + 5].astype(int) / 99_999


class TestPicture:
    def test_is_by_proportion_of_heads(self, own):
        assert own.charts[0].title == "Trials by proportion of heads, shared between the coins"
        assert own.charts[0].alt.startswith("41 trials by proportion of heads, in bins.")
        assert any("with as many tosses as these have" in caption for caption in own.captions)

    def test_bars_hold_the_trials_and_their_responsibilities(self, own):
        trace, bars = trace_of(own), own.charts[0].data["bars"]
        shares = ROWS[:, 0] / ROWS[:, 1]
        for iteration in (0, trace.n_iter):
            found = BinomialMixture().e_step(ROWS, trace.steps[iteration].params).responsibilities
            shown = shares_shown(bars, iteration)
            for k, coin in enumerate("AB"):
                for i in np.flatnonzero(bars["component"] == coin):
                    bar = bars.iloc[i]
                    inside = (bar["low"] - 1e-9 <= shares) & (shares < bar["high"] - 1e-9)
                    if bar["high"] > 1 - 1e-9:
                        inside |= shares == 1
                    assert bar["height"] == inside.sum()
                    if inside.any():
                        assert shown[i] == pytest.approx(found[inside, k].mean(), abs=1e-3)

    def test_line_is_what_is_expected_of_exactly_these_tosses(self, own):
        trace, data = trace_of(own), own.charts[0].data
        bars = data["bars"][data["bars"]["component"] == "A"]
        expected = data["expected"]
        for iteration in (0, trace.n_iter):
            line = expected[expected["iteration"] == iteration]
            by_loops = np.zeros(len(bars))
            for m in ROWS[:, 1]:
                heads = np.arange(m + 1)
                for p in trace.steps[iteration].params.heads_prob:
                    places = np.minimum(
                        np.searchsorted(bars["high"] - 1e-9, heads / m, side="right"), len(bars)
                    )
                    below = heads / m < bars["low"].iloc[0] - 1e-9
                    if bars["high"].iloc[-1] > 1 - 1e-9:
                        places[-1] = len(bars) - 1
                    keep = ~below & (places < len(bars))
                    np.add.at(by_loops, places[keep], 0.5 * binom.pmf(heads, m, p)[keep])
            np.testing.assert_allclose(line["count"], by_loops, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(line["outcome"], (bars["low"] + bars["high"]) / 2)

    def test_a_click_on_a_bar_chooses_the_nearest_trial(self, visit):
        page = pasted(visit, TEXT)
        page.open("by_hand")
        shares = ROWS[:, 0] / ROWS[:, 1]
        bars = page.charts[0].data["bars"]
        for label in dict.fromkeys(bars["label"][bars["height"] > 0]):
            page.select("picture", {"pick": [{"label": label}]})
            i = page.value("observation") - 1
            assert abs(shares - float(label)).argmin() == i
            h, m = ROWS[i].tolist()
            t = m - h
            told = f"{h} head{'s' * (h != 1)} and {t} tail{'s' * (t != 1)}"
            assert f"Trial {i + 1} shows {told}." in page.section("by_hand").text
            mark = page.charts[0].data["chosen"]
            assert mark["x"].unique().tolist() == [shares[i]]
            assert mark["label"].unique().tolist() == [f"Trial {i + 1} ({h} of {m})"]

    @pytest.mark.parametrize(
        ("heads", "tosses", "edges"),
        [
            ([3, 7], [10, 10], [0.2, 0.4, 0.6, 0.8]),
            ([0, 4], [4, 4], [0, 0.5, 1]),
            ([1, 1], [4, 2], [0.25, 0.3]),
            ([900, 1_100, 800], [100_000, 100_000, 90_000], None),
            ([5], [5], None),
            ([0], [1], None),
        ],
    )
    def test_bins_hold_all_proportions(self, heads, tosses, edges):
        heads, tosses = np.array(heads), np.array(tosses)
        per, ends = picture.edges(heads, tosses)
        bars = picture.bins_of(heads, tosses, per)
        assert (ends[0], ends[-1]) == (bars.min(), bars.max() + 1)
        assert 0 <= ends[0] < ends[-1] <= per
        assert ((bars / per <= heads / tosses) & (heads / tosses <= (bars + 1) / per)).all()

    def test_an_end_belongs_to_the_bin_above_it(self):
        tosses = np.arange(1, 200)[:, None]
        for per in (5, 10, 20, 50, 100):
            ends = np.arange(per)
            exact = ends * tosses % per == 0  # where the end is a proportion of so many tosses
            heads = ends * tosses // per
            found = picture.bins_of(heads, np.broadcast_to(tosses, heads.shape), per)
            np.testing.assert_array_equal(found[exact], np.broadcast_to(ends, heads.shape)[exact])
        assert picture.bins_of(np.array([7]), np.array([7]), 10).tolist() == [9]

    def test_more_trials_have_narrower_bars(self):
        rng = np.random.default_rng(1)
        found = []
        for n in (5, 41, 500, 50_000):
            tosses = rng.integers(20, 50, size=n)
            found.append(picture.edges(rng.binomial(tosses, 0.5), tosses)[0])
        assert found == sorted(found)
        assert found[0] < found[-1] <= 2 * picture.MOST_BARS

    def test_many_different_tosses_stand_for_all(self):
        tosses = np.random.default_rng(1).integers(1, 10**6, size=30_000)
        some = picture._some(tosses, 10_000)
        assert len(some) < 1_000
        np.testing.assert_allclose(
            np.quantile(some, [0.1, 0.5, 0.9]), np.quantile(tosses, [0.1, 0.5, 0.9]), rtol=0.05
        )
        few = np.repeat([3, 4, 9], 1_000)
        assert picture._some(few, 10_000) is few

    @pytest.mark.parametrize("m", [201, 10_000])
    def test_many_equal_tosses_are_drawn_by_proportion(self, visit, m):
        heads = (np.array([0.3, 0.35, 0.32, 0.7, 0.74]) * m).astype(int)
        page = pasted(visit, "heads,tosses\n" + "\n".join(f"{h},{m}" for h in heads))
        assert "by proportion of heads" in page.charts[0].title
        assert f"tosses it {m:,} times" in page.text
        trace = trace_of(page, BinomialMixture(m), heads)
        assert page.table["heads_prob A"].iloc[-1] == pytest.approx(
            trace.final.params.heads_prob[0]
        )


class TestSections:
    def test_list_of_trials_has_a_column_of_tosses(self, own, visit):
        table = own.section("attribution").frame("Responsibilities and attributed heads")
        assert table["tosses"].tolist() == ROWS[:, 1].tolist()
        assert table["heads"].tolist() == ROWS[:, 0].tolist()
        assert table["tails"].tolist() == (ROWS[:, 1] - ROWS[:, 0]).tolist()
        at = BinomialParams([own.value("start_a"), own.value("start_b")], [0.5, 0.5])
        shares = BinomialMixture().e_step(ROWS, at).responsibilities
        np.testing.assert_allclose(table["responsibility A"], shares[:, 0], rtol=1e-12)
        np.testing.assert_allclose(table["tails to B"], shares[:, 1] * table["tails"], rtol=1e-12)
        same = visit("two_coins", tc_attribution="true").section("attribution")
        assert "tosses" not in same.frame("Responsibilities and attributed heads")

    @pytest.mark.parametrize("number", [1, 17, 41])
    def test_by_hand_has_the_numbers_of_the_trial(self, visit, number):
        page = pasted(visit, TEXT)
        page.open("by_hand")
        page.set(observation=number)
        h, m = (int(x) for x in ROWS[number - 1])
        formulas = page.section("by_hand").formulas
        for coin in "AB":
            assert rf"p_{coin} &= \theta_{coin}^{{{h}}}\,(1-\theta_{coin})^{{{m - h}}}" in formulas
        at = BinomialParams([page.value("start_a"), page.value("start_b")], [0.5, 0.5])
        shares = BinomialMixture().e_step(ROWS[number - 1 : number], at).responsibilities[0]
        told = "\n".join(formulas)
        for coin, share in zip("AB", shares, strict=True):
            (printed,) = re.findall(rf"r_{coin} &= .* = ([\d.]+)", told)
            decimals = len(printed.partition(".")[2])
            assert decimals >= 3
            assert printed == f"{share:.{decimals}f}"

    def test_saddle_of_the_hill_is_at_all_heads_over_all_tosses(self, own):
        marks = own.section("hill").charts[0].data["marks"].set_index("mark")
        p = ROWS[:, 0].sum() / ROWS[:, 1].sum()
        assert (marks.loc["saddle", ["x", "y"]] == p).all()
        at = BinomialParams([p, p], [0.5, 0.5])
        assert map_eigenvalues(BinomialMixture(), ROWS, at)[0] > 1

    def test_map_goes_as_fit_would(self, own):
        chart = own.section("many_starts").chart("The square of starts")
        table = chart.data["map"]
        assert len(table) == 101**2
        grid = fit_grid(BinomialMixture(), ROWS, [[0.3, 0.6]], [0.5, 0.5], max_iter=100)
        cell = table.iloc[30 * 101 + 60]
        assert cell["x_low"] < 0.3 < cell["x_high"]
        assert cell["y_low"] < 0.6 < cell["y_high"]
        assert cell["end"] == "A below B"
        assert cell["iterations"] == grid.n_iter[0]

    @pytest.mark.parametrize("weights", [False, True])
    def test_map_has_the_end_of_each_start_though_half_are_mirrored(self, weights):
        run = run_at("two_coins", trials=60, data_seed=7, weights=weights, max_iter=20, tol="1e-9")
        table, moving = sections.ends_of_starts.__wrapped__(run)
        problem, grid = run.problem, np.linspace(0, 1, 101)
        i, j = (index.ravel() for index in np.indices((101, 101)))
        whole = fit_grid(
            problem.mixture,
            problem.sample.data,
            np.column_stack([grid[i], grid[j]]),
            [0.5, 0.5],
            tol=1e-9,
            max_iter=20,
        )
        assert table["iterations"].to_pylist() == whole.n_iter.tolist()
        a, b = whole.heads_prob.T
        ends = np.array(table["end"].to_pylist())
        equal = abs(a - b) < sections.near(run)
        possible = np.isfinite(whole.log_likelihood)
        np.testing.assert_array_equal(ends == "A above B", possible & ~equal & (a > b))
        np.testing.assert_array_equal(ends == "A below B", possible & ~equal & (a < b))
        np.testing.assert_array_equal(ends == "both equal", possible & equal)
        np.testing.assert_array_equal(ends == "impossible", ~possible)
        assert set(ends) >= {"A above B", "A below B", "both equal"}
        assert moving == (possible & ~whole.converged).sum()
        assert (moving > 0) == weights

    def test_map_of_the_largest_run_is_as_long_and_as_fine_as_the_page_asks(self, monkeypatch):
        asked = []

        def grid(mixture, data, starts, weights, *, tol, max_iter, watch):
            asked.append((len(starts), max_iter))
            return fit_grid(mixture, data, starts, weights, tol=1e-2, max_iter=1)

        monkeypatch.setattr(sections, "fit_grid", grid)
        run = run_at("two_coins", trials=100_000, tosses=200, max_iter=500, tol="0")
        table, _ = sections.ends_of_starts.__wrapped__(run)
        assert len(table) == 101**2
        starts, limits = zip(*asked, strict=True)
        assert sum(starts) == 101 * 102 // 2
        assert set(limits) == {500}

    @pytest.mark.parametrize(("part", "side"), [(0.0, 26), (0.5, 51), (2.0, 101)])
    def test_map_is_as_fine_as_there_is_time_for(self, monkeypatch, part, side):
        run = run_at("two_coins", trials=60, data_seed=7, max_iter=20)
        whole, _ = sections.ends_of_starts.__wrapped__(run)
        iterations = np.tril(np.reshape(whole["iterations"], (101, 101))).sum()
        monkeypatch.setattr(sections, "MAP_WORK", part * run.problem.work * iterations)
        table, _ = sections.ends_of_starts.__wrapped__(run)
        assert len(table) == side**2
        step = 100 // (side - 1)
        for name in ("end", "iterations"):
            every = np.array(whole[name].to_pylist()).reshape(101, 101)
            some = np.array(table[name].to_pylist()).reshape(side, side)
            np.testing.assert_array_equal(some, every[::step, ::step])

    def test_a_coarser_map_is_said_to_be_one(self, monkeypatch, visit, own):
        finer = "A finer grid would take too long here."
        assert finer not in own.section("many_starts").captions
        monkeypatch.setattr(sections, "MAP_WORK", 0.0)
        page = visit("two_coins", tc_trials="71", tc_many_starts="true")
        assert finer in page.section("many_starts").captions
        assert "All 676 pairs of starts" in page.section("many_starts").text

    def test_hard_against_soft_says_what_trials_share(self, own, opened):
        words = "all trials with the same {} to one coin"
        assert words.format("numbers of heads and tosses") in own.section("hard_against_soft").text
        same = opened("two_coins").section("hard_against_soft").text
        assert words.format("number of heads") in same

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (
                "heads tosses\n5 10\n2 4\n11 20",
                "(the squared distances from those that one expects of it are 0.03 times as large)",
            ),
            ("heads tosses\n5 10\n6 10\n4 10", "(their variance is 0.27 times as large)"),
        ],
    )
    def test_a_top_where_coins_are_equal_is_told_with_its_dispersion(self, visit, text, said):
        page = pasted(visit, text)
        assert any(said in advice for advice in page.advice), page.advice

    def test_digits_follow_small_proportions(self, visit):
        rows = "\n".join(f"{h} 100000" for h in (110, 102, 118, 180, 190, 201, 177))
        page = pasted(visit, rows)
        trace = trace_of(
            page, BinomialMixture(100_000), np.array([110, 102, 118, 180, 190, 201, 177])
        )
        places = len(page.player["rows"][-1][0].partition(".")[2])
        assert places >= 5
        end = [f"{p:.{places}f}" for p in trace.final.params.heads_prob]
        assert page.player["rows"][-1][:2] == end


class TestLabels:
    def test_estimate_with_them_takes_the_place_of_the_truth(self, labelled):
        known = [ROWS[side, 0].sum() / ROWS[side, 1].sum() for side in (BENT, ~BENT)]
        assert "labels known" in labelled.status
        found = labelled.charts[0].data["labelled"]
        assert "truth" not in labelled.charts[0].data
        end = labelled.table.iloc[-1]
        gap = max(abs(end["heads_prob A"] - known[0]), abs(end["heads_prob B"] - known[1]))
        assert f"labels known: {gap:.4f}." in labelled.status
        assert found["count"].sum() > 30

    def test_says_which_coin_is_which(self, labelled):
        captions = [caption.value for caption in labelled.at.sidebar.caption]
        assert "With the labels known, A is “bent” and B is “fair”." in captions

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            (["a", "b", "c"], "The labels name 3 coins, and this page has two."),
            (["a"], "The labels name only one coin, “a”, and this page has two."),
        ],
    )
    def test_of_other_numbers_of_coins_are_not_compared(self, visit, names, said):
        rows = [f"{names[i % len(names)]};{h};{m}" for i, (h, m) in enumerate(ROWS)]
        page = pasted(visit, "coin;heads;tosses\n" + "\n".join(rows))
        page.choose(labels="coin")
        assert any(said in caption.value for caption in page.at.sidebar.caption)
        assert "labels known" not in page.status
        assert "labelled" not in page.charts[0].data
        np.testing.assert_allclose(page.table["log-likelihood"], trace_of(page).objectives)

    def test_those_of_the_published_trials_need_no_word(self):
        assert of_labels(given_set(("h",), [1, 2], labels=np.array([0, 1]), groups="AB")) == ""
        assert of_labels(given_set(("h",), [1, 2])) == ""


class TestHeadsAlone:
    def test_the_control_says_how_many_tosses(self, visit):
        page = pasted(visit, "5 9 8 4 7")
        assert "tosses" in page.shown()
        page.set(start_a=0.6, start_b=0.5)
        trace = trace_of(page, BinomialMixture(10), np.array([5, 9, 8, 4, 7]))
        np.testing.assert_allclose(page.table["log-likelihood"], trace.objectives)
        assert "by number of heads" in page.charts[0].title
        page.set(tosses=20)
        trace = trace_of(page, BinomialMixture(20), np.array([5, 9, 8, 4, 7]))
        np.testing.assert_allclose(page.table["log-likelihood"], trace.objectives)
        assert len(page.charts[0].data["bars"]) == 2 * 21

    def test_a_column_of_tosses_needs_no_control(self, own):
        assert "tosses" not in own.shown()

    def test_another_column_is_not_taken_for_tosses(self, visit):
        page = pasted(visit, "trial,heads\n1,5\n2,9\n3,8\n4,4\n5,7")
        assert "tosses" in page.shown()
        assert page.charts[0].alt.startswith("5 trials by heads.")

    def test_a_column_that_is_not_wanted_can_be_left_away(self, visit):
        page = pasted(visit, "5 1\n9 2\n8 3\n4 4\n7 5")
        (error,) = page.at.error  # the second column only numbers the trials
        assert "row 1 of those used has 5 heads in 1 toss." in error.value
        page.choose(role_1="None")
        assert not page.at.error
        assert "tosses" in page.shown()
        assert page.charts[0].alt.startswith("5 trials by heads.")

    def test_two_columns_without_names_are_heads_and_tosses(self, visit):
        page = pasted(visit, "5 10\n9 12\n8 10\n4 9")
        assert "by proportion of heads" in page.charts[0].title

    def test_equal_tosses_in_a_column_are_as_good_as_the_control(self, visit):
        heads = [5, 9, 8, 4, 7]
        page = pasted(visit, "heads,tosses\n" + "\n".join(f"{h},10" for h in heads))
        assert "by number of heads" in page.charts[0].title
        assert "tosses it 10 times" in page.text
        trace = trace_of(page, BinomialMixture(10), np.array(heads))
        np.testing.assert_allclose(page.table["log-likelihood"], trace.objectives)


class TestWhatIsWrong:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (
                "heads,tosses\n3,5\n7,5",
                "row 2 of those used has 7 heads in 5 tosses. A trial cannot show more heads than "
                "it has tosses.",
            ),
            ("heads\n3\n12", "row 2 of those used has 12 heads in 10 tosses. Raise *Tosses per"),
            ("heads\n3\n300", "300 heads in 10 tosses. Give a column of tosses beside that of"),
            ("heads,tosses\n3,5\n-1,5", "“heads” must be 0 or more, and row 2 of those used is -1"),
            ("heads,tosses\n3,5\n2.5,5", "“heads” must be whole numbers, and row 2 of those used"),
            ("heads,tosses\n3,5\n2,5.5", "“tosses” must be whole numbers, and row 2 of those used"),
            ("heads,tosses\n3,5\n0,0", "“tosses” must be 1 or more, and row 2 of those used is 0"),
        ],
    )
    def test_is_said_in_a_sentence_where_the_run_would_be(self, visit, text, said):
        page = pasted(visit, text)
        (error,) = page.at.error
        assert said in error.value
        assert not page.charts
        assert "tosses" in page.shown() or "tosses" in text  # whoever can mend it is shown how

    def test_a_column_of_text_is_named(self, visit):
        page = pasted(visit, "heads,tosses\n3,five\n2,six")
        page.choose(role_1="tosses")
        assert any("tosses" in e.value and "text" in e.value for e in page.at.sidebar.error)
        assert not page.charts

    @pytest.mark.parametrize(
        "text", ["heads,tosses\n0,4\n0,9", "heads,tosses\n4,4\n9,9", "heads,tosses\n3,5", "1\n0\n1"]
    )
    def test_degenerate_trials_run(self, visit, text):
        page = pasted(visit, text)
        page.open(*page.sections())
        assert page.charts
        assert not page.at.error

    def test_asks_for_numbers_first(self, visit):
        page = visit("two_coins", tc_data=OWN)
        (notice,) = page.at.info
        assert notice.value.startswith("There are no numbers yet.")
        assert not page.charts
        assert not {"true_a", "trials", "data_seed"} & set(page.shown())


class TestTrials:
    def test_are_as_the_model_takes_them(self):
        settings = {"tosses": 10}
        unequal = trials(given_set(("h", "m"), [1, 2], [3, 4]), settings)
        assert unequal.n_tosses is None
        assert unequal.rows.tolist() == [[1, 3], [2, 4]]
        assert unequal.given.columns == ("h", "m")
        equal = trials(given_set(("h", "m"), [1, 2], [4, 4]), settings)
        assert (equal.n_tosses, equal.rows.tolist()) == (4, [1, 2])
        assert equal.given.columns == ("h",)
        alone = trials(given_set(("h",), [1, 2]), settings)
        assert (alone.n_tosses, alone.rows.tolist()) == (10, [1, 2])

    def test_labels_of_two_coins_alone_are_kept(self):
        labels = np.array([0, 1, 2])
        three = given_set(("h",), [1, 2, 3], labels=labels, groups="abc")
        assert trials(three, {"tosses": 10}).given.labels is None
        two = given_set(("h",), [1, 2, 3], labels=labels % 2, groups="ab")
        assert trials(two, {"tosses": 10}).given.labels.tolist() == [0, 1, 0]

    @pytest.mark.parametrize(
        ("heads", "tosses"),
        [
            (ROWS[:, 0], ROWS[:, 1]),
            ([110, 102, 180, 190], [100_000] * 4),
            ([0, 0, 1], [1_000_000] * 3),
            ([5], [10]),
            ([10], [10]),
            ([0], [10]),
            ([5, 5, 5], [10, 10, 10]),
            ([1, 0, 1, 1], [1, 1, 1, 1]),
            ([999, 998, 997], [1_000] * 3),
        ],
    )
    def test_starts_fit_them(self, heads, tosses):
        given = given_set(("heads", "tosses"), heads, tosses)
        found = fitting(trials(given, {"tosses": 10}))
        a, b = found["start_a"], found["start_b"]
        assert (a.low, a.high, a.step) == (b.low, b.high, b.step)
        assert 0 <= a.low <= b.default < a.default <= a.high <= 1
        assert b.default > 0
        assert a.default < 1
        shares = np.array(heads) / np.array(tosses)
        assert a.low <= shares.min() + 1e-9
        assert a.high >= shares.max() - 1e-9
        assert a.step <= max(np.ptp(shares), 1 / np.mean(tosses)) + 1e-9
        for spec in (a, b):
            steps = (spec.default - spec.low) / spec.step
            assert steps == pytest.approx(round(steps), abs=1e-6)
            assert SPECS["start_a"].nearest(str(spec.default)) == spec.default

    def test_a_fine_start_survives_its_link(self, visit):
        page = pasted(visit, "\n".join(f"{h} 100000" for h in (110, 102, 180, 190)))
        value = round(page.value("start_a") + page.widget("start_a").step, 10)
        page.set(start_a=value)
        other = visit("two_coins", **page.link)
        assert other.value("start_a") == value
        assert not other.notices
        np.testing.assert_array_equal(other.table.to_numpy(), page.table.to_numpy())


class TestPublished:
    def test_old_links_hold_the_same_words(self, visit):
        assert SPECS["data"].options == ("Simulated", "Five published trials", "Your own")
        page = visit("two_coins", tc_data=FIVE, tc_start_a="0.6", tc_start_b="0.5", tc_tol="0")
        assert not page.notices
        end = page.table.iloc[-1]
        assert np.round([end["heads_prob A"], end["heads_prob B"]], 7).tolist() == [
            0.7967891,
            0.5195831,
        ]
        assert round(end["log-likelihood"], 7) == -9.7969243
        assert "by number of heads" in page.charts[0].title
        assert "labels known" in page.status
        assert not any("A is “" in caption.value for caption in page.at.sidebar.caption)

    def test_source_is_cited(self, visit):
        page = visit("two_coins", tc_data=FIVE)
        assert any("Do and Batzoglou" in c.proto.help for c in page.at.sidebar.caption)

    def test_starts_are_those_of_the_page_again(self, visit):
        page = pasted(visit, TEXT)
        assert page.value("start_a") != SPECS["start_a"].default
        page.set(data=FIVE)
        assert page.value("start_a") == SPECS["start_a"].default

    @pytest.mark.parametrize("weights", [False, True])
    def test_known_coins_are_heads_over_tosses(self, weights):
        defaults = {name: spec.default for name, spec in SPECS.items()}
        found = problem({**defaults, "data": FIVE, "weights": weights})
        np.testing.assert_allclose(found.sample.truth.heads_prob, [0.8, 0.45], rtol=1e-12)
        assert found.sample.truth.weights.tolist() == ([0.6, 0.4] if weights else [0.5, 0.5])
        assert found.truth_known is False
        assert found.mixture == BinomialMixture(10, weights)
