"""The baseline: two of our pages, written the ordinary way.

The controls of the run, the fit, the picture, the convergence charts and the tables of
our pages of the same names, as Streamlit's own guide has them: a
cached function for what is computed, Altair charts built from data frames where they are shown,
the iteration on a slider whose value the script reads. What our pages have besides (questions, the
gaps to the truth, links to copy, sections that open) is not here, so ours do more for what they
cost. It runs on Streamlit's stock configuration; start it in this folder so that it finds no
other::

    cd benchmarks/ordinary && PYTHONPATH=../.. streamlit run app.py
"""

import streamlit as st

st.set_page_config(page_title="Understanding EM", layout="wide")
st.navigation(
    [
        st.Page("two_coins.py", title="Two coins", url_path="two-coins", default=True),
        st.Page("gaussian_mixture.py", title="Gaussian mixture", url_path="gaussian-mixture"),
    ]
).run()
