"""How a text is laid out: what separates its columns, what its decimals look like, has it names.

Nothing in a text says so. Each reading that is possible is tried on the first rows, and the one
that makes the most numbers of it, in rows of the same length, is taken.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, NamedTuple

from em_ui.data.decode import MAX_BYTES
from em_ui.inert import quoted

csv.field_size_limit(MAX_BYTES)  # no cell is larger than what is read at all

Mark = Literal[".", ","]
MARKS: tuple[Mark, Mark] = (".", ",")

# In small letters: what stands in a cell that has no value.
MISSING = frozenset(
    ("", "na", "n/a", "n.a.", "nan", "null", "none", "#n/a", "#na", "#nv", "-", "–", "—", "−", "?")
) | {"."}
ENDLESS = re.compile(r"[+\-−]?inf(?:inity)?|[+\-−]?∞", re.IGNORECASE)
# As patterns of re and of Arrow alike.
NUMBERS: dict[Mark, str] = {
    ".": r"[+\-−]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+\-−]?[0-9]+)?",
    ",": r"[+\-−]?(?:[0-9]+(?:,[0-9]+)?|,[0-9]+)(?:[eE][+\-−]?[0-9]+)?",
}
_NUMBER = {mark: re.compile(pattern) for mark, pattern in NUMBERS.items()}

_SAMPLE = 1_000  # rows by which the layout is judged
NO_SEPARATOR = "\x1f"  # no text holds it, so there is one column, without its quotation marks
NOTHING = "There are no numbers here yet."
OPEN_QUOTATION = (
    "A quotation mark opens and is not closed, so the rest of the text would be one cell. Take it "
    "out."
)
_NAMES = {"\t": "tabs", ";": "semicolons", ",": "commas", " ": "blanks"}
_THOUSANDS = re.compile(r"[+\-−]?[0-9]{1,3}(?:(?:\.[0-9]{3})+,[0-9]+|(?:,[0-9]{3})+\.[0-9]+)")
_ONE_COMMA = re.compile(r"[+\-−]?([0-9]*),([0-9]+)")
_BETWEEN_BLANKS = r"\s*;\s*|,?\s+"  # "3,6 1,8": a comma within is part of the number
_BETWEEN_COMMAS = r"\s*[;,]\s*|\s+"
_SEPARATORS = " \t,;"
_MANY = 20  # numbers whose digits behind the comma say something


class Layout(NamedTuple):
    """How a table is laid out.

    Attributes
    ----------
    separator : str
        Between columns; a blank stands for any number of blanks and tabs, and nothing for a single
        column.
    decimal : "." or ","
    header : bool
        Whether the first row holds names.
    unnamed : bool
        Whether that row leaves out the name of the first column, which only counts the rows.
    width : int
        Columns that a row has.
    notes : tuple of str
        Sentences on what was assumed.
    """

    separator: str
    decimal: Mark
    header: bool
    unnamed: bool
    width: int
    notes: tuple[str, ...] = ()


class Row(NamedTuple):
    """A row of a table: its number from 1 on, its cells up to the last that is not empty, all."""

    number: int
    cells: list[str]
    width: int


class Listed(NamedTuple):
    """Numbers of one column that do not stand one on a line.

    Attributes
    ----------
    cells : list of str
        A few of them may be no numbers.
    decimal : "." or ","
    title : str or None
        What stands on a line above them.
    """

    cells: list[str]
    decimal: Mark
    title: str | None


def is_number(cell: str, mark: Mark) -> bool:
    """Return whether a cell is a number, infinite ones among them."""
    return bool(_NUMBER[mark].fullmatch(cell) or ENDLESS.fullmatch(cell))


def listed(text: str, marks: Sequence[Mark]) -> Listed | None:
    """Return the numbers of a text that is a list, and None if it is a table.

    A list has one line, or lines of different lengths, or fewer lines than numbers on a line. Most
    of what stands on one line is numbers; on several, all of it, or all but a few slips.

    Parameters
    ----------
    text : str
    marks : sequence of "." or ","
        Decimal marks that come into question.
    """
    written = [line for line in text.split("\n") if line.strip(_SEPARATORS)]
    lines = [line.strip(_SEPARATORS) for line in written]
    title, words = None, 0
    above = text.lstrip("\n").partition("\n")[0].strip(" ")
    if len(lines) > 1 and not _nearly(written[:1], MARKS) and not re.search(r"[\t,;]", above):
        (title, *lines), written = lines, written[1:]
        words = max((len(row.cells) for row in _sample(title, " ")), default=0)
    first = _tokens(lines[:_SAMPLE], marks) or _nearly(written[:_SAMPLE], marks)
    if first is None or _is_table(list(map(len, first[0])), words):
        return None
    whole = _tokens(lines, marks) or _nearly(written, marks)
    if whole is None:
        return None
    return Listed([cell for cells in whole[0] for cell in cells], whole[1], title)


def _tokens(lines: Sequence[str], marks: Sequence[Mark]) -> tuple[list[list[str]], Mark] | None:
    """Return the numbers of each line, if there is nothing else, and the decimal mark."""
    if any(_THOUSANDS.fullmatch(cell) for line in lines for cell in re.split(r"[;\s]+", line)):
        return None
    if "," in marks and any("," in line for line in lines):
        # "3,6 1,8": what separates is something else.
        cells = _split(lines, _BETWEEN_BLANKS, ",")
        if cells and any(len(line) > 1 for line in cells):
            return cells, ","
        if cells and len(cells) > 1:
            return None  # "3,6" on each line may be two columns, or one
        if _have_decimal_commas(lines):
            return None
    cells = _split(lines, _BETWEEN_COMMAS, marks[0])
    return (cells, marks[0]) if cells else None


def _nearly(lines: Sequence[str], marks: Sequence[Mark]) -> tuple[list[list[str]], Mark] | None:
    """Return what stands on each line, if most of it is numbers, and the decimal mark.

    Of several lines, at least half are all numbers, as is most of the first, and one slip in ten
    is allowed, or one in all: a row of a table may hold words, and its first line names.
    """
    written, lines = lines, [line.strip(_SEPARATORS) for line in lines]
    readings: list[tuple[str, Mark]] = [(_BETWEEN_BLANKS, mark) for mark in reversed(marks)]
    words = {cell for line in lines for cell in re.split(_BETWEEN_BLANKS, line)}
    decimal_commas = "," in marks and _have_decimal_commas(lines)
    if not decimal_commas and not any(map(_THOUSANDS.fullmatch, words)):
        if any(cell.count(",") > 1 for cell in words):
            readings = []
        readings.append((_BETWEEN_COMMAS, marks[0]))
    found = []
    for separator, mark in readings:
        cells = [re.split(separator, line) for line in lines]
        present = [[cell for cell in line if cell.lower() not in MISSING] for line in cells]
        wrong = [sum(not is_number(cell, mark) for cell in line) for line in present]
        found.append((sum(wrong), wrong, present, cells, mark))
    slips, wrong, present, cells, mark = min(found, key=lambda one: one[0])
    total = sum(map(len, present))
    if 2 * slips >= total:
        return None
    if len(lines) > 1:
        if 2 * sum(map(bool, wrong)) > len(lines) or 2 * wrong[0] >= len(present[0]):
            return None
        if slips > max(1, total / 10) or _has_empty_cells(written, cells, mark):
            return None
    return cells, mark


def _have_decimal_commas(lines: Sequence[str]) -> bool:
    """Return whether most of what blanks or semicolons separate is of the form 3,6."""
    split = [re.split(_BETWEEN_BLANKS, line) for line in lines]
    words = [word for line in split for word in line]
    commas = sum(bool(_ONE_COMMA.fullmatch(word)) for word in words)
    return len(words) > len(lines) and 2 * commas > len(words)


def _has_empty_cells(lines: Sequence[str], cells: Sequence[Sequence[str]], mark: Mark) -> bool:
    """Return whether lines have as many separators each, though not as many words."""
    if len(set(map(len, cells))) == 1:
        return False
    counts = [{line.count(each) for line in lines} for each in ("\t;" if mark == "," else "\t;,")]
    return any(len(count) == 1 and count != {0} for count in counts)


def _split(lines: Sequence[str], separator: str, mark: Mark) -> list[list[str]] | None:
    found, split, numbers = [], re.compile(separator).split, 0
    for line in lines:
        cells = split(line)
        for cell in cells:
            if is_number(cell, mark):
                numbers += 1
            elif cell.lower() not in MISSING:
                return None
        found.append(cells)
    return found if numbers else None


def _is_table(widths: Sequence[int], titled: int) -> bool:
    """Return whether lines of so many numbers each are rows of a table, and not a list.

    ``titled`` is the number of words above them.
    """
    [(usual, times)] = Counter(widths).most_common(1)
    if usual == 1 and times == len(widths):
        return True
    if titled:
        # Programs such as R leave out the name of a first column that only counts the rows.
        return usual in (titled, titled + 1) or (times == len(widths) and times >= usual > 1)
    if len(widths) == 1:
        return False
    if times == len(widths):
        return times >= usual
    last_is_short = set(widths[:-1]) == {usual} and widths[-1] < usual
    return times >= 0.8 * len(widths) and times > usual and not last_is_short


def of_table(text: str, marks: Sequence[Mark], separator: str | None = None) -> Layout:
    """Return how a table is laid out.

    Parameters
    ----------
    text : str
        With at least one row.
    marks : sequence of "." or ","
        Decimal marks that come into question.
    separator : str, optional
        What separates columns, if the text says so.
    """
    if separator is None:
        separator = _separator_in_every_line(text)
    if separator:
        candidates = [separator]
    else:
        candidates = [",", "", " "] if "." in marks else ["", " ", ","]
        candidates = [*(each for each in ("\t", ";") if each in text), *candidates]
    found = []
    for candidate in candidates:
        rows = _sample(text, candidate)
        if not rows:
            raise ValueError(NOTHING)
        if candidate in (separator, "") or max(row.width for row in rows) > 1:
            found += [(_score(rows, mark, candidate), (candidate, mark), rows) for mark in marks]
        if candidate == "," and _names_columns(rows):
            break  # commas in the names are no decimal commas
    score, (separator, mark), rows = max(found, key=lambda one: one[0])
    notes: tuple[str, ...] = ()
    either = {pair for other, pair, _ in found if other == score}
    tied = {(",", "."), ("", ",")} <= either
    tried = any(pair == ("", ",") for _, pair, _ in found)
    lines = []
    if tied:
        lines = [row.cells[0] for row in filled(text, "")]
    elif tried and (separator, mark) == (",", ".") and not _header(rows):
        lines = _with_one_comma([row.cells[0] for row in filled(text, "")])
    if len(lines) - _header(rows) > 1:
        if _look_like_decimals(lines):
            separator, mark = "", ","
            rows = _sample(text, "")
            notes = (
                "Each line holds one comma, which was taken for a decimal comma. If it separates "
                "two columns, choose the point as decimal sign.",
            )
        else:
            notes = (
                "Each line holds one comma, which was taken to separate two columns. If it is a "
                "decimal comma, choose the comma as decimal sign.",
            )
    header = _header(rows)
    body = rows[header:] or rows
    width = _usual(len(row.cells) for row in body)
    # Programs such as R leave out the name of a first column that only numbers or names the rows.
    unnamed = (
        header
        and separator in ("\t", " ")
        and width == len(rows[0].cells) + 1
        and _tell_rows_apart([row.cells[0] for row in body])
    )
    if unnamed:
        notes = (*notes, "The first column has no name, and seems to tell the rows apart.")
    if header and not unnamed and separator != " ":
        width = max(width, len(rows[0].cells))
    return Layout(separator, mark, header, unnamed, width, notes)


def separators(separator: str) -> str:
    """Return what separates columns, in words."""
    return _NAMES.get(separator) or quoted(separator)


def filled(text: str, separator: str) -> Iterator[Row]:
    """Yield the rows of a text that hold something."""
    return (row for row in _rows(text, separator) if row.cells)


def empty(text: str, separator: str) -> list[int]:
    """Return the numbers of the rows that hold nothing but separators."""
    return [row.number for row in _rows(text, separator) if not row.cells and row.width > 1]


def _rows(text: str, separator: str) -> Iterator[Row]:
    lines = text.split("\n")
    if separator == " ":
        lines = [line.strip().replace("\t", " ") for line in lines]
    delimiter = separator or NO_SEPARATOR
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        yield Row(number, cells, len(row))


def _sample(text: str, separator: str) -> list[Row]:
    return list(islice(filled(text, separator), _SAMPLE))


def _separator_in_every_line(text: str) -> str | None:
    lines = list(islice((line for line in text.split("\n") if line.strip()), _SAMPLE))
    for separator in ("\t", ";", "|"):
        if sum(separator in line.strip(" ") for line in lines) >= 0.9 * len(lines):
            return separator
    return None


def _score(rows: Sequence[Row], mark: Mark, separator: str) -> float:
    """Return the share of rows as long as most are times that of numbers among their cells."""
    header = _header(rows)
    body = rows[header:] or rows
    width, written = _usual(len(row.cells) for row in body), _usual(row.width for row in body)
    regular = sum(len(row.cells) == width or row.width == written for row in body) / len(body)
    named = len(rows[0].cells) + (separator == " " and len(rows[0].cells) < width)
    if header and named not in (width, written):
        regular /= 2
    if header and separator.strip(" ") and 1 < named >= max(len(row.cells) for row in body):
        regular = 1.0  # rows end early where their last cells are empty
    cells = [cell for row in body for cell in row.cells if cell.lower() not in MISSING]
    numbers = sum(is_number(cell, mark) for cell in cells) / max(len(cells), 1)
    return regular * numbers


def _tell_rows_apart(cells: Sequence[str]) -> bool:
    """Return whether cells count from the first on, or are different names."""
    if cells[0].isdecimal():
        return all(cell == str(i) for i, cell in enumerate(cells, int(cells[0])))
    return len(set(cells)) == len(cells) and not any(is_number(cell, ".") for cell in cells)


def _names_columns(rows: Sequence[Row]) -> bool:
    """Return whether the first row has a name for each cell of most others, of several."""
    usual = _usual(len(row.cells) for row in rows[1:] or rows)
    return len(rows) > 1 and _header(rows) and 1 < usual in (len(rows[0].cells), rows[0].width)


def _usual(widths: Iterable[int]) -> int:
    [(width, _)] = Counter(widths).most_common(1)
    return width


def _header(rows: Sequence[Row]) -> bool:
    first = rows[0].cells
    return any(cell.lower() not in MISSING for cell in first) and not any(
        is_number(cell, each) for cell in first for each in MARKS
    )


def _with_one_comma(lines: Sequence[str]) -> list[str]:
    """Return the lines of the form 3,6 if all are but slips, which are rows of numbers no more."""
    commas = [line for line in lines if _ONE_COMMA.fullmatch(line)]
    slips = [line for line in lines if not _ONE_COMMA.fullmatch(line)]
    if len(slips) >= len(commas) or any(
        line.count(",") != 1 or _tokens([line], (".",)) for line in slips
    ):
        return []
    return commas


def _look_like_decimals(lines: Sequence[str]) -> bool:
    """Return whether numbers of the form 3,6 that stand one on a line have decimal commas.

    Whole numbers have no zero in front. One in ten ends in a zero, which a spreadsheet does not
    write behind a comma, unless it writes as many digits for all; then all ten come last.
    """
    first, *rest = map(_ONE_COMMA.fullmatch, lines)
    if not all(rest):
        # A line without a comma is no row of two columns, and one with two is no number.
        return not any(line.count(",") > 1 for line in lines)
    found = [match for match in (first, *rest) if match]
    behind = [match[2] for match in found]
    if any(len(part) > 1 and part.startswith("0") for part in behind):
        return True
    if len(behind) < _MANY:
        return False
    if len({len(part) for part in behind}) > 1:
        return not any(part.endswith("0") for part in behind)
    before = [match[1] for match in found]
    different = len(set(before))
    few = different < 8 or (different < len(before) and max(map(len, before)) > 1)
    return few and len(behind[0]) == 1 and "0" in behind and len(set(behind)) >= 8
