"""How a cell is set out on lines: sums wrap to the terminal, and those over a window keep the window's shape."""

from __future__ import annotations

import itertools
import re
import shutil

from tinycnn.formula.cell import Cell
from tinycnn.formula.numbers import formula_number

_MOST_LINES = 12  # of one sum
_LEAST_WIDTH = 40


def width() -> int:
    """How many columns the terminal has (or COLUMNS says): 80 where nothing tells."""
    return max(_LEAST_WIDTH, shutil.get_terminal_size().columns)


def place(symbol: str, index: tuple[int, ...]) -> str:
    """A symbol at its place: `dy[0,3,4]`."""
    return f"{symbol}[{','.join(map(str, index))}]" if index else symbol


def equals(cell: Cell, numbers: bool, columns: int) -> list[str]:
    """`= …` and the cell written out, with the numbers in or with the places they were read from."""
    rows = _rows(cell)
    return wrap("  = " + cell.text(numbers), columns) if rows is None else _table(*rows, numbers, columns)


def written(cell: Cell) -> list[str]:
    """A cell as its places, as its numbers and as its value."""
    return [cell.text(numbers=False), cell.text(), formula_number(cell.value)]


def made_from(cell: Cell, columns: int, most: int = 6) -> list[str]:
    """What the formula made on the way to a cell, a line each: `m[0] = …`, first what the cell itself read."""
    found: dict[tuple[str, tuple[int, ...]], Cell] = {}
    waiting = [cell]
    while waiting and len(found) < most:
        following = [part for one in waiting for part in _made_reads(one) if (part.symbol, part.index) not in found]
        for part in following[: most - len(found)]:
            found.setdefault((part.symbol, part.index), part)
        waiting = [part.made for part in following if part.made is not None]
    lines = []
    for (symbol, index), part in found.items():
        assert part.made is not None
        lines += chain([place(symbol, index), *written(part.made)], columns)
    return ["  where", *lines] if lines else []


def chain(steps: list[str], columns: int) -> list[str]:
    """`a = b = c`, indented, on one line if it fits and else with a line for each step; equal steps once."""
    steps = [step for step, _ in itertools.groupby(steps)]
    line = "    " + " = ".join(steps)
    if len(line) <= columns:
        return [line]
    rest = [one for step in steps[1:] for one in wrap("      = " + step, columns, indent=10)]
    return ["    " + steps[0], *rest]


def wrap(text: str, columns: int, indent: int = 4) -> list[str]:
    """The text on lines of at most this width where it can be broken: before a sign, or behind a comma.

    What stands in brackets inside brackets stays together if it can.
    """
    lines: list[str] = []
    line = ""
    for piece in _pieces(text, columns - indent):
        joined = f"{line} {piece}" if line else piece
        if line and len(joined) > columns:
            lines.append(line)
            joined = " " * indent + piece
        line = joined
    return [*lines, line]


def _pieces(text: str, columns: int, depth: int = 1) -> list[str]:
    """The text cut where it may be broken, in brackets deeper than `depth` only if a piece is too long otherwise."""
    pieces, start = [], 0
    for found in re.finditer(r" (?=[+−=/·→] )|(?<=[,:;]) ", text):
        if text.count("(", 0, found.start()) - text.count(")", 0, found.start()) <= depth:
            pieces.append(text[start : found.start()])
            start = found.end()
    pieces.append(text[start:])
    if depth > 1:
        return pieces
    return [part for one in pieces for part in ([one] if len(one) <= columns else _pieces(one, columns, depth=99))]


def _made_reads(cell: Cell) -> list[Cell]:
    if cell.kind == "read":
        return [cell] if cell.made is not None else []
    return [read for part in cell.parts for read in _made_reads(part)]


def _rows(cell: Cell) -> tuple[list[Cell], list[list[Cell]]] | None:
    """A sum's terms as the rows of a window, behind those that stand alone (a bias); None for any other cell."""

    def row(term: Cell) -> object:  # terms whose last factors stand side by side in one row of their array
        reads = term.reads
        return (reads[-1][0], reads[-1][1][:-1]) if reads and len(reads[-1][1]) > 1 else None

    terms = cell.terms
    head = list(itertools.takewhile(lambda term: row(term) is None, terms))
    rows = [list(group) for _, group in itertools.groupby(terms[len(head) :], row)]
    return (head, rows) if len(rows) > 1 and max(map(len, rows)) > 1 else None


def _table(head: list[Cell], rows: list[list[Cell]], numbers: bool, columns: int) -> list[str]:
    """A row of the window a line, one term below the other; long rows go on, and most of many rows are summed up."""
    first, last = rows[:6], rows[-2:]
    texts = {id(row): [term.text(numbers, 1) for term in row] for row in (*first, *last, *rows[:_MOST_LINES])}
    widest = max(len(text) for row in texts.values() for text in row)
    fit = max(1, (columns - 6 + 3) // (widest + 3))
    longest = max(map(len, rows))
    lines_each = -(-longest // fit)
    fit = -(-longest // lines_each)  # a row that needs two lines is halved
    if lines_each * len(rows) > _MOST_LINES:
        first, last = rows[: max(1, 6 // lines_each)], rows[len(rows) - max(1, 2 // lines_each) :]
    else:
        first, last = rows, []
    left_out = rows[len(first) : len(rows) - len(last)] if last else []
    lines = ["  = " + " + ".join(term.text(numbers, 1) for term in head)] if head else []
    for row in first:
        lines += _one_row(texts[id(row)], widest, fit, lead="    + " if lines else "  =   ")
    if left_out:
        terms = [term for row in left_out for term in row]
        summed = f" (sum = {formula_number(sum(term.value for term in terms))})" if numbers else ""
        lines.append(f"    + … {len(terms)} more in {len(left_out)} rows{summed}")
    for row in last:
        lines += _one_row(texts[id(row)], widest, fit, lead="    + ")
    return lines


def _one_row(texts: list[str], widest: int, fit: int, lead: str) -> list[str]:
    chunks = [texts[i : i + fit] for i in range(0, len(texts), fit)]
    lines = [" + ".join(text.ljust(widest) for text in chunk).rstrip() for chunk in chunks]
    return [(lead if k == 0 else "      + ") + line for k, line in enumerate(lines)]
