"""The table of numbers: what is typed is taken or refused, and lives in the address as before."""

import json

import pytest
from conftest import TABLE
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import client
from em_ui.controls import Number
from em_ui.controls.table import Heard, take

SPECS = {
    "x_mean1": Number("Mean 1", 0.0, -5.0, 5.0, 0.5),
    "x_size1": Number("Size 1", 10, 1, 12_500, 1),
}
VALUES = {"x_mean1": 0.25, "x_size1": 10}


def typed(values, before=Heard()):  # noqa: B008
    return take({"n": before.n + 1, "values": values}, SPECS, VALUES, before)


class TestTake:
    def test_allowed_is_taken(self):
        taken, heard = typed({"x_mean1": "-2.5", "x_size1": "20"})
        assert taken == {"x_mean1": -2.5, "x_size1": 20}
        assert isinstance(taken["x_size1"], int)
        assert heard == Heard(1, {})

    @pytest.mark.parametrize(
        ("name", "text", "why"),
        [
            ("x_mean1", "5.01", "“Mean 1” has to be a number from −5 to 5. It is still 0.25."),
            ("x_mean1", "", "“Mean 1” has to be a number from −5 to 5. It is still 0.25."),
            (
                "x_size1",
                "0.5",
                "“Size 1” has to be a whole number from 1 to 12,500. It is still 10.",
            ),
        ],
    )
    def test_anything_else_is_refused_with_the_reason(self, name, text, why):
        taken, heard = typed({name: text})
        assert taken == {}
        assert heard.refused == {name: (text, why)}

    @given(text=st.one_of(st.text(max_size=60), st.floats().map(repr), st.integers().map(str)))
    def test_whatever_comes_is_taken_as_it_is_or_refused(self, text):
        taken, heard = typed(dict.fromkeys(SPECS, text))
        assert taken.keys() | heard.refused.keys() == SPECS.keys()
        for key, value in taken.items():
            assert float(text) == value == SPECS[key].nearest(value)

    def test_refusal_stands_until_the_same_number_is_mended(self):
        _, first = typed({"x_mean1": "9"})
        _, second = typed({"x_size1": "3"}, first)
        assert second == Heard(2, first.refused)
        taken, third = typed({"x_mean1": "0.25"}, second)
        assert taken == {"x_mean1": 0.25}
        assert third == Heard(3, {})

    def test_unknown_numbers_are_left_alone(self):
        assert typed({"x_tol": "1"}) == ({}, Heard(1, {}))


@pytest.fixture
def page(visit):
    return visit("gaussian_mixture")


def data_of(page):
    return [json.loads(proto.json) for proto in page.tables_of_numbers()]


