"""What only some settings need is imported after the first page, and before anyone asks for it."""

from functools import cache
from importlib import import_module
from threading import Thread

_LATER = ("sklearn.cluster", "sklearn.datasets", "sklearn.metrics")  # a second, all together


@cache
def import_the_rest() -> Thread:
    """Begin the imports in a thread of their own, once in a process, and return it."""

    def work() -> None:
        for module in _LATER:
            import_module(module)

    thread = Thread(target=work, name="imports", daemon=True)
    thread.start()
    return thread
