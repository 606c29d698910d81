"""The page of the Gaussian mixture on given data, and with each kind of standard deviations."""

import re

import numpy as np
import pytest
from conftest import run_at

from em_core import GaussianMixture, GaussianParams, KMeans, KMeansParams, fit, fit_labelled
from em_core.data import darwin, galaxies, old_faithful
from em_ui.data import OWN
from em_ui.data.kept import MAX_IN_LINK, Numbers, told_as
from em_ui.run.references import MODEL, split
from em_ui.sections.tables import _causes
from pages.gaussian_mixture.problem import (
    COMMON,
    EACH,
    KNOWN,
    POINTS,
    PUBLISHED,
    SPECS,
    TYPED,
    WHOLE,
    fitting,
    why_not_whole,
)

WAITING = old_faithful().column("waiting")
MAIZE = darwin().column("difference")
TRUTH_WORDS = re.compile(r"\b(truth|true)\b", re.IGNORECASE)


def own(values, labels=None, groups=()):
    """Settings of own numbers."""
    column = np.array(values, dtype=float)[:, None]
    return {"data": OWN, "own": told_as(Numbers("mine", ("x",), column, labels, groups))}


def link(**settings):
    return {f"gm_{name}": SPECS[name].text(value) for name, value in settings.items()}


def start(means, stds):
    fields = {"start_mean": means, "start_sd": stds}
    return {f"{f}{i}": float(x) for f, values in fields.items() for i, x in enumerate(values, 1)}


def numbers(page, field, iteration=-1):
    return page.table.iloc[iteration].filter(like=field).to_numpy(dtype=float)


def words(page):
    """Whatever the main part of the page says in words."""
    told = [page.status, page.text, *page.captions, *page.advice]
    told += [chart.alt for chart in page.charts] + [chart.title for chart in page.charts]
    return "\n".join(told)


class TestPublished:
    def test_waiting_times_have_the_golden_numbers(self, visit):
        settings = start([50, 80], [10, 10]) | {"guess": TYPED, "tol": "0", "max_iter": 100}
        page = visit("gaussian_mixture", **link(data="Old Faithful: waiting times", **settings))
        means, lls = page.table.filter(like="means"), page.table["log-likelihood"]
        np.testing.assert_allclose(means.iloc[1], [54.92858041, 79.29581234], atol=0.5e-8)
        assert lls[1] == pytest.approx(-1041.63480030, abs=0.5e-8)
        np.testing.assert_allclose(means.iloc[-1], [54.61485614, 80.09106940], atol=0.5e-8)
        np.testing.assert_allclose(numbers(page, "stds"), [5.87121941, 5.86773442], atol=0.5e-8)
        assert numbers(page, "weights")[0] == pytest.approx(0.36088607, abs=0.5e-8)
        assert lls.iloc[-1] == pytest.approx(-1034.00174983, abs=0.5e-8)
        assert page.ending == "success"
        page.open("convergence")
        assert "each step is 0.658 times as long" in page.section("convergence").text
        page.set(find=1)
        assert page.table["log-likelihood"].iloc[-1] == pytest.approx(-1095.28880050, abs=0.5e-8)

    @pytest.mark.parametrize("data", [each.title for each in PUBLISHED])
    def test_each_runs_with_nothing_that_compares_with_a_truth(self, visit, data):
        page = visit("gaussian_mixture", gm_data=data)
        page.open(*set(page.sections()) - {"teacher"})
        assert not page.at.error
        assert page.value("guess") == POINTS
        assert not {"k", "mean1", "sd1", "size1", "data_seed", "student"} & set(page.shown())
        assert not {"truth", "labelled"} & set(page.charts[0].data)
        # The criteria speak of it as what none of them knows.
        text = words(page).replace("None of them knows the truth", "")
        assert not TRUTH_WORDS.search(text)
        assert "labels known" not in text
        table = page.section("hard_against_soft").frame("iterations, by method")
        assert table["method"].tolist() == ["soft EM", "hard EM", "K-Means"]
        assert "with the wrong component" not in table

    def test_as_many_components_as_are_usual(self, visit):
        page = visit("gaussian_mixture", gm_data="82 galaxies")
        assert len(numbers(page, "means")) == 3
        page.set(data="Darwin’s maize")
        assert len(numbers(page, "means")) == 2
        page.set(find=5)
        assert len(numbers(page, "means")) == 5

    def test_axis_names_what_was_measured(self, visit):
        page = visit("gaussian_mixture", gm_data="Old Faithful: waiting times")
        assert '"Waiting (min)"' in repr(page.charts[0].template).replace("'", '"')
        page.paste("1 2 3 7 8 9")
        assert '"Value"' in repr(page.charts[0].template).replace("'", '"')

    def test_script_repeats_the_run(self, visit):
        run = run_at("gaussian_mixture", data="Old Faithful: waiting times", stds=COMMON)
        assert run.problem.data_lines[-1] == "data = old_faithful().column('waiting')"
        np.testing.assert_array_equal(run.problem.sample.data, WAITING)
        assert list(run.problem.data_columns) == ["waiting"]


