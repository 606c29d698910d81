"""The problem of a page, its run, many starts, and the computing time that they may take."""

from em_ui.run.cache import cached, cached_quietly
from em_ui.run.problem import (
    DATA,
    DRAWING,
    GUESS,
    Objective,
    Problem,
    Quantity,
    Settings,
    Words,
    check_enough,
    count,
    data_entropy,
    in_digits,
    literal,
    pose,
    simulated,
    stream,
    watching,
)
from em_ui.run.run import Run, fitted

__all__ = [
    "DATA",
    "DRAWING",
    "GUESS",
    "Objective",
    "Problem",
    "Quantity",
    "Run",
    "Settings",
    "Words",
    "cached",
    "cached_quietly",
    "check_enough",
    "count",
    "data_entropy",
    "fitted",
    "in_digits",
    "literal",
    "pose",
    "simulated",
    "stream",
    "watching",
]
