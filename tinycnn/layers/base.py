"""A layer: an object that owns its weights and remembers what its backward pass will need."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from tinycnn import backends, kept
from tinycnn.errors import ShapeError
from tinycnn.layers.initialisers import Initialiser

Array = np.ndarray
Shape = tuple[int, ...]
NO_FORWARD = "backward needs a forward first, and in training one of its own: there a forward serves one backward"


@dataclass(frozen=True)
class Facts:
    """What `summary()` says of a layer: its size formula with the numbers in, its window, its multiplications."""

    size: str = ""
    kernel: tuple[int, int] = (1, 1)  # how many input pixels a side one output pixel sees
    stride: tuple[int | Fraction, int | Fraction] = (1, 1)  # input pixels from one output pixel to the next
    sees_all: bool = False
    macs: int = 0  # multiply-accumulates for one example

    def then(self, after: Facts) -> Facts:
        """What is true of two layers in a row: the patch grows by (kernel − 1)·stride, and the strides multiply.

        >>> Facts(kernel=(3, 3), stride=(2, 2)).then(Facts(kernel=(2, 2))).kernel
        (5, 5)
        """
        (kv, kh), (sv, sh) = self.kernel, self.stride
        kernel = (math.ceil(kv + (after.kernel[0] - 1) * sv), math.ceil(kh + (after.kernel[1] - 1) * sh))
        stride = (sv * after.stride[0], sh * after.stride[1])
        return Facts("", kernel, stride, self.sees_all or after.sees_all, self.macs + after.macs)


class Layer:
    """y = forward(x), then dx = backward(dy). `grads` mirrors `params`: same keys, same shapes.

    A subclass states its output shape (`infer`), its weights if it has any (`weights`) and the two passes. Shapes are
    per example, without the batch: (C, H, W) or (features,).
    """

    kind: ClassVar[str] = ""  # what a network calls it when it has no name: conv1, conv2, …
    options: ClassVar[tuple[str, ...]] = ()  # the attributes that, passed to the class, make an equal layer

    def __init__(self, name: str | None = None, input_shape: Shape | None = None):
        self.name, self.named_by_network = name, False
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}
        self.dtype = np.dtype(np.float32)
        self._trainable = True
        self.wanted_shape = None if input_shape is None else check_shape(input_shape)
        self.planned: Shape | None = None  # the input's shape while a network's shapes are worked out
        self.input_shape: Shape | None = None
        self.output_shape: Shape | None = None
        self.cache: Any = None  # of the last forward's op
        self.is_read = False  # whether another layer goes by this one's cache
        self._undo: Callable[[Array], Any] | None = None
        self._undo_weights: Callable[[Array], Any] | None = None

    # ------------------------------------------------------- what a subclass states

    def infer(self, input_shape: Shape) -> Shape:
        """The output's shape for an input of this shape; raises ShapeError if it does not fit."""
        return input_shape

    def weights(self, input_shape: Shape) -> dict[str, tuple[Shape, Initialiser]]:
        """The shape of each weight, and how it begins."""
        return {}

    def buffer_shapes(self, input_shape: Shape) -> dict[str, tuple[Shape, Initialiser]]:
        """The shape of each array that is remembered but not learned, and how it begins."""
        return {}

    def link(self, before: dict[str, Layer]) -> None:
        """Find what this layer refers to among the layers before it in its network, by name."""

    def forward(self, x: Array, train: bool = False) -> Array:
        """Compute y, and remember what the backward pass needs."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array:
        """From the gradient of y, assign `grads` and return the gradient of x."""
        return self.undo(dy)

    def learn(self, dy: Array) -> None:
        """As `backward`, where nobody asks for the gradient of x: the first layer that learns."""
        self.backward(dy)

    def children(self) -> tuple[Layer, ...]:
        """The layers inside this one."""
        return ()

    def facts(self, input_shape: Shape) -> Facts:
        """What `summary()` says of this layer."""
        return Facts()

    # ------------------------------------------------------- what every layer does

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> Shape:
        """Fix the shapes and draw the weights; without a generator the weights are left for the caller to set.

        A layer that has weights of the right shapes keeps them: it may come, trained, from another network.
        """
        if getattr(self, "activation", None) is not None:
            raise ValueError(f"{self.label}: activation= stands for a layer of its own; put both into a Sequential")
        self.output_shape = self.infer(tuple(input_shape))
        self.input_shape = tuple(input_shape)
        wanted = {name: shape for name, (shape, _) in self.weights(self.input_shape).items()}
        if self.params and {name: w.shape for name, w in self.params.items()} == wanted:
            return self.output_shape
        self.params, self.grads, self.buffers = {}, {}, {}
        if rng is not None:
            for name, (shape, initialise) in self.buffer_shapes(self.input_shape).items():
                self.buffers[name] = initialise(shape, rng).astype(self.dtype)
            for name, (shape, initialise) in self.weights(self.input_shape).items():
                self.params[name] = initialise(shape, rng).astype(self.dtype)
        return self.output_shape

    def config(self) -> dict[str, Any]:
        """The options that make an equal layer."""
        return {option: getattr(self, option) for option in self.options}

    def run(self, op: str, *args: Any, **options: Any) -> Array:
        """Call an op on the rung in force, and keep its cache and the very backward that belongs to it."""
        rung = backends.current()
        y, cache = rung(op + "_forward")(*args, **options)
        self.forget()
        if self.is_read:
            self.cache = cache
        if not kept.is_asking():
            backward, weights_alone = rung(op + "_backward"), rung.find(op + "_backward_weights")
            self.cache, self._undo = cache, lambda dy: backward(dy, cache)
            self._undo_weights = None if weights_alone is None else lambda dy: weights_alone(dy, cache)
        return y

    def undo(self, dy: Array) -> Any:
        """The backward of the op that `run` called."""
        return self._backward_of_run(self._undo)(dy)

    def undo_weights(self, dy: Array) -> Any:
        """The same for the weights alone: without the gradient of x, where the rung has a way to leave it out."""
        if self._undo_weights is None:
            return self.undo(dy)[1:]
        return self._backward_of_run(self._undo_weights)(dy)

    def _backward_of_run(self, undo: Callable[[Array], Any] | None) -> Callable[[Array], Any]:
        if undo is None:
            raise RuntimeError(f"{self.label}: {NO_FORWARD}")
        if kept.is_keeping():  # once is enough, and its arrays can be used again
            self.forget()
        return undo

    def forget(self) -> None:
        """Let go of what the last forward left behind."""
        self.cache = self._undo = self._undo_weights = None

    def weight(self, name: str) -> Array:
        """A weight, once the layer is built."""
        if name not in self.params:
            raise RuntimeError(f"{self.label} has no weights yet: call build(input_shape, rng) first")
        return self.params[name]

    @property
    def label(self) -> str:
        """What messages call this layer: Conv2D 'conv1'."""
        return type(self).__name__ + (f" {self.name!r}" if self.name else "")

    @property
    def trainable(self) -> bool:
        """Whether training may change the weights; a frozen layer keeps them, and a frozen batch norm evaluates."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"trainable must be True or False, got {value!r}")
        for _, layer in self.walk():
            layer._trainable = bool(value)

    def walk(self, prefix: str = "") -> list[tuple[str, Layer]]:
        """The layer itself and all inside it, each with its path."""
        path = prefix + (self.name or self.kind)
        found: list[tuple[str, Layer]] = [(path, self)]
        for child in self.children():
            found += child.walk(path + ".")
        return found

    def __getstate__(self) -> dict[str, Any]:
        """All but what the last forward left behind, which a copy has no use for."""
        return vars(self) | {"cache": None, "_undo": None, "_undo_weights": None}

    def __repr__(self) -> str:
        words = [f"{k}={v!r}" for k, v in self.config().items()]
        return f"{type(self).__name__}({', '.join(words)})"


def check_shape(shape: Any) -> Shape:
    """The shape of one example, as ints of at least 1; raises ShapeError otherwise."""
    sizes = tuple(shape) if isinstance(shape, tuple | list) else ()
    if not sizes or not all(isinstance(s, int | np.integer) and not isinstance(s, bool) and s >= 1 for s in sizes):
        raise ShapeError(f"input_shape is (C, H, W) or (features,) of one example, of ints ≥ 1, got {shape!r}")
    return tuple(int(s) for s in sizes)


def check_image(layer: Layer, input_shape: Shape) -> tuple[int, int, int]:
    """The input's (C, H, W), or a ShapeError that says what to do."""
    if len(input_shape) != 3:
        raise ShapeError(f"{type(layer).__name__} takes images (C,H,W), got {input_shape} for each example")
    C, H, W = input_shape
    return C, H, W
