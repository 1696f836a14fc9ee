"""Borders, joints, masks and means, compiled: ops that hardly calculate, so that all they take is a trip to memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty
from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.rows import copy_row, row_sum
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array, floating, four_sides, number, upstream

MOVED = 4  # a number that is copied takes as long as so many multiplications


def pad2d_forward(x: Array, padding: Any, value: float = 0.0) -> tuple[Array, tuple]:
    """Surround every image with a border of `value`: `ops.pad2d_forward`, compiled.

    >>> pad2d_forward(np.ones((1, 1, 1, 2)), (1, 0, 0, 1))[0][0, 0]
    array([[0., 0., 0.],
           [1., 1., 0.]])
    """
    x, (top, bottom, left, right) = floating(x, "x", "N,C,H,W"), four_sides(padding)
    if not covered(x) or not isinstance(value, int | float):
        return ops.pad2d_forward(x, padding, value)
    x, (N, C, H, W) = plain(x), x.shape
    y = empty((N, C, top + H + bottom, left + W + right), x.dtype)
    with threads_for(y.size) as threads:
        _surround(threads, x.dtype, y, x, np.full(1, value, x.dtype), N * C, H, W, *y.shape[2:], top, left)
    return y, (x.shape, y.shape, top, left)


def pad2d_backward(dy: Array, cache: tuple) -> Array:
    """Cut the border off again: `ops.pad2d_backward`, compiled."""
    (N, C, H, W), y_shape, top, left = cache
    dy = upstream(dy, y_shape)
    if not covered(dy) or 0 in (H, W):
        return ops.pad2d_backward(dy, cache)
    dy, dx = plain(dy), empty((N, C, H, W), dy.dtype)
    with threads_for(dy.size) as threads:
        _cut_out(threads, dy.dtype, dx, dy, N * C, H, W, *y_shape[2:], top, left)
    return dx


def concat_forward(a: Array, b: Array) -> tuple[Array, tuple]:
    """Lay the channels of b behind those of a: `ops.concat_forward`, compiled.

    >>> concat_forward(np.array([[1.0, 2.0]]), np.array([[3.0]]))[0]
    array([[1., 2., 3.]])
    """
    a, b = floating(a, "a"), floating(b, "b")
    fits = a.ndim == b.ndim >= 2 and a.shape[:1] + a.shape[2:] == b.shape[:1] + b.shape[2:]
    if not fits or not covered(a, b):
        return ops.concat_forward(a, b)
    a, b, N = plain(a), plain(b), len(a)
    y = empty((N, a.shape[1] + b.shape[1], *a.shape[2:]), a.dtype)
    with threads_for(MOVED * y.size) as threads:
        _join(threads, y.dtype, y, a, b, N, a.size // N, b.size // N)
    return y, (a.shape[1], y.shape)


def concat_backward(dy: Array, cache: tuple) -> tuple[Array, Array]:
    """Cut the gradient where the channels were joined: `ops.concat_backward`, compiled."""
    CA, (N, C, *pixels) = cache
    dy = upstream(dy, (N, C, *pixels))
    if not covered(dy) or CA in (0, C):
        return ops.concat_backward(dy, cache)
    dy, da, db = plain(dy), empty((N, CA, *pixels), dy.dtype), empty((N, C - CA, *pixels), dy.dtype)
    with threads_for(MOVED * dy.size) as threads:
        _part(threads, dy.dtype, da, db, dy, N, da.size // N, db.size // N)
    return da, db


def dropout_forward(x: Array, mask: Array, drop_prob: float) -> tuple[Array, tuple]:
    """Keep what the mask says, divided by the probability of keeping it: `ops.dropout_forward`, compiled.

    >>> dropout_forward(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]), drop_prob=0.5)[0]
    array([2., 0., 6.])
    """
    x = floating(x, "x")
    fits = isinstance(mask, np.ndarray) and mask.dtype == bool and mask.shape == x.shape
    if not fits or not covered(x) or not 0 <= number(drop_prob, "drop_prob") < 1:
        return ops.dropout_forward(x, mask, drop_prob)
    keep = 1 - float(drop_prob)
    return _masked(x, mask, keep), (mask, keep)


def dropout_backward(dy: Array, cache: tuple) -> Array:
    """The same mask and the same factor: `ops.dropout_backward`, compiled."""
    mask, keep = cache
    dy = upstream(dy, mask.shape)
    return _masked(dy, mask, keep) if covered(dy) else ops.dropout_backward(dy, cache)


def _masked(x: Array, mask: Array, keep: float) -> Array:
    y, x = empty(x.shape, x.dtype), plain(x)
    with threads_for(x.size) as threads:
        _mask(threads, x.dtype, y, x, plain(mask), np.full(1, keep, x.dtype), x.size)
    return y


def global_avg_pool2d_forward(x: Array) -> tuple[Array, tuple]:
    """Take the mean of each channel over the whole image: `ops.global_avg_pool2d_forward`, compiled.

    >>> global_avg_pool2d_forward(np.arange(8.0).reshape(1, 2, 2, 2))[0]
    array([[1.5, 5.5]])
    """
    x = floating(x, "x", "N,C,H,W")
    if not covered(x):
        return ops.global_avg_pool2d_forward(x)
    x, (N, C, H, W) = plain(x), x.shape
    y = empty((N, C), x.dtype)
    with threads_for(x.size) as threads:
        _means(threads, x.dtype, y, x, N * C, H * W)
    return y, (x.shape,)


def global_avg_pool2d_backward(dy: Array, cache: tuple) -> Array:
    """Give every pixel an equal share of its channel's gradient: `ops.global_avg_pool2d_backward`, compiled."""
    ((N, C, H, W),) = cache
    dy = upstream(dy, (N, C))
    if not covered(dy) or 0 in (H, W):
        return ops.global_avg_pool2d_backward(dy, cache)
    dy, dx = plain(dy), empty((N, C, H, W), dy.dtype)
    with threads_for(dx.size) as threads:
        _shares(threads, dy.dtype, dx, dy, N * C, H * W)
    return dx


