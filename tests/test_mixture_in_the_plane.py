"""The Gaussian mixture in the plane against em_core, scikit-learn and published digits."""

import re
import warnings

import numpy as np
import pytest
from conftest import BY_NAME, run_at
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from em_core import (
    KMeans,
    KMeansParams,
    MultivariateGaussianMixture,
    MultivariateGaussianParams,
    Status,
    fit,
    fit_labelled,
)
from em_core.data import iris, old_faithful
from em_ui.run import DATA, GUESS, stream
from em_ui.run.many_starts import run_starts
from pages.mixture_in_the_plane import problem as posed
from pages.mixture_in_the_plane import sections as parts
from pages.mixture_in_the_plane import situations
from pages.mixture_in_the_plane.problem import AXES, FULL, KINDS, POINTS, RINGS, ROUND, TIED
from pages.mixture_in_the_plane.situations import bic, groups

NAME = "mixture_in_the_plane"
GEYSER = old_faithful().columns_of("eruptions", "waiting")
SIMULATED = {"data": "Simulated", "guess": POINTS}
PETALS = "Iris: petals"


def means(page, iteration=-1):
    row = page.table.iloc[iteration]
    return row.filter(like="means").to_numpy(float).reshape(-1, 2)


def covariances(page, iteration=-1):
    upper = page.table.iloc[iteration].filter(like="covariances").to_numpy(float).reshape(-1, 3)
    return upper[:, [0, 1, 1, 2]].reshape(-1, 2, 2)


def weights(page, iteration=-1):
    return page.table.iloc[iteration].filter(like="weights").to_numpy(float)


def linked(**settings):
    return {f"gp_{name}": str(value) for name, value in settings.items()}


class TestOldFaithful:
    """The golden numbers, computed apart from this project."""

    def test_page_opens_with_the_golden_start(self, plain):
        page = plain(NAME)
        np.testing.assert_array_equal(means(page, 0), [[2, 55], [4.5, 80]])
        np.testing.assert_allclose(covariances(page, 0), [np.diag([0.5, 50])] * 2, rtol=1e-15)
        np.testing.assert_array_equal(weights(page, 0), [0.5, 0.5])
        assert page.table["log-likelihood"][0] == pytest.approx(-1261.44782067, abs=1e-8)
        assert page.player["rows"][0][-1] == "-1,261.4478"

    @pytest.mark.parametrize(
        ("iteration", "places", "share", "objective"),
        [
            (
                1,
                [[2.07696968, 54.82618214], [4.30522585, 80.20872387]],
                0.36685314,
                -1137.07042088,
            ),
            (5, [[2.03647713, 54.47941077], [4.28974033, 79.96906170]], 0.35590926, -1130.26400689),
        ],
    )
    def test_steps_are_the_golden_ones(self, plain, iteration, places, share, objective):
        page = plain(NAME)
        np.testing.assert_allclose(means(page, iteration), places, atol=1e-8)
        assert weights(page, iteration)[0] == pytest.approx(share, abs=1e-8)
        assert page.table["log-likelihood"][iteration] == pytest.approx(objective, abs=1e-8)

    def test_it_ends_at_the_golden_limit_in_the_digits_that_are_shown(self, plain):
        page = plain(NAME)
        assert page.ending == "success"
        assert "Log-likelihood -1,130.2640." in page.status
        assert f"{-1130.26396018:,.4f}" == "-1,130.2640"
        limit = [[2.03638845, 54.47851638], [4.28966197, 79.96811517]]
        assert means(page).round(3).tolist() == np.round(limit, 3).tolist()
        ends = [
            [[0.06916767, 0.43516762], [0.43516762, 33.69728207]],
            [[0.16996844, 0.94060932], [0.94060932, 36.04621132]],
        ]
        np.testing.assert_allclose(covariances(page), ends, rtol=2e-4)
        assert page.player["rows"][-1][0] == "0.356" == f"{0.35587286:.3f}"

    def test_with_tolerance_0_all_digits_are_golden(self, visit):
        page = visit(NAME, gp_tol="0")
        limit = [[2.03638845, 54.47851638], [4.28966197, 79.96811517]]
        np.testing.assert_allclose(means(page), limit, atol=1e-8)
        assert page.table["log-likelihood"].iloc[-1] == pytest.approx(-1130.26396018, abs=1e-8)

    def test_bic_is_that_of_mclust_with_the_other_sign(self):
        run = run_at(NAME, tol="0")
        assert bic(run) == pytest.approx(2322.191743, abs=1e-6)
        assert run.problem.mixture.n_parameters(run.params) == 11

    def test_nothing_speaks_of_a_truth(self, visit):
        page = visit(NAME)
        page.open(*page.sections())
        words = page.text + page.status + "".join(page.captions) + "".join(page.advice)
        assert not re.search(r"labels known|(from|beside|Dashed:) the truth|the true ", words)
        assert all("truth" not in chart.data for chart in page.charts)
        run = run_at(NAME)
        assert run.gap is None
        assert run.missed == 0


