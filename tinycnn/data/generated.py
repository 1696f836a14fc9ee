"""Generated pictures: circles, squares and triangles, drawn from a seed, so that a lesson needs no download.

What is in a picture is known to the pixel, which makes the same drawings three tasks: say which shape it is, say which
shapes are there (several at once), or say of every pixel what it belongs to. Picture i depends on the seed and on i
alone: asking for more pictures leaves the first ones as they were.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tinycnn.data.dataset import Dataset

SHAPES = ("circle", "square", "triangle")
MOST = 3  # shapes in one picture; what is drawn later covers what was drawn before
SMALLEST = 8  # pixels a side: with fewer, a triangle and a circle are the same blob
Target = Literal["class", "mask", "labels"]
Mask = NDArray[np.bool_]


def load_shapes(
    n: int, size: int | tuple[int, int] = 32, channels: int = 1, noise: float = 0.1, seed: int = 0,
    target: Target = "class",
) -> Dataset:  # fmt: skip
    """Draw `n` pictures of bright shapes on a dark ground, turned, of many sizes, under Gaussian noise.

    `target` is what is to be learned: "class", one shape a picture, y (N,); "mask", one to three shapes that may
    overlap, y (N, H, W), where 0 is the ground and 1, 2, 3 a circle, square, triangle; "labels", the same pictures,
    y (N, 3), where 1 says that some of that shape is to be seen.

    x (N, channels, H, W) float32 in [0, 1]. `noise` is the standard deviation of what is added to every pixel.
    Raises ValueError for a size under 8 pixels, no channels, negative noise or n, or another target.

    >>> load_shapes(100, size=24)
    Dataset 'shapes': 100 examples, x (100, 1, 24, 24) float32, 3 classes: circle 32, square 35, triangle 33
    >>> load_shapes(100, size=(20, 30), channels=3, target="mask").y.shape
    (100, 20, 30)
    """
    H, W = (size, size) if isinstance(size, int) else size
    _check(n, H, W, channels, noise, target)
    x = np.empty((n, channels, H, W), np.float32)
    masks = np.empty((n, H, W), np.int64)
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        count = 1 if target == "class" else int(rng.integers(1, MOST + 1))
        clean, masks[i] = _draw(rng, count, channels, H, W)
        x[i] = np.clip(clean + noise * rng.standard_normal(clean.shape), 0, 1)
    if target == "mask":
        return Dataset(x, masks, ("ground", *SHAPES), "shapes")
    seen = np.stack([(masks == kind).any(axis=(1, 2)) for kind in range(1, len(SHAPES) + 1)], axis=1)  # (N, 3)
    return Dataset(x, seen.argmax(axis=1) if target == "class" else seen.astype(np.int64), SHAPES, "shapes")


def _check(n: int, H: int, W: int, channels: int, noise: float, target: str) -> None:
    if n < 0 or channels < 1 or min(H, W) < SMALLEST:
        raise ValueError(
            f"load_shapes: n must be ≥ 0, channels ≥ 1 and size ≥ {SMALLEST}; got n={n}, channels={channels}, {H}×{W}."
        )
    if not 0 <= noise < np.inf:
        raise ValueError(f"load_shapes: noise must be a number ≥ 0, got {noise}.")
    if target not in ("class", "mask", "labels"):
        raise ValueError(f"load_shapes: target must be 'class', 'mask' or 'labels', got {target!r}.")


def _draw(rng: np.random.Generator, count: int, C: int, H: int, W: int) -> tuple[NDArray, NDArray[np.int64]]:
    """One picture (C, H, W) without noise, and what each pixel belongs to, (H, W)."""
    picture = np.broadcast_to(rng.uniform(0.0, 0.25, (C, 1, 1)), (C, H, W)).copy()
    mask = np.zeros((H, W), np.int64)
    for _ in range(count):
        kind = int(rng.integers(len(SHAPES)))
        inside = _inside(SHAPES[kind], rng, H, W)
        colour = rng.uniform(0.35, 1.0, C)
        colour[rng.integers(C)] = rng.uniform(0.5, 1.0)  # some channel is brighter than any ground, whatever the colour
        picture[:, inside] = colour[:, None]
        mask[inside] = kind + 1
    return picture, mask


def _inside(shape: str, rng: np.random.Generator, H: int, W: int) -> Mask:
    """Which pixel centres lie in a shape of random size, place and turn; all of it fits into the picture."""
    radius = rng.uniform(0.2, 0.42) * min(H, W)  # of the circle around it
    row, column = rng.uniform(radius, H - radius), rng.uniform(radius, W - radius)
    dy, dx = np.arange(H)[:, None] + 0.5 - row, np.arange(W)[None, :] + 0.5 - column
    turn = rng.uniform(0, 2 * np.pi)
    if shape == "circle":
        return dy**2 + dx**2 <= radius**2
    corners = 4 if shape == "square" else 3
    apothem = radius * np.cos(np.pi / corners)  # from the middle to a side: a polygon is what no side cuts off
    sides = turn + 2 * np.pi / corners * np.arange(corners)
    return np.logical_and.reduce([dx * np.cos(a) + dy * np.sin(a) <= apothem for a in sides])
