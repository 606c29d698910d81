"""The iteration player: one slider that drives every chart of a page, in the browser.

The player does not talk to the server while it moves. Vega draws inputs for the parameters ``iter``
and ``assign`` of :mod:`.charts`; the player finds them by the class ``vega-bindings`` (which a
browser test watches), sets them, and hides them. At rest it writes its position to the address, and
only if the page asks for it does it start a rerun.
"""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent

_mount = st.components.v2.component(
    "iteration_player",
    html=(_HERE / "player.html").read_text(),
    css=(_HERE / "player.css").read_text(),
    js=(_HERE / "player.js").read_text(),
)


def rewind(page: str, param: str) -> None:
    """Put a page's player back to the initial guess, in a callback.

    ``page`` and ``param`` are as for :func:`player`.
    """
    st.session_state[_rewinds(page)] = st.session_state.get(_rewinds(page), 0) + 1
    st.query_params.pop(param, None)


def _rewinds(page: str) -> str:
    return f"{page} rewinds of the player"


def player(
    page: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    param: str,
    report: bool,
) -> None:
    """Draw the player.

    Parameters
    ----------
    page : str
        Prefix of the page's keys. There is one player a page.
    columns : sequence of str
        Names of the numbers that are shown beside the slider.
    rows : sequence of sequence of str
        These numbers, formatted, for each iteration from the initial guess on.
    param : str
        Query parameter that holds the position.
    report : bool
        Whether to start a rerun when the visitor stops at another iteration.
    """
    # On a wide screen the player stays in sight: it also drives the charts far below it.
    st.html(
        "<style>.vega-bindings { display: none !important; }"
        f"@media (min-width: 640px) {{ .st-key-{page}_player {{"
        " position: sticky; top: 3.75rem; z-index: 9; }}</style>"
    )
    result = _mount(
        key=f"{page}_player",
        data={
            "page": page,
            "columns": list(columns),
            "rows": [list(row) for row in rows],
            "param": param,
            "report": report,
            "rewinds": st.session_state.get(_rewinds(page), 0),
        },
        on_stopped_change=lambda: None,
    )
    if result.stopped:
        st.query_params[param] = f"{float(result.stopped):g}"
    elif result.stopped is not None:
        st.query_params.pop(param, None)
