"""Data as blocks of rows, which are visited one after another in every iteration.

The statistics of EM are sums over observations, so nobody needs all rows at once. Blocks fit the
processor's cache; several threads work on them; and data that are larger than memory are loaded
block by block. The sums of the blocks are added up in the order of the rows, so the result does not
depend on the number of threads, not even in its last bit.
"""

import functools
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from em_core.numerics import Array, WrongShapeError, as_array

# Rows taken at once: a block, its responsibilities and its temporaries stay in the cache.
BLOCK_ROWS = 8192

# How many threads work on the blocks. On two processors, where it was measured, a second one gains
# nothing: with blocks that fit the cache, the interpreter is handed over too often.
n_threads = 1

# glibc's malloc hands freed arrays back to the system, and the page faults of new ones then take
# half of a fit's time, until it has seen a large array go. This shows it one that nobody touches.
np.empty(2**22 - 2**12)

Rows = npt.NDArray[Any]
Tally = tuple[Rows, Array]  # different rows, and how often each was observed
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
    n : int
        Number of observations.
    first : ndarray
        The first row, which parameters are checked with.
    counts : ndarray, shape (rows,), optional
        How often each row of the only part was observed, if not once.
    """

    model: Any
    parts: Sequence[Any]
    n: int
    first: Rows
    counts: Array | None = None

    def check(self, model: Checks[Parameters], params: Parameters) -> None:
        """Raise ValueError unless they were made for this model, and it accepts the parameters."""
        if self.model != model:
            raise ValueError(f"these data were prepared for {self.model}, not for {model}")
        model.check(self.first, params)

    def map(self, function: Callable[[Rows, Array | None], Result]) -> Iterator[Result]:
        """Yield ``function(rows, counts)`` of each block, in the order of the rows."""
        for i in range(len(self.parts)):
            rows = np.asarray(self.parts[i])
            yield from visit(function, rows, self.counts, threads=n_threads)


def visit(
    function: Callable[[Rows, Array | None], Result],
    part: Rows,
    counts: Array | None,
    *,
    threads: int,
) -> list[Result]:
    """Return ``function(rows, counts)`` of each block of an array, in the order of the rows."""

    def of_run(starts: range) -> list[Result]:
        cuts = [slice(start, start + BLOCK_ROWS) for start in starts]
        return [function(part[cut], None if counts is None else counts[cut]) for cut in cuts]

    if len(part) <= BLOCK_ROWS:
        return [function(part, counts)]
    starts = range(0, len(part), BLOCK_ROWS)
    # Each thread gets a run of neighbours: one hand-over an iteration, not one a block.
    threads = max(min(threads, len(starts)), 1)
    ends = [len(starts) * i // threads for i in range(threads + 1)]
    first, *others = (starts[i:j] for i, j in itertools.pairwise(ends))
    futures = [_pool().submit(of_run, run) for run in others]
    results = of_run(first)
    for future in futures:
        results += future.result()
    return results


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="em_core")


if hasattr(os, "register_at_fork"):
    # A forked child has the pool, but not its threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)


def prepare(model: Checks[Parameters], data: Any, params: Parameters) -> Blocks:
    """Return the data as blocks, after a check at the door.

    Parameters
    ----------
    model : Model
        Its ``check`` refuses what does not fit. If it has a ``tally``, equal observations are put
        together, and visited once.
    data : array_like, sequence of ndarray, Dask array, Dask bag of ndarray, or Blocks
        One array; several that are loaded one after another; data on a cluster; or what this
        function returned.
    params : Params
        What the data are to fit.

    Raises
    ------
    ValueError
        If the model refuses the data or the parameters.
    """
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
    tallied = tally(model, array)
    if tallied is None:
        return Blocks(model, [array], len(array), array[:1])
    return join(model, [tallied], len(array))


def _look_through(model: Any, parts: Sequence[Rows], params: Any) -> Blocks:
    n, tallies, first = 0, [], np.asarray(parts[0])[:1].copy()
    for i in range(len(parts)):
        rows = np.asarray(parts[i])
        try:
            model.check(rows, params)
        except ValueError as error:
            raise ValueError(f"in block {i} of the data: {error}") from None
        n += len(rows)
        tallied = tally(model, rows)
        if tallied is not None:
            tallies.append(tallied)
    return join(model, tallies, n) if tallies else Blocks(model, parts, n, first)


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


def tally(model: Any, rows: Rows) -> Tally | None:
    """Return the different rows and how often each occurs, if the model has a use for that.

    A model has it for all data or for none.
    """
    counted: Callable[[Rows], Tally | None] | None = getattr(model, "tally", None)
    return counted(rows) if counted else None


def join(model: Any, tallies: Sequence[Tally], n: int) -> Blocks:
    """Return the blocks of ``n`` observations that were tallied part by part."""
    rows, place = np.unique(np.concatenate([rows for rows, _ in tallies]), return_inverse=True)
    times = np.concatenate([times for _, times in tallies])
    counts = np.bincount(place, weights=times).astype(float)
    return Blocks(model, [rows], n, rows[:1], counts)
