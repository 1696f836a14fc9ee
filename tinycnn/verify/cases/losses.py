"""The losses' part of the table of ops: see table.py for how a line reads."""

from __future__ import annotations

import numpy as np

from tinycnn.verify.cases.case import OpCase, each


def _two(*shape):
    return lambda d: ((d.normal(d.N, *shape), d.normal(d.N, *shape)), {})


def _answers(d, *shape):
    return d.rng.integers(0, 2, (d.N, *shape)).astype(np.float64)


WEIGHTS = [0.5, 2.0, 1.0, 0.25]

LOSS_CASES: list[OpCase] = [
    *each("cross_entropy", {
        "labels": lambda d: ((d.normal(d.N, 4), d.labels(4, d.N)), {}),
        "one_hot": lambda d: ((d.normal(d.N, 4), d.one_hot(d.N, 4)), {}),
        "soft": lambda d: ((d.normal(d.N, 4), d.probabilities(d.N, 4).real), {}),
        "pixels": lambda d: ((d.normal(d.N, 3, 2, 4), d.labels(3, d.N, 2, 4)), {}),
        "weights": lambda d: ((d.normal(d.N, 4), d.labels(4, d.N)), {"class_weights": WEIGHTS}),
        "weights_soft": lambda d: ((d.normal(d.N, 4), d.probabilities(d.N, 4).real), {"class_weights": WEIGHTS}),
        "smoothing": lambda d: ((d.normal(d.N, 4), d.labels(4, d.N)), {"label_smoothing": 0.1}),
        "ignore": lambda d: ((d.normal(d.N, 3, 2, 4), d.labels(3, d.N, 2, 4)), {"ignore_index": 1}),
        "all": lambda d: (
            (d.normal(d.N, 4, 2, 3), d.labels(4, d.N, 2, 3)),
            {"class_weights": WEIGHTS, "label_smoothing": 0.2, "ignore_index": 0},
        ),
    }, empty="refused"),
    *each("categorical_crossentropy", {
        "labels": lambda d: ((d.probabilities(d.N, 4), d.labels(4, d.N)), {}),
        "one_hot": lambda d: ((d.probabilities(d.N, 4), d.one_hot(d.N, 4)), {}),
        "pixels": lambda d: ((d.probabilities(d.N, 3, 2, 4), d.labels(3, d.N, 2, 4)), {}),
    }, empty="refused"),
    *each("focal", {
        "labels": lambda d: ((d.normal(d.N, 4), d.labels(4, d.N)), {}),
        "gamma_0": lambda d: ((d.normal(d.N, 4), d.labels(4, d.N)), {"gamma": 0.0}),
        "gamma_1": lambda d: ((d.normal(d.N, 4), d.labels(4, d.N)), {"gamma": 1.0, "class_weights": WEIGHTS}),
        "pixels": lambda d: ((d.normal(d.N, 3, 2, 4), d.labels(3, d.N, 2, 4)), {"gamma": 2.5}),
    }, empty="refused"),
    *each("mse", {"rows": _two(4), "images": _two(3, 2, 4)}, empty="refused"),
    *each("mae", {"rows": _two(4), "images": _two(3, 2, 4)}, empty="refused"),
    *each("hinge", {"rows": lambda d: ((d.normal(d.N, 4), 2 * _answers(d, 4) - 1), {})}, empty="refused"),
    *each("multi_margin", {
        "labels": lambda d: ((d.normal(d.N, 4), d.labels(4, d.N)), {}),
        "pixels": lambda d: ((d.normal(d.N, 3, 2, 4), d.labels(3, d.N, 2, 4)), {"margin": 0.5}),
    }, empty="refused"),
    *each("binary_cross_entropy_with_logits", {
        "rows": lambda d: ((d.normal(d.N, 4), _answers(d, 4)), {}),
        "soft": lambda d: ((d.normal(d.N, 2, 3, 2), d.rng.uniform(size=(d.N, 2, 3, 2))), {}),
    }, empty="refused"),
    *each("binary_cross_entropy", {
        "rows": lambda d: ((d.probabilities(d.N, 4), _answers(d, 4)), {}),
        "images": lambda d: ((d.probabilities(d.N, 2, 3, 2), _answers(d, 2, 3, 2)), {}),
    }, empty="refused"),
    *each("dice", {
        "masks": lambda d: ((d.probabilities(d.N, 2, 3, 4), _answers(d, 2, 3, 4)), {}),
        "rows": lambda d: ((d.probabilities(d.N, 3), _answers(d, 3)), {"smooth": 0.5}),
    }, empty="refused"),
]  # fmt: skip