class TestOwnNumbers:
    def test_textbook_exercise_is_reached_by_a_link(self, visit):
        settings = own([-1, 1]) | start([-2, 2], [1, 1])
        settings |= {"guess": TYPED, "stds": KNOWN, "weights": False, "tol": "0"}
        page = visit("gaussian_mixture", **link(**settings))
        means = page.table.filter(like="means").abs().to_numpy()
        expected = [[2], [0.96402758], [0.74606800], [0.63279732]]
        np.testing.assert_allclose(means[:4], np.repeat(expected, 2, axis=1), atol=0.5e-8)
        assert not page.notices
        assert [page.value(f"start_mean{i}") for i in (1, 2)] == [-2, 2]
        other = visit("gaussian_mixture", **page.link)
        assert other.table.equals(page.table)

    def test_labels_are_compared_with(self, visit):
        values = "x;kind\n" + "\n".join(
            f"{x};{'short' if x < 68 else 'long'}" for x in WAITING[:150].astype(int)
        )
        page = visit("gaussian_mixture")
        page.paste(values)
        page.choose(labels="kind")
        data, labels = WAITING[:150], (WAITING[:150] < 68).astype(int)
        assert "estimate with the labels known" in page.status
        assert "truth" not in page.status
        assert "labelled" in page.charts[0].data
        assert "truth" not in page.charts[0].data
        init = GaussianParams([60, 70], [5, 5], [0.5, 0.5])
        for kind in (EACH, COMMON):
            page.set(stds=kind)
            shown = page.charts[0].data["labelled"].drop_duplicates(["component"])
            stds = {EACH: "free", COMMON: "common"}[kind]
            known = fit_labelled(GaussianMixture(stds=stds), data, labels, init)
            found = shown.sort_values("means")[["means", "stds", "weights"]].to_numpy()
            known = known.relabel(np.argsort(known.means))
            np.testing.assert_allclose(found, np.stack(list(known.arrays().values()), axis=1))
        assert "Dotted: the estimate with the labels known." in " ".join(page.captions)
        assert "Dashed" not in " ".join(page.captions)
        page.open("hard_against_soft")
        table = page.section("hard_against_soft").frame("iterations, by method")
        assert "labels known" in table["method"].tolist()
        assert table["with the wrong component"].notna().sum() == 3

    def test_labels_of_too_many_groups_are_not_used_and_that_is_said(self, visit):
        rows = [f"{i},{chr(97 + i % 12)}" for i in range(48)]
        page = visit("gaussian_mixture")
        page.paste("\n".join(["x,group", *rows]))
        page.choose(labels="group")
        assert not page.at.error
        said = [caption.value for caption in page.at.sidebar.caption]
        assert any(text.startswith("The labels name 12 groups") for text in said)
        assert len(numbers(page, "means")) == 8
        assert "labels" not in page.status
        page.set(stds=KNOWN)
        assert not page.at.error

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("3", "2 different observations are needed to start from, and there are only 1"),
            ("5 5 5 5", "all 4 values are 5, so there is no spread to start from"),
            ("0.1 0.1 0.1", "all 3 values are 0.1, so there is no spread to start from"),
        ],
    )
    def test_what_cannot_be_run_is_said_plainly(self, visit, text, told):
        page = visit("gaussian_mixture")
        page.paste(text)
        (error,) = page.at.error
        assert told in error.value
        # A start that is typed in needs no spread.
        page.set(guess=TYPED)
        assert not page.at.error
        assert np.isfinite(page.table["log-likelihood"]).all()

    @pytest.mark.parametrize(
        "values",
        [
            [-1, 1],
            np.arange(1.0, 9.0),
            MAIZE,
            1e-9 * np.array([1, 2, 2.5, 8, 7, 9]),
            1e12 + np.array([0, 1, 2, 10, 11]),
            1e6 * np.array([1, 2, 2.5, 8, 7, 9]),
            [0.001, 0.002, 0.003, 0.009, 1_000],
            np.repeat([1.0, 2.0, 7.0], [5, 9, 6]),
        ],
        ids=["two", "eight", "15", "tiny", "offset", "large", "outlier", "ties"],
    )
    @pytest.mark.parametrize("kind", [EACH, COMMON, KNOWN])
    def test_any_numbers_run_on_every_section(self, visit, values, kind):
        page = visit("gaussian_mixture", **link(**own(values), stds=kind))
        page.open("by_hand", "hill", "convergence", "hard_against_soft", "code")
        for guess in (POINTS, WHOLE, TYPED):
            if guess != POINTS:
                page.set(guess=guess)
            assert not page.at.error
            assert not re.search(r"\b(nan|inf)\b", words(page))
            assert page.charts[0].data["bars"]["height"].max() > 0

    def test_as_many_components_as_values(self, visit):
        page = visit("gaussian_mixture", **link(**own(np.arange(8.0) ** 2), find=8))
        assert len(numbers(page, "means")) == 8
        page.open(*page.sections())
        assert not page.at.error
        page.paste("1 2 3 4 5 6 7")
        (error,) = page.at.error
        assert "8 different observations are needed" in error.value

    def test_a_hundred_thousand_rows(self, visit):
        rng = np.random.default_rng(1)
        values = np.concatenate([rng.normal(0, 1, 60_000), rng.normal(6, 2, 40_000)])
        page = visit("gaussian_mixture")
        page.bring("large.csv", ("x\n" + "\n".join(f"{x:.4f}" for x in values)).encode())
        assert not page.at.error
        sizes = page.charts[0].data["bars"]
        assert len(sizes) == 2 * 60
        ordered = np.sort(numbers(page, "means"))
        np.testing.assert_allclose(ordered, [0, 6], atol=0.1)
        assert len(page.link["gm_own"]) < 300

    def test_script_of_many_rows_reads_the_file_beside_it(self):
        values = np.arange(MAX_IN_LINK, dtype=float)
        few = run_at("gaussian_mixture", **own(values))
        assert few.problem.data_lines == [f"data = np.array({values.tolist()})"]

    def test_digits_fit_the_data(self):
        for scale, digits in ((1.0, 2), (1e-3, 4), (1e3, 2)):
            run = run_at("gaussian_mixture", **own(scale * MAIZE))
            formats = {q.format for f, q in run.problem.quantities.items() if f != "weights"}
            assert formats == {f".{digits}f"}
            assert run.problem.words.quantities["weights"].format == ".3f"

    def test_tiny_numbers_by_hand_are_true_as_printed(self, visit):
        values = 1e-9 * np.array([1, 2, 2.5, 8, 7, 9])
        page = visit("gaussian_mixture", **link(**own(values)))
        page.open("by_hand")
        checked = 0
        for line in page.section("by_hand").formulas:
            found = re.fullmatch(r"\\sigma_\d &= \\sqrt\{\\frac\{(.*)\}\{(.*)\}\} = ([\d.]+)", line)
            if found:
                top, below = (
                    float(text.replace(r"\cdot 10^{", "e").rstrip("}"))
                    for text in found.groups()[:2]
                )
                assert f"{np.sqrt(top / below):.11f}" == found.group(3)
                assert float(found.group(3)) > 0
                checked += 1
        assert checked == 2


