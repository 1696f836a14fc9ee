"""Losses: one number that says how far the output is from the target, as a mean over the batch (and the pixels).

Through softmax, the gradient of the cross-entropy is simply p − t: what the network said, less what it should have.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import Array, check_probabilities, floating, upstream_number
from tinycnn.ops.softmax import log_softmax_forward


def targets(t: Any, shape: tuple[int, ...]) -> Array:
    """Targets for scores of `shape` (N, K, …) as one-hot rows, from integers (N, …) or from rows that already are.

    Raises ValueError for a label that is no class (it names the label and its place) and for rows that do not sum to
    1; TypeError for labels that are not integers; ShapeError if the shapes do not fit.
    """
    t = np.asarray(t)
    classes_last = (shape[0], *shape[2:])
    if t.ndim == 2 and t.shape == (shape[0], 1) and len(shape) == 2 and shape[1] > 1:
        t = t[:, 0]  # a column of labels, as Keras's data sets have it
    if t.shape == shape:
        if t.dtype.kind not in "fcbiu":
            raise TypeError(f"one-hot targets must be numbers, got {t.dtype}")
        sums = t.sum(axis=1)
        wrong = np.argwhere(~(abs(sums.real - 1) < 1e-3))
        if wrong.size:
            at = tuple(map(int, wrong[0]))
            raise ValueError(f"each one-hot row must sum to 1, but the one at {at} sums to {sums[at]:.6g}")
        wrong = np.argwhere(t.real < 0)
        if wrong.size:
            at = tuple(map(int, wrong[0]))
            raise ValueError(f"one-hot rows hold parts of 1, but t{list(at)} is {t[at]}")
        return t.astype(np.float64) if t.dtype.kind in "biu" else t
    if t.shape != classes_last:
        raise ShapeError(
            f"targets for scores of shape {shape} are integers of shape {classes_last} or one-hot rows "
            f"of shape {shape}, got shape {t.shape}"
        )
    return _one_hot(t, shape)


def _one_hot(t: Array, shape: tuple[int, ...]) -> Array:
    if t.dtype.kind not in "iu":
        first = f", {t.flat[0]!r} at position 0" if t.size else ""
        raise TypeError(f"labels must be integers, got {t.dtype}{first}; convert them with y.astype(np.int64)")
    K = shape[1]
    wrong = np.argwhere((t < 0) | (t >= K))
    if wrong.size:
        at = tuple(map(int, wrong[0]))
        place = at if len(at) > 1 else at[0]
        raise ValueError(f"label {t[at]} at position {place} is no class: with K = {K} they are 0 to {K - 1}")
    classes = np.arange(K).reshape(1, K, *(1,) * (t.ndim - 1))
    return (t[:, None] == classes).astype(np.float64)


def _count(shape: tuple[int, ...]) -> int:
    """How many rows of K classes there are: the batch, times the pixels. A mean over none of them is refused."""
    M = shape[0] * math.prod(shape[2:])
    if M == 0:
        raise ValueError(f"a mean over an empty batch is not defined: shape {shape}")
    return M


def _weighted_targets(
    t: Any, shape: tuple[int, ...], class_weights: Any = None, label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> tuple[Array, Any]:  # fmt: skip
    """One-hot rows after smoothing and weighting, and D, what the sum over them is divided by.

    D adds up the weight of each row's right class (1 for a row of soft labels, as in PyTorch); an ignored row is all
    zeros, and is not in D. Raises ValueError if nothing is left to take a mean of.
    """
    M, K = _count(shape), shape[1]
    t = np.asarray(t)
    is_integer = t.shape != shape
    counted = np.ones((shape[0], *shape[2:]), bool)
    if ignore_index is not None and is_integer:
        counted = t != ignore_index
        t = np.where(counted, t, 0)
    rows = targets(t, shape)
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing must be ≥ 0 and < 1, got {label_smoothing!r}")
    a = np.ones(K) if class_weights is None else np.asarray(class_weights, np.float64)
    if a.shape != (K,) or not (np.isfinite(a) & (a >= 0)).all():
        raise ValueError(f"class_weights must be {K} numbers ≥ 0, one a class, got {class_weights!r}")
    a = a.reshape(1, K, *(1,) * (len(shape) - 2))
    D = (rows * a).sum(axis=1)[counted].sum().real if is_integer else M
    if D == 0:
        raise ValueError("no label counts: every one is ignored, or of a class of weight 0")
    smooth = (1 - label_smoothing) * rows + label_smoothing / K
    return smooth * a * counted[:, None], D


def _cross_entropy_names(names: dict[str, Any]) -> dict[str, Any]:
    options = {o: names[o] for o in ("class_weights", "label_smoothing", "ignore_index")}
    t, D = _weighted_targets(names["t"], names["z"].shape, **options)
    return {"t": t, "D": D}


@formula(
    "m[n,...] = max[k](z[n,k,...])",
    "logp[n,k,...] = z[n,k,...] - m[n,...] - log(sum[l](exp(z[n,l,...] - m[n,...])))",
    "L = -sum[n,k,...](t[n,k,...] * logp[n,k,...]) / D",
    where="t is 1 at the right class and 0 elsewhere (smoothed, and times the class's weight, if the options say so);"
    "D is the sum of the right classes' weights: without weights, the number of rows",
    shapes="z (N,K,...), t (N,K,...) -> L ()",
    source="Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2.2.3; label smoothing: Szegedy et al. 2016,"
    " arXiv:1512.00567, section 7",
    given=_cross_entropy_names,
)
def cross_entropy_forward(
    z: Array, t: Any, class_weights: Any = None, label_smoothing: float = 0.0, ignore_index: int | None = None
) -> tuple[Any, tuple]:
    """Cross-entropy from logits: the mean of −log p at the right class, with p = softmax(z).

    `t` holds integers (N, …), or rows (N, K, …) that sum to 1: one-hot or soft. `class_weights` makes some classes
    count more; `label_smoothing` spreads that part of each target over all classes; rows labelled `ignore_index` do
    not count.

    Raises ValueError for a label that is no class or if no label counts, TypeError for labels that are not integers.

    >>> round(cross_entropy_forward(np.log(np.array([[0.25, 0.75]])), np.array([1]))[0], 6)    # −log 0.75
    np.float64(0.287682)
    """
    t, D = _weighted_targets(t, floating(z, "z").shape, class_weights, label_smoothing, ignore_index)
    logp, _ = log_softmax_forward(z)
    t, D = _as_type_of(z, t), z.real.dtype.type(D)
    return -(t * logp).sum() / D, (logp, t, D)


@formula(
    "dz[n,k,...] = dy * (exp(logp[n,k,...]) * sum[l](t[n,l,...]) - t[n,k,...]) / D",
    where="the row's t sums to 1 without options, which leaves p − t",
    shapes="dy (), -> dz",
)
def cross_entropy_backward(dy: Any, cache: tuple) -> Array:
    """The famous gradient p − t, over the number of rows; with weights, each row's p counts as its t does."""
    logp, t, D = cache
    return upstream_number(dy) * (np.exp(logp) * t.sum(axis=1, keepdims=True) - t) / D


