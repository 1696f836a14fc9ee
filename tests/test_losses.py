"""Loss objects: their options are checked and travel, they stay finite, and stand behind the layer they belong to."""

from __future__ import annotations

import numpy as np
import pytest
from networks import digits
from oracles import assert_same

import tinycnn as tc
from tinycnn import Conv2D, Dense, Flatten, LogSoftmax, ReLU, Reshape, Sequential, ShapeError, Sigmoid, Softmax
from tinycnn.layers import losses
from tinycnn.layers.losses import (
    LOSSES,
    MAE,
    MSE,
    BCEWithLogits,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CrossEntropy,
    Dice,
    Focal,
    Hinge,
    MultiMargin,
    SparseCategoricalCrossentropy,
    loss_named,
)
from tinycnn.verify import check_model

VARIED = [
    CrossEntropy([1.0, 2.0, 0.5], 0.1, 255), Focal(1.5, [1.0, 2.0, 0.5]), MultiMargin(0.5), Dice(0.25), MSE(), MAE(),
    Hinge(), BCEWithLogits(), BinaryCrossentropy(), CategoricalCrossentropy(), SparseCategoricalCrossentropy(),
]  # fmt: skip
HEADS = {"probabilities": [Softmax], "answers": [Sigmoid]}
RNG = np.random.default_rng(0)


def targets_for(loss, shape, seed=0):
    """Targets that this loss takes for scores of this shape."""
    rng = np.random.default_rng(seed)
    K, labels = shape[1], rng.integers(0, shape[1], (shape[0], *shape[2:]))
    if isinstance(loss, CategoricalCrossentropy):
        return np.moveaxis(np.eye(K)[labels], -1, 1)
    if isinstance(loss, MSE | MAE):
        return rng.normal(size=shape)
    if isinstance(loss, Hinge):
        return rng.choice([-1, 1], shape)
    if isinstance(loss, BCEWithLogits | BinaryCrossentropy | Dice):
        return rng.integers(0, 2, shape)
    return labels


def scores_for(loss, shape, seed=1, size=1.0):
    """Scores of the kind that this loss takes: at a large size, probabilities are almost or wholly 0 and 1."""
    z = size * np.random.default_rng(seed).normal(size=shape)
    if loss.takes == "probabilities":
        return tc.ops.softmax_forward(z)[0]
    return tc.ops.sigmoid_forward(z)[0] if loss.takes == "answers" else z


every_loss = pytest.mark.parametrize("loss", VARIED, ids=lambda loss: loss.name)


def test_every_loss_is_here():
    assert {type(loss) for loss in VARIED} == set(LOSSES.values())


# --------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CrossEntropy(label_smoothing=1.0), "label_smoothing must be ≥ 0 and < 1, got 1.0"),
        (lambda: CrossEntropy(label_smoothing=-0.1), "label_smoothing must be ≥ 0 and < 1, got -0.1"),
        (lambda: Focal(gamma=0.5), "gamma must be 0, or at least 1, got 0.5"),
        (lambda: Focal(gamma=-1), "gamma must be 0, or at least 1, got -1"),
        (lambda: MultiMargin("1"), "margin must be a finite number, got '1'"),
        (lambda: Dice(np.nan), "smooth must be a finite number, got nan"),
        (lambda: Dice(-1), "smooth must be ≥ 0, got -1"),
        (lambda: loss_named("crossentropy"), "no loss 'crossentropy'; did you mean 'cross_entropy'"),
    ],
)
def test_a_bad_option_is_refused_with_its_value(make, said):
    with pytest.raises(ValueError, match=r".") as caught:
        make()
    assert said in str(caught.value)


@every_loss
def test_an_unknown_option_is_refused_by_name(loss):
    with pytest.raises(TypeError, match="'smoothing'"):
        type(loss)(smoothing=0.1)


@pytest.mark.parametrize("weights", [[1.0, 2.0], [1.0, -1.0, 2.0], [1.0, np.inf, 1.0]])
def test_class_weights_that_do_not_fit_the_classes_are_refused(weights):
    for loss in (CrossEntropy(weights), Focal(class_weights=weights)):
        with pytest.raises(ValueError, match="class_weights must be 3 numbers ≥ 0, one a class, got"):
            loss.forward(np.zeros((2, 3)), np.array([0, 1]))


