"""What is owed to one symbol, collected into the lines of its gradient.

A cell read at `x[n,c]` gathers with Σ over all other indices, and everything owed at the same places is added up in one
line. A cell read at a composite place, or at that of a largest, is handed its share turn by turn (`+=`).
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tinycnn.formula.notation import INDEX_SIZES, REST
from tinycnn.formula.parse import FormulaError, Statement, index_name, reduction
from tinycnn.formula.partials import cells_of, renamed
from tinycnn.formula.simplify import Product, add, same
from tinycnn.formula.unfold import cell

if TYPE_CHECKING:
    from tinycnn.formula.derivative import Derivation


@dataclass(frozen=True)
class Owed:
    """What is owed to the cell at `places`, at every turn of the loops over these indices."""

    places: tuple[ast.expr, ...]
    factor: Product
    loops: tuple[str, ...]
    placed: bool  # whether the place is that of a largest
    guarded: bool  # whether the cell is read in one branch alone
    step: Statement  # that read the cell


def lines_of(name: str, owed: list[Owed], derivation: Derivation) -> list[str]:
    """The lines that make the gradient `name` from all that is owed to it."""
    gathered: list[tuple[tuple[ast.expr, ...], list[Product]]] = []
    lines = []
    for one in owed:
        _check(name, one, derivation)
        if not _gathers(one, derivation):
            if one.guarded and not all(map(index_name, one.places)):
                where = ast.unparse(cell(name[1:], one.places))
                raise FormulaError(f"{where} is read only under a condition, and may not exist where it does not hold")
            expr = one.factor.expression()
            _check_all_turns(name, one, [*one.places, expr], derivation)
            lines.append(f"{ast.unparse(cell(name, one.places))} += {ast.unparse(expr)}")
            continue
        for places, products in gathered:
            moved = _moved(one, places, derivation)
            if moved is not None:
                products.append(_sum(name, moved, derivation))
                break
        else:
            gathered.append((one.places, [_sum(name, one, derivation)]))
    for k, (places, products) in enumerate(gathered):
        sign = "+=" if k else "="
        line = f"{ast.unparse(cell(name, places))} {sign} {ast.unparse(add(products).expression())}"
        lines.insert(k, line)
    return lines


def _sum(name: str, one: Owed, derivation: Derivation) -> Product:
    """Σ over the indices that the place does not name; what does not depend on them stands before it."""
    own = derivation.free(*one.places)
    others = [index for index in one.loops if index not in own]
    if not others:
        return one.factor
    inside, outside = one.factor.split(lambda factor: bool(set(derivation.free(factor)) & set(others)))
    body = inside.expression()
    _check_all_turns(name, one, [*one.places, body], derivation)
    indices = [ast.Constant(...) if index == REST else ast.Name(index) for index in others]
    total: ast.expr = ast.Call(cell("sum", tuple(indices)), [body], [])
    for made in derivation.first:  # the very sum that has a name already
        total = cell(made.target, made.places) if same(total, made.expr) else total
    return outside * Product(over=(total,))


def _gathers(one: Owed, derivation: Derivation) -> bool:
    """Whether no two turns reach the same cell: each place moves by 1 with an index of its own."""
    indices = [_moves_with(place, derivation) for place in one.places]
    return not one.placed and all(indices) and len(set(indices)) == len(indices)


def _moves_with(place: ast.expr, derivation: Derivation) -> str:
    """The one index that the place follows step by step (`u`, `u+top`, `KH-1-i`), or ""."""
    place = renamed(place, derivation.formula._macros.simple)
    still = lambda node: not derivation.free(node)  # noqa: E731
    if index_name(place) and not still(place):
        return index_name(place)
    if isinstance(place, ast.BinOp) and isinstance(place.op, ast.Add | ast.Sub):
        if still(place.left):
            return _moves_with(place.right, derivation)
        return _moves_with(place.left, derivation) if still(place.right) else ""
    if isinstance(place, ast.IfExp) and still(place.test):
        body, orelse = (_moves_with(branch, derivation) for branch in (place.body, place.orelse))
        return body if body == orelse else ""
    return ""


def _moved(one: Owed, places: tuple[ast.expr, ...], derivation: Derivation) -> Owed | None:
    """The same, with its indices renamed so that its places are these; None if that cannot be."""
    if len(places) == len(one.places) and all(map(same, places, one.places)):
        return one
    own, wanted = [index_name(p) for p in one.places], [index_name(p) for p in places]
    if len(own) != len(wanted) or not all(own) or not all(wanted):
        return None
    table = {a: b for a, b in zip(own, wanted, strict=True) if a != b}
    table |= {b: a for a, b in table.items()}
    kin = all(INDEX_SIZES.get(a) == INDEX_SIZES.get(b) for a, b in table.items())
    if not kin or any(set(table) & indices for indices in derivation.indices_of.values()):
        return None
    letters: dict[str, ast.expr] = {a: ast.Name(b) for a, b in table.items()}
    swap = lambda factors: tuple(renamed(factor, letters) for factor in factors)  # noqa: E731
    factor = Product(one.factor.number, swap(one.factor.over), swap(one.factor.under))
    return replace(one, places=places, factor=factor, loops=tuple(table.get(index, index) for index in one.loops))


def _check_all_turns(name: str, one: Owed, exprs: list[ast.expr], derivation: Derivation) -> None:
    """Every index must still stand somewhere, and run as far as it did in the statement it comes from."""
    free = derivation.free(*exprs, *one.factor.over, *one.factor.under)
    lost = [index for index in one.loops if index not in free]
    if lost:
        raise FormulaError(f"{derivation.formula.name}: nothing in {name} would tell how far index {lost[0]} runs")


def _check(name: str, one: Owed, derivation: Derivation) -> None:
    """The letters: each runs as far as it did, and none is taken by a Σ inside."""
    factors = [*one.factor.over, *one.factor.under]
    inner = {i for f in factors for n in ast.walk(f) if (found := reduction(n)) is not None for i in found[1]}
    if taken := inner & set(one.loops):
        shown = ", ".join(sorted(taken)).replace(REST, "...")
        raise FormulaError(f"{derivation.formula.name}: in {name}, {shown} would run twice at once; use another letter")
    before = cell(one.step.target, one.step.places), one.step.expr
    now = cell(name, one.places), *factors
    for index in set(one.loops) - {REST}:
        sizes = _sizes_where_alone(index, before, derivation)
        if sizes and not _sizes_where_alone(index, now, derivation) and sizes != {INDEX_SIZES.get(index)}:
            raise FormulaError(f"{derivation.formula.name}: nothing in {name} would tell how far index {index} runs")


def _sizes_where_alone(index: str, exprs: tuple[ast.expr, ...], derivation: Derivation) -> set[str]:
    """The sizes of the axes where an index stands alone, "" where the axis has no name."""
    shapes = derivation.formula.shapes
    found = set()
    for symbol, places in cells_of(*exprs):
        dims = (*(shapes.get(symbol) or ()), *[""] * len(places))
        found |= {dim for place, dim in zip(places, dims, strict=False) if index_name(place) == index}
    return found
