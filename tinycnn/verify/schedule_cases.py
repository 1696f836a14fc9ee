"""One table of schedules: how to make each, the options of its formula, and what PyTorch calls it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tinycnn.formula import formulas
from tinycnn.optim import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    Warmup,
)


class ScheduleCase(NamedTuple):
    """A schedule, its formula with that formula's options, PyTorch's class with PyTorch's, and how far they go."""

    schedule: Schedule
    formula: str
    options: dict[str, float]
    torch_kind: str
    torch_options: dict[str, Any]
    length: int


CASES = {
    "constant": ScheduleCase(Constant(), "constant_schedule", {}, "ConstantLR", {"factor": 1.0}, 10),
    "step": ScheduleCase(StepDecay(7, 0.3), "step_schedule", {"length": 7, "gamma": 0.3}, "StepLR",
                         {"step_size": 7, "gamma": 0.3}, 40),
    "exponential": ScheduleCase(ExponentialDecay(0.93), "exponential_schedule", {"gamma": 0.93}, "ExponentialLR",
                                {"gamma": 0.93}, 40),
    "cosine": ScheduleCase(CosineDecay(23), "cosine_schedule", {"length": 23, "final": 0.0}, "CosineAnnealingLR",
                           {"T_max": 23}, 24),
    "cosine, final": ScheduleCase(CosineDecay(17, 0.2), "cosine_schedule", {"length": 17, "final": 0.2},
                                  "CosineAnnealingLR", {"T_max": 17, "eta_min": 0.2}, 18),
    "warmup": ScheduleCase(Warmup(9, 0.25), "warmup_schedule", {"length": 9, "start": 0.25}, "LinearLR",
                           {"start_factor": 0.25, "total_iters": 9}, 20),
    "one_cycle": ScheduleCase(
        OneCycle(31), "one_cycle_schedule", {"length": 31, "top": 0.3 * 31 - 1, "start": 0.04, "final": 4e-6},
        "OneCycleLR", {"max_lr": 1.0, "total_steps": 31, "cycle_momentum": False}, 31),
    "one_cycle, other options": ScheduleCase(
        OneCycle(40, rise=0.55, start=0.1, final=0.01), "one_cycle_schedule",
        {"length": 40, "top": 0.55 * 40 - 1, "start": 0.1, "final": 0.01}, "OneCycleLR",
        {"max_lr": 1.0, "total_steps": 40, "pct_start": 0.55, "div_factor": 10.0, "final_div_factor": 10.0,
         "cycle_momentum": False}, 40),
}  # fmt: skip


class PlateauCase(NamedTuple):
    """Options of ReduceOnPlateau, and PyTorch's for the same."""

    options: dict[str, Any]
    torch_options: dict[str, Any]


PLATEAUS = {
    "plateau": PlateauCase(
        {"monitor": "loss", "gamma": 0.5, "patience": 2, "threshold": 0.01},
        {"mode": "min", "factor": 0.5, "patience": 2, "threshold": 0.01},
    ),
    "plateau, max": PlateauCase(
        {"monitor": "accuracy", "gamma": 0.3, "patience": 1, "threshold": 0.0, "least": 0.05},
        {"mode": "max", "factor": 0.3, "patience": 1, "threshold": 0.0, "min_lr": 0.05},
    ),
    "plateau, impatient": PlateauCase(
        {"monitor": "loss", "gamma": 0.9, "patience": 0, "threshold": 0.05},
        {"mode": "min", "factor": 0.9, "patience": 0, "threshold": 0.05},
    ),
}


def watched_values() -> list[float]:
    """What a run might show: numbers that fall, stay and rise again."""
    rng = np.random.default_rng(7)
    return [float(v) for v in np.exp(-np.arange(60) / 15) + 0.1 * rng.normal(size=60)]


def plateau_factors(case: PlateauCase) -> Iterator[float]:
    """Our factor after each value."""
    schedule = ReduceOnPlateau(**case.options)
    for value in watched_values():
        schedule.observe({schedule.monitor or "": value})
        yield schedule.factor(0)


def literal_plateau(case: PlateauCase) -> Iterator[float]:
    """The factor after each value, by the declared formula walked line by line."""
    options = {"threshold": 1e-4, "patience": 10, "gamma": 0.1, "least": 0.0} | case.options
    sign = -1.0 if case.torch_options["mode"] == "max" else 1.0
    factor, best, bad = 1.0, np.inf, 0.0
    numbers = {key: options[key] for key in ("threshold", "patience", "gamma", "least")}
    for value in watched_values():
        found = formulas["plateau_schedule"].evaluate(value=sign * value, best=best, bad=bad, factor=factor, **numbers)
        factor, best, bad = (float(one) for one in found)
        yield factor
