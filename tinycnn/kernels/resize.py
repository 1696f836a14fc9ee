"""Enlarging by repetition, compiled: each pixel is written to its copies, and gathers from them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty
from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.pool_mean import means, plan_means
from tinycnn.kernels.pool_windows import places
from tinycnn.kernels.resize_rows import add_twice, repeat_twice
from tinycnn.kernels.rows import copy_row
from tinycnn.kernels.threads import covered, plain, space, threads_for
from tinycnn.ops.checks import Array, floating, pair, upstream
from tinycnn.ops.window import Window, place_pool


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
        if sh == 2:
            _gather_pairs(threads, dy.dtype, dx, dy, N * C * H, W, sv)
        else:  # a mean pool over the copies, that divides by 1
            window = _copies(H, W, sv, sh)
            plan = plan_means(window, dy.dtype)
            means(threads, dy.dtype, dx, dy, np.ones(H * W, dy.dtype), *plan.rows, *plan.columns,
                  space(dy.dtype, threads * plan.size), *plan[2:], N * C, places(window))  # fmt: skip
    return dx


@lru_cache(64)
def _copies(H: int, W: int, sv: int, sh: int) -> Window:
    return place_pool(H * sv, W * sh, (sv, sh))


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
def _gather_pairs(t, workers, given):
    dx, dy, rows, W, sv = unpack(given, "xxnnn")
    for r in range(t * rows // workers, (t + 1) * rows // workers):
        add_twice(dx, r * W, dy, r * sv * 2 * W, 2 * W, sv, W)
