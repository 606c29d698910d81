"""The budget of computing time: what one visitor may take of it, and the queues for the rest.

Work is counted in rows times components times iterations. Everything that a page computes takes a
:func:`turn`, and everything that could grow without bound is cut to one of the amounts below.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# The run to its limit, the run from the truth, all of many starts, going on from where these ended,
# a class of students, a hill or a slice through it, and a map of starts.
LIMIT, TRUTH, STARTS, ENDS, CLASS, HILL, MAP = 3e7, 1e8, 3e8, 1e8, 3e8, 4e7, 1.2e8

# What a run is followed beyond its end with all sections closed, unless it took longer itself.
GLANCE = 1.5e6

# Rows times components that take as long as what an iteration does besides.
LEAST_WORK = 15_000

# Fits in several threads at once fight over the interpreter, and all of them get slower. So they
# take turns, in two queues: a quick one does not wait for one of more work than this.
_QUICK_WORK = 2e7
_quick, _slow = threading.Lock(), threading.Lock()
_mine = threading.local()


@contextmanager
def turn(work: float) -> Iterator[None]:
    """Wait for the turn of a computation.

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
    with _slow if work > _QUICK_WORK else _quick:
        _mine.taken = True
        try:
            yield
        finally:
            _mine.taken = False
