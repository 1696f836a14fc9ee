"""Adapters of the operators without a window: activations, products, softmax, normalisation, shapes, optimizers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from onnx_judge import reasons
from onnx_judge.reasons import NotOursError
from onnx_judge.run import Array, Node, adapter, forward, serve
from tinycnn import optim
from tinycnn.optim.base import decayed_gradient

for _op, _ours in (("Relu", "relu"), ("Sigmoid", "sigmoid"), ("Tanh", "tanh")):
    adapter(_op, _ours)(lambda node, ours=_ours: forward(ours, node.inputs[0]))


@adapter("LeakyRelu", judges="leaky_relu")
def leaky_relu(node: Node) -> Array:
    """By `leaky_relu`, whose default slope is the same."""
    return forward("leaky_relu", node.inputs[0], *([node.get("alpha")] if "alpha" in node.attributes else []))


@adapter("Elu", judges="elu")
def elu(node: Node) -> Array:
    """By `elu`, whose default alpha is the same."""
    return forward("elu", node.inputs[0], *([node.get("alpha")] if "alpha" in node.attributes else []))


@adapter("Gemm", judges="linear")
def gemm(node: Node) -> Array:
    """alpha·A·B + beta·C by `linear`, with alpha in x and C as the bias; a C of other rows is added behind it."""
    A, B, C = node.inputs[0], node.inputs[1], node.input(2)
    x = node.get("alpha", 1.0) * (A.T if node.get("transA", 0) else A)
    w = B if node.get("transB", 0) else B.T
    if C is None:
        return forward("linear", x, w, None)
    C = node.get("beta", 1.0) * C
    if C.size in (1, len(w)) and C.shape[:-1] in ((), (1,)):
        return forward("linear", x, w, np.broadcast_to(C.ravel(), len(w)))
    return forward("linear", x, w, None) + C


@adapter("MatMul", judges="linear")
def matmul(node: Node) -> Array:
    """By `linear` without a bias."""
    A, B = node.inputs
    if A.ndim != 2 or B.ndim != 2:
        raise NotOursError(reasons.STACK)
    return forward("linear", A, B.T, None)


def _along_axis(node: Node, ours: str) -> Array:
    """Softmax has its classes along axis 1; ONNX's along any, and once all axes from there on were taken as one."""
    x, axis = node.inputs[0], node.get("axis", -1 if node.opset >= 13 else 1)
    if node.opset < 13:
        rows = x.reshape(math.prod(x.shape[:axis]), -1)
        return forward(ours, rows).reshape(x.shape)
    return np.moveaxis(forward(ours, np.moveaxis(x, axis, 1)), 1, axis)


adapter("Softmax", "softmax")(lambda node: _along_axis(node, "softmax"))
adapter("LogSoftmax", "log_softmax")(lambda node: _along_axis(node, "log_softmax"))


@adapter("BatchNormalization", judges="batch_norm, batch_statistics, running_update")
def batch_normalization(node: Node) -> tuple[Array, ...]:
    """By `batch_norm`. ONNX's momentum is the weight of the old, and the variance that it remembers is the biased."""
    x, gamma, beta, mean, var = node.inputs
    eps = node.get("epsilon", 1e-5)
    if not node.get("training_mode", 0):
        return (forward("batch_norm", x, gamma, beta, mean, var, eps),)
    y = forward("batch_norm", x, gamma, beta, eps=eps)
    M, momentum = x.size // x.shape[1], 1 - node.get("momentum", 0.9)
    batch_mean, batch_var = serve("batch_statistics", x)
    biased = (batch_var * ((M - 1) / M)).astype(x.dtype)
    return y, serve("running_update", mean, batch_mean, momentum), serve("running_update", var, biased, momentum)


@adapter("InstanceNormalization", judges="group_norm")
def instance_normalization(node: Node) -> Array:
    """By `group_norm` with each channel a group of its own."""
    x, gamma, beta = node.inputs
    return forward("group_norm", x, x.shape[1], gamma, beta, node.get("epsilon", 1e-5))


@adapter("GroupNormalization", judges="group_norm")
def group_normalization(node: Node) -> Array:
    """By `group_norm`."""
    x, gamma, beta = node.inputs
    return forward("group_norm", x, node.get("num_groups"), gamma, beta, node.get("epsilon", 1e-5))


@adapter("LayerNormalization", judges="layer_norm, batch_statistics")
def layer_normalization(node: Node) -> tuple[Array, ...]:
    """By `layer_norm`, all axes before ONNX's being examples; the two statistics by `batch_statistics` of the rows."""
    x, gamma, beta = node.inputs[0], node.inputs[1], node.input(2)
    axis, eps = node.get("axis", -1) % x.ndim, node.get("epsilon", 1e-5)
    rows = x.reshape(math.prod(x.shape[:axis]), *x.shape[axis:])
    beta = np.zeros_like(gamma) if beta is None else beta
    y = forward("layer_norm", rows, gamma.reshape(x.shape[axis:]), beta.reshape(x.shape[axis:]), eps)
    M = math.prod(x.shape[axis:])
    mean, var = serve("batch_statistics", rows.reshape(-1, M).T)
    shape = (*x.shape[:axis], *(1,) * (x.ndim - axis))
    return y.reshape(x.shape), mean.reshape(shape), (1 / np.sqrt(var * ((M - 1) / M) + eps)).reshape(shape)


