"""A formula as data: nested lists that any language can walk, so that a page computes the same cells as Python.

One entry a statement: `{target, shape, places, scatter, indices, let, expr}`. What `where` says of an index is put
in, and `...` is one index, `_rest`, that counts through the axes it stands for, row by row. docs/trace.md has it all.
"""

from __future__ import annotations

import ast
from typing import Any

from tinycnn.formula import Formula
from tinycnn.formula.loops import LoopNest
from tinycnn.formula.notation import REST
from tinycnn.formula.parse import FormulaError, is_rest, reduction, subscripts

Expr = list[Any]
_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**"}
_COMPARED = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


def program(
    nests: tuple[LoopNest, ...], sizes: list[dict[str, int]], shapes: dict[str, tuple[int, ...]]
) -> list[dict[str, Any]]:
    """The statements as JSON, with how far each index runs and the shape of what each makes."""
    return [
        _statement(nest, own) | {"shape": list(shapes[nest.target])} for nest, own in zip(nests, sizes, strict=True)
    ]


def needed_for(formula: Formula, results: list[str]) -> tuple[LoopNest, ...]:
    """The statements that results are made by, in order: their own, and those that make what these read."""
    wanted, found = set(results), []
    for nest in reversed((*formula._first, *formula._nests)):
        if nest.target in wanted:
            found.append(nest)
            wanted |= nest.used
    if not found:
        raise FormulaError(f"{formula.name} makes no {results[0]!r}")
    return tuple(reversed(found))


def _statement(nest: LoopNest, sizes: dict[str, int]) -> dict[str, Any]:
    walk = _Walk(set(nest.indices) | {REST}).expr
    let = [[list(names), walk(expr)] for names, expr in nest.macros.tuples if nest._uses(names)]
    return {
        "target": nest.target, "places": [walk(place) for place in nest.places], "scatter": nest.scatter,
        "indices": {index: int(size) for index, size in sizes.items()}, "let": let, "expr": walk(nest.expr),
    }  # fmt: skip


class _Walk:
    def __init__(self, indices: set[str]):
        self.indices = indices

    def expr(self, node: ast.expr) -> Expr:
        """One expression."""
        if (reduced := reduction(node)) is not None:
            return [reduced[0], list(reduced[1]), self.expr(reduced[2])]
        if is_rest(node):
            return ["idx", REST]
        if isinstance(node, ast.Constant):
            return ["num", node.value]
        if isinstance(node, ast.Name):
            return ["idx" if node.id in self.indices else "name", node.id]
        if isinstance(node, ast.Subscript):
            return ["read", node.value.id, [self.expr(place) for place in subscripts(node)]]  # type: ignore[attr-defined]
        if isinstance(node, ast.BinOp):
            return [_SIGNS[type(node.op)], self.expr(node.left), self.expr(node.right)]
        if isinstance(node, ast.UnaryOp):
            return ["neg", self.expr(node.operand)]
        if isinstance(node, ast.IfExp):
            return ["if", self.expr(node.test), self.expr(node.body), self.expr(node.orelse)]
        if isinstance(node, ast.Compare):
            return ["cmp", [_COMPARED[type(op)] for op in node.ops],
                    [self.expr(side) for side in (node.left, *node.comparators)]]  # fmt: skip
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return ["call", node.func.id, [self.expr(part) for part in node.args]]
        raise FormulaError(f"{ast.unparse(node)} has no cells to take apart")
