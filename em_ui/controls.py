"""Sidebar controls that live in the URL: bounds, notices, situations, reset and the link.

A page declares its controls once, as data. Streamlit binds each widget to a query parameter
(``bind="query-params"``); what Streamlit does not do is done here: a value in a link that is out of
range is moved to the nearest allowed one, anything unreadable gives the default, and the reader is
told so.
"""

import math
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from em_ui.charts import MAX_ITERATIONS

Value = float | int | str | bool

_HERE = Path(__file__).parent
_NOTICES = "notices about the link"
_HERE_NOW = "prefix of the page of the last run"
_OWN = "Your own settings"
_QUOTED_CHARACTERS = 30

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
    """

    label: str
    default: float
    low: float
    high: float
    step: float
    help: str | None = None
    slider: bool = False
    format: str | None = None

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
        """Return ``value`` as it stands in a URL."""
        return str(value)

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

    def widget(self, key: str) -> Any:
        """Draw the widget."""
        return st.toggle(
            self.label, value=self.default, help=self.help, key=key, bind="query-params"
        )


Control = Number | Choice | Switch


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


def iteration_limit(default: int) -> Number:
    """Return the control of the largest number of iterations."""
    return Number("Iteration limit", default, 1, MAX_ITERATIONS, 1)


@dataclass
class Controls:
    """The controls of one page, for one rerun.

    Attributes
    ----------
    prefix : str
        Begins the name of each query parameter, so that pages keep apart.
    specs : mapping of str to Number, Choice or Switch
        All controls the page may show.
    situations : mapping of str to mapping
        Named settings: the values that differ from the defaults.
    """

    prefix: str
    specs: Mapping[str, Control]
    situations: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    _shown: dict[str, Value] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Bring the page's values back, mend the link if it needs it, and say what was mended."""
        self._remember()
        self._mend_link()
        notices = st.session_state.pop(_NOTICES, [])
        if notices:
            st.warning("\n".join(f"- {notice}" for notice in notices), title="Changed in this link")

    def key(self, name: str) -> str:
        """Return the widget key of a control, which is also its query parameter."""
        return f"{self.prefix}_{name}"

    def show(self, name: str) -> Any:
        """Draw a control here, and return its value, which is within its bounds."""
        spec = self.specs[name]
        value = spec.nearest(spec.widget(self.key(name)))
        self._shown[name] = value
        return value

    def show_all(self, *names: str) -> None:
        """Draw several controls, one below the other."""
        for name in names:
            self.show(name)

    def situation(self) -> str | None:
        """Draw the choice of situation, and return the name of the one that is set, if any."""
        current = next((name for name in self.situations if self._matches(name)), None)
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
        return current

    def settings(self) -> dict[str, Any]:
        """Return the value of every control, the default of those not shown up to here."""
        return {name: self._shown.get(name, spec.default) for name, spec in self.specs.items()}

    def footer(self) -> None:
        """Draw the link to copy and the reset, below the controls."""
        query = urllib.parse.urlencode(
            {self.key(name): self.specs[name].text(value) for name, value in self._shown.items()}
        )
        _copy_link(key=self.key("link"), data={"query": query})
        st.session_state[self.key("remembered")] = {
            self.key(name): self.specs[name].text(value)
            for name, value in self._shown.items()
            if value != self.specs[name].default
        }
        st.button(
            "Reset this page",
            icon=":material/restart_alt:",
            key=self.key("reset"),
            on_click=self._set,
            args=({},),
            width="stretch",
        )

    def _remember(self) -> None:
        # The browser's Back first reaches an entry without parameters, since Streamlit takes them
        # out of the address when it leaves a page. It must not bring the defaults back.
        previous = st.session_state.get(_HERE_NOW)
        st.session_state[_HERE_NOW] = self.prefix
        settings = st.session_state.get(self.key("remembered"))
        bare = not any(self.key(name) in st.query_params for name in self.specs)
        if previous != self.prefix and bare and settings:
            st.query_params.update(settings)
            st.rerun()

    def _mend_link(self) -> None:
        notices, right, wrong = [], {}, []
        for name, spec in self.specs.items():
            key = self.key(name)
            given = st.query_params.get_all(key)
            if not given or key in st.session_state:
                continue
            value, default = spec.nearest(given[-1]), spec.default
            readable = _same(given[-1], value)
            if readable and len(given) == 1:
                continue
            if len(given) > 1:
                notices.append(f"“{spec.label}” was given {len(given)} times; it is now {value}.")
            else:
                notices.append(f"“{spec.label}” cannot be {_quoted(given[0])}; it is now {value}.")
            if value == default:
                wrong.append(key)
            else:
                right[key] = spec.text(value)
        if notices:
            for key in wrong:
                del st.query_params[key]
            st.query_params.update(right)
            st.session_state[_NOTICES] = notices
            st.rerun()

    def _value(self, name: str) -> Value:
        spec, key = self.specs[name], self.key(name)
        if key in st.session_state:
            return spec.nearest(st.session_state[key])
        return spec.nearest(st.query_params.get(key, spec.default))

    def _matches(self, situation: str) -> bool:
        wanted = self.situations[situation]
        return all(
            self._value(name) == wanted.get(name, spec.default) for name, spec in self.specs.items()
        )

    def _set_situation(self, key: str, shown: str) -> None:
        chosen = st.session_state[key]
        if chosen != shown:
            self._set(self.situations.get(chosen, {}))

    def _set(self, values: Mapping[str, Value]) -> None:
        for name, spec in self.specs.items():
            st.session_state[self.key(name)] = values.get(name, spec.default)


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
