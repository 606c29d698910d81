"""K-Means on published data and on a reader's own."""

import itertools
import re
import time

import numpy as np
import pytest
from conftest import run_at
from sklearn.cluster import KMeans as PeerKMeans

from em_core import KMeans, KMeansParams, Status, fit
from em_core.data import iris, old_faithful
from em_core.models.kmeans import guess_plus_plus
from em_core.numerics import match_labels
from em_ui.data import OWN
from em_ui.run.many_starts import run_starts
from em_ui.sections import starts
from pages.k_means.problem import MAX_CLUSTERS, POINTS, TYPED
from pages.k_means.sections import widest

IRIS = {"km_data": "Iris", "km_guess": "k-means++"}
GEYSER = {"km_data": "Old Faithful"}


def as_text(rows, head="", *, between=",", sign="."):
    lines = [between.join(str(cell).replace(".", sign) for cell in row) for row in rows]
    return "\n".join([*[head] * bool(head), *lines])


def flowers():
    """Iris as a file has it: species in words."""
    data = iris()
    rows = [
        [*row, data.groups[k]]
        for row, k in zip(data.values.tolist(), data.labels.tolist(), strict=True)
    ]
    return as_text(rows, "SepalLength,SepalWidth,PetalLength,PetalWidth,Species")


def wrong_labels(page):
    """The sentence that counts them, if it is there."""
    return [t for t in page.text.split("\n") if "in another cluster than" in t]


def mistakes(run):
    """Count by trying every way to match clusters and groups."""
    labels, k = run.problem.sample.labels, run.params.n_components
    squares = ((run.problem.sample.data[:, None] - run.params.centroids) ** 2).sum(axis=2)
    clusters, groups = squares.argmin(axis=1), int(labels.max()) + 1
    most = max(k, groups)
    return min(
        int((np.array(order)[clusters] != labels).sum())
        for order in itertools.permutations(range(most), k)
    )


class TestMatchLabels:
    def test_known_case(self):
        matching, wrong = match_labels([0, 0, 1, 1, 1, 2], [2, 2, 0, 0, 1, 1])
        assert matching == {0: 2, 1: 0, 2: 1}
        assert wrong == 1

    @pytest.mark.parametrize("seed", range(20))
    def test_is_the_best_of_all_matchings(self, seed):
        rng = np.random.default_rng(seed)
        k, groups = rng.integers(1, 6, size=2)
        ours, theirs = rng.integers(k, size=30), rng.integers(groups, size=30)
        most = max(k, groups)
        agree = max(
            int((np.array(order)[ours] == theirs).sum())
            for order in itertools.permutations(range(most), int(k))
        )
        matching, wrong = match_labels(ours, theirs)
        assert wrong == 30 - agree
        assert len(set(matching.values())) == len(matching)
        assert sum(((ours == i) & (theirs == j)).sum() for i, j in matching.items()) == agree

    def test_a_component_without_a_group_is_not_matched(self):
        assert match_labels([0, 1, 1], [0, 0, 0]) == ({1: 0}, 1)

    @pytest.mark.parametrize(
        ("assigned", "labels"),
        [([0, 1], [0]), ([], []), ([0.5, 1], [0, 1]), ([-1, 0], [0, 1]), ([[0]], [[0]])],
        ids=str,
    )
    def test_refuses_what_are_no_labels(self, assigned, labels):
        with pytest.raises(ValueError, match="assigned and labels must"):
            match_labels(assigned, labels)


