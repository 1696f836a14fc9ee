"""Layers that behave differently in training and in evaluation: batch norm and dropout, and all layers together."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import assert_same

import tinycnn as tc
from tinycnn import (
    ELU,
    AvgPool2D,
    BatchNorm1D,
    BatchNorm2D,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    GroupNorm,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    MaxPool2D,
    MaxUnpool2D,
    MinPool2D,
    Pad2D,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    Sigmoid,
    SkipConcat,
    Softmax,
    Tanh,
    Upsample2D,
    layers,
)
from tinycnn.verify import check_model

RNG = np.random.default_rng(0)


def built(layer, shape, dtype=np.float64):
    """A layer built for examples of this shape, with a scale and a shift that are not 1 and 0."""
    layer.dtype = np.dtype(dtype)
    layer.build(shape, np.random.default_rng(1))
    layer.params = {key: RNG.normal(size=w.shape).astype(dtype) for key, w in layer.params.items()}
    return layer


# --------------------------------------------------------------------------- batch norm


def test_in_training_every_channel_has_mean_beta_and_deviation_gamma():
    norm = built(BatchNorm2D(eps=1e-12), (3, 4, 5))
    y = norm.forward(RNG.normal(5, 3, size=(6, 3, 4, 5)), train=True)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), norm.params["beta"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), abs(norm.params["gamma"]), rtol=1e-9)


def test_in_evaluation_an_example_does_not_depend_on_its_batch_and_nothing_is_learned():
    norm = built(BatchNorm2D(), (3, 4, 5))
    norm.forward(RNG.normal(2, 3, size=(6, 3, 4, 5)), train=True)
    before = {key: b.copy() for key, b in norm.buffers.items()}
    x = RNG.normal(size=(4, 3, 4, 5))
    y = norm.forward(x)
    np.testing.assert_allclose(norm.forward(x[1:2]), y[1:2], rtol=1e-15)
    by_hand = (x - before["running_mean"][:, None, None]) / np.sqrt(before["running_var"][:, None, None] + 1e-5)
    assert_same(y, by_hand * norm.params["gamma"][:, None, None] + norm.params["beta"][:, None, None])
    for key, b in before.items():
        np.testing.assert_array_equal(norm.buffers[key], b)


def test_the_running_statistics_come_to_those_of_the_data():
    norm = built(BatchNorm1D(momentum=0.05), (2,))
    for _ in range(400):
        norm.forward(RNG.normal([1.0, -4.0], [0.5, 2.0], size=(64, 2)), train=True)
    np.testing.assert_allclose(norm.buffers["running_mean"], [1.0, -4.0], atol=0.2)
    np.testing.assert_allclose(norm.buffers["running_var"], [0.25, 4.0], rtol=0.1)


@pytest.mark.torch
@pytest.mark.parametrize(("ours", "theirs", "shape"), [(BatchNorm2D, "BatchNorm2d", (3, 4, 2)),
                                                       (BatchNorm1D, "BatchNorm1d", (3,))])  # fmt: skip
def test_output_gradients_and_running_statistics_follow_pytorch_over_several_steps(ours, theirs, shape):
    torch = pytest.importorskip("torch")
    norm = built(ours(momentum=0.3, eps=1e-4), shape)
    judge = getattr(torch.nn, theirs)(3, momentum=0.3, eps=1e-4, dtype=torch.float64)
    with torch.no_grad():
        judge.weight[:], judge.bias[:] = torch.tensor(norm.params["gamma"]), torch.tensor(norm.params["beta"])
    for step in range(6):
        judge.train(step != 3)  # an evaluation in between changes nothing
        x, dy = RNG.normal(2, 3, size=(5, *shape)), RNG.normal(size=(5, *shape))
        y, tensor = norm.forward(x, train=step != 3), torch.tensor(x, requires_grad=True)
        judge.zero_grad()
        expected = judge(tensor)
        expected.backward(torch.tensor(dy))
        dx = norm.backward(dy)
        assert_same(y, expected.detach().numpy())
        assert_same(dx, tensor.grad.numpy(), terms=10 * abs(dy).max())
        assert_same(norm.grads["gamma"], judge.weight.grad.numpy(), terms=abs(dy).sum())
        assert_same(norm.grads["beta"], judge.bias.grad.numpy(), terms=abs(dy).sum())
        assert_same(norm.buffers["running_mean"], judge.running_mean.numpy())
        assert_same(norm.buffers["running_var"], judge.running_var.numpy())


def trained():
    """A network with batch norm whose running statistics have moved, and data for it."""
    model = Sequential([Conv2D(3, 3), BatchNorm2D(), ReLU(), Flatten(), BatchNorm1D(), Dense(2)], input_shape=(1, 5, 5))
    model.compile(loss="cross_entropy")
    x, y = RNG.normal(3, 2, size=(12, 1, 5, 5)).astype(np.float32), RNG.integers(0, 2, 12)
    model.fit(x, y, epochs=3, verbose=0)
    return model, x


def buffers(model):
    return {f"{path}.{key}": b for path, layer in model.walk() for key, b in layer.buffers.items()}


def test_running_statistics_are_saved_loaded_and_copied(tmp_path):
    model, x = trained()
    assert len(buffers(model)) == 4
    model.save(tmp_path / "bn.safetensors")
    for twin, tol in ((tc.load(tmp_path / "bn.safetensors"), 0), (model.astype(np.float64), 1e-4)):
        mine, its = buffers(model), buffers(twin)
        assert set(mine) == set(its)
        for key, b in mine.items():
            np.testing.assert_array_equal(its[key], b)
            assert abs(b).max() > 0
        np.testing.assert_allclose(twin.predict(x), model.predict(x), rtol=tol, atol=tol / 10)
    wide = model.astype(np.float64)
    assert {b.dtype.name for b in buffers(wide).values()} == {"float64"}
    wide.forward(x.astype(np.float64), train=True)
    for key, b in buffers(model).items():
        assert not np.array_equal(b, buffers(wide)[key]), "a copy of its own"


def test_a_batch_of_one_is_refused_in_training_and_fine_in_evaluation():
    norm = built(BatchNorm1D(), (4,))
    with pytest.raises(ValueError, match=r"at least two values a channel, but x of shape \(1, 4\) has one"):
        norm.forward(RNG.normal(size=(1, 4)), train=True)
    assert np.isfinite(norm.forward(RNG.normal(size=(1, 4)))).all()
    images = built(BatchNorm2D(), (4, 2, 2))
    assert np.isfinite(images.forward(RNG.normal(size=(1, 4, 2, 2)), train=True)).all()
    model, x = trained()
    assert np.isfinite(model.predict(x[:1])).all()


@pytest.mark.parametrize("make", [BatchNorm2D, LayerNorm, lambda: GroupNorm(2)])
def test_constant_channels_stay_finite(make):
    norm = built(make(), (4, 3, 3))
    y = norm.forward(np.full((3, 4, 3, 3), 7.0), train=True)
    dx = norm.backward(RNG.normal(size=y.shape))
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()


# --------------------------------------------------------------------------- dropout


@pytest.mark.parametrize("per_channel", [False, True])
def test_dropout_keeps_the_mean_and_drops_nothing_in_evaluation(per_channel):
    layer = built(Dropout(0.4, per_channel=per_channel, seed=3), (50, 4, 4))
    x = np.ones((100, 50, 4, 4))
    y = layer.forward(x, train=True)
    assert set(np.unique(y)) == {0.0, 1 / 0.6}
    assert abs(y.mean() - 1) < 5 * np.sqrt(0.4 / 0.6 / (5000 if per_channel else 80_000))
    whole = (y == y[:, :, :1, :1]).all(axis=(2, 3))
    assert whole.all() == per_channel
    dy = RNG.normal(size=y.shape)
    np.testing.assert_array_equal(layer.backward(dy), dy * y)
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(dy), dy)


def test_dropout_draws_anew_each_time_and_the_same_from_the_same_seed():
    x = np.ones((4, 30))
    draws = []
    for seed in (5, 5, 6):
        layer = built(Dropout(seed=seed), (30,))
        draws.append([layer.forward(x, train=True) for _ in range(2)])
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(*draws[0])
    assert not np.array_equal(draws[0], draws[2])


def test_a_networks_seed_is_also_that_of_its_dropout():
    x, y = RNG.normal(size=(20, 6)).astype(np.float32), RNG.integers(0, 2, 20)
    losses = []
    for seed in (1, 1, 2):
        model = Sequential([Dense(16), ReLU(), Dropout(0.5), Dense(2)], input_shape=(6,), seed=seed)
        model.compile()
        losses.append(model.fit(x, y, epochs=3, verbose=0)["loss"])
    assert losses[0] == losses[1] != losses[2]


# --------------------------------------------------------------------------- all together


def every_kind():
    """A network with every kind of layer there is, for images (2, 12, 8)."""
    correction = [Conv2D(4, 3, padding="same"), BatchNorm2D(), ELU()]
    below = [MaxPool2D(2), Conv2D(4, 1), Dropout(0.2, per_channel=True), Upsample2D(2, mode="bilinear"),
             ConvTranspose2D(2, 3, padding=1)]  # fmt: skip
    return Sequential(
        [
            Pad2D(1), Conv2D(4, 3), GroupNorm(2), LeakyReLU(0.1), Residual(correction), SkipConcat(below),
            MaxPool2D(2, name="down"), Tanh(), MaxUnpool2D(of="down"), Softmax(),
            MinPool2D(2), Upsample2D(2), AvgPool2D(3, stride=1), LayerNorm(), Reshape((6, -1)), Conv1D(4, 3, stride=2),
            Sigmoid(), Reshape((4, 29, -1)), LogSoftmax(), GlobalAvgPool2D(), Flatten(), BatchNorm1D(), Dropout(0.3),
            Dense(6), ReLU(), Dense(3),
        ],
        input_shape=(2, 12, 8), seed=5, dtype=np.float64,
    )  # fmt: skip


def test_a_network_with_every_kind_of_layer_agrees_with_the_complex_step():
    model = every_kind()
    names = {type(layer) for _, layer in model.walk()} - {Sequential, Residual, SkipConcat}
    assert names >= {getattr(layers, name) for name in layers.__all__} - {layers.Layer}
    for path, w in model.named_params().items():
        if path.endswith((".b", ".beta")):
            w[...] = RNG.normal(size=w.shape) / 3
    model.compile(loss="cross_entropy")
    report = check_model(model, RNG.normal(size=(5, 2, 12, 8)), np.array([0, 2, 1, 1, 0]))
    assert report.worst_error <= 1e-12, f"\n{report}"
    assert [check.name for check in report.checks] == ["x", *model.named_params()]
