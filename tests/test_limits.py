"""Limits and integrals in the language of formulas: read, printed, found in numbers, refused where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycnn.formula import Formula, FormulaError
from tinycnn.formula.limits import integral, limit


def _formula(line, shapes="f (function)"):
    return Formula("test", (line,), shapes=shapes)


# ------------------------------------------------- in numbers


@pytest.mark.parametrize(
    ("g", "expected"),
    [
        (lambda h: math.sin(h) / h, 1.0),
        (lambda h: (1 + h) ** (1 / h), math.e),
        (lambda h: (1 - math.cos(h)) / h**2, 0.5),
        (lambda h: math.expm1(3 * h) / h, 3.0),
        (lambda h: h, 0.0),
        (lambda h: h**2 - 7, -7.0),
        (lambda h: 4.0, 4.0),
        (lambda h: 0.0, 0.0),
        (lambda h: math.tanh(1000 * h) / h, 1000.0),
        (lambda h: 1e-9 * math.sin(h) / h, 1e-9),
        (lambda h: 1e12 + h, 1e12),
    ],
)
def test_a_limit_that_every_book_gives(g, expected):
    assert abs(limit(g) - expected) <= 1e-9 * max(abs(expected), 1e-3)


@pytest.mark.parametrize(
    "g",
    [
        lambda h: abs(h) / h, lambda h: 1e-12 * abs(h) / h, lambda h: 1 / h, lambda h: 1 / h**2, lambda h: 1 / abs(h),
        lambda h: math.sin(1 / h), lambda h: math.floor(h), lambda h: math.nan, lambda h: math.inf,
        lambda h: math.log(abs(h)), lambda h: 5 + (h > 0), lambda h: 1e20 / h,
    ],
)  # fmt: skip
def test_where_there_is_no_limit_none_is_given(g):
    with pytest.raises(FormulaError, match="no limit found"):
        limit(g)


@given(degree=st.integers(0, 6), seed=st.integers(0, 1000))
@settings(max_examples=40)
def test_the_slope_of_a_polynomial(degree, seed):
    rng = np.random.default_rng(seed)
    p, x = np.polynomial.Polynomial(rng.normal(size=degree + 1)), rng.normal()
    assert abs(limit(lambda h: (p(x + h) - p(x)) / h) - p.deriv()(x)) < 1e-9 * np.abs(p.coef).sum() * (1 + abs(x)) ** 6


@pytest.mark.parametrize("period", [0.1, 0.05, 0.025, 0.02, 0.01, 1 / 7, 0.1 / 1.618033988749895])
def test_a_period_that_fits_a_step_deceives_no_limit(period):
    x = 2 * math.pi / period
    assert abs(limit(lambda h: math.sin(x * h) / h) - x) < 1e-6 * x


@pytest.mark.parametrize(
    ("f", "a", "b", "expected"),
    [
        (math.sin, 0, math.pi, 2.0), (math.sin, math.pi, 0, -2.0), (math.exp, 3, 3, 0.0), (lambda x: 1.0, -2, 5, 7.0),
        (lambda x: math.exp(-x * x), -6, 6, math.sqrt(math.pi)), (lambda x: x**19, 0, 1, 1 / 20),
        (lambda x: math.sin(50 * x) ** 2, 0, math.pi, math.pi / 2),
        (lambda x: 1 / (1 + 1e4 * x * x), -1, 1, math.atan(100) / 50),
    ],
)  # fmt: skip
def test_an_area_that_every_book_gives(f, a, b, expected):
    assert abs(integral(f, a, b) - expected) <= 1e-11


@pytest.mark.parametrize(
    ("f", "a", "b", "message"),
    [
        (lambda x: 1 / x, 0, 1, "no integral found from 0 to 1: 1024 pieces give"),
        (lambda x: math.nan, 0, 1, "it does not settle"),
        (math.exp, -math.inf, 0, "finite bounds, got -inf and 0"),
        (math.exp, 0, math.nan, "finite bounds"),
    ],
)
def test_where_there_is_no_integral_none_is_given(f, a, b, message):
    with pytest.raises(FormulaError, match=message):
        integral(f, a, b)


# ------------------------------------------------- in the language


@pytest.mark.parametrize(
    ("line", "text", "latex"),
    [
        ("y = lim[h]((f(x + h) - f(x)) / h)", "y = lim[h→0] (f(x+h) − f(x)) / h",
         r"y = \lim_{h \to 0} \frac{f\left(x+h\right) - f\left(x\right)}{h}"),
        ("y = lim[h](f(h)) ** 2", "y = (lim[h→0] f(h))²", r"y = \left(\lim_{h \to 0} f\left(h\right)\right)^{2}"),
        ("y = 2*lim[h](f(h) + 1)", "y = 2·(lim[h→0] (f(h) + 1))",
         r"y = 2\,\left(\lim_{h \to 0} \left(f\left(h\right) + 1\right)\right)"),
        ("y = 1 + integral[t,0,x](f(t, t))", "y = 1 + ∫[0,x] f(t, t) dt",
         r"y = 1 + \int_{0}^{x} f\left(t, t\right) \, \mathrm{d}t"),
        ("y = a*integral[t,a+1,2*b](t + f(t))", "y = a·(∫[a+1,2·b] (t + f(t)) dt)",
         r"y = a\,\left(\int_{a+1}^{2\,b} \left(t + f\left(t\right)\right) \, \mathrm{d}t\right)"),
    ],
)  # fmt: skip
def test_limits_and_integrals_print_as_mathematics(line, text, latex):
    assert (_formula(line).text, _formula(line).latex) == (text, latex)


def test_limits_stand_inside_sums_and_sums_inside_limits():
    shapes = "f (function), x (K) -> y ()"
    given = {"f": math.sin, "x": np.array([0.5, 1.5])}
    expected = math.cos(0.5) + math.cos(1.5)
    inside = _formula("y = sum[k](lim[h]((f(x[k] + h) - f(x[k])) / h))", shapes).evaluate(**given)
    outside = _formula("y = lim[h](sum[k]((f(x[k] + h) - f(x[k])) / h))", shapes).evaluate(**given)
    assert abs(inside - expected) < 1e-10
    assert abs(outside - expected) < 1e-10
    square = _formula("y = integral[s,0,2](integral[t,0,s](f(s, t)))").evaluate(f=lambda s, t: s * t)
    assert abs(square - 2) < 1e-11


def test_a_variable_that_is_bound_hides_an_argument_of_the_same_name():
    entry = _formula("y = x + integral[x,0,x](f(x))", "f (function), x () -> y ()")
    assert abs(entry.evaluate(f=lambda x: 2 * x, x=3.0) - 12) < 1e-11


def test_a_function_of_the_caller_has_terms():
    cell = _formula("y = 2*f(a) + 1").terms((), f=lambda a: a * a, a=3.0)
    assert (cell.value, cell.text(), cell.text(numbers=False)) == (19.0, "2·f(3) + 1", "2·f(a) + 1")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("y = g(x)", r"'g\(x\)' in .*: a formula knows the functions exp"),
        ("y = f()", r"'f\(\)' in"),
        ("y = f(x=1)", r"'f\(x=1\)' in"),
        ("y = lim[h, t](f(h))", r"it is `lim\[h\]\(\.\.\.\)`, h going to 0"),
        ("y = lim[2](f(1))", r"it is `lim\[h\]"),
        ("y = lim[h](f(h), 1)", r"it is `lim\[h\]"),
        ("y = lim[h+1](f(h))", r"it is `lim\[h\]"),
        ("y = lim(f(x))", r"'lim\(f\(x\)\)' in .*: a formula knows the functions"),
        ("y = lim[n](f(n))", r"'n' in .* is an index, and counts; a lim needs a variable: h, t or x"),
        ("y = integral[x](f(x))", r"`integral\[x,a,b\]\(\.\.\.\)`"),
        ("y = integral[x,0](f(x))", r"`integral\[x,a,b\]"),
        ("y = integral[k,0,1](f(k))", r"'k' in .* is an index"),
    ],
)
def test_what_is_no_limit_no_integral_and_no_known_function_is_refused_in_words(line, message):
    with pytest.raises(FormulaError, match=message):
        _formula(line)
