"""What software nobody here wrote computed, recorded so that its witness is there where it is not installed."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np


@cache
def recorded(name: str) -> dict[str, np.ndarray]:
    """The arrays of one recording, by case: `torch_ops`, `torch_optim`, `torch_schedules`, `torch_parts` or
    `sklearn_metrics`.

    PyTorch 2.13 and scikit-learn 1.9 computed them in float64; tests/make_golden.py is the program that asked them.
    """
    path = files("tinycnn.verify").joinpath("golden", f"{name}.npz")
    with path.open("rb") as file, np.load(file) as table:
        return dict(table)
