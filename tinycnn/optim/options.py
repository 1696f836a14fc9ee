"""The options of optimizers and schedules, checked where they are given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def check_option(name: str, value: Any, least: float, below: float = math.inf) -> float:
    """A finite number in [least, below); raises ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if not (math.isfinite(value) and least <= value < below):
        upper = f" and < {below:g}" if below < math.inf else ""
        raise ValueError(f"{name} must be ≥ {least:g}{upper}, got {value!r}")
    return float(value)


def check_count(name: str, value: Any, least: int = 1) -> int:
    """An int of at least `least`; raises ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be an int ≥ {least}, got {value!r}")
    return int(value)
