"""Entry point: the navigation, for each visitor, and the server that shows it.

Streamlit runs this file for every visitor, as ``__main__``. Before that, ``streamlit run`` imports
it once, as ``app``, for the server.
"""

from pathlib import Path
from typing import Any

import streamlit as st

from pages import LESSONS

ICON = Path(__file__).parent / "em_ui" / "icon.svg"
_TOLD = "page that the browser was told of"
_MENU = "pages by their headings"


def _menu() -> dict[str, list[Any]]:
    """Return the pages by their headings: once a visitor, since each looks its file up."""
    home = st.Page("pages/home/page.py", title="Home", icon=":material/home:", default=True)
    menu = {"Start": [home]}
    for lesson in LESSONS:
        menu.setdefault(lesson.heading, []).append(
            st.Page(lesson.page, title=lesson.title, icon=lesson.icon, url_path=lesson.url_path)
        )
    return menu


if __name__ == "__main__":
    from em_ui.later import import_the_rest
    from em_ui.pictures import style

    # The browser keeps what it was told until another page is shown.
    told = st.session_state.get(_TOLD)
    if told is None:
        # Before the navigation, which would else make its pages' icons the browser tab's, and a
        # browser would fetch those from elsewhere.
        st.set_page_config(page_icon=str(ICON), layout="wide")
    if _MENU not in st.session_state:
        st.session_state[_MENU] = _menu()
    page = st.navigation(st.session_state[_MENU])
    if told != page.title:
        st.set_page_config(
            page_title=f"{page.title} · Understanding EM",
            layout="wide",
            # In the frame of a learning platform there is little room.
            initial_sidebar_state="collapsed" if st.context.is_embedded else "auto",
        )
    style.apply()
    page.run()
    # Only now: what a run that is cut short had to say may not have been sent.
    st.session_state[_TOLD] = page.title
    import_the_rest()
else:
    from importlib import import_module

    from starlette.middleware import Middleware
    from streamlit.runtime.pages_manager import PagesManager
    from uvicorn.protocols.http import h11_impl

    from em_ui.pictures.compiled import Compiled
    from em_ui.uploads import Uploads

    # The server imports what every page needs before it answers, or the first visitor would wait.
    import_module("scipy.optimize")
    for lesson in LESSONS:
        lesson.module("sections")

    # A folder named pages makes Streamlit look for the pages there until the first script has
    # called st.navigation; a first visitor with a link to a lesson would read "page not found".
    PagesManager.uses_pages_directory = False

    # Links hold small data, and a browser sends them on. uvicorn's parser would refuse more than 16
    # kB that do not arrive at once; it has a setting for it, but Streamlit 1.67 none to hand on.
    h11_impl.DEFAULT_MAX_INCOMPLETE_EVENT_SIZE = 128 * 1024
    app = st.App(__file__, middleware=[Middleware(Uploads), Middleware(Compiled)])
