"""What the filters of a convolution look for: their weights, as pictures."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import ArrayLike, NDArray

from tinycnn.errors import ShapeError
from tinycnn.plot.style import DIVERGING, MUTED, RULE, SMALL, TEXT, TITLE, bare, new_figure

MOST_TILES, MOST_COLUMNS, MOST_CHANNELS = 32, 16, 8  # what can still be seen at README size


def filters(w: ArrayLike, title: str = "filters of the first layer") -> Figure:
    """The kernels of a convolution: negative weights blue, positive ones orange, zero white, one scale for all.

    w (F, C, KH, KW). With one channel, a tile a filter; with more, a column a filter and a row a channel. Of many, the
    first 32 tiles, or 16 filters by 8 channels, are shown, and the title says so.
    Raises ShapeError if w is not of four axes or is empty, ValueError if it holds NaN or infinity.

    >>> fig = filters(np.linspace(-1, 1, 36).reshape(4, 1, 3, 3))
    >>> len(fig.axes)   # four filters and the scale
    5
    """
    rows, columns = _grid(*_shown(np.asarray(w)).shape[:2])
    fig = new_figure(height=0.8 + rows * (6.5 / columns + 0.15))
    draw_filters(fig, w, title)
    return fig


def draw_filters(fig: Figure | SubFigure, w: ArrayLike, title: str = "filters of the first layer") -> None:
    """Draw `filters` into a figure or a part of one.

    >>> fig = new_figure(3)
    >>> draw_filters(fig, np.ones((2, 3, 3, 3)))
    >>> len(fig.axes)
    7
    """
    weights = np.asarray(w, float)
    shown = _shown(weights)
    if not np.isfinite(weights).all():
        raise ValueError("filters: the weights hold NaN or infinity; training has diverged.")
    F, C, KH, KW = weights.shape
    cut = "" if shown.shape == weights.shape else f"; {shown.shape[0]} filters and {shown.shape[1]} channels shown"
    fig.suptitle(f"{title}: {F} × {C} × {KH} × {KW}{cut}", x=0.01, ha="left", fontsize=TITLE, fontweight="bold")
    _tiles(fig, shown, limit=float(abs(weights).max()) or 1.0)


def _shown(w: NDArray) -> NDArray:
    """The filters and channels there is room for."""
    if w.ndim != 4 or w.size == 0:
        raise ShapeError(f"filters: expected weights (F, C, KH, KW), got shape {w.shape}.")
    return w[:MOST_TILES] if w.shape[1] == 1 else w[:MOST_COLUMNS, :MOST_CHANNELS]


def _grid(F: int, C: int) -> tuple[int, int]:
    """Rows and columns of tiles: for one channel up to eight filters a row, else a row a channel."""
    if C > 1:
        return C, F
    columns = min(F, 8 if F > 4 else 4)
    return -(-F // columns), columns


def _tiles(fig: Figure | SubFigure, w: NDArray, limit: float) -> None:
    F, C = w.shape[:2]
    rows, columns = _grid(F, C)
    tiles: list[Axes] = list(fig.subplots(rows, columns, squeeze=False).flat)
    for ax in tiles:
        bare(ax)
    for f, c in np.ndindex(F, C):
        ax = tiles[c * columns + f]
        image = ax.imshow(w[f, c], cmap=DIVERGING, vmin=-limit, vmax=limit)
        ax.spines[:].set(visible=True, color=RULE, linewidth=0.6)  # else a tile of zeros has no edge
        if c == 0:
            ax.set_title(f"{f}", fontsize=SMALL, color=MUTED, pad=2)
        if f == 0 and C > 1:
            name = "RGB"[c] if C == 3 else f"c = {c}"
            ax.set_ylabel(name, fontsize=SMALL, color=TEXT, rotation=0, ha="right", va="center")
    bar = fig.colorbar(image, ax=tiles, aspect=14, pad=0.02)
    bar.set_ticks([-limit, 0, limit], labels=[f"−{limit:.2g}", "0", f"+{limit:.2g}"])
    bar.ax.tick_params(labelsize=SMALL, colors=MUTED, length=2)
    bar.set_label("weight", fontsize=SMALL, color=MUTED, labelpad=-6)
    bar.outline.set_edgecolor(RULE)
