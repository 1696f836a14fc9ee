"""Likely mistakes: each is a way to answer a question wrongly, to be compared with what a student answered.

The most specific come first: the bugs of the museum, then slips in a line of our own code, then arguments confused,
then results that are off by a sign or a factor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

from tinycnn.checking.argument_slips import argument_slips
from tinycnn.checking.code_slips import CODE_SLIPS
from tinycnn.checking.subject import Answer, Question, Subject, answer_of
from tinycnn.verify.museum import MUTANTS, MutantError, Patch, patched

SLIPS_OF_THE_MUSEUM = {  # an exhibit that is a layer's, in the form that an op of a student would have it
    "batchnorm-test-statistics": (
        Patch("ops.norm:batch_norm_forward", "    x, axes = _channels(x)\n",
              "    x, axes = _channels(x)\n    mean = var = None\n"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Mistake:
    """A mistake with its story; `answer(question)` is what code with it would answer, None if it cannot be asked."""

    name: str
    title: str
    story: str
    rank: int
    answer: Callable[[Question], Answer | None]
    inside: Callable[[], AbstractContextManager] = nullcontext  # what must be in force while it answers
    source: str = ""
    lesson: str = ""
    museum: int = 0  # the exhibit's number


def mistakes(subject: Subject) -> Iterator[Mistake]:
    """Every mistake that this subject's code could have, the most specific first."""
    ours = lambda question: answer_of(question, subject.forward, subject.backward)  # noqa: E731
    for m in MUTANTS.values():
        patches = SLIPS_OF_THE_MUSEUM.get(m.name, m.patches)
        yield Mistake(m.name, m.title, m.story, 0, ours, partial(patched, patches), m.source, m.lesson, m.number)
    for slip in CODE_SLIPS:
        yield Mistake(slip.name, slip.title, slip.story, 1, ours, partial(patched, slip.patches))
    for argument in argument_slips(subject):
        yield Mistake(argument.name, argument.title, argument.story, 2, argument.answer)


__all__ = ["Mistake", "MutantError", "mistakes"]
