"""One cell taken apart: its terms sum to it, and the sum can be read."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from op_cases import CASES, OpCase
from oracles import assert_same

from tinycnn.formula import Formula, FormulaError, formulas

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
    result = entry.evaluate(**arguments)
    result = result[0] if isinstance(result, tuple) else result
    for index in _some_cells(np.asarray(result)):
        cell = entry.terms(index, **arguments)
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
def test_the_terms_of_a_gradient_sum_to_what_backward_gives_there(case):
    entry, arguments = case.functions[1].formula, _arguments(case)
    y, _ = case.forward(*case.build(seed=3)[0], **case.build(seed=3)[1])
    if any(s.scatter for s in entry.statements if s.target == entry.results[0]):
        with pytest.raises(FormulaError, match="a scatter has no terms of one cell"):
            entry.terms((0,) * y.ndim, dy=case.upstream(y), **arguments)
        return
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
    assert pooled("max_pool2d") == "max(1, (−4), 3, 2)"
    assert pooled("avg_pool2d") == "(1 + (−4) + 3 + 2) / (1 + 1 + 1 + 1)"
    assert formulas["global_avg_pool2d"].terms((0, 0), x=x).text() == "(1 + (−4) + 3 + 2) / 4"
    product = Formula("test", ("y = prod[n](a[n])",)).terms((), a=np.array([2.0, 3.0, 4.0]))
    assert (product.value, product.text()) == (24.0, "prod(2, 3, 4)")


def test_elements_of_any_shape_are_named_by_their_own_place():
    z = np.arange(12.0).reshape(1, 3, 2, 2)
    text = formulas["log_softmax"].terms((0, 1, 0, 1), z=z).text(numbers=False)
    assert text.startswith("z[0,1,0,1] − m[0,0,1] − log(exp(z[0,0,0,1] − m[0,0,1]) + exp(z[0,1,0,1] − m")
    assert formulas["relu"].terms((1,), x=np.array([3.0, -2.0])).text() == "max((−2), 0)"


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
