"""Pooling, compiled: each output looks at its window where it lies; each input gathers what is its due.

Backward, a channel of dx is written by one worker, so overlapping windows add in the same order whoever does it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty
from tinycnn.kernels.compiling import Worker, kernel, record, unpack
from tinycnn.kernels.pool_rows import choose_of_four, route_of_four
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array, floating, upstream
from tinycnn.ops.pool import cells_counted
from tinycnn.ops.window import Window, place_pool


def max_pool2d_forward(
    x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> tuple[Array, tuple]:
    """Keep the largest number of each window: `ops.max_pool2d_forward`, compiled.

    >>> max_pool2d_forward(np.arange(16.0).reshape(1, 1, 4, 4), kernel_size=2)[0][0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return _choose(x, kernel_size, stride, padding, dilation, ceil_mode, 1, ops.max_pool2d_forward)


def min_pool2d_forward(
    x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> tuple[Array, tuple]:
    """Keep the smallest number of each window: `ops.min_pool2d_forward`, compiled.

    >>> min_pool2d_forward(np.arange(16.0).reshape(1, 1, 4, 4), kernel_size=2)[0][0, 0]
    array([[ 0.,  2.],
           [ 8., 10.]])
    """
    return _choose(x, kernel_size, stride, padding, dilation, ceil_mode, -1, ops.min_pool2d_forward)


def _choose(
    x: Array, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, sign: int, by_ops: Any
) -> tuple[Array, tuple]:
    """The largest of sign·x in each window, and which tap it was."""
    x = floating(x, "x", "N,C,H,W")
    window = place_pool(x.shape[2], x.shape[3], kernel_size, stride, padding, dilation, ceil_mode)
    if not covered(x):
        return by_ops(x, kernel_size, stride, padding, dilation, ceil_mode)
    x = plain(x)
    N, C, _, _ = x.shape
    y = empty((N, C, window.OH, window.OW), x.dtype)
    winner = empty(y.shape, np.int32)
    with threads_for(8 * x.size) as threads:
        _choose_all(threads, x.dtype, y, winner, x, np.full(1, sign, x.dtype), N * C, _places(window))
    return y, (winner, window, x.shape)


def max_pool2d_backward(dy: Array, cache: tuple) -> Array:
    """Route each gradient to the cell that was the maximum: `ops.max_pool2d_backward`, compiled."""
    winner, window, x_shape = cache
    dy = upstream(dy, winner.shape)
    if not covered(dy) or winner.dtype != np.int32:
        return ops.max_pool2d_backward(dy, cache)
    dy, dx = plain(dy), empty(x_shape, dy.dtype)
    with threads_for(8 * dx.size) as threads:
        _route(threads, dy.dtype, dx, dy, winner, len(dy) * dy.shape[1], _places(window))
    return dx


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
    window = place_pool(x.shape[2], x.shape[3], kernel_size, stride, padding, 1, ceil_mode)
    if not covered(x):
        return ops.avg_pool2d_forward(x, kernel_size, stride, padding, ceil_mode, count_include_pad)
    x = plain(x)
    N, C, _, _ = x.shape
    divisor = cells_counted(window, count_include_pad).astype(x.dtype)
    y = empty((N, C, window.OH, window.OW), x.dtype)
    with threads_for(8 * x.size) as threads:
        _mean_all(threads, x.dtype, y, x, divisor, N * C, _places(window))
    return y, (divisor, window, x.shape)


def avg_pool2d_backward(dy: Array, cache: tuple) -> Array:
    """Give every cell an equal share of its windows' gradients: `ops.avg_pool2d_backward`, compiled."""
    divisor, window, x_shape = cache
    dy = upstream(dy, (*x_shape[:2], window.OH, window.OW))
    if not covered(dy, divisor):
        return ops.avg_pool2d_backward(dy, cache)
    dx = np.zeros(x_shape, dy.dtype)
    dy = plain(dy)
    with threads_for(8 * dx.size) as threads:
        _share(threads, dy.dtype, dx, dy, divisor, len(dy) * dy.shape[1], _places(window))
    return dx


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


def _places(w: Window) -> Places:
    return Places(*(getattr(w, name) for name in Places._fields))


@kernel
def _first(begin, d):
    """The first tap that is not before the image."""
    return 0 if begin >= 0 else (-begin + d - 1) // d


@kernel
def _last(begin, d, k, size):
    """One more than the last tap that is not beyond the image."""
    return min(k, (size - begin + d - 1) // d)


@kernel
def _side_by_side(p):
    """Whether this is the pool that nearly all networks use: 2×2, side by side, all of it in the image."""
    small = p.KH == 2 and p.KW == 2 and p.sv == 2 and p.sh == 2 and p.dv == 1 and p.dh == 1
    return small and p.top == 0 and p.left == 0 and 2 * p.OH <= p.H and 2 * p.OW <= p.W


@kernel
def _better(value, best):
    """Larger, or the first NaN."""
    return (value > best) | ((value != value) & (best == best))


@Worker
def _choose_all(t, workers, given):
    y, winner, x, signs, channels, p = unpack(given, "xjxxnP")
    sign, simple = signs[0], _side_by_side(p)
    for c in range(t * channels // workers, (t + 1) * channels // workers):
        for u in range(p.OH):
            at = (c * p.OH + u) * p.OW
            line = slice(at, at + p.OW)
            if simple:
                upper = (c * p.H + 2 * u) * p.W
                choose_of_four(y, winner, at, x, upper, upper + p.W, sign, p.OW)
            else:
                _choose_row(y[line], winner[line], x[c * p.H * p.W : (c + 1) * p.H * p.W], sign, u, p)


@kernel
def _choose_row(y, winner, x, sign, u, p):
    """One row of windows of any kind, each as far as it lies in the image."""
    row = u * p.sv - p.top
    i0, i1 = _first(row, p.dv), _last(row, p.dv, p.KH, p.H)
    for v in range(len(y)):
        col = v * p.sh - p.left
        j0, j1 = _first(col, p.dh), _last(col, p.dh, p.KW, p.W)
        tap = i0 * p.KW + j0
        best = sign * x[(row + i0 * p.dv) * p.W + col + j0 * p.dh]
        for i in range(i0, i1):
            for j in range(j0, j1):
                value = sign * x[(row + i * p.dv) * p.W + col + j * p.dh]
                if _better(value, best):
                    best, tap = value, i * p.KW + j
        y[v], winner[v] = sign * best, tap


@Worker
def _route(t, workers, given):
    dx, dy, winner, channels, p = unpack(given, "xxjnP")
    simple = _side_by_side(p)
    for c in range(t * channels // workers, (t + 1) * channels // workers):
        channel = dx[c * p.H * p.W : (c + 1) * p.H * p.W]
        if not simple or 2 * p.OH < p.H or 2 * p.OW < p.W:
            channel[:] = 0
        for u in range(p.OH):
            at = (c * p.OH + u) * p.OW
            line = slice(at, at + p.OW)
            if simple:
                upper = (c * p.H + 2 * u) * p.W
                route_of_four(dx, upper, upper + p.W, dy, winner, at, p.OW)
            else:
                _route_row(channel, dy[line], winner[line], u, p)


@kernel
def _route_row(channel, dy, winner, u, p):
    for v in range(len(dy)):
        i, j = winner[v] // p.KW, winner[v] % p.KW
        channel[(u * p.sv + i * p.dv - p.top) * p.W + v * p.sh + j * p.dh - p.left] += dy[v]


@Worker
def _mean_all(t, workers, given):
    y, x, divisor, channels, p = unpack(given, "xxxnP")
    H, W, OH, OW, KH, KW, sv, sh, dv, dh, top, left = p
    for c in range(t * channels // workers, (t + 1) * channels // workers):
        for u in range(OH):
            row = u * sv - top
            i0, i1 = _first(row, dv), _last(row, dv, KH, H)
            for v in range(OW):
                col = v * sh - left
                j0, j1 = _first(col, dh), _last(col, dh, KW, W)
                total = x.dtype.type(0)
                for i in range(i0, i1):
                    for j in range(j0, j1):
                        total += x[(c * H + row + i * dv) * W + col + j * dh]
                y[(c * OH + u) * OW + v] = total / divisor[u * OW + v]


@Worker
def _share(t, workers, given):
    dx, dy, divisor, channels, p = unpack(given, "xxxnP")
    H, W, OH, OW, KH, KW, sv, sh, dv, dh, top, left = p
    for c in range(t * channels // workers, (t + 1) * channels // workers):
        for u in range(OH):
            row = u * sv - top
            i0, i1 = _first(row, dv), _last(row, dv, KH, H)
            for v in range(OW):
                col = v * sh - left
                j0, j1 = _first(col, dh), _last(col, dh, KW, W)
                share = dy[(c * OH + u) * OW + v] / divisor[u * OW + v]
                for i in range(i0, i1):
                    for j in range(j0, j1):
                        dx[(c * H + row + i * dv) * W + col + j * dh] += share
