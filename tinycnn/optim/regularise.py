"""Regularisers: a penalty on the size of the weights, so that a network explains its data with what it needs."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinycnn.formula import formula
from tinycnn.optim.base import Array, check_option


@formula(
    "R = strength * sum[...](max(w, -w))",
    "dw = strength * ((w > 0) - (w < 0))",
    where="strength is how much the penalty counts; the gradient of a weight of 0 is 0, by convention",
    shapes="w (...), dw (...) -> R (), dw (...)",
    source="Tibshirani 1996, J. R. Statist. Soc. B 58(1)",
)
def l1_penalty(w: Array, strength: float) -> tuple[float, Array]:
    """The sum of the weights' sizes, and its gradient: a constant pull to 0, which many weights reach.

    >>> l1_penalty(np.array([3.0, -1.0, 0.0]), strength=0.5)
    (np.float64(2.0), array([ 0.5, -0.5,  0. ]))
    """
    return strength * np.abs(w).sum(), strength * np.sign(w)


@formula(
    "R = strength * sum[...](w**2)",
    "dw = 2 * strength * w",
    shapes="w (...), dw (...) -> R (), dw (...)",
    source="Hoerl & Kennard 1970, Technometrics 12(1); Krogh & Hertz 1992, NeurIPS",
)
def l2_penalty(w: Array, strength: float) -> tuple[float, Array]:
    """The sum of the weights' squares, and its gradient: a pull to 0 in proportion to the weight.

    >>> l2_penalty(np.array([3.0, -1.0]), strength=0.5)
    (np.float64(5.0), array([ 3., -1.]))
    """
    return strength * (w * w).sum(), 2 * strength * w


class Regulariser:
    """Adds a penalty to the loss, and its gradient to that of each weight; biases and norms' scales are left alone."""

    penalty = staticmethod(l2_penalty)
    name: ClassVar[str] = ""

    def __init__(self, strength: float = 0.01):
        self.strength = check_option("strength", strength, 0.0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.strength})"


class L1(Regulariser):
    """The sum of the weights' sizes, times `strength`.

    >>> L1(0.01)
    L1(0.01)
    """

    penalty = staticmethod(l1_penalty)
    name = "l1"


class L2(Regulariser):
    """The sum of the weights' squares, times `strength`: as Keras counts it, without a half.

    PyTorch's `weight_decay=d` is L2(d/2), its penalty not in the loss. AdamW's decay is not a penalty at all.

    >>> L2(0.01)
    L2(0.01)
    """

    penalty = staticmethod(l2_penalty)
    name = "l2"
