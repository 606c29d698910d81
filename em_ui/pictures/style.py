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


_SHEET = f"<style>{_sheet()}</style>"


def apply() -> None:
    """Give the page its style. Once in every rerun, before anything is drawn."""
    st.html(_SHEET)


def name_chart(title: str) -> None:
    """Give a chart, which draws its title, a heading that is heard, and takes no room.

    Here, not in the chart, whose text is a picture to a screen reader.
    """
    st.html(f'<h3 class="chart-name">{html.escape(title)}</h3>')
