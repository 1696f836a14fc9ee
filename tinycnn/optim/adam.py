"""Adam: each weight steps by the mean of its gradients, measured against their size."""

from __future__ import annotations

import numpy as np

from tinycnn.formula import formula
from tinycnn.optim.base import Array, Optimizer, check_option


@formula(
    "m = beta1*m + (1 - beta1)*dw",
    "v = beta2*v + (1 - beta2)*dw**2",
    "w = w - lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)",
    where="m is the running mean of the gradient, zero at first; v is that of its square; t is the step, from 1:"
    " dividing by 1 − beta^t undoes the pull of the zeros at the start",
    shapes="w (...), dw (...), m (...), v (...) -> w, m, v",
    source="Kingma & Ba 2015, arXiv:1412.6980, algorithm 1",
)
def adam_step(
    w: Array, dw: Array, m: Array, v: Array, t: int, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """One step of Adam; returns the weights and both moments.

    >>> import numpy as np
    >>> w, m, v = adam_step(np.array([1.0]), np.array([5.0]), np.zeros(1), np.zeros(1), t=1, lr=0.1)
    >>> w.round(6)    # the first step has length lr, whatever the gradient's size
    array([0.9])
    """
    m = beta1 * m + (1 - beta1) * dw
    v = beta2 * v + (1 - beta2) * dw * dw
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


class Adam(Optimizer):
    """Adam with the paper's defaults.

    >>> Adam(1e-3)
    Adam(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-08)
    """

    name = "adam"
    options = ("lr", "beta1", "beta2", "eps")
    slots = ("m", "v")

    def __init__(self, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8):
        super().__init__(lr)
        self.beta1, self.beta2 = check_option("beta1", beta1, 0.0, 1.0), check_option("beta2", beta2, 0.0, 1.0)
        self.eps = check_option("eps", eps, 0.0)

    def update(self, w: Array, dw: Array, state: dict[str, Array]) -> Array:
        """Step by the formula."""
        w, state["m"], state["v"] = adam_step(
            w, dw, state["m"], state["v"], self.steps, self.lr, self.beta1, self.beta2, self.eps
        )
        return w