class TestCovariances:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("steps", [1, 4])
    def test_trajectory_is_scikit_learns(self, visit, kind, steps):
        page = visit(NAME, **linked(kind=kind, floor=0, tol="0", max_iter=10))
        start = covariances(page, 0)
        if kind == TIED:
            start = start[0]
        elif kind == AXES:
            start = np.diagonal(start, axis1=1, axis2=2)
        elif kind == ROUND:
            start = start[:, 0, 0]
        precisions = 1 / start if kind in (AXES, ROUND) else np.linalg.inv(start)
        theirs = GaussianMixture(
            2,
            covariance_type=KINDS[kind],
            tol=0,
            reg_covar=0,
            max_iter=steps,
            weights_init=weights(page, 0),
            means_init=means(page, 0),
            precisions_init=precisions,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            theirs.fit(GEYSER)
        found = theirs.covariances_
        full = {
            FULL: lambda: found,
            TIED: lambda: np.stack([found] * 2),
            AXES: lambda: found[:, :, None] * np.eye(2),
            ROUND: lambda: found[:, None, None] * np.eye(2),
        }[kind]()
        np.testing.assert_allclose(means(page, steps), theirs.means_, rtol=1e-9)
        np.testing.assert_allclose(covariances(page, steps), full, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(weights(page, steps), theirs.weights_, rtol=1e-9)

    @pytest.mark.parametrize(
        ("kind", "asked"),
        [
            (FULL, ["sd_x1", "sd_y1", "corr1", "sd_x2", "sd_y2", "corr2"]),
            (TIED, ["sd_x1", "sd_y1", "corr1"]),
            (AXES, ["sd_x1", "sd_y1", "sd_x2", "sd_y2"]),
            (ROUND, ["sd_x1", "sd_x2"]),
        ],
    )
    def test_a_typed_start_asks_for_what_the_kind_has(self, visit, kind, asked):
        page = visit(NAME, **linked(kind=kind))
        shown = [n.removeprefix("start_") for n in page.shown() if re.match("start_(sd|corr)", n)]
        assert sorted(shown) == sorted(asked)
        # And each of these, and no other, makes a difference to the start.
        before = run_at(NAME, kind=kind).problem.start.covariances
        for name in ("sd_x1", "sd_y1", "corr1", "sd_x2", "sd_y2", "corr2"):
            changed = run_at(NAME, kind=kind, **{f"start_{name}": 0.6}).problem.start.covariances
            assert (changed != before).any() == (name in asked), name

    def test_correlation_is_that_of_the_start(self):
        start = run_at(NAME, start_corr1=0.5, start_corr2=-0.25).problem.start.covariances
        both = start[:, 0, 1] / np.sqrt(start[:, 0, 0] * start[:, 1, 1])
        np.testing.assert_allclose(both, [0.5, -0.25])

    def test_words_and_formulas_are_those_of_the_kind(self, visit):
        page = visit(NAME)
        formulas, words = set(), set()
        for kind in KINDS:
            page.set(kind=kind)
            formulas.add(
                next(line for line in page.formulas if r"\Sigma_k" in line and "&=" in line)
            )
            words.add(page.text)
        assert len(formulas) == len(words) == 4

    def test_mixing_weights_may_stay_equal(self, visit):
        page = visit(NAME, gp_weights="false")
        fixed = MultivariateGaussianMixture(
            min_std=run_at(NAME).problem.mixture.min_std, estimate_weights=False
        )
        trace = fit(fixed, GEYSER, run_at(NAME).problem.start, tol=1e-8, max_iter=200)
        np.testing.assert_array_equal(means(page), trace.final.params.means)
        assert "weights 1" not in page.table


class TestFloor:
    def test_is_a_part_of_the_smaller_standard_deviation(self):
        for part in (0.01, 0.3):
            floor = run_at(NAME, floor=part).problem.mixture.min_std
            assert floor == pytest.approx(part * GEYSER.std(axis=0).min(), rel=5e-3)

    @pytest.mark.parametrize("scale", [1e-4, 1e5])
    def test_fits_data_of_any_scale(self, visit, scale):
        lines = "\n".join(f"{x * scale!r} {y * scale!r}" for x, y in GEYSER[:60].tolist())
        page = visit(NAME, gp_data="Your own", gp_guess=POINTS, gp_floor="0.2")
        page.paste(lines)
        plain = visit(NAME, gp_data="Your own", gp_guess=POINTS, gp_floor="0.2")
        plain.paste("\n".join(f"{x!r} {y!r}" for x, y in GEYSER[:60].tolist()))
        np.testing.assert_allclose(means(page), scale * means(plain), rtol=1e-4)
        assert len(page.table) == len(plain.table)

    def test_holds_an_ellipse_and_says_which(self, visit):
        page = visit(NAME, gp_floor="0.3")
        floor = run_at(NAME, floor=0.3).problem.mixture.min_std
        widths = np.sqrt(np.linalg.eigvalsh(covariances(page))[:, 0])
        assert widths.min() == pytest.approx(floor, rel=1e-9)
        (held,) = (text for text in page.advice if "held" in text)
        k = int(widths.argmin())
        assert held.startswith(f"Component {k + 1} is held at the smallest width, {floor:g}.")
        # What it would be: the M-step without a floor.
        free = MultivariateGaussianMixture()
        run = run_at(NAME, floor=0.3)
        update = free.m_step(run.final_statistics, run.params).covariances[k]
        would = float(re.search(r"would give ([\d.]+)\.", held)[1])
        assert would == pytest.approx(np.sqrt(np.linalg.eigvalsh(update)[0]), rel=5e-3)
        assert would < floor

    def test_a_line_along_the_axis_of_small_numbers_is_no_point(self):
        run = run_at(NAME, start_x1=4.3, start_y1=75.0, start_sd_x1=0.5, start_sd_y1=0.05, floor=0)
        assert "straight line" in run.message
        (told,) = (text for text in parts.findings(run) if "has collapsed" in text)
        assert "Component 1 has collapsed onto a line" in told

    def test_no_ellipse_is_held_where_the_floor_is_far(self):
        assert not any("held" in text for text in parts.findings(run_at(NAME)))


class TestSimulated:
    def test_points_are_those_of_em_core(self):
        run = run_at(NAME, **SIMULATED)
        truth = run.problem.sample.truth
        sample = MultivariateGaussianMixture().simulate(truth, [200] * 3, rng=stream(1, DATA))
        np.testing.assert_array_equal(run.problem.sample.data, sample.data)
        np.testing.assert_array_equal(np.bincount(run.problem.sample.labels), [200] * 3)
        # Means, spreads, correlation and sizes are those that the controls name.
        np.testing.assert_array_equal(truth.means, np.array(posed.GROUPS)[:3, :2])
        within = truth.covariances
        np.testing.assert_allclose(np.sqrt(within[:, 0, 0]), [1, 2, 2.5])
        np.testing.assert_allclose(np.sqrt(within[:, 1, 1]), [2, 1, 0.8])
        np.testing.assert_allclose(within[:, 0, 1], [0.6 * 2, -0.5 * 2, 0])
        run = run_at(NAME, **SIMULATED, size1=400)
        np.testing.assert_allclose(run.problem.sample.truth.weights, [0.5, 0.25, 0.25])

    def test_run_is_that_of_em_core(self, visit):
        page = visit(NAME, **linked(**SIMULATED, guess_seed=3, start=2))
        run = run_at(NAME, **SIMULATED, guess_seed=3, start=2)
        data = run.problem.sample.data
        rows = stream(3, GUESS, 2).choice(600, size=3, replace=False)
        whole = np.cov(data, rowvar=False, bias=True)
        start = MultivariateGaussianParams(data[rows], [whole] * 3, [1 / 3] * 3)
        trace = fit(run.problem.mixture, data, start, tol=1e-8, max_iter=200)
        np.testing.assert_allclose(means(page), trace.final.params.means, rtol=1e-9)
        assert f"after {trace.n_iter} iterations" in page.status
        gaps = np.linalg.norm(
            trace.final.params.means[:, None] - run.problem.sample.truth.means, axis=2
        ).min(axis=1)
        shown = float(re.search(r"from the truth: ([\d.]+)\.", page.status)[1])
        assert shown == pytest.approx(gaps.max(), abs=5.1e-5)

    def test_students_do_not_see_the_truth(self, visit):
        page = visit(NAME, **linked(**SIMULATED, teacher="true", x1=-4.25))
        link = page.student_link
        hidden = {
            f"gp_{name}{i}" for name in ("x", "y", "sd_x", "sd_y", "corr", "size") for i in "123"
        }
        assert not hidden & set(link)
        assert "gp_k" not in link
        student = visit(NAME, **link)
        np.testing.assert_array_equal(means(student), means(page))
        assert "x1" not in student.shown()
        assert "truth" not in student.charts[0].data
        assert "Guess the parameters" in [h.value for h in student.at.header]

    def test_typed_start_on_simulated_data_does_not_tell_the_truth(self, visit):
        starts = [
            [visit(NAME, gp_data="Simulated", gp_x1=x).value(f"start_x{i}") for i in (1, 2, 3)]
            for x in ("-4", "30")
        ]
        assert starts[0] == starts[1]


class TestGivenData:
    def test_iris_is_compared_with_its_species(self, visit):
        page = visit(NAME, **linked(data=PETALS, guess="k-means++", hard_against_soft="true"))
        points, labels = iris().columns_of("petal length", "petal width"), iris().labels
        assert len(means(page)) == 3
        table = page.section("hard_against_soft").frame("by method").set_index("method")
        known = np.array([points[labels == k].mean(axis=0) for k in range(3)])
        shown = table.loc["labels known"].filter(like="μ").to_numpy(float).reshape(3, 2)
        np.testing.assert_allclose(shown, known, rtol=1e-12)
        run = run_at(NAME, data=PETALS, guess="k-means++")
        model = run.problem.mixture
        winners = model.e_step(points, run.params).responsibilities.argmax(axis=1)
        wrong = min(
            (np.array(order)[winners] != labels).mean()
            for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0])
        )
        assert table.loc["soft EM", "with the wrong component"] == f"{100 * wrong:.1f}%"
        assert "from the estimate with the labels known" in page.status
        assert not any("Dashed" in caption for caption in page.captions)

    def test_own_numbers_start_within_them_and_travel_in_the_link(self, visit):
        rng = np.random.default_rng(4)
        cloud = np.concatenate([rng.normal([900, 0.01], [9, 0.001], (30, 2)) for _ in range(2)])
        cloud[30:] += [100, 0.02]
        page = visit(NAME)
        page.paste("length,width\n" + "\n".join(f"{x:.4f},{y:.6f}" for x, y in cloud.tolist()))
        low, high = cloud.min(axis=0), cloud.max(axis=0)
        start = means(page, 0)
        assert ((low - 1e-3 <= start) & (start <= high + 1e-3)).all()
        assert page.ending == "success"
        assert not any("truth" in chart.data for chart in page.charts)
        assert page.charts[0].alt.startswith("60 points, width against length")
        np.testing.assert_allclose(
            sorted(means(page)[:, 0]), [cloud[:30, 0].mean(), cloud[30:, 0].mean()], rtol=1e-6
        )
        copy = visit(NAME, **page.link)
        assert copy.table.equals(page.table)

    def test_labels_that_are_too_many_are_not_used(self, visit):
        rng = np.random.default_rng(2)
        rows = [f"{x:.3f},{y:.3f},g{i % 9}" for i, (x, y) in enumerate(rng.normal(size=(45, 2)))]
        page = visit(NAME, gp_guess=POINTS)
        page.paste("a,b,group\n" + "\n".join(rows))
        page.choose(labels="group")
        assert any("There are 9 labels" in caption for caption in page.captions)
        assert len(means(page)) == 8
        assert "labels known" not in page.status

    def test_points_on_a_line_are_refused_in_words(self, visit):
        page = visit(NAME, gp_guess=POINTS)
        page.paste("\n".join(f"{i} {2 * i}" for i in range(12)))
        assert any("spread in all directions" in error.value for error in page.at.error)
        page.set(kind=AXES)
        assert not page.at.error
        assert page.charts

    def test_fewer_points_than_components_are_refused_in_words(self, visit):
        page = visit(NAME, gp_guess=POINTS)
        page.paste("1 2\n2 1\n3 5")
        assert not page.at.error
        page.set(find=4)
        assert "4 different observations are needed" in page.at.error[0].value

    def test_starts_are_spread_over_the_data(self):
        values = np.random.default_rng(1).normal([5, -3], [4, 0.5], (100, 2)) @ [[1, 0.3], [0, 1]]
        found = posed.spread_out(values, 4)
        assert {tuple(row) for row in found} <= {tuple(row) for row in values}
        # One in the middle of each quarter, along the direction in which scaled data differ most.
        scale = values.std(axis=0)
        _, axes = np.linalg.eigh(np.cov(values / scale, rowvar=False))
        along, places = (x / scale @ axes[:, -1] for x in (values, found))
        ranks = sorted((along[:, None] < places).mean(axis=0))
        np.testing.assert_allclose(ranks, [0.12, 0.37, 0.62, 0.87], atol=0.011)


