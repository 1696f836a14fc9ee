"""Optimizers: gradient descent in its several forms, each a formula above the function that is it."""

from __future__ import annotations

from collections.abc import Callable

from tinycnn.naming import lookup
from tinycnn.optim.adam import Adam, adam_step
from tinycnn.optim.base import Optimizer
from tinycnn.optim.sgd import GD, SGD, Momentum, Nesterov, momentum_step, nesterov_step, sgd_step

__all__ = [
    "GD",
    "SGD",
    "Adam",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "adam_step",
    "momentum_step",
    "nesterov_step",
    "optimizer_named",
    "sgd_step",
]

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {o.name: o for o in (GD, SGD, Momentum, Nesterov, Adam)}


def optimizer_named(name: str | Optimizer) -> Optimizer:
    """An optimizer by its name with its default options, or the optimizer itself; ValueError for a name that is none.

    >>> optimizer_named("sgd")
    SGD(lr=0.01, momentum=0.0, nesterov=False)
    """
    if isinstance(name, Optimizer):
        return name
    return lookup(OPTIMIZERS, name, "optimizer")()
