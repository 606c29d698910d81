"""Starts at points that the visitor chooses, by their numbers or by a click on the picture."""

import numpy as np
import pytest
from conftest import run_at

from em_ui.sections import starts


def rows_of(page, k=3):
    return [page.value(f"start_row{i}") for i in range(1, k + 1)]


def click(page, observation):
    page.select("picture", {"pick": [{"observation": observation}]})


class TestPoints:
    data = np.arange(10.0).reshape(5, 2)

    def test_are_the_observations_with_these_numbers(self):
        settings = {"start_row1": 4, "start_row2": 1, "start_row3": 5}
        assert starts.rows(settings, 3).tolist() == [3, 0, 4]
        found = starts.points(settings, self.data, 3)
        np.testing.assert_array_equal(found, self.data[[3, 0, 4]])

    def test_behind_the_last_stands_for_the_last(self):
        found = starts.points({"start_row1": 6, "start_row2": 1}, self.data, 2)
        np.testing.assert_array_equal(found, self.data[[4, 0]])

    def test_there_must_be_enough(self):
        settings = {f"start_row{i}": i for i in range(1, 9)}
        with pytest.raises(ValueError, match="there are only 5"):
            starts.points(settings, self.data, 6)


class TestOnThePage:
    def test_numbers_are_the_start(self, visit):
        page = visit("k_means", km_guess=starts.CHOSEN, km_start_row2="77")
        run = run_at("k_means", guess=starts.CHOSEN, start_row2=77)
        data = run.problem.sample.data
        np.testing.assert_array_equal(run.problem.start.centroids, data[[0, 76, 2]])
        assert page.table["centroids 2 x"][0] == data[76, 0]
        assert page.link["km_start_row2"] == "77"

    def test_there_is_a_number_for_each_component(self, visit):
        page = visit("k_means", km_guess=starts.CHOSEN, km_find="5")
        assert rows_of(page, 5) == [1, 2, 3, 4, 5]
        with pytest.raises(KeyError):
            page.value("start_row6")

    def test_a_click_chooses_an_observation_unless_it_is_to_set_a_start(self, visit):
        page = visit("k_means")
        click(page, 42)
        assert page.value("guess") == "Random data points"
        assert page.link["km_observation"] == "42"

    def test_a_click_sets_one_start_after_the_other(self, visit):
        page = visit("k_means")
        before = run_at("k_means").problem
        page.set(place=True)
        click(page, 42)
        assert page.value("guess") == starts.CHOSEN
        assert page.value("place_k") == 2
        rows = rows_of(page)
        assert rows[0] == 42
        # The others start where they did: the guess before was of points too.
        there = before.sample.data[np.array(rows[1:]) - 1]
        np.testing.assert_array_equal(there, before.start.centroids[1:])
        for number, following in ((7, 3), (8, 1), (9, 2)):
            click(page, number)
            assert page.value("place_k") == following
        assert rows_of(page) == [9, 7, 8]
        assert page.link["km_observation"] == "1"

    def test_the_others_start_at_the_points_nearest_to_where_they_did(self, visit):
        page = visit("k_means", km_guess="Random places", km_place="true", km_place_k="2")
        problem = run_at("k_means", guess="Random places").problem
        click(page, 5)
        rows = np.array(rows_of(page)) - 1
        assert rows[1] == 4
        data, unit = problem.sample.data, np.ptp(problem.sample.data, axis=0)
        for k in (0, 2):
            distances = np.linalg.norm((data - problem.start.centroids[k]) / unit, axis=1)
            assert rows[k] == distances.argmin()

    def test_no_two_start_at_one_point_by_that(self, visit):
        # All start at one place, whose nearest point is clicked.
        typed = {f"km_start_{axis}{k}": "0" for axis in "xy" for k in (1, 2, 3)}
        page = visit("k_means", km_guess="Typed in", km_place="true", **typed)
        data = run_at("k_means").problem.sample.data
        nearest = 1 + int(np.linalg.norm(data / np.ptp(data, axis=0), axis=1).argmin())
        click(page, nearest)
        rows = rows_of(page)
        assert rows[0] == nearest
        assert len(set(rows)) == 3

    def test_a_start_that_the_run_lacks_stands_for_the_last(self, visit):
        page = visit("k_means", km_find="2", km_place="true", km_place_k="8")
        click(page, 11)
        assert rows_of(page, 2)[1] == 11
        assert page.value("place_k") == 1

    def test_the_player_goes_back_and_its_end_is_not_told(self, arrive):
        page = arrive("k_means", km_place="true", km_iter="500")
        assert page.at.dataframe  # the table of a run that was played
        click(page, 11)
        assert not page.at.dataframe
        assert "km_iter" not in page.at.query_params
        assert page.player["rewinds"] == 1

    def test_many_starts_draw_points(self, visit):
        page = visit("k_means", km_guess=starts.CHOSEN, km_many_starts="true", km_starts="3")
        starts_of = page.frame("Each start: its solution")
        data = run_at("k_means").problem.sample.data
        assert len(starts_of) == 3
        problem = run_at("k_means", guess=starts.CHOSEN).problem
        drawn = problem.guess(np.random.default_rng(1)).centroids
        assert {tuple(row) for row in drawn} <= {tuple(row) for row in data}
        assert problem.drawn == "Random data points"
