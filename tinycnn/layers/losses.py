"""Losses as objects: each knows what it takes (logits or probabilities, integers or one-hot) and refuses the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from tinycnn import backends
from tinycnn.naming import lookup
from tinycnn.ops.checks import number
from tinycnn.ops.loss import targets

Array = np.ndarray


class Loss:
    """loss = forward(scores, t), then dscores = backward().

    `takes` says what the scores are: "logits", "probabilities" (of classes that exclude each other), "answers"
    (a probability for each number by itself) or "values". A subclass names its op and its options.
    """

    name: ClassVar[str] = ""
    op: ClassVar[str] = ""
    takes: ClassVar[str] = "values"
    options: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self._undo: Callable[[Any], Array] | None = None

    def forward(self, scores: Array, t: Any) -> Any:
        """The mean loss over the batch."""
        rung = backends.current()
        loss, cache = rung(self.op + "_forward")(scores, self.prepare(t, scores), **self.config())
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

    def prepare(self, t: Any, scores: Array) -> Any:
        """The targets as the op takes them."""
        return t

    def config(self) -> dict[str, Any]:
        """The options that make an equal loss."""
        return {option: getattr(self, option) for option in self.options}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config().items())})"


class _ClassLoss(Loss):
    """A loss whose targets are classes: integers, or rows that sum to 1."""

    def check(self, t: Any, shape: tuple[int, ...]) -> None:
        """Labels are classes, or rows that sum to 1."""
        t, ignored = np.asarray(t), self.config().get("ignore_index")
        targets(t if ignored is None or t.shape == shape else np.where(t == ignored, 0, t), shape)


class CrossEntropy(_ClassLoss):
    """Cross-entropy from logits; targets are integers or rows that sum to 1 (one-hot or soft).

    `class_weights` makes some classes count more, `label_smoothing` spreads a part of each target over all classes,
    rows labelled `ignore_index` do not count. Images of scores (N, K, H, W) take labels (N, H, W).

    >>> float(CrossEntropy().forward(np.zeros((1, 2)), np.array([0])).round(4))    # log 2
    0.6931
    """

    name, op, takes = "cross_entropy", "cross_entropy", "logits"
    options = ("class_weights", "label_smoothing", "ignore_index")

    def __init__(
        self, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0,
        ignore_index: int | None = None,
    ):  # fmt: skip
        super().__init__()
        self.class_weights = None if class_weights is None else [float(a) for a in class_weights]
        self.label_smoothing, self.ignore_index = label_smoothing, ignore_index
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(f"label_smoothing must be ≥ 0 and < 1, got {label_smoothing!r}")


class Focal(_ClassLoss):
    """Focal loss from logits: a cross-entropy in which what is already right hardly counts; gamma = 0 is that itself.

    >>> float(Focal(gamma=0).forward(np.zeros((1, 2)), np.array([0])).round(4))
    0.6931
    """

    name, op, takes = "focal", "focal", "logits"
    options = ("gamma", "class_weights")

    def __init__(self, gamma: float = 2.0, class_weights: Sequence[float] | None = None):
        super().__init__()
        self.gamma = gamma
        self.class_weights = None if class_weights is None else [float(a) for a in class_weights]
        if not (gamma == 0 or gamma >= 1):
            raise ValueError(f"gamma must be 0, or at least 1, got {gamma!r}")


class MultiMargin(_ClassLoss):
    """Hinge loss for classes: the right score should lead every other by `margin`. Targets are integers or one-hot.

    >>> float(MultiMargin().forward(np.array([[1.0, 0.5]]), np.array([0])))
    0.25
    """

    name, op = "multi_margin", "multi_margin"
    options = ("margin",)

    def __init__(self, margin: float = 1.0):
        super().__init__()
        self.margin = number(margin, "margin")


class _FromProbabilities(_ClassLoss):
    op, takes = "categorical_crossentropy", "probabilities"

    def prepare(self, t: Any, scores: Array) -> Any:
        """The targets, once they are of the kind that the name promises."""
        self.check(t, scores.shape)
        return t


class CategoricalCrossentropy(_FromProbabilities):
    """Cross-entropy from probabilities with one-hot targets, as Keras names it; behind a Softmax layer.

    >>> float(CategoricalCrossentropy().forward(np.array([[0.25, 0.75]]), np.array([[0, 1]])).round(4))
    0.2877
    """

    name = "categorical_crossentropy"

    def check(self, t: Any, shape: tuple[int, ...]) -> None:
        """One-hot rows only."""
        if np.shape(t) != shape:
            raise ValueError(
                f"loss 'categorical_crossentropy' takes one-hot targets of shape {shape}, got shape {np.shape(t)}: "
                "use tc.data.one_hot(y, num_classes), or loss 'sparse_categorical_crossentropy' for integer labels"
            )
        super().check(t, shape)


class SparseCategoricalCrossentropy(_FromProbabilities):
    """Cross-entropy from probabilities with integer targets, as Keras names it; behind a Softmax layer.

    >>> float(SparseCategoricalCrossentropy().forward(np.array([[0.25, 0.75]]), np.array([1])).round(4))
    0.2877
    """

    name = "sparse_categorical_crossentropy"

    def check(self, t: Any, shape: tuple[int, ...]) -> None:
        """Integers only."""
        if np.shape(t) == shape:
            raise ValueError(
                f"loss 'sparse_categorical_crossentropy' takes integer targets of shape {(shape[0], *shape[2:])}, "
                f"got one-hot rows of shape {shape}: use loss 'categorical_crossentropy' for those"
            )
        super().check(t, shape)


class _ValueLoss(Loss):
    """A loss between numbers: targets have the output's shape, and nothing is broadcast."""

    lowest: ClassVar[float] = -np.inf
    highest: ClassVar[float] = np.inf

    def prepare(self, t: Any, scores: Array) -> Any:
        """Targets of the output's type."""
        t = np.asarray(t)
        self.check(t, scores.shape)
        return t if t.dtype.kind == "c" else t.astype(scores.real.dtype)

    def check(self, t: Any, shape: tuple[int, ...]) -> None:
        """Numbers in range, and exactly as many."""
        t = np.asarray(t)
        if t.shape != shape:
            raise ValueError(f"loss {self.name!r} takes targets of the output's shape {shape}, got {t.shape}")
        if t.dtype.kind not in "fciub":
            raise TypeError(f"loss {self.name!r} takes numbers for targets, got {t.dtype}")
        wrong = np.argwhere(~((t.real >= self.lowest) & (t.real <= self.highest)))
        if wrong.size:
            at = tuple(map(int, wrong[0]))
            limits = f" from {self.lowest:g} to {self.highest:g}" if np.isfinite(self.lowest) else " that are no NaN"
            raise ValueError(f"loss {self.name!r} takes targets{limits}, but that at {list(at)} is {t[at]}")


