"""The reader's own numbers: as a text in the address, and in the session that brought them.

What is small travels in the link. Of more, a link says only what they were, and whoever opens it
brings them again. Nothing is kept outside the session.
"""

import base64
import binascii
import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import streamlit as st

from em_core.numerics import Array
from em_ui.data.read import MAX_ROWS

MAX_IN_LINK = 200  # rows; equal ones that follow each other are one
MAX_COLUMNS = 8
MAX_GROUPS = 50
_MAX_TEXT = 100_000  # of what a link holds, unpacked
_MAX_NAME = 60
_KEPT = 3  # sets of numbers a session
_SESSION = "own numbers"
_INLINE, _REFERENCE = "1", "2"


class NoData(ValueError):  # noqa: N818 - nothing went wrong: the page is still to be told
    """There are no numbers to run on yet."""


@dataclass(frozen=True)
class Numbers:
    """The reader's own numbers, as they are used.

    Attributes
    ----------
    name : str
        Of the file, or what stands for it.
    columns : tuple of str
        Names of the columns.
    rows : ndarray, shape (n, d)
        In their order.
    labels : ndarray of int, shape (n,), optional
        The known group of each row, from 0.
    groups : tuple of str
        What the labels stand for.
    """

    name: str
    columns: tuple[str, ...]
    rows: Array
    labels: npt.NDArray[np.int64] | None = None
    groups: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """What tells these numbers from others."""
        labels = b"" if self.labels is None else self.labels.astype("<i8").tobytes()
        content = [self.rows.shape, self.columns, self.groups]
        parts = json.dumps(content).encode(), self.rows.astype("<f8").tobytes(), labels
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


@dataclass(frozen=True)
class Reference:
    """What a link says of numbers that are too many for it.

    Attributes
    ----------
    name : str
        Of the file.
    rows : int
        How many there are.
    columns : tuple of str
        Which were chosen.
    digest : str
        As :attr:`Numbers.digest`.
    """

    name: str
    rows: int
    columns: tuple[str, ...]
    digest: str


def keep(numbers: Numbers) -> str:
    """Keep numbers for this session; return the text that stands for them in settings and links."""
    text = told_as(numbers)
    kept: dict[str, tuple[str, Numbers]] = st.session_state.setdefault(_SESSION, {})
    kept.pop(numbers.digest, None)
    kept[numbers.digest] = (text, numbers)
    for digest in list(kept)[:-_KEPT]:
        del kept[digest]
    return text


def in_session() -> list[tuple[str, Numbers]]:
    """Return what this session has brought, the last first, each with its text."""
    return list(reversed(st.session_state.get(_SESSION, {}).values()))


def told(text: str) -> Numbers | Reference | None:
    """Return what a text says, or None if it cannot be read."""
    content = _unpacked(text[1:]) if text[:1] in (_INLINE, _REFERENCE) else None
    if not isinstance(content, dict):
        return None
    try:
        return (_numbers if text[:1] == _INLINE else _reference)(content)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def missing(text: str) -> Reference | None:
    """Return what a link says of numbers that this session has not brought, if it does."""
    found = told(text)
    if isinstance(found, Reference) and found.digest not in st.session_state.get(_SESSION, {}):
        return found
    return None


def recall(text: str) -> Numbers:
    """Return the numbers that a text stands for.

    Raises
    ------
    NoData
        If it stands for none, or for numbers that another session brought.
    """
    found = told(text)
    if found is None:
        raise NoData("there are no numbers yet. Paste some in the sidebar, or bring a file")
    if isinstance(found, Numbers):
        return found
    kept = st.session_state.get(_SESSION, {}).get(found.digest)
    if kept is None:
        raise NoData(
            f"these settings were made with {described(found)}, which do not fit into a link. "
            "Bring the file again in the sidebar"
        )
    numbers: Numbers = kept[1]
    return numbers


