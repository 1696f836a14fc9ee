"""The cases of what is no pair of ops: windows, running statistics, grids of resizing, and labels for metrics.

They are made from fixed seeds, so that what PyTorch and scikit-learn computed for them could be recorded.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray

WINDOWS: dict[str, dict[str, Any]] = {
    "plain": {"kernel_size": (2, 3), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)},
    "stride": {"kernel_size": (3, 2), "stride": (2, 3), "padding": (0, 0), "dilation": (1, 1)},
    "padding": {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 1), "dilation": (1, 1)},
    "dilation": {"kernel_size": (2, 2), "stride": (1, 2), "padding": (1, 0), "dilation": (2, 3)},
}
GRIDS = {"twice": (3, 2, False), "odd": (4, 3, False), "one": (1, 3, False), "corners": (4, 2, True)}
PENALTY_WEIGHTS = np.array([[1.5, -0.25, 0.0], [-3.0, 0.125, 2.0]])
AVERAGES = (None, "macro", "micro", "weighted")


def window_image(name: str) -> Array:
    """Distinct numbers, so that no window has a tie."""
    rng = np.random.default_rng([3, len(name)])
    return (rng.permutation(2 * 2 * 6 * 7) * 0.1 + 0.05).reshape(2, 2, 6, 7) * rng.choice([-1, 1], (2, 2, 6, 7))


def _statistics(*shape: int, momentum: float) -> tuple[Array, Array, Array, float]:
    rng = np.random.default_rng(shape)
    C = shape[1]
    return rng.normal(2.0, 3.0, shape), rng.normal(size=C), rng.uniform(0.5, 2.0, C), momentum


STATISTICS = {"rows": _statistics(5, 3, momentum=0.1), "images": _statistics(2, 3, 4, 3, momentum=0.3)}


def label_case(seed: int) -> tuple[Array, Array, int]:
    """True and predicted classes; of K classes some never occur, and some are never predicted."""
    rng = np.random.default_rng([seed, 1])
    K = int(rng.integers(2, 7))
    true = rng.choice(rng.choice(K, rng.integers(1, K + 1), replace=False), 30)
    return true, np.where(rng.random(30) < 0.6, true, rng.integers(0, K, 30)), K


def score_case(seed: int) -> tuple[Array, Array, int]:
    """Labels, a score for each class (none twice), and k."""
    rng = np.random.default_rng([seed, 2])
    N, K = 12, int(rng.integers(3, 7))
    return rng.integers(0, K, N), rng.permutation(N * K).reshape(N, K) / 7, int(rng.integers(1, K))


def ranking_case(seed: int) -> tuple[Array, Array]:
    """Labels of 0 and 1, both of which occur, and scores with ties."""
    rng = np.random.default_rng([seed, 4])
    return np.append(rng.integers(0, 2, 18), [0, 1]), rng.integers(-4, 5, 20) / 3


def belief_case(seed: int) -> tuple[Array, Array]:
    """Labels of one of K classes, and rows of probabilities, some on the edges between bins."""
    rng = np.random.default_rng([seed, 5])
    K = int(rng.integers(3, 6))
    p = rng.dirichlet(np.ones(K), 24)
    p[:4] = np.eye(K)[rng.integers(0, K, 4)]
    p[4:6, :] = 0
    p[4:6, :2] = 0.5
    return rng.integers(0, K, 24), p


def number_case(seed: int) -> tuple[Array, Array]:
    """True numbers and predictions."""
    rng = np.random.default_rng([seed, 3])
    return rng.normal(size=(7, 2)), rng.normal(size=(7, 2))
