"""Convolution: cases worked by hand, the formula, the transpose, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from oracles import assert_all_same, assert_same, inner
from strategies import conv_cases

from tinycnn.errors import ShapeError
from tinycnn.formula import formulas, literal_twin
from tinycnn.ops import conv2d_backward, conv2d_forward

literal_forward, literal_backward = literal_twin(conv2d_forward, conv2d_backward)


def _image(*rows):
    return np.array(rows, dtype=float)[None, None]


def test_a_convolution_worked_by_hand():
    x = _image([1, 2, 0], [3, 1, 4], [0, 5, 2])
    w = _image([1, -1], [2, 0])
    y, cache = conv2d_forward(x, w, np.array([10.0]))
    # top left: 1·1 − 2 + 2·3 + 10 = 15
    assert y[0, 0].tolist() == [[15.0, 14.0], [12.0, 17.0]]
    dx, dw, db = conv2d_backward(_image([1, 0], [0, 2]), cache)
    assert dx[0, 0].tolist() == [[1.0, -1.0, 0.0], [2.0, 2.0, -2.0], [0.0, 4.0, 0.0]]  # the middle pixel: 0 + 2·1
    assert dw[0, 0].tolist() == [[3.0, 10.0], [13.0, 5.0]]  # 1·1 + 2·1, 1·2 + 2·4, 1·3 + 2·5, 1·1 + 2·2
    assert db.tolist() == [3.0]


def test_flip_is_the_convolution_of_mathematics():
    """Article 003: y(i+P−1, j+Q−1) = Σp Σq x(i+P−1−p, j+Q−1−q)·w(p, q), for i = 0 … H−P."""
    rng = np.random.default_rng(0)
    (H, W), (P, Q) = (5, 6), (3, 2)
    x, w = rng.normal(size=(H, W)), rng.normal(size=(P, Q))
    y, _ = conv2d_forward(x[None, None], w[None, None], None, flip=True)
    assert y.shape == (1, 1, H - P + 1, W - Q + 1)
    for i in range(H - P + 1):
        for j in range(W - Q + 1):
            total = sum(x[i + P - 1 - p, j + Q - 1 - q] * w[p, q] for p in range(P) for q in range(Q))
            assert_same(y[0, 0, i, j], total, terms=10)


def test_flip_agrees_with_numpy_convolve_along_a_row():
    x, w = np.array([1.0, -2.0, 3.0, 0.5]), np.array([2.0, 1.0, -1.0])
    y, _ = conv2d_forward(x[None, None, None], w[None, None, None], None, padding=(0, 2), flip=True)
    assert_same(y[0, 0, 0], np.convolve(x, w))


@given(case=conv_cases())
@settings(max_examples=40)
def test_forward_and_backward_are_the_formula(case):
    x, w, b = case.arrays()
    y, cache = conv2d_forward(x, w, b, **case.options)
    y2, cache2 = literal_forward(x, w, b, **case.options)
    size, size_cache = conv2d_forward(abs(x), abs(w), abs(b), **case.options)  # Σ|products| behind each entry
    assert_same(y, y2, terms=size, what="y:")
    dy = case.rng.normal(size=y.shape)
    sizes = conv2d_backward(abs(dy), size_cache)
    for name, ours, literal, terms in zip(
        ("dx", "dw", "db"), conv2d_backward(dy, cache), literal_backward(dy, cache2), sizes, strict=True
    ):
        assert_same(ours, literal, terms=terms, what=f"{name}:")


@given(case=conv_cases())
def test_backward_is_the_transpose_of_forward(case):
    x, w, _ = case.arrays()
    y, cache = conv2d_forward(x, w, np.zeros(len(w)), **case.options)
    dy = case.rng.normal(size=y.shape)
    dx, dw, _ = conv2d_backward(dy, cache)
    assert_same(inner(y, dy), inner(x, dx), terms=inner(abs(x), abs(dx)) + inner(abs(y), abs(dy)))
    assert_same(inner(y, dy), inner(w, dw), terms=inner(abs(w), abs(dw)) + inner(abs(y), abs(dy)))


@given(case=conv_cases())
def test_flip_is_the_same_as_turning_the_filters(case):
    x, w, b = case.arrays()
    options = case.options | {"flip": True}
    y, cache = conv2d_forward(x, w, b, **options)
    turned = w[:, :, ::-1, ::-1]
    y2, cache2 = conv2d_forward(x, turned, b, **options | {"flip": False})
    assert_same(y, y2)
    dy = case.rng.normal(size=y.shape)
    dx, dw, db = conv2d_backward(dy, cache)
    dx2, dw2, db2 = conv2d_backward(dy, cache2)
    assert_all_same((dx, dw, db), (dx2, dw2[:, :, ::-1, ::-1], db2), ("x", "w", "b"))


@given(case=conv_cases())
def test_groups_are_convolutions_side_by_side(case):
    x, w, b = case.arrays()
    y, _ = conv2d_forward(x, w, b, **case.options)
    options = case.options | {"groups": 1}
    parts = zip(*(np.split(a, case.groups, axis) for a, axis in ((x, 1), (w, 0), (b, 0))), strict=True)
    assert_same(y, np.concatenate([conv2d_forward(*part, **options)[0] for part in parts], axis=1))


@given(case=conv_cases())
def test_without_a_bias_the_result_is_that_of_a_zero_bias(case):
    x, w, b = case.arrays()
    y, cache = conv2d_forward(x, w, None, **case.options)
    y0, cache0 = conv2d_forward(x, w, 0 * b, **case.options)
    dy = case.rng.normal(size=y.shape)
    dx, dw, db = conv2d_backward(dy, cache)
    assert db is None
    assert_same(y, y0)
    assert_all_same((dx, dw), conv2d_backward(dy, cache0)[:2], ("x", "w"))


def test_a_one_by_one_convolution_is_a_matrix_at_every_pixel():
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(6, 3, 1, 1))
    assert_same(conv2d_forward(x, w, None)[0], np.einsum("fc,nchw->nfhw", w[:, :, 0, 0], x))


def test_one_tap_at_the_centre_moves_nothing_and_one_beside_it_shifts():
    x = np.random.default_rng(2).normal(size=(1, 1, 4, 4))
    centre, above = np.zeros((2, 1, 1, 3, 3))
    centre[0, 0, 1, 1] = above[0, 0, 0, 1] = 1
    assert_same(conv2d_forward(x, centre, None, padding="same")[0], x)
    shifted = conv2d_forward(x, above, None, padding="same")[0]
    assert_same(shifted[:, :, 1:], x[:, :, :-1])
    assert not shifted[:, :, 0].any()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stride": 0}, ValueError, r"stride must be an int ≥ 1 .* got 0"),
        ({"stride": (1, 2, 3)}, ValueError, r"stride must be .* a pair \(vertical, horizontal\).*\(1, 2, 3\)"),
        ({"stride": 1.5}, ValueError, r"stride must be an int ≥ 1.*1\.5"),
        ({"stride": True}, ValueError, r"stride must be an int"),
        ({"dilation": 0}, ValueError, r"dilation must be an int ≥ 1 .* got 0"),
        ({"padding": -1}, ValueError, r"padding must be an int ≥ 0.*'valid' or 'same', got -1"),
        ({"padding": "full"}, ValueError, r"padding must be .*got 'full'"),
        ({"padding": (1, 2, 3)}, ValueError, r"padding must be .*got \(1, 2, 3\)"),
        ({"groups": 0}, ShapeError, r"groups=0 must divide both the 4 channels and the 6 filters"),
        ({"groups": 4}, ShapeError, r"groups=4 must divide both the 4 channels and the 6 filters"),
        ({"groups": 2}, ShapeError, r"4 channels, but .* see 4 each in each of 2 groups, 8 in all.*\(6, 2, …\)"),
    ],
)
def test_a_wrong_option_is_refused_and_named(options, error, message):
    with pytest.raises(error, match=message):
        conv2d_forward(np.ones((1, 4, 5, 5)), np.ones((6, 4, 3, 3)), None, **options)


def test_channels_that_do_not_fit_the_filters_are_named():
    with pytest.raises(ShapeError, match=r"image has 2 channels, .*\(5, 3, 2, 2\) see 3 each.*images of 3 channels"):
        conv2d_forward(np.ones((1, 2, 4, 4)), np.ones((5, 3, 2, 2)), None)


def test_a_bias_of_the_wrong_length_is_refused():
    with pytest.raises(ShapeError, match=r"one number a filter, \(5,\), got shape \(3,\)"):
        conv2d_forward(np.ones((1, 2, 4, 4)), np.ones((5, 2, 2, 2)), np.ones(3))


def test_arrays_with_other_axes_are_refused():
    with pytest.raises(ShapeError, match=r"x must be \(N,C,H,W\), got 3 axes: shape \(2, 4, 4\)"):
        conv2d_forward(np.ones((2, 4, 4)), np.ones((5, 2, 2, 2)), None)
    with pytest.raises(ShapeError, match=r"w must be \(F,C/groups,KH,KW\), got 2 axes"):
        conv2d_forward(np.ones((1, 2, 4, 4)), np.ones((5, 2)), None)


def test_a_kernel_larger_than_its_image_is_refused_with_the_sum():
    with pytest.raises(ShapeError) as caught:
        conv2d_forward(np.ones((1, 1, 2, 5)), np.ones((1, 1, 5, 3)), None, padding=1)
    said = str(caught.value)
    assert "kernel 5×3 is larger than its 2×5 input with 2 of padding" in said
    assert "OH = ⌊(H + pads − KH)/s⌋ + 1 = ⌊(2 + 2 − 5)/1⌋ + 1 = 0" in said


def test_the_registry_knows_it():
    assert "Dumoulin" in formulas["conv2d"].source
    assert formulas["conv2d_backward"].source == formulas["conv2d"].source


@pytest.mark.parametrize(("w", "b", "groups", "message"), [
    ((3, 2, 2, 2), 3, 2, "groups=2 must divide both the 4 channels and the 3 filters"),
    ((4, 1, 2, 2), 4, 2, "the image has 4 channels, but the filters w of shape (4, 1, 2, 2) see 1 each in each of 2 "
     "groups, 2 in all. Give images of 2 channels, or filters of shape (4, 2, …)."),
    ((4, 3, 2, 2), 4, 1, "the image has 4 channels, but the filters w of shape (4, 3, 2, 2) see 3 each. Give images of "
     "3 channels, or filters of shape (4, 4, …)."),
    ((4, 4, 2, 2), 3, 1, "the bias must have one number a filter, (4,), got shape (3,)"),
])  # fmt: skip
def test_what_does_not_fit_is_said_in_full(w, b, groups, message):
    with pytest.raises(ShapeError) as found:
        conv2d_forward(np.ones((1, 4, 3, 3)), np.ones(w), np.zeros(b), groups=groups)
    assert str(found.value) == message
