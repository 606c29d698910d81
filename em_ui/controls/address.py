"""The address of a page: what a link says, mended where it needs it, and what it hides.

A value in a link that is out of range is moved to the nearest allowed one, anything unreadable
gives the default, and the reader is told so.
"""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st
from streamlit.errors import StreamlitAPIException
from streamlit.runtime.state import get_session_state

from em_ui.controls import seal
from em_ui.controls.specs import Control, Number, Section, Value
from em_ui.inert import quoted
from em_ui.pictures.player import component

_HERE = Path(__file__).parent
_NOTICES = "notices about the link"
QUIZ, BASED = "quiz", "based"

_copy_link = component("copy_link", "copy_link", _HERE)


def query(prefix: str, specs: Mapping[str, Control], values: Mapping[str, Value]) -> dict[str, str]:
    """Return the query parameters of a link to a page, for all controls that ``values`` names."""
    return {f"{prefix}_{name}": specs[name].text(value) for name, value in values.items()}


def copy_link(
    label: str,
    parameters: Mapping[str, str],
    *,
    key: str,
    keep: Sequence[str],
    address: Mapping[str, Any] | None = None,
) -> None:
    """Draw the button that copies a link.

    Parameters
    ----------
    label : str
        What the button says; it begins with "Copy link".
    parameters : mapping
        What the link holds.
    key : str
        Of the component.
    keep : sequence of str
        Parameters that the link takes over as the address has them.
    address : mapping, optional
        With it, the button also minds the address: ``based`` is the parameter of the situation that
        the settings come from, with its value or None, ``gone`` those that leave the address,
        ``back`` those that come back to it, ``numbers`` those of tables with their values, or None
        where they are not to be in it, and ``position`` that of the player's position. Each change
        of any other is an entry of the browser's history.
    """
    # The browser encodes them. Of a mapping Streamlit asks every kind of table whether it is one.
    pairs = tuple(parameters.items())
    data = {"label": label, "query": pairs, "keep": tuple(keep), "address": address}
    _copy_link(key=key, data=data)


class Hidden(NamedTuple):
    """What a link hides: values of controls, and the situation that it comes from, if any."""

    values: dict[str, Value]
    situation: str | None = None


