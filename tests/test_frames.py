"""From a trace to tables: what the charts draw and what the iteration table says."""

from dataclasses import dataclass, fields, replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    GaussianParams,
    KMeans,
    KMeansParams,
    MultivariateGaussianMixture,
    MultivariateGaussianParams,
    Params,
    Status,
    Step,
    Trace,
    component_axes,
    fit,
)
from em_ui.pictures import frames
from em_ui.pictures.format import MAX_ITERATIONS, SHARE_DIGITS, SHOWN_DIGITS, pack

HEADS = np.array([5, 9, 8, 4, 7])
COINS = BinomialMixture(10)
START = BinomialParams([0.6, 0.5], [0.5, 0.5])
POINTS = np.array([[0.0, 0.0], [0.0, 2.0], [5.0, 5.0], [6.0, 5.0], [5.5, 8.0]])


KNOWN = BinomialParams([0.8, 0.45], [0.6, 0.4])


def build(trace, truth, names, *, labelled=None, objective="log-likelihood", **arguments):
    """Build the frames; without better knowledge the truth is the estimate with labels known.

    They are returned as pandas frames, which are easier to ask.
    """
    known = truth if labelled is None else labelled
    built = frames.build(trace, truth, known, names, objective=objective, **arguments)
    attributes = {field.name: getattr(built, field.name) for field in fields(built)}
    tables = {n: v.to_pandas() for n, v in attributes.items() if isinstance(v, pa.Table)}
    return SimpleNamespace(**{**attributes, **tables}, last=built.last)


@pytest.fixture(scope="module")
def coins():
    return fit(COINS, HEADS, START, tol=0, max_iter=3)


@pytest.fixture(scope="module")
def points():
    start = KMeansParams([[0.0, 1.0], [0.0, 3.0]])
    return fit(KMeans(), POINTS, start, tol=0, max_iter=20)


def unpack(text: str) -> np.ndarray:
    """Read packed digits as the browser does."""
    pieces = [text[i : i + SHARE_DIGITS] for i in range(0, len(text), SHARE_DIGITS)]
    return np.array([int(piece) / (10**SHARE_DIGITS - 1) for piece in pieces])


class TestPack:
    @given(
        shares=st.lists(
            st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5
        ).map(np.array)
    )
    def test_is_read_back_to_its_digits(self, shares):
        packed = pack(shares)
        assert len(packed) == 3
        for column, text in enumerate(packed):
            assert len(text) == SHARE_DIGITS * len(shares)
            # The nearest that can be packed, or where that would be rounded wrongly the next.
            atol = 1 / (10**SHARE_DIGITS - 1) * (1 + 1e-9)
            np.testing.assert_allclose(unpack(text), shares[:, column], rtol=0, atol=atol)

    @staticmethod
    def check_told(shares):
        told = np.round(unpack(pack(shares[:, None])[0]), SHOWN_DIGITS)
        # Nearer than any other number of so many decimals, or as near.
        np.testing.assert_allclose(told, shares, rtol=0, atol=0.5 * 10.0**-SHOWN_DIGITS + 1e-15)

    def test_is_told_right_to_the_last_digit(self):
        rng = np.random.default_rng(5)
        shares = rng.random(200_000)
        self.check_told(shares)
        halves = (np.arange(10**SHOWN_DIGITS) + 0.5) / 10**SHOWN_DIGITS
        for far in (1e-9, 1e-7, 1e-6, 4e-6):
            self.check_told(np.concatenate([halves - far, halves + far]))

    def test_none_and_all_are_exact(self):
        (text,) = pack(np.array([[0.0], [1.0], [0.5]]))
        assert list(unpack(text)[:2]) == [0.0, 1.0]

    def test_undefined_share_is_none(self):
        assert pack(np.array([[np.nan]])) == ["0" * SHARE_DIGITS]


