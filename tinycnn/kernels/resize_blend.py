"""Bilinear enlarging, compiled: between two columns first, then between two rows; backward, the same in transpose.

The columns come first where the image grows, and last where it shrinks: there are fewer rows of them then. Each pixel
knows which pixels of the output it went into, so backward needs no scatter.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty
from tinycnn.kernels.columns import Columns, Rows, columns_of, lanes_of, mix_columns, room_to_mix, rows_of
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.resize_rows import blend_twice, mix_rows, mix_two_rows, unblend_twice
from tinycnn.kernels.rows import copy_row
from tinycnn.kernels.threads import covered, plain, space, threads_for
from tinycnn.ops.checks import Array, floating, pair, upstream
from tinycnn.ops.resize import linear_neighbours


class Axis(NamedTuple):
    """How the numbers along one axis of the output are made of two of the input each, and how dx is of dy."""

    weights: Array  # (OH, 2): of the two numbers that an output lies between
    first: Array  # (H + 1): the first output that lies between input r and the one behind it
    forth: Columns
    back: Columns
    back_down: Rows


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
    y, lanes = empty((N, C, H * sv, W * sh), x.dtype), lanes_of(x.dtype)
    with threads_for(4 * y.size) as threads:
        size = room_to_mix(W, W * sh, lanes) + (lanes + 1) * W * sh
        _blend(threads, x.dtype, y, x, rows.weights, rows.first, *columns.forth, space(x.dtype, threads * size), size,
               N * C, H, W, H * sv, W * sh, lanes, _doubles(axes))  # fmt: skip
    return y, axes


def upsample_bilinear2d_backward(dy: Array, cache: tuple) -> Array:
    """Each pixel collects from every pixel it was blended into: `ops.upsample_bilinear2d_backward`, compiled."""
    if not isinstance(cache, Axes):
        return ops.upsample_bilinear2d_backward(dy, cache)
    (N, C, H, W), (sv, sh) = cache.shape, cache.scale
    dy = upstream(dy, (N, C, H * sv, W * sh))
    rows, columns = _axes(cache, dy.real.dtype)
    if not covered(dy):
        return _matrix(rows, H).T @ dy @ _matrix(columns, W)
    dy, dx, lanes = plain(dy), empty((N, C, H, W), dy.dtype), lanes_of(dy.dtype)
    with threads_for(4 * dy.size) as threads:
        size = room_to_mix(W * sh, W, lanes) + lanes * (W * sh + 2)
        _collect(threads, dy.dtype, dx, dy, *rows.back_down, *columns.back, space(dy.dtype, threads * size), size,
                 N * C, H, W, H * sv, W * sh, lanes, _doubles(cache))  # fmt: skip
    return dx


def _axes(axes: Axes, dtype: Any) -> tuple[Axis, Axis]:
    (H, W), (sv, sh) = axes.shape[2:], axes.scale
    return _axis(H, sv, axes.align_corners, dtype), _axis(W, sh, axes.align_corners, dtype)


def _doubles(axes: Axes) -> int:
    """Whether rows become twice as long, in the way that has the same two weights for every number, ¼ and ¾."""
    return int(axes.scale[1] == 2 and not axes.align_corners)


@lru_cache(64)
def _axis(H: int, scale: int, align_corners: bool, dtype: Any) -> Axis:
    near, weights = linear_neighbours(H, scale, align_corners)
    weights, places = weights.astype(dtype), np.arange(H * scale).repeat(2)
    first = np.searchsorted(near[:, 0], np.arange(H + 1)).astype(np.int64)
    near, single = near.ravel(), weights.ravel()
    return Axis(weights, first, columns_of(places, near, single, H * scale, H),
                columns_of(near, places, single, H, H * scale), rows_of(near, places, single, H))  # fmt: skip


def _matrix(axis: Axis, H: int) -> Array:
    """All weights of an axis as a matrix, (OH, H)."""
    OH = len(axis.weights)
    matrix = np.zeros((OH, H), axis.weights.dtype)
    np.add.at(matrix, (np.arange(OH).repeat(2), axis.forth.places), axis.weights.ravel())
    return matrix


@kernel
def _double(to, at, x, start, W):
    """A row twice as long: its ends, and what lies between."""
    end = start + W - 1
    before, behind = max(end - 1, start), min(start + 1, end)
    nothing, quarter, most = x.dtype.type(0), x.dtype.type(0.25), x.dtype.type(0.75)
    to[at], to[at + 2 * W - 1] = x[start] + nothing * x[behind], x[end] + nothing * x[end]
    if W > 1:
        to[at + 1], to[at + 2 * W - 2] = most * x[start] + quarter * x[behind], quarter * x[before] + most * x[end]
        blend_twice(to, at + 2, x, start + 1, W - 2)


@Worker
def _blend(t, workers, given):
    y, x, rv, first, places, rh, taps, own, size, planes, H, W, OH, OW, lanes, doubles = unpack(
        given, "xxxiixnxnnnnnnnn"
    )
    room, before = t * size, (t + 1) * size - (lanes + 1) * OW
    for plane in range(t * planes // workers, (t + 1) * planes // workers):
        for top in range(0, H, lanes):
            rows, wide, start = min(lanes, H - top), before + OW, (plane * H + top) * W
            if doubles:
                for m in range(rows):
                    _double(own, wide + m * OW, x, start + m * W, W)
            else:
                mix_columns(own, wide, OW, x, start, W, rows, own, room, places, rh, taps, W, OW, lanes)
            for r in range(max(top - 1, 0), top + rows if top + rows == H else top + rows - 1):
                above = wide + (r - top) * OW
                below = above + OW if r + 1 < H else above
                for u in range(first[r], first[r + 1]):
                    mix_two_rows(y, (plane * OH + u) * OW, own, above, below, rv, 2 * u, OW)
            copy_row(own, before, own, before + rows * OW, OW)  # what lies above the next rows


@Worker
def _collect(t, workers, given):
    dx, dy, ends_v, places_v, rv, places, rh, taps, own, size, planes, H, W, OH, OW, lanes, doubles = unpack(
        given, "xxiixixnxnnnnnnnn"
    )
    room, lines = t * size, (t + 1) * size - lanes * (OW + 2) + 1
    steps = (planes * H + lanes - 1) // lanes
    for step in range(t * steps // workers, (t + 1) * steps // workers):
        begin = step * lanes
        rows = min(lanes, planes * H - begin)
        for m in range(rows):
            plane, r = (begin + m) // H, (begin + m) % H
            line, e = lines + m * (OW + 2), ends_v[r]
            mix_rows(own, line, dy, plane * OH * OW, OW, places_v, rv, e, ends_v[r + 1] - e, OW)
            if doubles:
                own[line - 1], own[line + OW] = own[line], own[line + OW - 1]
                unblend_twice(dx, (begin + m) * W, own, line, W)
        if not doubles:
            mix_columns(dx, begin * W, W, own, lines, OW + 2, rows, own, room, places, rh, taps, OW, W, lanes)
