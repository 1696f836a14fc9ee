"""Flatten: lay an image out as one vector, channel by channel, row by row. No arithmetic, only addresses."""

from __future__ import annotations

import math

import numpy as np

from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, upstream


@formula(
    "y[n, (c*H+r)*W+q] = x[n,c,r,q]",
    shapes="x (N,C,H,W) -> y (N,C*H*W)",
    source="row-major order",
)
def flatten_forward(x: Array) -> tuple[Array, tuple]:
    """Turn each example, of any number of axes, into one vector.

    >>> flatten_forward(np.arange(4.0).reshape(1, 1, 2, 2))[0]
    array([[0., 1., 2., 3.]])
    """
    x = floating(x, "x")
    return np.array(x.reshape(len(x), math.prod(x.shape[1:])), order="C"), (x.shape,)


@formula("dx[n,c,r,q] = dy[n, (c*H+r)*W+q]", shapes="-> dx")
def flatten_backward(dy: Array, cache: tuple) -> Array:
    """Fold the vector back into the image."""
    (x_shape,) = cache
    return upstream(dy, (x_shape[0], math.prod(x_shape[1:]))).reshape(x_shape).copy()
