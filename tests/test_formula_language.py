"""The language of formulas: what it reads, what it refuses in words, and the registry of all that are declared."""

from __future__ import annotations

import numpy as np
import pytest

from tinycnn import ops
from tinycnn.formula import Formula, FormulaError, formula, formulas
from tinycnn.formula.declare import Formulas
from tinycnn.formula.parse import parse_shapes, parse_statement, parse_where


def _value(line, shapes="", where="", given=None, **values):
    """What one formula of no registry gives."""
    return Formula("test", (line,), where=where, shapes=shapes, given=given).evaluate(**values)


X = np.array([[1.0, -2.0, 3.0], [4.0, 0.5, -6.0]])


# ---------------------------------------------------------------- what it reads


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("y[n] = sum[c](x[n,c])", X.sum(axis=1)),
        ("y[n] = mean[c](x[n,c])", X.mean(axis=1)),
        ("y[n] = max[c](x[n,c])", X.max(axis=1)),
        ("y[n] = min[c](x[n,c])", X.min(axis=1)),
        ("y[n] = prod[c](x[n,c])", X.prod(axis=1)),
        ("y[c] = sum[n](x[n,c]**2 - 1)", (X**2 - 1).sum(axis=0)),
        ("y = sum[n,c](x[n,c])", X.sum()),
        ("y = sum[n](max[c](x[n,c]))", X.max(axis=1).sum()),
        ("y[n,c] = exp(x[n,c]) / sum[l](exp(x[n,l]))", np.exp(X) / np.exp(X).sum(axis=1, keepdims=True)),
        ("y[n,c] = sqrt(x[n,c]**2) + tanh(log(2))", np.sqrt(X**2) + np.tanh(np.log(2))),
        ("y[n,c] = floor(x[n,c] / 2)", np.floor(X / 2)),
        ("y[n,c] = max(x[n,c], 0) - min(x[n,c], 1)", np.maximum(X, 0) - np.minimum(X, 1)),
        ("y[n,c] = (x[n,c] > 0) * (x[n,c] != 3)", (X > 0) * (X != 3.0)),
        ("y[n,c] = x[n,c] if 0 <= x[n,c] < 4 else -1", np.where((X >= 0) & (X < 4), X, -1)),
        ("y[n,c] = sum[l](x[n,l] * (c == l))", X),
        ("y[n,c] = x[n, (c+1) % 3]", np.roll(X, -1, axis=1)),
        ("y[n,c] = -x[n,c]", -X),
        ("y[n,c] = n // 1 + c", np.add.outer([0, 1], [0, 1, 2])),
        ("y[n,c] = 2 ** -n * inf ** 0", np.outer([1, 0.5], [1, 1, 1])),
        ("y[n,c] = cos(pi * x[n,c]) + sin(x[n,c])", np.cos(np.pi * X) + np.sin(X)),
    ],
)
def test_a_line_computes_what_it_reads_as(line, expected):
    y = _value(line, shapes="x (N,C) -> y (N,C)" if line.startswith("y[n,c]") else "x (N,C)", x=X, K=3)
    np.testing.assert_allclose(y, expected, rtol=1e-15, atol=1e-15)


def test_a_symbol_of_any_shape_stands_for_each_of_its_elements():
    for shape in [(), (3,), (2, 3), (2, 0), (2, 1, 3)]:
        x = np.random.default_rng(0).normal(size=shape)
        y = _value("y = 2*x + max(x, 0)", shapes="x (...) -> y (...)", x=x)
        np.testing.assert_array_equal(y, 2 * x + np.maximum(x, 0))


def test_dots_stand_for_the_axes_that_are_left():
    z = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    np.testing.assert_allclose(_value("y[n,...] = sum[k](z[n,k,...])", "z (N,K,...)", z=z), z.sum(axis=1))
    np.testing.assert_allclose(_value("y[k] = mean[n,...](z[n,k,...])", "z (N,K,...)", z=z), z.mean(axis=(0, 2, 3)))
    rows = z[..., 0, 0]
    np.testing.assert_allclose(_value("y[n,...] = sum[k](z[n,k,...])", "z (N,K,...)", z=rows), rows.sum(axis=1))


