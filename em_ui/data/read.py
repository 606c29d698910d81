"""Numbers that a reader brings: read from text or a file, and chosen from the table that it holds.

pandas reads the table; how it is laid out is found out before (:mod:`em_ui.data.layout`). All that
is wrong is said in a sentence that names row and column. What it quotes is inert.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from em_ui.data import layout
from em_ui.data.decode import MAX_BYTES, decode
from em_ui.data.layout import Layout, Listed, Mark
from em_ui.inert import quoted

__all__ = [
    "MAX_BYTES",
    "MAX_COLUMNS",
    "MAX_GROUPS",
    "MAX_ROWS",
    "Chosen",
    "Table",
    "choose",
    "numeric_columns",
    "read",
]

MAX_ROWS = 100_000
MAX_COLUMNS = 50
MAX_GROUPS = 50
_NAME_CHARACTERS = 60
_ROWS_NAMED = 5
_POSITION = "position"
_MOSTLY = 0.9  # the share of its cells that are numbers in a column of numbers


@dataclass(frozen=True)
class Table:
    """What was read.

    Attributes
    ----------
    frame : pandas.DataFrame
        A column of text for each column, and NA where no value is. Its index holds the numbers of
        the rows as a spreadsheet shows them, from 1 on, the line of names among them. For a list,
        it holds positions, and is called so.
    name : str
        Of the file; empty if the text was pasted.
    notes : tuple of str
        Sentences on how it was read.
    decimal : "." or ","
        How decimals are marked.
    """

    frame: pd.DataFrame
    name: str
    notes: tuple[str, ...]
    decimal: Mark


class Chosen(NamedTuple):
    """Data from a table.

    Attributes
    ----------
    values : ndarray, shape (n, d)
        A column for each chosen, in that order. Frequencies have been expanded.
    labels : ndarray, shape (n,), or None
        Of int: indices into ``groups``.
    groups : tuple of str
        What the labels stand for, sorted, numbers by their size.
    columns : tuple of str
        Names of the columns of ``values``.
    used : int
        Rows of the table that they come from.
    left_out : tuple of str
        Sentences on rows that are not among them.
    """

    values: np.ndarray
    labels: np.ndarray | None
    groups: tuple[str, ...]
    columns: tuple[str, ...]
    used: int
    left_out: tuple[str, ...]


def read(
    source: str | bytes, name: str = "", *, decimal: Literal["auto", ".", ","] = "auto"
) -> Table:
    """Read a table, or a list of numbers.

    Parameters
    ----------
    source : str or bytes
        What was pasted, or a file's content.
    name : str
        Of the file.
    decimal : "auto", "." or ","
        Forces the decimal mark.

    Raises
    ------
    ValueError
        If it cannot be read, or is larger than allowed. The message says why.
    """
    text, encoding = decode(source)
    if not text.strip(" \n\t,;"):
        raise ValueError(layout.NOTHING)
    marks: tuple[Mark, ...] = layout.MARKS if decimal == "auto" else (decimal,)
    first, _, rest = text.partition("\n")
    separator = None
    skipped = 0
    if re.fullmatch("sep=.", first, re.IGNORECASE):  # as Excel writes and reads it
        separator, text, skipped = first[4], rest, 1
    found = None if separator else layout.listed(text, marks)
    if found:
        return _list(found, marks, name, encoding)
    how = layout.of_table(text, marks, separator)
    return _table(text, how, marks, name, encoding, skipped)


def _list(found: Listed, marks: Sequence[Mark], name: str, encoding: str | None) -> Table:
    _check_rows(len(found.cells))
    [title] = _clean_names([found.title or ""])
    positions = pd.RangeIndex(1, len(found.cells) + 1, name=_POSITION)
    cells = pd.Series(found.cells, positions, dtype="str")
    frame = _without_marks(pd.DataFrame({title: cells}))
    decimal, decimals, more = _decimals(frame, found.decimal, marks)
    notes = (f"Read as a list of {len(cells):,} numbers{decimals}.", *more)
    return Table(frame, name, _with(notes, encoding), decimal)


def _table(
    text: str, how: Layout, marks: Sequence[Mark], name: str, encoding: str | None, skipped: int
) -> Table:
    if how.width > MAX_COLUMNS:
        raise ValueError(
            f"This table has {how.width:,} columns; at most {MAX_COLUMNS} are read. Leave out "
            "those that are not needed."
        )
    _check_widths(text, how, skipped)
    cells = _parsed(text, how)
    cells.index = pd.RangeIndex(1 + skipped, 1 + skipped + len(cells))
    filled = (cells != "").any(axis=1)
    names = [""] * how.width
    if how.header:
        first = int(filled.to_numpy().argmax())
        names = list(cells.iloc[first])
        cells, filled = cells.iloc[first + 1 :], filled.iloc[first + 1 :]
        if how.unnamed:
            names = ["", *names[:-1]]
    if not filled.any():
        raise ValueError("There is one line, without numbers, and no row below it.")
    _check_rows(filled.sum())
    if not filled.all():
        empty = [number + skipped for number in layout.empty(text, how.separator)]
        cells = cells[filled | filled.index.isin(empty)]
    used = [bool(names[i]) or bool((cells[i] != "").any()) for i in range(how.width)]
    cells = cells.loc[:, used]
    cells.columns = pd.Index(_clean_names([n for n, u in zip(names, used, strict=True) if u]))
    frame = _without_marks(cells)
    decimal, decimals, more = _decimals(frame, how.decimal, marks)
    if how.separator:
        columns = f"with {layout.separators(how.separator)} between columns"
    else:
        columns = "as one column"
    header = (
        "The first line names the columns."
        if how.header
        else "No line names the columns, so they are numbered."
    )
    notes = (f"Read {columns}{decimals}.", header, *how.notes, *more)
    return Table(frame, name, _with(notes, encoding), decimal)


def _check_widths(text: str, how: Layout, skipped: int) -> None:
    """Refuse a row that has more cells than the table has columns; with blanks, fewer too."""
    separators = layout.separators(how.separator)
    for position, (number, cells, _) in enumerate(layout.filled(text, how.separator)):
        named = how.header and position == 0
        short = how.separator == " " and len(cells) < how.width - (named and how.unnamed)
        if len(cells) <= how.width and not short:
            continue
        if named:
            raise ValueError(
                f"The first line names {len(cells):,} columns, and the rows below it have "
                f"{how.width:,}. A name or a cell that holds {separators} needs quotation marks."
            )
        raise ValueError(
            f"Row {number + skipped:,} has {_cells(len(cells))}, and the table "
            f"{_columns(how.width)}. What separates its cells was taken to be "
            f"{separators}; a cell that holds them needs quotation marks."
        )


def _parsed(text: str, how: Layout) -> pd.DataFrame:
    try:
        cells = pd.read_csv(
            io.StringIO(text),
            sep=r"\s+" if how.separator == " " else how.separator or layout.NO_SEPARATOR,
            header=None,
            names=range(how.width),
            usecols=range(how.width),  # what is written beyond is empty
            dtype="str",
            na_filter=False,
            skip_blank_lines=False,
            skipinitialspace=True,
        )
    except pd.errors.ParserError:
        raise ValueError(layout.OPEN_QUOTATION) from None
    stripped: pd.DataFrame = cells.apply(lambda column: column.str.strip())
    return stripped


def _clean_names(names: Sequence[str]) -> list[str]:
    """Return names in one line each, no two the same, and numbers for those that are empty."""
    clean: list[str] = []
    for number, name in enumerate(names, 1):
        line = " ".join("".join(c if c.isprintable() else " " for c in name).split())
        first = unique = line[:_NAME_CHARACTERS] or f"Column {number}"
        times = 1
        while unique in clean:
            times += 1
            unique = f"{first} ({times})"
        clean.append(unique)
    return clean


def _without_marks(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells with NA in place of those that say that there is no value."""
    return cells.mask(cells.apply(lambda column: column.str.lower().isin(layout.MISSING)))


