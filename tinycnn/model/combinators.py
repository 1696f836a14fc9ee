"""Two ways past some layers: add the input to what they give, or lay it beside. No graph is needed for either.

The input goes two ways, so its gradient comes back two ways, and the two add: the multivariate chain rule is the `+` in
each backward.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.layers.base import Array, Facts, Layer, Shape, check_image
from tinycnn.model.chain import Chain
from tinycnn.model.fuse import hands_on_halves


class _Around(Layer):
    """A layer around a chain of others."""

    options = ("layers",)

    def __init__(
        self, layers: Layer | Iterable[Layer], input_shape: Shape | None = None, name: str | None = None
    ):
        super().__init__(name, input_shape)
        self.inner = Chain([layers] if isinstance(layers, Layer) else layers)
        self.inner.advises = False

    @property
    def layers(self) -> list[Layer]:
        """The layers inside."""
        return self.inner.layers

    def children(self) -> tuple[Layer, ...]:
        """The layers inside, in order."""
        return self.inner.children()

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> Shape:
        """Build the layers inside for the same input."""
        self.inner.dtype = self.dtype
        self.inner.build(input_shape, rng)
        return super().build(input_shape, rng)

    def facts(self, input_shape: Shape) -> Facts:
        """Those of the longer way."""
        return self.inner.facts(input_shape)


class Residual(_Around):
    """y = x + f(x), so dx = dy + f.backward(dy): what the layers learn is a correction to their input.

    Source: He, Zhang, Ren & Sun 2016, arXiv:1512.03385.

    >>> from tinycnn import Conv2D, ReLU
    >>> Residual([Conv2D(8, 3, padding="same"), ReLU()]).infer((8, 5, 5))
    (8, 5, 5)
    """

    kind = "res"

    def infer(self, input_shape: Shape) -> Shape:
        """The shape does not change; raises ShapeError if the layers inside change it."""
        out = self.inner.infer(input_shape)
        if out != tuple(input_shape):
            raise ShapeError(f"Residual adds f(x) to x, but f makes {out} of {tuple(input_shape)}")
        return out

    def forward(self, x: Array, train: bool = False) -> Array:
        """x + f(x)."""
        return x + self.inner.forward(x, train)

    def backward(self, dy: Array) -> Array:
        """The gradient of the short way, plus that of the long one."""
        return dy + self.inner.backward(dy)


@hands_on_halves
class SkipConcat(_Around):
    """y = concat(x, f(x)) along the channels, so dx = dy[:, :C] + f.backward(dy[:, C:]).

    A U-Net is this, again and again: each level hands its image across, beside what the level below made of it.

    Source: Ronneberger, Fischer & Brox 2015, arXiv:1505.04597.

    >>> from tinycnn import Conv2D, MaxPool2D, Upsample2D
    >>> SkipConcat([MaxPool2D(2), Conv2D(16, 3, padding="same"), Upsample2D(2)]).infer((8, 6, 6))
    (24, 6, 6)
    """

    kind = "skip"

    def infer(self, input_shape: Shape) -> Shape:
        """(C, H, W) → (C + C', H, W); raises ShapeError if the layers inside change the image's size."""
        C, H, W = check_image(self, input_shape)
        out = self.inner.infer(input_shape)
        if len(out) != 3 or out[1:] != (H, W):
            raise ShapeError(
                f"SkipConcat lays f(x) beside x, but f makes {out} of {tuple(input_shape)}: the images differ in size. "
                "Feed images that every pool inside divides evenly."
            )
        return C + out[0], H, W

    def forward(self, x: Array, train: bool = False) -> Array:
        """x and f(x), side by side."""
        return self.run("concat", x, self.inner.forward(x, train))

    def halves(self, x: Array, train: bool) -> tuple[Array, Array]:
        """x and f(x), for a step that reads both where they lie (`fuse`); there will be no backward pass."""
        return x, self.inner.forward(x, train)

    def backward(self, dy: Array) -> Array:
        """The gradient of x's own channels, plus what comes back through f."""
        dx, df = self.undo(dy)
        return dx + self.inner.backward(df)
