"""Fusion: which neighbours in a chain one kernel runs together, so that what lies between them never reaches memory.

The mathematics stays what it is, one formula each; only the passes over memory become fewer. A convolution, the ReLU
behind it and a 2×2 max pool behind that are one step of the plan; so is a convolution with its ReLU, and a dense layer
with its; every other layer is a step of its own. `summary()` shows the plan of training. It is in force while a network
works (in `fit`, `evaluate` and `predict`) on the rung `numba`; where calls are recorded, on the other rungs, where
somebody calls layers himself, and where he has put a function of his own on a layer (not on its class), each does its
own part. Where there will be no backward pass, a convolution also reads the two halves that a `SkipConcat` before it
would join where they lie, or halves its images itself in place of a max pool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from tinycnn import backends, kept
from tinycnn.layers.activation import ReLU
from tinycnn.layers.base import NO_FORWARD, Array, Layer
from tinycnn.layers.conv import Conv2D
from tinycnn.layers.dense import Dense
from tinycnn.layers.pool import MaxPool2D


class Fused:
    """Some layers as one step of a chain; the first of them has the weights."""

    def __init__(self, first: Layer, *behind: Layer):
        self.layers: tuple[Layer, ...] = (first, *behind)
        self._undo: Callable[..., Any] | None = None

    def fits(self) -> bool:
        """Whether the layers still are what one kernel can do."""
        return all(map(_is_itself, self.layers))

    def forward(self, x: Array, train: bool = False) -> Array:
        """All at once; the layers themselves remember nothing."""
        rung, self._undo = backends.current(), None
        y, cache, op = self.run(rung, x, train)
        for layer in self.layers:
            layer.forget()
        if not kept.is_asking():
            backward = rung(op + "_backward")
            self._undo = lambda dy, wanted: backward(dy, cache, wanted=wanted)
        return y

    def run(self, rung: backends.Rung, x: Array, train: bool) -> tuple[Array, Any, str]:
        """The output, what backward needs, and the name of the kernel."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array:
        """Assign the gradients of the weights; return that of x."""
        return self._gradients(dy, "all")

    def learn(self, dy: Array) -> None:
        """Assign the gradients of the weights."""
        self._gradients(dy, "weights")

    def _gradients(self, dy: Array, wanted: str) -> Any:
        first: Any = self.layers[0]
        if self._undo is None:
            raise RuntimeError(f"{first.label}: {NO_FORWARD}")
        undo, self._undo = self._undo, None  # its arrays can be used again
        dx, dw, db = undo(dy, wanted)
        first.assign(dw, db)
        return dx

    def forget(self) -> None:
        """Let go of what the last forward left behind."""
        self._undo = None

    def walk(self) -> list[tuple[str, Layer]]:
        """The layers in it."""
        return [item for layer in self.layers for item in layer.walk()]


class ConvReLU(Fused):
    """A convolution, its ReLU and perhaps a 2×2 max pool, as one step of a chain."""

    def __init__(self, conv: Conv2D, *behind: Layer):
        super().__init__(conv, *behind)
        self.conv, self.pool = conv, 2 if len(behind) == 2 else 0

    def fits(self) -> bool:
        """Whether the layers, and the pool's options, still are what one kernel can do."""
        return super().fits() and (not self.pool or _is_small(self.layers[-1]))

    def run(self, rung: backends.Rung, x: Array, train: bool) -> tuple[Array, Any, str]:
        """The convolution, cut and pooled."""
        y, cache = rung("conv2d_relu_forward")(x, *self.given(), remember=not kept.is_asking())
        return y, cache, "conv2d_relu"

    def given(self) -> tuple:
        """What the kernel is given beside x."""
        conv = self.conv
        place = conv.stride, conv.padding, conv.dilation, conv.groups, conv.flip
        return conv.weight("w"), conv.params.get("b"), *place, self.pool


class SkipConvReLU(ConvReLU):
    """The same behind a `SkipConcat`, whose two halves are not joined; there is no backward pass."""

    def __init__(self, skip: Layer, conv: Conv2D, *behind: Layer):
        super().__init__(conv, *behind)
        self.layers, self.skip = (skip, *self.layers), skip

    def run(self, rung: backends.Rung, x: Array, train: bool) -> tuple[Array, Any, str]:
        """What the skip gives, convolved, cut and pooled."""
        skip: Any = self.skip
        return rung("conv2d_relu_of_two_forward")(*skip.halves(x, train), *self.given()), None, "conv2d_relu"


class PoolConvReLU(ConvReLU):
    """The same behind a 2×2 max pool, the result of which is not written down; there is no backward pass."""

    def __init__(self, before: Layer, conv: Conv2D, *behind: Layer):
        super().__init__(conv, *behind)
        self.layers, self.before = (before, *self.layers), before

    def fits(self) -> bool:
        """Whether that holds for both pools, if there are two."""
        return super().fits() and _is_small(self.before)

    def run(self, rung: backends.Rung, x: Array, train: bool) -> tuple[Array, Any, str]:
        """The images halved, convolved, cut and pooled."""
        return rung("conv2d_relu_of_halves_forward")(x, *self.given()), None, "conv2d_relu"