@every_loss
def test_its_config_and_its_repr_make_an_equal_loss(loss):
    twin = type(loss)(**loss.config())
    assert eval(repr(loss), vars(losses)).config() == twin.config() == loss.config()
    shape = (4, 3, 2, 2)
    assert twin.forward(scores_for(loss, shape), targets_for(loss, shape)) == loss.forward(
        scores_for(loss, shape), targets_for(loss, shape)
    )


@every_loss
def test_a_saved_network_comes_back_with_its_loss_and_the_losss_options(loss, tmp_path):
    head = [make() for make in HEADS.get(loss.takes, [])]
    model = Sequential([Flatten(), Dense(3), *head], input_shape=(2, 2, 2))
    model.compile(loss=loss)
    model.save(tmp_path / "model.safetensors")
    twin = tc.load(tmp_path / "model.safetensors")
    assert type(twin.loss) is type(loss)
    assert twin.loss.config() == loss.config()
    x, t = RNG.normal(size=(5, 2, 2, 2)).astype(np.float32), targets_for(loss, (5, 3))
    assert twin.evaluate(x, t).loss == model.evaluate(x, t).loss


# --------------------------------------------------------------------------- stability


@every_loss
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1), (6, 3), (2, 3, 4, 2)])
def test_extreme_scores_and_a_batch_of_one_give_a_finite_loss_and_gradient(loss, dtype, shape):
    for size in (0.0, 1.0, 1e4):
        scores = scores_for(loss, shape, size=size).astype(dtype)
        for seed in range(3):
            value = loss.forward(scores, targets_for(loss, shape, seed))
            gradient = loss.backward()
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()
            assert (np.asarray(value).dtype, gradient.dtype, gradient.shape) == (dtype, dtype, shape)


@every_loss
@pytest.mark.parametrize("rung", ["numpy", "numba"])
def test_a_nan_among_the_scores_is_a_nan_of_the_loss(loss, rung):
    x, t = scores_for(loss, (3, 3, 5, 2)), targets_for(loss, (3, 3, 5, 2))
    at = (1, 2, 3, 1)
    if isinstance(loss, CategoricalCrossentropy | SparseCategoricalCrossentropy):
        at = (1, int(t[1, 3, 1]) if t.ndim == 3 else int(t[1, :, 3, 1].argmax()), 3, 1)  # others are not looked at
    x[at] = np.nan
    with tc.backend(rung):
        assert np.isnan(loss.forward(x, t))


@every_loss
def test_the_gradient_is_scaled_by_what_comes_from_above(loss):
    shape = (3, 3, 2, 2)
    loss.forward(scores_for(loss, shape), targets_for(loss, shape))
    assert_same(loss.backward(-2.5), -2.5 * loss.backward())


def test_dice_of_empty_masks_is_perfect_and_without_smoothing_refused():
    empty, loss = np.zeros((1, 2, 2, 2)), Dice()
    assert loss.forward(empty, empty) == 0
    assert np.isfinite(loss.backward()).all()
    with pytest.raises(ValueError, match=r"class 0 of example 0 has neither .* smooth"):
        Dice(smooth=0).forward(empty, empty)


# --------------------------------------------------------------------------- in a network


def test_per_pixel_labels_train_and_their_accuracy_is_that_of_the_pixels():
    x = RNG.normal(size=(8, 1, 6, 5)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    model = Sequential([Conv2D(4, 3, padding="same"), ReLU(), Conv2D(2, 1)], input_shape=(1, 6, 5))
    model.compile(tc.optim.Adam(0.05), CrossEntropy(), metrics=["accuracy"])
    history = model.fit(x, y, epochs=40, batch_size=4, verbose=0)
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    found = model.evaluate(x, y)["accuracy"]
    assert found == pytest.approx((model.predict(x).argmax(axis=1) == y).mean())
    assert found > 0.95


def test_pixels_labelled_with_the_ignored_index_do_not_count():
    x, y = RNG.normal(size=(2, 1, 4, 4)).astype(np.float32), RNG.integers(0, 2, (2, 4, 4))
    model = Sequential([Conv2D(2, 3, padding="same")], input_shape=(1, 4, 4))
    model.compile(loss=CrossEntropy(ignore_index=255))
    y[:, 0] = 255
    scores = model.predict(x)
    expected = CrossEntropy().forward(scores[:, :, 1:], y[:, 1:])
    assert model.evaluate(x, y).loss == pytest.approx(float(expected), rel=1e-5)
    model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="label 254"):
        model.fit(x, np.where(y == 255, 254, y), verbose=0)


