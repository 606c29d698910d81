"""The budget of computing time: what one visitor may take of it, and the queues for the rest.

Work is counted in rows times components times iterations. Everything that a page computes takes a
:func:`turn`, and everything that could grow without bound is cut to one of the amounts below, or is
computed in pieces, each in a turn of its own, so that others get in between.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from em_ui.run import progress

# Following a run to its limit, the best of several numbers of components, and many starts.
LIMIT, BEST, ENDS = 3e7, 6e7, 1e8

# What a run is followed beyond its end with all sections closed, unless it took longer itself.
GLANCE = 1.5e6

# Rows times components that take as long as what an iteration does besides.
LEAST_WORK = 15_000

# Rows times components times iterations that take as long as drawing one row.
DRAWING = 30

# What is computed at once of many runs, before others get in between.
PIECE = 2e7

# Seconds after which a computation lets others in between, and after which it is no quick one.
_SLICE, _QUICK_SECONDS = 0.05, 0.2

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

    def enter(self) -> threading.Event:
        """Wait for a turn, and return what it is given back by."""
        mine = threading.Event()
        with self._lock:
            self._line.append(mine)
            if self._line[0] is mine:
                mine.set()
        try:
            if not mine.is_set():
                progress.wait_for(mine)
        except BaseException:
            self.leave(mine)
            raise
        return mine

    def leave(self, mine: threading.Event) -> None:
        """Give a turn back, or leave the line."""
        with self._lock:
            self._line.remove(mine)
            if self._line:
                self._line[0].set()

    @property
    def others_wait(self) -> bool:
        """Whether somebody waits beside who has the turn."""
        return len(self._line) > 1


_quick, _slow = _Queue(), _Queue()
_mine = threading.local()


class Turn:
    """A turn that somebody has.

    Parameters
    ----------
    queue : _Queue
        In which it is waited for.
    """

    def __init__(self, queue: _Queue) -> None:
        self._queue = queue
        self._place: threading.Event | None = queue.enter()
        self._begun = self._since = time.monotonic()

    def breathe(self) -> bool:
        """Stop if the visitor does something else, and let others in between; if it is time to.

        What takes long waits among what takes long, however little work it was taken for. Return
        whether it was time.
        """
        now = time.monotonic()
        if now - self._since < _SLICE:
            return False
        progress.check()
        queue = _slow if now - self._begun > _QUICK_SECONDS else self._queue
        if queue is not self._queue or queue.others_wait:
            self.give_back()
            self._queue, self._place = queue, queue.enter()
        self._since = time.monotonic()
        return True

    def give_back(self) -> None:
        """Let the next have a turn."""
        if self._place is not None:
            self._queue.leave(self._place)
            self._place = None


@contextmanager
def turn(work: float) -> Iterator[Turn]:
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
    mine = Turn(_slow if work > _QUICK_WORK else _quick)
    _mine.taken = True
    try:
        yield mine
    finally:
        _mine.taken = False
        mine.give_back()
