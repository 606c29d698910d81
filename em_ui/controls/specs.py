"""What a control is: its label, its bounds, its default, and its text in an address.

A page declares its controls once, as data. Streamlit binds each widget to a query parameter
(``bind="query-params"``); what Streamlit does not do, :mod:`em_ui.controls.address` does.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from em_ui.pictures.format import MAX_ITERATIONS

Value = float | int | str | bool

MAX_STARTS = 200
MAX_STUDENT = 9_999
MAX_LISTED = 200  # students whose answers stand on the page


class Control(ABC):
    """What a page can be set to: a widget, its label and default, and its text in an address."""

    label: str
    default: Any

    @abstractmethod
    def nearest(self, value: Any) -> Any:
        """Return the allowed value that is nearest to one from a link, or the default."""

    @abstractmethod
    def text(self, value: Any) -> str:
        """Return a value as it stands in a URL."""

    @abstractmethod
    def words(self, value: Any) -> str:
        """Return a value as a notice says it."""

    @abstractmethod
    def widget(self, key: str) -> Any:
        """Draw the widget, and return its value."""


@dataclass(frozen=True)
class Number(Control):
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
    fits_data : bool
        Whether the page puts other bounds and another default in the place of these, which fit its
        data (:meth:`.Controls.adapt`). A link is mended before it knows its data: these bounds are
        those of any.
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
    fits_data: bool = False

    def nearest(self, value: Any) -> float:
        """Return the allowed value nearest to ``value``, or the default if it is not a number."""
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return self.default
        if math.isnan(number):
            return self.default
        number = min(max(number, self.low), self.high)
        if self.slider and self.fits_data:
            return round(number, 10)  # of which the step is not known here
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

    def shown(self, value: Value) -> str:
        """Return ``value`` as a table shows it: with all digits, unless the format names some."""
        return self.text(value) if self.format in (None, "%g") else self.format % value

    def read(self, text: str) -> float | None:
        """Return the number that a text means, or None if that is no number or not allowed."""
        try:
            number = float(text)
        except ValueError:
            return None
        return self.nearest(number) if self.nearest(number) == number else None

    @property
    def allowed(self) -> str:
        """What numbers are allowed, in words."""
        kind = "a whole number" if isinstance(self.step, int) else "a number"
        return f"{kind} from {self.low:,.10g} to {self.high:,.10g}".replace("-", "−")

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
class Choice(Control):
    """One of several words; ``fits_data`` as of a :class:`Number`."""

    label: str
    options: tuple[str, ...]
    default: str
    help: str | None = None
    fits_data: bool = False

    def nearest(self, value: Any) -> str:
        """Return ``value`` if it is an option, otherwise the default."""
        return value if value in self.options else self.default

    def text(self, value: Value) -> str:
        """Return ``value`` as it stands in a URL, or as a notice says it."""
        return str(value)

    def words(self, value: Value) -> str:
        """Return ``value`` as a notice says it."""
        return self.text(value)

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
class Switch(Control):
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
class Section(Control):
    """A part of the page that is computed only while it is open.

    Attributes
    ----------
    label, icon : str
        Its heading.
    draw : callable
        Draws it, given the page's controls and the run.
    follows : bool
        Whether it shows the player's iteration, so that the server has to hear of that.
    for_teacher : bool
        Whether a page that hides the truth goes without it.
    formerly : str, optional
        What it is called in older links.
    """

    label: str
    icon: str
    draw: Callable[[Any, Any], None]
    follows: bool = False
    for_teacher: bool = False
    formerly: str | None = None
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


def seed(label: str, default: int = 1) -> Number:
    """Return the control of a seed."""
    return Number(label, default, 0, 999_999, 1, "The same seed always gives the same draw.")


def tolerance(per: str, default: str = "1e-6") -> Choice:
    """Return the control of the stopping rule; ``per`` is one observation, in words."""
    return Choice(
        "Tolerance",
        ("0", "1e-10", "1e-8", "1e-6", "1e-5", "1e-4", "1e-3", "1e-2"),
        default,
        f"The run stops when an iteration gains no more than this per {per}. "
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


def usual(
    observation: str,
    *,
    data_seed: int = 1,
    guess_seed: int = 1,
    tol: str = "1e-6",
    max_iter: int = 100,
) -> dict[str, Control]:
    """Return the controls that every lesson with a run has: what is drawn, and when to stop.

    ``observation`` is one of them, in words; the others are defaults.
    """
    return {
        "data_seed": seed("Data seed", data_seed),
        "student": student(),
        "guess_seed": seed("Guess seed", guess_seed),
        "start": start_number(),
        "tol": tolerance(observation, tol),
        "max_iter": iteration_limit(max_iter),
    }


# What every page with a run has besides its own controls. It changes the view, never the run.
VIEW: Mapping[str, Number | Switch] = {
    "iter": Number(
        "Iteration", 0.0, 0.0, float(MAX_ITERATIONS), 0.5, slider=True, to_the_last=True
    ),
    "observation": Number("Observation", 1, 1, 100_000, 1, to_the_last=True),
    "gap": Switch("Gap to the end on a log scale", False),
    "starts": Number("Number of starts", 20, 1, MAX_STARTS, 1),
    "class_size": Number("Students in the class", 5, 1, MAX_LISTED, 1),
    "class_first": Number("First student number", 1, 1, MAX_STUDENT, 1),
}
