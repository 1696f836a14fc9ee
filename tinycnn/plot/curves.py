"""Learning curves: what training did, epoch by epoch."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from tinycnn.plot.style import BLUE, BODY, MUTED, ORANGE, RULE, SMALL, TEXT, TITLE, new_figure

History = Mapping[str, Sequence[float]]
PANELS = ("loss", "accuracy")
RELATIVE = {"left": 0.0, "center": 0.5, "right": 1.0}  # where on the text its line to the ring begins


def learning_curves(history: History) -> Figure:
    """Loss and accuracy against the epoch, in training and in validation, with the best epoch of each marked.

    history: `loss`, and where there are any `accuracy`, `val_loss`, `val_accuracy`: a number an epoch each. The best
    epoch is the one of the lowest validation loss, or of the highest validation accuracy, and the first of equals;
    where nothing was validated, training's own numbers say it. The two need not be the same epoch.
    Raises ValueError if `loss` is missing or empty.

    >>> fig = learning_curves({"loss": [0.9, 0.5], "val_loss": [0.8, 0.6]})
    >>> [ax.get_title(loc="left") for ax in fig.axes]
    ['loss']
    """
    fig = new_figure(height=3.2)
    draw_curves(fig, history)
    return fig


def draw_curves(fig: Figure | SubFigure, history: History) -> None:
    """Draw `learning_curves` into a figure or a part of one.

    >>> fig = new_figure(3)
    >>> draw_curves(fig, {"loss": [0.9, 0.5], "accuracy": [0.5, 0.8]})
    >>> len(fig.axes)
    2
    """
    if not len(history.get("loss", ())):
        raise ValueError(f"history has no 'loss' to draw; it holds {sorted(history)}.")
    panels = [name for name in PANELS if len(history.get(name, ()))]
    for ax, name in zip(np.ravel(fig.subplots(1, len(panels))), panels, strict=True):
        _panel(ax, name, history, best_epoch(history, name))


def best_epoch(history: History, name: str = "loss") -> int:
    """The epoch, counted from 1, of the lowest loss or the highest accuracy: validation's, where there was any.

    >>> history = {"loss": [3, 2, 1], "val_loss": [3, 1, 2], "accuracy": [0.2, 0.5, 0.6]}
    >>> best_epoch(history), best_epoch(history, "accuracy")
    (2, 3)
    """
    watched = np.asarray(history[f"val_{name}" if len(history.get(f"val_{name}", ())) else name], float)
    falls = -watched if name == "accuracy" else watched
    return int(np.argmin(np.where(np.isfinite(falls), falls, np.inf))) + 1


def _panel(ax: Axes, name: str, history: History, best: int) -> None:
    lines = [("training", BLUE, "-", history[name])]
    if len(history.get(f"val_{name}", ())):
        lines.append(("validation", ORANGE, "--", history[f"val_{name}"]))
    ends = []
    for label, colour, dash, values in lines:
        y = np.asarray(values, float)
        ax.plot(np.arange(1, len(y) + 1), y, dash, color=colour, lw=1.8, marker="." if len(y) < 3 else None)
        ends.append((label, colour, y))
    _axis(ax, name)
    _mark_best(ax, name, best, *ends[-1][1:])
    _labels_at_ends(ax, ends)


def _axis(ax: Axes, name: str) -> None:
    """A title where it is read first, round ticks, and no lines that carry nothing."""
    ax.set_title(name, loc="left", fontsize=TITLE, color=TEXT, fontweight="bold")
    ax.set_xlabel("epoch", fontsize=BODY, color=MUTED)
    ax.tick_params(labelsize=SMALL, colors=MUTED, length=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
    ax.grid(axis="y", color=RULE, lw=0.6)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(RULE)
    if name == "accuracy":
        ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=None, symbol=" %"))
    else:
        ax.set_ylim(bottom=0)


def _mark_best(ax: Axes, name: str, best: int, colour: str, y: NDArray) -> None:
    """A ring at the best epoch, and its value in words half way up, where learning curves leave room."""
    if best > len(y) or len(y) == 1 or not np.isfinite(y[best - 1]):  # of one epoch, it goes without saying
        return
    value = y[best - 1]
    text = f"{value:.1%}".replace("%", " %") if name == "accuracy" else f"{value:.3g}"
    side = "left" if best < 0.3 * len(y) else "right" if best > 0.7 * len(y) else "center"
    ax.plot(best, value, "o", mfc="white", mec=colour, mew=1.6, ms=6.5, zorder=5)
    ax.annotate(
        f"best epoch {best}\n{text}", (best, value), (best, 0.5), textcoords=ax.get_xaxis_transform(),
        fontsize=SMALL, color=TEXT, ha=side, va="center", linespacing=1.3,
        bbox={"fc": "white", "ec": "none", "pad": 2},
        arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.8, "shrinkB": 4, "relpos": (RELATIVE[side], 0.5)},
    )  # fmt: skip


def _labels_at_ends(ax: Axes, ends: list[tuple[str, str, NDArray]]) -> None:
    """Name each line where it ends, moving the names apart where the lines meet."""
    low, high = ax.get_ylim()
    gap = 0.09 * (high - low)
    shown = sorted((y[np.isfinite(y)][-1], label, colour, len(y)) for label, colour, y in ends if np.isfinite(y).any())
    places = [y for y, *_ in shown]
    if len(places) == 2 and places[1] - places[0] < gap:
        middle = max(sum(places) / 2, low + gap / 2)
        places = [middle - gap / 2, middle + gap / 2]
    for (_, label, colour, epochs), y in zip(shown, places, strict=True):
        ax.annotate(label, (epochs, y), (5, 0), textcoords="offset points", color=colour, fontsize=BODY, va="center")