def _decimals(
    frame: pd.DataFrame, assumed: Mark, marks: Sequence[Mark]
) -> tuple[Mark, str, tuple[str, ...]]:
    """Return the decimal mark that more cells have, its words, and what is to be said of it."""
    found: dict[Mark, list[str]] = {
        mark: [
            cell
            for _, column in frame.items()
            if (some := column[column.str.contains(mark, regex=False, na=False)]).size
            for cell in some[_are_numbers(some, mark)]
        ]
        for mark in marks
    }
    if not any(found.values()):
        return assumed if len(marks) == 1 else ".", "", ()
    mark = max(found, key=lambda mark: (len(found[mark]), mark == assumed))
    words = f", decimal {'commas' if mark == ',' else 'points'}"
    if mark == "," and all(map(_like_thousands, found[mark])):
        example = found[mark][0]
        value = float(example.replace("−", "-").replace(mark, "."))
        note = (
            f"{quoted(example)} was read as {value:g}. If the comma marks thousands, take it out."
        )
        return mark, words, (note,)
    return mark, words, ()


def _like_thousands(cell: str) -> bool:
    before, _, behind = cell.partition(",")
    return len(behind) == 3 and 1 <= len(before.lstrip("+-−")) <= 3


def _are_numbers(column: pd.Series, mark: Mark) -> pd.Series:
    return column.str.fullmatch(layout.NUMBERS[mark]).fillna(False).astype(bool)


