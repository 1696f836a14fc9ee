"""Augmentation in training: of every example once an epoch, and of training data alone."""

from __future__ import annotations

import numpy as np
import pytest

import tinycnn as tc
from tinycnn import Conv2D, Dense, Flatten, ReLU, Sequential
from tinycnn.data import (
    CentreCrop,
    Compose,
    MixUp,
    RandomBrightness,
    RandomCrop,
    RandomFlip,
    RandomRotate90,
    one_hot,
)
from tinycnn.data.augment import Augmentation
from tinycnn.errors import ShapeError

# ---------------------------------------------------------------- training with it


class Seen(Augmentation):
    """Changes nothing that matters, and notes what it is given."""

    def __init__(self):
        self.calls = []

    def batch(self, x, t, seed, epoch, index):
        self.calls.append((seed, epoch, np.array(index), x.copy(), t.copy()))
        return x, t


def network(seed: int = 3) -> Sequential:
    model = Sequential([Conv2D(3, 3, padding="same"), ReLU(), Flatten(), Dense(10)], input_shape=(1, 8, 8), seed=seed)
    model.compile(optimizer="sgd", loss="cross_entropy", metrics=["accuracy"])
    return model


def weights(model) -> np.ndarray:
    return np.concatenate([w.ravel() for w in model.named_params().values()])


def test_training_sees_every_example_once_an_epoch_with_its_own_number_and_the_model_s_seed():
    train, val, _ = tc.data.load_digits()
    x, y, seen, model = train.x[:50], train.y[:50], Seen(), network(seed=3)
    model.fit(x, y, epochs=2, batch_size=16, augment=seen, validation_data=(val.x, val.y), verbose=0)
    model.fit(x, y, epochs=1, batch_size=16, augment=seen, verbose=0)
    assert {call[0] for call in seen.calls} == {3}
    assert [call[1] for call in seen.calls] == [0] * 4 + [1] * 4 + [2] * 4
    for epoch in range(3):
        index = np.concatenate([call[2] for call in seen.calls if call[1] == epoch])
        assert sorted(index) == list(range(50))
    for _, _, index, x_batch, t_batch in seen.calls:
        np.testing.assert_array_equal(x_batch, x[index])
        np.testing.assert_array_equal(t_batch, y[index])


def test_validation_and_test_data_are_never_augmented():
    """An augmentation that wipes every picture: training is blind, and validation is what it is without any."""

    class Wipe(Augmentation):
        def apply(self, x, mask, draws):
            return np.zeros_like(x), mask

    train, val, test = tc.data.load_digits()
    model = network()
    history = model.fit(train.x[:64], train.y[:64], validation_data=(val.x, val.y), augment=Wipe(), verbose=0)
    result = model.evaluate(val.x, val.y)
    assert history["val_loss"][-1] == result.loss
    assert history["val_accuracy"][-1] == result["accuracy"]
    assert len(np.unique(model.predict(test.x), axis=0)) > 100
    assert abs(history["loss"][-1] - np.log(10)) < 0.05  # blind: no better than a guess


def test_no_augmentation_and_one_that_changes_nothing_train_alike_and_a_seed_repeats_itself():
    train, _, _ = tc.data.load_digits()
    x, y, trained = train.x[:60], train.y[:60], {}
    augment = Compose([RandomCrop(8, padding=1), RandomBrightness(0.2)])
    for name, what in {"plain": None, "nothing": RandomFlip(p=0), "a": augment, "b": augment}.items():
        model = network()
        model.fit(x, y, epochs=2, batch_size=16, augment=what, verbose=0)
        trained[name] = weights(model)
    np.testing.assert_array_equal(trained["plain"], trained["nothing"])
    np.testing.assert_array_equal(trained["a"], trained["b"])
    assert not np.array_equal(trained["a"], trained["plain"])


def test_masks_are_moved_with_their_pictures_in_training():
    """Pixels to be told apart by their brightness: learnt only if mask and picture stay together."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (40, 1, 6, 6)).astype(np.float32)
    t = x[:, 0].astype(np.int64)
    model = Sequential([Conv2D(2, 1)], input_shape=(1, 6, 6), seed=0)
    model.compile(optimizer=tc.optim.Adam(0.1), loss="cross_entropy")
    augment = Compose([RandomFlip(), RandomRotate90(), RandomCrop(6, padding=2)])
    history = model.fit(x, t, epochs=12, batch_size=10, augment=augment, verbose=0)
    assert history["loss"][-1] < 0.1  # and 0.69 is a guess
    for targets in (t, t[:, None], np.stack([1 - t, t], axis=1).astype(np.float32)):
        y, moved = augment.batch(x, targets, 0, 0, np.arange(40))
        assert moved.shape == targets.shape
        np.testing.assert_array_equal(y[:, 0], moved if moved.ndim == 3 else moved[:, -1])


def test_mixup_trains_with_probabilities():
    train, _, _ = tc.data.load_digits()
    model = network()
    model.compile(optimizer="sgd", loss="cross_entropy", metrics=["accuracy"])
    history = model.fit(train.x[:64], one_hot(train.y[:64], 10), augment=Compose([RandomFlip(), MixUp(0.4)]), verbose=0)
    assert np.isfinite(history["loss"][-1])
    assert 0 <= history["accuracy"][-1] <= 1


def test_what_cannot_augment_is_refused_before_training():
    train, _, _ = tc.data.load_digits()
    model = network()
    before = weights(model)
    with pytest.raises(TypeError, match=r"augment must be an augmentation of tinycnn\.data"):
        model.fit(train.x, train.y, augment=np.flip, verbose=0)
    with pytest.raises(ShapeError, match=r"augment made pictures \(1, 8, 8\) into \(1, 4, 4\)"):
        model.fit(train.x, train.y, augment=CentreCrop(4), verbose=0)
    np.testing.assert_array_equal(weights(model), before)
