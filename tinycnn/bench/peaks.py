"""The machine's peak: how fast the best matrix product that is at hand runs, which no convolution can beat.

Asked are NumPy's OpenBLAS, with each set of kernels that this CPU could run (it does not always choose the best),
tinycnn's own register tile, and PyTorch. That says which library is best; but how fast a machine is changes from minute
to minute, with its warmth and with what else it does. So the best OpenBLAS (where that was not asked for: the one that
it chooses by itself) and PyTorch then take turns with every case, and the faster of the two in those turns counts as
100 % of that case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from tinycnn.bench.cases import Case
from tinycnn.bench.inputs import step_times
from tinycnn.bench.machine import version_of
from tinycnn.bench.rows import Row, row
from tinycnn.bench.talk import Child, ChildError, settle

SIDE = 1536  # of the square matrices
SECONDS = 0.6
TURN_SIDE, TURN_SECONDS = 768, 0.02  # of a turn between those of a case
AT_LEAST = 3  # products, whose fastest counts
CORE_TYPES = ("", "Haswell", "Zen", "SkylakeX", "Cooperlake", "Sapphirerapids")  # "": what OpenBLAS chooses by itself
NEED_AVX512 = CORE_TYPES[3:]


@dataclass(frozen=True)
class Product:
    """A library whose matrix product is measured, and the process that it needs."""

    name: str
    side: str
    library: str
    environment: Mapping[str, str] = field(default_factory=dict)


def products(machine: str, torch: bool | None = None) -> list[Product]:
    """All that this machine can be asked for; PyTorch if it is installed, unless `torch` is False."""
    quiet = {"OPENBLAS_THREAD_TIMEOUT": "4"}  # its threads do not look for work while it is others' turn
    found = [
        Product(f"OpenBLAS {core or '(its choice)'}", "ours", "openblas",
                quiet | ({"OPENBLAS_CORETYPE": core} if core else {}))
        for core in CORE_TYPES if core not in NEED_AVX512 or "AVX512" in machine
    ]  # fmt: skip
    found.append(Product("tinycnn's tile", "ours", "tile"))
    return [*found, Product("PyTorch", "theirs", "torch")] if torch is not False and version_of("torch") else found


def peaks(
    threads: int, machine: str, now: Callable[[str], None] = lambda what: None, torch: bool | None = None
) -> list[Row]:
    """A row for each library, with the GFLOP/s of its matrix product; kind "peak"."""
    rows = []
    for product in products(machine, torch):
        now(f"peak of {product.name}")
        try:
            with Child(product.side, threads, product.environment) as child:
                found = child.ask("call", SECONDS, module="peaks", function="speed_of", library=product.library)
            known: dict[str, Any] = {"gflops": found}
        except ChildError as error:
            known = {"error": str(error)}
        rows.append(row(f"matmul-{SIDE}", product.name, "peak", threads=threads, machine=machine, **known))
    return rows


class Peak:
    """The best libraries, each in a process of its own, ready to take turns with a case."""

    def __init__(self, asked: Sequence[tuple[Product, Child]]):
        self._asked = asked
        self.children = [child for _, child in asked]

    def turn(self) -> float | None:
        """GFLOP/s of the faster one, now; None if there is none."""
        given: dict[str, Any] = {"function": "speed_of", "side": TURN_SIDE, "seconds_each": TURN_SECONDS}
        speeds = []
        for product, child in self._asked:
            settle(self.children)
            speeds.append(child.ask("call", module="peaks", library=product.library, **given))
        return max(speeds, default=None)


@contextmanager
def in_turns(
    cases: Sequence[Case], rows: Sequence[Row], threads: int, machine: str, torch: bool | None = None
) -> Iterator[Peak]:
    """The best OpenBLAS and PyTorch among the rows of `peaks`; without rows, what OpenBLAS chooses by itself.

    Where the arithmetic of no case is counted, there is nothing to ask, and no process is begun.
    """
    speeds = {r["backend"]: r["gflops"] for r in rows if r["gflops"]}
    best: dict[str, Product] = {}
    for product in products(machine, torch):
        known = best.get(product.library)
        if known is None or speeds.get(product.name, 0.0) > speeds.get(known.name, 0.0):
            best[product.library] = product
    asked = [one for one in best.values() if one.library != "tile"] if any(case.counted for case in cases) else []
    with ExitStack() as stack:
        yield Peak([(one, stack.enter_context(Child(one.side, threads, one.environment))) for one in asked])


def speed_of(library: str, side: int = SIDE, seconds_each: float = SECONDS) -> float:
    """GFLOP/s of a library's square matrix product in this process, of its best call: a peak is what can be reached."""
    call = _product(library, side)
    call()
    times = step_times(call, seconds_each)
    while len(times) < AT_LEAST:
        times += step_times(call, 0.0)
    return 2 * side**3 / min(times) / 1e9


@cache  # the matrices lie ready from turn to turn
def _product(library: str, side: int) -> Callable[[], Any]:
    a = np.random.default_rng(0).standard_normal((side, side), np.float32)
    if library == "openblas":
        out = np.empty_like(a)
        return lambda: np.matmul(a, a, out=out)
    if library == "tile":  # a 1×1 convolution is a matrix product, and the tile's shortest way
        from tinycnn.kernels import conv2d_forward

        x, w = a.reshape(1, side, 32, side // 32), a.reshape(side, side, 1, 1)
        return lambda: conv2d_forward(x, w, None)
    import torch

    b = torch.from_numpy(a)
    made = torch.empty_like(b)
    return lambda: torch.mm(b, b, out=made)

