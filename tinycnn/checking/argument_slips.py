"""Slips with arguments: an option overlooked, a pair the wrong way round, two arguments confused, dy not used at all.

They are the same for every op: ours is asked the question that was misunderstood.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinycnn.checking.subject import Answer, Question, Subject, answer_of
from tinycnn.ops.window import place_window

Change = Callable[[Question], Question | None]
_PAIRS = ("stride", "padding", "dilation", "kernel_size", "output_padding", "scale", "output_size")
_WEIGHTS: tuple[tuple[str, str, str, Callable[[np.ndarray], np.ndarray]], ...] = (
    (
        "transposed",
        "The weights are transposed",
        "w[f,c]: the first axis counts what comes out, the second what goes in.",
        lambda w: np.swapaxes(w, -1, -2),
    ),
    (
        "flipped",
        "The kernel is flipped",
        "Here, as in every framework, a convolution does not turn the kernel: w[f,c,i,j] meets x[…, u·s+i, v·s+j].",
        lambda w: w[..., ::-1, ::-1] if w.ndim > 3 else w[..., ::-1],
    ),
)
_ABSENT = {"b": 0.0, "beta": 0.0, "gamma": 1.0, "eps": 0.0}  # what an argument is when it is forgotten


@dataclass(frozen=True)
class ArgumentSlip:
    """A question asked wrongly; `backward_only`: forward understood it."""

    name: str
    title: str
    story: str
    change: Change
    backward_only: bool = False
    turn: Callable[[np.ndarray], np.ndarray] | None = None  # what has to be turned back in the results,
    only: str = ""  # or in this one

    def answer(self, question: Question) -> Answer | None:
        """What ours answers to the question that was understood; None where nothing was misunderstood."""
        changed = self.change(question)
        subject = question.subject
        if changed is None:
            return answer_of(question, subject.forward, subject.backward)
        found = answer_of(changed, subject.forward, subject.backward)
        if self.turn is not None:
            found.results = {k: v if self.only and k != self.only else self.turn(v) for k, v in found.results.items()}
        if self.backward_only:
            found.results |= {k: v for k, v in question.expected.items() if k in subject.made}
        return found


def argument_slips(subject: Subject) -> Iterator[ArgumentSlip]:
    """Those that make sense for a subject."""
    for slip in _slips(subject):
        yield slip
        if subject.backward is not None:
            yield replace(slip, name=f"{slip.name}-in-backward", title=f"{slip.title}, in backward", backward_only=True)


def _slips(subject: Subject) -> Iterator[ArgumentSlip]:
    yield from _options(subject)
    for name, value in _ABSENT.items():
        if name in subject.parameters:
            yield ArgumentSlip(
                f"{name}-missing",
                f"{name} is not used",
                f"{name} is in the formula, and not in the sum.",
                _set_to(name, value),
            )
    if subject.backward is not None:
        yield from _upstream()
    if "w" in subject.parameters and subject.backward is not None:
        for name, title, story, turn in _WEIGHTS:
            yield ArgumentSlip(f"weights-{name}", title, story, _turned("w", turn), turn=turn, only="dw")
    if "lr" in subject.parameters:
        yield ArgumentSlip(
            "uphill",
            "The step goes up the slope, not down",
            "Against the gradient: w − lr·dw.",
            lambda q: _set(q, "lr", -q.bound["lr"]),
        )
    yield from _swapped(subject)
    yield from _axes()


def _options(subject: Subject) -> Iterator[ArgumentSlip]:
    for name, parameter in subject.parameters.items():
        if parameter.default is not parameter.empty and name not in _ABSENT:
            yield ArgumentSlip(
                f"{name}-ignored",
                f"{name} is ignored",
                f"The results are those of {name} = {parameter.default!r}, whatever was asked for.",
                _set_to(name, parameter.default),
            )
        if name in _PAIRS:
            yield ArgumentSlip(
                f"{name}-swapped",
                f"{name} is the wrong way round",
                f"A pair is (vertical, horizontal): {name}[0] goes with the rows (H), {name}[1] with the columns (W).",
                _reverse(name),
            )
    if "padding" in subject.parameters:
        yield ArgumentSlip(
            "same-at-the-top",
            'padding="same" puts the odd row and column at the top and left',
            "As in TensorFlow, the odd one goes to the bottom and the right.",
            _same_at_the_top,
        )


def _upstream() -> Iterator[ArgumentSlip]:
    yield ArgumentSlip(
        "dy-ignored",
        "The upstream gradient dy is not used",
        "The result is the one for dy = 1 everywhere. The chain rule multiplies by dy.",
        _upstream_as(lambda dy: np.ones_like(dy) if np.ndim(dy) else 1.0),
    )
    yield ArgumentSlip(
        "dy-flipped",
        "dy is flipped",
        "The upstream gradient is turned by 180° before it is used.",
        _upstream_as(lambda dy: dy[..., ::-1, ::-1] if np.ndim(dy) > 2 else dy),
    )
    yield ArgumentSlip(
        "dy-transposed",
        "The rows and columns of dy are exchanged",
        "dy[n,f,u,v]: u counts rows, v columns.",
        _upstream_as(lambda dy: np.swapaxes(dy, -1, -2) if np.ndim(dy) > 2 else dy),
    )


def _swapped(subject: Subject) -> Iterator[ArgumentSlip]:
    """Two neighbouring arguments confused."""
    names = [name for name in subject.parameters if name not in _PAIRS]
    for a, b in itertools.pairwise(names):
        yield ArgumentSlip(
            f"{a}-{b}-confused", f"{a} and {b} are confused", "Each stands where the other belongs.", _exchange(a, b)
        )


def _axes() -> Iterator[ArgumentSlip]:
    """The op along another axis: turn the arrays, ask, and turn the results back."""
    told = (
        ((0, 1), 2, "axis 0 is taken for axis 1 (examples for classes, channels or features)"),
        ((1, -1), 3, "the last axis is taken for axis 1 (classes and channels are axis 1)"),
        ((-2, -1), 3, "rows and columns are exchanged"),
    )
    for (a, b), least, title in told:

        def turn(v: np.ndarray, a: int = a, b: int = b, least: int = least) -> np.ndarray:
            return np.swapaxes(v, a, b) if np.ndim(v) >= least else v

        yield ArgumentSlip(
            f"axes-{a}-{b}",
            title[0].upper() + title[1:],
            "Look at which axis each sum, mean or maximum is"
            " taken over: in the formula, it is the letter that is summed.",
            _all_turned(turn),
            turn=turn,
        )


def _set(question: Question, name: str, value: Any) -> Question:
    """The question with one argument or option changed."""
    names = list(question.subject.parameters)[: len(question.args)]
    if name in names:
        args = tuple(value if n == name else v for n, v in zip(names, question.args, strict=True))
        return replace(question, args=args)
    return replace(question, options=question.options | {name: value})


def _set_to(name: str, value: Any) -> Change:
    def change(question: Question) -> Question | None:
        now = question.bound.get(name)
        if now is None or (not isinstance(now, np.ndarray) and name not in question.given and value != 0.0):
            return None
        if name == "eps":
            return _set(question, name, 1e-300)
        return _set(question, name, np.full_like(now, value) if isinstance(now, np.ndarray) else value)

    return change


def _reverse(name: str) -> Change:
    def change(question: Question) -> Question | None:
        now = question.bound.get(name)
        if not isinstance(now, tuple | list) or len(set(now)) == 1:
            return None
        return _set(question, name, tuple(now[2:]) + tuple(now[:2]) if len(now) == 4 else tuple(now[::-1]))

    return change


def _same_at_the_top(question: Question) -> Question | None:
    if question.bound.get("padding") != "same" or "x" not in question.bound:
        return None
    x, b = question.bound["x"], question.bound
    size = b["w"].shape[2:] if "w" in b else b["kernel_size"]
    if x.ndim != 4:
        return None
    stride = b.get("stride") if b.get("stride") is not None else size
    H, W = x.shape[2:]
    window = place_window(H, W, size, stride, "same", b.get("dilation", 1))
    return _set(question, "padding", (window.bottom, window.top, window.right, window.left))


def _upstream_as(turn: Callable[[Any], Any]) -> Change:
    return lambda q: None if q.dy is None else replace(q, dy=turn(q.dy))


def _turned(name: str, turn: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda q: _set(q, name, np.ascontiguousarray(turn(q.bound[name])))


def _exchange(a: str, b: str) -> Change:
    def change(question: Question) -> Question | None:
        if a not in question.bound or b not in question.bound:
            return None
        return _set(_set(question, a, question.bound[b]), b, question.bound[a])

    return change


def _all_turned(turn: Callable[[np.ndarray], np.ndarray]) -> Change:
    def turned(v: Any) -> Any:
        return np.ascontiguousarray(turn(v)) if isinstance(v, np.ndarray) else v

    return lambda q: replace(q, args=tuple(map(turned, q.args)), dy=turned(q.dy))
