"""Where the windows of a pool lie, and how a channel is laid out so that one tap of a whole row of them is one row.

With a stride of 2, tap j of the windows 0, 1, 2, … looks at every other number of the image. So a row of the image is
sorted into as many *phases* as the stride has steps: first the numbers at even places, then those at odd places. In a
phase, a tap of all windows is an unbroken run. The border comes along, filled with what never wins.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from tinycnn.kernels.compiling import kernel, record
from tinycnn.kernels.row_taps import split_row
from tinycnn.kernels.rows import copy_every, copy_row
from tinycnn.ops.window import Window


class Places(NamedTuple):
    """Where the windows of a pool lie."""

    H: int
    W: int
    OH: int
    OW: int
    KH: int
    KW: int
    sv: int
    sh: int
    dv: int
    dh: int
    top: int
    left: int


record("P", Places)

_PLACES = attrgetter(*Places._fields)


@lru_cache(64)
def places(w: Window) -> Places:
    """As a worker takes them: the same record each time, so that it is laid in line once."""
    return Places(*_PLACES(w))


def side_by_side(w: Window) -> bool:
    """Whether this is the pool that nearly all networks use: 2×2, side by side, all of it in the image."""
    usual = (w.KH, w.KW, w.sv, w.sh, w.dv, w.dh, w.top, w.left) == (2, 2, 2, 2, 1, 1, 0, 0)
    return usual and 2 * w.OH <= w.H and 2 * w.OW <= w.W


def phase_length(w: Window) -> int:
    """How many numbers a phase of a row has."""
    return w.OW + (w.KW - 1) * w.dh // w.sh


def tap_offsets(w: Window) -> list[int]:
    """Where each tap of the first window lies in a channel laid out, counted from the first tap."""
    length, columns = phase_length(w), [j * w.dh for j in range(w.KW)]
    return [i * w.dv * w.sh * length + c % w.sh * length + c // w.sh for i in range(w.KH) for c in columns]


def work_space(w: Window) -> int:
    """How many numbers a channel laid out has."""
    return w.H * w.sh * phase_length(w)


@kernel
def first_tap(begin, d):
    """The first tap that is not before the image."""
    return 0 if begin >= 0 else (-begin + d - 1) // d


@kernel
def last_tap(begin, d, k, size):
    """One more than the last tap that is not beyond the image."""
    return min(k, (size - begin + d - 1) // d)


@kernel
def lay_out(lines, x, start, p, length, fill):
    """The rows of the channel that begins at x[start], each sorted into phases, with `fill` where no image is."""
    for row in range(p.H):
        first, image = row * p.sh * length, start + row * p.W
        for phase in range(p.sh):
            begin, end = _there(p, phase, length)
            for q in range(begin):
                lines[first + phase * length + q] = fill
            for q in range(end, length):
                lines[first + phase * length + q] = fill
            if p.sh == 1:
                copy_row(lines, first + begin, x, image + begin - p.left, end - begin)
            elif p.sh != 2:
                column = image + begin * p.sh + phase - p.left
                copy_every(lines, first + phase * length + begin, 1, x, column, p.sh, end - begin)
        if p.sh == 2:
            _deal(lines, first, x, image, p, length)


@kernel
def _there(p, phase, length):
    """Which part of a phase is image."""
    begin = min((max(p.left - phase, 0) + p.sh - 1) // p.sh, length)
    return begin, max(begin, min(length, (p.W + p.left - phase + p.sh - 1) // p.sh))


@kernel
def _deal(lines, at, x, image, p, length):
    """The two phases of a row: in pairs, but for a number before the first pair and one behind the last."""
    q = (p.left + 1) // 2
    column = 2 * q - p.left
    if column == 1 and q <= length:
        lines[at + length + q - 1] = x[image]
    pairs = max(min(length - q, (p.W - column) // 2), 0)
    split_row(lines, at + q, at + length + q, x, image + column, pairs)
    if q + pairs < length and column + 2 * pairs < p.W:
        lines[at + q + pairs] = x[image + column + 2 * pairs]


@kernel
def clear_beside(channel, p):
    """0 where no window comes, if they are 2×2 and side by side."""
    for row in range(p.H):
        for q in range(2 * p.OW if row < 2 * p.OH else 0, p.W):
            channel[row * p.W + q] = 0
