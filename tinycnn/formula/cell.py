"""One cell of a result, taken apart: which cells were read, each product, and the sum that they make."""

from __future__ import annotations

import ast
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn.formula.loops import VOCABULARY, larger
from tinycnn.formula.notation import REST
from tinycnn.formula.parse import FormulaError, index_name, is_rest, reduction, subscripts

_APPLY = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b, ast.FloorDiv: lambda a, b: a // b, ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
}  # fmt: skip
_SIGN = {
    ast.Add: " + ", ast.Sub: " − ", ast.Mult: "·", ast.Div: " / ", ast.FloorDiv: "//", ast.Mod: " mod ", ast.Pow: "^",
}  # fmt: skip
_LEVEL = {" + ": 1, " − ": 1, "·": 2, " / ": 2, "//": 2, " mod ": 2, "^": 3}
_COMPARE = {
    ast.Eq: lambda a, b: a == b, ast.NotEq: lambda a, b: a != b, ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b, ast.Gt: lambda a, b: a > b, ast.GtE: lambda a, b: a >= b,
}  # fmt: skip
_SHOWN_FIRST, _SHOWN_LAST = 6, 2  # of a long sum


@dataclass(frozen=True)
class Cell:
    """A value, and the parts it was made from: a leaf reads one cell, anything else combines its parts.

    `kind` is "read", "number", a reduction ("sum", "max", …), a function's name, or an operator's sign.
    """

    kind: str
    value: Any
    parts: tuple[Cell, ...] = ()
    symbol: str = ""
    index: tuple[int, ...] = ()

    @property
    def reads(self) -> tuple[tuple[str, tuple[int, ...], Any], ...]:
        """Every cell that was read: (symbol, index, value), in the order of the formula."""
        if self.kind == "read":
            return ((self.symbol, self.index, self.value),)
        return tuple(itertools.chain.from_iterable(part.reads for part in self.parts))

    @property
    def terms(self) -> tuple[Cell, ...]:
        """The summands: a sum's and a plus sign's parts, laid side by side."""
        if self.kind in ("sum", " + "):
            return tuple(itertools.chain.from_iterable(part.terms for part in self.parts))
        return (self,)

    def text(self, numbers: bool = True, level: int = 0) -> str:
        """The cell written out: with the numbers in, or (`numbers=False`) with the places they were read from."""
        if self.kind == "read":
            place = f"{self.symbol}[{','.join(map(str, self.index))}]" if self.index else self.symbol
            return show_number(self.value) if numbers else place
        if self.kind == "number":
            return show_number(self.value)
        if self.kind == "sum":
            joined = " + ".join(_shorten(self.parts, numbers, 1))
            return f"({joined})" if level > 1 else joined
        if self.kind in _LEVEL:
            own = _LEVEL[self.kind]
            left, right = self.parts
            before = left.text(numbers, own + (self.kind == "^"))
            joined = before + self.kind + right.text(numbers, own + (own > 1 or self.kind == " − "))
            return f"({joined})" if own < level else joined
        return f"{self.kind}({', '.join(_shorten(self.parts, numbers, 0))})"


def show_number(value: Any) -> str:
    """Four significant digits, a real minus in brackets, and exact zero as 0.

    >>> show_number(-0.12345), show_number(0.0), show_number(2)
    ('(−0.1235)', '0', '2')
    """
    if isinstance(value, complex):
        return f"({value:.4g})"
    if value == 0:
        return "0"
    text = f"{abs(value):.4g}".replace("e-", "e−")
    return f"(−{text})" if value < 0 else text


def _shorten(parts: tuple[Cell, ...], numbers: bool, level: int) -> list[str]:
    """Every part in words; of more than 27, the first six and the last two, and what lies between summed up."""
    if len(parts) <= 27:
        return [part.text(numbers, level) for part in parts]
    shown = [part.text(numbers, level) for part in (*parts[:_SHOWN_FIRST], *parts[-_SHOWN_LAST:])]
    left_out = parts[_SHOWN_FIRST:-_SHOWN_LAST]
    more = f"… {len(left_out)} more"
    if numbers and level:
        more += f" (sum = {show_number(sum(p.value for p in left_out)).strip('()')})"
    return [*shown[:_SHOWN_FIRST], more, *shown[_SHOWN_FIRST:]]


