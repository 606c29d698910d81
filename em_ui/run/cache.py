"""What pages compute is kept for all sessions."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import streamlit as st

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Results kept for each cached function. The largest run allowed takes a few megabytes.
_KEPT = 32


def cached(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Cache what a page computes, for all sessions, and say so while it is computed.

    The result is shared between sessions as it is: nobody may change it. A run among the arguments
    counts as the settings that made it.
    """
    return _kept(function, "Running …")


def cached_quietly(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Cache what is computed so quickly that two more messages to the browser would cost more."""
    return _kept(function, spinner=False)


def _kept(function: Callable[_P, _R], spinner: str | bool) -> Callable[_P, _R]:
    return st.cache_resource(
        max_entries=_KEPT,
        show_spinner=spinner,
        hash_funcs={"em_ui.run.run.Run": lambda run: run.key},
    )(function)
