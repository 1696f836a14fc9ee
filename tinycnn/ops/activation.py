"""Activations: a bend, number by number, without which any stack of linear maps would be one linear map."""

from __future__ import annotations

import numpy as np

from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, upstream


@formula("y = max(x, 0)", shapes="x (...) -> y (...)", source="Nair & Hinton 2010, ICML; Glorot et al. 2011, AISTATS")
def relu_forward(x: Array) -> tuple[Array, tuple]:
    """Keep what is positive, and put 0 for the rest. A NaN stays one.

    >>> relu_forward(np.array([-1.0, 0.0, 2.0]))[0]
    array([0., 0., 2.])
    """
    x = floating(x, "x")
    off = x.real <= 0  # the derivative at 0 is 0, by convention
    return np.where(off, 0, x), (off,)


@formula("dx = dy * (x > 0)", shapes="-> dx")
def relu_backward(dy: Array, cache: tuple) -> Array:
    """Let the gradient through where x was positive."""
    (off,) = cache
    return np.where(off, 0, upstream(dy, off.shape))
