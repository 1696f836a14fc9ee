"""Formulas as mathematics: plain text for the terminal and help(), LaTeX for the page.

What there is to print, and a printer of its own must know: a number, a symbol, a symbol with its indices; + − · / // %
and powers; a comparison (Iverson's bracket), a distinction of cases; a function of the language or one that the caller
gives; a reduction (`reduction`: Σ, max, …) and a limit or an integral (`binder`). `place_indices` puts the indices of
a symbol such as ∂z/∂u where they belong.
"""

from __future__ import annotations

import ast
import itertools
import re

from tinycnn.formula.notation import LATEX_SYMBOLS, TEXT_SYMBOLS
from tinycnn.formula.parse import FUNCTIONS, Definition, Statement, binder, is_rest, reduction, subscripts

_LEVEL = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.Div: 2, ast.FloorDiv: 2, ast.Mod: 2, ast.Pow: 4}
_COMPARE = {ast.Eq: "=", ast.NotEq: "≠", ast.Lt: "<", ast.LtE: "≤", ast.Gt: ">", ast.GtE: "≥"}
_LATEX_COMPARE = {"≠": r"\ne", "≤": r"\le", "≥": r"\ge"}
_TEXT_REDUCTION = {"sum": "Σ", "prod": "Π"}
_LATEX_REDUCTION = {
    "sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min",
    "mean": r"\mathrm{mean}", "argmax": r"\arg\max",
}  # fmt: skip
_LATEX_FUNCTION = {"exp": r"\exp", "log": r"\log", "max": r"\max", "min": r"\min", "tanh": r"\tanh",
                   "sin": r"\sin", "cos": r"\cos"}  # fmt: skip


def text_statement(statement: Statement) -> str:
    """One statement as plain text: `y[n,f] = b[f] + Σ[c] x[n,c]·w[f,c]`."""
    return _statement(statement, _Text())


def latex_statement(
    statement: Statement, numbers: frozenset[str] = frozenset(), gradients: frozenset[str] = frozenset()
) -> str:
    """One statement as LaTeX; `numbers` are symbols that are one number, so that a dy among them is no ∂L/∂y.

    `gradients` are names of more than a letter behind their d (`dlogp`) that are gradients all the same.
    """
    return _statement(statement, _Latex(numbers, gradients))


def align(line: str) -> str:
    """A line of LaTeX with the mark at its (first) sign of equality, where lines are set below each other."""
    return re.sub(r" (=|\\mathrel\{\+\}=) ", r" &\1 ", line, count=1)


def text_definition(definition: Definition) -> str:
    """One clause of `where` as plain text."""
    left = ", ".join(map(_Text().symbol, definition.names))
    if definition.expr is not None:
        left += " = " + _Text().show(definition.expr)
    return f"{left} is {definition.meaning}" if definition.meaning else left


def _statement(statement: Statement, style: _Text) -> str:
    target = style.symbol(statement.target) if not statement.places else style.cell(statement.target, statement.places)
    sign = style.scatter if statement.scatter else "="
    return f"{target} {sign} {style.show(statement.expr)}"


def is_gradient(name: str) -> bool:
    """Whether a name is `d` and the symbol whose gradient it is (`dw`, `dxp`); dv and dh are dilations."""
    return name not in LATEX_SYMBOLS and name[0] == "d" and (len(name) == 2 or name[1:] in LATEX_SYMBOLS)


def place_indices(symbol: str, indices: str) -> str:
    """The symbol with its indices where its @ stands, else behind it: ∂z/∂u@ with [i] is ∂z/∂u[i]."""
    return symbol.replace("@", indices) if "@" in symbol else symbol + indices


def _in_brackets(text: str) -> bool:
    """Whether the text is one pair of brackets and what they hold: `(a + b)`, but not `(a + b)·(c + d)`."""
    depths = list(itertools.accumulate((sign == "(") - (sign == ")") for sign in text))
    return text[0] == "(" and depths.index(0) == len(text) - 1


