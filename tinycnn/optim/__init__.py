"""Optimizers: gradient descent in its several forms, each a formula above the function that is it."""

from __future__ import annotations

from collections.abc import Callable

from tinycnn.naming import lookup
from tinycnn.optim.adam import Adam, AdamW, adam_step, adamw_step
from tinycnn.optim.adaptive import AdaDelta, AdaGrad, RMSProp, adadelta_step, adagrad_step, rmsprop_step
from tinycnn.optim.base import Optimizer, clip_norm, clip_value
from tinycnn.optim.regularise import L1, L2, Regulariser, l1_penalty, l2_penalty
from tinycnn.optim.sgd import GD, SGD, Momentum, Nesterov, momentum_step, nesterov_step, sgd_step

__all__ = [
    "GD",
    "L1",
    "L2",
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSProp",
    "Regulariser",
    "adadelta_step",
    "adagrad_step",
    "adam_step",
    "adamw_step",
    "clip_norm",
    "clip_value",
    "l1_penalty",
    "l2_penalty",
    "momentum_step",
    "nesterov_step",
    "optimizer_named",
    "rmsprop_step",
    "sgd_step",
]

_CLASSES = (GD, SGD, Momentum, Nesterov, AdaGrad, RMSProp, AdaDelta, Adam, AdamW)
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {o.name: o for o in _CLASSES}


def optimizer_named(name: str | Optimizer) -> Optimizer:
    """An optimizer by its name with its default options, or the optimizer itself; ValueError for a name that is none.

    >>> optimizer_named("sgd")
    SGD(lr=0.01, momentum=0.0, nesterov=False)
    """
    if isinstance(name, Optimizer):
        return name
    return lookup(OPTIMIZERS, name, "optimizer")()
