"""Article 002's network: as it is written it is refused, with the reason; put right, it learns by its own recipe."""

from __future__ import annotations

import numpy as np
import pytest

import tinycnn as tc
from tinycnn import Conv2D, Dense, Flatten, MaxPool2D, ReLU, Reshape, Sequential, ShapeError, Softmax, zoo
from tinycnn.runs.network import with_recipe
from tinycnn.runs.settings import Settings
from tinycnn.runs.things import optimizer_of


def convolutions():
    return [Conv2D(32, 3, padding=1), ReLU(), MaxPool2D(2), Conv2D(64, 3, padding=1), ReLU(), MaxPool2D(2)]


def test_its_flattened_size_is_refused_instead_of_mixing_images():
    """`view(-1, 64*6*6)` of a batch of 9 gives 16 rows in PyTorch: here the shape of one example must fit."""
    with pytest.raises(ShapeError, match=r"64.*8.*8") as caught:
        Sequential([*convolutions(), Reshape((64 * 6 * 6,)), Dense(128), ReLU(), Dense(10)], input_shape=(3, 32, 32))
    assert "2304" in str(caught.value) or "2,304" in str(caught.value)
    right = Sequential([*convolutions(), Flatten(), Dense(128), ReLU(), Dense(10)], input_shape=(3, 32, 32))
    assert right.layer("flatten1").output_shape == (64 * 8 * 8,)


def test_its_softmax_before_a_loss_that_takes_logits_is_refused():
    model = Sequential([*convolutions(), Flatten(), Dense(128), ReLU(), Dense(10), Softmax()], input_shape=(3, 32, 32))
    with pytest.raises(ValueError, match="Softmax of a softmax squeezes all probabilities together"):
        model.compile(optimizer="sgd", loss="cross_entropy")


def test_its_recipe_takes_steps_on_batches_where_its_loop_took_one_an_epoch():
    told = with_recipe(Settings(net="article002"))
    optimizer = optimizer_of(told)
    assert (optimizer.name, optimizer.lr, optimizer.momentum) == ("sgd", 0.001, 0.9)
    model = zoo.article002(classes=3, input_shape=(3, 8, 8))
    model.compile(optimizer, told.loss, told.metrics)
    shapes = tc.data.load_shapes(90, size=8, channels=3, noise=0.05)
    model.fit(shapes.x.astype(np.float32), shapes.y, epochs=1, batch_size=told.batch_size, verbose=0)
    assert model.optimizer.steps == 3
