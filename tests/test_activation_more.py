"""Leaky ReLU, ELU, sigmoid and tanh: their bends by hand, their tails without overflow, their slopes proved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import assert_gradients, assert_same
from strategies import seeds

from tinycnn.ops import (
    elu_backward,
    elu_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    tanh_backward,
    tanh_forward,
)

LEAKY, ELU = (leaky_relu_forward, leaky_relu_backward), (elu_forward, elu_backward)
SIGMOID, TANH = (sigmoid_forward, sigmoid_backward), (tanh_forward, tanh_backward)
every_pair = pytest.mark.parametrize(("forward", "backward"), [LEAKY, ELU, SIGMOID, TANH])
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
E = np.e


def _spaced(shape, seed):
    """Numbers of both signs, none nearer to 0 than 0.05, where the first two have their kink."""
    rng = np.random.default_rng(seed)
    n = int(np.prod(shape))
    return ((rng.permutation(n) * 0.1 + 0.05) * rng.choice([-1, 1], n)).reshape(shape)


@pytest.mark.parametrize(
    ("forward", "backward", "options", "values", "slopes"),
    [
        (*LEAKY, {}, [-0.02, 0.0, 3.0], [0.01, 0.01, 1.0]),
        (*LEAKY, {"negative_slope": 0.5}, [-1.0, 0.0, 3.0], [0.5, 0.5, 1.0]),
        (*ELU, {}, [E**-2 - 1, 0.0, 3.0], [E**-2, 1.0, 1.0]),
        (*ELU, {"alpha": 2.0}, [2 * (E**-2 - 1), 0.0, 3.0], [2 * E**-2, 2.0, 1.0]),
        (*SIGMOID, {}, [1 / (1 + E**2), 0.5, 1 / (1 + E**-3)], [E**2 / (1 + E**2) ** 2, 0.25, E**3 / (1 + E**3) ** 2]),
        (*TANH, {}, [(1 - E**4) / (1 + E**4), 0.0, (E**6 - 1) / (E**6 + 1)], [4 / (E**2 + E**-2) ** 2, 1.0,
                                                                            4 / (E**3 + E**-3) ** 2]),
    ],
)  # fmt: skip
def test_values_and_slopes_at_minus_two_zero_and_three(forward, backward, options, values, slopes):
    y, cache = forward(np.array([-2.0, 0.0, 3.0]), **options)
    assert_same(y, np.array(values), tol=1e-15)
    assert_same(backward(np.array([1.0, -2.0, 10.0]), cache), np.array(slopes) * [1, -2, 10], tol=1e-14)


@every_pair
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_at_ten_thousand_nothing_overflows(forward, backward, dtype):
    x = np.array([-1e4, -800.0, -88.8, 0.0, 88.8, 800.0, 1e4], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y, cache = forward(x)
        dx = backward(np.ones_like(x), cache)
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    assert (y.dtype, dx.dtype) == (dtype, dtype)


def test_the_tails_are_where_they_belong():
    x = np.array([-1e4, 1e4])
    assert sigmoid_forward(x)[0].tolist() == [0.0, 1.0]
    assert tanh_forward(x)[0].tolist() == [-1.0, 1.0]
    assert elu_forward(x, alpha=1.5)[0].tolist() == [-1.5, 1e4]
    assert leaky_relu_forward(x, negative_slope=0.1)[0].tolist() == [-1e3, 1e4]


@every_pair
def test_a_nan_stays_one_and_infinities_have_limits(forward, backward):
    y, _ = forward(np.array([np.nan, 1.0]))
    assert np.isnan(y).tolist() == [True, False]
    y, _ = forward(np.array([-np.inf, np.inf]))
    assert not np.isnan(y).any()


@given(shape=shapes, seed=seeds, slope=st.integers(-20, 20).map(lambda n: n / 10), alpha=st.floats(0.1, 3))
def test_the_complex_step_confirms_every_slope(shape, seed, slope, alpha):
    x = _spaced(shape, seed)
    assert_gradients(*LEAKY, x, negative_slope=slope)
    assert_gradients(*ELU, x, alpha=alpha)
    assert_gradients(*SIGMOID, x)
    assert_gradients(*TANH, x)


def test_the_slope_of_a_sure_sigmoid_keeps_its_digits():
    """As y·(1 − y) computed by subtracting, the slope at 40 would be 0."""
    for x in (40.0, -40.0, 300.0):
        _, cache = sigmoid_forward(np.array([x]))
        assert_same(sigmoid_backward(np.array([1.0]), cache), np.exp([-abs(x)]), tol=1e-13)


def test_elu_near_zero_keeps_its_digits():
    assert elu_forward(np.array([-1e-20, -1e-8]))[0].tolist() == [-1e-20, np.expm1(-1e-8)]


@given(shape=shapes, seed=seeds)
def test_the_relations_between_them(shape, seed):
    x = 5 * np.random.default_rng(seed).normal(size=shape)
    sigmoid = lambda a: sigmoid_forward(a)[0]  # noqa: E731
    assert_same(sigmoid(-x), 1 - sigmoid(x), terms=1)
    assert_same(tanh_forward(x)[0], 2 * sigmoid(2 * x) - 1, terms=1)
    assert_same(leaky_relu_forward(x, negative_slope=0.0)[0], relu_forward(x)[0])
    assert_same(leaky_relu_forward(x, negative_slope=1.0)[0], x)
    assert_same(elu_forward(x, alpha=0.0)[0], relu_forward(x)[0])


def test_an_option_does_not_widen_float32():
    x = np.ones(2, np.float32)
    assert leaky_relu_forward(x, np.float64(0.2))[0].dtype == np.float32
    assert elu_forward(x, np.float64(2.0))[0].dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf, "0.1", None, True, 1j])
def test_an_option_that_is_no_number_is_refused_by_name(bad):
    with pytest.raises(ValueError, match="negative_slope must be a finite number, got"):
        leaky_relu_forward(np.ones(2), bad)
    with pytest.raises(ValueError, match="alpha must be a finite number, got"):
        elu_forward(np.ones(2), bad)


@pytest.mark.torch
@given(shape=shapes, seed=seeds, slope=st.floats(0, 2), alpha=st.floats(0.1, 3))
def test_pytorch_says_the_same(shape, seed, slope, alpha):
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    rng = np.random.default_rng(seed)
    x, dy = 20 * rng.normal(size=shape), rng.normal(size=shape)
    for (forward, backward), options, theirs in (
        (LEAKY, {"negative_slope": slope}, lambda t: F.leaky_relu(t, slope)),
        (ELU, {"alpha": alpha}, lambda t: F.elu(t, alpha)),
        (SIGMOID, {}, torch.sigmoid),
        (TANH, {}, torch.tanh),
    ):
        y, cache = forward(x, **options)
        t = torch.tensor(x, requires_grad=True)
        out = theirs(t)
        out.backward(torch.tensor(dy))
        assert_same(y, out.detach().numpy())
        assert_same(backward(dy, cache), t.grad.numpy(), terms=dy)  # theirs subtracts in y·(1 − y), ours does not
