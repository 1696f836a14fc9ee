"""Splitting a data set fairly: each part gets the same mix of classes, and the seed decides who goes where."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def stratified_split(y: ArrayLike, fractions: Sequence[float], seed: int) -> tuple[NDArray[np.int64], ...]:
    """Split N examples into parts with the same mix of classes.

    |count(part p, class k) - size_p * n_k / N| <= 1, where n_k is the number of examples of class k

    y (N,) labels of any kind -> one index array a part, in ascending order: disjoint, and together 0 … N-1.
    The sizes are fractions * N, rounded so that they add up to N (largest remainders first).
    Raises ValueError if the fractions are negative or do not add up to 1, or y is not one-dimensional.

    >>> train, test = stratified_split([0, 0, 0, 0, 1, 1, 1, 1], fractions=(0.75, 0.25), seed=0)
    >>> len(train), len(test), sorted([*train, *test]) == list(range(8))
    (6, 2, True)
    """
    shares = np.asarray(fractions, float)
    if shares.ndim != 1 or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-9:
        raise ValueError(f"stratified_split: fractions must be ≥ 0 and add up to 1, got {fractions}.")
    members = _shuffled_by_class(y, seed)
    sizes = _round_to_sum(shares, sum(len(m) for m in members))
    parts: list[list[NDArray]] = [[] for _ in sizes]
    for rows, counts in zip(members, _share_out([len(m) for m in members], sizes), strict=True):
        for part, chunk in zip(parts, np.split(rows, np.cumsum(counts)[:-1]), strict=True):
            part.append(chunk)
    return tuple(np.sort(np.concatenate([np.zeros(0, np.int64), *part])) for part in parts)


def stratified_folds(y: ArrayLike, k: int, seed: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The k rounds of cross-validation: each example is tested once, and each fold has the same mix of classes.

    y (N,) labels of any kind -> k pairs (train_idx, test_idx), ascending, each pair covering 0 … N-1. Folds differ by
    at most one example in size, and by at most one example of each class.
    Raises ValueError unless 2 ≤ k ≤ N.

    >>> for train, test in stratified_folds([0, 0, 0, 1, 1, 1], k=3, seed=0):
    ...     print(len(train), len(test))
    4 2
    4 2
    4 2
    """
    dealt = np.concatenate([np.zeros(0, np.int64), *_shuffled_by_class(y, seed)])
    if not 2 <= k <= len(dealt):
        raise ValueError(f"stratified_folds: k must be from 2 to the number of examples, {len(dealt)}; got {k}.")
    # Sorted by class and dealt out like cards, each fold gets every k-th example of every class.
    tests = [np.sort(dealt[fold::k]) for fold in range(k)]
    return ((np.setdiff1d(np.arange(len(dealt)), test), test) for test in tests)


def _shuffled_by_class(y: ArrayLike, seed: int) -> list[NDArray[np.int64]]:
    """The indices of each class in turn, shuffled."""
    labels, rng = np.asarray(y), np.random.default_rng(seed)
    if labels.ndim != 1:
        raise ValueError(f"y: expected labels of shape (N,), got shape {labels.shape}.")
    return [rng.permutation(np.flatnonzero(labels == k)).astype(np.int64) for k in np.unique(labels)]


def _round_to_sum(shares: NDArray, total: int) -> NDArray[np.int64]:
    """The shares of `total` in whole numbers that add up to total: rounded down, then +1 where most was lost.

    >>> _round_to_sum(np.array([0.7, 0.1, 0.2]), 9)
    array([6, 1, 2])
    """
    exact = shares * total
    sizes = np.floor(exact).astype(np.int64)
    short = total - int(sizes.sum())
    sizes[np.argsort(sizes - exact, kind="stable")[:short]] += 1
    return sizes


def _share_out(class_sizes: list[int], part_sizes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """How many of each class each part gets: every row adds up to its class, every column to its part.

    Each entry is its exact share n_k * size_p / N rounded down, or one more. A class hands its spare ones to the parts
    that still lack most; this greedy choice always comes out even (Gale and Ryser, 1957).
    """
    total = sum(class_sizes)
    table = [n * part_sizes // total for n in class_sizes]
    missing = part_sizes - sum(table)
    for n, row in zip(class_sizes, table, strict=True):
        lacking = np.argsort(-missing, kind="stable")[: n - row.sum()]
        row[lacking] += 1
        missing[lacking] -= 1
    return table
