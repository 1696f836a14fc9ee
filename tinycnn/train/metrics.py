"""Metrics: how often a classifier is right, and how it is wrong.

Those of its scores are in `metrics_curves`, of its probabilities in `metrics_calibration`, of numbers in
`metrics_regression`.

Nearly all count in one table, the confusion matrix m: m[a,b] examples of class a were taken for class b. Its diagonal
is what went right, a column what was called b, a row what was a.

What every function here takes: `y_true`, class integers (N,) or one-hot rows (N, K); `y_pred`, class integers (N,) or
scores (logits or probabilities) (N, K), where the class with the highest score wins, the first of them on a tie.
`num_classes` is K if given or if either of the two has K columns; otherwise the largest class that occurs, plus one.
Every function raises TypeError for labels that are not integers, ShapeError for shapes that do not fit, and ValueError
for no examples at all, for scores that are NaN, and for a label that is no class, naming value and position.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycnn.formula import formula
from tinycnn.train.labels import classes_of, scores_of
from tinycnn.train.metrics_averages import Average, averaged, macro_average, micro_average, weighted_average
from tinycnn.train.metrics_calibration import brier_score, calibration_curve, expected_calibration_error
from tinycnn.train.metrics_curves import auc, average_precision, precision_recall_curve, roc_auc, roc_curve
from tinycnn.train.metrics_regression import mae, mse, r2

__all__ = [
    "accuracy", "auc", "average_precision", "averaged", "brier_score", "calibration_curve", "classification_report",
    "confusion_matrix", "dice", "expected_calibration_error", "f1", "iou", "macro_average", "mae", "micro_average",
    "mse", "precision", "precision_recall_curve", "r2", "recall", "roc_auc", "roc_curve", "top_k_accuracy",
    "weighted_average",
]  # fmt: skip

_SHAPES = "m (K,K) -> "
_M = "m[a,b] counts the examples of class a that were taken for class b"


def _labels(names: dict[str, Any]) -> dict[str, Any]:
    """Both as class integers, and how many classes there are, for the formulas."""
    true, pred, K = classes_of(names["y_true"], names["y_pred"], names.get("num_classes"))
    return {"y_true": true, "y_pred": pred, "K": K}


def _soft_labels(names: dict[str, Any]) -> dict[str, Any]:
    true, pred, _ = classes_of(names["y_true"], names["y_pred"], None, soft=True)
    return {"y_true": true, "y_pred": pred}


def _matrix(names: dict[str, Any]) -> dict[str, Any]:
    """The confusion matrix, unless the formula was given one."""
    if "m" in names:
        return {}
    return {"m": confusion_matrix(names["y_true"], names["y_pred"], names["num_classes"])}


@formula(
    "accuracy = mean[n](y_true[n] == y_pred[n])",
    shapes="y_true (N), y_pred (N) -> accuracy ()",
    source="Fawcett 2006, Pattern Recognition Letters 27(8), section 2",
    given=_soft_labels,
)
def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """The part of the examples whose class was found.

    y_true (N,) or one-hot (N, K), y_pred (N,) or scores (N, K) -> a number in [0, 1]; raises as the module says. A
    target may also be shared among classes, as mixed examples have it: the one with the largest part counts.

    >>> accuracy([0, 1, 2, 2], [0, 1, 2, 1])
    0.75
    """
    true, pred, _ = classes_of(y_true, y_pred, None, soft=True)
    return float(np.mean(true == pred))


def _ranks(names: dict[str, Any]) -> dict[str, Any]:
    true, scores = scores_of(names["y_true"], names["scores"], soft=True)
    return {"y_true": true, "scores": scores}


@formula(
    "right[n] = scores[n,y_true[n]]",
    "before[n] = sum[l]((scores[n,l] > right[n]) + (scores[n,l] == right[n]) * (l < y_true[n]))",
    "accuracy = mean[n](before[n] < k)",
    where="right is the right class's score; before is how many classes are placed before it: of equal scores the"
    " first class wins",
    shapes="y_true (N), scores (N,K), k () -> accuracy ()",
    source="Russakovsky et al. 2015, arXiv:1409.0575, section 4.1",
    given=_ranks,
)
def top_k_accuracy(y_true: ArrayLike, scores: ArrayLike, k: int = 5) -> float:
    """The part of the examples whose class is among the k with the highest scores.

    y_true (N,) or one-hot (N, K), scores (N, K) -> a number in [0, 1]; k = 1 is the accuracy, and with k ≥ K all are
    right. Of a target that is shared among classes, the largest part counts. Raises ValueError unless k is an int ≥ 1,
    and as the module says.

    >>> top_k_accuracy([0, 2], [[0.1, 0.6, 0.3], [0.1, 0.6, 0.3]], k=2)
    0.5
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"k must be an int ≥ 1, got {k!r}")
    true, rows = scores_of(y_true, scores, soft=True)
    right = rows[np.arange(len(true)), true][:, None]
    tied_before = (rows == right) & (np.arange(rows.shape[1]) < true[:, None])
    return float(np.mean(((rows > right) | tied_before).sum(axis=1) < k))


