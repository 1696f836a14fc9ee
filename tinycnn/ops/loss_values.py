"""Losses between numbers, and margins: mean squared and absolute error, hinge.

A loss between two arrays of one shape is a mean over all their numbers. Nothing is broadcast: a target of another shape
is an error, since (N,) against (N, 1) would quietly compare every example with every other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, upstream_number
from tinycnn.ops.loss import targets


def paired(x: Any, t: Any, name: str = "x") -> tuple[Array, Array, int]:
    """The output and its targets, in the output's type, and how many numbers there are.

    Raises ShapeError if the shapes differ, ValueError if there are no numbers to take a mean of.
    """
    x, t = floating(x, name), floating(t, "t")
    M = _how_many(x, t)
    return x, t if t.dtype.kind == "c" else t.astype(x.real.dtype), M


def _how_many(x: Array, t: Any) -> int:
    if np.shape(t) != x.shape:
        raise ShapeError(f"targets must have the shape of the output, {x.shape}, got {np.shape(t)}")
    if x.size == 0:
        raise ValueError(f"a mean over an empty batch is not defined: shape {x.shape}")
    return x.size


def _value_names(names: dict[str, Any]) -> dict[str, Any]:
    return {"M": _how_many(names["x"], names["t"])}


@formula(
    "L = mean[...]((x - t)**2)",
    shapes="x (...), t (...) -> L ()",
    source="Legendre 1805; Goodfellow, Bengio & Courville 2016, Deep Learning, section 5.1.4",
    given=_value_names,
)
def mse_forward(x: Array, t: Array) -> tuple[Any, tuple]:
    """Mean squared error, over every number.

    Raises ShapeError if the shapes differ (they are never broadcast), ValueError for an empty batch.

    >>> float(mse_forward(np.array([1.0, 2.0]), np.array([1.0, 4.0]))[0])
    2.0
    """
    x, t, M = paired(x, t)
    d = x - t
    return (d * d).sum() / M, (d, M)


@formula("dx = dy * 2*(x - t) / M", where="M is how many numbers the mean is over", shapes="dy (), -> dx")
def mse_backward(dy: Any, cache: tuple) -> Array:
    """Twice the difference, over how many there are."""
    d, M = cache
    return upstream_number(dy) * 2 * d / M


@formula(
    "L = mean[...](max(x - t, t - x))",
    shapes="x (...), t (...) -> L ()",
    source="Boscovich 1757; Laplace 1774",
    given=_value_names,
)
def mae_forward(x: Array, t: Array) -> tuple[Any, tuple]:
    """Mean absolute error, over every number: one outlier counts as itself, not as its square.

    Raises ShapeError if the shapes differ (they are never broadcast), ValueError for an empty batch.

    >>> float(mae_forward(np.array([1.0, 2.0]), np.array([1.0, 4.0]))[0])
    1.0
    """
    x, t, M = paired(x, t)
    d = x - t
    sign = np.sign(d.real)  # 0 where they are equal: that kink's gradient, by convention
    return (sign * d).sum() / M, (sign, M)


@formula(
    "dx = dy * ((x > t) - (x < t)) / M",
    where="M is how many numbers the mean is over",
    shapes="dy (), -> dx",
)
def mae_backward(dy: Any, cache: tuple) -> Array:
    """The sign of the difference, over how many there are; 0 where there is none."""
    sign, M = cache
    return upstream_number(dy) * sign / M


@formula(
    "L = mean[...](max(1 - t*x, 0))",
    where="t is 1 or −1",
    shapes="x (...), t (...) -> L ()",
    source="Cortes & Vapnik 1995, Machine Learning 20",
    given=_value_names,
)
def hinge_forward(x: Array, t: Array) -> tuple[Any, tuple]:
    """Hinge loss: what is on the right side by a margin of 1 costs nothing. Targets are 1 and −1.

    Raises ValueError for other targets or an empty batch, ShapeError if the shapes differ.

    >>> float(hinge_forward(np.array([0.5, 3.0]), np.array([1.0, 1.0]))[0])
    0.25
    """
    x, t, M = paired(x, t)
    wrong = np.argwhere((t != 1) & (t != -1))
    if wrong.size:
        at = tuple(map(int, wrong[0]))
        raise ValueError(f"targets of the hinge loss are 1 and −1, but t{list(at)} is {t[at]:.6g}")
    reached = t * x
    lack = np.where(reached.real >= 1, 0, 1 - reached)  # so that a NaN, which is neither, comes through
    return lack.sum() / M, (np.where(reached.real < 1, -t, 0), M)


@formula("dx = -dy * t * (t*x < 1) / M", where="M is how many numbers the mean is over", shapes="dy (), -> dx")
def hinge_backward(dy: Any, cache: tuple) -> Array:
    """−t within the margin, nothing beyond it."""
    slope, M = cache
    return upstream_number(dy) * slope / M


def _margin_names(names: dict[str, Any]) -> dict[str, Any]:
    return {"t": targets(names["t"], names["z"].shape)}


@formula(
    "right[n,...] = sum[k](t[n,k,...] * z[n,k,...])",
    "L = mean[n,...](sum[k]((1 - t[n,k,...]) * max(margin - right[n,...] + z[n,k,...], 0)) / K)",
    where="t is 1 at the right class and 0 elsewhere",
    shapes="z (N,K,...), t (N,K,...) -> L ()",
    source="Weston & Watkins 1999, ESANN, over K as in PyTorch",
    given=_margin_names,
)
def multi_margin_forward(z: Array, t: Any, margin: float = 1.0) -> tuple[Any, tuple]:
    """Hinge loss for classes: the right score should lead every other by `margin`. Targets are integers or one-hot.

    Raises ValueError for a label that is no class or an empty batch, TypeError for labels that are not integers.

    >>> float(multi_margin_forward(np.array([[1.0, 0.5]]), np.array([0]))[0])    # it leads by 0.5 only
    0.25
    """
    t = targets(t, floating(z, "z").shape).astype(z.real.dtype)
    if z.size == 0:
        raise ValueError(f"a mean over an empty batch is not defined: shape {z.shape}")
    lack = margin - (t * z).sum(axis=1, keepdims=True) + z
    inside = (1 - t) * (lack.real > 0)
    return (inside * lack).sum() / z.size, (inside, t, z.size)


@formula(
    "h[n,k,...] = (1 - t[n,k,...]) * (margin - right[n,...] + z[n,k,...] > 0)",
    "dz[n,k,...] = dy * (h[n,k,...] - t[n,k,...] * sum[l](h[n,l,...])) / K / M",
    where="h is 1 for each wrong class within the margin; M is how many rows the mean is over",
    shapes="dy (), -> dz",
    given=lambda names: (found := _margin_names(names)) | {"M": found["t"].size // found["t"].shape[1]},
)
def multi_margin_backward(dy: Any, cache: tuple) -> Array:
    """Each wrong class within the margin is pushed down, and for each of them the right one up."""
    inside, t, size = cache
    return upstream_number(dy) * (inside - t * inside.sum(axis=1, keepdims=True)) / size
