"""What a gradient check found, in words and numbers: which array, where, by how much, and what it looks like."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tinycnn.verify.kinks import Kink

TOLERANCES = {"complex": 1e-12, "richardson": 1e-9, "central": 1e-7}
SPOKEN = {"complex": "complex step", "richardson": "Richardson", "central": "central difference"}
UNPROVED = 1e-6  # where more than this would have to be allowed, nothing is proved


@dataclass(frozen=True)
class GradientCheck:
    """How far the gradient of one array is from what its function says, and where it is worst.

    `said` is what the gradient says there and `witness` what the method found; `wrong` of the `checked` places are off
    by more than `tolerance`. `hint` is what the mistake looks like, and `doubt` why the check itself proves nothing.
    """

    name: str
    worst_error: float
    where: str
    checked: int
    tolerance: float = TOLERANCES["complex"]
    method: str = "complex"
    said: float = math.nan
    witness: float = math.nan
    wrong: int = 0
    hint: str = ""
    doubt: str = ""

    @property
    def passed(self) -> bool:
        """Whether the worst error is within the tolerance, and the method could tell; a NaN is not."""
        return not self.doubt and bool(self.worst_error <= self.tolerance)

    @property
    def verdict(self) -> str:
        """One word."""
        return "ok" if self.passed else "UNPROVED" if self.doubt else "WRONG"

    def __str__(self) -> str:
        short = f"{self.name}: worst relative error {self.worst_error:.1e} over {self.checked} checks: {self.verdict}"
        return short if self.passed else f"{short}\n{self.explanation}"

    @property
    def explanation(self) -> str:
        """What is wrong, where and by how much; what the check could not tell; nothing if it passed."""
        if self.passed:
            return ""
        if self.doubt:
            return f"{self.name} is UNPROVED: {self.doubt}"
        ratio = f", a ratio of {self.said / self.witness:.6g}" if self.witness else ""
        looks = f": {self.hint}" if self.hint else ""
        return (
            f"{self.name} is WRONG at {self.where}: the gradient says {self.said:.6g}, by {SPOKEN[self.method]} it is "
            f"{self.witness:.6g}{ratio}{looks}. {self.wrong} of the {self.checked} places checked are off."
        )

    def as_dict(self) -> dict[str, Any]:
        """The check for JSON, where what is not finite is None."""
        return _plain(asdict(self) | {"passed": self.passed})


@dataclass(frozen=True)
class GradientReport:
    """The checks of every array of a function, layer or model, and the kinks that stood in the way."""

    checks: tuple[GradientCheck, ...]
    kinks: tuple[Kink, ...] = field(default=())

    @property
    def worst_error(self) -> float:
        """The largest relative error of all; infinite if any gradient is not finite."""
        return float(np.max([c.worst_error for c in self.checks], initial=0.0))

    @property
    def passed(self) -> bool:
        """Whether every array passed."""
        return all(c.passed for c in self.checks)

    def __str__(self) -> str:
        """A line an array, then what is wrong with those that failed, and every kink in words."""
        name = max([5, *(len(c.name) for c in self.checks)])
        method = max([6, *(len(SPOKEN[c.method]) for c in self.checks)])
        where = max([5, *(len(c.where) for c in self.checks)])
        lines = [f"{'array':{name}}  {'method':{method}}  checks  worst error  allowed  {'where':{where}}"]
        lines += [
            f"{c.name:{name}}  {SPOKEN[c.method]:{method}}  {c.checked:6}  {c.worst_error:11.1e}  {c.tolerance:7.0e}  "
            f"{c.where:{where}}  {c.verdict}"
            for c in self.checks
        ]
        lines += [c.explanation for c in self.checks if not c.passed]
        return "\n".join([*map(str.rstrip, lines), *self._kinks_in_words()])

    def _kinks_in_words(self) -> list[str]:
        """The first kink of each array in full, and where else there are some."""
        said = []
        for array in dict.fromkeys(kink.array for kink in self.kinks):
            first, *rest = (kink for kink in self.kinks if kink.array == array)
            also = f" Others: {', '.join(kink.place for kink in rest)}." if rest else ""
            said.append(f"{first}{also}")
        return said

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        found = {"passed": self.passed, "worst_error": self.worst_error, "checks": [c.as_dict() for c in self.checks]}
        return _plain(found | {"kinks": [kink.as_dict() for kink in self.kinks]})


def merged(reports: Iterable[GradientReport]) -> GradientReport:
    """Several reports on the same arrays as one: for each array the check that is nearest to failing, or failed."""
    every = list(reports)
    checks = []
    for alike in zip(*(report.checks for report in every), strict=True):
        worst = max(alike, key=lambda c: (bool(c.doubt), c.worst_error / c.tolerance))
        tried, wrong = sum(c.checked for c in alike), sum(c.wrong for c in alike)
        checks.append(GradientCheck(**(asdict(worst) | {"checked": tried, "wrong": wrong})))
    kinks = {(kink.array, kink.place): kink for report in every for kink in report.kinks}
    return GradientReport(tuple(checks), tuple(kinks.values()))


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in found.items()}
