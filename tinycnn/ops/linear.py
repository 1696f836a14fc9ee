"""A linear map (a dense layer's heart): every output is a weighted sum of all inputs, plus a bias."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, upstream


def _linear_names(names: dict[str, Any]) -> dict[str, Any]:
    return {"b": np.zeros(len(names["w"])) if names["b"] is None else names["b"]}


@formula(
    "y[n,f] = b[f] + sum[c](x[n,c] * w[f,c])",
    shapes="x (N,C), w (F,C), b (F) -> y (N,F)",
    source="Rumelhart, Hinton & Williams 1986, Nature 323",
    given=_linear_names,
)
def linear_forward(x: Array, w: Array, b: Array | None) -> tuple[Array, tuple]:
    """Multiply a batch of vectors by a matrix and add a bias: y = x·wᵀ + b.

    Raises ShapeError if x has another number of features than w has columns.

    >>> linear_forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([5.0]))[0]
    array([[16.]])
    """
    x, w = floating(x, "x", "N,C"), floating(w, "w", "F,C")
    if x.shape[1] != w.shape[1]:
        raise ShapeError(f"x has {x.shape[1]} features, but w of shape {w.shape} takes {w.shape[1]}")
    y = x @ w.T
    if b is not None:
        b = floating(b, "b")
        if b.shape != w.shape[:1]:
            raise ShapeError(f"the bias must have one number an output, {w.shape[:1]}, got shape {b.shape}")
        y = y + b
    return y, (x, w, b is not None)


@formula(
    "dx[n,c] = sum[f](dy[n,f] * w[f,c])",
    "dw[f,c] = sum[n](dy[n,f] * x[n,c])",
    "db[f] = sum[n](dy[n,f])",
    shapes="-> dx, dw, db",
)
def linear_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array | None]:
    """The transpose: each input gathers from all outputs, each weight from all examples. Without a bias, db is None."""
    x, w, has_bias = cache
    dy = upstream(dy, (len(x), len(w)))
    return dy @ w, dy.T @ x, dy.sum(axis=0) if has_bias else None
