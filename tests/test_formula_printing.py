"""A formula in print says what the tree says: read back as Python, the text and the LaTeX compute the same."""

from __future__ import annotations

import ast
import math
import operator
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_golden import printed_formulas
from matplotlib.mathtext import MathTextParser

from tinycnn.formula import Formula, formulas

GOLDEN = Path(__file__).parent / "golden" / "formulas.txt"
NUMBERS = {"a": Fraction(3, 2), "b": Fraction(-23, 4), "e": Fraction(17, 8), "g": Fraction(71, 2)}
SIGNS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
COMPARED = ("<", "<=", "==", "!=", ">", ">=")
KINDS = ("leaf", "+", "-", "*", "/", "//", "%", "**", "-x", "if", "floor", "max", "sqrt", *COMPARED[:3])
PRINTED = (
    ("⌊", "floor("), ("⌋", ")"), ("√", "sqrt"), ("²", "**2"), ("^", "**"), ("·", "*"), ("−", "-"), (" mod ", "%"),
    (" = ", " == "), ("≠", "!="), ("≤", "<="), ("≥", ">="), ("[", "("), ("]", ")"),
)  # fmt: skip
LATEX = (
    (r"\left\lfloor", "⌊"), (r"\right\rfloor", "⌋"), (r"\left", ""), (r"\right", ""), (r"\,", "·"), (r"\bmod", "%"),
    (r"\ne", "≠"), (r"\le", "≤"), (r"\ge", "≥"), (r"\max", "max"), (r"\begin{cases}", "<cases>"),
    (r"\end{cases}", "</cases>"), (r"\text{else}", "else"),
)  # fmt: skip
MATHTEXT = (
    (r"\begin{aligned} ", ""), (r" \end{aligned}", ""), ("&", ""), (r"\mathrel{+}=", "+="), (r"\dots", r"\ldots"),
    (r"\operatorname*", r"\operatorname"), (r"\bmod", r"\mathrm{mod}"), (r"\ge ", r"\geq "), (r"\le ", r"\leq "),
)  # fmt: skip
every_formula = pytest.mark.parametrize("name", formulas)


def _show(expression: str) -> tuple[str, str]:
    """The expression's text and LaTeX."""
    entry = Formula("test", (f"y = {expression}",))
    return entry.text.removeprefix("y = "), entry.latex.removeprefix("y = ")


# ------------------------------------------------- what is printed, read again


@st.composite
def _expressions(draw, depth=3):
    """Python with every bracket written out, over all signs and most functions of the language."""
    kind = draw(st.sampled_from(KINDS)) if depth else "leaf"
    part = lambda: draw(_expressions(depth=depth - 1))  # noqa: E731
    if kind == "leaf":
        return draw(st.sampled_from("abeg123"))
    if kind in ("-x", "floor", "sqrt"):
        return f"(-{part()})" if kind == "-x" else f"{kind}({part()})"
    if kind == "max":
        return f"max({part()}, {part()})"
    if kind == "if":
        return f"({part()} if ({part()} {draw(st.sampled_from(COMPARED))} {part()}) else {part()})"
    return f"({part()} {kind} {part()})"


def _compute(python: str) -> Fraction | None:
    """The exact value, or None where it divides by zero; powers and roots are some number that only they give."""
    some = lambda *what: Fraction(hash(what) % 2001 - 1000, 8)  # noqa: E731
    functions = {"floor": lambda x: Fraction(math.floor(x)), "sqrt": lambda x: some(x, Fraction(1, 7)), "max": max}

    def value(node: ast.expr) -> Fraction:
        match node:
            case ast.Constant(value=number):
                return Fraction(number)
            case ast.Name(id=name):
                return NUMBERS[name]
            case ast.UnaryOp(operand=operand):
                return -value(operand)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return some(value(left), value(right))
            case ast.BinOp(left=left, op=op, right=right):
                return Fraction(SIGNS[type(op)](value(left), value(right)))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return Fraction(SIGNS[type(op)](value(left), value(right)))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return value(body) if value(test) else value(orelse)
            case ast.Call(func=ast.Name(id=name), args=args):
                return functions[name](*map(value, args))
        raise AssertionError(f"not expected in {python}: {ast.dump(node)}")

    try:
        return value(ast.parse(python, mode="eval").body)
    except ZeroDivisionError:
        return None


def _signs(printed: str) -> str:
    """Signs that text and LaTeX share, as Python writes them; an Iverson bracket is a comparison in brackets."""
    for sign, python in PRINTED:
        printed = printed.replace(sign, python)
    return printed


def _python_of_latex(latex: str) -> str:
    for sign, plain in LATEX:
        latex = latex.replace(sign, plain)
    rules = (
        (r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))"),
        (r"\^\{([^{}]*)\}", r"^(\1)"),
        (r"\\sqrt\{([^{}]*)\}", r"√(\1)"),
        (r"<cases> ((?:(?!<cases>).)*?) & ((?:(?!<cases>).)*?) \\\\ ((?:(?!<cases>).)*?) & else </cases>",
         r"((\1) if (\2) else (\3))"),
    )  # fmt: skip
    before = ""
    while before != latex:
        before = latex
        for pattern, python in rules:
            latex = re.sub(pattern, python, latex)
    return _signs(latex)


def _assert_computes(printed: str, python: str, expression: str):
    assert _compute(python) == _compute(expression), f"printed {printed}, read as {python}"


