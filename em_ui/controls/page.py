"""Controls that live in the URL: bounds, notices, situations, sections, reset and the link.

A page declares its controls once, as data. Streamlit binds each widget to a query parameter
(``bind="query-params"``); what Streamlit does not do is done here: a value in a link that is out of
range is moved to the nearest allowed one, anything unreadable gives the default, and the reader is
told so.
"""

import base64
import binascii
import contextlib
import functools
import json
import math
import urllib.parse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from em_ui.pictures.charts import MAX_ITERATIONS
from em_ui.pictures.player import rewind

Value = float | int | str | bool

_HERE = Path(__file__).parent
_NOTICES = "notices about the link"
_HERE_NOW = "prefix of the page of the last run"
_OWN = "Your own settings"
_QUOTED_CHARACTERS = 30
_SEAL_CHARACTERS = 4_000
MAX_STARTS = 200
MAX_STUDENT = 9_999
MAX_LISTED = 30  # students whose answers stand on the page

_copy_link = st.components.v2.component(
    "copy_link",
    html=(_HERE / "copy_link.html").read_text(),
    css=(_HERE / "copy_link.css").read_text(),
    js=(_HERE / "copy_link.js").read_text(),
)


@dataclass(frozen=True)
class Number:
    """A number between two bounds: a whole number if the step is one.

    Attributes
    ----------
    label : str
        What the widget is called.
    default, low, high, step : int or float
        Values in the unit that the label names. All four are int, or all are float.
    help : str, optional
        Explanation behind the question mark.
    slider : bool
        Whether to show a slider instead of a box.
    format : str, optional
        printf-style format, for the widget only.
    to_the_last : bool
        Whether the run says how far it goes: the bound then stands for the last there is.
    """

    label: str
    default: float
    low: float
    high: float
    step: float
    help: str | None = None
    slider: bool = False
    format: str | None = None
    to_the_last: bool = False

    def nearest(self, value: Any) -> float:
        """Return the allowed value nearest to ``value``, or the default if it is not a number."""
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return self.default
        if math.isnan(number):
            return self.default
        number = min(max(number, self.low), self.high)
        steps = round((number - self.low) / self.step)
        if isinstance(self.step, int):
            return int(self.low + steps * self.step)
        # Sliders only show whole steps; rounding drops the digits that the product adds.
        return round(self.low + steps * self.step, 10) if self.slider else number

    def text(self, value: Value) -> str:
        """Return ``value`` as it stands in a URL."""
        return repr(value).removesuffix(".0")  # every digit, so that the link gives the same run

    def words(self, value: Value) -> str:
        """Return ``value`` as a notice says it."""
        return "the last" if self.to_the_last and value == self.high else self.text(value)

    def widget(self, key: str) -> Any:
        """Draw the widget."""
        draw = st.slider if self.slider else st.number_input
        return draw(
            self.label,
            min_value=self.low,
            max_value=self.high,
            value=self.default,
            step=self.step,
            format=self.format,
            help=self.help,
            key=key,
            bind="query-params",
        )


@dataclass(frozen=True)
class Choice:
    """One of several words."""

    label: str
    options: tuple[str, ...]
    default: str
    help: str | None = None

    def nearest(self, value: Any) -> str:
        """Return ``value`` if it is an option, otherwise the default."""
        return value if value in self.options else self.default

    def text(self, value: Value) -> str:
        """Return ``value`` as it stands in a URL, or as a notice says it."""
        return str(value)

    words = text

    def widget(self, key: str) -> Any:
        """Draw the widget."""
        return st.selectbox(
            self.label,
            self.options,
            index=self.options.index(self.default),
            help=self.help,
            key=key,
            bind="query-params",
        )