class TestRings:
    def test_points_lie_on_rings_of_which_each_goes_through_the_others_centre(self):
        given = posed.rings({**settings(), "ring_noise": 0.0})
        for label, x in ((0, -1.5), (1, 1.5)):
            own = given.values[given.labels == label]
            np.testing.assert_allclose(np.linalg.norm(own - [x, 0], axis=1), 3, rtol=1e-12)

    def test_script_makes_the_same_points(self):
        for changed in ({}, {"ring_size": 40, "ring_noise": 0.7, "student": 5}):
            made = {"np": np}
            exec("\n".join(posed.ring_lines(settings() | changed)), made)
            np.testing.assert_array_equal(made["data"], posed.rings(settings() | changed).values)

    def test_compared_is_with_the_rings_and_nobody_speaks_of_a_truth(self, visit):
        page = visit(NAME, **linked(data=RINGS, guess=POINTS, start=3))
        assert "Behind these points are two rings, and no Gaussians." in page.text
        assert "Nobody knows" not in page.text + "".join(page.captions)
        assert "from the estimate with the labels known" in page.status
        given = posed.rings(settings())
        run = run_at(NAME, data=RINGS, guess=POINTS, start=3)
        known = [given.values[given.labels == k].mean(axis=0) for k in (0, 1)]
        np.testing.assert_allclose(run.labelled.means, known, rtol=1e-12)