def _check_rows(n: int) -> None:
    if n > MAX_ROWS:
        raise ValueError(
            f"There are {n:,} rows; at most {MAX_ROWS:,} are read. Leave out some of them."
        )


def _with(notes: Sequence[str], more: str | None) -> tuple[str, ...]:
    return (*notes, more) if more else tuple(notes)


def _cells(n: int) -> str:
    return f"{n:,} cell{'s' * (n != 1)}"


def _columns(n: int) -> str:
    return f"{n:,} column{'s' * (n != 1)}"


def numeric_columns(table: Table) -> list[str]:
    """Return the names of the columns in which nearly every cell that has a value is a number."""
    return [
        str(name)
        for name, column in table.frame.items()
        if (present := column.dropna()).size
        and _are_numbers(present, table.decimal).mean() >= _MOSTLY
    ]


def choose(
    table: Table,
    columns: Sequence[str],
    *,
    frequencies: str | None = None,
    labels: str | None = None,
) -> Chosen:
    """Take data from columns of a table.

    Rows in which one of the columns has no value are left out.

    Parameters
    ----------
    table : Table
    columns : sequence of str
        Names of the columns with the values.
    frequencies : str, optional
        The column that says how often a row occurred: whole numbers from 0 on.
    labels : str, optional
        The column that says to which group a row belongs.

    Raises
    ------
    ValueError
        If a column is not there, or holds what it may not. The message is a plain sentence, and
        names the first row that is wrong.
    """
    names = [*columns, *(name for name in (frequencies, labels) if name is not None)]
    if not columns:
        raise ValueError("Choose the column that holds the numbers.")
    for name in names:
        if name not in table.frame:
            known = ", ".join(quoted(str(known)) for known in table.frame)
            raise ValueError(f"There is no column {quoted(name)}. The table has: {known}.")
    if len(set(columns)) < len(columns):
        raise ValueError("One column was chosen twice; choose another for one of them.")
    for name in columns:
        _check_not_text(table, name)
    frame, left_out = _complete(table.frame[list(dict.fromkeys(names))])
    values = np.column_stack([_numbers(frame[name], table.decimal) for name in columns])
    codes, groups = _groups(frame[labels], table.decimal) if labels is not None else (None, ())
    if frequencies is not None:
        times = _times(frame[frequencies], table.decimal)
        values = np.repeat(values, times, axis=0)
        codes = None if codes is None else np.repeat(codes, times)
    return Chosen(values, codes, groups, tuple(columns), len(frame), left_out)


