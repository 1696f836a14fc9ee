"""The MathML of a formula is well-formed, keeps to MathML Core, and read back as Python computes the same."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from test_formula_printing import _compute, _expressions

from tinycnn.formula import Formula, formulas
from tinycnn.formula.mathml import symbol_of_latex
from tinycnn.formula.notation import INDEX_SIZES, LATEX_SYMBOLS
from tinycnn.formula.parse import FUNCTIONS, REDUCTIONS, binder

NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
CORE = {  # the elements of MathML Core, with the attributes that we give them
    "math": {"display"}, "mrow": set(), "mi": {"mathvariant"}, "mn": set(), "mo": {"form", "lspace", "rspace"},
    "mtext": set(), "mspace": {"width"}, "mfrac": set(), "msqrt": set(), "msub": set(), "msup": set(), "msubsup": set(),
    "munder": set(), "mover": {"accent"}, "mtable": {"displaystyle"}, "mtr": set(), "mtd": {"style"},
}  # fmt: skip
CHILDREN = {"mfrac": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2}
TOKENS = {"mi", "mn", "mo", "mtext", "mspace"}
INVISIBLE_TIMES, APPLY = "\u2062", "\u2061"
every_formula = pytest.mark.parametrize("name", formulas)


def _tree(entry: Formula) -> ET.Element:
    return ET.fromstring(entry.mathml)


def _tag(element: ET.Element) -> str:
    return element.tag.removeprefix(NAMESPACE)


def _inner(mathml: str) -> str:
    """What stands in the `<math>` element of `y = …`, behind the sign of equality."""
    return re.fullmatch(r"<math [^>]*>(.*)</math>", mathml).group(1).removeprefix("<mi>y</mi><mo>=</mo>")


def _shown(expression: str) -> str:
    return _inner(Formula("test", (f"y = {expression}",)).mathml)


# ------------------------------------------------------------ every formula


def _check_core(tree: ET.Element) -> None:
    for element in tree.iter():
        tag = _tag(element)
        assert tag in CORE, f"{tag} is not MathML Core"
        assert set(element.attrib) <= CORE[tag], f"{tag} has {element.attrib}"
        assert len(element) == CHILDREN.get(tag, len(element)), f"{tag} has {len(element)} children"
        assert (tag in TOKENS) <= (len(element) == 0), f"{tag} has elements inside"
        assert tag in TOKENS or not (element.text or "").strip(), f"{tag} holds text"
        assert not element.tail, f"there is text behind {tag}"


@every_formula
def test_the_mathml_of_every_formula_is_well_formed_and_keeps_to_mathml_core(name):
    _check_core(_tree(formulas[name]))
    assert _tree(formulas[name]).attrib == {"display": "block"}


@pytest.mark.parametrize("name", [n for n in formulas if f"{n}_backward" in formulas])
def test_the_mathml_of_every_derivative_keeps_to_mathml_core(name):
    for gradient in formulas[f"{name}_backward"].results:
        _check_core(_tree(formulas[name].derivative(gradient[1:])))


@every_formula
def test_every_name_of_the_formula_stands_in_its_mathml(name):
    entry = formulas[name]
    words = "".join(_tree(entry).itertext())
    for statement in entry.statements:
        for node in ast.walk(ast.Tuple([*statement.places, statement.expr, ast.Name(statement.target)])):
            if not isinstance(node, ast.Name) or binder(ast.Call(node, [], [])) is not None:
                continue
            gradient = node.id[0] == "d" and node.id not in words and node.id not in LATEX_SYMBOLS
            symbol = node.id[1:] if gradient else node.id
            if symbol in LATEX_SYMBOLS:
                shown = "".join(ET.fromstring(symbol_of_latex(LATEX_SYMBOLS[symbol])).itertext())
                assert all(sign in words for sign in shown), f"{symbol} is missing in {words}"
            elif symbol not in ("sum", "prod", "argmax", "sqrt", "floor", "lim", "integral"):
                assert symbol in words, f"{symbol} is missing in {words}"


@every_formula
def test_the_mathml_says_what_the_latex_says(name):
    """Sign by sign, the two are one list: all that carries meaning, in the same order."""
    words = "".join(_tree(formulas[name]).itertext())
    latex = formulas[name].latex
    for sign, command in (("∑", r"\sum"), ("∏", r"\prod"), ("∂", r"\partial"), ("⌊", r"\lfloor"),
                          ("≥", r"\ge "), ("≤", r"\le "), ("∫", r"\int"), ("else", r"\text{else}")):  # fmt: skip
        assert words.count(sign) == latex.count(command), f"{sign} in {words}"
    for element, command in (("mfrac", r"\frac{"), ("msqrt", r"\sqrt{")):
        assert formulas[name].mathml.count(f"<{element}>") == latex.count(command)


@pytest.mark.parametrize("symbol", sorted(LATEX_SYMBOLS))
def test_every_symbol_of_the_notation_can_be_read(symbol):
    for indices in ("", "<mi>k</mi>"):
        tree = ET.fromstring(f"<mrow>{symbol_of_latex(LATEX_SYMBOLS[symbol], indices)}</mrow>")
        assert "".join(tree.itertext()).strip()
        assert not re.search(r"[\\{}@^_]", "".join(tree.itertext()).replace("^", "", symbol == "xhat"))


# --------------------------------------------- what is written, read again


def _python(element: ET.Element) -> str:
    """An element as Python. Every element but a row gets brackets: how it is drawn says that it is one thing."""
    tag, parts = _tag(element), [_python(child) for child in element]
    if tag == "mfrac":
        return f"(({parts[0]})/({parts[1]}))"
    if tag == "msup":
        return f"({parts[0]}**({parts[1]}))"
    if tag == "msqrt":
        return f"sqrt({''.join(parts)})"
    if tag == "mtable":
        (body, test), (orelse, other) = ([_python(cell) for cell in row] for row in element)
        assert other == "else"
        return f"(({body}) if ({test}) else ({orelse})) CASES"
    if tag in TOKENS:
        return element.text or ""
    row = "".join(parts)
    return row.removeprefix("{").removesuffix(" CASES") if row.endswith(" CASES") and row[0] == "{" else row


def _as_python(mathml: str) -> str:
    row = _python(ET.fromstring(f"<mrow>{mathml}</mrow>")).removesuffix(" CASES")
    for sign, python in ((INVISIBLE_TIMES, "*"), ("−", "-"), ("⌊", "floor("), ("⌋", ")"), ("mod", "%"), ("=", "=="),
                         ("≠", "!="), ("≤", "<="), ("≥", ">="), ("[", "("), ("]", ")"), (APPLY, "")):  # fmt: skip
        row = row.replace(sign, python)
    return row


@given(expression=_expressions())
@settings(max_examples=300, deadline=None)
def test_the_mathml_keeps_the_order_of_operations(expression):
    shown = _shown(expression)
    python = _as_python(shown)
    assert _compute(python) == _compute(expression), f"written {shown}, read as {python}"


# ------------------------------------------------------- what it looks like


@pytest.mark.parametrize(
    ("expression", "mathml"),
    [
        ("a / b", "<mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac>"),
        ("sum[c,i](x[c])", "<munder><mo>∑</mo><mrow><mi>c</mi><mo>,</mo><mi>i</mi></mrow></munder>"
         "<msub><mi>x</mi><mrow><mi>c</mi></mrow></msub>"),
        ("x[n]**2", "<msubsup><mi>x</mi><mrow><mi>n</mi></mrow><mrow><mn>2</mn></mrow></msubsup>"),
        ("xp[n]", '<msubsup><mi>x</mi><mrow><mi>n</mi></mrow><mrow><mi mathvariant="normal">p</mi></mrow></msubsup>'),
        ("lr * xhat", '<mi>η</mi><mo lspace="0" rspace="0.17em">\u2062</mo>'
         '<mover accent="true"><mi>x</mi><mo>^</mo></mover>'),
        ("(x[k] < 2)", "<mrow><mo>[</mo><msub><mi>x</mi><mrow><mi>k</mi></mrow></msub>"
         "<mo>&lt;</mo><mn>2</mn><mo>]</mo></mrow>"),
        ("(a / b)**2", "<msup><mrow><mo>(</mo><mrow><mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac>"
         "</mrow><mo>)</mo></mrow><mrow><mn>2</mn></mrow></msup>"),
        ("weight_decay", "<mi>weight_decay</mi>"),
        ("sqrt(a)", "<msqrt><mi>a</mi></msqrt>"),
        ("-sum[n](x[n])", '<mo form="prefix">−</mo><munder><mo>∑</mo><mrow><mi>n</mi></mrow></munder>'
         "<msub><mi>x</mi><mrow><mi>n</mi></mrow></msub>"),
    ],
)  # fmt: skip
def test_what_it_looks_like(expression, mathml):
    assert _shown(expression) == mathml


def test_a_gradient_is_a_fraction_of_partial_derivatives():
    mathml = Formula("test", ("dw[f] = dy",), shapes="dy () -> dw").mathml
    assert "<mfrac><mrow><mi>∂</mi><mi>ℒ</mi></mrow><mrow><mi>∂</mi><msub><mi>w</mi>" in mathml
    assert mathml.endswith("<mo>=</mo><mi>dy</mi></math>")  # the gradient of a loss by itself, a number


def test_several_lines_are_a_table_aligned_at_their_signs():
    rows = list(_tree(formulas["conv2d_backward"]).iter(f"{NAMESPACE}mtr"))
    assert [_tag(_tree(formulas["conv2d_backward"])[0]), len(rows)] == ["mtable", 4]
    assert all(len(row) == 2 and row[1][0].text in ("=", "+=") for row in rows)


def test_no_function_of_the_language_is_forgotten():
    for function in FUNCTIONS:
        two = ", b" if function in ("max", "min") else ""
        _check_core(ET.fromstring(Formula("test", (f"y = {function}(a{two})",)).mathml))
    for kind in REDUCTIONS:
        tree = ET.fromstring(Formula("test", (f"y = {kind}[n,...](x[n,...])",)).mathml)
        _check_core(tree)
        assert any(_tag(element) == "munder" for element in tree.iter())
    assert set(INDEX_SIZES) >= {"n", "c"}
