"""Layer norm and group norm, compiled: both take the mean and the deviation of numbers that lie in one stretch.

For layer norm that is an example, for group norm some of its channels. They differ in what gamma and beta belong to:
one number each, or a channel.
"""

from __future__ import annotations

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty, empty_like
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.norm import moments
from tinycnn.kernels.rows import plus
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array, floating, number, upstream, whole


def layer_norm_forward(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, tuple]:
    """Normalise each example over all its numbers: `ops.layer_norm_forward`, compiled.

    >>> layer_norm_forward(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), eps=1e-12)[0]
    array([[-1.,  1.]])
    """
    x, gamma, beta = floating(x, "x"), floating(gamma, "gamma"), floating(beta, "beta")
    if x.ndim < 2 or not gamma.shape == beta.shape == x.shape[1:] or not covered(x, gamma, beta):
        return ops.layer_norm_forward(x, gamma, beta, eps)
    y, xhat, rstd = _forward(x, len(x), gamma, beta, 1, eps)
    return y, (xhat, rstd.reshape(-1, *(1,) * (x.ndim - 1)), gamma)


def layer_norm_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array]:
    """Take out of each example's dx̂ its mean and its part along x̂: `ops.layer_norm_backward`, compiled."""
    xhat, rstd, gamma = cache
    dy = upstream(dy, xhat.shape)
    if not covered(dy, xhat, rstd, gamma):
        return ops.layer_norm_backward(dy, cache)
    dy, xhat, (N, D) = plain(dy), plain(xhat), (len(dy), gamma.size)
    dx = _backward(dy, xhat, rstd, N, plain(gamma), 1)
    dgamma, dbeta = empty_like(gamma), empty_like(gamma)
    with threads_for(2 * dy.size) as threads:
        _down(threads, dy.dtype, dgamma, dbeta, dy, xhat, N, D)
    return dx, dgamma, dbeta


def group_norm_forward(x: Array, groups: int, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, tuple]:
    """Normalise each example over groups of its channels: `ops.group_norm_forward`, compiled.

    >>> group_norm_forward(np.array([[1.0, 3.0, 10.0, 30.0]]), 2, np.ones(4), np.zeros(4), eps=1e-12)[0]
    array([[-1.,  1., -1.,  1.]])
    """
    x, gamma, beta = floating(x, "x"), floating(gamma, "gamma"), floating(beta, "beta")
    fits = x.ndim >= 2 and gamma.shape == beta.shape == x.shape[1:2] and covered(x, gamma, beta)
    if not fits or x.shape[1] % whole(groups, "groups"):
        return ops.group_norm_forward(x, groups, gamma, beta, eps)
    N, C = x.shape[:2]
    y, xhat, rstd = _forward(x, N * groups, gamma, beta, x.size // (N * C), eps)
    wide = gamma.reshape(-1, *(1,) * (x.ndim - 2))
    return y, (xhat.reshape(N, groups, -1), rstd.reshape(N, groups, 1), wide, x.shape)


def group_norm_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array]:
    """Take out of each group's dx̂ its mean and its part along x̂: `ops.group_norm_backward`, compiled."""
    xhat, rstd, gamma, shape = cache
    dy = upstream(dy, shape)
    if not covered(dy, xhat, rstd, gamma):
        return ops.group_norm_backward(dy, cache)
    dy, xhat, (N, C) = plain(dy), plain(xhat), shape[:2]
    P = dy.size // (N * C)
    dx = _backward(dy, xhat, rstd, rstd.size, plain(gamma), P)
    sums = empty((2, N, C), dy.dtype)
    with threads_for(2 * dy.size) as threads:
        _along(threads, dy.dtype, sums[0], sums[1], dy, xhat, N * C, P)
    dgamma, dbeta = sums.sum(axis=1)
    return dx, dgamma, dbeta


# Below, the numbers are `rows` stretches of D, and gamma's index is the place in an example divided by P.