class TestIris:
    def test_is_what_everybody_gets(self, visit):
        page = visit("k_means", **IRIS)
        peer = PeerKMeans(3, n_init=20, random_state=0).fit(iris().values)
        assert page.table["inertia"].iloc[-1] == pytest.approx(peer.inertia_, rel=1e-9)
        assert "Inertia 78.8514." in page.status
        (told,) = wrong_labels(page)
        assert told.startswith("**16 of 150 points are in another cluster than their label says**")
        assert mistakes(run_at("k_means", data="Iris", guess="k-means++")) == 16
        pairs = dict(re.findall(r"(\d) as (\w+)", told))
        assert sorted(pairs.values()) == ["setosa", "versicolor", "virginica"]

    @pytest.mark.parametrize("find", [1, 2, 4, 8])
    def test_other_numbers_of_clusters_have_other_mistakes(self, visit, find):
        page = visit("k_means", **IRIS, km_find=str(find))
        wrong = mistakes(run_at("k_means", data="Iris", guess="k-means++", find=find))
        assert wrong != 16
        (told,) = wrong_labels(page)
        assert told.startswith(f"**{wrong} of 150 points are in another")
        assert told.count(" as ") == min(find, 3)

    def test_is_not_told_before_the_run_was_played(self, arrive):
        page = arrive("k_means", **IRIS)
        assert not wrong_labels(page)
        assert "16" not in "".join(page.captions)

    def test_a_file_with_species_gives_the_same(self, visit):
        page = visit("k_means", km_guess="k-means++")
        page.bring("iris.csv", flowers().encode())
        assert not wrong_labels(page)
        page.choose(labels="Species")
        (told,) = wrong_labels(page)
        assert told.startswith("**16 of 150 points are")
        assert "setosa" in told
        assert "Inertia 78.8514." in page.status
        assert page.value("find") == 0
        assert len(page.player["rows"]) == len(visit("k_means", **IRIS).player["rows"])

    def test_a_link_to_them_opens_for_others(self, visit):
        page = visit("k_means", km_guess="k-means++")
        page.bring("iris.csv", flowers().encode())
        page.choose(labels="Species")
        other = visit("k_means", **page.link)
        assert wrong_labels(other) == wrong_labels(page)
        assert other.table.equals(page.table)

    def test_without_labels_nothing_compares_with_any(self, visit):
        page = visit("k_means", km_guess="k-means++")
        page.paste(as_text(iris().values.tolist()))
        page.set(find=3)
        page.open("by_hand", "hard_against_soft", "many_starts", "how_many", "convergence")
        assert not wrong_labels(page)
        told = [*page.text.split("\n"), page.status, *page.captions, *page.advice]
        told += [chart.alt for chart in page.charts] + [e.proto.alt for e in page.at.dataframe]
        # How many there are is not known by comparing with anything either.
        told = [text for text in told if not text.startswith("**None of them knows the truth.**")]
        found = [text for text in told if re.search(r"\btru(e|th)|labels? known|stands for", text)]
        assert not found
        assert {"truth", "labelled"}.isdisjoint(page.charts[0].data)

    def test_groups_have_their_names(self, visit):
        page = visit("k_means", **IRIS)
        for species in iris().groups:
            assert species in page.status
        assert "true" not in page.status

    def test_nobody_knows_the_truth(self, visit):
        page = visit("k_means", **IRIS)
        assert "truth" not in page.charts[0].data
        assert len(page.charts[0].data["labelled"]) == 3
        assert "true" not in page.captions[0]
        means = [iris().values[iris().labels == k].mean(axis=0) for k in range(3)]
        run = run_at("k_means", data="Iris")
        np.testing.assert_allclose(run.labelled.centroids, means)

    def test_parameters_go_by_their_columns(self, visit):
        page = visit("k_means", **IRIS)
        page.open("teacher")
        answers = page.section("teacher").text
        first = run_at("k_means", data="Iris", guess="k-means++").steps[1].params.centroids
        assert f"c 2 petal length {first[1, 2]:.4f}" in answers


