"""A case, measured: two processes that take turns on command, so that what slows the machine slows both."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from tinycnn.bench.cases import Case
from tinycnn.bench.inputs import same
from tinycnn.bench.machine import version_of
from tinycnn.bench.networks import macs_of, network
from tinycnn.bench.peaks import Peak
from tinycnn.bench.rows import Row, median, ratio, row, spread
from tinycnn.bench.talk import Child, ChildError, settle

ROUNDS = 7  # turns of each side
OP_SHARE = 0.15  # of a network's seconds, for an op
SLOW_SHARE = 0.15  # of a case's seconds, for each rung that is not the kernels
QUICK_MEMORY = ("unet16-64",)  # the networks whose memory is measured if there is little time

Turns = list[list[float]]


def measure(
    cases: Sequence[Case], seconds: float, threads: int, machine: str, torch: bool | None = None, memory: bool = True,
    now: Callable[[str], None] = lambda what: None, peak: Peak | None = None,
) -> list[Row]:  # fmt: skip
    """Rows of some cases from one pair of processes; a case that fails is a row that says so.

    PyTorch is measured where it is installed, unless `torch` is False; memory for networks, in further processes.
    `peak` takes turns as well, and each case is held to the peak of its own turns.
    """
    rows: list[Row] = []
    with ExitStack() as stack:
        sides: list[Child] = []
        for case in cases:
            now(case.name)
            try:
                sides = sides or _begin(stack, threads, torch)
                found = _one(case, sides, seconds, peak)
                rows += _with_memory(found, case, sides) if memory and case.what == "network" else found
            except ChildError as error:
                rows.append(row(case.name, "numba", case.kinds[0], error=str(error)))
                stack.close()
                sides = []
    return [r | {"threads": threads, "machine": machine} for r in rows]


def _begin(stack: ExitStack, threads: int, torch: bool | None) -> list[Child]:
    names = ["ours", "theirs"] if torch is not False and version_of("torch") else ["ours"]
    sides = [stack.enter_context(Child(name, threads)) for name in names]
    for side in sides:
        side.wait()
    return sides


def _one(case: Case, sides: list[Child], seconds: float, peak: Peak | None) -> list[Row]:
    spec = case.as_dict()
    runs = [(side, variant) for side in sides for variant in side.ask("variants", case=spec)]
    fast = [(side, v) for side, v in runs if v == "numba" or side.side == "theirs"]
    ready = {variant: side.ask("prepare", case=spec, variant=variant) for side, variant in runs}
    rows = []
    for kind in case.kinds:
        turn = seconds / len(case.kinds) / ROUNDS / len(fast)
        turns, peaks = _take_turns(fast, kind, turn, peak if case.counted else None)
        for side, variant in runs:
            if (side, variant) not in fast:
                settle(sides)
                turns[variant] = [side.ask("time", seconds * SLOW_SHARE, variant=variant, kind=kind)]
        rows += _rows(case, kind, turns, ready, peaks)
    for side in sides:
        side.ask("drop")
    return rows


def _with_memory(rows: list[Row], case: Case, sides: list[Child]) -> list[Row]:
    """The rows of the kernels with the memory that each side takes, in fresh processes: by now all is compiled."""
    found: dict[str, list[dict[str, int]]] = {"ours": [], "theirs": []}
    for side in sides:
        for variant in ["numba"] if side.side == "ours" else side.ask("variants", case=case.as_dict()):
            with Child(side.side, side.threads) as fresh:
                found[side.side].append(fresh.ask("prepare", case=case.as_dict(), variant=variant))
    known = {}
    for name, start in (("ours", ""), ("theirs", "torch_")):
        for key in ("rss", "whole_rss"):
            if found[name]:
                known[f"{start}{key}_mb"] = min(one[key] for one in found[name]) / 2**20
    return [r | (known if r["backend"] == "numba" else {}) for r in rows]


def _take_turns(
    fast: list[tuple[Child, str]], kind: str, seconds: float, peak: Peak | None
) -> tuple[dict[str, Turns], list[float]]:
    """The times of each variant, turn after turn, and the machine's peak in each of them, where it is measured."""
    turns: dict[str, Turns] = {variant: [] for _, variant in fast}
    peaks = []
    everyone = [*{side for side, _ in fast}, *(peak.children if peak is not None else ())]
    for _ in range(ROUNDS):
        settle(everyone)
        if peak is not None and (speed := peak.turn()) is not None:
            peaks.append(speed)
        for side, variant in fast:
            settle(everyone)
            turns[variant].append(side.ask("time", seconds, variant=variant, kind=kind))
    return turns, peaks


