"""The programs of articles 003 and 004 run here as they stand, but for imports, channels first, and smaller data.

What was changed is marked. `input_shape` keeps the article's image size.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinycnn
from tinycnn.data import to_nchw

SHRUNK = 12  # examples that stand in for the article's data


def pictures(N: int, side: int, seed: int = 0) -> np.ndarray:
    """Bytes as the article's loader gives them: (N, side, side, 3), uint8; the class shows in the colours."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 100, (N, side, side, 3))
    for n in range(N):
        x[n, ..., n % 3] += 100
    return x.astype(np.uint8)


def weights_by_hand(*layers: tuple[int, ...]) -> int:
    """Convolutions as (filters, channels, height, width) and dense layers as (units, inputs), with a bias for each."""
    return sum(int(np.prod(shape)) + shape[0] for shape in layers)


def test_article_003_runs_on_images_of_224_pixels_a_side(capsys):
    num_classes = 3
    train_images = to_nchw(pictures(2, 224)).astype(np.float32) / 255
    test_images = to_nchw(pictures(1, 224, seed=1)).astype(np.float32) / 255
    train_labels = tinycnn.data.to_categorical([0, 1], num_classes)
    test_labels = tinycnn.data.to_categorical([0], num_classes)

    # fmt: off
    # from tensorflow.keras import layers, models
    import tinycnn as models  # changed
    from tinycnn import layers  # changed

    # 定义CNN模型
    model = models.Sequential()
    model.add(layers.Conv2D(32, (3, 3), activation='relu', input_shape=(3, 224, 224)))  # changed: (224, 224, 3)
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Conv2D(64, (3, 3), activation='relu'))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Conv2D(128, (3, 3), activation='relu'))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Flatten())
    model.add(layers.Dense(512, activation='relu'))
    model.add(layers.Dense(num_classes, activation='softmax'))

    # 编译模型
    model.compile(optimizer='adam',
                  loss='categorical_crossentropy',
                  metrics=['accuracy'])

    # 训练模型
    model.fit(train_images, train_labels, epochs=1, validation_data=(test_images, test_labels))  # changed: 10 epochs

    # 评估模型
    test_loss, test_acc = model.evaluate(test_images,  test_labels, verbose=2)
    print('Test accuracy:', test_acc)
    # fmt: on

    assert [layer.output_shape for layer in model.layers if layer.kind in ("conv", "pool", "flatten")] == [
        (32, 222, 222), (32, 111, 111), (64, 109, 109), (64, 54, 54), (128, 52, 52), (128, 26, 26), (86528,)
    ]  # fmt: skip
    by_hand = weights_by_hand((32, 3, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3), (512, 128 * 26 * 26), (num_classes, 512))
    assert model.count_params() == by_hand == 896 + 18_496 + 73_856 + 44_302_848 + 1_539
    out = capsys.readouterr().out
    assert re.search(r"^Epoch 1/1 .*loss \d.*, accuracy .*, val_loss .*, val_accuracy", out)
    assert f"loss {test_loss:.4f}, accuracy {test_acc:.4f}" in out
    assert f"Test accuracy: {test_acc}" in out
    assert np.isfinite(test_loss)


class cifar10:  # noqa: N801, the name of the article's module
    """A stand-in for `keras.datasets.cifar10`: the same shapes and types, fewer pictures."""

    @staticmethod
    def load_data():
        """((x, y), (x, y)) with x (N, 32, 32, 3) uint8 and y (N, 1) uint8."""
        labels = (np.arange(SHRUNK) % 3).astype(np.uint8)[:, None]
        return (pictures(SHRUNK, 32), labels), (pictures(SHRUNK, 32, seed=1), labels)


def test_article_004_runs_and_learns(capsys):
    # fmt: off
    # from keras.datasets import cifar10
    (x_train, y_train), (x_test, y_test) = cifar10.load_data()

    x_train = x_train.astype('float32') / 255.
    x_test = x_test.astype('float32') / 255.

    x_train = to_nchw(x_train)  # changed: np.expand_dims(x_train, axis=1), which no layer of the article takes
    x_test = to_nchw(x_test)

    # from keras.utils import to_categorical
    from tinycnn.data import to_categorical
    y_train = to_categorical(y_train, 10)
    y_test = to_categorical(y_test, 10)

    # from keras.models import Sequential
    # from keras.layers import Conv2D, MaxPooling2D, Flatten, Dense
    from tinycnn import Conv2D, Dense, Flatten, MaxPooling2D, Sequential

    model = Sequential()
    model.add(Conv2D(32, (3, 3), activation='relu', input_shape=(3, 32, 32)))  # changed: (32, 32, 3)
    model.add(MaxPooling2D((2, 2)))
    model.add(Conv2D(64, (3, 3), activation='relu'))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(128, activation='relu'))
    model.add(Dense(10, activation='softmax'))

    # from keras.optimizers import Adam
    from tinycnn.optim import Adam

    optimizer = Adam(lr=0.001)
    model.compile(optimizer=optimizer, loss='categorical_crossentropy', metrics=['accuracy'])

    history = model.fit(x_train, y_train, batch_size=64, epochs=12, validation_data=(x_test, y_test))  # changed: 100

    loss, accuracy = model.evaluate(x_test, y_test)
    print('Test loss:', loss)
    print('Test accuracy:', accuracy)
    # fmt: on

    by_hand = weights_by_hand((32, 3, 3, 3), (64, 32, 3, 3), (128, 64 * 6 * 6), (10, 128))
    assert model.count_params() == by_hand == 896 + 18_496 + 295_040 + 1_290
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert accuracy > 0.6, "the class shows in the colours; guessing three classes gives a third"
    assert f"Test loss: {loss}\nTest accuracy: {accuracy}\n" in capsys.readouterr().out


def test_article_004s_extra_axis_is_refused_with_the_shape_that_is_wanted():
    (x, _), _ = cifar10.load_data()
    model = tinycnn.Sequential([tinycnn.Conv2D(32, (3, 3), input_shape=(3, 32, 32))])
    with pytest.raises(tinycnn.ShapeError, match=r"\(N, 3, 32, 32\), got shape \(12, 1, 32, 32, 3\)"):
        model.predict(np.expand_dims(x.astype(np.float32), axis=1))


def test_channels_last_images_are_refused_with_the_way_to_turn_them():
    (x, y), _ = cifar10.load_data()
    model = tinycnn.Sequential([tinycnn.Conv2D(4, 3, input_shape=(3, 32, 32)), tinycnn.Flatten(), tinycnn.Dense(3)])
    model.compile()
    with pytest.raises(tinycnn.ShapeError, match=r"Channels come first here: tinycnn.data.to_nchw\(x\)"):
        model.fit(x.astype(np.float32), y[:, 0])
    assert model.predict(to_nchw(x.astype(np.float32))).shape == (SHRUNK, 3)


def test_pixels_are_the_same_ones_after_turning():
    x = pictures(2, 5)
    turned = to_nchw(x)
    for n, c, r, q in np.ndindex(*turned.shape):
        assert turned[n, c, r, q] == x[n, r, q, c]
