"""Dropout: what is drawn, what is kept, and that on average nothing changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import assert_gradients, assert_same, inner
from strategies import seeds

from tinycnn.errors import ShapeError
from tinycnn.formula import formulas
from tinycnn.ops import dropout_backward, dropout_forward, dropout_mask

images = st.tuples(*(st.integers(1, 4),) * 4)
probabilities = st.floats(0, 0.9)


def test_by_hand_what_stays_is_rescaled_and_what_goes_gets_no_gradient():
    y, cache = dropout_forward(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, False, False, True]), drop_prob=0.75)
    assert y.tolist() == [4.0, 0.0, 0.0, 16.0]
    assert dropout_backward(np.array([1.0, 1.0, 1.0, -1.0]), cache).tolist() == [4.0, 0.0, 0.0, -4.0]


def test_drop_prob_is_the_probability_of_dropping_not_of_keeping():
    kept = dropout_mask((100_000,), 0.2, np.random.default_rng(0)).mean()
    assert abs(kept - 0.8) < 5 * np.sqrt(0.2 * 0.8 / 100_000)


@pytest.mark.parametrize("per_channel", [False, True])
def test_the_mean_over_many_masks_is_the_input(per_channel):
    rng = np.random.default_rng(1)
    x, drop_prob, draws = rng.normal(size=(2, 3, 2, 2)), 0.4, 20_000
    dropped = lambda: dropout_forward(x, dropout_mask(x.shape, drop_prob, rng, per_channel), drop_prob)[0]  # noqa: E731
    total = sum(dropped() for _ in range(draws))
    deviation = abs(x) * np.sqrt(drop_prob / (1 - drop_prob) / draws)  # of the mean of `draws` rescaled coin tosses
    assert (abs(total / draws - x) < 5 * deviation).all()


def test_the_same_generator_state_draws_the_same_mask_and_the_next_draw_differs():
    one, two = np.random.default_rng(7), np.random.default_rng(7)
    first = dropout_mask((4, 50), 0.5, one)
    assert (first == dropout_mask((4, 50), 0.5, two)).all()
    assert (first != dropout_mask((4, 50), 0.5, one)).any()


@given(shape=images, drop_prob=probabilities, seed=seeds)
def test_the_mask_is_its_formula(shape, drop_prob, seed):
    mask = dropout_mask(shape, drop_prob, np.random.default_rng(seed))
    draw = np.random.default_rng(seed).random(shape)
    assert mask.dtype == bool
    assert (mask == formulas["dropout_mask"].evaluate(draw=draw, drop_prob=drop_prob)).all()


def test_per_channel_a_picture_stays_or_goes_as_a_whole():
    mask = dropout_mask((20, 10, 3, 4), 0.5, np.random.default_rng(2), per_channel=True)
    assert (mask == mask[:, :, :1, :1]).all()
    assert 0.3 < mask[:, :, 0, 0].mean() < 0.7
    mask[0, 0, 0, 0] ^= True  # an array of its own, not a view of one number
    assert (mask[0, 0] != mask[0, 0, 0, 0]).sum() == 11


def test_a_probability_of_zero_changes_nothing():
    x = np.random.default_rng(3).normal(size=(2, 3))
    for per_channel in (False, True):
        mask = dropout_mask(x.shape, 0.0, np.random.default_rng(4), per_channel)
        assert (dropout_forward(x, mask, 0.0)[0] == x).all()


def test_what_is_dropped_is_gone_even_an_infinity():
    mask = np.array([False, True])
    y, cache = dropout_forward(np.array([np.inf, 1.0]), mask, 0.5)
    assert y.tolist() == [0.0, 2.0]
    assert dropout_backward(np.array([np.nan, 1.0]), cache).tolist() == [0.0, 2.0]


@given(shape=images, drop_prob=probabilities, seed=seeds, per_channel=st.booleans())
def test_backward_is_the_transpose_of_forward_and_its_complex_step(shape, drop_prob, seed, per_channel):
    rng = np.random.default_rng(seed)
    x, dy, mask = rng.normal(size=shape), rng.normal(size=shape), dropout_mask(shape, drop_prob, rng, per_channel)
    y, cache = dropout_forward(x, mask, drop_prob)
    dx = dropout_backward(dy, cache)
    assert_same(inner(y, dy), inner(x, dx), terms=inner(abs(x), abs(dx)))
    assert_gradients(dropout_forward, dropout_backward, x, mask, drop_prob)


@pytest.mark.parametrize("bad", [1.0, -0.1, 1.5])
def test_a_probability_outside_zero_to_one_is_refused(bad):
    message = rf"drop_prob is the probability of dropping, 0 ≤ drop_prob < 1, got {bad}"
    with pytest.raises(ValueError, match=message):
        dropout_mask((2, 3), bad, np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        dropout_forward(np.ones(2), np.ones(2, bool), bad)


@pytest.mark.parametrize("bad", [np.nan, "0.5", None])
def test_a_probability_that_is_no_number_is_refused(bad):
    with pytest.raises(ValueError, match="drop_prob must be a finite number, got"):
        dropout_mask((2, 3), bad, np.random.default_rng(0))


def test_what_does_not_fit_is_refused_with_what_was_expected():
    rng = np.random.default_rng(0)
    with pytest.raises(TypeError, match=r"rng must be a NumPy generator, such as .*, got int"):
        dropout_mask((2, 3), 0.5, 0)
    with pytest.raises(ShapeError, match=r"to drop channels, the shape must be \(N,C,…\), got \(3,\)"):
        dropout_mask((3,), 0.5, rng, per_channel=True)
    with pytest.raises(TypeError, match="mask must be an array of bool, got float64"):
        dropout_forward(np.ones(2), np.ones(2), 0.5)
    with pytest.raises(TypeError, match="mask must be an array of bool, got list"):
        dropout_forward(np.ones(2), [True, False], 0.5)
    with pytest.raises(ShapeError, match=r"mask must have the shape of x, \(2, 3\), got \(3,\)"):
        dropout_forward(np.ones((2, 3)), np.ones(3, bool), 0.5)  # would broadcast


@pytest.mark.torch
@given(shape=images, drop_prob=st.floats(0.05, 0.9), seed=seeds)
def test_pytorch_gives_the_same_under_its_own_mask(shape, drop_prob, seed):
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x, dy = rng.uniform(1, 2, size=shape), rng.normal(size=shape)
    t = torch.tensor(x, requires_grad=True)
    theirs = torch.nn.functional.dropout(t, drop_prob)
    theirs.backward(torch.tensor(dy))
    y, cache = dropout_forward(x, theirs.detach().numpy() != 0, drop_prob)
    assert_same(y, theirs.detach().numpy())
    assert_same(dropout_backward(dy, cache), t.grad.numpy())
