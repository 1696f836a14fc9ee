"""The table of subjects by the name a student may give a function, and the questions that each is asked."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from tinycnn.checking.singles import DRAWS
from tinycnn.checking.special import special_cases
from tinycnn.checking.subject import Question, Subject
from tinycnn.errors import ShapeError
from tinycnn.verify.cases import CASES, NumpyChooser, OpCase, draw_case

DRAWN = 14  # configurations drawn for an op, beside the table's own


@cache
def subjects() -> dict[str, Subject]:
    """Every op, loss, optimizer step and metric, by its formula's name or its own."""
    found: dict[str, Subject] = {}
    for case in CASES:
        forward, backward = case.functions
        walked = case.twin and found.get(case.name, _NONE).walked
        found[case.name] = Subject(
            case.name, forward, backward, case.grads, True, walked, (f"{case.name}_forward", f"{case.name}_backward")
        )
    for name, (function, _) in DRAWS.items():
        key = name if name not in found else f"{name} (metric)"
        found[key] = Subject(key, function, second=name == "im2col", called=(name,))
    return found


_NONE = Subject("", print)


def subject_named(function: str) -> tuple[Subject, str] | None:
    """The subject that a function's name means, and which half: "forward" or "backward"; None if it means none."""
    table = subjects()
    for subject in table.values():
        if function in subject.called:
            return subject, "backward" if function.endswith("_backward") else "forward"
    if function in table:  # the bare name of a pair is its forward
        return table[function], "forward"
    step = table.get(f"{function}_step")
    return (step, "forward") if step else None


@cache
def questions(subject: Subject, seed: int) -> tuple[Question, ...]:
    """Fresh cases, the simplest first: the table's configurations, drawn ones, and those that are special to an op."""
    found = [q for q in _all(subject, seed) if q is not None]
    order = {"drawn": 0, "ties": 1, "extreme": 2, "nan": 3}
    return tuple(sorted(found, key=lambda q: (order[q.kind], len(q.options), q.size)))


def fitted(question: Question, takes: frozenset[str] | None) -> list[Question]:
    """The same case without the options that a function does not take; none if nothing is left of it."""
    options = {k: v for k, v in question.options.items() if takes is None or k in takes}
    found = ask(question.subject, question.label, question.args, options, question.seed, question.kind)
    return [] if found is None else [found]


def _all(subject: Subject, seed: int) -> Iterator[Question | None]:
    if subject.backward is None:
        for number, (label, draw) in enumerate(DRAWS[subject.called[0]][1].items()):
            for again in range(3):
                args, options = draw(np.random.default_rng([seed, number, again]))
                yield ask(subject, f"{label}, {again + 1}", args, options)
        return
    for number, case in enumerate(case for case in CASES if case.name == subject.name):
        args, options = case.build([seed, number])  # type: ignore[arg-type]
        yield ask(subject, case.variant, args, options, seed + number)
    for number, drawn in enumerate(drawn_cases(subject, seed)):
        yield ask(subject, f"drawn {number + 1}", *drawn.build(), seed + number)
    for label, kind, args, options in special_cases(subject.name, np.random.default_rng([seed, 5])):
        yield ask(subject, label, args, options, seed, kind)


def drawn_cases(subject: Subject, seed: int) -> list[OpCase]:
    """Random configurations of an op."""
    chooser = NumpyChooser(np.random.default_rng([seed, 3]))
    return [draw_case(subject.name, chooser) for _ in range(DRAWN)]


def ask(
    subject: Subject,
    label: str,
    args: tuple[Any, ...],
    options: dict[str, Any],
    seed: int = 0,
    kind: str = "drawn",
    walk: bool = True,
) -> Question | None:
    """A question with an upstream gradient and its answer worked out; None if ours refuses such arguments."""
    args = tuple(v.astype(np.float64) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v for v in args)
    needed = sum(p.default is p.empty for p in subject.parameters.values())  # the others go by their names
    options = dict(zip(list(subject.parameters)[needed:], args[needed:], strict=False)) | options
    args = args[:needed]
    try:
        asked = Question(subject, label, args, dict(options), None, kind, seed, walk).with_upstream()
        return asked if asked.expected else None
    except (ShapeError, ValueError, TypeError, IndexError, ZeroDivisionError):
        return None
