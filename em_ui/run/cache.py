"""What pages compute is kept: for all sessions, or of a reader's own numbers for theirs alone."""

import contextlib
import dataclasses
import functools
import hashlib
import inspect
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence, Set
from types import FunctionType, ModuleType
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st

from em_ui.run import progress

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Bytes of all that is kept, for all sessions, and for one session of its own numbers. A run takes
# some 100 kB as a page comes and up to 10 MB, so that each of a class of 30 has its largest one.
_MOST, _MOST_IN_SESSION = 256_000_000, 32_000_000

_MANY = 4  # parts of a sequence, of which each is measured
_PLAIN = frozenset((float, int, bool, str, bytes, type(None)))  # what has no parts

_OWN = "own"  # the setting that stands for the reader's own numbers; empty without any
_SESSION = "kept of own numbers"


def cached(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Keep what a page computes, for all sessions, and say so while it is computed.

    The result is shared between sessions as it is: nobody may change it. A run among the arguments
    counts as the settings that made it, and arguments whose names begin with _ do not count. Who
    asks for what is being computed waits for it. What is made of a reader's own numbers is kept for
    the session that brought them, and is gone with it.
    """
    return _kept(function, "Running …")


def cached_run(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Keep what itself tells how far it is, once that takes long; see :mod:`.progress`."""
    return _kept(function, "")


def cached_quietly(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Keep what is computed so quickly that nothing need be said of it."""
    return _kept(function, None)


def _kept(function: Callable[_P, _R], spinner: str | None) -> Callable[_P, _R]:
    name, signature = f"{function.__module__}.{function.__qualname__}", inspect.signature(function)

    @functools.wraps(function)
    def kept(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        values = given.arguments
        key = (name, *(key_of(v) for n, v in values.items() if not n.startswith("_")))
        saying = contextlib.nullcontext() if spinner is None else progress.told(spinner)
        found: _R = _store(values).get(key, functools.partial(function, *args, **kwargs), saying)
        return found

    return kept


class Store:
    """Results by their keys, up to so many bytes: those that were not asked for longest go first.

    What is being computed is computed once: others wait. If that ends with an error, or because the
    visitor does something else, nothing is kept of it, and one of those who wait begins anew.
    """

    def __init__(self, most: int) -> None:
        self._most, self._total = most, 0
        self._found: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._begun: dict[Hashable, threading.Event] = {}
        self._lock = threading.Lock()

    def get(
        self,
        key: Hashable,
        compute: Callable[[], Any],
        saying: contextlib.AbstractContextManager[None] | None = None,
    ) -> Any:
        """Return what is kept under a key, or compute it, inside the context ``saying``."""
        if (known := self._take(key)) is not None:
            return known[0]
        with saying or contextlib.nullcontext():
            while True:
                with self._lock:
                    begun = self._begun.get(key)
                    if begun is None and key not in self._found:
                        ended = self._begun[key] = threading.Event()
                        break
                if begun is not None:
                    progress.wait_for(begun)
                if (known := self._take(key)) is not None:
                    return known[0]
            try:
                value = compute()
                self._keep(key, value)
                return value
            finally:
                with self._lock:
                    del self._begun[key]
                ended.set()

    def _take(self, key: Hashable) -> tuple[Any, int] | None:
        with self._lock:
            if key not in self._found:
                return None
            self._found.move_to_end(key)
            return self._found[key]

    def _keep(self, key: Hashable, value: Any) -> None:
        size = n_bytes(value)
        with self._lock:
            self._found[key] = value, size
            self._total += size
            while self._total > self._most and len(self._found) > 1:
                _, (_, gone) = self._found.popitem(last=False)
                self._total -= gone


_for_all = Store(_MOST)


def _store(arguments: Mapping[str, Any]) -> Store:
    """Return where what is made of some arguments is kept."""
    if not any(map(_is_own, arguments.values())):
        return _for_all
    if _SESSION not in st.session_state:
        st.session_state[_SESSION] = Store(_MOST_IN_SESSION)
    mine: Store = st.session_state[_SESSION]
    return mine


def _is_own(argument: Any) -> bool:
    """Return whether settings, or those of a run, are of somebody's own numbers."""
    settings = getattr(argument, "settings", argument)
    return isinstance(settings, dict) and bool(settings.get(_OWN))


def key_of(value: Any) -> Hashable:
    """Return what tells an argument from others.

    Raises
    ------
    TypeError
        If it is of a kind of which that is not known.
    """
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return type(value).__name__, repr(value)
    if hasattr(value, "settings"):  # a run
        return str(value.key)
    if isinstance(value, Mapping):
        return tuple((name, key_of(value[name])) for name in sorted(value))
    if isinstance(value, list | tuple):
        return tuple(map(key_of, value))
    if isinstance(value, np.ndarray | np.generic):
        array = np.ascontiguousarray(value)
        return str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).digest()
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    if dataclasses.is_dataclass(value):
        names = (each.name for each in dataclasses.fields(value))
        return type(value).__qualname__, *(key_of(getattr(value, name)) for name in names)
    raise TypeError(f"no way is known to tell {value!r} from other arguments of what is kept")


def n_bytes(value: Any) -> int:
    """Return about how much memory a result takes, each of its parts counted once.

    Of a long sequence some stand for all: a step of a run is as large as the others, and to look at
    each of hundreds would take longer than the run.
    """
    total, seen = 0.0, set()
    left: list[tuple[Any, float]] = [(value, 1.0)]  # with how many others it stands for
    while left:
        each, times = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        kind = _kind(type(each))  # type: ignore[arg-type] # a class has a hash
        if kind is np.ndarray:
            if each.base is not None:  # a part of another, which stays with it, and with others
                left.append((each.base, 1.0))
            total += times * sys.getsizeof(each)
        elif kind is pa.Table:
            total += times * each.nbytes
        elif kind is pd.DataFrame:
            total += times * int(each.memory_usage(deep=True).sum())
        elif kind is not type:
            total += times * sys.getsizeof(each)
            parts: Collection[Any] = ()
            if kind is Mapping:
                parts = each.values()
            elif kind is Set:
                parts = each
            elif kind is object and hasattr(each, "__dict__"):
                parts = vars(each).values()
            if kind is Set and isinstance(each, Sequence) and len(each) > _MANY:
                times *= len(each) / _MANY
                parts = [each[i * len(each) // _MANY] for i in range(_MANY)]
            for part in parts:
                if type(part) in _PLAIN:
                    total += times * sys.getsizeof(part)
                else:
                    left.append((part, times))
    return int(total)


@functools.cache
def _kind(of: type) -> type:
    """Return what objects of a type count as: asked of each object, that costs more than a fit."""
    if issubclass(of, type | ModuleType | FunctionType):
        return type  # which is there anyway
    if issubclass(of, list | tuple | Set):
        return Set
    kinds = (np.ndarray, pa.Table, pd.DataFrame, Mapping)
    return next((kind for kind in kinds if issubclass(of, kind)), object)
