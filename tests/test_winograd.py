"""Winograd's 16 products for a square of results are the convolution: exactly in fractions, and within its bound in
float32; where a number is not finite they are not asked."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from guarded import run_guarded
from kernel_oracles import assert_twin_of_a_multilinear_op, rounding
from oracles import assert_same

from tinycnn import kernels, ops
from tinycnn.cores import threads
from tinycnn.kernels import conv_plan, winograd_plan, winograd_rows
from tinycnn.kernels.fused import conv2d_relu_backward, conv2d_relu_forward

B = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]).T
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A = np.array([[1, 1, 1, 0], [0, 1, -1, -1]]).T


class InFractions:
    """Stands in for what writes instructions: it calculates at once, without rounding."""

    builder = SimpleNamespace(
        fadd=lambda a, b: a + b, fsub=lambda a, b: a - b, fmul=lambda a, b: a * b,
    )  # fmt: skip
    zeros = 0


def both_ways(mix, square, *more):
    """A change of form, made of every column and then of every row."""
    columns = [mix(InFractions, list(column), *more) for column in zip(*square, strict=True)]
    return [mix(InFractions, list(row), *more) for row in zip(*columns, strict=True)]


def test_the_written_forms_are_the_convolution_in_fractions():
    rng = np.random.default_rng(0)
    for _ in range(20):
        d, g = ([[Fraction(int(n), 7) for n in row] for row in rng.integers(-50, 50, (k, k))] for k in (4, 3))
        pixels = both_ways(winograd_rows._pixels_mixed, d)
        weights = both_ways(winograd_rows._weights_mixed, g, Fraction(1, 2))
        products = [[p * w for p, w in zip(*rows, strict=True)] for rows in zip(pixels, weights, strict=True)]
        plain = [[sum(d[u + i][v + j] * g[i][j] for i in range(3) for j in range(3)) for v in (0, 1)] for u in (0, 1)]
        assert both_ways(winograd_rows._results, products) == plain


def test_the_written_forms_of_dw_are_its_sum_in_fractions():
    rng = np.random.default_rng(1)
    for _ in range(20):
        d, e = ([[Fraction(int(n), 7) for n in row] for row in rng.integers(-50, 50, (k, k))] for k in (4, 2))
        pixels = both_ways(winograd_rows._pixels_mixed, d)
        gradients = both_ways(winograd_rows._gradients_mixed, e)
        products = [[p * g for p, g in zip(*rows, strict=True)] for rows in zip(pixels, gradients, strict=True)]
        plain = [[sum(d[u + i][v + j] * e[u][v] for u in (0, 1) for v in (0, 1)) for j in range(3)] for i in range(3)]
        assert both_ways(winograd_rows._taps, products, Fraction(1, 2)) == plain


def test_the_written_forms_are_those_of_the_matrices():
    rng = np.random.default_rng(0)
    d, g, m = rng.normal(size=(4, 4)), rng.normal(size=(3, 3)), rng.normal(size=(4, 4))
    assert_same(np.array(both_ways(winograd_rows._pixels_mixed, d)), B.T @ d @ B, tol=1e-14)
    assert_same(np.array(both_ways(winograd_rows._weights_mixed, g, 0.5)), G @ g @ G.T, tol=1e-14)
    assert_same(np.array(both_ways(winograd_rows._results, m)), A.T @ m @ A, tol=1e-14)
    assert_same(np.array(both_ways(winograd_rows._gradients_mixed, d[:2, :2])), A @ d[:2, :2] @ A.T, tol=1e-14)
    assert_same(np.array(both_ways(winograd_rows._taps, m, 0.5)), G.T @ m @ G, tol=1e-14)


def drawn(rng, batch=6, most=30):
    """x, w, b and options of a convolution that is done by squares, forward or backward or both."""
    N, C, F = int(rng.integers(1, batch)), int(rng.integers(16, 45)), int(rng.integers(16, 45))
    sides = tuple(int(p) for p in rng.integers(0, 3, 4)) if rng.random() < 0.7 else (0, 0, 0, 0)
    H, W = (max(int(n) - sum(p), 3) for n, p in zip(rng.integers(9, most, 2), (sides[:2], sides[2:]), strict=True))
    x, w, b = rng.normal(size=(N, C, H, W)), rng.normal(size=(F, C, 3, 3)), rng.normal(size=F)
    return (x, w, b if rng.random() < 0.8 else None), {"padding": sides, "flip": bool(rng.random() < 0.3)}


@pytest.fixture
def in_pieces(monkeypatch):
    """Pieces of a size that is drawn, with weights mixed beforehand or by each core."""

    def draw(rng):
        for name in ("ENOUGH", "NEAR"):
            monkeypatch.setattr(winograd_plan, name, int(rng.choice([1, 30, 128, 128])))
        monkeypatch.setattr(conv_plan, "FEW", int(rng.choice([0, 32768])))
        conv_plan.plan_conv.cache_clear()

    yield draw
    conv_plan.plan_conv.cache_clear()


@pytest.mark.parametrize("part", range(2))
def test_forward_and_backward_are_those_of_ops_on_100_drawn_convolutions(part, in_pieces):
    """Within γ of the plain sum's own products, entry by entry, which on numbers of about one size holds."""
    rng = np.random.default_rng([part, 7])
    seen, together = [0, 0, 0], 0
    for k in range(50):
        in_pieces(rng)
        args, options = drawn(rng, *((6, 30), (20, 13))[k % 2])
        assert_twin_of_a_multilinear_op("conv2d", kernels, args, options, np.float32, rng)
        found = by_squares(plan_of(*args[:2], **options))
        seen = [n + (one is not None) for n, one in zip(seen, found, strict=True)]
        together += sum(one is not None and one.sizes.G > 1 for one in found)
    assert min(seen) > 25
    assert together > 5


