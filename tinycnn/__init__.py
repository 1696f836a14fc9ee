"""tinycnn: convolutional networks from scratch in NumPy, with every formula above the code that is it.

>>> import tinycnn as tc
>>> print(tc.formulas["linear"].text)
y[n,f] = b[f] + Σ[c] x[n,c]·w[f,c]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tinycnn import layers, ops, optim, train
from tinycnn.backends import backend
from tinycnn.cores import threads
from tinycnn.errors import ImageError, ModelFormatError, ShapeError
from tinycnn.formula import formulas
from tinycnn.layers import (
    ELU,
    AveragePooling2D,
    AvgPool2D,
    BatchNorm1D,
    BatchNorm2D,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalAvgPool2D,
    GroupNorm,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    MaxPool2D,
    MaxPooling2D,
    MaxUnpool2D,
    MinPool2D,
    Pad2D,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    Tanh,
    Upsample2D,
)
from tinycnn.model import Residual, Sequential, SkipConcat, load

if TYPE_CHECKING:
    from tinycnn import data, evaluation, plot, tracing, verify, zoo
    from tinycnn.checking import check
    from tinycnn.explanation import explain, explain_grad
    from tinycnn.tracing import trace
    from tinycnn.train import metrics

__version__ = "0.1.0"

_LAZY = {  # what takes time to import, or is seldom needed, comes when it is asked for
    "data": "tinycnn.data",
    "evaluation": "tinycnn.evaluation",
    "metrics": "tinycnn.train.metrics",
    "plot": "tinycnn.plot",
    "tracing": "tinycnn.tracing",
    "verify": "tinycnn.verify",
    "zoo": "tinycnn.zoo",
}
_LAZY_FUNCTIONS = {
    "check": "tinycnn.checking",
    "explain": "tinycnn.explanation",
    "explain_grad": "tinycnn.explanation",
    "trace": "tinycnn.tracing",
}
formulas.declared_in(  # files that are imported late
    "tinycnn.data.adjust", "tinycnn.data.augment_looks", "tinycnn.data.colour", "tinycnn.data.degrade",
    "tinycnn.data.filters", "tinycnn.data.resizing", "tinycnn.data.statistics", "tinycnn.data.warp",
    "tinycnn.train.metrics", "tinycnn.evaluation",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(_LAZY[name])
    if name in _LAZY_FUNCTIONS:
        return getattr(importlib.import_module(_LAZY_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'tinycnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY, *_LAZY_FUNCTIONS])


__all__ = [
    "ELU",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNorm1D",
    "BatchNorm2D",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GroupNorm",
    "ImageError",
    "LayerNorm",
    "LeakyReLU",
    "LogSoftmax",
    "MaxPool2D",
    "MaxPooling2D",
    "MaxUnpool2D",
    "MinPool2D",
    "ModelFormatError",
    "Pad2D",
    "ReLU",
    "Reshape",
    "Residual",
    "Sequential",
    "ShapeError",
    "Sigmoid",
    "SkipConcat",
    "Softmax",
    "Tanh",
    "Upsample2D",
    "backend",
    "check",
    "data",
    "evaluation",
    "explain",
    "explain_grad",
    "formulas",
    "layers",
    "load",
    "metrics",
    "ops",
    "optim",
    "plot",
    "threads",
    "trace",
    "tracing",
    "train",
    "verify",
    "zoo",
]