class TestDrawable:
    params = BinomialParams([0.5], [1.0])

    def trace(self, *objectives: float) -> Trace:
        steps = tuple(Step(i, self.params, x) for i, x in enumerate(objectives))
        return Trace(steps, Status.NON_FINITE)

    @pytest.mark.parametrize(
        ("objectives", "kept"),
        [((-3.0, -2.0), 2), ((-3.0, np.inf), 1), ((-3.0, np.nan), 1), ((-np.inf,), 1)],
    )
    def test_leaves_a_last_step_without_a_value_out(self, objectives, kept):
        trace = frames.drawable(self.trace(*objectives))
        assert len(trace.steps) == kept
        assert trace.status is Status.NON_FINITE


class TestBuild:
    def test_steps_have_a_row_per_iteration_and_component(self, coins):
        steps = build(coins, START, "AB").steps
        assert list(steps["iteration"]) == [0, 0, 1, 1, 2, 2, 3, 3]
        assert list(steps["component"]) == list("ABABABAB")
        history = np.concatenate([step.params.heads_prob for step in coins.steps])
        np.testing.assert_array_equal(steps["heads_prob"], history)

    def test_movement_is_the_distance_of_an_update(self, points):
        built = build(points, points.steps[0].params, "12", objective="inertia", sign=-1)
        paths = np.array([step.params.centroids for step in points.steps])
        steps = built.steps.set_index(["iteration", "component"])["movement"].unstack()
        assert steps.loc[0].isna().all()
        np.testing.assert_allclose(
            steps.to_numpy()[1:], np.linalg.norm(np.diff(paths, axis=0), axis=2)
        )
        assert (steps.loc[points.n_iter] == 0).all()

    def test_truth_may_have_more_components_than_the_guess(self, coins):
        truth = BinomialParams([0.1, 0.5, 0.9], [0.2, 0.3, 0.5])
        built = build(coins, truth, "ABC")
        assert list(built.truth["component"]) == list("ABC")
        assert set(built.steps["component"]) == set("AB")

    def test_truth_and_estimate_with_labels_have_a_row_per_component(self, coins):
        built = build(coins, START, "AB", labelled=KNOWN)
        for frame, params in ((built.truth, START), (built.labelled, KNOWN)):
            assert list(frame) == ["component", "heads_prob", "weights"]
            assert list(frame["component"]) == ["A", "B"]
            np.testing.assert_array_equal(frame["heads_prob"], params.heads_prob)
            np.testing.assert_array_equal(frame["weights"], params.weights)

    def test_table_has_every_parameter_objective_and_gain(self, coins):
        table = build(coins, START, "AB").table
        assert list(table) == [
            "iteration",
            "heads_prob A",
            "heads_prob B",
            "weights A",
            "weights B",
            "log-likelihood",
            "gain",
        ]
        assert list(table.loc[1, ["heads_prob A", "heads_prob B"]].round(7)) == [
            0.7130122,
            0.5813393,
        ]
        np.testing.assert_array_equal(table["log-likelihood"], coins.objectives)
        np.testing.assert_array_equal(table["gain"].to_numpy()[1:], np.diff(coins.objectives))

    def test_sign_turns_the_objective_but_not_the_gain(self, points):
        built = build(points, points.steps[0].params, "12", objective="inertia", sign=-1)
        np.testing.assert_array_equal(built.table["inertia"], -points.objectives)
        np.testing.assert_array_equal(built.objective["objective"], -points.objectives)
        assert (built.table["gain"].dropna() >= 0).all()

    def test_no_inertia_is_plain_zero(self):
        trace = fit(KMeans(), POINTS, KMeansParams(POINTS), tol=0, max_iter=5)
        built = build(trace, trace.final.params, "12345", objective="inertia", sign=-1)
        for values in (built.table["inertia"], built.objective["objective"]):
            assert not np.signbit(values).any()

    def test_points_in_the_plane_have_a_column_for_each_direction(self, points):
        table = build(points, points.steps[0].params, "12", objective="inertia").table
        centroids = points.final.params.centroids
        last = table.iloc[-1]
        assert [last["centroids 2 x"], last["centroids 2 y"]] == list(centroids[1])

    def test_collapsed_step_stands_in_the_table_and_is_not_drawn(self):
        data = np.array([0.0, 0.0, 10.0, 11.0])
        start = GaussianParams([0.0, 10.0], [1.0, 1.0], [0.5, 0.5])
        trace = fit(GaussianMixture(min_std=0.0), data, start, tol=0, max_iter=50)
        assert trace.status is Status.NON_FINITE
        built = build(trace, start, "12")
        assert built.table["iteration"].iloc[-1] == trace.n_iter
        assert built.last == trace.n_iter - 1
        assert built.steps["iteration"].max() == trace.n_iter - 1
        assert np.isfinite(built.objective["objective"]).all()

    def test_knows_what_it_is_compared_with(self, coins):
        names = {"objective": "log-likelihood"}
        both = frames.build(coins, START, KNOWN, "AB", **names)
        assert list(both.references) == ["truth", "labelled"]
        labels = frames.build(coins, None, KNOWN, "AB", **names)
        assert list(labels.references) == ["labelled"]
        neither = frames.build(coins, None, None, "AB", **names)
        assert (neither.truth, neither.labelled, neither.references) == (None, None, {})
        assert neither.steps.equals(both.steps)
        assert neither.table.equals(both.table)

    def test_columns_say_which_parameter_each_is(self, points):
        built = build(points, points.steps[0].params, "12", objective="inertia")
        assert [column.name for column in built.columns] == list(built.table)[1:5]
        assert {column.field for column in built.columns} == {"centroids"}


