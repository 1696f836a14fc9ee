"""A linear map: worked by hand, against einsum, its transpose, and its refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import assert_same, inner
from strategies import seeds

from tinycnn.errors import ShapeError
from tinycnn.ops import linear_backward, linear_forward

size = st.integers(1, 6)


def test_a_linear_map_worked_by_hand():
    x, w, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [-1.0, 0.5], [0.0, 1.0]]), np.array([0.0, 10.0, 1.0])
    y, cache = linear_forward(x, w, b)
    assert y.tolist() == [[11.0, 10.0, 3.0]]
    dx, dw, db = linear_backward(np.array([[1.0, 2.0, -1.0]]), cache)
    assert dx.tolist() == [[1.0, 4.0]]
    assert dw.tolist() == [[1.0, 2.0], [2.0, 4.0], [-1.0, -2.0]]
    assert db.tolist() == [1.0, 2.0, -1.0]


@given(N=size, C=size, F=size, seed=seeds)
def test_forward_is_einsum_and_backward_its_transpose(N, C, F, seed):
    rng = np.random.default_rng(seed)
    x, w, b, dy = rng.normal(size=(N, C)), rng.normal(size=(F, C)), rng.normal(size=F), rng.normal(size=(N, F))
    y, cache = linear_forward(x, w, b)
    assert_same(y, np.einsum("nc,fc->nf", x, w) + b, terms=abs(x) @ abs(w).T + abs(b))
    dx, dw, db = linear_backward(dy, cache)
    for argument, gradient in ((x, dx), (w, dw)):
        terms = inner(abs(x) @ abs(w).T, abs(dy))
        assert_same(inner(y - b, dy), inner(argument, gradient), terms=terms + inner(abs(b) + 0 * y, abs(dy)))
    assert_same(db, np.einsum("nf->f", dy), terms=abs(dy).sum(axis=0))


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(ShapeError, match=r"x has 3 features, but w of shape \(4, 5\) takes 5"):
        linear_forward(np.ones((2, 3)), np.ones((4, 5)), None)
    with pytest.raises(ShapeError, match=r"one number an output, \(4,\), got shape \(5,\)"):
        linear_forward(np.ones((2, 5)), np.ones((4, 5)), np.ones(5))
    with pytest.raises(ShapeError, match=r"x must be \(N,C\), got 4 axes: shape \(2, 3, 4, 4\)"):
        linear_forward(np.ones((2, 3, 4, 4)), np.ones((4, 5)), None)
