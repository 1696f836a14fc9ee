"""The networks of the source articles, with what they got wrong put right: images come channels first.

For pictures of another size give `input_shape`; the flattened size follows by itself.
"""

from __future__ import annotations

from tinycnn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from tinycnn.layers.base import Shape
from tinycnn.model import Sequential


def article002(classes: int = 10, seed: int = 0, input_shape: Shape = (3, 32, 32)) -> Sequential:
    """Two padded convolutions for 3×32×32 images; the flattened size is 64·8·8, not the 64·6·6 of the text.

    >>> article002().count_params()
    545098
    """
    return Sequential(
        [
            Conv2D(32, 3, padding=1), ReLU(), MaxPool2D(2),
            Conv2D(64, 3, padding=1), ReLU(), MaxPool2D(2),
            Flatten(), Dense(128), ReLU(), Dense(classes),
        ],
        input_shape=input_shape, seed=seed,
    )  # fmt: skip


def article003(classes: int = 10, seed: int = 0, input_shape: Shape = (3, 224, 224)) -> Sequential:
    """Three convolutions for 3×224×224 images, and a dense layer that holds 99 of every 100 weights.

    >>> article003().layers[-1]
    Dense(units=10, use_bias=True, kernel_initializer='he_normal', bias_initializer='zeros')
    """
    return Sequential(
        [
            Conv2D(32, 3), ReLU(), MaxPool2D(2),
            Conv2D(64, 3), ReLU(), MaxPool2D(2),
            Conv2D(128, 3), ReLU(), MaxPool2D(2),
            Flatten(), Dense(512), ReLU(), Dense(classes),
        ],
        input_shape=input_shape, seed=seed,
    )  # fmt: skip


def article004(classes: int = 10, seed: int = 0, input_shape: Shape = (3, 32, 32)) -> Sequential:
    """Two convolutions for the 3×32×32 images of CIFAR-10.

    >>> article004().count_params()
    315722
    """
    return Sequential(
        [
            Conv2D(32, 3), ReLU(), MaxPool2D(2),
            Conv2D(64, 3), ReLU(), MaxPool2D(2),
            Flatten(), Dense(128), ReLU(), Dense(classes),
        ],
        input_shape=input_shape, seed=seed,
    )  # fmt: skip