def _focal_names(names: dict[str, Any]) -> dict[str, Any]:
    t, _ = _weighted_targets(names["t"], names["z"].shape, names["class_weights"])
    return {"t": t, "M": _count(names["z"].shape)}


@formula(
    "m[n,...] = max[k](z[n,k,...])",
    "logp[n,k,...] = z[n,k,...] - m[n,...] - log(sum[l](exp(z[n,l,...] - m[n,...])))",
    "L = -mean[n,...](sum[k](t[n,k,...] * (1 - exp(logp[n,k,...]))**gamma * logp[n,k,...]))",
    where="t is 1 at the right class and 0 elsewhere, times the class's weight; gamma = 0 is the cross-entropy",
    shapes="z (N,K,...), t (N,K,...) -> L ()",
    source="Lin, Goyal, Girshick, He & Dollár 2017, arXiv:1708.02002, equation 5",
    given=_focal_names,
)
def focal_forward(z: Array, t: Any, gamma: float = 2.0, class_weights: Any = None) -> tuple[Any, tuple]:
    """Focal loss from logits: a cross-entropy in which what is already right hardly counts.

    Raises ValueError for a `gamma` between 0 and 1 (its gradient would be infinite at p = 1) and as cross_entropy does.

    >>> round(focal_forward(np.log(np.array([[0.25, 0.75]])), np.array([1]))[0], 6)    # −0.25² · log 0.75
    np.float64(0.01798)
    """
    if not (gamma == 0 or gamma >= 1):
        raise ValueError(f"gamma must be 0, or at least 1, got {gamma!r}")
    t, _ = _weighted_targets(t, floating(z, "z").shape, class_weights)
    logp, _ = log_softmax_forward(z)
    t, M = _as_type_of(z, t), _count(z.shape)
    return -(t * (-np.expm1(logp)) ** gamma * logp).sum() / M, (logp, t, gamma, M)


