"""What the filters of a convolution look for: their weights, as pictures."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from tinycnn.errors import ShapeError
from tinycnn.plot.style import DIVERGING, MUTED, RULE, SMALL, TEXT, TITLE, bare, new_figure

MOST_TILES, MOST_COLUMNS, MOST_CHANNELS = 32, 16, 8  # what can still be seen at README size
NAME = 0.16  # inches that a line of names takes


def filters(w: ArrayLike, title: str = "filters of the first layer") -> Figure:
    """The kernels of a convolution: negative weights blue, positive ones orange, zero white, one scale for all.

    w (F, C, KH, KW). With one channel, a tile a filter; with more, a column a filter and a row a channel. Of many, the
    first 32 tiles, or 16 filters by 8 channels, are shown, and the title says so.
    Raises ShapeError if w is not of four axes or is empty, ValueError if it holds NaN or infinity.

    >>> fig = filters(np.linspace(-1, 1, 36).reshape(4, 1, 3, 3))
    >>> len(fig.axes[0].images)
    4
    """
    rows, columns = _grid(*_shown(np.asarray(w)).shape[:2])
    fig = new_figure(height=0.8 + rows * (6.5 / columns + 0.15))
    draw_filters(fig, w, title)
    return fig


def draw_filters(fig: Figure | SubFigure, w: ArrayLike, title: str = "filters of the first layer") -> None:
    """Draw `filters` into a figure or a part of one.

    >>> fig = new_figure(3)
    >>> draw_filters(fig, np.ones((2, 3, 3, 3)))
    >>> len(fig.axes[0].images)
    6
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
    """All tiles in one pair of axes, each an image at its place: a pair of axes for each would take seconds to lay out.

    Lengths are counted in weights.
    """
    F, C, KH, KW = w.shape
    rows, columns = _grid(F, C)
    named = rows if C == 1 else 1  # so many rows have the filters' numbers above them
    across, down, room = _spread(fig, rows, columns, named, KH, KW)
    ax: Axes = fig.subplots()
    bare(ax)
    for f, c in np.ndindex(F, C):
        row, column = (f // columns, f % columns) if C == 1 else (c, f)
        left, top = column * across, row * down + room * min(row + 1, named)
        image = ax.imshow(w[f, c], cmap=DIVERGING, vmin=-limit, vmax=limit, extent=(left, left + KW, top + KH, top))
        # else a tile of zeros has no edge
        ax.add_patch(Rectangle((left, top), KW, KH, fill=False, edgecolor=RULE, linewidth=0.6, clip_on=False))
        if c == 0:
            ax.text(left + KW / 2, top - room / 6, f"{f}", ha="center", va="bottom", fontsize=SMALL, color=MUTED)
        if f == 0 and C > 1:
            name = "RGB"[c] if C == 3 else f"c = {c}"
            ax.text(-KW / 8, top + KH / 2, name, ha="right", va="center", fontsize=SMALL, color=TEXT)
    ax.set(xlim=(0, (columns - 1) * across + KW), ylim=((rows - 1) * down + KH + named * room, 0))
    _scale(fig, ax, image, limit)


def _spread(
    fig: Figure | SubFigure, rows: int, columns: int, named: int, KH: int, KW: int
) -> tuple[float, float, float]:  # fmt: skip
    """From one tile to the next, across and down, and the room for a line of names, so that they fill the figure."""
    across, down = (side / fig.dpi for side in (fig.bbox.width, fig.bbox.height))
    across, down = 0.82 * across, max(down - 0.5 - named * NAME, 0.5)  # inches: beside the scale, and below the title
    gap = KW / 8
    inch = max((KW + gap) * columns / across, (KH + gap) * rows / down)  # so many weights, if the tiles are to fit
    return across * inch / columns, down * inch / rows, NAME * inch


def _scale(fig: Figure | SubFigure, ax: Axes, image: AxesImage, limit: float) -> None:
    bar = fig.colorbar(image, ax=ax, aspect=14, pad=0.02)
    bar.set_ticks([-limit, 0, limit], labels=[f"−{limit:.2g}", "0", f"+{limit:.2g}"])
    bar.ax.tick_params(labelsize=SMALL, colors=MUTED, length=2)
    bar.set_label("weight", fontsize=SMALL, color=MUTED, labelpad=-6)
    bar.outline.set_edgecolor(RULE)
