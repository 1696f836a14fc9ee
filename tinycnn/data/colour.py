"""A colour is three numbers, and which three is a choice: red, green, blue; hue, saturation, value; or light and tint.

Every function takes a picture (3, H, W) or a batch of them (N, 3, H, W), in [0, 1], and gives the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula

Array = np.ndarray
GRAY = (0.299, 0.587, 0.114)  # how bright the eye finds red, green and blue
MIDDLE = 128 / 255  # no tint: the byte 128
_SHAPES = "x (N,C,H,W) -> "


def channels(x: Any, count: int = 3, name: str = "x") -> Array:
    """x as an array of floats whose third axis from the end has `count` channels; or a ShapeError or TypeError."""
    x = np.asarray(x)
    if x.dtype.kind != "f":
        raise TypeError(
            f"{name} must hold floats in [0, 1], got {x.dtype}; bytes become {name}.astype(np.float32) / 255"
        )
    if x.ndim not in (3, 4) or x.shape[-3] != count:
        raise ShapeError(f"{name} must be ({count}, H, W) or (N, {count}, H, W), got shape {x.shape}")
    return x


@formula(
    "y[n,r,q] = 0.299*x[n,0,r,q] + 0.587*x[n,1,r,q] + 0.114*x[n,2,r,q]",
    shapes=_SHAPES + "y (N,H,W)",
    source="ITU-R BT.601, section 2.5.1",
)
def rgb_to_gray(x: Array) -> Array:
    """How bright each colour looks: mostly its green, a third its red, a little its blue; one channel.

    >>> rgb_to_gray(np.array([1.0, 1.0, 0.0]).reshape(3, 1, 1)).round(3)
    array([[[0.886]]])
    """
    x = channels(x)
    red, green, blue = GRAY
    return red * x[..., 0:1, :, :] + green * x[..., 1:2, :, :] + blue * x[..., 2:3, :, :]


@formula(
    "value[n,r,q] = max[c](x[n,c,r,q])",
    "spread[n,r,q] = value[n,r,q] - min[c](x[n,c,r,q])",
    "sat[n,r,q] = 0 if value[n,r,q] == 0 else spread[n,r,q] / value[n,r,q]",
    "sector[n,r,q] = 0 if spread[n,r,q] == 0 else ("
    "(x[n,1,r,q] - x[n,2,r,q]) / spread[n,r,q] if value[n,r,q] == x[n,0,r,q] else ("
    "2 + (x[n,2,r,q] - x[n,0,r,q]) / spread[n,r,q] if value[n,r,q] == x[n,1,r,q] else "
    "4 + (x[n,0,r,q] - x[n,1,r,q]) / spread[n,r,q]))",
    "hue[n,r,q] = sector[n,r,q] / 6 % 1",
    where="sector is 0 at red, 2 at green, 4 at blue; sat is the saturation",
    shapes=_SHAPES + "hue (N,H,W), sat (N,H,W), value (N,H,W)",
    source="Smith 1978, Color gamut transform pairs, SIGGRAPH",
)
def rgb_to_hsv(x: Array) -> Array:
    """Which colour (a place on a wheel of 1 turn: red 0, green ⅓, blue ⅔), how pure, and how bright.

    Channel 0 of the result is the hue, 1 the saturation, 2 the value. A grey has hue and saturation 0.

    >>> rgb_to_hsv(np.array([0.0, 0.0, 0.5]).reshape(3, 1, 1)).ravel().round(3).tolist()
    [0.667, 1.0, 0.5]
    """
    x = channels(x)
    red, green, blue = (x[..., c, :, :] for c in range(3))
    value = x.max(axis=-3)
    spread = value - x.min(axis=-3)
    safe = np.where(spread == 0, 1, spread)
    sector = np.where(value == red, (green - blue) / safe,
                      np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe))  # fmt: skip
    hue = np.where(spread == 0, 0, sector) / 6 % 1
    hue = np.where(hue == 1, 0, hue)  # a hair below 0, modulo 1, rounds up to 1 in float32
    saturation = spread / np.where(value == 0, 1, value)
    return np.stack([hue, saturation, value], axis=-3).astype(x.dtype, copy=False)


@formula(
    "k[n,c,r,q] = (5 - 2*c + 6*x[n,0,r,q]) % 6",
    "y[n,c,r,q] = x[n,2,r,q] * (1 - x[n,1,r,q] * max(0, min(1, min(k[n,c,r,q], 4 - k[n,c,r,q]))))",
    where="x is the hue, saturation and value, as channels 0, 1 and 2; k is how far round the wheel each is",
    shapes=_SHAPES + "y (N,C,H,W)",
    source="Smith 1978, Color gamut transform pairs, SIGGRAPH",
)
def hsv_to_rgb(x: Array) -> Array:
    """Back from hue, saturation and value; the hue may be any number, and counts modulo 1.

    >>> hsv_to_rgb(np.array([1 / 3, 1.0, 0.5]).reshape(3, 1, 1)).ravel().round(3).tolist()
    [0.0, 0.5, 0.0]
    """
    x = channels(x)
    hue, saturation, value = (x[..., c : c + 1, :, :] for c in range(3))
    k = (np.array([5, 3, 1], x.dtype).reshape(3, 1, 1) + 6 * hue) % 6
    return value * (1 - saturation * np.clip(np.minimum(k, 4 - k), 0, 1))


@formula(
    "light[n,r,q] = 0.299*x[n,0,r,q] + 0.587*x[n,1,r,q] + 0.114*x[n,2,r,q]",
    "cb[n,r,q] = (x[n,2,r,q] - light[n,r,q]) / 1.772 + 128 / 255",
    "cr[n,r,q] = (x[n,0,r,q] - light[n,r,q]) / 1.402 + 128 / 255",
    where="cb, cr is how much bluer and redder than its light a colour is; their spans, 1.772 and 1.402, are made 1",
    shapes=_SHAPES + "light (N,H,W), cb (N,H,W), cr (N,H,W)",
    source="JPEG File Interchange Format 1.02, section 7, with 1 for the byte 255",
)
def rgb_to_ycbcr(x: Array) -> Array:
    """How bright, how much bluer than that, how much redder: what JPEG stores, the last two more coarsely.

    A grey has the tints 128/255. Pure blue and pure red reach 255.5/255, a hair above 1.

    >>> rgb_to_ycbcr(np.ones((3, 1, 1))).ravel().round(3).tolist()
    [1.0, 0.502, 0.502]
    """
    x = channels(x)
    light = rgb_to_gray(x)
    blue, red = x[..., 2:3, :, :], x[..., 0:1, :, :]
    return np.concatenate([light, (blue - light) / 1.772 + MIDDLE, (red - light) / 1.402 + MIDDLE], axis=-3)


@formula(
    "red[n,r,q] = x[n,0,r,q] + 1.402 * (x[n,2,r,q] - 128 / 255)",
    "blue[n,r,q] = x[n,0,r,q] + 1.772 * (x[n,1,r,q] - 128 / 255)",
    "green[n,r,q] = (x[n,0,r,q] - 0.299*red[n,r,q] - 0.114*blue[n,r,q]) / 0.587",
    where="x is the light, cb and cr of `rgb_to_ycbcr`, as channels 0, 1 and 2",
    shapes=_SHAPES + "red (N,H,W), green (N,H,W), blue (N,H,W)",
    source="JPEG File Interchange Format 1.02, section 7, with 1 for the byte 255",
)
def ycbcr_to_rgb(x: Array) -> Array:
    """Back from light and tints; combinations that no colour has come out beyond [0, 1].

    >>> ycbcr_to_rgb(rgb_to_ycbcr(np.array([0.2, 0.4, 0.6]).reshape(3, 1, 1))).ravel().round(12).tolist()
    [0.2, 0.4, 0.6]
    """
    x = channels(x)
    light, cb, cr = (x[..., c : c + 1, :, :] for c in range(3))
    red, blue = light + 1.402 * (cr - MIDDLE), light + 1.772 * (cb - MIDDLE)
    green = (light - GRAY[0] * red - GRAY[2] * blue) / GRAY[1]
    return np.concatenate([red, green, blue], axis=-3)
