"""How many components: the criteria against scikit-learn's, and what is no candidate."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from gene_counting import GeneCounting
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import clusters, trials
from simulated import values as simulate
from sklearn import mixture
from sklearn.metrics import calinski_harabasz_score, silhouette_score

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    GaussianParams,
    HardEM,
    KMeans,
    KMeansParams,
    Selection,
    Status,
    select,
)
from em_core.models import binomial_mixture, gaussian_mixture, kmeans
from em_core.selection import Candidate, criteria_of, draw_rows

VALUES = simulate([-10, 3, 30], [3, 5, 7], [60, 60, 60], rng=np.random.default_rng(3)).data
POINTS = clusters([50, 40, 30], spread=1.0, rng=np.random.default_rng(6)).data


def of_values(data=VALUES, *, model=None, **more):
    more = {"rng": np.random.default_rng(1), "n_starts": 4, "n_components": range(1, 5)} | more
    return select(model or GaussianMixture(), data, gaussian_mixture.guess_from_points, **more)


def of_points(data=POINTS, **more):
    more = {"rng": np.random.default_rng(1), "n_starts": 4, "n_components": range(1, 6)} | more
    return select(KMeans(), data, kmeans.guess_from_points, **more)


def judged(**values):
    """Return candidates of 1, 2, ... components with these values of one criterion."""
    ((criterion, found),) = values.items()
    candidates = [Candidate(k, None, 1, 0, **{criterion: v}) for k, v in enumerate(found, 1)]
    return Selection(tuple(candidates), (criterion,))


def in_sklearn(params):
    """Return scikit-learn's mixture with the same parameters."""
    k = params.n_components
    found = mixture.GaussianMixture(k)
    found.weights_, found.means_ = params.weights, params.means[:, None]
    found.covariances_ = (params.stds**2)[:, None, None]
    found.precisions_cholesky_ = 1 / params.stds[:, None, None]
    return found


def test_aic_bic_and_icl_are_those_of_scikit_learn_at_the_same_parameters():
    selection = of_values()
    assert [each.n_components for each in selection.candidates] == [1, 2, 3, 4]
    column = VALUES[:, None]
    for each in selection.candidates:
        theirs = in_sklearn(each.trace.final.params)
        assert each.aic == pytest.approx(theirs.aic(column), rel=1e-12)
        assert each.bic == pytest.approx(theirs.bic(column), rel=1e-12)
        assert each.log_likelihood == pytest.approx(len(VALUES) * theirs.score(column), rel=1e-12)
        sure = theirs.predict_proba(column).max(axis=1)
        icl = theirs.bic(column) - 2 * np.log(sure).sum()
        assert each.icl == pytest.approx(icl, rel=1e-12)
        assert each.n_parameters == 3 * each.n_components - 1
    assert selection.criteria == ("aic", "bic", "icl")


def test_old_faithfuls_waiting_times_are_two_components_to_all():
    golden = Path(__file__).with_name("old_faithful_waiting.txt")
    data = np.loadtxt(golden)
    selection = of_values(data, n_starts=10, rng=np.random.default_rng(1))
    one, two, *_ = selection.candidates
    assert one.log_likelihood == pytest.approx(-1095.28880050, abs=1e-7)
    assert two.log_likelihood == pytest.approx(-1034.00174983, abs=1e-3)
    assert two.bic == pytest.approx(2 * 1034.00174983 + 5 * math.log(272), abs=2e-3)
    assert selection.chosen == {"aic": 2, "bic": 2, "icl": 2}
