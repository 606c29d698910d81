"""Blocks on a Dask cluster: parameters travel to the data, and only sums travel back.

Needs the extra ``dask`` (``pip install ".[dask]"``). Nothing here is imported without Dask data.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dask
import numpy as np

from em_core.blocks import Blocks, Checks, Parameters, Result, Rows, Tally, join, visit
from em_core.numerics import Array


@dataclass(frozen=True)
class ClusterBlocks(Blocks):
    """Blocks that stay where Dask has them.

    Attributes
    ----------
    parts : sequence of dask.delayed.Delayed
        Each stands for an array of rows, or for a list of such arrays.
    n : int
        Number of observations.
    first : ndarray
        The first row, to check parameters against.
    """

    first: Rows | None = None

    def check(self, model: Checks[Parameters], params: Parameters) -> None:
        """Raise ValueError unless the model accepts the parameters with these data."""
        model.check(self.first, params)  # type: ignore[arg-type]

    def map(self, function: Callable[[Rows, Array | None], Result]) -> Iterator[Result]:
        """Yield ``function(rows, None)`` of each block, in the order of the rows."""
        of_part = dask.delayed(_visit, pure=False)
        for results in dask.compute(*(of_part(function, part) for part in self.parts)):
            yield from results


def _visit(function: Callable[[Rows, Array | None], Result], part: Any) -> list[Result]:
    # One thread: the cluster has a task for each processor already.
    return [result for rows in _arrays(part) for result in visit(function, rows, None, threads=1)]


def _arrays(part: Any) -> Sequence[Rows]:
    return [part] if isinstance(part, np.ndarray) else list(part)


def prepare(model: Checks[Parameters], data: Any, params: Parameters) -> Blocks:
    """Return a Dask array, or a Dask bag of arrays, as blocks; see :func:`em_core.blocks.prepare`.

    The data are checked, and tallied if the model can, where they are.
    """
    if getattr(data, "ndim", 1) > 1:
        data = data.rechunk(dict.fromkeys(range(1, data.ndim), -1))
    parts = np.ravel(data.to_delayed()).tolist()
    look = dask.delayed(_look, pure=False)
    looks = dask.compute(*(look(model, part, params) for part in parts))
    n, tallies = 0, []
    for i, (error, length, tallied, _) in enumerate(looks):
        if error is not None:
            raise ValueError(f"in block {i} of the data: {error}")
        n += length
        tallies += tallied
    if tallies:
        return join(tallies, n)
    return ClusterBlocks(parts, n, first=looks[0][3])


def _look(model: Any, part: Any, params: Any) -> tuple[str | None, int, list[Tally], Rows | None]:
    arrays, tally = _arrays(part), getattr(model, "tally", None)
    try:
        for rows in arrays:
            model.check(rows, params)
    except ValueError as error:
        return str(error), 0, [], None
    tallied = [tally(rows) for rows in arrays] if tally else []
    return None, sum(map(len, arrays)), [t for t in tallied if t is not None], arrays[0][:1]
