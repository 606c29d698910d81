"""Pictures of a mixture in the plane: what the page sends of it, and the hill over any numbers."""

import numpy as np
import pytest
from conftest import run_at
from test_sections import check_bands

from em_core import MultivariateGaussianParams
from em_core.engine import objective_of
from em_core.models.multivariate_gaussian_mixture import MultivariateGaussianMixture
from em_ui.pictures import frames
from em_ui.pictures.format import PLACE
from em_ui.pictures.frames import DRAWN_POINTS
from em_ui.sections import hill, picture

NAME = "mixture_in_the_plane"
SIMULATED = {"data": "Simulated", "guess": "Random data points", "k": 3}


def replaced(params, field, place, value):
    """Return parameters with one number replaced, in both triangles of a covariance matrix."""
    arrays = {name: array.copy() for name, array in params.arrays().items()}
    arrays[field][place] = value
    if field == "covariances":
        arrays[field][place[0], place[2], place[1]] = value
    return MultivariateGaussianParams(**arrays)


class TestPicture:
    def test_sends_points_and_parameters_alone(self, visit):
        page, run = visit(NAME), run_at(NAME)
        chart = page.chart("by its responsibilities")
        points, data = chart.data["points"], run.problem.sample.data
        assert list(points) == ["x", "y", "observation"]
        np.testing.assert_array_equal(points[["x", "y"]], data)
        assert list(points["observation"]) == list(range(1, 273))
        steps = chart.data["steps"]
        assert len(steps) == 2 * len(run.steps)
        np.testing.assert_array_equal(
            steps[["x", "y"]], np.concatenate([step.params.means for step in run.steps])
        )
        (frame,) = chart.data["frame"].itertuples()
        assert (frame.k, frame.hard) == (2, False)
        assert (frame.x_low, frame.y_high) == (data[:, 0].min(), data[:, 1].max())
        assert not {"truth", "labelled"} & set(chart.data)
        sent = sum(table.nbytes for table in picture._gaussian_tables(run).values())
        assert sent < 28_000

    def test_borders_lie_halfway_between_the_means(self):
        run = run_at(NAME, **SIMULATED)
        drawing = picture.gaussian_still(
            run,
            run.params,
            title="Borders",
            across="x",
            up="y",
            same_units=True,
            hard=True,
            borders=True,
        )
        borders = drawing.datasets["borders"].to_pandas()
        assert len(borders) >= 2
        for end in (["x", "y"], ["x2", "y2"]):
            distances = np.linalg.norm(borders[end].to_numpy()[:, None] - run.params.means, axis=2)
            nearest, second = np.sort(distances, axis=1).T[:2]
            np.testing.assert_allclose(nearest, second, rtol=1e-4)

    def test_what_is_sent_does_not_grow_with_points_times_iterations(self):
        short, long = (
            picture._gaussian_tables(run_at(NAME, **SIMULATED, tol="0", max_iter=n))
            for n in (5, 30)
        )
        assert long["points"].nbytes == short["points"].nbytes
        each = long["steps"].nbytes / long["steps"].num_rows
        assert long["steps"].num_rows == 3 * 31
        assert each < 80

    def test_many_points_are_a_sample(self):
        run = run_at(NAME, **SIMULATED, size1=3_000)
        tables = picture._gaussian_tables(run)
        points = tables["points"].to_pandas()
        assert len(points) == DRAWN_POINTS < run.problem.n
        np.testing.assert_array_equal(
            points[["x", "y"]], run.problem.sample.data[points["observation"] - 1]
        )
        low, high = run.problem.sample.data.min(axis=0), run.problem.sample.data.max(axis=0)
        (frame,) = tables["frame"].to_pylist()
        assert (frame["x_low"], frame["y_high"]) == (low[0], high[1])  # of all

    def test_truth_is_shown_where_the_page_shows_it(self, visit):
        query = {"gp_data": "Simulated", "gp_guess": "Random data points"}
        page = visit(NAME, **query)
        chart, run = page.chart("by its responsibilities"), run_at(NAME, **SIMULATED)
        assert chart.alt.endswith(", and the true ellipses, at two, dashed")
        for name, params in (("truth", run.problem.sample.truth), ("labelled", run.labelled)):
            wanted = frames.gaussians([params], "123").to_pandas()
            assert chart.data[name].equals(wanted)
        page.open("teacher")
        sealed = visit(NAME, **page.student_link).chart("by its responsibilities")
        assert not {"truth", "labelled"} & set(sealed.data)
        assert "true" not in sealed.alt

    def test_labels_alone_are_no_truth(self, visit):
        page = visit(NAME, gp_data="Iris: petals", gp_guess="Random data points")
        chart = page.chart("by its responsibilities")
        assert "labelled" in chart.data
        assert "truth" not in chart.data
        assert "true" not in chart.alt

    def test_hard_assignment_is_told_by_the_data(self, visit):
        page = visit(NAME)
        before = page.chart("by its responsibilities").template
        page.set(hard=True)
        chart = page.chart("by its responsibilities")
        assert chart.data["frame"]["hard"].all()
        assert chart.template == before

    def test_a_click_chooses_the_observation_and_tells_its_shares(self, visit):
        page, run = visit(NAME, gp_by_hand="true"), run_at(NAME)
        page.select("picture", {"pick": [{"observation": 4}]})
        assert page.value("observation") == 4
        chosen = page.chart("by its responsibilities").data["chosen"]
        x, y = run.problem.sample.data[3]
        assert chosen["chosen"].all()
        assert set(chosen["x"]) == {x}
        assert set(chosen["y"]) == {y}
        at = 0
        shares = run.problem.responsibilities(run.problem.sample.data[3:4], run.steps[at].params)[0]
        assert f"component 1 {shares[0]:.3f}, 2 {shares[1]:.3f}" in chosen["text"][at]

    def test_scales_are_equal_where_units_are(self, visit):
        def domains(chart):
            return [
                part["encoding"]["x"]["scale"]["domain"]["signal"]
                for part in chart.template["layer"]
                if "signal" in str(part["encoding"]["x"].get("scale"))
            ]

        (free,) = domains(visit(NAME).chart("by its responsibilities"))
        (equal,) = domains(visit(NAME, gp_data="Simulated").chart("by its responsibilities"))
        assert "width" not in free
        assert "width" in equal


