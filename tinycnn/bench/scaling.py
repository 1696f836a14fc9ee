"""How time grows with size: twice the batch, the side of the image, or the channels, and how often as long?

A convolution of C channels to C costs N·H·W·C²·9 multiplications, so that on a log-log plot its time is a line of
slope 1 in the batch, 2 in the side and 2 in the channels, as soon as the arithmetic is what takes the time. A smaller
slope is something fixed that is paid for at every size; a larger one is memory that no longer fits the caches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinycnn.bench.cases import Case
from tinycnn.bench.rows import Row
from tinycnn.bench.turns import measure

SWEEPS: dict[str, tuple[int, Sequence[int]]] = {  # what theory says of the slope, and the sizes
    "batch": (1, (1, 2, 4, 8, 16, 32, 64)),
    "side": (2, (4, 8, 16, 32, 64, 128)),
    "channels": (2, (4, 8, 16, 32, 64, 128)),
}
BATCH, SIDE, CHANNELS = 8, 32, 32
QUICK = 3  # sizes of each, if there is little time


def sizes_of(quick: bool) -> int:
    """How many sizes of all sweeps are measured."""
    return sum(len(sizes[: QUICK if quick else None]) for _, sizes in SWEEPS.values())


def cases(sweep: str) -> list[tuple[int, Case]]:
    """The sizes of a sweep, and for each a network of three convolutions."""
    found = []
    for size in SWEEPS[sweep][1]:
        at = {"batch": BATCH, "side": SIDE, "channels": CHANNELS} | {sweep: size}
        options = {"input_shape": (at["channels"], at["side"], at["side"])}
        given = {"net": "plain_convs", "batch": at["batch"], "options": options}
        found.append((size, Case(f"scaling-{sweep}-{size}", "network", ("train",), given, rungs=())))
    return found


def scaling(
    seconds: float, threads: int, machine: str, now: Callable[[str], None] = lambda what: None,
    torch: bool | None = None, quick: bool = False,
) -> list[Row]:  # fmt: skip
    """Rows of every size of every sweep; kind "scaling", and `case` the sweep."""
    rows = []
    for sweep in SWEEPS:
        sizes = cases(sweep)[: QUICK if quick else None]
        found = measure([case for _, case in sizes], seconds, threads, machine, torch, memory=False, now=now)
        rows += [r | {"case": sweep, "kind": "scaling", "size": s} for (s, _), r in zip(sizes, found, strict=True)]
    return rows


def slope(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The slope of log(time) against log(size), over the larger half of the sizes.

    >>> round(slope([1, 2, 4, 8], [5, 6, 12, 48]), 2)
    2.0
    """
    half = len(sizes) // 2 if len(sizes) > 2 else 0
    return float(np.polyfit(np.log(sizes[half:]), np.log(times[half:]), 1)[0])
