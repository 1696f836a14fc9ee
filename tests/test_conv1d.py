"""1-D convolution: by hand, against NumPy's own, against conv2d, its formula, its transpose and PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_all_same, assert_gradients, assert_is_its_formula, assert_same, inner
from strategies import same_sides, seeds

from tinycnn.errors import ShapeError
from tinycnn.ops import conv1d_backward, conv1d_forward, conv2d_backward, conv2d_forward

NAMES = ("x", "w", "b")


@dataclass(frozen=True)
class Case:
    x: np.ndarray
    w: np.ndarray
    b: np.ndarray
    options: dict[str, Any]

    def run(self):
        """y, a random dy and the gradients."""
        y, cache = conv1d_forward(self.x, self.w, self.b, **self.options)
        dy = np.random.default_rng(5).normal(size=y.shape)
        return y, dy, conv1d_backward(dy, cache)


@st.composite
def cases(draw):
    """Sequences, filters and every option; W is derived so that one window fits."""
    KW, s, d, groups = (draw(st.integers(1, 3)) for _ in range(4))
    padding = draw(st.one_of(st.integers(0, 3), st.tuples(st.integers(0, 3), st.integers(0, 3)), st.just("same")))
    pads = 0 if padding == "same" else sum(padding) if isinstance(padding, tuple) else 2 * padding
    W = max(1, d * (KW - 1) + 1 - pads) + draw(st.integers(0, 4))
    N, CG, FG = (draw(st.integers(1, 2)) for _ in range(3))
    rng = np.random.default_rng(draw(seeds))
    options = {"stride": s, "padding": padding, "dilation": d, "groups": groups, "flip": draw(st.booleans())}
    C, F = groups * CG, groups * FG
    return Case(rng.normal(size=(N, C, W)), rng.normal(size=(F, CG, KW)), rng.normal(size=F), options)


def _sequence(*numbers):
    return np.array(numbers, dtype=float)[None, None]


def test_a_difference_filter_worked_by_hand():
    y, cache = conv1d_forward(_sequence(1, 2, 4, 8), _sequence(-1, 1), np.array([10.0]))
    assert y.tolist() == [[[11, 12, 14]]]
    dx, dw, db = conv1d_backward(_sequence(1, 0, 2), cache)
    assert dx.tolist() == [[[-1, 1, -2, 2]]]
    assert dw.tolist() == [[[1 * 1 + 4 * 2, 2 * 1 + 8 * 2]]]
    assert db.tolist() == [3]


def test_numpy_correlates_and_convolves_the_same():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=9), rng.normal(size=4)
    y = lambda **options: conv1d_forward(_sequence(*x), _sequence(*w), None, **options)[0][0, 0]  # noqa: E731
    assert_same(y(), np.correlate(x, w, mode="valid"))
    assert_same(y(flip=True), np.convolve(x, w, mode="valid"))
    assert_same(y(flip=True, padding=3), np.convolve(x, w, mode="full"))


@given(case=cases())
def test_it_is_conv2d_on_an_image_of_height_one(case):
    o = case.options
    KW = case.w.shape[2]
    left, right = (
        same_sides(case.x.shape[2], KW, o["stride"], o["dilation"]) if o["padding"] == "same"
        else o["padding"] if isinstance(o["padding"], tuple) else (o["padding"],) * 2
    )  # fmt: skip
    flat = {"stride": (1, o["stride"]), "padding": (0, 0, left, right), "dilation": (1, o["dilation"])}
    y2, cache2 = conv2d_forward(case.x[:, :, None], case.w[:, :, None], case.b, **{**o, **flat})
    y, dy, gradients = case.run()
    assert_same(y, y2[:, :, 0])
    dx, dw, db = conv2d_backward(dy[:, :, None], cache2)
    assert_all_same(gradients, (dx[:, :, 0], dw[:, :, 0], db), NAMES)


@given(case=cases())
@settings(max_examples=40)
def test_forward_and_backward_are_their_formulas(case):
    assert_is_its_formula(conv1d_forward, conv1d_backward, (case.x, case.w, case.b), case.options)


@given(case=cases())
def test_backward_is_the_transpose_of_forward(case):
    case = Case(case.x, case.w, np.zeros_like(case.b), case.options)
    y, dy, (dx, dw, _) = case.run()
    terms = inner(conv1d_forward(abs(case.x), abs(case.w), None, **case.options)[0], abs(dy))
    assert_same(inner(y, dy), inner(case.x, dx), terms=terms)
    assert_same(inner(y, dy), inner(case.w, dw), terms=terms)


@given(case=cases())
@settings(max_examples=30)
def test_the_complex_step_confirms_every_gradient(case):
    assert_gradients(conv1d_forward, conv1d_backward, case.x, case.w, case.b, positions=(0, 1, 2), **case.options)


def test_same_padding_keeps_the_length_at_stride_one_and_rounds_up_at_stride_two():
    for W in (5, 6):
        for KW in (1, 2, 3, 4):
            x, w = np.ones((1, 1, W)), np.ones((1, 1, KW))
            assert conv1d_forward(x, w, None, padding="same")[0].shape[2] == W
            assert conv1d_forward(x, w, None, padding="same", stride=2)[0].shape[2] == -(-W // 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stride": 0}, ValueError, "stride must be an int ≥ 1, got 0"),
        ({"stride": (1, 2)}, ValueError, r"stride must be an int ≥ 1, got \(1, 2\)"),
        ({"dilation": 0}, ValueError, "dilation must be an int ≥ 1, got 0"),
        ({"padding": -1}, ValueError, "padding must be an int ≥ 0, got -1"),
        ({"padding": (1, 1, 1, 1)}, ValueError, r"padding must be an int ≥ 0, \(left, right\), 'valid' or 'same'"),
        ({"padding": "full"}, ValueError, "padding must be"),
        ({"dilation": 3}, ShapeError, r"larger than its 1×5 input.\n.*OW = .*= -1"),
        ({"groups": 2}, ShapeError, "groups=2 must divide both the 3 channels and the 4 filters"),
    ],
)
def test_a_wrong_option_is_refused_and_named(options, error, message):
    with pytest.raises(error, match=message):
        conv1d_forward(np.ones((1, 3, 5)), np.ones((4, 3, 3)), np.zeros(4), **options)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"x must be \(N,C,W\), got 4 axes"):
        conv1d_forward(np.ones((1, 3, 5, 1)), np.ones((4, 3, 3)), None)
    with pytest.raises(ShapeError, match=r"w must be \(F,C/groups,KW\), got 2 axes"):
        conv1d_forward(np.ones((1, 3, 5)), np.ones((4, 3)), None)
    with pytest.raises(ShapeError, match="has 3 channels, but the filters"):
        conv1d_forward(np.ones((1, 3, 5)), np.ones((4, 2, 3)), None)
    with pytest.raises(ShapeError, match=r"the bias must have one number a filter, \(4,\), got shape \(3,\)"):
        conv1d_forward(np.ones((1, 3, 5)), np.ones((4, 3, 3)), np.zeros(3))


@pytest.mark.torch
@given(case=cases())
def test_pytorch_says_the_same(case):
    pytest.importorskip("torch")
    from torch_reference import torch_results

    y, dy, gradients = case.run()
    theirs, their_gradients = torch_results("conv1d", (case.x, case.w, case.b), case.options, (0, 1, 2), lambda y: dy)
    assert_same(y, theirs)
    assert_all_same(gradients, their_gradients, NAMES)