def _forward(
    x: Array, rows: int, gamma: Array, beta: Array, P: int, eps: float
) -> tuple[Array, Array, Array]:  # fmt: skip
    eps, x = number(eps, "eps", above=0), plain(x)
    y, xhat, rstd = empty_like(x), empty_like(x), empty(rows, x.dtype)
    with threads_for(8 * x.size) as threads:
        _normalise(threads, x.dtype, y, xhat, rstd, x, plain(gamma), plain(beta), np.full(1, eps, x.dtype),
                   rows, x.size // rows, gamma.size, P)  # fmt: skip
    return y, xhat, rstd


def _backward(dy: Array, xhat: Array, rstd: Array, rows: int, gamma: Array, P: int) -> Array:
    dx = empty_like(dy)
    with threads_for(8 * dy.size) as threads:
        _gradients(threads, dy.dtype, dx, dy, xhat, plain(rstd), gamma, rows, dy.size // rows, gamma.size, P)
    return dx


@kernel
def _standardise(xhat, x, mean, left, rstd):
    for k in range(len(x)):
        xhat[k] = ((x[k] - mean) - left) * rstd


@kernel
def _scale(y, xhat, gamma, beta):
    for k in range(len(y)):
        y[k] = gamma * xhat[k] + beta


@kernel
def _scale_each(y, xhat, gamma, beta):
    for k in range(len(y)):
        y[k] = gamma[k] * xhat[k] + beta[k]


@Worker
def _normalise(t, workers, given):
    y, xhat, rstd, x, gamma, beta, eps, rows, D, C, P = unpack(given, "xxxxxxxnnnn")
    for r in range(t * rows // workers, (t + 1) * rows // workers):
        mean, left, squares = moments(x, r * D, D, 0, 1)
        rstd[r] = 1 / np.sqrt(squares / x.dtype.type(D) + eps[0])
        row = slice(r * D, (r + 1) * D)
        _standardise(xhat[row], x[row], mean, left, rstd[r])
        if P == 1:
            of = slice(r * D % C, r * D % C + D)
            _scale_each(y[row], xhat[row], gamma[of], beta[of])
        else:
            for begin in range(r * D, (r + 1) * D, P):
                c = begin // P % C
                _scale(y[begin : begin + P], xhat[begin : begin + P], gamma[c], beta[c])


@kernel
def _sums(dy, xhat):
    """Σdy and Σdy·x̂."""
    level, along = dy.dtype.type(0), dy.dtype.type(0)
    for k in range(len(dy)):
        level, along = plus(level, dy[k]), plus(along, dy[k] * xhat[k])
    return level, along


@kernel
def _sums_each(dy, xhat, gamma):
    """Σγ·dy and Σγ·dy·x̂."""
    level, along = dy.dtype.type(0), dy.dtype.type(0)
    for k in range(len(dy)):
        d = gamma[k] * dy[k]
        level, along = plus(level, d), plus(along, d * xhat[k])
    return level, along


@kernel
def _take_out(dx, dy, xhat, gamma, level, along, rstd):
    for k in range(len(dx)):
        dx[k] = rstd * (gamma * dy[k] - level - xhat[k] * along)


@kernel
def _take_out_each(dx, dy, xhat, gamma, level, along, rstd):
    for k in range(len(dx)):
        dx[k] = rstd * (gamma[k] * dy[k] - level - xhat[k] * along)


@Worker
def _gradients(t, workers, given):
    dx, dy, xhat, rstd, gamma, rows, D, C, P = unpack(given, "xxxxxnnnn")
    many = dy.dtype.type(D)
    for r in range(t * rows // workers, (t + 1) * rows // workers):
        row = slice(r * D, (r + 1) * D)
        if P == 1:
            of = slice(r * D % C, r * D % C + D)
            level, along = _sums_each(dy[row], xhat[row], gamma[of])
            _take_out_each(dx[row], dy[row], xhat[row], gamma[of], level / many, along / many, rstd[r])
        else:
            level, along = dy.dtype.type(0), dy.dtype.type(0)
            for begin in range(r * D, (r + 1) * D, P):
                first, second = _sums(dy[begin : begin + P], xhat[begin : begin + P])
                level += gamma[begin // P % C] * first
                along += gamma[begin // P % C] * second
            for begin in range(r * D, (r + 1) * D, P):
                part = slice(begin, begin + P)
                scale = gamma[begin // P % C]
                _take_out(dx[part], dy[part], xhat[part], scale, level / many, along / many, rstd[r])


@Worker
def _along(t, workers, given):
    dgamma, dbeta, dy, xhat, rows, P = unpack(given, "xxxxnn")
    for r in range(t * rows // workers, (t + 1) * rows // workers):
        dbeta[r], dgamma[r] = _sums(dy[r * P : (r + 1) * P], xhat[r * P : (r + 1) * P])


@kernel
def _add(dgamma, dbeta, dy, xhat):
    for k in range(len(dy)):
        dbeta[k] += dy[k]
        dgamma[k] += dy[k] * xhat[k]


@Worker
def _down(t, workers, given):
    dgamma, dbeta, dy, xhat, N, D = unpack(given, "xxxxnn")
    begin, end = t * D // workers, (t + 1) * D // workers
    dgamma, dbeta = dgamma[begin:end], dbeta[begin:end]
    dgamma[:] = 0
    dbeta[:] = 0
    for n in range(N):
        row = slice(n * D + begin, n * D + end)
        _add(dgamma, dbeta, dy[row], xhat[row])