@adapter("Dropout", judges="dropout")
def dropout(node: Node) -> tuple[Array, Array]:
    """By `dropout`, with the mask of NumPy's old generator, which ONNX's numbers were made with."""
    x, ratio, training = node.inputs[0], node.input(1), node.input(2)
    if training is None or not training:
        drop_prob, mask = 0.0, np.ones(x.shape, bool)
    else:
        drop_prob = 0.5 if ratio is None else float(ratio)
        mask = np.random.RandomState(node.get("seed")).uniform(0, 1, x.shape) >= drop_prob
    return forward("dropout", x, mask, drop_prob), mask


@adapter("Flatten", judges="flatten")
def flatten(node: Node) -> Array:
    """By `flatten`, all axes before ONNX's being examples."""
    x, axis = node.inputs[0], node.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return forward("flatten", x.reshape(math.prod(x.shape[:axis]), *x.shape[axis:]))


@adapter("Reshape", judges="reshape")
def reshape(node: Node) -> Array:
    """By `reshape`, the whole array being one example; ONNX's 0 is the size that the axis had."""
    x, shape = node.inputs[0], node.inputs[1].tolist()
    if not node.get("allowzero", 0):
        shape = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return forward("reshape", x[None], tuple(shape))[0]


@adapter("Concat", judges="concat")
def concat(node: Node) -> Array:
    """By `concat`, with ONNX's axis where the channels lie."""
    axis = node.get("axis") % node.inputs[0].ndim
    first, *rest = (np.moveaxis(x[None], axis + 1, 1) for x in node.inputs)
    for other in rest:
        first = forward("concat", first, other)
    return np.moveaxis(first, 1, axis + 1)[0]


def _step(node: Node, states: int, step: Callable[..., tuple[Array, ...]]) -> list[Array]:
    """Every weight's step: ONNX gives the rate, the step's number, all weights, all gradients, and all of each state.

    What it returns is in that order too. Its `norm_coefficient` is our weight decay.
    """
    rate, t, *rest = node.inputs
    several = len(rest) // (2 + states)
    kinds = [rest[k * several : (k + 1) * several] for k in range(2 + states)]
    decay = node.get("norm_coefficient", 0.0)
    found = [step(w, decayed_gradient(w, dw, decay), *state, float(rate), int(t)) for w, dw, *state in zip(*kinds)]  # noqa: B905
    return [array for kind in zip(*found, strict=True) for array in kind]


@adapter("Adam", judges="adam")
def adam(node: Node) -> list[Array]:
    """By `adam_step`. ONNX adds epsilon before it corrects the bias; at step 0 it corrects nothing, as we at step ∞."""
    beta1, beta2, eps = node.get("alpha", 0.9), node.get("beta", 0.999), node.get("epsilon", 1e-6)
    shrink = 1 - node.get("norm_coefficient_post", 0.0)

    def step(w: Array, dw: Array, m: Array, v: Array, lr: float, t: Any) -> tuple[Array, ...]:
        t = t or math.inf
        w, m, v = optim.adam_step(w, dw, m, v, t, lr, beta1, beta2, eps / math.sqrt(1 - beta2**t))
        return shrink * w, m, v

    return _step(node, 2, step)


@adapter("Momentum", judges="momentum, nesterov")
def momentum(node: Node) -> list[Array]:
    """By `momentum_step` or `nesterov_step`. ONNX's beta, from step 1 on, is the weight of the gradient."""
    nesterov = node.get("mode") == "nesterov"
    ours = optim.nesterov_step if nesterov else optim.momentum_step

    def step(w: Array, dw: Array, v: Array, lr: float, t: int) -> tuple[Array, ...]:
        weight = node.get("beta") if t > 0 else 1.0
        assert weight == 1 or not nesterov, "Nesterov's look ahead weighs the gradient by 1"
        return ours(w, weight * dw, v, lr, node.get("alpha"))

    return _step(node, 1, step)


@adapter("Adagrad", judges="adagrad")
def adagrad(node: Node) -> list[Array]:
    """By `adagrad_step`, with a rate that falls with the step."""
    falls, eps = node.get("decay_factor", 0.0), node.get("epsilon", 1e-6)
    return _step(node, 1, lambda w, dw, v, lr, t: optim.adagrad_step(w, dw, v, lr / (1 + t * falls), eps))
