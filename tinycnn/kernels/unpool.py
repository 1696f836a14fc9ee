"""Max-unpooling, compiled: every number goes back to where a max pool found it, and its gradient comes from there."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty
from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array, floating, pair, upstream


def max_unpool2d_forward(x: Array, indices: Array, output_size: Any) -> tuple[Array, tuple]:
    """Put each number back where a max pool found its maximum: `ops.max_unpool2d_forward`, compiled.

    >>> max_unpool2d_forward(np.array([[[[5.0]]]]), np.array([[[[2]]]]), output_size=2)[0][0, 0]
    array([[0., 0.],
           [5., 0.]])
    """
    x, (OH, OW) = floating(x, "x", "N,C,H,W"), pair(output_size, "output_size")
    fits = isinstance(indices, np.ndarray) and indices.dtype.kind in "iu" and indices.shape == x.shape
    if not fits or not covered(x):
        return ops.max_unpool2d_forward(x, indices, output_size)
    x, (N, C, H, W) = plain(x), x.shape
    places = np.array(indices, np.int64, order="C").reshape(N, C, H * W)  # a copy: backward needs them as they are
    y, taken, wrong = empty((N, C, OH, OW), x.dtype), empty(N * C * OH * OW, np.bool_), np.zeros(N * C, np.bool_)
    with threads_for(4 * y.size) as threads:
        _put_back(threads, x.dtype, y, taken, wrong, x, places, N * C, H * W, OH * OW)
    if wrong.any():
        return ops.max_unpool2d_forward(x, indices, output_size)  # which says what is wrong
    return y, (places, x.shape, OH, OW)


def max_unpool2d_backward(dy: Array, cache: tuple) -> Array:
    """Each number takes the gradient of the place it went to: `ops.max_unpool2d_backward`, compiled."""
    places, (N, C, H, W), OH, OW = cache
    dy = upstream(dy, (N, C, OH, OW))
    if not covered(dy) or 0 in (H, W):
        return ops.max_unpool2d_backward(dy, cache)
    dy, dx = plain(dy), empty((N, C, H, W), dy.dtype)
    with threads_for(4 * dx.size) as threads:
        _fetch(threads, dy.dtype, dx, dy, places, N * C, H * W, OH * OW)
    return dx


@Worker
def _put_back(t, workers, given):
    y, taken, wrong, x, places, planes, P, OP = unpack(given, "xbbxinnn")
    for plane in range(t * planes // workers, (t + 1) * planes // workers):
        whole = slice(plane * OP, (plane + 1) * OP)
        y[whole] = 0
        taken[whole] = False
        for k in range(plane * P, (plane + 1) * P):
            place = places[k]
            if place < 0 or place >= OP or taken[plane * OP + place]:  # nothing is written outside, or twice
                wrong[plane] = True
            else:
                taken[plane * OP + place] = True
                y[plane * OP + place] = x[k]


@Worker
def _fetch(t, workers, given):
    dx, dy, places, planes, P, OP = unpack(given, "xxinnn")
    for plane in range(t * planes // workers, (t + 1) * planes // workers):
        for k in range(plane * P, (plane + 1) * P):
            dx[k] = dy[plane * OP + places[k]]
