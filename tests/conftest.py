"""What several test files share: a page of the app, run through its entry point."""

import asyncio
import json
import os
import re
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pandas as pd
import pytest
import streamlit as st
from hypothesis import settings
from streamlit.components.v2.bidi_component.main import _make_trigger_id
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest, app_test

from em_ui.controls import Controls, Section, Situation
from em_ui.controls.page import Told
from em_ui.controls.seal import ENVIRONMENT
from em_ui.controls.table import NAME as TABLE
from em_ui.data import OWN
from em_ui.run.run import Run, fitted, run_em
from pages import LESSONS, Lesson

# Not the key of whoever runs the tests, nor a file in their home.
os.environ[ENVIRONMENT] = "a key that only the tests have"

# Its asserts are inherited by test classes, and should explain themselves as theirs do.
pytest.register_assert_rewrite("contract")

# Scripts are compiled once, as on a server, and not anew in every run.
app_test.ScriptCache = cache(app_test.ScriptCache)

# A folder named pages makes AppTest look for the pages there, where the server does not (see
# app.py). It asks for this anew in every run, of the class that it knows.
PagesManager.uses_pages_directory = False
app_test.PagesManager = type("AppPages", (PagesManager,), {})

# A lesson of the tests' own goes through all that they ask of the others: a lesson is a folder, a
# model and this line.
LESSONS.append(
    Lesson(
        "toy_lesson",
        "Calls at two shops",
        ":material/call:",
        "Tests",
        "Calls were counted day by day, but not which of two shops was called.",
    )
)
collect_ignore = ["toy_lesson"]

# The same examples everywhere, however slow the machine: a failure can be seen again.
settings.register_profile("reproducible", derandomize=True, deadline=None, database=None)
settings.load_profile("reproducible")

ROOT = Path(__file__).parents[1]
QUESTIONS = ("Before you ", "From the situation ")
ANSWERS = ("After you have ", "The answer for ")  # how the boxes with answers begin
WIDGETS = ("slider", "number_input", "selectbox", "toggle")
BY_NAME = {lesson.name: lesson for lesson in LESSONS}


def sections_of(lesson: Lesson | None) -> dict[str, Section]:
    """The sections of a lesson by name; the start page has none, and a lesson may have none."""
    return getattr(lesson.module("sections"), "SECTIONS", {}) if lesson else {}


def prefix_of(lesson: Lesson) -> str:
    problem = lesson.module("problem")
    return problem.WORDS.prefix if hasattr(problem, "WORDS") else problem.PREFIX


# Lessons that run EM.
RUNNING = [lesson.name for lesson in LESSONS if sections_of(lesson)]
PREFIXES = {lesson.name: prefix_of(lesson) for lesson in LESSONS}


def run_at(name: str, **values: Any) -> Run:
    """Return the run of a lesson at these settings, and defaults for the rest."""
    lesson = BY_NAME[name].module("problem")
    defaults = {control: spec.default for control, spec in lesson.SPECS.items()}
    # What is made of own numbers is kept for a session, and here is none.
    run = run_em if values.get("own") else fitted
    return run(lesson.problem, defaults | values)


def said(name: str, situation: Situation, words: Told) -> str:
    """Return a situation's words, those that are computed from the run of its own settings."""
    return words if isinstance(words, str) else words(run_at(name, **situation.values))


@cache
def first_visitor(app: Path) -> AppTest:
    """Return a first run of the app, which finds out what is then the same for every visitor."""
    return AppTest.from_file(str(app), default_timeout=60).run()


def visitor(app: Path) -> AppTest:
    """Return a new visitor of the app, who has not come to a page yet."""
    at, first = AppTest.from_file(str(app), default_timeout=60), first_visitor(app)
    at._registered_pages = first._registered_pages
    at._bidi_component_manager = first._bidi_component_manager
    return at


