"""Starts at observations that the visitor chooses, by their numbers or by a click on the picture.

A page that offers them takes :func:`specs` and :data:`VIEW` among its controls, and the option
:data:`CHOSEN` in its control ``guess``. It shows the numbers with :func:`show` and the switch with
:func:`switch`, makes its initial guess of :func:`points`, and hands :func:`on_pick` to its picture,
whose points are numbered as ``observation``.
"""

from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import streamlit as st

from em_core.numerics import Array
from em_ui.controls.page import Controls
from em_ui.controls.specs import Control, Number, Switch
from em_ui.pictures import charts
from em_ui.pictures.player import rewind
from em_ui.run.problem import Settings, check_enough
from em_ui.run.run import Run
from em_ui.sections.picture import pick

CHOSEN = "Points that you choose"
MOST = 8


class View(TypedDict):
    """The controls of a page that change only what a click does."""

    place: Control
    place_k: Control


VIEW: View = {
    "place": Switch(
        "A click on a point sets a start",
        False,
        "In the picture. The player goes back to the initial guess then.",
    ),
    "place_k": Number("Which start", 1, 1, MOST, 1, "After a click it is the next one's turn."),
}


def specs(thing: str) -> dict[str, Control]:
    """Return the controls of the starts: the number of an observation for each.

    ``thing`` is what starts there.
    """
    told = f"The {thing} starts at this point of the data, which are numbered in their order."
    return {
        f"start_row{k}": Number(f"Start point {k}", k, 1, 100_000, 1, told, to_the_last=True)
        for k in range(1, MOST + 1)
    }


def rows(settings: Settings, k: int) -> npt.NDArray[np.intp]:
    """Return the observation at which each of ``k`` components starts, from 0, shape (k,).

    It may lie behind the last one: see :func:`points`.
    """
    return np.array([settings[f"start_row{i}"] - 1 for i in range(1, k + 1)], dtype=np.intp)


def points(settings: Settings, data: Array, k: int) -> Array:
    """Return the observations at which ``k`` components start, shape (k, d).

    A number behind the last observation stands for the last.

    Raises
    ------
    ValueError
        If there are fewer observations than components.
    """
    check_enough(k, len(data))
    return data[np.minimum(rows(settings, k), len(data) - 1)]


def show(c: Controls, k: int) -> None:
    """Draw the numbers of ``k`` starts."""
    c.table("start_row", rows=k)


def switch(c: Controls) -> None:
    """Draw the switch that lets a click set a start, and which one."""
    if c.show("place"):
        c.show("place_k")


def on_pick(c: Controls, run: Run) -> None:
    """Take the observation that was clicked as a start if the switch is on, in a callback.

    Otherwise it is the one whose numbers the page shows. Where the guess was another, the other
    components start at the observations nearest to where they started. The player goes back to the
    initial guess, which has changed.
    """
    if not c.value("place"):
        pick(c, run)
        return
    number = charts.picked(c.key("picture"), "observation")
    if number is None:
        return
    k = run.params.n_components
    at = min(int(c.value("place_k")), k)
    values: dict[str, Any] = {
        f"start_row{i}": row for i, row in enumerate(_present(run, at - 1, int(number) - 1), 1)
    }
    # The position leaves the address with it, so that this is one step of the browser's Back.
    c.set(guess=CHOSEN, place_k=at % k + 1, iter=0.0, **values)
    del st.session_state[c.key("iter")]  # which only the address holds
    rewind(c.prefix, c.key("iter"))


def _present(run: Run, at: int, row: int) -> list[int]:
    """Return the numbers of the observations at which the components start, one of them changed."""
    data, k = run.problem.sample.data, run.params.n_components
    if run.settings["guess"] == CHOSEN:
        found = np.minimum(rows(run.settings, k), len(data) - 1)
        found[at] = row
        return [int(i) + 1 for i in found]
    starts = getattr(run.problem.start, run.problem.words.by)
    unit = np.ptp(data, axis=0)
    unit[unit == 0] = 1.0
    chosen = {at: row}
    for i in range(k):
        if i == at:
            continue
        squares = (((data - starts[i]) / unit) ** 2).sum(axis=1)
        squares[list(chosen.values())] = np.inf
        chosen[i] = int(squares.argmin())
    return [chosen[i] + 1 for i in range(k)]
