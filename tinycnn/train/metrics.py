"""Metrics: how often a classifier is right, and how it is wrong.

All of them count in one table, the confusion matrix m: m[a,b] examples of class a were taken for class b. Its diagonal
is what went right, a column what was called b, a row what was a.

What every function here takes: `y_true`, class integers (N,) or one-hot rows (N, K); `y_pred`, class integers (N,) or
scores (logits or probabilities) (N, K), where the class with the highest score wins, the first of them on a tie.
`num_classes` is K if given or if either of the two has K columns; otherwise the largest class that occurs, plus one.
Every function raises TypeError for labels that are not integers, ShapeError for shapes that do not fit, and ValueError
for no examples at all, for scores that are NaN, and for a label that is no class, naming value and position.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycnn.data.dataset import check_labels
from tinycnn.errors import ShapeError

Average = Literal["macro", "micro", "weighted"] | None


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """The part of the examples whose class was found.

    accuracy = mean[n](y_true[n] = y_pred[n])

    y_true (N,) or one-hot (N, K), y_pred (N,) or scores (N, K) -> a number in [0, 1]; raises as the module says.

    >>> accuracy([0, 1, 2, 2], [0, 1, 2, 1])
    0.75
    """
    true, pred, _ = _classes_of(y_true, y_pred, None)
    return float(np.mean(true == pred))


def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None = None) -> NDArray[np.int64]:
    """Who was taken for whom: a row for each true class, a column for each predicted one.

    m[a,b] = sum[n](y_true[n] = a and y_pred[n] = b)

    y_true (N,) or one-hot (N, K), y_pred (N,) or scores (N, K) -> m (K, K) int64; raises as the module says.

    >>> confusion_matrix([0, 1, 2, 2], [0, 1, 2, 1])
    array([[1, 0, 0],
           [0, 1, 0],
           [0, 1, 1]])
    """
    true, pred, K = _classes_of(y_true, y_pred, num_classes)
    return np.bincount(true * K + pred, minlength=K * K).reshape(K, K)  # the pair (a, b), counted as one number a·K + b


def precision(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    average: Average = None,
    num_classes: int | None = None,
    zero_division: float = 0.0,
) -> NDArray[np.float64] | float:
    """Of what was called class k, the part that is k.

    precision[k] = m[k,k] / sum[a](m[a,k]) = TP / (TP + FP)

    y_true, y_pred -> (K,) float64, or one number with `average` (see `averaged`). A class that was never predicted has
    precision `zero_division`. Raises as the module says.

    >>> precision([0, 1, 2, 2], [0, 1, 2, 1])
    array([1. , 0.5, 1. ])
    """
    m = confusion_matrix(y_true, y_pred, num_classes)
    right, predicted, actual = m.diagonal(), m.sum(axis=0), m.sum(axis=1)
    return averaged(right, predicted, actual, average, zero_division)


def recall(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    average: Average = None,
    num_classes: int | None = None,
    zero_division: float = 0.0,
) -> NDArray[np.float64] | float:
    """Of what is class k, the part that was called k.

    recall[k] = m[k,k] / sum[b](m[k,b]) = TP / (TP + FN)

    y_true, y_pred -> (K,) float64, or one number with `average` (see `averaged`). A class without examples has recall
    `zero_division`. Raises as the module says.

    >>> recall([0, 1, 2, 2], [0, 1, 2, 1])
    array([1. , 1. , 0.5])
    """
    m = confusion_matrix(y_true, y_pred, num_classes)
    right, actual = m.diagonal(), m.sum(axis=1)
    return averaged(right, actual, actual, average, zero_division)


def f1(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    average: Average = None,
    num_classes: int | None = None,
    zero_division: float = 0.0,
) -> NDArray[np.float64] | float:
    """The harmonic mean of precision and recall: high only where both are.

    f1[k] = 2*m[k,k] / (sum[a](m[a,k]) + sum[b](m[k,b])) = 2*TP / (2*TP + FP + FN)

    y_true, y_pred -> (K,) float64, or one number with `average` (see `averaged`): "macro" is the mean of the F1s, not
    the F1 of the means. A class neither predicted nor present has F1 `zero_division`. Raises as the module says.
    Source: van Rijsbergen, Information Retrieval, 1979, chapter 7 (its effectiveness E is 1 − F1 for α = 1/2).

    >>> f1([0, 1, 2, 2], [0, 1, 2, 1], average="macro").__round__(4)
    0.7778
    """
    m = confusion_matrix(y_true, y_pred, num_classes)
    right, predicted, actual = m.diagonal(), m.sum(axis=0), m.sum(axis=1)
    return averaged(2 * right, predicted + actual, actual, average, zero_division)


def averaged(
    top: NDArray, bottom: NDArray, actual: NDArray, average: Average, zero_division: float
) -> NDArray[np.float64] | float:
    """One ratio a class, and one number for all of them if asked.

    ratio[k] = top[k] / bottom[k], or zero_division where bottom[k] = 0
    macro = mean[k](ratio[k])
    micro = sum[k](top[k]) / sum[k](bottom[k])
    weighted = sum[k](actual[k] * ratio[k]) / sum[k](actual[k])

    top, bottom, actual (K,), the last the examples of each class. Macro's mean is over all K classes, those that never
    occur included (they count as `zero_division`). Micro, where each example has one class, is the accuracy.
    Raises ValueError for another word than these.

    >>> averaged(np.array([1, 3]), np.array([2, 4]), np.array([1, 3]), average="micro", zero_division=0.0).__round__(4)
    0.6667
    """
    if average == "micro":
        return float(top.sum() / bottom.sum())  # never 0 / 0: at least one example was called something
    ratio = np.full(len(top), float(zero_division))
    np.divide(top, bottom, out=ratio, where=bottom != 0)
    if average is None:
        return ratio
    if average == "macro":
        return float(ratio.mean())
    if average == "weighted":
        return float(actual @ ratio / actual.sum())
    raise ValueError(f"average must be None, 'macro', 'micro' or 'weighted', got {average!r}.")


def classification_report(y_true: ArrayLike, y_pred: ArrayLike, classes: Sequence[str] | None = None) -> str:
    """Precision, recall and F1 of each class, and of all, as a table of text.

    `classes` names the K classes. Undefined ratios (see `precision` and `recall`) show as 0. Raises as the module says.

    >>> print(classification_report([0, 0, 1, 1], [0, 0, 1, 0], classes=("cat", "dog")))
              precision  recall     F1  examples
    cat           0.667   1.000  0.800         2
    dog           1.000   0.500  0.667         2
    macro         0.833   0.750  0.733         4
    weighted      0.833   0.750  0.733         4
    accuracy                     0.750         4
    """
    K = None if classes is None else len(classes)
    m = confusion_matrix(y_true, y_pred, K)
    names = [str(c) for c in (range(len(m)) if classes is None else classes)]
    width = max(len(name) for name in [*names, "weighted"])
    columns = [f(y_true, y_pred, None, K) for f in (precision, recall, f1)]
    rows = [*zip(names, *columns, m.sum(axis=1), strict=True)]  # type: ignore[arg-type]
    averages: tuple[Average, ...] = ("macro", "weighted")
    rows += [(a, *(f(y_true, y_pred, a, K) for f in (precision, recall, f1)), m.sum()) for a in averages]
    lines = [f"{'':{width}}  precision  recall     F1  examples"]
    lines += [f"{name:{width}}  {p:9.3f}  {r:6.3f}  {f:5.3f}  {n:8,}" for name, p, r, f, n in rows]
    return "\n".join([*lines, f"{'accuracy':{width}}  {'':17}  {m.trace() / m.sum():5.3f}  {m.sum():8,}"])


def _classes_of(y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None) -> tuple[NDArray, NDArray, int]:
    """Both as int64 classes (N,), and the number of classes."""
    true, pred = _pixels_as_rows(np.asarray(y_true), np.asarray(y_pred))
    widths = {a.shape[1] for a in (true, pred) if a.ndim == 2 and a.shape[1] > 1}
    if num_classes is not None:
        widths.add(num_classes)
    if len(widths) > 1:
        raise ShapeError(f"y_true {true.shape}, y_pred {pred.shape} and num_classes {num_classes} disagree about K.")
    K = widths.pop() if widths else None
    true = check_labels(_from_one_hot(true), K, what="y_true")
    pred = check_labels(_from_scores(pred), K, what="y_pred")
    if len(true) != len(pred):
        raise ShapeError(f"y_true has {len(true)} examples, y_pred {len(pred)}: they must be as many.")
    if len(true) == 0:
        raise ValueError("there are no examples: a metric of nothing is undefined.")
    return true, pred, K if K is not None else int(max(true.max(), pred.max())) + 1


def _pixels_as_rows(true: NDArray, pred: NDArray) -> tuple[NDArray, NDArray]:
    """Images of labels (N, H, W) and of scores (N, K, H, W) as one long list of pixels; anything else as it is."""
    if pred.ndim < 3:
        return true, pred
    has_classes = pred.dtype.kind == "f"
    K, pixels = pred.shape[1], (len(pred), *pred.shape[2:]) if has_classes else pred.shape
    if true.shape not in (pixels, pred.shape):
        raise ShapeError(f"y_true {true.shape} and y_pred {pred.shape} do not fit: one label a pixel is {pixels}.")
    rows = lambda a: np.moveaxis(a, 1, -1).reshape(-1, K)  # noqa: E731
    if not has_classes:
        return true.ravel(), pred.ravel()
    return rows(true) if true.shape == pred.shape else true.ravel(), rows(pred)


def _from_one_hot(y: NDArray) -> NDArray:
    """The place of the one in each row of (N, K); anything else passes unchanged."""
    if y.ndim != 2 or y.shape[1] < 2:
        return y
    wrong = ((y != 0) & (y != 1)).any(axis=1) | (y.sum(axis=1) != 1)
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(f"y_true: row {i} is {y[i].tolist()}, not one-hot: a single 1 among zeros was expected.")
    return y.argmax(axis=1)


def _from_scores(y: NDArray) -> NDArray:
    """The class with the highest score in each row of (N, K); anything else passes unchanged."""
    if y.ndim == 2 and y.shape[1] == 1 and y.dtype.kind == "f":
        raise ShapeError(f"y_pred {y.shape}: one column has no highest. Two classes? (y_pred > 0.5).astype(int)")
    if y.ndim != 2 or y.shape[1] < 2:
        return y
    if (y != y).any():  # NaN alone differs from itself; argmax would let it win
        i = int((y != y).any(axis=1).argmax())
        raise ValueError(f"y_pred: row {i} holds NaN: {y[i].tolist()}.")
    return y.argmax(axis=1)
