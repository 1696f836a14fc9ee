"""ReLU keeps what is positive, says 0 at its kink, and lets no NaN disappear."""

from __future__ import annotations

import numpy as np
from oracles import assert_same

from tinycnn.ops import relu_backward, relu_forward


def test_relu_by_hand_with_derivative_zero_at_zero():
    y, cache = relu_forward(np.array([-2.0, -0.0, 0.0, 1e-300, 3.0]))
    assert y.tolist() == [0.0, 0.0, 0.0, 1e-300, 3.0]
    assert relu_backward(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), cache).tolist() == [0.0, 0.0, 0.0, 4.0, 5.0]


def test_relu_keeps_a_nan_and_an_infinity():
    y, cache = relu_forward(np.array([np.nan, np.inf, -np.inf]))
    assert_same(y, np.array([np.nan, np.inf, 0.0]))
    assert relu_backward(np.ones(3), cache).tolist() == [1.0, 1.0, 0.0]


def test_where_relu_is_off_not_even_an_infinite_gradient_passes():
    _, cache = relu_forward(np.array([-1.0, 1.0]))
    assert relu_backward(np.array([np.inf, np.inf]), cache).tolist() == [0.0, np.inf]


def test_a_skip_around_a_relu_doubles_the_gradient():
    """In x + relu(x), a backward that changed dy in place would give 2 where 1 is right, and here 2 is right."""
    x, dy = np.array([3.0, -3.0]), np.array([1.0, 1.0])
    _, cache = relu_forward(x)
    assert (dy + relu_backward(dy, cache)).tolist() == [2.0, 1.0]
