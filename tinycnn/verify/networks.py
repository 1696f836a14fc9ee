"""Gradient checks of layers and whole networks, with every weight and the input."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinycnn.blas import one_blas_thread
from tinycnn.layers.base import Layer
from tinycnn.verify.differences import Array
from tinycnn.verify.gradient_report import GradientReport, merged
from tinycnn.verify.gradients import check_gradient


def check_layer(
    layer: Any, x: Array, seed: int = 0, entries: int = 64, method: str = "complex", difference: str = "complex",
    directions: int = 3, tolerance: float | None = None,
) -> GradientReport:  # fmt: skip
    """Check a layer's gradients, of its input and of every weight, with a random upstream gradient and `train=True`.

    The layer is built for x if it is not yet. Its weights are float64 while it is checked, its buffers and random
    generators are put back before every evaluation, and it is left as it was. The rest is as in `check_gradient`. With
    method="projection", uᵀJv, the upstream gradient u is drawn anew for each of the directions v.

    Your own layer may be a subclass of Layer, or any object with `forward(x)` and `backward(dy)`. If it has weights, it
    reads them from a dict `params`, and leaves their gradients in a dict `grads` under the same keys.

    Raises TypeError if x is not float64.

    >>> from tinycnn import Conv2D
    >>> x = np.random.default_rng(0).normal(size=(2, 1, 5, 6))
    >>> report = check_layer(Conv2D(2, 3, stride=2, padding=1), x)
    >>> report.passed, [check.name for check in report.checks]
    (True, ['x', 'conv.w', 'conv.b'])
    >>> check_layer(Conv2D(2, 3), x, method="richardson").passed
    True
    """
    layer = layer if isinstance(layer, Layer) else _Plain(layer)
    if layer.input_shape is None and not layer.params:
        layer.build(x.shape[1:], np.random.default_rng((seed, 1)))
    asked = {"entries": entries, "method": method, "difference": difference, "tolerance": tolerance}
    if method != "projection":
        return _under_one_upstream(layer, x, seed, directions=directions, **asked)
    return merged(_under_one_upstream(layer, x, seed + k, directions=1, **asked) for k in range(directions))


def _under_one_upstream(layer: Layer, x: Array, seed: int, **asked: Any) -> GradientReport:
    """Check a layer's gradients with one random dy."""
    with _in_float64(layer) as begin:
        dy = np.random.default_rng((seed, 1)).normal(size=np.shape(layer.forward(x, train=True)))

        def value(x: Array, *weights: Array) -> Any:
            begin(weights)
            return (dy * layer.forward(x, train=True)).sum()

        def gradient(x: Array, *weights: Array) -> list[Any]:
            value(x, *weights)
            dx = layer.backward(dy.copy())
            return [dx, *(inner.grads[key] for _, inner, key in _weights(layer))]

        return _check(value, gradient, x, layer, seed=seed, **asked)


def check_model(
    model: Any, x: Array, y: Any, seed: int = 0, entries: int = 32, method: str = "complex",
    difference: str = "complex", directions: int = 3, tolerance: float | None = None,
) -> GradientReport:  # fmt: skip
    """Check the gradients of a compiled network's loss, of its input and of every weight, with `train=True`.

    The network is checked in float64 whatever type it trains in, and left as it was. The rest is as in
    `check_gradient`. For a large network method="projection" asks three random directions of every array, no entries.

    Raises RuntimeError if the model has no loss.

    >>> from tinycnn import Conv2D, Dense, Flatten, ReLU, Sequential
    >>> model = Sequential([Conv2D(2, 3), ReLU(), Flatten(), Dense(3)], input_shape=(1, 5, 5))
    >>> model.compile(loss="cross_entropy")
    >>> x, y = np.random.default_rng(0).normal(size=(2, 1, 5, 5)), np.array([0, 2])
    >>> check_model(model, x, y).passed, check_model(model, x, y, method="projection").passed
    (True, True)
    """
    if model.loss is None:
        raise RuntimeError("compile the model first: the check needs a loss")
    with one_blas_thread(), _in_float64(model) as begin:

        def value(x: Array, *weights: Array) -> Any:
            begin(weights)
            return model.loss.forward(model.forward(x, train=True), y)

        def gradient(x: Array, *weights: Array) -> list[Any]:
            value(x, *weights)
            dx = model.backward(model.loss.backward())
            return [dx, *(inner.grads[key] for _, inner, key in _weights(model))]

        return _check(
            value, gradient, np.asarray(x, np.float64), model, seed=seed, entries=entries, method=method,
            difference=difference, directions=directions, tolerance=tolerance,
        )  # fmt: skip