@formula(
    "m[y_true[n],y_pred[n]] += 1",
    shapes="y_true (N), y_pred (N) -> m (K,K)",
    source="Fawcett 2006, Pattern Recognition Letters 27(8), section 2",
    given=_labels,
)
def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None = None) -> NDArray[np.int64]:
    """Who was taken for whom: a row for each true class, a column for each predicted one.

    y_true (N,) or one-hot (N, K), y_pred (N,) or scores (N, K) -> m (K, K) int64; raises as the module says.

    >>> confusion_matrix([0, 1, 2, 2], [0, 1, 2, 1])
    array([[1, 0, 0],
           [0, 1, 0],
           [0, 1, 1]])
    """
    true, pred, K = classes_of(y_true, y_pred, num_classes)
    return np.bincount(true * K + pred, minlength=K * K).reshape(K, K)  # the pair (a, b), counted as one number a·K + b


@formula(
    "called[k] = sum[l](m[l,k])",
    "precision[k] = m[k,k] / called[k] if called[k] > 0 else zero_division",
    where=_M,
    shapes=_SHAPES + "precision (K)",
    source="Kent, Berry, Luehrs & Perry 1955, American Documentation 6(2)",
    given=_matrix,
)
def precision(
    y_true: ArrayLike, y_pred: ArrayLike, average: Average = None, num_classes: int | None = None,
    zero_division: float = 0.0,
) -> NDArray[np.float64] | float:  # fmt: skip
    """Of what was called class k, the part that is k.

    That is TP / (TP + FP). y_true, y_pred -> (K,) float64, or one number with `average` (see `averaged`). A class that
    was never predicted has precision `zero_division`. Raises as the module says.

    >>> precision([0, 1, 2, 2], [0, 1, 2, 1])
    array([1. , 0.5, 1. ])
    """
    m = confusion_matrix(y_true, y_pred, num_classes)
    right, predicted, actual = m.diagonal(), m.sum(axis=0), m.sum(axis=1)
    return averaged(right, predicted, actual, average, zero_division)


@formula(
    "actual[k] = sum[l](m[k,l])",
    "recall[k] = m[k,k] / actual[k] if actual[k] > 0 else zero_division",
    where=_M,
    shapes=_SHAPES + "recall (K)",
    source="Kent, Berry, Luehrs & Perry 1955, American Documentation 6(2)",
    given=_matrix,
)
def recall(
    y_true: ArrayLike, y_pred: ArrayLike, average: Average = None, num_classes: int | None = None,
    zero_division: float = 0.0,
) -> NDArray[np.float64] | float:  # fmt: skip
    """Of what is class k, the part that was called k.

    That is TP / (TP + FN). y_true, y_pred -> (K,) float64, or one number with `average` (see `averaged`). A class
    without examples has recall `zero_division`. Raises as the module says.

    >>> recall([0, 1, 2, 2], [0, 1, 2, 1])
    array([1. , 1. , 0.5])
    """
    m = confusion_matrix(y_true, y_pred, num_classes)
    right, actual = m.diagonal(), m.sum(axis=1)
    return averaged(right, actual, actual, average, zero_division)


@formula(
    "both[k] = sum[l](m[l,k]) + sum[l](m[k,l])",
    "f1[k] = 2*m[k,k] / both[k] if both[k] > 0 else zero_division",
    where=_M,
    shapes=_SHAPES + "f1 (K)",
    source="van Rijsbergen 1979, Information Retrieval, chapter 7 (its effectiveness E is 1 − F1 for α = 1/2)",
    given=_matrix,
)
def f1(
    y_true: ArrayLike, y_pred: ArrayLike, average: Average = None, num_classes: int | None = None,
    zero_division: float = 0.0,
) -> NDArray[np.float64] | float:  # fmt: skip
    """The harmonic mean of precision and recall: high only where both are.

    That is 2·TP / (2·TP + FP + FN). y_true, y_pred -> (K,) float64, or one number with `average` (see `averaged`):
    "macro" is the mean of the F1s, not the F1 of the means. A class neither predicted nor present has F1
    `zero_division`. Raises as the module says.

    >>> f1([0, 1, 2, 2], [0, 1, 2, 1], average="macro").__round__(4)
    0.7778
    """
    m = confusion_matrix(y_true, y_pred, num_classes)
    right, predicted, actual = m.diagonal(), m.sum(axis=0), m.sum(axis=1)
    return averaged(2 * right, predicted + actual, actual, average, zero_division)


