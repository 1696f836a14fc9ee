"""Every optimizer learns a handful of real digits by heart: the loss of 64 images falls below a thousandth."""

from __future__ import annotations

from typing import Any

import pytest
from networks import digits

from tinycnn import BatchNorm2D, Conv2D, Dense, Flatten, MaxPool2D, ReLU, Sequential
from tinycnn.optim import OPTIMIZERS
from tinycnn.train import TimeBudget

X, Y = digits(64)
SETTINGS: dict[str, dict[str, Any]] = {  # a rate for each, and how many epochs it may take
    "gd": {"lr": 0.3, "epochs": 3000}, "sgd": {"lr": 0.3, "epochs": 600}, "momentum": {"lr": 0.05, "epochs": 400},
    "nesterov": {"lr": 0.05, "epochs": 400}, "adagrad": {"lr": 0.05, "epochs": 400},
    "rmsprop": {"lr": 0.003, "epochs": 200}, "adadelta": {"lr": 1.0, "epochs": 600},
    "adam": {"lr": 0.01, "epochs": 150}, "adamw": {"lr": 0.01, "epochs": 150},
}  # fmt: skip
QUICK = ("momentum", "adam")


def learned(name: str, norm: bool) -> tuple[float, float]:
    """The lowest loss of the 64 images, evaluated, and the accuracy at the end."""
    settings = dict(SETTINGS[name])
    epochs = settings.pop("epochs")
    layers = [Conv2D(16, 3, padding="same"), *([BatchNorm2D()] if norm else []), ReLU(), MaxPool2D(2), Flatten(),
              Dense(10)]  # fmt: skip
    model = Sequential(layers, input_shape=(1, 8, 8), seed=1)
    model.compile(OPTIMIZERS[name](**settings), metrics=["accuracy"])
    done = lambda run: run.numbers["val_loss"] < 1e-3 and run.stop("learned by heart")  # noqa: E731
    batch_size = None if name == "gd" else 16
    history = model.fit(X, Y, epochs, batch_size, validation_data=(X, Y), verbose=0,
                        callbacks=[done, TimeBudget(minutes=4)])  # fmt: skip
    return min(history["val_loss"]), history["val_accuracy"][-1]


@pytest.mark.parametrize("name", QUICK)
def test_sixty_four_digits_are_learned_by_heart(name):
    loss, accuracy = learned(name, norm=False)
    assert loss < 1e-3
    assert accuracy == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_and_by_every_optimizer_with_and_without_a_batch_norm(name, norm):
    loss, accuracy = learned(name, norm)
    assert loss < 1e-3
    assert accuracy == 1.0
