"""Both cores at once, and working space that is kept from call to call.

A parallel kernel cuts its work into parts that do not depend on how many threads there are, so the bits of a result do
not either. One call at a time has the threads (`team`), and each call may use all of them. The working space can then
be one and the same for all calls; nothing in it outlives a call, and nothing of it is ever returned.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numba
import numpy as np

from tinycnn.cores import chosen_threads
from tinycnn.kept import LINE, before_a_line, empty

Array = np.ndarray

SMALL = 1_000_000  # with fewer multiplications than this, waking a second thread costs more than it saves
MOST = 4 * 1024 * 1024  # numbers of working space that stay; a batch of all the data may need more
PARTS = 16  # a sum over a batch is made of at most so many partial sums, added in order
SUMS, FEWEST = 512 * 1024, 4  # numbers that they have together, and how many there are even if they have more

_lock = threading.Lock()
_spaces: dict[Any, Array] = {}


class threads_for:  # noqa: N801, it is called like a function
    """Have the threads to oneself: how many there are, or 1 for little work."""

    __slots__ = ("_threads",)

    def __init__(self, work: int):
        self._threads = 1
        if work > SMALL:
            most = numba.config.NUMBA_NUM_THREADS
            self._threads = min(chosen_threads() or most, most)

    def __enter__(self) -> int:
        _lock.acquire()
        return self._threads

    def __exit__(self, *exception: object) -> None:
        _lock.release()


def space(dtype: Any, size: int) -> Array:
    """Working space, with whatever the last call left in it; only inside `threads_for`. What is large is given back."""
    if size > MOST:
        return empty((size,), dtype)
    kept = _spaces.get(dtype)
    if kept is None or kept.size < size:
        kept = _spaces[dtype] = _aligned(size, dtype)
    return kept


def _aligned(size: int, dtype: Any) -> Array:
    """So many numbers that begin where a cache line does, so that vector after vector lies on one line each."""
    each = np.dtype(dtype).itemsize
    more = np.empty(size + LINE // each, dtype)
    return more[before_a_line(more) // each :][:size]


def partial_sums(size: int, pieces: int, most: int = SUMS) -> int:
    """Of how many partial sums a sum of so many numbers is made, over pieces of a batch: always as many, for its bits.

    All of them together have at most so many numbers, unless that would be fewer than FEWEST sums.

    >>> partial_sums(64 * 64, 32), partial_sums(512 * 512, 32), partial_sums(64 * 64, 3)
    (16, 4, 3)
    """
    return min(PARTS, max(most // size, FEWEST), pieces)


def plain(array: Array) -> Array:
    """The array as the kernels take it: C-contiguous, aligned and writable, or a copy that is. None writes to it."""
    return array if array.flags.carray else np.require(array, requirements=("C", "A", "W"))


def covered(*arrays: Array | None) -> bool:
    """Whether all arrays hold the same of float32 and float64, and none is empty: what the kernels are made for."""
    kind = None
    for array in arrays:
        if array is None:
            continue
        if kind is None:
            kind = array.dtype
        if array.dtype != kind or not array.size:
            return False
    return kind is not None and kind.char in "fd"


def finite(array: Array) -> bool:
    """Whether all numbers are finite. The sum of their squares says so at once, unless it overflows."""
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())
