"""Dice loss, compiled: three sums for each class of each example, and from them two numbers that make its gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.loss_numbers import between
from tinycnn.kernels.rows import plus
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array, upstream_number
from tinycnn.ops.loss_values import paired


class Areas(NamedTuple):
    """What backward needs: the masks, and of each class of each example the overlap and both areas."""

    t: Array
    overlap: Array
    areas: Array


def dice_forward(p: Array, t: Array, smooth: float = 1.0) -> tuple[Any, tuple]:
    """Dice loss, one less the overlap over both areas: `ops.dice_forward`, compiled.

    >>> p = np.array([[[0.0, 1.0]]])
    >>> float(dice_forward(p, p)[0]), float(dice_forward(p, 1 - p, smooth=0.0)[0])
    (0.0, 1.0)
    """
    p, t, _ = paired(p, t, "p")
    if p.ndim < 2 or not covered(p, t) or not between(p, 1 + 1e-3) or not between(t, 1):
        return ops.dice_forward(p, t, smooth)
    p, t, rows = plain(p), plain(t), p.shape[0] * p.shape[1]
    sums = empty((rows, 2), p.dtype)
    with threads_for(2 * p.size) as threads:
        _areas(threads, p.dtype, sums, p, t, rows, p.size // rows)
    overlap, areas = 2 * sums[:, 0] + smooth, sums[:, 1] + smooth
    if not areas.all():
        return ops.dice_forward(p, t, smooth)  # which says where there is nothing
    return 1 - (overlap / areas).mean(), Areas(t, overlap, areas)


def dice_backward(dy: Any, cache: tuple) -> Array:
    """The quotient rule: `ops.dice_backward`, compiled."""
    if not isinstance(cache, Areas):
        return ops.dice_backward(dy, cache)
    dy, (t, overlap, areas) = upstream_number(dy), cache
    weak = isinstance(dy, float | int) or getattr(dy, "dtype", None) == t.dtype  # leaves the type of dp alone
    dp, rows = empty(t.shape, t.dtype), len(areas)
    numbers = np.stack([2 * areas, overlap, areas * areas], axis=1)
    factor = np.full(1, (float(dy) if weak else 1.0) / rows, t.dtype)
    with threads_for(2 * t.size) as threads:
        _shares(threads, t.dtype, dp, t, numbers, factor, rows, t.size // rows)
    return dp if weak else dy * dp


@kernel
def _sums(p, t):
    """Σp·t, and Σp + Σt."""
    both, all_p, all_t = p.dtype.type(0), p.dtype.type(0), p.dtype.type(0)
    for k in range(len(p)):
        both, all_p, all_t = plus(both, p[k] * t[k]), plus(all_p, p[k]), plus(all_t, t[k])
    return both, all_p + all_t


@kernel
def _line(dp, t, slope, level):
    for k in range(len(dp)):
        dp[k] = level - slope * t[k]


@Worker
def _areas(t, workers, given):
    sums, p, target, rows, P = unpack(given, "xxxnn")
    for r in range(t * rows // workers, (t + 1) * rows // workers):
        row = slice(r * P, (r + 1) * P)
        sums[2 * r], sums[2 * r + 1] = _sums(p[row], target[row])


@Worker
def _shares(t, workers, given):
    dp, target, numbers, factor, rows, P = unpack(given, "xxxxnn")
    for r in range(t * rows // workers, (t + 1) * rows // workers):
        row, scale = slice(r * P, (r + 1) * P), factor[0] / numbers[3 * r + 2]
        _line(dp[row], target[row], numbers[3 * r] * scale, numbers[3 * r + 1] * scale)
