"""Mean pools, compiled: the rows of a window are added up first, all columns at once, and then its columns.

Backward it is the same in transpose: each share is dealt out to the columns of its window first, and then to the rows.
Each number of dx is written once, as the sum of the shares that it gets, always in the same order.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinycnn.kernels.columns import Columns, Rows, columns_of, lanes_of, mix_columns, room_to_mix, rows_of
from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.pool_rows import mean_of_four, share_of_four
from tinycnn.kernels.pool_windows import clear_beside
from tinycnn.kernels.resize_rows import mix_rows
from tinycnn.kernels.row_taps import divide_row
from tinycnn.kernels.rows import clear_row
from tinycnn.ops.checks import Array
from tinycnn.ops.window import Window

ROWS = 32  # so many rows of windows at least are done together


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
    """The mean of each window of any kind: rows are added up downwards, and then columns."""
    y, x, divisor, ends_v, places_v, ones_v, places, ones, taps, own, size, lanes, images, channels, p = unpack(
        given, "xxxiixixnxnnnnP"
    )
    room, sums = t * size, (t + 1) * size - images * p.OH * p.OW
    lines = sums - lanes * p.W
    groups, P = (channels + images - 1) // images, p.OH * p.OW
    for group in range(t * groups // workers, (t + 1) * groups // workers):
        c = group * images
        many = min(images, channels - c)
        for begin in range(0, many * p.OH, lanes):
            rows = min(lanes, many * p.OH - begin)
            for m in range(rows):
                k, u = c + (begin + m) // p.OH, (begin + m) % p.OH
                mix_rows(own, lines + m * p.W, x, k * p.H * p.W, p.W, places_v, ones_v, ends_v[u],
                         ends_v[u + 1] - ends_v[u], p.W)  # fmt: skip
            mix_columns(own, sums + begin * p.OW, p.OW, own, lines, p.W, rows, own, room, places, ones, taps, p.W, p.OW,
                        lanes)  # fmt: skip
        for k in range(many):
            divide_row(y, (c + k) * P, own, sums + k * P, divisor, 0, P)


@Worker
def shares(t, workers, given):
    """To each number the shares of all windows that it is in: dealt out along the rows, and then downwards."""
    dx, dy, divisor, ends_v, places_v, ones_v, places, ones, taps, own, size, lanes, images, channels, p = unpack(
        given, "xxxiixixnxnnnnP"
    )
    groups, P = (channels + images - 1) // images, p.OH * p.OW
    room, parts = t * size, (t + 1) * size - images * P
    lines = parts - images * p.OH * p.W
    for group in range(t * groups // workers, (t + 1) * groups // workers):
        c = group * images
        many = min(images, channels - c)
        for k in range(many):
            divide_row(own, parts + k * P, dy, (c + k) * P, divisor, 0, P)
        for begin in range(0, many * p.OH, lanes):
            rows = min(lanes, many * p.OH - begin)
            mix_columns(own, lines + begin * p.W, p.W, own, parts + begin * p.OW, p.OW, rows, own, room, places, ones,
                        taps, p.OW, p.W, lanes)  # fmt: skip
        for k in range(many):
            for r in range(p.H):
                e, to = ends_v[r], ((c + k) * p.H + r) * p.W
                if e < ends_v[r + 1]:
                    mix_rows(dx, to, own, lines + k * p.OH * p.W, p.W, places_v, ones_v, e, ends_v[r + 1] - e, p.W)
                else:
                    clear_row(dx, to, p.W)


class Plan(NamedTuple):
    """What `means` or `shares` needs beside the numbers: how rows and columns are mixed, and its working space."""

    rows: Rows
    columns: Columns
    size: int  # numbers, for each thread
    lanes: int
    images: int  # so many channels at once, that their rows fill vectors


@lru_cache(64)
def plan_means(w: Window, dtype: Any) -> Plan:
    """For `means`."""
    lanes, images = lanes_of(dtype), -(-ROWS // w.OH)
    size = room_to_mix(w.W, w.OW, lanes) + lanes * w.W + images * w.OH * w.OW
    (rows, cells), (windows, columns) = _covered(w.OH, w.KH, w.sv, w.top, w.H), _covered(w.OW, w.KW, w.sh, w.left, w.W)
    ones = np.ones(max(len(rows), len(windows)), dtype)
    return Plan(rows_of(rows, cells, ones, w.OH), columns_of(windows, columns, ones, w.OW, w.W), size, lanes, images)


@lru_cache(64)
def plan_shares(w: Window, dtype: Any) -> Plan:
    """For `shares`."""
    lanes, images = lanes_of(dtype), -(-ROWS // w.OH)
    size = room_to_mix(w.OW, w.W, lanes) + images * w.OH * (w.W + w.OW)
    (rows, cells), (windows, columns) = _covered(w.OH, w.KH, w.sv, w.top, w.H), _covered(w.OW, w.KW, w.sh, w.left, w.W)
    ones = np.ones(max(len(rows), len(windows)), dtype)
    return Plan(rows_of(cells, rows, ones, w.H), columns_of(columns, windows, ones, w.W, w.OW), size, lanes, images)


def _covered(OH: int, KH: int, s: int, before: int, H: int) -> tuple[Array, Array]:
    """Along one axis, pairs of a window and a number of the image that lies in it."""
    numbers = np.arange(OH)[:, None] * s - before + np.arange(KH)
    there = (numbers >= 0) & (numbers < H)
    return np.nonzero(there)[0], numbers[there]
