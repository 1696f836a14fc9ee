"""What both sides of a case share: the same arrays, the same way to tell two results apart, the same way to time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray

LOSSES = 4  # first steps, whose losses are compared; they are the warm-up as well
RATE = 1e-3  # of Adam in those
SLOW_RATE = 1e-7  # while it is timed: a thousand steps on one batch would otherwise end in losses of 0
SAME_FIRST, SAME_LATER = 1e-4, 1e-2  # Adam divides by a gradient's size: it magnifies what rounding does to small ones
SAME_RESULT = 1e-3  # of an op: float32, in sums of different order
MOST = 2000  # times that one turn hands back


def arrays_for(case: dict[str, Any]) -> dict[str, Array]:
    """The arrays of an op: x, what goes with it, and an upstream gradient that is as long as any output of it."""
    rng, o = np.random.default_rng(3), case["options"]
    shape = tuple(o["x"]) if "x" in o else (o["size"],)
    a: dict[str, Array] = {"x": rng.standard_normal(shape, np.float32)}
    if "w" in o:
        w = tuple(o["w"])
        a["w"] = rng.standard_normal(w, np.float32) / np.float32(math.sqrt(math.prod(w[1:])))
        a["b"] = rng.standard_normal(w[0], np.float32)
    if case["what"] == "batch_norm":
        a["gamma"], a["beta"] = rng.standard_normal((2, shape[1]), np.float32)
    if case["what"] == "cross_entropy":
        a["t"] = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    else:
        a["dy"] = rng.standard_normal(_outputs(case, shape), np.float32)
    return a


def _outputs(case: dict[str, Any], shape: tuple[int, ...]) -> int:
    """How many numbers an op gives."""
    o, what = case["options"], case["what"]
    if what == "conv":
        sides = [(n + 2 * o["padding"] - k) // o["stride"] + 1 for n, k in zip(shape[2:], o["w"][2:], strict=True)]
        return shape[0] * o["w"][0] * math.prod(sides)
    if what == "dense":
        return shape[0] * o["w"][0]
    size = math.prod(shape)
    return {"max_pool": size // 4, "avg_pool": size // 4}.get(what, size * 4 if what.startswith("upsample") else size)


def fingerprint(y: Any) -> list[float]:
    """Three numbers that another result would hardly share: its size, its length, and its sum under an odd pattern.

    >>> [round(number, 3) for number in fingerprint([3.0, 4.0])]
    [2.0, 5.0, 4.357]
    """
    y = np.ascontiguousarray(y, np.float64).ravel()
    pattern = np.sin(np.arange(min(y.size, 100_003)) + 1.0)
    pattern = np.resize(pattern, y.size)
    return [float(y.size), float(np.sqrt(y @ y)), float(y @ pattern / max(1.0, math.sqrt(y.size)))]


def same(kind: str, ours: list[float], theirs: list[float]) -> bool:
    """Whether two sides did the same mathematics, by their first losses or the fingerprints of their results."""
    a, b = np.array(ours), np.array(theirs)
    if len(a) != len(b) or not np.isfinite([a, b]).all():
        return False
    if kind == "train":
        off = abs(a - b) / abs(b)
        return bool(off[0] <= SAME_FIRST and (off <= SAME_LATER).all())
    (size, length, pattern), (expected_size, expected, wanted) = ours, theirs
    typical = expected / math.sqrt(max(expected_size, 1.0))  # of one number of the result
    close = abs(length - expected) <= SAME_RESULT * expected and abs(pattern - wanted) <= SAME_RESULT * typical
    return size == expected_size and close


def step_times(call: Callable[[], Any], seconds: float) -> list[float]:
    """Call again and again for so long, at least once; the seconds of each."""
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while not times or (time.perf_counter() < ends and len(times) < MOST):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return times
