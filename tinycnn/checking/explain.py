"""Naming the likely mistake: which way of being wrong gives exactly the student's answers, in every case?

A mistake explains if what code with it answers equals what the student answered, in the cases that are right as in
those that are wrong. What no single mistake explains is explained result by result, and at last case by case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tinycnn.checking.judge import Record, Student, same_result
from tinycnn.checking.mistakes import Mistake, MutantError, mistakes
from tinycnn.checking.result_slips import ResultSlip, result_slips
from tinycnn.checking.subject import Answer, Question, Subject

MOST = 3  # explanations that are kept


@dataclass(frozen=True)
class Explanation:
    """A mistake that gives the student's answers: in `cases` cases, `wrong` of them wrong ones.

    `results` are the results it explains; `whole` says whether those are all that is wrong.
    """

    name: str
    title: str
    story: str
    results: tuple[str, ...]
    whole: bool
    cases: int
    wrong: int
    source: str = ""
    lesson: str = ""
    museum: int = 0
    beside: int = 0  # wrong cases that have something else as well

    @property
    def sure(self) -> str:
        """How sure this is, in words."""
        if self.museum == 0 and self.wrong == 1:
            return "a guess: one wrong case alone shows it"
        if self.beside:
            return (
                f"code with this mistake gives your answers in {self.wrong} of the {self.wrong + self.beside} wrong "
                "cases, and in all that are right. It is not all that is wrong: mend it, and check again"
            )
        what = "your answers" if self.whole else f"your {' and '.join(self.results)}"
        more = "" if self.whole else ". It is not all that is wrong: mend it, and check again"
        return f"code with this mistake gives {what} in all {self.cases} cases, the {self.wrong} wrong among them{more}"


def explanations(student: Student, records: list[Record]) -> list[Explanation]:
    """The mistakes that give the student's answers, the likeliest first; none if nothing does."""
    records = [r for r in records if not any(f.kind == "stopped" for f in r.faults)]
    failing = sorted((r for r in records if r.faults), key=lambda r: r.question.size)
    if not failing:
        return []
    ordered = failing + [r for r in records if not r.faults]
    found = list(_whole(student, ordered, len(failing)))
    if found and found[0].museum:
        return found[:MOST]
    if all(f.kind == "changed" for r in failing for f in r.faults) and not found:
        return [_overwritten(len(ordered), len(failing))]
    by_result = _by_result(student, ordered)
    if found:
        return [*found, *(e for e in by_result if e.whole)][:MOST]
    return by_result or list(_parts(student, ordered))[:MOST] or _some(student, ordered)


def _overwritten(cases: int, wrong: int) -> Explanation:
    story = (
        "The results are right. But the array that was handed in is no longer what it was, and whoever handed it in"
        " still needs it: x[x < 0] = 0 and dy *= mask write into it. Copy first, or make a new array."
    )
    return Explanation("argument-overwritten", "An argument is overwritten", story, (), True, cases, wrong)


def _whole(student: Student, records: list[Record], failing: int) -> Iterator[Explanation]:
    titles: list[str] = []
    known = False  # an exhibit of the museum explains it: what is less specific need not be tried
    for mistake in mistakes(student.subject):
        if mistake.title in titles or (titles and mistake.rank and known):
            continue
        if _explains(mistake, student, records, None):
            titles.append(mistake.title)
            known = mistake.museum > 0
            yield _told(mistake, (), True, len(records), failing)
        if len(titles) == MOST:
            return


def _explains(mistake: Mistake, student: Student, records: list[Record], only: str | None) -> bool:
    """Whether it gives the student's answers; with `only`, those of one result."""
    shown = False  # two answers that are errors agree, and show nothing
    try:
        with mistake.inside():
            for record in records:
                agrees = _agrees(mistake.answer(record.question), student, record, only)
                if agrees is False:
                    return False
                shown |= agrees is True and bool(record.faults)
    except MutantError:
        return False
    return shown


