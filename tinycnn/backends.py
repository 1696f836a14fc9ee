"""Which implementation serves: a ladder of rungs with the same ops, from the plainest to the fastest.

    loops   the formula itself, walked loop by loop in Python
    numpy   im2col and one matrix product (`tinycnn.ops`; the default)

All rungs are held to the same tests. A rung that lacks an op is served by the next one that has it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from tinycnn import ops
from tinycnn.formula import literal_twin
from tinycnn.naming import lookup


class Rung:
    """One rung of the ladder; `rung("conv2d_forward")` is the function that serves there."""

    def __init__(self, name: str, make: Callable[[], Any], below: Rung | None = None):
        self.name, self._make, self._below = name, make, below

    @cached_property
    def _table(self) -> Any:
        return self._make()

    def __call__(self, op: str) -> Callable[..., Any]:
        """The function that serves an op; raises AttributeError if no rung has it."""
        found = getattr(self._table, op, None)
        if found is None and self._below is not None:
            return self._below(op)
        if found is None:
            raise AttributeError(f"no rung has an op {op!r}")
        return found

    def __repr__(self) -> str:
        return f"<rung {self.name}>"


def _literal_table() -> SimpleNamespace:
    """Every pair whose formula covers all that the op accepts, as its literal twin."""
    table = {}
    for name in ops.__all__:
        op = name.removesuffix("_forward")
        forward: Any = getattr(ops, name)
        backward: Any = getattr(ops, f"{op}_backward", None)
        if op != name and op not in _NUMPY_ONLY and hasattr(forward, "formula") and hasattr(backward, "formula"):
            table[f"{op}_forward"], table[f"{op}_backward"] = literal_twin(forward, backward)
    return SimpleNamespace(**table)


_NUMPY_ONLY = ("flatten",)  # the formula shows (N,C,H,W); the op flattens any number of axes

_NUMPY = Rung("numpy", lambda: ops)
RUNGS = {"loops": Rung("loops", _literal_table, below=_NUMPY), "numpy": _NUMPY}
DEFAULT = "numpy"

_chosen = threading.local()


def current() -> Rung:
    """The rung that serves this thread."""
    return getattr(_chosen, "rung", RUNGS[DEFAULT])


class Recorder(Rung):
    """A rung that serves as another one does, and keeps every call: (op, positional arguments, options)."""

    def __init__(self, under: Rung):
        super().__init__(under.name, lambda: None, below=under)
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, op: str) -> Callable[..., Any]:
        """The function that serves an op, and keeps what it is called with."""
        serve = super().__call__(op)

        def recorded(*args: Any, **options: Any) -> Any:
            self.calls.append((op, args, options))
            return serve(*args, **options)

        return recorded


@contextmanager
def recording() -> Iterator[Recorder]:
    """Keep the calls that this thread's layers make, while the rung in force goes on serving them."""
    before = current()
    recorder = Recorder(before)
    _chosen.rung = recorder
    try:
        yield recorder
    finally:
        _chosen.rung = before


class backend:  # noqa: N801, it is called like a function
    """Choose the rung that serves this thread's layers: for good as a call, for a while as a context.

    Raises ValueError for a name that is no rung.

    >>> with backend("loops"):
    ...     current()
    <rung loops>
    >>> current()
    <rung numpy>
    """

    def __init__(self, name: str):
        self._before = current()
        self._rung = _chosen.rung = lookup(RUNGS, name, "backend")

    def __enter__(self) -> Rung:
        if current() is not self._rung:  # the same object, used once more
            self._before = current()
        _chosen.rung = self._rung
        return self._rung

    def __exit__(self, *exception: object) -> None:
        _chosen.rung = self._before
