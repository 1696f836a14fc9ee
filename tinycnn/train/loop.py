"""The training loop: forward, loss, backward, update; repeat. Backward computes gradients, the optimizer uses them."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import Any, Protocol

import numpy as np

from tinycnn.data.dataset import batches
from tinycnn.errors import ShapeError
from tinycnn.train.history import History
from tinycnn.train.metrics import accuracy, mae, mse, r2, top_k_accuracy
from tinycnn.train.progress import Progress

Array = np.ndarray
Metric = Callable[[Any, Any], float]
METRICS: dict[str, Metric] = {
    "accuracy": accuracy, "top_5_accuracy": top_k_accuracy, "mse": mse, "mae": mae, "r2": r2,
}  # fmt: skip


class Trainable(Protocol):
    """What the loop needs of a model."""

    optimizer: Any
    loss: Any
    metrics: dict[str, Metric]
    seed: int
    epochs_seen: int

    def forward(self, x: Array, train: bool = False) -> Array: ...  # noqa: D102
    def backward(self, dy: Array) -> Array: ...  # noqa: D102
    def named_params(self) -> dict[str, Array]: ...  # noqa: D102
    def named_grads(self) -> dict[str, Array]: ...  # noqa: D102
    def penalty(self) -> tuple[float, dict[str, Array]]: ...  # noqa: D102
    def first_not_finite(self, x: Array) -> str: ...  # noqa: D102
    def prepare(self, x: Array) -> Array: ...  # noqa: D102


class Augmenter(Protocol):
    """What changes training batches on their way in: `tinycnn.data.Compose([...])`, or one of its steps."""

    def batch(self, x: Array, t: Array, seed: int, epoch: int, index: Array) -> tuple[Array, Array]: ...  # noqa: D102


class Mean:
    """Means over examples, from means over batches of different sizes."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, numbers: Mapping[str, float], size: int) -> None:
        """Add a batch's means."""
        self.count += size
        for name, value in numbers.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value) * size

    def values(self) -> dict[str, float]:
        """The means over all examples so far."""
        return {name: total / self.count for name, total in self.sums.items()}


@np.errstate(over="ignore", invalid="ignore")  # infinities and NaN are reported in words, with their layer
def train_step(model: Trainable, x: Array, t: Array) -> dict[str, float]:
    """One step on one batch; returns the loss and metrics as they were before the update.

    Raises FloatingPointError, before any weight is changed, if the loss is not finite.
    """
    scores = model.forward(x, train=True)
    penalty, pulls = model.penalty()
    loss = float(model.loss.forward(scores, t)) + penalty
    if not math.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss}: {model.first_not_finite(x)}")
    model.backward(model.loss.backward())
    grads = model.named_grads()
    grads |= {key: grads[key] + pull for key, pull in pulls.items()}
    for key, dw in grads.items():
        if not np.isfinite(dw).all():
            raise FloatingPointError(f"the loss is {loss:.4g}, but the gradient of {key} is not finite")
    numbers = {"loss": loss} | {name: metric(t, scores) for name, metric in model.metrics.items()}
    model.optimizer.step(model.named_params(), grads)
    return numbers


def fit(
    model: Trainable, x: Array, t: Array, epochs: int, batch_size: int, rng: np.random.Generator | None,
    validate: Callable[[], Mapping[str, float]] | None, verbose: int, augment: Augmenter | None = None,
) -> History:  # fmt: skip
    """Train for some epochs on batches, shuffled by `rng` (in order without one); returns the numbers of each epoch.

    `augment` changes each training batch; what `validate` looks at, it never sees.
    """
    history = History()
    progress = Progress(verbose, epochs, math.ceil(len(x) / batch_size))
    try:
        for epoch in range(1, epochs + 1):
            progress.begin_epoch(epoch)
            numbers = _epoch(model, x, t, batch_size, rng, progress, epoch, augment)
            model.epochs_seen += 1
            if validate is not None:
                numbers |= {f"val_{name}": value for name, value in validate().items()}
            history.add(numbers)
            progress.end_epoch(epoch, numbers)
    finally:
        progress.close()
    return history


def _epoch(
    model: Trainable, x: Array, t: Array, batch_size: int, rng: np.random.Generator | None, progress: Progress,
    epoch: int, augment: Augmenter | None,
) -> dict[str, float]:  # fmt: skip
    mean = Mean()
    with closing(numbered_batches(x, t, batch_size, rng)) as taken:
        for step, (x_batch, t_batch, rows) in enumerate(taken, start=1):
            if augment is not None:
                x_batch, t_batch = _augmented(augment, model, x_batch, t_batch, rows)
            try:
                numbers = train_step(model, model.prepare(x_batch), t_batch)
            except FloatingPointError as error:
                raise FloatingPointError(
                    f"training stopped at epoch {epoch}, step {step}: {error}\n"
                    "  Try a smaller learning rate, and inputs scaled to [0, 1]. "
                    "The weights are those before this step."
                ) from None
            mean.add(numbers, len(x_batch))
            progress.batch(mean.values())
    for key, w in model.named_params().items():
        if not np.isfinite(w).all():
            raise FloatingPointError(f"training stopped after epoch {epoch}: the weights {key} are no longer finite")
    return mean.values()


def numbered_batches(
    x: Any, t: Any, batch_size: int, rng: np.random.Generator | None
) -> Generator[tuple[Array, Array, Array]]:
    """Batches of examples and targets with their places in the data: of arrays, or of a stream that has targets."""
    if hasattr(x, "numbered_batches"):
        yield from x.numbered_batches(batch_size, rng)
        return
    for x_batch, rows in batches(x, np.arange(len(x)), batch_size, rng):
        yield x_batch, t[rows], rows


def _augmented(augment: Augmenter, model: Trainable, x: Array, t: Array, rows: Array) -> tuple[Array, Array]:
    """The batch, changed by numbers that depend on the model's seed, the epoch and the places in the data alone."""
    y, t = augment.batch(x, t, model.seed, model.epochs_seen, rows)
    if y.shape != x.shape:
        raise ShapeError(f"augment made pictures {x.shape[1:]} into {y.shape[1:]}, and the network takes {x.shape[1:]}")
    return y.astype(x.dtype, copy=False), t
