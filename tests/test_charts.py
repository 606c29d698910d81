"""The chart templates: constant, complete, and fed with what ``em_core`` finds."""

import gc
import json
import math
import re
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import simulated
from conftest import PREFIXES, RUNNING
from scipy import stats

from em_ui.pictures import charts
from em_ui.pictures.format import BEFORE, MAX_ITERATIONS, PLACES, SHARE_DIGITS, SLIDE
from em_ui.run import DATA, stream

BOUND = {
    "objective": charts.objective("Objective"),
    "parameter": charts.parameter("means", "Mean"),
    "movement": charts.movement("Distance"),
    "scatter": charts.scatter(),
    "shares": charts.shares("Heads", "Trials", "Coin"),
    "densities": charts.densities("Value", "Component"),
    "gaussians": charts.gaussians("x", "y", "Component", "Point", same_units=True),
    "hill with a path": charts.hill("Mean 1", "Mean 2", "Loss", path=True),
    "bound": charts.bound("Mean", "Objective"),
    **{
        f"{name} without truth": make(truth=False)
        for name, make in {
            "parameter": lambda **o: charts.parameter("means", "Mean", **o),
            "scatter": charts.scatter,
            "shares": lambda **o: charts.shares("Heads", "Trials", "Coin", **o),
            "densities": lambda **o: charts.densities("Value", "Component", **o),
            "gaussians": lambda **o: charts.gaussians(
                "x", "y", "Component", "Point", same_units=False, **o
            ),
        }.items()
    },
}
FREE = {
    "still": charts.densities("Value", "Component", bound=False),
    "histogram": charts.histogram("Height"),
    "hill": charts.hill("Mean", "SD", "Loss"),
    "curves": charts.curves("Objective", ("best", "other")),
    "distance": charts.distance("Distance"),
    "start map": charts.start_map("A", "B", ("this", "that")),
}
PICKABLE = {
    "scatter": "observation",
    "shares": "label",
    "densities": "label",
    "gaussians": "observation",
}
# In these there is something between two iterations.
SLIDING = {"scatter", "densities", "gaussians", "hill"}
# Settings far from the defaults: other data, other guess, other length of the run.
CHANGED = {
    "maximum_likelihood": {"data_seed": 9, "guess_std": 3.0, "size": 50, "mean": 120.0},
    "k_means": {"k": 6, "size": 40, "spread": 4.0, "guess": "k-means++", "max_iter": 4},
    "two_coins": {"situation": "Swapped names", "tol": "1e-10", "max_iter": 500, "tosses": 12},
    "gaussian_mixture": {"k": 5, "data_seed": 3, "guess": "Random data points", "floor": 0.5},
    "mixture_in_the_plane": {"find": 4, "kind": "Round (spherical)", "floor": 0.1, "max_iter": 4},
}


def layers(unit, data=None):
    """Yield each layer that draws, with the data set it reads and what its parents encode."""
    data = unit.get("data", {}).get("name", data)
    for child in unit.get("layer", []):
        yield from layers(child, data)
    if "mark" in unit:
        yield unit, data


def aggregates(transform):
    return transform.get("aggregate", []) + transform.get("joinaggregate", [])


def fields_read(unit):
    """Return the names of the columns that a layer's encoding and transforms read."""
    read = {
        part["field"]
        for channel in unit["encoding"].values()
        for part in (channel if isinstance(channel, list) else [channel])
        if "field" in part
    }
    for step in unit.get("transform", []):
        expressions = [v for k, v in step.items() if k in ("calculate", "filter")]
        for expression in expressions:
            read |= set(re.findall(r"datum\.(\w+)", expression))
        for kind in ("aggregate", "joinaggregate"):
            read |= {aggregate.get("field", "") for aggregate in step.get(kind, [])}
        read |= set(step.get("flatten", [])) | set(step.get("groupby", []))
        read |= {part["field"] for part in step.get("window", [])}
    return read - {""}  # what a count and a row number read


def fields_made(unit):
    """Return the names of the columns that a layer's transforms make."""
    made = set()
    for step in unit.get("transform", []):
        names = step.get("as", [])
        made |= {names} if isinstance(names, str) else set(names)
        for kind in ("aggregate", "joinaggregate", "window"):
            made |= {aggregate["as"] for aggregate in step.get(kind, [])}
    return made


class TestTemplates:
    @pytest.mark.parametrize("name", BOUND)
    def test_player_can_bind_every_iteration(self, name):
        parameters = {p["name"]: p for p in BOUND[name]["params"] if "expr" not in p}
        picked = parameters.pop("pick", None)
        assert (picked is not None) == (name.split()[0] in PICKABLE)
        # One, since each that changes has the chart drawn anew. In pictures the player slides.
        assert set(parameters) == {"place"}
        ends = {"min": 0, "max": PLACES * (MAX_ITERATIONS + 1) + MAX_ITERATIONS}
        step = SLIDE if name.split(" ")[0] in SLIDING else 1
        assert parameters["place"]["value"] == 0
        assert parameters["place"]["bind"] == {"input": "range", **ends, "step": step}
        # Both iterations come out of it. Before the first E-step nothing has a component.
        read = {p["name"]: p["expr"] for p in BOUND[name]["params"] if "expr" in p}
        for iteration, assigned in ((0, BEFORE), (2.25, 2), (MAX_ITERATIONS, MAX_ITERATIONS)):
            given = {"place": PLACES * (assigned - BEFORE) + iteration, "floor": math.floor}
            assert eval(read["iter"], given) == pytest.approx(iteration)
            assert eval(read["assign"], given) == assigned

    def test_place_has_room_for_every_iteration(self):
        assert MAX_ITERATIONS < PLACES

    @pytest.mark.parametrize("name", FREE)
    def test_player_leaves_the_others_alone(self, name):
        assert not any("bind" in parameter for parameter in FREE[name].get("params", []))

    @pytest.mark.parametrize(("name", "field"), PICKABLE.items())
    def test_a_click_picks_one_mark(self, name, field):
        (pick,) = (p for p in BOUND[name]["params"] if p["name"] == "pick")
        assert pick["select"] == {"type": "point", "fields": [field]}
        # Of the marks that carry the field, and of no others.
        (view,) = pick["views"]
        (unit,) = (unit for unit, _ in layers(BOUND[name]) if unit.get("name") == view)
        assert field in str(unit["encoding"]["tooltip"])

    @pytest.mark.parametrize("name", ["parameter", "scatter", "shares", "densities", "gaussians"])
    def test_truth_and_labels_are_drawn_apart_or_not_at_all(self, name):
        references = [(u, data) for u, data in layers(BOUND[name]) if data in ("truth", "labelled")]
        assert list(dict.fromkeys(data for _, data in references)) == ["truth", "labelled"]
        looks = {}
        for unit, data in references:
            if unit["mark"]["type"] != "text":
                look = {k: unit["mark"].get(k) for k in ("strokeDash", "shape")}
                line = [t["calculate"] for t in unit.get("transform", []) if t.get("as") == "line"]
                looks[data] = look, line
        assert looks["truth"] != looks["labelled"]
        sealed = {data for _, data in layers(BOUND[f"{name} without truth"])}
        assert sealed == {data for _, data in layers(BOUND[name])} - {"truth", "labelled"}

    @pytest.mark.parametrize(
        "make",
        [
            lambda **known: charts.parameter("means", "Mean", **known),
            charts.scatter,
            lambda **known: charts.shares("Heads", "Trials", "Coin", **known),
            lambda **known: charts.densities("Value", "Component", **known),
            lambda **known: charts.gaussians("x", "y", "Part", "Point", same_units=True, **known),
        ],
    )
    @pytest.mark.parametrize("known", ["truth", "labelled"])
    def test_one_may_be_known_without_the_other(self, make, known):
        both = {"truth": False, "labelled": False}
        drawn = {data for _, data in layers(make(**both | {known: True}))}
        assert drawn & {"truth", "labelled"} == {known}

    @pytest.mark.parametrize(
        "name", ["objective", "parameter", "movement", "scatter", "gaussians", "hill with a path"]
    )
    def test_nothing_is_drawn_before_it_is_played(self, name):
        for unit, data in layers(BOUND[name]):
            if data not in ("steps", "path") or unit["mark"].get("opacity") == 0:
                continue
            filters = [step["filter"] for step in unit["transform"] if "filter" in step]
            played = [
                f for f in filters if re.match(r"datum\.iteration (<=|==) (min|max|iter|floor)", f)
            ]
            assert len(played) == 1, filters

    @pytest.mark.parametrize("name", ["objective", "parameter", "movement"])
    def test_axes_do_not_depend_on_the_iteration(self, name):
        corners = BOUND[name]["layer"][0]
        assert corners["mark"]["opacity"] == 0
        assert "iter " not in str(corners["transform"])
        assert not any("iter" in s.get("filter", "") for s in corners["transform"])

    @pytest.mark.parametrize("name", [n for n in BOUND if n not in ("hill with a path", "bound")])
    def test_scales_depend_on_no_iteration(self, name):
        # Or each frame draws every mark anew, and the axes.
        template = BOUND[name]
        used = {"x", "y"} | {
            channel
            for unit, _ in layers(template)
            for channel in ("color", "shape")
            if "field" in unit["encoding"].get(channel, {})
            and template.get("resolve", {}).get("scale", {}).get(channel) != "independent"
        }
        for channel in used:
            domains = [
                unit["encoding"][channel]["scale"]["domain"]["signal"]
                for unit, _ in layers(template)
                if "signal" in str(unit["encoding"].get(channel, {}).get("scale"))
            ]
            assert len(domains) == 1
            assert not re.search(r"\b(iter|assign)\b", domains[0])

    def test_long_title_breaks_where_there_is_little_room(self, monkeypatch):
        drawn = []
        monkeypatch.setattr(
            charts.st, "vega_lite_chart", lambda spec, **_: drawn.append(spec["title"]["text"])
        )
        for title in ("Inertia", "Log-likelihood and lower bound along the mean of component 3"):
            charts.show(charts.scatter(), {}, key="chart", alt="Points", title=title)
        assert drawn[0] == "Inertia"
        assert '["Log-likelihood and lower bound along the", "mean of component 3"]' in str(
            drawn[1]
        )
        assert "title" not in charts.scatter()

    def test_table_is_written_once_and_forgotten_with_it(self, monkeypatch):
        sent = []
        monkeypatch.setattr(charts.st, "vega_lite_chart", lambda spec, **_: sent.append(spec))
        table, others = pa.table({"x": [1.0, 2.0]}), len(charts._WRITTEN)
        for _ in range(2):
            charts.show({"mark": "point"}, {"points": table}, key="chart", alt="Points")
        first, again = (spec["datasets"]["points"] for spec in sent)
        assert first is again
        assert pa.ipc.open_stream(first).read_all().equals(table)
        assert len(charts._WRITTEN) == others + 1
        del table
        assert len(charts._WRITTEN) == others

    def test_words_are_put_where_they_stand_and_all_else_is_kept(self):
        one, other = (charts.parameter("means", title) for title in ("Mean $x$", 'A "B"'))
        assert "Mean $x$" in json.dumps(one)
        assert not re.search("[\ue000\ue001]|\\\\ue00", json.dumps(one))
        assert json.loads(json.dumps(one).replace("Mean $x$", r"A \"B\"")) == other
        # To copy all of a template in each rerun would cost more than the rest of a chart.
        assert one["params"] is other["params"]

    @pytest.mark.parametrize("template", [*BOUND.values(), *FREE.values()], ids=[*BOUND, *FREE])
    def test_no_tooltip_shows_a_raw_number(self, template):
        for unit, _ in layers(template):
            kind = unit["mark"]["type"] if isinstance(unit["mark"], dict) else unit["mark"]
            tooltip = unit["encoding"].get("tooltip", [])
            for field in tooltip if isinstance(tooltip, list) else []:
                assert field.get("title") or field["field"] in "xy"
                if field["type"] == "quantitative":
                    whole = field["field"] in ("iteration", "iterations", "start", "outcome")
                    assert "format" in field or whole or field["field"] == "observation"
            if kind == "rect":
                assert "tooltip" in unit["encoding"]

    def test_hill_says_the_loss_as_its_legend_does(self):
        (unit,) = (u for u, data in layers(FREE["hill"]) if data == "hill")
        (loss,) = (t for t in unit["transform"] if t["as"] == "loss")
        assert loss["calculate"].endswith("[datum.band]")
        assert "under 0.003" in loss["calculate"]
        assert [field["field"] for field in unit["encoding"]["tooltip"]] == ["x", "y", "loss"]

    @pytest.mark.parametrize("name", BOUND)
    def test_no_field_of_the_data_is_overwritten_on_the_way(self, name):
        """Vega computes in place: the next frame would begin with what this one has made."""
        for unit, _ in layers(BOUND[name]):
            steps = unit.get("transform", [])
            moving = {
                t["as"] for t in steps if "iter" in re.findall(r"\w+", t.get("calculate", ""))
            }
            read = {f for t in steps for f in re.findall(r"datum\.(\w+)", str(t.get("filter", "")))}
            assert not moving & read
            for made in (t for t in steps if t.get("as") in moving):
                assert made["as"] not in re.findall(r"datum\.(\w+)", made["calculate"])

    def test_is_compiled_once(self, monkeypatch):
        assert charts.movement("Distance") is BOUND["movement"]
        compiled = []
        original = charts.alt.LayerChart.to_dict

        def to_dict(chart, **options):
            compiled.append(chart)
            return original(chart, **options)

        monkeypatch.setattr(charts.alt.LayerChart, "to_dict", to_dict)
        assert charts.scatter() == BOUND["scatter"]
        assert charts.scatter("eruptions", "waiting") != BOUND["scatter"]
        assert charts.parameter("means", "Mean") == BOUND["parameter"]
        assert not compiled

    def test_words_are_put_in_as_they_are(self):
        across, up = 'a "b" \\ue001', "\ue000 \\1"
        template = charts.gaussians(across, up, "Component", "Point", same_units=True)
        titles = {
            unit["encoding"][axis]["title"]
            for unit, data in layers(template)
            for axis in "xy"
            if data == "points"
        }
        assert titles == {across, up}
        (points,) = (unit for unit, data in layers(template) if data == "points")
        told = points["encoding"]["tooltip"]["value"]["expr"]
        assert f"{{{json.dumps(across)}: format(datum.x" in told
        assert f"{{{json.dumps(up)}: format(datum.y" in told

    @pytest.mark.parametrize("name", ["mixture_in_the_plane", "k_means"])
    def test_names_of_own_columns_are_not_kept(self, visit, monkeypatch, name):
        made = []
        for make in (charts.alt.Chart, charts.alt.LayerChart):

            def to_dict(chart, original=make.to_dict, **options):
                made.append(original(chart, **options))
                return made[-1]

            monkeypatch.setattr(make, "to_dict", to_dict)
        page = visit(name)
        rows = "\n".join(f"{i % 7}.{i};{i * i % 11}" for i in range(40))
        page.paste(f"tide{name};depth{name}\n{rows}")
        page.open(*(s for s in ("marginals", "hard_against_soft", "hill") if s in page.sections()))
        assert f"tide{name}" in str([chart.template for chart in page.charts])
        gc.unfreeze()  # what was made before the first page was set aside
        caches = [
            gc.get_referents(each)
            for each in gc.get_objects()
            if isinstance(each, type(charts.objective)) and each.__module__ == charts.__name__
        ]
        assert "Objective" in str(caches)
        for kept in (str(made), str(caches)):
            assert f"tide{name}" not in kept
            assert f"depth{name}" not in kept

    @pytest.mark.parametrize("name", [*BOUND, "still"])
    def test_marks_that_are_not_seen_are_few(self, name):
        # One for each row of a long run would bring the browser to a halt.
        for unit, data in layers({**BOUND, **FREE}[name]):
            if unit["mark"].get("opacity") == 0:
                aggregated = any("aggregate" in step for step in unit.get("transform", []))
                assert aggregated or data == "frame"  # of one row

    @pytest.mark.parametrize("template", [*BOUND.values(), *FREE.values()], ids=[*BOUND, *FREE])
    def test_what_fixes_axes_is_not_read_as_data(self, template):
        for unit, _ in layers(template):
            if isinstance(unit["mark"], dict) and unit["mark"].get("opacity") == 0:
                assert unit["mark"]["aria"] is False
                assert unit["mark"]["tooltip"] is None

    def test_a_point_that_changes_sides_alone_is_drawn_anew(self):
        # What an encoding reads from the player is written to every mark, in every step.
        for unit, data in layers(BOUND["scatter"]):
            if data == "points":
                assert not re.search(r"\b(iter|assign)\b", str(unit["encoding"]))

    @pytest.mark.parametrize("template", [*BOUND.values(), *FREE.values()], ids=[*BOUND, *FREE])
    def test_holds_no_data(self, template):
        assert "datasets" not in template
        assert all(data for _, data in layers(template))


