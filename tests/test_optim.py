"""Each optimizer is its formula, follows PyTorch step for step, and finds the bottom of a bowl."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from torch_optim import torch_trajectory

import tinycnn as tc
from tinycnn import optim
from tinycnn.optim import (
    GD,
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    Momentum,
    Nesterov,
    Optimizer,
    RMSProp,
    optimizer_named,
)
from tinycnn.verify.optimizer_cases import (
    CASES,
    RECORDED_STEPS,
    SHAPES,
    VARIED,
    end_to_end,
    literal_trajectory,
    random_grads,
    random_params,
)

GOLDEN = Path(tc.__file__).parent / "verify" / "golden" / "torch_optim.npz"
every_optimizer = pytest.mark.parametrize("name", sorted(CASES))
every_variation = pytest.mark.parametrize("name", sorted(VARIED))


def assert_weights(ours, theirs, rtol=1e-12, atol=1e-13):
    """Weight by weight the same."""
    for key in SHAPES:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=rtol, atol=atol, err_msg=key)


def test_every_optimizer_has_a_case():
    assert {case.kind for case in CASES.values()} == set(OPTIMIZERS.values())


@every_variation
def test_twenty_steps_are_the_formula_stepped_literally(name):
    case, grads = VARIED[name], random_grads(20)
    optimizer, params = case.make(), random_params()
    stepped = list(literal_trajectory(case, random_params(), grads))
    for step, (literal, _) in zip(grads, stepped, strict=True):
        optimizer.step(params, step)
        assert_weights(params, literal, rtol=4e-14, atol=1e-15)
    _, remembered = stepped[-1]
    for key, slots in optimizer.state.items():
        assert set(slots) == set(remembered[key])
        for slot, value in slots.items():
            np.testing.assert_allclose(value, remembered[key][slot], rtol=4e-14, atol=1e-15)


@pytest.mark.torch
@every_variation
def test_a_hundred_steps_are_pytorchs(name):
    pytest.importorskip("torch")
    ours, optimizer, grads = random_params(), VARIED[name].make(), random_grads(100)
    for step, theirs in zip(grads, torch_trajectory(VARIED[name], random_params(), grads), strict=True):
        optimizer.step(ours, step)
        assert_weights(ours, theirs)


@pytest.fixture(scope="module")
def recorded():
    with np.load(GOLDEN) as table:
        return dict(table)


@every_variation
def test_a_hundred_steps_are_what_pytorch_recorded(name, recorded):
    ours, optimizer = {key: recorded[f"start/{key}"].astype(np.float64) for key in SHAPES}, VARIED[name].make()
    for t in range(1, 101):
        optimizer.step(ours, {key: recorded[f"grads/{key}"][t - 1].astype(np.float64) for key in SHAPES})
        if t in RECORDED_STEPS:
            theirs = recorded[name][RECORDED_STEPS.index(t)]
            np.testing.assert_allclose(end_to_end(ours), theirs, rtol=1e-12, atol=1e-13)


def test_the_record_is_whole_and_small(recorded):
    assert set(recorded) == set(VARIED) | {f"{what}/{key}" for what in ("start", "grads") for key in SHAPES}
    assert GOLDEN.stat().st_size < 40_000


SLOW = ("AdaDelta", "AdaDelta, other options")


@pytest.mark.parametrize("name", [name for name in sorted(CASES) if "AdamW" not in name])
def test_it_finds_the_bottom_of_a_bowl(name):
    """L = ½ (w − c)ᵀ A (w − c): its gradient is A (w − c), its bottom c. Some go on trembling by their rate."""
    rng = np.random.default_rng(2)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    A, c = turn @ np.diag([0.5, 1.0, 3.0]) @ turn.T, rng.normal(size=3)
    params, optimizer = {"w": c + rng.normal(size=3)}, CASES[name].make()
    before = np.linalg.norm(params["w"] - c)
    for _ in range(3000):
        optimizer.step(params, {"w": A @ (params["w"] - c)})
    near = optimizer.lr if isinstance(optimizer, (Adam, RMSProp)) else before if name in SLOW else 1e-6 * before
    assert np.linalg.norm(params["w"] - c) < near


def test_adamw_without_decay_is_adam_and_with_it_finds_a_bottom_nearer_to_zero():
    ends = {}
    for optimizer in (Adam(0.01), AdamW(0.01, weight_decay=0.0), AdamW(0.01, weight_decay=0.5)):
        params = {"w": np.array([3.0])}
        for _ in range(2000):
            optimizer.step(params, {"w": params["w"] - 2.0})
        ends[repr(optimizer)] = params["w"][0]
    adam, plain, decayed = ends.values()
    assert adam == plain == pytest.approx(2.0, abs=1e-3)
    assert 0 < decayed < 1.999


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_writes_into_the_arrays_it_is_given_and_reads_the_gradients_only(name, dtype):
    params = {key: w.astype(dtype) for key, w in random_params().items()}
    arrays, before = dict(params), {key: w.copy() for key, w in params.items()}
    (grads,) = random_grads(1)
    grads = {key: g.astype(dtype) for key, g in grads.items()}
    kept = {key: g.copy() for key, g in grads.items()}
    CASES[name].make().step(params, grads)
    for key in SHAPES:
        assert params[key] is arrays[key]
        assert params[key].dtype == dtype
        assert not np.array_equal(params[key], before[key])
        np.testing.assert_array_equal(grads[key], kept[key])


@every_optimizer
def test_state_does_not_share_memory_with_weights_or_gradients(name):
    optimizer, params, (grads, _) = CASES[name].make(), random_params(), random_grads(2)
    optimizer.step(params, grads)
    for key, slots in optimizer.state.items():
        for value in slots.values():
            assert not np.shares_memory(value, params[key])
            assert not np.shares_memory(value, grads[key])


def test_each_weight_has_a_state_of_its_own():
    optimizer, params = Momentum(), {"a": np.zeros(2), "b": np.zeros(2)}
    optimizer.step(params, {"a": np.array([1.0, -2.0]), "b": np.array([0.5, 0.25])})
    np.testing.assert_array_equal(optimizer.state["a"]["v"], [1.0, -2.0])
    np.testing.assert_array_equal(optimizer.state["b"]["v"], [0.5, 0.25])


def test_adams_first_step_has_the_length_of_the_rate_whatever_the_gradients_size():
    for size in (1e-4, 1.0, 1e6):
        params = {"w": np.zeros(1)}
        Adam(0.25).step(params, {"w": np.array([-size])})
        assert params["w"][0] == pytest.approx(0.25, rel=1e-3)


def test_a_momentum_of_zero_is_plain_sgd():
    plain, still = random_params(), random_params()
    a, b = SGD(0.1), SGD(0.1, momentum=0.0)
    for grads in random_grads(3):
        a.step(plain, grads)
        b.step(still, grads)
    for key in SHAPES:
        np.testing.assert_array_equal(plain[key], still[key])


@every_optimizer
def test_its_config_makes_an_equal_optimizer(name):
    optimizer = CASES[name].make()
    twin = type(optimizer)(**optimizer.config())
    assert twin.config() == optimizer.config()
    assert eval(repr(optimizer), vars(optim)).config() == optimizer.config()


def test_names_stand_for_optimizers_and_an_object_for_itself():
    for name, kind in OPTIMIZERS.items():
        assert type(optimizer_named(name)) is kind
    mine = SGD(0.5)
    assert optimizer_named(mine) is mine
    with pytest.raises(ValueError, match="no optimizer 'adm'; did you mean 'adam'"):
        optimizer_named("adm")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SGD(-0.1), "lr must be ≥ 0, got -0.1"),
        (lambda: SGD(math.nan), "lr must be ≥ 0, got nan"),
        (lambda: Adam(math.inf), "lr must be ≥ 0, got inf"),
        (lambda: Adam("0.1"), "lr must be a number, got '0.1'"),
        (lambda: GD(True), "lr must be a number, got True"),
        (lambda: SGD(0.1, momentum=1.0), "momentum must be ≥ 0 and < 1, got 1.0"),
        (lambda: Momentum(0.1, momentum=-0.5), "momentum must be ≥ 0 and < 1, got -0.5"),
        (lambda: SGD(0.1, nesterov=True), "nesterov=True needs a momentum above 0"),
        (lambda: Nesterov(0.1, momentum=0.0), "nesterov=True needs a momentum above 0"),
        (lambda: Adam(beta1=1.0), "beta1 must be ≥ 0 and < 1, got 1.0"),
        (lambda: Adam(beta2=-0.1), "beta2 must be ≥ 0 and < 1, got -0.1"),
        (lambda: Adam(eps=-1e-8), "eps must be a finite number > 0, got -1e-08"),
    ],
)
def test_a_bad_option_is_refused_with_its_value(make, said):
    with pytest.raises(ValueError, match=r".") as caught:
        make()
    assert said in str(caught.value)


def test_only_gradient_descent_asks_for_all_data_at_once():
    assert [name for name, kind in OPTIMIZERS.items() if kind.full_batch] == ["gd"]
    assert not Optimizer.full_batch
