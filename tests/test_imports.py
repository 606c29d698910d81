"""Imports point one way: pages to em_ui to the engine, and each to its own model."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import em_core

ROOT = Path(em_core.__file__).parents[1]
SHARED = {
    "em_core.checks",
    "em_core.data",
    "em_core.data.blocks",
    "em_core.diagnostics",
    "em_core.engine",
    "em_core.many",
    "em_core.model",
    "em_core.models.hard",
    "em_core.numerics",
    "em_core.selection",
}
# What each module of the core may import of it. Those that are not named here are the models.
BELOW = {
    "checks": set(),
    "numerics": {"em_core.checks"},
    "model": {"em_core.checks", "em_core.numerics"},
    "published": set(),
    # The cluster is imported for Dask's data alone.
    "blocks": {"em_core.checks", "em_core.model", "em_core.numerics", "em_core.data"},
    "dask": {"em_core.checks", "em_core.model", "em_core.numerics", "em_core.data.blocks"},
    "acceleration": {"em_core.checks", "em_core.model", "em_core.numerics"},
    "engine": {
        "em_core.acceleration",
        "em_core.checks",
        "em_core.data.blocks",
        "em_core.model",
        "em_core.numerics",
    },
    "leaps": {
        "em_core.acceleration",
        "em_core.checks",
        "em_core.engine",
        "em_core.model",
        "em_core.numerics",
    },
    "many": {
        "em_core.checks",
        "em_core.data.blocks",
        "em_core.engine",
        "em_core.leaps",
        "em_core.model",
        "em_core.numerics",
    },
    "diagnostics": {
        "em_core.checks",
        "em_core.data.blocks",
        "em_core.engine",
        "em_core.model",
        "em_core.numerics",
    },
    # Clusters have criteria of their own.
    "selection": {
        "em_core.checks",
        "em_core.data.blocks",
        "em_core.engine",
        "em_core.many",
        "em_core.model",
        "em_core.models.hard",
        "em_core.models.kmeans",
        "em_core.numerics",
    },
}
OF_MODELS = {
    "em_core.checks",
    "em_core.data.blocks",
    "em_core.engine",
    "em_core.kernels",
    "em_core.many",
    "em_core.model",
    "em_core.numerics",
}
# What the package offers from the engine and the numerics, and not from a model.
SHARED_NAMES = {name for name in em_core.__all__ if getattr(em_core, name).__module__ in SHARED}


def imports(source, package):
    """Return (module, name) of each import in the source, the name None for a whole module."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {(alias.name, None) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                module = f"{package}.{module}".rstrip(".")
            found |= {(module, alias.name) for alias in node.names}
    return found


def top(module):
    return module.split(".")[0]


def refused(package, allowed):
    """Return the imports of a package's files that ``allowed(path, module, name)`` denies."""
    return [
        f"{path.relative_to(ROOT)}: {module} {name or ''}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for module, name in sorted(imports(path.read_text(), package), key=str)
        if not allowed(path, module, name)
    ]


def allowed_in_core(path, module, name):
    if top(module) == "em_core":
        # The package lists its modules' names; no model knows another.
        known = module.removesuffix(f".{module.split('.')[-1]}") if "kernels." in module else module
        return path.stem == "__init__" or known in BELOW.get(path.stem, OF_MODELS)
    extra = {"dask"} if path.stem == "dask" else set()
    return top(module) in {"numpy", "scipy", "sklearn"} | extra | sys.stdlib_module_names


def allowed_in_ui(path, module, name):
    if module == "em_core":
        return name in SHARED_NAMES
    return top(module) not in {"em_core", "pages", "app"} or module in SHARED


def allowed_in_pages(path, module, name):
    if module.startswith("pages."):
        return module.split(".")[1] == path.parent.name
    return top(module) != "app"


def test_core_knows_numpy_scipy_and_scikit_learn_only():
    assert refused("em_core", allowed_in_core) == []


def test_ui_knows_no_model():
    assert refused("em_ui", allowed_in_ui) == []


def test_lessons_know_no_other():
    assert refused("pages", allowed_in_pages) == []


