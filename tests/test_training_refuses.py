"""What training refuses, and how it stops: before the first step where that is possible, and always in words."""

from __future__ import annotations

import re

import numpy as np
import pytest
from networks import assert_equal_weights, compiled, digit_network, digits, weights

import tinycnn as tc
from tinycnn import Dense, Flatten, LogSoftmax, ReLU, Sequential, ShapeError, Softmax
from tinycnn.layers import Layer
from tinycnn.optim import SGD

X, Y = digits(32)
HOT = tc.data.one_hot(Y, 10)


def said(kind: type[BaseException], call) -> str:
    """What an error of this kind says."""
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


# --------------------------------------------------------------------------- data sets


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda m, d: m.fit(d, d.y), "a Dataset brings its own targets: leave y out"),
        (lambda m, d: m.fit(d, d), "y is a Dataset: a Dataset stands for x and y both, so give it alone"),
        (lambda m, d: m.fit(X, d), "y is a Dataset: a Dataset stands for x and y both, so give it alone"),
        (lambda m, d: m.fit((d, d, d)), "got 3 data sets at once: unpack them, as in train, val, test = …, and give "
         "one"),
        (lambda m, d: m.evaluate([d, d]), "got 2 data sets at once"),
        (lambda m, d: m.predict((d, d, d)), "got 3 data sets at once"),
        (lambda m, d: m.fit(d, validation_data=(d, d)), "validation_data: y is a Dataset"),
        (lambda m, d: m.fit(d, validation_data=(d, d, d)), "validation_data must be a pair (x, y), a Dataset or a "
         "Stream, got tuple"),
        (lambda m, d: tc.trace(m, d, d.y), "a Dataset is two arrays: pass its examples, .x, and where targets are "
         "wanted its .y"),
        (lambda m, d: tc.verify.check_model(m, d, d.y), "a Dataset is two arrays"),
        (lambda m, d: tc.metrics.accuracy(d, m.predict(d)), "a Dataset is two arrays"),
    ],
)  # fmt: skip
def test_a_data_set_in_the_wrong_place_is_one_line_that_says_what_to_pass(ask, text):
    model, data = compiled(), tc.data.Dataset(X, Y, tuple("0123456789"))
    before = weights(model)
    words = said(TypeError, lambda: ask(model, data))
    assert words.startswith(text)
    assert "\n" not in words
    assert_equal_weights(model, before)


# --------------------------------------------------------------------------- the loss and the last layer


@pytest.mark.parametrize("head", [Softmax, LogSoftmax])
def test_a_softmax_before_a_loss_from_logits_is_refused_with_the_reason_and_both_ways_out(head):
    model = digit_network((head(),))
    text = said(ValueError, lambda: model.compile(loss="cross_entropy"))
    name = "Softmax 'softmax1'" if head is Softmax else "LogSoftmax 'log_softmax1'"
    assert text.startswith(f"the network ends in {name}, but loss 'cross_entropy' takes logits and applies softmax")
    assert "gradients shrink, though it still seems to learn" in text
    assert "Remove the last layer, or use loss='categorical_crossentropy' (one-hot) or" in text
    assert (model.loss, model.metrics) == (None, {})


@pytest.mark.parametrize("head", [Softmax, LogSoftmax])
def test_it_is_refused_too_when_the_softmax_came_after_compile(head):
    model = compiled()
    model.add(head())
    before = weights(model)
    assert "takes logits and applies softmax itself" in said(ValueError, lambda: model.fit(X, Y, verbose=0))
    assert_equal_weights(model, before)


