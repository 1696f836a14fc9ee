"""When a gradient check proves nothing: the point stands on a kink, or the function drops imaginary parts.

At a kink a derivative is a convention: the complex step silently takes one side, a difference quotient the mean of
both. And a function that drops imaginary parts shows the complex step a derivative of 0, which a forgotten gradient
equals. Both would pass or fail for no reason, so both are looked for, and told.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tinycnn.verify.differences import complex_step, directional
from tinycnn.verify.kinks import SIGNIFICANT, Glance, Kink, find_kink, glance, rounding_near
from tinycnn.verify.places import REAL_ONLY, Array, Asking, Function, Place

KINKS_TOLD = 3  # of one array
ASIDE = 1e-2  # how far a kink is left behind
KINKS_TRIED = 8  # of the places that failed, before the rest are taken to stand on kinks too


def doubts_about(
    f: Function, x: Array, looked: Place, places: list[Place], scale: float, by_complex: bool, name: str
) -> tuple[list[Kink], str]:
    """The kinks at x itself, and why the complex step would prove nothing; all seen along one direction first."""
    v = looked.along(x)
    look = glance(f, x, v)
    seen = _kink_at(f, x, v, scale, look)
    if seen is None:
        return [], _deaf(f, x, looked, places, scale, look) if by_complex else ""
    doubt = _deaf_beside(f, x, v, looked.where, scale) if by_complex else ""
    kinks = []
    for place in [p for p in places if p.v is None]:
        kink = _kink_at(f, x, place.along(x), scale)
        if kink:
            kinks.append(_at_entry(kink, x, place, name))
        if len(kinks) == KINKS_TOLD:
            break
    return kinks or [replace(seen, array=name, place=looked.where)], doubt


def _kink_at(f: Function, x: Array, v: Array, scale: float, look: Glance | None = None) -> Kink | None:
    """The kink at x itself: a cheap look, and a careful one where that is suspicious."""
    if not (look or glance(f, x, v)).bends(scale):
        return None
    kink = find_kink(f, x, v)
    return kink if kink and not kink.distance else None


def _at_entry(kink: Kink, x: Array, place: Place, name: str) -> Kink:
    value = round(float(x.flat[place.flat]) + kink.distance, 8) if place.v is None else None
    return replace(kink, array=name, place=place.where, at=value)


def _deaf(f: Function, x: Array, looked: Place, places: list[Place], scale: float, look: Glance) -> str:
    """Whether f drops imaginary parts: the complex step is held to a difference quotient, at one place or two.

    Once along a random direction, and once along those entries alone where the complex step found exactly nothing.
    """
    if words := _unheard(f, x, looked.along(x), looked.witness, scale, looked.where, look):
        return words
    silent = [p.flat for p in places if p.v is None and p.witness == 0]
    if not silent:
        return ""
    v = np.zeros(x.shape)
    v.flat[silent] = np.random.default_rng(len(silent)).normal(size=len(silent))
    return _unheard(f, x, v, 0.0, 0.0, f"{len(silent)} entries", glance(f, x, v))


def _deaf_beside(f: Function, x: Array, v: Array, where: str, scale: float) -> str:
    """Whether f drops imaginary parts, asked a little beside a kink, where both sides have the same slope."""
    beside = x + ASIDE * np.maximum(1, np.abs(x)) * np.random.default_rng(x.size).normal(size=x.shape)
    try:
        with np.errstate(all="ignore"):
            return _unheard(f, beside, v, complex_step(f, beside, v), scale, where, glance(f, beside, v))
    except (ValueError, ArithmeticError):  # beside the point may be outside the domain of f
        return ""


def _unheard(f: Function, x: Array, v: Array, found: float, scale: float, where: str, look: Glance) -> str:
    if not abs(look.slope - found) > 10 * look.rounding + SIGNIFICANT * scale:
        return ""
    try:
        careful = directional(f, x, v, "richardson")
    except ArithmeticError:
        return ""
    apart, noise = abs(careful.value - found), rounding_near(f, x, v) / careful.step
    same = abs(careful.value - look.slope) < 0.1 * apart  # two quotients, of steps far apart, say the same
    if not (same and apart > 10 * max(careful.uncertainty, noise) + SIGNIFICANT * scale) or find_kink(f, x, v):
        return ""
    return _deafness(found, careful.value, where)


def _deafness(found: float, quotient: float, where: str) -> str:
    return (
        f"f drops imaginary parts on its way, so the complex step cannot hear it: along {where} it finds {found:.6g} "
        f"where a difference quotient finds {quotient:.6g}. Look for abs, np.var, .real or a cast to real numbers; or "
        f"{REAL_ONLY}"
    )


def without_kinks(
    f: Function, x: Array, failed: list[Place], asking: Asking, name: str
) -> tuple[list[Place], list[Kink]]:
    """Of the places that failed those that no kink excuses, and the kinks. The complex step minds only those at x."""
    kinks: list[Kink] = []
    for count, place in enumerate(failed):
        v = place.along(x)
        kink = None
        if math.isfinite(place.said):
            kink = _kink_at(f, x, v, 0.0) if asking.method == "complex" else find_kink(f, x, v)
        if kink is None:
            return failed[count:] if place.v is None or not kinks else [], kinks
        kinks.append(_at_entry(kink, x, place, name))
        if len(kinks) == KINKS_TRIED:
            break
    return [], kinks
