"""A frozen layer keeps its weights to the bit, costs no backward pass, and is saved; a frozen batch norm evaluates."""

from __future__ import annotations

import numpy as np
import pytest
from networks import assert_equal_weights, compiled, digits, weights

import tinycnn as tc
from tinycnn import BatchNorm2D, Conv2D, Dense, Flatten, ModelFormatError, ReLU, Residual, Sequential
from tinycnn.layers import Layer
from tinycnn.optim import L2, OPTIMIZERS

X, Y = digits(24)


def network(**options) -> Sequential:
    """Two convolutions with a batch norm each, one of them inside a Residual."""
    layers = [Conv2D(3, 3), BatchNorm2D(), ReLU(), Residual([Conv2D(3, 3, padding="same"), BatchNorm2D(), ReLU()]),
              Flatten(), Dense(10)]  # fmt: skip
    model = Sequential(layers, input_shape=(1, 8, 8), seed=3, **options)
    model.compile("adam")
    return model


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_frozen_weights_stay_to_the_bit_under_decay_momentum_and_penalty_and_the_others_learn(optimizer):
    model = network()
    model.compile(OPTIMIZERS[optimizer](weight_decay=0.1), regularizer=L2(0.1))
    model.fit(X, Y, verbose=0)  # so that the optimizer remembers a push
    model.freeze("conv1", "res1")
    before = weights(model)
    model.fit(X, Y, epochs=2, verbose=0)
    for key, w in model.named_params().items():
        frozen = key.startswith(("conv1", "res1"))
        assert np.array_equal(w, before[key]) == frozen, key
    model.unfreeze()
    model.fit(X, Y, verbose=0)
    assert all((w != before[key]).any() for key, w in model.named_params().items())


def test_a_frozen_batch_norm_uses_and_keeps_its_running_statistics():
    model = network()
    model.fit(X, Y, verbose=0)
    model.layer("res1").trainable = False
    before = {key: b.copy() for key, b in model.named_buffers().items()}
    x = model.layer("bn1").forward(model.layer("conv1").forward(X[:8]))
    inner = model.layer("res1.bn1")
    np.testing.assert_array_equal(inner.forward(x, train=True), inner.forward(x, train=False))
    model.fit(X, Y, verbose=0)
    for key, value in model.named_buffers().items():
        assert np.array_equal(value, before[key]) == key.startswith("res1"), key


def test_the_gradient_through_a_frozen_batch_norm_is_right():
    model = network(dtype=np.float64)
    model.fit(X, Y, verbose=0)
    model.freeze("bn1", "res1.bn1")
    x, t = X[:6].astype(np.float64), Y[:6]
    w, v = model.named_params()["conv1.w"], np.random.default_rng(0).normal(size=(3, 1, 3, 3))

    def loss(h: float) -> float:
        w[...] += h * v
        found = float(model.loss.forward(model.forward(x, train=True), t))
        w[...] -= h * v
        return found

    loss(0.0)
    model.backward(model.loss.backward())
    assert model.named_grads()["conv1.w"].ravel() @ v.ravel() == pytest.approx(
        (loss(1e-6) - loss(-1e-6)) / 2e-6, rel=1e-6
    )


def test_layers_before_the_first_that_learns_have_no_backward_pass(monkeypatch):
    model = network()
    model.freeze("conv1", "bn1")
    seen, backward = [], {}
    for layer in model.layers:
        backward[layer.name] = layer.backward
        monkeypatch.setattr(layer, "backward", lambda dy, layer=layer: seen.append(layer.name)
                            or backward[layer.name](dy))  # fmt: skip
    model.fit(X, Y, batch_size=24, verbose=0)
    assert seen == ["dense1", "flatten1", "res1"]


def test_learning_alone_gives_the_gradients_of_backward():
    model = network()
    model.freeze("conv1")
    model.loss.forward(model.forward(X, train=True), Y)
    model.backward(model.loss.backward())
    whole = {key: dw.copy() for key, dw in model.named_grads().items()}
    model.learn(model.loss.backward())
    assert whole.keys() == model.named_grads().keys() == set(model.named_params()) - {"conv1.w", "conv1.b"}
    for key, dw in model.named_grads().items():
        np.testing.assert_array_equal(dw, whole[key])


def test_it_is_saved_with_the_model_and_a_plain_model_has_no_word_of_it(tmp_path):
    model = network()
    model.save(tmp_path / "plain")
    assert b"trainable" not in (tmp_path / "plain").read_bytes()
    model.freeze("bn1", "res1.conv1")
    model.save(tmp_path / "model")
    twin = tc.load(tmp_path / "model")
    frozen = {path for path, layer in twin._paths() if not layer.trainable}
    assert frozen == {"bn1", "res1.conv1"}
    before = weights(twin)
    twin.fit(X, Y, verbose=0)
    assert {key for key, w in twin.named_params().items() if np.array_equal(w, before[key])} == {
        "bn1.gamma", "bn1.beta", "res1.conv1.w", "res1.conv1.b"}  # fmt: skip


def test_freezing_a_block_freezes_what_is_inside_and_without_a_name_all():
    model = network()
    model.freeze("res1")
    assert [path for path, layer in model._paths() if not layer.trainable] == [
        "res1", "res1.conv1", "res1.bn1", "res1.relu1"]  # fmt: skip
    model.unfreeze("res1.bn1")
    assert model.layer("res1.bn1").trainable
    model.freeze()
    assert not any(layer.trainable for _, layer in model._paths())


def test_what_makes_no_sense_is_refused():
    model = network()
    before = weights(model)
    with pytest.raises(KeyError, match="no layer 'conv9'; there are conv1, bn1"):
        model.freeze("conv9")
    with pytest.raises(ValueError, match="trainable must be True or False, got 'no'"):
        model.layers[0].trainable = "no"
    model.freeze()
    with pytest.raises(ValueError, match="every layer with weights is frozen, so nothing would learn"):
        model.fit(X, Y, verbose=0)
    assert_equal_weights(model, before)
    assert Layer().trainable


@pytest.mark.parametrize("value", ["no", 0, None, [False]])
def test_a_file_that_says_it_otherwise_is_refused(value, tmp_path):
    from model_files import forged

    model = compiled()
    model.save(tmp_path / "model")
    data = forged((tmp_path / "model").read_bytes(), lambda a: a["layers"][0].update(trainable=value))
    (tmp_path / "model").write_bytes(data)
    with pytest.raises(ModelFormatError, match="trainable must be True or False"):
        tc.load(tmp_path / "model")
