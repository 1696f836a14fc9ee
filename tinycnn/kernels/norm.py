"""Batch norm, compiled: x is read twice in all, once for a channel's sums and once to write y; so is dy in backward.

Nothing but x itself and four numbers a channel is kept: x̂ is made anew in backward, for a product costs less than a
trip to memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty, empty_like
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.rows import plus, row_sum
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array, floating, number, upstream
from tinycnn.ops.norm import BatchNormCache

STRETCH = 2048  # numbers that are read twice in a row, and fit into the cache nearest to the core


@dataclass(frozen=True)
class Channels:
    """What backward needs, and the statistics of the batch for `running_update` (None in evaluation)."""

    x: Array
    centre: Array  # (C, 2): the mean, and what rounding left in it
    scales: Array  # (C, 2): rstd and gamma
    mean: Array | None
    var: Array | None

    def as_ops(self) -> BatchNormCache:
        """The same as `ops` keeps it."""
        wide = (2, -1, *(1,) * (self.x.ndim - 2))
        (mean, left), (rstd, gamma) = (pair.T.reshape(wide) for pair in (self.centre, self.scales))
        return BatchNormCache(((self.x - mean) - left) * rstd, rstd, gamma, self.mean, self.var)


def batch_norm_forward(
    x: Array, gamma: Array, beta: Array, mean: Array | None = None, var: Array | None = None, eps: float = 1e-5
) -> tuple[Array, Any]:
    """Normalise each channel over the batch and the pixels: `ops.batch_norm_forward`, compiled.

    >>> batch_norm_forward(np.array([[1.0], [3.0]]), np.array([2.0]), np.array([5.0]), eps=1e-12)[0]
    array([[3.],
           [7.]])
    """
    x, gamma, beta = floating(x, "x"), floating(gamma, "gamma"), floating(beta, "beta")
    fits = x.ndim >= 2 and gamma.shape == beta.shape == x.shape[1:2] and covered(x, gamma, beta)
    if not fits or not _statistics_fit(x, mean, var):
        return ops.batch_norm_forward(x, gamma, beta, mean, var, eps)
    eps, x = number(eps, "eps", above=0), plain(x)
    N, C = x.shape[:2]
    P, train = x.size // (N * C), mean is None
    y, centre, scales, variances = empty_like(x), *(np.zeros((C, k), x.dtype) for k in (2, 2, 1))
    scales[:, 1] = gamma
    if not train:
        centre[:, 0], scales[:, 0] = mean, 1 / np.sqrt(var + x.dtype.type(eps))
    with threads_for(8 * x.size) as threads:
        _normalise(threads, x.dtype, y, centre, scales, variances, x, plain(beta), np.full(1, eps, x.dtype),
                   N, C, P, int(train))  # fmt: skip
    if not train:
        return y, Channels(x, centre, scales, None, None)
    M = N * P
    return y, Channels(x, centre, scales, centre.sum(axis=1), variances[:, 0] * (M / (M - 1)))


def batch_norm_backward(dy: Array, cache: BatchNormCache) -> tuple[Array, Array, Array]:
    """Take out of dy its mean and its part along x̂: `ops.batch_norm_backward`, compiled."""
    kept: Any = cache
    if not isinstance(kept, Channels):
        return ops.batch_norm_backward(dy, cache)
    x = kept.x
    dy = upstream(dy, x.shape)
    if not covered(dy, x):
        return ops.batch_norm_backward(dy, kept.as_ops())
    dy, (N, C) = plain(dy), dy.shape[:2]
    dx, dgamma, dbeta = empty_like(dy), empty(C, dy.dtype), empty(C, dy.dtype)
    with threads_for(8 * dy.size) as threads:
        _gradients(threads, dy.dtype, dx, dgamma, dbeta, dy, x, kept.centre, kept.scales, N, C, dy.size // (N * C),
                   int(kept.mean is not None))  # fmt: skip
    return dx, dgamma, dbeta


def _statistics_fit(x: Array, mean: Any, var: Any) -> bool:
    """Whether the kernel can take these statistics, or make its own."""
    if mean is None and var is None:
        return x.size > x.shape[1]
    given = all(isinstance(a, np.ndarray) and a.dtype == x.dtype and a.shape == x.shape[1:2] for a in (mean, var))
    return given and not (var < 0).any()


@kernel
def _about(x, mean):
    """Σ(x − mean) and Σ(x − mean)²."""
    first, second = x.dtype.type(0), x.dtype.type(0)
    for k in range(len(x)):
        d = x[k] - mean
        first, second = plus(first, d), plus(second, d * d)
    return first, second


@kernel
def moments(x, start, n, step, rows):
    """The mean, what rounding left in it, and Σ(x − mean)², of `rows` rows of n numbers, each `step` behind the last.

    Each stretch has its own mean, near which its sums lose nothing to rounding, and is joined to those before it; so
    all is read from memory once.
    """
    nothing = x.dtype.type(0)
    count, mean, left, squares = nothing, nothing, nothing, nothing
    for row in range(rows):
        for begin in range(0, n, STRETCH):
            size = min(STRETCH, n - begin)
            at, many = start + row * step + begin, x.dtype.type(size)
            near = row_sum(x, at, size) / many
            first, second = _about(x[at : at + size], near)
            first /= many
            second -= many * first * first
            if count == nothing:
                mean, left = near, first
            apart = (near - mean) + (first - left)
            share = apart * (many / (count + many))
            squares += second + apart * share * count
            count += many
            before = mean
            mean += left + share
            left = (left + share) - (mean - before)
    return mean, left, squares


@kernel
def _scale(y, x, mean, left, scale, beta):
    for k in range(len(x)):
        y[k] = scale * ((x[k] - mean) - left) + beta


@Worker
def _normalise(t, workers, given):
    y, centre, scales, variances, x, beta, eps, N, C, P, train = unpack(given, "xxxxxxxnnnn")
    if not train:  # nothing of a channel is needed twice: read everything in the order in which it lies
        for k in range(t * N * C // workers, (t + 1) * N * C // workers):
            row, c = slice(k * P, (k + 1) * P), k % C
            _scale(y[row], x[row], centre[2 * c], centre[2 * c + 1], scales[2 * c] * scales[2 * c + 1], beta[c])
        return
    for c in range(t * C // workers, (t + 1) * C // workers):
        mean, left, squares = moments(x, c * P, P, C * P, N)
        variances[c] = squares / x.dtype.type(N * P)
        rstd = 1 / np.sqrt(variances[c] + eps[0])
        centre[2 * c], centre[2 * c + 1], scales[2 * c] = mean, left, rstd
        for n in range(N):
            row = slice((n * C + c) * P, (n * C + c + 1) * P)
            _scale(y[row], x[row], mean, left, scales[2 * c + 1] * rstd, beta[c])


@kernel
def _sums(dy, x, mean, left):
    """Σdy and Σdy·(x − mean)."""
    level, along = x.dtype.type(0), x.dtype.type(0)
    for k in range(len(x)):
        level, along = plus(level, dy[k]), plus(along, dy[k] * ((x[k] - mean) - left))
    return level, along


@kernel
def _take_out(dx, dy, x, mean, left, level, slope, scale):
    for k in range(len(dx)):
        dx[k] = scale * ((dy[k] - level) - ((x[k] - mean) - left) * slope)


@kernel
def _times(dx, dy, scale):
    for k in range(len(dx)):
        dx[k] = scale * dy[k]


@Worker
def _gradients(t, workers, given):
    dx, dgamma, dbeta, dy, x, centre, scales, N, C, P, train = unpack(given, "xxxxxxxnnnn")
    for c in range(t * C // workers, (t + 1) * C // workers):
        mean, left, rstd, gamma = centre[2 * c], centre[2 * c + 1], scales[2 * c], scales[2 * c + 1]
        level, along = x.dtype.type(0), x.dtype.type(0)
        for n in range(N):
            row = slice((n * C + c) * P, (n * C + c + 1) * P)
            first, second = _sums(dy[row], x[row], mean, left)
            level += first
            along += second
        dbeta[c], dgamma[c] = level, along * rstd
        many = x.dtype.type(N * P)
        level, slope = level / many, along / many * rstd * rstd
        for n in range(N):
            row = slice((n * C + c) * P, (n * C + c + 1) * P)
            if train:
                _take_out(dx[row], dy[row], x[row], mean, left, level, slope, gamma * rstd)
            else:
                _times(dx[row], dy[row], gamma * rstd)
