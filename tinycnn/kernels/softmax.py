"""Softmax, compiled: what all logits of a row have in common is found once, block by block.

A row is an example's K classes, or a pixel's. With m its largest logit, p is exp(z − m) over the sum of those; a block
of rows goes through all of it while it is in the cache.
"""

from __future__ import annotations

import math

from tinycnn import ops
from tinycnn.kept import empty, empty_like
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.exponential import exp, log
from tinycnn.kernels.rows import clear_row, copy_row, plus, row_max
from tinycnn.kernels.threads import covered, plain, space, threads_for
from tinycnn.ops.checks import Array, floating, upstream

BLOCK = 512  # so many rows at once, of pixels
EXAMPLES = 64  # and of examples, of which there are fewer: so that each core gets some; room there is for BLOCK
HARD = 8  # as much work as so many multiplications: an exponential


def softmax_forward(z: Array) -> tuple[Array, tuple]:
    """Probabilities from logits: `ops.softmax_forward`, compiled.

    >>> import numpy as np
    >>> softmax_forward(np.log(np.array([[1.0, 3.0]])))[0]
    array([[0.25, 0.75]])
    """
    z = floating(z, "z")
    if z.ndim < 2 or not covered(z):
        return ops.softmax_forward(z)
    z = plain(z)
    y, copy = empty_like(z), empty_like(z)  # the caller may overwrite what is returned
    with threads_for(2 * HARD * z.size) as threads:
        _softmax(threads, z.dtype, y, copy, z, space(z.dtype, threads * 2 * BLOCK), *sizes(z))
    return y, (copy,)


def softmax_backward(dy: Array, cache: tuple) -> Array:
    """Multiply by the Jacobian diag(p) − p·pᵀ: `ops.softmax_backward`, compiled."""
    (p,) = cache
    dy = upstream(dy, p.shape)
    if not covered(dy, p):
        return ops.softmax_backward(dy, cache)
    dz, dy = empty(dy.shape, dy.dtype), plain(dy)
    with threads_for(HARD * dy.size) as threads:
        _jacobian(threads, dy.dtype, dz, dy, plain(p), space(dy.dtype, threads * BLOCK), *sizes(dy))
    return dz


def sizes(z: Array) -> tuple[int, int, int]:
    """N, K and P: examples, classes and pixels."""
    return (*z.shape[:2], math.prod(z.shape[2:]))


@kernel
def blocks(N, P):
    """How many blocks of rows there are: of examples, or of the pixels of one."""
    return (N + EXAMPLES - 1) // EXAMPLES if P == 1 else N * ((P + BLOCK - 1) // BLOCK)


@kernel
def block_at(b, N, K, P):
    """Where block b's first logit lies, which row that is, and how many rows the block has."""
    if P == 1:
        return b * EXAMPLES * K, b * EXAMPLES, min(EXAMPLES, N - b * EXAMPLES)
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
        highest_of_rows(m, z, at, size, K, P)
        clear_row(s, 0, size)
        for k in range(K):
            _add_exps(s, z[at + k * P : at + k * P + size], m)
    _logarithms(s[:size])


@kernel
def highest_of_rows(m, z, at, size, K, P):
    """The largest logit of each row of a block, if the rows are pixels."""
    copy_row(m, 0, z, at, size)
    for k in range(1, K):
        _raise(m, z[at + k * P : at + k * P + size])


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
def _exps_of_row(y, z, m):
    """y = exp(z − m), and the sum."""
    total = z.dtype.type(0)
    for k in range(len(z)):
        e = exp(z[k] - m)
        y[k] = e
        total = plus(total, e)
    return total


@kernel
def _exps_of_rows(y, s, z, m):
    for r in range(len(s)):
        e = exp(z[r] - m[r])
        y[r] = e
        s[r] += e


@kernel
def _divide(y, copy, total):
    for k in range(len(y)):
        value = y[k] / total
        y[k], copy[k] = value, value


@kernel
def _divide_each(y, copy, s):
    for r in range(len(y)):
        value = y[r] / s[r]
        y[r], copy[r] = value, value


@Worker
def _softmax(t, workers, given):
    y, copy, z, scratch, N, K, P = unpack(given, "xxxxnnn")
    for b in range(t * blocks(N, P) // workers, (t + 1) * blocks(N, P) // workers):
        at, _, size = block_at(b, N, K, P)
        if P == 1:
            for begin in range(at, at + size * K, K):
                row = slice(begin, begin + K)
                total = _exps_of_row(y[row], z[row], row_max(z, begin, K))
                _divide(y[row], copy[row], total)
            continue
        m, s = scratch[2 * t * BLOCK :][:size], scratch[(2 * t + 1) * BLOCK :][:size]
        highest_of_rows(m, z, at, size, K, P)
        clear_row(s, 0, size)
        for k in range(K):
            row = slice(at + k * P, at + k * P + size)
            _exps_of_rows(y[row], s, z[row], m)
        for k in range(K):
            row = slice(at + k * P, at + k * P + size)
            _divide_each(y[row], copy[row], s)


@kernel
def _inner(a, b):
    total = a.dtype.type(0)
    for k in range(len(a)):
        total = plus(total, a[k] * b[k])
    return total


@kernel
def _take_out_row(dz, dy, p, total):
    for k in range(len(dz)):
        dz[k] = p[k] * (dy[k] - total)


@kernel
def _add_products(totals, dy, p):
    for r in range(len(totals)):
        totals[r] += dy[r] * p[r]


@kernel
def _take_out_rows(dz, dy, p, totals):
    for r in range(len(dz)):
        dz[r] = p[r] * (dy[r] - totals[r])


@Worker
def _jacobian(t, workers, given):
    dz, dy, p, scratch, N, K, P = unpack(given, "xxxxnnn")
    for b in range(t * blocks(N, P) // workers, (t + 1) * blocks(N, P) // workers):
        at, _, size = block_at(b, N, K, P)
        if P == 1:
            for begin in range(at, at + size * K, K):
                row = slice(begin, begin + K)
                _take_out_row(dz[row], dy[row], p[row], _inner(dy[row], p[row]))
            continue
        totals = scratch[t * BLOCK : t * BLOCK + size]
        clear_row(totals, 0, size)
        for k in range(K):
            row = slice(at + k * P, at + k * P + size)
            _add_products(totals, dy[row], p[row])
        for k in range(K):
            row = slice(at + k * P, at + k * P + size)
            _take_out_rows(dz[row], dy[row], p[row], totals)
