"""docs/bench.md, made from what was measured: `tinycnn bench --page docs/bench.md`, or from kept rows.

What limits us where we are slower is for a person to say: the page has a place for that, which is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tinycnn.bench import rungs
from tinycnn.bench.cases import CASES
from tinycnn.bench.rows import CASE_KINDS, Row, wrong
from tinycnn.bench.scaling import SWEEPS
from tinycnn.bench.table import fastest, ms, number, percent, slopes
from tinycnn.files import write_whole

OPENING = """\
# How fast it is

`tinycnn bench` trains networks, asks them, and times single ops, and holds each to PyTorch if that is installed. You
want to know three things of such a number: against what, on which machine, and whether both sides did the same.

**Against what.** PyTorch's eager mode, on the same cores, in whichever of its two memory formats (NCHW, NHWC) is
faster, with its default or its fused Adam, whichever is faster. Each side has a process of its own and the two take
turns, seven times each; a turn begins when no thread of the other side runs any longer. The *ratio* is tinycnn's time
over PyTorch's, the median of the turns. What slows the machine for a while slows both, so the ratio holds better than
either time. Below 1, tinycnn is faster; ± is half the distance between the quartiles. Where there is a column *one
thread*, it is the ratio of the time that each side worked (CPU time) with one thread alone: that hardly changes when
others use the machine as well.

**The same on both sides.** The networks start from the same weights and see the same batch. The losses of their first
four steps are compared, how far they fall, and every gradient of the first step; for an op, its result. Where they
differ the bench says so and ends with status 1. A training step is what `fit` does with a batch: forward, loss,
backward, Adam. Answering is `predict`.

**Which machine.** The one that printed this page: {machine}.
"""

PLACES = {name: place for place, name in enumerate(CASES)}
WORDS_BEGIN = "<!-- Written by hand: what stands between these lines is kept when the page is made anew. -->"
WORDS_END = "<!-- Until here. -->"

CLOSING = """\
## Measure it yourself

```sh
tinycnn bench                                # all of it: ten minutes, twenty where PyTorch takes long to begin
tinycnn bench --quick                        # about a minute
tinycnn bench --case digits --case 'conv*'   # some cases: half a minute a network, three seconds an op
tinycnn bench --threads 1                    # one thread each, and the time that it worked: for a busy machine
tinycnn bench --scaling --plot scaling.png   # time against size: a minute and a half
tinycnn bench --ladder                       # one convolution, from Python's loops to the register tile: ten seconds
tinycnn bench --data                         # reading and augmenting pictures: half a minute
```

The times are rough, and those of two cores that nobody else uses; a bar on the terminal shows how far it is.
`--threads` and `--seconds` say how many and how long, `--json` prints every number, `--plot FILE` draws them.
This page is made by a command as well, `tinycnn bench --page docs/bench.md`, which keeps what was written into it by
hand; or in parts, each when the machine is quiet, which `--from` puts together. What was measured again stands as it
was measured last.