def test_a_scatter_adds_where_places_coincide():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    y = _value("y[n // 2] += x[n]", "x (N) -> y (M)", x=x, M=2)
    assert y.tolist() == [3.0, 12.0]


def test_where_defines_names_through_indices():
    read = lambda where, **more: _value("y[n] = x[m]", "x (N) -> y (N)", where, x=np.arange(4.0), **more).tolist()  # noqa: E731
    assert read("m = N-1-n is the mirrored place") == [3, 2, 1, 0]
    assert read("o = N-1-n; m = o // 2") == [1, 1, 0, 0]
    assert read("m = N-1-n if turn else n", turn=True) == [3, 2, 1, 0]
    assert read("m = N-1-n if turn else n", turn=False) == [0, 1, 2, 3]


def test_argmax_gives_the_first_place_of_the_largest():
    x = np.array([[[1.0, 7.0, 7.0], [5.0, 2.0, 0.0]], [[3.0, 1.0, 1.0], [2.0, 2.0, 3.0]]])
    largest, smallest = "a, b = argmax[r,q](x[n,r,q])", "a, b = argmax[r,q](-x[n,r,q])"
    assert _value("y[n] = 10*a + b", "x (N,H,W) -> y (N)", largest, x=x).tolist() == [1.0, 0.0]
    assert _value("y[n] = 10*a + b", "x (N,H,W) -> y (N)", smallest, x=x).tolist() == [12.0, 1.0]
    assert _value("y[a,b] += x[n,a,b]", "x (N,H,W) -> y (H,W)", largest, x=x).tolist() == [[3, 7, 0], [0, 0, 0]]


def test_a_nan_wins_every_maximum_and_minimum():
    x = np.array([1.0, np.nan, 3.0])
    for kind in ("max", "min", "sum", "mean", "prod"):
        assert np.isnan(_value(f"y = {kind}[n](x[n])", "x (N)", x=x))
    assert np.isnan(_value("y = max(x, 0)", "x (...) -> y (...)", x=x)).tolist() == [False, True, False]
    place = _value("y[n] = a + b", "x (N,H,W) -> y (N)", "a, b = argmax[r,q](x[n,r,q])", x=x[None, None])
    assert place.tolist() == [1.0]


def test_the_parts_of_a_declaration():
    statement = parse_statement("dx[n, c+1] += dy[n] * 2")
    assert (statement.target, len(statement.places), statement.scatter) == ("dx", 2, True)
    assert parse_shapes("x (N,C), dy (), b -> y (N*C), db") == (
        {"x": ("N", "C"), "dy": (), "b": None, "y": ("N*C",), "db": None}, ("y", "db")
    )  # fmt: skip
    first, second, third = parse_where("s is the stride; a, b = argmax[i,j](x[i,j]); m = n+1 is the next")
    assert (first.names, first.expr, first.meaning) == (("s",), None, "the stride")
    assert (second.names, second.meaning) == (("a", "b"), "")
    assert (third.names, third.meaning) == (("m",), "the next")


