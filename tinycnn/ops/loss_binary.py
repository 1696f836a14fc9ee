"""Losses for labels that do not exclude each other: every number is a question of its own, answered yes or no.

A softmax cannot say "a cat and a dog"; a sigmoid for each label can. For masks, Dice looks at the overlap as a whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.formula import formula
from tinycnn.ops.activation import sigmoid_forward
from tinycnn.ops.checks import Array, check_probabilities, upstream_number
from tinycnn.ops.loss_values import paired


def _check_answers(t: Array) -> None:
    wrong = np.argwhere(~((t.real >= 0) & (t.real <= 1)))
    if wrong.size:
        at = tuple(map(int, wrong[0]))
        raise ValueError(f"binary targets lie between 0 and 1, but t{list(at)} is {t[at]:.6g}")


def _binary_names(names: dict[str, Any]) -> dict[str, Any]:
    x, _, M = paired(names["z"] if "z" in names else names["p"], names["t"])
    return {"M": M, "tiny": float(np.finfo(x.dtype).tiny)}


@formula(
    "L = mean[...](max(z, 0) - z*t + log(1 + exp(-max(z, -z))))",
    where="this is −t·log σ(z) − (1 − t)·log(1 − σ(z)), written so that no exp overflows",
    shapes="z (...), t (...) -> L ()",
    source="Cox 1958, J. R. Statist. Soc. B 20(2)",
    given=_binary_names,
)
def binary_cross_entropy_with_logits_forward(z: Array, t: Array) -> tuple[Any, tuple]:
    """Binary cross-entropy from logits, over every number; targets are 0 or 1, or between.

    Raises ValueError for other targets or an empty batch, ShapeError if the shapes differ.

    >>> float(binary_cross_entropy_with_logits_forward(np.zeros(2), np.array([0.0, 1.0]))[0].round(6))    # log 2
    0.693147
    """
    z, t, M = paired(z, t, "z")
    _check_answers(t)
    size = np.where(z.real < 0, -z, z)  # |z|, by its real part
    loss = (np.where(z.real > 0, z, 0) - z * t + np.log1p(np.exp(-size))).sum() / M
    return loss, (sigmoid_forward(z)[0], t, M)


@formula(
    "dz = dy * (1 / (1 + exp(-z)) - t) / M",
    where="M is how many numbers the mean is over",
    shapes="dy (), -> dz",
)
def binary_cross_entropy_with_logits_backward(dy: Any, cache: tuple) -> Array:
    """Again p − t, with p = σ(z)."""
    p, t, M = cache
    return upstream_number(dy) * (p - t) / M


@formula(
    "L = -mean[...](t * log(max(p, tiny)) + (1 - t) * log(max(1 - p, tiny)))",
    where="tiny is the smallest normal number, for which a probability of 0 counts",
    shapes="p (...), t (...) -> L ()",
    source="Cox 1958, J. R. Statist. Soc. B 20(2)",
    given=_binary_names,
)
def binary_cross_entropy_forward(p: Array, t: Array) -> tuple[Any, tuple]:
    """Binary cross-entropy from probabilities, over every number; targets are 0 or 1, or between.

    Raises ValueError for a probability or a target outside 0…1 or an empty batch, ShapeError if the shapes differ.

    >>> float(binary_cross_entropy_forward(np.array([0.5, 0.5]), np.array([0.0, 1.0]))[0].round(6))    # log 2
    0.693147
    """
    p, t, M = paired(p, t, "p")
    check_probabilities(p)
    _check_answers(t)
    tiny = np.finfo(p.dtype).tiny
    yes, no = np.where(p.real < tiny, tiny, p), np.where(1 - p.real < tiny, tiny, 1 - p)
    slope = np.where(p.real < tiny, 0, t / yes) - np.where(1 - p.real < tiny, 0, (1 - t) / no)
    return -(t * np.log(yes) + (1 - t) * np.log(no)).sum() / M, (slope, M)


@formula(
    "dp = -dy * (t / max(p, tiny) * (p >= tiny) - (1 - t) / max(1 - p, tiny) * (1 - p >= tiny)) / M",
    where="M is how many numbers the mean is over",
    shapes="dy (), -> dp",
)
def binary_cross_entropy_backward(dy: Any, cache: tuple) -> Array:
    """−t/p + (1 − t)/(1 − p); 0 for a probability too small to count."""
    slope, M = cache
    return -upstream_number(dy) * slope / M


@formula(
    "I[n,k] = 2 * sum[...](p[n,k,...] * t[n,k,...]) + smooth",
    "U[n,k] = sum[...](p[n,k,...]) + sum[...](t[n,k,...]) + smooth",
    "L = 1 - mean[n,k](I[n,k] / U[n,k])",
    where="I is twice the overlap; U is both areas; smooth keeps an empty mask from dividing 0 by 0",
    shapes="p (N,K,...), t (N,K,...) -> L ()",
    source="Milletari, Navab & Ahmadi 2016, arXiv:1606.04797; Sudre et al. 2017, arXiv:1707.03237",
)
def dice_forward(p: Array, t: Array, smooth: float = 1.0) -> tuple[Any, tuple]:
    """Dice loss: one less the overlap of each class's probabilities with its mask, over both areas.

    Raises ValueError for a probability or a target outside 0…1, an empty batch, or an empty mask of which nothing was
    predicted without a `smooth` (that is 0/0); ShapeError if the shapes differ.

    >>> p = np.array([[[0.0, 1.0]]])
    >>> float(dice_forward(p, p)[0]), float(dice_forward(p, 1 - p, smooth=0.0)[0])
    (0.0, 1.0)
    """
    p, t, _ = paired(p, t, "p")
    check_probabilities(p)
    _check_answers(t)
    over = tuple(range(2, p.ndim))
    overlap = 2 * (p * t).sum(axis=over) + smooth  # (N, K)
    areas = p.sum(axis=over) + t.sum(axis=over) + smooth
    empty = np.argwhere(areas.real == 0)
    if empty.size:
        n, k = map(int, empty[0])
        raise ValueError(f"class {k} of example {n} has neither a mask nor a prediction, 0/0: use smooth above 0")
    shape = (*overlap.shape, *(1,) * len(over))
    return 1 - (overlap / areas).mean(), (t, overlap.reshape(shape), areas.reshape(shape))


@formula("dp[n,k,...] = -dy * (2*t[n,k,...]*U[n,k] - I[n,k]) / U[n,k]**2 / (N*K)", shapes="dy (), -> dp")
def dice_backward(dy: Any, cache: tuple) -> Array:
    """The quotient rule: a pixel of the mask adds to the overlap, every pixel adds to the areas."""
    t, overlap, areas = cache
    return -upstream_number(dy) * (2 * t * areas - overlap) / (areas * areas) / overlap.size
