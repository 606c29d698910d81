"""Any EM is a model: a chain, gene counting and censored data, written as plain classes.

Golden numbers are recomputed with plain NumPy, apart from this project, and hold to all the digits
that are printed here.
"""

from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import dask.array
import dask.bag
import numpy as np
import pytest
from scipy.special import gammaln, xlogy

from em_core import (
    HardEM,
    Params,
    Sample,
    Status,
    best,
    component_axes,
    fit,
    fit_labelled,
    fit_restarts,
    iterate,
)
from em_core.data import blocks
from em_core.data.blocks import prepare
from em_core.diagnostics import linear_rate, lower_bound, same_solutions
from em_core.engine import expectations


def as_printed(values, digits):
    """Return values as they are compared with numbers printed to so many digits."""
    return np.round(np.asarray(values, dtype=float), digits).tolist()


# A hidden Markov model with an end (Eisner, "An interactive spreadsheet for teaching the
# forward-backward algorithm", ACL W02-0102, 2002).


@dataclass(frozen=True, eq=False)
class ChainParams(Params):
    first: np.ndarray  # p(state on the first day)
    transitions: np.ndarray = component_axes(0, 1)  # p(state tomorrow | state)
    end: np.ndarray = component_axes(0)  # p(no tomorrow | state)
    emissions: np.ndarray = component_axes(0)  # p(what is seen | state)


class ChainStatistics(NamedTuple):
    first: np.ndarray
    transitions: np.ndarray
    end: np.ndarray
    emissions: np.ndarray


@dataclass(frozen=True)
class Chain:
    n_symbols: int = 3
    independent_rows = False

    def check(self, data, params):
        if data.ndim != 1 or not ((data >= 1) & (data <= self.n_symbols)).all():
            raise ValueError(f"data must be a sequence of symbols from 1 to {self.n_symbols}")
        if params.emissions.shape[1] != self.n_symbols:
            raise ValueError("emissions must have a probability for each symbol")

    def expect(self, data, params):
        seen = params.emissions[:, data - 1].T  # p(x_t | state)
        alpha, beta = np.empty_like(seen), np.empty_like(seen)
        alpha[0] = params.first * seen[0]
        for t in range(1, len(data)):
            alpha[t] = alpha[t - 1] @ params.transitions * seen[t]
        beta[-1] = params.end
        for t in range(len(data) - 2, -1, -1):
            beta[t] = params.transitions @ (seen[t + 1] * beta[t + 1])
        likelihood = alpha[-1] @ params.end
        states = alpha * beta / likelihood
        pairs = np.einsum("ti,ij,tj->ij", alpha[:-1], params.transitions, seen[1:] * beta[1:])
        symbols = np.stack([states[data == s + 1].sum(axis=0) for s in range(self.n_symbols)])
        statistics = ChainStatistics(states[0], pairs / likelihood, states[-1], symbols.T)
        return statistics, float(np.log(likelihood))

    def m_step(self, statistics, previous):
        first, transitions, end, emissions = statistics
        days = emissions.sum(axis=1)
        return ChainParams(
            first / first.sum(),
            transitions / days[:, None],
            end / days,
            emissions / days[:, None],
        )

    def expected_objective(self, statistics, params, previous):
        arrays = params.arrays().values()
        return float(sum(xlogy(s, p).sum() for s, p in zip(statistics, arrays, strict=True)))


CONES = np.array([int(cones) for cones in "233232322313311121113121112332322"])
COLD_HOT = ChainParams(
    [0.5, 0.5], [[0.8, 0.1], [0.1, 0.8]], [0.1, 0.1], [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]]
)


# Numbers in classes that are mixed: gene counting, and its ancestor.


@dataclass(frozen=True, eq=False)
class Alleles(Params):
    p: float
    q: float
    r: float


class Genotypes(NamedTuple):
    aa: float
    ao: float
    bb: float
    bo: float
    ab: float
    oo: float


def multinomial(counts, probabilities):
    """Return the log-likelihood, coefficient included, of each row of counts; shape (n,)."""
    ways = gammaln(counts.sum(axis=1) + 1) - gammaln(counts + 1).sum(axis=1)
    return ways + xlogy(counts, probabilities).sum(axis=1)


