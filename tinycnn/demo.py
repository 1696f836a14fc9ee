"""The main job in one go: train a network on real digits, prove its gradients, judge it, and show what it learned."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn import backends, data, zoo
from tinycnn.data import Dataset
from tinycnn.demo_figures import FIGURES, Drawing, drawing_beside
from tinycnn.files import write_whole
from tinycnn.model.sequential import Sequential
from tinycnn.optim import Adam
from tinycnn.train.history import History
from tinycnn.train.metrics import confusion_matrix
from tinycnn.verify import check_model

EPOCHS = 20
CHECKED_EXAMPLES = 8  # the gradient is proved on so many pictures
# The kernels that are compiled on the first run, in the order in which they are needed.
TRAINING = (
    "conv._forward", "winograd._convolve", "linear._forward", "loss._losses", "loss._gradients", "linear._backward",
    "winograd_weights._gather", "winograd_weights._finish", "conv._backward", "conv_pack._unpack_sums", "steps._broken",
    "steps._adam",
)  # fmt: skip
PROOF = (
    "conv._forward", "activation._relu", "pool._choose_of_four", "linear._dot", "loss._losses", "loss._gradients",
    "linear._backward", "pool._route_to_four", "activation._cut", "conv._backward", "conv_pack._unpack_sums",
)  # fmt: skip
SAMPLE_SCALE = 24  # the sample picture's pixels are drawn this many times as large


@dataclass(frozen=True)
class DemoResult:
    """What the demo found: everything that `--json` prints."""

    test_accuracy: float
    worst_gradient_error: float
    gradients_pass: bool
    seconds: float
    files: tuple[str, ...]

    def as_json(self) -> str:
        """The result as JSON."""
        fields = {k: getattr(self, k) for k in ("test_accuracy", "worst_gradient_error", "seconds", "files")}
        return json.dumps(fields, indent=2)


def train_digits(
    train: Dataset, val: Dataset | None, seed: int, epochs: int = EPOCHS, verbose: int = 1
) -> tuple[Sequential, History]:
    """Train the demo's network: as the demo does, and as cross-validation does on other parts of the data."""
    model = zoo.digits(seed)
    model.compile(optimizer=Adam(1e-3), loss="cross_entropy", metrics=["accuracy"])
    validation = None if val is None else (val.x, val.y)
    history = model.fit(train.x, train.y, epochs=epochs, batch_size=32, validation_data=validation, verbose=verbose)
    return model, history


def run_demo(out: str | Path = "runs/demo", epochs: int = EPOCHS, seed: int = 0) -> DemoResult:
    """Train, check, evaluate and write everything to `out`, telling the story on standard output."""
    started = time.perf_counter()
    train, val, test = data.load_digits()
    print(f"Handwritten digits: {len(train)} to learn from, {len(val)} to watch by, {len(test)} to be judged on.\n")
    print(zoo.digits(seed).summary(), end="\n\n")
    with drawing_beside() as drawing:
        with _kernels_ahead():
            model, history = train_digits(train, val, seed, epochs, verbose=1)
            drawing.begin(**_to_draw(Path(out), model, history, test))
            report = _prove(model, train, seed)
        loss, accuracy = model.evaluate(test.x, test.y)  # the one look at the test part
        wrong = round((1 - accuracy) * len(test))
        print(f"Test accuracy {accuracy:.2%}: {wrong} of {len(test)} unseen pictures taken for another digit "
              f"(loss {loss:.3f}).\n")  # fmt: skip
        print(f"Drawing the figures and writing all of it to {out} …", flush=True)
        files = write_results(Path(out), model, history, test, drawing)
    result = DemoResult(accuracy, report.worst_error, report.passed, time.perf_counter() - started, files)
    _say_what_next(Path(out), result)
    return result


