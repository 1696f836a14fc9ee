"""Pooling: slide a window over each channel and keep one number of it, the largest, the smallest or the mean.

Backward, the number's gradient goes back where it came from: all of it to the one cell that was the maximum, or an
equal share to every cell of the mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, upstream
from tinycnn.ops.window import Window, place_pool, window_names


def _place(x: Array, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Window:
    H, W = x.shape[2:]
    return place_pool(H, W, kernel_size, stride, padding, dilation, ceil_mode)


@formula(
    "y[n,c,u,v] = max[i,j](xp[n, c, u*sv+i*dv, v*sh+j*dh])",
    where="xp is x padded with −∞; sv, sh = stride; dv, dh = dilation",
    shapes="x (N,C,H,W) -> y (N,C,OH,OW)",
    source="Ranzato, Huang, Boureau & LeCun 2007, CVPR",
    given=lambda names: window_names(names, fill=-np.inf),
)
def max_pool2d_forward(
    x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> tuple[Array, tuple]:
    """Keep the largest number of each window; without a `stride` the windows lie side by side.

    Of equal numbers the first counts; a NaN in the window is the answer.

    Raises ShapeError if the kernel is larger than the padded image.

    >>> max_pool2d_forward(np.arange(16.0).reshape(1, 1, 4, 4), kernel_size=2)[0][0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    x = floating(x, "x", "N,C,H,W")
    window = _place(x, kernel_size, stride, padding, dilation, ceil_mode)
    windows = window.view(window.pad(x, -np.inf))
    windows = windows.reshape(*windows.shape[:4], window.KH * window.KW)  # (N, C, OH, OW, KH·KW)
    winner = windows.real.argmax(axis=-1)  # the first of equals, and the first NaN of all
    y = np.take_along_axis(windows, winner[..., None], axis=-1)[..., 0]
    first_inside = window.inside().reshape(window.OH, window.OW, -1).argmax(axis=-1)
    winner = np.where(np.isneginf(y.real), first_inside, winner)  # all −∞: a cell of the image, not of the border
    return y, (winner, window, x.shape)


@formula(
    "dxp[n, c, u*sv+a*dv, v*sh+b*dh] += dy[n,c,u,v]",
    "dx[n,c,r,q] = dxp[n, c, r+top, q+left]",
    where="a, b = argmax[i,j](xp[n, c, u*sv+i*dv, v*sh+j*dh])",
    shapes="-> dx",
)
def max_pool2d_backward(dy: Array, cache: tuple) -> Array:
    """Route each upstream gradient to the cell that was the maximum; where windows overlap, the gradients add."""
    winner, window, x_shape = cache
    dy = upstream(dy, winner.shape)
    dxp = np.zeros_like(window.pad(np.empty(x_shape, dy.dtype)))
    for tap, (i, j) in enumerate(np.ndindex(window.KH, window.KW)):
        dxp[window.tap(i, j)] += np.where(winner == tap, dy, 0)
    return window.crop(dxp)


@formula(
    "indices[n,c,u,v] = (u*sv + a*dv - top)*W + v*sh + b*dh - left",
    where="a, b = argmax[i,j](xp[n, c, u*sv+i*dv, v*sh+j*dh]); xp is x padded with −∞",
    shapes="x (N,C,H,W) -> indices (N,C,OH,OW)",
    source="Zeiler & Fergus 2014, arXiv:1311.2901, section 2.1",
    given=lambda names: window_names(names, fill=-np.inf),
)
def max_pool2d_indices(cache: tuple) -> Array:
    """From a max pool's cache, where in its H×W channel each maximum was, counted row by row.

    >>> y, cache = max_pool2d_forward(np.array([[[[1.0, 5.0], [3.0, 4.0]]]]), kernel_size=2)
    >>> max_pool2d_indices(cache)
    array([[[[1]]]])
    """
    winner, window, (_, _, _, W) = cache
    row = np.arange(window.OH)[:, None] * window.sv + winner // window.KW * window.dv - window.top
    column = np.arange(window.OW) * window.sh + winner % window.KW * window.dh - window.left
    return row * W + column


@formula(
    "y[n,c,u,v] = min[i,j](xp[n, c, u*sv+i*dv, v*sh+j*dh])",
    where="xp is x padded with +∞; sv, sh = stride; dv, dh = dilation",
    shapes="x (N,C,H,W) -> y (N,C,OH,OW)",
    source="the smallest value of a region, beside the largest",
    given=lambda names: window_names(names, fill=np.inf),
)
def min_pool2d_forward(
    x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> tuple[Array, tuple]:
    """Keep the smallest number of each window: min(x) = −max(−x).

    Behind a ReLU it mostly returns 0: one dark pixel in the window is enough.

    Raises ShapeError if the kernel is larger than the padded image.

    >>> min_pool2d_forward(np.arange(16.0).reshape(1, 1, 4, 4), kernel_size=2)[0][0, 0]
    array([[ 0.,  2.],
           [ 8., 10.]])
    """
    y, cache = max_pool2d_forward(-floating(x, "x"), kernel_size, stride, padding, dilation, ceil_mode)
    return -y, cache


@formula(
    "dxp[n, c, u*sv+a*dv, v*sh+b*dh] += dy[n,c,u,v]",
    "dx[n,c,r,q] = dxp[n, c, r+top, q+left]",
    where="a, b = argmax[i,j](-xp[n, c, u*sv+i*dv, v*sh+j*dh])",
    shapes="-> dx",
)
def min_pool2d_backward(dy: Array, cache: tuple) -> Array:
    """Route each upstream gradient to the cell that was the minimum: the two minus signs of −max(−x) cancel."""
    return max_pool2d_backward(dy, cache)


def _avg_names(names: dict[str, Any]) -> dict[str, Any]:
    found = window_names(names)
    window, x = found["window"], names["x"]
    counted = np.ones(x.shape[2:])
    border = ((window.top, window.bottom), (window.left, window.right))
    counted = np.pad(counted, border, constant_values=float(names["count_include_pad"]))
    return found | {"counted": np.pad(counted, ((0, window.over_v), (0, window.over_h)))}


@formula(
    "y[n,c,u,v] = sum[i,j](xp[n, c, u*sv+i, v*sh+j]) / sum[i,j](counted[u*sv+i, v*sh+j])",
    where="xp is x padded with zeros; sv, sh = stride;"
    "counted is 1 in the image, on its border 1 with count_include_pad and else 0, beyond it 0",
    shapes="x (N,C,H,W) -> y (N,C,OH,OW)",
    source="LeCun, Bottou, Bengio & Haffner 1998, Proc. IEEE 86(11), section II.B",
    given=_avg_names,
)
def avg_pool2d_forward(
    x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> tuple[Array, tuple]:  # fmt: skip
    """Take the mean of each window; without a `stride` the windows lie side by side.

    The mean is over the pixels of the image; with `count_include_pad`, the border's zeros count as well.

    Raises ShapeError if the kernel is larger than the padded image.

    >>> avg_pool2d_forward(np.arange(16.0).reshape(1, 1, 4, 4), kernel_size=2)[0][0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    x = floating(x, "x", "N,C,H,W")
    window = _place(x, kernel_size, stride, padding, 1, ceil_mode)
    divisor = cells_counted(window, count_include_pad).astype(x.real.dtype)  # (OH, OW)
    y = window.view(window.pad(x)).sum(axis=(-2, -1)) / divisor
    return y, (divisor, window, x.shape)


@formula(
    "dxp[n, c, u*sv+i, v*sh+j] += dy[n,c,u,v] / count[u,v]",
    "dx[n,c,r,q] = dxp[n, c, r+top, q+left]",
    where="count is how many cells of window (u, v) count",
    shapes="-> dx",
    given=lambda names: (found := _avg_names(names))
    | {"count": cells_counted(found["window"], names["count_include_pad"]).astype(float)},
)
def avg_pool2d_backward(dy: Array, cache: tuple) -> Array:
    """Give every cell of a window an equal share of the window's gradient; where windows overlap, the shares add."""
    divisor, window, x_shape = cache
    share = upstream(dy, (*x_shape[:2], window.OH, window.OW)) / divisor
    dxp = np.zeros_like(window.pad(np.empty(x_shape, share.dtype)))
    for i, j in np.ndindex(window.KH, window.KW):
        dxp[window.tap(i, j)] += share
    return window.crop(dxp)


def cells_counted(window: Window, count_include_pad: bool) -> Array:
    """How many cells count in each window, (OH, OW): those of the image, or also those of the border.

    What ceil_mode lets a window reach beyond the border never counts.
    """
    if not count_include_pad:
        return window.inside().sum(axis=(-2, -1))
    ends = window.H + window.top + window.bottom, window.W + window.left + window.right
    rows = np.minimum(ends[0] - np.arange(window.OH) * window.sv, window.KH)
    columns = np.minimum(ends[1] - np.arange(window.OW) * window.sh, window.KW)
    return rows[:, None] * columns


@formula(
    "y[n,c] = mean[r,q](x[n,c,r,q])",
    shapes="x (N,C,H,W) -> y (N,C)",
    source="Lin, Chen & Yan 2014, Network in Network, arXiv:1312.4400",
)
def global_avg_pool2d_forward(x: Array) -> tuple[Array, tuple]:
    """Take the mean of each channel over the whole image.

    >>> global_avg_pool2d_forward(np.arange(8.0).reshape(1, 2, 2, 2))[0]
    array([[1.5, 5.5]])
    """
    x = floating(x, "x", "N,C,H,W")
    return x.mean(axis=(2, 3)), (x.shape,)


@formula("dx[n,c,r,q] = dy[n,c] / (H*W)", shapes="-> dx")
def global_avg_pool2d_backward(dy: Array, cache: tuple) -> Array:
    """Give every pixel an equal share of its channel's gradient."""
    (x_shape,) = cache
    N, C, H, W = x_shape
    share = upstream(dy, (N, C)) / (H * W)
    return np.broadcast_to(share[:, :, None, None], x_shape).copy()
