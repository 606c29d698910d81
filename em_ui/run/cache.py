"""What pages compute is kept: for all sessions, or of a reader's own numbers for theirs alone."""

import functools
from collections.abc import Callable
from typing import Any, Literal, ParamSpec, TypeVar

import streamlit as st

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Results kept for each cached function. The largest run allowed takes a few megabytes.
_KEPT = 32
_KEPT_IN_SESSION = 4

_OWN = "own"  # the setting that stands for the reader's own numbers; empty without any


def cached(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Cache what a page computes, for all sessions, and say so while it is computed.

    The result is shared between sessions as it is: nobody may change it. A run among the arguments
    counts as the settings that made it. What is made of a reader's own numbers is kept for the
    session that brought them, and is gone with it.
    """
    return _kept(function, "Running …")


def cached_quietly(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Cache what is computed so quickly that two more messages to the browser would cost more."""
    return _kept(function, spinner=False)


def _kept(function: Callable[_P, _R], spinner: str | bool) -> Callable[_P, _R]:
    def keep(scope: Literal["global", "session"], most: int) -> Callable[_P, _R]:
        return st.cache_resource(
            scope=scope,
            max_entries=most,
            show_spinner=spinner,
            hash_funcs={"em_ui.run.run.Run": lambda run: run.key},
        )(function)

    for_all, for_session = keep("global", _KEPT), keep("session", _KEPT_IN_SESSION)

    @functools.wraps(function)
    def kept(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        private = any(map(_is_own, (*args, *kwargs.values())))
        return (for_session if private else for_all)(*args, **kwargs)

    return kept


def _is_own(argument: Any) -> bool:
    """Return whether settings, or those of a run, are of somebody's own numbers."""
    settings = getattr(argument, "settings", argument)
    return isinstance(settings, dict) and bool(settings.get(_OWN))
