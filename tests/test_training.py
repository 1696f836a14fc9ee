"""Training: it learns, reports what it does, can be repeated to the bit, and touches nothing that is the caller's."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from networks import assert_equal_weights, compiled, digits, weights

import tinycnn as tc
from tinycnn import Dense, Flatten, Sequential, Softmax
from tinycnn.model import sequential
from tinycnn.optim import GD, SGD, Adam
from tinycnn.train import Evaluation, Mean

X, Y = digits(32)


def mean_loss(model: Sequential, x: np.ndarray, y: np.ndarray) -> float:
    """The mean of −log p at the right class, in float64, written out here."""
    z = model.predict(x).astype(np.float64)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return float(-logp[np.arange(len(y)), y].mean())


# --------------------------------------------------------------------------- learning


@pytest.mark.parametrize(
    ("loss", "head", "labels"),
    [
        ("cross_entropy", (), Y),
        ("cross_entropy", (), tc.data.one_hot(Y, 10)),
        ("sparse_categorical_crossentropy", (Softmax,), Y),
        ("categorical_crossentropy", (Softmax,), tc.data.one_hot(Y, 10)),
        ("mse", (), tc.data.one_hot(Y, 10)),
    ],
)
def test_a_tiny_network_learns_32_digits_by_heart(loss, head, labels):
    model = compiled(loss, Adam(0.01), tuple(make() for make in head))
    history = model.fit(X, labels, epochs=60, batch_size=8, verbose=0)
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    assert model.evaluate(X, labels)["accuracy"] == 1.0
    np.testing.assert_array_equal(model.predict_classes(X), Y)


def test_a_data_set_stands_for_its_examples_and_targets_to_the_bit():
    learn, watch = (tc.data.Dataset(X[rows], Y[rows], tuple("0123456789")) for rows in (slice(20), slice(20, 32)))
    one, other = compiled(), compiled()
    whole = one.fit(learn, epochs=2, batch_size=8, verbose=0, validation_data=watch)
    pairs = other.fit(learn.x, learn.y, epochs=2, batch_size=8, verbose=0, validation_data=(watch.x, watch.y))
    assert whole.history == pairs.history
    assert set(whole.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert_equal_weights(one, weights(other))
    assert one.evaluate(watch).as_dict() == other.evaluate(watch.x, watch.y).as_dict()
    for ask in ("predict", "predict_proba", "predict_classes"):
        np.testing.assert_array_equal(getattr(one, ask)(watch), getattr(other, ask)(watch.x))
    found = [tc.train.find_rate(one, *data, steps=10, batch_size=8).losses for data in ((learn,), (learn.x, learn.y))]
    assert found[0] == found[1]


def test_a_data_set_of_masks_is_trained_and_judged_pixel_by_pixel():
    masks = tc.data.load_shapes(6, size=8, target="mask")
    model = Sequential([tc.Conv2D(4, 1)], input_shape=(1, 8, 8))
    model.compile(metrics=["accuracy"])
    model.fit(masks, validation_data=masks[:2], verbose=0)
    assert model.evaluate(masks).as_dict() == model.evaluate(masks.x, masks.y).as_dict()


@pytest.mark.parametrize("optimizer", ["gd", "sgd", "momentum", "nesterov", "adam"])
def test_every_optimizer_lowers_the_loss(optimizer):
    model = compiled(optimizer=optimizer)
    before = mean_loss(model, X, Y)
    model.fit(X, Y, epochs=10, verbose=0)
    assert mean_loss(model, X, Y) < 0.9 * before


def test_an_untrained_network_knows_nothing_and_its_loss_is_about_log_10():
    model = Sequential([Flatten(), Dense(10, kernel_initializer="zeros")], input_shape=(1, 8, 8))
    model.compile()
    assert model.evaluate(X, Y).loss == pytest.approx(np.log(10), rel=1e-6)


# --------------------------------------------------------------------------- what is reported


def test_the_history_has_every_epoch_of_every_number():
    model = compiled()
    history = model.fit(X, Y, epochs=3, validation_data=(X[:5], Y[:5]), verbose=0)
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert all(len(values) == 3 and all(type(v) is float for v in values) for values in history.values())
    assert (history.epochs, len(history), history.history["loss"]) == (3, 4, history["loss"])
    assert repr(history).startswith("<history of 3 epochs: loss ")
    assert list(compiled().fit(X, Y, verbose=0)) == ["loss", "accuracy"]


def test_validation_numbers_are_those_of_evaluate_after_the_epoch():
    model = compiled()
    history = model.fit(X, Y, epochs=2, validation_data=(X[:7], Y[:7]), verbose=0)
    result = model.evaluate(X[:7], Y[:7])
    assert (history["val_loss"][-1], history["val_accuracy"][-1]) == (result.loss, result["accuracy"])


def test_validation_does_not_change_what_is_learned():
    with_, without = compiled(), compiled()
    with_.fit(X, Y, epochs=2, validation_data=(X[:7], Y[:7]), verbose=0)
    without.fit(X, Y, epochs=2, verbose=0)
    assert_equal_weights(with_, weights(without))


@pytest.mark.parametrize("batch_size", [5, 7, 31, 32, 100])
def test_the_loss_of_an_epoch_is_the_mean_over_examples_though_batches_differ_in_size(batch_size):
    """At a rate of 0 nothing moves, so the epoch's mean is that of the whole data."""
    model = compiled(optimizer=SGD(0.0))
    history = model.fit(X, Y, batch_size=batch_size, verbose=0)
    assert history["loss"][0] == pytest.approx(mean_loss(model, X, Y), rel=1e-5)
    assert history["accuracy"][0] == pytest.approx((model.predict_classes(X) == Y).mean(), rel=1e-12)


