"""Convolution, compiled: the same three functions of `tinycnn.ops.conv`, on the register tile and on all cores.

It is im2col and one matrix product still, but the matrix is never written down: a tap of all windows is the image
itself, begun a little later (`conv_plan`), and the product is done tile by tile in registers (`tile`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty, empty_like
from tinycnn.kernels.compiling import Worker, next_part, unpack
from tinycnn.kernels.conv_blocks import (
    DW,
    DX,
    backward_piece,
    images_of_piece,
    lay_out_dy,
    piece,
    pieces_of,
    room_of_images,
    rows_of_dx,
    windows_of_strip,
    write_out,
)
from tinycnn.kernels.conv_pack import pack, pack_turned, packed_backward, packed_forward, unpacked
from tinycnn.kernels.conv_plan import Plan, Sizes, pieces, plan_conv
from tinycnn.kernels.fused_blocks import ALONE, HALVED, cut_out, uncut_dy
from tinycnn.kernels.pointwise import channels_by_channels, mix_channels, mix_channels_back
from tinycnn.kernels.pool import max_pool2d_forward
from tinycnn.kernels.rows import clear_row
from tinycnn.kernels.threads import covered, finite, partial_sums, plain, space, threads_for
from tinycnn.kernels.tile import strip_width, tiles_for
from tinycnn.kernels.winograd import convolve_squares
from tinycnn.kernels.winograd_plan import GatherPlan, SquarePlan
from tinycnn.kernels.winograd_weights import gather_squares
from tinycnn.ops.checks import Array, floating, four_sides, pair, upstream
from tinycnn.ops.conv import check_conv_shapes

NOTHING = np.empty(1, np.uint8)
LONG = 256  # pixels of an image that are worth sums along them: at the end of each, the lanes are added up
MOVED, AT_ONCE = 16, 8  # multiplications in the time that one number takes to move, and one operation elsewhere


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


def arguments(
    x: Array, w: Array, b: Any, stride: Any, padding: Any, dilation: Any, groups: int, flip: bool,
    more: int = 0,
) -> Any:  # fmt: skip
    """The same, checked, with the options as a plan takes them; there are so many `more` channels than those of x."""
    x, w = floating(x, "x", "N,C,H,W"), floating(w, "w", "F,C/groups,KH,KW")
    b = None if b is None else floating(b, "b")
    check_conv_shapes(x.shape[1] + more, w.shape, None if b is None else b.shape, groups)
    options = (pair(stride, "stride"), padding if isinstance(padding, str) else four_sides(padding),
               pair(dilation, "dilation"), groups, bool(flip))  # fmt: skip
    return x, w, b, options


def conv2d_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array | None]:
    """All three gradients: `ops.conv2d_backward`, compiled for float32 and float64.

    Zeros stand where no window is, and 0·∞ is no 0: should a filter not be finite, `ops` works the gradients out.
    """
    given, plan = cache
    if given is None:
        return ops.conv2d_backward(dy, plan)
    x, w, has_bias, _ = given
    s = plan.sizes
    dy = upstream(dy, (len(x), s.F, s.OH, s.OW))
    if dy.dtype != x.dtype or not finite(w):
        return _by_ops(dy, given)
    dx, dw, db = empty_like(x), empty_like(w), empty((s.F,), x.dtype)
    gradients(dy, x, w, plan, DX + DW, dx, dw, db)
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
    return dw, db if has_bias else None


def convolve(
    x: Array, w: Array, b: Array | None, plan: Plan, y: Array, kept: Array = NOTHING, after: int = ALONE,
    before: int = ALONE, beside: Array | None = None,
) -> Array:  # fmt: skip
    """Fill in y, from plain arrays, by the plan; what comes `after`, and what is `kept` of it: see `fused`.

    Where the plan is by squares, a pool may have to halve x `before`, or further channels may lie `beside` it.
    """
    if plan.squares is not None:
        spoiled = _by_squares(x, w, b, plan.squares, y, kept, after, NOTHING, before, beside)
        for some in _images(spoiled, len(x)):
            found = _found(x[some], before, None if beside is None else beside[some])
            _convolve(found, w, b, plan, y[some], kept if kept is NOTHING else kept[some], after)
        return y
    if plan.by_pixel is not None:
        with threads_for(_work(w, plan.sizes, len(x))) as threads:
            mix_channels(threads, x, w, b, plan.by_pixel, y, kept, after)
        return y
    return _convolve(x, w, b, plan, y, kept, after)


def _found(x: Array, before: int, beside: Array | None) -> Array:
    """What the convolution is of."""
    if before == HALVED:
        x = max_pool2d_forward(x, 2)[0]
    return x if beside is None else np.concatenate((x, beside), axis=1)


def _images(spoiled: list[int], N: int) -> list[slice]:
    """These images one by one, or the whole batch at once if it is all of them."""
    return [slice(N)] if len(spoiled) == N else [slice(n, n + 1) for n in spoiled]


def _by_squares(
    x: Array, w: Array, b: Array | None, plan: SquarePlan, y: Array, kept: Array, after: int, kept_before: Array,
    before: int, beside: Array | None = None,
) -> list[int]:  # fmt: skip
    s = plan.sizes
    with threads_for(_work(w, s, len(x))) as threads:
        own = space(x.dtype, threads * plan.space)
        bias = _filled_up(b, 1, s.F, s.FP, x.dtype)
        return convolve_squares(threads, x, w, bias, plan, own, y, kept, after, kept_before, before, beside)


def _convolve(x: Array, w: Array, b: Array | None, plan: Plan, y: Array, kept: Array, after: int) -> Array:
    s = plan.sizes
    with threads_for(_work(w, s, len(x))) as threads:
        own = space(x.dtype, threads * plan.space)
        _forward(
            threads, x.dtype, tiles_for(x.dtype), y, kept, x, packed_forward(threads, w, plan),
            _filled_up(b, s.groups, s.F, s.FP, x.dtype), plan.offsets, plan.starts, own, plan.space, plan.packs, s,
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
    dy = plain(dy)
    if wanted & DX and plan.squares_of_dx is not None:
        spoiled = _by_squares(dy, w, b, plan.squares_of_dx, dx, NOTHING, ALONE, kept, after)
        for some in _images(spoiled, len(x)):
            of_image = kept if kept is NOTHING else kept[some]
            _gradients(dy[some], x[some], w, plan, DX, dx[some], dw, db, b, of_image, after)
        wanted -= DX
    if plan.by_pixel is not None and after == ALONE:
        wanted -= _gradients_by_pixel(dy, x, w, plan.by_pixel, wanted, dx, dw, db, b)
    if wanted & DW and plan.gathering is not None and _by_gathering(dy, x, w, plan.gathering, dw, db, kept, after):
        wanted -= DW
    if wanted:
        _gradients(dy, x, w, plan, wanted, dx, dw, db, b, kept, after)


def _gradients_by_pixel(
    dy: Array, x: Array, w: Array, s: Sizes, wanted: int, dx: Array, dw: Array, db: Array, b: Array | None
) -> int:  # fmt: skip
    """Fill in those of the gradients that are done pixel by pixel, and say which they were."""
    done = wanted & ((DX if b is None else 0) + (DW if s.OH * s.OW >= LONG else 0))
    with threads_for(_work(w, s, len(x))) as threads:
        if done & DX:
            mix_channels_back(threads, dy, w, s, dx)
        if done & DW:
            channels_by_channels(threads, dy, x, s, dw, db)
    return done


def _by_gathering(
    dy: Array, x: Array, w: Array, plan: GatherPlan, dw: Array, db: Array, kept: Array, after: int
) -> bool:  # fmt: skip
    with threads_for(_work(w, plan.sizes, len(x))) as threads:
        return gather_squares(threads, dy, x, plan, dw, db, kept, after)


def _gradients(
    dy: Array, x: Array, w: Array, plan: Plan, wanted: int, dx: Array, dw: Array, db: Array, b: Array | None,
    kept: Array, after: int,
) -> None:  # fmt: skip
    s, size = plan.sizes, plan.sizes.groups * plan.sizes.FP * w[0].size
    parts, sums_of_part = partial_sums(size, pieces(len(x), s)), size + s.F if wanted & DW else 0
    with threads_for(2 * _work(w, s, len(x))) as threads:
        own = space(dy.dtype, threads * plan.space_backward + parts * sums_of_part)
        sums = own[threads * plan.space_backward :]
        of_dw, of_db = sums[: parts * size], sums[parts * size :]
        _backward(
            threads, dy.dtype, tiles_for(dy.dtype), wanted, dx, of_dw, of_db, dy, kept, x,
            packed_backward(threads, w, plan) if wanted & DX else w, _filled_up(b, s.groups, s.C, s.CP, dy.dtype),
            plan.offsets, plan.starts, plan.order, own, plan.space_backward,
            plan.packs_backward if wanted & DX else 0, s, len(x), parts, after,
        )  # fmt: skip
        if wanted & DW:
            unpacked(threads, of_dw.reshape(parts, -1), dw, plan)
            np.add.reduce(of_db[: parts * s.F].reshape(parts, -1), axis=0, out=db)


def _work(w: Array, s: Sizes, N: int) -> int:
    """What there is to do, in operations of the plainer kernels: for each window its products, reading and writing.

    There are no more windows than results, nor, where these are pixels of dx, than gradients.
    """
    return N * min(s.OH * s.OW, s.H * s.W) * (w.size + MOVED * (s.C + 2 * s.F)) // AT_ONCE


def _filled_up(b: Array | None, groups: int, numbers: int, filled: int, dtype: Any) -> Array:
    """A bias with as many numbers for each group as fill whole vectors."""
    if b is not None and groups * filled == numbers:
        return plain(b)
    bias = np.zeros(groups * filled, dtype)
    if b is not None and groups == 1:  # nearly always, and twice as fast as by rows
        bias[:numbers] = b
    elif b is not None:
        bias.reshape(groups, filled)[:, : numbers // groups] = b.reshape(groups, -1)
    return bias


def _by_ops(dy: Array, given: tuple) -> tuple[Array, Array, Array | None]:
    x, w, has_bias, options = given
    b = np.zeros(len(w), w.dtype) if has_bias else None
    return ops.conv2d_backward(dy, ops.conv2d_forward(x, w, b, *options)[1])


@Worker
def _forward(t, workers, given):
    tiles, y, kept, x, w, bias, offsets, o, own, size, packs, s, N, after = unpack(given, "TxuxxxiOxnnSnn")
    mine, begin = own[t * size :], room_of_images(s)
    items = pieces_of(N, s)
    packed, item = w, next_part(given)
    if packs and item < items:
        packed = mine[size - packs :]
        pack(packed, w, s.C // s.groups * s.KK, s, 0, 1)
    while item < items:
        n, images, u, rows = piece(item, N, s)
        source, x0 = images_of_piece(x, mine, s, n, images, u)
        for g in range(s.groups):
            f = 0
            while f < s.FP:
                width = strip_width(s.FP - f, s.lanes)
                for r in range(0, rows, s.near):
                    some = min(s.near, rows - r)
                    windows_of_strip(tiles, source, x0, packed, bias, offsets, o, mine, s, r, images * some * s.OW, g,
                                     f, width)  # fmt: skip
                    if after == ALONE:
                        write_out(y, n, images, mine, begin, s, g, f, width, u + r, some)
                    else:
                        cut_out(y, kept, n, images, mine, begin, s, after, g, f, width, u + r, some)
                f += width
        item = next_part(given)


@Worker
def _backward(t, workers, given):
    tiles, wanted, dx, dw, db, dy, kept, x, w, bias, offsets, o, order, own, size, packs, s, N, parts, after = unpack(
        given, "TnxxxxuxxxiOixnnSnnn"
    )
    mine, weights = own[t * size :], s.groups * s.FP * (s.C // s.groups) * s.KK
    items = pieces_of(N, s)
    packed, part = w, next_part(given)
    if packs and part < parts:
        packed = mine[size - packs :]
        pack_turned(packed, w, order, s, 0, 1)
    while part < parts:
        if wanted & DW:
            clear_row(dw, part * weights, weights)
            clear_row(db, part * s.F, s.F)
        for item in range(part * items // parts, (part + 1) * items // parts):
            n, images, u, rows = piece(item, N, s)
            above = max(rows, rows_of_dx(s, u)) if wanted & DX else rows
            if after == ALONE:
                lay_out_dy(mine, dy, s, n, images, u, above)
            else:
                uncut_dy(mine, dy, kept, s, after, n, images, u, above)
            backward_piece(tiles, wanted, dx, dw, part * weights, db, part * s.F, x, packed, bias, offsets, o, mine,
                           s, n, images, u, rows)  # fmt: skip
        part = next_part(given)
