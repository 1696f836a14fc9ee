"""Winograd's products for a square of results are the convolution: exactly in fractions, and within their bound in
float32; where a number is not finite they are not asked."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from guarded import run_guarded
from kernel_oracles import assert_twin_of_a_multilinear_op, rounding
from llvmlite import ir
from oracles import assert_same

from tinycnn import kernels, ops
from tinycnn.cores import threads
from tinycnn.kernels import conv_plan, winograd_forms, winograd_plan
from tinycnn.kernels.fused import conv2d_relu_backward, conv2d_relu_forward
from tinycnn.kernels.winograd_forms import APART_1, SCHEMES

B = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]).T
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A = np.array([[1, 1, 1, 0], [0, 1, -1, -1]]).T
B2 = np.array([[1, 0, -1, 0, 0], [0, 0, 1, 0, 0], [0, 0, -1, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0]]).T
G2 = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0]])
A2 = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 0, 1]]).T
BX = np.array([[1, -1, 0], [0, 1, 0], [0, -1, 1], [1, 0, 0], [0, 1, 0]]).T
AX = np.array([[0, 0, 0, 1, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 1, 1, 0, 0]]).T
MATRICES = (B, G, A), (B2, G2, A2), (BX, G2, AX)
# Which tap i leads from which pixel d to which result y; for dx the filter is turned around.
MEET = (lambda d, y, i: d == y + i, lambda d, y, i: d == 2 * y + i, lambda d, y, i: 2 * d + 2 - i == y + 1)


EASY = {"FEWEST": (16, 16, 16), "MOST": (0.74, 0.8, 0.8), "SMALLEST": (64, 64, 64)}  # limits of `winograd_plan`


class InFractions:
    """Stands in for what writes instructions: it calculates at once, without rounding."""

    builder = SimpleNamespace(
        fadd=lambda a, b: a + b, fsub=lambda a, b: a - b, fmul=lambda a, b: a * b,
    )  # fmt: skip
    zeros, number = 0, ir.DoubleType()
    everywhere = staticmethod(lambda constant: Fraction(constant.constant))


def both_ways(mix, square):
    """A change of form, made of every column and then of every row."""
    columns = [mix(InFractions, list(column)) for column in zip(*square, strict=True)]
    return [mix(InFractions, list(row)) for row in zip(*columns, strict=True)]


def in_sevenths(rng, *sides):
    """Squares of fractions, with sides of so many."""
    return ([[Fraction(int(n), 7) for n in row] for row in rng.integers(-50, 50, (k, k))] for k in sides)


@pytest.mark.parametrize("scheme", range(3))
def test_the_written_forms_are_the_convolution_in_fractions(scheme):
    rng, about, meet = np.random.default_rng(0), SCHEMES[scheme], MEET[scheme]
    for _ in range(20):
        d, g = in_sevenths(rng, about.seen, 3)
        pixels, weights = both_ways(about.pixels, d), both_ways(about.weights, g)
        products = [[p * weights[min(r, 3)][min(c, 3)] for c, p in enumerate(row)] for r, row in enumerate(pixels)]
        pairs = [[(p, i) for p in range(about.seen) for i in range(3) if meet(p, y, i)] for y in range(about.made)]
        plain = [[sum(d[p][q] * g[i][j] for p, i in u for q, j in v) for v in pairs] for u in pairs]
        assert both_ways(about.results, products) == plain


@pytest.mark.parametrize("scheme", range(3))
def test_of_the_forms_where_the_bias_comes_in_every_result_has_one_with_a_plus(scheme):
    about = SCHEMES[scheme]
    ones = [int(k in about.plus) for k in range(about.forms)]
    assert about.results(InFractions, ones) == [1] * about.made
    assert all(about.results(InFractions, [int(k == one) for k in range(about.forms)]).count(1) for one in about.plus)


@pytest.mark.parametrize("scheme", range(3))
def test_turned_filters_have_the_forms_of_filters_in_another_order(scheme):
    about, g = SCHEMES[scheme], [Fraction(2), Fraction(3), Fraction(7)]
    turned = about.weights(InFractions, g[::-1])
    assert [turned[place] for place in about.turned] == about.weights(InFractions, g)


def test_the_written_forms_of_dw_are_its_sum_in_fractions():
    rng = np.random.default_rng(1)
    for _ in range(20):
        d, e = in_sevenths(rng, 4, 2)
        pixels = both_ways(SCHEMES[APART_1].pixels, d)
        gradients = both_ways(winograd_forms.gradients_mixed, e)
        products = [[p * g for p, g in zip(*rows, strict=True)] for rows in zip(pixels, gradients, strict=True)]
        plain = [[sum(d[u + i][v + j] * e[u][v] for u in (0, 1) for v in (0, 1)) for j in range(3)] for i in range(3)]
        assert both_ways(winograd_forms.taps, products) == plain


@pytest.mark.parametrize("scheme", range(3))
def test_the_written_forms_are_those_of_the_matrices(scheme):
    rng, about, (b, g, a) = np.random.default_rng(0), SCHEMES[scheme], MATRICES[scheme]
    for change, matrix in ((about.pixels, b.T), (about.weights, g[:4]), (about.results, a.T)):
        n = rng.normal(size=(matrix.shape[1],) * 2)
        assert_same(np.array(both_ways(change, n), float), matrix @ n @ matrix.T, tol=1e-14)


def test_the_written_forms_of_dw_are_those_of_the_matrices():
    rng = np.random.default_rng(0)
    e, m = rng.normal(size=(2, 2)), rng.normal(size=(4, 4))
    assert_same(np.array(both_ways(winograd_forms.gradients_mixed, e)), A @ e @ A.T, tol=1e-14)
    assert_same(np.array(both_ways(winograd_forms.taps, m), float), G.T @ m @ G, tol=1e-14)


def drawn(rng, batch=6, most=30):
    """x, w, b and options of a convolution that is done by squares, forward or backward or both."""
    N, C, F = int(rng.integers(1, batch)), int(rng.integers(16, 45)), int(rng.integers(16, 45))
    sides, stride = (int(p) for p in rng.integers(0, 3, 4)), int(rng.integers(1, 3))
    sides = {0: (0, 0, 0, 0), 1: (1, 1, 1, 1)}.get(int(rng.integers(0, 4)), tuple(sides))
    sizes = rng.integers(9 * stride, most * stride, 2)
    H, W = (max(int(n) - sum(p), 3) for n, p in zip(sizes, (sides[:2], sides[2:]), strict=True))
    x, w, b = rng.normal(size=(N, C, H, W)), rng.normal(size=(F, C, 3, 3)), rng.normal(size=F)
    options = {"stride": stride, "padding": sides, "flip": bool(rng.random() < 0.3)}
    return (x, w, b if rng.random() < 0.8 else None), options


@pytest.fixture
def for_few_channels(monkeypatch):
    """Squares also where channels, filters or windows are too few for it to pay."""
    for name, limit in EASY.items():
        monkeypatch.setattr(winograd_plan, name, limit)
    conv_plan.plan_conv.cache_clear()
    yield
    conv_plan.plan_conv.cache_clear()


@pytest.fixture
def in_pieces(monkeypatch, for_few_channels):
    """Pieces of a size that is drawn, with weights mixed beforehand or by each core."""

    def draw(rng):
        enough, near = (int(n) for n in rng.choice([1, 30, 128, 128], 2))
        monkeypatch.setattr(winograd_plan, "ENOUGH", (enough,) * 3)
        monkeypatch.setattr(winograd_plan, "NEAR", near)
        monkeypatch.setattr(conv_plan, "FEW", int(rng.choice([0, 32768])))
        conv_plan.plan_conv.cache_clear()

    yield draw
    conv_plan.plan_conv.cache_clear()


@pytest.mark.parametrize("part", range(2))
def test_forward_and_backward_are_those_of_ops_on_100_drawn_convolutions(part, in_pieces):
    """Within γ of the plain sum's own products, entry by entry, which on numbers of about one size holds."""
    rng = np.random.default_rng([part, 7])
    seen, together = {1: [0, 0, 0], 2: [0, 0, 0]}, 0
    for k in range(50):
        in_pieces(rng)
        args, options = drawn(rng, *((6, 30), (20, 13))[k % 2])
        assert_twin_of_a_multilinear_op("conv2d", kernels, args, options, np.float32, rng)
        found = by_squares(plan_of(*args[:2], **options))
        stride = options["stride"]
        seen[stride] = [n + (one is not None) for n, one in zip(seen[stride], found, strict=True)]
        together += sum(one is not None and one.sizes.G > 1 for one in found)
    assert min(*seen[1], seen[2][0]) > 10
    assert seen[2][1] > 3
    assert together > 5


