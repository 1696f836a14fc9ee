"""Drawn cases of the ops without a window: linear maps, activations, softmax, norms, dropout, resizing, addresses."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinycnn.verify.cases.case import OpCase
from tinycnn.verify.cases.choices import batch_shape, behind_channels, border, case_of, spelled, spelling
from tinycnn.verify.cases.chooser import Chooser


def linear(chooser: Chooser) -> OpCase:
    """A matrix, with a bias or none."""
    N, C, F = chooser.integer(1, 2), chooser.integer(1, 4), chooser.integer(1, 4)
    bias = chooser.choice(("none", "given"))
    shapes = {"x": (N, C), "w": (F, C)} | ({"b": (F,)} if bias == "given" else {})
    arguments = lambda d: (d.normal(d.N, C), d.normal(F, C), d.normal(F) if bias == "given" else None)  # noqa: E731
    return case_of("linear", shapes, arguments, {"b": bias}, grads=(0, 1, 2), linear=True)


def _elementwise(chooser: Chooser, name: str, option: str = "", values: tuple[Any, ...] = ()) -> OpCase:
    """One array of any axes, no number of it at a kink, and perhaps one option of some values."""
    axes, x = batch_shape(chooser)
    value = chooser.choice(values) if option else None
    kinds, options = ({option: str(value)}, {option: value}) if option else ({}, {})
    return case_of(name, {"x": x}, lambda d: (d.spaced(d.N, *x[1:]),), {"x": axes} | kinds, options)


def _softmax(chooser: Chooser, name: str) -> OpCase:
    axes, z = batch_shape(chooser, most=4)
    return case_of(name, {"z": z}, lambda d: (d.normal(d.N, *z[1:]),), {"z": axes})


def flatten(chooser: Chooser) -> OpCase:
    """Examples of any axes; the formula is declared, and can be walked, for images."""
    axes, x = batch_shape(chooser)
    arguments = lambda d: (d.normal(d.N, *x[1:]),)  # noqa: E731
    return case_of("flatten", {"x": x}, arguments, {"x": axes}, linear=True, twin=axes == "images")


def reshape(chooser: Chooser) -> OpCase:
    """Sizes that are multiplied otherwise: (a, b·c) to (b, a, c), say, one of them left out or not."""
    a, b, c = (chooser.integer(1, 3) for _ in range(3))
    before = chooser.choice(((a * b * c,), (a, b * c), (a, b, c)))
    after = chooser.choice(((a * b * c,), (b, c * a), (c, a, b)))
    left_out = chooser.choice((False, True))
    place = chooser.integer(0, len(after) - 1)
    shape = tuple(-1 if left_out and i == place else size for i, size in enumerate(after))
    x = (chooser.integer(1, 2), *before)
    kinds = {"shape": "with −1" if left_out else "whole"}
    return case_of("reshape", {"x": x}, lambda d: (d.normal(d.N, *before),), kinds, {"shape": shape}, linear=True)


def concat(chooser: Chooser) -> OpCase:
    """Two arrays of different channels."""
    axes, behind = behind_channels(chooser)
    N, a, b = chooser.integer(1, 2), chooser.integer(1, 3), chooser.integer(1, 3)
    shapes = {"a": (N, a, *behind), "b": (N, b, *behind)}
    arguments = lambda d: (d.normal(d.N, a, *behind), d.normal(d.N, b, *behind))  # noqa: E731
    return case_of("concat", shapes, arguments, {"a": axes}, grads=(0, 1))


def _image(chooser: Chooser, most: int = 3) -> tuple[int, ...]:
    return (chooser.integer(1, 2), *(chooser.integer(1, most) for _ in range(3)))


def pad2d(chooser: Chooser) -> OpCase:
    """A border of zeros or of another number."""
    x, (how, padding, _) = _image(chooser), border(chooser, (2, 2), words=False)
    value = chooser.choice((0.0, -1.5))
    options = {"padding": padding, "value": value}
    kinds = {"padding": how, "value": str(value)}
    return case_of("pad2d", {"x": x}, lambda d: (d.normal(d.N, *x[1:]),), kinds, options)


def global_avg_pool2d(chooser: Chooser) -> OpCase:
    """Images of any size."""
    x = _image(chooser, 4)
    return case_of("global_avg_pool2d", {"x": x}, lambda d: (d.normal(d.N, *x[1:]),), {}, linear=True)


EPS = (1e-5, 1e-3, 0.1)
LEAST = 3  # numbers under one mean: of two, hardly a gradient is left


def batch_norm(chooser: Chooser) -> OpCase:
    """With the statistics of the batch, or with given ones."""
    axes, behind = behind_channels(chooser)
    N = -(-LEAST // math.prod(behind)) + chooser.integer(0, 2)
    C, given, eps = chooser.integer(1, 3), chooser.choice((False, True)), chooser.choice(EPS)
    shapes = {"x": (N, C, *behind), "gamma": (C,)} | ({"mean": (C,), "var": (C,)} if given else {})
    kinds = {"x": axes, "mean": "given" if given else "the batch's", "var": "given" if given else "the batch's"}

    def arguments(d: Any) -> tuple[Any, ...]:
        learned = (3 * d.spaced(d.N, C, *behind), d.normal(C), d.normal(C))
        return (*learned, d.normal(C), d.positive(C)) if given else learned

    about: dict[str, Any] = {"grads": (0, 1, 2), "empty": "zero" if given else "refused"}
    return case_of("batch_norm", shapes, arguments, kinds | {"eps": str(eps)}, {"eps": eps}, **about)


def layer_norm(chooser: Chooser) -> OpCase:
    """Over all the numbers of an example."""
    axes, behind = behind_channels(chooser)
    each = (-(-LEAST // math.prod(behind)) + chooser.integer(0, 2), *behind)
    N, eps = chooser.integer(1, 2), chooser.choice(EPS)
    arguments = lambda d: (3 * d.spaced(d.N, *each), d.normal(*each), d.normal(*each))  # noqa: E731
    kinds = {"x": axes, "eps": str(eps)}
    return case_of("layer_norm", {"x": (N, *each)}, arguments, kinds, {"eps": eps}, grads=(0, 1, 2))


def group_norm(chooser: Chooser) -> OpCase:
    """In one group, in several, or each channel alone."""
    axes, behind = behind_channels(chooser)
    in_each = max(-(-LEAST // math.prod(behind)), chooser.integer(1, 2))
    groups, N, eps = chooser.integer(1, 3), chooser.integer(1, 2), chooser.choice(EPS)
    C = groups * in_each
    arguments = lambda d: (3 * d.spaced(d.N, C, *behind), groups, d.normal(C), d.normal(C))  # noqa: E731
    grouping = "1" if groups == 1 else "each channel" if in_each == 1 else "> 1"
    shapes = {"x": (N, C, *behind), "groups": groups}
    kinds = {"x": axes, "groups": grouping, "eps": str(eps)}
    return case_of("group_norm", shapes, arguments, kinds, {"eps": eps}, grads=(0, 2, 3))


def dropout(chooser: Chooser) -> OpCase:
    """A mask that keeps each number with the probability that is said, and sometimes all or none of a few."""
    axes, x = batch_shape(chooser)
    p = chooser.choice((0.0, 0.5, 0.3, 0.9))
    arguments = lambda d: (d.normal(d.N, *x[1:]), d.rng.random((d.N, *x[1:])) >= p)  # noqa: E731
    return case_of("dropout", {"x": x}, arguments, {"x": axes, "drop_prob": str(p)}, {"drop_prob": p}, linear=True)


def _upsampling(chooser: Chooser, name: str, corners: bool = False) -> OpCase:
    x, (scale, _) = _image(chooser), spelled(chooser, 1, 3)
    kinds, options = {"scale": spelling(scale)}, {"scale": scale}
    if corners:
        align = chooser.choice((False, True))
        kinds, options = kinds | {"align_corners": str(align)}, options | {"align_corners": align}
    return case_of(name, {"x": x}, lambda d: (d.normal(d.N, *x[1:]),), kinds, options, linear=True)


def max_unpool2d(chooser: Chooser) -> OpCase:
    """Each number to a place of its own: the first places of a random order."""
    x = _, C, H, W = _image(chooser)
    size = chooser.choice(("one number", "one an axis"))
    more = chooser.integer(0, 3), chooser.integer(0, 3)
    OH, OW = (H + more[0], W + more[1]) if size == "one an axis" else (max(H, W) + more[0],) * 2

    def arguments(d: Any) -> tuple[Any, ...]:
        order = np.argsort(d.rng.random((d.N, C, OH * OW)), axis=2)
        return d.normal(d.N, C, H, W), order[:, :, : H * W].reshape(d.N, C, H, W)

    options = {"output_size": OH if size == "one number" else (OH, OW)}
    return case_of("max_unpool2d", {"x": x}, arguments, {"output_size": size}, options, linear=True)


LAYERS: dict[str, Callable[[Chooser], OpCase]] = {
    "linear": linear,
    "relu": partial(_elementwise, name="relu"),
    "leaky_relu": partial(_elementwise, name="leaky_relu", option="negative_slope", values=(0.01, 0.3, 0.0, -0.5)),
    "elu": partial(_elementwise, name="elu", option="alpha", values=(1.0, 0.5, 2.0)),
    "sigmoid": partial(_elementwise, name="sigmoid"),
    "tanh": partial(_elementwise, name="tanh"),
    "softmax": partial(_softmax, name="softmax"),
    "log_softmax": partial(_softmax, name="log_softmax"),
    "flatten": flatten,
    "reshape": reshape,
    "concat": concat,
    "pad2d": pad2d,
    "global_avg_pool2d": global_avg_pool2d,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "dropout": dropout,
    "upsample_nearest2d": partial(_upsampling, name="upsample_nearest2d"),
    "upsample_bilinear2d": partial(_upsampling, name="upsample_bilinear2d", corners=True),
    "max_unpool2d": max_unpool2d,
}
