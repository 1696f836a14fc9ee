"""Brighter, more contrast, purer, of another hue: each takes every pixel towards something or away from it.

Pictures are (C, H, W) or batches (N, C, H, W), in [0, 1]; what would leave that range is clipped. A factor is a number,
or an array (N,) with one for each picture; 1 changes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.data.colour import channels, hsv_to_rgb, rgb_to_gray, rgb_to_hsv
from tinycnn.errors import ShapeError
from tinycnn.formula import formula

Array = np.ndarray
_SHAPES = "x (N,C,H,W), factor (N) -> y (N,C,H,W)"


def _pictures(x: Any) -> Array:
    x = np.asarray(x)
    if x.dtype.kind != "f":
        raise TypeError(f"x must hold floats in [0, 1], got {x.dtype}; bytes become x.astype(np.float32) / 255")
    if x.ndim not in (3, 4):
        raise ShapeError(f"x must be (C, H, W) or (N, C, H, W), got shape {x.shape}")
    return x


def _factor(factor: Any, x: Array) -> Array:
    """A factor for each picture, in the shape and the type that x can be multiplied with."""
    factor = np.asarray(factor, x.dtype)
    if factor.shape not in ((), (1,)) and (x.ndim == 3 or factor.shape != (len(x),)):
        raise ShapeError(f"a factor is one number, or one for each picture; got shape {factor.shape} for x {x.shape}")
    return factor.reshape(-1, 1, 1, 1) if x.ndim == 4 else factor.reshape(1, 1, 1)


def _gray(x: Array) -> Array:
    return rgb_to_gray(x) if x.shape[-3] == 3 else x


@formula(
    "y[n,c,r,q] = min(1, max(0, factor[n] * x[n,c,r,q]))",
    shapes=_SHAPES,
    source="Haeberli & Voorhies 1994, Image processing by interpolation and extrapolation",
)
def brightness(x: Array, factor: Any) -> Array:
    """Away from black: 0 is black, 2 twice as bright.

    >>> brightness(np.array([[[0.25, 0.75]]]), 2.0)
    array([[[0.5, 1. ]]])
    """
    x = _pictures(x)
    y = x * _factor(factor, x)
    return np.clip(y, 0, 1, out=y)


@formula(
    "middle[n] = mean[r,q](gray[n,0,r,q])",
    "y[n,c,r,q] = min(1, max(0, middle[n] + factor[n] * (x[n,c,r,q] - middle[n])))",
    where="gray is x as rgb_to_gray gives it",
    shapes="x (N,C,H,W), factor (N) -> y (N,C,H,W)",
    source="Haeberli & Voorhies 1994, Image processing by interpolation and extrapolation",
    given=lambda names: {"gray": _gray(names["x"])},
)
def contrast(x: Array, factor: Any) -> Array:
    """Away from the picture's mean brightness: 0 is one flat grey. Without three channels, the first counts.

    >>> contrast(np.array([[[0.25, 0.75]]]), 1.5)
    array([[[0.125, 0.875]]])
    """
    x = _pictures(x)
    middle = _gray(x)[..., :1, :, :].mean(axis=(-2, -1), keepdims=True)
    return np.clip(middle + _factor(factor, x) * (x - middle), 0, 1)


@formula(
    "y[n,c,r,q] = min(1, max(0, gray[n,0,r,q] + factor[n] * (x[n,c,r,q] - gray[n,0,r,q])))",
    where="gray is x as rgb_to_gray gives it",
    shapes=_SHAPES,
    source="Haeberli & Voorhies 1994, Image processing by interpolation and extrapolation",
    given=lambda names: {"gray": _gray(names["x"])},
)
def saturation(x: Array, factor: Any) -> Array:
    """Away from each pixel's own grey: 0 is a grey picture, 2 a gaudy one. A picture of one channel stays as it is.

    >>> saturation(np.array([0.5, 0.5, 0.0]).reshape(3, 1, 1), 0.0).ravel().round(3).tolist()
    [0.443, 0.443, 0.443]
    """
    x = _pictures(x)
    gray = _gray(x)
    return np.clip(gray + _factor(factor, x) * (x - gray), 0, 1)


def hue(x: Array, turn: Any) -> Array:
    """Every colour that far round the wheel, by way of `rgb_to_hsv`: a turn of ⅓ makes red green, and of 1 nothing.

    >>> hue(np.array([1.0, 0.0, 0.0]).reshape(3, 1, 1), 1 / 3).ravel().round(6).tolist()
    [0.0, 1.0, 0.0]
    """
    x = channels(x)
    hsv = rgb_to_hsv(x)
    hsv[..., 0:1, :, :] += _factor(turn, x)
    return hsv_to_rgb(hsv)


def gray(x: Array) -> Array:
    """The picture in grey, with as many channels as it had.

    >>> gray(np.array([1.0, 0.0, 0.0]).reshape(3, 1, 1)).ravel().tolist()
    [0.299, 0.299, 0.299]
    """
    x = _pictures(x)
    return np.repeat(rgb_to_gray(x), 3, axis=-3) if x.shape[-3] == 3 else x.copy()


@formula(
    "y[n,f,r,q] = offset[f] + sum[c](m[f,c] * x[n,c,r,q])",
    shapes="x (N,C,H,W), m (F,C), offset (F) -> y (N,F,H,W)",
    source="Haeberli 1993, Matrix operations for image processing",
)
def colour_matrix(x: Array, m: Any, offset: Any = 0.0) -> Array:
    """Each new channel as a sum of the old ones: a 1×1 convolution whose weights you choose. Nothing is clipped.

    >>> swap = [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    >>> colour_matrix(np.array([0.1, 0.2, 0.3]).reshape(3, 1, 1), swap).ravel().tolist()
    [0.3, 0.2, 0.1]
    """
    x = _pictures(x)
    m = np.asarray(m, x.dtype)
    if m.ndim != 2 or m.shape[1] != x.shape[-3]:
        raise ShapeError(f"m must be (F, C) with C = {x.shape[-3]}, the channels of x; got shape {m.shape}")
    offset = np.broadcast_to(np.asarray(offset, x.dtype), len(m))
    return np.einsum("fc,...chw->...fhw", m, x) + offset[:, None, None]


@formula(
    "y[n,c,r,q] = (x[n,c,r,q] - mean[c]) / std[c]",
    shapes="x (N,C,H,W), mean (C), std (C) -> y (N,C,H,W)",
    source="LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.3",
)
def normalise(x: Array, mean: Any, std: Any) -> Array:
    """Each channel less its mean over all training pictures, in standard deviations: numbers around 0, not clipped.

    Raises ShapeError where mean or std is neither one number nor one a channel, ValueError for a std that is not
    above 0.

    >>> normalise(np.array([[[0.25, 0.75]]]), mean=0.5, std=0.25)
    array([[[-1.,  1.]]])
    """
    x = _pictures(x)
    mean, std = np.asarray(mean, x.dtype), np.asarray(std, x.dtype)
    for name, value in (("mean", mean), ("std", std)):
        if value.shape not in ((), (1,), (x.shape[-3],)):
            raise ShapeError(
                f"{name} must be one number, or one for each of {x.shape[-3]} channels; got shape {value.shape}"
            )
    if not (std > 0).all():
        raise ValueError(f"std must be above 0, got {std}")
    return (x - mean.reshape(-1, 1, 1)) / std.reshape(-1, 1, 1)
