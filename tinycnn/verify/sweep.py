"""The size of the step, swept: how the error of each difference quotient falls with h, and where rounding takes over.

A forward difference is wrong by about h, a central one by h², Richardson's by h⁴; and each by the rounding of f over h.
The best step is where the two meet. The complex step subtracts nothing, and so has no second half.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn.verify.differences import Array, quotient
from tinycnn.verify.gradients import Gradient, value_and_gradients

STEPS = tuple(float(f"{m}e{e}") for e in range(-1, -16, -1) for m in ((1,) if e == -1 else (3, 1)))  # 0.1 to 1e-15
ROUNDING = 2e-15  # an error of the complex step up to this is the rounding of f itself
SMALL = 1e-3  # a method that stays above this everywhere has nothing to do with the gradient


@dataclass(frozen=True)
class Sweep:
    """The relative error of every method at every step; NaN where the step leaves the domain of f.

    Without "complex" if f takes no complex numbers; if f drops their imaginary parts, that line does not fall.
    """

    steps: tuple[float, ...]
    errors: dict[str, tuple[float, ...]]

    def best(self, method: str) -> tuple[float, float]:
        """The step at which the method errs least, and its error there; for the complex step the largest that will do.

        >>> Sweep((0.1, 0.01), {"central": (1e-2, 1e-4)}).best("central")
        (0.01, 0.0001)
        """
        errors = np.nan_to_num(self.errors[method], nan=np.inf)
        good = max(errors.min(), ROUNDING) if method == "complex" else errors.min()
        at = int(np.argmax(errors <= good))
        return self.steps[at], self.errors[method][at]

    def __str__(self) -> str:
        """The best step of each method, in words."""
        lines = []
        for method in self.errors:
            h, error = self.best(method)
            words = f"{method:10}  best at h = {h:.0e}, off by {error:.1e}"
            lines.append(f"{words}, and at any smaller step" if method == "complex" and error <= ROUNDING else words)
        if all(not self.best(method)[1] < SMALL for method in self.errors):
            lines.append("No step brings gradient and function together: the gradient is wrong, or f is not smooth.")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The sweep for JSON, where what is not finite is None."""
        plain = {m: [e if math.isfinite(e) else None for e in errors] for m, errors in self.errors.items()}
        return {"steps": list(self.steps), "errors": plain, "best": {m: self.best(m) for m in self.errors}}


def sweep(
    f: Callable[..., Any], *arrays: Array, gradient: Gradient | None = None, steps: tuple[float, ...] = STEPS,
    seed: int = 0,
) -> Sweep:  # fmt: skip
    """Hold every method at every step to the gradient, along one random signed direction of length 1 in all arrays.

    f and `gradient` are as in `check_gradient`. Errors are relative to Σ|∇f·v|. `tc.plot.gradient_sweep` draws them.

    Raises ValueError if there is no gradient to compare with.

    >>> found = sweep(lambda x: np.exp(x).sum(), np.array([0.3, 1.0]), gradient=np.exp)
    >>> found.best("central")[0], found.best("complex")[1] < 1e-15
    (1e-05, True)
    """
    arrays = tuple(np.asarray(array, np.float64) for array in arrays)
    value, gradients = value_and_gradients(f, arrays, gradient)
    present = [place for place, found in enumerate(gradients) if found is not None]
    given = np.concatenate([found.ravel() for found in gradients if found is not None])
    ends = np.cumsum([arrays[place].size for place in present])[:-1]

    def flat(x: Array) -> Any:
        moved = list(arrays)
        for place, part in zip(present, np.split(x, ends), strict=True):
            moved[place] = part.reshape(arrays[place].shape)
        return value(*moved)

    x = np.concatenate([arrays[place].ravel() for place in present])
    v = np.random.default_rng(seed).normal(size=x.shape)
    v /= np.sqrt((v * v).sum())
    said, scale = float((given * v).sum()), float(np.abs(given * v).sum()) or 1.0
    with np.errstate(all="ignore"):
        found = {m: tuple(abs(ask(flat, x, v, h) - said) / scale for h in steps) for m, ask in METHODS.items()}
        with contextlib.suppress(Exception):  # whatever it is that f says to complex numbers, it takes none
            found["complex"] = tuple(abs(float(np.imag(flat(x + 1j * h * v))) / h - said) / scale for h in steps)
    return Sweep(steps, found)


def _forward(f: Callable[[Array], Any], x: Array, v: Array, h: float) -> float:
    return quotient(f, x, v, h, 0.0)[0]


def _central(f: Callable[[Array], Any], x: Array, v: Array, h: float) -> float:
    return quotient(f, x, v, h, h)[0]


def _richardson(f: Callable[[Array], Any], x: Array, v: Array, h: float) -> float:
    return (4 * _central(f, x, v, h / 2) - _central(f, x, v, h)) / 3


METHODS = {"forward": _forward, "central": _central, "richardson": _richardson}
