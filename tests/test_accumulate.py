"""Accumulated gradients are those of one large batch, where the loss is a mean over examples."""

from __future__ import annotations

import numpy as np
import pytest
from networks import assert_equal_weights, compiled, digits, weights

import tinycnn as tc
from tinycnn import BatchNorm2D, Conv2D, Dense, Dropout, Flatten, ReLU, Sequential, Softmax
from tinycnn.layers.losses import LOSSES
from tinycnn.optim import L2, SGD, Adam, Constant

X, Y = digits(50)
HOT = tc.data.one_hot(Y, 10)
REFUSED = {"dice"}
TARGETS = {"cross_entropy": Y, "focal": Y, "multi_margin": Y, "sparse_categorical_crossentropy": Y}


def small(loss: str = "cross_entropy", middle: tuple = (), **options) -> Sequential:
    head = [Softmax()] if "categorical" in loss else []
    model = Sequential([Conv2D(4, 3), *middle, ReLU(), Flatten(), Dense(10), *head], (1, 8, 8), seed=2,
                       dtype=np.float64)  # fmt: skip
    model.compile(options.pop("optimizer", SGD(0.05)), loss, **options)
    return model


def pair(make, y=Y, k: int = 3, batch_size: int = 7, **options) -> tuple[Sequential, Sequential]:
    """Trained on small batches, accumulated, and on large ones: 50 = 2·21 + 8 = 7·7 + 1."""
    parts, whole = make(), make()
    parts.fit(X, y, epochs=2, batch_size=batch_size, accumulate=k, verbose=0, **options)
    whole.fit(X, y, epochs=2, batch_size=k * batch_size, verbose=0, **options)
    return parts, whole


def assert_near(parts: Sequential, whole: Sequential) -> None:
    for key, w in parts.named_params().items():
        np.testing.assert_allclose(w, whole.named_params()[key], rtol=1e-9, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - REFUSED))
def test_small_batches_together_step_as_one_large_batch(name):
    y = TARGETS.get(name, HOT if name != "hinge" else 2 * HOT - 1)
    head = {"binary_cross_entropy": True, "binary_crossentropy": True}.get(name, False)

    def make():
        model = small("cross_entropy")
        if head or "categorical" in name:
            model.add(tc.Sigmoid() if head else Softmax())
        model.compile(SGD(0.05), name)
        return model

    parts, whole = pair(make, y)
    assert_near(parts, whole)
    assert parts.optimizer.steps == whole.optimizer.steps == 6


def test_and_so_with_adam_a_penalty_clipping_and_a_schedule_by_the_step():
    schedule = tc.optim.Warmup(3, every="step")
    make = lambda: small(optimizer=Adam(0.01, clip_norm=0.1, schedule=schedule), regularizer=L2(0.01))  # noqa: E731
    parts, whole = pair(make)
    assert_near(parts, whole)


def test_the_numbers_of_an_epoch_are_means_over_its_examples_all_the_same():
    models = [small(optimizer=SGD(0.0), metrics=["accuracy"]) for _ in range(2)]
    parts = models[0].fit(X, Y, batch_size=7, accumulate=3, verbose=0)
    whole = models[1].fit(X, Y, batch_size=21, verbose=0)
    for key in ("loss", "accuracy"):
        assert parts[key][0] == pytest.approx(whole[key][0], rel=1e-12)


def test_dropout_draws_for_small_batches_what_it_draws_for_the_large_one():
    parts, whole = pair(lambda: small(middle=(Dropout(0.4), )))
    assert_near(parts, whole)


def test_a_batch_norm_sees_the_small_batches_so_it_is_not_the_same():
    parts, whole = pair(lambda: small(middle=(BatchNorm2D(),)), k=2, batch_size=10)
    assert abs(parts.named_params()["conv1.w"] - whole.named_params()["conv1.w"]).max() > 1e-6


def test_one_batch_a_step_is_what_it_was():
    a, b = compiled(), compiled()
    a.fit(X, Y, batch_size=7, verbose=0)
    b.fit(X, Y, batch_size=7, accumulate=1, verbose=0)
    assert_equal_weights(a, weights(b))


@pytest.mark.parametrize(
    ("options", "accumulate", "said"),
    [
        ({}, 0, "accumulate must be an int ≥ 1, got 0"),
        ({}, 2.0, "accumulate must be an int ≥ 1, got 2.0"),
        ({"optimizer": "gd"}, 2, "accumulate=2: GD(lr=0.1) sees all data in every step already"),
        ({"loss": tc.layers.losses.CrossEntropy(class_weights=[1.0] * 9 + [3.0])}, 2, "no plain mean over examples"),
        ({"loss": tc.layers.losses.CrossEntropy(ignore_index=3)}, 2, "no plain mean over examples"),
    ],
)
def test_what_would_not_add_up_is_refused(options, accumulate, said):
    model = small(optimizer=SGD(0.1, schedule=Constant()))
    model.compile(**{"optimizer": "sgd", "loss": "cross_entropy"} | options)
    before = weights(model)
    with pytest.raises(ValueError, match=r".") as caught:
        model.fit(X, Y, accumulate=accumulate, verbose=0)
    assert said in str(caught.value)
    assert_equal_weights(model, before)
