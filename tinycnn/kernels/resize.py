"""Enlarging by repetition, compiled: each pixel is written to its copies, and gathers from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty
from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.resize_rows import add_twice, repeat_twice
from tinycnn.kernels.row_taps import sum_of_taps
from tinycnn.kernels.rows import copy_row
from tinycnn.kernels.threads import covered, plain, space, threads_for
from tinycnn.ops.checks import Array, floating, pair, upstream


def upsample_nearest2d_forward(x: Array, scale: Any) -> tuple[Array, tuple]:
    """Repeat each pixel `scale` times: `ops.upsample_nearest2d_forward`, compiled.

    >>> upsample_nearest2d_forward(np.array([[[[1.0, 2.0]]]]), scale=2)[0][0, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    x, (sv, sh) = floating(x, "x", "N,C,H,W"), pair(scale, "scale")
    if not covered(x):
        return ops.upsample_nearest2d_forward(x, scale)
    x = plain(x)
    N, C, H, W = x.shape
    y = empty((N, C, H * sv, W * sh), x.dtype)
    with threads_for(y.size) as threads:
        _repeat(threads, x.dtype, y, x, N * C * H, W, sv, sh)
    return y, (x.shape, sv, sh)


def upsample_nearest2d_backward(dy: Array, cache: tuple) -> Array:
    """Each pixel gathers from all its copies: `ops.upsample_nearest2d_backward`, compiled."""
    (N, C, H, W), sv, sh = cache
    dy = upstream(dy, (N, C, H * sv, W * sh))
    if not covered(dy):
        return ops.upsample_nearest2d_backward(dy, cache)
    dy, dx = plain(dy), empty((N, C, H, W), dy.dtype)
    with threads_for(dy.size) as threads:
        own = space(dy.dtype, threads * W * sh)
        _gather(threads, dy.dtype, dx, dy, np.arange(sv) * (W * sh), own, N * C * H, W, sv, sh)
    return dx


@Worker
def _repeat(t, workers, given):
    y, x, rows, W, sv, sh = unpack(given, "xxnnnn")
    wide = W * sh
    for r in range(t * rows // workers, (t + 1) * rows // workers):
        begin = r * sv * wide
        if sh == 2:
            repeat_twice(y, begin, wide, sv, x, r * W, W)
        else:
            for q in range(W):
                for j in range(sh):
                    y[begin + q * sh + j] = x[r * W + q]
            for i in range(1, sv):
                copy_row(y, begin + i * wide, y, begin, wide)


@Worker
def _gather(t, workers, given):
    dx, dy, of_rows, own, rows, W, sv, sh = unpack(given, "xxixnnnn")
    wide = W * sh
    for r in range(t * rows // workers, (t + 1) * rows // workers):
        if sh == 2:
            add_twice(dx, r * W, dy, r * sv * wide, wide, sv, W)
        else:
            sum_of_taps(own, t * wide, dy, r * sv * wide, of_rows, 0, sv, wide)
            for q in range(W):
                total = own[t * wide + q * sh]
                for j in range(1, sh):
                    total += own[t * wide + q * sh + j]
                dx[r * W + q] = total
