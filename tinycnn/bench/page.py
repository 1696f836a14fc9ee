"""docs/bench.md, made from what was measured: `tinycnn bench --markdown > docs/bench.md`, or from kept rows."""

from __future__ import annotations

from collections.abc import Sequence

from tinycnn.bench.rows import Row, wrong
from tinycnn.bench.scaling import SWEEPS
from tinycnn.bench.table import fastest, ms, number, percent, slopes

OPENING = """\
# How fast it is

`tinycnn bench` trains networks, asks them, and times single ops, and holds each to PyTorch if that is installed. You
want to know three things of such a number: against what, on which machine, and whether both sides did the same.

**Against what.** PyTorch's eager mode, on the same cores, in whichever of its two memory formats (NCHW, NHWC) is
faster, with its default or its fused Adam, whichever is faster. Each side has a process of its own and the two take
turns, seven times each; the *ratio* is tinycnn's time over PyTorch's, the median of the turns. What slows the machine
for a while slows both, so the ratio holds better than either time. Below 1, tinycnn is faster; ± is half the distance
between the quartiles.

**The same on both sides.** The networks start from the same weights and see the same batch, and the losses of their
first four steps are compared; for an op, its result. Where they differ the bench says so and ends with status 1. A
training step is what `fit` does with a batch: forward, loss, backward, Adam. Answering is `predict`.

**Which machine.** The one that printed this page: {machine}.
"""

CLOSING = """\
## Measure it yourself

```sh
tinycnn bench                                # all of it: some minutes
tinycnn bench --quick                        # about a minute
tinycnn bench --case digits --case 'conv*'   # some cases
tinycnn bench --scaling --plot scaling.png   # time against size
tinycnn bench --ladder                       # one convolution, from Python's loops to the register tile
tinycnn bench --data                         # reading and augmenting pictures
```

`--threads` and `--seconds` say how many and how long, `--json` prints every number, `--plot FILE` draws them.
This page is made by a command as well: `tinycnn bench --markdown > docs/bench.md`; or in parts, which `--from` puts
together: `tinycnn bench --case 'unet*' --json > unets.json`, and in the end `tinycnn bench --from unets.json --from …
--markdown > docs/bench.md`.
"""


def page(rows: Sequence[Row]) -> str:
    """The page, with what was measured in it."""
    machine = next((r["machine"] for r in rows if r["machine"]), "unknown")
    parts = [
        OPENING.format(machine=machine), _networks(rows), _ops(rows), _rungs(rows), _peaks(rows), _cold(rows),
        _scaling(rows), _wrong(rows), CLOSING,
    ]  # fmt: skip
    return "\n".join(part for part in parts if part)


