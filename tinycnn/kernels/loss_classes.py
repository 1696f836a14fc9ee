"""Losses that look at the right class of each row: cross-entropy from probabilities, and focal loss, compiled.

Of K classes only one counts, so most of the arithmetic is on one number a row; what goes over all of them is the sum
of the exponentials, and in backward the probabilities.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.exponential import exp
from tinycnn.kernels.loss import class_weights_of, labels_of
from tinycnn.kernels.loss_numbers import SURPRISES, Pair, between, mean_cost, slopes
from tinycnn.kernels.softmax import HARD, block_at, blocks, normalisers, sizes
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array, floating, upstream_number
from tinycnn.ops.loss import targets


class Chosen(NamedTuple):
    """The probabilities of the right classes, as a loss between numbers keeps them, and which they are."""

    pair: Pair
    labels: Array
    shape: tuple[int, ...]


def categorical_crossentropy_forward(p: Array, t: Any) -> tuple[Any, tuple]:
    """Cross-entropy from probabilities: `ops.categorical_crossentropy_forward`, compiled.

    >>> round(categorical_crossentropy_forward(np.array([[0.25, 0.75]]), np.array([1]))[0], 6)    # −log 0.75
    np.float64(0.287682)
    """
    p, t = floating(p, "p"), np.asarray(t)
    if p.ndim < 2 or not covered(p) or not between(p, 1 + 1e-3):
        return ops.categorical_crossentropy_forward(p, t)
    M = p.size // p.shape[1]
    if t.shape == p.shape:
        t = targets(t, p.shape)
        if t.dtype.kind == "c":
            return ops.categorical_crossentropy_forward(p, t)
        return mean_cost(p, t.astype(p.dtype), M, SURPRISES)
    labels = labels_of(p, t, None)
    if labels is None:
        return ops.categorical_crossentropy_forward(p, t)  # which says what is wrong
    right = _right(plain(p), labels)
    loss, pair = mean_cost(right, np.ones_like(right), M, SURPRISES)
    return loss, Chosen(pair, labels, p.shape)


def categorical_crossentropy_backward(dy: Any, cache: tuple) -> Array:
    """−t/p at the right class: `ops.categorical_crossentropy_backward`, compiled."""
    if isinstance(cache, Pair):
        return slopes(dy, cache)
    if not isinstance(cache, Chosen):
        return ops.categorical_crossentropy_backward(dy, cache)
    slope = slopes(dy, cache.pair)
    dp = empty(cache.shape, slope.dtype)
    dp[...] = 0
    np.put_along_axis(_classes(dp), _places(dp, cache.labels), slope.reshape(len(dp), 1, -1), axis=1)
    return dp


class Rows(NamedTuple):
    """What the backward of focal loss needs of each row; `weights` are those of the right classes."""

    z: Array
    labels: Array
    weights: Array
    highest: Array
    log_sum: Array
    gamma: float


def focal_forward(z: Array, t: Any, gamma: float = 2.0, class_weights: Any = None) -> tuple[Any, tuple]:
    """Focal loss from logits and integer labels: `ops.focal_forward`, compiled; soft labels are left to it.

    >>> round(focal_forward(np.log(np.array([[0.25, 0.75]])), np.array([1]))[0], 6)    # −0.25² · log 0.75
    np.float64(0.01798)
    """
    z = floating(z, "z")
    labels, every = labels_of(z, t, None), class_weights_of(z, class_weights)
    if labels is None or every is None or not (gamma == 0 or gamma >= 1) or not every[labels].any():
        return ops.focal_forward(z, t, gamma, class_weights)
    z, (N, K, P) = plain(z), sizes(z)
    rows = Rows(z, labels, every[labels], empty(N * P, z.dtype), empty(N * P, z.dtype), gamma)
    with threads_for(HARD * z.size) as threads:
        _normalise(threads, z.dtype, rows.highest, rows.log_sum, z, N, K, P)
    logp = _log_p(rows)
    return -(rows.weights * (-np.expm1(logp)) ** gamma * logp).sum() / len(labels), rows


def focal_backward(dy: Any, cache: tuple) -> Array:
    """The derivative by each p, through the softmax's Jacobian: `ops.focal_backward`, compiled."""
    if not isinstance(cache, Rows):
        return ops.focal_backward(dy, cache)
    dy, z, gamma, logp = upstream_number(dy), cache.z, cache.gamma, _log_p(cache)
    weak = isinstance(dy, float | int) or getattr(dy, "dtype", None) == z.dtype  # leaves the type of dz alone
    p, rest = np.exp(logp), -np.expm1(logp)  # rest = 1 − p, exact where p is almost 1
    e = cache.weights * (gamma * p * rest ** (max(gamma, 1) - 1) * logp - rest**gamma)
    e = (e * ((float(dy) if weak else 1.0) / len(logp))).astype(z.dtype)
    dz = empty(z.shape, z.dtype)
    with threads_for(HARD * z.size) as threads:
        _push_down(threads, z.dtype, dz, z, cache.highest, cache.log_sum, e, *sizes(z))
    lifted = _right(dz, cache.labels) + e
    np.put_along_axis(_classes(dz), _places(dz, cache.labels), lifted.reshape(len(dz), 1, -1), axis=1)
    return dz if weak else dy * dz


def _classes(x: Array) -> Array:
    """As (N, K, P)."""
    return x.reshape(sizes(x))


def _places(x: Array, labels: Array) -> Array:
    return labels.reshape(len(x), 1, -1)


def _right(x: Array, labels: Array) -> Array:
    """Of each row the number of the right class."""
    return np.take_along_axis(_classes(x), _places(x, labels), axis=1).ravel()


def _log_p(rows: Rows) -> Array:
    return (_right(rows.z, rows.labels) - rows.highest) - rows.log_sum


@Worker
def _normalise(t, workers, given):
    highest, log_sum, z, N, K, P = unpack(given, "xxxnnn")
    for b in range(t * blocks(N, P) // workers, (t + 1) * blocks(N, P) // workers):
        at, first, size = block_at(b, N, K, P)
        normalisers(highest[first : first + size], log_sum[first : first + size], z, at, size, K, P)


@kernel
def _less_row(dz, z, m, s, e):
    for k in range(len(dz)):
        dz[k] = -e * exp((z[k] - m) - s)


@kernel
def _less_rows(dz, z, m, s, e):
    for r in range(len(dz)):
        dz[r] = -e[r] * exp((z[r] - m[r]) - s[r])


@Worker
def _push_down(t, workers, given):
    dz, z, highest, log_sum, e, N, K, P = unpack(given, "xxxxxnnn")
    for b in range(t * blocks(N, P) // workers, (t + 1) * blocks(N, P) // workers):
        at, first, size = block_at(b, N, K, P)
        m, s, of = highest[first : first + size], log_sum[first : first + size], e[first : first + size]
        for r in range(size if P == 1 else K):
            if P == 1:
                row = slice(at + r * K, at + (r + 1) * K)
                _less_row(dz[row], z[row], m[r], s[r], of[r])
            else:
                row = slice(at + r * P, at + r * P + size)
                _less_rows(dz[row], z[row], m, s, of)
