"""Record one training step of a network: forward, backward, check, update, and the loss after it.

It is run on a copy of the network, which draws the numbers that the network itself would draw next; the network is
left as it was, to the last bit. NumPy serves, layer by layer, so that what is shown is the code that ran.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tinycnn import backends
from tinycnn.layers.base import Array, Layer
from tinycnn.model.inputs import check_fit
from tinycnn.model.sequential import Sequential
from tinycnn.optim import Optimizer, optimizer_named
from tinycnn.tracing.builder import Builder
from tinycnn.tracing.calls import Calls
from tinycnn.tracing.check import check_steps
from tinycnn.tracing.limits import MOST_EXAMPLES
from tinycnn.tracing.recorded import Trace
from tinycnn.tracing.steps import plain_number
from tinycnn.tracing.twin import Twin
from tinycnn.tracing.update import loss_after, penalty_steps, update_steps
from tinycnn.tracing.watch import watching
from tinycnn.train.loop import train_step


def trace(
    model: Sequential, x: Any, y: Any = None, optimizer: str | Optimizer | None = None, *, unfused: bool = False,
    apply: bool = False,
) -> Trace:  # fmt: skip
    """Record a real forward, backward and update of a network on one example, or a few, step by step.

    `x` is one example or a batch of at most 64, `y` its label. `optimizer` stands in for the model's own. `unfused`
    shows softmax and cross-entropy apart as well, Jacobian and all. The model is left as it was, weights, statistics
    and generators; with `apply` it then takes the very step that was recorded. Without `y`, or before
    `compile`, there is no loss, and the forward pass of a prediction is all there is.

    Raises what `fit` raises for data that do not fit, ValueError for more than 64 examples.

    >>> from tinycnn import Dense, Sequential
    >>> model = Sequential([Dense(2)], input_shape=(3,))
    >>> model.compile("sgd", "cross_entropy")
    >>> found = trace(model, np.ones((1, 3), np.float32), np.array([1]))
    >>> [step.phase for step in found]    # doctest: +NORMALIZE_WHITESPACE
    ['forward', 'forward', 'backward', 'backward', 'backward', 'backward', 'check', 'check', 'update', 'update',
     'update']
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"trace takes a Sequential, got {type(model).__name__}")
    if apply and (optimizer is not None or y is None):
        raise ValueError("apply=True takes the model's own step: it needs y, and no other optimizer")
    with model._lock:
        recording = Recording(copy.deepcopy(model), x, y, optimizer)
        recording.run(unfused)
        if apply:
            taken, labels = recording.as_given
            with backends.backend("numpy"):
                train_step(model, model.prepare(taken), labels)
    return recording.trace


