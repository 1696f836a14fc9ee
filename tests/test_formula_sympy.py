"""The rules of differentiation are SymPy's, which knows nothing of ours."""

from __future__ import annotations

import ast
import random

import numpy as np
import pytest

from tinycnn.formula import Formula, formulas
from tinycnn.formula.parse import reduction, subscripts

sp = pytest.importorskip("sympy")


def _sympy(node: ast.expr, names: dict):
    """The expression for SymPy; an array is an IndexedBase, Σ a Sum that is written out."""
    read = lambda child: _sympy(child, names)  # noqa: E731
    compare = {ast.Gt: sp.Gt, ast.GtE: sp.Ge, ast.Lt: sp.Lt, ast.LtE: sp.Le}
    functions = {"exp": sp.exp, "log": sp.log, "sqrt": sp.sqrt, "tanh": sp.tanh, "sin": sp.sin, "cos": sp.cos}
    if (reduced := reduction(node)) is not None:
        assert reduced[0] == "sum"
        ranges = [(names[i], 0, names[f"size_{i}"] - 1) for i in reduced[1]]
        return sp.Sum(read(reduced[2]), *ranges).doit()
    match node:
        case ast.Constant(value=value):
            return sp.nsimplify(value)
        case ast.Name(id=name):
            return names[name]
        case ast.Subscript(value=ast.Name(id=name)):
            base = names[name]
            return base[tuple(map(read, subscripts(node)))] if isinstance(base, sp.IndexedBase) else base
        case ast.UnaryOp(operand=operand):
            return -read(operand)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = read(left), read(right)
            signs = {ast.Add: a + b, ast.Sub: a - b, ast.Mult: a * b, ast.Pow: a**b}
            return a / b if isinstance(op, ast.Div) else signs[type(op)]
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return sp.Piecewise((1, compare[type(op)](read(left), read(right))), (0, True))
        case ast.IfExp(test=ast.Compare(left=left, ops=[op], comparators=[right]), body=body, orelse=orelse):
            return sp.Piecewise((read(body), compare[type(op)](read(left), read(right))), (read(orelse), True))
        case ast.Call(func=ast.Name(id="max"), args=[a, b]):
            return sp.Piecewise((read(a), sp.Gt(read(a), read(b))), (read(b), True))
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            return functions[name](read(argument))
    raise AssertionError(f"not expected: {ast.dump(node)}")


SCALAR = [
    "exp(-x)", "log(x)", "sqrt(x)", "tanh(x)", "x**3", "x**0.5", "1/x", "x**x", "2**x", "log(1 + exp(x))",
    "x*exp(-x**2/2)", "(x - 1)/(x + 1)", "sqrt(1 + x**2)", "exp(x)/(1 + exp(x))", "(1 - tanh(x)**2)*x",
    "-(x - 3)**2/(2*x)", "sin(x)*cos(x**2)", "cos(3*x)", "x/sqrt(x)", "1/sqrt(2*x)", "log(sqrt(x))*x",
    "1/(1 + exp(-x))", "(exp(x) - exp(-x))/(exp(x) + exp(-x))",
]  # fmt: skip
ELEMENTWISE = ["relu", "leaky_relu", "elu", "sigmoid", "tanh", "dropout", "unit_scale"]


def _assert_is_sympy_s(entry: Formula, wrt: str, places: list[float]) -> None:
    names = {s: sp.Symbol(s, real=True) for s in ("x", "mask", "negative_slope", "alpha", "drop_prob")}
    y = _sympy(entry.statements[0].expr, names)
    own = _sympy(entry.derivative(wrt).statements[-1].expr, names | {"y": y, "dy": sp.Integer(1)})
    values = {names["mask"]: 1, names["negative_slope"]: 0.3, names["alpha"]: 0.7, names["drop_prob"]: 0.2}
    for place in places:
        at = {names["x"]: place} | values
        theirs = sp.N(sp.diff(y, names[wrt]).subs(at), 30)
        assert abs(sp.N(own.subs(at), 30) - theirs) <= 1e-12 * max(1, abs(theirs)), f"at {place}: {own}"


@pytest.mark.parametrize("expression", SCALAR)
def test_the_rules_for_functions_are_those_of_sympy(expression):
    entry = Formula("test", (f"y = {expression}",), shapes="x (...) -> y (...)")
    rng = random.Random(expression)
    _assert_is_sympy_s(entry, "x", [rng.uniform(0.2, 3) for _ in range(4)])


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_derivative_of_every_elementwise_formula_is_sympy_s(name):
    _assert_is_sympy_s(formulas[name], "x", [-1.7, -0.4, 0.3, 2.1])


@pytest.mark.parametrize(("wrt", "place"), [("x", "n c"), ("w", "f c"), ("b", "f")])
def test_the_derivative_of_a_sum_of_products_is_sympy_s_entry_by_entry(wrt, place):
    sizes = {"n": 2, "c": 3, "f": 4}
    names = {s: sp.IndexedBase(s) for s in ("x", "w", "b", "dy")} | {i: sp.Symbol(i, integer=True) for i in sizes}
    names |= {f"size_{i}": size for i, size in sizes.items()}
    y = _sympy(formulas["linear"].statements[0].expr, names)
    loss = sp.Sum(names["dy"][names["n"], names["f"]] * y, (names["n"], 0, 1), (names["f"], 0, 3)).doit()
    own = _sympy(formulas["linear"].derivative(wrt).statements[-1].expr, names)
    letters = [names[i] for i in place.split()]
    for entry in np.ndindex(*(sizes[i] for i in place.split())):
        assert sp.expand(sp.diff(loss, names[wrt][entry]) - own.subs(dict(zip(letters, entry, strict=True)))) == 0
