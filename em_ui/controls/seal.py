"""Sealing what a link hides: encrypted with a key of the server.

The key is the environment's ``EM_QUIZ_KEY``, or ``quiz_key`` in Streamlit's secrets, of any length.
Where there is neither, one is made at first use and kept in a file that its owner alone can read,
in systemd's ``STATE_DIRECTORY`` or the user's state directory, so that all processes of a server
share it.
"""

import base64
import binascii
import contextlib
import functools
import hashlib
import json
import logging
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from cryptography.fernet import Fernet, InvalidToken

ENVIRONMENT, SECRET = "EM_QUIZ_KEY", "quiz_key"
_FILE = "quiz.key"
_FRESH_BYTES = 32
_SHORT = 16  # a passphrase with fewer characters can be found by trying
# Costs 50 ms and 16 MB, once per process. The salt only keeps this use of a passphrase from others.
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
_SALT = b"understanding em: the hidden part of a link"
_LONGEST = 8_000
_VERSION = "gAAAA"  # how every Fernet token begins; what links hid before was never that
# Sealed texts are as long as a multiple of this: a link's length does not tell the digits.
_PADDED = 64

_log = logging.getLogger(__name__)


def seal(page: str, content: Mapping[str, Any]) -> str:
    """Return what one page hides as a text that only this server can read."""
    text = json.dumps([page, content], separators=(",", ":")).encode()
    return _cipher().encrypt(text + b" " * (-len(text) % _PADDED)).decode()


def unseal(page: str, token: str) -> dict[str, Any] | None:
    """Return what a token of this page hides, or None if it cannot be read.

    Links of before were encoded, not encrypted. They are still opened.
    """
    if len(token) > _LONGEST:
        return None
    try:
        if token.startswith(_VERSION):
            sealed_for, content = json.loads(_cipher().decrypt(token))
            return content if sealed_for == page and isinstance(content, dict) else None
        values = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (InvalidToken, binascii.Error, ValueError, RecursionError):
        return None
    return {"values": values}


@functools.cache
def _cipher() -> Fernet:
    key = hashlib.scrypt(_passphrase(), salt=_SALT, **_SCRYPT)
    return Fernet(base64.urlsafe_b64encode(key))


def _passphrase() -> bytes:
    given = os.environ.get(ENVIRONMENT)
    if not given and st.secrets.load_if_toml_exists():
        given = str(st.secrets.get(SECRET, ""))
    if given:
        if len(given) < _SHORT:
            _log.warning(
                "The key of links that hide the truth has %d characters. Whoever has such a link "
                "can find so short a key by trying: take at least %d.",
                len(given),
                _SHORT,
            )
        return given.encode()
    path = _directory() / _FILE
    try:
        return _kept(path)
    except OSError as error:
        _log.warning(
            "The key of links that hide the truth cannot be kept in %s (%s). Until this process "
            "ends they work, and then no more. Set %s, or let it write there.",
            path,
            error.strerror,
            ENVIRONMENT,
        )
        return secrets.token_bytes(_FRESH_BYTES)


def _directory() -> Path:
    service = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if service:
        return Path(service)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "em"


def _kept(path: Path) -> bytes:
    """Return the key in a file, which is made if there is none, whole and once for all processes.

    Raises
    ------
    OSError
        If it can be neither read nor made, or is empty.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)  # its owner alone can read it
        try:
            with open(handle, "w") as file:
                file.write(secrets.token_urlsafe(_FRESH_BYTES))
            # Of several processes one comes first, and all take its key.
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        finally:
            Path(name).unlink()
    key = path.read_bytes().strip()
    if not key:
        raise OSError(0, "the file is empty")
    return key
