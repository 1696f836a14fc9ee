"""What can be checked: an op of ours (forward and backward), or a function that is no pair (a metric, a step).

A question is one case of it, with its arguments, options and upstream gradient; an answer is what came of it, by the
names that the formula gives its results. Ours, a mutant's and a student's answers have the same form.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from tinycnn.formula import Formula, formulas, literal_twin
from tinycnn.verify.cases import rewound

Results = dict[str, Any]
UPSTREAM = "dy"


@dataclass(frozen=True)
class Subject:
    """A formula's code of ours: `forward` alone, or the pair; `grads` are the arguments that have gradients.

    `second` says whether forward returns (result, cache), of which only the result is looked at.
    """

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any] | None = None
    grads: tuple[int, ...] = ()
    second: bool = False
    walked: bool = True  # whether the declared formulas can be walked for all options
    called: tuple[str, ...] = ()  # what a student may call it

    @cached_property
    def formula(self) -> Formula | None:
        """The declared formula of the forward."""
        return getattr(self.forward, "formula", None)

    @cached_property
    def transpose(self) -> Formula | None:
        """The declared formula of the backward."""
        return getattr(self.backward, "formula", None)

    @cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """Forward's parameters, in order."""
        return dict(inspect.signature(self.forward).parameters)

    @cached_property
    def made(self) -> tuple[str, ...]:
        """What forward's results are called."""
        several = not self.second and self.formula is not None and len(self.formula.results) > 1
        return self.formula.results if several else (_first_name(self),)  # type: ignore[union-attr]

    @cached_property
    def gradients(self) -> tuple[str, ...]:
        """What backward's results are called, in order."""
        names = list(self.parameters)
        return tuple(f"d{names[position]}" for position in self.grads)

    @property
    def forward_name(self) -> str:
        """What the forward is called, as a student should call it."""
        return self.forward.__name__

    @property
    def backward_name(self) -> str:
        """What the backward is called."""
        return self.backward.__name__ if self.backward else ""

    def half_of(self, result: str) -> str:
        """The name of the function that returns a result."""
        return self.backward_name if result in self.gradients else self.forward_name


def _first_name(subject: Subject) -> str:
    found = subject.formula.results[0] if subject.formula is not None else "y"
    return found if found not in ("accuracy", "average") else "y"


@dataclass(frozen=True)
class Question:
    """One case: arguments, options and an upstream gradient (None: only forward is asked).

    `kind` is "drawn", "ties", "extreme" (large numbers) or "nan"; a wrong answer on the last is only remarked on.
    """

    subject: Subject
    label: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    dy: Any = None
    kind: str = "drawn"
    seed: int = 0
    walk: bool = True  # the formula gives the answer; without, our NumPy code does, which is held to it and is faster

    @cached_property
    def bound(self) -> dict[str, Any]:
        """Every argument and option by its name, defaults included."""
        signature = inspect.Signature(list(self.subject.parameters.values()))
        bound = signature.bind(*self.args, **self.options)
        bound.apply_defaults()
        return dict(bound.arguments)

    @cached_property
    def expected(self) -> Results:
        """The formula's own answer: walked loop by loop, where its language says all of it."""
        return truth(self)

    @cached_property
    def given(self) -> dict[str, Any]:
        """The arguments and options that are handed over, by name."""
        return dict(zip(self.subject.parameters, self.args, strict=False)) | self.options

    def with_upstream(self) -> Question:
        """The same with a random dy of both signs, for the y that the formula gives."""
        if self.subject.backward is None:
            return self
        y = np.asarray(self.subject.forward(*rewound(self.args), **self.options)[0])
        dy = np.random.default_rng([self.seed, 11]).normal(size=y.shape)
        return replace(self, dy=dy if dy.ndim else dy[()])

    @property
    def size(self) -> int:
        """How much a reader has to look at: the numbers in it, and the options that say something."""
        numbers = sum(np.size(v) for v in self.args if isinstance(v, np.ndarray))
        return numbers + 3 * len(self.options)


@dataclass
class Answer:
    """Results by name, what went wrong in a half ("forward", "backward"), and the arguments that were changed."""

    results: Results = field(default_factory=dict)
    errors: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: tuple[str, ...] = ()


def truth(question: Question) -> Results:
    """What the formula gives."""
    subject = question.subject
    if subject.backward is not None and subject.walked and question.walk and question.kind == "drawn":
        walked = answer_of(question, *literal_twin(subject.forward, subject.backward))
        if not walked.errors:
            return walked.results
    answer = answer_of(question, subject.forward, subject.backward)
    return {} if answer.errors else answer.results


def answer_of(question: Question, forward: Callable[..., Any], backward: Callable[..., Any] | None) -> Answer:
    """What a pair of ours makes of a question; an error it raises is part of the answer."""
    subject, answer = question.subject, Answer()
    args, options = _copied(question.args), {k: _copied((v,))[0] for k, v in question.options.items()}
    kept = dict(zip(subject.parameters, args, strict=False)) | options
    before = {k: np.array(v) for k, v in kept.items() if isinstance(v, np.ndarray)}
    half = "forward"
    try:
        with np.errstate(all="ignore"):
            found = forward(*args, **options)
            y, cache = found if subject.second or subject.backward else (found, None)
            parts = y if isinstance(y, tuple) and len(subject.made) > 1 else (y,)
            answer.results |= {k: np.asarray(v) for k, v in zip(subject.made, parts, strict=True)}
            if backward is not None and question.dy is not None:
                half = "backward"
                dy = np.array(question.dy) if np.ndim(question.dy) else question.dy
                before |= {UPSTREAM: np.array(dy)}
                kept |= {UPSTREAM: dy}
                answer.results |= gradients(subject, backward(dy, cache))
    except Exception as error:
        answer.errors[half] = {"type": type(error).__name__, "message": str(error), "line": None, "code": ""}
    answer.changed = tuple(k for k, v in before.items() if not np.array_equal(np.asarray(kept[k]), v, equal_nan=True))
    return answer


def gradients(subject: Subject, found: Any) -> Results:
    """What a backward returned, by name; a gradient that is None (no bias) is left out."""
    parts = found if isinstance(found, tuple) else (found,)
    named = zip(subject.gradients, parts, strict=True)
    return {name: np.asarray(value) for name, value in named if value is not None}


def _copied(values: Iterable[Any]) -> tuple[Any, ...]:
    return rewound(tuple(np.array(v) if isinstance(v, np.ndarray) else v for v in values))


def formula_of(subject: Subject, result: str) -> Formula | None:
    """The formula that makes a result."""
    found = subject.transpose if result in subject.gradients else subject.formula
    return found if found is None or found.name in formulas else None
