"""Witnesses of the schedules: their formulas walked literally, and the rates of PyTorch's schedulers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinycnn.formula import formulas
from tinycnn.verify.recorded import recorded
from tinycnn.verify.rows import Row, distance, row_of
from tinycnn.verify.schedule_cases import CASES, PLATEAUS, ScheduleCase, literal_plateau, plateau_factors

EXTERNAL = "every step of PyTorch 2.13, recorded"


def schedule_rows() -> Iterator[Row]:
    """Two rows a formula: walked, and PyTorch's."""
    table = recorded("torch_schedules")
    for formula in dict.fromkeys(case.formula for case in CASES.values()):
        own = {name: case for name, case in CASES.items() if case.formula == formula}
        literal = [distance(factors_of(case), walked(case)) for case in own.values()]
        external = [distance(factors_of(case), table[name]) for name, case in own.items()]
        yield row_of(formula, "schedule", "literal", "the formula at every step", literal)
        yield row_of(formula, "schedule", "external", EXTERNAL, external)
    ours = {name: list(plateau_factors(case)) for name, case in PLATEAUS.items()}
    literal = [distance(ours[name], list(literal_plateau(case))) for name, case in PLATEAUS.items()]
    external = [distance(ours[name], table[name]) for name in PLATEAUS]
    yield row_of("plateau_schedule", "schedule", "literal", "the formula at every step", literal)
    yield row_of("plateau_schedule", "schedule", "external", EXTERNAL, external)


def factors_of(case: ScheduleCase) -> np.ndarray:
    """What the schedule gives, step by step."""
    return np.array([case.schedule.factor(t) for t in range(case.length)])


def walked(case: ScheduleCase) -> np.ndarray:
    """What the declared formula gives, walked at each step."""
    found = [formulas[case.formula].evaluate(t=t, **case.options) for t in range(case.length)]
    return np.array([one[0] if isinstance(one, tuple) else one for one in found], dtype=float)