THEMES = tomllib.loads((Path(__file__).parents[1] / ".streamlit" / "config.toml").read_text())


def contrast(one, other):
    """Return the contrast of two colours, #rrggbb, by the definition of WCAG 2."""

    def luminance(color):
        rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


class TestColours:
    def test_contrast_is_that_of_the_definition(self):
        assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
        assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.005)

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_components_are_seen(self, theme):
        colors = THEMES["theme"][theme]["chartCategoricalColors"]
        assert len(set(colors)) == len(charts._SHAPES)
        ground = THEMES["theme"][theme]["backgroundColor"]
        assert min(contrast(color, ground) for color in colors) >= 3

    @pytest.mark.parametrize(("at", "theme"), [(0, "light"), (1, "dark")])
    @pytest.mark.parametrize(
        ("name", "least"),
        [
            ("_TEXT", 4.5),
            ("_FAINT_TEXT", 4.5),
            ("_TRUTH", 3),
            ("_NEUTRAL", 3),
            ("_INK", 3),
            ("_MARK", 3),
        ],
    )
    def test_words_can_be_read_and_marks_seen(self, at, theme, name, least):
        color = getattr(charts, name)
        used = color if isinstance(color, str) else re.findall(r"#\w{6}", color["expr"])[at]
        assert contrast(used, THEMES["theme"][theme]["backgroundColor"]) >= least

    def test_white_is_read_on_the_cover(self):
        assert contrast(charts._COVER, "#FFFFFF") >= 4.5


