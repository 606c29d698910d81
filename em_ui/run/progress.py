"""Long computations say how far they are, and stop once their visitor does something else.

Streamlit ends a script only where it calls Streamlit. So what may take long is computed in pieces,
with a :func:`tell` between them: after a change on the page the computation ends there, by an
exception that passes through all that is being computed, and nothing of it is kept as finished.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

_SHOWN_AFTER = 0.5  # seconds
_BETWEEN = 0.3  # seconds between two messages to the browser
_LOOK = 0.1  # seconds between two looks at whether who waits is still there

_SESSION = "anything"
_STOPS = "To stop it, change a setting."


@dataclass
class _Notice:
    """What is said of one computation."""

    place: Any = None
    since: float = field(default_factory=time.monotonic)
    last: float = 0.0

    def show(self, text: str, part: float) -> None:
        now = time.monotonic()
        if now - self.since < _SHOWN_AFTER or now - self.last < _BETWEEN:
            return
        if self.place is None:
            self.place = st.empty()
        self.last = now
        self.place.progress(min(max(part, 0.0), 1.0), text=f"{text}. {_STOPS}")

    def take_away(self) -> None:
        if self.place is not None:
            self.place.empty()


class _Here(threading.local):
    """The notice of what a thread computes, if that has one; and which part of it."""

    notice: _Notice | None = None
    part: tuple[str | None, float, float] | None = None


_here = _Here()


def check() -> None:
    """Stop here, by Streamlit's own exception, if the visitor has done something else meanwhile."""
    if get_script_run_ctx(suppress_warning=True) is not None:
        # Streamlit 1.67 looks for requests whenever the state of a session is read, and that sends
        # nothing to the browser.
        _ = _SESSION in st.session_state


def tell(text: str, part: float) -> None:
    """Stop if the visitor has done something else; and say how far a computation is.

    Parameters
    ----------
    text : str
        What has been done, as in "Start 12 of 50".
    part : float
        The same as a fraction of all.
    """
    check()
    if _here.notice is not None:
        if _here.part is not None:
            name, low, high = _here.part
            text = name or text
            part = low + (high - low) * min(max(part, 0.0), 1.0)
        _here.notice.show(text, part)


@contextmanager
def within(text: str | None, low: float, high: float) -> Iterator[None]:
    """Take all that is told inside for one part of a computation, by the name of that part.

    Parameters
    ----------
    text : str or None
        What is being done, as in "Start 12 of 50", if that is to be said instead of what is told
        inside. Inside a part that has a name that one's is.
    low, high : float
        Where it begins and ends, as fractions of all.
    """
    outer = _here.part
    if outer is not None:
        name, begins, ends = outer
        text = name or text
        low, high = (begins + (ends - begins) * part for part in (low, high))
    _here.part = text, low, high
    try:
        yield
    finally:
        _here.part = outer


@contextmanager
def told(spinner: str) -> Iterator[None]:
    """Say ``spinner`` while something is computed, and how far it is, if it takes long.

    A spinner costs a message and a thread, even where it is never seen: with "" there is none.
    """
    if _here.notice is not None or get_script_run_ctx(suppress_warning=True) is None:
        yield
        return
    notice = _here.notice = _Notice()
    try:
        with st.spinner(spinner) if spinner else nullcontext():
            yield
        notice.take_away()
    finally:
        _here.notice = _here.part = None


def wait_for(event: threading.Event) -> None:
    """Wait until something has happened, or until the visitor does something else."""
    while not event.wait(_LOOK):
        tell("Waiting for others", 0.0)
