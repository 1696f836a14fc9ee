"""One row of the table of proofs: a formula, a witness, how many cases, how far apart at worst, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

EXACT = 1e-12  # float64, relative: what a different order of the same additions may cost
WITNESSES = ("literal", "numeric", "external")


@dataclass(frozen=True)
class Row:
    """A formula held to one witness: `worst_error` over `cases`, where `tolerance` is allowed.

    `kind` is what the formula is (op, loss, optimizer, initialiser, metric, …), which says what witnesses it owes;
    `method` says how the witness was asked; `backend` is the rung that served.
    """

    formula: str
    kind: str
    witness: str
    method: str
    backend: str
    cases: int
    worst_error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether there were cases, and none was further off than the tolerance; a NaN is."""
        return self.cases > 0 and bool(self.worst_error <= self.tolerance)

    def as_dict(self) -> dict[str, Any]:
        """The row as `tinycnn verify --json` prints it."""
        return asdict(self) | {"passed": self.passed}


def worst(errors: Iterable[float]) -> float:
    """The largest error; infinite if any is not a number."""
    return max((float("inf") if e != e else float(e) for e in errors), default=0.0)


def row_of(
    formula: str, kind: str, witness: str, method: str, errors: Iterable[float], tolerance: float = EXACT,
    backend: str = "formula",
) -> Row:  # fmt: skip
    """The row of some errors; `backend` is "formula" for what no rung serves."""
    found = [float(error) for error in errors]
    return Row(formula, kind, witness, method, backend, len(found), worst(found), tolerance)


def distance(a: Any, b: Any, terms: Any = None) -> float:
    """The largest |a − b|, each entry relative to `terms` (the absolute products that make it), or to max |b|.

    A true zero must be zero; NaN equals NaN, and an infinity itself. Infinite if the shapes differ.

    >>> distance([1.0, 2.0], [1.0, 2.5])
    0.2
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return float("inf")
    if a.size == 0:
        return 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        scale = np.abs(b[np.isfinite(b)]).max(initial=0.0) if terms is None else np.abs(np.asarray(terms))
        error = np.where(same, 0.0, np.abs(a - b) / scale)
    return float(np.nan_to_num(error, nan=np.inf, posinf=np.inf).max())
