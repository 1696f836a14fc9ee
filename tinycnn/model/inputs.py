"""What a model is given, checked before any work is done."""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import Any

import numpy as np

from tinycnn.data.dataset import Dataset
from tinycnn.errors import ShapeError
from tinycnn.layers.base import Array, Layer, Shape
from tinycnn.optim import Optimizer
from tinycnn.optim.options import check_count


def check_dtype(dtype: Any) -> np.dtype:
    """The type of a network's weights: float32, float64, or complex in a verification; raises ValueError otherwise."""
    found = np.dtype(dtype)
    if found.name not in ("float32", "float64", "complex64", "complex128"):
        raise ValueError(f"dtype must be float32 (to train) or float64 (to verify), got {found}")
    return found


def warn_if_channels_last(input_shape: Shape) -> None:
    """Warn of an input shape such as (32, 32, 3): it can be built, as 32 channels of 32×3, and is hardly meant."""
    if len(input_shape) == 3 and input_shape[2] in (1, 3) and input_shape[0] == input_shape[1] > 4:
        H, W, C = input_shape
        warnings.warn(
            f"input_shape={input_shape} means {H} channels of {W}×{C}; channels come first here: ({C}, {H}, {W})?",
            stacklevel=3,
        )


def unpacked(x: Any, y: Any = None) -> tuple[Any, Any]:
    """A Dataset as its examples and targets; any other x and y as they are.

    Raises TypeError for targets beside a Dataset's own, and for several data sets at once, as a loader gives them.
    """
    if isinstance(x, tuple | list) and any(isinstance(one, Dataset) for one in x):
        raise TypeError(f"got {len(x)} data sets at once: unpack them, as in train, val, test = …, and give one")
    if isinstance(y, Dataset):
        raise TypeError("y is a Dataset: a Dataset stands for x and y both, so give it alone")
    if not isinstance(x, Dataset):
        return x, y
    if y is not None:
        raise TypeError("a Dataset brings its own targets: leave y out")
    return x.x, x.y


def check_examples(x: Any, name: str, input_shape: Shape | None, dtype: np.dtype) -> Array:
    """Examples as an array of the model's type, (N, *input_shape).

    Raises TypeError for what is not floating numbers (pictures of 0…255 are not scaled behind your back) and
    ShapeError for another shape, saying how to get there.
    """
    x = np.asarray(x)
    if x.dtype.kind != "f" or x.dtype.itemsize < 4:
        scaled = f"; pictures of 0…255 become {name}.astype(np.float32) / 255" if x.dtype.kind in "iu" else ""
        raise TypeError(f"{name} must hold float32 or float64, got {x.dtype}{scaled}")
    if input_shape is not None and x.shape[1:] != input_shape:
        raise ShapeError(_shape_message(name, x.shape, input_shape))
    if x.ndim < 2:
        raise ShapeError(f"{name} must be a batch of examples (N, …), got shape {x.shape}")
    return x.astype(dtype, copy=False)


def check_fit(x: Array, y: Array, epochs: int, batch_size: int | None, optimizer: Optimizer | None) -> None:
    """Raise unless these data and settings can be trained (or evaluated) with."""
    if len(x) == 0:
        raise ValueError("there are no examples: x is empty")
    if y.ndim == 0 or len(x) != len(y):
        raise ShapeError(f"x has {len(x)} examples, but y has {len(y) if y.ndim else 'no'} labels")
    if isinstance(epochs, bool) or not isinstance(epochs, int | np.integer) or epochs < 1:
        raise ValueError(f"epochs must be an int ≥ 1, got {epochs!r}")
    if batch_size is not None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise ValueError(f"batch_size must be an int ≥ 1, got {batch_size!r}")
        if optimizer is not None and optimizer.full_batch and batch_size != len(x):
            raise ValueError(
                f"{optimizer!r} is full-batch gradient descent: leave batch_size out (one step sees all {len(x)} "
                "examples), or use SGD for batches"
            )


def check_learning(layers: Iterable[Layer]) -> None:
    """Raise ValueError where every weight is frozen."""
    found = [layer for one in layers for _, layer in one.walk() if layer.params]
    if found and not any(layer.trainable for layer in found):
        raise ValueError("every layer with weights is frozen, so nothing would learn: model.unfreeze() some of them")


def check_accumulate(accumulate: int, loss: Any, optimizer: Optimizer) -> None:
    """Raise ValueError unless the gradients of so many batches add up to that of one large batch."""
    check_count("accumulate", accumulate)
    if accumulate == 1:
        return
    if optimizer.full_batch:
        raise ValueError(f"accumulate={accumulate}: {optimizer!r} sees all data in every step already")
    options = loss.config()
    if options.get("class_weights") is not None or options.get("ignore_index") is not None or loss.name == "dice":
        raise ValueError(
            f"accumulate={accumulate}: {loss!r} is no plain mean over examples, so the gradients of small batches do "
            "not add up to that of a large one; use a larger batch_size"
        )


def check_stream(x: Any, y: Any, input_shape: Shape | None) -> None:
    """Raise TypeError for targets beside a stream's own, ShapeError for pictures that do not fit the network."""
    if y is not None:
        raise TypeError("a stream brings its own targets: leave y out")
    if input_shape is not None and tuple(x.shape) != input_shape:
        raise ShapeError(f"the stream's pictures are {tuple(x.shape)}, the network takes {input_shape}")


def batches_asked(x: Any, size: int) -> Generator[tuple[Array, Any]]:
    """Batches of examples with their places: of a stream, or of an array, from which nothing is copied."""
    if not hasattr(x, "numbered_batches"):
        for start in range(0, len(x), size):
            yield x[start : start + size], slice(start, start + size)
        return
    with closing(x.numbered_batches(size)) as taken:
        for x_batch, _, rows in taken:
            yield x_batch, rows


def check_augment(augment: Any) -> None:
    """Raise TypeError unless `augment` is None or changes batches."""
    if augment is not None and not callable(getattr(augment, "batch", None)):
        raise TypeError(
            f"augment must be an augmentation of tinycnn.data, as RandomFlip() or Compose([...]); got {augment!r}"
        )


def _shape_message(name: str, shape: tuple[int, ...], wanted: Shape) -> str:
    message = f"{name} must be a batch of {wanted} examples, {('N', *wanted)}".replace("'", "") + f", got shape {shape}"
    if shape == wanted:
        return message + f". For one example: {name}[None]"
    if len(wanted) == 3 and shape[1:] == (wanted[2], wanted[0], wanted[1]):
        return message + f". Channels come first here: build the network with input_shape={shape[1:]}"
    if len(wanted) == 3 and shape[1:] == (wanted[1], wanted[2], wanted[0]):
        return message + f". Channels come first here: tinycnn.data.to_nchw({name})"
    if wanted[0] == 1 and shape[1:] == wanted[1:]:
        return message + f". Add the channel axis: {name}[:, None]"
    if len(shape) == 2 and shape[1] == math.prod(wanted):
        return message + f". Unfold the rows: {name}.reshape(-1, {', '.join(map(str, wanted))})"
    return message