@dataclass(frozen=True, eq=False)
class Genes(Params):
    p: np.ndarray
    q: np.ndarray


@dataclass(frozen=True, eq=False)
class Profiles(Params):
    """A row of three for each component, and two parameters that the components share."""

    profiles: np.ndarray
    noise: np.ndarray
    mix: np.ndarray = component_axes()


def trace_of(*history):
    steps = tuple(Step(i, params, -10.0 + i) for i, params in enumerate(history))
    return Trace(steps, Status.CONVERGED)


class TestPlainNumbers:
    """Parameters that are numbers without axes belong to no component."""

    history = (Genes(0.3, 0.2), Genes(0.6, 0.6), Genes(0.6, 0.6))

    @pytest.fixture(scope="class")
    @classmethod
    def built(cls):
        return build(trace_of(*cls.history), Genes(0.5, 0.4), ())

    def test_are_named_by_the_field_alone(self):
        columns = frames.schema(self.history[0], ())
        assert columns == (("p", "p", "", "", ()), ("q", "q", "", "", ()))
        assert [column.suffix for column in columns] == ["", ""]
        assert [column.of(self.history[0]) for column in columns] == [0.3, 0.2]
        # Names of components, if a lesson has them, are not theirs.
        assert frames.schema(self.history[0], "AB") == columns

    def test_steps_have_a_row_per_iteration(self, built):
        assert list(built.steps) == ["component", "p", "q", "iteration", "movement"]
        assert list(built.steps["component"]) == [""] * 3
        assert list(built.steps["iteration"]) == [0, 1, 2]
        assert list(built.steps["p"]) == [0.3, 0.6, 0.6]
        assert list(built.steps["q"]) == [0.2, 0.6, 0.6]
        assert np.isnan(built.steps["movement"][0])
        assert list(built.steps["movement"][1:]) == pytest.approx([0.5, 0.0])

    def test_truth_has_one_row(self, built):
        assert built.truth.to_dict("list") == {"component": [""], "p": [0.5], "q": [0.4]}

    def test_table_has_a_column_for_each(self, built):
        assert list(built.table) == ["iteration", "p", "q", "log-likelihood", "gain"]
        np.testing.assert_array_equal(
            built.table[["p", "q"]], [params.vector() for params in self.history]
        )


