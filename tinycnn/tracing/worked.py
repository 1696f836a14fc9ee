"""Arrays that need not be carried: what an update's formula gives, number by number, to the last bit.

A trace holds each weight, its gradient and the optimizer's state before and after. What comes after follows from what
was before, so a file carries the formula in its place: `["+", ["*", ["num", 0.9], ["t", "t4"]], …]`, over whole arrays,
each operation rounded to float32. Nothing is trusted here: an array is left out only if that gives its very bits, in
Python and by any that rounds as IEEE 754 says; numbers alone (1 − beta^t) are worked out beforehand and stand as they
are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinycnn.formula.notation import REST

if TYPE_CHECKING:
    from tinycnn.tracing.steps import Step
    from tinycnn.tracing.store import Stored

Array = np.ndarray
Expr = list[Any]
_LEAST = 256  # numbers of an array that is worth it
_APPLY: dict[str, Callable[..., Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "sqrt": np.sqrt, "neg": np.negative,
}  # fmt: skip


def worked(expr: Expr, arrays: Callable[[str], Array]) -> Any:
    """The value of an expression, in float32 throughout; `arrays` gives an array by its id."""
    kind, *parts = expr
    if kind == "t":
        return arrays(parts[0])
    if kind == "num":
        return np.float32(parts[0])
    with np.errstate(all="ignore"):
        return _APPLY[kind](*(worked(part, arrays) for part in parts))


def recipes(steps: list[Step], table: dict[str, Stored], most: int) -> dict[str, Expr]:
    """For each array that an update makes and its formula gives to the bit: how it is made of others.

    Of arrays of more than `most` numbers only a part is carried, and nothing is made of them.
    """
    carried = {line["tensor"] for step in steps for line in step.reads}
    carried |= {line["tensor"] for step in steps if step.phase != "update" for line in step.writes}
    found: dict[str, Expr] = {}
    for step in (step for step in steps if step.phase == "update"):
        written = {line["symbol"]: line["tensor"] for line in step.writes}
        last = {statement["target"]: statement for statement in step.program}
        made: dict[str, Expr | None] = {name: _plain(value) for name, value in step.names.items()}
        for statement in step.program:
            target, expr = statement["target"], _over_arrays(statement["expr"], made)
            tensor = written.get(target) if statement is last[target] else None
            if tensor is None:  # on the way: w, shrunk by its decay and not yet moved
                made[target] = expr
                continue
            made[target] = ["t", tensor]
            if expr is not None and tensor not in carried and tensor not in found and _gives(expr, table, tensor, most):
                found[tensor] = expr
    return found


def _plain(value: Any) -> Expr:
    return ["t", value] if isinstance(value, str) else ["num", value]


def _over_arrays(node: Expr, made: dict[str, Expr | None]) -> Expr | None:
    """An expression of a program over whole arrays; None if it is not number by number, or has other operations."""
    kind, *rest = node
    if kind == "num":
        return node
    if kind == "name":
        return made.get(rest[0])
    if kind == "read":
        return made.get(rest[0]) if rest[1] == [["idx", REST]] else None
    if kind == "call":
        kind, rest = rest
    parts = [_over_arrays(part, made) for part in rest] if kind in _APPLY or kind == "**" else []
    if not parts or any(part is None for part in parts):
        return None
    if all(part[0] == "num" for part in parts):  # type: ignore[index]
        values = [part[1] for part in parts]  # type: ignore[index]
        return ["num", float(values[0] ** values[1] if kind == "**" else _APPLY[kind](*values))]
    if kind == "**":
        return ["*", parts[0], parts[0]] if parts[1] == ["num", 2] else None
    if kind == "*" and rest[1][0] == "**":  # c·a² is multiplied from left to right, as the optimizers do
        _, a, again = parts[1]  # type: ignore[misc]
        return ["*", ["*", parts[0], a], again]
    return [kind, *parts]


def _gives(expr: Expr, table: dict[str, Stored], tensor: str, most: int) -> bool:
    """Whether the expression gives the array, finite and in float32, bit by bit."""
    needed = [table[name] for name in (tensor, *_names(expr))]
    array = needed[0].array
    if not all(one.whole and one.array.dtype == np.float32 and one.shape == array.shape for one in needed):
        return False
    if not _LEAST <= array.size <= most or not np.isfinite(array).all():
        return False
    found = worked(expr, lambda name: table[name].array)
    return np.shape(found) == array.shape and found.tobytes() == array.tobytes()


def _names(expr: Expr) -> list[str]:
    """The arrays that an expression is over."""
    kind, *parts = expr
    if kind == "t":
        return parts
    return [] if kind == "num" else [name for part in parts for name in _names(part)]
