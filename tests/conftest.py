"""What several test files share: a page of the app, run through its entry point."""

import json
import urllib.parse
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from hypothesis import settings
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.testing.v1 import AppTest

from em_ui.controls import Controls

# Its asserts are inherited by test classes, and should explain themselves as theirs do.
pytest.register_assert_rewrite("contract")

# The same examples everywhere, however slow the machine: a failure can be seen again.
settings.register_profile("reproducible", derandomize=True, deadline=None, database=None)
settings.load_profile("reproducible")

ROOT = Path(__file__).parents[1]
PREFIXES = {
    "maximum_likelihood": "ml",
    "k_means": "km",
    "two_coins": "tc",
    "gaussian_mixture": "gm",
}
WIDGETS = ("slider", "number_input", "selectbox", "toggle")


class Chart(NamedTuple):
    template: dict[str, Any]
    data: dict[str, pd.DataFrame]
    alt: str


class Page:
    """A page of the app, and what stands on it. Every run of it must end without an exception."""

    def __init__(self, name: str, query: dict[str, str | list[str]]) -> None:
        self.name, self.prefix = name, PREFIXES.get(name, name)
        self.at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30).run()
        self.switch(name, **query)

    def switch(self, name: str, **query: str | list[str]) -> None:
        """Go to a page, as a click in the navigation or, with a query, a link does."""
        self.name, self.prefix = name, PREFIXES.get(name, name)
        self.at.switch_page(f"pages/{name}.py")
        self.at.query_params.update(query)
        self.run()

    def run(self) -> None:
        self.at.run()
        assert not self.at.exception, self.at.exception[0].message

    def widgets(self) -> list[Any]:
        return [widget for kind in WIDGETS for widget in self.at.get(kind)]

    def shown(self) -> list[str]:
        """Names of the controls on the page."""
        names = [w.key.removeprefix(f"{self.prefix}_") for w in self.widgets()]
        return ["situation" if name.startswith("situation ") else name for name in names]

    def widget(self, name: str) -> Any:
        if name == "situation":  # its key changes with its value
            return next(w for w in self.at.selectbox if w.label == "Situation")
        return self.at.get_by_key(f"{self.prefix}_{name}")

    def value(self, name: str) -> Any:
        return self.widget(name).value

    def set(self, **values: Any) -> None:
        for name, value in values.items():
            self.widget(name).set_value(value)
            self.run()

    def press(self, name: str) -> None:
        self.widget(name).click()
        self.run()

    @property
    def charts(self) -> list[Chart]:
        protos = [element.proto for element in self.at.get("vega_lite_chart")]
        return [
            Chart(
                json.loads(proto.spec),
                {d.name: convert_arrow_bytes_to_pandas_df(d.data.data) for d in proto.datasets},
                proto.alt,
            )
            for proto in protos
        ]

    def component(self, name: str) -> dict[str, Any]:
        """Return the data that a component is given."""
        protos = [e.proto for e in self.at.get("bidi_component") if e.proto.component_name == name]
        assert len(protos) == 1, name
        return json.loads(protos[0].json)

    @property
    def player(self) -> dict[str, Any]:
        return self.component("iteration_player")

    @property
    def link(self) -> dict[str, str]:
        """The query of the link to copy."""
        pairs = urllib.parse.parse_qsl(
            self.component("copy_link")["query"], keep_blank_values=True, strict_parsing=True
        )
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    @property
    def table(self) -> pd.DataFrame:
        return self.at.dataframe[0].value

    @property
    def text(self) -> str:
        return "\n".join(element.value for element in self.at.markdown)

    @property
    def status(self) -> str:
        lines = [*self.at.success, *self.at.info, *self.at.error]
        assert len(lines) == 1
        return lines[0].value

    @property
    def advice(self) -> list[str]:
        return [w.value for w in self.at.warning if w.icon == ":material/lightbulb:"]

    @property
    def notices(self) -> list[str]:
        """What was changed in the link, one entry a control."""
        others = [w for w in self.at.warning if w.icon != ":material/lightbulb:"]
        assert all(w.proto.title == "Changed in this link" for w in others)
        return [line.removeprefix("- ") for w in others for line in w.value.split("\n")]


@pytest.fixture(scope="session")
def visit():
    """Return a function that opens a page, given its name and, if any, the query of a link."""

    def open_page(name: str, **query: str | list[str]) -> Page:
        return Page(name, query)

    return open_page


class Declared(dict[str, Controls]):
    """Controls by page; Hypothesis prints it in its reports, which need not list them all."""

    def __repr__(self) -> str:
        return f"<controls of {', '.join(self)}>"


@pytest.fixture(scope="session")
def declared(visit) -> Declared:
    """The controls that each page declares."""
    found: dict[str, Controls] = {}
    original = Controls.footer

    def footer(self: Controls) -> None:
        found[self.prefix] = self
        original(self)

    patch = pytest.MonkeyPatch()
    patch.setattr(Controls, "footer", footer)
    try:
        for name in PREFIXES:
            visit(name)
    finally:
        patch.undo()
    return Declared({name: found[prefix] for name, prefix in PREFIXES.items()})
