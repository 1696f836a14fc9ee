"""One picture of everything: how it learned, where it errs, what its filters look like, what it says."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from tinycnn.plot.curves import History, draw_curves
from tinycnn.plot.matrix import draw_confusion
from tinycnn.plot.samples import draw_predictions
from tinycnn.plot.style import new_figure
from tinycnn.plot.weights import draw_filters


def overview(
    history: History,
    matrix: ArrayLike,
    w: ArrayLike,
    x: ArrayLike,
    probabilities: ArrayLike,
    y_true: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
) -> Figure:
    """Learning curves, confusion matrix, filters and predictions in one figure of 1200×700 pixels.

    The arguments are those of `learning_curves`, `confusion`, `filters` and `predictions`, and so are the errors.

    >>> import numpy as np
    >>> p = np.eye(2)
    >>> fig = overview({"loss": [1.0, 0.5]}, p, np.ones((4, 1, 3, 3)), np.zeros((2, 1, 8, 8)), p)
    >>> (fig.get_size_inches() * fig.dpi).round().astype(int).tolist()
    [1200, 700]
    """
    fig = new_figure(height=700 / 150)
    top, bottom = fig.subfigures(2, 1, squeeze=False, height_ratios=[1.45, 1]).flat
    curves, errors = top.subfigures(1, 2, squeeze=False, width_ratios=[1.5, 1]).flat
    kernels, samples = bottom.subfigures(1, 2, squeeze=False, width_ratios=[1, 1.25]).flat
    draw_curves(curves, history)
    draw_confusion(errors, matrix, classes)
    draw_filters(kernels, w)
    draw_predictions(samples, x, probabilities, y_true, classes, most=6, columns=3)
    return fig
