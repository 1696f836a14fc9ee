"""The compiled convolution is the convolution of `ops`: in both types, for every option, at every size."""

from __future__ import annotations

import threading

import numba
import numpy as np
import pytest
from guarded import run_guarded
from kernel_oracles import assert_twin_of_a_multilinear_op, rounding
from oracles import assert_same

from tinycnn import kernels, ops
from tinycnn.cores import threads
from tinycnn.kernels import conv_plan
from tinycnn.kernels.fused import conv2d_relu_backward, conv2d_relu_forward

DTYPES = [np.float32, np.float64]


def drawn(rng: np.random.Generator, most: int = 9, widest: int = 40, batch: int = 3):
    """x, w, b and options of a convolution that nobody chose."""
    groups, N = int(rng.integers(1, 4)), int(rng.integers(1, batch + 1))
    many = rng.choice([(1, 1), (1, 1), (1, 1), (1, 1), (8, 1), (1, 7)])  # more channels or filters than a vector holds
    C, F = groups * int(rng.integers(1, 5) * many[0]), groups * int(rng.integers(1, 7) * many[1])
    KH, KW = (int(k) for k in rng.integers(1, 5, 2))
    dilation = dv, dh = tuple(int(d) for d in rng.integers(1, 4, 2))
    stride = tuple(int(s) for s in rng.integers(1, 5, 2)) if rng.random() < 0.6 else (1, 1)
    reach = (dv * (KH - 1) + 1, dv * (KH - 1) + 1, dh * (KW - 1) + 1, dh * (KW - 1) + 1)
    padding = tuple(int(rng.integers(0, r + 2)) for r in reach) if rng.random() < 0.6 else (0, 0, 0, 0)
    H = max(1, reach[0] - padding[0] - padding[1]) + int(rng.integers(0, most))
    W = max(1, reach[2] - padding[2] - padding[3]) + int(rng.integers(0, widest))
    x, w, b = rng.normal(size=(N, C, H, W)), rng.normal(size=(F, C // groups, KH, KW)), rng.normal(size=F)
    spelled = "same" if rng.random() < 0.1 else padding
    options = {"stride": stride, "padding": spelled, "dilation": dilation, "groups": groups,
               "flip": bool(rng.random() < 0.3)}  # fmt: skip
    return (x, w, b if rng.random() < 0.8 else None), options


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("part", range(10))
def test_forward_and_backward_are_those_of_ops_on_500_drawn_convolutions(dtype, part, monkeypatch):
    monkeypatch.setattr(conv_plan, "FEW", (0, conv_plan.FEW)[part % 2])  # weights packed beforehand, and by each core
    conv_plan.plan_conv.cache_clear()
    rng = np.random.default_rng([part, 5])
    for _ in range(50):
        args, options = drawn(rng)
        assert_twin_of_a_multilinear_op("conv2d", kernels, args, options, dtype, rng)
    conv_plan.plan_conv.cache_clear()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_transposed_convolution_is_that_of_ops_on_60_drawn_ones(dtype):
    """The same kernels with their roles exchanged; the stride leaves pixels that no window looks at."""
    rng = np.random.default_rng(8)
    for _ in range(60):
        (image, w, _), options = drawn(rng, widest=12)
        del options["flip"]
        if options["padding"] == "same":  # which says nothing of what is left over
            continue
        x = rng.normal(size=ops.conv2d_forward(image, w, None, **options)[0].shape)
        sides, (dv, dh), (sv, sh) = options["padding"], options["dilation"], options["stride"]
        left_over = ((image.shape[2] + sides[0] + sides[1] - dv * (w.shape[2] - 1) - 1) % sv,
                     (image.shape[3] + sides[2] + sides[3] - dh * (w.shape[3] - 1) - 1) % sh)  # fmt: skip
        args = x, w, rng.normal(size=image.shape[1]) if rng.random() < 0.8 else None
        assert_twin_of_a_multilinear_op(
            "conv_transpose2d", kernels, args, options | {"output_padding": left_over}, dtype, rng
        )


@pytest.mark.parametrize("dtype", DTYPES)
def test_images_of_several_blocks_and_batches_of_several_parts(dtype, monkeypatch):
    """As large images are cut, but with a small cache, so that the test stays small."""
    monkeypatch.setattr(conv_plan, "CACHE", 4096)
    conv_plan.plan_conv.cache_clear()
    rng = np.random.default_rng(3)
    blocks = set()
    for N in (1, 2, 5, 19, 33):
        for stride, padding in ((1, 0), (1, 1), ((2, 1), (1, 0)), (3, 2)):
            shape = int(rng.integers(40, 60)), int(rng.integers(9, 30))
            args = rng.normal(size=(N, 2, *shape)), rng.normal(size=(5, 2, 3, 2)), rng.normal(size=5)
            options = {"stride": stride, "padding": padding}
            assert_twin_of_a_multilinear_op("conv2d", kernels, args, options, dtype, rng)
            _, (_, plan) = kernels.conv2d_forward(*(a.astype(dtype) for a in args), **options)
            blocks.add(plan.sizes.blocks)
    assert len(blocks) > 2
    conv_plan.plan_conv.cache_clear()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_1x1_kernel_takes_a_bias_that_lies_anyhow(dtype):
    x, w, b = np.ones((1, 2, 4, 4), dtype), np.ones((3, 2, 1, 1), dtype), np.arange(6, dtype=dtype)
    for bias in (b[::2], b[:3][::-1], np.broadcast_to(b[4], 3)):
        assert (kernels.conv2d_forward(x, w, bias)[0][0, :, 0, 0] == 2 + bias).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (1, 1, 7, 5), (3, 1, 1, 9), (2, 3, 64, 4), (1, 2, 1, 300), (9, 40, 6, 7), (1, 330, 5, 4),
              (2, 6, 32, 32), (19, 2, 17, 19)]
)  # fmt: skip
@pytest.mark.parametrize("copies", [False, True])
def test_a_1x1_kernel_is_that_of_ops_alone_and_with_what_comes_after(dtype, shape, copies, monkeypatch):
    """More channels than are added up at a time, whole images and parts of one, with a bias and without."""
    monkeypatch.setattr(conv_plan, "COPIES", copies)
    conv_plan.plan_conv.cache_clear()
    rng = np.random.default_rng(0)
    for F in (1, 5, 19):
        x, w, b = rng.normal(size=shape), rng.normal(size=(F, shape[1], 1, 1)), rng.normal(size=F)
        for bias in (b, None):
            assert_twin_of_a_multilinear_op("conv2d", kernels, (x, w, bias), {}, dtype, rng)
            given = [None if a is None else np.rint(4 * a).astype(dtype) for a in (x, w, bias)]
            plain, relu = ops.relu_forward(ops.conv2d_forward(*given)[0])
            y, cache = conv2d_relu_forward(*given)
            assert (y == plain).all()
            assert (conv2d_relu_forward(*given, remember=False)[0] == plain).all()
            dy = np.rint(4 * rng.normal(size=y.shape)).astype(dtype)
            expected = ops.conv2d_backward(ops.relu_backward(dy, relu), ops.conv2d_forward(*given)[1])
            for ours, theirs in zip(conv2d_relu_backward(dy, cache), expected, strict=True):
                assert (ours is None and theirs is None) or (ours == theirs).all()
            if min(shape[2:]) > 1:
                assert (conv2d_relu_forward(*given, pool=2)[0] == ops.max_pool2d_forward(plain, 2)[0]).all()


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 2, "padding": 1}])
def test_the_float32_error_is_far_below_what_rounding_may_cost(options):
    """The bound of the tests above is loose for large K; errors of random sums grow with its root alone."""
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((2, 64, 12, 13), (8, 64, 3, 3), (8,)))
    y = kernels.conv2d_forward(x, w, b, **options)[0]
    args = [a.astype(np.float64) for a in (x, w, b)]
    terms = ops.conv2d_forward(*map(abs, args), **options)[0]
    assert_same(y, ops.conv2d_forward(*args, **options)[0], terms=terms, tol=rounding(577, np.float32) / 10)


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 2, "padding": (0, 1, 1, 0)}, {"dilation": 2}])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["x", "w", "dy", "b"])
def test_a_nan_or_infinity_shows_exactly_where_it_does_in_ops(options, bad, where):
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((2, 2, 7, 9), (3, 2, 3, 2), (3,)))
    {"x": x[0, 1, 3:], "w": w[1, 0], "b": b[None]}.get(where, x * 0)[0, 0] = bad  # x: where wrapped windows look
    with np.errstate(invalid="ignore"):
        y, cache = kernels.conv2d_forward(x, w, b, **options)
        y2, cache2 = ops.conv2d_forward(x, w, b, **options)
        dy = rng.normal(size=y.shape).astype(np.float32)
        if where == "dy":
            dy[1, 2, 0, 1] = bad
        gradients, expected = kernels.conv2d_backward(dy, cache), ops.conv2d_backward(dy, cache2)
    for a, e in zip((y, *gradients), (y2, *expected), strict=True):
        assert (np.isfinite(a) == np.isfinite(e)).all()
        assert (np.isnan(a) == np.isnan(e)).all()


