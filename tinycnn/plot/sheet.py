"""A contact sheet: many pictures of a data set at once, each with its label, and its mask laid over it in colour."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tinycnn.data.dataset import Dataset
from tinycnn.plot.style import MUTED, RULE, SMALL, TEXT, bare, new_figure

# Okabe and Ito 2008, told apart by every kind of colour vision; a mask's first class is the ground and stays clear.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
OVER = 0.45  # how much of a masked pixel is the mask's colour


def contact_sheet(data: Dataset, most: int = 40, columns: int = 8) -> Figure:
    """The first `most` pictures of a Dataset, in rows, each under its class or its classes, or overlaid with its mask.

    One channel is shown in grey, three in colour, of others the mean. A mask's classes are named below the sheet, in
    their colours. Raises ValueError for no examples.

    >>> from tinycnn.data import load_shapes
    >>> fig = contact_sheet(load_shapes(5, target="mask"), columns=4)
    >>> len(fig.axes), [text.get_text() for text in fig.legends[0].get_texts()]
    (8, ['circle', 'square', 'triangle'])
    """
    if not len(data):
        raise ValueError("contact_sheet: the data set has no examples.")
    shown = min(len(data), most)
    columns = min(columns, shown)
    rows = -(-shown // columns)
    masks = data.y.ndim == 3
    H, W = data.x.shape[2:]
    fig = new_figure(height=0.3 + rows * (7.6 / columns * min(H / W, 3) + 0.05 + 0.15 * (not masks)))
    for i, ax in enumerate(fig.subplots(rows, columns, squeeze=False).ravel()):
        bare(ax)
        if i < shown:
            ax.imshow(_overlaid(data.x[i], data.y[i] if masks else None), vmin=0, vmax=1, interpolation="nearest")
            ax.spines[:].set(visible=True, color=RULE, linewidth=0.6)
            ax.set_title("" if masks else _label(data, i), fontsize=SMALL, color=TEXT, pad=3)
    if masks:
        _name_colours(fig, data)
    return fig


def _overlaid(x: NDArray, mask: NDArray | None) -> NDArray:
    """A picture as (H, W, 3), with every masked pixel partly in the colour of its class."""
    grey = np.repeat(x.mean(axis=0)[..., None], 3, axis=2)
    picture = (x.transpose(1, 2, 0) if len(x) == 3 else grey).clip(0, 1)
    if mask is None:
        return picture
    colours = np.array([to_rgb(COLOURS[(k - 1) % len(COLOURS)]) for k in range(int(mask.max()) + 1)])
    return np.where((mask > 0)[..., None], (1 - OVER) * picture + OVER * colours[mask], picture)


def _label(data: Dataset, i: int) -> str:
    """The class in words; several of them where there are several."""
    if data.y.ndim == 1:
        text = data.classes[data.y[i]]
    else:
        text = ", ".join(name for name, there in zip(data.classes, data.y[i], strict=True) if there) or "none"
    return text if len(text) <= 16 else text[:15] + "…"


def _name_colours(fig: Figure, data: Dataset) -> None:
    from matplotlib.patches import Patch

    named = list(enumerate(data.classes))[1 : len(COLOURS) + 1]
    patches = [Patch(color=COLOURS[k - 1], label=name) for k, name in named]
    if patches:
        fig.legend(handles=patches, loc="outside lower center", ncols=len(patches), fontsize=SMALL, frameon=False,
                   labelcolor=MUTED)  # fmt: skip
