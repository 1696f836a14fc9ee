"""Whole trainings are PyTorch's: from the same weights, over the same batches, the loss follows step for step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinycnn as tc
from tinycnn import BatchNorm2D, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Sequential
from tinycnn.optim import CosineDecay, Warmup
from tinycnn.verify.optimizer_cases import CASES, OptimizerCase

pytestmark = pytest.mark.torch
STEPS, BATCH = 100, 16
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {}, "schedule": {"schedule": True}, "decay": {"weight_decay": 0.01}, "norm": {"norm": True},
    "all": {"schedule": True, "weight_decay": 0.01, "norm": True},
}  # fmt: skip


@pytest.fixture(scope="module")
def torch():
    """PyTorch on one thread: for pictures this small more only get in each other's way."""
    found = pytest.importorskip("torch")
    before = found.get_num_threads()
    found.set_num_threads(1)
    yield found
    found.set_num_threads(before)


def batches() -> list[tuple[np.ndarray, np.ndarray]]:
    """A hundred batches of digits, in one order, with a last one in each epoch that is smaller."""
    train, _, _ = tc.data.load_digits()
    x, y = train.x[:120].astype(np.float64), train.y[:120]
    found: list[tuple[np.ndarray, np.ndarray]] = []
    rng = np.random.default_rng(3)
    while len(found) < STEPS:
        found += list(tc.data.batches(x, y, BATCH, rng))
    return found[:STEPS]


def our_network(norm: bool) -> Sequential:
    """With a batch norm, the bias before it is left out, as usual: its gradient is 0, so an optimizer that divides by
    the gradient's size makes of it what the rounding happens to be.
    """
    first = [Conv2D(4, 3, padding=1, use_bias=not norm), *([BatchNorm2D()] if norm else []), ReLU(), MaxPool2D(2)]
    layers = [*first, Conv2D(6, 3, stride=2), ReLU(), Flatten(), Dense(10)]
    return Sequential(layers, input_shape=(1, 8, 8), seed=5, dtype=np.float64)


def their_network(torch, model: Sequential, norm: bool):
    """The same layers with the same weights, in float64."""
    nn = torch.nn
    first = [nn.Conv2d(1, 4, 3, padding=1, bias=not norm), *([nn.BatchNorm2d(4)] if norm else []), nn.ReLU()]
    rest = [nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(6, 10)]
    theirs = nn.Sequential(*first, *rest).double()
    names = {"w": "weight", "b": "bias", "gamma": "weight", "beta": "bias"}
    pairs = [(layer, module) for layer, module in zip(model.layers, theirs, strict=True) if layer.params]
    with torch.no_grad():
        for layer, module in pairs:
            for key, w in layer.params.items():
                getattr(module, names[key]).copy_(torch.tensor(w))
    return theirs


def their_losses(torch, theirs, case: OptimizerCase, variant: dict[str, Any]) -> list[float]:
    options = dict(case.torch_options)
    if "weight_decay" in variant:
        options["weight_decay"] = variant["weight_decay"]
    optimizer = getattr(torch.optim, case.torch_kind)(theirs.parameters(), **options)
    s = torch.optim.lr_scheduler
    schedule = None
    if "schedule" in variant:
        warm, fall = s.LinearLR(optimizer, 0.2, 1.0, 10), s.CosineAnnealingLR(optimizer, 90)
        schedule = s.SequentialLR(optimizer, [warm, fall], [10])
    losses = []
    for x, t in batches():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(t))
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        losses.append(loss.item())
    return losses


def our_losses(model: Sequential, case: OptimizerCase, variant: dict[str, Any]) -> list[float]:
    options: dict[str, Any] = dict(case.options if case.arguments is None else case.arguments)
    if "weight_decay" in variant:
        options["weight_decay"] = variant["weight_decay"]
    if "schedule" in variant:
        options["schedule"] = Warmup(10, 0.2, then=CosineDecay(90, every="step"))
    model.compile(case.kind(**options), "cross_entropy")
    return [tc.train.train_step(model, x, t)["loss"] for x, t in batches()]


