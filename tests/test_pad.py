"""Padding puts a border around; backward cuts it off. Flatten only changes addresses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import assert_same, inner
from strategies import seeds

from tinycnn.errors import ShapeError
from tinycnn.ops import flatten_backward, flatten_forward, pad2d_backward, pad2d_forward

side = st.integers(0, 3)


def test_padding_by_hand():
    y, cache = pad2d_forward(np.array([[[[1.0, 2.0]]]]), (1, 0, 2, 1), value=-5.0)
    assert y[0, 0].tolist() == [[-5, -5, -5, -5, -5], [-5, -5, 1, 2, -5]]
    assert pad2d_backward(np.arange(10.0).reshape(1, 1, 2, 5), cache)[0, 0].tolist() == [[7, 8]]


@given(H=st.integers(1, 4), W=st.integers(1, 4), sides=st.tuples(side, side, side, side), seed=seeds)
def test_padding_and_cutting_are_transposes(H, W, sides, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, 2, H, W))
    y, cache = pad2d_forward(x, sides)
    assert y.shape == (2, 2, H + sides[0] + sides[1], W + sides[2] + sides[3])
    dy = rng.normal(size=y.shape)
    assert_same(inner(y, dy), inner(x, pad2d_backward(dy, cache)), terms=inner(abs(y), abs(dy)))
    assert (pad2d_backward(y, cache) == x).all()


def test_a_wrong_padding_is_refused():
    for padding in (-1, (1, 2, 3), "much", 1.5):
        with pytest.raises(ValueError, match="padding must be"):
            pad2d_forward(np.ones((1, 1, 2, 2)), padding)
    with pytest.raises(ShapeError, match=r"x must be \(N,C,H,W\)"):
        pad2d_forward(np.ones((2, 2)), 1)


@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=5).map(tuple), seed=seeds)
def test_flatten_is_row_major_and_folds_back(shape, seed):
    x = np.random.default_rng(seed).normal(size=shape)
    y, cache = flatten_forward(x)
    assert y.shape == (shape[0], int(np.prod(shape[1:])))
    for row, example in zip(y, x, strict=True):
        assert row.tolist() == np.ravel(example).tolist()
    assert (flatten_backward(y, cache) == x).all()
