"""Activations: a bend, number by number, without which any stack of linear maps would be one linear map."""

from __future__ import annotations

import numpy as np

from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, number, upstream


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


@formula(
    "y = x if x > 0 else negative_slope*x",
    shapes="x (...) -> y (...)",
    source="Maas, Hannun & Ng 2013, ICML Workshop on Deep Learning for Audio, Speech and Language Processing",
)
def leaky_relu_forward(x: Array, negative_slope: float = 0.01) -> tuple[Array, tuple]:
    """Keep what is positive, and a little of the rest, so that no unit ever stops learning.

    Raises ValueError for a slope that is no finite number.

    >>> leaky_relu_forward(np.array([-1.0, 0.0, 2.0]))[0]
    array([-0.01,  0.  ,  2.  ])
    """
    x, slope = floating(x, "x"), number(negative_slope, "negative_slope")
    positive = x.real > 0
    return np.where(positive, x, slope * x), (positive, slope)


@formula("dx = dy * (1 if x > 0 else negative_slope)", shapes="-> dx")
def leaky_relu_backward(dy: Array, cache: tuple) -> Array:
    """Let the gradient through where x was positive, and a little of it elsewhere (at 0 too, by convention)."""
    positive, slope = cache
    dy = upstream(dy, positive.shape)
    return np.where(positive, dy, slope * dy)


@formula(
    "y = x if x > 0 else alpha*(exp(x) - 1)",
    shapes="x (...) -> y (...)",
    source="Clevert, Unterthiner & Hochreiter 2016, ICLR, arXiv:1511.07289",
)
def elu_forward(x: Array, alpha: float = 1.0) -> tuple[Array, tuple]:
    """Keep what is positive, and bend the rest down to −alpha: smooth at 0 where alpha is 1.

    Raises ValueError for an alpha that is no finite number.

    >>> elu_forward(np.array([-1e4, 0.0, 2.0]))[0]
    array([-1.,  0.,  2.])
    """
    x, alpha = floating(x, "x"), number(alpha, "alpha")
    positive = x.real > 0
    below = np.where(positive, 0, x)  # exp never sees a number it could overflow on
    return np.where(positive, x, alpha * np.expm1(below)), (positive, alpha * np.exp(below))


@formula("dx = dy * (1 if x > 0 else alpha*exp(x))", shapes="-> dx")
def elu_backward(dy: Array, cache: tuple) -> Array:
    """Let the gradient through where x was positive; elsewhere the slope is alpha·exp(x), at 0 too."""
    positive, slope = cache
    dy = upstream(dy, positive.shape)
    return np.where(positive, dy, dy * slope)


@formula("y = 1 / (1 + exp(-x))", shapes="x (...) -> y (...)", source="Rumelhart, Hinton & Williams 1986, Nature 323")
def sigmoid_forward(x: Array) -> tuple[Array, tuple]:
    """Squeeze any number into 0…1: the probability whose log-odds are x.

    For a negative x it is exp(x) / (1 + exp(x)), the same number, so that exp never overflows.

    >>> sigmoid_forward(np.array([-1e4, 0.0, 1e4]))[0]
    array([0. , 0.5, 1. ])
    """
    x = floating(x, "x")
    positive = x.real > 0
    e = np.exp(np.where(positive, -x, x))  # exp(−|x|), at most 1
    y, rest = np.where(positive, 1, e) / (1 + e), np.where(positive, e, 1) / (1 + e)
    return y, (y.copy(), rest)  # rest = 1 − y, without the digits that the subtraction would lose


@formula("dx = dy * y * (1 - y)", shapes="-> dx")
def sigmoid_backward(dy: Array, cache: tuple) -> Array:
    """The slope is y·(1 − y): a quarter at 0, and next to nothing where the unit is sure."""
    y, rest = cache
    return upstream(dy, y.shape) * y * rest


@formula("y = tanh(x)", shapes="x (...) -> y (...)", source="LeCun, Bottou, Orr & Müller 1998, Efficient BackProp")
def tanh_forward(x: Array) -> tuple[Array, tuple]:
    """Squeeze any number into −1…1, with 0 left at 0.

    >>> tanh_forward(np.array([-1e4, 0.0, 1e4]))[0]
    array([-1.,  0.,  1.])
    """
    y = np.tanh(floating(x, "x"))
    return y, (y.copy(),)


@formula("dx = dy * (1 - y**2)", shapes="-> dx")
def tanh_backward(dy: Array, cache: tuple) -> Array:
    """The slope is 1 − y²: 1 at 0, and next to nothing at both ends."""
    (y,) = cache
    return upstream(dy, y.shape) * (1 - y * y)
