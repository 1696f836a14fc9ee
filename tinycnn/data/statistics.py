"""What the numbers of a data set are like: mean and spread of each channel, and how rare each class is.

A network learns faster from numbers around 0 with a spread of 1. What is subtracted and divided by is measured on the
training part alone: measured on all, it would tell the network something about the pictures that it is judged on. It
belongs to the network from then on, and stands in its file, so that `predict` sees pictures as training did.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycnn.data.dataset import check_labels
from tinycnn.errors import ShapeError
from tinycnn.formula import formula

CHUNK, STREAMED = 1024, 64  # examples taken to float64 at once, and read from a stream


@formula(
    "mean[c] = mean[n,...](x[n,c,...])",
    "std[c] = sqrt(mean[n,...]((x[n,c,...] - mean[c])**2))",
    shapes="x (N,C,...) -> mean (C), std (C)",
    source="Pearson 1894, Phil. Trans. R. Soc. A 185; Chan, Golub & LeVeque 1983, The American Statistician 37(3)",
)
def channel_statistics(x: Any) -> dict[str, list[float]]:
    """The mean and the standard deviation of each channel, over all examples and pixels, in float64.

    x (N, C, …), or a `Stream` of pictures, read batch by batch -> {"mean": C numbers, "std": C numbers}, which is what
    `Sequential(preprocessing={"normalise": …})` takes and a model file keeps. Measure the training part alone.
    Raises ShapeError for fewer than two axes, ValueError for no numbers or some that are not finite.

    >>> channel_statistics(np.array([[[1.0, 3.0]], [[5.0, 7.0]]]))
    {'mean': [4.0], 'std': [2.23606797749979]}
    """
    moments = Moments()
    if hasattr(x, "batches"):
        for pictures, _ in x.batches(STREAMED):
            moments.add(pictures)
        return moments.values()
    x = np.asarray(x)
    if x.ndim < 2:
        raise ShapeError(f"channel_statistics: expected x (N, C, …), got shape {x.shape}.")
    moments.add(x)
    return moments.values()


class Moments:
    """Count, mean and squared distance from it, of numbers that come in parts: (N, C, …) at a time."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(0)
        self.squares = np.zeros(0)

    def add(self, part: NDArray) -> None:
        """Put in more examples: means are weighted by counts, and squares grow by what the means differ by too."""
        for start in range(0, len(part), CHUNK):
            x = np.moveaxis(part[start : start + CHUNK], 1, 0)
            x = x.reshape(len(x), -1).astype(np.float64)  # (C, numbers)
            n, own = x.shape[1], x.mean(axis=1)
            squares = ((x - own[:, None]) ** 2).sum(axis=1)
            if not self.count:
                self.count, self.mean, self.squares = n, own, squares
                continue
            off, both = own - self.mean, self.count + n
            self.squares = self.squares + squares + off**2 * (self.count * n / both)
            self.mean = self.mean + off * (n / both)
            self.count = both

    def values(self) -> dict[str, list[float]]:
        """The mean and the standard deviation of each channel; ValueError if nothing or no number came in."""
        if not self.count or not np.isfinite(self.squares).all():
            what = "not all numbers are finite" if self.count else "there are no numbers"
            raise ValueError(f"channel_statistics: {what}.")
        return {"mean": self.mean.tolist(), "std": np.sqrt(self.squares / self.count).tolist()}


def check_statistics(found: Any) -> None:
    """Raise ValueError unless these are statistics to normalise by: finite, as many, and every spread above 0.

    >>> check_statistics({"mean": [0.5], "std": [0.0]})
    Traceback (most recent call last):
    ValueError: to normalise takes {'mean': C numbers, 'std': C numbers above 0}, all finite; got mean [0.5], std [0.0]
    """
    mean, std = (found.get("mean"), found.get("std")) if isinstance(found, Mapping) else (found, None)
    if isinstance(found, Mapping) and set(found) == {"mean", "std"} and isinstance(mean, list | tuple):
        numbers: list[Any] = [*mean, *std] if isinstance(std, list | tuple) and len(std) == len(mean) > 0 else [None]
        if all(isinstance(v, int | float) and math.isfinite(v) for v in numbers) and min(numbers[len(mean) :]) > 0:
            return
    raise ValueError(
        "to normalise takes {'mean': C numbers, 'std': C numbers above 0}, all finite; got "
        f"mean {mean!r:.80}, std {std!r:.80}"
    )


def class_weights(y: ArrayLike, num_classes: int | None = None) -> NDArray[np.float64]:
    """How much an example of each class must count for all classes to count alike in the loss: the rare ones more.

    w[k] = N / (K · count[k])

    y (N,) -> (K,) float64, of mean 1 over the examples; for `CrossEntropy(class_weights=…)`. Raises ValueError for a
    class without examples, which no weight could make count.

    >>> class_weights([0, 0, 0, 1])
    array([0.66666667, 2.        ])
    """
    labels = check_labels(y, num_classes, what="class_weights")
    return _weights(np.bincount(labels, minlength=num_classes or 0))


@formula(
    "w[k] = sum[l](count[l]) / (K * count[k])",
    shapes="count (K) -> w (K)",
    source="King & Zeng 2001, Political Analysis 9(2)",
    name="class_weights",
)
def _weights(count: NDArray[np.int64]) -> NDArray[np.float64]:
    if not len(count) or (count == 0).any():
        missing = ", ".join(map(str, np.flatnonzero(count == 0))) or "any class"
        raise ValueError(f"class_weights: there is no example of {missing}.")
    return count.sum() / (len(count) * count)
