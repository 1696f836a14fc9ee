"""`explain_grad` takes a gradient's number apart: its terms and its paths to the loss add up to what backward says."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
from explained_networks import NETWORKS, RNG, assert_explains, backward, batch, explained, network
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_cases import CASES
from strategies import seeds

import tinycnn as tc
from tinycnn import (
    AvgPool2D,
    BatchNorm2D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    LayerNorm,
    MaxPool2D,
    ReLU,
    Residual,
    Sequential,
    SkipConcat,
    Tanh,
    Upsample2D,
    backend,
)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_gradient_of_every_weight_is_explained_to_the_last_digit(name):
    model = network(name)
    x, y = batch(model)
    for path, dw in backward(model, x, y).named_grads().items():
        layer, weight = path.rsplit(".", 1)
        for index in np.ndindex(dw.shape):
            if dw.size <= 40 or RNG.random() < 0.1:
                found = explained(model, x, y, layer=layer, weight=weight, index=index)
                assert_explains(found, dw[index])
                assert found.paths(limit=None).left_out == 0
                assert found.paths(limit=None).complete


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_of_a_layers_input_is_explained_too(name):
    model = network(name)
    x, y = batch(model)
    dx = backward(model, x, y).dx
    first = model.layers[0].name
    for index in [(0, 0, 0, 0), (1, 0, 3, 2), (0, 0, 2, 1)]:
        assert_explains(explained(model, x, y, layer=first, weight=None, index=index), dx[index])
    short = explained(model, x, y, layer=first, weight=None, index=(0, 2, 1))
    assert short.value == dx[0, 0, 2, 1]  # without the n, the first example


@pytest.mark.parametrize("name", ["conv", "batch norm", "residual", "transposed"])
def test_in_float32_it_agrees_to_rounding(name):
    model = network(name, np.float32)
    x, y = batch(model)
    dw = backward(model, x, y).named_grads()["dense1.w"]
    assert_explains(explained(model, x, y, layer="dense1", index=(1, 2)), dw[1, 2], tolerance=1e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_behind_every_kind_of_layer_the_paths_go_on(case):
    """dx of each kind of layer, in a network that it stands in the middle of, is the sum of its paths."""
    model = Sequential([case.make(), Flatten(), Dense(2)], input_shape=case.shape, seed=1, dtype=np.float64)
    model.compile(loss="mse")
    x, y = case.x(2), RNG.normal(size=(2, 2))
    dx = backward(model, x, y).dx
    name = model.layers[0].name
    for index in [(0,) * dx.ndim, tuple(s - 1 for s in dx.shape), tuple(s // 2 for s in dx.shape)]:
        assert_explains(explained(model, x, y, layer=name, weight=None, index=index), dx[index])


@st.composite
def small_networks(draw):
    """A few random layers on a small image, a head, and a loss that belongs to it."""
    C, H, W = draw(st.integers(1, 2)), draw(st.integers(3, 5)), draw(st.integers(3, 5))
    layers = []
    for _ in range(draw(st.integers(0, 3))):
        F = draw(st.integers(1, 2))
        kinds = [
            lambda F=F: Conv2D(F, (2, 3), padding="same", stride=draw(st.integers(1, 2)), flip=draw(st.booleans())),
            lambda F=F: Conv2D(F, 1, padding=draw(st.integers(0, 1)), use_bias=False),
            Tanh, ReLU, BatchNorm2D, LayerNorm,
            lambda: MaxPool2D(2, stride=1, padding="same"),
            lambda: AvgPool2D(2, stride=2, padding="same"),
            lambda: Residual([Conv2D(1, 1), Tanh(), Conv2D(channels(layers, C), 1)]),
            lambda F=F: SkipConcat([Conv2D(F, (3, 1), padding="same")]),
            lambda: Upsample2D((1, 2)),
            lambda F=F: ConvTranspose2D(F, 2, stride=draw(st.integers(1, 2))),
        ]  # fmt: skip
        layers.append(draw(st.sampled_from(kinds))())
    return [*layers, Flatten(), Dense(3)], (C, H, W), draw(st.sampled_from(["cross_entropy", "mse"])), draw(seeds)


def channels(layers, C: int) -> int:
    """How many channels these layers make of C."""
    shape = (C, 8, 8)
    for layer in layers:
        shape = copy.deepcopy(layer).infer(shape)
    return shape[0]


@settings(max_examples=25)
@given(case=small_networks())
def test_whatever_the_network_terms_and_paths_add_up_to_the_gradient(case):
    layers, shape, loss, seed = case
    rng = np.random.default_rng(seed)
    model = Sequential(layers, input_shape=shape, seed=seed % 1000, dtype=np.float64)
    model.compile(loss=loss)
    x, y = rng.normal(size=(2, *shape)), rng.integers(0, 3, size=2)
    y = y if loss == "cross_entropy" else np.eye(3)[y]
    for path, dw in backward(model, x, y).named_grads().items():
        layer, weight = path.rsplit(".", 1)
        index = tuple(int(rng.integers(s)) for s in dw.shape)
        found = explained(model, x, y, layer=layer, weight=weight, index=index)
        assert found.value == dw[index]
        some = found.paths(limit=4)
        assert len(some) <= 4
        for total in (float(found.cell.value), sum(term.product for term in found.terms), some.total):
            assert abs(total - dw[index]) <= 1e-11 * max(1.0, sum(abs(term.product) for term in found.terms))


def state(model: Sequential) -> list:
    """All that explaining might disturb: the very arrays, caches and generators, and what they hold."""
    found = [id(model.loss._undo), copy.deepcopy(model.optimizer.state), model.optimizer.steps,
             model._rng.bit_generator.state, model._shuffle.bit_generator.state]  # fmt: skip
    for path, layer in model.walk():
        for kind in ("params", "grads", "buffers"):
            found += [(path, kind, k, id(a), a.tobytes()) for k, a in getattr(layer, kind).items()]
        rng = getattr(layer, "rng", None)
        found += [id(layer.cache), id(layer._undo), sorted(vars(layer)), rng and rng.bit_generator.state]
    return found


@pytest.mark.parametrize("name", ["batch norm", "dropout", "unpool", "nested"])
def test_the_model_is_left_exactly_as_it_was(name):
    model = network(name)
    x, y = batch(model)
    model.fit(x, y, epochs=1, verbose=0)
    kept, before = (x.copy(), y.copy()), state(model)
    explained(model, x, y, layer="conv1" if name != "nested" else "skip1.res1.conv1", index=(0, 0, 0, 0))
    assert state(model) == before
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def test_a_dropout_draws_what_the_next_training_step_will_draw():
    model = network("dropout")
    x, y = batch(model)
    found = explained(model, x, y, layer="conv1", index=(0, 0, 1, 1))
    again = explained(model, x, y, layer="conv1", index=(0, 0, 1, 1))
    before = model.layer("conv1").params["w"].copy()
    model.optimizer.lr = 1.0
    model.fit(x, y, epochs=1, batch_size=len(x), shuffle=False, verbose=0)
    step = before - model.layer("conv1").params["w"]
    assert found.value == again.value == pytest.approx(step[0, 0, 1, 1], rel=1e-12)


def test_a_regularisers_pull_is_told_beside_the_gradient():
    model = network("conv", regularizer=tc.optim.L2(0.5))
    x, y = batch(model)
    w = model.layer("conv1").params["w"][0, 0, 1, 1]
    text = str(explained(model, x, y, layer="conv1", index=(0, 0, 1, 1)))
    pull = re.search(r"the regulariser adds (\S+) to it before the step", text)[1]
    assert float(pull.replace("−", "-")) == pytest.approx(2 * 0.5 * w, rel=1e-3)
    assert "regulariser" not in str(explained(model, x, y, layer="conv1", weight="b", index=0))


def test_one_example_is_a_batch_of_one():
    model = network("conv")
    x, y = batch(model)
    one = explained(model, x[0], y[0], layer="conv1", index=(0, 0, 1, 1))
    assert one.value == explained(model, x[:1], y[:1], layer="conv1", index=(0, 0, 1, 1)).value
    assert one.title.endswith("gradient of w[0, 0, 1, 1], over 1 example")


@pytest.mark.parametrize("rung", ["loops", "numpy"])
def test_whichever_rung_computes_it(rung):
    model = network("max pool")
    x, y = batch(model)
    with backend(rung):
        found = explained(model, x, y, layer="conv1", index=(1, 0, 0, 1))
        assert_explains(found, backward(model, x, y).named_grads()["conv1.w"][1, 0, 0, 1])