@dataclass(frozen=True)
class Switch:
    """Yes or no."""

    label: str
    default: bool
    help: str | None = None

    def nearest(self, value: Any) -> bool:
        """Return ``value`` as a truth value, or the default if it is neither true nor false."""
        return {"true": True, "false": False}.get(str(value).lower(), self.default)

    def text(self, value: Value) -> str:
        """Return ``value`` as it stands in a URL."""
        return str(value).lower()

    def words(self, value: Value) -> str:
        """Return ``value`` as a notice says it."""
        return "on" if value else "off"

    def widget(self, key: str) -> Any:
        """Draw the widget."""
        return st.toggle(
            self.label, value=self.default, help=self.help, key=key, bind="query-params"
        )


@dataclass(frozen=True)
class Section:
    """A part of the page that is computed only while it is open."""

    label: str
    icon: str
    default: bool = False

    def nearest(self, value: Any) -> bool:
        """Return ``value`` as a truth value, closed if it is neither true nor false."""
        return {"true": True, "false": False}.get(str(value).lower(), self.default)

    def text(self, value: Value) -> str:
        """Return ``value`` as it stands in a URL."""
        return str(value).lower()

    def words(self, value: Value) -> str:
        """Return ``value`` as a notice says it."""
        return "open" if value else "closed"

    def widget(self, key: str) -> Any:
        """Draw the section's heading; its ``open`` says whether to go on."""
        return st.expander(
            self.label, icon=self.icon, key=key, on_change="rerun", bind="query-params"
        )


Control = Number | Choice | Switch | Section


def seed(label: str, default: int = 1) -> Number:
    """Return the control of a seed."""
    return Number(label, default, 0, 999_999, 1, "The same seed always gives the same draw.")


def tolerance(per: str, default: str = "1e-6") -> Choice:
    """Return the control of the stopping rule; ``per`` is one observation, in words."""
    return Choice(
        "Tolerance",
        ("0", "1e-10", "1e-8", "1e-6", "1e-5", "1e-4", "1e-3", "1e-2"),
        default,
        f"EM stops when an iteration gains no more than this per {per}. "
        "With 0 it goes on until nothing changes.",
    )


def start_number() -> Number:
    """Return the control that picks one of the many guesses that a seed gives."""
    return Number("Start number", 1, 1, MAX_STARTS, 1, "Each number is another guess.")


def to_find(things: str, maximum: int) -> Number:
    """Return the control of the number of components that EM looks for."""
    return Number(
        f"{things} to look for", 0, 0, maximum, 1, "With 0: as many as there are in the truth."
    )


def student() -> Number:
    """Return the control that gives each student other data from the same truth."""
    return Number(
        "Student number",
        0,
        0,
        MAX_STUDENT,
        1,
        "Each number draws other data from the same truth. With 0, everybody has the same.",
    )


def iteration_limit(default: int) -> Number:
    """Return the control of the largest number of iterations."""
    return Number("Iteration limit", default, 1, MAX_ITERATIONS, 1)


# What every example page has besides its own controls. It changes the view, never the run.
VIEW: Mapping[str, Control] = {
    "iter": Number(
        "Iteration", 0.0, 0.0, float(MAX_ITERATIONS), 0.5, slider=True, to_the_last=True
    ),
    "observation": Number("Observation", 1, 1, 100_000, 1, to_the_last=True),
    "starts": Number("Number of starts", 20, 1, MAX_STARTS, 1),
    "class_size": Number("Students in the class", 5, 1, MAX_LISTED, 1),
    "class_first": Number("First student number", 1, 1, MAX_STUDENT, 1),
    "by_hand": Section("One step by hand", ":material/calculate:"),
    "versus": Section("Hard against soft", ":material/compare:"),
    "surface": Section("The hill that EM climbs", ":material/landscape:"),
    "many": Section("Many initial guesses", ":material/shuffle:"),
    "speed": Section("Convergence, honestly", ":material/speed:"),
    "code": Section("The code, and everything to take away", ":material/code:"),
    "teacher": Section("For the teacher", ":material/school:"),
}


