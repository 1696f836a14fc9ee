"""A formula as plain loops: one `for` for each index, written out as Python source and run as it stands.

Nothing is clever here, and that is the point: the loops are the formula, so whatever agrees with them computes it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinycnn.formula.notation import REST
from tinycnn.formula.parse import (
    FUNCTIONS,
    FormulaError,
    Statement,
    free_indices,
    index_name,
    is_rest,
    reduction,
    subscripts,
)

_INDENT = "    "


def larger(a: Any, b: Any) -> bool:
    """Whether `b` takes `a`'s place as the maximum so far: strictly larger by real part, or the first NaN."""
    return b.real > a.real or (b != b and a == a)


def maximum(a: Any, b: Any) -> Any:
    """The larger by real part; the first of equals; NaN if either is."""
    return b if larger(a, b) else a


def minimum(a: Any, b: Any) -> Any:
    """The smaller by real part; the first of equals; NaN if either is."""
    return b if larger(-a, -b) else a


VOCABULARY: dict[str, Any] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "floor": np.floor, "tanh": np.tanh,
    "max": maximum, "min": minimum, "larger": larger, "inf": np.inf, "range": range,
}  # fmt: skip


class Macros:
    """The names that `where` defines through indices (`c0 = f//…`, `a, b = argmax[i,j](…)`)."""

    def __init__(self, definitions, symbols: frozenset[str]):
        self.symbols = symbols
        self.simple: dict[str, ast.expr] = {}
        self.tuples: list[tuple[tuple[str, ...], ast.expr]] = []
        self.depends: dict[str, frozenset[str]] = {}
        for definition in definitions:
            if definition.expr is None:
                continue
            indices = frozenset(free_indices(definition.expr, symbols, self.depends))
            if not indices:
                continue
            for name in definition.names:
                self.depends[name] = indices
            if len(definition.names) == 1:
                self.simple[definition.names[0]] = self.expand(definition.expr)
            else:
                self.tuples.append((definition.names, self.expand(definition.expr)))

    def expand(self, expr: ast.expr) -> ast.expr:
        """The expression with every simple name replaced by what it stands for."""
        return _Substitute(self.simple).visit(ast.parse(ast.unparse(expr), mode="eval").body)

    def free(self, *exprs: ast.expr) -> list[str]:
        """The open indices of some expressions, in order of appearance."""
        found: dict[str, None] = {}
        for expr in exprs:
            found.update(free_indices(expr, self.symbols, self.depends))
        return list(found)


class _Substitute(ast.NodeTransformer):
    def __init__(self, table: dict[str, ast.expr]):
        self.table = table

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.table.get(node.id, node)


