"""What is taken home: the script prints the page's table, the data are the run's, the code runs."""

import inspect
import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import PREFIXES, ROOT, RUNNING

from em_core import BinomialMixture, GaussianMixture, HardEM, KMeans

# Refuses what a notebook with em_core alone does not have.
BLOCKER = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"streamlit", "altair", "pandas", "em_ui", "pages"}:
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Refuse())
"""

END = "--- end of the script"

RUNS = {
    "published trials": (
        "two_coins",
        {"data": "Five published trials", "start_a": "0.6", "start_b": "0.5"},
    ),
    "published trials, hard": ("two_coins", {"data": "Five published trials", "hard": "true"}),
    "simulated trials": ("two_coins", {}),
    "swapped names, a student, weights": (
        "two_coins",
        {"start_a": "0.2", "start_b": "0.6", "student": "17", "weights": "true", "share_a": "0.3"},
    ),
    "random start": ("two_coins", {"guess": "Random", "start": "9", "tol": "0", "max_iter": "30"}),
    "impossible start": ("two_coins", {"start_a": "0", "start_b": "1"}),
    "points": ("k_means", {}),
    "points, a student, unequal": (
        "k_means",
        {"student": "3", "rest_size": "0.3", "rest_spread": "0.7", "spread": "2.3"},
    ),
    "points, a typed start": (
        "k_means",
        {"guess": "Typed in", "start_x1": "1.5", "start_y2": "-7", "max_iter": "4"},
    ),
    "points, each with its centroid": ("k_means", {"k": "4", "size": "1", "find": "4"}),
    "points, five centroids": ("k_means", {"find": "5", "guess": "k-means++"}),
    "values": ("gaussian_mixture", {}),
    "values, hard": ("gaussian_mixture", {"hard": "true", "guess": "Random data points"}),
    "values, equal weights, a student": (
        "gaussian_mixture",
        {"weights": "false", "student": "8", "size2": "50", "mean1": "-10.123456789012345"},
    ),
    "values, a typed start": (
        "gaussian_mixture",
        {"guess": "Typed in", "start_mean1": "5", "start_sd2": "0.01", "floor": "0.25"},
    ),
    "values, a collapse": (
        "gaussian_mixture",
        {
            **{f"size{i}": "10" for i in (1, 2, 3)},
            "floor": "0",
            "guess_seed": "19",
            "max_iter": "100",
        },
    ),
    "values, two components": ("gaussian_mixture", {"find": "2", "size1": "200", "max_iter": "40"}),
    "the plane": ("mixture_in_the_plane", {}),
    "the plane, circles, equal weights": (
        "mixture_in_the_plane",
        {"kind": "Round (spherical)", "weights": "false", "floor": "0.2"},
    ),
    "the plane, simulated, one ellipse, hard, a student": (
        "mixture_in_the_plane",
        {
            "data": "Simulated",
            "guess": "k-means++",
            "kind": "One for all (tied)",
            "hard": "true",
            "student": "4",
            "corr1": "-0.123456789",
        },
    ),
    "the plane, rings": (
        "mixture_in_the_plane",
        {"data": "Two rings", "guess": "Points that you choose", "ring_noise": "0.3"},
    ),
}


def code_of(visit, name, query):
    """Return the page with its code section open, and the script."""
    prefix = PREFIXES[name]
    query = {f"{prefix}_{control}": value for control, value in query.items()}
    page = visit(name, **query, **{f"{prefix}_code": "true"})
    _, script = (element.value for element in page.section("code").block.code)
    return page, script


@pytest.fixture(scope="module")
def printed(visit, tmp_path_factory):
    """Return the page's table, the script, and what it prints, for each run.

    The scripts of a page run one after the other in one interpreter, since it takes a second to
    import what they need; the interpreters of the pages run side by side.
    """
    folder = tmp_path_factory.mktemp("scripts")
    # As after an installation: em_core on the path, and nothing else of the project.
    (folder / "site").mkdir()
    (folder / "site" / "em_core").symlink_to(ROOT / "em_core")
    shown, paths = {}, {}
    for i, (title, (name, query)) in enumerate(RUNS.items()):
        page, script = code_of(visit, name, query)
        path = folder / f"run{i}.py"
        path.write_text(script)
        shown[title] = (page.table, script)
        paths.setdefault(name, {})[title] = str(path)
    started = {}
    for name, scripts in paths.items():
        boot = (
            f"{BLOCKER}\nsys.path.append({str(folder / 'site')!r})\nimport runpy\n"
            f"for path in {list(scripts.values())}:\n"
            f"    runpy.run_path(path, run_name='__main__')\n    print({END!r})"
        )
        started[name] = subprocess.Popen(
            [sys.executable, "-I", "-W", "error", "-c", boot],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
    found = {}
    for name, process in started.items():
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert not errors
        outputs = output.split(f"{END}\n")
        assert outputs.pop() == ""
        for title, text in zip(paths[name], outputs, strict=True):
            found[title] = (*shown[title], text)
    return found


class TestScript:
    @pytest.mark.parametrize("title", RUNS)
    def test_prints_the_table_on_the_page(self, printed, title):
        table, _, output = printed[title]
        assert output == table.to_csv(index=False)

    @pytest.mark.parametrize("title", RUNS)
    def test_is_short_and_tidy(self, printed, title):
        _, script, _ = printed[title]
        lines = script.splitlines()
        assert len(lines) < 40
        compile(script, "run.py", "exec")
        assert not any(line != line.rstrip() for line in lines)

    def test_says_what_it_is_in_its_first_line(self, printed):
        assert printed["values"][1].startswith('"""Gaussian mixture: the run that the page shows')

    def test_differs_where_the_run_does(self, printed):
        assert len({script for _, script, _ in printed.values()}) == len(RUNS)

    @pytest.mark.parametrize("name", RUNNING)
    def test_downloads_as_it_is_shown(self, visit, downloads, name):
        page, script = code_of(visit, name, {})
        assert downloads[f"{page.prefix}-run.py"] == (f"{script}\n", "text/x-python")