@dataclass(frozen=True)
class Address:
    """The part of the address that belongs to one page.

    Attributes
    ----------
    prefix : str
        Begins the name of each query parameter.
    specs : mapping of str to Control
        All controls of the page.
    back : dict of str to str
        Parameters that the browser is still to take into its address.
    numbers : dict of str to (str or None)
        Parameters of the numbers of tables, None for those that are not to be in the address.
    """

    prefix: str
    specs: Mapping[str, Control]
    back: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str | None] = field(default_factory=dict)

    def key(self, name: str) -> str:
        """Return the query parameter of a control, which is also its widget's key."""
        return f"{self.prefix}_{name}"

    def remember(self, values: Mapping[str, Value], more: Mapping[str, str]) -> None:
        """Keep what the page is set to, for the browser's Back."""
        st.session_state[self.key("remembered")] = {
            self.key(name): self.specs[name].text(value)
            for name, value in values.items()
            if value != self.specs[name].default
        } | dict(more)

    def rename(self) -> None:
        """Give sections that an older link opens the names that they have now."""
        names = {
            self.key(spec.formerly): self.key(name)
            for name, spec in self.specs.items()
            if isinstance(spec, Section) and spec.formerly
        }
        given = _all_parameters()
        if names.keys() & given.keys():
            st.query_params.from_dict(
                {names.get(key, key): values for key, values in given.items()}
            )
            st.rerun()  # widgets take their values from the address as it was when the run began

    def recall(self) -> None:
        """Bring back what the page was set to, if a visitor arrives without any parameter."""
        # The browser's Back first reaches an entry without parameters, since Streamlit takes them
        # out of the address when it leaves a page. It must not bring the defaults back.
        settings = st.session_state.get(self.key("remembered"))
        if settings and not self.given():
            st.query_params.update(settings)
            st.rerun()

    def given(self) -> dict[str, str]:
        """Return what the address says of this page, as it says it, but for the position.

        The player writes that by itself.
        """
        address = st.query_params.to_dict()  # once: each look at it takes a lock
        names = {*self.specs, QUIZ, BASED} - {"iter"}
        return {name: address[self.key(name)] for name in names if self.key(name) in address}

    def follow(self, defaults: Mapping[str, Value]) -> None:
        """Set the page to what the address says, as Streamlit does when it draws the controls.

        It does so one by one, and the choice of situation comes before them. ``defaults`` are those
        that a control had last, where they are not those declared.
        """
        for name, spec in self.specs.items():
            if name != "iter" and self.key(name) in st.session_state:
                text = st.query_params.get(self.key(name))
                default = defaults.get(name, spec.default)
                value = default if text is None else spec.nearest(text)
                st.session_state[self.key(name)] = value

    def write(self, values: Mapping[str, Value], *, only: bool = True) -> None:
        """Set controls in a callback, and the whole address in one step of the browser's history.

        Parameters
        ----------
        values : mapping of str to value
            By the names of the controls.
        only : bool
            Whether what belongs to the page and is neither among ``values`` nor hidden leaves the
            address.
        """
        mine = {self.key(name) for name in ((*self.specs, BASED) if only else values)}
        address: dict[str, Any] = {k: v for k, v in _all_parameters().items() if k not in mine}
        for name, value in values.items():
            spec, key = self.specs[name], self.key(name)
            value = st.session_state[key] = spec.nearest(value)
            if value != spec.default or getattr(spec, "fits_data", False):
                address[key] = _stored(spec, value)
        # Streamlit 1.67 refuses to set the parameter of a control in public, and would by itself
        # send the browser a message for each, and so make it an entry of the history for each.
        with get_session_state().query_params() as parameters:
            parameters.clear_with_no_forward_msg(preserve_embed=True)
            for key, text in address.items():
                parameters.set_with_no_forward_msg(key, text)
        st.query_params.update({})

    def keep_for_later(self, shown: Collection[str]) -> list[str]:
        """Take controls out of the address that are not among those shown, and keep their values.

        When its control appears, a value in the address would win over one set by a callback.
        Returns the parameters that the browser is still to take out of its address.
        """
        gone, address = [], st.query_params.to_dict()
        for name, spec in self.specs.items():
            key = self.key(name)
            if name in shown or key not in address:
                continue
            value = spec.nearest(st.session_state.get(key, address[key]))
            # In public, and of a control that has just left the page by itself, Streamlit 1.67
            # sends the browser a message, which makes one more entry of its history.
            with get_session_state().query_params() as parameters:
                parameters.discard_param_no_forward_msg(key)
            st.session_state[key] = value
            gone.append(key)
        return gone

    def bring_back(self, name: str, default: Value) -> None:
        """Put a control that appears into the address, with the value that was kept for it."""
        spec, key = self.specs[name], self.key(name)
        value = spec.nearest(st.session_state.get(key, default))
        if value == default or key in st.query_params:
            return
        with get_session_state().query_params() as parameters:  # see above
            parameters.set_with_no_forward_msg(key, _stored(spec, value))
        self.back[key] = spec.text(value)

    def hold(self, values: Mapping[str, Value], defaults: Mapping[str, Value]) -> None:
        """Put the numbers of a table into the address, but for defaults.

        Streamlit does so for its own widgets. The browser hears of it by the button that copies
        links; until then it may have sent an older address.
        """
        texts = {
            self.key(name): None if value == defaults[name] else self.specs[name].text(value)
            for name, value in values.items()
        }
        with get_session_state().query_params() as parameters:  # see above
            for key, text in texts.items():
                if text is None:
                    parameters.discard_param_no_forward_msg(key)
                else:
                    parameters.set_with_no_forward_msg(key, text)
        self.numbers.update(texts)

    def mend(self, *, arrived: bool) -> None:
        """Put right what a link says wrongly, and start again with a notice if there was any."""
        notices, right, wrong, plain = [], {}, [], set()
        address = _all_parameters()
        for name, spec in self.specs.items():
            key = self.key(name)
            given = address.get(key)
            if not given:
                continue
            known = key in st.session_state
            if known and not arrived:
                continue
            value, default = spec.nearest(given[-1]), spec.default
            if known:
                # For a default, Streamlit would keep what the page was set to before it was left.
                st.session_state[key] = value
            readable = _same(given[-1], value)
            if readable and len(given) == 1:
                # The default that fits the data may be another.
                if value == default and not getattr(spec, "fits_data", False):
                    plain.add(key)
                continue
            if len(given) > 1:
                notices.append(
                    f"“{spec.label}” was given {len(given)} times; it is now {spec.words(value)}."
                )
            else:
                notices.append(
                    f"“{spec.label}” cannot be {quoted(given[0])}; it is now {spec.words(value)}."
                )
            if value == default:
                wrong.append(key)
            else:
                right[key] = spec.text(value)
        # Streamlit takes defaults out one by one, and each would be a step of the browser's Back.
        # It allows this only before it has bound controls of this page.
        if plain:
            rest = {k: v for k, v in _all_parameters().items() if k not in plain}
            with contextlib.suppress(StreamlitAPIException):
                st.query_params.from_dict(rest)
        if notices:
            for key in wrong:
                del st.query_params[key]
            st.query_params.update(right)
            st.session_state[_NOTICES] = notices
            st.rerun()

    def notices(self) -> list[str]:
        """Return what was put right before this run."""
        return list(st.session_state.pop(_NOTICES, []))

    def seal(self, hidden: Hidden) -> str:
        """Return what a link hides as a text that only this server can read."""
        return seal.seal(self.prefix, hidden._asdict())

    def unseal(self, names: Collection[str], situations: Collection[str]) -> Hidden:
        """Return what the address hides; of controls, ``names`` may be hidden.

        Nothing, with a warning, if it cannot be read. A value that is not allowed becomes the
        nearest that is, with a notice, which does not tell it.
        """
        nothing = Hidden({})
        token = st.query_params.get(self.key(QUIZ))
        if token is None or not names:
            return nothing
        if not token:
            del st.query_params[self.key(QUIZ)]
            return nothing
        content = seal.unseal(self.prefix, token) or {}
        values, situation = content.get("values"), content.get("situation")
        if not isinstance(values, dict) or not values or not set(values) <= set(names):
            st.warning(
                "The part of this link that hides the truth cannot be read: it is damaged, or of "
                "another server. So nothing is hidden, and these are **not the data of your "
                "class**, but others, as the open part of the link and this page’s own settings "
                "make them. Ask for the link again."
            )
            return nothing
        right = {name: self.specs[name].nearest(value) for name, value in values.items()}
        wrong = [name for name in right if not _same(str(values[name]), right[name])]
        if wrong:
            text = "\n".join(
                f"- “{self.specs[name].label}” is hidden. What the link held is not allowed; it is "
                "now the nearest that is, or the default."
                for name in wrong
            )
            st.warning(text, title="Changed in this link")
        return Hidden(right, situation if situation in situations else None)


def _stored(spec: Control, value: Value) -> str | list[str]:
    """Return a value just as Streamlit 1.67 keeps it, which then finds nothing to put right."""
    if isinstance(spec, Number):
        return [spec.text(value)] if spec.slider else str(value)
    return spec.text(value)


def _all_parameters() -> dict[str, list[str]]:
    return {key: st.query_params.get_all(key) for key in st.query_params}


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