class TestPage:
    @pytest.mark.parametrize(
        ("name", "query", "tables"),
        [
            ("gaussian_mixture", {"gm_k": "8"}, 1),
            ("gaussian_mixture", {"gm_guess": "Typed in"}, 2),
            ("gaussian_mixture", {"gm_guess": "Typed in", "gm_stds": "One for all"}, 3),
            ("gaussian_mixture", {"gm_stds": "Known"}, 2),
            ("k_means", {"km_guess": "Typed in"}, 1),
            ("k_means", {"km_guess": "Points that you choose"}, 1),
            ("mixture_in_the_plane", {"gp_data": "Simulated", "gp_guess": "k-means++"}, 1),
            ("mixture_in_the_plane", {"gp_kind": "One for all (tied)"}, 2),
        ],
    )
    def test_numbers_of_components_are_no_widgets_of_their_own(self, visit, name, query, tables):
        page = visit(name, **query)
        assert len(page.tables_of_numbers()) == tables
        numbered = [w.key for w in page.at.number_input if w.key[-1].isdigit()]
        assert numbered == []

    def test_shows_what_the_controls_stand_at(self, visit):
        page = visit("gaussian_mixture", gm_k="2", gm_mean1="12.5", gm_size2="7")
        (data,) = data_of(page)
        (shown,) = data["tables"]
        assert [column["head"] for column in shown["columns"]] == ["Mean", "SD", "Size"]
        assert [row["head"] for row in shown["rows"]] == ["1", "2"]
        assert [row["texts"] for row in shown["rows"]] == [["12.5", "3", "1000"], ["30", "7", "7"]]
        spec = page.widget("sd1")
        assert (spec.min, spec.max, spec.step) == (0.1, 200.0, 0.5)

    def test_many_columns_stand_in_two_tables_of_one_element(self, visit):
        (data,) = data_of(visit("mixture_in_the_plane", gp_data="Simulated", gp_guess="k-means++"))
        heads = [[column["head"] for column in part["columns"]] for part in data["tables"]]
        assert heads == [["Mean x", "Mean y", "Size"], ["SD x", "SD y", "Correlation"]]

    def test_what_belongs_to_all_has_no_number(self, visit):
        page = visit("mixture_in_the_plane", gp_kind="One for all (tied)")
        labels = [cell.label for cell in page.cells()]
        assert "Start x 2" in labels
        assert labels[-3:] == ["Start SD x of all", "Start SD y of all", "Start correlation of all"]

    def test_help_is_said(self, visit):
        (data,) = data_of(visit("k_means", km_guess="Points that you choose"))
        assert data["help"].startswith("The centroid starts at this point of the data")

    def test_change_moves_the_run_and_the_address(self, page, visit):
        before = page.status
        page.set(mean2=-22.5)
        assert page.value("mean2") == -22.5
        assert page.at.query_params["gm_mean2"] == "-22.5"
        assert page.value("situation") == "Based on “Wang’s article”"
        assert page.status != before
        assert page.status == visit("gaussian_mixture", gm_mean2="-22.5").status
        page.set(mean2=30.0)
        assert "gm_mean2" not in page.at.query_params
        assert page.status == before

    def test_refused_changes_nothing_but_says_why(self, page):
        link, status = page.link, page.status
        page.set(size1=12_501)
        (data,) = data_of(page)
        text, why = data["refused"]["gm_size1"]
        assert text == "12501"
        assert why.endswith("from 1 to 12,500. It is still 1000.")
        assert (page.link, page.status) == (link, status)
        assert "gm_size1" not in page.at.query_params

    def test_changes_that_the_server_had_not_heard_of_come_together(self, page):
        page.set_at_once(mean1=1.0, sd1=2.0, size1=3)
        assert [page.value(name) for name in ("mean1", "sd1", "size1")] == [1, 2, 3]
        assert set(page.at.query_params) >= {"gm_mean1", "gm_sd1", "gm_size1"}

    def test_address_of_before_takes_nothing_back(self, page):
        # A browser may send an address that lacks what was typed in the run before.
        page.set(mean1=1.0)
        page.at.query_params.pop("gm_mean1")
        page.set(data_seed=7)
        assert page.value("mean1") == 1
        assert page.at.query_params["gm_mean1"] == "1"

    def test_a_click_on_the_picture_takes_nothing_back(self, page):
        page.set(mean1=1.0)
        page.open("by_hand")
        page.at.query_params.pop("gm_mean1")
        points = page.at.get("vega_lite_chart")[0].proto.id
        assert points.endswith("gm_picture")
        page.select("picture", {"pick": [{"observation": 5}]})
        assert page.value("mean1") == 1
        assert float(page.at.query_params["gm_mean1"]) == 1

    def test_situation_and_reset_set_it(self, page, plain):
        page.set(mean1=1.0)
        page.set(situation="A variance that collapses")
        assert page.value("mean1") != 1
        page.press("reset")
        assert page.value("mean1") == -10
        assert page.link == plain("gaussian_mixture").link

    def test_page_that_was_left_shows_what_another_link_says(self, page):
        page.set(mean1=1.0)
        page.switch("k_means")
        page.at.query_params.clear()  # as Streamlit does where a page is left
        page.switch("gaussian_mixture", gm_mean2="5")
        assert (page.value("mean1"), page.value("mean2")) == (-10, 5)

    def test_page_that_was_left_is_as_it_was_without_a_link(self, page):
        page.set(mean1=1.0)
        page.switch("k_means")
        page.at.query_params.clear()  # see above
        page.switch("gaussian_mixture")
        assert page.value("mean1") == 1
        assert page.at.query_params["gm_mean1"] == "1"

    def test_number_that_is_hidden_waits(self, page):
        page.set(mean3=7.0)
        page.set(k=2)
        assert "gm_mean3" not in page.at.query_params
        page.set(k=3)
        assert page.value("mean3") == 7
        assert page.at.query_params["gm_mean3"] == "7"

    def test_default_goes_with_the_data_and_what_was_typed_stays(self, visit):
        page = visit("gaussian_mixture", gm_guess="Typed in", gm_data="Old Faithful: waiting times")
        first = page.value("start_mean1")
        assert "gm_start_mean1" not in page.at.query_params
        page.set(start_mean2=77.0)
        page.set(data="Old Faithful: eruptions")
        assert page.value("start_mean1") != first
        assert "gm_start_mean1" not in page.at.query_params
        # As near to what was typed as these data allow.
        assert page.value("start_mean2") == page.widget("start_mean2").max < 77

    def test_sealed_numbers_are_not_shown(self, page, visit):
        page.open("teacher")
        student = visit("gaussian_mixture", **page.student_link)
        assert student.tables_of_numbers() == []
        assert student.table.equals(page.table)


def test_benchmarks_know_it():
    assert client.TABLE == TABLE
