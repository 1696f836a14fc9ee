"""Compiled code, kept on disk from one process to the next, so that only the first ever has to wait for it.

Numba keeps code too, but renews it only when the file that a function stands in changes; ours holds the code of other
files. To say so, we reach into Numba's insides, which may be others in another version: what of them is not as known
here is left alone, and each process compiles for itself. Slower, never stale.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from numba import njit

try:
    from numba.core.caching import FunctionCache
    from numba.core.ccallback import CFunc
except ImportError:  # another Numba
    FunctionCache, CFunc = object, None  # type: ignore[assignment, misc]


OPTIONS = {"fastmath": {"contract"}, "error_model": "numpy"}


class KeptCode(FunctionCache):
    """Compiled code on disk, renewed when any file of this package changes.

    What cannot be written or read is compiled anew. Raises RuntimeError if no folder can be written to, AttributeError
    or TypeError for a Numba that keeps code in a way not known here.
    """

    def __init__(self, function: Callable[..., Any]):
        super().__init__(function)
        self._cache_file._source_stamp = (self._cache_file._source_stamp, sources())

    def load_overload(self, *about: Any) -> Any:
        """The code for these types, or None."""
        try:
            return super().load_overload(*about)
        except Exception:  # a torn file may fail in any way
            return None

    def save_overload(self, *about: Any) -> None:
        """Keep the code for these types, if the disk lets us; a torn list of what is kept is begun anew."""
        with suppress(OSError):
            try:
                super().save_overload(*about)
            except (EOFError, ValueError, UnpicklingError):
                self._cache_file.flush()
                super().save_overload(*about)


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a function when it is first called, from Python (without Python's lock, the GIL) or another kernel."""
    if function is None:
        return lambda function: kernel(function, **options)
    compiled = njit(**({"nogil": True} | OPTIONS | options))(function)
    keep_code(compiled, function)
    return compiled


def keep_code(compiled: Any, function: Callable[..., Any]) -> None:
    """Have what Numba compiles of a function kept on disk, where that is possible."""
    with suppress(RuntimeError, AttributeError, TypeError):
        if hasattr(compiled, "_cache"):
            compiled._cache = KeptCode(function)


@cache
def sources() -> str:
    """A fingerprint of the files of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