def test_means_over_batches_of_different_sizes_are_weighted_by_them():
    mean = Mean()
    mean.add({"loss": 1.0, "accuracy": 0.0}, 1)
    mean.add({"loss": 4.0, "accuracy": 1.0}, 3)
    assert mean.values() == {"loss": 3.25, "accuracy": 0.75}


def test_an_evaluation_unpacks_in_order_and_answers_to_names():
    result = compiled().evaluate(X, Y)
    loss, accuracy = result
    assert (result.loss, result["loss"], result[0]) == (loss, loss, loss)
    assert (result.accuracy, result["accuracy"], result[1]) == (accuracy, accuracy, accuracy)
    assert result.as_dict() == {"loss": loss, "accuracy": accuracy}
    assert isinstance(result, tuple)
    with pytest.raises(AttributeError, match="no metric 'recall'; there are loss, accuracy"):
        _ = result.recall
    with pytest.raises(KeyError):
        result["recall"]


def test_an_evaluation_can_be_copied_and_pickled():
    result = Evaluation({"loss": 0.5, "accuracy": 0.25})
    for twin in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert twin.as_dict() == result.as_dict()


def test_evaluation_in_batches_gives_what_one_batch_gives(monkeypatch):
    model = compiled()
    model.fit(X, Y, verbose=0)
    whole = model.evaluate(X, Y)
    for size in (1, 5, 31, 33):
        monkeypatch.setattr(sequential, "PREDICT_BATCH", size)
        assert model.evaluate(X, Y).loss == pytest.approx(whole.loss, rel=1e-5)
        assert model.evaluate(X, Y)["accuracy"] == whole["accuracy"]


def test_a_metric_may_be_a_function_of_your_own():
    def worst_score(y_true, scores):
        return float(scores.min())

    model = compiled()
    model.compile(loss="cross_entropy", metrics=["accuracy", worst_score])
    assert model.evaluate(X, Y)["worst_score"] == pytest.approx(model.predict(X).min())


# --------------------------------------------------------------------------- batches, order, seeds


class Watch(SGD):
    """An optimizer at a rate of 0 that counts its steps."""

    full_batch = False

    def __init__(self):
        super().__init__(0.0)


def seen(model: Sequential, monkeypatch) -> list[np.ndarray]:
    """The first pixels of every training batch, as they come."""
    batches, forward = [], model.forward

    def watched(x, train=False):
        if train:
            batches.append(x[:, 0, 0, 0].copy())
        return forward(x, train)

    monkeypatch.setattr(model, "forward", watched)
    return batches


