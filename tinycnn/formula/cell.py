"""One cell of a result, taken apart: which cells were read, each product, and the sum that they make."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from tinycnn.formula.numbers import formula_number, in_brackets

_LEVEL = {" + ": 1, " − ": 1, "·": 2, " / ": 2, "//": 2, " mod ": 2, "^": 3}
_MOST_SHOWN, _SHOWN_FIRST, _SHOWN_LAST = 27, 6, 2  # terms of a sum: of a longer one the first and the last


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, and the parts it was made from: a leaf reads one cell, anything else combines its parts.

    `kind` is "read", "number", "[]" (a comparison), a reduction ("sum", "max", …), a function's name, or an operator's
    sign. What is read and was itself made by the formula (a mean, say) has its own parts in `made`. `because` holds
    what was looked at to find these parts: the test of an `if`, a place that is looked up, a window's argmax.
    """

    kind: str
    value: Any
    parts: tuple[Cell, ...] = ()
    symbol: str = ""
    index: tuple[int, ...] = ()
    made: Cell | None = None
    because: tuple[Cell, ...] = ()

    @property
    def place(self) -> str:
        """Where a cell that is read stands: `w[1,0]`, or the symbol alone."""
        return f"{self.symbol}[{','.join(map(str, self.index))}]" if self.index else self.symbol

    @property
    def reads(self) -> tuple[tuple[str, tuple[int, ...], Any], ...]:
        """Every cell that was read: (symbol, index, value), in the order of the formula."""
        if self.kind == "read":
            return ((self.symbol, self.index, self.value),)
        return tuple(itertools.chain.from_iterable(part.reads for part in self.parts))

    @property
    def sources(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Every given cell that this one depends on, once each: what was read, through all that was made of it."""
        found: dict[tuple[str, tuple[int, ...]], None] = {}
        done: set[int] = set()  # the mean of a channel has parts by the thousand, and every cell may read it
        waiting = [self]
        while waiting:
            cell = waiting.pop()
            if id(cell) in done:
                continue
            done.add(id(cell))
            waiting += reversed((*cell.parts, *([cell.made] if cell.made else []), *cell.because))
            if cell.kind == "read" and cell.made is None:
                found[cell.symbol, cell.index] = None
        return tuple(found)

    @property
    def terms(self) -> tuple[Cell, ...]:
        """The summands: a sum's and a plus sign's parts, laid side by side."""
        if self.kind in ("sum", " + "):
            return tuple(itertools.chain.from_iterable(part.terms for part in self.parts))
        return (self,)

    def text(self, numbers: bool = True, level: int = 0) -> str:
        """The cell written out: with the numbers in, or (`numbers=False`) with the places they were read from.

        `level` says how tightly what stands around it binds: brackets go where that is tighter than the cell itself.
        """
        if self.kind == "read":
            return _number(self.value, level) if numbers else self.place
        if self.kind == "number":
            return _number(self.value, level)
        if self.kind == "[]":
            signs = ["", *(self.symbol[i : i + 3] for i in range(0, len(self.symbol), 3))]  # each is " < " or alike
            return f"[{''.join(sign + part.text(numbers, 1) for sign, part in zip(signs, self.parts, strict=True))}]"
        if self.kind == "sum":
            return _bracketed(" + ".join(_shortened(self.parts, numbers, 1)) or "0", level > 1)
        if self.kind == "−":
            return _bracketed("−" + self.parts[0].text(numbers, 2), level > 0)
        if self.kind in _LEVEL:
            own = _LEVEL[self.kind]
            left, right = self.parts
            before = left.text(numbers, own + (self.kind == "^"))
            after = right.text(numbers, own + (own > 1 or self.kind == " − "))
            return _bracketed(before + self.kind + after, own < level)
        return f"{self.kind}({', '.join(_shortened(self.parts, numbers, 0))})"


def added(cells: tuple[Cell, ...]) -> Any:
    """What cells add up to, in their order."""
    return sum((cell.value for cell in cells[1:]), cells[0].value) if cells else 0.0


def _number(value: Any, level: int) -> str:
    text = formula_number(value)
    return in_brackets(text) if level > 0 else text


def _bracketed(text: str, need: bool) -> str:
    return f"({text})" if need else text


def _shortened(parts: tuple[Cell, ...], numbers: bool, level: int) -> list[str]:
    """Every part in words; of more than 27, the first six and the last two, and what lies between summed up."""
    if len(parts) <= _MOST_SHOWN:
        return [part.text(numbers, level) for part in parts]
    shown = [part.text(numbers, level) for part in (*parts[:_SHOWN_FIRST], *parts[-_SHOWN_LAST:])]
    left_out = parts[_SHOWN_FIRST:-_SHOWN_LAST]
    more = f"… {len(left_out)} more"
    if numbers and level:
        more += f" (sum = {formula_number(added(left_out))})"
    return [*shown[:_SHOWN_FIRST], more, *shown[_SHOWN_FIRST:]]
