"""A step's cells: one number of a result, every cell it was made from, and the sum that makes it.

It is the formula of the step that does this, on the numbers that the step recorded, so no op is told apart from any
other. Numbers are taken to float64 first; what is added up here is compared with what the network itself computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinycnn.formula import Formula
from tinycnn.formula.cell import Cell, added
from tinycnn.formula.expand import Cells
from tinycnn.formula.numbers import formula_number
from tinycnn.tracing.sentences import cell_why

if TYPE_CHECKING:
    from tinycnn.tracing.steps import Step


class RecordedCells(Cells):
    """The cells of a formula, from every name's value as a step recorded it."""

    def __init__(self, formula: Formula, names: dict[str, Any]):  # nothing is worked out anew
        self.formula, self.values = formula, {}
        self.names = {name: _wide(value) for name, value in names.items()}
        self.nests = (*formula._first, *formula._nests)
        self.sizes, self._known, self._whole = [], {}, {}
        for nest in self.nests:
            if nest.target not in self.names:
                self.names[nest.target] = np.broadcast_to(np.float32(0), formula._shape_of(nest, self.names))
            self.sizes.append(formula._sizes(nest, self.names, nest.target))
        self._sought = [False] * len(self.nests)


def cell_step(cells: Cells, step: Step, result: str, index: tuple[int, ...], recorded: Any) -> dict[str, Any]:
    """One cell as a dictionary: its sum in words and numbers, its terms, what was made on the way."""
    cell = cells.cell(index, result)
    place = f"{result}[{','.join(map(str, index))}]" if index else result
    found = {
        "step": step.number, "result": result, "index": list(index), "formula": step.formula["text"],
        "places": f"{place} = {cell.text(False)}", "numbers": cell.text(),
        "value": float(cell.value), "total": float(added(cell.terms)),
        "recorded": None if recorded is None else float(recorded),
        "terms": [_term(term) for term in cell.terms], "made": _made_on_the_way(cell), "chosen": _chosen(cell),
    }  # fmt: skip
    total, own = formula_number(found["total"]), formula_number(cell.value if recorded is None else recorded)
    sum_ = "" if found["numbers"] in (total, f"({total})") else f" = {found['numbers']}"
    differs = "" if total == own else f" (the network's own rounding gave {own})"
    why = cell_why(found, step.op, _on_border(found, cells))
    return found | {"text": f"{place}{sum_} = {total}{differs}", "why": why}


def _on_border(found: dict[str, Any], cells: Cells) -> int:
    """How many of the numbers read lie on the border of the padded image."""
    if "xp" not in cells.names or "x" not in cells.names or "left" not in cells.names:
        return 0
    image = np.shape(cells.names["x"])
    before = (*(0,) * (len(image) - 2), cells.names.get("top", 0), cells.names["left"])[-len(image) :]
    places = {tuple(read["index"]) for term in found["terms"] for read in term["reads"] if read["symbol"] == "xp"}
    inside = lambda at: all(0 <= i - b < size for i, b, size in zip(at, before, image, strict=True))  # noqa: E731
    return sum(not inside(at) for at in places)


def _term(cell: Cell) -> dict[str, Any]:
    reads = [{"symbol": s, "index": list(i), "value": float(v)} for s, i, v in cell.reads]
    return {"text": cell.text(False), "numbers": cell.text(), "value": float(cell.value), "reads": reads}


def _made_on_the_way(cell: Cell) -> list[dict[str, Any]]:
    """What is read and was itself made by the formula (a mean, a maximum), once each, what others need first."""
    found: dict[tuple[str, tuple[int, ...]], dict[str, Any]] = {}

    def visit(one: Cell) -> None:
        for part in _reads(one):
            if part.made is not None and (part.symbol, part.index) not in found:
                visit(part.made)
                found[part.symbol, part.index] = {
                    "symbol": part.symbol, "index": list(part.index), "value": float(part.value),
                    "places": part.made.text(False), "numbers": part.made.text(),
                }  # fmt: skip

    visit(cell)
    return list(found.values())


def _reads(cell: Cell) -> Iterator[Cell]:
    if cell.kind == "read":
        yield cell
    for part in cell.parts:
        yield from _reads(part)


def _chosen(cell: Cell) -> int | None:
    """Of a largest or a smallest: which of its parts it is, the first of equals."""
    if cell.kind not in ("max", "min"):
        return None
    return next((k for k, part in enumerate(cell.parts) if _same(part.value, cell.value)), None)


def _same(a: Any, b: Any) -> bool:
    return bool(a == b or (a != a and b != b))


def _wide(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == np.float32:
        return value.astype(np.float64)
    return value
