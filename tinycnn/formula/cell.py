"""One cell of a result, taken apart: which cells were read, each product, and the sum that they make."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

_LEVEL = {" + ": 1, " − ": 1, "·": 2, " / ": 2, "//": 2, " mod ": 2, "^": 3}
_SHOWN_FIRST, _SHOWN_LAST = 6, 2  # of a long sum


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, and the parts it was made from: a leaf reads one cell, anything else combines its parts.

    `kind` is "read", "number", "[]" (a comparison), a reduction ("sum", "max", …), a function's name, or an operator's
    sign. What is read and was itself made by the formula (a mean, say) has its own parts in `made`.
    """

    kind: str
    value: Any
    parts: tuple[Cell, ...] = ()
    symbol: str = ""
    index: tuple[int, ...] = ()
    made: Cell | None = None

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
        if self.kind == "[]":
            signs = ["", *(self.symbol[i : i + 3] for i in range(0, len(self.symbol), 3))]  # each is " < " or alike
            return f"[{''.join(sign + part.text(numbers, 1) for sign, part in zip(signs, self.parts, strict=True))}]"
        if self.kind == "sum":
            joined = " + ".join(_shorten(self.parts, numbers, 1)) or "0"
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
