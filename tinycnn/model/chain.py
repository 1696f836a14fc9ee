"""A chain of layers. Forward runs through it, backward runs back: the reversed loop *is* the chain rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinycnn import kept
from tinycnn.errors import ShapeError
from tinycnn.layers.activation import activation
from tinycnn.layers.base import Array, Facts, Layer, Shape, check_shape
from tinycnn.model.fuse import Fused, Step, Steps

LARGEST_ADVISED = 4096  # the largest image that an error message suggests


class Chain(Layer):
    """y = f_k(… f_2(f_1(x))), with static shapes: each layer is built for what the one before it gives."""

    kind = "chain"
    advises = True  # what would fit is worked out once, by the outermost chain

    def __init__(self, layers: Iterable[Layer] = (), input_shape: Shape | None = None, name: str | None = None):
        super().__init__(name, input_shape)
        self.layers: list[Layer] = []
        self._plan = Steps()
        self._steps: list[Step] = []  # of the last forward
        for layer in layers:
            self.append(layer)

    def append(self, layer: Layer) -> None:
        """Add a layer at the end; one with `activation=` adds the activation as a layer of its own.

        Raises TypeError for what is no layer, ValueError for an instance that is already in the chain: it has one
        cache, and its second use would overwrite what the backward of the first needs.
        """
        if not isinstance(layer, Layer):
            hint = f"; did you mean {layer.__name__}()?" if isinstance(layer, type) else ""
            raise TypeError(f"a network is made of layers, got {layer!r}{hint}")
        present = {id(inner) for _, inner in self.walk()}
        if any(id(inner) in present for _, inner in layer.walk()):
            raise ValueError(f"{layer.label} is already in this network: make a new {type(layer).__name__} instead")
        self._give_name(layer)
        layer.link({other.name or "": other for other in self.layers})
        self.layers.append(layer)
        if isinstance(layer, Chain):
            layer.advises = False
        if (word := getattr(layer, "activation", None)) is not None:
            layer.activation = None  # type: ignore[attr-defined]
            self.append(activation(word))

    def children(self) -> tuple[Layer, ...]:
        """The layers, in order."""
        return tuple(self.layers)

    def infer(self, input_shape: Shape) -> Shape:
        """What comes out of the last layer; the first that does not fit names itself."""
        shape = tuple(input_shape)
        for place in range(len(self.layers)):
            shape = self._infer_one(place, shape, input_shape)
        return shape

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> Shape:
        """Fix all shapes, then draw all weights, in order."""
        self.output_shape = self.infer(check_shape(input_shape))
        self.input_shape = check_shape(input_shape)
        self._build_from(0, rng)
        return self.output_shape

    def forward(self, x: Array, train: bool = False) -> Array:
        """Through every layer in turn."""
        self._steps = self._plan.now(self.layers)
        for step in self._steps:
            x = step.forward(x, train)
        return x

    def backward(self, dy: Array) -> Array:
        """The chain rule: back through every layer, each handing on the gradient of what it was given."""
        for step in reversed(self._taken()):
            dy = step.backward(dy)
        return dy

    def learn(self, dy: Array) -> None:
        """As `backward`, for the gradients of the weights alone: it ends at the first layer that has any to learn."""
        if kept.is_keeping():  # the gradients of the last step, in whose place the new ones will be
            for _, layer in self._paths():
                layer.grads = {}
        steps = self._taken()
        learning = (k for k, step in enumerate(steps) if any(one.trainable and one.params for _, one in step.walk()))
        first = next(learning, len(steps))
        for step in reversed(steps[first + 1 :]):
            dy = step.backward(dy)
        for step in steps[first : first + 1]:
            step.learn(dy)
        if kept.is_keeping():
            for step in steps[:first]:
                step.forget()

    def __getstate__(self) -> dict[str, Any]:
        """Without the steps of the last forward, which a copy has no use for."""
        return {key: value for key, value in super().__getstate__().items() if key not in ("_steps", "_plan")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As it was, before any forward."""
        vars(self).update(state | {"_steps": [], "_plan": Steps()})

    def _taken(self) -> Sequence[Step]:
        """The steps of the last forward; the layers, if there are others now."""
        layers = [layer for step in self._steps for layer in (step.layers if isinstance(step, Fused) else [step])]
        return self._steps if layers == self.layers else self.layers

    def layer(self, name: str) -> Layer:
        """A layer by its name (inside another one: by its path, such as `block1.conv2`)."""
        found = dict(self._paths())
        if name not in found:
            raise KeyError(f"no layer {name!r}; there are {', '.join(found)}")
        return found[name]

    def named_params(self) -> dict[str, Array]:
        """Every weight by its path: `conv1.w`."""
        return {f"{path}.{key}": value for path, layer in self._paths() for key, value in layer.params.items()}

    def named_grads(self) -> dict[str, Array]:
        """The gradient of every weight that is not frozen, by its path."""
        learning = ((path, layer) for path, layer in self._paths() if layer.trainable)
        return {f"{path}.{key}": value for path, layer in learning for key, value in layer.grads.items()}

    def freeze(self, *names: str) -> None:
        """Keep the weights of these layers (without a name: of all) as they are; a batch norm among them evaluates.

        A name is a layer's, or the path of one inside another: `block1.conv2`. `unfreeze` lets them learn again.
        """
        self._set_trainable(names, False)

    def unfreeze(self, *names: str) -> None:
        """Let these layers (without a name: all) learn again."""
        self._set_trainable(names, True)

    def _set_trainable(self, names: tuple[str, ...], value: bool) -> None:
        chosen = [self.layer(name) for name in names] if names else self.layers
        for layer in chosen:
            layer.trainable = value

    def named_buffers(self) -> dict[str, Array]:
        """Every array that is remembered but not learned, by its path: `bn1.running_mean`."""
        return {f"{path}.{key}": value for path, layer in self._paths() for key, value in layer.buffers.items()}

    def facts(self, input_shape: Shape) -> Facts:
        """The layers' together: kernels and strides compose, multiplications add."""
        together, shape = Facts(), tuple(input_shape)
        for layer in self.layers:
            together, shape = together.then(layer.facts(shape)), layer.infer(shape)
        return together

    def _paths(self) -> list[tuple[str, Layer]]:
        return [item for layer in self.layers for item in layer.walk()]

    def _build_from(self, place: int, rng: np.random.Generator | None) -> None:
        """Build the layers from this place on; those before it keep their weights."""
        shape = self.layers[place - 1].output_shape if place else self.input_shape
        for layer in self.layers[place:]:
            assert shape is not None
            layer.dtype = self.dtype
            shape = layer.build(shape, rng)

    def _give_name(self, layer: Layer) -> None:
        names = {other.name for other in self.layers}
        if layer.name in names and layer.named_by_network:
            layer.name = None  # it was named by another network, where the name was free
        if layer.name is not None and layer.name in names:
            raise ValueError(f"two layers are called {layer.name!r}: give each a name of its own")
        number = 1 + sum(other.kind == layer.kind for other in self.layers)
        while layer.name is None or layer.name in names:
            layer.name, number = f"{layer.kind}{number}", number + 1
            layer.named_by_network = True

    def _infer_one(self, place: int, shape: Shape, first: Shape) -> Shape:
        layer = self.layers[place]
        layer.planned = shape
        try:
            out = layer.infer(shape)
            layer.weights(shape)
        except ShapeError as error:
            message = f"{layer.label} (layer {place + 1}): {error}"
            if self.advises:
                up_to_here = self.layers[: place + 1]
                message += _advice(self.layers, first, layer.kind) or _advice(up_to_here, first, layer.kind)
            raise ShapeError(message) from None
        return out


def _advice(layers: Sequence[Layer], input_shape: Shape, kind: str) -> str:
    """What would fit: the smallest square image that passes all these layers, if there is one."""
    if len(input_shape) != 3:
        return ""
    C, H, W = input_shape
    large = least = min(H, W)
    while large < LARGEST_ADVISED and not _fits(layers, (C, large, large)):
        large *= 2
    if not _fits(layers, (C, large, large)):
        return ""
    side = next(s for s in range(least, large + 1) if _fits(layers, (C, s, s)))
    remedy = {"pool": "Remove a pooling layer, or feed", "conv": "Use a smaller kernel or more padding, or feed"}
    size = "of at least" if _fits(layers, (C, side + 1, side + 1)) else "such as"  # halved and doubled: not every size
    return f"\n  {remedy.get(kind, 'Feed')} images {size} {side}×{side}."


def _fits(layers: Sequence[Layer], shape: Shape) -> bool:
    try:
        for layer in layers:
            layer.planned = shape
            shape = layer.infer(shape)
            layer.weights(shape)
    except ShapeError:
        return False
    return True
