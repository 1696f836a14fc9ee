"""Softmax: turn any numbers (logits) into probabilities. Classes lie along axis 1, for images at every pixel.

Subtracting the largest logit first changes nothing, since softmax does not see what all logits have in common, and
keeps every exp at most 1. The Jacobian is diag(p) − p·pᵀ: raising one logit raises its own probability and lowers all
others.
"""

from __future__ import annotations

import numpy as np

from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, upstream


def _shifted(z: Array) -> Array:
    """z less its largest over the classes (by real part), so that the largest becomes 0."""
    floating(z, "z")
    if z.ndim < 2 or z.shape[1] == 0:
        raise ValueError(f"z must be (N,K) or (N,K,…) with at least one class, got shape {z.shape}")
    return z - z.real.max(axis=1, keepdims=True)


@formula(
    "m[n,...] = max[k](z[n,k,...])",
    "p[n,k,...] = exp(z[n,k,...] - m[n,...]) / sum[l](exp(z[n,l,...] - m[n,...]))",
    shapes="z (N,K,...) -> p (N,K,...)",
    source="Bridle 1990, Neurocomputing (NATO ASI F68)",
)
def softmax_forward(z: Array) -> tuple[Array, tuple]:
    """Probabilities from logits: each in proportion to exp(z), together 1.

    >>> softmax_forward(np.log(np.array([[1.0, 3.0]])))[0]
    array([[0.25, 0.75]])
    """
    e = np.exp(_shifted(z))
    p = e / e.sum(axis=1, keepdims=True)
    return p, (p.copy(),)  # the caller may overwrite what is returned


@formula("dz[n,k,...] = sum[l](dy[n,l,...] * p[n,l,...] * ((k == l) - p[n,k,...]))", shapes="-> dz")
def softmax_backward(dy: Array, cache: tuple) -> Array:
    """Multiply by the Jacobian diag(p) − p·pᵀ, without ever building it."""
    (p,) = cache
    dy = upstream(dy, p.shape)
    return p * (dy - (dy * p).sum(axis=1, keepdims=True))


@formula(
    "m[n,...] = max[k](z[n,k,...])",
    "y[n,k,...] = z[n,k,...] - m[n,...] - log(sum[l](exp(z[n,l,...] - m[n,...])))",
    shapes="z (N,K,...) -> y (N,K,...)",
    source="Goodfellow, Bengio & Courville 2016, Deep Learning, section 6.2.2.3",
)
def log_softmax_forward(z: Array) -> tuple[Array, tuple]:
    """The logarithm of softmax, without passing through a probability that might round to 0.

    >>> log_softmax_forward(np.array([[0.0, 1e4]]))[0]
    array([[-10000.,      0.]])
    """
    shifted = _shifted(z)
    y = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return y, (y.copy(),)


@formula("dz[n,k,...] = dy[n,k,...] - exp(y[n,k,...]) * sum[l](dy[n,l,...])", shapes="-> dz")
def log_softmax_backward(dy: Array, cache: tuple) -> Array:
    """The Jacobian of log-softmax is the identity less p, once for every row."""
    (y,) = cache
    dy = upstream(dy, y.shape)
    return dy - np.exp(y) * dy.sum(axis=1, keepdims=True)
