"""What a model has to say of itself: its parameters, its two steps, and what a mixture adds.

Dempster, Laird and Rubin's EM ("Maximum likelihood from incomplete data via the EM algorithm", JRSS
B 39, 1977) asks for the *expected sufficient statistics* of the complete data, and for the
parameters that they make most likely. That is a :class:`Model`. Where each observation has a label
that is not seen, the statistics come from responsibilities: that is a :class:`Mixture`.
"""

import functools
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from em_core.checks import as_array, as_integer, as_sizes, check_rng, refuse_masked
from em_core.numerics import ROUNDING, Array, equal_weights, posterior

_AXES = "component_axes"  # where a field keeps its own

# Of an array in a repr: how many numbers are shown at the most, and how many at each end of more.
_SHOWN, _ENDS = 12, 3


def component_axes(*axes: int) -> Any:
    """Declare which axes of a parameter run over the components.

    Without it the first axis of an array does, and none of a single number.

    Parameters
    ----------
    *axes : int
        All axes along which there is one entry per component. With none at all, the parameter is
        shared by the components.

    Examples
    --------
    >>> @dataclass(frozen=True, eq=False)
    ... class ChainParams(Params):
    ...     emissions: np.ndarray  # a row for each state
    ...     transitions: np.ndarray = component_axes(0, 1)
    ...     noise: np.ndarray = component_axes()
    >>> ChainParams([[1, 2, 3], [4, 5, 6]], [[0.9, 0.1], [0.3, 0.7]], [1, 2, 3]).relabel([1, 0])
    ChainParams(emissions=[[4, 5, 6], [1, 2, 3]], transitions=[[0.7, 0.3], [0.1, 0.9]], \
noise=[1, 2, 3])
    """
    for axis in axes:
        as_integer("axis", axis, minimum=0)
    return field(metadata={_AXES: axes})


