"""Who chooses, when a case is drawn: anything that can give an integer of a range, or one of several options.

A drawn case is made of such choices and of one seed for its arrays. NumPy's generator chooses for `tinycnn verify`;
Hypothesis chooses in the tests, and shrinks what fails towards the low end and the first option.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class Chooser(Protocol):
    """Whatever makes the choices."""

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included; the simplest is low."""

    def choice(self, options: Sequence[Any]) -> Any:
        """One of the options; the simplest is the first."""

    def seed(self) -> int:
        """What the arrays are drawn from."""


class NumpyChooser:
    """Choices of a NumPy generator, every one as likely as the others.

    >>> NumpyChooser(np.random.default_rng(0)).choice(["same", "valid", 1])
    1
    """

    def __init__(self, rng: np.random.Generator):
        self.rng = rng

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return int(self.rng.integers(low, high, endpoint=True))

    def choice(self, options: Sequence[Any]) -> Any:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]

    def seed(self) -> int:
        """Any of 2³² seeds."""
        return self.integer(0, 2**32 - 1)
