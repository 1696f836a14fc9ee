"""A rate for each weight of its own: the larger its gradients have been, the smaller its steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.formula import formula
from tinycnn.ops.checks import number
from tinycnn.optim.base import Array, Optimizer, Options, check_option


@formula(
    "v = v + dw**2",
    "w = w - lr * dw / (sqrt(v) + eps)",
    where="v is the sum of all squared gradients so far, zero at first",
    shapes="w (...), dw (...), v (...) -> w, v",
    source="Duchi, Hazan & Singer 2011, JMLR 12",
)
def adagrad_step(w: Array, dw: Array, v: Array, lr: float = 0.01, eps: float = 1e-10) -> tuple[Array, Array]:
    """One step of AdaGrad: rare gradients count as much as frequent ones, and all rates fall; returns w and v.

    >>> w, v = adagrad_step(np.array([1.0]), np.array([4.0]), np.array([9.0]), lr=1.0)
    >>> w.round(6), v
    (array([0.2]), array([25.]))
    """
    v = v + dw * dw
    return w - lr * dw / (np.sqrt(v) + eps), v


@formula(
    "v = alpha*v + (1 - alpha)*dw**2",
    "w = w - lr * dw / (sqrt(v) + eps)",
    where="v is the running mean of the squared gradient, zero at first",
    shapes="w (...), dw (...), v (...) -> w, v",
    source="Tieleman & Hinton 2012, Neural Networks for Machine Learning, lecture 6.5, in PyTorch's form",
)
def rmsprop_step(
    w: Array, dw: Array, v: Array, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8
) -> tuple[Array, Array]:
    """One step of RMSProp: AdaGrad that forgets, so that rates do not fall for ever; returns w and v.

    >>> w, v = rmsprop_step(np.array([1.0]), np.array([4.0]), np.array([0.0]), lr=1.0, alpha=0.75)
    >>> w.round(6), v
    (array([-1.]), array([4.]))
    """
    v = alpha * v + (1 - alpha) * dw * dw
    return w - lr * dw / (np.sqrt(v) + eps), v


@formula(
    "v = rho*v + (1 - rho)*dw**2",
    "step = sqrt(u + eps) / sqrt(v + eps) * dw",
    "u = rho*u + (1 - rho)*step**2",
    "w = w - lr*step",
    where="v is the running mean of the squared gradient; u is that of the squared step; both are zero at first",
    shapes="w (...), dw (...), v (...), u (...), step (...) -> w, v, u",
    source="Zeiler 2012, arXiv:1212.5701, algorithm 1",
)
def adadelta_step(
    w: Array, dw: Array, v: Array, u: Array, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6
) -> tuple[Array, Array, Array]:
    """One step of AdaDelta: the size of past steps takes the place of a rate; returns w, v and u.

    >>> w, v, u = adadelta_step(np.array([1.0]), np.array([2.0]), np.zeros(1), np.zeros(1), rho=0.5, eps=2.0)
    >>> w.round(6), v, u
    (array([-0.414214]), array([2.]), array([1.]))
    """
    v = rho * v + (1 - rho) * dw * dw
    step = np.sqrt(u + eps) / np.sqrt(v + eps) * dw
    u = rho * u + (1 - rho) * step * step
    return w - lr * step, v, u


class AdaGrad(Optimizer):
    """AdaGrad, with PyTorch's defaults.

    >>> AdaGrad()
    AdaGrad(lr=0.01, eps=1e-10)
    """

    name = "adagrad"
    options = ("lr", "eps")
    slots = ("v",)

    def __init__(self, lr: float = 0.01, eps: float = 1e-10, **common: Any):
        super().__init__(lr, **common)
        self.eps = number(eps, "eps", above=0)

    def update(self, w: Array, dw: Array, state: dict[str, Array], o: Options) -> Array:
        """Step by the formula."""
        w, state["v"] = adagrad_step(w, dw, state["v"], **o)
        return w


class RMSProp(Optimizer):
    """RMSProp, with PyTorch's defaults.

    >>> RMSProp(1e-3)
    RMSProp(lr=0.001, alpha=0.99, eps=1e-08)
    """

    name = "rmsprop"
    options = ("lr", "alpha", "eps")
    slots = ("v",)

    def __init__(self, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8, **common: Any):
        super().__init__(lr, **common)
        self.alpha, self.eps = check_option("alpha", alpha, 0.0, 1.0), number(eps, "eps", above=0)

    def update(self, w: Array, dw: Array, state: dict[str, Array], o: Options) -> Array:
        """Step by the formula."""
        w, state["v"] = rmsprop_step(w, dw, state["v"], **o)
        return w


class AdaDelta(Optimizer):
    """AdaDelta, with PyTorch's defaults.

    >>> AdaDelta()
    AdaDelta(lr=1.0, rho=0.9, eps=1e-06)
    """

    name = "adadelta"
    options = ("lr", "rho", "eps")
    slots = ("v", "u")

    def __init__(self, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, **common: Any):
        super().__init__(lr, **common)
        self.rho, self.eps = check_option("rho", rho, 0.0, 1.0), number(eps, "eps", above=0)

    def update(self, w: Array, dw: Array, state: dict[str, Array], o: Options) -> Array:
        """Step by the formula."""
        w, state["v"], state["u"] = adadelta_step(w, dw, state["v"], state["u"], **o)
        return w
