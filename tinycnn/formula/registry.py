"""The table of every declared formula."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tinycnn.formula.parse import FormulaError

if TYPE_CHECKING:
    from tinycnn.formula.declare import Formula


class Formulas(Mapping[str, "Formula"]):
    """Every declared formula by name: `formulas["conv2d"].latex`.

    Those that stand in a file that is imported late are there as soon as they, or all, are asked for.
    """

    def __init__(self) -> None:
        self._table: dict[str, Formula] = {}
        self._late: list[str] = []

    def declared_in(self, *modules: str) -> None:
        """Look for formulas in these modules as well, once they are needed."""
        self._late += modules

    def _import_late(self) -> None:
        while self._late:
            importlib.import_module(self._late.pop(0))

    def __getitem__(self, name: str) -> Formula:
        if name not in self._table:
            self._import_late()
        if name not in self._table:
            near = difflib.get_close_matches(name, self._table, n=3, cutoff=0.5)
            hint = f"; did you mean {', '.join(near)}?" if near else f"; there are {', '.join(self._table)}"
            raise KeyError(f"no formula {name!r}{hint}")
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        self._import_late()
        return iter(self._table)

    def __len__(self) -> int:
        self._import_late()
        return len(self._table)

    def add(self, formula: Formula) -> Formula:
        """Enter a formula; a name is declared once."""
        if formula.name in self._table:
            raise FormulaError(f"the formula {formula.name!r} is declared twice")
        self._table[formula.name] = formula
        return formula

    def __repr__(self) -> str:
        self._import_late()
        width = max(map(len, self._table), default=0)
        return "\n".join(f"{n:{width}}  {f.text.splitlines()[0]}" for n, f in self._table.items())
