"""The choice of data in the sidebar: simulated, published, or the reader's own."""

from collections.abc import Collection

import streamlit as st

from em_ui.controls.page import Controls
from em_ui.data.given import OWN, SIMULATED, Given, Published, given


def data_of(c: Controls, published: Collection[Published]) -> Given | None:
    """Draw the choice of data; return those that are given, or None if they are simulated.

    Also None if they are to be the reader's own and there are none yet, or none to compute with:
    then
    :func:`~em_ui.sections.lesson.run_of` ends the page with what to do.

    Parameters
    ----------
    c : Controls
        Of a lesson that declares ``data`` (:func:`em_ui.data.choice`) and ``own``
        (:class:`em_ui.data.Own`).
    published : collection of Published
        The sets that the lesson offers.
    """
    simulated = c.value("data") == SIMULATED
    c.group("Truth and data" if simulated else "Data", "data")
    if c.settings()["data"] == OWN:
        c.show("own")
    try:
        found = given(c.settings(), published)
    except ValueError:
        return None
    if found is not None and found.source:
        st.caption(found.description, help=found.source)
    return found
