"""Losses as objects: each knows what it takes (logits or probabilities, integers or one-hot) and refuses the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from tinycnn import backends
from tinycnn.naming import lookup
from tinycnn.ops.loss import targets

Array = np.ndarray


class Loss:
    """loss = forward(scores, t), then dscores = backward().

    `takes` says what the scores are: "logits", "probabilities" or "values".
    """

    name: ClassVar[str] = ""
    op: ClassVar[str] = ""
    takes: ClassVar[str] = "values"

    def __init__(self) -> None:
        self._undo: Callable[[Any], Array] | None = None

    def forward(self, scores: Array, t: Any) -> Any:
        """The mean loss over the batch."""
        rung = backends.current()
        loss, cache = rung(self.op + "_forward")(scores, t)
        backward = rung(self.op + "_backward")
        self._undo = lambda dy: backward(dy, cache)
        return loss

    def backward(self, dy: Any = 1.0) -> Array:
        """The gradient of the scores."""
        if self._undo is None:
            raise RuntimeError(f"{type(self).__name__}: backward needs a forward first")
        return self._undo(dy)

    def check(self, t: Any, shape: tuple[int, ...]) -> None:
        """Raise unless t can be the targets of scores of this shape: before training, not in the middle of it."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class CrossEntropy(Loss):
    """Cross-entropy from logits; targets are integers or one-hot rows.

    >>> float(CrossEntropy().forward(np.zeros((1, 2)), np.array([0])).round(4))    # log 2
    0.6931
    """

    name, op, takes = "cross_entropy", "cross_entropy", "logits"

    def check(self, t: Any, shape: tuple[int, ...]) -> None:
        """Labels are classes, or rows that sum to 1."""
        targets(t, shape)


class CategoricalCrossentropy(CrossEntropy):
    """Cross-entropy from probabilities with one-hot targets, as Keras names it; behind a Softmax layer.

    >>> float(CategoricalCrossentropy().forward(np.array([[0.25, 0.75]]), np.array([[0, 1]])).round(4))
    0.2877
    """

    name, op, takes = "categorical_crossentropy", "categorical_crossentropy", "probabilities"

    def forward(self, scores: Array, t: Any) -> Any:
        """The mean loss over the batch."""
        self.check(t, scores.shape)
        return super().forward(scores, t)

    def check(self, t: Any, shape: tuple[int, ...]) -> None:
        """One-hot rows only."""
        if np.shape(t) != shape:
            raise ValueError(
                f"loss 'categorical_crossentropy' takes one-hot targets of shape {shape}, got shape {np.shape(t)}: "
                "use tc.data.one_hot(y, num_classes), or loss 'sparse_categorical_crossentropy' for integer labels"
            )
        super().check(t, shape)


class SparseCategoricalCrossentropy(CrossEntropy):
    """Cross-entropy from probabilities with integer targets, as Keras names it; behind a Softmax layer.

    >>> float(SparseCategoricalCrossentropy().forward(np.array([[0.25, 0.75]]), np.array([1])).round(4))
    0.2877
    """

    name, op, takes = "sparse_categorical_crossentropy", "categorical_crossentropy", "probabilities"

    def forward(self, scores: Array, t: Any) -> Any:
        """The mean loss over the batch."""
        self.check(t, scores.shape)
        return super().forward(scores, t)

    def check(self, t: Any, shape: tuple[int, ...]) -> None:
        """Integers only."""
        if np.shape(t) == shape:
            raise ValueError(
                f"loss 'sparse_categorical_crossentropy' takes integer targets of shape {(shape[0], *shape[2:])}, "
                f"got one-hot rows of shape {shape}: use loss 'categorical_crossentropy' for those"
            )
        super().check(t, shape)


class MSE(Loss):
    """Mean squared error, over every number.

    >>> float(MSE().forward(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]])))
    2.0
    """

    name, op = "mse", "mse"

    def forward(self, scores: Array, t: Any) -> Any:
        """The mean loss over the batch."""
        t = np.asarray(t)
        self.check(t, scores.shape)
        return super().forward(scores, t.astype(scores.real.dtype) if t.dtype.kind != "c" else t)

    def check(self, t: Any, shape: tuple[int, ...]) -> None:
        """Numbers, and exactly as many: nothing is broadcast."""
        t = np.asarray(t)
        if t.shape != shape:
            raise ValueError(f"loss 'mse' takes targets of the output's shape {shape}, got {t.shape}")
        if t.dtype.kind not in "fciu":
            raise TypeError(f"loss 'mse' takes numbers for targets, got {t.dtype}")


LOSSES: dict[str, type[Loss]] = {
    loss.name: loss for loss in (CrossEntropy, CategoricalCrossentropy, SparseCategoricalCrossentropy, MSE)
}


def loss_named(name: str | Loss) -> Loss:
    """A loss by its name, or the loss itself; raises ValueError for a name that is none."""
    if isinstance(name, Loss):
        return name
    return lookup(LOSSES, name, "loss")()
