"""Two tables of numbers beside each other, and where they differ: what a bug does."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from tinycnn.errors import ShapeError
from tinycnn.plot.style import BODY, DIVERGING, MUTED, RULE, SMALL, TEXT, bare, new_figure

MOST = 16  # rows or columns in which numbers can still be read


def beside(right: ArrayLike, wrong: ArrayLike, what: str = "") -> Figure:
    """What should be, and what is, number by number; wrong ones are framed, NaN is grey.

    right, wrong (rows, columns), both of at most 16. Raises ShapeError for other shapes, or for two that differ.

    >>> fig = beside([[1.0, 2.0]], [[1.0, 3.0]], "two numbers")
    >>> len(fig.axes)
    2
    """
    a, b = np.asarray(right, float), np.asarray(wrong, float)
    if a.shape != b.shape or a.ndim != 2 or a.size == 0 or max(a.shape) > MOST:
        raise ShapeError(f"beside: expected two tables of the same shape, of 1 to {MOST}, got {a.shape} and {b.shape}")
    rows, columns = a.shape
    fig = new_figure(height=0.75 + max(0.5, rows * min(0.34, 3.6 / columns)))
    limit = float(np.nanmax(np.abs(np.where(np.isfinite([a, b]), [a, b], 0.0)))) or 1.0
    for ax, values, title in zip(fig.subplots(1, 2), (a, b), ("as it should be", "with the bug"), strict=True):
        same = np.isclose(a, b, rtol=1e-9, atol=1e-12 * limit, equal_nan=True)
        _draw(ax, values, limit, framed=~same if values is b else np.zeros_like(same))
        ax.set_title(title, fontsize=BODY, color=TEXT, loc="left")
    if what:
        fig.suptitle(what, x=0.01, ha="left", fontsize=SMALL, color=MUTED)
    return fig


def _draw(ax: Axes, values: NDArray, limit: float, framed: NDArray) -> None:
    bare(ax)
    shown = np.ma.masked_invalid(values)
    colours = DIVERGING.with_extremes(bad="#C8C8C8")
    ax.imshow(shown, cmap=colours, vmin=-limit, vmax=limit, aspect="auto")
    size = SMALL if values.shape[1] <= 8 else SMALL - 2 if values.shape[1] <= 12 else SMALL - 2.5
    for (r, c), value in np.ndenumerate(values):
        dark = np.isfinite(value) and abs(value) > 0.7 * limit
        ax.text(c, r, _short(value), ha="center", va="center", fontsize=size, color="white" if dark else TEXT)
        if framed[r, c]:
            ax.add_patch(_frame(c, r))
    ax.spines[:].set(visible=True, color=RULE, linewidth=0.6)


def _frame(c: int, r: int) -> Rectangle:
    return Rectangle((c - 0.46, r - 0.44), 0.92, 0.88, fill=False, edgecolor=TEXT, linewidth=1.1)


def _short(value: float) -> str:
    """A few digits; a real minus; and ≈0 for what is so small that its digits would all be zeros."""
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else "∞" if value > 0 else "−∞"
    if abs(value) < 0.005:
        return "0" if value == 0 else "≈0"
    return (f"{value:.2f}" if abs(value) < 9.995 else f"{value:.0f}").replace("-", "−")
