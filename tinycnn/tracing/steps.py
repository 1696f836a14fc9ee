"""One step of a trace: what was read, the formula, what was written, and why; it stands alone."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import tinycnn.formula as language
from tinycnn.formula import Formula, printing
from tinycnn.formula.loops import LoopNest
from tinycnn.formula.parse import Statement, reduction
from tinycnn.tracing.cells import RecordedCells
from tinycnn.tracing.program import needed_for, program

Entry = dict[str, Any]
_HOUSE = Path(language.__file__).resolve().parents[2]


@dataclass
class Step:
    """A step of the forward pass, the backward pass, the check or the update. docs/trace.md tells every field."""

    number: int
    phase: str
    layer: str | None
    kind: str
    op: str
    title: str
    formula: Entry
    text: str
    reads: list[Entry]
    writes: list[Entry]
    result: str
    shape_note: str
    code: Entry
    options: Entry
    program: list[Entry]
    names: Entry
    before: Entry = field(default_factory=dict)
    after: Entry = field(default_factory=dict)
    marks: list[str] = field(default_factory=list)
    left_out: str = ""

    def as_dict(self) -> Entry:
        """The step as plain JSON."""
        return asdict(self)

    def __repr__(self) -> str:
        return f"<step {self.number}: {self.phase}, {self.title}>"


def shown(formula: Formula, nests: tuple[LoopNest, ...]) -> Entry:
    """What a step shows of its formula: its own lines among these statements, in four kinds of print."""
    from tinycnn.formula import mathml

    own = [s for s, nest in zip(formula.statements, formula._nests, strict=True) if nest in nests]
    kept = own or list(formula.statements)
    return {
        "name": formula.name, "text": "\n".join(map(printing.text_statement, kept)), "latex": _latex(formula, kept),
        "mathml": mathml.mathml(tuple(kept), *formula._kinds), "where": formula.where_text, "source": formula.source,
    }  # fmt: skip


def _latex(formula: Formula, statements: list[Statement]) -> str:
    lines = [printing.latex_statement(s, *formula._kinds) for s in statements]
    if len(lines) == 1:
        return lines[0]
    aligned = r" \\ ".join(map(printing.align, lines))
    return rf"\begin{{aligned}} {aligned} \end{{aligned}}"


def parts_for(
    formula: Formula, results: list[str], names: dict[str, Any]
) -> tuple[Entry, list[Entry], tuple[str, ...]]:
    """The formula as shown, the program, and the names that are read to make these results."""
    nests = needed_for(formula, results)
    cells = RecordedCells(formula, names)
    sizes = [size for nest, size in zip(cells.nests, cells.sizes, strict=True) if nest in nests]
    targets: set[str] = set()
    read: dict[str, None] = {}
    for nest in nests:
        used = (nest.used & names.keys()) - targets - _ruled_out(nest, names)
        read |= dict.fromkeys(sorted(used, key=_order(formula)))
        targets.add(nest.target)
    shapes = {target: np.shape(cells.names[target]) for target in targets}
    return shown(formula, nests), program(nests, sizes, shapes), tuple(read)


def _ruled_out(nest: LoopNest, names: dict[str, Any]) -> set[str]:
    """What stands only where a plain number forbids to look: in training, the mean that prediction is given."""
    looked_at: set[str] = set()
    waiting: list[ast.AST] = [nest.expr, *nest.places, *(expr for _, expr in nest.macros.tuples)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name):
            looked_at.add(node.id)
        if (reduced := reduction(node)) is not None:
            waiting.append(reduced[2])
        elif isinstance(node, ast.IfExp) and isinstance(node.test, ast.Name) and _is_number(names.get(node.test.id)):
            waiting += [node.test, node.body if names[node.test.id] else node.orelse]
        else:
            waiting += ast.iter_child_nodes(node)
    return {node.id for node in ast.walk(nest.expr) if isinstance(node, ast.Name)} - looked_at


def _order(formula: Formula) -> Callable[[str], tuple[int, str]]:
    known = ["dy", "xp", *formula.shapes]
    return lambda name: (known.index(name) if name in known else len(known), name)


def names_of(formula: Formula, values: dict[str, Any]) -> dict[str, Any]:
    """Everything the formula may read, by name: numbers, and the arrays that it uses or that fix its sizes."""
    with np.errstate(all="ignore"):
        found = formula.names(**values)
    nests = (*formula._first, *formula._nests)
    wanted = set(formula.shapes)
    for nest in nests:
        wanted |= nest.used | {nest.target, nest.target[1:]}  # dxp is like xp
    return {name: value for name, value in found.items() if _is_number(value) or _is_kept(name, value, wanted)}


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float | np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0)


def _is_kept(name: str, value: Any, wanted: set[str]) -> bool:
    return isinstance(value, np.ndarray) and name in wanted


def plain_number(value: Any) -> int | float | None:
    """A number as JSON can hold it; None for an array, NaN and infinity."""
    if not _is_number(value):
        return None
    number = np.asarray(value).item()
    if isinstance(number, bool | int):
        return int(number)
    return number if math.isfinite(number) else None


def options_of(values: dict[str, Any]) -> Entry:
    """The settings of a call: numbers, words and tuples of them."""
    found: Entry = {}
    for name, value in values.items():
        if value is None or isinstance(value, str | bool | int | float):
            found[name] = value if not isinstance(value, float) or math.isfinite(value) else repr(value)
        elif isinstance(value, tuple | list) and all(isinstance(v, int | float | str) for v in value):
            found[name] = list(value)
    return found


@cache
def code_of(function: Callable[..., Any]) -> Entry:
    """The function that ran: its file, its first line and its source."""
    function = inspect.unwrap(function)
    try:
        lines, first = inspect.getsourcelines(function)
        path = Path(inspect.getsourcefile(function) or "").resolve()
    except (OSError, TypeError):  # typed into a console
        return {"file": "", "line": 0, "source": ""}
    file = path.relative_to(_HOUSE) if path.is_relative_to(_HOUSE) else path
    return {"file": file.as_posix(), "line": first, "source": "".join(lines)}
