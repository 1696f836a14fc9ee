"""What the step-through shows when it is given no network: the demo's, or for the page one small enough to mail."""

from __future__ import annotations

import functools

from tinycnn import data, zoo
from tinycnn.data import Dataset
from tinycnn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from tinycnn.model.sequential import Sequential
from tinycnn.optim import Adam


@functools.cache
def digits() -> tuple[Dataset, Dataset]:
    """The digits to learn from, and those to show."""
    train, _, test = data.load_digits()
    return train, test


def untrained(small: bool = False) -> Sequential:
    """The demo's network, or a small one with every kind of layer that it has and 690 weights in place of 30,634."""
    return _small() if small else zoo.digits()


def train_a_little(model: Sequential) -> Sequential:
    """Train for one epoch: it then reads most digits, and its gradients are still large enough to see."""
    rate = 3e-3 if model.count_params() < 1000 else 1e-3
    model.compile(optimizer=Adam(rate), loss="cross_entropy", metrics=["accuracy"])
    train, _ = digits()
    model.fit(train.x, train.y, epochs=1, batch_size=32, verbose=0)
    return model


def _small() -> Sequential:
    layers = [Conv2D(4, 3, padding="same"), ReLU(), MaxPool2D(2), Flatten(), Dense(10)]
    return Sequential(layers, input_shape=(1, 8, 8), classes=[str(d) for d in range(10)],
                      preprocessing={"reader": "digit", "range": [0, 1]})  # fmt: skip