class TestManyNumbersOfAComponent:
    """A component may have a row of numbers, and share others with the rest."""

    history = (
        Profiles([[1, 2, 3], [4, 5, 6]], 0.5, [0.7, 0.2, 0.1]),
        Profiles([[1, 2, 5], [4, 9, 9]], 0.5, [0.7, 0.2, 0.1]),
    )
    names = (
        *(f"profiles {component} {i}" for component in "AB" for i in (1, 2, 3)),
        "noise",
        *(f"mix {i}" for i in (1, 2, 3)),
    )

    @pytest.fixture(scope="class")
    @classmethod
    def built(cls):
        return build(trace_of(*cls.history), cls.history[1], "AB")

    def test_each_has_a_name(self):
        columns = frames.schema(self.history[0], "AB")
        assert tuple(column.name for column in columns) == self.names
        assert columns[4] == ("profiles B 2", "profiles", "B", "2", (1, 1))
        assert columns[6] == ("noise", "noise", "", "", ())
        assert columns[9] == ("mix 3", "mix", "", "3", (2,))
        assert [column.of(self.history[0]) for column in columns] == [
            *(1, 2, 3, 4, 5, 6),
            0.5,
            *(0.7, 0.2, 0.1),
        ]

    def test_steps_give_each_component_its_row_and_what_it_shares(self, built):
        steps = built.steps
        assert list(steps["component"]) == list("ABAB")
        assert list(steps["iteration"]) == [0, 0, 1, 1]
        profiles = np.concatenate([params.profiles for params in self.history])
        np.testing.assert_array_equal(steps[[f"profiles {i}" for i in (1, 2, 3)]], profiles)
        assert list(steps["noise"]) == [0.5] * 4
        assert list(steps["mix 1"]) == [0.7] * 4
        assert list(steps["movement"][2:]) == pytest.approx([2.0, 5.0])

    def test_table_and_truth_have_all(self, built):
        assert tuple(built.table)[1:-2] == self.names
        np.testing.assert_array_equal(
            built.table[list(self.names)], [params.vector() for params in self.history]
        )
        assert list(built.truth["component"]) == ["A", "B"]
        assert list(built.truth["profiles 3"]) == [5, 9]


@dataclass(frozen=True, eq=False)
class Chain(Params):
    """Two parameters of which each component has two numbers."""

    places: np.ndarray
    transitions: np.ndarray = component_axes(0, 1)


def test_a_second_parameter_in_the_plane_does_not_take_the_place_of_the_first():
    first = Chain([[1, 2], [3, 4]], [[0.9, 0.1], [0.4, 0.6]])
    last = Chain([[1, 2], [6, 8]], [[0.9, 0.1], [0.4, 0.6]])
    steps = build(trace_of(first, last), last, "AB").steps
    np.testing.assert_array_equal(steps[["x", "y"]], [*first.places, *last.places])
    transitions = steps[["transitions 1", "transitions 2"]]
    np.testing.assert_array_equal(transitions, [*first.transitions, *last.transitions])
    assert list(steps["movement"][2:]) == [0, 5]


class TestSchema:
    def test_names_the_field_the_component_and_the_axis(self):
        column = frames.schema(KMeansParams([[1.0, 2.0], [3.0, 4.0]]), "12")[2]
        assert column == ("centroids 2 x", "centroids", "2", "x", (1, 0))
        assert column.suffix == "2 x"

    def test_a_name_may_have_spaces(self):
        columns = frames.schema(KNOWN, ["First coin", "Second coin"])
        name = "heads_prob Second coin"
        assert columns[1] == (name, "heads_prob", "Second coin", "", (1,))
        assert [column.field for column in columns] == ["heads_prob"] * 2 + ["weights"] * 2


def flat(params, names):
    return {column.name: column.of(params) for column in frames.schema(params, names)}


