"""A linear map, compiled: three matrix products on the register tile, each read in the order memory holds it.

Forward is dot products of the rows of x with the rows of w; dx mixes the rows of w, and dw the rows of x, so none of
the three needs a transposed copy.
"""

from __future__ import annotations

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty, empty_like
from tinycnn.kernels.activation import relu_backward, relu_forward
from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.rows import copy_row
from tinycnn.kernels.threads import covered, plain, space, threads_for
from tinycnn.kernels.tile import TAPS, call_dots, call_product, tiles_for
from tinycnn.ops.checks import Array, floating, upstream

STRIP = 4 * TAPS  # outputs that share one pass over x
PANEL = 2048  # columns of w, or of dw, that are worked on at a time
NEAR = 64 * 1024  # numbers that stay in the cache of a core


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
    y[...] = 0 if b is None else b
    with threads_for(N * F * C) as threads:
        _forward(threads, x.dtype, tiles_for(x.dtype), y, off, x, w, np.arange(F) * C, N, F, C, int(cut))
    return y, (x, w, b is not None), off


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
        width = max(min(PANEL, NEAR // F // 16 * 16, -(-C // threads)), 16)
        own = space(x.dtype, threads * F * width if both else 1)
        _backward(
            threads, x.dtype, tiles_for(x.dtype), dx, dw, dy, x, w, np.arange(N) * F, np.arange(F),
            np.zeros(width, x.dtype), own, N, F, C, width, int(both),
        )  # fmt: skip


@Worker
def _forward(t, workers, given):
    tiles, y, off, x, w, lines, N, F, C, cut = unpack(given, "Txbxxinnnn")
    strips = (F + STRIP - 1) // STRIP
    for strip in range(t * strips // workers, (t + 1) * strips // workers):
        f = strip * STRIP
        call_dots(tiles, y, f, F, x, 0, C, w, 0, lines, f, C, N, min(STRIP, F - f))
        for n in range(N if cut else 0):
            for k in range(n * F + f, n * F + min(f + STRIP, F)):
                off[k] = y[k] <= 0
                y[k] = 0 if off[k] else y[k]


@Worker
def _backward(t, workers, given):
    tiles, dx, dw, dy, x, w, lines, steps, zeros, own, N, F, C, width, both = unpack(given, "Txxxxxiixxnnnnn")
    panels, mine = (C + width - 1) // width, own[t * F * width :]
    for panel in range(t * panels // workers, (t + 1) * panels // workers):
        begin = panel * width
        columns = min(width, C - begin)
        call_product(tiles, dw, begin, C, dy, 0, steps, lines, x, begin, C, N, F, columns, zeros, 0, 0)
        if not both:
            continue
        source, first, line = w, begin, C
        if F * C > NEAR:  # rows of w lie far apart: fetch the panel once, in long pieces
            for f in range(F):
                copy_row(mine, f * width, w, f * C + begin, columns)
            source, first, line = mine, 0, width
        call_product(tiles, dx, begin, C, dy, 0, lines, steps, source, first, line, F, N, columns, zeros, 0, 0)
