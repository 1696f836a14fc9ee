"""Convolution, compiled: the same three functions of `tinycnn.ops.conv`, on the register tile and on all cores.

It is im2col and one matrix product still, but the matrix is never written down: a tap of all windows is the image
itself, begun a little later (`conv_plan`), and the product is done tile by tile in registers (`tile`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty, empty_like
from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.conv_blocks import (
    DW,
    DX,
    backward_block,
    forward_block,
    lay_out_dy,
    space_of_image,
    windows_of_block,
)
from tinycnn.kernels.conv_plan import Plan, plan_conv
from tinycnn.kernels.fused_blocks import ALONE, cut_block, uncut_block
from tinycnn.kernels.rows import clear_row
from tinycnn.kernels.threads import PARTS, covered, plain, space, threads_for
from tinycnn.kernels.tile import tiles_for
from tinycnn.ops.checks import Array, floating, four_sides, pair, upstream
from tinycnn.ops.conv import check_conv_shapes

NOTHING = np.empty(1, np.uint8)
SUMS = 512 * 1024  # numbers that the partial sums of dw may take


def conv2d_forward(
    x: Array, w: Array, b: Array | None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    flip: bool = False,
) -> tuple[Array, tuple]:  # fmt: skip
    """Slide F filters over a batch of images: `ops.conv2d_forward`, compiled for float32 and float64.

    >>> conv2d_forward(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), np.zeros(1))[0][0, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    x, w, b, options = arguments(x, w, b, stride, padding, dilation, groups, flip)
    if not covered(x, w, b):
        y, cache = ops.conv2d_forward(x, w, b, *options)
        return y, (None, cache)
    x, w = plain(x), plain(w)
    plan = plan_conv(x.shape[1:], w.shape, *options, len(x), x.itemsize)
    y = empty((len(x), len(w), plan.sizes.OH, plan.sizes.OW), x.dtype)
    return convolve(x, w, b, plan, y), ((x, w, b is not None, options), plan)


def arguments(x: Array, w: Array, b: Any, stride: Any, padding: Any, dilation: Any, groups: int, flip: bool) -> Any:
    """The same, checked, with the options as a plan takes them."""
    x, w = floating(x, "x", "N,C,H,W"), floating(w, "w", "F,C/groups,KH,KW")
    b = None if b is None else floating(b, "b")
    check_conv_shapes(x.shape[1], w.shape, None if b is None else b.shape, groups)
    options = (pair(stride, "stride"), padding if isinstance(padding, str) else four_sides(padding),
               pair(dilation, "dilation"), groups, bool(flip))  # fmt: skip
    return x, w, b, options


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
    dx, dw, db = empty_like(x), empty_like(w), empty((s.F,), x.dtype)
    gradients(dy, x, w, plan, DX + DW, dx, dw, db)
    if not np.isfinite(dw).all():
        return _by_ops(dy, given)
    return dx, dw, db if has_bias else None


def conv2d_backward_weights(dy: Array, cache: tuple) -> tuple[Array, Array | None]:
    """The gradients of the weights alone: the first layer of a network has nobody who asks for dx."""
    given, plan = cache
    if given is None:
        return ops.conv2d_backward(dy, plan)[1:]
    x, w, has_bias, _ = given
    s = plan.sizes
    dy = upstream(dy, (len(x), s.F, s.OH, s.OW))
    if dy.dtype != x.dtype:
        return _by_ops(dy, given)[1:]
    dw, db = empty_like(w), empty((s.F,), x.dtype)
    gradients(dy, x, w, plan, DW, x, dw, db)
    if not np.isfinite(dw).all():
        return _by_ops(dy, given)[1:]
    return dw, db if has_bias else None


def convolve(
    x: Array, w: Array, b: Array | None, plan: Plan, y: Array, kept: Array = NOTHING, after: int = ALONE
) -> Array:
    """Fill in y, from plain arrays, by the plan; what comes `after`, and what is `kept` of it: see `fused`."""
    s = plan.sizes
    bias = np.zeros(s.F, x.dtype) if b is None else plain(b)
    with threads_for(len(x) * s.OH * s.OW * w.size) as threads:
        own = space(x.dtype, threads * plan.space)
        _forward(
            threads, x.dtype, tiles_for(x.dtype), y, kept, x, w, bias, plan.offsets, plan.starts, own, plan.space, s,
            len(x), after,
        )  # fmt: skip
    return y


def gradients(
    dy: Array, x: Array, w: Array, plan: Plan, wanted: int, dx: Array, dw: Array, db: Array,
    b: Array | None = None, kept: Array = NOTHING, after: int = ALONE,
) -> None:  # fmt: skip
    """Fill in the gradients that are wanted, DX or DW (with db) or their sum; what is not is left alone, as is its x.

    dw is made of partial sums over fixed parts of the batch, added up first to last: the same bits for any number of
    threads. `b` is added to dx, for a transposed convolution.
    """
    s, dy, of_w = plan.sizes, plain(dy), w.size
    parts = min(PARTS, max(SUMS // of_w, 4), len(x) * s.blocks) if wanted & DW else 0
    bias = np.zeros(max(s.C, w[0].size), dy.dtype)
    if b is not None:
        bias[: s.C] = b
    with threads_for(2 * len(x) * s.OH * s.OW * of_w) as threads:
        own = space(dy.dtype, threads * plan.space_backward + parts * (of_w + s.F))
        sums = own[threads * plan.space_backward :]
        of_dw = sums[: parts * of_w].reshape(parts, of_w)
        of_db = sums[parts * of_w : parts * (of_w + s.F)].reshape(parts, s.F)
        _backward(
            threads, dy.dtype, tiles_for(dy.dtype), wanted, dx, of_dw, of_db, dy, kept, x, turned(w, plan), bias,
            plan.offsets, plan.starts, own, plan.space_backward, s, len(x), max(parts, PARTS * (wanted == DX)), after,
        )  # fmt: skip
        if wanted & DW:
            _as_filters(np.add.reduce(of_dw, axis=0), dw, s)
            np.add.reduce(of_db, axis=0, out=db)


def _as_filters(found: Array, dw: Array, s: Any) -> None:
    """Sums that lie as (group, tap, f), written as filters; those that lie so already are copied."""
    groups, FG = s.groups, s.F // s.groups
    if s.strip:
        dw.reshape(groups, FG, -1)[...] = found.reshape(groups, -1, FG).transpose(0, 2, 1)
    else:
        dw.reshape(-1)[...] = found


def _by_ops(dy: Array, given: tuple) -> tuple[Array, Array, Array | None]:
    x, w, has_bias, options = given
    b = np.zeros(len(w), w.dtype) if has_bias else None
    return ops.conv2d_backward(dy, ops.conv2d_forward(x, w, b, *options)[1])


def turned(w: Array, plan: Plan) -> Array:
    """The filters with channels and filters exchanged, as one line: (group, c, and f, i, j sorted by phase)."""
    F, CG, KH, KW = w.shape
    groups = plan.sizes.groups
    swapped = w.reshape(groups, F // groups, CG, KH * KW).transpose(0, 2, 1, 3).reshape(groups, CG, -1)
    return (swapped if plan.order is None else swapped[:, :, plan.order]).reshape(-1)


@Worker
def _forward(t, workers, given):
    tiles, y, kept, x, w, b, offsets, o, own, size, s, N, after = unpack(given, "TxuxxxiOxnSnn")
    mine = own[t * size :]
    for item in range(t * N * s.blocks // workers, (t + 1) * N * s.blocks // workers):
        n, block = item // s.blocks, item % s.blocks
        if after == ALONE:
            forward_block(tiles, y, x, w, b, offsets, o, mine, s, n, block)
        else:
            at, line = space_of_image(s), s.R * s.pitch
            windows_of_block(tiles, mine, at, line, x, w, b, offsets, o, mine, s, n, block)
            cut_block(y, kept, mine, s, after, n, block)


@Worker
def _backward(t, workers, given):
    tiles, wanted, dx, dw, db, dy, kept, x, turned, bias, offsets, o, own, size, s, N, parts, after = unpack(
        given, "TnxxxxuxxxiOxnSnnn"
    )
    mine, weights = own[t * size :], s.F * (s.C // s.groups) * s.KH * s.KW
    for part in range(t * parts // workers, (t + 1) * parts // workers):
        if wanted & DW:
            clear_row(dw, part * weights, weights)
            clear_row(db, part * s.F, s.F)
        for item in range(part * N * s.blocks // parts, (part + 1) * N * s.blocks // parts):
            n, block = item // s.blocks, item % s.blocks
            if after == ALONE:
                lay_out_dy(mine, dy, s, n, block)
            else:
                uncut_block(mine, dy, kept, s, after, n, block)
            backward_block(tiles, wanted, dx, dw, part * weights, db, part * s.F, x, turned, bias, offsets, o, mine,
                           s, n, block)  # fmt: skip