class TestNumbersByName:
    def test_names_parameter_and_component(self):
        assert flat(KNOWN, "AB") == {
            "heads_prob A": 0.8,
            "heads_prob B": 0.45,
            "weights A": 0.6,
            "weights B": 0.4,
        }

    def test_names_the_direction_in_the_plane(self):
        assert flat(KMeansParams([[1.0, 2.0], [3.0, 4.0]]), "12") == {
            "centroids 1 x": 1.0,
            "centroids 1 y": 2.0,
            "centroids 2 x": 3.0,
            "centroids 2 y": 4.0,
        }

    def test_follows_the_order_of_the_iteration_table(self, points):
        values = flat(points.final.params, "12")
        table = build(points, points.final.params, "12", objective="inertia").table
        assert list(table)[1:5] == list(values)
        assert list(table.iloc[-1])[1:5] == list(values.values())

    def test_more_names_than_components_do_no_harm(self):
        assert set(flat(BinomialParams([0.1], [1.0]), "ABC")) == {
            "heads_prob A",
            "weights A",
        }


class TestArrow:
    def test_not_a_number_is_a_missing_value(self):
        table = frames.arrow({"gain": np.array([np.nan, 1.0]), "component": ["A", "B"]})
        assert table.to_pydict() == {"gain": [None, 1.0], "component": ["A", "B"]}

    def test_extend_gives_every_row_one_value_or_its_own(self):
        table = frames.extend(pa.table({"x": [1, 2]}), low=0.5, curve="a", y=np.array([3, 4]))
        assert table.to_pydict() == {
            "x": [1, 2],
            "low": [0.5, 0.5],
            "curve": ["a", "a"],
            "y": [3, 4],
        }


