"""ReLU and its leaky sister, compiled: one pass over the numbers, and one byte each to remember which were cut off."""

from __future__ import annotations

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty, empty_like
from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array, floating, number, upstream


def relu_forward(x: Array) -> tuple[Array, tuple]:
    """Keep what is positive, and put 0 for the rest: `ops.relu_forward`, compiled.

    >>> relu_forward(np.array([-1.0, 0.0, 2.0]))[0]
    array([0., 0., 2.])
    """
    x = floating(x, "x")
    if not covered(x):
        return ops.relu_forward(x)
    x = plain(x)
    y, off = empty_like(x), empty(x.shape, np.bool_)
    with threads_for(x.size) as threads:
        _relu(threads, x.dtype, y, off, x, x.size)
    return y, (off,)


def relu_backward(dy: Array, cache: tuple) -> Array:
    """Let the gradient through where x was positive: `ops.relu_backward`, compiled."""
    (off,) = cache
    dy = upstream(dy, off.shape)
    if not covered(dy):
        return ops.relu_backward(dy, cache)
    dx = empty(dy.shape, dy.dtype)
    dy = plain(dy)
    with threads_for(dy.size) as threads:
        _cut(threads, dy.dtype, dx, dy, plain(off), dy.size)
    return dx


def leaky_relu_forward(x: Array, negative_slope: float = 0.01) -> tuple[Array, tuple]:
    """Keep what is positive, and a little of the rest: `ops.leaky_relu_forward`, compiled.

    >>> leaky_relu_forward(np.array([-1.0, 0.0, 2.0]))[0]
    array([-0.01,  0.  ,  2.  ])
    """
    x, slope = floating(x, "x"), number(negative_slope, "negative_slope")
    if not covered(x):
        return ops.leaky_relu_forward(x, slope)
    x = plain(x)
    y, positive = empty_like(x), empty(x.shape, np.bool_)
    with threads_for(x.size) as threads:
        _leaky(threads, x.dtype, y, positive, x, np.full(1, slope, x.dtype), x.size)
    return y, (positive, slope)


def leaky_relu_backward(dy: Array, cache: tuple) -> Array:
    """Let the gradient through where x was positive, and a little elsewhere: `ops.leaky_relu_backward`, compiled."""
    positive, slope = cache
    dy = upstream(dy, positive.shape)
    if not covered(dy):
        return ops.leaky_relu_backward(dy, cache)
    dx = empty(dy.shape, dy.dtype)
    dy = plain(dy)
    with threads_for(dy.size) as threads:
        _slope(threads, dy.dtype, dx, dy, plain(positive), np.full(1, slope, dy.dtype), dy.size)
    return dx


# In the loops below, each worker takes its part of every array and loads before it chooses: so LLVM sees that no index
# is negative and that nothing is read only sometimes, and does 8 or 16 numbers at once.


@Worker
def _relu(t, workers, given):
    y, off, x, n = unpack(given, "xbxn")
    mine, nothing = slice(t * n // workers, (t + 1) * n // workers), x.dtype.type(0)
    y, off, x = y[mine], off[mine], x[mine]
    for k in range(len(x)):
        value = x[k]
        off[k] = value <= nothing
        y[k] = nothing if value <= nothing else value


@Worker
def _leaky(t, workers, given):
    y, positive, x, slopes, n = unpack(given, "xbxxn")
    mine, slope, nothing = slice(t * n // workers, (t + 1) * n // workers), slopes[0], x.dtype.type(0)
    y, positive, x = y[mine], positive[mine], x[mine]
    for k in range(len(x)):
        value = x[k]
        positive[k] = value > nothing
        y[k] = value if value > nothing else slope * value


@Worker
def _cut(t, workers, given):
    dx, dy, off, n = unpack(given, "xxbn")
    mine, nothing = slice(t * n // workers, (t + 1) * n // workers), dx.dtype.type(0)
    dx, dy, off = dx[mine], dy[mine], off[mine]
    for k in range(len(dx)):
        value = dy[k]
        dx[k] = nothing if off[k] else value


@Worker
def _slope(t, workers, given):
    dx, dy, positive, slopes, n = unpack(given, "xxbxn")
    mine, slope = slice(t * n // workers, (t + 1) * n // workers), slopes[0]
    dx, dy, positive = dx[mine], dy[mine], positive[mine]
    for k in range(len(dx)):
        value = dy[k]
        dx[k] = value if positive[k] else slope * value
