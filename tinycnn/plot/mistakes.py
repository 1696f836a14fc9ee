"""The pictures a network gets wrong, the one it was most wrongly sure of first."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tinycnn.errors import ShapeError
from tinycnn.evaluation.mistakes import Mistakes
from tinycnn.evaluation.mistakes import misclassified as find
from tinycnn.plot.style import BODY, MUTED, RULE, SMALL, TEXT, TITLE, bare, class_names, new_figure


def misclassified(
    x: ArrayLike, probabilities: ArrayLike, y_true: ArrayLike, classes: Sequence[str] | None = None, most: int = 12,
    columns: int = 6,
) -> Figure:  # fmt: skip
    r"""The `most` mistakes of the largest loss: each picture with what it is, what was said, and how surely.

    x (N, C, H, W), probabilities (N, K), y_true (N,) integers. Below each stands its place in the data, to look it up:
    a wrong label is a mistake too. C = 3 is shown in colour, else the mean of the channels in grey. Raises ShapeError
    if the lengths differ, ValueError if names and classes do not match, and as `tinycnn.evaluation.misclassified`.

    >>> fig = misclassified(np.zeros((2, 1, 8, 8)), [[0.9, 0.1], [0.2, 0.8]], [1, 1], classes=("cat", "dog"))
    >>> fig.axes[0].get_title()
    'is dog\nsaid cat: 90 %'
    """
    pictures, p = np.asarray(x), np.asarray(probabilities)
    if pictures.ndim != 4 or p.ndim != 2 or not 0 < len(pictures) == len(p):
        raise ShapeError(f"expected x (N, C, H, W) and probabilities (N, K), got {pictures.shape} and {p.shape}.")
    found, names = find(y_true, p), class_names(classes, p.shape[1])
    shown = min(len(found.indices), most)
    columns = max(1, min(columns, shown))
    room = max(3, 120 // columns - 10)  # letters of a name that fit above a picture
    names = [name if len(name) <= room else name[: room - 1] + "…" for name in names]
    rows = max(1, -(-shown // columns))
    fig = new_figure(height=0.5 + rows * (0.68 + 7.2 / max(columns, 4)))
    title = f"{len(found.indices):,} of {len(p):,} wrong"
    title += f", the {shown} of the largest loss" if shown < len(found.indices) else ""
    fig.suptitle(title, x=0.01, ha="left", fontsize=TITLE, color=TEXT, fontweight="bold")
    for i, ax in enumerate(fig.subplots(rows, columns, squeeze=False).ravel()):
        bare(ax)
        if i < shown:
            _mistake(ax, pictures[found.indices[i]], found, i, names)
    if not shown:
        fig.axes[0].text(0.5, 0.5, "no mistakes", ha="center", fontsize=BODY, color=MUTED)
    return fig


def _mistake(ax: Axes, picture: NDArray, found: Mistakes, i: int, names: list[str]) -> None:
    if len(picture) == 3:
        ax.imshow(picture.transpose(1, 2, 0).clip(0, 1), interpolation="nearest")
    else:
        ax.imshow(picture.mean(axis=0), cmap="gray", interpolation="nearest")
    ax.spines[:].set(visible=True, color=RULE, linewidth=0.6)
    sure = f"{found.probability[i]:.0%}".replace("%", " %")
    said = f"is {names[found.true[i]]}\nsaid {names[found.predicted[i]]}: {sure}"
    ax.set_title(said, fontsize=SMALL, color=TEXT, pad=3)
    ax.set_xlabel(f"#{found.indices[i]}, loss {found.loss[i]:.2f}", fontsize=SMALL - 1, color=MUTED, labelpad=2)
