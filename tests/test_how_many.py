"""How many components: what is compared, what the page says of it, and what a choice does."""

import json
import math
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from conftest import BY_NAME, run_at

from em_core import Selection, fit
from em_core.data import old_faithful
from em_core.selection import Candidate
from em_ui.data import SIMULATED
from em_ui.run import Problem, budget, progress, stream
from em_ui.run import how_many as compared
from em_ui.run.how_many import HowMany, compare, how_many
from em_ui.run.problem import GUESS
from em_ui.sections import how_many as words

SMALL = {"k": 3, "size1": 60, "size2": 60, "size3": 60}
POINTS = {"gm_guess": "Random data points", "gm_size1": "60", "gm_size2": "60", "gm_size3": "60"}
FEW = {"km_size": "20"}


def small(**changes):
    """Return a run of the Gaussian mixture on 180 values."""
    return run_at("gaussian_mixture", guess="Random data points", **SMALL, **changes)


def compared_at(run, n=3, **more):
    return how_many(run, n, find="find", **more)


def opened_at(visit, name, **query):
    prefix = {"gaussian_mixture": "gm", "k_means": "km", "two_coins": "tc"}[name]
    return visit(name, **{f"{prefix}_how_many": "true"}, **query)


def text_of(part):
    return "\n".join([part.text, *part.captions])


