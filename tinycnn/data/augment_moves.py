"""Augmentations that move pixels: mirrored, turned, cut out, stretched; a mask goes where its picture goes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.data.augment import Array, Movement
from tinycnn.data.draws import Draws
from tinycnn.data.resizing import METHODS, resize
from tinycnn.data.warp import BORDERS, affine
from tinycnn.errors import ShapeError
from tinycnn.ops.checks import four_sides, pair

PAD_MODES = {"fill": "constant", "edge": "edge", "reflect": "symmetric"}


def check_probability(p: Any) -> float:
    """p as a float in [0, 1], or a ValueError."""
    if not 0 <= p <= 1:
        raise ValueError(f"a probability is in [0, 1], got {p!r}")
    return float(p)


def span(value: Any, name: str, around: float = 0.0) -> tuple[float, float]:
    """A range (low, high), also from one number: that far to either side of `around`; or a ValueError.

    >>> span(0.2, "factor", around=1), span((0.5, 2), "factor")
    ((0.8, 1.2), (0.5, 2.0))
    """
    low, high = (around - value, around + value) if np.ndim(value) == 0 else value
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ValueError(f"{name} must be a number ≥ 0, or a range (low, high), got {value!r}")
    return float(low), float(high)


def pad(x: Array, padding: Any, border: str = "fill", fill: Any = 0) -> Array:
    """Pictures or masks (…, H, W) with a border: an int, (vertical, horizontal) or (top, bottom, left, right).

    The border is `fill`, or with `border` "edge" the nearest pixel, with "reflect" the picture mirrored.

    >>> pad(np.array([[1, 2]]), (0, 1), "reflect")
    array([[1, 1, 2, 2]])
    """
    if border not in BORDERS:
        raise ValueError(f"border must be one of {', '.join(BORDERS)}, got {border!r}")
    top, bottom, left, right = four_sides(padding)
    widths = [(0, 0)] * (x.ndim - 2) + [(top, bottom), (left, right)]
    if border == "fill":
        return np.pad(x, widths, constant_values=fill)
    return np.pad(x, widths, PAD_MODES[border])  # type: ignore[call-overload]


def crop(x: Array, size: Any, top: int | None = None, left: int | None = None) -> Array:
    """The part of pictures or masks (…, H, W) that is `size` large and begins at (top, left), or lies in the middle.

    Raises ShapeError where it reaches outside the picture.

    >>> crop(np.arange(9).reshape(3, 3), 1), crop(np.arange(9).reshape(3, 3), (1, 2), top=2, left=0)
    (array([[4]]), array([[6, 7]]))
    """
    (h, w), (H, W) = pair(size, "size"), x.shape[-2:]
    top, left = (H - h) // 2 if top is None else top, (W - w) // 2 if left is None else left
    if not (0 <= top <= H - h and 0 <= left <= W - w):
        raise ShapeError(f"a crop of {h}×{w} at row {top}, column {left} reaches outside the {H}×{W} picture")
    return x[..., top : top + h, left : left + w].copy()


class RandomFlip(Movement):
    """Mirrored with probability `p`: left and right, or with `axis="vertical"` top and bottom.

    >>> RandomFlip(axis="vertical", p=1)(np.array([[[1.0], [2.0]]])).ravel()
    array([2., 1.])
    """

    def __init__(self, axis: str = "horizontal", p: float = 0.5):
        if axis not in ("horizontal", "vertical"):
            raise ValueError(f"axis must be horizontal or vertical, got {axis!r}")
        self.axis, self.p = axis, check_probability(p)

    def draw(self, draws: Draws, size: tuple[int, int]) -> Array:
        """Which of them are mirrored."""
        return draws.chance(self.p)

    def move(self, x: Array, way: Array, is_mask: bool) -> Array:
        """Those, from the other end."""
        y = x.copy()
        y[way] = x[way][..., ::-1] if self.axis == "horizontal" else x[way][..., ::-1, :]
        return y


class RandomRotate90(Movement):
    """Turned by 0, 1, 2 or 3 quarters, all alike, without blending; pictures must be square.

    >>> RandomRotate90()(np.array([[[1.0, 2.0], [3.0, 4.0]]]), seed=2)
    array([[[4., 3.],
            [2., 1.]]])
    """

    def draw(self, draws: Draws, size: tuple[int, int]) -> Array:
        """How many quarters each is turned, counter-clockwise."""
        if size[0] != size[1]:
            raise ShapeError(
                f"a quarter turn makes {size[0]}×{size[1]} pictures {size[1]}×{size[0]}: they must be square"
            )
        return draws.whole(0, 3)

    def move(self, x: Array, way: Array, is_mask: bool) -> Array:
        """Those of one turn together."""
        y = x.copy()
        for k in (1, 2, 3):
            y[way == k] = np.rot90(x[way == k], k, axes=(2, 3))
        return y


class RandomCrop(Movement):
    """A part of this size from anywhere in the picture, which may be padded first: a way to shift it.

    `padding` and `border` as for `pad`; a mask's border is `mask_fill`, where the picture's is filled.

    >>> RandomCrop(2, padding=1)(np.ones((5, 3, 2, 2))).shape
    (5, 3, 2, 2)
    """

    def __init__(self, size: Any, padding: Any = 0, border: str = "fill", fill: float = 0.0, mask_fill: int = 0):
        self.size, self.padding, self.border = pair(size, "size"), four_sides(padding), border
        self.fill, self.mask_fill = fill, mask_fill

    def draw(self, draws: Draws, size: tuple[int, int]) -> tuple[Array, Array]:
        """The first row and the first column of each part."""
        top, bottom, left, right = self.padding
        spare = size[0] + top + bottom - self.size[0], size[1] + left + right - self.size[1]
        if min(spare) < 0:
            raise ShapeError(
                f"a crop of {self.size[0]}×{self.size[1]} does not fit into {size[0]}×{size[1]}, padding {self.padding}"
            )
        return draws.whole(0, spare[0]), draws.whole(0, spare[1])

    def move(self, x: Array, way: tuple[Array, Array], is_mask: bool) -> Array:
        """Each part copied out."""
        xp = pad(x, self.padding, self.border, self.mask_fill if is_mask else self.fill) if any(self.padding) else x
        h, w = self.size
        y = np.empty((*x.shape[:2], h, w), x.dtype)
        for part, whole, top, left in zip(y, xp, *(start.tolist() for start in way), strict=True):
            part[...] = whole[:, top : top + h, left : left + w]
        return y


class RandomAffine(Movement):
    """Turned by up to `angle` degrees, scaled, sheared and shifted, each by an amount drawn from its range.

    A range is (low, high), or one number for that far to either side; `scale` is around 1, and 2 as likely as ½;
    `shift` is in parts of the height and of the width. Pictures are blended between pixels, masks take the
    nearest; what comes from outside is `fill` and `mask_fill`, or as `border` says (`affine`).

    >>> RandomAffine(angle=180, scale=(0.5, 2))(np.full((4, 1, 5, 5), 0.5), seed=3).shape
    (4, 1, 5, 5)
    """

    def __init__(
        self, angle: Any = 0.0, scale: Any = (1.0, 1.0), shear: Any = 0.0, shift: Any = 0.0, border: str = "fill",
        fill: float = 0.0, mask_fill: int = 0,
    ):  # fmt: skip
        self.angle, self.scale = span(angle, "angle"), span(scale, "scale", around=1.0)
        self.shear, self.shift = span(shear, "shear"), span(shift, "shift")
        if self.scale[0] <= 0:
            raise ValueError(f"scale must stay above 0, got {self.scale}")
        if border not in BORDERS:
            raise ValueError(f"border must be one of {', '.join(BORDERS)}, got {border!r}")
        self.border, self.fill, self.mask_fill = border, fill, mask_fill

    def draw(self, draws: Draws, size: tuple[int, int]) -> dict[str, Array]:
        """What `affine` is told, for each picture."""
        low, high = np.log(self.scale)
        return {
            "angle": draws.uniform(*self.angle), "scale": np.exp(draws.uniform(low, high)),
            "shear": draws.uniform(*self.shear), "down": draws.uniform(*self.shift) * size[0],
            "right": draws.uniform(*self.shift) * size[1],
        }  # fmt: skip

    def move(self, x: Array, way: dict[str, Array], is_mask: bool) -> Array:
        """All at once."""
        fill = self.mask_fill if is_mask else self.fill
        return affine(x, **way, border=self.border, fill=fill, nearest=is_mask)


class Resize(Movement):
    """Every picture at this size, by a method of `resize`; masks by the nearest pixel. Nothing is drawn.

    >>> Resize(4)(np.zeros((1, 9, 7))).shape
    (1, 4, 4)
    """

    def __init__(self, size: Any, method: str = "antialias"):
        self.size, self.method = pair(size, "size"), method
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")

    def draw(self, draws: Draws, size: tuple[int, int]) -> None:
        """Nothing."""

    def move(self, x: Array, way: None, is_mask: bool) -> Array:
        """Resized."""
        return resize(x, self.size, "nearest" if is_mask else self.method)


class CentreCrop(Movement):
    """The middle of every picture, this large. Nothing is drawn.

    >>> CentreCrop(1)(np.arange(9.0).reshape(1, 3, 3))
    array([[[4.]]])
    """

    def __init__(self, size: Any):
        self.size = pair(size, "size")

    def draw(self, draws: Draws, size: tuple[int, int]) -> None:
        """Nothing."""

    def move(self, x: Array, way: None, is_mask: bool) -> Array:
        """Cropped."""
        return crop(x, self.size)


class Pad(Movement):
    """A border around every picture and mask: see `pad`. Nothing is drawn.

    >>> Pad((0, 1))(np.ones((1, 1, 1)))
    array([[[0., 1., 0.]]])
    """

    def __init__(self, padding: Any, border: str = "fill", fill: float = 0.0, mask_fill: int = 0):
        self.padding, self.border, self.fill, self.mask_fill = four_sides(padding), border, fill, mask_fill

    def draw(self, draws: Draws, size: tuple[int, int]) -> None:
        """Nothing."""

    def move(self, x: Array, way: None, is_mask: bool) -> Array:
        """Padded."""
        return pad(x, self.padding, self.border, self.mask_fill if is_mask else self.fill)