def marked(N: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures whose first pixel is their number."""
    x = np.zeros((N, 1, 8, 8), np.float32)
    x[:, 0, 0, 0] = np.arange(N)
    return x, np.arange(N) % 10


def test_every_epoch_sees_every_example_once_in_an_order_of_its_own(monkeypatch):
    model = compiled(optimizer=Watch())
    batches = seen(model, monkeypatch)
    model.fit(*marked(50), epochs=2, batch_size=16, verbose=0)
    assert [len(b) for b in batches] == [16, 16, 16, 2] * 2
    first, second = np.concatenate(batches[:4]), np.concatenate(batches[4:])
    assert sorted(first) == sorted(second) == list(range(50))
    assert list(first) != list(range(50))
    assert list(first) != list(second)
    assert model.optimizer.steps == 8


def test_batches_are_of_32_unless_told_otherwise_and_in_order_without_shuffle(monkeypatch):
    model = compiled(optimizer=Watch())
    batches = seen(model, monkeypatch)
    model.fit(*marked(50), shuffle=False, verbose=0)
    assert [list(b) for b in batches] == [list(range(32)), list(range(32, 50))]


@pytest.mark.parametrize("seed", [0, 3])
def test_the_order_is_the_seeds(monkeypatch, seed):
    orders = []
    for one in (seed, seed, seed + 1):
        model = compiled(optimizer=Watch(), seed=one)
        batches = seen(model, monkeypatch)
        model.fit(*marked(40), epochs=2, verbose=0)
        orders.append(np.concatenate(batches).tolist())
    assert orders[0] == orders[1] != orders[2]


def test_two_runs_give_the_same_bits():
    runs = []
    for _ in range(2):
        model = compiled(seed=5)
        history = model.fit(X, Y, epochs=2, batch_size=7, validation_data=(X[:9], Y[:9]), verbose=0)
        runs.append((weights(model), dict(history), model.predict(X)))
    for key, w in runs[0][0].items():
        np.testing.assert_array_equal(w, runs[1][0][key])
    assert runs[0][1] == runs[1][1]
    np.testing.assert_array_equal(runs[0][2], runs[1][2])


def test_fit_goes_on_from_where_it_stopped():
    once, twice = compiled(), compiled()
    once.fit(X, Y, epochs=2, verbose=0)
    twice.fit(X, Y, epochs=1, verbose=0)
    twice.fit(X, Y, epochs=1, verbose=0)
    assert_equal_weights(twice, weights(once))


@pytest.mark.parametrize("optimizer", ["adam", "gd"])
def test_training_leaves_the_data_untouched_and_takes_read_only_ones(optimizer):
    x, y = X.copy(), Y.copy()
    x.flags.writeable = y.flags.writeable = False
    compiled(optimizer=optimizer).fit(x, y, epochs=2, validation_data=(x, y), verbose=0)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)


@pytest.mark.parametrize("same", [lambda x, y: (x.tolist(), y.tolist()), lambda x, y: (np.asfortranarray(x), y[::1]),
                                  lambda x, y: (x.astype(np.float64), y.astype(np.uint8))])  # fmt: skip
def test_lists_and_other_layouts_train_the_same(same):
    a, b = compiled(), compiled()
    a.fit(X, Y, verbose=0)
    x, y = same(X, Y)
    b.fit(np.asarray(x, np.float32), y, verbose=0)
    assert_equal_weights(b, weights(a))


# --------------------------------------------------------------------------- gradient descent


def test_gradient_descent_sees_all_data_in_one_step_an_epoch(monkeypatch):
    model = compiled(optimizer=GD(0.1))
    batches = seen(model, monkeypatch)
    model.fit(*marked(70), epochs=3, verbose=0)
    assert [len(b) for b in batches] == [70, 70, 70]
    assert model.optimizer.steps == 3
    model.fit(*marked(70), batch_size=70, verbose=0)


def test_gradient_descent_refuses_batches():
    model = compiled(optimizer="gd")
    with pytest.raises(ValueError, match=r"GD\(lr=0.1\) is full-batch gradient descent: leave batch_size out "
                                         r"\(one step sees all 32 examples\), or use SGD for batches"):  # fmt: skip
        model.fit(X, Y, batch_size=16, verbose=0)


def test_a_step_of_gradient_descent_is_its_formula():
    model = compiled(optimizer=GD(0.05), dtype=np.float64)
    before = weights(model)
    model.forward(X.astype(np.float64), train=True)
    model.loss.forward(model.forward(X.astype(np.float64)), Y)
    model.backward(model.loss.backward())
    grads = {key: g.copy() for key, g in model.named_grads().items()}
    model.fit(X, Y, shuffle=False, verbose=0)
    for key, w in model.named_params().items():
        np.testing.assert_allclose(w, before[key] - 0.05 * grads[key], rtol=1e-12, atol=1e-15)
