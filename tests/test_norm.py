"""Batch, layer and group norm: what they make of numbers, what their gradients leave out, and where they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_gradients, assert_is_its_formula, assert_same
from strategies import norm_shapes, seeds

from tinycnn.errors import ShapeError
from tinycnn.formula import formulas
from tinycnn.ops import (
    batch_norm_backward,
    batch_norm_forward,
    batch_statistics,
    group_norm_backward,
    group_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
    running_update,
)

BATCH = (batch_norm_forward, batch_norm_backward)
LAYER = (layer_norm_forward, layer_norm_backward)
GROUP = (group_norm_forward, group_norm_backward)
TINY = 1e-30  # an eps that says nothing


batches = st.tuples(norm_shapes(), seeds)


def _drawn(shape, seed, weights=None):
    """x, gamma, beta."""
    rng = np.random.default_rng([seed, 9])  # never the stream that a test draws its dy from
    weights = shape[1:2] if weights is None else weights
    return rng.normal(1, 2, size=shape), rng.normal(size=weights), rng.normal(size=weights)


def _but_channels(x):
    return tuple(a for a in range(x.ndim) if a != 1)


# ---------------------------------------------------------------- batch norm


def test_batch_norm_worked_by_hand():
    x, gamma, beta = np.array([[0.0], [0.0], [3.0], [3.0]]), np.array([4.0]), np.array([10.0])
    y, cache = batch_norm_forward(x, gamma, beta, eps=TINY)  # mean 1.5, variance 2.25, x̂ = ±1
    assert_same(y[:, 0], np.array([6.0, 6.0, 14.0, 14.0]))
    dx, dgamma, dbeta = batch_norm_backward(np.array([[1.0], [0.0], [0.0], [0.0]]), cache)
    assert_same(dgamma, np.array([-1.0]))
    assert_same(dbeta, np.array([1.0]))
    # dy less its mean ¼ and its part −¼·x̂ along x̂, times gamma/1.5
    assert_same(dx[:, 0], np.array([0.5, -0.5, 0.0, 0.0]) * 4 / 1.5, terms=1)


@given(case=batches)
def test_each_channel_comes_out_with_mean_beta_and_deviation_gamma(case):
    x, gamma, beta = _drawn(*case)
    y, _ = batch_norm_forward(x, gamma, beta, eps=TINY)
    assert_same(y.mean(axis=_but_channels(x)), beta, terms=abs(beta) + abs(gamma))
    assert_same(y.std(axis=_but_channels(x)), abs(gamma))


@given(case=batches)
def test_what_the_statistics_take_up_gets_no_gradient(case):
    """Adding to all of a channel, or scaling it about its mean, changes nothing: dx has no part in those directions."""
    x, gamma, beta = _drawn(*case)
    y, cache = batch_norm_forward(x, gamma, beta, eps=TINY)
    assert_same(batch_norm_forward(3 * x + 5, gamma, beta, eps=TINY)[0], y, tol=1e-11)
    dx, _, _ = batch_norm_backward(np.random.default_rng(1).normal(size=y.shape), cache)
    axes = _but_channels(x)
    scale = abs(gamma * cache.rstd.ravel()) * x[:, 0].size * 10
    assert_same(dx.sum(axis=axes), np.zeros(x.shape[1]), terms=scale)
    assert_same((dx * cache.xhat).sum(axis=axes), np.zeros(x.shape[1]), terms=scale)


@given(case=batches, eps=st.sampled_from([1e-5, 0.1]), evaluate=st.booleans())
@settings(max_examples=40)
def test_batch_norm_is_its_formula_and_passes_the_complex_step_in_both_modes(case, eps, evaluate):
    x, gamma, beta = _drawn(*case)
    rng = np.random.default_rng(2)
    given_ones = (rng.normal(size=gamma.shape), rng.uniform(0.5, 2, size=gamma.shape)) if evaluate else ()
    assert_is_its_formula(*BATCH, (x, gamma, beta, *given_ones), {"eps": eps})
    assert_gradients(*BATCH, x, gamma, beta, *given_ones, positions=(0, 1, 2), eps=eps)


def test_in_evaluation_no_example_sees_another():
    x, gamma, beta = _drawn((4, 3, 2, 2), seed=0)
    mean, var = np.array([1.0, 0.0, -1.0]), np.array([2.0, 1.0, 0.0])
    whole, _ = batch_norm_forward(x, gamma, beta, mean, var)
    for n in range(4):
        assert_same(batch_norm_forward(x[n : n + 1], gamma, beta, mean, var)[0], whole[n : n + 1])
    wide = (slice(None), None, None)
    assert_same(whole, gamma[wide] * (x - mean[wide]) / np.sqrt(var[wide] + 1e-5) + beta[wide])


def test_with_the_batchs_own_statistics_evaluation_gives_the_same_y_and_another_gradient():
    x, gamma, beta = _drawn((5, 2), seed=3)
    y, cache = batch_norm_forward(x, gamma, beta)
    y2, cache2 = batch_norm_forward(x, gamma, beta, x.mean(axis=0), x.var(axis=0))
    assert_same(y, y2)
    dy = np.random.default_rng(4).normal(size=y.shape)
    assert_same(batch_norm_backward(dy, cache2)[0], gamma * dy / np.sqrt(x.var(axis=0) + 1e-5))
    assert abs(batch_norm_backward(dy, cache)[0] - batch_norm_backward(dy, cache2)[0]).max() > 0.01


@given(case=batches)
def test_the_cache_and_batch_statistics_hold_mean_and_unbiased_variance(case):
    x, gamma, beta = _drawn(*case)
    _, cache = batch_norm_forward(x, gamma, beta)
    axes = _but_channels(x)
    literal = formulas["batch_statistics"].evaluate(x=x)
    for mean, var in ((cache.mean, cache.var), batch_statistics(x), literal):
        assert_same(mean, x.mean(axis=axes), terms=abs(x).max())
        assert_same(var, x.var(axis=axes, ddof=1))
    evaluated = batch_norm_forward(x, gamma, beta, cache.mean, cache.var)[1]
    assert (evaluated.mean, evaluated.var) == (None, None)


def test_running_update_moves_a_tenth_of_the_way_and_leaves_the_old_alone():
    running, batch = np.array([1.0, 0.0]), np.array([11.0, -10.0])
    assert_same(running_update(running, batch), np.array([2.0, -1.0]))
    assert running.tolist() == [1, 0]
    assert running_update(running, batch, momentum=1.0).tolist() == [11, -10]
    assert running_update(running, batch, momentum=0.0).tolist() == [1, 0]
    assert_same(formulas["running_update"].evaluate(running=running, batch=batch, momentum=0.3),
                running_update(running, batch, 0.3))  # fmt: skip
    assert running_update(running.astype(np.float32), batch.astype(np.float32), np.float64(0.1)).dtype == np.float32


def test_one_value_a_channel_is_refused_in_training_and_served_in_evaluation():
    message = r"batch norm in training needs at least two values a channel, but x of shape \(1, 3.*\) has one: "
    one, zero = np.ones(3), np.zeros(3)
    for shape in [(1, 3), (1, 3, 1, 1)]:
        with pytest.raises(ShapeError, match=message + "use a larger batch, or give mean and var"):
            batch_norm_forward(np.ones(shape), one, zero)
        with pytest.raises(ShapeError, match=message):
            batch_statistics(np.ones(shape))
        assert np.isfinite(batch_norm_forward(np.ones(shape), one, zero, mean=zero, var=one)[0]).all()
    assert np.isfinite(batch_norm_forward(np.ones((1, 3, 1, 2)), one, zero)[0]).all()


# ---------------------------------------------------------------- layer and group norm


def test_layer_norm_worked_by_hand():
    y, cache = layer_norm_forward(np.array([[1.0, 3.0], [-8.0, 8.0]]), np.array([2.0, 5.0]), np.array([0.0, 1.0]), TINY)
    assert_same(y, np.array([[-2.0, 6.0], [-2.0, 6.0]]))
    _, dgamma, dbeta = layer_norm_backward(np.array([[1.0, 10.0], [2.0, 20.0]]), cache)
    assert_same(dgamma, np.array([-3.0, 30.0]))
    assert_same(dbeta, np.array([3.0, 30.0]))


def test_group_norm_worked_by_hand():
    x = np.array([[1.0, 3.0, 100.0, 300.0]])
    y, _ = group_norm_forward(x, 2, np.array([1.0, 2.0, 3.0, 4.0]), np.zeros(4), TINY)
    assert_same(y, np.array([[-1.0, 2.0, -3.0, 4.0]]))


@given(case=batches, eps=st.sampled_from([1e-5, 0.1]), groups=st.integers(1, 3), each=st.integers(1, 2))
@settings(max_examples=40)
def test_layer_and_group_norm_are_their_formulas_and_pass_the_complex_step(case, eps, groups, each):
    (N, _, *pixels), seed = case
    if groups * each * int(np.prod(pixels, dtype=int)) >= 3:
        shape = (N, groups * each, *pixels)
        x, gamma, beta = _drawn(shape, seed, shape[1:])
        assert_is_its_formula(*LAYER, (x, gamma, beta), {"eps": eps})
        assert_gradients(*LAYER, x, gamma, beta, positions=(0, 1, 2), eps=eps)
    x, gamma, beta = _drawn((N, groups * each, 3, 2), seed)
    assert_is_its_formula(*GROUP, (x, groups, gamma, beta), {"eps": eps})
    assert_gradients(*GROUP, x, groups, gamma, beta, positions=(0, 2, 3), eps=eps)


@given(case=batches)
def test_each_example_is_normalised_by_itself(case):
    x, gamma, beta = _drawn(*case)
    N, C = x.shape[:2]
    like_x = np.broadcast_to(gamma.reshape(-1, *(1,) * (x.ndim - 2)), x.shape[1:]).copy()
    for forward in (
        lambda x: layer_norm_forward(x, like_x, like_x)[0],
        lambda x: group_norm_forward(x, C, gamma, beta)[0],
    ):
        whole = forward(x)
        for n in range(N):
            assert_same(forward(x[n : n + 1]), whole[n : n + 1])


@given(case=batches)
def test_one_group_is_layer_norm_and_as_many_as_channels_normalise_each_channel_alone(case):
    x, gamma, beta = _drawn(*case)
    wide = lambda a: np.broadcast_to(a.reshape(-1, *(1,) * (x.ndim - 2)), x.shape[1:]).copy()  # noqa: E731
    one = group_norm_forward(x, 1, gamma, beta)[0]
    assert_same(one, layer_norm_forward(x, wide(gamma), wide(beta))[0])
    each = group_norm_forward(x, x.shape[1], gamma, beta)[0]
    for n in range(len(x)):
        if x[n, 0].size > 1:  # a channel of one example is then a batch of its own
            assert_same(each[n : n + 1], batch_norm_forward(x[n : n + 1], gamma, beta)[0], terms=10)


# ---------------------------------------------------------------- all three


def _all_three(x):
    """Each op on x, with gamma 2 and beta 3, as (y, gradients under ones with a 2)."""
    C = x.shape[1]
    weights = lambda value, *shape: np.full(shape, value, x.dtype)  # noqa: E731
    runs = [
        (BATCH, (x, weights(2, C), weights(3, C))),
        (LAYER, (x, weights(2, *x.shape[1:]), weights(3, *x.shape[1:]))),
        (GROUP, (x, 2, weights(2, C), weights(3, C))),
    ]
    for (forward, backward), args in runs:
        y, cache = forward(*args)
        dy = np.ones_like(y)
        dy.flat[0] = 2
        yield y, backward(dy, cache)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e4, -1e4 / 3])
def test_a_constant_gives_beta_and_finite_gradients(dtype, value):
    """In float32 a mean of many 3333.3 is not 3333.3; taken as it is, what it rounds away would count as variance."""
    for y, gradients in _all_three(np.full((7, 4, 9, 5), value, dtype)):
        assert_same(y, np.full_like(y, 3), tol=4 * np.finfo(dtype).eps)
        assert all(np.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_of_ten_thousand_stay_finite_and_normal(dtype):
    x = np.random.default_rng(0).choice([-1e4, 1e4], size=(6, 4, 3, 3)).astype(dtype)
    for y, gradients in _all_three(x):
        assert 0.5 < y.std() < 3
        assert all(np.isfinite(g).all() for g in gradients)


def test_a_large_mean_costs_no_more_than_its_own_rounding():
    x = (1e4 + np.random.default_rng(1).normal(size=(50, 4, 8, 8))).astype(np.float32)
    for (y, _), (y64, _) in zip(_all_three(x), _all_three(x.astype(np.float64)), strict=True):
        assert_same(y, y64, tol=1e-5)


REFUSED = [
    (lambda x, c: batch_norm_forward(np.ones(3), c, c), r"x must be \(N,C\) or \(N,C,H,W\), got shape \(3,\)"),
    (lambda x, c: batch_norm_forward(x, c[:2], c), r"gamma must have one number a channel, \(4,\), got shape \(2,\)"),
    (lambda x, c: batch_norm_forward(x, c, c, c), r"give mean and var both \(evaluation\) or neither"),
    (lambda x, c: batch_norm_forward(x, c, c, c, -c), r"a variance cannot be negative, but var\[0\] is -1"),
    (lambda x, c: batch_norm_forward(x, c, c, c, c[:1]), r"var must have one number a channel, \(4,\)"),
    (lambda x, c: batch_norm_forward(x, c, c, eps=0), r"eps must be a finite number > 0, got 0"),
    (lambda x, c: batch_norm_forward(x[:0], c, c), r"the statistics of an empty batch are not defined"),
    (lambda x, c: layer_norm_forward(x, c, c), r"gamma must have the shape of one example, \(4, 2\), got \(4,\)"),
    (lambda x, c: layer_norm_forward(x[:, :0], c, c), r"something to take a mean of, got shape \(3, 0, 2\)"),
    (lambda x, c: layer_norm_forward(x, x[0], x[0], -1), r"eps must be a finite number > 0, got -1"),
    (lambda x, c: group_norm_forward(x, 3, c, c), r"groups=3 must divide the channels.*\(3, 4, 2\)"),
    (lambda x, c: group_norm_forward(x, 0, c, c), r"groups must be an int ≥ 1, got 0"),
    (lambda x, c: group_norm_forward(x, 2, c, c[:1]), r"beta must have one number a channel"),
    (lambda x, c: running_update(c, c, 1.5), r"momentum is the weight of the new statistic, 0 to 1, got 1\.5"),
    (lambda x, c: running_update(c, c[:1]), r"running has shape \(4,\), but batch has \(1,\)"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_does_not_fit_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.ones((3, 4, 2)), np.ones(4))