def by_squares(plan):
    """How y, dx and dw are done by squares, as far as they are."""
    return plan.squares, plan.squares_of_dx, plan.gathering


def plan_of(x, w, padding=0, flip=False, pool=0):
    sides = ops.checks.four_sides(padding)
    return conv_plan.plan_conv(x.shape[1:], w.shape, (1, 1), sides, (1, 1), 1, flip, len(x), 4, pool)


@pytest.mark.parametrize("shape", [(2, 16, 17, 12), (3, 64, 15, 15), (1, 130, 9, 24)])
def test_rounding_costs_no_more_than_that_of_the_9_c_products_of_the_plain_sum(shape):
    """DESIGN's bound with the number of products of one entry, and not, as above, the largest number in sight."""
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in (shape, (24, shape[1], 3, 3), (24,)))
    y, cache = kernels.conv2d_forward(x, w, b, padding=1)
    assert cache[1].squares is not None
    args = [a.astype(np.float64) for a in (x, w, b)]
    terms = ops.conv2d_forward(*map(abs, args), padding=1)[0]
    assert_same(y, ops.conv2d_forward(*args, padding=1)[0], terms=terms, tol=rounding(9 * shape[1] + 1, np.float32))


@pytest.mark.parametrize("spread", [0, 2, 6])
def test_rounding_stays_within_the_bound_that_is_stated_for_numbers_of_any_size(spread):
    """γ times the forms of absolute values, with numbers that differ by factors of up to 10^(5·spread)."""
    rng = np.random.default_rng(spread)
    N, C, H, W, F = 2, 20, 12, 10, 16
    x, w = (rng.normal(size=s) * 10 ** (spread * rng.normal(size=s)) for s in ((N, C, H, W), (F, C, 3, 3)))
    x, w, b = np.float32(x * (rng.random(x.shape) < 0.5)), np.float32(w), np.float32(rng.normal(size=F))
    y, cache = kernels.conv2d_forward(x, w, b)
    assert cache[1].squares is not None
    squares = np.lib.stride_tricks.sliding_window_view(np.float64(x), (4, 4), (2, 3))[:, :, ::2, ::2]
    pixels = abs(B.T) @ abs(squares) @ abs(B)
    weights = abs(G) @ abs(np.float64(w)) @ abs(G.T)
    products = np.einsum("ncuvij,fcij->nfuvij", pixels, weights)
    bound = (abs(A.T) @ products @ abs(A)).transpose(0, 1, 2, 4, 3, 5).reshape(y.shape) + abs(b)[:, None, None]
    exact, exact_cache = ops.conv2d_forward(*(np.float64(a) for a in (x, w, b)))
    assert (abs(y - exact) <= rounding(C + 11, np.float32) * bound).all()
    dy = np.float32(rng.normal(size=y.shape) * 10 ** (spread / 2 * rng.normal(size=y.shape)))
    dw = kernels.conv2d_backward(dy, cache)[1]
    pairs = abs(np.float64(dy)).reshape(N, F, H // 2 - 1, 2, W // 2 - 1, 2).transpose(0, 1, 2, 4, 3, 5)
    products = np.einsum("ncuvij,nfuvij->fcij", pixels, abs(A) @ pairs @ abs(A.T))
    bound = abs(G.T) @ products @ abs(G)
    exact = ops.conv2d_backward(np.float64(dy), exact_cache)[1]
    assert (abs(dw - exact) <= rounding(N * pairs[0, 0, ..., 0, 0].size + 25, np.float32) * bound).all()


def test_small_whole_numbers_come_out_exactly():
    rng = np.random.default_rng(0)
    x, w, b = (rng.integers(-9, 10, s).astype(np.float32) for s in ((3, 19, 11, 14), (21, 19, 3, 3), (21,)))
    y, cache = kernels.conv2d_forward(x, w, b, padding=(0, 1, 2, 1))
    assert None not in by_squares(cache[1])
    expected, cache2 = ops.conv2d_forward(*(a.astype(np.float64) for a in (x, w, b)), padding=(0, 1, 2, 1))
    assert (y == expected).all()
    dy = rng.integers(-9, 10, y.shape).astype(np.float32)
    for ours, theirs in zip(
        kernels.conv2d_backward(dy, cache), ops.conv2d_backward(dy.astype(np.float64), cache2), strict=True
    ):
        assert (ours == theirs).all()


@pytest.mark.parametrize("pool", [0, 2])
@pytest.mark.parametrize("part", range(2))
def test_with_a_relu_and_a_pool_it_is_the_three_ops_one_by_one(pool, part, in_pieces):
    """On whole numbers, so that nothing rounds and every choice of the pool is the same."""
    rng = np.random.default_rng([part, pool])
    for _ in range(20):
        in_pieces(rng)
        (x, w, b), options = drawn(rng)
        x, w = (rng.integers(-4, 5, a.shape).astype(np.float32) for a in (x, w))
        b = None if b is None else rng.integers(-4, 5, b.shape).astype(np.float32)
        y, cache = conv2d_relu_forward(x, w, b, **options, pool=pool)
        asked, nothing = conv2d_relu_forward(x, w, b, **options, pool=pool, remember=False)
        assert nothing is None
        plain, conv = ops.conv2d_forward(x, w, b, **options)
        plain, relu = ops.relu_forward(plain)
        if pool:
            plain, chosen = ops.max_pool2d_forward(plain, 2)
        assert (y == plain).all()
        assert (asked == plain).all()
        dy = rng.integers(-4, 5, y.shape).astype(np.float32)
        found = conv2d_relu_backward(dy, cache)
        dz = ops.relu_backward(ops.max_pool2d_backward(dy, chosen) if pool else dy, relu)
        for ours, theirs in zip(found, ops.conv2d_backward(dz, conv), strict=True):
            assert (ours is None and theirs is None) or (ours == theirs).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("where", ["x", "w", "b", "dy"])
def test_what_is_not_finite_shows_exactly_where_it_does_in_the_plain_sum(bad, where):
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((3, 16, 12, 9), (16, 16, 3, 3), (16,)))
    w /= 10 * abs(w).max()
    {"x": x[1, 3, 5], "w": w[4, 0, 1], "b": b}.get(where, x[:0, 0, 0])[..., 2:3] = bad
    with np.errstate(invalid="ignore", over="ignore"):
        y, cache = kernels.conv2d_forward(x, w, b, padding=1)
        expected, cache2 = ops.conv2d_forward(x, w, b, padding=1)
        dy = rng.normal(size=y.shape).astype(np.float32)
        if where == "dy":
            dy[2, 7, 11, 8] = bad
        found, theirs = kernels.conv2d_backward(dy, cache), ops.conv2d_backward(dy, cache2)
    assert None not in by_squares(cache[1])
    for a, e in zip((y, *found), (expected, *theirs), strict=True):
        assert (np.isnan(a) == np.isnan(e)).all()
        assert (np.isfinite(a) == np.isfinite(e)).all()
    if where in ("x", "b"):  # 3e38 is finite, and so is what the plain sum makes of it: but forms overflow
        assert np.isfinite(y).any()


