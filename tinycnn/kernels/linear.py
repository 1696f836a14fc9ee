"""A linear map, compiled: three matrix products on the register tile, each read in the order memory holds it.

Forward is dot products of the rows of x with the rows of w; dx mixes the rows of w, and dw the rows of x, so none of
the three needs a transposed copy.
"""

from __future__ import annotations

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty, empty_like
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
    x, w = floating(x, "x", "N,C"), floating(w, "w", "F,C")
    b = None if b is None else floating(b, "b")
    fits = x.shape[1] == w.shape[1] and (b is None or b.shape == w.shape[:1])
    if not fits or not covered(x, w, b):
        return ops.linear_forward(x, w, b)
    x, w = plain(x), plain(w)
    (N, C), F = x.shape, len(w)
    y = empty((N, F), x.dtype)
    y[...] = 0 if b is None else b
    with threads_for(N * F * C) as threads:
        _forward(threads, x.dtype, tiles_for(x.dtype), y, x, w, np.arange(F) * C, N, F, C)
    return y, (x, w, b is not None)


def linear_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array | None]:
    """All three gradients: `ops.linear_backward`, compiled."""
    x, w, has_bias = cache
    dy = upstream(dy, (len(x), len(w)))
    if not covered(x, w, dy):
        return ops.linear_backward(dy, cache)
    dy = plain(dy)
    (N, C), F = x.shape, len(w)
    dx, dw = empty_like(x), empty_like(w)
    with threads_for(2 * N * F * C) as threads:
        width = max(min(PANEL, NEAR // F // 16 * 16, -(-C // threads)), 16)
        own = space(x.dtype, threads * F * width)
        _backward(
            threads, x.dtype, tiles_for(x.dtype), dx, dw, dy, x, w, np.arange(N) * F, np.arange(F),
            np.zeros(width, x.dtype), own, N, F, C, width,
        )  # fmt: skip
    return dx, dw, dy.sum(axis=0) if has_bias else None


@Worker
def _forward(t, workers, given):
    tiles, y, x, w, lines, N, F, C = unpack(given, "Txxxinnn")
    strips = (F + STRIP - 1) // STRIP
    for strip in range(t * strips // workers, (t + 1) * strips // workers):
        f = strip * STRIP
        call_dots(tiles, y, f, F, x, 0, C, w, 0, lines, f, C, N, min(STRIP, F - f))


@Worker
def _backward(t, workers, given):
    tiles, dx, dw, dy, x, w, lines, steps, zeros, own, N, F, C, width = unpack(given, "Txxxxxiixxnnnn")
    panels, mine = (C + width - 1) // width, own[t * F * width :]
    for panel in range(t * panels // workers, (t + 1) * panels // workers):
        begin = panel * width
        columns = min(width, C - begin)
        call_product(tiles, dw, begin, C, dy, 0, steps, lines, x, begin, C, N, F, columns, zeros, 0, 0)
        source, first, line = w, begin, C
        if F * C > NEAR:  # rows of w lie far apart: fetch the panel once, in long pieces
            for f in range(F):
                copy_row(mine, f * width, w, f * C + begin, columns)
            source, first, line = mine, 0, width
        call_product(tiles, dx, begin, C, dy, 0, lines, steps, source, first, line, F, N, columns, zeros, 0, 0)
