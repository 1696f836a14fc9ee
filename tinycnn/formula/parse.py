"""The language of formulas: a small part of Python's expressions, read by Python's own parser.

    y[n,f,u,v] = b[f] + sum[c,i,j](xp[n,c,u*s+i,v*s+j] * w[f,c,i,j])

An array with its indices in brackets is one number; `sum[c,i,j](...)` is Σ over c, i and j; `max`, `min`, `mean`,
`prod` and `argmax` read alike. `[a == b]` counts 1 where it holds and 0 elsewhere (Iverson's bracket). `+=` with an
index expression on the left is a scatter: every place adds its share. `...` stands for whatever axes are left.
`lim[h](...)` is the limit as h goes to 0, `integral[x,a,b](...)` the integral over x from a to b; `f(x)` is a function
that the caller gives, where the shapes declare it so: `f (function)`.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from tinycnn.formula.notation import INDEX_SIZES, REST

REDUCTIONS = ("sum", "mean", "max", "min", "prod", "argmax")
BINDERS = {"lim": 1, "integral": 3}  # what runs over a variable, not over indices; how many stand in its brackets
FUNCTIONS = ("exp", "log", "sqrt", "floor", "max", "min", "tanh", "sin", "cos")
FUNCTION = ("function",)  # where a symbol's shape would stand: the caller gives a Python function
_ALLOWED = {
    ast.BinOp, ast.UnaryOp, ast.USub, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow,
    ast.Name, ast.Load, ast.Store, ast.Constant, ast.Subscript, ast.Tuple, ast.Call, ast.IfExp,
    ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
}  # fmt: skip


Names = frozenset[str]


class FormulaError(ValueError):
    """A formula is not in the language, or what it was given does not fit it."""


@dataclass(frozen=True)
class Statement:
    """One line of a formula: `target[places] = expr`, or `+=` for a scatter."""

    target: str
    places: tuple[ast.expr, ...]
    scatter: bool
    expr: ast.expr


@dataclass(frozen=True)
class Definition:
    """A name that `where` gives to an expression or, without one, only a meaning in words."""

    names: tuple[str, ...]
    expr: ast.expr | None
    meaning: str


def parse_expression(text: str, elementwise: Names = frozenset(), functions: Names = frozenset()) -> ast.expr:
    """Read one expression; names in `elementwise` stand for `name[...]`, one element at a time.

    Of functions it knows those of the language and those in `functions`, which the caller of the formula will give.
    """
    text = text.strip()
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise FormulaError(f"cannot read the formula {text!r}: {error.msg} at column {error.offset}") from None
    for node in ast.walk(tree):
        if type(node) not in _ALLOWED:
            raise FormulaError(f"{type(node).__name__} is not part of the language of formulas, in {text!r}")
        if isinstance(node, ast.Call):
            _check_call(node, text, functions)
        if isinstance(node, ast.Subscript) and not isinstance(node.value, ast.Name):
            raise FormulaError(f"only a symbol has indices, not {ast.unparse(node.value)!r}, in {text!r}")
        if isinstance(node, ast.Constant) and type(node.value) not in (int, float, type(...)):
            raise FormulaError(f"{node.value!r} is not a number, in {text!r}")
    return _Elementwise(elementwise).visit(tree) if elementwise else tree


def parse_statement(text: str, elementwise: Names = frozenset(), functions: Names = frozenset()) -> Statement:
    """Read `target[places] = expr` or `target[places] += expr`."""
    match = re.match(r"(.+?)(\+?)=(?!=)(.+)", text, re.DOTALL)
    if match is None:
        raise FormulaError(f"a formula is `target = expression` or `target += expression`, got {text!r}")
    left, plus, right = match.groups()
    target = parse_expression(left, elementwise)
    if isinstance(target, ast.Name):
        return Statement(target.id, (), bool(plus), parse_expression(right, elementwise, functions))
    if not (isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name)):
        raise FormulaError(f"the left side of a formula is a symbol with its indices, got {left.strip()!r}")
    return Statement(target.value.id, subscripts(target), bool(plus), parse_expression(right, elementwise, functions))


def parse_where(text: str, elementwise: frozenset[str] = frozenset()) -> tuple[Definition, ...]:
    """Read `where`: clauses `name = expression is meaning`, either part optional, divided by semicolons."""
    definitions = []
    for clause in filter(None, (part.strip() for part in text.split(";"))):
        left, meaning = re.match(r"(.*?)(?:(?:^|\s)is\s+(.*))?$", clause, re.DOTALL).groups()  # type: ignore[union-attr]
        names, equals, right = left.partition("=")
        expr = parse_expression(right, elementwise) if equals else None
        each = tuple(name.strip() for name in re.split(r",(?![^[]*\])", names))  # x[n,c], y[n] are two
        definitions.append(Definition(each, expr, (meaning or "").strip()))
    return tuple(definitions)


def parse_shapes(text: str) -> tuple[dict[str, tuple[str, ...] | None], tuple[str, ...]]:
    """Read `x (N,C), w (F,C) -> y (N,F)`: each symbol's axes (None where not said), and the names of the results."""
    shapes: dict[str, tuple[str, ...] | None] = {}
    inputs, _, results = text.partition("->")
    names = []
    for side in (inputs, results):
        for name, dims in re.findall(r"(\w+)\s*(\([^)]*\))?\s*(?:,|$)", side.strip()):
            if dims or name not in shapes:  # a result that is also an input (w, in an update) keeps its axes
                shapes[name] = tuple(d.strip() for d in dims[1:-1].split(",") if d.strip()) if dims else None
            if side is results:
                names.append(name)
    return shapes, tuple(names)


