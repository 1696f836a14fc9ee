"""Gradient descent: step against the gradient. On all data, on a batch at a time, and with momentum."""

from __future__ import annotations

from typing import Any, ClassVar

from tinycnn.formula import formula
from tinycnn.optim.base import Array, Optimizer, Options, check_option


@formula(
    "w = w - lr*dw",
    where="dw is the gradient over the batch (over all data, for gradient descent); lr is the learning rate",
    shapes="w (...), dw (...) -> w",
    source="Cauchy 1847; Robbins & Monro 1951, Ann. Math. Statist. 22(3)",
)
def sgd_step(w: Array, dw: Array, lr: float) -> Array:
    """A step straight down the slope.

    >>> import numpy as np
    >>> sgd_step(np.array([1.0]), np.array([2.0]), lr=0.25)
    array([0.5])
    """
    return w - lr * dw


@formula(
    "v = momentum*v + dw",
    "w = w - lr*v",
    where="v is the velocity, zero at first; lr is the learning rate",
    shapes="w (...), dw (...), v (...) -> w, v",
    source="Polyak 1964, USSR Comput. Math. 4(5), with the rate applied at the step as in PyTorch",
)
def momentum_step(w: Array, dw: Array, v: Array, lr: float, momentum: float = 0.9) -> tuple[Array, Array]:
    """A step with the velocity that past gradients have built up; returns the weights and the velocity.

    Polyak's velocity holds the rate inside (v = momentum·v − lr·dw); the two differ when the rate changes.

    >>> import numpy as np
    >>> momentum_step(np.array([1.0]), np.array([2.0]), np.array([1.0]), lr=0.1, momentum=0.5)
    (array([0.75]), array([2.5]))
    """
    v = momentum * v + dw
    return w - lr * v, v


@formula(
    "v = momentum*v + dw",
    "w = w - lr*(dw + momentum*v)",
    where="v is the velocity, zero at first; lr is the learning rate",
    shapes="w (...), dw (...), v (...) -> w, v",
    source="Nesterov 1983, Soviet Math. Dokl. 27(2); Sutskever et al. 2013, ICML, in PyTorch's form",
)
def nesterov_step(w: Array, dw: Array, v: Array, lr: float, momentum: float = 0.9) -> tuple[Array, Array]:
    """A step with the velocity as it will be one step on: it brakes before the slope turns, not after.

    >>> import numpy as np
    >>> nesterov_step(np.array([1.0]), np.array([2.0]), np.array([1.0]), lr=0.1, momentum=0.5)
    (array([0.675]), array([2.5]))
    """
    v = momentum * v + dw
    return w - lr * (dw + momentum * v), v


class SGD(Optimizer):
    """Stochastic gradient descent, with or without momentum, plain or Nesterov's.

    >>> SGD(0.01, momentum=0.9, nesterov=True)
    SGD(lr=0.01, momentum=0.9, nesterov=True)
    """

    name = "sgd"
    options: ClassVar[tuple[str, ...]] = ("lr", "momentum", "nesterov")

    def __init__(self, lr: float = 0.01, momentum: float = 0.0, nesterov: bool = False, **common: Any):
        self.momentum, self.nesterov = check_option("momentum", momentum, 0.0, below=1.0), nesterov
        if nesterov and not momentum:
            raise ValueError("nesterov=True needs a momentum above 0, such as momentum=0.9")
        super().__init__(lr, **common)
        used = momentum or any(group.get("momentum") for group in self.groups.values())
        self.slots = ("v",) if used else ()  # type: ignore[misc]

    def update(self, w: Array, dw: Array, state: dict[str, Array], o: Options) -> Array:
        """Step by the formula that the options choose."""
        if not o["momentum"]:
            return sgd_step(w, dw, o["lr"])
        step = nesterov_step if o.get("nesterov", self.nesterov) else momentum_step
        w, state["v"] = step(w, dw, state["v"], o["lr"], o["momentum"])
        return w

    def job(self, steps: Any, w: Array, dw: Array, state: dict[str, Array], o: Options) -> Any:
        """The same formula, compiled; Nesterov's is not."""
        if not o["momentum"]:
            return steps.sgd_job(w, dw, o["lr"], o["weight_decay"])
        if o.get("nesterov", self.nesterov):
            return None
        return steps.momentum_job(w, dw, state["v"], o["lr"], o["momentum"], o["weight_decay"])


class Momentum(SGD):
    """SGD with momentum 0.9 unless told otherwise."""

    name = "momentum"
    options = ("lr", "momentum")

    def __init__(self, lr: float = 0.01, momentum: float = 0.9, **common: Any):
        super().__init__(lr, momentum, **common)


class Nesterov(SGD):
    """SGD with Nesterov's momentum, 0.9 unless told otherwise."""

    name = "nesterov"
    options = ("lr", "momentum")

    def __init__(self, lr: float = 0.01, momentum: float = 0.9, **common: Any):
        super().__init__(lr, momentum, nesterov=True, **common)


class GD(Optimizer):
    """Full-batch gradient descent: every step sees all the data, so an epoch is one step.

    >>> GD(0.1)
    GD(lr=0.1)
    """

    name = "gd"
    full_batch = True

    def __init__(self, lr: float = 0.1, **common: Any):
        super().__init__(lr, **common)

    def update(self, w: Array, dw: Array, state: dict[str, Array], o: Options) -> Array:
        """The same formula as SGD's; what differs is the batch."""
        return sgd_step(w, dw, o["lr"])

    def job(self, steps: Any, w: Array, dw: Array, state: dict[str, Array], o: Options) -> Any:
        """The same formula, compiled."""
        return steps.sgd_job(w, dw, o["lr"], o["weight_decay"])