class TestControlsThatFitTheData:
    def test_defaults_go_along_with_the_data(self, visit):
        page = visit("gaussian_mixture")
        assert (page.value("guess"), page.value("floor")) == (WHOLE, 0.05)
        page.set(data="82 galaxies")
        assert (page.value("guess"), page.value("floor")) == (POINTS, 20)
        page.set(guess=TYPED)
        assert page.value("start_sd1") == 4_500
        page.set(data="Darwin’s maize")
        assert (page.value("start_mean1"), page.value("start_sd1")) == (11, 36)
        assert page.value("floor") == 0.1
        page.set(start_mean1=-50.0)
        page.set(data="82 galaxies")
        assert (page.value("start_mean1"), page.value("start_sd1")) == (-50, 4_500)
        page.set(data="Simulated")
        assert page.value("start_sd1") == 5
        assert page.value("floor") == 0.05

    def test_a_link_keeps_what_it_says(self, visit):
        page = visit("gaussian_mixture", gm_data="82 galaxies", gm_floor="0.05", gm_guess=WHOLE)
        assert (page.value("floor"), page.value("guess")) == (0.05, WHOLE)
        page.set(stds=COMMON)
        assert page.value("floor") == 0.05
        other = visit("gaussian_mixture", **page.link)
        assert other.table.equals(page.table)

    def test_reset_and_situations_bring_what_fits(self, visit):
        page = visit("gaussian_mixture")
        page.set(data="82 galaxies", floor=3.0)
        page.set(situation="Wang’s article")
        assert (page.value("floor"), page.value("guess")) == (0.05, WHOLE)
        page.set(situation="Old Faithful")
        assert (page.value("floor"), page.value("start_mean2")) == (0.3, 80)
        page.press("reset")
        assert page.value("situation") == "Wang’s article"
        assert (page.value("floor"), page.value("guess")) == (0.05, WHOLE)

    def test_question_of_other_data_is_not_asked(self, visit):
        page = visit("gaussian_mixture")
        assert page.question
        page.set(data="Darwin’s maize")
        assert page.question is None
        assert page.answer is None
        assert page.value("situation") == "Your own settings"
        page.set(data="Simulated")
        assert page.question

    @pytest.mark.parametrize("kind", ["free", "common", "known"])
    @pytest.mark.parametrize("find", [1, 2, 8])
    @pytest.mark.parametrize(
        "values",
        [
            WAITING,
            galaxies().column("velocity"),
            1e-9 * MAIZE,
            1e9 * MAIZE,
            1e12 + MAIZE,
            np.full(5, 3.0),
            np.zeros(3),
            np.repeat([1.0, 2.0], [99, 1]),
        ],
    )
    def test_start_is_within_the_data_and_of_their_scale(self, values, find, kind):
        found = fitting(values, find, kind)
        means = [found[f"start_mean{i}"].default for i in range(1, find + 1)]
        stds = np.array([found[f"start_sd{i}"].default for i in range(1, find + 1)])
        assert len(set(means)) == find  # else EM could not part them
        spread = values.std() if np.ptp(values) else max(stds)
        assert (np.abs(stds / spread - 1) < 0.1).all()
        slack = spread * (find if np.ptp(values) == 0 else 0.1)
        assert min(means) >= values.min() - slack
        assert max(means) <= values.max() + slack
        if np.ptp(values):
            assert 0 < found["floor"].default < 0.1 * spread
        for spec in found.values():
            assert spec.low <= spec.default <= spec.high
            assert spec.step > 0

    def test_floor_minds_rounding_where_values_are_tied(self):
        assert fitting(WAITING, 2, "free")["floor"].default == pytest.approx(1 / np.sqrt(12), 0.1)
        untied = WAITING + np.linspace(0, 1e-3, len(WAITING))
        assert fitting(untied, 2, "free")["floor"].default == 0.05

    @pytest.mark.parametrize(
        ("values", "fits"),
        [(WAITING, True), (1e-3 * WAITING, False), (1e4 * WAITING, False), (np.ones(3), False)],
    )
    def test_whole_numbers_are_said_not_to_fit(self, visit, values, fits):
        assert (why_not_whole(values) == "") == fits
        page = visit("gaussian_mixture", **link(**own(values[:30])), gm_guess=WHOLE)
        said = [caption.value for caption in page.at.sidebar.caption]
        assert any(text.startswith("The standard deviation of these data") for text in said) != fits