@dataclass(frozen=True)
class BloodGroups:
    """Rows are samples of persons: how many have A, B, AB and O."""

    def check(self, data, params):
        if data.ndim != 2 or data.shape[1] != 4:
            raise ValueError("data must have a column for each blood group")

    def expect(self, data, params):
        p, q, r = params.p, params.q, params.r
        groups = np.array([p**2 + 2 * p * r, q**2 + 2 * q * r, 2 * p * q, r**2])
        a, b, ab, o = data.sum(axis=0)
        aa, bb = a * p**2 / groups[0], b * q**2 / groups[1]
        found = Genotypes(aa, a - aa, bb, b - bb, ab, o)
        return found, float(multinomial(data, groups).sum())

    def m_step(self, statistics, previous):
        aa, ao, bb, bo, ab, oo = statistics
        genes = 2 * sum(statistics)
        return Alleles(
            (2 * aa + ao + ab) / genes, (2 * bb + bo + ab) / genes, (ao + bo + 2 * oo) / genes
        )

    def expected_objective(self, statistics, params, previous):
        p, q, r = params.p, params.q, params.r
        cells = [p**2, 2 * p * r, q**2, 2 * q * r, 2 * p * q, r**2]
        return float(xlogy(statistics, cells).sum())


PERSONS = np.array([[186, 38, 13, 284]])
ALLELES = Alleles(0.3, 0.2, 0.5)


@dataclass(frozen=True, eq=False)
class Linked(Params):
    t: float


@dataclass(frozen=True)
class Linkage:
    """Rows are counts in four cells; the first is a mixture of two."""

    def check(self, data, params):
        if data.ndim != 2 or data.shape[1] != 4:
            raise ValueError("data must have four columns")

    def expect(self, data, params):
        t, (first, second, third, fourth) = float(params.t), data.sum(axis=0)
        hidden = first * (t / 4) / (1 / 2 + t / 4)
        cells = np.array([1 / 2 + t / 4, (1 - t) / 4, (1 - t) / 4, t / 4])
        # A plain tuple will do.
        return (hidden + fourth, second + third), float(multinomial(data, cells).sum())

    def m_step(self, statistics, previous):
        yes, no = statistics
        return Linked(yes / (yes + no))

    def expected_objective(self, statistics, params, previous):
        yes, no = statistics
        return float(xlogy(yes, params.t) + xlogy(no, 1 - params.t))


CELLS = np.array([[125, 18, 20, 34]])


@dataclass(frozen=True, eq=False)
class Rate(Params):
    rate: float


class Lifetimes(NamedTuple):
    number: float
    total: float


@dataclass(frozen=True)
class CensoredExponential:
    """Rows are a time, and whether it ended then (1) or was still going on (0)."""

    def check(self, data, params):
        if data.ndim != 2 or data.shape[1] != 2 or not params.rate > 0:
            raise ValueError("data must be times and ends, and the rate positive")

    def expect(self, data, params):
        time, ended = data.T
        # Without memory: whoever has not ended has the mean still before them.
        total = time.sum() + (1 - ended).sum() / params.rate
        objective = ended.sum() * np.log(params.rate) - params.rate * time.sum()
        return Lifetimes(len(data), total), float(objective)

    def m_step(self, statistics, previous):
        return Rate(statistics.number / statistics.total)

    def expected_objective(self, statistics, params, previous):
        number, total = statistics
        return float(number * np.log(params.rate) - params.rate * total)


times = np.random.default_rng(1).exponential(5.0, 400)
LIVES = np.column_stack([np.minimum(times, 4.0), times < 4.0]).astype(float)


def other_chain(rng):
    rows = [rng.dirichlet(np.ones(3), size=2) for _ in range(2)]
    return ChainParams(rng.dirichlet(np.ones(2)), rows[0][:, :2], rows[0][:, 2], rows[1])


