"""ELU, sigmoid and tanh, compiled: the bends that need an exponential.

One pass writes y and its slope, so backward is one product a number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty, empty_like
from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.exponential import exp, expm1
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array, floating, number, upstream

HARD = 8  # as much work as so many multiplications: an exponential


class Slope(NamedTuple):
    """The derivative of each y by its x."""

    slope: Array


def elu_forward(x: Array, alpha: float = 1.0) -> tuple[Array, tuple]:
    """Keep what is positive, and bend the rest down to −alpha: `ops.elu_forward`, compiled.

    >>> elu_forward(np.array([-1e4, 0.0, 2.0]))[0]
    array([-1.,  0.,  2.])
    """
    x, alpha = floating(x, "x"), number(alpha, "alpha")
    if not covered(x):
        return ops.elu_forward(x, alpha)
    return _forward(_elu, x, alpha)


def elu_backward(dy: Array, cache: tuple) -> Array:
    """Multiply by the slope, 1 or alpha·exp(x): `ops.elu_backward`, compiled."""
    return _backward(dy, cache) if isinstance(cache, Slope) else ops.elu_backward(dy, cache)


def sigmoid_forward(x: Array) -> tuple[Array, tuple]:
    """Squeeze any number into 0…1: `ops.sigmoid_forward`, compiled.

    >>> sigmoid_forward(np.array([-1e4, 0.0, 1e4]))[0]
    array([0. , 0.5, 1. ])
    """
    x = floating(x, "x")
    return _forward(_sigmoid, x) if covered(x) else ops.sigmoid_forward(x)


def sigmoid_backward(dy: Array, cache: tuple) -> Array:
    """Multiply by the slope y·(1 − y): `ops.sigmoid_backward`, compiled."""
    return _backward(dy, cache) if isinstance(cache, Slope) else ops.sigmoid_backward(dy, cache)


def tanh_forward(x: Array) -> tuple[Array, tuple]:
    """Squeeze any number into −1…1: `ops.tanh_forward`, compiled.

    >>> tanh_forward(np.array([-1e4, 0.0, 1e4]))[0]
    array([-1.,  0.,  1.])
    """
    x = floating(x, "x")
    return _forward(_tanh, x) if covered(x) else ops.tanh_forward(x)


def tanh_backward(dy: Array, cache: tuple) -> Array:
    """Multiply by the slope 1 − y²: `ops.tanh_backward`, compiled."""
    return _backward(dy, cache) if isinstance(cache, Slope) else ops.tanh_backward(dy, cache)


def _forward(worker: Worker, x: Array, option: float = 0.0) -> tuple[Array, tuple]:
    x = plain(x)
    y, slope = empty_like(x), empty_like(x)
    with threads_for(HARD * x.size) as threads:
        worker(threads, x.dtype, y, slope, x, np.full(1, option, x.dtype), x.size)
    return y, Slope(slope)


def _backward(dy: Array, cache: Slope) -> Array:
    dy = upstream(dy, cache.slope.shape)
    if not covered(dy, cache.slope):
        return dy * cache.slope
    dx, dy = empty(dy.shape, dy.dtype), plain(dy)
    with threads_for(dy.size) as threads:
        _times(threads, dy.dtype, dx, dy, cache.slope, dy.size)
    return dx


@Worker
def _elu(t, workers, given):
    y, slope, x, alphas, n = unpack(given, "xxxxn")
    mine, alpha = slice(t * n // workers, (t + 1) * n // workers), alphas[0]
    y, slope, x = y[mine], slope[mine], x[mine]
    nothing, one = x.dtype.type(0), x.dtype.type(1)
    for k in range(len(x)):
        value = x[k]
        below = nothing if value > nothing else value
        less = expm1(below)
        y[k] = value if value > nothing else alpha * less
        slope[k] = one if value > nothing else alpha * less + alpha


@Worker
def _sigmoid(t, workers, given):
    y, slope, x, _, n = unpack(given, "xxxxn")
    mine = slice(t * n // workers, (t + 1) * n // workers)
    y, slope, x = y[mine], slope[mine], x[mine]
    nothing, one = x.dtype.type(0), x.dtype.type(1)
    for k in range(len(x)):
        value = x[k]
        e = exp(-value if value > nothing else value)
        share = one / (one + e)
        y[k] = share if value > nothing else e * share
        slope[k] = e * share * share


@Worker
def _tanh(t, workers, given):
    y, slope, x, _, n = unpack(given, "xxxxn")
    mine = slice(t * n // workers, (t + 1) * n // workers)
    y, slope, x = y[mine], slope[mine], x[mine]
    nothing, one, two = x.dtype.type(0), x.dtype.type(1), x.dtype.type(2)
    for k in range(len(x)):
        value = x[k]
        less = expm1(-(value + value) if value > nothing else value + value)  # exp(−2|x|) − 1
        size = -less / (two + less)
        y[k] = size if value > nothing else -size
        slope[k] = one - size * size


@Worker
def _times(t, workers, given):
    dx, dy, slope, n = unpack(given, "xxxn")
    mine = slice(t * n // workers, (t + 1) * n // workers)
    dx, dy, slope = dx[mine], dy[mine], slope[mine]
    for k in range(len(dx)):
        dx[k] = dy[k] * slope[k]
