"""Pooling, compiled: each output looks at its window where it lies; each input gathers what is its due.

Backward, a channel of dx is written by one worker, so overlapping windows add in the same order whoever does it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty
from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.placed import placed_pool
from tinycnn.kernels.pool_mean import means, means_of_four, plan_means, plan_shares, shares, shares_of_four
from tinycnn.kernels.pool_rows import (
    choose_largest_of_four,
    choose_largest_of_taps,
    choose_smallest_of_four,
    choose_smallest_of_taps,
    route_of_four,
)
from tinycnn.kernels.pool_windows import (
    clear_beside,
    first_tap,
    last_tap,
    lay_out,
    phase_length,
    places,
    side_by_side,
    tap_offsets,
    work_space,
)
from tinycnn.kernels.row_taps import add_at_taps
from tinycnn.kernels.rows import clear_row
from tinycnn.kernels.threads import covered, plain, space, threads_for
from tinycnn.ops.checks import Array, floating, upstream
from tinycnn.ops.pool import cells_counted
from tinycnn.ops.window import Window


def max_pool2d_forward(
    x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> tuple[Array, tuple]:
    """Keep the largest number of each window: `ops.max_pool2d_forward`, compiled.

    >>> max_pool2d_forward(np.arange(16.0).reshape(1, 1, 4, 4), kernel_size=2)[0][0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return _forward(x, kernel_size, stride, padding, dilation, ceil_mode, 1, ops.max_pool2d_forward)


def min_pool2d_forward(
    x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> tuple[Array, tuple]:
    """Keep the smallest number of each window: `ops.min_pool2d_forward`, compiled.

    >>> min_pool2d_forward(np.arange(16.0).reshape(1, 1, 4, 4), kernel_size=2)[0][0, 0]
    array([[ 0.,  2.],
           [ 8., 10.]])
    """
    return _forward(x, kernel_size, stride, padding, dilation, ceil_mode, -1, ops.min_pool2d_forward)


def _forward(
    x: Array, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, sign: int, by_ops: Any
) -> tuple[Array, tuple]:
    """The largest of sign·x in each window, and which tap it was."""
    x = floating(x, "x", "N,C,H,W")
    window = placed_pool(x.shape[2], x.shape[3], kernel_size, stride, padding, dilation, ceil_mode)
    if not covered(x):
        return by_ops(x, kernel_size, stride, padding, dilation, ceil_mode)
    x = plain(x)
    N, C, _, _ = x.shape
    y = empty((N, C, window.OH, window.OW), x.dtype)
    of_four = side_by_side(window)
    winner = empty(y.shape, np.uint8 if of_four else np.int32)
    with threads_for(8 * x.size) as threads:
        if of_four:
            _choose_of_four(threads, x.dtype, y, winner, x, sign, N * C, places(window))
        else:
            size = work_space(window)
            _choose(threads, x.dtype, y, winner, x, sign, *_taps(window), space(x.dtype, threads * size), size,
                    phase_length(window), N * C, places(window))  # fmt: skip
    return y, (winner, window, x.shape)


@lru_cache(64)
def _taps(window: Window) -> tuple[Array, Array]:
    """Where each tap lies in a channel laid out, and for each window the first tap that is in the image's columns."""
    begins = np.arange(window.OW) * window.sh - window.left
    first = np.maximum(-(begins // window.dh), 0)
    return np.array(tap_offsets(window)), first.astype(np.int32)


def max_pool2d_backward(dy: Array, cache: tuple) -> Array:
    """Route each gradient to the cell that was the maximum: `ops.max_pool2d_backward`, compiled."""
    winner, window, x_shape = cache
    dy = upstream(dy, winner.shape)
    if not covered(dy) or winner.dtype not in (np.uint8, np.int32):
        return ops.max_pool2d_backward(dy, cache)
    dy, dx, channels = plain(dy), empty(x_shape, dy.dtype), len(dy) * dy.shape[1]
    with threads_for(8 * dx.size) as threads:
        if winner.dtype == np.uint8:
            _route_to_four(threads, dy.dtype, dx, dy, winner, channels, places(window))
        else:
            _route(threads, dy.dtype, dx, dy, winner, _cells(window), channels, places(window))
    return dx


@lru_cache(64)
def _cells(window: Window) -> Array:
    """Where each tap lies in the image, counted from the first."""
    rows, columns = np.arange(window.KH) * window.dv, np.arange(window.KW) * window.dh
    return (rows[:, None] * window.W + columns).ravel()


def min_pool2d_backward(dy: Array, cache: tuple) -> Array:
    """Route each gradient to the cell that was the minimum: `ops.min_pool2d_backward`, compiled."""
    return max_pool2d_backward(dy, cache)


def avg_pool2d_forward(
    x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> tuple[Array, tuple]:  # fmt: skip
    """Take the mean of each window: `ops.avg_pool2d_forward`, compiled.

    >>> avg_pool2d_forward(np.arange(16.0).reshape(1, 1, 4, 4), kernel_size=2)[0][0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    x = floating(x, "x", "N,C,H,W")
    window = placed_pool(x.shape[2], x.shape[3], kernel_size, stride, padding, 1, ceil_mode)
    if not covered(x):
        return ops.avg_pool2d_forward(x, kernel_size, stride, padding, ceil_mode, count_include_pad)
    x = plain(x)
    N, C, _, _ = x.shape
    divisor = _divisor(window, bool(count_include_pad), x.dtype)
    y = empty((N, C, window.OH, window.OW), x.dtype)
    with threads_for(8 * x.size) as threads:
        if side_by_side(window):
            means_of_four(threads, x.dtype, y, x, N * C, places(window))
        else:
            plan = plan_means(window, x.dtype)
            means(threads, x.dtype, y, x, divisor, *plan.rows, *plan.columns, space(x.dtype, threads * plan.size),
                  *plan[2:], N * C, places(window))  # fmt: skip
    return y, (divisor, window, x.shape)


def avg_pool2d_backward(dy: Array, cache: tuple) -> Array:
    """Give every cell an equal share of its windows' gradients: `ops.avg_pool2d_backward`, compiled."""
    divisor, window, x_shape = cache
    dy = upstream(dy, (*x_shape[:2], window.OH, window.OW))
    if not covered(dy, divisor):
        return ops.avg_pool2d_backward(dy, cache)
    dy, dx, channels = plain(dy), empty(x_shape, dy.dtype), len(dy) * dy.shape[1]
    with threads_for(8 * dx.size) as threads:
        if side_by_side(window):
            shares_of_four(threads, dy.dtype, dx, dy, channels, places(window))
        else:
            plan = plan_shares(window, dy.dtype)
            shares(threads, dy.dtype, dx, dy, divisor, *plan.rows, *plan.columns,
                   space(dy.dtype, threads * plan.size), *plan[2:], channels, places(window))  # fmt: skip
    return dx


@lru_cache(64)
def _divisor(window: Window, count_include_pad: bool, dtype: Any) -> Array:
    """How many cells count in each window."""
    return cells_counted(window, count_include_pad).astype(dtype)


@Worker
def _choose_of_four(t, workers, given):
    y, winner, x, sign, channels, p = unpack(given, "xuxnnP")
    for row in range(t * channels * p.OH // workers, (t + 1) * channels * p.OH // workers):
        upper = (row // p.OH * p.H + row % p.OH * 2) * p.W
        if sign > 0:
            choose_largest_of_four(y, winner, row * p.OW, x, upper, upper + p.W, p.OW)
        else:
            choose_smallest_of_four(y, winner, row * p.OW, x, upper, upper + p.W, p.OW)


@Worker
def _choose(t, workers, given):
    y, winner, x, sign, offsets, first, own, size, length, channels, p = unpack(given, "xjxnijxnnnP")
    lines, line = own[t * size : (t + 1) * size], p.sh * length
    nothing = x.dtype.type(-np.inf) if sign > 0 else x.dtype.type(np.inf)
    for c in range(t * channels // workers, (t + 1) * channels // workers):
        lay_out(lines, x, c * p.H * p.W, p, length, nothing)
        for u in range(p.OH):
            row, at = u * p.sv - p.top, (c * p.OH + u) * p.OW
            i0, i1 = first_tap(row, p.dv), last_tap(row, p.dv, p.KH, p.H)
            start, taps = (row + i0 * p.dv) * line, (i1 - i0) * p.KW
            if sign > 0:
                choose_largest_of_taps(y, winner, at, first, i0 * p.KW, lines, start, offsets, taps, p.OW)
            else:
                choose_smallest_of_taps(y, winner, at, first, i0 * p.KW, lines, start, offsets, taps, p.OW)


@Worker
def _route_to_four(t, workers, given):
    dx, dy, winner, channels, p = unpack(given, "xxunP")
    for c in range(t * channels // workers, (t + 1) * channels // workers):
        if 2 * p.OH < p.H or 2 * p.OW < p.W:
            clear_beside(dx[c * p.H * p.W : (c + 1) * p.H * p.W], p)
        for u in range(p.OH):
            upper = (c * p.H + 2 * u) * p.W
            route_of_four(dx, upper, upper + p.W, dy, winner, (c * p.OH + u) * p.OW, p.OW)


@Worker
def _route(t, workers, given):
    dx, dy, winner, cells, channels, p = unpack(given, "xxjinP")
    for c in range(t * channels // workers, (t + 1) * channels // workers):
        clear_row(dx, c * p.H * p.W, p.H * p.W)
        for u in range(p.OH):
            begin = (c * p.H + u * p.sv - p.top) * p.W - p.left
            add_at_taps(dx, begin, p.sh, cells, winner, dy, (c * p.OH + u) * p.OW, p.OW)
