"""Convolution, compiled: the same three functions of `tinycnn.ops.conv`, on the register tile and on all cores.

It is im2col and one matrix product still, but the matrix is never written down: a tap of all windows is the image
itself, begun a little later (`conv_plan`), and the product is done tile by tile in registers (`tile`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.conv_blocks import DW, DX, backward_block, forward_block
from tinycnn.kernels.conv_plan import Plan, plan_conv
from tinycnn.kernels.threads import PARTS, covered, plain, space, threads_for
from tinycnn.kernels.tile import tiles_for
from tinycnn.ops.checks import Array, floating, four_sides, pair, upstream
from tinycnn.ops.conv import check_conv_shapes


def conv2d_forward(
    x: Array, w: Array, b: Array | None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    flip: bool = False,
) -> tuple[Array, tuple]:  # fmt: skip
    """Slide F filters over a batch of images: `ops.conv2d_forward`, compiled for float32 and float64.

    >>> conv2d_forward(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), np.zeros(1))[0][0, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    x, w = floating(x, "x", "N,C,H,W"), floating(w, "w", "F,C/groups,KH,KW")
    b = None if b is None else floating(b, "b")
    check_conv_shapes(x.shape[1], w.shape, None if b is None else b.shape, groups)
    options = (pair(stride, "stride"), padding if isinstance(padding, str) else four_sides(padding),
               pair(dilation, "dilation"), groups, bool(flip))  # fmt: skip
    if not covered(x, w, b):
        y, cache = ops.conv2d_forward(x, w, b, *options)
        return y, (None, cache)
    x, w = plain(x), plain(w)
    plan = plan_conv(x.shape[1:], w.shape, *options, len(x), x.itemsize)
    return convolve(x, w, b, plan), ((x, w, b is not None, options), plan)


def conv2d_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array | None]:
    """All three gradients: `ops.conv2d_backward`, compiled for float32 and float64.

    Zeros stand where no window is, and 0·∞ is no 0: should a filter or the found dw not be finite, `ops` works the
    gradients out once more.
    """
    given, plan = cache
    if given is None:
        return ops.conv2d_backward(dy, plan)
    x, w, has_bias, _ = given
    s = plan.sizes
    dy = upstream(dy, (len(x), s.F, s.OH, s.OW))
    if dy.dtype != x.dtype or not np.isfinite(w).all():
        return _by_ops(dy, given)
    dx, dw, db = np.empty_like(x), np.empty_like(w), np.empty(s.F, x.dtype)
    gradients(dy, x, w, plan, DX + DW, dx, dw, db)
    if not np.isfinite(dw).all():
        return _by_ops(dy, given)
    return dx, dw, db if has_bias else None


def convolve(x: Array, w: Array, b: Array | None, plan: Plan) -> Array:
    """y, from plain arrays, by the plan."""
    s = plan.sizes
    y = np.empty((len(x), s.F, s.OH, s.OW), x.dtype)
    bias = np.zeros(s.F, x.dtype) if b is None else plain(b)
    with threads_for(y.size * w[0].size) as threads:
        own = space(x.dtype, threads * plan.space)
        _forward(threads, x.dtype, tiles_for(x.dtype), y, x, w, bias, plan.taps, own, plan.space, s, len(x))
    return y


def gradients(dy: Array, x: Array, w: Array, plan: Plan, wanted: int, dx: Array, dw: Array, db: Array) -> None:
    """Fill in the gradients that are wanted, DX or DW (with db) or their sum; what is not is left alone, as is its x.

    dw is made of partial sums over fixed parts of the batch, added up first to last: the same bits for any number of
    threads.
    """
    s, dy = plan.sizes, plain(dy)
    parts = min(PARTS, len(dy) * s.blocks)
    dw_parts, db_parts = (np.zeros((parts, *g.shape) if wanted & DW else 0, g.dtype) for g in (dw, db))
    with threads_for(dy.size * w[0].size) as threads:
        own = space(dy.dtype, threads * plan.space_backward)
        _backward(
            threads, dy.dtype, tiles_for(dy.dtype), wanted, dx, dw_parts, db_parts, dy, x, _turned(w, plan), plan.taps,
            plan.taps_dx, plan.phases, np.zeros(s.C, dy.dtype), own, plan.space_backward, s, len(dy), parts,
        )  # fmt: skip
    if wanted & DW:
        np.add.reduce(dw_parts, axis=0, out=dw)
        np.add.reduce(db_parts, axis=0, out=db)


def _by_ops(dy: Array, given: tuple) -> tuple[Array, Array, Array | None]:
    x, w, has_bias, options = given
    b = np.zeros(len(w), w.dtype) if has_bias else None
    return ops.conv2d_backward(dy, ops.conv2d_forward(x, w, b, *options)[1])


def _turned(w: Array, plan: Plan) -> Array:
    """The filters with channels and filters exchanged, as one line: (group, c, and f, i, j sorted by phase)."""
    F, CG, KH, KW = w.shape
    groups = plan.sizes.groups
    turned = w.reshape(groups, F // groups, CG, KH * KW).transpose(0, 2, 1, 3).reshape(groups, CG, -1)
    return (turned if plan.order is None else turned[:, :, plan.order]).reshape(-1)


@Worker
def _forward(t, workers, given):
    tiles, y, x, w, b, taps, own, size, s, N = unpack(given, "TxxxxixnSn")
    mine = own[t * size :]
    for item in range(t * N * s.blocks // workers, (t + 1) * N * s.blocks // workers):
        forward_block(tiles, y, x, w, b, taps, mine, s, item // s.blocks, item % s.blocks)


@Worker
def _backward(t, workers, given):
    tiles, wanted, dx, dw, db, dy, x, turned, taps, taps_dx, phases, zeros, own, size, s, N, parts = unpack(
        given, "TnxxxxxxiiixxnSnn"
    )
    mine, weights = own[t * size :], s.F * (s.C // s.groups) * s.KH * s.KW
    for part in range(t * parts // workers, (t + 1) * parts // workers):
        for item in range(part * N * s.blocks // parts, (part + 1) * N * s.blocks // parts):
            backward_block(tiles, wanted, dx, dw, part * weights, db, part * s.F, dy, x, turned, taps, taps_dx, phases,
                           zeros, mine, s, item // s.blocks, item % s.blocks)  # fmt: skip
