"""Adam: each weight steps by the mean of its gradients, measured against their size."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tinycnn.formula import formula
from tinycnn.ops.checks import number
from tinycnn.optim.base import Array, Optimizer, Options, check_option


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


@formula(
    "w = w - lr*weight_decay*w",
    "m = beta1*m + (1 - beta1)*dw",
    "v = beta2*v + (1 - beta2)*dw**2",
    "w = w - lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)",
    where="m, v and t are Adam's; the decay acts on the weight itself, and does not pass through m and v",
    shapes="w (...), dw (...), m (...), v (...) -> w, m, v",
    source="Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2, with the decay times the rate as in PyTorch",
)
def adamw_step(
    w: Array, dw: Array, m: Array, v: Array, t: int, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999,
    eps: float = 1e-8, weight_decay: float = 0.01,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """One step of Adam with decoupled decay; returns the weights and both moments.

    The paper's decay is not multiplied by the rate, only by the schedule's factor; with a constant rate the two differ
    by that constant.

    >>> import numpy as np
    >>> w, m, v = adamw_step(np.array([1.0]), np.zeros(1), np.zeros(1), np.zeros(1), t=1, lr=0.1, weight_decay=0.5)
    >>> w    # without a gradient, only the decay is left
    array([0.95])
    """
    return adam_step(w - lr * weight_decay * w, dw, m, v, t, lr, beta1, beta2, eps)


class Adam(Optimizer):
    """Adam with the paper's defaults.

    >>> Adam(1e-3)
    Adam(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-08)
    """

    name = "adam"
    options: ClassVar[tuple[str, ...]] = ("lr", "beta1", "beta2", "eps")
    slots = ("m", "v")

    def __init__(
        self, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, **common: Any
    ):
        self.beta1, self.beta2 = check_option("beta1", beta1, 0.0, 1.0), check_option("beta2", beta2, 0.0, 1.0)
        self.eps = number(eps, "eps", above=0)
        super().__init__(lr, **common)

    def update(self, w: Array, dw: Array, state: dict[str, Array], o: Options) -> Array:
        """Step by the formula."""
        w, state["m"], state["v"] = adam_step(w, dw, state["m"], state["v"], self.steps, **o)
        return w

    def job(self, steps: Any, w: Array, dw: Array, state: dict[str, Array], o: Options) -> Any:
        """The same formula, compiled."""
        return steps.adam_job(
            w, dw, state["m"], state["v"], self.steps, o["lr"], o["beta1"], o["beta2"], o["eps"], o["weight_decay"],
            self.decoupled,
        )  # fmt: skip


class AdamW(Adam):
    """Adam with decoupled weight decay: the weights shrink by themselves, whatever their gradients.

    >>> AdamW(1e-3)
    AdamW(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-08, weight_decay=0.01)
    """

    name = "adamw"
    options = (*Adam.options, "weight_decay")
    decoupled = True

    def __init__(
        self, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8,
        weight_decay: float = 0.01, **common: Any,
    ):  # fmt: skip
        super().__init__(lr, beta1, beta2, eps, weight_decay=weight_decay, **common)

    def update(self, w: Array, dw: Array, state: dict[str, Array], o: Options) -> Array:
        """Step by the formula."""
        w, state["m"], state["v"] = adamw_step(w, dw, state["m"], state["v"], self.steps, **o)
        return w