@pytest.mark.parametrize(("side", "options"), [(3, {}), (3, {"padding": 1}), (3, {"stride": 2}), (1, {})])
def test_one_thread_and_two_give_the_same_bits(side, options):
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((19, 8, 31, 27), (12, 8, side, side), (12,)))
    results = []
    for many in range(1, min(numba.config.NUMBA_NUM_THREADS, 4) + 1):
        with threads(many):
            y, cache = kernels.conv2d_forward(x, w, b, **options)
            results.append([a.tobytes() for a in (y, *kernels.conv2d_backward(np.cos(y), cache))])
    assert all(result == results[0] for result in results)
    assert len(results) > 1 or numba.config.NUMBA_NUM_THREADS == 1


def test_calls_from_several_threads_neither_mix_nor_crash():
    rng = np.random.default_rng(0)
    given = [[rng.normal(size=s).astype(np.float32) for s in ((9, 4, 20 + k, 17), (6, 4, 3, 3), (6,))]
             for k in range(4)]  # fmt: skip
    expected = [kernels.conv2d_forward(*g, padding=1)[0] for g in given]
    gradients = [kernels.conv2d_backward(y, kernels.conv2d_forward(*g, padding=1)[1])
                 for g, y in zip(given, expected, strict=True)]  # fmt: skip
    wrong = []

    def work(k: int) -> None:
        for _ in range(20):
            y, cache = kernels.conv2d_forward(*given[k], padding=1)
            found = kernels.conv2d_backward(y, cache)
            if y.tobytes() != expected[k].tobytes() or any(
                a.tobytes() != b.tobytes() for a, b in zip(found, gradients[k], strict=True)
            ):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_what_is_returned_is_the_callers_own():
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((2, 3, 8, 9), (4, 3, 3, 3), (4,)))
    y, cache = kernels.conv2d_forward(x, w, b)
    kept = y.copy()
    first = kernels.conv2d_backward(y, cache)
    kept_first = [g.copy() for g in first]
    kernels.conv2d_backward(kernels.conv2d_forward(-x, w, b)[0], cache)
    assert (y == kept).all()
    assert all((g == k).all() for g, k in zip(first, kept_first, strict=True))


