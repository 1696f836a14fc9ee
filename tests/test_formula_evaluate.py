"""What the loops of a formula compute, against NumPy written by hand, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_same
from strategies import seeds

from tinycnn.formula import Formula, FormulaError, formulas

RNG = np.random.default_rng(0)


def _test(*lines, **about):
    return Formula("test", lines, **about)


def test_a_convolution_by_einsum():
    x, w, b = RNG.normal(size=(2, 4, 6, 7)), RNG.normal(size=(6, 2, 3, 2)), RNG.normal(size=6)
    stride, dilation, padding = (2, 1), (1, 2), (1, 0, 2, 1)
    xp = np.pad(x, ((0, 0), (0, 0), (1, 0), (2, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(xp, (3, 3), axis=(2, 3))[:, :, ::2, ::1, ::1, ::2]
    parts = [
        np.einsum("ncuvij,fcij->nfuv", windows[:, channels], w[filters])
        for channels, filters in ((slice(0, 2), slice(0, 3)), (slice(2, 4), slice(3, 6)))
    ]
    y = formulas["conv2d"].evaluate(x=x, w=w, b=b, stride=stride, padding=padding, dilation=dilation, groups=2)
    assert_same(y, np.concatenate(parts, axis=1) + b[:, None, None])


def test_the_gradients_of_a_linear_map_come_as_a_named_tuple():
    x, w, b, dy = RNG.normal(size=(4, 3)), RNG.normal(size=(2, 3)), RNG.normal(size=2), RNG.normal(size=(4, 2))
    found = formulas["linear_backward"].evaluate(dy=dy, x=x, w=w, b=b)
    assert found._fields == ("dx", "dw", "db")
    assert_same(found.dx, np.einsum("nf,fc->nc", dy, w))
    assert_same(found.dw, np.einsum("nf,nc->fc", dy, x))
    assert_same(found.db, np.einsum("nf->f", dy))


def test_pools_by_hand():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    assert formulas["max_pool2d"].evaluate(x=x, kernel_size=2)[0, 0].tolist() == [[5, 7], [13, 15]]
    assert formulas["min_pool2d"].evaluate(x=x, kernel_size=2)[0, 0].tolist() == [[0, 2], [8, 10]]
    assert formulas["avg_pool2d"].evaluate(x=x, kernel_size=2)[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert formulas["global_avg_pool2d"].evaluate(x=x).tolist() == [[7.5]]


def test_softmax_and_its_loss_by_hand():
    z, labels = RNG.normal(size=(3, 4)), np.array([2, 0, 3])
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    assert_same(formulas["softmax"].evaluate(z=z), p)
    assert_same(formulas["cross_entropy"].evaluate(z=z, t=labels), np.array(-np.log(p[range(3), labels]).mean()))
    expected = (p - np.eye(4)[labels]) / 3
    assert_same(formulas["cross_entropy_backward"].evaluate(dy=1.0, z=z, t=labels), expected)


@given(seed=seeds, sizes=st.tuples(*[st.integers(1, 4)] * 4))
@settings(max_examples=30)
def test_sums_of_products_are_einsum(seed, sizes):
    rng = np.random.default_rng(seed)
    N, C, F, K = sizes
    a, b, g = rng.normal(size=(N, C)), rng.normal(size=(C, F)), rng.normal(size=(F, K))
    y = _test("y[n,k] = sum[c,f](a[n,c] * b[c,f] * g[f,k])", shapes="a (N,C), b (C,F), g (F,K)").evaluate(a=a, b=b, g=g)
    assert_same(y, np.einsum("nc,cf,fk->nk", a, b, g), terms=np.einsum("nc,cf,fk->nk", abs(a), abs(b), abs(g)))


def test_the_result_has_the_dtype_of_what_goes_in():
    for dtype in (np.float32, np.float64, np.complex64, np.complex128):
        x, w = RNG.normal(size=(2, 3)).astype(dtype), RNG.normal(size=(4, 3)).astype(dtype)
        assert formulas["linear"].evaluate(x=x, w=w, b=np.zeros(4, dtype)).dtype == dtype
    assert _test("y[n] = 2*x[n]", shapes="x (N)").evaluate(x=np.arange(3)).dtype == np.float64


def test_complex_numbers_pass_through_and_compare_by_their_real_part():
    x = np.array([1 + 5j, 3 - 1j, -2 + 9j])
    assert _test("y = max[n](x[n])", shapes="x (N)").evaluate(x=x) == 3 - 1j
    assert _test("y = min[n](x[n])", shapes="x (N)").evaluate(x=x) == -2 + 9j
    assert formulas["relu"].evaluate(x=x).tolist() == [1 + 5j, 3 - 1j, 0]
    assert _test("y[n] = x[n] * (x[n] > 2)", shapes="x (N)").evaluate(x=x).tolist() == [0, 3 - 1j, 0]


LAYOUTS = {
    "Fortran": np.asfortranarray, "reversed": lambda a: a[::-1, ::-1], "big-endian": lambda a: a.astype(">f8"),
    "transposed": np.transpose,
}  # fmt: skip


@pytest.mark.parametrize("lay_out", LAYOUTS.values(), ids=LAYOUTS)
def test_the_layout_of_what_goes_in_makes_no_difference(lay_out):
    w, dw = lay_out(RNG.normal(size=(3, 4))), lay_out(RNG.normal(size=(3, 4)))
    assert_same(_test("y = w - 2*dw", shapes="w (...), dw (...) -> y (...)").evaluate(w=w, dw=dw), w - 2 * dw)
    assert_same(_test("w = w - 2*dw", shapes="w (...), dw (...) -> w (...)").evaluate(w=w, dw=dw), w - 2 * dw)
    x = lay_out(RNG.normal(size=(4, 4)))
    assert_same(_test("y[n] = sum[...](x[n,...])", shapes="x (N,...)").evaluate(x=x), x.sum(axis=1))


def test_an_update_works_on_a_copy_and_leaves_what_was_given_alone():
    w, v, dw = np.ones((2, 3)), np.zeros((2, 3)), np.full((2, 3), 4.0)
    step = _test(
        "v = momentum*v + dw", "w = w - lr*v", shapes="w (...), v (...), dw (...) -> w (...), v (...)",
        defaults={"momentum": 0.5},
    )  # fmt: skip
    for a in (w, v, dw):
        a.flags.writeable = False
    first = step.evaluate(w=w, v=v, dw=dw, lr=0.25)
    assert (first.w == 0).all()
    assert (first.v == 4).all()
    second = step.evaluate(w=first.w, v=first.v, dw=dw, lr=0.25, momentum=0.75)
    assert (second.w == -1.75).all()
    assert (w == 1).all()


def test_an_update_of_integers_does_not_round():
    assert _test("w = w / 2", shapes="w (...) -> w (...)").evaluate(w=np.array([1, 2, 3])).tolist() == [0.5, 1.0, 1.5]


def test_evaluating_twice_gives_the_same_from_untouched_arguments():
    x, w = RNG.normal(size=(2, 2, 4, 4)), RNG.normal(size=(3, 2, 2, 2))
    given_before = x.tobytes(), w.tobytes()
    arguments = {"x": x, "w": w, "b": None, "stride": 1, "padding": 1}
    dy = RNG.normal(size=formulas["conv2d"].evaluate(**arguments).shape)
    first = formulas["conv2d_backward"].evaluate(dy=dy, **arguments)
    second = formulas["conv2d_backward"].evaluate(dy=dy, **arguments)
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert (x.tobytes(), w.tobytes()) == given_before


def test_an_empty_sum_is_zero_and_an_empty_batch_stays_empty():
    linear = formulas["linear"]
    assert linear.evaluate(x=np.ones((0, 3)), w=np.ones((2, 3)), b=np.zeros(2)).shape == (0, 2)
    assert linear.evaluate(x=np.ones((2, 0)), w=np.ones((1, 0)), b=np.ones(1)).tolist() == [[1], [1]]
    assert formulas["relu"].evaluate(x=np.ones((0, 3))).shape == (0, 3)


def test_the_loops_can_be_read():
    loops = formulas["linear"].loops
    assert loops.startswith("def loops(out, b, w, x, size_n, size_f, size_c):")
    assert "for c in range(size_c):" in loops
    assert "out[n, f] = " in loops


@pytest.mark.parametrize(
    ("name", "shapes", "message"),
    [
        ("linear", {"x": (2, 3), "w": (4, 5), "b": (4,)}, r"linear: C is 3, but w has shape \(4, 5\)"),
        ("linear", {"x": (2, 3), "w": (4, 3), "b": (5,)}, r"linear: F is 4, but b has shape \(5,\)"),
        ("linear", {"x": (2, 3, 1), "w": (4, 3), "b": (4,)}, r"linear: x is \(N, C\), got shape \(2, 3, 1\)"),
        ("linear", {"x": (2, 3), "w": (4, 3)}, r"linear needs b; it was given w, x"),
        ("relu", {}, r"relu needs x; it was given"),
        ("softmax", {"z": (3,)}, r"softmax: z is \(N, K, \.\.\.\), got shape \(3,\)"),
        ("linear_backward", {"x": (2, 3), "w": (4, 3), "b": (4,), "dy": (2, 5)}, r"F is 4, but dy has shape \(2, 5\)"),
        ("softmax_backward", {"z": (2, 3), "dy": (2, 4)}, r"K is 3, but dy has shape \(2, 4\)"),
        ("mse_backward", {"x": (2,), "t": (3,), "dy": ()}, r"shape of the output, \(2,\), got \(3,\)"),
    ],
)
def test_what_does_not_fit_is_named_with_both_sizes(name, shapes, message):
    with pytest.raises(ValueError, match=message) as caught:
        formulas[name].evaluate(**{symbol: np.ones(shape) for symbol, shape in shapes.items() if shape is not None})
    assert isinstance(caught.value, FormulaError) or name == "mse_backward"


def test_an_index_of_two_ranges_is_refused_with_both():
    with pytest.raises(FormulaError, match=r"index n would run over \[2, 3\] at once"):
        _test("y[n] = a[n] + b[n]").evaluate(a=np.ones(2), b=np.ones(3))
    with pytest.raises(FormulaError, match=r"`\.\.\.` is \(2, 2\), but b has shape \(2, 3\)"):
        _test("y = a + b", shapes="a (...), b (...) -> y (...)").evaluate(a=np.ones((2, 2)), b=np.ones((2, 3)))


def test_an_array_may_be_called_like_a_reduction():
    x, mean = np.arange(6.0).reshape(2, 3), np.array([10.0, 20.0, 30.0])
    both = _test("y[c] = mean[n](x[n,c]) + mean[c]", shapes="x (N,C), mean (C) -> y (C)")
    assert both.evaluate(x=x, mean=mean).tolist() == [11.5, 22.5, 33.5]


def test_a_result_may_be_a_part_of_what_is_read():
    part = _test("a[n,c] = y[n,c]", shapes="y (N,C) -> a (N,CA)")
    assert part.evaluate(y=np.arange(6.0).reshape(2, 3), CA=2).tolist() == [[0, 1], [3, 4]]


def test_a_reduction_over_an_index_of_the_result_is_refused():
    with pytest.raises(FormulaError, match=r"sum\[c\] runs over an index that y already has; use another letter"):
        _test("y[n,c] = x[n,c] / sum[c](x[n,c])", shapes="x (N,C) -> y (N,C)").evaluate(x=np.ones((2, 3)))
    with pytest.raises(FormulaError, match=r"mean\[\.\.\.\] runs over an index that y already has"):
        _test("y[n,...] = x[n,...] - mean[...](x[n,...])", shapes="x (N,...) -> y (N,...)").evaluate(x=np.ones((2, 3)))


def test_shapes_that_only_hold_as_many_numbers_are_refused():
    with pytest.raises(FormulaError, match=r"`\.\.\.` is \(2, 3\), but b has shape \(3, 2\)"):
        _test("y = a + b", shapes="a (...), b (...) -> y (...)").evaluate(a=np.ones((2, 3)), b=np.ones((3, 2)))


def test_an_index_that_nothing_bounds_is_refused():
    with pytest.raises(FormulaError, match="nothing tells how far index k runs"):
        _test("y[n] = x[n] + sum[k](k)", shapes="x (N)").evaluate(x=np.ones(3))


def test_a_name_that_is_not_given_is_asked_for():
    with pytest.raises(FormulaError, match=r"test needs lr; it was given w"):
        _test("y = lr * w", shapes="w (...) -> y (...)").evaluate(w=np.ones(3))