class _Text:
    """Plain text. `show` puts brackets only where the order of operations needs them."""

    scatter, times, minus, rest = "+=", "·", "−", "…"

    def show(self, node: ast.expr, level: int = 0) -> str:
        """An expression that stands where operators of `level` bind it."""
        if (reduced := reduction(node)) is not None:
            text = self.reduce(*reduced)
            return self.brackets(text) if level > 1 else text
        if (bound := binder(node)) is not None:
            text = self.bind(*bound)
            return self.brackets(text) if level > 1 else text
        if is_rest(node):
            return self.rest
        if isinstance(node, ast.Name):
            return self.symbol(node.id)
        if isinstance(node, ast.Constant):
            return f"{node.value:g}" if isinstance(node.value, float) else str(node.value)
        if isinstance(node, ast.Subscript):
            return self.cell(node.value.id, subscripts(node))  # type: ignore[attr-defined]
        if isinstance(node, ast.UnaryOp):
            text = self.minus + self.show(node.operand, 0 if reduction(node.operand) else 2)
            return self.brackets(text) if level > 0 else text
        if isinstance(node, ast.BinOp):
            return self.binary(node, level)
        if isinstance(node, ast.Compare):
            return "[" + self.compare(node) + "]"
        if isinstance(node, ast.IfExp):
            test = self.compare(node.test) if isinstance(node.test, ast.Compare) else self.show(node.test)
            return self.choose(self.show(node.body), test, self.show(node.orelse))
        if isinstance(node, ast.Tuple):
            return ", ".join(self.show(e) for e in node.elts)
        assert isinstance(node, ast.Call)
        return self.call(node.func.id, [self.show(a) for a in node.args])  # type: ignore[attr-defined]

    def binary(self, node: ast.BinOp, level: int) -> str:
        own = _LEVEL[type(node.op)]
        if (special := self.operator(node)) is not None:
            return self.brackets(special) if isinstance(node.op, ast.Pow) and own < level else special
        left = self.show(node.left, own)
        right = self.show(node.right, own + (not isinstance(node.op, ast.Add | ast.Mult)))
        if isinstance(node.op, ast.Add) and right.startswith(self.minus):
            text = f"{left} − {right[len(self.minus) :]}"
        else:
            text = left + self.sign(node) + right
        return self.brackets(text) if own < level else text

    def sign(self, node: ast.BinOp) -> str:
        inside_index = not any(isinstance(n, ast.Subscript | ast.Call) for n in ast.walk(node))
        gap = "" if inside_index else " "
        if isinstance(node.op, ast.Mult):
            return self.times
        sign = {ast.Add: "+", ast.Sub: self.minus, ast.Div: "/"}[type(node.op)]
        return f"{gap}{sign}{gap}"

    def operator(self, node: ast.BinOp) -> str | None:
        if isinstance(node.op, ast.Pow):
            power = self.show(node.right, 4)
            return self.show(node.left, 5) + ("²" if power == "2" else f"^{power}")
        if isinstance(node.op, ast.FloorDiv):
            return f"⌊{self.show(node.left, 2)}/{self.show(node.right, 3)}⌋"
        if isinstance(node.op, ast.Mod):
            return f"({self.show(node.left, 2)} mod {self.show(node.right, 3)})"
        return None

    def symbol(self, name: str) -> str:
        return TEXT_SYMBOLS.get(name, name).replace("@", "")

    def cell(self, name: str, places) -> str:
        if len(places) == 1 and is_rest(places[0]):
            return self.symbol(name)  # x[...], one element of any shape, is simply x
        return place_indices(TEXT_SYMBOLS.get(name, name), f"[{','.join(self.show(p) for p in places)}]")

    def reduce(self, kind: str, indices, body: ast.expr) -> str:
        names = ",".join(self.rest if i == "_rest" else i for i in indices)
        inner = self.show(body, 2)
        if not _in_brackets(inner):
            inner = f" {inner}" if kind in _TEXT_REDUCTION else f"({inner})"
        return f"{_TEXT_REDUCTION.get(kind, kind)}[{names}]{inner}"

    def bind(self, kind: str, variable: str, bounds, body: ast.expr) -> str:
        inner = self.show(body, 2)
        if kind == "lim":
            return f"lim[{variable}→0] {inner}"
        return f"∫[{','.join(self.show(bound) for bound in bounds)}] {inner} d{variable}"

    def call(self, name: str, args: list[str]) -> str:
        if name == "floor":
            return f"⌊{args[0]}⌋"
        return f"√({args[0]})" if name == "sqrt" else f"{name}({', '.join(args)})"

    def compare(self, node: ast.Compare) -> str:
        signs = [_COMPARE[type(op)] for op in node.ops]
        sides = [self.show(side) for side in (node.left, *node.comparators)]
        return sides[0] + "".join(f" {self.comparison(s)} {side}" for s, side in zip(signs, sides[1:], strict=True))

    def comparison(self, sign: str) -> str:
        return sign

    def choose(self, body: str, test: str, orelse: str) -> str:
        return f"({body} if {test} else {orelse})"

    def brackets(self, text: str) -> str:
        return f"({text})"