class TestPictures:
    def test_bars_are_divided_by_responsibility(self, coins):
        outcomes = np.arange(11)
        counts = np.bincount(HEADS, minlength=11)
        bars = frames.divided_bars(
            COINS, coins, "AB", middles=outcomes, half_width=0.45, heights=counts, digits=0
        ).to_pandas()
        assert len(bars) == 22
        for k, coin in enumerate("AB"):
            rows = bars[bars["component"] == coin]
            np.testing.assert_array_equal(rows["height"], counts)
            np.testing.assert_allclose(rows["high"] - rows["low"], 0.9)
            drawn = np.array([unpack(text) for text in rows["share"]])
            for step in coins.steps:
                joint = stats.binom.pmf(outcomes[:, None], 10, step.params.heads_prob)
                expected = joint[:, k] / joint.sum(axis=1)
                np.testing.assert_allclose(drawn[:, step.iteration], expected, atol=1e-4)

    def test_a_bar_is_divided_by_the_mean_over_its_values(self):
        # One value owns a narrow component, and stands at the edge of its bar.
        data = np.array([0.0, 0.95, 1.5, 1.6])
        params = GaussianParams([0.95, 1.0], [0.01, 1.0], [0.2, 0.8])
        model, trace = GaussianMixture(min_std=0.01), trace_of(params)
        bars = frames.divided_bars(
            model,
            trace,
            "12",
            middles=np.array([0.5, 1.5, 2.5]),
            half_width=0.5,
            heights=np.array([2, 2, 0]),
            digits=1,
            values=data,
            bars=np.array([0, 0, 1, 1]),
        ).to_pandas()
        shares = model.e_step(data, params).responsibilities
        drawn = np.array([unpack(text) for text in bars["share"]])[:, 0].reshape(2, 3)
        np.testing.assert_allclose(
            drawn[0, :2], [shares[:2, 0].mean(), shares[2:, 0].mean()], atol=1e-5
        )
        assert drawn[0, 0] > 0.4
        assert list(drawn[:, 2]) == [0, 0]  # no value, no share
        assert list(bars["order"]) == [0, 0, 0, 1, 1, 1]

    def test_changes_count_who_went_over(self):
        changes = frames.changes(np.array([0, 1, 2000, 0]), "point").to_pydict()
        assert changes == {
            "iteration": [0, 1, 2, 3],
            "text": [
                "",
                "1 point changed sides",
                "2,000 points changed sides",
                "0 points changed sides",
            ],
        }

    def test_stays_follow_each_other_without_a_gap(self):
        history = np.array([[0, 1], [0, 0], [1, 0], [0, 0]])
        rows, columns = frames.stays(history, ("a", "b"))
        assert list(rows) == [0, 0, 0, 1, 1]
        assert list(columns["component"]) == ["a", "b", "a", "b", "a"]
        assert list(columns["first"]) == [0, 2, 3, 0, 1]
        # A run that is shortened leaves the player where no iteration was.
        assert list(columns["last"]) == [1, 2, MAX_ITERATIONS, 0, MAX_ITERATIONS]

    def test_borders_are_as_near_to_two_centres_and_to_none_nearer(self):
        rng = np.random.default_rng(4)
        history = [rng.normal(size=(k, 2)) for k in (1, 2, 3, 8)]
        table = frames.borders(history, np.array([-3.0, -3.0]), np.array([3.0, 3.0])).to_pandas()
        assert list(table["iteration"].unique()) == [0, 1, 2, 3]
        alone = table[table["iteration"] == 0]
        assert (alone["x"] == alone["x2"]).all()
        for t, centres in list(enumerate(history))[1:]:
            rows = table[table["iteration"] == t]
            for row in rows.itertuples():
                for part in (0.1, 0.5, 0.9):
                    point = (
                        np.array([row.x, row.y]) * (1 - part) + np.array([row.x2, row.y2]) * part
                    )
                    distances = np.sort(np.linalg.norm(centres - point, axis=1))
                    assert distances[0] == pytest.approx(distances[1], rel=1e-4)
        # Each point of a fine line between two regions is on a border: so many there are.
        assert len(table[table["iteration"] == 1]) == 1
        assert len(table[table["iteration"] == 2]) in (2, 3)

    @pytest.mark.parametrize("scale", [1e37, 1e60])
    def test_borders_between_large_numbers_are_where_they_are(self, scale):
        centres = np.array([[-3.0, 0.0], [3.0, 0.0]]) * scale
        corner = np.array([30.0, 30.0]) * scale
        table = frames.borders([centres], -corner, corner).to_pandas()
        np.testing.assert_allclose(table[["x", "x2"]] / scale, 0, atol=1e-9)
        reach = 2 * np.linalg.norm([60, 60])
        np.testing.assert_allclose(
            table[["y", "y2"]].iloc[0].sort_values() / scale, [-reach, reach]
        )

    def test_borders_of_equal_centres_are_none(self):
        same = np.ones((2, 2))
        table = frames.borders([same], np.zeros(2), np.ones(2)).to_pandas()
        assert (table["x"] == table["x2"]).all()

    def test_expected_counts_are_the_mixtures(self, coins):
        params = [step.params for step in coins.steps]
        expected = frames.expected_counts(COINS, params, np.arange(11), 5).to_pandas()
        for step in coins.steps:
            rows = expected[expected["iteration"] == step.iteration]
            mixture = stats.binom.pmf(np.arange(11)[:, None], 10, step.params.heads_prob).mean(1)
            np.testing.assert_allclose(rows["count"], 5 * mixture)
            assert rows["count"].sum() == pytest.approx(5)

    def test_assigned_is_the_nearest_centroid_at_each_iteration(self, points):
        drawn = np.arange(0, len(POINTS), 2)
        history, changed = frames.assigned(KMeans(), POINTS, points, drawn)
        assert history.shape == (points.n_iter + 1, len(drawn))
        distances = np.array(
            [
                np.linalg.norm(POINTS[:, None] - step.params.centroids, axis=2)
                for step in points.steps
            ]
        )
        nearest = distances.argmin(axis=2)
        np.testing.assert_array_equal(history, nearest[:, drawn])
        np.testing.assert_array_equal(changed[1:], (nearest[1:] != nearest[:-1]).sum(axis=1))
        assert changed[0] == 0

    def test_still_is_one_iteration_as_iteration_zero(self, coins):
        built = frames.build(coins, START, KNOWN, "AB", objective="log-likelihood")
        still = frames.still(built.steps, 2).to_pandas()
        assert list(still) == built.steps.column_names
        np.testing.assert_array_equal(still["heads_prob"], coins.steps[2].params.heads_prob)
        assert set(still["iteration"]) == {0}
        bars = frames.divided_bars(
            COINS, coins, "AB", middles=HEADS, half_width=0.5, heights=HEADS, digits=0
        )
        shares = frames.still(bars, 2)["share"].to_pylist()
        packed = bars["share"].to_pylist()
        assert [unpack(text)[2] for text in packed] == [unpack(text)[0] for text in shares]
        assert {len(text) for text in shares} == {SHARE_DIGITS}
        assert {len(text) for text in packed} == {SHARE_DIGITS * 4}

    @pytest.mark.parametrize(("n", "drawn"), [(1, 1), (2_000, 2_000), (2_001, 2_000)])
    def test_sample_has_at_most_two_thousand_different_rows(self, n, drawn):
        rows = frames.sample_rows(n, np.random.default_rng(1))
        assert len(set(rows)) == len(rows) == drawn
        assert (np.diff(rows) > 0).all()
        assert rows.max() < n


