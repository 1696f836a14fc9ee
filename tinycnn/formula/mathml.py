"""A formula as MathML: what browsers show by themselves, without a script.

The shape of it is that of the LaTeX, brackets and all. Symbols are those of `LATEX_SYMBOLS`, read from their LaTeX, so
that a letter is declared once and looks alike in both.
"""

from __future__ import annotations

import ast
import re
from html import escape

from tinycnn.formula.notation import LATEX_SYMBOLS, REST
from tinycnn.formula.parse import FUNCTIONS, Names, Statement, is_rest
from tinycnn.formula.printing import _Text, is_gradient

_SIGNS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "theta": "θ", "eta": "η", "mu": "μ", "varepsilon": "ε", "rho": "ρ",
    "lambda": "λ", "sigma": "σ", "infty": "∞", "pi": "π", "partial": "∂", "nabla": "∇", "ell": "ℓ",
}  # fmt: skip
_OPERATORS = {"cap": "∩", "cup": "∪", "mid": "|", "to": "→", ",": "\u2009"}
_SCRIPT = {"L": "ℒ"}  # \mathcal
_LARGE = {"sum": "∑", "prod": "∏"}
# A cell holds its formula as a block, which CSS's own left and right leave in the middle in some browsers: the second
# value is theirs, and others skip it.
_LEFT = "text-align: left; text-align: -webkit-left"
_RIGHT = "text-align: right; text-align: -webkit-right; padding-right: 0"
_THIN = '<mspace width="0.17em"/>'


def mathml(statements: tuple[Statement, ...], numbers: Names = frozenset(), gradients: Names = frozenset()) -> str:
    """Statements as one `<math>` element, several of them aligned at their signs of equality.

    `numbers` and `gradients` are as for LaTeX: which symbols are one number, and which are gradients all the same.
    """
    style = _MathML(numbers, gradients)
    rows = [style.sides(statement) for statement in statements]
    if len(rows) == 1:
        inner = "".join(rows[0])
    else:
        cells = "".join(
            f'<mtr><mtd style="{_RIGHT}">{left}</mtd><mtd style="{_LEFT}">{sign}{right}</mtd></mtr>'
            for left, sign, right in rows
        )  # fmt: skip
        inner = f'<mtable displaystyle="true">{cells}</mtable>'
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{inner}</math>'


def _row(inner: str) -> str:
    return f"<mrow>{inner}</mrow>"


def _sign(sign: str) -> str:
    return f"<mo>{escape(sign)}</mo>"


def _under(base: str, below: str) -> str:
    return f"<munder>{base}{_row(below)}</munder>"


def _scripts(base: str, below: str = "", above: str = "") -> str:
    """A base with an index, a power or both; one that has a power already keeps it over its index."""
    powered = re.fullmatch(r"<msup>(<mi[^<]*<[^<]*>)<mrow>(.*)</mrow></msup>", base)
    if powered and below and not above:
        base, above = powered.groups()
    indexed = re.fullmatch(r"<msub>(<mi[^<]*<[^<]*>)(<mrow>(?:(?!<mrow>).)*</mrow>)</msub>", base)
    if indexed and above and not below:
        return f"<msubsup>{''.join(indexed.groups())}{_row(above)}</msubsup>"
    if below and above:
        return f"<msubsup>{base}{_row(below)}{_row(above)}</msubsup>"
    return f"<msub>{base}{_row(below)}</msub>" if below else f"<msup>{base}{_row(above)}</msup>"


