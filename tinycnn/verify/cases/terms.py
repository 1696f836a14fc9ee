"""What an error is relative to: for each number of a result, the sum of the absolute values of what it is made of.

A gradient such as p − t, or what a norm leaves of dy when its mean is taken out, may be small because large numbers
cancel. It cannot be more exact than they are, and it need not be less: |a − b| over the sum of the absolute terms holds
every entry to its own size, and a true zero, whose terms are all 0, to 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinycnn.ops.loss import targets
from tinycnn.ops.softmax import softmax_forward
from tinycnn.verify.cases.case import OpCase, as_tuple

Array = np.ndarray
Found = tuple[Any, tuple[Any, ...]]


def terms_of(case: OpCase, args: Any, options: Any, dy: Any) -> Found:
    """The terms behind y, and behind each gradient under this dy; None where nothing cancels.

    What is linear in every argument is run on their absolute values; the others say themselves what their terms are.

    >>> from tinycnn.verify.cases import CASES
    >>> case = next(case for case in CASES if case.name == "linear")
    >>> x, w, b = np.array([[1.0, -1.0]]), np.array([[1.0, 1.0]]), np.array([0.5])
    >>> case.forward(x, w, b)[0], terms_of(case, (x, w, b), {}, np.ones((1, 1)))[0]
    (array([[0.5]]), array([[2.5]]))
    """
    if case.linear:
        y, kept = case.forward(*map(_absolute, args), **options)
        return y, case.backward(abs(dy), kept)
    if case.name in _OWN:
        y, gradients = _OWN[case.name](abs(dy), *args, **options)
        return y, as_tuple(gradients)
    return None, (None,) * len(case.grads)


def _absolute(a: Any) -> Any:
    return abs(a) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a


def _softmax(dy: Array, z: Array) -> Found:
    """dz = p·(dy − Σ dy·p)."""
    p, _ = softmax_forward(z)
    return None, p * (dy + (dy * p).sum(axis=1, keepdims=True))


def _log_softmax(dy: Array, z: Array) -> Found:
    """dz = dy − p·Σ dy."""
    p, _ = softmax_forward(z)
    return None, dy + p * dy.sum(axis=1, keepdims=True)


def _weighted(t: Any, shape: tuple[int, ...], class_weights: Any, smoothing: float, ignored: int | None) -> Any:
    """One-hot rows, smoothed and weighted, and what their sum is divided by."""
    K, behind = shape[1], (1,) * (len(shape) - 2)
    counted, D = 1.0, shape[0] * math.prod(shape[2:])
    labels = t.shape != shape
    if labels and ignored is not None:
        counted = (t != ignored)[:, None].astype(float)
        t = np.where(t == ignored, 0, t)
    rows = targets(t, shape) * counted
    a = np.ones(K) if class_weights is None else np.asarray(class_weights)
    a = a.reshape(1, K, *behind)
    smoothed = ((1 - smoothing) * rows + smoothing / K * counted) * a
    return smoothed, (rows * a).sum() if labels else D


def _cross_entropy(
    dy: Any, z: Array, t: Any, class_weights: Any = None, label_smoothing: float = 0.0, ignore_index: int | None = None
) -> Found:
    """dz = dy·(p·Σt − t)/D."""
    p, _ = softmax_forward(z)
    t, D = _weighted(t, z.shape, class_weights, label_smoothing, ignore_index)
    return None, dy * (p * t.sum(axis=1, keepdims=True) + t) / D


def _focal(dy: Any, z: Array, t: Any, gamma: float = 2.0, class_weights: Any = None) -> Found:
    """dz = dy·(e − p·Σe)/M, where e = t·(γ·p·(1 − p)^(γ−1)·log p − (1 − p)^γ)."""
    p, _ = softmax_forward(z)
    t, _ = _weighted(t, z.shape, class_weights, 0.0, None)
    rest = 1 - p
    e = t * (gamma * p * rest ** (max(gamma, 1) - 1) * -np.log(p) + rest**gamma)
    return None, dy * (e + p * e.sum(axis=1, keepdims=True)) / (z.size / z.shape[1])


def _with_logits(dy: Any, z: Array, t: Array) -> Found:
    """dz = dy·(p − t)/M."""
    return None, dy * (1 / (1 + np.exp(-z)) + t) / z.size


def _binary(dy: Any, p: Array, t: Array) -> Found:
    """dp = −dy·(t/p − (1 − t)/(1 − p))/M."""
    return None, dy * (t / p + (1 - t) / (1 - p)) / p.size


def _dice(dy: Any, p: Array, t: Array, smooth: float = 1.0) -> Found:
    """dp = −dy·(2t·U − I)/U²/(N·K)."""
    over = tuple(range(2, p.ndim))
    overlap = 2 * (p * t).sum(axis=over, keepdims=True) + smooth
    areas = (p + t).sum(axis=over, keepdims=True) + smooth
    return None, dy * (2 * t * areas + overlap) / areas**2 / (p.shape[0] * p.shape[1])


def _standardised(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array]:
    """The terms of x̂, rstd·(|x| + mean|x|), and rstd."""
    rstd = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    return rstd * (abs(x) + abs(x).mean(axis=axes, keepdims=True)), rstd


def _through(dxhat: Array, xhat: Array, rstd: Array, axes: tuple[int, ...]) -> Array:
    """dx = rstd·(dx̂ − mean dx̂ − x̂·mean(dx̂·x̂))."""
    level, along = dxhat.mean(axis=axes, keepdims=True), (dxhat * xhat).mean(axis=axes, keepdims=True)
    return rstd * (dxhat + level + xhat * along)


def _batch_norm(
    dy: Array, x: Array, gamma: Array, beta: Array, mean: Any = None, var: Any = None, eps: float = 1e-5
) -> Found:
    axes = (0, *range(2, x.ndim))
    wide = (-1, *(1,) * (x.ndim - 2))
    gamma, beta = abs(gamma).reshape(wide), abs(beta).reshape(wide)
    if mean is None:
        xhat, rstd = _standardised(x, axes, eps)
        dx = _through(gamma * dy, xhat, rstd, axes)
    else:
        rstd = 1 / np.sqrt(var + eps).reshape(wide)
        xhat, dx = rstd * (abs(x) + abs(mean).reshape(wide)), gamma * rstd * dy
    return gamma * xhat + beta, (dx, (dy * xhat).sum(axis=axes), dy.sum(axis=axes))


def _layer_norm(dy: Array, x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> Found:
    axes = tuple(range(1, x.ndim))
    xhat, rstd = _standardised(x, axes, eps)
    dx = _through(abs(gamma) * dy, xhat, rstd, axes)
    return abs(gamma) * xhat + abs(beta), (dx, (dy * xhat).sum(axis=0), dy.sum(axis=0))


def _group_norm(dy: Array, x: Array, groups: int, gamma: Array, beta: Array, eps: float = 1e-5) -> Found:
    wide = (-1, *(1,) * (x.ndim - 2))
    gamma, beta = abs(gamma).reshape(wide), abs(beta).reshape(wide)
    rows = (len(x), groups, -1)
    xhat, rstd = _standardised(x.reshape(rows), (2,), eps)
    dx = _through((gamma * dy).reshape(rows), xhat, rstd, (2,)).reshape(x.shape)
    xhat, axes = xhat.reshape(x.shape), (0, *range(2, x.ndim))
    return gamma * xhat + beta, (dx, (dy * xhat).sum(axis=axes), dy.sum(axis=axes))


_OWN: dict[str, Callable[..., Found]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "cross_entropy": _cross_entropy,
    "focal": _focal,
    "binary_cross_entropy_with_logits": _with_logits,
    "binary_cross_entropy": _binary,
    "dice": _dice,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
}
