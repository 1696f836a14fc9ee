"""Pooling layers: keep the largest, the smallest or the mean of each window."""

from __future__ import annotations

from typing import Any, ClassVar

from tinycnn.layers.base import Array, Facts, Layer, Shape, check_image
from tinycnn.layers.window import check_flag, check_padding, size_text
from tinycnn.ops.checks import pair
from tinycnn.ops.window import Window, place_pool


class _Pool2D(Layer):
    kind = "pool"
    op: ClassVar[str]
    window_options: ClassVar[tuple[str, ...]] = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def infer(self, input_shape: Shape) -> Shape:
        """(C, H, W) → (C, OH, OW)."""
        C, _, _ = check_image(self, input_shape)
        window = self._window(input_shape)
        return C, window.OH, window.OW

    def forward(self, x: Array, train: bool = False) -> Array:
        """One number for each window of each channel."""
        return self.run(self.op, x, **self.config())

    def facts(self, input_shape: Shape) -> Facts:
        """A pool has windows, but nothing to multiply or learn."""
        window = self._window(input_shape)
        reach = (window.dv * (window.KH - 1) + 1, window.dh * (window.KW - 1) + 1)
        return Facts(size_text(window, self.config()["ceil_mode"]), reach, (window.sv, window.sh))

    def _window(self, input_shape: Shape) -> Window:
        _, H, W = input_shape
        return place_pool(H, W, **{k: v for k, v in self.config().items() if k in self.window_options})


class MaxPool2D(_Pool2D):
    """Keep the largest number of each window; without a `stride` the windows lie side by side.

    >>> MaxPool2D(2).infer((16, 8, 8))
    (16, 4, 4)
    """

    op = "max_pool2d"
    options = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self, kernel_size: Any = 2, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
        input_shape: Shape | None = None, name: str | None = None,
    ):  # fmt: skip
        super().__init__(name, input_shape)
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = self.kernel_size if stride is None else pair(stride, "stride")
        self.padding, self.dilation = check_padding(padding), pair(dilation, "dilation")
        self.ceil_mode = check_flag(ceil_mode, "ceil_mode")


class MinPool2D(MaxPool2D):
    """Keep the smallest number of each window; behind a ReLU that is mostly 0.

    >>> MinPool2D(2).infer((16, 8, 8))
    (16, 4, 4)
    """

    op = "min_pool2d"


class AvgPool2D(_Pool2D):
    """Take the mean of each window: of its pixels in the image, or with `count_include_pad` of the border's as well.

    >>> AvgPool2D(3, stride=2).infer((16, 9, 9))
    (16, 4, 4)
    """

    op = "avg_pool2d"
    options = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")

    def __init__(
        self, kernel_size: Any = 2, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = False, input_shape: Shape | None = None, name: str | None = None,
    ):  # fmt: skip
        super().__init__(name, input_shape)
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = self.kernel_size if stride is None else pair(stride, "stride")
        self.padding, self.ceil_mode = check_padding(padding), check_flag(ceil_mode, "ceil_mode")
        self.count_include_pad = check_flag(count_include_pad, "count_include_pad")


class GlobalAvgPool2D(Layer):
    """Take the mean of each channel over the whole image: (C, H, W) → (C,).

    >>> GlobalAvgPool2D().infer((16, 8, 8))
    (16,)
    """

    kind = "gap"

    def infer(self, input_shape: Shape) -> Shape:
        """(C, H, W) → (C,)."""
        return (check_image(self, input_shape)[0],)

    def forward(self, x: Array, train: bool = False) -> Array:
        """One number for each channel."""
        return self.run("global_avg_pool2d", x)

    def facts(self, input_shape: Shape) -> Facts:
        """Every output sees the whole image."""
        _, H, W = input_shape
        return Facts(f"mean of {H}·{W} = {H * W}", sees_all=True)


MaxPooling2D = MaxPool2D  # Keras's words
AveragePooling2D = AvgPool2D
GlobalAveragePooling2D = GlobalAvgPool2D
