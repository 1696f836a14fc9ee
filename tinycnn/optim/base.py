"""An optimizer: from weights and their gradients, the next weights. It keeps what it must remember between steps."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

Array = np.ndarray


class Optimizer:
    """`step(params, grads)` updates every weight in place; `state` holds what each weight's update remembers.

    A subclass names its options and states, and calls its formula in `update`.
    """

    name: ClassVar[str] = ""
    options: ClassVar[tuple[str, ...]] = ("lr",)
    slots: ClassVar[tuple[str, ...]] = ()  # arrays remembered for each weight; they begin at zero
    full_batch: ClassVar[bool] = False  # whether one step is meant to see all data at once

    def __init__(self, lr: float):
        self.lr = check_option("lr", lr, least=0.0)
        self.steps = 0
        self.state: dict[str, dict[str, Array]] = {}

    def step(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        """Move every weight once; `params` and `grads` have the same keys."""
        self.steps += 1
        for key, w in params.items():
            state = self.state.setdefault(key, {slot: np.zeros_like(w) for slot in self.slots})
            w[...] = self.update(w, grads[key], state)

    def update(self, w: Array, dw: Array, state: dict[str, Array]) -> Array:
        """The next value of one weight; replaces what `state` remembers."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """The options that make an equal optimizer."""
        return {option: getattr(self, option) for option in self.options}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config().items())})"


def check_option(name: str, value: float, least: float, below: float = math.inf) -> float:
    """A finite number in [least, below); raises ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if not (math.isfinite(value) and least <= value < below):
        upper = f" and < {below:g}" if below < math.inf else ""
        raise ValueError(f"{name} must be ≥ {least:g}{upper}, got {value!r}")
    return float(value)
