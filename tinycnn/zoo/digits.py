"""The demo's network: two convolutions for strokes, one for their combinations, and a vote."""

from tinycnn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from tinycnn.layers.base import Shape
from tinycnn.model import Sequential


def digits(seed: int = 0, classes: int = 10, input_shape: Shape = (1, 8, 8)) -> Sequential:
    """A network for the bundled 8×8 digits, and for other small pictures.

    >>> digits().predict_classes(__import__("numpy").zeros((3, 1, 8, 8), "float32")).shape
    (3,)
    """
    return Sequential(
        [
            Conv2D(32, 3, padding="same"), ReLU(),
            Conv2D(32, 3, padding="same"), ReLU(),
            MaxPool2D(2),
            Conv2D(64, 3, padding="same"), ReLU(),
            MaxPool2D(2),
            Flatten(),
            Dense(classes),
        ],
        input_shape=input_shape,
        seed=seed,
        classes=[str(d) for d in range(classes)],
        preprocessing={"reader": "digit", "range": [0, 1]},
    )  # fmt: skip