class TestOnPages:
    @pytest.mark.parametrize("name", PREFIXES)
    def test_does_not_change_with_the_settings(self, visit, name):
        # A changed template would put the player's iteration back to the start.
        page = visit(name)
        if name == "two_coins":
            page.open("hill")
        before = [chart.template for chart in page.charts]
        page.set(**CHANGED.get(name, {"data_seed": 9, "max_iter": 4}))
        assert [chart.template for chart in page.charts] == before

    def test_changes_in_its_title_alone_with_hard_assignment(self, visit):
        page = visit("two_coins")
        before = [chart.template for chart in page.charts]
        page.set(hard=True)
        after = [chart.template for chart in page.charts]
        picture, _, theta = before
        assert [after[0], after[2]] == [picture, theta]
        assert str(after[1]) == str(before[1]).replace(
            "Log-likelihood", "Classification log-likelihood"
        )

    @pytest.mark.parametrize("name", PREFIXES)
    def test_reads_the_data_that_the_page_sends(self, opened, name):
        for chart in opened(name).charts:
            used = set()
            for unit, data in layers(chart.template):
                assert data in chart.data, chart.alt
                used.add(data)
                missing = fields_read(unit) - set(chart.data[data]) - fields_made(unit)
                assert not missing, f"{chart.alt}: {missing}"
            assert used == set(chart.data)

    @pytest.mark.parametrize("name", PREFIXES)
    def test_data_are_finite(self, opened, name):
        for chart in opened(name).charts:
            for frame in chart.data.values():
                numbers = frame.select_dtypes("number").drop(columns="movement", errors="ignore")
                if "missing for" in chart.alt:  # a cluster alone has no silhouette
                    numbers = numbers.drop(columns="value")
                assert np.isfinite(numbers).all(axis=None), chart.alt

    @pytest.mark.parametrize("name", RUNNING)
    def test_everything_ends_with_the_same_iteration(self, opened, name):
        page = opened(name)
        last = len(page.player["rows"]) - 1
        for chart in page.charts:
            if "bind" not in str(chart.template):
                continue
            for data, frame in chart.data.items():
                if "iteration" in frame and data not in ("truth", "labelled"):
                    assert set(frame["iteration"]) == set(range(last + 1))
                if "component" in frame and "first" in frame:
                    stays = frame.sort_values(["observation", "first"])
                    begins = stays.groupby("observation")["first"].shift(-1)
                    ends = begins.fillna(MAX_ITERATIONS + 1) - 1
                    np.testing.assert_array_equal(stays["last"], ends)
                    assert (stays["first"].min(), stays["first"].max() <= last) == (0, True)
                elif "first" in frame:
                    # Intervals without a gap and without an overlap.
                    shown = frame[["first", "last"]].drop_duplicates().to_numpy()
                    assert [i for a, b in shown for i in range(a, b + 1)] == [*range(last + 1)]
                if "share" in frame:
                    assert set(frame["share"].str.len()) == {SHARE_DIGITS * (last + 1)}

    @pytest.mark.parametrize("settings", [{}, {"k": 8, "spread": 3.0, "guess_seed": 4}], ids=str)
    def test_points_belong_to_the_nearest_centroid(self, visit, settings):
        page = visit("k_means")
        page.set(**settings)
        drawn = page.charts[0].data["points"]
        points = drawn.drop_duplicates("observation")[["x", "y"]].to_numpy()
        k = settings.get("k", 3)
        rng = stream(6, DATA)
        data = simulated.clusters([200] * k, spread=settings.get("spread", 1.0), rng=rng).data
        np.testing.assert_array_equal(points, data)
        for _, row in page.table.iterrows():
            centroids = row.filter(like="centroids").to_numpy().reshape(k, 2)
            distances = np.linalg.norm(points[:, None] - centroids, axis=2)
            nearest = [str(i + 1) for i in distances.argmin(axis=1)]
            now = drawn[drawn["first"].le(row["iteration"]) & drawn["last"].ge(row["iteration"])]
            assert list(now["observation"]) == list(range(1, len(points) + 1))
            assert list(now["component"]) == nearest

    @pytest.mark.parametrize("settings", [{}, {"weights": True, "tosses": 25}], ids=str)
    def test_trials_are_shared_by_bayes_rule(self, visit, settings):
        page = visit("two_coins")
        page.set(**settings)
        tosses = settings.get("tosses", 10)
        outcomes = np.arange(tosses + 1)
        bars = page.charts[0].data["bars"].set_index("component")
        expected = page.charts[0].data["expected"].set_index("iteration")["count"]
        assert bars.loc["A", "height"].sum() == 500
        for iteration, theta_a, theta_b, *more in page.table.itertuples(index=False):
            # Weights that are not estimated stand in no table.
            weight_a, weight_b = more[:2] if "weights" in settings else (0.5, 0.5)
            joint = np.array(
                [
                    weight_a * stats.binom.pmf(outcomes, tosses, theta_a),
                    weight_b * stats.binom.pmf(outcomes, tosses, theta_b),
                ]
            )
            np.testing.assert_allclose(expected[iteration], 500 * joint.sum(axis=0), rtol=1e-6)
            check_shares(bars, iteration, joint, "AB")

    @pytest.mark.parametrize("settings", [{}, {"k": 4, "weights": False}], ids=str)
    def test_values_are_shared_by_bayes_rule(self, visit, settings):
        page = visit("gaussian_mixture")
        page.set(**settings)
        k = settings.get("k", 3)
        picture = page.charts[0].data
        bars = picture["bars"].set_index("component")
        values = page_values(settings)
        edges = np.append(bars["low"].loc["1"], bars["high"].loc["1"].iloc[-1])
        for _, row in page.table.iterrows():
            means, stds, weights = (
                row.filter(like=name).to_numpy() for name in ("means", "stds", "weights")
            )
            if not len(weights):  # not estimated, so in no table
                weights = np.full(k, 1 / k)
            joint = weights[:, None] * stats.norm.pdf(values, means[:, None], stds[:, None])
            # Each bar by the mean of its values.
            shares = np.array(
                [
                    np.histogram(values, edges, weights=share)[0]
                    for share in joint / joint.sum(axis=0)
                ]
            )
            check_shares(bars, int(row["iteration"]), shares, [str(i + 1) for i in range(k)])
        # The histogram is a density: its area is one.
        area = (bars["height"] * (bars["high"] - bars["low"])).loc["1"].sum()
        assert area == pytest.approx(1)
        grid = picture["truth"].iloc[0]
        assert grid["low"] == pytest.approx(bars["low"].min())
        assert grid["high"] == pytest.approx(bars["high"].max())


def page_values(settings):
    """Return the data of the page of the Gaussian mixture under these settings."""
    from pages.gaussian_mixture.problem import SPECS, problem

    defaults = {name: spec.default for name, spec in SPECS.items()}
    return problem({**defaults, **settings}).sample.data


def check_shares(bars, iteration, joint, names):
    """Check the packed responsibilities of an iteration against Bayes' rule."""
    digits = SHARE_DIGITS
    full = joint.sum(axis=0) > 0  # a bar without a value has no share
    for name, share in zip(names, joint[:, full] / joint[:, full].sum(axis=0), strict=True):
        texts = bars.loc[name, "share"][full].str[digits * iteration : digits * (iteration + 1)]
        np.testing.assert_allclose(texts.astype(int) / (10**digits - 1), share, atol=1e-4)
