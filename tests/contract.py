"""What holds for every model.

A model's test class inherits ``ModelContract`` (or ``AffineContract``, if the model has no
preferred origin and unit) and supplies what the methods that raise NotImplementedError ask for.
"""

import hashlib
import math
import os
import pickle
import subprocess
import sys
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from em_core import (
    Params,
    Sample,
    Status,
    best,
    fit,
    fit_labelled,
    fit_restarts,
    iterate,
    match_components,
)
from em_core.data import blocks
from em_core.diagnostics import lower_bound
from em_core.engine import begin
from em_core.numerics import ROUNDING

# A sum of n terms of ordinary size is known to about this much per term.
ACCURACY = 1e-12

# What a quick E-step finds is the textbook's to within this fraction of the terms that are added.
PREPARED_ACCURACY = 1e-10

MANY_ROWS = 2 * blocks.BLOCK_ROWS + 100

# What is awkward about data: for sums by products of matrices, and for ties.
AWKWARD = {
    "as drawn": lambda data: data,
    "duplicates": lambda data: np.concatenate([data[: len(data) // 2]] * 2),
}
AWKWARD_NUMBERS = {
    "far away": lambda data: np.round(data * 2**10) / 2**10 + 1e8,
    "grid": np.round,
    "grid far away": lambda data: np.round(data) + 1e8,
    "tenths": lambda data: np.round(data, 1),
    "outlier": lambda data: np.concatenate([np.full_like(data[:1], 1e6), data[1:]]),
    "tight blobs": lambda data: np.round(data / 4) * 4 + 1e-6 * (data - np.round(data)),
    "tight blobs far away": lambda data: np.round(data) + 2**-20 * np.round(8 * data) + 1e8,
    "one point a component": lambda data: data[:4],
}


def for_many_seeds(examples=25):
    """Let hypothesis draw the argument ``seed``."""

    def decorate(test):
        # One test serves several classes, which hypothesis would otherwise take for a mistake.
        allow = settings(
            max_examples=examples,
            deadline=None,
            suppress_health_check=[HealthCheck.differing_executors],
        )
        return allow(given(seed=st.integers(0, 2**32 - 1))(test))

    return decorate


def assert_params_close(actual, expected, *, rtol=1e-10, atol=0.0):
    for name, array in expected.arrays().items():
        np.testing.assert_allclose(
            actual.arrays()[name], array, rtol=rtol, atol=atol, err_msg=name, strict=True
        )


def assert_tuples_close(actual, expected, *, rtol=1e-10, atol=0.0):
    for name, ours, theirs in zip(expected._fields, actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol, err_msg=name)


def weighted_sums(values, responsibilities):
    """Return sum_i r_ik v_i for each component, by plain loops."""
    n_components = len(responsibilities[0])
    return np.array(
        [
            sum(shares[k] * value for value, shares in zip(values, responsibilities, strict=True))
            for k in range(n_components)
        ]
    )


def first_steps(model, data, init, count):
    return list(islice(iterate(model, data, init), count))


def textbook(model, data, params):
    """Return the statistics and the objective by the formulas that the lesson shows."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        responsibilities, objective = model.e_step(data, params)
        return model.statistics(data, params, responsibilities), objective


def next_params(model, statistics, params):
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return model.m_step(statistics, params)


def sizes_of_terms(model, data, params):
    """Return sum_i |r_ik t(x_i)| of each statistic; or less of many rows, some added before."""
    rows_at_once = 1 + len(data) // 50
    pieces = (data[i : i + rows_at_once] for i in range(0, len(data), rows_at_once))
    found = [textbook(model, piece, params)[0] for piece in pieces]
    return [np.abs(each).sum(axis=0) for each in zip(*found, strict=True)]


def assert_are_the_textbooks(found, model, data, params, coarse=()):
    """Compare what E-steps found at the same parameters with the formulas."""
    statistics, objective = textbook(model, data, params)
    assert {bool(np.isfinite(ours)) for _, ours in found} == {bool(np.isfinite(objective))}
    if not np.isfinite(objective):
        return
    size = model.term_size(statistics, params)
    slack = PREPARED_ACCURACY * (abs(objective) + (len(data) if size is None else size))
    terms = sizes_of_terms(model, data, params)
    for sums, of_rows in found:
        assert abs(of_rows - objective) <= slack
        assert type(sums) is type(statistics)
        for name, ours, theirs, size in zip(sums._fields, sums, statistics, terms, strict=True):
            # A share of 1e-290 observations is none.
            rounding = 1e-290
            if name in coarse:
                from_centre = np.abs(data - np.mean(data, axis=0, dtype=float)).sum(axis=0)
                rounding = ROUNDING * max(size.max(), from_centre.max())
            near = np.abs(ours - theirs) <= PREPARED_ACCURACY * size + rounding
            assert near.all(), (name, ours, theirs, size)


def assert_traces_agree(ours, theirs):
    """Compare a run among many with the same run alone: they are equal, but for rounding."""
    assert (ours.status, ours.n_iter) == (theirs.status, theirs.n_iter)
    assert ours.n_observations == theirs.n_observations
    assert (ours.explanation, ours.noted) == (theirs.explanation, theirs.noted)
    assert len(ours.steps) == len(theirs.steps)
    assert [step.objective for step in ours.steps] == ours.objectives.tolist()
    np.testing.assert_allclose(ours.objectives, theirs.objectives, rtol=1e-9)
    for one, other in zip(ours.steps, theirs.steps, strict=True):
        assert one.iteration == other.iteration
        assert type(one.params) is type(other.params)
        assert_params_close(one.params, other.params, rtol=1e-9, atol=1e-12)


def bits(found):
    """Return the statistics and the objective to the last bit."""
    return [np.asarray(each).tobytes() for each in (*found[0], found[1])]


def bits_of_run(model, data, init):
    """Return what identifies a run to the last bit."""
    trace = fit(model, data, init, tol=0, max_iter=6)
    known = hashlib.sha256(trace.objectives.tobytes())
    for step in trace.steps:
        known.update(step.params.vector().tobytes())
    return known.hexdigest()


class ModelContract:
    model: Any
    soft = True  # responsibilities are Bayes' rule; otherwise the winner takes all
    drawn_with: dict[str, Any] = {}  # noqa: RUF012 - what simulate has to be told beyond
    # Statistics that a quick E-step may round as those of the component with the largest, or as the
    # sum of the distances of all observations from their mean.
    coarse_statistics: tuple[str, ...] = ()

    def sample(self, rng, n, separation=1.0) -> Sample:
        """Return n observations of a truth; at separation 3 the components hardly overlap."""
        raise NotImplementedError

    def guess(self, data, rng) -> Params:
        """Return a random initial guess, with as many components as the truth."""
        raise NotImplementedError

    def term(self, x, params, k) -> float:
        """Return log p(x, z = k | params) of one observation, or what stands for it."""
        raise NotImplementedError

    def naive_m_step(self, data, responsibilities, previous) -> Params:
        """Return the textbook's M-step, from the data and not from sums of them."""
        raise NotImplementedError

    def nudge(self, params, rng, size) -> Params:
        """Return other admissible parameters, about ``size`` away in what the M-step estimates."""
        raise NotImplementedError

    def standard_errors(self, truth, n) -> dict[str, Any]:
        """Return the standard error of each estimated array, were the labels known."""
        raise NotImplementedError

    def problem(self, seed, n=200, separation=1.0):
        rng = np.random.default_rng(seed)
        data = self.sample(rng, n, separation).data
        return data, self.guess(data, rng)

    def naive_e_step(self, data, params):
        responsibilities, evidence = [], []
        for x in data:
            terms = [self.term(x, params, k) for k in range(params.n_components)]
            peak = max(terms)
            if self.soft:
                joint = [math.exp(term - peak) for term in terms]
                evidence.append(peak + math.log(sum(joint)))
                responsibilities.append([share / sum(joint) for share in joint])
            else:
                evidence.append(peak)
                responsibilities.append([float(k == terms.index(peak)) for k in range(len(terms))])
        return np.array(responsibilities), math.fsum(evidence)

    def expected_objective(self, data, responsibilities, params):
        """Return what the M-step maximises: the expected complete log-likelihood, by loops."""
        return math.fsum(
            share * self.term(x, params, k)
            for x, shares in zip(data, responsibilities, strict=True)
            for k, share in enumerate(shares)
            if share > 0
        )

    @for_many_seeds()
    def test_responsibilities_are_probabilities(self, seed):
        data, params = self.problem(seed)
        for step in first_steps(self.model, data, params, 3):
            responsibilities = self.model.e_step(data, step.params).responsibilities
            assert responsibilities.shape == (len(data), params.n_components)
            assert ((responsibilities >= 0) & (responsibilities <= 1)).all()
            np.testing.assert_allclose(responsibilities.sum(axis=1), 1, rtol=1e-14)
            if not self.soft:
                assert set(np.unique(responsibilities)) <= {0.0, 1.0}

    @for_many_seeds(10)
    def test_e_step_agrees_with_loops(self, seed):
        data, params = self.problem(seed, n=40)
        found = self.model.e_step(data, params)
        responsibilities, objective = self.naive_e_step(data, params)
        np.testing.assert_allclose(found.responsibilities, responsibilities, rtol=1e-9, atol=1e-300)
        assert found.objective == pytest.approx(objective, rel=1e-12)

    @for_many_seeds(10)
    def test_m_step_agrees_with_loops(self, seed):
        data, params = self.problem(seed, n=40)
        responsibilities, _ = self.model.e_step(data, params)
        statistics = self.model.statistics(data, params, responsibilities)
        assert_params_close(
            self.model.m_step(statistics, params),
            self.naive_m_step(data, responsibilities, params),
        )

    @for_many_seeds(10)
    def test_m_step_beats_perturbations_of_its_result(self, seed):
        rng = np.random.default_rng(seed)
        data = self.sample(rng, 40).data
        params = self.guess(data, rng)
        responsibilities, _ = self.model.e_step(data, params)
        updated = self.model.m_step(self.model.statistics(data, params, responsibilities), params)
        peak = self.expected_objective(data, responsibilities, updated)
        slack = ACCURACY * (len(data) + abs(peak))
        assert self.expected_objective(data, responsibilities, params) <= peak + slack
        for size in [1e-1, 1e-2, 1e-3] * 5:
            nudged = self.nudge(updated, rng, size)
            assert nudged != updated
            assert self.expected_objective(data, responsibilities, nudged) <= peak + slack

    @for_many_seeds(10)
    def test_expected_objective_agrees_with_loops(self, seed):
        rng = np.random.default_rng(seed)
        data = self.sample(rng, 40).data
        at, other = self.guess(data, rng), self.guess(data, rng)
        responsibilities, _ = self.model.e_step(data, at)
        statistics = self.model.statistics(data, at, responsibilities)
        # Up to a constant, so differences are compared.
        found = [self.model.expected_objective(statistics, p, at) for p in (other, at)]
        naive = [self.expected_objective(data, responsibilities, p) for p in (other, at)]
        size = len(data) + np.abs(naive).max()
        assert found[0] - found[1] == pytest.approx(naive[0] - naive[1], abs=ACCURACY * size)

    @for_many_seeds(10)
    def test_bound_touches_and_is_nowhere_above(self, seed):
        rng = np.random.default_rng(seed)
        data = self.sample(rng, 40).data
        at = self.guess(data, rng)
        bound, here = lower_bound(self.model, data, at), self.model.e_step(data, at).objective
        assert bound(at) == pytest.approx(here, abs=ACCURACY * (len(data) + abs(here)))
        others = [self.guess(data, rng) for _ in range(5)]
        others += [self.nudge(at, rng, size) for size in [1.0, 1e-1, 1e-2, 1e-3] * 3]
        lower = 0
        for other in others:
            there = self.model.e_step(data, other).objective
            slack = ACCURACY * (len(data) + abs(there))
            assert bound(other) <= there + slack
            lower += bound(other) < there - slack
        assert lower  # or the bound would be no bound, but the objective itself

    @for_many_seeds(10)
    def test_m_step_goes_to_the_top_of_the_bound(self, seed):
        rng = np.random.default_rng(seed)
        data = self.sample(rng, 40).data
        at = self.guess(data, rng)
        bound = lower_bound(self.model, data, at)
        before, after = first_steps(self.model, data, at, 2)
        top, slack = bound(after.params), ACCURACY * (len(data) + abs(after.objective))
        # What makes EM climb: the objective is above the top, and the top above where it was.
        assert before.objective - slack <= top <= after.objective + slack
        for size in [1.0, 1e-1, 1e-2, 1e-3] * 3:
            assert bound(self.nudge(after.params, rng, size)) <= top + slack
        for _ in range(5):
            assert bound(self.guess(data, rng)) <= top + slack

    @pytest.mark.parametrize("rows", [7, 100])
    def test_blocks_do_not_change_the_bound(self, monkeypatch, rows):
        data, at = self.problem(seed=3, n=100)
        _, other = self.problem(seed=4, n=100)
        whole = lower_bound(self.model, data, at)(other)
        monkeypatch.setattr(blocks, "BLOCK_ROWS", rows)
        assert lower_bound(self.model, data, at)(other) == pytest.approx(whole, rel=1e-12)

    @for_many_seeds(50)
    def test_objective_never_falls(self, seed):
        data, init = self.problem(seed)
        objectives = [step.objective for step in first_steps(self.model, data, init, 40)]
        assert np.isfinite(objectives).all()
        slack = ACCURACY * (len(data) + np.abs(objectives).max())
        assert np.diff(objectives).min() >= -slack

    @for_many_seeds(10)
    def test_step_zero_is_the_guess(self, seed):
        data, init = self.problem(seed)
        step = next(iterate(self.model, data, init))
        assert step.iteration == 0
        assert step.params == init
        # Equal observations may be put together, so the sum may round otherwise.
        assert step.objective == pytest.approx(self.model.e_step(data, init).objective, rel=1e-14)

    def test_each_step_holds_the_objective_of_its_own_parameters(self):
        data, init = self.problem(seed=1, n=2 * blocks.BLOCK_ROWS + 100)
        steps = first_steps(self.model, data, init, 6)
        assert [step.iteration for step in steps] == list(range(6))
        assert steps[1].objective > steps[0].objective  # or a lag could not be seen
        for step in steps:
            expected = self.model.e_step(data, step.params).objective
            assert step.objective == pytest.approx(expected, rel=1e-13)

    def test_each_step_follows_from_the_one_before(self):
        data, init = self.problem(seed=2, n=2 * blocks.BLOCK_ROWS + 100)
        steps = first_steps(self.model, data, init, 4)
        for before, after in pairwise(steps):
            responsibilities, _ = self.model.e_step(data, before.params)
            statistics = self.model.statistics(data, before.params, responsibilities)
            assert_params_close(after.params, self.model.m_step(statistics, before.params))

    @for_many_seeds(5)
    def test_fixed_point_stays(self, seed):
        rng = np.random.default_rng(seed)
        data, _, truth = self.sample(rng, 200, separation=3)
        # Near the truth, since EM may crawl from elsewhere.
        trace = fit(self.model, data, self.nudge(truth, rng, 0.01), tol=0, max_iter=1000)
        assert trace.status is Status.CONVERGED
        again = fit(self.model, data, trace.final.params, tol=0)
        assert (again.status, again.n_iter) == (Status.CONVERGED, 1)
        later = first_steps(self.model, data, trace.final.params, 20)[-1]
        assert_params_close(later.params, trace.final.params)

    @for_many_seeds(10)
    def test_permuting_components_permutes_the_answer(self, seed):
        data, init = self.problem(seed)
        order = np.roll(np.arange(init.n_components), 1)
        steps = first_steps(self.model, data, init, 10)
        permuted = first_steps(self.model, data, init.relabel(order), 10)
        for ours, theirs in zip(permuted, steps, strict=True):
            assert_params_close(ours.params, theirs.params.relabel(order))
            assert ours.objective == pytest.approx(theirs.objective, rel=1e-11)

    @for_many_seeds(10)
    def test_statistics_of_two_halves_add_up(self, seed):
        data, params = self.problem(seed)
        responsibilities, objective = self.model.e_step(data, params)
        whole = self.model.statistics(data, params, responsibilities)
        cut = len(data) // 3
        halves = [(part, *self.model.e_step(part, params)) for part in (data[:cut], data[cut:])]
        sums = [self.model.statistics(part, params, resp) for part, resp, _ in halves]
        added = type(whole)(*map(np.add, *sums))
        assert_tuples_close(added, whole, atol=1e-10)
        assert sum(half[2] for half in halves) == pytest.approx(objective, rel=1e-13)

    @pytest.mark.parametrize("rows", [1, 7, 50, 99, 100])
    def test_blocks_do_not_change_the_answer(self, monkeypatch, rows):
        data, init = self.problem(seed=3, n=100)
        whole = first_steps(self.model, data, init, 10)
        monkeypatch.setattr(blocks, "BLOCK_ROWS", rows)
        for ours, theirs in zip(first_steps(self.model, data, init, 10), whole, strict=True):
            assert_params_close(ours.params, theirs.params, rtol=1e-11, atol=1e-13)
            assert ours.objective == pytest.approx(theirs.objective, rel=1e-13)

    @for_many_seeds(10)
    def test_leaps_lose_no_objective_and_end_at_a_fixed_point(self, seed):
        data, init = self.problem(seed)
        trace = fit(self.model, data, init, tol=0, max_iter=80, accelerate="squarem")
        assert trace.status in (Status.CONVERGED, Status.MAX_ITER)
        assert trace.steps[0].params == init
        slack = ACCURACY * (len(data) + np.abs(trace.objectives).max())
        assert np.diff(trace.objectives).min() >= -slack
        last = trace.final
        expected = self.model.e_step(data, last.params).objective
        assert last.objective == pytest.approx(expected, rel=1e-12)
        counted = [step.n_e_steps for step in trace.steps]
        assert counted[0] == 1
        assert np.diff(counted).min() >= 1
        if trace.converged:
            after = first_steps(self.model, data, last.params, 2)[-1]
            assert_params_close(after.params, last.params, rtol=1e-12, atol=1e-14)

    @for_many_seeds(5)
    def test_leaps_end_where_em_does(self, seed):
        rng = np.random.default_rng(seed)
        data, _, truth = self.sample(rng, 200, separation=3)
        near = self.nudge(truth, rng, 0.01)
        ours, theirs = (
            fit(self.model, data, near, tol=0, max_iter=1000, accelerate=how)
            for how in ("squarem", None)
        )
        assert ours.status is theirs.status is Status.CONVERGED
        assert_params_close(ours.final.params, theirs.final.params, rtol=1e-8, atol=1e-8)

    def assert_textbooks(self, found, data, params):
        assert_are_the_textbooks(found, self.model, data, params, self.coarse_statistics)

    def assert_prepared(self, make_awkward, rng, n, n_steps):
        """Follow a run, with an E-step that remembers and with a new one for each step."""
        drawn = self.sample(rng, n, separation=2).data
        data = make_awkward(drawn)
        starts = [self.guess(data, rng), self.guess(data, rng)]
        try:
            self.model.check(data, starts[0])
        except ValueError:  # a guess from so few data may be below a floor
            starts = [self.guess(drawn, rng), self.guess(drawn, rng)]
        prepared = blocks.prepare(self.model, data, starts[0])
        e_step, params = begin(self.model, prepared), starts[0]
        for _ in range(n_steps):
            found = [e_step(params), begin(self.model, prepared)(params)]
            self.assert_textbooks(found, data, params)
            if not np.isfinite(found[0][1]):
                break
            params = next_params(self.model, found[0][0], params)
        # Back to the beginning, and to somewhere else: what it remembers is far away now.
        for params in starts:
            self.assert_textbooks([e_step(params)], data, params)

    @pytest.mark.parametrize("kind", AWKWARD)
    @for_many_seeds(3)
    def test_prepared_e_step_is_the_textbooks(self, kind, seed):
        self.assert_prepared(AWKWARD[kind], np.random.default_rng(seed), n=40, n_steps=5)

    @pytest.mark.parametrize("kind", AWKWARD)
    def test_prepared_e_step_is_the_textbooks_on_many_rows(self, kind):
        rng = np.random.default_rng(20)
        self.assert_prepared(AWKWARD[kind], rng, MANY_ROWS, n_steps=3)

    def test_runs_on_the_same_prepared_data_do_not_disturb_each_other(self):
        data, init = self.problem(seed=21, n=MANY_ROWS)
        starts = [init, self.guess(data, np.random.default_rng(22))]
        prepared = blocks.prepare(self.model, data, init)
        alone = []
        for params in starts:
            e_step = begin(self.model, prepared)
            alone.append([])
            for _ in range(6):
                found = e_step(params)
                alone[-1].append(bits(found))
                params = next_params(self.model, found[0], params)
        e_steps = [begin(self.model, prepared) for _ in starts]
        for i in range(6):
            found = [e_step(params) for e_step, params in zip(e_steps, starts, strict=True)]
            assert [bits(each) for each in found] == [run[i] for run in alone]
            starts = [
                next_params(self.model, each[0], params)
                for each, params in zip(found, starts, strict=True)
            ]
        assert alone[0] != alone[1]

    def test_each_run_is_the_same_to_the_last_bit(self):
        data, init = self.problem(seed=23, n=MANY_ROWS)
        assert bits_of_run(self.model, data, init) == bits_of_run(self.model, data, init)
        _, other = self.problem(seed=24)
        assert bits_of_run(self.model, data, other) != bits_of_run(self.model, data, init)

    def test_the_number_of_threads_does_not_change_a_bit(self, tmp_path):
        data, init = self.problem(seed=24, n=MANY_ROWS)
        if blocks.prepare(self.model, data, init).prepared is None:
            pytest.skip("has no E-step of its own")
        (tmp_path / "run").write_bytes(pickle.dumps((self.model, data, init)))
        script = (
            "import pickle, sys, contract; from pathlib import Path; "
            "print(contract.bits_of_run(*pickle.loads(Path(sys.argv[1]).read_bytes())))"
        )
        here = Path(__file__).parent
        path = os.pathsep.join([str(here), str(here.parent)])
        found = {
            subprocess.run(
                [sys.executable, "-c", script, str(tmp_path / "run")],
                env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": threads},
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
            for threads in ("1", "2")
        }
        assert found == {bits_of_run(self.model, data, init)}

    @pytest.mark.parametrize("n", [60, 3000])
    def test_each_of_many_runs_goes_its_own_way(self, n):
        rng = np.random.default_rng(25)
        data = self.sample(rng, n, separation=2).data
        starts = [self.guess(data, rng) for _ in range(5)]
        prepared = blocks.prepare(self.model, data, starts[0]).prepared
        if not hasattr(prepared, "begin_many"):
            pytest.skip("has no E-step of many runs")
        assert prepared.at_once(starts[0].n_components) >= 1
        many, alone = prepared.begin_many(), prepared.begin()
        arrays = {
            name: np.stack([start.arrays()[name] for start in starts])
            for name in starts[0].arrays()
        }
        spoiled = {name: array.copy() for name, array in arrays.items()}
        for array in spoiled.values():
            array[1], array[3] = np.nan, 0.0
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            statistics, objectives = many(arrays)
            beside_others, their_objectives = many(spoiled)
            updated = self.model.m_step_many(statistics, arrays)
        assert objectives.shape == (5,)
        assert not np.isfinite(their_objectives[1])
        for r, start in enumerate(starts):
            own = type(statistics)(*(each[r] for each in statistics))
            self.assert_textbooks([(own, objectives[r])], data, start)
            if r in (0, 2, 4):
                own = type(statistics)(*(each[r] for each in beside_others))
                self.assert_textbooks([(own, their_objectives[r])], data, start)
            expected = next_params(self.model, alone(start)[0], start)
            found = type(start)(**{name: each[r] for name, each in updated.items()})
            assert_params_close(found, expected, atol=1e-13)

    def test_data_and_guess_are_not_changed(self):
        data, init = self.problem(seed=4)
        data_before, init_before = data.copy(), init.relabel(range(init.n_components))
        data.setflags(write=False)
        fit(self.model, data, init, max_iter=5)
        assert np.array_equal(data, data_before)
        assert init == init_before

    def test_same_seed_same_trace(self):
        traces = []
        for _ in range(2):
            data, init = self.problem(seed=5)
            traces.append(fit(self.model, data, init, max_iter=20))
        assert traces[0] == traces[1]
        data, init = self.problem(seed=6)
        assert fit(self.model, data, init, max_iter=20) != traces[0]

    def test_data_may_be_a_list_or_a_view(self):
        data, init = self.problem(seed=7)
        trace = fit(self.model, data, init, max_iter=5)
        assert fit(self.model, data.tolist(), init, max_iter=5) == trace
        view = np.repeat(data, 2, axis=0)[::2]
        assert_params_close(
            fit(self.model, view, init, max_iter=5).final.params, trace.final.params, atol=1e-13
        )

    @for_many_seeds(10)
    def test_counts_are_repeated_rows(self, seed):
        rng = np.random.default_rng(seed)
        data = self.sample(rng, 60).data
        counts = rng.integers(0, 4, size=60)
        counts[0] = 2
        repeated, init = np.repeat(data, counts, axis=0), self.guess(data, rng)
        for tol in (0, 1e-3):
            ours = fit(self.model, data, init, tol=tol, max_iter=10, counts=counts)
            theirs = fit(self.model, repeated, init, tol=tol, max_iter=10)
            assert (ours.status, ours.n_iter) == (theirs.status, theirs.n_iter)
            assert ours.n_observations == theirs.n_observations == counts.sum()
            for one, other in zip(ours.steps, theirs.steps, strict=True):
                assert_params_close(one.params, other.params, rtol=1e-9, atol=1e-12)
                assert one.objective == pytest.approx(other.objective, rel=1e-12)
        inits = [init, init.relabel(np.roll(np.arange(init.n_components), 1))]
        again = fit_restarts(self.model, data, inits, tol=1e-3, max_iter=10, counts=counts)
        assert_traces_agree(again[0], ours)
        assert again[1].n_observations == counts.sum()
        steps = islice(iterate(self.model, data, init, counts=counts), len(ours.steps))
        assert tuple(steps) == ours.steps

    def test_counts_need_not_be_whole(self):
        data, init = self.problem(seed=12)
        counts = np.random.default_rng(12).uniform(size=len(data))
        ours = fit(self.model, data, init, tol=0, max_iter=4, counts=counts)
        twice = fit(self.model, data, init, tol=0, max_iter=4, counts=2 * counts)
        np.testing.assert_allclose(twice.objectives, 2 * ours.objectives, rtol=1e-12)
        assert_params_close(twice.final.params, ours.final.params)

    @pytest.mark.parametrize("rows", [7, 100])
    def test_blocks_do_not_change_the_answer_with_counts(self, monkeypatch, rows):
        data, init = self.problem(seed=13, n=100)
        counts = np.random.default_rng(13).integers(1, 9, size=100)
        whole = fit(self.model, data, init, tol=0, max_iter=4, counts=counts)
        monkeypatch.setattr(blocks, "BLOCK_ROWS", rows)
        ours = fit(self.model, data, init, tol=0, max_iter=4, counts=counts)
        assert_params_close(ours.final.params, whole.final.params, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(ours.objectives, whole.objectives, rtol=1e-12)

    def test_a_row_that_was_not_observed_does_not_count(self):
        data, init = self.problem(seed=14)
        spoiled = np.concatenate([data[:1], data])
        counts = np.append(0, np.ones(len(data)))
        ours = fit(self.model, spoiled, init, max_iter=4, counts=counts)
        theirs = fit(self.model, data, init, max_iter=4, counts=np.ones(len(data)))
        assert ours == theirs

    @pytest.mark.parametrize(
        ("counts", "message"),
        [
            (lambda n: np.ones(n - 1), r"^counts must be numbers, one for each .* shape \(199,\)"),
            (lambda n: np.ones((n, 1)), r"^counts must be numbers, .* got shape \(200, 1\)"),
            (lambda n: 2, r"^counts must be numbers, .* got shape \(\)"),
            (lambda n: ["1"] * n, r"^counts must be numbers, .* dtype <U1"),
            (lambda n: np.full(n, True), r"^counts must be numbers, .* dtype bool"),
            (lambda n: np.append(np.ones(n - 1), -1), r"^counts must be 0 or .* -1.0 at \[199\]"),
            (lambda n: np.append(np.ones(n - 1), np.nan), r"^counts must be finite, got nan"),
            (lambda n: np.append(np.inf, np.ones(n - 1)), r"^counts must be finite, got inf"),
            (np.zeros, r"^counts must be above 0 for at least one row, got 0 for all"),
        ],
    )
    def test_refuses_bad_counts(self, counts, message):
        data, init = self.problem(seed=8)
        for run in (fit, iterate):
            with pytest.raises(ValueError, match=message):
                run(self.model, data, init, counts=counts(len(data)))

    def test_refuses_counts_of_several_arrays(self):
        data, init = self.problem(seed=8)
        with pytest.raises(ValueError, match=r"^counts go with data in one array, got several"):
            fit(self.model, [data[:100], data[100:]], init, counts=np.ones(len(data)))

    def test_predicts_what_the_e_step_finds(self):
        data, init = self.problem(seed=15)
        trace = fit(self.model, data, init, max_iter=3)
        new = self.problem(seed=16)[0]
        found = self.model.e_step(new, trace.final.params)
        np.testing.assert_array_equal(trace.predict(new.tolist()), found.responsibilities)
        assert trace.score(new) == pytest.approx(found.objective / len(new), rel=1e-12)
        assert trace.score(data) == pytest.approx(trace.final.objective / len(data), rel=1e-12)
        for look in (trace.predict, trace.score):
            with pytest.raises(ValueError, match=r"^data must be finite, got nan"):
                look(np.full_like(new, np.nan, dtype=float))

    def test_samples_come_from_the_final_parameters(self):
        data, init = self.problem(seed=17)
        trace = fit(self.model, data, init, max_iter=3)
        drawn = trace.sample(50, rng=np.random.default_rng(1), **self.drawn_with)
        again = self.model.simulate(
            trace.final.params, 50, rng=np.random.default_rng(1), **self.drawn_with
        )
        np.testing.assert_array_equal(drawn.data, again.data)
        np.testing.assert_array_equal(drawn.labels, again.labels)
        assert drawn.truth is trace.final.params
        assert drawn.data.shape == (50, *data.shape[1:])
        for n in (0, 2.5, [3, 4]):
            with pytest.raises(ValueError, match=r"^n must be a whole number, 1 or larger, got "):
                trace.sample(n, rng=np.random.default_rng(1))

    def test_columns_hold_the_history(self):
        data, init = self.problem(seed=18)
        trace = fit(self.model, data, init, max_iter=3)
        columns = trace.columns()
        assert list(columns) == ["iteration", *init.entry_names(), "objective", "gain"]
        assert {len(column) for column in columns.values()} == {len(trace.steps)}
        for i, step in enumerate(trace.steps):
            row = [columns[name][i] for name in init.entry_names()]
            assert row == step.params.vector().tolist()
        assert columns["iteration"].tolist() == [step.iteration for step in trace.steps]
        np.testing.assert_array_equal(columns["gain"][1:], np.diff(trace.objectives))
        assert np.isnan(columns["gain"][0])

    def test_reprs_are_short(self):
        data, init = self.problem(seed=19)
        trace = fit(self.model, data, init, max_iter=3)
        assert len(repr(trace)) < 80
        for text in (repr(trace), repr(init), repr(trace.final)):
            assert "array" not in text
            assert "\n" not in text

    @for_many_seeds(10)
    def test_known_labels_give_the_maximum_likelihood(self, seed):
        rng = np.random.default_rng(seed)
        data, labels, _ = self.sample(rng, 60)
        init = self.guess(data, rng)
        one_hot = [[float(label == k) for k in range(init.n_components)] for label in labels]
        found = fit_labelled(self.model, data, labels, init)
        assert_params_close(found, self.naive_m_step(data, one_hot, init))

    @pytest.mark.parametrize("seed", range(3))
    def test_recovers_the_truth_within_sampling_error(self, seed):
        rng = np.random.default_rng(seed)
        data, _, truth = self.sample(rng, 4000, separation=3)
        guesses = [self.guess(data, rng) for _ in range(5)]
        found = best(fit_restarts(self.model, data, guesses, tol=1e-9, max_iter=500)).final.params
        place = next(iter(truth.arrays()))
        found = found.relabel(match_components(found.arrays()[place], truth.arrays()[place]))
        for name, error in self.standard_errors(truth, len(data)).items():
            assert (abs(found.arrays()[name] - truth.arrays()[name]) <= 5 * error).all(), name

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_refuses_data_that_are_not_finite(self, value):
        data, init = self.problem(seed=8)
        data = data.astype(float)
        data[3] = value
        with pytest.raises(ValueError, match=rf"^data must be finite, got {value} at \[3"):
            fit(self.model, data, init)

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda data: data[:0], r"^data must hold at least one observation, got shape \(0,"),
            (
                lambda data: data[..., None],
                r"^data must have shape \(n,.*\), got shape \(200,.* 1\)",
            ),
            (lambda data: data[0].tolist() if data.ndim == 2 else 3.0, r"^data must have shape"),
            (lambda data: data.astype(str), r"^data must hold real numbers, got dtype <U"),
            (lambda data: data.astype(object), r"^data must hold real numbers, got dtype object"),
            (lambda data: data.astype(complex), r"^data must hold real numbers, got dtype complex"),
            (lambda data: data > 0, r"^data must hold real numbers, got dtype bool"),
        ],
        ids=["empty", "axis too many", "axis too few", "strings", "objects", "complex", "booleans"],
    )
    def test_refuses_what_is_not_data(self, spoil, message):
        data, init = self.problem(seed=8)
        with pytest.raises(ValueError, match=message):
            fit(self.model, spoil(data), init)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_refuses_parameters_that_are_not_finite(self, value):
        data, init = self.problem(seed=8)
        for name, array in init.arrays().items():
            spoiled = array.copy()
            spoiled[-1] = value
            with pytest.raises(ValueError, match=rf"^{name} must be finite, got {value} at \["):
                fit(self.model, data, type(init)(**{**init.arrays(), name: spoiled}))

    def test_refuses_parameters_without_components(self):
        data, init = self.problem(seed=8)
        empty = type(init)(**{name: array[:0] for name, array in init.arrays().items()})
        place = next(iter(init.arrays()))
        with pytest.raises(ValueError, match=rf"^{place} must have shape \(K,.*got \(0,"):
            fit(self.model, data, empty)

    @pytest.mark.parametrize("order", [[], [0], [0, 0], [1, 2], [0.5, 1.2], ["a", "b"]])
    def test_refuses_an_order_that_is_no_permutation(self, order):
        _, init = self.problem(seed=8)
        with pytest.raises(ValueError, match=r"^order must name each component from 0 to \d once"):
            init.relabel(order)

    def test_refuses_what_are_not_its_parameters(self):
        data, init = self.problem(seed=8)
        for other in (None, init.arrays(), Sample(data, data, init)):
            with pytest.raises(ValueError, match=f"^params must be {type(init).__name__}, got "):
                fit(self.model, data, other)
            with pytest.raises(ValueError, match=f"^params must be {type(init).__name__}, got "):
                fit_restarts(self.model, data, [init, other])
        with pytest.raises(ValueError, match=r"^inits must be several initial guesses, got one: "):
            fit_restarts(self.model, data, init)

    def test_bad_parameters_for_blocks_are_not_taken_for_bad_data(self):
        data, init = self.problem(seed=8)
        name, array = next(iter(init.arrays().items()))
        bad = type(init)(**{**init.arrays(), name: np.full_like(array, np.nan)})
        for cut in (100, 90):
            with pytest.raises(ValueError, match=f"^{name} must be finite, got nan"):
                fit(self.model, [data[:cut], data[cut:]], bad)

    @pytest.mark.parametrize("data", [{"a": 1}, "ab", None, [[1.0], [1.0, 2.0]]])
    def test_refuses_what_is_no_array(self, data):
        _, init = self.problem(seed=8)
        with pytest.raises(ValueError, match=r"^data must "):
            fit(self.model, data, init)


class AffineContract(ModelContract):
    """For models that do not care where zero is, or how long a unit."""

    def moved(self, params, shift, scale) -> Params:
        """Return the parameters of the data scaled by ``scale`` and then shifted by ``shift``."""
        raise NotImplementedError

    def model_in_units(self, scale) -> Any:
        """Return the model for data scaled by ``scale``."""
        return self.model

    @pytest.mark.parametrize("kind", AWKWARD_NUMBERS)
    @for_many_seeds(3)
    def test_prepared_e_step_is_the_textbooks_on_awkward_numbers(self, kind, seed):
        self.assert_prepared(AWKWARD_NUMBERS[kind], np.random.default_rng(seed), n=40, n_steps=5)

    @pytest.mark.parametrize("kind", AWKWARD_NUMBERS)
    def test_prepared_e_step_is_the_textbooks_on_many_awkward_numbers(self, kind):
        rng = np.random.default_rng(26)
        self.assert_prepared(AWKWARD_NUMBERS[kind], rng, MANY_ROWS, n_steps=3)

    @pytest.mark.parametrize("shift", [1.0, -1e4, 1e8])
    def test_shifting_the_data_shifts_the_answer(self, shift):
        rng = np.random.default_rng(9)
        # Binary fractions, so that the shift itself rounds nothing.
        data = np.round(self.sample(rng, 300).data * 2**10) / 2**10
        init = self.guess(data, rng)
        moved_init = self.moved(init, shift, 1.0)
        here = first_steps(self.model, data, init, 20)
        there = first_steps(self.model, data + shift, moved_init, 20)
        ulp = np.spacing(abs(shift))
        for ours, theirs in zip(there, here, strict=True):
            expected = self.moved(theirs.params, shift, 1.0)
            assert_params_close(ours.params, expected, rtol=1e-12, atol=8 * ulp)
            assert ours.objective == pytest.approx(
                theirs.objective, rel=1e-12, abs=8 * ulp * len(data)
            )
        for tol in (0, 1e-6):
            trace = fit(self.model, data + shift, moved_init, tol=tol, max_iter=5000)
            assert trace.status is Status.CONVERGED

    @pytest.mark.parametrize("shift", [1.0, -1e4, 1e8])
    def test_shifting_the_data_leaves_the_bound(self, shift):
        rng = np.random.default_rng(11)
        data = np.round(self.sample(rng, 300).data * 2**10) / 2**10
        at, *others = (self.moved(self.guess(data, rng), 0.0, 1.0) for _ in range(6))
        others = [self.moved(at, 0.0, 1.0), *others]
        here = lower_bound(self.model, data, at)
        there = lower_bound(self.model, data + shift, self.moved(at, shift, 1.0))
        ulp = np.spacing(abs(shift))
        for other in others:
            assert there(self.moved(other, shift, 1.0)) == pytest.approx(
                here(other), rel=1e-12, abs=8 * ulp * len(data)
            )

    @pytest.mark.parametrize("scale", [1e-8, 1e-3, 1e3, 1e8])
    def test_scaling_the_data_scales_the_answer(self, scale):
        data, init = self.problem(seed=10, n=300)
        steps = first_steps(self.model, data, init, 20)
        scaled = first_steps(
            self.model_in_units(scale), data * scale, self.moved(init, 0.0, scale), 20
        )
        for ours, theirs in zip(scaled, steps, strict=True):
            assert_params_close(ours.params, self.moved(theirs.params, 0.0, scale))

    @pytest.mark.parametrize(("shift", "scale"), [(0.0, 1e-3), (0.0, 1e3), (-1e4, 1.0)])
    def test_leaps_do_not_depend_on_origin_and_unit(self, shift, scale):
        rng = np.random.default_rng(12)
        data = np.round(self.sample(rng, 300).data * 2**10) / 2**10
        init = self.guess(data, rng)
        here = fit(self.model, data, init, tol=0, max_iter=4, accelerate="squarem")
        there = fit(
            self.model_in_units(scale),
            data * scale + shift,
            self.moved(init, shift, scale),
            tol=0,
            max_iter=4,
            accelerate="squarem",
        )
        assert there.n_e_steps == here.n_e_steps
        for ours, theirs in zip(there.steps, here.steps, strict=True):
            expected = self.moved(theirs.params, shift, scale)
            assert_params_close(ours.params, expected, rtol=1e-7, atol=1e-7 * scale)
