"""Reshape and concat move numbers and change none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import assert_gradients, assert_is_its_formula, assert_same, inner
from strategies import seeds

from tinycnn.errors import ShapeError
from tinycnn.ops import concat_backward, concat_forward, flatten_forward, reshape_backward, reshape_forward

sizes = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)


def test_reshape_counts_row_by_row_and_leaves_the_batch_alone():
    x = np.arange(12.0).reshape(2, 6)
    y, cache = reshape_forward(x, (2, 3))
    assert y.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    assert reshape_backward(10 * y, cache).tolist() == (10 * x).tolist()
    assert reshape_forward(x, (3, -1))[0].shape == (2, 3, 2)
    assert reshape_forward(x[:0], (3, -1))[0].shape == (0, 3, 2)


@given(N=st.integers(0, 3), shape=sizes, seed=seeds)
def test_flatten_and_reshape_are_each_others_inverse(N, shape, seed):
    x = np.random.default_rng(seed).normal(size=(N, *shape))
    flat, _ = flatten_forward(x)
    assert (reshape_forward(flat, shape)[0] == x).all()
    assert (reshape_forward(x, (-1,))[0] == flat).all()
    assert_is_its_formula(reshape_forward, reshape_backward, (flat, shape), {})


@pytest.mark.parametrize("shape", [(4,), (2, 2), (-1, -1), (4, -1), (-2, -3), (0, -1), (7,), ()])
def test_a_shape_that_holds_another_number_is_refused(shape):
    with pytest.raises(ShapeError, match=r"an example of shape \(2, 3\) has 6 numbers, which do not fit into"):
        reshape_forward(np.ones((5, 2, 3)), shape)


def test_two_sizes_cannot_both_be_whatever_is_left():
    with pytest.raises(ShapeError, match=r"do not fit into \(-1, -1\)"):
        reshape_forward(np.ones((5, 1)), (-1, -1))


def test_concat_lays_channels_behind_channels_and_its_gradient_is_cut_there():
    a, b = np.zeros((1, 1, 2, 2)), np.ones((1, 2, 2, 2))
    y, cache = concat_forward(a, b)
    assert y[0, :, 0, 0].tolist() == [0, 1, 1]
    da, db = concat_backward(np.arange(12.0).reshape(1, 3, 2, 2), cache)
    assert da.tolist() == [[[[0, 1], [2, 3]]]]
    assert db.tolist() == [[[[4, 5], [6, 7]], [[8, 9], [10, 11]]]]


@given(N=st.integers(1, 3), CA=st.integers(1, 3), CB=st.integers(0, 3), rest=sizes, seed=seeds)
def test_concat_is_its_formula_its_transpose_and_its_complex_step(N, CA, CB, rest, seed):
    rng = np.random.default_rng(seed)
    a, b, dy = (rng.normal(size=(N, C, *rest)) for C in (CA, CB, CA + CB))
    y, cache = concat_forward(a, b)
    da, db = concat_backward(dy, cache)
    assert_same(inner(y, dy), inner(a, da) + inner(b, db), terms=inner(abs(y), abs(dy)))
    assert_is_its_formula(concat_forward, concat_backward, (a, b), {})
    assert_gradients(concat_forward, concat_backward, a, b, positions=(0, 1))


@pytest.mark.parametrize(("a", "b"), [((2, 3), (3, 3)), ((2, 3, 4), (2, 3, 5)), ((2, 3, 4), (2, 3)), ((2,), (2,))])
def test_arrays_that_differ_in_more_than_channels_are_refused_with_both_shapes(a, b):
    with pytest.raises(ShapeError, match=r"a and b must be \(N,C,…\), alike in all but the channels, got \(2,.* and"):
        concat_forward(np.ones(a), np.ones(b))
