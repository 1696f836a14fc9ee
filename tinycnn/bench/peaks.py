"""The machine's peak: how fast the best matrix product that is at hand runs, which no convolution can beat.

Asked are NumPy's OpenBLAS, with each set of kernels that this CPU could run (it does not always choose the best),
tinycnn's own register tile, and PyTorch. The best of all counts as 100 %.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tinycnn.bench.machine import version_of
from tinycnn.bench.rows import Row, row
from tinycnn.bench.talk import Child, ChildError

SIDE = 1536  # of the square matrices
SECONDS = 0.6
CORE_TYPES = ("", "Haswell", "Zen", "SkylakeX", "Cooperlake", "Sapphirerapids")  # "": what OpenBLAS chooses by itself
NEED_AVX512 = CORE_TYPES[3:]


def peaks(threads: int, machine: str, now: Callable[[str], None] = lambda what: None) -> list[Row]:
    """A row for each library, with the GFLOP/s of its matrix product; kind "peak"."""
    sides = [("OpenBLAS " + (core or "(its choice)"), "ours", "openblas", {"OPENBLAS_CORETYPE": core} if core else {})
             for core in CORE_TYPES if core not in NEED_AVX512 or "AVX512" in machine]  # fmt: skip
    sides.append(("tinycnn's tile", "ours", "tile", {}))
    if version_of("torch"):
        sides.append(("PyTorch", "theirs", "torch", {}))
    rows = []
    for name, side, library, environment in sides:
        now(f"peak of {name}")
        try:
            with Child(side, threads, environment) as child:
                found = child.ask("call", SECONDS, module="peaks", function="speed_of", library=library)
            known: dict[str, Any] = {"gflops": found}
        except ChildError as error:
            known = {"error": str(error)}
        rows.append(row(f"matmul-{SIDE}", name, "peak", machine=machine, **known))
    return rows


def speed_of(library: str) -> float:
    """GFLOP/s of a library's square matrix product in this process, of its best call: a peak is what can be reached."""
    a = np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32)
    best = min(_times(_product(library, a)))
    return 2 * SIDE**3 / best / 1e9


def _product(library: str, a: np.ndarray) -> Callable[[], Any]:
    if library == "openblas":
        out = np.empty_like(a)
        return lambda: np.matmul(a, a, out=out)
    if library == "tile":  # a 1×1 convolution is a matrix product, and the tile's shortest way
        from tinycnn.kernels import conv2d_forward

        x, w = a.reshape(1, SIDE, 32, SIDE // 32), a.reshape(SIDE, SIDE, 1, 1)
        return lambda: conv2d_forward(x, w, None)
    import torch

    b = torch.from_numpy(a)
    made = torch.empty_like(b)
    return lambda: torch.mm(b, b, out=made)


def _times(call: Callable[[], Any]) -> list[float]:
    call()
    times: list[float] = []
    ends = time.perf_counter() + SECONDS
    while len(times) < 5 or time.perf_counter() < ends:
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return times
