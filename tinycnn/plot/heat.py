"""Heat over pictures: where a network looks, by saliency, Grad-CAM or occlusion, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tinycnn.errors import ShapeError
from tinycnn.plot.style import DIVERGING, MUTED, RULE, SMALL, TEXT, bare, new_figure

OVER = 0.85  # how much of a pixel is the map's colour where the map is largest
PALE = 0.55  # how bright black becomes under a map, whose colours would drown in it


def heatmaps(
    x: ArrayLike, maps: Mapping[str, ArrayLike], titles: Sequence[str] | None = None, most: int = 6
) -> Figure:
    """Each of the first `most` pictures, and beside it the same picture under each of the maps.

    x (N, C, H, W); `maps` by name, each (N, H, W); `titles` (N,) is said of each picture. A map that is nowhere below 0
    goes from clear to orange, any other from blue (against) over clear to orange (for); each picture has its own scale,
    of which the largest absolute number stands below. Raises ShapeError for maps of other sizes than the pictures,
    ValueError for none, for titles that are not one a picture, and for numbers that are not finite.

    >>> fig = heatmaps(np.zeros((2, 1, 4, 5)), {"saliency": np.ones((2, 4, 5))})
    >>> len(fig.axes), fig.axes[1].get_title()
    (4, 'saliency')
    """
    if not isinstance(maps, Mapping):
        raise TypeError(f'heatmaps: expected maps by their names, as {{"saliency": …}}, got {type(maps).__name__}')
    pictures = np.asarray(x)
    heats = {name: np.asarray(heat, np.float64) for name, heat in maps.items()}
    _check(pictures, heats, titles)
    shown = min(len(pictures), most)
    H, W = pictures.shape[2:]
    side = min(7.6 / (1 + len(heats)), 1.9)
    fig = new_figure(height=0.35 + shown * (side * min(H / W, 3) + 0.25))
    axes = fig.subplots(shown, 1 + len(heats), squeeze=False)
    for n, row in enumerate(axes):
        for ax in row:
            bare(ax)
            ax.spines[:].set(visible=True, color=RULE, linewidth=0.6)
        row[0].imshow(_grey_or_colour(pictures[n]), vmin=0, vmax=1, interpolation="nearest")
        if titles is not None:
            row[0].set_title(titles[n], fontsize=SMALL, color=TEXT, pad=3)
        for ax, (name, heat) in zip(row[1:], heats.items(), strict=True):
            _overlay(ax, pictures[n], heat[n])
            if n == 0:
                ax.set_title(name, fontsize=SMALL, color=TEXT, pad=3)
    return fig


def _check(pictures: NDArray, heats: dict[str, NDArray], titles: Any) -> None:
    if pictures.ndim != 4 or not len(pictures) or not heats:
        raise ValueError(f"heatmaps: expected pictures (N, C, H, W) and maps, got {pictures.shape}, {len(heats)} maps.")
    for name, heat in heats.items():
        wanted = (len(pictures), *pictures.shape[2:])
        if heat.shape != wanted:
            raise ShapeError(f"heatmaps: {name!r} must be {wanted}, one number a pixel, got {heat.shape}.")
        if not np.isfinite(heat).all():
            raise ValueError(f"heatmaps: {name!r} holds numbers that are not finite.")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"heatmaps: {len(titles)} titles for {len(pictures)} pictures.")


def _grey_or_colour(picture: NDArray) -> NDArray:
    """(H, W, 3) in [0, 1]: colours as they are, of other channels the mean, stretched if it leaves [0, 1]."""
    if len(picture) == 3:
        return picture.transpose(1, 2, 0).clip(0, 1)
    grey = picture.mean(axis=0)
    if grey.min() < 0 or grey.max() > 1:
        grey = (grey - grey.min()) / max(grey.max() - grey.min(), 1e-12)
    return np.repeat(grey[..., None], 3, axis=2)


def _overlay(ax: Axes, picture: NDArray, heat: NDArray) -> None:
    """The picture in pale grey, each pixel as far in the map's colour as its number is from 0."""
    largest = float(np.abs(heat).max())
    share = heat / largest if largest else heat
    grey = np.repeat(_grey_or_colour(picture).mean(axis=2, keepdims=True), 3, axis=2)
    grey = PALE + (1 - PALE) * grey
    weight = OVER * np.abs(share)[..., None]
    colour = DIVERGING((share + 1) / 2)[..., :3]
    ax.imshow((1 - weight) * grey + weight * colour, interpolation="nearest")
    ax.set_xlabel(f"largest {largest:.2g}", fontsize=SMALL - 1, color=MUTED, labelpad=2)