class TestOwnLabels:
    def test_one_mistake_is_one(self, visit):
        page = visit("k_means")
        rows = [(0, 0, "a"), (0, 1, "a"), (1, 0, "a"), (9, 9, "b"), (9, 8, "b"), (8, 9, "a")]
        page.paste(as_text(rows, "x,y,kind"))
        page.choose(labels="kind")
        (told,) = wrong_labels(page)
        assert told.startswith("**1 of 6 points is in another cluster than its label says**")

    def test_none_is_none(self, visit):
        page = visit("k_means")
        page.paste(as_text([(0, 0, "a"), (0, 1, "a"), (9, 9, "b"), (9, 8, "b")], "x,y,kind"))
        page.choose(labels="kind")
        (told,) = wrong_labels(page)
        assert told.startswith("**No point is in another cluster than its label says**")

    def test_simulated_points_come_from_clusters(self, visit, plain):
        (told,) = wrong_labels(plain("k_means"))
        assert told.startswith(f"**{mistakes(run_at('k_means'))} of 600 points are in another")
        assert "than the one they come from**, at the best matching." in told
        apart = visit("k_means", km_spread="0.1")
        assert mistakes(run_at("k_means", spread=0.1)) == 0
        (told,) = wrong_labels(apart)
        assert told.startswith("**No point is in another cluster than the one it comes from**")

    def test_sealed_pages_do_not_tell(self, visit):
        page = visit("k_means", km_teacher="true")
        assert wrong_labels(page)
        assert not wrong_labels(visit("k_means", **page.student_link))

    def test_more_groups_than_can_be_found(self, visit):
        rows = [(i, i % 7, f"kind {i % 11}") for i in range(44)]
        page = visit("k_means")
        page.paste(as_text(rows, "x,y,kind"))
        page.choose(labels="kind")
        assert len(page.player["rows"]) > 1
        run = page.charts[0].data["steps"]
        assert run["component"].nunique() == MAX_CLUSTERS
        assert "8, since no more can be looked for" in page.widget("find").help
        assert any("11 clusters" in text and "look for 8" in text for text in page.advice)
        page.open(*page.sections())

    def test_names_are_not_set_as_markdown(self, visit):
        rows = [(0, 0, "*a*"), (0, 1, "*a*"), (9, 9, "$b$"), (9, 8, "$b$")]
        page = visit("k_means")
        page.paste(as_text(rows, "*x*,[y](z),kind"))
        page.choose(labels="kind")
        (told,) = wrong_labels(page)
        assert r"\*a\*" in told
        assert r"\$b\$" in told
        assert "*a*" not in page.status
        page.open("teacher")
        assert "*x*" not in page.section("teacher").text


class TestGeyser:
    def test_published(self, visit):
        page = visit("k_means", **GEYSER)
        peer = PeerKMeans(2, n_init=5, random_state=0).fit(old_faithful().values)
        assert page.table["inertia"].iloc[-1] == pytest.approx(peer.inertia_, rel=1e-9)
        assert not wrong_labels(page)

    def test_pasted_with_decimal_commas(self, visit):
        page = visit("k_means", km_find="2")
        rows = old_faithful().values.tolist()
        page.paste(as_text(rows, "eruptions;waiting", between=";", sign=","))
        published = visit("k_means", **GEYSER)
        np.testing.assert_array_equal(page.table.to_numpy(), published.table.to_numpy())

    def test_is_drawn_in_scales_of_its_own(self, visit):
        page = visit("k_means", **GEYSER)
        x = page.charts[0].template["layer"][0]["encoding"]["x"]["scale"]["domain"]["signal"]
        assert "height" not in x
        assert any("different scales" in caption for caption in page.captions)
        assert len(page.charts[0].data["borders"]) > 0

    def test_axes_are_its_columns(self, visit):
        text = str(visit("k_means", **GEYSER).charts[0].template)
        assert "'title': 'eruptions'" in text
        assert "'title': 'waiting'" in text

    def test_the_situation_is_not_that_of_simulated_points(self, visit):
        page = visit("k_means")
        assert page.question
        page.set(data="Old Faithful")
        assert page.question is None
        assert page.value("situation") == "Your own settings"
        page.set(data="Simulated")
        assert page.value("situation") == "Wang’s article"


class TestScale:
    def near(self, page):
        x = page.charts[0].template["layer"][0]["encoding"]["x"]["scale"]["domain"]["signal"]
        return "height" in x

    @pytest.mark.parametrize(("height", "same"), [(1.0, True), (4.0, True), (6.0, False)])
    def test_is_one_where_points_can_be_seen_in_it(self, visit, height, same):
        page = visit("k_means")
        page.paste(as_text([(0, 0), (1, height), (0.5, 0), (0.2, height)], "x,y"))
        assert self.near(page) == same
        assert any("different scales" in caption for caption in page.captions) != same

    def test_simulated_points_have_one(self, plain):
        assert self.near(plain("k_means"))


