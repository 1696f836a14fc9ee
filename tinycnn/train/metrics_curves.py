"""Curves of a threshold: what a classifier finds, and what it falsely calls, as its threshold goes down.

A score says how sure the network is that an example is of a class. Whoever asks for all scores of at least a threshold
finds some of that class (the true positive rate, or recall) and some that are not (the false positive rate). Each
threshold is one point; all of them are a curve, and its area is one number that no threshold had to be chosen for.

Two classes are `y_true` (N,) of 0 and 1 and `scores` (N,) of class 1. Of K classes each is asked for against the rest:
`y_true` (N,) class integers, or (N, K) of 0 and 1 where an example may have several, and `scores` (N, K). Equal scores
cannot be told apart and make one point. Every function raises TypeError, ShapeError or ValueError, naming value and
position, for labels that are no classes, scores that are not finite, and shapes that do not fit.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.train.labels import against_the_rest, binary_of
from tinycnn.train.metrics_averages import Average, macro_average, weighted_average

Array = NDArray[np.float64]
_PAIR = "y_true (N), scores (N)"
_ASKED = "y_true[n] counts 1 if example n is of the class asked for, and 0 if not"


def _binary(names: dict[str, Any]) -> dict[str, Any]:
    """Labels of 0 and 1 and their scores; and every threshold that makes a difference, the highest first."""
    true, scores = binary_of(names["y_true"], names["scores"])
    return {"y_true": true, "scores": scores, "threshold": np.append(np.inf, np.unique(scores)[::-1])}


@formula(
    "tpr[u] = sum[n](y_true[n] * (scores[n] >= threshold[u])) / sum[n](y_true[n])",
    "fpr[u] = sum[n]((1 - y_true[n]) * (scores[n] >= threshold[u])) / sum[n](1 - y_true[n])",
    where=f"threshold is ∞ and then every score that occurs, the highest first; {_ASKED}",
    shapes=f"{_PAIR}, threshold (T) -> fpr (T), tpr (T)",
    source="Fawcett 2006, Pattern Recognition Letters 27(8), sections 3 and 5",
    given=_binary,
)
def roc_curve(y_true: ArrayLike, scores: ArrayLike) -> tuple[Array, Array, Array]:
    """The false and the true positive rate at every threshold, from calling nothing to calling everything.

    y_true (N,) of 0 and 1, scores (N,) -> fpr, tpr, thresholds, (T,) each, T at most N + 1; the first threshold is ∞.
    Raises ValueError also where only one class occurs, for then a rate is 0 / 0.

    >>> fpr, tpr, thresholds = roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> fpr.tolist(), tpr.tolist()
    ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    true, s = binary_of(y_true, scores)
    if true.all() or not true.any():
        raise ValueError(f"roc: all {len(true)} examples are of class {true[0]}: one of the two rates would be 0 / 0.")
    thresholds, hits, called = _steps(true, s)
    tpr, fpr = hits / hits[-1], (called - hits) / (called - hits)[-1]
    return np.append(0.0, fpr), np.append(0.0, tpr), np.append(np.inf, thresholds)


