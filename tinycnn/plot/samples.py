"""Pictures and what the network makes of them: its best guesses with their probabilities."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import ArrayLike, NDArray

from tinycnn.errors import ShapeError
from tinycnn.plot.style import BLUE, ORANGE, RULE, SMALL, TEXT, bare, class_names, new_figure


def predictions(
    x: ArrayLike,
    probabilities: ArrayLike,
    y_true: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    most: int = 8,
    columns: int = 4,
) -> Figure:
    """The first `most` pictures, each beside a bar chart of its three most probable classes.

    x (N, C, H, W), probabilities (N, K), y_true (N,) integers. Above each stands what the network says, and with
    `y_true` whether it is "right" or "WRONG, is 3". C = 3 is shown in colour, else the mean of the channels in grey.
    Raises ShapeError if the lengths differ or there is nothing to show, ValueError if names and classes do not match.

    >>> fig = predictions(np.zeros((2, 1, 8, 8)), [[0.9, 0.1], [0.2, 0.8]], y_true=[0, 0])
    >>> [ax.get_title(loc="left") for ax in fig.axes[::2]]
    ['says 0: right', 'says 1: WRONG, is 0']
    """
    rows = -(-min(max(len(np.atleast_1d(x)), 1), most) // columns)
    fig = new_figure(height=0.2 + 1.2 * rows)
    draw_predictions(fig, x, probabilities, y_true, classes, most, columns)
    return fig


def draw_predictions(
    fig: Figure | SubFigure,
    x: ArrayLike,
    probabilities: ArrayLike,
    y_true: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    most: int = 8,
    columns: int = 4,
) -> None:
    """Draw `predictions` into a figure or a part of one.

    >>> fig = new_figure(2)
    >>> draw_predictions(fig, np.zeros((1, 3, 4, 4)), [[0.5, 0.3, 0.1, 0.1]])
    >>> len(fig.axes)   # a picture and its bars
    2
    """
    x, p = np.asarray(x), np.asarray(probabilities)
    if x.ndim != 4 or p.ndim != 2 or not 0 < len(x) == len(p):
        raise ShapeError(f"predictions: expected x (N, C, H, W), probabilities (N, K); got {x.shape}, {p.shape}.")
    true = None if y_true is None else np.asarray(y_true)
    if true is not None and true.shape != (len(p),):
        raise ShapeError(f"predictions: y_true must be ({len(p)},), got shape {true.shape}.")
    names = class_names(classes, p.shape[1])
    shown = min(len(p), most)
    columns = min(columns, shown)
    axes = fig.subplots(-(-shown // columns), 2 * columns, squeeze=False, width_ratios=[1.15, 1] * columns)
    for i, (ax, bars) in enumerate(axes.reshape(-1, 2)):
        bare(ax)
        bare(bars)
        if i < shown:
            _picture(ax, x[i])
            _verdict(ax, int(p[i].argmax()), None if true is None else int(true[i]), names)
            _bars(bars, p[i], None if true is None else int(true[i]), names)


def _picture(ax: Axes, picture: NDArray) -> None:
    grey = picture.mean(axis=0) if len(picture) != 3 else picture.transpose(1, 2, 0).clip(0, 1)
    ax.imshow(grey, cmap="gray")
    ax.spines[:].set(visible=True, color=RULE, linewidth=0.6)
    ax.set_anchor("NW")  # its top level with the bars', so that the verdict stands above both


def _verdict(ax: Axes, guess: int, true: int | None, names: list[str]) -> None:
    """What the network says and whether it is so, in words, over picture and bars; on two lines if it is long."""
    wrong = true is not None and true != guess
    verdict = "" if true is None else ": right" if not wrong else f": WRONG, is {names[true]}"
    text = f"says {names[guess]}{verdict}"
    if len(text) > 20:
        text = text.replace(": ", ":\n", 1)
    ax.set_title(text, loc="left", fontsize=SMALL, color=TEXT, fontweight="bold" if wrong else "normal", pad=4)


def _bars(ax: Axes, p: NDArray, true: int | None, names: list[str]) -> None:
    """The three most probable classes, the best on top, with the numbers."""
    best = np.argsort(-p, kind="stable")[:3]
    guess = int(best[0])
    colour = ORANGE if true is not None and true != guess else BLUE
    ax.barh(range(len(best)), p[best], height=0.62, color=[colour] + ["#B8B8B8"] * (len(best) - 1))
    ax.set(xlim=(0, 1.0), ylim=(2.5, -0.5))
    for row, k in enumerate(best):
        ax.text(-0.06, row, names[k], ha="right", va="center", fontsize=SMALL, color=TEXT, clip_on=False)
        inside = p[k] > 0.62  # a shorter bar has no room for its number
        place = (p[k] - 0.04, "right", "white") if inside and row == 0 else (p[k] + 0.04, "left", TEXT)
        ax.text(place[0], row, _percent(p[k]), ha=place[1], va="center", fontsize=SMALL, color=place[2])


def _percent(p: float) -> str:
    return "<1 %" if 0 < p < 0.005 else ">99 %" if 0.995 <= p < 1 else f"{p:.0%}".replace("%", " %")