class TestColumns:
    def test_those_that_vary_most(self, visit):
        page = visit("k_means", **IRIS)
        drawn = page.charts[0].data["points"]
        first = drawn[drawn["first"] == 0]
        # Petal length and sepal length.
        data = iris().values[first["observation"].to_numpy() - 1]
        np.testing.assert_array_equal(first[["x", "y"]], data[:, [2, 0]])

    @pytest.mark.parametrize(("across", "up"), [(4, 2), (1, 1), (0, 3), (3, 0), (8, 0)])
    def test_those_that_one_chooses(self, visit, across, up):
        page = visit("k_means", **IRIS, km_across=str(across), km_up=str(up))
        axes = widest(iris().values, min(across, 4) - 1, up - 1)
        drawn = page.charts[0].data["points"]
        data = iris().values[drawn["observation"].to_numpy() - 1]
        np.testing.assert_array_equal(drawn[["x", "y"]], data[:, axes])
        run = run_at("k_means", data="Iris", guess="k-means++")
        steps = page.charts[0].data["steps"]
        ours = np.concatenate([step.params.centroids[:, axes] for step in run.steps])
        np.testing.assert_array_equal(steps[["x", "y"]], ours)
        labelled = page.charts[0].data["labelled"]
        np.testing.assert_array_equal(labelled[["x", "y"]], run.labelled.centroids[:, axes])
        names = [iris().columns[axis] for axis in axes]
        assert f"{names[0]} is drawn across and {names[1]} upwards" in page.charts[0].alt
        assert f"{names[0]} is drawn across and {names[1]} upwards" in page.captions[0]

    def test_default_is_never_the_other_one(self):
        values = np.random.default_rng(1).normal(size=(50, 3)) * [1, 3, 2]
        assert widest(values, -1, -1) == (1, 2)
        assert widest(values, -1, 1) == (2, 1)
        assert widest(values, 1, -1) == (1, 2)
        assert widest(values, 2, -1) == (2, 1)
        assert widest(values, 0, 0) == (0, 0)

    def test_there_are_no_borders_and_it_is_said_why(self, visit):
        page = visit("k_means", **IRIS)
        borders = page.charts[0].data["borders"]
        assert (borders["x"] == borders["x2"]).all()
        assert (borders["y"] == borders["y2"]).all()
        assert "Borders are left out" in page.captions[0]
        geyser = visit("k_means", **GEYSER)
        assert "Borders" not in geyser.captions[0]
        assert (
            geyser.charts[0].data["borders"]["x"] != geyser.charts[0].data["borders"]["x2"]
        ).any()

    def test_what_is_clicked_is_marked_where_it_lies(self, visit):
        page = visit("k_means", **IRIS)
        page.select("picture", {"pick": [{"observation": 42}]})
        chosen = page.charts[0].data["chosen"]
        assert chosen["chosen"].all()
        assert tuple(chosen[["x", "y"]].iloc[0]) == tuple(iris().values[41, [2, 0]])

    def test_are_chosen_only_where_there_are_more(self, visit):
        assert "across" not in visit("k_means", **GEYSER).shown()
        assert "across" not in visit("k_means").shown()
        assert "across" in visit("k_means", **IRIS).shown()


