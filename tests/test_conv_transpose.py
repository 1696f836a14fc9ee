"""Transposed convolution: stamps by hand, conv2d read backwards, its sizes, its formula and PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_all_same, assert_gradients, assert_is_its_formula, assert_same, inner
from strategies import seeds

from tinycnn.errors import ShapeError
from tinycnn.formula import formulas
from tinycnn.ops import (
    conv2d_backward,
    conv2d_forward,
    conv_transpose2d_backward,
    conv_transpose2d_forward,
    transposed_size,
)
from tinycnn.ops.window import output_size

PAIR = (conv_transpose2d_forward, conv_transpose2d_backward)
NAMES = ("x", "w", "b")


@dataclass(frozen=True)
class Case:
    x: np.ndarray
    w: np.ndarray
    b: np.ndarray
    options: dict[str, Any]

    def run(self):
        """y, a random dy and the gradients."""
        y, cache = conv_transpose2d_forward(self.x, self.w, self.b, **self.options)
        dy = np.random.default_rng(5).normal(size=y.shape)
        return y, dy, conv_transpose2d_backward(dy, cache)

    @property
    def conv_options(self):
        """Those that the convolution has too."""
        return {k: v for k, v in self.options.items() if k != "output_padding"}


@st.composite
def cases(draw):
    """Images, filters and every option; H is derived so that something is left after the border is cut off."""
    two = lambda least, most: draw(st.tuples(st.integers(least, most), st.integers(least, most)))  # noqa: E731
    kernel, stride, dilation, padding, image = two(1, 3), two(1, 3), two(1, 3), two(0, 3), two(1, 3)
    more = tuple(draw(st.integers(0, s - 1)) for s in stride)
    groups = draw(st.integers(1, 3))
    N, each, FG = (draw(st.integers(1, 2)) for _ in range(3))
    rng = np.random.default_rng(draw(seeds))
    H, W = (
        h + max(0, -(-(2 * p - d * (k - 1)) // s))
        for h, p, d, k, s in zip(image, padding, dilation, kernel, stride, strict=True)
    )
    options = {"stride": stride, "padding": padding, "output_padding": more, "dilation": dilation, "groups": groups}
    C = groups * each
    x, w = rng.normal(size=(N, C, H, W)), rng.normal(size=(C, FG, *kernel))
    return Case(x, w, rng.normal(size=FG * groups), options)


def test_stamps_worked_by_hand():
    x, w = np.array([[[[1.0, 10.0], [0.0, 2.0]]]]), np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    y, cache = conv_transpose2d_forward(x, w, np.array([0.5]), stride=2)  # side by side
    assert (y[0, 0] - 0.5).tolist() == [[1, 2, 10, 20], [3, 4, 30, 40], [0, 0, 2, 4], [0, 0, 6, 8]]
    dy = np.zeros((1, 1, 4, 4))
    dy[0, 0, 1, 2:] = [5, 7]  # below the stamp of 10: w's lower row
    dx, dw, db = conv_transpose2d_backward(dy, cache)
    assert dx[0, 0].tolist() == [[0, 3 * 5 + 4 * 7], [0, 0]]
    assert dw[0, 0].tolist() == [[0, 0], [50, 70]]
    assert db.tolist() == [12]


def test_where_stamps_overlap_they_add():
    y, _ = conv_transpose2d_forward(np.ones((1, 1, 1, 3)), np.ones((1, 1, 1, 2)), None)
    assert y[0, 0].tolist() == [[1, 2, 2, 1]]


@given(case=cases())
def test_forward_is_the_gradient_of_conv2d_and_backward_its_forward(case):
    """Word for word: x stands for its dy, y for its dx, dy for its x, dx for its y."""
    bare = Case(case.x, case.w, None, case.options)
    y, dy, (dx, dw, db) = bare.run()
    assert db is None
    conv, cache = conv2d_forward(dy, case.w, None, **case.conv_options)
    assert_same(dx, conv)
    conv_dx, conv_dw, _ = conv2d_backward(case.x, cache)
    assert_same(y, conv_dx)
    assert_same(dw, conv_dw)


@given(case=cases())
@settings(max_examples=40)
def test_forward_and_backward_are_their_formulas(case):
    assert_is_its_formula(*PAIR, (case.x, case.w, case.b), case.options)


@given(case=cases())
@settings(max_examples=30)
def test_the_complex_step_confirms_every_gradient(case):
    assert_gradients(*PAIR, case.x, case.w, case.b, positions=(0, 1, 2), **case.options)


@given(case=cases())
def test_backward_is_the_transpose_of_forward(case):
    bare = Case(case.x, case.w, None, case.options)
    y, dy, (dx, dw, _) = bare.run()
    terms = inner(conv_transpose2d_forward(abs(case.x), abs(case.w), None, **case.options)[0], abs(dy))
    assert_same(inner(y, dy), inner(case.x, dx), terms=terms)
    assert_same(inner(y, dy), inner(case.w, dw), terms=terms)


@given(
    H=st.integers(1, 9), KH=st.integers(1, 5), s=st.integers(1, 4), dilation=st.integers(1, 3), pads=st.integers(0, 4),
)  # fmt: skip
def test_the_sizes_are_exactly_those_from_which_a_convolution_makes_h(H, KH, s, dilation, pads):
    sizes = [transposed_size(H, KH, s, pads, dilation, more) for more in range(s)]
    assert all(output_size(size, KH, s, pads, dilation) == H for size in sizes)
    assert output_size(sizes[0] - 1, KH, s, pads, dilation) == H - 1
    assert output_size(sizes[-1] + 1, KH, s, pads, dilation) == H + 1
    arguments = {"H": H, "KH": KH, "s": s, "pads": pads, "dilation": dilation, "output_padding": s - 1}
    assert formulas["transposed_size"].evaluate(**arguments) == sizes[-1]


@pytest.mark.parametrize(("kernel", "stride"), [((2, 2), 2), ((3, 3), 2), ((4, 3), (1, 2)), ((1, 2), 3), ((5, 1), 2)])
def test_same_padding_multiplies_the_image_by_the_stride(kernel, stride):
    x, w = np.random.default_rng(0).normal(size=(1, 2, 3, 4)), np.ones((2, 3, *kernel))
    y, _ = conv_transpose2d_forward(x, w, None, stride, padding="same")
    sv, sh = stride if isinstance(stride, tuple) else (stride, stride)
    assert y.shape == (1, 3, 3 * sv, 4 * sh)
    _, cache = conv2d_forward(y, w, None, stride, padding="same")
    assert_same(conv2d_backward(x, cache)[0], y)


def test_valid_padding_is_none_and_a_border_may_be_lopsided():
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(1, 2, 3, 4)), rng.normal(size=(2, 1, 3, 3))
    whole, _ = conv_transpose2d_forward(x, w, None, 2, padding="valid")
    assert_same(conv_transpose2d_forward(x, w, None, 2)[0], whole)
    cut, _ = conv_transpose2d_forward(x, w, None, 2, padding=(1, 0, 2, 1))
    assert_same(cut, whole[:, :, 1:, 2:-1])


def test_output_padding_shows_more_of_the_bottom_and_the_right():
    rng = np.random.default_rng(2)
    x, w, b = rng.normal(size=(1, 1, 2, 2)), rng.normal(size=(1, 1, 3, 3)), np.array([7.0])
    small, _ = conv_transpose2d_forward(x, w, b, 3, padding=(0, 0, 0, 1))
    large, _ = conv_transpose2d_forward(x, w, b, 3, padding=(0, 0, 0, 1), output_padding=2)
    assert large.shape == (1, 1, 8, 7)
    assert_same(large[:, :, :6, :5], small)
    assert (large[:, :, 6:] == 7).all()  # no stamp reaches there: the bias alone


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stride": 0}, ValueError, "stride must be an int ≥ 1"),
        ({"dilation": 0}, ValueError, "dilation must be an int ≥ 1"),
        ({"padding": -1}, ValueError, "padding must be an int ≥ 0"),
        ({"output_padding": -1}, ValueError, "output_padding must be an int ≥ 0"),
        ({"output_padding": 1}, ValueError, r"which of 1×1 \(the stride\) possible sizes is meant, so it is less than"),
        ({"stride": 2, "output_padding": (0, 2)}, ValueError, r"2×2 \(the stride\).*less than the.* got \(0, 2\)"),
        ({"stride": 2, "padding": "same", "output_padding": 1}, ValueError, "leave output_padding at 0"),
        ({"padding": 3}, ShapeError, r"cuts off everything.*\n  OH = .*\(2 − 1\)·1 − 6 \+ 1·\(3 − 1\) \+ 0 \+ 1 = -2"),
        ({"groups": 3}, ShapeError, "groups=3 must divide the 4 channels"),
        ({"groups": 2}, ShapeError, r"the bias must have one number an output channel, \(6,\), got shape \(3,\)"),
    ],
)
def test_a_wrong_option_is_refused_and_named(options, error, message):
    with pytest.raises(error, match=message):
        conv_transpose2d_forward(np.ones((1, 4, 2, 2)), np.ones((4, 3, 3, 3)), np.zeros(3), **options)


def test_filters_the_wrong_way_round_are_refused_with_their_axes():
    with pytest.raises(ShapeError, match=r"4 channels, but w of shape \(3, 4, 3, 3\) takes 3: .* \(C, F/groups"):
        conv_transpose2d_forward(np.ones((1, 4, 2, 2)), np.ones((3, 4, 3, 3)), None)
    with pytest.raises(ShapeError, match=r"x must be \(N,C,H,W\), got 3 axes"):
        conv_transpose2d_forward(np.ones((4, 2, 2)), np.ones((4, 3, 3, 3)), None)


@pytest.mark.torch
@given(case=cases())
def test_pytorch_says_the_same(case):
    pytest.importorskip("torch")
    from torch_reference import torch_results

    y, dy, gradients = case.run()
    args = (case.x, case.w, case.b)
    theirs, their_gradients = torch_results("conv_transpose2d", args, case.options, (0, 1, 2), lambda y: dy)
    assert_same(y, theirs)
    assert_all_same(gradients, their_gradients, NAMES)
