"""One training step's forward and backward pass, watched: who called which op, and what each layer handed back.

It is run on a copy of the network, which draws the numbers that the network itself would draw next, so the network
is left as it was, to the last bit.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinycnn import backends, ops
from tinycnn.explanation.forward import Call, formula_and_values
from tinycnn.explanation.paths import Branches, Gradient, HandedOn, Opened
from tinycnn.formula import Formula
from tinycnn.layers.base import Array, Layer
from tinycnn.model import Residual, SkipConcat
from tinycnn.model.chain import Chain
from tinycnn.model.inputs import check_fit
from tinycnn.model.sequential import Sequential


class BackwardRun:
    """The gradients of one batch: `of_output[path]` and `of_input[path]` for every layer, each of which can be opened.

    Raises what `fit` raises for data that do not fit, and RuntimeError if the model is not compiled.
    """

    def __init__(self, model: Sequential, x: Array, y: Any):
        model._compiled()
        with model._lock:
            self.model = copy.deepcopy(model)
        x, y = np.asarray(x), np.asarray(y)
        if x.shape == self.model.input_shape:
            x, y = x[None], y[None]
        x = self.model._examples(x, "x")
        check_fit(x, y, 1, None, None)
        self.loss = self.model._compiled()[1]
        self.loss.check(y, (len(x), *self.model._outputs()))
        self.examples = len(x)
        self._calls: dict[str, list[Call]] = {}
        self._dx: dict[str, Array] = {}
        self.of_output: dict[str, Gradient] = {}
        self.of_input: dict[str, Gradient] = {}
        dscores = self._run(x, y)
        self._open(self.model.layers, self._from_loss(dscores), "")

    def _run(self, x: Array, y: Any) -> Array:
        with backends.recording() as recorder:
            for path, layer in self.model._paths():
                self._watch(path, layer, recorder)
            scores = self.model.forward(x, train=True)
            recorder.calls.clear()
            self.loss.forward(scores, y)
            self._loss_calls = list(recorder.calls)
            dscores = self.loss.backward()
            self.model.backward(dscores)
        return dscores

    def _watch(self, path: str, layer: Layer, recorder: backends.Recorder) -> None:
        forward, backward = layer.forward, layer.backward

        def watched_forward(x: Array, train: bool = False) -> Array:
            before = len(recorder.calls)
            y = forward(x, train)
            self._calls[path] = recorder.calls[before:]
            return y

        def watched_backward(dy: Array) -> Array:
            self._dx[path] = backward(dy)
            return self._dx[path]

        vars(layer).update(forward=watched_forward, backward=watched_backward)

    def _from_loss(self, dscores: Array) -> Gradient:
        name = f"the loss {self.loss.name or type(self.loss).__name__!r}"
        if len(self._loss_calls) != 1:
            return Gradient(dscores, name)
        formula, result, values = transposed(self._loss_calls[0])
        return Opened(dscores, name, formula, result, values)

    def _open(self, layers: Sequence[Layer], gradient: Gradient, prefix: str) -> Gradient:
        """From the gradient of what the last of these layers gave, that of what the first was given: the chain rule."""
        for layer in reversed(layers):
            path = prefix + str(layer.name)
            self.of_output[path] = gradient
            gradient = self.of_input[path] = self._open_one(layer, path, gradient)
        return gradient

    def _open_one(self, layer: Layer, path: str, dy: Gradient) -> Gradient:
        inside, calls, dx = path + ".", self._calls[path], self._dx[path]
        if isinstance(layer, Residual):
            added = HandedOn(path, dy)
            return Branches(dx, path, added, self._open(layer.layers, added, inside))
        if isinstance(layer, SkipConcat):
            formula, _, values = transposed(calls[-1])
            C = values["a"].shape[1]
            past = Opened(dy.value[:, :C], path, formula, "da", values, dy)
            aside = Opened(dy.value[:, C:], path, formula, "db", values, dy)
            return Branches(dx, path, past, self._open(layer.layers, aside, inside))
        if isinstance(layer, Chain):
            return self._open(layer.layers, dy, inside)
        if not calls and dx is dy.value:
            return HandedOn(path, dy)
        if len(calls) != 1 or transposed(calls[0])[1] not in transposed(calls[0])[0].results:
            return Gradient(dx, path)
        return Opened(dx, path, *transposed(calls[0]), dy)

    def weight(self, path: str, layer: Layer, weight: str) -> Opened:
        """The gradient of one of a layer's weights; raises ValueError if no formula makes it."""
        calls = self._calls[path]
        if len(calls) == 1:
            formula, _, values = transposed(calls[0])
            if "d" + weight in formula.results:
                return Opened(layer.grads[weight], path, formula, "d" + weight, values, self.of_output[path])
        raise ValueError(f"{layer.label}: no formula is declared that makes the gradient of {weight}")


def transposed(call: Call) -> tuple[Formula, str, dict[str, Any]]:
    """The backward formula of an op that was called, the name of its input's gradient, and the values it needs."""
    forward, values = formula_and_values(call)
    backward = getattr(ops, f"{forward.name}_backward").formula
    return backward, "d" + next(iter(values)), values
