"""Witnesses of what is measured on data: the formulas walked, and the same with more digits or other words."""

from __future__ import annotations

import statistics as textbook
from collections.abc import Iterator

import numpy as np

from tinycnn.data.statistics import channel_statistics, class_weights
from tinycnn.formula import formulas
from tinycnn.verify.rows import Row, distance, row_of

CASES, CASES_THOROUGH = 12, 60


def data_rows(thorough: bool = False, seed: int = 0) -> list[Row]:
    """The rows of the statistics of channels and of the weights of classes; none of it has a rung of its own.

    >>> all(row.passed for row in data_rows())
    True
    """
    cases = CASES_THOROUGH if thorough else CASES
    return [*_statistics(cases, seed), *_weights(cases, seed)]


def _pictures(case: int, seed: int) -> np.ndarray:
    """Some pictures with channels far from 0 and unlike each other; every third case has but one number a channel."""
    rng = np.random.default_rng([seed, case])
    shape = (int(rng.integers(1, 6)), int(rng.integers(1, 4)), *rng.integers(1, 6, case % 3))
    x = rng.standard_normal(shape) * 10.0 ** rng.integers(-2, 3)
    return x + rng.uniform(-50, 50, (1, shape[1], *[1] * (len(shape) - 2)))


def _statistics(cases: int, seed: int) -> Iterator[Row]:
    walked, exact, textbooks = [], [], []
    for case in range(cases):
        x = _pictures(case, seed)
        found = channel_statistics(x)
        pair = np.array([found["mean"], found["std"]])
        literal = formulas["channel_statistics"].evaluate(x=x)
        channels = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
        long = channels.astype(np.longdouble)
        scale = np.abs(channels).max(axis=1) * np.ones((2, 1))  # what is lost in a mean is lost of the largest number
        walked.append(distance(pair, np.array([literal.mean, literal.std]), scale))
        exact.append(distance(pair, np.array([long.mean(axis=1), long.std(axis=1)], np.float64), scale))
        rational = [[textbook.fmean(c), textbook.pstdev(c)] for c in channels.tolist()]  # exact fractions inside
        textbooks.append(distance(pair, np.array(rational).T, scale))
    yield row_of("channel_statistics", "data", "literal", "the formula walked", walked)
    yield row_of("channel_statistics", "data", "numeric", "extended precision", exact)
    yield row_of("channel_statistics", "data", "external", "Python's statistics, in fractions", textbooks)


def _weights(cases: int, seed: int) -> Iterator[Row]:
    walked, balanced = [], []
    for case in range(cases):
        rng = np.random.default_rng([seed, case])
        count = rng.integers(1, 30, rng.integers(1, 7))
        y = rng.permutation(np.repeat(np.arange(len(count)), count))
        found = class_weights(y)
        walked.append(distance(found, formulas["class_weights"].evaluate(count=count)))
        share = np.array([found[y[y == k]].sum() for k in range(len(count))])  # what each class counts in all
        balanced.append(distance(share, np.full(len(count), len(y) / len(count))))
    yield row_of("class_weights", "data", "literal", "the formula walked", walked)
    yield row_of("class_weights", "data", "numeric", "every class counts alike", balanced)
