"""One run of EM as a page shows it, and the same problem under other settings."""

import contextlib
import functools
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from em_core import Params, Status, Step, Trace, fit_labelled, match_components
from em_core.diagnostics import map_eigenvalues
from em_core.engine import expectations
from em_core.numerics import Array
from em_ui.pictures import frames
from em_ui.run import budget
from em_ui.run.cache import cached_run
from em_ui.run.limit import follow, may_gain
from em_ui.run.problem import Problem, Settings

# Where the largest eigenvalue of EM's map is below this, no direction is level; where one is 1 but
# for rounding and the error of its slopes, its direction is.
_NEARLY_LEVEL, _LEVEL = 0.99, 1e-5
# Iterations after which leaps follow a run, so that of most runs all that is said is of its path.
_PATIENCE = 300
# Sums of squared distances that differ by less than this, relatively, are equal.
_EQUALLY_NEAR = 1e-9


@dataclass(frozen=True)
class Run:
    """One run of EM.

    Attributes
    ----------
    problem : Problem
        What was run.
    trace : Trace
        From the initial guess, as EM ran it: its components have the order of the guess.
    from_truth : Trace or None
        The same from the true parameters: how good an answer there is to be found. None without a
        truth, or if the model has not as many components as that.
    labelled : Params or None
        The estimate with the labels known, if they are. What the problem holds fixed is as in the
        sample's truth.
    frames : Frames
        The tables of ``trace``.
    settings : dict
        What the page was set to.
    make : callable
        Maps settings to the lesson's problem.
    found : dict
        The limit, as far as somebody has asked for it, and the eigenvalues there.
    asking : lock
        Held while it is computed.
    """

    problem: Problem
    trace: Trace[Any]
    from_truth: Trace[Any] | None
    labelled: Params | None
    frames: frames.Frames
    settings: Settings
    make: Callable[[Settings], Problem]
    found: dict[str, Any] = field(default_factory=dict)
    asking: threading.Lock = field(default_factory=threading.Lock)

    @functools.cached_property
    def key(self) -> str:
        """What tells this run from others, for the cache."""
        return f"{_name(self.make)} {self.settings}"

    def other_problem(self, **changes: Any) -> Problem:
        """Return the problem under changed settings."""
        return self.make({**self.settings, **changes})

    def other(self, **changes: Any) -> "Run":
        """Return the run under changed settings."""
        return fitted(self.make, {**self.settings, **changes})

    @property
    def params(self) -> Any:
        """The last parameters that can be drawn."""
        return self.steps[-1].params

    @property
    def steps(self) -> tuple[Any, ...]:
        """The steps that can be drawn."""
        return tuple(frames.drawable(self.trace).steps)

    @property
    def message(self) -> str:
        """Why the run stopped, in the words of the page: without the names that code has."""
        title, words = self.problem.objective.title.lower(), self.problem.words
        text = self.trace.message.replace("the objective", f"the {title}")
        for parameter, quantity in words.quantities.items():
            for i, name in enumerate(self.names):
                text = text.replace(f"{parameter}[{i}]", f"{quantity.symbol} {name}")
        return re.sub(r" \(\w+\)", "", text)

    @property
    def names(self) -> list[str]:
        """Names of the model's components."""
        return list(self.problem.words.names[: self.params.n_components])

    @functools.cached_property
    def matching(self) -> np.ndarray | None:
        """The index of the true component that each estimated one stands for; see :func:`match`."""
        return match(self.params, self.problem.sample.truth, self.problem.words.by)

    @property
    def limit(self) -> Trace[Any]:
        """The run continued from its last parameters, as near to the limit as time allows."""
        return self.followed(lambda limit: False)

    @property
    def glance(self) -> int:
        """How many iterations more the page itself may take, while no section asks for the limit.

        As many as the run took, or a few where these are cheap.
        """
        return max(self.trace.n_iter, int(budget.GLANCE / self.problem.cost), 10)

    def followed(
        self, until: Callable[[Trace[Any]], bool], *, most: int | None = None
    ) -> Trace[Any]:
        """Return the run continued from its last parameters, far enough or as time allows.

        By EM at first, and then by leaps; see :func:`follow`. ``until`` says of the continued run
        whether it is far enough, and ``most`` after how many iterations it is given up.
        """
        # Not a cached_property: up to Python 3.11 that has one lock for all runs.
        with self.asking:
            known = self.found.get("limit")
            if known is None:
                end = Step(0, self.params, self.steps[-1].objective)
                known = Trace((end,), Status.MAX_ITER)
            time = int(np.clip(budget.LIMIT / self.problem.work, 10, 3_000))
            limit = follow(
                self.problem,
                known,
                most=time if most is None else min(most, time),
                until=until,
                patience=min(_PATIENCE, time // 4),
            )
            self.found["limit"] = limit
            return limit

    def statistics(self, iteration: int) -> Any:
        """Return what an iteration's E-step gives to the M-step, summed over all observations."""
        problem = self.problem
        with budget.turn(problem.size):
            return expectations(problem.model, problem.data, self.steps[iteration].params)[0]

    @functools.cached_property
    def final_statistics(self) -> Any:
        """The statistics at the last iteration."""
        return self.statistics(self.frames.last)

    @property
    def gap(self) -> float | None:
        """Largest distance of an estimate from its truth, in what tells the components apart.

        With more or fewer components than the truth has, of an estimate from the nearest truth.
        None without a truth.
        """
        if self.problem.sample.truth is None:
            return None
        ours, theirs = (
            getattr(params, self.problem.words.by).reshape(max(params.n_components, 1), -1)
            for params in (self.params, self.problem.sample.truth)
        )
        distances = np.linalg.norm(ours[:, None] - theirs[None], axis=2)
        if self.matching is not None:
            return float(distances[np.arange(len(ours)), self.matching].max())
        return float(distances.min(axis=1).max())

    @property
    def eigenvalues(self) -> Array | None:
        """The eigenvalues of EM's map at the limit, the largest first.

        None where observations go wholly to one component, where the limit has not been reached in
        the time there is, and where it lies at the border.
        """
        if self.problem.winner_takes_all:
            return None
        limit = self.limit
        if not limit.converged:
            return None
        return self._eigenvalues("at the limit", limit.final.params)

    @property
    def flat(self) -> int:
        """In how many directions the objective is level where the run ends; 0 if not known.

        The run is followed to its limit only if its end looks so, and no longer than a glance: on a
        ridge it arrives soon, and where it does not, it is slow and no ridge.
        """
        if self.problem.winner_takes_all or self.trace.status is Status.NON_FINITE:
            return 0
        here = self._eigenvalues("at the end", self.params)
        if here is None or here[0] < _NEARLY_LEVEL:
            return 0
        limit = self.followed(lambda limit: False, most=self.glance)
        if not limit.converged:
            return 0
        there = self._eigenvalues("at the limit", limit.final.params)
        return 0 if there is None else int((np.abs(there - 1) < _LEVEL).sum())

    def _eigenvalues(self, where: str, params: Params) -> Array | None:
        problem = self.problem
        with self.asking:
            if where not in self.found:
                self.found[where] = None
                work = 2 * problem.size * len(params.vector())
                # The map has no slopes where a step leads out of what parameters may be.
                with budget.turn(work), contextlib.suppress(ValueError):
                    found = map_eigenvalues(problem.model, problem.data, params)
                    self.found[where] = np.real(found)
            known: Array | None = self.found[where]
            return known

    def could_gain(self, enough: float) -> bool | None:
        """Return whether the objective would gain this much if the run went on.

        The run is followed until that can be told. None if it cannot be told in the time there is.
        """
        if self.trace.converged and self.problem.tol == 0:
            return enough <= 0  # nothing changes any more
        here = self.steps[-1].objective

        def gains(limit: Trace[Any]) -> tuple[float, float]:
            gained = limit.final.objective - here
            # Not from the gains so far: by a saddle they shrink first, and grow again behind it.
            return gained, 0.0 if limit.converged else may_gain(limit)

        def decided(limit: Trace[Any]) -> bool:
            gained, left = gains(limit)
            return gained >= enough or gained + left < enough

        limit = self.followed(decided)
        if not decided(limit):
            return None
        return gains(limit)[0] >= enough

    @property
    def missed(self) -> float:
        """How much more the objective reaches from the truth than from this guess, 0 if unknown."""
        if self.from_truth is None or self.from_truth.status is Status.NON_FINITE:
            return 0.0
        return self.from_truth.final.objective - self.trace.final.objective


def run_em(make: Callable[[Settings], Problem], settings: Settings) -> Run:
    """Run EM from the guess and from the truth, and build the tables."""
    problem = make(settings)
    trace = problem.fit(problem.start)
    sample, truth = problem.sample, problem.truth
    labelled, from_truth = None, None
    if truth is not None and problem.start.n_components == truth.n_components:
        from_truth = problem.fit(truth)
    if truth is not None and problem.is_mixture and sample.labels is not None:
        # The model may not start from the truth itself, but from its own idea of it.
        actual = sample.truth or truth
        known = replace(truth, **{field: getattr(actual, field) for field in problem.fixed})
        labelled = fit_labelled(problem.labelled_model, sample.data, sample.labels, known)
    tables = frames.build(
        trace,
        sample.truth if problem.truth_known else None,
        labelled,
        problem.words.names,
        objective=problem.objective.title.lower(),
        sign=problem.objective.sign,
        fixed=problem.fixed,
    )
    return Run(problem, trace, from_truth, labelled, tables, settings, make)


def match(params: Params, truth: Params | None, by: str) -> np.ndarray | None:
    """Return the index of the true component that each estimated one stands for.

    Parameters
    ----------
    params, truth : Params
        The estimate and the truth, if there is one.
    by : str
        The parameter in which they are compared.

    Returns
    -------
    ndarray of int, shape (K,), or None
        None if there is no truth, or if the truth has not as many components: then nothing matches
        one to one.
    """
    k = params.n_components
    if truth is None or not k or truth.n_components != k:
        return None
    ours, theirs = (getattr(each, by).reshape(k, -1) for each in (params, truth))
    order, as_it_is = match_components(ours, theirs), np.arange(k)
    least, own = (((ours[each] - theirs) ** 2).sum() for each in (order, as_it_is))
    # Where components are equal, every order is as near, and only rounding would choose.
    return as_it_is if own <= least * (1 + _EQUALLY_NEAR) else np.argsort(order)


def _name(make: Callable[[Settings], Problem]) -> str:
    return f"{make.__module__}.{make.__qualname__}"


def fitted(make: Callable[[Settings], Problem], settings: Settings) -> Run:
    """Return the run of the problem that ``make`` makes of some settings, kept for all sessions."""
    return _fitted(_name(make), settings, make)


@cached_run
def _fitted(name: str, settings: Settings, _make: Callable[[Settings], Problem]) -> Run:
    return run_em(_make, settings)
