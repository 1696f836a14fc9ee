"""Gradient checks of layers and whole networks, with every weight and the input."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinycnn.layers.base import Layer
from tinycnn.verify.gradients import GradientReport, check_gradient


def check_layer(layer: Layer, x: np.ndarray, seed: int = 0, entries: int = 64) -> GradientReport:
    """Check a layer's gradients, of its input and of every weight, with a random upstream gradient and `train=True`.

    The layer is built for x if it is not yet. Its weights are float64 while it is checked, its buffers and random
    generators are put back before every evaluation, and it is left as it was.

    Raises TypeError if x is not float64.

    >>> from tinycnn import Conv2D
    >>> report = check_layer(Conv2D(2, 3, stride=2, padding=1), np.random.default_rng(0).normal(size=(2, 1, 5, 6)))
    >>> report.passed, [check.name for check in report.checks]
    (True, ['x', 'conv.w', 'conv.b'])
    """
    rng = np.random.default_rng((seed, 1))
    if layer.input_shape is None:
        layer.build(x.shape[1:], rng)
    with _in_float64(layer) as begin:
        dy = rng.normal(size=np.shape(layer.forward(x, train=True)))

        def value_and_gradients(x: np.ndarray, *weights: np.ndarray) -> tuple[Any, list[Any]]:
            begin(weights)
            y = layer.forward(x, train=True)
            if any(map(np.iscomplexobj, (x, *weights))):
                return (dy * y).sum(), []
            dx = layer.backward(dy)
            return (dy * y).sum(), [dx, *(inner.grads[key] for _, inner, key in _weights(layer))]

        return _check(value_and_gradients, x, layer, seed, entries)


def check_model(model: Any, x: np.ndarray, y: Any, seed: int = 0, entries: int = 32) -> GradientReport:
    """Check the gradients of a compiled network's loss, of its input and of every weight, with `train=True`.

    The network is checked in float64 whatever type it trains in, and left as it was.

    Raises RuntimeError if the model has no loss.

    >>> from tinycnn import Conv2D, Dense, Flatten, ReLU, Sequential
    >>> model = Sequential([Conv2D(2, 3), ReLU(), Flatten(), Dense(3)], input_shape=(1, 5, 5))
    >>> model.compile(loss="cross_entropy")
    >>> check_model(model, np.random.default_rng(0).normal(size=(2, 1, 5, 5)), np.array([0, 2])).passed
    True
    """
    if model.loss is None:
        raise RuntimeError("compile the model first: the check needs a loss")
    with _in_float64(model) as begin:

        def value_and_gradients(x: np.ndarray, *weights: np.ndarray) -> tuple[Any, list[Any]]:
            begin(weights)
            loss = model.loss.forward(model.forward(x, train=True), y)
            if any(map(np.iscomplexobj, (x, *weights))):
                return loss, []
            dx = model.backward(model.loss.backward())
            return loss, [dx, *(inner.grads[key] for _, inner, key in _weights(model))]

        return _check(value_and_gradients, np.asarray(x, np.float64), model, seed, entries)


def _check(f: Any, x: np.ndarray, layer: Layer, seed: int, entries: int) -> GradientReport:
    weights = list(_weights(layer))
    names = ["x", *(f"{path}.{key}" for path, _, key in weights)]
    return check_gradient(f, x, *(inner.params[k] for _, inner, k in weights), names=names, seed=seed, entries=entries)


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

    def begin(weights: tuple[np.ndarray, ...]) -> None:
        for (owner, key), value in zip(places, weights, strict=True):
            owner.params[key] = value
        for owner, _, buffers, _, generators in before:
            owner.buffers = {key: value.astype(np.float64) for key, value in buffers.items()}
            for name, generator in generators.items():
                setattr(owner, name, copy.deepcopy(generator))

    try:
        for owner in owners:
            owner.params = {key: value.astype(np.float64) for key, value in owner.params.items()}
            owner.buffers = {key: value.astype(np.float64) for key, value in owner.buffers.items()}
        yield begin
    finally:
        for owner, params, buffers, grads, generators in before:
            owner.params, owner.buffers, owner.grads = params, buffers, grads
            for name, generator in generators.items():
                setattr(owner, name, generator)


def _generators(layer: Layer) -> dict[str, np.random.Generator]:
    """A layer's own sources of chance (dropout has one), as they stand now."""
    return {k: copy.deepcopy(v) for k, v in vars(layer).items() if isinstance(v, np.random.Generator)}
