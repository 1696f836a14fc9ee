"""Cross-entropy from logits, compiled: forward reads the logits once, and so does backward.

Forward keeps no probabilities, only the two numbers a row (see `softmax`) from which backward makes them again: an
exponential costs less than a trip to memory.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.exponential import exp
from tinycnn.kernels.rows import clear_row, row_sum
from tinycnn.kernels.softmax import BLOCK, HARD, block_at, blocks, normalisers, sizes
from tinycnn.kernels.threads import covered, plain, space, threads_for
from tinycnn.ops.checks import Array, floating, upstream_number

IGNORED = -1  # in place of a label: the row does not count


class Rows(NamedTuple):
    """What backward needs of each row, and D, the sum of the right classes' weights."""

    z: Array
    labels: Array
    weights: Array
    highest: Array
    log_sum: Array
    smoothing: float
    D: Any


def cross_entropy_forward(
    z: Array, t: Any, class_weights: Any = None, label_smoothing: float = 0.0, ignore_index: int | None = None
) -> tuple[Any, tuple]:
    """Cross-entropy from logits and integer labels: `ops.cross_entropy_forward`, compiled; soft labels are left to it.

    >>> round(cross_entropy_forward(np.log(np.array([[0.25, 0.75]])), np.array([1]))[0], 6)    # −log 0.75
    np.float64(0.287682)
    """
    z = floating(z, "z")
    labels, weights = labels_of(z, t, ignore_index), class_weights_of(z, class_weights)
    if labels is None or weights is None or not 0.0 <= label_smoothing < 1.0:
        return ops.cross_entropy_forward(z, t, class_weights, label_smoothing, ignore_index)
    z, (N, K, P) = plain(z), sizes(z)
    highest, log_sum = (empty(N * P, z.dtype) for _ in range(2))
    losses = empty((_blocks(N, P), 2), z.dtype)
    options = np.array([1 - label_smoothing, label_smoothing / K], z.dtype)
    with threads_for(HARD * z.size) as threads:
        room = space(z.dtype, threads * 2 * BLOCK)
        _losses(threads, z.dtype, losses, highest, log_sum, z, labels, weights, options, room, N, K, P)
    loss, D = losses[0] if len(losses) == 1 else losses.sum(axis=0)
    if class_weights is None and ignore_index is None:
        D = z.dtype.type(N * P)
    if D == 0:
        return ops.cross_entropy_forward(z, t, class_weights, label_smoothing, ignore_index)  # which says why
    return loss / D, Rows(z, labels, weights, highest, log_sum, label_smoothing, D)


def cross_entropy_backward(dy: Any, cache: tuple) -> Array:
    """The famous gradient p − t, over the number of rows: `ops.cross_entropy_backward`, compiled."""
    if not isinstance(cache, Rows):
        return ops.cross_entropy_backward(dy, cache)
    dy, z, (N, K, P) = upstream_number(dy), cache.z, sizes(cache.z)
    weak = isinstance(dy, float | int) or getattr(dy, "dtype", None) == z.dtype  # leaves the type of dz alone
    share = (float(dy) if weak else 1.0) / cache.D
    dz = empty(z.shape, z.dtype)
    numbers = np.array([share * (1 - cache.smoothing), share * cache.smoothing / K, cache.weights.sum()], z.dtype)
    with threads_for(HARD * z.size) as threads:
        room = space(z.dtype, threads * 2 * BLOCK)
        _gradients(threads, z.dtype, dz, z, cache.highest, cache.log_sum, cache.labels, cache.weights, numbers, room,
                   N, K, P)  # fmt: skip
    return dz if weak else dy * dz


def labels_of(z: Array, t: Any, ignore_index: int | None) -> Array | None:
    """The labels as the kernels take them, a copy, or None if these are no labels of rows of z."""
    t = np.asarray(t)
    if z.ndim < 2 or not covered(z) or t.dtype.kind not in "iu" or t.shape == z.shape:
        return None
    if t.shape == (len(z), 1) and z.ndim == 2 and z.shape[1] > 1:
        t = t[:, 0]
    if t.shape != (len(z), *z.shape[2:]):
        return None
    labels = np.array(t, np.int64, order="C").ravel()
    known = labels if ignore_index is None else labels[labels != ignore_index]
    if known.size and np.maximum.reduce(known.view(np.uint64)) >= z.shape[1]:  # as which a label below 0 is huge
        return None
    if ignore_index is not None:
        labels[labels == ignore_index] = IGNORED
    return labels