PROBLEMS = {
    "chain": (Chain(), CONES, COLD_HOT, other_chain),
    "blood groups": (
        BloodGroups(),
        PERSONS,
        ALLELES,
        lambda rng: Alleles(*rng.dirichlet(np.ones(3))),
    ),
    "linkage": (Linkage(), CELLS, Linked(0.5), lambda rng: Linked(rng.uniform())),
    "censored": (
        CensoredExponential(),
        LIVES,
        Rate(1.0),
        lambda rng: Rate(rng.uniform(0.05, 2)),
    ),
}


@pytest.fixture(params=PROBLEMS)
def problem(request):
    return PROBLEMS[request.param]


class TestAnyModel:
    def test_fit_is_what_iterate_yields(self, problem):
        model, data, init, _ = problem
        trace = fit(model, data, init, tol=0, max_iter=5)
        assert trace.steps == tuple(islice(iterate(model, data, init), 6))
        assert trace.steps[0].params == init

    def test_climbs_to_its_end(self, problem):
        model, data, init, _ = problem
        trace = fit(model, data, init, tol=0, max_iter=3000)
        assert trace.status is Status.CONVERGED
        assert (np.diff(trace.objectives) >= -1e-12 * abs(trace.final.objective)).all()
        later = fit(model, data, trace.final.params, tol=0).final
        np.testing.assert_allclose(
            later.params.vector(), trace.final.params.vector(), rtol=1e-12, atol=1e-15
        )

    def test_bound_touches_is_nowhere_above_and_has_its_top_at_the_m_step(self, problem):
        model, data, init, other = problem
        rng = np.random.default_rng(1)
        before, after = islice(iterate(model, data, init), 2)
        bound = lower_bound(model, data, init)
        slack = 1e-12 * (len(data) + abs(before.objective))
        assert bound(init) == pytest.approx(before.objective, abs=slack)
        top, lower = bound(after.params), 0
        assert before.objective < top <= after.objective + slack
        for _ in range(100):
            params = other(rng)
            there = next(iterate(model, data, params)).objective
            assert bound(params) <= min(there, top) + slack
            lower += bound(params) < there - slack
        assert lower

    def test_restarts_end_alike(self, problem):
        model, data, init, other = problem
        rng = np.random.default_rng(2)
        starts = [other(rng) for _ in range(3)] + [init]
        traces = fit_restarts(model, data, starts, tol=0, max_iter=3000)
        numbers = same_solutions(traces)
        assert numbers[-1] == 0
        if model != Chain():  # which has several hills
            assert numbers == [0] * 4
        assert best(traces).final.objective == pytest.approx(traces[-1].final.objective)

    def test_score_and_columns(self, problem):
        model, data, init, _ = problem
        trace = fit(model, data, init, tol=0, max_iter=4)
        assert trace.score(data) == pytest.approx(trace.final.objective / len(data))
        columns = trace.columns()
        assert list(columns) == ["iteration", *init.entry_names(), "objective", "gain"]
        np.testing.assert_array_equal(columns["objective"], trace.objectives)

    def test_several_arrays_are_several_samples(self, problem):
        model, data, init, _ = problem
        one = fit(model, data, init, tol=0, max_iter=5)
        two = fit(model, [data, data], init, tol=0, max_iter=5)
        assert two.n_observations == 2 * one.n_observations
        np.testing.assert_allclose(two.objectives, 2 * one.objectives, rtol=1e-13)
        np.testing.assert_allclose(two.final.params.vector(), one.final.params.vector())

    def test_what_asks_for_labels_says_so(self, problem):
        model, data, init, _ = problem
        trace = fit(model, data, init, max_iter=1)
        labels = np.zeros(len(data), dtype=int)
        with pytest.raises(ValueError, match=r"^fit_labelled asks for a Mixture, whose .* got "):
            fit_labelled(model, data, labels, init)
        with pytest.raises(ValueError, match=r"^predict asks for a Mixture, whose .*, got "):
            trace.predict(data)
        with pytest.raises(ValueError, match=r"^model must be a mixture, with a log_joint, got "):
            HardEM(model)

    def test_what_the_model_does_not_say_is_asked_for(self, problem):
        model, data, init, _ = problem
        trace = fit(model, data, init, max_iter=1)
        for criterion in ("aic", "bic", "n_parameters"):
            with pytest.raises(ValueError, match=r"^n_parameters asks for a model that counts"):
                getattr(trace, criterion)
        with pytest.raises(ValueError, match=r"^sample asks for a model with a simulate, got "):
            trace.sample(3, rng=np.random.default_rng(1))

    def test_counts_are_refused_where_they_mean_nothing(self, problem):
        model, data, init, _ = problem
        for run in (fit, iterate):
            with pytest.raises(ValueError, match=r"^counts mean nothing to .*; repeat the rows"):
                run(model, data, init, counts=np.ones(len(data)))