@pytest.mark.parametrize(
    ("source", "allowed", "file"),
    [
        ("import pandas as pd", allowed_in_core, "kmeans"),
        ("def f():\n    from streamlit import cache_data", allowed_in_core, "kmeans"),
        ("import altair.vegalite", allowed_in_core, "engine"),
        ("from em_ui import charts", allowed_in_core, "engine"),
        ("import pages.two_coins", allowed_in_core, "engine"),
        ("from em_core.models.kmeans import KMeans", allowed_in_core, "engine"),
        ("from .kmeans import KMeans", allowed_in_core, "engine"),
        ("from em_core.engine import fit", allowed_in_core, "numerics"),
        ("from em_core.engine import fit", allowed_in_core, "model"),
        ("from em_core.engine import fit", allowed_in_core, "checks"),
        ("from em_core.engine import fit", allowed_in_core, "blocks"),
        ("from em_core.model import Params", allowed_in_core, "checks"),
        ("from em_core.data.dask import prepare", allowed_in_core, "engine"),
        ("import dask", allowed_in_core, "blocks"),
        ("import dask.array", allowed_in_core, "engine"),
        ("from em_core.models.gaussian_mixture import GaussianParams", allowed_in_core, "kmeans"),
        ("from em_core.models.kmeans import KMeans", allowed_in_core, "hard"),
        ("from em_core import KMeans", allowed_in_core, "hard"),
        ("from em_core import KMeans", allowed_in_ui, "charts"),
        ("from em_core import fit, BinomialMixture", allowed_in_ui, "charts"),
        ("from em_core.models.binomial_mixture import fit_grid", allowed_in_ui, "landscape"),
        ("from pages.two_coins.sections import compute", allowed_in_ui, "charts"),
        ("from pages.two_coins.sections import compute", allowed_in_pages, "k_means/page"),
        ("import pages.two_coins", allowed_in_pages, "two_coins"),
        ("from em_core.models.kmeans import draw_centres", allowed_in_ui, "charts"),
        ("import em_core", allowed_in_ui, "charts"),
        ("from pages.two_coins import show", allowed_in_ui, "charts"),
    ],
)
def test_the_wrong_way_is_noticed(source, allowed, file):
    found = imports(source, "em_core")
    assert not all(allowed(Path(f"{file}.py"), module, name) for module, name in found)


def test_importing_the_core_imports_nothing_heavy():
    heavy = {"altair", "dask", "em_ui", "pages", "pandas", "sklearn", "streamlit"}
    script = "import em_core, sys; print(*{name.split('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "em_core" in result.stdout.split()
    assert heavy.isdisjoint(result.stdout.split())


def test_all_names_are_there():
    assert set(em_core.__all__) >= {
        "BinomialMixture",
        "BinomialParams",
        "GaussianMixture",
        "GaussianParams",
        "HardEM",
        "KMeans",
        "KMeansParams",
        "Mixture",
        "Model",
        "Params",
        "Status",
        "Step",
        "Trace",
        "best",
        "fit",
        "fit_restarts",
        "iterate",
    }


def loaded(source: str, *modules: str) -> set[str]:
    """Return which of the modules Python has loaded after it has run the source."""
    code = f"import sys\n{source}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    return set(modules) & set(run.stdout.decode().split())


def test_core_is_imported_without_what_only_some_of_it_needs():
    slow = ("scipy.optimize", "scipy.stats", "sklearn", "pandas")
    assert loaded("import em_core", *slow) == set()
    matched = "import em_core; em_core.match_components([0.0, 1.0], [1.0, 0.0])"
    assert loaded(matched, *slow) == {"scipy.optimize"}


def test_server_answers_before_scikit_learn_is_imported_and_imports_it_later():
    assert loaded("import app", "sklearn", "altair") == {"altair"}
    later = "from em_ui import later\nlater.LATER = 0\nlater.import_the_rest().join()"
    assert loaded(later, "sklearn.cluster", "sklearn.metrics", "altair") == {
        "sklearn.cluster",
        "sklearn.metrics",
    }