class TestKinds:
    def test_each_kind_asks_for_what_it_needs(self, visit):
        page = visit("gaussian_mixture", gm_k="2", gm_guess=TYPED)
        labels = {
            EACH: ["Start SD 1", "Start SD 2"],
            COMMON: ["Start SD of all"],
            KNOWN: ["Known SD 1", "Known SD 2"],
        }
        for kind, expected in labels.items():
            page.set(stds=kind, guess=TYPED)
            shown = [n for n in page.shown() if n.startswith("start_sd")]
            assert [page.widget(name).label for name in sorted(shown)] == expected
            assert ("floor" in page.shown()) == (kind != KNOWN)
            page.set(guess=POINTS)
            shown = [n for n in page.shown() if n.startswith("start_sd")]
            assert len(shown) == (2 if kind == KNOWN else 0)

    def test_known_ones_stay_whatever_the_guess(self, visit):
        page = visit("gaussian_mixture", gm_stds=KNOWN, gm_start_sd2="7", gm_guess=WHOLE)
        assert not list(page.table.filter(like="stds"))
        run = run_at("gaussian_mixture", stds=KNOWN, start_sd2=7.0)
        for step in run.trace.steps:
            assert step.params.stds.tolist() == [5, 7, 5]
        assert "neither are their means and shares" in page.text

    def test_one_for_all_is_one_at_every_iteration(self):
        for guess in (WHOLE, POINTS, TYPED):
            run = run_at("gaussian_mixture", stds=COMMON, guess=guess, start_sd2=7.0)
            assert run.problem.mixture == GaussianMixture(0.05, stds="common")
            assert all(np.ptp(step.params.stds) == 0 for step in run.trace.steps)
            assert run.trace.n_parameters == 3 + 1 + 2

    def test_formulas_are_those_of_the_kind(self, visit):
        lines = {
            EACH: r"\frac{1}{N_k}\sum_i r_{ik}\,(x_i-\mu_k)^2",
            COMMON: r"\frac{1}{n}\sum_j\sum_i r_{ij}\,(x_i-\mu_j)^2",
            KNOWN: r"\sigma_k &\text{ stays as it is known}",
        }
        page = visit("gaussian_mixture", gm_by_hand="true")
        for kind, line in lines.items():
            page.set(stds=kind)
            formulas = "\n".join(page.formulas)
            assert [other for other in lines.values() if other in formulas] == [line]
        page.set(weights=False)
        assert r"\pi_k &\text{ stays equal}" in "\n".join(page.formulas)
        assert "**M-step.** Mean of each component" in page.text

    def test_one_for_all_by_hand(self, visit):
        page = visit("gaussian_mixture", gm_by_hand="true", gm_stds=COMMON)
        (line,) = [x for x in page.section("by_hand").formulas if r"\sigma_1 = \sigma_2" in x]
        top, below, made = re.search(r"\\frac\{(.*?)\}\{(.*?)\}\} = ([\d.]+)", line).groups()
        assert below == "3000"
        assert f"{np.sqrt(float(top) / 3000):.2f}" == made
        assert float(made) == pytest.approx(page.table["stds 1"][1], abs=0.005)
        page.set(floor=100.0)
        (line,) = [x for x in page.section("by_hand").formulas if r"\sigma_1 = \sigma_2" in x]
        assert line.endswith(r"\rightarrow 100")

    def test_all_collapse_only_together(self, visit):
        settings = own([0, 0, 5]) | start([1, 4], [1]) | {"guess": TYPED, "stds": COMMON}
        page = visit("gaussian_mixture", **link(**settings, floor=0.0))
        assert page.ending == "error"
        assert "Every value lies on the mean of a component" in page.advice[0]
        page.set(floor=0.25)
        assert page.ending == "success"
        assert page.advice[0].startswith("The standard deviation of all is held at the smallest")
        page.set(stds=EACH, floor=0.0)
        assert page.advice[0].startswith("A component has collapsed")

    def test_taken_for_known_and_not_true_is_told(self, visit):
        page = visit("gaussian_mixture", gm_stds=KNOWN, gm_max_iter="100")
        told = [text for text in page.advice if "taken for known" in text]
        assert told == [
            "The standard deviations that are taken for known (5, 5, 5) are not those of the truth "
            "(3, 5, 7). They pull the estimates away from it, and more data do not help."
        ]
        page.set_at_once(start_sd1=3.0, start_sd2=7.0)
        assert not any("taken for known" in text for text in page.advice)
        page.set(data="Old Faithful: waiting times")
        assert not any("taken for known" in text for text in page.advice)

    def test_the_way_from_the_truth_tells_the_model_from_the_sample(self):
        run = run_at("gaussian_mixture", stds=COMMON, max_iter=300)
        parts = split(run)
        table = parts.table.to_pandas().set_index("parameter")
        within = np.sqrt((9 + 49 + 25) / 3)
        expected = [within - std for std in (3, 7, 5)]
        np.testing.assert_allclose(table.loc[["σ 1", "σ 2", "σ 3"], MODEL], expected)
        assert (table.loc[["μ 1", "μ 2", "μ 3"], MODEL] == 0).all()
        total = table["truth"] + table[list(parts.parts)].sum(axis=1)
        np.testing.assert_allclose(total, table["EM"], atol=1e-9)
        causes = " ".join(_causes(run, parts))
        assert "cannot have the true standard deviations" in causes
        assert "misses what the model can be" in causes
        equal = run_at("gaussian_mixture", stds=COMMON, max_iter=300, sd1=5.0, sd2=5.0)
        assert MODEL not in split(equal).parts
        assert "*The model*" not in " ".join(_causes(equal, split(equal)))

    def test_hard_assignment_is_k_means_where_that_is_said(self, visit):
        settings = start([-20, 5, 25], [6]) | {"guess": TYPED, "stds": COMMON, "tol": "0"}
        page = visit("gaussian_mixture", **link(**settings, weights=False, hard=True))
        page.open("hard_against_soft")
        said = "hard assignment moves the means as K-Means does"
        assert said in page.section("hard_against_soft").text
        run = run_at("gaussian_mixture", **settings, weights=False, hard=True)
        k_means = fit(
            KMeans(),
            run.problem.sample.data[:, None],
            KMeansParams(run.problem.start.means[:, None]),
            tol=0,
            max_iter=run.problem.max_iter,
        )
        np.testing.assert_allclose(
            [step.params.means for step in run.trace.steps[:5]],
            [step.params.centroids[:, 0] for step in k_means.steps[:5]],
            rtol=1e-12,
        )
        page.set(stds=EACH)
        assert said not in page.section("hard_against_soft").text
        page.set(stds=COMMON, weights=True)
        assert said not in page.section("hard_against_soft").text