@given(expression=_expressions())
@settings(max_examples=300)
def test_the_text_keeps_the_order_of_operations(expression):
    text, _ = _show(expression)
    _assert_computes(text, _signs(text), expression)


@given(expression=_expressions())
@settings(max_examples=300)
def test_the_latex_keeps_the_order_of_operations(expression):
    _, latex = _show(expression)
    _assert_computes(latex, _python_of_latex(latex), expression)


@pytest.mark.parametrize(
    ("expression", "text", "latex"),
    [
        ("(a + b) * 2", "(a+b)·2", r"\left(a+b\right)\,2"),
        ("a - (b - e)", "a−(b−e)", r"a-\left(b-e\right)"),
        ("a / (b * e)", "a/(b·e)", r"\frac{a}{b\,e}"),
        ("(a ** b) ** 2", "(a^b)²", r"\left(a^{b}\right)^{2}"),
        ("a ** b ** e", "a^b^e", r"a^{b^{e}}"),
        ("(-a) ** 2", "(−a)²", r"\left(-a\right)^{2}"),
        ("-a ** 2", "−a²", r"-a^{2}"),
        ("(a + b) // 2", "⌊(a+b)/2⌋", r"\left\lfloor \frac{a+b}{2} \right\rfloor"),
        ("a * (x[c] == 2)", "a·[x[c] = 2]", r"a\,[x_{c} = 2]"),
        ("sum[c](x[c]) + a", "Σ[c] x[c] + a", r"\sum_{c} x_{c} + a"),
        ("sum[c](x[c] + a)", "Σ[c](x[c] + a)", r"\sum_{c} \left(x_{c} + a\right)"),
        ("sum[c]((x[c] + a) * (x[c] - a))", "Σ[c] (x[c] + a)·(x[c] − a)",
         r"\sum_{c} \left(x_{c} + a\right)\,\left(x_{c} - a\right)"),
        ("max[c]((x[c] + a) * (x[c] - a))", "max[c]((x[c] + a)·(x[c] − a))",
         r"\max_{c} \left(x_{c} + a\right)\,\left(x_{c} - a\right)"),
        ("a * sum[c](x[c])", "a·(Σ[c] x[c])", r"a\,\left(\sum_{c} x_{c}\right)"),
        ("sum[c](x[c]) / a", "(Σ[c] x[c]) / a", r"\frac{\sum_{c} x_{c}}{a}"),
        ("mean[c](x[c]) ** 2", "(mean[c](x[c]))²", r"\left(\mathrm{mean}_{c} x_{c}\right)^{2}"),
        ("sum[n](sum[c](x[n,c]))", "Σ[n](Σ[c] x[n,c])", r"\sum_{n} \left(\sum_{c} x_{n,c}\right)"),
        ("lr * inf * xp[n]", "lr·∞·xp[n]", r"\eta\,\infty\,{x^{\mathrm{p}}}_{n}"),
        ("2.50 * a", "2.5·a", r"2.5\,a"),
        ("cos(pi * a)", "cos(π·a)", r"\cos\left(\pi\,a\right)"),
    ],
)  # fmt: skip
def test_what_it_looks_like(expression, text, latex):
    assert _show(expression) == (text, latex)


def test_a_gradient_is_printed_as_the_derivative_of_the_loss():
    assert Formula("test", ("dw[f] = sum[n](dy[n,f])",)).latex == (
        r"\frac{\partial \mathcal{L}}{\partial w_{f}} = \sum_{n} \frac{\partial \mathcal{L}}{\partial y_{n,f}}"
    )
    assert r"\partial" not in Formula("test", ("y = dv + dh + dilation + d",)).latex


def test_several_lines_are_aligned_at_their_first_sign():
    latex = Formula("test", ("m[n] = x[n]", "y[n] += m[n] * (n == 2)")).latex
    assert latex == r"\begin{aligned} m_{n} &= x_{n} \\ y_{n} &\mathrel{+}= m_{n}\,[n = 2] \end{aligned}"


# ------------------------------------------------------- what the ops declare


@every_formula
def test_the_braces_of_latex_are_balanced(name):
    latex = formulas[name].latex
    for opening, closing in (("{", "}"), (r"\left", r"\right"), (r"\begin", r"\end")):
        assert latex.count(opening) == latex.count(closing)
    depth = 0
    for sign in latex:
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0


@every_formula
def test_the_latex_is_read_by_a_parser_that_is_not_ours(name):
    """Matplotlib's mathtext, which knows no `aligned`, no `cases` and no starred operators."""
    latex = formulas[name].latex
    for unknown, known in MATHTEXT:
        latex = latex.replace(unknown, known)
    if "cases" in latex:
        pytest.skip("a distinction of cases, which mathtext cannot read")
    parser = MathTextParser("path")
    for line in latex.split(r"\\"):
        parser.parse(f"${line.strip()}$")


@every_formula
def test_the_text_is_for_reading_and_keeps_no_programming_signs(name):
    entry = formulas[name]
    assert not re.search(r"\*|==|<=|>=|!=|//|sum|prod|inf\b", entry.text)
    assert len(entry.text.splitlines()) == len(entry.lines)


def test_every_formula_prints_as_recorded():
    """Compare with tests/golden/formulas.txt; after a deliberate change, run `python tests/make_golden.py formulas`."""
    recorded = GOLDEN.read_text(encoding="utf-8").split("\n\n")
    printed = printed_formulas().split("\n\n")
    assert printed == recorded, "if this is what you meant: python tests/make_golden.py formulas"
