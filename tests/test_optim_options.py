"""What every optimizer takes beside its own options: groups, clipping, decay; and a state that can be saved."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import compiled, digits

from tinycnn.formula import formulas
from tinycnn.optim import GD, SGD, AdaGrad, Adam, AdamW, Momentum, RMSProp, clip_norm, clip_value
from tinycnn.verify.optimizer_cases import CASES, SHAPES, VARIED, random_grads, random_params

every_variation = pytest.mark.parametrize("name", sorted(VARIED))


def stepped(optimizer, steps=5, params=None):
    """Weights after some steps."""
    params = random_params() if params is None else params
    for grads in random_grads(steps):
        optimizer.step(params, grads)
    return params


def assert_bits(a, b, keys=tuple(SHAPES)):
    """The very same weights."""
    for key in keys:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


# --------------------------------------------------------------------------- groups


def test_a_group_steps_by_its_options_and_the_rest_by_the_optimizers():
    grouped = stepped(SGD(0.1, groups={"conv1.*": {"lr": 0.01}}))
    assert_bits(grouped, stepped(SGD(0.01)), ["conv1.w", "conv1.b"])
    assert_bits(grouped, stepped(SGD(0.1)), ["dense1.w"])


def test_of_groups_that_match_the_first_counts_and_only_that():
    groups = {"*.b": {"lr": 0.5}, "conv1.*": {"lr": 0.01, "weight_decay": 0.3}}
    grouped = stepped(SGD(0.1, groups=groups))
    assert_bits(grouped, stepped(SGD(0.5)), ["conv1.b"])
    assert_bits(grouped, stepped(SGD(0.01, weight_decay=0.3)), ["conv1.w"])
    assert_bits(grouped, stepped(SGD(0.1)), ["dense1.w"])


def test_a_group_may_have_no_decay_where_the_rest_has_some():
    for kind in (Momentum, Adam, AdamW):
        grouped = stepped(kind(0.1, weight_decay=0.2, groups={"*.b": {"weight_decay": 0.0}}))
        assert_bits(grouped, stepped(kind(0.1, weight_decay=0.0)), ["conv1.b"])
        assert_bits(grouped, stepped(kind(0.1, weight_decay=0.2)), ["conv1.w", "dense1.w"])


def test_patterns_are_of_whole_paths_and_mind_capitals():
    optimizer = SGD(0.1, groups={"b": {"lr": 1.0}, "CONV1.w": {"lr": 2.0}, "dense?.[wb]": {"lr": 3.0}})
    assert {key: optimizer.options_of(key)["lr"] for key in SHAPES} == {
        "conv1.w": 0.1, "conv1.b": 0.1, "dense1.w": 3.0,
    }  # fmt: skip


@pytest.mark.parametrize(("outer", "inner"), [(0.0, 0.9), (0.9, 0.0), (0.5, 0.7)])
def test_a_group_may_have_a_momentum_of_its_own(outer, inner):
    grouped = stepped(SGD(0.01, momentum=outer, groups={"conv1.*": {"momentum": inner}}))
    assert_bits(grouped, stepped(SGD(0.01, momentum=inner)), ["conv1.w", "conv1.b"])
    assert_bits(grouped, stepped(SGD(0.01, momentum=outer)), ["dense1.w"])


def test_a_group_may_be_nesterovs_where_the_rest_is_not():
    grouped = stepped(SGD(0.01, momentum=0.9, groups={"*.w": {"nesterov": True}}))
    assert_bits(grouped, stepped(SGD(0.01, momentum=0.9, nesterov=True)), ["conv1.w", "dense1.w"])
    assert_bits(grouped, stepped(SGD(0.01, momentum=0.9)), ["conv1.b"])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SGD(groups={"*.b": {"rate": 1.0}}), "group '*.b': SGD has no option 'rate'"),
        (lambda: SGD(groups={"*.b": {"beta1": 0.9}}), "group '*.b': SGD has no option 'beta1'"),
        (lambda: Adam(groups={"*": {"clip_norm": 1.0}}), "group '*': Adam has no option 'clip_norm'"),
        (lambda: Adam(groups={"*": {"lr": -1.0}}), "group '*': lr must be ≥ 0, got -1.0"),
        (lambda: Adam(groups={"*": {"beta2": 1.0}}), "group '*': beta2 must be ≥ 0 and < 1, got 1.0"),
        (lambda: AdaGrad(groups={"*": {"eps": 0.0}}), "group '*': eps must be a finite number > 0, got 0.0"),
        (lambda: RMSProp(groups={"*": {"alpha": "a"}}), "group '*': alpha must be a number, got 'a'"),
        (lambda: GD(groups={"*": {"weight_decay": -1}}), "group '*': weight_decay must be ≥ 0, got -1"),
        (lambda: SGD(groups={"*": {"nesterov": True}}), "group '*': nesterov=True needs a momentum above 0"),
    ],
)
def test_a_groups_bad_option_is_refused_with_the_group_and_the_value(make, said):
    with pytest.raises(ValueError, match=r".") as caught:
        make()
    assert said in str(caught.value)


# --------------------------------------------------------------------------- state


@every_variation
def test_training_goes_on_from_a_saved_state_to_the_same_bits(name):
    grads = random_grads(12)
    once, optimizer = random_params(), VARIED[name].make()
    for step in grads[:7]:
        optimizer.step(once, step)
    saved, twice, other = optimizer.state_dict(), copy.deepcopy(once), VARIED[name].make()
    other.load_state_dict(saved)
    for step in grads[7:]:
        optimizer.step(once, step)
        other.step(twice, step)
    assert_bits(once, twice)
    assert (saved["steps"], other.steps) == (7, 12)


def test_a_saved_state_is_a_copy_and_so_is_a_loaded_one():
    optimizer, params = Momentum(), random_params()
    stepped(optimizer, params=params)
    saved = optimizer.state_dict()
    kept = copy.deepcopy(saved)
    other = Momentum()
    other.load_state_dict(saved)
    stepped(optimizer, params=params)
    stepped(other, params=params)
    for key in SHAPES:
        np.testing.assert_array_equal(saved["state"][key]["v"], kept["state"][key]["v"])


@pytest.mark.parametrize("name", ["Adam", "SGD", "RMSProp"])
def test_another_optimizers_state_is_refused_by_name(name):
    optimizer = CASES["AdamW"].make()
    stepped(optimizer)
    other = CASES[name].make()
    with pytest.raises(ValueError, match=f"this state is of 'adamw', and the optimizer is '{other.name}'"):
        other.load_state_dict(optimizer.state_dict())
    assert (other.steps, other.state) == (0, {})


def test_the_state_of_an_sgd_with_momentum_does_not_fit_one_without():
    optimizer = SGD(0.1, momentum=0.9)
    stepped(optimizer)
    with pytest.raises(ValueError, match=r"the state of conv1.w has \['v'\], and SGD\(lr=0.1, .* remembers \[\]"):
        SGD(0.1).load_state_dict(optimizer.state_dict())


# --------------------------------------------------------------------------- clipping and decay

vectors = st.tuples(st.integers(1, 6), st.integers(0, 10**6))


@given(vector=vectors, limit=st.one_of(st.just(0.0), st.floats(1e-3, 5)))
def test_clipping_is_its_formula(vector, limit):
    n, seed = vector
    dw = 3 * np.random.default_rng(seed).normal(size=n)
    norm = math.sqrt((dw * dw).sum())
    np.testing.assert_array_equal(clip_value(dw, limit), formulas["clip_value"].evaluate(dw=dw, limit=limit))
    literal = formulas["clip_norm"].evaluate(dw=dw, norm=norm, limit=limit)
    np.testing.assert_allclose(clip_norm(dw, norm, limit), literal, rtol=1e-15)
    assert (abs(clip_value(dw, limit)) <= limit).all()
    assert np.linalg.norm(clip_norm(dw, norm, limit)) <= limit * (1 + 1e-12)


def test_short_gradients_are_not_clipped_and_long_ones_keep_their_direction():
    dw = np.array([3.0, -4.0])
    np.testing.assert_array_equal(clip_norm(dw, 5.0, 6.0), dw)
    np.testing.assert_array_equal(clip_value(dw, 4.0), dw)
    np.testing.assert_allclose(clip_norm(dw, 5.0, 1.0), dw / 5, rtol=1e-6)


def test_the_norm_is_that_of_all_gradients_together():
    params = {"a": np.zeros(1), "b": np.zeros(1)}
    SGD(1.0, clip_norm=1.0).step(params, {"a": np.array([3.0]), "b": np.array([4.0])})
    np.testing.assert_allclose([params["a"][0], params["b"][0]], [-0.6, -0.8], rtol=1e-6)


def test_clipped_by_value_first_the_norm_is_of_what_is_left():
    params = {"a": np.zeros(1), "b": np.zeros(1)}
    SGD(1.0, clip_value=1.0, clip_norm=5.0).step(params, {"a": np.array([300.0]), "b": np.array([0.5])})
    np.testing.assert_array_equal([params["a"][0], params["b"][0]], [-1.0, -0.5])


def test_what_is_clipped_is_the_gradient_and_not_the_decay():
    params = {"w": np.array([10.0])}
    SGD(1.0, weight_decay=0.1, clip_value=0.5).step(params, {"w": np.array([2.0])})
    assert params["w"][0] == 10 - (0.5 + 1.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weight_decay": -0.1}, "weight_decay must be ≥ 0, got -0.1"),
        ({"clip_norm": math.nan}, "clip_norm must be ≥ 0, got nan"),
        ({"clip_value": -1.0}, "clip_value must be ≥ 0, got -1.0"),
        ({"clip_value": "1"}, "clip_value must be a number, got '1'"),
    ],
)
@pytest.mark.parametrize("kind", [GD, SGD, AdaGrad, Adam, AdamW])
def test_a_bad_common_option_is_refused_with_its_value(kind, options, said):
    with pytest.raises(ValueError, match=said):
        kind(**options)


@pytest.mark.parametrize("kind", [GD, SGD, AdaGrad, Adam, AdamW])
def test_an_unknown_option_is_refused_by_name(kind):
    with pytest.raises(TypeError, match="unexpected keyword argument 'decay'"):
        kind(decay=0.1)


def test_a_networks_weights_are_grouped_by_their_paths():
    x, y = digits(16)
    frozen = Adam(0.01, groups={"conv1.*": {"lr": 0.0}})
    model = compiled(optimizer=frozen)
    before = {key: w.copy() for key, w in model.named_params().items()}
    model.fit(x, y, verbose=0)
    moved = {key: not np.array_equal(w, before[key]) for key, w in model.named_params().items()}
    assert moved == {"conv1.w": False, "conv1.b": False, "dense1.w": True, "dense1.b": True}
