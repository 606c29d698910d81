"""The iteration player: one slider that drives every chart in its container, in the browser.

The player never talks to the server. Vega draws inputs for the parameters ``iter`` and ``assign``
of :mod:`em_ui.charts`; the player finds them by the class ``vega-bindings`` (which a browser test
watches), sets them, and hides them.
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


def player(container: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Draw the player.

    Parameters
    ----------
    container : str
        Key of the ``st.container`` that holds the player and the charts it drives.
    columns : sequence of str
        Names of the numbers that are shown beside the slider.
    rows : sequence of sequence of str
        These numbers, formatted, for each iteration from the initial guess on.
    """
    st.html("<style>.vega-bindings { display: none !important; }</style>")
    _mount(
        key=f"{container}_player",
        data={"container": container, "columns": list(columns), "rows": [list(r) for r in rows]},
    )
