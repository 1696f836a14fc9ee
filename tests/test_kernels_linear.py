"""A linear map with the ReLU behind it, and its gradients of the weights alone, are the ops one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import assert_same

from tinycnn import kernels, ops
from tinycnn.cores import threads
from tinycnn.kernels.linear import linear_backward_weights, linear_relu_backward, linear_relu_forward

DTYPES = [np.float32, np.float64]
TOLERANCE = {np.float32: 3e-6, np.float64: 1e-13}
SIZES = [(1, 1, 1), (2, 3, 12), (5, 33, 13), (64, 70, 25), (3, 2500, 40), (17, 1500, 37), (40, 650, 13)]  # N, C, F


def drawn(N, C, F, dtype, bias=True):
    rng = np.random.default_rng([N, C, F])
    x, w, b, dy = (rng.normal(size=shape).astype(dtype) for shape in ((N, C), (F, C), (F,), (N, F)))
    return (x, w, b if bias else None), dy


def by_ops(args, dy):
    y, linear = ops.linear_forward(*args)
    y, relu = ops.relu_forward(y)
    return y, ops.linear_backward(ops.relu_backward(dy, relu), linear)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_linear_map_and_its_relu_in_one_are_the_two_ops(sizes, bias, dtype):
    args, dy = drawn(*sizes, dtype, bias)
    y, cache = linear_relu_forward(*args)
    expected, gradients = by_ops([a if a is None else a.astype(np.float64) for a in args], dy.astype(np.float64))
    assert y.dtype == dtype
    assert_same(y, expected, tol=TOLERANCE[dtype])
    y[...] = 777  # it is the caller's
    for found, right in zip(linear_relu_backward(dy, cache), gradients, strict=True):
        assert (found is None) == (right is None)
        if found is not None:
            assert found.dtype == dtype
            assert_same(found, right, tol=10 * TOLERANCE[dtype])


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_the_gradients_of_the_weights_alone_have_the_bits_that_they_have_with_dx(sizes, bias):
    args, dy = drawn(*sizes, np.float32, bias)
    for forward, backward, alone in (
        (kernels.linear_forward, kernels.linear_backward, linear_backward_weights),
        (linear_relu_forward, linear_relu_backward, lambda dy, cache: linear_relu_backward(dy, cache, "weights")[1:]),
    ):
        _, cache = forward(*args)
        _, dw, db = backward(dy, cache)
        dw_alone, db_alone = alone(dy, cache)
        assert dw.tobytes() == dw_alone.tobytes()
        assert (db is db_alone is None) or db.tobytes() == db_alone.tobytes()
    assert linear_relu_backward(dy, cache, "weights")[0] is None


def test_a_nan_passes_and_zeros_of_both_signs_are_cut_off():
    x = np.array([[np.nan, 1.0, -1.0, 0.0, -0.0]]).T
    y, cache = linear_relu_forward(x, np.ones((1, 1)), None)
    np.testing.assert_array_equal(y[:, 0], [np.nan, 1, 0, 0, 0])
    dx = linear_relu_backward(np.ones((5, 1)), cache)[0]
    assert dx[:, 0].tolist() == [1, 1, 0, 0, 0]


def test_one_thread_and_two_give_the_same_bits():
    args, dy = drawn(64, 700, 130, np.float32)
    results = []
    for many in (1, 2):
        with threads(many):
            y, cache = linear_relu_forward(*args)
            found = (y, *linear_relu_backward(dy, cache), *linear_backward_weights(dy, cache[0]))
            results.append([a.tobytes() for a in found])
    assert results[0] == results[1]


def test_mixed_types_and_an_empty_batch_are_left_to_ops():
    args, dy = drawn(4, 5, 3, np.float64)
    mixed = (args[0].astype(np.float32), *args[1:])
    for given, up in ((mixed, dy), ((args[0][:0], *args[1:]), dy[:0])):
        y, cache = linear_relu_forward(*given)
        expected, gradients = by_ops(given, up)
        assert_same(y, expected)
        for found, right in zip(linear_relu_backward(up, cache), gradients, strict=True):
            assert_same(found, right)
        gradients_alone = ops.linear_backward(up, cache[0])[1:]
        for found, right in zip(linear_backward_weights(up, cache[0]), gradients_alone, strict=True):
            assert_same(found, right)


def test_what_is_wanted_is_all_or_the_weights():
    (x, w, b), dy = drawn(2, 3, 4, np.float64)
    with pytest.raises(ValueError, match="wanted must be"):
        linear_relu_backward(dy, linear_relu_forward(x, w, b)[1], wanted="dx")