def test_softmax_twice_is_what_it_says_gradients_shrink():
    """The reason, shown: behind a second softmax the loss cannot come near 0, and gradients are far smaller."""
    z = np.array([[8.0, 0.0, 0.0]])
    once, cache = tc.ops.cross_entropy_forward(z, np.array([0]))
    p, softmax_cache = tc.ops.softmax_forward(z)
    twice, _ = tc.ops.cross_entropy_forward(p, np.array([0]))
    assert once < 0.001
    assert twice > 0.55
    wrong = np.array([1])
    _, cache = tc.ops.cross_entropy_forward(z, wrong)
    _, outer = tc.ops.cross_entropy_forward(p, wrong)
    direct = tc.ops.cross_entropy_backward(1.0, cache)
    through = tc.ops.softmax_backward(tc.ops.cross_entropy_backward(1.0, outer), softmax_cache)
    assert abs(through).max() < 0.01 * abs(direct).max()


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
@pytest.mark.parametrize("head", [(), (ReLU,), (LogSoftmax,)])
def test_a_loss_from_probabilities_behind_no_softmax_is_refused(loss, head):
    model = digit_network(tuple(make() for make in head))
    text = said(ValueError, lambda: model.compile(loss=loss))
    assert f"loss {loss!r} takes probabilities, but the network ends in {model.layers[-1].label}" in text
    assert "Add Softmax() at the end, or use loss='cross_entropy', which takes logits." in text


def test_and_the_ways_out_work():
    for loss, head, y in (("cross_entropy", (), Y), ("sparse_categorical_crossentropy", (Softmax(),), Y),
                          ("categorical_crossentropy", (Softmax(),), HOT)):  # fmt: skip
        assert compiled(loss, head=head).fit(X, y, verbose=0).epochs == 1


# --------------------------------------------------------------------------- data, before the first step

SPARSE, ONE_HOT = ("sparse_categorical_crossentropy", (Softmax,)), ("categorical_crossentropy", (Softmax,))
LOGITS = ("cross_entropy", ())


def spoilt(place: int, value: float, labels: np.ndarray = Y) -> np.ndarray:
    """The labels with one of them changed."""
    labels = labels.astype(type(value)) if isinstance(value, float) else labels.copy()
    labels[place] = value
    return labels


BAD_DATA = [
    (LOGITS, X, spoilt(3, 10), ValueError, "label 10 at position 3 is no class: with K = 10 they are 0 to 9"),
    (LOGITS, X, spoilt(30, -1), ValueError, "label -1 at position 30 is no class"),
    (SPARSE, X, spoilt(31, 11), ValueError, "label 11 at position 31 is no class"),
    (LOGITS, X, Y.astype(np.float64), TypeError, "labels must be integers, got float64, np.float64(0.0) at position 0"),
    (SPARSE, X, Y.astype(np.float32), TypeError, "convert them with y.astype(np.int64)"),
    (LOGITS, X, np.array([str(c) for c in Y]), TypeError, "labels must be integers, got <U1"),
    (LOGITS, X, 2 * HOT, ValueError, "each one-hot row must sum to 1, but the one at (0,) sums to 2"),
    (ONE_HOT, X, spoilt(5, np.nan, HOT), ValueError, "each one-hot row must sum to 1, but the one at (5,) sums to nan"),
    (SPARSE, X, HOT, ValueError, "takes integer targets of shape (32,), got one-hot rows of shape (32, 10): use loss "
     "'categorical_crossentropy' for those"),
    (ONE_HOT, X, Y, ValueError, "takes one-hot targets of shape (32, 10), got shape (32,): use "
     "tc.data.one_hot(y, num_classes), or loss 'sparse_categorical_crossentropy' for integer labels"),
    (LOGITS, X, HOT[:, :9], ShapeError, "got shape (32, 9)"),
    (("mse", ()), X, Y, ValueError, "loss 'mse' takes targets of the output's shape (32, 10), got (32,)"),
    (("mse", ()), X, HOT.astype(str), TypeError, "loss 'mse' takes numbers for targets"),
    (LOGITS, X, Y[:31], ShapeError, "x has 32 examples, but y has 31 labels"),
    (LOGITS, X, np.int64(3), ShapeError, "x has 32 examples, but y has no labels"),
    (LOGITS, X[:0], Y[:0], ValueError, "there are no examples: x is empty"),
    (LOGITS, np.repeat(X, 3, axis=1).transpose(0, 2, 3, 1), Y, ShapeError, "got shape (32, 8, 8, 3)"),
    (LOGITS, X.transpose(0, 2, 3, 1), Y, ShapeError, "Channels come first here: tinycnn.data.to_nchw(x)"),
    (LOGITS, (X * 255).astype(np.uint8), Y, TypeError, "pictures of 0…255 become x.astype(np.float32) / 255"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "x", "y", "kind", "text"), BAD_DATA, ids=[row[-1][:50] for row in BAD_DATA])
