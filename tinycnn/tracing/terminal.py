"""A step on a terminal: four lines (formula, numbers, result, shape), the reason, and the matrices that it is about.

Every number and sentence comes from the trace itself, so it reads here as it does in a figure and on the page.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from tinycnn.explanation.layout import wrap
from tinycnn.formula.numbers import cell_number, formula_number
from tinycnn.tracing.grid import ASCII, UNICODE, Box, grid, side_by_side
from tinycnn.tracing.pictures import Picture, in_words, pictures, recorded
from tinycnn.tracing.products import checked_view, product_pictures

if TYPE_CHECKING:
    from tinycnn.tracing.recorded import Trace
    from tinycnn.tracing.steps import Step

Index = tuple[int, ...]
_LABEL = 10  # columns of "formula" and the like
_BESIDE = 50  # columns of a matrix that others shall stand beside
_ROWS = 8  # of a matrix
_MOST_WHERE = 4  # lines of what was made on the way


def screen_width() -> int:
    """80 columns unless the terminal, or COLUMNS, says otherwise; at least 40."""
    return max(40, shutil.get_terminal_size((80, 24)).columns)


def box_for(stream: TextIO) -> Box:
    """Lines and corners where the stream can write them, and + - | where it cannot."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    try:
        "─│┌…━−·Σ⌊".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return ASCII if os.environ.get("TERM") == "dumb" else UNICODE


def step_lines(
    trace: Trace, number: int, index: Index | None = None, columns: int = 80, box: Box = UNICODE, view: str = "window"
) -> list[str]:
    """A layer's step, or with `index` the step of one cell of its result, as lines of at most so many columns."""
    step = trace[number]
    lines = [_heading(trace, step, columns, box)]
    cell = None if index is None else trace.cell(number, index)
    for label, text in four_lines(trace, step, cell):
        lines += _labelled(label, text, columns)
    for where in where_lines(step, cell):
        lines += _labelled("where", where, columns) if cell else _sentences("where", where, columns)
    for sentence in filter(None, (reason(step, cell), step.left_out)):
        lines += textwrap.wrap(sentence, columns - 2, initial_indent="  ", subsequent_indent="  ")
    found, counts, said = seen_as(trace, step, cell, view)
    lines += _labelled(view, said, columns)
    more = in_words(found, counts)
    widest = columns if len(found) < 2 or said else min(columns, _BESIDE)
    rows = _ROWS + bool(said)  # of a 3×3 window all nine taps
    drawn = [grid(one.title, one.matrix, cell_number, one.marks, rows, widest, box) for one in found]
    lines = [*lines, "", *side_by_side([*drawn, *([[more]] if more else [])], columns)] if drawn else lines
    return [line.rstrip() for line in lines]


def seen_as(
    trace: Trace, step: Step, cell: dict[str, Any] | None, view: str
) -> tuple[list[Picture], dict[str, int], str]:
    """The matrices of a view, how many of each array are read, and what is to be said of them.

    Raises ValueError for a view that the step does not have.
    """
    if checked_view(step, view) == "window":
        return *pictures(trace, step, cell), ""
    found, said = product_pictures(trace, step, cell, view)
    return found, {}, said


def stream_lines(trace: Trace, columns: int = 80, box: Box = UNICODE) -> Iterator[str]:
    """All steps, one after the other: what stands where nobody can press a key."""
    for number in range(len(trace.steps)):
        yield from step_lines(trace, number, None, columns, box)
        yield ""


def printed(trace: Trace, number: int | None = None, index: Index | None = None, view: str = "window") -> None:
    """Print one step, or all of them, as the terminal can show it."""
    box, columns = box_for(sys.stdout), screen_width()
    numbers = range(len(trace.steps)) if number is None else [trace.seek(number).number]
    for one in numbers:
        print(*(safe(line, box) for line in step_lines(trace, one, index, columns, box, view)), sep="\n", end="\n\n")


def safe(line: str, box: Box) -> str:
    """The line in ASCII, where nothing else can be shown: signs by their plainest spelling."""
    if box is UNICODE:
        return line
    for sign, plain in _SPELLED.items():
        line = line.replace(sign, plain)
    return line.encode("ascii", "replace").decode()


_SPELLED = {
    "−": "-", "·": "*", "×": "x", "Σ": "sum", "Π": "prod", "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")",
    "…": "..", "→": "->", "≤": "<=", "≥": ">=", "≠": "!=", "∞": "inf", "∂": "d", "–": "-", "’": "'", "√": "sqrt",
    "²": "^2", "ᵀ": "^T", "α": "alpha", "β": "beta", "γ": "gamma", "ε": "eps", "η": "eta", "μ": "mu", "ρ": "rho",
    "θ": "theta", "δ": "delta",
}  # fmt: skip