class TestByHand:
    @pytest.mark.parametrize(("at", "point"), [(0, 1), (2, 77), (5, 150)])
    def test_four_columns(self, visit, at, point):
        page = visit("k_means", **IRIS, km_by_hand="true", km_observation=str(point))
        page.stand(iter=at)
        hand = page.section("by_hand")
        run = run_at("k_means", data="Iris", guess="k-means++")
        data, centroids = iris().values, run.steps[at].params.centroids
        squares = ((data[:, None] - centroids) ** 2).sum(axis=2)
        nearest = int(squares[point - 1].argmin())
        assert f"So it goes wholly to centroid {nearest + 1}." in hand.text
        lines = hand.formulas
        for k in range(3):
            *terms, result = lines[5 * k : 5 * k + 5]
            pairs = [re.search(r"\(([-\d.]+) - ([-\d.]+)\)\^2", term).groups() for term in terms]
            made = sum((float(x) - float(c)) ** 2 for x, c in pairs)
            (shown,) = re.findall(r"&= ([\d.]+)", result)
            assert shown == f"{made:.3f}" == f"{squares[point - 1, k]:.3f}"
            assert ("nearest" in result) == (k == nearest)
        members = squares.argmin(axis=1)
        for k, (total, mean) in enumerate(zip(lines[15::2], lines[16::2], strict=True)):
            sums, n = re.search(r"\{\((.*)\)\}\{(\d+)\}", total).groups()
            mine = data[members == k]
            assert int(n) == len(mine)
            shown = re.findall(r"[-\d.]+", mean.removeprefix("&="))
            assert shown == [f"{x:.4f}" for x in mine.mean(axis=0)]
            assert shown == [f"{float(s) / int(n):.4f}" for s in re.findall(r"[-\d.]+", sums)]

    def test_small_numbers_keep_their_digits(self, visit):
        page = visit("k_means", km_by_hand="true")
        values = np.random.default_rng(2).normal(size=(30, 2)) * 1e-3
        page.paste(as_text(values.tolist(), "x,y"))
        shown = [f for f in page.section("by_hand").formulas if f.startswith("&= ")]
        distances = [float(re.search(r"[\d.]+", f[3:]).group()) for f in shown[:2]]
        first = page.table.iloc[0]
        start = [[first[f"centroids {k} {axis}"] for axis in "xy"] for k in (1, 2)]
        squares = ((values[0] - np.array(start)) ** 2).sum(axis=1)
        np.testing.assert_allclose(distances, squares, rtol=0.01, atol=1e-9)

    def test_hard_against_soft(self, visit):
        page = visit("k_means", **IRIS, km_hard_against_soft="true", km_observation="51")
        table = page.section("hard_against_soft").frame("Shares of the point")
        centroids = run_at("k_means", data="Iris", guess="k-means++").steps[0].params.centroids
        squares = ((iris().values[50] - centroids) ** 2).sum(axis=1)
        for _, row in table.iterrows():
            shares = np.exp(-(squares - squares.min()) / (2 * row["σ"] ** 2))
            np.testing.assert_allclose(
                row.iloc[1:].to_numpy(float), shares / shares.sum(), atol=1e-9
            )


class TestTypedStarts:
    def test_range_and_default_come_from_the_data(self, visit):
        page = visit("k_means", **GEYSER, km_guess=TYPED)
        low, high = old_faithful().values.min(axis=0), old_faithful().values.max(axis=0)
        for j, axis in enumerate("xy"):
            starts_of = [page.widget(f"start_{axis}{k}") for k in (1, 2)]
            for k, widget in enumerate(starts_of):
                assert widget.min == pytest.approx(2 * low[j] - high[j])
                assert widget.max == pytest.approx(2 * high[j] - low[j])
                place = low[j] + (high[j] - low[j]) * (k + 0.5) / 2
                assert widget.value == pytest.approx(place, abs=0.01 * (high[j] - low[j]))
        first = page.table.iloc[0]
        assert first["centroids 2 y"] == page.value("start_y2")

    def test_others_are_as_they_were(self, visit):
        page = visit("k_means", km_guess=TYPED)
        assert (page.widget("start_x1").min, page.widget("start_x1").max) == (-50, 50)
        assert [page.value(f"start_x{k}") for k in (1, 2, 3)] == [-3, -2, -1]

    def test_a_link_keeps_them(self, visit):
        page = visit("k_means", **GEYSER, km_guess=TYPED)
        page.set(start_y2=90.0)
        other = visit("k_means", **page.link)
        assert not other.notices
        assert other.value("start_y2") == 90
        assert other.table.equals(page.table)

    def test_of_more_columns_are_not_offered(self, visit):
        page = visit("k_means", **GEYSER, km_guess=TYPED)
        assert TYPED in page.widget("guess").options
        page.set(data="Iris")
        assert TYPED not in page.widget("guess").options
        assert page.value("guess") == POINTS
        assert "start_x1" not in page.shown()

    def test_other_data_have_other_ranges(self, visit):
        page = visit("k_means", **GEYSER, km_guess=TYPED)
        page.set(start_x1=-1.0, start_y1=100.0)
        page.paste(as_text(np.random.default_rng(0).normal(size=(9, 2)).tolist(), "x,y"))
        widget = page.widget("start_y1")
        first = page.table.iloc[0]
        assert widget.min <= first["centroids 1 y"] <= widget.max

    def test_small_numbers_have_small_steps(self, visit):
        page = visit("k_means", km_guess=TYPED)
        values = np.random.default_rng(0).uniform(1, 2, size=(9, 2)) * 1e-3
        page.paste(as_text(values.tolist(), "x,y"))
        widget = page.widget("start_x1")
        assert widget.step == pytest.approx(1e-6)
        assert page.table.iloc[0]["centroids 1 x"] == pytest.approx(widget.value)