ELLIPSES = (
    MultivariateGaussianParams(
        [[1.0, 2.0], [-3.0, 1e8]],
        [[[4.0, 1.0], [1.0, 9.0]], [[1e-12, -4e-7], [-4e-7, 1.0]]],
        [0.25, 0.75],
    ),
    MultivariateGaussianParams(
        [[4.0, 6.0], [-3.0, 1e8]], [np.eye(2), np.diag([0.25, 16.0])], [0.5, 0.5]
    ),
)


class TestCovariances:
    """Of a covariance matrix each number is listed once, and drawn as what one sees of it."""

    @pytest.fixture(scope="class")
    @classmethod
    def built(cls):
        return build(trace_of(*ELLIPSES), ELLIPSES[1], "12")

    def test_each_number_is_named_once(self):
        columns = frames.schema(ELLIPSES[0], "12")
        of_first = [column.name for column in columns if column.component == "1"]
        assert of_first == [
            *("means 1 x", "means 1 y"),
            *("covariances 1 xx", "covariances 1 xy", "covariances 1 yy"),
            "weights 1",
        ]
        values = [column.of(ELLIPSES[0]) for column in columns if column.field == "covariances"]
        assert values == [4, 1, 9, 1e-12, -4e-7, 1]

    def test_in_more_dimensions_axes_have_numbers(self):
        params = MultivariateGaussianParams([[0.0] * 3], [np.eye(3)], [1.0])
        columns = [c for c in frames.schema(params, "1") if c.field == "covariances"]
        assert [c.axis for c in columns] == ["1 1", "1 2", "1 3", "2 2", "2 3", "3 3"]

    def test_either_triangle_names_the_number(self):
        for place in ((0, 0, 1), (0, 1, 0)):
            column = frames.column_of(ELLIPSES[0], "12", "covariances", place)
            assert column == ("covariances 1 xy", "covariances", "1", "xy", (0, 0, 1))
        assert frames.column_of(ELLIPSES[0], "12", "weights", 1).name == "weights 2"
        with pytest.raises(ValueError, match=r"has no means at \(0, 2\)"):
            frames.column_of(ELLIPSES[0], "12", "means", (0, 2))

    def test_steps_have_deviations_and_correlation(self, built):
        steps = built.steps
        assert set(steps) == {
            *("component", "x", "y", "sd_x", "sd_y", "correlation"),
            *("weights", "iteration", "movement"),
        }
        assert list(steps["sd_x"]) == pytest.approx([2, 1e-6, 1, 0.5])
        assert list(steps["sd_y"]) == pytest.approx([3, 1, 1, 4])
        assert list(steps["correlation"]) == pytest.approx([1 / 6, -0.4, 0, 0])
        assert list(built.truth["sd_y"]) == pytest.approx([1, 4])

    def test_without_width_there_is_no_correlation(self):
        flat = MultivariateGaussianParams([[0.0, 0.0]], [np.diag([0.0, 4.0])], [1.0])
        row = frames.by_component(flat, "1").to_pylist()[0]
        assert (row["sd_x"], row["sd_y"], row["correlation"]) == (0, 2, 0)

    def test_movement_is_that_of_the_means_alone(self, built):
        assert list(built.steps["movement"][2:]) == [5, 0]

    def test_table_has_each_number(self, built):
        assert list(built.table["covariances 2 xy"]) == [-4e-7, 0]
        assert "covariances 2 yx" not in built.table