class MSE(_ValueLoss):
    """Mean squared error, over every number.

    >>> float(MSE().forward(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]])))
    2.0
    """

    name, op = "mse", "mse"


class MAE(_ValueLoss):
    """Mean absolute error, over every number.

    >>> float(MAE().forward(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]])))
    1.0
    """

    name, op = "mae", "mae"


class Hinge(_ValueLoss):
    """Hinge loss; targets are 1 and −1.

    >>> float(Hinge().forward(np.array([[0.5, 3.0]]), np.array([[1, 1]])))
    0.25
    """

    name, op = "hinge", "hinge"
    lowest, highest = -1.0, 1.0


class BinaryCrossentropy(_ValueLoss):
    """Binary cross-entropy from probabilities, a yes or no for every number; behind a Sigmoid layer.

    >>> float(BinaryCrossentropy().forward(np.array([[0.5]]), np.array([[1]])).round(4))
    0.6931
    """

    name, op, takes = "binary_crossentropy", "binary_cross_entropy", "answers"
    lowest, highest = 0.0, 1.0


class BCEWithLogits(_ValueLoss):
    """Binary cross-entropy from logits, a yes or no for every number: several labels may hold at once.

    >>> float(BCEWithLogits().forward(np.array([[0.0]]), np.array([[1]])).round(4))
    0.6931
    """

    name, op, takes = "bce_with_logits", "binary_cross_entropy_with_logits", "logits"
    lowest, highest = 0.0, 1.0


class Dice(_ValueLoss):
    """Dice loss: one less the overlap of each class's probabilities with its mask; behind a Softmax or Sigmoid layer.

    >>> float(Dice().forward(np.array([[[1.0, 0.0]]]), np.array([[[1, 0]]])))
    0.0
    """

    name, op, takes = "dice", "dice", "answers"
    options = ("smooth",)
    lowest, highest = 0.0, 1.0

    def __init__(self, smooth: float = 1.0):
        super().__init__()
        self.smooth = number(smooth, "smooth")
        if self.smooth < 0:
            raise ValueError(f"smooth must be ≥ 0, got {smooth!r}")


_CLASSES = (
    CrossEntropy, CategoricalCrossentropy, SparseCategoricalCrossentropy, Focal, MultiMargin, MSE, MAE, Hinge,
    BinaryCrossentropy, BCEWithLogits, Dice,
)  # fmt: skip
LOSSES: dict[str, type[Loss]] = {loss.name: loss for loss in _CLASSES}


def loss_named(name: str | Loss) -> Loss:
    """A loss by its name, or the loss itself; raises ValueError for a name that is none."""
    if isinstance(name, Loss):
        return name
    return lookup(LOSSES, name, "loss")()
