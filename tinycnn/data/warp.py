"""Turning, stretching and shifting a picture: ask for each new pixel where it was before, and look there.

Going from the new picture to the old one (inverse mapping) leaves no holes. The place lies between pixels, so the four
around it are blended: every old pixel is a tent of height 1, and a place gets what the tents over it sum to.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula

Array = np.ndarray
BORDERS = ("fill", "edge", "reflect")


def cosine_and_sine(degrees: Any) -> tuple[Array, Array]:
    """Cosine and sine of angles in degrees, exact at quarter turns, where π in floating point is a hair off.

    >>> [float(part) for part in cosine_and_sine(90.0)]
    [0.0, 1.0]
    """
    degrees = np.asarray(degrees, np.float64)
    quarter, exact = np.int64(degrees // 90 % 4), degrees % 90 == 0
    turn = np.deg2rad(degrees)
    cosine = np.where(exact, np.array([1.0, 0, -1, 0])[quarter], np.cos(turn))
    return cosine, np.where(exact, np.array([0, 1.0, 0, -1])[quarter], np.sin(turn))


def _matrix_names(names: dict[str, Any]) -> dict[str, Any]:
    given = {key: np.asarray(names[key], np.float64) for key in ("angle", "scale", "shear", "down", "right")}
    wide = dict(zip(given, np.broadcast_arrays(*map(np.atleast_1d, given.values())), strict=True))
    co, si = cosine_and_sine(wide["angle"])
    return wide | {"co": co, "si": si, "N": len(co)}


@formula(
    "m[n,0,0] = co[n] / scale[n]",
    "m[n,0,1] = si[n] / scale[n]",
    "m[n,1,0] = (0 - si[n] - shear[n] * co[n]) / scale[n]",
    "m[n,1,1] = (co[n] - shear[n] * si[n]) / scale[n]",
    "m[n,0,2] = 0 - m[n,0,0] * down[n] - m[n,0,1] * right[n]",
    "m[n,1,2] = 0 - m[n,1,0] * down[n] - m[n,1,1] * right[n]",
    where="co, si are the cosine and the sine of the angle",
    shapes="angle (N), scale (N), shear (N), down (N), right (N) -> m (N,2,3)",
    source="Foley, van Dam, Feiner & Hughes 1990, Computer Graphics, section 5.2",
    given=_matrix_names,
)
def inverse_affine(angle: Any = 0.0, scale: Any = 1.0, shear: Any = 0.0, down: Any = 0.0, right: Any = 0.0) -> Array:
    """The way back from a picture that was sheared, turned, scaled and shifted, as a matrix for each.

    Forward, a place (row, column) about the middle is sheared (column + shear·row), turned counter-clockwise by `angle`
    degrees, multiplied by `scale` and shifted `down` and `right` by pixels. The matrix undoes this, last step first.
    Arguments are numbers, or arrays (N,) with one for each picture.

    >>> inverse_affine(angle=90.0).tolist()
    [[[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]]
    """
    names = _matrix_names({"angle": angle, "scale": scale, "shear": shear, "down": down, "right": right})
    co, si, scale, shear, down, right = (names[key] for key in ("co", "si", "scale", "shear", "down", "right"))
    if not (scale > 0).all():
        raise ValueError(f"scale must be above 0, got {scale.min()}")
    m = np.stack([co, si, -si - shear * co, co - shear * si], axis=1).reshape(-1, 2, 2) / scale[:, None, None]
    shift = np.stack([down, right], axis=1)[:, :, None]  # (N, 2, 1)
    return np.concatenate([m, 0 - m @ shift], axis=2)


@formula(
    "row[n,u,v] = (H - 1) / 2 + m[n,0,0] * (u - (OH - 1) / 2) + m[n,0,1] * (v - (OW - 1) / 2) + m[n,0,2]",
    "column[n,u,v] = (W - 1) / 2 + m[n,1,0] * (u - (OH - 1) / 2) + m[n,1,1] * (v - (OW - 1) / 2) + m[n,1,2]",
    where="OH = H; OW = W",
    shapes="m (N,2,3) -> row (N,OH,OW), column (N,OH,OW)",
    source="Heckbert 1989, Fundamentals of texture mapping and image warping, section 2.2",
    given=lambda names: {"OH": names["H"], "OW": names["W"]},
)
def affine_places(m: Array, H: int, W: int) -> tuple[Array, Array]:
    """Where in the old picture each pixel of the new one comes from; the middle of the picture is the fixed point.

    >>> row, column = affine_places(inverse_affine(right=1.0), 1, 3)
    >>> row.tolist(), column.tolist()
    ([[[0.0, 0.0, 0.0]]], [[[-1.0, 0.0, 1.0]]])
    """
    u, v = np.arange(H)[:, None] - (H - 1) / 2, np.arange(W) - (W - 1) / 2
    a = m[:, :, :, None, None]
    row = (H - 1) / 2 + (a[:, 0, 0] * u + a[:, 0, 1] * v + a[:, 0, 2])
    return row, (W - 1) / 2 + (a[:, 1, 0] * u + a[:, 1, 1] * v + a[:, 1, 2])


@formula(
    "y[n,c,u,v] = fill + sum[r,q]((x[n,c,r,q] - fill)"
    " * max(0, 1 - max(row[n,u,v] - r, r - row[n,u,v])) * max(0, 1 - max(column[n,u,v] - q, q - column[n,u,v])))",
    where="row, column is the place, between pixels, that new pixel (u, v) comes from",
    shapes="x (N,C,H,W), row (N,OH,OW), column (N,OH,OW), fill () -> y (N,C,OH,OW)",
    source="Jaderberg et al. 2015, Spatial transformer networks, arXiv:1506.02025, equation 5",
)
def sample(x: Array, row: Array, column: Array, fill: float = 0.0) -> Array:
    """Pictures (N, C, H, W) at places between their pixels, by bilinear interpolation; `fill` is all around them.

    >>> x = np.array([[[[0.0, 1.0], [2.0, 3.0]]]])
    >>> sample(x, np.array([[[0.5]]]), np.array([[[0.5]]])).item()
    1.5
    """
    N, C, H, W = x.shape
    above, left = np.floor(row), np.floor(column)
    down, right = ((place - whole).astype(x.dtype)[..., None] for place, whole in ((row, above), (column, left)))
    xp = np.full((N, H + 2, W + 2, C), fill, x.dtype)  # channels last: a place's numbers lie side by side
    xp[:, 1:-1, 1:-1] = x.transpose(0, 2, 3, 1)
    xp = xp.reshape(-1, C)
    first = np.arange(N, dtype=np.intp)[:, None, None] * (H + 2)
    top, bottom = ((first + np.clip(above + i, 0, H + 1).astype(np.intp)) * (W + 2) for i in (1, 2))
    before, after = (np.clip(left + j, 0, W + 1).astype(np.intp) for j in (1, 2))
    y = xp.take(top + before, axis=0) * ((1 - down) * (1 - right)) + xp.take(top + after, axis=0) * ((1 - down) * right)
    y += xp.take(bottom + before, axis=0) * (down * (1 - right)) + xp.take(bottom + after, axis=0) * (down * right)
    return np.ascontiguousarray(y.transpose(0, 3, 1, 2))


def sample_nearest(x: Array, row: Array, column: Array, fill: Any = 0) -> Array:
    """Pictures or masks (N, C, H, W) at places between their pixels: the nearest pixel, or `fill` outside.

    >>> sample_nearest(np.array([[[[1, 2, 3]]]]), np.zeros((1, 1, 2)), np.array([[[1.2, 2.6]]])).tolist()
    [[[[2, 0]]]]
    """
    N, C, H, W = x.shape
    r, q = np.floor(row + 0.5).astype(np.intp), np.floor(column + 0.5).astype(np.intp)
    inside = (r >= 0) & (r < H) & (q >= 0) & (q < W)
    place = np.where(inside, r * W + q, 0).reshape(N, 1, math.prod(row.shape[1:]))
    y = np.take_along_axis(x.reshape(N, C, H * W), place, 2).reshape(N, C, *row.shape[1:])
    return np.where(inside[:, None], y, np.asarray(fill, x.dtype))


def fold(place: Array, size: int, border: str) -> Array:
    """Places beyond an axis of `size` pixels brought back: to the edge, or mirrored there, as `border` says.

    >>> fold(np.array([-2.0, 0.5, 3.5]), 3, "edge").tolist(), fold(np.array([-2.0, 3.0]), 3, "reflect").tolist()
    ([0.0, 0.5, 2.0], [1.0, 2.0])
    """
    if border == "reflect":
        place = (place + 0.5) % (2 * size)  # there and back again
        place = np.minimum(place, 2 * size - place) - 0.5
    return place if border == "fill" else np.clip(place, 0, size - 1)


def affine(
    x: Array, angle: Any = 0.0, scale: Any = 1.0, shear: Any = 0.0, down: Any = 0.0, right: Any = 0.0,
    border: str = "fill", fill: Any = 0, nearest: bool = False,
) -> Array:  # fmt: skip
    """Pictures (C, H, W) or (N, C, H, W) sheared, turned counter-clockwise, scaled and shifted: see `inverse_affine`.

    What comes from outside is `fill`, or with `border` "edge" the nearest pixel, with "reflect" the picture mirrored.
    `nearest` takes the nearest pixel instead of blending, for masks.

    Raises ShapeError for another shape, ValueError for a border that is none, TypeError for integers that are to be
    blended.

    >>> affine(np.array([[[1.0, 2.0, 3.0]]]), right=1.0)
    array([[[0., 1., 2.]]])
    """
    x = np.asarray(x)
    if x.ndim not in (3, 4) or 0 in x.shape[1:]:
        raise ShapeError(f"x must be (C, H, W) or (N, C, H, W), got shape {x.shape}")
    if border not in BORDERS:
        raise ValueError(f"border must be one of {', '.join(BORDERS)}, got {border!r}")
    if x.dtype.kind != "f" and not nearest:
        raise TypeError(f"x has {x.dtype}, and class numbers have no mean: move masks with nearest=True")
    batch = x if x.ndim == 4 else x[None]
    H, W = batch.shape[2:]
    row, column = affine_places(inverse_affine(angle, scale, shear, down, right), H, W)
    row, column = (np.broadcast_to(p, (len(batch), H, W)) for p in (fold(row, H, border), fold(column, W, border)))
    y = (sample_nearest if nearest else sample)(batch, row, column, fill)
    return y if x.ndim == 4 else y[0]