def _prove(model: Sequential, train: Dataset, seed: int) -> Any:
    """Check the gradient on the pictures where p − t is not all rounding, and say how it went."""
    print("\nAsking every gradient for proof …", flush=True)
    hardest = least_sure(model.predict_proba(train.x), train.y)[:CHECKED_EXAMPLES]
    report = check_model(model, train.x[hardest].astype(np.float64), train.y[hardest], seed=seed)
    verdict = "proved" if report.passed else f"WRONG\n{report}"
    print(f"Gradients of this very network against the complex step: worst relative error "
          f"{report.worst_error:.1e}, {verdict}.")  # fmt: skip
    return report


@contextmanager
def _kernels_ahead() -> Iterator[None]:
    """On the first run, a second process compiles half of the kernels, and we say why the first epoch takes so long."""
    if backends.serving() != "numba":
        yield
        return
    from tinycnn.kernels.ahead import compiled_ahead, of_type

    with compiled_ahead(of_type("float32", *TRAINING), of_type("float64", *PROOF)) as first:
        if first:
            print("The first run compiles the kernels for this machine: about half a minute, this once.\n", flush=True)
        yield


def write_results(
    out: Path, model: Sequential, history: History, test: Dataset, drawing: Drawing
) -> tuple[str, ...]:  # fmt: skip
    """Write the model, its history and the page, and wait for the figures; returns the paths."""
    from tinycnn.tracing import trace

    model.save(out / "model.safetensors")
    write_whole(out / "history.json", json.dumps(history.history, indent=2).encode())
    write_whole(out / "digit.png", sample_png(test.x[0]))
    trace(model, test.x[0], test.y[0]).save_html(out / "step.html", "The digit, step by step")
    drawing.finish()
    names = ("model.safetensors", "history.json", *FIGURES, "digit.png", "step.html")
    return tuple(str(out / name) for name in names)


def _to_draw(out: Path, model: Sequential, history: History, test: Dataset) -> dict[str, Any]:
    probabilities = model.predict_proba(test.x)
    shown = hardest_and_others(probabilities, test.y)
    matrix = confusion_matrix(test.y, probabilities, num_classes=len(test.classes))
    return {"out": out, "history": history.history, "matrix": matrix, "w": model.layers[0].params["w"],
            "x": test.x[shown], "probabilities": probabilities[shown], "y": test.y[shown],
            "classes": test.classes}  # fmt: skip


def least_sure(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The pictures in order of the probability of their right class, the least first."""
    return np.argsort(probabilities[np.arange(len(y)), y], kind="stable")


def hardest_and_others(probabilities: np.ndarray, y: np.ndarray, most: int = 8) -> np.ndarray:
    """Which pictures to show: half of them those the network was least sure of, then the first of the set."""
    order = least_sure(probabilities, y)[: most // 2]
    others = np.setdiff1d(np.arange(len(y)), order)[: most - len(order)]
    return np.concatenate([order, others])


def sample_png(x: np.ndarray) -> bytes:
    """One picture (1, H, W) in [0, 1] as a PNG, enlarged so that a person can see it."""
    import io

    from PIL import Image

    pixels = (x[0] * 255).round().astype(np.uint8)
    H, W = pixels.shape
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((W * SAMPLE_SCALE, H * SAMPLE_SCALE), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


def _say_what_next(out: Path, result: DemoResult) -> None:
    print(f"Written in {result.seconds:.0f} s to {out}:")
    for path in result.files:
        print(f"  {Path(path).name}")
    print(
        f"\nTry next (in an activated environment, or with .venv/bin/ before the command):\n"
        f"  tinycnn predict {out / 'model.safetensors'} {out / 'digit.png'}    (or a digit that you drew)\n"
        f"  tinycnn demo --epochs 1 --out runs/short    (what too little training does)\n"
        f"  open {out / 'step.html'} in a browser: every number of one training step, with the sum that made it\n"
        f"In Python, one number of the first layer with the sum that made it:\n"
        f"  import tinycnn as tc\n"
        f'  model = tc.load("{(out / "model.safetensors").as_posix()}")\n'
        f"  train, val, test = tc.data.load_digits()\n"
        f'  tc.explain(model, test.x[0], layer="conv1", index=(0, 3, 4))'
    )
