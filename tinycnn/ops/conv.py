"""Convolution: slide a small window of weights over an image, and take a dot product at every place.

Laying each window out as a row (im2col) turns all those dot products into one matrix product; its transpose (col2im)
hands every pixel the sum over all the windows it was in. That is the whole of the backward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, upstream
from tinycnn.ops.im2col import col2im, im2col
from tinycnn.ops.window import window_names


def _conv_names(names: dict[str, Any]) -> dict[str, Any]:
    b = np.zeros(len(names["w"])) if names["b"] is None else names["b"]
    return window_names(names) | {"b": b}


@formula(
    "y[n,f,u,v] = b[f] + sum[c,i,j](xp[n, c0+c, u*sv+i*dv, v*sh+j*dh] * w[f,c,ti,tj])",
    where="xp is x padded with zeros; sv, sh = stride; dv, dh = dilation;"
    "c0 = f // (F//groups) * CG is the first channel of filter f's group (0 in one group);"
    "ti = KH-1-i if flip else i; tj = KW-1-j if flip else j",
    shapes="x (N,C,H,W), w (F,CG,KH,KW), b (F) -> y (N,F,OH,OW)",
    source="Dumoulin & Visin 2016, arXiv:1603.07285",
    given=_conv_names,
)
def conv2d_forward(
    x: Array, w: Array, b: Array | None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    flip: bool = False,
) -> tuple[Array, tuple]:  # fmt: skip
    """Slide F filters over a batch of images.

    As in every framework this is cross-correlation; `flip=True` turns the filters by 180° first, which makes it the
    convolution of mathematics. With `groups`, the channels and the filters are cut into that many equal parts, and
    each part of the filters sees its own part of the channels (CG = C/groups).

    Raises ShapeError if the kernel is larger than the padded image or the channels do not fit the filters, TypeError
    for anything but floating numbers.

    >>> conv2d_forward(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), np.zeros(1))[0][0, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    x, w = floating(x, "x", "N,C,H,W"), floating(w, "w", "F,C/groups,KH,KW")
    b = None if b is None else floating(b, "b")
    check_conv_shapes(x.shape[1], w.shape, None if b is None else b.shape, groups)
    F, CG, KH, KW = w.shape
    cols, (N, OH, OW) = im2col(x, (KH, KW), stride, padding, dilation)  # (N·OH·OW, C·KH·KW): a row is a window
    cols = by_group(cols, groups)  # (groups, N·OH·OW, CG·KH·KW)
    filters = (w[:, :, ::-1, ::-1] if flip else w).reshape(groups, F // groups, CG * KH * KW)
    y = cols @ filters.transpose(0, 2, 1)  # (groups, N·OH·OW, F/groups): one dot product a window and filter
    y = y.transpose(1, 0, 2).reshape(N, OH, OW, F).transpose(0, 3, 1, 2)
    if b is not None:
        y = y + b[:, None, None]
    return y, (cols, filters, w.shape, x.shape, y.shape, b is not None, (stride, padding, dilation), flip)


@formula(
    "dw[f,c,ti,tj] = sum[n,u,v](dy[n,f,u,v] * xp[n, c0+c, u*sv+i*dv, v*sh+j*dh])",
    "dxp[n, c0+c, u*sv+i*dv, v*sh+j*dh] += dy[n,f,u,v] * w[f,c,ti,tj]",
    "dx[n,c,r,q] = dxp[n, c, r+top, q+left]",
    "db[f] = sum[n,u,v](dy[n,f,u,v])",
    shapes="-> dx, dw, db",
)
def conv2d_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array | None]:
    """The transpose: dw = dyᵀ·cols, dcols = dy·w, and each pixel gathers from every window it was in.

    The cache holds the rows (what each weight was multiplied with) and the filters (what each pixel was multiplied
    with), since a product's derivative is the other factor. Without a bias, db is None.
    """
    cols, filters, w_shape, x_shape, y_shape, has_bias, (stride, padding, dilation), flip = cache
    F, _, KH, KW = w_shape
    groups = len(filters)
    rows = upstream(dy, y_shape).transpose(0, 2, 3, 1).reshape(-1, F)  # (N·OH·OW, F): the rows of cols
    dy_groups = by_group(rows, groups)  # (groups, N·OH·OW, F/groups)
    dw = (dy_groups.transpose(0, 2, 1) @ cols).reshape(w_shape)
    dcols = (dy_groups @ filters).transpose(1, 0, 2).reshape(len(rows), x_shape[1] * KH * KW)  # (N·OH·OW, C·KH·KW)
    dx = col2im(dcols, x_shape, (KH, KW), stride, padding, dilation)
    return dx, dw[:, :, ::-1, ::-1] if flip else dw, rows.sum(axis=0) if has_bias else None


def check_conv_shapes(C: int, w_shape: tuple[int, ...], b_shape: tuple[int, ...] | None, groups: int) -> None:
    """Raise ShapeError unless images of C channels fit filters of this shape."""
    F, CG, _, _ = w_shape
    if groups < 1 or C % groups or F % groups:
        raise ShapeError(f"groups={groups} must divide both the {C} channels and the {F} filters")
    if CG * groups != C:
        raise ShapeError(
            f"the image has {C} channels, but the filters w of shape {w_shape} see {CG} each"
            + (f" in each of {groups} groups, {CG * groups} in all" if groups > 1 else "")
            + f". Give images of {CG * groups} channels, or filters of shape ({F}, {C // groups}, …)."
        )
    if b_shape is not None and b_shape != (F,):
        raise ShapeError(f"the bias must have one number a filter, ({F},), got shape {b_shape}")


def by_group(rows: Array, groups: int) -> Array:
    """(rows, groups·K) as (groups, rows, K)."""
    return rows.reshape(len(rows), groups, rows.shape[1] // groups).transpose(1, 0, 2)
