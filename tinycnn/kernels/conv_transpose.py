"""Transposed convolution, compiled: the convolution's kernels with their roles exchanged.

Its forward is what a convolution does to find dx, and its dx is a convolution. Only dw is asked of the same kernel with
the image and the gradient exchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.kept import empty, empty_like
from tinycnn.kernels.conv import convolve, gradients
from tinycnn.kernels.conv_blocks import DW, DX
from tinycnn.kernels.conv_plan import plan_conv
from tinycnn.kernels.placed import placed_transposed
from tinycnn.kernels.threads import covered, finite, plain
from tinycnn.ops.checks import Array, floating, upstream
from tinycnn.ops.conv_transpose import check_transposed_shapes


def conv_transpose2d_forward(
    x: Array, w: Array, b: Array | None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> tuple[Array, tuple]:  # fmt: skip
    """Stamp C filters onto a larger image: `ops.conv_transpose2d_forward`, compiled.

    >>> conv_transpose2d_forward(np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 1, 2)), np.zeros(1))[0]
    array([[[[1., 3., 2.]]]])
    """
    x, w = floating(x, "x", "N,C,H,W"), floating(w, "w", "C,F/groups,KH,KW")
    b = None if b is None else floating(b, "b")
    check_transposed_shapes(x.shape[1], w.shape, None if b is None else b.shape, groups)
    options = stride, padding, output_padding, dilation
    H, W = x.shape[2:]
    window = placed_transposed(H, W, w.shape[2:], *options)
    if not covered(x, w, b):
        y, cache = ops.conv_transpose2d_forward(x, w, b, *options, groups)
        return y, (None, cache)
    x, w = plain(x), plain(w)
    sides = window.top, window.bottom, window.left, window.right
    how = (window.sv, window.sh), sides, (window.dv, window.dh), groups, False
    plan = plan_conv((w.shape[1] * groups, window.H, window.W), w.shape, *how, len(x), x.itemsize)
    again = (x, w, b, *options, groups)
    if not finite(w):  # zeros stand where nothing is stamped, and 0·∞ is no 0
        y, cache = ops.conv_transpose2d_forward(*again)
        return y, (None, cache)
    y = empty((len(x), plan.sizes.C, window.H, window.W), x.dtype)
    gradients(x, y, w, plan, DX, y, w, x, b)
    return y, (again, plan)


def conv_transpose2d_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array | None]:
    """The transpose of the transpose: `ops.conv_transpose2d_backward`, compiled."""
    again, plan = cache
    if again is None:
        return ops.conv_transpose2d_backward(dy, plan)
    x, w, b = again[:3]
    s = plan.sizes
    dy = upstream(dy, (len(x), s.C, s.H, s.W))
    if dy.dtype == x.dtype:
        dy = plain(dy)
        dw, unused = empty_like(w), np.empty(s.F, x.dtype)
        gradients(x, dy, w, plan, DW, dy, dw, unused)
        dx = convolve(dy, w, None, plan, empty_like(x))
        return dx, dw, None if b is None else dy.sum(axis=(0, 2, 3))
    return ops.conv_transpose2d_backward(dy, ops.conv_transpose2d_forward(*again)[1])
