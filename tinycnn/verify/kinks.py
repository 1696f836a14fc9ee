"""A kink is a point where a function bends at once, a jump one where it breaks; neither has a derivative there.

The fourth difference, over h, tells them apart as h shrinks. Where f is smooth, however strongly it curves, it falls
like h³; at a kink it stays what it is, twice the change of slope; at a jump it grows like 1/h. So the search zooms in
on where it is largest, and looks at how it changed on the way down to the rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from tinycnn.verify.differences import EPS, Array, reach

RADIUS = 1e-4  # how far from x a kink is looked for
FINEST = 1e-9  # the smallest step of the zoom
SLOPE_STEP = 1e-5  # of the slopes beside a kink
OCTAVES = 6  # halvings over which smooth, kink and jump are told apart: 2^18 times smaller, the same, 64 times larger
SMALLEST = 1e-290  # what is less is rounded as a denormal number
ABOVE_NOISE = 300.0  # five fourth differences of pure rounding come to some 40 times it
SIGNIFICANT = 1e-6  # a change of slope less than this part of the slopes is none

Line = Callable[[float], float]
Zoom = list[tuple[float, float, float]]  # where, the spacing, the fourth differences there


@dataclass(frozen=True)
class Kink:
    """Where f has no derivative: a change of slope from `left` to `right`, or a jump in value by `jump`.

    `place` is the entry of `array` or the direction that was walked, `distance` how far along it the kink is from the
    point that was checked, and `at` the entry's value there.
    """

    kind: str
    distance: float
    left: float
    right: float
    jump: float = 0.0
    array: str = "x"
    place: str = ""
    at: float | None = None

    def __str__(self) -> str:
        entry = self.at is not None
        where = f"at {self.array}{self.place} = {self.at:.6g}" if entry else f"in {self.array} along {self.place}"
        if self.distance:
            where += f", {abs(self.distance):.1e} from the point checked"
        if self.kind == "jump":
            return (
                f"f jumps {where}, by {self.jump:.3g}: it has no derivative there. A cast to integers or float32, or a "
                f"comparison, makes such steps."
            )
        return (
            f"f has a kink {where}: its slope is {self.left:.6g} on the left and {self.right:.6g} on the right; a "
            f"difference quotient gives their mean. Check the convention (such as relu'(0) = 0) on its own, or move "
            f"the point."
        )

    def as_dict(self) -> dict[str, Any]:
        """The kink for JSON, its words among it."""
        return asdict(self) | {"said": str(self)}


def find_kink(f: Callable[[Array], Any], x: Array, v: Array, radius: float = RADIUS) -> Kink | None:
    """The kink or jump of a scalar function within `radius` of x along v; None where it is smooth.

    The radius is stretched as every step is: by max(1, |x|), over the largest entry of v.

    >>> relu = lambda x: np.maximum(x, 0.0).sum()
    >>> found = find_kink(relu, np.array([0.0, 2.0]), np.array([1.0, 0.0]))
    >>> found.kind, round(found.left, 6), round(found.right, 6)
    ('kink', 0.0, 1.0)
    >>> find_kink(lambda x: np.tanh(1000 * x).sum(), np.array([0.0]), np.array([1.0])) is None
    True
    """
    if not np.any(v):
        return None
    scale = reach(x, v)

    @cache
    def line(t: float) -> float:
        return float(f(x + t * v))

    with np.errstate(all="ignore"):
        start = radius * scale
        noise = ABOVE_NOISE * _noise(line, start, scale)
        for zoom, spread in ((_zoom(line, start, scale), 2.5), (_stay(line, start, scale), 1.1)):
            seen = _above(zoom, noise)
            kind = _kind(seen, spread)
            if kind:
                return _measured(line, kind, seen[-1], scale)
    return None


@dataclass(frozen=True)
class Glance:
    """A cheap look around x: the slope, its rounding, and the change of slope seen with two steps."""

    slope: float
    rounding: float
    wide: float
    close: float

    def bends(self, scale: float) -> bool:
        """Whether `find_kink` is worth its price: where f is smooth, `close` is 16 times smaller than `wide`."""
        return self.close > 0.5 * self.wide and self.close > SIGNIFICANT * scale


def glance(f: Callable[[Array], Any], x: Array, v: Array) -> Glance:
    """Look around x along v, with five values of f.

    >>> glance(lambda x: np.abs(x).sum(), np.array([0.0]), np.array([1.0])).bends(1.0)
    True
    """
    with np.errstate(all="ignore"):
        h = SLOPE_STEP * reach(x, v)
        middle, wide, close = float(f(x)), *((float(f(x + t * v)), float(f(x - t * v))) for t in (h, h / 16))
        changes = [abs(above - 2 * middle + below) / t for t, (above, below) in ((h, wide), (h / 16, close))]
    rounding = EPS * max(map(abs, close)) * 16 / h
    return Glance((close[0] - close[1]) * 8 / h, rounding, changes[0], changes[1])


def rounding_near(f: Callable[[Array], Any], x: Array, v: Array) -> float:
    """How much rounding there is in f around x, measured along v: it may be far more than that of the result alone.

    >>> f = lambda x: (1e6 + x).sum() - 1e6
    >>> 1e-12 < rounding_near(f, np.array([0.3]), np.array([1.0])) < 1e-9
    True
    """
    scale = reach(x, v)
    with np.errstate(all="ignore"):
        return _noise(lambda t: float(f(x + t * v)), RADIUS * scale, scale)


def _noise(line: Line, radius: float, scale: float) -> float:
    """How much rounding there is in f: how far the middle of three near points is, usually, from the other two's line.

    The triples are apart, so that a kink touches but one or two of twelve, and uneven, as even steps may hide rounding.
    """
    rng = np.random.default_rng(0)
    off, largest = [], 0.0
    for start in np.linspace(-2, 2, 12):
        a, b, c = start * radius + np.cumsum(rng.uniform(0.3e-8, 1e-8, 3)) * scale
        fa, fb, fc = line(a), line(b), line(c)
        off.append(abs(fb - fa - (fc - fa) * (b - a) / (c - a)))
        largest = max(largest, abs(fb))
    finite = [o for o in off if math.isfinite(o)] or [0.0]
    least = EPS * largest if math.isfinite(largest) else 0.0
    return max(float(np.quantile(finite, 0.8, method="lower")), least, SMALLEST)


def _fourth(line: Line, t: float, h: float) -> float:
    found = abs(line(t + 2 * h) - 4 * line(t + h) + 6 * line(t) - 4 * line(t - h) + line(t - 2 * h))
    return found if math.isfinite(found) else 0.0


def _zoom(line: Line, h: float, scale: float) -> Zoom:
    """Halve the spacing and go to the largest fourth difference, again and again."""
    centre, found = 0.0, []
    while h > FINEST * scale:
        sizes = {t: _fourth(line, t, h) for t in (centre + k * h for k in (0, -1, 1, -2, 2))}  # of equals the middle
        centre = max(sizes, key=lambda t: sizes[t])
        found.append((centre, h, sum(sizes.values())))
        h /= 2
    return found


def _stay(line: Line, h: float, scale: float) -> Zoom:
    """Halve the spacing and stay at the point: a small kink there that a strong curve beside it would hide."""
    found = []
    while h > FINEST * scale:
        found.append((0.0, h, _fourth(line, 0.0, h)))
        h /= 2
    return found


def _above(zoom: Zoom, noise: float) -> Zoom:
    """The levels before the rounding drowns it."""
    for count, (_, _, fourth) in enumerate(zoom):
        if not fourth > noise:
            return zoom[:count]
    return zoom


def _kind(seen: Zoom, spread: float) -> str:
    """A kink if the differences over h stay the same over the last octaves, within `spread`; a jump if they do."""
    if len(seen) <= OCTAVES:
        return ""
    jumps = np.array([fourth for _, _, fourth in seen[-1 - OCTAVES :]])
    slopes = jumps / [h for _, h, _ in seen[-1 - OCTAVES :]]
    return "kink" if slopes.max() < spread * slopes.min() else "jump" if jumps.max() < spread * jumps.min() else ""


def _measured(line: Line, kind: str, last: tuple[float, float, float], scale: float) -> Kink | None:
    """The slopes on both sides of where the zoom ended."""
    centre, h, _ = last
    H = SLOPE_STEP * scale

    def slope(side: int) -> float:
        near, middle, far = (line(centre + side * (2 * h + k * H)) for k in range(3))
        curve = (near - 2 * middle + far) / H**2  # takes the slope back from the first point to the kink
        return side * ((4 * middle - 3 * near - far) / (2 * H) - 2 * h * curve)

    slopes = slope(-1), slope(1)
    least = 1e-7 * max(map(abs, slopes))  # less than that is rounding, told as 0
    left, right = (s if abs(s) > least else 0.0 for s in slopes)
    distance = 0.0 if abs(centre) <= 2 * h else centre
    if kind == "jump":
        return Kink(kind, distance, left, right, line(centre + 2 * h) - line(centre - 2 * h))
    if not abs(right - left) > SIGNIFICANT * max(abs(left), abs(right)):
        return None
    return Kink(kind, distance, left, right)
