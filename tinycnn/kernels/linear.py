"""A linear map, compiled: three matrix products on the register tile, in the order in which memory holds them.

Forward, w is turned, a few outputs at a time, so that its weights for one input lie side by side; a batch so small that
turning would cost more than multiplying is done by dot products of the rows of x with the rows of w. Backward, dx mixes
the rows of w and dw the rows of x, and both are laid out in strips as wide as the tile.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty, empty_like
from tinycnn.kernels.activation import relu_backward, relu_forward
from tinycnn.kernels.columns import lanes_of
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.rows import copy_row
from tinycnn.kernels.shuffled_rows import turn_rows
from tinycnn.kernels.threads import covered, plain, space, threads_for
from tinycnn.kernels.tile import STEPS, TAPS, call_dots, call_product, strip_width, tiles_for
from tinycnn.ops.checks import Array, floating, upstream

STRIP = 4 * TAPS  # outputs that share one pass over x
FEW = 12  # rows for which nothing is laid out anew: it would cost more than it saves
PIECE = 2 * STEPS  # inputs that are worked on at a time
NEAR = 16 * 1024  # numbers that are laid out at a time


def linear_forward(x: Array, w: Array, b: Array | None) -> tuple[Array, tuple]:
    """Multiply a batch of vectors by a matrix and add a bias: `ops.linear_forward`, compiled.

    >>> linear_forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([5.0]))[0]
    array([[16.]])
    """
    x, w, b = _arguments(x, w, b)
    if not _fits(x, w, b):
        return ops.linear_forward(x, w, b)
    y, kept, _ = _multiply(x, w, b, False)
    return y, kept


def linear_relu_forward(x: Array, w: Array, b: Array | None) -> tuple[Array, tuple]:
    """A linear map and the ReLU behind it in one: the numbers are cut at 0 while they are in the cache.

    >>> linear_relu_forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [-3.0, 4.0], [3.0, -4.0]]), None)[0]
    array([[11.,  5.,  0.]])
    """
    x, w, b = _arguments(x, w, b)
    if not _fits(x, w, b):
        y, kept = ops.linear_forward(x, w, b)
        y, (off,) = relu_forward(y)
        return y, (kept, off)
    y, kept, off = _multiply(x, w, b, True)
    return y, (kept, off)


def linear_relu_backward(dy: Array, cache: tuple, wanted: str = "all") -> tuple[Array | None, Array, Array | None]:
    """dx, dw and db; with wanted="weights", None for dx, which then costs nothing."""
    if wanted not in ("all", "weights"):
        raise ValueError(f'wanted must be "all" or "weights", got {wanted!r}')
    kept, off = cache
    dy = relu_backward(dy, (off,))
    return linear_backward(dy, kept) if wanted == "all" else (None, *linear_backward_weights(dy, kept))


def _arguments(x: Array, w: Array, b: Array | None) -> tuple[Array, Array, Array | None]:
    return floating(x, "x", "N,C"), floating(w, "w", "F,C"), None if b is None else floating(b, "b")


def _fits(x: Array, w: Array, b: Array | None) -> bool:
    return x.shape[1] == w.shape[1] and (b is None or b.shape == w.shape[:1]) and covered(x, w, b)


def _multiply(x: Array, w: Array, b: Array | None, cut: bool) -> tuple[Array, tuple, Array]:
    """y, what backward needs, and where a ReLU cut y off."""
    x, w = plain(x), plain(w)
    (N, C), F = x.shape, len(w)
    y, off = empty((N, F), x.dtype), empty((N, F) if cut else 1, np.bool_)
    bias, lanes = np.zeros(F, x.dtype) if b is None else plain(b), lanes_of(x.dtype)
    with threads_for(N * F * C) as threads:
        if N <= FEW:
            y[...] = bias
            _dot(threads, x.dtype, tiles_for(x.dtype), y, off, x, w, N, F, C, int(cut))
        else:
            size = 2 * lanes * (min(PIECE, C) + lanes)
            _forward(threads, x.dtype, tiles_for(x.dtype), y, off, x, w, bias, steps(N, C), steps(min(PIECE, C), 1),
                     space(x.dtype, threads * size), size, N, F, C, int(cut), lanes)  # fmt: skip
    return y, (x, w, b is not None), off


@lru_cache(64)
def steps(many: int, by: int) -> Array:
    """0, by, 2·by, …: where the rows of a matrix begin."""
    return np.arange(many) * by


def linear_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array | None]:
    """All three gradients: `ops.linear_backward`, compiled."""
    x, w, has_bias = cache
    dy = upstream(dy, (len(x), len(w)))
    if not covered(x, w, dy):
        return ops.linear_backward(dy, cache)
    dx, dw = empty_like(x), empty_like(w)
    _gradients(plain(dy), x, w, dx, dw, True)
    return dx, dw, dy.sum(axis=0) if has_bias else None


def linear_backward_weights(dy: Array, cache: tuple) -> tuple[Array, Array | None]:
    """The gradients of the weights alone: the first layer of a network has nobody who asks for dx."""
    x, w, has_bias = cache
    dy = upstream(dy, (len(x), len(w)))
    if not covered(x, w, dy):
        return ops.linear_backward(dy, cache)[1:]
    dw = empty_like(w)
    _gradients(plain(dy), x, w, x, dw, False)
    return dw, dy.sum(axis=0) if has_bias else None


def _gradients(dy: Array, x: Array, w: Array, dx: Array, dw: Array, both: bool) -> None:
    """Fill in dw, and dx if both are wanted; if not, dx is left alone."""
    (N, C), F = x.shape, len(w)
    with threads_for((1 + both) * N * F * C) as threads:
        lanes, longer = lanes_of(x.dtype), max(N, F)
        width = max(min(NEAR // longer, -(-C // threads)) // (2 * lanes), 1) * 2 * lanes
        pitch = -(-N // lanes) * lanes
        size = longer * width + max(F, lanes) * pitch
        _backward(threads, x.dtype, tiles_for(x.dtype), dx, dw, dy, x, w, steps(N, F), steps(F, pitch),
                  steps(longer, 1), np.zeros(width, x.dtype), space(x.dtype, threads * size), size, N, F, C, width,
                  pitch, int(both), lanes)  # fmt: skip


@kernel
def _cut_off(off, y, f, columns, N, F):
    for n in range(N):
        for k in range(n * F + f, n * F + f + columns):
            off[k] = y[k] <= 0
            y[k] = 0 if off[k] else y[k]


@Worker
def _dot(t, workers, given):
    tiles, y, off, x, w, N, F, C, cut = unpack(given, "Txbxxnnnn")
    strips = (F + STRIP - 1) // STRIP
    for strip in range(t * strips // workers, (t + 1) * strips // workers):
        f = strip * STRIP
        call_dots(tiles, y, f, F, x, 0, C, w, f * C, C, C, N, min(STRIP, F - f))
        if cut:
            _cut_off(off, y, f, min(STRIP, F - f), N, F)


@Worker
def _forward(t, workers, given):
    tiles, y, off, x, w, bias, lines, ones, own, size, N, F, C, cut, lanes = unpack(given, "Txbxxxiixnnnnnn")
    room, strips = t * size, (F + 2 * lanes - 1) // (2 * lanes)
    for c in range(0, C, PIECE):
        K = min(PIECE, C - c)
        for strip in range(t * strips // workers, (t + 1) * strips // workers):
            f = strip * 2 * lanes
            columns = min(2 * lanes, F - f)
            width = strip_width(columns, lanes)
            for v in range(0, columns, lanes):
                at = room + (v if width > lanes else v * K)
                turn_rows(own, at, width, w, (f + v) * C + c, C, columns - v, K)
            call_product(tiles, y, f, F, x, c, lines, ones, own, room, 0, K, N, columns, bias, f, 0, int(c > 0))
            if cut and c + K == C:
                _cut_off(off, y, f, columns, N, F)


@Worker
def _backward(t, workers, given):
    tiles, dx, dw, dy, x, w, lines, turned_lines, ones, zeros, own, size, N, F, C, width, pitch, both, lanes = unpack(
        given, "Txxxxxiiixxnnnnnnnn"
    )
    panels, room, turned = (C + width - 1) // width, t * size, (t + 1) * size - max(F, lanes) * pitch
    for n in range(0, N, lanes):  # for dw, that reads it down its columns
        turn_rows(own, turned + n, pitch, dy, n * F, F, N - n, F)
    for panel in range(t * panels // workers, (t + 1) * panels // workers):
        begin = panel * width
        columns = min(width, C - begin)
        b, b0, line = x, begin, C
        if F > FEW:
            _lay_out(own, room, x, begin, C, N, columns, lanes)
            b, b0, line = own, room, 0
        call_product(tiles, dw, begin, C, own, turned, turned_lines, ones, b, b0, line, N, F, columns, zeros, 0, 0, 0)
        if not both:
            continue
        b, b0, line = w, begin, C
        if N > FEW:
            _lay_out(own, room, w, begin, C, F, columns, lanes)
            b, b0, line = own, room, 0
        call_product(tiles, dx, begin, C, dy, 0, lines, ones, b, b0, line, F, N, columns, zeros, 0, 0, 0)


@kernel
def _lay_out(to, at, x, start, line, rows, columns, lanes):
    """Columns of x in strips, as `product` takes them."""
    n = 0
    while n < columns:
        width = strip_width(columns - n, lanes)
        for k in range(rows):
            copy_row(to, at + n * rows + k * width, x, start + k * line + n, min(width, columns - n))
        n += width
