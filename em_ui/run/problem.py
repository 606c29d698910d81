"""What a page asks EM to do, and what its lesson calls things."""

import functools
import math
import weakref
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from em_core import Mixture, Model, Params, Sample, Trace, fit, fit_restarts
from em_core.data.blocks import Blocks, prepare
from em_core.engine import Accelerate
from em_core.models.hard import HardEM
from em_core.numerics import Array
from em_ui.pictures.frames import Column, schema
from em_ui.run import budget, progress
from em_ui.run.cache import key_of

Settings = dict[str, Any]

DATA, GUESS, DRAWING = range(3)

NOBODY_KNOWS = "Nobody knows the truth behind these data."

_FINE, _MOST_DECIMALS = 2, 12

_AT_ONCE = 64  # starts, of runs that go side by side

E_STEPS = 5  # of an iteration of SQUAREM, at the most

# What is still in use is neither drawn nor prepared a second time: problems that differ in what is
# run alone share their observations. Samples by what they were drawn by, as weak references to
# their arrays; what was prepared by the array and the model.
_drawn: dict[Hashable, tuple["weakref.ref[Any]", "weakref.ref[Any]"]] = {}
_NONE = (lambda: None, lambda: None)
_prepared: "weakref.WeakValueDictionary[tuple[int, str], Blocks]" = weakref.WeakValueDictionary()


def stream(seed: int, purpose: int, *more: int) -> np.random.Generator:
    """Return the generator for one purpose: one seed gives independent streams for each.

    Parameters
    ----------
    seed : int
        The number in the sidebar.
    purpose : int
        :data:`DATA`, :data:`GUESS` or :data:`DRAWING`.
    more : int
        Further indices, for example of a start.
    """
    return np.random.default_rng([seed, purpose, *more])


def data_entropy(settings: Settings) -> list[int]:
    """Return the entropy of the data's generator: each student number draws other data."""
    student = settings["student"]
    return [settings["data_seed"], DATA] + [student] * (student > 0)