class TestComparison:
    def test_starts_are_those_of_the_page(self):
        run = small()
        found = compared_at(run)
        for candidate, number in zip(found.selection.candidates, found.best_starts, strict=True):
            problem = run.other_problem(find=candidate.n_components)
            start = problem.guess(stream(problem.guess_seed, GUESS, number))
            assert candidate.trace.steps[0].params == start
            # And so the player shows that very run, when the page is set to it.
            assert (
                run.other(find=candidate.n_components, start=number).trace.steps[0].params == start
            )

    def test_the_best_of_the_starts_counts(self):
        run = small()
        found = compared_at(run, 4)
        for candidate in found.selection.candidates:
            problem = run.other_problem(find=candidate.n_components)
            guesses = [problem.guess(stream(problem.guess_seed, GUESS, i)) for i in (1, 2, 3, 4)]
            runs = [problem.fit(guess, tol=1e-8, max_iter=200) for guess in guesses]
            ends = [trace.final.objective for trace in runs]
            number = found.best_starts[candidate.n_components - 1]
            assert ends[number - 1] == max(ends)
            assert candidate.log_likelihood >= max(ends)

    @pytest.mark.parametrize(
        "settings", [{"max_iter": 3}, {"tol": "1e-2"}, {"tol": "0", "max_iter": 500}]
    )
    def test_criteria_are_those_of_the_top_wherever_the_page_stops_its_runs(self, settings):
        """One start each, so that all compare the same runs."""
        found = compared_at(small(**settings), 1, most=6)
        assert found.on_the_way == ()
        for candidate in found.selection.candidates:
            problem = small().other_problem(find=candidate.n_components)
            start = problem.guess(stream(problem.guess_seed, GUESS, 1))
            top = fit(problem.model, problem.data, start, tol=0, max_iter=20_000)
            assert candidate.bic == pytest.approx(top.bic, abs=0.006)

    @pytest.mark.parametrize(
        ("settings", "beyond"),
        [
            ({"tol": "0", "max_iter": 500}, False),
            ({"tol": "0", "max_iter": 100}, True),
            ({"tol": "1e-2", "max_iter": 500}, True),
        ],
    )
    def test_runs_that_go_on_are_said_to(self, settings, beyond):
        run = small(**settings)
        found = compared_at(run, 1, most=3)
        said = "\n".join(words._remarks(run, found))
        assert ("Here runs go on from where this page’s tolerance" in said) == beyond

    def test_a_run_that_time_cuts_short_is_said_to_be_on_its_way(self, monkeypatch):
        monkeypatch.setattr(budget, "BEST", 0.0)
        monkeypatch.setattr(compared, "_ITERATIONS", 2)
        run = small(max_iter=2)
        found = compare([run.other_problem(find=k) for k in (1, 2, 3)], 2)
        assert found.on_the_way == (2, 3)
        (said,) = [t for t in words._remarks(run, found) if "was still" in t]
        assert said == "With K = 2 and 3 the best run was still climbing when this was given up."
        monkeypatch.undo()
        found = compare([run.other_problem(find=k) for k in (1, 2, 3)], 2)
        assert not any("was still" in t for t in words._remarks(run, found))

    @pytest.mark.parametrize("name", ["k_means", "gaussian_mixture", "mixture_in_the_plane"])
    def test_starts_of_the_largest_runs_are_compared_as_long_as_those_of_others(
        self, monkeypatch, name
    ):
        asked, fit_each = [], Problem.fit_each

        def few(problem, starts, *, tol=None, max_iter=None, accelerate=None):
            asked.append((len(starts), max_iter))
            yield from fit_each(problem, starts[:1], tol=tol, max_iter=2, accelerate=accelerate)

        monkeypatch.setattr(Problem, "fit_each", few)
        monkeypatch.setattr(budget, "BEST", 0.0)
        sizes = {f"size{i}": 10_000 for i in range(1, 9)}
        allowed = {"data": SIMULATED, "size": 10_000, "k": 8, **sizes, "max_iter": 1}
        specs = BY_NAME[name].module("problem").SPECS
        run = run_at(name, **{key: value for key, value in allowed.items() if key in specs})
        assert run.problem.n >= 30_000
        compare([run.other_problem(find=k) for k in (1, 8)], 50)
        assert asked[0] == asked[1] == (50, compared._ITERATIONS)

    def test_says_with_which_number_it_is(self, monkeypatch):
        told = []

        class Notice:
            def show(self, text, part):
                told.append((text, part))

        monkeypatch.setattr(progress._here, "notice", Notice(), raising=False)
        run = small()
        compare([run.other_problem(find=k) for k in (1, 2)], 2)
        assert list(dict.fromkeys(text for text, _ in told)) == ["K = 1", "K = 2"]
        parts = [part for _, part in told]
        assert parts == sorted(parts)
        assert (parts[0], 0.5 <= parts[-1] < 1) == (0, True)

    def test_neither_the_number_nor_the_start_that_the_page_is_set_to_matters(self):
        run = small()
        assert compared_at(run.other(find=5, start=7)) is compared_at(run)
        assert compared_at(run.other(find=5, data_seed=9)) is not compared_at(run)
        assert compared_at(run.other(weights=False)) is not compared_at(run)

    def test_more_starts_keep_the_first_and_are_no_worse(self):
        few, many = (compared_at(small(), n, most=5) for n in (2, 6))
        for one, other in zip(few.selection.candidates, many.selection.candidates, strict=True):
            assert other.trace.steps[-1].objective >= one.trace.steps[-1].objective - 0.01

    def test_settings_of_the_page_are_those_of_the_comparison(self):
        equal = compared_at(small(weights=False)).selection.candidates
        assert [each.n_parameters for each in equal] == [2 * k for k in range(1, 9)]
        for each in equal:
            assert np.allclose(each.trace.final.params.weights, 1 / each.n_components)
        hard = compared_at(small(hard=True)).selection
        assert hard.criteria == ("icl",)
        floored = compared_at(small(floor=2.5)).selection.candidates
        assert min(each.trace.final.params.stds.min() for each in floored) == 2.5

    def test_no_more_components_than_different_observations(self):
        run = run_at("k_means", k=1, size=3)
        found = compared_at(run)
        assert [each.n_components for each in found.selection.candidates] == [1, 2, 3]
        assert not found.more
        assert "K = 1 to 3 centroids, since there are no more different points" in words._what(
            run, found
        )
        alone = run_at("k_means", k=1, size=1)
        assert words._what(alone, compared_at(alone)).startswith("Only 1 centroid is tried")

    def test_a_page_that_can_look_for_fewer_compares_fewer(self):
        found = compared_at(small(), most=4)
        assert [each.n_components for each in found.selection.candidates] == [1, 2, 3, 4]
        assert found.more
        assert "since" not in words._what(small(), found)

    def test_the_silhouette_of_many_points_is_said_to_be_that_of_some(self):
        run = run_at("k_means", size=900)
        (said,) = [t for t in words._remarks(run, compared_at(run, 1)) if "silhouette is" in t]
        assert said == "The silhouette is that of 2,000 points, drawn from all 2,700."
        few = run_at("k_means", size=20)
        assert not any("silhouette is" in t for t in words._remarks(few, compared_at(few)))

    def test_either_the_control_or_a_guess_is_needed(self):
        with pytest.raises(TypeError, match="either the control"):
            how_many(run_at("two_coins"), 1, find=None)


