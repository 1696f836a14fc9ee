"""Top-k accuracy, metrics of masks and of numbers: hand cases, their formulas, scikit-learn, and training by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import compiled, digits
from strategies import seeds

import tinycnn as tc
from tinycnn import Conv2D, Dense, ShapeError, formulas
from tinycnn.train.loop import METRICS
from tinycnn.train.metrics import (
    accuracy,
    confusion_matrix,
    dice,
    f1,
    iou,
    mae,
    mse,
    precision,
    r2,
    recall,
    top_k_accuracy,
)

# Values from scikit-learn 1.9.1: top_k_accuracy_score, jaccard_score, f1_score, r2_score and the two mean errors.
SCORES = [[0.5, 0.2, 0.2, 0.1], [0.3, 0.4, 0.2, 0.1], [0.2, 0.4, 0.3, 0.1], [0.7, 0.2, 0.1, 0.0], [0.1, 0.2, 0.3, 0.4]]
LABELS = [0, 1, 2, 2, 0]
TRUE_MASK, PRED_MASK = [0, 0, 0, 1, 1, 2, 2, 2, 2, 1], [0, 1, 0, 1, 2, 2, 2, 0, 2, 1]
TARGETS, PREDICTED = [3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0]


def test_golden_values():
    assert [top_k_accuracy(LABELS, SCORES, k) for k in (1, 2, 3, 4)] == pytest.approx([0.4, 0.6, 0.8, 1.0])
    np.testing.assert_allclose(iou(TRUE_MASK, PRED_MASK, None), [0.5, 0.5, 0.6], rtol=1e-15)
    assert iou(TRUE_MASK, PRED_MASK) == pytest.approx(1.6 / 3, rel=1e-15)
    np.testing.assert_allclose(dice(TRUE_MASK, PRED_MASK, None), [2 / 3, 2 / 3, 0.75], rtol=1e-15)
    assert (mse(TARGETS, PREDICTED), mae(TARGETS, PREDICTED)) == (0.375, 0.5)
    assert r2(TARGETS, PREDICTED) == pytest.approx(0.9486081370449679, rel=1e-15)


# --------------------------------------------------------------------------- top-k


def test_of_equal_scores_the_first_class_comes_first_as_in_the_accuracy():
    tied = np.array([[0.5, 0.5, 0.0]] * 3)
    assert top_k_accuracy([0, 1, 2], tied, k=1) == accuracy([0, 1, 2], tied) == 1 / 3
    assert top_k_accuracy([0, 1, 2], tied, k=2) == 2 / 3


@given(N=st.integers(1, 8), K=st.integers(2, 6), k=st.integers(1, 8), seed=seeds)
def test_top_k_is_its_formula_grows_with_k_and_at_one_is_the_accuracy(N, K, k, seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, 4, size=(N, K)) / 4, rng.integers(0, K, size=N)  # with ties
    found = top_k_accuracy(labels, scores, k)
    assert found == pytest.approx(formulas["top_k_accuracy"].evaluate(y_true=labels, scores=scores, k=k))
    assert top_k_accuracy(labels, scores, 1) == accuracy(labels, scores) <= found <= top_k_accuracy(labels, scores, K)
    assert top_k_accuracy(labels, scores, K) == 1
    assert top_k_accuracy(np.eye(K)[labels], scores, k) == found


@given(N=st.integers(2, 20), K=st.integers(3, 6), k=st.integers(1, 5), seed=seeds)
def test_top_k_agrees_with_scikit_learn(N, K, k, seed):
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    scores, labels = rng.permutation(N * K).reshape(N, K) / 7, rng.integers(0, K, size=N)
    k = min(k, K - 1)
    assert top_k_accuracy(labels, scores, k) == pytest.approx(
        sk.top_k_accuracy_score(labels, scores, k=k, labels=range(K))
    )


@pytest.mark.parametrize("k", [0, -1, 1.0, True, "5"])
def test_a_k_that_is_no_count_is_refused(k):
    with pytest.raises(ValueError, match=f"k must be an int ≥ 1, got {k!r}"):
        top_k_accuracy(LABELS, SCORES, k)


@pytest.mark.parametrize(
    ("labels", "scores", "error", "message"),
    [
        ([0, 1], [0, 1], ShapeError, r"scores must be numbers \(N, K\)"),
        ([0, 1], [[0.5], [0.5]], ShapeError, r"scores must be numbers \(N, K\)"),
        ([0], SCORES, ShapeError, "y_true has 1 examples, y_pred 5"),
        ([0, 1, 2, 3, 4], SCORES, ValueError, "y_true: 4 at position 4 is not a class"),
        ([0], [[np.nan, 1.0]], ValueError, "row 0 holds NaN"),
    ],
)
def test_top_k_names_bad_input(labels, scores, error, message):
    with pytest.raises(error, match=message):
        top_k_accuracy(labels, scores)


# --------------------------------------------------------------------------- classes and masks


@given(N=st.integers(1, 30), K=st.integers(2, 5), seed=seeds, zero_division=st.sampled_from([0.0, 1.0]))
def test_class_metrics_are_their_formulas(N, K, seed, zero_division):
    rng = np.random.default_rng(seed)
    labels = {"y_true": rng.integers(0, K, N), "y_pred": rng.integers(0, K, N)}
    assert accuracy(**labels) == pytest.approx(formulas["accuracy"].evaluate(**labels))
    m = formulas["confusion_matrix"].evaluate(**labels, num_classes=K)
    np.testing.assert_array_equal(confusion_matrix(**labels, num_classes=K), m)
    for metric in (precision, recall, f1, iou, dice):
        found = metric(**labels, average=None, num_classes=K, zero_division=zero_division)
        entry = metric.formula
        np.testing.assert_allclose(found, entry.evaluate(m=m, zero_division=zero_division), rtol=1e-15)
        options = {"num_classes": K, "zero_division": zero_division}
        np.testing.assert_allclose(found, entry.evaluate(**labels, **options), rtol=1e-15)


@given(N=st.integers(1, 3), H=st.integers(1, 4), W=st.integers(1, 4), K=st.integers(2, 5), seed=seeds)
def test_masks_as_integers_as_scores_and_as_a_list_of_pixels_say_the_same(N, H, W, K, seed):
    rng = np.random.default_rng(seed)
    true, scores = rng.integers(0, K, (N, H, W)), rng.permutation(N * K * H * W).reshape(N, K, H, W) / 3
    pred = scores.argmax(axis=1)
    for metric in (iou, dice):
        expected = metric(true.ravel(), pred.ravel(), num_classes=K)
        assert metric(true, pred, num_classes=K) == metric(true, scores) == expected
    assert 0 <= iou(true, scores) <= dice(true, scores) <= 1
    one, two = iou(true, scores, None), dice(true, scores, None)
    np.testing.assert_allclose(two, 2 * one / (1 + one), rtol=1e-14)


@given(N=st.integers(1, 30), K=st.integers(2, 5), seed=seeds, zero_division=st.sampled_from([0.0, 1.0]),
       average=st.sampled_from([None, "macro", "micro", "weighted"]))  # fmt: skip
def test_iou_and_dice_agree_with_scikit_learn(N, K, seed, zero_division, average):
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    true, pred = rng.integers(0, K, N), rng.integers(0, K, N)
    for ours, theirs in ((iou, sk.jaccard_score), (dice, sk.f1_score)):
        expected = theirs(true, pred, labels=range(K), average=average, zero_division=zero_division)
        np.testing.assert_allclose(ours(true, pred, average, K, zero_division), expected, rtol=1e-12)


def test_a_class_in_neither_picture_counts_as_told_or_not_at_all():
    true, pred = [0, 0, 1, 1], [0, 1, 1, 1]
    assert iou(true, pred, None, 3).tolist() == [1 / 2, 2 / 3, 0]
    assert iou(true, pred, None, 3, zero_division=1.0)[2] == 1
    assert iou(true, pred, num_classes=3, zero_division=np.nan) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert dice(true, pred, "weighted", 3, np.nan) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_perfect_masks_score_one_and_disjoint_ones_zero():
    true = np.array([[[0, 1], [2, 1]]])
    assert iou(true, true) == dice(true, true) == 1
    assert iou(true, (true + 1) % 3) == dice(true, (true + 1) % 3) == 0


# --------------------------------------------------------------------------- numbers


@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=seeds)
def test_metrics_of_numbers_are_their_formulas_and_scikit_learns(shape, seed):
    rng = np.random.default_rng(seed)
    y = {"y_true": rng.normal(size=shape), "y_pred": rng.normal(size=shape)}
    for metric in (mse, mae, r2):
        assert metric(**y) == pytest.approx(metric.formula.evaluate(**y), rel=1e-12)
    sk = pytest.importorskip("sklearn.metrics")
    flat = [a.ravel() for a in y.values()]
    assert mse(**y) == pytest.approx(sk.mean_squared_error(*flat), rel=1e-12)
    assert mae(**y) == pytest.approx(sk.mean_absolute_error(*flat), rel=1e-12)
    if flat[0].size > 1:
        assert r2(**y) == pytest.approx(sk.r2_score(*flat), rel=1e-9)


def test_r_squared_of_the_mean_is_zero_and_of_worse_is_negative():
    assert r2(TARGETS, [np.mean(TARGETS)] * 4) == pytest.approx(0, abs=1e-15)
    assert r2([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) == -3


def test_constant_targets_have_an_r_squared_of_one_if_met_and_zero_if_not():
    for constant in (np.full(3, 0.1), np.full(1, 0.1)):  # the mean of three 0.1 is not 0.1, to the last bit
        for pred, expected in ((constant, 1), (constant + 1, 0)):
            assert r2(constant, pred) == formulas["r2"].evaluate(y_true=constant, y_pred=pred) == expected


@pytest.mark.parametrize("metric", [mse, mae, r2])
def test_metrics_of_numbers_never_broadcast_and_name_what_is_wrong(metric):
    with pytest.raises(ShapeError, match=r"y_true \(3,\) and y_pred \(3, 1\) must have the same shape"):
        metric(np.ones(3), np.ones((3, 1)))
    with pytest.raises(ValueError, match="no examples"):
        metric([], [])
    with pytest.raises(TypeError, match="y_pred: expected numbers, got <U1"):
        metric([1.0], ["a"])


def test_integers_and_float32_are_computed_in_float64():
    assert mse(np.array([0, 255], np.uint8), np.array([255, 0], np.uint8)) == 255**2
    assert mae(np.array([1e-3], np.float32), np.array([0.0], np.float32)) == float(np.float32(1e-3))


# --------------------------------------------------------------------------- by name, in training


def test_metrics_go_by_name_in_compile():
    x, y = digits(32)
    model = compiled()
    model.compile(loss="cross_entropy", metrics=["accuracy", "top_5_accuracy"])
    result = model.evaluate(x, y)
    scores = model.predict(x)
    assert result.as_dict() == {"loss": result.loss, "accuracy": accuracy(y, scores),
                                "top_5_accuracy": top_k_accuracy(y, scores, 5)}  # fmt: skip
    model = tc.Sequential([tc.Flatten(), Dense(2)], input_shape=(1, 8, 8))
    model.compile(loss="mse", metrics=["mse", "mae", "r2"])
    t = np.stack([y, y**2], axis=1).astype(np.float32)
    history = model.fit(x, t, verbose=0)
    assert set(history) == {"loss", "mse", "mae", "r2"}
    assert history["mse"][0] == pytest.approx(history["loss"][0], rel=1e-5)
    assert model.evaluate(x, t)["r2"] == pytest.approx(r2(t, model.predict(x)))
    assert set(METRICS) == {"accuracy", "top_5_accuracy", "mse", "mae", "r2"}


def test_a_metric_of_masks_may_be_given_as_a_function():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 1, 5, 6)).astype(np.float32), rng.integers(0, 3, (4, 5, 6))
    model = tc.Sequential([Conv2D(3, 3, padding="same")], input_shape=(1, 5, 6))
    model.compile(loss="cross_entropy", metrics=["accuracy", iou, dice])
    result = model.evaluate(x, y)
    assert result["iou"] == iou(y, model.predict(x).argmax(axis=1))
    assert result["dice"] == dice(y, model.predict(x))


def test_every_metric_is_there_under_its_name():
    assert all(callable(getattr(tc.metrics, name)) for name in tc.metrics.__all__)
