import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm

from em_core import BinomialMixture, BinomialParams, KMeans, fit, fit_labelled, fit_restarts
from em_core.data import Dataset, coin_trials, darwin, galaxies, iris, old_faithful
from em_core.engine import best
from em_core.models.kmeans import guess_plus_plus

ROOT = Path(__file__).parents[1]
LOADERS = [old_faithful, iris, coin_trials, darwin, galaxies]


@pytest.mark.parametrize("load", LOADERS)
class TestEverySet:
    def test_is_complete(self, load):
        data = load()
        assert data.values.dtype == float
        assert data.values.shape == (len(data.values), len(data.columns))
        assert len(data.units) == len(data.columns)
        assert np.isfinite(data.values).all()
        assert len(set(data.columns)) == len(data.columns)
        # The year stands in brackets, after who published it where.
        assert "(1" in data.source or "(2" in data.source
        assert data.name
        assert data.description.endswith(".")

    def test_labels_go_with_groups(self, load):
        data = load()
        if data.labels is None:
            assert data.groups == ()
        else:
            assert data.labels.shape == (len(data.values),)
            assert set(data.labels) == set(range(len(data.groups)))

    def test_cannot_be_changed(self, load):
        data = load()
        with pytest.raises(ValueError, match="read-only"):
            data.values[0, 0] = 1
        if data.labels is not None:
            with pytest.raises(ValueError, match="read-only"):
                data.labels[0] = 1

    def test_columns_are_found_by_name(self, load):
        data = load()
        for j, name in enumerate(data.columns):
            np.testing.assert_array_equal(data.column(name), data.values[:, j])
        backwards = data.columns_of(*reversed(data.columns))
        np.testing.assert_array_equal(backwards, data.values[:, ::-1])

    def test_what_is_not_there_is_refused(self, load):
        data = load()
        with pytest.raises(ValueError, match=f"{data.columns[0]}.*'height of the moon'"):
            data.column("height of the moon")
        with pytest.raises(ValueError, match="at least one of the columns"):
            data.columns_of()


def test_a_set_of_ones_own_is_kept_from_writing_too():
    data = Dataset("Mine", ("x",), np.ones((2, 1)), np.array([0, 1]), ("a", "b"), ("",), "", "")
    assert not data.values.flags.writeable
    assert not data.labels.flags.writeable


class TestOldFaithful:
    def test_is_as_published(self):
        data = old_faithful()
        assert data.values.shape == (272, 2)
        np.testing.assert_allclose(data.values.sum(axis=0), [948.677, 19284], rtol=1e-12)
        assert tuple(data.values[0]) == (3.6, 79)
        assert tuple(data.values[-1]) == (4.467, 74)

    def test_one_normal_density(self):
        waiting = old_faithful().column("waiting")
        found = norm.logpdf(waiting, waiting.mean(), waiting.std()).sum()
        assert found == pytest.approx(-1095.28880050, abs=1e-8)


class TestIris:
    def test_is_as_published(self):
        data = iris()
        assert data.values.shape == (150, 4)
        assert data.columns == ("sepal length", "sepal width", "petal length", "petal width")
        assert data.groups == ("setosa", "versicolor", "virginica")
        np.testing.assert_allclose(data.values.sum(axis=0), [876.5, 458.6, 563.7, 179.9])
        assert np.bincount(data.labels).tolist() == [50, 50, 50]
        # Two rows that some copies have wrong, as Fisher has them.
        assert data.values[34].tolist() == [4.9, 3.1, 1.5, 0.2]
        assert data.values[37].tolist() == [4.9, 3.6, 1.4, 0.1]

    def test_k_means(self):
        data = iris()
        guesses = [guess_plus_plus(data.values, 3, rng=np.random.default_rng(s)) for s in range(10)]
        trace = best(fit_restarts(KMeans(), data.values, guesses, tol=0, max_iter=100))
        assert -trace.final.objective == pytest.approx(78.851, abs=5e-4)
        clusters = KMeans().e_step(data.values, trace.final.params).responsibilities.argmax(axis=1)
        together = np.zeros((3, 3))
        np.add.at(together, (clusters, data.labels), 1)
        right = together[linear_sum_assignment(together, maximize=True)].sum()
        assert 150 - right == 16

    def test_is_read_without_scikit_learn_until_it_is_asked_for(self):
        script = (
            "import sys; from em_core.data import iris, old_faithful; old_faithful(); "
            "assert 'sklearn' not in sys.modules; iris(); assert 'sklearn' in sys.modules"
        )
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


class TestCoinTrials:
    def test_is_as_published(self):
        data = coin_trials()
        assert data.column("heads").tolist() == [5, 9, 8, 4, 7]
        assert data.column("tosses").tolist() == [10] * 5
        assert [data.groups[label] for label in data.labels] == ["B", "A", "A", "B", "A"]

    def test_with_the_coins_known(self):
        data = coin_trials()
        start = BinomialParams([0.5, 0.5], [0.5, 0.5])
        found = fit_labelled(BinomialMixture(10), data.column("heads"), data.labels, start)
        np.testing.assert_allclose(found.heads_prob, [24 / 30, 9 / 20])

    def test_em(self):
        start = BinomialParams([0.6, 0.5], [0.5, 0.5])
        heads = coin_trials().column("heads")
        trace = fit(BinomialMixture(10), heads, start, tol=0, max_iter=10)
        np.testing.assert_allclose(trace.final.params.heads_prob, [0.7967441, 0.5196587], atol=5e-8)


def test_darwin():
    differences = darwin().column("difference")
    assert len(differences) == 15
    assert differences.sum() == 314
    assert differences.mean() == pytest.approx(20.93, abs=5e-3)
    assert differences.std(ddof=1) == pytest.approx(37.74, abs=5e-3)
    assert (differences < 0).sum() == 2


def test_galaxies():
    velocities = galaxies().column("velocity")
    assert len(velocities) == 82
    assert velocities.sum() == 1_708_180
    assert (np.diff(velocities) > 0).all()
    assert (velocities.min(), velocities.max()) == (9172, 34279)
    assert velocities[77] == 26_960  # not the 26,690 of some copies
    # The seven slow ones and the three fast ones lie apart from the others.
    assert np.flatnonzero(np.diff(velocities) > 4000).tolist() == [6, 78]


def test_what_is_read_from_a_file_goes_with_the_package():
    """The wheel holds whatever stands beside the modules and is not Python."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    for package in declared["packages"]:
        folder = ROOT / package.replace(".", "/")
        patterns = declared["package-data"].get(package, [])
        covered = {path for pattern in patterns for path in folder.glob(pattern)}
        files = {path for path in folder.iterdir() if path.is_file() and path.suffix != ".py"}
        assert files == covered
