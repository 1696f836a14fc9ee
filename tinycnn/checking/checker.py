"""The check itself: find a student's functions by their names, ask them every case, and judge what they answer."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn.checking.desk import Desk
from tinycnn.checking.explain import explanations
from tinycnn.checking.judge import Ask, Fault, Record, Student, error_text
from tinycnn.checking.process import SECONDS, StudentError, StudentProcess
from tinycnn.checking.report import Report, Result
from tinycnn.checking.shrink import shrink
from tinycnn.checking.subject import Question, Subject
from tinycnn.checking.subjects import fitted, questions, subject_named, subjects
from tinycnn.checking.wire import pack, unpack

Signatures = Mapping[str, Any]
MOST_SOURCE = 2**20  # bytes of a student's file
_MOSTLY = 0.75  # an empty result, which no loop ever runs for, may come out right by chance
OURS_ALONE = "padding as 4 numbers"  # nobody else has it, and code for pairs takes the first two
MORE_AXES = "arrays of more than two axes"
_LEAST_SECONDS = 3.0  # it is not worth starting anew with less


def check_file(path: str | os.PathLike, seed: int = 0, seconds: float = SECONDS) -> Report:
    """Hold every function of a file that has one of our names to its formula, in a process of its own.

    Raises OSError for what is no readable file.
    """
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r} to check")
    if source.stat().st_size > MOST_SOURCE:
        raise ValueError(f"{path} has {source.stat().st_size:,} bytes; a student's file has at most {MOST_SOURCE:,}")
    report, ends = Report(str(path)), time.monotonic() + seconds
    waiting: list[Student] | None = None
    while waiting is None or waiting:
        left = ends - time.monotonic()
        if waiting and left < _LEAST_SECONDS:
            report.results += [Result(s.subject.name, _functions(s), about="its time was up") for s in waiting]
            break
        with StudentProcess(path, max(left, 1.0)) as process:
            if problem := _could_not_be_read(process):
                report.about = problem
                waiting = []
            elif waiting is None:
                waiting = found_in(process.hello["names"], process.ask)
                report.remarks += _patched(process.hello.get("patched", []))
                if not waiting:
                    report.about, report.nothing = _nothing(process.hello["names"]), True
            for student in list(waiting):
                student.ask = process.ask
                waiting.remove(student)
                report.results.append(examine(student, seed))
                if process.dead:
                    break  # the process has ended: another one for the rest
        report.printed = report.printed or process.said
        if process.left_running:
            report.remarks.append(f"the file left {process.left_running} other processes running: they were ended.")
    return report


def check(
    function: Callable[..., Any], backward: Callable[..., Any] | None = None, op: str = "", seed: int = 0, hint: int = 2
) -> Report:
    """Hold your own function, or pair, to the formula of its name, here in this process.

    It is asked fresh cases (`seed` chooses them), and what it answers is compared with the formula. The function's
    name says what it is, such as `conv2d_forward`, `softmax` or `adam_step`; or `op` does: "conv2d". `hint` says how
    much is told: 1 where it fails, 2 the smallest case, 3 the likely mistake. `report.text(3)` tells it later.

    Raises ValueError for a name that is none of ours, TypeError for what cannot be called.

    >>> def relu(x):
    ...     return abs(x)
    >>> check(relu).passed
    False
    >>> check(lambda x: x * (x > 0), op="relu").passed
    True
    """
    if not 1 <= hint <= 3:
        raise ValueError(f"hint must be 1, 2 or 3, got {hint!r}")
    functions: dict[str, Callable[..., Any]] = {}
    for one, half in ((function, "forward"), (backward, "backward")):
        if one is not None:
            functions[_name_of(one, half, op)] = one
    desk = Desk(functions)
    ask = lambda request: desk.ask(unpack(pack(request)))  # noqa: E731  (copies, as a process of its own would get)
    students = found_in(desk.ask({"do": "names"})["names"], ask)
    if not students:
        raise ValueError(_nothing(dict.fromkeys(functions)) + "; or say which with op=")
    report = Report(getattr(function, "__name__", "function"), hint=hint)
    report.results = [examine(student, seed) for student in students]
    return report


def _name_of(function: Any, half: str, op: str) -> str:
    if not callable(function):
        raise TypeError(f"a function is checked, got {type(function).__name__}: give {function!r} without calling it")
    name = getattr(function, "__name__", "")
    if not op:
        return name
    if (found := subject_named(op)) is None:
        raise ValueError(f"{_nothing({op: None})}")
    subject, said = found
    if half == "backward" or said == "backward" or (name.endswith("backward") and subject.backward):
        return subject.backward_name
    return subject.forward_name


def found_in(signatures: Signatures, ask: Ask) -> list[Student]:
    """The subjects that a file has functions for."""
    found: dict[str, Student] = {}
    for name, signature in signatures.items():
        lent = name.startswith("tinycnn.")
        meant = subject_named(name.removeprefix("tinycnn."))
        if meant is None:
            continue
        subject, half = meant
        student = found.setdefault(subject.name, Student(ask, subject))
        if lent:
            student.lent = name if half == "forward" else student.lent
        elif half == "backward":
            student.backward = name
        elif student.forward is None or name == subject.forward_name:
            student.forward, student.takes = name, _options(signature, subject)
    students = [s for s in found.values() if s.forward or s.backward]
    for student in students:
        student.misfit = _misfit(signatures, student)
    return students


def _misfit(signatures: Signatures, student: Student) -> str:
    """What is wrong with the parameters of a student's functions; empty if they can be called."""
    subject = student.subject
    needed = [n for n, p in subject.parameters.items() if p.default is p.empty]
    for name, wanted in ((student.forward, needed), (student.backward, ["dy", "cache"])):
        signature = signatures.get(name) if name else None
        if signature is None:
            continue
        places = [n for n, kind, _ in signature if kind in ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")]
        any_number = any(kind == "VAR_POSITIONAL" for _, kind, _ in signature)
        must = [n for n, kind, default in signature if not default and not kind.startswith("VAR_")]
        if (len(places) < len(wanted) and not any_number) or len(must) > len(wanted):
            own, asked = ", ".join(n for n, *_ in signature), ", ".join(wanted)
            return f"its parameters are ({own}), and it is called as {name}({asked}{', …' if wanted is needed else ''})"
    return ""


def _options(signature: Any, subject: Subject) -> frozenset[str] | None:
    """The options of ours that a signature has room for; None for all."""
    if signature is None or any(kind == "VAR_KEYWORD" for _, kind, _ in signature):
        return None
    return frozenset(name for name, *_ in signature)


def examine(student: Student, seed: int) -> Result:
    """Ask a subject's functions all their cases."""
    result = Result(student.subject.name, _functions(student), about=student.misfit)
    if student.misfit:
        return result
    asked = []
    for question in questions(student.subject, seed):
        asked += [question] if student.fits(question) else fitted(question, student.takes)
    if student.takes is not None and (lacks := _lacking(student)):
        result.remarks.append(f"{student.forward} takes no {', '.join(lacks)}: it was not asked for that.")
    try:
        for question in asked:
            result.records.append(student.record(question))
        _forgive(result)
        _conclude(result, student)
    except StudentError as stopped:
        _stopped(result, str(stopped), asked)
    return result


def _lacking(student: Student) -> list[str]:
    """The options of ours that a student's function has no room for."""
    options = [n for n, p in student.subject.parameters.items() if p.default is not p.empty]
    return [n for n in options if student.takes is not None and n not in student.takes]


def _conclude(result: Result, student: Student) -> None:
    """The smallest failing case and the likely mistakes."""
    failing = [r for r in result.records if r.faults]
    if not failing:
        return
    result.mistakes = explanations(student, result.records)
    drawn = [r for r in failing if r.question.kind == "drawn"]
    first = min(drawn or failing, key=lambda r: (r.question.kind == "nan", len(forms(r.question)), r.question.size))
    result.smallest = shrink(student, first)
    if all(r.question.kind == "nan" for r in failing):
        result.remarks.append(
            "with a NaN in its argument it goes on as if nothing was wrong. The formula's maximum of"
            " anything and NaN is NaN: what is broken must stay visibly broken."
        )


def _stopped(result: Result, why: str, asked: list[Question]) -> None:
    if len(result.records) == len(asked):
        return  # all was asked: it stopped while the case was made smaller
    question = asked[len(result.records)]
    result.about = f"{why}. The case was: {_described(question)}"


def _described(question: Question) -> str:
    """A case in a few words: shapes and options."""
    shapes = [f"{k} {v.shape}" for k, v in question.given.items() if hasattr(v, "shape") and v.shape]
    rest = [f"{k}={v!r}" for k, v in question.given.items() if not hasattr(v, "shape")]
    return ", ".join([*shapes, *rest])


def _forgive(result: Result) -> None:
    """Leave out the forms of arguments that a function does not take (it raises for them): that is no mistake."""
    form = {id(r): forms(r.question) for r in result.records}
    never = {one for one in set().union(*form.values()) if _refuses(result, one, form)}
    kept = [r for r in result.records if not (r.faults and never & form[id(r)])]
    if never and kept:
        if not any(map(_raised, kept)):
            said = ", ".join(sorted(never))
            result.remarks.append(f"it does not take {said}, which ours does: it was not asked for that.")
        result.records = kept


def _refuses(result: Result, one: str, form: dict[int, set[str]]) -> bool:
    """Whether a function does not take a form: it raises in nearly every case."""
    cases = [r for r in result.records if one in form[id(r)]]
    if one == OURS_ALONE:
        return any(r.faults for r in cases)
    if one == MORE_AXES:
        return 2 * sum(_raised(r) or any(f.kind == "shape" for f in r.faults) for r in cases) >= len(cases)
    return sum(map(_raised, cases)) >= _MOSTLY * len(cases)


def _raised(record: Record) -> bool:
    return any(f.kind == "error" for f in record.faults)


def forms(question: Question) -> set[str]:
    """Unusual ways to give an argument, which a student's function need not know."""
    found = set()
    for name, value in question.given.items():
        if value is None:
            found.add(f"{name}=None")
        elif isinstance(value, tuple) and name != "x_shape":
            found.add(f"{name} as {'a pair' if len(value) == 2 else f'{len(value)} numbers'}")
        elif isinstance(value, str):
            found.add(f"{name}={value!r}")
        elif name == "t" and np.ndim(value) > 1 and np.shape(value) == np.shape(question.args[0]):
            found.add("targets as rows")
    formula = question.subject.formula
    if (
        formula
        and formula.inputs
        and "..." in (formula.shapes.get(formula.inputs[0]) or ())
        and np.ndim(question.args[0]) > 2
    ):
        found.add(MORE_AXES)
    return found


def _functions(student: Student) -> tuple[str, ...]:
    return tuple(name for name in (student.forward, student.backward) if name)


def _could_not_be_read(process: StudentProcess) -> str:
    if process.dead:
        return f"could not be checked: {process.dead}"
    if error := process.hello.get("error"):
        return "could not be imported: " + error_text("it", error).removeprefix("it ")
    return ""


def _patched(names: list[Any]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(str(name) for name in names[:4])
    return [
        f"the file replaced {shown}{' and more' if len(names) > 4 else ''}, in its own process: the verdict is made in"
        " another one, where nothing is changed."
    ]


def _nothing(names: Mapping[str, Any]) -> str:
    """That no function has one of our names, and which of them is near to one."""
    known = [called for s in subjects().values() for called in (*s.called, s.name)]
    for name in names:
        if near := difflib.get_close_matches(name, known, n=1, cutoff=0.75):
            return f"no function has a name that is known: did you mean {near[0]!r} by {name!r}?"
    return "no function has a name that is known, such as conv2d_forward, softmax_backward, adam_step or f1"


__all__ = ["Fault", "Record", "check", "check_file", "examine", "found_in"]
