"""Losses between two arrays of numbers, compiled: squared error, and binary cross-entropy from logits.

Both are a mean whose gradient is a difference, x − t or σ(z) − t: one pass adds up the loss and writes the difference.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.exponential import exp, log1p
from tinycnn.kernels.rows import plus
from tinycnn.kernels.softmax import HARD
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array, upstream_number
from tinycnn.ops.loss_values import paired

PART = 4096  # numbers whose losses are added up together


class Difference(NamedTuple):
    """The gradient of the loss, but for the factor."""

    difference: Array
    factor: float


def mse_forward(x: Array, t: Array) -> tuple[Any, tuple]:
    """Mean squared error, over every number: `ops.mse_forward`, compiled.

    >>> float(mse_forward(np.array([1.0, 2.0]), np.array([1.0, 4.0]))[0])
    2.0
    """
    x, t, M = paired(x, t)
    return _forward(_squares, x, t, M, 2 / M) if covered(x, t) else ops.mse_forward(x, t)


def mse_backward(dy: Any, cache: tuple) -> Array:
    """Twice the difference, over how many there are: `ops.mse_backward`, compiled."""
    return _backward(dy, cache) if isinstance(cache, Difference) else ops.mse_backward(dy, cache)


def binary_cross_entropy_with_logits_forward(z: Array, t: Array) -> tuple[Any, tuple]:
    """Binary cross-entropy from logits, over every number: `ops` has it under this name, here it is compiled.

    >>> float(binary_cross_entropy_with_logits_forward(np.zeros(2), np.array([0.0, 1.0]))[0].round(6))    # log 2
    0.693147
    """
    z, t, M = paired(z, t, "z")
    if covered(z, t) and t.min() >= 0 and t.max() <= 1:
        return _forward(_answers, z, t, M, 1 / M)
    return ops.binary_cross_entropy_with_logits_forward(z, t)


def binary_cross_entropy_with_logits_backward(dy: Any, cache: tuple) -> Array:
    """Again p − t, with p = σ(z): `ops` has it under this name, here it is compiled."""
    if isinstance(cache, Difference):
        return _backward(dy, cache)
    return ops.binary_cross_entropy_with_logits_backward(dy, cache)


def _forward(worker: Worker, x: Array, t: Array, M: int, factor: float) -> tuple[Any, tuple]:
    x, t, difference = plain(x), plain(t), empty(x.shape, x.dtype)
    parts = empty(-(-M // PART), x.dtype)
    with threads_for(HARD * M) as threads:
        worker(threads, x.dtype, difference, parts, x, t, M)
    return parts.sum() / M, Difference(difference, factor)


def _backward(dy: Any, cache: Difference) -> Array:
    dy, difference = upstream_number(dy), cache.difference
    weak = isinstance(dy, float | int) or getattr(dy, "dtype", None) == difference.dtype  # leaves the type alone
    if not weak:
        return dy * difference * cache.factor
    dx, factor = empty(difference.shape, difference.dtype), np.full(1, float(dy) * cache.factor, difference.dtype)
    with threads_for(difference.size) as threads:
        _times(threads, difference.dtype, dx, difference, factor, difference.size)
    return dx


@kernel
def _part_of_squares(difference, x, t):
    total = x.dtype.type(0)
    for k in range(len(x)):
        d = x[k] - t[k]
        difference[k] = d
        total = plus(total, d * d)
    return total


@kernel
def _part_of_answers(difference, z, t):
    total, nothing, one = z.dtype.type(0), z.dtype.type(0), z.dtype.type(1)
    for k in range(len(z)):
        value = z[k]
        e = exp(-value if value > nothing else value)  # exp(−|z|)
        loss = (value if value > nothing else nothing) - value * t[k] + log1p(e)
        total = plus(total, loss)
        share = one / (one + e)
        difference[k] = (share if value > nothing else e * share) - t[k]
    return total


@Worker
def _squares(t, workers, given):
    difference, parts, x, target, n = unpack(given, "xxxxn")
    many = (n + PART - 1) // PART
    for part in range(t * many // workers, (t + 1) * many // workers):
        mine = slice(part * PART, min(n, (part + 1) * PART))
        parts[part] = _part_of_squares(difference[mine], x[mine], target[mine])


@Worker
def _answers(t, workers, given):
    difference, parts, z, target, n = unpack(given, "xxxxn")
    many = (n + PART - 1) // PART
    for part in range(t * many // workers, (t + 1) * many // workers):
        mine = slice(part * PART, min(n, (part + 1) * PART))
        parts[part] = _part_of_answers(difference[mine], z[mine], target[mine])


@Worker
def _times(t, workers, given):
    dx, difference, factors, n = unpack(given, "xxxn")
    mine, factor = slice(t * n // workers, (t + 1) * n // workers), factors[0]
    dx, difference = dx[mine], difference[mine]
    for k in range(len(dx)):
        dx[k] = difference[k] * factor