@dataclass(frozen=True, eq=False)
class Params:
    """Parameters of a model: numbers and arrays, each with a name.

    Subclasses are frozen dataclasses (with ``eq=False``) that only declare the fields. The first
    axis of an array is the component, unless :func:`component_axes` says otherwise. Values are
    copied to read-only float arrays, so a step of a trace cannot be changed from outside.

    Raises
    ------
    ValueError
        If a field cannot be read as an array of numbers, has masked values or too few axes, or the
        fields differ in the number of components.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A dataclass writes a repr into each class that has none, and with it all the numbers.
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = Params.__repr__  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        lengths = {}
        for name, declared in self._declared():
            given = getattr(self, name)
            array = given.copy() if _is_plain(given) else _as_numbers(name, given)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
            for axis in _axes(array, declared):
                if axis >= array.ndim:
                    got = f"shape {array.shape}" if array.ndim else f"the value {given!r}"
                    raise ValueError(
                        f"{name} must have one entry per component"
                        + f" along axis {axis}" * (axis > 0)
                        + f", got {got}"
                    )
                lengths[f"{name} along axis {axis}" if axis else name] = array.shape[axis]
        if len(set(lengths.values())) > 1:
            raise ValueError(f"all parameters must have one entry per component, got {lengths}")

    @classmethod
    def of(cls, arrays: "Arrays") -> Self:
        """Return the parameters with these arrays, which are neither looked at nor copied.

        For an M-step, which knows what it made: floats of the right shapes, by name in the order of
        the fields, that nobody else writes to. They become read-only.
        """
        for array in arrays.values():
            array.setflags(write=False)
        made = object.__new__(cls)
        vars(made).update(arrays)
        return made

    @property
    def n_components(self) -> int:
        """Number of components, K; 0 if no parameter belongs to a component."""
        for _, array, axes in self._parts():
            if axes:
                return int(array.shape[axes[0]])
        return 0

    def arrays(self) -> dict[str, Array]:
        """Return the parameter arrays by name; a single number has no axes."""
        values = vars(self)
        return {name: values[name] for name in _names_in(type(self))}  # type: ignore[arg-type]

    def vector(self) -> Array:
        """Return all parameters as one vector, in the order of the fields, each row by row."""
        return np.concatenate([array.ravel() for array in self.arrays().values()])

    def with_vector(self, vector: Array) -> Self:
        """Return parameters of the same shapes whose :meth:`vector` is this one."""
        arrays = self.arrays()
        ends = np.cumsum([array.size for array in arrays.values()])[:-1]
        parts = zip(arrays.items(), np.split(vector, ends), strict=True)
        return type(self)(**{name: part.reshape(array.shape) for (name, array), part in parts})

    def entry_names(self) -> tuple[str, ...]:
        """Return a name for each entry of :meth:`vector`.

        A number goes by its name alone; an entry of an array has its indices beside it, as in
        ``means[0]`` or ``centroids[0,1]``.
        """
        return tuple(
            f"{name}[{','.join(map(str, index))}]" if index else name
            for name, array in self.arrays().items()
            for index in np.ndindex(array.shape)
        )

    def relabel(self, order: npt.ArrayLike) -> Self:
        """Return the same parameters with component ``order[j]`` in place ``j``.

        Raises
        ------
        ValueError
            If ``order`` does not name each component once, or there are no components.
        """
        index, k = as_array("order", order), self.n_components
        if not k:
            raise ValueError(f"{type(self).__name__} has no components that could be relabelled")
        if sorted(index.ravel().tolist()) != list(range(k)):
            raise ValueError(
                f"order must name each component from 0 to {k - 1} once, got {order!r}"
            )
        relabelled = {}
        for name, array, axes in self._parts():
            for axis in axes:
                array = array.take(index.astype(int), axis=axis)
            relabelled[name] = array
        return type(self)(**relabelled)

    def by_component(self) -> Array:
        """Return what tells each component apart whatever the others are called, shape (K, m).

        A row holds the component's entries in all parameters of one component axis; of those with
        more, where components meet, its own entry and the others in order of size.
        """
        k, rows = self.n_components, []
        own = np.arange(k)
        for _, array, axes in self._parts():
            if len(axes) == 1:
                rows.append(np.moveaxis(array, axes[0], 0))
            elif axes:
                rows.append(np.moveaxis(array, axes, range(len(axes)))[(own,) * len(axes)])
                by_axis = (np.moveaxis(array, axis, 0).reshape(k, -1) for axis in axes)
                rows += [np.sort(others) for others in by_axis]
        return np.hstack([row.reshape(k, -1) for row in rows]) if k else np.empty((0, 0))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        mine, theirs = self.arrays(), other.arrays()
        return all(np.array_equal(mine[name], theirs[name]) for name in mine)

    def __repr__(self) -> str:
        shown = (f"{name}={_rounded(array)}" for name, array in self.arrays().items())
        return f"{type(self).__name__}({', '.join(shown)})"

    __hash__ = None  # type: ignore[assignment]

    def _declared(self) -> tuple[tuple[str, tuple[int, ...] | None], ...]:
        return _declared_by(type(self))  # type: ignore[arg-type] # a class has a hash

    def _parts(self) -> Iterator[tuple[str, Array, tuple[int, ...]]]:
        """Yield the name, the array and the component axes of each parameter."""
        for name, declared in self._declared():
            array = getattr(self, name)
            yield name, array, _axes(array, declared)


def _is_plain(given: Any) -> bool:
    """Return whether this is an array of floats, as an M-step makes it: nothing is to be read."""
    return type(given) is np.ndarray and given.dtype == np.float64


def _as_numbers(name: str, given: Any) -> Array:
    """Return what was given as a new array of floats, or raise ValueError."""
    refuse_masked(name, given)
    try:
        if np.iscomplexobj(given):
            raise TypeError
        return np.array(given, dtype=float)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be an array of numbers, got {given!r}") from None


@functools.cache
def _declared_by(kind: type[Any]) -> tuple[tuple[str, tuple[int, ...] | None], ...]:
    """Return the name of each field and the component axes that it declares, if it does."""
    return tuple((each.name, each.metadata.get(_AXES)) for each in fields(kind))


@functools.cache
def _names_in(kind: type[Any]) -> tuple[str, ...]:
    """Return the name of each field."""
    return tuple(each.name for each in fields(kind))


def _axes(array: Array, declared: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the component axes of a parameter."""
    if declared is None:
        return (0,) if array.ndim else ()
    return declared