def settings():
    return {name: spec.default for name, spec in posed.SPECS.items()}


class TestStartsByClick:
    def test_a_click_sets_the_start_of_the_component(self, visit):
        page = visit(NAME, gp_place="true")
        page.select("picture", {"pick": [{"observation": 7}]})
        assert page.value("guess") == "Points that you choose"
        assert page.value("start_row1") == 7
        np.testing.assert_array_equal(means(page, 0)[0], GEYSER[6])
        assert page.value("place_k") == 2
        # The other one starts at the observation nearest to where it did.
        unit = GEYSER.std(axis=0)
        nearest = (((GEYSER - [4.5, 80]) / unit) ** 2).sum(axis=1).argmin()
        np.testing.assert_array_equal(means(page, 0)[1], GEYSER[nearest])
        whole = np.cov(GEYSER, rowvar=False, bias=True)
        np.testing.assert_allclose(covariances(page, 0), [whole] * 2, rtol=1e-12)

    def test_without_the_switch_it_chooses_the_point(self, visit):
        page = visit(NAME, gp_by_hand="true")
        page.select("picture", {"pick": [{"observation": 7}]})
        assert page.value("guess") == "Typed in"
        assert "Point 7 lies at" in page.section("by_hand").text


NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?"


def plain_numbers(line):
    """Return the numbers of a line of LaTeX, without indices."""
    line = re.sub(r"_(\d|\{[^}]*\})|\^2", "", line)
    line = re.sub(r"- (?=2\\cdot)", "-", line)
    line = re.sub(r"\\cdot 10\^\{(-?\d+)\}", lambda power: f"e{int(power[1]):+03d}", line)
    return [float(x) for x in re.findall(NUMBER, line)]


