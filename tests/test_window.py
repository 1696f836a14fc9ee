"""Where windows go: counted one by one, against the size formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import pool_cases

from tinycnn.errors import ShapeError
from tinycnn.formula import formulas
from tinycnn.ops import conv2d_forward
from tinycnn.ops.window import output_size, place_pool, place_window, size_sum

small = st.integers(1, 4)


def _places_counted(H, k, s, d, before, after):
    """Slide along one axis until the window sticks out; count the places."""
    count = start = 0
    while start + d * (k - 1) < before + H + after:
        count, start = count + 1, start + s
    return count


def _places_counted_ceil(H, k, s, d, before, after):
    """One more place if pixels or border are left over, as long as it begins in the image or the border before it."""
    count = _places_counted(H, k, s, d, before, after)
    covered = (count - 1) * s + d * (k - 1) + 1
    return count + (covered < before + H + after and count * s < before + H)


@given(case=pool_cases())
def test_the_size_is_the_number_of_places_a_window_has(case):
    top, bottom, left, right = case.sides()
    count = _places_counted_ceil if case.ceil_mode else _places_counted
    window = place_window(
        case.H, case.W, case.kernel_size, case.stride, case.padding, case.dilation, ceil_mode=case.ceil_mode
    )
    (KH, KW), (sv, sh), (dv, dh) = case.kernel_size, case.strides, case.dilation
    assert count(case.H, KH, sv, dv, top, bottom) == window.OH
    assert count(case.W, KW, sh, dh, left, right) == window.OW
    assert (window.top, window.bottom, window.left, window.right) == (top, bottom, left, right)


@given(H=st.integers(1, 40), k=st.integers(1, 6), s=small, d=small, pads=st.integers(0, 6))
def test_the_size_formula_counts_places_and_is_its_declaration(H, k, s, d, pads):
    size = output_size(H, KH=k, s=s, pads=pads, dilation=d)
    assert max(size, 0) == _places_counted(H, k, s, d, 0, pads)
    assert formulas["output_size"].evaluate(H=H, KH=k, s=s, pads=pads, dilation=d) == size


@given(H=st.integers(4, 30), W=st.integers(4, 30), k=small, s=small, d=small)
def test_same_gives_ceil_h_over_s_with_the_odd_pixel_at_bottom_and_right(H, W, k, s, d):
    window = place_window(H, W, k, s, "same", d)
    assert math.ceil(H / s) == window.OH
    assert math.ceil(W / s) == window.OW
    assert window.bottom - window.top in (0, 1)
    assert window.right - window.left in (0, 1)
    if s == 1:
        assert window.top + window.bottom == d * (k - 1)


def test_same_puts_the_odd_row_below_and_the_odd_column_right():
    window = place_window(5, 5, 2, 1, "same")
    assert (window.top, window.bottom, window.left, window.right) == (0, 1, 0, 1)


@given(case=pool_cases())
def test_taps_and_views_of_a_padded_image_agree(case):
    window = place_window(case.H, case.W, case.kernel_size, case.stride, case.padding, case.dilation, case.ceil_mode)
    xp = window.pad(case.image())
    windows = window.view(xp)
    assert windows.shape == (case.N, case.C, window.OH, window.OW, *case.kernel_size)
    for i, j in np.ndindex(*case.kernel_size):
        assert (windows[..., i, j] == xp[window.tap(i, j)]).all()
    assert (window.crop(xp) == case.image()).all()


@given(case=pool_cases())
def test_inside_marks_what_is_image_and_every_window_sees_some(case):
    window = place_window(case.H, case.W, case.kernel_size, case.stride, case.padding, case.dilation, case.ceil_mode)
    marked = window.view(window.pad(np.ones((1, 1, case.H, case.W))))[0, 0]
    assert (window.inside() == (marked == 1)).all()
    assert window.inside().any(axis=(-2, -1)).all()


@pytest.mark.parametrize(
    ("padding", "sides"),
    [(2, (2, 2, 2, 2)), ((1, 2), (1, 1, 2, 2)), ([0, 1], (0, 0, 1, 1)), ((1, 0, 2, 1), (1, 0, 2, 1)),
     ("valid", (0, 0, 0, 0)), (np.int64(1), (1, 1, 1, 1))],
)  # fmt: skip
def test_padding_can_be_spelled_in_five_ways(padding, sides):
    window = place_window(6, 6, 3, padding=padding)
    assert (window.top, window.bottom, window.left, window.right) == sides


@pytest.mark.parametrize("padding", [-1, (1, -1), (1, 2, 3), 1.0, "SAME", None, (1, 1, 1, 1, 1), True])
def test_any_other_padding_is_refused(padding):
    with pytest.raises(ValueError, match="padding must be"):
        place_window(6, 6, 3, padding=padding)


@pytest.mark.parametrize("name", ["kernel_size", "stride", "dilation"])
@pytest.mark.parametrize("value", [0, -2, (2, 0), 1.5, (1, 2, 3), "2", None, (1.0, 2), False])
def test_a_size_that_is_no_positive_int_or_pair_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be an int ≥ 1 or a pair \(vertical, horizontal\)") as caught:
        place_window(9, 9, **({"kernel_size": 2} | {name: value}))
    assert repr(value) in str(caught.value)


def test_a_kernel_that_does_not_fit_shows_the_sum_with_the_numbers_in():
    with pytest.raises(ShapeError) as caught:
        place_window(4, 6, (3, 2), 2, 0, (2, 1))
    assert str(caught.value) == (
        "kernel 3×2 at dilation 2 is larger than its 4×6 input.\n"
        "  OH = ⌊(H + pads − d(KH − 1) − 1)/s⌋ + 1 = ⌊(4 + 0 − 2·(3 − 1) − 1)/2⌋ + 1 = 0"
    )


def test_a_pool_that_would_see_border_alone_is_refused():
    with pytest.raises(ShapeError, match=r"padding 3 and 0 on a 5×5 input: window 0 would see border alone.*padding"):
        place_pool(5, 5, 2, padding=(3, 0, 0, 0))
    with pytest.raises(ShapeError, match=r"kernel 1×1 with padding 0 and 2.*window 5 would see border alone"):
        place_pool(5, 5, 1, padding=(0, 0, 0, 2))
    with pytest.raises(ShapeError, match=r"window 1 would see border alone.*or a smaller dilation"):
        place_pool(2, 2, 2, stride=1, dilation=3, padding=2)  # a tap on either side, none in the image


def test_a_convolution_over_border_alone_gives_the_bias():
    y, _ = conv2d_forward(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1)), np.array([0.5]), padding=(1, 0, 0, 0))
    np.testing.assert_array_equal(y[0, 0], [[0.5, 0.5], [1.5, 1.5], [1.5, 1.5]])


def test_size_sum_writes_the_formula_with_its_numbers():
    assert size_sum(32, 3, 2, 2, 1, 16) == "⌊(32 + 2 − 3)/2⌋ + 1 = 16"
    assert size_sum(32, 3, 2, 2, 2, 15) == "⌊(32 + 2 − 2·(3 − 1) − 1)/2⌋ + 1 = 15"
    assert size_sum(5, 2, 2, 0, 1, 3, ceil=True) == "⌈(5 + 0 − 2)/2⌉ + 1 = 3"