@formula(
    "e[n,k,...] = t[n,k,...] * (gamma * exp(logp[n,k,...]) * (1 - exp(logp[n,k,...]))**(max(gamma, 1) - 1)"
    " * logp[n,k,...] - (1 - exp(logp[n,k,...]))**gamma)",
    "dz[n,k,...] = dy * (e[n,k,...] - exp(logp[n,k,...]) * sum[l](e[n,l,...])) / M",
    where="e is p times the derivative by p; M is how many rows the mean is over",
    shapes="dy (), -> dz",
)
def focal_backward(dy: Any, cache: tuple) -> Array:
    """The derivative by each p, through the softmax's Jacobian."""
    logp, t, gamma, M = cache
    p, rest = np.exp(logp), -np.expm1(logp)  # rest = 1 − p, exact where p is almost 1
    e = t * (gamma * p * rest ** (max(gamma, 1) - 1) * logp - rest**gamma)
    return upstream_number(dy) * (e - p * e.sum(axis=1, keepdims=True)) / M


def _as_type_of(z: Array, t: Array) -> Array:
    """Targets of the scores' type, so that float64 targets do not make float32 training float64."""
    return t if t.dtype.kind == "c" else t.astype(z.real.dtype)


def _class_names(names: dict[str, Any]) -> dict[str, Any]:
    p = names["p"]
    return {"t": targets(names["t"], p.shape), "M": _count(p.shape), "tiny": float(np.finfo(p.dtype).tiny)}


@formula(
    "L = -mean[n,...](sum[k](t[n,k,...] * log(max(p[n,k,...], tiny))))",
    where="t is 1 at the right class and 0 elsewhere; tiny is the smallest normal number, for which a p of 0 counts",
    shapes="p (N,K,...), t (N,K,...) -> L ()",
    source="Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2.2.3",
    given=_class_names,
)
def categorical_crossentropy_forward(p: Array, t: Any) -> tuple[Any, tuple]:
    """Cross-entropy from probabilities: the mean of −log p at the right class.

    Raises ValueError for a label that is no class, a probability outside 0…1 or an empty batch, TypeError for labels
    that are not integers.

    >>> round(categorical_crossentropy_forward(np.array([[0.25, 0.75]]), np.array([1]))[0], 6)    # −log 0.75
    np.float64(0.287682)
    """
    t = _as_type_of(p, targets(t, floating(p, "p").shape))
    check_probabilities(p)
    M = _count(p.shape)
    floor = np.finfo(p.dtype).tiny
    clipped = np.where(p.real < floor, floor, p)
    return -(t * np.log(clipped)).sum() / M, (clipped, t, p.real >= floor, M)


@formula(
    "dp[n,k,...] = -dy * t[n,k,...] / p[n,k,...] * (p[n,k,...] >= tiny) / M",
    where="M is how many rows the mean is over: the batch, times the pixels",
    shapes="dy (), -> dp",
)
def categorical_crossentropy_backward(dy: Any, cache: tuple) -> Array:
    """−t/p at the right class, over the number of rows; 0 where p was too small to count."""
    clipped, t, counts, M = cache
    return np.where(counts, -upstream_number(dy) * t / clipped / M, 0)
