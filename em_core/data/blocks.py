"""Data as blocks of rows, which are visited one after another in every iteration.

The statistics of EM are sums over observations, so nobody needs all rows at once. Blocks fit the
processor's cache, and data that are larger than memory are loaded block by block. The sums of the
blocks are added up in the order of the rows. Rows that belong together stay together: a model says
so with ``independent_rows = False``.
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from em_core.checks import WrongShapeError, as_array, as_counts
from em_core.model import Counted, Prepared
from em_core.numerics import Array, count_rows

# Rows taken at once: a block, its responsibilities and its temporaries stay in the cache.
BLOCK_ROWS = 8192

Rows = npt.NDArray[Any]
Parameters = TypeVar("Parameters", contravariant=True)
Result = TypeVar("Result")


class Checks(Protocol[Parameters]):
    """The part of a model that looks at data."""

    def check(self, data: Rows, params: Parameters) -> None:
        """Raise ValueError unless ``data`` and ``params`` fit the model and each other."""


class OnCluster(Protocol):
    """A Dask collection: an array of observations, or a bag of such arrays."""

    def __dask_graph__(self) -> Any:
        """Return how it is computed."""


@dataclass(frozen=True)
class Blocks:
    """Observations that fit a model.

    Attributes
    ----------
    model : Model
        Which they fit.
    parts : sequence of ndarray
        Arrays of rows, loaded one after another when they are asked for.
    n : float
        Number of observations.
    first : ndarray
        The first row, which parameters are checked with.
    counts : ndarray, shape (rows,), optional
        How often each row of the only part was observed, if not once.
    joined : bool
        Whether the rows are those that the model counts already.
    counted : dict of int to int
        What :meth:`n_different` has found before, by its limit.
    """

    model: Any
    parts: Sequence[Any]
    n: float
    first: Rows
    counts: Array | None = None
    joined: bool = False
    counted: dict[int, int] = field(default_factory=dict, compare=False, repr=False)

    @functools.cached_property
    def prepared(self) -> Prepared[Any, Any] | None:
        """What the model has made of the rows, if it has an E-step of its own for it.

        It is made when it is first asked for. Of several arrays, which may not be in memory at the
        same time, there is none.
        """
        if len(self.parts) != 1:
            return None
        by = "prepare_counted" if self.joined else "prepare"
        if not written_for(self.model, by, ("log_joint", "e_step", "statistics", "expect")):
            return None
        made = getattr(self.model, by)(np.asarray(self.parts[0]), self.counts)
        return None if isinstance(made, Counted) else made

    def check(self, model: Checks[Parameters], params: Parameters) -> None:
        """Raise ValueError unless they were made for this model, and it accepts the parameters."""
        if self.model != model:
            raise ValueError(f"these data were prepared for {self.model}, not for {model}")
        model.check(self.first, params)

    def map(self, function: Callable[[Rows, Array | None], Result]) -> Iterator[Result]:
        """Yield ``function(rows, counts)`` of each block, in the order of the rows."""
        for i in range(len(self.parts)):
            rows = np.asarray(self.parts[i])
            yield from visit(function, rows, self.counts, cut=independent_rows(self.model))

    def n_different(self, limit: int) -> int:
        """Return the number of different rows, or ``limit`` if there are as many or more."""
        if limit not in self.counted:
            self.counted[limit] = self.count_different(limit)
        return self.counted[limit]

    def count_different(self, limit: int) -> int:
        """Return the same by looking."""
        found: list[Rows] = []
        for i in range(len(self.parts)):
            found = different_rows(np.asarray(self.parts[i]), limit, found)
            if len(found) == limit:
                break
        return len(found)


def visit(
    function: Callable[[Rows, Array | None], Result],
    part: Rows,
    counts: Array | None,
    *,
    cut: bool,
) -> Iterator[Result]:
    """Yield ``function(rows, counts)`` of each block of an array, which is one unless it is cut."""
    _keep_freed_memory()
    if not cut or len(part) <= BLOCK_ROWS:
        yield function(part, counts)
        return
    for start in range(0, len(part), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        yield function(part[rows], None if counts is None else counts[rows])


def different_rows(rows: Rows, limit: int, known: Sequence[Rows] = ()) -> list[Rows]:
    """Return the known rows, and after them the others of an array, but no more than ``limit``."""
    found = list(known)
    start, length = 0, limit  # the first rows are enough as a rule
    while start < len(rows):
        left = rows[start : start + length]
        start, length = start + length, min(2 * length, BLOCK_ROWS)
        for row in found:
            left = left[_differ(left, row)]
        while len(left) and len(found) < limit:
            found.append(left[0].copy())
            left = left[_differ(left, left[0])]
        if len(found) >= limit:
            break
    return found


def _differ(rows: Rows, row: Rows) -> npt.NDArray[np.bool_]:
    return np.asarray((rows != row).any(axis=tuple(range(1, rows.ndim))))


@functools.cache
def _keep_freed_memory() -> None:
    """Make glibc's malloc keep the memory of freed arrays, once in a process.

    It hands freed arrays back to the system until it has seen a large one go, and the page faults
    of new ones then take most of a fit's time. This shows it a large one that nobody touches.
    Measured on a Gaussian mixture of 30,000 values and 8 components, 20 iterations, in a process
    that has fitted nothing larger: 20 ms with it, 73 ms without.
    """
    np.empty(2**22 - 2**12)


def independent_rows(model: Any) -> bool:
    """Return whether the rows of an array may be cut apart, as they may unless a model objects."""
    return bool(getattr(model, "independent_rows", True))


def written_for(model: Any, quick: str, plain: Sequence[str]) -> bool:
    """Return whether a model has a quick method that does what its plain ones do.

    A subclass that has a plain one of its own, and not the quick one, means the plain one.
    """

    def place(name: str) -> float:
        kinds = enumerate(type(model).__mro__)
        return next((i for i, kind in kinds if name in vars(kind)), math.inf)

    return place(quick) < math.inf and all(place(quick) <= place(name) for name in plain)


def prepare(
    model: Checks[Parameters], data: Any, params: Parameters, counts: npt.ArrayLike | None = None
) -> Blocks:
    """Return the data as blocks, after a check at the door.

    Parameters
    ----------
    model : Model
        Its ``check`` refuses what does not fit. If its ``prepare`` counts equal observations, these
        are put together, and visited once.
    data : array_like, sequence of ndarray, Dask array, Dask bag of ndarray, or Blocks
        One array; several that are loaded one after another; data on a cluster; or what this
        function returned.
    params : Params
        What the data are to fit.
    counts : array_like, shape (n,), optional
        How often each row of one array was observed, if not once.

    Raises
    ------
    ValueError
        If data are masked, the model refuses them or the parameters, or the counts do not fit the
        rows, come with data in several arrays, or mean nothing to the model.
    """
    if counts is not None:
        return _with_counts(model, data, params, counts)
    if isinstance(data, Blocks):
        data.check(model, params)
        return data
    if hasattr(data, "__dask_graph__"):
        from em_core.data import dask  # which imports Dask

        return dask.prepare(model, data, params)
    if _is_sequence_of_blocks(model, data, params):
        return _look_through(model, data, params)
    array = as_array("data", data)
    model.check(array, params)
    counted = count(model, array)
    if counted is None:
        return Blocks(model, [array], len(array), array[:1])
    return join(model, [counted], len(array))


def _with_counts(model: Any, data: Any, params: Any, counts: npt.ArrayLike) -> Blocks:
    if (
        isinstance(data, Blocks)
        or hasattr(data, "__dask_graph__")
        or _is_sequence_of_blocks(model, data, params)
    ):
        raise ValueError(
            "counts go with data in one array, got several, or data that were prepared before; "
            "put them into one array, or repeat the rows"
        )
    steps = [getattr(model, name) for name in ("expect", "e_step") if hasattr(model, name)]
    if not all("counts" in inspect.signature(step).parameters for step in steps):
        raise ValueError(
            f"counts mean nothing to {model!r}, whose E-step does not take them; repeat the rows"
        )
    array = as_array("data", data)
    model.check(array, params)
    times = as_counts(counts, len(array))
    seen = times > 0  # the others were not observed at all, and may be impossible
    rows, times = array[seen], times[seen]
    n = float(times.sum())
    counted = count(model, rows, times)
    if counted is None:
        return Blocks(model, [rows], n, rows[:1], times)
    return join(model, [counted], n)


def _look_through(model: Any, parts: Sequence[Rows], params: Any) -> Blocks:
    n, found, first = 0, [], np.asarray(parts[0])[:1].copy()
    for i in range(len(parts)):
        try:
            rows = as_array("data", parts[i])
            model.check(rows, params)
        except ValueError as error:
            raise ValueError(f"in block {i} of the data: {error}") from None
        n += len(rows)
        counted = count(model, rows)
        if counted is not None:
            found.append(counted)
    return join(model, found, n) if found else Blocks(model, parts, n, first)


def _is_sequence_of_blocks(model: Checks[Parameters], data: Any, params: Parameters) -> bool:
    if hasattr(data, "__array__") or isinstance(data, str | Mapping):
        return False
    if not (hasattr(data, "__getitem__") and len(data)):
        return False
    first = data[0]
    if not isinstance(first, np.ndarray) or first.ndim == 0:
        return False
    # An array (n, d) may come as a list of its rows. Blocks are what the model takes by themselves.
    try:
        model.check(np.ones((1, *first.shape[1:]), first.dtype), params)
    except WrongShapeError:
        return False
    return True


def count(model: Any, rows: Rows, counts: Array | None = None) -> Counted | None:
    """Return the different rows and how often each occurs, if that is what the model prepares."""
    # One row tells of which kind it is.
    one = None if counts is None else counts[:1]
    if not isinstance(_prepared_by(model, rows[:1], one), Counted):
        return None
    made = _prepared_by(model, rows, counts)
    assert isinstance(made, Counted)  # of one kind for all data
    return made


def _prepared_by(
    model: Any, rows: Rows, counts: Array | None
) -> Counted | Prepared[Any, Any] | None:
    prepare: Callable[[Rows, Array | None], Counted | Prepared[Any, Any] | None] | None
    prepare = getattr(model, "prepare", None)
    return prepare(rows, counts) if prepare else None


def join(model: Any, counted: Sequence[Counted], n: float) -> Blocks:
    """Return the blocks of ``n`` observations that were counted part by part."""
    rows, counts = count_rows(*map(np.concatenate, zip(*counted, strict=True)))
    return Blocks(model, [rows], n, rows[:1], counts, joined=True)