def count(n: int, noun: str) -> str:
    """Return a number with its noun: 1 iteration, 2 iterations."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def literal(params: Params) -> str:
    """Return parameters as the Python expression that makes them."""
    fields = ", ".join(f"{name}={array.tolist()!r}" for name, array in params.arrays().items())
    return f"{type(params).__name__}({fields})"


def check_enough(find: int, n: int) -> None:
    """Raise ValueError, in words for the page, if there are more components than observations."""
    if find > n:
        raise ValueError(
            f"{find} different observations are needed to start from, and there are only {n}. "
            "Look for fewer, take more data, or choose another initial guess"
        )


@dataclass(frozen=True)
class Objective:
    """What a page calls the objective, and -1 as sign where it shows minus the objective."""

    title: str
    sign: int = 1
    format: str = ",.4f"

    @property
    def climbing(self) -> str:
        """What a run does, as the page sees it."""
        return "climbing" if self.sign > 0 else "descending"

    def text(self, value: float) -> str:
        """Return a value of the objective as the page shows it, a dash where it is no number."""
        if not np.isfinite(value):
            return "–" if np.isnan(value) else "−∞" if self.sign * value < 0 else "∞"
        return f"{self.sign * value + 0.0:{self.format}}"  # + 0.0 takes the sign off minus zero


class Quantity(NamedTuple):
    """A parameter on the page: title, symbol, and the format of its values."""

    title: str
    symbol: str
    format: str

    def distance(self, value: float) -> str:
        """Return a distance between two values, with one decimal more than these have."""
        decimals = int(self.format.rpartition(".")[2].rstrip("f")) + 1
        return f"{value:,.{decimals}f}".rstrip("0").rstrip(".")


@dataclass(frozen=True)
class Words:
    """What a lesson calls things. Pages, sections and files take it from here.

    Attributes
    ----------
    title : str
        The lesson.
    prefix : str
        Begins the name of each query parameter, so that pages keep apart.
    observation, component, group : str
        One observation, one component of the model, and one of the truth's.
    names : sequence of str
        Names of the components, at least as many as there can be.
    by : str
        The parameter that tells the components apart.
    quantities : mapping of str to Quantity
        All parameters of the model, ``by`` among them.
    objective : Objective
        What EM climbs, with soft assignment.
    algorithm : str
        What the page calls it.
    start_from : str
        The truth as a place to start from.
    miss : float, optional
        The miss in ``by`` that halves the score of a student's guess.
    axes : sequence of str
        What the columns of given data are called, where a parameter has an entry for each. By
        default they are x and y, or numbers.
    known : sequence of str
        What the groups of given data are called, if they are known: then they have these names, and
        not those of the components.
    """

    title: str
    prefix: str
    observation: str
    component: str
    group: str
    names: Sequence[str]
    by: str
    quantities: Mapping[str, Quantity]
    objective: Objective = Objective("Log-likelihood")
    algorithm: str = "EM"
    start_from: str = "the truth"
    miss: float | None = None
    axes: Sequence[str] = ()
    known: Sequence[str] = ()

    def symbol(self, column: Column) -> str:
        """Return what the page calls a number among the parameters: symbol, component, column."""
        suffix = column.suffix
        if self.axes and column.axis and len(column.place) == 2:  # component, column
            suffix = f"{column.component} {self.axes[column.place[1]]}"
        return f"{self.quantities[column.field].symbol} {suffix}".rstrip()


def in_digits(words: Words, values: Array, *fields: str) -> Words:
    """Return a lesson's words with so many decimals that some quantities fit given data.

    Parameters
    ----------
    words : Words
        The lesson's.
    values : ndarray, shape (n,) or (n, d)
        The data. A quantity gets decimals down to a hundredth of their standard deviation, of the
        column that varies least; as many as it has already are left.
    fields : str
        The quantities in units of the data.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        spreads = np.atleast_1d(np.std(values, axis=0))
    spreads = spreads[np.isfinite(spreads) & (spreads > 0)]
    if not len(spreads):
        return words
    needed = min(max(_FINE - math.floor(math.log10(spreads.min())), 0), _MOST_DECIMALS)
    quantities = dict(words.quantities)
    for name in fields:
        title, symbol, places = quantities[name]
        if int(places.rpartition(".")[2].rstrip("f")) < needed:
            quantities[name] = Quantity(title, symbol, f".{needed}f")
    return replace(words, quantities=quantities)