def _rows(
    case: Case, kind: str, turns: dict[str, Turns], ready: dict[str, Any], peaks: Sequence[float]
) -> list[Row]:
    flat = {variant: [t for turn in given for t in turn] for variant, given in turns.items()}
    theirs = [v for v in ("nchw", "nhwc") if v in turns]
    fastest = min(theirs, key=lambda v: median(flat[v]), default=None)
    rows = []
    for rung in ("numba", *case.rungs):
        ms, flops = median(flat[rung]), _flops(case, kind)
        known: dict[str, Any] = {
            "tinycnn_ms": ms, "spread": spread(flat[rung]), "steps": len(flat[rung]),
            "check": ready[rung]["check"], "gflops": flops and flops / ms / 1e6,
            "peak_fraction": flops and _fraction(flops, turns[rung], peaks),
        }  # fmt: skip
        if fastest:
            known |= {f"torch_{v}_ms": median(flat[v]) for v in theirs}
            known |= {
                "torch_spread": spread(flat[fastest]), "torch_check": ready[fastest]["check"],
                "fused_adam": ready[fastest]["fused"],
                "same_maths": same(case.kinds[0], ready[rung]["check"], ready[fastest]["check"]),
            }  # fmt: skip
            found = ratio(turns[rung], [turns[v] for v in theirs]) if rung == "numba" else None
            known["ratio"], known["ratio_spread"] = found or (ms / median(flat[fastest]), None)
        rows.append(row(case.name, rung, kind, **known))
    return rows


def _fraction(flops: float, turns: Turns, peaks: Sequence[float]) -> float | None:
    """The median over the turns of the arithmetic done a second over the peak of that turn; None without a peak.

    >>> round(_fraction(6e9, [[0.1], [0.2], [0.1]], [120.0, 60.0, 60.0]), 2)    # 60, 30 and 60 GFLOP/s
    0.5
    """
    if not peaks:
        return None
    if len(turns) != len(peaks):  # measured apart
        peaks = [statistics.median(peaks)] * len(turns)
    found = [flops / statistics.median(turn) / 1e9 / best for turn, best in zip(turns, peaks, strict=True)]
    return statistics.median(found)


def _flops(case: Case, kind: str) -> float | None:
    """Two operations a multiply-accumulate; a step does forward's three times, but for dx of the first layer."""
    if case.what != "network":
        return case.flops
    total, first = macs_of(network(case.options))
    return 2.0 * case.options["batch"] * (3 * total - first if kind == "train" else total)


def groups(cases: Sequence[Case]) -> list[list[Case]]:
    """Cases that share a pair of processes: each network has its own, and all ops together one."""
    ops = [case for case in cases if case.what != "network"]
    return [[case] for case in cases if case.what == "network"] + ([ops] if ops else [])


def measure_all(
    cases: Sequence[Case], seconds: float, threads: int, machine: str, now: Callable[[str], None],
    torch: bool | None = None, peak: Peak | None = None, quick: bool = False,
) -> list[Row]:  # fmt: skip
    """Rows of all these cases; `now` is told which comes next. An op gets a fraction of a network's seconds.

    If `quick`, memory is measured for one network alone.
    """
    rows: list[Row] = []
    for group in groups(cases):
        share = 1.0 if group[0].what == "network" else OP_SHARE
        memory = not quick or group[0].name in QUICK_MEMORY
        rows += measure(group, share * seconds, threads, machine, torch, memory, now, peak)
    return rows