@pytest.mark.parametrize("what", ["fit", "validation", "evaluate"])
def test_data_that_do_not_fit_are_refused_before_the_first_step(what, task, x, y, kind, text):
    loss, head = task
    model = compiled(loss, head=tuple(make() for make in head))
    good = HOT if loss in ("categorical_crossentropy", "mse") else Y
    calls = {
        "fit": lambda: model.fit(x, y, batch_size=4, verbose=0),
        "validation": lambda: model.fit(X, good, validation_data=(x, y), batch_size=4, verbose=0),
        "evaluate": lambda: model.evaluate(x, y),
    }
    before = weights(model)
    message = said(kind, calls[what])
    assert text in message.replace("validation x", "x")
    assert model.optimizer.steps == 0
    assert_equal_weights(model, before)


def test_a_wrong_label_far_behind_the_first_batch_is_named_by_its_own_position():
    x, y = np.zeros((600, 1, 8, 8), np.float32), np.zeros(600, np.int64)
    y[555] = 12
    model = compiled()
    for call in (lambda: model.evaluate(x, y), lambda: model.fit(x, y, verbose=0)):
        assert "label 12 at position 555" in said(ValueError, call)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"epochs": 0}, "epochs must be an int ≥ 1, got 0"),
        ({"epochs": 2.0}, "epochs must be an int ≥ 1, got 2.0"),
        ({"epochs": True}, "epochs must be an int ≥ 1, got True"),
        ({"batch_size": 0}, "batch_size must be an int ≥ 1, got 0"),
        ({"batch_size": "8"}, "batch_size must be an int ≥ 1, got '8'"),
        ({"verbose": 3}, "verbose must be 0 (silent), 1 (a bar on a terminal) or 2 (plain lines), got 3"),
    ],
)
def test_bad_settings_are_refused_with_their_value(options, text):
    model = compiled()
    before = weights(model)
    assert text in said(ValueError, lambda: model.fit(X, Y, **({"verbose": 0} | options)))
    assert_equal_weights(model, before)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"optimizer": "adm"}, "no optimizer 'adm'; did you mean 'adam'?"),
        ({"loss": "crossentropy"}, "no loss 'crossentropy'; did you mean 'cross_entropy'?"),
        ({"metrics": ["acuracy"]}, "no metric 'acuracy'; did you mean 'accuracy'?"),
    ],
)
def test_unknown_names_are_refused_by_compile_with_the_nearest(options, text):
    assert text in said(ValueError, lambda: digit_network().compile(**options))


def test_training_before_compile_is_refused():
    for call in (lambda: digit_network().fit(X, Y), lambda: digit_network().evaluate(X, Y)):
        assert "compile the model first: model.compile(optimizer='adam'" in said(RuntimeError, call)


# --------------------------------------------------------------------------- a loss that is not finite


class Spoil(Layer):
    """Passes its input on, and from a given training step makes one number of it NaN."""

    kind = "spoil"

    def __init__(self, at: int):
        super().__init__()
        self.at, self.count = at, 0

    def forward(self, x, train=False):
        """The input, spoilt."""
        self.count += train
        x = x.copy()
        x.flat[0] = np.nan if self.count >= self.at and train else x.flat[0]
        return x

    def backward(self, dy):
        """As it is."""
        return dy


def network_with(layer: Layer) -> Sequential:
    """Flatten, Dense, this layer, Dense."""
    model = Sequential([Flatten(), Dense(6), layer, Dense(10)], input_shape=(1, 8, 8))
    model.compile(optimizer=SGD(0.01), loss="cross_entropy")
    return model