def made_up(n_starts=3, **criteria):
    """Return a comparison of 1, 2, ... components with these values of the criteria."""
    names, columns = tuple(criteria), zip(*criteria.values(), strict=True)
    trace = run_at("two_coins").trace
    candidates = tuple(
        Candidate(k, trace, n_starts, 0, 1, **dict(zip(names, values, strict=True)))
        for k, values in enumerate(columns, 1)
    )
    starts = (1,) * len(candidates)
    return HowMany(Selection(candidates, names), starts, n_starts, False, (), (), (), True)


class TestWords:
    def test_criteria_that_agree(self):
        run = run_at("two_coins")
        found = made_up(aic=[3, 1, 2], bic=[3, 1, 2], icl=[3, 1, 2])
        assert words._chosen(run, found) == "All three choose **K = 2**: AIC, BIC and ICL."
        assert list(words._differences(run, found)) == []
        two = made_up(silhouette=[math.nan, 0.2, 0.5], calinski_harabasz=[math.nan, 3, 8])
        assert words._chosen(run, two) == (
            "Both choose **K = 3**: the silhouette and the Calinski–Harabasz index."
        )
        assert words._chosen(run, made_up(icl=[3, 1, 2])) == "ICL chooses **K = 2**."

    def test_criteria_that_differ(self):
        run = run_at("two_coins")
        found = made_up(aic=[3, 2, 1], bic=[3, 1, 2], icl=[1, 2, 3])
        assert words._chosen(run, found) == (
            "AIC chooses **K = 3**, BIC chooses **K = 2** and ICL chooses **K = 1**."
        )
        of_aic, of_icl = words._differences(run, found)
        assert "AIC chooses more than BIC" in of_aic
        assert r"\log n = 6.2" in of_aic
        assert "ICL chooses fewer than BIC: of BIC’s 2 coins some overlap" in of_icl
        pair = made_up(aic=[3, 2, 1], bic=[3, 1, 2], icl=[3, 1, 2])
        assert words._chosen(run, pair) == "AIC chooses **K = 3** and BIC and ICL choose **K = 2**."
        assert len(list(words._differences(run, pair))) == 1

    def test_criteria_that_differ_the_other_way_round(self):
        """With seven observations and fewer, BIC's parameters are cheaper than AIC's."""
        run = run_at("two_coins", data="Five published trials")
        found = made_up(aic=[1, 2, 3], bic=[2, 1, 3], icl=[3, 2, 1])
        of_aic, of_icl = words._differences(run, found)
        assert "AIC chooses fewer than BIC: a free parameter costs 2 with AIC" in of_aic
        assert r"\log n = 1.6" in of_aic
        assert "ICL chooses more than BIC: with 3 coins there is less doubt" in of_icl

    def test_what_is_defined_nowhere_chooses_nothing(self):
        nan = math.nan
        found = made_up(silhouette=[nan, 0.2], calinski_harabasz=[nan, nan])
        assert words._chosen(run_at("two_coins"), found) == (
            "The silhouette chooses **K = 2**. The Calinski–Harabasz index is not defined for any "
            "of these."
        )

    def test_the_largest_number_that_was_tried_may_not_be_the_last_word(self):
        run = run_at("two_coins")
        at_the_edge = made_up(aic=[3, 2, 1], bic=[3, 1, 2], icl=[3, 1, 2])
        (said,) = words._remarks(run, at_the_edge)
        assert said == (
            "AIC chooses the largest number that was tried; larger ones may be better still."
        )
        assert list(words._remarks(run, replace(at_the_edge, more=False))) == []
        inside = made_up(aic=[3, 1, 2], bic=[3, 1, 2], icl=[3, 1, 2])
        assert list(words._remarks(run, inside)) == []

    def test_a_number_that_is_worse_than_fewer_is_said_to_have_a_better_solution(self):
        """K-Means from one start each: some end in a poor optimum."""
        run = next(
            run
            for seed in range(1, 40)
            if compared_at(run := run_at("k_means", size=20, guess_seed=seed), 1).beaten
        )
        found = compared_at(run, 1)
        by_k = {each.n_components: each.inertia for each in found.selection.candidates}
        expected = [k for k in by_k if k > 1 and by_k[k] > min(by_k[j] for j in range(1, k))]
        assert list(found.beaten) == expected
        (said,) = [t for t in words._remarks(run, found) if "better solution" in t]
        assert "the inertia is higher than with fewer" in said
        monotone = compared_at(run_at("k_means", size=20), 20)
        assert monotone.beaten == ()

    def test_equal_weights_are_not_a_case_of_fewer(self):
        """Three equal weights cannot do what two can, so a lower likelihood says nothing."""
        found = compared_at(run_at("gaussian_mixture", **{**SMALL, "k": 2}, weights=False), 4)
        _, two, three, *_ = (each.log_likelihood for each in found.selection.candidates)
        assert three < two - 1
        assert found.beaten == ()

    @pytest.mark.parametrize("floor", [6.5, 9.0])
    def test_a_component_at_the_floor_is_named_and_so_is_who_chose_it(self, floor):
        run = small(floor=floor)
        found = compared_at(run)
        assert found.held
        for each in found.selection.candidates:
            held = each.trace.final.params.stds.min() == floor
            assert held == (each.n_components in found.held)
        remarks = list(words._remarks(run, found))
        assert sum("as narrow as" in text for text in remarks) == 1
        said = "\n".join(text for text in remarks if text.endswith("such a fit."))
        for name, k in found.selection.chosen.items():
            assert (name.upper() in said) == (k in found.held)
        free = small(floor=0.0)
        assert not any("as narrow" in t for t in words._remarks(free, compared_at(free)))

    def test_hard_assignment_has_no_aic_and_no_bic_and_says_why(self):
        run = small(hard=True)
        text = "\n".join(words._why(run, compared_at(run)))
        assert "there is no *AIC* and no *BIC*" in text
        assert "there is no *AIC*" not in "\n".join(words._why(small(), compared_at(small())))

    @pytest.mark.parametrize("name", ["k_means", "gaussian_mixture"])
    def test_words_never_know_the_truth(self, name):
        run = run_at(name, k=2)
        found = compared_at(run, 1)
        said = [words._what(run, found), words._chosen(run, found)]
        said += [*words._differences(run, found), *words._remarks(run, found)]
        assert "true" not in "\n".join(said)