def where_lines(step: Step, cell: dict[str, Any] | None) -> list[str]:
    """Of a step, what its letters mean; of a cell, what was made on the way to it."""
    if cell is None:
        return [step.formula["where"]] if step.formula["where"] else []
    made = cell["made"]
    read = {(one["symbol"], *one["index"]) for term in cell["terms"] for one in term["reads"]}
    apart = lambda one: (one["symbol"], *one["index"]) not in read  # noqa: E731
    first = sorted(made, key=apart)[:_MOST_WHERE]  # what the sum itself reads, before what lies behind it
    more = [f"… and {len(made) - _MOST_WHERE} more"] if len(made) > _MOST_WHERE else []
    return [*(_made(one) for one in made if one in first), *more]


def reason(step: Step, cell: dict[str, Any] | None) -> str:
    """Why: what there is to say of the cell, or of the whole step."""
    return (cell or {}).get("why") or step.text


def _heading(trace: Trace, step: Step, columns: int, box: Box) -> str:
    """`━━ forward · 3 of 41 ━ conv1: … ━━━`."""
    text = f"{box.rule * 2} {step.phase} · step {step.number} of {len(trace.steps) - 1} {box.rule} {step.title} "
    return text[: columns - 1] + box.rule * max(1, columns - len(text))


def four_lines(trace: Trace, step: Step, cell: dict[str, Any] | None) -> list[tuple[str, str]]:
    """The four lines that every step has."""
    if cell is not None:
        place = cell["places"].partition(" = ")[0]
        numbers, value = cell["numbers"], cell["text"].rpartition(" = ")[2]
        formula = f"{step.formula['text']}\n{cell['places']}"
        return [("formula", formula), ("numbers", f"= {numbers}"), ("result", f"{place} = {value}"),
                ("shape", step.shape_note)]  # fmt: skip
    reads = ", ".join(_shaped(read) for read in step.reads)
    return [
        ("formula", step.formula["text"]), ("numbers", reads), ("result", _range(trace, step)),
        ("shape", step.shape_note),
    ]  # fmt: skip


def _shaped(entry: dict[str, Any]) -> str:
    return f"{entry['symbol']} ({','.join(map(str, entry['shape']))})" if entry["shape"] else entry["symbol"]


def _range(trace: Trace, step: Step) -> str:
    """The result in a line: one number, or its shape and from where to where it goes."""
    entry = next((write for write in step.writes if write["symbol"] == step.result), None)
    array = recorded(trace, step, step.result)
    if array is None or entry is None:
        return step.result
    if array.size == 1:
        return f"{step.result} = {formula_number(array.reshape(-1)[0])}"
    known = array[~np.isnan(array)] if array.dtype.kind == "f" else array
    if not known.size:
        return f"{_shaped(entry)}, no number in it" if array.size else f"{_shaped(entry)}, empty"
    broken = array.size - known.size
    more = f", {broken} NaN" if broken else ""
    return f"{_shaped(entry)}, from {formula_number(known.min())} to {formula_number(known.max())}{more}"


def _labelled(label: str, text: str, columns: int) -> list[str]:
    if not text:
        return []
    lines: list[str] = []
    for part in text.splitlines():
        wrapped = wrap(" " * _LABEL + part, columns, indent=_LABEL + 2)
        lines += wrapped
    return [f"  {label:{_LABEL - 2}}" + lines[0][_LABEL:], *lines[1:]]


def _sentences(label: str, text: str, columns: int) -> list[str]:
    """What the letters mean, set so that no explanation is torn that fits on a line."""
    lines, room = [""], columns - _LABEL
    for part in text.split("; "):
        for piece in [f"{part};"] if len(part) < room else textwrap.wrap(f"{part};", room, break_on_hyphens=False):
            joined = f"{lines[-1]} {piece}".strip()
            lines = [*lines[:-1], joined] if len(joined) <= room else [*lines, piece]
    lines[-1] = lines[-1].removesuffix(";")
    return [f"  {label:{_LABEL - 2}}" + lines[0], *(" " * _LABEL + line for line in lines[1:])]


def _made(made: dict[str, Any]) -> str:
    place = f"{made['symbol']}[{','.join(map(str, made['index']))}]" if made["index"] else made["symbol"]
    parts = dict.fromkeys([made["places"], made["numbers"], formula_number(made["value"])])
    return " = ".join([place, *parts])