def short_name(text: str) -> str:
    """Return a name as it is kept: in one line, and not too long."""
    plain = "".join(c if c.isprintable() else " " for c in text).strip()
    return plain[:_MAX_NAME].strip() or "unnamed"


def described(found: Numbers | Reference) -> str:
    """Return in words what numbers are: how many rows, and from where."""
    rows = len(found.rows) if isinstance(found, Numbers) else found.rows
    return f"{rows:,} {'row' if rows == 1 else 'rows'} of “{found.name}”"


def told_as(numbers: Numbers) -> str:
    """Return the text that :func:`told` reads: all of them, or what they are if they are many."""
    values = numbers.rows
    labels = np.zeros(len(values), dtype=int) if numbers.labels is None else numbers.labels
    # Equal rows that follow each other stand once, as those made of frequencies.
    new = np.ones(len(values), dtype=bool)
    new[1:] = (values[1:] != values[:-1]).any(axis=1) | (labels[1:] != labels[:-1])
    first = np.flatnonzero(new)
    if len(first) > MAX_IN_LINK:
        content: dict[str, Any] = {
            "t": numbers.name,
            "r": len(values),
            "c": numbers.columns,
            "d": numbers.digest,
        }
        return _REFERENCE + _packed(content)
    times = np.diff(np.append(first, len(values)))
    content = {
        "t": numbers.name,
        "c": numbers.columns,
        "v": [[_short(x) for x in column] for column in values[first].T.tolist()],
    }
    if times.max() > 1:
        content["n"] = times.tolist()
    if numbers.labels is not None:
        content |= {"l": labels[first].tolist(), "g": numbers.groups}
    return _INLINE + _packed(content)


def _short(x: float) -> float:
    return int(x) if x.is_integer() and abs(x) < 2**53 else x


def _packed(content: dict[str, Any]) -> str:
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(zlib.compress(text, 9)).decode().rstrip("=")


def _unpacked(text: str) -> Any:
    if len(text) > _MAX_TEXT:
        return None
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(packed, _MAX_TEXT)
        return json.loads(content) if unpacker.eof else None
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        return None


def _numbers(content: dict[str, Any]) -> Numbers:
    """Return the numbers of a link, or raise an error: a link may hold anything."""
    columns = _names(content["c"], MAX_COLUMNS)
    values = np.array(content["v"], dtype=float).T
    rows = len(values)
    if values.ndim != 2 or values.shape[1] != len(columns) or not 1 <= rows <= MAX_IN_LINK:
        raise ValueError
    if not np.isfinite(values).all():
        raise ValueError
    times = np.array(content.get("n", [1] * rows))
    if times.shape != (rows,) or times.dtype.kind not in "iu" or times.min() < 1:
        raise ValueError
    if float(times.sum(dtype=float)) > MAX_ROWS:
        raise ValueError
    labels: npt.NDArray[np.int64] | None = None
    groups: tuple[str, ...] = ()
    if "l" in content:
        groups = _names(content["g"], MAX_GROUPS)
        labels = np.array(content["l"])
        if labels.shape != (rows,) or labels.dtype.kind not in "iu":
            raise ValueError
        if labels.min() < 0 or labels.max() >= len(groups):
            raise ValueError
        labels = np.repeat(labels.astype(np.int64), times)
    return Numbers(_name(content["t"]), columns, np.repeat(values, times, axis=0), labels, groups)


def _reference(content: dict[str, Any]) -> Reference:
    rows, digest = content["r"], content["d"]
    if type(rows) is not int or not 1 <= rows <= MAX_ROWS or not isinstance(digest, str):
        raise ValueError
    return Reference(_name(content["t"]), rows, _names(content["c"], MAX_COLUMNS), digest)


def _names(given: Any, most: int) -> tuple[str, ...]:
    if not isinstance(given, list) or not 1 <= len(given) <= most:
        raise ValueError
    return tuple(map(_name, given))


def _name(given: Any) -> str:
    if not isinstance(given, str) or not given.isprintable():
        raise ValueError
    return given[:_MAX_NAME]
