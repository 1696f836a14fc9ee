"""Losses: one number that says how far the output is from the target, as a mean over the batch (and the pixels).

Through softmax, the gradient of the cross-entropy is simply p − t: what the network said, less what it should have.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, upstream_number
from tinycnn.ops.softmax import log_softmax_forward


def targets(t: Any, shape: tuple[int, ...]) -> Array:
    """Targets for scores of `shape` (N, K, …) as one-hot rows, from integers (N, …) or from rows that already are.

    Raises ValueError for a label that is no class (it names the label and its place) and for rows that do not sum to
    1; TypeError for labels that are not integers; ShapeError if the shapes do not fit.
    """
    t = np.asarray(t)
    classes_last = (shape[0], *shape[2:])
    if t.shape == shape:
        if t.dtype.kind not in "fcbiu":
            raise TypeError(f"one-hot targets must be numbers, got {t.dtype}")
        sums = t.sum(axis=1)
        wrong = np.argwhere(~(abs(sums.real - 1) < 1e-3))
        if wrong.size:
            at = tuple(map(int, wrong[0]))
            raise ValueError(f"each one-hot row must sum to 1, but the one at {at} sums to {sums[at]:.6g}")
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


def _class_names(names: dict[str, Any]) -> dict[str, Any]:
    scores = names["z"] if "z" in names else names["p"]
    tiny = float(np.finfo(scores.dtype).tiny)
    return {"t": targets(names["t"], scores.shape), "M": _count(scores.shape), "tiny": tiny}


@formula(
    "m[n,...] = max[k](z[n,k,...])",
    "logp[n,k,...] = z[n,k,...] - m[n,...] - log(sum[l](exp(z[n,l,...] - m[n,...])))",
    "L = -mean[n,...](sum[k](t[n,k,...] * logp[n,k,...]))",
    where="t is 1 at the right class and 0 elsewhere (an integer label k stands for the row with its 1 at k)",
    shapes="z (N,K,...), t (N,K,...) -> L ()",
    source="Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2.2.3",
    given=_class_names,
)
def cross_entropy_forward(z: Array, t: Any) -> tuple[Any, tuple]:
    """Cross-entropy from logits: the mean of −log p at the right class, with p = softmax(z).

    Raises ValueError for a label that is no class or an empty batch, TypeError for labels that are not integers.

    >>> round(cross_entropy_forward(np.log(np.array([[0.25, 0.75]])), np.array([1]))[0], 6)    # −log 0.75
    np.float64(0.287682)
    """
    t = targets(t, floating(z, "z").shape)
    logp, _ = log_softmax_forward(z)
    t = t.astype(np.result_type(z.real.dtype, t) if t.dtype.kind == "c" else z.real.dtype)
    M = _count(z.shape)
    return -(t * logp).sum() / M, (logp, t, M)


@formula(
    "dz[n,k,...] = dy * (exp(logp[n,k,...]) - t[n,k,...]) / M",
    where="M is how many rows the mean is over: the batch, times the pixels",
    shapes="dy (), -> dz",
)
def cross_entropy_backward(dy: Any, cache: tuple) -> Array:
    """The famous gradient p − t, over the number of rows."""
    logp, t, M = cache
    return upstream_number(dy) * (np.exp(logp) - t) / M


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
    t = targets(t, floating(p, "p").shape).astype(p.real.dtype)
    wrong = np.argwhere((p.real < 0) | (p.real > 1 + 1e-3))
    if wrong.size:
        at = tuple(map(int, wrong[0]))
        raise ValueError(f"probabilities lie between 0 and 1, but p{list(at)} is {p[at]:.6g}; are these logits?")
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


@formula(
    "L = mean[...]((x - t)**2)",
    shapes="x (...), t (...) -> L ()",
    source="Legendre 1805; Goodfellow, Bengio & Courville 2016, Deep Learning, section 5.1.4",
    given=lambda names: {"M": _mse_count(names["x"], names["t"])},
)
def mse_forward(x: Array, t: Array) -> tuple[Any, tuple]:
    """Mean squared error, over every number.

    Raises ShapeError if the shapes differ (they are never broadcast), ValueError for an empty batch.

    >>> float(mse_forward(np.array([1.0, 2.0]), np.array([1.0, 4.0]))[0])
    2.0
    """
    x, t = floating(x, "x"), floating(t, "t")
    M = _mse_count(x, t)
    d = x - (t if t.dtype.kind == "c" else t.astype(x.dtype))  # float64 targets do not make float32 training float64
    return (d * d).sum() / M, (d, M)


@formula("dx = dy * 2*(x - t) / M", where="M is how many numbers the mean is over", shapes="dy (), -> dx")
def mse_backward(dy: Any, cache: tuple) -> Array:
    """Twice the difference, over how many there are."""
    d, M = cache
    return upstream_number(dy) * 2 * d / M


def _mse_count(x: Array, t: Any) -> int:
    if np.shape(t) != x.shape:
        raise ShapeError(f"targets must have the shape of the output, {x.shape}, got {np.shape(t)}")
    if x.size == 0:
        raise ValueError(f"a mean over an empty batch is not defined: shape {x.shape}")
    return x.size