class TestCollapse:
    QUERY: ClassVar = {
        "gm_floor": "0",
        "gm_k": "1",
        "gm_size1": "12",
        "gm_data_seed": "3",
        "gm_guess": "Random data points",
    }

    def test_collapsed_runs_are_counted_and_choose_nothing(self, visit):
        part = opened_at(visit, "gaussian_mixture", **self.QUERY).section("how_many")
        table = part.frame("the criteria that choose")
        gone = table["n_components"][table["aic"].isna()].tolist()
        some = table[table["collapsed"].gt(0) & table["aic"].notna()]
        assert gone
        assert len(some)
        text = text_of(part)
        assert f"With K = {words._listed(gone)} no start came to a finite log-likelihood" in text
        for k, n in zip(some["n_components"], some["collapsed"], strict=True):
            assert f"{n} of 5 starts with K = {k}" in text
        assert (table["collapsed"][table["aic"].isna()] == 5).all()
        assert table["best_start"][table["aic"].isna()].isna().all()
        assert table["n_parameters"][table["aic"].isna()].isna().all()
        assert (table["chosen_by"][table["aic"].isna()] == "").all()
        missing = f"missing for {words._listed(gone)}"
        assert all(chart.alt.endswith(missing) for chart in part.charts)
        # Nobody is offered what is not there.
        labels = [button.label for button in part.block.button]
        assert labels == [f"Look for {k}" for k in range(1, 9) if k not in gone]

    def test_with_a_floor_nothing_is_said_of_it(self, visit):
        query = {**self.QUERY, "gm_floor": "0.05"}
        part = opened_at(visit, "gaussian_mixture", **query).section("how_many")
        assert "finite" not in text_of(part)
        assert "collapsed" not in part.frame("the criteria that choose")

    def test_where_all_collapsed_no_criterion_chooses(self):
        run = small()
        nothing = Candidate(1, None, 3, 3)
        found = HowMany(
            Selection((nothing,), ("aic", "bic", "icl")), (None,), 3, False, (), (), (), True
        )
        assert words._chosen(run, found) == (
            "**No start came to a finite log-likelihood**, so no criterion can choose."
        )
        assert words._alt(run, found, "aic").endswith("defined for none")


