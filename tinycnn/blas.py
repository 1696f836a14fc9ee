"""One BLAS thread while a network works.

The matrices of small networks are not worth sharing: a second thread mostly waits, spinning, and on a busy machine a
step takes ten times as long. One thread also gives the same bits everywhere that the same BLAS does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_lock = threading.Lock()
_inside = 0
_before: list[tuple[Any, int]] = []  # each BLAS in this process, and how many threads it had


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread; the first that enters sets the limit, and the last that leaves lifts it.

    >>> with one_blas_thread():
    ...     pass
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _before[:] = [(library, library.get_num_threads()) for library in _libraries()]
            for library, _ in _before:
                library.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                for library, threads in _before:
                    library.set_num_threads(threads)


@cache
def _libraries() -> list[Any]:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers
