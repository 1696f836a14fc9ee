"""Transposed convolution: stamp a small picture for every pixel, scaled by it, and add the stamps up.

It is a convolution read backwards, word for word: its forward is `conv2d`'s gradient of the image, its backward is
`conv2d`'s forward. Where a convolution of stride 2 halves an image, its transpose doubles one; it does not undo it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, four_sides, pair, upstream
from tinycnn.ops.conv import by_group
from tinycnn.ops.im2col import col2im, im2col
from tinycnn.ops.window import Window, place_window


@formula(
    "OH = (H - 1)*s - pads + dilation*(KH - 1) + output_padding + 1",
    where="pads is the rows of border that are cut off, top and bottom together; s is the stride",
    shapes="-> OH ()",
    source="Dumoulin & Visin 2016, arXiv:1603.07285, relationship 14",
)
def transposed_size(H: int, KH: int, s: int = 1, pads: int = 0, dilation: int = 1, output_padding: int = 0) -> int:
    """How large a transposed convolution makes H rows: the size from which a convolution would make H.

    A convolution of stride s makes the same H from s different sizes; `output_padding` (0 to s − 1) says from which.

    >>> transposed_size(16, KH=2, s=2), transposed_size(16, KH=3, s=2, pads=2, output_padding=1)
    (32, 32)
    """
    return (H - 1) * s - pads + dilation * (KH - 1) + output_padding + 1


def place_transposed(
    H: int, W: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, dilation: Any = 1
) -> Window:
    """The window of the convolution that would make H×W of the output; its own `H`, `W` are the output's size.

    `padding="same"` makes the output H·s rows. Raises ShapeError if the border cut off leaves nothing, ValueError for
    an output padding that is not less than the stride.
    """
    (KH, KW), (sv, sh) = pair(kernel_size, "kernel_size"), pair(stride, "stride")
    (dv, dh), (more_v, more_h) = pair(dilation, "dilation"), pair(output_padding, "output_padding", 0)
    if more_v >= sv or more_h >= sh:
        raise ValueError(
            f"output_padding says which of {sv}×{sh} (the stride) possible sizes is meant, so it is less than the "
            f"stride, got {output_padding!r}"
        )
    if padding == "same":
        if more_v or more_h:
            raise ValueError('padding="same" fixes the output size, H·s: leave output_padding at 0')
        OH, OW = H * sv, W * sh
    else:
        padding = top, bottom, left, right = four_sides(0 if padding == "valid" else padding)
        OH = transposed_size(H, KH, sv, top + bottom, dv, more_v)
        OW = transposed_size(W, KW, sh, left + right, dh, more_h)
        if OH < 1 or OW < 1:
            raise ShapeError(
                f"padding {top + bottom} and {left + right} in all cuts off everything that a {KH}×{KW} kernel makes "
                f"of {H}×{W}.\n  OH = (H − 1)·s − pads + d(KH − 1) + output_padding + 1 = "
                f"({H} − 1)·{sv} − {top + bottom} + {dv}·({KH} − 1) + {more_v} + 1 = {OH}, and so OW = {OW}"
            )
    return place_window(OH, OW, (KH, KW), (sv, sh), padding, (dv, dh))


def _transposed_names(names: dict[str, Any]) -> dict[str, Any]:
    x, w, groups = names["x"], names["w"], names["groups"]
    N, F = len(x), w.shape[1] * groups
    options = {key: names[key] for key in ("stride", "padding", "output_padding", "dilation")}
    window = place_transposed(x.shape[2], x.shape[3], w.shape[2:], **options)
    sizes = window.names() | {"OH": window.H, "OW": window.W}
    yp = window.pad(np.zeros((N, F, window.H, window.W), np.result_type(x, w)))
    return sizes | {"yp": yp, "F": F, "b": np.zeros(F) if names["b"] is None else names["b"]}


@formula(
    "yp[n, f0+f, r*sv+i*dv, q*sh+j*dh] += x[n,c,r,q] * w[c,f,i,j]",
    "y[n,f,u,v] = b[f] + yp[n, f, u+top, v+left]",
    where="yp is y with the border that padding cuts off, zero at first; sv, sh = stride; dv, dh = dilation;"
    "f0 = c // (C//groups) * FG is the first output channel of c's group (0 in one group)",
    shapes="x (N,C,H,W), w (C,FG,KH,KW), b (F) -> y (N,F,OH,OW)",
    source="Zeiler, Krishnan, Taylor & Fergus 2010, CVPR; Dumoulin & Visin 2016, arXiv:1603.07285, chapter 4",
    given=_transposed_names,
)
def conv_transpose2d_forward(
    x: Array, w: Array, b: Array | None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> tuple[Array, tuple]:  # fmt: skip
    """Stamp C filters onto a larger image: exactly what `conv2d_backward` does to find dx, with x for its dy.

    The weights are those of that convolution, which takes F channels to C: (C, F/groups, KH, KW). `padding` is its
    padding, so here it cuts a border off; `output_padding` adds rows at the bottom and columns at the right.

    Raises ShapeError if nothing is left, or the channels do not fit the filters; ValueError for an output padding
    that is not less than the stride.

    >>> conv_transpose2d_forward(np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 1, 2)), np.zeros(1))[0]
    array([[[[1., 3., 2.]]]])
    """
    x, w = floating(x, "x", "N,C,H,W"), floating(w, "w", "C,F/groups,KH,KW")
    b = None if b is None else floating(b, "b")
    check_transposed_shapes(x.shape[1], w.shape, None if b is None else b.shape, groups)
    N, C, H, W = x.shape
    _, FG, KH, KW = w.shape
    window = place_transposed(H, W, (KH, KW), stride, padding, output_padding, dilation)
    y_shape = (N, FG * groups, window.H, window.W)
    rows = by_group(x.transpose(0, 2, 3, 1).reshape(N * H * W, C), groups)  # (groups, N·H·W, C/groups)
    filters = w.reshape(groups, C // groups, FG * KH * KW)
    stamps = (rows @ filters).transpose(1, 0, 2).reshape(N * H * W, FG * groups * KH * KW)
    y = col2im(stamps, y_shape, (KH, KW), *_border(window))  # where stamps overlap, they add
    if b is not None:
        y = y + b[:, None, None]
    return y, (rows, filters, x.shape, w.shape, y_shape, b is not None, window)


@formula(
    "dyp[n, f, u+top, v+left] = dy[n,f,u,v]",
    "dx[n,c,r,q] = sum[f,i,j](dyp[n, f0+f, r*sv+i*dv, q*sh+j*dh] * w[c,f,i,j])",
    "dw[c,f,i,j] = sum[n,r,q](x[n,c,r,q] * dyp[n, f0+f, r*sv+i*dv, q*sh+j*dh])",
    "db[f] = sum[n,u,v](dy[n,f,u,v])",
    shapes="-> dx, dw, db",
)
def conv_transpose2d_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array | None]:
    """The transpose of the transpose: dx is the plain convolution of dy. Without a bias, db is None."""
    rows, filters, x_shape, w_shape, y_shape, has_bias, window = cache
    N, C, H, W = x_shape
    dy = upstream(dy, y_shape)
    cols, _ = im2col(dy, w_shape[2:], *_border(window))  # (N·H·W, F·KH·KW): what each pixel's stamp covered
    cols = by_group(cols, len(filters))  # (groups, N·H·W, F/groups·KH·KW)
    dx = (cols @ filters.transpose(0, 2, 1)).transpose(1, 0, 2).reshape(N, H, W, C).transpose(0, 3, 1, 2)
    dw = (rows.transpose(0, 2, 1) @ cols).reshape(w_shape)
    return dx, dw, dy.sum(axis=(0, 2, 3)) if has_bias else None


def check_transposed_shapes(C: int, w_shape: tuple[int, ...], b_shape: tuple[int, ...] | None, groups: int) -> None:
    """Raise ShapeError unless images of C channels fit filters of this shape."""
    if groups < 1 or C % groups:
        raise ShapeError(f"groups={groups} must divide the {C} channels")
    if w_shape[0] != C:
        raise ShapeError(
            f"the image has {C} channels, but w of shape {w_shape} takes {w_shape[0]}: the filters of a transposed "
            "convolution are (C, F/groups, KH, KW), the channels first"
        )
    F = w_shape[1] * groups
    if b_shape is not None and b_shape != (F,):
        raise ShapeError(f"the bias must have one number an output channel, ({F},), got shape {b_shape}")


def _border(window: Window) -> tuple[Any, ...]:
    """Stride, padding and dilation, as im2col and col2im take them."""
    sides = (window.top, window.bottom, window.left, window.right)
    return (window.sv, window.sh), sides, (window.dv, window.dh)
