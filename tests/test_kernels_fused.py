"""Convolution, ReLU and pool in one kernel are the three ops one after the other."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from oracles import assert_same
from test_kernels_conv import DTYPES, drawn
from test_winograd import EASY

from tinycnn import ops
from tinycnn.cores import threads
from tinycnn.errors import ShapeError
from tinycnn.kernels import conv_plan, winograd_plan
from tinycnn.kernels.fused import (
    conv2d_relu_backward,
    conv2d_relu_forward,
    conv2d_relu_of_halves_forward,
    conv2d_relu_of_two_forward,
)


def by_ops(args, options, pool):
    """What `ops` makes of it, one op after the other, and a function for the gradients."""
    y, conv = ops.conv2d_forward(*args, **options)
    y, relu = ops.relu_forward(y)
    chosen = None
    if pool:
        y, chosen = ops.max_pool2d_forward(y, 2)

    def backward(dy):
        dy = ops.max_pool2d_backward(dy, chosen) if pool else dy
        return ops.conv2d_backward(ops.relu_backward(dy, relu), conv)

    return y, backward


def assert_as_by_ops(args, options, pool, rng, tol=1e-12):
    y, backward = by_ops(args, options, pool)
    ours, cache = conv2d_relu_forward(*args, **options, pool=pool)
    dy = rng.normal(size=y.shape).astype(y.dtype)
    found, expected = conv2d_relu_backward(dy, cache), backward(dy)
    scale = [np.ones(())] + [np.full((), max(abs(dy).sum(), 1.0)) for _ in range(3)]
    for name, a, e, most in zip(("y", "dx", "dw", "db"), (ours, *found), (y, *expected), scale, strict=True):
        assert (a is None) == (e is None)
        if a is not None:
            assert a.dtype == e.dtype
            assert_same(a, e, terms=abs(e) + most, tol=tol, what=f"{name} {options} pool={pool}:")
    dx, *weights = conv2d_relu_backward(dy, cache, wanted="weights")
    assert dx is None
    for a, b in zip(weights, found[1:], strict=True):
        assert (a is None and b is None) or a.tobytes() == b.tobytes()


@pytest.mark.parametrize("pool", [0, 2])
@pytest.mark.parametrize("part", range(5))
def test_drawn_convolutions_agree_with_the_three_ops(part, pool):
    rng = np.random.default_rng([part, 7])
    done = 0
    while done < 30:
        args, options = drawn(rng)
        if pool and min(ops.conv2d_forward(*args, **options)[0].shape[2:]) < 2:
            continue
        assert_as_by_ops(args, options, pool, rng)
        done += 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pool", [0, 2])
def test_several_blocks_and_many_filters(dtype, pool, monkeypatch):
    """No window of the pool lies across two blocks; filters fill several strips of a tile, and a part of one."""
    monkeypatch.setattr(conv_plan, "CACHE", 4096)
    conv_plan.plan_conv.cache_clear()
    rng = np.random.default_rng(5)
    for N, F, shape, options in (
        (1, 5, (41, 13), {}), (5, 9, (30, 17), {"padding": 1}), (19, 17, (9, 9), {"padding": 1}),
        (3, 26, (23, 12), {"stride": 2, "padding": 1}), (2, 51, (15, 15), {"groups": 3}),
    ):  # fmt: skip
        w_shape = F, 3 // options.get("groups", 1), 3, 3
        args = rng.normal(size=(N, 3, *shape)), rng.normal(size=w_shape), rng.normal(size=F)
        tol = 1e-12 if dtype == np.float64 else 2e-5
        assert_as_by_ops(tuple(a.astype(dtype) for a in args), options, pool, rng, tol)
    conv_plan.plan_conv.cache_clear()


def test_equal_numbers_zeros_and_nans_choose_as_the_ops_do():
    rng = np.random.default_rng(0)
    x = rng.integers(-1, 2, size=(3, 1, 12, 11)).astype(float)
    x[0, 0, 2, 3], x[1, 0, 4:6, 4:6], x[2, 0, 0, 0] = np.nan, np.nan, np.inf
    args = x, np.ones((1, 1, 1, 1)), np.zeros(1)
    for pool in (0, 2):
        y, backward = by_ops(args, {}, pool)
        ours, cache = conv2d_relu_forward(*args, pool=pool)
        np.testing.assert_array_equal(ours, y)
        assert not np.signbit(ours).any()
        dy = rng.normal(size=y.shape)
        with np.errstate(invalid="ignore"):
            found, expected = conv2d_relu_backward(dy, cache), backward(dy)
        for a, e in zip(found, expected, strict=True):
            assert_same(a[np.isfinite(e)], e[np.isfinite(e)])
            assert (np.isnan(a) == np.isnan(e)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["w", "dy"])
@pytest.mark.parametrize("pool", [0, 2])
def test_what_is_not_finite_shows_where_it_does_in_ops(bad, where, pool):
    rng = np.random.default_rng(1)
    args = rng.normal(size=(2, 2, 7, 9)), rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3)
    if where == "w":
        args[1][1, 0, 0, 0] = bad
    with np.errstate(invalid="ignore"):
        y, backward = by_ops(args, {"padding": 1}, pool)
        ours, cache = conv2d_relu_forward(*args, padding=1, pool=pool)
        dy = rng.normal(size=y.shape)
        if where == "dy":
            dy[1, 2, 0, 1] = bad
        found, expected = conv2d_relu_backward(dy, cache), backward(dy)
    for a, e in zip((ours, *found), (y, *expected), strict=True):
        assert (np.isfinite(a) == np.isfinite(e)).all()


@pytest.mark.parametrize("pool", [0, 2])
def test_one_thread_and_two_give_the_same_bits(pool):
    rng = np.random.default_rng(0)
    args = [rng.normal(size=s).astype(np.float32) for s in ((19, 8, 21, 17), (12, 8, 3, 3), (12,))]
    results = []
    for many in range(1, min(numba.config.NUMBA_NUM_THREADS, 4) + 1):
        with threads(many):
            y, cache = conv2d_relu_forward(*args, padding=1, pool=pool)
            results.append([a.tobytes() for a in (y, *conv2d_relu_backward(np.cos(y), cache))])
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("pool", [0, 2])
def test_backward_can_be_called_twice_and_changes_nothing_of_the_callers(pool):
    rng = np.random.default_rng(0)
    args = [rng.normal(size=s) for s in ((2, 3, 9, 9), (4, 3, 3, 3), (4,))]
    before = [a.tobytes() for a in args]
    y, cache = conv2d_relu_forward(*args, pool=pool)
    dy = rng.normal(size=y.shape)
    y[...] = 777
    first = conv2d_relu_backward(dy, cache)
    expected = [g.copy() for g in first]
    for g in first:
        g[...] = 777
    for a, b in zip(conv2d_relu_backward(dy, cache), expected, strict=True):
        assert a.tobytes() == b.tobytes()
    assert [a.tobytes() for a in args] == before


@pytest.mark.parametrize("pool", [0, 2])
def test_mixed_types_and_an_empty_batch_go_one_op_after_the_other(pool):
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(2, 3, 6, 7)), rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)
    assert_as_by_ops((x.astype(np.float32), w, b), {"padding": 1}, pool, rng)
    assert_as_by_ops((x[:0], w, b), {"padding": 1}, pool, rng)
    y, cache = conv2d_relu_forward(x.astype("f"), w.astype("f"), None, pool=pool)
    assert conv2d_relu_backward(np.ones(y.shape), cache)[1].dtype == np.float64  # dy of another type


def test_what_cannot_be_is_refused():
    x, w = np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3))
    with pytest.raises(ShapeError):
        conv2d_relu_forward(x, w, None, pool=2)  # a 1×1 result has no 2×2 window
    with pytest.raises(ValueError, match="pool must be 0"):
        conv2d_relu_forward(x, w, None, pool=3)
    y, cache = conv2d_relu_forward(x, w, None)
    with pytest.raises(ValueError, match="wanted"):
        conv2d_relu_backward(y, cache, wanted="dx")
    with pytest.raises(ValueError, match="dy"):
        conv2d_relu_backward(np.ones((2, 2)), cache)


# x's channels, those beside it, height, width and filters: by squares, in part of a vector, and by the plain sum
ASKED = [(16, 16, 22, 26, 16), (17, 30, 13, 19, 21), (20, 5, 33, 12, 35), (16, 16, 8, 8, 16), (3, 2, 9, 9, 4)]


def images(rng, shape, dtype, bad, place=(0, 0)):
    """Images of which one, if any, holds a number that is not finite, at one of the four places of a window."""
    x = rng.normal(size=shape).astype(dtype)
    if bad is not None:
        x[1, -1, shape[2] // 4 * 2 + place[0], 2 + place[1]] = bad
    return x


def assert_same_bits(forward, given, joined, w, b, options):
    for n in (1, 2):
        with threads(n):
            assert forward(*given, w, b, **options).tobytes() == \
                conv2d_relu_forward(joined, w, b, **options, remember=False)[0].tobytes()  # fmt: skip


@pytest.mark.parametrize("bad", [None, np.nan, np.inf])
@pytest.mark.parametrize("pool", [0, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", ASKED)
def test_two_halves_read_where_they_lie_give_the_bits_of_the_joined(sizes, dtype, pool, bad):
    CX, CB, H, W, F = sizes
    rng = np.random.default_rng([CX, CB])
    x, beside = images(rng, (3, CX, H, W), dtype, bad), images(rng, (3, CB, H, W), dtype, None)
    w, b = rng.normal(size=(F, CX + CB, 3, 3)).astype(dtype), rng.normal(size=F).astype(dtype)
    for given in ((x, beside), (beside[:, ::-1], np.asfortranarray(x))):
        order = [*range(CX, CX + CB), *range(CX)] if given[0] is not x else [*range(CX + CB)]
        joined = np.concatenate(given, axis=1)
        assert_same_bits(conv2d_relu_of_two_forward, given, joined, w[:, order], b, {"padding": 1, "pool": pool})


@pytest.mark.parametrize("bad", [None, np.nan, -np.inf])
@pytest.mark.parametrize("pool", [0, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [*ASKED, (16, 0, 7.5, 8, 16), (16, 0, 8, 8.5, 16)])
def test_images_halved_on_the_way_give_the_bits_of_those_that_a_pool_halves_before(sizes, dtype, pool, bad):
    C, _, H, W, F = sizes
    rng = np.random.default_rng([C, F])
    w, b = rng.normal(size=(F, C, 3, 3)).astype(dtype), rng.normal(size=F).astype(dtype)
    for k, padding in enumerate((1, 1, (0, 2, 1, 0), 2)):
        x = images(rng, (3, C, int(2 * H), int(2 * W)), dtype, bad, divmod(k, 2))
        halved = ops.max_pool2d_forward(x, 2)[0]
        assert_same_bits(conv2d_relu_of_halves_forward, (x,), halved, w, b, {"padding": padding, "pool": pool})


@pytest.mark.parametrize("bad", [None, np.nan])
@pytest.mark.parametrize("pool", [0, 2])
def test_also_windows_two_apart_give_those_bits(pool, bad, monkeypatch):
    for name, limit in EASY.items():
        monkeypatch.setattr(winograd_plan, name, limit)
    conv_plan.plan_conv.cache_clear()
    rng = np.random.default_rng(9)
    x, beside = images(rng, (3, 16, 40, 48), np.float32, bad), images(rng, (3, 17, 40, 48), np.float32, None)
    w, b = rng.normal(size=(18, 33, 3, 3)).astype(np.float32), rng.normal(size=18).astype(np.float32)
    options, joined = {"stride": 2, "padding": 1, "pool": pool}, np.concatenate((x, beside), axis=1)
    assert_same_bits(conv2d_relu_of_two_forward, (x, beside), joined, w, b, options)
    halved = ops.max_pool2d_forward(joined, 2)[0]
    assert_same_bits(conv2d_relu_of_halves_forward, (joined,), halved, w, b, options)
    sides = (2, 2), (1, 1, 1, 1), (1, 1), 1, False, 3, 4, pool
    assert all(conv_plan.plan_conv(one.shape[1:], w.shape, *sides).squares for one in (joined, halved))
    conv_plan.plan_conv.cache_clear()


@pytest.mark.parametrize("options", [{"stride": 2}, {"dilation": 2}, {"flip": True}, {"groups": 2}])
def test_what_only_the_plain_sum_can_do_is_done_also_of_halves(options):
    rng = np.random.default_rng(8)
    x, beside = rng.normal(size=(2, 16, 20, 18)), rng.normal(size=(2, 16, 20, 18))
    w, b = rng.normal(size=(18, 32 // options.get("groups", 1), 3, 3)), rng.normal(size=18)
    for dtype in DTYPES:
        given = [a.astype(dtype) for a in (x, beside, w, b)]
        joined = np.concatenate(given[:2], axis=1)
        assert_same_bits(conv2d_relu_of_two_forward, given[:2], joined, *given[2:], options)
        halved = ops.max_pool2d_forward(joined, 2)[0]
        assert_same_bits(conv2d_relu_of_halves_forward, [joined], halved, *given[2:], options)


def test_halves_that_do_not_fit_are_refused_in_the_words_of_ops():
    x, w, b = np.ones((2, 16, 9, 9), np.float32), np.ones((16, 32, 3, 3), np.float32), np.ones(16, np.float32)
    with pytest.raises(ShapeError, match=r"(?s)a.*\(2, 16, 9, 9\).*\(2, 16, 8, 9\)"):
        conv2d_relu_of_two_forward(x, x[:, :, 1:], w, b)
    with pytest.raises(ShapeError, match="has 31 channels, but the filters"):
        conv2d_relu_of_two_forward(x, x[:, 1:], w, b)
    with pytest.raises(ShapeError, match="has 16 channels, but the filters"):
        conv2d_relu_of_halves_forward(x, w, b)
    for forward, given in ((conv2d_relu_of_two_forward, (x, x)), (conv2d_relu_of_halves_forward, (x,))):
        with pytest.raises(ValueError, match="pool must be 0"):
            forward(*given, w, b, pool=3)
        with pytest.raises(TypeError, match="int32"):
            forward(x.astype(np.int32), *given[1:], w, b)
