"""One table of all layers: small, odd, non-square cases that every generic test of layers runs over.

To add a layer, add its lines: a fresh layer, and the shape of one example. A test fails if a class of `tinycnn.layers`
has none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinycnn.layers import (
    ELU,
    AvgPool2D,
    BatchNorm1D,
    BatchNorm2D,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    GroupNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    MaxPool2D,
    MinPool2D,
    Pad2D,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    Tanh,
    Upsample2D,
)


@dataclass(frozen=True)
class LayerCase:
    """A way to make a layer, and the shape of one example for it."""

    make: Callable[[], Layer]
    shape: tuple[int, ...]

    def __str__(self) -> str:
        layer = self.make()
        plain = {name: p.default for name, p in inspect.signature(type(layer)).parameters.items()}
        options = [f"{k}={v}".replace(" ", "") for k, v in layer.config().items() if v != plain[k]]
        return "-".join([type(layer).__name__, *options, "x".join(map(str, self.shape))])

    def build(self, seed: int = 0, dtype: type = np.float64) -> Layer:
        """The layer, with random weights and biases that are not zero."""
        layer = self.make()
        layer.dtype = np.dtype(dtype)
        rng = np.random.default_rng([seed, 5])
        layer.build(self.shape, rng)
        layer.params = {key: rng.normal(size=w.shape).astype(dtype) for key, w in layer.params.items()}
        return layer

    def x(self, N: int = 2, seed: int = 0, dtype: type = np.float64) -> np.ndarray:
        """A batch of distinct numbers of both signs, 0.1 apart and none nearer to 0 than 0.05: no kink is near."""
        return spaced((N, *self.shape), seed).astype(dtype)


def spaced(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Distinct numbers 0.1 apart, of both signs, none nearer to 0 than 0.05, at most 5 in size where they are few."""
    rng, n = np.random.default_rng([seed, 9]), int(np.prod(shape))
    return ((rng.permutation(n) * 0.1 + 0.05) * rng.choice([-1, 1], n)).reshape(shape)


CASES = [
    LayerCase(lambda: LeakyReLU(0.1), (3, 2, 4)),
    LayerCase(lambda: ELU(0.5), (3, 2, 4)),
    LayerCase(Sigmoid, (7,)),
    LayerCase(Tanh, (2, 3, 2)),
    LayerCase(BatchNorm2D, (3, 2, 4)),
    LayerCase(lambda: BatchNorm1D(momentum=0.3, eps=1e-3), (5,)),
    LayerCase(LayerNorm, (2, 3, 4)),
    LayerCase(lambda: GroupNorm(2, eps=1e-4), (4, 3, 2)),
    LayerCase(lambda: Dropout(0.4), (11,)),
    LayerCase(lambda: Dropout(0.3, per_channel=True, seed=5), (6, 2, 3)),
    LayerCase(lambda: Upsample2D((2, 3)), (2, 3, 4)),
    LayerCase(lambda: Upsample2D(2, mode="bilinear"), (2, 3, 4)),
    LayerCase(lambda: Upsample2D((3, 2), mode="bilinear", align_corners=True), (1, 4, 3)),
    LayerCase(lambda: Reshape((4, -1)), (2, 3, 2)),
    LayerCase(lambda: Conv1D(3, 4, stride=2, padding=(1, 2)), (2, 9)),
    LayerCase(lambda: Conv1D(4, 2, dilation=3, groups=2, flip=True, padding="same", use_bias=False), (4, 8)),
    LayerCase(lambda: ConvTranspose2D(3, (3, 2), stride=2, padding=1, output_padding=(1, 0)), (2, 3, 4)),
    LayerCase(lambda: ConvTranspose2D(4, 2, stride=3, dilation=2, groups=2, use_bias=False), (2, 2, 3)),
    LayerCase(lambda: Conv2D(4, (2, 3)), (3, 5, 7)),
    LayerCase(lambda: Conv2D(2, 3, stride=2, padding=1), (3, 6, 4)),
    LayerCase(lambda: Conv2D(3, (1, 2), stride=3, use_bias=False), (2, 7, 5)),
    LayerCase(lambda: Conv2D(2, 3, stride=(2, 1), padding="same"), (1, 5, 6)),
    LayerCase(lambda: Conv2D(2, (3, 2), dilation=(1, 2), padding=(2, 0, 1, 1)), (1, 4, 5)),
    LayerCase(lambda: Conv2D(6, 2, groups=2, stride=2), (4, 5, 4)),
    LayerCase(lambda: Conv2D(3, (3, 2), groups=3, flip=True, padding=1), (3, 4, 5)),
    LayerCase(lambda: Conv2D(5, 1, padding="valid"), (3, 2, 3)),
    LayerCase(lambda: MaxPool2D(2), (2, 5, 7)),
    LayerCase(lambda: MaxPool2D((3, 2), stride=(1, 2), padding=(1, 0), dilation=(2, 1)), (1, 6, 5)),
    LayerCase(lambda: MaxPool2D(3, stride=2, ceil_mode=True), (2, 6, 4)),
    LayerCase(lambda: MaxPool2D(2, stride=3, padding="same"), (1, 5, 7)),
    LayerCase(lambda: MinPool2D((2, 3)), (2, 5, 7)),
    LayerCase(lambda: MinPool2D(3, stride=2, padding=1, ceil_mode=True), (1, 6, 4)),
    LayerCase(lambda: AvgPool2D((2, 1)), (2, 5, 7)),
    LayerCase(lambda: AvgPool2D(3, stride=2, padding=1, ceil_mode=True), (1, 6, 4)),
    LayerCase(lambda: AvgPool2D(3, stride=2, padding=1, ceil_mode=True, count_include_pad=True), (1, 6, 4)),
    LayerCase(lambda: AvgPool2D((2, 3), stride=1, padding="same", count_include_pad=True), (2, 3, 4)),
    LayerCase(GlobalAvgPool2D, (3, 4, 5)),
    LayerCase(lambda: Dense(4), (5,)),
    LayerCase(lambda: Dense(1, use_bias=False), (3,)),
    LayerCase(Flatten, (3, 2, 5)),
    LayerCase(Flatten, (6,)),
    LayerCase(lambda: Pad2D((1, 0, 2, 3), value=7.0), (2, 3, 4)),
    LayerCase(lambda: Pad2D((0, 2)), (1, 3, 2)),
    LayerCase(ReLU, (2, 3, 5)),
    LayerCase(ReLU, (7,)),
    LayerCase(Softmax, (5,)),
    LayerCase(Softmax, (3, 2, 4)),
    LayerCase(LogSoftmax, (5,)),
    LayerCase(LogSoftmax, (3, 2, 4)),
]
