"""From the bytes of a file, or what was pasted, to lines of text."""

import re

MAX_BYTES = 1_000_000

_EXPECTED = "Expected is a text file with a table (CSV), as spreadsheets save it."
_SPREADSHEET = "Open it in a spreadsheet, save it as CSV, and bring that."
_PICTURE = f"This is a picture, and no numbers can be read from it. {_EXPECTED}"
_BINARY = f"This is no text, so no numbers can be read from it. {_EXPECTED}"

# The bytes that a file begins with, and what it is. What is inside a zip archive comes below.
_BEGINNINGS = (
    (rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP|BM.{4}\0{4}|II\*\0|MM\0\*", _PICTURE),
    (rb".{4}ftyp(?:hei|hev|mif1|avif)", _PICTURE),
    (
        rb".{4}ftyp|RIFF.{4}|ID3[\2-\4]\0|OggS\0|\x1aE\xdf\xa3",
        f"This is a sound or a film. {_EXPECTED}",
    ),
    (rb"\s*%PDF", "This is a PDF. Copy the numbers out of it and paste them."),
    (rb"\xd0\xcf\x11\xe0", f"This is an Excel file, or another of old Office. {_SPREADSHEET}"),
    (
        rb"\x1f\x8b|BZh[1-9]1AY|\xfd7zXZ|7z\xbc\xaf|Rar!\x1a",
        f"This is a compressed file. {_EXPECTED}",
    ),
    (rb"\s*\{\\rtf", f"This is a word processor’s file. {_EXPECTED}"),
    (rb"(?i)\s*(?:<!doctype|<html|<\?xml|<svg)", f"This is a web page or XML. {_EXPECTED}"),
)
_ARCHIVES = (
    (b"xl/", f"This is an Excel file. {_SPREADSHEET}"),
    (b"opendocument.spreadsheet", f"This is an OpenDocument spreadsheet. {_SPREADSHEET}"),
    (b"Index/", f"This is a Numbers spreadsheet. {_SPREADSHEET}"),
    (b"word/", f"This is a Word file. {_EXPECTED}"),
)
_MARKS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8"))

_CONTROLS = re.compile(r"[\0-\x08\x0e-\x1f\x7f]")
_LINES = {ord(c): "\n" for c in "\v\f\x85\u2028\u2029"}
_BLANKS = {ord(c): " " for c in "\u00a0\u2007\u2009\u202f\u3000"}
_NOTHING = dict.fromkeys(map(ord, "\u200b\u200e\u200f\u2060\ufeff"))
_PLAIN = _LINES | _BLANKS | _NOTHING


def decode(source: str | bytes) -> tuple[str, str | None]:
    """Return the text of a file or of a field.

    Parameters
    ----------
    source : str or bytes
        Bytes in UTF-8, UTF-16, or else Windows-1252, with or without a byte order mark.

    Returns
    -------
    text : str
        Lines end with a newline. Blanks of all kinds are blanks, and what cannot be seen is gone.
    note : str or None
        A sentence, if the encoding had to be guessed.

    Raises
    ------
    ValueError
        If it is larger than ``MAX_BYTES``, or no text. The message says what it is.
    """
    data = source.encode("utf-8", "replace") if isinstance(source, str) else source
    if len(data) > MAX_BYTES:
        what = "text" if isinstance(source, str) else "file"
        raise ValueError(
            f"This {what} has {len(data):,} bytes; at most {MAX_BYTES:,} are read. Leave out rows "
            "or columns that are not needed."
        )
    if isinstance(source, str):
        text, note = data.decode(), None
    else:
        _refuse_other_files(data)
        text, note = _text(data)
    if _CONTROLS.search(text):
        raise ValueError(_BINARY)
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_PLAIN), note


def _refuse_other_files(data: bytes) -> None:
    if data.startswith(b"PK\x03\x04"):
        found = (sentence for inside, sentence in _ARCHIVES if inside in data)
        raise ValueError(next(found, f"This is a zip archive. {_EXPECTED}"))
    for beginning, sentence in _BEGINNINGS:
        if re.match(beginning, data, re.DOTALL):
            raise ValueError(sentence)


def _text(data: bytes) -> tuple[str, str | None]:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace"), None
    if b"\0" in data:
        # Digits and separators in UTF-16 have a zero beside them.
        for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
            if data[first::2].count(0) > 0.8 * (len(data) // 2):
                return data.decode(encoding, "replace"), None
        raise ValueError(_BINARY)
    try:
        return data.decode("utf-8"), None
    except UnicodeDecodeError:
        note = "The file is not in UTF-8; its letters were read as Windows-1252."
        try:
            return data.decode("cp1252"), note
        except UnicodeDecodeError:
            return data.decode("latin-1"), note
