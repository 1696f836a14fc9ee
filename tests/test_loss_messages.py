"""What the class losses say when they refuse, to the letter, and where the line between right and wrong lies."""

from __future__ import annotations

import re

import numpy as np
import pytest
from oracles import assert_same

from tinycnn import ops
from tinycnn.errors import ShapeError
from tinycnn.ops.loss import targets

Z = np.log(np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]))
LABELS = np.array([2, 0])


@pytest.mark.parametrize(("t", "kind", "message"), [
    (np.array([["a", "b", "c"]] * 2), TypeError, "one-hot targets must be numbers, got <U1"),
    (np.array([[1, 0, 0], [1, 1, 0]]), ValueError, "each one-hot row must sum to 1, but the one at (1,) sums to 2"),
    (np.array([[1, 0, 0], [2, -1, 0]]), ValueError, "one-hot rows hold parts of 1, but t[1, 1] is -1"),
    (np.zeros((2, 4)), ShapeError, "targets for scores of shape (2, 3) are integers of shape (2,) or one-hot rows of "
     "shape (2, 3), got shape (2, 4)"),
    (np.array([0.0, 1.0]), TypeError, "labels must be integers, got float64, np.float64(0.0) at position 0; convert "
     "them with y.astype(np.int64)"),
    (np.array([0, 3]), ValueError, "label 3 at position 1 is no class: with K = 3 they are 0 to 2"),
])  # fmt: skip
def test_targets_that_do_not_fit(t, kind, message):
    with pytest.raises(kind) as found:
        targets(t, (2, 3))
    assert str(found.value) == message


def test_a_label_in_a_row_of_labels_is_placed_by_both_axes():
    with pytest.raises(ValueError, match=r"^label -1 at position \(1, 2\) is no class: with K = 3 they are 0 to 2$"):
        targets(np.array([[0, 1, 2], [0, 1, -1]]), (2, 3, 3))


def test_no_labels_at_all_say_so_without_a_first_one():
    with pytest.raises(TypeError, match=r"^labels must be integers, got float64; convert them with y\.astype"):
        targets(np.zeros(0), (0, 3))


@pytest.mark.parametrize(("options", "message"), [
    ({"label_smoothing": 1.0}, "label_smoothing must be ≥ 0 and < 1, got 1.0"),
    ({"class_weights": [1, 2]}, "class_weights must be 3 numbers ≥ 0, one a class, got [1, 2]"),
    ({"class_weights": [1, -1, 1]}, "class_weights must be 3 numbers ≥ 0, one a class, got [1, -1, 1]"),
    ({"class_weights": [0, 1, 0]}, "no label counts: every one is ignored, or of a class of weight 0"),
])  # fmt: skip
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ops.cross_entropy_forward(Z, LABELS, **options)


def test_a_class_of_weight_nothing_is_left_out():
    weighted, _ = ops.cross_entropy_forward(Z, LABELS, class_weights=[0, 1, 1])
    assert_same(weighted, -np.log(0.5))


def test_an_ignored_label_may_be_any_number():
    found, _ = ops.cross_entropy_forward(Z, np.array([2, -100]), ignore_index=-100)
    assert_same(found, -np.log(0.5))


def test_other_refusals_of_the_class_losses():
    with pytest.raises(ValueError, match=r"^gamma must be 0, or at least 1, got 0\.5$"):
        ops.focal_forward(Z, LABELS, gamma=0.5)
    with pytest.raises(ValueError, match=r"^a mean over an empty batch is not defined: shape \(0, 3\)$"):
        ops.cross_entropy_forward(np.zeros((0, 3)), np.zeros(0, int))
    for forward, name in ((ops.categorical_crossentropy_forward, "p"), (ops.cross_entropy_forward, "z")):
        with pytest.raises(TypeError, match=rf"^{name} must hold float32 or float64"):
            forward(np.ones((2, 3), int), LABELS)


def test_the_loss_is_differentiable_by_soft_targets_too():
    """L is linear in t: its imaginary part is that of −Σ t·log p / N."""
    t = np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]]) + 1e-20j * np.array([[1.0, -2.0, 1.0], [3.0, 0.0, -3.0]])
    loss, _ = ops.cross_entropy_forward(Z, t)
    assert_same(loss.imag / 1e-20, -(t.imag / 1e-20 * Z).sum() / 2)


def test_the_smallest_probability_that_counts_still_has_a_gradient():
    tiny = np.finfo(np.float64).tiny
    _, cache = ops.categorical_crossentropy_forward(np.array([[tiny, 1.0]]), np.array([0]))
    assert ops.categorical_crossentropy_backward(1.0, cache)[0, 0] == -1 / tiny
    _, cache = ops.categorical_crossentropy_forward(np.array([[tiny / 2, 1.0]]), np.array([0]))
    assert ops.categorical_crossentropy_backward(1.0, cache)[0, 0] == 0