class TestByHand:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(("at", "i"), [(0, 0), (1, 18), (3, 130)])
    def test_each_number_follows_from_those_printed_before_it(self, visit, kind, at, i):
        page = visit(NAME, **linked(kind=kind, iter=at, observation=i + 1, by_hand="true"))
        lines = page.section("by_hand").formulas
        run = run_at(NAME, kind=kind)
        params = run.steps[at].params
        made, rest = [], iter(lines)
        for k in range(2):
            (px, mx, dx), (py, my, dy) = (plain_numbers(next(rest)) for _ in "xy")
            assert (px, py) == pytest.approx(GEYSER[i], abs=5e-3)
            assert (mx, my) == pytest.approx(params.means[k], abs=5.1e-3)
            assert (px - mx, py - my) == pytest.approx((dx, dy), abs=1e-9)
            xx, yy, *both = plain_numbers(next(rest))
            xy = both[0] if both else 0.0
            (size,) = plain_numbers(next(rest))
            found = params.covariances[k]
            assert (xx, xy, yy) == pytest.approx(found[[0, 0, 1], [0, 1, 1]], rel=6e-3)
            assert xx * yy - xy**2 == pytest.approx(size, rel=6e-4)
            assert plain_numbers(next(rest)) == [yy, dx]
            if xy:
                assert plain_numbers(next(rest)) == [-2, xy, dx, dy]
            assert plain_numbers(next(rest)) == [xx, dy, size]
            (q,) = plain_numbers(next(rest))
            expected = (yy * dx**2 - 2 * xy * dx * dy + xx * dy**2) / size
            assert q == pytest.approx(expected, abs=5.1e-3)
            weight, two, within, minus_q, _ = plain_numbers(next(rest))
            assert (two, within, abs(minus_q)) == (2, size, q)
            (joint,) = plain_numbers(next(rest))
            exact = weight * np.exp(-q / 2) / (2 * np.pi * np.sqrt(size))
            assert joint == pytest.approx(exact, rel=6e-4)
            made.append(joint)
        exact = run.problem.mixture.e_step(GEYSER[i : i + 1], params).responsibilities[0]
        for k, line in zip(range(2), rest, strict=False):
            share = plain_numbers(line)[-1]
            assert share == pytest.approx(made[k] / sum(made), abs=5.1e-4)
            assert share == pytest.approx(exact[k], abs=5.1e-4)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("hard", [False, True])
    def test_sums_give_the_next_parameters(self, visit, kind, hard):
        page = visit(NAME, **linked(kind=kind, by_hand="true", hard=str(hard).lower(), iter=0))
        hand = page.section("by_hand")
        text = "\n".join(element.value for element in hand.block.latex)
        after = run_at(NAME, kind=kind, hard=hard).steps[1].params
        for k in range(2):
            after_it = text.split(rf"\mu_{k + 1} &=")[1].split("&= (")[1]
            mean = after_it.split(")")[0]
            shown = [float(x) for x in mean.split(r",\ ")]
            np.testing.assert_allclose(shown, after.means[k], atol=5.1e-4)
        if kind == ROUND:
            assert r"\Sigma_1 &= \sigma^2 I" in text
            value = float(text.split(r"\sigma^2 &= ")[1].split("&= ")[1].split("\\")[0])
            assert value == pytest.approx(after.covariances[0, 0, 0], abs=5.1e-5)
            return
        (xx, xy), (_, yy) = after.covariances[0]
        both = "0" if kind == AXES else f"{xy:.4f}"
        wanted = rf"\begin{{pmatrix}}{xx:.4f} & {both}\\ {both} & {yy:.4f}\end{{pmatrix}}"
        assert wanted in text

    def test_a_point_that_is_too_far_is_said_to_be(self, visit):
        page = visit(
            NAME,
            **linked(start_y1=149, start_y2=-10, start_sd_y1=0.5, start_sd_y2=0.5),
            **linked(by_hand="true", max_iter=1, floor=0),
        )
        assert "so far from all components" in page.section("by_hand").text

    def test_numbers_are_as_many_as_are_needed(self):
        """Two components that hardly differ need more decimals than two."""
        params = MultivariateGaussianParams(
            [[0, 0], [1e-4, 0]], [np.diag([1e-6, 1.0])] * 2, [0.5, 0.5]
        )
        point = np.array([3e-4, 0.5])
        joint = np.exp(MultivariateGaussianMixture().log_joint(point[None], params)[0])
        (x, _), lines, shares = parts.e_step_as_printed(["1", "2"], point, params, joint)
        assert len(x) > 5
        results = [line for line in lines if line.startswith("&= ")]
        made = [plain_numbers(line)[-1] for line in results[2::3]]
        assert shares == [f"{p / sum(made):.3f}" for p in made]


