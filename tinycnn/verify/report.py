"""The table of proofs in plain text, as wide as the terminal, and what it comes to in one line."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable

from tinycnn.verify.rows import Row
from tinycnn.verify.witness import unproved

_HEAD = ("formula", "witness", "how", "cases", "worst", "allowed", "")


def table(rows: list[Row], width: int | None = None) -> str:
    """The rows, a formula's together and its name on the first of them; what failed is marked.

    >>> print(table([Row("relu", "op", "numeric", "complex step", "numpy", 12, 2e-16, 1e-12)], width=80))
    formula  witness  how           cases    worst  allowed
    relu     numeric  complex step     12  2.0e-16    1e-12  ok
    """
    columns = width or shutil.get_terminal_size().columns
    several = len(_served(rows)) > 1
    title = lambda row: f"{row.formula}, {row.backend}" if several and row.backend != "formula" else row.formula  # noqa: E731
    names = max(len(title(row)) for row in rows) if rows else 7
    names, witnesses = max(names, len(_HEAD[0])), max([7, *(len(row.witness) for row in rows)])
    rest = 5 + 2 + 7 + 2 + 7 + 2 + 6 + 8  # cases, worst, allowed, the verdict, and what stands between
    how = max(12, min(max([12, *(len(row.method) for row in rows)]), columns - names - witnesses - rest))
    lines = [f"{_HEAD[0]:{names}}  {_HEAD[1]:{witnesses}}  {_HEAD[2]:{how}}  cases    worst  allowed"]
    for name, group in itertools.groupby(rows, key=title):
        for place, row in enumerate(group):
            shown = row.method if len(row.method) <= how else row.method[: how - 1] + "…"
            lines.append(
                f"{'' if place else name:{names}}  {row.witness:{witnesses}}  {shown:{how}}  {row.cases:5}  "
                f"{row.worst_error:7.1e}  {row.tolerance:7.0e}  {'ok' if row.passed else 'FAILED'}"
            )
    return "\n".join(lines)


def summary(rows: list[Row], seconds: float) -> str:
    """What the table comes to: how many formulas, witnesses and cases, what failed, and how long it took."""
    failed = [row for row in rows if not row.passed]
    served = _served(rows)
    formulas = len({row.formula for row in rows})
    lines = [
        f"{formulas} formulas, {len(rows)} rows, {sum(row.cases for row in rows):,} cases"
        + (f", ops served by {' and by '.join(served)}" if served else "")
        + f"; {seconds:.0f} s"
    ]
    lines += [_said(row) for row in failed]
    lines.append("every witness agrees" if not failed else f"{len(failed)} of {len(rows)} rows FAILED")
    return "\n".join(lines)


def _served(rows: Iterable[Row]) -> list[str]:
    """The rungs that served ops."""
    return sorted({row.backend for row in rows if row.backend != "formula"})


def _said(row: Row) -> str:
    if not row.cases:
        return f"{row.formula}: {row.witness}, {row.method}: there was no case"
    return (
        f"{row.formula}: {row.witness}, {row.method}: off by {row.worst_error:.1e} where {row.tolerance:.0e} is allowed"
        f"  (backend {row.backend})"
    )


def without_proof(rows: Iterable[Row]) -> str:
    """The formulas that have fewer witnesses than they owe, a line each; nothing if there are none."""
    return "\n".join(f"{name}: {why}" for name, why in unproved(rows).items())