def test_several_labels_may_hold_at_once_with_bce_with_logits():
    x, y = digits(32)
    t = np.stack([y % 2 == 0, y > 4, y == 3], axis=1).astype(np.int64)
    model = Sequential([Flatten(), Dense(16), ReLU(), Dense(3)], input_shape=(1, 8, 8))
    model.compile(tc.optim.Adam(0.02), BCEWithLogits())
    model.fit(x, t, epochs=60, verbose=0)
    p = model.predict_proba(x)
    assert ((p > 0.5) == t).mean() > 0.98
    assert not np.allclose(p.sum(axis=1), 1), "answers of their own, not parts of one"


@pytest.mark.parametrize(("head", "classes"), [(Sigmoid, 1), (Softmax, 2)])
def test_dice_learns_a_mask_behind_a_sigmoid_or_a_softmax(head, classes):
    x = RNG.normal(size=(6, 1, 6, 6)).astype(np.float32)
    mask = (x > 0.5).astype(np.float32)
    t = mask if classes == 1 else np.concatenate([1 - mask, mask], axis=1)
    model = Sequential([Conv2D(4, 1), ReLU(), Conv2D(classes, 1), head()], input_shape=(1, 6, 6))
    model.compile(tc.optim.Adam(0.05), Dice())
    history = model.fit(x, t, epochs=80, verbose=0)
    assert history["loss"][-1] < 0.3 * history["loss"][0]


@every_loss
def test_a_network_with_this_loss_agrees_with_the_complex_step(loss):
    head = [make() for make in HEADS.get(loss.takes, [])]
    model = Sequential([Conv2D(4, 2), ReLU(), Conv2D(3, 2), *head], input_shape=(2, 4, 5), seed=3)
    model.compile(loss=loss)
    report = check_model(model, RNG.normal(size=(3, 2, 4, 5)), targets_for(loss, (3, 3, 2, 3)))
    assert report.worst_error <= 1e-12, f"\n{report}"


# --------------------------------------------------------------------------- what is refused

REFUSED = [
    ("cross_entropy", Softmax, "takes logits and applies softmax itself"),
    ("cross_entropy", LogSoftmax, "takes logits and applies softmax itself"),
    ("focal", Softmax, "takes logits and applies softmax itself"),
    ("bce_with_logits", Sigmoid, "Remove the last layer, or use loss='binary_crossentropy' with Sigmoid()"),
    ("bce_with_logits", Softmax, "takes logits"),
    ("cross_entropy", Sigmoid, "takes logits and applies its own"),
    ("categorical_crossentropy", ReLU, "Add Softmax() at the end"),
    ("sparse_categorical_crossentropy", Sigmoid, "takes probabilities, but the network ends in Sigmoid"),
    ("binary_crossentropy", ReLU, "Add Sigmoid() at the end"),
    ("dice", LogSoftmax, "Add Sigmoid() at the end"),
]


@pytest.mark.parametrize(("loss", "last", "said"), REFUSED)
@pytest.mark.parametrize("after", [(), (lambda: Reshape((2, 2)),)])
def test_a_last_layer_that_the_loss_does_not_belong_behind_is_refused(loss, last, said, after):
    model = Sequential([Dense(4), last(), *(make() for make in after)], input_shape=(3,))
    with pytest.raises(ValueError, match=r".") as caught:
        model.compile(loss=loss)
    assert said in str(caught.value)
    assert model.loss is None


@pytest.mark.parametrize(
    ("loss", "t", "error", "said"),
    [
        (Hinge(), np.full((2, 3), 2), ValueError, "loss 'hinge' takes targets from -1 to 1"),
        (BCEWithLogits(), np.full((2, 3), 1.5), ValueError, "takes targets from 0 to 1"),
        (MSE(), np.zeros((2, 1)), ValueError, r"takes targets of the output's shape \(2, 3\), got \(2, 1\)"),
        (MAE(), np.array([["a"] * 3] * 2), TypeError, "takes numbers for targets"),
        (CrossEntropy(), np.array([0, 3]), ValueError, "label 3 at position 1 is no class"),
        (CrossEntropy(ignore_index=0), np.array([0, 0]), ValueError, "no label counts"),
        (MultiMargin(), np.array([0.0, 1.0]), TypeError, "labels must be integers"),
        (Focal(), np.zeros((2, 2), int), ShapeError, "targets for scores of shape"),
    ],
)
def test_targets_that_do_not_fit_are_refused(loss, t, error, said):
    with pytest.raises(error, match=said):
        loss.forward(np.zeros((2, 3)), t)