class TestHistogram:
    def test_whole_minutes_make_no_teeth(self, visit):
        page = visit("gaussian_mixture", gm_data="Old Faithful: waiting times")
        bars = page.charts[0].data["bars"]
        bars = bars[bars["component"] == "1"]
        assert len(bars) == 27
        np.testing.assert_allclose(bars["high"] - bars["low"], 2)
        counts = bars["height"] * 2 * 272
        np.testing.assert_allclose(counts, np.histogram(WAITING, np.arange(42.5, 98, 2))[0])

    def test_values_beyond_the_picture_are_told(self, visit):
        page = visit("gaussian_mixture")
        page.paste(" ".join(f"{x:g}" for x in [*MAIZE, 1e6]))
        (caption,) = [text for text in page.captions if text.startswith("Bars:")]
        assert caption.endswith("1 value lies beyond the picture, at 1e+06.")
        bars = page.charts[0].data["bars"]
        assert bars["high"].max() < 100
        page.paste(" ".join(f"{x:g}" for x in MAIZE))
        assert not any("beyond the picture" in text for text in page.captions)

    def test_a_click_on_a_bar_chooses_a_value_of_it(self, visit):
        values = 1e-3 * MAIZE
        page = visit("gaussian_mixture", **link(**own(values)), gm_by_hand="true")
        bars = page.charts[0].data["bars"]
        for bar in bars[(bars["height"] > 0) & (bars["component"] == "1")].to_dict("records"):
            page.select("picture", {"pick": [{"label": bar["label"]}]})
            chosen = values[int(page.value("observation")) - 1]
            assert bar["low"] <= chosen <= bar["high"]