def class_weights_of(z: Array, class_weights: Any) -> Array | None:
    """A weight for each class, or None if they are not that."""
    if z.ndim < 2:
        return None
    if class_weights is None:
        return _ones(z.shape[1], z.dtype)
    weights = np.asarray(class_weights, np.float64)
    fits = weights.shape == z.shape[1:2] and (np.isfinite(weights) & (weights >= 0)).all()
    return weights.astype(z.dtype) if fits else None


@lru_cache(64)
def _ones(K: int, dtype: Any) -> Array:
    """The same array for all that ask: nobody writes to it."""
    return np.ones(K, dtype)


def _blocks(N: int, P: int) -> int:
    return blocks.py_func(N, P)


@kernel
def _add_smooth(smooth, z, m, s, weight):
    for r in range(len(smooth)):
        smooth[r] += weight * ((z[r] - m[r]) - s[r])


@Worker
def _losses(t, workers, given):
    losses, highest, log_sum, z, labels, weights, options, room, N, K, P = unpack(given, "xxxxixxxnnn")
    mine = room[2 * t * BLOCK : (2 * t + 2) * BLOCK]
    right, every = options[0], options[1]
    for b in range(t * blocks(N, P) // workers, (t + 1) * blocks(N, P) // workers):
        at, row, size = block_at(b, N, K, P)
        m, s = highest[row : row + size], log_sum[row : row + size]
        normalisers(m, s, z, at, size, K, P)
        smooth = mine[:size]
        clear_row(smooth, 0, size)
        for k in range(K if every > 0 else 0):
            if P == 1:
                for r in range(size):
                    smooth[r] += every * weights[k] * ((z[at + r * K + k] - m[r]) - s[r])
            else:
                _add_smooth(smooth, z[at + k * P : at + k * P + size], m, s, every * weights[k])
        for r in range(size):
            label, begin = labels[row + r], at + r * (K if P == 1 else 1)
            weight = z.dtype.type(0)
            loss = weight * s[r]  # a NaN shows even where the row does not count
            if label >= 0:
                weight = weights[label]
                loss = smooth[r] + right * weight * ((z[begin + label * P] - m[r]) - s[r])
            mine[r], mine[BLOCK + r] = loss, weight
        losses[2 * b], losses[2 * b + 1] = -row_sum(mine, 0, size), row_sum(mine, BLOCK, size)


@kernel
def _row(dz, z, m, s, level, smooth, weights):
    for k in range(len(z)):
        dz[k] = level * exp((z[k] - m) - s) - smooth * weights[k]


@kernel
def _rows(dz, z, m, s, levels, smooths, weight):
    for r in range(len(z)):
        dz[r] = levels[r] * exp((z[r] - m[r]) - s[r]) - smooths[r] * weight


@Worker
def _gradients(t, workers, given):
    dz, z, highest, log_sum, labels, weights, numbers, room, N, K, P = unpack(given, "xxxxixxxnnn")
    levels, smooths = room[2 * t * BLOCK : (2 * t + 1) * BLOCK], room[(2 * t + 1) * BLOCK : (2 * t + 2) * BLOCK]
    right, every, total = numbers[0], numbers[1], numbers[2]
    for b in range(t * blocks(N, P) // workers, (t + 1) * blocks(N, P) // workers):
        at, row, size = block_at(b, N, K, P)
        m, s = highest[row : row + size], log_sum[row : row + size]
        for r in range(size):  # p counts as much as the row's targets together
            label = labels[row + r]
            levels[r] = right * weights[label] + every * total if label >= 0 else every * 0
            smooths[r] = every if label >= 0 else every * 0
        for r in range(size if P == 1 else K):
            if P == 1:
                of = slice(at + r * K, at + (r + 1) * K)
                _row(dz[of], z[of], m[r], s[r], levels[r], smooths[r], weights[:K])
            else:
                of = slice(at + r * P, at + r * P + size)
                _rows(dz[of], z[of], m, s, levels[:size], smooths[:size], weights[r])
        for r in range(size):
            label = labels[row + r]
            if label >= 0:
                dz[at + r * (K if P == 1 else 1) + label * P] -= right * weights[label]
