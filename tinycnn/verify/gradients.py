"""Is this the gradient? Ask the function itself, by the complex step.

For a function that is smooth where it stands, f(x + ih·v) = f(x) + ih·(∇f·v) − …: the imaginary part over h *is* the
derivative in the direction v. Nothing is subtracted, so nothing cancels, and h can be 1e-30: what is left is the
rounding of the function itself. Code that takes part must not drop imaginary parts: no abs, no conj, no real cast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

STEP = 1e-30
TOLERANCE = 1e-12
ALL_BUT_ZERO = 1e-9  # of the largest gradient: less is the rounding of a true zero


@dataclass(frozen=True)
class GradientCheck:
    """How far the gradient of one array is from the complex step's, and where it is worst."""

    name: str
    worst_error: float
    where: str
    checked: int
    tolerance: float = TOLERANCE

    @property
    def passed(self) -> bool:
        """Whether the worst error is within the tolerance; a NaN is not."""
        return bool(self.worst_error <= self.tolerance)

    def __str__(self) -> str:
        verdict = "ok" if self.passed else f"WRONG at {self.where}"
        return f"{self.name}: worst relative error {self.worst_error:.1e} over {self.checked} checks: {verdict}"


@dataclass(frozen=True)
class GradientReport:
    """The checks of every array of a function, layer or model."""

    checks: tuple[GradientCheck, ...]

    @property
    def worst_error(self) -> float:
        """The largest relative error of all; infinite if any gradient is not finite."""
        return float(np.max([c.worst_error for c in self.checks], initial=0.0))

    @property
    def passed(self) -> bool:
        """Whether every array passed."""
        return all(c.passed for c in self.checks)

    def __str__(self) -> str:
        return "\n".join(map(str, self.checks))


def complex_step(f: Callable[[np.ndarray], Any], x: np.ndarray, v: np.ndarray) -> float:
    """The derivative of a scalar function at x in the direction v: Im f(x + ih·v)/h.

    Source: Squire & Trapp 1998, SIAM Review 40(1).

    >>> complex_step(lambda x: (x**3).sum(), np.array([2.0]), np.array([1.0]))
    12.0
    """
    return float(np.imag(f(x + 1j * STEP * v)) / STEP)


def check_gradient(
    f: Callable[..., tuple[Any, Iterable[Any]]],
    *arrays: np.ndarray,
    names: Iterable[str] | None = None,
    entries: int = 64,
    directions: int = 3,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> GradientReport:
    """Check the gradients that a function returns beside its value: `f(*arrays) -> (value, gradients)`.

    Each array, in float64, is checked in random signed directions (the error is taken relative to Σ|∇f·v|, the rounding
    that the sum allows) and at single entries, all of them or `entries` drawn at random (relative to the largest). An
    array whose gradient is all but 0, such as a bias before a batch norm, has nothing but rounding to be relative to;
    it is held to the largest gradient of all. A gradient of None says that the function has none for that array, and is
    passed over.

    Raises TypeError for arrays that are not float64 and ValueError for a gradient of the wrong shape.

    >>> square = lambda x: ((x * x).sum(), [2 * x])
    >>> check_gradient(square, np.array([1.0, -2.0, 3.0])).passed
    True
    """
    names = tuple(names) if names is not None else tuple(f"array {i}" for i in range(len(arrays)))
    rng = np.random.default_rng(seed)
    for array, name in zip(arrays, names, strict=True):
        if array.dtype != np.float64:
            raise TypeError(f"{name} must be float64 for a gradient check, got {array.dtype}: use .astype(np.float64)")
    gradients = list(f(*arrays)[1])
    if len(gradients) != len(arrays):
        raise ValueError(f"f returned {len(gradients)} gradients for {len(arrays)} arrays")
    if all(gradient is None for gradient in gradients):
        raise ValueError("f returned no gradient at all (None for every array): there is nothing to check")
    checks = []
    sizes = np.abs(np.concatenate([np.ravel(g) for g in gradients if g is not None] or [np.zeros(1)]))
    largest = sizes[np.isfinite(sizes)].max(initial=0.0)
    for place, (array, gradient, name) in enumerate(zip(arrays, gradients, names, strict=True)):
        if gradient is None or array.size == 0:
            continue
        if np.shape(gradient) != array.shape:
            raise ValueError(f"the gradient of {name} has shape {np.shape(gradient)}, but {name} has {array.shape}")

        def alone(x: np.ndarray, place: int = place) -> Any:
            return f(*arrays[:place], x, *arrays[place + 1 :])[0]

        errors = _errors(alone, array, np.array(gradient), largest, entries, directions, rng)
        worst, where = max(reversed(errors), key=lambda e: e[0])  # of equals the entry, which names a place
        checks.append(GradientCheck(name, worst, where, len(errors), tolerance))
    return GradientReport(tuple(checks))


def _errors(
    f: Callable, x: np.ndarray, gradient: np.ndarray, largest: float, entries: int, directions: int,
    rng: np.random.Generator,
) -> list[tuple[float, str]]:  # fmt: skip
    """The relative error in each direction and at each entry that is tried, and which it was."""
    errors: list[tuple[float, str]] = []
    own = np.abs(gradient)[np.isfinite(gradient)].max(initial=0.0)
    floor = largest if own < ALL_BUT_ZERO * largest else 0.0
    for d in range(directions):
        v = rng.normal(size=x.shape)
        derivative, terms = complex_step(f, x, v), gradient * v
        with np.errstate(invalid="ignore"):  # infinities, which _ratio turns down
            scale = max(abs(terms).sum(), floor)
            errors.append((_ratio(derivative - terms.sum(), scale), f"random direction {d}"))
    picked = rng.permutation(x.size)[:entries]
    derivatives = []
    for flat in picked:
        v = np.zeros(x.shape)
        v.flat[flat] = 1.0
        derivatives.append(complex_step(f, x, v))
    sizes = np.abs([*derivatives, *gradient.flat])
    scale = max(sizes[np.isfinite(sizes)].max(initial=0.0), floor)
    for flat, derivative in zip(picked, derivatives, strict=True):
        at = tuple(map(int, np.unravel_index(flat, x.shape)))
        said = f"{list(at)}: {gradient[at]:.6g}, not {derivative:.6g}"
        errors.append((_ratio(derivative - gradient[at], scale), said))
    return errors


def _ratio(difference: float, scale: float) -> float:
    """The relative error: 0 where both are exactly 0, infinite where either is not finite."""
    if not np.isfinite(difference):
        return np.inf
    return float(abs(difference) / scale) if scale else float(abs(difference))
