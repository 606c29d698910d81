"""The README's notebook examples do what they say."""

import re
from pathlib import Path

import numpy as np
import pytest

from em_core.diagnostics import linear_rate

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_coins_are_those_of_the_publication():
    scope = {}
    exec(EXAMPLES[0], scope)
    shown = re.search(r"heads_prob  # array\(\[(.*?)\]\)", README).group(1)
    np.testing.assert_allclose(
        scope["trace"].final.params.heads_prob, [float(x) for x in shown.split(",")], atol=5e-5
    )
    assert len(scope["trace"].objectives) == 11


def test_a_model_of_ones_own_is_the_linkage_of_dempster_laird_and_rubin():
    scope = {"np": np}
    exec(EXAMPLES[1], scope)
    trace = scope["trace"]
    # Their table of iterations, and the root of the likelihood equation in closed form.
    published = [0.5, 0.608247423, 0.624321050, 0.626488879, 0.626777322]
    thetas = [float(step.params.theta) for step in trace.steps]
    np.testing.assert_allclose(thetas[:5], published, atol=5e-10)
    assert thetas[-1] == pytest.approx((15 + np.sqrt(53809)) / 394, abs=1e-14)
    assert linear_rate(trace) == pytest.approx(0.13277873, abs=1e-5)
    assert "# 0.62682..." in EXAMPLES[1]


def test_data_in_parts_are_the_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    rng = np.random.default_rng(1)
    parts = [rng.normal(0, 1, 50), rng.normal(4, 1, 70)]
    for i, part in enumerate(parts):
        np.save(f"data/{i}.npy", part)
    from em_core import GaussianMixture, GaussianParams, fit

    start = GaussianParams([0, 3], [1, 1], [0.5, 0.5])
    scope = {"np": np, "Path": Path, "fit": fit, "GaussianMixture": GaussianMixture, "start": start}
    exec(EXAMPLES[2], scope)
    whole = fit(GaussianMixture(), np.concatenate(parts), start)
    np.testing.assert_allclose(scope["trace"].objectives, whole.objectives, rtol=1e-12)


def test_names_what_there_is():
    modules = re.findall(r"`(em_core(?:\.\w+)+)`", README)
    assert modules
    for name in modules:
        module, _, attribute = name.rpartition(".")
        found = __import__(module, fromlist=[attribute])
        assert hasattr(found, attribute), name
    for path in re.findall(r"`((?:pages|tests|em_core|em_ui|deploy|benchmarks)/[\w./]+)`", README):
        assert (ROOT / path).exists(), path
