"""One case of an op: how its arguments are drawn, and what backward returns for them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.formula import literal_twin

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Draw:
    """Random arrays of one dtype, from one generator, for a batch of N."""

    rng: np.random.Generator
    dtype: np.dtype
    N: int = 2

    def normal(self, *shape: int) -> np.ndarray:
        """Standard normal numbers."""
        return self._typed(self.rng.normal(size=shape))

    def spaced(self, *shape: int) -> np.ndarray:
        """Distinct numbers 0.1 apart, of both signs, none nearer to 0 than 0.05."""
        n = int(np.prod(shape))
        return self._typed(((self.rng.permutation(n) * 0.1 + 0.05) * self.rng.choice([-1, 1], n)).reshape(shape))

    def positive(self, *shape: int) -> np.ndarray:
        """Numbers between 0.5 and 2."""
        return self._typed(self.rng.uniform(0.5, 2.0, size=shape))

    def inside(self, *shape: int) -> np.ndarray:
        """Numbers between 0.1 and 0.9: probabilities with room on both sides."""
        return self._typed(self.rng.uniform(0.1, 0.9, size=shape))

    def probabilities(self, *shape: int) -> np.ndarray:
        """Rows along axis 1 that sum to 1."""
        e = np.exp(self.rng.normal(size=shape))
        return self._typed(e / e.sum(axis=1, keepdims=True))

    def labels(self, classes: int, *shape: int) -> np.ndarray:
        """Whole numbers from 0 to classes − 1."""
        return self.rng.integers(0, classes, size=shape)

    def one_hot(self, *shape: int) -> np.ndarray:
        """One 1 in each row along axis 1."""
        labels = self.labels(shape[1], shape[0], *shape[2:])
        return np.moveaxis(np.eye(shape[1])[labels], -1, 1)

    def _typed(self, values: np.ndarray) -> np.ndarray:
        if np.dtype(self.dtype).kind == "c":
            values = values + 0.1j * self.rng.normal(size=values.shape)
        return values.astype(self.dtype)


Variants = dict[str, Callable[[Draw], Arguments]]


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
    N: int = 2  # how large a batch is built, unless told
    seed: int = 0  # the case's own, beside the one that build is given
    parameters: dict[str, str] = field(default_factory=dict)  # what kind of value each option has: "stride": "> 1"

    def __str__(self) -> str:
        return f"{self.name}-{self.variant}"

    def __repr__(self) -> str:
        return f"OpCase({self.name}: {self.variant}; seed {self.seed})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # in notebooks, and where Hypothesis reports the smallest case that fails

    def build(self, seed: int = 0, dtype: Any = np.float64, N: int | None = None) -> Arguments:
        """Fresh arguments: (args, options). The same seed gives the same."""
        rng = np.random.default_rng([seed, 7, self.seed])
        return self.draw(Draw(rng, np.dtype(dtype), self.N if N is None else N))

    @property
    def functions(self) -> tuple[Callable, Callable]:
        """The two ops."""
        return self.pair or (getattr(ops, f"{self.name}_forward"), getattr(ops, f"{self.name}_backward"))

    def forward(self, *args: Any, **options: Any) -> tuple[Any, Any]:
        """(y, cache), with random generators as they were."""
        return self.functions[0](*rewound(args), **rewound(options))

    def backward(self, dy: Any, cache: Any) -> tuple[Any, ...]:
        """The gradients, always as a tuple as long as `grads`."""
        return as_tuple(self.functions[1](dy, cache))

    def twins(self) -> tuple[Callable, Callable]:
        """Forward and backward computed by walking the declared formulas."""
        forward, backward = literal_twin(*self.functions)
        return forward, lambda dy, cache: as_tuple(backward(dy, cache))

    def argument_name(self, position: int) -> str:
        """What forward calls its argument at this position."""
        return list(inspect.signature(self.functions[0]).parameters)[position]

    def upstream(self, y: Any, seed: int = 1, dtype: Any = None) -> Any:
        """A random, signed dy for this y."""
        dy = np.random.default_rng([seed, 11]).normal(size=np.shape(y)).astype(dtype or np.asarray(y).dtype)
        return dy if dy.ndim else dy[()]


def as_tuple(result: Any) -> tuple[Any, ...]:
    """One gradient, or several, as a tuple."""
    return tuple(result) if isinstance(result, tuple) else (result,)


def rewound(values: Any) -> Any:
    """The arguments, with random generators as they were: a second call draws the same numbers."""
    again = lambda v: copy.deepcopy(v) if isinstance(v, np.random.Generator) else v  # noqa: E731
    return {k: again(v) for k, v in values.items()} if isinstance(values, dict) else tuple(map(again, values))


def each(name: str, variants: Variants, **about: Any) -> list[OpCase]:
    """A case for every variant of one op."""
    return [OpCase(name, variant, draw, **about) for variant, draw in variants.items()]
