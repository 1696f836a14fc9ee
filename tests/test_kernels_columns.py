"""What goes from row to row through a matrix of few numbers, mean pools and enlargements, is the op, NaN and all."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import assert_same

from tinycnn import kernels, ops
from tinycnn.cores import threads
from tinycnn.kernels.threads import space, threads_for

DTYPES = [np.float32, np.float64]
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-13}


def drawn(rng, dtype):
    """Images of any size, and how often their rows and columns are repeated or blended."""
    N, C, H, W = (int(n) for n in rng.integers(1, (3, 4, 20, 40)))
    return rng.normal(size=(N, C, H, W)).astype(dtype), tuple(int(s) for s in rng.integers(1, 6, 2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("align_corners", [False, True])
def test_blends_are_those_of_ops_on_60_drawn_images(dtype, align_corners):
    rng = np.random.default_rng(0)
    for _ in range(60):
        x, scale = drawn(rng, dtype)
        scale = scale if rng.random() < 0.6 else (scale[0], 2)
        y, cache = kernels.upsample_bilinear2d_forward(x, scale, align_corners)
        exact, exact_cache = ops.upsample_bilinear2d_forward(x, scale, align_corners)
        terms = ops.upsample_bilinear2d_forward(abs(x), scale, align_corners)[0]
        assert_same(y, exact, terms=terms, tol=TOLERANCE[dtype])
        dy = rng.normal(size=y.shape).astype(dtype)
        dx = ops.upsample_bilinear2d_backward(dy, exact_cache)
        terms = ops.upsample_bilinear2d_backward(abs(dy), exact_cache)
        assert_same(kernels.upsample_bilinear2d_backward(dy, cache), dx, terms=terms, tol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_repeated_pixels_gather_what_they_gather_in_ops_on_60_drawn_images(dtype):
    rng = np.random.default_rng(1)
    for _ in range(60):
        x, scale = drawn(rng, dtype)
        y, cache = kernels.upsample_nearest2d_forward(x, scale)
        assert (y == ops.upsample_nearest2d_forward(x, scale)[0]).all()
        dy = rng.normal(size=y.shape).astype(dtype)
        terms = ops.upsample_nearest2d_backward(abs(dy), cache)
        dx = ops.upsample_nearest2d_backward(dy, cache)
        assert_same(kernels.upsample_nearest2d_backward(dy, cache), dx, terms=terms, tol=TOLERANCE[dtype])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("scale", [2, (1, 2), 3, (3, 2)])
def test_a_nan_or_an_infinity_goes_where_it_goes_in_ops(bad, align_corners, scale):
    rng = np.random.default_rng(2)
    for W in (1, 2, 9, 19):
        for at in range(3 * W):
            x = rng.normal(size=(1, 1, 3, W)).astype(np.float32)
            x.flat[at] = bad
            with np.errstate(invalid="ignore"):
                y = kernels.upsample_bilinear2d_forward(x, scale, align_corners)[0]
                expected = ops.upsample_bilinear2d_forward(x, scale, align_corners)[0]
            assert (np.isnan(y) == np.isnan(expected)).all()
            assert (np.isposinf(y) == np.isposinf(expected)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_means_and_their_shares_are_nan_or_infinite_where_they_are_in_ops(bad):
    rng = np.random.default_rng(3)
    for kernel_size, stride, padding in ((3, 1, 1), (7, 7, 0), (2, 3, 1), (5, 2, 2), ((1, 4), (3, 5), 0)):
        for at in range(0, 11 * 21, 4):
            x = rng.normal(size=(1, 1, 11, 21)).astype(np.float32)
            x.flat[at] = bad
            y, cache = kernels.avg_pool2d_forward(x, kernel_size, stride, padding)
            expected, ops_cache = ops.avg_pool2d_forward(x, kernel_size, stride, padding)
            np.testing.assert_array_equal(np.isfinite(y), np.isfinite(expected))
            dy = rng.normal(size=y.shape).astype(np.float32)
            dy.flat[at % dy.size] = bad
            dx, right = kernels.avg_pool2d_backward(dy, cache), ops.avg_pool2d_backward(dy, ops_cache)
            np.testing.assert_array_equal(np.isfinite(dx), np.isfinite(right))


def test_one_thread_and_two_give_the_same_bits():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(6, 7, 71, 45)).astype(np.float32)
    results = []
    for many in (1, 2):
        with threads(many):
            for name, *given in (("avg_pool2d", 7, 3), ("avg_pool2d", 3, 1, 1), ("upsample_nearest2d", 3),
                                 ("upsample_bilinear2d", 2), ("upsample_bilinear2d", 3, True)):  # fmt: skip
                y, cache = getattr(kernels, f"{name}_forward")(x, *given)
                dx = getattr(kernels, f"{name}_backward")(np.sin(y), cache)
                results.append((y.tobytes(), dx.tobytes()))
    assert results[:5] == results[5:]


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_the_last_call_left_in_the_working_space_makes_no_difference(dtype):
    x = np.random.default_rng(5).normal(size=(1, 2, 9, 21)).astype(dtype)
    for name, *given in (("avg_pool2d", 3, 1, 1), ("avg_pool2d", 5, 2, 2), ("upsample_bilinear2d", 3, True)):
        with threads_for(1):
            space(x.dtype, 200_000)[...] = np.nan
        y, cache = getattr(kernels, f"{name}_forward")(x, *given)
        with threads_for(1):
            space(x.dtype, 200_000)[...] = np.nan
        assert np.isfinite(y).all()
        assert np.isfinite(getattr(kernels, f"{name}_backward")(y, cache)).all()
