"""Layer norm and group norm, compiled: both take the mean and the deviation of numbers that lie in one stretch.

For layer norm that is an example, for group norm some of its channels. They differ in what gamma and beta belong to:
one number each, or a channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty, empty_like
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.norm import moments
from tinycnn.kernels.rows import plus
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array, floating, number, upstream, whole


@dataclass(frozen=True)
class Stretches:
    """What backward needs: x itself, and three numbers for each stretch of it, from which x̂ is made anew."""

    x: Array
    centre: Array  # (rows, 2): the mean, and what rounding left in it
    rstd: Array
    gamma: Array
    P: int  # so many numbers in a row share a gamma

    def xhat(self) -> Array:
        """x̂, a stretch a row."""
        x, (mean, left) = self.x.reshape(len(self.rstd), -1), self.centre.T[..., None]
        return ((x - mean) - left) * self.rstd[:, None]


def layer_norm_forward(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, Any]:
    """Normalise each example over all its numbers: `ops.layer_norm_forward`, compiled.

    >>> layer_norm_forward(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), eps=1e-12)[0]
    array([[-1.,  1.]])
    """
    x, gamma, beta = floating(x, "x"), floating(gamma, "gamma"), floating(beta, "beta")
    if x.ndim < 2 or not gamma.shape == beta.shape == x.shape[1:] or not covered(x, gamma, beta):
        return ops.layer_norm_forward(x, gamma, beta, eps)
    return _forward(x, len(x), gamma, beta, 1, eps)


def layer_norm_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array]:
    """Take out of each example's dx̂ its mean and its part along x̂: `ops.layer_norm_backward`, compiled."""
    kept: Any = cache
    if not isinstance(kept, Stretches):
        return ops.layer_norm_backward(dy, cache)
    x = kept.x
    dy = upstream(dy, x.shape)
    if not covered(dy, x):
        wide = (-1, *(1,) * (x.ndim - 1))
        return ops.layer_norm_backward(dy, (kept.xhat().reshape(x.shape), kept.rstd.reshape(wide), kept.gamma))
    dy, (N, D) = plain(dy), (len(dy), kept.gamma.size)
    dx, _ = _backward(dy, kept)
    dgamma, dbeta = empty_like(kept.gamma), empty_like(kept.gamma)
    with threads_for(2 * dy.size) as threads:
        _down(threads, dy.dtype, dgamma, dbeta, dy, x, kept.centre, kept.rstd, N, D)
    return dx, dgamma, dbeta