class TestChosenStarts:
    def test_in_any_number_of_columns(self, visit):
        page = visit("k_means", **IRIS, km_place="true")
        for k, row in enumerate((51, 101, 1), 1):
            assert page.value("place_k") == k
            page.select("picture", {"pick": [{"observation": row}]})
        assert page.value("guess") == starts.CHOSEN
        data = iris().values
        trace = fit(KMeans(), data, KMeansParams(data[[50, 100, 0]]), tol=0)
        assert page.table["inertia"].tolist() == pytest.approx((-trace.objectives).tolist())

    def test_fewer_rows_than_starts(self, visit):
        page = visit("k_means", km_guess=starts.CHOSEN, km_find="5")
        page.paste(as_text([(1, 2), (3, 4), (5, 7)], "x,y"))
        (error,) = page.at.error
        assert "there are only 3" in error.value


class TestDigits:
    @pytest.mark.parametrize(("unit", "shown"), [(1e-3, 7), (1.0, 4), (1e3, 4)])
    def test_inertia_has_those_that_it_needs(self, visit, unit, shown):
        page = visit("k_means")
        values = np.random.default_rng(3).normal(size=(12, 2)) * unit
        page.paste(as_text(values.tolist(), "x,y"))
        (text,) = re.findall(r"Inertia ([\d,.]+)\.", page.status)
        decimals = len(text.partition(".")[2])
        assert decimals >= shown if unit < 1 else decimals == shown
        inertia = page.table["inertia"].iloc[-1]
        assert float(text.replace(",", "")) == pytest.approx(inertia, rel=1e-3)

    @pytest.mark.parametrize("unit", [1e-9, 1e12])
    def test_powers_of_ten_where_they_are_out_of_sight(self, visit, unit):
        page = visit("k_means")
        values = np.random.default_rng(3).normal(size=(12, 2)) * unit
        page.paste(as_text(values.tolist(), "x,y"))
        (text,) = re.findall(r"Inertia ([\d.]+e[-+]\d+)\.", page.status)
        assert float(text) == pytest.approx(page.table["inertia"].iloc[-1], rel=1e-5)


class TestManyStarts:
    def test_an_exact_end_is_a_solution_of_its_own(self):
        """Two solutions of iris differ by less than a run's last falls would make one expect."""
        problem = run_at("k_means", data="Iris", guess="k-means++").problem
        table = run_starts(problem, 20).table
        data, ends = iris().values, []
        for number in table["start"]:
            start = problem.guess(np.random.default_rng([problem.guess_seed, 1, number]))
            ends.append(-fit(KMeans(), data, start, tol=0).final.objective)
        np.testing.assert_allclose(table["limit inertia"], ends, rtol=1e-12)
        by_solution = table.groupby("solution")["inertia"]
        assert len(by_solution) > 1
        assert (by_solution.max() - by_solution.min() < 1e-9).all()


