"""Losses between two arrays of numbers, compiled: each is a mean of something that every number costs by itself.

Forward adds up what x costs beside its target t, part by part; backward makes the slopes from x and t again, for a trip
to memory costs more than working them out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty
from tinycnn.kernels import loss_parts
from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.softmax import HARD
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array, upstream_number
from tinycnn.ops.loss_values import paired

PART = 4096  # numbers whose losses are added up together
SQUARES, SIZES, MARGINS, ANSWERS, PROBABILITIES, SURPRISES = range(6)  # what a number costs: see `loss_parts`


class Pair(NamedTuple):
    """What backward needs; `M` is how many numbers the mean is over."""

    x: Array
    t: Array
    M: int
    kind: int


def mse_forward(x: Array, t: Array) -> tuple[Any, tuple]:
    """Mean squared error, over every number: `ops.mse_forward`, compiled.

    >>> float(mse_forward(np.array([1.0, 2.0]), np.array([1.0, 4.0]))[0])
    2.0
    """
    x, t, M = paired(x, t)
    return mean_cost(x, t, M, SQUARES) if covered(x, t) else ops.mse_forward(x, t)


def mse_backward(dy: Any, cache: tuple) -> Array:
    """Twice the difference, over how many there are: `ops.mse_backward`, compiled."""
    return slopes(dy, cache) if isinstance(cache, Pair) else ops.mse_backward(dy, cache)


def mae_forward(x: Array, t: Array) -> tuple[Any, tuple]:
    """Mean absolute error, over every number: `ops.mae_forward`, compiled.

    >>> float(mae_forward(np.array([1.0, 2.0]), np.array([1.0, 4.0]))[0])
    1.0
    """
    x, t, M = paired(x, t)
    return mean_cost(x, t, M, SIZES) if covered(x, t) else ops.mae_forward(x, t)


def mae_backward(dy: Any, cache: tuple) -> Array:
    """The sign of the difference, over how many there are: `ops.mae_backward`, compiled."""
    return slopes(dy, cache) if isinstance(cache, Pair) else ops.mae_backward(dy, cache)


def hinge_forward(x: Array, t: Array) -> tuple[Any, tuple]:
    """Hinge loss, for targets of 1 and −1: `ops.hinge_forward`, compiled.

    >>> float(hinge_forward(np.array([0.5, 3.0]), np.array([1.0, 1.0]))[0])
    0.25
    """
    x, t, M = paired(x, t)
    fits = covered(x, t) and (abs(t) == 1).all()
    return mean_cost(x, t, M, MARGINS) if fits else ops.hinge_forward(x, t)


def hinge_backward(dy: Any, cache: tuple) -> Array:
    """−t within the margin, nothing beyond it: `ops.hinge_backward`, compiled."""
    return slopes(dy, cache) if isinstance(cache, Pair) else ops.hinge_backward(dy, cache)


def binary_cross_entropy_with_logits_forward(z: Array, t: Array) -> tuple[Any, tuple]:
    """Binary cross-entropy from logits, over every number: `ops` has it under this name, here it is compiled.

    >>> float(binary_cross_entropy_with_logits_forward(np.zeros(2), np.array([0.0, 1.0]))[0].round(6))    # log 2
    0.693147
    """
    z, t, M = paired(z, t, "z")
    if covered(z, t) and between(t, 1):
        return mean_cost(z, t, M, ANSWERS)
    return ops.binary_cross_entropy_with_logits_forward(z, t)


def binary_cross_entropy_with_logits_backward(dy: Any, cache: tuple) -> Array:
    """Again p − t, with p = σ(z): `ops` has it under this name, here it is compiled."""
    return slopes(dy, cache) if isinstance(cache, Pair) else ops.binary_cross_entropy_with_logits_backward(dy, cache)


def binary_cross_entropy_forward(p: Array, t: Array) -> tuple[Any, tuple]:
    """Binary cross-entropy from probabilities, over every number: `ops.binary_cross_entropy_forward`, compiled.

    >>> float(binary_cross_entropy_forward(np.array([0.5, 0.5]), np.array([0.0, 1.0]))[0].round(6))    # log 2
    0.693147
    """
    p, t, M = paired(p, t, "p")
    if covered(p, t) and between(t, 1) and between(p, 1 + 1e-3):
        return mean_cost(p, t, M, PROBABILITIES)
    return ops.binary_cross_entropy_forward(p, t)


def binary_cross_entropy_backward(dy: Any, cache: tuple) -> Array:
    """−t/p + (1 − t)/(1 − p): `ops.binary_cross_entropy_backward`, compiled."""
    return slopes(dy, cache) if isinstance(cache, Pair) else ops.binary_cross_entropy_backward(dy, cache)


def between(numbers: Array, highest: float) -> bool:
    """Whether all numbers lie from 0 to the highest; a NaN does not."""
    return bool(numbers.min() >= 0 and numbers.max() <= highest)


def mean_cost(x: Array, t: Array, M: int, kind: int) -> tuple[Any, Pair]:
    """What all numbers cost together, over M."""
    x, t = plain(x), plain(t)
    parts = empty(-(-x.size // PART), x.dtype)
    with threads_for(HARD * x.size) as threads:
        _costs(threads, x.dtype, parts, x, t, np.full(1, np.finfo(x.dtype).tiny, x.dtype), kind, x.size)
    return parts.sum() / M, Pair(x, t, M, kind)


def slopes(dy: Any, cache: Pair) -> Array:
    """The gradient of x."""
    dy, (x, t, M, kind) = upstream_number(dy), cache
    weak = isinstance(dy, float | int) or getattr(dy, "dtype", None) == x.dtype  # leaves the type alone
    dx, factor = empty(x.shape, x.dtype), (float(dy) if weak else 1.0) / M
    numbers = np.array([factor, np.finfo(x.dtype).tiny], x.dtype)
    with threads_for(HARD * x.size) as threads:
        _slopes(threads, x.dtype, dx, x, t, numbers, kind, x.size)
    return dx if weak else dy * dx


@Worker
def _costs(t, workers, given):
    parts, x, target, tiny, kind, n = unpack(given, "xxxxnn")
    many = (n + PART - 1) // PART
    for part in range(t * many // workers, (t + 1) * many // workers):
        mine = slice(part * PART, min(n, (part + 1) * PART))
        if kind == SQUARES:
            parts[part] = loss_parts.squares(x[mine], target[mine])
        elif kind == SIZES:
            parts[part] = loss_parts.sizes(x[mine], target[mine])
        elif kind == MARGINS:
            parts[part] = loss_parts.margins(x[mine], target[mine])
        elif kind == ANSWERS:
            parts[part] = loss_parts.answers(x[mine], target[mine])
        elif kind == PROBABILITIES:
            parts[part] = loss_parts.probabilities(x[mine], target[mine], tiny[0])
        else:
            parts[part] = loss_parts.surprises(x[mine], target[mine], tiny[0])


@Worker
def _slopes(t, workers, given):
    dx, x, target, numbers, kind, n = unpack(given, "xxxxnn")
    mine, factor, tiny = slice(t * n // workers, (t + 1) * n // workers), numbers[0], numbers[1]
    dx, x, target = dx[mine], x[mine], target[mine]
    if kind == SQUARES:
        loss_parts.squares_backward(dx, x, target, factor)
    elif kind == SIZES:
        loss_parts.sizes_backward(dx, x, target, factor)
    elif kind == MARGINS:
        loss_parts.margins_backward(dx, x, target, factor)
    elif kind == ANSWERS:
        loss_parts.answers_backward(dx, x, target, factor)
    elif kind == PROBABILITIES:
        loss_parts.probabilities_backward(dx, x, target, factor, tiny)
    else:
        loss_parts.surprises_backward(dx, x, target, factor, tiny)
