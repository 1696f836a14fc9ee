"""A formula taken apart cell by cell: what one cell is made of, and what was made on the way to it.

Nothing is computed but the cells that are asked for, and those that these read. A cell that others scatter onto is the
sum of what lands on it, so a gradient that the formula hands out window by window is here gathered pixel by pixel.
"""

from __future__ import annotations

import ast
import itertools
import math
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tinycnn.formula.cell import Cell
from tinycnn.formula.loops import VOCABULARY, LoopNest, larger
from tinycnn.formula.notation import REST
from tinycnn.formula.parse import FormulaError, binder, is_rest, reduction, subscripts
from tinycnn.formula.places import APPLY, COMPARE, landings, rivals

if TYPE_CHECKING:
    from tinycnn.formula.declare import Formula

_SIGN = {
    ast.Add: " + ", ast.Sub: " − ", ast.Mult: "·", ast.Div: " / ", ast.FloorDiv: "//", ast.Mod: " mod ", ast.Pow: "^",
}  # fmt: skip
_COMPARE_SIGN = {ast.Eq: " = ", ast.NotEq: " ≠ ", ast.Lt: " < ", ast.LtE: " ≤ ", ast.Gt: " > ", ast.GtE: " ≥ "}


class Cells:
    """Every cell of what a formula makes of these values; `cell(index, result)` takes one apart.

    What is found is remembered, so the cells of one result share what they were made from.
    """

    def __init__(self, formula: Formula, values: dict[str, Any]):
        self.formula, self.values = formula, values
        self.names = formula.names(**values)
        self.nests: tuple[LoopNest, ...] = (*formula._first, *formula._nests)
        self.sizes: list[dict[str, int]] = []
        self._known: dict[tuple[str, tuple[int, ...], int], Cell] = {}
        self._whole: dict[int, Any] = {}
        for k, nest in enumerate(self.nests):  # of what is made, the shape alone is wanted here
            sides = (*nest.places, *(expr for words, expr in nest.macros.tuples if nest._uses(words)))
            names = (node.id for side in sides for node in ast.walk(side) if isinstance(node, ast.Name))
            if taken := sorted({earlier.target for earlier in self.nests[:k]} & set(names)):
                raise FormulaError(f"{formula.name}: where {nest.target} is written depends on {taken[0]}, itself made")
            if nest.target not in self.names:
                shape = formula._shape_of(nest, self.names)
                self.names[nest.target] = np.broadcast_to(np.float32(0), shape)  # a zero that widens no other number
            self.sizes.append(formula._sizes(nest, self.names, nest.target))
        self._sought = [_has_no_terms(nest.expr) for nest in self.nests]

    def cell(self, index: tuple[int, ...], result: str | None = None) -> Cell:
        """One cell of a result (the first, unless named) or of what is made on the way to it.

        Raises FormulaError for a name that the formula does not make, and for a place outside it.
        """
        target = result or self.formula.results[0]
        made = list(dict.fromkeys(nest.target for nest in self.nests))
        if target not in made:
            raise FormulaError(f"{self.formula.name} makes no {target!r}; it makes {', '.join(made)}")
        shape = np.shape(self.names[target])
        if len(index) != len(shape) or not all(0 <= i < size for i, size in zip(index, shape, strict=True)):
            raise FormulaError(f"{self.formula.name}: there is no cell {list(index)} in {target}")
        with np.errstate(all="ignore"):
            return self._made(target, tuple(map(int, index)), len(self.nests))

    def _made(self, symbol: str, index: tuple[int, ...], before: int) -> Cell:
        """A cell as the statements before this one have left it: the last that fills it, and all that add to it."""
        key = symbol, index, before
        if key not in self._known:
            self._known[key] = self._make(symbol, index, before)
        return self._known[key]

    def _make(self, symbol: str, index: tuple[int, ...], before: int) -> Cell:
        added: list[Cell] = []
        because: list[Cell] = []
        for k in (k for k in reversed(range(before)) if self.nests[k].target == symbol):
            nest = self.nests[k]
            if self._sought[k]:
                first = Cell("read", self._walked(k)[index], symbol=symbol, index=index)
                return first if not added else _sum((first, *added))
            turns = landings(index, nest, self.names, self.sizes[k], self.formula._rest_of(nest, self.names))
            because += self._deciding(index, k, turns if nest.scatter else turns[-1:])
            if nest.scatter:
                added = [*(self._expand(nest.expr, turn, k) for turn in turns), *added]
            elif turns:
                first = self._expand(nest.expr, turns[-1], k)
                return _found(first if not added else _sum((first, *added)), because)
        start = self.names[symbol][index]
        if start or not any(nest.target == symbol and nest.scatter for nest in self.nests[:before]):
            added = [Cell("read", start, symbol=symbol, index=index), *added]
            return _found(added[0] if len(added) == 1 else _sum(tuple(added)), because)
        return _found(_sum(tuple(added)), because)

    def _deciding(self, index: tuple[int, ...], k: int, turns: list[dict[str, int]]) -> list[Cell]:
        """What was looked at to find where statement k writes: tables of places, and what an argmax was taken of."""
        nest = self.nests[k]
        looked_up = [one for turn in turns for place in nest.places for one in self._looked_up(place, turn, k)]
        for words, expr in nest.macros.tuples:
            if nest._uses(words):
                _, indices, body = reduction(expr)  # type: ignore[misc]
                inner = list(itertools.product(*(range(self.sizes[k][i]) for i in indices)))
                for turn in rivals(index, nest, self.names, self.sizes[k]):
                    looked_up += [self._expand(body, turn | dict(zip(indices, at, strict=True)), k) for at in inner]
        return looked_up

    def _looked_up(self, place: ast.expr, at: dict[str, int], k: int) -> list[Cell]:
        """The numbers of an array that stand inside an index expression."""
        return [self._expand(node, at, k) for node in _tables(place)]

    def _walked(self, k: int) -> Any:
        """A whole array, made by its loops: for what is found otherwise than by adding terms up."""
        if k not in self._whole:
            names, made = self.formula.names(**self.values), set[str]()
            for nest in self.nests[: k + 1]:
                self.formula._run(nest, names, made)
            self._whole[k] = names[self.nests[k].target]
        return self._whole[k]

    def _read(self, symbol: str, index: tuple[int, ...], before: int) -> Cell:
        """What statement `before` reads there: given, or made by those before it."""
        nests = [nest for nest in self.nests[:before] if nest.target == symbol]
        if not nests:
            return Cell("read", self.names[symbol][index] if index else self.names[symbol], symbol=symbol, index=index)
        made = self._made(symbol, index, before)
        if nests[-1].scatter or (made.kind, made.symbol) == ("read", symbol):
            return made  # a border image such as dxp is but a way to say where to add
        return Cell("read", made.value, symbol=symbol, index=index, made=made)

    def _expand(self, expr: ast.expr, at: dict[str, int], k: int) -> Cell:
        """Evaluate an expression of statement k at one place (`at` gives each index its value), keeping every step."""
        expand = lambda node, more=None: self._expand(node, at | (more or {}), k)  # noqa: E731
        if isinstance(expr, ast.Subscript):
            found = self._read(expr.value.id, self._index(expr, at, k), k)  # type: ignore[attr-defined]
            return _found(found, [one for axis in subscripts(expr) for one in self._looked_up(axis, at, k)])
        if isinstance(expr, ast.BinOp):
            left, right = self._expand(expr.left, at, k), self._expand(expr.right, at, k)
            return Cell(_SIGN[type(expr.op)], APPLY[type(expr.op)](left.value, right.value), (left, right))
        if (reduced := reduction(expr)) is not None:
            kind, indices, body = reduced
            places = itertools.product(*(range(self.sizes[k][i]) for i in indices))
            return _reduce(kind, tuple(expand(body, dict(zip(indices, place, strict=True))) for place in places))
        if isinstance(expr, ast.Constant):
            return Cell("number", expr.value)
        if isinstance(expr, ast.Name):
            if expr.id in at:
                return Cell("number", at[expr.id])
            known = expr.id in self.names
            return self._read(expr.id, (), k) if known else Cell("read", VOCABULARY[expr.id], symbol=expr.id)
        if isinstance(expr, ast.UnaryOp):
            part = expand(expr.operand)
            return Cell("−", -part.value, (part,))
        if isinstance(expr, ast.IfExp):
            test = expand(expr.test)
            return _found(expand(expr.body if test.value else expr.orelse), [test])
        if isinstance(expr, ast.Compare):
            parts = tuple(map(expand, (expr.left, *expr.comparators)))
            sides = [p.value.real for p in parts]
            holds = all(COMPARE[type(op)](a, b) for op, a, b in zip(expr.ops, sides, sides[1:], strict=False))
            return Cell("[]", float(holds), parts, "".join(_COMPARE_SIGN[type(op)] for op in expr.ops))
        if _has_no_terms(expr):
            raise FormulaError(f"{self.formula.name}: an argmax, a limit and an integral are not a sum of terms")
        function = expr.func.id  # type: ignore[attr-defined]
        parts = tuple(map(expand, expr.args))  # type: ignore[attr-defined]
        apply = VOCABULARY[function] if function in VOCABULARY else self.names[function]  # or one that the caller gives
        return Cell(function, apply(*(p.value for p in parts)), parts)

    def _index(self, node: ast.Subscript, at: dict[str, int], k: int) -> tuple[int, ...]:
        """Where an array is read: its index expressions as numbers, and `...` as the axes it stands for."""
        axes = subscripts(node)
        rest = is_rest(axes[-1])
        named = axes[:-1] if rest else axes
        index = tuple([int(self._number(axis, at, k)) for axis in named])
        if not rest:
            return index
        shape = np.shape(self.names[node.value.id])[len(index) :]  # type: ignore[attr-defined]
        return (*index, *map(int, np.unravel_index(at[REST], shape)))  # one number counts through them

    def _number(self, node: ast.expr, at: dict[str, int], k: int) -> Any:
        """An index expression's value."""
        if isinstance(node, ast.Name) and node.id in at:
            return at[node.id]
        if isinstance(node, ast.BinOp):
            return APPLY[type(node.op)](self._number(node.left, at, k), self._number(node.right, at, k))
        return self._expand(node, at, k).value


