"""Upsampling and unpooling: where each number goes, what a blend weighs, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_gradients, assert_is_its_formula, assert_same, inner
from strategies import pool_cases, seeds

from tinycnn.errors import ShapeError
from tinycnn.formula import formulas
from tinycnn.ops import (
    linear_neighbours,
    max_pool2d_forward,
    max_pool2d_indices,
    max_unpool2d_backward,
    max_unpool2d_forward,
    upsample_bilinear2d_backward,
    upsample_bilinear2d_forward,
    upsample_nearest2d_backward,
    upsample_nearest2d_forward,
)

NEAREST = (upsample_nearest2d_forward, upsample_nearest2d_backward)
BILINEAR = (upsample_bilinear2d_forward, upsample_bilinear2d_backward)
UNPOOL = (max_unpool2d_forward, max_unpool2d_backward)
images = st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 4), st.integers(1, 4))
scales = st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 4), st.integers(1, 4)))
corners = pytest.mark.parametrize("align_corners", [False, True])
NAN = np.nan


def _image(*rows):
    return np.array(rows, dtype=float)[None, None]


def _assert_transposed(forward, backward, x, *args, **options):
    y, cache = forward(x, *args, **options)
    dy = np.random.default_rng(5).normal(size=y.shape)
    dx = backward(dy, cache)
    assert_same(inner(y, dy), inner(x, dx), terms=inner(forward(abs(x), *args, **options)[0], abs(dy)))


# ---------------------------------------------------------------- nearest


def test_nearest_repeats_each_pixel_and_its_gradient_is_the_sum_over_the_copies():
    y, cache = upsample_nearest2d_forward(_image([1, 2], [3, 4]), scale=(2, 3))
    assert y[0, 0].tolist() == [[1, 1, 1, 2, 2, 2]] * 2 + [[3, 3, 3, 4, 4, 4]] * 2
    assert upsample_nearest2d_backward(np.arange(24.0).reshape(1, 1, 4, 6), cache)[0, 0].tolist() == [
        [0 + 1 + 2 + 6 + 7 + 8, 3 + 4 + 5 + 9 + 10 + 11],
        [12 + 13 + 14 + 18 + 19 + 20, 15 + 16 + 17 + 21 + 22 + 23],
    ]


@given(shape=images, scale=scales, seed=seeds)
@settings(max_examples=40)
def test_nearest_is_a_kronecker_product_its_formula_and_its_transpose(shape, scale, seed):
    x = np.random.default_rng(seed).normal(size=shape)
    copies = np.ones(scale if isinstance(scale, tuple) else (scale, scale))
    assert_same(upsample_nearest2d_forward(x, scale)[0], np.kron(x, copies))
    assert_is_its_formula(*NEAREST, (x, scale), {})
    assert_gradients(*NEAREST, x, scale)
    _assert_transposed(*NEAREST, x, scale)


# ---------------------------------------------------------------- bilinear


def test_bilinear_worked_by_hand():
    x = _image([0, 8], [16, 24])
    y, cache = upsample_bilinear2d_forward(x, scale=2)  # at −¼→0, ¼, ¾, 1¼→1 of each axis
    assert y[0, 0].tolist() == [[0, 2, 6, 8], [4, 6, 10, 12], [12, 14, 18, 20], [16, 18, 22, 24]]
    dx = upsample_bilinear2d_backward(_image([0, 0, 0, 0], [0, 16, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]), cache)
    assert dx[0, 0].tolist() == [[9, 3], [3, 1 + 1]]  # (¾, ¼)·(¾, ¼) of 16, and the corner's own 1


def test_with_align_corners_the_corners_stay_and_the_rest_is_evenly_spread():
    y, _ = upsample_bilinear2d_forward(_image([0, 5], [10, 15]), scale=3, align_corners=True)
    assert_same(y[0, 0], np.add.outer(np.linspace(0, 10, 6), np.linspace(0, 5, 6)), terms=15)


@given(shape=images, scale=scales, seed=seeds, align_corners=st.booleans())
@settings(max_examples=40)
def test_bilinear_is_its_formula_its_transpose_and_its_complex_step(shape, scale, seed, align_corners):
    x = np.random.default_rng(seed).normal(size=shape)
    assert_is_its_formula(*BILINEAR, (x, scale), {"align_corners": align_corners})
    assert_gradients(*BILINEAR, x, scale, align_corners=align_corners)
    _assert_transposed(*BILINEAR, x, scale, align_corners=align_corners)


@given(H=st.integers(1, 7), scale=st.integers(1, 5), align_corners=st.booleans())
def test_the_neighbours_are_their_formula_two_rows_of_the_image_that_weigh_one_together(H, scale, align_corners):
    row, weight = linear_neighbours(H, scale, align_corners)
    literal = formulas["linear_neighbours"].evaluate(H=H, scale=scale, align_corners=align_corners)
    assert_same(row, literal.row.astype(int))
    assert_same(weight, literal.weight, terms=1)
    assert row.shape == weight.shape == (H * scale, 2)
    assert ((row >= 0) & (row < H)).all()
    assert (weight >= 0).all()
    assert_same(weight.sum(axis=1), np.ones(H * scale))


@corners
@pytest.mark.parametrize("scale", [1, 2, (3, 1), (2, 5)])
def test_a_constant_stays_constant_and_scale_one_changes_nothing(align_corners, scale):
    y, _ = upsample_bilinear2d_forward(np.full((1, 2, 3, 4), 1e4), scale, align_corners)
    assert_same(y, np.full_like(y, 1e4))
    x = np.random.default_rng(0).normal(size=(2, 1, 3, 4))
    assert (upsample_bilinear2d_forward(x, 1, align_corners)[0] == x).all()


@corners
def test_the_image_of_one_pixel_grows_to_that_pixel(align_corners):
    y, cache = upsample_bilinear2d_forward(_image([7.0]), 3, align_corners)
    assert (y == 7).all()
    assert upsample_bilinear2d_backward(np.ones_like(y), cache)[0, 0].tolist() == [[9.0]]


@corners
def test_a_nan_stays_in_its_neighbourhood(align_corners):
    x = np.zeros((1, 1, 6, 6))
    x[0, 0, 0, 0] = NAN
    y, _ = upsample_bilinear2d_forward(x, 2, align_corners)
    assert np.isnan(y[0, 0, 0, 0])
    assert np.isfinite(y[0, 0, 4:, :]).all()
    assert np.isfinite(y[0, 0, :, 4:]).all()


@pytest.mark.parametrize("pair", [NEAREST, BILINEAR])
@pytest.mark.parametrize("bad", [0, -1, 1.5, (2, 0), (1, 2, 3), "2"])
def test_a_scale_that_is_no_positive_int_is_refused(pair, bad):
    with pytest.raises(ValueError, match=r"scale must be an int ≥ 1 or a pair \(vertical, horizontal\)"):
        pair[0](np.ones((1, 1, 2, 2)), bad)


# ---------------------------------------------------------------- max-unpool


def test_unpooling_puts_each_maximum_back_where_it_was_and_zero_elsewhere():
    x = _image([1, 5, 2, 0], [3, 4, 8, 1], [0, 7, 6, 9], [1, 1, 1, 1])
    pooled, cache = max_pool2d_forward(x, 2)
    indices = max_pool2d_indices(cache)
    assert indices[0, 0].tolist() == [[1, 6], [9, 11]]
    y, cache = max_unpool2d_forward(pooled, indices, output_size=4)
    assert y[0, 0].tolist() == [[0, 5, 0, 0], [0, 0, 8, 0], [0, 7, 0, 9], [0, 0, 0, 0]]
    assert max_unpool2d_backward(np.arange(16.0).reshape(1, 1, 4, 4), cache)[0, 0].tolist() == [[1, 6], [9, 11]]


@given(case=pool_cases())
def test_the_indices_name_the_maxima_and_are_their_formula(case):
    x, options = case.spaced(), case.options | {"dilation": case.dilation, "ceil_mode": case.ceil_mode}
    y, cache = max_pool2d_forward(x, **options)
    indices = max_pool2d_indices(cache)
    found = np.take_along_axis(x.reshape(*x.shape[:2], -1), indices.reshape(*x.shape[:2], -1), axis=2)
    assert (found.reshape(y.shape) == y).all()
    assert (indices == formulas["max_pool2d_indices"].evaluate(x=x, **options)).all()


def test_ties_nans_and_infinities_have_an_index_inside_the_image():
    for x, index in (
        (_image([3, 3], [3, 3]), 0), (_image([1, 5], [NAN, NAN]), 2), (np.full((1, 1, 2, 2), -np.inf), 0),
    ):  # fmt: skip
        _, cache = max_pool2d_forward(x, 2)
        assert max_pool2d_indices(cache).item() == index
    _, cache = max_pool2d_forward(np.full((1, 1, 3, 3), -np.inf), 3, stride=2, padding=1)
    assert ((max_pool2d_indices(cache) >= 0) & (max_pool2d_indices(cache) < 9)).all()


@st.composite
def unpools(draw):
    """x, indices that are all different in a channel, and the output size."""
    N, C, H, W = draw(images)
    OH, OW = H + draw(st.integers(0, 4)), W + draw(st.integers(0, 4))
    rng = np.random.default_rng(draw(seeds))
    indices = np.argsort(rng.random((N, C, OH * OW)), axis=2)[:, :, : H * W].reshape(N, C, H, W)
    return rng.normal(size=(N, C, H, W)), indices, (OH, OW)


@given(case=unpools())
def test_unpooling_is_its_formula_its_transpose_and_its_complex_step(case):
    assert_is_its_formula(*UNPOOL, case, {})
    assert_gradients(*UNPOOL, *case)
    _assert_transposed(*UNPOOL, *case)


@given(shape=images, kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)), more=st.integers(0, 2), seed=seeds)
def test_pooling_what_was_unpooled_gives_it_back(shape, kernel, more, seed):
    (N, C, H, W), (KH, KW) = shape, kernel
    x = np.random.default_rng(seed).uniform(0.1, 1, size=(N, C, H * KH + more % KH, W * KW + more % KW))
    y, cache = max_pool2d_forward(x, kernel)
    back, _ = max_unpool2d_forward(y, max_pool2d_indices(cache), x.shape[2:])
    assert back.shape == x.shape
    assert (max_pool2d_forward(back, kernel)[0] == y).all()


def test_what_cannot_be_put_back_is_refused_with_its_place():
    x, indices = np.ones((2, 3, 1, 2)), np.zeros((2, 3, 1, 2), int)
    indices[..., 1] = 5
    max_unpool2d_forward(x, indices.astype(np.uint8), (2, 3))
    with pytest.raises(ValueError, match=r"index 5 at \[0, 0, 0, 1\] is no place in a 2×2 output: 0 to 3"):
        max_unpool2d_forward(x, indices, 2)
    with pytest.raises(ValueError, match=r"index -1 at \[0, 0, 0, 0\] is no place"):
        max_unpool2d_forward(x, indices - 1, (2, 3))
    indices[1, 2] = 4
    with pytest.raises(ValueError, match=r"index 4 comes 2 times in channel 2 of example 1: the pool's windows"):
        max_unpool2d_forward(x, indices, (2, 3))
    with pytest.raises(TypeError, match="indices must be an array of integers, got float64"):
        max_unpool2d_forward(x, indices * 1.0, (2, 3))
    with pytest.raises(ShapeError, match=r"indices must have the shape of x, \(2, 3, 1, 2\), got \(2, 3, 2\)"):
        max_unpool2d_forward(x, indices[:, :, 0], (2, 3))


# ---------------------------------------------------------------- PyTorch


@pytest.mark.torch
@given(shape=images, scale=scales, seed=seeds, unpool=unpools())
def test_pytorch_says_the_same(shape, scale, seed, unpool):
    pytest.importorskip("torch")
    from torch_reference import torch_results

    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    for name, (forward, backward), args, options in (
        ("upsample_nearest2d", NEAREST, (x, scale), {}),
        ("upsample_bilinear2d", BILINEAR, (x, scale), {"align_corners": False}),
        ("upsample_bilinear2d", BILINEAR, (x, scale), {"align_corners": True}),
        ("max_unpool2d", UNPOOL, unpool, {}),
    ):
        y, cache = forward(*args, **options)
        dy = rng.normal(size=y.shape)
        theirs, (dx,) = torch_results(name, args, options, (0,), lambda y, dy=dy: dy)
        assert_same(y, theirs, terms=10)
        assert_same(backward(dy, cache), dx, terms=10 * abs(dy).sum())


@pytest.mark.torch
@given(case=pool_cases(half=True))
def test_the_indices_are_pytorchs(case):
    torch = pytest.importorskip("torch")
    x, options = case.spaced(), case.options | {"dilation": case.dilation, "ceil_mode": case.ceil_mode}
    _, cache = max_pool2d_forward(x, **options)
    _, theirs = torch.nn.functional.max_pool2d(torch.tensor(x), **options, return_indices=True)
    assert (max_pool2d_indices(cache) == theirs.numpy()).all()