class TestSmallCharts:
    def test_objective_and_moves_stand_beside_the_picture(self, visit):
        page, run = visit(NAME), run_at(NAME)
        titles = [chart.title for chart in page.charts[1:7]]
        assert titles == [
            "Log-likelihood",
            "How far each mean moved, in SDs of data",
            "Mixing weight π",
            "Standard deviation of eruptions",
            "Standard deviation of waiting",
            "Correlation",
        ]
        moved = page.charts[2].data["steps"]
        means = np.array([step.params.means for step in run.steps])
        units = run.problem.sample.data.std(axis=0)
        wanted = np.sqrt(((np.diff(means, axis=0) / units) ** 2).sum(axis=2))
        np.testing.assert_allclose(moved["movement"][2:], wanted.ravel())
        covariances = np.array([step.params.covariances for step in run.steps])
        spread = page.charts[5].data["steps"]["sd_y"]
        np.testing.assert_allclose(spread, np.sqrt(covariances[:, :, 1, 1]).ravel())
        slant = page.charts[6].data["steps"]["correlation"]
        both = np.sqrt(covariances[:, :, 0, 0] * covariances[:, :, 1, 1])
        np.testing.assert_allclose(slant, (covariances[:, :, 0, 1] / both).ravel())

    def test_table_lists_each_number_once(self, visit):
        table, run = visit(NAME).table, run_at(NAME)
        named = [name for name in table if name.startswith("covariances")]
        assert named == [f"covariances {k} {axes}" for k in "12" for axes in ("xx", "xy", "yy")]
        assert table["covariances 2 xy"].iloc[-1] == run.params.covariances[1, 0, 1]


