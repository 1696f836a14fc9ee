"""Versions of one picture, in rows with a name, to be taken in at a glance: what augmentation and filters do to it.

python -m tinycnn.plot.versions docs/images.png
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tinycnn import data
from tinycnn.errors import ShapeError
from tinycnn.plot.style import SMALL, TEXT, bare, new_figure, save

COLUMNS, SEED = 10, 32


def versions(rows: Mapping[str, ArrayLike]) -> Figure:
    """Pictures (N, C, H, W) in [0, 1] beside each other, a row for each name; masks (N, H, W) in colours of classes.

    C = 1 is grey, 3 is colour. Raises ShapeError for another shape, or where there is nothing to show.

    >>> fig = versions({"black": np.zeros((2, 1, 4, 4)), "a mask": np.eye(4, dtype=int)[None]})
    >>> len(fig.axes)
    3
    """
    pictures = {name: np.asarray(row) for name, row in rows.items()}
    for name, row in pictures.items():
        if row.ndim not in (3, 4) or not len(row) or (row.ndim == 4 and row.shape[1] not in (1, 3)):
            raise ShapeError(f"versions: {name!r} must be (N, C, H, W) with C = 1 or 3, or (N, H, W), got {row.shape}")
    if not pictures:
        raise ShapeError("versions: there are no rows")
    columns = max(map(len, pictures.values()))
    fig = new_figure(height=len(pictures) * 8.0 / (columns + 2.2))
    grid = fig.add_gridspec(len(pictures), columns)
    for place, (name, row) in enumerate(pictures.items()):
        for column, one in enumerate(row):
            ax = fig.add_subplot(grid[place, column])
            bare(ax)
            _show(ax, one)
            if column == 0:
                ax.text(-0.12, 0.5, name, transform=ax.transAxes, ha="right", va="center", fontsize=SMALL, color=TEXT)
    return fig


def _show(ax, one: NDArray) -> None:
    if one.ndim == 2:
        ax.imshow(one, cmap="viridis", vmin=0, vmax=max(3, one.max()), interpolation="nearest")
    else:
        ax.imshow(one.transpose(1, 2, 0).clip(0, 1).squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def images_sheet() -> Figure:
    """What `tinycnn.data` can do to one generated picture and its mask: the figure of docs/images.md.

    >>> len(images_sheet().axes) > 60
    True
    """
    shapes = data.load_shapes(1, size=48, channels=3, target="mask", seed=SEED, noise=0.01)
    x, masks = (np.repeat(part, COLUMNS, axis=0) for part in (shapes.x, shapes.y))
    x = x.astype(np.float64)
    moved, moved_masks = data.RandomAffine(45, (0.7, 1.4), 0.2, 0.15)(x, masks)
    steps = {
        "flip, crop": data.Compose([data.RandomFlip(), data.RandomCrop(48, padding=8, border="reflect")]),
        "brightness, contrast": data.Compose([data.RandomBrightness(0.5), data.RandomContrast(0.5)]),
        "hue, saturation": data.Compose([data.RandomHue(0.5), data.RandomSaturation((0, 2))]),
        "noise, cutout": data.Compose([data.GaussianNoise(0.1), data.Cutout(16, fill=0.5)]),
    }
    one = x[0]
    filtered = [one, data.box_blur(one, 5), data.gaussian_blur(one, 2), data.sharpen(one), data.edges(one) / 4]
    worse = [
        data.equalise(one),
        data.bit_depth(one, 1),
        data.bit_depth(one, 2),
        data.jpeg_quality(one, 5),
        data.gray(one),
    ]
    return versions(
        {name: augment(x) for name, augment in steps.items()}
        | {"affine": moved, "… and its mask": moved_masks, "filters, levels": np.stack(filtered + worse)}
    )


if __name__ == "__main__":
    save(images_sheet(), sys.argv[1])
