"""What Streamlit makes of a chart's names is kept."""

import json

import pytest
from streamlit.elements import vega_charts
from streamlit.testing.v1 import AppTest

from em_ui.pictures import settled


def _page() -> None:
    import streamlit as st

    from em_ui.pictures import settled

    settled.keep_names()
    layer = {"mark": "point", "params": [{"name": "param_7"}, {"name": "param_9"}]}
    st.vega_lite_chart({"layer": [layer], "name": "view_3"})


def test_names_are_those_that_streamlit_gives() -> None:
    (chart,) = AppTest.from_function(_page).run().get("vega_lite_chart")
    spec = json.loads(chart.proto.spec)
    assert spec["layer"][0]["params"] == [{"name": "param_1"}, {"name": "param_2"}]
    assert spec["name"] == "view_1"


def test_a_text_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []

    def search(text: str) -> str:
        searched.append(text)
        return text

    monkeypatch.setattr(vega_charts, "_stabilize_vega_json_spec", search)
    settled.keep_names()
    settled.keep_names()
    for _ in range(2):
        AppTest.from_function(_page).run()
    assert len(searched) == 1


def test_a_version_that_does_it_in_another_way_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(vega_charts, "_stabilize_vega_json_spec")
    settled.keep_names()
    assert not hasattr(vega_charts, "_stabilize_vega_json_spec")
