"""The controls of one page: widgets, situations, sections, the link, and the reset."""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from em_ui.controls import lookup, table
from em_ui.controls.address import BASED, QUIZ, Address, Hidden, copy_link, query
from em_ui.controls.specs import Control, Number, Section, Value
from em_ui.pictures.player import rewind

lookup.one_by_one()

_HERE_NOW = "prefix of the page of the last run"
_OWN = "Your own settings"
_STUDENT = "student"
_DATA = frozenset(("data", "own"))  # the controls that say where the data come from
# From these and the truth the data follow, and in some lessons the truth itself.
_DRAWN_BY = ("data_seed", _STUDENT)

# Words, or what makes them of the run of a situation's own settings.
Told = str | Callable[[Any], str]


@dataclass(frozen=True)
class Situation:
    """Named settings that teach something.

    Attributes
    ----------
    values : mapping
        The settings that differ from the defaults.
    question : str or callable
        To be answered before pressing play. A callable gets the :class:`~em_ui.run.Run` of the
        situation's own settings, whatever the page is set to, and returns the words; so does that
        of an answer.
    answer : str or callable
        What happens, and why. It is computed when it is shown.
    moves : collection of str
        Controls that question or answer ask to move. While only these differ, it is still this
        situation.
    sealed_question : str, optional
        The question where the truth is hidden, and on sheets, if ``question`` states it. If it is
        empty, there is none.
    """

    values: Mapping[str, Value]
    question: Told
    answer: Told
    moves: Collection[str] = ()
    sealed_question: str | None = None


