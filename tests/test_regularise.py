"""Penalties on the weights: their formulas, their gradients, and what they do in training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_cases import spaced
from networks import compiled, digits, weights

from tinycnn.formula import formulas
from tinycnn.optim import L1, L2, SGD, Adam, l1_penalty, l2_penalty

PENALTIES = {"l1_penalty": l1_penalty, "l2_penalty": l2_penalty}
every_penalty = pytest.mark.parametrize("name", PENALTIES)
X, Y = digits(32)


def regularised(regularizer, optimizer="sgd"):
    """A small network for the digits that pays for its weights."""
    model = compiled(optimizer=optimizer)
    model.compile(optimizer=optimizer, loss="cross_entropy", metrics=["accuracy"], regularizer=regularizer)
    return model


def test_penalties_by_hand():
    w = np.array([[3.0, -1.0], [0.0, 2.0]])
    R, dw = l1_penalty(w, 0.5)
    assert (R, dw.tolist()) == (3.0, [[0.5, -0.5], [0.0, 0.5]])
    R, dw = l2_penalty(w, 0.5)
    assert (R, dw.tolist()) == (7.0, [[3.0, -1.0], [0.0, 2.0]])


@every_penalty
@given(shape=st.lists(st.integers(0, 4), min_size=1, max_size=4), strength=st.floats(0, 3), seed=st.integers(0, 999))
def test_a_penalty_is_its_formula(name, shape, strength, seed):
    w = np.random.default_rng(seed).normal(size=shape)
    literal = formulas[name].evaluate(w=w, strength=strength)
    R, dw = PENALTIES[name](w, strength)
    np.testing.assert_allclose(R, literal.R, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(dw, literal.dw, rtol=1e-15)


@every_penalty
def test_the_pull_is_the_penaltys_gradient_by_complex_step_through_its_formula(name):
    """By the formula, not the code: |w| of a complex number is its length, which has no such derivative."""
    w, strength = spaced((3, 4)), 0.7
    _, dw = PENALTIES[name](w, strength)
    for at in np.ndindex(w.shape):
        stepped = w.astype(complex)
        stepped[at] += 1e-30j
        slope = formulas[name].evaluate(w=stepped, strength=strength).R.imag / 1e-30
        assert abs(slope - dw[at]) <= 1e-12 * abs(dw).max()


@pytest.mark.parametrize("regularizer", [L1(0.01), L2(0.01)])
def test_the_loss_of_evaluate_and_of_training_includes_the_penalty(regularizer):
    plain, paying = compiled(optimizer=SGD(0.0)), regularised(regularizer, SGD(0.0))
    w = [w.astype(np.float64) for key, w in paying.named_params().items() if key.endswith(".w")]
    price = sum(regularizer.penalty(a, regularizer.strength)[0] for a in w)
    assert price > 0.1
    bare = plain.evaluate(X, Y)
    assert paying.evaluate(X, Y).loss == pytest.approx(bare.loss + price, rel=1e-5)
    assert paying.evaluate(X, Y)["accuracy"] == bare["accuracy"]
    history = paying.fit(X, Y, batch_size=5, validation_data=(X[:7], Y[:7]), verbose=0)
    assert history["loss"][0] == pytest.approx(bare.loss + price, rel=1e-5)
    assert history["val_loss"][0] == pytest.approx(plain.evaluate(X[:7], Y[:7]).loss + price, rel=1e-5)


@pytest.mark.parametrize("regularizer", [L1(0.05), L2(0.05)])
def test_training_with_a_penalty_ends_with_smaller_weights(regularizer):
    size = lambda model: sum(float(regularizer.penalty(w, 1.0)[0]) for k, w in weights(model).items() if k[-1] == "w")  # noqa: E731
    models = regularised(None, Adam(0.01)), regularised(regularizer, Adam(0.01))
    start = size(models[0])
    for model in models:
        model.fit(X, Y, epochs=30, verbose=0)
    assert size(models[1]) < 0.5 * size(models[0])
    assert size(models[1]) < start
    assert models[1].evaluate(X, Y)["accuracy"] > 0.5


def test_l1_brings_many_weights_to_almost_zero_where_l2_leaves_them_small():
    small = {}
    for regularizer in (L1(0.02), L2(0.02)):
        model = regularised(regularizer, "adam")
        model.fit(X, Y, epochs=60, verbose=0)
        w = model.named_params()["dense1.w"]
        small[type(regularizer)] = float((abs(w) < 0.02 * abs(w).max()).mean())
    assert small[L1] > 2 * small[L2]


def test_biases_are_left_alone_and_an_l2_penalty_is_half_its_decay():
    paying = regularised(L2(0.05), SGD(0.1))
    decayed = compiled(optimizer=SGD(0.1, groups={"*.w": {"weight_decay": 0.1}}))
    for model in (paying, decayed):
        model.fit(X, Y, epochs=2, verbose=0)
    for key, w in paying.named_params().items():
        np.testing.assert_allclose(w, decayed.named_params()[key], rtol=1e-4, atol=1e-6)
    value, pulls = paying.penalty()
    assert value > 0
    assert set(pulls) == {"conv1.w", "dense1.w"}


@pytest.mark.parametrize("kind", [L1, L2])
@pytest.mark.parametrize("strength", [-0.1, np.nan, "0.1", None])
def test_a_bad_strength_is_refused_with_its_value(kind, strength):
    with pytest.raises(ValueError, match=f"strength must be .*, got {strength!r}"):
        kind(strength)


@pytest.mark.parametrize("wrong", ["l2", 0.01, L2])
def test_what_is_no_regulariser_is_refused(wrong):
    with pytest.raises(TypeError, match=r"regularizer must be tinycnn\.optim\.L1"):
        regularised(wrong)
