"""One table of optimizers: how to make each, the formula it must follow, and what PyTorch calls it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinycnn.formula import formulas
from tinycnn.optim import GD, SGD, AdaDelta, AdaGrad, Adam, AdamW, Momentum, Nesterov, Optimizer, RMSProp

SHAPES = {"conv1.w": (2, 3, 2, 1), "conv1.b": (2,), "dense1.w": (1, 5)}
RECORDED_STEPS = (1, 10, 100)  # after which of them PyTorch's weights are recorded


class OptimizerCase(NamedTuple):
    """An optimizer, its formula with that formula's options, PyTorch's class with PyTorch's options, and the rest."""

    kind: Callable[..., Optimizer]
    formula: str
    options: dict[str, Any]  # of the formula, and of our class unless `arguments` says otherwise
    torch_kind: str
    torch_options: dict[str, Any]
    arguments: dict[str, Any] | None = None
    common: dict[str, float] = {}  # weight_decay, clip_value, clip_norm: the same words in both libraries

    def make(self) -> Optimizer:
        """A fresh optimizer."""
        return self.kind(**(self.options if self.arguments is None else self.arguments), **self.common)


def _plain(kind: Callable[..., Optimizer], formula: str, torch_kind: str, **options: float) -> OptimizerCase:
    return OptimizerCase(kind, formula, options, torch_kind, options)


def _momentum(
    kind: Callable[..., Optimizer], formula: str, arguments: dict[str, Any] | None, **options: float
) -> OptimizerCase:
    nesterov: dict[str, Any] = {"nesterov": True} if formula == "nesterov" else {}
    return OptimizerCase(kind, formula, options, "SGD", options | nesterov, arguments)


_ADAM = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
_OTHER = {"lr": 0.1, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3}
_OTHER_TORCH = {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}

CASES = {
    "GD": _plain(GD, "sgd", "SGD", lr=0.05),
    "SGD": _plain(SGD, "sgd", "SGD", lr=0.1),
    "SGD momentum": _momentum(SGD, "momentum", None, lr=0.02, momentum=0.7),
    "SGD Nesterov": _momentum(SGD, "nesterov", {"lr": 0.02, "momentum": 0.7, "nesterov": True}, lr=0.02, momentum=0.7),
    "Momentum": _momentum(Momentum, "momentum", {"lr": 0.03}, lr=0.03, momentum=0.9),
    "Nesterov": _momentum(Nesterov, "nesterov", {"lr": 0.03}, lr=0.03, momentum=0.9),
    "AdaGrad": OptimizerCase(AdaGrad, "adagrad", {"lr": 0.1, "eps": 1e-10}, "Adagrad", {"lr": 0.1}, {"lr": 0.1}),
    "AdaGrad, other options": _plain(AdaGrad, "adagrad", "Adagrad", lr=0.5, eps=1e-3),
    "RMSProp": OptimizerCase(RMSProp, "rmsprop", {"lr": 0.01, "alpha": 0.99, "eps": 1e-8}, "RMSprop", {"lr": 0.01},
                             {"lr": 0.01}),
    "RMSProp, other options": _plain(RMSProp, "rmsprop", "RMSprop", lr=0.02, alpha=0.8, eps=1e-3),
    "AdaDelta": OptimizerCase(AdaDelta, "adadelta", {"lr": 1.0, "rho": 0.9, "eps": 1e-6}, "Adadelta", {}, {}),
    "AdaDelta, other options": _plain(AdaDelta, "adadelta", "Adadelta", lr=0.7, rho=0.5, eps=1e-3),
    "Adam": OptimizerCase(Adam, "adam", _ADAM, "Adam", {"lr": 0.01}, {"lr": 0.01}),
    "Adam, other options": OptimizerCase(Adam, "adam", _OTHER, "Adam", _OTHER_TORCH),
    "AdamW": OptimizerCase(AdamW, "adamw", _ADAM | {"weight_decay": 0.01}, "AdamW", {"lr": 0.01}, {"lr": 0.01}),
    "AdamW, other options": OptimizerCase(AdamW, "adamw", _OTHER | {"weight_decay": 0.3}, "AdamW",
                                          _OTHER_TORCH | {"weight_decay": 0.3}),
}  # fmt: skip

_DECAYED = ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]
VARIED = CASES | {
    **{f"{name}, decay": CASES[name]._replace(common={"weight_decay": 0.1}) for name in _DECAYED},
    "SGD, clip_norm": CASES["SGD"]._replace(common={"clip_norm": 2.0}),
    "AdamW, clip_norm": CASES["AdamW"]._replace(common={"clip_norm": 0.5}),
    "Momentum, clip_value": CASES["Momentum"]._replace(common={"clip_value": 0.25}),
    "Adam, everything": CASES["Adam"]._replace(common={"weight_decay": 0.1, "clip_value": 0.5, "clip_norm": 1.0}),
}


def random_params(seed: int = 0) -> dict[str, np.ndarray]:
    """Weights by name, float64."""
    rng = np.random.default_rng(seed)
    return {key: rng.normal(size=shape) for key, shape in SHAPES.items()}


def random_grads(steps: int) -> list[dict[str, np.ndarray]]:
    """Gradients for some steps, of sizes from 1e-4 to 10."""
    rng = np.random.default_rng(1)
    return [{k: rng.normal(size=s) * 10 ** rng.uniform(-4, 1) for k, s in SHAPES.items()} for _ in range(steps)]


def end_to_end(weights: dict[str, np.ndarray]) -> np.ndarray:
    """All weights as one vector."""
    return np.concatenate([weights[key].ravel() for key in SHAPES])


def literal_trajectory(
    case: OptimizerCase, params: dict[str, np.ndarray], grads: list[dict[str, np.ndarray]]
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]]:
    """The weights after each step, and what is remembered of each, by the declared formulas walked loop by loop."""
    entry = formulas[case.formula]
    weights = dict(params)
    state = {key: {s: np.zeros(w.shape) for s in entry.results if s != "w"} for key, w in weights.items()}
    for t, step in enumerate(grads, start=1):
        if limit := case.common.get("clip_value"):
            step = {k: formulas["clip_value"].evaluate(dw=dw, limit=limit) for k, dw in step.items()}
        norm = math.sqrt(sum(float((dw**2).sum()) for dw in step.values()))
        for key, dw in step.items():
            weights[key], state[key] = _literal_step(case, weights[key], dw, norm, state[key], t)
        yield dict(weights), {key: dict(slots) for key, slots in state.items()}


def _literal_step(
    case: OptimizerCase, w: np.ndarray, dw: np.ndarray, norm: float, state: dict[str, np.ndarray], t: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    entry, own = formulas[case.formula], case.common
    if "clip_norm" in own:
        dw = formulas["clip_norm"].evaluate(dw=dw, norm=norm, limit=own["clip_norm"])
    if "weight_decay" in own:
        dw = formulas["decayed_gradient"].evaluate(w=w, dw=dw, weight_decay=own["weight_decay"])
    step = {"t": t} if "t" in entry.parameters else {}
    found = entry.evaluate(w=w, dw=dw, **state, **case.options, **step)
    named = dict(zip(entry.results, found if len(entry.results) > 1 else (found,), strict=True))
    return named.pop("w"), named
