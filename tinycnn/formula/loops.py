"""A formula as plain loops: one `for` for each index, written out as Python source and run as it stands.

Nothing is clever here, and that is the point: the loops are the formula, so whatever agrees with them computes it.
Numba compiles the very same source (`compiled.py`), so it is written without anything that Numba cannot read.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinycnn.formula.limits import integral, limit
from tinycnn.formula.notation import REST
from tinycnn.formula.parse import (
    FUNCTIONS,
    FormulaError,
    Statement,
    binder,
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
    return b if b.real > a.real or (b != b and a == a) else a


def minimum(a: Any, b: Any) -> Any:
    """The smaller by real part; the first of equals; NaN if either is."""
    return b if b.real < a.real or (b != b and a == a) else a


VOCABULARY: dict[str, Any] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "floor": np.floor, "tanh": np.tanh,
    "sin": np.sin, "cos": np.cos, "pi": np.pi,
    "max": maximum, "min": minimum, "larger": larger, "inf": np.inf, "range": range,
    "_lim": limit, "_integral": integral,
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
            reduced = reduction(definition.expr)
            if len(definition.names) == 1 and (reduced is None or reduced[0] != "argmax"):
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
        self.nonempty: set[str] = set()  # the indices of every mean, max, min and argmax, which are of something
        self.variables: list[str] = []  # of the limits and integrals around the node that is written
        self.indices: dict[str, None] = dict.fromkeys(outer)
        body = self._body(len(outer) + 1)
        raw = "\n".join([self._signature(), *self._open_loops(outer, 1), *body])
        self.source = ast.unparse(ast.parse(raw))  # the same program, with the brackets that it needs and no others
        self._function: Callable[..., Any] | None = None

    def run(self, out: Any, names: dict[str, Any], sizes: dict[str, int]) -> None:
        """Fill `out`; raises FormulaError for a mean, a max, a min or an argmax of nothing."""
        nothing = sorted(index for index in self.nonempty if sizes[index] == 0)
        if nothing and all(sizes[index] for index in self.outer):
            raise FormulaError(f"{self.target} takes a mean, max or min over {nothing[0]}, of which there is none")
        self.walk(out, {n: names[n] for n in self.used} | {f"size_{i}": sizes[i] for i in self.indices})

    def walk(self, out: Any, arguments: dict[str, Any]) -> None:
        """Go through the loops, in Python."""
        if self._function is None:
            self._function = define(self.source, VOCABULARY, f"<loops of {self.target}>")
        self._function(out, **arguments)

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
                lines.append(f"{_INDENT * depth}{', '.join(names)}, = {self._emit(expr, lines, depth)}")
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
        if (bound := binder(node)) is not None:
            return self._bind(*bound, lines, depth)
        emit = lambda child: self._emit(child, lines, depth)  # noqa: E731
        if is_rest(node):
            return REST
        if isinstance(node, ast.Name):
            named = {name for names, _ in self.macros.tuples for name in names}
            if not any(node.id in known for known in (self.indices, named, self.variables, VOCABULARY)):
                self.used.add(node.id)
            return node.id
        if isinstance(node, ast.Subscript):
            self.used.add(node.value.id)  # type: ignore[attr-defined]
            return f"{node.value.id}[{', '.join(emit(p) for p in subscripts(node))}]"  # type: ignore[attr-defined]
        if isinstance(node, ast.Compare):
            return f"(1.0 if {self._condition(node, lines, depth)} else 0.0)"
        if isinstance(node, ast.IfExp):
            test, nonempty = self._condition(node.test, lines, depth), set(self.nonempty)
            branches = emit(node.body), emit(node.orelse)
            self.nonempty = nonempty  # in a branch that is not taken, there may be nothing
            return f"({branches[0]} if {test} else {branches[1]})"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id not in FUNCTIONS:  # one that the caller gives
                self.used.add(node.func.id)
            return f"{node.func.id}({', '.join(emit(a) for a in node.args)})"
        if isinstance(node, ast.BinOp):
            sign = ast.unparse(ast.BinOp(ast.Name("a"), node.op, ast.Name("b")))[1:-1]
            return f"({emit(node.left)}{sign}{emit(node.right)})"
        if isinstance(node, ast.UnaryOp):
            return f"(-{emit(node.operand)})"
        return ast.unparse(node)

    def _condition(self, node: ast.expr, lines: list[str], depth: int) -> str:
        """What stands behind `if`. Complex numbers have no order: real parts are compared."""
        if not isinstance(node, ast.Compare):
            return self._emit(node, lines, depth)
        sides = []
        for side in (node.left, *node.comparators):
            plain = isinstance(side, ast.Constant) or index_name(side) in self.indices  # never complex
            sides.append(self._emit(side, lines, depth) if plain else f"({self._emit(side, lines, depth)}).real")
        signs = [ast.unparse(ast.Compare(ast.Name("a"), [op], [ast.Name("b")]))[2:-2] for op in node.ops]
        return sides[0] + "".join(f" {sign} {side}" for sign, side in zip(signs, sides[1:], strict=True))

    def _bind(self, kind: str, variable: str, bounds, body: ast.expr, lines: list[str], depth: int) -> str:
        """A limit or an integral asks for its body at many places: the body becomes a function of the variable."""
        self.temporaries += 1
        function = f"{kind}_{self.temporaries}"
        limits = [self._emit(bound, lines, depth) for bound in bounds]
        nested: list[str] = []
        self.variables.append(variable)
        value = self._emit(body, nested, depth + 1)
        self.variables.pop()
        pad = _INDENT * depth
        lines += [f"{pad}def {function}({variable}):", *nested, f"{pad}{_INDENT}return {value}"]
        return f"_{kind}({', '.join([function, *limits])})"

    def _reduce(self, kind: str, indices, body: ast.expr, lines: list[str], depth: int) -> str:
        if taken := set(indices) & self.outer:
            shown = ", ".join("..." if i == REST else i for i in sorted(taken))
            raise FormulaError(f"{kind}[{shown}] runs over an index that {self.target} already has; use another letter")
        self.temporaries += 1
        total = f"{kind}_{self.temporaries}"
        self.indices.update(dict.fromkeys(indices))
        if kind not in ("sum", "prod"):
            self.nonempty.update(indices)
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
        if kind in ("max", "min"):
            start = "-inf" if kind == "max" else "inf"
            lines += [f"{pad}{total} = {start}", *loops, f"{deep}{total} = {kind}({total}, {value})"]
            return total
        largest = f"largest_{self.temporaries}"
        first, here = (f"({', '.join(place)},)" for place in ("0" * len(indices), indices))
        lines += [
            f"{pad}{total} = {first}",
            f"{pad}{largest} = -inf",
            *loops,
            f"{deep}term = {value}",
            f"{deep}if larger({largest}, term):",
            f"{deep}{_INDENT}{total} = {here}",
            f"{deep}{_INDENT}{largest} = term",
        ]
        return total


def define(source: str, words: dict[str, Any], file: str) -> Callable[..., Any]:
    """The function that the loops' source defines, where `words` says what each of its words does."""
    scope: dict[str, Any] = {"__name__": __name__, **words}
    exec(compile(source, file, "exec"), scope)
    return scope["loops"]
