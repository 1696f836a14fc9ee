"""Splits are exact, disjoint, covering and fair, for any classes and any fractions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycnn.data import stratified_folds, stratified_split

bounded = settings(deadline=None, max_examples=150)
class_sizes = st.lists(st.integers(0, 40), min_size=1, max_size=8)
weights = st.lists(st.integers(0, 20), min_size=1, max_size=6).filter(any)


def labels_of(sizes, seed):
    y = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(seed).permutation(y)


@bounded
@given(sizes=class_sizes, weights=weights, seed=st.integers(0, 99))
def test_a_split_is_disjoint_covering_of_the_right_sizes_and_fair(sizes, weights, seed):
    y, fractions = labels_of(sizes, seed), np.array(weights) / sum(weights)
    parts = stratified_split(y, fractions, seed)
    assert sorted(int(i) for p in parts for i in p) == list(range(len(y)))
    assert all(np.array_equal(p, np.sort(p)) for p in parts)
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - fraction * len(y)) < 1
        for k, n in enumerate(sizes):
            assert abs((y[part] == k).sum() - n * len(part) / max(len(y), 1)) <= 1


@bounded
@given(sizes=class_sizes, k=st.integers(2, 10), seed=st.integers(0, 99))
def test_folds_test_each_example_once_and_are_fair(sizes, k, seed):
    y = labels_of(sizes, seed)
    if len(y) < k:
        with pytest.raises(ValueError, match=f"from 2 to the number of examples, {len(y)}; got {k}"):
            stratified_folds(y, k, seed)
        return
    folds = list(stratified_folds(y, k, seed))
    assert len(folds) == k
    assert sorted(int(i) for _, test in folds for i in test) == list(range(len(y)))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(len(y)))
        assert len(test) in (len(y) // k, -(-len(y) // k))
        for c, n in enumerate(sizes):
            assert (y[test] == c).sum() in (n // k, -(-n // k))


def test_fractions_that_go_even_are_met_exactly():
    y = np.repeat([0, 1, 2], [10, 20, 30])
    train, test = stratified_split(y, (0.8, 0.2), seed=5)
    assert np.bincount(y[train]).tolist() == [8, 16, 24]
    assert np.bincount(y[test]).tolist() == [2, 4, 6]


def test_the_seed_decides_and_repeats():
    y = np.repeat([0, 1], 50)
    first, again, other = (stratified_split(y, (0.5, 0.5), seed)[0].tolist() for seed in (1, 1, 2))
    assert first == again != other
    folds = [[t.tolist() for _, t in stratified_folds(y, 5, seed)] for seed in (1, 1, 2)]
    assert folds[0] == folds[1] != folds[2]


def test_labels_may_be_words():
    a, b = stratified_split(["cat"] * 4 + ["dog"] * 4, (0.5, 0.5), seed=0)
    assert (len(a), len(b)) == (4, 4)


@pytest.mark.parametrize("fractions", [(0.5, 0.4), (1.5, -0.5), (), (float("nan"), 1.0), 0.2])
def test_fractions_that_are_none_are_refused(fractions):
    with pytest.raises(ValueError, match="fractions must be ≥ 0 and add up to 1"):
        stratified_split([0, 1], fractions, seed=0)


def test_labels_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected labels of shape \(N,\), got shape \(2, 2\)"):
        stratified_split(np.eye(2), (0.5, 0.5), seed=0)
