"""Dense, Flatten and Pad2D: from images to vectors, and from vectors to vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.layers.activation import check_activation
from tinycnn.layers.base import Array, Facts, Layer, Shape, check_image
from tinycnn.layers.initialisers import Initialiser, initialiser
from tinycnn.layers.window import check_flag, check_positive
from tinycnn.ops.checks import four_sides


class Dense(Layer):
    """Every output is a weighted sum of all inputs, plus a bias: the op is `tinycnn.ops.linear_forward`.

    Weights are w (units, features) and, with `use_bias`, b (units). `activation="relu"` is short for a ReLU layer
    behind this one.

    >>> Dense(10).infer((256,))
    (10,)
    """

    kind = "dense"
    options = ("units", "use_bias", "kernel_initializer", "bias_initializer")

    def __init__(
        self, units: int, activation: str | None = None, use_bias: bool = True,
        kernel_initializer: str = "he_normal", bias_initializer: str = "zeros",
        input_shape: Shape | None = None, name: str | None = None,
    ):  # fmt: skip
        super().__init__(name, input_shape)
        self.units = check_positive(units, "units")
        self.activation, self.use_bias = check_activation(activation), check_flag(use_bias, "use_bias")
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        initialiser(kernel_initializer), initialiser(bias_initializer)

    def infer(self, input_shape: Shape) -> Shape:
        """(features,) → (units,)."""
        if len(input_shape) != 1:
            raise ShapeError(
                f"Dense takes vectors, got {input_shape} for each example: put Flatten() or GlobalAvgPool2D() before it"
            )
        return (self.units,)

    def weights(self, input_shape: Shape) -> dict[str, tuple[Shape, Initialiser]]:
        """The matrix, and a bias for each output."""
        shape = (self.units, input_shape[0])
        found: dict[str, tuple[Shape, Initialiser]] = {"w": (shape, initialiser(self.kernel_initializer))}
        if self.use_bias:
            found["b"] = ((self.units,), initialiser(self.bias_initializer))
        return found

    def forward(self, x: Array, train: bool = False) -> Array:
        """y = x·wᵀ + b."""
        return self.run("linear", x, self.weight("w"), self.params.get("b"))

    def backward(self, dy: Array) -> Array:
        """Assign the gradients of w and b; return that of x."""
        dx, *of_weights = self.undo(dy)
        self.assign(*of_weights)
        return dx

    def learn(self, dy: Array) -> None:
        """Assign the gradients of w and b."""
        self.assign(*self.undo_weights(dy))

    def assign(self, dw: Array, db: Array | None) -> None:
        """These are the gradients of w and b."""
        self.grads = {"w": dw} if db is None else {"w": dw, "b": db}

    def facts(self, input_shape: Shape) -> Facts:
        """One multiplication an input and output."""
        return Facts(f"{input_shape[0]} → {self.units}", sees_all=True, macs=input_shape[0] * self.units)


class Flatten(Layer):
    """Lay each example out as one vector.

    >>> Flatten().infer((16, 4, 4))
    (256,)
    """

    kind = "flatten"

    def infer(self, input_shape: Shape) -> Shape:
        """(C, H, W) → (C·H·W,)."""
        return (math.prod(input_shape),)

    def forward(self, x: Array, train: bool = False) -> Array:
        """The same numbers, in one row."""
        return self.run("flatten", x)

    def facts(self, input_shape: Shape) -> Facts:
        """The sizes multiply."""
        return Facts(f"{'·'.join(map(str, input_shape))} = {math.prod(input_shape)}")


class Pad2D(Layer):
    """Put a border of `value` around every image: an int, (vertical, horizontal) or (top, bottom, left, right).

    >>> Pad2D((1, 2)).infer((3, 8, 8))
    (3, 10, 12)
    """

    kind = "pad"
    options = ("padding", "value")

    def __init__(self, padding: Any, value: float = 0.0, input_shape: Shape | None = None, name: str | None = None):
        super().__init__(name, input_shape)
        if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer) or value != value:
            raise ValueError(f"value must be a number, got {value!r}")
        self.padding, self.value = four_sides(padding), float(value)

    def infer(self, input_shape: Shape) -> Shape:
        """(C, H, W) → (C, top + H + bottom, left + W + right)."""
        C, H, W = check_image(self, input_shape)
        top, bottom, left, right = self.padding
        return C, top + H + bottom, left + W + right

    def forward(self, x: Array, train: bool = False) -> Array:
        """The images with their border."""
        return self.run("pad2d", x, self.padding, self.value)

    def facts(self, input_shape: Shape) -> Facts:
        """The sizes add."""
        (_, H, W), (top, bottom, left, right) = input_shape, self.padding
        return Facts(f"{top} + {H} + {bottom} = {top + H + bottom}, {left} + {W} + {right} = {left + W + right}")
