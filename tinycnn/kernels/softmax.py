"""Softmax and its logarithm, compiled: what all logits of a row have in common is found once, block by block.

A row is an example's K classes, or a pixel's. With m the largest logit and s = log Σ exp(z − m), log p is
(z − m) − s; m and s stand beside each other in cache until a block of rows is done.
"""

from __future__ import annotations

import math

from tinycnn import ops
from tinycnn.kept import empty, empty_like
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.exponential import exp, log
from tinycnn.kernels.rows import plus, row_max, row_sum
from tinycnn.kernels.threads import covered, plain, space, threads_for
from tinycnn.ops.checks import Array, floating, upstream

BLOCK = 512  # so many rows at once
HARD = 8  # as much work as so many multiplications: an exponential


def softmax_forward(z: Array) -> tuple[Array, tuple]:
    """Probabilities from logits: `ops.softmax_forward`, compiled.

    >>> import numpy as np
    >>> softmax_forward(np.log(np.array([[1.0, 3.0]])))[0]
    array([[0.25, 0.75]])
    """
    z = floating(z, "z")
    return _forward(z, False) if z.ndim >= 2 and covered(z) else ops.softmax_forward(z)


def softmax_backward(dy: Array, cache: tuple) -> Array:
    """Multiply by the Jacobian diag(p) − p·pᵀ: `ops.softmax_backward`, compiled."""
    dy = upstream(dy, cache[0].shape)
    return _backward(dy, cache[0], False) if covered(dy, cache[0]) else ops.softmax_backward(dy, cache)


def log_softmax_forward(z: Array) -> tuple[Array, tuple]:
    """The logarithm of softmax: `ops.log_softmax_forward`, compiled.

    >>> import numpy as np
    >>> log_softmax_forward(np.array([[0.0, 1e4]]))[0]
    array([[-10000.,      0.]])
    """
    z = floating(z, "z")
    return _forward(z, True) if z.ndim >= 2 and covered(z) else ops.log_softmax_forward(z)


def log_softmax_backward(dy: Array, cache: tuple) -> Array:
    """The identity less p, once for every row: `ops.log_softmax_backward`, compiled."""
    dy = upstream(dy, cache[0].shape)
    return _backward(dy, cache[0], True) if covered(dy, cache[0]) else ops.log_softmax_backward(dy, cache)


def sizes(z: Array) -> tuple[int, int, int]:
    """N, K and P: examples, classes and pixels."""
    return (*z.shape[:2], math.prod(z.shape[2:]))


def _forward(z: Array, is_log: bool) -> tuple[Array, tuple]:
    z = plain(z)
    y, copy = empty_like(z), empty_like(z)  # the caller may overwrite what is returned
    with threads_for(2 * HARD * z.size) as threads:
        _softmax(threads, z.dtype, y, copy, z, space(z.dtype, threads * 2 * BLOCK), *sizes(z), int(is_log))
    return y, (copy,)


def _backward(dy: Array, y: Array, is_log: bool) -> Array:
    dz, dy = empty(dy.shape, dy.dtype), plain(dy)
    with threads_for(HARD * dy.size) as threads:
        _jacobian(threads, dy.dtype, dz, dy, plain(y), space(dy.dtype, threads * BLOCK), *sizes(dy), int(is_log))
    return dz


@kernel
def blocks(N, P):
    """How many blocks of rows there are: of examples, or of the pixels of one."""
    return (N + BLOCK - 1) // BLOCK if P == 1 else N * ((P + BLOCK - 1) // BLOCK)


@kernel
def block_at(b, N, K, P):
    """Where block b's first logit lies, which row that is, and how many rows the block has."""
    if P == 1:
        return b * BLOCK * K, b * BLOCK, min(BLOCK, N - b * BLOCK)
    of_image = (P + BLOCK - 1) // BLOCK
    n, begin = b // of_image, b % of_image * BLOCK
    return n * K * P + begin, n * P + begin, min(BLOCK, P - begin)


