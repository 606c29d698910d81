"""The control of the reader's own numbers: paste or bring a file, and choose columns.

Its value is a text, which stands in the settings and in links for what was chosen
(see :mod:`.kept`). What it was chosen from stays in the session.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd
import streamlit as st

from em_ui.controls.specs import Control
from em_ui.data import kept
from em_ui.data.kept import MAX_IN_LINK, NoData, Numbers, Reference
from em_ui.data.read import Table, choose, numeric_columns, read
from em_ui.inert import escaped
from em_ui.run import budget
from em_ui.uploads import release

_PREVIEW = 4  # rows
_READING = 30  # times as long as a row of a fit takes a character, to read and to choose it
_PASTED = "pasted numbers"
_SIGNS: Mapping[str, Literal["auto", ".", ","]] = {
    "Found by itself": "auto",
    "Point, as in 3.6": ".",
    "Comma, as in 3,6": ",",
}


@dataclass
class _Source:
    """What the visitor brought to one page, and what was taken of it."""

    raw: str | bytes
    name: str
    sign: str = next(iter(_SIGNS))
    table: Table | None = None
    columns: list[str] = field(default_factory=list)
    frequencies: str | None = None
    labels: str | None = None
    text: str = ""  # the control's value that it gave
    left_out: tuple[str, ...] = ()
    error: str = ""
    other: str = ""  # what the link was made with, if these are other numbers


@dataclass(frozen=True)
class Own(Control):
    """The reader's own numbers.

    Attributes
    ----------
    roles : sequence of str
        What the columns are for, one each.
    optional : sequence of str
        Roles that need no column: the last ones.
    several : (int, int), optional
        Instead of roles: at least and at most so many columns.
    label, default
        As of every control.
    """

    roles: Sequence[str] = ("Value",)
    optional: Sequence[str] = ()
    several: tuple[int, int] | None = None
    label: str = "Your own numbers"
    default: str = ""

    def nearest(self, value: Any) -> str:
        """Return ``value`` if it stands for numbers, otherwise none."""
        return value if isinstance(value, str) and kept.told(value) else self.default

    def text(self, value: Any) -> str:
        """Return ``value`` as it stands in a URL."""
        return str(value)

    def words(self, value: Any) -> str:
        """Return ``value`` as a notice says it."""
        found = kept.told(value)
        if found is None:  # what stood in the link could not be read
            return "none: that part of the link is damaged"
        return escaped(kept.described(found))

    def widget(self, key: str) -> str:
        """Draw where numbers are pasted or brought, what was read, and the choice of columns."""
        text = self.nearest(st.session_state.get(key, st.query_params.get(key, "")))
        source = _source(key)
        if source and source.text != text:  # the page was reset, or its address changed
            source = None
            _forget(key)
        number = st.session_state.get(_times(key), 0)
        st.text_area(
            "Paste numbers",
            key=_paste_key(key, number),
            height=100,
            placeholder="3.6  1.8  3.3 …\nor a table with a header",
            on_change=self._pasted,
            args=(key, number),
            help="Separated by blanks, commas, semicolons or lines; or a table from a spreadsheet. "
            "Press Ctrl+Enter to apply.",
        )
        st.file_uploader(
            "Or bring a CSV file",
            key=_file_key(key, number),
            on_change=self._brought,
            args=(key, number),
            max_upload_size=1,
            help="The numbers are kept for this browser session and are gone with it. Up to "
            f"{MAX_IN_LINK} rows stand in the address of the page too.",
        )
        if source and source.error:
            st.error(source.error, icon=":material/error:")
        self._shown(key, text, source)
        if source and source.table is not None:
            self._choices(key, source)
        return text

    def trouble(self, key: str) -> str:
        """Return why what was brought last cannot be used, or "" if it can."""
        source = _source(key)
        return source.error if source else ""

    @property
    def most(self) -> int:
        """As many columns as can be used."""
        return self.several[1] if self.several else len(self.roles)

    @property
    def least(self) -> int:
        """As many columns as are needed."""
        return self.several[0] if self.several else len(self.roles) - len(self.optional)

    def _pasted(self, key: str, number: int) -> None:
        text = st.session_state[_paste_key(key, number)]
        if text.strip():
            self._take(key, _Source(text, _PASTED))
        else:
            _write(key, self.default)

    def _brought(self, key: str, number: int) -> None:
        file = st.session_state[_file_key(key, number)]
        if file is not None:
            content, name = file.getvalue(), kept.short_name(file.name)
            before = _source(key)
            release(file)
            _forget(key)  # both widgets begin anew
            self._take(key, _Source(content, name), before)

    def _take(self, key: str, source: _Source, before: _Source | None = None) -> None:
        """Read what was brought, choose columns as a reader would expect, and use them.

        Where it has the columns of what was there before, the same ones are chosen.
        """
        before = before or _source(key)
        wanted = kept.missing(_value(key))
        try:
            with budget.turn(_READING * len(source.raw)):
                source.table = read(source.raw, source.name, decimal=_SIGNS[source.sign])
        except ValueError as error:
            source.table, source.error = None, str(error)
            self._use(key, source)
            return
        names = list(source.table.frame.columns)
        if before is not None and before.table is not None:
            if list(before.table.frame.columns) == names:
                source.columns = before.columns
                source.frequencies, source.labels = before.frequencies, before.labels
        elif wanted is not None and set(wanted.columns) <= set(names):
            source.columns = list(wanted.columns)
        if not source.columns:
            source.columns = self._likely(source.table)
        self._use(key, source, wanted)

    def _likely(self, table: Table) -> list[str]:
        """Return the columns with the names of the roles, and else the first ones with numbers."""
        numeric, names = numeric_columns(table), list(table.frame.columns)
        if len(numeric) < self.least == len(names):
            return names  # there is no choice, and what is wrong with them will be said
        if self.several:
            return numeric[: self.most]
        by_name = {name.strip().lower(): name for name in reversed(numeric)}
        named = [by_name.get(role.lower()) for role in self.roles]
        rest = iter([name for name in numeric if name not in named])
        # Where columns have the names of roles, one with another name is for no optional role.
        optional = self.optional if any(named) else ()
        found = [
            name or (None if role in optional else next(rest, None))
            for role, name in zip(self.roles, named, strict=True)
        ]
        return [name for name in found if name is not None]

    def _use(self, key: str, source: _Source, wanted: Reference | None = None) -> None:
        """Take the chosen columns, and make them the control's value.

        ``wanted`` is what the link was made with, where this session has not brought it.
        """
        source.left_out, source.other = (), ""
        text = self.default
        if source.table is not None:
            try:
                text = self._numbers(source)
                source.error = ""
            except ValueError as error:
                source.error = str(error)
        found = kept.told(text)
        if wanted and isinstance(found, Reference) and found.digest != wanted.digest:
            source.other = kept.described(wanted)
        source.text = text
        st.session_state[_source_key(key)] = source
        _write(key, text)

    def _numbers(self, source: _Source) -> str:
        n, table = len(source.columns), source.table
        assert table is not None
        if n < self.least:
            need = "one column" if self.least == 1 else f"{self.least} columns"
            have = ", ".join(map(escaped, numeric_columns(table))) or "none"
            raise ValueError(f"This page needs {need} of numbers. Columns with numbers: {have}.")
        with budget.turn(_READING * len(source.raw)):
            rows, labels, groups, columns, _, source.left_out = choose(
                table, source.columns, frequencies=source.frequencies, labels=source.labels
            )
        return kept.keep(
            Numbers(
                source.name,
                tuple(map(kept.short_name, columns)),
                rows + 0.0,  # which takes the sign off minus zero
                labels,
                tuple(map(kept.short_name, groups)),
            )
        )

    def _choices(self, key: str, source: _Source) -> None:
        """Draw the choice of columns, of frequencies and labels, and of the decimal sign."""
        table = source.table
        if table is None:
            return
        names = list(table.frame.columns)
        changed: dict[str, Any] = {"on_change": self._chosen, "args": (key,)}
        part = f"{key} {st.session_state.get(_times(key), 0)}"

        def one(label: str, name: str | None, *, clearable: bool, what: str) -> None:
            # What has a value at first could not be cleared otherwise.
            st.selectbox(
                label,
                [*names, None] if clearable else names,
                index=names.index(name) if name in names else None,
                key=f"{part} {what}",
                format_func=lambda option: "None" if option is None else option,
                placeholder="None" if clearable else "Choose a column",
                **changed,
            )

        if len(names) > 1:
            if self.several:
                st.multiselect(
                    "Columns",
                    names,
                    default=source.columns,
                    key=f"{part} columns",
                    max_selections=self.most,
                    **changed,
                )
            else:
                for i, role in enumerate(self.roles):
                    name = source.columns[i] if i < len(source.columns) else None
                    label = f"Column of {role.lower()}" if len(self.roles) > 1 else "Column"
                    one(label, name, clearable=role in self.optional, what=f"role {i}")
            one("Known labels", source.labels, clearable=True, what="labels")
            one("Frequencies", source.frequencies, clearable=True, what="frequencies")
        st.selectbox(
            "Decimal sign",
            list(_SIGNS),
            index=list(_SIGNS).index(source.sign),
            key=f"{part} sign",
            **changed,
        )

    def _chosen(self, key: str) -> None:
        source = _source(key)
        if source is None or source.table is None:
            return
        part = f"{key} {st.session_state.get(_times(key), 0)}"
        given = st.session_state
        sign = given.get(f"{part} sign", source.sign)
        if sign != source.sign:
            source.sign, source.columns = sign, []
            for name in ("columns", "labels", "frequencies", *map("role {}".format, range(9))):
                given.pop(f"{part} {name}", None)
            source.labels = source.frequencies = None
            self._take(key, source)
            return
        if self.several:
            source.columns = list(given.get(f"{part} columns", source.columns))
        elif f"{part} role 0" in given:
            picked = [given.get(f"{part} role {i}") for i in range(len(self.roles))]
            source.columns = [name for name in picked if name is not None]
        source.labels = given.get(f"{part} labels", source.labels)
        source.frequencies = given.get(f"{part} frequencies", source.frequencies)
        self._use(key, source)

    def _shown(self, key: str, text: str, source: _Source | None) -> None:
        """Show the numbers that are used, or what is missing, and offer those of this session."""
        if not text:
            if source is None or not source.error:
                self._offer(key)
            return
        try:
            numbers = kept.recall(text)
        except NoData as missing:
            st.warning(f"{str(missing)[:1].upper()}{str(missing)[1:]}.")
            self._offer(key)
            return
        head = pd.DataFrame(numbers.rows[:_PREVIEW], columns=list(numbers.columns))
        if numbers.labels is not None:
            head.insert(0, "label", [numbers.groups[k] for k in numbers.labels[:_PREVIEW]])
        st.dataframe(head, hide_index=True, alt="The first rows that are used")
        notes = [f"Used: {escaped(kept.described(numbers))}."]
        if source:
            notes += source.left_out
            notes += source.table.notes if source.table else ()
        if isinstance(kept.told(text), Reference):
            notes.append(
                f"More than {MAX_IN_LINK} rows do not fit into a link: whoever opens it brings the "
                "file too."
            )
        st.caption(" ".join(notes))
        if source and source.other:
            st.warning(
                f"These are not the numbers that the link was made with ({escaped(source.other)})."
            )

    def _offer(self, key: str) -> None:
        for text, numbers in kept.in_session():
            if self.least <= len(numbers.columns) <= self.most:
                st.button(
                    f"Take {escaped(kept.described(numbers))} again",
                    key=f"{key} again {numbers.digest}",
                    on_click=_write,
                    args=(key, text),
                    width="stretch",
                )


def _write(key: str, text: str) -> None:
    """Set the control in a callback, in one step of the browser's history."""
    st.session_state[key] = text
    if text:
        st.query_params[key] = text
    else:
        st.query_params.pop(key, None)


def _value(key: str) -> str:
    return str(st.session_state.get(key, st.query_params.get(key, "")))


def _source_key(key: str) -> str:
    return f"{key} source"


def _source(key: str) -> _Source | None:
    source: _Source | None = st.session_state.get(_source_key(key))
    return source


def _times(key: str) -> str:
    return f"{key} times begun"


def _forget(key: str) -> None:
    """Forget what was brought to a page, and let its widgets begin anew."""
    st.session_state.pop(_source_key(key), None)
    st.session_state[_times(key)] = st.session_state.get(_times(key), 0) + 1


def _paste_key(key: str, number: int) -> str:
    return f"{key} paste {number}"


def _file_key(key: str, number: int) -> str:
    return f"{key} file {number}"
