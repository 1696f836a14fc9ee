"""Batch norm, compiled: a channel's sums in two passes over it, its results in a third, nothing between them kept."""

from __future__ import annotations

import numpy as np

from tinycnn import ops
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.rows import row_sum
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array, floating, number, upstream
from tinycnn.ops.norm import BatchNormCache

IN_ANY_ORDER = {"contract", "reassoc"}  # the compiler chooses one order, and a vector of sums, once and for all


def batch_norm_forward(
    x: Array, gamma: Array, beta: Array, mean: Array | None = None, var: Array | None = None, eps: float = 1e-5
) -> tuple[Array, BatchNormCache]:
    """Normalise each channel over the batch and the pixels: `ops.batch_norm_forward`, compiled for training.

    >>> batch_norm_forward(np.array([[1.0], [3.0]]), np.array([2.0]), np.array([5.0]), eps=1e-12)[0]
    array([[3.],
           [7.]])
    """
    x, gamma, beta = floating(x, "x"), floating(gamma, "gamma"), floating(beta, "beta")
    fits = x.ndim >= 2 and gamma.shape == beta.shape == x.shape[1:2]
    if mean is not None or var is not None or not fits or not covered(x, gamma, beta) or x.size == x.shape[1]:
        return ops.batch_norm_forward(x, gamma, beta, mean, var, eps)
    eps, x = number(eps, "eps", above=0), plain(x)
    N, C = x.shape[:2]
    P = x.size // (N * C)
    y, xhat = np.empty_like(x), np.empty_like(x)
    means, variances, rstd = (np.empty(C, x.dtype) for _ in range(3))
    with threads_for(8 * x.size) as threads:
        _normalise(threads, x.dtype, y, xhat, means, variances, rstd, x, plain(gamma), plain(beta),
                   np.full(1, eps, x.dtype), N, C, P)  # fmt: skip
    wide = (-1, *(1,) * (x.ndim - 2))
    M = N * P
    return y, BatchNormCache(xhat, rstd.reshape(wide), gamma.reshape(wide), means, variances * (M / (M - 1)))


def batch_norm_backward(dy: Array, cache: BatchNormCache) -> tuple[Array, Array, Array]:
    """Take out of dy its mean and its part along x̂: `ops.batch_norm_backward`, compiled for training."""
    xhat, rstd, gamma, mean, _ = cache
    dy = upstream(dy, xhat.shape)
    if mean is None or not covered(dy, xhat, rstd, gamma):
        return ops.batch_norm_backward(dy, cache)
    dy, xhat = plain(dy), plain(xhat)
    N, C = dy.shape[:2]
    dx, dgamma, dbeta = np.empty_like(dy), np.empty(C, dy.dtype), np.empty(C, dy.dtype)
    with threads_for(8 * dy.size) as threads:
        _gradients(threads, dy.dtype, dx, dgamma, dbeta, dy, xhat, plain(gamma * rstd), N, C, dy.size // (N * C))
    return dx, dgamma, dbeta


@kernel(fastmath=IN_ANY_ORDER)
def _about(x, start, n, mean):
    """Σ(x − mean) and Σ(x − mean)² of one row."""
    first, second = x.dtype.type(0), x.dtype.type(0)
    for k in range(start, start + n):
        d = x[k] - mean
        first += d
        second += d * d
    return first, second


@kernel(fastmath=IN_ANY_ORDER)
def _inner(a, b, start, n):
    total = a.dtype.type(0)
    for k in range(start, start + n):
        total += a[k] * b[k]
    return total


@kernel
def _scale(y, xhat, x, mean, left, rstd, gamma, beta):
    for k in range(len(x)):
        value = ((x[k] - mean) - left) * rstd
        xhat[k] = value
        y[k] = gamma * value + beta


@kernel
def _take_out(dx, dy, xhat, level, along, scale):
    for k in range(len(dx)):
        dx[k] = scale * (dy[k] - level - xhat[k] * along)


@Worker
def _normalise(t, workers, given):
    y, xhat, means, variances, rstd, x, gamma, beta, eps, N, C, P = unpack(given, "xxxxxxxxxnnn")
    for c in range(t * C // workers, (t + 1) * C // workers):
        total = x.dtype.type(0)
        for n in range(N):
            total += row_sum(x, (n * C + c) * P, P)
        mean = total / (N * P)
        left, squares = x.dtype.type(0), x.dtype.type(0)
        for n in range(N):
            first, second = _about(x, (n * C + c) * P, P, mean)
            left += first
            squares += second
        left /= N * P  # what rounding left in the mean would, for a large mean, pass for a signal
        means[c], variances[c] = mean + left, squares / (N * P) - left * left
        rstd[c] = 1 / np.sqrt(variances[c] + eps[0])
        for n in range(N):
            row = slice((n * C + c) * P, (n * C + c + 1) * P)
            _scale(y[row], xhat[row], x[row], mean, left, rstd[c], gamma[c], beta[c])


@Worker
def _gradients(t, workers, given):
    dx, dgamma, dbeta, dy, xhat, scale, N, C, P = unpack(given, "xxxxxxnnn")
    for c in range(t * C // workers, (t + 1) * C // workers):
        level, along = dy.dtype.type(0), dy.dtype.type(0)
        for n in range(N):
            level += row_sum(dy, (n * C + c) * P, P)
            along += _inner(dy, xhat, (n * C + c) * P, P)
        dbeta[c], dgamma[c] = level, along
        level /= N * P
        along /= N * P
        for n in range(N):
            row = slice((n * C + c) * P, (n * C + c + 1) * P)
            _take_out(dx[row], dy[row], xhat[row], level, along, scale[c])
