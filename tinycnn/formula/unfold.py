"""A statement taken apart until every Σ that the derivative passes through stands plainly in a sum.

Of `p = exp(z) / sum[l](exp(z[l]))` the derivative needs the sum as a number of its own: `total = sum[l](…)`, and
`p = exp(z) / total`. So each reduction inside a quotient, a root or an exponential gets a statement and a name.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace

from tinycnn.formula.notation import REST
from tinycnn.formula.parse import Statement, binder, reduction

NAMES = {"sum": "total", "mean": "average", "prod": "product", "max": "largest", "min": "least", "argmax": "where"}


class Unfold:
    """Takes statements apart. `depends` says what the derivative passes through, `free` an expression's open indices,
    `fresh` makes a name that is not in use.
    """

    def __init__(
        self, depends: Callable[[ast.AST], bool], free: Callable[[ast.expr], list[str]], fresh: Callable[[str], str]
    ):
        self.depends, self.free, self.fresh = depends, free, fresh
        self.made: dict[str, Statement] = {}  # by what they compute, so that nothing is made twice
        self.targets: set[str] = set()

    def statement(self, statement: Statement) -> list[Statement]:
        """What is made on the way, and the statement that uses it."""
        before = len(self.made)
        passed = [n for n in ast.walk(statement.expr) if self.depends(n)]
        self.passed = {index for n in passed if (found := reduction(n)) is not None for index in found[1]}
        expr = self.visit(statement.expr, True)
        return [*list(self.made.values())[before:], replace(statement, expr=expr)]

    def visit(self, node: ast.expr, plain: bool) -> ast.expr:
        """The expression; `plain` says that it stands in sums and products alone."""
        if binder(node) is not None or not any(reduction(n) is not None for n in ast.walk(node)):
            return node
        depends = self.depends(node)
        if (reduced := reduction(node)) is not None:
            if depends and plain:
                return ast.Call(node.func, [self.visit(reduced[2], reduced[0] in ("sum", "mean"))], [])  # type: ignore[attr-defined]
            return self.named(node) if depends or self.passed & set(reduced[1]) else node
        if isinstance(node, ast.IfExp):
            if depends and not plain:
                return self.named(node)
            return ast.IfExp(self.visit(node.test, False), self.visit(node.body, plain), self.visit(node.orelse, plain))
        if isinstance(node, ast.UnaryOp):
            return ast.UnaryOp(node.op, self.visit(node.operand, plain))
        if isinstance(node, ast.BinOp):
            return self.binary(node, plain)
        if isinstance(node, ast.Compare):
            sides = [self.visit(side, False) for side in (node.left, *node.comparators)]
            return ast.Compare(sides[0], node.ops, sides[1:])
        assert isinstance(node, ast.Call)
        return ast.Call(node.func, [self.visit(arg, False) for arg in node.args], [])

    def binary(self, node: ast.BinOp, plain: bool) -> ast.expr:
        """Both sides: a factor that the derivative does not pass through leaves the other one plain."""
        left = right = plain and isinstance(node.op, ast.Add | ast.Sub)
        if plain and isinstance(node.op, ast.Mult | ast.Div):
            left = not self.depends(node.right)
            right = isinstance(node.op, ast.Mult) and not self.depends(node.left)
        return ast.BinOp(self.visit(node.left, left), node.op, self.visit(node.right, right))

    def named(self, node: ast.expr) -> ast.expr:
        """The expression as a statement of its own, and the cell of it that stands here instead."""
        expr = self.visit(node, True) if self.depends(node) else node
        key = ast.unparse(expr)
        if key not in self.made:
            kind = next(found[0] for n in ast.walk(node) if (found := reduction(n)) is not None)
            indices = sorted(self.free(expr), key=lambda index: index == REST)  # `...` stands last
            places = tuple(ast.Constant(...) if index == REST else ast.Name(index) for index in indices)
            self.made[key] = Statement(self.fresh(NAMES[kind]), places, False, expr)
            self.targets.add(self.made[key].target)
        made = self.made[key]
        return cell(made.target, made.places)


def cell(symbol: str, places: tuple[ast.expr, ...]) -> ast.expr:
    """`symbol[places]`, or the symbol alone."""
    if not places:
        return ast.Name(symbol)
    return ast.Subscript(ast.Name(symbol), places[0] if len(places) == 1 else ast.Tuple(list(places)), ast.Load())