@kernel
def normalisers(m, s, z, at, size, K, P):
    """For each row of a block its largest logit and log Σ exp(z − m)."""
    if P == 1:
        for r in range(size):
            m[r] = row_max(z, at + r * K, K)
            s[r] = _sum_of_exps(z[at + r * K : at + (r + 1) * K], m[r])
    else:
        m, s = m[:size], s[:size]
        m[:] = z[at : at + size]
        s[:] = 0
        for k in range(1, K):
            _raise(m, z[at + k * P : at + k * P + size])
        for k in range(K):
            _add_exps(s, z[at + k * P : at + k * P + size], m)
    _logarithms(s[:size])


@kernel
def _sum_of_exps(z, m):
    total = z.dtype.type(0)
    for k in range(len(z)):
        total = plus(total, exp(z[k] - m))
    return total


@kernel
def _raise(m, z):
    for r in range(len(m)):
        highest, value = m[r], z[r]
        m[r] = value if value > highest else highest  # where a NaN is overlooked, the sum of exps will be NaN


@kernel
def _add_exps(s, z, m):
    for r in range(len(s)):
        s[r] += exp(z[r] - m[r])


@kernel
def _logarithms(s):
    for r in range(len(s)):
        s[r] = log(s[r])


@kernel
def _write_row(y, copy, z, m, s, is_log):
    for k in range(len(z)):
        value = (z[k] - m) - s
        value = value if is_log else exp(value)
        y[k], copy[k] = value, value


@kernel
def _write_rows(y, copy, z, m, s, is_log):
    for r in range(len(z)):
        value = (z[r] - m[r]) - s[r]
        value = value if is_log else exp(value)
        y[r], copy[r] = value, value


@Worker
def _softmax(t, workers, given):
    y, copy, z, scratch, N, K, P, is_log = unpack(given, "xxxxnnnn")
    m, s = scratch[2 * t * BLOCK : (2 * t + 1) * BLOCK], scratch[(2 * t + 1) * BLOCK : (2 * t + 2) * BLOCK]
    for b in range(t * blocks(N, P) // workers, (t + 1) * blocks(N, P) // workers):
        at, _, size = block_at(b, N, K, P)
        normalisers(m, s, z, at, size, K, P)
        for r in range(size if P == 1 else K):
            if P == 1:
                row = slice(at + r * K, at + (r + 1) * K)
                _write_row(y[row], copy[row], z[row], m[r], s[r], is_log)
            else:
                row = slice(at + r * P, at + r * P + size)
                _write_rows(y[row], copy[row], z[row], m[:size], s[:size], is_log)


@kernel
def _inner(a, b):
    total = a.dtype.type(0)
    for k in range(len(a)):
        total = plus(total, a[k] * b[k])
    return total


@kernel
def _take_out_row(dz, dy, y, total, is_log):
    for k in range(len(dz)):
        dz[k] = dy[k] - exp(y[k]) * total if is_log else y[k] * (dy[k] - total)


@kernel
def _add(totals, dy, y, is_log):
    for r in range(len(totals)):
        totals[r] += dy[r] if is_log else dy[r] * y[r]


@kernel
def _take_out_rows(dz, dy, y, totals, is_log):
    for r in range(len(dz)):
        dz[r] = dy[r] - exp(y[r]) * totals[r] if is_log else y[r] * (dy[r] - totals[r])


@Worker
def _jacobian(t, workers, given):
    dz, dy, y, scratch, N, K, P, is_log = unpack(given, "xxxxnnnn")
    for b in range(t * blocks(N, P) // workers, (t + 1) * blocks(N, P) // workers):
        at, _, size = block_at(b, N, K, P)
        if P == 1:
            for r in range(size):
                row = slice(at + r * K, at + (r + 1) * K)
                total = row_sum(dy, at + r * K, K) if is_log else _inner(dy[row], y[row])
                _take_out_row(dz[row], dy[row], y[row], total, is_log)
        else:
            totals = scratch[t * BLOCK : t * BLOCK + size]
            totals[:] = 0
            for k in range(K):
                row = slice(at + k * P, at + k * P + size)
                _add(totals, dy[row], y[row], is_log)
            for k in range(K):
                row = slice(at + k * P, at + k * P + size)
                _take_out_rows(dz[row], dy[row], y[row], totals, is_log)
