"""The reader's own numbers: in the link, in the session, and in the run."""

import base64
import contextlib
import io
import json
import zlib

import numpy as np
import pytest
import streamlit
from conftest import PREFIXES
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from toy_lesson.model import PoissonMixture, guess_from_points
from toy_lesson.problem import WORDS

from em_core import fit_labelled
from em_ui.data import OWN, Given, NoData, kept, reach
from em_ui.data.kept import MAX_IN_LINK, Numbers, Reference, told
from em_ui.run import in_digits, run
from em_ui.run.cache import cached_quietly
from em_ui.run.problem import Quantity

CALLS = [3, 5, 4, 12, 11, 6, 14, 2, 13, 4, 10, 5, 15, 3, 12]
TEXT = " ".join(map(str, CALLS))
LABELLED = "calls;shop\n" + "\n".join(f"{x};{'b' if x > 8 else 'a'}" for x in CALLS)
LONG = "calls\n" + "\n".join(str(3 + i % 17) for i in range(MAX_IN_LINK + 1))

numbers = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def small_sets(draw):
    n, d = draw(st.integers(1, MAX_IN_LINK)), draw(st.integers(1, 8))
    values = draw(arrays(float, (n, d), elements=numbers)) + 0.0
    names = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=60)
    columns = tuple(draw(st.lists(names, min_size=d, max_size=d)))
    if draw(st.booleans()):
        groups = tuple(draw(st.lists(names, min_size=1, max_size=5)))
        labels = draw(arrays(np.int64, n, elements=st.integers(0, len(groups) - 1)))
        return Numbers("mine", columns, values, labels, groups)
    return Numbers("mine", columns, values)


def packed(content, kind="1"):
    text = zlib.compress(json.dumps(content).encode())
    return kind + base64.urlsafe_b64encode(text).decode().rstrip("=")


class TestText:
    @settings(max_examples=60)
    @given(given_set=small_sets())
    def test_small_sets_come_back_to_the_last_digit(self, given_set):
        back = told(kept.told_as(given_set))
        np.testing.assert_array_equal(back.rows, given_set.rows)
        assert back.columns == given_set.columns
        assert back.groups == given_set.groups
        if given_set.labels is None:
            assert back.labels is None
        else:
            np.testing.assert_array_equal(back.labels, given_set.labels)
        assert back.digest == given_set.digest

    def test_frequencies_take_one_row_each(self):
        values = np.repeat(np.arange(29.0), 40)[:, None]
        back = told(kept.told_as(Numbers("crabs", ("ratio",), values)))
        np.testing.assert_array_equal(back.rows, values)

    def test_more_rows_are_only_named(self):
        values = np.arange(MAX_IN_LINK + 1.0)[:, None]
        many = Numbers("long.csv", ("x",), values)
        text = kept.told_as(many)
        assert told(text) == Reference("long.csv", MAX_IN_LINK + 1, ("x",), many.digest)
        assert len(text) < 200
        assert isinstance(told(kept.told_as(Numbers("x", ("x",), values[1:]))), Numbers)

    @pytest.mark.parametrize(
        "change",
        [
            {"v": [[1, 2], [3, 4]]},
            {"v": [[1, float("nan")]]},
            {"v": [[1, "2"], [3]]},
            {"v": []},
            {"v": [list(range(MAX_IN_LINK + 1))]},
            {"n": [1]},
            {"n": [1, 0]},
            {"n": [1, 10**9]},
            {"l": [0, 1], "g": ["a"]},
            {"l": [0, -1], "g": ["a", "b"]},
            {"c": ["x"] * 9},
            {"c": [1]},
            {"t": "a\nb"},
            {"t": None},
        ],
        ids=str,
    )
    def test_what_is_not_so_is_not_read(self, change):
        right = {"t": "mine", "c": ["x"], "v": [[1, 2]]}
        assert isinstance(told(packed(right)), Numbers)
        assert told(packed(right | change)) is None

    @pytest.mark.parametrize("text", ["", "1", "2", "3abc", "1%%%", "1" + "A" * 50, "x", "1é"])
    def test_anything_else_is_not_read(self, text):
        assert told(text) is None

    def test_a_bomb_is_not_unpacked(self):
        bomb = base64.urlsafe_b64encode(zlib.compress(b"[" * 50_000_000)).decode()
        assert told("1" + bomb) is None
        assert told("1" + "A" * 10_000_000) is None

    @settings(max_examples=200)
    @given(text=st.text(st.sampled_from("ABCabc019_-"), max_size=60))
    def test_no_text_raises(self, text):
        told("1" + text)
        told("2" + text)