class TestWhatCannotBeUsed:
    def refused(self, visit, text):
        page = visit("k_means")
        page.paste(text)
        assert not page.components("iteration_status")
        assert page.value("data") == OWN
        return [e.value for e in page.at.error]

    def test_one_column(self, visit):
        (error, *_) = self.refused(visit, "1 2 3 4 5 6")
        assert "needs 2 columns" in error

    def test_text(self, visit):
        (error, *_) = self.refused(visit, as_text([("a", "b"), ("c", "d")], "x,y"))
        assert "`x` holds text" in error

    def test_one_row(self, visit):
        (error,) = self.refused(visit, as_text([(1, 5)], "x,y"))
        assert "there are only 1" in error

    def test_numbers_whose_squares_are_too_large(self, visit):
        (error,) = self.refused(visit, as_text([(1e200, 5), (-1e200, 3), (0, 0)], "x,y"))
        assert "out of the range" in error

    def test_no_numbers_yet(self, visit):
        page = visit("k_means", km_data=OWN)
        assert page.at.info[0].value.startswith("There are no numbers yet.")
        assert "k" not in page.shown()
        assert "data_seed" not in page.shown()


STRANGE = {
    "constant column": [(1, 5), (2, 5), (3, 5), (10, 5), (11, 5)],
    "all equal": [(1, 5)] * 6,
    "two places": [(1, 5)] * 5 + [(2, 3)] * 5,
    "three rows": [(1, 5), (2, 6), (3, 4)],
    "far from zero": (np.random.default_rng(0).normal(size=(20, 2)) + 1e8).tolist(),
    "eight columns": np.random.default_rng(1).normal(size=(30, 8)).tolist(),
}


class TestWhatIsStrange:
    @pytest.mark.parametrize("name", STRANGE)
    @pytest.mark.parametrize("guess", [POINTS, starts.CHOSEN, TYPED])
    def test_runs_with_everything_open(self, visit, name, guess):
        rows = STRANGE[name]
        page = visit("k_means")
        page.paste(as_text(rows, ",".join("abcdefgh"[: len(rows[0])])))
        if guess in page.widget("guess").options:
            page.set(guess=guess)
        page.open(*page.sections())
        assert "Converged" in page.status
        data = np.array(rows, dtype=float)
        shown = page.charts[0].data["frame"].iloc[0]
        assert np.isfinite(shown.to_numpy(float)).all()
        inertia = page.table["inertia"].iloc[-1]
        assert 0 <= inertia <= ((data - data.mean(axis=0)) ** 2).sum() * (1 + 1e-9)

    def test_centroids_that_share_one_place_are_told(self, visit):
        page = visit("k_means")
        page.paste(as_text([(1, 5)] * 6, "x,y"))
        assert any("has no points" in text for text in page.advice)

    def test_borders_far_from_zero_are_where_they_are(self, visit):
        page = visit("k_means")
        values = np.random.default_rng(0).normal(size=(20, 2)) + 1e8
        page.paste(as_text(values.tolist(), "x,y"))
        border = page.charts[0].data["borders"].iloc[-1]
        centroids = page.table.iloc[-1][1:5].to_numpy(float).reshape(2, 2)
        for x, y in ((border["x"], border["y"]), (border["x2"], border["y2"])):
            near, far = np.linalg.norm(centroids - [x, y], axis=1)
            assert near == pytest.approx(far, rel=1e-5)

    def test_a_hundred_thousand_rows(self, visit):
        values = np.random.default_rng(0).integers(0, 99, size=(100_000, 2)) / 10
        page = visit("k_means", km_max_iter="5")
        began = time.perf_counter()
        page.bring("large.csv", as_text(values.tolist(), "x,y").encode())
        assert time.perf_counter() - began < 30
        drawn = page.charts[0].data["points"]["observation"].nunique()
        assert drawn == 2_000
        assert any("of the 100,000 points" in caption for caption in page.captions)
        assert page.link["km_own"].startswith("2")


def test_status_of_a_run_on_given_data_is_that_of_the_core(visit):
    page = visit("k_means", **IRIS, km_max_iter="2")
    guess = guess_plus_plus(iris().values, 3, rng=np.random.default_rng([1, 1, 1]))
    trace = fit(KMeans(), iris().values, guess, tol=0, max_iter=2)
    assert trace.status is Status.MAX_ITER
    assert "Not converged yet" in page.status
    assert len(page.table) == 3
    # What is counted is the end of the run that is shown.
    run = run_at("k_means", data="Iris", guess="k-means++", max_iter=2)
    assert f"**{mistakes(run)} of 150" in wrong_labels(page)[0]
