"""What only some settings need is imported after the first page, and before anyone asks for it."""

from functools import cache
from importlib import import_module
from threading import Timer

LATER = 3.0  # seconds, for the first page to arrive: Python's threads would slow each other down
_MODULES = ("sklearn.cluster", "sklearn.datasets", "sklearn.metrics")  # a second, all together


@cache
def import_the_rest() -> Timer:
    """Begin the imports a little later in a thread of their own, once in a process; return it."""

    def work() -> None:
        for module in _MODULES:
            import_module(module)

    timer = Timer(LATER, work)
    timer.daemon = True
    timer.start()
    return timer
