"""Many reports as a table, or as CSV: a line for each file and op."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from tinycnn.checking.report import Report

COLUMNS = ("file", "op", "verdict", "likely mistake", "passed", "cases")
_MOST = 60  # letters of a mistake in the table


def as_lines(reports: Sequence[Report], as_csv: bool = False) -> str:
    """A line for each op of each file, with a head; as CSV nothing is cut.

    >>> print(as_lines([Report("a.py")], as_csv=True))
    file,op,verdict,likely mistake,passed,cases
    a.py,,nothing to check,,0,0
    """
    rows = [COLUMNS, *(row for report in reports for row in report.rows())]
    if as_csv:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(_safe(row) for row in rows)
        return text.getvalue().rstrip("\n")
    rows = [tuple(_short(cell) for cell in row) for row in rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _safe(row: Sequence[str]) -> list[str]:
    """Without what a spreadsheet would take for a formula."""
    return [f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell for cell in row]


def _short(cell: str) -> str:
    return cell if len(cell) <= _MOST else cell[: _MOST - 1] + "…"
