"""The command line: `tinycnn demo`, `predict`, `verify`. One clear line for an error; its traceback with --debug."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from tinycnn import cli_bench, cli_step, cli_train
from tinycnn.cli_data import app as data_commands

app = typer.Typer(
    help="Convolutional networks from scratch: train one, watch it, prove it.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

app.add_typer(data_commands, name="data")
for _name, _epilog in cli_train.EPILOGS.items():
    app.command(epilog=_epilog)(getattr(cli_train, _name))
app.command(epilog=cli_step.EPILOG)(cli_step.step)
app.command(epilog=cli_bench.EPILOG)(cli_bench.bench)
app.command(epilog=cli_step.LAB_EPILOG)(cli_step.lab)
Json = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output; progress on standard error.")]
_debug = False


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    global _debug
    _debug = debug


@app.command(epilog="Example: tinycnn demo --epochs 5 --out runs/short")
def demo(
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("runs/demo"),
    epochs: Annotated[int, typer.Option(min=1, help="How often to go through the training pictures.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the first weights and the order of the pictures.")] = 0,
    as_json: Json = False,
) -> None:
    """Train a network on the bundled digits, prove its gradients, judge it, and draw what it learned."""
    from tinycnn.demo import run_demo

    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out must be a folder, and {out} is a file")
    out.mkdir(parents=True, exist_ok=True)  # a folder that cannot be made is an error before training, not after
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        result = run_demo(out, epochs, seed)
    if as_json:
        print(result.as_json())
    if not result.gradients_pass:
        raise typer.Exit(1)


@app.command(epilog="Example: tinycnn predict runs/demo/model.safetensors runs/demo/digit.png, and for a network "
             "that learned from masks: tinycnn predict runs/cells new/*.png --masks found/")
def predict(
    model: Annotated[Path, typer.Argument(help="A model file, or the folder of a run.", show_default=False)],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE…", help="PNG, JPEG, BMP, GIF or TIFF files.", show_default=False)
    ],
    invert: Annotated[
        bool | None,
        typer.Option("--invert/--no-invert", help="Whether the ink is darker than the paper [default: look at it]."),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Write a mask for each picture into this folder.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what a picture shows: it is read, cut and scaled as the pictures were that the model learned from.

    Of a network that gives a class for each pixel, the share of every class; --masks writes them as PNG files, a mask
    as large as its picture and of its name, in which a pixel of value k is class k, shown in that class's colour.
    """
    from tinycnn.model import load
    from tinycnn.runs.asking import predict_file
    from tinycnn.runs.folder import model_file
    from tinycnn.runs.masks import gives_masks, in_words, predict_masks

    network = load(model_file(model))
    if masks is not None or gives_masks(network):
        pixels = predict_masks(network, images, masks, invert)
        print(json.dumps(pixels, indent=2) if as_json else in_words(pixels))
        return
    found = [predict_file(network, image, invert) for image in images]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    width = max(len(str(image)) for image in images)
    for one in found:
        ranked = sorted(one["probabilities"].items(), key=lambda item: -item[1])
        rest = ", ".join(f"{c} {p:.1%}" for c, p in ranked[1:3])
        why = "as asked" if invert else "dark on light"
        note = f"  (inverted: {why})" if one["inverted"] else ""
        print(f"{one['image']:{width}}  {one['class']}  {ranked[0][1]:.1%}   then {rest}{note}")


@app.command(epilog="Example: tinycnn verify conv2d softmax --thorough")
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[FORMULA]…", help="Only these formulas.", show_default=False)
    ] = None,
    backend: Annotated[
        str, typer.Option(help="Which rung serves the ops: loops, numpy, njit, numba or all [default: numba, numpy].")
    ] = "",
    thorough: Annotated[bool, typer.Option("--thorough", help="Draw more cases; takes some minutes.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the cases that are drawn.")] = 0,
    mutants: Annotated[
        bool, typer.Option("--mutants", help="Instead, put real bugs (or those named) into the code: who notices?")
    ] = False,
    as_json: Json = False,
) -> None:
    """Hold every formula to its witnesses: its own loops, numerical derivatives, and what PyTorch computed.

    The ops are asked on the rung that serves unless you choose another, and on NumPy's, which every other falls back
    to; --backend all adds the two slow ones. A row tells the witness, how it was asked, over how many cases, the worst
    relative error and what is allowed. The exit status is 1 if any row failed; with --mutants, if a bug was not caught
    or the code without it was found wrong.
    """
    from tinycnn.backends import RUNGS
    from tinycnn.verify.report import summary, table, without_proof
    from tinycnn.verify.witness import witness

    if mutants:
        _try_mutants(names or [], as_json)
        return
    started = time.monotonic()
    rungs = {"": ("numba", "numpy"), "all": tuple(RUNGS)}
    rows = witness(names or (), rungs.get(backend, backend), thorough, seed, _bar)
    if as_json:
        print(json.dumps([row.as_dict() for row in rows], indent=1))
    else:
        print(table(rows), summary(rows, time.monotonic() - started), sep="\n\n")
    missing = "" if names else without_proof(rows)
    if missing:
        print(missing, file=sys.stderr)
    if missing or not all(row.passed for row in rows):
        raise typer.Exit(1)


