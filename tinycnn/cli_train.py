"""`tinycnn train`, `evaluate`, `sweep` and `capacity`: from data on disk to a trained network, and its judgement."""

from __future__ import annotations

import contextlib
import itertools
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

DATA = typer.Argument(
    help="A bundled set (digits, shapes), a folder of class folders or of train/ and test/, of images/ and masks/, a "
    "CSV table, MNIST's or CIFAR's files.", show_default=False,
)  # fmt: skip
Data = Annotated[str, DATA]
Config = Annotated[Path | None, typer.Option(help="A TOML file of settings; flags are stronger.", show_default=False)]
Net = Annotated[str, typer.Option(help="A network of the zoo [default: the config's, or digits].", show_default=False)]
Epochs = Annotated[int | None, typer.Option(help="How often to go through the pictures.", show_default=False)]
Batch = Annotated[int | None, typer.Option(help="Pictures in one step.", show_default=False)]
Rate = Annotated[float | None, typer.Option(help="The learning rate.", show_default=False)]
Optimizer = Annotated[str, typer.Option(help="gd, sgd, momentum, nesterov, adam, …", show_default=False)]
Seed = Annotated[int | None, typer.Option(help="Chooses the first weights and all order [0].", show_default=False)]
Val = Annotated[float | None, typer.Option(help="The share held out to watch by [0.1].", show_default=False)]
Size = Annotated[str, typer.Option(help="Resize pictures to this: 64 or 48x64 [the network's].", show_default=False)]
Grey = Annotated[bool | None, typer.Option("--grey/--colour", help="One channel, or three.", show_default=False)]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out files that cannot be used, and say so.")]
EPILOGS = {
    "train": "Example: tinycnn train digits --epochs 10 --out runs/digits",
    "evaluate": "Example: tinycnn evaluate runs/digits digits",
    "sweep": "Example: tinycnn sweep digits --try lr=0.0001..0.01 --try batch_size=16,64 --random 8 --epochs 3",
    "capacity": "Example: tinycnn capacity digits --epochs 8",
}
Json = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output; progress on standard error.")]