@Worker
def _surround(t, workers, given):
    y, x, values, planes, H, W, OH, OW, top, left = unpack(given, "xxxnnnnnnn")
    value = values[0]
    for row in range(t * planes * OH // workers, (t + 1) * planes * OH // workers):
        plane, u = row // OH, row % OH
        if u < top or u >= top + H:
            y[row * OW : (row + 1) * OW] = value
        else:
            y[row * OW : row * OW + left] = value
            copy_row(y, row * OW + left, x, (plane * H + u - top) * W, W)
            y[row * OW + left + W : (row + 1) * OW] = value


@Worker
def _cut_out(t, workers, given):
    dx, dy, planes, H, W, OH, OW, top, left = unpack(given, "xxnnnnnnn")
    for row in range(t * planes * H // workers, (t + 1) * planes * H // workers):
        plane, r = row // H, row % H
        copy_row(dx, row * W, dy, (plane * OH + top + r) * OW + left, W)


@Worker
def _join(t, workers, given):
    y, a, b, N, A, B = unpack(given, "xxxnnn")
    for n in range(N):
        begin, end = t * A // workers, (t + 1) * A // workers
        copy_row(y, n * (A + B) + begin, a, n * A + begin, end - begin)
        begin, end = t * B // workers, (t + 1) * B // workers
        copy_row(y, n * (A + B) + A + begin, b, n * B + begin, end - begin)


@Worker
def _part(t, workers, given):
    da, db, dy, N, A, B = unpack(given, "xxxnnn")
    for n in range(N):
        begin, end = t * A // workers, (t + 1) * A // workers
        copy_row(da, n * A + begin, dy, n * (A + B) + begin, end - begin)
        begin, end = t * B // workers, (t + 1) * B // workers
        copy_row(db, n * B + begin, dy, n * (A + B) + A + begin, end - begin)


@Worker
def _mask(t, workers, given):
    y, x, mask, keeps, n = unpack(given, "xxbxn")
    mine, keep, nothing = slice(t * n // workers, (t + 1) * n // workers), keeps[0], x.dtype.type(0)
    y, x, mask = y[mine], x[mine], mask[mine]
    for k in range(len(x)):
        value = x[k] / keep
        y[k] = value if mask[k] else nothing


@Worker
def _means(t, workers, given):
    y, x, planes, P = unpack(given, "xxnn")
    for plane in range(t * planes // workers, (t + 1) * planes // workers):
        y[plane] = row_sum(x, plane * P, P) / x.dtype.type(P)


@Worker
def _shares(t, workers, given):
    dx, dy, planes, P = unpack(given, "xxnn")
    for plane in range(t * planes // workers, (t + 1) * planes // workers):
        dx[plane * P : (plane + 1) * P] = dy[plane] / dy.dtype.type(P)
