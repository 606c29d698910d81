"""A number or choice box looks up its own key, and not all that the session holds.

Streamlit 1.67 puts the whole session's state together for each of these boxes, to see whether the
value of one key is None. With fifty keys that was a sixth of a page's script. If another version
asks in another way, nothing is changed, and pages are as right as before, but slower.
"""

from typing import Any

import streamlit as st
from streamlit.elements.widgets import number_input, selectbox
from streamlit.runtime.state import get_session_state

_ASKED = "get_session_state"


class _OneByOne:
    """The session's state, whose values are looked up when they are asked for."""

    filtered_state = st.session_state

    def __getattr__(self, name: str) -> Any:
        return getattr(get_session_state(), name)


def one_by_one() -> None:
    """Let Streamlit's boxes look up one key, where they ask as version 1.67 does."""
    for module in (number_input, selectbox):
        if getattr(module, _ASKED, None) is get_session_state:
            setattr(module, _ASKED, _OneByOne)