def train(
    data: Data = "",
    out: Annotated[Path, typer.Option(help="The folder of the run.")] = Path("runs/train"),
    config: Config = None, net: Net = "", epochs: Epochs = None, batch_size: Batch = None, lr: Rate = None,
    optimizer: Optimizer = "", seed: Seed = None, val: Val = None, size: Size = "", grey: Grey = None,
    skip_bad: SkipBad = False,
    patience: Annotated[
        int | None, typer.Option(help="Stop when the validation loss is no better for this long.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, if there is one.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Train a network on a data set, and write the run to a folder: model, history, curves, checkpoints.

    Ctrl-C ends a run saved; --resume goes on with it to the same bits.
    """
    from tinycnn.runs.folder import written
    from tinycnn.runs.run import train_run

    told = _settings(config, data, net, epochs, batch_size, lr, optimizer, seed, val, size, grey, skip_bad, patience)
    with _told_apart(as_json), _how_to_go_on(out):
        result = train_run(told, out, resume)
    if as_json:
        print(json.dumps(result, indent=1))
        return
    for name, words in (("val", "held out"), ("test", "to be judged on")):
        if name in result:
            print(f"\nThe pictures {words}: " + ", ".join(f"{k} {v:.4f}" for k, v in result[name].items()))
    print(f"\nWritten to {out}: " + ", ".join(written(out)))


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model file, or the folder of a run.", show_default=False)],
    data: Data, skip_bad: SkipBad = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Judge a trained network on a data set: the loss, every class, and who is taken for whom.

    Of a set with parts it is the one to be judged on.
    """
    from tinycnn.runs.judging import judge

    found = judge(model, data, skip_bad)
    print(json.dumps(found.as_dict(), indent=1) if as_json else found)


def sweep(
    data: Data,
    tries: Annotated[
        list[str], typer.Option("--try", help="What to try: lr=0.01,0.1 or lr=0.0001..0.1.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The folder of the sweep.")] = Path("runs/sweep"),
    random: Annotated[
        int | None, typer.Option(min=1, help="Draw so many trials, instead of all combinations.", show_default=False)
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Trials at a time, each in a process of its own.")] = 1,
    config: Config = None, net: Net = "", epochs: Epochs = None, batch_size: Batch = None, lr: Rate = None,
    optimizer: Optimizer = "", seed: Seed = None, val: Val = None, size: Size = "", grey: Grey = None,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Train with many settings, and say which did best; the same command goes on where it was interrupted."""
    from tinycnn.runs.network import with_recipe
    from tinycnn.runs.sweep import sweep as run_sweep
    from tinycnn.runs.trials import choices, tried

    told = with_recipe(
        _settings(config, data, net, epochs, batch_size, lr, optimizer, seed, val, size, grey, skip_bad)
    )
    trials = choices(tried(tries), random, told.seed or 0)
    in_words = lambda row: _trial_in_words(row, trials[row["trial"] - 1])  # noqa: E731
    with _told_apart(as_json), _stopped(), _counter(len(trials), "trial") as count:
        rows = run_sweep(told, trials, out, workers, lambda row: count(in_words(row)))
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    print(*map(in_words, rows), sep="\n")
    print(f"\nAll of it is in {out / 'sweep.csv'}; every trial is a run of its own in {out}.")


def capacity(
    data: Data,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("runs/capacity"),
    widths: Annotated[str, typer.Option(help="Multiples of the network's filters and units.")] = "0.1,0.25,0.5,1,2",
    sizes: Annotated[
        str, typer.Option(help="How many pictures to learn from [a tenth, a third, all].", show_default=False)
    ] = "",
    config: Config = None, net: Net = "", epochs: Epochs = None, batch_size: Batch = None, lr: Rate = None,
    optimizer: Optimizer = "", seed: Seed = None, val: Val = None, size: Size = "", grey: Grey = None,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Which size of network do these data want? Train it at several widths, and show where it under- and overfits."""
    from tinycnn.plot.capacity import capacity as draw
    from tinycnn.plot.style import save
    from tinycnn.runs.capacity import measure_capacity, verdicts
    from tinycnn.runs.network import usual_shape, with_recipe
    from tinycnn.runs.parts import open_parts

    told = with_recipe(
        _settings(config, data, net, epochs, batch_size, lr, optimizer, seed, val, size, grey, skip_bad)
    )
    parts = open_parts(told, usual_shape(told))
    many = len(parts.train)
    amounts = _numbers("--sizes", sizes, int) if sizes else [max(many // 10, 20), many // 3, many]
    wide = _numbers("--widths", widths, float)
    with _told_apart(as_json), _stopped(), _counter(len(wide) * len(amounts), "network") as count:
        trials = measure_capacity(told, parts, wide, amounts, out, lambda trial: count(
            f"width {trial.width:g} on {trial.pictures:,} pictures:  val_loss {trial.val_loss:.4f}"))  # fmt: skip
    save(draw(trials), out / "capacity.png")
    if as_json:
        print(json.dumps([asdict(trial) for trial in trials], indent=1))
        return
    print(*verdicts(trials), sep="\n")
    print(f"\nDrawn in {out / 'capacity.png'}")


def _settings(config: Path | None, data: str, net: str, epochs: Any, batch_size: Any, lr: Any, optimizer: str,
              seed: Any, val: Any, size: str, grey: Any, skip_bad: bool, patience: Any = None) -> Any:  # fmt: skip
    """What the flags say, over what the file says."""
    from tinycnn.runs.settings import Settings, read_settings

    told = {"data": data, "net": net or None, "epochs": epochs, "batch_size": batch_size, "lr": lr, "val": val,
            "grey": grey, "patience": patience, "skip_bad": skip_bad or None, "seed": seed, "size": _size(size),
            "optimizer": {"name": optimizer} if optimizer else None}  # fmt: skip
    flags = Settings(**{name: value for name, value in told.items() if value is not None})
    return flags if config is None else flags.over(read_settings(config))


def _size(text: str) -> tuple[int, int] | None:
    """`64` or `48x64` as (height, width)."""
    if not text:
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise ValueError(f"--size reads 64 or 48x64 (height x width), got {text!r}")
    return int(sides[0]), int(sides[-1])


def _numbers(name: str, text: str, kind: type) -> list[Any]:
    try:
        return list(dict.fromkeys(kind(word) for word in text.split(",")))  # one said twice is asked once
    except ValueError:
        example = "100,1000" if kind is int else "0.5,1,2"
        raise ValueError(f"{name} reads {example}; got {text!r}") from None


@contextlib.contextmanager
def _how_to_go_on(out: Path) -> Iterator[None]:
    """A run that Ctrl-C or SIGTERM ends says where it stopped, and which command goes on with it."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        from tinycnn.runs.folder import LAST

        if isinstance(error, KeyboardInterrupt):  # SIGTERM has said its words
            print("tinycnn: " + (str(error).partition(": go on with")[0] or "stopped"), file=sys.stderr)
        if (out / LAST).exists():
            print(f"tinycnn: go on with: tinycnn train --out {shlex.quote(str(out))} --resume", file=sys.stderr)
        raise


def _told_apart(as_json: bool) -> contextlib.AbstractContextManager[Any]:
    """Where JSON is wanted, all else goes to standard error."""
    return contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()


@contextlib.contextmanager
def _stopped() -> Iterator[None]:
    """What Ctrl-C ends says that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        print("tinycnn: stopped; the same command goes on from here", file=sys.stderr)
        raise


@contextlib.contextmanager
def _counter(total: int, unit: str) -> Iterator[Callable[[str], None]]:
    """A bar on standard error; where that is no terminal, a line for each that is done."""
    from tqdm.std import tqdm

    with tqdm(total=total, unit=unit, file=sys.stderr, leave=False, disable=None) as bar:
        done = itertools.count(1)

        def count(words: str) -> None:
            number = next(done)
            bar.update()
            if bar.disable:
                print(f"{number} of {total}  {words}", file=sys.stderr, flush=True)

        yield count


def _trial_in_words(row: Mapping[str, Any], choice: Mapping[str, Any]) -> str:
    values = ", ".join(f"{name} {row[name]}" for name in choice)
    numbers = ", ".join(f"{k} {v:.4f}" for k, v in row.items() if k.startswith("val_") and v is not None)
    return f"trial {row['trial']:4}  {values}:  {row['failed'] or numbers}"