class TestPage:
    @pytest.mark.parametrize(
        ("name", "query", "criteria", "things"),
        [
            ("k_means", FEW, ["inertia", "silhouette", "calinski_harabasz"], "centroids"),
            ("gaussian_mixture", POINTS, ["aic", "bic", "icl"], "components"),
            (
                "gaussian_mixture",
                POINTS | {"gm_hard": "true"},
                ["log_likelihood", "icl"],
                "components",
            ),
            ("two_coins", {"tc_trials": "60"}, ["aic", "bic", "icl"], "coins"),
        ],
    )
    def test_charts_show_the_table_and_mark_each_choice(self, visit, name, query, criteria, things):
        part = opened_at(visit, name, **query).section("how_many")
        table = part.frame("the criteria that choose").set_index("n_components")
        assert len(part.charts) == len(criteria)
        for chart, criterion in zip(part.charts, criteria, strict=True):
            title = words._CRITERIA[criterion].title
            assert chart.title.startswith(title)
            rows = chart.data["criterion"].set_index("k")
            assert np.allclose(rows["value"].astype(float), table[criterion], equal_nan=True)
            marked = rows.index[rows["chosen"] != ""].tolist()
            by_table = [k for k, by in table["chosen_by"].items() if title in by]
            assert marked == by_table
            assert f"{len(table)} {things}" in chart.alt
            if criterion in ("inertia", "log_likelihood"):
                assert marked == []
                assert "marked" not in chart.alt
                continue
            (k,) = marked
            best = "idxmin" if "lowest" in chart.alt else "idxmax"
            assert k == getattr(table[criterion].astype(float), best)()
            assert ("smaller is better" in chart.title) == (best == "idxmin")
            value = f"{table[criterion][k]:{words._CRITERIA[criterion].format}}"
            assert f"{value}, with {k}, which is marked" in chart.alt
            assert rows["chosen"][k] == f"K = {k}"
            assert f"**K = {k}**" in part.text

    def test_templates_do_not_depend_on_the_data(self, visit):
        page = opened_at(visit, "k_means", **FEW)
        before = [chart.template for chart in page.section("how_many").charts]
        page.set(data_seed=11)
        after = [chart.template for chart in page.section("how_many").charts]
        assert json.dumps(before) == json.dumps(after)

    @pytest.mark.parametrize("way", ["chart", "button"])
    def test_a_choice_sets_the_number_and_opens_the_best_of_its_starts(self, visit, way):
        page = opened_at(visit, "gaussian_mixture", **POINTS)
        table = page.section("how_many").frame("the criteria that choose")
        starts = dict(zip(table["n_components"], table["best_start"], strict=True))
        k = next(k for k, start in starts.items() if start > 1)
        if way == "chart":
            page.select("criterion_bic", {"pick": [{"k": k}]})
        else:
            page.press(f"look_for_{k}")
        assert (page.value("find"), page.value("start")) == (k, starts[k])
        assert len([name for name in page.player["columns"] if name.startswith("μ")]) == k
        after = page.section("how_many").frame("the criteria that choose")
        assert after.equals(table)

    def test_a_choice_from_a_guess_that_is_typed_in_draws_guesses(self, visit):
        page = opened_at(visit, "gaussian_mixture", **POINTS | {"gm_guess": "Typed in"})
        page.press("look_for_4")
        assert page.value("guess") == "Random data points"
        assert page.value("find") == 4

    def test_a_click_beside_the_columns_changes_nothing(self, visit):
        page = opened_at(visit, "k_means", **FEW)
        page.select("criterion_silhouette", {"pick": []})
        assert page.value("find") == 0

    def test_starts_for_each_are_chosen_here(self, visit):
        page = opened_at(visit, "k_means", km_tries="2", **FEW)
        assert "each from 2 starts, of which the best counts" in page.section("how_many").text
        page.set(tries=1)
        assert "each from 1 start, of which" in page.section("how_many").text
        assert page.link["km_tries"] == "1"

    def test_a_page_without_such_a_control_has_nothing_to_press(self, visit):
        part = opened_at(visit, "two_coins", tc_trials="60").section("how_many")
        assert [b.label for b in part.block.button] == []
        assert not any("Click" in caption for caption in part.captions)

    def test_five_trials_are_one_coin_to_all(self, visit):
        part = opened_at(visit, "two_coins", tc_data="Five published trials").section("how_many")
        assert "K = 1 to 5 coins, since there are no more different trials" in part.text
        assert "All three choose **K = 1**: AIC, BIC and ICL." in part.text

    def test_what_is_closed_computes_nothing(self, visit, monkeypatch):
        def fail(*_):
            raise AssertionError("it was computed")

        monkeypatch.setattr(compared, "compare", fail)
        page = visit("k_means", km_size="19")
        assert "how_many" in page.sections()

    def test_a_page_that_hides_the_truth_says_the_same(self, visit):
        teacher = opened_at(visit, "k_means", km_teacher="true", **FEW)
        student = visit("k_means", **teacher.student_link)
        assert text_of(student.section("how_many")) == text_of(teacher.section("how_many"))

    def test_what_cannot_be_compared_says_why(self, visit):
        page = opened_at(
            visit, "gaussian_mixture", gm_k="1", gm_size1="1", gm_guess="Random data points"
        )
        assert any("cannot run" in error.value for error in page.at.error)

    def test_downloads_all_digits(self, visit, downloads):
        part = opened_at(visit, "k_means", **FEW).section("how_many")
        content, _ = downloads["km-how-many.csv"]
        header = content().decode().splitlines()[0].split(",")
        assert header == [
            "n_components", "inertia", "silhouette", "calinski_harabasz", "chosen_by", "best_start",
        ]  # fmt: skip
        assert str(part.frame("the criteria that choose")["silhouette"][2]) in content().decode()


