"""The kernels of losses, norms and activations: exponentials to the last digit, and the same as ops wherever drawn."""

from __future__ import annotations

from contextlib import suppress

import numba
import numpy as np
import pytest
from guarded import run_guarded
from hypothesis import given
from hypothesis import strategies as st
from oracles import assert_same
from strategies import drawn_cases

from tinycnn import kernels, ops
from tinycnn.cores import threads
from tinycnn.errors import ShapeError
from tinycnn.kernels import exponential
from tinycnn.kernels.compiling import entry
from tinycnn.verify.cases import CASES, as_tuple, terms_of

NAMES = (
    "elu", "sigmoid", "tanh", "softmax", "log_softmax", "cross_entropy", "categorical_crossentropy", "focal", "dice",
    "mse", "mae", "hinge", "binary_cross_entropy", "binary_cross_entropy_with_logits", "batch_norm", "layer_norm",
    "group_norm", "pad2d", "concat", "dropout", "global_avg_pool2d", "upsample_nearest2d", "upsample_bilinear2d",
    "max_unpool2d", "max_pool2d", "min_pool2d", "avg_pool2d",
)  # fmt: skip


def run(module, name, args, options, dy):
    y, cache = getattr(module, f"{name}_forward")(*args, **options)
    return y, as_tuple(getattr(module, f"{name}_backward")(dy, cache))


@entry
def exponentials(x, y):
    for k in range(len(x)):
        y[0, k], y[1, k] = exponential.exp(-x[k]), exponential.expm1(-x[k])
        small = x[k] / (x[k] + x.dtype.type(1))
        y[2, k], y[3, k] = exponential.log1p(small), exponential.log(x[k] + x.dtype.type(1))


@pytest.mark.parametrize(("dtype", "largest"), [(np.float32, 87.0), (np.float64, 708.0)])
def test_exponentials_and_logarithms_are_right_to_the_last_digits(dtype, largest):
    rng = np.random.default_rng(0)
    x = np.concatenate([np.linspace(0, largest, 20001), 10.0 ** rng.uniform(-9, 1.9, 20000), 2.0 ** np.arange(-30, 6)])
    x = x.astype(dtype)
    found = np.empty((4, x.size), dtype)
    exponentials(x, found)
    true, small = x.astype(np.longdouble), (x / (x + dtype(1))).astype(np.longdouble)
    more = (x + dtype(1)).astype(np.longdouble)
    for ours, right in zip(found, (np.exp(-true), np.expm1(-true), np.log1p(small), np.log(more)), strict=True):
        assert (abs(ours - right) <= 4 * np.finfo(dtype).eps * abs(right)).all()


