"""The baseline: two of our pages, written the ordinary way.

The controls of the run, the fit, the picture, the convergence charts and the tables of our lessons
of the same names, as Streamlit's own guide has them: a cached function for what is computed, Altair
charts built from data frames where they are shown, the iteration on a slider whose value the script
reads. What our pages have besides (questions, the
gaps to the truth, links to copy, sections that open) is not here, so ours do more for what they
cost. It runs on Streamlit's stock configuration; start it in this folder so that it finds no
other::

    cd benchmarks/ordinary && PYTHONPATH=../.. streamlit run app.py
"""

from pathlib import Path

import streamlit as st

from pages import LESSONS

HERE = Path(__file__).parent

st.set_page_config(page_title="Understanding EM", layout="wide")
written = [lesson for lesson in LESSONS if (HERE / f"{lesson.name}.py").exists()]
st.navigation(
    [
        st.Page(f"{each.name}.py", title=each.title, url_path=each.url_path, default=i == 0)
        for i, each in enumerate(written)
    ]
).run()