class TestGaussians:
    def test_factors_give_the_covariances(self):
        table = frames.gaussians(ELLIPSES, "12").to_pandas()
        assert list(table["iteration"]) == [0, 0, 1, 1]
        assert list(table["component"]) == list("1212")
        np.testing.assert_array_equal(
            table[["x", "y"]], np.concatenate([params.means for params in ELLIPSES])
        )
        factors = np.zeros((4, 2, 2))
        factors[:, 0, 0], factors[:, 1, 0], factors[:, 1, 1] = table[
            ["l_xx", "l_yx", "l_yy"]
        ].T.values
        covariances = np.concatenate([params.covariances for params in ELLIPSES])
        np.testing.assert_allclose(factors @ factors.mT, covariances, rtol=1e-14)

    def test_heights_are_those_of_the_densities_but_for_a_constant(self):
        table = frames.gaussians(ELLIPSES, "12").to_pandas()
        model, found = MultivariateGaussianMixture(), []
        for params in ELLIPSES:
            found += list(np.diagonal(model.log_joint(params.means, params)))
        np.testing.assert_allclose(table["log_height"] - found, np.log(2 * np.pi), rtol=1e-10)

    @pytest.mark.parametrize(
        "covariance",
        [
            np.zeros((2, 2)),
            np.diag([0.0, 1.0]),
            np.diag([1.0, 0.0]),
            [[1, 2], [2, 4]],
            [[1, 9], [9, 1]],
        ],
        ids=str,
    )
    def test_what_is_flat_has_numbers_and_takes_no_point(self, covariance):
        params = MultivariateGaussianParams([[0.0, 1.0]], [covariance], [1.0])
        (row,) = frames.gaussians([params], "1").to_pylist()
        assert row.pop("log_height") == -np.inf
        assert all(np.isfinite(row[name]) for name in ("x", "y", "l_xx", "l_yx", "l_yy"))

    def test_a_component_without_weight_takes_no_point(self):
        params = replace(ELLIPSES[1], weights=np.array([1.0, 0.0]))
        assert list(frames.gaussians([params], "12").to_pandas()["log_height"]) == [0, -np.inf]

    @pytest.mark.parametrize("axis", [0, 1])
    def test_marginals_are_those_of_the_model(self, axis):
        table = frames.marginals(ELLIPSES, "12", axis).to_pandas()
        draws = np.random.default_rng(0).multivariate_normal(
            ELLIPSES[0].means[0], ELLIPSES[0].covariances[0], size=200_000
        )[:, axis]
        assert table["means"][0] == pytest.approx(draws.mean(), abs=0.03)
        assert table["stds"][0] == pytest.approx(draws.std(), rel=0.01)
        assert list(table["weights"]) == [0.25, 0.75, 0.5, 0.5]

    def test_bars_of_points_are_divided_by_the_points_in_them(self):
        points = np.array([[1.0, 2.0], [1.1, 2.0], [-3.0, 1e8], [4.0, 6.0]])
        model, trace = MultivariateGaussianMixture(), trace_of(*ELLIPSES)
        table = frames.divided_bars(
            model,
            trace,
            "12",
            middles=np.array([-3.0, 1.0, 4.0]),
            half_width=0.5,
            heights=np.array([1.0, 2.0, 1.0]),
            digits=1,
            values=points,
            bars=np.array([1, 1, 0, 2]),
        ).to_pandas()
        for t, params in enumerate(ELLIPSES):
            shares = model.e_step(points, params).responsibilities
            wanted = np.array([shares[2], shares[:2].mean(axis=0), shares[3]])
            drawn = [int(text[5 * t : 5 * t + 5]) / 99_999 for text in table["share"]]
            np.testing.assert_allclose(np.reshape(drawn, (2, 3)).T, wanted, atol=2e-5)
