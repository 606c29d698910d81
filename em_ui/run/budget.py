"""The budget of computing time: what one visitor may take of it, and the queues for the rest.

Work is counted in rows times components times iterations. Everything that a page computes takes a
:func:`turn`, and everything that could grow without bound is cut to one of the amounts below, or is
computed in pieces, each in a turn of its own, so that others get in between.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from em_ui.run import progress

# The run to its limit, the run from the truth, comparing starts with several numbers of components,
# going on from where many runs ended, and a map of starts.
LIMIT, TRUTH, COMPARED, ENDS, MAP = 3e7, 1e8, 6e8, 2e8, 1.2e8

# What a run is followed beyond its end with all sections closed, unless it took longer itself.
GLANCE = 1.5e6

# Rows times components that take as long as what an iteration does besides.
LEAST_WORK = 15_000

# Rows times components times iterations that take as long as drawing one row.
DRAWING = 30

# What is computed at once of many runs, before others get in between.
PIECE = 2e7

# Fits in several threads at once fight over the interpreter, and all of them get slower. So they
# take turns, in two queues: a quick one does not wait for one of more work than this.
_QUICK_WORK = 2e7


class _Queue:
    """Who comes first gets the next turn.

    A plain lock would go back to a thread that takes many turns in a row, and starve the others.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: deque[threading.Event] = deque()

    @contextmanager
    def turn(self) -> Iterator[None]:
        mine = threading.Event()
        with self._lock:
            self._line.append(mine)
            if self._line[0] is mine:
                mine.set()
        try:
            if not mine.is_set():
                progress.wait_for(mine)
            yield
        finally:
            with self._lock:
                self._line.remove(mine)
                if self._line:
                    self._line[0].set()


_quick, _slow = _Queue(), _Queue()
_mine = threading.local()


@contextmanager
def turn(work: float) -> Iterator[None]:
    """Wait for the turn of a computation, unless the visitor does something else meanwhile.

    Parameters
    ----------
    work : float
        How many rows times components times iterations it looks at, at the most.

    Raises
    ------
    RuntimeError
        Inside another turn of the same thread, which would wait for itself for ever. Ask for what
        is cached before the turn: whoever computes it takes one too.
    """
    if getattr(_mine, "taken", False):
        raise RuntimeError("a turn inside a turn; ask for what is cached before taking one")
    with (_slow if work > _QUICK_WORK else _quick).turn():
        _mine.taken = True
        try:
            yield
        finally:
            _mine.taken = False