def by_squares(plan):
    """How y, dx and dw are done by squares, as far as they are."""
    return plan.squares, plan.squares_of_dx, plan.gathering


def plan_of(x, w, padding=0, flip=False, pool=0, stride=1):
    sides = ops.checks.four_sides(padding)
    return conv_plan.plan_conv(x.shape[1:], w.shape, (stride, stride), sides, (1, 1), 1, flip, len(x), 4, pool)


@pytest.mark.parametrize("shape", [(2, 16, 17, 12), (3, 64, 15, 15), (1, 130, 9, 24)])
@pytest.mark.parametrize("stride", [1, 2])
def test_rounding_costs_no_more_than_that_of_the_9_c_products_of_the_plain_sum(stride, shape, for_few_channels):
    """DESIGN's bound with the number of products of one entry, and not, as above, the largest number in sight."""
    rng = np.random.default_rng(0)
    N, C, *sides = shape
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((N, C, *(stride * n for n in sides)), (24, C, 3, 3), 24))
    y, cache = kernels.conv2d_forward(x, w, b, stride, padding=1)
    dy = rng.normal(size=y.shape).astype(np.float32)
    dx = kernels.conv2d_backward(dy, cache)[0]
    assert None not in by_squares(cache[1])[:2]
    x, w, b, dy = (a.astype(np.float64) for a in (x, w, b, dy))
    exact, cache = ops.conv2d_forward(x, w, b, stride, padding=1)
    terms, of_terms = ops.conv2d_forward(abs(x), abs(w), abs(b), stride, padding=1)
    assert_same(y, exact, terms=terms, tol=rounding(9 * C + 1, np.float32))
    exact, terms = ops.conv2d_backward(dy, cache)[0], ops.conv2d_backward(abs(dy), of_terms)[0]
    assert_same(dx, exact, terms=terms, tol=rounding(9 * 24 + 1, np.float32))


