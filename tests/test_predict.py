"""Asking a network: numbers, probabilities, classes; for no example or many, from one thread or several."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest
from networks import compiled, digit_network, digits
from oracles import assert_same

import tinycnn as tc
from tinycnn import Conv2D, Dense, Flatten, LogSoftmax, Sequential, ShapeError, Softmax
from tinycnn.model.sequential import PREDICT_BATCH


def softmax(z: np.ndarray) -> np.ndarray:
    """Written out here, not by the code under test."""
    e = np.exp(z.astype(np.float64))
    return e / e.sum(axis=1, keepdims=True)


def test_predict_gives_what_the_last_layer_gives_in_any_number_of_batches():
    model = digit_network()
    x = np.random.default_rng(0).random((2 * PREDICT_BATCH + 3, 1, 8, 8), np.float32)
    y = model.predict(x)
    assert y.shape == (len(x), 10)
    one_by_one = np.concatenate([model.forward(x[i : i + 1]) for i in range(0, len(x), 37)])
    assert_same(y[::37], one_by_one, tol=1e-5)


@pytest.mark.parametrize("head", [(), (Softmax(),), (LogSoftmax(),)])
def test_probabilities_are_the_same_whether_the_network_ends_in_logits_or_in_a_softmax(head):
    x, _ = digits(9)
    p = digit_network(tuple(type(layer)() for layer in head), seed=1).predict_proba(x)
    z = digit_network(seed=1).predict(x)
    assert_same(p, softmax(z), tol=1e-5)
    assert_same(p.sum(axis=1), np.ones(9), tol=1e-5)


def test_classes_are_those_of_the_highest_score_and_the_first_on_a_tie():
    model, (x, _) = digit_network(), digits(20)
    np.testing.assert_array_equal(model.predict_classes(x), [row.argmax() for row in model.predict(x)])
    tied = Sequential([Dense(3, kernel_initializer="zeros")], input_shape=(2,))
    np.testing.assert_array_equal(tied.predict_classes(np.ones((2, 2), np.float32)), [0, 0])


def test_a_network_trained_on_values_has_no_probabilities():
    model = Sequential([Dense(3)], input_shape=(2,))
    model.compile(loss="mse")
    with pytest.raises(ValueError, match="no probabilities: the loss 'mse' does not come from logits or a softmax"):
        model.predict_proba(np.zeros((1, 2), np.float32))


@pytest.mark.parametrize("head", [(), (Softmax,), (LogSoftmax,)])
def test_an_empty_batch_gives_empty_answers(head):
    model, x = digit_network(tuple(make() for make in head)), np.zeros((0, 1, 8, 8), np.float32)
    assert model.predict(x).shape == (0, 10)
    assert model.predict_proba(x).shape == (0, 10)
    assert model.predict_classes(x).shape == (0,)


def test_images_of_logits_are_predicted_pixel_by_pixel():
    model = Sequential([Conv2D(3, 3, padding="same")], input_shape=(1, 4, 5))
    x = np.random.default_rng(0).normal(size=(2, 1, 4, 5)).astype(np.float32)
    assert model.predict_proba(x).shape == (2, 3, 4, 5)
    assert model.predict_classes(x).shape == (2, 4, 5)
    assert_same(model.predict_proba(x).sum(axis=1), np.ones((2, 4, 5)), tol=1e-5)


@pytest.mark.parametrize("layers", [[Flatten], [Softmax], [tc.ReLU, Flatten], [lambda: tc.Pad2D(0)]])
def test_what_is_returned_belongs_to_the_caller(layers):
    model = Sequential([make() for make in layers], input_shape=(2, 3, 4))
    x = np.random.default_rng(0).random((3, 2, 3, 4), np.float32)
    kept, first = x.copy(), model.predict(x)
    assert not np.shares_memory(first, x)
    expected = first.copy()
    first[...] = -1
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(model.predict(x), expected)


def test_predicting_does_not_touch_its_input_nor_the_weights():
    model, (x, _) = digit_network(), digits(5)
    x.flags.writeable = False
    before = {key: w.copy() for key, w in model.named_params().items()}
    model.predict(x), model.predict_proba(x), model.predict_classes(x)
    for key, w in model.named_params().items():
        np.testing.assert_array_equal(w, before[key])


def test_threads_that_ask_at_once_all_get_the_right_answers():
    model = compiled(seed=2)
    rng = np.random.default_rng(0)
    questions = [rng.random((int(rng.integers(1, 40)), 1, 8, 8), np.float32) for _ in range(24)]
    expected = [model.predict(x) for x in questions]
    labels = [rng.integers(0, 10, len(x)) for x in questions]
    losses = [model.evaluate(x, y).loss for x, y in zip(questions, labels, strict=True)]
    wrong, start = [], threading.Barrier(6, timeout=20)

    def ask(worker: int) -> None:
        start.wait()
        for turn in range(len(questions)):
            i = (worker * 5 + turn) % len(questions)
            if not np.array_equal(model.predict(questions[i]), expected[i]):
                wrong.append(i)
            if model.evaluate(questions[i], labels[i]).loss != losses[i]:
                wrong.append(i)

    threads = [threading.Thread(target=ask, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_asking_while_it_trains_does_not_disturb_the_training():
    """Layers keep one cache: a prediction between a forward and its backward would spoil the gradient."""
    (x, y), runs = digits(32), []
    for askers in (0, 3):
        model, over = compiled(seed=1), threading.Event()

        def ask(size: int, model: Sequential = model, over: threading.Event = over) -> None:
            while not over.is_set():
                model.predict(x[:size])

        threads = [threading.Thread(target=ask, args=(1 + 7 * i,), daemon=True) for i in range(askers)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                model.fit(x, y, epochs=4, batch_size=8, verbose=0)
        finally:
            over.set()
        for thread in threads:
            thread.join(30)
        runs.append(model.predict(x))
    np.testing.assert_array_equal(*runs)


def test_the_same_answers_from_any_layout_of_the_same_numbers():
    model, (x, _) = digit_network(), digits(6)
    expected = model.predict(x)
    strided = np.repeat(x, 2, axis=0)[::2]
    for same in (np.asfortranarray(x), strided, x.astype(">f4"), x.astype(np.float64), x.tolist()):
        np.testing.assert_array_equal(model.predict(np.asarray(same)), expected)


@pytest.mark.parametrize(
    ("x", "kind", "said"),
    [
        (np.zeros((2, 1, 8, 8), np.uint8), TypeError, "x must hold float32 or float64, got uint8; pictures of 0…255 "
         "become x.astype(np.float32) / 255"),
        (np.zeros((2, 1, 8, 8), np.float16), TypeError, "got float16"),
        (np.zeros((2, 1, 8, 8), complex), TypeError, "got complex128"),
        (np.zeros((2, 1, 8, 8), bool), TypeError, "got bool"),
        (np.full((2, 1, 8, 8), "a"), TypeError, "got <U1"),
        (None, TypeError, "got object"),
        (np.zeros((1, 8, 8)), ShapeError, "For one example: x[None]"),
        (np.zeros((5, 8, 8)), ShapeError, "Add the channel axis: x[:, None]"),
        (np.zeros((5, 8, 8, 1)), ShapeError, "Channels come first here: tinycnn.data.to_nchw(x)"),
        (np.zeros((5, 64)), ShapeError, "Unfold the rows: x.reshape(-1, 1, 8, 8)"),
        (np.zeros((5, 3, 8, 8)), ShapeError, "x must be a batch of (1, 8, 8) examples, (N, 1, 8, 8), got shape "
         "(5, 3, 8, 8)"),
        (np.zeros(()), ShapeError, "got shape ()"),
    ],
)  # fmt: skip
def test_what_is_no_batch_of_examples_is_refused_with_the_way_out(x, kind, said):
    with pytest.raises(kind) as caught:
        digit_network().predict(x)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("x", "fix"),
    [
        (np.zeros((1, 8, 8), np.float32), lambda x: x[None]),
        (np.zeros((5, 8, 8), np.float32), lambda x: x[:, None]),
        (np.zeros((5, 8, 8, 1), np.float32), tc.data.to_nchw),
        (np.zeros((5, 64), np.float32), lambda x: x.reshape(-1, 1, 8, 8)),
        (np.zeros((5, 1, 8, 8), np.uint8), lambda x: x.astype(np.float32) / 255),
    ],
)
def test_the_way_out_that_a_message_shows_works(x, fix):
    with pytest.raises((ShapeError, TypeError)):
        digit_network().predict(x)
    assert digit_network().predict(fix(x)).shape[1:] == (10,)


def test_a_deep_copy_is_a_network_of_its_own():
    model = compiled()
    twin = copy.deepcopy(model)
    x, y = digits(32)
    before = model.predict(x)
    np.testing.assert_array_equal(twin.predict(x), before)
    twin.fit(x, y, epochs=1, verbose=0)
    np.testing.assert_array_equal(model.predict(x), before)
    model.fit(x, y, epochs=1, verbose=0)
    np.testing.assert_array_equal(model.predict(x), twin.predict(x))


def test_nothing_to_choose_from_is_no_class():
    one = tc.Sequential([tc.Flatten(), tc.Dense(1)], input_shape=(1, 8, 8))
    with pytest.raises(ValueError, match="1 output is no choice of classes"):
        one.predict_classes(digits(4)[0])


def test_an_example_that_is_not_a_number_has_no_class():
    x = digits(4)[0].copy()
    x[2, 0, 3, 3] = np.nan
    with pytest.raises(ValueError, match="the scores of example 2 are NaN"):
        compiled().predict_classes(x)
