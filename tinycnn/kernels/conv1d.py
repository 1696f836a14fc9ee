"""Convolution along a line, compiled: the kernels of `conv` on images of height 1."""

from __future__ import annotations

from typing import Any

from tinycnn.kernels.conv import conv2d_backward, conv2d_forward
from tinycnn.ops.checks import Array, floating, upstream, whole
from tinycnn.ops.conv1d import sides_in_rows


def conv1d_forward(
    x: Array, w: Array, b: Array | None, stride: int = 1, padding: Any = 0, dilation: int = 1, groups: int = 1,
    flip: bool = False,
) -> tuple[Array, tuple]:  # fmt: skip
    """Slide F filters along a batch of sequences: `ops.conv1d_forward`, compiled.

    >>> import numpy as np
    >>> conv1d_forward(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[-1.0, 1.0]]]), np.zeros(1))[0]
    array([[[1., 2.]]])
    """
    x, w = floating(x, "x", "N,C,W"), floating(w, "w", "F,C/groups,KW")
    s, d = (1, whole(stride, "stride")), (1, whole(dilation, "dilation"))
    y, cache = conv2d_forward(x[:, :, None], w[:, :, None], b, s, sides_in_rows(padding), d, groups, flip)
    return y[:, :, 0], (cache, (len(x), len(w), y.shape[3]))


def conv1d_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array | None]:
    """All three gradients: `ops.conv1d_backward`, compiled."""
    conv2d_cache, y_shape = cache
    dx, dw, db = conv2d_backward(upstream(dy, y_shape)[:, :, None], conv2d_cache)
    return dx[:, :, 0], dw[:, :, 0], db