def test_a_layer_that_makes_nan_is_named_with_epoch_and_step_and_the_weights_are_those_before_it():
    model, twin = network_with(Spoil(at=7)), network_with(Spoil(at=10**9))
    text = said(FloatingPointError, lambda: model.fit(X, Y, epochs=3, batch_size=8, shuffle=False, verbose=0))
    assert text.startswith("training stopped at epoch 2, step 3: the loss is nan: the first output that is not finite "
                           "is that of Spoil 'spoil1' (layer 3)")  # fmt: skip
    assert "Try a smaller learning rate, and inputs scaled to [0, 1]. The weights are those before this step." in text
    twin.fit(X, Y, batch_size=8, shuffle=False, verbose=0)
    twin.fit(X[:16], Y[:16], batch_size=8, shuffle=False, verbose=0)
    assert_equal_weights(model, weights(twin))


def test_nan_in_the_data_is_named_with_its_place():
    x = X.copy()
    x[9, 0, 3, 4] = np.nan
    model = compiled()
    before = weights(model)
    text = said(FloatingPointError, lambda: model.fit(x, Y, shuffle=False, verbose=0))
    assert "epoch 1, step 1: the loss is nan: the input holds nan at [9, 0, 3, 4] of the batch" in text
    assert_equal_weights(model, before)


def test_nan_in_a_weight_is_named():
    model = compiled()
    model.layer("conv1").params["b"][2] = np.nan
    text = said(FloatingPointError, lambda: model.fit(X, Y, verbose=0))
    assert "the loss is nan: the weights conv1.b are not finite" in text


@pytest.mark.parametrize("optimizer", [SGD(1e30), SGD(1e37, momentum=0.9), tc.optim.GD(1e38)])
def test_a_rate_far_too_large_ends_in_words_and_not_in_warnings(optimizer):
    model = compiled(optimizer=optimizer)
    text = said(FloatingPointError, lambda: model.fit(X, Y, epochs=20, verbose=0))
    assert re.match(r"training stopped at epoch \d+, step \d+: the loss is (nan|inf): the ", text)


def test_a_loss_that_is_infinite_by_itself_says_so():
    model = Sequential([Flatten(), Dense(2, kernel_initializer="zeros")], input_shape=(1, 8, 8))
    model.compile(loss="mse")
    text = said(FloatingPointError, lambda: model.fit(X, np.full((32, 2), 1e30, np.float32), verbose=0))
    assert "the loss is inf: every layer's output is finite, so it arises in the loss itself" in text


def test_an_optimizer_that_trains_one_network_is_refused_by_another():
    optimizer = tc.optim.Adam()
    first, second = digit_network(), digit_network()
    first.compile(optimizer, loss="cross_entropy")
    first.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match="this Adam already trains another network: make a new one"):
        second.compile(optimizer, loss="cross_entropy")
    first.compile(optimizer, loss="cross_entropy")  # its own it may go on with


@pytest.mark.parametrize("metrics", [["accuracy", "accuracy"], [lambda t, y: 0.0, lambda t, y: 1.0]])
def test_two_metrics_of_one_name_are_refused(metrics):
    with pytest.raises(ValueError, match="two numbers would be called"):
        digit_network().compile(metrics=metrics)


def test_a_softmax_is_found_inside_a_nested_network_and_before_a_flatten():
    inner = tc.Sequential([tc.Flatten(), tc.Dense(10), tc.Softmax()])
    for layers in ([inner], [tc.Flatten(), tc.Dense(10), tc.Softmax(), tc.Flatten()]):
        with pytest.raises(ValueError, match="applies softmax itself"):
            tc.Sequential(layers, input_shape=(1, 8, 8)).compile(loss="cross_entropy")


def test_an_infinite_gradient_stops_before_the_weights_change():
    model = Sequential([Dense(1)], input_shape=(3,))
    model.layers[0].params["w"][:] = 1e-8
    before = weights(model)
    model.compile(SGD(0.1), loss="mse")
    with pytest.raises(FloatingPointError, match=r"the gradient of dense1\.w is not finite"):
        model.fit(np.full((4, 3), 1e26, np.float32), np.zeros((4, 1)), verbose=0)
    assert_equal_weights(model, before)


def test_an_input_shape_with_the_channels_last_is_warned_of():
    with pytest.warns(UserWarning, match=r"means 32 channels of 32×3; channels come first here: \(3, 32, 32\)\?"):
        tc.Sequential([tc.Conv2D(2, 3)], input_shape=(32, 32, 3))
