"""One BLAS thread while a network works.

The matrices of small networks are not worth sharing: a second thread mostly waits, spinning, and on a busy machine a
step takes ten times as long. One thread also gives the same bits everywhere that the same BLAS does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

_lock = threading.Lock()
_inside = 0
_limit = ExitStack()


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
            _limit.enter_context(_controller().limit(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _limit.close()


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