class TestMarginals:
    @pytest.mark.parametrize(("axis", "name"), [(0, "eruptions"), (1, "waiting")])
    def test_bars_and_densities_are_those_along_the_axis(self, visit, axis, name):
        page, run = visit(NAME, gp_marginals="true"), run_at(NAME)
        chart = page.section("marginals").chart(f"Histogram of {name}")
        data = run.problem.sample.data
        bars = chart.data["bars"]
        whole = bars[bars["order"] == 0]
        widths = whole["high"] - whole["low"]
        assert (whole["height"] * widths).sum() == pytest.approx(1)
        for bar in whole.itertuples():
            inside = ((bar.low <= data[:, axis]) & (data[:, axis] < bar.high)).mean()
            assert bar.height * (bar.high - bar.low) == pytest.approx(inside, abs=0.01)
        steps = chart.data["steps"]
        for t, step in enumerate(run.steps):
            rows = steps[steps["iteration"] == t]
            assert list(rows["means"]) == list(step.params.means[:, axis])
            variances = step.params.covariances[:, axis, axis]
            assert list(rows["stds"]) == pytest.approx(list(np.sqrt(variances)))
            assert list(rows["weights"]) == list(step.params.weights)
        followed = [p["name"] for p in chart.template["params"] if "bind" in p]
        assert followed == [PLACE]

    def test_bars_are_divided_by_both_coordinates(self, visit):
        # Along one axis alone, the shares would be others.
        run = run_at(NAME, **SIMULATED)
        tables = picture._marginal_tables(run, 0)
        bars, data = tables["bars"].to_pandas(), run.problem.sample.data
        at = 1
        shares = run.problem.responsibilities(data, run.steps[at].params)
        drawn = 0.0
        for bar in bars[bars["order"] == 1].itertuples():
            share = int(bar.share[5 * at : 5 * at + 5]) / 99_999
            drawn += share * bar.height * (bar.high - bar.low)
        assert drawn == pytest.approx(shares[:, 1].mean(), abs=1e-4)


def heights_over(run, at, *over):
    """Return the columns of two numbers, the cells of the hill over them, and their edges."""
    x, y = (frames.column_of(run.params, run.problem.words.names, *spot) for spot in over)
    across, up = (hill._reach(run, column, None) for column in (x, y))
    cells = hill._heights(run, at, x, y, across, up).to_pandas()
    side = int(np.sqrt(len(cells)))
    return cells, np.linspace(*across, side + 1), np.linspace(*up, side + 1)


class TestHillOverAnyTwo:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (("means", (0, 0)), ("means", (0, 1))),
            (("means", (1, 1)), ("means", (0, 1))),
            (("covariances", (0, 0, 0)), ("means", (1, 0))),
            (("covariances", (1, 0, 1)), ("covariances", (1, 1, 1))),
        ],
        ids=str,
    )
    def test_bands_are_the_loss_of_the_objective(self, first, second):
        run, at = run_at(NAME), 2
        cells, x_edges, y_edges = heights_over(run, at, first, second)
        model, data, params = MultivariateGaussianMixture(), run.problem.data, run.steps[at].params

        def objective(x, y):
            return objective_of(model, data, replaced(replaced(params, *first, x), *second, y))

        possible = cells[cells["band"].notna()]
        steps = np.diff(x_edges)[0], np.diff(y_edges)[0]
        best = possible[possible["band"] == 0]
        tops = [
            objective(r.x_low + steps[0] / 2, r.y_low + steps[1] / 2) for r in best.itertuples()
        ]
        top = max([*tops, run.steps[at].objective])
        some = np.random.default_rng(1).choice(possible.index, 150, replace=False)
        some = [i for i in range(len(cells)) if i in set(some)]
        check_bands(cells, objective, top, 272, x_edges=x_edges, y_edges=y_edges, some=some)

    def test_where_no_matrix_is_positive_definite_there_is_no_band(self):
        run, at = run_at(NAME), 3
        over = ("covariances", (0, 0, 1)), ("covariances", (0, 0, 0))
        cells, x_edges, y_edges = heights_over(run, at, *over)
        yy = run.steps[at].params.covariances[0, 1, 1]
        both = cells["x_low"] + np.diff(x_edges)[0] / 2
        xx = cells["y_low"] + np.diff(y_edges)[0] / 2
        np.testing.assert_array_equal(cells["band"].isna(), both**2 >= xx * yy)
        assert 0 < cells["band"].isna().sum() < len(cells)

    def test_grid_holds_the_data_and_the_path(self):
        run = run_at(NAME, start_x1=9.0)
        _, x_edges, _ = heights_over(run, 0, ("means", (0, 0)), ("means", (1, 1)))
        assert x_edges[0] == run.problem.sample.data[:, 0].min()
        assert x_edges[-1] == 9.0 > run.problem.sample.data[:, 0].max()
        way = [step.params.covariances[0, 0, 0] for step in run.steps]
        _, x_edges, _ = heights_over(run, 0, ("covariances", (0, 0, 0)), ("means", (0, 0)))
        assert x_edges[0] == 0
        assert x_edges[-1] > max(way)

    def test_the_other_weights_share_what_is_left(self):
        run = run_at(NAME, **SIMULATED)
        column = frames.column_of(run.params, "123", "weights", 1)
        [weights] = hill.placed(hill.repeated(run.params, 1), column, [0.4])["weights"]
        assert weights[1] == 0.4
        assert weights.sum() == pytest.approx(1)
        assert weights[0] / weights[2] == pytest.approx(
            run.params.weights[0] / run.params.weights[2]
        )

    def test_page_draws_path_mark_and_bound(self, visit):
        page, run = visit(NAME, gp_hill="true", gp_iter="1"), run_at(NAME)
        chart = page.section("hill").chart("over μ 1 x and μ 2 x")
        assert chart.title == ("Log-likelihood over μ 1 x and μ 2 x, the rest as at iteration 1")
        way = [step.params.means[:, 0] for step in run.steps]
        np.testing.assert_array_equal(chart.data["path"][["x", "y"]], way)
        (mark,) = chart.data["marks"].itertuples(index=False)
        assert mark == ("EM ends", *run.params.means[:, 0], run.frames.last)

    @pytest.mark.parametrize("place", [(0, 0), (1, 1)])
    def test_bound_along_a_coordinate_is_not_highest_where_the_m_step_goes(self, place):
        """The best value of one coordinate depends on the other, since ellipses are slanted."""
        run = run_at(NAME)
        column = frames.column_of(run.params, "12", "means", place)
        drawing, exact = hill._slice(run, column, 0.0, 100.0)
        assert not exact
        ends = drawing.datasets["ends"].to_pandas()
        assert set(ends["point"]) == {"where they touch", "where the M-step goes"}
        goes = ends[ends["point"] == "where the M-step goes"].set_index("first")["x"]
        for t, step in enumerate(run.steps[1:]):
            assert goes[t] == pytest.approx(step.params.means[place], rel=1e-12)
        assert "to which value the M-step goes" in drawing.alt

    def test_bound_that_is_nowhere_has_no_top(self, monkeypatch):
        run = run_at(NAME)
        column = frames.column_of(run.params, "12", "means", (0, 1))
        monkeypatch.setattr(hill, "_possible", lambda arrays: arrays["weights"][:, 0] > 2)
        drawing, exact = hill._slice.__wrapped__(run, column, 0.0, 99.0)
        assert not exact
        assert len(drawing.datasets["ends"]) == 0

    def test_without_a_slant_it_is(self):
        run = run_at(NAME, kind="Along the axes (diagonal)")
        column = frames.column_of(run.params, "12", "means", (0, 1))
        drawing, exact = hill._slice(run, column, 0.0, 100.0)
        assert exact
        assert drawing.alt.endswith("the M-step goes to the top of the bound.")

    def test_the_same_number_twice_has_the_slice_alone(self, visit):
        page = visit(NAME, gp_hill="true", gp_up="Mean across of component 1")
        (chart,) = page.section("hill").charts
        assert "along μ 1 x" in chart.alt
        assert any("two different numbers" in info.value for info in page.at.info)

    def test_grey_is_explained_where_there_is_any(self, visit):
        means = visit(NAME, gp_hill="true").section("hill")
        assert not any("positive definite" in caption for caption in means.captions)
        variances = {
            "gp_across": "Variance across of component 1",
            "gp_up": "Variance upwards of component 1",
        }
        # Without a covariance in the guess, any variances are possible there.
        for at, any_grey in ((0, False), (3, True)):
            section = visit(NAME, gp_hill="true", gp_iter=str(at), **variances).section("hill")
            chart = section.chart("over Σ 1 xx and Σ 1 yy")
            assert chart.data["hill"]["band"].isna().any() == any_grey
            assert chart.alt.endswith("Grey: no such covariance matrix.") == any_grey
            explained = any("positive definite" in caption for caption in section.captions)
            assert explained == any_grey