class DenseReLU(Fused):
    """A dense layer and its ReLU, as one step of a chain."""

    def run(self, rung: backends.Rung, x: Array, train: bool) -> tuple[Array, Any, str]:
        """The linear map, cut."""
        dense = self.layers[0]
        return *rung("linear_relu_forward")(x, dense.weight("w"), dense.params.get("b")), "linear_relu"


def hands_on_halves(kind: type[Layer]) -> type[Layer]:
    """Say of a class, not of those derived from it, that `halves(x, train)` gives what its forward would join."""
    _HAND_ON.add(kind)
    return kind


_HAND_ON: set[type[Layer]] = set()
Step = Layer | Fused
_OWN = frozenset(("forward", "backward", "learn"))


def plan(layers: Sequence[Layer], asking: bool = False) -> list[Step]:
    """The steps of a chain, in order, as they would be with fusion; where one is only `asking`, without backward."""
    steps: list[Step] = []
    place = 0
    while place < len(layers):
        group = _group(layers, place)
        step = _together(group) if len(group) > 1 else layers[place]
        if asking and isinstance(step, ConvReLU) and steps:
            step = _with_what_is_before(steps, group) or step
        steps.append(step)
        place += len(group)
    return steps


class Steps:
    """The steps of a chain as they are now: fused only while a network works on the fastest rung, and nobody looks on.

    They are planned once, and anew when the chain has other layers or a layer has changed in what the plan goes by.
    """

    def __init__(self) -> None:
        self._planned: list[Step] = []
        self._for: Any = None  # the layers, their kinds and whether one only asked; None if it has to be planned anew

    def now(self, layers: Sequence[Layer]) -> list[Step]:
        """Those of a chain of these layers."""
        if not (kept.is_keeping() and backends.current().find("conv2d_relu_forward") is not None):
            self._planned, self._for = [], None  # and with them what they remember
            return list(layers)
        asking = kept.is_asking()
        wanted = list(layers), list(map(type, layers)), asking
        fused = (step for step in self._planned if isinstance(step, Fused))
        if self._for != wanted or not all(step.fits() for step in fused):
            self._planned = plan(layers, asking)
            self._for = wanted if _is_final(layers, self._planned, asking) else None
        return self._planned


def _is_final(layers: Sequence[Layer], steps: Sequence[Step], asking: bool) -> bool:
    """Whether no function that is taken off a layer, and no option of a pool, could bring about more fusion."""
    waits = any(
        (isinstance(one, ConvReLU) and not one.pool and isinstance(after, MaxPool2D))
        or (asking and isinstance(one, MaxPool2D) and isinstance(after, ConvReLU))
        for one, after in pairwise(steps)
    )
    return not waits and all(map(_is_itself, layers))


def in_words(layers: Sequence[Layer]) -> list[str]:
    """The steps that are more than a layer, also those inside other layers: `conv1 + relu1 + pool1`."""
    found = []
    for step in plan(layers):
        if isinstance(step, Fused):
            found.append(" + ".join(str(layer.name) for layer in step.layers))
        else:
            found += in_words(step.children())
    return found


def _together(group: Sequence[Layer]) -> Fused:
    first, *behind = group
    return ConvReLU(first, *behind) if isinstance(first, Conv2D) else DenseReLU(first, *behind)


def _group(layers: Sequence[Layer], place: int) -> Sequence[Layer]:
    """The layers from a place on that one kernel runs together: one, two or three."""
    first, *behind = layers[place : place + 3]
    if type(first) not in (Conv2D, Dense) or not behind or not (_is_a(ReLU, behind[0]) and _is_itself(first)):
        return (first,)
    pooled = len(behind) == 2 and type(first) is Conv2D and _is_a(MaxPool2D, behind[1]) and _is_small(behind[1])
    return (first, *behind) if pooled else (first, behind[0])


def _is_a(kind: type[Layer], layer: Layer) -> bool:
    return type(layer) is kind and _is_itself(layer)


def _is_itself(layer: Layer) -> bool:
    """Whether it does what its class says: somebody who looks on may have put his own function there."""
    return _OWN.isdisjoint(vars(layer))


def _with_what_is_before(steps: list[Step], group: Sequence[Layer]) -> Step | None:
    """A convolution's step together with the last of these, which it takes away; or None if they do not go together."""
    last: Any = steps[-1]
    if isinstance(last, Fused) or last.is_read or not _is_itself(last):
        return None
    kind: Any = PoolConvReLU if type(last) is MaxPool2D and _is_small(last) else None
    if type(last) in _HAND_ON:
        kind = SkipConvReLU
    return None if kind is None else kind(steps.pop(), *group)


def _is_small(pool: Layer) -> bool:
    assert isinstance(pool, MaxPool2D)
    if pool.is_read:
        return False
    usual = pool.kernel_size == pool.stride == (2, 2) and pool.dilation == (1, 1) and not pool.ceil_mode
    return usual and pool.padding in (0, "valid", (0, 0), (0, 0, 0, 0))
