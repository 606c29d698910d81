"""A notebook that is typed strictly may use the package as the README does."""

import subprocess
import sys
from pathlib import Path

import pytest

import em_core

ROOT = Path(em_core.__file__).parents[1]

USER = """
import numpy as np

from em_core import (
    BinomialMixture, BinomialParams, GaussianMixture, GaussianParams, HardEM, KMeans, KMeansParams,
    Trace, fit,
)

start = BinomialParams(heads_prob=[0.6, 0.5], weights=[0.5, 0.5])
heads: np.ndarray = start.heads_prob
trace: Trace[BinomialParams] = fit(BinomialMixture(10), np.array([5, 9]), start, tol=0, max_iter=10)
total: float = float(trace.final.params.heads_prob.sum())
bells = GaussianParams([0, 1], (1, 1), np.array([0.5, 0.5]))
means: np.ndarray = fit(HardEM(GaussianMixture()), [1.0, 2.0], bells).final.params.means
places = fit(KMeans(), [[1.0], [2.0]], KMeansParams([[0.0]])).predict([[1.0]]).shape
drawn = KMeans().simulate(KMeansParams([[0.0, 1.0]]), [5], rng=np.random.default_rng(1), spread=2)
"""

OF_A_MODEL = """
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from em_core import Params, component_axes, fit

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rate(Params):
    rate: Array = component_axes()


class Sums(NamedTuple):
    number: float
    total: float


class Lifetimes:
    def check(self, data: npt.NDArray[np.float64], params: Rate) -> None: ...

    def expect(self, data: npt.NDArray[np.float64], params: Rate) -> tuple[Sums, float]:
        return Sums(len(data), data.sum()), 0.0

    def m_step(self, statistics: Sums, previous: Rate) -> Rate:
        return Rate(np.asarray(statistics.number / statistics.total))

    def expected_objective(self, statistics: Sums, params: Rate, previous: Rate) -> float:
        return 0.0


found: Array = fit(Lifetimes(), [1.0, 2.0], Rate(np.asarray(1.0))).final.params.rate
"""


@pytest.fixture(scope="module")
def errors_of(tmp_path_factory):
    """Return a function that tells the errors in a file; what it learns of numpy is kept."""
    cache = tmp_path_factory.mktemp("cache")

    def errors(source, folder):
        return strict_errors(source, folder, cache)

    return errors


def strict_errors(source, folder, cache):
    (folder / "user.py").write_text(source)
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), "user.py"],
        cwd=folder,
        env={"MYPYPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    return [line for line in result.stdout.splitlines() if line.startswith("user.py")]


@pytest.mark.parametrize("source", [USER, OF_A_MODEL], ids=["user", "model"])
def test_user_passes_strict_type_checks(tmp_path, errors_of, source):
    assert errors_of(source, tmp_path) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("heads: np.ndarray = start.heads_prob", "heads: str = start.heads_prob"),
        ("weights=[0.5, 0.5])", "weights=object())"),
        ("weights=[0.5, 0.5])", "weight=[0.5, 0.5])"),
        ("(1, 1), np.array([0.5, 0.5]))", "(1, 1))"),
    ],
)
def test_a_mistake_is_found(tmp_path, errors_of, right, wrong):
    assert errors_of(USER.replace(right, wrong), tmp_path)


def test_version_is_that_of_the_package():
    assert em_core.__version__ == "0.2.0"
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in pyproject
    assert "0.2.0" not in pyproject


def test_installation_ships_the_types_and_every_module(tmp_path):
    source, built = tmp_path / "source", tmp_path / "built"
    # A copy, since a build leaves things behind.
    for path in [ROOT / "pyproject.toml", ROOT / "README.md", *(ROOT / "em_core").rglob("*")]:
        if path.is_file() and "__pycache__" not in path.parts:
            target = source / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())

    def setup(*command):
        script = "import setuptools; setuptools.setup()"
        result = subprocess.run(
            [sys.executable, "-c", script, *command],
            cwd=source,
            capture_output=True,
            text=True,
            check=True,
        )
        return result.stdout.strip()

    assert setup("--version").splitlines()[-1] == "0.2.0"
    setup("build", "--build-lib", str(built))
    shipped = {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file()}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "em_core").rglob("*.py")}
    assert {"em_core/data/blocks.py", "em_core/models/hard.py"} < modules
    assert shipped == modules | {"em_core/py.typed", "em_core/data/old_faithful.csv"}