class TestChain:
    def test_first_e_step(self):
        found, _ = expectations(Chain(), prepare(Chain(), CONES, COLD_HOT), COLD_HOT)
        assert as_printed(found.first[1], 7) == 0.8709421
        assert as_printed(found.emissions.sum(axis=1), 8) == [14.67929542, 18.32070458]
        assert as_printed(found.transitions, 8) == [
            [12.85526043, 1.59945889],
            [1.69497713, 15.85030355],
        ]

    @pytest.mark.parametrize(
        ("iteration", "ll", "stay", "cold", "hot"),
        [
            (0, -41.5378178, [0.8, 0.8], [0.7, 0.2, 0.1], [0.1, 0.2, 0.7]),
            (
                1,
                -36.7422926,
                [0.87574097, 0.86515797],
                [0.67650238, 0.21881944, 0.10467818],
                [0.05837230, 0.42508654, 0.51654116],
            ),
            (
                2,
                -35.9576881,
                [0.90403448, 0.87040169],
                [0.69697033, 0.17145936, 0.13157031],
                [0.04025206, 0.46379924, 0.49594871],
            ),
            (
                -1,
                -35.3328953,
                [0.93377919, 0.86494422],
                [0.64048148, 0.14807014, 0.21144838],
                [0, 0.53439070, 0.46560930],
            ),
        ],
    )
    def test_steps(self, iteration, ll, stay, cold, hot):
        step = fit(Chain(), CONES, COLD_HOT, tol=0, max_iter=3000).steps[iteration]
        assert as_printed(step.objective, 7) == ll
        assert as_printed(np.diag(step.params.transitions), 8) == stay
        assert as_printed(step.params.emissions, 8) == [cold, hot]

    def test_rate_and_perplexity(self):
        trace = fit(Chain(), CONES, COLD_HOT, tol=0, max_iter=3000)
        assert as_printed(linear_rate(trace), 5) == 0.44893
        assert as_printed(np.exp(-trace.objectives[[0, -1]] / 33), 4) == [3.5209, 2.9174]

    def test_permuting_the_states_permutes_the_answer(self):
        swapped = COLD_HOT.relabel([1, 0])
        assert swapped == ChainParams(
            [0.5, 0.5], [[0.8, 0.1], [0.1, 0.8]], [0.1, 0.1], [[0.1, 0.2, 0.7], [0.7, 0.2, 0.1]]
        )
        ours = fit(Chain(), CONES, swapped, tol=0, max_iter=3000)
        theirs = fit(Chain(), CONES, COLD_HOT, tol=0, max_iter=3000).relabel([1, 0])
        assert ours.final.params.transitions[0, 1] != ours.final.params.transitions[1, 0]
        for one, other in zip(ours.steps[:20], theirs.steps, strict=False):
            assert one.objective == pytest.approx(other.objective, rel=1e-12)
            np.testing.assert_allclose(one.params.vector(), other.params.vector(), rtol=1e-9)
        assert same_solutions([ours, theirs, theirs.relabel([1, 0])]) == [0, 0, 0]

    def test_rows_of_a_chain_are_never_cut(self, monkeypatch):
        whole = fit(Chain(), CONES, COLD_HOT, tol=0, max_iter=5)
        monkeypatch.setattr(blocks, "BLOCK_ROWS", 7)
        assert fit(Chain(), CONES, COLD_HOT, tol=0, max_iter=5) == whole

    def test_dask_array_must_not_be_cut_along_its_rows(self):
        whole = fit(Chain(), CONES, COLD_HOT, tol=0, max_iter=3)
        with pytest.raises(ValueError, match=r"^the rows of Chain.* belong together.* 4 chunks"):
            fit(Chain(), dask.array.from_array(CONES, chunks=10), COLD_HOT)
        in_one = dask.array.from_array(CONES, chunks=-1)
        assert fit(Chain(), in_one, COLD_HOT, tol=0, max_iter=3) == whole

    def test_bag_holds_whole_sequences(self, monkeypatch):
        monkeypatch.setattr(blocks, "BLOCK_ROWS", 7)
        bag = dask.bag.from_sequence([CONES, CONES[:20]], npartitions=2)
        ours = fit(Chain(), bag, COLD_HOT, tol=0, max_iter=3)
        assert ours == fit(Chain(), [CONES, CONES[:20]], COLD_HOT, tol=0, max_iter=3)
        assert ours.n_observations == 53

    def test_rows_that_are_independent_are_cut(self, monkeypatch):
        looked = []

        class Looks(CensoredExponential):
            def expect(self, data, params):
                looked.append(len(data))
                return super().expect(data, params)

        monkeypatch.setattr(blocks, "BLOCK_ROWS", 300)
        fit(Looks(), LIVES, Rate(1.0), max_iter=0)
        assert looked == [300, 100]