@formula(
    "either[k] = sum[l](m[l,k]) + sum[l](m[k,l]) - m[k,k]",
    "iou[k] = m[k,k] / either[k] if either[k] > 0 else zero_division",
    where=_M + ": here every pixel is an example",
    shapes=_SHAPES + "iou (K)",
    source="Jaccard 1912, New Phytologist 11(2); Everingham et al. 2010, IJCV 88(2)",
    given=_matrix,
)
def iou(
    y_true: ArrayLike, y_pred: ArrayLike, average: Average = "macro", num_classes: int | None = None,
    zero_division: float = 0.0,
) -> NDArray[np.float64] | float:  # fmt: skip
    """Intersection over union: of the pixels that are class k or were called so, the part where both hold.

    Class integers (N, …) or scores (N, K, …) -> one number, or (K,) with `average=None` (see `averaged`). A class that
    is in neither picture has IoU `zero_division`; np.nan leaves it out of the mean. Raises as the module says.

    >>> iou([0, 0, 1, 1], [0, 1, 1, 1], average=None).round(4)
    array([0.5   , 0.6667])
    """
    m = confusion_matrix(y_true, y_pred, num_classes)
    right, predicted, actual = m.diagonal(), m.sum(axis=0), m.sum(axis=1)
    return averaged(right, predicted + actual - right, actual, average, zero_division)


@formula(
    "both[k] = sum[l](m[l,k]) + sum[l](m[k,l])",
    "dice[k] = 2*m[k,k] / both[k] if both[k] > 0 else zero_division",
    where=_M + ": here every pixel is an example",
    shapes=_SHAPES + "dice (K)",
    source="Dice 1945, Ecology 26(3); Sørensen 1948",
    given=_matrix,
    name="dice_score",
)
def dice(
    y_true: ArrayLike, y_pred: ArrayLike, average: Average = "macro", num_classes: int | None = None,
    zero_division: float = 0.0,
) -> NDArray[np.float64] | float:  # fmt: skip
    """Twice the overlap of class k's two masks, over both areas: the F1 of its pixels.

    Class integers (N, …) or scores (N, K, …) -> one number, or (K,) with `average=None` (see `averaged`). A class that
    is in neither picture has Dice `zero_division`; np.nan leaves it out of the mean. Raises as the module says.

    >>> dice([0, 0, 1, 1], [0, 1, 1, 1], average=None).round(4)
    array([0.6667, 0.8   ])
    """
    return f1(y_true, y_pred, average, num_classes, zero_division)


def classification_report(
    y_true: ArrayLike, y_pred: ArrayLike, classes: Sequence[str] | None = None, output_dict: bool = False
) -> str | dict[str, Any]:
    """Precision, recall and F1 of each class, and of all, as a table of text.

    `classes` names the K classes. Undefined ratios (see `precision` and `recall`) show as 0. With `output_dict` the
    same numbers come by name, {"cat": {"precision": …, "recall": …, "f1": …, "examples": …}, …, "macro": …}; "micro",
    which is the accuracy where each example has one class, is there too. Raises as the module says, and with
    `output_dict` ValueError for two classes of one name.

    >>> print(classification_report([0, 0, 1, 1], [0, 0, 1, 0], classes=("cat", "dog")))
              precision  recall     F1  examples
    cat           0.667   1.000  0.800         2
    dog           1.000   0.500  0.667         2
    macro         0.833   0.750  0.733         4
    weighted      0.833   0.750  0.733         4
    accuracy                     0.750         4
    """
    rows, right = _report_rows(y_true, y_pred, classes)
    if output_dict:
        if len({name for name, *_ in rows} | {"accuracy"}) <= len(rows):
            raise ValueError(f"classes: each needs a name of its own, and not that of an average; got {classes}.")
        words = ("precision", "recall", "f1", "examples")
        return {name: dict(zip(words, numbers, strict=True)) for name, *numbers in rows} | {"accuracy": right}
    width = max(len(name) for name, *_ in rows)
    lines = [f"{'':{width}}  precision  recall     F1  examples"]
    lines += [f"{name:{width}}  {p:9.3f}  {r:6.3f}  {f:5.3f}  {n:8,}" for name, p, r, f, n in rows if name != "micro"]
    return "\n".join([*lines, f"{'accuracy':{width}}  {'':17}  {right:5.3f}  {rows[-1][-1]:8,}"])


def _report_rows(y_true: ArrayLike, y_pred: ArrayLike, classes: Sequence[str] | None) -> tuple[list[Any], float]:
    """(name, precision, recall, F1, examples) of each class, then of their averages; and the accuracy."""
    K = None if classes is None else len(classes)
    m = confusion_matrix(y_true, y_pred, K)
    names = [str(c) for c in (range(len(m)) if classes is None else classes)]
    averages: tuple[Average, ...] = ("macro", "weighted", "micro")
    columns = [np.asarray(f(y_true, y_pred, None, K)).tolist() for f in (precision, recall, f1)]
    rows = [*zip(names, *columns, m.sum(axis=1).tolist(), strict=True)]
    rows += [(a, *(f(y_true, y_pred, a, K) for f in (precision, recall, f1)), int(m.sum())) for a in averages]
    return rows, float(m.trace() / m.sum())
