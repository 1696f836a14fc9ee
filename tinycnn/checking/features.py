"""What the failing cases have in common, and no other case has: the option or the place to look at first."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.checking.judge import Record, wrong_cells
from tinycnn.checking.subject import Question


def features(question: Question) -> set[str]:
    """What there is to say of a case, each in words that go on from "a case with …"."""
    found = set()
    for name, value in question.given.items():
        default = question.subject.parameters[name].default if name in question.subject.parameters else None
        if value is None:
            found.add(f"{name} = None")
        if isinstance(value, tuple | list) and name in _SIZED and len(set(value)) > 1:
            found.add(f"two different numbers for {name}")
        if name in question.options and not _equal(value, default):
            found.add(_said(name, value))
    found |= _of_arrays(question)
    found |= _of_windows(question)
    return found


_SIZED = ("stride", "padding", "dilation", "kernel_size", "scale", "output_size")


def _equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(np.array_equal(a, b))


def _said(name: str, value: Any) -> str:
    if name in ("stride", "dilation", "groups"):
        return f"{name} above 1" if value not in (1, (1, 1)) else f"{name} = 1 given"
    if name == "padding":
        return f"padding = {value!r}" if isinstance(value, str) else "padding" if np.any(value) else "padding = 0 given"
    if isinstance(value, bool | str):
        return f"{name} = {value!r}"
    return f"{name} given"


def _of_arrays(question: Question) -> set[str]:
    found = set()
    arrays = [v for v in question.args if isinstance(v, np.ndarray)]
    if arrays and arrays[0].ndim > 2:
        found.add("more than two axes")
    if arrays and arrays[0].ndim and len(arrays[0]) > 1:
        found.add("more than one example")
    if arrays and arrays[0].ndim == 4 and arrays[0].shape[2] != arrays[0].shape[3]:
        found.add("an image that is not square")
    if arrays and arrays[0].ndim > 1 and arrays[0].shape[1] > 1:
        found.add("more than one channel (or feature)")
    words = {"ties": "equal numbers or exact zeros", "extreme": "enormous numbers", "nan": "a NaN"}
    return found | ({words[question.kind]} if question.kind in words else set())


def _of_windows(question: Question) -> set[str]:
    from tinycnn.formula import FormulaError

    formula = question.subject.formula
    if formula is None or formula.given is None or "stride" not in question.bound:
        return set()
    try:
        names = formula.given(dict(question.bound))
    except (FormulaError, ValueError, KeyError, TypeError):
        return set()
    if not {"KH", "KW", "sv", "sh", "window"} <= set(names):
        return set()
    window, found = names["window"], set()
    overlap = names["sv"] < names["KH"] or names["sh"] < names["KW"]
    found |= {"windows that overlap"} if overlap else set()
    found |= {"gaps between the windows"} if names["sv"] > names["KH"] or names["sh"] > names["KW"] else set()
    left = (window.H + window.top + window.bottom - window.dv * (window.KH - 1) - 1) % window.sv
    across = (window.W + window.left + window.right - window.dh * (window.KW - 1) - 1) % window.sh
    return found | ({"rows or columns left over behind the last window"} if left or across else set())


def in_common(records: list[Record]) -> str:
    """A sentence on what sets the failing cases apart; empty where nothing does."""
    failing = [features(r.question) for r in records if r.faults]
    passing = [features(r.question) for r in records if not r.faults]
    if not failing or not passing:
        return "" if passing else "Every case fails, whatever the options: look at the plain one first."
    shared = set.intersection(*failing)
    counts = sorted((sum(f in p for p in passing), f) for f in shared)
    if counts and counts[0][0] == 0:
        every = "The failing case has" if len(failing) == 1 else "All failing cases have"
        return f"{every} {counts[0][1]}; no passing case has."
    if counts and counts[0][0] <= len(passing) // 3:
        return f"All failing cases have {counts[0][1]}; of those that pass, {counts[0][0]} of {len(passing)} have."
    spared = [f for f in set.union(*passing) if not any(f in p for p in failing) and sum(f in p for p in passing) > 2]
    return "" if not spared else f"No case with {sorted(spared)[0]} fails."


def where_wrong(expected: np.ndarray, got: Any) -> str:
    """Which places of a result are wrong: all, the edge, all but some."""
    if not isinstance(got, np.ndarray) or got.shape != expected.shape:
        return ""
    wrong = wrong_cells(expected, got)
    if wrong.all():
        return "everywhere" if wrong.size > 1 else ""
    if wrong.ndim >= 2 and min(wrong.shape[-2:]) > 2 and not wrong[..., 1:-1, 1:-1].any():
        return "along the edge only"
    return ""
