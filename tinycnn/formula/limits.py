"""Limits and integrals in numbers: what `lim[h](…)` and `integral[x,a,b](…)` compute.

Neither can be walked to its end. A limit is followed inwards and the rest of the way is extrapolated; an integral is a
sum over ever finer pieces. Both stop where two answers agree, and refuse where they do not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from tinycnn.formula.parse import FormulaError

RATIO = (1 + 5**0.5) / 2  # irrational, so that no period of a function fits two steps at once
STEPS = tuple(0.1 / RATIO**k for k in range(24))  # from 0.1 down to about 2e-6
SETTLED = 1e-6  # how far, in proportion, two answers may lie apart for a limit to count as found


def limit(g: Callable[[float], float]) -> float:
    """What g(h) tends to as h → 0 from both sides.

    The mean of g(h) and g(−h) has an error of c·h² + d·h⁴ + …, of which Richardson's extrapolation takes away one term
    at a time; of all extrapolations the one that moved least is taken. Good to about 1e-11 where g is a difference
    quotient of a smooth function.

    Raises FormulaError if the two sides do not meet (|x| at 0), or if no two extrapolations agree (1/h²).

    >>> round(limit(lambda h: ((2 + h) ** 3 - 2**3) / h), 9)
    12.0
    """
    above, below = [g(h) for h in STEPS], [g(-h) for h in STEPS]
    pairs = list(zip(above, below, strict=True))
    value, error, scale = _extrapolate([(a + b) / 2 for a, b in pairs], 2, pairs)
    gap, gap_error, gap_scale = _extrapolate([(a - b) / 2 for a, b in pairs], 1, pairs)
    if not error <= SETTLED * scale:
        raise FormulaError(f"no limit found: it goes {_walk(above)} from above, {_walk(below)} from below")
    if not abs(gap) + gap_error <= SETTLED * gap_scale:
        raise FormulaError(f"no limit found: {value + gap:.4g} from above and {value - gap:.4g} from below do not meet")
    return value


def _extrapolate(values: list[float], order: int, pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    """The steadiest extrapolation to h = 0, how far it moved last, and how large g is there.

    `values` err by powers h^order, h^(2·order), … of their steps. The tableau is Neville's; choosing the entry that
    moved least is Ridders's way (1982, Advances in Engineering Software 4).
    """
    best = (values[0], np.inf, 1.0)
    row = [values[0]]
    for k in range(1, len(values)):
        before, row = row, [values[k]]
        scale = max(map(abs, pairs[k]))
        for j in range(1, k + 1):
            row.append(row[-1] + (row[-1] - before[j - 1]) / (RATIO ** (order * j) - 1))
            moved = max(abs(row[-1] - row[-2]), abs(row[-1] - before[j - 1]))
            if moved < best[1]:
                best = (row[-1], moved, scale)
    return best


def _walk(values: list[float]) -> str:
    return ", ".join(f"{values[k]:.3g}" for k in (0, len(values) // 2, -1))


def integral(f: Callable[[float], float], a: float, b: float) -> float:
    """The integral of f from a to b: the area under f, negative where f is.

    Each of 16, 32, 64, … equal pieces is summed by Gauss's rule of ten points, until two sums agree to a part in 10¹².
    A spike much thinner than a hundredth of the way may slip between the points: then cut the integral at the spike.

    Raises FormulaError if a bound is not finite, or if the sums do not settle.

    >>> round(integral(lambda x: x**2, 0, 3), 9)
    9.0
    """
    if not (np.isfinite(a) and np.isfinite(b)):
        raise FormulaError(f"an integral needs finite bounds, got {a} and {b}")
    before, _ = _gauss(f, a, b, 16)
    for pieces in (32, 64, 128, 256, 512, 1024):
        total, mass = _gauss(f, a, b, pieces)
        if abs(total - before) <= 1e-12 * mass:
            return total
        before = total
    raise FormulaError(f"no integral found from {a} to {b}: {pieces} pieces give {total:.6g}, and it does not settle")


def _gauss(f: Callable[[float], float], a: float, b: float, pieces: int) -> tuple[float, float]:
    """Gauss's rule on equal pieces: the sum, and that of absolute values, which says how much round-off to expect."""
    half = (b - a) / pieces / 2
    places, weights = _gauss_rule()
    middles = (a + (2 * k + 1) * half for k in range(pieces))
    terms = [f(middle + half * x) * half * w for middle in middles for x, w in zip(places, weights, strict=True)]
    return sum(terms), sum(map(abs, terms))


@cache
def _gauss_rule() -> tuple[list[float], list[float]]:
    places, weights = np.polynomial.legendre.leggauss(10)
    return places.tolist(), weights.tolist()
