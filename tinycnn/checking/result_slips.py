"""Slips seen in a result itself: off by a sign or a factor, turned, cut short, rounded, or zero.

The least specific of all, and often the plainest: "your dw is N times too large" needs no story.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from tinycnn.checking.subject import Question, formula_of

Array = np.ndarray
_FACTORS = ("N", "N*OH*OW", "OH*OW", "H*W", "KH*KW", "N*H*W", "C*KH*KW", "N*KH*KW", "F*KH*KW")
_READ = {
    "M": "all the numbers there are",
    "P": "the pixels",
    "N": "the batch",
    "K": "the classes",
    "F": "the filters",
    "C": "the channels",
}


@dataclass(frozen=True)
class ResultSlip:
    """What a result becomes by a slip; None where the slip makes no sense for it."""

    name: str
    title: str  # with {r} for the result's name
    story: str
    change: Callable[[str, Array, Question], Array | None]


def result_slips(question: Question, result: str) -> Iterator[ResultSlip]:
    """Those to try for one result of these cases."""
    yield from _PLAIN
    yield from _factors(question)
    yield from _turned()
    yield from _order(question, result)


def _times(text: str, inverse: bool) -> Callable[[str, Array, Question], Array | None]:
    def change(name: str, right: Array, question: Question) -> Array | None:
        factor = size_of(text, question)
        if factor is None:
            return None
        return right / factor if inverse else right * factor

    return change


def size_of(text: str, question: Question) -> float | None:
    """A product of sizes such as N*OH*OW for one question; None if it has no such size."""
    known = sizes(question)
    if not all(part in known or part.isdigit() for part in text.split("*")):
        return None
    return float(math.prod(known.get(part, 0) or int(part) for part in text.split("*")))


def sizes(question: Question) -> dict[str, int]:
    """What the letters of the shapes stand for, N, C, H, W and so on, and K for the classes."""
    found: dict[str, int] = {}
    for formula in (question.subject.formula, question.subject.transpose):
        values = question.bound | question.expected
        for name, dims in (formula.shapes if formula else {}).items():
            shape = np.shape(values[name]) if isinstance(values.get(name), np.ndarray) else ()
            for dim, size in zip([d for d in dims or () if d != "..."], shape, strict=False):
                found.setdefault(dim, size)
            if dims and dims[-1] == "..." and shape[len(dims) - 1 :]:
                found.setdefault("M" if len(dims) == 1 else "P", math.prod(shape[len(dims) - 1 :]))
    size = question.bound.get("kernel_size")
    if size is not None:
        found["KH"], found["KW"] = size if isinstance(size, tuple | list) else (size, size)
    return found


def _factors(question: Question) -> Iterator[ResultSlip]:
    """A sum for a mean, a mean for a sum, a forgotten 2: by every size there is, and products of some."""
    known = sizes(question)
    single = [name for name in known if name.isidentifier() and name != "..."]
    products = [p for p in _FACTORS if all(part in known for part in p.split("*"))]
    pairs = [f"{a}*{b}" for a, b in itertools.combinations(single, 2)]
    for text in dict.fromkeys(["2", *single, *products, *pairs, "N*K*P", "N*C*P"]):
        shown = text.replace("*", "·")
        of = f" ({_READ[text]})" if text in _READ else ""
        yield ResultSlip(
            f"times-{text}",
            f"{{r}} is {shown} times too large",
            f"A mean is meant where yours is a sum, or a division by {shown}{of} is missing."
            if text != "2"
            else "A factor ½ is missing, or a 2 too many.",
            _times(text, False),
        )
        yield ResultSlip(
            f"over-{text}",
            f"{{r}} is {shown} times too small",
            f"A sum is meant where yours is a mean: nothing is to be divided by {shown}{of} here."
            if text != "2"
            else "A factor 2 is missing, or a ½ too many.",
            _times(text, True),
        )


def _slip(name: str, title: str, story: str, change: Callable[[Array], Array | None]) -> ResultSlip:
    return ResultSlip(name, title, story, lambda _, right, __: change(right))


def _at_least(axes: int, change: Callable[[Array], Array]) -> Callable[[Array], Array | None]:
    return lambda right: change(right) if right.ndim >= axes else None


def _float32(right: Array) -> Array | None:
    return right.astype(np.float32) if right.dtype == np.float64 else None


def _whole(right: Array) -> Array | None:
    return np.floor(right) if right.dtype.kind == "f" else None


_PLAIN = (
    _slip(
        "zero",
        "{r} is zero everywhere",
        "Nothing arrives: the gradient is never added, or the result never filled.",
        lambda r: np.zeros_like(r),
    ),
    _slip("sign", "{r} has the wrong sign", "A minus is missing, or one too many.", lambda r: -r),
    _slip(
        "float32",
        "{r} is computed in float32",
        "The arguments are float64: an array made on the way has a narrower"
        " type (np.float32, or one that was made from it).",
        _float32,
    ),
    _slip(
        "whole",
        "{r} is rounded down to whole numbers",
        "Integer division (//), or an array of integers that the result is written into.",
        _whole,
    ),
    _slip(
        "truncated",
        "{r} is cut off after the point",
        "An array of integers that the result is written into, or int().",
        lambda r: np.trunc(r) if r.dtype.kind == "f" else None,
    ),
    _slip("absolute", "{r} has lost its signs", "An absolute value, or a square root of a square.", np.abs),
    _slip("ones", "{r} is one everywhere", "Something is divided by itself.", np.ones_like),
)


def _turned() -> Iterator[ResultSlip]:
    yield _slip(
        "transposed",
        "{r} is transposed",
        "The last two axes are exchanged.",
        _at_least(2, lambda r: np.swapaxes(r, -1, -2)),
    )
    yield _slip(
        "batch-second",
        "The first two axes of {r} are exchanged",
        "The batch comes first, channels second.",
        _at_least(2, lambda r: np.swapaxes(r, 0, 1)),
    )
    yield _slip(
        "channels-last",
        "{r} has its channels last",
        "Images are (N, C, H, W) here: a transpose back is missing.",
        _at_least(3, lambda r: np.moveaxis(r, 1, -1)),
    )
    yield _slip(
        "flipped",
        "{r} is flipped",
        "Rows and columns come in reverse order: turned by 180°.",
        _at_least(2, lambda r: r[..., ::-1, ::-1]),
    )
    yield _slip(
        "row-short",
        "{r} lacks its last row and column",
        "The size is one too small: ⌊(H + pads − KH)/s⌋ + 1, with the + 1.",
        _at_least(2, lambda r: r[..., :-1, :-1]),
    )
    yield _slip(
        "row-long",
        "{r} has a row and a column too many",
        "The size is one too large, and the last row was never filled.",
        _at_least(2, lambda r: np.pad(r, [(0, 0)] * (r.ndim - 2) + [(0, 1), (0, 1)])),
    )
    yield _slip(
        "edge-zero",
        "The last row and column of {r} are never filled",
        "The loop ends one too early.",
        _at_least(2, _edge_zero),
    )
    yield _slip(
        "row-zero",
        "The last row of {r} is never filled",
        "The loop over rows ends one too early.",
        _at_least(3, lambda r: _without(r, (..., -1, slice(None)))),
    )
    yield _slip(
        "column-zero",
        "The last column of {r} is never filled",
        "The loop over columns ends one too early.",
        _at_least(3, lambda r: _without(r, (..., -1))),
    )
    yield _slip(
        "flat",
        "{r} is right, as one long row",
        "Give it back the shape that the formula says.",
        _at_least(2, lambda r: r.reshape(-1)),
    )
    yield _slip(
        "axes-kept",
        "{r} is right, but has axes of size 1 left",
        "keepdims=True is for the division alone.",
        lambda r: r.reshape(r.shape + (1,)),
    )
    yield _slip(
        "row-vector",
        "{r} is right, but has an axis too many",
        "One number a channel is an array (C,), not (1, C).",
        lambda r: r[None],
    )


def _edge_zero(right: Array) -> Array:
    return _without(_without(right, (..., -1)), (..., -1, slice(None)))


def _without(right: Array, places: tuple) -> Array:
    cut = right.copy()
    cut[places] = 0
    return cut


def _order(question: Question, result: str) -> Iterator[ResultSlip]:
    """An argument handed back as it is, or one gradient in another's place."""
    named = [*question.bound, *(["dy"] if result in question.subject.gradients else [])]
    for name in named:
        yield ResultSlip(
            f"unchanged-{name}",
            f"{{r}} is {name}, as it came in",
            "Nothing is done to it on the way.",
            partial(_argument, name),
        )
    others = [name for name in question.subject.gradients if name != result]
    for other in others if formula_of(question.subject, result) else ():
        yield ResultSlip(
            f"is-{other}",
            f"{{r}} is what {other} should be",
            f"Return the gradients in the order of forward's arguments: {', '.join(question.subject.gradients)}.",
            partial(_gradient, other),
        )


def _gradient(name: str, _: str, __: Array, question: Question) -> Array | None:
    return question.expected.get(name)


def _argument(name: str, _: str, __: Array, question: Question) -> Array | None:
    found = question.dy if name == "dy" else question.bound.get(name)
    return found if isinstance(found, np.ndarray) and found.dtype.kind == "f" else None