def of_any_size(rng, spread, *shape):
    """Numbers that differ by factors of up to 10^(5·spread)."""
    return np.float32(rng.normal(size=shape) * 10 ** (spread * rng.normal(size=shape)))


def bound_of(matrices, squares, weights):
    """The forms of absolute values in place of forms; squares as (n, c, u, v, i, j), weights as (f, c, i, j)."""
    b, g, a = (abs(matrix) for matrix in matrices)
    products = np.einsum("ncuvij,fcij->nfuvij", b.T @ abs(np.float64(squares)) @ b, g @ abs(np.float64(weights)) @ g.T)
    found = (a.T @ products @ a).transpose(0, 1, 2, 4, 3, 5)
    return found.reshape(*found.shape[:2], found.shape[2] * found.shape[3], -1)


def squares_of(x, side, step):
    return np.lib.stride_tricks.sliding_window_view(x, (side, side), (2, 3))[:, :, ::step, ::step]


@pytest.mark.parametrize("spread", [0, 2, 6])
@pytest.mark.parametrize("stride", [1, 2])
def test_rounding_stays_within_the_bound_that_is_stated_for_numbers_of_any_size(stride, spread, for_few_channels):
    rng, N, C, F, about = np.random.default_rng(spread), 2, 20, 16, SCHEMES[stride - 1]
    x, w = of_any_size(rng, spread, N, C, 12 * stride, 10 * stride), of_any_size(rng, spread, F, C, 3, 3)
    x *= rng.random(x.shape) < 0.5
    b = np.float32(rng.normal(size=F))
    y, cache = kernels.conv2d_forward(x, w, b, stride, padding=1)
    assert cache[1].squares is not None
    squares = squares_of(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), about.seen, about.step)
    bound = bound_of(MATRICES[stride - 1], squares, w) + abs(b)[:, None, None]
    exact, exact_cache = ops.conv2d_forward(*(np.float64(a) for a in (x, w, b)), stride, padding=1)
    assert (abs(y - exact) <= rounding(C + 11, np.float32) * bound).all()
    dy = of_any_size(rng, spread / 2, *y.shape)
    dx, dw, _ = kernels.conv2d_backward(dy, cache)
    exact_dx, exact_dw, _ = ops.conv2d_backward(np.float64(dy), exact_cache)
    about, matrices = (SCHEMES[0], MATRICES[0]) if stride == 1 else (SCHEMES[2], MATRICES[2])
    assert cache[1].squares_of_dx is not None
    seen = np.pad(dy, ((0, 0), (0, 0), *[(1, 1) if stride == 1 else (0, 1)] * 2))
    bound = bound_of(matrices, squares_of(seen, about.seen, about.step), w[:, :, ::-1, ::-1].swapaxes(0, 1))
    assert (abs(dx - exact_dx) <= rounding(F + 11, np.float32) * bound).all()
    if stride == 1:
        pairs = squares_of(abs(np.float64(dy)), 2, 2)
        products = np.einsum("ncuvij,nfuvij->fcij", abs(B.T) @ abs(squares) @ abs(B), abs(A) @ pairs @ abs(A.T))
        bound = abs(G.T) @ products @ abs(G)
        assert (abs(dw - exact_dw) <= rounding(N * pairs[0, 0, ..., 0, 0].size + 25, np.float32) * bound).all()


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
    rng, seen = np.random.default_rng([part, pool]), 0
    for _ in range(20):
        in_pieces(rng)
        (x, w, b), options = drawn(rng)
        seen += plan_of(x, w, **options, pool=pool).squares is not None
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
    assert seen > 10


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("where", ["x", "w", "b", "dy"])
@pytest.mark.parametrize("stride", [1, 2])
def test_what_is_not_finite_shows_exactly_where_it_does_in_the_plain_sum(stride, bad, where, for_few_channels):
    rng = np.random.default_rng(0)
    shapes = (3, 16, 12 * stride, 10 * stride - 1), (16, 16, 3, 3), (16,)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in shapes)
    w /= 10 * abs(w).max()
    {"x": x[1, 3, 5], "w": w[4, 0, 1], "b": b}.get(where, x[:0, 0, 0])[..., 2:3] = bad
    with np.errstate(invalid="ignore", over="ignore"):
        y, cache = kernels.conv2d_forward(x, w, b, stride, padding=1)
        expected, cache2 = ops.conv2d_forward(x, w, b, stride, padding=1)
        dy = rng.normal(size=y.shape).astype(np.float32)
        if where == "dy":
            dy[2, 7, 11, 8] = bad
        found, theirs = kernels.conv2d_backward(dy, cache), ops.conv2d_backward(dy, cache2)
    assert None not in by_squares(cache[1])[: 4 - stride]
    for a, e in zip((y, *found), (expected, *theirs), strict=True):
        assert (np.isnan(a) == np.isnan(e)).all()
        assert (np.isfinite(a) == np.isfinite(e)).all()
    if where in ("x", "b"):  # 3e38 is finite, and so is what the plain sum makes of it: but forms overflow
        assert np.isfinite(y).any()