def _rounded(array: Array) -> str:
    """Return an array in one line, its numbers rounded to six digits and most of many left out."""
    text = np.array2string(
        array,
        separator=", ",
        threshold=_SHOWN,
        edgeitems=_ENDS,
        formatter={"float_kind": lambda x: f"{x:.6g}"},
    )
    return " ".join(text.split())


ParamsT = TypeVar("ParamsT", bound=Params)
StatisticsT = TypeVar("StatisticsT", bound=tuple[Any, ...])
_TakenT = TypeVar("_TakenT", bound=Params, contravariant=True)
_FoundT = TypeVar("_FoundT", bound=tuple[Any, ...], covariant=True)


class Note(NamedTuple):
    """What a model has to say of the parameters with which a run ended.

    Attributes
    ----------
    text : str
        A sentence, with ``{}`` where the components that it is about are named.
    components : tuple of int
        These components, from 0; empty if it is about none in particular.
    """

    text: str
    components: tuple[int, ...] = ()

    def relabel(self, order: npt.ArrayLike) -> "Note":
        """Return what it says once component ``order[j]`` is in place ``j``."""
        place = np.argsort(order)
        return Note(self.text, tuple(sorted(int(place[k]) for k in self.components)))

    def __str__(self) -> str:
        *others, last = map(str, self.components or ("",))
        listed = f"{', '.join(others)} and {last}" if others else last
        return self.text.replace("{}", listed)


def notes_about(components: Iterable[int], one: str, several: str) -> list[Note]:
    """Return a note about some components: none without any, and ``one`` or ``several`` else."""
    about = tuple(int(k) for k in components)
    return [Note(several if len(about) > 1 else one, about)] if about else []


def coinciding(params: Params) -> list[list[int]]:
    """Return the groups of components that are equal, to within rounding, but for their weights."""
    if _mixing_weights(params) is not None:
        params = replace(params, weights=equal_weights(params.n_components))  # type: ignore[call-arg]
    rows = params.by_component()
    slack = ROUNDING * np.abs(rows).max(axis=0, initial=0.0)
    equal = (np.abs(rows[:, None] - rows) <= slack).all(axis=2)
    first = equal.argmax(axis=0)  # which each is equal to; the column of NaN is equal to none
    groups = [np.flatnonzero((first == k) & equal[k]).tolist() for k in range(len(rows))]
    return [group for group in groups if len(group) > 1]


def _mixing_weights(params: Params) -> Array | None:
    """Return the parameter that goes by this name, if there is one with one for each component."""
    weights = params.arrays().get("weights")
    return weights if weights is not None and weights.shape == (params.n_components,) else None


class EStep(NamedTuple):
    """What a mixture's E-step finds at the parameters it was given.

    Attributes
    ----------
    responsibilities : ndarray, shape (n, K)
        ``responsibilities[i, k]`` is p(z_i = k | x_i, params); rows sum to one. One-hot for
        winner-takes-all assignment.
    objective : float
        What EM climbs, at exactly these parameters, in nats: the log-likelihood, or for K-Means
        minus the inertia (in squared units of the data).
    """

    responsibilities: Array
    objective: float


class Sample(NamedTuple, Generic[ParamsT]):
    """Observations, and what is hidden in real life where it is known.

    Attributes
    ----------
    data : ndarray, shape (n,) or (n, d)
        The observations.
    labels : ndarray of int, shape (n,), optional
        The component that produced each observation.
    truth : Params, optional
        The parameters they were drawn from.
    """

    data: npt.NDArray[Any]
    labels: npt.NDArray[np.int64] | None = None
    truth: ParamsT | None = None


class Counted(NamedTuple):
    """Different rows, and how often each was observed: to ``expect`` they are the whole data.

    Attributes
    ----------
    rows : ndarray, shape (r,) or (r, d)
        The rows, as the model takes them.
    counts : ndarray, shape (r,)
        How often each was observed.
    """

    rows: npt.NDArray[Any]
    counts: Array


class Prepared(Protocol[_TakenT, _FoundT]):
    """What a model has made of its data, for E-steps of its own that are quick.

    It is not changed by a run, and several may share it. It may say more of itself:

    ``n_looked_at(params)`` : int
        How many rows an E-step under such parameters looks at. Without it, it is all.
    ``objectives(arrays)`` : ndarray, shape (R,)
        The objectives of R parameters, where there is a quicker way than that of as many runs.
    """

    def begin(self) -> Callable[[_TakenT], tuple[_FoundT, float]]:
        """Return the E-step of one run: what ``expect`` of the model returns for all data.

        It may remember what it found at the parameters before, which as a rule are near.
        """


