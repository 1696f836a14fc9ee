"""What metrics are given, in its several forms: class integers, one-hot rows, scores, and pictures of any of these."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycnn.data.dataset import check_labels
from tinycnn.errors import ShapeError


def classes_of(
    y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None, soft: bool = False
) -> tuple[NDArray, NDArray, int]:
    """Both as int64 classes (N,), and the number of classes; `soft` allows targets that are shared among classes."""
    true, pred = _pixels_as_rows(np.asarray(y_true), np.asarray(y_pred))
    widths = {a.shape[1] for a in (true, pred) if a.ndim == 2 and a.shape[1] > 1}
    if num_classes is not None:
        widths.add(num_classes)
    if len(widths) > 1:
        raise ShapeError(f"y_true {true.shape}, y_pred {pred.shape} and num_classes {num_classes} disagree about K.")
    K = widths.pop() if widths else None
    true = check_labels(_from_rows(true, soft), K, what="y_true")
    pred = check_labels(_from_scores(pred), K, what="y_pred")
    if len(true) != len(pred):
        raise ShapeError(f"y_true has {len(true)} examples, y_pred {len(pred)}: they must be as many.")
    if len(true) == 0:
        raise ValueError("there are no examples: a metric of nothing is undefined.")
    return true, pred, K if K is not None else int(max(true.max(), pred.max())) + 1


def scores_of(y_true: ArrayLike, scores: ArrayLike, soft: bool = False) -> tuple[NDArray, NDArray]:
    """Class integers (N,) and their scores (N, K); pictures as one long list of pixels."""
    true, rows = _pixels_as_rows(np.asarray(y_true), np.asarray(scores))
    if rows.ndim != 2 or rows.shape[1] < 2 or rows.dtype.kind not in "fiu":
        raise ShapeError(f"scores must be numbers (N, K), one a class, got {rows.dtype} of shape {rows.shape}.")
    true, _, _ = classes_of(true, rows, rows.shape[1], soft)
    return true, rows


def binary_of(y_true: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels of 0 and 1 (N,) and the scores of class 1 (N,), in float64."""
    true, found = np.asarray(y_true), np.asarray(scores)
    if found.ndim != 1 or found.dtype.kind not in "fiu":
        raise ShapeError(
            f"scores must be numbers (N,), those of class 1, got {found.dtype} of shape {found.shape}. One class of "
            "several: (y_true == k), scores[:, k]"
        )
    true = check_labels(true.astype(np.int64) if true.dtype.kind == "b" else true, 2, what="y_true")
    if len(true) != len(found):
        raise ShapeError(f"y_true has {len(true)} examples, scores {len(found)}: they must be as many.")
    return true, _finite(found)


def against_the_rest(y_true: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(N, K) of 0 and 1, a column for each class, and the scores (N, K); an example may have several classes."""
    true, rows = np.asarray(y_true), np.asarray(scores)
    if true.ndim != 2 or true.shape[1:] == (1,) or rows.ndim != 2:
        labels, rows = scores_of(true, rows)
        return (labels[:, None] == np.arange(rows.shape[1])).astype(np.int64), _finite(rows)
    if true.shape != rows.shape or rows.dtype.kind not in "fiu":
        raise ShapeError(f"y_true {true.shape} and scores {rows.dtype} {rows.shape}: both must be (N, K).")
    if (wrong := (true != 0) & (true != 1)).any():
        n, k = map(int, np.argwhere(wrong)[0])
        raise ValueError(f"y_true: {true[n, k]!s} at position ({n}, {k}) is neither 0 nor 1.")
    return true.astype(np.int64), _finite(rows)


def _finite(scores: NDArray) -> NDArray[np.float64]:
    """The scores in float64, if there are any and all are finite."""
    if not scores.size:
        raise ValueError("there are no examples: a metric of nothing is undefined.")
    if not np.isfinite(scores).all():
        at = tuple(map(int, np.argwhere(~np.isfinite(scores))[0]))
        raise ValueError(f"scores: {scores[at]} at position {at if len(at) > 1 else at[0]} is not finite.")
    return scores.astype(np.float64)


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


def _from_rows(y: NDArray, soft: bool) -> NDArray:
    """The class with the largest part in each row of (N, K), all of it unless `soft`; other arrays pass unchanged."""
    if y.ndim != 2 or y.shape[1] < 2:
        return y
    if soft:
        wrong = ~((y >= 0).all(axis=1) & (abs(y.sum(axis=1) - 1) < 1e-3))
    else:
        wrong = ((y != 0) & (y != 1)).any(axis=1) | (y.sum(axis=1) != 1)
    if wrong.any():
        i = int(wrong.argmax())
        wanted = "not parts of 1 that sum to it." if soft else "not one-hot: a single 1 among zeros was expected."
        raise ValueError(f"y_true: row {i} is {y[i].tolist()}, {wanted}")
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
