"""What was measured as a table, at most 100 columns wide: networks first, then ops, then the other rungs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinycnn.bench import rungs
from tinycnn.bench.rows import CASE_KINDS, Row, by_threads, wrong
from tinycnn.bench.scaling import SWEEPS, slope

HOW = (
    "ratio: tinycnn's time over PyTorch's in the faster of its two memory formats, the median of 7 turns of each; "
    "below 1 tinycnn is faster. ± is half the distance between the quartiles. MB: memory beyond that of the "
    "imported libraries."
)


def table(rows: Sequence[Row]) -> str:
    """All rows as text, in sections; nothing for what was not measured. What ran on fewer threads comes later."""
    return "\n\n\n".join(_table(part) for part in by_threads(rows))


def _table(rows: Sequence[Row]) -> str:
    machine = next((r["machine"] for r in rows if r["machine"]), "")
    sections = [
        wrapped(machine), _peaks(rows), _section("networks", rows, ("train", "forward", "inference")),
        _section("ops", rows, ("op",)), _slow_rungs(rows), _first_steps(rows), _scaling(rows),
        rungs.as_text(rungs.steps_in(rows)),
        wrapped(HOW) if any(r["ratio"] for r in rows) else "", "\n".join(wrapped(line) for line in wrong(rows)),
    ]  # fmt: skip
    return "\n\n".join(text for text in sections if text)


def wrapped(text: str, width: int = 96) -> str:
    """Text in lines of at most this width."""
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


COLUMNS: tuple[tuple[str, int, Callable[[Row], str]], ...] = (
    ("tinycnn ms", 12, lambda r: ms(r["tinycnn_ms"]) + percent(r["spread"], " ±")),
    ("NCHW ms", 8, lambda r: ms(r["torch_nchw_ms"])),
    ("NHWC ms", 8, lambda r: ms(r["torch_nhwc_ms"])),
    ("ratio", 10, lambda r: number(r["ratio"]) + number(r["ratio_spread"], before=" ±")),
    ("GFLOP/s", 7, lambda r: number(r["gflops"], ".0f")),
    ("peak", 5, lambda r: percent(r["peak_fraction"])),
)  # fmt: skip
MEMORY = (
    ("MB", 5, lambda r: number(r["rss_mb"], ".0f")),
    ("torch", 5, lambda r: number(r["torch_rss_mb"], ".0f")),
)


def ms(value: float | None) -> str:
    """Milliseconds in three digits.

    >>> ms(0.12345), ms(12.345), ms(1234.5), ms(None)
    ('0.123', '12.3', '1234', '')
    """
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def number(value: float | None, form: str = ".2f", before: str = "") -> str:
    """A number, or nothing."""
    return "" if value is None else before + format(value, form)


def percent(value: float | None, before: str = "") -> str:
    """A share in per cent, or nothing."""
    return "" if value is None else f"{before}{100 * value:.0f}%"


def _section(title: str, rows: Sequence[Row], kinds: tuple[str, ...]) -> str:
    """The kernels' rows of these kinds."""
    shown = [r for r in rows if r["kind"] in kinds and r["backend"] == "numba" and r["tinycnn_ms"]]
    if not shown:
        return ""
    columns = COLUMNS + (MEMORY if title == "networks" else ())
    names = [f"{r['case']} {r['kind']}" if title == "networks" else r["case"] for r in shown]
    width = max(len(title), *map(len, names))
    head = "  ".join([f"{title:{width}}", *(f"{name:>{size}}" for name, size, _ in columns)])
    lines = ["  ".join([f"{name:{width}}", *(f"{text(r):>{size}}" for _, size, text in columns)])
             for name, r in zip(names, shown, strict=True)]  # fmt: skip
    return "\n".join([head, "─" * len(head), *(line.rstrip() for line in lines)])


def _slow_rungs(rows: Sequence[Row]) -> str:
    """The other rungs: their time, and how many times the kernels' that is."""
    fast = {(r["case"], r["kind"]): r["tinycnn_ms"] for r in rows if r["backend"] == "numba" and r["tinycnn_ms"]}
    shown = [r for r in rows if r["kind"] in CASE_KINDS and r["backend"] != "numba" and r["tinycnn_ms"]]
    shown = [r for r in shown if (r["case"], r["kind"]) in fast]
    if not shown:
        return ""
    names = [f"{r['case']} {r['kind']}" if r["kind"] != "op" else r["case"] for r in shown]
    width = max(11, *map(len, names))
    lines = [f"{'other rungs':{width}}  {'rung':6} {'ms':>9} {'kernels ms':>11} {'times':>7}"]
    lines.append("─" * len(lines[0]))
    for name, r in zip(names, shown, strict=True):
        kernels = fast[r["case"], r["kind"]]
        times = ms(r["tinycnn_ms"] / kernels)
        lines.append(f"{name:{width}}  {r['backend']:6} {ms(r['tinycnn_ms']):>9} {ms(kernels):>11} {times:>7}")
    return "\n".join(lines)


def _peaks(rows: Sequence[Row]) -> str:
    shown = sorted((r for r in rows if r["kind"] == "peak" and r["gflops"]), key=lambda r: -r["gflops"])
    if not shown:
        return ""
    lines = ["matrix product of 1536×1536, GFLOP/s (the best take turns with each case: `peak` below)"]
    return "\n".join([*lines, *(f"  {r['backend']:24} {r['gflops']:7.0f}" for r in shown)])


def _first_steps(rows: Sequence[Row]) -> str:
    shown = [r for r in rows if r["kind"] == "compile" and r["seconds_cold"]]
    lines = [f"  {r['case']:12} {r['seconds_cold']:6.1f} s cold {r['seconds_warm']:7.1f} s warm" for r in shown]
    return "\n".join(["from the start of Python to four training steps", *lines]) if shown else ""


def _scaling(rows: Sequence[Row]) -> str:
    lines = []
    for sweep, (theory, _) in SWEEPS.items():
        shown = [r for r in rows if r["kind"] == "scaling" and r["case"] == sweep and r["tinycnn_ms"]]
        if len(shown) < 2:
            continue
        times = "  ".join(f"{r['size']}: {ms(r['tinycnn_ms'])}" for r in shown)
        found = slopes(shown)
        theirs = f", PyTorch's {found[1]:.2f}" if found[1] is not None else ""
        lines += [f"  {sweep:9} {times}", f"  {'':9} slope {found[0]:.2f}{theirs}; arithmetic alone would be {theory}"]
    return "\n".join(["time of a training step against size, ms", *lines]) if lines else ""


def slopes(rows: Sequence[Row]) -> tuple[float, float | None]:
    """The slopes of a sweep: tinycnn's, and PyTorch's if it was measured."""
    sizes = [r["size"] for r in rows]
    theirs: list[Any] = [fastest(r) for r in rows]
    return slope(sizes, [r["tinycnn_ms"] for r in rows]), slope(sizes, theirs) if all(theirs) else None


def fastest(r: Row) -> float | None:
    """PyTorch's time in its faster format."""
    return min((r[key] for key in ("torch_nchw_ms", "torch_nhwc_ms") if r[key]), default=None)