# ---------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", r"a formula is `target = expression` or `target \+= expression`, got ''"),
        ("y[n]", r"a formula is `target = expression`.*got 'y\[n\]'"),
        ("y[n] = x[n", r"cannot read the formula 'x\[n': .* at column"),
        ("y[n+] = 3", r"cannot read the formula 'y\[n\+\]': invalid syntax"),
        ("y[n] = x[n]; z = 1", r"cannot read the formula"),
        ("y[n] == 3", r"cannot read the formula"),
        ("3 = x", r"left side of a formula is a symbol with its indices, got '3'"),
        ("x + y = 1", r"left side of a formula is a symbol"),
        ("y = x.T", r"Attribute is not part of the language of formulas, in 'x\.T'"),
        ("y = x @ w", r"MatMult is not part of the language"),
        ("y = x[1:2]", r"Slice is not part of the language"),
        ("y = [x]", r"List is not part of the language"),
        ("y = x and w", r"BoolOp is not part of the language"),
        ("y = lambda: 1", r"Lambda is not part of the language"),
        ("y = (z := 3)", r"NamedExpr is not part of the language"),
        ("y = x ^ 2", r"BitXor is not part of the language"),
        ("y = abs(x)", r"'abs\(x\)' in .*: a formula knows the functions exp, log, .* in brackets, sum, mean, max"),
        ("y = sum(x)", r"'sum\(x\)' in"),
        ("y = sum[c](x[c], 2)", r"'sum\[c\]\(x\[c\], 2\)' in"),
        ("y = median[c](x[c])", r"'median\[c\]\(x\[c\]\)' in"),
        ("y = exp(x, w)", r"'exp\(x, w\)' in"),
        ("y = exp()", r"'exp\(\)' in"),
        ("y = max(x)", r"'max\(x\)' in"),
        ("y = sum[c+1](x[c])", r"'sum\[c \+ 1\]' in .*: a reduction runs over indices, each a name alone"),
        ("y = x[n][c]", r"only a symbol has indices, not 'x\[n\]'"),
        ("y = (x + w)[n]", r"only a symbol has indices, not 'x \+ w'"),
        ("y = __import__('os')", r"__import__\('os'\).*a formula knows the functions"),
        ("y = 'text'", r"'text' is not a number"),
        ("y = None", r"None is not a number"),
        ("y = True * x", r"True is not a number"),
        ("y = 2j * x", r"2j is not a number"),
    ],
)
def test_what_is_not_in_the_language_is_refused_in_words(line, message):
    with pytest.raises(FormulaError, match=message):
        Formula("test", (line,))


# ---------------------------------------------------------------- the registry


def test_every_public_op_has_a_formula_that_prints_and_names_its_source():
    for name in ops.__all__:
        entry = getattr(ops, name).formula
        assert formulas[entry.name] is entry
        assert entry.text
        assert entry.latex
        assert entry.source
        assert entry.shapes_text.count("→") == 1


def test_a_backward_inherits_what_its_forward_declared():
    forward, backward = formulas["conv2d"], formulas["conv2d_backward"]
    assert backward.source == forward.source
    assert backward.results == ("dx", "dw", "db")
    assert backward.shapes["dw"] == forward.shapes["w"] == ("F", "CG", "KH", "KW")
    assert backward.shapes["dy"] == forward.shapes["y"]


def test_help_shows_the_formula_with_its_symbols_shapes_and_source():
    shown = ops.conv2d_forward.__doc__
    for part in ("y[n,f,u,v] = b[f] + Σ[c,i,j]", "where xp is x padded with zeros", "Shapes: x (N, C, H, W), w",
                 "→ y (N, F, OH, OW)", "Source: Dumoulin"):  # fmt: skip
        assert part in shown
    assert shown.index("Σ") < shown.index("Source") < shown.index(">>>")


def test_an_unknown_name_suggests_near_ones():
    with pytest.raises(KeyError, match=r"no formula 'conv2'; did you mean conv2d"):
        formulas["conv2"]
    with pytest.raises(KeyError, match=r"no formula 'qqqqqq'; there are .*relu"):
        formulas["qqqqqq"]
    assert "conv2" not in formulas
    assert formulas.get("conv2") is None


def test_a_name_is_declared_once():
    with pytest.raises(FormulaError, match="the formula 'relu' is declared twice"):
        formula("y = x", shapes="x (...) -> y (...)")(_named("relu_forward"))
    table = Formulas()
    table.add(Formula("one", ("y = x",)))
    with pytest.raises(FormulaError, match="declared twice"):
        table.add(Formula("one", ("y = x",)))
    assert list(table) == ["one"]
    assert repr(table) == "one  y = x"


def _named(name):
    function = lambda x: x  # noqa: E731
    function.__name__ = name
    return function


def test_the_registry_reads_like_a_table():
    lines = repr(formulas).splitlines()
    assert len(lines) == len(formulas)
    assert any(line.split(maxsplit=1) == ["relu", "y = max(x, 0)"] for line in lines)
