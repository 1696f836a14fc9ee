"""Averages over classes: one number of many, and three ways to say how much each class counts in it."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tinycnn.formula import formula

Average = Literal["macro", "micro", "weighted"] | None


@formula(
    "average = sum[k](ratio[k] if ratio[k] == ratio[k] else 0) / sum[k](ratio[k] == ratio[k])",
    where="a ratio that is no number (NaN, which does not equal itself) is left out",
    shapes="ratio (K) -> average ()",
    source="Yang 1999, Information Retrieval 1(1), section 3.2",
)
def macro_average(ratio: NDArray[np.float64]) -> float:
    """The plain mean over the classes: a rare class counts as much as a common one.

    >>> macro_average(np.array([1.0, 0.5, np.nan]))
    0.75
    """
    return weighted_average(ratio, np.ones(len(ratio)))


@formula(
    "average = sum[k](top[k]) / sum[k](bottom[k])",
    where="top[k] / bottom[k] is the ratio of class k",
    shapes="top (K), bottom (K) -> average ()",
    source="Yang 1999, Information Retrieval 1(1), section 3.2",
)
def micro_average(top: NDArray, bottom: NDArray) -> float:
    """One ratio of all classes' counts together: every example counts as much.

    >>> micro_average(np.array([1, 3]), np.array([2, 4])).__round__(4)
    0.6667
    """
    return float(top.sum() / bottom.sum())


@formula(
    "average = sum[k](actual[k] * ratio[k] if ratio[k] == ratio[k] else 0)"
    " / sum[k](actual[k] if ratio[k] == ratio[k] else 0)",
    where="actual[k] is how many examples class k has; a ratio that is no number is left out",
    shapes="ratio (K), actual (K) -> average ()",
    source="Sokolova & Lapalme 2009, Information Processing & Management 45(4)",
)
def weighted_average(ratio: NDArray[np.float64], actual: NDArray) -> float:
    """The mean over the classes, each as often as it occurs; NaN where nothing is left to average.

    >>> weighted_average(np.array([1.0, 0.5]), np.array([3, 1]))
    0.875
    """
    weight = np.where(np.isnan(ratio), 0, actual)
    return float(weight @ np.nan_to_num(ratio) / weight.sum()) if weight.any() else float("nan")


def averaged(
    top: NDArray, bottom: NDArray, actual: NDArray, average: Average, zero_division: float
) -> NDArray[np.float64] | float:
    """One ratio a class, top[k] / bottom[k] (`zero_division` where bottom[k] is 0), and one number of all if asked.

    top, bottom, actual (K,), the last the examples of each class; `average` is None, "macro", "micro" or "weighted"
    (see `macro_average`, `micro_average`, `weighted_average`). Macro's mean is over all K classes, those that never
    occur included (they count as `zero_division`). Micro, where each example has one class, is the accuracy.
    A `zero_division` of np.nan leaves such classes out. Raises ValueError for another word than these.

    >>> averaged(np.array([1, 3]), np.array([2, 4]), np.array([1, 3]), average="micro", zero_division=0.0).__round__(4)
    0.6667
    """
    if average == "micro":
        return micro_average(top, bottom)  # never 0 / 0: at least one example was called something
    ratio = np.full(len(top), float(zero_division))
    np.divide(top, bottom, out=ratio, where=bottom != 0)
    if average is None:
        return ratio
    if average in ("macro", "weighted"):
        return macro_average(ratio) if average == "macro" else weighted_average(ratio, actual)
    raise ValueError(f"average must be None, 'macro', 'micro' or 'weighted', got {average!r}.")
