"""Entry point: the navigation, for each visitor, and the server that shows it.

Streamlit runs this file for every visitor, as ``__main__``. Before that, ``streamlit run`` imports
it once, as ``app``, for the server.
"""

from pathlib import Path

import streamlit as st

ICON = Path(__file__).parent / "em_ui" / "icon.svg"

if __name__ == "__main__":
    from em_ui.pictures import style

    # In the frame of a learning platform there is little room.
    sidebar = "collapsed" if st.context.is_embedded else "auto"
    # Before the navigation, which would else make its pages' icons the browser tab's, and a browser
    # would fetch those from elsewhere.
    st.set_page_config(page_icon=str(ICON), layout="wide", initial_sidebar_state=sidebar)
    page = st.navigation(
        [
            st.Page("pages/home.py", title="Home", icon=":material/home:", default=True),
            st.Page(
                "pages/maximum_likelihood/page.py",
                title="Maximum likelihood",
                icon=":material/straighten:",
                url_path="maximum-likelihood",
            ),
            st.Page(
                "pages/k_means/page.py",
                title="K-Means",
                icon=":material/scatter_plot:",
                url_path="k-means",
            ),
            st.Page(
                "pages/two_coins/page.py",
                title="Two coins",
                icon=":material/toll:",
                url_path="two-coins",
            ),
            st.Page(
                "pages/gaussian_mixture/page.py",
                title="Gaussian mixture",
                icon=":material/area_chart:",
                url_path="gaussian-mixture",
            ),
        ]
    )
    st.set_page_config(page_title=f"{page.title} · Understanding EM")
    style.apply()
    page.run()
else:
    from importlib import import_module

    from streamlit.runtime.pages_manager import PagesManager

    # The server imports what the pages need before it answers, or the first visitor would wait.
    lessons = sorted((Path(__file__).parent / "pages").glob("*/sections.py"))
    for module in (
        "sklearn.cluster",
        "sklearn.datasets",
        *(f"pages.{lesson.parent.name}.sections" for lesson in lessons),
    ):
        import_module(module)

    # A folder named pages makes Streamlit look for the pages there until the first script has
    # called st.navigation; a first visitor with a link to /two-coins would read "page not found".
    PagesManager.uses_pages_directory = False
    app = st.App(__file__)
