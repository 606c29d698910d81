"""The style sheet of the app's pages: for what Streamlit's theme has no words."""

import html
import re
from pathlib import Path

import streamlit as st

from em_ui.pictures.format import BINDINGS


def _sheet() -> str:
    text = (Path(__file__).parent / "style.css").read_text().replace("BINDINGS", BINDINGS)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", text).strip()  # it travels in every rerun


class _Html(str):
    """HTML that Streamlit takes as it is: of a text it asks whether it is a file's name."""

    def _repr_html_(self) -> str:
        return str(self)


_SHEET = _Html(f"<style>{_sheet()}</style>")


def apply() -> None:
    """Give the page its style. Once in every rerun, before anything is drawn."""
    st.html(_SHEET)


def heard(title: str, level: int = 3) -> None:
    """Draw a heading that is heard, and takes no room.

    For a chart, whose own title is part of a picture, and for what needs no title to be seen.
    """
    st.html(_Html(f'<h{level} class="heard">{html.escape(title)}</h{level}>'))
