"""Convolution, ReLU and max pool as one kernel: the same numbers, but what lies between them never reaches memory.

A convolution's output is large, and the two steps behind it do next to nothing with each number but fetch and store
it. So each block of rows goes through all three while it is in the cache. Forward, the block is convolved into working
space, and what is written is cut at 0 and pooled, with one byte for each result that remembers where its gradient
belongs. Backward, the block's dy is made from those bytes and the upstream gradient, once, right where dw, dx and db
read it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.kept import empty, empty_like
from tinycnn.kernels.activation import relu_backward, relu_forward
from tinycnn.kernels.conv import NOTHING, arguments, conv2d_backward, conv2d_forward, convolve, gradients
from tinycnn.kernels.conv_blocks import DW, DX
from tinycnn.kernels.conv_plan import Plan, plan_conv
from tinycnn.kernels.fused_blocks import ALONE, HALVED, RELU, RELU_ALONE, RELU_POOL
from tinycnn.kernels.fused_rows import SHORTEST
from tinycnn.kernels.layout import concat_forward
from tinycnn.kernels.pool import max_pool2d_backward, max_pool2d_forward
from tinycnn.kernels.threads import covered, finite, plain
from tinycnn.ops.checks import Array, floating, upstream


def conv2d_relu_forward(
    x: Array, w: Array, b: Array | None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    flip: bool = False, pool: int = 0, remember: bool = True,
) -> tuple[Array, tuple | None]:  # fmt: skip
    """Convolve and keep what is positive; with pool=2, of every 2×2 numbers the largest.

    What need not `remember` where each number came from has None for a cache, and no backward pass.

    >>> conv2d_relu_forward(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), np.zeros(1), pool=2)[0]
    array([[[[4.]]]])
    """
    if pool not in (0, 2):
        raise ValueError(f"pool must be 0 (none) or 2 (a 2×2 max pool), got {pool!r}")
    x, w, b, options = arguments(x, w, b, stride, padding, dilation, groups, flip)
    if not covered(x, w, b):
        y, cache = _one_by_one(x, w, b, options, pool)
        return y, cache if remember else None
    x, w = plain(x), plain(w)
    plan = plan_conv(x.shape[1:], w.shape, *options, len(x), x.itemsize, pool)
    if not remember:
        return _forgotten(x, w, b, plan, pool), None
    y = empty((len(x), len(w), *plan.seen), x.dtype)
    kept = _room_to_remember(y)
    convolve(x, w, b, plan, y, kept, RELU_POOL if pool else RELU)
    return y, (kept, y.shape, (x, w, b is not None, options, pool), plan)


def conv2d_relu_of_two_forward(
    x: Array, beside: Array, w: Array, b: Array | None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, flip: bool = False, pool: int = 0,
) -> Array:  # fmt: skip
    """The same of images whose last channels lie `beside` x: they are not joined first. There is no backward pass.

    >>> one = np.ones((1, 1, 3, 3))
    >>> conv2d_relu_of_two_forward(one, 2 * one, np.ones((1, 2, 2, 2)), np.zeros(1), pool=2)
    array([[[[12.]]]])
    """
    x, beside = floating(x, "x", "N,C,H,W"), floating(beside, "beside", "N,C,H,W")
    (N, C, *image), (M, more, *other), options = x.shape, beside.shape, (stride, padding, dilation, groups, flip)
    y = None
    if (N, image) == (M, other):
        y = _directly(x, w, b, options, pool, (C + more, *image), ALONE, beside)
    if y is None:
        y, _ = conv2d_relu_forward(concat_forward(x, beside)[0], w, b, *options, pool, remember=False)
    return y


def conv2d_relu_of_halves_forward(
    x: Array, w: Array, b: Array | None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    flip: bool = False, pool: int = 0,
) -> Array:  # fmt: skip
    """The same of images that a 2×2 max pool halves first, without writing those down. There is no backward pass.

    >>> conv2d_relu_of_halves_forward(np.arange(16.0).reshape(1, 1, 4, 4), np.ones((1, 1, 2, 2)), np.zeros(1))
    array([[[[40.]]]])
    """
    x, options = floating(x, "x", "N,C,H,W"), (stride, padding, dilation, groups, flip)
    (_, C, H, W), y = x.shape, None
    if H % 2 == W % 2 == 0:
        y = _directly(x, w, b, options, pool, (C, H // 2, W // 2), HALVED)
    if y is None:
        y, _ = conv2d_relu_forward(max_pool2d_forward(x, 2)[0], w, b, *options, pool, remember=False)
    return y


def _directly(
    x: Array, w: Array, b: Array | None, options: tuple[Any, Any, Any, int, bool], pool: int, image: tuple[int, ...],
    before: int, beside: Array | None = None,
) -> Array | None:  # fmt: skip
    """The results for images of (C, H, W) that are made on the way, or None if they have to be made first."""
    if pool not in (0, 2):
        return None
    x, w, b, options = arguments(x, w, b, *options, image[0] - x.shape[1])
    plan = plan_conv(image, w.shape, *options, len(x), x.itemsize, pool)
    if plan.squares is None or not covered(x, beside, w, b):
        return None
    return _forgotten(plain(x), plain(w), b, plan, pool, before, None if beside is None else plain(beside))


def _forgotten(
    x: Array, w: Array, b: Array | None, plan: Plan, pool: int, before: int = ALONE, beside: Array | None = None
) -> Array:
    """The results alone; where a pool's numbers came from is written down, and forgotten."""
    y = empty((len(x), len(w), *plan.seen), x.dtype)
    kept, after = (_room_to_remember(y), RELU_POOL) if pool else (NOTHING, RELU_ALONE)
    return convolve(x, w, b, plan, y, kept, after, before, beside)


