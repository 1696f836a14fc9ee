"""The compiled pools choose what `ops` chooses: ties, NaN and infinities included, for every window there is."""

from __future__ import annotations

import numpy as np
import pytest
from guarded import run_guarded
from oracles import assert_same

from tinycnn import kernels, ops

DTYPES = [np.float32, np.float64]


def drawn(rng: np.random.Generator, dtype):
    """An image full of ties, NaN, zeros of both signs and infinities, and a pool over it."""
    KH, KW = (int(k) for k in rng.integers(1, 5, 2))
    dv, dh = (int(d) for d in rng.integers(1, 3, 2)) if rng.random() < 0.4 else (1, 1)
    padding = tuple(int(rng.integers(0, k)) for k in (KH, KH, KW, KW)) if rng.random() < 0.5 else (0, 0, 0, 0)
    H, W = dv * (KH - 1) + 1 + int(rng.integers(0, 9)), dh * (KW - 1) + 1 + int(rng.integers(0, 40))
    stride = tuple(int(s) for s in rng.integers(1, 4, 2)) if rng.random() < 0.7 else None
    if rng.random() < 0.3:
        KH = KW = 2
        dv = dh = 1
        padding, stride, (H, W) = (0, 0, 0, 0), None, (int(n) for n in rng.integers(2, 40, 2))
    values = np.array([-np.inf, -2, -1, -0.0, 0.0, 1, 2, np.inf, np.nan])
    likely = np.array([1, 5, 5, 5, 5, 5, 5, 0.3, 0.3])
    x = rng.choice(values, size=(2, 2, H, W), p=likely / likely.sum()).astype(dtype)
    options = {"stride": stride, "padding": padding, "ceil_mode": bool(rng.random() < 0.4)}
    return x, (KH, KW), options, (dv, dh)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["max_pool2d", "min_pool2d"])
def test_the_chosen_number_and_its_place_are_those_of_ops_on_300_drawn_pools(name, dtype):
    rng = np.random.default_rng(0)
    fitting = 0
    while fitting < 300:
        x, kernel_size, options, dilation = drawn(rng, dtype)
        try:
            y, cache = getattr(ops, f"{name}_forward")(x, kernel_size, dilation=dilation, **options)
        except ValueError:
            continue  # a window over border alone
        fitting += 1
        y2, cache2 = getattr(kernels, f"{name}_forward")(x, kernel_size, dilation=dilation, **options)
        assert np.array_equal(y, y2, equal_nan=True)
        assert (np.signbit(y) == np.signbit(y2))[y == 0].all()
        assert (cache[0] == cache2[0]).all(), (options, kernel_size)
        assert (ops.max_pool2d_indices(cache) == ops.max_pool2d_indices(cache2)).all()
        dy = rng.normal(size=y.shape).astype(dtype)
        dx = getattr(kernels, f"{name}_backward")(dy, cache2)
        assert_same(dx, getattr(ops, f"{name}_backward")(dy, cache), tol=1e-6 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("include", [False, True])
def test_means_are_those_of_ops_on_200_drawn_pools(dtype, include):
    rng = np.random.default_rng(1)
    fitting = 0
    while fitting < 200:
        x, kernel_size, options, _ = drawn(rng, dtype)
        x = rng.normal(size=x.shape).astype(dtype)
        try:
            y, cache = ops.avg_pool2d_forward(x, kernel_size, count_include_pad=include, **options)
        except ValueError:
            continue
        fitting += 1
        y2, cache2 = kernels.avg_pool2d_forward(x, kernel_size, count_include_pad=include, **options)
        tol = 1e-6 if dtype == np.float32 else 1e-14
        terms = ops.avg_pool2d_forward(abs(x), kernel_size, count_include_pad=include, **options)[0]
        assert_same(y2, y, terms=terms, tol=tol)
        dy = rng.normal(size=y.shape).astype(dtype)
        assert_same(kernels.avg_pool2d_backward(dy, cache2), ops.avg_pool2d_backward(dy, cache), tol=tol)


def test_all_minus_infinity_gives_a_place_in_the_image():
    x = np.full((1, 1, 3, 3), -np.inf, np.float32)
    y, cache = kernels.max_pool2d_forward(x, 3, stride=2, padding=1)
    assert (y == -np.inf).all()
    indices = ops.max_pool2d_indices(cache)
    assert ((indices >= 0) & (indices < 9)).all()


def test_of_equal_numbers_the_first_counts_in_2x2_windows_too():
    x = np.zeros((1, 1, 2, 40), np.float32)
    dx = kernels.max_pool2d_backward(np.ones((1, 1, 1, 20), np.float32), kernels.max_pool2d_forward(x, 2)[1])
    assert dx[0, 0].tolist() == [[1, 0] * 20, [0] * 40]


def test_pools_and_other_kernels_touch_nothing_beyond_their_arrays():
    run = run_guarded("others")
    assert run.stdout.strip() == "unharmed", (run.returncode, run.stderr[-2000:])