def grid(head: str, lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; numbers to the right.

    >>> print(grid("op|ms", [["relu", "0.1"]]), end="")
    | op | ms |
    |---|---:|
    | relu | 0.1 |
    """
    names = head.split("|")
    rule = "|---" + "|---:" * (len(names) - 1) + "|"
    return "\n".join([f"| {' | '.join(names)} |", rule, *(f"| {' | '.join(line)} |" for line in lines)]) + "\n"


def _of(rows: Sequence[Row], *kinds: str) -> list[Row]:
    return [r for r in rows if r["kind"] in kinds and r["backend"] == "numba" and r["tinycnn_ms"]]


def _times(r: Row) -> list[str]:
    off = f" ± {r['ratio_spread']:.2f}" if r["ratio_spread"] is not None else ""
    bold = "**" if r["ratio"] is not None else ""
    ratio = f"{bold}{number(r['ratio'])}{bold}{off}"
    return [ms(r["tinycnn_ms"]), ms(r["torch_nchw_ms"]), ms(r["torch_nhwc_ms"]), ratio]


def _networks(rows: Sequence[Row]) -> str:
    shown = _of(rows, "train", "forward", "inference")
    if not shown:
        return ""
    sizes = ("rss_mb", "torch_rss_mb", "whole_rss_mb", "torch_whole_rss_mb")
    lines = [[f"{r['case']}, {r['kind']}", *_times(r), percent(r["peak_fraction"]),
              *(number(r[size], ".0f") for size in sizes)] for r in shown]  # fmt: skip
    head = "network|tinycnn ms|PyTorch NCHW|PyTorch NHWC|ratio|of peak|MB|PyTorch MB|whole MB|PyTorch whole MB"
    return (
        "## Networks\n\n`digits` is two convolutions for 1×8×8 (a batch of 32); `article002` and `article004` are the "
        "zoo's networks for\n3×32×32 (64), `article003` for 3×224×224 (8); `unetB-S` is a U-Net of B filters, two "
        "levels deep, for S×S (4; inference\n1). MB is the most memory the first steps took beyond what the imported "
        "libraries held, *whole* with those.\n\n" + grid(head, lines)
    )


def _ops(rows: Sequence[Row]) -> str:
    shown = _of(rows, "op")
    if not shown:
        return ""
    lines = [[r["case"], *_times(r), number(r["gflops"], ".0f"), percent(r["peak_fraction"])] for r in shown]
    head = "op|tinycnn ms|PyTorch NCHW|PyTorch NHWC|ratio|GFLOP/s|of peak"
    opening = (
        "## Ops\n\nThe name conv3x3-64x32x15x15-64 is 64 images of 32×15×15, and 64 filters of 3×3. tinycnn writes "
        "into memory that it\nkeeps from call to call, as it does inside `fit`. PyTorch has no such store on the CPU: "
        "large results (from about 10 MB)\nare fresh memory at each call, which the system clears page by page. For "
        "those a part of the ratio is memory, not\narithmetic.\n\n"
    )
    return opening + grid(head, lines)


def _rungs(rows: Sequence[Row]) -> str:
    fast = {(r["case"], r["kind"]): r["tinycnn_ms"] for r in rows if r["backend"] == "numba" and r["tinycnn_ms"]}
    shown = [r for r in rows if r["backend"] != "numba" and (r["case"], r["kind"]) in fast and r["tinycnn_ms"]]
    shown = [r for r in shown if r["kind"] != "op" or "1x4x10x10" in r["case"]]
    if not shown:
        return ""
    lines = [[r["case"], r["kind"], r["backend"], ms(r["tinycnn_ms"]), ms(fast[r["case"], r["kind"]]),
              f"{r['tinycnn_ms'] / fast[r['case'], r['kind']]:,.1f}"] for r in shown]  # fmt: skip
    return "## The other rungs\n\n" + grid("case|kind|rung|ms|kernels ms|times", lines)


def _peaks(rows: Sequence[Row]) -> str:
    shown = sorted((r for r in rows if r["kind"] == "peak" and r["gflops"]), key=lambda r: -r["gflops"])
    if not shown:
        return ""
    return (
        "## The machine's peak\n\nMatrix products of 1536×1536, measured once; OpenBLAS is asked with each set of its "
        "kernels that this CPU can run. As\na machine's speed changes from minute to minute, the best OpenBLAS and "
        "PyTorch's product (of 768×768) then took\nturns with every case, and the faster one of the same turns is the "
        "100 % that *of peak* means above.\n\n"
        + grid("library|GFLOP/s", [[r["backend"], f"{r['gflops']:.0f}"] for r in shown])
    )


def _cold(rows: Sequence[Row]) -> str:
    shown = [r for r in rows if r["kind"] == "compile" and r["seconds_cold"]]
    if not shown:
        return ""
    lines = [[r["case"], f"{r['seconds_cold']:.1f} s", f"{r['seconds_warm']:.1f} s"] for r in shown]
    return (
        "## The first time\n\nFrom the start of Python to four training steps: with nothing compiled yet, and ever "
        "after.\n\n" + grid("network|cold|warm", lines)
    )


def _scaling(rows: Sequence[Row]) -> str:
    lines = []
    for sweep, (theory, _) in SWEEPS.items():
        shown = [r for r in rows if r["kind"] == "scaling" and r["case"] == sweep and r["tinycnn_ms"]]
        if len(shown) > 1:
            ours, theirs = slopes(shown)
            sizes = ", ".join(f"{r['size']}: {ms(r['tinycnn_ms'])}" + (f" ({ms(fastest(r))})" if fastest(r) else "")
                              for r in shown)  # fmt: skip
            lines.append([sweep, sizes, f"{ours:.2f}", number(theirs), str(theory)])
    if not lines:
        return ""
    return (
        "## Time against size\n\nThree convolutions of 32 channels on 8 images of 32×32, one of the three numbers "
        "changed; milliseconds a training step,\nPyTorch's in brackets. The slope is that of the larger half on a "
        "log-log plot, and what the arithmetic alone would\ngive stands last.\n\n"
        + grid("what grows|size: ms|slope|PyTorch's|arithmetic", lines)
    )


def _wrong(rows: Sequence[Row]) -> str:
    found = wrong(rows)
    return "## What went wrong\n\n" + "\n".join(f"- {line}" for line in found) + "\n" if found else ""
