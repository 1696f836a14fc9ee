"""A training in a process of its own, that goes on from its checkpoint if there is one: for tests that end it.

    python training_child.py FOLDER [EPOCHS]

Prints "begins" after its first step and, at the end, a fingerprint of all that training made.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import tinycnn as tc
from tinycnn import BatchNorm2D, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Sequential
from tinycnn.optim import Adam, CosineDecay, Warmup
from tinycnn.train import Callback, Checkpoint, EarlyStopping, Log


def make() -> Sequential:
    """A network with everything that must be remembered: statistics, chance, a schedule."""
    layers = [Conv2D(4, 3, padding="same"), BatchNorm2D(), ReLU(), Dropout(0.2, per_channel=True), MaxPool2D(2),
              Flatten(), Dropout(0.3), Dense(10)]  # fmt: skip
    model = Sequential(layers, input_shape=(1, 8, 8), seed=7)
    schedule = Warmup(8, then=CosineDecay(60, every="step"))
    model.compile(Adam(0.02, weight_decay=1e-3, schedule=schedule), "cross_entropy", ["accuracy"])
    return model


def train(folder: Path, epochs: int = 6, steps: int | None = 1, callbacks: tuple[Callback, ...] = ()) -> str:
    """Train, from the checkpoint if there is one; the fingerprint of weights, state, history and log."""
    data, val, _ = tc.data.load_digits()
    augment = tc.data.Compose([tc.data.RandomFlip(), tc.data.RandomCrop(8, padding=1)])
    model, log = make(), Log(folder / "log.csv")
    checkpoint = Checkpoint(folder, steps=steps)
    history = model.fit(
        data.x[:90], data.y[:90], epochs=epochs, batch_size=8, validation_data=(val.x[:20], val.y[:20]), verbose=0,
        augment=augment, callbacks=[EarlyStopping(patience=50), log, checkpoint, *callbacks],
        resume_from=checkpoint.last if checkpoint.last.exists() else None,
    )  # fmt: skip
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in log.rows]
    return fingerprint(model, [dict(history), rows])


def fingerprint(model: Sequential, numbers: object) -> str:
    """A digest of every bit."""
    state = model.state_dict()
    found = hashlib.sha256(json.dumps([numbers, state["generators"], state["epochs_seen"]]).encode())
    slots = {f"{k}/{s}": v for k, slots in state["optimizer"]["state"].items() for s, v in slots.items()}
    for key, value in sorted((state["weights"] | state["buffers"] | slots).items()):
        found.update(key.encode() + value.tobytes())
    return f"{found.hexdigest()} steps {state['optimizer']['steps']} epochs {state['optimizer']['epochs']}"


class Begins(Callback):
    """Says so once the first step is done, and everything loaded that it takes."""

    said = False

    def after_step(self, run):
        """Say so."""
        if not self.said:
            print("begins", flush=True)
        self.said = True


if __name__ == "__main__":
    print(train(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 6, callbacks=(Begins(),)), flush=True)
