"""Each optimizer is its formula, follows PyTorch step for step, and finds the bottom of a bowl."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinycnn as tc
from tinycnn import optim
from tinycnn.optim import GD, OPTIMIZERS, SGD, Adam, Momentum, Nesterov, Optimizer, optimizer_named

SHAPES = {"conv1.w": (2, 3, 2, 1), "conv1.b": (2,), "dense1.w": (1, 5)}

CASES = {  # an optimizer, the formula it must follow with its options, and PyTorch's name for it with PyTorch's options
    "GD": (lambda: GD(0.05), "sgd", {"lr": 0.05}, "SGD", {"lr": 0.05}),
    "SGD": (lambda: SGD(0.1), "sgd", {"lr": 0.1}, "SGD", {"lr": 0.1}),
    "SGD momentum": (lambda: SGD(0.02, momentum=0.7), "momentum", {"lr": 0.02, "momentum": 0.7}, "SGD",
                     {"lr": 0.02, "momentum": 0.7}),
    "SGD Nesterov": (lambda: SGD(0.02, momentum=0.7, nesterov=True), "nesterov", {"lr": 0.02, "momentum": 0.7}, "SGD",
                     {"lr": 0.02, "momentum": 0.7, "nesterov": True}),
    "Momentum": (lambda: Momentum(0.03), "momentum", {"lr": 0.03, "momentum": 0.9}, "SGD",
                 {"lr": 0.03, "momentum": 0.9}),
    "Nesterov": (lambda: Nesterov(0.03), "nesterov", {"lr": 0.03, "momentum": 0.9}, "SGD",
                 {"lr": 0.03, "momentum": 0.9, "nesterov": True}),
    "Adam": (lambda: Adam(0.01), "adam", {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}, "Adam",
             {"lr": 0.01}),
    "Adam, other options": (lambda: Adam(0.1, 0.5, 0.9, 1e-3), "adam",
                            {"lr": 0.1, "beta1": 0.5, "beta2": 0.9, "eps": 1e-3}, "Adam",
                            {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}),
}  # fmt: skip
every_optimizer = pytest.mark.parametrize("name", sorted(CASES))


def random_params(seed: int = 0) -> dict[str, np.ndarray]:
    """Weights by name, float64."""
    rng = np.random.default_rng(seed)
    return {key: rng.normal(size=shape) for key, shape in SHAPES.items()}


def random_grads(steps: int) -> list[dict[str, np.ndarray]]:
    """Gradients for some steps, of sizes from 1e-4 to 10."""
    rng = np.random.default_rng(1)
    return [{k: rng.normal(size=s) * 10 ** rng.uniform(-4, 1) for k, s in SHAPES.items()} for _ in range(steps)]


def test_every_optimizer_has_a_case():
    assert {type(make()) for make, *_ in CASES.values()} >= {GD, SGD, Momentum, Nesterov, Adam}


@every_optimizer
def test_twenty_steps_are_the_formula_stepped_literally(name):
    make, formula, options, *_ = CASES[name]
    entry, optimizer = tc.formulas[formula], make()
    params, literal = random_params(), random_params()
    state = {key: {s: np.zeros(SHAPES[key]) for s in entry.results if s != "w"} for key in SHAPES}
    for t, grads in enumerate(random_grads(20), start=1):
        optimizer.step(params, grads)
        for key, dw in grads.items():
            step = {"t": t} if formula == "adam" else {}
            results = entry.evaluate(w=literal[key], dw=dw, **state[key], **options, **step)
            results = dict(zip(entry.results, results if len(entry.results) > 1 else (results,), strict=True))
            literal[key] = results.pop("w")
            state[key] = results
        for key in SHAPES:
            np.testing.assert_allclose(params[key], literal[key], rtol=2e-14, atol=1e-15)
    for key, slots in optimizer.state.items():
        for slot, value in slots.items():
            np.testing.assert_allclose(value, state[key][slot], rtol=2e-14, atol=1e-15)


@pytest.mark.torch
@every_optimizer
def test_a_hundred_steps_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    make, _, _, kind, options = CASES[name]
    ours, optimizer = random_params(), make()
    theirs = {key: torch.nn.Parameter(torch.tensor(w)) for key, w in ours.items()}
    judge = getattr(torch.optim, kind)(list(theirs.values()), **options)
    for grads in random_grads(100):
        optimizer.step(ours, grads)
        for key, parameter in theirs.items():
            parameter.grad = torch.tensor(grads[key])
        judge.step()
        for key in SHAPES:
            np.testing.assert_allclose(ours[key], theirs[key].detach().numpy(), rtol=1e-12, atol=1e-13)


@every_optimizer
def test_it_finds_the_bottom_of_a_bowl(name):
    """L = ½ (w − c)ᵀ A (w − c): its gradient is A (w − c), its bottom c. Adam at a constant rate goes on trembling."""
    rng = np.random.default_rng(2)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    A, c = turn @ np.diag([0.5, 1.0, 3.0]) @ turn.T, rng.normal(size=3)
    params, optimizer = {"w": c + rng.normal(size=3)}, CASES[name][0]()
    before = np.linalg.norm(params["w"] - c)
    for _ in range(3000):
        optimizer.step(params, {"w": A @ (params["w"] - c)})
    assert np.linalg.norm(params["w"] - c) < (0.1 * optimizer.lr if isinstance(optimizer, Adam) else 1e-6 * before)


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_writes_into_the_arrays_it_is_given_and_reads_the_gradients_only(name, dtype):
    params = {key: w.astype(dtype) for key, w in random_params().items()}
    arrays, before = dict(params), {key: w.copy() for key, w in params.items()}
    (grads,) = random_grads(1)
    grads = {key: g.astype(dtype) for key, g in grads.items()}
    kept = {key: g.copy() for key, g in grads.items()}
    CASES[name][0]().step(params, grads)
    for key in SHAPES:
        assert params[key] is arrays[key]
        assert params[key].dtype == dtype
        assert not np.array_equal(params[key], before[key])
        np.testing.assert_array_equal(grads[key], kept[key])


@every_optimizer
def test_state_does_not_share_memory_with_weights_or_gradients(name):
    optimizer, params, (grads, _) = CASES[name][0](), random_params(), random_grads(2)
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
    optimizer = CASES[name][0]()
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