class TestKMeansBeside:
    def run(self):
        return run_at(NAME, **situations.SITUATIONS["Two long parallel clouds"].values)

    def test_is_the_run_of_em_core_from_the_same_means(self):
        run = self.run()
        data = run.problem.sample.data
        trace = fit(KMeans(), data, KMeansParams(run.problem.start.means), tol=0, max_iter=200)
        found = parts.k_means(run)
        np.testing.assert_array_equal(found.final.params.centroids, trace.final.params.centroids)
        _, theirs = parts.winners(run)
        nearest = np.linalg.norm(data[:, None] - trace.final.params.centroids, axis=2).argmin(
            axis=1
        )
        np.testing.assert_array_equal(theirs, nearest)

    def test_is_drawn_as_equal_circles_that_give_its_assignment(self):
        run = self.run()
        circles = parts.as_circles(run)
        model = MultivariateGaussianMixture("spherical")
        by_circles = model.e_step(run.problem.sample.data, circles).responsibilities.argmax(axis=1)
        np.testing.assert_array_equal(by_circles, parts.winners(run)[1])
        inertia = -parts.k_means(run).final.objective
        assert circles.covariances[0, 0, 0] == pytest.approx(inertia / 600 / 2)

    def test_page_draws_both_and_counts_the_points(self, visit):
        query = situations.link_to_groups(
            ((-0.9, 1.2, 4.0, 3.0, 0.98, 300), (0.9, -1.2, 4.0, 3.0, 0.98, 300)), start=2
        )
        page = visit(NAME, **query, gp_hard_against_soft="true")
        section, run = page.section("hard_against_soft"), self.run()
        ours, theirs = parts.winners(run)
        counts = [", ".join(map(str, np.bincount(w, minlength=2))) for w in (ours, theirs)]
        assert f"**{counts[0]}**. Points nearest" in section.text
        assert f"started there: **{counts[1]}**." in section.text
        assert f"disagree about {(ours != theirs).sum()} points of 600." in section.text
        mixture, k_means = section.charts
        assert k_means.data["frame"]["hard"].tolist() == [True]
        assert mixture.data["frame"]["hard"].tolist() == [False]
        np.testing.assert_array_equal(
            k_means.data["steps"][["x", "y"]], parts.as_circles(run).means
        )
        np.testing.assert_array_equal(mixture.data["steps"][["x", "y"]], run.params.means)
        assert "bind" not in str(k_means.template)
        table = section.frame("by method").set_index("method")
        assert table.loc["K-Means", "iterations"] == parts.k_means(run).n_iter


