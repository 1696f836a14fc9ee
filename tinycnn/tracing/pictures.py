"""Which matrices a step is about, and what is marked in them: the same for the terminal and for figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinycnn.tracing.grid import CHANGED, LARGEST, WINDOW

if TYPE_CHECKING:
    from tinycnn.tracing.recorded import Trace
    from tinycnn.tracing.steps import Step

Index = tuple[int, ...]
Place = tuple[int, int]
_MOST_SLICES = 2  # matrices of one array: those of the first channels that are read


@dataclass(frozen=True)
class Picture:
    """One matrix of an array, and its marked places; whether the step reads it, or makes it."""

    symbol: str
    lead: Index
    matrix: np.ndarray
    marks: dict[Place, list[str]]
    role: str = ""
    is_read: bool = True
    note: str = ""

    @property
    def title(self) -> str:
        """`xp[0,2]`: the array, and which of its matrices; of an update, whether before it or after."""
        name = f"{self.symbol}[{','.join(map(str, self.lead))}]" if self.lead else self.symbol
        return f"{name} {self.note}".rstrip()


def pictures(trace: Trace, step: Step, cell: dict[str, Any] | None) -> tuple[list[Picture], dict[str, int]]:
    """The matrices to show, and how many of each array are read in all."""
    if cell is None:
        array = recorded(trace, step, step.result)
        if array is None or array.size < 2:
            return [], {}
        return [_picture(trace, step, step.result, (0,) * max(0, array.ndim - 2), {}, False)], {}
    found, shown = [], dict[str, int]()
    for (symbol, lead, is_made), places in _marks(trace, step, cell).items():
        if not is_made:
            shown[symbol] = shown.get(symbol, 0) + 1
        if is_made or shown[symbol] <= _MOST_SLICES:
            found.append(_picture(trace, step, symbol, lead, places, not is_made, is_made))
    found.sort(key=lambda picture: len(picture.matrix) == 1)  # vectors behind matrices
    array = recorded(trace, step, cell["result"])
    if array is not None and array.size > 1:
        lead, at = _split(tuple(cell["index"]))
        kind = CHANGED if step.phase == "update" else WINDOW
        found.append(_picture(trace, step, cell["result"], lead, {at: [kind]}, False))
    if (counts := _visits(trace, step, cell)) is not None:
        found.append(counts)
    return found, shown


def in_words(shown: list[Picture], counts: dict[str, int]) -> str:
    """Which matrices are read and not shown: `… and 2 more of w`."""
    here = Counter(picture.symbol for picture in shown if picture.is_read)
    more = [f"{count - here[symbol]} more of {symbol}" for symbol, count in counts.items() if count > here[symbol]]
    return f"… and {', '.join(more)}" if more else ""


def recorded(trace: Trace, step: Step, symbol: str, made: bool = True) -> np.ndarray | None:
    """What a symbol of the step stands for, as it was recorded; None for a number, and for what was kept in part.

    A symbol that is read and then made anew, as the weights of an update, is the new one if `made`, else the old.
    """
    before, after = ({entry["symbol"]: entry["tensor"] for entry in entries} for entries in (step.reads, step.writes))
    tensor = ({**before, **after} if made else {**after, **before}).get(symbol, step.names.get(symbol))
    if not isinstance(tensor, str) or not trace.tensors.table[tensor].whole:
        return None
    return trace.tensors[tensor]


def factors(cell: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The two numbers of every term, where the cell is a sum of products: a row of im2col and a row of weights."""
    pairs = [(t["reads"][0], t["reads"][1]) for t in cell["terms"] if len(t["reads"]) == 2]
    alone = [t for t in cell["terms"] if len(t["reads"]) != 2]
    return pairs if len(pairs) > 1 and len(alone) <= 1 else []  # a bias may stand beside them


def _visits(trace: Trace, step: Step, cell: dict[str, Any]) -> Picture | None:
    """In how many windows each pixel lies: what a gradient that is scattered back adds up over."""
    if not (step.phase == "backward" and step.result == "dx" and any(one["scatter"] for one in step.program)):
        return None
    try:
        counts = trace.visits(step)
    except ValueError:
        return None
    lead, at = _split(tuple(cell["index"]))
    if counts.shape != (recorded(trace, step, "dx")[lead].shape if lead else ()):  # type: ignore[index]
        return None
    return Picture("windows on each pixel", (), counts, {at: [WINDOW]}, is_read=False)


def _marks(trace: Trace, step: Step, cell: dict[str, Any]) -> dict[tuple[str, Index, bool], dict[Place, list[str]]]:
    """For every matrix that is read, the places in it; and for what the step makes and reads itself, as a new m."""
    marks: dict[tuple[str, Index, bool], dict[Place, list[str]]] = {}
    sources = trace.sources(step, cell["index"], cell["result"])
    read = [(one["symbol"], tuple(one["index"]), is_made) for ones, is_made in ((sources, False), (cell["made"], True))
            for one in ones]  # fmt: skip
    best = None if cell["chosen"] is None else _chosen(cell)
    for symbol, index, is_made in read:
        array = recorded(trace, step, symbol, is_made)
        if array is None or array.size < 2:
            continue
        lead, at = _split(index)
        kinds = marks.setdefault((symbol, lead, is_made), {}).setdefault(at, [WINDOW])
        if (symbol, index) == best:
            kinds.append(LARGEST)
    return marks


def _chosen(cell: dict[str, Any]) -> tuple[str, Index] | None:
    """The cell that is the largest of those read, where all of them are read plainly."""
    reads = [read for term in cell["terms"] for read in term["reads"]]
    best = reads[cell["chosen"]] if cell["chosen"] < len(reads) else None
    return None if best is None else (best["symbol"], tuple(best["index"]))


def _split(index: Index) -> tuple[Index, Place]:
    """Which matrix of an array a cell lies in, and where; a vector is a matrix of one row."""
    return (index[:-2], (index[-2], index[-1])) if len(index) > 1 else ((), (0, index[0]))


def _picture(
    trace: Trace, step: Step, symbol: str, lead: Index, marks: dict[Place, list[str]], is_read: bool,
    made: bool = True,
) -> Picture:  # fmt: skip
    array = recorded(trace, step, symbol, made)
    assert array is not None
    matrix = array[lead] if array.ndim > 1 else array[None]
    if len(marks) == matrix.size > 1:  # a window that is all of it says nothing
        marks = {place: [kind for kind in kinds if kind != WINDOW] for place, kinds in marks.items()}
    roles = {entry["symbol"]: entry["role"] for entry in (*step.reads, *step.writes)}
    note = "" if symbol not in step.before else "after" if made else "before"
    return Picture(symbol, lead, matrix, marks, roles.get(symbol, ""), is_read, note)
