"""Convolution layers: filters that slide over images or sequences, and learn what to look for."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from tinycnn.errors import ShapeError
from tinycnn.layers.activation import check_activation
from tinycnn.layers.base import Array, Facts, Layer, Shape, check_image
from tinycnn.layers.initialisers import Initialiser, initialiser
from tinycnn.layers.window import check_flag, check_padding, check_positive, size_text
from tinycnn.ops.checks import pair, whole
from tinycnn.ops.conv_transpose import place_transposed
from tinycnn.ops.window import Window, place_window


class _Filters(Layer):
    """What all convolutions share: filters, a bias for each, and how they begin."""

    kind = "conv"

    def __init__(
        self, filters: int, groups: int, activation: str | None, use_bias: bool, kernel_initializer: str,
        bias_initializer: str, input_shape: Shape | None, name: str | None,
    ):  # fmt: skip
        super().__init__(name, input_shape)
        self.filters, self.groups = check_positive(filters, "filters"), check_positive(groups, "groups")
        self.activation, self.use_bias = check_activation(activation), check_flag(use_bias, "use_bias")
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        initialiser(kernel_initializer), initialiser(bias_initializer)

    def filter_shape(self, C: int) -> Shape:
        """The shape of w for images of C channels."""
        raise NotImplementedError

    def weights(self, input_shape: Shape) -> dict[str, tuple[Shape, Initialiser]]:
        """The filters, and a bias for each."""
        shape = self.filter_shape(input_shape[0])
        found: dict[str, tuple[Shape, Initialiser]] = {"w": (shape, initialiser(self.kernel_initializer))}
        if self.use_bias:
            found["b"] = ((self.filters,), initialiser(self.bias_initializer))
        return found

    def check_groups(self, C: int) -> None:
        """Raise ShapeError unless the groups divide channels and filters."""
        if C % self.groups or self.filters % self.groups:
            raise ShapeError(f"groups={self.groups} must divide both the {C} channels and the {self.filters} filters")

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


class Conv2D(_Filters):
    """Slide `filters` filters of `kernel_size` over an image (C, H, W): the op is `tinycnn.ops.conv2d_forward`.

    `activation="relu"` is short for a ReLU layer behind this one. Weights are w (F, C/groups, KH, KW) and, with
    `use_bias`, b (F).

    >>> Conv2D(16, 3, padding="same").infer((3, 32, 32))
    (16, 32, 32)
    """

    options = ("filters", "kernel_size", "stride", "padding", "dilation", "groups", "use_bias", "flip",
               "kernel_initializer", "bias_initializer")  # fmt: skip

    def __init__(
        self, filters: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
        activation: str | None = None, use_bias: bool = True, flip: bool = False,
        kernel_initializer: str = "he_normal", bias_initializer: str = "zeros",
        input_shape: Shape | None = None, name: str | None = None,
    ):  # fmt: skip
        super().__init__(
            filters, groups, activation, use_bias, kernel_initializer, bias_initializer, input_shape, name
        )
        self.kernel_size, self.stride = pair(kernel_size, "kernel_size"), pair(stride, "stride")
        self.padding, self.dilation = check_padding(padding), pair(dilation, "dilation")
        self.flip = check_flag(flip, "flip")

    def filter_shape(self, C: int) -> Shape:
        """(F, C/groups, KH, KW)."""
        return self.filters, C // self.groups, *self.kernel_size

    def infer(self, input_shape: Shape) -> Shape:
        """(C, H, W) → (F, OH, OW)."""
        C, _, _ = check_image(self, input_shape)
        self.check_groups(C)
        window = self._window(input_shape)
        return self.filters, window.OH, window.OW

    def forward(self, x: Array, train: bool = False) -> Array:
        """Every filter's response at every place."""
        return self.run(
            "conv2d", x, self.weight("w"), self.params.get("b"), stride=self.stride, padding=self.padding,
            dilation=self.dilation, groups=self.groups, flip=self.flip,
        )  # fmt: skip

    def facts(self, input_shape: Shape) -> Facts:
        """One multiplication a tap, channel of the group, filter and place."""
        window = self._window(input_shape)
        taps = math.prod(self.kernel_size) * input_shape[0] // self.groups
        reach = (window.dv * (window.KH - 1) + 1, window.dh * (window.KW - 1) + 1)
        return Facts(size_text(window), reach, self.stride, macs=taps * self.filters * window.OH * window.OW)

    def _window(self, input_shape: Shape) -> Window:
        _, H, W = input_shape
        return place_window(H, W, self.kernel_size, self.stride, self.padding, self.dilation)