class _MathML(_Text):
    """Elements of MathML side by side; what has to be one element is put in an `<mrow>`."""

    scatter, minus, rest = "<mo>+=</mo>", '<mo form="prefix">−</mo>', "<mi>…</mi>"
    times = '<mo lspace="0" rspace="0.17em">\u2062</mo>'  # an invisible sign, and a little room

    def __init__(self, numbers: frozenset[str], gradients: frozenset[str]):
        self.numbers, self.gradients = numbers, gradients

    def sides(self, statement: Statement) -> tuple[str, str, str]:
        """What is made, the sign, and what it is made from."""
        name, places = statement.target, statement.places
        left = self.cell(name, places) if places else self.symbol(name)
        return left, self.scatter if statement.scatter else _sign("="), self.show(statement.expr)

    def show(self, node: ast.expr, level: int = 0) -> str:
        if isinstance(node, ast.Constant) and not is_rest(node):
            return f"<mn>{super().show(node)}</mn>"
        if isinstance(node, ast.Compare):
            return _row(_sign("[") + self.compare(node) + _sign("]"))
        if isinstance(node, ast.Tuple):
            return _sign(",").join(map(self.show, node.elts))
        return super().show(node, level)

    def compare(self, node: ast.Compare) -> str:
        return super().compare(node).replace("> <", "><")

    def sign(self, node: ast.BinOp) -> str:
        return self.times if isinstance(node.op, ast.Mult) else _sign("+" if isinstance(node.op, ast.Add) else "−")

    def operator(self, node: ast.BinOp) -> str | None:
        if isinstance(node.op, ast.Pow):
            base = self.show(node.left, 5)
            return _scripts(self.brackets(base) if base.startswith("<mfrac") else base, above=self.show(node.right))
        if isinstance(node.op, ast.Div):
            return self.fraction(node)
        if isinstance(node.op, ast.FloorDiv):
            return self.floor(self.fraction(node))
        if isinstance(node.op, ast.Mod):
            return self.brackets(f"{self.show(node.left, 2)}<mi>mod</mi>{_THIN}{self.show(node.right, 3)}")
        return None

    def fraction(self, node: ast.BinOp) -> str:
        return f"<mfrac>{_row(self.show(node.left))}{_row(self.show(node.right))}</mfrac>"

    def floor(self, inner: str) -> str:
        return _row(_sign("⌊") + _row(inner) + _sign("⌋"))

    def symbol(self, name: str) -> str:
        if name in LATEX_SYMBOLS:
            return symbol_of_latex(LATEX_SYMBOLS[name])
        if name not in self.numbers and (is_gradient(name) or name in self.gradients):
            return self.gradient(self.symbol(name[1:]))
        return f"<mi>{escape(name)}</mi>"

    def cell(self, name: str, places) -> str:
        if len(places) == 1 and is_rest(places[0]):
            return self.symbol(name)
        if is_gradient(name) or name in self.gradients:
            return self.gradient(self.cell(name[1:], places))
        indices = _sign(",").join(map(self.show, places))
        if "@" in LATEX_SYMBOLS.get(name, ""):
            return symbol_of_latex(LATEX_SYMBOLS[name], indices)
        return _scripts(self.symbol(name), below=indices)

    def gradient(self, of: str) -> str:
        return f"<mfrac><mrow><mi>∂</mi><mi>ℒ</mi></mrow>{_row('<mi>∂</mi>' + of)}</mfrac>"

    def reduce(self, kind: str, indices, body: ast.expr) -> str:
        names = _sign(",").join(self.rest if i == REST else f"<mi>{i}</mi>" for i in indices)
        inner = self.show(body, 2)
        if kind in _LARGE:
            return _under(_sign(_LARGE[kind]), names) + inner
        word = "<mi>arg\u2009max</mi>" if kind == "argmax" else f"<mi>{kind}</mi>"
        return _under(word, names) + _THIN + inner

    def bind(self, kind: str, variable: str, bounds, body: ast.expr) -> str:
        inner, name = self.show(body, 2), self.symbol(variable)
        if kind == "lim":
            return _under("<mi>lim</mi>", f"{name}{_sign('→')}<mn>0</mn>") + _THIN + inner
        low, high = map(self.show, bounds)
        return _scripts(_sign("∫"), low, high) + inner + _THIN + f'<mi mathvariant="normal">d</mi>{name}'

    def call(self, name: str, args: list[str]) -> str:
        if name == "sqrt":
            return f"<msqrt>{args[0]}</msqrt>"
        if name == "floor":
            return self.floor(args[0])
        function = f"<mi>{name}</mi>" if name in FUNCTIONS else self.symbol(name)
        return _row(function + _sign("\u2061") + self.brackets(_sign(",").join(args)))

    def comparison(self, sign: str) -> str:
        return _sign(sign)

    def choose(self, body: str, test: str, orelse: str) -> str:
        rows = ((body, test), (orelse, "<mtext>else</mtext>"))
        left = f'<mtd style="{_LEFT}">'
        table = "".join(f"<mtr>{left}{value}</mtd>{left}{case}</mtd></mtr>" for value, case in rows)
        return _row(f"{_sign('{')}<mtable>{table}</mtable>")

    def brackets(self, text: str) -> str:
        return _row(_sign("(") + _row(text) + _sign(")"))


def symbol_of_latex(latex: str, indices: str = "") -> str:
    r"""A symbol of the notation, `\hat{x}` or `\frac{\partial f}{\partial x@}`, with its indices where its @ stands.

    >>> symbol_of_latex(r"\beta_1")
    '<msub><mi>β</mi><mrow><mn>1</mn></mrow></msub>'
    """
    elements = _Reader(latex, indices).elements()
    return elements[0] if len(elements) == 1 else _row("".join(elements))


class _Reader:
    """Reads the little LaTeX that symbols are written in."""

    def __init__(self, latex: str, indices: str):
        self.tokens = re.findall(r"\\[a-zA-Z]+|\\.|[^\s]", latex)
        self.indices = indices

    def elements(self, end: str = "") -> list[str]:
        """The elements up to the closing bracket, or to the end."""
        found: list[str] = []
        while self.tokens:
            token = self.tokens.pop(0)
            if token == end:
                break
            if token == "@":
                if self.indices:
                    found[-1] = _scripts(found[-1], below=self.indices)
            elif token in "_^":
                script = self.group()
                found[-1] = _scripts(found[-1], script) if token == "_" else _scripts(found[-1], above=script)
            else:
                found.append(self.element(token))
        return found

    def group(self) -> str:
        """What stands in the brackets that follow, or the one sign that does."""
        token = self.tokens.pop(0)
        return "".join(self.elements("}")) if token == "{" else self.element(token)

    def element(self, token: str) -> str:
        """One element; the tokens that belong to it are taken."""
        word = token.removeprefix("\\")
        if word == "frac" and token != word:
            return f"<mfrac>{_row(self.group())}{_row(self.group())}</mfrac>"
        if word == "hat" and token != word:
            return f'<mover accent="true">{self.group()}<mo>^</mo></mover>'
        if word in ("mathrm", "mathcal"):
            name = re.sub(r"<[^>]*>", "", self.group())
            upright = ' mathvariant="normal"' if word == "mathrm" and len(name) == 1 else ""
            return f"<mi{upright}>{_SCRIPT[name] if word == 'mathcal' else name}</mi>"
        if token != word:
            return _sign(_OPERATORS[word]) if word in _OPERATORS else f"<mi>{_SIGNS[word]}</mi>"
        if token.isalnum():
            return f"<mn>{token}</mn>" if token.isdigit() else f"<mi>{token}</mi>"
        return _sign(token)