class TestData:
    @pytest.mark.parametrize(
        ("name", "query", "columns"),
        [
            ("two_coins", {"student": "5", "trials": "40"}, ["trial", "heads"]),
            ("two_coins", {"data": "Five published trials"}, ["trial", "heads"]),
            ("k_means", {"size": "30"}, ["point", "x", "y"]),
            ("gaussian_mixture", {"size1": "30", "size2": "5"}, ["value"]),
            ("toy_lesson", {"days": "30"}, ["day", "calls"]),
        ],
    )
    def test_are_those_of_the_run(self, visit, downloads, name, query, columns):
        page, script = code_of(visit, name, query)
        content, mime = downloads[f"{page.prefix}-data.csv"]
        assert mime == "text/csv"
        table = pd.read_csv(io.BytesIO(content()))
        assert list(table) == columns
        # The script draws the same, and so does this test.
        scope = {}
        exec(script.partition("\nstart = ")[0], scope)
        data = scope["data"]
        if len(columns) > 1:
            numbers = table.pop(columns[0])
            np.testing.assert_array_equal(numbers, range(1, len(data) + 1))
        np.testing.assert_array_equal(table.to_numpy(), data.reshape(len(data), -1))


class TestCode:
    @pytest.mark.parametrize(
        ("name", "query", "functions"),
        [
            (
                "two_coins",
                {},
                [getattr(BinomialMixture, f) for f in ("log_joint", "e_step", "statistics")]
                + [BinomialMixture.m_step],
            ),
            (
                "two_coins",
                {"hard": "true"},
                [
                    BinomialMixture.log_joint,
                    HardEM.e_step,
                    BinomialMixture.statistics,
                    BinomialMixture.m_step,
                ],
            ),
            ("k_means", {}, [KMeans.e_step, KMeans.statistics, KMeans.m_step]),
            (
                "gaussian_mixture",
                {},
                [
                    GaussianMixture.log_joint,
                    GaussianMixture.e_step,
                    GaussianMixture.statistics,
                    GaussianMixture.m_step,
                ],
            ),
        ],
    )
    def test_is_the_source_that_ran(self, visit, name, query, functions):
        page, _ = code_of(visit, name, query)
        shown = page.section("code").block.code[0].value
        sources = [inspect.getsource(function) for function in functions]
        # Line by line, but for the depth that they have within their class.
        expected = [line[4:].rstrip() for source in sources for line in source.splitlines()]
        assert [line for line in shown.splitlines() if line] == [line for line in expected if line]
        compile(shown, "model.py", "exec")
        assert page.section("code").block.code[0].language == "python"
        names = {function.__qualname__.split(".")[0] for function in functions}
        names -= {"HardEM", "Mixture"}
        assert f"`{names.pop()}`" in page.section("code").text