def expand_cell(expr: ast.expr, names: dict[str, Any], at: dict[str, int], sizes: dict[str, int]) -> Cell:
    """Evaluate an expression at one place (`at` gives each index its value), keeping every step."""
    expand = lambda node, more=None: expand_cell(node, names, at | (more or {}), sizes)  # noqa: E731
    if (reduced := reduction(expr)) is not None:
        kind, indices, body = reduced
        places = itertools.product(*(range(sizes[i]) for i in indices))
        return _reduce(kind, tuple(expand(body, dict(zip(indices, place, strict=True))) for place in places))
    if isinstance(expr, ast.Constant):
        return Cell("number", expr.value)
    if isinstance(expr, ast.Name):
        value = at[expr.id] if expr.id in at else names[expr.id] if expr.id in names else VOCABULARY[expr.id]
        return Cell("read", value, symbol=expr.id) if expr.id not in at else Cell("number", value)
    if isinstance(expr, ast.Subscript):
        symbol = expr.value.id  # type: ignore[attr-defined]
        axes = subscripts(expr)
        index = tuple(int(expand(axis).value) for axis in axes if not is_rest(axis))
        if is_rest(axes[-1]):  # one number counts through the axes that are not named
            index += tuple(map(int, np.unravel_index(at[REST], np.shape(names[symbol])[len(index) :])))
        return Cell("read", names[symbol][index], symbol=symbol, index=index)
    if isinstance(expr, ast.BinOp):
        left, right = expand(expr.left), expand(expr.right)
        return Cell(_SIGN[type(expr.op)], _APPLY[type(expr.op)](left.value, right.value), (left, right))
    if isinstance(expr, ast.UnaryOp):
        part = expand(expr.operand)
        return Cell("−", -part.value, (part,))
    if isinstance(expr, ast.IfExp):
        return expand(expr.body if expand(expr.test).value else expr.orelse)
    parts = tuple(expand(a) for a in (expr.args if isinstance(expr, ast.Call) else (expr.left, *expr.comparators)))  # type: ignore[attr-defined]
    if isinstance(expr, ast.Compare):
        sides = [p.value.real for p in parts]
        holds = all(_COMPARE[type(op)](a, b) for op, a, b in zip(expr.ops, sides, sides[1:], strict=False))
        return Cell(ast.unparse(expr), float(holds), parts)
    function = expr.func.id  # type: ignore[attr-defined]
    return Cell(function, VOCABULARY[function](*(p.value for p in parts)), parts)


def locate(
    index: tuple[int, ...], places: tuple[ast.expr, ...], names: dict[str, Any], sizes: dict[str, int],
    rest: tuple[int, ...] = (),
) -> dict[str, int] | None:  # fmt: skip
    """The value of each index at which `places` is this cell; None where no value gives it."""
    fixed: dict[str, int] = {}
    if places and is_rest(places[-1]):
        places = places[:-1]
        index, others = index[: len(places)], index[len(places) :]
        if len(others) != len(rest) or not all(0 <= i < size for i, size in zip(others, rest, strict=True)):
            return None
        fixed = {REST: int(np.ravel_multi_index(others, rest))}
    if len(index) != len(places):
        return None
    if all(map(index_name, places)):
        at = dict(zip(map(index_name, places), index, strict=True))
        return at | fixed if all(0 <= i < sizes[name] for name, i in at.items()) else None
    open_indices = [name for name in sizes if any(name == getattr(n, "id", "") for p in places for n in ast.walk(p))]
    for values in itertools.product(*(range(sizes[name]) for name in open_indices)):
        at = dict(zip(open_indices, values, strict=True))
        if all(expand_cell(p, names, at, sizes).value == i for p, i in zip(places, index, strict=True)):
            return at | fixed
    return None


def _reduce(kind: str, parts: tuple[Cell, ...]) -> Cell:
    if kind in ("sum", "mean"):
        total = sum(part.value for part in parts)
        if kind == "sum":
            return Cell("sum", total, parts)
        return Cell(" / ", total / len(parts), (Cell("sum", total, parts), Cell("number", len(parts))))
    if kind == "prod":
        return Cell("prod", math.prod(part.value for part in parts), parts)
    if kind == "argmax":
        raise FormulaError("an argmax is a place, and has no terms")
    sign = -1 if kind == "min" else 1
    best = parts[0].value
    for part in parts[1:]:
        best = part.value if larger(sign * best, sign * part.value) else best
    return Cell(kind, best, parts)
