"""Networks that made history: LeNet-5, a small residual network, and U-Net."""

from __future__ import annotations

from tinycnn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    MaxPool2D,
    ReLU,
    Tanh,
)
from tinycnn.layers.base import Shape
from tinycnn.model import Residual, Sequential, SkipConcat


def lenet5(classes: int = 10, seed: int = 0, input_shape: Shape = (1, 28, 28)) -> Sequential:
    """LeNet-5 for 1×28×28 digits, with tanh and average pooling, and plain connections between the maps.

    Source: LeCun, Bottou, Bengio & Haffner 1998, Proc. IEEE 86(11); a dense last layer in place of its RBF units.

    >>> lenet5().count_params()
    61706
    """
    return Sequential(
        [
            Conv2D(6, 5, padding=2, kernel_initializer="glorot_normal"), Tanh(), AvgPool2D(2),
            Conv2D(16, 5, kernel_initializer="glorot_normal"), Tanh(), AvgPool2D(2),
            Flatten(),
            Dense(120, kernel_initializer="glorot_normal"), Tanh(),
            Dense(84, kernel_initializer="glorot_normal"), Tanh(),
            Dense(classes, kernel_initializer="glorot_normal"),
        ],
        input_shape=input_shape, seed=seed,
    )  # fmt: skip


def resnet8(classes: int = 10, seed: int = 0, input_shape: Shape = (3, 32, 32)) -> Sequential:
    """A residual network of eight layers with weights on its longest way, for 3×32×32 images.

    Where the image shrinks, a convolution of stride 2 stands between the residual blocks instead of inside one.

    Source: He, Zhang, Ren & Sun 2016, arXiv:1512.03385, section 4.2.

    >>> resnet8().output_shape
    (10,)
    """
    return Sequential(
        [
            *_conv(16), *_block(16),
            *_conv(32, stride=2), *_block(32),
            *_conv(64, stride=2),
            GlobalAvgPool2D(), Dense(classes),
        ],
        input_shape=input_shape, seed=seed,
    )  # fmt: skip


def unet(
    classes: int = 2, input_shape: Shape = (1, 64, 64), base: int = 16, depth: int = 2, seed: int = 0
) -> Sequential:
    """A U-Net: at each of `depth` levels, copy the image across and let the level below see it at half the size.

    It ends in logits for every pixel, (classes, H, W); H and W must be multiples of 2 to the power of `depth`.

    Source: Ronneberger, Fischer & Brox 2015, arXiv:1505.04597, with padded convolutions, so that sizes are kept.

    >>> unet(classes=3, input_shape=(1, 16, 24)).output_shape
    (3, 16, 24)
    """
    return Sequential([*_level(base, depth), Conv2D(classes, 1)], input_shape=input_shape, seed=seed)


def _level(filters: int, depth: int) -> list[Layer]:
    """One level of the U and all below it: a network that is defined by itself."""
    if depth == 0:
        return _twice(filters)
    below = SkipConcat([MaxPool2D(2), *_level(2 * filters, depth - 1), ConvTranspose2D(filters, 2, stride=2)])
    return [*_twice(filters), below, *_twice(filters)]


def _twice(filters: int) -> list[Layer]:
    return [Conv2D(filters, 3, padding="same"), ReLU(), Conv2D(filters, 3, padding="same"), ReLU()]


def _conv(filters: int, stride: int = 1) -> list[Layer]:
    return [Conv2D(filters, 3, stride=stride, padding=1, use_bias=False), BatchNorm2D(), ReLU()]


def _block(filters: int) -> list[Layer]:
    return [Residual([*_conv(filters), Conv2D(filters, 3, padding=1, use_bias=False), BatchNorm2D()]), ReLU()]
