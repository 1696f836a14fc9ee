"""Which turns of a formula's loops land on one cell: a statement's left side, solved for its indices.

Of `dxp[n, c, u*sv+i*dv, v*sh+j*dh]` a given cell is hit by several (u, i) and (v, j), one for each window it lies in.
The table of candidates grows by the indices of one place at a time, and shrinks at once to those that give the cell's
own place there, so it never holds all loops together.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np

from tinycnn.formula.loops import VOCABULARY, LoopNest
from tinycnn.formula.notation import REST
from tinycnn.formula.parse import FormulaError, index_name, is_rest, reduction, subscripts

APPLY = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b, ast.FloorDiv: lambda a, b: a // b, ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
}  # fmt: skip
COMPARE = {
    ast.Eq: lambda a, b: a == b, ast.NotEq: lambda a, b: a != b, ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b, ast.Gt: lambda a, b: a > b, ast.GtE: lambda a, b: a >= b,
}  # fmt: skip
_ON_COLUMNS = {"floor": np.floor, "min": np.minimum, "max": np.maximum}

Table = dict[str, np.ndarray]  # a column for each index, a row for each candidate


def landings(
    index: tuple[int, ...], nest: LoopNest, names: dict[str, Any], sizes: dict[str, int], rest: tuple[int, ...] = ()
) -> list[dict[str, int]]:
    """Every turn of the loops that writes to this cell, each as the value of every index, in the order of the loops.

    Names that `where` defines by an argmax (`a, b`) come with their values too. `rest` is what `...` stands for in
    the target.
    """
    places = nest.places
    table: Table = {}
    if places and is_rest(places[-1]):
        places = places[:-1]
        index, others = index[: len(places)], index[len(places) :]
        if len(others) != len(rest) or not all(0 <= i < size for i, size in zip(others, rest, strict=True)):
            return []
        table[REST] = np.array([np.ravel_multi_index(others, rest)] if rest else [0])
    if len(index) != len(places):
        return []
    words = [pair for pair in nest.macros.tuples if nest._uses(pair[0])]
    if all(map(index_name, places)) and not nest.scatter and not words:  # y[n,f,u,v]: the place says it all
        at = dict(zip(map(index_name, places), index, strict=True))
        fits = all(0 <= i < sizes[name] for name, i in at.items())
        return [at | {name: int(column[0]) for name, column in table.items()}] if fits else []
    if not (solved := _solved(places, index, nest.macros.free, nest, names, sizes, table)):
        return []
    table = solved[0]
    outer = [name for name in nest.indices if name in nest.outer]
    table = _cross(table, [name for name in outer if name not in table], sizes)
    for names_of, expr in words:
        table |= _argmax(names_of, expr, nest, names, sizes, table)
    order = np.lexsort([table[name] for name in reversed(outer)]) if outer else range(_rows(table))
    return [{name: int(column[row]) for name, column in table.items()} for row in order]


def rivals(
    index: tuple[int, ...], nest: LoopNest, names: dict[str, Any], sizes: dict[str, int]
) -> list[dict[str, int]]:
    """Every turn that would write to this cell if an argmax (`a, b`) came out for it: the windows that hold a pixel.

    Each as the value of every index that tells them apart.
    """
    tuples = nest.macros.tuples
    words = {word: i for group, expr in tuples for word, i in zip(group, _sought(expr), strict=True)}
    ranges = sizes | {word: sizes[i] for word, i in words.items()}

    def loose(place: ast.expr) -> list[str]:
        found = [node.id for node in ast.walk(place) if isinstance(node, ast.Name)]
        return [name for name in dict.fromkeys(found) if name in words or name in nest.indices]

    solved = _solved(nest.places, index, loose, nest, names, ranges, {})
    if not solved:
        return []
    (table,) = solved
    return [
        {name: int(column[row]) for name, column in table.items() if name not in words} for row in range(_rows(table))
    ]


def _solved(
    places: tuple[ast.expr, ...], index: tuple[int, ...], loose: Callable[[ast.expr], list[str]], nest: LoopNest,
    names: dict[str, Any], sizes: dict[str, int], table: Table,
) -> tuple[Table, ...]:  # fmt: skip
    """The table of all indices with which the places are this index; none if there are none. `loose` are a place's."""
    waiting = list(zip(places, index, strict=True))
    while waiting:
        new = [[name for name in loose(place) if name not in table] for place, _ in waiting]
        nearest = min(range(len(new)), key=lambda k: len(new[k]))  # the place with the fewest open indices
        place, wanted = waiting.pop(nearest)
        table = _cross(table, new[nearest], sizes)
        keep = np.broadcast_to(_column(place, nest, names, sizes, table) == wanted, _rows(table))
        if not keep.any():
            return ()
        table = {name: column[keep] for name, column in table.items()}
    return (table,)


