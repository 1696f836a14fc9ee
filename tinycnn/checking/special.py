"""Cases that drawing does not come upon: equal numbers, exact zeros, enormous ones, a NaN; and plain square ones.

Students' code often takes whole numbers for options, and square images: such cases come first, so that there is
something simple to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Special = tuple[str, str, tuple[Any, ...], dict[str, Any]]  # label, kind, arguments, options
_POOLS = ("max_pool2d", "min_pool2d", "avg_pool2d")
_STRIDES: tuple[dict[str, Any], ...] = (
    {}, {"stride": 1}, {"stride": 2}, {"padding": 1}, {"stride": 1, "padding": 1}, {"stride": 3}
)  # fmt: skip


def special_cases(name: str, rng: np.random.Generator) -> Iterator[Special]:
    """(label, kind, arguments, options) of what is special to an op."""
    if name == "conv2d":
        yield from _convolutions(rng)
    if name == "conv_transpose2d":
        for options in _STRIDES:
            args = (_round(rng, 1, 2, 4, 4), _round(rng, 2, 3, 3, 3), _round(rng, 3))
            yield f"square, {_words(options)}", "drawn", args, options
    if name == "conv1d":
        for options in _STRIDES:
            args = (_round(rng, 2, 2, 7), _round(rng, 3, 2, 2), _round(rng, 3))
            yield f"short, {_words(options)}", "drawn", args, options
    if name in _POOLS:
        yield from _pools(name, rng)
    if name == "linear":
        yield "square weights", "drawn", (_round(rng, 2, 3), _round(rng, 3, 3), _round(rng, 3)), {}
    if name in ("relu", "leaky_relu", "elu"):
        yield "exact zeros", "ties", (np.array([[-1.0, 0.0, 2.0], [0.0, 3.0, -2.0]]),), {}
    if name in ("mae", "hinge"):
        t = np.array([[1.0, -1.0], [-1.0, 1.0]])
        yield "exact hits", "ties", (t * np.array([[1.0, 2.0], [0.5, 1.0]]), t), {}
    huge = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 9e3]])
    if name in ("softmax", "log_softmax"):
        yield "enormous logits", "extreme", (huge,), {}
    if name in ("cross_entropy", "focal"):
        yield "enormous logits", "extreme", (huge, np.array([1, 1])), {}
    if name == "binary_cross_entropy_with_logits":
        yield "enormous logits", "extreme", (huge, np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])), {}
    if name in ("sigmoid", "tanh"):
        yield "enormous numbers", "extreme", (huge,), {}


def _convolutions(rng: np.random.Generator) -> Iterator[Special]:
    for options in _STRIDES:
        args = (_round(rng, 2, 2, 5, 5), _round(rng, 3, 2, 2, 2), _round(rng, 3))
        yield f"square, {_words(options)}", "drawn", args, options
    args = (_round(rng, 1, 1, 5, 5), _round(rng, 1, 1, 3, 3), _round(rng, 1))
    yield "one channel, one filter", "drawn", args, {}
    args = (_round(rng, 1, 4, 6, 5), _round(rng, 4, 2, 2, 3), _round(rng, 4))
    yield "groups and stride", "drawn", args, {"groups": 2, "stride": 2}


def _pools(name: str, rng: np.random.Generator) -> Iterator[Special]:
    for options in _STRIDES:
        values = (rng.permutation(50) - 24.5).reshape(1, 2, 5, 5)
        yield f"square, {_words(options)}", "drawn", (values, 2), options
    negative = -1.0 - rng.permutation(25).reshape(1, 1, 5, 5)
    yield "all negative, padding", "drawn", (negative, 3), {"stride": 2, "padding": 1}
    if name != "avg_pool2d":
        ties = rng.integers(0, 2, (1, 1, 4, 4)) * 1.0
        yield "equal numbers", "ties", (ties, 2), {}
        broken = (rng.permutation(16) - 7.5).reshape(1, 1, 4, 4)
        broken[0, 0, 1, 1] = np.nan
        yield "a NaN", "nan", (broken, 2), {}


def _round(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).round(1)


def _words(options: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v}" for k, v in options.items()) or "plain"
