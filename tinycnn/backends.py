"""Which implementation serves: a ladder of rungs with the same ops, from the plainest to the fastest.

    loops   the formula itself, walked loop by loop in Python
    numpy   im2col and one matrix product (`tinycnn.ops`)
    njit    the formula's own loops again, compiled by Numba
    numba   the fast kernels (`tinycnn.kernels`; the default)

All rungs are held to the same tests. An op that a rung lacks, NumPy serves; so it does where there is no Numba.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from types import SimpleNamespace
from typing import Any

from tinycnn import ops
from tinycnn.formula import compiled_twin, literal_twin
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

    def find(self, op: str) -> Any:
        """The same, or None if no rung has it."""
        found = getattr(self._table, op, None)
        return self._below.find(op) if found is None and self._below is not None else found

    def __repr__(self) -> str:
        return f"<rung {self.name}>"


def _twins(twin: Callable[[Callable, Callable], tuple[Callable, Callable]]) -> SimpleNamespace:
    """Every pair whose formula covers all that the op accepts, as the twin that its loops make."""
    table = {}
    for op in _pairs(ops):
        forward, backward = getattr(ops, f"{op}_forward"), getattr(ops, f"{op}_backward")
        if op not in _NUMPY_ONLY and hasattr(forward, "formula") and hasattr(backward, "formula"):
            table[f"{op}_forward"], table[f"{op}_backward"] = twin(forward, backward)
    return SimpleNamespace(**table)


def _pairs(module: Any) -> list[str]:
    """The ops of which a module has both forward and backward."""
    names = [name.removesuffix("_forward") for name in module.__all__ if name.endswith("_forward")]
    return [op for op in names if f"{op}_backward" in module.__all__]


def _compiled_table() -> SimpleNamespace:
    return _twins(compiled_twin) if _numba_serves() else SimpleNamespace()


def _kernel_table() -> SimpleNamespace:
    """The kernels. One without its other half is left out: a cache is read by those who wrote it."""
    if not _numba_serves():
        return SimpleNamespace()
    from tinycnn import kernels

    halves = [f"{op}{half}" for op in _pairs(kernels) for half in ("_forward", "_backward")]
    return SimpleNamespace(**{name: getattr(kernels, name) for name in halves} | kernels.BEYOND_OPS)


@cache
def _numba_serves() -> bool:
    """Whether Numba is there and compiles. If not, NumPy serves in its place, and says so once."""
    try:
        import numba
    except ImportError as error:
        missing = f"Numba cannot be imported ({error})"
    else:
        if not getattr(numba.config, "DISABLE_JIT", False):
            return True
        missing = "NUMBA_DISABLE_JIT is set"
    warnings.warn(f"{missing}: NumPy serves in place of the compiled rungs", RuntimeWarning, stacklevel=2)
    return False


_NUMPY_ONLY = ("flatten",)  # the formula shows (N,C,H,W); the op flattens any number of axes

_NUMPY = Rung("numpy", lambda: ops)
RUNGS = {
    "loops": Rung("loops", lambda: _twins(literal_twin), below=_NUMPY),
    "numpy": _NUMPY,
    "njit": Rung("njit", _compiled_table, below=_NUMPY),
    "numba": Rung("numba", _kernel_table, below=_NUMPY),
}
DEFAULT = "numba"

_chosen = threading.local()


def current() -> Rung:
    """The rung that serves this thread."""
    return getattr(_chosen, "rung", RUNGS[DEFAULT])


def serving() -> str:
    """The name of the rung whose code runs in this thread: NumPy's where there is no Numba.

    >>> with backend("loops"):
    ...     serving()
    'loops'
    """
    chosen = current().name
    return chosen if chosen not in ("njit", "numba") or _numba_serves() else "numpy"


def steps_in_place() -> Any:
    """The optimizers' steps of one pass (`tinycnn.kernels.steps`), or None where the rung in force has none."""
    return current().find("steps")


class Recorder(Rung):
    """A rung that serves as another one does, and keeps every call: (op, positional arguments, options)."""

    def __init__(self, under: Rung):
        super().__init__(under.name, lambda: None, below=under)
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def find(self, op: str) -> Any:
        """As the rung below, but for what is no op of its own: several ops in one, or a part of one."""
        return super().find(op) if hasattr(ops, op) else None

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
    <rung numba>
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
