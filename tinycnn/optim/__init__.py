"""Optimizers: gradient descent in its several forms, each a formula above the function that is it."""

from __future__ import annotations

from collections.abc import Callable

from tinycnn.naming import lookup
from tinycnn.optim.adam import Adam, AdamW, adam_step, adamw_step
from tinycnn.optim.adaptive import AdaDelta, AdaGrad, RMSProp, adadelta_step, adagrad_step, rmsprop_step
from tinycnn.optim.base import Optimizer, clip_norm, clip_value
from tinycnn.optim.plateau import ReduceOnPlateau, plateau_schedule
from tinycnn.optim.regularise import L1, L2, Regulariser, l1_penalty, l2_penalty
from tinycnn.optim.schedules import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    Schedule,
    StepDecay,
    constant_schedule,
    cosine_schedule,
    exponential_schedule,
    one_cycle_schedule,
    step_schedule,
    warmup_schedule,
)
from tinycnn.optim.sequences import Warmup, schedule_of
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
    "Constant",
    "CosineDecay",
    "ExponentialDecay",
    "Momentum",
    "Nesterov",
    "OneCycle",
    "Optimizer",
    "RMSProp",
    "ReduceOnPlateau",
    "Regulariser",
    "Schedule",
    "StepDecay",
    "Warmup",
    "adadelta_step",
    "adagrad_step",
    "adam_step",
    "adamw_step",
    "clip_norm",
    "clip_value",
    "constant_schedule",
    "cosine_schedule",
    "exponential_schedule",
    "l1_penalty",
    "l2_penalty",
    "momentum_step",
    "nesterov_step",
    "one_cycle_schedule",
    "optimizer_named",
    "plateau_schedule",
    "rmsprop_step",
    "schedule_of",
    "sgd_step",
    "step_schedule",
    "warmup_schedule",
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