def _found(cell: Cell, because: list[Cell]) -> Cell:
    """The cell, with what was looked at to find it."""
    return replace(cell, because=(*cell.because, *because)) if because else cell


@lru_cache(maxsize=4096)
def _tables(place: ast.expr) -> tuple[ast.Subscript, ...]:
    """The arrays that an index expression reads."""
    return tuple(node for node in ast.walk(place) if isinstance(node, ast.Subscript))


def _sum(parts: tuple[Cell, ...]) -> Cell:
    return Cell("sum", sum((part.value for part in parts[1:]), parts[0].value) if parts else 0.0, parts)


def _has_no_terms(expr: ast.expr) -> bool:
    """Whether somewhere in it a place is sought (argmax), or a limit or an integral taken."""
    heads = [reduction(node) or binder(node) for node in ast.walk(expr)]
    return any(head is not None and head[0] in ("argmax", "lim", "integral") for head in heads)


def _reduce(kind: str, parts: tuple[Cell, ...]) -> Cell:
    if not parts and kind not in ("sum", "prod"):
        raise FormulaError(f"a {kind} of nothing has no terms")
    if kind in ("sum", "mean"):
        total = _sum(parts)
        return total if kind == "sum" else Cell(" / ", total.value / len(parts), (total, Cell("number", len(parts))))
    if kind == "prod":
        return Cell("prod", math.prod(part.value for part in parts), parts)
    sign = -1 if kind == "min" else 1
    best = parts[0].value
    for part in parts[1:]:
        best = part.value if larger(sign * best, sign * part.value) else best
    return Cell(kind, best, parts)
