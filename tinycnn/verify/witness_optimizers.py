"""Witnesses of the optimizers: their formulas stepped literally, and the weights PyTorch's optimizers went through."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinycnn.formula import formulas
from tinycnn.optim.base import clip_norm, clip_value, decayed_gradient
from tinycnn.verify.optimizer_cases import (
    RECORDED_STEPS,
    SHAPES,
    VARIED,
    OptimizerCase,
    end_to_end,
    literal_trajectory,
    random_grads,
    random_params,
)
from tinycnn.verify.recorded import recorded
from tinycnn.verify.rows import Row, distance, row_of, worst

Weights = dict[str, np.ndarray]
SHARED = {"weight_decay": "decayed_gradient", "clip_value": "clip_value", "clip_norm": "clip_norm"}


def optimizer_rows(thorough: bool = False) -> Iterator[Row]:
    """A row a formula and witness: every optimizer's own, and those of decay and clipping, for any of them."""
    steps = 100 if thorough else 20
    literal = {name: _literal(case, steps) for name, case in VARIED.items()}
    torch = {name: _recorded(name, case) for name, case in VARIED.items()}
    for formula in dict.fromkeys([case.formula for case in VARIED.values()] + list(SHARED.values())):
        own = [name for name, case in VARIED.items() if formula in _formulas_of(case)]
        yield row_of(formula, "optimizer", "literal", f"{steps} steps of the formula", [literal[n] for n in own])
        yield row_of(formula, "optimizer", "external", "100 steps of PyTorch 2.13, recorded", [torch[n] for n in own])
    yield from _changes_of_the_gradient()


def _formulas_of(case: OptimizerCase) -> set[str]:
    return {case.formula, *(SHARED[option] for option in case.common)}


def _apart(ours: Weights, theirs: Weights) -> float:
    return distance(end_to_end(ours), end_to_end(theirs))


def _literal(case: OptimizerCase, steps: int) -> float:
    """The worst distance from the formula, over every step."""
    ours, optimizer, grads, errors = random_params(), case.make(), random_grads(steps), []
    for step, (weights, _) in zip(grads, literal_trajectory(case, random_params(), grads), strict=True):
        optimizer.step(ours, step)
        errors.append(_apart(ours, weights))
    return worst(errors)


def _recorded(name: str, case: OptimizerCase) -> float:
    """The worst distance from PyTorch's weights, after 1, 10 and 100 steps."""
    table, optimizer, errors = recorded("torch_optim"), case.make(), []
    ours = {key: table[f"start/{key}"].astype(np.float64) for key in SHAPES}
    for t in range(1, RECORDED_STEPS[-1] + 1):
        optimizer.step(ours, {key: table[f"grads/{key}"][t - 1].astype(np.float64) for key in SHAPES})
        if t in RECORDED_STEPS:
            errors.append(distance(end_to_end(ours), table[name][RECORDED_STEPS.index(t)]))
    return worst(errors)


def _changes_of_the_gradient() -> Iterator[Row]:
    """Decay and clipping as functions, each against its formula by itself."""
    rng = np.random.default_rng(23)
    w, dw = rng.normal(size=(3, 4)), 3 * rng.normal(size=(3, 4))
    norm = float(np.sqrt((dw**2).sum()))
    calls = {
        "decayed_gradient": (decayed_gradient(w, dw, 0.3), {"w": w, "dw": dw, "weight_decay": 0.3}),
        "clip_value": (clip_value(dw, 1.5), {"dw": dw, "limit": 1.5}),
        "clip_norm": (clip_norm(dw, norm, 2.0), {"dw": dw, "norm": norm, "limit": 2.0}),
    }
    for name, (found, given) in calls.items():
        yield row_of(
            name, "optimizer", "literal", "the formula walked", [distance(found, formulas[name].evaluate(**given))]
        )
