"""What both sides of a case share: the same arrays, the same way to tell two results apart, the same way to time."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray

LOSSES = 4  # first steps, whose losses are compared; they are the warm-up as well
# Adam moves every weight by the rate, however small its gradient: article003, with 86,528 inputs to a dense layer,
# answers a rate of 1e-3 with a loss of 100, from where two sides that round differently part for good. At 1e-5 the
# losses of all networks fall, so that how far they do can be held to 1 %, and no luck is in it.
RATE = 1e-5
SLOW_RATE = 1e-7  # while it is timed: a thousand steps on one batch would otherwise end in losses of 0
SAME_LOSS = 1e-5  # of the first loss
SAME_FALL = 1e-2  # of the way that the losses go from there
SAME_GRADIENT = 1e-2  # rounding tips a ReLU or a pool over here and there: article003's are right to 2e-3 on both
SAME_RESULT = 1e-3  # of an op: float32, in sums of different order
PIECE = 100_003  # numbers of a result that its fingerprint looks at together
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
    y = np.ascontiguousarray(y).ravel()
    pattern = np.sin(np.arange(min(y.size, PIECE)) + 1.0)
    squares = total = 0.0
    for begin in range(0, y.size, PIECE):  # piece by piece: the memory of a case is measured as well
        piece = y[begin : begin + PIECE].astype(np.float64)
        squares, total = squares + float(piece @ piece), total + float(piece @ pattern[: len(piece)])
    return [float(y.size), math.sqrt(squares), total / max(1.0, math.sqrt(y.size))]


def fingerprints(gradients: Iterable[Any]) -> list[float]:
    """Those of every gradient of the first step, one after the other, which stand behind the losses.

    Adam would move the weights as far with a gradient that is wrong by a factor: the losses alone would not show it.
    """
    return [number for dw in gradients for number in fingerprint(dw)]


def same(kind: str, ours: list[float], theirs: list[float]) -> bool:
    """Whether two sides did the same mathematics, by their first losses and the fingerprints behind them."""
    if len(ours) != len(theirs) or not np.isfinite([ours, theirs]).all():
        return False
    start, within = (LOSSES, SAME_GRADIENT) if kind == "train" else (0, SAME_RESULT)
    if start and not _same_losses(np.array(ours[:start]), np.array(theirs[:start])):
        return False
    return all(_same_result(ours[k : k + 3], theirs[k : k + 3], within) for k in range(start, len(ours), 3))


def _same_losses(a: Array, b: Array) -> bool:
    fall, wanted = a - a[0], b - b[0]
    rounding = SAME_LOSS * abs(b[0])
    return bool(abs(fall - wanted).max() <= SAME_FALL * abs(wanted).max() + rounding and abs(a[0] - b[0]) <= rounding)


def _same_result(ours: Sequence[float], theirs: Sequence[float], within: float) -> bool:
    (size, length, pattern), (expected_size, expected, wanted) = ours, theirs
    typical = expected / math.sqrt(max(expected_size, 1.0))  # of one number of the result
    close = abs(length - expected) <= within * expected and abs(pattern - wanted) <= within * typical
    return size == expected_size and close


def clock() -> float:
    """Seconds on the wall; where the process has one thread to work with, those that it worked.

    A core that others use as well is then no matter: what they take of it does not count, on either side.
    """
    return time.process_time() if os.environ.get("OMP_NUM_THREADS") == "1" else time.perf_counter()


def step_times(call: Callable[[], Any], seconds: float) -> list[float]:
    """Call again and again for so long, at least once; the seconds of each."""
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while not times or (time.perf_counter() < ends and len(times) < MOST):
        begun = clock()
        call()
        times.append(clock() - begun)
    return times