def test_an_image_that_is_not_finite_leaves_the_others_their_bits():
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((9, 16, 8, 9), (16, 16, 3, 3), (16,)))
    assert plan_of(x, w, 1).squares.sizes.G > 1
    spoiled = x.copy()
    spoiled[4, 2, 3, 3] = np.nan
    y, other = (kernels.conv2d_forward(one, w, b, padding=1)[0] for one in (x, spoiled))
    assert (np.delete(y, 4, 0) == np.delete(other, 4, 0)).all()
    assert np.isnan(other[4]).any()


@pytest.mark.parametrize("shape", [(19, 16, 21, 17), (35, 20, 8, 8), (2, 16, 40, 70)])
def test_the_bits_depend_neither_on_the_threads_nor_on_the_other_images(shape):
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in (shape, (24, shape[1], 3, 3), (24,)))
    results = []
    for many in range(1, min(numba.config.NUMBA_NUM_THREADS, 4) + 1):
        with threads(many):
            y, cache = kernels.conv2d_forward(x, w, b, padding=1)
            results.append([a.tobytes() for a in (y, *kernels.conv2d_backward(np.cos(y), cache))])
    assert all(result == results[0] for result in results)
    dx = kernels.conv2d_backward(np.cos(y), kernels.conv2d_forward(x, w, b, padding=1)[1])[0]
    for n in (1, len(x) - 1):
        alone, cache = kernels.conv2d_forward(x[n : n + 1], w, b, padding=1)
        assert None not in by_squares(cache[1])
        assert (alone[0] == y[n]).all()
        assert (kernels.conv2d_backward(np.cos(alone), cache)[0][0] == dx[n]).all()


