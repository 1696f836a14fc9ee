"""A copy of a network that may be asked anything: what each class scores, and what a layer gave and was handed back.

Whatever is done to the copy, the network itself is left as it was, to the last bit.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tinycnn.data.dataset import check_labels
from tinycnn.errors import ShapeError
from tinycnn.layers.activation import LogSoftmax, Sigmoid, Softmax
from tinycnn.layers.base import Array
from tinycnn.model.sequential import Sequential

BATCH = 32  # examples that go through at once


def copy_of(model: Sequential) -> Sequential:
    """A copy of the model, as it is between two calls; raises TypeError for what is no network."""
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a tinycnn.Sequential, got {type(model).__name__}")
    with model._lock:
        return copy.deepcopy(model)


def pictures(model: Sequential, x: Any) -> Array:
    """The examples (N, C, H, W) in the model's type, once they are such and fit."""
    x = model._examples(x, "x")
    if x.ndim != 4:
        raise ShapeError(f"x must be pictures (N, C, H, W), got shape {x.shape}")
    return x


def chosen(target: Any, scores: Array) -> Array:
    """The class asked about for each example, (N,): the one given, that of each, or the highest scoring one."""
    if scores.ndim != 2:
        raise ShapeError(f"a score for each class is needed, (N, K); the network gives {('N', *scores.shape[1:])}")
    N, K = scores.shape
    if target is None:
        return scores.argmax(axis=1)
    labels = check_labels(np.full(N, target) if np.ndim(target) == 0 else target, K, what="target")
    if len(labels) != N:
        raise ShapeError(f"target must be one class, or one for each of the {N} examples, got {len(labels)}")
    return labels


class Watched:
    """Runs a copy of a network forward and back from one class's score, and keeps what one layer gave and was given.

    The score is what goes into a last Softmax, LogSoftmax or Sigmoid, so that no class's gradient fades because another
    class is nearly sure; where there is none, what the last layer gives.
    """

    def __init__(self, model: Sequential):
        self.model = copy_of(model)
        self.y: Array | None = None
        self.dy: Array | None = None
        self.layers = list(self.model.layers)
        if self.layers and isinstance(self.layers[-1], Softmax | LogSoftmax | Sigmoid):
            self.layers.pop()

    def input_gradient(self, x: Array, target: Any) -> Array:
        """∂score/∂x of each example for its class, (N, C, H, W): by the pictures as given, before any normalising."""
        scores = self.model.prepare(x)
        for layer in self.layers:
            scores = layer.forward(scores)
        dy = np.zeros_like(scores)
        dy[np.arange(len(x)), chosen(target, scores)] = 1
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        normalised = self.model.preprocessing.get("normalise")
        return dy if normalised is None else dy / np.asarray(normalised["std"], dy.dtype)[:, None, None]

    def watch(self, path: str) -> None:
        """From now on keep this layer's output `y`, and the gradient `dy` that it is handed; KeyError for no layer."""
        layer = self.model.layer(path)
        forward, backward = layer.forward, layer.backward

        def watched_forward(x: Array, train: bool = False) -> Array:
            self.y = forward(x, train)
            return self.y

        def watched_backward(dy: Array) -> Array:
            self.dy = dy
            return backward(dy)

        vars(layer).update(forward=watched_forward, backward=watched_backward)