class TestBloodGroups:
    def test_first_e_step(self):
        model = BloodGroups()
        found, _ = expectations(model, prepare(model, PERSONS, ALLELES), ALLELES)
        assert as_printed(found[:4], 4) == [42.9231, 143.0769, 6.3333, 31.6667]

    def test_steps(self):
        trace = fit(BloodGroups(), PERSONS, ALLELES, tol=0)
        assert as_printed([step.params.vector() for step in trace.steps[1:3]], 7) == [
            [0.2321719, 0.0550224, 0.7128057],
            [0.2159781, 0.0502996, 0.7337223],
        ]
        assert as_printed(trace.objectives[:3], 7) == [-147.4417956, -9.6471310, -8.3890378]
        assert as_printed(trace.final.params.vector(), 8) == [0.21359094, 0.05014533, 0.73626373]
        assert as_printed(trace.final.objective, 10) == -8.3726308536
        assert as_printed(linear_rate(trace), 5) == 0.11972

    def test_numbers_have_no_components(self):
        assert ALLELES.n_components == 0
        assert repr(ALLELES) == "Alleles(p=0.3, q=0.2, r=0.5)"
        assert ALLELES.entry_names() == ("p", "q", "r")
        with pytest.raises(ValueError, match=r"^Alleles has no components that could be relab"):
            fit(BloodGroups(), PERSONS, ALLELES).relabel([0])


class TestLinkage:
    def test_steps(self):
        trace = fit(Linkage(), CELLS, Linked(0.5), tol=0)
        found = [float(step.params.t) for step in trace.steps]
        assert as_printed(found[1:5], 9) == [0.608247423, 0.624321050, 0.626488879, 0.626777322]
        assert found[-1] == pytest.approx((15 + np.sqrt(53809)) / 394, rel=1e-15)
        assert as_printed(trace.objectives[:3], 9) == [-10.303015127, -7.612589123, -7.549834645]
        # From the slope of EM's map at its fixed point, not from its steps.
        assert linear_rate(trace) == pytest.approx(0.13277873, rel=1e-5)


class TestCensoredExponential:
    def test_ends_at_the_number_that_ended_over_the_time_in_all(self):
        trace = fit(CensoredExponential(), LIVES, Rate(1.0), tol=0, max_iter=3000)
        time, ended = LIVES.sum(axis=0)
        assert float(trace.final.params.rate) == pytest.approx(ended / time, rel=1e-14)
        assert trace.final.objective == pytest.approx(ended * np.log(ended / time) - ended)

    @pytest.mark.parametrize("until", [1.0, 4.0, 12.0])
    def test_rate_of_convergence_is_the_censored_fraction(self, until):
        data = np.column_stack([np.minimum(times, until), times < until]).astype(float)
        trace = fit(CensoredExponential(), data, Rate(1.0), tol=0, max_iter=3000)
        censored = 1 - data[:, 1].mean()
        assert 0.05 < censored < 0.9
        assert linear_rate(trace) == pytest.approx(censored, rel=1e-4)


