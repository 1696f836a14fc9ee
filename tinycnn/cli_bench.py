"""`tinycnn bench`: how fast the networks and ops are on this machine, beside PyTorch if that is installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

EPILOG = "Example: tinycnn bench --case digits --case 'conv*' --seconds 4 --plot bench.png"


def bench(
    case: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", show_default=False,
                     help="Only this case, or peak, or compile; may be repeated, and be a pattern: 'conv*'."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer cases, less time for each, no memory: about a minute.")
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.0, help="How long to measure a network; an op a seventh of it [default: 8; quick: 1].",
                     show_default=False),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads for each side [default: all cores].", show_default=False)
    ] = None,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Instead, time against batch, image side and channels, with its slope.")
    ] = False,
    ladder: Annotated[
        bool, typer.Option("--ladder", help="Instead, one convolution on the four rungs, in this process.")
    ] = False,
    data: Annotated[
        bool, typer.Option("--data", help="Instead, reading and augmenting pictures, held to what is promised.")
    ] = False,
    with_torch: Annotated[bool, typer.Option("--torch/--no-torch", help="Compare with PyTorch if it is there.")] = True,
    plot: Annotated[Path | None, typer.Option(help="Draw it into this PNG file.", show_default=False)] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/bench.md.")] = False,
    read: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="FILE", help="Measure nothing: show these files of --json.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")] = False,
) -> None:  # fmt: skip
    """Measure training, answering and single ops, in turns with PyTorch: same network, weights and batch on both sides.

    Also the first call's compiling, and the machine's best matrix product. A ratio below 1 says that tinycnn is
    faster. The exit status is 1 if a case failed, if the two sides did not do the same, or if a promise of --data does
    not hold.
    """
    from tinycnn.bench.machine import cores, machine
    from tinycnn.bench.rows import with_peak, wrong
    from tinycnn.bench.table import table

    threads = threads or cores()
    seconds = (1.0 if quick else 8.0) if seconds is None else seconds
    if ladder or data:
        _aside(ladder, quick, threads, as_json)
        return
    if read:
        rows = [row for path in read for row in _rows_in(path)]
    else:
        rows = _measured(case or [], quick, seconds, threads, machine(threads), scaling, None if with_torch else False)
    rows = with_peak(rows)
    if plot is not None:
        from tinycnn.bench.figures import picture
        from tinycnn.plot.style import save

        save(picture(rows), plot)
    if markdown:
        from tinycnn.bench.page import page

        print(page(rows), end="")
    else:
        print(json.dumps(rows, indent=1) if as_json else table(rows))
    if wrong(rows):
        raise typer.Exit(1)


def _measured(
    names: list[str], quick: bool, seconds: float, threads: int, machine: str, scaling: bool, torch: bool | None
) -> list[Any]:
    """All rows, with a bar on standard error that names what is being measured."""
    from tinycnn.bench.cases import chosen
    from tinycnn.bench.cold import first_steps
    from tinycnn.bench.peaks import in_turns, peaks
    from tinycnn.bench.scaling import SWEEPS
    from tinycnn.bench.scaling import scaling as sweeps
    from tinycnn.bench.turns import measure_all

    beside = ["peak"] if quick else ["peak", "compile"]  # what is measured apart from the cases
    wanted = [name for name in names if name in ("peak", "compile")] if names else beside
    patterns = [name for name in names if name not in wanted]
    cases = [] if names and not patterns else chosen(patterns, quick)
    if scaling:
        with _bar(len(SWEEPS)) as now:
            return sweeps(seconds / 8, threads, machine, now, torch, quick)
    with _bar(len(cases) + 7 * ("peak" in wanted) + 4 * ("compile" in wanted)) as now:
        rows = peaks(threads, machine, now) if "peak" in wanted else []
        with in_turns(rows, threads, machine) as peak:
            rows += measure_all(cases, seconds, threads, machine, now, torch, peak, memory=not quick)
        return rows + (first_steps(threads, machine, now) if "compile" in wanted else [])


def _aside(ladder: bool, quick: bool, threads: int, as_json: bool) -> None:
    """The speed ladder, or the promises of the data path."""
    if ladder:
        from tinycnn.bench.rungs import SMALL, as_text
        from tinycnn.bench.rungs import ladder as climb

        with _bar(7) as now:
            steps = climb((SMALL,), 0.05, now) if quick else climb(now=now)
        print(json.dumps([step.as_dict() for step in steps], indent=1) if as_json else as_text(steps))
        return
    from tinycnn.bench.pictures import as_text as told
    from tinycnn.bench.talk import Child

    with Child("ours", threads) as child:
        found = child.ask("call", 120.0, module="pictures", function="promises", quick=quick)
    print(json.dumps(found, indent=1) if as_json else told(found))
    if not all(promise["holds"] for promise in found):
        raise typer.Exit(1)


def _rows_in(path: Path) -> list[Any]:
    """The rows in a file that --json wrote; ValueError naming the file if it holds none."""
    from tinycnn.bench.rows import row

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return [row(**one) for one in found]
    except (ValueError, TypeError, AttributeError, AssertionError) as error:
        raise ValueError(f"{path} holds no rows of `tinycnn bench --json`: {error}") from None


@contextmanager
def _bar(total: int) -> Iterator[Callable[[str], None]]:
    """A bar on standard error, moved by naming what comes next; nothing where that is no terminal."""
    from tqdm.std import tqdm

    with tqdm(total=total, file=sys.stderr, unit="", leave=False, disable=None) as shown:

        def now(what: str) -> None:
            shown.set_postfix_str(what, refresh=False)
            shown.update()

        yield now