def _bar(jobs: list[Any]) -> Any:
    """Hand out the jobs one by one, with a bar on standard error that names each; nothing where it is no terminal."""
    from tqdm.std import tqdm

    shown = tqdm(jobs, file=sys.stderr, unit="", leave=False, disable=None)
    for job in shown:
        shown.set_postfix_str(job[0], refresh=True)
        yield job


def _try_mutants(names: list[str], as_json: bool) -> None:
    """Print what became of each mutant, and stop with status 1 if one was missed or a control was not clean."""
    from tinycnn.verify.museum.trial import as_dicts, trials, verdicts

    found = [trial for _, job in _bar(trials(names)) for trial in job()]
    if as_json:
        print(json.dumps(as_dicts(found), indent=1))
    else:
        print(verdicts(found))
    if not all(trial.as_it_should_be for trial in found):
        raise typer.Exit(1)


@app.command(epilog="Example: tinycnn check mine.py --hint 3, and for many: tinycnn check --batch submissions --csv")
def check(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]…", help="Python files with your ops.", show_default=False)
    ] = None,
    hint: Annotated[
        int, typer.Option(min=1, max=3, help="How much to tell: 1 where it fails, 2 the case, 3 the likely mistake.")
    ] = 2,
    batch: Annotated[
        Path | None, typer.Option(help="Check every .py file of this folder, a line an op.", show_default=False)
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the lines as CSV.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the cases.")] = 0,
    as_json: Json = False,
) -> None:
    """Hold your own ops to the formulas: a function named conv2d_forward, softmax_backward, adam_step, f1 and so on.

    Each is asked fresh cases in a process of its own, with limits on time, memory and files. It passes, or you see the
    smallest case that fails. The exit status is 1 if anything is wrong.
    """
    from tinycnn.checking import check_file
    from tinycnn.checking.table import as_lines

    if batch is not None and not batch.is_dir():
        raise NotADirectoryError(f"--batch must be a folder, and {batch} is none")
    chosen = [*(files or []), *(sorted(batch.glob("*.py")) if batch else [])]
    if not chosen:
        raise ValueError(f"there is no .py file in {batch}" if batch else "name a file to check, or --batch FOLDER")
    reports = [check_file(path, seed) for _, path in _bar([(path.name, path) for path in chosen])]
    several = batch is not None or len(chosen) > 1
    if as_json:
        print(json.dumps([r.as_dict() for r in reports] if several else reports[0].as_dict(), indent=1))
    elif as_csv or several:
        print(as_lines(reports, as_csv))
    else:
        print(reports[0].text(hint, max(60, min(100, shutil.get_terminal_size().columns))))
    if not several and reports[0].nothing:
        raise typer.Exit(2)
    if not all(report.passed for report in reports):
        raise typer.Exit(1)


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line: exit status 0 for fine, 1 for a check that failed, 2 for bad usage or bad input.

    A warning is a line as an error is, without the place in the code that it comes from.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"tinycnn: {in_options(str(message))}", file=sys.stderr)
            app(arguments)
    except KeyboardInterrupt:
        print("tinycnn: stopped", file=sys.stderr)
        sys.exit(130)
    except (ValueError, TypeError, OSError, FloatingPointError, RuntimeError, KeyError) as error:
        if _debug:
            raise
        said = error.args[0] if isinstance(error, KeyError) and error.args else error  # str(KeyError) is in quotes
        print(f"tinycnn: {in_options(str(said))}", file=sys.stderr)
        sys.exit(2)


def in_options(text: str) -> str:
    """What an error advises to do in Python, as the command line says it.

    >>> in_options("Leave them out with skip_bad=True.")
    'Leave them out with --skip-bad.'
    """
    for python, option in (("skip_bad=True", "--skip-bad"), ("a size=(H, W) for all", "a --size for all")):
        text = text.replace(python, option)
    return text


if __name__ == "__main__":
    main()