def tame(case: OptimizerCase) -> OptimizerCase:
    """With a rate that learns: where a rate is so large that the loss jumps about, every rounding grows with it."""
    rates = {"AdaDelta": 1.0, "AdaGrad": 0.01, "RMSProp": 1e-3, "Adam": 2e-3, "AdamW": 2e-3}
    lr = rates.get(case.kind.__name__, 0.02)
    arguments = dict(case.options if case.arguments is None else case.arguments) | {"lr": lr}
    return case._replace(arguments=arguments, torch_options=case.torch_options | {"lr": lr})


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", CASES)
def test_the_loss_of_a_hundred_steps_is_pytorchs(name, variant, torch):
    case, given = tame(CASES[name]), VARIANTS[variant]
    model = our_network("norm" in given)
    theirs = their_network(torch, model, "norm" in given)
    ours = our_losses(model, case, given)
    expected = their_losses(torch, theirs, case, given)
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-12)
    assert np.mean(ours[-10:]) < np.mean(ours[:10])
    x = batches()[0][0]
    theirs.eval()
    with torch.no_grad():
        np.testing.assert_allclose(model.predict(x), theirs(torch.tensor(x)).numpy(), rtol=1e-7, atol=1e-8)


def test_gradient_accumulation_is_pytorchs(torch):
    model = our_network(norm=True)
    theirs = their_network(torch, model, norm=True)
    model.compile(tc.optim.SGD(0.05), "cross_entropy")
    x, t = batches()[0]
    model.fit(x, t, batch_size=4, accumulate=4, shuffle=False, verbose=0)
    optimizer = torch.optim.SGD(theirs.parameters(), 0.05)
    for k in range(0, 16, 4):
        scores, labels = theirs(torch.tensor(x[k : k + 4])), torch.tensor(t[k : k + 4])
        (torch.nn.functional.cross_entropy(scores, labels) / 4).backward()
    optimizer.step()
    np.testing.assert_allclose(model.named_params()["conv1.w"], theirs[0].weight.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(model.named_buffers()["bn1.running_var"], theirs[1].running_var.numpy(), rtol=1e-12)


def test_a_frozen_batch_norm_is_pytorchs_in_evaluation(torch):
    model = our_network(norm=True)
    theirs = their_network(torch, model, norm=True)
    (x, _), (x2, t2) = batches()[:2]
    model.forward(x, train=True)
    theirs(torch.tensor(x))
    model.freeze("bn1")
    theirs[1].eval()
    model.compile("sgd", "cross_entropy")
    tc.train.train_step(model, x2, t2)
    torch.nn.functional.cross_entropy(theirs(torch.tensor(x2)), torch.tensor(t2)).backward()
    ours, grad = model.named_grads()["conv1.w"], theirs[0].weight.grad.numpy()
    np.testing.assert_allclose(ours, grad, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("per_channel", [False, True])
def test_dropout_with_pytorchs_mask_is_pytorchs_and_per_channel_is_dropout2d(per_channel, torch, monkeypatch):
    torch.manual_seed(0)
    layer = (torch.nn.Dropout2d if per_channel else torch.nn.Dropout)(0.4)
    x = torch.randn(6, 5, 4, 3, dtype=torch.float64, requires_grad=True)
    y, dy = layer(x), torch.randn(6, 5, 4, 3, dtype=torch.float64)
    y.backward(dy)
    mask = (y != 0).numpy()
    assert per_channel == bool((mask == mask[:, :, :1, :1]).all())
    monkeypatch.setattr("tinycnn.layers.dropout.dropout_mask", lambda *args: mask)
    ours = Dropout(0.4, per_channel=per_channel)
    np.testing.assert_allclose(ours.forward(x.detach().numpy(), train=True), y.detach().numpy(), rtol=1e-14)
    np.testing.assert_allclose(ours.backward(dy.numpy()), x.grad.numpy(), rtol=1e-14)
    np.testing.assert_array_equal(ours.forward(x.detach().numpy()), layer.eval()(x).detach().numpy())