def test_iris_has_the_inertia_that_is_known_and_criteria_that_differ(visit):
    part = opened_at(visit, "k_means", km_data="Iris").section("how_many")
    table = part.frame("the criteria that choose").set_index("n_components")
    assert table["inertia"][3] == pytest.approx(78.851, abs=5e-4)
    assert table["chosen_by"][2] == "Silhouette"
    assert table["chosen_by"][3] == "Calinski–Harabasz index"


def test_the_galaxies_six_components_are_the_floors_doing(visit):
    query = {"gm_data": "82 galaxies", "gm_guess": "Random data points"}
    part = opened_at(visit, "gaussian_mixture", **query).section("how_many")
    assert "AIC and BIC choose **K = 6** and ICL chooses **K = 3**." in part.text
    assert "ICL chooses fewer than BIC: of BIC’s 6 components some overlap" in part.text
    (said,) = [caption for caption in part.captions if "as narrow as" in caption]
    assert said.startswith("With K = 6, 7 and 8 a component is as narrow as this page lets it be")
    assert "AIC and BIC choose such a fit." in part.captions


def test_old_faithful_in_the_plane_is_two_components_with_the_bic_that_is_published(visit):
    page = visit("mixture_in_the_plane", gp_how_many="true", gp_guess="k-means++")
    table = page.section("how_many").frame("the criteria that choose").set_index("n_components")
    assert len(old_faithful().values) == 272
    assert table["n_parameters"][2] == 11
    assert table["bic"][2] == pytest.approx(2322.191743, abs=0.006)
    assert "BIC" in table["chosen_by"][2]