def _room_to_remember(y: Array) -> Array:
    """A byte for each result, with a few more where a row is shorter than a vector."""
    return empty((*y.shape[:3], max(y.shape[3], SHORTEST)), np.uint8)


def conv2d_relu_backward(dy: Array, cache: tuple, wanted: str = "all") -> tuple[Array | None, Array, Array | None]:
    """dx, dw and db; with wanted="weights", None for dx, which then costs nothing."""
    if wanted not in ("all", "weights"):
        raise ValueError(f'wanted must be "all" or "weights", got {wanted!r}')
    kept, y_shape, given, plan = cache
    if kept is None:
        return _one_by_one_backward(dy, given, wanted)
    x, w, has_bias, _, pool = given
    dy = upstream(dy, y_shape)
    if dy.dtype != x.dtype or not finite(w):
        return _anew(dy, given, wanted)
    dx = empty_like(x) if wanted == "all" else None
    dw, db = empty_like(w), empty((len(w),), x.dtype)
    after = RELU_POOL if pool else RELU
    gradients(dy, x, w, plan, DW if dx is None else DX + DW, x if dx is None else dx, dw, db, None, kept, after)
    return dx, dw, db if has_bias else None


def _one_by_one(x: Array, w: Array, b: Array | None, options: tuple, pool: int) -> tuple[Array, tuple]:
    """The three steps each on its own: what is no float32 or float64 throughout is for `ops`, as ever."""
    y, conv = conv2d_forward(x, w, b, *options)
    y, relu = relu_forward(y)
    cache = None
    if pool:
        y, cache = max_pool2d_forward(y, pool)
    return y, (None, y.shape, (conv, relu, cache), None)


def _one_by_one_backward(dy: Array, caches: tuple, wanted: str) -> tuple[Array | None, Array, Array | None]:
    conv, relu, pool = caches
    if pool is not None:
        dy = max_pool2d_backward(dy, pool)
    dx, dw, db = conv2d_backward(relu_backward(dy, relu), conv)
    return dx if wanted == "all" else None, dw, db


def _anew(dy: Array, given: tuple, wanted: str) -> tuple[Array | None, Array, Array | None]:
    """The same one by one: mixed types, or an infinity that zeros would turn into NaN (see `conv2d_backward`)."""
    x, w, has_bias, options, pool = given
    b = np.zeros(len(w), w.dtype) if has_bias else None
    return _one_by_one_backward(dy, _one_by_one(x, w, b, options, pool)[1][2], wanted)
