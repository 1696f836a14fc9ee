"""Softmax: probabilities for any finite logits, blind to what they have in common."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import assert_same
from strategies import score_shapes, seeds

from tinycnn.ops import log_softmax_backward, log_softmax_forward, softmax_backward, softmax_forward

EXTREME = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4], [0.0, 1e4, 1e4]])


def _logits(shape, seed, scale=3.0):
    return np.random.default_rng(seed).normal(size=shape) * scale


def test_softmax_by_hand():
    p, cache = softmax_forward(np.log(np.array([[1.0, 2.0, 5.0]])))
    assert_same(p, np.array([[0.125, 0.25, 0.625]]))
    # dz = p·(dy − Σ dy·p), with Σ dy·p = 0.25 for dy = (0, 1, 0)
    assert_same(softmax_backward(np.array([[0.0, 1.0, 0.0]]), cache), np.array([[-0.03125, 0.1875, -0.15625]]))


def test_extreme_logits_give_finite_probabilities_and_logarithms():
    p, _ = softmax_forward(EXTREME)
    assert_same(p, np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [1 / 3, 1 / 3, 1 / 3], [0, 0.5, 0.5]]))
    y, cache = log_softmax_forward(EXTREME)
    half, third = np.log(0.5), np.log(1 / 3)
    assert_same(y, np.array([[0, -2e4, -1e4], [third] * 3, [third] * 3, [half - 1e4, half, half]]))
    assert np.isfinite(log_softmax_backward(np.ones_like(y), cache)).all()


@given(shape=score_shapes(), seed=seeds)
def test_rows_sum_to_one_and_rows_of_gradients_to_zero(shape, seed):
    z, dy = _logits(shape, seed), _logits(shape, seed + 1)
    p, cache = softmax_forward(z)
    sums = p.sum(axis=1)
    assert_same(sums, np.ones_like(sums))
    dz = softmax_backward(dy, cache)
    assert_same(dz.sum(axis=1), np.zeros_like(sums), terms=abs(dz).sum(axis=1) + abs(p * dy).sum(axis=1))
    _, log_cache = log_softmax_forward(z)
    dz = log_softmax_backward(dy, log_cache)
    assert_same(dz.sum(axis=1), np.zeros_like(sums), terms=abs(dy).sum(axis=1) * 2)


@given(shape=score_shapes(), seed=seeds, shift=st.sampled_from([-1e3, -1.0, 2.0**20, 1e6]))
def test_adding_the_same_to_all_logits_changes_nothing(shape, seed, shift):
    z = np.round(_logits(shape, seed) * 2**10) / 2**10  # exact after the shift, so that only softmax is asked
    shift = np.round(shift)
    assert_same(softmax_forward(z + shift)[0], softmax_forward(z)[0])
    assert_same(log_softmax_forward(z + shift)[0], log_softmax_forward(z)[0])


@given(shape=score_shapes(), seed=seeds)
def test_log_softmax_is_the_logarithm_of_softmax(shape, seed):
    z, dy = _logits(shape, seed), _logits(shape, seed + 1)
    p, cache = softmax_forward(z)
    y, log_cache = log_softmax_forward(z)
    assert_same(np.exp(y), p)
    assert_same(log_softmax_backward(dy, log_cache), softmax_backward(dy / p, cache), terms=abs(dy).sum())


@given(seed=seeds, K=st.integers(1, 5))
def test_backward_is_the_jacobian_diag_p_minus_ppt(seed, K):
    p, cache = softmax_forward(_logits((1, K), seed))
    jacobian = np.diag(p[0]) - np.outer(p[0], p[0])
    columns = np.array([softmax_backward(unit[None], cache)[0] for unit in np.eye(K)])
    assert_same(columns, jacobian, terms=1.0)


def test_classes_lie_along_axis_one_at_every_pixel():
    z = _logits((2, 3, 4, 5), 0)
    assert_same(softmax_forward(z)[0][1, :, 2, 3], softmax_forward(z[1:, :, 2, 3])[0][0])


@pytest.mark.parametrize("forward", [softmax_forward, log_softmax_forward])
@pytest.mark.parametrize("shape", [(3,), (2, 0), ()])
def test_logits_without_classes_are_refused(forward, shape):
    with pytest.raises(ValueError, match=r"z must be \(N,K\) or \(N,K,…\) with at least one class, got shape"):
        forward(np.ones(shape))


@pytest.mark.parametrize("forward", [softmax_forward, log_softmax_forward])
def test_a_nan_logit_spoils_its_own_row_alone(forward):
    y, _ = forward(np.array([[1.0, np.nan], [0.0, 1.0]]))
    assert np.isnan(y[0]).all()
    assert np.isfinite(y[1]).all()
