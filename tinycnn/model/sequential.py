"""Sequential: a chain of layers that can be trained, judged, asked, described and saved."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn import train
from tinycnn.blas import one_blas_thread
from tinycnn.data.adjust import normalise
from tinycnn.data.dataset import Dataset
from tinycnn.data.statistics import check_statistics
from tinycnn.errors import ShapeError
from tinycnn.kept import Pool, asking, keeping
from tinycnn.layers.activation import LogSoftmax, Sigmoid, Softmax
from tinycnn.layers.base import Array, Layer, Shape
from tinycnn.layers.losses import BCEWithLogits, Loss, loss_named
from tinycnn.model.chain import Chain
from tinycnn.model.ending import check_ending
from tinycnn.model.inputs import (
    batches_asked,
    check_accumulate,
    check_augment,
    check_dtype,
    check_examples,
    check_fit,
    check_learning,
    check_stream,
    unpacked,
    warn_if_channels_last,
)
from tinycnn.model.summary import summary
from tinycnn.naming import lookup
from tinycnn.ops import sigmoid_forward, softmax_forward
from tinycnn.optim import Optimizer, Regulariser, optimizer_named
from tinycnn.train.history import Evaluation, History
from tinycnn.train.loop import METRICS, Augmenter, Metric

BATCH = 32  # examples a training step sees unless told otherwise
PREDICT_BATCH = 256


class Sequential(Chain):
    """A network: layers in order, built as soon as the shape of its input is known.

    `input_shape` is that of one example, (C, H, W); it may also stand in the first layer, or come with the first
    data. Weights are drawn from `seed`. `classes` names the outputs; `preprocessing` says how pictures become inputs;
    both travel with the saved model.

    >>> from tinycnn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
    >>> model = Sequential([Conv2D(4, 3), ReLU(), MaxPool2D(2), Flatten(), Dense(10)], input_shape=(1, 8, 8))
    >>> model.predict(np.zeros((2, 1, 8, 8), np.float32)).shape
    (2, 10)
    """

    kind = "sequential"

    def __init__(
        self, layers: Iterable[Layer] = (), input_shape: Shape | None = None, seed: int = 0,
        classes: Sequence[str] | None = None, preprocessing: Mapping[str, Any] | None = None,
        dtype: Any = np.float32, name: str | None = None,
    ):  # fmt: skip
        super().__init__((), input_shape, name)
        self.seed, self.dtype = check_seed(seed), check_dtype(dtype)
        self.classes = None if classes is None else tuple(str(c) for c in classes)
        self.preprocessing = dict(preprocessing or {})
        if "normalise" in self.preprocessing:
            check_statistics(self.preprocessing["normalise"])
        self.optimizer: Optimizer | None = None
        self.loss: Loss | None = None
        self.metrics: dict[str, Metric] = {}
        self.regularizer: Regulariser | None = None
        self.epochs_seen = 0  # by all calls of fit together: each augments the data in its own way
        self._rng = np.random.default_rng(seed)
        self._shuffle = np.random.default_rng((seed, 1))  # apart from the weights', so that neither moves the other
        self._lock = threading.RLock()  # layers keep one cache: one call at a time
        self._pool = Pool()
        for layer in layers:
            self.append(layer)
        self._build_if_known()

    # ------------------------------------------------------------------ build

    def add(self, layer: Layer) -> None:
        """Add a layer at the end; shapes that do not fit are an error here, and leave the network as it was.

        The layers before it keep their weights.
        """
        place = len(self.layers)
        try:
            self.append(layer)
            if self.input_shape is None:
                self._build_if_known()
            else:
                self.output_shape = self.infer(self.input_shape)
                self._build_from(place, self._rng)
        except ShapeError:
            del self.layers[place:]
            raise

    def _build_if_known(self) -> None:
        known = self.wanted_shape or (self.layers[0].wanted_shape if self.layers else None)
        if self.layers and known is not None:
            warn_if_channels_last(known)
            self.build(known, self._rng)

    def _ensure_built(self, x: Array) -> None:
        if not self.layers:
            raise ValueError("the network has no layers: add some first")
        if self.input_shape is None:
            self.build(x.shape[1:], self._rng)

    # ------------------------------------------------------------------ train

    def compile(
        self, optimizer: str | Optimizer = "adam", loss: str | Loss = "cross_entropy",
        metrics: Iterable[str | Metric] = (), regularizer: Regulariser | None = None,
    ) -> None:  # fmt: skip
        """Choose the optimizer, the loss and the metrics, by name or as objects, and a penalty on the weights if any.

        Raises ValueError for a name that is none, and for a loss that does not belong behind the last layer: a loss
        that takes logits behind a softmax would apply softmax twice, shrink every gradient, and still seem to learn.
        """
        chosen_optimizer, chosen = optimizer_named(optimizer), loss_named(loss)
        check_ending(self.layers, chosen)
        chosen_optimizer.belong_to(self)
        if not (regularizer is None or isinstance(regularizer, Regulariser)):
            raise TypeError(f"regularizer must be tinycnn.optim.L1(…) or L2(…), got {regularizer!r}")
        named = metrics_named([metrics] if isinstance(metrics, str) else metrics)
        self.optimizer, self.loss, self.regularizer, self.metrics = chosen_optimizer, chosen, regularizer, named

    def fit(
        self, x: Any, y: Any = None, epochs: int = 1, batch_size: int | None = None, validation_data: Any = None,
        shuffle: bool = True, verbose: int = 1, augment: Augmenter | None = None, callbacks: Any = (),
        accumulate: int = 1, resume_from: str | Path | None = None,
    ) -> History:  # fmt: skip
        """Train; returns the loss and the metrics of every epoch, and with `validation_data=(x, y)` also theirs.

        A `tinycnn.data.Dataset` or `Stream` stands for x and y both, and for the pair of validation data.
        Batches of 32 unless told otherwise; all data at once for full-batch gradient descent. Training data are
        checked before the first step. `augment`, one of the augmentations of `tinycnn.data`, changes each training
        batch, and masks with it; validation data it never sees. `callbacks` are those of `tinycnn.train`, or functions
        that are called with the run after every epoch. `accumulate=k` adds up the gradients of k batches for one step.
        `resume_from` is the file of a `tinycnn.train.Checkpoint`: the run goes on from there to `epochs` in all, to the
        same bits. Raises FloatingPointError, and says which step and layer, if the loss is not finite.
        """
        optimizer, loss = self._compiled()
        check_augment(augment)
        check_accumulate(accumulate, loss, optimizer)
        with self._lock, one_blas_thread(), keeping(self._pool):
            x, y = self._given(x, y, loss, epochs, batch_size, optimizer)
            check_learning(self.layers)
            if validation_data is not None:
                x_val, y_val = self._validation(validation_data, loss)
            size = len(x) if optimizer.full_batch else batch_size or BATCH
            validate = None if validation_data is None else lambda: self._validate(x_val, y_val)
            progress = train.Progress(verbose, epochs, math.ceil(len(x) / size))
            rng, watching = self._shuffle if shuffle else None, train.callbacks_of(callbacks)
            run = train.Run(self, x, y, epochs, size, rng, validate, progress, augment, accumulate, watching)
            return train.fit(run, resume_from)

    def evaluate(self, x: Any, y: Any = None, verbose: int = 0) -> Evaluation:
        """The loss and the metrics on these data, as a result that unpacks in order and answers to names.

        A `tinycnn.data.Dataset` or `Stream` stands for x and y both.
        """
        _, loss = self._compiled()
        with self._lock, one_blas_thread(), asking(self._pool):
            x, y = self._given(x, y, loss)
            result = Evaluation(self._evaluate(x, y))
        if verbose:
            print(", ".join(f"{name} {value:.4f}" for name, value in result.as_dict().items()))
        return result

    def _given(
        self, x: Any, y: Any, loss: Loss, epochs: int = 1, batch_size: int | None = None,
        optimizer: Optimizer | None = None,
    ) -> tuple[Any, Any]:  # fmt: skip
        """Examples and targets once they are checked; a stream's as far as they are known without reading it."""
        x, y = unpacked(x, y)
        if hasattr(x, "numbered_batches"):
            y = self._streamed(x, y).y
        else:
            x, y = self._examples(x, "x"), np.asarray(y)
        check_fit(x, np.empty(len(x)) if y is None else y, epochs, batch_size, optimizer)
        if y is not None:
            loss.check(y, (len(x), *self._outputs()))
        return x, y

    def _validation(self, validation_data: Any, loss: Loss) -> tuple[Any, Any]:
        """The validation data, checked as the training data are; an error says that it is about them."""
        if hasattr(validation_data, "numbered_batches") or isinstance(validation_data, Dataset):
            validation_data = (validation_data, None)
        if not (isinstance(validation_data, tuple | list) and len(validation_data) == 2):
            got = type(validation_data).__name__
            raise TypeError(f"validation_data must be a pair (x, y), a Dataset or a Stream, got {got}")
        try:
            x, y = validation_data
            return self._given(x, y, loss)
        except (ValueError, TypeError) as error:
            raise type(error)(f"validation_data: {error}") from None

    def _validate(self, x: Any, y: Any) -> dict[str, float]:
        with asking(self._pool):
            return self._evaluate(x, y)

    def _evaluate(self, x: Any, y: Any) -> dict[str, float]:
        _, loss = self._compiled()
        mean, scores, targets = train.Mean(), [], []
        with closing(train.numbered_batches(x, y, PREDICT_BATCH, None)) as taken:
            for x_batch, t, _ in taken:
                scores.append(self.forward(self.prepare(x_batch)))
                targets.append(t)
                mean.add({"loss": loss.forward(scores[-1], t)}, len(t))
        numbers = mean.values()
        numbers["loss"] += self.penalty()[0]
        t, p = np.concatenate(targets), np.concatenate(scores)
        return numbers | {n: metric(t, p) for n, metric in self.metrics.items()}

    # ------------------------------------------------------------------ ask

    def predict(self, x: Any) -> Array:
        """What the last layer gives, for every example; an array of the caller's own.

        A `tinycnn.data.Dataset` or `Stream` stands for x; its targets are left alone.
        """
        x, _ = unpacked(x)
        with self._lock, one_blas_thread(), asking(self._pool):
            x = self._streamed(x, None) if hasattr(x, "numbered_batches") else self._examples(x, "x")
            out = np.empty((len(x), *self._outputs()), self.dtype)
            with closing(batches_asked(x, PREDICT_BATCH)) as taken:
                for x_batch, rows in taken:
                    out[rows] = self.forward(self.prepare(x_batch))
            return out

    def prepare(self, x: Array) -> Array:
        """Examples as the first layer sees them in `fit`, `evaluate` and `predict`: normalised, where `preprocessing`
        holds the numbers to do it with (`tinycnn.data.channel_statistics`), which travel with the model.
        """
        found, x = self.preprocessing.get("normalise"), x.astype(self.dtype, copy=False)
        return x if found is None else normalise(x, found["mean"], found["std"])

    def predict_proba(self, x: Any) -> Array:
        """The probability of every class, (N, K); a network that ends in logits gets the softmax it trained with."""
        last = self.layers[-1] if self.layers else None
        scores = self.predict(x)
        if isinstance(last, Softmax | Sigmoid):
            return scores
        if isinstance(last, LogSoftmax):
            return np.exp(scores)
        if self.loss is not None and self.loss.takes != "logits":
            raise ValueError(f"no probabilities: the loss {self.loss.name!r} does not come from logits or a softmax")
        return sigmoid_forward(scores)[0] if isinstance(self.loss, BCEWithLogits) else softmax_forward(scores)[0]

    def predict_classes(self, x: Any) -> Array:
        """The class with the highest score for every example, (N,); of equal scores the first.

        Raises ValueError where there is nothing to choose from: a single output, or scores that are NaN.
        """
        scores = self.predict(x)
        if scores.shape[1] < 2:
            raise ValueError(f"{scores.shape[1]} output is no choice of classes; look at predict itself")
        broken = np.argwhere(np.isnan(scores))
        if broken.size:
            raise ValueError(f"the scores of example {broken[0][0]} are NaN: is its input?")
        return scores.argmax(axis=1)

    # ------------------------------------------------------------------ describe, copy, save

    def summary(self) -> str:
        """The layers with their size formulas, output shapes, receptive fields, weights and multiplications."""
        return summary(self)

    def count_params(self) -> int:
        """How many numbers training adjusts."""
        return sum(w.size for w in self.named_params().values())

    def astype(self, dtype: Any) -> Sequential:
        """A copy with weights of another type: float64 to verify, float32 to train. Its optimizer starts anew."""
        twin = copy.deepcopy(self)
        twin.dtype = check_dtype(dtype)
        for _, layer in twin._paths():
            layer.dtype = twin.dtype
            layer.params = {key: value.astype(dtype) for key, value in layer.params.items()}
            layer.buffers = {key: value.astype(dtype) for key, value in layer.buffers.items()}
        if twin.optimizer is not None:
            twin.optimizer.forget()
        return twin

    def save(self, path: str | Path) -> None:
        """Write architecture, weights, classes and preprocessing as one safetensors file, whole or not at all.

        What the optimizer remembers and the state of the shuffle are not in it: `fit` after `load` starts those anew.
        """
        from tinycnn.model.files import save

        with self._lock:
            save(self, path)

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that training depends on: weights, running statistics, the optimizer's memory, all chance."""
        from tinycnn.model.state import state_of

        with self._lock:
            return state_of(self)

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from the state of an equal network; raises ValueError, and changes nothing, if it is of another."""
        from tinycnn.model.state import set_state

        with self._lock:
            set_state(self, saved)

    def penalty(self) -> tuple[float, dict[str, Array]]:
        """The regulariser's penalty on all weights `w` together, and the gradient it adds to each."""
        if self.regularizer is None:
            return 0.0, {}
        found = {k: self.regularizer.penalty(w, self.regularizer.strength) for k, w in self.named_params().items()
                 if k.endswith(".w")}  # fmt: skip
        return float(sum(value for value, _ in found.values())), {k: pull for k, (_, pull) in found.items()}

    def first_not_finite(self, x: Array) -> str:
        """Where NaN or infinity comes in, in words: the data, a weight, or the first layer that makes one."""
        if not np.isfinite(x).all():
            at = tuple(map(int, np.argwhere(~np.isfinite(x))[0]))
            return f"the input holds {x[at]} at {list(at)} of the batch"
        for key, w in self.named_params().items():
            if not np.isfinite(w).all():
                return f"the weights {key} are not finite"
        for place, layer in enumerate(self.layers, start=1):
            x = layer.forward(x, train=True)
            if not np.isfinite(x).all():
                return f"the first output that is not finite is that of {layer.label} (layer {place})"
        return "every layer's output is finite, so it arises in the loss itself"

    def __repr__(self) -> str:
        return f"<Sequential of {len(self.layers)} layers: {' → '.join(str(layer.name) for layer in self.layers)}>"

    def __getstate__(self) -> dict[str, Any]:
        """All but the lock, which cannot be copied, so that copy.deepcopy works, and the arrays for further use."""
        return {key: value for key, value in super().__getstate__().items() if key not in ("_lock", "_pool")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state | {"_lock": threading.RLock(), "_pool": Pool()})
        if self.optimizer is not None:
            self.optimizer.belong_to(self, anew=True)

    def _compiled(self) -> tuple[Optimizer, Loss]:
        if self.loss is None or self.optimizer is None:
            raise RuntimeError("compile the model first: model.compile(optimizer='adam', loss='cross_entropy')")
        check_ending(self.layers, self.loss)
        return self.optimizer, self.loss

    def _examples(self, x: Any, name: str) -> Array:
        x = check_examples(x, name, self.input_shape, self.dtype)
        self._ensure_built(x)
        return x

    def _streamed(self, x: Any, y: Any) -> Any:
        check_stream(x, y, self.input_shape)
        if self.input_shape is None:
            self.build(x.shape, self._rng)
        return x

    def _outputs(self) -> Shape:
        assert self.output_shape is not None
        return self.output_shape


def check_seed(seed: Any) -> int:
    """An int of at least 0, which can be written down with the model; raises ValueError otherwise."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be an int ≥ 0, got {seed!r}")
    return int(seed)


def metrics_named(metrics: Iterable[str | Metric]) -> dict[str, Metric]:
    """Metrics by name; raises ValueError for a name that is none, that comes twice, or that is the loss's."""
    found: dict[str, Metric] = {}
    for metric in metrics:
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)
        if name in found or name == "loss":
            raise ValueError(f"two numbers would be called {name!r}: give the metric another name")
        found[name] = lookup(METRICS, metric, "metric") if isinstance(metric, str) else metric
    return found