class TestOtherSections:
    def test_hill_is_over_the_chosen_numbers(self, visit):
        page = visit(
            NAME,
            **linked(
                hill="true",
                across="Mean upwards of component 1",
                up="Variance upwards of component 2",
            ),
        )
        hill = page.section("hill").chart("Bands of equal")
        assert "over μ 1 y and Σ 2 yy" in hill.alt
        ends = hill.data["marks"].iloc[0]
        run = run_at(NAME)
        assert (ends.x, ends.y) == (run.params.means[0, 1], run.params.covariances[1, 1, 1])

    def test_hill_of_fewer_components_takes_the_last(self, visit):
        page = visit(NAME, **linked(hill="true", find=1))
        assert "Choose two different numbers" in page.at.info[-1].value
        page.set(up="Mean upwards of component 5")
        assert "over μ 1 x and μ 1 y" in page.section("hill").chart("Bands of equal").alt

    def test_every_place_of_the_hill_is_a_number_of_the_parameters(self):
        run = run_at(NAME, find=8, guess=POINTS, max_iter=2)
        values = {}
        for name in parts.PLACES:
            field, place = parts._place(name, run)
            values[name] = getattr(run.params, field)[place]
        assert len(values) == 32
        assert values["Mean across of component 3"] == run.params.means[2, 0]
        assert values["Variance upwards of component 8"] == run.params.covariances[7, 1, 1]

    def test_marginals_are_normal_densities_along_the_axes(self, visit):
        page = visit(NAME, gp_marginals="true")
        charts = page.section("marginals").charts
        assert ["eruptions" in c.alt for c in charts] == [True, False]
        end, run = charts[1].data["steps"], run_at(NAME)
        last = end[end["iteration"] == run.frames.last]
        sds = np.sqrt(run.params.covariances[:, 1, 1])
        np.testing.assert_allclose(last["means"], run.params.means[:, 1])
        np.testing.assert_allclose(last["stds"], sds)
        # The marginal of a normal distribution in the plane, by its draws.
        drawn = np.random.default_rng(1).multivariate_normal(
            run.params.means[0], run.params.covariances[0], 20_000
        )
        assert stats.kstest(drawn[:, 1], "norm", (run.params.means[0, 1], sds[0])).pvalue > 0.01


