"""Fusion: which neighbours in a chain one kernel runs together, so that what lies between them never reaches memory.

The mathematics stays what it is, one formula each; only the passes over memory become fewer. A convolution, the ReLU
behind it and a 2×2 max pool behind that are one step of the plan, and a convolution with its ReLU is one; every other
layer is a step of its own. `summary()` shows the plan. It is in force while a network works (in `fit`, `evaluate` and
`predict`) on the rung `numba`; where calls are recorded, on the other rungs, and where somebody calls layers himself,
each layer does its own part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tinycnn import backends, kept
from tinycnn.layers.activation import ReLU
from tinycnn.layers.base import Array, Layer
from tinycnn.layers.conv import Conv2D
from tinycnn.layers.pool import MaxPool2D


class ConvReLU:
    """A convolution, its ReLU and perhaps a 2×2 max pool, as one step of a chain."""

    def __init__(self, conv: Conv2D, *behind: Layer):
        self.conv, self.layers = conv, (conv, *behind)
        self.pool = 2 if len(behind) == 2 else 0
        self._undo: Callable[..., Any] | None = None

    def forward(self, x: Array, train: bool = False) -> Array:
        """All at once; the layers themselves remember nothing."""
        conv, rung = self.conv, backends.current()
        y, cache = rung("conv2d_relu_forward")(
            x, conv.weight("w"), conv.params.get("b"), conv.stride, conv.padding, conv.dilation, conv.groups,
            conv.flip, pool=self.pool,
        )  # fmt: skip
        for layer in self.layers:
            layer.forget()
        if not kept.is_asking():
            backward = rung("conv2d_relu_backward")
            self._undo = lambda dy, wanted: backward(dy, cache, wanted=wanted)
        return y

    def backward(self, dy: Array) -> Array:
        """Assign the convolution's gradients; return that of x."""
        return self._gradients(dy, "all")

    def learn(self, dy: Array) -> None:
        """Assign the convolution's gradients."""
        self._gradients(dy, "weights")

    def _gradients(self, dy: Array, wanted: str) -> Any:
        if self._undo is None:
            raise RuntimeError(f"{self.conv.label}: backward needs a forward first")
        undo, self._undo = self._undo, None  # its arrays can be used again
        dx, dw, db = undo(dy, wanted)
        self.conv.assign(dw, db)
        return dx

    def forget(self) -> None:
        """Let go of what the last forward left behind."""
        self._undo = None

    def walk(self) -> Iterator[tuple[str, Layer]]:
        """The layers in it."""
        for layer in self.layers:
            yield from layer.walk()


Step = Layer | ConvReLU


def plan(layers: Sequence[Layer]) -> list[Step]:
    """The steps of a chain, in order, as they would be with fusion."""
    steps: list[Step] = []
    place = 0
    while place < len(layers):
        group = _group(layers[place : place + 3])
        steps.append(ConvReLU(*group) if len(group) > 1 else layers[place])  # type: ignore[arg-type]
        place += len(group)
    return steps


def steps_now(layers: Sequence[Layer]) -> list[Step]:
    """The steps as they are now: fused only while a network works on the fastest rung, and nobody looks on."""
    fuses = kept.is_keeping() and backends.current().find("conv2d_relu_forward") is not None
    return plan(layers) if fuses else list(layers)


def in_words(layers: Sequence[Layer]) -> list[str]:
    """The steps that are more than a layer, also those inside other layers: `conv1 + relu1 + pool1`."""
    found = []
    for step in plan(layers):
        if isinstance(step, ConvReLU):
            found.append(" + ".join(str(layer.name) for layer in step.layers))
        else:
            found += in_words(step.children())
    return found


def _group(layers: Sequence[Layer]) -> Sequence[Layer]:
    """The first layers of these that one kernel runs together: one, two or three."""
    kinds = [type(layer) if _is_itself(layer) else None for layer in layers]
    if kinds[:2] != [Conv2D, ReLU]:
        return layers[:1]
    return layers if kinds[2:] == [MaxPool2D] and _is_small(layers[2]) else layers[:2]


def _is_itself(layer: Layer) -> bool:
    """Whether a layer does what its class says: somebody who looks on may have put a function of his in its place."""
    return not {"forward", "backward", "learn"} & vars(layer).keys()


def _is_small(pool: Layer) -> bool:
    assert isinstance(pool, MaxPool2D)
    if pool.is_read:
        return False
    usual = pool.kernel_size == pool.stride == (2, 2) and pool.dilation == (1, 1) and not pool.ceil_mode
    return usual and pool.padding in (0, "valid", (0, 0), (0, 0, 0, 0))