class Conv1D(_Filters):
    """Slide `filters` filters of `kernel_size` along a sequence (C, W): the op is `tinycnn.ops.conv1d_forward`.

    `padding` is an int, (left, right), "valid" or "same". Weights are w (F, C/groups, KW) and, with `use_bias`, b (F).

    >>> Conv1D(8, 3, padding="same").infer((2, 100))
    (8, 100)
    """

    options = Conv2D.options

    def __init__(
        self, filters: int, kernel_size: int, stride: int = 1, padding: Any = 0, dilation: int = 1, groups: int = 1,
        activation: str | None = None, use_bias: bool = True, flip: bool = False,
        kernel_initializer: str = "he_normal", bias_initializer: str = "zeros",
        input_shape: Shape | None = None, name: str | None = None,
    ):  # fmt: skip
        super().__init__(
            filters, groups, activation, use_bias, kernel_initializer, bias_initializer, input_shape, name
        )
        self.kernel_size, self.stride = whole(kernel_size, "kernel_size"), whole(stride, "stride")
        self.padding, self.dilation = check_padding(padding), whole(dilation, "dilation")
        if isinstance(self.padding, tuple) and len(self.padding) != 2:
            raise ValueError(f"padding must be an int ≥ 0, (left, right), 'valid' or 'same', got {padding!r}")
        self.flip = check_flag(flip, "flip")

    def filter_shape(self, C: int) -> Shape:
        """(F, C/groups, KW)."""
        return self.filters, C // self.groups, self.kernel_size

    def infer(self, input_shape: Shape) -> Shape:
        """(C, W) → (F, OW)."""
        if len(input_shape) != 2:
            raise ShapeError(f"Conv1D takes sequences (C,W), got {input_shape} for each example")
        self.check_groups(input_shape[0])
        return self.filters, self._window(input_shape).OW

    def forward(self, x: Array, train: bool = False) -> Array:
        """Every filter's response at every place."""
        return self.run(
            "conv1d", x, self.weight("w"), self.params.get("b"), stride=self.stride, padding=self.padding,
            dilation=self.dilation, groups=self.groups, flip=self.flip,
        )  # fmt: skip

    def facts(self, input_shape: Shape) -> Facts:
        """One multiplication a tap, channel of the group, filter and place."""
        window = self._window(input_shape)
        taps = self.kernel_size * input_shape[0] // self.groups
        reach, stride = (1, window.dh * (window.KW - 1) + 1), (1, self.stride)
        return Facts(size_text(window).split(", ")[-1], reach, stride, macs=taps * self.filters * window.OW)

    def _window(self, input_shape: Shape) -> Window:
        padding = (0, 0, *self.padding) if isinstance(self.padding, tuple) else self.padding
        if isinstance(padding, int):
            padding = (0, 0, padding, padding)
        return place_window(1, input_shape[1], (1, self.kernel_size), (1, self.stride), padding, (1, self.dilation))


class ConvTranspose2D(_Filters):
    """The transpose of a convolution, which makes images larger: the op is `tinycnn.ops.conv_transpose2d_forward`.

    Weights are w (C, F/groups, KH, KW) and, with `use_bias`, b (F). `output_padding` says which of the sizes that a
    convolution of this stride would shrink to the input's is meant.

    >>> ConvTranspose2D(8, 2, stride=2).infer((16, 4, 5))
    (8, 8, 10)
    """

    kind = "deconv"
    options = ("filters", "kernel_size", "stride", "padding", "output_padding", "dilation", "groups", "use_bias",
               "kernel_initializer", "bias_initializer")  # fmt: skip

    def __init__(
        self, filters: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
        dilation: Any = 1, groups: int = 1, activation: str | None = None, use_bias: bool = True,
        kernel_initializer: str = "he_normal", bias_initializer: str = "zeros",
        input_shape: Shape | None = None, name: str | None = None,
    ):  # fmt: skip
        super().__init__(
            filters, groups, activation, use_bias, kernel_initializer, bias_initializer, input_shape, name
        )
        self.kernel_size, self.stride = pair(kernel_size, "kernel_size"), pair(stride, "stride")
        self.padding, self.dilation = check_padding(padding), pair(dilation, "dilation")
        self.output_padding = pair(output_padding, "output_padding", 0)

    def filter_shape(self, C: int) -> Shape:
        """(C, F/groups, KH, KW)."""
        return C, self.filters // self.groups, *self.kernel_size

    def infer(self, input_shape: Shape) -> Shape:
        """(C, H, W) → (F, OH, OW)."""
        C, _, _ = check_image(self, input_shape)
        self.check_groups(C)
        window = self._window(input_shape)
        return self.filters, window.H, window.W

    def forward(self, x: Array, train: bool = False) -> Array:
        """Every pixel stamps its multiple of the filters onto the output."""
        return self.run(
            "conv_transpose2d", x, self.weight("w"), self.params.get("b"), stride=self.stride, padding=self.padding,
            output_padding=self.output_padding, dilation=self.dilation, groups=self.groups,
        )  # fmt: skip

    def facts(self, input_shape: Shape) -> Facts:
        """One multiplication a tap, filter of the group, channel and place of the input."""
        C, H, W = input_shape
        window, taps = self._window(input_shape), math.prod(self.kernel_size)
        size = f"{H} → {window.H}" + ("" if (H, window.H) == (W, window.W) else f", {W} → {window.W}")
        (KH, KW), (sv, sh), (dv, dh) = self.kernel_size, self.stride, self.dilation
        reach = (-(-(dv * (KH - 1) + 1) // sv), -(-(dh * (KW - 1) + 1) // sh))
        stride = (Fraction(1, sv), Fraction(1, sh))
        return Facts(size, reach, stride, macs=taps * self.filters // self.groups * C * H * W)

    def _window(self, input_shape: Shape) -> Window:
        """The window of the convolution that this is the transpose of."""
        _, H, W = input_shape
        return place_transposed(
            H, W, self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation
        )
