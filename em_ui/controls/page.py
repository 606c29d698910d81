"""The controls of one page: widgets, situations, sections, the link, and the reset."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from em_ui.controls.address import Address, copy_link, query
from em_ui.controls.specs import Control, Section, Value
from em_ui.pictures.player import rewind

_HERE_NOW = "prefix of the page of the last run"
_OWN = "Your own settings"


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
        The controls that change only what is shown, the page's sections among them.
    sealed : dict
        The true parameters that the link hides, if it does.
    current : Situation or None
        The situation that is set, after :meth:`situation` was called.
    """

    prefix: str
    specs: Mapping[str, Control]
    situations: Mapping[str, Situation] = field(default_factory=dict)
    truth: Sequence[str] = ()
    view: Mapping[str, Control] = field(default_factory=dict)
    sealed: dict[str, Value] = field(default_factory=dict, init=False)
    current: Situation | None = field(default=None, init=False)
    _shown: dict[str, Value] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Bring the page's values back, mend the link if it needs it, and say what was mended."""
        arrived = st.session_state.get(_HERE_NOW) != self.prefix
        self._address.rename()
        st.session_state[_HERE_NOW] = self.prefix
        if arrived:
            self._address.recall()
        self._address.mend(arrived=arrived)
        self.sealed = self._address.unseal(self.truth)
        notices = self._address.notices()
        if notices:
            st.warning("\n".join(f"- {notice}" for notice in notices), title="Changed in this link")

    @cached_property
    def _all(self) -> dict[str, Control]:
        return {**self.specs, **self.view}

    @cached_property
    def _address(self) -> Address:
        return Address(self.prefix, self._all)

    def key(self, name: str) -> str:
        """Return the widget key of a control, which is also its query parameter."""
        return self._address.key(name)

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

    def group(self, heading: str, *names: str) -> None:
        """Draw a heading of the sidebar, and several controls below it."""
        st.subheader(heading)
        self.show_all(*names)

    def show_beside(self, *names: str) -> None:
        """Draw several controls side by side, but for those that are sealed."""
        names = tuple(name for name in names if name not in self.sealed)
        if names:
            for column, name in zip(st.columns(len(names)), names, strict=True):
                with column:
                    self.show(name)

    @property
    def sections(self) -> dict[str, Section]:
        """The page's sections by name, but for the teacher's on a page that hides the truth."""
        return {
            name: spec
            for name, spec in self.view.items()
            if isinstance(spec, Section) and not (spec.for_teacher and self.sealed)
        }

    def section(self, name: str) -> Any:
        """Draw the heading of a section; return its container if it is open, otherwise None."""
        box = self._all[name].widget(self.key(name))
        self._shown[name] = bool(box.open)
        return box if box.open else None

    @property
    def follows(self) -> bool:
        """Whether a section is open that shows the player's iteration."""
        return any(spec.follows and self.value(name) for name, spec in self.sections.items())

    @property
    def position(self) -> float:
        """The player's position when the server last heard of it, in iterations."""
        return float(self._all["iter"].nearest(st.query_params.get(self.key("iter"), 0.0)))

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

    def situation(self) -> None:
        """Draw the choice of situation, which makes the one that is set the current one."""
        if self.sealed:
            return
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

    @contextlib.contextmanager
    def sidebar(self) -> Iterator[None]:
        """Draw the page's controls in the sidebar, between situations, and link and reset."""
        with st.sidebar:
            self.situation()
            yield
            self.footer()

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
        self._address.keep_for_later({*self.view, *self._shown, *self.sealed})
        # All but the player's position, which the browser knows better.
        state = {name: self.value(name) for name in self.view if name != "iter"} | self._shown
        copy_link(
            "Copy link to these settings",
            query(self.prefix, self._all, state),
            key=self.key("link"),
            keep=[self.key("iter"), self.key("quiz")],
        )
        hidden = {self.key("quiz"): self._address.seal(self.sealed)} if self.sealed else {}
        self._address.remember(state, hidden)
        st.button(
            "Reset this page",
            icon=":material/restart_alt:",
            key=self.key("reset"),
            on_click=self._reset,
            width="stretch",
        )

    def student_link(self) -> None:
        """Draw the link that hides the truth and the answers."""
        open_to_all = {
            name: value
            for name, value in self._shown.items()
            if name not in self.truth and not isinstance(self._all[name], Section)
        }
        # Of published data the truth has no controls on the page, but is to be hidden all the same.
        names = [name for name in self.truth if name in self._shown] or self.truth
        hidden = self._address.seal({name: self.value(name) for name in names})
        copy_link(
            "Copy link for students",
            {**query(self.prefix, self._all, open_to_all), self.key("quiz"): hidden},
            key=self.key("student_link"),
            keep=[],
        )

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
