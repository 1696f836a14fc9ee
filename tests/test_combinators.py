"""Residual, SkipConcat and max-unpool in networks: shapes, gradients, paths, and what is refused in words."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import spaced
from oracles import assert_same

import tinycnn as tc
from tinycnn import (
    BatchNorm2D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    MaxPool2D,
    MaxUnpool2D,
    ReLU,
    Residual,
    Sequential,
    ShapeError,
    SkipConcat,
    Upsample2D,
    backend,
)
from tinycnn.verify import check_layer, check_model

RNG = np.random.default_rng(0)


def residual():
    return Residual([Conv2D(3, 3, padding="same"), ReLU(), Conv2D(3, 1)])


def skip():
    return SkipConcat([MaxPool2D(2), Conv2D(4, 3, padding="same"), Upsample2D(2)])


def nested():
    """A small U-Net: a skip inside a skip, with a residual at the bottom."""
    bottom = [MaxPool2D(2), Residual([Conv2D(5, 1), ReLU()]), ConvTranspose2D(2, 2, stride=2)]
    return SkipConcat([MaxPool2D(2), Conv2D(5, 3, padding="same"), SkipConcat(bottom), Upsample2D(2)])


def unpooling(**options):
    """Pool, change the numbers, and put them back where the maxima were."""
    down, up = MaxPool2D(2, name="down"), MaxUnpool2D(of="down")
    layers = [Conv2D(2, 3, padding="same"), down, Conv2D(2, 1), up, Conv2D(3, 1)]
    return Sequential(layers, input_shape=(1, 5, 6), seed=2, **options)


CASES = {"residual": (residual, (3, 4, 6), (3, 4, 6)), "skip": (skip, (3, 4, 6), (7, 4, 6)),
         "nested": (nested, (2, 4, 8), (9, 4, 8))}  # fmt: skip
every_case = pytest.mark.parametrize("name", CASES)


def built(name, dtype=np.float64):
    """A fresh layer, built in this type, and a batch for it."""
    make, shape, _ = CASES[name]
    layer = make()
    layer.dtype = np.dtype(dtype)
    layer.build(shape, np.random.default_rng(1))
    return layer, spaced((2, *shape)).astype(dtype)


@every_case
def test_the_output_shape_is_known_beforehand(name):
    make, shape, out = CASES[name]
    assert make().infer(shape) == out
    layer, x = built(name, np.float32)
    y = layer.forward(x)
    assert (y.shape, layer.output_shape, y.dtype) == ((2, *out), out, np.float32)
    assert layer.backward(np.ones_like(y)).shape == x.shape


@every_case
def test_gradients_agree_with_the_complex_step(name):
    layer, x = built(name)
    report = check_layer(layer, x / 3, entries=100)
    assert report.worst_error <= 1e-12, f"\n{report}"
    assert len(report.checks) == 1 + sum(len(inner.params) for _, inner in layer.walk())


def test_the_two_ways_of_the_gradient_add():
    layer, x = built("residual")
    dy = RNG.normal(size=x.shape)
    y = layer.forward(x)
    assert_same(y, x + layer.inner.forward(x))
    assert_same(layer.backward(dy), dy + layer.inner.backward(dy))
    layer, x = built("skip")
    y = layer.forward(x)
    np.testing.assert_array_equal(y[:, :3], x)
    dy = RNG.normal(size=y.shape)
    assert_same(layer.backward(dy), dy[:, :3] + layer.inner.backward(dy[:, 3:]))


@every_case
def test_the_loops_rung_gives_the_same_numbers(name):
    layer, x = built(name)
    y = layer.forward(x)
    dy = RNG.normal(size=y.shape)
    dx = layer.backward(dy)
    with backend("loops"):
        assert_same(layer.forward(x), y)
        assert_same(layer.backward(dy), dx)


@pytest.mark.parametrize(
    ("make", "shape", "said"),
    [
        (lambda: Residual(Conv2D(4, 3, padding="same")), (3, 5, 5),
         "Residual adds f(x) to x, but f makes (4, 5, 5) of (3, 5, 5)"),
        (lambda: Residual(Conv2D(3, 3)), (3, 5, 5), "f makes (3, 3, 3) of (3, 5, 5)"),
        (lambda: SkipConcat([MaxPool2D(2), Upsample2D(2)]), (3, 5, 4),
         "SkipConcat lays f(x) beside x, but f makes (3, 4, 4) of (3, 5, 4): the images differ in size"),
        (lambda: SkipConcat(Flatten()), (3, 4, 4), "f makes (48,) of (3, 4, 4)"),
        (lambda: SkipConcat(Dense(3)), (8,), "SkipConcat takes images (C,H,W), got (8,)"),
        (lambda: Residual([MaxPool2D(8)]), (3, 4, 4), "kernel 8×8 is larger than its 4×4 input"),
    ],
)  # fmt: skip
def test_layers_inside_that_do_not_fit_are_refused_with_both_shapes(make, shape, said):
    with pytest.raises(ShapeError, match=r".") as caught:
        Sequential([make()], input_shape=shape)
    assert said in str(caught.value)


def test_paths_name_every_weight_through_the_nests():
    model = Sequential([nested(), Conv2D(2, 1, name="head")], input_shape=(2, 4, 8))
    assert list(model.named_params()) == [
        "skip1.conv1.w", "skip1.conv1.b", "skip1.skip1.res1.conv1.w", "skip1.skip1.res1.conv1.b",
        "skip1.skip1.deconv1.w", "skip1.skip1.deconv1.b", "head.w", "head.b",
    ]  # fmt: skip
    x = RNG.normal(size=(2, 2, 4, 8)).astype(np.float32)
    model.backward(np.ones_like(model.forward(x, train=True)))
    assert set(model.named_grads()) == set(model.named_params())


def test_one_layer_used_twice_is_refused_also_inside_nests():
    for layers in (
        lambda conv: [conv, conv],
        lambda conv: [conv, Residual([conv])],
        lambda conv: [Residual([conv]), SkipConcat([conv])],
        lambda conv: [SkipConcat([Residual([conv, conv])])],
        lambda conv: [Residual([SkipConcat([conv]), Conv2D(3, 1)]), conv],
    ):
        with pytest.raises(ValueError, match="is already in this network: make a new"):
            Sequential(layers(Conv2D(3, 1)), input_shape=(3, 4, 4))


def test_a_network_of_nests_comes_back_from_a_file(tmp_path):
    model = Sequential([nested(), BatchNorm2D(), residual_of(9), Conv2D(2, 1)], input_shape=(2, 4, 8), seed=4)
    model.compile(loss="cross_entropy")
    x, y = RNG.normal(size=(4, 2, 4, 8)).astype(np.float32), RNG.integers(0, 2, (4, 4, 8))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "nest.safetensors")
    twin = tc.load(tmp_path / "nest.safetensors")
    np.testing.assert_array_equal(twin.predict(x), model.predict(x))
    assert twin.summary() == model.summary()


def residual_of(channels):
    return Residual([Conv2D(channels, 3, padding="same"), ReLU()])


def test_a_network_of_nests_agrees_with_the_complex_step():
    model = Sequential([nested(), residual_of(9), Conv2D(2, 1)], input_shape=(2, 4, 8), seed=4)
    model.compile(loss="cross_entropy")
    report = check_model(model, RNG.normal(size=(2, 2, 4, 8)), RNG.integers(0, 2, (2, 4, 8)))
    assert report.worst_error <= 1e-12, f"\n{report}"


# --------------------------------------------------------------------------- max-unpool


def test_what_was_pooled_goes_back_to_where_it_was_largest_and_zeros_elsewhere():
    model = Sequential([MaxPool2D(2), MaxUnpool2D(of="pool1")], input_shape=(1, 2, 4))
    x = np.array([[[[1, 5, 2, 2], [3, 4, 9, 8]]]], np.float32)
    assert model.predict(x)[0, 0].tolist() == [[0, 5, 0, 0], [0, 0, 9, 0]]


def test_the_unpooled_image_has_the_size_of_the_pools_input_also_where_that_is_odd():
    model = unpooling()
    assert [layer.output_shape for layer in model.layers] == [(2, 5, 6), (2, 2, 3), (2, 2, 3), (2, 5, 6), (3, 5, 6)]
    x = RNG.normal(size=(3, 1, 5, 6)).astype(np.float32)
    image = model.layers[0].forward(x)
    unpooled = Sequential([MaxPool2D(2), MaxUnpool2D(of="pool1")], input_shape=(2, 5, 6)).predict(image)
    kept = unpooled != 0
    np.testing.assert_array_equal(unpooled[kept], image[kept])
    assert kept.sum() == 3 * 2 * 2 * 3
    assert not kept[:, :, 4].any()


@pytest.mark.parametrize("rung", ["numpy", "loops"])
def test_an_unpooling_network_agrees_with_the_complex_step_and_on_every_rung(rung):
    model = unpooling(dtype=np.float64)
    model.compile(loss="cross_entropy")
    x, y = RNG.normal(size=(2, 1, 5, 6)), RNG.integers(0, 3, (2, 5, 6))
    report = check_model(model, x, y)
    assert report.worst_error <= 1e-12, f"\n{report}"
    expected = model.forward(x)
    dy = RNG.normal(size=expected.shape)
    dx = model.backward(dy)
    with backend(rung):
        assert_same(model.forward(x), expected)
        assert_same(model.backward(dy), dx)


def test_an_unpooling_network_comes_back_from_a_file_and_is_copied_by_astype(tmp_path):
    model = unpooling()
    x = RNG.normal(size=(2, 1, 5, 6)).astype(np.float32)
    model.save(tmp_path / "unpool.safetensors")
    np.testing.assert_array_equal(tc.load(tmp_path / "unpool.safetensors").predict(x), model.predict(x))
    twin = model.astype(np.float64)
    np.testing.assert_allclose(twin.predict(x), model.predict(x), rtol=1e-4, atol=1e-6)
    assert twin.layers[3].pool is twin.layers[1]


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (lambda: [MaxPool2D(2), MaxUnpool2D(of="pool2")], "no max pool of that name before it; there are ['pool1']"),
        (lambda: [MaxUnpool2D(of="pool1"), MaxPool2D(2)], "no max pool of that name before it; there are []"),
        (lambda: [Conv2D(1, 1), MaxUnpool2D(of="conv1")], "MaxUnpool2D(of='conv1'): no max pool of that name"),
        (lambda: [MaxPool2D(2), Conv2D(5, 1), MaxUnpool2D(of="pool1")],
         "MaxUnpool2D takes what 'pool1' gave, (1, 2, 2), got (5, 2, 2)"),
    ],
)  # fmt: skip
def test_an_unpool_without_its_pool_is_refused_in_words(layers, said):
    with pytest.raises(ValueError, match=r".") as caught:
        Sequential(layers(), input_shape=(1, 4, 4))
    assert said in str(caught.value)