class TestPage:
    def test_asks_for_numbers_first(self, visit):
        page = visit("toy_lesson", po_data=OWN)
        (notice,) = page.at.info
        assert notice.value.startswith("There are no numbers yet.")
        assert not page.charts
        assert "rate_a" not in page.shown()

    def test_runs_on_what_is_pasted(self, visit):
        page = visit("toy_lesson")
        page.paste(TEXT)
        assert page.components("iteration_status")
        script = page.at
        run_values = page.table
        assert len(run_values) > 1
        assert any("Used: 15 rows" in caption.value for caption in script.sidebar.caption)

    def test_link_opens_for_others_with_the_same_numbers(self, visit):
        page = visit("toy_lesson")
        page.paste(TEXT)
        other = visit("toy_lesson", **page.link)
        assert other.at.query_params["po_own"] == page.at.query_params["po_own"]
        np.testing.assert_array_equal(other.table.to_numpy(), page.table.to_numpy())

    def test_nothing_speaks_of_a_truth(self, visit):
        page = visit("toy_lesson")
        page.paste(TEXT)
        page.open(*page.sections())
        text = (
            page.text.lower()
            .replace("what is the truth?", "")
            .replace("nobody knows the truth behind these data", "")
        )
        assert "truth" not in text.replace("none of them knows the truth", "")
        assert "labels known" not in text

    def test_labels_stand_in_for_the_truth(self, visit):
        page = visit("toy_lesson")
        page.paste(LABELLED)
        page.choose(labels="shop")
        page.open("teacher")
        calls = np.array(CALLS)
        known = [calls[calls <= 8].mean(), calls[calls > 8].mean()]
        assert "labels known" in page.status
        text = page.section("teacher").text
        assert all(f"{mean:.2f}" in text for mean in known)

    def test_columns_can_be_chosen(self, visit):
        page = visit("toy_lesson")
        page.paste("a,b\n1,20\n2,30\n4,25\n1,22")
        first = page.table
        page.choose(role_0="b")
        assert not page.table.equals(first)
        page.choose(role_0="a")
        assert page.table.equals(first)

    def test_what_cannot_be_read_is_said_and_runs_nothing(self, visit):
        page = visit("toy_lesson")
        page.paste("calls\n3\nfour\n5")
        assert "four" in page.at.sidebar.error[0].value
        assert any("four" in error.value for error in page.at.main.error)
        assert not page.charts

    def test_what_the_model_refuses_is_said(self, visit):
        page = visit("toy_lesson")
        page.paste("1.5 2.5 3")
        assert any("must be whole numbers" in error.value for error in page.at.error)

    def test_more_rows_ask_for_the_file_again(self, visit):
        page = visit("toy_lesson")
        page.bring("long.csv", LONG.encode())
        assert page.charts
        link = page.link
        other = visit("toy_lesson", **link)
        assert not other.charts
        assert any("long.csv" in notice.value for notice in other.at.info)
        other.bring("again.csv", LONG.encode())
        assert other.charts
        np.testing.assert_array_equal(other.table.to_numpy(), page.table.to_numpy())
        assert not any("not the numbers" in warning.value for warning in other.at.warning)

    def test_other_numbers_than_those_of_the_link_are_named(self, visit):
        page = visit("toy_lesson")
        page.bring("long.csv", LONG.encode())
        other = visit("toy_lesson", **page.link)
        other.bring("other.csv", (LONG + "\n4").encode())
        assert any("not the numbers that the link" in w.value for w in other.at.warning)

    def test_reset_forgets_them_and_offers_them_again(self, visit):
        page = visit("toy_lesson")
        page.paste(TEXT)
        with_own = page.table
        page.press("reset")
        assert page.value("data") != OWN
        assert "po_own" not in page.at.query_params
        page.set(data=OWN)
        assert not page.charts
        (again,) = (b for b in page.at.button if "again" in b.label)
        again.click()
        page.run()
        np.testing.assert_array_equal(page.table.to_numpy(), with_own.to_numpy())

    def test_another_visitor_is_offered_nothing(self, visit):
        page = visit("toy_lesson")
        page.paste(TEXT)
        other = visit("toy_lesson", po_data=OWN)
        assert not [b for b in other.at.button if "again" in b.label]

    def test_a_broken_link_is_mended_with_a_notice(self, visit):
        page = visit("toy_lesson", po_data=OWN, po_own="1broken")
        (notice,) = page.notices
        assert notice.endswith("it is now none: that part of the link is damaged.")
        assert "po_own" not in page.at.query_params


