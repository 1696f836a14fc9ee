"""Adapters of the two losses. Ours are means over all rows; ONNX's may also be a sum, or a number for each row.

Where no mean is asked for, each row is given to our op alone, which makes the mean that row's own loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx_judge.run import Array, Node, adapter, forward


@adapter("SoftmaxCrossEntropyLoss", judges="cross_entropy, log_softmax")
def softmax_cross_entropy(node: Node) -> tuple[Array, ...]:
    """By `cross_entropy`, which takes class weights and an ignored label; log p by `log_softmax`."""
    z, t, weights = node.inputs[0], node.inputs[1], node.input(2)
    if node.get("reduction", "mean") == "mean":
        loss = forward("cross_entropy", z, t, class_weights=weights, ignore_index=node.get("ignore_index"))
    else:
        loss = _reduced(node, "cross_entropy", z, t, weights)
    return np.asarray(loss, z.dtype), *([forward("log_softmax", z)] if node.outputs > 1 else [])


@adapter("NegativeLogLikelihoodLoss", judges="categorical_crossentropy")
def negative_log_likelihood(node: Node) -> Array:
    """By `categorical_crossentropy` of exp(x). A constant taken from all x beforehand, so that none is over 1, is
    what the loss is then too much by."""
    x, t, weights = node.inputs[0], node.inputs[1], node.input(2)
    top = x.max()
    p = np.exp(x - top)
    if node.get("reduction", "mean") == "mean" and weights is None and "ignore_index" not in node.attributes:
        return np.asarray(forward("categorical_crossentropy", p, t) - top, x.dtype)
    return np.asarray(_reduced(node, "categorical_crossentropy", p, t, weights, top), x.dtype)


def _reduced(node: Node, ours: str, scores: Array, t: Array, weights: Any, excess: Any = 0) -> Array:
    """Each row's loss by our op, times its class's weight, then summed up, averaged or left as they are."""
    K, ignored = scores.shape[1], node.get("ignore_index")
    rows, labels = np.moveaxis(scores, 1, -1).reshape(-1, K), t.ravel()
    loss, weight = np.zeros(len(rows)), np.zeros(len(rows))
    for r in np.flatnonzero(labels != ignored) if ignored is not None else range(len(rows)):
        weight[r] = 1 if weights is None else weights[labels[r]]
        loss[r] = weight[r] * (forward(ours, rows[r : r + 1], labels[r : r + 1]) - excess)
    reduction = node.get("reduction", "mean")
    if reduction == "none":
        return loss.reshape(t.shape)
    return loss.sum() / (weight.sum() if reduction == "mean" else 1)