def subscripts(node: ast.Subscript) -> tuple[ast.expr, ...]:
    """The index expressions between a symbol's brackets."""
    return tuple(node.slice.elts) if isinstance(node.slice, ast.Tuple) else (node.slice,)


def is_rest(node: ast.AST) -> bool:
    """Whether this index is `...`, the axes that are not named."""
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def reduction(node: ast.AST) -> tuple[str, tuple[str, ...], ast.expr] | None:
    """`sum[c,i,j](body)` as ("sum", ("c", "i", "j"), body); None for anything else."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript)) or binder(node) is not None:
        return None
    assert isinstance(node.func.value, ast.Name)
    return node.func.value.id, tuple(index_name(i) for i in subscripts(node.func)), node.args[0]


def binder(node: ast.AST) -> tuple[str, str, tuple[ast.expr, ...], ast.expr] | None:
    """`lim[h](body)` as ("lim", "h", (), body), `integral[x,a,b](body)` as ("integral", "x", (a, b), body); or None."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript)):
        return None
    if not (isinstance(node.func.value, ast.Name) and node.func.value.id in BINDERS):
        return None
    variable, *bounds = subscripts(node.func)
    return node.func.value.id, index_name(variable), tuple(bounds), node.args[0]


def index_name(node: ast.expr) -> str:
    """The name of an index that stands alone; "" for an index expression."""
    return REST if is_rest(node) else node.id if isinstance(node, ast.Name) else ""


def free_indices(node: ast.AST, symbols: frozenset[str], macros: dict[str, frozenset[str]]) -> dict[str, None]:
    """The indices an expression leaves open, in order of appearance: those no Σ (or max …) inside it runs over."""
    found: dict[str, None] = {}
    reduced = reduction(node)
    if reduced is not None:
        inner = free_indices(reduced[2], symbols, macros)
        return {name: None for name in inner if name not in reduced[1]}
    if isinstance(node, ast.Name) and node.id in macros:
        return dict.fromkeys(sorted(macros[node.id]))
    if isinstance(node, ast.Name) and node.id in INDEX_SIZES and node.id not in symbols:
        return {node.id: None}
    if is_rest(node):
        return {REST: None}
    for child in ast.iter_child_nodes(node):
        found.update(free_indices(child, symbols, macros))
    return found


def _check_call(node: ast.Call, text: str, functions: Names) -> None:
    func = node.func
    if isinstance(func, ast.Name) and func.id in functions and node.args and not node.keywords:
        return
    if isinstance(func, ast.Subscript) and isinstance(func.value, ast.Name) and func.value.id in BINDERS:
        return _check_binder(node, func.value.id, text)
    reduces = isinstance(func, ast.Subscript) and isinstance(func.value, ast.Name) and func.value.id in REDUCTIONS
    applies = isinstance(func, ast.Name) and func.id in FUNCTIONS
    takes = 2 if applies and func.id in ("max", "min") else 1  # type: ignore[attr-defined]
    if reduces and not all(map(index_name, subscripts(func))):  # type: ignore[arg-type]
        raise FormulaError(f"{ast.unparse(func)!r} in {text!r}: a reduction runs over indices, each a name alone")
    if not (reduces or applies) or node.keywords or len(node.args) != takes:
        raise FormulaError(
            f"{ast.unparse(node)!r} in {text!r}: a formula knows the functions {', '.join(FUNCTIONS)} "
            f"and, with indices in brackets, {', '.join(REDUCTIONS)}"
        )


def _check_binder(node: ast.Call, kind: str, text: str) -> None:
    variable, *bounds = subscripts(node.func)  # type: ignore[arg-type]
    if len(bounds) + 1 != BINDERS[kind] or len(node.args) != 1 or node.keywords or not isinstance(variable, ast.Name):
        raise FormulaError(
            f"{ast.unparse(node)!r} in {text!r}: it is `lim[h](...)`, h going to 0, or `integral[x,a,b](...)`"
        )
    if variable.id in INDEX_SIZES:
        raise FormulaError(f"{variable.id!r} in {text!r} is an index, and counts; a {kind} needs a variable: h, t or x")


class _Elementwise(ast.NodeTransformer):
    """`m = beta*m` of a symbol that is declared for any shape reads as `m[...] = beta*m[...]`."""

    def __init__(self, names: frozenset[str]):
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.names:
            return node
        return ast.Subscript(node, ast.Constant(...), ast.Load())

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        node.slice = self.visit(node.slice)  # the symbol itself already has its indices
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node.args = [self.visit(arg) for arg in node.args]
        return node
