"""The report of a classifier as a table that can be shown: precision, recall and F1 of each class and of all."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from tinycnn.plot.style import BODY, MUTED, RULE, TEXT, TITLE, bare, new_figure
from tinycnn.train.metrics import classification_report

COLUMNS = (("precision", 0.36), ("recall", 0.56), ("f1", 0.76), ("examples", 0.97))  # each, and where it ends
WIDE = 0.13  # a full bar, in parts of the table
AVERAGES = ("macro", "weighted", "micro")


def report(y_true: ArrayLike, y_pred: ArrayLike, classes: Sequence[str] | None = None) -> Figure:
    """Precision, recall and F1 of each class, a bar behind each number, and their averages below.

    y_true (N,), y_pred (N,) or scores (N, K); `classes` names the K classes. Raises as
    `tinycnn.metrics.classification_report`.

    >>> fig = report([0, 0, 1, 1], [0, 0, 1, 0], classes=("cat", "dog"))
    >>> fig.axes[0].get_title(loc="left")
    'accuracy 75.0 % of 4 examples'
    """
    table: dict[str, Any] = classification_report(y_true, y_pred, classes, output_dict=True)  # type: ignore[assignment]
    accuracy = table.pop("accuracy")
    fig = new_figure(height=0.75 + 0.24 * (len(table) + 1))
    ax = fig.subplots()
    bare(ax)
    ax.set(xlim=(0, 1), ylim=(len(table) + 0.6, -0.6))
    title = f"accuracy {accuracy:.1%} of {table['micro']['examples']:,} examples".replace("%", " %")
    ax.set_title(title, loc="left", fontsize=TITLE, color=TEXT, fontweight="bold")
    for word, end in COLUMNS:
        ax.text(end, 0, "F1" if word == "f1" else word, ha="right", va="center", fontsize=BODY, color=MUTED)
    for place, (name, numbers) in enumerate(table.items(), start=1):
        _row(ax, place, name, numbers, average=name in AVERAGES)
    ax.axhline(0.5, color=RULE, lw=0.8)
    ax.axhline(len(table) - len(AVERAGES) + 0.5, color=RULE, lw=0.8)
    return fig


def _row(ax: Axes, place: int, name: str, numbers: dict[str, Any], average: bool) -> None:
    name = name if len(name) <= 24 else name[:23] + "…"
    ax.text(0.0, place, name, ha="left", va="center", fontsize=BODY, color=MUTED if average else TEXT)
    for word, end in COLUMNS[:-1]:
        share = numbers[word]
        if not average:
            ax.barh(place, share * WIDE, height=0.72, left=end - WIDE, color="#D4E6F1", zorder=0)
        ax.text(end, place, f"{share:.3f}", ha="right", va="center", fontsize=BODY, color=TEXT)
    ax.text(COLUMNS[-1][1], place, f"{numbers['examples']:,}", ha="right", va="center", fontsize=BODY, color=TEXT)
