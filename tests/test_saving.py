"""What is saved comes back to the bit; and a file is written whole or not at all."""

from __future__ import annotations

import os

import numpy as np
import pytest
from layer_cases import CASES
from model_files import split
from networks import assert_equal_weights, compiled, digit_network, digits, weights

import tinycnn as tc
from tinycnn import AvgPool2D, Conv2D, Dense, Flatten, MaxPool2D, Pad2D, ReLU, Sequential, Softmax
from tinycnn.layers import Layer
from tinycnn.layers.losses import MSE
from tinycnn.optim import OPTIMIZERS, SGD, Adam

X, Y = digits(20)


def again(model: Sequential, folder) -> Sequential:
    """The model, saved and loaded."""
    model.save(folder / "model.safetensors")
    return tc.load(folder / "model.safetensors")


def test_predictions_weights_and_all_that_travels_with_them_come_back_to_the_bit(tmp_path):
    preprocessing = {"mode": "L", "size": [8, 8], "scale": 0.0625, "invert": True}
    model = digit_network(seed=4, classes=list("0123456789"), preprocessing=preprocessing)
    model.compile(Adam(0.003, beta1=0.8), loss="cross_entropy", metrics=["accuracy"])
    model.fit(X, Y, epochs=2, batch_size=6, verbose=0)
    twin = again(model, tmp_path)
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
    assert_equal_weights(twin, weights(model))
    assert (twin.classes, twin.preprocessing, twin.seed) == (tuple("0123456789"), preprocessing, 4)
    assert (twin.loss.name, list(twin.metrics)) == ("cross_entropy", ["accuracy"])
    assert repr(twin.optimizer) == repr(model.optimizer)
    assert (twin.optimizer.lr, twin.optimizer.beta1) == (0.003, 0.8)
    assert twin.evaluate(X, Y) == model.evaluate(X, Y)
    assert twin.summary() == model.summary()


def test_saving_again_gives_the_same_bytes(tmp_path):
    model = compiled(seed=1)
    model.save(tmp_path / "a")
    tc.load(tmp_path / "a").save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("case", [c for c in CASES if type(c.make()).__name__ not in ("MaxUnpool2D",)], ids=str)
def test_every_kind_of_layer_comes_back(case, tmp_path):
    model = Sequential([case.make()], input_shape=case.shape, seed=2)
    rng = np.random.default_rng(3)
    for w in model.named_params().values():
        w[...] = rng.normal(size=w.shape)
    twin = again(model, tmp_path)
    assert repr(twin.layers[0]) == repr(model.layers[0])
    np.testing.assert_array_equal(twin.predict(case.x(dtype=np.float32)), model.predict(case.x(dtype=np.float32)))


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_comes_back_with_its_options(name, tmp_path):
    model = compiled(optimizer=name)
    assert repr(again(model, tmp_path).optimizer) == repr(model.optimizer)


@pytest.mark.parametrize(
    ("loss", "head"),
    [("cross_entropy", ()), ("mse", ()), ("categorical_crossentropy", (Softmax,)),
     ("sparse_categorical_crossentropy", (Softmax,))],
)  # fmt: skip
def test_every_loss_comes_back(loss, head, tmp_path):
    assert again(compiled(loss, head=tuple(make() for make in head)), tmp_path).loss.name == loss


def test_a_model_that_was_never_compiled_comes_back_so(tmp_path):
    twin = again(digit_network(), tmp_path)
    assert (twin.loss, twin.optimizer, twin.metrics, twin.classes, twin.preprocessing) == (None, None, {}, None, {})


def test_names_of_your_own_and_words_for_activations_come_back(tmp_path):
    model = Sequential([Conv2D(2, 3, activation="relu", name="augen"), MaxPool2D(2, name="客"), Flatten(),
                        Dense(3, activation="softmax")], input_shape=(1, 8, 8))  # fmt: skip
    twin = again(model, tmp_path)
    assert [layer.name for layer in twin.layers] == ["augen", "relu1", "客", "flatten1", "dense1", "softmax1"]
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


def test_a_float64_model_comes_back_as_one(tmp_path):
    model = digit_network(dtype=np.float64)
    twin = again(model, tmp_path)
    assert twin.dtype == np.float64
    assert twin.predict(X).dtype == np.float64
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