@pytest.mark.parametrize("left", [1, 2])
def test_columns_that_no_window_sees_are_not_taken_for_the_border_of_the_next_row(left, for_few_channels):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 16, 20, 22 - left)), rng.normal(size=(16, 16, 3, 3))
    assert plan_of(x, w, (1, 1, left, 0), stride=2).squares is not None
    how = {"stride": 2, "padding": (1, 1, left, 0)}
    assert_twin_of_a_multilinear_op("conv2d", kernels, (x, w, None), how, np.float32, rng)


def test_an_image_that_is_not_finite_leaves_the_others_their_bits():
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((9, 16, 8, 9), (16, 16, 3, 3), (16,)))
    assert plan_of(x, w, 1).squares.sizes.G > 1
    spoiled = x.copy()
    spoiled[4, 2, 3, 3] = np.nan
    y, other = (kernels.conv2d_forward(one, w, b, padding=1)[0] for one in (x, spoiled))
    assert (np.delete(y, 4, 0) == np.delete(other, 4, 0)).all()
    assert np.isnan(other[4]).any()


@pytest.mark.parametrize(
    ("shape", "stride"), [((19, 16, 21, 17), 1), ((35, 20, 8, 8), 1), ((2, 16, 40, 70), 1), ((19, 16, 31, 24), 2)]
)
def test_the_bits_depend_neither_on_the_threads_nor_on_the_other_images(shape, stride, for_few_channels):
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in (shape, (24, shape[1], 3, 3), (24,)))
    results = []
    for many in range(1, min(numba.config.NUMBA_NUM_THREADS, 4) + 1):
        with threads(many):
            y, cache = kernels.conv2d_forward(x, w, b, stride, padding=1)
            results.append([a.tobytes() for a in (y, *kernels.conv2d_backward(np.cos(y), cache))])
    assert all(result == results[0] for result in results)
    dx = kernels.conv2d_backward(np.cos(y), kernels.conv2d_forward(x, w, b, stride, padding=1)[1])[0]
    for n in (1, len(x) - 1):
        alone, cache = kernels.conv2d_forward(x[n : n + 1], w, b, stride, padding=1)
        assert None not in by_squares(cache[1])[: 4 - stride]
        assert (alone[0] == y[n]).all()
        assert (kernels.conv2d_backward(np.cos(alone), cache)[0][0] == dx[n]).all()


