"""Kept buffers: arrays that are used again as soon as nobody holds them.

A fresh array of 50 MB costs more than the convolution that fills it: the system hands it over page by page, each of
them cleared. So while a network works (`keeping`), arrays come from those that earlier steps are done with. One is
handed out again only when nobody holds it, nor any view of it: Python itself counts who does. What a caller keeps is
therefore his own, by construction, and nothing has to be said when it is no longer needed.

Between two calls a model keeps the arrays that the last one used, up to AT_REST bytes: a network that is asked again
and again would otherwise spend up to a third of its time on fresh pages.

Large arrays from the system all begin at the same place of a page. A core that reads one while it writes another, some
lines behind, must then find out each time that this is not what it has just written, since it compares the last bits of
an address at first, and waits meanwhile. So each of ours begins elsewhere in its page.

Outside, `empty` is NumPy's.
"""

from __future__ import annotations

import math
import sys
import threading
from bisect import bisect_left, insort_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from operator import attrgetter
from typing import Any

import numpy as np

Array = np.ndarray
SMALL = 64 * 1024  # bytes below which the system's own way is as fast
LINE = 64  # bytes of a cache line
PAGE = 4096  # bytes after which addresses end in the same bits
APART = 17 * LINE  # how much further on in its page each array begins than the one before: no two of 64 at one place
ROOM = 1.25  # an array may come from one that is larger by so much
AT_REST = 256 * 2**20  # bytes that a pool keeps between two calls, at most

_here = threading.local()
_made = count(1)  # arrays, of all pools together


@dataclass(slots=True, eq=False)
class Kept:
    """An array of bytes in a pool."""

    size: int
    array: Array
    begin: int  # a byte that begins a cache line, so that vector after vector lies on one each, elsewhere in its page
    used: bool = True  # since the last rest


class Pool:
    """Arrays of bytes, each of which is either somebody's or free."""

    def __init__(self) -> None:
        self.all: list[Kept] = []  # by size; changed a whole entry at a time, so that Ctrl-C leaves it in order

    def empty(self, shape: tuple[int, ...], dtype: Any, wanted: int) -> Array:
        """An array with whatever stood in it before: a free one of so many bytes or a few more, or else a new one.

        `wanted` are the bytes that the shape takes.
        """
        for place in range(bisect_left(self.all, wanted, key=SIZE), len(self.all)):
            one = self.all[place]
            if one.size > ROOM * wanted:
                break
            if holders(one) == NOBODY:
                one.used = True
                return np.ndarray(shape, dtype, one.array, one.begin)
        self._make_room(wanted)
        array = np.empty(wanted + PAGE, np.uint8)
        one = Kept(wanted, array, (next(_made) * APART - _address(array)) % PAGE)
        insort_left(self.all, one, key=SIZE)
        return np.ndarray(shape, dtype, one.array, one.begin)

    def rest(self) -> None:
        """Until the next call: keep what this one used, up to AT_REST bytes, and what is a caller's leave to him."""
        left, stay = AT_REST, []
        for one in reversed(self.all):  # the largest first: they are the dearest
            if one.used and holders(one) == NOBODY and one.size <= left:
                left -= one.size
                stay.append(one)
        for one in stay:
            one.used = False
        self.all = stay[::-1]

    def _make_room(self, wanted: int) -> None:
        """Forget so many bytes of what earlier calls used and this one did not, the largest first."""
        for one in [one for one in reversed(self.all) if not one.used]:
            if wanted <= 0:
                break
            wanted -= one.size
            self.all.remove(one)


SIZE = attrgetter("size")


def holders(one: Kept) -> int:
    """How many references there are to an array, or, by its views, to its memory."""
    return sys.getrefcount(one.array)


def before_a_line(array: Array) -> int:
    """How many bytes of an array lie before the first cache line that begins in it."""
    return -_address(array) % LINE


def _address(array: Array) -> int:
    return array.__array_interface__["data"][0]


def _count_of_nobody() -> int:
    """What `holders` says of an array that only the pool has."""
    pool = Pool()
    pool.empty((1,), np.uint8, 1)
    return holders(pool.all[0])


NOBODY = _count_of_nobody()
COUNTS = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()


@contextmanager
def keeping(pool: Pool | None = None) -> Iterator[None]:
    """Use arrays again in this thread, until the outermost `keeping` ends; those of the pool, if there is one.

    One thread at a time may have a pool.
    """
    if is_keeping():
        yield
        return
    pool = pool or Pool()
    _here.pool = pool if COUNTS else None
    _here.works = True
    try:
        yield
    finally:
        _here.pool, _here.works = None, False
        pool.rest()


def is_keeping() -> bool:
    """Whether a network works in this thread: then what its layers remember is forgotten as soon as it is used."""
    return getattr(_here, "works", False)


@contextmanager
def asking(pool: Pool | None = None) -> Iterator[None]:
    """Use arrays again, and let no layer remember anything: there will be no backward pass."""
    before = is_asking()
    _here.asks = True
    try:
        with keeping(pool):
            yield
    finally:
        _here.asks = before


def is_asking() -> bool:
    """Whether a forward pass is all there will be."""
    return getattr(_here, "asks", False)


def empty(shape: Any, dtype: Any) -> Array:
    """An array with no particular numbers in it, as `np.empty`; inside `keeping` perhaps one that was used before."""
    pool: Pool | None = getattr(_here, "pool", None)
    if pool is None:
        return np.empty(shape, dtype)
    if type(shape) is not tuple:
        shape = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return np.empty(shape, dtype) if size < SMALL else pool.empty(shape, dtype, size)


def empty_like(array: Array) -> Array:
    """An array of the same shape and type, in plain order."""
    return empty(array.shape, array.dtype)
