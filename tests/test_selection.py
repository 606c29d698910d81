"""How many components: the criteria against scikit-learn's, and what is no candidate."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import clusters, trials
from simulated import values as simulate
from sklearn import mixture
from sklearn.metrics import calinski_harabasz_score, silhouette_score

from em_core import (
    BinomialMixture,
    GaussianMixture,
    GaussianParams,
    HardEM,
    KMeans,
    KMeansParams,
    Selection,
    Status,
    select,
)
from em_core.data import old_faithful
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
    waiting = old_faithful().column("waiting")
    selection = of_values(waiting, n_starts=10)
    one, two, *_ = selection.candidates
    assert one.log_likelihood == pytest.approx(-1095.28880050, abs=1e-7)
    assert two.log_likelihood == pytest.approx(-1034.00174983, abs=1e-3)
    assert two.bic == pytest.approx(2 * 1034.00174983 + 5 * math.log(272), abs=2e-3)
    assert selection.chosen == {"aic": 2, "bic": 2, "icl": 2}


def test_weights_that_are_not_estimated_are_not_counted():
    selection = of_values(model=GaussianMixture(estimate_weights=False))
    assert [each.n_parameters for each in selection.candidates] == [2, 4, 6, 8]


def test_icl_lies_between_bic_and_the_form_with_the_entropy():
    for each in of_values().candidates:
        r = each.trace.predict(VALUES)
        entropy = -np.where(r > 0, r * np.log(np.where(r > 0, r, 1)), 0).sum()
        assert each.bic <= each.icl + 1e-9
        assert each.icl <= each.bic + 2 * entropy + 1e-9
        if each.n_components == 1:
            assert each.icl == pytest.approx(each.bic, rel=1e-12)
        else:
            assert each.bic < each.icl < each.bic + 2 * entropy


def test_hard_assignment_has_no_aic_and_no_bic_but_an_icl():
    selection = of_values(model=HardEM(GaussianMixture(min_std=0.1)))
    assert selection.criteria == ("icl",)
    assert selection.chosen == {"icl": 3}
    for each in selection.candidates:
        assert math.isnan(each.aic)
        assert math.isnan(each.bic)
        params, p = each.trace.final.params, 3 * each.n_components - 1
        assert each.n_parameters == p
        assert each.icl == pytest.approx(p * math.log(180) - 2 * each.trace.final.objective)
        # The log-likelihood at its parameters is no objective of the run.
        score = len(VALUES) * in_sklearn(params).score(VALUES[:, None])
        assert each.log_likelihood == pytest.approx(score, rel=1e-12)
        if each.n_components > 1:
            assert each.log_likelihood > each.trace.final.objective


def test_equal_trials_that_are_put_together_count_as_often_as_they_were_seen():
    sample = trials(
        binomial_mixture.BinomialParams([0.2, 0.8], [0.5, 0.5]),
        n_tosses=10,
        n_trials=300,
        rng=np.random.default_rng(2),
    )
    selection = select(
        BinomialMixture(10, estimate_weights=True),
        sample.data,
        binomial_mixture.guess_uniform,
        n_components=[1, 2, 3],
        n_starts=3,
        rng=np.random.default_rng(1),
    )
    two = selection.candidates[1]
    joint = BinomialMixture(10).log_joint(sample.data, two.trace.final.params)
    best = joint.max(axis=1).sum()
    assert two.icl == pytest.approx(3 * math.log(300) - 2 * best, rel=1e-12)
    assert selection.chosen == {"aic": 2, "bic": 2, "icl": 2}


def test_an_index_without_a_scatter_within_is_not_defined():
    points = [[0.0], [1e-170], [1.0], [2.0], [5.0]]  # the square of the smallest is below the range
    selection = select(KMeans(), points, kmeans.guess_plus_plus, rng=np.random.default_rng(1))
    assert np.isfinite([selection.candidates[k - 1].calinski_harabasz for k in (2, 3)]).all()
    assert math.isnan(selection.candidates[3].calinski_harabasz)
    assert selection.chosen["calinski_harabasz"] in (2, 3)


def test_silhouette_and_calinski_harabasz_are_those_of_scikit_learn():
    selection = of_points()
    one, *others = selection.candidates
    assert math.isnan(one.silhouette)
    assert math.isnan(one.calinski_harabasz)
    theirs = {"silhouette": {}, "calinski_harabasz": {}}
    for each in others:
        labels = each.trace.predict(POINTS).argmax(axis=1)
        k = each.n_components
        theirs["silhouette"][k] = silhouette_score(POINTS, labels)
        theirs["calinski_harabasz"][k] = calinski_harabasz_score(POINTS, labels)
        assert each.silhouette == pytest.approx(theirs["silhouette"][k], rel=1e-9)
        assert each.calinski_harabasz == pytest.approx(theirs["calinski_harabasz"][k], rel=1e-9)
        assert each.inertia == -each.trace.final.objective
    assert selection.criteria == ("silhouette", "calinski_harabasz")
    assert selection.chosen == {name: max(by_k, key=by_k.get) for name, by_k in theirs.items()}
    assert selection.chosen == {"silhouette": 2, "calinski_harabasz": 3}


def test_a_run_that_was_stopped_is_judged_by_the_clusters_that_it_has():
    """Its centroids are not the means of their points yet."""
    for each in of_points(max_iter=1, n_components=[2, 3]).candidates:
        assert each.trace.status is Status.MAX_ITER
        labels = each.trace.predict(POINTS).argmax(axis=1)
        theirs = calinski_harabasz_score(POINTS, labels)
        assert each.calinski_harabasz == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("offset", [1e6, -1e8])
def test_an_offset_in_the_data_changes_no_choice_and_few_digits(offset):
    near, far = of_points(), of_points(POINTS + offset)
    assert near.chosen == far.chosen
    for one, other in zip(near.candidates[1:], far.candidates[1:], strict=True):
        for criterion in ("silhouette", "calinski_harabasz"):
            assert getattr(one, criterion) == pytest.approx(getattr(other, criterion), rel=1e-5)
    one, other = of_values(), of_values(VALUES + offset)
    assert one.chosen == other.chosen
    for mine, theirs in zip(one.candidates, other.candidates, strict=True):
        assert mine.bic == pytest.approx(theirs.bic, abs=0.01)


def test_the_silhouette_of_many_points_is_that_of_rows_drawn_once_for_all_numbers():
    selection = of_points(n_components=[2, 3], silhouette_rows=40)
    stream = np.random.default_rng(1).spawn(1)[0].spawn(1)[0]
    drawn = POINTS[draw_rows(len(POINTS), 40, rng=stream)]
    assert len(np.unique(drawn, axis=0)) == 40
    for each in selection.candidates:
        labels = each.trace.predict(drawn).argmax(axis=1)
        assert each.silhouette == pytest.approx(silhouette_score(drawn, labels), rel=1e-9)
        every = each.trace.predict(POINTS).argmax(axis=1)
        assert each.silhouette != pytest.approx(silhouette_score(POINTS, every), rel=1e-9)


def test_as_many_rows_as_are_wanted_are_not_drawn():
    assert draw_rows(5, 5, rng=np.random.default_rng(1)).tolist() == [0, 1, 2, 3, 4]


def test_a_start_is_the_same_whatever_else_is_asked_for():
    def start(k, number, **more):
        seen = {}

        def guess(data, k, *, rng):
            init = kmeans.guess_from_points(data, k, rng=rng)
            seen.setdefault(k, []).append(init)
            return init

        rng = np.random.default_rng(8)
        select(KMeans(), POINTS, guess, rng=rng, max_iter=1, **more)
        return seen[k][number - 1]

    third = start(4, 3, n_starts=3, n_components=[4])
    assert start(4, 3, n_starts=6, n_components=[4]) == third
    assert start(4, 3, n_starts=4, n_components=[7, 4, 2], silhouette_rows=10) == third
    assert start(4, 2, n_starts=3, n_components=[4]) != third
    assert start(4, 3, n_starts=3, n_components=[4, 5]) == third


def test_the_same_generator_gives_the_same_selection_and_then_another():
    one, other = (of_values(rng=np.random.default_rng(5)) for _ in range(2))
    assert repr(one) == repr(other)
    rng = np.random.default_rng(5)
    first, second = (of_values(rng=rng, n_components=[4], max_iter=1) for _ in range(2))
    starts = [each.candidates[0].trace.steps[0].params for each in (first, second)]
    assert starts[0] != starts[1]


def test_collapsed_runs_are_no_candidates_and_are_counted():
    data = np.array([0.0, 0.0, 1.0, 2.0, 4.0, 5.5])
    bad = GaussianParams([0.0, 3.0], [1e-3, 2.0], [0.5, 0.5])
    good = GaussianParams([1.0, 5.0], [2.0, 1.0], [0.5, 0.5])
    starts = iter([bad, good, bad])
    selection = select(
        GaussianMixture(),
        data,
        lambda data, k, rng: next(starts),
        n_components=[2],
        n_starts=3,
        rng=np.random.default_rng(1),
    )
    (two,) = selection.candidates
    assert two.n_collapsed == 2
    assert two.n_starts == 3
    assert two.trace.steps[0].params == good
    assert np.isfinite([two.aic, two.bic, two.icl]).all()
    assert "2 of 3 starts collapsed" in repr(selection)


def test_a_number_of_which_all_runs_collapsed_is_chosen_by_nothing():
    data = np.array([0.0, 0.0, 1.0, 2.0, 4.0, 5.5])

    def guess(data, k, *, rng):
        if k == 1:
            return gaussian_mixture.guess_from_points(data, k, rng=rng)
        return GaussianParams([0.0, 3.0], [1e-3, 2.0], [0.5, 0.5])

    more = {"n_starts": 2, "rng": np.random.default_rng(1)}
    selection = select(GaussianMixture(), data, guess, n_components=[1, 2], **more)
    two = selection.candidates[1]
    assert two.trace is None
    assert two.n_collapsed == 2
    assert all(map(math.isnan, (two.log_likelihood, two.aic, two.bic, two.icl)))
    assert selection.chosen == {"aic": 1, "bic": 1, "icl": 1}
    assert "all 2 starts collapsed" in repr(selection)
    assert selection.columns()["status"].tolist() == ["converged", ""]
    alone = select(GaussianMixture(), data, guess, n_components=[2], **more)
    assert alone.chosen == {}
    assert "choice" not in repr(alone)


def test_of_equally_good_numbers_the_fewest_are_chosen():
    nan = math.nan
    assert judged(bic=[3.0, 1.0, 1.0, 2.0]).chosen == {"bic": 2}
    assert judged(bic=[3.0, 1.0 + 1e-13, 1.0, 2.0]).chosen == {"bic": 2}
    assert judged(bic=[3.0, 1.0 + 1e-6, 1.0, 2.0]).chosen == {"bic": 3}
    assert judged(silhouette=[nan, 0.5, 0.5, 0.2]).chosen == {"silhouette": 2}
    assert judged(silhouette=[nan, -0.5, -0.2, -0.2 + 1e-13]).chosen == {"silhouette": 3}
    assert judged(aic=[nan, -5.0, -5.0 - 1e-13, nan]).chosen == {"aic": 2}
    assert judged(aic=[nan, nan]).chosen == {}


def test_more_components_than_different_observations_are_left_out_and_named():
    selection = of_points(np.repeat(POINTS[:3], 4, axis=0), n_components=range(1, 9))
    assert [each.n_components for each in selection.candidates] == [1, 2, 3]
    assert selection.left_out == (4, 5, 6, 7, 8)
    assert "Left out" in repr(selection)
    assert repr(selection).endswith(": 4, 5, 6, 7, 8")
    with pytest.raises(ValueError, match="at most the number of different observations, 3, got 4"):
        of_points(np.repeat(POINTS[:3], 4, axis=0), n_components=[4])


def test_where_no_two_different_points_share_a_cluster_nothing_is_within():
    three = of_points(np.repeat(POINTS[:3], 4, axis=0), n_components=[3]).candidates[0]
    assert three.inertia == 0
    assert math.isnan(three.calinski_harabasz)
    assert three.silhouette == pytest.approx(1.0)


def test_one_cluster_and_as_many_as_points_have_no_silhouette():
    selection = of_points(POINTS[:4], n_components=range(1, 5))
    assert math.isnan(selection.candidates[0].silhouette)
    assert math.isnan(selection.candidates[3].silhouette)
    assert np.isfinite([each.silhouette for each in selection.candidates[1:3]]).all()


def test_an_empty_cluster_is_no_cluster():
    centroids = np.vstack([POINTS[:2], [[1e3, 1e3]]])
    selection = select(
        KMeans(),
        POINTS,
        lambda data, k, rng: KMeansParams(centroids),
        n_components=[3],
        n_starts=1,
        rng=np.random.default_rng(1),
    )
    (three,) = selection.candidates
    assert np.isfinite(three.inertia)
    assert math.isnan(three.silhouette)
    assert math.isnan(three.calinski_harabasz)
    assert selection.chosen == {}


def test_two_observations():
    of_two = of_values(np.array([-1.0, 1.0]), n_components=range(1, 9))
    assert [each.n_components for each in of_two.candidates] == [1, 2]
    assert of_two.candidates[0].bic == pytest.approx(
        2 * math.log(2) + 2 * math.log(2 * math.pi) + 2
    )
    points = of_points(np.array([[0.0, 0.0], [1.0, 1.0]]), n_components=range(1, 9))
    assert points.chosen == {}
    assert points.candidates[0].inertia == pytest.approx(1.0)
    assert points.candidates[1].inertia == 0


def test_one_value_many_times():
    selection = of_points(np.ones((5, 2)), n_components=range(1, 9))
    assert [each.n_components for each in selection.candidates] == [1]
    assert selection.chosen == {}
    with pytest.raises(ValueError, match="must differ"):
        of_values(np.ones(5))


@settings(max_examples=25, deadline=None)
@given(
    data=st.lists(st.integers(-3, 3), min_size=1, max_size=12),
    seed=st.integers(0, 1_000),
)
def test_few_whole_numbers_never_break_it(data, seed):
    points = np.array(data, dtype=float)[:, None]
    selection = select(
        KMeans(), points, kmeans.guess_from_points, n_starts=2, rng=np.random.default_rng(seed)
    )
    tried = [each.n_components for each in selection.candidates]
    assert tried == list(range(1, min(8, len(set(data))) + 1))
    for each in selection.candidates:
        labels = each.trace.predict(points).argmax(axis=1)
        if len(set(labels)) == each.n_components and 1 < each.n_components < len(set(data)):
            theirs = calinski_harabasz_score(points, labels)
            assert each.calinski_harabasz == pytest.approx(theirs, rel=1e-9)
        else:
            assert math.isnan(each.calinski_harabasz)
    assert repr(selection)


def test_a_best_start_that_has_not_converged_says_so():
    selection = of_values(max_iter=1, n_components=[3])
    assert selection.columns()["status"].tolist() == ["max_iter"]
    assert "best start: max_iter" in repr(selection)


def test_the_table_marks_each_choice_in_its_column():
    shown = repr(of_values())
    header, *rows, legend = shown.splitlines()
    assert header.split() == ["K", "log-likelihood", "parameters", "AIC", "BIC", "ICL"]
    assert [row.count("*") for row in rows] == [0, 0, 3, 0]
    assert legend == "* the choice of this criterion"
    columns = of_values().columns()
    assert columns["n_components"].tolist() == [1, 2, 3, 4]
    assert list(columns)[1:6] == ["log_likelihood", "n_parameters", "aic", "bic", "icl"]


class Plain(GaussianMixture):
    """A mixture whose objective is said to be something else."""

    objective_is_log_likelihood = False


def test_what_cannot_be_compared_is_refused_at_the_door():
    with pytest.raises(ValueError, match="asks for KMeans, or a model whose objective is a log"):
        of_values(model=Plain())
    with pytest.raises(ValueError, match=r"numbers of components .*range\(1, 9\), got 3"):
        of_values(n_components=3)
    with pytest.raises(ValueError, match="numbers of components to compare"):
        of_values(n_components=[])
    with pytest.raises(ValueError, match="n_components must be a whole number, 1 or larger, got 0"):
        of_values(n_components=[0, 1])
    with pytest.raises(ValueError, match="n_starts must be a whole number, 1 or larger, got 0"):
        of_values(n_starts=0)
    with pytest.raises(ValueError, match="rng must be a numpy"):
        of_values(rng=1)
    with pytest.raises(ValueError, match="silhouette_rows must be a whole number, 2 or larger"):
        of_points(silhouette_rows=1)
    with pytest.raises(ValueError, match="at least one observation"):
        of_values([])
    with pytest.raises(ValueError, match="at least one observation"):
        of_values(5.0)
    with pytest.raises(ValueError, match="finite"):
        of_values([1.0, np.nan, 2.0])
    with pytest.raises(ValueError, match="return 2 components when it is asked for 2"):
        select(
            GaussianMixture(),
            VALUES,
            lambda data, k, rng: GaussianParams([0.0], [1.0], [1.0]),
            n_components=[2],
            rng=np.random.default_rng(1),
        )


def test_what_has_no_joint_densities_has_no_icl():
    class Chain:
        """Any model of which only the log-likelihood is known."""

    assert criteria_of(Chain()) == ("aic", "bic")
