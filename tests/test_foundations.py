"""The formulas that belong to no op: each by a case worked on paper, and what the articles' notation leaves open."""

from __future__ import annotations

import doctest
import math
import re
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from oracles import assert_same

import tinycnn as tc
from tinycnn import ops
from tinycnn.formula import FOUNDATIONS, FormulaError, formulas

NAMES = [entry.name for part in FOUNDATIONS.values() for entry in part]
PAGE = Path(__file__).parent.parent / "docs" / "formulas.md"
DIE, SIXTHS = np.arange(1.0, 7), np.full(6, 1 / 6)

HAND = {
    "vector_sum": ({"a": [1, 2, 3], "b": [10, -20, 0.5]}, [11, -18, 3.5]),
    "matrix_sum": ({"a": [[1, 2], [3, 4], [5, 6]], "b": [[10, 0], [0, 10], [-5, 1]]}, [[11, 2], [3, 14], [0, 7]]),
    "scalar_multiple": ({"s": -0.5, "a": [2, 4, -1]}, [-1, -2, 0.5]),
    "dot_product": ({"a": [1, 2, 3], "b": [4, -5, 6]}, 12),
    # 1·5 + 2·7 = 19, 1·6 + 2·8 = 22, 3·5 + 4·7 = 43, 3·6 + 4·8 = 50; and the third row has 0 and 1
    "matrix_product": ({"a": [[1, 2], [3, 4], [0, 1]], "b": [[5, 6], [7, 8]]}, [[19, 22], [43, 50], [7, 8]]),
    "transpose": ({"a": [[1, 2, 3], [4, 5, 6]]}, [[1, 4], [2, 5], [3, 6]]),
    # (1 + 2s)(3 + 4s) = 3 + 10s + 8s²
    "true_convolution": ({"x": [[1, 2]], "w": [[3, 4]]}, [[3, 10, 8]]),
    "unit_scale": ({"x": np.array([[0, 51], [102, 255]], np.uint8)}, [[0, 0.2], [0.4, 1]]),
    "one_hot": ({"labels": [2, 0], "K": 3}, [[0, 0, 1], [1, 0, 0]]),
    "derivative": ({"f": lambda x: x**3, "x": 2}, 12),
    "partial_derivative": ({"f": lambda x, y: x**2 * y + y**2, "x": 3, "y": 5}, 30),
    "gradient": ({"f": lambda x: x[0] * x[1] ** 2, "x": [2.0, 3.0]}, [9, 12]),
    "directional_derivative": ({"f": lambda x: x[0] * x[1] ** 2, "x": [2.0, 3.0], "d": [0.6, 0.8]}, 15),
    "slope_from_gradient": ({"gradf": [9, 12], "d": [0.6, 0.8]}, 15),
    # z = u0·u1 at u = (4, 6), where u = (x², 3x) at x = 2: 6·4 + 4·3; and indeed z = 3x³, of slope 9x²
    "chain_rule": ({"dzdu": [6, 4], "dudx": [4, 3]}, 36),
    # rectangles of width 1 at 0.5, 1.5, 2.5: 0.25 + 2.25 + 6.25, where the integral is 9
    "riemann_sum": ({"f": lambda x: x**2, "a": 0, "b": 3, "N": 3}, 8.75),
    "integral": ({"f": lambda x: x**2, "a": 0, "b": 3}, 9),
    "antiderivative": ({"f": lambda x: 2 * x, "a": 1, "x": 4, "C": 10}, 25),
    "fundamental_theorem": ({"F": lambda x: x**3 / 3, "a": 0, "b": 3}, 9),
    "batch_gradient": ({"g": [[1, 2], [3, 4], [5, -6]]}, [3, 0]),
    # L = θ0² + 3θ1 has the gradient (2θ0, 3)
    "gradient_descent": ({"L": lambda t: t[0] ** 2 + 3 * t[1], "theta": [5.0, 7.0], "lr": 0.1}, [4, 6.7]),
    "equally_likely": ({"A": [0, 1, 0, 1, 0, 1]}, 0.5),
    "probability": ({"p": [0.5, 0.3, 0.2], "A": [0, 1, 1]}, 0.5),
    "conditional_probability": ({"P_AB": 1 / 6, "P_B": 1 / 2}, 1 / 3),
    "independence": ({"P_A": 1 / 2, "P_B": 1 / 3}, 1 / 6),
    "total_probability": ({"P_B_if_A": [0.9, 0.05], "P_A": [0.01, 0.99]}, 0.0585),
    "bayes": ({"P_B_if_A": [0.9, 0.05], "P_A": [0.01, 0.99]}, [0.009 / 0.0585, 0.0495 / 0.0585]),
    "expectation": ({"x": DIE, "p": SIXTHS}, 3.5),
    "variance": ({"x": DIE, "p": SIXTHS}, 35 / 12),
    "variance_by_moments": ({"x": DIE, "p": SIXTHS}, 91 / 6 - 49 / 4),
    # X and Y are the same coin, and Y counts double: 2·Var X
    "covariance": ({"x": [0, 1], "y": [0, 2], "p": [0.5, 0.5]}, 0.5),
    "conv2d_parameters": ({"F": 32, "C": 3, "KH": 3, "KW": 3}, 32 * 27 + 32),
    "conv2d_macs": ({"F": 8, "OH": 4, "OW": 5, "C": 6, "KH": 3, "KW": 2, "groups": 2}, 8 * 20 * 3 * 6),
    "linear_parameters": ({"F": 10, "C": 128}, 1290),
    "linear_macs": ({"F": 10, "C": 128}, 1280),
    # conv 3, pool 2 of stride 2, conv 3, pool 2 of stride 2: 1 + 2 + 1 + 2·2 + 1·2
    "receptive_field": ({"kernel": [3, 2, 3, 2], "stride": [1, 2, 1, 2]}, 10),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_foundation_gives_what_is_worked_out_on_paper(name):
    given, expected = HAND[name]
    assert_same(formulas[name].evaluate(**given), np.asarray(expected, float), tol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_a_foundation_says_what_it_is_names_its_source_and_stands_on_the_page(name):
    entry = tc.formulas[name]
    assert entry.about.endswith(".")
    assert re.search(r"[12]\d{3}|CS231n", entry.source)
    section = PAGE.read_text(encoding="utf-8").partition("# Foundations\n")[2].partition(f"### {name}\n")[2]
    section = section.partition("\n#")[0]
    for part in (entry.about, entry.latex, entry.shapes_text, entry.source):
        assert part in section


@pytest.mark.parametrize("name", NAMES)
def test_a_foundation_refuses_a_name_it_does_not_know_and_says_what_is_missing(name):
    given = HAND[name][0]
    with pytest.raises(FormulaError, match=f"{name} has no 'padding'; it takes"):
        formulas[name].evaluate(**given, padding=1)
    for left_out in given.keys() - formulas[name].defaults.keys():
        with pytest.raises(FormulaError, match=rf"{name} needs .*; it was given|nothing tells how large K is"):
            formulas[name].evaluate(**{key: value for key, value in given.items() if key != left_out})


@pytest.mark.parametrize("name", NAMES)
def test_the_terms_of_a_foundation_make_its_value(name):
    """A limit and an integral are no sums, and stand for themselves."""
    entry, (given, _) = formulas[name], HAND[name]
    value = np.asarray(entry.evaluate(**given))
    cell = entry.terms((0,) * value.ndim, **given)
    assert_same(np.asarray(cell.value), value[(0,) * value.ndim])
    if not re.search(r"lim\[|integral\[", entry.lines[-1]):
        assert_same(np.asarray(sum(term.value for term in cell.terms)), np.asarray(cell.value))
    assert cell.text()


def test_the_examples_on_the_page_run():
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    tests = [doctest.DocTestParser().get_doctest(e, {}, "formulas.md", None, 0) for e in examples]
    assert [len(test.examples) for test in tests] == [3, 3]
    assert all(doctest.DocTestRunner(verbose=False).run(test).failed == 0 for test in tests)


def test_bytes_are_added_and_multiplied_as_numbers_not_modulo_256():
    a, b = np.array([200, 100], np.uint8), np.array([200, 3], np.uint8)
    assert formulas["vector_sum"].evaluate(a=a, b=b).tolist() == [400, 103]
    assert formulas["dot_product"].evaluate(a=a, b=b) == 40300
    assert formulas["dot_product"].terms((), a=a, b=b).value == 40300
    events = np.array([True, False]), np.array([True, True])
    assert formulas["vector_sum"].evaluate(a=events[0], b=events[1]).tolist() == [2, 1]


# ------------------------------------------------- what the articles' notation leaves open


def test_a_matrix_product_is_rows_by_columns_and_not_number_by_number():
    a, b = np.array([[1.0, 2], [3, 4]]), np.array([[0.0, 1], [1, 0]])
    c = formulas["matrix_product"].evaluate(a=a, b=b)
    assert c.tolist() == [[2, 1], [4, 3]]
    assert not np.array_equal(c, a * b)
    assert formulas["matrix_product"].terms((1, 0), a=a, b=b).text() == "3·0 + 4·1"
    with pytest.raises(FormulaError, match=r"matrix_product: K is 2, but b has shape \(3, 2\)"):
        formulas["matrix_product"].evaluate(a=a, b=np.ones((3, 2)))


def test_a_chain_rule_that_forgets_a_path_is_wrong():
    """z = u0·u1 with u0 = x² and u1 = 3x: the articles write x for the input and for what lies between."""
    x = 2.0
    whole = formulas["derivative"].evaluate(f=lambda x: x**2 * 3 * x, x=x)
    paths = formulas["chain_rule"].terms((), dzdu=np.array([3 * x, x**2]), dudx=np.array([2 * x, 3.0]))
    assert_same(paths.value, whole, tol=1e-11)
    assert paths.text() == "6·4 + 4·3"
    assert all(abs(term.value - whole) > 1 for term in paths.terms)


def test_the_variance_is_the_mean_square_of_what_is_left_of_the_mean():
    """The articles' E[(ΔX)²]: with ΔX = X − E[X] it is the variance; the square of E[ΔX] would be 0."""
    about_mean, moments = (formulas[name].evaluate(x=DIE, p=SIXTHS) for name in ("variance", "variance_by_moments"))
    assert_same(about_mean, moments)
    assert_same(about_mean, np.var(DIE))
    assert abs(about_mean - np.var(DIE, ddof=1)) > 0.5
    left = DIE - formulas["expectation"].evaluate(x=DIE, p=SIXTHS)
    assert abs(formulas["expectation"].evaluate(x=left, p=SIXTHS)) < 1e-15


def test_the_variance_by_moments_loses_its_digits_where_the_mean_is_large():
    far = DIE + 1e9
    assert_same(formulas["variance"].evaluate(x=far, p=SIXTHS), 35 / 12, tol=1e-6)
    assert abs(formulas["variance_by_moments"].evaluate(x=far, p=SIXTHS) - 35 / 12) > 1


def test_the_articles_convolution_is_conv2d_with_flip_and_a_full_border():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(5, 4)), rng.normal(size=(2, 3))
    y = formulas["true_convolution"].evaluate(x=x, w=w)
    run = lambda **options: ops.conv2d_forward(x[None, None], w[None, None], np.zeros(1), **options)[0][0, 0]  # noqa: E731
    assert_same(y, run(padding=(1, 2), flip=True))
    assert_same(y[1:-1, 2:-2], run(padding=0, flip=True), what="y(i+P−1, j+Q−1):")
    assert np.abs(y - run(padding=(1, 2))).max() > 0.1  # what networks call convolution


def test_the_articles_convolution_read_literally_wraps_round():
    """x(i − p, j − q) with a negative index is, in NumPy, a pixel of the other side."""
    x, w = np.arange(1.0, 10).reshape(3, 3), np.ones((2, 2))
    read = lambda i, j: sum(x[i - p, j - q] * w[p, q] for p, q in product(range(2), repeat=2))  # noqa: E731
    literal = np.array([[read(i, j) for j in range(3)] for i in range(3)])
    y = formulas["true_convolution"].evaluate(x=x, w=w)
    assert_same(y[1:3, 1:3], literal[1:, 1:])
    assert (y[0, 0], literal[0, 0]) == (1, 1 + 3 + 7 + 9)


def test_a_pool_saves_parameters_only_in_the_dense_layer_behind_it():
    conv = formulas["conv2d_parameters"].evaluate(F=64, C=32, KH=3, KW=3)
    with_pool, without = (formulas["linear_parameters"].evaluate(F=128, C=64 * side**2) for side in (8, 16))
    assert (conv, with_pool, without) == (18_496, 524_416, 2_097_280)


def test_seeing_more_pixels_by_pooling_agrees_with_summary():
    model = tc.Sequential([tc.Conv2D(2, 3), tc.MaxPool2D(2), tc.Conv2D(2, 3), tc.MaxPool2D(2)], input_shape=(1, 20, 20))
    sees = formulas["receptive_field"].evaluate(kernel=[3, 2, 3, 2], stride=[1, 2, 1, 2])
    assert f"{sees:.0f}×{sees:.0f}" in model.summary().splitlines()[-3]


# ------------------------------------------------- laws


def test_what_is_independent_multiplies_and_what_is_not_does_not():
    throws = np.array(list(product(range(1, 7), repeat=2)))
    p, even, high, large = np.full(36, 1 / 36), throws[:, 0] % 2 == 0, throws[:, 1] > 4, throws.sum(axis=1) > 9
    chance = lambda event: formulas["probability"].evaluate(p=p, A=event)  # noqa: E731
    together = lambda a, b: formulas["independence"].evaluate(P_A=chance(a), P_B=chance(b))  # noqa: E731
    assert_same(together(even, high), chance(even & high))
    assert abs(together(high, large) - chance(high & large)) > 0.05


def test_nothing_is_said_of_what_is_likely_once_the_impossible_has_happened():
    with pytest.raises(FormulaError, match="conditional_probability: P_A_if_B would be something divided by 0"):
        formulas["conditional_probability"].evaluate(P_AB=0.0, P_B=0.0)


def test_bayes_by_counting_a_thousand_patients():
    """Of 1000, 10 are ill and 9 of them test positive; of the 990 others 99 do: 9 of 108 positives are ill."""
    after = formulas["bayes"].evaluate(P_B_if_A=[0.9, 0.1], P_A=[0.01, 0.99])
    assert_same(after, np.array([float(Fraction(9, 108)), float(Fraction(99, 108))]))


def test_a_kink_has_no_derivative_and_a_function_is_asked_for():
    derivative = formulas["derivative"]
    with pytest.raises(FormulaError, match="1 from above and -1 from below do not meet"):
        derivative.evaluate(f=abs, x=0.0)
    assert_same(derivative.evaluate(f=abs, x=-2.0), -1.0, tol=1e-11)
    with pytest.raises(FormulaError, match=r"derivative: f is a function, got 3\.0"):
        derivative.evaluate(f=3.0, x=0.0)
    with pytest.raises(FormulaError, match=r"derivative: x is \(\), got shape \(2,\)"):
        derivative.evaluate(f=math.sin, x=np.ones(2))


def test_the_whole_of_gradient_descent_leaves_the_callers_parameters_alone():
    theta = np.array([3.0, -4.0])
    new = formulas["gradient_descent"].evaluate(L=lambda t: (t * t).sum(), theta=theta, lr=0.25)
    assert_same(new, np.array([1.5, -2.0]), tol=1e-11)
    assert theta.tolist() == [3, -4]


def test_an_update_needs_what_it_updates():
    with pytest.raises(FormulaError, match="sgd needs w; it was given dw, lr"):
        formulas["sgd"].evaluate(dw=np.ones(3), lr=0.1)


def test_the_commas_between_indices_divide_no_symbols_that_are_explained():
    assert formulas["batch_gradient"].where_text.startswith("g[n,k] is the slope")
    assert formulas["covariance"].where_text.startswith("x[n], y[n] are the values")


def test_the_riemann_sum_tends_to_the_integral():
    area = formulas["integral"].evaluate(f=math.exp, a=0, b=1)
    assert_same(area, math.e - 1)
    off = [abs(formulas["riemann_sum"].evaluate(f=math.exp, a=0, b=1, N=N) - area) for N in (4, 8, 16)]
    assert 3.9 < off[0] / off[1] < 4.1
    assert 3.9 < off[1] / off[2] < 4.1
