"""Metrics of numbers: how far predictions are from what they should be. Nothing is broadcast, every number counts once.

They are computed in float64 whatever comes in. In training they are means over batches, which for R² is not the R² of
all data; `evaluate` gives that.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycnn.errors import ShapeError
from tinycnn.formula import formula


@formula(
    "mse = mean[...]((y_true - y_pred)**2)",
    shapes="y_true (...), y_pred (...) -> mse ()",
    source="Legendre 1805; Gauss 1809",
    name="mean_squared_error",
)
def mse(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean squared error, over every number.

    Raises ShapeError if the shapes differ, ValueError for no numbers at all, TypeError for what is no number.

    >>> mse([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    true, pred = _numbers_of(y_true, y_pred)
    return float(np.mean((true - pred) ** 2))


@formula(
    "mae = mean[...](max(y_true - y_pred, y_pred - y_true))",
    shapes="y_true (...), y_pred (...) -> mae ()",
    source="Boscovich 1757; Laplace 1774",
    name="mean_absolute_error",
)
def mae(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean absolute error, over every number.

    Raises ShapeError if the shapes differ, ValueError for no numbers at all, TypeError for what is no number.

    >>> mae([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    true, pred = _numbers_of(y_true, y_pred)
    return float(np.mean(np.abs(true - pred)))


@formula(
    "centre = mean[...](y_true)",
    "res = sum[...]((y_true - y_pred)**2)",
    "tot = sum[...]((y_true - centre)**2)",
    "R2 = 1 - res / tot if max[...](y_true) > min[...](y_true) else (res == 0)",
    where="centre is the targets' mean: what one would say without looking",
    shapes="y_true (...), y_pred (...), centre (), res (), tot () -> R2 ()",
    source="Wright 1921, J. Agricultural Research 20(7); Draper & Smith 1998, Applied Regression Analysis",
)
def r2(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """R², the part of the targets' variation that the predictions explain: 1 is perfect, 0 is as good as their mean.

    Over all numbers as one list. Targets that are all equal have no variation to explain: then R² is 1 if every
    prediction is exact, and 0 if not. Raises ShapeError if the shapes differ, ValueError for no numbers at all,
    TypeError for what is no number.

    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    true, pred = _numbers_of(y_true, y_pred)
    left = np.sum((true - pred) ** 2)
    if (true == true.flat[0]).all():
        return float(left == 0)
    return float(1 - left / np.sum((true - true.mean()) ** 2))


def _numbers_of(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both in float64, once they are numbers and as many."""
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    for name, y in (("y_true", true), ("y_pred", pred)):
        if y.dtype.kind not in "fiub":
            raise TypeError(f"{name}: expected numbers, got {y.dtype}.")
    if true.shape != pred.shape:
        raise ShapeError(f"y_true {true.shape} and y_pred {pred.shape} must have the same shape; nothing is broadcast.")
    if true.size == 0:
        raise ValueError("there are no examples: a metric of nothing is undefined.")
    return true.astype(np.float64), pred.astype(np.float64)
