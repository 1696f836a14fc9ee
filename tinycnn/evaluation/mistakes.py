"""The examples a network gets wrong, those it was most wrongly sure of first: mislabelled pictures come up here too."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycnn.train.metrics_calibration import probabilities_of


class Mistakes(NamedTuple):
    """One entry for each mistake, the largest loss first; `probability` is what the wrong class was given."""

    indices: NDArray[np.int64]
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probability: NDArray[np.float64]
    loss: NDArray[np.float64]


def misclassified(y_true: ArrayLike, probabilities: ArrayLike) -> Mistakes:
    """Which examples were taken for another class, for which, and at what loss.

    loss[n] = −log p[n, y_true[n]], infinite where the right class was given no chance.

    y_true (N,) or one-hot (N, K), probabilities (N, K) as `predict_proba` gives -> a named result of arrays, the
    largest loss first, of equal losses the first example. Raises ValueError for what is no probability, for one of a
    single class, and for labels that are none.

    >>> found = misclassified([0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    >>> found.indices, found.predicted, found.probability
    (array([1, 2]), array([0, 0]), array([0.8, 0.7]))
    """
    if np.ndim(probabilities) < 2:
        raise ValueError("misclassified: expected probabilities (N, K), one a class; of two: np.stack([1 - p, p], 1).")
    true, p = probabilities_of(y_true, probabilities)
    said = p.argmax(axis=1)
    wrong = np.flatnonzero(said != true)
    with np.errstate(divide="ignore"):
        loss = -np.log(p[wrong, true[wrong]])
    order = np.argsort(-loss, kind="stable")
    index = wrong[order]
    return Mistakes(index, true[index], said[index], p[index, said[index]], loss[order])
