"""Networks of every kind, small enough to explain the gradient of every weight in them."""

from __future__ import annotations

import contextlib
import copy
import io

import numpy as np
from layer_cases import spaced

import tinycnn as tc
from tinycnn import (
    AvgPool2D,
    BatchNorm1D,
    BatchNorm2D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LayerNorm,
    MaxPool2D,
    MaxUnpool2D,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    SkipConcat,
    Softmax,
    Tanh,
    Upsample2D,
)

RNG = np.random.default_rng(0)

NETWORKS = {
    "dense": ([Flatten(), Dense(4), Tanh(), Dense(3)], "cross_entropy"),
    "conv": ([Conv2D(2, 2, stride=(2, 1), padding=1), ReLU(), Flatten(), Dense(3)], "cross_entropy"),
    "groups and flip": ([Conv2D(2, 1), Conv2D(4, (2, 3), groups=2, flip=True), Flatten(), Dense(3)], "cross_entropy"),
    "dilation": ([Conv2D(2, 2, dilation=2), Tanh(), GlobalAvgPool2D(), Dense(3)], "mse"),
    "max pool": ([Conv2D(2, 2, padding="same"), MaxPool2D(3, stride=2, padding=1), Flatten(), Dense(3)], "mse"),
    "avg pool": ([Conv2D(2, 2), AvgPool2D(2, stride=1, padding=1), Flatten(), Dense(3)], "cross_entropy"),
    "batch norm": ([Conv2D(2, 2), BatchNorm2D(), ReLU(), Flatten(), Dense(3), BatchNorm1D()], "cross_entropy"),
    "layer norm": ([Conv2D(2, 2), LayerNorm(), Flatten(), Dense(3)], "cross_entropy"),
    "softmax": ([Flatten(), Dense(3), Softmax()], "categorical_crossentropy"),
    "dropout": ([Conv2D(2, 2), Dropout(0.4), Flatten(), Dense(3), Dropout(0.0)], "cross_entropy"),
    "residual": ([Conv2D(2, 1), Residual([Conv2D(2, 3, padding="same"), ReLU()]), Flatten(), Dense(3)], "mse"),
    "skip": ([Conv2D(2, 1), SkipConcat([Conv2D(1, 3, padding="same"), Tanh()]), Flatten(), Dense(3)], "mse"),
    "nested": ([SkipConcat([Residual([Conv2D(1, 2, padding="same")]), Sequential([Conv2D(1, 1), Tanh()])]),
                GlobalAvgPool2D(), Dense(3)], "mse"),
    "transposed": ([Conv2D(2, 2, stride=2), ConvTranspose2D(2, 3, stride=2, padding=1), Flatten(), Dense(3)], "mse"),
    "unpool": ([Conv2D(2, 2), MaxPool2D(2, name="down"), Conv2D(2, 1), MaxUnpool2D(of="down"), Flatten(), Dense(3)],
               "mse"),
    "upsample": ([Conv2D(2, 2), Upsample2D(2, mode="bilinear"), Flatten(), Dense(3), Sigmoid()],
                 "binary_crossentropy"),
}  # fmt: skip


def network(name: str, dtype=np.float64, **options) -> Sequential:
    """One of these networks, on images (1, 4, 3), with biases and scales that are not trivial."""
    layers, loss = NETWORKS[name]
    model = Sequential(copy.deepcopy(layers), input_shape=(1, 4, 3), seed=5, dtype=dtype)
    rng = np.random.default_rng(6)
    for w in model.named_params().values():
        w[...] = rng.normal(size=w.shape)
    model.compile(loss=loss, optimizer="sgd", **options)
    return model


def batch(model: Sequential, N: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Examples without a kink near, and targets of the kind that the loss takes."""
    x = 0.2 * spaced((N, *model.input_shape), seed=1)
    classes = np.arange(N) % 3
    return x.astype(model.dtype), classes if model.loss.name == "cross_entropy" else np.eye(3)[classes]


def backward(model: Sequential, x, y) -> Sequential:
    """A copy of the network, once it has gone through forward and backward as in a training step."""
    twin = copy.deepcopy(model)
    scores = twin.forward(x, train=True)
    twin.loss.forward(scores, y)
    twin.dx = twin.backward(twin.loss.backward())
    return twin


def explained(*args, **options):
    """What `explain_grad` returns, with what it printed set aside."""
    with contextlib.redirect_stdout(io.StringIO()):
        return tc.explain_grad(*args, **options)


def assert_explains(found, true, tolerance=1e-12):
    """The value, the formula's terms, the shares and the paths are one and the same number."""
    size = max(1.0, sum(abs(term.product) for term in found.terms))
    assert found.value == true
    sums = {"terms": sum(term.product for term in found.terms), "paths": found.paths(limit=None).total,
            "some paths": found.paths(limit=2).total}  # fmt: skip
    if found.cell is not None:
        sums |= {"cell": float(found.cell.value), "cell's terms": sum(float(t.value) for t in found.cell.terms)}
    for what, total in sums.items():
        assert abs(total - true) <= tolerance * size, f"{found.title}: the {what} make {total}, backward {true}"
