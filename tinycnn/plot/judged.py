"""How good the scores and the probabilities of a classifier are: ROC, precision against recall, and calibration."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike, NDArray

from tinycnn.plot.style import BLUE, BODY, MUTED, ORANGE, RULE, SMALL, TEXT, TITLE, class_names, new_figure
from tinycnn.train.labels import against_the_rest, binary_of
from tinycnn.train.metrics import (
    average_precision,
    calibration_curve,
    expected_calibration_error,
    precision_recall_curve,
    roc_auc,
    roc_curve,
)

# Okabe and Ito 2008, told apart by every kind of colour vision; beyond seven classes the dashes tell them apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", ":", "-.")


def roc(y_true: ArrayLike, scores: ArrayLike, classes: Sequence[str] | None = None) -> Figure:
    """The ROC curve of each class against the rest, with its area; the diagonal is guessing.

    y_true (N,), scores (N,) of class 1, or (N, K); `classes` names the K classes. A class that none or all examples
    have has no curve, and the legend says so. Raises as `tinycnn.metrics.roc_auc`, and ValueError unless there are K
    names.

    >>> fig = roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> fig.axes[0].get_title(loc="left")
    'ROC: area 0.750'
    """
    fig = new_figure(height=4.4)
    ax = fig.subplots()
    ax.plot([0, 1], [0, 1], color=RULE, lw=1.2, ls=(0, (2, 2)))
    points = lambda t, s: roc_curve(t, s)[:2]  # noqa: E731
    _curves(ax, y_true, scores, classes, points, roc_auc, "ROC: area", "default")
    _square(ax, "false positive rate", "true positive rate (recall)")
    return fig


def precision_recall(y_true: ArrayLike, scores: ArrayLike, classes: Sequence[str] | None = None) -> Figure:
    """Precision against recall for each class against the rest, in steps, with the average precision.

    y_true (N,), scores (N,) of class 1, or (N, K); `classes` names the K classes. A class without examples has no
    curve, and the legend says so. Raises as `tinycnn.metrics.average_precision`, and ValueError for other than K names.

    >>> fig = precision_recall([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> fig.axes[0].get_title(loc="left")
    'precision against recall: average precision 0.833'
    """
    fig = new_figure(height=4.4)
    ax = fig.subplots()
    points = lambda t, s: precision_recall_curve(t, s)[1::-1]  # noqa: E731
    title = "precision against recall: average precision"
    _curves(ax, y_true, scores, classes, points, average_precision, title, "steps-pre")
    _square(ax, "recall", "precision")
    return fig


def calibration(y_true: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> Figure:
    """The reliability diagram: what came true against what was promised, and how often each was promised.

    On the diagonal 80 % means 8 of 10; below it the network is too sure. y_true (N,), probabilities (N,) of class 1 or
    (N, K), of which each row's highest counts. Raises as `tinycnn.metrics.calibration_curve`.

    >>> fig = calibration([0, 1, 1, 1], [0.2, 0.7, 0.8, 0.9], bins=2)
    >>> fig.axes[0].get_title(loc="left")
    'calibration: off by 20.0 % on average (2 bins)'
    """
    found = calibration_curve(y_true, probabilities, bins)
    error = expected_calibration_error(y_true, probabilities, bins)
    fig = new_figure(height=4.8)
    top, below = fig.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    top.plot([0, 1], [0, 1], color=RULE, lw=1.2, ls=(0, (2, 2)))
    full = found.counts > 0
    at, came = found.confidence[full], found.frequency[full]
    top.vlines(at, at, came, color=ORANGE, lw=2.2)
    top.plot(at, came, "o", color=BLUE, ms=5.5)
    title = f"calibration: off by {error:.1%} on average ({bins} bin{'s' * (bins != 1)})".replace("%", " %")
    top.set_title(title, loc="left", fontsize=TITLE, color=TEXT, fontweight="bold")
    top.set(ylim=(-0.03, 1.03))
    top.set_ylabel("came true", fontsize=BODY, color=MUTED)
    below.bar(found.edges[:-1], found.counts, np.diff(found.edges), align="edge", color="#A9CCE3", ec="white", lw=1)
    below.set_ylabel("examples", fontsize=BODY, color=MUTED)
    below.set_xlabel("probability given", fontsize=BODY, color=MUTED)
    for ax in (top, below):
        _plain(ax)
    below.set(xlim=(-0.01, 1.01))
    below.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0, symbol=" %"))
    top.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0, symbol=" %"))
    return fig


def _curves(
    ax: Axes, y_true: ArrayLike, scores: ArrayLike, classes: Sequence[str] | None,
    points: Callable[[NDArray, NDArray], tuple[NDArray, ...]], area: Callable[..., NDArray | float], title: str,
    style: str,
) -> None:  # fmt: skip
    """One line for two classes; one for each of K classes that has one, named with its area in a legend."""
    many = np.ndim(scores) == 2
    if many:
        true, columns = against_the_rest(y_true, scores)
        names, areas = class_names(classes, columns.shape[1]), np.asarray(area(y_true, scores, None))
        title += f" {area(y_true, scores):.3f}, the mean of {np.isfinite(areas).sum()} classes"
    else:
        one, column = binary_of(y_true, scores)
        true, columns, names = one[:, None], column[:, None], [""]
        areas = np.array([area(y_true, scores)])
        title += f" {areas[0]:.3f}"
    for k, name in enumerate(names):
        label = f"{name}  {areas[k]:.3f}" if np.isfinite(areas[k]) else f"{name}  –"
        x, y = points(true[:, k], columns[:, k]) if np.isfinite(areas[k]) else (np.zeros(0), np.zeros(0))
        dashes = DASHES[(k // len(COLOURS)) % len(DASHES)]
        ax.plot(x, y, dashes, color=COLOURS[k % len(COLOURS)], lw=1.6, drawstyle=style, label=label)
    ax.set_title(title, loc="left", fontsize=TITLE, color=TEXT, fontweight="bold")
    if many:
        legend = ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=SMALL, frameon=False,
                           labelcolor=TEXT, ncols=-(-len(names) // 20))  # fmt: skip
        legend.set_in_layout(True)


def _square(ax: Axes, x: str, y: str) -> None:
    """Two rates against each other, both from 0 to 100 %."""
    _plain(ax)
    ax.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.03), aspect="equal", anchor="W")
    ax.set_xlabel(x, fontsize=BODY, color=MUTED)
    ax.set_ylabel(y, fontsize=BODY, color=MUTED)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(xmax=1, decimals=0, symbol=" %"))


def _plain(ax: Axes) -> None:
    ax.tick_params(labelsize=SMALL, colors=MUTED, length=0)
    ax.grid(color=RULE, lw=0.5)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(RULE)