def _rows(table: Table) -> int:
    return len(next(iter(table.values()))) if table else 1


def _cross(table: Table, new: list[str], sizes: dict[str, int]) -> Table:
    """Every row together with every value of the new indices, the last of them running fastest."""
    shape = (_rows(table), *(sizes[name] for name in new))
    old = {k: np.broadcast_to(a.reshape(-1, *(1,) * len(new)), shape).ravel() for k, a in table.items()}
    grid = np.indices(shape)[1:] if new else ()
    return old | {name: one.ravel() for name, one in zip(new, grid, strict=True)}


def _column(node: ast.expr, nest: LoopNest, names: dict[str, Any], sizes: dict[str, int], table: Table) -> Any:
    """The value of an index expression in every row."""
    column = lambda child: _column(child, nest, names, sizes, table)  # noqa: E731
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        if node.id in table:
            return table[node.id]
        for words, expr in nest.macros.tuples:
            if node.id in words:
                return _argmax(words, expr, nest, names, sizes, table)[node.id]
        return names[node.id] if node.id in names else VOCABULARY[node.id]
    if isinstance(node, ast.Subscript) and not any(map(is_rest, subscripts(node))):
        return np.asarray(names[node.value.id])[tuple(map(column, subscripts(node)))]  # type: ignore[attr-defined]
    if isinstance(node, ast.BinOp):
        return APPLY[type(node.op)](column(node.left), column(node.right))
    if isinstance(node, ast.UnaryOp):
        return -column(node.operand)
    if isinstance(node, ast.IfExp):
        return np.where(column(node.test), column(node.body), column(node.orelse))
    if isinstance(node, ast.Compare):
        sides = [np.real(column(side)) for side in (node.left, *node.comparators)]
        return np.all([COMPARE[type(op)](a, b) for op, a, b in zip(node.ops, sides, sides[1:], strict=False)], axis=0)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ON_COLUMNS:
        return _ON_COLUMNS[node.func.id](*map(column, node.args))
    raise FormulaError(f"which turns of the loops have {ast.unparse(node)} as their place cannot be found")


def _argmax(
    words: tuple[str, ...], expr: ast.expr, nest: LoopNest, names: dict[str, Any], sizes: dict[str, int], table: Table
) -> Table:
    """The columns of `a, b = argmax[i,j](…)`: where in each row the largest is, the first of equals and of NaN."""
    indices, body = _sought(expr), reduction(expr)[2]  # type: ignore[index]
    inner = _cross(table, list(indices), sizes)
    values = np.broadcast_to(np.real(_column(body, nest, names, sizes, inner)), _rows(inner))
    shape = tuple(sizes[i] for i in indices)
    winner = values.reshape(_rows(table), -1).argmax(axis=1)
    return dict(zip(words, np.unravel_index(winner, shape), strict=True))


def _sought(expr: ast.expr) -> tuple[str, ...]:
    """The indices over which an argmax is taken."""
    reduced = reduction(expr)
    if reduced is None or reduced[0] != "argmax":
        raise FormulaError(f"{ast.unparse(expr)} is no argmax, and gives no place")
    return tuple(reduced[1])