class TestManyStarts:
    def test_runs_that_sped_up_behind_a_plateau_have_arrived(self):
        run = run_at(NAME)
        starts = run_starts(run.problem, 20)
        gains = np.diff(run.problem.fit(run.problem.guess(stream(1, GUESS, 7)), tol=0).objectives)
        assert gains[20:-10].argmax() > 3  # the seventh gains most after a plateau
        assert starts.table["solution"].notna().all()
        assert starts.table["solution"][6] == 1
        best = starts.table["limit log-likelihood"].max()
        assert best == pytest.approx(-1130.26396018, abs=1e-7)


class TestFindings:
    def test_a_lost_component_is_named(self):
        run = run_at(NAME, start_x1=-400.0, start_y1=900.0, start_sd_x1=0.1, start_sd_y1=0.1)
        assert run.problem.n * run.params.weights.min() < parts.EMPTY
        assert "A component has lost all its points. Start it closer to the data." in list(
            parts.findings(run)
        )

    def test_a_collapse_says_onto_what(self):
        few = situations.SITUATIONS["A collapse in the plane"].values
        (point, *_) = parts.findings(run_at(NAME, **few))
        assert "has collapsed onto a point" in point
        line = run_at(NAME, **few | {"kind": FULL, "size1": 4, "size2": 4, "size3": 4})
        assert line.trace.status is Status.NON_FINITE
        (found, *_) = parts.findings(line)
        assert "has collapsed onto a line" in found

    def test_a_run_without_fault_has_none(self):
        assert list(parts.findings(run_at(NAME))) == []
        assert list(parts.findings(run_at(NAME, **SIMULATED))) == []


class TestLinks:
    def test_largest_is_as_large_as_the_controls_allow(self):
        query = BY_NAME[NAME].link("the_largest")
        values = {
            name.removeprefix("gp_"): posed.SPECS[name.removeprefix("gp_")].nearest(text)
            for name, text in query.items()
        }
        drawn = posed.problem(settings() | values)
        assert drawn.n == 100_000
        assert drawn.start.n_components == 8
        assert (drawn.tol, drawn.max_iter) == (0, 500)
        for name, value in values.items():
            assert posed.SPECS[name].text(value) == query[f"gp_{name}"]

    def test_groups_are_those_of_the_link(self, visit):
        page = visit(NAME, **situations.link_to_groups(((0.0, 0.0, 1.0, 1.0, 0.5, 60),)))
        assert (page.value("k"), page.value("corr1"), page.value("size1")) == (1, 0.5, 60)
        assert groups((0.0, 0.0, 1.0, 1.0, 0.5, 60))["corr1"] == 0.5


def test_labelled_estimate_has_the_form_of_the_model():
    run = run_at(NAME, **SIMULATED, kind=ROUND)
    sample = run.problem.sample
    known = fit_labelled(run.problem.mixture, sample.data, sample.labels, run.problem.truth)
    np.testing.assert_array_equal(run.labelled.covariances, known.covariances)
    assert (known.covariances[:, 0, 1] == 0).all()
    run.problem.mixture.check(sample.data, run.problem.truth)
