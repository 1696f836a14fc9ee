"""The training loop: forward, loss, backward, update; repeat. Backward computes gradients, the optimizer uses them."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np

from tinycnn import backends
from tinycnn.data.dataset import batches
from tinycnn.errors import ShapeError
from tinycnn.kept import keeping
from tinycnn.train.checkpoint import Checkpoint, resume
from tinycnn.train.history import History, Mean
from tinycnn.train.interrupts import Asked, Terminated, interrupts
from tinycnn.train.metrics import accuracy, mae, mse, r2, top_k_accuracy
from tinycnn.train.run import Run

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
    preprocessing: dict[str, Any]
    dtype: np.dtype

    def walk(self, prefix: str = "") -> list[tuple[str, Any]]: ...  # noqa: D102
    def forward(self, x: Array, train: bool = False) -> Array: ...  # noqa: D102
    def learn(self, dy: Array) -> None: ...  # noqa: D102
    def named_params(self) -> dict[str, Array]: ...  # noqa: D102
    def named_grads(self) -> dict[str, Array]: ...  # noqa: D102
    def named_buffers(self) -> dict[str, Array]: ...  # noqa: D102
    def state_dict(self) -> dict[str, Any]: ...  # noqa: D102
    def load_state_dict(self, saved: Mapping[str, Any]) -> None: ...  # noqa: D102
    def save(self, path: Any) -> None: ...  # noqa: D102
    def penalty(self) -> tuple[float, dict[str, Array]]: ...  # noqa: D102
    def first_not_finite(self, x: Array) -> str: ...  # noqa: D102
    def prepare(self, x: Array) -> Array: ...  # noqa: D102


class Augmenter(Protocol):
    """What changes training batches on their way in: `tinycnn.data.Compose([...])`, or one of its steps."""

    def batch(self, x: Array, t: Array, seed: int, epoch: int, index: Array) -> tuple[Array, Array]: ...  # noqa: D102


@np.errstate(over="ignore", invalid="ignore")  # infinities and NaN are reported in words, with their layer
def train_step(model: Trainable, x: Array, t: Array) -> dict[str, float]:
    """One step on one batch; returns the loss and metrics as they were before the update.

    Raises FloatingPointError, before any weight is changed, if the loss is not finite.
    """
    with keeping():
        numbers, grads = gradients(model, x, t)
    model.optimizer.step({key: w for key, w in model.named_params().items() if key in grads}, grads)
    return numbers


@np.errstate(over="ignore", invalid="ignore")
def gradients(model: Trainable, x: Array, t: Array) -> tuple[dict[str, float], dict[str, Array]]:
    """The loss and metrics on one batch, and the gradient of every weight that learns.

    Raises FloatingPointError if any of them is not finite.
    """
    scores = model.forward(x, train=True)
    penalty, pulls = model.penalty()
    loss = float(model.loss.forward(scores, t)) + penalty
    if not math.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss}: {model.first_not_finite(x)}")
    model.learn(model.loss.backward())
    grads = model.named_grads()
    grads |= {key: grads[key] + pull for key, pull in pulls.items() if key in grads}
    if (key := first_not_finite(grads)) is not None:
        raise FloatingPointError(f"the loss is {loss:.4g}, but the gradient of {key} is not finite")
    return {"loss": loss} | {name: metric(t, scores) for name, metric in model.metrics.items()}, grads


def first_not_finite(grads: Mapping[str, Array]) -> str | None:
    """The name of the first gradient that holds a NaN or an infinity, or None."""
    steps = backends.steps_in_place()
    if steps is not None and all(steps.serves(dw) for dw in grads.values()):
        place = steps.first_not_finite(list(grads.values()))
        return None if place is None else list(grads)[place]
    return next((key for key, dw in grads.items() if not np.isfinite(dw).all()), None)


def fit(run: Run, resume_from: str | Path | None = None) -> History:
    """Train on batches, shuffled by the run's generator (in order without one); returns the numbers of each epoch.

    `run.augment` changes each training batch; what `run.validate` looks at, it never sees.
    """
    checkpoints = [one for one in run.callbacks if isinstance(one, Checkpoint)]
    for callback in run.callbacks:
        callback.check(run)
    if (schedule := run.model.optimizer.schedule) is not None and schedule.monitor is not None:
        run.check_monitor(schedule.monitor, repr(schedule))
    if resume_from is not None:
        resume(run, resume_from)
        run.say(f"resumed from {resume_from}: {run.position}")
    try:
        with interrupts(bool(checkpoints)) as asked:
            for callback in run.callbacks:
                callback.begin(run)
            if checkpoints:
                run.check_state()
            while not run.reason and (run.epoch < run.epochs or not run.epoch_is_over):
                _epoch(run, asked, checkpoints)
            _end(run, asked, checkpoints)
    finally:
        run.progress.close()
    if run.reason:
        run.say(f"stopped after {run.position}: {run.reason}")
    return run.history


def _epoch(run: Run, asked: Asked, checkpoints: list[Checkpoint]) -> None:
    """The rest of the epoch that was begun, or else the next one."""
    if run.epoch_is_over:
        run.epoch, run.step, run.epoch_is_over, run.mean = run.epoch + 1, 0, False, Mean()
        run.order = None if run.rng is None else run.rng.bit_generator.state
    elif run.rng is not None:
        run.rng.bit_generator.state = run.order  # so that the same order is drawn again
    run.progress.begin_epoch(run.epoch, run.step)
    with closing(_groups(run)) as groups:
        for group in groups:
            _step(run, group, checkpoints)
            _tell(run, "after_step", asked, checkpoints)
            if run.reason:
                return
    _check_weights(run)
    run.model.epochs_seen += 1
    run.numbers = run.mean.values()
    if run.validate is not None:
        run.numbers |= {f"val_{name}": value for name, value in run.validate().items()}
    run.epoch_is_over = True
    run.history.add(run.numbers)
    run.model.optimizer.end_epoch(run.numbers)
    run.progress.end_epoch(run.epoch, run.numbers)
    _tell(run, "after_epoch", asked, checkpoints)


def _tell(run: Run, moment: str, asked: Asked, checkpoints: list[Checkpoint]) -> None:
    """Show the run to every callback, then let those that save it do so; end it if a signal has asked for that."""
    for callback in run.callbacks:
        getattr(callback, moment)(run)
    for callback in run.callbacks:
        callback.settle(run)
    if asked.signal is not None:
        _interrupted(run, asked, [one for one in checkpoints if one.save(run)])


def _end(run: Run, asked: Asked, checkpoints: list[Checkpoint]) -> None:
    """Let every callback finish. A signal that came meanwhile ends the program still: the run was saved before."""
    for callback in run.callbacks:
        callback.end(run)
    if asked.signal is not None:
        _interrupted(run, asked, [one for one in checkpoints if one.last.exists()])


def _interrupted(run: Run, asked: Asked, saved: list[Checkpoint]) -> NoReturn:
    """End the run as the signal asks, and say where it can be gone on with."""
    where = f"saved in {saved[0].last}: go on with resume_from={str(saved[0].last)!r}" if saved else "not saved"
    error = asked.error(f"training was interrupted at {run.position}; the run is {where}")
    if isinstance(error, Terminated):  # which shows no words of its own
        run.progress.last_words(str(error))
    raise error


Batch = tuple[Array, Array, Array]


def _groups(run: Run) -> Generator[list[Batch]]:
    """The batches of each step, one or `accumulate` of them; without those that were done before the run resumed."""
    group: list[Batch] = []
    with closing(numbered_batches(run.x, run.t, run.batch_size, run.rng)) as taken:
        for place, batch in enumerate(taken, start=1):
            if place > run.step + len(group):
                group.append(batch)
            if len(group) == run.accumulate or (group and place == run.steps):
                yield group
                group = []


def _step(run: Run, group: list[Batch], checkpoints: list[Checkpoint]) -> None:
    """One step of the optimizer, on one batch or on several whose gradients are added up."""
    model, examples = run.model, sum(len(x) for x, _, _ in group)
    buffers = {layer: dict(layer.buffers) for _, layer in model.walk()}  # running statistics are replaced, not changed
    total: dict[str, Any] = {}
    try:
        for x, t, rows in group:
            if run.augment is not None:
                x, t = _augmented(run.augment, model, x, t, rows)
            run.batch = model.prepare(x)
            if run.accumulate == 1:
                run.numbers = train_step(model, run.batch, t)
            else:
                run.numbers, grads = gradients(model, run.batch, t)
                for key, dw in grads.items():  # each counts by its share of the examples, as in one large batch
                    total[key] = total.get(key, 0) + dw * dw.dtype.type(len(x) / examples)
            run.step += 1
            run.mean.add(run.numbers, len(x))
            run.progress.batch(run.mean.values(), len(x))
        if total:
            model.optimizer.step({key: w for key, w in model.named_params().items() if key in total}, total)
        run.rate = float(model.optimizer.lr * model.optimizer.rate_factor())
    except FloatingPointError as error:
        for layer, before in buffers.items():
            layer.buffers = before
        kept = "".join(f"\n  The state saved last is in {one.last}." for one in checkpoints if one.last.exists())
        raise FloatingPointError(
            f"training stopped at epoch {run.epoch}, step {run.step + 1}: {error}\n"
            "  Try a smaller learning rate, and inputs scaled to [0, 1]. "
            f"The weights are those before this step.{kept}"
        ) from None


def _check_weights(run: Run) -> None:
    for key, w in (run.model.named_params() | run.model.named_buffers()).items():
        if not np.isfinite(w).all():
            raise FloatingPointError(
                f"training stopped after epoch {run.epoch}: the weights {key} are no longer finite"
            )


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
