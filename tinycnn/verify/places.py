"""Where a function is asked about the gradient of an array: along random signed directions, and at single entries.

The directions are of both signs, as under all-positive ones a gradient whose entries are in the wrong places has nearly
the right sum; the entries name the place. Each error is relative to what rounding is relative to.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinycnn.verify.differences import Array, Derivative, directional
from tinycnn.verify.gradient_report import TOLERANCES, UNPROVED
from tinycnn.verify.kinks import rounding_near

NOTHING = 1e-50  # a complex step at a true zero finds h² = 1e-60, no less
ROUNDINGS = 10.0  # what a quotient adds up to, of the rounding of one value over the step
SURE = 100.0  # times what a method may be off by its own account: an error beyond that is no accident
Function = Callable[[Array], Any]
REAL_ONLY = 'pass method="richardson", which asks with real numbers only'


@dataclass(frozen=True)
class Asking:
    """How gradients are asked for: by which method, at how many places, and what is let pass."""

    method: str = "complex"
    entries: int = 64
    directions: int = 3
    tolerance: float | None = None

    @property
    def allowed(self) -> float:
        """The tolerance that was stated, or the method's own."""
        return TOLERANCES[self.method] if self.tolerance is None else self.tolerance

    @property
    def limit(self) -> float:
        """How much a method may be off by its own account and still prove something."""
        return max(self.allowed, UNPROVED) if self.method == "richardson" else self.allowed


@dataclass(frozen=True)
class Place:
    """One comparison: a direction or an entry (`flat`), what the gradient said there and what the function did."""

    where: str
    v: Array | None
    flat: int
    said: float
    witness: float
    error: float
    allowed: float
    unsure: float = 0.0  # by the method's own account, on the scale of the error

    @property
    def nearness(self) -> float:
        """How near to failing: over 1 is beyond."""
        return math.inf if not math.isfinite(self.error) else self.error / self.allowed

    def sure(self, limit: float) -> bool:
        """Whether the method can tell to within a limit, or the error is far beyond what it cannot tell."""
        return self.unsure <= limit or self.error > SURE * self.unsure

    @property
    def failed(self) -> bool:
        """Whether the error is beyond what is allowed; a NaN is."""
        return not self.error <= self.allowed

    def of(self, gradient: Array) -> float:
        """What another gradient would say here."""
        return float(gradient.flat[self.flat] if self.v is None else (gradient * self.v).sum())

    def along(self, x: Array) -> Array:
        """The direction; of an entry the unit vector."""
        if self.v is not None:
            return self.v
        unit = np.zeros(x.shape)
        unit.flat[self.flat] = 1.0
        return unit


def directions_of(
    f: Function, x: Array, gradient: Array, asking: Asking, floor: float, terms: Array | None, rng: np.random.Generator
) -> Iterator[Place]:
    """Random signed directions; the error is relative to Σ|∇f·v|, the rounding that the sum allows."""
    for d in range(asking.directions):
        v = rng.normal(size=x.shape)
        found = heard(f, x, v, asking.method)
        with np.errstate(invalid="ignore"):  # infinities, which _ratio turns down
            parts = gradient * v
            scale = float(np.abs(parts).sum()) if terms is None else float((terms * np.abs(v)).sum())
            said = float(parts.sum()) + 0.0
        scale = max(scale, floor)
        place = _place(f"random direction {d}", v, -1, said, found, scale, asking, terms is not None)
        yield _minding_rounding(place, f, x, found.step * scale, asking)


def entries_of(
    f: Function, x: Array, gradient: Array, asking: Asking, floor: float, terms: Array | None, rng: np.random.Generator
) -> list[Place]:
    """Single entries; the error is relative to the largest of them all, or to the entry's own terms."""
    picked = [int(flat) for flat in rng.permutation(x.size)[: asking.entries]]
    found = []
    for flat in picked:
        unit = np.zeros(x.shape)
        unit.flat[flat] = 1.0
        found.append(heard(f, x, unit, asking.method))
    sizes = np.abs([*(derivative.value for derivative in found), *gradient.flat])
    largest = max(float(finite(sizes).max(initial=0.0)), floor)
    places = []
    for flat, derivative in zip(picked, found, strict=True):
        at = np.unravel_index(flat, x.shape)
        scale = largest if terms is None else float(terms[at])
        where, said = str([int(i) for i in at]), float(gradient[at]) + 0.0
        place = _place(where, None, flat, said, derivative, scale, asking, terms is not None)
        places.append(_minding_rounding(place, f, x, derivative.step * scale, asking))
    return places


def _place(
    where: str, v: Array | None, flat: int, said: float, found: Derivative, scale: float, asking: Asking, strict: bool
) -> Place:
    allowed, unsure = asking.allowed, _ratio(found.uncertainty, scale)
    if asking.method == "richardson":
        allowed = max(allowed, unsure)
    error = _ratio(found.value - said, scale)
    if strict and not scale and error:  # a true zero must be zero
        error = math.inf
    return Place(where, v, flat, said, found.value, error, allowed, unsure)


def _minding_rounding(place: Place, f: Function, x: Array, step: float, asking: Asking) -> Place:
    """A quotient that is off by little may be off by the rounding of f: then that is measured, and allowed for.

    It matters where Richardson's step had to become very small, to stay on one side of a kink.
    """
    if asking.method == "complex" or not place.failed or not place.error < UNPROVED or not step:
        return place
    unsure = max(place.unsure, ROUNDINGS * rounding_near(f, x, place.along(x)) / step)
    allowed = max(place.allowed, unsure) if asking.method == "richardson" else place.allowed
    return replace(place, unsure=unsure, allowed=allowed)


def heard(f: Function, x: Array, v: Array, method: str) -> Derivative:
    """The derivative along v; for the complex step, a function that refuses complex numbers is told so in words.

    Raises TypeError if the function cannot take complex numbers.
    """
    if method != "complex":
        return directional(f, x, v, method)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            return directional(f, x, v, method)
    except Exception as error:
        raise TypeError(
            f"the complex step needs a function that takes complex numbers, and f does not ({error}): {REAL_ONLY}."
        ) from error


def finite(values: Array) -> Array:
    """Those of the values that are numbers."""
    return values[np.isfinite(values)]


def _ratio(difference: float, scale: float) -> float:
    """The relative error, absolute where all is as good as 0; infinite where either is not finite."""
    if not math.isfinite(difference):
        return math.inf
    return float(abs(difference) / scale) if scale > NOTHING else float(abs(difference))
