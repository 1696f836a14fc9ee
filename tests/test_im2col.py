"""im2col lays windows out as rows; col2im, its transpose, adds every entry back onto its pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from oracles import assert_same, inner
from strategies import conv_cases

from tinycnn.errors import ShapeError
from tinycnn.formula import formulas
from tinycnn.ops import col2im, im2col


def _where(case):
    return {"kernel_size": case.kernel_size, "stride": case.stride, "padding": case.padding, "dilation": case.dilation}


def test_im2col_by_hand_with_padding_and_two_channels():
    x = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])[None]  # two channels of one row
    cols, sizes = im2col(x, (1, 2), padding=(0, 1))
    assert sizes == (1, 1, 3)
    assert cols.tolist() == [[0, 1, 0, 3], [1, 2, 3, 4], [2, 0, 4, 0]]


def test_col2im_by_hand_adds_what_overlaps_and_drops_the_border():
    rows = np.array([[100.0, 1.0], [2.0, 3.0], [4.0, 100.0]])
    assert col2im(rows, (1, 1, 1, 2), (1, 2), padding=(0, 1)).tolist() == [[[[1 + 2, 3 + 4]]]]


@given(case=conv_cases())
@settings(max_examples=40)
def test_im2col_is_its_formula(case):
    x = case.image()
    cols, (N, OH, OW) = im2col(x, **_where(case))
    assert cols.shape == (N * OH * OW, case.C * np.prod(case.kernel_size))
    assert (cols == formulas["im2col"].evaluate(x=x, **_where(case))).all()


@given(case=conv_cases())
@settings(max_examples=40)
def test_col2im_is_its_formula(case):
    x = case.image()
    cols = case.rng.normal(size=im2col(x, **_where(case))[0].shape)
    literal = formulas["col2im"].evaluate(cols=cols, x_shape=x.shape, **_where(case))
    assert_same(col2im(cols, x.shape, **_where(case)), literal)


@given(case=conv_cases())
def test_col2im_is_the_transpose_of_im2col(case):
    x = case.image()
    cols, _ = im2col(x, **_where(case))
    rows = case.rng.normal(size=cols.shape)
    back = col2im(rows, x.shape, **_where(case))
    assert back.shape == x.shape
    assert_same(inner(cols, rows), inner(x, back), terms=inner(abs(cols), abs(rows)))


@given(case=conv_cases())
def test_col2im_of_im2col_counts_the_windows_each_pixel_is_in(case):
    x = case.image()
    counted = col2im(np.ones_like(im2col(x, **_where(case))[0]), x.shape, **_where(case))
    assert_same(col2im(im2col(x, **_where(case))[0], x.shape, **_where(case)), counted * x, terms=counted * abs(x))


@given(case=conv_cases())
def test_layout_dtype_and_byte_order_make_no_difference(case):
    x = case.image(np.float32)
    cols, _ = im2col(x, **_where(case))
    assert cols.dtype == np.float32
    for other in (np.asfortranarray(x), x.astype(">f4"), np.repeat(x, 2, axis=-1)[..., ::2]):
        assert (im2col(other, **_where(case))[0] == cols).all()
    back = col2im(cols, x.shape, **_where(case))
    assert back.dtype == np.float32
    for other in (np.asfortranarray(cols), cols.astype(">f4"), np.repeat(cols, 2, axis=-1)[..., ::2]):
        assert (col2im(other, x.shape, **_where(case)) == back).all()


def test_the_rows_are_the_callers_own():
    x = np.ones((1, 1, 2, 3))
    cols, _ = im2col(x, kernel_size=1)
    assert not np.shares_memory(cols, x)
    rows = np.ones((4, 1))
    assert not np.shares_memory(col2im(rows, (1, 1, 2, 2), kernel_size=1), rows)


def test_an_empty_batch_has_no_rows():
    cols, sizes = im2col(np.ones((0, 2, 4, 5)), 3)
    assert cols.shape == (0, 18)
    assert sizes == (0, 2, 3)
    assert col2im(cols, (0, 2, 4, 5), 3).shape == (0, 2, 4, 5)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="larger than its 2×2 input"):
        im2col(np.ones((1, 1, 2, 2)), 3)
    with pytest.raises(ShapeError, match=r"x must be \(N,C,H,W\)"):
        im2col(np.ones((2, 2)), 1)
    with pytest.raises(TypeError, match="x must hold float32 or float64"):
        im2col(np.ones((1, 1, 2, 2), int), 1)
    with pytest.raises(TypeError, match="cols must hold float32 or float64"):
        col2im(np.ones((4, 1), int), (1, 1, 2, 2), 1)
    with pytest.raises(ShapeError, match=r"cols must be \(4, 1\), .* got \(3, 1\)"):
        col2im(np.ones((3, 1)), (1, 1, 2, 2), 1)
