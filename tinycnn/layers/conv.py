"""Conv2D: filters that slide over images, and learn what to look for."""

from __future__ import annotations

import math
from typing import Any

from tinycnn.errors import ShapeError
from tinycnn.layers.base import Array, Facts, Layer, Shape, check_image
from tinycnn.layers.initialisers import Initialiser, initialiser
from tinycnn.layers.window import check_positive, size_text
from tinycnn.ops.checks import pair
from tinycnn.ops.conv import check_conv_shapes
from tinycnn.ops.window import Window, place_window


class Conv2D(Layer):
    """Slide `filters` filters of `kernel_size` over an image (C, H, W): the op is `tinycnn.ops.conv2d_forward`.

    `activation="relu"` is short for a ReLU layer behind this one. Weights are w (F, C/groups, KH, KW) and, with
    `use_bias`, b (F).

    >>> Conv2D(16, 3, padding="same").infer((3, 32, 32))
    (16, 32, 32)
    """

    kind = "conv"
    options = ("filters", "kernel_size", "stride", "padding", "dilation", "groups", "use_bias", "flip",
               "kernel_initializer", "bias_initializer")  # fmt: skip

    def __init__(
        self, filters: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
        activation: str | None = None, use_bias: bool = True, flip: bool = False,
        kernel_initializer: str = "he_normal", bias_initializer: str = "zeros",
        input_shape: Shape | None = None, name: str | None = None,
    ):  # fmt: skip
        super().__init__(name, input_shape)
        self.filters = check_positive(filters, "filters")
        self.kernel_size, self.stride = pair(kernel_size, "kernel_size"), pair(stride, "stride")
        self.padding, self.dilation = padding, pair(dilation, "dilation")
        self.groups = check_positive(groups, "groups")
        self.activation, self.use_bias, self.flip = activation, use_bias, flip
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        initialiser(kernel_initializer), initialiser(bias_initializer)
        place_window(10**6, 10**6, kernel_size, stride, padding, dilation)  # a padding that is none, refused here

    def infer(self, input_shape: Shape) -> Shape:
        """(C, H, W) → (F, OH, OW)."""
        C, _, _ = check_image(self, input_shape)
        if C % self.groups or self.filters % self.groups:
            raise ShapeError(f"groups={self.groups} must divide both the {C} channels and the {self.filters} filters")
        window = self._window(input_shape)
        return self.filters, window.OH, window.OW

    def weights(self, input_shape: Shape) -> dict[str, tuple[Shape, Initialiser]]:
        """The filters, and a bias for each."""
        shape = (self.filters, input_shape[0] // self.groups, *self.kernel_size)
        check_conv_shapes(input_shape[0], shape, None, self.groups)
        found: dict[str, tuple[Shape, Initialiser]] = {"w": (shape, initialiser(self.kernel_initializer))}
        if self.use_bias:
            found["b"] = ((self.filters,), initialiser(self.bias_initializer))
        return found

    def forward(self, x: Array, train: bool = False) -> Array:
        """Every filter's response at every place."""
        return self.run(
            "conv2d", x, self.weight("w"), self.params.get("b"), stride=self.stride, padding=self.padding,
            dilation=self.dilation, groups=self.groups, flip=self.flip,
        )  # fmt: skip

    def backward(self, dy: Array) -> Array:
        """Assign the gradients of w and b; return that of x."""
        dx, dw, db = self.undo(dy)
        self.grads = {"w": dw, "b": db} if self.use_bias else {"w": dw}
        return dx

    def facts(self, input_shape: Shape) -> Facts:
        """One multiplication a tap, channel of the group, filter and place."""
        window = self._window(input_shape)
        taps = math.prod(self.kernel_size) * input_shape[0] // self.groups
        reach = (window.dv * (window.KH - 1) + 1, window.dh * (window.KW - 1) + 1)
        return Facts(size_text(window), reach, self.stride, macs=taps * self.filters * window.OH * window.OW)

    def _window(self, input_shape: Shape) -> Window:
        _, H, W = input_shape
        return place_window(H, W, self.kernel_size, self.stride, self.padding, self.dilation)
