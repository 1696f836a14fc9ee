"""Who computes what: every call of a function that stands under a declared formula, with what went in and came out.

Python itself tells (`sys.setprofile`, for this thread alone), so nothing in the layers, the losses or the optimizers
knows of it, and what is written tomorrow is seen as what is written today. Of calls inside such a call, the outermost
is the one that is told: `conv1d_forward` calls `conv2d_forward`, and is a convolution of its own.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import numpy as np

from tinycnn.formula import Formula


@dataclass
class Call:
    """One call: the function, its arguments by name (as they were before it), and what it returned."""

    function: Callable[..., Any]
    arguments: dict[str, Any]
    result: Any = None
    later: dict[str, Any] = field(default_factory=dict)

    @property
    def op(self) -> str:
        """The function's name: `conv2d_forward`."""
        return self.function.__name__

    @property
    def formula(self) -> Formula:
        """What it computes."""
        return self.function.formula  # type: ignore[attr-defined]


Told = Callable[[Call], None]


@contextmanager
def watching(tell: Told) -> Iterator[None]:
    """Call `tell` with every outermost call of a function under a formula, as soon as it has returned."""
    known: dict[CodeType, Callable[..., Any] | None] = {}
    open_call: list[tuple[FrameType, Call]] = []

    def event(frame: FrameType, kind: str, value: Any) -> None:
        if kind == "call" and not open_call:
            code = frame.f_code
            if code not in known:
                known[code] = _declared(frame)
            if (function := known[code]) is not None:
                open_call.append((frame, Call(function, _arguments(frame))))
        elif kind == "return" and open_call and frame is open_call[0][0]:
            _, call = open_call.pop()
            call.result = value
            if value is not None:  # an exception passes through as a return of None
                tell(call)

    before = sys.getprofile()
    sys.setprofile(event)
    try:
        yield
    finally:
        sys.setprofile(before)


def _declared(frame: FrameType) -> Callable[..., Any] | None:
    """The function of this frame, if a formula stands above it."""
    function = frame.f_globals.get(frame.f_code.co_name)
    is_it = getattr(function, "__code__", None) is frame.f_code and isinstance(
        getattr(function, "formula", None), Formula
    )
    return function if is_it else None


def _arguments(frame: FrameType) -> dict[str, Any]:
    """Arguments by name; a generator of random numbers as it was, since the call is about to draw from it."""
    found = {name: frame.f_locals[name] for name in inspect.getargs(frame.f_code).args}
    return {name: _copied(value) if isinstance(value, np.random.Generator) else value for name, value in found.items()}


def _copied(rng: np.random.Generator) -> np.random.Generator:
    twin = np.random.Generator(type(rng.bit_generator)())
    twin.bit_generator.state = rng.bit_generator.state
    return twin
