"""The arrays of a trace: each stored once by its content, however many steps read or write it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn.tracing.limits import FIRST_NUMBERS, MOST_NUMBERS

Array = np.ndarray


@dataclass(frozen=True)
class Stored:
    """An array, or of one too large the first numbers, counted row by row (`first` says how many)."""

    array: Array
    shape: tuple[int, ...]
    role: str
    first: int | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing was left out."""
        return self.first is None


class Store:
    """Puts arrays in; equal ones (shape, type and every bit) get one id."""

    def __init__(self, most: int = MOST_NUMBERS) -> None:
        self.table: dict[str, Stored] = {}
        self.most, self.numbers = most, 0
        self._ids: dict[tuple[Any, ...], str] = {}

    def put(self, value: Any, role: str) -> str:
        """The id of a copy of this array that nobody can change."""
        array = plain(value)
        key = array.shape, array.dtype.str, hashlib.blake2b(array.data if array.size else b"").digest()
        if key not in self._ids:
            self._ids[key] = f"t{len(self.table)}"
            self.table[self._ids[key]] = self._kept(array, value, role)
        return self._ids[key]

    @property
    def left_out(self) -> str:
        """What was left out, in a sentence; "" if nothing was."""
        cut = sum(not stored.whole for stored in self.table.values())
        if not cut:
            return ""
        return (f"{cut} of {len(self.table)} arrays are kept in part, since together they would hold more than "
                f"{self.most:,} numbers.")  # fmt: skip

    def _kept(self, array: Array, given: Any, role: str) -> Stored:
        shape, first = array.shape, None
        if self.numbers + array.size > self.most and array.size > FIRST_NUMBERS:
            array, first = array.ravel()[:FIRST_NUMBERS], FIRST_NUMBERS
        if array.base is not None or array is given:
            array = array.copy()
        array.flags.writeable = False
        self.numbers += array.size
        return Stored(array, shape, role, first)


def plain(value: Any) -> Array:
    """The value as a C-contiguous array of float32, float64 or int64, in this machine's byte order."""
    array = np.asarray(value)
    single = array.dtype.kind == "f" and array.dtype.itemsize == 4
    wanted = np.dtype("int64" if array.dtype.kind in "biu" else "float32" if single else "float64")
    return np.require(array, wanted, "C").reshape(array.shape)
