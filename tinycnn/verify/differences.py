"""The derivative of a function along a direction, asked of the function itself in three ways.

The complex step reads it off the imaginary part, where nothing is subtracted and so nothing cancels. A central
difference subtracts two values a small step apart: too large a step and the curve shows, too small and rounding does.
Richardson's extrapolation takes two steps, lets the leading error of one cancel that of the other, and says by itself
how far it can be trusted. Only the complex step needs a function that takes complex numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
STEP = 1e-30  # of the complex step: nothing cancels, so it can be as small as it likes
CENTRAL_STEP = 1e-5
RICHARDSON_STEP = 3e-3
HALVINGS = 20  # down to about 3e-9, where rounding is all there is
AGREE = 1e-10  # relative: two extrapolations this close leave nothing to be gained
EPS, EPS32 = float(np.finfo(np.float64).eps), float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Derivative:
    """A directional derivative, how far it may be off by its own account, and the step that it was taken with.

    `uncertainty`, absolute, is what the method knows of itself: the rounding of the complex step and of a central
    difference (whose truncation it cannot see), and for Richardson how far two extrapolations differ.
    """

    value: float
    uncertainty: float
    step: float


def directional(f: Callable[[Array], Any], x: Array, v: Array, method: str = "complex") -> Derivative:
    """The derivative of a scalar function of one array at x in the direction v.

    complex: Im f(x + ih·v)/h with h = 1e-30. central: (f(x₊) − f(x₋))/(x₊ − x₋) with h = 1e-5. richardson:
    (4·D(h/2) − D(h))/3, with h halved from 3e-3 until two of them agree. Real steps are stretched by max(1, |x|), and
    shortened so that no entry moves further than that.

    Raises ValueError for an unknown method, and ArithmeticError if no step gives finite values.
    Source: Squire & Trapp 1998, SIAM Review 40(1); Richardson 1911, Phil. Trans. R. Soc. A 210.

    >>> x, v = np.array([2.0, 1.0]), np.array([1.0, 0.0])
    >>> directional(lambda x: (x**3).sum(), x, v).value
    12.0
    >>> found = directional(lambda x: np.exp(x).sum(), x, v, "richardson")
    >>> f"{found.value:.9f} {np.exp(2):.9f}", found.uncertainty < 1e-9
    ('7.389056099 7.389056099', True)
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    with np.errstate(all="ignore"):  # a step may leave the domain; what comes of it is looked at
        return METHODS[method](f, np.asarray(x), np.asarray(v))


def complex_step(f: Callable[[Array], Any], x: Array, v: Array) -> float:
    """The derivative of a scalar function at x in the direction v: Im f(x + ih·v)/h.

    Source: Squire & Trapp 1998, SIAM Review 40(1).

    >>> complex_step(lambda x: (x**3).sum(), np.array([2.0]), np.array([1.0]))
    12.0
    """
    return float(np.imag(f(x + 1j * STEP * v)) / STEP)


def reach(x: Array, v: Array) -> float:
    """What a step of 1 is stretched by: max(1, |x|) where v points, over the largest entry of v.

    >>> reach(np.array([5.0, 100.0]), np.array([1.0, 0.0]))
    5.0
    """
    sizes = np.abs(v)
    largest = sizes.max(initial=0.0)
    if not largest:
        return 1.0
    return float(max(1.0, (np.abs(x) * sizes).sum() / sizes.sum()) / largest)


def quotient(f: Callable[[Array], Any], x: Array, v: Array, above: float, below: float) -> tuple[float, float]:
    """(f(x₊) − f(x₋)) over the distance really gone along v, and the rounding that is in it.

    x₊ = x + above·v and x₋ = x − below·v are rounded, so the distance is taken from them, not from the steps.

    >>> quotient(lambda x: (x * x).sum(), np.array([3.0]), np.array([1.0]), 0.5, 0.5)[0]
    6.0
    """
    high, low = x + above * v, x - below * v
    distance = float(((high - low) * v).sum() / (v * v).sum())
    top, bottom = float(f(high)), float(f(low))
    if not distance:
        return math.nan, math.inf
    return (top - bottom) / distance, _precision(top, bottom) * max(abs(top), abs(bottom)) / abs(distance)


def _precision(top: float, bottom: float) -> float:
    """Of float64; of float32 where two different values both fit into it, as then f must have computed in it."""
    return EPS32 if top != bottom and float(np.float32(top)) == top and float(np.float32(bottom)) == bottom else EPS


def _complex(f: Callable[[Array], Any], x: Array, v: Array) -> Derivative:
    value = complex_step(f, x, v)
    return Derivative(value, EPS * abs(value), STEP)


def _central(f: Callable[[Array], Any], x: Array, v: Array) -> Derivative:
    h = CENTRAL_STEP * reach(x, v)
    if not np.any(v):
        return Derivative(0.0, 0.0, h)
    value, rounding = quotient(f, x, v, h, h)
    return Derivative(value, rounding, h)


def _richardson(f: Callable[[Array], Any], x: Array, v: Array) -> Derivative:
    """Halve until two extrapolations agree, or rounding hides whether they do.

    Where none agree, the three in a row that are closest count: of two, some are close by chance.
    """
    h = RICHARDSON_STEP * reach(x, v)
    if not np.any(v):
        return Derivative(0.0, 0.0, h)
    best = Derivative(math.nan, math.inf, h)
    coarse, _ = quotient(f, x, v, h, h)
    before, apart_before = math.nan, math.inf
    for _ in range(HALVINGS):
        h /= 2
        fine, rounding = quotient(f, x, v, h, h)
        extrapolated = (4 * fine - coarse) / 3
        apart = max(abs(extrapolated - before), rounding)
        if apart <= max(AGREE * abs(extrapolated), 2 * rounding):
            return Derivative(extrapolated, apart, h)
        if max(apart, apart_before) < best.uncertainty:
            best = Derivative(extrapolated, max(apart, apart_before), h)
        coarse, before, apart_before = fine, extrapolated, apart
    if not math.isfinite(best.value):
        raise ArithmeticError(f"no step from {RICHARDSON_STEP} down gives finite values: is x in the domain of f?")
    return best


METHODS: dict[str, Callable[[Callable[[Array], Any], Array, Array], Derivative]] = {
    "complex": _complex,
    "richardson": _richardson,
    "central": _central,
}
