"""The logarithm of softmax, compiled: with m a row's largest logit and s = log Σ exp(z − m), log p is (z − m) − s.

Backward makes p anew from those two numbers a row: an exponential costs less than a trip to memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tinycnn import ops
from tinycnn.kept import empty, empty_like
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.exponential import exp
from tinycnn.kernels.rows import row_sum
from tinycnn.kernels.softmax import BLOCK, HARD, block_at, blocks, normalisers, sizes
from tinycnn.kernels.threads import covered, plain, space, threads_for
from tinycnn.ops.checks import Array, floating, upstream


class Logits(NamedTuple):
    """What the backward of log_softmax needs: of each row its largest logit m and s, which give log p = (z − m) − s."""

    z: Array
    highest: Array
    log_sum: Array

    def log_p(self) -> Array:
        """As `ops` keeps it."""
        N, K, P = sizes(self.z)
        m, s = (one.reshape(N, 1, P) for one in (self.highest, self.log_sum))
        return ((self.z.reshape(N, K, P) - m) - s).reshape(self.z.shape)


def log_softmax_forward(z: Array) -> tuple[Array, Any]:
    """The logarithm of softmax: `ops.log_softmax_forward`, compiled.

    >>> import numpy as np
    >>> log_softmax_forward(np.array([[0.0, 1e4]]))[0]
    array([[-10000.,      0.]])
    """
    z = floating(z, "z")
    if z.ndim < 2 or not covered(z):
        return ops.log_softmax_forward(z)
    z, (N, K, P) = plain(z), sizes(z)
    y, kept = empty_like(z), Logits(z, empty(N * P, z.dtype), empty(N * P, z.dtype))
    with threads_for(2 * HARD * z.size) as threads:
        _log_softmax(threads, z.dtype, y, kept.highest, kept.log_sum, z, N, K, P)
    return y, kept


def log_softmax_backward(dy: Array, cache: tuple) -> Array:
    """The identity less p, once for every row: `ops.log_softmax_backward`, compiled."""
    kept: Any = cache
    if not isinstance(kept, Logits):
        return ops.log_softmax_backward(dy, cache)
    z = kept.z
    dy = upstream(dy, z.shape)
    if not covered(dy, z):
        return ops.log_softmax_backward(dy, (kept.log_p(),))
    dz, dy = empty(dy.shape, dy.dtype), plain(dy)
    with threads_for(HARD * dy.size) as threads:
        own = space(dy.dtype, threads * BLOCK)
        _log_jacobian(threads, dy.dtype, dz, dy, z, kept.highest, kept.log_sum, own, *sizes(z))
    return dz


@kernel
def _log_row(y, z, m, s):
    for k in range(len(z)):
        y[k] = (z[k] - m) - s


@kernel
def _log_rows(y, z, m, s):
    for r in range(len(z)):
        y[r] = (z[r] - m[r]) - s[r]


@Worker
def _log_softmax(t, workers, given):
    y, highest, log_sum, z, N, K, P = unpack(given, "xxxxnnn")
    for b in range(t * blocks(N, P) // workers, (t + 1) * blocks(N, P) // workers):
        at, first, size = block_at(b, N, K, P)
        m, s = highest[first : first + size], log_sum[first : first + size]
        normalisers(m, s, z, at, size, K, P)
        for r in range(size if P == 1 else K):
            if P == 1:
                row = slice(at + r * K, at + (r + 1) * K)
                _log_row(y[row], z[row], m[r], s[r])
            else:
                row = slice(at + r * P, at + r * P + size)
                _log_rows(y[row], z[row], m, s)


@kernel
def _less_p_row(dz, dy, z, m, s, total):
    for k in range(len(dz)):
        dz[k] = dy[k] - exp((z[k] - m) - s) * total


@kernel
def _add(totals, dy):
    for r in range(len(totals)):
        totals[r] += dy[r]


@kernel
def _less_p_rows(dz, dy, z, m, s, totals):
    for r in range(len(dz)):
        dz[r] = dy[r] - exp((z[r] - m[r]) - s[r]) * totals[r]


@Worker
def _log_jacobian(t, workers, given):
    dz, dy, z, highest, log_sum, scratch, N, K, P = unpack(given, "xxxxxxnnn")
    for b in range(t * blocks(N, P) // workers, (t + 1) * blocks(N, P) // workers):
        at, first, size = block_at(b, N, K, P)
        m, s = highest[first : first + size], log_sum[first : first + size]
        if P == 1:
            for r in range(size):
                row = slice(at + r * K, at + (r + 1) * K)
                _less_p_row(dz[row], dy[row], z[row], m[r], s[r], row_sum(dy, at + r * K, K))
            continue
        totals = scratch[t * BLOCK : t * BLOCK + size]
        totals[:] = 0
        for k in range(K):
            _add(totals, dy[at + k * P : at + k * P + size])
        for k in range(K):
            row = slice(at + k * P, at + k * P + size)
            _less_p_rows(dz[row], dy[row], z[row], m, s, totals)
