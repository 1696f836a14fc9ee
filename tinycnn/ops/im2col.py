"""im2col: lay every window of an image out as one row of a matrix; col2im hands every entry back to its pixel.

A convolution is then one matrix product. A pixel lies in several windows, so col2im *adds*: that sum over all the
windows a pixel was in is the multivariate chain rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating
from tinycnn.ops.window import place_window, window_names


@formula(
    "cols[(n*OH+u)*OW+v, (c*KH+i)*KW+j] = xp[n, c, u*sv+i*dv, v*sh+j*dh]",
    where="xp is x padded with zeros; sv, sh = stride; dv, dh = dilation",
    shapes="x (N,C,H,W) -> cols (N*OH*OW, C*KH*KW)",
    source="Chellapilla, Puri & Simard 2006, High Performance Convolutional Neural Networks for Document Processing",
    given=window_names,
)
def im2col(x: Array, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> tuple[Array, tuple]:
    """Copy every window of a batch of images into a row; returns the rows and (N, OH, OW), which say whose they are.

    Raises ShapeError if the kernel is larger than the padded image.

    >>> cols, (N, OH, OW) = im2col(np.arange(9.0).reshape(1, 1, 3, 3), kernel_size=2)
    >>> cols
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    x = floating(x, "x", "N,C,H,W")
    N, C, H, W = x.shape
    window = place_window(H, W, kernel_size, stride, padding, dilation)
    windows = window.view(window.pad(x))  # (N, C, OH, OW, KH, KW)
    rows = windows.transpose(0, 2, 3, 1, 4, 5).copy()  # (N, OH, OW, C, KH, KW)
    return rows.reshape(N * window.OH * window.OW, C * window.KH * window.KW), (N, window.OH, window.OW)


def _col2im_names(names: dict[str, Any]) -> dict[str, Any]:
    N, C, _, _ = names["x_shape"]
    return {"N": N, "C": C} | window_names(names | {"x": np.zeros(names["x_shape"], names["cols"].dtype)})


@formula(
    "dxp[n, c, u*sv+i*dv, v*sh+j*dh] += cols[(n*OH+u)*OW+v, (c*KH+i)*KW+j]",
    "dx[n,c,r,q] = dxp[n, c, r+top, q+left]",
    where="dxp is a zero image of the padded size; sv, sh = stride; dv, dh = dilation",
    shapes="cols (N*OH*OW, C*KH*KW) -> dx (N,C,H,W)",
    source="the transpose of im2col",
    given=lambda names: _col2im_names(names) | {"H": names["x_shape"][2], "W": names["x_shape"][3]},
)
def col2im(
    cols: Array, x_shape: tuple[int, ...], kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Array:
    """Add every entry of the rows back onto the pixel that im2col took it from.

    Raises ShapeError if the kernel is larger than the padded image, or the rows are not those of such images.

    >>> col2im(np.ones((4, 4)), (1, 1, 3, 3), kernel_size=2)[0, 0]    # how many windows see each pixel
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    N, C, H, W = x_shape
    window = place_window(H, W, kernel_size, stride, padding, dilation)
    expected = (N * window.OH * window.OW, C * window.KH * window.KW)
    cols = floating(cols, "cols")
    if cols.shape != expected:
        raise ShapeError(f"cols must be {expected}, a row a window of images {tuple(x_shape)}, got {cols.shape}")
    windows = cols.reshape(N, window.OH, window.OW, C, window.KH, window.KW)
    dxp = np.zeros_like(window.pad(np.empty(x_shape, cols.dtype)))
    for i, j in np.ndindex(window.KH, window.KW):  # tap (i, j) of every window, all at once
        dxp[window.tap(i, j)] += windows[..., i, j].transpose(0, 3, 1, 2)
    return window.crop(dxp)
