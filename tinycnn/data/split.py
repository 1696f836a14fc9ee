"""Splitting a data set fairly: each part gets the same mix of classes, and the seed decides who goes where.

Pictures that belong together, of one patient or from one film, are a group. A group that is in two parts lets the
network recognise in the one what it learned by heart in the other, so groups are never divided.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Indices = NDArray[np.int64]


def train_test_split(
    *data: Any, test_size: float = 0.25, seed: int = 0, stratify: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> list[Any]:  # fmt: skip
    """Split arrays, or a Dataset or Listing, into what to train on and what to test on.

    Each of `data` gives two, in the order train, test, train, test …, as scikit-learn does. The test part has
    `test_size` of the examples. With `stratify` (labels, (N,)) both parts have the same mix of classes; with `groups`
    (N,) no group is divided, and the test part comes as near to its size as whole groups allow.

    Raises ValueError for no data or data of different lengths, a `test_size` not between 0 and 1, a part without
    examples, or both ways at once.

    >>> x_train, x_test, y_train, y_test = train_test_split(np.arange(8), np.arange(8) // 4, test_size=0.25)
    >>> len(x_train), len(x_test), (y_test == x_test // 4).all()
    (6, 2, np.True_)
    """
    sizes = {len(one) for one in data}
    if len(sizes) != 1:
        raise ValueError(f"train_test_split: all data must have the same length, got {sorted(sizes) or 'no data'}.")
    if not 0 < test_size < 1:
        raise ValueError(f"train_test_split: test_size must lie between 0 and 1, got {test_size}.")
    if stratify is not None and groups is not None:
        raise ValueError("train_test_split: a whole group has the mix of classes that it has: stratify or group.")
    (N,), shares = sizes, (1 - test_size, test_size)
    if len(labels := np.zeros(N) if stratify is None else np.asarray(stratify)) != N:
        raise ValueError(f"train_test_split: {len(labels)} labels to stratify by, {N} examples.")
    if groups is not None and len(np.asarray(groups)) != N:
        raise ValueError(f"train_test_split: {len(np.asarray(groups))} groups, {N} examples.")
    parts = stratified_split(labels, shares, seed) if groups is None else group_split(groups, shares, seed)
    if not all(len(part) for part in parts):
        raise ValueError(f"train_test_split: {N} examples leave {len(parts[0])} to train and {len(parts[1])} to test.")
    return [(one if hasattr(one, "classes") else np.asarray(one))[part] for one in data for part in parts]


def group_split(groups: ArrayLike, fractions: Sequence[float], seed: int) -> tuple[Indices, ...]:
    """Split N examples into parts, never dividing a group: all examples with the same value in `groups` stay together.

    groups (N,) of any kind -> one index array a part, in ascending order: disjoint, and together 0 … N-1. The groups
    come in random order, the large before the small, and each goes to the part that is furthest below its size; so no
    part is above its size by more than the largest group. Raises ValueError as `stratified_split`.

    >>> train, test = group_split(["anna", "anna", "ben", "ben", "ben", "cleo"], fractions=(0.5, 0.5), seed=0)
    >>> train.tolist(), test.tolist()
    ([2, 3, 4], [0, 1, 5])
    """
    shares = _checked_shares("group_split", fractions)
    members = _large_first(_shuffled_by_class(groups, seed), seed)
    missing = shares * sum(len(m) for m in members)
    parts: list[list[NDArray]] = [[] for _ in shares]
    for rows in members:
        part = int(missing.argmax())
        parts[part].append(rows)
        missing[part] -= len(rows)
    return tuple(_ascending(part) for part in parts)


def group_folds(groups: ArrayLike, k: int, seed: int) -> Iterator[tuple[Indices, Indices]]:
    """The k rounds of cross-validation in which no group is divided: each group is tested in one round, whole.

    groups (N,) of any kind -> k pairs (train_idx, test_idx), ascending, each pair covering 0 … N-1. Folds differ in
    size by no more than the largest group. Raises ValueError unless 2 ≤ k ≤ the number of groups.

    >>> [test.tolist() for _, test in group_folds([7, 7, 8, 9, 9], k=3, seed=0)]
    [[3, 4], [0, 1], [2]]
    """
    number = len(np.unique(np.asarray(groups)))
    if not 2 <= k <= number:
        raise ValueError(f"group_folds: k must be from 2 to the number of groups, {number}; got {k}.")
    tests = group_split(groups, [1 / k] * k, seed)
    everyone = np.arange(sum(map(len, tests)))
    return ((np.setdiff1d(everyone, test), test) for test in tests)


def folds(n: int, k: int, seed: int) -> Iterator[tuple[Indices, Indices]]:
    """The k rounds of cross-validation over n examples, shuffled: each is tested once.

    -> k pairs (train_idx, test_idx), ascending; folds differ by at most one example in size. Raises ValueError unless
    2 ≤ k ≤ n.

    >>> [len(test) for _, test in folds(7, k=3, seed=0)]
    [3, 2, 2]
    """
    return stratified_folds(np.zeros(n, np.int64), k, seed)


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
    shares = _checked_shares("stratified_split", fractions)
    members = _shuffled_by_class(y, seed)
    sizes = _round_to_sum(shares, sum(len(m) for m in members))
    parts: list[list[NDArray]] = [[] for _ in sizes]
    for rows, counts in zip(members, _share_out([len(m) for m in members], sizes), strict=True):
        for part, chunk in zip(parts, np.split(rows, np.cumsum(counts)[:-1]), strict=True):
            part.append(chunk)
    return tuple(_ascending(part) for part in parts)


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


def _checked_shares(who: str, fractions: Sequence[float]) -> NDArray[np.float64]:
    shares = np.asarray(fractions, float)
    if shares.ndim != 1 or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-9:
        raise ValueError(f"{who}: fractions must be ≥ 0 and add up to 1, got {fractions}.")
    return shares


def _ascending(parts: list[NDArray]) -> Indices:
    return np.sort(np.concatenate([np.zeros(0, np.int64), *parts]))


def _large_first(members: list[Indices], seed: int) -> list[Indices]:
    """Groups in random order, and those of many examples before those of few."""
    order = np.random.default_rng((seed, 1)).permutation(len(members))
    return sorted((members[i] for i in order), key=len, reverse=True)


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
