"""What was measured, a row a case, rung and kind: plain dicts, so that JSON carries them and any program reads them.

Some keys need a word:

    ratio           tinycnn's time over PyTorch's, in whichever memory format PyTorch is faster: below 1, tinycnn is
    spread          half the distance between the quartiles of a median's times, over that median
    peak_fraction   arithmetic done a second over that of the machine's best matrix product in the same turns
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
    "torch_check", "seconds_cold", "seconds_warm", "size", "error", "machine",
)  # fmt: skip
MEASURED = ("train", "forward", "inference", "op", "scaling")
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


def with_peak(rows: Iterable[Row]) -> list[Row]:
    """The rows; those without a peak in their turns get their fraction of the best that is in a row of its own."""
    rows = list(rows)
    best = max((r["gflops"] for r in rows if r["kind"] == "peak" and r["gflops"]), default=None)
    if best is None:
        return rows
    bare = [r["gflops"] and r["kind"] != "peak" and r["peak_fraction"] is None for r in rows]
    return [r | {"peak_fraction": r["gflops"] / best} if b else r for r, b in zip(rows, bare, strict=True)]


def wrong(rows: Iterable[Row]) -> list[str]:
    """What must not be passed over: cases that failed, and cases whose two sides did not do the same."""
    found = []
    for r in rows:
        if r["error"]:
            found.append(f"{r['case']} ({r['backend']}): {r['error']}")
        elif r["same_maths"] is False:
            found.append(
                f"{r['case']} ({r['kind']}, {r['backend']}): the two sides differ, so their times mean nothing: "
                f"tinycnn {_few(r['check'])}, PyTorch {_few(r['torch_check'])}"
            )
    return found


def _few(numbers: Sequence[float] | None) -> str:
    return ", ".join(f"{n:.5g}" for n in numbers or ())