class _Latex(_Text):
    """LaTeX: indices as subscripts, quotients as fractions."""

    scatter, times, minus, rest = r"\mathrel{+}=", r"\,", "-", r"\dots"

    def __init__(self, numbers: frozenset[str] = frozenset(), gradients: frozenset[str] = frozenset()):
        self.numbers, self.gradients = numbers, gradients

    def operator(self, node: ast.BinOp) -> str | None:
        if isinstance(node.op, ast.Pow):
            base = self.show(node.left, 5)
            return f"{self.brackets(base) if 'frac' in base[:5] else base}^{{{self.show(node.right)}}}"
        if isinstance(node.op, ast.Div):
            return rf"\frac{{{self.show(node.left)}}}{{{self.show(node.right)}}}"
        if isinstance(node.op, ast.FloorDiv):
            return rf"\left\lfloor \frac{{{self.show(node.left)}}}{{{self.show(node.right)}}} \right\rfloor"
        if isinstance(node.op, ast.Mod):
            return rf"({self.show(node.left, 2)} \bmod {self.show(node.right, 3)})"
        return None

    def binary(self, node: ast.BinOp, level: int) -> str:
        return super().binary(node, level).replace("−", "-")

    def symbol(self, name: str) -> str:
        if name in LATEX_SYMBOLS:
            return LATEX_SYMBOLS[name].replace("@", "")
        if name not in self.numbers and (is_gradient(name) or name in self.gradients):
            return rf"\frac{{\partial \mathcal{{L}}}}{{\partial {self.symbol(name[1:])}}}"
        return name if len(name) == 1 else r"\mathrm{" + name.replace("_", r"\_") + "}"

    def cell(self, name: str, places) -> str:
        if len(places) == 1 and is_rest(places[0]):
            return self.symbol(name)
        if is_gradient(name) or name in self.gradients:
            return rf"\frac{{\partial \mathcal{{L}}}}{{\partial {self.cell(name[1:], places)}}}"
        indices = f"_{{{','.join(self.show(p) for p in places)}}}"
        if "@" in LATEX_SYMBOLS.get(name, ""):
            return place_indices(LATEX_SYMBOLS[name], indices)
        symbol = self.symbol(name)
        return (f"{{{symbol}}}" if "_" in symbol or "^" in symbol else symbol) + indices

    def reduce(self, kind: str, indices, body: ast.expr) -> str:
        names = ",".join(self.rest if i == "_rest" else i for i in indices)
        return rf"{_LATEX_REDUCTION[kind]}_{{{names}}} {self.show(body, 2)}"

    def bind(self, kind: str, variable: str, bounds, body: ast.expr) -> str:
        inner = self.show(body, 2)
        if kind == "lim":
            return rf"\lim_{{{variable} \to 0}} {inner}"
        low, high = map(self.show, bounds)
        return rf"\int_{{{low}}}^{{{high}}} {inner} \, \mathrm{{d}}{variable}"

    def call(self, name: str, args: list[str]) -> str:
        if name == "sqrt":
            return rf"\sqrt{{{args[0]}}}"
        if name == "floor":
            return rf"\left\lfloor {args[0]} \right\rfloor"
        function = _LATEX_FUNCTION[name] if name in FUNCTIONS else self.symbol(name)
        return rf"{function}\left({', '.join(args)}\right)"

    def comparison(self, sign: str) -> str:
        return _LATEX_COMPARE.get(sign, sign)

    def choose(self, body: str, test: str, orelse: str) -> str:
        return rf"\begin{{cases}} {body} & {test} \\ {orelse} & \text{{else}} \end{{cases}}"

    def brackets(self, text: str) -> str:
        return rf"\left({text}\right)"
