"""Bilinear enlarging, compiled: between two rows first, then between two columns; backward, the same in transpose.

Each pixel of the input goes into an unbroken run of the output's rows and columns, so backward needs no scatter: it
adds up, row by row, what a run holds, which leaves a small image, and then that image's columns.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty
from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.resize_rows import blend_twice, mix_rows, unblend_twice
from tinycnn.kernels.threads import covered, plain, space, threads_for
from tinycnn.ops.checks import Array, floating, pair, upstream
from tinycnn.ops.resize import linear_neighbours


class Axis(NamedTuple):
    """How the numbers along one axis of the output are made of two of the input each."""

    near: Array  # (OH, 2): which two
    weights: Array  # (OH, 2)
    first: Array  # (H, 2): the run of the output that an input goes into begins here, and ends before here
    taps: Array  # (H, longest run): with these weights


class Axes(NamedTuple):
    """What backward needs."""

    shape: tuple[int, ...]
    scale: tuple[int, int]
    align_corners: bool


def upsample_bilinear2d_forward(x: Array, scale: Any, align_corners: bool = False) -> tuple[Array, tuple]:
    """Enlarge, blending for each new pixel the four nearest: `ops.upsample_bilinear2d_forward`, compiled.

    >>> upsample_bilinear2d_forward(np.array([[[[0.0, 4.0]]]]), scale=(1, 2))[0][0, 0]
    array([[0., 1., 3., 4.]])
    """
    x, (sv, sh) = floating(x, "x", "N,C,H,W"), pair(scale, "scale")
    if not covered(x):
        return ops.upsample_bilinear2d_forward(x, scale, align_corners)
    x, (N, C, H, W) = plain(x), x.shape
    axes = Axes(x.shape, (sv, sh), bool(align_corners))
    rows, columns = _axes(axes, x.dtype)
    y = empty((N, C, H * sv, W * sh), x.dtype)
    with threads_for(4 * y.size) as threads:
        _blend(threads, x.dtype, y, x, rows.near, rows.weights, columns.near, columns.weights,
               space(x.dtype, threads * (W + 2)), N * C, H, W, H * sv, W * sh, _doubles(axes))  # fmt: skip
    return y, axes


def upsample_bilinear2d_backward(dy: Array, cache: tuple) -> Array:
    """Each pixel collects from every pixel it was blended into: `ops.upsample_bilinear2d_backward`, compiled."""
    if not isinstance(cache, Axes):
        return ops.upsample_bilinear2d_backward(dy, cache)
    (N, C, H, W), (sv, sh) = cache.shape, cache.scale
    dy = upstream(dy, (N, C, H * sv, W * sh))
    rows, columns = _axes(cache, dy.real.dtype)
    if not covered(dy):
        return _matrix(rows, H * sv).T @ dy @ _matrix(columns, W * sh)
    dy, dx = plain(dy), empty((N, C, H, W), dy.dtype)
    with threads_for(4 * dy.size) as threads:
        _collect(threads, dy.dtype, dx, dy, rows.first, rows.taps, columns.first, columns.taps,
                 space(dy.dtype, threads * (W * sh + 2)), N * C, H, W, H * sv, W * sh, *_longest(rows, columns),
                 _doubles(cache))  # fmt: skip
    return dx


def _axes(axes: Axes, dtype: Any) -> tuple[Axis, Axis]:
    (H, W), (sv, sh) = axes.shape[2:], axes.scale
    return _axis(H, sv, axes.align_corners, dtype), _axis(W, sh, axes.align_corners, dtype)


@lru_cache(64)
def _axis(H: int, scale: int, align_corners: bool, dtype: Any) -> Axis:
    near, weights = linear_neighbours(H, scale, align_corners)
    matrix = np.zeros((H * scale, H), dtype)
    np.add.at(matrix, (np.arange(H * scale)[:, None], near), weights.astype(dtype))
    used = np.zeros((H, H * scale), bool)
    used[near, np.arange(H * scale)[:, None]] = True
    first = np.stack([used.argmax(axis=1), H * scale - used[:, ::-1].argmax(axis=1)], axis=1)
    taps = np.zeros((H, max(1, int((first[:, 1] - first[:, 0]).max()))), dtype)
    for h, (begin, end) in enumerate(first):
        taps[h, : end - begin] = matrix[begin:end, h]
    return Axis(near.astype(np.int64), weights.astype(dtype), first.astype(np.int64), taps)


def _matrix(axis: Axis, OH: int) -> Array:
    """All weights of an axis as a matrix, (OH, H)."""
    matrix = np.zeros((OH, len(axis.first)), axis.taps.dtype)
    for h, (begin, end) in enumerate(axis.first):
        matrix[begin:end, h] = axis.taps[h, : end - begin]
    return matrix


def _doubles(axes: Axes) -> int:
    """Whether rows become twice as long, in the way that has the same two weights for every number, ¼ and ¾."""
    return int(axes.scale[1] == 2 and not axes.align_corners)


def _longest(rows: Axis, columns: Axis) -> tuple[int, int]:
    return rows.taps.shape[1], columns.taps.shape[1]


@Worker
def _blend(t, workers, given):
    y, x, row, rv, column, rh, own, planes, H, W, OH, OW, doubles = unpack(given, "xxixixxnnnnnn")
    line = t * (W + 2) + 1
    for k in range(t * planes * OH // workers, (t + 1) * planes * OH // workers):
        plane, u = k // OH, k % OH
        above, below = row[2 * u], row[2 * u + 1]
        mix_rows(own, line, x, (plane * H + above) * W, (below - above) * W, rv, 2 * u, 2, W)
        if doubles:
            own[line - 1], own[line + W] = own[line], own[line + W - 1]
            blend_twice(y, k * OW, own, line, W)
        else:
            for v in range(OW):
                y[k * OW + v] = rh[2 * v] * own[line + column[2 * v]] + rh[2 * v + 1] * own[line + column[2 * v + 1]]


@Worker
def _collect(t, workers, given):
    dx, dy, of_row, rv, of_column, rh, own, planes, H, W, OH, OW, longest_v, longest_h, doubles = unpack(
        given, "xxixixxnnnnnnnn"
    )
    line = t * (OW + 2) + 1
    for k in range(t * planes * H // workers, (t + 1) * planes * H // workers):
        plane, r = k // H, k % H
        begin, end = of_row[2 * r], of_row[2 * r + 1]
        mix_rows(own, line, dy, (plane * OH + begin) * OW, OW, rv, r * longest_v, end - begin, OW)
        if doubles:
            own[line - 1], own[line + OW] = own[line], own[line + OW - 1]
            unblend_twice(dx, k * W, own, line, W)
        else:
            for q in range(W):
                begin, total = of_column[2 * q], dy.dtype.type(0)
                for v in range(begin, of_column[2 * q + 1]):
                    total += rh[q * longest_h + v - begin] * own[line + v]
                dx[k * W + q] = total
