"""From a failing case to the smallest that fails the same way: fewer numbers, fewer options, rounder numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tinycnn.checking.judge import Record, Student
from tinycnn.checking.subject import Question
from tinycnn.checking.subjects import ask as ask_anew

MOST_TRIES = 150
_LEAST = 1e-3


def shrink(student: Student, record: Record, tries: int = MOST_TRIES) -> Record:
    """The smallest record found that has a fault of the same kind in the same result."""
    kind = {(f.result, f.kind) for f in record.faults}
    smaller = True
    while smaller and tries > 0:
        smaller = False
        for candidate in _simpler(record.question):
            tries -= 1
            found = student.record(candidate)
            if kind & {(f.result, f.kind) for f in found.faults}:
                record, smaller = found, True
                break
            if tries <= 0:
                break
    for candidate in _rounder(record.question):
        found = student.record(candidate)
        if kind & {(f.result, f.kind) for f in found.faults}:
            record = found
            break
    return student.record(replace(record.question, walk=True))


def _simpler(question: Question) -> Iterator[Question]:
    """Every case that is one step smaller and that the formula has an answer for, the boldest step first."""
    for args, options in (*_fewer_options(question), *_fewer_numbers(question)):
        found = ask_anew(question.subject, "shrunk", args, options, question.seed, question.kind, False)
        if found is not None and _says_something(found, question):
            yield found


def _says_something(found: Question, before: Question) -> bool:
    """Whether every result still holds a number that is not next to nothing, if it did before."""
    largest = lambda v: float(np.abs(np.nan_to_num(np.asarray(v, float))).max(initial=0.0))  # noqa: E731
    return all(largest(v) > _LEAST or largest(before.expected[k]) <= _LEAST for k, v in found.expected.items())


def _fewer_options(question: Question) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    for name in question.options:
        yield question.args, {k: v for k, v in question.options.items() if k != name}
    for name, value in question.given.items():
        for simpler in _simpler_values(value):
            if name in question.options:
                yield question.args, question.options | {name: simpler}
            else:
                at = list(question.subject.parameters).index(name)
                yield (*question.args[:at], simpler, *question.args[at + 1 :]), question.options


def _simpler_values(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple) and value and all(isinstance(v, int) for v in value):
        yield from dict.fromkeys((min(value), max(value)))
    elif isinstance(value, int) and not isinstance(value, bool) and value > 2:
        yield 2
        yield value - 1


def _fewer_numbers(question: Question) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Cut an axis, by its letter in the formula, in every array that has it."""
    named = [
        _axes(question, name, value) for name, value in zip(question.subject.parameters, question.args, strict=False)
    ]
    sizes: dict[str, int] = {}
    for value, axes in zip(question.args, named, strict=True):
        for axis, letter in enumerate(axes):
            sizes.setdefault(letter, value.shape[axis])
    groups = [{letter} for letter in sizes] + [{"C", "CG"}, {"H", "W"}, {"KH", "KW"}]
    for size in (1, 2, None):
        for letters in (g for g in groups if g <= sizes.keys()):
            to = {k: sizes[k] - 1 if size is None else size for k in letters}
            if all(0 < to[k] < sizes[k] for k in letters):
                yield tuple(_cut(v, axes, to) for v, axes in zip(question.args, named, strict=True)), question.options


def _axes(question: Question, name: str, value: Any) -> tuple[str, ...]:
    """What the axes of an argument are called; those that `...` stands for are numbered."""
    formula = question.subject.formula
    dims = (formula.shapes.get(name) if formula else None) or ()
    if not isinstance(value, np.ndarray) or not dims:
        return ()
    plain = [d for d in dims if d != "..."]
    if value.ndim < len(dims) and "K" in plain and name == "t":
        plain.remove("K")  # labels have no axis of classes
    rest = value.ndim - len(plain)
    if rest < 0 or (rest and "..." not in dims):
        return ()
    return (*plain, *(f"...{k}" for k in range(rest)))


def _cut(value: Any, axes: tuple[str, ...], to: dict[str, int]) -> Any:
    if not axes:
        return value
    return np.ascontiguousarray(value[tuple(slice(to.get(letter)) for letter in axes)])


def _rounder(question: Question) -> Iterator[Question]:
    """The same case with whole numbers, else with one digit behind the point."""
    if question.kind in ("extreme", "nan"):
        return
    for rounded, upstream in ((_whole, _whole_upstream), (_whole, _one_digit), (_one_digit, _one_digit)):
        args = tuple(rounded(v) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v for v in question.args)
        found = ask_anew(question.subject, "shrunk", args, question.options, question.seed, question.kind, False)
        if found is not None:
            yield found if found.dy is None else replace(found, dy=upstream(np.asarray(found.dy))[()])


def _whole_upstream(dy: np.ndarray) -> np.ndarray:
    return _small(3 * dy)


def _one_digit(values: np.ndarray) -> np.ndarray:
    return values.round(1)


def _whole(values: np.ndarray) -> np.ndarray:
    """Whole numbers: distinct ones where the numbers were distinct, else the nearest that is not 0."""
    if len(np.unique(values)) == values.size > 1 and np.abs(np.diff(np.sort(values, axis=None))).min() > 0.05:
        rank = values.argsort(axis=None).argsort() - int((values < 0).sum())
        return (rank + (rank >= 0)).reshape(values.shape).astype(np.float64)
    return _small(values)


def _small(values: np.ndarray) -> np.ndarray:
    whole = np.round(values)
    return np.where(whole == 0, np.where(values < 0, -1.0, 1.0), whole) * (values != 0)
