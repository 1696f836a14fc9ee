"""Losses: worked by hand, finite at the extremes, and clear about wrong labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from oracles import assert_same
from strategies import score_shapes, seeds

from tinycnn.errors import ShapeError
from tinycnn.ops import (
    categorical_crossentropy_backward,
    categorical_crossentropy_forward,
    cross_entropy_backward,
    cross_entropy_forward,
    log_softmax_backward,
    log_softmax_forward,
    mse_backward,
    mse_forward,
    softmax_backward,
    softmax_forward,
)
from tinycnn.ops.loss import targets

LOG2 = np.log(2.0)
both = pytest.mark.parametrize("forward", [cross_entropy_forward, categorical_crossentropy_forward])


def _scores(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def _labels(shape, seed=0):
    return np.random.default_rng([seed, 2]).integers(0, shape[1], size=(shape[0], *shape[2:]))


def _one_hot(labels, K):
    return np.moveaxis(np.eye(K)[labels], -1, 1)


def _uniform(*shape):
    return np.full(shape, 1 / shape[1])


def test_cross_entropy_by_hand():
    z = np.log(np.array([[1.0, 3.0], [1.0, 1.0]]))
    loss, cache = cross_entropy_forward(z, np.array([1, 0]))
    assert_same(loss, (np.log(4 / 3) + LOG2) / 2)
    assert_same(cross_entropy_backward(2.0, cache), np.array([[0.25, -0.25], [-0.5, 0.5]]))  # p − t, times 2/2


def test_categorical_crossentropy_by_hand():
    p = np.array([[0.25, 0.75], [0.5, 0.5]])
    loss, cache = categorical_crossentropy_forward(p, np.array([1, 0]))
    assert_same(loss, (np.log(4 / 3) + LOG2) / 2)
    assert_same(categorical_crossentropy_backward(2.0, cache), np.array([[0, -4 / 3], [-2, 0]]))  # −t/p, times 2/2


def test_mean_squared_error_by_hand():
    loss, cache = mse_forward(np.array([[1.0, 2.0], [0.0, 4.0]]), np.array([[1.0, 0.0], [3.0, 4.0]]))
    assert loss == (4 + 9) / 4
    assert mse_backward(2.0, cache).tolist() == [[0.0, 2.0], [-3.0, 0.0]]


@given(shape=score_shapes(), seed=seeds)
def test_the_gradient_through_softmax_is_p_minus_t_over_the_rows(shape, seed):
    z, labels = _scores(shape, seed), _labels(shape, seed)
    p, softmax_cache = softmax_forward(z)
    expected = (p - _one_hot(labels, shape[1])) / labels.size
    loss, cache = cross_entropy_forward(z, labels)
    assert_same(cross_entropy_backward(1.0, cache), expected)
    loss2, cache2 = categorical_crossentropy_forward(p, labels)
    assert_same(softmax_backward(categorical_crossentropy_backward(1.0, cache2), softmax_cache), expected)
    assert_same(loss, loss2)


@given(shape=score_shapes(), seed=seeds)
def test_cross_entropy_is_the_mean_of_minus_log_softmax_at_the_label(shape, seed):
    z, labels = _scores(shape, seed), _labels(shape, seed)
    logp, log_cache = log_softmax_forward(z)
    loss, cache = cross_entropy_forward(z, labels)
    assert_same(loss, -np.take_along_axis(logp, labels[:, None], axis=1).mean())
    dlogp = -_one_hot(labels, shape[1]) / labels.size
    assert_same(cross_entropy_backward(1.0, cache), log_softmax_backward(dlogp, log_cache), terms=1 / labels.size)


@both
@given(shape=score_shapes(), seed=seeds)
def test_labels_and_their_one_hot_rows_say_the_same(forward, shape, seed):
    p, labels = softmax_forward(_scores(shape, seed))[0], _labels(shape, seed)
    expected = forward(p, labels)[0]
    for t in (_one_hot(labels, shape[1]), _one_hot(labels, shape[1]).astype(int), _one_hot(labels, shape[1]) == 1,
              labels.astype(np.uint8), labels.astype(">i4"), labels.tolist()):  # fmt: skip
        assert forward(p, t)[0] == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_give_a_finite_loss_and_gradient(dtype):
    z = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, 1e4]], dtype=dtype)
    loss, cache = cross_entropy_forward(z, np.array([1, 1, 0]))
    assert_same(loss, dtype((2e4 + 0 + LOG2) / 3), tol=1e-6)
    assert_same(cross_entropy_backward(3.0, cache), np.array([[1, -1], [0, 0], [-0.5, 0.5]], dtype), tol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_of_zero_and_one_give_a_finite_loss_and_gradient(dtype):
    p = np.array([[0.0, 1.0], [1.0, 0.0]], dtype=dtype)
    loss, cache = categorical_crossentropy_forward(p, np.array([1, 1]))
    assert_same(loss, -np.log(np.finfo(dtype).tiny) / 2, tol=1e-6)
    dp = categorical_crossentropy_backward(dtype(1), cache)
    assert dp.tolist() == [[0.0, -0.5], [0.0, 0.0]]  # where p was too small to count, no gradient


def test_a_nan_score_gives_a_nan_loss():
    assert np.isnan(cross_entropy_forward(np.array([[np.nan, 1.0]]), np.array([0]))[0])
    assert np.isnan(categorical_crossentropy_forward(np.array([[np.nan, 1.0]]), np.array([0]))[0])
    assert np.isnan(mse_forward(np.array([np.nan]), np.array([1.0]))[0])


@both
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, -1, 2], r"label -1 at position 1 is no class: with K = 3 they are 0 to 2"),
        ([0, 1, 3], r"label 3 at position 2 is no class: with K = 3 they are 0 to 2"),
        ([255, 1, 0], r"label 255 at position 0 is no class"),
    ],
)
def test_a_label_that_is_no_class_is_named_with_its_place(forward, labels, message):
    with pytest.raises(ValueError, match=message):
        forward(_uniform(3, 3), np.array(labels))


@both
def test_a_label_that_is_no_class_is_named_with_its_pixel(forward):
    labels = np.zeros((2, 2, 4), dtype=int)
    labels[1, 0, 3] = 7
    with pytest.raises(ValueError, match=r"label 7 at position \(1, 0, 3\) is no class: with K = 3"):
        forward(_uniform(2, 3, 2, 4), labels)


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.bool_, object, str])
def test_labels_that_are_no_integers_are_refused(forward, dtype):
    with pytest.raises(TypeError, match=r"labels must be integers, got .*at position 0; convert.*astype\(np.int64\)"):
        forward(_uniform(3, 4), np.array([1, 0, 1]).astype(dtype))


def test_a_float_label_is_named():
    with pytest.raises(TypeError, match=r"float64, np.float64\(1.5\) at position 0"):
        cross_entropy_forward(_uniform(2, 4), np.array([1.5, 2.0]))


@both
@pytest.mark.parametrize("shape", [(4,), (4, 1), (3, 5), (2, 4), (3, 4, 1), ()])
def test_targets_of_another_shape_are_refused_with_both_shapes(forward, shape):
    with pytest.raises(ShapeError, match=r"of shape \(3, 4\) are integers of shape \(3,\) or one-hot .*\(3, 4\)"):
        forward(_uniform(3, 4), np.zeros(shape, dtype=int))


@both
def test_a_column_of_labels_counts_as_labels(forward):
    p, t = _uniform(3, 4), np.array([2, 0, 3])
    assert forward(p, t[:, None])[0] == forward(p, t)[0]


@both
def test_a_one_hot_row_with_a_negative_part_is_refused(forward):
    with pytest.raises(ValueError, match=r"one-hot rows hold parts of 1, but t\[0, 1\] is -1"):
        forward(_uniform(1, 3), np.array([[2.0, -1.0, 0.0]]))


@both
def test_a_one_hot_row_that_does_not_sum_to_one_is_named(forward):
    t = _one_hot(np.array([0, 2, 1]), 3)
    t[1] = [0.5, 0.25, 0.5]
    with pytest.raises(ValueError, match=r"one-hot row must sum to 1, but the one at \(1,\) sums to 1\.25"):
        forward(_uniform(3, 3), t)
    pixels = _one_hot(np.zeros((2, 2, 2), int), 3)
    pixels[0, :, 1, 0] = 0
    with pytest.raises(ValueError, match=r"the one at \(0, 1, 0\) sums to 0"):
        forward(_uniform(2, 3, 2, 2), pixels)


@both
def test_one_hot_rows_with_a_nan_are_refused(forward):
    t = np.array([[0.0, 1.0], [np.nan, 1.0]])
    with pytest.raises(ValueError, match=r"at \(1,\) sums to nan"):
        forward(_uniform(2, 2), t)


def test_logits_given_as_probabilities_are_recognised():
    with pytest.raises(ValueError, match=r"between 0 and 1, but p\[1, 0\] is 3; are these logits\?"):
        categorical_crossentropy_forward(np.array([[0.5, 0.5], [3.0, 0.2]]), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"p\[0, 1\] is -0\.5; are these logits"):
        categorical_crossentropy_forward(np.array([[0.5, -0.5]]), np.array([0]))


def test_mean_squared_error_never_broadcasts_and_keeps_its_dtype():
    with pytest.raises(ShapeError, match=r"targets must have the shape of the output, \(3, 1\), got \(3,\)"):
        mse_forward(np.ones((3, 1)), np.ones(3))
    x = np.ones((2, 3), np.float32)
    for t in (np.zeros((2, 3)), np.zeros((2, 3), np.float32)):
        loss, cache = mse_forward(x, t)
        assert loss.dtype == mse_backward(1.0, cache).dtype == np.float32
    with pytest.raises(TypeError, match="t must hold float32 or float64"):
        mse_forward(x, np.zeros((2, 3), int))
    with pytest.raises(TypeError, match="t must be a NumPy array"):
        mse_forward(x, [[0.0] * 3] * 2)


@both
def test_a_batch_of_none_has_no_mean(forward):
    with pytest.raises(ValueError, match=r"a mean over an empty batch is not defined: shape \(0, 3\)"):
        forward(np.ones((0, 3)), np.ones(0, int))
    with pytest.raises(ValueError, match="empty batch"):
        mse_forward(np.ones((0, 3)), np.ones((0, 3)))


def test_a_column_is_labels_for_two_classes_and_rows_for_one():
    assert targets(np.array([[0], [1]]), (2, 2)).tolist() == [[1, 0], [0, 1]]
    assert targets(np.array([[1], [1]]), (2, 1)).tolist() == [[1], [1]]  # one-hot rows of a single class


@pytest.mark.parametrize(("off", "fine"), [(9e-4, True), (2e-3, False)])
def test_a_row_may_miss_one_by_its_rounding_and_no_more(off, fine):
    row = np.array([[0.25, 0.75 + off]])
    if fine:
        assert targets(row, (1, 2)) is not None
        return
    with pytest.raises(ValueError, match=r"^each one-hot row must sum to 1, but the one at \(0,\) sums to 1\.002$"):
        targets(row, (1, 2))


def test_targets_of_another_shape_or_kind_are_refused_in_full():
    with pytest.raises(ShapeError) as found:
        targets(np.zeros((2, 3)), (2, 4))
    assert str(found.value) == (
        "targets for scores of shape (2, 4) are integers of shape (2,) or one-hot rows of shape (2, 4), "
        "got shape (2, 3)"
    )
    with pytest.raises(TypeError, match=r"^one-hot targets must be numbers, got <U1$"):
        targets(np.array([["a", "b"]]), (1, 2))


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, np.nan])
def test_a_label_smoothing_that_leaves_nothing_is_refused(smoothing):
    with pytest.raises(ValueError, match="label_smoothing must be ≥ 0 and < 1"):
        cross_entropy_forward(np.zeros((1, 3)), np.array([0]), label_smoothing=smoothing)