@dataclass(frozen=True)
class Problem:
    """What a page's settings ask EM to do.

    Attributes
    ----------
    words : Words
        What the lesson calls things.
    model, sample, start
        What is run, on what, from where. The sample may be without labels and truth: then nothing
        is compared with them.
    guess : callable
        Maps a generator to an initial guess: the page's method, for many starts.
    guess_seed : int
        Seed of these guesses.
    truth : Params or None
        The true parameters, as the model can start from them.
    tol, max_iter
        As for :func:`em_core.fit`.
    data_lines : sequence of str
        Python that makes ``data``, for who takes the run away.
    data_columns : sequence of str
        Names of the data's columns.
    imports : sequence of str
        What ``data_lines`` need from the model's module besides the model and its parameters.
    fixed : collection of str
        Parameters that are not estimated.
    drawn : str or None
        The option of the control ``guess`` that draws the guesses, if there is a choice.
    truth_known : bool
        Whether the data were made here. Of others the truth is not known, and in its place stands
        the estimate with the labels known.
    unknown : str
        Why it is not known, in a sentence.
    effort : float
        How much longer a row takes in a run than one of a number among Gaussians.
    """

    words: Words
    model: Model[Any, Any]
    sample: Sample[Any]
    start: Params
    guess: Callable[[np.random.Generator], Params]
    guess_seed: int
    truth: Params | None
    tol: float
    max_iter: int
    data_lines: Sequence[str]
    data_columns: Sequence[str]
    imports: Sequence[str] = ()
    fixed: Collection[str] = ()
    drawn: str | None = None
    truth_known: bool = True
    unknown: str = NOBODY_KNOWS
    effort: float = 1.0

    @property
    def hard(self) -> bool:
        """Whether each observation goes wholly to one component, where it could be shared."""
        return isinstance(self.model, HardEM)

    @property
    def mixture(self) -> Any:
        """The model without the hard assignment around it."""
        return self.model.model if isinstance(self.model, HardEM) else self.model

    @property
    def is_mixture(self) -> bool:
        """Whether each observation has a component that made it."""
        return isinstance(self.model, Mixture)

    @property
    def winner_takes_all(self) -> bool:
        """Whether each observation goes wholly to one component, by choice or by the model."""
        return self.is_mixture and not hasattr(self.model, "log_joint")

    @property
    def labelled_model(self) -> Mixture[Any, Any]:
        """The model, where each observation has a component that made it.

        Raises
        ------
        TypeError
            If it is no mixture. Ask :attr:`is_mixture` first.
        """
        if not isinstance(self.model, Mixture):
            raise TypeError(f"{self.model!r} is no mixture, so no observation has a component")
        return self.model

    def responsibilities(self, rows: Array, params: Params) -> Array:
        """Return each component's share in some observations, shape (rows, K)."""
        return self.labelled_model.e_step(rows, params).responsibilities

    @property
    def objective(self) -> Objective:
        """What is climbed: with hard assignment, the classification log-likelihood."""
        plain = self.words.objective
        return replace(plain, title=f"Classification {plain.title.lower()}") if self.hard else plain

    @property
    def quantities(self) -> dict[str, Quantity]:
        """The parameters that are estimated."""
        return {f: q for f, q in self.words.quantities.items() if f not in self.fixed}

    def columns(self, params: Params) -> tuple[Column, ...]:
        """Return what each estimated number of some parameters is, in the order of tables."""
        every = schema(params, self.words.names)
        return tuple(column for column in every if column.field not in self.fixed)

    @functools.cached_property
    def data(self) -> Blocks:
        """The observations, checked once for all runs."""
        rows, key = self.sample.data, (id(self.sample.data), repr(self.model))
        known = _prepared.get(key)
        if known is not None and known.model == self.model and known.parts[0] is rows:
            return prepare(self.model, known, self.start)
        blocks = prepare(self.model, rows, self.start)
        if blocks.parts[0] is rows:  # which then has this id as long as the blocks are there
            _prepared[key] = blocks
        return blocks

    @property
    def n(self) -> int:
        """Number of observations."""
        return len(self.sample.data)

    @property
    def size(self) -> int:
        """Rows times components that the plain formulas look at, in rows of the usual cost."""
        rows = sum(map(len, self.data.parts))
        return int(rows * max(self.start.n_components, 1) * max(self.effort, 1.0))

    @functools.cached_property
    def work(self) -> int:
        """The same that one iteration looks at, which may be less for data that were prepared."""
        looked_at = getattr(self.data.prepared, "n_looked_at", None)
        rows = looked_at(self.start) if looked_at else sum(map(len, self.data.parts))
        return max(1, int(rows * max(self.start.n_components, 1) * self.effort))

    @property
    def cost(self) -> int:
        """The same, but no less than what an iteration of few rows takes."""
        return max(self.work, budget.LEAST_WORK)

    def cost_among(self, n_runs: int) -> int:
        """Return the same for each of several runs, which share what an iteration does besides."""
        if not self.side_by_side:
            return self.cost
        return max(self.work, budget.LEAST_WORK // max(n_runs, 1))

    @property
    def side_by_side(self) -> bool:
        """Whether several runs go as one array computation."""
        at_once = getattr(self.data.prepared, "at_once", lambda n_components: 1)
        return bool(at_once(self.start.n_components) > 1)

    def fit(
        self,
        start: Params,
        *,
        tol: float | None = None,
        max_iter: int | None = None,
        accelerate: Accelerate | None = None,
    ) -> Trace[Any]:
        """Run EM from ``start``, as the page says or with another tolerance and limit.

        An iteration that is accelerated takes up to :data:`E_STEPS` E-steps. Others get in between.
        """
        limit = self.max_iter if max_iter is None else max_iter
        with budget.turn(self.cost * limit * (E_STEPS if accelerate else 1)) as turn:
            return fit(
                self.model,
                self.data,
                start,
                tol=self.tol if tol is None else tol,
                max_iter=limit,
                accelerate=accelerate,
                watch=watching(turn, limit),
            )

    def fit_each(
        self,
        starts: Sequence[Params],
        *,
        tol: float | None = None,
        max_iter: int | None = None,
        accelerate: Accelerate | None = None,
    ) -> Iterator[Trace[Any]]:
        """Yield the run from each of several starts, in their order.

        Where that is quicker some go at once, and others get in between. It is told how far all
        are.
        """
        limit = self.max_iter if max_iter is None else max_iter
        some = _AT_ONCE if self.side_by_side else 1
        for first in range(0, len(starts), some):
            now = starts[first : first + some]
            told = f"Start {first + 1:,}"
            told += f" to {first + len(now):,}" * (len(now) > 1) + f" of {len(starts):,}"
            work = self.cost_among(len(now)) * len(now) * max(limit, 1)
            with (
                progress.within(told, first / len(starts), (first + len(now)) / len(starts)),
                budget.turn(work * (E_STEPS if accelerate else 1)) as turn,
            ):
                progress.tell(told, 0.0)
                traces = fit_restarts(
                    self.model,
                    self.data,
                    now,
                    tol=self.tol if tol is None else tol,
                    max_iter=limit,
                    accelerate=accelerate,
                    watch=watching(turn, limit),
                )
            yield from traces


def watching(turn: budget.Turn, limit: int) -> Callable[[int], None]:
    """Return what lets others in between the iterations of a run, and tells how far it is."""

    def watch(iteration: int) -> None:
        if turn.breathe():
            progress.tell(f"Iteration {iteration:,} of {limit:,} at the most", iteration / limit)

    return watch


def simulated(
    mixture: Mixture[Any, Any], truth: Params, size: Any, settings: Settings
) -> tuple[Sample[Any], list[str]]:
    """Draw the data of a lesson; return them with the Python that draws them again.

    Parameters are those of :meth:`em_core.Mixture.simulate`, with the settings of seed and student
    in the place of a generator.
    """
    entropy = data_entropy(settings)
    sample = _draw(mixture, truth, size, entropy)
    return sample, [
        f"rng = np.random.default_rng({entropy})",
        f"truth = {literal(truth)}",
        f"data = {mixture!r}.simulate(truth, {size}, rng=rng).data",
    ]


def _draw(
    mixture: Mixture[Any, Any], truth: Params, size: Any, entropy: Sequence[int]
) -> Sample[Any]:
    key = key_of((mixture, truth, size, entropy))
    data, labels = (known() for known in _drawn.get(key, _NONE))
    if data is not None and labels is not None:
        return Sample(data, labels, truth)
    with budget.turn(budget.DRAWING * np.sum(size)):
        sample = mixture.simulate(truth, size, rng=np.random.default_rng(entropy))
    assert sample.labels is not None  # a mixture knows what it drew from

    def gone(_: object) -> None:
        _drawn.pop(key, None)

    _drawn[key] = weakref.ref(sample.data, gone), weakref.ref(sample.labels, gone)
    return sample


def pose(
    words: Words,
    settings: Settings,
    mixture: Mixture[Any, Any],
    sample: Sample[Any],
    guess: Callable[[np.random.Generator], Params],
    *,
    typed: Params | None = None,
    **more: Any,
) -> Problem:
    """Return the problem of a mixture, with what settings of the usual names say of the run.

    Parameters
    ----------
    words, settings
        The lesson's words, and what its controls are set to: ``guess_seed``, ``start``, ``tol``,
        ``max_iter`` and, if there is such a choice, ``hard``.
    mixture, sample, guess
        As for :class:`Problem`, the mixture without hard assignment.
    typed : Params, optional
        The initial guess, if it is not drawn.
    more
        Further attributes of the problem. The truth to start from is that of the sample, if it is
        not among them.
    """
    seed = settings["guess_seed"]
    return Problem(
        words=words,
        model=HardEM(mixture) if settings.get("hard") else mixture,
        sample=sample,
        start=typed or guess(stream(seed, GUESS, settings["start"])),
        guess=guess,
        guess_seed=seed,
        tol=float(settings["tol"]),
        max_iter=settings["max_iter"],
        **{"truth": sample.truth, **more},
    )