@formula(
    "precision[u] = sum[n](y_true[n] * (scores[n] >= threshold[u])) / sum[n](scores[n] >= threshold[u])"
    " if u > 0 else 1",
    "recall[u] = sum[n](y_true[n] * (scores[n] >= threshold[u])) / sum[n](y_true[n])",
    where=f"threshold is ∞ and then every score that occurs, the highest first; {_ASKED}",
    shapes=f"{_PAIR}, threshold (T) -> precision (T), recall (T)",
    source="Manning, Raghavan & Schütze 2008, Introduction to Information Retrieval, section 8.4",
    given=_binary,
)
def precision_recall_curve(y_true: ArrayLike, scores: ArrayLike) -> tuple[Array, Array, Array]:
    """Precision against recall: of what is called, how much is right, the more of the class is to be found.

    y_true (N,) of 0 and 1, scores (N,) -> precision, recall, thresholds, (T,) each, T at most N + 1; the first
    threshold is ∞, where nothing is called, nothing found, and nothing wrong: precision 1. Raises ValueError also
    where there is nothing to find.

    >>> precision, recall, thresholds = precision_recall_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> precision.round(3).tolist(), recall.tolist()
    ([1.0, 1.0, 0.5, 0.667, 0.5], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    true, s = binary_of(y_true, scores)
    if not true.any():
        raise ValueError(f"precision and recall: none of the {len(true)} examples is of class 1: nothing to find.")
    thresholds, hits, called = _steps(true, s)
    return np.append(1.0, hits / called), np.append(0.0, hits / hits[-1]), np.append(np.inf, thresholds)


@formula(
    "signed = sum[u]((x[u+1] - x[u]) * (y[u] + y[u+1]) / 2 if u < T - 1 else 0)",
    "area = max(signed, -signed)",
    shapes="x (T), y (T), signed () -> area ()",
    source="the trapezoidal rule; Fawcett 2006, algorithm 3",
)
def auc(x: ArrayLike, y: ArrayLike) -> float:
    """The area under a curve of points joined by straight lines.

    x (T,) that only rises or only falls, y (T,) -> a number. Raises ShapeError for fewer than two points or other
    shapes, ValueError for an x that turns back.

    >>> auc([0.0, 0.5, 1.0], [0.0, 1.0, 1.0])
    0.75
    """
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ShapeError(f"auc: expected x and y of the same shape (T,) with T ≥ 2, got {a.shape} and {b.shape}.")
    steps = np.diff(a)
    if not ((steps >= 0).all() or (steps <= 0).all()):
        raise ValueError("auc: x must only rise or only fall; sort the points by x first.")
    return float(abs(steps @ (b[:-1] + b[1:]) / 2))


@formula(
    "auc = sum[n,i](y_true[n] * (1 - y_true[i]) * ((scores[n] > scores[i]) + (scores[n] == scores[i]) / 2))"
    " / (sum[n](y_true[n]) * sum[n](1 - y_true[n]))",
    where=f"i runs over the examples, as n does; {_ASKED}",
    shapes=f"{_PAIR} -> auc ()",
    source="Hanley & McNeil 1982, Radiology 143(1); Mann & Whitney 1947",
    given=_binary,
)
def roc_auc(y_true: ArrayLike, scores: ArrayLike, average: Average = "macro") -> Array | float:
    """The area under the ROC curve: how often one of the class scores higher than one that is not, ties half.

    y_true (N,) of 0 and 1 and scores (N,) -> a number, ½ for guessing, 1 for perfect order. Of K classes, scores
    (N, K): each against the rest, and "macro", "weighted" (by how often a class occurs) or "micro" (every example and
    class a question of its own); None gives (K,), NaN for a class that none or all examples have. Averages leave such
    classes out. Raises ValueError where no class is left, and as the module says.

    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    return _each(lambda t, s: auc(*roc_curve(t, s)[:2]), y_true, scores, average, both=True)


@formula(
    "called[n] = sum[i](scores[i] >= scores[n])",
    "hits[n] = sum[i](y_true[i] * (scores[i] >= scores[n]))",
    "ap = sum[n](y_true[n] * hits[n] / called[n]) / sum[n](y_true[n])",
    where=f"i runs over the examples, as n does; {_ASKED}",
    shapes=f"{_PAIR} -> ap ()",
    source="Zhu 2004, Recall, Precision and Average Precision, University of Waterloo",
    given=_binary,
)
def average_precision(y_true: ArrayLike, scores: ArrayLike, average: Average = "macro") -> Array | float:
    """The mean of the precision over the class's examples, each at the threshold that just finds it.

    It is the area under the precision-recall curve drawn in steps; straight lines between its points would promise
    too much. Shapes, averages and what is raised are those of `roc_auc`; a class that none has is NaN, one that all
    have is 1.

    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    return _each(_average_precision, y_true, scores, average, both=False)


def _average_precision(true: NDArray, scores: NDArray) -> float:
    precision, recall, _ = precision_recall_curve(true, scores)
    return float(np.diff(recall) @ precision[1:])


def _steps(true: NDArray, scores: NDArray) -> tuple[Array, NDArray, NDArray]:
    """At each score that occurs, the highest first: how many of the class score at least that, and how many in all."""
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(true[order])
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)  # of each run of equal scores
    return scores[last], hits[last], last + 1


def _each(
    area: Callable[[NDArray, NDArray], float], y_true: ArrayLike, scores: ArrayLike, average: Average, both: bool
) -> Array | float:
    """The area of two classes; or of each class against the rest, and their average."""
    if np.ndim(scores) < 2:
        return area(*binary_of(y_true, scores))
    true, columns = against_the_rest(y_true, scores)
    if average not in (None, "macro", "micro", "weighted"):
        raise ValueError(f"average must be None, 'macro', 'micro' or 'weighted', got {average!r}.")
    if average == "micro":
        return area(true.ravel(), columns.ravel())
    there = np.asarray(true.any(axis=0) & ~(both & true.all(axis=0)))
    found = np.array([area(t, s) if ok else np.nan for t, s, ok in zip(true.T, columns.T, there, strict=True)])
    if average is None:
        return found
    if not there.any():
        raise ValueError("no class has both examples and others to tell them from: no area is defined.")
    return macro_average(found) if average == "macro" else weighted_average(found, true.sum(axis=0))
