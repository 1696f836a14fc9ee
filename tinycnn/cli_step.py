"""`tinycnn step`: go through one training step of a network, in the terminal or as a page."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tinycnn.model.sequential import Sequential
    from tinycnn.tracing import Trace

EPILOG = "Example: tinycnn step --layer conv1 --phase backward"
LAB_EPILOG = "Example: tinycnn lab --out lab.html"


def step(
    model: Annotated[
        Path | None,
        typer.Option(help="A model file [default: the demo's network after an epoch; a small one for --html].",
                     show_default=False),
    ] = None,
    image: Annotated[
        str, typer.Option(help="A picture file, or the number of a bundled digit of the test part.")
    ] = "0",
    label: Annotated[
        str, typer.Option(help="The right class of a picture file [default: what the model takes it for].")
    ] = "",
    layer: Annotated[str, typer.Option(help="Begin at this layer; with --plain, show it alone.")] = "",
    phase: Annotated[str, typer.Option(help="Begin at forward, backward, check or update; with --plain, alone.")] = "",
    plain: Annotated[bool, typer.Option("--plain", help="Print the steps, without keys.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page for the browser instead.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the trace as JSON instead.")] = False,
) -> None:
    """Go through one training step: every layer forward and back, the update, and every number with its sum."""
    network = _checked(model, html, image, layer, phase)
    found = _trace(network, model is None, image, label)
    steps = found.find(layer or None, phase or None)
    if not steps:
        raise ValueError(f"layer {layer!r} has no step in phase {phase!r}")
    if html is not None:
        found.save_html(html)
        print(f"{html}: open it in a browser; ? tells the keys")
    elif as_json:
        print(json.dumps(found.as_dict(), ensure_ascii=False, allow_nan=False))
    elif plain:
        for one in steps:
            found.print(one.number)
    else:
        found.play(steps[0].number)


def lab(out: Annotated[Path, typer.Option(help="The page to write.")] = Path("lab.html")) -> None:
    """Write the lab: a page on which a convolution is worked out anew as you change its settings."""
    from tinycnn.tracing.lab import save_lab

    save_lab(out)
    print(f"{out}: open it in a browser")


def _checked(path: Path | None, html: Path | None, image: str, layer: str, phase: str) -> Sequential:
    """The network, once it is sure that it has this layer and takes this picture; ours is not yet trained."""
    from tinycnn.model import load
    from tinycnn.tracing.lesson import digits, untrained
    from tinycnn.tracing.recorded import PHASES

    network = untrained(small=html is not None) if path is None else load(path)
    if layer:
        network.layer(layer)
    if phase and phase not in PHASES:
        raise ValueError(f"no phase {phase!r}; there are {', '.join(PHASES)}")
    if html is not None and html.is_dir():
        raise IsADirectoryError(f"--html must be a file, and {html} is a folder")
    if not image.isdecimal():
        if not Path(image).is_file():
            raise FileNotFoundError(f"--image {image}: no such file, and no number of a bundled digit")
        return network
    _, test = digits()
    if int(image) >= len(test):
        raise ValueError(f"--image {image}: the bundled digits to show are 0 to {len(test) - 1}")
    if network.input_shape != test.x.shape[1:]:
        sizes = f"the model takes {network.input_shape}, and a bundled digit is {test.x.shape[1:]}"
        raise ValueError(f"{sizes}: give a picture, --image FILE")
    return network


def _trace(network: Sequential, ours: bool, image: str, label: str) -> Trace:
    """The trace of a picture, or a bundled digit, through the network; ours is trained a little first."""
    from tinycnn.tracing import trace
    from tinycnn.tracing.lesson import digits, train_a_little

    if ours:
        print("Training for one epoch …", file=sys.stderr)
        train_a_little(network)
    if not image.isdecimal():
        x, y = _picture(network, Path(image), label)
    else:
        _, test = digits()
        x, y = test.x[int(image)], int(test.y[int(image)])
    return trace(network, x, y if network.loss is not None else None)


def _picture(model: Sequential, path: Path, label: str) -> tuple[Any, int]:
    """A picture file as the model's input, and its class: as told, or what the model takes it for."""
    from tinycnn.runs.asking import read_input

    x, _ = read_input(model, path)
    classes = model.classes or tuple(map(str, range(model.predict(x[None]).shape[1])))
    if label and label not in classes:
        raise ValueError(f"--label {label}: the model's classes are {', '.join(classes)}")
    return x, classes.index(label) if label else int(model.predict_classes(x[None])[0])