def group_norm_forward(x: Array, groups: int, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, Any]:
    """Normalise each example over groups of its channels: `ops.group_norm_forward`, compiled.

    >>> group_norm_forward(np.array([[1.0, 3.0, 10.0, 30.0]]), 2, np.ones(4), np.zeros(4), eps=1e-12)[0]
    array([[-1.,  1., -1.,  1.]])
    """
    x, gamma, beta = floating(x, "x"), floating(gamma, "gamma"), floating(beta, "beta")
    fits = x.ndim >= 2 and gamma.shape == beta.shape == x.shape[1:2] and covered(x, gamma, beta)
    if not fits or x.shape[1] % whole(groups, "groups"):
        return ops.group_norm_forward(x, groups, gamma, beta, eps)
    N, C = x.shape[:2]
    return _forward(x, N * groups, gamma, beta, x.size // (N * C), eps)


def group_norm_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array]:
    """Take out of each group's dx̂ its mean and its part along x̂: `ops.group_norm_backward`, compiled."""
    kept: Any = cache
    if not isinstance(kept, Stretches):
        return ops.group_norm_backward(dy, cache)
    x, (N, C) = kept.x, kept.x.shape[:2]
    dy = upstream(dy, x.shape)
    if not covered(dy, x):
        xhat, wide = kept.xhat().reshape(N, len(kept.rstd) // N, -1), kept.gamma.reshape(-1, *(1,) * (x.ndim - 2))
        return ops.group_norm_backward(dy, (xhat, kept.rstd.reshape(N, -1, 1), wide, x.shape))
    dx, sums = _backward(plain(dy), kept)
    if kept.P == 1:
        sums = _sums_of_vectors(dy, kept)
    dgamma, dbeta = sums.reshape(2, N, C).sum(axis=1)
    return dx, dgamma, dbeta


def _sums_of_vectors(dy: Array, kept: Stretches) -> Array:
    """dy·x̂ and dy, of which the sums over the batch are the gradients of gamma and beta."""
    return np.stack([dy * kept.xhat().reshape(dy.shape), dy])


# Below, the numbers are `rows` stretches of D, and gamma's index is the place in an example divided by P.


def _forward(x: Array, rows: int, gamma: Array, beta: Array, P: int, eps: float) -> tuple[Array, Stretches]:
    eps, x, gamma = number(eps, "eps", above=0), plain(x), plain(gamma)
    y, centre, rstd = empty_like(x), empty((rows, 2), x.dtype), empty(rows, x.dtype)
    with threads_for(8 * x.size) as threads:
        _normalise(threads, x.dtype, y, centre, rstd, x, gamma, plain(beta), np.full(1, eps, x.dtype),
                   rows, x.size // rows, gamma.size, P)  # fmt: skip
    return y, Stretches(x, centre, rstd, gamma, P)


def _backward(dy: Array, kept: Stretches) -> tuple[Array, Array]:
    """dx, and for each P numbers of an example Σdy·x̂ and Σdy."""
    dx, rows, P = empty_like(dy), len(kept.rstd), kept.P
    sums = empty((2, dy.size // P if P > 1 else 1), dy.dtype)
    with threads_for(8 * dy.size) as threads:
        _gradients(threads, dy.dtype, dx, sums, dy, kept.x, kept.centre, kept.rstd, kept.gamma, rows,
                   dy.size // rows, kept.gamma.size, P, sums.shape[1])  # fmt: skip
    return dx, sums


@kernel
def _scale(y, x, mean, left, scale, beta):
    for k in range(len(y)):
        y[k] = scale * ((x[k] - mean) - left) + beta


@kernel
def _scale_each(y, x, mean, left, rstd, gamma, beta):
    for k in range(len(y)):
        y[k] = gamma[k] * (((x[k] - mean) - left) * rstd) + beta[k]


@Worker
def _normalise(t, workers, given):
    y, centre, rstd, x, gamma, beta, eps, rows, D, C, P = unpack(given, "xxxxxxxnnnn")
    for r in range(t * rows // workers, (t + 1) * rows // workers):
        mean, left, squares = moments(x, r * D, D, 0, 1)
        centre[2 * r], centre[2 * r + 1] = mean, left
        scale = 1 / np.sqrt(squares / x.dtype.type(D) + eps[0])
        rstd[r] = scale
        if P == 1:
            row, of = slice(r * D, (r + 1) * D), slice(r * D % C, r * D % C + D)
            _scale_each(y[row], x[row], mean, left, scale, gamma[of], beta[of])
        else:
            for begin in range(r * D, (r + 1) * D, P):
                c = begin // P % C
                _scale(y[begin : begin + P], x[begin : begin + P], mean, left, gamma[c] * scale, beta[c])


@kernel
def _sums(dy, x, mean, left):
    """Σdy and Σdy·(x − mean)."""
    level, along = dy.dtype.type(0), dy.dtype.type(0)
    for k in range(len(dy)):
        level, along = plus(level, dy[k]), plus(along, dy[k] * ((x[k] - mean) - left))
    return level, along


@kernel
def _sums_each(dy, x, mean, left, gamma):
    """Σγ·dy and Σγ·dy·(x − mean)."""
    level, along = dy.dtype.type(0), dy.dtype.type(0)
    for k in range(len(dy)):
        d = gamma[k] * dy[k]
        level, along = plus(level, d), plus(along, d * ((x[k] - mean) - left))
    return level, along


@kernel
def _take_out(dx, dy, x, mean, left, gamma, level, slope, rstd):
    for k in range(len(dx)):
        dx[k] = rstd * (gamma * dy[k] - level - ((x[k] - mean) - left) * slope)


@kernel
def _take_out_each(dx, dy, x, mean, left, gamma, level, slope, rstd):
    for k in range(len(dx)):
        dx[k] = rstd * (gamma[k] * dy[k] - level - ((x[k] - mean) - left) * slope)


@Worker
def _gradients(t, workers, given):
    dx, sums, dy, x, centre, rstds, gamma, rows, D, C, P, many = unpack(given, "xxxxxxxnnnnn")
    size = dy.dtype.type(D)
    for r in range(t * rows // workers, (t + 1) * rows // workers):
        row, mean, left, rstd = slice(r * D, (r + 1) * D), centre[2 * r], centre[2 * r + 1], rstds[r]
        if P == 1:
            of = slice(r * D % C, r * D % C + D)
            level, along = _sums_each(dy[row], x[row], mean, left, gamma[of])
            slope = along * rstd / size * rstd
            _take_out_each(dx[row], dy[row], x[row], mean, left, gamma[of], level / size, slope, rstd)
        else:
            level, along = dy.dtype.type(0), dy.dtype.type(0)
            for begin in range(r * D, (r + 1) * D, P):
                first, second = _sums(dy[begin : begin + P], x[begin : begin + P], mean, left)
                second *= rstd
                sums[begin // P], sums[many + begin // P] = second, first
                level += gamma[begin // P % C] * first
                along += gamma[begin // P % C] * second
            for begin in range(r * D, (r + 1) * D, P):
                part, slope = slice(begin, begin + P), along / size * rstd
                _take_out(dx[part], dy[part], x[part], mean, left, gamma[begin // P % C], level / size, slope, rstd)


@kernel
def _add(dgamma, dbeta, dy, x, mean, left, rstd):
    for k in range(len(dy)):
        dbeta[k] += dy[k]
        dgamma[k] += dy[k] * (((x[k] - mean) - left) * rstd)


@Worker
def _down(t, workers, given):
    dgamma, dbeta, dy, x, centre, rstd, N, D = unpack(given, "xxxxxxnn")
    begin, end = t * D // workers, (t + 1) * D // workers
    dgamma, dbeta = dgamma[begin:end], dbeta[begin:end]
    dgamma[:] = 0
    dbeta[:] = 0
    for n in range(N):
        row = slice(n * D + begin, n * D + end)
        _add(dgamma, dbeta, dy[row], x[row], centre[2 * n], centre[2 * n + 1], rstd[n])