@dataclass
class _Kept:
    """What a page keeps for itself until the next rerun.

    It is one entry of the session's state: each entry costs every rerun.
    """

    situation: str = ""  # the last one
    link: dict[str, str] = field(default_factory=dict)  # that the visitor came with
    defaults: dict[str, Value] = field(default_factory=dict)  # that fitted the data
    shown: frozenset[str] | None = None  # controls that the last run drew
    in_tables: dict[str, Value] = field(default_factory=dict)  # its numbers, with their defaults
    choices: int = 0


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
        The controls that a link for students can seal: all that make the true parameters. Data
        seed and student number are sealed with them.
    view : mapping of str to Control
        The controls that change only what is shown, the page's sections among them.
    asked : sequence of str
        Those of the truth for which a student is asked, and whose bounds a guess has to keep.
    sealed : dict
        The values that the link hides, if it does.
    current : Situation or None
        The situation that is set, or that the settings come from, after :meth:`situation` was
        called.
    changed : bool
        Whether the settings only come from it: something that it does not ask to move was changed.
    """

    prefix: str
    specs: Mapping[str, Control]
    situations: Mapping[str, Situation] = field(default_factory=dict)
    truth: Sequence[str] = ()
    view: Mapping[str, Control] = field(default_factory=dict)
    asked: Sequence[str] = ()
    sealed: dict[str, Value] = field(default_factory=dict, init=False)
    current: Situation | None = field(default=None, init=False)
    changed: bool = field(default=False, init=False)
    _shown: dict[str, Value] = field(default_factory=dict, init=False)
    _adapted: dict[str, Control] = field(default_factory=dict, init=False)
    _in_tables: dict[str, Value] = field(default_factory=dict, init=False)  # their defaults

    def __post_init__(self) -> None:
        """Bring the page's values back, mend the link if it needs it, and say what was mended."""
        arrived = st.session_state.get(_HERE_NOW) != self.prefix
        if arrived:  # Streamlit forgets its own widgets where a page is left
            for name in self._kept.in_tables:
                st.session_state.pop(self.key(name), None)
        self._address.rename()
        st.session_state[_HERE_NOW] = self.prefix
        # Where the browser went back or forward, the address wins over what the page was set to.
        context = get_script_run_ctx()
        moved = context is not None and context.is_history_navigation
        given = self._address.given()
        if moved and not arrived:
            self._address.follow(self._kept.defaults)
        if (arrived or moved) and given:
            self._kept.situation = given.get(BASED, "")
        if arrived and given and not moved:
            self._kept.link = given
        if arrived:
            self._address.recall()
        self._address.mend(arrived=arrived)
        names = [*self.truth, *self._drawn_by] if self.truth else []
        hidden = self._address.unseal(names, self.situations)
        self.sealed = hidden.values
        if hidden.situation:
            self.current = self.situations[hidden.situation]
        notices = self._address.notices()
        if notices:
            st.warning("\n".join(f"- {notice}" for notice in notices), title="Changed in this link")

    @cached_property
    def _all(self) -> dict[str, Control]:
        return {**self.specs, **self.view}

    @property
    def _drawn_by(self) -> list[str]:
        return [name for name in _DRAWN_BY if name in self.specs]

    @cached_property
    def _address(self) -> Address:
        return Address(self.prefix, self._all)

    def key(self, name: str) -> str:
        """Return the widget key of a control, which is also its query parameter."""
        return self._address.key(name)

    def adapt(self, **specs: Control) -> None:
        """Put other bounds and defaults in the place of those declared, before they are shown.

        They fit the data that the page is set to. The controls are declared with ``fits_data``.
        Where one was left at its default, it goes to the new one when the data change.
        """
        self._adapted |= specs

    @cached_property
    def _kept(self) -> _Kept:
        found: _Kept = st.session_state.setdefault(self.key("kept"), _Kept())
        return found

    def _spec(self, name: str) -> Control:
        """Return a control as it is shown now, at the default that fits the data if it was left."""
        spec = self._adapted.get(name, self._all[name])
        if getattr(spec, "fits_data", False):
            self._follow_default(name, spec)
        return spec

    def _follow_default(self, name: str, spec: Any) -> None:
        key = self.key(name)
        before = self._kept.defaults.get(name, self._all[name].default)
        # Whatever was chosen stands in the address, be it the default of other data.
        if key not in st.query_params and st.session_state.get(key) == before:
            st.session_state[key] = spec.default
        self._kept.defaults[name] = spec.default

    def show(self, name: str) -> Any:
        """Draw a control here, and return its value, which is within its bounds.

        A sealed control is not drawn, but for the student's number: another one draws other data
        from the same truth, and tells nothing of it.
        """
        if name in self.sealed and name != _STUDENT:
            return self.sealed[name]
        spec = self._spec(name)
        before = self._kept.shown
        if name in self.specs and before is not None and name not in before:
            self._address.bring_back(name, spec.default)
        value = spec.nearest(spec.widget(self.key(name)))
        self._shown[name] = value
        return value

    def show_all(self, *names: str) -> None:
        """Draw several controls, one below the other."""
        for name in names:
            self.show(name)

    def group(self, heading: str, *names: str) -> None:
        """Draw a heading of the sidebar, and several controls below it."""
        st.header(heading)
        self.show_all(*names)

    def show_beside(self, *names: str) -> None:
        """Draw several controls side by side, but for those that are sealed."""
        names = tuple(name for name in names if name not in self.sealed)
        if names:
            with st.container(horizontal=True):
                self.show_all(*names)

    def table(self, *quantities: str, rows: int) -> None:
        """Draw the numbers of several components as one table, but for those that are sealed.

        Parameters
        ----------
        quantities : str
            The columns: controls, all of them a :class:`Number`, without the number of the row with
            which their names and labels end. Those of a column have the same bounds and step.
        rows : int
            How many components there are.
        """
        specs, values = {}, {}
        address, state = st.query_params.to_dict(), st.session_state
        for name in (f"{quantity}{i}" for i in range(1, rows + 1) for quantity in quantities):
            if name not in self.sealed:
                key, spec = self.key(name), self._spec(name)
                known = state.get(key)
                given = address.get(key, spec.default) if known is None else known
                values[name], specs[name] = spec.nearest(given), spec
                if values[name] != known:
                    state[key] = values[name]
        if not specs:
            return
        defaults = {name: spec.default for name, spec in specs.items()}
        self._address.hold(values, defaults)
        self._shown |= values
        self._in_tables |= defaults
        place = self.key(f"table {quantities[0]}")
        numbers: dict[str, Any] = {self.key(name): spec for name, spec in specs.items()}
        table.draw(
            [self.key(quantity) for quantity in quantities],
            numbers,
            {self.key(name): value for name, value in values.items()},
            st.session_state.get(_heard(place), table.Heard()),
            rows=rows,
            key=place,
            on_change=lambda: _take(place, numbers),
        )

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
        return any(self._values(n for n, spec in self.sections.items() if spec.follows).values())

    @property
    def position(self) -> float:
        """The player's position when the server last heard of it, in iterations."""
        return float(self._all["iter"].nearest(st.query_params.get(self.key("iter"), 0.0)))

    def set(self, **values: Value) -> None:
        """Set controls in a callback, in one step of the browser's history."""
        # Which numbers were typed into tables, the browser may not have sent along.
        numbers = {n: self.value(n) for n in self._kept.in_tables}
        typed = {n: value for n, value in numbers.items() if value != self._kept.in_tables[n]}
        self._address.write(typed | values, only=False)

    def situation(self) -> None:
        """Draw the choice of situation, which makes the one that is set the current one.

        Where none is set, the last one stays current, as what the settings come from, unless the
        data are others.
        """
        if self.sealed:
            return
        now = self._values(self.specs)
        exact = next((name for name in self.situations if not self._differ(name, now)), None)
        if exact:
            self._kept.situation = exact
        title = self._kept.situation
        options, shown = list(self.situations), _OWN
        if self._may_come_from(title, now):
            self.current = self.situations[title]
            self.changed = not self._differ(title, now) <= frozenset(self.current.moves)
            shown = f"Based on “{title}”" if self.changed else title
        # A widget for each: with only one, a browser that has not heard yet that a change made the
        # settings the reader's own would seem to choose the old situation, and undo the change.
        key = self.key(f"situation {shown}")
        st.session_state[key] = shown
        st.selectbox(
            "Situation",
            options if shown in options else [shown, *options],
            key=key,
            on_change=self._set_situation,
            args=(key, shown),
            help="Sets every control of this page at once. Change any of them afterwards.",
        )

    @property
    def title(self) -> str | None:
        """The name of the current situation."""
        return next((name for name, s in self.situations.items() if s is self.current), None)

    @property
    def chosen(self) -> int:
        """How often a situation was chosen or the page reset: what was opened is closed then."""
        return self._kept.choices

    def own(self, situation: Situation) -> dict[str, Value]:
        """Return all settings of a situation."""
        return {name: spec.default for name, spec in self.specs.items()} | dict(situation.values)

    def _may_come_from(self, title: str, now: Mapping[str, Value]) -> bool:
        """Return whether settings may come from a situation: it says nothing of other data."""
        return title in self.situations and not _DATA & self._differ(title, now)

    def _differ(self, title: str, now: Mapping[str, Value]) -> frozenset[str]:
        values, fitting = self.situations[title].values, self._kept.defaults
        return frozenset(
            name
            for name, value in now.items()
            if value != values.get(name, default := self.specs[name].default)
            and (name in values or value != fitting.get(name, default))
        )

    @contextlib.contextmanager
    def sidebar(self) -> Iterator[None]:
        """Draw the page's controls in the sidebar, between situations, and link and reset."""
        with st.sidebar:
            self.situation()
            yield
            self.footer()

    def settings(self) -> dict[str, Any]:
        """Return what makes the run: the controls shown up to here, and defaults for the rest."""
        settings = {
            name: self.sealed.get(name, self._shown.get(name, spec.default))
            for name, spec in self.specs.items()
        }
        if self._shown.get(_STUDENT):
            settings[_STUDENT] = self._shown[_STUDENT]
        return settings

    def footer(self) -> None:
        """Draw the link to copy and the reset, below the controls.

        This may come before what the controls make: settings that cannot be run end the page there.
        """
        gone = self._address.keep_for_later({*self.view, *self._shown, *self.sealed})
        self._kept.shown = frozenset(self._shown)
        left = [self.key(name) for name in self._kept.in_tables if name not in self._in_tables]
        self._kept.in_tables = self._in_tables
        # All but the player's position, which the browser knows better.
        now = self._values(self._all)
        state = {name: now[name] for name in self.view if name != "iter"} | self._shown
        parameters = query(self.prefix, self._all, state)
        title = self._kept.situation
        settings = {name: now[name] for name in self.specs}
        come_from = (
            self._may_come_from(title, settings)
            and not self.sealed
            and self._differ(title, settings)
        )
        copy_link(
            "Copy link to these settings",
            parameters | ({self.key(BASED): title} if come_from else {}),
            key=self.key("link"),
            keep=[self.key("iter"), self.key(QUIZ)],
            address={
                "based": [self.key(BASED), title if come_from else None],
                "gone": gone,
                "back": self._address.back,
                "numbers": dict.fromkeys(left) | self._address.numbers,
                "position": self.key("iter"),
            },
        )
        token = st.query_params.get(self.key(QUIZ))
        self._address.remember(state, {self.key(QUIZ): token} if self.sealed and token else {})
        link = self._kept.link
        st.button(
            "Reset this page",
            icon=":material/restart_alt:",
            key=self.key("reset"),
            on_click=self._reset,
            args=(link,),
            help="Back to the link that you came with." if link else None,
            width="stretch",
        )
        if link and not self.sealed:
            st.button(
                "Start from the defaults",
                key=self.key("defaults"),
                on_click=self._reset,
                args=({},),
                width="stretch",
            )

    @property
    def hides(self) -> list[str]:
        """What a link for students hides of the controls on the page."""
        return [name for name in (*self.truth, *self._drawn_by) if name in self._shown]

    def student_link(self) -> None:
        """Draw the link that hides the truth and the answers.

        It keeps the situation's question, the iteration, and the sections that are open.
        """
        hidden = self.hides
        for_teacher = {"class_size", "class_first"} | {
            name
            for name, spec in self._all.items()
            if isinstance(spec, Section) and (spec.for_teacher or not self._shown.get(name))
        }
        open_to_all = {
            name: value
            for name, value in self._shown.items()
            if name not in hidden and name not in for_teacher
        }
        token = self._address.seal(Hidden({n: self._shown[n] for n in hidden}, self.title))
        copy_link(
            "Copy link for students",
            {**query(self.prefix, self._all, open_to_all), self.key(QUIZ): token},
            key=self.key("student_link"),
            keep=[self.key("iter")],
        )

    def _values(self, names: Iterable[str]) -> dict[str, Value]:
        """Return the values of controls, whether or not they are drawn.

        Of those that are not drawn yet, it is what they were given before this run.
        """
        given = self._given
        return {
            name: self._shown[name]
            if name in self._shown
            else self._all[name].nearest(given.get(self.key(name), self._all[name].default))
            for name in names
        }

    @cached_property
    def _given(self) -> dict[str, Any]:
        """State and address, read once for all: one by one, that costs each rerun milliseconds."""
        return st.query_params.to_dict() | st.session_state.to_dict()

    def value(self, name: str) -> Value:
        """Return the value of a control, whether or not it is drawn."""
        spec, key = self._all[name], self.key(name)
        known = key in st.session_state
        given = st.session_state[key] if known else st.query_params.get(key, spec.default)
        value: Value = spec.nearest(given)
        return value

    def _set_situation(self, key: str, shown: str) -> None:
        chosen = st.session_state[key]
        if chosen != shown and chosen in self.situations:
            view = {name: self.value(name) for name in self.view if name != "iter"}
            self._set({**self.situations[chosen].values, **view})
            self._kept.situation = chosen

    def _reset(self, link: Mapping[str, str]) -> None:
        self._set({n: spec.nearest(link[n]) for n, spec in self._all.items() if n in link})
        self._kept.situation = link.get(BASED, "")

    def _set(self, values: Mapping[str, Value]) -> None:
        """Set everything that is not hidden and not the player's, by default to its default."""
        names = [
            name
            for name in self._all
            if (name not in self.sealed or name == _STUDENT) and name != "iter"
        ]
        # Which default fits the data is known once these are.
        fitting = {
            name
            for name in names
            if name not in values and getattr(self._all[name], "fits_data", False)
        }
        self._address.write(
            {n: values.get(n, self._all[n].default) for n in names if n not in fitting}
        )
        for name in fitting:
            before = self._kept.defaults.get(name, self._all[name].default)
            st.session_state[self.key(name)] = before
        rewind(self.prefix, self.key("iter"))
        self._kept.choices += 1


def _take(place: str, numbers: Mapping[str, Number]) -> None:
    """Set the numbers that were typed into a table, in a callback."""
    before = st.session_state.get(_heard(place), table.Heard())
    values = {key: st.session_state[key] for key in numbers}
    taken, heard = table.take(st.session_state[place].changes, numbers, values, before)
    st.session_state[_heard(place)] = heard
    for key, value in taken.items():
        st.session_state[key] = value


def _heard(place: str) -> str:
    return f"{place} heard"