def test_a_transposed_convolution_of_3x3_is_that_of_ops():
    rng = np.random.default_rng(0)
    for padding in (0, 1, 2):
        image = np.empty((3, 20, 13 - 2 * padding, 16 - 2 * padding))
        assert None not in by_squares(plan_of(image, np.empty((18, 20, 3, 3)), padding))
        args = rng.normal(size=(3, 18, 11, 14)), rng.normal(size=(18, 20, 3, 3)), rng.normal(size=20)
        assert_twin_of_a_multilinear_op("conv_transpose2d", kernels, args, {"padding": padding}, np.float32, rng)


@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((2, 16, 9, 9), (16, 16, 3, 3), {"stride": 2}), ((2, 16, 9, 9), (16, 16, 3, 3), {"dilation": 2}),
        ((2, 16, 9, 9), (16, 16, 3, 2), {}), ((2, 32, 9, 9), (32, 16, 3, 3), {"groups": 2}),
        ((2, 15, 12, 12), (16, 15, 3, 3), {}), ((2, 16, 12, 12), (15, 16, 3, 3), {}),
        ((2, 64, 5, 5), (64, 64, 3, 3), {}),
    ],
)  # fmt: skip
def test_other_convolutions_are_the_plain_sum(shape, kernel, options):
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=s).astype(np.float32) for s in (shape, kernel))
    plan = kernels.conv2d_forward(x, w, None, **options)[1][1]
    assert by_squares(plan) == (None, None, None)


def test_float64_is_the_plain_sum():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 32, 16, 16)), rng.normal(size=(32, 32, 3, 3))
    assert kernels.conv2d_forward(x, w, None)[1][1].squares is None


def test_nothing_is_read_or_written_beyond_the_ends_of_arrays():
    result = run_guarded("squares")
    assert result.returncode == 0, result.stderr[-2000:]
