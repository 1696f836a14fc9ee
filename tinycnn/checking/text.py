"""The report as a student reads it: what fails, the smallest case, one wrong cell by the formula, the mistake."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinycnn.checking.features import where_wrong
from tinycnn.checking.judge import Record, shape_text, wrong_cells
from tinycnn.checking.subject import Question, formula_of
from tinycnn.explanation.layout import equals, place
from tinycnn.formula import FormulaError
from tinycnn.formula.numbers import formula_number

if TYPE_CHECKING:
    from tinycnn.checking.report import Report, Result

_MOST_ROWS, _MOST_COLUMNS, _MOST_PLANES, _MOST_PRINTED = 7, 7, 3, 8
_MORE = {
    1: "--hint 2 shows the smallest case that fails, --hint 3 names the likely mistake.",
    2: "--hint 3 works one wrong number out by the formula, and names the likely mistake.",
}


def report_text(report: Report, hint: int, columns: int = 80) -> str:
    """All of a report, on lines of at most `columns` where they can be broken."""
    lines: list[str] = []
    if report.about:
        lines += _wrapped(f"{report.file}: {report.about}", columns)
    for result in report.results:
        lines += ["", *_result(result, hint, columns)] if lines else _result(result, hint, columns)
    for remark in report.remarks:
        lines += ["", *_wrapped(f"Note: {remark}", columns)]
    if report.printed.strip():
        said = report.printed.strip().splitlines()
        lines += ["", "The file itself printed (this is no part of the verdict):"]
        lines += [f"  | {line[: columns - 4]}" for line in said[:_MOST_PRINTED]]
        lines += [f"  | … {len(said) - _MOST_PRINTED} lines more"] if len(said) > _MOST_PRINTED else []
    wrong = [r.smallest for r in report.results if r.verdict == "wrong" and r.smallest is not None]
    if hint in _MORE and any(f.kind in ("value", "shape") or hint == 1 for r in wrong for f in r.faults):
        lines += ["", *_wrapped(_MORE[hint], columns)]
    return "\n".join(lines)


def _result(result: Result, hint: int, columns: int) -> list[str]:
    names = " and ".join(result.functions)
    lines = []
    if result.verdict == "stopped":
        lines += _wrapped(f"{names}: STOPPED. {_sentence(result.about[:1].upper() + result.about[1:])}", columns)
    elif result.verdict == "pass":
        passing = (
            f"all {result.cases} cases" if result.passed == result.cases else f"{result.passed} of {result.cases} cases"
        )
        lines += _wrapped(f"{names}: right in {passing}.", columns)
    else:
        lines += _wrapped(f"{names}: WRONG, {result.passed} of {result.cases} cases are right.", columns)
        lines += _first_hint(result, columns)
    if hint >= (2 if result.verdict == "wrong" else 3) and result.smallest is not None:
        lines += ["", *_second_hint(result.smallest, columns)]
    if hint >= 3 and result.smallest is not None:
        lines += _third_hint(result, columns)
    for remark in result.remarks:
        lines += _wrapped(f"  Note: {remark}", columns, "  ")
    return lines


def _first_hint(result: Result, columns: int) -> list[str]:
    """Which results, in which cases, and where in them."""
    lines = []
    found: dict[str, list[Record]] = {}
    for record in result.records:
        for name in record.wrong:
            found.setdefault(name, []).append(record)
    for name, records in found.items():
        one = min(records, key=lambda r: r.question.size)
        fault = next(f for f in one.faults if f.result == name)
        if fault.kind == "value":
            where = where_wrong(np.asarray(one.question.expected[name]), one.answer.results[name])
            text = f"{name} has wrong numbers in {_cases(len(records))}{f', {where}' if where else ''}"
            lines += _wrapped(f"  {text}.", columns, "  ")
        else:
            lines += _wrapped(f"  {_sentence(fault.text)}", columns, "  ")
    return lines + (_wrapped(f"  {result.in_common}", columns, "  ") if result.in_common else [])


def _second_hint(record: Record, columns: int) -> list[str]:
    """The case, and what is expected beside what was got."""
    question = record.question
    lines = ["The smallest case that fails:", "", *_call(question, columns)]
    for name, value in question.given.items():
        lines += _array(name, value, columns)
    backward = any(r in question.subject.gradients or r == question.subject.backward_name for r in record.wrong)
    if backward and question.dy is not None:
        one = f"    dy = {formula_number(question.dy)}" if not np.ndim(question.dy) else ""
        lines += [one] if one else _array("dy", question.dy, columns)
    for fault in record.faults:
        if fault.kind in ("value", "shape"):
            right, yours = question.expected[fault.result], record.answer.results[fault.result]
            lines += ["", *_beside(fault.result, right, yours, columns)]
        else:
            lines += ["", *_wrapped(f"  {_sentence(fault.text)}", columns, "  ")]
    return lines


def _third_hint(result: Result, columns: int) -> list[str]:
    assert result.smallest is not None
    lines = list(_worked(result.smallest, columns))
    for rank, found in enumerate(result.mistakes):
        lines += ["", *_wrapped(f"{'The likely mistake' if not rank else 'Or'}: {found.title}.", columns)]
        if rank and len(result.mistakes) > 1:
            continue
        lines += _wrapped(f"  {found.story}", columns, "  ")
        if found.museum:
            lines += _wrapped(
                f"  A known bug, number {found.museum} of the bug museum ({found.source}).", columns, "  "
            )
        lines += _wrapped(f"  How sure: {found.sure}.", columns, "  ")
        lines += _wrapped(f"  Next: {found.lesson}", columns, "  ") if found.lesson else []
    if not result.mistakes and any(f.kind in ("value", "shape") for f in result.smallest.faults):
        lines += [
            "",
            *_wrapped(
                "No known mistake gives these numbers. Work the cell above out by hand, and print the same"
                " sum in your code, term by term.",
                columns,
            ),
        ]
    return lines


def _worked(record: Record, columns: int) -> Iterator[str]:
    """One wrong cell, as the formula makes it: with letters' places, and with the numbers in."""
    fault = next((f for f in record.faults if f.kind in ("value", "shape")), None)
    formula = formula_of(record.question.subject, fault.result) if fault else None
    if fault is None or formula is None:
        return
    question = record.question
    expected, got = np.asarray(question.expected[fault.result]), record.answer.results[fault.result]
    same_shape = isinstance(got, np.ndarray) and got.shape == expected.shape
    if not expected.size:
        return
    index = tuple(int(i) for i in np.argwhere(wrong_cells(expected, got))[0]) if same_shape else (0,) * expected.ndim
    try:
        upstream = {"dy": question.dy} if fault.result in question.subject.gradients else {}
        cell = formula.terms(index, fault.result, **question.bound, **upstream)
    except (FormulaError, KeyError, ValueError, IndexError, TypeError):
        return
    yield from ("", "One number, by the formula:", "")
    yield from (f"    {line}" for line in formula.text.splitlines() if line.startswith((fault.result, "dxp", "e[")))
    yield ""
    yield f"  {place(fault.result, index)}"
    for numbers in (False, True):
        yield from ("  " + line for line in equals(cell, numbers, columns - 2))
    yours = f"; yours is {formula_number(got[index])}" if same_shape else ""
    yield f"    = {formula_number(expected[index])}{yours}"


