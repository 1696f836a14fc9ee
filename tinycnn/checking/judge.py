"""What a student's function answers, and whether it is right: compared here, far from the student's code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinycnn.checking.subject import UPSTREAM, Answer, Question, Subject

TOLERANCE = 1e-9  # of the largest number of a result; float32 is seen, another order of the same sums is not
Ask = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: `kind` is "value", "shape", "error", "changed", "missing" or "stopped"."""

    result: str  # the result's name, or the function's
    kind: str
    text: str


@dataclass
class Record:
    """A question, what was answered, and what is wrong with it."""

    question: Question
    answer: Answer
    faults: list[Fault] = field(default_factory=list)

    @property
    def wrong(self) -> tuple[str, ...]:
        """The results that are wrong."""
        return tuple(dict.fromkeys(fault.result for fault in self.faults))


@dataclass
class Student:
    """How to ask a student's functions for one subject: under which names they stand, and what they take."""

    ask: Ask
    subject: Subject
    forward: str | None = None  # the student's name for it; None if there is none
    backward: str | None = None
    lent: str | None = None  # a forward imported from tinycnn, which serves for its cache alone
    takes: frozenset[str] | None = None  # the options that forward takes; None: all
    misfit: str = ""  # what is wrong with the parameters

    def fits(self, question: Question) -> bool:
        """Whether the function takes the options of a question."""
        return self.takes is None or set(question.options) <= self.takes

    def results(self, question: Question) -> tuple[str, ...]:
        """The results that the student's functions owe."""
        halves = (self.subject.made if self.forward else ()) + (self.subject.gradients if self.backward else ())
        return tuple(name for name in halves if name in question.expected)

    def record(self, question: Question) -> Record:
        """Ask, and compare."""
        record = Record(question, Answer())
        has_cache = False
        if self.forward or self.lent:
            reply = self._forward(question)
            has_cache = bool(reply.get("has_cache"))
            if self.forward:
                self._take(record, "forward", reply, self.subject.made, self.forward)
            right_shape = not any(f.kind != "value" for f in record.faults)
        else:
            right_shape = True
        if self.backward and question.dy is not None and right_shape:
            reply = self._backward(question, has_cache)
            self._take(record, "backward", reply, self.subject.gradients, self.backward)
        return record

    def _forward(self, question: Question) -> dict[str, Any]:
        return self.ask(
            {
                "do": "forward",
                "function": self.forward or self.lent,
                "args": list(question.args),
                "options": question.options,
                "names": list(self.subject.parameters),
                "pair": self.subject.backward is not None or self.subject.second,
                "several": len(self.subject.made) > 1,
            }
        )

    def _backward(self, question: Question, own: bool) -> dict[str, Any]:
        cache = {} if own else documented_cache(question)
        return self.ask(
            {
                "do": "backward",
                "function": self.backward,
                "dy": question.dy,
                "own": own,
                "cache": cache,
                "results": list(self.subject.gradients),
            }
        )

    def _take(self, record: Record, half: str, reply: dict[str, Any], names: tuple[str, ...], function: str) -> None:
        """Write a reply into the record."""
        if error := reply.get("error"):
            record.answer.errors[half] = error
            record.faults.append(Fault(function, "error", error_text(function, error)))
            return
        found, owed = reply.get("results", []), record.question.expected
        if len(found) < len([n for n in names if n in owed]) or len(found) > len(names):
            wanted = names[0] if len(names) == 1 else f"{len(names)} results, ({', '.join(names)})"
            record.faults.append(Fault(function, "missing", f"{function} returned {_count(found)}; expected {wanted}"))
            return
        for name, got in zip(names, found, strict=False):
            if name in owed:
                record.answer.results[name] = got
                if fault := compare(name, owed[name], got):
                    record.faults.append(fault)
        changed = tuple(str(name) for name in reply.get("changed", ()))
        record.answer.changed += tuple(n for n in changed if n not in record.answer.changed)
        record.faults += [Fault(function, "changed", changed_text(function, name)) for name in changed]


def documented_cache(question: Question) -> dict[str, Any]:
    """What a backward is given that has no forward of its own: forward's arguments, options and result by name."""
    made = {name: np.array(question.expected[name]) for name in question.subject.made}
    return question.bound | {"y": next(iter(made.values()))} | made


def compare(name: str, expected: Any, got: Any) -> Fault | None:
    """What is wrong with a result, or None."""
    if got is None:
        return Fault(name, "missing", f"{name} is None")
    if isinstance(got, dict):
        return Fault(name, "missing", f"{name} is {_article(str(got.get('odd')))}, not an array or a number")
    expected, got = np.asarray(expected), np.asarray(got)
    if expected.shape != got.shape:
        return Fault(name, "shape", f"{name} has shape {shape_text(got.shape)}, expected {shape_text(expected.shape)}")
    wrong = wrong_cells(expected, got)
    if not wrong.any():
        return None
    return Fault(name, "value", f"{name} is wrong in {int(wrong.sum())} of {wrong.size} places")


def wrong_cells(expected: np.ndarray, got: np.ndarray) -> np.ndarray:
    """Where two arrays of one shape differ by more than rounding; NaN equals NaN."""
    if expected.dtype.kind in "biu" and got.dtype.kind in "biu":
        return np.asarray(expected != got)
    expected, got = expected.astype(np.float64), got.astype(np.complex128 if got.dtype.kind == "c" else np.float64)
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        same = (expected == got) | (np.isnan(expected) & np.isnan(got))
        return ~(same | (np.abs(expected - got) <= TOLERANCE * scale + 1e-12))


def same_result(a: Any, b: Any, loose: bool = False) -> bool:
    """Whether two answers to a question agree in one result; `loose`: whatever is not finite is alike."""
    if a is None or b is None or isinstance(a, dict) or isinstance(b, dict):
        return False
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    if loose:
        finite = np.isfinite(a)
        if not np.array_equal(finite, np.isfinite(b)):
            return False
        a, b = np.where(finite, a, 0), np.where(finite, b, 0)
    return not wrong_cells(a, b).any()


def error_text(function: str, error: dict[str, Any]) -> str:
    """An exception of the student's code in one line."""
    kind, line = str(error.get("type")), error.get("line")
    where = f" (line {line}{': ' + str(error['code']).strip() if error.get('code') else ''})" if line else ""
    if kind == "SystemExit":
        return f"{function} calls sys.exit: a function should return{where}"
    if kind == "MemoryError":
        return f"{function} ran out of memory{where}"
    return f"{function} raised {kind}: {error.get('message')}{where}"


def changed_text(function: str, name: str) -> str:
    """An argument that was overwritten."""
    what = "the upstream gradient dy" if name == UPSTREAM else f"its argument {name}"
    return f"{function} changed {what}: work on a copy, for whoever called still holds that array"


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape in the way of formulas: (2, 3), or "()" of a single number."""
    return str(tuple(map(int, shape))) if shape else "() (one number)"


def _count(found: list[Any]) -> str:
    return "one result" if len(found) == 1 else f"{len(found)} results"


def _article(word: str) -> str:
    return f"an {word}" if word[:1] in "aeiou" else f"a {word}"