def run_apart(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run it in a thread of its own: in this one the browser tests may have an event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def finishes(function: Callable[[], object], seconds: float = 20) -> bool:
    """Run in a thread of its own, and return whether it ends in time."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


class Chart(NamedTuple):
    template: dict[str, Any]
    data: dict[str, pd.DataFrame]
    alt: str

    @classmethod
    def of(cls, element: Any) -> "Chart":
        proto = element.proto
        data = {d.name: convert_arrow_bytes_to_pandas_df(d.data.data) for d in proto.datasets}
        return cls(json.loads(proto.spec), data, proto.alt)

    @property
    def title(self) -> str:
        """The title, if there is one, in one line, as it is where there is room for it."""
        text = self.template.get("title", {"text": ""})["text"]
        if isinstance(text, dict):
            (whole,) = re.findall(r' \? \[.*\] : (".*")$', text["expr"])
            text = json.loads(whole)
        return text


class Part:
    """What stands on a page, or in one section of it."""

    def __init__(self, block: Any) -> None:
        self.block = block

    @property
    def charts(self) -> list[Chart]:
        return [Chart.of(element) for element in self.block.get("vega_lite_chart")]

    def chart(self, words: str) -> Chart:
        """Return the one chart whose description holds these words."""
        (element,) = [e for e in self.block.get("vega_lite_chart") if words in e.proto.alt]
        return Chart.of(element)

    def frame(self, words: str) -> pd.DataFrame:
        """Return the one table whose description holds these words."""
        (element,) = [e for e in self.block.dataframe if words in e.proto.alt]
        return element.value

    @property
    def text(self) -> str:
        return "\n".join(element.value for element in self.block.markdown)

    @property
    def captions(self) -> list[str]:
        return [element.value for element in self.block.caption]

    @property
    def formulas(self) -> list[str]:
        """The lines of each formula, without what only keeps them apart."""
        lines = []
        displayed = [element.value.strip("$") for element in self.block.latex]
        for element in self.block.markdown:
            displayed += re.findall(r"\$\$(.*?)\$\$", element.value, re.DOTALL)
        for formula in displayed:
            text = re.sub(
                r"^\\begin\{aligned\}|\\end\{aligned\}$|\\vphantom\{[^}]*\}", "", formula.strip()
            )
            lines += re.split(r"\\\\", text) if "aligned" in formula else [text]
        return lines


class Cell:
    """A number of a table, which can be read and set as a number input can."""

    form_id, type = "", "number_input"

    def __init__(self, page: "Page", proto: Any, key: str, column: dict[str, Any], head: str):
        self.key = key
        self.label = f"{column['head']} {head}".strip()
        self.min, self.max, self.step = (column[part] for part in ("low", "high", "step"))
        self.value = page.at.session_state[self.key]
        self.help = json.loads(proto.json)["help"]
        self._table, self._typed = proto.id, page.typed

    def set_value(self, value: Any) -> "Cell":
        """Type a number; the page's next run takes it."""
        self._typed.setdefault(self._table, {})[self.key] = str(value)
        return self


class Page(Part):
    """A page of the app, and what stands on it. Every run of it must end without an exception."""

    # Whether the visitor presses End, at once and after each new situation and reset: only then is
    # there anything on the page that tells the end.
    at_the_end = True

    def __init__(
        self, name: str, query: dict[str, str | list[str]], *, at_the_end: bool = True
    ) -> None:
        self.at_the_end = at_the_end
        # A visitor with a link comes to the page straight away.
        self.at = visitor(ROOT / "app.py")
        self.switch(name, **query)

    @cached_property
    def typed(self) -> dict[str, dict[str, str]]:
        """What was typed into tables, by table and name, and is not sent yet."""
        return {}

    @property
    def block(self) -> AppTest:
        return self.at

    @property
    def title(self) -> str:
        """The page's title: the heading of its first piece."""
        return self.at.main.markdown[0].value.splitlines()[0].removeprefix("# ")

    @property
    def captions(self) -> list[str]:
        """What stands below the picture, and all other captions."""
        below = [data["caption"] for data in self.components("iteration_status")]
        return [*"\n".join(below).split("\n"), *super().captions]

    def switch(self, name: str, **query: str | list[str]) -> None:
        """Go to a page, as a click in the navigation or, with a query, a link does."""
        self.name, self.prefix = name, PREFIXES.get(name, name)
        self.lesson = BY_NAME.get(name)
        self.at.switch_page(self.lesson.page if self.lesson else f"pages/{name}/page.py")
        self.at.query_params.update(query)
        self.run()

    def run(self) -> None:
        self.press_end()
        if self.typed:
            self.at._run(self.states_with_typed())
        else:
            self.at.run()
        assert not self.at.exception, self.at.exception[0].message
        self.mind_the_address()
        if self.press_end():
            self.at.run()
            self.mind_the_address()

    def mind_the_address(self) -> None:
        """Do what the button that copies a link does: parameters leave the address or come back."""
        for data in self.components("copy_link"):
            if data["address"]:
                for key in data["address"]["gone"]:
                    self.at.query_params.pop(key, None)
                for key, text in data["address"]["back"].items():
                    self.at.query_params.setdefault(key, text)
                for key, text in data["address"]["numbers"].items():
                    if text is None:
                        self.at.query_params.pop(key, None)
                    else:
                        self.at.query_params[key] = text

    def press_end(self) -> bool:
        """Let the server know that the player was at the end; return whether it was news."""
        key = f"{self.prefix} was played to the end"
        if not self.at_the_end or key in self.at.session_state:
            return False
        self.at.session_state[key] = True
        return True

    def widgets(self) -> list[Any]:
        """The controls, but for those by which own numbers are chosen: ``own`` is their text."""
        parts = f"{self.prefix}_own "
        every = (widget for kind in WIDGETS for widget in self.at.get(kind))
        return [widget for widget in every if not widget.key.startswith(parts)] + self.cells()

    def tables_of_numbers(self) -> list[Any]:
        protos = (e.proto for e in self.at.get("bidi_component"))
        return [proto for proto in protos if proto.component_name == TABLE]

    def cells(self) -> list[Cell]:
        """The numbers in tables."""
        return [
            Cell(self, proto, f"{column['name']}{row['number']}", column, row["head"])
            for proto in self.tables_of_numbers()
            for table in json.loads(proto.json)["tables"]
            for row in table["rows"]
            for column, text in zip(table["columns"], row["texts"], strict=True)
            if text
        ]

    def states_with_typed(self) -> Any:
        """Return what the browser sends after something was typed into tables."""
        states = self.at._tree.get_widget_states()
        for proto in self.tables_of_numbers():
            if proto.id in self.typed:
                n = json.loads(proto.json)["heard"] + 1
                change = {"event": "changes", "value": {"n": n, "values": self.typed[proto.id]}}
                state = WidgetState(id=_make_trigger_id(proto.id, "events"))
                state.json_trigger_value = json.dumps([change])
                states.widgets.append(state)
        self.typed.clear()
        return states

    def name_of(self, widget: Any) -> str:
        """Return the name of a control; the choice of situation has a key for each."""
        name = widget.key.removeprefix(f"{self.prefix}_")
        return "situation" if name.startswith("situation ") else name

    def shown(self) -> list[str]:
        """Names of the controls on the page, without its sections."""
        return [self.name_of(widget) for widget in self.widgets()]

    def sections(self) -> list[str]:
        """Names of the sections on the page."""
        labels = [expander.label for expander in self.at.expander]
        return [n for n, section in sections_of(self.lesson).items() if section.label in labels]

    def section(self, name: str) -> Part:
        """Return what stands in a section."""
        label = sections_of(self.lesson)[name].label
        (box,) = [e for e in self.at.expander if e.label == label]
        return Part(box)

    def open(self, *names: str) -> None:
        """Open exactly these sections."""
        for name in sections_of(self.lesson):
            self.at.session_state[f"{self.prefix}_{name}"] = name in names
        self.run()

    def stand(self, **position: float) -> None:
        """Let the address name the position of the player (``iter=3``)."""
        for name, value in position.items():
            self.at.query_params[f"{self.prefix}_{name}"] = f"{value:g}"
        self.run()

    def widget(self, name: str) -> Any:
        if name == "situation":
            (choice,) = [w for w in self.at.selectbox if self.name_of(w) == name]
            return choice
        key = f"{self.prefix}_{name}"
        cell = next((cell for cell in self.cells() if cell.key == key), None)
        return cell or self.at.get_by_key(key)

    def value(self, name: str) -> Any:
        return self.widget(name).value

    def set(self, **values: Any) -> None:
        """Set controls, one run for each."""
        for name, value in values.items():
            self.widget(name).set_value(value)
            self.run()

    def set_at_once(self, **values: Any) -> None:
        """Set controls that are on the page already, in one run."""
        for name, value in values.items():
            self.widget(name).set_value(value)
        self.run()

    def paste(self, text: str) -> None:
        """Choose own numbers, and paste them."""
        if self.value("data") != OWN:
            self.set(data=OWN)
        (area,) = (w for w in self.at.text_area if w.key.startswith(f"{self.prefix}_own paste"))
        area.set_value(text)
        self.run()

    def bring(self, name: str, content: bytes) -> None:
        """Choose own numbers, and bring a file."""
        if self.value("data") != OWN:
            self.set(data=OWN)
        (place,) = (w for w in self.at.file_uploader if w.key.startswith(f"{self.prefix}_own file"))
        place.set_value((name, content, "text/csv"))
        self.run()

    def choose(self, **parts: Any) -> None:
        """Choose columns of own numbers: ``columns``, ``labels``, ``frequencies``, ``role_0``."""
        for part, value in parts.items():
            ending = part.replace("_", " ")
            (widget,) = (
                w
                for w in [*self.at.selectbox, *self.at.multiselect]
                if w.key.startswith(f"{self.prefix}_own ") and w.key.endswith(f" {ending}")
            )
            widget.set_value(value)
            self.run()

    def press(self, name: str) -> None:
        self.widget(name).click()
        self.run()

    def select(self, name: str, selection: dict[str, Any]) -> None:
        """Send what the browser sends after a click on a mark of a chart or a row of a table."""
        kinds = ("vega_lite_chart", "arrow_data_frame", "dataframe")
        key = f"-{self.prefix}_{name}"
        ids = {e.proto.id for kind in kinds for e in self.at.get(kind) if e.proto.id.endswith(key)}
        (widget_id,) = ids
        self.send(WidgetState(id=widget_id, string_value=json.dumps({"selection": selection})))

    def send(self, state: WidgetState) -> None:
        """Run as if the browser had sent this state besides those of the widgets on the page."""
        states = self.at._tree.get_widget_states()
        states.widgets.append(state)
        self.at._run(states)
        if self.press_end():
            self.at.run()
        assert not self.at.exception, self.at.exception[0].message

    def components(self, name: str) -> list[dict[str, Any]]:
        """Return the data that each component of this kind is given."""
        protos = [e.proto for e in self.at.get("bidi_component")]
        return [json.loads(p.json) for p in protos if p.component_name == name]

    @property
    def player(self) -> dict[str, Any]:
        (data,) = self.components("iteration_player")
        return data

    def link_labelled(self, label: str) -> dict[str, str]:
        """The query of the link that a button copies."""
        (pairs,) = [d["query"] for d in self.components("copy_link") if d["label"] == label]
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    @property
    def link(self) -> dict[str, str]:
        """The query of the link to copy."""
        return self.link_labelled("Copy link to these settings")

    @property
    def student_link(self) -> dict[str, str]:
        """The query of the link for students."""
        return self.link_labelled("Copy link for students")

    @property
    def table(self) -> pd.DataFrame:
        """The iteration table."""
        return self.frame("Parameters and objective at every iteration")

    @property
    def status(self) -> str:
        """What the status line says at the end."""
        (data,) = self.components("iteration_status")
        return data["end"]

    @property
    def ending(self) -> str:
        """How the status line looks at the end: "success", "info" or "error"."""
        (data,) = self.components("iteration_status")
        return data["kind"]

    @property
    def question(self) -> str | None:
        """The question of the situation that is set, or that the settings come from, if any."""
        found = [i.value for i in self.at.info if i.proto.title.startswith(QUESTIONS)]
        assert len(found) <= 1
        return found[0] if found else None

    @property
    def answer(self) -> str | None:
        """The answer behind the click, if there is one. This clicks."""
        boxes = [e for e in self.at.expander if e.label.startswith(ANSWERS)]
        assert len(boxes) <= 1
        if not boxes:
            return None
        # AppTest cannot open an expander. Its id ends with its key.
        self.at.session_state[boxes[0].proto.id.split("-", 2)[2]] = True
        self.run()
        (box,) = (e for e in self.at.expander if e.label.startswith(ANSWERS))
        return Part(box).text

    @property
    def advice(self) -> list[str]:
        """What went wrong. In a situation it stands with the answer; who was at the end clicks."""
        if self.at_the_end:
            self.answer  # noqa: B018
        return [w.value for w in self.at.warning if w.icon == ":material/lightbulb:"]

    @property
    def notices(self) -> list[str]:
        """What was changed in the link, one entry a control."""
        others = [w for w in self.at.warning if w.icon != ":material/lightbulb:"]
        assert all(w.proto.title == "Changed in this link" for w in others)
        return [line.removeprefix("- ") for w in others for line in w.value.split("\n")]


class ScriptPage(Page):
    """The page of a script of its own, which draws a lesson that is not in the app."""

    def __init__(self, script: Path, prefix: str, sections: dict[str, Section]) -> None:
        self.name, self.prefix = script.stem, prefix
        self.lesson: Any = SimpleNamespace(
            module=lambda name: SimpleNamespace(SECTIONS=sections),
        )
        self.at = visitor(script)
        self.run()


@pytest.fixture(scope="session")
def visit():
    """Return a function that opens a page, given its name and, if any, the query of a link."""

    def open_page(name: str, **query: str | list[str]) -> Page:
        return Page(name, query)

    return open_page


@pytest.fixture(scope="session")
def arrive():
    """Return a function that opens a page as ``visit`` does, whose player stays where it is."""

    def open_page(name: str, **query: str | list[str]) -> Page:
        return Page(name, query, at_the_end=False)

    return open_page


@pytest.fixture(scope="session")
def plain(visit):
    """Return a function that gives a page as it comes at first. To be read, not to be changed."""
    return cache(visit)


@pytest.fixture(scope="session")
def opened(visit):
    """Return a function that gives a page with all sections open. To be read, not to be changed."""

    @cache
    def open_all(name: str) -> Page:
        page = visit(name)
        page.open(*page.sections())
        return page

    return open_all


class Declared(dict[str, Controls]):
    """Controls by page; Hypothesis prints it in its reports, which need not list them all."""

    def __repr__(self) -> str:
        return f"<controls of {', '.join(self)}>"


@pytest.fixture(scope="session")
def declared(plain) -> Declared:
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
            plain(name).run()
    finally:
        patch.undo()
    return Declared({name: found[prefix] for name, prefix in PREFIXES.items()})


@pytest.fixture
def downloads(monkeypatch) -> dict[str, tuple[Any, str]]:
    """File name to (content, or the function that makes it, and type) of all that is offered."""
    offered: dict[str, tuple[Any, str]] = {}
    original = st.download_button

    def download_button(label: str, data: Any, file_name: str, mime: str, **options: Any) -> bool:
        offered[file_name] = (data, mime)
        return original(label, data, file_name, mime, **options)

    monkeypatch.setattr(st, "download_button", download_button)
    return offered