def test_an_infinite_border_comes_back(tmp_path):
    model = Sequential([Pad2D(1, value=-np.inf), MaxPool2D(3, stride=2)], input_shape=(1, 8, 8))
    np.testing.assert_array_equal(again(model, tmp_path).predict(X), model.predict(X))


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda w: w[..., ::-1], lambda w: np.repeat(w, 2, axis=0)[::2],
                                    lambda w: w.T.copy().T])  # fmt: skip
def test_weights_that_lie_scattered_in_memory_come_back_in_order(layout, tmp_path):
    model = digit_network(seed=6)
    for layer in model.layers:
        layer.params = {key: layout(w) for key, w in layer.params.items()}
    assert any(not w.flags.c_contiguous for w in model.named_params().values())
    twin = again(model, tmp_path)
    for key, w in model.named_params().items():
        np.testing.assert_array_equal(twin.named_params()[key], w)


def test_a_loaded_model_trains_on_and_takes_more_layers(tmp_path):
    model = compiled(seed=1)
    twin = again(model, tmp_path)
    before = weights(twin)
    assert twin.fit(X, Y, epochs=3, verbose=0)["loss"][-1] < twin.fit(X, Y, verbose=0)["loss"][0] * 3
    assert any((w != before[key]).any() for key, w in twin.named_params().items())
    twin.add(ReLU())
    twin.add(Dense(2))
    assert twin.predict(X).shape == (20, 2)
    assert_equal_weights(model, weights(compiled(seed=1)))


def test_integers_of_numpy_among_the_options_are_saved(tmp_path):
    model = Sequential([Conv2D(np.int64(2), np.int32(3), padding=np.int64(1)), AvgPool2D(np.int64(2)), Flatten(),
                        Dense(np.uint8(3))], input_shape=(1, 8, 8), seed=np.int64(3))  # fmt: skip
    np.testing.assert_array_equal(again(model, tmp_path).predict(X), model.predict(X))


def test_the_file_is_a_safetensors_file_that_says_what_it_is(tmp_path):
    compiled().save(tmp_path / "model.safetensors")
    header, body = split((tmp_path / "model.safetensors").read_bytes())
    entry = header.pop("__metadata__")
    assert set(entry) == {"format", "format_version", "architecture", "sha256"}
    assert (entry["format"], entry["format_version"]) == ("tinycnn", "1")
    assert set(header) == {"conv1.w", "conv1.b", "dense1.w", "dense1.b"}
    assert sum(end - start for start, end in (t["data_offsets"] for t in header.values())) == len(body)


# --------------------------------------------------------------------------- what cannot be saved


def test_a_model_that_is_not_built_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="the model is not built yet: give it an input_shape, or train it first"):
        Sequential([Dense(3)]).save(tmp_path / "model")
    assert os.listdir(tmp_path) == []


class Mine(Layer):
    """A layer that tinycnn does not know."""

    kind = "mine"

    def forward(self, x, train=False):
        """As it is."""
        return x


def test_a_layer_of_your_own_is_refused_when_saving_and_not_only_when_loading(tmp_path):
    with pytest.raises(TypeError, match="Mine 'mine1' cannot be saved: a file holds tinycnn's own layers"):
        Sequential([Dense(3), Mine()], input_shape=(4,)).save(tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_a_loss_optimizer_or_metric_of_your_own_is_left_out_and_the_file_loads(tmp_path):
    class MyLoss(MSE):
        name = "my_loss"

    class MyOptimizer(SGD):
        name = "my_optimizer"

    model = digit_network()
    model.compile(MyOptimizer(), MyLoss(), [lambda t, y: 0.0])
    twin = again(model, tmp_path)
    assert (twin.loss, twin.optimizer, twin.metrics) == (None, None, {})
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


# --------------------------------------------------------------------------- whole or not at all


@pytest.mark.parametrize("failing", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_model_and_no_litter(failing, error, tmp_path, monkeypatch):
    path, old = tmp_path / "model.safetensors", compiled(seed=1)
    old.save(path)
    bytes_before = path.read_bytes()

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(type(error)):
            compiled(seed=2).save(path)
    assert path.read_bytes() == bytes_before
    assert os.listdir(tmp_path) == ["model.safetensors"]
    np.testing.assert_array_equal(tc.load(path).predict(X), old.predict(X))


def test_saving_makes_missing_folders_and_takes_a_word_for_a_path(tmp_path):
    path = str(tmp_path / "runs" / "one" / "model.safetensors")
    digit_network().save(path)
    assert tc.load(path).predict(X).shape == (20, 10)