@entry
def logarithms(x, y):
    for k in range(len(x)):
        y[k] = exponential.log_near_1(x[k])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_logarithm_is_right_to_the_last_digits_also_next_to_1_and_far_below(dtype):
    rng = np.random.default_rng(0)
    near = 1 + rng.choice([-1, 1], 5000) * 10.0 ** rng.uniform(-7, -0.31, 5000)
    x = np.concatenate([near, rng.uniform(0, 4, 5000), 10.0 ** rng.uniform(-37, 37, 5000), [1, np.finfo(dtype).tiny]])
    x = x.astype(dtype)
    found = np.empty_like(x)
    logarithms(x, found)
    true = np.log(x.astype(np.longdouble))
    assert (abs(found - true) <= 4 * np.finfo(dtype).eps * abs(true)).all()
    special = np.array([np.nan, np.inf, 1], dtype)
    logarithms(special, found[:3])
    np.testing.assert_array_equal(found[:3], [np.nan, np.inf, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exponentials_of_what_is_too_low_are_0_and_a_nan_stays_one(dtype):
    found = np.empty((4, 4), dtype)
    exponentials(np.array([np.nan, 1e3, np.inf, 0], dtype), found)
    assert np.isnan(found[:, 0]).all()
    assert found[:2, 1:].tolist() == [[0, 0, 1], [-1, -1, 0]]
    assert found[3, 2:].tolist() == [np.inf, 0]


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_whatever_is_drawn_a_kernel_gives_what_its_op_gives(name, data):
    case = data.draw(drawn_cases(name))
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        args, options = case.build(dtype=dtype)
        y = getattr(ops, f"{name}_forward")(*args, **options)[0]
        dy = case.upstream(y)
        exact, exact_options = case.build(dtype=np.float64)
        y_terms, terms = terms_of(case, exact, exact_options, np.asarray(dy, np.float64))
        y, gradients = run(kernels, name, args, options, dy)
        y2, gradients2 = run(ops, name, args, options, dy)
        assert y.dtype == y2.dtype
        assert_same(y, y2, terms=y_terms, tol=tolerance, what=f"y in {dtype.__name__}:")
        for gradient, expected, size in zip(gradients, gradients2, terms, strict=True):
            assert gradient.dtype == expected.dtype
            assert_same(gradient, expected, terms=size, tol=tolerance, what=f"a gradient in {dtype.__name__}:")


@pytest.mark.parametrize("case", [case for case in CASES if case.name in NAMES], ids=str)
@pytest.mark.parametrize("where", ["argument", "dy"])
def test_a_nan_comes_out_where_it_does_of_the_op(case, where):
    args, options = case.build()
    args = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    dy = np.array(case.upstream(getattr(ops, f"{case.name}_forward")(*args, **options)[0]))
    if where == "argument":
        args[case.grads[0]].flat[1] = np.nan
    elif dy.ndim:
        dy.flat[1] = np.nan
    dy = dy if dy.ndim else float(dy)
    with np.errstate(all="ignore"), suppress(ValueError):
        y2, gradients2 = run(ops, case.name, args, options, dy)
        y, gradients = run(kernels, case.name, args, options, dy)
        for found, expected in zip((y, *gradients), (y2, *gradients2), strict=True):
            if case.name == "upsample_bilinear2d":  # the op, a matrix product, also spreads a NaN with weights of 0
                assert (np.isnan(found) <= np.isnan(expected)).all()
                assert np.isnan(found).any() == np.isnan(expected).any()
            else:
                assert (np.isnan(found) == np.isnan(expected)).all()


def arguments(name, shape, dtype):
    """Arguments of an op for images of this shape."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(dtype)  # noqa: E731
    x, gamma, whole = draw(*shape), draw(shape[1]), draw(*shape[1:])
    labels, answers = rng.integers(0, shape[1], (shape[0], *shape[2:])), rng.integers(0, 2, shape).astype(dtype)
    size = (shape[2] + 2, shape[3] + 5)
    places = np.argsort(rng.random((shape[0] * shape[1], size[0] * size[1])), axis=1)[:, : shape[2] * shape[3]]
    if name in ("binary_cross_entropy", "categorical_crossentropy", "dice"):
        x = 1 / (1 + np.exp(-x))
    more = {
        **dict.fromkeys(("cross_entropy", "categorical_crossentropy", "focal"), (labels,)), "hinge": (2 * answers - 1,),
        **dict.fromkeys(("mse", "mae"), (draw(*shape),)), "concat": (x[:, :2],), "pad2d": ((1, 2),),
        **dict.fromkeys(("binary_cross_entropy", "binary_cross_entropy_with_logits", "dice"), (answers,)),
        "max_pool2d": (3, 2, 1), "min_pool2d": (2,), "avg_pool2d": (3, 1, 1), "upsample_nearest2d": (2,),
        "batch_norm": (gamma, gamma), "layer_norm": (whole, whole), "group_norm": (2, gamma, gamma),
        "dropout": (rng.random(shape) < 0.5, 0.5), "upsample_bilinear2d": (2,),
        "max_unpool2d": (places.reshape(shape), size),
    }  # fmt: skip
    return x, *more.get(name, ())


@pytest.mark.parametrize("name", NAMES)
def test_one_thread_and_two_give_the_same_bits(name):
    args, results = arguments(name, (3, 6, 130, 131), np.float32), []
    for many in range(1, min(numba.config.NUMBA_NUM_THREADS, 4) + 1):
        with threads(many):
            y, cache = getattr(kernels, f"{name}_forward")(*args)
            gradients = as_tuple(getattr(kernels, f"{name}_backward")(np.cos(y) if y.ndim else 1.0, cache))
            results.append([np.asarray(a).tobytes() for a in (y, *gradients)])
    assert all(result == results[0] for result in results)
    assert len(results) > 1 or numba.config.NUMBA_NUM_THREADS == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_every_length_agree_with_ops(name, dtype):
    """A vector more or less, some lanes of the last one, and none but those."""
    for W in (2, 3, 5, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 66, 131, 700):
        args = arguments(name, (2, 4, 7, W), dtype)
        y, cache = getattr(kernels, f"{name}_forward")(*args)
        exact, exact_cache = getattr(ops, f"{name}_forward")(*(
            a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args
        ))  # fmt: skip
        dy = np.random.default_rng(W).normal(size=y.shape).astype(dtype) if y.ndim else -1.7
        gradients, expected = (as_tuple(getattr(module, f"{name}_backward")(given, kept)) for module, given, kept in (
            (kernels, dy, cache), (ops, np.float64(dy) if not y.ndim else dy.astype(np.float64), exact_cache)
        ))  # fmt: skip
        tol = 1e-12 if dtype == np.float64 else 3e-6
        assert_same(y, exact, tol=tol, what=f"y, W = {W}:")
        for gradient, right in zip(gradients, expected, strict=True):
            assert gradient.dtype == dtype
            assert_same(gradient, right, tol=20 * tol, what=f"a gradient, W = {W}:")


@pytest.mark.parametrize("name", ["upsample_nearest2d", "upsample_bilinear2d"])
@pytest.mark.parametrize("scale", [1, 2, 3, (1, 2), (2, 1), (3, 2)])
@pytest.mark.parametrize("options", [{}, {"align_corners": True}])
def test_enlarging_agrees_with_ops_for_rows_of_every_length(name, scale, options):
    rng = np.random.default_rng(0)
    options = options if name == "upsample_bilinear2d" else {}
    for W in range(1, 36):
        args = (rng.normal(size=(1, 2, W % 3 + 1, W)), scale)
        y = getattr(ops, f"{name}_forward")(*args, **options)[0]
        dy = rng.normal(size=y.shape)
        ours, theirs = (run(module, name, args, options, dy) for module in (kernels, ops))
        assert_same(ours[0], theirs[0], tol=1e-14)
        assert_same(ours[1][0], theirs[1][0], tol=1e-14)


@pytest.mark.parametrize("shape", [(700, 5), (2, 4, 33, 31)])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2}, {"ignore_index": 255}, {"ignore_index": -100}])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_agrees_beyond_one_block_of_rows(shape, options, weighted):
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=shape), rng.integers(0, shape[1], (shape[0], *shape[2:]))
    if "ignore_index" in options:
        t[rng.random(t.shape) < 0.3] = options["ignore_index"]
    options = options | ({"class_weights": rng.random(shape[1])} if weighted else {})
    (y, (dz,)), (y2, (dz2,)) = (run(module, "cross_entropy", (z, t), options, -1.7) for module in (kernels, ops))
    assert_same(y, y2, tol=1e-12)
    assert_same(dz, dz2, tol=1e-12)


@pytest.mark.parametrize(
    ("t", "options"),
    [
        ([0, 3], {}), ([0, -1], {}), ([0, -1], {"ignore_index": 5}), ([5, 5], {"ignore_index": 5}), ([0.0, 1.0], {}),
        ([0, 1, 2], {}), ([0, 1], {"label_smoothing": 1.0}), ([0, 1], {"class_weights": [1, 2]}),
        ([0, 1], {"class_weights": [0, 0, 1]}), ([0, 1], {"class_weights": [1, -1, 1]}), ([[0.5, 0.5, 0.5]] * 2, {}),
    ],
)  # fmt: skip
def test_what_is_no_target_is_refused_in_the_words_of_ops(t, options):
    messages = []
    for module in (ops, kernels):
        with pytest.raises((ValueError, TypeError)) as raised:
            module.cross_entropy_forward(np.zeros((2, 3)), np.array(t), **options)
        messages.append((raised.type, str(raised.value)))
    assert messages[0] == messages[1]


def test_a_class_that_is_impossible_costs_nothing_unless_it_is_the_right_one():
    z = np.array([[0.0, 1.0, -np.inf]])
    loss, cache = kernels.cross_entropy_forward(z, np.array([1]))
    assert loss == pytest.approx(np.log1p(np.exp(-1)))
    assert kernels.cross_entropy_backward(1.0, cache)[0, 2] == 0
    with np.errstate(all="ignore"):
        assert kernels.cross_entropy_forward(z, np.array([2]))[0] == np.inf


def test_labels_may_change_after_forward_and_backward_still_knows_them():
    t = np.array([0, 2])
    _, cache = kernels.cross_entropy_forward(np.zeros((2, 3)), t)
    before = kernels.cross_entropy_backward(1.0, cache)
    t[:] = 1
    np.testing.assert_array_equal(kernels.cross_entropy_backward(1.0, cache), before)


@pytest.mark.parametrize("offset", [0.0, 1e4, -3e6])
def test_batch_norm_loses_no_digits_to_a_large_mean(offset):
    x = np.random.default_rng(0).normal(size=(5, 3, 70, 71)) * [[[[1]], [[0.1]], [[3]]]] + offset
    x[2] += 50  # an image far from the others
    y, cache = kernels.batch_norm_forward(x, np.ones(3), np.zeros(3))
    exact = x.astype(np.longdouble)
    mean = exact.mean(axis=(0, 2, 3), keepdims=True)
    var = ((exact - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(y, (exact - mean) / np.sqrt(var + 1e-5), atol=2e-14)
    np.testing.assert_allclose(cache.mean, mean.ravel(), rtol=1e-15, atol=1e-14)
    np.testing.assert_allclose(cache.var, var.ravel() * x[:, 0].size / (x[:, 0].size - 1), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["binary_cross_entropy", "categorical_crossentropy"])
def test_a_probability_of_0_or_1_costs_and_pulls_as_in_ops(name, dtype):
    p = np.array([[0, 1], [1, 0], [1, 0], [0.5, 0.5], [1 + 5e-4, 0], [1e-40, 1]]).astype(dtype)
    t = np.array([[0, 1], [0, 1], [1, 0], [0, 1], [1, 0], [1, 0]], dtype)
    for target in (t, t.argmax(axis=1)) if name.startswith("cat") else (t,):
        (y, (dp,)), (y2, (dp2,)) = (run(module, name, (p, target), {}, 1.0) for module in (kernels, ops))
        assert_same(y, y2, tol=1e-6 if dtype == np.float32 else 1e-14)
        assert_same(dp, dp2, terms=abs(dp2), tol=1e-6 if dtype == np.float32 else 1e-14)


def test_a_place_outside_or_taken_is_refused_before_anything_is_written():
    x = np.ones((1, 1, 1, 2))
    for places in ([0, 4], [-1, 0], [1, 1]):
        with pytest.raises(ValueError, match=r"is no place|comes 2 times"):
            kernels.max_unpool2d_forward(x, np.array([[[places]]]), 2)
    with pytest.raises(ShapeError):
        kernels.max_unpool2d_forward(x, np.zeros((1, 1, 2, 1), int), 2)


def test_the_kernels_of_numbers_touch_nothing_beyond_their_arrays():
    found = run_guarded("numbers")
    assert found.stdout.strip() == "unharmed", (found.returncode, found.stderr[-2000:])


@pytest.mark.parametrize("label", [-1, 3, -(2**62), 2**62])
def test_a_label_that_is_no_class_is_refused_by_its_value(label):
    z = np.zeros((4, 3), np.float32)
    with pytest.raises(ValueError, match=str(label)):
        kernels.cross_entropy_forward(z, np.array([0, 1, label, 2]))
