"""A filter is a convolution whose weights somebody chose: to blur, to sharpen, to find edges.

A network learns such weights by itself; these are the ones that people found before, and they run through the very
convolution that the network uses. Each channel is filtered on its own (a depthwise convolution), and a picture keeps
its size: around it, its edge pixels go on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops import conv2d_forward

Array = np.ndarray

# How fast brightness rises to the right, smoothed down the column with 1, 2, 1 (Sobel & Feldman 1968, Stanford AI
# Project); its transpose is how fast it rises downward.
SOBEL = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
# The second derivatives down and across, as differences of differences, added (Gonzalez & Woods 2018, section 3.6).
LAPLACIAN = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
# The picture less its Laplacian: edges stand out on both sides (Gonzalez & Woods 2018, section 3.6).
SHARPEN = np.array([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]])


@formula(
    "w[i,j] = 1 / (KH * KW)",
    where="KH = size; KW = size",
    shapes="-> w (KH,KW)",
    source="Gonzalez & Woods 2018, Digital Image Processing, section 3.5",
    given=lambda names: {"KH": names["size"], "KW": names["size"]},
)
def box_kernel(size: int) -> Array:
    """Weights, all alike, that add up to 1: each pixel becomes the mean of the square around it.

    >>> box_kernel(2).tolist()
    [[0.25, 0.25], [0.25, 0.25]]
    """
    return np.full((size, size), 1 / (size * size))


@formula(
    "g[i] = exp(0 - (i - (KH - 1) / 2)**2 / (2 * sigma**2))",
    "total = sum[i](g[i])",
    "w[i,j] = g[i] * g[j] / total**2",
    where="KH = size; KW = size; sigma is the standard deviation, in pixels",
    shapes="sigma () -> w (KH,KW)",
    source="Gonzalez & Woods 2018, Digital Image Processing, section 3.5",
    given=lambda names: _gaussian_size(names["sigma"], names["size"]),
)
def gaussian_kernel(sigma: float, size: int | None = None) -> Array:
    """Weights that fall off like a bell, alike in all directions, and add up to 1.

    `size` is odd, and wide enough for three standard deviations to either side unless told.

    >>> gaussian_kernel(1.0, size=3).round(3).tolist()
    [[0.075, 0.124, 0.075], [0.124, 0.204, 0.124], [0.075, 0.124, 0.075]]
    """
    if not (np.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma must be above 0, got {sigma!r}")
    size = _gaussian_size(sigma, size)["KH"]
    g = np.exp(-((np.arange(size) - (size - 1) / 2) ** 2) / (2 * sigma**2))
    return np.outer(g, g) / g.sum() ** 2


def _gaussian_size(sigma: float, size: int | None) -> dict[str, int]:
    size = 2 * int(np.ceil(3 * sigma)) + 1 if size is None else size
    return {"KH": size, "KW": size}


def filter_image(x: Array, kernel: Any, border: str = "edge") -> Array:
    """Every channel of pictures (C, H, W) or (N, C, H, W) convolved with one kernel (KH, KW) of odd size.

    Convolution is cross-correlation, as everywhere here: the kernel is laid on as it is printed. Around the picture its
    edge pixels go on, or with `border="zero"` there is black. Nothing is clipped.

    Raises ShapeError for another shape or an even kernel.

    >>> filter_image(np.array([[[0.0, 0, 1, 1]]]), SOBEL)
    array([[[0., 4., 4., 0.]]])
    """
    x = np.asarray(x)
    if x.dtype.kind != "f":
        raise TypeError(f"x must hold floats, got {x.dtype}; bytes become x.astype(np.float32) / 255")
    kernel = np.asarray(kernel, x.dtype)
    if x.ndim not in (3, 4):
        raise ShapeError(f"x must be (C, H, W) or (N, C, H, W), got shape {x.shape}")
    if kernel.ndim != 2 or not all(size % 2 for size in kernel.shape):
        raise ShapeError(f"a kernel is (KH, KW), both odd so that it has a middle; got shape {kernel.shape}")
    if border not in ("edge", "zero"):
        raise ValueError(f"border must be edge or zero, got {border!r}")
    (KH, KW), (H, W) = kernel.shape, x.shape[-2:]
    planes = x.reshape(-1, 1, H, W)  # every channel a picture of its own: one filter serves them all
    around = ((0, 0), (0, 0), (KH // 2, KH // 2), (KW // 2, KW // 2))
    xp = np.pad(planes, around, "edge") if border == "edge" else np.pad(planes, around)
    y, _ = conv2d_forward(xp, kernel[None, None], np.zeros(1, x.dtype))
    return y.reshape(x.shape)


def box_blur(x: Array, size: int = 3) -> Array:
    """Each pixel the mean of the `size`×`size` square around it: see `box_kernel`.

    >>> box_blur(np.array([[[0.0, 0, 3, 0, 0]]]))
    array([[[0., 1., 1., 1., 0.]]])
    """
    return filter_image(x, box_kernel(size))


def gaussian_blur(x: Array, sigma: float = 1.0) -> Array:
    """As through frosted glass: see `gaussian_kernel`.

    >>> gaussian_blur(np.array([[[0.0, 1, 0]]])).round(2)
    array([[[0.24, 0.4 , 0.24]]])
    """
    return filter_image(x, gaussian_kernel(sigma))


def sharpen(x: Array) -> Array:
    """Edges stand out: see `SHARPEN`; clipped to [0, 1].

    >>> sharpen(np.array([[[0.25, 0.25, 0.5, 0.5]]]))
    array([[[0.25, 0.  , 0.75, 0.5 ]]])
    """
    return np.clip(filter_image(x, SHARPEN), 0, 1)


@formula(
    "y[n,c,r,q] = sqrt(across[n,c,r,q]**2 + down[n,c,r,q]**2)",
    where="across and down are x filtered with SOBEL and with its transpose",
    shapes="x (N,C,H,W) -> y (N,C,H,W)",
    source="Gonzalez & Woods 2018, Digital Image Processing, section 10.2",
    given=lambda names: {"across": filter_image(names["x"], SOBEL), "down": filter_image(names["x"], SOBEL.T)},
)
def edges(x: Array) -> Array:
    """How steep the picture is at each pixel, whichever way: large on edges, 0 where nothing changes.

    >>> edges(np.array([[[0.0, 0, 1, 1]]]))
    array([[[0., 4., 4., 0.]]])
    """
    return np.hypot(filter_image(x, SOBEL), filter_image(x, SOBEL.T))
