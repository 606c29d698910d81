"""The iteration player: one slider that drives every chart of a page, in the browser.

The player does not talk to the server while it moves. Vega draws an input for the parameter of
each of the :mod:`.charts`, which the style sheet hides; the player finds it by its name (see
:mod:`.format`) and sets it. At rest it writes its position to the address, and only if the page
asks for it does it start a rerun.

A player at the end of the run stays at the end when the run gets longer or shorter. The status line
is a component of its own, which listens to the player.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from em_ui.pictures.format import BEFORE, BINDINGS, PLACE, PLACES

_HERE = Path(__file__).parent
_KINDS = ("html", "css", "js")


def component(name: str, files: str, folder: Path = _HERE) -> Any:
    """Return a component whose sources are ``files`` with html, css and js, by default here."""
    html, css, js = (_short((folder / f"{files}.{kind}").read_text()) for kind in _KINDS)
    return st.components.v2.component(name, html=html, css=css, js=js)


def _short(text: str) -> str:
    """Return a source without indents and lines of comment: it travels in every rerun."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


_mount = component("iteration_player", "player")
_mount_status = component("iteration_status", "status")


def rewind(page: str, param: str) -> None:
    """Put a page's player back to the initial guess, in a callback.

    ``page`` and ``param`` are as for :func:`player`.
    """
    st.session_state[_rewinds(page)] = rewinds(page) + 1
    st.session_state.pop(_played(page), None)
    st.query_params.pop(param, None)


def rewinds(page: str) -> int:
    """Return how often the page was reset or a situation chosen, in this session."""
    return int(st.session_state.get(_rewinds(page), 0))


def played(page: str, last: int) -> bool:
    """Return whether the visitor has been at the end of a run, since the last rewind.

    ``page`` is as for :func:`player`, and ``last`` the run's last iteration. A run of no iteration
    is at its end at once.
    """
    return last == 0 or bool(st.session_state.get(_played(page)))


def _rewinds(page: str) -> str:
    return f"{page} rewinds of the player"


def _played(page: str) -> str:
    return f"{page} was played to the end"


def player(
    page: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    param: str,
    position: float,
    report: bool,
    between: Sequence[str | None] | None = None,
) -> None:
    """Draw the player.

    Parameters
    ----------
    page : str
        Prefix of the page's keys. There is one player a page.
    columns : sequence of str
        Names of the numbers that are shown beside the slider, the objective last.
    rows : sequence of sequence of str
        These numbers, formatted, for each iteration from the initial guess on.
    param : str
        Query parameter that holds the position.
    position : float
        The position that it holds, in iterations; 0 if it holds none.
    report : bool
        Whether to start a rerun when the visitor stops at another iteration.
    between : sequence of (str or None), optional
        The objective of each iteration after its M-step and before the next E-step, formatted,
        where that is not the one of ``rows``. Half-steps show it after the M-step. The initial
        guess has none.
    """
    last = len(rows) - 1
    # A link may name the end, or an iteration behind it.
    if last > 0 and position >= last:
        st.session_state[_played(page)] = True
    result = _mount(
        key=f"{page}_player",
        data={
            "page": page,
            # Tuples: of lists Streamlit asks every kind of table whether they are one.
            "columns": tuple(columns),
            "rows": tuple(rows),
            "between": None if between is None else tuple(between),
            "param": param,
            "report": report,
            "inputs": {"bindings": BINDINGS, "name": PLACE, "places": PLACES, "before": BEFORE},
            "rewinds": rewinds(page),
            "seen": bool(st.session_state.get(_played(page))),
        },
        on_stopped_change=lambda: None,
        on_ended_change=lambda: None,
    )
    if result.ended:
        st.session_state[_played(page)] = True
    if result.stopped:
        st.query_params[param] = f"{float(result.stopped):g}"
    elif result.stopped is not None:
        st.query_params.pop(param, None)


def idle(page: str, param: str) -> None:
    """Draw the player where it stands, disabled: the settings cannot be run.

    ``page`` and ``param`` are as for :func:`player`. It keeps its position for settings that can.
    """
    player(page, (), (), param=param, position=0, report=False)


def status(page: str, kind: str, end: str, *, caption: str) -> None:
    """Draw the status line: where the player stands, and at the end how the run ended.

    The picture's caption stands below it, and costs no message of its own.

    Parameters
    ----------
    page : str
        As for :func:`player`.
    kind : str
        "success", "info" or "error": how the end looks.
    end : str
        What it says, with words in bold between pairs of asterisks. It is shown at the end only.
    caption : str
        Plain text, a paragraph a line.
    """
    data = {"page": page, "kind": kind, "end": end, "caption": caption}
    _mount_status(key=f"{page}_status", data=data)
