"""`tinycnn data`: what a data set holds, how it looks, and where to get the known ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Look at a data set, draw it, or fetch a known one.", no_args_is_help=True, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

Where = Annotated[
    Path,
    typer.Argument(
        help="A folder of class folders, or of images/ and masks/; a CSV table; MNIST's or CIFAR's files.",
        show_default=False,
    ),
]


@app.command(epilog="Example: tinycnn data info pictures/")
def info(
    path: Where,
    grey: Annotated[bool, typer.Option("--grey", help="Read picture files in one channel.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")] = False,
) -> None:
    """Say what a data set is: how many pictures of what sizes, its classes, mean and spread, and its bad files.

    Every picture is read. The exit status is 1 if any cannot be.
    """
    from tinycnn.data.survey import survey

    found = survey(path, channels=1 if grey else 3)
    print(json.dumps(found.as_dict(), indent=2) if as_json else found)
    if found.bad:
        raise typer.Exit(1)


@app.command(epilog="Example: tinycnn data show pictures/ --out sheet.png --count 24")
def show(
    path: Where,
    out: Annotated[Path, typer.Option(help="The PNG file to write.")] = Path("sheet.png"),
    count: Annotated[int, typer.Option(min=1, max=400, help="How many pictures to show.")] = 40,
    size: Annotated[int, typer.Option(min=0, help="Resize picture files to squares; 0: the size of the first.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Chooses which pictures.")] = 0,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out files that cannot be used.")] = False,
) -> None:
    """Draw a contact sheet: some pictures with their labels, or with their masks laid over them."""
    from tinycnn.data.survey import sample
    from tinycnn.plot.sheet import contact_sheet
    from tinycnn.plot.style import save

    data = sample(path, count, (size, size) if size else None, seed, skip_bad)
    save(contact_sheet(data, most=count), out)
    print(f"{len(data)} of {path} → {out}")


@app.command(epilog="Example: tinycnn data fetch mnist --to data/mnist")
def fetch(
    name: Annotated[str, typer.Argument(help="mnist, fashion-mnist, cifar10 or cifar100.", show_default=False)],
    to: Annotated[Path, typer.Option(help="The folder to put it into.", show_default=False)],
) -> None:
    """Fetch a known data set from where it is published: checked by SHA-256, whole or not at all.

    A fetch that was interrupted goes on where it stopped, if it is asked for again.
    """
    from tinycnn.data.fetch import fetch as fetch_files

    bars: dict[str, Any] = {}
    try:
        files = fetch_files(name, to, lambda file, done, size: _show(bars, file, done, size))
    finally:
        for bar in bars.values():
            bar.close()
    for file in files:
        print(file)


def _show(bars: dict[str, Any], file: str, done: int, size: int) -> None:
    """A bar on standard error for each file; nothing where that is no terminal."""
    from tqdm.std import tqdm

    if file not in bars:
        bars[file] = tqdm(total=size, desc=file, unit="B", unit_scale=True, file=sys.stderr, leave=False, disable=None)
    bars[file].update(done - bars[file].n)
