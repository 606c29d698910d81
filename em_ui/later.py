"""What only some settings need is imported after the first page, and before anyone asks for it.

Then all that was imported is left out of Python's search for garbage. A rerun makes some thousand
objects that live as long as it does; to look through everything for them cost a tenth of its time.
"""

import gc
from functools import cache
from importlib import import_module
from threading import Timer

LATER = 3.0  # seconds, for the first page to arrive: Python's threads would slow each other down
# Objects more than there were, at which those of a rerun are looked through: about one rerun's.
_YOUNG = 10_000
_MODULES = ("sklearn.cluster", "sklearn.datasets", "sklearn.metrics")  # a second, all together


@cache
def import_the_rest() -> Timer:
    """Begin the imports a little later in a thread of their own, once in a process; return it."""

    def work() -> None:
        for module in _MODULES:
            import_module(module)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])

    timer = Timer(LATER, work)
    timer.daemon = True
    timer.start()
    return timer