class TestTakenAway:
    def run_script(self, page, tmp_path, monkeypatch, downloads):
        page.open("code")
        data, _ = downloads["po-data.csv"]
        (tmp_path / "po-data.csv").write_bytes(data())
        script, _ = downloads["po-run.py"]
        monkeypatch.chdir(tmp_path)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(script, "script", "exec"), {"__name__": "script"})
        return out.getvalue()

    def test_data_are_no_formulas_for_a_spreadsheet(self, visit, downloads):
        page = visit("toy_lesson")
        page.paste("=1+1\n" + "\n".join(map(str, CALLS)))
        page.open("code")
        data, _ = downloads["po-data.csv"]
        assert data().decode().split("\n")[0].split(",")[-1] == "'=1+1"

    @pytest.mark.parametrize("text", [TEXT, LONG], ids=["in the script", "beside it"])
    def test_script_prints_the_table(self, visit, tmp_path, monkeypatch, downloads, text):
        page = visit("toy_lesson")
        page.paste(text)
        printed = self.run_script(page, tmp_path, monkeypatch, downloads)
        rows = [line.split(",") for line in printed.splitlines()[1:]]
        table = page.table
        assert len(rows) == len(table)
        np.testing.assert_allclose(
            np.array([row[:-1] for row in rows], float), table.to_numpy(float)[:, :-1], rtol=1e-12
        )
        assert ("loadtxt" in downloads["po-run.py"][0]) == (text == LONG)


class TestKept:
    @pytest.mark.parametrize(("own", "times"), [("", 1), ("1mine", 2)])
    def test_what_is_computed_of_own_numbers_is_for_one_session_alone(
        self, monkeypatch, own, times
    ):
        sessions, calls = [{}, {}], []

        @cached_quietly
        def compute(settings):
            calls.append(settings)
            return len(calls)

        for session in sessions:
            monkeypatch.setattr(streamlit, "session_state", session)
            for _ in range(2):
                compute({"own": own})
        assert len(calls) == times
        assert [len(session) for session in sessions] == [int(times > 1)] * 2

    def test_a_page_runs_own_numbers_once_for_its_visitor(self, visit, monkeypatch):
        runs = []
        monkeypatch.setattr(run, "run_em", lambda *made, do=run.run_em: runs.append(1) or do(*made))
        page = visit("toy_lesson")
        page.paste(TEXT)
        before = len(runs)
        page.run()
        assert len(runs) == before
        visit("toy_lesson", **page.link)
        assert len(runs) == before + 1


class TestGiven:
    def given_set(self, labels, groups):
        values = np.array(CALLS, float)[:, None]
        return Given("mine", ("calls",), values, labels, groups, len(groups) or 2)

    def sample(self, found):
        calls = found.column(0, whole=True)
        return found.sample(
            PoissonMixture(), calls, lambda k, rng: guess_from_points(calls, k, rng=rng)
        )

    def test_with_labels_the_estimate_with_them_is_what_fit_labelled_says(self):
        labels = (np.array(CALLS) > 8).astype(int)
        sample = self.sample(self.given_set(labels, ("a", "b")))
        init = guess_from_points(np.array(CALLS), 2, rng=np.random.default_rng(0))
        assert sample.truth == fit_labelled(PoissonMixture(), np.array(CALLS), labels, init)
        np.testing.assert_array_equal(sample.labels, labels)

    def test_without_labels_there_is_no_truth(self):
        sample = self.sample(self.given_set(None, ()))
        assert sample.truth is None
        assert sample.labels is None

    def test_broken_numbers_are_named(self):
        found = Given("mine", ("calls",), np.array([[1.0], [2.5]]), None, (), 2)
        with pytest.raises(ValueError, match=r"“calls” must be whole numbers, and row 2 .* 2\.5"):
            found.column(0, whole=True)

    def test_nothing_kept_is_no_data(self):
        with pytest.raises(NoData, match="no numbers yet"):
            kept.recall("")


class TestDigits:
    @pytest.mark.parametrize(
        ("values", "places"),
        [([0, 100], ".2f"), ([0, 1e7], ".2f"), ([0, 0.01], ".5f"), ([5, 5], ".2f")],
    )
    def test_decimals_fit_the_spread(self, values, places):
        words = in_digits(WORDS, np.array(values, float), "rates")
        assert words.quantities["rates"] == Quantity("Rate", "λ", places)
        assert words.quantities["weights"] == WORDS.quantities["weights"]


