"""One table of all ops: small, odd, non-square cases that every generic test runs over.

To add an op, add a line: its name, the variant, how to draw its arguments, and, if not (0,), which positional
arguments `backward` returns gradients for, in order. `d` draws: `d.normal(d.N, 3, 5, 7)` is a random array,
`d.spaced(...)` one whose numbers keep a distance of 0.1 from each other and from 0, so that no kink is near (ReLU, max
pool); `d.N` is the batch, which the empty-batch test makes 0.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.formula import literal_twin

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Draw:
    """Random arrays of one dtype, from one generator."""

    rng: np.random.Generator
    dtype: np.dtype
    N: int = 2

    def normal(self, *shape: int) -> np.ndarray:
        values = self.rng.normal(size=shape)
        return self._typed(values)

    def spaced(self, *shape: int) -> np.ndarray:
        """Distinct numbers 0.1 apart, of both signs, none nearer to 0 than 0.05."""
        n = int(np.prod(shape))
        return self._typed(((self.rng.permutation(n) * 0.1 + 0.05) * self.rng.choice([-1, 1], n)).reshape(shape))

    def positive(self, *shape: int) -> np.ndarray:
        return self._typed(self.rng.uniform(0.5, 2.0, size=shape))

    def probabilities(self, *shape: int) -> np.ndarray:
        """Rows along axis 1 that sum to 1."""
        e = np.exp(self.rng.normal(size=shape))
        return self._typed(e / e.sum(axis=1, keepdims=True))

    def labels(self, classes: int, *shape: int) -> np.ndarray:
        return self.rng.integers(0, classes, size=shape)

    def one_hot(self, *shape: int) -> np.ndarray:
        """One 1 in each row along axis 1."""
        labels = self.labels(shape[1], shape[0], *shape[2:])
        return np.moveaxis(np.eye(shape[1])[labels], -1, 1)

    def _typed(self, values: np.ndarray) -> np.ndarray:
        if np.dtype(self.dtype).kind == "c":
            values = values + 0.1j * self.rng.normal(size=values.shape)
        return values.astype(self.dtype)


@dataclass(frozen=True)
class OpCase:
    """A pair of ops with one way to call it."""

    name: str
    variant: str
    draw: Callable[[Draw], Arguments]
    grads: tuple[int, ...] = (0,)  # the positional arguments that backward returns gradients for, in order
    linear: bool = False  # forward is linear in argument 0 (others fixed; a bias counts as none)
    empty: str = "zero"  # an empty batch gives an empty result and zero gradients, or "refused": a ValueError
    twin: bool = True  # whether the declared formulas can be walked literally
    pair: tuple[Callable, Callable] | None = None  # if not ops.<name>_forward and ops.<name>_backward

    def __str__(self) -> str:
        return f"{self.name}-{self.variant}"

    def build(self, seed: int = 0, dtype: Any = np.float64, N: int = 2) -> Arguments:
        """Fresh arguments: (args, options). The same seed gives the same."""
        return self.draw(Draw(np.random.default_rng([seed, 7]), np.dtype(dtype), N))

    @property
    def functions(self) -> tuple[Callable, Callable]:
        return self.pair or (getattr(ops, f"{self.name}_forward"), getattr(ops, f"{self.name}_backward"))

    def forward(self, *args: Any, **options: Any) -> tuple[Any, Any]:
        return self.functions[0](*rewound(args), **rewound(options))

    def backward(self, dy: Any, cache: Any) -> tuple[Any, ...]:
        """The gradients, always as a tuple as long as `grads`."""
        return as_tuple(self.functions[1](dy, cache))

    def twins(self) -> tuple[Callable, Callable]:
        """Forward and backward computed by walking the declared formulas."""
        forward, backward = literal_twin(*self.functions)
        return forward, lambda dy, cache: as_tuple(backward(dy, cache))

    def argument_name(self, position: int) -> str:
        return list(inspect.signature(self.functions[0]).parameters)[position]

    def upstream(self, y: Any, seed: int = 1, dtype: Any = None) -> Any:
        """A random, signed dy for this y."""
        dy = np.random.default_rng([seed, 11]).normal(size=np.shape(y)).astype(dtype or np.asarray(y).dtype)
        return dy if dy.ndim else dy[()]


def as_tuple(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, tuple) else (result,)


def rewound(values: Any) -> Any:
    """The arguments, with random generators as they were: a second call draws the same numbers."""
    again = lambda v: copy.deepcopy(v) if isinstance(v, np.random.Generator) else v  # noqa: E731
    return {k: again(v) for k, v in values.items()} if isinstance(values, dict) else tuple(map(again, values))


def _conv(*, N_C_H_W=(3, 5, 6), w=(4, 3, 2, 3), bias=True, **options):
    return lambda d: ((d.normal(d.N, *N_C_H_W), d.normal(*w), d.normal(w[0]) if bias else None), options)


def _pool(kernel_size, image=(3, 5, 7), **options):
    return lambda d: ((d.spaced(d.N, *image), kernel_size), options)


def _each(name: str, variants: dict[str, Callable[[Draw], Arguments]], **about: Any) -> list[OpCase]:
    return [OpCase(name, variant, draw, **about) for variant, draw in variants.items()]


CONV = {
    "plain": _conv(),
    "no_bias": _conv(bias=False),
    "stride": _conv(stride=(2, 3)),
    "stride_over_kernel": _conv(w=(4, 3, 1, 2), stride=3),
    "padding": _conv(padding=(1, 2), stride=2),
    "four_paddings": _conv(padding=(1, 0, 2, 1)),
    "same": _conv(padding="same", stride=(2, 1)),
    "dilation": _conv(dilation=(2, 1), padding=1),
    "groups": _conv(N_C_H_W=(4, 4, 5), w=(6, 2, 3, 2), groups=2),
    "depthwise": _conv(N_C_H_W=(3, 4, 5), w=(3, 1, 2, 2), groups=3, padding=1, stride=2),
    "flip": _conv(flip=True, padding=1, stride=2),
    "flip_groups": _conv(N_C_H_W=(4, 4, 5), w=(2, 2, 2, 3), groups=2, flip=True, dilation=2),
    "1x1": _conv(w=(4, 3, 1, 1)),
}
POOL = {
    "plain": _pool(2),
    "overlapping": _pool((3, 2), stride=(1, 2)),
    "gaps": _pool(2, stride=3),
    "padding": _pool(3, stride=2, padding=1),
    "four_paddings": _pool((3, 2), stride=2, padding=(1, 0, 0, 1)),
    "same": _pool((2, 3), stride=2, padding="same"),
    "ceil": _pool((2, 3), stride=2, ceil_mode=True),
    "ceil_padding": _pool((3, 2), stride=(3, 2), padding=1, ceil_mode=True),
}
ROWS = {"rows": lambda d: ((d.spaced(d.N, 5),), {}), "images": lambda d: ((d.spaced(d.N, 3, 2, 4),), {})}
LOGITS = {"rows": lambda d: ((d.normal(d.N, 4),), {}), "images": lambda d: ((d.normal(d.N, 3, 2, 4),), {})}

CASES: list[OpCase] = [
    *_each("conv2d", CONV, grads=(0, 1, 2), linear=True),
    *_each("max_pool2d", POOL | {"dilation": _pool((2, 3), stride=1, dilation=(2, 3), padding=1)}),
    *_each("min_pool2d", POOL | {"dilation": _pool((3, 2), stride=2, dilation=2, ceil_mode=True, padding=1)}),
    *_each("avg_pool2d", POOL | {
        "include_pad": _pool(3, stride=2, padding=1, count_include_pad=True),
        "include_pad_ceil": _pool((3, 2), stride=(3, 2), padding=1, ceil_mode=True, count_include_pad=True),
    }, linear=True),
    *_each("global_avg_pool2d", {"images": lambda d: ((d.normal(d.N, 3, 4, 5),), {})}, linear=True),
    *_each("linear", {
        "plain": lambda d: ((d.normal(d.N, 3), d.normal(4, 3), d.normal(4)), {}),
        "no_bias": lambda d: ((d.normal(d.N, 5), d.normal(2, 5), None), {}),
    }, grads=(0, 1, 2), linear=True),
    *_each("relu", ROWS),
    *_each("softmax", LOGITS),
    *_each("log_softmax", LOGITS),
    *_each("flatten", {"images": lambda d: ((d.normal(d.N, 3, 2, 4),), {})}, linear=True),
    *_each("pad2d", {
        "zeros": lambda d: ((d.normal(d.N, 2, 3, 4), (1, 0, 2, 3)), {}),
        "value": lambda d: ((d.normal(d.N, 2, 3, 4), (1, 2)), {"value": 7.0}),
        "none": lambda d: ((d.normal(d.N, 2, 3, 4), 0), {}),
    }),
    *_each("cross_entropy", {
        "labels": lambda d: ((d.normal(d.N, 4), d.labels(4, d.N)), {}),
        "one_hot": lambda d: ((d.normal(d.N, 4), d.one_hot(d.N, 4)), {}),
        "soft": lambda d: ((d.normal(d.N, 4), d.probabilities(d.N, 4).real), {}),
        "pixels": lambda d: ((d.normal(d.N, 3, 2, 4), d.labels(3, d.N, 2, 4)), {}),
    }, empty="refused"),
    *_each("categorical_crossentropy", {
        "labels": lambda d: ((d.probabilities(d.N, 4), d.labels(4, d.N)), {}),
        "one_hot": lambda d: ((d.probabilities(d.N, 4), d.one_hot(d.N, 4)), {}),
        "pixels": lambda d: ((d.probabilities(d.N, 3, 2, 4), d.labels(3, d.N, 2, 4)), {}),
    }, empty="refused"),
    *_each("mse", {
        "rows": lambda d: ((d.normal(d.N, 4), d.normal(d.N, 4)), {}),
        "images": lambda d: ((d.normal(d.N, 3, 2, 4), d.normal(d.N, 3, 2, 4)), {}),
    }, empty="refused"),
]  # fmt: skip