def _call(question: Question, columns: int) -> list[str]:
    names = list(question.subject.parameters)[: len(question.args)]
    shown = [n if isinstance(question.given[n], np.ndarray) else f"{n}={_short(question.given[n])}" for n in names]
    shown += [f"{k}={_short(v)}" for k, v in question.options.items()]
    return textwrap.wrap(
        f"{question.subject.forward_name}({', '.join(shown)})",
        columns,
        initial_indent="    ",
        subsequent_indent="        ",
    )


def _short(value: Any) -> str:
    return np.array2string(value, separator=",") if isinstance(value, np.ndarray) else repr(value)


def _array(name: str, value: Any, columns: int) -> list[str]:
    """An array plane by plane, as far as it fits."""
    if not isinstance(value, np.ndarray):
        return []
    lines = []
    for title, plane in _planes(name, value):
        rows = _grid(plane)
        head = f"    {title} = "
        lines += [(head if k == 0 else " " * len(head)) + row for k, row in enumerate(rows)]
    shown = len(list(np.ndindex(value.shape[:-2]))) if value.ndim > 2 else 1
    if shown > _MOST_PLANES:
        lines.append(f"    … {shown - _MOST_PLANES} more planes of {name} {shape_text(value.shape)}")
    return [line[:columns] for line in lines]


