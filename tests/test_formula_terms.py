"""One cell taken apart: its terms sum to it, and the sum can be read."""

from __future__ import annotations

import inspect
import itertools
import re
import time

import numpy as np
import pytest
from oracles import assert_same

from tinycnn import ops
from tinycnn.formula import Formula, FormulaError, formulas
from tinycnn.formula.cell import Cell
from tinycnn.ops.window import window_names
from tinycnn.verify.cases import CASES, OpCase

FORWARD = [case for case in CASES if case.twin]


def _arguments(case: OpCase) -> dict:
    args, options = case.build(seed=3)
    bound = inspect.signature(case.functions[0]).bind(*args, **options)
    return dict(bound.arguments)


def _some_cells(result: np.ndarray, seed=0, most=6):
    """A few places of an array, the first and the last among them."""
    flat = {0, result.size - 1, *np.random.default_rng(seed).integers(0, result.size, size=most).tolist()}
    return [tuple(map(int, np.unravel_index(i, result.shape))) for i in sorted(flat)]


def _assert_terms_make_the_cell(entry: Formula, arguments: dict):
    results = entry.evaluate(**arguments)
    for name, result in zip(entry.results, results if len(entry.results) > 1 else [results], strict=True):
        _assert_terms_make(entry, arguments, name, np.asarray(result))


def _assert_terms_make(entry: Formula, arguments: dict, name: str, result: np.ndarray):
    for index in _some_cells(result):
        cell = entry.terms(index, result=name, **arguments)
        assert_same(np.asarray(cell.value), np.asarray(result[index]), terms=1 + abs(cell.value), what=f"{index}:")
        total = sum(term.value for term in cell.terms)
        size = sum(abs(term.value) for term in cell.terms)
        assert_same(np.asarray(total), np.asarray(cell.value), terms=size, what=f"the terms of {index}:")
        assert cell.text()
        assert cell.text(numbers=False)


@pytest.mark.parametrize("case", FORWARD, ids=str)
def test_the_terms_of_a_cell_sum_to_what_forward_gives_there(case):
    _assert_terms_make_the_cell(case.functions[0].formula, _arguments(case))


@pytest.mark.parametrize("case", FORWARD, ids=str)
def test_the_terms_of_every_gradient_sum_to_what_backward_gives_there(case):
    entry, arguments = case.functions[1].formula, _arguments(case)
    y, _ = case.forward(*case.build(seed=3)[0], **case.build(seed=3)[1])
    _assert_terms_make_the_cell(entry, {"dy": case.upstream(y), **arguments})


def test_what_was_read_is_listed_in_the_order_of_the_formula():
    x, w, b = np.array([[2.0, 3.0]]), np.array([[5.0, 7.0]]), np.array([11.0])
    cell = formulas["linear"].terms((0, 0), x=x, w=w, b=b)
    assert cell.value == 11 + 10 + 21
    assert cell.reads == (
        ("b", (0,), 11.0), ("x", (0, 0), 2.0), ("w", (0, 0), 5.0), ("x", (0, 1), 3.0), ("w", (0, 1), 7.0),
    )  # fmt: skip
    assert [term.value for term in cell.terms] == [11.0, 10.0, 21.0]
    assert cell.text() == "11 + 2·5 + 3·7"
    assert cell.text(numbers=False) == "b[0] + x[0,0]·w[0,0] + x[0,1]·w[0,1]"


def test_a_cell_of_a_convolution_reads_its_window():
    x = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    cell = formulas["conv2d"].terms((0, 0, 1, 0), x=x, w=np.full((1, 1, 2, 2), 2.0), b=np.array([-1.0]), padding=0)
    assert [(symbol, index) for symbol, index, _ in cell.reads if symbol == "xp"] == [
        ("xp", (0, 0, 1, 0)), ("xp", (0, 0, 1, 1)), ("xp", (0, 0, 2, 0)), ("xp", (0, 0, 2, 1)),
    ]  # fmt: skip
    assert cell.text() == "(−1) + 4·2 + 5·2 + 7·2 + 8·2"


def test_a_flipped_kernel_is_read_backwards():
    w = np.array([[[[1.0, 2.0, 3.0]]]])
    cell = formulas["conv2d"].terms((0, 0, 0, 0), x=np.ones((1, 1, 1, 3)), w=w, b=np.zeros(1), flip=True)
    assert [value for symbol, _, value in cell.reads if symbol == "w"] == [3.0, 2.0, 1.0]


