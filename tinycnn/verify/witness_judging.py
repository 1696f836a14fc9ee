"""Witnesses of what judges a network by its scores: curves, calibration, folds, and the maps of what it looks at."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from tinycnn.evaluation import cross_validation, gradients, occluding
from tinycnn.formula import formulas
from tinycnn.train import metrics
from tinycnn.verify.part_cases import belief_case, ranking_case
from tinycnn.verify.recorded import recorded
from tinycnn.verify.rows import Row, distance, row_of

SKLEARN = "scikit-learn 1.9, recorded"
SEEDS = range(6)
# Two of each class, one pair out of order: of 4 pairs 3 are right, and the class's precisions are 1 and 2/3.
TRUE, SCORES = [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]
RANKED: dict[str, tuple[Callable[..., Any], Any]] = {
    "roc_curve": (metrics.roc_curve, ([0, 0, 0.5, 0.5, 1], [0, 0.5, 0.5, 1, 1])),
    "precision_recall_curve": (metrics.precision_recall_curve, ([1, 1, 1 / 2, 2 / 3, 1 / 2], [0, 0.5, 0.5, 1, 1])),
    "roc_auc": (metrics.roc_auc, 3 / 4),
    "average_precision": (metrics.average_precision, 5 / 6),
}
# Promises of .2 | .7 .8 .9 in two bins; the first came false and the others true.
CAME, PROMISED = [0, 1, 1, 1], [0.2, 0.7, 0.8, 0.9]
BELIEVED: dict[str, tuple[Callable[..., Any], dict[str, Any], Any]] = {
    "calibration_curve": (metrics.calibration_curve, {"bins": 2}, ([1, 3], [0.2, 0.8], [0, 1])),
    "expected_calibration_error": (metrics.expected_calibration_error, {"bins": 2}, 0.2),
    "brier_score": (metrics.brier_score, {}, (0.04 + 0.09 + 0.04 + 0.01) / 4),
}


def judging_rows() -> Iterator[Row]:
    """The rows of every formula by which a network is judged; none of it has a rung of its own."""
    yield from _ranked()
    yield from _area()
    yield from _believed()
    yield from _folds()
    yield from _maps()


def _same(found: Any, expected: Any) -> float:
    """How far apart two results are: numbers, or several arrays in order."""
    if isinstance(found, tuple):
        return max(distance(a, b) for a, b in zip(found, expected, strict=True))
    return distance(found, expected)


def _ranked() -> Iterator[Row]:
    for name, (metric, by_hand) in RANKED.items():
        curve = isinstance(by_hand, tuple)
        short = lambda found, curve=curve: found[:2] if curve else found  # noqa: E731, the thresholds are no result
        walked, theirs = [], []
        for seed in SEEDS:
            true, scores = ranking_case(seed)
            found = short(metric(true, scores))
            walked.append(_same(found, formulas[name].evaluate(y_true=true, scores=scores)))
            told = recorded("sklearn_metrics")
            two = tuple(told[f"{name}/{part}/{seed}"] for part in "01") if curve else None
            theirs.append(_same(found, told[f"{name}/{seed}"] if two is None else two))
        yield row_of(name, "metric", "literal", "the formula walked", walked)
        yield row_of(name, "metric", "numeric", "worked by hand", [_same(short(metric(TRUE, SCORES)), by_hand)])
        yield row_of(name, "metric", "external", SKLEARN, theirs)


def _area() -> Iterator[Row]:
    """The area under straight lines is that of the trapezia one by one; and of the line y = x a half."""
    walked, counted = [], []
    for seed in SEEDS:
        x, y = metrics.roc_curve(*ranking_case(seed))[:2]
        walked.append(distance(metrics.auc(x, y), formulas["auc"].evaluate(x=x, y=y)))
        one_by_one = sum((b - a) * (c + d) / 2 for (a, c), (b, d) in pairwise(zip(x, y, strict=True)))
        counted.append(distance(metrics.auc(x, y), one_by_one))
    counted.append(distance(metrics.auc([0.0, 0.25, 1.0], [0.0, 0.25, 1.0]), 0.5))
    yield row_of("auc", "metric", "literal", "the formula walked", walked)
    yield row_of("auc", "metric", "numeric", "trapezia, one by one", counted)
    told = recorded("sklearn_metrics")
    theirs = [distance(metrics.auc(*told[f"auc/xy/{seed}"]), told[f"auc/{seed}"]) for seed in SEEDS]
    yield row_of("auc", "metric", "external", SKLEARN, theirs)


def _believed() -> Iterator[Row]:
    for name, (metric, options, by_hand) in BELIEVED.items():
        curve = name == "calibration_curve"
        walked, theirs = [], []
        for seed in SEEDS:
            true, p = belief_case(seed)
            for y, q in ((true, p), ((true == 0).astype(int), p[:, 0])):
                found = metric(y, q, **options)[1:] if curve else metric(y, q, **options)
                walked.append(_same(found, formulas[name].evaluate(y_true=y, probabilities=q, **options)))
            if not curve and name != "brier_score":
                continue
            told = recorded("sklearn_metrics")
            if curve:
                some = metrics.calibration_curve(true, p)
                full = some.counts > 0
                found = (some.frequency[full], some.confidence[full])
                theirs.append(_same(found, tuple(told[f"{name}/{part}/{seed}"] for part in "01")))
            else:
                theirs.append(distance(metric(true, p), told[f"{name}/{seed}"]))
        found = metric(CAME, PROMISED, **options)[1:] if curve else metric(CAME, PROMISED, **options)
        yield row_of(name, "metric", "literal", "the formula walked", walked)
        yield row_of(name, "metric", "numeric", "worked by hand", [_same(found, by_hand)])
        if theirs:
            yield row_of(name, "metric", "external", SKLEARN, theirs)


def _folds() -> Iterator[Row]:
    walked, counted = [], []
    for seed in SEEDS:
        values = np.random.default_rng([seed, 6]).normal(0.9, 0.03, 3 + seed)
        found = cross_validation.mean_and_sd(values)
        walked.append(_same(found, formulas["mean_and_sd"].evaluate(values=values)))
        counted.append(_same(found, (statistics.mean(values), statistics.stdev(values))))
    yield row_of("mean_and_sd", "evaluation", "literal", "the formula walked", walked)
    yield row_of("mean_and_sd", "evaluation", "external", "Python's statistics module", counted)


def _maps() -> Iterator[Row]:
    """The maps of random gradients and features; and of ones that a reader can work out."""
    walked: dict[str, list[float]] = {"saliency": [], "grad_cam": [], "occlusion": []}
    for seed in SEEDS:
        rng = np.random.default_rng([seed, 7])
        y, dy = rng.normal(size=(2, 2, 3, 4, 5))
        walked["saliency"].append(distance(gradients._largest(dy), formulas["saliency"].evaluate(dx=dy)))
        literal = formulas["grad_cam"].evaluate(y=y, dy=dy)
        walked["grad_cam"].append(distance(gradients._class_activation(y, dy), literal))
        given = {"kernel_size": (2, 3), "stride": (1 + seed % 2, 2), "size": (4, 6)}
        rows, columns = occluding._places(given["size"], given["kernel_size"], given["stride"])
        arrays = {"p": rng.random(2), "hidden": rng.random((2, len(rows), len(columns)))}
        found = occluding._heat(*arrays.values(), *given.values())
        walked["occlusion"].append(_same(found, formulas["occlusion"].evaluate(**arrays, **given)))
    by_hand = {
        "saliency": _same(gradients._largest(np.array([[[[1.0, -2.0]], [[-3.0, 0.5]]]])), [[[3, 2]]]),
        # Map 1 is 1, 2, 3, of weight (1 + 2 + 3) / 3 = 2; map 2 is 6, 0, 9, of weight −1.
        "grad_cam": _same(gradients._class_activation(np.array([[[[1.0, 2, 3]], [[6, 0, 9]]]]),
                                                      np.array([[[[1.0, 2, 3]], [[-3, 0, 0]]]])), [[[0, 4, 0]]]),
        # A patch of two on three pixels: .9 falls to .5 and to .7; the middle one is covered by both.
        "occlusion": _same(occluding._heat(np.array([0.9]), np.array([[[0.5, 0.7]]]), (1, 2), 1, (1, 3))[1],
                           [[[0.4, 0.3, 0.2]]]),
    }  # fmt: skip
    for name, errors in walked.items():
        yield row_of(name, "evaluation", "literal", "the formula walked", errors)
        yield row_of(name, "evaluation", "numeric", "worked by hand", [by_hand[name]])
