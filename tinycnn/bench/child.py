"""The process that measures: it does what it is told, one line of JSON for each command, and answers in one line.

    prepare   build a case for one variant, check it (which warms it up), and say how much memory was held at most
    time      how long each step takes, for some seconds
    drop      forget a variant
    call      run a function of this package by name, which returns what JSON can carry

Whatever is printed here goes to standard error: the answers alone are on standard output.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any


def rss() -> int:
    """Bytes of memory that this process holds now."""
    return _status("VmRSS") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak() -> int:
    """The most bytes it held since `forget_peak`, or where the system cannot forget, ever."""
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget_peak() -> None:
    """Hand back what is free, and begin to watch the peak anew."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        pass  # no Linux: the peak is that of the whole life


def _status(key: str) -> int:
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":")), 0)


class Bench:
    """The variants that are prepared, and the memory that was held after everything had been imported."""

    def __init__(self, side: str):
        self.side = importlib.import_module(f"tinycnn.bench.{side}")
        if side == "ours":
            importlib.import_module("tinycnn.kernels")
        else:
            torch = self.side.torch_module()
            torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        self.ready: dict[str, Any] = {}
        self.at_rest = rss()

    def prepare(self, case: dict[str, Any], variant: str) -> dict[str, Any]:
        """Build and check a variant; memory is the most that was held, beyond what imports hold and in all."""
        forget_peak()
        work = self.side.prepare(case, variant)
        kinds = case["kinds"]
        found = work.check(train="train" in kinds)
        self.ready[variant] = work
        for kind in kinds:
            work.times(kind, 0.0)
        most = peak()
        return {"check": found, "rss": most - self.at_rest, "whole_rss": most, "fused": getattr(work, "fused", None)}

    def variants(self, case: dict[str, Any]) -> list[str]:
        """What there is to prepare."""
        return self.side.variants(case)

    def time(self, variant: str, kind: str, seconds: float) -> list[float]:
        """Seconds of each step."""
        return self.ready[variant].times(kind, seconds)

    def drop(self) -> None:
        """Forget all variants."""
        self.ready.clear()
        forget_peak()

    def call(self, module: str, function: str, **given: Any) -> Any:
        """A function of this package."""
        return getattr(importlib.import_module(f"tinycnn.bench.{module}"), function)(**given)


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    bench = Bench(sys.argv[1])
    print(json.dumps({"rss": bench.at_rest}), file=answers, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        found = getattr(bench, command.pop("do"))(**command)
        print(json.dumps({"found": found}), file=answers, flush=True)


if __name__ == "__main__":
    main()