# The parameters of R runs by name, as Params.arrays has those of one, with the runs as first axis.
Arrays = dict[str, Array]


class PreparedForMany(Prepared[_TakenT, _FoundT], Protocol[_TakenT, _FoundT]):
    """What a model has made of its data, for E-steps of many runs as one array computation."""

    def at_once(self, n_components: int) -> int:
        """Return how many runs' arrays fit the cache together; 1 if runs had better go singly."""

    def begin_many(self) -> Callable[[Arrays], tuple[_FoundT, Array]]:
        """Return an E-step of R runs at a time, whichever they are: it remembers nothing.

        It returns the statistics of :meth:`begin` with the runs as a first axis more, and the
        objectives, shape (R,). The others do not notice if one run has lost its way.
        """


class Model(Protocol[ParamsT, StatisticsT]):
    """The two steps of EM, what the M-step maximizes, and a check at the door.

    A model is a frozen dataclass of hyper-parameters. It never holds data or results. It need not
    inherit from this class: whatever has the four methods is a model.

    A model may say more of itself, by attributes and methods that not every one has:

    ``independent_rows`` : bool
        False if the rows of an array belong together, as those of a sequence do. Then an array is
        never cut; a sequence of arrays is several whole sequences. Without it, rows are
        independent.
    ``objective_is_log_likelihood`` : bool
        False if the objective is none, so that there is no AIC and no BIC. Without it, it is one.
    ``n_parameters(params)`` : int
        Number of free parameters that the M-step estimates.
    ``why_not_finite(params)`` : str
        What it means that the objective of these parameters is not finite, and what to do about it,
        in whole sentences.
    ``term_size(statistics, params)`` : float or None
        Sum of the sizes of the terms that the objective of ``params`` is computed from, in its
        units, beyond the size of the objective itself; ``statistics`` are those under ``params``.
        A fall that is small against it is taken for rounding, and no fault of the model. Without
        it, or with None, the size of Q is taken, and one for each observation.
    ``notes(statistics, params, n_different)`` : iterable of Note
        What else one should know of the parameters with which a run ended, such as a component that
        no observation belongs to. ``statistics`` are those under ``params``; ``n_different`` is the
        number of different observations, or of the components if there are fewer of these.
    ``prepare(data, counts=None)`` : Counted, Prepared or None
        What the model makes of an array of observations once, so that each of the E-steps is quick,
        or None where that is of no use. Rows that were observed ``counts`` times each count as
        often. It never changes what a run finds but for rounding. A model has one kind of it for
        all data of one kind: :class:`Counted` rows, which are then what its ``expect`` is given, or
        something :class:`Prepared` with an E-step of its own.
    ``prepare_counted(rows, counts)`` : Prepared
        The same for rows that it has counted, if there is a quicker E-step for these than
        ``expect``.
    ``m_step_many(statistics, previous)`` : dict of str to ndarray
        The M-step of many runs at a time. The statistics and the arrays of the previous parameters,
        by name, have the runs as a first axis, and so have the arrays it returns. With it, and with
        data that are :class:`PreparedForMany`, :func:`em_core.fit_restarts` runs from all guesses
        at once.
    ``to_free(params, like)`` and ``from_free(vector, like)``
        Parameters as a vector, shape (P,), all of whose values are admissible, and back: for
        :mod:`em_core.acceleration`. Logarithms of standard deviations and log-odds of probabilities
        are free. Entries are in units in which one observation tells them, such as a mean in the
        standard deviations of the parameters ``like``, which are near; so they do not depend on the
        units of the data. What the M-step keeps is left out, and is that of ``like``. A value at
        its bound has a vector that is not finite. Without the two, parameters are taken as they
        are, and ``check`` says whether they are admissible.

    A model whose ``expect`` takes a third argument, ``counts``, shape (n,), can be told how often
    each row was observed. One that counts rows must.
    """

    def check(self, data: npt.NDArray[Any], params: ParamsT) -> None:
        """Raise ValueError unless ``data`` and ``params`` fit the model and each other."""

    def expect(self, data: npt.NDArray[Any], params: ParamsT) -> tuple[StatisticsT, float]:
        """Return the expected sufficient statistics under ``params``, and the objective of these.

        Both are sums over the rows of ``data``, the statistics as a tuple of them.
        """

    def m_step(self, statistics: StatisticsT, previous: ParamsT) -> ParamsT:
        """Return the maximum likelihood parameters for these statistics.

        ``previous`` are the parameters with which the statistics were taken.
        """

    def expected_objective(
        self, statistics: StatisticsT, params: ParamsT, previous: ParamsT
    ) -> float:
        """Return what the M-step maximizes over ``params``, up to a constant: Q.

        ``previous`` are the parameters with which the statistics were taken.
        """


