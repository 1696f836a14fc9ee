"""ROC, precision-recall and calibration: hand cases, their formulas, scikit-learn, ties, and what has no answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds

from tinycnn.data import one_hot
from tinycnn.errors import ShapeError
from tinycnn.formula import formulas
from tinycnn.train.metrics import (
    auc,
    average_precision,
    brier_score,
    calibration_curve,
    classification_report,
    expected_calibration_error,
    precision_recall_curve,
    roc_auc,
    roc_curve,
)

LABELS, SCORES = [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]  # worked by hand: 3 of the 4 pairs are in order


@st.composite
def scored(draw, least_classes: int = 2):
    """Labels and few different scores, so that ties are frequent; of K classes some occur nowhere."""
    K, N, seed = draw(st.integers(least_classes, 5)), draw(st.integers(2, 25)), draw(seeds)
    levels = draw(st.integers(2, 30))
    rng = np.random.default_rng(seed)
    true = rng.choice(rng.choice(K, rng.integers(1, K + 1), replace=False), N)
    return true, rng.integers(-levels, levels, (N, K)) / 3, K


@st.composite
def believed(draw):
    """Labels and rows of probabilities that add up to 1, many of them on the edges between bins."""
    true, scores, K = draw(scored())
    parts = np.exp(scores)
    rng = np.random.default_rng(draw(seeds))
    rows = np.where(rng.random(len(true))[:, None] < 0.5, parts / parts.sum(axis=1, keepdims=True), one_hot(true, K))
    rows[0] = [0.5, 0.5, *[0.0] * (K - 2)]
    return true, rows, draw(st.integers(1, 12))


def test_curves_worked_by_hand():
    fpr, tpr, thresholds = roc_curve(LABELS, SCORES)
    assert (fpr.tolist(), tpr.tolist()) == ([0, 0, 0.5, 0.5, 1], [0, 0.5, 0.5, 1, 1])
    assert thresholds.tolist() == [np.inf, 0.8, 0.4, 0.35, 0.1]
    precision, recall, _ = precision_recall_curve(LABELS, SCORES)
    assert precision.tolist() == [1, 1, 1 / 2, 2 / 3, 2 / 4]
    assert recall.tolist() == [0, 0.5, 0.5, 1, 1]
    assert roc_auc(LABELS, SCORES) == 3 / 4
    assert average_precision(LABELS, SCORES) == pytest.approx((1 + 2 / 3) / 2, rel=1e-15)


def test_equal_scores_make_one_point_and_count_half():
    assert roc_curve([1, 0, 0, 1], [2, 2, 2, 2])[0].tolist() == [0, 1]
    assert roc_auc([1, 0, 0, 1], [2, 2, 2, 2]) == 0.5
    assert average_precision([1, 0, 0, 1], [2, 2, 2, 2]) == 0.5
    assert roc_auc([0, 1, 1], [5, 5, 7]) == (0.5 + 1) / 2


@given(case=scored())
def test_curves_and_areas_are_their_formulas(case):
    true, scores, _ = case
    t, s = (true == true[0]).astype(int), scores[:, 0]
    if t.all():
        t[0] = 0
    if not t.any():
        t[0] = 1
    for curve in (roc_curve, precision_recall_curve):
        literal = curve.formula.evaluate(y_true=t, scores=s)
        for found, expected in zip(curve(t, s), literal, strict=False):
            np.testing.assert_allclose(found, expected, rtol=1e-13, atol=0)
    for area in (roc_auc, average_precision):
        assert area(t, s) == pytest.approx(area.formula.evaluate(y_true=t, scores=s), rel=1e-13)
    fpr, tpr, _ = roc_curve(t, s)
    assert auc(fpr, tpr) == pytest.approx(auc(fpr[::-1], tpr[::-1]), rel=1e-13)
    assert auc(fpr, tpr) == pytest.approx(auc.formula.evaluate(x=fpr, y=tpr), rel=1e-13)


@given(case=scored())
def test_curves_agree_with_scikit_learn(case):
    sk = pytest.importorskip("sklearn.metrics")
    true, scores, _ = case
    t, s = (true == true[0]).astype(int), scores[:, 0]
    precision, recall, thresholds = precision_recall_curve(t, s)
    theirs = sk.precision_recall_curve(t, s)  # from the lowest threshold up, and without ∞
    for found, expected in zip((precision, recall), theirs, strict=False):
        np.testing.assert_allclose(found[::-1], expected, rtol=1e-13)
    np.testing.assert_array_equal(thresholds[:0:-1], theirs[2])
    assert average_precision(t, s) == pytest.approx(sk.average_precision_score(t, s), rel=1e-12)
    if not t.all():
        for found, expected in zip(roc_curve(t, s), sk.roc_curve(t, s, drop_intermediate=False), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-13)
        assert roc_auc(t, s) == pytest.approx(sk.roc_auc_score(t, s), rel=1e-12)
        fpr, tpr, _ = roc_curve(t, s)
        assert auc(fpr, tpr) == pytest.approx(sk.auc(fpr, tpr), rel=1e-12)


@given(case=scored(least_classes=3))
def test_areas_of_many_classes_agree_with_scikit_learn_on_the_classes_that_have_one(case):
    sk = pytest.importorskip("sklearn.metrics")
    true, scores, K = case
    rows = one_hot(true, K).astype(int)
    there, both = rows.any(axis=0), rows.any(axis=0) & ~rows.all(axis=0)
    for ours, theirs, ok in ((average_precision, sk.average_precision_score, there), (roc_auc, sk.roc_auc_score, both)):
        found = ours(true, scores, average=None)
        assert np.array_equal(np.isnan(found), ~ok)
        if not ok.any():
            with pytest.raises(ValueError, match="no class has both"):
                ours(true, scores)
            continue
        each = [theirs(rows[:, k], scores[:, k]) for k in np.flatnonzero(ok)]
        np.testing.assert_allclose(found[ok], each, rtol=1e-12)
        for average in ("macro", "weighted"):
            expected = theirs(rows[:, ok], scores[:, ok], average=average)
            assert ours(true, scores, average) == pytest.approx(expected, rel=1e-12)
        assert ours(true, scores, "micro") == pytest.approx(theirs(rows, scores, average="micro"), rel=1e-12)
        assert ours(rows, scores) == ours(true, scores)


def test_an_example_may_have_several_classes():
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    rows, scores = rng.integers(0, 2, (20, 3)), rng.integers(0, 6, (20, 3))
    assert roc_auc(rows, scores) == pytest.approx(sk.roc_auc_score(rows, scores), rel=1e-12)
    assert average_precision(rows, scores) == pytest.approx(sk.average_precision_score(rows, scores), rel=1e-12)


@given(case=scored(), scale=st.sampled_from([0.25, 3.0]))
def test_only_the_order_of_scores_matters_and_turning_it_round_turns_the_area_round(case, scale):
    true, scores, _ = case
    t, s = (true == true[0]).astype(int), scores[:, 0]
    if t.all():
        t[-1] = 0
    assert roc_auc(t, s) == roc_auc(t, scale * s + 1) == pytest.approx(1 - roc_auc(t, -s))
    assert roc_auc(1 - t, -s) == pytest.approx(roc_auc(t, s))


def test_one_class_alone_has_no_roc_curve_and_says_so():
    for labels in ([0, 0], [1, 1]):
        with pytest.raises(ValueError, match=f"all 2 examples are of class {labels[0]}: one of the two rates"):
            roc_auc(labels, [0.1, 0.2])
    with pytest.raises(ValueError, match="none of the 2 examples is of class 1: nothing to find"):
        average_precision([0, 0], [0.1, 0.2])
    assert average_precision([1, 1], [0.1, 0.2]) == 1
    found = roc_auc([0, 0, 2], [[0.8, 0.1, 0.1], [0.3, 0.3, 0.4], [0.1, 0.2, 0.7]], average=None)
    assert found[0] == found[2] == 1
    assert np.isnan(found[1])


@pytest.mark.parametrize(
    ("true", "scores", "error", "message"),
    [
        ([], [], ValueError, "there are no examples"),
        ([0, 1], [0.1], ShapeError, "y_true has 2 examples, scores 1"),
        ([0, 2], [0.1, 0.2], ValueError, "y_true: 2 at position 1 is not a class"),
        ([0.0, 1.0], [0.1, 0.2], TypeError, "y_true: expected integers, got float64"),
        ([0, 1], [0.1, np.nan], ValueError, "scores: nan at position 1 is not finite"),
        ([0, 1], [0.1, np.inf], ValueError, "scores: inf at position 1 is not finite"),
        ([0, 1], ["a", "b"], ShapeError, r"scores must be numbers \(N,\)"),
    ],
)
@pytest.mark.parametrize("metric", [roc_curve, precision_recall_curve, roc_auc, average_precision])
def test_bad_input_is_named(metric, true, scores, error, message):
    with pytest.raises(error, match=message):
        metric(true, scores)


def test_bad_rows_of_many_classes_are_named():
    with pytest.raises(ValueError, match=r"y_true: 2 at position \(1, 0\) is neither 0 nor 1"):
        roc_auc([[0, 1], [2, 0]], np.zeros((2, 2)))
    with pytest.raises(ShapeError, match=r"both must be \(N, K\)"):
        roc_auc([[0, 1], [1, 0]], np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"scores: inf at position \(0, 1\) is not finite"):
        roc_auc([0, 1], [[0.0, np.inf], [1.0, 0.0]])
    with pytest.raises(ValueError, match="average must be None, 'macro', 'micro' or 'weighted', got 'mean'"):
        roc_auc([0, 1], np.eye(2), average="mean")
    with pytest.raises(ShapeError, match=r"One class of several: \(y_true == k\), scores\[:, k\]"):
        roc_curve([0, 1], np.eye(2))
    with pytest.raises(ValueError, match="x must only rise or only fall"):
        auc([0, 2, 1], [0, 1, 1])
    with pytest.raises(ShapeError, match="with T ≥ 2"):
        auc([0.0], [1.0])


# --------------------------------------------------------------------------- calibration


def test_calibration_worked_by_hand():
    """Promises .2 | .7 .8 .9 in two bins; the first came false, the others true."""
    found = calibration_curve([0, 1, 1, 1], [0.2, 0.7, 0.8, 0.9], bins=2)
    assert found.edges.tolist() == [0, 0.5, 1]
    assert found.counts.tolist() == [1, 3]
    np.testing.assert_allclose(found.confidence, [0.2, 0.8], rtol=1e-15)
    assert found.frequency.tolist() == [0, 1]
    ece = expected_calibration_error([0, 1, 1, 1], [0.2, 0.7, 0.8, 0.9], bins=2)
    assert ece == pytest.approx(1 / 4 * 0.2 + 3 / 4 * 0.2, rel=1e-14)
    assert brier_score([0, 1], [0.2, 0.7]) == pytest.approx((0.04 + 0.09) / 2, rel=1e-14)


def test_a_probability_on_an_edge_is_in_the_lower_bin_and_an_empty_bin_is_nan():
    found = calibration_curve([0, 1, 1], [0.0, 0.5, 1.0], bins=4)
    assert found.counts.tolist() == [1, 1, 0, 1]
    assert np.isnan(found.confidence[2])
    assert np.isnan(found.frequency[2])


@given(case=believed())
def test_calibration_is_its_formulas_for_one_column_and_for_many(case):
    true, rows, bins = case
    for y, p in ((true, rows), ((true == 0).astype(int), rows[:, 0])):
        given_ = {"y_true": y, "probabilities": p}
        literal = formulas["calibration_curve"].evaluate(**given_, bins=bins)
        for found, expected in zip(calibration_curve(**given_, bins=bins)[1:], literal, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-13, atol=0)
        expected = expected_calibration_error.formula.evaluate(**given_, bins=bins)
        assert expected_calibration_error(**given_, bins=bins) == pytest.approx(expected, rel=1e-12, abs=1e-15)
        assert brier_score(**given_) == pytest.approx(brier_score.formula.evaluate(**given_), rel=1e-13, abs=1e-300)


@given(case=believed())
def test_calibration_agrees_with_scikit_learn(case):
    sk = pytest.importorskip("sklearn.metrics")
    curve = pytest.importorskip("sklearn.calibration").calibration_curve
    true, rows, bins = case
    K = rows.shape[1]
    right = (rows.argmax(axis=1) == true).astype(int)
    for y, p, found in (
        ((true == 0).astype(int), rows[:, 0], calibration_curve((true == 0).astype(int), rows[:, 0], bins)),
        (right, rows.max(axis=1), calibration_curve(true, rows, bins)),
    ):
        came, promised = curve(y, p, n_bins=bins, pos_label=1)
        full = found.counts > 0
        np.testing.assert_allclose(found.frequency[full], came, rtol=1e-12)
        np.testing.assert_allclose(found.confidence[full], promised, rtol=1e-12)
        assert brier_score(y, p) == pytest.approx(sk.brier_score_loss(y, p, pos_label=1), rel=1e-12, abs=1e-300)
    expected = sk.brier_score_loss(true, rows, labels=range(K), scale_by_half=False)
    assert brier_score(true, rows) == pytest.approx(expected, rel=1e-12, abs=1e-300)


@given(case=believed())
def test_the_calibration_error_is_at_least_the_distance_of_the_means_and_with_one_bin_that_distance(case):
    true, rows, bins = case
    apart = abs((rows.argmax(axis=1) == true).mean() - rows.max(axis=1).mean())
    assert expected_calibration_error(true, rows, bins) >= apart - 1e-12
    assert expected_calibration_error(true, rows, 1) == pytest.approx(apart, abs=1e-12)


@pytest.mark.parametrize(
    ("true", "p", "error", "message"),
    [
        ([0, 1], [0.5, 1.5], ValueError, "probabilities: 1.5 at position 1 is not in"),
        ([0, 1], [[0.5, 0.5], [1.5, -0.5]], ValueError, r"probabilities: 1.5 at position \(1, 0\) is not in"),
        ([0, 1], [[0.5, 0.5], [0.9, 0.9]], ValueError, "row 1 adds up to 1.8, not to 1. Are these scores"),
        ([0, 1], [0.5, np.nan], ValueError, "scores: nan at position 1"),
        ([0, 3], [[0.5, 0.5], [0.5, 0.5]], ValueError, "y_true: 3 at position 1 is not a class"),
        ([], [], ValueError, "there are no examples"),
    ],
)
@pytest.mark.parametrize("metric", [calibration_curve, expected_calibration_error, brier_score])
def test_what_is_no_probability_is_named(metric, true, p, error, message):
    with pytest.raises(error, match=message):
        metric(true, p)


@pytest.mark.parametrize("bins", [0, 2.0, True, "ten"])
def test_bins_that_are_no_count_are_refused(bins):
    with pytest.raises(ValueError, match=f"bins must be an int ≥ 1, got {bins!r}"):
        calibration_curve([0, 1], [0.2, 0.7], bins)


def test_a_probability_above_one_by_the_round_off_of_float32_is_one():
    found = calibration_curve([1], np.array([1.00001], np.float32), bins=3)
    assert found.counts.tolist() == [0, 0, 1]
    assert found.confidence[2] == 1


# --------------------------------------------------------------------------- the report as numbers


@given(case=scored())
def test_the_report_by_name_agrees_with_scikit_learn(case):
    sk = pytest.importorskip("sklearn.metrics")
    true, scores, K = case
    pred = scores.argmax(axis=1)
    names = [f"class {k}" for k in range(K)]
    found = classification_report(true, pred, names, output_dict=True)
    options = {"labels": range(K), "target_names": names, "output_dict": True, "zero_division": 0}
    theirs = sk.classification_report(true, pred, **options)
    for name, key in [*zip(names, names, strict=True), ("macro", "macro avg"), ("weighted", "weighted avg")]:
        expected = list(theirs[key].values())
        np.testing.assert_allclose(list(found[name].values()), expected, rtol=1e-12)
    assert found["accuracy"] == found["micro"]["f1"] == pytest.approx(sk.accuracy_score(true, pred))
    assert found["micro"]["examples"] == len(true)


def test_two_classes_of_one_name_cannot_be_told_apart_by_name():
    assert classification_report([0, 1], [0, 1], ("cat", "cat")).count("cat") == 2
    for names in (("cat", "cat"), ("cat", "macro"), ("accuracy", "dog")):
        with pytest.raises(ValueError, match="each needs a name of its own"):
            classification_report([0, 1], [0, 1], names, output_dict=True)
