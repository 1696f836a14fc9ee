"""The confusion matrix as a picture in which the few errors are not lost beside the many hits."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import ArrayLike, NDArray

from tinycnn.errors import ShapeError
from tinycnn.plot.style import BODY, MUTED, RIGHT_SCALE, RULE, SMALL, TEXT, TITLE, WRONG_SCALE, class_names, new_figure


def confusion(matrix: ArrayLike, classes: Sequence[str] | None = None) -> Figure:
    """Who was taken for whom: true classes in rows, predicted ones in columns, the counts in the cells.

    Hits are blue by the part of their row, errors orange on a scale of their own, and the recall of each class stands
    at the end of its row. matrix (K, K) counts, as `confusion_matrix` gives; `classes` names the K classes.
    Raises ShapeError if the matrix is not square, ValueError if the names are more or fewer than its rows.

    >>> fig = confusion([[9, 1], [0, 5]], classes=("cat", "dog"))
    >>> fig.axes[0].get_title(loc="left")
    '14 of 15 right: 93.3 %'
    """
    K = len(np.atleast_1d(np.asarray(matrix)))
    fig = new_figure(height=min(8.0, max(3.5, 1.6 + 0.46 * K)))
    draw_confusion(fig, matrix, classes)
    return fig


def draw_confusion(fig: Figure | SubFigure, matrix: ArrayLike, classes: Sequence[str] | None = None) -> None:
    """Draw `confusion` into a figure or a part of one.

    >>> fig = new_figure(4)
    >>> draw_confusion(fig, np.eye(3))
    >>> len(fig.axes)
    1
    """
    m = np.asarray(matrix)
    if m.ndim != 2 or m.shape[0] != m.shape[1] or m.size == 0:
        raise ShapeError(f"confusion: expected a square matrix (K, K) of counts, got shape {m.shape}.")
    names = class_names(classes, len(m))
    ax = fig.subplots()
    ax.imshow(_colours(m), aspect="equal")
    _counts(ax, m, size=SMALL + 1 if len(m) <= 10 else SMALL - 1 if len(m) <= 20 else SMALL - 3)
    _frame(ax, m, names)


def _colours(m: NDArray) -> NDArray:
    """(K, K, 4) colours: the diagonal by recall, the errors against the most frequent error, white where none is."""
    errors = np.where(np.eye(len(m), dtype=bool), 0, m)
    colours = WRONG_SCALE(errors / max(errors.max(), 1))
    colours[errors == 0] = (1, 1, 1, 1)
    diagonal = np.arange(len(m))
    colours[diagonal, diagonal] = RIGHT_SCALE(m.diagonal() / np.maximum(m.sum(axis=1), 1))
    return colours


def _counts(ax: Axes, m: NDArray, size: float) -> None:
    for (row, column), count in np.ndenumerate(m):
        if count:
            bold = "bold" if row != column else "normal"
            ax.text(column, row, f"{count:g}", ha="center", va="center", fontsize=size, color="black", fontweight=bold)


def _frame(ax: Axes, m: NDArray, names: list[str]) -> None:
    """Names on the axes, thin rules between the cells, and the recall of each row at its end."""
    K, right, total = len(m), m.trace(), m.sum()
    title = f"{right:,g} of {total:,g} right: " + (f"{right / total:.1%}".replace("%", " %") if total else "–")
    ax.set_title(title, loc="left", fontsize=TITLE, color=TEXT, fontweight="bold")
    upright = max(len(name) for name in names) <= (3 if K > 12 else 6)
    ax.set_xticks(range(K), names, rotation=0 if upright else 45, ha="center" if upright else "right")
    ax.set_yticks(range(K), names)
    ax.tick_params(labelsize=SMALL if K <= 20 else SMALL - 2, colors=TEXT, length=0)
    ax.set_xlabel("predicted", fontsize=BODY, color=MUTED)
    ax.set_ylabel("true", fontsize=BODY, color=MUTED)
    ax.set_xticks(np.arange(K + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(K + 1) - 0.5, minor=True)
    ax.grid(which="minor", color=RULE, lw=0.6)
    ax.tick_params(which="minor", length=0)
    ax.spines[:].set_visible(False)
    ax.text(K - 0.4, -0.55, "recall", fontsize=SMALL, color=MUTED, va="bottom")
    for row, count in enumerate(m.sum(axis=1)):
        share = f"{m[row, row] / count:.0%}".replace("%", " %") if count else "–"
        ax.text(K - 0.4, row, share, fontsize=SMALL if K <= 20 else SMALL - 2, color=MUTED, va="center")
