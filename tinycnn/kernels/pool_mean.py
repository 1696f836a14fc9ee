"""Mean pools, compiled: a row of windows is added up downwards first, a row at a time, and then along that one line.

Backward it is the same in transpose: a row of shares is spread along a line, and the line added to every row that its
windows cover. A channel of dx is written by one worker, so overlapping windows add in the same order whoever does it.
"""

from __future__ import annotations

import numpy as np

from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.pool_rows import mean_of_four, share_of_four
from tinycnn.kernels.pool_windows import clear_beside, first_tap, last_tap, phase_length, tap_offsets
from tinycnn.kernels.row_taps import add_to_rows, divide_row, split_row, sum_of_taps
from tinycnn.kernels.rows import clear_row, copy_every
from tinycnn.kernels.shuffled_rows import alternate_row
from tinycnn.ops.checks import Array
from tinycnn.ops.window import Window


@Worker
def means_of_four(t, workers, given):
    """The mean of each 2×2 window."""
    y, x, channels, p = unpack(given, "xxnP")
    for row in range(t * channels * p.OH // workers, (t + 1) * channels * p.OH // workers):
        upper = (row // p.OH * p.H + row % p.OH * 2) * p.W
        mean_of_four(y, row * p.OW, x, upper, upper + p.W, p.OW)


@Worker
def shares_of_four(t, workers, given):
    """A quarter of each dy to each number of its 2×2 window."""
    dx, dy, channels, p = unpack(given, "xxnP")
    for c in range(t * channels // workers, (t + 1) * channels // workers):
        if 2 * p.OH < p.H or 2 * p.OW < p.W:
            clear_beside(dx[c * p.H * p.W : (c + 1) * p.H * p.W], p)
        for u in range(p.OH):
            upper = (c * p.H + 2 * u) * p.W
            share_of_four(dx, upper, upper + p.W, dy, (c * p.OH + u) * p.OW, p.OW)


@Worker
def means(t, workers, given):
    """The mean of each window of any kind."""
    y, x, divisor, down, along, own, size, length, channels, p = unpack(given, "xxxiixnnnP")
    line = t * size
    sums, phases = line + size - 3 * length, line + size - 2 * length
    for k in range(line, line + size):
        own[k] = 0  # the border stays so
    for row in range(t * channels * p.OH // workers, (t + 1) * channels * p.OH // workers):
        c, u = row // p.OH, row % p.OH
        begin = u * p.sv - p.top
        i0, i1 = first_tap(begin, 1), last_tap(begin, 1, p.KH, p.H)
        sum_of_taps(own, line + p.left, x, (c * p.H + begin) * p.W, down, i0, i1 - i0, p.W)
        if p.sh == 1:
            sum_of_taps(own, sums, own, line, along, 0, p.KW, p.OW)
        elif p.sh == 2:
            split_row(own, phases, phases + length, own, line, length)
            sum_of_taps(own, sums, own, phases, along, 0, p.KW, p.OW)
        else:
            for v in range(p.OW):
                total = x.dtype.type(0)
                for j in range(p.KW):
                    total += own[line + v * p.sh + j]
                own[sums + v] = total
        divide_row(y, row * p.OW, own, sums, divisor, u * p.OW, p.OW)


@Worker
def shares(t, workers, given):
    """To each number the shares of all windows that it is in."""
    dx, dy, divisor, back, own, size, taps, channels, p = unpack(given, "xxxixnnnP")
    length = p.OW + taps - 1  # of a phase
    some = t * size + taps - 1  # a row of shares, and zeros on both sides of it
    phases = some + length
    line = phases + 2 * length
    for k in range(t * size, (t + 1) * size):
        own[k] = 0  # the zeros stay so
    for c in range(t * channels // workers, (t + 1) * channels // workers):
        clear_row(dx, c * p.H * p.W, p.H * p.W)
        for u in range(p.OH):
            divide_row(own, some, dy, (c * p.OH + u) * p.OW, divisor, u * p.OW, p.OW)
            _spread(own, line, phases, some, back, length, p.KW, p.sh)
            begin = u * p.sv - p.top
            i0, i1 = first_tap(begin, 1), last_tap(begin, 1, p.KH, p.H)
            add_to_rows(dx, (c * p.H + begin + i0) * p.W, p.W, i1 - i0, own, line + p.left, p.W)


@kernel
def _spread(own, line, phases, some, back, length, KW, step):
    """What each column gets: number q of phase r lies in window q, and as tap r + step of window q − 1, and so on."""
    for r in range(min(step, KW)):
        taps = (KW - r + step - 1) // step
        if step == 1:
            sum_of_taps(own, line, own, some, back, 0, taps, length)
        elif step == 2 and KW > 1:
            sum_of_taps(own, phases + r * length, own, some, back, 0, taps, length)
        else:
            sum_of_taps(own, phases, own, some, back, 0, taps, length)
            copy_every(own, line + r, step, own, phases, 1, length)
    if step == 2 and KW > 1:
        alternate_row(own, line, own, phases, phases + length, length)


def sums_of(w: Window) -> tuple[Array, Array, int]:
    """For `means`: where the taps of a column and those of a row lie, and the space it needs."""
    down, along = np.arange(w.KH) * w.W, np.array(tap_offsets(w)[: w.KW])
    return down, along, max(w.left + w.W, phase_length(w) * w.sh) + 3 * phase_length(w)


def shares_of(w: Window) -> tuple[Array, int, int]:
    """For `shares`: the windows that a column lies in, one before the other, at most how many, and the space."""
    taps = -(-w.KW // w.sh)
    length = w.OW + taps - 1
    return -np.arange(taps), 4 * length + max(length * w.sh, w.left + w.W), taps
