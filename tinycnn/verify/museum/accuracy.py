"""Why did it still converge? What a small network on the bundled digits reaches with a mutant in its code.

Each mutant gets a network that uses what it breaks: a pool with overlapping windows, a strided convolution in groups,
an optimizer with decay. Trained twice, with and without the mutant, from the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np

from tinycnn.data import load_digits
from tinycnn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    MaxUnpool2D,
    ReLU,
    Softmax,
)
from tinycnn.model import Residual, Sequential
from tinycnn.optim import Adam, AdamW
from tinycnn.verify.museum import Mutant, mutant

Layers = Callable[[], list[Any]]
EXAMPLES, EPOCHS = 640, 6


def _around(*middle: Callable[[], Any]) -> Layers:
    """Two convolutions with something between them, and a vote."""
    return lambda: [
        Conv2D(12, 3, padding="same"), ReLU(), *(make() for make in middle), Conv2D(16, 3, padding="same"), ReLU(),
        MaxPool2D(2), Flatten(), Dense(10),
    ]  # fmt: skip


_PLAIN = _around(lambda: MaxPool2D(2))
NETWORKS: dict[str, Layers] = {
    "pool-overlap-overwritten": _around(lambda: MaxPool2D(3, stride=1, padding=1)),
    "avg-pool-without-gradient": _around(lambda: AvgPool2D(2)),
    "pool-drops-last-window": _PLAIN,
    "pool-pads-with-zero": lambda: [Conv2D(12, 3, padding="same"), MaxPool2D(3, stride=2, padding=1), ReLU(),
                                    Conv2D(16, 3, padding="same"), ReLU(), Flatten(), Dense(10)],
    "pool-backward-unpadded": _around(lambda: MaxPool2D(3, stride=2, padding=1)),
    "pool-gaps-misplaced": _around(lambda: MaxPool2D(2, stride=3)),
    "ceil-mode-divisor": _around(lambda: AvgPool2D(3, stride=2, padding=1, ceil_mode=True, count_include_pad=True)),
    "unpool-forgets-indices": _around(lambda: MaxPool2D(2), lambda: MaxUnpool2D(of="pool1")),
    "transposed-stride-ignored": _around(lambda: MaxPool2D(2), lambda: ConvTranspose2D(8, 2, stride=2)),
    "grouped-strided-dw": _around(lambda: Conv2D(12, 3, stride=2, padding=1, groups=2)),
    "floor-remainder-shape": _around(lambda: Conv2D(12, 3, stride=2)),
    "batchnorm-per-pixel": _around(BatchNorm2D, lambda: MaxPool2D(2)),
    "batchnorm-test-statistics": _around(BatchNorm2D, lambda: MaxPool2D(2)),
    "dropout-not-rescaled": _around(lambda: MaxPool2D(2), lambda: Dropout(0.5, seed=3)),
    "dy-changed-in-place": lambda: [Conv2D(12, 3, padding="same"), Residual([ReLU()]), MaxPool2D(2),
                                    Conv2D(16, 3, padding="same"), Residual([ReLU()]), Flatten(), Dense(10)],
    "softmax-two-errors-cancel": lambda: [*_PLAIN(), Softmax()],
}  # fmt: skip
LOSSES = {"softmax-two-errors-cancel": "sparse_categorical_crossentropy"}


@cache
def accuracy_of(name: str | None, about: str) -> float | None:
    """The test accuracy that the network for `about` reaches with the mutant `name` in force, or (None) without.

    NaN training ends in None: it did not converge.
    """
    train, _, test = load_digits()
    with mutant(name) if name else nullcontext():
        model = Sequential(NETWORKS.get(about, _PLAIN)(), input_shape=(1, 8, 8), seed=1)
        optimizer = AdamW(3e-3, weight_decay=0.1) if about == "adamw-decay-in-moments" else Adam(3e-3)
        model.compile(optimizer=optimizer, loss=LOSSES.get(about, "cross_entropy"), metrics=["accuracy"])
        try:
            with np.errstate(all="ignore"):
                model.fit(train.x[:EXAMPLES], train.y[:EXAMPLES], epochs=EPOCHS, batch_size=32, verbose=0)
                return float(model.evaluate(test.x, test.y, verbose=0)["accuracy"])
        except FloatingPointError:
            return None


def pair(exhibit: Mutant) -> tuple[float | None, float | None]:
    """The accuracy without the mutant, and with it."""
    return accuracy_of(None, exhibit.name), accuracy_of(exhibit.name, exhibit.name)