class Recording:
    """One run. `model` is a copy that it may spoil."""

    def __init__(self, model: Sequential, x: Any, y: Any, optimizer: str | Optimizer | None):
        self.model = model
        x = np.asarray(x)
        one = model.input_shape is not None and x.shape == model.input_shape
        x = model._examples(x[None] if one else x, "x")
        if model.dtype.kind == "c":
            raise ValueError(f"trace takes real numbers, and the network has {model.dtype}")
        if len(x) > MOST_EXAMPLES:
            raise ValueError(f"trace takes at most {MOST_EXAMPLES} examples, got {len(x)}: give it x[:8], y[:8]")
        y = None if y is None else np.asarray(y)[None] if one else np.asarray(y)
        self.why_forward_only = self._why_forward_only(y)
        if not self.why_forward_only:
            assert model.loss is not None
            assert y is not None
            check_fit(x, y, 1, None, None)
            model._compiled()
            model.loss.check(y, (len(x), *model._outputs()))
        elif len(x) == 0:
            raise ValueError("there are no examples: x is empty")
        if optimizer is not None:
            model.optimizer = copy.deepcopy(optimizer_named(optimizer))
        self.as_given = (x, y)
        self.builder = Builder()
        self.calls = Calls(self.builder)
        self.inner: dict[int, Array] = {}
        self.left_out = self.why_forward_only

    def _why_forward_only(self, y: Array | None) -> str:
        if self.model.loss is None:
            return "The model is not compiled, so there is no loss: the forward pass of a prediction is all there is."
        if y is None:
            return "No labels were given, so there is no loss: the forward pass of a prediction is all there is."
        return ""

    @np.errstate(all="ignore")
    def run(self, unfused: bool) -> None:
        """Record everything."""
        model, builder = self.model, self.builder
        x, y = self.as_given
        with backends.backend("numpy"), backends.recording(), watching(self.calls):
            builder.weights = {id(w): key for key, w in model.named_params().items()}
            builder.buffers = {id(buffer): key for key, buffer in model.named_buffers().items()}
            for key, w in model.named_params().items():
                builder.origins.add(builder.store.put(w, "weight"), key, is_weight=True)
            builder.origins.add(builder.store.put(x, "activation"), "the examples as given")
            builder.at("forward", None, "input")
            xs = model.prepare(x)
            builder.origins.add(builder.store.put(xs, "activation"), "the input")
            twin = Twin(model, xs)
            self._watch()
            scores = model.forward(xs, train=not self.why_forward_only)
            loss = None
            if not self.why_forward_only:
                loss = self._learn(y, scores, twin, unfused)
        left_out = " ".join(filter(None, (self.left_out, builder.store.left_out)))
        self.trace = Trace(builder.store, builder.steps, self._about_model(), self._about_example(x, y, scores, loss),
                           left_out)  # fmt: skip

    def _learn(self, y: Any, scores: Array, twin: Twin, unfused: bool) -> dict[str, Any]:
        model, builder = self.model, self.builder
        assert model.loss is not None
        assert model.optimizer is not None
        kind = type(model.loss).__name__
        builder.at("forward", None, kind)
        loss = model.loss.forward(scores, y)
        if unfused:
            self.calls.unfused_forward(scores, y, model.loss)
        pulls, total = penalty_steps(model, builder, loss)
        builder.at("backward", None, kind)
        dscores = model.loss.backward()
        if unfused:
            self.calls.unfused_backward()
        model.backward(dscores)
        self.calls.listening = False
        self.left_out = check_steps(twin, y, model, builder, pulls)
        self.calls.listening = True
        update_steps(model, builder, self.calls, pulls)
        after = loss_after(twin, y, model, builder, self.calls, total)
        return {"loss": plain_number(total), "loss_after": plain_number(after)}

    # ------------------------------------------------------------------ watch

    def _watch(self) -> None:
        for path, layer in self.model._paths():
            inner = getattr(layer, "inner", None)
            if inner is not None:
                self._remember(layer, inner)
            self._wrap(path, layer)

    def _remember(self, around: Layer, inner: Layer) -> None:
        """Keep what the layers inside gave, for the sum or the concatenation around them."""
        forward, backward = inner.forward, inner.backward

        def watched_forward(x: Array, train: bool = False) -> Array:
            self.inner[id(around)] = forward(x, train)
            return self.inner[id(around)]

        def watched_backward(dy: Array) -> Array:
            self.inner[id(around)] = backward(dy)
            return self.inner[id(around)]

        vars(inner).update(forward=watched_forward, backward=watched_backward)

    def _wrap(self, path: str, layer: Layer) -> None:
        forward, backward, builder = layer.forward, layer.backward, self.builder

        def watched_forward(x: Array, train: bool = False) -> Array:
            with self._in("forward", path, layer) as before:
                buffers = dict(layer.buffers)
                y = forward(x, train)
                builder.at("forward", path, type(layer).__name__, _size(layer))
                self.calls.finish_forward(layer, x, y, self.inner.get(id(layer)), before, buffers)
            return y

        def watched_backward(dy: Array) -> Array:
            with self._in("backward", path, layer) as before:
                dx = backward(dy)
                builder.at("backward", path, type(layer).__name__)
                self.calls.finish_backward(layer, dy, dx, self.inner.get(id(layer)), before)
            return dx

        vars(layer).update(forward=watched_forward, backward=watched_backward)

    def _in(self, phase: str, path: str, layer: Layer) -> _Inside:
        return _Inside(self.builder, phase, path, layer)

    # ------------------------------------------------------------------ about

    def _about_model(self) -> dict[str, Any]:
        model = self.model
        weights = lambda layer: {key: list(w.shape) for key, w in layer.params.items()}  # noqa: E731
        return {
            "layers": [
                {"path": path, "kind": type(layer).__name__, "input_shape": list(layer.input_shape or ()),
                 "output_shape": list(layer.output_shape or ()), "weights": weights(layer),
                 "parameters": sum(w.size for w in layer.params.values()), "size": _size(layer),
                 "holds": [f"{path}.{child.name}" for child in layer.children()]}
                for path, layer in model._paths()
            ],
            "input_shape": list(model.input_shape or ()), "parameters": model.count_params(),
            "loss": repr(model.loss) if model.loss is not None else "",
            "optimizer": repr(model.optimizer) if model.optimizer is not None else "",
            "dtype": str(model.dtype), "classes": list(model.classes or ()),
        }  # fmt: skip

    def _about_example(self, x: Array, y: Any, scores: Array, loss: dict[str, Any] | None) -> dict[str, Any]:
        store = self.builder.store
        found: dict[str, Any] = {"examples": len(x), "x": store.put(x, "activation")}
        found["y"] = None if y is None else store.put(y, "label")
        found["output"] = store.put(scores, "activation")
        return found | (loss or {})


class _Inside:
    """Between a layer's call and its return, calls of ops are its own; then those of the layer around it again."""

    def __init__(self, builder: Builder, phase: str, path: str, layer: Layer):
        size = _size(layer) if phase == "forward" else ""
        self.builder, self.now = builder, (phase, path, type(layer).__name__, size)

    def __enter__(self) -> int:
        builder = self.builder
        self.around = builder.phase, builder.layer, builder.kind, builder.size_note
        builder.at(*self.now)
        return len(builder.steps)

    def __exit__(self, *exception: object) -> None:
        self.builder.at(*self.around)


def _size(layer: Layer) -> str:
    """The layer's size formula with the numbers in, if it has one."""
    if layer.input_shape is None or layer.children():
        return ""
    size = layer.facts(layer.input_shape).size
    if not size.startswith(("⌊", "⌈")):
        return size
    names = ("OH", "OW")[3 - len(layer.input_shape) :]  # a sequence has but a width
    return ", ".join(f"{name} = {one}" for name, one in zip(names, size.split(", "), strict=False))