class TestComponentAxes:
    def test_default_is_the_first_axis_of_an_array_and_none_of_a_number(self):
        @dataclass(frozen=True, eq=False)
        class Mixed(Params):
            covariances: np.ndarray
            noise: float
            shared: np.ndarray = component_axes()
            last: np.ndarray = component_axes(1)

        stack = np.arange(12.0).reshape(3, 2, 2)
        params = Mixed(stack, 0.5, [1.0, 2.0], [[1.0, 2.0, 3.0]])
        assert params.n_components == 3
        swapped = params.relabel([2, 0, 1])
        np.testing.assert_array_equal(swapped.covariances, stack[[2, 0, 1]])
        assert (float(swapped.noise), swapped.shared.tolist()) == (0.5, [1, 2])
        assert swapped.last.tolist() == [[3, 1, 2]]
        assert params.vector().tolist() == [*range(12), 0.5, 1, 2, 1, 2, 3]
        names = params.entry_names()
        assert (names[0], names[11]) == ("covariances[0,0,0]", "covariances[2,1,1]")
        assert names[12:] == (
            "noise",
            "shared[0]",
            "shared[1]",
            "last[0,0]",
            "last[0,1]",
            "last[0,2]",
        )

    def test_only_lengths_along_them_must_agree(self):
        ChainParams([0.5, 0.5], np.eye(2), [0.1, 0.1], np.ones((2, 7)))
        with pytest.raises(
            ValueError, match=r"one entry per component.*'transitions along axis 1': 3"
        ):
            ChainParams([0.5, 0.5], np.ones((2, 3)), [0.1, 0.1], np.ones((2, 7)))
        with pytest.raises(
            ValueError, match=r"^transitions must have one .* along axis 1, got shape \(2,\)"
        ):
            ChainParams([0.5, 0.5], [1.0, 2.0], [0.1, 0.1], np.ones((2, 7)))

    @pytest.mark.parametrize("axis", [-1, 0.5, "0"])
    def test_are_whole_numbers_from_zero(self, axis):
        with pytest.raises(ValueError, match=r"^axis must be a whole number, 0 or larger, got "):
            component_axes(axis)

    def test_same_solutions_goes_by_all_of_a_matrix(self):
        rng = np.random.default_rng(3)
        rows = rng.dirichlet(np.ones(4), size=3)
        params = ChainParams(np.ones(3) / 3, rows[:, :3], rows[:, 3], np.ones((3, 2)) / 2)
        # The same rows and columns, but another state is met.
        turned = rows[:, :3].copy()
        turned[:2, :2] = turned[1::-1, :2]
        other = ChainParams(params.first, turned, params.end, params.emissions)
        ends = [
            fit(Still(), np.zeros(3), each, max_iter=0)
            for each in (params, params.relabel([2, 0, 1]), other, other.relabel([1, 2, 0]))
        ]
        assert same_solutions(ends) == [0, 0, 1, 1]

    def test_states_that_differ_only_in_whom_they_meet(self):
        transitions = [[0.2, 0.1, 0.6], [0.3, 0.2, 0.4], [0.05, 0.65, 0.2]]
        params = ChainParams(np.ones(3) / 3, transitions, [0.1] * 3, np.ones((3, 2)) / 2)
        orders = ([0, 1, 2], [1, 0, 2], [2, 0, 1], [1, 2, 0])
        ends = [fit(Still(), np.zeros(3), params.relabel(order), max_iter=0) for order in orders]
        assert same_solutions(ends) == [0] * 4


class Still:
    """A model whose objective is the same everywhere."""

    def check(self, data, params):
        pass

    def expect(self, data, params):
        return (0.0,), 0.0


class TestLabelsThatAreNotKnown:
    def test_sample_of_observations_alone(self):
        sample = Sample(CONES)
        assert sample.labels is None
        assert sample.truth is None
        assert Sample(CONES, None, COLD_HOT).truth is COLD_HOT
