"""Small networks and small data that several tests share."""

from __future__ import annotations

import numpy as np

import tinycnn as tc
from tinycnn import Conv2D, Dense, Flatten, MaxPool2D, ReLU, Sequential


def digits(N: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """The first N handwritten digits of the training part."""
    train, _, _ = tc.data.load_digits()
    return train.x[:N], train.y[:N]


def digit_network(head: tuple = (), **options) -> Sequential:
    """A small network for the digits, that ends in logits unless `head` follows."""
    layers = [Conv2D(6, 3, padding="same"), ReLU(), MaxPool2D(2), Flatten(), Dense(10), *head]
    return Sequential(layers, input_shape=(1, 8, 8), **options)


def compiled(loss: str = "cross_entropy", optimizer="adam", head: tuple = (), **options) -> Sequential:
    """The same, ready to train."""
    model = digit_network(head, **options)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    return model


def weights(model: Sequential) -> dict[str, np.ndarray]:
    """A copy of every weight."""
    return {key: w.copy() for key, w in model.named_params().items()}


def assert_equal_weights(model: Sequential, before: dict[str, np.ndarray]) -> None:
    """Every weight has the very same bits."""
    assert model.named_params().keys() == before.keys()
    for key, w in model.named_params().items():
        np.testing.assert_array_equal(w, before[key], err_msg=key)
