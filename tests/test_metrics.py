"""Metrics against hand cases, scikit-learn, and values scikit-learn once gave."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycnn.data import one_hot
from tinycnn.errors import ShapeError
from tinycnn.train.metrics import (
    accuracy,
    classification_report,
    confusion_matrix,
    f1,
    precision,
    recall,
    top_k_accuracy,
)

AVERAGES = (None, "macro", "micro", "weighted")

# Class 3 occurs and is never predicted; class 4 neither occurs nor is predicted. Values from scikit-learn 1.9.1.
TRUE = [3, 2, 2, 3, 2, 3, 3, 0, 0, 1, 1, 3, 3, 0, 1, 3, 0, 3, 0, 1, 3, 1, 1, 1]
PRED = [1, 2, 2, 1, 1, 2, 1, 0, 0, 1, 2, 1, 1, 0, 1, 2, 2, 1, 0, 1, 1, 1, 0, 1]
MATRIX = [[4, 0, 1, 0, 0], [1, 5, 1, 0, 0], [0, 1, 2, 0, 0], [0, 7, 2, 0, 0], [0, 0, 0, 0, 0]]
GOLDEN = {
    (precision, 0.0): ([0.8, 0.38461538461538464, 1 / 3, 0, 0], 0.30358974358974355, 11 / 24, 0.32051282051282054),
    (recall, 0.0): ([0.8, 0.7142857142857143, 2 / 3, 0, 0], 0.43619047619047613, 11 / 24, 11 / 24),
    (f1, 0.0): ([0.8, 0.5, 0.4444444444444444, 0, 0], 0.3488888888888889, 11 / 24, 0.3680555555555556),
    (precision, 1.0): ([0.8, 0.38461538461538464, 1 / 3, 1, 1], 0.7035897435897436, 11 / 24, 0.6955128205128206),
    (recall, 1.0): ([0.8, 0.7142857142857143, 2 / 3, 0, 1], 0.6361904761904762, 11 / 24, 11 / 24),
    (f1, 1.0): ([0.8, 0.5, 0.4444444444444444, 0, 1], 0.5488888888888889, 11 / 24, 0.3680555555555556),
}


@st.composite
def labelled(draw):
    """Two label arrays of up to K classes, some of which need not occur in either."""
    K, N, seed = draw(st.integers(2, 7)), draw(st.integers(1, 40)), draw(st.integers(0, 999))
    rng = np.random.default_rng(seed)
    some = rng.choice(K, rng.integers(1, K + 1), replace=False)
    true = rng.choice(some, N)
    return true, np.where(rng.random(N) < 0.6, true, rng.integers(0, K, N)), K


def test_a_case_worked_by_hand():
    """Five cats and three dogs: one cat taken for a dog, one dog for a cat and one for a bird."""
    true = [0, 0, 0, 0, 0, 1, 1, 1]
    pred = [0, 0, 0, 0, 1, 1, 0, 2]
    assert confusion_matrix(true, pred).tolist() == [[4, 1, 0], [1, 1, 1], [0, 0, 0]]
    assert accuracy(true, pred) == 5 / 8
    assert precision(true, pred).tolist() == [4 / 5, 1 / 2, 0]
    assert recall(true, pred).tolist() == [4 / 5, 1 / 3, 0]
    assert f1(true, pred).tolist() == [8 / 10, 2 / 5, 0]
    assert precision(true, pred, "macro") == pytest.approx((4 / 5 + 1 / 2 + 0) / 3)
    assert recall(true, pred, "weighted") == pytest.approx((5 * 4 / 5 + 3 * 1 / 3) / 8)


@pytest.mark.parametrize(("metric", "zero_division"), GOLDEN)
def test_golden_values(metric, zero_division):
    assert confusion_matrix(TRUE, PRED, 5).tolist() == MATRIX
    assert accuracy(TRUE, PRED) == pytest.approx(11 / 24)
    for average, expected in zip(AVERAGES, GOLDEN[metric, zero_division], strict=True):
        found = metric(TRUE, PRED, average, num_classes=5, zero_division=zero_division)
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@given(case=labelled(), average=st.sampled_from(AVERAGES), zero_division=st.sampled_from([0.0, 1.0]))
def test_all_agree_with_scikit_learn(case, average, zero_division):
    sk = pytest.importorskip("sklearn.metrics")
    true, pred, K = case
    assert np.array_equal(confusion_matrix(true, pred, K), sk.confusion_matrix(true, pred, labels=range(K)))
    assert accuracy(true, pred) == pytest.approx(sk.accuracy_score(true, pred))
    for ours, theirs in ((precision, sk.precision_score), (recall, sk.recall_score), (f1, sk.f1_score)):
        expected = theirs(true, pred, labels=range(K), average=average, zero_division=zero_division)
        np.testing.assert_allclose(ours(true, pred, average, K, zero_division), expected, rtol=1e-12)


@given(case=labelled())
def test_rows_are_true_columns_predicted_and_the_sum_is_n(case):
    true, pred, K = case
    m = confusion_matrix(true, pred, K)
    assert m.sum() == len(true)
    assert np.array_equal(m.sum(axis=1), np.bincount(true, minlength=K))
    assert np.array_equal(m.sum(axis=0), np.bincount(pred, minlength=K))
    assert np.array_equal(confusion_matrix(pred, true, K), m.T)


@given(case=labelled())
def test_micro_is_the_accuracy_and_macro_the_plain_mean(case):
    true, pred, K = case
    for metric in (precision, recall, f1):
        assert metric(true, pred, "micro", K) == pytest.approx(accuracy(true, pred))
        assert metric(true, pred, "macro", K) == pytest.approx(np.mean(metric(true, pred, None, K)))
    assert recall(true, pred, "weighted", K) == pytest.approx(accuracy(true, pred))


@given(case=labelled(), seed=st.integers(0, 99))
def test_scores_and_one_hot_rows_mean_the_same_as_integers(case, seed):
    true, pred, K = case
    scores = np.random.default_rng(seed).normal(size=(len(pred), K))
    scores[np.arange(len(pred)), pred] = 10
    expected = confusion_matrix(true, pred, K)
    for t in (true, true[:, None], one_hot(true, K), one_hot(true, K).astype(bool)):
        for p in (pred, pred[:, None], scores, scores.astype(np.float32)):
            assert np.array_equal(confusion_matrix(t, p, K), expected)


def test_the_first_class_wins_a_tie():
    assert confusion_matrix([1, 0], [[0.5, 0.5, 0.5], [0.1, 0.7, 0.7]]).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_no_predictions_and_no_examples_are_zero_division_and_f1_only_without_both():
    true, pred = [0, 0, 1], [0, 0, 2]  # 1 is never predicted, 2 never occurs, 3 neither
    rule = {"num_classes": 4, "zero_division": 0.25}
    assert precision(true, pred, **rule).tolist() == [1, 0.25, 0, 0.25]
    assert recall(true, pred, **rule).tolist() == [1, 0, 0.25, 0.25]
    assert f1(true, pred, **rule).tolist() == [1, 0, 0, 0.25]
    assert precision(true, pred, "macro", **rule) == pytest.approx(1.5 / 4)


@pytest.mark.parametrize(
    ("true", "pred", "error", "message"),
    [
        ([], [], ValueError, "there are no examples"),
        ([0, 1], [0], ShapeError, "y_true has 2 examples, y_pred 1"),
        ([0, -1], [0, 0], ValueError, "y_true: -1 at position 1 is not a class"),
        ([0, 1], [0, -3], ValueError, "y_pred: -3 at position 1 is not a class"),
        ([0, 5], np.eye(3)[:2], ValueError, "y_true: 5 at position 1 is not a class: with num_classes = 3"),
        ([0.0, 1.0], [0, 1], TypeError, "y_true: expected integers, got float64"),
        ([0, 1], [0.2, 0.8], TypeError, "y_pred: expected integers, got float64"),
        ([0, 1], [[0.2], [0.8]], ShapeError, r"one column has no highest.*\(y_pred > 0.5\)"),
        ([0, 1], [[0.2, 0.8], [0.1, np.nan]], ValueError, "y_pred: row 1 holds NaN"),
        ([[1, 0], [1, 1]], [0, 1], ValueError, r"y_true: row 1 is \[1, 1\], not "),
        ([[1, 0], [1.5, -0.5]], [0, 1], ValueError, r"y_true: row 1 is \[1.5, -0.5\], not "),
        (np.eye(3), np.ones((3, 4)), ShapeError, "disagree about K"),
        (np.zeros((2, 2, 2), int), [0, 1], ShapeError, "y_true: expected integers of shape"),
    ],
)
@pytest.mark.parametrize("metric", [accuracy, confusion_matrix, precision, recall, f1, classification_report])
def test_bad_input_is_named(metric, true, pred, error, message):
    with pytest.raises(error, match=message):
        metric(true, pred)


@pytest.mark.parametrize("metric", [confusion_matrix, precision, recall, f1, classification_report])
def test_a_target_shared_among_classes_is_refused_where_each_example_must_have_one(metric):
    with pytest.raises(ValueError, match=r"y_true: row 1 is \[0.5, 0.5\], not one-hot"):
        metric([[1, 0], [0.5, 0.5]], [0, 1])


def test_of_a_target_shared_among_classes_accuracy_counts_the_largest_part():
    shared = [[0.75, 0.25, 0.0], [0.25, 0.25, 0.5], [0.5, 0.5, 0.0], [0.0, 0.25, 0.75]]  # of equal parts the first
    scores = [[3, 2, 1], [3, 1, 2], [2, 1, 3], [2, 3, 1]]
    assert accuracy(shared, [0, 2, 0, 1]) == 0.75
    assert [top_k_accuracy(shared, scores, k) for k in (1, 2, 3)] == [0.25, 0.75, 1.0]
    masks, logits = (np.array(rows).T.reshape(1, 3, 2, 2) for rows in (shared, scores))
    assert accuracy(masks, logits.astype(float)) == 0.25


def test_an_unknown_average_is_refused():
    with pytest.raises(ValueError, match="average must be None, 'macro', 'micro' or 'weighted', got 'mean'"):
        f1([0, 1], [0, 1], average="mean")


def test_the_report_holds_every_number_in_columns_that_line_up():
    names = ("cat", "dog", "guinea pig", "bird", "fish")
    lines = classification_report(TRUE, PRED, names).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [re.split(r"  +", line.strip())[0] for line in lines[1:]] == [*names, "macro", "weighted", "accuracy"]
    assert lines[2].split() == ["dog", "0.385", "0.714", "0.500", "7"]
    assert lines[-3].split() == ["macro", "0.304", "0.436", "0.349", "24"]
    assert lines[-1].split() == ["accuracy", "0.458", "24"]


def test_the_report_names_classes_by_number_without_names():
    assert [line.split()[0] for line in classification_report([0, 1], [1, 1]).splitlines()[1:3]] == ["0", "1"]
