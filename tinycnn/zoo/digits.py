"""The demo's network: two convolutions for strokes, one for their combinations, and a vote."""

from tinycnn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from tinycnn.model import Sequential


def digits(seed: int = 0) -> Sequential:
    """A network for the bundled 8×8 digits.

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
            Dense(10),
        ],
        input_shape=(1, 8, 8),
        seed=seed,
        classes=[str(d) for d in range(10)],
        preprocessing={"reader": "digit", "range": [0, 1]},
    )  # fmt: skip
