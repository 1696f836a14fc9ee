"""A network is built layer by layer, and what does not fit is refused where it is added."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinycnn as tc
from tinycnn import (
    AvgPool2D,
    Conv2D,
    Dense,
    Flatten,
    LogSoftmax,
    MaxPool2D,
    ReLU,
    Sequential,
    ShapeError,
    SkipConcat,
    Softmax,
    Upsample2D,
)
from tinycnn.model import Chain

X = np.random.default_rng(0).normal(size=(3, 1, 6, 5)).astype(np.float32)


def small(**options) -> Sequential:
    """A network of every common kind of layer."""
    return Sequential([Conv2D(2, 3), ReLU(), MaxPool2D(2), Flatten(), Dense(4)], input_shape=(1, 6, 5), **options)


def names(model: Chain) -> list[str | None]:
    """What the layers are called."""
    return [layer.name for layer in model.layers]


# --------------------------------------------------------------------------- shapes


def test_shapes_are_fixed_before_any_data():
    model = small()
    assert [layer.output_shape for layer in model.layers] == [(2, 4, 3), (2, 4, 3), (2, 2, 1), (4,), (4,)]
    assert (model.input_shape, model.output_shape) == ((1, 6, 5), (4,))
    assert model.predict(X).shape == (3, 4)


@pytest.mark.parametrize("where", ["model", "first layer", "data"])
def test_the_input_shape_comes_from_the_model_the_first_layer_or_the_first_data(where):
    shape = (1, 6, 5)
    first = Conv2D(2, 3, input_shape=shape if where == "first layer" else None)
    model = Sequential([first, Flatten(), Dense(4)], input_shape=shape if where == "model" else None)
    assert (model.input_shape == shape) is (where != "data")
    assert model.predict(X).shape == (3, 4)
    assert model.input_shape == shape
    reference = Sequential([Conv2D(2, 3), Flatten(), Dense(4)], input_shape=shape)
    np.testing.assert_array_equal(model.predict(X), reference.predict(X))


@pytest.mark.parametrize("shape", [8, (), (0, 6, 5), (1, -6, 5), (1, 6.0, 5), (None, 6, 5), (True, 6, 5), "165"])
def test_an_input_shape_that_is_none_is_refused(shape):
    with pytest.raises(ShapeError, match=re.escape(f"of one example, of ints ≥ 1, got {shape!r}")):
        Sequential([Flatten()], input_shape=shape)


def test_images_without_pixels_are_refused():
    with pytest.raises(ShapeError, match=r"got \(1, 0, 5\)"):
        Sequential([Flatten(), Dense(4)]).predict(np.zeros((3, 1, 0, 5), np.float32))


PYRAMID = [lambda: Conv2D(4, 3), lambda: MaxPool2D(2), lambda: Conv2D(4, 3), lambda: AvgPool2D(3, stride=2),
           lambda: MaxPool2D(2)]  # fmt: skip


def test_a_layer_that_does_not_fit_is_an_error_where_it_is_added_with_its_name_number_formula_and_advice():
    model = Sequential(input_shape=(1, 8, 11))
    for make in PYRAMID[:3]:
        model.add(make())
    with pytest.raises(ShapeError) as caught:
        model.add(AvgPool2D(3, stride=2, name="last"))
    assert str(caught.value) == (
        "AvgPool2D 'last' (layer 4): kernel 3×3 is larger than its 1×2 input.\n"
        "  OH = ⌊(H + pads − KH)/s⌋ + 1 = ⌊(1 + 0 − 3)/2⌋ + 1 = 0\n"
        "  Remove a pooling layer, or feed images of at least 12×12."
    )


@pytest.mark.parametrize(
    ("layers", "image"),
    [
        (PYRAMID, (8, 8)),
        (PYRAMID, (30, 5)),
        (PYRAMID, (5, 30)),
        ([*PYRAMID, *PYRAMID], (9, 10)),
        ([lambda: Conv2D(2, 3, dilation=5)], (7, 9)),
        ([lambda: Conv2D(2, (9, 1), stride=4, padding=(1, 0)), lambda: Conv2D(2, (1, 7))], (3, 3)),
        ([lambda: MaxPool2D(2, ceil_mode=True), lambda: MaxPool2D(3)], (2, 3)),
    ],
)
def test_the_advised_image_is_the_smallest_square_that_fits(layers, image):
    make = lambda side: Sequential([one() for one in layers], input_shape=side)  # noqa: E731
    with pytest.raises(ShapeError) as caught:
        make((1, *image))
    side = int(re.search(r"feed images of at least (\d+)×\1\.$", str(caught.value)).group(1))
    assert make((1, side, side)).output_shape is not None
    with pytest.raises(ShapeError):
        make((1, side - 1, side - 1))


@pytest.mark.parametrize("depth", [1, 3, 5])
def test_a_u_net_is_advised_an_image_that_every_pool_divides_and_soon(depth):
    def net(side, inner=2):
        layers = [Conv2D(inner, 3, padding="same")]
        for _ in range(depth):
            layers = [Conv2D(2, 3, padding="same"), SkipConcat([MaxPool2D(2), *layers, Upsample2D(2)])]
        return Sequential(layers, input_shape=(1, side, side))

    odd = 2**depth * 2 + 1
    with pytest.raises(ShapeError, match=rf"\n  Feed images such as {2**depth * 3}×{2**depth * 3}\.$") as caught:
        net(odd)
    assert str(caught.value).count("Feed images such as") == 1
    assert net(2**depth * 3).output_shape is not None


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([Flatten(), Conv2D(2, 3)], "Conv2D 'conv1' (layer 2): Conv2D takes images (C,H,W), got (30,) for each"),
        ([Conv2D(2, 3), Dense(4)], "Dense 'dense1' (layer 2): Dense takes vectors, got (2, 4, 3) for each example: put "
         "Flatten() or GlobalAvgPool2D() before it"),
        ([Conv2D(4, 3, groups=2)], "Conv2D 'conv1' (layer 1): groups=2 must divide both the 1 channels and the 4"),
    ],
)  # fmt: skip
def test_where_no_image_would_fit_none_is_advised(layers, said):
    with pytest.raises(ShapeError) as caught:
        Sequential(layers, input_shape=(1, 6, 5))
    assert said in str(caught.value)
    assert "feed images" not in str(caught.value)


def test_a_refused_layer_leaves_the_network_as_it_was():
    model, expected = small(), small().predict(X)
    with pytest.raises(ShapeError):
        model.add(Conv2D(2, 3, activation="relu"))
    assert names(model) == names(small())
    np.testing.assert_array_equal(model.predict(X), expected)
    model.add(Dense(2))
    assert model.predict(X).shape == (3, 2)


@pytest.mark.parametrize("built_by", ["shape", "data"])
def test_adding_a_layer_keeps_the_weights_that_were_there(built_by):
    model = small() if built_by == "shape" else Sequential(small().layers)
    model.predict(X)
    for w in model.named_params().values():
        w += 1
    before = {key: w.copy() for key, w in model.named_params().items()}
    model.add(Dense(2))
    assert model.output_shape == (2,)
    assert model.predict(X).shape == (3, 2)
    for key, w in before.items():
        np.testing.assert_array_equal(model.named_params()[key], w)


def test_one_by_one_or_all_at_once_draws_the_same_weights():
    grown = Sequential(seed=7)
    for layer in (Conv2D(2, 3, activation="relu", input_shape=(1, 6, 5)), MaxPool2D(2), Flatten(), Dense(4)):
        grown.add(layer)
    for key, w in small(seed=7).named_params().items():
        np.testing.assert_array_equal(grown.named_params()[key], w)


# --------------------------------------------------------------------------- names and instances


def test_layers_are_named_by_kind_and_number_and_around_names_of_your_own():
    model = Sequential([Conv2D(1, 1), Conv2D(1, 1, name="conv3"), ReLU(), Conv2D(1, 1), MaxPool2D(1), AvgPool2D(1)])
    assert names(model) == ["conv1", "conv3", "relu1", "conv4", "pool1", "pool2"]
    assert len(set(names(model))) == len(model.layers)
    assert model.layer("conv3") is model.layers[1]
    with pytest.raises(KeyError, match="no layer 'conv9'; there are conv1, conv3, relu1"):
        model.layer("conv9")


def test_a_name_used_twice_is_refused_and_leaves_the_layer_as_it_was():
    model, twin = Sequential([Conv2D(1, 1, name="eye")]), Conv2D(1, 1, name="eye", activation="relu")
    with pytest.raises(ValueError, match="two layers are called 'eye': give each a name of its own"):
        model.add(twin)
    assert (names(model), twin.activation) == (["eye"], "relu")


def test_an_instance_used_twice_is_refused_wherever_it_stands():
    dense = Dense(3)
    chain = Chain([dense])
    refused = pytest.raises(ValueError, match="Dense 'dense1' is already in this network: make a new Dense instead")
    with refused:
        Sequential([dense, dense])
    with refused:
        Sequential([chain, dense])
    with pytest.raises(ValueError, match="is already in this network"):
        Sequential([dense, chain])
    with pytest.raises(ValueError, match="is already in this network"):
        Sequential([Chain([chain]), chain])
    with pytest.raises(ValueError, match="is already in this network"):
        chain.append(chain)


def test_words_for_activations_become_layers_of_their_own():
    model = Sequential([Conv2D(2, 3, activation="relu"), Flatten(), Dense(4, activation="log_softmax"),
                        Dense(3, activation="softmax")], input_shape=(1, 6, 5))  # fmt: skip
    assert names(model) == ["conv1", "relu1", "flatten1", "dense1", "log_softmax1", "dense2", "softmax1"]
    assert isinstance(model.layers[-1], Softmax)
    assert isinstance(model.layers[4], LogSoftmax)
    np.testing.assert_allclose(model.predict(X).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (Dense, "a network is made of layers, got <class 'tinycnn.layers.dense.Dense'>; did you mean Dense()?"),
        ("dense", "a network is made of layers, got 'dense'"),
        (None, "a network is made of layers, got None"),
        (np.tanh, "a network is made of layers, got <ufunc 'tanh'>"),
    ],
)
def test_what_is_no_layer_is_refused(thing, said):
    with pytest.raises(TypeError) as caught:
        Sequential([thing])
    assert str(caught.value) == said


def test_an_empty_network_says_so():
    with pytest.raises(ValueError, match="the network has no layers: add some first"):
        Sequential().predict(X)


# --------------------------------------------------------------------------- seeds and copies


def test_the_same_seed_gives_the_same_bits_and_another_one_others():
    np.testing.assert_array_equal(small(seed=3).predict(X), small(seed=3).predict(X))
    assert not np.array_equal(small(seed=3).predict(X), small(seed=4).predict(X))
    assert not np.array_equal(small(seed=3).predict(X), small().predict(X))


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None, True])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ValueError, match=re.escape(f"seed must be an int ≥ 0, got {seed!r}")):
        Sequential(seed=seed)


def test_astype_copies_the_weights_into_another_type_and_leaves_the_first_alone():
    model = small(seed=5, classes="abcd", preprocessing={"scale": 1 / 16})
    model.compile(optimizer=tc.optim.Adam(0.02), loss="cross_entropy", metrics=["accuracy"])
    double = model.astype(np.float64)
    assert (double.dtype, double.predict(X.astype(np.float64)).dtype) == (np.float64, np.float64)
    assert model.predict(X).dtype == np.float32
    for key, w in double.named_params().items():
        assert w.dtype == np.float64
        np.testing.assert_array_equal(w, model.named_params()[key])
        w += 1
    np.testing.assert_array_equal(model.predict(X), small(seed=5).predict(X))
    assert (double.classes, double.preprocessing, double.seed) == (model.classes, model.preprocessing, 5)
    assert double.loss.name == "cross_entropy"
    assert repr(double.optimizer) == repr(model.optimizer)
    assert double.metrics == model.metrics


def test_backward_is_the_chain_rule_through_every_layer():
    model, rng = small(dtype=np.float64), np.random.default_rng(1)
    x, dy = X.astype(np.float64), rng.normal(size=(3, 4))
    model.forward(x, train=True)
    dx = model.backward(dy)
    by_hand = dy
    for layer in reversed(model.layers):
        by_hand = layer.backward(by_hand)
    np.testing.assert_array_equal(dx, by_hand)
    assert set(model.named_grads()) == set(model.named_params()) == {"conv1.w", "conv1.b", "dense1.w", "dense1.b"}


def test_a_chain_inside_a_network_is_named_trained_and_found_by_its_path():
    model = Sequential([Chain([Conv2D(2, 3), ReLU()], name="block"), Flatten(), Dense(2)], input_shape=(1, 6, 5))
    assert set(model.named_params()) == {"block.conv1.w", "block.conv1.b", "dense1.w", "dense1.b"}
    assert isinstance(model.layer("block.conv1"), Conv2D)
    flat = Sequential([Conv2D(2, 3), ReLU(), Flatten(), Dense(2)], input_shape=(1, 6, 5))
    np.testing.assert_array_equal(model.predict(X), flat.predict(X))
