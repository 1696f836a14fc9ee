"""The first call: how long a process takes from its start to its first training step, before and after compiling.

Numba compiles a kernel when it is first called, and keeps it in a folder. *Cold* is with that folder empty, as on the
day of installation; *warm* is every later process.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import Any

from tinycnn.bench.cases import CASES
from tinycnn.bench.rows import Row, row
from tinycnn.bench.talk import Child, ChildError

NETWORKS = ("digits", "unet16-64")


def first_steps(threads: int, machine: str, now: Callable[[str], None] = lambda what: None) -> list[Row]:
    """A row for each network, with the seconds to its first steps, cold and warm; kind "compile"."""
    rows = []
    for name in NETWORKS:
        with tempfile.TemporaryDirectory(prefix="tinycnn-bench-") as folder:
            try:
                now(f"{name}: first step, nothing compiled")
                cold = _seconds(name, threads, folder)
                now(f"{name}: first step, all compiled")
                warm = _seconds(name, threads, folder)
                known: dict[str, Any] = {"seconds_cold": cold, "seconds_warm": warm}
            except ChildError as error:
                known = {"error": str(error)}
        rows.append(row(name, "numba", "compile", threads=threads, machine=machine, **known))
    return rows


def _seconds(name: str, threads: int, folder: str) -> float:
    begun = time.perf_counter()
    with Child("ours", threads, {"NUMBA_CACHE_DIR": folder}) as child:
        child.ask("prepare", 120.0, case=CASES[name].as_dict(), variant="numba")
        return time.perf_counter() - begun