@pytest.mark.parametrize("mixed", ["x", "w", "b", "dy"])
def test_mixed_and_complex_numbers_are_left_to_ops(mixed):
    rng = np.random.default_rng(0)
    given = {"x": rng.normal(size=(2, 3, 5, 5)), "w": rng.normal(size=(4, 3, 2, 2)), "b": rng.normal(size=4)}
    for other in (np.float32, np.complex128):
        arrays = {k: v.astype(other) if k == mixed else v for k, v in given.items()}
        y, cache = kernels.conv2d_forward(**arrays)
        y2, cache2 = ops.conv2d_forward(**arrays)
        dy = np.ones(y.shape, other if mixed == "dy" else y.dtype)
        assert y.dtype == y2.dtype
        assert_same(y, y2, tol=1e-6)
        for a, b in zip(kernels.conv2d_backward(dy, cache), ops.conv2d_backward(dy, cache2), strict=True):
            assert a.dtype == b.dtype
            assert_same(a, b, tol=1e-5)


@pytest.mark.parametrize("options", [
    {"stride": 1.0}, {"stride": True}, {"stride": (1, True)}, {"padding": "full"}, {"padding": -1}, {"dilation": 0},
    {"groups": 2}, {"dilation": 9}, {"padding": (1, 2, 3)},
])  # fmt: skip
def test_what_ops_refuses_is_refused_in_the_same_words(options):
    x, w, b = np.ones((2, 3, 5, 5)), np.ones((4, 3, 2, 2)), np.ones(4)
    kernels.conv2d_forward(x, w, b)  # a plan that is remembered must not let a wrong option through
    with pytest.raises(ValueError, match=r".") as theirs:
        ops.conv2d_forward(x, w, b, **options)
    with pytest.raises(type(theirs.value)) as ours:
        kernels.conv2d_forward(x, w, b, **options)
    assert str(ours.value) == str(theirs.value)


def test_convolutions_touch_nothing_beyond_their_arrays():
    run = run_guarded("conv")
    assert run.stdout.strip() == "unharmed", (run.returncode, run.stderr[-2000:])
