"""Entry point: page configuration and navigation, nothing else."""

import streamlit as st

st.set_page_config(page_title="Understanding EM", page_icon=":material/ssid_chart:", layout="wide")

st.navigation(
    [
        st.Page("pages/home.py", title="Home", icon=":material/home:", default=True),
        st.Page(
            "pages/maximum_likelihood.py",
            title="Maximum likelihood",
            icon=":material/straighten:",
            url_path="maximum-likelihood",
        ),
        st.Page(
            "pages/k_means.py",
            title="K-Means",
            icon=":material/scatter_plot:",
            url_path="k-means",
        ),
        st.Page(
            "pages/two_coins.py",
            title="Two coins",
            icon=":material/toll:",
            url_path="two-coins",
        ),
        st.Page(
            "pages/gaussian_mixture.py",
            title="Gaussian mixture",
            icon=":material/area_chart:",
            url_path="gaussian-mixture",
        ),
    ]
).run()
