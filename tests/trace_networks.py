"""Small networks that between them have every layer, every loss and every optimizer; and networks that are drawn."""

from __future__ import annotations

import numpy as np

import tinycnn as tc
from tinycnn import (
    ELU,
    AvgPool2D,
    BatchNorm1D,
    BatchNorm2D,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    GroupNorm,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    MaxPool2D,
    MaxUnpool2D,
    MinPool2D,
    Pad2D,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    Sigmoid,
    SkipConcat,
    Softmax,
    Tanh,
    Upsample2D,
)
from tinycnn.layers.losses import CrossEntropy, Dice

CLASSES = 3
CASES = ("windows", "norms", "branches", "larger", "pixels", "values", "answers", "dice", "margin", "probabilities")


def network(case: str) -> Sequential:
    """One of the networks, in float64."""
    layers, shape, loss, optimizer, options = _table()[case]
    model = Sequential(layers, input_shape=shape, dtype=np.float64, seed=1)
    model.compile(optimizer, loss, **options)
    return model


def _table():
    return {
        "windows": ([Conv2D(4, 3, stride=(2, 1), padding=(1, 2, 0, 1), dilation=(1, 2)), LeakyReLU(0.1),
                     Conv2D(4, 2, groups=2, flip=True, use_bias=False), ELU(),
                     AvgPool2D(3, 2, padding=1, ceil_mode=True), Flatten(), Dense(3), Tanh(), Dense(CLASSES)],
                    (2, 9, 10), "cross_entropy", "adam", {"regularizer": tc.optim.L1(0.01)}),
        "norms": ([Conv2D(4, 3, padding="same", activation="relu"), BatchNorm2D(), MaxPool2D(3, 2, padding=1),
                   GroupNorm(2), LayerNorm(), Dropout(0.3), GlobalAvgPool2D(), Dense(5), BatchNorm1D(), Sigmoid(),
                   Dense(CLASSES)],
                  (2, 7, 6), "cross_entropy", "rmsprop", {}),
        "branches": ([Conv2D(4, 3, padding=1), Residual([Conv2D(4, 3, padding=1), ReLU()]),
                      SkipConcat([MaxPool2D(2), Conv2D(4, 1), Upsample2D(2)]), MinPool2D(2),
                      Upsample2D(2, mode="bilinear", align_corners=True), Upsample2D(2, mode="bilinear"),
                      Dropout(0.2, per_channel=True), Flatten(), Dense(CLASSES), Softmax()], (1, 6, 4),
                     "sparse_categorical_crossentropy", "nesterov", {}),
        "larger": ([ConvTranspose2D(4, 3, stride=2, padding=1, output_padding=1, groups=2), MaxPool2D(2),
                    MaxUnpool2D("pool1"), Pad2D((1, 0, 2, 0)), Flatten(), Dense(8), Reshape((2, 4)),
                    Conv1D(3, 2, padding=(1, 0), stride=2, flip=True), Flatten(), Dense(CLASSES), LogSoftmax(),
                    Dense(CLASSES)], (2, 3, 4), "focal", "adagrad", {}),
        "pixels": ([Residual([SkipConcat([Conv2D(2, 1)]), Conv2D(2, 3, padding=1)]), Conv2D(CLASSES, 1)], (2, 3, 4),
                   CrossEntropy(class_weights=[1.0, 2.0, 0.5], label_smoothing=0.1, ignore_index=255), "adadelta", {}),
        "values": ([Flatten(), Dense(2)], (1, 2, 3), "mse", "gd", {}),
        "answers": ([Flatten(), Dense(2)], (1, 2, 3), "bce_with_logits", "adamw", {}),
        "dice": ([Conv2D(2, 3, padding=1), Sigmoid()], (1, 4, 3), Dice(0.5), "momentum", {}),
        "margin": ([Flatten(), Dense(CLASSES)], (1, 2, 3), "multi_margin", "sgd", {}),
        "probabilities": ([Flatten(), Dense(2), Sigmoid()], (1, 2, 3), "binary_crossentropy", "adam", {}),
    }  # fmt: skip


def example(model: Sequential, seed: int = 0):
    """A network with three examples and targets as its loss wants them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, *model.input_shape))
    shape = (3, *model.output_shape)
    name = model.loss.name
    if name == "mse":
        return model, x, rng.normal(size=shape)
    if name in ("bce_with_logits", "binary_crossentropy", "dice"):
        return model, x, rng.integers(0, 2, shape).astype(float)
    labels = rng.integers(0, CLASSES, (3, *shape[2:]))
    if name == "cross_entropy" and model.loss.ignore_index is not None:
        labels.flat[0] = model.loss.ignore_index
    return model, x, labels


def drawn_network(seed: int) -> Sequential:
    """Two or three layers on a small image, and a head; what they are is drawn."""
    rng = np.random.default_rng(seed)
    pick = lambda *options: options[rng.integers(len(options))]  # noqa: E731
    layers = [Conv2D(int(pick(2, 4)), (int(pick(1, 2, 3)), int(pick(1, 2))), stride=int(pick(1, 2)),
                     padding=pick(0, 1, "same"), dilation=int(pick(1, 1, 2)), groups=int(pick(1, 2)),
                     flip=bool(pick(True, False)), use_bias=bool(pick(True, False)))]  # fmt: skip
    middle = (ReLU, Tanh, Sigmoid, ELU, LeakyReLU, BatchNorm2D, LayerNorm, lambda: GroupNorm(2), lambda: Dropout(0.4),
              lambda: Upsample2D(2), lambda: Upsample2D(2, mode="bilinear"), lambda: Pad2D((1, 0)),
              lambda: MaxPool2D(2, stride=1), lambda: AvgPool2D(2, stride=1), lambda: MinPool2D(2, stride=1),
              lambda: Residual([ReLU()]), lambda: SkipConcat([Conv2D(2, 1)]),
              lambda: ConvTranspose2D(2, 2, stride=2))  # fmt: skip
    layers += [pick(*middle)() for _ in range(rng.integers(1, 3))]
    layers += [pick(Flatten, GlobalAvgPool2D)(), Dense(CLASSES)]
    model = Sequential(layers, input_shape=(2, 10, 7), dtype=np.float64, seed=int(rng.integers(100)))  # for two pools
    optimizer = pick("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw")
    model.compile(optimizer, pick("cross_entropy", "focal", "multi_margin"))
    return model