def _check_not_text(table: Table, name: str) -> None:
    present = table.frame[name].dropna()
    if not len(present) or present.str.contains("[0-9]").any():
        return
    others = ", ".join(quoted(known) for known in numeric_columns(table)) or "none"
    raise ValueError(
        f"Column {quoted(name)} holds text, such as {quoted(present.iloc[0])}, and numbers are "
        f"expected. Columns of numbers: {others}."
    )


def _complete(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rows without a missing value, and sentences on the others."""
    sentences = []
    for name in frame:
        missing = frame.index[frame[name].isna()]
        if len(missing) == 0:
            continue
        named = [f"{row:,}" for row in missing[:_ROWS_NAMED]]
        more = len(missing) - len(named)
        rows = ", ".join(named) + (f" and {more:,} more" if more else "")
        many = len(missing) > 1
        sentences.append(
            f"{len(missing):,} row{'s are' if many else ' is'} left out, because "
            f"{quoted(str(name))} has no value there: row{'s' * many} {rows}."
        )
        frame = frame.drop(missing)
        if frame.empty:
            raise ValueError(" ".join(["No row is left.", *sentences]))
    return frame, tuple(sentences)


def _numbers(column: pd.Series, mark: Mark, expected: str = "a number") -> np.ndarray:
    """Return a column of text as numbers, shape (n,)."""
    wrong = ~_are_numbers(column, mark)
    if wrong.any():
        raise ValueError(_wrong(column, wrong, expected, mark))
    text = column.str.replace("−", "-").str.replace(",", ".")
    values = np.array(text.to_list(), dtype=float)
    if not np.isfinite(values).all():
        raise ValueError(_wrong(column, pd.Series(~np.isfinite(values), column.index), "", mark))
    return values


def _wrong(column: pd.Series, wrong: pd.Series, expected: str, mark: Mark) -> str:
    """Return a sentence on the first cell that is wrong."""
    row = column.index[wrong][0]
    cell = column.loc[row]
    hint = ""
    other: Mark = "." if mark == "," else ","
    named = {".": "decimal points", ",": "decimal commas"}
    if not expected or layout.ENDLESS.fullmatch(cell):
        expected = "a finite number"
    elif layout.is_number(cell, mark):
        pass  # a number, though none of those expected
    elif layout.is_number(cell, other):
        hint = f" The table was read with {named[mark]}; all of its numbers need the same."
    elif layout.is_number(re.sub(rf"[{other} '’]", "", cell), mark):
        hint = " Marks of thousands are not read: take them out."
    where = f"Row {row:,}, column {quoted(str(column.name))}"
    if column.index.name == _POSITION:
        where, hint = f"Position {row:,} in the list", hint.replace("table", "list")
    return f"{where}: expected {expected}, found {quoted(cell)}.{hint}"


def _times(column: pd.Series, mark: Mark) -> np.ndarray:
    """Return how often each row occurred, shape (n,), of int."""
    expected = "a whole number from 0 on"
    values = _numbers(column, mark, expected)
    wrong = (values < 0) | (values != np.floor(values))
    if wrong.any():
        raise ValueError(_wrong(column, pd.Series(wrong, column.index), expected, mark))
    total = values.sum()
    if total > MAX_ROWS:
        raise ValueError(
            f"The frequencies in column {quoted(str(column.name))} add up to more than "
            f"{MAX_ROWS:,}; no more observations are taken."
        )
    if total == 0:
        raise ValueError(
            f"All frequencies in column {quoted(str(column.name))} are 0, so there is nothing to "
            "look at."
        )
    return values.astype(int)


def _groups(column: pd.Series, mark: Mark) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels as indices, shape (n,), and what they stand for."""
    if _are_numbers(column, mark).all():
        _, first, codes = np.unique(_numbers(column, mark), return_index=True, return_inverse=True)
        names = [str(column.iloc[i]) for i in first]
    else:
        found, codes = np.unique(column.to_numpy(object), return_inverse=True)
        names = [str(name) for name in found]
    if len(names) > MAX_GROUPS:
        raise ValueError(
            f"Column {quoted(str(column.name))} holds {len(names):,} different labels; at most "
            f"{MAX_GROUPS} groups are told apart."
        )
    return codes, tuple(_clean_names(names))
