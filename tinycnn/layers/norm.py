"""Normalisation layers: keep every channel (or example, or group) at mean 0 and variance 1, then scale and shift."""

from __future__ import annotations

from typing import Any, ClassVar

from tinycnn.errors import ShapeError
from tinycnn.layers.base import Array, Layer, Shape
from tinycnn.layers.initialisers import Initialiser, ones, zeros
from tinycnn.layers.window import check_positive
from tinycnn.ops.checks import number
from tinycnn.ops.norm import batch_statistics, running_update


class _Norm(Layer):
    kind = "norm"

    def affine_shape(self, input_shape: Shape) -> Shape:
        """The shape of gamma and beta."""
        return (input_shape[0],)

    def weights(self, input_shape: Shape) -> dict[str, tuple[Shape, Initialiser]]:
        """A scale that begins at 1, and a shift that begins at 0."""
        shape = self.affine_shape(input_shape)
        return {"gamma": (shape, ones), "beta": (shape, zeros)}

    def backward(self, dy: Array) -> Array:
        """Assign the gradients of gamma and beta; return that of x."""
        dx, dgamma, dbeta = self.undo(dy)
        self.grads = {"gamma": dgamma, "beta": dbeta}
        return dx


class _BatchNorm(_Norm):
    kind = "bn"
    options = ("momentum", "eps")
    axes: ClassVar[tuple[str, ...]]

    def __init__(
        self, momentum: float = 0.1, eps: float = 1e-5, input_shape: Shape | None = None, name: str | None = None
    ):
        super().__init__(name, input_shape)
        self.momentum, self.eps = number(momentum, "momentum"), number(eps, "eps", above=0)
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum is the weight of the new statistic, 0 to 1, got {momentum!r}")

    def infer(self, input_shape: Shape) -> Shape:
        """The shape does not change."""
        if len(input_shape) != len(self.axes):
            raise ShapeError(f"{type(self).__name__} takes {', '.join(self.axes)}, got {input_shape} for each example")
        return input_shape

    def buffer_shapes(self, input_shape: Shape) -> dict[str, tuple[Shape, Initialiser]]:
        """What evaluation uses in place of the batch's own statistics."""
        return {"running_mean": ((input_shape[0],), zeros), "running_var": ((input_shape[0],), ones)}

    def forward(self, x: Array, train: bool = False) -> Array:
        """In training by the batch's statistics, which the running ones follow; in evaluation, or frozen, by those."""
        gamma, beta = self.weight("gamma"), self.weight("beta")
        if not (train and self.trainable):
            mean, var = self.buffers["running_mean"], self.buffers["running_var"]
            return self.run("batch_norm", x, gamma, beta, mean, var, eps=self.eps)
        y = self.run("batch_norm", x, gamma, beta, eps=self.eps)
        known: Any = self.cache if getattr(self.cache, "mean", None) is not None else None
        statistics = batch_statistics(x.real) if known is None else (known.mean.real, known.var.real)
        for name, batch in zip(("running_mean", "running_var"), statistics, strict=True):
            running = self.buffers[name]
            self.buffers[name] = running_update(running, batch.astype(running.dtype), self.momentum)
        return y


class BatchNorm2D(_BatchNorm):
    """Normalise each channel over the batch and all pixels: the op is `tinycnn.ops.batch_norm_forward`.

    Weights are gamma and beta (C); buffers are running_mean and running_var (C), the variance unbiased. `momentum` is
    the weight of the new statistic, as in PyTorch.

    >>> BatchNorm2D().infer((16, 8, 8))
    (16, 8, 8)
    """

    axes = ("C", "H", "W")


class BatchNorm1D(_BatchNorm):
    """Normalise each feature over the batch: as BatchNorm2D, for vectors.

    >>> BatchNorm1D().infer((64,))
    (64,)
    """

    axes = ("C",)


class LayerNorm(_Norm):
    """Normalise each example over all its numbers: the op is `tinycnn.ops.layer_norm_forward`.

    Weights are gamma and beta, of one example's shape.

    >>> LayerNorm().infer((64,))
    (64,)
    """

    kind = "ln"
    options = ("eps",)

    def __init__(self, eps: float = 1e-5, input_shape: Shape | None = None, name: str | None = None):
        super().__init__(name, input_shape)
        self.eps = number(eps, "eps", above=0)

    def affine_shape(self, input_shape: Shape) -> Shape:
        """A scale and a shift for every number of an example."""
        return input_shape

    def forward(self, x: Array, train: bool = False) -> Array:
        """The same in training and in evaluation: no example sees another."""
        return self.run("layer_norm", x, self.weight("gamma"), self.weight("beta"), eps=self.eps)


class GroupNorm(_Norm):
    """Normalise each example over groups of its channels: the op is `tinycnn.ops.group_norm_forward`.

    Weights are gamma and beta (C).

    >>> GroupNorm(4).infer((16, 8, 8))
    (16, 8, 8)
    """

    kind = "gn"
    options = ("groups", "eps")

    def __init__(self, groups: int, eps: float = 1e-5, input_shape: Shape | None = None, name: str | None = None):
        super().__init__(name, input_shape)
        self.groups, self.eps = check_positive(groups, "groups"), number(eps, "eps", above=0)

    def infer(self, input_shape: Shape) -> Shape:
        """The shape does not change."""
        if input_shape[0] % self.groups:
            raise ShapeError(f"groups={self.groups} must divide the {input_shape[0]} channels")
        return input_shape

    def forward(self, x: Array, train: bool = False) -> Array:
        """The same in training and in evaluation: no example sees another."""
        return self.run("group_norm", x, self.groups, self.weight("gamma"), self.weight("beta"), eps=self.eps)
