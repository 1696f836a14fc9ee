"""Compiled code, kept on disk from one process to the next, so that only the first ever has to wait for it.

Numba keeps code too, but renews it only when the file that a function stands in changes; ours holds the code of other
files. To say so, we reach into Numba's insides, which may be others in another version: what of them is not as known
here is left alone, and each process compiles for itself. Slower, never stale.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from ctypes import c_size_t
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numba import njit, types

try:
    from numba.core.caching import FunctionCache
    from numba.core.ccallback import CFunc
except ImportError:  # another Numba
    FunctionCache, CFunc = object, None  # type: ignore[assignment, misc]


# Nothing here allocates an array, so no code is needed that counts who still uses one (`_nrt`): a tenth of all code.
OPTIONS = {"fastmath": {"contract"}, "error_model": "numpy", "_nrt": False}
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # the way in from Python or C, a fifth of all code

saving = threading.Lock()  # held while a file is written


def _data_in_object() -> int:
    """Which word of an array's object says where its numbers are."""
    some = np.zeros(8)
    words = (c_size_t * (np.ndarray.__basicsize__ // 8)).from_address(id(some))
    return list(words).index(some.__array_interface__["data"][0])


DATA = _data_in_object()


class KeptCode(FunctionCache):
    """Compiled code on disk, renewed when any file of this package changes.

    What cannot be written or read is compiled anew. Raises RuntimeError if no folder can be written to, AttributeError
    or TypeError for a Numba that keeps code in a way not known here.
    """

    def __init__(self, function: Callable[..., Any]):
        super().__init__(function)
        self._cache_file._source_stamp = (self._cache_file._source_stamp, sources())
        self._cache_file.__class__ = _checked(self._cache_file.__class__)

    def load_overload(self, *about: Any) -> Any:
        """The code for these types, or None."""
        try:
            return super().load_overload(*about)
        except Exception:  # a torn file may fail in any way
            return None

    def save_overload(self, *about: Any) -> None:
        """Keep the code for these types, if the disk lets us; a torn list of what is kept is begun anew."""
        with suppress(OSError), saving:
            try:
                super().save_overload(*about)
            except (EOFError, ValueError, UnpicklingError):
                self._cache_file.flush()
                super().save_overload(*about)

    def holds(self, signature: Any) -> bool:
        """Whether there is code for these types, without reading it; for another CPU will do."""
        try:
            return any(key[0] == signature for key in self._cache_file._load_index())
        except Exception:
            return False


@cache
def _checked(files: Any) -> Any:
    """Numba's files, but that two processes which write at once never take code for other numbers for their own.

    Numba counts its files; here each is named by the types that its code is for, and says in itself what it is.
    """

    def save(self: Any, key: Any, data: Any) -> None:
        name = self._data_name(int(hashlib.sha256(repr(key[:2]).encode()).hexdigest()[:12], 16))
        self._save_data(name, (self._source_stamp, key, data))
        self._save_index(self._load_index() | {key: name})

    def load(self: Any, key: Any) -> Any:
        stamp, found, data = files.load(self, key) or (None, None, None)
        return data if (stamp, found) == (self._source_stamp, key) else None

    return type(files.__name__, (files,), {"save": save, "load": load})


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a function when another kernel first calls it. Python cannot: that takes an `entry`."""
    if function is None:
        return lambda function: kernel(function, **options)
    compiled = entry(function, **INNER, **options)
    compiled.__class__ = _only_from_kernels(compiled.__class__)
    ask = compiled.get_call_template  # Numba would compile anew for a call with the number 0, then for any number
    compiled.get_call_template = lambda given, named: ask(tuple(map(types.unliteral, given)), named)
    return compiled


def entry(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function when it is first called, from Python (without Python's lock, the GIL) or from a kernel."""
    compiled = njit(**({"nogil": True} | OPTIONS | options))(function)
    keep_code(compiled, function)
    return compiled


@cache
def _only_from_kernels(dispatcher: Any) -> Any:
    """The same as Numba's compiled functions, but that Python gets an error where it would find no way in."""

    def refuse(compiled: Any, *given: Any, **named: Any) -> Any:
        name = compiled.py_func.__name__
        raise TypeError(f"{name} is a kernel for other kernels; Python calls an entry, or {name}.py_func")

    return type(dispatcher.__name__, (dispatcher,), {"__call__": refuse})


def keep_code(compiled: Any, function: Callable[..., Any]) -> None:
    """Have what Numba compiles of a function kept on disk, where that is possible."""
    with suppress(RuntimeError, AttributeError, TypeError):
        if hasattr(compiled, "_cache"):
            compiled._cache = KeptCode(function)


@cache
def sources() -> str:
    """A fingerprint of the files of this package, and of what the code takes to be so."""
    digest = hashlib.sha256(bytes([DATA]))
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