def _agrees(answer: Answer | None, student: Student, record: Record, only: str | None) -> bool | None:
    """Whether an answer equals the student's; None if there is nothing to compare."""
    if answer is None:
        return False
    question, theirs = record.question, record.answer
    loose = question.kind != "drawn"
    if only is not None:
        return same_result(answer.results.get(only), theirs.results.get(only), loose)
    if set(answer.changed) != set(theirs.changed):
        return False
    wrong_shape = any(f.kind == "shape" for f in record.faults)
    if student.forward and "forward" in {*answer.errors, *theirs.errors}:  # ours may refuse what has an odd result
        return None if "forward" in answer.errors and (wrong_shape or "forward" in theirs.errors) else False
    names = [n for n in student.results(question) if n in theirs.results or n in answer.results]
    for name in names:
        if name in student.subject.gradients and (wrong_shape or "backward" in theirs.errors):
            if "backward" in theirs.errors and not wrong_shape and "backward" not in answer.errors:
                return False
            continue
        if not same_result(answer.results.get(name), theirs.results.get(name), loose):
            return False
    return True


def _parts(student: Student, records: list[Record]) -> Iterator[Explanation]:
    """Mistakes that give one of the wrong results, if not the others."""
    for name in _wrong_results(records):
        own = [r for r in records if name in r.answer.results]
        failing = sum(name in r.wrong for r in own)
        for mistake in mistakes(student.subject):
            if _explains(mistake, student, own, name):
                yield _told(mistake, (name,), False, len(own), failing)
                break


def _some(student: Student, records: list[Record]) -> list[Explanation]:
    """The mistake that gives the most of the wrong answers, two at least, and every right one: one of several."""
    wrong, right = ([r for r in records if bool(r.faults) is faulty] for faulty in (True, False))
    best, most = None, 1
    for mistake in mistakes(student.subject):
        try:
            with mistake.inside():
                if any(_agrees(mistake.answer(r.question), student, r, None) is False for r in right):
                    continue
                given = sum(_agrees(mistake.answer(r.question), student, r, None) is True for r in wrong)
        except MutantError:
            continue
        if given > most:
            best, most = mistake, given
    if best is None:
        return []
    told = _told(best, (), False, len(right) + most, most)
    return [replace(told, beside=len(wrong) - most)]


def _by_result(student: Student, records: list[Record]) -> list[Explanation]:
    """For each wrong result, the slip that makes it of the right one; all that is wrong must be results."""
    wrong, found = _wrong_results(records), []
    whole = all(f.kind in ("value", "shape") for r in records for f in r.faults)
    for name in wrong:
        own = [r for r in records if name in r.answer.results]
        slips = result_slips(own[0].question, name)
        slip = next((s for s in slips if all(_makes(s, name, r) for r in own)), None)
        if slip is not None:
            failing = sum(name in r.wrong for r in own)
            found.append((name, slip, len(own), failing))
    if len(found) == len(wrong) and len({slip.name for _, slip, *_ in found}) == 1 and len(wrong) > 1:
        names, (_, slip, cases, failing) = tuple(name for name, *_ in found), found[0]
        return [_of_slip(slip, names, whole, cases, failing)]
    return [_of_slip(slip, (name,), whole and len(wrong) == 1, cases, n) for name, slip, cases, n in found]


def _makes(slip: ResultSlip, name: str, record: Record) -> bool:
    """Whether a slip makes the student's result of the right one."""
    question, got = record.question, record.answer.results[name]
    made = slip.change(name, np.asarray(question.expected[name]), question)
    if slip.name == "float32" and isinstance(got, np.ndarray):  # of float32 sums, the last digits vary
        right = np.asarray(question.expected[name])
        scale = np.abs(right).max(initial=0.0)
        return got.shape == right.shape and bool((np.abs(got - right) <= 2e-5 * scale + 1e-12).all())
    return made is not None and same_result(made, got, question.kind != "drawn")


def _wrong_results(records: list[Record]) -> list[str]:
    found = [f.result for r in records for f in r.faults if f.kind in ("value", "shape")]
    return list(dict.fromkeys(found))


def _told(mistake: Mistake, results: tuple[str, ...], whole: bool, cases: int, wrong: int) -> Explanation:
    return Explanation(
        mistake.name,
        mistake.title,
        mistake.story,
        results,
        whole,
        cases,
        wrong,
        mistake.source,
        mistake.lesson,
        mistake.museum,
    )


def _of_slip(slip: ResultSlip, names: tuple[str, ...], whole: bool, cases: int, wrong: int) -> Explanation:
    title = slip.title.replace("{r}", " and ".join(names))
    if len(names) > 1:
        title = title.replace(" is ", " are ", 1).replace(" has ", " have ", 1)
    return Explanation(slip.name, title, slip.story, names, whole, cases, wrong)


__all__ = ["Explanation", "Question", "Subject", "explanations"]