class TestReach:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [([0, 10], (-10, 20)), ([5, 5], (0, 10)), ([0, 0], (-1, 1)), ([-1, 1], (-3, 3))],
    )
    def test_starts_may_lie_as_far_around_as_the_data_are_wide(self, values, expected):
        assert reach(np.array(values, float)) == expected

    @pytest.mark.parametrize(
        ("name", "control", "text"),
        [
            ("gaussian_mixture", "start_mean1", "1000\n1010\n1020\n1005"),
            ("k_means", "start_x1", "x,y\n1000,1\n1010,2\n1020,5\n1005,3"),
            ("mixture_in_the_plane", "start_x1", "x,y\n1000,1\n1010,2\n1020,5\n1005,3"),
        ],
    )
    def test_typed_starts_take_their_bounds_from_the_data(self, visit, name, control, text):
        page = visit(name)
        page.paste(text)
        page.set(guess="Typed in")
        widget = page.widget(control)
        assert (widget.min, widget.max) == (980, 1040)
        assert 1000 <= widget.value <= 1020


class TestScale:
    """Numbers in whatever unit: the charge of an electron, milliseconds since 1970."""

    TEXT = "a b\n2.1 5.3\n1.7 4.4\n2.6 5.9\n8.8 1.2\n9.3 0.4\n9.9 1.6\n8.5 0.9\n"

    def pasted(self, visit, name, scale, offset):
        rows = [line.split() for line in self.TEXT.splitlines()[1:]]
        lines = [" ".join(f"{float(x) * scale + offset!r}" for x in row) for row in rows]
        page = visit(name, **{f"{PREFIXES[name]}_guess": "Typed in"})
        page.paste("\n".join(["a b", *lines]))
        return page

    @pytest.mark.parametrize("name", ["k_means", "gaussian_mixture", "mixture_in_the_plane"])
    @pytest.mark.parametrize(("scale", "offset"), [(1e-19, 0), (1e7, 1.7e12), (1e30, 0)])
    def test_starts_can_be_typed_in(self, visit, name, scale, offset):
        page = self.pasted(visit, name, scale, offset)
        assert page.ending == "success"
        assert visit(name, **page.link).table.equals(page.table)

    @pytest.mark.parametrize("name", ["k_means", "gaussian_mixture", "mixture_in_the_plane"])
    @pytest.mark.parametrize(("scale", "unit"), [(1e200, "larger"), (1e-200, "smaller")])
    def test_squares_out_of_range_are_refused_in_words(self, visit, name, scale, unit):
        page = self.pasted(visit, name, scale, 0)
        (error,) = page.at.error
        assert error.value.endswith(f"Give them in a {unit} unit.")


class TestBroughtAgain:
    def test_another_long_file_is_not_held_against_a_link_that_there_was_not(self, visit):
        page = visit("toy_lesson")
        page.bring("long.csv", LONG.encode())
        page.bring("other.csv", (LONG + "\n4").encode())
        assert page.charts
        assert not any("the link was made with" in warning.value for warning in page.at.warning)

    def test_choices_stay_with_the_same_columns(self, visit):
        page = visit("toy_lesson")
        page.bring("a.csv", LABELLED.encode())
        page.choose(labels="shop")
        known = page.table
        page.bring("b.csv", LABELLED.encode())
        assert "labels known" in page.status
        assert page.table.equals(known)

    def test_other_columns_are_chosen_anew(self, visit):
        page = visit("two_coins")
        page.bring("a.csv", b"heads\n3\n4\n7\n6\n")
        page.bring("b.csv", b"heads,tosses\n3,9\n4,8\n7,9\n6,7\n")
        assert any("Used: 4 rows" in caption.value for caption in page.at.sidebar.caption)
        page.open("code")
        assert any("[3, 9]" in code.value for code in page.at.code)


@pytest.mark.parametrize("text", ["x,y\n3,4\n3,4\n3,4", "x,y\n3,4"])
def test_points_at_one_place_are_refused_in_the_plane(visit, text):
    page = visit("mixture_in_the_plane")
    page.paste(text)
    assert any("at the same place" in error.value for error in page.at.error)


def test_default_run_on_given_numbers_leaves_the_plateau(visit):
    page = visit("gaussian_mixture")
    page.paste("1 2 3 4 11 12 13 14")
    assert page.ending == "success"
    means = page.table.filter(like="means").iloc[-1]
    assert sorted(means.round(2)) == [2.5, 12.5]


def test_speed_is_not_told_of_a_place_far_from_the_limit(visit):
    page = visit("gaussian_mixture")
    page.paste("1 2 3 4 11 12 13 14")
    page.set(tol="1e-6")
    assert "Converged** after 2 iterations" in page.status
    page.open("convergence")
    text = page.section("convergence").text
    assert "on the path of this run, continued beyond its end" in text
    page.set(tol="0")
    page.open("convergence")
    assert "continued beyond its end" not in page.section("convergence").text
