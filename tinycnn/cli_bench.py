"""`tinycnn bench`: how fast the networks and ops are on this machine, beside PyTorch if that is installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
        bool, typer.Option("--quick", help="Fewer cases, less time for each, and the memory of one: about a minute.")
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.0, help="How long to measure a network; an op a seventh of it [default: 8; quick: 1].",
                     show_default=False),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, show_default=False,
                     help="Threads for each side [default: all cores]. With 1, the time counts that each side worked, "
                          "which says most on a machine that others use."),
    ] = None,
    scaling: Annotated[
        bool,
        typer.Option("--scaling", help="Instead, time against batch, side and channels, with its slope: a minute."),
    ] = False,
    ladder: Annotated[
        bool, typer.Option("--ladder", help="Instead, one convolution on the four rungs: some seconds.")
    ] = False,
    data: Annotated[
        bool, typer.Option("--data", help="Instead, reading and augmenting pictures, held to what is promised.")
    ] = False,
    with_torch: Annotated[bool, typer.Option("--torch/--no-torch", help="Compare with PyTorch if it is there.")] = True,
    plot: Annotated[Path | None, typer.Option(help="Draw it into this PNG file.", show_default=False)] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/bench.md.")] = False,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False,
                     help="Write that page, and keep what was written into it by hand."),
    ] = None,
    read: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="FILE", show_default=False,
                     help="Measure nothing: show these files of --json together; the last one counts."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")] = False,
) -> None:  # fmt: skip
    """Measure training, answering and single ops, in turns with PyTorch: same network, weights and batch on both sides.

    Also the first call's compiling, and the machine's best matrix product. All of it takes about ten minutes. A ratio
    below 1 says that tinycnn is faster. The exit status is 1 if a case failed, if the two sides did not do the same, or
    if a promise of --data does not hold.
    """
    from tinycnn.bench.machine import cores, machine
    from tinycnn.bench.rows import joined, with_peak, wrong

    threads = threads or cores()
    _refuse_both({"--case": case, "--scaling": scaling, "--ladder": ladder, "--data": data, "--from": read})
    if data:
        _refuse_both({"--data": data, "--plot": plot, "--markdown": markdown, "--page": page})
        return _data(quick, threads, as_json)
    if read:
        rows = joined(_rows_in(path) for path in read)
    else:
        seconds = (1.0 if quick else 8.0) if seconds is None else seconds
        run = Run(quick, seconds, threads, machine(threads), None if with_torch else False)
        rows = run.ladder() if ladder else run.scaling() if scaling else run.cases(case or [])
    rows = with_peak(rows)
    _show(rows, as_json, markdown, page, plot)
    if wrong(rows):
        raise typer.Exit(1)
    return None


def _refuse_both(given: dict[str, Any]) -> None:
    """ValueError if more than one of these is given."""
    found = [name for name, value in given.items() if value]
    if len(found) > 1:
        raise ValueError(f"{found[0]} and {found[1]} do not go together: ask for one at a time")


def _show(rows: list[Any], as_json: bool, markdown: bool, page: Path | None, plot: Path | None) -> None:
    """As asked for; the figure last, so that nothing is lost if there is nothing to draw."""
    from tinycnn.bench import page as pages
    from tinycnn.bench.table import table

    if page is not None:
        pages.write(rows, page)
    if as_json or not (markdown or page):
        print(json.dumps(rows, indent=1) if as_json else table(rows))
    elif markdown:
        print(pages.page(rows), end="")
    if plot is not None:
        from tinycnn.bench.figures import picture
        from tinycnn.plot.style import save

        save(picture(rows), plot)


@dataclass(frozen=True)
class Run:
    """How to measure; each of its methods shows a bar on standard error that names what is being measured."""

    quick: bool
    seconds: float
    threads: int
    machine: str
    torch: bool | None

    def cases(self, names: list[str]) -> list[Any]:
        """Rows of these cases, or of all."""
        from tinycnn.bench.cases import chosen
        from tinycnn.bench.cold import first_steps
        from tinycnn.bench.peaks import in_turns, peaks
        from tinycnn.bench.turns import measure_all

        apart = ["peak", "compile"]  # from the cases
        wanted = [name for name in apart if name in names or not (names or self.quick)]
        patterns = [name for name in names if name not in apart]
        cases = [] if names and not patterns else chosen(patterns, self.quick)
        where = (self.threads, self.machine)
        with _bar(len(cases) + 7 * ("peak" in wanted) + 4 * ("compile" in wanted)) as now:
            rows = peaks(*where, now, self.torch) if "peak" in wanted else []
            with in_turns(cases, rows, *where, self.torch) as peak:
                rows += measure_all(cases, self.seconds, *where, now, self.torch, peak, self.quick)
            return rows + (first_steps(*where, now) if "compile" in wanted else [])

    def scaling(self) -> list[Any]:
        """Rows of every size of every sweep."""
        from tinycnn.bench.scaling import scaling, sizes_of

        with _bar(sizes_of(self.quick)) as now:
            return scaling(self.seconds / 8, self.threads, self.machine, now, self.torch, self.quick)

    def ladder(self) -> list[Any]:
        """Rows of every rung."""
        from tinycnn.bench.rungs import measure

        with _bar(2 - self.quick) as now:
            return measure(self.threads, self.machine, self.quick, now)


def _data(quick: bool, threads: int, as_json: bool) -> None:
    """The promises of the data path."""
    from tinycnn.bench.pictures import PARTS, as_text
    from tinycnn.bench.talk import Child

    found: list[Any] = []
    with _bar(len(PARTS)) as now, Child("ours", threads) as child:
        for part, what in PARTS.items():
            now(what)
            found += child.ask("call", 120.0, module="pictures", function="promises", quick=quick, parts=[part])
    print(json.dumps(found, indent=1) if as_json else as_text(found))
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