def test_a_transposed_convolution_of_3x3_is_that_of_ops():
    rng = np.random.default_rng(0)
    for padding in (0, 1, 2):
        image = np.empty((3, 20, 13 - 2 * padding, 16 - 2 * padding))
        assert None not in by_squares(plan_of(image, np.empty((18, 20, 3, 3)), padding))
        args = rng.normal(size=(3, 18, 11, 14)), rng.normal(size=(18, 20, 3, 3)), rng.normal(size=20)
        assert_twin_of_a_multilinear_op("conv_transpose2d", kernels, args, {"padding": padding}, np.float32, rng)


def test_a_transposed_convolution_two_apart_is_that_of_ops_and_has_its_bias(for_few_channels):
    rng = np.random.default_rng(0)
    assert plan_of(np.empty((3, 20, 22, 27)), np.empty((18, 20, 3, 3)), 1, stride=2).squares_of_dx is not None
    args = rng.normal(size=(3, 18, 11, 14)), rng.normal(size=(18, 20, 3, 3)), rng.normal(size=20)
    for more in ((0, 0), (1, 0), (1, 1)):
        how = {"stride": 2, "padding": 1, "output_padding": more}
        assert_twin_of_a_multilinear_op("conv_transpose2d", kernels, args, how, np.float32, rng)


@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((2, 16, 9, 9), (16, 16, 3, 3), {"stride": 2}), ((2, 16, 9, 9), (16, 16, 3, 3), {"dilation": 2}),
        ((2, 63, 32, 32), (64, 63, 3, 3), {"stride": 2}), ((2, 64, 32, 32), (64, 64, 3, 3), {"stride": (1, 2)}),
        ((2, 64, 32, 32), (64, 64, 3, 3), {"stride": 3}),
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
