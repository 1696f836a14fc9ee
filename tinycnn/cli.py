"""The command line: `tinycnn demo`, `tinycnn predict`. One clear line for an error; its traceback with --debug."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Convolutional networks from scratch: train one, watch it, prove it.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

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


@app.command(epilog="Example: tinycnn predict runs/demo/model.safetensors runs/demo/digit.png")
def predict(
    model: Annotated[Path, typer.Argument(help="A model file, such as demo writes.", show_default=False)],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="PNG, JPEG or BMP files.", show_default=False)],
    invert: Annotated[
        bool | None,
        typer.Option("--invert/--no-invert", help="Whether the ink is darker than the paper [default: look at it]."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which digit a picture shows; the picture is first cropped to its ink, as the training pictures are."""
    from tinycnn.demo import predict_file
    from tinycnn.model import load

    network = load(model)
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


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line: exit status 0 for fine, 1 for a check that failed, 2 for bad usage or bad input."""
    try:
        app(arguments)
    except KeyboardInterrupt:
        print("tinycnn: stopped", file=sys.stderr)
        sys.exit(130)
    except (ValueError, TypeError, OSError, FloatingPointError, RuntimeError, KeyError) as error:
        if _debug:
            raise
        print(f"tinycnn: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
