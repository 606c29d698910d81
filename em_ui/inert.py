"""Text that comes from outside, made so that a page shows it and nothing else happens."""

import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[^\W_][\w .()/°+-]*")
# Addresses become links although they are escaped, unless something that is not seen is in them.
_ADDRESS = re.compile(r"(//|www|@)", re.IGNORECASE)
_SEEN_BY_NOBODY = "\u2060"
_SPECIAL = re.compile(r"([!-/:-@\[-`{-~])")  # what Markdown knows: all punctuation of ASCII


def quoted(text: str, at_most: int = 30) -> str:
    """Return text as a short code span, for a message.

    Parameters
    ----------
    text : str
        From a link, a file or a field.
    at_most : int
        So many characters are kept, and an ellipsis says if there were more.

    Returns
    -------
    str
        Markdown in which nothing but the code span is set; "empty" if nothing can be seen.
    """
    plain = "".join(c for c in text[: at_most + 1] if c.isprintable() and c != "`")
    short = plain[:at_most] + "…" if len(text) > at_most else plain
    return f"`{short}`" if short.strip() else "empty"


def escaped(text: str, at_most: int = 60) -> str:
    """Return text that Markdown shows as it is: for labels and sentences without a code span.

    Parameters
    ----------
    text : str
        For example the name of a column.
    at_most : int
        So many characters are kept, and an ellipsis says if there were more.

    Returns
    -------
    str
        One line of Markdown that sets nothing.
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in text[: at_most + 1]).split())
    short = plain[:at_most] + "…" if len(text) > at_most else plain
    return _SPECIAL.sub(r"\\\1", _ADDRESS.sub(rf"\1{_SEEN_BY_NOBODY}", short))


def plain(names: Iterable[str]) -> tuple[str, ...]:
    """Return names that can stand in any text, with numbers from 1 in the place of others.

    Parameters
    ----------
    names : iterable of str
        For example of columns. Those of letters, digits and a few signs that mean nothing to
        Markdown stay, unless they are an address. If one of them is such a number, all are numbers.
    """
    given = tuple(names)
    numbers = tuple(map(str, range(1, len(given) + 1)))
    found = tuple(
        name if _PLAIN.fullmatch(name) and not _ADDRESS.search(name) else number
        for name, number in zip(given, numbers, strict=True)
    )
    return found if len(set(found)) == len(set(given)) else numbers
