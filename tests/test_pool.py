"""Pooling: which number is kept, where its gradient goes, and what the mean divides by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from oracles import assert_is_its_formula, assert_same, inner
from strategies import pool_cases

from tinycnn.errors import ShapeError
from tinycnn.ops import (
    avg_pool2d_backward,
    avg_pool2d_forward,
    global_avg_pool2d_backward,
    global_avg_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
    min_pool2d_backward,
    min_pool2d_forward,
)

MAX, MIN, AVG = (
    (max_pool2d_forward, max_pool2d_backward),
    (min_pool2d_forward, min_pool2d_backward),
    (avg_pool2d_forward, avg_pool2d_backward),
)
forwards = pytest.mark.parametrize("forward", [pair[0] for pair in (MAX, MIN, AVG)])
NAN, INF = np.nan, np.inf


def _image(*rows):
    return np.array(rows, dtype=float)[None, None]


def test_a_max_pool_worked_by_hand():
    x = _image([1, 5, 2, 0], [3, 4, 8, 1], [0, 7, 6, 9])
    y, cache = max_pool2d_forward(x, kernel_size=2)  # the third row has no partner
    assert y[0, 0].tolist() == [[5.0, 8.0]]
    assert max_pool2d_backward(_image([10, 20]), cache)[0, 0].tolist() == [[0, 10, 0, 0], [0, 0, 20, 0], [0, 0, 0, 0]]


def test_where_windows_overlap_the_gradients_of_max_pool_add():
    x = _image([0, 0, 0], [0, 9, 0], [0, 0, 0])
    y, cache = max_pool2d_forward(x, kernel_size=2, stride=1)
    assert (y == 9).all()
    assert max_pool2d_backward(_image([1, 2], [3, 4]), cache)[0, 0].tolist() == [[0, 0, 0], [0, 10, 0], [0, 0, 0]]


@pytest.mark.parametrize(("forward", "backward"), [MAX, MIN])
def test_of_equals_the_first_takes_the_whole_gradient(forward, backward):
    y, cache = forward(np.full((1, 1, 4, 4), 3.0), kernel_size=2)
    dx = backward(np.ones_like(y), cache)
    assert dx[0, 0].tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_max_pool_pads_with_minus_infinity_so_negative_images_never_give_zero():
    x = -1 - np.random.default_rng(0).random((2, 2, 5, 5))
    assert (max_pool2d_forward(x, kernel_size=3, stride=2, padding=1)[0] < 0).all()
    assert (max_pool2d_forward(x, kernel_size=(3, 2), stride=2, padding="same")[0] < 0).all()
    assert (min_pool2d_forward(-x, kernel_size=3, stride=2, padding=1)[0] > 0).all()


@pytest.mark.parametrize(("forward", "backward"), [MAX, MIN])
def test_a_nan_in_a_window_is_its_answer_and_takes_its_gradient(forward, backward):
    x = _image([1, NAN, 5, 6], [3, 4, 7, 8])
    y, cache = forward(x, kernel_size=2)
    assert np.isnan(y[0, 0, 0, 0])
    assert np.isfinite(y[0, 0, 0, 1])
    dx = backward(_image([1, 0]), cache)
    assert dx[0, 0].tolist() == [[0, 1, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(("forward", "backward", "worst"), [(*MAX, -INF), (*MIN, INF)])
def test_a_window_of_the_worst_infinity_gives_it_and_the_gradient_stays_in_the_image(forward, backward, worst):
    x = np.full((1, 2, 3, 3), worst)
    y, cache = forward(x, kernel_size=3, stride=2, padding=1, ceil_mode=True)
    assert (y == worst).all()
    dy = np.random.default_rng(1).normal(size=y.shape)
    assert_same(backward(dy, cache).sum(axis=(2, 3)), dy.sum(axis=(2, 3)))


def test_plus_infinity_wins_a_max_pool():
    assert max_pool2d_forward(_image([-INF, 2], [INF, 1]), kernel_size=2)[0].item() == INF


@given(case=pool_cases())
def test_min_pool_is_minus_the_max_pool_of_minus_x(case):
    x, options = case.spaced(), case.options | {"dilation": case.dilation, "ceil_mode": case.ceil_mode}
    y, cache = min_pool2d_forward(x, **options)
    y2, cache2 = max_pool2d_forward(-x, **options)
    assert_same(y, -y2)
    dy = case.rng.normal(size=y.shape)
    assert_same(min_pool2d_backward(dy, cache), -max_pool2d_backward(-dy, cache2))


@given(case=pool_cases())
def test_the_gradients_of_a_max_pool_sum_to_dy_and_land_on_maxima(case):
    x = case.spaced()
    y, cache = max_pool2d_forward(x, **case.options, dilation=case.dilation, ceil_mode=case.ceil_mode)
    dy = case.rng.normal(size=y.shape)
    dx = max_pool2d_backward(dy, cache)
    assert_same(dx.sum(), dy.sum(), terms=abs(dy).sum())
    assert np.isin(x[dx != 0], y).all()
    assert np.isin(y, x).all()


@given(case=pool_cases())
@settings(max_examples=40)
def test_max_and_min_pool_are_their_formulas(case):
    x, options = case.spaced(), case.options | {"dilation": case.dilation, "ceil_mode": case.ceil_mode}
    for forward, backward in (MAX, MIN):
        assert_is_its_formula(forward, backward, (x,), options, case.seed)


@given(case=pool_cases(dilated=False))
@settings(max_examples=40)
def test_avg_pool_is_its_formula_whatever_it_divides_by(case):
    for count_include_pad in (False, True):
        options = case.options | {"ceil_mode": case.ceil_mode, "count_include_pad": count_include_pad}
        assert_is_its_formula(*AVG, (case.image(),), options, case.seed)


@given(case=pool_cases(dilated=False))
def test_avg_pool_backward_is_the_transpose_of_forward(case):
    x = case.image()
    y, cache = avg_pool2d_forward(x, **case.options, ceil_mode=case.ceil_mode)
    dy = case.rng.normal(size=y.shape)
    dx = avg_pool2d_backward(dy, cache)
    assert_same(inner(y, dy), inner(x, dx), terms=inner(abs(x), abs(dx)) + inner(abs(y), abs(dy)))


@given(case=pool_cases(dilated=False))
def test_the_mean_over_a_constant_image_is_that_constant(case):
    x = np.full((case.N, case.C, case.H, case.W), 3.0)
    y, _ = avg_pool2d_forward(x, **case.options, ceil_mode=case.ceil_mode)
    assert_same(y, np.full_like(y, 3.0))


def test_what_the_mean_divides_by():
    x, options = np.ones((1, 1, 3, 3)), {"kernel_size": 2, "stride": 2, "padding": 1}
    assert avg_pool2d_forward(x, **options)[0][0, 0].tolist() == [[1, 1], [1, 1]]  # pixels of the image alone
    counted = avg_pool2d_forward(x, **options, count_include_pad=True)[0][0, 0]
    assert counted.tolist() == [[0.25, 0.5], [0.5, 1.0]]  # the border's zeros count


def test_what_ceil_mode_reaches_beyond_the_border_never_counts():
    x = np.ones((1, 1, 3, 3))
    for count_include_pad in (False, True):
        y, _ = avg_pool2d_forward(x, 2, ceil_mode=True, count_include_pad=count_include_pad)
        assert y[0, 0].tolist() == [[1, 1], [1, 1]]
    y, _ = avg_pool2d_forward(x, 3, stride=3, padding=1, ceil_mode=True, count_include_pad=True)
    # first: one row of border and two pixels; second: one pixel, one row of border, and one beyond, not counted
    assert_same(y[0, 0], np.outer([2 / 3, 1 / 2], [2 / 3, 1 / 2]))


def test_without_a_stride_the_windows_lie_side_by_side():
    x = np.random.default_rng(2).normal(size=(1, 2, 6, 6))
    for forward, _ in (MAX, MIN, AVG):
        assert_same(forward(x, (2, 3))[0], forward(x, (2, 3), stride=(2, 3))[0])


def test_ceil_mode_drops_a_window_that_would_begin_in_the_border_after_the_image():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    assert max_pool2d_forward(x, 1, stride=3, ceil_mode=True)[0].shape == (1, 1, 2, 2)
    assert max_pool2d_forward(x, 2, stride=5, padding=1, ceil_mode=True)[0].shape == (1, 1, 1, 1)  # would begin at 4


def test_global_average_is_the_mean_of_each_channel_and_shares_its_gradient():
    x = np.random.default_rng(3).normal(size=(2, 3, 4, 5))
    y, cache = global_avg_pool2d_forward(x)
    assert_same(y, np.einsum("nchw->nc", x) / 20)
    dx = global_avg_pool2d_backward(np.arange(6.0).reshape(2, 3), cache)
    assert_same(dx, np.arange(6.0).reshape(2, 3, 1, 1) / 20 * np.ones((4, 5)))


@forwards
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kernel_size": 0}, ValueError, r"kernel_size must be an int ≥ 1"),
        ({"kernel_size": 2.0}, ValueError, r"kernel_size must be an int ≥ 1.*got 2\.0"),
        ({"kernel_size": 2, "stride": 0}, ValueError, r"stride must be an int ≥ 1"),
        ({"kernel_size": 2, "padding": -1}, ValueError, r"padding must be an int ≥ 0.*got -1"),
        ({"kernel_size": 5}, ShapeError, r"kernel 5×5 is larger than its 3×4 input\.\n.*\(3 \+ 0 − 5\)/5⌋ \+ 1 = 0"),
        ({"kernel_size": (2, 5)}, ShapeError, r"OW = ⌊\(W \+ pads − KW\)/s⌋ \+ 1 = ⌊\(4 \+ 0 − 5\)/5⌋ \+ 1 = 0"),
        ({"kernel_size": 5, "ceil_mode": True}, ShapeError, r"larger than its 3×4 input"),
        ({"kernel_size": 2, "padding": 2}, ShapeError, r"window 0 would see border alone"),
    ],
)
def test_a_wrong_window_is_refused_and_named(forward, options, error, message):
    with pytest.raises(error, match=message):
        forward(np.ones((1, 1, 3, 4)), **options)


@pytest.mark.parametrize("forward", [max_pool2d_forward, min_pool2d_forward])
def test_a_dilated_window_that_does_not_fit_is_refused_with_the_sum(forward):
    with pytest.raises(ValueError, match="dilation must be an int ≥ 1"):
        forward(np.ones((1, 1, 3, 4)), 2, dilation=0)
    with pytest.raises(ShapeError, match=r"kernel 2×2 at dilation 3 is larger than its 3×4 input"):
        forward(np.ones((1, 1, 3, 4)), 2, dilation=3)


@forwards
def test_an_image_with_other_axes_is_refused(forward):
    with pytest.raises(ShapeError, match=r"x must be \(N,C,H,W\), got 2 axes"):
        forward(np.ones((3, 4)), 2)


def test_the_axes_of_an_image_are_named_where_they_are_missing():
    with pytest.raises(ShapeError, match=r"^x must be \(N,C,H,W\), got 3 axes: shape \(1, 4, 3\)$"):
        global_avg_pool2d_forward(np.ones((1, 4, 3)))
