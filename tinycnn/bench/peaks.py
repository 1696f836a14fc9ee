"""The machine's peak: how fast the best matrix product that is at hand runs, which no convolution can beat.

Asked are NumPy's OpenBLAS, with each set of kernels that this CPU could run (it does not always choose the best),
tinycnn's own register tile, and PyTorch. That says which library is best; but how fast a machine is changes from minute
to minute, with its warmth and with what else it does. So the best OpenBLAS and PyTorch then take turns with every case,
and the faster of the two in those turns counts as 100 % of that case.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from tinycnn.bench.machine import version_of
from tinycnn.bench.rows import Row, row
from tinycnn.bench.talk import Child, ChildError

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


def products(machine: str) -> list[Product]:
    """All that this machine can be asked for."""
    quiet = {"OPENBLAS_THREAD_TIMEOUT": "4"}  # its threads do not look for work while it is others' turn
    found = [
        Product(f"OpenBLAS {core or '(its choice)'}", "ours", "openblas",
                quiet | ({"OPENBLAS_CORETYPE": core} if core else {}))
        for core in CORE_TYPES if core not in NEED_AVX512 or "AVX512" in machine
    ]  # fmt: skip
    found.append(Product("tinycnn's tile", "ours", "tile"))
    return [*found, Product("PyTorch", "theirs", "torch")] if version_of("torch") else found


def peaks(threads: int, machine: str, now: Callable[[str], None] = lambda what: None) -> list[Row]:
    """A row for each library, with the GFLOP/s of its matrix product; kind "peak"."""
    rows = []
    for product in products(machine):
        now(f"peak of {product.name}")
        try:
            with Child(product.side, threads, product.environment) as child:
                found = child.ask("call", SECONDS, module="peaks", function="speed_of", library=product.library)
            known: dict[str, Any] = {"gflops": found}
        except ChildError as error:
            known = {"error": str(error)}
        rows.append(row(f"matmul-{SIDE}", product.name, "peak", machine=machine, **known))
    return rows


class Peak:
    """The best libraries, each in a process of its own, ready to take turns with a case."""

    def __init__(self, children: Sequence[tuple[Product, Child]]):
        self._children = children

    def turn(self) -> float | None:
        """GFLOP/s of the faster one, now; None if there is none."""
        given: dict[str, Any] = {"function": "speed_of", "side": TURN_SIDE, "seconds_each": TURN_SECONDS}
        speeds = [child.ask("call", module="peaks", library=product.library, **given)
                  for product, child in self._children]  # fmt: skip
        return max(speeds, default=None)


@contextmanager
def in_turns(rows: Sequence[Row], threads: int, machine: str) -> Iterator[Peak]:
    """The best OpenBLAS and PyTorch among the rows of `peaks`."""
    speeds = {r["backend"]: r["gflops"] for r in rows if r["gflops"]}
    best: dict[str, Product] = {}
    for product in products(machine):
        known = best.get(product.library)
        if product.name in speeds and (known is None or speeds[product.name] > speeds[known.name]):
            best[product.library] = product
    with ExitStack() as stack:
        yield Peak([(one, stack.enter_context(Child(one.side, threads, one.environment)))
                    for one in best.values() if one.library != "tile"])  # fmt: skip


def speed_of(library: str, side: int = SIDE, seconds_each: float = SECONDS) -> float:
    """GFLOP/s of a library's square matrix product in this process, of its best call: a peak is what can be reached."""
    return 2 * side**3 / min(_times(_product(library, side), seconds_each)) / 1e9


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


def _times(call: Callable[[], Any], seconds: float) -> list[float]:
    call()
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while len(times) < AT_LEAST or time.perf_counter() < ends:
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return times