def _planes(name: str, value: np.ndarray, wrong: np.ndarray | None = None) -> Iterator[tuple[str, np.ndarray]]:
    if value.ndim <= 2:
        yield name, np.atleast_2d(value)
        return
    shown = 0
    for index in np.ndindex(value.shape[:-2]):
        if shown < _MOST_PLANES and (wrong is None or wrong[index].any()):
            shown += 1
            yield f"{name}[{','.join(map(str, index))}]", value[index]


def _grid(plane: np.ndarray, marked: np.ndarray | None = None) -> list[str]:
    """Rows of numbers in columns; wrong ones with a star."""
    cut = plane[:_MOST_ROWS, :_MOST_COLUMNS]
    cells = [
        [_number(v) + ("*" if marked is not None and marked[r, c] else "") for c, v in enumerate(row)]
        for r, row in enumerate(cut)
    ]
    width = max((len(cell) for row in cells for cell in row), default=1)
    if marked is not None:  # a star hangs over on the right
        cells = [[cell if cell.endswith("*") else f"{cell} " for cell in row] for row in cells]
        width += 1
    more = " …" if plane.shape[1] > _MOST_COLUMNS else ""
    return [" ".join(cell.rjust(width) for cell in row) + more for row in cells] + (
        ["…"] if len(plane) > _MOST_ROWS else []
    )


def _number(value: Any) -> str:
    return f"{value:.4g}".replace("-", "−") if not isinstance(value, np.bool_) else str(bool(value))


def _beside(name: str, expected: Any, got: Any, columns: int) -> list[str]:
    """Expected and got, side by side, only the planes with something wrong, the wrong numbers with a star."""
    expected = np.asarray(expected)
    if not isinstance(got, np.ndarray | np.generic):
        return [f"  {name}: expected an array of shape {shape_text(expected.shape)}, got {got!r}"]
    got = np.asarray(got)
    same = expected.shape == got.shape
    wrong = wrong_cells(expected, got) if same else None
    lines = []
    if not same:
        lines.append(
            f"  {name} has the wrong shape: expected {shape_text(expected.shape)}, got {shape_text(got.shape)}"
        )
    for (title, right), (_, yours) in zip(_planes(name, expected, wrong), _planes(name, got, wrong), strict=False):
        marks = wrong_cells(right, yours) if right.shape == yours.shape else np.zeros(yours.shape, bool)
        left, other = _grid(right), _grid(yours, marks)
        width = max(len("expected"), *map(len, left), 0)
        if 2 + 14 + 2 + width + 4 + max(map(len, other), default=0) > columns:
            lines += [f"  {title}, expected", *(f"    {row}" for row in left)]
            lines += [f"  {title}, yours", *(f"    {row}" for row in other)]
            continue
        lines.append(f"  {title:14}  {'expected':{width}}    yours")
        for k in range(max(len(left), len(other))):
            a, b = (left[k] if k < len(left) else ""), (other[k] if k < len(other) else "")
            lines.append(f"  {'':14}  {a:{width}}    {b}".rstrip())
    return lines


def _cases(count: int) -> str:
    return "one case" if count == 1 else f"{count} cases"


def _sentence(text: str) -> str:
    return text + ("" if text.endswith((".", "!", "?")) else ".")


def _wrapped(text: str, columns: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, columns, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