class LoopNest:
    """One statement of a formula, compiled: its source, and the function that the source defines."""

    def __init__(self, statement: Statement, macros: Macros):
        self.macros = macros
        self.places = tuple(macros.expand(p) for p in statement.places)
        self.expr = macros.expand(statement.expr)
        self.scatter = statement.scatter
        self.target = statement.target
        outer = macros.free(*self.places, self.expr) if self.scatter else macros.free(*self.places)
        self.outer = frozenset(outer)
        self.temporaries = 0
        self.used: set[str] = set()
        self.indices: dict[str, None] = dict.fromkeys(outer)
        body = self._body(len(outer) + 1)
        raw = "\n".join([self._signature(), *self._open_loops(outer, 1), *body])
        self.source = ast.unparse(ast.parse(raw))  # the same program, with the brackets that it needs and no others
        self._function: Callable[..., None] | None = None

    def run(self, out: Any, names: dict[str, Any], sizes: dict[str, int]) -> None:
        """Fill `out` by walking the loops."""
        if self._function is None:
            scope = dict(VOCABULARY)
            exec(compile(self.source, f"<loops of {self.target}>", "exec"), scope)
            self._function = scope["loops"]
        arguments = {name: names[name] for name in self.used}
        self._function(out, **arguments, **{f"size_{i}": sizes[i] for i in self.indices})

    def axes_of(self, index: str) -> list[tuple[str, int]]:
        """Where an index stands alone: (symbol, axis) for each array that tells how far it runs."""
        found = []
        for symbol, places in self._cells():
            found += [(symbol, axis) for axis, place in enumerate(places) if index_name(place) == index]
        return found

    def reads(self) -> dict[str, int | None]:
        """The arrays that are read, and how many axes stand before `...` (None where there is no `...`)."""
        return {symbol: len(places) - 1 if is_rest(places[-1]) else None for symbol, places in self._cells()}

    def _cells(self) -> Iterator[tuple[str, tuple[ast.expr, ...]]]:
        """Every array cell that is read, as (symbol, index expressions); the head of a reduction is none."""
        exprs = [self.expr, *(expr for names, expr in self.macros.tuples if self._uses(names))]
        nodes = [node for expr in exprs for node in ast.walk(expr)]
        heads = {id(node.func) for node in nodes if isinstance(node, ast.Call)}  # mean[n](…), beside an array mean[n]
        for node in nodes:
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and id(node) not in heads:
                yield node.value.id, subscripts(node)

    def _signature(self) -> str:
        arguments = ["out", *sorted(self.used), *(f"size_{i}" for i in self.indices)]
        return f"def loops({', '.join(arguments)}):"

    def _open_loops(self, indices, depth: int) -> list[str]:
        return [f"{_INDENT * (depth + d)}for {i} in range(size_{i}):" for d, i in enumerate(indices)]

    def _body(self, depth: int) -> list[str]:
        lines: list[str] = []
        for names, expr in self.macros.tuples:
            if self._uses(names):
                lines.append(f"{_INDENT * depth}{', '.join(names)} = {self._emit(expr, lines, depth)}")
        value = self._emit(self.expr, lines, depth)
        places = ", ".join(self._emit(p, lines, depth) for p in self.places) or "()"
        lines.append(f"{_INDENT * depth}out[{places}] {'+=' if self.scatter else '='} {value}")
        return lines

    def _uses(self, names) -> bool:
        return any(isinstance(n, ast.Name) and n.id in names for e in (*self.places, self.expr) for n in ast.walk(e))

    def _emit(self, node: ast.expr, lines: list[str], depth: int) -> str:
        """The Python for one node; a reduction first writes its own loops into `lines`."""
        if (reduced := reduction(node)) is not None:
            return self._reduce(*reduced, lines, depth)
        emit = lambda child: self._emit(child, lines, depth)  # noqa: E731
        if is_rest(node):
            return REST
        if isinstance(node, ast.Name):
            bound = {name for names, _ in self.macros.tuples for name in names}
            if node.id not in self.indices and node.id not in bound and node.id not in VOCABULARY:
                self.used.add(node.id)
            return node.id
        if isinstance(node, ast.Subscript):
            self.used.add(node.value.id)  # type: ignore[attr-defined]
            return f"{node.value.id}[{', '.join(emit(p) for p in subscripts(node))}]"  # type: ignore[attr-defined]
        if isinstance(node, ast.Compare):  # complex numbers have no order: compare real parts
            sides = [f"({emit(side)}).real" for side in (node.left, *node.comparators)]
            signs = [ast.unparse(ast.Compare(ast.Name("a"), [op], [ast.Name("b")]))[2:-2] for op in node.ops]
            chain = sides[0] + "".join(f" {sign} {side}" for sign, side in zip(signs, sides[1:], strict=True))
            return f"(1.0 if {chain} else 0.0)"
        if isinstance(node, ast.IfExp):
            return f"({emit(node.body)} if {emit(node.test)} else {emit(node.orelse)})"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            return f"{node.func.id}({', '.join(emit(a) for a in node.args)})"
        if isinstance(node, ast.BinOp):
            sign = ast.unparse(ast.BinOp(ast.Name("a"), node.op, ast.Name("b")))[1:-1]
            return f"({emit(node.left)}{sign}{emit(node.right)})"
        if isinstance(node, ast.UnaryOp):
            return f"(-{emit(node.operand)})"
        return ast.unparse(node)

    def _reduce(self, kind: str, indices, body: ast.expr, lines: list[str], depth: int) -> str:
        if taken := set(indices) & self.outer:
            shown = ", ".join("..." if i == REST else i for i in sorted(taken))
            raise FormulaError(f"{kind}[{shown}] runs over an index that {self.target} already has; use another letter")
        self.temporaries += 1
        total = f"{kind}_{self.temporaries}"
        self.indices.update(dict.fromkeys(indices))
        inner = depth + len(indices)
        nested: list[str] = []
        value = self._emit(body, nested, inner)
        pad, deep = _INDENT * depth, _INDENT * inner
        loops = [*self._open_loops(indices, depth), *nested]
        if kind in ("sum", "mean"):
            lines += [f"{pad}{total} = 0.0", *loops, f"{deep}{total} += {value}"]
            count = " * ".join(f"size_{i}" for i in indices)
            return f"({total} / ({count}))" if kind == "mean" else total
        if kind == "prod":
            lines += [f"{pad}{total} = 1.0", *loops, f"{deep}{total} *= {value}"]
            return total
        sign = "-" if kind == "min" else ""
        lines += [
            f"{pad}{total} = None",
            *loops,
            f"{deep}term = {value}",
            f"{deep}if {total} is None or larger({sign}{total}, {sign}term):",
            f"{deep}{_INDENT}{total}, {total}_at = term, ({', '.join(indices)},)",
        ]
        return f"{total}_at" if kind == "argmax" else total