def _check(f: Callable[..., Any], gradient: Callable[..., Any], x: Array, layer: Layer, **asked: Any) -> GradientReport:
    weights = list(_weights(layer))
    names = ["x", *(f"{path}.{key}" for path, _, key in weights)]
    return check_gradient(f, x, *(o.params[k] for _, o, k in weights), gradient=gradient, names=names, **asked)


class _Plain(Layer):
    """Any object with forward(x) and backward(dy), as a layer. Each forward runs on a fresh copy of it."""

    def __init__(self, inner: Any):
        missing = [name for name in ("forward", "backward") if not callable(getattr(inner, name, None))]
        if missing:
            raise TypeError(f"a layer needs forward(x) and backward(dy); {type(inner).__name__} has no {missing[0]}")
        super().__init__(name=type(inner).__name__.lower())
        self.untouched, self.inner = copy.deepcopy(inner), inner
        self.params, self.input_shape = dict(getattr(inner, "params", {})), ()
        self.takes_train = "train" in inspect.signature(inner.forward).parameters

    def forward(self, x: Array, train: bool = False) -> Array:
        """The object's forward, with these weights in its `params`."""
        self.inner = copy.deepcopy(self.untouched)
        if self.params:
            self.inner.params = dict(self.params)
        return self.inner.forward(x, train=train) if self.takes_train else self.inner.forward(x)

    def backward(self, dy: Array) -> Array:
        """The object's backward; its `grads` become this layer's."""
        dx = self.inner.backward(dy)
        self.grads = dict(getattr(self.inner, "grads", {}))
        return dx


def _weights(layer: Layer) -> Iterator[tuple[str, Layer, str]]:
    """Every weight inside a layer: (path, owner, key)."""
    inner = layer.children()
    for path, owner in (item for child in inner for item in child.walk()) if inner else layer.walk():
        for key in owner.params:
            yield path, owner, key


@contextmanager
def _in_float64(layer: Layer) -> Iterator[Any]:
    """Weights and buffers in float64; yields a function that sets the weights and rewinds everything else."""
    owners = [inner for _, inner in layer.walk()]
    before = [(o, dict(o.params), dict(o.buffers), dict(o.grads), _generators(o)) for o in owners]
    places = [(owner, key) for _, owner, key in _weights(layer)]
    chances = [(owner, name, generator, generator.bit_generator.state)
               for owner, *_, generators in before for name, generator in generators.items()]  # fmt: skip

    def rewind() -> None:
        for owner, name, generator, state in chances:
            generator.bit_generator.state = state
            setattr(owner, name, generator)

    def begin(weights: tuple[Array, ...]) -> None:
        for (owner, key), value in zip(places, weights, strict=True):
            owner.params[key] = value
        for owner, _, buffers, *_ in before:
            owner.buffers = {key: value.astype(np.float64) for key, value in buffers.items()}
        rewind()

    try:
        for owner in owners:
            owner.params = {key: value.astype(np.float64) for key, value in owner.params.items()}
            owner.buffers = {key: value.astype(np.float64) for key, value in owner.buffers.items()}
        yield begin
    finally:
        for owner, params, buffers, grads, _ in before:
            owner.params, owner.buffers, owner.grads = params, buffers, grads
        rewind()


def _generators(layer: Layer) -> dict[str, np.random.Generator]:
    """A layer's own sources of chance (dropout has one), as they stand now."""
    return {k: copy.deepcopy(v) for k, v in vars(layer).items() if isinstance(v, np.random.Generator)}
