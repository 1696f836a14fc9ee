"""What layers with a sliding window share: checks of their options, and their size formula with the numbers in."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.ops.checks import four_sides
from tinycnn.ops.window import Window, size_sum


def check_positive(value: Any, name: str) -> int:
    """An int of at least 1; raises ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be an int ≥ 1, got {value!r}")
    return int(value)


def check_flag(value: Any, name: str) -> bool:
    """True or False; raises ValueError otherwise."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_padding(padding: Any) -> str | int | tuple[int, ...]:
    """Padding in one of its spellings, as plain ints; raises ValueError otherwise."""
    if isinstance(padding, str) and padding in ("valid", "same"):
        return padding
    sides = four_sides(padding)
    if not isinstance(padding, tuple | list):
        return sides[0]
    return sides if len(padding) == 4 else (sides[0], sides[2])


def size_text(window: Window, ceil_mode: bool = False) -> str:
    """The size formula of both axes with the numbers in; once, where they are the same.

    >>> from tinycnn.ops.window import place_window
    >>> size_text(place_window(8, 8, 3, padding=1))
    '⌊(8 + 2 − 3)/1⌋ + 1 = 8'
    """
    w = window
    rows = size_sum(w.H, w.KH, w.sv, w.top + w.bottom, w.dv, w.OH, ceil_mode)
    columns = size_sum(w.W, w.KW, w.sh, w.left + w.right, w.dh, w.OW, ceil_mode)
    return rows if rows == columns else f"{rows}, {columns}"
