"""The speed ladder: one convolution, four times over, from the formula walked in Python to the register tile.

    loops   the formula, one multiplication after the other, in Python
    numpy   the same sums as one matrix product: im2col
    njit    the very loops of the first rung, compiled to machine code
    numba   the register tile, on all cores

Nothing but the time changes: each rung's result is held to that of the rung below it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tinycnn import backends
from tinycnn.bench.inputs import step_times
from tinycnn.bench.rows import Row, row
from tinycnn.bench.talk import Child

RUNGS = {
    "loops": "the formula, walked in Python",
    "numpy": "im2col and a matrix product",
    "njit": "the loops again, compiled",
    "numba": "the register tile; from 16 channels on, 16 multiplications for 36",
}
SMALL, LARGE = (2, 8, 16, 16), (16, 32, 32, 32)  # x; as many filters of 3×3 as channels, padding 1
SAME = 1e-4  # of the largest result: float32, in sums of different order
MANY = 10**7  # multiplications, with which Python's loops would take too long


@dataclass(frozen=True)
class Step:
    """One rung's time for one convolution: `shape` of x, `macs` multiply-adds, `ms` and what `worst` it differs by."""

    rung: str
    shape: tuple[int, ...]
    macs: int
    ms: float
    worst: float
    times: float  # how many times faster than the first rung that was tried on this convolution

    def as_row(self) -> Row:
        """As the benchmark keeps it: kind "ladder", and in `case` the shape."""
        case = f"ladder-{'x'.join(map(str, self.shape))}"
        return row(case, self.rung, "ladder", tinycnn_ms=self.ms, gflops=2 * self.macs / self.ms / 1e6, size=self.macs,
                   check=[self.worst])  # fmt: skip


def ladder(
    shapes: Sequence[tuple[int, int, int, int]] = (SMALL, LARGE), seconds: float = 0.5,
    now: Callable[[str], None] = lambda what: None,
) -> list[Step]:  # fmt: skip
    """Climb: the time of each rung for these convolutions; Python's loops only where they end soon.

    `shapes` are those of x (N, C, H, W); each meets C filters of 3×3 with padding 1. `now` is told what comes next.
    Raises ArithmeticError if a rung's result is another one.

    >>> [step.rung for step in ladder([(1, 2, 5, 5)], seconds=0)]
    ['loops', 'numpy', 'njit', 'numba']
    """
    return [step for shape in shapes for step in _climb(shape, seconds, now)]


def _climb(shape: tuple[int, int, int, int], seconds: float, now: Callable[[str], None]) -> list[Step]:
    N, C, H, W = shape
    rng, macs = np.random.default_rng(0), N * C * H * W * C * 9
    x, w, b = rng.random(shape, np.float32), rng.standard_normal((C, C, 3, 3), np.float32), np.zeros(C, np.float32)
    steps: list[Step] = []
    before = None
    for rung in RUNGS if macs < MANY else [r for r in RUNGS if r != "loops"]:
        now(f"{rung} {'×'.join(map(str, shape))}")
        with backends.backend(rung) as serve:
            forward = serve("conv2d_forward")
            y = forward(x, w, b, padding=1)[0]
            times = step_times(lambda: forward(x, w, b, padding=1), seconds)  # noqa: B023, called at once
            ms = 1000 * statistics.median(times)
        before = y if before is None else before
        worst = float(abs(y - before).max() / abs(before).max())
        if not worst <= SAME:
            raise ArithmeticError(f"the rung {rung} differs from the one below it by {worst:.1e} of the largest result")
        steps.append(Step(rung, shape, macs, ms, worst, steps[0].ms / ms if steps else 1.0))
        before = y
    return steps


def measure(
    threads: int, machine: str, quick: bool = False, now: Callable[[str], None] = lambda what: None
) -> list[Row]:
    """The ladder as rows, from a process of its own with so many threads; `now` is told which shape comes next."""
    found: list[Row] = []
    shapes, seconds = ((SMALL,), 0.05) if quick else ((SMALL, LARGE), 0.5)
    with Child("ours", threads) as child:
        for shape in shapes:
            now(f"the ladder for {'×'.join(map(str, shape))}")
            found += child.ask("call", 10.0, module="rungs", function="climbed", shape=shape, seconds_each=seconds)
    return [r | {"threads": threads, "machine": machine} for r in found]


def climbed(shape: Sequence[int], seconds_each: float) -> list[Row]:
    """Rows for one shape, in this process."""
    N, C, H, W = shape
    return [step.as_row() for step in ladder([(N, C, H, W)], seconds_each)]


def steps_in(rows: Sequence[Row]) -> list[Step]:
    """The steps that are among these rows."""
    found: list[Step] = []
    first: dict[str, float] = {}
    for r in (r for r in rows if r["kind"] == "ladder"):
        shape = tuple(map(int, r["case"].removeprefix("ladder-").split("x")))
        times = first.setdefault(r["case"], r["tinycnn_ms"]) / r["tinycnn_ms"]
        found.append(Step(r["backend"], shape, r["size"], r["tinycnn_ms"], r["check"][0], times))
    return found


def faster(step: Step) -> str:
    """How many times faster than the first rung, in words."""
    if step.times == 1.0:
        return "1"
    return format(step.times, ",.0f" if step.times >= 100 else ".1f" if step.times >= 1 else ".2g")


def as_text(steps: Sequence[Step]) -> str:
    """The ladder as a table.

    >>> shape = (1, 1, 4, 4)
    >>> print(as_text([Step("loops", shape, 144, 2.0, 0.0, 1.0), Step("numpy", shape, 144, 0.5, 0.0, 4.0)]))
    x 1×1×4×4, 1 filters of 3×3: 144 multiplications
      rung          ms     times faster    GFLOP/s   how
      loops     2.0000                1    0.00014   the formula, walked in Python
      numpy     0.5000              4.0    0.00058   im2col and a matrix product
    """
    lines: list[str] = []
    shape: tuple[int, ...] = ()
    for step in steps:
        if step.shape != shape:
            shape = step.shape
            size = "×".join(map(str, shape))
            lines += [*([""] if lines else []), f"x {size}, {shape[1]} filters of 3×3: {step.macs:,} multiplications"]
            lines.append("  rung          ms     times faster    GFLOP/s   how")
        speed = 2 * step.macs / step.ms / 1e6
        gflops = f"{speed:.0f}" if speed >= 10 else f"{speed:.2g}"
        ms = f"{step.ms:,.1f}" if step.ms >= 10 else f"{step.ms:.4f}"
        lines.append(f"  {step.rung:6} {ms:>9} {faster(step):>16} {gflops:>10}   {RUNGS[step.rung]}")
    return "\n".join(lines)
