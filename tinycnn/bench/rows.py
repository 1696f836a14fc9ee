"""What was measured, a row a case, rung and kind: plain dicts, so that JSON carries them and any program reads them.

Some keys need a word:

    ratio           tinycnn's time over PyTorch's, in whichever memory format PyTorch is faster: below 1, tinycnn is
    spread          half the distance between the quartiles of a median's times, over that median
    peak_fraction   arithmetic done a second over that of the machine's best matrix product in the same turns
    threads         of each side; with one, times are seconds that it worked (CPU time), not seconds on the wall
    rss_mb          the most memory that the first steps took, beyond what the imported libraries held before them;
                    whole_rss_mb with those. Each in a process of its own, PyTorch's in the thriftier format
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

KEYS = (
    "case", "backend", "kind", "tinycnn_ms", "torch_nchw_ms", "torch_nhwc_ms", "ratio", "ratio_spread", "peak_fraction",
    "rss_mb", "torch_rss_mb", "whole_rss_mb", "torch_whole_rss_mb",
    "gflops", "spread", "torch_spread", "steps", "fused_adam", "same_maths", "check",
    "torch_check", "seconds_cold", "seconds_warm", "size", "threads", "error",
    "machine",
)  # fmt: skip
CASE_KINDS = ("train", "forward", "inference", "op")  # of the cases; there are scaling, peak, compile and ladder, too
Row = dict[str, Any]


def row(case: str, backend: str, kind: str, **known: Any) -> Row:
    """A row with every key; what was not measured is None."""
    assert set(known) <= set(KEYS), set(known) - set(KEYS)
    return dict.fromkeys(KEYS) | {"case": case, "backend": backend, "kind": kind} | known


def median(seconds: Sequence[float]) -> float:
    """In milliseconds."""
    return 1000 * statistics.median(seconds)


def spread(seconds: Sequence[float]) -> float:
    """Half the distance between the quartiles, over the median.

    >>> spread([1.0, 2.0, 3.0])
    0.25
    """
    if len(seconds) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return (high - low) / 2 / middle


def ratio(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[Sequence[float]]]) -> tuple[float, float]:
    """The median over the turns of (our median / that of their faster format), and its spread.

    Each turn of ours is held to the turns of theirs right behind it: what slows the machine for a while slows both.

    >>> ratio([[1.0], [2.0], [1.0]], [[[2.0], [4.0], [2.0]], [[9.0], [9.0], [9.0]]])
    (0.5, 0.0)
    """
    totals = [statistics.median([t for turn in turns for t in turn]) for turns in theirs]
    fastest = theirs[totals.index(min(totals))]
    turns = [statistics.median(a) / statistics.median(b) for a, b in zip(ours, fastest, strict=True)]
    return statistics.median(turns), spread(turns)


def joined(parts: Iterable[Sequence[Row]]) -> list[Row]:
    """Rows that were measured in parts, as if in one run; what was measured again stands as it was measured last.

    >>> old, new = row("relu", "numba", "op", tinycnn_ms=3.0), row("relu", "numba", "op", tinycnn_ms=2.0)
    >>> [r["tinycnn_ms"] for r in joined([[old], [new]])]
    [2.0]
    """
    latest: dict[tuple[Any, ...], Row] = {}
    for r in (r for part in parts for r in part):
        latest[tuple(r[key] for key in ("case", "backend", "kind", "size", "threads"))] = r
    return list(latest.values())


def by_threads(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each number of threads, the largest first."""
    found: dict[int, list[Row]] = {}
    for r in rows:
        found.setdefault(r["threads"] or 0, []).append(r)
    return [found[threads] for threads in sorted(found, reverse=True)]


def with_peak(rows: Iterable[Row]) -> list[Row]:
    """The rows; those without a peak in their turns get their fraction of the best that is in a row of its own."""
    return [r for same_threads in by_threads(rows) for r in _with_peak(same_threads)]


def _with_peak(rows: list[Row]) -> list[Row]:
    best = max((r["gflops"] for r in rows if r["kind"] == "peak" and r["gflops"]), default=None)
    if best is None:
        return rows
    bare = [r["gflops"] and r["kind"] in CASE_KINDS and r["peak_fraction"] is None for r in rows]
    return [r | {"peak_fraction": r["gflops"] / best} if b else r for r, b in zip(rows, bare, strict=True)]


def wrong(rows: Iterable[Row]) -> list[str]:
    """What must not be passed over: cases that failed, and cases whose two sides did not do the same."""
    found = []
    for r in rows:
        if r["error"]:
            found.append(f"{r['case']} ({r['backend']}): {r['error']}")
        elif r["same_maths"] is False:
            ours, theirs = r["check"] or [], r["torch_check"] or []
            found.append(
                f"{r['case']} ({r['kind']}, {r['backend']}): the two sides differ, so their times mean nothing: "
                f"tinycnn {_few(ours, theirs)}, PyTorch {_few(theirs, ours)}"
            )
    return found


def _few(numbers: Sequence[float], others: Sequence[float]) -> str:
    """The first few; where these are the others' as well, the first few from where they part."""
    parted = next((k for k, (a, b) in enumerate(zip(numbers, others, strict=False)) if abs(a - b) > 1e-4 * abs(b)), 0)
    first = max(0, min(parted, len(numbers) - 1) - 1)
    return ("… " if first else "") + ", ".join(f"{n:.5g}" for n in numbers[first : first + 4])