def test_a_reduction_names_itself():
    x = np.array([[[[1.0, -4.0], [3.0, 2.0]]]])
    pooled = lambda name: formulas[name].terms((0, 0, 0, 0), x=x, kernel_size=2).text()  # noqa: E731
    assert pooled("max_pool2d") == "max(1, −4, 3, 2)"
    assert pooled("avg_pool2d") == "(1 + (−4) + 3 + 2) / (1 + 1 + 1 + 1)"
    assert formulas["global_avg_pool2d"].terms((0, 0), x=x).text() == "(1 + (−4) + 3 + 2) / 4"
    product = Formula("test", ("y = prod[n](a[n])",)).terms((), a=np.array([2.0, 3.0, 4.0]))
    assert (product.value, product.text()) == (24.0, "prod(2, 3, 4)")


def test_elements_of_any_shape_are_named_by_their_own_place():
    z = np.arange(12.0).reshape(1, 3, 2, 2)
    text = formulas["log_softmax"].terms((0, 1, 0, 1), z=z).text(numbers=False)
    assert text.startswith("z[0,1,0,1] − m[0,0,1] − log(exp(z[0,0,0,1] − m[0,0,1]) + exp(z[0,1,0,1] − m")
    assert formulas["relu"].terms((1,), x=np.array([3.0, -2.0])).text() == "max(−2, 0)"


def test_a_long_sum_is_shortened_and_says_what_lies_between():
    x, w = np.arange(100.0)[None], np.ones((1, 100))
    cell = formulas["linear"].terms((0, 0), x=x, w=w, b=np.zeros(1))
    assert len(cell.terms) == 101
    assert cell.text() == "0 + 0·1 + 1·1 + 2·1 + 3·1 + 4·1 + 5·1 + … 92 more (sum = 4738) + 98·1 + 99·1"
    assert "… 92 more" in cell.text(numbers=False)
    assert "sum =" not in cell.text(numbers=False)
    short = formulas["linear"].terms((0, 0), x=x[:, :27], w=w[:, :27], b=np.zeros(1))
    assert "more" not in short.text()


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("y = (a + b) * (a - b)", "(2 + 3)·(2 − 3)"),
        ("y = a - (b - a)", "2 − (3 − 2)"),
        ("y = a - (b + a)", "2 − (3 + 2)"),
        ("y = a / (b * a)", "2 / (3·2)"),
        ("y = (a ** b) ** a", "(2^3)^2"),
        ("y = a ** (b ** a)", "2^(3^2)"),
        ("y = -(a + b)", "−(2 + 3)"),
        ("y = exp(a - a) * b", "exp(2 − 2)·3"),
        ("y = b if a > b else a", "2"),
        ("y = sqrt(a * a)", "sqrt(2·2)"),
    ],
)
def test_numbers_stand_in_brackets_where_the_order_needs_them(line, text):
    assert Formula("test", (line,)).terms((), a=2.0, b=3.0).text() == text


@pytest.mark.parametrize("index", [(0, 2), (-1, 0), (0,), (0, 0, 0), (5, 0)])
def test_a_place_outside_the_result_is_refused(index):
    with pytest.raises(FormulaError, match=re.escape(f"linear: there is no cell {list(index)} in y")):
        formulas["linear"].terms(index, x=np.ones((1, 3)), w=np.ones((2, 3)), b=np.ones(2))


def test_the_last_statement_that_fills_a_cell_tells_its_terms():
    arguments = {"x": np.full((1, 1, 1, 1), 5.0), "padding": 1, "value": 9.0}
    assert formulas["pad2d"].terms((0, 0, 1, 1), **arguments).text(numbers=False) == "x[0,0,0,0]"
    assert formulas["pad2d"].terms((0, 0, 0, 1), **arguments).text(numbers=False) == "value"
    assert formulas["im2col"].terms((0, 3), x=np.arange(4.0).reshape(1, 1, 2, 2), kernel_size=2).value == 3.0


