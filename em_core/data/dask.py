"""Blocks on a Dask cluster: parameters travel to the data, and only sums travel back.

Needs the extra ``dask`` (``pip install ".[dask]"``). Nothing here is imported without Dask data.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import dask
import numpy as np
from dask.delayed import Delayed

from em_core.checks import as_array
from em_core.data.blocks import (
    Blocks,
    Checks,
    Parameters,
    Result,
    Rows,
    count,
    different_rows,
    independent_rows,
    join,
    visit,
)
from em_core.model import Counted
from em_core.numerics import Array


@dataclass(frozen=True)
class ClusterBlocks(Blocks):
    """Blocks that stay where Dask has them.

    Each of ``parts`` is delayed, and stands for an array of rows or for a list of such arrays.
    """

    @property
    def prepared(self) -> None:
        """Nothing: the rows are not here."""
        return None

    def map(self, function: Callable[[Rows, Array | None], Result]) -> Iterator[Result]:
        """Yield ``function(rows, None)`` of each block, in the order of the rows."""
        of_part, cut = dask.delayed(_visit, pure=False), independent_rows(self.model)
        for results in dask.compute(*(of_part(function, part, cut) for part in self.parts)):
            yield from results

    def count_different(self, limit: int) -> int:
        """Return the number of different rows, or ``limit`` if there are as many or more."""
        of_part, found = dask.delayed(_different, pure=False), list[Rows]()
        # The first part has enough of them as a rule, and then no other one is loaded.
        for parts in (self.parts[:1], self.parts[1:]):
            for rows in dask.compute(*(of_part(part, limit) for part in parts)):
                found = different_rows(np.array(rows), limit, found)
            if len(found) == limit:
                break
        return len(found)


def _different(part: Any, limit: int) -> list[Rows]:
    found: list[Rows] = []
    for rows in _arrays(part):
        found = different_rows(rows, limit, found)
    return found


def _visit(function: Callable[[Rows, Array | None], Result], part: Any, cut: bool) -> list[Result]:
    return [result for rows in _arrays(part) for result in visit(function, rows, None, cut=cut)]


def _arrays(part: Any) -> list[Rows]:
    return [as_array("data", rows) for rows in (part if isinstance(part, list | tuple) else [part])]


def prepare(model: Checks[Parameters], data: Any, params: Parameters) -> Blocks:
    """Return a Dask array, or a bag of arrays, as blocks; see :func:`em_core.data.blocks.prepare`.

    The data are checked, and counted if the model can, where they are.
    """
    if isinstance(data, Delayed):  # which has every attribute one asks for
        raise ValueError("Dask data must be an array or a bag of arrays, got a Delayed")
    dimensions = getattr(data, "ndim", 1)
    if dimensions == 0:
        raise ValueError("Dask data must be an array or a bag of arrays, got a single value")
    if dimensions > 1:
        if not hasattr(data, "rechunk"):
            kind = type(data).__name__
            raise ValueError(f"Dask data must be an array or a bag of arrays, got a {kind}")
        data = data.rechunk(dict.fromkeys(range(1, dimensions), -1))
    if hasattr(data, "chunks") and len(data.chunks[0]) > 1 and not independent_rows(model):
        raise ValueError(
            f"the rows of {model!r} belong together, and this Dask array is cut into "
            f"{len(data.chunks[0])} chunks of them; rechunk it along the first axis, or give "
            "whole sequences as a bag of arrays"
        )
    parts = np.ravel(data.to_delayed()).tolist()
    look = dask.delayed(_look, pure=False)
    n, counted, first = 0, [], None
    for i, found in enumerate(dask.compute(*(look(model, part, params) for part in parts))):
        if isinstance(found, str):
            raise ValueError(f"in block {i} of the data: {found}")
        length, of_part, row = found
        n += length
        counted += of_part
        first = row if first is None else first
    if first is None:
        raise ValueError("data must hold at least one observation, got no block")
    return join(model, counted, n) if counted else ClusterBlocks(model, parts, n, first)


def _look(model: Any, part: Any, params: Any) -> str | tuple[int, list[Counted], Rows]:
    """Return what is wrong with a part, or its length, its counted rows and its first row."""
    try:
        arrays = _arrays(part)
        if not arrays:
            return "data must hold at least one observation, got no array"
        for rows in arrays:
            model.check(rows, params)
    except ValueError as error:
        return str(error)
    counted = [count(model, rows) for rows in arrays]
    return sum(map(len, arrays)), [c for c in counted if c is not None], arrays[0][:1]