def view(observation: str, sections: Collection[str]) -> dict[str, Control]:
    """Return the controls of the view, with the page's word for an observation and its sections."""
    shared = {
        name: spec
        for name, spec in VIEW.items()
        if name in sections or not isinstance(spec, Section)
    }
    return {**shared, "observation": replace(VIEW["observation"], label=observation)}


@dataclass(frozen=True)
class Situation:
    """Named settings that teach something.

    Attributes
    ----------
    values : mapping
        The settings that differ from the defaults.
    question : str
        To be answered before pressing play.
    answer : str
        What happens, and why.
    """

    values: Mapping[str, Value]
    question: str
    answer: str


@dataclass
class Controls:
    """The controls of one page, for one rerun.

    Attributes
    ----------
    prefix : str
        Begins the name of each query parameter, so that pages keep apart.
    specs : mapping of str to Number, Choice or Switch
        The controls that make the run.
    situations : mapping of str to Situation
        Named settings.
    truth : sequence of str
        The controls that a link for students can seal: the true parameters.
    view : mapping of str to Control
        The controls that change only what is shown.
    sealed : dict
        The true parameters that the link hides, if it does.
    current : Situation or None
        The situation that is set, after :meth:`situation` was called.
    """

    prefix: str
    specs: Mapping[str, Control]
    situations: Mapping[str, Situation] = field(default_factory=dict)
    truth: Sequence[str] = ()
    view: Mapping[str, Control] = field(default_factory=lambda: VIEW)
    sealed: dict[str, Value] = field(default_factory=dict, init=False)
    current: Situation | None = field(default=None, init=False)
    _shown: dict[str, Value] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Bring the page's values back, mend the link if it needs it, and say what was mended."""
        arrived = st.session_state.get(_HERE_NOW) != self.prefix
        st.session_state[_HERE_NOW] = self.prefix
        if arrived:
            self._remember()
        self._mend_link(arrived=arrived)
        self._unseal()
        notices = st.session_state.pop(_NOTICES, [])
        if notices:
            st.warning("\n".join(f"- {notice}" for notice in notices), title="Changed in this link")

    def key(self, name: str) -> str:
        """Return the widget key of a control, which is also its query parameter."""
        return f"{self.prefix}_{name}"

    def show(self, name: str) -> Any:
        """Draw a control here, and return its value, which is within its bounds.

        A sealed control is not drawn.
        """
        if name in self.sealed:
            return self.sealed[name]
        spec = self._all[name]
        value = spec.nearest(spec.widget(self.key(name)))
        self._shown[name] = value
        return value

    def show_all(self, *names: str) -> None:
        """Draw several controls, one below the other."""
        for name in names:
            self.show(name)

    def section(self, name: str) -> Any:
        """Draw the heading of a section; return its container if it is open, otherwise None.

        What is for the teacher is not drawn on a sealed page.
        """
        if name == "teacher" and self.sealed:
            return None
        box = self._all[name].widget(self.key(name))
        self._shown[name] = bool(box.open)
        return box if box.open else None

    @property
    def position(self) -> float:
        """The player's position when the server last heard of it, in iterations."""
        return float(self._all["iter"].nearest(st.query_params.get(self.key("iter"), 0.0)))

    def is_open(self, *names: str) -> bool:
        """Return whether the page has one of these sections open, also before it is drawn."""
        return any(name in self.view and bool(self.value(name)) for name in names)

    def set(self, name: str, value: Value) -> None:
        """Set a control, in a callback."""
        spec, key = self._all[name], self.key(name)
        value = st.session_state[key] = spec.nearest(value)
        # For a control that is on the page Streamlit does this itself, and refuses it here. It
        # leaves out those that the next run draws for the first time.
        with contextlib.suppress(StreamlitAPIException):
            if value != spec.default:
                st.query_params[key] = spec.text(value)
            elif key in st.query_params:
                del st.query_params[key]

    def situation(self) -> Situation | None:
        """Draw the choice of situation, and return the one that is set, if any."""
        if self.sealed:
            return None
        now = {name: self.value(name) for name in self.specs}  # read once for all situations
        defaults = {name: spec.default for name, spec in self.specs.items()}
        current = next(
            (name for name, s in self.situations.items() if {**defaults, **s.values} == now), None
        )
        options = list(self.situations) if current else [_OWN, *self.situations]
        # A widget for each: with only one, a browser that has not heard yet that a change made the
        # settings the reader's own would seem to choose the old situation, and undo the change.
        shown = current or _OWN
        key = self.key(f"situation {shown}")
        st.session_state[key] = shown
        st.selectbox(
            "Situation",
            options,
            key=key,
            on_change=self._set_situation,
            args=(key, shown),
            help="Sets every control of this page at once. Change any of them afterwards.",
        )
        self.current = self.situations.get(current) if current else None
        return self.current

    def settings(self) -> dict[str, Any]:
        """Return what makes the run: the controls shown up to here, and defaults for the rest."""
        return {
            name: self.sealed.get(name, self._shown.get(name, spec.default))
            for name, spec in self.specs.items()
        }

    def footer(self) -> None:
        """Draw the link to copy and the reset, below the controls.

        This may come before what the controls make: settings that cannot be run end the page there.
        """
        self._keep_for_later()
        _copy_link(
            key=self.key("link"),
            data={
                "label": "Copy link to these settings",
                "query": self.query(),
                "keep": [self.key("iter"), self.key("quiz")],
            },
        )
        st.session_state[self.key("remembered")] = {
            self.key(name): self._all[name].text(value)
            for name, value in self._state().items()
            if value != self._all[name].default
        } | ({self.key("quiz"): self._seal()} if self.sealed else {})
        st.button(
            "Reset this page",
            icon=":material/restart_alt:",
            key=self.key("reset"),
            on_click=self._reset,
            width="stretch",
        )

    def query(self) -> str:
        """Return the query string with the controls shown up to here and the view, defaults too."""
        return urllib.parse.urlencode(
            {self.key(name): self._all[name].text(value) for name, value in self._state().items()}
        )

    def student_link(self) -> None:
        """Draw the link that hides the truth and the answers."""
        open_to_all = {
            self.key(name): self._all[name].text(value)
            for name, value in self._shown.items()
            if name not in self.truth and not isinstance(self._all[name], Section)
        }
        # Of published data the truth has no controls on the page, but is to be hidden all the same.
        names = [name for name in self.truth if name in self._shown] or self.truth
        hidden = {name: self.value(name) for name in names}
        query = urllib.parse.urlencode({**open_to_all, self.key("quiz"): self._seal(hidden)})
        _copy_link(
            key=self.key("student_link"),
            data={"label": "Copy link for students", "query": query, "keep": []},
        )

    def _seal(self, values: Mapping[str, Value] | None = None) -> str:
        # Not a secret, only out of sight: whoever decodes it has done more than the homework.
        text = json.dumps(values if values is not None else self.sealed, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _unseal(self) -> None:
        token = st.query_params.get(self.key("quiz"))
        if token is None or not self.truth:
            return
        if not token:
            del st.query_params[self.key("quiz")]
            return
        try:
            padded = token[:_SEAL_CHARACTERS] + "=" * (-len(token) % 4)
            values = json.loads(base64.urlsafe_b64decode(padded))
        except (binascii.Error, ValueError, RecursionError):
            values = None
        if not isinstance(values, dict) or not values or not set(values) <= set(self.truth):
            st.warning(
                "The part of this link that hides the truth is damaged, so nothing is hidden. Ask "
                "for the link again."
            )
            return
        self.sealed = {name: self.specs[name].nearest(value) for name, value in values.items()}

    def _state(self) -> dict[str, Value]:
        """Return the controls shown up to here, and the view but for the player's position."""
        view = {name: self.value(name) for name in self.view if name != "iter"}
        return view | self._shown

    @functools.cached_property
    def _all(self) -> dict[str, Control]:
        return {**self.specs, **self.view}

    def _remember(self) -> None:
        # The browser's Back first reaches an entry without parameters, since Streamlit takes them
        # out of the address when it leaves a page. It must not bring the defaults back.
        settings = st.session_state.get(self.key("remembered"))
        names = {*self._all, "quiz"} - {"iter"}  # the player writes its position by itself
        bare = not any(self.key(name) in st.query_params for name in names)
        if bare and settings:
            st.query_params.update(settings)
            st.rerun()

    def _keep_for_later(self) -> None:
        # When its control appears, a value in the address would win over one set by a callback.
        for name in self.specs:
            key = self.key(name)
            if name in self._shown or name in self.sealed or key not in st.query_params:
                continue
            value = self.value(name)
            # Of a control that has just left the page, Streamlit itself keeps the value.
            with contextlib.suppress(StreamlitAPIException):
                del st.query_params[key]
                st.session_state[key] = value

    def _mend_link(self, *, arrived: bool) -> None:
        notices, right, wrong, plain = [], {}, [], set()
        for name, spec in self._all.items():
            key = self.key(name)
            given = st.query_params.get_all(key)
            known = key in st.session_state
            if not given or (known and not arrived):
                continue
            value, default = spec.nearest(given[-1]), spec.default
            if known:
                # For a default, Streamlit would keep what the page was set to before it was left.
                st.session_state[key] = value
            readable = _same(given[-1], value)
            if readable and len(given) == 1:
                if value == default:
                    plain.add(key)
                continue
            if len(given) > 1:
                notices.append(
                    f"“{spec.label}” was given {len(given)} times; it is now {spec.words(value)}."
                )
            else:
                notices.append(
                    f"“{spec.label}” cannot be {_quoted(given[0])}; it is now {spec.words(value)}."
                )
            if value == default:
                wrong.append(key)
            else:
                right[key] = spec.text(value)
        # Streamlit takes defaults out one by one, and each would be a step of the browser's Back.
        # It allows this only before it has bound controls of this page.
        if plain:
            rest = {k: st.query_params.get_all(k) for k in st.query_params if k not in plain}
            with contextlib.suppress(StreamlitAPIException):
                st.query_params.from_dict(rest)
        if notices:
            for key in wrong:
                del st.query_params[key]
            st.query_params.update(right)
            st.session_state[_NOTICES] = notices
            st.rerun()

    def value(self, name: str) -> Value:
        """Return the value of a control, whether or not it is drawn."""
        spec, key = self._all[name], self.key(name)
        if key in st.session_state:
            return spec.nearest(st.session_state[key])
        return spec.nearest(st.query_params.get(key, spec.default))

    def _set_situation(self, key: str, shown: str) -> None:
        chosen = st.session_state[key]
        if chosen != shown and chosen in self.situations:
            self._set(self.situations[chosen].values)

    def _reset(self) -> None:
        self._set({})
        for name in self.view.keys() - {"iter"}:  # which is the player's own
            self.set(name, self.view[name].default)

    def _set(self, values: Mapping[str, Value]) -> None:
        rewind(self.prefix, self.key("iter"))
        for name, spec in self.specs.items():
            if name not in self.sealed:
                self.set(name, values.get(name, spec.default))


def _same(text: str, value: Value) -> bool:
    """Return whether the text of a link means just this value."""
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if isinstance(value, str):
        return text == value
    try:
        return float(text) == value
    except ValueError:
        return False


def _quoted(text: str) -> str:
    """Return what a link held as short, inert text: a code span without control characters."""
    plain = "".join(c for c in text[: _QUOTED_CHARACTERS + 1] if c.isprintable() and c != "`")
    short = plain[:_QUOTED_CHARACTERS] + "…" if len(text) > _QUOTED_CHARACTERS else plain
    return f"`{short}`" if short.strip() else "empty"