class Mixture(Model[ParamsT, StatisticsT]):
    """A model in which each observation has a label: the base class to inherit from.

    A mixture supplies ``check``, ``log_joint``, ``statistics``, ``m_step`` and
    ``expected_objective``; Bayes' rule and the E-step follow from these. One without densities
    supplies ``e_step`` in place of ``log_joint``. ``check_params`` and ``draw`` are for
    ``simulate``, and the rest is as a :class:`Model` has it.
    """

    independent_rows: ClassVar[bool] = True
    objective_is_log_likelihood: ClassVar[bool] = True

    if TYPE_CHECKING:
        # Not every mixture has one, so that at run time nothing may stand here.
        def log_joint(self, data: npt.NDArray[Any], params: ParamsT) -> Array:
            """Return log p(x_i, z_i = k | params), shape (n, K)."""

    @abstractmethod
    def check(self, data: npt.NDArray[Any], params: ParamsT) -> None:
        """Raise ValueError unless ``data`` and ``params`` fit the model and each other."""

    @abstractmethod
    def statistics(
        self, data: npt.NDArray[Any], params: ParamsT, responsibilities: Array
    ) -> StatisticsT:
        """Return the expected sufficient statistics: a tuple of sums over the rows of ``data``."""

    @abstractmethod
    def m_step(self, statistics: StatisticsT, previous: ParamsT) -> ParamsT:
        """Return the maximum likelihood parameters for these statistics."""

    @abstractmethod
    def expected_objective(
        self, statistics: StatisticsT, params: ParamsT, previous: ParamsT
    ) -> float:
        """Return what the M-step maximizes over ``params``, up to a constant: Q."""

    def e_step(self, data: npt.NDArray[Any], params: ParamsT, counts: Array | None = None) -> EStep:
        """Return each component's share in each observation (Bayes' rule) and the log-likelihood.

        ``counts``, shape (n,), says how often each observation was made, if not once.
        """
        responsibilities, log_evidence = posterior(self.log_joint(data, params))
        total = log_evidence.sum() if counts is None else counts @ log_evidence
        return EStep(responsibilities, float(total))  # l = sum_i log sum_k p(x_i, z_i = k)

    def expect(
        self, data: npt.NDArray[Any], params: ParamsT, counts: Array | None = None
    ) -> tuple[StatisticsT, float]:
        """Return the expected sufficient statistics under ``params``, and the objective of these.

        ``counts`` as for :meth:`e_step`.
        """
        if counts is None:
            responsibilities, objective = self.e_step(data, params)
        else:
            responsibilities, objective = self.e_step(data, params, counts)
            responsibilities = responsibilities * counts[:, None]
        return self.statistics(data, params, responsibilities), objective

    def likeliest(
        self, data: npt.NDArray[Any], history: Iterable[ParamsT]
    ) -> Iterator[npt.NDArray[np.intp]]:
        """Yield each observation's likeliest component, shape (n,), along the parameters of a run.

        Of equally likely ones it is the first.
        """
        for params in history:
            yield self.e_step(data, params).responsibilities.argmax(axis=1)

    def term_size(self, statistics: StatisticsT, params: ParamsT) -> float | None:
        """Return the size of the terms that the objective is computed from, or None: see Model."""
        return None

    def component_counts(self, statistics: StatisticsT) -> Array | None:
        """Return the expected number of observations of each component, shape (K,).

        Or None, where the statistics do not tell.
        """
        return None

    def notes(self, statistics: StatisticsT, params: ParamsT, n_different: int) -> list[Note]:
        """Return what one should know of the parameters with which a run ended: see Model.

        That is which components are responsible for nothing, which coincide, and whether there are
        more than different observations.
        """
        k = params.n_components
        weights, counts = _mixing_weights(params), self.component_counts(statistics)
        weightless = np.zeros(k, dtype=bool) if weights is None else weights == 0
        counts = np.ones(k) if counts is None else counts
        # A share that the sum over all components does not notice.
        idle = (counts <= np.finfo(float).eps * counts.sum()) & ~weightless
        found = notes_about(
            np.flatnonzero(weightless),
            "Component {} has mixing weight 0 and is responsible for no observation: the data do "
            "not tell its other parameters.",
            "Components {} have mixing weight 0 and are responsible for no observation: the data "
            "do not tell their other parameters.",
        )
        found += notes_about(
            np.flatnonzero(idle),
            "Component {} is responsible for no observation: the data do not tell its parameters.",
            "Components {} are responsible for no observation: the data do not tell their "
            "parameters.",
        )
        found += [
            Note("Components {} coincide: to the data they are one.", tuple(group))
            for group in coinciding(params)
        ]
        if n_different < k:
            found.append(
                Note(
                    f"{k} components are more than there are different observations "
                    f"({n_different}): so many cannot be told apart."
                )
            )
        return found

    def n_parameters(self, params: ParamsT) -> int:
        """Return the number of free parameters that the M-step estimates.

        Raises
        ------
        ValueError
            If the mixture does not say.
        """
        raise ValueError(f"{type(self).__name__} has no n_parameters, so they cannot be counted")

    def why_not_finite(self, params: ParamsT) -> str:
        """Return what it means that the objective of ``params`` is not finite, and what to do."""
        return (
            "An observation is impossible under every component, or has an infinite density. "
            "Start from another guess."
        )

    def check_params(self, params: ParamsT) -> None:
        """Raise ValueError unless observations can be drawn from ``params``."""

    def draw(
        self, params: ParamsT, labels: npt.NDArray[np.int64], *, rng: np.random.Generator
    ) -> npt.NDArray[Any]:
        """Return an observation from the component of each label, shape (n,) or (n, d).

        Raises
        ------
        ValueError
            If the mixture has nothing to draw with.
        """
        raise ValueError(f"{type(self).__name__} has no draw, so nothing can be simulated")

    def simulate(
        self,
        truth: ParamsT,
        size: int | Sequence[int] | npt.NDArray[np.integer[Any]],
        *,
        rng: np.random.Generator,
    ) -> Sample[ParamsT]:
        """Draw observations.

        Parameters
        ----------
        truth : Params
            What they are drawn from.
        size : int or array_like of int, shape (K,)
            How many in all: the component of each is then drawn with the mixing weights of
            ``truth`` (equal ones where it has none). Or how many of each component, whatever the
            weights: these then come in random order.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        Sample
            The observations, the component of each, and ``truth``.

        Raises
        ------
        ValueError
            If a size is not a positive whole number, there are not K of them, ``truth`` does not
            fit the model, or ``rng`` is no generator.
        """
        check_rng(rng)
        return draw_sample(self, truth, size, rng)


def draw_sample(
    mixture: Mixture[ParamsT, Any], truth: ParamsT, size: Any, rng: Any, **settings: Any
) -> Sample[ParamsT]:
    """Return what :meth:`Mixture.simulate` does, with ``settings`` for the mixture's ``draw``.

    ``rng`` may be whatever has the methods of a generator.
    """
    draw: Any = mixture.draw  # which may take settings or not
    sizes = as_sizes(size)
    mixture.check_params(truth)
    k = truth.n_components
    if np.ndim(size) == 0:
        weights = truth.arrays().get("weights", np.ones(k))
        labels = rng.choice(k, size=sizes[0], p=weights / weights.sum())
        return Sample(draw(truth, labels, rng=rng, **settings), labels, truth)
    if len(sizes) != k:
        raise ValueError(f"size must have one entry for each of {k} components, got {size!r}")
    labels = np.repeat(np.arange(k), sizes)
    data = draw(truth, labels, rng=rng, **settings)
    order = rng.permutation(len(labels))
    return Sample(data[order], labels[order], truth)
