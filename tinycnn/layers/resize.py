"""Layers that make images larger, and one that gives vectors another shape."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from tinycnn import ops
from tinycnn.errors import ShapeError
from tinycnn.layers.base import Array, Facts, Layer, Shape, check_image, check_shape
from tinycnn.layers.pool import MaxPool2D
from tinycnn.layers.window import check_flag
from tinycnn.ops.checks import pair


class Upsample2D(Layer):
    """Enlarge images by a whole factor, each pixel to a block ("nearest") or smoothly ("bilinear").

    `align_corners` is for bilinear: the outermost pixels of both images fall together.

    >>> Upsample2D(2).infer((16, 4, 5))
    (16, 8, 10)
    """

    kind = "up"
    options = ("scale", "mode", "align_corners")

    def __init__(
        self, scale: Any = 2, mode: str = "nearest", align_corners: bool = False,
        input_shape: Shape | None = None, name: str | None = None,
    ):  # fmt: skip
        super().__init__(name, input_shape)
        self.scale, self.align_corners = pair(scale, "scale"), check_flag(align_corners, "align_corners")
        if mode not in ("nearest", "bilinear"):
            raise ValueError(f"mode must be 'nearest' or 'bilinear', got {mode!r}")
        if align_corners and mode == "nearest":
            raise ValueError("align_corners belongs to mode='bilinear'")
        self.mode = mode

    def infer(self, input_shape: Shape) -> Shape:
        """(C, H, W) → (C, H·s, W·s)."""
        C, H, W = check_image(self, input_shape)
        return C, H * self.scale[0], W * self.scale[1]

    def forward(self, x: Array, train: bool = False) -> Array:
        """The enlarged images."""
        if self.mode == "nearest":
            return self.run("upsample_nearest2d", x, self.scale)
        return self.run("upsample_bilinear2d", x, self.scale, align_corners=self.align_corners)

    def facts(self, input_shape: Shape) -> Facts:
        """The sizes multiply."""
        (_, H, W), (sv, sh) = input_shape, self.scale
        size = f"{H}·{sv} = {H * sv}" + ("" if (H, sv) == (W, sh) else f", {W}·{sh} = {W * sh}")
        return Facts(size, (1, 1) if self.mode == "nearest" else (2, 2), (Fraction(1, sv), Fraction(1, sh)))


class MaxUnpool2D(Layer):
    """Put each number back where the max pool called `of` found its maximum, and zeros everywhere else.

    The pool is a layer before this one in the same network, and its windows must not overlap. The output has the
    size of the pool's input.

    >>> from tinycnn import Sequential
    >>> model = Sequential([MaxPool2D(2), MaxUnpool2D(of="pool1")], input_shape=(1, 5, 4))
    >>> model.output_shape
    (1, 5, 4)
    """

    kind = "unpool"
    options = ("of",)

    def __init__(self, of: str, input_shape: Shape | None = None, name: str | None = None):
        super().__init__(name, input_shape)
        self.of = of
        self.pool: MaxPool2D | None = None

    def link(self, before: dict[str, Layer]) -> None:
        """Find the pool among the layers before; raises ValueError if there is none of that name."""
        found = before.get(self.of)
        if type(found) is not MaxPool2D:
            pools = [name for name, layer in before.items() if type(layer) is MaxPool2D]
            raise ValueError(f"MaxUnpool2D(of={self.of!r}): no max pool of that name before it; there are {pools}")
        self.pool, found.is_read = found, True

    def infer(self, input_shape: Shape) -> Shape:
        """(C, OH, OW) → (C, H, W), as the pool had them."""
        C, H, W = check_image(self, input_shape)
        before = None if self.pool is None else self.pool.planned or self.pool.input_shape
        if self.pool is None or before is None:
            raise ShapeError(f"MaxUnpool2D(of={self.of!r}) must stand behind its pool in a network")
        if self.pool.infer(before) != (C, H, W):
            raise ShapeError(f"MaxUnpool2D takes what {self.of!r} gave, {self.pool.infer(before)}, got {input_shape}")
        return before

    def facts(self, input_shape: Shape) -> Facts:
        """The pool's sizes, back again."""
        assert self.pool is not None
        (_, H, W), (_, OH, OW), (sv, sh) = input_shape, self.infer(input_shape), self.pool.stride
        size = f"{H} → {OH}" + ("" if (H, OH) == (W, OW) else f", {W} → {OW}")
        return Facts(size, stride=(Fraction(1, sv), Fraction(1, sh)))

    def forward(self, x: Array, train: bool = False) -> Array:
        """Every number at its maximum's place."""
        if self.pool is None or self.pool.cache is None or self.output_shape is None:
            raise RuntimeError(f"{self.label} goes by its pool's maxima: run the whole network, pool first")
        cache = self.pool.cache
        if isinstance(cache, dict):  # the literal rung's cache is what its forward was called with
            _, cache = ops.max_pool2d_forward(**cache)
        return self.run("max_unpool2d", x, ops.max_pool2d_indices(cache), self.output_shape[1:])


class Reshape(Layer):
    """Give each example another shape; one size may be −1, and is worked out.

    >>> Reshape((4, 2, -1)).infer((64,))
    (4, 2, 8)
    """

    kind = "reshape"
    options = ("shape",)

    def __init__(self, shape: Shape, input_shape: Shape | None = None, name: str | None = None):
        super().__init__(name, input_shape)
        self.shape = tuple(shape)
        open_sizes = [s for s in self.shape if s == -1]
        check_shape([1 if s == -1 else s for s in self.shape])
        if len(open_sizes) > 1:
            raise ShapeError(f"only one size may be −1, got {self.shape}")

    def infer(self, input_shape: Shape) -> Shape:
        """The new shape, with as many numbers as the old."""
        known = -math.prod(self.shape) if -1 in self.shape else math.prod(self.shape)
        size = math.prod(input_shape)
        if size % known or (-1 not in self.shape and size != known):
            raise ShapeError(f"{input_shape} holds {size} numbers, which do not make {self.shape}")
        return tuple(size // known if s == -1 else s for s in self.shape)

    def forward(self, x: Array, train: bool = False) -> Array:
        """The same numbers, in their new shape."""
        return self.run("reshape", x, self.infer(x.shape[1:]))

    def facts(self, input_shape: Shape) -> Facts:
        """The sizes multiply to the same number."""
        return Facts(f"{'·'.join(map(str, input_shape))} = {'·'.join(map(str, self.infer(input_shape)))}")