```sh
tinycnn bench --case digits --case article004 --case article002 --json > networks.json   # a minute and a half
tinycnn bench --case article003 --case 'unet*' --json > large.json                       # three and a half
tinycnn bench --case 'conv*' --json > convolutions.json                                  # a minute and a half
tinycnn bench --case '*-pool*' --case 'batch*' --case 'dense*' --case 'cross*' --case 'up*' --case 'adam*' \\
  --json > ops.json                                                                      # a minute
tinycnn bench --case peak --json > peak.json                                             # a quarter of a minute
tinycnn bench --case compile --json > compile.json                                       # half a minute
tinycnn bench --scaling --json > scaling.json                                            # a minute and a half
tinycnn bench --ladder --json > ladder.json                                              # ten seconds
tinycnn bench --threads 1 --case … --json > …                                            # the same again on one thread
tinycnn bench --from networks.json --from large.json --from … --page docs/bench.md
```
"""


HEAD = "tinycnn ms|PyTorch NCHW|PyTorch NHWC|ratio"


def page(rows: Sequence[Row], words: str = "") -> str:
    """The page, with what was measured in it, and these words of the one who measured."""
    rows = sorted(rows, key=lambda r: PLACES.get(r["case"], len(PLACES)))
    most = max((r["threads"] or 0 for r in rows), default=0)
    alone = {(r["case"], r["kind"]): r["ratio"] for r in rows if r["threads"] == 1 < most and r["backend"] == "numba"}
    shown = [r for r in rows if r["threads"] in (most, None)]
    machines = dict.fromkeys(r["machine"] for r in shown if r["machine"])
    parts = [
        OPENING.format(machine="; in part also: ".join(machines) or "unknown"), _networks(shown, alone),
        f"{WORDS_BEGIN}\n{words}{WORDS_END}\n", _ops(shown, alone), _rungs(shown), _ladder(shown), _peaks(shown),
        _cold(shown), _scaling(shown), _wrong(rows), CLOSING,
    ]  # fmt: skip
    return "\n".join(part for part in parts if part)


def write(rows: Sequence[Row], path: Path) -> None:
    """Make the page in this file anew, but for what was written into it by hand.

    Raises ValueError if there is such a file, and no place in it for what is written by hand.
    """
    words = words_in(path.read_text(encoding="utf-8"), path) if path.exists() else ""
    write_whole(path, page(rows, words).encode())


def words_in(text: str, path: Path) -> str:
    r"""What was written by hand into a page.

    >>> words_in(page([], "Memory is slow.\n"), Path("bench.md"))
    'Memory is slow.\n'
    """
    begin, end = text.find(WORDS_BEGIN + "\n"), text.find(WORDS_END)
    if begin < 0 or end < begin:
        raise ValueError(f"{path} is no page of the benchmark: it lacks the lines around what is written by hand, "
                         f"{WORDS_BEGIN} and {WORDS_END}")  # fmt: skip
    return text[begin + len(WORDS_BEGIN) + 1 : end]


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


Alone = Mapping[tuple[str, str], float | None]  # the ratio on one thread, by case and kind


def _alone(r: Row, alone: Alone) -> list[str]:
    """A column for the ratio on one thread, if it was measured at all."""
    return [number(alone.get((r["case"], r["kind"])))] if alone else []


def _networks(rows: Sequence[Row], alone: Alone) -> str:
    shown = _of(rows, "train", "forward", "inference")
    if not shown:
        return ""
    sizes = ("rss_mb", "torch_rss_mb", "whole_rss_mb", "torch_whole_rss_mb")
    lines = [[f"{r['case']}, {r['kind']}", *_times(r), *_alone(r, alone), percent(r["peak_fraction"]),
              *(number(r[size], ".0f") for size in sizes)] for r in shown]  # fmt: skip
    head = (
        f"network|{HEAD}{'|one thread' if alone else ''}|of peak|MB|PyTorch MB|whole MB|PyTorch whole MB"
    )
    return (
        "## Networks\n\n`digits` is two convolutions for 1×8×8 (a batch of 32); `article002` and `article004` are the "
        "zoo's networks for\n3×32×32 (64), `article003` for 3×224×224 (8); `unetB-S` is a U-Net of B filters, two "
        "levels deep, for S×S (4; inference\n1). MB is the most memory the first steps took beyond what the imported "
        "libraries held, *whole* with those.\n*Of peak* counts "
        "the multiplications of the formula; kernels that leave some of them out can come to more than 100 %.\n\n"
        + grid(head, lines)
    )


def _ops(rows: Sequence[Row], alone: Alone) -> str:
    shown = _of(rows, "op")
    if not shown:
        return ""
    lines = [[r["case"], *_times(r), *_alone(r, alone), number(r["gflops"], ".0f"), percent(r["peak_fraction"])]
             for r in shown]  # fmt: skip
    head = f"op|{HEAD}{'|one thread' if alone else ''}|GFLOP/s|of peak"
    opening = (
        "## Ops\n\nThe name conv3x3-64x32x15x15-64 is 64 images of 32×15×15, and 64 filters of 3×3. Each side is "
        "given arrays in memory\nof its own kind. tinycnn's, and what it writes into, are kept from call to call, as "
        "inside `fit`. PyTorch has no such\nstore on the CPU: large results (from about 10 MB) are fresh memory at "
        "each call, which the system clears page by page.\nFor those a part of the ratio is memory, not "
        "arithmetic.\n\n"
    )
    return opening + grid(head, lines)


def _rungs(rows: Sequence[Row]) -> str:
    fast = {(r["case"], r["kind"]): r["tinycnn_ms"] for r in rows if r["backend"] == "numba" and r["tinycnn_ms"]}
    shown = [r for r in rows if r["backend"] != "numba" and (r["case"], r["kind"]) in fast and r["tinycnn_ms"]]
    shown = [r for r in shown if r["kind"] in CASE_KINDS and (r["kind"] != "op" or "1x4x10x10" in r["case"])]
    if not shown:
        return ""
    lines = [[r["case"], r["kind"], r["backend"], ms(r["tinycnn_ms"]), ms(fast[r["case"], r["kind"]]),
              f"{r['tinycnn_ms'] / fast[r['case'], r['kind']]:,.1f}"] for r in shown]  # fmt: skip
    return "## The other rungs\n\n" + grid("case|kind|rung|ms|kernels ms|times", lines)


def _ladder(rows: Sequence[Row]) -> str:
    steps = rungs.steps_in(rows)
    if not steps:
        return ""
    lines = [["×".join(map(str, s.shape)), f"{s.macs:,}", s.rung, ms(s.ms), rungs.faster(s), rungs.RUNGS[s.rung]]
             for s in steps]  # fmt: skip
    return (
        "## The speed ladder\n\nOne convolution of 3×3, of as many filters as channels, from the formula walked in "
        "Python to the register tile.\n\n"
        + grid("x|multiplications|rung|ms|times faster|how", lines)
    )


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