def _conv_backward(seed=0, **options):
    """conv2d_backward's formula, its arguments (every number different from 0), and what the code returns."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(2, 4, 7, 6)), rng.normal(size=(6, 4 // options.get("groups", 1), 3, 2))
    y, cache = ops.conv2d_forward(x, w, None, **options)
    dy = rng.normal(size=y.shape)
    found = dict(zip(("dx", "dw"), ops.conv2d_backward(dy, cache)[:2], strict=True))
    return formulas["conv2d_backward"], {"x": x, "w": w, "b": None, "dy": dy, **options}, found


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2, "padding": 1}, {"stride": (3, 1), "padding": (0, 2, 1, 0)}, {"dilation": (2, 3)},
     {"groups": 2, "padding": 2}, {"flip": True, "stride": 2}, {"flip": True, "groups": 2, "padding": "same"}],
)  # fmt: skip
def test_each_pixel_gathers_from_every_window_it_was_in_and_from_no_other(options):
    """The contributions to dx are those of the windows that a search through all of them finds."""
    entry, arguments, found = _conv_backward(**options)
    window = window_names({"x": arguments["x"], "w": arguments["w"], "stride": 1} | options)
    F, groups = 6, options.get("groups", 1)
    for n, c, r, q in _some_cells(found["dx"], most=10):
        cell = entry.terms((n, c, r, q), result="dx", **arguments)
        windows = {
            (n, f, u, v)
            for f, u, i, v, j in itertools.product(*map(range, (F, window["OH"], 3, window["OW"], 2)))
            if u * window["sv"] + i * window["dv"] - window["top"] == r
            and v * window["sh"] + j * window["dh"] - window["left"] == q
            and f // (F // groups) == c // (4 // groups)
        }
        read = [index for symbol, index, _ in cell.reads if symbol == "dy"]
        assert set(read) == windows
        assert len(read) == len(windows) == len(cell.terms if windows else ())
        assert_same(np.asarray(cell.value), found["dx"][n, c, r, q], terms=1.0 + len(windows))


@pytest.mark.parametrize("options", [{"padding": 1}, {"stride": 2, "flip": True}, {"groups": 2}])
def test_a_weight_reads_one_upstream_number_for_every_window(options):
    entry, arguments, found = _conv_backward(**options)
    for index in _some_cells(found["dw"]):
        cell = entry.terms(index, result="dw", **arguments)
        N, _, OH, OW = arguments["dy"].shape
        assert len(cell.terms) == N * OH * OW
        assert {at[1] for symbol, at, _ in cell.reads if symbol == "dy"} == {index[0]}
        assert_same(np.asarray(cell.value), found["dw"][index], terms=1.0 + len(cell.terms))


def test_a_cell_that_nothing_lands_on_is_an_empty_sum():
    dy, x = np.ones((1, 1, 1, 1)), np.ones((1, 1, 3, 3))
    entry = formulas["conv2d_backward"]
    cell = entry.terms((0, 0, 2, 2), result="dx", dy=dy, x=x, w=np.ones((1, 1, 1, 1)), b=None, stride=3)
    assert (cell.value, cell.terms, cell.text(), cell.text(numbers=False)) == (0.0, (), "0", "0")


def test_a_pixel_of_a_border_image_is_asked_for_by_its_own_name():
    cell = formulas["im2col"].terms((0, 3), x=np.arange(4.0).reshape(1, 1, 2, 2), kernel_size=2)
    assert cell.text(numbers=False) == "xp[0,0,1,1]"
    cols, shape = np.arange(16.0).reshape(4, 4), (1, 1, 3, 3)
    gathered = formulas["col2im"].terms((0, 0, 1, 1), result="dxp", cols=cols, x_shape=shape, kernel_size=2)
    assert gathered.text(numbers=False) == "cols[0,3] + cols[1,2] + cols[2,1] + cols[3,0]"
    assert gathered.value == 3 + 6 + 9 + 12
    assert formulas["col2im"].terms((0, 0, 1, 1), cols=cols, x_shape=shape, kernel_size=2).value == gathered.value


def test_a_stamp_of_a_transposed_convolution_is_told_stamp_by_stamp():
    x, w = np.array([[[[1.0, 2.0]]]]), np.array([[[[10.0, 20.0]]]])
    cell = formulas["conv_transpose2d"].terms((0, 0, 0, 1), x=x, w=w, b=np.array([5.0]))
    assert cell.text(numbers=False) == "b[0] + x[0,0,0,0]·w[0,0,0,1] + x[0,0,0,1]·w[0,0,0,0]"
    assert cell.value == 5 + 20 + 20


def test_what_is_made_on_the_way_can_be_asked_for_and_is_taken_apart_where_it_is_read():
    z, t = np.array([[0.0, np.log(3.0)]]), np.array([1])
    logp = formulas["cross_entropy"].terms((0, 1), result="logp", z=z, t=t)
    assert np.isclose(logp.value, np.log(0.75), rtol=1e-15)
    loss = formulas["cross_entropy"].terms((), z=z, t=t)
    (read,) = [part for part in _leaves(loss) if part.symbol == "logp" and part.index == (0, 1)]
    assert read.made.value == logp.value
    assert read.made.text(numbers=False) == "z[0,1] − m[0] − log(exp(z[0,0] − m[0]) + exp(z[0,1] − m[0]))"
    dz = formulas["cross_entropy_backward"].terms((0, 0), z=z, t=t, dy=1.0)
    assert np.isclose(dz.value, 0.25, rtol=1e-15)
    xhat = formulas["batch_norm_backward"].terms(
        (1, 0), result="xhat", x=np.array([[1.0], [3.0]]), gamma=np.ones(1), beta=np.zeros(1), dy=np.ones((2, 1))
    )
    assert np.isclose(xhat.value, 1.0, rtol=1e-4)


def _leaves(cell: Cell):
    return [cell] if not cell.parts else [leaf for part in cell.parts for leaf in _leaves(part)]


def test_an_update_reads_what_was_there_before_it():
    w, dw, v = np.array([1.0]), np.array([3.0]), np.array([10.0])
    cell = formulas["momentum"].terms((0,), result="w", w=w, dw=dw, v=v, lr=0.1, momentum=0.5)
    assert np.isclose(cell.value, 1 - 0.1 * (0.5 * 10 + 3))
    assert cell.text() == "1 − 0.1·8"
    assert _leaves(cell)[-1].made.text() == "0.5·10 + 3"
    assert (w[0], v[0]) == (1.0, 10.0)


def test_a_name_that_the_formula_does_not_make_is_refused():
    with pytest.raises(FormulaError, match=r"conv2d_backward makes no 'dq'; it makes dw, dxp, dx, db"):
        formulas["conv2d_backward"].terms((0,), result="dq", x=np.ones((1, 1, 2, 2)), w=np.ones((1, 1, 1, 1)), b=None,
                                          dy=np.ones((1, 1, 2, 2)))  # fmt: skip


def test_one_gradient_of_a_large_picture_is_found_without_walking_all_loops():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 8, 28, 28)), rng.normal(size=(16, 8, 3, 3))
    dy = rng.normal(size=(1, 16, 28, 28))
    began = time.perf_counter()
    cell = formulas["conv2d_backward"].terms((0, 3, 10, 27), result="dx", x=x, w=w, b=None, dy=dy, padding=1)
    assert time.perf_counter() - began < 2  # a walk through 16·8·28²·9 turns takes far longer; this, some hundredths
    assert len(cell.terms) == 16 * 3 * 2


def test_comparisons_show_their_numbers():
    cell = formulas["relu_backward"].terms((1,), x=np.array([-2.0, 3.0]), dy=np.array([5.0, 7.0]))
    assert cell.text() == "7·[3 > 0]"
    assert cell.text(numbers=False) == "dy[1]·[x[1] > 0]"
    assert Formula("test", ("y = (0 < a) * (a <= b < 9)",)).terms((), a=2.0, b=3.0).text() == "[0 < 2]·[2 ≤ 3 < 9]"


def test_a_statement_reads_what_the_statements_before_it_have_left_and_not_what_follows():
    entry = Formula("test", ("a = x", "y = 10*a", "a = a + 1"))
    x = np.array(5.0)
    assert entry.terms((), result="y", x=x).value == entry.evaluate(x=x).y == 50
    assert entry.terms((), result="a", x=x).value == entry.evaluate(x=x).a == 6
    arrays = {key: np.array([value]) for key, value in {"w": 2.0, "dw": 3.0, "m": 0.5, "v": 0.25}.items()}
    options = {"t": 3, "lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.2}
    once = formulas["adamw"].evaluate(**arrays, **options)
    assert np.isclose(formulas["adamw"].terms((0,), result="w", **arrays, **options).value, once.w[0], rtol=1e-15)


def test_what_is_no_sum_of_terms_is_computed_whole_where_it_is_read():
    lines = "slope = lim[h]((f(x + h) - f(x)) / h)", "y = 3*slope"
    entry = Formula("test", lines, shapes="f (function), x () -> y ()")
    cell = entry.terms((), f=lambda x: x * x, x=2.0)
    assert np.isclose(cell.value, 12, rtol=1e-9)
    assert cell.text(numbers=False) == "3·slope"
    assert np.isclose(entry.terms((), result="slope", f=lambda x: x * x, x=2.0).value, 4, rtol=1e-9)


def test_a_place_that_the_formula_itself_makes_is_refused():
    with pytest.raises(FormulaError, match=r"test: where y is written depends on k, itself made"):
        Formula("test", ("at[n] = 2*x[n]", "k[n] = at[n]", "y[k[n]] += x[n]")).terms((0,), result="y", x=np.ones(3))
